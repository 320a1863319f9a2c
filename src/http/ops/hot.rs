//! The SKUs that sell fastest, with what their vendors say of them. A vendor is asked as a request asks it, and only about what is shown: so nothing
//! is kept for it while nobody looks, and a busy vendor costs whoever looks a figure, and no buyer anything.

use super::OpsParts;
use super::figures::Looks;
use crate::actors::Ask;
use crate::domain::entity::Principal;
use crate::domain::ids::{SkuId, VendorId};
use crate::domain::time::Timestamp;
use crate::domain::vendor::{Vendor, VendorCommand, VendorReply};
use futures::future::join_all;
use std::cmp::Reverse;
use std::time::Duration;

/// How many are shown.
pub(super) const SHOWN: usize = 10;
/// How long a vendor is waited for.
const PATIENCE: Duration = Duration::from_millis(250);

/// What a vendor has of a SKU.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stock {
    pub(super) on_hand: i64,
    pub(super) held: i64,
    pub(super) sold: i64,
}

/// A SKU that sells.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hot {
    /// When an order took some of it last.
    pub(super) at: Timestamp,
    /// `None` while its vendor does not say.
    pub(super) stock: Option<Stock>,
}

/// The SKUs that sell fastest, the fastest first.
#[derive(Default)]
pub(super) struct HotStock(Vec<(SkuId, Hot)>);

impl HotStock {
    pub(super) fn skus(&self) -> impl Iterator<Item = (SkuId, Hot)> + '_ {
        self.0.iter().copied()
    }

    /// After one more look. One that sells no more stays until there are others.
    pub(super) async fn follow(&mut self, looks: &Looks, parts: &OpsParts, now: Timestamp) {
        for (sku, _) in looks.just_taken() {
            match self.0.iter_mut().find(|(known, _)| *known == sku) {
                Some((_, hot)) => hot.at = now,
                None => self.0.push((sku, Hot { at: now, stock: None })),
            }
        }
        let taken = looks.taken();
        let orders = |sku: &SkuId| taken.get(sku).map_or(0, |(orders, _)| (orders * 100.0) as u64);
        self.0.sort_by_key(|(sku, hot)| (Reverse(orders(sku)), Reverse(hot.at), *sku));
        self.0.truncate(SHOWN);
        let stocks = join_all(self.0.iter().map(|(sku, _)| stock(parts, *sku))).await;
        self.0.iter_mut().zip(stocks).for_each(|((_, hot), stock)| hot.stock = stock);
    }
}

async fn stock(parts: &OpsParts, sku: SkuId) -> Option<Stock> {
    let vendor: VendorId = parts.shop.listing(sku)?.sku.vendor_id;
    let ask = Ask { within: PATIENCE, key: None, fresh: false };
    let command = VendorCommand::GetSku { by: Principal::SHOP, sku };
    match parts.shop.ask::<Vendor>(vendor, command, ask).await.ok()?.outcome {
        Ok(VendorReply::Sku { sku }) => Some(Stock { on_hand: sku.on_hand, held: sku.held, sold: sku.sold() }),
        _ => None,
    }
}
