//! What the node shows without asking an actor: products, SKUs with their durable available count, and how many orders have
//! each status. It is filled at start-up and changed only by what has become durable.

use crate::actors::metrics::stuck;
use crate::domain::buyer::Audience;
use crate::domain::entity::Publication;
use crate::domain::ids::{CategoryId, CouponId, CustomerId, ProductId, SkuId};
use crate::domain::knowledge::Availability;
use crate::domain::money::Money;
use crate::domain::order::OrderStatus;
use crate::domain::rows::{CouponRow, ProductRow, Rows, SkuRow};
use crate::domain::vendor::SkuTerms;
use dashmap::{DashMap, DashSet};
use foldhash::HashMap;
use parking_lot::Mutex;
use std::mem::take;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

/// A SKU as anyone may see it.
#[derive(Clone, Debug)]
pub struct Listing {
    /// Everything but what is in stock, which [`Listing::available`] alone tells.
    pub sku: Arc<SkuRow>,
    /// Pieces on hand and not held, durably so.
    pub available: i64,
}

struct Entry {
    sku: Arc<SkuRow>,
    available: i64,
}

/// What orders took of a SKU.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// How many orders.
    pub orders: u64,
    /// How many pieces.
    pub pieces: i64,
}

/// What orders took of which SKU, counted only while somebody looks: whoever does takes it away each second.
#[derive(Default)]
struct Takings {
    is_watched: AtomicBool,
    counts: Mutex<HashMap<SkuId, Taken>>,
}

/// SKUs that are counted between two looks. Nobody looks at more of them, and one who looks no more leaves no more behind.
const SKUS_COUNTED: usize = 10_000;

impl Takings {
    fn count(&self, sku: SkuId, pieces: i64) {
        if !self.is_watched.load(Ordering::Relaxed) {
            return;
        }
        let mut counts = self.counts.lock();
        if counts.len() < SKUS_COUNTED || counts.contains_key(&sku) {
            let taken = counts.entry(sku).or_default();
            taken.orders += 1;
            taken.pieces = taken.pieces.saturating_add(pieces);
        }
    }
}

/// The catalogue cache of one node.
pub struct CatalogCache {
    skus: DashMap<SkuId, Entry, foldhash::fast::RandomState>,
    products: DashMap<ProductId, Arc<ProductRow>, foldhash::fast::RandomState>,
    /// The customers who have the prices of wholesale.
    wholesalers: DashSet<CustomerId, foldhash::fast::RandomState>,
    coupons: DashMap<CouponId, Arc<CouponRow>, foldhash::fast::RandomState>,
    orders: [AtomicI64; OrderStatus::ALL.len()],
    takings: Takings,
}

impl Default for CatalogCache {
    fn default() -> Self {
        Self {
            skus: DashMap::default(),
            products: DashMap::default(),
            wholesalers: DashSet::default(),
            coupons: DashMap::default(),
            orders: std::array::from_fn(|_| AtomicI64::new(0)),
            takings: Takings::default(),
        }
    }
}

impl CatalogCache {
    /// Takes over what the read tables hold, or what recovered vendors show.
    pub fn fill(&self, rows: Rows) {
        for product in rows.products {
            self.publish(Publication::Product(Box::new(product)));
        }
        for sku in rows.skus {
            self.publish(Publication::Sku(Box::new(sku)));
        }
        for coupon in rows.coupons {
            self.publish(Publication::Coupon(Box::new(coupon)));
        }
    }

    /// Takes over how many orders have each status.
    pub fn count_orders(&self, counts: &[(OrderStatus, u64)]) {
        for (status, count) in counts {
            self.orders[*status as usize].store(i64::try_from(*count).unwrap_or(i64::MAX), Ordering::Relaxed);
        }
    }

    /// Shows what has become durable.
    pub fn publish(&self, publication: Publication) {
        match publication {
            Publication::Product(product) => {
                self.products.insert(product.id, Arc::from(product));
            }
            Publication::Sku(sku) => {
                let available = sku.available();
                self.skus.insert(sku.id, Entry { sku: Arc::from(sku), available });
            }
            Publication::Coupon(coupon) => {
                self.coupons.insert(coupon.id, Arc::from(coupon));
            }
            Publication::Available { sku, available, taken } => {
                if taken > 0 {
                    self.takings.count(sku, taken);
                }
                if let Some(mut entry) = self.skus.get_mut(&sku) {
                    entry.available = available;
                }
            }
            Publication::Group { customer, audience: Audience::Wholesale } => drop(self.wholesalers.insert(customer)),
            Publication::Group { customer, audience: Audience::Retail } => drop(self.wholesalers.remove(&customer)),
            Publication::OrderStatus { from, to } => {
                if let Some(from) = from {
                    self.orders[from as usize].fetch_sub(1, Ordering::Relaxed);
                }
                self.orders[to as usize].fetch_add(1, Ordering::Relaxed);
            }
            Publication::OrderStuck { order, why, detail } => {
                stuck(why).increment(1);
                tracing::error!(%order, why, detail, "an order is quarantined until someone resolves it");
            }
        }
    }

    /// From now on it is counted what orders take, or it is not any more.
    pub fn watch_takings(&self, watch: bool) {
        self.takings.is_watched.store(watch, Ordering::Relaxed);
        if !watch {
            *self.takings.counts.lock() = HashMap::default();
        }
    }

    /// What orders took, durably so, since this was asked last.
    pub fn take_takings(&self) -> HashMap<SkuId, Taken> {
        take(&mut *self.takings.counts.lock())
    }

    /// A SKU.
    pub fn sku(&self, id: SkuId) -> Option<Listing> {
        self.skus.get(&id).map(|entry| Listing { sku: entry.sku.clone(), available: entry.available })
    }

    /// A product with its SKUs, in the vendor's order.
    pub fn product(&self, id: ProductId) -> Option<(Arc<ProductRow>, Vec<Listing>)> {
        let product = self.products.get(&id)?.clone();
        let skus = product.sku_ids.iter().filter_map(|sku| self.sku(*sku)).collect();
        Some((product, skus))
    }

    /// How many orders have each status.
    pub fn order_counts(&self) -> impl Iterator<Item = (OrderStatus, i64)> + '_ {
        OrderStatus::ALL.into_iter().map(|status| (status, self.orders[status as usize].load(Ordering::Relaxed)))
    }
}

impl Availability for CatalogCache {
    fn available(&self, sku: SkuId) -> Option<i64> {
        self.skus.get(&sku).map(|entry| entry.available)
    }

    fn price(&self, sku: SkuId) -> Option<Money> {
        self.skus.get(&sku).map(|entry| Money::new(entry.sku.price_minor, entry.sku.currency))
    }

    fn terms(&self, sku: SkuId) -> Option<Arc<SkuTerms>> {
        self.skus.get(&sku)?.sku.terms.clone()
    }

    fn product(&self, sku: SkuId) -> Option<ProductId> {
        self.skus.get(&sku).map(|entry| entry.sku.product_id)
    }

    fn audience(&self, customer: CustomerId) -> Audience {
        // Nearly always there is nobody in it.
        if self.wholesalers.is_empty() || !self.wholesalers.contains(&customer) {
            Audience::Retail
        } else {
            Audience::Wholesale
        }
    }

    fn category(&self, sku: SkuId) -> Option<CategoryId> {
        let product = self.skus.get(&sku)?.sku.product_id;
        self.products.get(&product)?.category.as_deref()?.parse().ok()
    }

    fn coupon(&self, coupon: CouponId) -> Option<Arc<CouponRow>> {
        self.coupons.get(&coupon).map(|entry| entry.clone())
    }
}
