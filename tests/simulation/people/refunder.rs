//! Who takes back what is paid: buyers who cancel, and staff that cancels units, gives amounts back, and sees to refunds that failed. They do it at
//! once, and they ask for more than is left.

use super::{Day, Person, Told};
use crate::node::Town;
use crate::world::lock;
use haat::actors::Answered;
use haat::domain::buyer::Mint;
use haat::domain::entity::Principal;
use haat::domain::ids::{CreditId, Kind, OrderId, VendorId};
use haat::domain::order::{
    CreditReason, CreditSeed, Order, OrderCommand, OrderReply, OrderStatus, OrderView, RefundStatus, RefundTold, Wanted,
};
use haat::domain::reject::Reject;
use haat::domain::vendor::WantedLine;
use std::sync::Arc;
use uuid::Uuid;

/// The newest that they look at.
const NEWEST: u64 = 20;

/// As many as there are of the staff.
pub fn come(town: &Arc<Town>) -> Vec<Day> {
    let day = |number| Box::pin(Refunder(Person::new(town, format!("refunder {number}"))).work()) as Day;
    (0..town.world.plan.staff).map(day).collect()
}

struct Refunder(Person);

impl Refunder {
    async fn work(mut self) {
        for _ in 0..2 * self.0.world().plan.actions {
            let person = &self.0;
            person.pause(person.world().plan.think_ms).await;
            let mut made = lock(&person.town.made).clone();
            made.retain(|entity| entity.kind == Kind::Order);
            let newest = made.len().saturating_sub(person.chance.below(NEWEST) as usize + 1);
            let Some(entity) = made.get(newest) else { continue };
            // Mostly at what was paid: there is something to give back.
            let payments = person.town.books.payments();
            let id = match !payments.is_empty() && person.chance.per_mille(700) {
                true => *person.chance.pick(&payments),
                false => OrderId::from_uuid(entity.uuid),
            };
            let get = OrderCommand::Get { by: Principal::SHOP };
            let how = person.how(None, false);
            let Some(order) = person.ask_order(id, "get order", get, how).await else { continue };
            // One that is not paid is left to its buyer, mostly.
            if order.status == OrderStatus::Paid || self.0.chance.per_mille(100) {
                self.take_back(&order).await;
            }
            self.look_after(&order).await;
        }
    }

    fn seed(&mut self) -> CreditSeed {
        self.0.asked += 1;
        let chance = &self.0.chance;
        let id = CreditId::from_uuid(Uuid::from_u64_pair(chance.next(), chance.next()));
        let mint = Mint(chance.next().to_be_bytes()[4..].try_into().expect("four bytes"));
        CreditSeed { id, mint, reason: *chance.pick(&CreditReason::OF_REFUNDS) }
    }

    /// Something of one vendor's share.
    fn wanted(&self, order: &OrderView, vendor: VendorId) -> Wanted {
        let chance = &self.0.chance;
        if chance.per_mille(400) {
            let share = order.sub_orders.iter().find(|share| share.vendor == vendor).map_or(0, |own| own.amounts.total);
            // At times more than is left, and at times nothing.
            let minor = *chance.pick(&[1, share / 7, share / 3, share / 3, share, share + 1, 0]);
            return Wanted::Amount { minor, shipping: chance.per_mille(300) };
        }
        if chance.per_mille(200) {
            return Wanted::Units(Vec::new());
        }
        let own = order.lines.iter().filter(|line| line.vendor == vendor && chance.per_mille(700));
        let wanted = own.map(|line| WantedLine { sku: line.sku, quantity: chance.between(1, 2) as i64 });
        Wanted::Units(wanted.collect())
    }

    fn command(&mut self, order: &OrderView) -> OrderCommand {
        let seed = self.seed();
        let chance = &self.0.chance;
        // Its buyer, whom the order may belong to no more, or the shop.
        let by = if chance.per_mille(500) { Principal::Guest(order.cart) } else { Principal::SHOP };
        if chance.per_mille(200) {
            return OrderCommand::CancelAll { by, seed };
        }
        let vendor = chance.pick(&order.sub_orders).vendor;
        let wanted = self.wanted(order, vendor);
        let by = if matches!(wanted, Wanted::Amount { .. }) { Principal::SHOP } else { by };
        OrderCommand::Credit { by, vendor, wanted, seed }
    }

    /// Asks for one thing, or for two at once; and at times again for what was asked for before.
    async fn take_back(&mut self, order: &OrderView) {
        if order.sub_orders.is_empty() {
            return;
        }
        let commands = [self.command(order), self.command(order)];
        let tags = [self.0.tag(), self.0.tag()];
        let person = &self.0;
        let keys = tags.each_ref().map(|tag| person.chance.per_mille(500).then(|| Person::key(tag)));
        let hows = keys.map(|key| person.how(key, false));
        let [first, second] = commands;
        if person.chance.per_mille(400) {
            let ask = |command, how| person.ask::<Order>(order.id, "credit", command, how);
            let told = tokio::join!(ask(first.clone(), hows[0]), ask(second, hows[1]));
            [&told.0, &told.1].into_iter().for_each(|told| self.count(told));
        } else {
            let told = person.ask::<Order>(order.id, "credit", first.clone(), hows[0]).await;
            self.count(&told);
        }
        if person.chance.per_mille(300) {
            person.ask::<Order>(order.id, "credit again", first, hows[0]).await;
        }
    }

    fn count(&self, told: &Told<Answered<OrderReply>>) {
        let world = self.0.world();
        match told {
            Told::Answer(Answered { outcome: Err(Reject::UnitsCredited { .. }), .. }) => {
                world.count("more units than are left");
            }
            Told::Answer(Answered { outcome: Err(Reject::RefundExceedsPayment { .. }), .. }) => {
                world.count("larger amounts than are left");
            }
            _ => {}
        }
    }

    /// A refund that failed is asked for again, or paid by hand: also twice at once.
    async fn look_after(&mut self, order: &OrderView) {
        let failed: Vec<_> = order.refunds.iter().filter(|refund| refund.status == RefundStatus::Failed).collect();
        if failed.is_empty() {
            return;
        }
        let (by, person) = (Principal::SHOP, &self.0);
        let refund = *person.chance.pick(&failed);
        let retry = OrderCommand::RetryRefund { by, refund: refund.id, attempt: refund.attempt };
        let by_hand = OrderCommand::MarkRefundPaid { by, refund: refund.id, reference: "wire 7".into() };
        let ask = |command| person.ask::<Order>(order.id, "see to a refund", command, person.how(None, false));
        match person.chance.below(10) {
            0..4 => drop(ask(retry).await),
            4..8 => drop(ask(by_hand).await),
            _ => drop(tokio::join!(ask(retry), ask(by_hand))),
        }
        // A look that was slow tells what is told already.
        if person.chance.per_mille(500) {
            person.world().count("failures that are told late");
            let told = RefundTold::Failed { reason: refund.failure.clone().unwrap_or_default() };
            drop(ask(OrderCommand::RefundTold { refund: refund.id, attempt: refund.attempt, told }).await);
        }
    }
}
