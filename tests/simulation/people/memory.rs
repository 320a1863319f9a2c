//! What somebody has asked under keys, to ask it again: soon, or even after its day.

use crate::world::Chance;
use haat::domain::record::IdempotencyKey;

/// Requests with a key that a person remembers.
const REMEMBERED: usize = 200;

/// A request that was made under a key.
#[derive(Clone)]
pub struct Keyed<R> {
    pub request: R,
    pub tag: String,
    pub key: IdempotencyKey,
}

/// The requests that one person remembers.
pub struct Memory<R>(Vec<Keyed<R>>);

impl<R: Clone> Memory<R> {
    pub fn new() -> Self {
        Self(Vec::new())
    }

    /// Remembers what was asked under a key.
    pub fn add(&mut self, chance: &Chance, key: Option<IdempotencyKey>, tag: &str, request: R) {
        let Some(key) = key else { return };
        if self.0.len() >= REMEMBERED {
            self.0.remove(chance.below(REMEMBERED as u64) as usize);
        }
        self.0.push(Keyed { request, tag: tag.to_owned(), key });
    }

    /// One of them, however long ago it was; often one of the latest.
    pub fn pick(&self, chance: &Chance) -> Option<Keyed<R>> {
        let (count, latest) = (self.0.len() as u64, chance.per_mille(300));
        let back = chance.below(if latest { count.min(3) } else { count });
        let index = count.checked_sub(back + 1)?;
        self.0.get(index as usize).cloned()
    }
}
