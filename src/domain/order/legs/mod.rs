//! The legs of an order's saga: whom it asks to hold something for it, and how far it is with each.
//!
//! Whatever could be promised twice is a leg: it is asked for before the payment, confirmed after it, and cancelled when the order ends
//! unpaid. Each sort of party has a file of its own here, which says what it is asked in which words. What the phases do with legs is
//! the same for all of them.

mod cash;
mod coupon;
mod points;
mod stock;

use super::state::Body;
use crate::domain::coupon::CouponCommand;
use crate::domain::customer::{CustomerCommand, PointCommand};
use crate::domain::entity::{EffectKey, Message, Step};
use crate::domain::ids::{CouponId, CreditId, CustomerId, OrderId, VendorId};
use crate::domain::time::Timestamp;
use crate::domain::vendor::VendorCommand;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Whom a leg is with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Party {
    /// A vendor, for the stock of its share.
    #[serde(rename = "vendor")]
    Stock(VendorId),
    /// A coupon, for one use of it.
    #[serde(rename = "coupon")]
    Coupon(CouponId),
    /// Whoever counts the open orders of a buyer that are to be paid at the door, for one of them.
    #[serde(rename = "cash")]
    Cash(CustomerId),
    /// The buyer, for points that the order is to be paid with.
    #[serde(rename = "points")]
    Points(CustomerId),
}

/// How far an order is with one of its parties.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LegState {
    /// It was asked to hold.
    Asked,
    /// It holds.
    Held,
    /// It refused.
    Refused,
    /// What it held is the order's for good.
    Committed,
    /// What it held is given back.
    Released,
    /// Nobody waits for its answer any longer. It may hold still: it asks when the hold's time is over, and is told.
    Unanswered,
}

/// One party of an order, and how far the order is with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leg {
    /// Whom it is with.
    #[serde(flatten)]
    pub with: Party,
    /// How far it is.
    #[serde(rename = "hold")]
    pub state: LegState,
}

/// What an order tells a party.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verb {
    /// Hold.
    Ask,
    /// The order is paid: what is held is its for good.
    Confirm,
    /// The order ends unpaid: let go what is held, and hold nothing for it any more.
    Cancel,
    /// The order is settled: no need to remember it.
    Close,
}

impl Party {
    /// The parties of an order that is about to be placed, in the order in which they are asked. Its coupons come to them with the price.
    pub(super) fn of(body: &Body) -> Vec<Party> {
        stock::parties(body)
    }

    /// What the order says to it.
    pub(super) fn message(self, order: OrderId, body: &Body, verb: Verb) -> Message {
        match self {
            Party::Stock(vendor) => stock::message(order, body, vendor, verb),
            Party::Coupon(coupon) => coupon::message(order, body, coupon, verb),
            Party::Cash(at) => cash::message(order, at, body.is_refused_at_the_door(), verb),
            Party::Points(customer) => points::message(order, body, customer, verb),
        }
    }

    /// What an order says that has nothing to do with what is held for it.
    pub(super) fn release(self, order: OrderId, until: Timestamp) -> Message {
        match self {
            Party::Stock(id) => Message::Vendor { id, command: VendorCommand::Release { order, until } },
            Party::Coupon(id) => Message::Coupon { id, command: CouponCommand::ReleaseUse { order, until } },
            Party::Cash(id) => Message::Customer { id, command: CustomerCommand::CloseCash { order, refused: false } },
            Party::Points(id) => {
                let command = CustomerCommand::Points(PointCommand::ReleasePoints { order, until });
                Message::Customer { id, command }
            }
        }
    }

    /// What an order says of credits that it has heard of; vendors hear of theirs in another way.
    pub(super) fn close_returns(self, order: OrderId, credits: Vec<CreditId>) -> Option<Message> {
        match self {
            Party::Stock(_) | Party::Cash(_) => None,
            Party::Coupon(id) => Some(Message::Coupon { id, command: CouponCommand::CloseReturns { order, credits } }),
            Party::Points(id) => {
                let command = CustomerCommand::Points(PointCommand::ClosePostings { order, postings: credits });
                Some(Message::Customer { id, command })
            }
        }
    }

    /// The name of the effect by which the order says this to it. What is closed is told once, and is no effect, but for an order that was to be paid at
    /// the door: that is told until it is heard.
    pub(super) fn key(self, verb: Verb) -> EffectKey {
        match self {
            Party::Stock(vendor) => EffectKey::new(
                match verb {
                    Verb::Ask => Step::Reserve,
                    Verb::Confirm | Verb::Close => Step::Commit,
                    Verb::Cancel => Step::Release,
                },
                vendor,
            ),
            Party::Coupon(coupon) => EffectKey::new(
                match verb {
                    Verb::Ask => Step::HoldUse,
                    Verb::Confirm | Verb::Close => Step::CommitUse,
                    Verb::Cancel => Step::ReleaseUse,
                },
                coupon,
            ),
            Party::Cash(customer) => EffectKey::new(
                match verb {
                    Verb::Ask => Step::OpenCash,
                    Verb::Confirm => Step::KeepCash,
                    Verb::Cancel => Step::DropCash,
                    Verb::Close => Step::CloseCash,
                },
                customer,
            ),
            Party::Points(customer) => EffectKey::new(
                match verb {
                    Verb::Ask => Step::HoldPoints,
                    Verb::Confirm | Verb::Close => Step::SpendPoints,
                    Verb::Cancel => Step::ReleasePoints,
                },
                customer,
            ),
        }
    }

    /// Whom an effect of this name asks, and what; `None` for one that asks no party.
    pub(super) fn of_key(key: EffectKey) -> Option<(Party, Verb)> {
        let uuid = Uuid::from_u128(key.target);
        let (stock, coupon) = (Party::Stock(VendorId::from_uuid(uuid)), Party::Coupon(CouponId::from_uuid(uuid)));
        let (cash, points) = (Party::Cash(CustomerId::from_uuid(uuid)), Party::Points(CustomerId::from_uuid(uuid)));
        Some(match key.step {
            Step::Reserve => (stock, Verb::Ask),
            Step::Commit => (stock, Verb::Confirm),
            Step::Release => (stock, Verb::Cancel),
            Step::HoldUse => (coupon, Verb::Ask),
            Step::CommitUse => (coupon, Verb::Confirm),
            Step::ReleaseUse => (coupon, Verb::Cancel),
            Step::OpenCash => (cash, Verb::Ask),
            Step::KeepCash => (cash, Verb::Confirm),
            Step::DropCash => (cash, Verb::Cancel),
            Step::CloseCash => (cash, Verb::Close),
            Step::HoldPoints => (points, Verb::Ask),
            Step::SpendPoints => (points, Verb::Confirm),
            Step::ReleasePoints => (points, Verb::Cancel),
            _ => return None,
        })
    }

    /// The vendor, of a party that is one.
    pub const fn vendor(self) -> Option<VendorId> {
        match self {
            Party::Stock(vendor) => Some(vendor),
            Party::Coupon(_) | Party::Cash(_) | Party::Points(_) => None,
        }
    }
}

/// Who has acknowledged that it confirmed, since this state was made. It is in no record, no snapshot and no comparison: whoever is not in
/// it is asked again, and says it again.
#[derive(Clone, Debug, Default)]
pub(super) struct Acknowledged(Vec<Party>);

impl Acknowledged {
    pub(super) fn note(&mut self, party: Party) {
        if !self.0.contains(&party) {
            self.0.push(party);
        }
    }

    pub(super) fn has(&self, party: Party) -> bool {
        self.0.contains(&party)
    }
}

impl PartialEq for Acknowledged {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Acknowledged {}

impl Body {
    /// How far the order is with this party; `None` when it is none of its.
    pub(super) fn leg(&self, party: Party) -> Option<LegState> {
        self.legs.iter().find(|leg| leg.with == party).map(|leg| leg.state)
    }

    pub(super) fn set_leg(&mut self, party: Party, state: LegState) {
        for leg in self.legs.iter_mut().filter(|leg| leg.with == party) {
            leg.state = state;
        }
    }

    /// Whether every party that holds has acknowledged that it confirmed.
    pub(super) fn all_acknowledged(&self) -> bool {
        self.unconfirmed().next().is_none()
    }

    /// The parties that hold and have not acknowledged that they confirmed.
    pub(super) fn unconfirmed(&self) -> impl Iterator<Item = Party> {
        let waits = |leg: &&Leg| leg.state == LegState::Held && !self.acknowledged.has(leg.with);
        self.legs.iter().filter(waits).map(|leg| leg.with)
    }

    /// The parties in these states.
    pub(super) fn parties(&self, states: &'static [LegState]) -> impl Iterator<Item = Party> {
        self.legs.iter().filter(|leg| states.contains(&leg.state)).map(|leg| leg.with)
    }

    /// Nobody waits any longer for those that have not answered.
    pub(super) fn give_up_waiting(&mut self) {
        for leg in &mut self.legs {
            if matches!(leg.state, LegState::Asked | LegState::Held) {
                leg.state = LegState::Unanswered;
            }
        }
    }
}
