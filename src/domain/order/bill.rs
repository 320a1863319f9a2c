//! What an order costs: computed once, when all of its stock is held, at the prices at which it is held.

use super::legs::{LegState, Party};
use super::state::Body;
use super::{OrderEvent, OrderLine};
use crate::domain::ids::VendorId;
use crate::domain::knowledge::Knowledge;
use crate::domain::money::{self, Money};
use crate::domain::pricing::bill::is_wrong;
use crate::domain::pricing::{Basket, Bill, BillLine, BillShare, Destination, Good, ON_DELIVERY, bill};
use crate::domain::reject::Reject;
use crate::domain::vendor::HeldLine;

impl Body {
    /// A vendor holds its share. With the last one the total is known: it is what the buyer expects, or the order ends.
    pub(super) fn decide_held(
        &self,
        vendor: VendorId,
        lines: &[HeldLine],
        knowledge: &Knowledge<'_>,
    ) -> Vec<OrderEvent> {
        let differs = |held: &&HeldLine| {
            let known = |line: &&OrderLine| line.sku == held.sku;
            let of = |line: &OrderLine| (line.unit_price, line.list_price, line.sale);
            self.lines.iter().find(known).is_some_and(|line| of(line) != (held.unit_price, held.list_price, held.sale))
        };
        let mut events = vec![OrderEvent::StockHeld { vendor, lines: lines.iter().filter(differs).copied().collect() }];
        let holds = |leg: &super::Leg| leg.with == Party::Stock(vendor) || leg.state == LegState::Held;
        if self.legs.iter().all(holds) {
            events.extend(
                self.priced(lines, knowledge).unwrap_or_else(|reason| vec![OrderEvent::BillRefused { reason }]),
            );
        }
        events
    }

    /// What follows once everything is held.
    fn priced(&self, held: &[HeldLine], knowledge: &Knowledge<'_>) -> Result<Vec<OrderEvent>, Reject> {
        let (total, bill) = self.billed(held, knowledge)?;
        if total != self.expected_total {
            let held_in = |line: &OrderLine| held.iter().find(|held| held.sku == line.sku).map(|held| held.sale);
            let is_over = |line: &OrderLine| line.sale.is_some() && held_in(line).unwrap_or(line.sale) != line.sale;
            let sale_over = self.sale_over || self.lines.iter().any(is_over);
            return Ok(vec![OrderEvent::PriceDiffered { actual_total: total, sale_over }]);
        }
        let least = knowledge.prices.least(&self.payment.method, self.currency);
        Ok(match total {
            // There is nothing to ask a provider for.
            0 => vec![OrderEvent::Priced { total, bill }, OrderEvent::Paid { amount: 0 }],
            _ if total < least => return Err(Reject::AmountBelowMinimum { minimum: Money::new(least, self.currency) }),
            _ => vec![OrderEvent::Priced { total, bill }, OrderEvent::PaymentRequested],
        })
    }

    /// What it comes to, and what that is made of where it is more than lines. These lines are held, beside those that it knows.
    fn billed(&self, held: &[HeldLine], knowledge: &Knowledge<'_>) -> Result<(i64, Option<Box<Bill>>), Reject> {
        let price = |line: &OrderLine| {
            held.iter().find(|held| held.sku == line.sku).map_or(line.unit_price, |held| held.unit_price)
        };
        let tables = knowledge.prices.tables().filter(|tables| !tables.is_empty());
        let Some(tables) = tables.or_else(|| (!self.shipping.is_empty()).then(Default::default)) else {
            let total = money::sum(self.lines.iter().map(|line| line.quantity.saturating_mul(price(line))));
            return if money::is_past_64_bits(total) { Err(Reject::AmountTooLarge) } else { Ok((total, None)) };
        };
        let good = |line: &OrderLine| {
            let of = (line.sku, line.vendor);
            tables.good(of, line.quantity, price(line), is_on_sale(line, held), knowledge.availability)
        };
        let goods: Vec<Good<'_>> = self.lines.iter().map(good).collect();
        let of_address = self.shipping_address.as_ref().map(|address| Box::new(address.buyer()));
        let buyer = self.buyer.clone().or(of_address).unwrap_or_default();
        let bill = bill(&Basket {
            currency: self.currency,
            goods: &goods,
            promotions: &[],
            shipping: &tables.shipping,
            chosen: &self.shipping,
            to: Destination::of(&buyer),
            on_delivery: self.payment.method == ON_DELIVERY,
            tax: tables.tax.as_ref(),
            exempt: false,
            placed_at: self.placed_at,
            points: 0,
        })?;
        let total = bill.total();
        Ok((total, (!bill.is_plain()).then(|| Box::new(bill))))
    }

    pub(super) fn take_prices(&mut self, held: &[HeldLine]) {
        for line in &mut self.lines {
            if let Some(now) = held.iter().find(|held| held.sku == line.sku) {
                self.sale_over |= line.sale.is_some() && line.sale != now.sale;
                (line.unit_price, line.list_price, line.sale) = (now.unit_price, now.list_price, now.sale);
            }
        }
        self.add_up_shares();
    }

    /// What of its bill cannot be. One of an order that has none is nothing but lines.
    pub(super) fn bill_is_wrong(&self) -> Option<&'static str> {
        let lines: Vec<&BillLine> = self.lines.iter().filter_map(|line| line.billed.as_deref()).collect();
        let shares: Vec<&BillShare> = self.shares.iter().filter_map(|share| share.billed.as_deref()).collect();
        if self.bill.is_none() {
            return (!(lines.is_empty() && shares.is_empty())).then_some("a_bill_is_whole");
        }
        let of_lines =
            self.lines.iter().all(|line| line.billed.as_ref().is_some_and(|billed| billed.total == line.total()));
        if !of_lines || shares.len() != self.shares.len() {
            return Some("a_bill_is_whole");
        }
        is_wrong(self.prices_include_tax(), &lines, &shares)
    }
}

fn is_on_sale(line: &OrderLine, held: &[HeldLine]) -> bool {
    held.iter().find(|held| held.sku == line.sku).map_or(line.sale, |held| held.sale).is_some()
}
