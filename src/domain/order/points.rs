//! The points of an order: with how many it is paid, and how many it earns.
//!
//! Points pay, and lower no price. With how many it is paid the bill says, and the buyer is asked to set them aside; what of the order is credited
//! in units brings its part of them back, as whole points of the sum of all that was credited. Each share earns some days after it was delivered, by
//! what of its goods was paid with money and not given back. What is given back later takes its part with it.
//!
//! What is to be said to the customer for that are postings. Each has a name of its own, by which it counts once, and is said until it is heard.

use super::Order;
use super::OrderEvent;
use super::legs::{LegState, Party};
use super::line::OrderLine;
use super::refund::{Credit, CreditedLine};
use super::share::{Share, is_zero};
use super::state::{Body, Phase};
use crate::domain::customer::PointTotals;
use crate::domain::ids::{CreditId, CustomerId, OrderId, VendorId};
use crate::domain::loyalty::{EarnTerms, Goods};
use crate::domain::money;
use crate::domain::order::SubOrderStatus;
use crate::domain::time::Timestamp;
use serde::{Deserialize, Serialize};

/// What an order says to its buyer's points.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Posting {
    /// Its name: the credit's by which it came, or one that follows from order and share.
    pub id: CreditId,
    /// Of whose share.
    pub vendor: VendorId,
    /// How many it has earned.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub earned: i64,
    /// Until when these live; none of a posting by which nothing is earned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// How many come back of those that it was paid with.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub restored: i64,
    /// How many are taken back of those that it has earned.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub taken_back: i64,
    /// For how much was bought, in minor units; below zero what was given back.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub bought: i64,
}

/// What a share has earned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct EarnedShare {
    vendor: VendorId,
    /// What is left of it.
    points: i64,
    /// What was taken back.
    #[serde(default, skip_serializing_if = "is_zero")]
    taken_back: i64,
    /// For how much goods these count, in minor units.
    bought: i64,
}

/// The points of an order of a customer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct OrderPoints {
    /// With how many it is paid.
    #[serde(default, skip_serializing_if = "is_zero")]
    spent: i64,
    /// What one of them pays, in minor units.
    #[serde(default, skip_serializing_if = "is_zero")]
    value: i64,
    /// By what it earns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    earns: Option<Box<EarnTerms>>,
    /// What of `spent × value` was credited.
    #[serde(default, skip_serializing_if = "is_zero")]
    worth_back: i64,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    earned: Vec<EarnedShare>,
    /// What has not been heard yet.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    postings: Vec<Posting>,
}

/// What an order shows of points.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PointsShown {
    /// With how many it is paid.
    pub spent: i64,
    /// What they pay, in minor units.
    pub value: i64,
    /// How many came back.
    pub restored: i64,
    /// How many it has earned, without those that were taken back.
    pub earned: i64,
    /// How many it is to earn yet.
    pub pending: i64,
}

impl PointsShown {
    /// Whether there is nothing to show.
    pub fn is_nothing(&self) -> bool {
        *self == Self::default()
    }
}

/// What an order says of its buyer's points, as an audit sums it up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PointFacts {
    /// Whose points they are.
    pub customer: CustomerId,
    /// Whether it has ever asked for some to be held.
    pub may_be_held: bool,
    /// What it knows that they have heard.
    pub sure: PointTotals,
    /// What it has told, or is telling.
    pub told: PointTotals,
}

impl Order {
    /// What it says of its buyer's points, where it has to do with any.
    pub fn point_facts(&self) -> Option<PointFacts> {
        let body = self.body.as_ref()?;
        let (points, customer) = (body.points.as_deref()?, body.earner()?);
        let leg = body.leg(Party::Points(customer));
        let sum = |of: fn(&EarnedShare) -> i64| money::sum(points.earned.iter().map(of));
        let waits = |of: fn(&Posting) -> i64| money::sum(points.postings.iter().map(of));
        let told = PointTotals {
            spent: if body.is_sold() && leg.is_some() { points.spent } else { 0 },
            earned: sum(|earned| earned.points.saturating_add(earned.taken_back)),
            taken_back: sum(|earned| earned.taken_back),
            restored: points.restored(points.worth_back),
            ..PointTotals::default()
        };
        let sure = PointTotals {
            spent: if leg == Some(LegState::Committed) { points.spent } else { 0 },
            earned: told.earned.saturating_sub(waits(|posting| posting.earned)),
            taken_back: told.taken_back.saturating_sub(waits(|posting| posting.taken_back)),
            restored: told.restored.saturating_sub(waits(|posting| posting.restored)),
            ..PointTotals::default()
        };
        Some(PointFacts { customer, may_be_held: leg.is_some(), sure, told })
    }
}

impl OrderPoints {
    /// As how many whole points so much came back.
    const fn restored(&self, worth_back: i64) -> i64 {
        if self.value > 0 { worth_back / self.value } else { 0 }
    }
}

impl Body {
    /// Whose points it is about.
    fn earner(&self) -> Option<CustomerId> {
        self.owner.customer()
    }

    /// With how many points it is paid.
    pub(super) fn points_spent(&self) -> i64 {
        self.points.as_ref().map_or(0, |points| points.spent)
    }

    pub(super) fn take_points(&mut self, spent: i64, value: i64, earns: Option<&EarnTerms>) {
        let earns = earns.cloned().map(Box::new);
        self.points = Some(Box::new(OrderPoints { spent, value, earns, ..OrderPoints::default() }));
    }

    /// What of the goods of a share was paid with money and not given back.
    fn goods_of(&self, vendor: VendorId) -> Goods {
        let included = self.prices_include_tax();
        let sum = |of: &dyn Fn(&OrderLine) -> i64| money::sum(self.lines_of(vendor).map(of));
        let net = |line: &OrderLine| match line.billed.as_deref() {
            Some(billed) if included => billed.discounted().saturating_sub(billed.tax_amount()),
            Some(billed) => billed.discounted(),
            None => line.total(),
        };
        let points = |line: &OrderLine| line.billed.as_deref().map_or(0, |billed| billed.points);
        Goods {
            net: sum(&net),
            gross: sum(&|line| line.payable().saturating_add(points(line))),
            money: sum(&|line| line.payable().saturating_sub(line.credited_amount)),
        }
    }

    /// What a share earns as it is now.
    fn earns(&self, terms: &EarnTerms, vendor: VendorId) -> i64 {
        terms.earned(&self.goods_of(vendor))
    }

    /// When all was delivered of a share that is to be.
    fn delivered_at(&self, vendor: VendorId) -> Option<Timestamp> {
        if self.share_standing(vendor) != SubOrderStatus::Delivered {
            return None;
        }
        self.parcels.iter().filter(|parcel| parcel.vendor == vendor).filter_map(|parcel| parcel.delivered_at).max()
    }

    /// The shares that earn something and have not yet, each with the moment at which they do.
    fn to_earn(&self) -> impl Iterator<Item = (VendorId, &EarnTerms, Timestamp)> {
        let points = self.points.as_deref().filter(|_| self.phase == Phase::Settled);
        let terms = points.and_then(|points| Some((points, points.earns.as_deref()?)));
        terms.into_iter().flat_map(move |(points, terms)| {
            let is_new = |share: &&Share| points.earned.iter().all(|earned| earned.vendor != share.vendor);
            let shares = self.shares.iter().filter(is_new).map(|share| share.vendor);
            shares.filter(|vendor| self.earns(terms, *vendor) > 0).filter_map(move |vendor| {
                let due = terms.due(self.delivered_at(vendor)?);
                Some((vendor, terms, due))
            })
        })
    }

    /// When the next share earns.
    pub(super) fn earns_at(&self) -> Option<Timestamp> {
        // Most orders have no parcel to look at.
        self.points.as_ref().filter(|_| !self.parcels.is_empty())?;
        self.to_earn().map(|(_, _, due)| due).min()
    }

    /// What has been delivered for long enough earns.
    pub(super) fn decide_earn(&self, order: OrderId, now: Timestamp) -> Vec<OrderEvent> {
        let due = self.to_earn().filter(|(_, _, due)| *due <= now);
        let earned = |(vendor, terms, _): (VendorId, &EarnTerms, Timestamp)| OrderEvent::PointsEarned {
            vendor,
            posting: CreditId::of_earning(order, vendor),
            points: self.earns(terms, vendor),
            expires_at: terms.expires_at(now),
        };
        due.map(earned).collect()
    }

    pub(super) fn apply_earned(&mut self, vendor: VendorId, id: CreditId, earned: i64, expires_at: Timestamp) {
        let bought = self.goods_of(vendor).base();
        if let Some(points) = &mut self.points {
            points.earned.push(EarnedShare { vendor, points: earned, taken_back: 0, bought });
            let expires_at = Some(expires_at);
            points.postings.push(Posting { id, vendor, earned, expires_at, restored: 0, taken_back: 0, bought });
        }
    }

    /// What points pay of the shipping and the fees of a share, as far as it was not credited. It comes back in one piece.
    pub(super) fn points_besides(&self, vendor: VendorId) -> i64 {
        let share = self.shares.iter().find(|share| share.vendor == vendor);
        share.map_or(0, |share| {
            let of =
                |billed: &crate::domain::pricing::BillShare| billed.shipping_points.saturating_add(billed.fees_points);
            share.billed.as_deref().map_or(0, of).saturating_sub(share.points_credited)
        })
    }

    /// What a credit brings back of what points paid, in minor units.
    fn points_worth(&self, credit: &Credit) -> i64 {
        let of = |part: &CreditedLine| {
            let line = self.lines_of(credit.vendor).find(|line| line.sku == part.sku);
            line.map_or(0, |line| line.creditable().credit(part.units).points)
        };
        money::sum(credit.lines.iter().map(of).chain([credit.points_besides]))
    }

    /// How many points a credit brings back.
    pub(super) fn points_back(&self, credit: &Credit) -> i64 {
        let Some(points) = self.points.as_deref() else { return 0 };
        let after = points.worth_back.saturating_add(self.points_worth(credit));
        points.restored(after).saturating_sub(points.restored(points.worth_back))
    }

    /// Before a credit: what it brings back.
    pub(super) fn points_before(&self, credit: &Credit) -> i64 {
        if self.points.is_some() { self.points_worth(credit) } else { 0 }
    }

    /// After it: what is to be said of it. How many points come back.
    pub(super) fn post_credit(&mut self, credit: &Credit, worth: i64) -> i64 {
        let goods = self.points.is_some().then(|| self.goods_of(credit.vendor));
        let (Some(points), Some(goods)) = (&mut self.points, goods) else { return 0 };
        let before = points.restored(points.worth_back);
        points.worth_back = points.worth_back.saturating_add(worth);
        let restored = points.restored(points.worth_back).saturating_sub(before);
        let (mut taken_back, mut bought) = (0, 0);
        if let (Some(terms), Some(earned)) =
            (&points.earns, points.earned.iter_mut().find(|earned| earned.vendor == credit.vendor))
        {
            let (left, base) = (terms.earned(&goods).min(earned.points), goods.base().min(earned.bought));
            (taken_back, bought) = (earned.points - left, base - earned.bought);
            (earned.points, earned.bought) = (left, base);
            earned.taken_back = earned.taken_back.saturating_add(taken_back);
        }
        if restored > 0 || taken_back > 0 || bought != 0 {
            let (id, vendor) = (credit.id, credit.vendor);
            points.postings.push(Posting { id, vendor, earned: 0, expires_at: None, restored, taken_back, bought });
        }
        restored
    }

    /// What has not been heard yet, and by whom.
    pub(super) fn to_post(&self) -> Option<(CustomerId, &[Posting])> {
        let points = self.points.as_deref()?;
        let customer = self.earner().filter(|_| !points.postings.is_empty())?;
        Some((customer, &points.postings))
    }

    /// Whether a posting of this name has not been heard yet.
    pub(super) fn is_to_post(&self, id: CreditId) -> bool {
        self.points.iter().any(|points| points.postings.iter().any(|posting| posting.id == id))
    }

    /// Whether one was heard.
    pub(super) fn is_posted(&self, id: CreditId) -> bool {
        self.points.is_some() && !self.is_to_post(id)
    }

    pub(super) fn heard_postings(&mut self, heard: &[CreditId]) {
        if let Some(points) = &mut self.points {
            points.postings.retain(|posting| !heard.contains(&posting.id));
        }
    }

    /// The party that holds its points.
    pub(super) fn points_party(&self) -> Option<Party> {
        self.earner().map(Party::Points)
    }

    /// What is shown of them.
    pub(super) fn points_shown(&self) -> PointsShown {
        let Some(points) = self.points.as_deref() else { return PointsShown::default() };
        let is_earned = |vendor: VendorId| points.earned.iter().any(|earned| earned.vendor == vendor);
        let to_come = |terms: &EarnTerms| {
            let shares = self.shares.iter().map(|share| share.vendor).filter(|vendor| !is_earned(*vendor));
            money::sum(shares.map(|vendor| self.earns(terms, vendor)))
        };
        PointsShown {
            spent: points.spent,
            value: points.spent.saturating_mul(points.value),
            restored: points.restored(points.worth_back),
            earned: money::sum(points.earned.iter().map(|earned| earned.points)),
            // Of what is not paid nobody knows whether it ever is.
            pending: points.earns.as_deref().filter(|_| self.is_sold() && !self.status.is_end()).map_or(0, to_come),
        }
    }

    /// What of its points cannot be.
    pub(super) fn points_are_wrong(&self) -> bool {
        let Some(points) = self.points.as_deref() else {
            // Nobody can have paid with points then.
            return self.billed_points() != 0;
        };
        let worth = points.spent.saturating_mul(points.value);
        let is_twice = |(at, earned): (usize, &EarnedShare)| {
            earned.points < 0 || points.earned[..at].iter().any(|other| other.vendor == earned.vendor)
        };
        points.spent < 0
            || !(0..=worth).contains(&points.worth_back)
            // Its bill is recorded with the number of its points, after it.
            || ((self.bill.is_some() || self.phase != Phase::Gathering) && self.billed_points() != worth)
            || points.earned.iter().enumerate().any(is_twice)
    }

    /// What points pay by its bill.
    fn billed_points(&self) -> i64 {
        let lines = self.lines.iter().filter_map(|line| line.billed.as_deref()).map(|billed| billed.points);
        let shares = self.shares.iter().filter_map(|share| share.billed.as_deref());
        money::sum(lines.chain(shares.map(|share| share.shipping_points.saturating_add(share.fees_points))))
    }
}
