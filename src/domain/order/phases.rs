//! What an order makes of what it is told, one function for each phase.
//!
//! Each function names what the phase waits for, then what may come late or twice and changes nothing. Everything else is a refusal: nobody
//! sends it to an order that stands there. The table of all commands in all phases is in `tests/saga/phases.rs`.

use super::legs::{LegState, Party};
use super::state::{Body, Phase};
use super::{OrderCommand, OrderEvent, OrderStatus};
use crate::domain::buyer::MailKey;
use crate::domain::entity::{Owner, Principal};
use crate::domain::ids::CustomerId;
use crate::domain::knowledge::Knowledge;
use crate::domain::reject::Reject;
use crate::domain::time::Timestamp;
use crate::domain::who::{Action, By, may};

/// The events to record, or the refusal.
type Decision = Result<Vec<OrderEvent>, Reject>;

/// It was taken care of, or will be: nothing changes.
const LATE: Decision = Ok(Vec::new());

impl Body {
    /// What an order that exists makes of `command`.
    pub(super) fn decide(&self, command: &OrderCommand, knowledge: &Knowledge<'_>, now: Timestamp) -> Decision {
        match command {
            // Whoever asks these is answered in every phase.
            OrderCommand::Place { .. } => LATE,
            OrderCommand::HoldDue { vendor, committed, .. } => Ok(self.decide_due(Party::Stock(*vendor), *committed)),
            OrderCommand::LegDue { with, committed, .. } => Ok(self.decide_due(*with, *committed)),
            OrderCommand::Cancel { by } => self.decide_cancel(*by),
            OrderCommand::CancelAll { by, seed } => match self.phase {
                Phase::Settled | Phase::Confirming => self.decide_cancel_paid(*by, seed),
                _ => self.decide_cancel(*by),
            },
            OrderCommand::Credit { by, vendor, wanted, seed } => self.decide_credit(*by, *vendor, wanted, seed),
            OrderCommand::Pack { by, vendor, lines } => self.decide_pack(*by, *vendor, lines),
            OrderCommand::Unpack { by, vendor, lines } => self.decide_unpack(*by, *vendor, lines),
            OrderCommand::HoldShare { by, vendor, reason } => self.decide_hold_share(*by, *vendor, *reason),
            OrderCommand::ResumeShare { by, vendor } => self.decide_resume_share(*by, *vendor),
            OrderCommand::Ship { by, parcel } => self.decide_ship(*by, parcel),
            OrderCommand::MoveParcel { by, shipment, step, seed } => self.decide_parcel(*by, *shipment, step, seed),
            OrderCommand::RemitCash { by, shipment, told, mint } => match may(*by, Action::EditRemittances, self) {
                true => self.decide_remit(*shipment, told, *mint, By::of(*by)),
                false => Err(Reject::OrderUnknown),
            },
            OrderCommand::AcceptanceDue { within_ms, cancel } => {
                self.decide_acceptance(*within_ms, cancel.as_ref(), now)
            }
            OrderCommand::OpenWishes => LATE,
            OrderCommand::CourierSays { shipment, mint, says } => match self.named_parcel(*shipment, *mint) {
                Some(parcel) => self.decide_courier_says(parcel, says),
                None => LATE,
            },
            OrderCommand::CourierTold { shipment, mint, status, accepted, collected } => {
                match self.named_parcel(*shipment, *mint) {
                    Some(parcel) => self.decide_courier_told(parcel, *status, accepted, *collected),
                    None => LATE,
                }
            }
            OrderCommand::AskReturn { by, wanted } => self.decide_ask_return(*by, wanted, now),
            OrderCommand::MoveReturn { by, id, step, seed } => self.decide_return(*by, *id, step, seed),
            OrderCommand::RetryRefund { by, refund, attempt } => self.decide_retry(*by, *refund, *attempt),
            OrderCommand::MarkRefundPaid { by, refund, reference } => self.decide_by_hand(*by, *refund, reference),
            OrderCommand::RefundTold { refund, attempt, told } => self.decide_refund_told(*refund, *attempt, told),
            OrderCommand::Restocked { vendor, credits } => self.decide_restocked(*vendor, credits),
            OrderCommand::LegReturned { with, credits, whole } => Ok(self.decide_leg_returned(*with, credits, *whole)),
            OrderCommand::OpenRefunds => Ok(self.decide_open_refunds()),
            // What there is to say is answered.
            OrderCommand::RestockDue { .. } | OrderCommand::ReturnDue { .. } | OrderCommand::PaymentKnown => LATE,
            OrderCommand::PreviewCredit { by, .. } => {
                if self.may_see(*by) {
                    LATE
                } else {
                    Err(Reject::OrderUnknown)
                }
            }
            OrderCommand::Attach { customer, mail_key } => self.decide_attach(*customer, *mail_key),
            OrderCommand::Resolve { by, resolution } => match may(*by, Action::ResolveOrder, self) {
                true => self.decide_resolve(resolution, now),
                false => Err(Reject::OrderUnknown),
            },
            OrderCommand::Get { by } | OrderCommand::GetTimeline { by } | OrderCommand::Await { by, .. } => {
                if self.may_see(*by) { LATE } else { Err(Reject::OrderUnknown) }
            }
            // The rest are answers to what it asked, and time.
            answer => match self.phase {
                Phase::Gathering => self.gathering(answer, knowledge, now),
                Phase::Paying => self.paying(answer, now),
                Phase::Voiding(_) => self.voiding(answer),
                Phase::Confirming => self.confirming(answer),
                Phase::Settled => self.settled(answer),
                Phase::Cancelling(_) => self.cancelling(answer),
                Phase::Reopening(end) => self.reopening(answer, end),
                Phase::Ended => self.ended(answer),
                Phase::Stuck => Self::stuck(answer),
            },
        }
    }

    /// The parties were asked to hold.
    fn gathering(&self, command: &OrderCommand, knowledge: &Knowledge<'_>, now: Timestamp) -> Decision {
        match command {
            OrderCommand::StockHeld { vendor, lines, slot } if self.is_asked(Party::Stock(*vendor)) => {
                Ok(self.decide_held(*vendor, lines, slot.as_deref(), knowledge, now))
            }
            OrderCommand::StockRefused { vendor, reason } if self.is_asked(Party::Stock(*vendor)) => {
                Ok(vec![OrderEvent::StockRefused { vendor: *vendor, reason: reason.clone() }])
            }
            OrderCommand::LegHeld { with } if self.is_asked(*with) => Ok(self.decide_leg_held(*with)),
            OrderCommand::LegRefused { with, reason } if self.is_asked(*with) => {
                Ok(vec![OrderEvent::LegRefused { with: *with, reason: reason.clone() }])
            }
            OrderCommand::Tick => Ok(self.decide_deadline(now)),
            // A party that was asked twice answers twice.
            OrderCommand::StockHeld { .. } | OrderCommand::StockRefused { .. } => LATE,
            OrderCommand::LegHeld { .. } | OrderCommand::LegRefused { .. } => LATE,
            _ => Err(Reject::OutOfTurn),
        }
    }

    /// The payment was asked for.
    fn paying(&self, command: &OrderCommand, now: Timestamp) -> Decision {
        match command {
            OrderCommand::Charged { amount } => Ok(self.decide_moved(*amount, false)),
            OrderCommand::Declined { reason } => Ok(vec![OrderEvent::PaymentFailed { reason: reason.clone() }]),
            OrderCommand::NotCaptured => Ok(self.decide_deadline(now)),
            OrderCommand::PaymentPrepared { reference } => Ok(self.decide_prepared(reference)),
            OrderCommand::BuyerNeeded => Ok(self.decide_needs_buyer()),
            // At the deadline it asks whether it was charged, and decides by the answer.
            OrderCommand::Tick => LATE,
            OrderCommand::StockHeld { .. } | OrderCommand::StockRefused { .. } => LATE,
            OrderCommand::LegHeld { .. } | OrderCommand::LegRefused { .. } => LATE,
            // The provider will never take it: the deadline ends the order.
            OrderCommand::Voided => LATE,
            _ => Err(Reject::OutOfTurn),
        }
    }

    /// The payment is being undone.
    fn voiding(&self, command: &OrderCommand) -> Decision {
        match command {
            OrderCommand::Voided => Ok(vec![OrderEvent::PaymentVoided]),
            OrderCommand::Refunded { amount } => Ok(self.decide_moved(*amount, true)),
            OrderCommand::VoidRefused { reason, taken } => {
                Ok(vec![OrderEvent::VoidRefused { reason: reason.clone(), taken: *taken }])
            }
            // The charge's answer crossed the void: the void's own answer says what became of the money.
            OrderCommand::Charged { .. } | OrderCommand::Declined { .. } => LATE,
            OrderCommand::NotCaptured => LATE,
            // What is not recorded is never charged.
            OrderCommand::PaymentPrepared { .. } | OrderCommand::BuyerNeeded => LATE,
            OrderCommand::StockHeld { .. } | OrderCommand::StockRefused { .. } | OrderCommand::Tick => LATE,
            OrderCommand::LegHeld { .. } | OrderCommand::LegRefused { .. } => LATE,
            _ => Err(Reject::OutOfTurn),
        }
    }

    /// It is paid: what is held is being confirmed.
    fn confirming(&self, command: &OrderCommand) -> Decision {
        match command {
            // Who has acknowledged is noted before this is decided: the last one settles the order.
            OrderCommand::StockCommitted { .. } | OrderCommand::LegCommitted { .. } if self.all_acknowledged() => {
                Ok(vec![OrderEvent::Settled])
            }
            OrderCommand::StockCommitted { .. } | OrderCommand::LegCommitted { .. } => LATE,
            OrderCommand::LegFailed { with, reason } => Ok(vec![Self::leg_failed(*with, reason)]),
            OrderCommand::StepFailed { vendor, reason } => {
                Ok(vec![OrderEvent::Quarantined { vendor: *vendor, reason: reason.clone() }])
            }
            // A hold that was the echo of an old request was let go.
            OrderCommand::StockReleased { .. } | OrderCommand::LegReleased { .. } => LATE,
            other => Self::past_payment(other),
        }
    }

    /// It is paid, and nothing more is to come.
    fn settled(&self, command: &OrderCommand) -> Decision {
        match command {
            OrderCommand::StockCommitted { vendor } if self.is_given_up(Party::Stock(*vendor)) => {
                Ok(vec![OrderEvent::StockCommitted { vendor: *vendor }])
            }
            OrderCommand::LegCommitted { with } if self.is_given_up(*with) => {
                Ok(vec![OrderEvent::LegCommitted { with: *with }])
            }
            OrderCommand::StockCommitted { .. }
            | OrderCommand::StockReleased { .. }
            | OrderCommand::StepFailed { .. } => LATE,
            OrderCommand::LegReleased { with } if self.cash_to_close() == Some(*with) => {
                Ok(vec![OrderEvent::LegReleased { with: *with }])
            }
            OrderCommand::LegCommitted { .. } | OrderCommand::LegReleased { .. } | OrderCommand::LegFailed { .. } => {
                LATE
            }
            other => Self::past_payment(other),
        }
    }

    /// What is held is being given back.
    fn cancelling(&self, command: &OrderCommand) -> Decision {
        match command {
            OrderCommand::StockReleased { vendor } if self.is_being_cancelled(Party::Stock(*vendor)) => {
                Ok(vec![OrderEvent::StockReleased { vendor: *vendor }])
            }
            OrderCommand::StepFailed { vendor, reason } => {
                Ok(vec![OrderEvent::Quarantined { vendor: *vendor, reason: reason.clone() }])
            }
            OrderCommand::LegReleased { with } if self.is_being_cancelled(*with) => {
                Ok(vec![OrderEvent::LegReleased { with: *with }])
            }
            OrderCommand::LegFailed { with, reason } => Ok(vec![Self::leg_failed(*with, reason)]),
            OrderCommand::StockReleased { .. } | OrderCommand::LegReleased { .. } => LATE,
            other => Self::past_payment(other),
        }
    }

    fn leg_failed(with: Party, reason: &Reject) -> OrderEvent {
        OrderEvent::LegQuarantined { with, reason: reason.clone() }
    }

    /// The cart is being opened.
    fn reopening(&self, command: &OrderCommand, end: OrderStatus) -> Decision {
        match command {
            OrderCommand::CartReopened => Ok(vec![OrderEvent::CartReopened, OrderEvent::Ended { status: end }]),
            other => self.let_go(other),
        }
    }

    /// It has ended unpaid.
    fn ended(&self, command: &OrderCommand) -> Decision {
        match command {
            // The cart was asked twice.
            OrderCommand::CartReopened => LATE,
            other => self.let_go(other),
        }
    }

    /// Nothing is held any more, but by those whose answers were given up.
    fn let_go(&self, command: &OrderCommand) -> Decision {
        match command {
            OrderCommand::StockReleased { vendor } if self.is_given_up(Party::Stock(*vendor)) => {
                Ok(vec![OrderEvent::StockReleased { vendor: *vendor }])
            }
            OrderCommand::LegReleased { with } if self.is_given_up(*with) => {
                Ok(vec![OrderEvent::LegReleased { with: *with }])
            }
            OrderCommand::StockReleased { .. } | OrderCommand::StepFailed { .. } => LATE,
            OrderCommand::LegReleased { .. } | OrderCommand::LegFailed { .. } => LATE,
            other => Self::past_payment(other),
        }
    }

    /// What an order may hear late once it is paid, or ends unpaid. A provider may have been called twice, and someone may have said
    /// what became of a payment that was still being undone.
    fn past_payment(command: &OrderCommand) -> Decision {
        match command {
            OrderCommand::StockHeld { .. } | OrderCommand::StockRefused { .. } | OrderCommand::Tick => LATE,
            OrderCommand::LegHeld { .. } | OrderCommand::LegRefused { .. } => LATE,
            OrderCommand::Charged { .. }
            | OrderCommand::Declined { .. }
            | OrderCommand::NotCaptured
            | OrderCommand::PaymentPrepared { .. }
            | OrderCommand::BuyerNeeded
            | OrderCommand::Voided
            | OrderCommand::Refunded { .. }
            | OrderCommand::VoidRefused { .. } => LATE,
            _ => Err(Reject::OutOfTurn),
        }
    }

    /// Someone has to look at it. What is not heard now is asked again once it goes on.
    fn stuck(command: &OrderCommand) -> Decision {
        match command {
            OrderCommand::StockCommitted { .. }
            | OrderCommand::StockReleased { .. }
            | OrderCommand::StepFailed { .. } => LATE,
            OrderCommand::LegCommitted { .. } | OrderCommand::LegReleased { .. } | OrderCommand::LegFailed { .. } => {
                LATE
            }
            other => Self::past_payment(other),
        }
    }

    /// A party asks about a hold whose time has passed. One that nobody waits for any longer says so that it has committed.
    fn decide_due(&self, party: Party, committed: bool) -> Vec<OrderEvent> {
        let late = committed && self.phase == Phase::Settled && self.is_given_up(party);
        let event = match party {
            Party::Stock(vendor) => OrderEvent::StockCommitted { vendor },
            with @ (Party::Coupon(_) | Party::Cash(_) | Party::Points(_)) => OrderEvent::LegCommitted { with },
        };
        late.then_some(event).into_iter().collect()
    }

    fn decide_deadline(&self, now: Timestamp) -> Vec<OrderEvent> {
        (now >= self.payment_due_at).then_some(OrderEvent::PaymentDeadlinePassed).into_iter().collect()
    }

    fn decide_cancel(&self, by: Principal) -> Decision {
        if !may(by, Action::CancelOrder, self) {
            return Err(Reject::OrderUnknown);
        }
        let too_late = Err(Reject::OrderNotCancellable { status: self.status });
        match self.phase {
            Phase::Gathering | Phase::Paying => Ok(vec![OrderEvent::CancelRequested]),
            Phase::Voiding(end) | Phase::Cancelling(end) | Phase::Reopening(end) => {
                if end == OrderStatus::Cancelled {
                    LATE
                } else {
                    too_late
                }
            }
            Phase::Ended if self.status == OrderStatus::Cancelled => LATE,
            Phase::Confirming | Phase::Settled | Phase::Ended | Phase::Stuck => too_late,
        }
    }

    /// Only a guest's order is given away, and only to whoever reads the mails to the very address that it was placed with: what is like it may be
    /// somebody else's. While its payment runs the guest waits for it, and it is not given away yet.
    fn decide_attach(&self, customer: CustomerId, mail_key: MailKey) -> Decision {
        let is_under_way = matches!(self.phase, Phase::Gathering | Phase::Paying | Phase::Voiding(_));
        match self.owner {
            Owner::Guest if self.mail_key() == Some(mail_key) && is_under_way => Err(Reject::OutOfTurn),
            Owner::Guest if self.mail_key() == Some(mail_key) => Ok(vec![OrderEvent::Attached { customer }]),
            Owner::Customer(owner) if owner == customer => LATE,
            Owner::Guest | Owner::Customer(_) => Err(Reject::OrderUnknown),
        }
    }

    fn is_asked(&self, party: Party) -> bool {
        self.leg(party) == Some(LegState::Asked)
    }

    fn is_given_up(&self, party: Party) -> bool {
        self.leg(party) == Some(LegState::Unanswered)
    }

    /// A party that was asked and has not answered may hold by the time it hears that it is to let go.
    fn is_being_cancelled(&self, party: Party) -> bool {
        matches!(self.leg(party), Some(LegState::Held | LegState::Asked))
    }
}
