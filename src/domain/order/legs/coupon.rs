//! The leg with a coupon of which uses are counted: one use for the order. It is asked once the price is known, by which the order reckoned with
//! its terms.

use super::super::state::Body;
use super::Verb;
use crate::domain::coupon::CouponCommand;
use crate::domain::entity::Message;
use crate::domain::ids::{CouponId, OrderId};
use crate::domain::money::Money;

/// What an order says to one of its coupons.
pub(super) fn message(order: OrderId, body: &Body, coupon: CouponId, verb: Verb) -> Message {
    let command = match verb {
        Verb::Ask => {
            let taken = body.coupons.iter().find(|taken| taken.coupon == coupon);
            CouponCommand::HoldUse {
                order,
                until: body.hold_until,
                serial: taken.and_then(|taken| taken.serial),
                keys: body.buyer.as_ref().map_or_else(Vec::new, |buyer| buyer.keys.clone()),
                version: taken.map_or(0, |taken| taken.version),
                amount: Money::new(taken.map_or(0, |taken| taken.amount), body.currency),
            }
        }
        Verb::Confirm => CouponCommand::CommitUse { order },
        Verb::Cancel => CouponCommand::ReleaseUse { order, until: body.hold_until },
        Verb::Close => CouponCommand::Close { order },
    };
    Message::Coupon { id: coupon, command }
}
