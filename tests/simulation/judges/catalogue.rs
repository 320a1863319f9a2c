//! The catalogue cache of a node is what the journal tells; and nothing is held that was archived before, or whose vendor was suspended. What is for
//! sale it reckons from the records of vendors for itself.

use super::replay::{Events, Recorded};
use super::{Causes, Judge, Replay};
use crate::world::{World, lock};
use haat::actors::Shop;
use haat::domain::ids::{ProductId, SkuId, VendorId};
use haat::domain::knowledge::Availability as _;
use haat::domain::order::OrderEvent;
use haat::domain::reject::Reject;
use haat::domain::vendor::{GoodsStatus, VendorEvent, VendorStatus};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

/// What is for sale.
#[derive(Default)]
struct ForSale {
    product_of: BTreeMap<SkuId, (VendorId, ProductId)>,
    archived_skus: BTreeSet<SkuId>,
    archived_products: BTreeSet<ProductId>,
    suspended: BTreeSet<VendorId>,
}

impl ForSale {
    fn has(&self, sku: SkuId) -> bool {
        self.product_of.get(&sku).is_some_and(|(vendor, product)| {
            !self.suspended.contains(vendor)
                && !self.archived_products.contains(product)
                && !self.archived_skus.contains(&sku)
        })
    }
}

pub struct Catalogue {
    world: Arc<World>,
    for_sale: Mutex<ForSale>,
}

impl Catalogue {
    pub fn new(world: Arc<World>) -> Self {
        Self { world, for_sale: Mutex::default() }
    }

    fn vendor_event(&self, vendor: VendorId, event: &VendorEvent) {
        let mut known = lock(&self.for_sale);
        match event {
            VendorEvent::ProductAdded { product } => {
                known.product_of.extend(product.skus.iter().map(|sku| (sku.id, (vendor, product.id))));
            }
            VendorEvent::SkuAdded { product, sku, .. } => {
                self.world.count("added SKUs");
                _ = known.product_of.insert(sku.id, (vendor, *product));
            }
            VendorEvent::SkuStatusSet { sku, status, .. } => {
                _ = match status {
                    GoodsStatus::Archived => {
                        self.world.count("archived SKUs");
                        known.archived_skus.insert(*sku)
                    }
                    GoodsStatus::Active => known.archived_skus.remove(sku),
                }
            }
            VendorEvent::ProductChanged { product, change, .. } => {
                if change.title.is_some() || change.description.is_some() {
                    self.world.count("mended products");
                }
                match change.status {
                    Some(GoodsStatus::Archived) => {
                        self.world.count("archived products");
                        known.archived_products.insert(*product);
                    }
                    Some(GoodsStatus::Active) => _ = known.archived_products.remove(product),
                    None => {}
                }
            }
            VendorEvent::VendorStatusSet { status, .. } => {
                _ = match status {
                    VendorStatus::Suspended => {
                        self.world.count("suspended vendors");
                        known.suspended.insert(vendor)
                    }
                    VendorStatus::Active => known.suspended.remove(&vendor),
                }
            }
            VendorEvent::StockHeld { order, lines, .. } => {
                for line in lines.iter().filter(|line| !known.has(line.sku)) {
                    self.world.breach(format_args!("{vendor} holds {} for {order}, which is not for sale", line.sku));
                }
            }
            VendorEvent::HoldCommitted { sold, .. } if sold.iter().any(|(sku, _)| !known.has(*sku)) => {
                self.world.count("sold though archived since");
            }
            _ => {}
        }
    }
}

impl Judge for Catalogue {
    fn record(&self, _: &Replay, record: &Recorded<'_>, _: &mut Causes) {
        match &record.events {
            Events::Vendor(vendor, events) => events.iter().for_each(|event| self.vendor_event(*vendor, event)),
            Events::Order(_, events) => {
                let refused = |event: &&OrderEvent| {
                    matches!(event, OrderEvent::StockRefused { reason: Reject::SkuUnavailable { .. }, .. })
                };
                events.iter().filter(refused).for_each(|_| self.world.count("orders of what is not for sale"));
            }
            Events::Cart(..) | Events::Customer(..) | Events::Coupon(..) | Events::Room(..) => {}
        }
    }

    fn shows(&self, replay: &Replay, shop: &Shop) {
        let world = &self.world;
        let directory = match shop.catalog() {
            Ok(directory) => directory,
            Err(failure) => return world.breach(format_args!("the directory: {failure}")),
        };
        let counts: Vec<_> = directory.order_counts().filter(|(_, count)| *count != 0).collect();
        let durable: Vec<_> = replay.order_counts().into_iter().collect();
        if counts != durable {
            world.breach(format_args!("the directory counts {counts:?} orders, the journal {durable:?}"));
        }
        let known = lock(&self.for_sale);
        for row in replay.skus() {
            let shown = directory.sku_row(row.id).and_then(|sku| {
                Some((sku.price_minor, sku.title.clone(), directory.available(row.id)?, directory.is_for_sale(row.id)))
            });
            let expected = Some((row.price_minor, row.title.clone(), row.available(), known.has(row.id)));
            if shown != expected {
                world.breach(format_args!("the directory shows {shown:?} of {row:?}: {expected:?}"));
            }
        }
    }
}
