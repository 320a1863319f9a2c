//! What an order costs: computed once, when all of its stock is held, at the prices at which it is held.

use super::legs::{LegState, Party};
use super::state::Body;
use super::{OrderEvent, OrderLine};
use crate::domain::coupon::{Reckoned, reckon};
use crate::domain::ids::VendorId;
use crate::domain::knowledge::Knowledge;
use crate::domain::money;
use crate::domain::pricing::Good;
use crate::domain::time::Timestamp;
use crate::domain::vendor::HeldLine;

impl Body {
    /// A vendor holds its share. With the last one the total is known: it is what the buyer expects, or the order ends.
    pub(super) fn decide_held(
        &self,
        vendor: VendorId,
        lines: &[HeldLine],
        knowledge: &Knowledge<'_>,
        now: Timestamp,
    ) -> Vec<OrderEvent> {
        let differs =
            |held: &&HeldLine| self.lines.iter().any(|line| line.sku == held.sku && line.unit_price != held.unit_price);
        let mut events = vec![OrderEvent::StockHeld { vendor, lines: lines.iter().filter(differs).copied().collect() }];
        let holds = |leg: &super::Leg| leg.with == Party::Stock(vendor) || leg.state == LegState::Held;
        if self.legs.iter().all(holds) {
            events.extend(self.decide_price(lines, knowledge, now));
        }
        events
    }

    /// With the last vendor's hold: what the coupons take off, and what is to be paid then. Where uses of a coupon are counted, one is asked for
    /// next, else the payment.
    fn decide_price(&self, lines: &[HeldLine], knowledge: &Knowledge<'_>, now: Timestamp) -> Vec<OrderEvent> {
        let price = |line: &OrderLine| {
            lines.iter().find(|held| held.sku == line.sku).map_or(line.unit_price, |held| held.unit_price)
        };
        let goods = money::sum(self.lines.iter().map(|line| line.quantity.saturating_mul(price(line))));
        let mut events = Vec::new();
        let (mut total, mut asks) = (goods, false);
        if !self.coupons.is_empty() {
            let known = knowledge.availability;
            let good = |line: &OrderLine| Good::of_goods(line.sku, line.vendor, line.quantity, price(line), known);
            let basket: Vec<Good<'_>> = self.lines.iter().map(good).collect();
            match reckon(&basket, &self.placed_coupons(), self.currency, known, now) {
                Ok(Reckoned { coupons, lines }) => {
                    total = goods.saturating_sub(money::sum(lines.iter().copied()));
                    asks = coupons.iter().any(|coupon| coupon.is_counted);
                    events.push(OrderEvent::CouponsTaken { coupons, lines });
                }
                Err((coupon, reason)) => return vec![OrderEvent::CouponRefused { coupon, reason }],
            }
        }
        if total != self.expected_total {
            return vec![OrderEvent::PriceDiffered { actual_total: total }];
        }
        events.push(OrderEvent::Priced { total });
        events.extend((!asks).then(|| Self::to_pay(total)));
        events
    }

    /// One of its parties that are asked after the price holds. With the last one all is held that it needs.
    pub(super) fn decide_leg_held(&self, with: Party) -> Vec<OrderEvent> {
        let holds = |leg: &super::Leg| leg.with == with || leg.state == LegState::Held;
        let last = self.legs.iter().all(holds).then(|| Self::to_pay(self.total));
        [OrderEvent::LegHeld { with }].into_iter().chain(last).collect()
    }

    /// The payment is asked for; of nothing, there is nothing to ask a provider for.
    fn to_pay(total: i64) -> OrderEvent {
        if total == 0 { OrderEvent::Paid { amount: 0 } } else { OrderEvent::PaymentRequested }
    }

    pub(super) fn take_prices(&mut self, held: &[HeldLine]) {
        for line in &mut self.lines {
            if let Some(now) = held.iter().find(|held| held.sku == line.sku) {
                line.unit_price = now.unit_price;
            }
        }
        self.add_up_shares();
    }
}
