//! What vendors take back into stock: the units of each credit, once.

use super::legs::{LegState, Party};
use super::refund::Made;
use super::state::Body;
use super::{Order, OrderEvent};
use crate::domain::buyer::HeldFor;
use crate::domain::ids::{CreditId, OrderId, SkuId, VendorId};
use crate::domain::reject::Reject;
use crate::domain::vendor::{HeldLine, RestockedUnits, SlotId};

impl Order {
    /// The slots in which its shares are to be brought, each with whether the share does not need it any more, and its vendor has not said that it has it
    /// back.
    pub fn delivery_slots(&self) -> impl Iterator<Item = (VendorId, (SlotId, bool))> {
        let bodies = self.body.iter();
        let needed = bodies.clone().flat_map(|body| &body.shares);
        let needed = needed.filter_map(|share| Some((share.vendor, (share.slot.as_ref()?.id, false))));
        let back = bodies.flat_map(|body| &body.credits).filter_map(|made| Some((made.vendor, (made.slot?, true))));
        needed.chain(back)
    }
}

impl Body {
    /// A vendor has taken units back into its stock.
    pub(super) fn decide_restocked(&self, vendor: VendorId, credits: &[CreditId]) -> Result<Vec<OrderEvent>, Reject> {
        let waits = |made: &&Made| made.vendor == vendor && !made.units.is_empty() && credits.contains(&made.id);
        let settled: Vec<CreditId> = self.credits.iter().filter(waits).map(|made| made.id).collect();
        Ok(match settled.is_empty() {
            true => Vec::new(),
            false => vec![OrderEvent::CreditsSettled { vendor, credits: settled }],
        })
    }

    pub(super) fn apply_settled_credits(&mut self, settled: &[CreditId]) {
        for made in self.credits.iter_mut().filter(|made| settled.contains(&made.id)) {
            made.units.clear();
            made.slot = None;
        }
    }

    /// The vendors that have to take units back. One that has not said that it sold them takes them back once it has.
    pub(super) fn to_restock(&self) -> Vec<VendorId> {
        let mut vendors = Vec::new();
        for made in self.credits.iter().filter(|made| !made.units.is_empty()) {
            let sold = self.leg(Party::Stock(made.vendor)) == Some(LegState::Committed);
            if sold && !vendors.contains(&made.vendor) {
                vendors.push(made.vendor);
            }
        }
        vendors
    }

    /// What a vendor takes back: units of each credit, as they were sold, and for whom they were counted.
    pub(super) fn restock(&self, order: OrderId, vendor: VendorId) -> RestockedUnits {
        let line = |made: &Made, sku: SkuId, units: i64| {
            let of = self.lines_of(vendor).find(|line| line.sku == sku)?;
            // What had left the house is ordinary stock when it comes back: neither a sale nor a limit has it again.
            let sale = of.sale.filter(|_| !made.shipped);
            let (unit_price, list_price) = (of.unit_price, of.list_price);
            Some(HeldLine { sku, quantity: units, unit_price, list_price, sale, rung: None })
        };
        let waits = || self.credits.iter().filter(|made| made.vendor == vendor && !made.units.is_empty());
        let units =
            |made: &Made| (made.id, made.units.iter().filter_map(|(sku, units)| line(made, *sku, *units)).collect());
        let held_for = HeldFor {
            customer: self.owner.customer(),
            keys: self.buyer.as_ref().map_or_else(Vec::new, |buyer| buyer.keys.clone()),
            account_mail: self.buyer.as_ref().is_some_and(|buyer| buyer.account_mail),
            ..HeldFor::default()
        };
        RestockedUnits {
            order,
            credits: waits().map(units).collect(),
            slot: waits().find_map(|made| Some((made.id, made.slot?))),
            account_keys: held_for.account_keys(),
            keys: held_for.keys,
        }
    }

    /// Whether it has heard that the vendor took the units of this credit back.
    pub(super) fn has_settled(&self, vendor: VendorId, credit: CreditId) -> bool {
        self.credits.iter().any(|made| made.id == credit && made.vendor == vendor && made.units.is_empty())
    }
}
