//! Uses that come back after they were paid: their orders were cancelled.

use super::Coupon;
use super::types::{CouponEvent, HeldUse, RestoresOn, ReturnedPart, ReturnedUse};
use crate::domain::entity::{Effect, Message};
use crate::domain::hold::CreditKey;
use crate::domain::ids::{CreditId, OrderId};
use crate::domain::order::{OrderCommand, Party};
use crate::domain::reject::Reject;
use crate::domain::time::Timestamp;
use crate::limits;

impl Coupon {
    /// What becomes free by credits that it has not seen to yet. By a coupon that has ended, or that gives nothing back, nothing does: its order
    /// need not ask again.
    pub(super) fn decide_return(&self, returned: &ReturnedUse, now: Timestamp) -> Result<Vec<CouponEvent>, Reject> {
        let terms = &self.is.as_ref().ok_or(Reject::CouponUnknown)?.terms;
        if terms.restores_on == RestoresOn::Never || now >= terms.ends_at {
            return Ok(Vec::new());
        }
        let order = returned.order;
        let event = |(credit, part): &(CreditId, ReturnedPart)| {
            let ReturnedPart { amount, whole, .. } = part.by(terms.restores_on);
            let freed = match whole {
                true => HeldUse { serial: returned.serial, keys: returned.keys.clone(), amount },
                false => HeldUse { amount, ..HeldUse::default() },
            };
            let is_new = !self.returned.is_committed(CreditKey(order, *credit));
            (is_new && (whole || amount > 0)).then_some(CouponEvent::UseReturned {
                order,
                credit: *credit,
                whole,
                freed,
            })
        };
        Ok(returned.credits.iter().filter_map(event).collect())
    }

    pub(super) fn give_back(&mut self, key: CreditKey, whole: bool, freed: &HeldUse, at: Timestamp) {
        self.returned.has_done(key, at.plus_millis(limits::CREDIT_ASK_MS));
        let changed = self.uses.give_back(freed, whole);
        self.changed_blocks(changed);
    }

    /// What it answers: the credits were seen to. The use is free again if one of them was the last of its order, and did make it so.
    pub(super) fn returned_answer(&self, returned: &ReturnedUse) -> OrderCommand {
        let ReturnedUse { order, credits, .. } = returned;
        let restores_on = self.is.as_ref().map_or(RestoresOn::Never, |is| is.terms.restores_on);
        let is_free = |(credit, part): &(CreditId, ReturnedPart)| {
            part.by(restores_on).whole && self.returned.is_committed(CreditKey(*order, *credit))
        };
        OrderCommand::LegReturned {
            with: Party::Coupon(self.id),
            credits: credits.iter().map(|(credit, _)| *credit).collect(),
            whole: credits.iter().any(is_free),
        }
    }

    /// What an order is asked about.
    pub(super) fn ask_credit(&self, order: OrderId) -> Option<Effect> {
        let credits = self.returned.credits_of(order);
        let command = OrderCommand::ReturnDue { with: Party::Coupon(self.id), credits: credits.clone() };
        (!credits.is_empty()).then_some(Effect::Tell(Message::Order { id: order, command }))
    }
}
