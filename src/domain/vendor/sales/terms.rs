//! What a sale promises and when, and what a SKU costs while sales are to come, running or over. All of it follows from the terms, from what
//! was taken, and from the time: whoever knows these three says the same, be it the vendor that decides or a cache that shows.
//!
//! ```text
//!           made              starts_at         a tranche opens        ends_at
//!  ───────────┼──────────────────┼────────────────────┼───────────────────┼──────────▶
//!             │◀─────────────── the allotment is fenced off ─────────────▶│
//!                                │◀──── pieces of opened tranches ───────▶│
//! ```
//!
//! From the moment a sale is made until it is over, what is left of its allotment can be had in no other way:
//! `fence = allotment − held − sold`, and `regular = on hand − held − Σ fences` is what can be had at the regular price.

use crate::domain::ids::{RoomId, SaleId, SkuId};
use crate::domain::money::{Currency, Money};
use crate::domain::reject::{Reject, Shortage};
use crate::domain::time::Timestamp;
use serde::{Deserialize, Serialize};

/// Pieces of an allotment that can be had from a moment on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tranche {
    /// From when on.
    pub opens_at: Timestamp,
    /// How many.
    pub quantity: i64,
}

/// What a sale promises of one SKU.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SaleItem {
    /// The SKU.
    pub sku: SkuId,
    /// The price of one piece, in minor units.
    pub price_minor: i64,
    /// Its currency, which is the SKU's.
    pub currency: Currency,
    /// Pieces that can be had in the sale.
    pub allotment: i64,
    /// Pieces that one buyer can have of this SKU in the sale.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit_per_customer: Option<i64>,
    /// When how much of the allotment can be had, rising; all of it at once where there is none. They come to the allotment.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tranches: Vec<Tranche>,
}

/// Who may buy in a sale.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Requires {
    /// Anyone.
    #[default]
    Nothing,
    /// Who has an account.
    Account,
    /// Who has verified an e-mail address, as everyone has who has an account.
    VerifiedEmail,
}

/// What becomes of those who come when the allotment, as far as it is open, is gone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WhenExhausted {
    /// They are refused.
    #[default]
    Stop,
    /// They may have what is beside the fence, at the regular price.
    RegularPrice,
}

/// The terms of a sale.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SaleTerms {
    /// What it is called.
    pub name: String,
    /// From when on it runs.
    pub starts_at: Timestamp,
    /// Until when: from this moment on it is over.
    pub ends_at: Timestamp,
    /// The zone in which these were meant, by its IANA name. It decides nothing.
    pub time_zone: String,
    /// What it promises, each SKU once.
    pub items: Vec<SaleItem>,
    /// Pieces that one buyer can have of all its SKUs together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit_per_customer: Option<i64>,
    /// Who may buy.
    #[serde(default)]
    pub requires: Requires,
    /// What comes after the allotment.
    #[serde(default)]
    pub when_exhausted: WhenExhausted,
    /// How one may pay; in any way where none is named.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub payment_methods: Vec<String>,
    /// The waiting room by which one must come in to buy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub room: Option<RoomId>,
}

/// How a sale stands: by time, but for one that was cancelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SaleStatus {
    /// It is to come.
    Scheduled,
    /// It runs.
    Running,
    /// Its time is over.
    Ended,
    /// It was cancelled before its time was over.
    Cancelled,
}

impl SaleStatus {
    /// Its name in answers.
    pub const fn name(self) -> &'static str {
        match self {
            SaleStatus::Scheduled => "scheduled",
            SaleStatus::Running => "running",
            SaleStatus::Ended => "ended",
            SaleStatus::Cancelled => "cancelled",
        }
    }
}

impl SaleItem {
    /// Pieces that have been opened by now.
    pub fn opened(&self, now: Timestamp) -> i64 {
        match self.tranches.as_slice() {
            [] => self.allotment,
            tranches => tranches
                .iter()
                .take_while(|tranche| tranche.opens_at <= now)
                .fold(0, |sum: i64, tranche| sum.saturating_add(tranche.quantity)),
        }
    }

    /// When more is opened.
    pub fn next_tranche_at(&self, now: Timestamp) -> Option<Timestamp> {
        self.tranches.iter().map(|tranche| tranche.opens_at).find(|opens_at| *opens_at > now)
    }

    /// What one piece costs in the sale.
    pub const fn price(&self) -> Money {
        Money::new(self.price_minor, self.currency)
    }
}

impl SaleTerms {
    /// How it stands by time.
    pub fn status(&self, cancelled: bool, now: Timestamp) -> SaleStatus {
        match (cancelled, self.starts_at <= now, now < self.ends_at) {
            (true, _, _) => SaleStatus::Cancelled,
            (_, false, _) => SaleStatus::Scheduled,
            (_, true, true) => SaleStatus::Running,
            (_, true, false) => SaleStatus::Ended,
        }
    }

    /// What it promises of this SKU, and at which place.
    pub fn item(&self, sku: SkuId) -> Option<(usize, &SaleItem)> {
        self.items.iter().enumerate().find(|(_, item)| item.sku == sku)
    }

    /// Whether a buyer's pieces are counted.
    pub fn has_limits(&self) -> bool {
        self.limit_per_customer.is_some() || self.items.iter().any(|item| item.limit_per_customer.is_some())
    }
}

/// One SKU in one sale that was not cancelled, with what was taken of it.
#[derive(Clone, Copy, Debug)]
pub struct OnSale<'a> {
    /// Which sale.
    pub id: SaleId,
    /// Its terms.
    pub terms: &'a SaleTerms,
    /// The SKU's place among its items.
    pub place: usize,
    /// Pieces held and sold in it.
    pub taken: i64,
}

impl<'a> OnSale<'a> {
    /// What it promises of the SKU.
    pub fn item(&self) -> &'a SaleItem {
        &self.terms.items[self.place]
    }

    fn is(&self, status: SaleStatus, now: Timestamp) -> bool {
        self.terms.status(false, now) == status
    }

    /// Pieces that nobody can have in another way.
    pub fn fence(&self, now: Timestamp) -> i64 {
        if now < self.terms.ends_at { self.item().allotment.saturating_sub(self.taken).max(0) } else { 0 }
    }

    /// Pieces that can be had in it now, while it runs.
    pub fn left(&self, now: Timestamp) -> i64 {
        let item = self.item();
        item.allotment.min(item.opened(now)).saturating_sub(self.taken).max(0)
    }

    fn sold_out(&self, list_price: Money, now: Timestamp) -> Reject {
        let regular_price = (self.terms.when_exhausted == WhenExhausted::RegularPrice).then_some(list_price);
        Reject::SaleSoldOut {
            sku_id: self.item().sku,
            left: self.left(now),
            next_tranche_at: self.item().next_tranche_at(now),
            regular_price,
        }
    }
}

/// A SKU's stock and sales, from which follows how it can be had.
#[derive(Clone, Copy, Debug)]
pub struct Stock<S> {
    /// Which.
    pub sku: SkuId,
    /// What one piece costs outside of sales.
    pub list_price: Money,
    /// Pieces on hand and not held.
    pub free: i64,
    /// Its sales that were not cancelled.
    pub sales: S,
}

impl<'a, S: Iterator<Item = OnSale<'a>> + Clone> Stock<S> {
    /// Pieces beside all fences.
    pub fn regular(&self, now: Timestamp) -> i64 {
        let fences = self.sales.clone().fold(0, |sum: i64, sale| sum.saturating_add(sale.fence(now)));
        self.free.saturating_sub(fences)
    }

    /// Pieces behind fences.
    pub fn fenced(&self, now: Timestamp) -> i64 {
        self.free.saturating_sub(self.regular(now))
    }

    /// The sale that runs. Two never run at once.
    pub fn running(&self, now: Timestamp) -> Option<OnSale<'a>> {
        self.sales.clone().find(|sale| sale.is(SaleStatus::Running, now))
    }

    /// How `quantity` pieces can be had now: in this sale, or (`None`) at the regular price. Never some so and some otherwise.
    ///
    /// # Errors
    /// [`Reject::SaleSoldOut`], [`Reject::SaleNotStarted`], [`Reject::OutOfStock`].
    pub fn offer(&self, quantity: i64, now: Timestamp) -> Result<Option<OnSale<'a>>, Reject> {
        if let Some(sale) = self.running(now) {
            let left = sale.left(now);
            if left >= quantity && self.free >= quantity {
                return Ok(Some(sale));
            }
            if left < quantity && (left > 0 || sale.terms.when_exhausted == WhenExhausted::Stop) {
                return Err(sale.sold_out(self.list_price, now));
            }
        }
        let regular = self.regular(now);
        if regular >= quantity {
            return Ok(None);
        }
        let to_come = self.sales.clone().filter(|sale| sale.is(SaleStatus::Scheduled, now));
        let kept_for_later = to_come.clone().fold(0, |sum: i64, sale| sum.saturating_add(sale.fence(now)));
        match to_come.map(|sale| sale.terms.starts_at).min() {
            Some(starts_at) if regular.saturating_add(kept_for_later) >= quantity => {
                Err(Reject::SaleNotStarted { sku_id: self.sku, starts_at })
            }
            _ => {
                let short = Shortage { sku_id: self.sku, requested: quantity, available: regular.max(0) };
                Err(Reject::OutOfStock { skus: vec![short] })
            }
        }
    }

    /// The sale at whose price one piece is shown, and how many pieces can be had at the price that is shown.
    pub fn shown(&self, now: Timestamp) -> (Option<OnSale<'a>>, i64) {
        match self.running(now) {
            Some(sale) if sale.left(now) > 0 || sale.terms.when_exhausted == WhenExhausted::Stop => {
                (Some(sale), sale.left(now).min(self.free).max(0))
            }
            _ => (None, self.regular(now).max(0)),
        }
    }
}
