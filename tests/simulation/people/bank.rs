//! Buyers' banks: they dispute payments, at times of more than is left, and decide later. The shop is told as its own look at the provider tells it:
//! until it has heard, once more after that, and at times only when all is decided.

use super::{Day, Person, Told};
use crate::node::Town;
use crate::world::lock;
use haat::actors::Answered;
use haat::domain::buyer::Mint;
use haat::domain::entity::Principal;
use haat::domain::ids::{EntityId, Kind, OrderId};
use haat::domain::order::{DisputeStatus, DisputeTold, Order, OrderCommand, OrderStatus};
use std::sync::Arc;

/// The newest orders that they look at.
const NEWEST: u64 = 20;

/// As many as there are of the staff.
pub fn come(town: &Arc<Town>) -> Vec<Day> {
    let day = |number| Box::pin(Bank(Person::new(town, format!("bank {number}"))).work()) as Day;
    (0..town.world.plan.staff).map(day).collect()
}

struct Bank(Person);

impl Bank {
    async fn work(self) {
        let person = &self.0;
        for _ in 0..person.world().plan.actions {
            person.pause(person.world().plan.think_ms).await;
            if !person.chance.per_mille(400) {
                continue;
            }
            let mut made = lock(&person.town.made).clone();
            made.retain(|entity| entity.kind == Kind::Order);
            let newest = made.len().saturating_sub(person.chance.below(NEWEST) as usize + 1);
            let Some(entity) = made.get(newest) else { continue };
            let (id, get) = (OrderId::from_uuid(entity.uuid), OrderCommand::Get { by: Principal::SHOP });
            let order = person.ask_order(id, "get order", get, person.how(None, false)).await;
            let Some(order) = order.filter(|order| order.status == OrderStatus::Paid) else { continue };
            let total = order.amounts.total;
            let amount = *person.chance.pick(&[total, total, total / 3 + 1, total + 5, 1]);
            let Some(opened) = person.town.books.dispute(id, amount) else { continue };
            if person.chance.per_mille(800) {
                self.tell(id, &opened).await;
            }
            person.pause(4 * person.world().plan.think_ms).await;
            let closed = person.town.books.close_dispute(id, &opened.id, person.chance.per_mille(500));
            self.tell(id, &closed).await;
            if person.chance.per_mille(300) {
                self.tell(id, if person.chance.per_mille(500) { &closed } else { &opened }).await;
            }
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
                Told::Answer(Answered { outcome: Ok(_), .. }) => {
                    person.world().count(match told.status {
                        DisputeStatus::Open => "disputes opened",
                        DisputeStatus::Won => "disputes won",
                        DisputeStatus::Lost => "disputes lost",
                    });
                    return;
                }
                _ => person.pause(200).await,
            }
        }
    }
}
