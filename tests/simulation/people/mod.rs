//! Who comes to the shop, and what all of them have in common: a chance of their own, and how they put a question to a node as the
//! HTTP edge puts it and tell the oracle its answer. What each does all day stands in a file of its own.

mod bank;
mod buyer;
mod courier;
mod giver;
mod hunter;
mod keeper;
mod marketer;
mod memory;
mod packer;
mod planner;
mod pricer;
mod promoter;
mod refunder;
mod saver;
mod shopper;
mod staff;
mod vendor;
mod waiter;

pub use buyer::Buyer;
pub use courier::Courier;
pub use promoter::Known;
pub use staff::Staff;

use crate::judges::{Judged, key_of};
use crate::node::{Node, Town};
use crate::world::{Chance, World};
use haat::actors::{Answered, Ask, Failure};
use haat::domain::entity::concerns::*;
use haat::domain::ids::{CartId, EntityId, EntityRef, Kind, OrderId, SkuId};
use haat::domain::knowledge::Availability as _;
use haat::domain::order::{Order, OrderCommand, OrderReply, OrderView};
use haat::domain::record::IdempotencyKey;
use haat::domain::reject::Reject;
use haat::domain::time::Timestamp;
use std::fmt::Debug;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::time::sleep;

/// What somebody does all day.
type Day = Pin<Box<dyn Future<Output = ()>>>;
/// The days of all people of one kind.
type Come = fn(&Arc<Town>) -> Vec<Day>;

/// Who comes, one line for each kind of people: a new kind is a file beside these and a line here. The order of the lines is that in
/// which they come, so a new one goes to the end.
const CROWD: &[Come] = &[
    vendor::come,
    buyer::come,
    staff::come,
    shopper::come,
    marketer::come,
    promoter::come,
    hunter::come,
    pricer::come,
    refunder::come,
    bank::come,
    courier::come,
    packer::come,
    planner::come,
    waiter::come,
    saver::come,
    giver::come,
    keeper::come,
];

/// The days of all who come to a town's shop.
pub fn crowd(town: &Arc<Town>) -> impl Iterator<Item = Day> {
    CROWD.iter().flat_map(|come| come(town))
}

/// Orders that a cart may come to have.
const ATTEMPTS: u32 = 100;

/// How a question ended for whoever asked.
enum Told<T> {
    /// With an answer, be it a refusal.
    Answer(T),
    /// With the word that nothing was done.
    NotDone(Failure),
    /// With nothing: the node crashed, or the time was over.
    Nothing,
}

/// What everybody has, whatever they do.
struct Person {
    town: Arc<Town>,
    name: String,
    /// Each has a chance of their own: one who does more changes nobody else's mind.
    chance: Chance,
    asked: u64,
}

impl Person {
    fn new(town: &Arc<Town>, name: String) -> Self {
        let chance = town.world.fork(&name);
        Self { town: town.clone(), name, chance, asked: 0 }
    }

    fn world(&self) -> &World {
        &self.town.world
    }

    async fn pause(&self, longest_ms: u64) {
        self.chance.pause(longest_ms).await;
    }

    /// A name for one question, by which it can be recognized in the journal.
    fn tag(&mut self) -> String {
        self.asked += 1;
        format!("{} {}", self.name, self.asked)
    }

    fn key(tag: &str) -> IdempotencyKey {
        IdempotencyKey { key: key_of(tag), body: 1 }
    }

    /// How a question is asked: within a time that chance gives.
    fn how(&self, key: Option<IdempotencyKey>, fresh: bool) -> Ask {
        let within = Duration::from_millis(*self.chance.pick(&[30, 300, 3_000, 10_000, 10_000]));
        Ask { within, key, fresh }
    }

    /// A node to ask; waits while there is none.
    async fn node(&self) -> Arc<Node> {
        loop {
            match self.town.node() {
                Some(node) => return node,
                None => sleep(Duration::from_millis(20)).await,
            }
        }
    }

    async fn told<T: Debug>(
        &self,
        node: &Node,
        what: &str,
        of: EntityRef,
        question: impl Future<Output = Result<T, Failure>>,
    ) -> Told<T> {
        self.told_of(node, what, &[of], question).await
    }

    /// As [`Person::told`], where it is several who are asked.
    async fn told_of<T: Debug>(
        &self,
        node: &Node,
        what: &str,
        of: &[EntityRef],
        question: impl Future<Output = Result<T, Failure>>,
    ) -> Told<T> {
        let world = self.world();
        world.count("actions");
        world.note(format_args!("{} asks node {}: {what}", self.name, node.number));
        node.in_flight.fetch_add(1, Ordering::Relaxed);
        let outcome = tokio::select! {
            biased;
            () = node.gone.cancelled() => Err(Failure::OutcomeUnknown),
            outcome = question => outcome,
        };
        node.in_flight.fetch_sub(1, Ordering::Relaxed);
        let told = match outcome {
            // What the node says as it crashes does not get out any more.
            _ if node.gone.is_cancelled() => Told::Nothing,
            Ok(answer) => Told::Answer(answer),
            Err(Failure::OutcomeUnknown) => Told::Nothing,
            Err(failure) => Told::NotDone(failure),
        };
        match &told {
            Told::Answer(answer) => {
                let answer = format!("{answer:?}");
                let start: String = answer.chars().take(90).collect();
                let whole = xxhash_rust::xxh3::xxh3_64(answer.as_bytes());
                world.count("answers");
                world.note(format_args!("{} is told {start} {whole:016x}", self.name));
            }
            Told::NotDone(failure) => world.note(format_args!("{} is told {failure}", self.name)),
            Told::Nothing => world.note(format_args!("{} is told nothing", self.name)),
        }
        if let Told::NotDone(Failure::Overloaded { retry_after_s }) = told
            && world.plan.patient
        {
            sleep(Duration::from_secs(retry_after_s)).await;
        }
        if let Told::NotDone(Failure::ProviderSilent { .. }) = told {
            world.count("checkouts refused for a silent provider");
        }
        if let Told::NotDone(Failure::Quarantined) = told {
            world.count("quarantined answers");
            let is_damaged = |entity| self.town.server.is_damaged(entity);
            let is_known = of.iter().any(|of| {
                // A checkout is a question to the cart's orders, too.
                let attempts = if of.kind == Kind::Cart { ATTEMPTS } else { 0 };
                let orders = (1..=attempts).map(|attempt| OrderId::for_attempt(CartId::from_uuid(of.uuid), attempt));
                is_damaged(*of) || orders.map(EntityId::entity).any(is_damaged)
            });
            if !is_known {
                world.breach(format_args!("{of:?} is quarantined: {what}"));
            }
        }
        told
    }

    /// Tells the oracle how a try of a tagged command ended.
    fn tried<T>(&self, tag: &str, told: &Told<Answered<T>>) {
        let done = matches!(told, Told::Answer(Answered { outcome: Ok(_), .. }));
        self.town.oracle.commands.tried(tag, done, matches!(told, Told::Nothing));
    }

    /// Tells the oracle of an answer that stays the same under its key. `forgets` tells that nothing but a kept answer makes one that
    /// repeats.
    fn kept<T: Debug>(
        &self,
        key: Option<IdempotencyKey>,
        asked: Timestamp,
        outcome: &Result<T, Reject>,
        replayed: bool,
        forgets: bool,
    ) {
        if outcome.as_ref().is_err_and(|reject| *reject == Reject::CommandPoisoned) {
            self.world().count("poisoned answers");
        }
        if let Some(key) = key.filter(|_| outcome.as_ref().map_or_else(Reject::is_conflict, |_| true)) {
            self.town.oracle.keys.answered_under(key.key, format!("{outcome:?}"), asked, replayed, forgets);
        }
    }

    /// Asks an entity of any kind, and tells the oracle what it answers.
    async fn ask<E: Judged>(
        &self,
        id: E::Id,
        what: &str,
        command: E::Command,
        how: Ask,
    ) -> Told<Answered<<E as Decides>::Reply>> {
        let node = self.node().await;
        let oracle = &self.town.oracle;
        let (floor, asked) = (oracle.answers.floor(id.entity()), self.world().now());
        // With its token it would be handed to whoever has the old key.
        let is_past = E::is_handed_out(&command) && how.key.is_some_and(|key| oracle.keys.is_past(key.key, asked));
        let forgets = E::forgets(&command);
        let told = self.told(&node, what, id.entity(), node.shop.ask::<E>(id, command, how)).await;
        let Told::Answer(Answered { outcome, replayed }) = &told else { return told };
        self.kept(how.key, asked, outcome, *replayed, forgets);
        if is_past && outcome.is_ok() {
            self.world().breach(format_args!("{id} is handed out under a key that is past its day"));
        }
        if is_past {
            self.world().count("carts asked for past their day");
        }
        if let Ok(reply) = outcome {
            E::shown(&oracle.answers, if *replayed { 0 } else { floor }, reply);
        }
        told
    }

    /// Asks an order; how it stands, if it says.
    async fn ask_order(&self, id: OrderId, what: &str, command: OrderCommand, how: Ask) -> Option<OrderView> {
        match self.ask::<Order>(id, what, command, how).await {
            Told::Answer(Answered { outcome: Ok(OrderReply::Order { order }), .. }) => Some(*order),
            _ => None,
        }
    }

    /// Reads the catalogue cache.
    async fn look_up(&self, id: SkuId) {
        let node = self.node().await;
        let Ok(directory) = node.shop.catalog() else { return };
        let Some(listing) = directory.sku(id, node.shop.clock().now()) else { return };
        let row = &listing.sku;
        let of = row.vendor_id.entity();
        if self.town.server.is_damaged(of) || self.town.server.had_rejected_rows(of) {
            // The catalogue cache begins with the read tables, which may be behind.
            return;
        }
        let available = directory.available(id).unwrap_or_default();
        self.world().note(format_args!("{} reads {id}: {available} at {}", self.name, row.price_minor));
        let floor = self.town.oracle.answers.floor(of);
        self.town.oracle.answers.listing_shown(floor, row, available);
    }
}
