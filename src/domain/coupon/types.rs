//! What can be asked of a coupon, what can have happened to it, and how it is shown.

use super::code::CouponCode;
use crate::domain::buyer::{BuyerKey, keys};
use crate::domain::entity::Principal;
use crate::domain::hold::CreditKey;
use crate::domain::ids::{CreditId, OrderId, VendorId};
use crate::domain::money::{Currency, Money};
use crate::domain::pricing::{NotApplicable, Promotion, PromotionKind, Scope};
use crate::domain::reject::Reject;
use crate::domain::rows::CouponRow;
use crate::domain::time::Timestamp;
use crate::limits;
use serde::{Deserialize, Deserializer, Serialize};
use std::ops::Not;

/// What gives the use of a coupon back after it was paid. A part of an order gives back its share of the budget, and nothing of the count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RestoresOn {
    /// That every unit of the order is cancelled.
    #[default]
    Cancel,
    /// That every unit of the order is cancelled or came back.
    Refund,
    /// Nothing.
    Never,
}

/// The terms of a coupon.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CouponTerms {
    /// What it takes off.
    pub promotion: Promotion,
    /// From when on it can be used.
    pub starts_at: Timestamp,
    /// From when on it cannot be used any more.
    pub ends_at: Timestamp,
    /// How often it can be used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage_limit: Option<u64>,
    /// How often one buyer can use it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit_per_customer: Option<u32>,
    /// What it may take off of all orders together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<Money>,
    /// Whether it can be used beside others that can, too.
    #[serde(default, skip_serializing_if = "Not::not")]
    pub combines: bool,
    /// What gives a use back.
    #[serde(default)]
    pub restores_on: RestoresOn,
}

impl CouponTerms {
    /// Whether any use of it has to be counted.
    pub const fn count(&self) -> bool {
        self.usage_limit.is_some() || self.limit_per_customer.is_some() || self.budget.is_some()
    }

    /// The currency of its amounts; `None` where it names none.
    pub fn currency(&self) -> Option<Currency> {
        self.amounts().next().map(|(_, money)| money.currency)
    }

    fn amounts(&self) -> impl Iterator<Item = (&'static str, Money)> {
        let Promotion { kind, min_subtotal, max_discount, .. } = &self.promotion;
        let amount = match kind {
            PromotionKind::Amount { amount } => Some(*amount),
            PromotionKind::Percent { .. } | PromotionKind::FreeShipping => None,
        };
        let named = [
            ("amount", amount),
            ("min_subtotal", *min_subtotal),
            ("max_discount", *max_discount),
            ("budget", self.budget),
        ];
        named.into_iter().filter_map(|(field, money)| money.map(|money| (field, money)))
    }

    /// Whether it can be used now.
    ///
    /// # Errors
    /// [`Reject::CouponExpired`], [`Reject::CouponNotApplicable`].
    pub fn may_be_used(&self, code: &CouponCode, now: Timestamp) -> Result<(), Reject> {
        if now >= self.ends_at {
            return Err(Reject::CouponExpired);
        }
        if now < self.starts_at {
            return Err(code.not_applicable(NotApplicable::NotStarted));
        }
        Ok(())
    }

    /// What a vendor makes of terms: the promotion is about the vendor's own goods, and the vendor pays it.
    pub fn of_vendor(&mut self, vendor: VendorId) {
        self.promotion.scope.vendors = vec![vendor];
        self.promotion.platform_bp = 0;
    }

    /// Whether they can be terms at all.
    ///
    /// # Errors
    /// [`Reject::CouponMalformed`], [`Reject::CurrencyMismatch`].
    pub fn check(&self) -> Result<(), Reject> {
        let wrong = |field: &str, why: &str| Err(Reject::CouponMalformed { field: field.into(), why: why.into() });
        let Promotion { kind, scope, max_discount, platform_bp, .. } = &self.promotion;
        let whole = 10_000;
        if let PromotionKind::Percent { basis_points } = kind
            && !(1..=whole).contains(basis_points)
        {
            return wrong("basis_points", "a percentage is 1 to 10,000 hundredths of a percent");
        }
        if max_discount.is_some() && !matches!(kind, PromotionKind::Percent { .. }) {
            return wrong("max_discount", "only a percentage has a largest discount");
        }
        if *platform_bp > whole {
            return wrong("funded_by", "the platform pays at most 10,000 hundredths of a percent");
        }
        if self.starts_at >= self.ends_at {
            return wrong("ends_at", "it ends after it starts");
        }
        if self.usage_limit == Some(0) || self.usage_limit.is_some_and(|limit| limit > limits::COUPON_USES) {
            return wrong("usage_limit", "a limit is at least 1 and at most 1,000,000,000");
        }
        if self.limit_per_customer == Some(0) {
            return wrong("limit_per_customer", "a limit is at least 1");
        }
        for (field, money) in self.amounts() {
            // A budget is of many orders.
            let most = if field == "budget" { limits::COUPON_BUDGET_MINOR } else { limits::PRICE_MINOR };
            if !(1..=most).contains(&money.minor) {
                return wrong(field, "the amount is not positive, or too large");
            }
            if let Some(expected) = self.currency().filter(|expected| *expected != money.currency) {
                return Err(Reject::CurrencyMismatch { expected, found: money.currency });
            }
        }
        if scope.vendors.len() + scope.categories.len() + scope.skus.len() > limits::COUPON_SCOPE {
            return wrong("scope", "a scope names 200 things at most");
        }
        Ok(())
    }
}

/// Reads what is there, also where it is null.
fn given<'de, D: Deserializer<'de>, T: Deserialize<'de>>(from: D) -> Result<Option<T>, D::Error> {
    T::deserialize(from).map(Some)
}

/// What is to be another of a coupon's terms; what is absent stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CouponChange {
    /// What it takes off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<PromotionKind>,
    /// Of what.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<Scope>,
    /// See [`Promotion::min_subtotal`].
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "given")]
    pub min_subtotal: Option<Option<Money>>,
    /// See [`Promotion::max_discount`].
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "given")]
    pub max_discount: Option<Option<Money>>,
    /// See [`Promotion::excludes_sale_items`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub excludes_sale_items: Option<bool>,
    /// See [`Promotion::platform_bp`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform_bp: Option<u32>,
    /// See [`CouponTerms::starts_at`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub starts_at: Option<Timestamp>,
    /// See [`CouponTerms::ends_at`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ends_at: Option<Timestamp>,
    /// See [`CouponTerms::usage_limit`].
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "given")]
    pub usage_limit: Option<Option<u64>>,
    /// See [`CouponTerms::limit_per_customer`].
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "given")]
    pub limit_per_customer: Option<Option<u32>>,
    /// See [`CouponTerms::budget`].
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "given")]
    pub budget: Option<Option<Money>>,
    /// See [`CouponTerms::combines`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub combines: Option<bool>,
    /// See [`CouponTerms::restores_on`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restores_on: Option<RestoresOn>,
}

impl CouponChange {
    /// These terms with the change.
    pub fn of(&self, terms: &CouponTerms) -> CouponTerms {
        fn set<T: Clone>(to: &mut T, change: Option<&T>) {
            if let Some(value) = change {
                to.clone_from(value);
            }
        }
        let mut changed = terms.clone();
        let Self { kind, scope, min_subtotal, max_discount, excludes_sale_items, platform_bp, .. } = self;
        set(&mut changed.promotion.kind, kind.as_ref());
        set(&mut changed.promotion.scope, scope.as_ref());
        set(&mut changed.promotion.min_subtotal, min_subtotal.as_ref());
        set(&mut changed.promotion.max_discount, max_discount.as_ref());
        set(&mut changed.promotion.excludes_sale_items, excludes_sale_items.as_ref());
        set(&mut changed.promotion.platform_bp, platform_bp.as_ref());
        set(&mut changed.starts_at, self.starts_at.as_ref());
        set(&mut changed.ends_at, self.ends_at.as_ref());
        set(&mut changed.usage_limit, self.usage_limit.as_ref());
        set(&mut changed.limit_per_customer, self.limit_per_customer.as_ref());
        set(&mut changed.budget, self.budget.as_ref());
        set(&mut changed.combines, self.combines.as_ref());
        set(&mut changed.restores_on, self.restores_on.as_ref());
        changed
    }
}

/// What can be asked of a coupon.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum CouponCommand {
    /// Come into being.
    Create {
        /// On whose behalf.
        by: Principal,
        /// The code, or the prefix of its codes. The coupon's id follows from it.
        code: CouponCode,
        /// Whether it has codes that are good for one use each.
        #[serde(default, skip_serializing_if = "Not::not")]
        single_use: bool,
        /// The terms.
        terms: Box<CouponTerms>,
    },
    /// Change the terms.
    Edit {
        /// On whose behalf.
        by: Principal,
        /// What.
        change: Box<CouponChange>,
    },
    /// Make more codes that are good for one use each.
    IssueCodes {
        /// On whose behalf.
        by: Principal,
        /// How many.
        count: u32,
    },
    /// Show the coupon.
    Get {
        /// On whose behalf.
        by: Principal,
    },
    /// Hold one use for an order.
    HoldUse {
        /// The order.
        order: OrderId,
        /// Until when the order needs it at most.
        until: Timestamp,
        /// Which of its codes it is, where each is good for one use.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        serial: Option<u32>,
        /// By which the buyer is known.
        #[serde(default, skip_serializing_if = "Vec::is_empty", with = "keys")]
        keys: Vec<BuyerKey>,
        /// The version of the terms by which the order reckoned.
        version: u64,
        /// What the order takes off by it.
        amount: Money,
    },
    /// The order is paid: it has used the coupon.
    CommitUse {
        /// The order.
        order: OrderId,
    },
    /// The order has ended unpaid: nothing is held for it any more, and nothing may be.
    ReleaseUse {
        /// The order.
        order: OrderId,
        /// Until when the order would have needed it.
        until: Timestamp,
    },
    /// The order is settled: its use need not be remembered one by one any more.
    Close {
        /// The order.
        order: OrderId,
    },
    /// Units of a paid order were cancelled: what was counted of its use may be free again.
    ReturnUse {
        /// Whose use, and what of it.
        returned: Box<ReturnedUse>,
    },
    /// The order has heard that these credits were seen to: they need not be remembered any more.
    CloseReturns {
        /// The order.
        order: OrderId,
        /// Which.
        credits: Vec<CreditId>,
    },
    /// Time has passed.
    Tick,
}

/// What can have happened to a coupon.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum CouponEvent {
    /// It came into being.
    CouponCreated {
        /// Its code, or the prefix of its codes.
        code: CouponCode,
        /// Whether it has codes that are good for one use each.
        #[serde(default, skip_serializing_if = "Not::not")]
        single_use: bool,
        /// The vendor whose it is; the shop's without one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        vendor: Option<VendorId>,
        /// Its terms, the first version.
        terms: Box<CouponTerms>,
    },
    /// It has other terms.
    CouponEdited {
        /// Their version.
        version: u64,
        /// All of them.
        terms: Box<CouponTerms>,
    },
    /// It has more codes.
    CodesIssued {
        /// The serial number after the last one.
        upto: u32,
    },
    /// A use was held for an order.
    UseHeld {
        /// The order.
        order: OrderId,
        /// Until when.
        until: Timestamp,
        /// What.
        #[serde(flatten)]
        held: HeldUse,
    },
    /// The use that was held for an order is the order's.
    UseCommitted {
        /// The order.
        order: OrderId,
    },
    /// What was held for an order, if anything, is free again; a later hold for it is refused.
    UseReleased {
        /// The order.
        order: OrderId,
        /// Until when the order would have needed it: as long is the release remembered.
        until: Timestamp,
    },
    /// These orders are settled: their uses are not remembered one by one any more.
    HoldsClosed {
        /// The orders.
        orders: Vec<OrderId>,
    },
    /// A credit of a paid order made something of its use free again.
    UseReturned {
        /// The order.
        order: OrderId,
        /// The credit.
        credit: CreditId,
        /// Whether the use itself is free again, and not only a share of the budget.
        #[serde(default, skip_serializing_if = "Not::not")]
        whole: bool,
        /// What is not counted any more.
        #[serde(flatten)]
        freed: HeldUse,
    },
    /// The orders of these credits have heard of it: that is not remembered any more.
    ReturnsClosed {
        /// The credits, each with its order.
        credits: Vec<CreditKey>,
    },
}

/// What of an order's use of a coupon is not wanted any more, credit by credit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReturnedUse {
    /// The order.
    pub order: OrderId,
    /// By each credit: what it takes of the budget, in minor units, and whether nothing is left of the order after it.
    pub credits: Vec<(CreditId, ReturnedPart)>,
    /// Which of the coupon's codes it is, where each is good for one use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serial: Option<u32>,
    /// The buyer's keys, where they were counted.
    #[serde(default, skip_serializing_if = "Vec::is_empty", with = "keys")]
    pub keys: Vec<BuyerKey>,
}

/// What one credit gives back of a use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReturnedPart {
    /// Of the budget, in minor units.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub amount: i64,
    /// Whether no unit of the order is left.
    #[serde(default, skip_serializing_if = "Not::not")]
    pub whole: bool,
    /// Whether its units had been handed over: they were not cancelled, but given back.
    #[serde(default, skip_serializing_if = "Not::not")]
    pub refund: bool,
    /// Whether that holds of some of the order's units, by now.
    #[serde(default, skip_serializing_if = "Not::not")]
    pub some_refunded: bool,
}

impl ReturnedPart {
    /// What of it comes back by these terms: of a coupon that comes back with cancels alone nothing that was handed over.
    pub fn by(self, restores_on: RestoresOn) -> Self {
        match restores_on {
            RestoresOn::Never => Self::default(),
            RestoresOn::Refund => self,
            RestoresOn::Cancel => Self {
                amount: if self.refund { 0 } else { self.amount },
                whole: self.whole && !self.some_refunded,
                ..self
            },
        }
    }
}

/// What is counted of one use.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldUse {
    /// Which of the coupon's codes it is, where each is good for one use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serial: Option<u32>,
    /// The buyer's keys, where uses are counted for each buyer.
    #[serde(default, skip_serializing_if = "Vec::is_empty", with = "keys")]
    pub keys: Vec<BuyerKey>,
    /// What of the budget it takes, in minor units; nothing where there is none.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub amount: i64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
fn is_zero(number: &i64) -> bool {
    *number == 0
}

/// What a coupon answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum CouponReply {
    /// The coupon.
    Coupon {
        /// As it is now.
        coupon: Box<CouponRow>,
    },
    /// Codes were made.
    Codes {
        /// Their prefix.
        prefix: CouponCode,
        /// The first serial number.
        from: u32,
        /// The one after the last.
        upto: u32,
    },
    /// Done; nothing to show.
    Done,
}
