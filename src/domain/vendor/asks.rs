//! When a vendor asks about which hold: each has a moment of its own.

use super::super::backoff::backoff_ms;
use super::super::ids::OrderId;
use super::super::time::Timestamp;
use crate::limits;
use std::collections::{BTreeSet, HashMap};

/// A hold that an order was asked about.
#[derive(Clone, Copy, Debug)]
struct Asked {
    times: u32,
    again: Timestamp,
}

/// The holds by their moments. No part of a snapshot: made anew, a vendor asks about all that are past their time.
#[derive(Clone, Debug, Default)]
pub(super) struct Asks {
    /// The end of its time for a hold that was not asked about; for one that was, its next turn.
    due: BTreeSet<(Timestamp, OrderId)>,
    asked: HashMap<OrderId, Asked>,
}

impl Asks {
    /// There is a hold until then.
    pub(super) fn begin(&mut self, order: OrderId, until: Timestamp) {
        self.due.insert((until, order));
    }

    /// There was a hold until then.
    pub(super) fn end(&mut self, order: OrderId, until: Timestamp) {
        // Mostly nobody has been asked: a look into an empty map would still hash.
        let asked = if self.asked.is_empty() { None } else { self.asked.remove(&order) };
        let at = asked.map_or(until, |asked| asked.again);
        self.due.remove(&(at, order));
    }

    /// How many holds have a moment.
    pub(super) fn len(&self) -> usize {
        self.due.len()
    }

    /// How many were asked about, and are there still.
    pub(super) fn asked(&self) -> usize {
        self.asked.len()
    }

    /// The first moment.
    pub(super) fn next(&self) -> Option<Timestamp> {
        self.due.first().map(|(at, _)| *at)
    }

    /// The holds whose moment has come, or that were asked about before, in no order.
    pub(super) fn past(&self, now: Timestamp) -> impl Iterator<Item = OrderId> + '_ {
        let come = self.due.iter().take_while(move |(at, _)| *at <= now).map(|(_, order)| *order);
        come.chain(self.asked.iter().filter(move |(_, asked)| asked.again > now).map(|(order, _)| *order))
    }

    /// The few whose moments are longest past. Each has a later one from now on, the later the oftener it was asked about: so those
    /// that are never answered keep nobody from being asked.
    pub(super) fn take(&mut self, now: Timestamp) -> Vec<OrderId> {
        let past = self.due.iter().take_while(|(at, _)| *at <= now);
        let past: Vec<(Timestamp, OrderId)> = past.take(limits::HOLDS_ASKED_AT_ONCE).copied().collect();
        for (at, order) in &past {
            let times = self.asked.get(order).map_or(0, |asked| asked.times);
            let (first, longest) = (limits::HOLD_ASK_AGAIN_MS, limits::HOLD_ASK_BACKOFF_MS);
            let wait = backoff_ms(first, longest, times, order.uuid().as_u128());
            let again = now.plus_millis(i64::try_from(wait).unwrap_or(i64::MAX));
            self.due.remove(&(*at, *order));
            self.due.insert((again, *order));
            self.asked.insert(*order, Asked { times: times.saturating_add(1), again });
        }
        past.into_iter().map(|(_, order)| order).collect()
    }
}
