//! Payments as a provider knows them: what it is asked, what it answers, and what an order is told of it. Pure: a node, and a test's small
//! world, only carry the questions to the provider and the answers back.
//!
//! | what the order wants | asked first | then |
//! | --- | --- | --- |
//! | [`Aim::Prepare`] | `prepare` | |
//! | [`Aim::Charge`] | `charge`; `look_up` where that was begun, or the token is gone | `cancel` of what was declined, or never started without its token |
//! | [`Aim::LookUp`] | `look_up` | `cancel` of what was declined |
//! | [`Aim::Undo`] | `look_up` | `cancel` of what was not captured; `look_up_refund`, then `refund`, of what was |
//!
//! A decline is told only once the provider has cancelled the payment: whoever pays in a browser may try another card after the first
//! was declined. Should the cancel come too late, the order is charged, and hears that.

use super::buyer::Mint;
use super::ids::{OrderId, RefundId};
use super::money::Money;
use super::order::OrderCommand;
use std::fmt;

/// What a buyer has to do. It holds what opens the payment, so it is in no record and in no log.
#[derive(Clone, PartialEq, Eq)]
pub enum NextAction {
    /// To go on in the provider's own script.
    StripeSdk {
        /// By which the script finds the payment.
        client_secret: Box<str>,
    },
    /// To go there.
    Redirect {
        /// Where.
        url: Box<str>,
    },
}

impl NextAction {
    /// Its name in answers.
    pub const fn name(&self) -> &'static str {
        match self {
            NextAction::StripeSdk { .. } => "stripe_sdk",
            NextAction::Redirect { .. } => "redirect",
        }
    }
}

impl fmt::Debug for NextAction {
    /// Without what opens the payment.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How a payment stands at its provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// The money was taken and is still there. Amounts are what the provider's own books say, whatever the call asked for.
    Succeeded {
        /// Its name in the provider's books, where it has one.
        reference: Option<String>,
        /// How much was taken.
        amount: Money,
        /// What the provider keeps of it, where it says so.
        fee: Option<Money>,
    },
    /// The means of payment was refused. Until it is cancelled another may be tried.
    Declined {
        /// Why, in the provider's words.
        reason: String,
    },
    /// The buyer has to do something.
    NeedsBuyer {
        /// What.
        action: NextAction,
    },
    /// The provider is at it.
    Processing,
    /// Nothing will be taken any more. What had been taken was given back, which [`RefundCall`] asks about.
    Cancelled,
    /// The provider knows nothing of it.
    NotStarted,
}

impl Progress {
    /// By this it is counted.
    pub const fn name(&self) -> &'static str {
        match self {
            Progress::Succeeded { .. } => "succeeded",
            Progress::Declined { .. } => "declined",
            Progress::NeedsBuyer { .. } => "needs_buyer",
            Progress::Processing => "processing",
            Progress::Cancelled => "cancelled",
            Progress::NotStarted => "not_started",
        }
    }
}

/// How a refund stands at its provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RefundProgress {
    /// The money was given back.
    Succeeded {
        /// How much, as the provider says.
        amount: Money,
    },
    /// The provider is at it.
    Pending,
    /// It failed for good: under another attempt it may succeed.
    Failed {
        /// Why, in the provider's words.
        reason: String,
    },
}

impl RefundProgress {
    /// By this it is counted.
    pub const fn name(&self) -> &'static str {
        match self {
            RefundProgress::Succeeded { .. } => "succeeded",
            RefundProgress::Pending => "pending",
            RefundProgress::Failed { .. } => "failed",
        }
    }
}

/// A refund of what was taken for an order. Order, mint and attempt together are the idempotency key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefundCall {
    /// The order.
    pub order: OrderId,
    /// Drawn for the order; none in an order of an early version.
    pub mint: Option<Mint>,
    /// What the provider calls the payment, where that was recorded.
    pub reference: Option<Box<str>>,
    /// Which try, from 1: one that failed for good is followed by another only when someone says so.
    pub attempt: u32,
    /// How much to give back.
    pub amount: Money,
    /// Which refund of a paid order; none where all that was taken is given back since the order ends unpaid.
    pub of: Option<RefundOf>,
}

/// A refund of a paid order: with the attempt it is the provider's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RefundOf {
    /// Which.
    pub refund: RefundId,
    /// Drawn for it: a store that was taken back from a backup never asks under the same key for another refund.
    pub mint: Mint,
}

/// Whether there is what looks like the number of a card in a text: 13 to 19 digits, with at most one space or dash between two of them,
/// the last of which is the check digit of the others (ISO/IEC 7812-1, by Luhn).
pub fn holds_card_number(text: &str) -> bool {
    let is_card = |digits: &[u8]| {
        let doubled = |digit: u8| if digit > 4 { digit * 2 - 9 } else { digit * 2 };
        let sum = |(place, digit): (usize, &u8)| u32::from(if place % 2 == 1 { doubled(*digit) } else { *digit });
        (13..=19).contains(&digits.len())
            && digits.iter().any(|digit| *digit > 0)
            && digits.iter().rev().enumerate().map(sum).sum::<u32>() % 10 == 0
    };
    let (mut digits, mut parted) = (Vec::new(), false);
    for character in text.chars().chain(['.']) {
        match character {
            '0'..='9' => {
                digits.push(character as u8 - b'0');
                parted = false;
            }
            ' ' | '-' if !parted && !digits.is_empty() => parted = true,
            _ if is_card(&digits) => return true,
            _ => {
                digits.clear();
                parted = false;
            }
        }
    }
    false
}

/// What an order wants of its provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Aim {
    /// That the payment is made ready, of a provider that has it recorded before anything is charged.
    Prepare,
    /// The money.
    Charge {
        /// Whether the buyer's means of payment is at hand.
        token: bool,
    },
    /// To know whether the money was taken, now that its time is over.
    LookUp,
    /// That nothing is taken, and that what was is given back.
    Undo,
}

/// What a provider is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verb {
    /// Make the payment ready.
    Prepare,
    /// Take the money.
    Charge,
    /// Tell how it stands.
    LookUp,
    /// See to it that nothing is taken.
    Cancel {
        /// Why the payment was declined, if it was.
        declined: Option<String>,
    },
    /// Tell how the refund stands.
    LookUpRefund {
        /// What was taken; `None` where nothing is there any more.
        captured: Option<Money>,
    },
    /// Give it back.
    Refund {
        /// What was taken.
        captured: Money,
    },
}

impl Verb {
    /// By this it is counted.
    pub const fn name(&self) -> &'static str {
        match self {
            Verb::Prepare => "prepare",
            Verb::Charge => "charge",
            Verb::LookUp => "look_up",
            Verb::Cancel { .. } => "cancel",
            Verb::LookUpRefund { .. } => "look_up_refund",
            Verb::Refund { .. } => "refund",
        }
    }
}

/// How it goes on after an answer.
#[derive(Clone, Debug, PartialEq)]
pub enum Next {
    /// The provider is asked more.
    Ask(Verb),
    /// The order is told.
    Tell(OrderCommand),
    /// It is under way: to be looked up again later.
    Later,
    /// So, and the order is told that it waits for its buyer.
    Buyer(NextAction),
}

impl Next {
    fn declined(reason: &str) -> Self {
        Next::Ask(Verb::Cancel { declined: Some(reason.to_owned()) })
    }
}

/// The reason of a decline for want of the buyer's means of payment.
pub const TOKEN_GONE: &str = "token_gone";

impl Aim {
    /// What is asked first. `begun` tells that the provider has said before that it is at it.
    pub const fn begins(self, begun: bool) -> Verb {
        match self {
            Aim::Prepare => Verb::Prepare,
            Aim::Charge { token: true } if !begun => Verb::Charge,
            Aim::Charge { .. } | Aim::LookUp | Aim::Undo => Verb::LookUp,
        }
    }

    /// What follows from how the payment stands, which was asked for with `verb`.
    pub fn after(self, verb: &Verb, progress: Progress) -> Next {
        match self {
            // What is prepared has no progress.
            Aim::Prepare => Next::Later,
            Aim::Charge { token } => Self::after_charge(token, verb, progress),
            Aim::LookUp => Self::after_look_up(verb, progress),
            Aim::Undo => Self::after_undo(verb, progress),
        }
    }

    fn after_charge(token: bool, verb: &Verb, progress: Progress) -> Next {
        match (progress, verb) {
            (Progress::Succeeded { amount, .. }, _) => Next::Tell(OrderCommand::Charged { amount: Some(amount) }),
            (Progress::Cancelled, Verb::Cancel { declined: Some(reason) }) => {
                Next::Tell(OrderCommand::Declined { reason: reason.clone() })
            }
            // Only an undo of ours makes this: its own answer tells the order.
            (Progress::Cancelled, _) => Next::Tell(OrderCommand::Tick),
            (Progress::NotStarted, Verb::LookUp) if token => Next::Ask(Verb::Charge),
            (Progress::NotStarted, Verb::LookUp) => Next::declined(TOKEN_GONE),
            (Progress::Declined { reason }, Verb::Charge | Verb::LookUp) => Next::declined(&reason),
            // What was not cancelled may still be paid.
            (Progress::Declined { .. } | Progress::NotStarted, _) => Next::Later,
            (Progress::NeedsBuyer { action }, Verb::Charge | Verb::LookUp) => Next::Buyer(action),
            (Progress::NeedsBuyer { .. } | Progress::Processing, _) => Next::Later,
        }
    }

    fn after_look_up(verb: &Verb, progress: Progress) -> Next {
        match (progress, verb) {
            (Progress::Succeeded { amount, .. }, _) => Next::Tell(OrderCommand::Charged { amount: Some(amount) }),
            (Progress::Cancelled, Verb::Cancel { declined: Some(reason) }) => {
                Next::Tell(OrderCommand::Declined { reason: reason.clone() })
            }
            (Progress::Declined { reason }, Verb::LookUp) => Next::declined(&reason),
            // The void sees to it.
            (Progress::Declined { .. } | Progress::NotStarted | Progress::Cancelled, _)
            | (Progress::NeedsBuyer { .. } | Progress::Processing, _) => Next::Tell(OrderCommand::NotCaptured),
        }
    }

    fn after_undo(verb: &Verb, progress: Progress) -> Next {
        match (progress, verb) {
            (Progress::Succeeded { amount, .. }, _) => Next::Ask(Verb::LookUpRefund { captured: Some(amount) }),
            (Progress::Cancelled, Verb::Cancel { .. }) => Next::Tell(OrderCommand::Voided),
            // By an earlier call, which may have found it captured.
            (Progress::Cancelled, _) => Next::Ask(Verb::LookUpRefund { captured: None }),
            (_, Verb::Cancel { .. }) => Next::Later,
            (Progress::Declined { .. } | Progress::NotStarted, _)
            | (Progress::NeedsBuyer { .. } | Progress::Processing, _) => Next::Ask(Verb::Cancel { declined: None }),
        }
    }
}

/// What follows from what is known of a refund, if anything is. Whoever has died cannot know whether it asked: so it is looked up each time.
pub fn after_refund_look_up(captured: Option<Money>, found: Option<RefundProgress>) -> Next {
    match (found, captured) {
        (Some(progress), captured) => after_refund(captured, progress),
        (None, Some(captured)) => Next::Ask(Verb::Refund { captured }),
        (None, None) => Next::Tell(OrderCommand::Voided),
    }
}

/// What follows from how a refund stands.
pub fn after_refund(captured: Option<Money>, progress: RefundProgress) -> Next {
    match progress {
        RefundProgress::Succeeded { amount } => Next::Tell(OrderCommand::Refunded { amount: Some(amount) }),
        RefundProgress::Pending => Next::Later,
        RefundProgress::Failed { reason } => Next::Tell(OrderCommand::VoidRefused { reason, taken: captured }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::money::Currency;

    const AMOUNT: Money = Money::new(5, Currency::BDT);

    fn standings() -> [(&'static str, Progress); 6] {
        [
            ("succeeded", Progress::Succeeded { reference: None, amount: AMOUNT, fee: None }),
            ("declined", Progress::Declined { reason: "no".into() }),
            ("needs_buyer", Progress::NeedsBuyer { action: NextAction::Redirect { url: "https://bank".into() } }),
            ("processing", Progress::Processing),
            ("cancelled", Progress::Cancelled),
            ("not_started", Progress::NotStarted),
        ]
    }

    fn name(next: &Next) -> String {
        match next {
            Next::Ask(verb) => match verb {
                Verb::Cancel { declined: Some(reason) } => format!("cancel:{reason}"),
                Verb::LookUpRefund { captured } => format!("look_up_refund:{}", captured.is_some()),
                verb => verb.name().to_owned(),
            },
            Next::Tell(command) => match command {
                OrderCommand::Charged { amount: Some(AMOUNT) } => "CHARGED".into(),
                OrderCommand::Declined { reason } => format!("DECLINED:{reason}"),
                OrderCommand::NotCaptured => "NOT_CAPTURED".into(),
                OrderCommand::Voided => "VOIDED".into(),
                OrderCommand::Refunded { amount: Some(AMOUNT) } => "REFUNDED".into(),
                OrderCommand::VoidRefused { reason, taken } => format!("REFUSED:{reason}:{}", taken.is_some()),
                OrderCommand::Tick => "TICK".into(),
                other => panic!("{other:?}"),
            },
            Next::Later => "later".into(),
            Next::Buyer(action) => action.name().into(),
        }
    }

    /// Every answer to every question of every aim: asked in small letters, told in large ones.
    #[test]
    fn every_answer_to_every_question_has_its_consequence() {
        let why = || Verb::Cancel { declined: Some("why".into()) };
        let plain = || Verb::Cancel { declined: None };
        let (with, without) = (Aim::Charge { token: true }, Aim::Charge { token: false });
        let table = [
            //                   succeeded declined needs_buyer processing cancelled not_started
            (with, Verb::Charge, "CHARGED cancel:no redirect later TICK later"),
            (with, Verb::LookUp, "CHARGED cancel:no redirect later TICK charge"),
            (with, why(), "CHARGED later later later DECLINED:why later"),
            (without, Verb::LookUp, "CHARGED cancel:no redirect later TICK cancel:token_gone"),
            (without, why(), "CHARGED later later later DECLINED:why later"),
            (Aim::LookUp, Verb::LookUp, "CHARGED cancel:no NOT_CAPTURED NOT_CAPTURED NOT_CAPTURED NOT_CAPTURED"),
            (Aim::LookUp, why(), "CHARGED NOT_CAPTURED NOT_CAPTURED NOT_CAPTURED DECLINED:why NOT_CAPTURED"),
            (Aim::Undo, Verb::LookUp, "look_up_refund:true cancel cancel cancel look_up_refund:false cancel"),
            (Aim::Undo, plain(), "look_up_refund:true later later later VOIDED later"),
        ];
        for (aim, verb, row) in table {
            let found: Vec<String> =
                standings().into_iter().map(|(_, progress)| name(&aim.after(&verb, progress))).collect();
            assert_eq!(found.join(" "), row, "{aim:?} after {verb:?}");
        }
    }

    #[test]
    fn the_number_of_a_card_is_told_from_others() {
        let cards =
            ["4242424242424242", "pm_4000 0025 0000 3155", "x4222222222222.", "6011-0009-9013-9424", "378282246310005"];
        for card in cards {
            assert!(holds_card_number(card), "{card}");
        }
        let others = [
            "",
            "pm_card_visa",
            "4242424242424241",
            "4242 4242  4242 4242",
            "0000000000000000",
            "+8801712345678",
            "42424242424242424242",
        ];
        for other in others {
            assert!(!holds_card_number(other), "{other}");
        }
    }

    #[test]
    fn a_refund_is_asked_for_only_where_none_was() {
        let refunds = [
            None,
            Some(RefundProgress::Succeeded { amount: AMOUNT }),
            Some(RefundProgress::Pending),
            Some(RefundProgress::Failed { reason: "no".into() }),
        ];
        for (captured, row) in
            [(Some(AMOUNT), "refund REFUNDED later REFUSED:no:true"), (None, "VOIDED REFUNDED later REFUSED:no:false")]
        {
            let found: Vec<String> =
                refunds.iter().map(|found| name(&after_refund_look_up(captured, found.clone()))).collect();
            assert_eq!(found.join(" "), row);
        }
    }

    #[test]
    fn a_charge_that_was_begun_is_looked_up_and_nothing_else_charges() {
        for (aim, begun, first) in [
            (Aim::Prepare, false, Verb::Prepare),
            (Aim::Charge { token: true }, false, Verb::Charge),
            (Aim::Charge { token: true }, true, Verb::LookUp),
            (Aim::Charge { token: false }, false, Verb::LookUp),
            (Aim::LookUp, false, Verb::LookUp),
            (Aim::Undo, false, Verb::LookUp),
        ] {
            assert_eq!(aim.begins(begun), first, "{aim:?}");
        }
        for (name, progress) in standings() {
            assert_eq!(progress.name(), name);
        }
    }
}
