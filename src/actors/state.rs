//! An entity's state with what the shell keeps beside it, and how both are made from what the store holds.

use crate::domain::entity::{Asks as _, Checks as _, Delta, Entity, Keeps as _, Part, RestoreError};
use crate::domain::ids::{EntityId, EntityRef, Kind};
use crate::domain::invariants::Breach;
use crate::domain::kinds::kinds;
use crate::domain::record::{KeptAnswer, Record};
use crate::domain::rows::Rows;
use crate::domain::time::Timestamp;
use crate::limits;
use crate::ports::{History, Snapshot};
use foldhash::HashMap;
use std::collections::BTreeSet;
use std::panic::{self, AssertUnwindSafe};

/// What the names of the parts begin with that hold kept answers.
const ANSWER_PART: &str = "answer/";

/// The first answers given under idempotency keys, for a day.
pub struct KeptAnswers {
    /// How many are kept at most.
    most: usize,
    by_key: HashMap<u128, KeptAnswer>,
    /// Keys by when they came, the oldest first. Those of one moment stand in an order of their own, not in that in which they came: a
    /// snapshot does not tell that one, and which of them is forgotten first must not depend on it.
    age: BTreeSet<(Timestamp, u128)>,
    changed: BTreeSet<u128>,
}

impl KeptAnswers {
    fn new(most: usize) -> Self {
        Self { most, by_key: HashMap::default(), age: BTreeSet::new(), changed: BTreeSet::new() }
    }

    /// The first answer under this key, if it is still kept. One whose time is over is forgotten, though it may not have been
    /// cleared away yet.
    pub fn get(&self, key: u128, now: Timestamp) -> Option<&KeptAnswer> {
        self.by_key.get(&key).filter(|kept| !is_over(kept.at, now))
    }

    /// Keeps an answer, and clears away those whose time is over and, for want of room, the oldest.
    pub fn keep(&mut self, answer: KeptAnswer) {
        let (key, at) = (answer.key.key, answer.at);
        // Before the new one comes in: it may have the key of one that goes.
        while let Some((oldest, key)) = self.age.first().copied() {
            if !is_over(oldest, at) && self.by_key.len() < self.most {
                break;
            }
            self.age.pop_first();
            if self.by_key.get(&key).is_some_and(|kept| kept.at == oldest) {
                self.by_key.remove(&key);
                self.changed.insert(key);
            }
        }
        self.insert(answer);
        self.changed.insert(key);
    }

    /// How many are kept.
    pub fn count(&self) -> usize {
        self.by_key.len()
    }

    fn insert(&mut self, answer: KeptAnswer) {
        self.age.insert((answer.at, answer.key.key));
        self.by_key.insert(answer.key.key, answer);
    }
}

/// Whether an answer given at `at` is not kept any more.
fn is_over(at: Timestamp, now: Timestamp) -> bool {
    now.millis_since(at) > limits::IDEMPOTENCY_MS
}

/// An entity in memory.
pub struct Built<E: Entity> {
    /// Its id.
    pub id: E::Id,
    /// The state machine.
    pub entity: E,
    /// How many records it has.
    pub version: u64,
    /// The answers kept with it.
    pub answers: KeptAnswers,
}

impl<E: Entity> Built<E> {
    /// An entity that has no records.
    pub fn new(id: E::Id) -> Self {
        Self { id, entity: E::new(id), version: 0, answers: KeptAnswers::new(E::KEPT_ANSWERS) }
    }

    /// The changed parts of the state and of the kept answers.
    pub fn delta(&mut self) -> Delta {
        let mut delta = self.entity.delta();
        for key in std::mem::take(&mut self.answers.changed) {
            let state = self.answers.by_key.get(&key).map(|answer| {
                let mut written = Vec::new();
                answer.write(&mut written);
                written
            });
            delta.parts.push(Part { name: format!("{ANSWER_PART}{key:032x}"), state });
        }
        delta
    }
}

/// Why an entity's state cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum Unbuildable {
    /// A part of its snapshot cannot be read.
    #[error(transparent)]
    Snapshot(#[from] RestoreError),
    /// A record cannot be read.
    #[error("the record after version {after} cannot be read: {source}")]
    Record {
        /// The version before it.
        after: u64,
        /// What serde says.
        source: serde_json::Error,
    },
    /// A record is missing.
    #[error("version {found} follows version {after}: a record is missing")]
    Gap {
        /// The version before.
        after: u64,
        /// The version found.
        found: u64,
    },
    /// The code panicked over it.
    #[error("a record makes the engine panic")]
    Panic,
}

/// Makes an entity from its snapshot and the records since. A panic is caught: it concerns this entity alone.
///
/// # Errors
/// When the entity is to be quarantined.
pub fn build<E: Entity>(id: E::Id, history: &History) -> Result<Built<E>, Unbuildable> {
    panic::catch_unwind(AssertUnwindSafe(|| build_unguarded(id, history))).unwrap_or(Err(Unbuildable::Panic))
}

fn build_unguarded<E: Entity>(id: E::Id, history: &History) -> Result<Built<E>, Unbuildable> {
    let mut built = Built::<E>::new(id);
    if let Some(snapshot) = &history.snapshot {
        let is_answer = |part: &&Part| part.name.starts_with(ANSWER_PART);
        for part in snapshot.parts.iter().filter(is_answer) {
            let json = part.state.as_deref().unwrap_or_default();
            let answer = serde_json::from_slice(json);
            built.answers.insert(answer.map_err(|source| RestoreError { part: part.name.clone(), source })?);
        }
        let parts: Vec<Part> = snapshot.parts.iter().filter(|part| !is_answer(part)).cloned().collect();
        built.entity = E::restore(id, &parts)?;
        built.version = snapshot.version;
    }
    for line in &history.records {
        built.take(line)?;
    }
    Ok(built)
}

impl<E: Entity> Built<E> {
    /// What one more record makes of it; one that it has is passed over.
    fn take(&mut self, line: &[u8]) -> Result<(), Unbuildable> {
        let built = self;
        let after = built.version;
        let record: Record<E::Event> =
            serde_json::from_slice(line).map_err(|source| Unbuildable::Record { after, source })?;
        if record.version <= after {
            return Ok(());
        }
        if record.version != after + 1 {
            return Err(Unbuildable::Gap { after, found: record.version });
        }
        for event in &record.events {
            built.entity.apply(event, record.at);
        }
        record.answers.into_iter().for_each(|answer| built.answers.keep(answer));
        built.version = record.version;
        Ok(())
    }
}

/// All rows of an entity, made of its snapshot alone, and their version.
///
/// # Errors
/// When they cannot be made.
pub fn all_rows(entity: EntityRef, snapshot: Snapshot) -> Result<(u64, Rows), Unbuildable> {
    let built = build_any(entity, &History { snapshot: Some(snapshot), records: Vec::new() })?;
    let rows = panic::catch_unwind(AssertUnwindSafe(|| built.rows())).map_err(|_| Unbuildable::Panic)?;
    Ok((built.version(), rows))
}

macro_rules! rebuilt {
    ([$($(#[$doc:meta])* $kind:ident $name:literal $slots:ident $type:ty, $unknown:ident;)*]) => {
        /// An entity of any kind, made anew.
        pub enum Rebuilt {
            $($(#[$doc])* $kind(Box<Built<$type>>),)*
        }

        /// [`build`] for an entity whose kind is known only now.
        ///
        /// # Errors
        /// As [`build`].
        pub fn build_any(entity: EntityRef, history: &History) -> Result<Rebuilt, Unbuildable> {
            Ok(match entity.kind {
                $(Kind::$kind => Rebuilt::$kind(Box::new(build(EntityId::from_uuid(entity.uuid), history)?)),)*
            })
        }

        /// An entity of any kind, without any record.
        pub fn begin_any(entity: EntityRef) -> Rebuilt {
            match entity.kind {
                $(Kind::$kind => Rebuilt::$kind(Box::new(Built::new(EntityId::from_uuid(entity.uuid)))),)*
            }
        }

        impl Rebuilt {
            /// Takes one more record. After an error there is no telling what it is.
            ///
            /// # Errors
            /// As [`build`].
            pub fn take(&mut self, line: &[u8]) -> Result<(), Unbuildable> {
                let take = AssertUnwindSafe(|| match self {
                    $(Rebuilt::$kind(built) => built.take(line),)*
                });
                panic::catch_unwind(take).unwrap_or(Err(Unbuildable::Panic))
            }

            /// How many records it has.
            pub fn version(&self) -> u64 {
                match self {
                    $(Rebuilt::$kind(built) => built.version,)*
                }
            }

            /// See [`Checks::summary`].
            pub fn summary(&self) -> serde_json::Value {
                match self {
                    $(Rebuilt::$kind(built) => built.entity.summary(),)*
                }
            }

            /// See [`Checks::check`].
            ///
            /// # Errors
            /// The first invariant that does not hold.
            pub fn check(&self) -> Result<(), Breach> {
                match self {
                    $(Rebuilt::$kind(built) => built.entity.check(),)*
                }
            }

            /// See [`Asks::wake_at`].
            pub fn wake_at(&self, now: Timestamp) -> Option<Timestamp> {
                match self {
                    $(Rebuilt::$kind(built) => built.entity.wake_at(now),)*
                }
            }

            /// See [`Keeps::rows`].
            pub fn rows(&self) -> Rows {
                match self {
                    $(Rebuilt::$kind(built) => built.entity.rows(),)*
                }
            }

            /// See [`Built::delta`].
            pub fn delta(&mut self) -> Delta {
                match self {
                    $(Rebuilt::$kind(built) => built.delta(),)*
                }
            }
        }
    };
}

kinds!(rebuilt);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::cart::Cart;
    use crate::domain::entity::{Decides as _, Keeps};
    use crate::domain::ids::{CartId, OrderId};
    use crate::domain::order::Order;
    use crate::domain::record::IdempotencyKey;
    use crate::domain::vendor::Vendor;
    use uuid::Uuid;

    const DAY: i64 = limits::IDEMPOTENCY_MS;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(1_000_000 + millis)
    }

    fn answer(key: u128, millis: i64) -> KeptAnswer {
        KeptAnswer::new(IdempotencyKey { key, body: 1 }, at(millis), &Ok(millis))
    }

    fn given(answers: &KeptAnswers, key: u128, millis: i64) -> Option<i64> {
        answers.get(key, at(millis)).map(|kept| kept.at.millis_since(at(0)))
    }

    #[test]
    fn an_answer_is_kept_for_a_day_though_nothing_else_comes() {
        let mut answers = KeptAnswers::new(10);
        answers.keep(answer(1, 0));
        assert_eq!((given(&answers, 1, DAY), given(&answers, 1, DAY + 1)), (Some(0), None));
    }

    #[test]
    fn a_key_that_comes_again_after_its_day_has_a_day_of_its_own() {
        let mut answers = KeptAnswers::new(10);
        answers.keep(answer(1, 0));
        answers.keep(answer(1, DAY + 1));
        answers.keep(answer(2, DAY + 2));
        assert_eq!(given(&answers, 1, DAY + 3), Some(DAY + 1));
        assert_eq!((answers.by_key.len(), answers.age.len()), (2, 2));
    }

    #[test]
    fn what_is_older_than_its_key_takes_nothing_fresh_away() {
        let mut answers = KeptAnswers::new(10);
        // As a snapshot gives them, in any number.
        answers.insert(answer(1, 0));
        answers.insert(answer(1, DAY));
        answers.keep(answer(2, DAY + 1));
        assert_eq!(given(&answers, 1, DAY + 1), Some(DAY));
    }

    #[test]
    fn of_answers_given_in_one_moment_the_same_is_forgotten_whatever_order_they_came_in() {
        for order in [[1, 2, 3], [3, 1, 2], [2, 3, 1]] {
            let mut answers = KeptAnswers::new(3);
            order.into_iter().for_each(|key| answers.insert(answer(key, 0)));
            answers.keep(answer(4, 0));
            assert_eq!((1..=4).filter(|key| given(&answers, *key, 0).is_some()).collect::<Vec<_>>(), [2, 3, 4]);
        }
    }

    #[test]
    fn past_the_limit_the_oldest_goes_and_its_part_of_the_snapshot_with_it() {
        let mut answers = KeptAnswers::new(2);
        (0..4).for_each(|key| answers.keep(answer(key, 0)));
        let kept: Vec<u128> = (0..4).filter(|key| given(&answers, *key, 0).is_some()).collect();
        assert_eq!(kept, [2, 3]);
        assert_eq!(answers.changed, BTreeSet::from([0, 1, 2, 3]));
    }

    /// The history that is one record of these events.
    fn recorded(entity: EntityRef, events: &str) -> History {
        let record = format!(r#"{{"e":"{entity}","v":1,"at":1,"ev":[{events}]}}"#);
        History { snapshot: None, records: vec![record.into_bytes()] }
    }

    /// The first event of a kind in the golden file, with another quantity.
    fn golden(file: &str, event: &str, quantity: i64) -> String {
        let tag = format!(r#"{{"type":"{event}""#);
        let line = file.lines().find(|line| line.starts_with(&tag)).expect("every event is in the golden files");
        line.replace(r#""quantity":2,"#, &format!(r#""quantity":{quantity},"#))
    }

    #[test]
    fn a_record_with_figures_past_64_bits_makes_a_breach_and_no_panic() {
        let carts = include_str!("../../tests/golden/events/cart.json");
        let orders = include_str!("../../tests/golden/events/order.json");
        let (cart, order) = (CartId::from_uuid(Uuid::nil()), OrderId::from_uuid(Uuid::nil()));
        for (quantity, subtotal, sound) in [(3, 375_000, true), (i64::MAX, i64::MAX, false)] {
            let events = [golden(carts, "cart_created", 0), golden(carts, "line_set", quantity)].join(",");
            let built = build::<Cart>(cart, &recorded(cart.entity(), &events)).unwrap().entity;
            assert_eq!(built.view().unwrap().subtotal(), subtotal);
            assert_eq!(built.check().is_ok(), sound, "{quantity}");
            let placed = golden(orders, "placed", quantity);
            let built = build::<Order>(order, &recorded(order.entity(), &placed)).unwrap().entity;
            assert_eq!(built.row().unwrap().amounts.total, subtotal);
            assert_eq!(built.check().err().map(|breach| breach.invariant), (!sound).then_some("amounts_are_sane"));
        }
        let paid_by = |events: &[(&str, i64)]| {
            let event = |(event, amount): &(&str, i64)| format!(r#"{{"type":"{event}","amount":{amount}}}"#);
            let events: Vec<String> = events.iter().map(event).collect();
            let events = [golden(orders, "placed", 2), events.join(",")].join(",");
            let built = build::<Order>(order, &recorded(order.entity(), &events)).unwrap().entity;
            (built.row().unwrap().amounts.paid, built.check().err().map(|breach| breach.invariant))
        };
        assert_eq!(paid_by(&[("paid", 250_000)]), (250_000, None));
        assert_eq!(paid_by(&[("paid", 250_000), ("paid", 250_000)]), (500_000, Some("a_share_is_paid_once")));
        assert_eq!(
            paid_by(&[("payment_refunded", 250_000), ("payment_refunded", 250_000)]).1,
            Some("a_share_is_paid_once")
        );
        for amount in [250_001, i64::MAX] {
            assert_eq!(paid_by(&[("paid", amount)]), (0, Some("a_paid_order_is_paid_once")));
            assert_eq!(paid_by(&[("payment_refunded", amount)]), (0, None), "it is told, and in no share");
        }
    }

    #[test]
    fn a_snapshot_of_another_entity_makes_none() {
        fn own_and_other<E: Entity>(entity: E, own: E::Id, other: E::Id) -> (bool, bool) {
            let parts = Built::<E> { entity, ..Built::new(own) }.delta().parts;
            let built = |id: E::Id| {
                let snapshot = crate::ports::Snapshot { entity: id.entity(), version: 1, parts: parts.clone() };
                build::<E>(id, &History { snapshot: Some(snapshot), records: Vec::new() }).is_ok()
            };
            (built(own), built(other))
        }
        let (own, other) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let (cart, order) = (CartId::from_uuid(own), OrderId::from_uuid(own));
        assert_eq!(own_and_other(Cart::new(cart), cart, CartId::from_uuid(other)), (true, false));
        assert_eq!(own_and_other(Order::new(order), order, OrderId::from_uuid(other)), (true, false));
    }

    #[test]
    fn buyers_get_few_answers_kept_and_vendors_many() {
        assert_eq!((Cart::KEPT_ANSWERS, Order::KEPT_ANSWERS, Vendor::KEPT_ANSWERS), (64, 64, 100_000));
    }
}
