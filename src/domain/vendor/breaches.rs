//! What does not add up in a vendor's SKUs.

use super::Vendor;
use crate::domain::ids::{EntityId, SkuId};
use crate::domain::invariants::Breach;
use crate::domain::money::is_past_64_bits;
use std::collections::HashMap;

impl Vendor {
    /// What does not add up in SKUs that are not suspended yet.
    pub(super) fn breaches_of_skus(&self) -> impl Iterator<Item = Breach> {
        // Wider than what is summed: past its end a sum would depend on the order of the holds.
        let mut held: HashMap<SkuId, i128> = HashMap::new();
        for line in self.holds.all_open().flat_map(|(_, hold)| &hold.what.lines) {
            *held.entry(line.sku).or_default() += i128::from(line.quantity);
        }
        let entity = self.id.entity();
        let in_sale = self.skus.iter().filter(|(id, _)| !self.suspended.contains(id));
        in_sale.filter_map(move |(id, sku)| {
            let row = || format!("{id}: received {}, on hand {}, held {}", sku.received, sku.on_hand, sku.held);
            let absurd = [sku.received, sku.on_hand, sku.held].into_iter().any(is_past_64_bits);
            if absurd || sku.on_hand < 0 || sku.held < 0 || sku.on_hand < sku.held || sku.received < sku.on_hand {
                return Some(Breach::new("stock_adds_up", entity, row()).of_sku(*id));
            }
            let in_holds = held.get(id).copied().unwrap_or(0);
            if in_holds != i128::from(sku.held) {
                let detail = format!("{}, holds of {in_holds}", row());
                return Some(Breach::new("holds_add_up", entity, detail).of_sku(*id));
            }
            None
        })
    }
}
