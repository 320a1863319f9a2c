//! Making, changing and cancelling sales.

use super::{Sale, SaleItem, SaleStatus, SaleTerms, Tranche};
use crate::domain::ids::{SaleId, SkuId};
use crate::domain::money::Money;
use crate::domain::reject::Reject;
use crate::domain::time::Timestamp;
use crate::domain::vendor::goods::check_price;
use crate::domain::vendor::{Requires, Vendor, VendorEvent, WhenExhausted};
use crate::limits;
use serde::{Deserialize, Serialize};
use std::collections::HashSet;

/// Another limit for each buyer. A command's JSON must tell it from none that is named.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NewLimit {
    /// None any more.
    Lifted,
    /// So many pieces.
    To(i64),
}

impl From<Option<i64>> for NewLimit {
    fn from(limit: Option<i64>) -> Self {
        limit.map_or(Self::Lifted, Self::To)
    }
}

impl From<NewLimit> for Option<i64> {
    fn from(limit: NewLimit) -> Self {
        match limit {
            NewLimit::Lifted => None,
            NewLimit::To(pieces) => Some(pieces),
        }
    }
}

/// What is to be another in a sale. What is not named stays.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SaleChange {
    /// Its name.
    pub name: Option<String>,
    /// Its start.
    pub starts_at: Option<Timestamp>,
    /// Its end.
    pub ends_at: Option<Timestamp>,
    /// Its zone.
    pub time_zone: Option<String>,
    /// The limit on all SKUs together, or that there is none.
    pub limit_per_customer: Option<NewLimit>,
    /// Who may buy.
    pub requires: Option<Requires>,
    /// What comes after the allotment.
    pub when_exhausted: Option<WhenExhausted>,
    /// How one may pay.
    pub payment_methods: Option<Vec<String>>,
    /// Its items, each by its SKU.
    pub items: Vec<ItemChange>,
}

/// What is to be another in an item of a sale, or a new item, or one that is taken out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ItemChange {
    /// Which.
    pub sku: SkuId,
    /// Whether it is taken out.
    #[serde(default)]
    pub removed: bool,
    /// Its price; a new item has one.
    #[serde(default)]
    pub price: Option<Money>,
    /// Its allotment; a new item has one.
    #[serde(default)]
    pub allotment: Option<i64>,
    /// Its limit, or that there is none.
    #[serde(default)]
    pub limit_per_customer: Option<NewLimit>,
    /// All its tranches.
    #[serde(default)]
    pub tranches: Option<Vec<Tranche>>,
}

/// Whether a limit allows less than another one did.
fn is_lower(limit: Option<i64>, before: Option<i64>) -> bool {
    match (limit, before) {
        (Some(limit), Some(before)) => limit < before,
        (Some(_), None) => true,
        (None, _) => false,
    }
}

fn invalid<T>(why: &str) -> Result<T, Reject> {
    Err(Reject::SaleInvalid { why: why.to_owned() })
}

impl SaleChange {
    /// The terms with this change.
    fn of(&self, terms: &SaleTerms) -> Result<SaleTerms, Reject> {
        let mut changed = terms.clone();
        let Self { name, starts_at, ends_at, time_zone, limit_per_customer, requires, when_exhausted, .. } = self;
        changed.name = name.clone().unwrap_or(changed.name);
        changed.starts_at = starts_at.unwrap_or(changed.starts_at);
        changed.ends_at = ends_at.unwrap_or(changed.ends_at);
        changed.time_zone = time_zone.clone().unwrap_or(changed.time_zone);
        changed.limit_per_customer = limit_per_customer.map_or(changed.limit_per_customer, Into::into);
        changed.requires = requires.unwrap_or(changed.requires);
        changed.when_exhausted = when_exhausted.unwrap_or(changed.when_exhausted);
        changed.payment_methods = self.payment_methods.clone().unwrap_or(changed.payment_methods);
        for item in &self.items {
            let there = changed.items.iter().position(|known| known.sku == item.sku);
            match (there, item.removed) {
                (Some(place), true) => drop(changed.items.remove(place)),
                (None, true) => return Err(Reject::SkuUnknown),
                (Some(place), false) => {
                    let known = &mut changed.items[place];
                    if let Some(price) = item.price {
                        (known.price_minor, known.currency) = (price.minor, price.currency);
                    }
                    known.allotment = item.allotment.unwrap_or(known.allotment);
                    known.limit_per_customer = item.limit_per_customer.map_or(known.limit_per_customer, Into::into);
                    if let Some(tranches) = &item.tranches {
                        known.tranches.clone_from(tranches);
                    }
                }
                (None, false) => {
                    let (Some(price), Some(allotment)) = (item.price, item.allotment) else {
                        return invalid("items");
                    };
                    changed.items.push(SaleItem {
                        sku: item.sku,
                        price_minor: price.minor,
                        currency: price.currency,
                        allotment,
                        limit_per_customer: item.limit_per_customer.and_then(Into::into),
                        tranches: item.tranches.clone().unwrap_or_default(),
                    });
                }
            }
        }
        Ok(changed)
    }
}

impl SaleTerms {
    /// Whether these terms may follow those of a sale that runs: nothing that buyers were promised is taken back.
    fn may_follow(&self, before: &SaleTerms) -> bool {
        let same_goods = self.items.len() == before.items.len()
            && self.items.iter().zip(&before.items).all(|(item, before)| {
                item.sku == before.sku
                    && item.price() == before.price()
                    && !is_lower(item.limit_per_customer, before.limit_per_customer)
            });
        same_goods
            && self.starts_at == before.starts_at
            && self.requires == before.requires
            && !is_lower(self.limit_per_customer, before.limit_per_customer)
    }

    /// What can be said of them without a look at the vendor's goods.
    fn check(&self, now: Timestamp) -> Result<(), Reject> {
        if self.items.is_empty() {
            return invalid("items");
        }
        if self.items.len() > limits::SALE_ITEMS {
            return Err(Reject::TooMany { what: "items of one sale".into(), limit: limits::SALE_ITEMS });
        }
        if self.payment_methods.len() > limits::SALE_METHODS {
            let what = "ways of paying in one sale".into();
            return Err(Reject::TooMany { what, limit: limits::SALE_METHODS });
        }
        if self.ends_at <= now || self.ends_at <= self.starts_at {
            return invalid("window");
        }
        let mut skus = HashSet::with_capacity(self.items.len());
        for item in &self.items {
            if !skus.insert(item.sku) {
                return invalid("items");
            }
            if !(1..=limits::SKU_PIECES).contains(&item.allotment) {
                return invalid("allotment");
            }
            if item.limit_per_customer.is_some_and(|limit| limit < 1) {
                return invalid("limit");
            }
            if item.tranches.len() > limits::SALE_TRANCHES {
                return Err(Reject::TooMany { what: "tranches of one item".into(), limit: limits::SALE_TRANCHES });
            }
            item.check_tranches(self.starts_at, self.ends_at)?;
        }
        if self.limit_per_customer.is_some_and(|limit| limit < 1) { invalid("limit") } else { Ok(()) }
    }

    /// Whether both run at some moment.
    fn overlaps(&self, other: &SaleTerms) -> bool {
        self.starts_at < other.ends_at && other.starts_at < self.ends_at
    }
}

impl SaleItem {
    fn check_tranches(&self, starts_at: Timestamp, ends_at: Timestamp) -> Result<(), Reject> {
        if self.tranches.is_empty() {
            return Ok(());
        }
        let in_window = |tranche: &Tranche| (starts_at..ends_at).contains(&tranche.opens_at) && tranche.quantity >= 1;
        let rising = self.tranches.windows(2).all(|pair| pair[0].opens_at < pair[1].opens_at);
        let sum: i128 = self.tranches.iter().map(|tranche| i128::from(tranche.quantity)).sum();
        match self.tranches.iter().all(in_window) && rising && sum == i128::from(self.allotment) {
            true => Ok(()),
            false => invalid("tranches"),
        }
    }
}

impl Vendor {
    pub(in crate::domain::vendor) fn sale(&self, id: SaleId) -> Result<&Sale, Reject> {
        self.sales.get(&id).ok_or(Reject::SaleUnknown)
    }

    pub(in crate::domain::vendor) fn decide_sale(
        &self,
        id: SaleId,
        terms: &SaleTerms,
        now: Timestamp,
    ) -> Result<Vec<VendorEvent>, Reject> {
        if let Some(known) = self.sales.get(&id) {
            // What has become of it since is no other request.
            let same = known.terms.name == terms.name && known.terms.time_zone == terms.time_zone;
            return if same { Ok(Vec::new()) } else { Err(Reject::IdempotencyKeyReused) };
        }
        let live =
            self.sales.values().filter(|sale| matches!(sale.status(now), SaleStatus::Scheduled | SaleStatus::Running));
        if live.count() >= limits::VENDOR_SALES {
            return Err(Reject::TooMany { what: "sales of one vendor".into(), limit: limits::VENDOR_SALES });
        }
        terms.check(now)?;
        self.check_goods(id, terms, None, now)?;
        Ok(vec![VendorEvent::SaleScheduled { sale: id, terms: Box::new(terms.clone()) }])
    }

    pub(in crate::domain::vendor) fn decide_sale_change(
        &self,
        id: SaleId,
        change: &SaleChange,
        now: Timestamp,
    ) -> Result<Vec<VendorEvent>, Reject> {
        let sale = self.sale(id)?;
        let status = sale.status(now);
        if matches!(status, SaleStatus::Ended | SaleStatus::Cancelled) {
            return Err(Reject::SaleEnded { actual_total: None });
        }
        let terms = change.of(&sale.terms)?;
        if terms == sale.terms {
            return Ok(Vec::new());
        }
        if status == SaleStatus::Running && !terms.may_follow(&sale.terms) {
            return Err(Reject::SaleRunning);
        }
        terms.check(now)?;
        self.check_goods(id, &terms, Some(sale), now)?;
        Ok(vec![VendorEvent::SaleChanged { sale: id, terms: Box::new(terms) }])
    }

    pub(in crate::domain::vendor) fn decide_sale_cancel(
        &self,
        id: SaleId,
        now: Timestamp,
    ) -> Result<Vec<VendorEvent>, Reject> {
        match self.sale(id)?.status(now) {
            SaleStatus::Scheduled | SaleStatus::Running => Ok(vec![VendorEvent::SaleCancelled { sale: id }]),
            SaleStatus::Cancelled => Ok(Vec::new()),
            SaleStatus::Ended => Err(Reject::SaleEnded { actual_total: None }),
        }
    }

    /// Whether the vendor's goods allow these terms: prices, other sales, and what is there to be fenced off.
    fn check_goods(&self, id: SaleId, terms: &SaleTerms, before: Option<&Sale>, now: Timestamp) -> Result<(), Reject> {
        for item in &terms.items {
            let sku = self.sku(item.sku)?;
            if sku.currency != item.currency {
                return Err(Reject::CurrencyMismatch { expected: sku.currency, found: item.currency });
            }
            check_price(item.price_minor, None)?;
            let known = before.and_then(|sale| sale.terms.item(item.sku)).map(|(_, item)| item);
            // Lowered under a running sale, the list price is no reason to refuse what the sale was made with.
            if item.price_minor > sku.price_minor && known.is_none_or(|known| known.price() != item.price()) {
                return invalid("price");
            }
            for (other_id, _) in self.sales_of.get(&item.sku).into_iter().flatten().filter(|(other, _)| *other != id) {
                let Some(other) = self.sales.get(other_id) else { continue };
                let counts = !matches!(other.status(now), SaleStatus::Ended | SaleStatus::Cancelled);
                if counts && terms.overlaps(&other.terms) {
                    return Err(Reject::SaleOverlap { sale_id: *other_id });
                }
            }
            let taken = before.and_then(|sale| sale.count(item.sku)).unwrap_or_default().taken();
            if item.allotment < taken || item.opened(now) < taken {
                return Err(Reject::AllotmentReserved { sku_id: item.sku, available: None, minimum: Some(taken) });
            }
            let fenced = known.map_or(0, |known| known.allotment.saturating_sub(taken));
            let available = self.stock(item.sku, sku).regular(now).saturating_add(fenced);
            if item.allotment.saturating_sub(taken) > available {
                let available = Some(available.max(0));
                return Err(Reject::AllotmentReserved { sku_id: item.sku, available, minimum: None });
            }
        }
        Ok(())
    }
}
