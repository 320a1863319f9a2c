//! A small world around the turn: entities in maps, messages in one queue, simulated time and a simulated gateway. What a message does
//! is said by the function that the shell uses, too; the world carries it out in one thread and always in the same order, so that a
//! failing run can be run again.
//!
//! It delivers an effect when it newly appears among the wanted ones, sends all of them again on demand, keeps each command's
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
use haat::actors::turn::{self, Asked, Moment, Outcome};
use haat::actors::{Answered, Built};
use haat::domain::buyer::Audience;
use haat::domain::cart::Cart;
use haat::domain::details::DetailName;
use haat::domain::entity::concerns::*;
use haat::domain::entity::{Effect, EffectKey, Message, PaymentCall, Publication};
use haat::domain::ids::{CartId, CustomerId, EntityId, EntityRef, OrderId, ProductId, SkuId, VendorId};
use haat::domain::knowledge::{Availability, Knowledge, Prices};
use haat::domain::money::Money;
use haat::domain::order::{Order, OrderCommand, OrderStatus};
use haat::domain::payment::Aim;
use haat::domain::record::{IdempotencyKey, Record};
use haat::domain::reject::Reject;
use haat::domain::rows::{OrderRow, ProductRow, SkuRow};
use haat::domain::time::Timestamp;
use haat::domain::vendor::{SkuTerms, Vendor};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt::Debug;
use std::ops::Deref;
use std::sync::Arc;

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
    /// What is wanted of the gateway.
    Pay(Aim, PaymentCall),
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
pub struct Slot<E: Stored> {
    built: Built<E>,
    /// Those who wait until the entity has come so far.
    waiting: Vec<(E::Command, Option<IdempotencyKey>)>,
    /// What those were answered who have waited.
    pub told: Vec<(E::Command, Answered<E::Reply>)>,
    sent: BTreeSet<EffectKey>,
}

impl<E: Stored> Slot<E> {
    fn new(id: E::Id) -> Self {
        Self { built: Built::new(id), waiting: Vec::new(), told: Vec::new(), sent: BTreeSet::new() }
    }
}

impl<E: Stored> Deref for Slot<E> {
    type Target = Built<E>;

    fn deref(&self) -> &Built<E> {
        &self.built
    }
}

/// A kind of entity that the world holds.
pub trait Stored: Entity<Event: PartialEq> + Sized {
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

/// What bills are made with in a world: nothing, until a test says something.
#[derive(Clone, Debug, Default)]
pub struct Priced {
    /// The tables.
    pub tables: Option<std::sync::Arc<haat::domain::pricing::Tables>>,
    /// The least that is paid, in minor units.
    pub least: i64,
    /// The most that is paid at the door, in minor units.
    pub most_at_the_door: Option<i64>,
}

impl Prices for Priced {
    fn tables(&self) -> Option<std::sync::Arc<haat::domain::pricing::Tables>> {
        self.tables.clone()
    }
    fn least(&self, _: &str, _: haat::domain::money::Currency) -> i64 {
        self.least
    }
    fn most_at_the_door(&self, _: haat::domain::money::Currency) -> Option<i64> {
        self.most_at_the_door
    }
}

/// What was published: the available pieces of each SKU, and its price.
#[derive(Debug, Default)]
struct Published {
    available: BTreeMap<SkuId, i64>,
    prices: BTreeMap<SkuId, Money>,
    terms: BTreeMap<SkuId, Arc<SkuTerms>>,
    products: BTreeMap<SkuId, ProductId>,
    audiences: BTreeMap<CustomerId, Audience>,
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

    fn terms(&self, sku: SkuId) -> Option<Arc<SkuTerms>> {
        self.terms.get(&sku).cloned()
    }

    fn product(&self, sku: SkuId) -> Option<ProductId> {
        self.products.get(&sku).copied()
    }

    fn audience(&self, customer: CustomerId) -> Audience {
        self.audiences.get(&customer).copied().unwrap_or_default()
    }
}

/// The world.
#[derive(Default)]
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
    /// What is kept beside it.
    pub details: BTreeMap<(OrderId, DetailName), std::sync::Arc<[u8]>>,
    saved: BTreeMap<EntityRef, Saved>,
    tables: Tables,
    availability: Published,
    /// What bills are made with.
    pub prices: Priced,
    statuses: BTreeMap<OrderStatus, i64>,
    echoes: BTreeMap<(Peer, Peer), Envelope>,
}

impl World {
    /// Gives an entity a command from outside and returns its answer: `None` while it is too early for one.
    pub fn ask<E: Stored>(&mut self, id: E::Id, command: E::Command) -> Option<Result<E::Reply, Reject>> {
        self.ask_under::<E>(id, command, None).map(|answered| answered.outcome)
    }

    /// [`World::ask`] under an idempotency key. Who is not answered yet waits, as long as no node crashes.
    pub fn ask_under<E: Stored>(
        &mut self,
        id: E::Id,
        command: E::Command,
        key: Option<IdempotencyKey>,
    ) -> Option<Answered<E::Reply>> {
        let let_in = |_: &E, _: &E::Command| Ok(());
        let mut outcome = self.turn(id, |outcome, built, waiting, moment| {
            let asked = turn::ask(outcome, built, &command, key, waiting.iter().map(asked::<E>), moment, let_in);
            asked.expect("everything is let in, and every answer is readable");
        });
        self.answer_waiting::<E>(id, std::mem::take(&mut outcome.others));
        if outcome.waits {
            E::slots(self).get_mut(&id).expect("it was asked").waiting.push((command, key));
        }
        let answer = outcome.answer.take();
        self.carry_out(id, outcome);
        answer
    }

    /// Gives an entity a command of another one, or of time, or an answer of the gateway.
    fn command<E: Stored>(&mut self, id: E::Id, command: E::Command) {
        let let_in = |_: &E, _: &E::Command| Ok(());
        let mut outcome = self.turn(id, |outcome, built, waiting, moment| {
            turn::tell(outcome, built, &command, waiting.iter().map(asked::<E>), moment, let_in);
        });
        self.answer_waiting::<E>(id, std::mem::take(&mut outcome.others));
        self.carry_out(id, outcome);
    }

    /// One turn of an entity, which is lent out of the world for it.
    fn turn<E: Stored>(
        &mut self,
        id: E::Id,
        turn: impl FnOnce(&mut Outcome<E>, &mut Built<E>, &[(E::Command, Option<IdempotencyKey>)], Moment<'_>),
    ) -> Outcome<E> {
        self.availability.blind = self.availability_blind;
        let mut slot = E::slots(self).remove(&id).unwrap_or_else(|| Slot::new(id));
        let knowledge = Knowledge { availability: &self.availability, prices: &self.prices, ..Knowledge::NOTHING };
        let mut outcome = Outcome::default();
        turn(&mut outcome, &mut slot.built, &slot.waiting, Moment { now: self.now, knowledge });
        E::slots(self).insert(id, slot);
        outcome
    }

    fn answer_waiting<E: Stored>(&mut self, id: E::Id, answered: Vec<(usize, Answered<E::Reply>)>) {
        let slot = E::slots(self).get_mut(&id).expect("it had a turn");
        for (place, answer) in answered.into_iter().rev() {
            let (command, _) = slot.waiting.remove(place);
            slot.told.push((command, answer));
        }
    }

    /// Does what a turn came to, as the shell does it: records, publishes, sends. After a crash the record stands, and nothing else.
    fn carry_out<E: Stored>(&mut self, id: E::Id, outcome: Outcome<E>) {
        if outcome.asks_again {
            E::slots(self).get_mut(&id).expect("it had a turn").sent.clear();
        }
        if let Some(record) = &outcome.record {
            self.record(record);
            for detail in &outcome.details {
                self.details.entry((detail.order, detail.name)).or_insert_with(|| detail.body.clone());
            }
            self.publish(&outcome.publications);
            if self.crash_when_due(id.entity()) {
                return;
            }
            self.send_wanted::<E>(id, outcome.wanted);
        }
        for message in outcome.tells.into_iter().chain(outcome.response) {
            self.tell(id.entity(), message);
        }
        self.check_always();
    }

    fn record<E>(&mut self, record: &Record<E>)
    where
        E: Serialize + DeserializeOwned + PartialEq + Debug,
    {
        let mut line = Vec::new();
        record.write(&mut line);
        let line = String::from_utf8(line).unwrap();
        assert_eq!(&serde_json::from_str::<Record<E>>(&line).unwrap(), record, "changed by its JSON: {line}");
        self.journal.entry(record.entity).or_default().push(line);
        self.records += 1;
    }

    fn publish(&mut self, published: &[Publication]) {
        for publication in published {
            match publication {
                // The small shop has no coupons, and leaves it to its vendors whether they sell.
                Publication::Vendor(_) | Publication::Product(_) | Publication::Sale(_) | Publication::Coupon(_) => {}
                Publication::Sku(row) => {
                    self.availability.available.insert(row.id, row.available());
                    self.availability.prices.insert(row.id, Money::new(row.price_minor, row.currency));
                    self.availability.products.insert(row.id, row.product_id);
                    match &row.terms {
                        Some(terms) => drop(self.availability.terms.insert(row.id, terms.clone())),
                        None => drop(self.availability.terms.remove(&row.id)),
                    }
                }
                Publication::Available { sku, available, .. } => {
                    _ = self.availability.available.insert(*sku, *available)
                }
                Publication::Group { customer, audience, .. } => {
                    _ = self.availability.audiences.insert(*customer, *audience);
                }
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

    fn tell(&mut self, from: EntityRef, message: Message) {
        let to = Peer::Entity(message.to());
        self.send(Envelope { from: Peer::Entity(from), to, parcel: Parcel::Tell(message) });
    }

    /// Sends what is wanted and was not sent before, in the entity's own order.
    fn send_wanted<E: Stored>(&mut self, id: E::Id, wanted: Vec<EffectKey>) {
        let slot = E::slots(self).get_mut(&id).expect("only known entities want something");
        let new = wanted.iter().copied().filter(|key| !slot.sent.contains(key)).collect();
        slot.sent = wanted.into_iter().collect();
        self.send_effects::<E>(id, new);
    }

    fn send_effects<E: Stored>(&mut self, id: E::Id, keys: Vec<EffectKey>) {
        for key in keys {
            let effect = E::slots(self)[&id].entity.effect(key).expect("an outstanding key has an effect");
            let from = Peer::Entity(id.entity());
            let (to, parcel) = match effect {
                Effect::Tell(message) => (Peer::Entity(message.to()), Parcel::Tell(message)),
                Effect::Charge(call) => (Peer::Gateway, Parcel::Pay(Aim::Charge { token: false }, call)),
                Effect::LookUp(call) => (Peer::Gateway, Parcel::Pay(Aim::LookUp, call)),
                Effect::Void { call, .. } => (Peer::Gateway, Parcel::Pay(Aim::Undo, call)),
            };
            self.send(Envelope { from, to, parcel });
        }
    }

    /// Sends everything that an entity waits for, whatever was sent before.
    fn send_all<E: Stored>(&mut self, id: E::Id) {
        let now = self.now;
        let slot = E::slots(self).get_mut(&id).expect("only known entities want something");
        slot.sent = slot.built.entity.outstanding_at_once(now).into_iter().collect();
        let all = slot.built.entity.outstanding(now);
        self.send_effects::<E>(id, all);
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
            Parcel::Tell(Message::Cart { id, command }) => self.command::<Cart>(id, command),
            Parcel::Tell(Message::Order { id, command }) => self.command::<Order>(id, command),
            Parcel::Tell(Message::Vendor { id, command }) => self.command::<Vendor>(id, command),
            #[allow(unreachable_patterns, reason = "while all kinds are in this world")]
            Parcel::Tell(other) => panic!("nobody in this world takes {other:?}"),
            Parcel::Pay(mut aim, mut call) => {
                // As the node finds it.
                if let Some(body) = self.details.get(&(call.order, DetailName::Payment)) {
                    call.token = Some(str::from_utf8(body).unwrap().into());
                }
                if let Aim::Charge { token } = &mut aim {
                    *token = call.token.is_some();
                }
                let answer = self.gateway.ask(aim, &call, self.now);
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
            ids.into_iter().for_each(|id| world.send_all::<E>(id));
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

    /// Wakes whoever has waited for a moment that has come.
    fn fire_timers(&mut self) {
        fn of_kind<E: Stored>(world: &mut World) {
            let now = world.now;
            let is_due = |slot: &Slot<E>| {
                let timer = slot.entity.timer().map(|(at, _)| at);
                timer.into_iter().chain(slot.entity.next_ask()).any(|at| at <= now)
            };
            let due: Vec<E::Id> = E::slots(world).iter().filter(|(_, slot)| is_due(slot)).map(|(id, _)| *id).collect();
            due.into_iter().for_each(|id| world.wake::<E>(id));
        }
        of_kind::<Cart>(self);
        of_kind::<Order>(self);
        of_kind::<Vendor>(self);
    }

    fn wake<E: Stored>(&mut self, id: E::Id) {
        let now = self.now;
        if let Some((_, command)) = E::slots(self)[&id].entity.timer().filter(|(at, _)| *at <= now) {
            self.command::<E>(id, command);
        }
        let slot = E::slots(self).get_mut(&id).expect("a listed id");
        let (wanted, asks) = (slot.built.entity.outstanding_at_once(now), slot.built.entity.ask_due(now));
        self.send_wanted::<E>(id, wanted);
        self.send_effects::<E>(id, asks);
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

/// A request that waits, as a turn sees it.
fn asked<E: Decides>((command, key): &(E::Command, Option<IdempotencyKey>)) -> Asked<'_, E> {
    (command, *key)
}
