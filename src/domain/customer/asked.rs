//! What is asked of a customer's points: by orders, by the staff, by themselves.

use super::points::{GivenFor, NEVER, PointEvent, PointItem, PointLot};
use super::tiers::{Bought, Standing, within_a_year};
use super::{Customer, CustomerEvent, CustomerReply};
use crate::domain::entity::{By, Effect, EffectKey, Message, Principal, Step};
use crate::domain::hold::{CreditKey, asks_about};
use crate::domain::ids::{CreditId, CustomerId, OrderId};
use crate::domain::knowledge::Knowledge;
use crate::domain::loyalty::{Programme, end_of_day, local_day};
use crate::domain::money::Currency;
use crate::domain::order::{OrderCommand, Party, Posting};
use crate::domain::reject::Reject;
use crate::domain::time::Timestamp;
use crate::domain::who::{Action, Belongs, TheShop, may};
use crate::limits;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// What can be asked of points.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum PointCommand {
    /// Set points aside for an order.
    HoldPoints {
        /// Which.
        order: OrderId,
        /// Until when the order needs them at most.
        until: Timestamp,
        /// How many.
        points: i64,
    },
    /// The order is paid with them.
    SpendPoints {
        /// Which.
        order: OrderId,
    },
    /// The order ended unpaid.
    ReleasePoints {
        /// Which.
        order: OrderId,
        /// Until when it needed them at most.
        until: Timestamp,
    },
    /// The order is settled.
    ClosePoints {
        /// Which.
        order: OrderId,
    },
    /// What an order has earned, and what it gave back.
    PostPoints {
        /// Which.
        order: OrderId,
        /// In which currency it was paid.
        currency: Currency,
        /// What.
        postings: Vec<Posting>,
    },
    /// The order knows that these count.
    ClosePostings {
        /// Which.
        order: OrderId,
        /// Of what.
        postings: Vec<CreditId>,
    },
    /// Give points, or take some.
    GivePoints {
        /// On whose behalf.
        by: Principal,
        /// How many; below zero to take some.
        points: i64,
        /// Why.
        reason: GivenFor,
        /// Up to the end of which local day they live; as long as the programme says, where that is not said.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        expires_at: Option<Timestamp>,
    },
    /// Tell of them.
    SeePoints {
        /// On whose behalf.
        by: Principal,
    },
    /// Time has passed.
    Tick,
}

/// What a customer has of points.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PointsView {
    /// Whose.
    pub customer: CustomerId,
    /// What they have, by when it expires.
    pub lots: Vec<PointLot>,
    /// What is held for orders.
    pub held: i64,
    /// What was taken back of them and they did not have.
    pub debt: i64,
    /// In which tier they are, once they were in one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub standing: Option<Standing>,
    /// For how much they bought, by local day.
    pub bought: Vec<Bought>,
    /// The last of what became of them, the newest first.
    pub items: Vec<PointItem>,
}

impl PointsView {
    /// What can be spent at this moment.
    pub fn available(&self, now: Timestamp) -> i64 {
        let alive = self.lots.iter().filter(|lot| lot.expires_at > now);
        alive.fold(0, |sum, lot| sum.saturating_add(lot.points))
    }
}

impl PointsView {
    /// For how much they bought within the last 365 local days, in the tiers' currency.
    pub fn bought_within_a_year(&self, programme: &Programme, now: Timestamp) -> i64 {
        within_a_year(self.bought.iter().copied(), programme, now)
    }
}

impl Belongs for Customer {
    fn belongs_to(&self, by: Principal) -> bool {
        by == Principal::Customer(self.id)
    }
}

impl Customer {
    /// By what their points are multiplied, of somebody who is or was in a tier.
    pub(super) fn multiplier(&self) -> Option<u32> {
        self.points.standing.as_ref().map(|standing| standing.multiplier)
    }

    pub(super) fn hear_points(&mut self, command: &PointCommand, now: Timestamp) {
        match command {
            PointCommand::ClosePoints { order } => self.points.holds.hear_close(*order, now),
            PointCommand::ClosePostings { order, postings } => {
                postings.iter().for_each(|credit| self.points.posted.hear_close(CreditKey(*order, *credit), now));
            }
            _ => {}
        }
    }

    pub(super) fn decide_points(
        &self,
        command: &PointCommand,
        knowledge: &Knowledge<'_>,
        now: Timestamp,
    ) -> Result<Vec<CustomerEvent>, Reject> {
        let own = &self.points;
        let tables = knowledge.prices.tables();
        let programme = tables.as_ref().and_then(|tables| tables.loyalty.as_ref());
        let mut events = match command {
            PointCommand::HoldPoints { order, until, points } => own.decide_hold(*order, *until, *points, now)?,
            PointCommand::SpendPoints { order } => own.decide_spend(*order)?,
            PointCommand::ReleasePoints { order, until } => own.decide_release(*order, *until, now),
            PointCommand::PostPoints { order, currency, postings } => {
                let counts = programme.filter(|programme| programme.tier_currency() == Some(*currency));
                let day = counts.map(|programme| local_day(now, &programme.time_zone));
                let bought = |minor| Some(Bought { day: day?, minor }).filter(|_| minor != 0);
                own.decide_post(*order, postings, bought, now)
            }
            PointCommand::GivePoints { by, points, reason, expires_at } => {
                if !may(*by, Action::EditCustomers, &TheShop) {
                    return Err(Reject::CustomerUnknown);
                }
                let days = programme.map(|programme| (programme.expires_days, programme.time_zone.as_str()));
                let expires_at = match (expires_at, days) {
                    (Some(at), _) => end_of_day(*at, 0, days.map_or("UTC", |(_, zone)| zone)),
                    (None, Some((days, zone))) => end_of_day(now, days, zone),
                    (None, None) => NEVER,
                };
                let (points, reason, by) = (*points, *reason, By::of(*by));
                vec![PointEvent::PointsGiven { points, expires_at, reason, by }]
            }
            PointCommand::SeePoints { by } => {
                return match may(*by, Action::SeeCustomers, &TheShop) || may(*by, Action::SeeOwnPoints, self) {
                    true => Ok(Vec::new()),
                    false => Err(Reject::CustomerUnknown),
                };
            }
            // These are done by whoever heard them: what there is to record comes with them.
            PointCommand::ClosePoints { .. } | PointCommand::ClosePostings { .. } | PointCommand::Tick => Vec::new(),
        };
        let is_tick = matches!(command, PointCommand::Tick);
        if !events.is_empty() || is_tick {
            let bought: Vec<Bought> = events.iter().filter_map(bought_by).collect();
            let is_due = own.standing.as_ref().and_then(|standing| standing.until).is_some_and(|until| now >= until);
            if let Some(programme) = programme.filter(|_| is_due || !bought.is_empty()) {
                let standing = own.next_standing(programme, &bought, now);
                events.extend(standing.map(|standing| PointEvent::TierChanged { standing }));
            }
            // First what is not theirs any more: a debt is none of what comes in now.
            events.splice(0..0, own.decide_expire(now));
        }
        // With a record that is written anyway, or when its time has come: whoever only looks makes no record.
        let closes = if is_tick { own.close_at().is_some_and(|at| at <= now) } else { !events.is_empty() };
        if closes {
            events.extend(own.decide_close());
        }
        Ok(events.into_iter().map(CustomerEvent::Points).collect())
    }

    pub(super) fn respond_points(&self, command: &PointCommand, outcome: Result<(), &Reject>) -> Option<Message> {
        let with = Party::Points(self.id);
        let (order, answer) = match (command, outcome) {
            (PointCommand::HoldPoints { order, .. }, Ok(())) => {
                self.points.holds.open(*order)?;
                (order, OrderCommand::LegHeld { with })
            }
            (PointCommand::HoldPoints { order, .. }, Err(reject)) => {
                (order, OrderCommand::LegRefused { with, reason: reject.clone() })
            }
            (PointCommand::SpendPoints { order }, Ok(())) => (order, OrderCommand::LegCommitted { with }),
            (PointCommand::ReleasePoints { order, .. }, Ok(())) => (order, OrderCommand::LegReleased { with }),
            (PointCommand::PostPoints { order, postings, .. }, Ok(())) => {
                let credits = postings.iter().map(|posting| posting.id).collect();
                (order, OrderCommand::LegReturned { with, credits, whole: false })
            }
            (PointCommand::SpendPoints { order } | PointCommand::ReleasePoints { order, .. }, Err(reject)) => {
                (order, OrderCommand::LegFailed { with, reason: reject.clone() })
            }
            _ => return None,
        };
        Some(Message::Order { id: *order, command: answer })
    }

    pub(super) fn reply_points(&self, command: &PointCommand) -> CustomerReply {
        match command {
            PointCommand::SeePoints { .. } | PointCommand::GivePoints { .. } => {
                let own = &self.points;
                CustomerReply::Points {
                    points: Box::new(PointsView {
                        customer: self.id,
                        lots: own.lots().collect(),
                        held: own.held(),
                        debt: own.debt(),
                        standing: own.standing.clone(),
                        bought: own.bought.iter().map(|(day, minor)| Bought { day: *day, minor: *minor }).collect(),
                        items: own.items().collect(),
                    }),
                }
            }
            _ => CustomerReply::Done,
        }
    }

    pub(super) fn asks_of_points(&self, now: Timestamp) -> Vec<EffectKey> {
        let own = &self.points;
        let holds = own.holds.overdue(now).into_iter().map(|order| EffectKey::new(Step::AskHold, order));
        holds.chain(asks_about(own.posted.overdue(now))).collect()
    }

    pub(super) fn next_ask_of_points(&self) -> Option<Timestamp> {
        self.points.holds.next_ask().into_iter().chain(self.points.posted.next_ask()).min()
    }

    pub(super) fn take_asks_of_points(&mut self, now: Timestamp) -> Vec<EffectKey> {
        let own = &mut self.points;
        let holds = own.holds.take_asks(now).into_iter().map(|order| EffectKey::new(Step::AskHold, order));
        holds.chain(asks_about(own.posted.take_asks(now))).collect()
    }

    /// What an order is asked about a hold, or about its postings.
    pub(super) fn ask_of_points(&self, key: EffectKey) -> Option<Effect> {
        let order = OrderId::from_uuid(Uuid::from_u128(key.target));
        let with = Party::Points(self.id);
        let command = match key.step {
            Step::AskHold => {
                let (until, committed) = (self.points.holds.until(order)?, self.points.holds.is_committed(order));
                OrderCommand::LegDue { with, until, committed }
            }
            Step::AskCredit => {
                let credits = self.points.posted.credits_of(order);
                if credits.is_empty() {
                    return None;
                }
                OrderCommand::ReturnDue { with, credits }
            }
            _ => return None,
        };
        Some(Effect::Tell(Message::Order { id: order, command }))
    }

    /// When time alone changes something.
    pub(super) fn timer_of_points(&self) -> Option<Timestamp> {
        let own = &self.points;
        let until = own.standing.as_ref().and_then(|standing| standing.until);
        let times = [self.next_ask_of_points(), own.close_at(), own.expires_at(), until];
        times.into_iter().flatten().min()
    }
}

fn bought_by(event: &PointEvent) -> Option<Bought> {
    match event {
        PointEvent::PointsEarned { bought, .. } | PointEvent::PointsTakenBack { bought, .. } => *bought,
        _ => None,
    }
}

/// How many points may be given at a time.
pub const fn may_be_given(points: i64) -> bool {
    points != 0 && points.saturating_abs() <= limits::POINTS
}
