//! What recovery finds in the journal, and no snapshot holds, counts for its buyer's quotas.

use crate::actors::node::NodeSettings;
use crate::actors::quotas::{Part, Quota};
use crate::actors::testing::{Bench, at};
use crate::domain::buyer::{Buyer, BuyerKey};
use crate::domain::cart::CartLine;
use crate::domain::entity::Owner;
use crate::domain::ids::{CartId, EntityId, EntityRef, OrderId, SkuId, VendorId};
use crate::domain::money::{Currency, Money};
use crate::domain::order::{OrderEvent, OrderStatus, PaymentChoice, Placement};
use crate::domain::record::Record;
use crate::ports::History;
use uuid::Uuid;

const RINA: BuyerKey = BuyerKey([1; 8]);

fn order(number: u128) -> OrderId {
    OrderId::from_uuid(Uuid::from_u128(number))
}

/// The journal of an order of this buyer for one piece, which then ended so, if it did.
fn journal(number: u128, ended: Option<OrderStatus>) -> (EntityRef, History) {
    let line = CartLine {
        sku: SkuId::from_uuid(Uuid::from_u128(901)),
        vendor: VendorId::from_uuid(Uuid::from_u128(900)),
        title: "Quilt".into(),
        quantity: 1,
        unit_price: 1_000,
    };
    let placement = Placement {
        cart: CartId::from_uuid(Uuid::from_u128(number)),
        attempt: 1,
        owner: Owner::Guest,
        payment: PaymentChoice { method: "hangs".into(), token: String::new() },
        expected_total: Money::new(1_000, Currency::BDT),
        lines: vec![line],
        hold_ms: 0,
        payment_ms: 0,
        strict: true,
        mint: None,
        buyer: Some(Box::new(Buyer { keys: vec![RINA], ..Buyer::default() })),
        email: None,
        shipping_address: None,
    };
    let (hold_until, payment_due_at) = (at(900_000), at(600_000));
    let mut events = vec![OrderEvent::Placed { placement: Box::new(placement), hold_until, payment_due_at }];
    events.extend(ended.map(|status| OrderEvent::Ended { status }));
    let entity = order(number).entity();
    let mut line = Vec::new();
    Record { entity, version: 1, at: at(0), events, answers: Vec::new() }.write(&mut line);
    (entity, History { snapshot: None, records: vec![line] })
}

/// The quota that is in this buyer's way on a node that recovered these journals.
async fn in_the_way(journals: Vec<(EntityRef, History)>) -> Option<Quota> {
    let bench = Bench::with_settings(NodeSettings { quotas: true, ..NodeSettings::default() });
    bench.node.install(journals);
    let quotas = bench.node.quotas.as_ref().expect("they are on");
    let part = Part { order: order(1_000), keys: &[RINA], asked: &[RINA], pieces: 1, address: None };
    quotas.reserve(&part, at(0)).err().map(|full| full.quota)
}

#[tokio::test]
async fn what_recovery_finds_counts() {
    let unpaid = |count: u128| (0..count).map(|number| journal(number, None)).collect();
    assert_eq!(in_the_way(unpaid(4)).await, None);
    assert_eq!(in_the_way(unpaid(5)).await, Some(Quota::UnpaidOrders));
    let ended = |status| (0..10).map(|number| journal(number, Some(status))).collect();
    for status in [OrderStatus::Cancelled, OrderStatus::Expired, OrderStatus::PaymentFailed] {
        assert_eq!(in_the_way(ended(status)).await, Some(Quota::GivenUp), "{status:?}");
    }
    assert_eq!(in_the_way(ended(OrderStatus::Rejected)).await, None, "that was not the buyer's doing");
}
