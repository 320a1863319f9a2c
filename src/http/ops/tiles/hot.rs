//! What sells fastest.

use super::Look;
use crate::domain::ids::{EntityId as _, ProductId, SkuId, VendorId};
use crate::domain::money::Money;
use crate::http::money::{Moment, MoneyBody};
use crate::http::ops::figures::rounded;
use crate::http::ops::hot::SHOWN;
use serde::Serialize;
use std::cmp::Reverse;
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// What sells fastest, and at whom. Orders are those whose pieces are held durably.
#[derive(Debug, Serialize, ToSchema)]
pub struct HotTile {
    /// Of how much time the figures are.
    #[schema(example = 10_000)]
    over_ms: Option<u64>,
    /// The hottest first. What has sold out stays until others are hotter.
    skus: Vec<HotSku>,
    vendors: Vec<HotVendor>,
}

/// A SKU that sells.
#[derive(Debug, Serialize, ToSchema)]
pub struct HotSku {
    sku_id: SkuId,
    vendor_id: VendorId,
    product_id: ProductId,
    title: String,
    code: String,
    price: MoneyBody,
    orders_per_second: f64,
    pieces_per_second: f64,
    /// Pieces that can still be had.
    left: i64,
    /// Pieces held for orders under way; `null` while the vendor is too busy to say.
    held: Option<i64>,
    /// Pieces in the house, held ones among them.
    on_hand: Option<i64>,
    /// Pieces sold.
    sold: Option<i64>,
    /// When an order took some of it last.
    at: Moment,
}

/// A vendor who sells.
#[derive(Debug, Serialize, ToSchema)]
pub struct HotVendor {
    vendor_id: VendorId,
    /// Each SKU of an order is counted.
    orders_per_second: f64,
    pieces_per_second: f64,
    /// Checkouts under way there.
    checkouts_under_way: usize,
}

impl HotTile {
    pub(super) fn of(Look { parts, looks, hot, .. }: &Look<'_>) -> Self {
        let taken = looks.taken();
        let skus = hot.skus().filter_map(|(id, sku)| {
            let listing = parts.shop.listing(id)?;
            let (orders_per_second, pieces_per_second) = taken.get(&id).copied().unwrap_or_default();
            let row = &listing.sku;
            Some(HotSku {
                sku_id: id,
                vendor_id: row.vendor_id,
                product_id: row.product_id,
                title: row.title.clone(),
                code: row.code.clone(),
                price: MoneyBody(Money::new(row.price_minor, row.currency)),
                orders_per_second,
                pieces_per_second,
                left: listing.available,
                held: sku.stock.map(|stock| stock.held),
                on_hand: sku.stock.map(|stock| stock.on_hand),
                sold: sku.stock.map(|stock| stock.sold),
                at: Moment(sku.at),
            })
        });
        let mut vendors: BTreeMap<VendorId, (f64, f64)> = BTreeMap::new();
        for (sku, (orders, pieces)) in &taken {
            if let Some(listing) = parts.shop.listing(*sku) {
                let all = vendors.entry(listing.sku.vendor_id).or_default();
                *all = (all.0 + orders, all.1 + pieces);
            }
        }
        let mut vendors: Vec<_> = vendors.into_iter().collect();
        vendors.sort_by_key(|(_, (orders, _))| Reverse((orders * 100.0) as u64));
        let vendor = |(vendor_id, (orders, pieces)): (VendorId, (f64, f64))| HotVendor {
            vendor_id,
            orders_per_second: rounded(orders, 100.0),
            pieces_per_second: rounded(pieces, 100.0),
            checkouts_under_way: parts.shop.under_way(vendor_id.entity()),
        };
        Self {
            over_ms: looks.over_all_ms(),
            skus: skus.collect(),
            vendors: vendors.into_iter().take(SHOWN).map(vendor).collect(),
        }
    }
}
