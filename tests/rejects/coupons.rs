//! The refusals of coupons.

use super::*;
use haat::domain::buyer::BuyerKey;
use haat::domain::coupon::{Coupon, CouponChange, CouponCode, CouponCommand, CouponTerms, RestoresOn};
use haat::domain::ids::CouponId;

fn coupon_id() -> CouponId {
    CouponId::of_code("EID")
}

/// A tenth off, from 10 to 100.
fn coupon_terms() -> CouponTerms {
    CouponTerms {
        promotion: Promotion {
            kind: PromotionKind::Percent { basis_points: 1_000 },
            scope: Scope::default(),
            min_subtotal: None,
            max_discount: None,
            excludes_sale_items: false,
            platform_bp: 0,
        },
        starts_at: Timestamp::from_millis(10),
        ends_at: Timestamp::from_millis(100),
        usage_limit: None,
        limit_per_customer: None,
        budget: None,
        combines: false,
        restores_on: RestoresOn::Cancel,
    }
}

fn create_coupon(terms: CouponTerms) -> CouponCommand {
    let code = CouponCode::new("EID").unwrap();
    CouponCommand::Create { by: Principal::SHOP, code, single_use: false, terms: Box::new(terms) }
}

fn coupon(terms: CouponTerms) -> Coupon {
    let mut coupon = Coupon::new(coupon_id());
    let now = Timestamp::from_millis(1);
    let made = coupon.decide(&create_coupon(terms), &Knowledge::NOTHING, now).unwrap();
    made.iter().for_each(|event| coupon.apply(event, now));
    coupon
}

/// An order reckons by these terms, for a buyer with this key.
fn hold_use(order: u128, version: u64, key: Option<u8>) -> CouponCommand {
    CouponCommand::HoldUse {
        order: OrderId::from_uuid(Uuid::from_u128(order)),
        until: Timestamp::from_millis(1_000),
        serial: None,
        keys: key.map(|key| BuyerKey([key; 8])).into_iter().collect(),
        version,
        amount: Money::new(5, Currency::BDT),
    }
}

/// What an order is told by a coupon with these terms, or by one that is not there.
fn of_coupon(terms: Option<CouponTerms>, version: u64, now: i64, key: Option<u8>) -> Reject {
    let state = terms.map_or_else(|| Coupon::new(coupon_id()), coupon);
    refusal(&state, hold_use(9, version, key), Timestamp::from_millis(now))
}

/// Which command in which state gives it.
pub fn rows(reject: &Reject) -> Vec<Reject> {
    let now = Timestamp::from_millis(0);
    match reject {
        Reject::CouponUnknown => vec![of_coupon(None, 1, 50, Some(7))],
        Reject::CouponMalformed { .. } => {
            let nobody = Coupon::new(coupon_id());
            let terms = CouponTerms { ends_at: Timestamp::from_millis(0), ..coupon_terms() };
            vec![refusal(&nobody, create_coupon(terms), now)]
        }
        Reject::CouponCodeTaken => vec![refusal(&coupon(coupon_terms()), create_coupon(coupon_terms()), now)],
        Reject::CouponInUse { .. } => {
            let mut used = coupon(CouponTerms { usage_limit: Some(2), ..coupon_terms() });
            for number in 1..=2 {
                let held = used.decide(&hold_use(number, 1, Some(1)), &Knowledge::NOTHING, Timestamp::from_millis(50));
                held.unwrap().iter().for_each(|event| used.apply(event, Timestamp::from_millis(50)));
            }
            let change = CouponChange { usage_limit: Some(Some(1)), ..CouponChange::default() };
            let edit = CouponCommand::Edit { by: Principal::SHOP, change: Box::new(change) };
            vec![refusal(&used, edit, now)]
        }
        Reject::CouponExpired => vec![of_coupon(Some(coupon_terms()), 2, 100, Some(1))],
        Reject::CouponTermsChanged => vec![of_coupon(Some(coupon_terms()), 2, 50, Some(1))],
        // What is held first is held by this very order.
        Reject::CouponExhausted => {
            let terms = CouponTerms { usage_limit: Some(1), limit_per_customer: Some(1), ..coupon_terms() };
            let mut used = coupon(terms);
            let at = Timestamp::from_millis(50);
            let held = used.decide(&hold_use(1, 1, Some(1)), &Knowledge::NOTHING, at).unwrap();
            held.iter().for_each(|event| used.apply(event, at));
            vec![refusal(&used, hold_use(2, 1, Some(1)), at)]
        }
        Reject::CouponLimitReached { .. } => {
            let mut used = coupon(CouponTerms { limit_per_customer: Some(1), ..coupon_terms() });
            let at = Timestamp::from_millis(50);
            let held = used.decide(&hold_use(1, 1, Some(1)), &Knowledge::NOTHING, at).unwrap();
            held.iter().for_each(|event| used.apply(event, at));
            vec![refusal(&used, hold_use(2, 1, Some(1)), at)]
        }
        Reject::EmailRequired => {
            vec![of_coupon(Some(CouponTerms { limit_per_customer: Some(1), ..coupon_terms() }), 2, 500, None)]
        }
        other => unreachable!("{other:?} is no coupon's"),
    }
}
