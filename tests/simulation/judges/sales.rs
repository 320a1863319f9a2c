//! Sales: nobody has more of one than the limit, nothing is held in one outside of its time or past its allotment, and what is promised to one
//! is there until it is over. It reads the vendors' records in their order and counts for itself.

use super::replay::{Events, Recorded};
use super::{Causes, Judge, Replay};
use crate::store::Tables;
use crate::world::{World, lock};
use haat::domain::buyer::BuyerKey;
use haat::domain::ids::{OrderId, RoomId, SaleId, SkuId, VendorId};
use haat::domain::order::OrderEvent;
use haat::domain::time::Timestamp;
use haat::domain::vendor::{HeldLine, Requires, SaleItem, SaleTerms, Vendor, VendorEvent, WhenExhausted};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

struct Sale {
    vendor: VendorId,
    terms: SaleTerms,
    cancelled: bool,
    /// Pieces held and sold, by SKU.
    taken: BTreeMap<SkuId, i64>,
    /// The same by key and SKU.
    used: BTreeMap<(BuyerKey, SkuId), i64>,
}

impl Sale {
    fn runs(&self, at: Timestamp) -> bool {
        !self.cancelled && self.terms.starts_at <= at && at < self.terms.ends_at
    }

    fn item(&self, sku: SkuId) -> Option<&SaleItem> {
        self.terms.items.iter().find(|item| item.sku == sku)
    }

    fn taken(&self, sku: SkuId) -> i64 {
        self.taken.get(&sku).copied().unwrap_or(0)
    }

    /// Pieces that can be had at this moment.
    fn open(&self, item: &SaleItem, at: Timestamp) -> i64 {
        let tranches = item.tranches.iter().filter(|tranche| tranche.opens_at <= at);
        let opened = if item.tranches.is_empty() { item.allotment } else { tranches.map(|of| of.quantity).sum() };
        opened.min(item.allotment) - self.taken(item.sku)
    }

    fn used(&self, key: BuyerKey, sku: Option<SkuId>) -> i64 {
        let own = self.used.iter().filter(|((of, is), _)| *of == key && sku.is_none_or(|sku| sku == *is));
        own.map(|(_, pieces)| pieces).sum()
    }
}

/// What a hold took of sales, and under which keys it was counted.
struct Hold {
    lines: Vec<HeldLine>,
    keys: Vec<BuyerKey>,
    account_keys: usize,
}

#[derive(Default)]
struct Counted {
    sales: BTreeMap<SaleId, Sale>,
    holds: BTreeMap<(VendorId, OrderId), Hold>,
}

/// By which rooms the buyers of orders came in.
type Entered = BTreeMap<OrderId, BTreeSet<RoomId>>;

pub struct Sales {
    counted: Mutex<Counted>,
    entered: Arc<Mutex<Entered>>,
    world: Arc<World>,
}

impl Sales {
    pub fn new(world: Arc<World>) -> Self {
        Self { counted: Mutex::default(), entered: Arc::default(), world }
    }

    fn see(&self, counted: &mut Counted, vendor: VendorId, event: &VendorEvent, at: Timestamp, causes: &mut Causes) {
        match event {
            VendorEvent::SaleScheduled { sale, terms } => {
                self.world.count("sales");
                let (taken, used) = (BTreeMap::new(), BTreeMap::new());
                let new = Sale { vendor, terms: SaleTerms::clone(terms), cancelled: false, taken, used };
                counted.sales.insert(*sale, new);
            }
            VendorEvent::SaleChanged { sale, terms } => {
                if let Some(sale) = counted.sales.get_mut(sale) {
                    sale.terms.clone_from(terms);
                }
            }
            VendorEvent::SaleCancelled { sale } => {
                counted.sales.get_mut(sale).into_iter().for_each(|sale| sale.cancelled = true);
            }
            VendorEvent::StockHeld { order, lines, keys, account_keys, .. } => {
                let hold = Hold { lines: lines.clone(), keys: keys.clone(), account_keys: *account_keys };
                for line in lines {
                    self.judge_entry(counted, *order, line, causes);
                    self.judge(counted, vendor, line, &hold, at);
                }
                counted.holds.insert((vendor, *order), hold);
            }
            VendorEvent::HoldCommitted { order, .. } | VendorEvent::StockCommitted { order } => {
                counted.holds.remove(&(vendor, *order));
            }
            VendorEvent::Restocked { lines, keys, account_keys, .. } => {
                let hold = Hold { lines: Vec::new(), keys: keys.clone(), account_keys: *account_keys };
                for line in lines {
                    count(counted, line, &hold, -line.quantity);
                }
            }
            VendorEvent::StockReleased { order, .. } => {
                let Some(hold) = counted.holds.remove(&(vendor, *order)) else { return };
                for line in &hold.lines {
                    count(counted, line, &hold, -line.quantity);
                }
            }
            _ => {}
        }
    }

    /// Whoever buys in a sale that has a waiting room came in by it, as the order says.
    fn judge_entry(&self, counted: &Counted, order: OrderId, line: &HeldLine, causes: &mut Causes) {
        let sale = line.sale.and_then(|sale| counted.sales.get(&sale));
        let Some(room) = sale.and_then(|sale| sale.terms.room) else { return };
        self.world.count("lines in sales with a room");
        let entered = self.entered.clone();
        let came_in = move |_: &Replay| lock(&entered).get(&order).is_some_and(|rooms| rooms.contains(&room));
        causes.push((format!("{order} holds {line:?}, and came in by {room}"), Box::new(came_in)));
    }

    /// A line is held: in the sale that runs, if there is one and it has enough; else at no sale's price.
    fn judge(&self, counted: &mut Counted, vendor: VendorId, line: &HeldLine, hold: &Hold, at: Timestamp) {
        let running = counted.sales.iter().find(|(_, sale)| sale.runs(at) && sale.item(line.sku).is_some());
        let Some(id) = line.sale else {
            let missed = running.and_then(|(_, sale)| {
                let open = sale.open(sale.item(line.sku)?, at);
                let stops = sale.terms.when_exhausted == WhenExhausted::Stop;
                (stops || open > 0).then_some(open)
            });
            if let Some(open) = missed {
                self.world.breach(format_args!("{vendor} holds {line:?} beside a sale with {open} pieces at {at}"));
            }
            return;
        };
        self.world.count("lines in sales");
        match running.filter(|(running, sale)| **running == id && sale.vendor == vendor) {
            None => self.world.breach(format_args!("{vendor} holds {line:?} in a sale that does not run at {at}")),
            Some((_, sale)) => {
                let Some(item) = sale.item(line.sku) else { return };
                if sale.open(item, at) < line.quantity || line.unit_price > item.price_minor {
                    let taken = sale.taken(line.sku);
                    self.world
                        .breach(format_args!("{line:?} at {at}, of which {taken} are taken, in {:?}", sale.terms));
                }
                let is_limited = item.limit_per_customer.or(sale.terms.limit_per_customer).is_some();
                if is_limited && hold.keys.is_empty() {
                    self.world.breach(format_args!("{line:?} is held for nobody in {:?}", sale.terms));
                }
            }
        }
        count(counted, line, hold, line.quantity);
        let Some(sale) = counted.sales.get(&id) else { return };
        for key in keys(sale, hold) {
            let limits = [
                (sale.terms.limit_per_customer, sale.used(*key, None)),
                (sale.item(line.sku).and_then(|item| item.limit_per_customer), sale.used(*key, Some(line.sku))),
            ];
            for (limit, used) in limits {
                if limit.is_some_and(|limit| used > limit) {
                    self.world.breach(format_args!("{key:?} has {used} in {:?}", sale.terms));
                }
            }
        }
    }

    /// What is promised to sales that are not over is there.
    fn check_fences(&self, counted: &Counted, vendor: &Vendor, at: Timestamp) {
        for row in vendor.sku_rows() {
            let fences = counted.sales.values().filter(|sale| !sale.cancelled && at < sale.terms.ends_at);
            let fenced: i64 = fences
                .filter_map(|sale| sale.item(row.id).map(|item| (item.allotment - sale.taken(row.id)).max(0)))
                .sum();
            if row.on_hand - row.held < fenced {
                self.world.breach(format_args!("{fenced} are promised to sales at {at} of {row:?}"));
            }
        }
    }
}

/// The keys that are counted in a sale.
fn keys<'a>(sale: &Sale, hold: &'a Hold) -> &'a [BuyerKey] {
    match sale.terms.requires {
        Requires::Nothing => &hold.keys,
        Requires::Account | Requires::VerifiedEmail => &hold.keys[..hold.account_keys.min(hold.keys.len())],
    }
}

fn count(counted: &mut Counted, line: &HeldLine, hold: &Hold, pieces: i64) {
    let Some(sale) = line.sale.and_then(|sale| counted.sales.get_mut(&sale)) else { return };
    *sale.taken.entry(line.sku).or_default() += pieces;
    for key in keys(sale, hold).to_vec() {
        *sale.used.entry((key, line.sku)).or_default() += pieces;
    }
}

impl Judge for Sales {
    fn record(&self, replay: &Replay, record: &Recorded<'_>, causes: &mut Causes) {
        let counted = &mut *lock(&self.counted);
        if let Events::Order(id, events) = &record.events {
            for event in events {
                if let OrderEvent::Placed { placement, .. } = event {
                    let rooms = placement.buyer.iter().flat_map(|buyer| buyer.entries.iter()).map(|entry| entry.room);
                    lock(&self.entered).insert(*id, rooms.collect());
                }
            }
        }
        let Events::Vendor(id, events) = &record.events else { return };
        events.iter().for_each(|event| self.see(counted, *id, event, record.at, causes));
        if let Some(vendor) = replay.vendor(*id).filter(|_| !counted.sales.is_empty()) {
            self.check_fences(counted, vendor, record.at);
        }
    }

    fn at_rest(&self, replay: &Replay) {
        let counted = lock(&self.counted);
        for row in replay.vendors().flat_map(|(_, vendor)| vendor.sale_rows()) {
            let Some(sale) = counted.sales.get(&row.id) else {
                self.world.breach(format_args!("a sale that nobody made: {row:?}"));
                continue;
            };
            let taken: Vec<i64> = row.terms.items.iter().map(|item| sale.taken(item.sku)).collect();
            let said: Vec<i64> = row.counts.iter().map(|count| count.taken()).collect();
            if taken != said || row.terms != sale.terms {
                self.world.breach(format_args!("{row:?}, of which {taken:?} were taken"));
            }
        }
    }

    fn left(&self, tables: &Tables) {
        let counted = lock(&self.counted);
        for (id, sale) in &counted.sales {
            let row = tables.sales.get(id);
            let fits = row.is_some_and(|row| {
                let taken = row.terms.items.iter().map(|item| sale.taken(item.sku));
                row.terms == sale.terms
                    && row.cancelled_at.is_some() == sale.cancelled
                    && taken.eq(row.counts.iter().map(|count| count.taken()))
            });
            if !fits {
                self.world.breach(format_args!("the tables say {row:?} of {:?}", sale.terms));
            }
        }
    }
}
