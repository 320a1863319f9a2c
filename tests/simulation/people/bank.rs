//! Buyers' banks: they dispute payments, at times of more than is left, decide later, and at times otherwise than they had; and they return what was
//! given back. The provider knows it, and sends notices. At times the shop is told as its own look at the provider tells it: until it has heard, once
//! more after that, and at times only when all is decided.

use super::{Day, Person, Told};
use crate::node::Town;
use haat::actors::Answered;
use haat::domain::buyer::Mint;
use haat::domain::entity::Principal;
use haat::domain::ids::{EntityId, OrderId};
use haat::domain::order::{DisputeStatus, DisputeTold, Order, OrderCommand, OrderStatus, OrderView};
use std::sync::Arc;

/// The first payments, of which parts were given back.
const PARTLY_GIVEN_BACK: u64 = 4;

/// As many as there are of the staff.
pub fn come(town: &Arc<Town>) -> Vec<Day> {
    let day = |number| Box::pin(Bank(Person::new(town, format!("bank {number}"))).work()) as Day;
    (0..town.world.plan.staff).map(day).collect()
}

struct Bank(Person);

impl Bank {
    async fn work(self) {
        let (person, think_ms) = (&self.0, self.0.world().plan.think_ms);
        for _ in 0..person.world().plan.actions {
            person.pause(think_ms).await;
            if !person.chance.per_mille(600) {
                continue;
            }
            let payments = person.town.books.payments();
            let among = if person.chance.per_mille(500) { PARTLY_GIVEN_BACK } else { payments.len() as u64 };
            let Some(id) = payments.get(person.chance.below(among) as usize).copied() else { continue };
            if person.chance.per_mille(100) {
                person.town.books.return_part(id);
            }
            let get = OrderCommand::Get { by: Principal::SHOP };
            let order = person.ask_order(id, "get order", get, person.how(None, false)).await;
            let is_sold = |order: &OrderView| matches!(order.status, OrderStatus::Paid | OrderStatus::Refunded);
            let Some(order) = order.filter(is_sold) else { continue };
            self.dispute(&order).await;
        }
    }

    async fn dispute(&self, order: &OrderView) {
        let (person, id, total) = (&self.0, order.id, order.amounts.total);
        let amount = *person.chance.pick(&[total, total, total / 3 + 1, total / 2, total + 5, 1]);
        let Some(opened) = person.town.books.dispute(id, amount) else { return };
        // Mostly nobody tells the order but notices, and what a start asks for.
        let tells = person.chance.per_mille(300);
        if tells && person.chance.per_mille(800) {
            self.tell(id, &opened).await;
        }
        for _ in 0..person.chance.between(1, 6) {
            person.pause(4 * person.world().plan.think_ms).await;
        }
        let mut closed = person.town.books.close_dispute(id, &opened.id, person.chance.per_mille(500));
        if tells {
            self.tell(id, &closed).await;
        }
        if closed.status == DisputeStatus::Won && person.chance.per_mille(200) {
            person.world().count("disputes that are lost after they were won");
            person.pause(4 * person.world().plan.think_ms).await;
            closed = person.town.books.close_dispute(id, &opened.id, false);
        }
        // A look that was slow tells what is told already, or was long before.
        if person.chance.per_mille(300) {
            self.tell(id, if person.chance.per_mille(500) { &closed } else { &opened }).await;
        }
    }

    /// Until the order has heard it, as a job is tried until then.
    async fn tell(&self, order: OrderId, told: &DisputeTold) {
        let person = &self.0;
        while !person.town.server.is_damaged(order.entity()) {
            let mint = Mint(person.chance.next().to_be_bytes()[4..].try_into().expect("four bytes"));
            let tell = OrderCommand::DisputeTold { told: told.clone(), mint };
            let how = person.how(None, false);
            match person.ask::<Order>(order, "tell of a dispute", tell, how).await {
                Told::Answer(Answered { outcome: Ok(_), .. }) => return,
                _ => person.pause(200).await,
            }
        }
    }
}
