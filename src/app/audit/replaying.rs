//! Making entities from their records, one record after the other, and beside them the states that their snapshots lead to.

use super::facts::{CartFacts, Facts, OrderFacts, Share, VendorFacts};
use crate::actors::{Built, build};
use crate::domain::cart::{CartEvent, CartStatus};
use crate::domain::customer::PointTotals;
use crate::domain::entity::{Decides, Entity};
use crate::domain::ids::{CartId, EntityId, EntityRef, Kind, OrderId, VendorId};
use crate::domain::kinds::kinds;
use crate::domain::order::{Order, OrderEvent};
use crate::domain::record::Record;
use crate::domain::vendor::VendorEvent;
use crate::limits;
use crate::ports::{History, Snapshot};
use serde_json::Value;
use std::collections::BTreeMap;
use std::panic::{self, AssertUnwindSafe};

/// What a record holds, typed.
type RecordOf<E> = Record<<E as Decides>::Event>;

fn apply<E: Entity>(built: &mut Built<E>, record: &RecordOf<E>) -> Result<(), String> {
    let applied = panic::catch_unwind(AssertUnwindSafe(|| {
        record.events.iter().for_each(|event| built.entity.apply(event, record.at));
        record.answers.iter().for_each(|answer| built.answers.keep(answer.clone()));
    }));
    built.version = record.version;
    applied.map_err(|_| format!("record {} makes the engine panic", record.version))
}

/// A snapshot, and the state that it and the records after it make.
struct Cached<E: Entity> {
    snapshot: Snapshot,
    /// There is one as soon as there is a record after it.
    newer: Option<Built<E>>,
    broken: Option<String>,
}

impl<E: Entity> Cached<E> {
    fn take(&mut self, id: E::Id, record: &RecordOf<E>) {
        if self.broken.is_some() || record.version <= self.snapshot.version {
            return;
        }
        if let Err(error) = self.try_take(id, record) {
            self.broken = Some(error);
        }
    }

    fn try_take(&mut self, id: E::Id, record: &RecordOf<E>) -> Result<(), String> {
        let newer = match &mut self.newer {
            Some(newer) => newer,
            none => none.insert(restored(id, &self.snapshot)?),
        };
        apply(newer, record)
    }

    /// All parts of its newest state.
    fn parts(&mut self, id: E::Id) -> Result<BTreeMap<String, Value>, String> {
        if let Some(broken) = self.broken.take() {
            return Err(broken);
        }
        let mut parts = BTreeMap::new();
        let mut restored = match self.newer.take() {
            Some(newer) => newer,
            None => restored::<E>(id, &self.snapshot)?,
        };
        // A restored state gives only what changed since: the rest stands in the snapshot.
        put(&mut parts, std::mem::take(&mut self.snapshot.parts))?;
        put(&mut parts, restored.delta().parts)?;
        Ok(parts)
    }
}

fn restored<E: Entity>(id: E::Id, snapshot: &Snapshot) -> Result<Built<E>, String> {
    build(id, &History { snapshot: Some(snapshot.clone()), records: Vec::new() }).map_err(|error| error.to_string())
}

fn put(parts: &mut BTreeMap<String, Value>, from: Vec<crate::domain::entity::Part>) -> Result<(), String> {
    for part in from {
        match part.state {
            Some(state) => {
                let value = serde_json::from_slice(&state).map_err(|error| format!("part '{}': {error}", part.name))?;
                parts.insert(part.name, value);
            }
            None => drop(parts.remove(&part.name)),
        }
    }
    Ok(())
}

/// One entity on its way through the journal.
struct Replay<E: Entity> {
    id: E::Id,
    built: Built<E>,
    broken: Option<String>,
    /// The newest version that a record up to the checkpoint makes.
    checkpointed: u64,
    cached: Option<Cached<E>>,
}

impl<E: Entity> Replay<E> {
    fn new(id: E::Id, snapshot: Option<Snapshot>) -> Self {
        let cached = snapshot.map(|snapshot| Cached { snapshot, newer: None, broken: None });
        Self { id, built: Built::new(id), broken: None, checkpointed: 0, cached }
    }

    /// Takes one record; gives it back when it was applied.
    fn take(&mut self, line: &[u8], checkpointed: bool) -> Option<RecordOf<E>> {
        if self.broken.is_some() {
            return None;
        }
        match self.try_take(line) {
            Ok(record) => {
                if checkpointed {
                    self.checkpointed = record.version;
                }
                Some(record)
            }
            Err(error) => {
                self.broken = Some(error);
                None
            }
        }
    }

    fn try_take(&mut self, line: &[u8]) -> Result<RecordOf<E>, String> {
        let after = self.built.version;
        let record: RecordOf<E> = serde_json::from_slice(line)
            .map_err(|error| format!("the record after version {after} cannot be read: {error}"))?;
        if record.version <= after {
            return Err(format!("version {} is there twice", record.version));
        }
        if record.version != after + 1 {
            return Err(format!("version {} follows version {after}: a record is missing", record.version));
        }
        apply(&mut self.built, &record)?;
        if let Some(cached) = &mut self.cached {
            cached.take(self.id, &record);
        }
        Ok(record)
    }

    /// Judges the entity by itself and against its snapshot. Gives its state, with whether its snapshot is of the newest version,
    /// unless it cannot be made.
    fn finish(mut self, facts: &mut Facts) -> Option<(E, bool)> {
        let entity = self.id.entity();
        facts.snapshots.count += u64::from(self.cached.is_some());
        if let Some(broken) = self.broken {
            facts.entities.add(format!("{entity}: {broken}"));
            facts.broken.insert(entity);
            return None;
        }
        if let Err(breach) = self.built.entity.check() {
            facts.entities.add(breach.to_string());
        }
        let version = self.built.version;
        let kept = self.cached.as_ref().map_or(0, |cached| cached.snapshot.version);
        let breaches = &mut facts.snapshots.breaches;
        if kept > version {
            breaches.add(format!("{entity}: its snapshot has version {kept}, the journal ends at version {version}"));
        } else if kept < self.checkpointed {
            let checkpointed = self.checkpointed;
            let what = if kept == 0 { "no snapshot".into() } else { format!("a snapshot of version {kept}") };
            breaches
                .add(format!("{entity}: it has {what}, and the checkpoint says that version {checkpointed} is in one"));
        } else if let Some(cached) = &mut self.cached {
            match compare(&mut self.built, cached, self.id) {
                Ok(differing) if differing.is_empty() => facts.snapshots.current += u64::from(kept == version),
                Ok(differing) => {
                    let told = differing.join(", ");
                    breaches.add(format!(
                        "{entity}: version {version} from its snapshot is another than from its records: {told}"
                    ));
                }
                Err(error) => breaches.add(format!("{entity}: its snapshot cannot be read: {error}")),
            }
        }
        Some((self.built.entity, kept == version))
    }
}

/// The parts in which the two states differ, in words.
fn compare<E: Entity>(built: &mut Built<E>, cached: &mut Cached<E>, id: E::Id) -> Result<Vec<String>, String> {
    let mut from_records = BTreeMap::new();
    put(&mut from_records, built.delta().parts)?;
    let from_snapshot = cached.parts(id)?;
    let name = |name: &str| if name.is_empty() { "its head".to_owned() } else { format!("part {name}") };
    let mut differing = Vec::new();
    for (part, value) in &from_records {
        match from_snapshot.get(part) {
            Some(same) if same == value => {}
            Some(other) => differing.push(format!("{} ({})", name(part), first_difference(other, value))),
            None => differing.push(format!("{} is missing", name(part))),
        }
    }
    let extra = from_snapshot.keys().filter(|part| !from_records.contains_key(*part));
    differing.extend(extra.map(|part| format!("{} should not be there", name(part))));
    if differing.len() > 3 {
        let more = differing.len() - 3;
        differing.truncate(3);
        differing.push(format!("and {more} more"));
    }
    Ok(differing)
}

/// Where two values begin to differ. Their content is not told: it may be somebody's address, or a payment token.
fn first_difference(kept: &Value, made: &Value) -> String {
    match (kept, made) {
        (Value::Object(kept), Value::Object(made)) => {
            let keys = kept.keys().chain(made.keys()).find(|key| kept.get(*key) != made.get(*key));
            let Some(key) = keys else { return String::new() };
            match (kept.get(key), made.get(key)) {
                (Some(kept), Some(made)) if kept.is_object() || kept.is_number() => {
                    format!("{key}: {}", first_difference(kept, made))
                }
                _ => key.clone(),
            }
        }
        (Value::Number(kept), Value::Number(made)) => format!("{kept} instead of {made}"),
        _ => "another value".into(),
    }
}

macro_rules! any_replay {
    ([$($(#[$doc:meta])* $kind:ident $name:literal $slots:ident $type:ty, $unknown:ident;)*]) => {
        /// An entity of any kind on its way through the journal.
        enum AnyReplay {
            $($kind(Box<Replay<$type>>),)*
        }

        impl AnyReplay {
            fn new(entity: EntityRef, snapshot: Option<Snapshot>) -> Self {
                match entity.kind {
                    $(Kind::$kind => {
                        Self::$kind(Box::new(Replay::new(EntityId::from_uuid(entity.uuid), snapshot)))
                    })*
                }
            }

            /// Takes one record of which nobody else has to know.
            fn take_alone(&mut self, line: &[u8], checkpointed: bool) {
                match self {
                    $(Self::$kind(replay) => drop(replay.take(line, checkpointed)),)*
                }
            }

            /// Judges an entity of which nothing else is to be known.
            fn finish_alone(self, facts: &mut Facts) {
                match self {
                    $(Self::$kind(replay) => drop(replay.finish(facts)),)*
                }
            }
        }
    };
}
kinds!(any_replay);

/// Whether entities of this kind are few, and large: these are made while the journal is read. Of the others there are as many as orders.
pub(super) fn is_few(kind: Kind) -> bool {
    match kind {
        Kind::Vendor | Kind::Coupon | Kind::Room => true,
        Kind::Cart | Kind::Order | Kind::Customer => false,
    }
}

/// An event of which others than its entity have to know.
#[derive(Clone, Copy, Debug)]
pub(super) enum Seen<'a> {
    /// Of a cart.
    Cart(CartId, &'a CartEvent),
    /// Of an order.
    Order(OrderId, &'a OrderEvent),
    /// Of a vendor.
    Vendor(VendorId, &'a VendorEvent),
}

impl AnyReplay {
    /// Takes one record, given as its line; `checkpointed` when the checkpoint is at or after its frame. Tells `see` what others have to know.
    fn take(&mut self, line: &[u8], checkpointed: bool, mut see: impl FnMut(Seen<'_>)) {
        match self {
            AnyReplay::Cart(replay) => {
                let (id, record) = (replay.id, replay.take(line, checkpointed));
                record.iter().flat_map(|record| &record.events).for_each(|event| see(Seen::Cart(id, event)));
            }
            AnyReplay::Order(replay) => {
                let (id, record) = (replay.id, replay.take(line, checkpointed));
                record.iter().flat_map(|record| &record.events).for_each(|event| see(Seen::Order(id, event)));
            }
            AnyReplay::Vendor(replay) => {
                let (id, record) = (replay.id, replay.take(line, checkpointed));
                record.iter().flat_map(|record| &record.events).for_each(|event| see(Seen::Vendor(id, event)));
            }
            other => other.take_alone(line, checkpointed),
        }
    }

    /// Judges the entity and tells the facts what there is to know of it. Its state and its snapshot are let go.
    fn know(self, facts: &mut Facts) {
        match self {
            AnyReplay::Cart(replay) => {
                let id = replay.id;
                if let Some((cart, _)) = replay.finish(facts) {
                    let status = cart.view().map_or(CartStatus::Open, |view| view.status);
                    facts.carts.insert(id, CartFacts { status, order: cart.order() });
                }
            }
            AnyReplay::Order(replay) => {
                let (id, version) = (replay.id, replay.built.version);
                if let Some((order, current)) = replay.finish(facts) {
                    facts.details.recorded.extend(order.is_detailed().then_some(id));
                    facts.orders.extend(order_facts(&order, version, current).map(|order| (id, order)));
                }
            }
            AnyReplay::Vendor(replay) => {
                let (id, version) = (replay.id, replay.built.version);
                if let Some((vendor, current)) = replay.finish(facts) {
                    let (row, products, skus) = (vendor.row(), vendor.product_rows(), vendor.sku_rows());
                    let sales = vendor.sale_rows();
                    let slots = vendor.slots_had().collect();
                    facts.vendors.insert(id, VendorFacts { row, products, skus, sales, slots, version, current });
                }
            }
            AnyReplay::Customer(replay) => {
                let id = replay.id;
                if let Some((customer, current)) = replay.finish(facts) {
                    facts.customers.extend(customer.row().map(|row| (id, (row, current))));
                    facts.counted.extend(customer.open_cash().iter().map(|order| (id, *order)));
                    facts.point_holds.extend(customer.points().held_for().map(|order| (id, order)));
                    let totals = customer.points().totals();
                    if totals != PointTotals::default() {
                        facts.point_totals.insert(id, totals);
                    }
                }
            }
            AnyReplay::Coupon(replay) => {
                let id = replay.id;
                if let Some((coupon, current)) = replay.finish(facts) {
                    facts.coupons.extend(coupon.row().map(|row| (id, (row, current))));
                }
            }
            #[allow(unreachable_patterns, reason = "while more is to be known of each kind")]
            other => other.finish_alone(facts),
        }
    }
}

/// An entity on its way, first with its snapshot and then through its records.
pub(super) struct Replaying {
    entity: EntityRef,
    /// Until the first record.
    snapshot: Option<Snapshot>,
    replay: Option<AnyReplay>,
}

impl Replaying {
    /// Before everything.
    pub(super) fn new(entity: EntityRef) -> Self {
        Self { entity, snapshot: None, replay: None }
    }

    /// Its snapshot.
    pub(super) fn snapshot(&mut self, snapshot: Snapshot) {
        self.snapshot = Some(snapshot);
    }

    /// Its next record: see [`AnyReplay::take`].
    pub(super) fn record(&mut self, line: &[u8], checkpointed: bool, see: impl FnMut(Seen<'_>)) {
        let (entity, snapshot) = (self.entity, &mut self.snapshot);
        let replay = self.replay.get_or_insert_with(|| AnyReplay::new(entity, snapshot.take()));
        replay.take(line, checkpointed, see);
    }

    /// After its last record.
    pub(super) fn finish(self, facts: &mut Facts) {
        if let Some(snapshot) = self.snapshot {
            let (entity, version) = (self.entity, snapshot.version);
            facts.snapshots.count += 1;
            facts.snapshots.breaches.add(format!("{entity}: it has a snapshot of version {version} and no record"));
        }
        if let Some(replay) = self.replay {
            *facts.replayed.entry(self.entity.kind).or_default() += 1;
            replay.know(facts);
        }
    }
}

/// Entities of the kinds that are few, on their way through the journal.
#[derive(Default)]
pub(super) struct Replays(BTreeMap<EntityRef, Replaying>);

impl Replays {
    /// Its snapshot, before the first record of all.
    pub(super) fn snapshot(&mut self, snapshot: Snapshot) {
        self.of(snapshot.entity).snapshot(snapshot);
    }

    /// The next record of one of them: see [`AnyReplay::take`].
    pub(super) fn record(&mut self, of: EntityRef, line: &[u8], checkpointed: bool, see: impl FnMut(Seen<'_>)) {
        self.of(of).record(line, checkpointed, see);
    }

    fn of(&mut self, entity: EntityRef) -> &mut Replaying {
        self.0.entry(entity).or_insert_with(|| Replaying::new(entity))
    }

    /// After the last record of a partition: what there is to know of each that lives there.
    pub(super) fn finish_partition(&mut self, partition: u16, facts: &mut Facts) {
        let ends = |(entity, replaying): &(EntityRef, Replaying)| {
            replaying.replay.is_some() && entity.partition(limits::PARTITIONS) == partition
        };
        let (ended, others) = std::mem::take(&mut self.0).into_iter().partition::<Vec<_>, _>(ends);
        self.0 = others.into_iter().collect();
        ended.into_iter().for_each(|(_, replaying)| replaying.finish(facts));
    }

    /// After the last record of all.
    pub(super) fn finish(self, facts: &mut Facts) {
        self.0.into_values().for_each(|replaying| replaying.finish(facts));
    }
}

/// What there is to know of an order; `None` before it came into being.
fn order_facts(order: &Order, version: u64, current: bool) -> Option<OrderFacts> {
    let (row, phase) = (order.row()?, order.phase()?);
    let shares = order.legs().filter_map(|leg| Some(Share { vendor: leg.with.vendor()?, state: leg.state })).collect();
    Some(OrderFacts {
        row,
        phase,
        shares,
        told: order.told(),
        by_hand: order.is_settled_by_hand(),
        version,
        mint: order.mint(),
        needs_token: order.needs_token(),
        current,
        coming_back: order.units_coming_back().collect(),
        slots: order.delivery_slots().collect(),
        attention: order.attention(),
        refunds: order.given_back(),
        counted_open: order.counted_open(),
        points: order.point_facts(),
    })
}
