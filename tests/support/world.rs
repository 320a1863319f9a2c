//! A small world over the domain alone: entities in maps, messages in one queue, simulated time and a simulated gateway. It does
//! what the shell does, in one thread and always in the same order, so that a failing run can be run again.
//!
//! It delivers an effect when it newly appears among the outstanding ones, sends all of them again on demand, keeps each command's
//! record as JSON, and can lose, repeat or delay messages and crash at any record. After every command it checks the invariants.

#![allow(dead_code)] // Each test file uses a part of it.

#[path = "world/checks.rs"]
mod checks;
#[path = "world/crash.rs"]
mod crash;
#[path = "world/gateway.rs"]
pub mod gateway;
#[path = "world/shop.rs"]
pub mod shop;

use gateway::Gateway;
use haat::domain::cart::Cart;
use haat::domain::entity::concerns::*;
use haat::domain::entity::{Availability, Effect, EffectKey, Message, PaymentCall, Publication};
use haat::domain::ids::{CartId, EntityId, EntityRef, OrderId, SkuId, VendorId};
use haat::domain::money::Money;
use haat::domain::order::{Order, OrderCommand, OrderStatus};
use haat::domain::record::Record;
use haat::domain::reject::Reject;
use haat::domain::rows::{OrderRow, ProductRow, SkuRow};
use haat::domain::time::Timestamp;
use haat::domain::vendor::Vendor;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

pub use crash::CrashOf;

/// No run of these tests needs more deliveries until it is at rest: more is a livelock.
const DELIVERIES: usize = 20_000;
/// Rounds of sending again until every scripted failure of the gateway has passed.
const RESENDS: usize = 4;

/// A sender or a receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Peer {
    /// An entity.
    Entity(EntityRef),
    /// The payment gateway.
    Gateway,
}

/// What travels.
#[derive(Clone, Debug)]
pub enum Parcel {
    /// A command from entity to entity, or a gateway's answer.
    Tell(Message),
    /// A call of the gateway.
    Charge(PaymentCall),
    /// A call of the gateway.
    Void(PaymentCall),
}

/// Something under way. What one peer sends another arrives in the order in which it was sent.
#[derive(Clone, Debug)]
pub struct Envelope {
    /// From whom.
    pub from: Peer,
    /// To whom.
    pub to: Peer,
    /// What.
    pub parcel: Parcel,
}

/// What is to go wrong.
#[derive(Clone, Copy, Debug, Default)]
pub struct Faults {
    /// Every message arrives twice in a row.
    pub twice: bool,
    /// Every message arrives once more, as late as the order of its channel allows: just before the next one, or at the end.
    pub echo: bool,
    /// The message with this number, counted from 0, is lost.
    pub lose: Option<u64>,
    /// The crash that comes right after the record with this number, counted from 1, before anything that follows from it.
    pub crash: Option<(usize, CrashOf)>,
    /// A checkpoint is taken right after the record with this number.
    pub checkpoint: Option<usize>,
}

/// An entity and what the shell keeps beside it.
#[derive(Debug)]
pub struct Slot<E> {
    /// The state machine.
    pub entity: E,
    /// How many records it has.
    pub version: u64,
    sent: BTreeSet<EffectKey>,
}

/// A kind of entity that the world holds.
pub trait Stored: Entity<Event: PartialEq> {
    /// Where the world keeps those of this kind.
    fn slots(world: &mut World) -> &mut BTreeMap<Self::Id, Slot<Self>>;
    /// The whole state as a text, to be compared.
    fn fingerprint(&self) -> String;
}

macro_rules! stored {
    ($entity:ident, $slots:ident, $state:ident => $fingerprint:expr) => {
        impl Stored for $entity {
            fn slots(world: &mut World) -> &mut BTreeMap<Self::Id, Slot<Self>> {
                &mut world.$slots
            }
            fn fingerprint(&self) -> String {
                let $state = self;
                $fingerprint
            }
        }
    };
}

stored!(Cart, carts, cart => serde_json::to_string(cart).unwrap());
stored!(Order, orders, order => serde_json::to_string(order).unwrap());
stored!(Vendor, vendors, vendor => {
    let holds: BTreeMap<OrderId, _> = vendor.holds().all_open().collect();
    let asks = vendor.outstanding(Timestamp::from_millis(i64::MAX));
    format!("{:?} {:?} {:?} {holds:?} {asks:?}", vendor.row(), vendor.product_rows(), vendor.sku_rows())
});

/// What a checkpoint wrote of an entity.
#[derive(Debug, Default)]
struct Saved {
    version: u64,
    parts: BTreeMap<String, Vec<u8>>,
}

/// The read tables.
#[derive(Debug, Default)]
struct Tables {
    orders: BTreeMap<OrderId, OrderRow>,
    skus: BTreeMap<SkuId, SkuRow>,
    products: BTreeMap<haat::domain::ids::ProductId, ProductRow>,
}

/// What was published: the available pieces of each SKU, and its price.
#[derive(Debug, Default)]
struct Published {
    available: BTreeMap<SkuId, i64>,
    prices: BTreeMap<SkuId, Money>,
    /// Whether it tells nobody what is available.
    blind: bool,
}

impl Availability for Published {
    fn available(&self, sku: SkuId) -> Option<i64> {
        self.available.get(&sku).filter(|_| !self.blind).copied()
    }

    fn price(&self, sku: SkuId) -> Option<Money> {
        self.prices.get(&sku).copied()
    }
}

/// The world.
#[derive(Debug, Default)]
pub struct World {
    /// The time.
    pub now: Timestamp,
    /// The carts.
    pub carts: BTreeMap<CartId, Slot<Cart>>,
    /// The orders.
    pub orders: BTreeMap<OrderId, Slot<Order>>,
    /// The vendors.
    pub vendors: BTreeMap<VendorId, Slot<Vendor>>,
    /// The payment gateway.
    pub gateway: Gateway,
    /// What is under way, in the order in which it was sent.
    pub queue: VecDeque<Envelope>,
    /// What is to go wrong.
    pub faults: Faults,
    /// Whether checkouts are told what is durably short; without it the vendors alone refuse.
    pub availability_blind: bool,
    /// Messages sent so far.
    pub sent: u64,
    /// Orders that operators were told of, and why.
    pub alarms: Vec<(OrderId, &'static str)>,
    /// Records written so far.
    pub records: usize,
    /// Pieces that ever came in, by what was asked for from outside.
    pub received: BTreeMap<SkuId, i64>,
    journal: BTreeMap<EntityRef, Vec<String>>,
    saved: BTreeMap<EntityRef, Saved>,
    tables: Tables,
    availability: Published,
    statuses: BTreeMap<OrderStatus, i64>,
    echoes: BTreeMap<(Peer, Peer), Envelope>,
}

impl World {
    /// Gives an entity a command from outside and returns its answer: `None` while it is too early for one.
    pub fn ask<E: Stored>(&mut self, id: E::Id, mut command: E::Command) -> Option<Result<E::Reply, Reject>> {
        self.availability.blind = self.availability_blind;
        let slot = E::slots(self).entry(id).or_insert_with(|| Slot::new(id));
        // The availability is lent out of the world, because preparing needs both.
        let state = std::mem::replace(&mut slot.entity, E::new(id));
        state.prepare(&mut command, &self.availability);
        E::slots(self).get_mut(&id).expect("the slot was just made").entity = state;
        self.command::<E>(id, &command)
    }

    /// One turn of an entity, as the shell does it: decide, apply, record, publish, answer, send.
    fn command<E: Stored>(&mut self, id: E::Id, command: &E::Command) -> Option<Result<E::Reply, Reject>> {
        let now = self.now;
        let slot = E::slots(self).entry(id).or_insert_with(|| Slot::new(id));
        slot.entity.heard(command, now);
        let events = match slot.entity.decide(command, now) {
            Ok(events) => events,
            Err(reject) => {
                let answer = slot.entity.respond(command, Err(&reject));
                self.tell(id.entity(), answer);
                return Some(Err(reject));
            }
        };
        for event in &events {
            slot.entity.apply(event, now);
            slot.entity.check().unwrap_or_else(|breach| panic!("{breach} after {event:?}"));
        }
        let tells = slot.entity.tells(&events);
        if !events.is_empty() {
            slot.version += 1;
            let (version, published) = (slot.version, slot.entity.publications(&events));
            self.record::<E>(id, version, &events);
            self.publish(&published);
            if self.crash_when_due(id.entity()) {
                // The record stands: the client repeats its request and gets the answer that was kept with it.
                return E::slots(self)[&id].entity.reply(command, true);
            }
        }
        self.send_new_effects::<E>(id);
        tells.into_iter().for_each(|message| self.tell(id.entity(), Some(message)));
        let slot = &E::slots(self)[&id];
        let (reply, answer) = (slot.entity.reply(command, !events.is_empty()), slot.entity.respond(command, Ok(())));
        self.tell(id.entity(), answer);
        self.check_always();
        reply
    }

    fn record<E: Stored>(&mut self, id: E::Id, version: u64, events: &[E::Event]) {
        let record: Record<E::Event, E::Reply> =
            Record { entity: id.entity(), version, at: self.now, events: events.to_vec(), answers: Vec::new() };
        let line = serde_json::to_string(&record).unwrap();
        let read: Record<E::Event, E::Reply> = serde_json::from_str(&line).unwrap();
        assert!(read.events == events && read.entity == id.entity(), "changed by its JSON: {line}");
        self.journal.entry(id.entity()).or_default().push(line);
        self.records += 1;
    }

    fn publish(&mut self, published: &[Publication]) {
        for publication in published {
            match publication {
                Publication::Product(_) => {}
                Publication::Sku(row) => {
                    self.availability.available.insert(row.id, row.available());
                    self.availability.prices.insert(row.id, Money::new(row.price_minor, row.currency));
                }
                Publication::Available { sku, available } => _ = self.availability.available.insert(*sku, *available),
                Publication::OrderStatus { from, to } => {
                    if let Some(from) = from {
                        *self.statuses.entry(*from).or_default() -= 1;
                    }
                    *self.statuses.entry(*to).or_default() += 1;
                }
                Publication::OrderStuck { order, why, .. } => self.alarms.push((*order, why)),
            }
        }
    }

    fn tell(&mut self, from: EntityRef, message: Option<Message>) {
        if let Some(message) = message {
            let to = Peer::Entity(message.to());
            self.send(Envelope { from: Peer::Entity(from), to, parcel: Parcel::Tell(message) });
        }
    }

    fn send_new_effects<E: Stored>(&mut self, id: E::Id) {
        let now = self.now;
        let slot = E::slots(self).get_mut(&id).expect("only known entities have effects");
        let outstanding: BTreeSet<EffectKey> = slot.entity.outstanding(now).into_iter().collect();
        // In the entity's own order, and only what was not asked before.
        let new: Vec<EffectKey> =
            slot.entity.outstanding(now).into_iter().filter(|key| !slot.sent.contains(key)).collect();
        slot.sent = outstanding;
        for key in new {
            let effect = E::slots(self)[&id].entity.effect(key).expect("an outstanding key has an effect");
            let from = Peer::Entity(id.entity());
            let (to, parcel) = match effect {
                Effect::Tell(message) => (Peer::Entity(message.to()), Parcel::Tell(message)),
                Effect::Charge(call) => (Peer::Gateway, Parcel::Charge(call)),
                Effect::Void(call) => (Peer::Gateway, Parcel::Void(call)),
            };
            self.send(Envelope { from, to, parcel });
        }
    }

    fn send(&mut self, envelope: Envelope) {
        let number = self.sent;
        self.sent += 1;
        if self.faults.lose == Some(number) {
            return;
        }
        if self.faults.echo {
            let echo = self.echoes.insert((envelope.from, envelope.to), envelope.clone());
            self.queue.extend(echo);
        }
        if self.faults.twice {
            self.queue.push_back(envelope.clone());
        }
        self.queue.push_back(envelope);
    }

    /// Delivers the oldest message; false when nothing is under way.
    pub fn deliver(&mut self) -> bool {
        let next = self.queue.pop_front();
        next.map(|envelope| self.open(envelope)).is_some()
    }

    /// Delivers the oldest message of one of the channels (sender and receiver), chosen by `choice`.
    pub fn deliver_of_channel(&mut self, choice: usize) -> bool {
        let channels: BTreeSet<(Peer, Peer)> = self.queue.iter().map(|envelope| (envelope.from, envelope.to)).collect();
        let Some(channel) = channels.iter().nth(choice % channels.len().max(1)) else {
            return false;
        };
        let position = self.queue.iter().position(|envelope| (envelope.from, envelope.to) == *channel);
        let envelope = position.and_then(|position| self.queue.remove(position));
        envelope.map(|envelope| self.open(envelope)).is_some()
    }

    fn open(&mut self, envelope: Envelope) {
        match envelope.parcel {
            Parcel::Tell(Message::Cart { id, command }) => _ = self.command::<Cart>(id, &command),
            Parcel::Tell(Message::Order { id, command }) => _ = self.command::<Order>(id, &command),
            Parcel::Tell(Message::Vendor { id, command }) => _ = self.command::<Vendor>(id, &command),
            Parcel::Charge(call) => {
                // As every caller of a gateway has to: a call that waited too long is not made.
                let answer = if self.now > call.not_after { None } else { self.gateway.charge(&call, self.now) };
                self.answer(call.order, answer);
            }
            Parcel::Void(call) => {
                let answer = self.gateway.void(&call);
                self.answer(call.order, answer);
            }
        }
    }

    fn answer(&mut self, order: OrderId, answer: Option<OrderCommand>) {
        if let Some(command) = answer {
            let parcel = Parcel::Tell(Message::Order { id: order, command });
            self.send(Envelope { from: Peer::Gateway, to: Peer::Entity(order.entity()), parcel });
        }
    }

    /// Delivers until nothing is under way, echoes included.
    pub fn drain(&mut self) {
        for _ in 0..DELIVERIES {
            if self.queue.is_empty() {
                self.queue.extend(std::mem::take(&mut self.echoes).into_values());
            }
            if !self.deliver() {
                return;
            }
        }
        panic!("never at rest: {:?}", self.queue);
    }

    /// Sends everything outstanding again.
    pub fn resend(&mut self) {
        fn of_kind<E: Stored>(world: &mut World) {
            let ids: Vec<E::Id> = E::slots(world).keys().copied().collect();
            for id in ids {
                E::slots(world).get_mut(&id).expect("a listed id").sent.clear();
                world.send_new_effects::<E>(id);
            }
        }
        of_kind::<Cart>(self);
        of_kind::<Order>(self);
        of_kind::<Vendor>(self);
    }

    /// Delivers, and sends again what was not answered, until nothing is outstanding or all that is left waits for the gateway.
    pub fn settle(&mut self) {
        self.drain();
        for _ in 0..RESENDS {
            if !self.anything_outstanding() {
                break;
            }
            self.resend();
            self.drain();
        }
        self.check_at_rest();
    }

    /// Whether an entity waits for something.
    pub fn anything_outstanding(&self) -> bool {
        let now = self.now;
        self.carts.values().any(|slot| !slot.entity.outstanding(now).is_empty())
            || self.orders.values().any(|slot| !slot.entity.outstanding(now).is_empty())
            || self.vendors.values().any(|slot| !slot.entity.outstanding(now).is_empty())
    }

    /// Time passes at once, whatever is under way; timers that are due by then fire.
    pub fn pass(&mut self, millis: i64) {
        self.now = self.now.plus_millis(millis);
        self.fire_timers();
    }

    fn fire_timers(&mut self) {
        fn of_kind<E: Stored>(world: &mut World) {
            let now = world.now;
            let timer = |slot: &Slot<E>| slot.entity.timer().filter(|(at, _)| *at <= now);
            let due: Vec<(E::Id, E::Command)> =
                E::slots(world).iter().filter_map(|(id, slot)| Some((*id, timer(slot)?.1))).collect();
            for (id, command) in due {
                world.command::<E>(id, &command);
            }
        }
        of_kind::<Cart>(self);
        of_kind::<Order>(self);
        of_kind::<Vendor>(self);
    }

    /// The names of all events of an entity, in order.
    pub fn history(&self, entity: EntityRef) -> Vec<String> {
        let events = |line: &String| {
            let record: serde_json::Value = serde_json::from_str(line).unwrap();
            let events = record["ev"].as_array().cloned().unwrap_or_default();
            events.into_iter().map(|event| event["type"].as_str().unwrap().to_owned())
        };
        self.journal.get(&entity).into_iter().flatten().flat_map(events).collect()
    }

    /// Every event of the store as JSON, entity by entity, without versions and times: what happened, however it came about.
    pub fn happened(&self) -> Vec<(EntityRef, String)> {
        let events = |line: &String| {
            let record: serde_json::Value = serde_json::from_str(line).unwrap();
            record["ev"].as_array().cloned().unwrap_or_default()
        };
        let mut all: Vec<(EntityRef, String)> = Vec::new();
        for (entity, lines) in &self.journal {
            all.extend(lines.iter().flat_map(events).map(|event| (*entity, event.to_string())));
        }
        all
    }
}

impl<E: Entity> Slot<E> {
    fn new(id: E::Id) -> Self {
        Self { entity: E::new(id), version: 0, sent: BTreeSet::new() }
    }
}
