//! Orders that are stuck, and the ways out: the gateway moved another amount than it was asked for, it will not undo
//! a payment, a
//! vendor's step fails for good, or nobody answers. Someone looks at it and says how it goes on:
//!
//! | stuck because | `retry` | `voided` | `paid` | `write_off` | `refunded` |
//! | --- | --- | --- | --- | --- | --- |
//! | another amount was taken | charges again, past the deadline voids | | sells | | ends cancelled |
//! | another amount was given back | voids again | | | | ends |
//! | the void was refused | voids again | ends | sells | | ends |
//! | the same, and what was taken is known | voids again | | sells | | ends |
//! | nobody tells whether it was charged in time | asks again | ends | | | ends |
//! | the void is not answered | voids again | ends | | | ends |
//! | a commit failed, or is not answered | commits again | | | settles | |
//! | a release failed, or is not answered | releases again | | | ends | |
//! | the cart does not answer | opens it again | | | | |
//! | less was collected at the door than was due | | | it came in another way | credited | |
//!
//! What a gateway is known to keep is either paid or given back, and of what nobody knows someone has to make sure: no order ends unpaid with
//! money that it keeps. What it took is called paid only if it is
//! the order's total. `paid` is refused while a void may yet be
//! carried out. A vendor
//! whose answer is given up keeps its hold until it asks, and is told then: nothing is sold twice, and nothing is
//! free too early.

use super::state::{Body, Phase};
use super::{Order, OrderEvent, OrderStatus, Party, TimelineEntry};
use crate::domain::entity::{Principal, Publication};
use crate::domain::ids::VendorId;
use crate::domain::money::Money;
use crate::domain::reject::Reject;
use crate::domain::time::Timestamp;
use crate::domain::who::By;
use crate::limits;
use serde::{Deserialize, Serialize};
use std::fmt;

/// How an order is led out of what it is stuck in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ResolveAs {
    /// The same step again.
    Retry,
    /// Nothing was taken, or somebody saw to it at the provider that nothing will be.
    Voided,
    /// The order's total was taken after all, or in another way.
    Paid,
    /// Nobody waits any longer: what is lost is the shop's.
    WriteOff,
    /// What was taken has been given back, by the provider or by hand.
    Refunded,
}

impl ResolveAs {
    /// All of them.
    pub const ALL: [ResolveAs; 5] =
        [ResolveAs::Retry, ResolveAs::Voided, ResolveAs::Paid, ResolveAs::WriteOff, ResolveAs::Refunded];

    /// Its name in requests and timelines.
    pub const fn name(self) -> &'static str {
        match self {
            ResolveAs::Retry => "retry",
            ResolveAs::Voided => "voided",
            ResolveAs::Paid => "paid",
            ResolveAs::WriteOff => "write_off",
            ResolveAs::Refunded => "refunded",
        }
    }

    /// The one of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|verb| verb.name() == name)
    }
}

impl fmt::Display for ResolveAs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What someone of the staff did about an order that was stuck.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resolution {
    /// How it goes on.
    #[serde(rename = "as")]
    pub verb: ResolveAs,
    /// Who says so: the subject of their token.
    pub by: String,
    /// Why, in their words.
    pub note: String,
    /// What was paid or given back, where they say so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount: Option<Money>,
    /// Where it stands in the provider's or the bank's books.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
}

/// The code of a payment that its provider will not undo.
pub(super) const VOID_REFUSED: &str = "void_refused";

/// Why an order is stuck.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "code", rename_all = "snake_case")]
pub enum Trouble {
    /// The gateway says that it moved another amount than it was asked for.
    AmountDiffers {
        /// What it took.
        told: Money,
        /// Whether it has given it back.
        given_back: bool,
    },
    /// The gateway will not undo the payment.
    VoidRefused {
        /// Why, in its words.
        reason: String,
        /// What it has taken and keeps, where it says so.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        taken: Option<Money>,
    },
    /// A vendor cannot carry out a step that may not fail.
    StepFailed {
        /// The vendor.
        vendor: VendorId,
        /// Why: the code of its refusal.
        reason: String,
    },
    /// A party that is no vendor cannot carry out a step that may not fail.
    LegFailed {
        /// Which.
        with: Party,
        /// Why: the code of its refusal.
        reason: String,
    },
    /// Less was collected at the door than was due.
    CashShort {
        /// What is missing.
        missing: Money,
    },
    /// Whoever was asked has not answered.
    NoAnswer,
}

impl Trouble {
    /// Its stable code.
    pub const fn code(&self) -> &'static str {
        match self {
            Trouble::AmountDiffers { .. } => "amount_differs",
            Trouble::VoidRefused { .. } => VOID_REFUSED,
            Trouble::StepFailed { .. } | Trouble::LegFailed { .. } => "step_failed",
            Trouble::CashShort { .. } => "collection_mismatch",
            Trouble::NoAnswer => "no_answer",
        }
    }

    /// What the gateway says that it took.
    pub const fn told(&self) -> Option<Money> {
        match self {
            Trouble::AmountDiffers { told, .. } => Some(*told),
            Trouble::VoidRefused { taken, .. } => *taken,
            Trouble::CashShort { .. } | Trouble::StepFailed { .. } | Trouble::LegFailed { .. } | Trouble::NoAnswer => {
                None
            }
        }
    }
}

/// What an order waits for that may never come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waits {
    /// Since when.
    pub since: Timestamp,
    /// Why.
    pub why: Trouble,
    /// What leads out of it.
    pub resolve_as: Vec<ResolveAs>,
}

impl Waits {
    /// Whether someone has to look at it: an answer may well take a while.
    pub fn is_stuck(&self, now: Timestamp) -> bool {
        self.why != Trouble::NoAnswer || now.millis_since(self.since) >= limits::STUCK_AFTER_MS
    }
}

/// What a quarantined order was at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Stuck {
    pub(super) from: Phase,
    pub(super) why: Trouble,
}

/// Where an order is stuck: the rows of the table above.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Point {
    Took,
    GaveBack,
    VoidRefused,
    Kept,
    LookUp,
    Void,
    Commit,
    Release,
    Reopen,
    Short,
}

impl Point {
    /// The table above. No wildcard: a new way out, or a new place to be stuck in, has to be thought through.
    const fn fits(self, verb: ResolveAs) -> bool {
        use ResolveAs::{Paid, Refunded, Retry, Voided, WriteOff};
        match (self, verb) {
            (Point::Took | Point::Kept, Retry | Paid | Refunded)
            | (Point::GaveBack, Retry | Refunded)
            | (Point::VoidRefused, Retry | Voided | Paid | Refunded)
            | (Point::LookUp | Point::Void, Retry | Voided | Refunded)
            | (Point::Commit | Point::Release, Retry | WriteOff)
            | (Point::Reopen, Retry)
            | (Point::Short, Paid | WriteOff) => true,
            (Point::Took | Point::Kept, Voided | WriteOff)
            | (Point::GaveBack, Voided | Paid | WriteOff)
            | (Point::VoidRefused, WriteOff)
            | (Point::LookUp | Point::Void, Paid | WriteOff)
            | (Point::Commit | Point::Release, Voided | Paid | Refunded)
            | (Point::Reopen, Voided | Paid | WriteOff | Refunded)
            | (Point::Short, Retry | Voided | Refunded) => false,
        }
    }
}

impl Body {
    /// Where it is stuck, or would be if nobody answered.
    fn point(&self) -> Option<Point> {
        match (self.phase, self.stuck.as_ref().map(|stuck| (&stuck.why, stuck.from))) {
            (Phase::Stuck, Some((Trouble::AmountDiffers { given_back, .. }, _))) => {
                Some(if *given_back { Point::GaveBack } else { Point::Took })
            }
            (Phase::Stuck, Some((Trouble::VoidRefused { taken, .. }, _))) => {
                Some(if taken.is_some() { Point::Kept } else { Point::VoidRefused })
            }
            (
                Phase::Stuck,
                Some((Trouble::StepFailed { .. } | Trouble::LegFailed { .. } | Trouble::NoAnswer, from)),
            ) => match from {
                Phase::Confirming => Some(Point::Commit),
                _ => Some(Point::Release),
            },
            (Phase::Settled, _) if self.missing_cash().is_some() => Some(Point::Short),
            // It is never stuck for that.
            (Phase::Stuck, Some((Trouble::CashShort { .. }, _))) => None,
            // A quarantine always says what it was at: `restore` sees to those of early versions.
            (Phase::Stuck, None) => None,
            // Before its deadline it waits for the buyer, and so for nobody.
            (Phase::Paying, _) => Some(Point::LookUp),
            (Phase::Voiding(_), _) => Some(Point::Void),
            (Phase::Confirming, _) => Some(Point::Commit),
            (Phase::Cancelling(_), _) => Some(Point::Release),
            (Phase::Reopening(_), _) => Some(Point::Reopen),
            // Time alone leads out of these, or there is nothing to lead out of.
            (Phase::Gathering | Phase::Settled | Phase::Ended, _) => None,
        }
    }

    /// What it waits for that may never come.
    pub(super) fn waits(&self) -> Option<Waits> {
        let point = self.point()?;
        Some(Waits {
            since: match self.phase {
                Phase::Paying => self.waits_since().max(self.payment_due_at),
                _ => self.waits_since(),
            },
            why: match (&self.stuck, self.missing_cash()) {
                (Some(stuck), _) => stuck.why.clone(),
                (None, Some(missing)) => Trouble::CashShort { missing },
                (None, None) => Trouble::NoAnswer,
            },
            resolve_as: ResolveAs::ALL.into_iter().filter(|verb| point.fits(*verb)).collect(),
        })
    }

    /// Since when it stands where it does. Asking once more whom it asks anyway is no change.
    fn waits_since(&self) -> Timestamp {
        let is_change = |place: &usize| {
            let before = place.checked_sub(1).map(|before| &self.timeline[before]);
            self.timeline[*place].resolution.is_none() || before.is_some_and(|before| before.kind == "quarantined")
        };
        (0..self.timeline.len()).rev().find(is_change).map_or(self.placed_at, |place| self.timeline[place].at)
    }

    fn resolutions(&self) -> impl DoubleEndedIterator<Item = &Resolution> {
        self.timeline.iter().filter_map(|entry| entry.resolution.as_deref())
    }

    /// Whether what became of its money is what someone said, not what the gateway did.
    pub(super) fn is_settled_by_hand(&self) -> bool {
        self.resolutions().any(|resolution| resolution.verb != ResolveAs::Retry)
    }

    /// What was missing at the door came in another way, or is given up.
    fn decide_short(&self, resolution: &Resolution) -> Result<Vec<OrderEvent>, Reject> {
        let expected = self.missing_cash().unwrap_or(Money::new(0, self.currency));
        let is_paid = resolution.verb == ResolveAs::Paid;
        if is_paid && resolution.amount != Some(expected) {
            return Err(Reject::AmountDiffers { expected });
        }
        let resolved = OrderEvent::Resolved { resolution: Box::new(resolution.clone()) };
        let (by, mint) = (None, self.mint.unwrap_or_default());
        Ok([resolved].into_iter().chain(self.short_resolved(is_paid, by, mint)).collect())
    }

    pub(super) fn decide_resolve(&self, resolution: &Resolution, now: Timestamp) -> Result<Vec<OrderEvent>, Reject> {
        let verb = resolution.verb;
        let waits = self.waits().filter(|waits| waits.is_stuck(now));
        let point = self.point().filter(|point| waits.is_some() && point.fits(verb));
        if point.is_none() && self.resolutions().next_back() == Some(resolution) {
            // Heard again: it was done.
            return Ok(Vec::new());
        }
        if self.resolutions().count() >= limits::RESOLUTIONS {
            return Err(Reject::TooMany { what: "resolutions of one order".into(), limit: limits::RESOLUTIONS });
        }
        let Some(point) = point else {
            return Err(Reject::NothingToResolve { may: waits.map(|waits| waits.resolve_as).unwrap_or_default() });
        };
        let told = self.stuck.as_ref().and_then(|stuck| stuck.why.told()).unwrap_or_else(|| self.asked());
        if point == Point::Short {
            return self.decide_short(resolution);
        }
        let (expected, given) = match verb {
            ResolveAs::Paid => (self.asked(), resolution.amount),
            ResolveAs::Refunded => (told, Some(resolution.amount.unwrap_or(told))),
            ResolveAs::Retry | ResolveAs::Voided | ResolveAs::WriteOff => (told, Some(told)),
        };
        if given != Some(expected) {
            return Err(Reject::AmountDiffers { expected });
        }
        // Whoever says what became of it ends the wait for what it was to bring.
        let given_up = point == Point::LookUp && verb != ResolveAs::Retry;
        let mut events: Vec<OrderEvent> = given_up.then_some(OrderEvent::PaymentDeadlinePassed).into_iter().collect();
        events.push(OrderEvent::Resolved { resolution: Box::new(resolution.clone()) });
        events.extend(match verb {
            ResolveAs::Paid => Some(OrderEvent::Paid { amount: self.total }),
            ResolveAs::Voided => Some(OrderEvent::PaymentVoided),
            ResolveAs::Refunded => Some(self.given_back(told)),
            // Past its deadline nothing is charged.
            ResolveAs::Retry if point == Point::Took && now >= self.payment_due_at => {
                Some(OrderEvent::PaymentDeadlinePassed)
            }
            ResolveAs::Retry | ResolveAs::WriteOff => None,
        });
        Ok(events)
    }

    /// It is stuck.
    pub(super) fn quarantine(&mut self, at: Timestamp, why: Trouble) {
        let (vendor, told) = match &why {
            Trouble::StepFailed { vendor, .. } => (Some(*vendor), None),
            other => (None, other.told()),
        };
        let reason = match &why {
            Trouble::StepFailed { reason, .. } | Trouble::LegFailed { reason, .. } => reason.clone(),
            other => other.code().to_owned(),
        };
        self.stuck = Some(Stuck { from: self.phase, why });
        self.phase = Phase::Stuck;
        let own = self.currency;
        let entry = self.note(at, "quarantined");
        entry.vendor = vendor;
        entry.reason = Some(reason);
        entry.tell(told, own);
    }

    /// It goes on; what else the resolution means follows as an event of its own.
    pub(super) fn resolve(&mut self, resolution: &Resolution, at: Timestamp) {
        if let Some(stuck) = self.stuck.take() {
            self.phase = match (stuck.from, resolution.verb) {
                (Phase::Paying, ResolveAs::Refunded) => Phase::Voiding(OrderStatus::Cancelled),
                (from, _) => from,
            };
        }
        let own = self.currency;
        let entry = self.note(at, "resolved");
        entry.reason = Some(resolution.verb.name().to_owned());
        entry.tell(resolution.amount, own);
        entry.resolution = Some(Box::new(resolution.clone()));
        if resolution.verb == ResolveAs::WriteOff {
            self.write_off();
        }
    }

    fn write_off(&mut self) {
        match self.phase {
            // Earlier versions let go of a payment of which nobody knew.
            Phase::Voiding(end) => self.start_ending(end),
            Phase::Confirming => {
                self.give_up_waiting();
                self.settle_when_done();
            }
            Phase::Cancelling(end) => {
                self.give_up_waiting();
                self.start_ending(end);
            }
            Phase::Gathering | Phase::Paying | Phase::Settled | Phase::Reopening(_) => {}
            Phase::Ended | Phase::Stuck => {}
        }
    }

    /// What an order that an early version quarantined was at: a vendor's step, and which one its timeline tells.
    pub(super) fn recall_quarantine(&mut self) {
        if self.phase != Phase::Stuck || self.stuck.is_some() {
            return;
        }
        let end = |entry: &TimelineEntry| match &*entry.kind {
            "stock_refused" | "price_changed" => Some(OrderStatus::Rejected),
            "payment_failed" => Some(OrderStatus::PaymentFailed),
            "cancel_requested" => Some(OrderStatus::Cancelled),
            "payment_deadline_passed" => Some(OrderStatus::Expired),
            _ => None,
        };
        let last = self.timeline.iter().rev().find(|entry| entry.kind == "quarantined");
        let Some(vendor) = last.and_then(|entry| entry.vendor) else { return };
        let reason = last.and_then(|entry| entry.reason.clone()).unwrap_or_default();
        let from = match self.status.is_paid() {
            true => Phase::Confirming,
            false => Phase::Cancelling(self.timeline.iter().rev().find_map(end).unwrap_or(OrderStatus::Cancelled)),
        };
        self.stuck = Some(Stuck { from, why: Trouble::StepFailed { vendor, reason } });
    }
}

impl TimelineEntry {
    fn tell(&mut self, told: Option<Money>, own: crate::domain::money::Currency) {
        self.amount = told.map(|told| told.minor);
        self.currency = told.map(|told| told.currency).filter(|currency| *currency != own);
    }

    /// How it is shown to those who are not of the staff.
    pub(super) fn for_outsiders(&self) -> Self {
        let by = self.by.map(|by| By { account: None, ..by });
        Self { resolution: None, by, ..self.clone() }
    }
}

impl Order {
    /// What it waits for that may never come; `None` for those who are not of the staff.
    pub(super) fn waits_for(body: &Body, by: Principal) -> Option<Box<Waits>> {
        if by.is_staff() { body.waits().map(Box::new) } else { None }
    }

    /// What the gateway says that it has taken of an order that is stuck for it.
    pub fn told(&self) -> Option<Money> {
        self.body.as_ref()?.stuck.as_ref()?.why.told()
    }

    /// Whether what became of its money is what someone of the staff said, whatever the gateway's books say.
    pub fn is_settled_by_hand(&self) -> bool {
        self.body.as_ref().is_some_and(Body::is_settled_by_hand)
    }

    /// What operators are told when it gets stuck by this event.
    pub(super) fn alarm(&self, body: &Body, event: &OrderEvent) -> Option<Publication> {
        let asked = body.asked();
        let (why, detail) = match event {
            OrderEvent::PaymentDiffered { told, given_back } => {
                let what = if *given_back { "took and gave back" } else { "took" };
                ("amount_differs", format!("the gateway {what} {told}, and {asked} was asked for"))
            }
            OrderEvent::VoidRefused { reason, taken } => {
                let taken = taken.map_or("does not say what it took".to_owned(), |taken| format!("keeps {taken}"));
                ("void_refused", format!("the gateway {taken} of {asked}, and will not undo it: {reason}"))
            }
            OrderEvent::Quarantined { vendor, reason } => ("step_failed", format!("{vendor}: {reason}")),
            OrderEvent::LegQuarantined { with, reason } => ("step_failed", format!("{with:?}: {reason}")),
            _ => return None,
        };
        Some(Publication::OrderStuck { order: self.id, why, detail })
    }
}
