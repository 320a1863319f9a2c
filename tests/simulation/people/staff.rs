//! The staff: it looks at what others make, at whichever node, and leads orders out of what they are stuck in.

use super::vendor::{SKUS, VENDORS, sku, vendor};
use super::{Day, Person};
use crate::node::Town;
use crate::world::lock;
use haat::domain::cart::{Cart, CartCommand};
use haat::domain::entity::Principal;
use haat::domain::ids::{CartId, Kind, OrderId};
use haat::domain::money::Money;
use haat::domain::order::{Order, OrderCommand, OrderView, Resolution, ResolveAs, Trouble};
use haat::domain::vendor::{Vendor, VendorCommand};
use std::sync::Arc;

/// As many as the plan says.
pub fn come(town: &Arc<Town>) -> Vec<Day> {
    let day = |number| Box::pin(Staff::new(town, format!("staff {number}")).watch()) as Day;
    (0..town.world.plan.staff).map(day).collect()
}

/// One of the staff.
pub struct Staff(Person);

impl Staff {
    pub fn new(town: &Arc<Town>, name: String) -> Self {
        Self(Person::new(town, name))
    }

    /// What the staff does all day.
    async fn watch(mut self) {
        for _ in 0..2 * self.0.world().plan.actions {
            let person = &self.0;
            person.pause(person.world().plan.think_ms).await;
            let made = lock(&person.town.made).clone();
            // Mostly at what is new: there most happens.
            let newest = made.len().saturating_sub(person.chance.below(8) as usize + 1);
            let Some(entity) = made.get(newest).copied() else { continue };
            let how = person.how(None, false);
            match entity.kind {
                Kind::Cart => {
                    let id = CartId::from_uuid(entity.uuid);
                    person.ask::<Cart>(id, "get cart", CartCommand::Get { by: Principal::Guest(id) }, how).await;
                }
                Kind::Order => {
                    let (id, get) = (OrderId::from_uuid(entity.uuid), OrderCommand::Get { by: Principal::SHOP });
                    if let Some(order) = person.ask_order(id, "get order", get, how).await {
                        self.lead_out(&order).await;
                    }
                }
                _ => {
                    let number = person.chance.below(VENDORS);
                    let sku = sku(number, person.chance.below(SKUS));
                    let command = VendorCommand::GetSku { by: Principal::SHOP, sku };
                    person.ask::<Vendor>(vendor(number), "get SKU", command, how).await;
                }
            }
        }
    }

    /// Looks at an order, and leads it out of what it is stuck in.
    pub async fn look_after(&mut self, order: OrderId) {
        let (how, get) = (self.0.how(None, false), OrderCommand::Get { by: Principal::SHOP });
        if let Some(order) = self.0.ask_order(order, "get order", get, how).await {
            self.lead_out(&order).await;
        }
    }

    async fn lead_out(&mut self, order: &OrderView) {
        let Some(waits) = order.waits.as_deref().filter(|waits| waits.why != Trouble::NoAnswer) else { return };
        // A step that fails for good is tried again: its vendor may be mended by now.
        let step = matches!(waits.why, Trouble::StepFailed { .. });
        let (verb, tag) = (*self.0.chance.pick(&waits.resolve_as), self.0.tag());
        let person = &self.0;
        let verb = if step { ResolveAs::Retry } else { verb };
        let key = person.chance.per_mille(500).then(|| Person::key(&tag));
        let resolution = Resolution {
            verb,
            by: person.name.clone(),
            note: tag.clone(),
            amount: (verb == ResolveAs::Paid).then(|| match waits.why {
                Trouble::CashShort { missing } => missing,
                _ => Money::new(order.amounts.total, order.currency),
            }),
            reference: None,
        };
        let command = OrderCommand::Resolve { by: Principal::SHOP, resolution: Box::new(resolution) };
        let told = person.ask::<Order>(order.id, "resolve", command, person.how(key, false)).await;
        person.tried(&tag, &told);
    }
}
