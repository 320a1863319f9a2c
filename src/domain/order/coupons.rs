//! The coupons of an order: what it was placed with, and what it makes of them once its stock is held.

use super::legs::{Leg, LegState, Party};
use super::state::Body;
use crate::domain::coupon::CouponCode;
use crate::domain::ids::CouponId;
use serde::{Deserialize, Serialize};

/// A code that stands in a cart, whose form and hash the edge has checked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlacedCoupon {
    /// Which coupon it is of.
    pub coupon: CouponId,
    /// The code, as it is shown.
    pub code: CouponCode,
    /// Which of the coupon's codes it is, where each is good for one use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serial: Option<u32>,
}

/// What an order takes off by a coupon, and by which terms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TakenCoupon {
    /// Which.
    pub coupon: CouponId,
    /// The version of its terms.
    pub version: u64,
    /// How much, in minor units.
    pub amount: i64,
    /// Whether a use of it has to be held.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_counted: bool,
}

/// A coupon of an order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderCoupon {
    /// Which.
    pub coupon: CouponId,
    /// The code, as it is shown.
    pub code: CouponCode,
    /// Which of the coupon's codes it is, where each is good for one use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serial: Option<u32>,
    /// The version of its terms, from 1; 0 before the price is known.
    #[serde(default)]
    pub version: u64,
    /// What is taken off by it, in minor units; nothing before the price is known.
    #[serde(default)]
    pub amount: i64,
}

impl From<&PlacedCoupon> for OrderCoupon {
    fn from(placed: &PlacedCoupon) -> Self {
        let PlacedCoupon { coupon, code, serial } = placed.clone();
        Self { coupon, code, serial, version: 0, amount: 0 }
    }
}

impl Body {
    /// The codes that stood in its cart.
    pub(super) fn placed_coupons(&self) -> Vec<PlacedCoupon> {
        let placed = |coupon: &OrderCoupon| {
            let OrderCoupon { coupon, code, serial, .. } = coupon.clone();
            PlacedCoupon { coupon, code, serial }
        };
        self.coupons.iter().map(placed).collect()
    }

    /// So much is taken off by each; those of which uses are counted are asked to hold one.
    pub(super) fn take_coupons(&mut self, taken: &[TakenCoupon]) {
        for one in taken {
            for coupon in self.coupons.iter_mut().filter(|coupon| coupon.coupon == one.coupon) {
                (coupon.version, coupon.amount) = (one.version, one.amount);
            }
            if one.is_counted {
                self.legs.push(Leg { with: Party::Coupon(one.coupon), state: LegState::Asked });
            }
        }
    }
}
