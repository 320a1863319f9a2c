//! Carts that were merged: what one gave the other took or left out, piece by piece, and once.

use super::super::text::{count, counted};
use super::facts::Facts;
use super::{Breaches, Finding};
use crate::domain::cart::{CartEvent, CartLine, LeftOut};
use crate::domain::ids::{CartId, EntityId, SkuId};
use std::collections::BTreeMap;

/// Pieces of each SKU.
type Pieces = BTreeMap<SkuId, i64>;

/// What a cart gave away.
#[derive(Clone, Debug, Default)]
struct Given {
    into: Option<CartId>,
    pieces: Pieces,
    acknowledged: bool,
}

/// What the journal says of what the carts at hand gave.
#[derive(Clone, Debug, Default)]
pub(super) struct MergeFacts {
    given: BTreeMap<CartId, Given>,
    /// By the cart that gave: who took what.
    taken: BTreeMap<CartId, Vec<(CartId, Pieces)>>,
}

fn add(pieces: &mut Pieces, lines: &[CartLine], left_out: &[LeftOut]) {
    let taken = lines.iter().map(|line| (line.sku, line.quantity));
    for (sku, quantity) in taken.chain(left_out.iter().map(|left| (left.sku, left.quantity))) {
        let pieces = pieces.entry(sku).or_default();
        *pieces = pieces.saturating_add(quantity);
    }
}

impl MergeFacts {
    /// Under which cart an event of this one is looked at: the one that gave.
    pub(super) fn giver(cart: CartId, event: &CartEvent) -> Option<CartId> {
        match event {
            CartEvent::Merged { .. } | CartEvent::MergeAcknowledged => Some(cart),
            CartEvent::MergedIn { from, .. } => Some(*from),
            _ => None,
        }
    }

    /// Takes an event of this cart.
    pub(super) fn see(&mut self, cart: CartId, event: &CartEvent) {
        match event {
            CartEvent::Merged { into, lines } => {
                let given = self.given.entry(cart).or_default();
                given.into = Some(*into);
                add(&mut given.pieces, lines, &[]);
            }
            CartEvent::MergedIn { from, lines, left_out, .. } => {
                let mut pieces = Pieces::new();
                add(&mut pieces, lines, left_out);
                self.taken.entry(*from).or_default().push((cart, pieces));
            }
            CartEvent::MergeAcknowledged => self.given.entry(cart).or_default().acknowledged = true,
            _ => {}
        }
    }
}

/// Holds what was given against what was taken.
#[derive(Debug, Default)]
pub(super) struct Merges {
    given: u64,
    under_way: u64,
    breaches: Breaches,
}

impl Merges {
    /// Looks at what the carts at hand gave, when all carts have been made.
    pub(super) fn look(&mut self, facts: &Facts) {
        let (merges, breaches) = (&facts.merges, &mut self.breaches);
        self.given += merges.given.len() as u64;
        for (from, given) in &merges.given {
            let taken = merges.taken.get(from).map_or(&[][..], Vec::as_slice);
            let is_broken = given.into.is_some_and(|into| facts.is_broken(into.entity()));
            match (given.into, taken) {
                (None, _) => breaches.add(format!("{from}: it heard of a merge that it did not begin")),
                // It gives its lines until it has heard; on a store that is at rest there is none.
                (Some(_), []) if !given.acknowledged => self.under_way += 1,
                (Some(_), []) if is_broken => {}
                (Some(into), []) => breaches.add(format!("{from}: it heard that {into} has its lines, which has none")),
                (Some(into), [(by, pieces)]) if *by == into && *pieces == given.pieces => {}
                (Some(into), [(by, _)]) if *by == into => {
                    breaches.add(format!("{from}: what {into} took and left out is not what it was given"));
                }
                (Some(into), all) => {
                    let by: Vec<String> = all.iter().map(|(by, _)| by.to_string()).collect();
                    breaches.add(format!("{from}: it was given to {into}, and taken by {}", by.join(", ")));
                }
            }
        }
        for (from, taken) in &merges.taken {
            if !merges.given.contains_key(from) && !facts.is_broken(from.entity()) {
                for (by, _) in taken {
                    breaches.add(format!("{by}: it took {from}, which was not given"));
                }
            }
        }
    }

    /// What was found.
    pub(super) fn finish(self) -> Finding {
        let under_way = match self.under_way {
            0 => String::new(),
            some => format!(", {} yet to be taken", count(some)),
        };
        let looked_at =
            format!("{}: each piece given was taken or left out, once{under_way}", counted(self.given, "merged cart"));
        Finding::new("merges", looked_at, self.breaches)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::VendorId;
    use crate::domain::money::Currency;
    use crate::domain::reject::RejectKind;
    use uuid::Uuid;

    fn cart(number: u128) -> CartId {
        CartId::from_uuid(Uuid::from_u128(number))
    }

    fn line(quantity: i64) -> CartLine {
        let (sku, vendor) = (SkuId::from_uuid(Uuid::from_u128(7)), VendorId::from_uuid(Uuid::from_u128(8)));
        CartLine { sku, vendor, title: "Quilt".into(), quantity, unit_price: 1, sale: None }
    }

    fn taken(from: u128, took: i64, left: i64) -> CartEvent {
        let left = LeftOut { sku: line(1).sku, quantity: left, why: RejectKind::QuantityOutOfRange };
        let left_out = if left.quantity > 0 { vec![left] } else { Vec::new() };
        CartEvent::MergedIn {
            from: cart(from),
            lines: vec![line(took)],
            currency: Currency::BDT,
            left_out,
            coupons: Vec::new(),
        }
    }

    fn told(events: &[(u128, CartEvent)]) -> Vec<String> {
        let mut facts = Facts::default();
        events.iter().for_each(|(number, event)| facts.merges.see(cart(*number), event));
        let mut merges = Merges::default();
        merges.look(&facts);
        merges.finish().breaches.told().to_vec()
    }

    #[test]
    fn what_is_given_is_taken_or_left_out_once() {
        let given = || (1, CartEvent::Merged { into: cart(2), lines: vec![line(5)] });
        let heard = || (1, CartEvent::MergeAcknowledged);
        for fine in
            [vec![given()], vec![given(), (2, taken(1, 5, 0))], vec![given(), (2, taken(1, 3, 2)), heard()], vec![]]
        {
            assert_eq!(told(&fine), [""; 0]);
        }
        for (wrong, says) in [
            (vec![given(), heard()], "which has none"),
            (vec![given(), (2, taken(1, 3, 1))], "is not what it was given"),
            (vec![given(), (2, taken(1, 5, 0)), (2, taken(1, 5, 0))], "taken by"),
            (vec![given(), (3, taken(1, 5, 0))], "taken by"),
            (vec![(2, taken(1, 5, 0))], "which was not given"),
            (vec![heard()], "did not begin"),
        ] {
            let told = told(&wrong);
            assert!(told.len() == 1 && told[0].contains(says), "{told:?}: {says}");
        }
    }
}
