//! What an actor has sent and has no answer to, and when it sends it again.

use crate::actors::shop::EffectView;
use crate::domain::entity::EffectKey;
use crate::limits;
use foldhash::HashMap;
use tokio::time::Instant;

struct Wait {
    attempts: u32,
    again: Instant,
    /// The round in which it was last wanted.
    round: u32,
    /// Whether whoever was asked is at it.
    begun: bool,
}

/// By key: what a record costs grows with what its entity wants, not with the square of it.
#[derive(Default)]
pub(super) struct Sent {
    waits: HashMap<EffectKey, Wait>,
    round: u32,
}

impl Sent {
    /// Forgets what is no longer wanted. Gives what is wanted and not sent yet, in the order given.
    pub(super) fn keep(&mut self, wanted: Vec<EffectKey>) -> Vec<EffectKey> {
        if self.waits.is_empty() {
            return wanted;
        }
        self.round = self.round.wrapping_add(1);
        let (round, mut kept) = (self.round, 0);
        let mut fresh = wanted;
        fresh.retain(|key| match self.waits.get_mut(key) {
            Some(wait) => {
                kept += usize::from(wait.round != round);
                wait.round = round;
                false
            }
            None => true,
        });
        if kept == 0 {
            self.waits = HashMap::default();
        } else if kept < self.waits.len() {
            self.waits.retain(|_, wait| wait.round == round);
        }
        fresh
    }

    /// It was sent, for this many times before, and is to be sent again then.
    pub(super) fn sent(&mut self, key: EffectKey, attempts: u32, again: Instant) {
        let round = self.round;
        let begun = self.is_begun(key);
        self.waits.insert(key, Wait { attempts, again, round, begun });
    }

    /// Whoever was asked is at it. What was asked in vain until then counts no more: from now on it is looked at, at a pace of its own.
    pub(super) fn begins(&mut self, key: EffectKey) {
        if let Some(wait) = self.waits.get_mut(&key).filter(|wait| !wait.begun) {
            (wait.begun, wait.attempts) = (true, 0);
        }
    }

    /// It is to be sent again at once because somebody said so, which is no sign that it was in vain: it does not slow down what comes after.
    pub(super) fn hasten(&mut self, key: EffectKey, now: Instant) {
        if let Some(wait) = self.waits.get_mut(&key) {
            wait.attempts = wait.attempts.saturating_sub(1);
        }
        self.put_off(key, now);
    }

    /// Whether whoever was asked has said that they are at it.
    pub(super) fn is_begun(&self, key: EffectKey) -> bool {
        self.waits.get(&key).is_some_and(|wait| wait.begun)
    }

    /// How often it was sent again; `None` when nothing is waited for.
    pub(super) fn attempts(&self, key: EffectKey) -> Option<u32> {
        self.waits.get(&key).map(|wait| wait.attempts)
    }

    /// It is to be sent again then.
    pub(super) fn put_off(&mut self, key: EffectKey, again: Instant) {
        if let Some(wait) = self.waits.get_mut(&key) {
            wait.again = again;
        }
    }

    /// What is to be sent again by now, the oldest first, with how often it was.
    pub(super) fn due(&self, now: Instant) -> Vec<(EffectKey, u32)> {
        let due = self.waits.iter().filter(|(_, wait)| wait.again <= now);
        let mut due: Vec<_> = due.map(|(key, wait)| (wait.again, *key, wait.attempts)).collect();
        due.sort_unstable();
        due.into_iter().map(|(_, key, attempts)| (key, attempts)).collect()
    }

    /// When the first of it is to be sent again.
    pub(super) fn next(&self) -> Option<Instant> {
        self.waits.values().map(|wait| wait.again).min()
    }

    /// All of it, what is asked again first at the head.
    pub(super) fn views(&self, now: Instant) -> Vec<EffectView> {
        let view = |(key, wait): (&EffectKey, &Wait)| EffectView {
            key: *key,
            attempts: wait.attempts,
            begun: wait.begun,
            again_in: wait.again.saturating_duration_since(now),
        };
        let mut views: Vec<EffectView> = self.waits.iter().map(view).collect();
        views.sort_unstable_by_key(|view| (view.again_in, view.key));
        views.truncate(limits::EFFECTS_SHOWN);
        views
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waits.is_empty()
    }

    pub(super) fn clear(&mut self) {
        self.waits = HashMap::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::entity::{Step, compared};
    use std::time::Duration;

    fn key(target: u128) -> EffectKey {
        EffectKey { step: Step::Reserve, target }
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_wanted_no_more_is_forgotten_and_what_is_new_comes_in_its_order() {
        let (mut sent, now) = (Sent::default(), Instant::now());
        assert_eq!(sent.keep(vec![key(2), key(1)]), [key(2), key(1)]);
        sent.sent(key(2), 0, now + Duration::from_secs(2));
        sent.sent(key(1), 3, now + Duration::from_secs(1));
        assert_eq!(sent.keep(vec![key(3), key(2), key(1), key(2)]), [key(3)]);
        sent.sent(key(3), 0, now + Duration::from_secs(2));
        assert_eq!(sent.next(), Some(now + Duration::from_secs(1)));
        assert_eq!(sent.due(now + Duration::from_secs(2)), [(key(1), 3), (key(2), 0), (key(3), 0)]);
        assert_eq!(sent.keep(vec![key(3)]), []);
        assert_eq!((sent.attempts(key(1)), sent.attempts(key(3))), (None, Some(0)));
        sent.put_off(key(3), now);
        sent.put_off(key(1), now);
        assert_eq!(sent.due(now), [(key(3), 0)]);
        assert!(sent.keep(Vec::new()).is_empty() && sent.is_empty() && sent.next().is_none());
    }

    /// What was in vain before it was begun, and what somebody hastens, does not make it wait longer afterwards.
    #[tokio::test(start_paused = true)]
    async fn only_what_is_in_vain_counts() {
        let (mut sent, now) = (Sent::default(), Instant::now());
        sent.keep(vec![key(1)]);
        sent.sent(key(1), 6, now);
        sent.begins(key(1));
        assert_eq!((sent.is_begun(key(1)), sent.attempts(key(1))), (true, Some(0)));
        sent.sent(key(1), 2, now);
        sent.begins(key(1));
        assert_eq!(sent.attempts(key(1)), Some(2), "it had begun before");
        for _ in 0..10 {
            sent.hasten(key(1), now);
            let [(_, attempts)] = sent.due(now)[..] else { panic!("it is due") };
            sent.sent(key(1), attempts + 1, now);
        }
        assert_eq!(sent.attempts(key(1)), Some(2));
    }

    /// An order has as many vendors as its cart has lines at most; should there ever be more, that must not cost their square.
    #[tokio::test(start_paused = true)]
    async fn a_thousand_keys_cost_a_thousand_comparisons() {
        let (mut sent, now) = (Sent::default(), Instant::now());
        let all: Vec<EffectKey> = (0..1_000).map(key).collect();
        for key in sent.keep(all.clone()) {
            sent.sent(key, 0, now);
        }
        let before = compared();
        assert_eq!(sent.keep(all), []);
        assert!(compared() - before < 5_000, "{} comparisons", compared() - before);
    }
}
