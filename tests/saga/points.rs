//! The leg with a customer's points: asked once all else is priced and held, spent when the order is paid, and what it costs.

use crate::world::Priced;
use haat::domain::buyer::{Audience, Buyer, Mint, PointsWanted};
use haat::domain::cart::CartLine;
use haat::domain::coupon::{CouponCode, CouponTerms, RestoresOn};
use haat::domain::customer::{Customer, CustomerCommand, GivenFor, PointCommand};
use haat::domain::entity::concerns::*;
use haat::domain::entity::{Effect, EffectKey, Message, Owner, Principal, Step};
use haat::domain::ids::{CartId, CouponId, CreditId, CustomerId, OrderId, ProductId, SkuId, VendorId};
use haat::domain::knowledge::{Availability, Knowledge};
use haat::domain::loyalty::Programme;
use haat::domain::money::{Currency, Money};
use haat::domain::order::{
    CreditReason, CreditSeed, Milestone, NoCash, Order, OrderCommand, OrderEvent, OrderStatus, OrderView, Party,
    PaymentChoice, PaymentStatus, Phase, PlacedCoupon, Placement,
};
use haat::domain::pricing::{Promotion, PromotionKind, Scope, Tables};
use haat::domain::reject::Reject;
use haat::domain::rows::CouponRow;
use haat::domain::time::Timestamp;
use haat::domain::vendor::{HeldLine, SkuTerms};
use std::sync::Arc;
use uuid::Uuid;

const NOW: Timestamp = Timestamp::from_millis(1_000);
const SHOP: Principal = Principal::SHOP;
/// Two pieces, and what a point pays.
const PRICE: i64 = 200;
const WORTH: i64 = 7;

fn vendor() -> VendorId {
    VendorId::from_uuid(Uuid::from_u128(3))
}

fn sku() -> SkuId {
    SkuId::from_uuid(Uuid::from_u128(4))
}

fn buyer() -> CustomerId {
    CustomerId::from_uuid(Uuid::from_u128(7))
}

fn party() -> Party {
    Party::Points(buyer())
}

fn cart() -> CartId {
    CartId::from_uuid(Uuid::from_u128(1))
}

fn order_id() -> OrderId {
    OrderId::for_attempt(cart(), 1)
}

fn code() -> CouponCode {
    CouponCode::new("EID10").unwrap()
}

fn coupon() -> CouponId {
    CouponId::of_code(&code().compared())
}

fn bdt(minor: i64) -> Money {
    Money::new(minor, Currency::BDT)
}

/// A coupon for a tenth, of which nine can be used.
struct Published;

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
            usage_limit: Some(9),
            limit_per_customer: None,
            budget: None,
            combines: false,
            restores_on: RestoresOn::Cancel,
        };
        Some(Arc::new(CouponRow {
            id,
            code: code(),
            vendor_id: None,
            single_use: false,
            version: 1,
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

fn prices() -> Priced {
    let programme = Programme {
        version: 1,
        earn_basis_points: 0,
        point_values: vec![bdt(WORTH)],
        earn_after_days: 14,
        expires_days: 365,
        time_zone: "Asia/Dhaka".into(),
        tiers: Vec::new(),
    };
    Priced { tables: Some(Arc::new(Tables { loyalty: Some(programme), ..Tables::default() })), ..Priced::default() }
}

/// How it is bought.
#[derive(Clone, Copy)]
struct Wish {
    points: i64,
    beside: bool,
    expected: i64,
    with_coupon: bool,
    at_the_door: bool,
}

const PLAIN: Wish = Wish { points: 0, beside: false, expected: PRICE, with_coupon: false, at_the_door: false };

struct Life {
    order: Order,
    customer: Customer,
    prices: Priced,
    /// How many records both have made since it was placed.
    records: usize,
}

impl Life {
    /// Placed, by somebody who has so many points.
    fn placed(wish: Wish, has: i64) -> Self {
        let line =
            CartLine { sku: sku(), vendor: vendor(), title: "Quilt".into(), quantity: 2, unit_price: 100, sale: None };
        let method = if wish.at_the_door { "cash_on_delivery" } else { "sandbox" };
        let points =
            (wish.points > 0).then_some(PointsWanted { points: wish.points, beside: wish.beside, alone: false });
        let at_door = wish.at_the_door.then(buyer);
        let placed = PlacedCoupon { coupon: coupon(), code: code(), serial: None };
        let placement = Placement {
            cart: cart(),
            attempt: 1,
            owner: Owner::Customer(buyer()),
            payment: PaymentChoice { method: method.into(), token: String::new() },
            expected_total: bdt(wish.expected),
            lines: vec![line],
            hold_ms: 10_000,
            payment_ms: 9_000,
            strict: true,
            mint: Some(Mint([9; 4])),
            buyer: Some(Box::new(Buyer { points, at_door, ..Buyer::default() })),
            coupons: if wish.with_coupon { vec![placed] } else { Vec::new() },
            shipping: Vec::new(),
            slots: Vec::new(),
            email: None,
            shipping_address: None,
        };
        let (order, customer) = (Order::new(order_id()), Customer::new(buyer()));
        let mut life = Self { order, customer, prices: prices(), records: 0 };
        if has > 0 {
            let reason = GivenFor::Promotion;
            let give = PointCommand::GivePoints { by: SHOP, points: has, reason, expires_at: None };
            life.hear(CustomerCommand::Points(give));
        }
        life.records = 0;
        life.tell(OrderCommand::Place { placement: Box::new(placement), details: None }).unwrap();
        life
    }

    fn held(wish: Wish, has: i64) -> Self {
        let mut life = Self::placed(wish, has);
        life.hold_stock();
        life
    }

    fn hold_stock(&mut self) -> Vec<OrderEvent> {
        let lines = vec![HeldLine::at_list_price(sku(), 2, 100)];
        self.tell(OrderCommand::StockHeld { vendor: vendor(), lines, slot: None }).unwrap()
    }

    fn tell(&mut self, command: OrderCommand) -> Result<Vec<OrderEvent>, Reject> {
        let knowledge = Knowledge { availability: &Published, prices: &self.prices, ..Knowledge::NOTHING };
        self.order.heard(&command, NOW);
        let events = self.order.decide(&command, &knowledge, NOW)?;
        for event in &events {
            self.order.apply(event, NOW);
            self.order.check().unwrap();
        }
        self.records += usize::from(!events.is_empty());
        Ok(events)
    }

    /// The customer is told something; what it answers.
    fn hear(&mut self, command: CustomerCommand) -> Option<OrderCommand> {
        let knowledge = Knowledge { prices: &self.prices, ..Knowledge::NOTHING };
        self.customer.heard(&command, NOW);
        let told = self.customer.decide(&command, &knowledge, NOW);
        for event in told.iter().flatten() {
            self.customer.apply(event, NOW);
            self.customer.check().unwrap();
        }
        let answer = self.customer.respond(&command, told.as_ref().map(|_| ()));
        self.records += usize::from(told.is_ok_and(|events| !events.is_empty()));
        match answer? {
            Message::Order { command, .. } => Some(command),
            other => panic!("{other:?}"),
        }
    }

    /// The order asks for its points by this step, and hears what its buyer says.
    fn asks(&mut self, step: Step) -> Vec<OrderEvent> {
        let Some(Effect::Tell(Message::Customer { id, command })) = self.order.effect(EffectKey::new(step, buyer()))
        else {
            panic!("{step:?} asks nobody")
        };
        assert_eq!(id, buyer());
        let answer = self.hear(command).expect("an answer");
        self.tell(answer).unwrap()
    }

    fn steps(&self) -> Vec<Step> {
        self.order.outstanding(NOW).into_iter().map(|key| key.step).collect()
    }

    fn view(&self) -> OrderView {
        self.order.view(SHOP).expect("it is the staff's")
    }

    /// All that is held is sold to it.
    fn settle(&mut self) {
        self.tell(OrderCommand::StockCommitted { vendor: vendor() }).unwrap();
        for step in self.steps() {
            if matches!(step, Step::SpendPoints | Step::KeepCash) {
                self.asks(step);
            }
        }
    }
}

#[test]
fn points_cost_three_records_more() {
    let bought = |points: i64| {
        let mut life = Life::held(Wish { points, expected: PRICE - WORTH * points, ..PLAIN }, 50);
        if points > 0 {
            assert_eq!(life.steps(), [Step::HoldPoints], "all else is held already, and payment comes after");
            life.asks(Step::HoldPoints);
            assert_eq!(life.customer.points().held(), points);
        }
        assert_eq!(life.steps(), [Step::Charge]);
        life.tell(OrderCommand::Charged { amount: None }).unwrap();
        life.settle();
        assert_eq!(life.order.phase(), Some(Phase::Settled));
        assert_eq!((life.customer.points().active(), life.customer.points().totals().spent), (50 - points, points));
        let view = life.view();
        assert_eq!((view.amounts.paid, view.points.value), (PRICE - WORTH * points, WORTH * points));
        life.records
    };
    assert_eq!(bought(10), bought(0) + 3);
}

#[test]
fn who_has_too_few_points_is_refused_and_the_stock_is_given_back() {
    for (has, is_enough) in [(0, false), (9, false), (10, true), (11, true)] {
        let mut life = Life::held(Wish { points: 10, expected: PRICE - 10 * WORTH, ..PLAIN }, has);
        life.asks(Step::HoldPoints);
        if is_enough {
            assert_eq!(life.steps(), [Step::Charge], "{has}");
            continue;
        }
        assert_eq!(life.steps(), [Step::Release], "{has}");
        life.tell(OrderCommand::StockReleased { vendor: vendor() }).unwrap();
        life.tell(OrderCommand::CartReopened).unwrap();
        assert_eq!(life.order.status(), Some(OrderStatus::Rejected));
        let answer = life.order.reply(&OrderCommand::Await { by: SHOP, milestone: Milestone::Held }, false);
        assert_eq!(answer, Some(Err(Reject::PointsInsufficient { available: has })));
        assert_eq!(life.customer.points().active(), has, "nothing is held");
    }
}

#[test]
fn points_that_were_held_for_nothing_come_back() {
    let mut life = Life::held(Wish { points: 10, expected: PRICE - 10 * WORTH, ..PLAIN }, 10);
    life.asks(Step::HoldPoints);
    life.tell(OrderCommand::Declined { reason: "no".into() }).unwrap();
    assert_eq!(life.steps(), [Step::Release, Step::ReleasePoints]);
    life.asks(Step::ReleasePoints);
    assert_eq!((life.customer.points().active(), life.customer.points().held()), (10, 0));
    // The echo of the question holds nothing, and of its answer gives nothing back twice.
    let until = NOW.plus_millis(10_000);
    let late = PointCommand::HoldPoints { order: order_id(), until, points: 10 };
    assert_eq!(
        life.hear(CustomerCommand::Points(late)),
        Some(OrderCommand::LegRefused { with: party(), reason: Reject::HoldClosed })
    );
    assert_eq!(life.customer.points().active(), 10);
}

/// What is paid with money is compared; where nothing but the cart's own total was agreed to, with what points pay added.
#[test]
fn what_the_buyer_expects_is_compared_with_what_they_pay() {
    let with = PRICE - 10 * WORTH;
    // The most whole points that there is something to pay for.
    let (most, rest) = (PRICE / WORTH, PRICE % WORTH);
    for (points, beside, expected, actual) in [
        (10, false, with, None),
        (10, false, PRICE, Some(with)),
        (10, true, PRICE, None),
        (10, true, with, Some(with)),
        (most, false, rest, None),
        (most + 1, false, rest, None),
        (1_000, false, rest, None),
        (1_000, true, PRICE, None),
        (1_000, false, 0, Some(rest)),
        (0, false, PRICE, None),
    ] {
        let mut life = Life::placed(Wish { points, beside, expected, ..PLAIN }, 1_000);
        let told = match &life.hold_stock()[1..] {
            [OrderEvent::PriceDiffered { actual_total, .. }, ..] => Some(*actual_total),
            [.., OrderEvent::Priced { .. }, _] => None,
            other => panic!("{other:?}"),
        };
        assert_eq!(told, actual, "{points} {beside} {expected}");
        if told.is_none() {
            assert_eq!(life.view().points.spent, points.min(most), "{points}");
        }
    }
}

#[test]
fn what_is_paid_with_points_alone_is_paid_at_once() {
    let mut life = Life::placed(Wish { points: 200, expected: 0, ..PLAIN }, 200);
    let tables = Tables {
        loyalty: Some(Programme { version: 1, point_values: vec![bdt(1)], ..Programme::default() }),
        ..Tables::default()
    };
    life.prices.tables = Some(Arc::new(tables));
    life.hold_stock();
    assert_eq!(life.steps(), [Step::HoldPoints]);
    life.asks(Step::HoldPoints);
    assert_eq!(life.steps(), [Step::Commit, Step::SpendPoints, Step::Close], "nobody is asked for money");
    life.settle();
    let view = life.view();
    assert_eq!((view.status, view.payment_status), (OrderStatus::Paid, PaymentStatus::Captured));
    assert_eq!((view.amounts.total, view.points.spent, view.points.value), (0, 200, 200));
    // All of it is cancelled: it was paid, so it is given back.
    let id = CreditId::from_uuid(Uuid::from_u128(50));
    let seed = CreditSeed { id, mint: Mint([1; 4]), reason: CreditReason::ChangedMind };
    life.tell(OrderCommand::CancelAll { by: SHOP, seed }).unwrap();
    assert_eq!((life.view().status, life.view().points.restored), (OrderStatus::Refunded, 200));
    life.asks(Step::PostPoints);
    assert_eq!(life.customer.points().active(), 200);
}

#[test]
fn coupons_are_held_before_points() {
    // A tenth off 200: points pay of what is left.
    let mut life = Life::held(Wish { points: 10, expected: 180 - 10 * WORTH, with_coupon: true, ..PLAIN }, 10);
    assert_eq!(life.steps(), [Step::HoldUse]);
    life.tell(OrderCommand::LegHeld { with: Party::Coupon(coupon()) }).unwrap();
    assert_eq!(life.steps(), [Step::HoldPoints]);
    life.asks(Step::HoldPoints);
    assert_eq!(life.steps(), [Step::Charge]);
    // Refused, both are given back.
    let mut poor = Life::held(Wish { points: 10, expected: 180 - 10 * WORTH, with_coupon: true, ..PLAIN }, 1);
    poor.tell(OrderCommand::LegHeld { with: Party::Coupon(coupon()) }).unwrap();
    poor.asks(Step::HoldPoints);
    assert_eq!(poor.steps(), [Step::Release, Step::ReleaseUse]);
}

#[test]
fn an_order_that_is_paid_at_the_door_is_counted_once_its_points_are_held() {
    let wish = Wish { points: 10, expected: PRICE - 10 * WORTH, at_the_door: true, ..PLAIN };
    let mut life = Life::held(wish, 10);
    assert_eq!(life.steps(), [Step::HoldPoints]);
    life.asks(Step::HoldPoints);
    assert_eq!(life.steps(), [Step::OpenCash]);
    life.asks(Step::OpenCash);
    assert_eq!(life.order.status(), Some(OrderStatus::Confirmed));
    assert!(life.steps().contains(&Step::SpendPoints) && life.steps().contains(&Step::KeepCash));
    life.settle();
    assert_eq!(life.order.phase(), Some(Phase::Settled));
    assert_eq!(life.view().amounts.total_due, PRICE - 10 * WORTH);
    assert_eq!(life.customer.points().totals().spent, 10);
    // Whoever has too many such orders open has their points again.
    let mut refused = Life::held(wish, 10);
    refused.asks(Step::HoldPoints);
    let reason = Reject::CodNotAvailable { why: NoCash::OpenOrders, vendor_ids: Vec::new(), maximum: None };
    refused.tell(OrderCommand::LegRefused { with: Party::Cash(buyer()), reason }).unwrap();
    assert_eq!(refused.steps(), [Step::Release, Step::ReleasePoints]);
    refused.asks(Step::ReleasePoints);
    assert_eq!(refused.customer.points().active(), 10);
}
