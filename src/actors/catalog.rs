//! What the node shows without asking an actor: products, SKUs with their durable available count, and how many orders have
//! each status. It is filled at start-up and changed only by what has become durable.

use crate::actors::changes::{Changes, Lookout};
use crate::actors::metrics::stuck;
use crate::domain::buyer::{Audience, Exemption};
use crate::domain::entity::Publication;
use crate::domain::ids::{CategoryId, CouponId, CustomerId, ProductId, SaleId, SkuId, VendorId};
use crate::domain::knowledge::{Availability, Offered};
use crate::domain::loyalty::WHOLE;
use crate::domain::money::Money;
use crate::domain::order::OrderStatus;
use crate::domain::pricing::Tables;
use crate::domain::reject::Reject;
use crate::domain::rows::{CouponRow, CustomerRow, ProductRow, Rows, SaleRow, SkuRow, VendorRow};
use crate::domain::time::Timestamp;
use crate::domain::vendor::{OnSale, Requires, SaleItem, SaleStatus, SkuTerms, Stock, VendorStatus};
use dashmap::{DashMap, DashSet};
use foldhash::HashMap;
use parking_lot::{Mutex, RwLock};
use std::mem::take;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};

/// A SKU as anyone may see it.
#[derive(Clone, Debug)]
pub struct Listing {
    /// Everything but what is in stock, which [`Listing::available`] alone tells.
    pub sku: Arc<SkuRow>,
    /// Pieces that can be had at the price that is shown, durably so.
    pub available: i64,
    /// What one piece is shown to cost.
    pub price: Money,
    /// The sale that runs, at whose price it is shown, with what is left in it.
    pub sale: Option<(Arc<SaleRow>, i64)>,
}

/// What changes of a SKU while one looks at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Glimpse {
    /// Pieces that can be had at the price that is shown, durably so.
    pub available: i64,
    /// What one piece is shown to cost.
    pub price: Money,
    /// Pieces that are left in the sale.
    pub sale_left: Option<i64>,
}

struct Entry {
    sku: Arc<SkuRow>,
    /// Pieces on hand and not held.
    free: i64,
    sales: Vec<InSale>,
}

/// A sale that the SKU is in.
struct InSale {
    sale: Arc<SaleRow>,
    /// The SKU's place among its items.
    place: usize,
    /// Pieces held and sold in it.
    taken: i64,
}

impl InSale {
    fn on_sale(&self) -> OnSale<'_> {
        OnSale { id: self.sale.id, terms: &self.sale.terms, place: self.place, taken: self.taken }
    }
}

impl Entry {
    fn stock(&self) -> Stock<impl Iterator<Item = OnSale<'_>> + Clone> {
        let list_price = Money::new(self.sku.price_minor, self.sku.currency);
        Stock { sku: self.sku.id, list_price, free: self.free, sales: self.sales.iter().map(InSale::on_sale) }
    }

    fn offered(&self, sale: Option<OnSale<'_>>) -> Offered {
        let list = Money::new(self.sku.price_minor, self.sku.currency);
        let Some(sale) = sale else { return Offered::regular(list) };
        let minor = list.minor.min(sale.item().price_minor);
        Offered {
            price: Money::new(minor, list.currency),
            sale: Some(sale.id),
            needs_account: sale.terms.requires != Requires::Nothing,
            room: sale.terms.room,
        }
    }

    /// With what is left in this sale while it runs; where none is named, in the one at whose price the SKU is shown.
    fn glimpse(&self, of: Option<SaleId>, now: Timestamp) -> Glimpse {
        let (sale, available) = self.stock().shown(now);
        let named = |id| {
            let own = self.sales.iter().find(|own| own.sale.id == id)?.on_sale();
            (own.terms.status(false, now) == SaleStatus::Running).then_some(own)
        };
        let counted = of.map_or(sale, named);
        Glimpse { available, price: self.offered(sale).price, sale_left: counted.map(|on| on.left(now)) }
    }

    /// When it will be shown in another way although nothing is done to it: a sale begins or ends, or more of one is opened.
    fn next_change_at(&self, now: Timestamp) -> Option<Timestamp> {
        let of_sale = |own: &InSale| {
            let terms = &own.sale.terms;
            let tranche = terms.items.get(own.place).and_then(|item| item.next_tranche_at(now));
            [Some(terms.starts_at), Some(terms.ends_at), tranche].into_iter().flatten().filter(|at| *at > now).min()
        };
        self.sales.iter().filter_map(of_sale).min()
    }

    fn listing(&self, now: Timestamp) -> Listing {
        let (sale, available) = self.stock().shown(now);
        let price = self.offered(sale).price;
        let row = |on: OnSale<'_>| {
            let found = self.sales.iter().find(|own| own.sale.id == on.id)?;
            Some((found.sale.clone(), on.left(now)))
        };
        Listing { sku: self.sku.clone(), available, price, sale: sale.and_then(row) }
    }
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
    sales: DashMap<SaleId, Arc<SaleRow>, foldhash::fast::RandomState>,
    vendors: DashMap<VendorId, Arc<VendorRow>, foldhash::fast::RandomState>,
    /// How many of these are suspended: nearly always none.
    suspended: AtomicUsize,
    /// The customers who have the prices of wholesale.
    wholesalers: DashSet<CustomerId, foldhash::fast::RandomState>,
    /// Customers who pay no tax, and why.
    exempt: DashMap<CustomerId, Exemption, foldhash::fast::RandomState>,
    /// By what the points of customers in tiers are multiplied.
    multipliers: DashMap<CustomerId, u32, foldhash::fast::RandomState>,
    coupons: DashMap<CouponId, Arc<CouponRow>, foldhash::fast::RandomState>,
    orders: [AtomicI64; OrderStatus::ALL.len()],
    takings: Takings,
    changes: Arc<Changes>,
    /// The tables by which bills are made; none while the shop has none.
    tables: RwLock<Option<Arc<Tables>>>,
}

impl Default for CatalogCache {
    fn default() -> Self {
        Self {
            skus: DashMap::default(),
            products: DashMap::default(),
            sales: DashMap::default(),
            vendors: DashMap::default(),
            suspended: AtomicUsize::new(0),
            wholesalers: DashSet::default(),
            exempt: DashMap::default(),
            multipliers: DashMap::default(),
            coupons: DashMap::default(),
            orders: std::array::from_fn(|_| AtomicI64::new(0)),
            takings: Takings::default(),
            changes: Arc::default(),
            tables: RwLock::default(),
        }
    }
}

impl CatalogCache {
    /// Takes over what the read tables hold, or what recovered vendors show.
    pub fn fill(&self, rows: Rows) {
        for vendor in rows.vendors {
            self.publish(Publication::Vendor(vendor));
        }
        for product in rows.products {
            self.publish(Publication::Product(Box::new(product)));
        }
        for CustomerRow { id: customer, group: audience, exempt, multiplier } in rows.customers {
            self.publish(Publication::Group { customer, audience, exempt, multiplier });
        }
        for sku in rows.skus {
            self.publish(Publication::Sku(Box::new(sku)));
        }
        for coupon in rows.coupons {
            self.publish(Publication::Coupon(Box::new(coupon)));
        }
        for sale in rows.sales {
            self.publish(Publication::Sale(Box::new(sale)));
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
            Publication::Vendor(vendor) => self.take_vendor(vendor),
            Publication::Product(mut product) => {
                // The store alone looks for words.
                product.words = String::new();
                self.products.insert(product.id, Arc::from(product));
            }
            Publication::Sku(sku) => {
                let (id, free, sku) = (sku.id, sku.available(), Arc::from(sku));
                match self.skus.entry(id) {
                    dashmap::Entry::Occupied(mut there) => {
                        let entry = there.get_mut();
                        (entry.sku, entry.free) = (sku, free);
                    }
                    dashmap::Entry::Vacant(empty) => drop(empty.insert(Entry { sku, free, sales: Vec::new() })),
                }
                self.changes.sku(id);
            }
            Publication::Coupon(coupon) => {
                self.coupons.insert(coupon.id, Arc::from(coupon));
            }
            Publication::Sale(sale) => self.take_sale(Arc::from(sale)),
            Publication::Available { sku, available, taken, in_sales } => {
                if taken > 0 {
                    self.takings.count(sku, taken);
                }
                if let Some(mut entry) = self.skus.get_mut(&sku) {
                    entry.free = available;
                    if !in_sales.is_empty() {
                        // What is over the vendor tells no more.
                        entry.sales.retain(|own| in_sales.iter().any(|(sale, _)| *sale == own.sale.id));
                    }
                    for (sale, taken) in in_sales {
                        entry.sales.iter_mut().filter(|own| own.sale.id == sale).for_each(|own| own.taken = taken);
                    }
                }
                self.changes.sku(sku);
            }
            Publication::Group { customer, audience, exempt, multiplier } => {
                match audience {
                    Audience::Wholesale => drop(self.wholesalers.insert(customer)),
                    Audience::Retail => drop(self.wholesalers.remove(&customer)),
                }
                match exempt {
                    Some(why) => drop(self.exempt.insert(customer, why)),
                    None => drop(self.exempt.remove(&customer)),
                }
                match multiplier.filter(|multiplier| *multiplier != WHOLE) {
                    Some(multiplier) => drop(self.multipliers.insert(customer, multiplier)),
                    None => drop(self.multipliers.remove(&customer)),
                }
            }
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

    /// From now on bills are made by these tables.
    pub fn show_tables(&self, tables: Tables) {
        *self.tables.write() = (!tables.is_empty()).then(|| Arc::new(tables));
    }

    /// The tables by which bills are made; none while the shop has none.
    pub fn tables(&self) -> Option<Arc<Tables>> {
        self.tables.read().clone()
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

    /// A vendor takes the place of what was known of it. Whoever watches its goods is told when it is suspended, and when it is not any more.
    fn take_vendor(&self, vendor: VendorRow) {
        let (id, status) = (vendor.id, vendor.status);
        let before = self.vendors.insert(id, Arc::new(vendor)).map_or(VendorStatus::Active, |before| before.status);
        match (before, status) {
            (VendorStatus::Active, VendorStatus::Suspended) => _ = self.suspended.fetch_add(1, Ordering::AcqRel),
            (VendorStatus::Suspended, VendorStatus::Active) => _ = self.suspended.fetch_sub(1, Ordering::AcqRel),
            (VendorStatus::Active, VendorStatus::Active) | (VendorStatus::Suspended, VendorStatus::Suspended) => return,
        }
        let own = self.skus.iter().filter(|entry| entry.sku.vendor_id == id).map(|entry| *entry.key());
        own.collect::<Vec<_>>().into_iter().for_each(|sku| self.changes.sku(sku));
    }

    /// A vendor as anyone may see it.
    pub fn vendor(&self, id: VendorId) -> Option<Arc<VendorRow>> {
        self.vendors.get(&id).map(|vendor| vendor.clone())
    }

    /// All vendors, in no order.
    pub fn vendors(&self) -> Vec<Arc<VendorRow>> {
        self.vendors.iter().map(|vendor| vendor.clone()).collect()
    }

    /// Whether a vendor may not sell.
    pub fn is_suspended(&self, id: VendorId) -> bool {
        self.suspended.load(Ordering::Acquire) > 0
            && self.vendors.get(&id).is_some_and(|vendor| vendor.status.is_suspended())
    }

    fn may_be_bought(&self, sku: &SkuRow) -> bool {
        !sku.archived && !self.is_suspended(sku.vendor_id)
    }

    /// A sale takes the place of what was known of it.
    fn take_sale(&self, sale: Arc<SaleRow>) {
        let before = self.sales.insert(sale.id, sale.clone());
        let promised = sale.cancelled_at.is_none();
        for (place, item) in sale.terms.items.iter().enumerate().filter(|_| promised) {
            let taken = sale.counts.get(place).map_or(0, |count| count.taken());
            let Some(mut entry) = self.skus.get_mut(&item.sku) else { continue };
            let own = InSale { sale: sale.clone(), place, taken };
            match entry.sales.iter().position(|there| there.sale.id == sale.id) {
                Some(at) => entry.sales[at] = own,
                None => entry.sales.push(own),
            }
        }
        let gone = before.iter().flat_map(|before| &before.terms.items).map(|item| item.sku);
        for sku in gone.filter(|sku| !promised || sale.terms.item(*sku).is_none()) {
            if let Some(mut entry) = self.skus.get_mut(&sku) {
                entry.sales.retain(|own| own.sale.id != sale.id);
            }
            self.changes.sku(sku);
        }
        sale.terms.items.iter().for_each(|item| self.changes.sku(item.sku));
        self.changes.sale(sale.id);
    }

    /// From now on somebody waits for what is shown of this sale, or of SKUs that it names.
    pub fn look_out(&self, sale: Option<SaleId>) -> Lookout {
        Lookout::new(self.changes.clone(), sale)
    }

    /// What changes of a SKU, as it is at this moment, and when it will be another by time alone. What is left is counted in the sale `of`, while it
    /// runs; where none is named, in the one at whose price the SKU is shown.
    pub fn glimpse(&self, id: SkuId, of: Option<SaleId>, now: Timestamp) -> Option<(Glimpse, Option<Timestamp>)> {
        let entry = self.skus.get(&id)?;
        let mut glimpse = entry.glimpse(of, now);
        if !self.may_be_bought(&entry.sku) {
            glimpse.available = 0;
        }
        Some((glimpse, entry.next_change_at(now)))
    }

    /// What a sale is, without what was taken of it.
    pub fn sale_row(&self, id: SaleId) -> Option<Arc<SaleRow>> {
        self.sales.get(&id).map(|sale| sale.clone())
    }

    /// A sale, and what was taken of each of its items. What was taken of a cancelled one is as it was then.
    pub fn sale(&self, id: SaleId) -> Option<(Arc<SaleRow>, Vec<i64>)> {
        let sale = self.sales.get(&id)?.clone();
        let taken = |(place, item): (usize, &SaleItem)| {
            let entry = self.skus.get(&item.sku);
            let own = entry.and_then(|entry| entry.sales.iter().find(|own| own.sale.id == id).map(|own| own.taken));
            own.or_else(|| sale.counts.get(place).map(|count| count.taken())).unwrap_or(0)
        };
        let taken = sale.terms.items.iter().enumerate().map(taken).collect();
        Some((sale, taken))
    }

    /// All sales for which this is so, in no order.
    pub fn sales(&self, are: impl Fn(&SaleRow) -> bool) -> Vec<Arc<SaleRow>> {
        self.sales.iter().filter(|sale| are(sale)).map(|sale| sale.clone()).collect()
    }

    /// A SKU as it is shown at this moment.
    pub fn sku(&self, id: SkuId, now: Timestamp) -> Option<Listing> {
        let entry = self.skus.get(&id)?;
        let mut listing = entry.listing(now);
        if !self.may_be_bought(&entry.sku) {
            listing.available = 0;
        }
        Some(listing)
    }

    /// What a SKU is, without its stock.
    pub fn sku_row(&self, id: SkuId) -> Option<Arc<SkuRow>> {
        self.skus.get(&id).map(|entry| entry.sku.clone())
    }

    /// A product with its SKUs, in the vendor's order.
    pub fn product(&self, id: ProductId, now: Timestamp) -> Option<(Arc<ProductRow>, Vec<Listing>)> {
        let product = self.products.get(&id)?.clone();
        let skus = product.sku_ids.iter().filter_map(|sku| self.sku(*sku, now)).collect();
        Some((product, skus))
    }

    /// Whether there is such a product, durably so.
    pub fn has_product(&self, id: ProductId) -> bool {
        self.products.contains_key(&id)
    }

    /// How many orders have each status.
    pub fn order_counts(&self) -> impl Iterator<Item = (OrderStatus, i64)> + '_ {
        OrderStatus::ALL.into_iter().map(|status| (status, self.orders[status as usize].load(Ordering::Relaxed)))
    }
}

impl Availability for CatalogCache {
    fn available(&self, sku: SkuId) -> Option<i64> {
        self.skus.get(&sku).map(|entry| entry.free)
    }

    fn price(&self, sku: SkuId) -> Option<Money> {
        self.skus.get(&sku).map(|entry| Money::new(entry.sku.price_minor, entry.sku.currency))
    }

    fn is_for_sale(&self, sku: SkuId) -> bool {
        self.skus.get(&sku).is_none_or(|entry| self.may_be_bought(&entry.sku))
    }

    fn is_sale_over(&self, sale: SaleId, now: Timestamp) -> bool {
        self.sales.get(&sale).is_some_and(|sale| sale.cancelled_at.is_some() || sale.terms.ends_at <= now)
    }

    fn shown(&self, sku: SkuId, now: Timestamp) -> Option<Offered> {
        let entry = self.skus.get(&sku)?;
        let (sale, _) = entry.stock().shown(now);
        Some(entry.offered(sale))
    }

    fn offer(&self, sku: SkuId, quantity: i64, now: Timestamp) -> Option<Result<Offered, Reject>> {
        let entry = self.skus.get(&sku)?;
        let offer = entry.stock().offer(quantity, now);
        Some(offer.map(|sale| entry.offered(sale)))
    }

    fn terms(&self, sku: SkuId) -> Option<Arc<SkuTerms>> {
        self.skus.get(&sku)?.sku.terms.clone()
    }

    fn product(&self, sku: SkuId) -> Option<ProductId> {
        self.skus.get(&sku).map(|entry| entry.sku.product_id)
    }

    fn category(&self, sku: SkuId) -> Option<CategoryId> {
        let product = self.skus.get(&sku)?.sku.product_id;
        self.products.get(&product)?.category.as_deref()?.parse().ok()
    }

    fn audience(&self, customer: CustomerId) -> Audience {
        // Nearly always there is nobody in it.
        if self.wholesalers.is_empty() || !self.wholesalers.contains(&customer) {
            Audience::Retail
        } else {
            Audience::Wholesale
        }
    }

    fn multiplier(&self, customer: CustomerId) -> Option<u32> {
        if self.multipliers.is_empty() { None } else { self.multipliers.get(&customer).map(|multiplier| *multiplier) }
    }

    fn exemption(&self, customer: CustomerId) -> Option<Exemption> {
        if self.exempt.is_empty() { None } else { self.exempt.get(&customer).map(|why| *why) }
    }

    fn coupon(&self, coupon: CouponId) -> Option<Arc<CouponRow>> {
        self.coupons.get(&coupon).map(|entry| entry.clone())
    }
}
