//! What recovery finds in the journal, and no snapshot holds, counts for its buyer's quotas.

use crate::actors::testing::{Bench, at};
use crate::domain::buyer::{Buyer, BuyerKey, Claim, Standing};
use crate::domain::cart::CartLine;
use crate::domain::entity::Owner;
use crate::domain::ids::{CartId, EntityId, EntityRef, OrderId, SkuId, VendorId};
use crate::domain::money::{Currency, Money};
use crate::domain::order::{OrderEvent, OrderStatus, PaymentChoice, Placement};
use crate::domain::record::Record;
use crate::domain::time::Timestamp;
use crate::ports::History;
use crate::ports::quotas::{BuyerQuotas, Full, Part};
use parking_lot::Mutex;
use std::sync::Arc;
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
        sale: None,
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
        coupons: Vec::new(),
        shipping: Vec::new(),
        slots: Vec::new(),
        email: None,
        shipping_address: None,
    };
    let (hold_until, payment_due_at) = (at(900_000), at(600_000));
    let mut events =
        vec![OrderEvent::Placed { placement: Box::new(placement), hold_until, payment_due_at, return_days: 14 }];
    events.extend(ended.map(|status| OrderEvent::Ended { status }));
    let entity = order(number).entity();
    let mut line = Vec::new();
    Record { entity, version: 1, at: at(0), events, answers: Vec::new() }.write(&mut line);
    (entity, History { snapshot: None, records: vec![line] })
}

/// Of which order, by which keys, of how many pieces, and how it stands.
type Note = (OrderId, Vec<BuyerKey>, i64, Standing);

/// A book that only notes.
#[derive(Default)]
struct Noted(Mutex<Vec<Note>>);

impl BuyerQuotas for Noted {
    fn take(&self, _: &Part<'_>, _: Timestamp) -> Result<(), Full> {
        Ok(())
    }
    fn give_back(&self, _: OrderId) {}
    fn note(&self, order: OrderId, claim: &Claim<'_>, _: Timestamp) {
        self.0.lock().push((order, claim.keys.to_vec(), claim.pieces, claim.standing));
    }
}

/// What a node notes that recovers this journal.
async fn noted(ended: Option<OrderStatus>) -> Vec<Note> {
    let book = Arc::new(Noted::default());
    let bench = Bench::with_quotas(book.clone());
    bench.node.install(vec![journal(7, ended)]);
    let noted = book.0.lock();
    noted.clone()
}

#[tokio::test]
async fn what_recovery_finds_counts() {
    let of = |standing| vec![(order(7), vec![RINA], 1, standing)];
    assert_eq!(noted(None).await, of(Standing::Unpaid));
    for status in [OrderStatus::Cancelled, OrderStatus::Expired, OrderStatus::PaymentFailed] {
        assert_eq!(noted(Some(status)).await, of(Standing::GivenUp(at(0))), "{status:?}");
    }
    assert_eq!(noted(Some(OrderStatus::Rejected)).await, of(Standing::Done), "that was not the buyer's doing");
}
