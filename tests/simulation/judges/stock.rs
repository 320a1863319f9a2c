//! Stock, as the entities tell it: nothing is held without an order, nothing sold unpaid, and at rest every piece is free, held or
//! sold. `book.rs` asks the same without the entities.

use super::replay::{Events, Recorded};
use super::{Causes, Judge, Replay};
use crate::world::{World, lock};
use haat::domain::entity::Principal;
use haat::domain::ids::{OrderId, SkuId, VendorId};
use haat::domain::order::OrderEvent;
use haat::domain::vendor::{Vendor, VendorEvent};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

/// Every hold that ever was.
type Holds = Arc<Mutex<BTreeSet<(VendorId, OrderId)>>>;

pub struct Stock {
    held: Holds,
    /// Pieces that came in, less those taken out.
    received: Mutex<BTreeMap<SkuId, i64>>,
    world: Arc<World>,
}

impl Stock {
    pub fn new(world: Arc<World>) -> Self {
        Self { held: Holds::default(), received: Mutex::default(), world }
    }

    fn vendor_event(&self, vendor: VendorId, event: &VendorEvent, causes: &mut Causes) {
        match event {
            VendorEvent::ProductAdded { product } => {
                lock(&self.received).extend(product.skus.iter().map(|sku| (sku.id, sku.on_hand)));
            }
            VendorEvent::SkuAdded { sku, .. } => {
                lock(&self.received).insert(sku.id, sku.on_hand);
            }
            VendorEvent::StockAdjusted { sku, delta, .. } => {
                *lock(&self.received).entry(*sku).or_default() += delta;
            }
            VendorEvent::StockHeld { order, .. } => {
                let order = *order;
                lock(&self.held).insert((vendor, order));
                let placed = move |replay: &Replay| replay.order(order).is_some();
                causes.push((format!("{vendor} holds for {order}"), Box::new(placed)));
            }
            VendorEvent::StockCommitted { order } => {
                let order = *order;
                causes.push((format!("{vendor} sells to {order}"), Box::new(move |replay| replay.is_paid(order))));
            }
            _ => {}
        }
    }
}

impl Judge for Stock {
    fn record(&self, _: &Replay, record: &Recorded<'_>, causes: &mut Causes) {
        match &record.events {
            Events::Cart(..) | Events::Customer(..) | Events::Coupon(..) | Events::Room(..) => {}
            Events::Order(order, events) => {
                for event in events {
                    if let OrderEvent::StockHeld { vendor, .. } = event {
                        let (held, hold) = (self.held.clone(), (*vendor, *order));
                        let is_held = move |_: &Replay| lock(&held).contains(&hold);
                        causes.push((format!("{order} is told of a hold"), Box::new(is_held)));
                    }
                }
            }
            Events::Vendor(vendor, events) => {
                events.iter().for_each(|event| self.vendor_event(*vendor, event, causes));
            }
        }
    }

    fn at_rest(&self, replay: &Replay) {
        let mut sold: BTreeMap<SkuId, i64> = BTreeMap::new();
        let views = replay.orders().filter_map(|(_, order)| order.view(Principal::SHOP));
        for line in views.filter(|view| replay.is_paid(view.id)).flat_map(|view| view.lines) {
            *sold.entry(line.sku).or_default() += line.quantity - line.cancelled() - line.moved().restocked;
        }
        // What is held for paid orders that wait for someone is neither sold nor free.
        let mut held: BTreeMap<SkuId, (i64, i64)> = BTreeMap::new();
        for (order, hold) in replay.vendors().flat_map(|(_, vendor)| vendor.holds().all_open()) {
            for line in &hold.what.lines {
                let (all, of_paid) = held.entry(line.sku).or_default();
                *all += line.quantity;
                *of_paid += if replay.is_paid(order) { line.quantity } else { 0 };
            }
        }
        let all_received = lock(&self.received);
        for row in replay.vendors().map(|(_, vendor)| vendor).flat_map(Vendor::sku_rows) {
            let (received, sold) = (all_received.get(&row.id), sold.get(&row.id).copied().unwrap_or(0));
            let (held, of_paid) = held.get(&row.id).copied().unwrap_or_default();
            if Some(&row.received) != received || row.held != held || row.sold() + of_paid != sold {
                self.world.breach(format_args!("{row:?}: {received:?} came in, {sold} were sold, {held} are held"));
            }
        }
    }
}
