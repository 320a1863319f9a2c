//! Merging a guest's cart into a customer's.
//!
//! Two entities take part, so one of them decides first: the guest's cart is closed by `Merged`, with the lines that it
//! gives away, and sends them until the other has recorded `MergedIn` and said so. The other remembers from which carts
//! it took what, so whatever is repeated, each piece is taken once. What it cannot take it leaves out, and says why: what
//! was given is what was taken and what was left out, whatever has become of the cart on the way.

use super::prices::{Today, rules_of};
use super::{Cart, CartEvent, CartLine, CartStatus, LeftOut, MergedFrom, SkuPrice};
use crate::domain::buyer::Audience;
use crate::domain::entity::Principal;
use crate::domain::ids::{CartId, SkuId};
use crate::domain::knowledge::{Availability, Offered};
use crate::domain::money::Currency;
use crate::domain::order::PlacedCoupon;
use crate::domain::reject::{Reject, RejectKind};
use crate::domain::time::Timestamp;
use crate::limits;

/// What a cart takes of another one's lines.
struct Taking<'a> {
    cart: &'a Cart,
    audience: Audience,
    currency: Currency,
    taken: Vec<CartLine>,
    left_out: Vec<LeftOut>,
}

impl Taking<'_> {
    fn leave_out(&mut self, sku: SkuId, quantity: i64, why: RejectKind) {
        self.left_out.push(LeftOut { sku, quantity, why });
    }

    /// Takes of a line as much as fits: by the rules, and in the order of precedence, by which a line is set.
    fn take(&mut self, line: &CartLine, known: &dyn Availability, now: Timestamp) {
        let (sku, wanted) = (line.sku, line.quantity);
        let Some(Offered { price, sale, .. }) = known.shown(sku, now) else {
            return self.leave_out(sku, wanted, RejectKind::SkuUnknown);
        };
        let there = self.cart.line(sku);
        let others = self.cart.lines.len() - usize::from(there.is_some()) + self.taken_anew();
        if others > 0 && price.currency != self.currency {
            return self.leave_out(sku, wanted, RejectKind::CurrencyMismatch);
        }
        if there.is_none() && others >= limits::CART_LINES {
            return self.leave_out(sku, wanted, RejectKind::TooManyLines);
        }
        let rules = rules_of(sku, self.audience, known);
        let had = there.map_or(0, |line| line.quantity);
        let fits = wanted.min((rules.most() - had).max(0));
        if fits < wanted {
            self.leave_out(sku, wanted - fits, RejectKind::QuantityOutOfRange);
        }
        let past_step = rules.past_step(had + fits).min(fits);
        if past_step > 0 {
            self.leave_out(sku, past_step, RejectKind::QuantityStep);
        }
        let quantity = fits - past_step;
        if quantity > 0 {
            self.currency = price.currency;
            self.taken.push(CartLine { quantity, unit_price: price.minor, sale, ..line.clone() });
        }
    }

    /// Lines that the cart has not had before.
    fn taken_anew(&self) -> usize {
        self.taken.iter().filter(|line| self.cart.line(line.sku).is_none()).count()
    }
}

/// As many more pieces of each.
fn add_up(lines: &mut Vec<CartLine>, more: &[CartLine]) {
    for line in more {
        match lines.iter_mut().find(|known| known.sku == line.sku) {
            Some(known) => *known = CartLine { quantity: known.quantity.saturating_add(line.quantity), ..line.clone() },
            None => lines.push(line.clone()),
        }
    }
}

impl Cart {
    /// What this cart took of that one, and what it left out; `None` where it has taken nothing.
    pub(super) fn merge_from(&self, from: CartId) -> Option<&MergedFrom> {
        self.merges.iter().find(|merge| merge.from == from)
    }

    /// The cart that this one was merged into.
    pub fn merged_into(&self) -> Option<CartId> {
        self.merge.map(|merge| merge.into)
    }

    /// The carts that were merged into this one.
    pub fn merges(&self) -> &[MergedFrom] {
        &self.merges
    }

    /// Whether `from` may be merged into this cart, or was.
    pub(super) fn may_take(&self, by: Principal, from: CartId) -> Result<(), Reject> {
        self.may_see(by)?;
        if self.merge_from(from).is_some() {
            return Ok(());
        }
        self.may_change(by)?;
        // Each is remembered for as long as the cart is. Those that are let in at once may be more by as many as they are.
        match self.merges.len() < limits::CART_MERGES {
            true => Ok(()),
            false => Err(Reject::TooMany { what: "carts merged into one cart".into(), limit: limits::CART_MERGES }),
        }
    }

    /// A guest gives this cart away.
    pub(super) fn decide_giving(&self, by: Principal, into: CartId) -> Result<Vec<CartEvent>, Reject> {
        self.may_see(by)?;
        if self.merged_into() == Some(into) {
            return Ok(Vec::new());
        }
        self.may_change(by)?;
        Ok(vec![CartEvent::Merged { into, lines: self.lines.clone() }])
    }

    /// Another cart gives its lines. What this one has become meanwhile is no reason to refuse them: the other is closed.
    pub(super) fn decide_taking(
        &self,
        from: CartId,
        lines: &[CartLine],
        coupons: &[PlacedCoupon],
        known: &dyn Availability,
        now: Timestamp,
    ) -> Result<Vec<CartEvent>, Reject> {
        if self.owner.is_none() {
            return Err(Reject::CartUnknown);
        }
        if self.merge_from(from).is_some() {
            return Ok(Vec::new());
        }
        let (audience, currency) = (self.audience(known), self.currency);
        let mut taking = Taking { cart: self, audience, currency, taken: Vec::new(), left_out: Vec::new() };
        match self.closed_because() {
            Some(closed) => lines.iter().for_each(|line| taking.leave_out(line.sku, line.quantity, closed.kind())),
            None => lines.iter().for_each(|line| taking.take(line, known, now)),
        }
        let Taking { currency, mut taken, left_out, .. } = taking;
        // With the others' pieces, which may count together.
        let mut after = self.lines.clone();
        add_up(&mut after, &taken);
        let today = Today::new(known, audience, &after, now);
        for line in &mut taken {
            let added_up = after.iter().find(|known| known.sku == line.sku).unwrap_or(line);
            if let Some(offered) = today.price(added_up) {
                (line.unit_price, line.sale) = (offered.price.minor, offered.sale);
            }
        }
        // The answer shows all lines, as that to a change of one does.
        let others = match self.status {
            CartStatus::Open => self.todays_prices(|sku| taken.iter().all(|line| line.sku != sku), today),
            _ => Vec::new(),
        };
        let repriced = (!others.is_empty()).then_some(CartEvent::Repriced { prices: others });
        let coupons = match self.status {
            CartStatus::Open => self.further_coupons(coupons, known),
            _ => Vec::new(),
        };
        let merged = CartEvent::MergedIn { from, lines: taken, currency, left_out, coupons };
        Ok(std::iter::once(merged).chain(repriced).collect())
    }

    /// Another cart's lines are in this one.
    pub(super) fn take_in(
        &mut self,
        from: CartId,
        lines: &[CartLine],
        currency: Currency,
        left_out: &[LeftOut],
        coupons: &[PlacedCoupon],
    ) {
        if !lines.is_empty() {
            self.currency = currency;
        }
        add_up(&mut self.lines, lines);
        self.coupons.extend_from_slice(coupons);
        self.merges.push(MergedFrom { from, left_out: left_out.to_vec() });
    }

    /// Today's prices of those lines that are asked for, where they are not those that were agreed to.
    pub(super) fn todays_prices(&self, of: impl Fn(SkuId) -> bool, today: Today<'_>) -> Vec<SkuPrice> {
        let today = |line: &CartLine| {
            let Offered { price, sale, .. } = today.price(line)?;
            let is_another = price.currency == self.currency && (price.minor, sale) != (line.unit_price, line.sale);
            is_another.then_some(SkuPrice { sku: line.sku, unit_price: price.minor, sale })
        };
        self.lines.iter().filter(|line| of(line.sku)).filter_map(today).collect()
    }
}
