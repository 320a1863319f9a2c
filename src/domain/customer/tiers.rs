//! The tiers of a programme: who has bought for so much within a year earns more.
//!
//! Whoever reaches a tier has it for a year. Then they have it for another one, or the next lower one, by what they bought within the last 365 local
//! days: what drops out of them before changes nothing.

use super::points::Points;
use crate::domain::loyalty::{Programme, WHOLE, end_of_day, local_day};
use crate::domain::time::Timestamp;
use crate::limits;
use serde::{Deserialize, Serialize};

/// For how much was bought on a local day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bought {
    /// The day, in days since 1970-01-01.
    pub day: i32,
    /// In minor units of the tiers' currency; below zero what was given back.
    pub minor: i64,
}

/// In which tier a customer is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// Its name; none below the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tier: Option<String>,
    /// By what points are multiplied, in basis points.
    pub multiplier: u32,
    /// Until when they have it at least.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

/// For how much was bought within the last 365 local days.
pub(super) fn within_a_year(bought: impl Iterator<Item = Bought>, programme: &Programme, now: Timestamp) -> i64 {
    let first = local_day(now, &programme.time_zone).saturating_sub(limits::TIER_DAYS);
    bought.filter(|bought| bought.day > first).fold(0i64, |sum, bought| sum.saturating_add(bought.minor)).max(0)
}

impl Points {
    /// For how much was bought within the last 365 local days, and this besides.
    pub(super) fn qualifying(&self, programme: &Programme, besides: &[Bought], now: Timestamp) -> i64 {
        let own = self.bought.iter().map(|(day, minor)| Bought { day: *day, minor: *minor });
        within_a_year(own.chain(besides.iter().copied()), programme, now)
    }

    /// In which tier they are from now on, once this is bought besides; `None` where nothing changes.
    pub(super) fn next_standing(&self, programme: &Programme, besides: &[Bought], now: Timestamp) -> Option<Standing> {
        let reached = programme.reached(self.qualifying(programme, besides, now));
        let has = self.standing.as_ref().and_then(|standing| standing.tier.as_deref());
        let current = has.and_then(|name| programme.tiers.iter().position(|tier| tier.name == name));
        let is_over = self.standing.as_ref().and_then(|standing| standing.until).is_some_and(|until| now >= until);
        let next = match (reached, current, has) {
            (reached, current, _) if reached > current => reached,
            (_, Some(_), _) if !is_over => return None,
            (reached, Some(current), _) if reached == Some(current) => reached,
            // One step down, however little was bought.
            (_, Some(current), _) => current.checked_sub(1),
            // There is no such tier any more.
            (_, None, Some(_)) => None,
            (_, None, None) => return None,
        };
        let tier = next.and_then(|at| programme.tiers.get(at));
        Some(Standing {
            tier: tier.map(|tier| tier.name.clone()),
            multiplier: tier.map_or(WHOLE, |tier| tier.multiplier_basis_points),
            until: tier.map(|_| end_of_day(now, limits::TIER_DAYS.unsigned_abs(), &programme.time_zone)),
        })
    }
}
