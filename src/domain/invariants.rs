//! What a breach of an invariant is. Each entity checks what concerns it alone (`Entity::check`); what concerns several is checked by
//! `haat audit` over a store, by the tests over the domain, and by `haat-load` from outside.

use super::ids::{EntityRef, SkuId};
use std::fmt;

/// All names of invariants that an entity checks of itself.
pub const NAMES: [&str; 44] = [
    "cart_lines_are_sane",
    "cart_coupons_are_sane",
    "checkout_has_details",
    "a_merged_cart_says_where",
    "a_cart_is_merged_once",
    "amounts_are_sane",
    "nothing_is_credited_twice",
    "nothing_is_given_back_that_was_not_taken",
    "a_share_is_paid_once",
    "nothing_is_kept_that_is_not_owed",
    "lines_make_their_share",
    "totals_add_up",
    "a_line_is_credited_once",
    "nothing_is_due_at_the_end",
    "a_paid_order_is_paid_once",
    "what_is_owed_is_being_given_back",
    "a_paid_order_has_its_stock",
    "units_are_counted",
    "nothing_is_shipped_that_was_cancelled",
    "nothing_arrives_that_was_not_shipped",
    "nothing_comes_back_that_did_not_arrive",
    "what_is_credited_after_hand_over_was_handed_over",
    "nothing_is_in_stock_twice",
    "lines_say_what_their_parcels_say",
    "nothing_is_returned_that_did_not_arrive",
    "lines_say_what_their_returns_say",
    "an_ended_order_holds_nothing",
    "a_quarantine_has_its_reason",
    "stock_adds_up",
    "holds_add_up",
    "slots_add_up",
    "holds_are_timed",
    "a_leg_has_its_reason",
    "uses_are_within_limits",
    "uses_add_up",
    "a_code_is_used_once",
    "cash_is_collected_once",
    "an_order_is_counted_once",
    "a_room_is_not_too_full",
    "a_place_is_used_once",
    "points_pay_what_the_bill_says",
    "points_are_sane",
    "points_add_up",
    "who_owes_points_has_none",
];

/// An invariant that does not hold: a bug, never a user's error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Breach {
    /// Which invariant: a stable name.
    pub invariant: &'static str,
    /// Where.
    pub entity: EntityRef,
    /// Which SKU alone is concerned, where one is.
    pub sku: Option<SkuId>,
    /// In words, with the figures.
    pub detail: String,
}

impl Breach {
    /// A breach of `invariant` in `entity`.
    pub fn new(invariant: &'static str, entity: EntityRef, detail: impl Into<String>) -> Self {
        debug_assert!(NAMES.contains(&invariant), "{invariant} is not in the list of names");
        Self { invariant, entity, sku: None, detail: detail.into() }
    }

    /// That it concerns this SKU alone.
    #[must_use]
    pub fn of_sku(self, sku: SkuId) -> Self {
        Self { sku: Some(sku), ..self }
    }
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}", self.entity, self.invariant, self.detail)
    }
}

impl std::error::Error for Breach {}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// What is counted by name is to be there before the first breach: so the list must have every name that the sources have.
    #[test]
    fn every_name_is_in_the_list() {
        let sources = [
            include_str!("cart/mod.rs"),
            include_str!("order/mod.rs"),
            include_str!("vendor/mod.rs"),
            include_str!("vendor/breaches.rs"),
            include_str!("vendor/slots/held.rs"),
            include_str!("coupon/mod.rs"),
            include_str!("customer/mod.rs"),
            include_str!("room/mod.rs"),
        ];
        let of_money = [
            include_str!("order/share.rs"),
            include_str!("order/cash.rs"),
            include_str!("order/refund.rs"),
            include_str!("order/shipment.rs"),
            include_str!("order/fulfilment.rs"),
            include_str!("order/returns.rs"),
            include_str!("customer/points.rs"),
        ];
        let after = |source: &'static str, mark: &'static str| {
            source.split(mark).skip(1).filter_map(|rest| rest.split('"').next())
        };
        let made = sources.into_iter().flat_map(|source| ["Breach::new(\"", "breach(\""].map(|mark| (source, mark)));
        // With its words beside it, or alone.
        let of_money = of_money.into_iter().flat_map(|source| ["Some(\"", "Some((\""].map(|mark| (source, mark)));
        let named = made.chain(of_money).flat_map(|(source, mark)| after(source, mark));
        assert_eq!(named.collect::<BTreeSet<_>>(), NAMES.into_iter().collect());
    }
}
