//! What a vendor does with stock for orders: it holds pieces, sells what was held, and takes back what was cancelled of a paid order.
//!
//! What was taken back is remembered until its order says that it has heard so: the order asks again until then, and the pieces come back once.

use super::sales::Taken;
use super::slots::Moves;
use super::{HeldLine, HeldStock, OnSale, PartKey, RestockedUnits, SlotId, StockHold, Vendor, VendorEvent, WantedLine};
use crate::domain::buyer::HeldFor;
use crate::domain::entity::{Effect, Message};
use crate::domain::hold::{CreditKey, Hold, HoldPart};
use crate::domain::ids::{CreditId, OrderId, VendorId};
use crate::domain::money::Currency;
use crate::domain::order::OrderCommand;
use crate::domain::reject::{Refusal, Reject};
use crate::domain::time::Timestamp;
use crate::limits;

impl Vendor {
    pub(super) fn decide_reserve(
        &self,
        order: OrderId,
        until: Timestamp,
        currency: Currency,
        lines: &[WantedLine],
        held_for: &HeldFor,
        now: Timestamp,
    ) -> Result<Vec<VendorEvent>, Reject> {
        // It holds already, or has sold what it held: this is the echo of an old request.
        if self.holds.until(order).is_some() {
            return Ok(Vec::new());
        }
        if self.head.name.is_none() {
            return Err(Reject::VendorUnknown);
        }
        let mut held = Vec::with_capacity(lines.len());
        let (mut refusal, mut wrong, mut foreign) = (Refusal::default(), Refusal::default(), None);
        let audience = held_for.audience;
        let mut in_sales: Vec<(OnSale<'_>, i64)> = Vec::new();
        for line in lines {
            let sku = self.sku(line.sku)?;
            if !self.is_for_sale(line.sku) {
                refusal.add(Reject::SkuUnavailable { skus: vec![line.sku] });
                continue;
            }
            if sku.currency != currency {
                foreign = Some(Reject::CurrencyMismatch { expected: currency, found: sku.currency });
            }
            let on_sale = match self.stock(line.sku, sku).offer(line.quantity, now) {
                Ok(on_sale) => on_sale,
                Err(reject) => {
                    refusal.add(reject);
                    None
                }
            };
            in_sales.extend(on_sale.map(|on_sale| (on_sale, line.quantity)));
            // They may have changed since the cart looked.
            let rules = sku.terms.as_ref().map(|terms| terms.quantities_for(audience));
            let refused = rules.and_then(|rules| rules.refuse(line.sku, line.quantity));
            refused.into_iter().for_each(|reject| wrong.add(reject));
            held.push(self.held_line(sku, *line, lines, audience, on_sale));
        }
        if let Some(reject) = foreign {
            return Err(reject);
        }
        wrong.done()?;
        if lines.iter().any(|line| self.suspended.contains(&line.sku)) {
            return Err(Reject::SkuSuspended);
        }
        self.holds.may_open(order, until, now)?;
        for (on_sale, quantity) in &in_sales {
            let same_sale = in_sales.iter().filter(|(other, _)| other.id == on_sale.id);
            let of_all = same_sale.map(|(_, quantity)| *quantity).sum();
            self.may_buy(*on_sale, *quantity, of_all, held_for).unwrap_or_else(|reject| refusal.add(reject));
        }
        refusal.done()?;
        let slot = held_for.slot.map(|slot| self.decide_slot(slot, now)).transpose()?.map(Box::new);
        let (keys, account_keys) = match self.counts_buyers(&held) {
            true => (held_for.keys.clone(), held_for.account_keys()),
            false => (Vec::new(), 0),
        };
        Ok(vec![VendorEvent::StockHeld { order, until, lines: held, keys, account_keys, slot }])
    }

    /// Pieces are held for an order, and the slot in which it is to be brought.
    pub(super) fn hold_stock(&mut self, order: OrderId, until: Timestamp, held: HeldStock) {
        for line in &held.lines {
            self.touch_sku(line.sku, |sku| sku.held = sku.held.saturating_add(line.quantity));
        }
        if let Some(slot) = &held.slot {
            self.move_slot(slot.id, Some(slot.ends_at), Moves::Held);
        }
        self.take_in_sales(&held, Taken::Held);
        self.holds.opened(order, Hold { until, what: held });
        self.made(PartKey::Hold(HoldPart::Open(order)));
    }

    /// What was held for an order, if anything, is free again; a later hold for it is refused.
    pub(super) fn release_stock(&mut self, order: OrderId, until: Timestamp, at: Timestamp) {
        if let Some(hold) = self.holds.has_ended(order) {
            self.ended(PartKey::Hold(HoldPart::Open(order)));
            self.take_in_sales(&hold.what, Taken::Released);
            self.end_slot(hold.what.slot.as_deref(), Moves::Released);
            for line in hold.what.lines {
                self.touch_sku(line.sku, |sku| sku.held = sku.held.saturating_sub(line.quantity));
            }
        }
        if self.holds.remember(order, until, at) {
            self.made(PartKey::Hold(HoldPart::Released(order)));
        }
    }

    /// The pieces of a hold that was committed leave the house.
    pub(super) fn sell(&mut self, order: OrderId, hold: Option<StockHold>) {
        let Some(hold) = hold else { return };
        self.ended(PartKey::Hold(HoldPart::Open(order)));
        self.take_in_sales(&hold.what, Taken::Sold);
        self.end_slot(hold.what.slot.as_deref(), Moves::Sold);
        for line in hold.what.lines {
            self.touch_sku(line.sku, |sku| {
                sku.held = sku.held.saturating_sub(line.quantity);
                sku.on_hand = sku.on_hand.saturating_sub(line.quantity);
            });
        }
    }

    /// Takes back what it has not taken back yet. Pieces of goods that it does not know any more are nobody's.
    pub(super) fn decide_restock(&self, units: &RestockedUnits) -> Vec<VendorEvent> {
        let RestockedUnits { order, credits, keys, account_keys, slot } = units;
        let is_new =
            |(credit, _): &&(CreditId, Vec<HeldLine>)| !self.restocked.is_committed(CreditKey(*order, *credit));
        let event = |(credit, lines): &(CreditId, Vec<HeldLine>)| {
            let (keys, account_keys) = match self.counts_buyers(lines) {
                true => (keys.clone(), *account_keys),
                false => (Vec::new(), 0),
            };
            let slot = slot.filter(|(of, _)| of == credit).map(|(_, slot)| slot);
            VendorEvent::Restocked { order: *order, credit: *credit, lines: lines.clone(), keys, account_keys, slot }
        };
        credits.iter().filter(is_new).map(event).collect()
    }

    /// Pieces come back: into stock, and into the sales that they were taken from; and a slot that is not needed any more.
    pub(super) fn restock(&mut self, key: CreditKey, back: &HeldStock, slot: Option<SlotId>, at: Timestamp) {
        if let Some(slot) = slot {
            self.move_slot(slot, None, Moves::GivenBack);
        }
        self.restocked.has_done(key, at.plus_millis(limits::CREDIT_ASK_MS));
        self.take_in_sales(back, Taken::Returned);
        for line in &back.lines {
            self.touch_sku(line.sku, |sku| sku.on_hand = sku.on_hand.saturating_add(line.quantity));
        }
    }

    /// What an order is asked about.
    pub(super) fn ask_credit(&self, order: OrderId) -> Option<Effect> {
        let credits = self.restocked.credits_of(order);
        let command = OrderCommand::RestockDue { vendor: self.id, credits: credits.clone() };
        (!credits.is_empty()).then_some(Effect::Tell(Message::Order { id: order, command }))
    }

    /// What it answers to an order that wanted units to be taken back.
    pub(super) fn restocked_answer(vendor: VendorId, units: &RestockedUnits) -> OrderCommand {
        OrderCommand::Restocked { vendor, credits: units.credits.iter().map(|(credit, _)| *credit).collect() }
    }
}
