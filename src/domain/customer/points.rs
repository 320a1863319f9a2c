//! The points of a customer: what they have, what of it is held for orders, and what they owe.
//!
//! ```text
//! earned, given, restored ──▶ lots ──hold──▶ held ──spend──▶ spent, remembered until it would have expired
//!                              ▲ │             └──release──▶ lots
//!                              │ └──expire, take back──▶ gone
//!                             debt is paid first
//! ```
//!
//! A lot is what expires at one moment. Whatever comes in pays a debt first, so nobody has points and owes some, but for those that are held. A hold
//! is ended only by its order (see [`crate::domain::hold`]), so points that are asked for by two carts at once are spent by one of them. What an
//! order earns, restores and takes back it says in postings, each of which counts once.

use super::tiers::{Bought, Standing};
use crate::domain::hold::{CreditKey, Hold, Holds};
use crate::domain::ids::{CreditId, OrderId, VendorId};
use crate::domain::order::Posting;
use crate::domain::reject::Reject;
use crate::domain::time::Timestamp;
use crate::domain::who::named;
use crate::limits;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};

/// The end of what never ends.
pub const NEVER: Timestamp = Timestamp::from_millis(limits::LAST_MOMENT_MS - 2);

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
fn is_zero(number: &i64) -> bool {
    *number == 0
}

/// Points that expire together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PointLot {
    /// From when on they are gone.
    pub expires_at: Timestamp,
    /// Whether they live longer than they did because their time came while they were held. That happens once.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub extended: bool,
    /// How many.
    pub points: i64,
}

named!(
    /// Why the staff gives points, or takes some.
    GivenFor:
    /// The shop is kind.
    Goodwill "goodwill",
    /// Something went wrong.
    Apology "apology",
    /// Part of an offer.
    Promotion "promotion",
    /// They were wrong.
    Correction "correction",
    /// Something else.
    Other "other",
);

named!(
    /// What became of points.
    PointKind:
    /// An order has earned them.
    Earned "earned",
    /// The staff gave them, or took some.
    Given "given",
    /// An order was paid with them.
    Spent "spent",
    /// What was paid with them was given back.
    Restored "restored",
    /// What had earned them was given back.
    TakenBack "taken_back",
    /// Their time was over.
    Expired "expired",
);

/// A line of what became of a customer's points.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PointItem {
    /// When.
    pub at: Timestamp,
    /// What.
    pub kind: PointKind,
    /// How many; below zero what they have less.
    pub points: i64,
    /// By which order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<OrderId>,
    /// Until when they live, of what came in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
}

/// Everything that ever came and went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PointTotals {
    /// What orders have earned.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub earned: i64,
    /// What came back with what was paid with points.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub restored: i64,
    /// What orders were paid with.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub spent: i64,
    /// What expired.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub expired: i64,
    /// What was taken back by credits.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub taken_back: i64,
    /// What the staff gave, without what it took.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub given: i64,
}

impl PointTotals {
    /// These besides.
    pub const fn add(&mut self, other: &Self) {
        self.earned = self.earned.saturating_add(other.earned);
        self.restored = self.restored.saturating_add(other.restored);
        self.spent = self.spent.saturating_add(other.spent);
        self.expired = self.expired.saturating_add(other.expired);
        self.taken_back = self.taken_back.saturating_add(other.taken_back);
        self.given = self.given.saturating_add(other.given);
    }
}

/// What can have happened to points.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum PointEvent {
    /// Points are set aside for an order.
    PointsHeld {
        /// Which.
        order: OrderId,
        /// Until when the order needs them at most.
        until: Timestamp,
        /// Which points: those that expire first.
        lots: Vec<PointLot>,
    },
    /// The order is paid with them.
    PointsSpent {
        /// Which.
        order: OrderId,
    },
    /// The order ended unpaid, or never held any: from now on none are held for it.
    PointsReleased {
        /// Which.
        order: OrderId,
        /// Until when that is remembered.
        until: Timestamp,
        /// As what they come back.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        lots: Vec<PointLot>,
        /// What does not come back, since its time was over twice.
        #[serde(default, skip_serializing_if = "is_zero")]
        expired: i64,
    },
    /// Orders are settled: what is spent for them need not be remembered.
    PointHoldsClosed {
        /// Which.
        orders: Vec<OrderId>,
    },
    /// A share of an order has earned points.
    PointsEarned {
        /// Of which order.
        order: OrderId,
        /// Whose share.
        vendor: VendorId,
        /// The name of the posting.
        posting: CreditId,
        /// How many.
        points: i64,
        /// Until when they live.
        expires_at: Timestamp,
        /// For how much was bought, and on which local day, where that counts.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        bought: Option<Bought>,
    },
    /// What was paid with points was given back.
    PointsRestored {
        /// Of which order.
        order: OrderId,
        /// By which credit.
        credit: CreditId,
        /// As what they come back.
        lots: Vec<PointLot>,
        /// What does not come back, since its time was over twice.
        #[serde(default, skip_serializing_if = "is_zero")]
        expired: i64,
    },
    /// What had earned points was given back.
    PointsTakenBack {
        /// Of which order.
        order: OrderId,
        /// By which credit.
        credit: CreditId,
        /// How many.
        points: i64,
        /// For how much less was bought.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        bought: Option<Bought>,
    },
    /// What these postings say counts, and their orders know it.
    PostingsClosed {
        /// Which.
        postings: Vec<CreditKey>,
    },
    /// The staff gave points, or took some.
    PointsGiven {
        /// How many; below zero what was taken.
        points: i64,
        /// Until when they live.
        expires_at: Timestamp,
        /// Why.
        reason: GivenFor,
        /// Who.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<crate::domain::who::By>,
    },
    /// Points were not used in time.
    PointsExpired {
        /// How many.
        points: i64,
    },
    /// They are in another tier, or for longer.
    TierChanged {
        /// In which.
        standing: Standing,
    },
}

/// The points of a customer.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(from = "KeptPoints", into = "KeptPoints")]
pub struct Points {
    /// By when they expire, and whether they were extended.
    lots: BTreeMap<(Timestamp, bool), i64>,
    pub(super) holds: Holds<Vec<PointLot>>,
    /// What was spent for orders, until it would have expired.
    spent: BTreeMap<OrderId, Vec<PointLot>>,
    /// What was posted by orders that may say it again.
    pub(super) posted: Holds<(), CreditKey>,
    debt: i64,
    totals: PointTotals,
    /// For how much was bought, by local day.
    pub(super) bought: BTreeMap<i32, i64>,
    pub(super) standing: Option<Standing>,
    items: VecDeque<PointItem>,
}

/// As a snapshot keeps them.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct KeptPoints {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    lots: Vec<PointLot>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    held: Vec<(OrderId, Hold<Vec<PointLot>>)>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    committed: BTreeMap<OrderId, Timestamp>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    released: Vec<(OrderId, Timestamp)>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    spent: BTreeMap<OrderId, Vec<PointLot>>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    posted: Vec<(CreditKey, Timestamp)>,
    #[serde(default, skip_serializing_if = "is_zero")]
    debt: i64,
    #[serde(default)]
    totals: PointTotals,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    bought: Vec<(i32, i64)>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    standing: Option<Standing>,
    #[serde(default, skip_serializing_if = "VecDeque::is_empty")]
    items: VecDeque<PointItem>,
}

impl From<KeptPoints> for Points {
    fn from(kept: KeptPoints) -> Self {
        let KeptPoints { lots, held, committed, released, spent, posted, debt, totals, bought, standing, items } = kept;
        let mut holds = Holds::default();
        held.into_iter().for_each(|(order, hold)| holds.opened(order, hold));
        released.into_iter().for_each(|(order, until)| holds.restore_release(order, until));
        holds.restore_committed(committed);
        let mut all = Holds::default();
        all.restore_committed(posted.into_iter().collect());
        let lots = lots.into_iter().map(|lot| ((lot.expires_at, lot.extended), lot.points)).collect();
        let bought = bought.into_iter().collect();
        Self { lots, holds, spent, posted: all, debt, totals, bought, standing, items }
    }
}

impl From<Points> for KeptPoints {
    fn from(points: Points) -> Self {
        let lots = points.lots().collect();
        let Points { holds, spent, posted, debt, totals, bought, standing, items, .. } = points;
        let mut held: Vec<_> = holds.all_open().map(|(order, hold)| (order, hold.clone())).collect();
        held.sort_unstable_by_key(|(order, _)| *order);
        Self {
            lots,
            held,
            committed: holds.committed().clone(),
            released: holds.releases(),
            spent,
            posted: posted.committed().iter().map(|(key, until)| (*key, *until)).collect(),
            debt,
            totals,
            bought: bought.into_iter().collect(),
            standing,
            items,
        }
    }
}

fn sum(lots: &[PointLot]) -> i64 {
    lots.iter().fold(0, |sum, lot| sum.saturating_add(lot.points))
}

/// What comes back of these: what has expired meanwhile lives a day longer, once. The rest, and how many are gone.
fn coming_back(lots: &[PointLot], now: Timestamp) -> (Vec<PointLot>, i64) {
    let (mut back, mut expired) = (Vec::new(), 0i64);
    for lot in lots {
        match (lot.expires_at > now, lot.extended) {
            (true, _) => back.push(*lot),
            (false, false) => {
                let expires_at = now.plus_millis(limits::POINTS_EXTENDED_MS);
                back.push(PointLot { expires_at, extended: true, points: lot.points });
            }
            (false, true) => expired = expired.saturating_add(lot.points),
        }
    }
    (back, expired)
}

impl Points {
    /// Whether nothing was ever said of points.
    pub(super) fn is_nothing(&self) -> bool {
        self.totals == PointTotals::default()
            && self.holds.is_empty()
            && self.holds.remembered() == 0
            && self.posted.is_empty()
            && self.bought.is_empty()
            && self.standing.is_none()
    }

    /// What can be spent, whenever it expires.
    pub fn active(&self) -> i64 {
        self.lots.values().fold(0, |sum, points| sum.saturating_add(*points))
    }

    /// What can be spent at this moment.
    pub fn available(&self, now: Timestamp) -> i64 {
        self.lots().filter(|lot| lot.expires_at > now).fold(0, |sum, lot| sum.saturating_add(lot.points))
    }

    /// What is held for orders.
    pub fn held(&self) -> i64 {
        self.holds.all_open().fold(0, |held, (_, hold)| held.saturating_add(sum(&hold.what)))
    }

    /// The orders for which some are held.
    pub fn held_for(&self) -> impl Iterator<Item = OrderId> + '_ {
        self.holds.all_open().map(|(order, _)| order)
    }

    /// What was taken back of them and they did not have.
    pub const fn debt(&self) -> i64 {
        self.debt
    }

    /// Everything that ever came and went.
    pub const fn totals(&self) -> PointTotals {
        self.totals
    }

    /// The last of what became of them, the newest first.
    pub fn items(&self) -> impl Iterator<Item = PointItem> + '_ {
        self.items.iter().rev().copied()
    }

    /// What they have, by when it expires.
    pub fn lots(&self) -> impl Iterator<Item = PointLot> + '_ {
        self.lots.iter().map(|((expires_at, extended), points)| PointLot {
            expires_at: *expires_at,
            extended: *extended,
            points: *points,
        })
    }

    /// Sets points aside for an order: those that expire first.
    pub(super) fn decide_hold(
        &self,
        order: OrderId,
        until: Timestamp,
        points: i64,
        now: Timestamp,
    ) -> Result<Vec<PointEvent>, Reject> {
        // It holds already, or the order has spent them: this is the echo of an old request.
        if self.holds.until(order).is_some() {
            return Ok(Vec::new());
        }
        let available = self.available(now);
        if points > available {
            return Err(Reject::PointsInsufficient { available });
        }
        self.holds.may_open(order, until, now)?;
        let (mut lots, mut left) = (Vec::new(), points);
        for lot in self.lots().filter(|lot| lot.expires_at > now) {
            let taken = lot.points.min(left);
            if taken > 0 {
                lots.push(PointLot { points: taken, ..lot });
                left -= taken;
            }
        }
        Ok(vec![PointEvent::PointsHeld { order, until, lots }])
    }

    pub(super) fn decide_spend(&self, order: OrderId) -> Result<Vec<PointEvent>, Reject> {
        let commits = self.holds.decide_commit(order, true)?;
        Ok(commits.then_some(PointEvent::PointsSpent { order }).into_iter().collect())
    }

    pub(super) fn decide_release(&self, order: OrderId, until: Timestamp, now: Timestamp) -> Vec<PointEvent> {
        if !self.holds.decide_release(order, until, now) {
            return Vec::new();
        }
        let held = self.holds.open(order).map_or(&[][..], |hold| &hold.what);
        let (lots, expired) = coming_back(held, now);
        vec![PointEvent::PointsReleased { order, until, lots, expired }]
    }

    /// What an order posts, as far as it has not come before.
    pub(super) fn decide_post(
        &self,
        order: OrderId,
        postings: &[Posting],
        bought: impl Fn(i64) -> Option<Bought>,
        now: Timestamp,
    ) -> Vec<PointEvent> {
        let mut events = Vec::new();
        let mut spent = self.spent.get(&order).cloned().unwrap_or_default();
        for posting in postings {
            let Posting { id, vendor, earned, restored, taken_back, expires_at, .. } = *posting;
            if self.posted.is_committed(CreditKey(order, id)) {
                continue;
            }
            if let Some(expires_at) = expires_at {
                let bought = bought(posting.bought);
                events.push(PointEvent::PointsEarned {
                    order,
                    vendor,
                    posting: id,
                    points: earned,
                    expires_at,
                    bought,
                });
            }
            if restored > 0 {
                let (lots, expired) = coming_back(&take_last(&mut spent, restored, now), now);
                events.push(PointEvent::PointsRestored { order, credit: id, lots, expired });
            }
            if taken_back > 0 || (expires_at.is_none() && posting.bought != 0) {
                // What is bought counts with what is earned, where something is.
                let bought = if expires_at.is_none() { bought(posting.bought) } else { None };
                events.push(PointEvent::PointsTakenBack { order, credit: id, points: taken_back, bought });
            }
        }
        events
    }

    /// What has not been used in time, if there is any.
    pub(super) fn decide_expire(&self, now: Timestamp) -> Option<PointEvent> {
        let points = self.active().saturating_sub(self.available(now));
        (points > 0).then_some(PointEvent::PointsExpired { points })
    }

    /// The records by which what its orders have closed is forgotten.
    pub(super) fn decide_close(&self) -> impl Iterator<Item = PointEvent> {
        let orders = self.holds.to_close().map(|orders| PointEvent::PointHoldsClosed { orders });
        let postings = self.posted.to_close().map(|postings| PointEvent::PostingsClosed { postings });
        orders.into_iter().chain(postings)
    }

    /// When what waits to be closed has waited for long enough.
    pub(super) fn close_at(&self) -> Option<Timestamp> {
        self.holds.close_at().into_iter().chain(self.posted.close_at()).min()
    }

    /// When the first of them expire.
    pub(super) fn expires_at(&self) -> Option<Timestamp> {
        self.lots.first_key_value().map(|((expires_at, _), _)| *expires_at).filter(|at| *at < NEVER)
    }

    fn note(&mut self, at: Timestamp, kind: PointKind, points: i64, order: Option<OrderId>, until: Option<Timestamp>) {
        if self.items.len() >= limits::POINT_ITEMS {
            self.items.pop_front();
        }
        let expires_at = until.filter(|until| *until < NEVER);
        self.items.push_back(PointItem { at, kind, points, order, expires_at });
    }

    /// They come in: a debt is paid first, with those that expire first.
    fn come_in(&mut self, lots: &[PointLot]) {
        let mut lots = lots.to_vec();
        lots.sort_by_key(|lot| (lot.expires_at, lot.extended));
        for lot in lots {
            let paid = lot.points.min(self.debt);
            self.debt -= paid;
            let left = lot.points.saturating_sub(paid);
            if left > 0 {
                let have = self.lots.entry((lot.expires_at, lot.extended)).or_default();
                *have = have.saturating_add(left);
            }
        }
    }

    fn go_out(&mut self, lot: PointLot) {
        if let Some(have) = self.lots.get_mut(&(lot.expires_at, lot.extended)) {
            *have = have.saturating_sub(lot.points);
        }
        self.lots.retain(|_, points| *points != 0);
    }

    /// So many are taken, those that expire first; what is missing is owed.
    fn take(&mut self, points: i64) {
        let mut left = points;
        for have in self.lots.values_mut() {
            let taken = (*have).min(left);
            (*have, left) = (*have - taken, left - taken);
        }
        self.lots.retain(|_, points| *points != 0);
        self.debt = self.debt.saturating_add(left);
    }

    fn buy(&mut self, bought: Option<Bought>) {
        if let Some(Bought { day, minor }) = bought {
            let sum = self.bought.entry(day).or_default();
            *sum = sum.saturating_add(minor);
            let first = day.saturating_sub(limits::TIER_DAYS);
            self.bought.retain(|day, minor| *day > first && *minor != 0);
        }
    }

    pub(super) fn apply(&mut self, event: &PointEvent, at: Timestamp) {
        let totals = &mut self.totals;
        match event {
            PointEvent::PointsHeld { order, until, lots } => {
                lots.iter().for_each(|lot| self.go_out(*lot));
                self.holds.opened(*order, Hold { until: *until, what: lots.clone() });
            }
            PointEvent::PointsSpent { order } => {
                if let Some(hold) = self.holds.has_committed(*order) {
                    let points = sum(&hold.what);
                    totals.spent = totals.spent.saturating_add(points);
                    self.spent.insert(*order, hold.what);
                    self.note(at, PointKind::Spent, points.saturating_neg(), Some(*order), None);
                }
            }
            PointEvent::PointsReleased { order, until, lots, expired } => {
                totals.expired = totals.expired.saturating_add(*expired);
                if self.holds.has_ended(*order).is_some() {
                    self.come_in(lots);
                    if *expired > 0 {
                        self.note(at, PointKind::Expired, expired.saturating_neg(), None, None);
                    }
                }
                self.holds.remember(*order, *until, at);
            }
            PointEvent::PointHoldsClosed { orders } => self.holds.closed(orders, at),
            PointEvent::PointsEarned { order, posting, points, expires_at, bought, .. } => {
                totals.earned = totals.earned.saturating_add(*points);
                self.posted.has_done(CreditKey(*order, *posting), at.plus_millis(limits::CREDIT_ASK_MS));
                self.come_in(&[PointLot { expires_at: *expires_at, extended: false, points: *points }]);
                self.buy(*bought);
                self.note(at, PointKind::Earned, *points, Some(*order), Some(*expires_at));
            }
            PointEvent::PointsRestored { order, credit, lots, expired } => {
                let points = sum(lots);
                totals.restored = totals.restored.saturating_add(points);
                self.posted.has_done(CreditKey(*order, *credit), at.plus_millis(limits::CREDIT_ASK_MS));
                if let Some(spent) = self.spent.get_mut(order) {
                    take_last(spent, points.saturating_add(*expired), at);
                }
                self.come_in(lots);
                if points > 0 {
                    let until = lots.iter().map(|lot| lot.expires_at).max();
                    self.note(at, PointKind::Restored, points, Some(*order), until);
                }
            }
            PointEvent::PointsTakenBack { order, credit, points, bought } => {
                totals.taken_back = totals.taken_back.saturating_add(*points);
                self.posted.has_done(CreditKey(*order, *credit), at.plus_millis(limits::CREDIT_ASK_MS));
                self.take(*points);
                self.buy(*bought);
                if *points > 0 {
                    self.note(at, PointKind::TakenBack, points.saturating_neg(), Some(*order), None);
                }
            }
            PointEvent::PostingsClosed { postings } => self.posted.closed(postings, at),
            PointEvent::PointsGiven { points, expires_at, .. } => {
                totals.given = totals.given.saturating_add(*points);
                if *points > 0 {
                    self.come_in(&[PointLot { expires_at: *expires_at, extended: false, points: *points }]);
                } else {
                    self.take(points.saturating_neg());
                }
                self.note(at, PointKind::Given, *points, None, (*points > 0).then_some(*expires_at));
            }
            PointEvent::PointsExpired { points } => {
                totals.expired = totals.expired.saturating_add(*points);
                self.lots.retain(|(expires_at, _), _| *expires_at > at);
                self.note(at, PointKind::Expired, points.saturating_neg(), None, None);
            }
            PointEvent::TierChanged { standing } => self.standing = Some(standing.clone()),
        }
        self.holds.forget_releases(at);
        // What would have expired by now comes back for a day and needs nobody's memory, but for what had that day before.
        let is_remembered = |lot: &PointLot| lot.points > 0 && (lot.expires_at > at || lot.extended);
        self.spent.retain(|_, lots| lots.iter().any(is_remembered));
    }

    /// What of them cannot be.
    pub(super) fn is_wrong(&self) -> Option<(&'static str, String)> {
        let (holds, timed) = self.holds.timed();
        let (active, held, debt) = (self.active(), self.held(), self.debt);
        let PointTotals { earned, restored, spent, expired, taken_back, given } = self.totals;
        let wide = |number: i64| i128::from(number);
        let came = wide(earned) + wide(given) + wide(restored) + wide(debt);
        let went = wide(spent) + wide(expired) + wide(taken_back) + wide(active) + wide(held);
        let all = || format!("{:?}, active {active}, held {held}, debt {debt}", self.totals);
        if holds != timed {
            Some(("holds_are_timed", format!("{holds} holds, {timed} of them timed")))
        } else if self.lots.values().any(|points| *points <= 0) || debt < 0 {
            Some(("points_are_sane", all()))
        } else if came != went {
            Some(("points_add_up", all()))
        } else if debt > 0 && active > 0 {
            Some(("who_owes_points_has_none", all()))
        } else {
            None
        }
    }
}

/// Takes so many of what was spent, those that expire last; what nobody remembers has expired.
fn take_last(spent: &mut Vec<PointLot>, points: i64, now: Timestamp) -> Vec<PointLot> {
    let (mut taken, mut left) = (Vec::new(), points);
    spent.sort_by_key(|lot| (lot.expires_at, lot.extended));
    while left > 0 {
        match spent.last_mut() {
            Some(lot) => {
                let part = lot.points.min(left);
                taken.push(PointLot { points: part, ..*lot });
                (lot.points, left) = (lot.points - part, left - part);
                if lot.points == 0 {
                    spent.pop();
                }
            }
            None => {
                taken.push(PointLot { expires_at: now, extended: false, points: left });
                left = 0;
            }
        }
    }
    taken
}

#[cfg(test)]
mod tests;
