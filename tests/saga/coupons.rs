//! The leg with a coupon of which uses are counted: asked once the price is known, committed and released as stock is.

use haat::domain::buyer::{Audience, Buyer, BuyerKey, Mint};
use haat::domain::cart::CartLine;
use haat::domain::coupon::{CouponCode, CouponCommand, CouponTerms, RestoresOn, ReturnedPart, ReturnedUse};
use haat::domain::entity::concerns::*;
use haat::domain::entity::{Effect, EffectKey, Message, Owner, Part, Principal, Step};
use haat::domain::ids::{CartId, CouponId, CreditId, CustomerId, OrderId, ProductId, SkuId, VendorId};
use haat::domain::knowledge::{Availability, Knowledge};
use haat::domain::money::{Currency, Money};
use haat::domain::order::{
    CreditReason, CreditSeed, DisputeStatus, DisputeTold, Order, OrderCommand, OrderEvent, OrderStatus, Party,
    PaymentChoice, Phase, PlacedCoupon, Placement, ResolveAs, Wanted,
};
use haat::domain::pricing::{Promotion, PromotionKind, Scope};
use haat::domain::reject::Reject;
use haat::domain::rows::CouponRow;
use haat::domain::time::Timestamp;
use haat::domain::vendor::{HeldLine, SkuTerms, WantedLine};
use std::collections::BTreeMap;
use std::sync::Arc;
use uuid::Uuid;

const NOW: Timestamp = Timestamp::from_millis(1_000);

fn vendor() -> VendorId {
    VendorId::from_uuid(Uuid::from_u128(3))
}

fn sku() -> SkuId {
    SkuId::from_uuid(Uuid::from_u128(4))
}

fn code() -> CouponCode {
    CouponCode::new("EID10").unwrap()
}

fn coupon() -> CouponId {
    CouponId::of_code(&code().compared())
}

fn party() -> Party {
    Party::Coupon(coupon())
}

/// A tenth off, published in this version, with so many uses at most.
struct Published {
    version: u64,
    usage_limit: Option<u64>,
    /// Whether it counts its buyers and a budget, too.
    counts_all: bool,
}

impl Availability for Published {
    fn available(&self, _: SkuId) -> Option<i64> {
        None
    }
    fn price(&self, _: SkuId) -> Option<Money> {
        None
    }
    fn terms(&self, _: SkuId) -> Option<Arc<SkuTerms>> {
        None
    }
    fn product(&self, _: SkuId) -> Option<ProductId> {
        None
    }
    fn audience(&self, _: CustomerId) -> Audience {
        Audience::Retail
    }
    fn coupon(&self, id: CouponId) -> Option<Arc<CouponRow>> {
        let promotion = Promotion {
            kind: PromotionKind::Percent { basis_points: 1_000 },
            scope: Scope::default(),
            min_subtotal: None,
            max_discount: None,
            excludes_sale_items: false,
            platform_bp: 10_000,
        };
        let terms = CouponTerms {
            promotion,
            starts_at: Timestamp::from_millis(0),
            ends_at: Timestamp::from_millis(2_000),
            usage_limit: self.usage_limit,
            limit_per_customer: self.counts_all.then_some(1),
            budget: self.counts_all.then(|| Money::new(1_000, Currency::BDT)),
            combines: false,
            restores_on: RestoresOn::Cancel,
        };
        Some(Arc::new(CouponRow {
            id,
            code: code(),
            vendor_id: None,
            single_use: false,
            version: self.version,
            terms,
            created_at: NOW,
            issued: 0,
            held: 0,
            used: 0,
            amount_held: 0,
            amount_used: 0,
        }))
    }
}

/// An order of two pieces at 100 with the code, and what happened to it, a list for each record.
struct Life {
    order: Order,
    records: Vec<Vec<OrderEvent>>,
    known: Published,
    /// The newest of each part of its snapshots.
    parts: BTreeMap<String, Part>,
}

impl Life {
    fn placed(usage_limit: Option<u64>) -> Self {
        let cart = CartId::from_uuid(Uuid::from_u128(1));
        let line =
            CartLine { sku: sku(), vendor: vendor(), title: "Quilt".into(), quantity: 2, unit_price: 100, sale: None };
        let placement = Placement {
            cart,
            attempt: 1,
            owner: Owner::Guest,
            payment: PaymentChoice { method: "sandbox".into(), token: String::new() },
            expected_total: Money::new(180, Currency::BDT),
            lines: vec![line],
            hold_ms: 10_000,
            payment_ms: 9_000,
            strict: true,
            mint: None,
            buyer: Some(Box::new(Buyer { keys: vec![BuyerKey([7; 8])], ..Buyer::default() })),
            coupons: vec![PlacedCoupon { coupon: coupon(), code: code(), serial: None }],
            shipping: Vec::new(),
            slots: Vec::new(),
            email: None,
            shipping_address: None,
        };
        let order = Order::new(OrderId::for_attempt(cart, 1));
        let mut life = Self {
            order,
            records: Vec::new(),
            known: Published { version: 3, usage_limit, counts_all: false },
            parts: BTreeMap::new(),
        };
        life.tell(OrderCommand::Place { placement: Box::new(placement), details: None }).unwrap();
        life
    }

    /// Placed, with its stock held.
    fn held(usage_limit: Option<u64>) -> Self {
        let mut life = Self::placed(usage_limit);
        life.hold_stock();
        life
    }

    /// Sold, with its coupon used; it counts its buyers and a budget where that is said.
    fn sold(counts_all: bool) -> Self {
        let mut life = Self::placed(Some(9));
        life.known.counts_all = counts_all;
        life.hold_stock();
        life.tell(OrderCommand::LegHeld { with: party() }).unwrap();
        life.tell(OrderCommand::Charged { amount: None }).unwrap();
        life.tell(OrderCommand::StockCommitted { vendor: vendor() }).unwrap();
        life.tell(OrderCommand::LegCommitted { with: party() }).unwrap();
        life
    }

    /// So many pieces are cancelled by this credit.
    fn cancel(&mut self, credit: u128, pieces: i64) {
        let wanted = Wanted::Units(vec![WantedLine { sku: sku(), quantity: pieces }]);
        let seed = CreditSeed { id: credit_id(credit), mint: Mint([1; 4]), reason: CreditReason::ChangedMind };
        self.tell(OrderCommand::Credit { by: Principal::SHOP, vendor: vendor(), wanted, seed }).unwrap();
    }

    /// What it tells its coupon of what was cancelled.
    fn returned(&self) -> ReturnedUse {
        match self.order.effect(EffectKey::new(Step::ReturnUse, coupon())) {
            Some(Effect::Tell(Message::Coupon { command: CouponCommand::ReturnUse { returned }, .. })) => *returned,
            other => panic!("{other:?}"),
        }
    }

    fn hold_stock(&mut self) {
        let lines = vec![HeldLine::at_list_price(sku(), 2, 100)];
        self.tell(OrderCommand::StockHeld { vendor: vendor(), lines, slot: None }).unwrap();
    }

    fn tell(&mut self, command: OrderCommand) -> Result<usize, Reject> {
        self.order.heard(&command, NOW);
        let knowledge = Knowledge { availability: &self.known, ..Knowledge::NOTHING };
        let events = self.order.decide(&command, &knowledge, NOW)?;
        for event in &events {
            self.order.apply(event, NOW);
            self.order.check().unwrap();
        }
        if !events.is_empty() {
            self.records.push(events.clone());
        }
        // As a snapshot has it, it is the same.
        for part in self.order.delta().parts {
            self.parts.insert(part.name.clone(), part);
        }
        let parts: Vec<Part> = self.parts.values().filter(|part| part.state.is_some()).cloned().collect();
        let again = Order::restore(order_id(), &parts).unwrap();
        assert_eq!(serde_json::to_value(&again).unwrap(), serde_json::to_value(&self.order).unwrap());
        Ok(events.len())
    }

    fn steps(&self) -> Vec<Step> {
        self.order.outstanding(NOW).into_iter().map(|key| key.step).collect()
    }

    /// What the order answers to this.
    fn answer(&self, command: &OrderCommand) -> Option<CouponCommand> {
        match self.order.respond(command, Ok(()))? {
            Message::Coupon { id, command } if id == coupon() => Some(command),
            other => panic!("{other:?}"),
        }
    }
}

fn order_id() -> OrderId {
    OrderId::for_attempt(CartId::from_uuid(Uuid::from_u128(1)), 1)
}

fn release() -> CouponCommand {
    CouponCommand::ReleaseUse { order: order_id(), until: NOW.plus_millis(10_000) }
}

#[test]
fn a_use_is_asked_for_with_what_the_bill_takes_off_and_only_where_uses_are_counted() {
    let mut free = Life::held(None);
    assert_eq!((free.order.phase(), free.steps()), (Some(Phase::Paying), vec![Step::Charge]));
    assert_eq!(free.records.len(), 2, "it costs no record");
    assert_eq!(free.tell(OrderCommand::LegHeld { with: party() }), Ok(0));

    let mut life = Life::held(Some(9));
    assert!(matches!(
        &life.records[1][..],
        [OrderEvent::StockHeld { .. }, OrderEvent::CouponsTaken { .. }, OrderEvent::Priced { total: 180, .. }]
    ));
    assert_eq!(life.steps(), [Step::HoldUse], "stock is held already, and payment comes after");
    let Some(Effect::Tell(Message::Coupon { command, .. })) =
        life.order.effect(EffectKey::new(Step::HoldUse, coupon()))
    else {
        panic!("it asks the coupon")
    };
    let CouponCommand::HoldUse { version, amount, keys, serial, .. } = command else { panic!("{command:?}") };
    assert_eq!((version, amount.minor, keys, serial), (3, 20, vec![BuyerKey([7; 8])], None));
    assert_eq!(life.tell(OrderCommand::LegHeld { with: party() }), Ok(2));
    assert_eq!(life.tell(OrderCommand::LegHeld { with: party() }), Ok(0), "twice is once");
    assert_eq!(life.steps(), [Step::Charge]);
    life.tell(OrderCommand::Charged { amount: None }).unwrap();
    assert_eq!(life.steps(), [Step::Commit, Step::CommitUse, Step::Close]);
    assert_eq!(life.tell(OrderCommand::StockCommitted { vendor: vendor() }), Ok(0), "the coupon has not");
    assert_eq!(life.tell(OrderCommand::LegCommitted { with: party() }), Ok(1));
    assert_eq!(life.order.phase(), Some(Phase::Settled));
    assert_eq!(life.records.len(), 5, "one more than without a coupon");
    let told = life.order.tells(life.records.last().unwrap());
    let close = CouponCommand::Close { order: order_id() };
    assert!(told.contains(&Message::Coupon { id: coupon(), command: close }), "{told:?}");
}

#[test]
fn a_refusal_ends_the_order_and_gives_its_stock_back() {
    let mut life = Life::held(Some(9));
    let refused = OrderCommand::LegRefused { with: party(), reason: Reject::CouponExhausted };
    assert_eq!(life.tell(refused.clone()), Ok(1));
    assert_eq!(
        (life.order.phase(), life.steps()),
        (Some(Phase::Cancelling(OrderStatus::Rejected)), vec![Step::Release])
    );
    assert_eq!(life.tell(refused), Ok(0));
    // It was asked twice, and holds by the second time.
    let held = OrderCommand::LegHeld { with: party() };
    assert_eq!(life.tell(held.clone()), Ok(0));
    assert_eq!(life.answer(&held), Some(release()));
    life.tell(OrderCommand::StockReleased { vendor: vendor() }).unwrap();
    assert_eq!(life.steps(), [Step::Reopen]);
}

#[test]
fn what_was_not_paid_is_given_back_by_both() {
    // Before the coupon has answered, and after it.
    for answered in [false, true] {
        let mut life = Life::held(Some(9));
        if answered {
            life.tell(OrderCommand::LegHeld { with: party() }).unwrap();
            life.tell(OrderCommand::Declined { reason: "no".into() }).unwrap();
        } else {
            life.tell(OrderCommand::Cancel { by: haat::domain::entity::Principal::SHOP }).unwrap();
        }
        assert_eq!(life.steps(), [Step::Release, Step::ReleaseUse]);
        life.tell(OrderCommand::LegReleased { with: party() }).unwrap();
        assert_eq!(life.tell(OrderCommand::LegReleased { with: party() }), Ok(0));
        assert_eq!(life.steps(), [Step::Release]);
        life.tell(OrderCommand::StockReleased { vendor: vendor() }).unwrap();
        life.tell(OrderCommand::CartReopened).unwrap();
        assert!(life.order.status().unwrap().is_end());
        let due = OrderCommand::LegDue { with: party(), until: NOW.plus_millis(10_000), committed: false };
        assert_eq!(life.answer(&due), Some(release()), "nobody owns it any more");
    }
}

/// What a coupon is told that asks about a hold whose time has passed.
#[test]
fn a_coupon_that_asks_is_told_what_becomes_of_its_hold() {
    let due = |committed| OrderCommand::LegDue { with: party(), until: NOW.plus_millis(10_000), committed };
    let nobodys = Life {
        order: Order::new(order_id()),
        records: Vec::new(),
        known: Published { version: 1, usage_limit: None, counts_all: false },
        parts: BTreeMap::new(),
    };
    assert_eq!(nobodys.answer(&due(false)), Some(release()));
    let mut life = Life::held(Some(9));
    assert_eq!(life.answer(&due(false)), None, "its outcome is not known");
    life.tell(OrderCommand::LegHeld { with: party() }).unwrap();
    life.tell(OrderCommand::Charged { amount: None }).unwrap();
    let order = order_id();
    assert_eq!(life.answer(&due(false)), Some(CouponCommand::CommitUse { order }));
    life.tell(OrderCommand::LegCommitted { with: party() }).unwrap();
    life.tell(OrderCommand::StockCommitted { vendor: vendor() }).unwrap();
    assert_eq!(life.answer(&due(true)), Some(CouponCommand::Close { order }));
}

#[test]
fn what_cannot_be_committed_is_stuck_until_somebody_looks() {
    let mut life = Life::held(Some(9));
    life.tell(OrderCommand::LegHeld { with: party() }).unwrap();
    life.tell(OrderCommand::Charged { amount: None }).unwrap();
    life.tell(OrderCommand::StockCommitted { vendor: vendor() }).unwrap();
    life.tell(OrderCommand::LegFailed { with: party(), reason: Reject::HoldUnknown }).unwrap();
    assert_eq!((life.order.phase(), life.steps()), (Some(Phase::Stuck), Vec::new()));
    let resolution = Box::new(crate::world::shop::resolution(ResolveAs::WriteOff, None));
    let by = haat::domain::entity::Principal::SHOP;
    life.tell(OrderCommand::Resolve { by, resolution }).unwrap();
    assert_eq!(life.order.phase(), Some(Phase::Settled));
}

/// A coupon that is judged by the order itself: whatever its stock is held, it ends.
#[test]
fn an_order_ends_whose_coupon_is_over_when_its_price_is_made() {
    let mut life = Life::placed(None);
    life.known.version = 4;
    let lines = vec![HeldLine::at_list_price(sku(), 2, 100)];
    let command = OrderCommand::StockHeld { vendor: vendor(), lines, slot: None };
    let knowledge = Knowledge { availability: &life.known, ..Knowledge::NOTHING };
    let late = Timestamp::from_millis(2_000);
    let events = life.order.decide(&command, &knowledge, late).unwrap();
    assert_eq!(events[1..], [OrderEvent::BillRefused { reason: Reject::CouponExpired }]);
    events.iter().for_each(|event| life.order.apply(event, late));
    assert_eq!(life.order.phase(), Some(Phase::Cancelling(OrderStatus::Rejected)));
    // Nothing is known of it: nor is it used then.
    let unknown = Life::placed(None).order.decide(&command, &Knowledge::NOTHING, NOW).unwrap();
    assert_eq!(unknown[1..], [OrderEvent::BillRefused { reason: Reject::CouponUnknown }]);
}

fn credit_id(number: u128) -> CreditId {
    CreditId::from_uuid(Uuid::from_u128(number))
}

fn part(credit: u128, amount: i64, whole: bool) -> (CreditId, ReturnedPart) {
    (credit_id(credit), ReturnedPart { amount, whole, ..ReturnedPart::default() })
}

/// With each unit comes its share of the budget, and with the last the use.
#[test]
fn what_is_cancelled_of_a_paid_order_gives_the_coupon_back() {
    let mut life = Life::sold(true);
    assert_eq!(life.steps(), []);
    life.cancel(1, 1);
    assert_eq!(life.steps(), [Step::Restock, Step::ReturnUse]);
    let first = ReturnedUse {
        order: order_id(),
        credits: vec![part(1, 10, false)],
        serial: None,
        keys: vec![BuyerKey([7; 8])],
    };
    assert_eq!(life.returned(), first);
    life.cancel(2, 1);
    assert_eq!(life.returned().credits, [part(1, 10, false), part(2, 10, true)]);
    // One of them is seen to, and then both; what is said again changes nothing.
    let seen_to = |credits: &[u128], whole| {
        let credits = credits.iter().copied().map(credit_id).collect();
        OrderCommand::LegReturned { with: party(), credits, whole }
    };
    assert_eq!(life.tell(seen_to(&[1], false)), Ok(1));
    assert_eq!(life.returned().credits, [part(2, 10, true)]);
    assert_eq!(life.tell(seen_to(&[1, 2], true)), Ok(1));
    assert_eq!(life.tell(seen_to(&[1, 2], true)), Ok(0));
    assert_eq!(life.steps(), [Step::Restock]);
    let told = life.order.tells(&[OrderEvent::LegReturned { with: party(), credits: vec![credit_id(2)], whole: true }]);
    let close = |credits| CouponCommand::CloseReturns { order: order_id(), credits };
    assert_eq!(told, [Message::Coupon { id: coupon(), command: close(vec![credit_id(2)]) }]);
    let due = OrderCommand::ReturnDue { with: party(), credits: vec![credit_id(1), credit_id(9)] };
    assert_eq!(life.answer(&due), Some(close(vec![credit_id(1)])), "of the other it has not heard");
}

#[test]
fn a_coupon_that_counts_its_uses_alone_hears_of_the_last_unit_alone() {
    let mut life = Life::sold(false);
    life.cancel(1, 1);
    assert_eq!(life.steps(), [Step::Restock]);
    life.cancel(2, 1);
    assert_eq!(
        life.returned(),
        ReturnedUse { order: order_id(), credits: vec![part(2, 0, true)], serial: None, keys: Vec::new() }
    );
    // Goodwill is no cancel, and what nobody counts is told to nobody.
    let mut kind = Life::sold(true);
    let wanted = Wanted::Amount { minor: 180, shipping: false };
    let seed = CreditSeed { id: credit_id(1), mint: Mint([1; 4]), reason: CreditReason::Goodwill };
    kind.tell(OrderCommand::Credit { by: Principal::SHOP, vendor: vendor(), wanted, seed }).unwrap();
    assert_eq!(kind.steps(), []);
    let mut free = Life::held(None);
    free.tell(OrderCommand::Charged { amount: None }).unwrap();
    free.tell(OrderCommand::StockCommitted { vendor: vendor() }).unwrap();
    free.cancel(1, 2);
    assert_eq!(free.steps(), [Step::Restock]);
}

#[test]
fn a_lost_dispute_gives_no_coupon_back() {
    let mut life = Life::sold(true);
    let told = DisputeTold {
        id: "dp_1".into(),
        status: DisputeStatus::Lost,
        amount: Money::new(180, Currency::BDT),
        reason: "fraudulent".into(),
    };
    life.tell(OrderCommand::DisputeTold { told, mint: Mint([1; 4]) }).unwrap();
    assert_eq!(life.steps(), []);
    life.cancel(1, 2);
    assert_eq!(life.steps(), [Step::Restock], "nor what is cancelled after it");
}
