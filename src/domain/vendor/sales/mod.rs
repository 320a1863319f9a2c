//! A vendor's sales: prices and pieces for a while, and what each buyer has of them.
//!
//! A sale is no actor: it is a part of its vendor, in whose one mailbox every piece is promised. What can be had when follows from the time
//! alone (`terms`); only what is taken is recorded, in the holds.

mod buyers;
mod decide;
mod terms;
#[cfg(test)]
mod tests;

pub use decide::{ItemChange, NewLimit, SaleChange};
pub use terms::{OnSale, Requires, SaleItem, SaleStatus, SaleTerms, Stock, Tranche, WhenExhausted};

pub(super) use buyers::{Bucket, Buyers, Counted};

use super::{HeldLine, HeldStock, PartKey, SaleItemView, SaleView, Sku, SkuView, Vendor};
use crate::domain::buyer::{BuyerKey, HeldFor};
use crate::domain::ids::{SaleId, SkuId};
use crate::domain::money::Money;
use crate::domain::order::NoCash;
use crate::domain::pricing::ON_DELIVERY;
use crate::domain::reject::Reject;
use crate::domain::rows::SaleRow;
use crate::domain::time::Timestamp;
use crate::limits;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Pieces of one SKU that were taken in a sale.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Count {
    /// Held for orders that are not paid.
    pub held: i64,
    /// Sold.
    pub sold: i64,
}

impl Count {
    /// Both together.
    pub const fn taken(self) -> i64 {
        self.held.saturating_add(self.sold)
    }
}

/// A sale as its vendor keeps it. What was taken of each item, and by whom, are parts of their own in a snapshot.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Sale {
    pub(super) terms: SaleTerms,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) cancelled_at: Option<Timestamp>,
    /// In the order of the items.
    #[serde(skip)]
    pub(super) counts: Vec<Count>,
    #[serde(skip)]
    pub(super) buyers: Buyers,
}

impl Sale {
    fn new(terms: SaleTerms) -> Self {
        let counts = vec![Count::default(); terms.items.len()];
        Self { terms, cancelled_at: None, counts, buyers: Buyers::default() }
    }

    /// How it stands.
    pub(super) fn status(&self, now: Timestamp) -> SaleStatus {
        self.terms.status(self.cancelled_at.is_some(), now)
    }

    /// What was taken of this SKU.
    pub(super) fn count(&self, sku: SkuId) -> Option<Count> {
        self.terms.item(sku).and_then(|(place, _)| self.counts.get(place)).copied()
    }

    /// The item at this place, unless the sale was cancelled: then it promises nothing any more.
    fn on_sale(&self, id: SaleId, place: usize) -> Option<OnSale<'_>> {
        let taken = self.counts.get(place)?.taken();
        self.cancelled_at.is_none().then_some(OnSale { id, terms: &self.terms, place, taken })
    }

    /// The keys of a buyer that are counted in it. What is only typed in is no key where an account is asked for: anyone could use up another's
    /// limit with it.
    fn keys<'a>(&self, all: &'a [BuyerKey], of_account: usize) -> &'a [BuyerKey] {
        match self.terms.requires {
            Requires::Nothing => all,
            Requires::Account | Requires::VerifiedEmail => &all[..of_account.min(all.len())],
        }
    }

    /// Counts pieces of the item at this place under all these keys, as far as there is a limit; the buckets that were changed.
    fn count_buyer(&mut self, keys: &[BuyerKey], of_account: usize, place: usize, pieces: i64) -> Vec<u16> {
        let of_all = self.terms.limit_per_customer.is_some().then_some(Counted::ALL);
        let of_item = self.terms.items.get(place).and_then(|item| item.limit_per_customer);
        let of_item = of_item.map(|_| Counted::item(place));
        let mut changed = Vec::new();
        for key in self.keys(keys, of_account).to_vec() {
            for counted in of_all.into_iter().chain(of_item) {
                changed.push(self.buyers.count(key, counted, pieces));
            }
        }
        changed
    }
}

/// What became of pieces that were held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Taken {
    Held,
    Sold,
    Released,
    /// Cancelled after they were sold.
    Returned,
}

impl Vendor {
    /// A SKU's stock and sales.
    pub(super) fn stock<'a>(&'a self, id: SkuId, sku: &Sku) -> Stock<impl Iterator<Item = OnSale<'a>> + Clone> {
        let sales = match self.sales.is_empty() {
            true => None,
            false => self.sales_of.get(&id),
        };
        let on_sale = move |(sale, place): &(SaleId, usize)| self.sales.get(sale)?.on_sale(*sale, *place);
        let list_price = Money::new(sku.price_minor, sku.currency);
        Stock { sku: id, list_price, free: sku.available(), sales: sales.into_iter().flatten().filter_map(on_sale) }
    }

    /// Whether this buyer may have these pieces in this sale, beside what the same order has in it.
    ///
    /// # Errors
    /// [`Reject::EntryRequired`], [`Reject::AccountRequired`], [`Reject::EmailRequired`], [`Reject::CodNotAvailable`], [`Reject::PaymentMethodNotAllowed`],
    /// [`Reject::PurchaseLimit`].
    pub(super) fn may_buy(
        &self,
        wanted: OnSale<'_>,
        quantity: i64,
        of_all: i64,
        held_for: &HeldFor,
    ) -> Result<(), Reject> {
        let Some(sale) = self.sales.get(&wanted.id) else { return Ok(()) };
        if let Some(room_id) = sale.terms.room
            && !held_for.entries.iter().any(|entry| entry.room == room_id)
        {
            return Err(Reject::EntryRequired { room_id });
        }
        if sale.terms.requires != Requires::Nothing && held_for.customer.is_none() {
            return Err(Reject::AccountRequired);
        }
        let item = wanted.item();
        let keys = sale.keys(&held_for.keys, held_for.account_keys());
        if sale.terms.has_limits() && keys.is_empty() {
            return Err(Reject::EmailRequired);
        }
        let methods = &sale.terms.payment_methods;
        // Goods that are few are not carried to doors at which nobody may want them, unless the sale says so.
        if methods.is_empty() && *held_for.method == *ON_DELIVERY {
            return Err(Reject::CodNotAvailable { why: NoCash::Sale, vendor_ids: Vec::new(), maximum: None });
        }
        if !methods.is_empty() && !methods.iter().any(|method| **method == *held_for.method) {
            return Err(Reject::PaymentMethodNotAllowed { methods: methods.clone() });
        }
        let limits = [
            (item.limit_per_customer, Counted::item(wanted.place), quantity, vec![item.sku]),
            (sale.terms.limit_per_customer, Counted::ALL, of_all, Vec::new()),
        ];
        for (limit, counted, wants, skus) in limits {
            let Some(limit) = limit else { continue };
            let used = keys.iter().map(|key| sale.buyers.used(*key, counted)).max().unwrap_or(0);
            if used.saturating_add(wants) > limit {
                let all = || sale.terms.items.iter().map(|item| item.sku).collect();
                let skus = if skus.is_empty() { all() } else { skus };
                return Err(Reject::PurchaseLimit { limit, used, skus });
            }
        }
        Ok(())
    }

    /// Whether any of these lines is counted for its buyer.
    pub(super) fn counts_buyers(&self, lines: &[HeldLine]) -> bool {
        let sales = lines.iter().filter_map(|line| line.sale).filter_map(|sale| self.sales.get(&sale));
        sales.into_iter().any(|sale| sale.terms.has_limits())
    }

    /// Notes what became of the pieces of a hold that were taken in sales.
    pub(super) fn take_in_sales(&mut self, held: &HeldStock, taken: Taken) {
        for line in &held.lines {
            let Some(id) = line.sale else { continue };
            let Some(sale) = self.sales.get_mut(&id) else { continue };
            let Some((place, _)) = sale.terms.item(line.sku) else { continue };
            let count = &mut sale.counts[place];
            let pieces = match taken {
                Taken::Held => {
                    count.held = count.held.saturating_add(line.quantity);
                    line.quantity
                }
                Taken::Sold => {
                    count.held = count.held.saturating_sub(line.quantity);
                    count.sold = count.sold.saturating_add(line.quantity);
                    0
                }
                Taken::Released => {
                    count.held = count.held.saturating_sub(line.quantity);
                    line.quantity.saturating_neg()
                }
                Taken::Returned => {
                    count.sold = count.sold.saturating_sub(line.quantity);
                    line.quantity.saturating_neg()
                }
            };
            let buckets = match pieces {
                0 => Vec::new(),
                pieces => sale.count_buyer(&held.keys, held.account_keys, place, pieces),
            };
            self.changed.entry(PartKey::SaleItem(id, line.sku)).or_insert(false);
            for bucket in buckets {
                self.changed.entry(PartKey::Buyers(id, bucket)).or_insert(false);
            }
        }
    }

    /// A sale was made.
    pub(super) fn add_sale(&mut self, id: SaleId, terms: SaleTerms) {
        self.put_sale(id, Sale::new(terms));
        self.made(PartKey::Sale(id));
    }

    /// A sale has other terms. What was taken of its items stays with them.
    pub(super) fn change_sale(&mut self, id: SaleId, terms: SaleTerms) {
        let Some(mut before) = self.sales.remove(&id) else { return };
        let mut sale = Sale { buyers: std::mem::take(&mut before.buyers), ..Sale::new(terms) };
        for (count, item) in sale.counts.iter_mut().zip(&sale.terms.items) {
            *count = before.count(item.sku).unwrap_or_default();
        }
        let gone: Vec<SkuId> = before.terms.items.iter().map(|item| item.sku).collect();
        for sku in gone {
            self.leave_sale(id, sku);
        }
        self.put_sale(id, sale);
        self.changed.entry(PartKey::Sale(id)).or_insert(false);
    }

    /// A sale was cancelled.
    pub(super) fn cancel_sale(&mut self, id: SaleId, at: Timestamp) {
        let Some(sale) = self.sales.get_mut(&id) else { return };
        sale.cancelled_at = Some(at);
        let skus: Vec<SkuId> = sale.terms.items.iter().map(|item| item.sku).collect();
        skus.into_iter().for_each(|sku| self.leave_sale(id, sku));
        self.changed.entry(PartKey::Sale(id)).or_insert(false);
    }

    pub(super) fn put_sale(&mut self, id: SaleId, sale: Sale) {
        self.forget_buyers_at = self.forget_buyers_at.min(forgotten_at(&sale));
        // What is over or cancelled is looked for by its id alone: a SKU may have had thousands.
        if sale.cancelled_at.is_none() {
            self.next_end = self.next_end.min(sale.terms.ends_at);
            for (place, item) in sale.terms.items.iter().enumerate() {
                self.sales_of.entry(item.sku).or_default().push((id, place));
            }
        }
        self.sales.insert(id, sale);
    }

    fn leave_sale(&mut self, id: SaleId, sku: SkuId) {
        if let Some(sales) = self.sales_of.get_mut(&sku) {
            sales.retain(|(sale, _)| *sale != id);
            if sales.is_empty() {
                self.sales_of.remove(&sku);
            }
        }
    }

    /// Lets sales go that are over: nobody is promised anything in them any more.
    pub(super) fn end_sales(&mut self, at: Timestamp) {
        if at < self.next_end {
            return;
        }
        let (sales, mut next_end) = (&self.sales, NEVER);
        self.sales_of.retain(|_, of| {
            of.retain(|(id, _)| sales.get(id).is_some_and(|sale| at < sale.terms.ends_at));
            let ends = of.iter().filter_map(|(id, _)| sales.get(id)).map(|sale| sale.terms.ends_at);
            next_end = ends.fold(next_end, Timestamp::min);
            !of.is_empty()
        });
        self.next_end = next_end;
    }

    /// Forgets who bought in sales that have been over for long enough.
    pub(super) fn forget_buyers(&mut self, at: Timestamp) {
        if at < self.forget_buyers_at {
            return;
        }
        self.forget_buyers_at = NEVER;
        for (id, sale) in &mut self.sales {
            let forgotten_at = forgotten_at(sale);
            if forgotten_at > at {
                self.forget_buyers_at = self.forget_buyers_at.min(forgotten_at);
                continue;
            }
            for number in std::mem::take(&mut sale.buyers).numbers() {
                self.changed.insert(PartKey::Buyers(*id, number), false);
            }
        }
    }

    /// What was taken of a SKU in each of its sales.
    pub(super) fn taken_in_sales(&self, sku: SkuId) -> Vec<(SaleId, i64)> {
        if self.sales.is_empty() {
            return Vec::new();
        }
        let of = self.sales_of.get(&sku).into_iter().flatten();
        of.filter_map(|(id, place)| Some((*id, self.sales.get(id)?.counts.get(*place)?.taken()))).collect()
    }

    /// Pieces of a SKU that are kept for each of its sales, until when.
    pub(super) fn fences(&self, sku: SkuId) -> Vec<(Timestamp, i64)> {
        let of = self.sales_of.get(&sku).into_iter().flatten();
        let on_sale = of.filter_map(|(id, place)| self.sales.get(id)?.on_sale(*id, *place));
        let fences = on_sale.map(|sale| (sale.terms.ends_at, sale.item().allotment.saturating_sub(sale.taken)));
        fences.filter(|(_, pieces)| *pieces > 0).collect()
    }

    /// A SKU as its vendor is shown it.
    pub fn sku_view(&self, sku: SkuId) -> Option<SkuView> {
        self.sku_row(sku).map(|row| SkuView { fences: self.fences(sku), ..row.into() })
    }

    /// Takes over sales from a snapshot, whose parts come in any order.
    pub(super) fn restore_sales(
        &mut self,
        sales: BTreeMap<SaleId, Sale>,
        counts: Vec<(SaleId, SkuId, Count)>,
        buckets: Vec<(SaleId, u16, Bucket)>,
    ) {
        for (id, mut sale) in sales {
            sale.counts = vec![Count::default(); sale.terms.items.len()];
            self.put_sale(id, sale);
        }
        for (id, sku, count) in counts {
            let Some(sale) = self.sales.get_mut(&id) else { continue };
            if let Some((place, _)) = sale.terms.item(sku) {
                sale.counts[place] = count;
            }
        }
        for (id, number, bucket) in buckets {
            if let Some(sale) = self.sales.get_mut(&id) {
                sale.buyers.restore(number, bucket);
            }
        }
    }

    /// A sale as its vendor is shown it.
    pub(super) fn sale_view(&self, id: SaleId) -> Option<SaleView> {
        let sale = self.sales.get(&id)?;
        let item = |(item, count): (&SaleItem, &Count)| SaleItemView { item: item.clone(), count: *count };
        let buyers = sale.terms.has_limits().then(|| i64::try_from(sale.buyers.keys()).unwrap_or(i64::MAX));
        let regular_prices =
            sale.terms.items.iter().map(|item| self.skus.get(&item.sku).map_or(0, |sku| sku.price_minor)).collect();
        Some(SaleView {
            id,
            vendor_id: self.id,
            terms: SaleTerms { items: Vec::new(), ..sale.terms.clone() },
            cancelled_at: sale.cancelled_at,
            items: sale.terms.items.iter().zip(&sale.counts).map(item).collect(),
            regular_prices,
            buyers,
        })
    }

    /// A sale as its row.
    pub fn sale_row(&self, id: SaleId) -> Option<SaleRow> {
        let sale = self.sales.get(&id)?;
        Some(SaleRow {
            id,
            vendor_id: self.id,
            terms: sale.terms.clone(),
            cancelled_at: sale.cancelled_at,
            counts: sale.counts.clone(),
        })
    }

    /// All sales as rows, in the order of their ids.
    pub fn sale_rows(&self) -> Vec<SaleRow> {
        self.sales.keys().filter_map(|id| self.sale_row(*id)).collect()
    }
}

/// Later than anything.
pub(super) const NEVER: Timestamp = Timestamp::from_millis(i64::MAX);

/// When it is forgotten who bought in a sale.
fn forgotten_at(sale: &Sale) -> Timestamp {
    sale.terms.ends_at.plus_millis(limits::SALE_BUYERS_KEPT_MS)
}
