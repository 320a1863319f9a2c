//! Owners: a guest's order becomes a customer's once, if it was placed with the address of that customer; from then on it is theirs alone,
//! whatever crashes, and whoever has the guest's token is told nothing.

use super::replay::{Events, Recorded};
use super::{Causes, Judge, Replay};
use crate::world::{World, lock};
use haat::domain::buyer::MailKey;
use haat::domain::entity::{Owner, Principal};
use haat::domain::ids::{CartId, CustomerId, OrderId};
use haat::domain::order::OrderEvent;
use haat::domain::reject::Reject;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

/// By which the orders of a customer's address are found.
pub fn mail_key_of(customer: CustomerId) -> MailKey {
    MailKey(customer.uuid().into_bytes())
}

struct Placed {
    cart: CartId,
    owner: Owner,
    mail_key: Option<MailKey>,
}

pub struct Owners {
    /// The orders that were placed as a guest.
    placed: Mutex<BTreeMap<OrderId, Placed>>,
    world: Arc<World>,
}

/// Whose an order was when somebody asked for it.
pub struct Asked {
    order: OrderId,
    by: Principal,
    before: Option<Owner>,
}

impl Owners {
    pub fn new(world: Arc<World>) -> Self {
        Self { placed: Mutex::default(), world }
    }

    /// Which orders guests have placed, from which carts, and whose they are.
    pub fn of_guests(&self) -> Vec<(OrderId, CartId, Owner)> {
        lock(&self.placed).iter().map(|(order, placed)| (*order, placed.cart, placed.owner)).collect()
    }

    fn owner(&self, order: OrderId) -> Option<Owner> {
        lock(&self.placed).get(&order).map(|placed| placed.owner)
    }

    /// Somebody asks for an order that a guest has placed.
    pub fn asks(&self, order: OrderId, by: Principal) -> Asked {
        Asked { order, by, before: self.owner(order) }
    }

    /// Whoever asked was answered so.
    pub fn told<T>(&self, asked: &Asked, outcome: &Result<T, Reject>) {
        let Asked { order, by, before } = asked;
        let now = self.owner(*order);
        let is_theirs = |owner: Option<Owner>| match (owner, by) {
            (Some(Owner::Customer(owner)), Principal::Customer(customer)) => owner == *customer,
            (Some(Owner::Guest), Principal::Guest(_)) => true,
            _ => false,
        };
        match outcome {
            // It may have become another's since it was answered, and never had before it was durable.
            Ok(_) if !is_theirs(*before) && !is_theirs(now) => {
                self.world.breach(format_args!("{order} is {now:?}'s and shown to {by:?}"));
            }
            Err(Reject::OrderUnknown) if is_theirs(*before) && is_theirs(now) => {
                self.world.breach(format_args!("{order} is {now:?}'s and unknown to {by:?}"));
            }
            _ => {}
        }
    }
}

impl Judge for Owners {
    fn record(&self, _: &Replay, record: &Recorded<'_>, _: &mut Causes) {
        let Events::Order(order, events) = &record.events else { return };
        let mut placed = lock(&self.placed);
        for event in events {
            match event {
                OrderEvent::Placed { placement, .. } if placement.owner == Owner::Guest => {
                    let mail_key = placement.buyer.as_ref().and_then(|buyer| buyer.mail_key);
                    placed.insert(*order, Placed { cart: placement.cart, owner: Owner::Guest, mail_key });
                }
                OrderEvent::Attached { customer } => {
                    self.world.count("orders that were attached");
                    let Some(placed) = placed.get_mut(order) else {
                        self.world.breach(format_args!("{order} was no guest's, and is given to {customer}"));
                        continue;
                    };
                    if placed.owner != Owner::Guest {
                        self.world.breach(format_args!("{order} is given away twice"));
                    }
                    if placed.mail_key != Some(mail_key_of(*customer)) {
                        self.world.breach(format_args!("{order} was not placed with the address of {customer}"));
                    }
                    placed.owner = Owner::Customer(*customer);
                }
                _ => {}
            }
        }
    }
}
