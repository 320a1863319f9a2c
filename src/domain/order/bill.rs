//! What an order costs: computed once, when all of its stock is held, at the prices at which it is held.

use super::cash::within_maximum;
use super::legs::{LegState, Party};
use super::state::Body;
use super::{OrderEvent, OrderLine, TakenCoupon};
use crate::domain::coupon::Usable;
use crate::domain::ids::VendorId;
use crate::domain::knowledge::Knowledge;
use crate::domain::loyalty::{EarnTerms, WHOLE};
use crate::domain::money::{self, Currency, Money};
use crate::domain::pricing::bill::is_wrong;
use crate::domain::pricing::{Basket, Bill, BillLine, BillShare, Destination, Good, ON_DELIVERY, Tables, bill};
use crate::domain::reject::Reject;
use crate::domain::time::Timestamp;
use crate::domain::vendor::{HeldLine, Slot};

/// What an order comes to.
struct Billed {
    /// What is to be paid, in minor units.
    total: i64,
    /// What that is made of, where it is more than lines.
    bill: Option<Box<Bill>>,
    /// What its coupons take off.
    coupons: Vec<TakenCoupon>,
    /// What it has to do with points.
    points: Option<Pointed>,
}

/// With how many points an order is paid, and by what it earns some.
struct Pointed {
    spent: i64,
    value: i64,
    earns: Option<Box<EarnTerms>>,
}

impl Pointed {
    /// `None` where it has nothing to do with points.
    fn of(spent: i64, value: i64, earns: Option<Box<EarnTerms>>) -> Option<Self> {
        let earns = earns.filter(|terms| terms.basis_points > 0);
        let value = if spent > 0 { value } else { 0 };
        (spent > 0 || earns.is_some()).then_some(Self { spent, value, earns })
    }
}

/// What was asked last of all that an order needs.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    Price,
    Points,
    Cash,
}

impl Body {
    /// A vendor holds its share. With the last one the total is known: it is what the buyer expects, or the order ends.
    pub(super) fn decide_held(
        &self,
        vendor: VendorId,
        lines: &[HeldLine],
        slot: Option<&Slot>,
        knowledge: &Knowledge<'_>,
        now: Timestamp,
    ) -> Vec<OrderEvent> {
        let differs = |held: &&HeldLine| {
            let known = |line: &&OrderLine| line.sku == held.sku;
            let of = |line: &OrderLine| (line.unit_price, line.list_price, line.sale);
            self.lines.iter().find(known).is_some_and(|line| of(line) != (held.unit_price, held.list_price, held.sale))
        };
        // With the last vendor the price follows, and the payment.
        let mut events = Vec::with_capacity(3);
        let slot = slot.cloned().map(Box::new);
        events.push(OrderEvent::StockHeld { vendor, lines: lines.iter().filter(differs).copied().collect(), slot });
        let holds = |leg: &super::Leg| leg.with == Party::Stock(vendor) || leg.state == LegState::Held;
        if self.legs.iter().all(holds)
            && let Err(reason) = self.priced(lines, knowledge, now, &mut events)
        {
            events.push(OrderEvent::BillRefused { reason });
        }
        events
    }

    /// What follows once all stock is held: where uses of a coupon are counted, one is asked for next, else the payment.
    fn priced(
        &self,
        held: &[HeldLine],
        knowledge: &Knowledge<'_>,
        now: Timestamp,
        events: &mut Vec<OrderEvent>,
    ) -> Result<(), Reject> {
        let Billed { total, bill, coupons, points } = self.billed(held, knowledge, now)?;
        within_maximum(&self.payment.method, total, self.currency, knowledge.prices)?;
        let wanted = self.buyer.as_ref().and_then(|buyer| buyer.points);
        let paid = points.as_ref().map_or(0, |points| points.spent.saturating_mul(points.value));
        let beside = if wanted.is_some_and(|wanted| wanted.beside) { paid } else { 0 };
        if total.saturating_add(beside) != self.expected_total {
            let held_in = |line: &OrderLine| held.iter().find(|held| held.sku == line.sku).map(|held| held.sale);
            let missed = |line: &OrderLine| line.sale.filter(|_| held_in(line).unwrap_or(line.sale) != line.sale);
            let missed = self.missed_sale.or_else(|| self.lines.iter().find_map(missed));
            // One that is sold out goes on, and has another price to whoever comes now.
            let sale_over = missed.is_some_and(|sale| knowledge.availability.is_sale_over(sale, now));
            events.push(OrderEvent::PriceDiffered { actual_total: total, sale_over });
            return Ok(());
        }
        if total > 0 && wanted.is_some_and(|wanted| wanted.alone) {
            let reason = "points do not pay all of it: a means of payment is needed besides".into();
            return Err(Reject::PaymentUnsupported { reason, token: true });
        }
        let least = knowledge.prices.least(&self.payment.method, self.currency);
        if (1..least).contains(&total) {
            return Err(Reject::AmountBelowMinimum { minimum: Money::new(least, self.currency) });
        }
        let asks = coupons.iter().any(|coupon| coupon.is_counted);
        if !coupons.is_empty() {
            events.push(OrderEvent::CouponsTaken { coupons });
        }
        let spent = points.as_ref().map_or(0, |points| points.spent);
        if let Some(Pointed { spent, value, earns }) = points {
            events.push(OrderEvent::PointsTaken { spent, value, earns });
        }
        events.push(OrderEvent::Priced { total, bill });
        if !asks {
            events.push(self.after(Stage::Price, total, spent));
        }
        Ok(())
    }

    /// One of its parties that are asked after the price holds. With the last one all is held that it needs.
    pub(super) fn decide_leg_held(&self, with: Party) -> Vec<OrderEvent> {
        let holds = |leg: &super::Leg| leg.with == with || leg.state == LegState::Held;
        let stage = match with {
            Party::Stock(_) | Party::Coupon(_) => Stage::Price,
            Party::Points(_) => Stage::Points,
            Party::Cash(_) => Stage::Cash,
        };
        let last = self.legs.iter().all(holds).then(|| self.after(stage, self.total, self.points_spent()));
        [OrderEvent::LegHeld { with }].into_iter().chain(last).collect()
    }

    /// What follows once all that was asked up to this stage is held: points are asked for, if it is to be paid with some, then the payment.
    fn after(&self, stage: Stage, total: i64, points: i64) -> OrderEvent {
        if points > 0
            && stage < Stage::Points
            && let Some(with) = self.points_party()
        {
            return OrderEvent::LegAsked { with };
        }
        self.to_pay(total, stage == Stage::Cash)
    }

    /// The payment is asked for, unless it is made at the door; of nothing, there is nothing to ask anybody for.
    fn to_pay(&self, total: i64, is_counted: bool) -> OrderEvent {
        match total {
            0 => OrderEvent::Paid { amount: 0 },
            _ if self.payment.method == ON_DELIVERY => self.to_confirm(is_counted),
            _ => OrderEvent::PaymentRequested,
        }
    }

    /// What it comes to. These lines are held, beside those that it knows.
    fn billed(&self, held: &[HeldLine], knowledge: &Knowledge<'_>, now: Timestamp) -> Result<Billed, Reject> {
        let price = |line: &OrderLine| {
            held.iter().find(|held| held.sku == line.sku).map_or(line.unit_price, |held| held.unit_price)
        };
        let tables = knowledge.prices.tables();
        let earns = self.earn_terms(tables.as_deref());
        let value = earns.as_ref().map_or(0, |terms| terms.worth);
        let wanted = self.buyer.as_ref().and_then(|buyer| buyer.points).map_or(0, |wanted| wanted.points);
        if wanted > 0 && value == 0 {
            return Err(no_points(tables.as_deref(), self.currency));
        }
        let tables = tables.filter(|tables| !tables.is_plain());
        let is_more = !self.shipping.is_empty() || !self.coupons.is_empty() || wanted > 0;
        let Some(tables) = tables.or_else(|| is_more.then(Default::default)) else {
            let total = money::sum(self.lines.iter().map(|line| line.quantity.saturating_mul(price(line))));
            return match money::is_past_64_bits(total) {
                true => Err(Reject::AmountTooLarge),
                false => {
                    let points = Pointed::of(0, 0, earns);
                    Ok(Billed { total, bill: None, coupons: Vec::new(), points })
                }
            };
        };
        let placed = self.placed_coupons();
        let usable = Usable::new(&placed, knowledge.availability, now)?;
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
            promotions: &usable.promotions(),
            shipping: &tables.shipping,
            chosen: &self.shipping,
            to: Destination::of(&buyer),
            on_delivery: self.payment.method == ON_DELIVERY,
            tax: tables.tax.as_ref(),
            exempt: buyer.exempt,
            placed_at: self.placed_at,
            points: wanted,
            point_value: value,
        })?;
        let (total, coupons) = (bill.total(), usable.taken(&bill));
        let spent = if value > 0 { bill.points() / value } else { 0 };
        let points = Pointed::of(spent, value, earns);
        Ok(Billed { total, bill: (!bill.is_plain()).then(|| Box::new(bill)), coupons, points })
    }

    /// By what it earns: of a customer's order alone, in a currency in which points are worth something.
    fn earn_terms(&self, tables: Option<&Tables>) -> Option<Box<EarnTerms>> {
        let programme = tables?.loyalty.as_ref().filter(|_| self.owner.customer().is_some())?;
        let multiplier = self.buyer.as_ref().and_then(|buyer| buyer.multiplier).unwrap_or(WHOLE);
        programme.terms(self.currency, multiplier).map(Box::new)
    }

    pub(super) fn take_prices(&mut self, held: &[HeldLine]) {
        if held.is_empty() {
            return;
        }
        for line in &mut self.lines {
            if let Some(now) = held.iter().find(|held| held.sku == line.sku) {
                self.missed_sale = self.missed_sale.or(line.sale.filter(|_| line.sale != now.sale));
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

/// Why nothing can be paid with points in this currency.
pub(crate) fn no_points(tables: Option<&Tables>, found: Currency) -> Reject {
    let other = tables.and_then(|tables| tables.loyalty.as_ref()?.point_values.first());
    match other {
        Some(value) => Reject::CurrencyMismatch { expected: value.currency, found },
        None => Reject::PointsInsufficient { available: 0 },
    }
}

fn is_on_sale(line: &OrderLine, held: &[HeldLine]) -> bool {
    held.iter().find(|held| held.sku == line.sku).map_or(line.sale, |held| held.sale).is_some()
}
