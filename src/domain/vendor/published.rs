//! What others are shown of a vendor as its records become durable.

use super::goods::Sku;
use super::{Vendor, VendorEvent};
use crate::domain::entity::Publication;
use crate::domain::ids::SkuId;

impl Vendor {
    /// What becomes visible outside by these events, as the vendor is after them.
    pub(super) fn published(&self, events: &[VendorEvent]) -> Vec<Publication> {
        let available = |sku: &SkuId, taken: i64| {
            let available = self.skus.get(sku).map(Sku::available)?;
            let available = if self.suspended.contains(sku) { 0 } else { available };
            Some(Publication::Available { sku: *sku, available, taken, in_sales: self.taken_in_sales(*sku) })
        };
        let listed = |sku: &SkuId| self.sku_row(*sku).map(|row| Publication::Sku(Box::new(row)));
        let mut published = Vec::with_capacity(1);
        for event in events {
            match event {
                VendorEvent::DeliveryPlanSet { .. }
                | VendorEvent::StockCommitted { .. }
                | VendorEvent::HoldCommitted { .. }
                | VendorEvent::HoldsClosed { .. }
                | VendorEvent::CreditsClosed { .. } => {}
                VendorEvent::VendorCreated { .. }
                | VendorEvent::VendorRenamed { .. }
                | VendorEvent::VendorStatusSet { .. } => published.extend(self.row().map(Publication::Vendor)),
                VendorEvent::SaleScheduled { sale, .. }
                | VendorEvent::SaleChanged { sale, .. }
                | VendorEvent::SaleCancelled { sale } => {
                    published.extend(self.sale_row(*sale).map(|row| Publication::Sale(Box::new(row))));
                }
                VendorEvent::ProductAdded { product } => {
                    published.extend(self.product_row(product.id).map(|row| Publication::Product(Box::new(row))));
                    published.extend(product.skus.iter().filter_map(|sku| listed(&sku.id)));
                }
                VendorEvent::ProductChanged { product, .. } => {
                    let row = self.product_row(*product);
                    published.extend(row.iter().flat_map(|row| &row.sku_ids).filter_map(listed));
                    published.extend(row.map(|row| Publication::Product(Box::new(row))));
                }
                VendorEvent::SkuAdded { product, sku, .. } => {
                    published.extend(self.product_row(*product).map(|row| Publication::Product(Box::new(row))));
                    published.extend(listed(&sku.id));
                }
                VendorEvent::SkuPriceChanged { sku, .. }
                | VendorEvent::SkuStatusSet { sku, .. }
                | VendorEvent::SkuTermsChanged { sku, .. } => {
                    published.extend(listed(sku));
                }
                VendorEvent::StockAdjusted { sku, .. } => published.extend(available(sku, 0)),
                VendorEvent::Restocked { lines, .. } => {
                    published.extend(lines.iter().filter_map(|line| available(&line.sku, 0)));
                }
                VendorEvent::StockHeld { lines, .. } => {
                    published.extend(lines.iter().filter_map(|line| available(&line.sku, line.quantity)));
                }
                VendorEvent::StockReleased { skus, .. } => {
                    published.extend(skus.iter().filter_map(|sku| available(sku, 0)));
                }
            }
        }
        published
    }
}
