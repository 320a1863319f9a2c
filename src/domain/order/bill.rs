//! What an order costs: computed once, when all of its stock is held, at the prices at which it is held.

use super::legs::{LegState, Party};
use super::state::Body;
use super::{OrderEvent, OrderLine};
use crate::domain::ids::VendorId;
use crate::domain::money;
use crate::domain::vendor::HeldLine;

impl Body {
    /// A vendor holds its share. With the last one the total is known: it is what the buyer expects, or the order ends.
    pub(super) fn decide_held(&self, vendor: VendorId, lines: &[HeldLine]) -> Vec<OrderEvent> {
        let differs = |held: &&HeldLine| {
            let known = |line: &&OrderLine| line.sku == held.sku;
            let of = |line: &OrderLine| (line.unit_price, line.list_price, line.sale);
            self.lines.iter().find(known).is_some_and(|line| of(line) != (held.unit_price, held.list_price, held.sale))
        };
        let mut events = vec![OrderEvent::StockHeld { vendor, lines: lines.iter().filter(differs).copied().collect() }];
        let holds = |leg: &super::Leg| leg.with == Party::Stock(vendor) || leg.state == LegState::Held;
        if self.legs.iter().all(holds) {
            let price = |line: &OrderLine| {
                lines.iter().find(|held| held.sku == line.sku).map_or(line.unit_price, |held| held.unit_price)
            };
            let total = money::sum(self.lines.iter().map(|line| line.quantity.saturating_mul(price(line))));
            if total == self.expected_total && total == 0 {
                // There is nothing to ask a provider for.
                events.extend([OrderEvent::Priced { total }, OrderEvent::Paid { amount: 0 }]);
            } else if total == self.expected_total {
                events.extend([OrderEvent::Priced { total }, OrderEvent::PaymentRequested]);
            } else {
                let held_in = |line: &OrderLine| lines.iter().find(|held| held.sku == line.sku).map(|held| held.sale);
                let is_over = |line: &OrderLine| line.sale.is_some() && held_in(line).unwrap_or(line.sale) != line.sale;
                let sale_over = self.sale_over || self.lines.iter().any(is_over);
                events.push(OrderEvent::PriceDiffered { actual_total: total, sale_over });
            }
        }
        events
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
}
