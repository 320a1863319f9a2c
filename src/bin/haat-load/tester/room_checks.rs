//! What a waiting room promised, held to what people were told: pure functions like those of [`judge`](super::judge).

use std::collections::{BTreeMap, BTreeSet};

use super::judge::{Check, Facts, Found};
use super::room::PlaceTold;

/// What a room promises, and all places that were told.
pub struct RoomFacts {
    /// How many may be called or in at a time.
    pub capacity: u32,
    /// How many are called in a minute at most.
    pub admit_per_minute: u32,
    /// From when on somebody can be called, in microseconds since 1970.
    pub calls_from_us: u64,
    /// The places, one for each who joined.
    pub places: Vec<PlaceTold>,
}

/// See the contract: a room may be behind its pace by so much, and come up with it.
const MADE_UP_FOR_US: u128 = 2_000_000;

impl RoomFacts {
    fn inside(&self) -> impl Iterator<Item = (&PlaceTold, (u64, u64))> {
        self.places.iter().filter_map(|place| Some((place, place.inside?)))
    }
}

/// Judges the room, where there was one.
pub fn judge_room(facts: &Facts) -> Vec<Check> {
    let Some(room) = &facts.room else { return Vec::new() };
    vec![given_once(room), within_capacity(room), within_pace(room), sold_to_those_inside(facts, room)]
}

fn given_once(room: &RoomFacts) -> Check {
    let mut by_place: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for place in &room.places {
        let name = match (place.number, &place.draw) {
            (Some(number), _) => format!("number {number}"),
            (None, Some(draw)) => format!("draw {draw}"),
            // It left before the room had opened: its draw was never shown.
            (None, None) => continue,
        };
        by_place.entry(name).or_default().push(&place.cart);
    }
    let wrong: Vec<_> = by_place
        .iter()
        .filter(|(_, carts)| carts.len() > 1)
        .map(|(name, carts)| format!("{name} of {}", carts.join(" and ")))
        .collect();
    Check::new("no place in the line is given twice", format!("{} places", room.places.len()), &wrong)
}

/// Who is certainly in at a moment: a slot may be free from the moment on at which its checkout is sent.
fn within_capacity(room: &RoomFacts) -> Check {
    let mut moves: Vec<(u64, i64)> = Vec::new();
    for (_, (from, until)) in room.inside() {
        moves.extend([(from, 1), (until.max(from), -1)]);
    }
    // Who goes makes room for who comes at the same moment.
    moves.sort_unstable();
    let (mut now, mut most) = (0, 0);
    for (_, step) in moves {
        now += step;
        most = most.max(now);
    }
    let wrong: Vec<String> =
        (most > i64::from(room.capacity)).then(|| format!("{most} at a time")).into_iter().collect();
    let counted = format!("{} were let in, at most {most} at a time of {}", room.inside().count(), room.capacity);
    Check::new("no more are in than the room has slots", counted, &wrong)
}

/// Calls come one by one at an even pace, the first when the room opens. What it could not call for want of somebody who asked it makes up for later, as
/// far as it is so long ago.
fn within_pace(room: &RoomFacts) -> Check {
    let mut entered: Vec<u64> = room.inside().map(|(_, (from, _))| from).collect();
    entered.sort_unstable();
    let called_by = |at: u64| {
        let open_us = u128::from(at.saturating_sub(room.calls_from_us)) + MADE_UP_FOR_US;
        1 + open_us * u128::from(room.admit_per_minute) / 60_000_000
    };
    let wrong: Vec<_> = (1u128..)
        .zip(&entered)
        .filter(|(count, at)| *count > called_by(**at))
        .map(|(count, at)| format!("{count} where {} could be called", called_by(*at)))
        .collect();
    let counted = format!("{} let in at {} a minute", entered.len(), room.admit_per_minute);
    Check::new("nobody comes in before the room can have called so many", counted, &wrong)
}

fn sold_to_those_inside(facts: &Facts, room: &RoomFacts) -> Check {
    let inside: BTreeSet<&str> = room.inside().map(|(place, _)| &*place.cart).collect();
    let sales: BTreeSet<&str> = facts.sales.iter().filter(|sale| sale.exact).map(|sale| &*sale.sale).collect();
    let of_sale = facts.orders.iter().filter(|order| match &order.found {
        Found::Seen(seen) => {
            seen.lines.iter().any(|line| line.sale_id.as_deref().is_some_and(|sale| sales.contains(sale)))
        }
        Found::Missing | Found::Unread => false,
    });
    let (within, without): (Vec<_>, Vec<_>) = of_sale.partition(|order| inside.contains(&*order.cart));
    let wrong: Vec<_> = without.iter().map(|order| format!("{} of {}", order.id, order.cart)).collect();
    Check::new("the sale sells to those alone who were let in", format!("{} orders", within.len()), &wrong)
}

#[cfg(test)]
#[path = "room_checks_tests.rs"]
mod tests;
