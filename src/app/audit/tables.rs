//! Snapshots and read tables: they were made on another path than the states here, and say the same.

use super::super::text::{count, counted};
use super::facts::Facts;
use super::{Breaches, Finding};
use crate::domain::ids::{CouponId, CustomerId, EntityId, Kind, OrderId, ProductId, SaleId, SkuId, VendorId};
use crate::domain::rows::{OrderRow, ProductRow};
use std::collections::BTreeMap;
use std::fmt::{Debug, Display};

/// What came of comparing snapshots.
pub(super) fn snapshots(facts: &Facts) -> Finding {
    let looked_at = format!(
        "{}, {} of the newest version: each, with the records after it, makes the state that the records alone make",
        counted(facts.snapshots.count, "snapshot"),
        count(facts.snapshots.current),
    );
    Finding::new("snapshots", looked_at, facts.snapshots.breaches.clone())
}

/// Compares the read tables with the states. Rows of entities that changed since their checkpoint are older, and are not compared; nor are those
/// of a kind of which the rows are being remade.
#[derive(Debug, Default)]
pub(super) struct Tables(Compared);

impl Tables {
    /// Looks at the rows of the orders at hand.
    pub(super) fn look(&mut self, facts: &Facts) {
        let are = facts.are_made(Kind::Order);
        let orders = facts.orders.iter();
        let orders = orders.map(|(id, order)| (*id, (order.current && are).then(|| sorted(order.row.clone()))));
        let known = |id: OrderId| facts.is_broken(id.entity()) || !are;
        self.0.table("order", &known, by_id(&facts.rows.orders, |row| row.id, sorted), orders);
    }

    /// What was found, with the rows of all others.
    pub(super) fn finish(self, facts: &Facts) -> Finding {
        let Self(mut compared) = self;
        catalog(facts, &mut compared);
        let looked_at = format!(
            "{} of orders, vendors, products, SKUs, sales, coupons and customers as their entities say; {} wait for the next checkpoint{}",
            counted(compared.same, "row"),
            count(compared.behind),
            if facts.remaking.is_empty() { "" } else { ", or for the remake of their kind's rows" },
        );
        Finding::new("tables", looked_at, compared.breaches)
    }
}

fn catalog(facts: &Facts, compared: &mut Compared) {
    let vendors_are = facts.are_made(Kind::Vendor);
    // A vendor that cannot be made has rows that nothing can be said of.
    let lost = |vendor: VendorId| facts.is_broken(vendor.entity()) || !vendors_are;
    let vendors = facts.vendors.iter().filter_map(|(id, vendor)| {
        let row = vendor.row.clone()?;
        Some((*id, (vendor.current && vendors_are).then_some(row)))
    });
    compared.table("vendor", &|id| lost(id), by_id(&facts.rows.vendors, |row| row.id, |row| row), vendors);
    let of_lost: BTreeMap<ProductId, bool> =
        facts.rows.products.iter().map(|row| (row.id, lost(row.vendor_id))).collect();
    let products = facts.vendors.values().flat_map(|vendor| {
        vendor.products.iter().map(|row| (row.id, (vendor.current && vendors_are).then(|| sorted_skus(row.clone()))))
    });
    compared.table(
        "product",
        &|id| of_lost.get(&id).copied().unwrap_or(false),
        by_id(&facts.rows.products, |row| row.id, sorted_skus),
        products,
    );
    let of_lost: BTreeMap<SkuId, bool> = facts.rows.skus.iter().map(|row| (row.id, lost(row.vendor_id))).collect();
    let skus = facts.vendors.values().flat_map(|vendor| {
        vendor.skus.iter().map(|row| (row.id, (vendor.current && vendors_are).then(|| row.clone())))
    });
    compared.table(
        "SKU",
        &|id| of_lost.get(&id).copied().unwrap_or(false),
        by_id(&facts.rows.skus, |row| row.id, |row| row),
        skus,
    );
    let of_lost: BTreeMap<SaleId, bool> = facts.rows.sales.iter().map(|row| (row.id, lost(row.vendor_id))).collect();
    let sales = facts.vendors.values().flat_map(|vendor| {
        vendor.sales.iter().map(|row| (row.id, (vendor.current && vendors_are).then(|| row.clone())))
    });
    compared.table(
        "sale",
        &|id| of_lost.get(&id).copied().unwrap_or(false),
        by_id(&facts.rows.sales, |row| row.id, |row| row),
        sales,
    );
    let coupons_are = facts.are_made(Kind::Coupon);
    let coupons = facts.coupons.iter();
    let coupons = coupons.map(|(id, (row, current))| (*id, (*current && coupons_are).then(|| row.clone())));
    let lost = |coupon: CouponId| facts.is_broken(coupon.entity()) || !coupons_are;
    compared.table("coupon", &|id| lost(id), by_id(&facts.rows.coupons, |row| row.id, |row| row), coupons);
    let customers_are = facts.are_made(Kind::Customer);
    let customers = facts.customers.iter();
    let customers = customers.map(|(id, (row, current))| (*id, (*current && customers_are).then_some(*row)));
    let lost = |customer: CustomerId| facts.is_broken(customer.entity()) || !customers_are;
    compared.table("customer", &|id| lost(id), by_id(&facts.rows.customers, |row| row.id, |row| row), customers);
}

#[derive(Debug, Default)]
struct Compared {
    same: u64,
    behind: u64,
    breaches: Breaches,
}

impl Compared {
    /// Compares a table with what entities say of it: a row, or nothing for what changed since the checkpoint.
    fn table<K: Ord + Display + Copy, R: PartialEq + Debug>(
        &mut self,
        what: &str,
        is_unclear: &dyn Fn(K) -> bool,
        mut there: BTreeMap<K, R>,
        should: impl Iterator<Item = (K, Option<R>)>,
    ) {
        for (id, row) in should {
            match (there.remove(&id), row) {
                (_, None) => self.behind += 1,
                (Some(there), Some(row)) if there == row => self.same += 1,
                (Some(there), Some(row)) => {
                    let (there, should) = differing(&there, &row);
                    self.breaches.add(format!("{what} {id}: its row says {there}, its entity {should}"));
                }
                (None, Some(_)) => self.breaches.add(format!("{what} {id}: it has no row")),
            }
        }
        for id in there.into_keys().filter(|id| !is_unclear(*id)) {
            self.breaches.add(format!("{what} {id}: there is a row, and the journal knows no such {what}"));
        }
    }
}

/// The first fields in which two rows differ, as they are written for debugging.
fn differing<R: Debug>(there: &R, should: &R) -> (String, String) {
    let fields = |row: &R| -> Vec<String> { format!("{row:#?}").lines().map(|line| line.trim().to_owned()).collect() };
    let (there, should) = (fields(there), fields(should));
    let place = there.iter().zip(&should).position(|(there, should)| there != should);
    let at = |fields: &[String]| {
        let place = place.unwrap_or(fields.len().min(there.len()).min(should.len()));
        fields.get(place).map_or_else(|| "nothing more".into(), |field| field.trim_end_matches(',').to_owned())
    };
    (at(&there), at(&should))
}

fn by_id<K: Ord, R: Clone>(rows: &[R], id: impl Fn(&R) -> K, form: impl Fn(R) -> R) -> BTreeMap<K, R> {
    rows.iter().map(|row| (id(row), form(row.clone()))).collect()
}

/// A row with what belongs to it in the order of ids: the tables keep no other.
pub(super) fn sorted(mut row: OrderRow) -> OrderRow {
    row.lines.sort_unstable_by_key(|line| line.sku_id);
    row.sub_orders.sort_unstable_by_key(|share| share.id);
    row.shipments.sort_unstable_by_key(|shipment| shipment.parcel.id);
    row.returns.sort_unstable_by_key(|returned| returned.known.id);
    row
}

fn sorted_skus(mut row: ProductRow) -> ProductRow {
    row.sku_ids.sort_unstable();
    row
}

#[cfg(test)]
mod tests {
    use super::super::facts::samples::{facts, order_id};
    use super::*;

    fn rows(facts: &Facts) -> Finding {
        let mut tables = Tables::default();
        tables.look(facts);
        tables.finish(facts)
    }

    #[test]
    fn rows_as_their_entities_say_are_counted() {
        let finding = rows(&facts());
        assert_eq!(finding.breaches.told(), [""; 0]);
        assert!(finding.looked_at.starts_with("3 rows of"), "{}", finding.looked_at);
    }

    #[test]
    fn a_changed_a_lost_and_a_strange_row_are_told() {
        let mut facts = facts();
        facts.rows.skus[0].on_hand = 9;
        facts.rows.vendors.clear();
        let mut stranger = facts.rows.orders[0].clone();
        stranger.id = order_id(5);
        facts.rows.orders.push(stranger);
        let told = rows(&facts).breaches.told().to_vec();
        assert_eq!(told.len(), 3, "{told:?}");
        assert!(told[0].ends_with("there is a row, and the journal knows no such order"), "{told:?}");
        assert!(told[1].ends_with("it has no row"), "{told:?}");
        assert!(told[2].ends_with("its row says on_hand: 9, its entity on_hand: 8"), "{told:?}");
    }

    #[test]
    fn rows_that_are_being_remade_are_not_compared() {
        let mut facts = facts();
        facts.rows.skus[0].on_hand = 9;
        facts.rows.vendors.clear();
        facts.remaking.insert(Kind::Vendor);
        let finding = rows(&facts);
        assert_eq!(finding.breaches.told(), [""; 0]);
        assert!(finding.looked_at.contains("for the remake"), "{}", finding.looked_at);
        facts.rows.orders.clear();
        assert_eq!(rows(&facts).breaches.told().len(), 1, "those of orders are compared as ever");
    }

    #[test]
    fn rows_behind_the_journal_are_not_compared() {
        let mut facts = facts();
        facts.rows.skus[0].on_hand = 9;
        facts.vendors.values_mut().for_each(|vendor| vendor.current = false);
        let finding = rows(&facts);
        assert_eq!(finding.breaches.count(), 0);
        assert!(finding.looked_at.ends_with("2 wait for the next checkpoint"), "{}", finding.looked_at);
    }
}
