//! Idempotency keys: one key, one answer, for its day and no longer, until so many newer ones crowd it out.

use super::replay::Recorded;
use super::{Causes, Judge, Replay};
use crate::world::{World, lock};
use haat::domain::ids::{EntityRef, Kind};
use haat::domain::time::Timestamp;
use haat::limits;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

#[derive(Default)]
struct Known {
    /// First answers under idempotency keys, and how long the key was known to be kept when they were given.
    first: BTreeMap<u128, (String, Option<Timestamp>)>,
    /// The answers that the journal keeps: when the newest was kept, by entity and key.
    kept: BTreeMap<(EntityRef, u128), Timestamp>,
    /// The same by entity alone, in the journal's order.
    kept_with: BTreeMap<EntityRef, Vec<(Timestamp, u128)>>,
    /// When an answer was last kept under a key, with whichever entity.
    kept_at: BTreeMap<u128, Timestamp>,
}

/// Answers under keys: those that the journal keeps, and those that were given.
pub struct Keys {
    known: Mutex<Known>,
    world: Arc<World>,
}

impl Keys {
    pub fn new(world: Arc<World>) -> Self {
        Self { known: Mutex::default(), world }
    }

    /// An answer that is kept under an idempotency key: the first, or the same again for a day, and not for longer. `asked` is when
    /// the question was asked, `forgets` whether nothing but a kept answer makes one that repeats.
    pub fn answered_under(&self, key: u128, answer: String, asked: Timestamp, repeats: bool, forgets: bool) {
        let mut known = lock(&self.known);
        let kept_at = known.kept_at.get(&key).copied();
        let is_over = |at: Timestamp, by: Timestamp| by.millis_since(at) > limits::IDEMPOTENCY_MS;
        if repeats && forgets && kept_at.is_some_and(|at| is_over(at, asked)) {
            self.world.breach(format_args!("answered under a key that is past its day: {answer}"));
        }
        if repeats {
            self.world.count("repeated answers");
        }
        let (first, then) = known.first.entry(key).or_insert_with(|| (answer.clone(), kept_at)).clone();
        if first != answer {
            let by = self.world.now().plus_millis(self.world.plan.skew_ms as i64);
            // Kept anew since, which `record` has judged, or past its day and not kept any more.
            if then == kept_at && !then.is_some_and(|at| is_over(at, by)) {
                self.world.breach(format_args!("under one key first {first}, then {answer}"));
            }
            known.first.insert(key, (answer, kept_at));
        }
    }

    /// Whether an answer was kept under this key, and is not any more.
    pub fn is_past(&self, key: u128, asked: Timestamp) -> bool {
        let kept_at = lock(&self.known).kept_at.get(&key).copied();
        kept_at.is_some_and(|at| asked.millis_since(at) > limits::IDEMPOTENCY_MS)
    }
}

impl Judge for Keys {
    fn record(&self, _: &Replay, record: &Recorded<'_>, _: &mut Causes) {
        let (known, entity, at) = (&mut *lock(&self.known), record.entity, record.at);
        for key in &record.keys {
            let all = known.kept_with.entry(entity).or_default();
            if let Some(before) = known.kept.insert((entity, *key), at) {
                let most = match entity.kind {
                    Kind::Vendor => limits::IDEMPOTENCY_KEYS_PER_VENDOR,
                    _ => limits::IDEMPOTENCY_KEYS_PER_PURCHASE,
                };
                let younger = all.iter().filter(|(at, other)| *at >= before && other != key).count();
                if at.millis_since(before) <= limits::IDEMPOTENCY_MS && younger < most {
                    self.world
                        .breach(format_args!("{entity} forgot a key too soon: kept at {before:?}, again at {at:?}"));
                }
                self.world.count(match younger < most {
                    true => "keys used again after their day",
                    false => "keys used again after they were crowded out",
                });
            }
            all.push((at, *key));
            known.kept_at.insert(*key, at);
        }
    }
}
