//! What the pieces in a cart cost today, and how many of each it may hold, as far as the node knows. The vendors decide both again when they
//! are asked to hold them.

use super::{Cart, CartLine};
use crate::domain::buyer::{Audience, Exemption};
use crate::domain::entity::Owner;
use crate::domain::ids::{SaleId, SkuId};
use crate::domain::knowledge::{Availability, Offered};
use crate::domain::money::{self, Money};
use crate::domain::reject::Reject;
use crate::domain::time::Timestamp;
use crate::domain::vendor::{PriceBreak, QuantityRules, SkuTerms, price_of};

/// Which prices the owner of a cart has.
pub fn audience_of(owner: Option<Owner>, known: &dyn Availability) -> Audience {
    owner.and_then(|owner| owner.customer()).map_or(Audience::Retail, |customer| known.audience(customer))
}

/// Why the owner of a cart pays no tax; `None` of one who does.
pub(super) fn exemption_of(owner: Option<Owner>, known: &dyn Availability) -> Option<Exemption> {
    known.exemption(owner?.customer()?)
}

/// What these lines cost together today. Pieces of one product may count together, so the price of a line depends on the others.
#[derive(Clone, Copy)]
pub struct Today<'a> {
    known: &'a dyn Availability,
    audience: Audience,
    lines: &'a [CartLine],
    now: Timestamp,
    /// So many pieces of this one, whatever its line says: none where it is to go.
    instead: Option<(SkuId, i64)>,
}

impl<'a> Today<'a> {
    /// Of these lines, for such a buyer, at this moment.
    pub fn new(known: &'a dyn Availability, audience: Audience, lines: &'a [CartLine], now: Timestamp) -> Self {
        Self { known, audience, lines, now, instead: None }
    }

    /// The same with so many pieces of a SKU.
    #[must_use]
    pub fn with(self, sku: SkuId, quantity: i64) -> Self {
        Self { instead: Some((sku, quantity)), ..self }
    }

    fn of_product(&self, sku: SkuId) -> i64 {
        let product = self.known.product(sku);
        let others = self.lines.iter().filter(|line| self.instead.is_none_or(|(set, _)| set != line.sku));
        let pieces = others.map(|line| (line.sku, line.quantity)).chain(self.instead);
        money::sum(pieces.filter(|(sku, _)| self.known.product(*sku) == product).map(|(_, quantity)| quantity))
    }

    fn counted(&self, terms: &SkuTerms, sku: SkuId, quantity: i64) -> i64 {
        terms.counted(quantity, || self.of_product(sku))
    }

    /// What one of so many pieces costs, in minor units, and the sale that they are in, where one alone costs `list`.
    pub fn price_at(&self, sku: SkuId, quantity: i64, list: i64) -> (i64, Option<SaleId>) {
        let offered = self.known.shown(sku, self.now);
        let sale = offered.and_then(|offered| offered.sale);
        let sale_price = offered.filter(|_| sale.is_some()).map(|offered| offered.price.minor);
        let unit_price = match self.known.terms(sku) {
            None => sale_price.map_or(list, |sale| sale.min(list)),
            Some(terms) => price_of(list, &terms, self.audience, self.counted(&terms, sku, quantity), sale_price).0,
        };
        (unit_price, sale)
    }

    /// What one piece of a line costs; `None` for a SKU that is not known.
    pub fn price(&self, line: &CartLine) -> Option<Offered> {
        let list = self.known.price(line.sku)?;
        let (minor, sale) = self.price_at(line.sku, line.quantity, list.minor);
        Some(Offered { sale, ..Offered::regular(Money { minor, ..list }) })
    }

    /// From how many pieces on one of a line costs less than now, with what it costs then; where the pieces of a product count together,
    /// so many of the product.
    pub fn next_break(&self, line: &CartLine) -> Option<PriceBreak> {
        let terms = self.known.terms(line.sku)?;
        let counted = self.counted(&terms, line.sku, line.quantity);
        terms.next_break(self.audience, counted, line.unit_price)
    }
}

/// How many pieces of a SKU such a buyer may take.
pub(super) fn rules_of(sku: SkuId, audience: Audience, known: &dyn Availability) -> QuantityRules {
    known.terms(sku).map_or_else(QuantityRules::default, |terms| terms.quantities_for(audience))
}

impl Cart {
    /// Which prices its owner has.
    pub(super) fn audience(&self, known: &dyn Availability) -> Audience {
        audience_of(self.owner, known)
    }

    /// Why what is in it cannot be bought in these quantities, if it cannot: by the refusal that goes before all others.
    pub(super) fn wrong_quantity(&self, audience: Audience, known: &dyn Availability) -> Option<Reject> {
        let wrong = |line: &CartLine| rules_of(line.sku, audience, known).refuse(line.sku, line.quantity);
        self.lines.iter().filter_map(wrong).min_by_key(Reject::kind)
    }
}
