//! Samples of all that stands in a journal of coupons, and of what an order keeps of them.

use super::*;
use haat::domain::coupon::{
    CouponChange, CouponCode, CouponCommand, CouponEvent, CouponReply, CouponTerms, HeldUse, RestoresOn, ReturnedPart,
    ReturnedUse,
};
use haat::domain::ids::{CategoryId, CouponId};
use haat::domain::order::{CountedBy, OrderCoupon, Party, PlacedCoupon, TakenCoupon};
use haat::domain::pricing::{Promotion, PromotionKind, Scope};
use haat::domain::rows::CouponRow;

pub fn code() -> CouponCode {
    CouponCode::new("EID10").unwrap()
}

pub fn coupon() -> CouponId {
    CouponId::of_code(&code().compared())
}

pub fn party() -> Party {
    Party::Coupon(coupon())
}

pub fn placed_coupons() -> Vec<PlacedCoupon> {
    let placed = |serial| PlacedCoupon { coupon: coupon(), code: code(), serial };
    vec![placed(None), placed(Some(7))]
}

pub fn order_coupons() -> Vec<OrderCoupon> {
    let mut taken = OrderCoupon::from(&placed_coupons()[1]);
    (taken.version, taken.amount) = (2, 25_000);
    vec![OrderCoupon::from(&placed_coupons()[0]), taken]
}

pub fn taken_coupons() -> Vec<TakenCoupon> {
    let taken = |is_counted| TakenCoupon {
        coupon: coupon(),
        version: 2,
        amount: 25_000,
        is_counted,
        counts: CountedBy::default(),
    };
    let counts = CountedBy { by_buyer: true, by_amount: true };
    vec![taken(true), taken(false), TakenCoupon { counts, ..taken(true) }]
}

fn money(minor: i64) -> Money {
    Money::new(minor, Currency::BDT)
}

/// With all that terms may say, or with nothing that they need not.
pub fn coupon_terms(full: bool) -> CouponTerms {
    let scope = Scope { vendors: vec![vendor()], categories: vec![CategoryId::from_uuid(uuid(7))], skus: vec![sku(0)] };
    let promotion = Promotion {
        kind: if full { PromotionKind::Percent { basis_points: 1_250 } } else { PromotionKind::FreeShipping },
        scope: if full { scope } else { Scope::default() },
        min_subtotal: full.then(|| money(100_000)),
        max_discount: full.then(|| money(50_000)),
        excludes_sale_items: full,
        platform_bp: if full { 2_500 } else { 0 },
    };
    CouponTerms {
        promotion,
        starts_at: at(0),
        ends_at: at(1),
        usage_limit: full.then_some(100),
        limit_per_customer: full.then_some(1),
        budget: full.then(|| money(1_000_000)),
        combines: full,
        restores_on: if full { RestoresOn::Refund } else { RestoresOn::Cancel },
    }
}

fn change(full: bool) -> CouponChange {
    CouponChange {
        kind: full.then(|| PromotionKind::Amount { amount: money(10_000) }),
        scope: full.then(Scope::default),
        min_subtotal: Some(full.then(|| money(1))),
        max_discount: Some(full.then(|| money(1))),
        excludes_sale_items: full.then_some(true),
        platform_bp: full.then_some(5_000),
        starts_at: full.then(|| at(1)),
        ends_at: full.then(|| at(2)),
        usage_limit: Some(full.then_some(5)),
        limit_per_customer: Some(full.then_some(2)),
        budget: Some(full.then(|| money(7))),
        combines: full.then_some(false),
        restores_on: full.then_some(RestoresOn::Never),
    }
}

fn held_use(full: bool) -> HeldUse {
    match full {
        true => HeldUse { serial: Some(7), keys: vec![BuyerKey([1; 8]), BuyerKey([0xab; 8])], amount: 25_000 },
        false => HeldUse::default(),
    }
}

pub fn coupon_events() -> Vec<CouponEvent> {
    let terms = |full| Box::new(coupon_terms(full));
    let (order, until) = (order(), at(900_000));
    vec![
        CouponEvent::CouponCreated { code: code(), single_use: false, vendor: None, terms: terms(false) },
        CouponEvent::CouponCreated { code: code(), single_use: true, vendor: Some(vendor()), terms: terms(true) },
        CouponEvent::CouponEdited { version: 2, terms: terms(true) },
        CouponEvent::CodesIssued { upto: 5_000 },
        CouponEvent::UseHeld { order, until, held: held_use(false) },
        CouponEvent::UseHeld { order, until, held: held_use(true) },
        CouponEvent::UseCommitted { order },
        CouponEvent::UseReleased { order, until },
        CouponEvent::HoldsClosed { orders: vec![order] },
        CouponEvent::UseReturned { order, credit: credit_id(), whole: false, freed: held_use(false) },
        CouponEvent::UseReturned { order, credit: credit_id(), whole: true, freed: held_use(true) },
        CouponEvent::ReturnsClosed { credits: vec![CreditKey(order, credit_id())] },
    ]
}

pub fn coupon_commands() -> Vec<CouponCommand> {
    let (order, until, by) = (order(), at(900_000), Principal::vendor(vendor()));
    let terms = |full| Box::new(coupon_terms(full));
    let returns = |part, serial, keys| {
        let returned = Box::new(ReturnedUse { order, credits: vec![(credit_id(), part)], serial, keys });
        CouponCommand::ReturnUse { returned }
    };
    let hold = |serial, keys| CouponCommand::HoldUse { order, until, serial, keys, version: 2, amount: money(25_000) };
    vec![
        CouponCommand::Create { by, code: code(), single_use: false, terms: terms(false) },
        CouponCommand::Create { by, code: code(), single_use: true, terms: terms(true) },
        CouponCommand::Edit { by, change: Box::new(change(true)) },
        CouponCommand::Edit { by, change: Box::new(change(false)) },
        CouponCommand::Edit { by, change: Box::default() },
        CouponCommand::IssueCodes { by, count: 10_000 },
        CouponCommand::Get { by },
        hold(None, Vec::new()),
        hold(Some(7), vec![BuyerKey([1; 8])]),
        CouponCommand::CommitUse { order },
        CouponCommand::ReleaseUse { order, until },
        CouponCommand::Close { order },
        CouponCommand::Tick,
        returns(ReturnedPart { amount: 5, whole: false, ..ReturnedPart::default() }, None, Vec::new()),
        returns(ReturnedPart { amount: 0, whole: true, ..ReturnedPart::default() }, Some(7), vec![BuyerKey([1; 8])]),
        returns(ReturnedPart { amount: 5, whole: true, refund: true, some_refunded: true }, None, Vec::new()),
        CouponCommand::CloseReturns { order, credits: vec![credit_id()] },
    ]
}

pub fn coupon_replies() -> Vec<CouponReply> {
    let row = |full: bool| CouponRow {
        id: coupon(),
        code: code(),
        vendor_id: full.then(vendor),
        single_use: full,
        version: 2,
        terms: coupon_terms(full),
        created_at: at(0),
        issued: 9,
        held: 1,
        used: 2,
        amount_held: 3,
        amount_used: 4,
    };
    vec![
        CouponReply::Coupon { coupon: Box::new(row(true)) },
        CouponReply::Coupon { coupon: Box::new(row(false)) },
        CouponReply::Codes { prefix: code(), from: 0, upto: 9 },
        CouponReply::Done,
    ]
}

variants!(COUPON_EVENTS, coupon_event, CouponEvent {
    CouponCreated = "coupon_created", CouponEdited = "coupon_edited", CodesIssued = "codes_issued", UseHeld = "use_held",
    UseCommitted = "use_committed", UseReleased = "use_released", HoldsClosed = "holds_closed",
    UseReturned = "use_returned", ReturnsClosed = "returns_closed",
});
variants!(COUPON_REPLIES, coupon_reply, CouponReply { Coupon = "coupon", Codes = "codes", Done = "done" });
variants!(COUPON_COMMANDS, coupon_command, CouponCommand {
    Create = "create", Edit = "edit", IssueCodes = "issue_codes", Get = "get", HoldUse = "hold_use",
    CommitUse = "commit_use", ReleaseUse = "release_use", Close = "close", Tick = "tick",
    ReturnUse = "return_use", CloseReturns = "close_returns",
});

#[test]
fn what_a_coupon_writes_and_answers_can_be_read_for_ever() {
    golden("events/coupon.json", "type", &coupon_events(), COUPON_EVENTS, coupon_event);
    golden("answers/coupon.json", "type", &coupon_replies(), COUPON_REPLIES, coupon_reply);
    round_trips("type", &coupon_commands(), COUPON_COMMANDS, coupon_command);
    record(coupon().entity(), coupon_events(), coupon_replies().into_iter().map(Ok).collect());
}
