//! Who is in memory: the one place that knows whether an entity is here.
//!
//! A sender raises an actor's depth under the same lock under which an entry is removed, and an entry is removed only at depth
//! zero: so no message is ever lost to an actor that is leaving, and there are never two writers of one entity.

use crate::actors::envelope::{Deliver, Envelope, Start};
use crate::actors::shell::Shell;
use crate::actors::timers::ActorTimer;
use crate::domain::entity::{Decides, Entity, Keeps as _};
use crate::domain::ids::{EntityId, EntityRef, Kind};
use crate::domain::kinds::{for_kind, kinds};
use crate::limits;
use actix::Addr;
use actix::dev::SendError;
use dashmap::DashMap;
use foldhash::fast::RandomState;
use parking_lot::Mutex;
use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::mem::take;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};

/// What senders and the actor itself both see of an actor.
#[derive(Default)]
pub struct SlotShared {
    /// Messages sent and not yet handled.
    pub depth: AtomicUsize,
    /// When a message was last sent, in the node's coarse milliseconds.
    pub last_used: AtomicU64,
    /// How often it was started again after a panic.
    pub restarts: AtomicU32,
    /// Whether it was asked to leave since that message, and could not.
    pub stayed: AtomicBool,
    /// Whether it stands among those whose mailboxes are deep.
    pub is_deep: AtomicBool,
    /// When the node's timer will look at it.
    pub timer: ActorTimer,
}

/// An actor in memory.
pub struct Slot<E: Hosted> {
    pub(super) addr: Addr<Shell<E>>,
    pub(super) shared: Arc<SlotShared>,
}

/// The actors of one kind.
pub type Slots<E> = DashMap<<E as Decides>::Id, Slot<E>, RandomState>;

/// An entity that a registry has room for.
pub trait Hosted: Entity<Id: Unpin, Command: Unpin, Event: Unpin, Reply: Unpin> + Unpin {
    /// Its kind's actors.
    fn slots(registry: &Registry) -> &Slots<Self>;
}

macro_rules! registry {
    ([$($(#[$doc:meta])* $kind:ident $name:literal $slots:ident $type:ty, $unknown:ident;)*]) => {
        /// The actors of a node.
        #[derive(Default)]
        pub struct Registry {
            $($slots: Slots<$type>,)*
            deep: Deep,
        }

        $(
            impl Hosted for $type {
                fn slots(registry: &Registry) -> &Slots<Self> {
                    &registry.$slots
                }
            }
        )*
    };
}

kinds!(registry);

/// Whose mailboxes are deep. A sender whose message makes one so deep enters its actor; whoever looks takes out those that are not any more. So nobody
/// goes through all actors to find them.
#[derive(Default)]
struct Deep {
    entered: Mutex<BTreeSet<EntityRef>>,
    /// One looks at a time. No sender waits for it.
    looking: Mutex<()>,
}

impl Deep {
    fn enter(&self, entity: EntityRef, shared: &SlotShared) {
        if !shared.is_deep.swap(true, Ordering::AcqRel) {
            self.entered.lock().insert(entity);
        }
    }
}

impl SlotShared {
    /// Its depth, if it is deep; else it is no more among those that are. A sender that makes it deep meanwhile either comes before the mark is
    /// taken away, and is seen here, or finds no mark and enters it anew.
    fn deep(&self) -> Option<usize> {
        let depth = || Some(self.depth.load(Ordering::Acquire)).filter(|depth| *depth >= limits::DEEP_MAILBOX);
        depth().or_else(|| {
            self.is_deep.swap(false, Ordering::AcqRel);
            depth().inspect(|_| self.is_deep.store(true, Ordering::Release))
        })
    }
}

/// Why a message was not put into a mailbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Undelivered {
    /// The mailbox is at its limit.
    Full,
    /// There is no such actor, and none was to be started.
    Absent,
}

impl Registry {
    /// Actors in memory, of all kinds.
    pub fn live(&self) -> usize {
        Kind::ALL.into_iter().map(|kind| for_kind!(kind, E => E::slots(self).len())).sum()
    }

    /// When the last of the `count` actors that have been idle longest was used, and a millisecond more: who was used before that is one
    /// of these, or as old. Those that were asked to leave and could not do not count, nor do kinds that give no way. 0 when none is
    /// asked for.
    pub(super) fn longest_idle(&self, count: usize) -> u64 {
        fn last_used<E: Hosted>(slots: &Slots<E>, all: &mut Vec<u64>) {
            let can_leave = slots.iter().filter(|slot| !slot.shared.stayed.load(Ordering::Relaxed));
            all.extend(can_leave.map(|slot| slot.shared.last_used.load(Ordering::Relaxed)));
        }
        let Some(index) = count.checked_sub(1) else { return 0 };
        let mut all: Vec<u64> = Vec::new();
        for kind in Kind::ALL {
            for_kind!(kind, E => {
                if E::GIVES_WAY {
                    last_used(E::slots(self), &mut all);
                }
            });
        }
        match all.len() {
            len if index >= len => u64::MAX,
            _ => *all.select_nth_unstable(index).1 + 1,
        }
    }

    /// The deep mailboxes, the deepest first. The others are forgotten.
    pub(super) fn deepest(&self) -> Vec<(EntityRef, usize)> {
        let _alone = self.deep.looking.lock();
        // Looked at without the lock: a sender holds its actor's entry when it wants that.
        let entered = take(&mut *self.deep.entered.lock());
        if entered.is_empty() {
            return Vec::new();
        }
        let depth = |entity: &EntityRef| -> Option<usize> {
            for_kind!(entity.kind, E => E::slots(self).get(&EntityId::from_uuid(entity.uuid))?.shared.deep())
        };
        let mut deepest: Vec<_> = entered.iter().filter_map(|entity| Some((*entity, depth(entity)?))).collect();
        self.deep.entered.lock().extend(deepest.iter().map(|(entity, _)| *entity));
        deepest.sort_unstable_by_key(|(entity, depth)| (Reverse(*depth), *entity));
        deepest
    }

    /// Actors that there is room for before a map must grow.
    #[cfg(test)]
    pub(super) fn room(&self) -> usize {
        Kind::ALL.into_iter().map(|kind| for_kind!(kind, E => E::slots(self).capacity())).sum()
    }

    /// Gives memory back after many have left: a map never shrinks by itself.
    pub(super) fn give_back(&self) {
        fn give_back<E: Hosted>(slots: &Slots<E>) {
            const WORTH_IT: usize = 1_024;
            if slots.capacity() > 4 * slots.len() + WORTH_IT {
                slots.shrink_to_fit();
            }
        }
        for kind in Kind::ALL {
            for_kind!(kind, E => give_back(E::slots(self)));
        }
    }

    /// Lets all actors go.
    pub fn clear(&self) {
        for kind in Kind::ALL {
            for_kind!(kind, E => E::slots(self).clear());
        }
    }

    /// Puts a message into the mailbox of `id`, starting its actor by `start` when there is none (never, when `start` gives none).
    /// A `limit` is the depth from which on the message is refused.
    pub fn deliver<E: Hosted>(
        &self,
        id: E::Id,
        mut envelope: Envelope<E>,
        limit: Option<usize>,
        now_ms: u64,
        start: impl Fn(Start<E>) -> Option<Slot<E>>,
        first: Start<E>,
    ) -> Result<(), Undelivered> {
        let slots = E::slots(self);
        let mut how = Some(first);
        loop {
            if let Some(slot) = slots.get(&id) {
                if limit.is_some_and(|limit| slot.shared.depth.load(Ordering::Relaxed) >= limit) {
                    return Err(Undelivered::Full);
                }
                if slot.shared.depth.fetch_add(1, Ordering::AcqRel) + 1 == limits::DEEP_MAILBOX {
                    self.deep.enter(id.entity(), &slot.shared);
                }
                // Housekeeping gives the time of the last message: it is none itself.
                if slot.shared.last_used.load(Ordering::Relaxed) != now_ms {
                    slot.shared.last_used.store(now_ms, Ordering::Relaxed);
                    slot.shared.stayed.store(false, Ordering::Relaxed);
                }
                match slot.addr.try_send(Deliver(envelope)) {
                    Ok(()) => return Ok(()),
                    Err(SendError::Full(Deliver(back)) | SendError::Closed(Deliver(back))) => envelope = back,
                }
                // The actor died of something the shell did not catch: what it had recorded is in the journal only.
                let dead = slot.addr.clone();
                drop(slot);
                slots.remove_if(&id, |_, slot| slot.addr == dead);
                how = Some(Start::Replay);
            }
            let entry = slots.entry(id);
            if let dashmap::Entry::Vacant(vacant) = entry {
                match how.take().and_then(&start) {
                    Some(slot) => drop(vacant.insert(slot)),
                    None => return Err(Undelivered::Absent),
                }
            }
            how = how.or(Some(Start::Load(None)));
        }
    }

    /// Removes an actor that nobody has sent anything to since it looked; whether it was removed.
    pub fn evict<E: Hosted>(&self, id: E::Id, shared: &Arc<SlotShared>) -> bool {
        let unwanted =
            |slot: &Slot<E>| Arc::ptr_eq(&slot.shared, shared) && slot.shared.depth.load(Ordering::Acquire) == 0;
        E::slots(self).remove_if(&id, |_, slot| unwanted(slot)).is_some()
    }
}
