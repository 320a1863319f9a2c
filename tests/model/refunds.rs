//! Credits, refunds and disputes of one paid order, in any order of steps, against a bank that keeps its own books. The bank calls nothing of the
//! code that it judges: it knows what it took, what it gave back, and what disputes took.

use crate::random::config;
use crate::world::World;
use crate::world::gateway::APPROVE;
use crate::world::shop::{sku, vendor};
use haat::domain::buyer::Mint;
use haat::domain::entity::Principal;
use haat::domain::entity::concerns::*;
use haat::domain::ids::{CreditId, RefundId};
use haat::domain::knowledge::Knowledge;
use haat::domain::money::{Currency, Money};
use haat::domain::order::{
    CreditReason, CreditSeed, DisputeStatus, DisputeTold, Order, OrderCommand, OrderView, PaymentStatus, Refund,
    RefundStatus, RefundTold, Wanted,
};
use haat::domain::reject::Reject;
use haat::domain::time::Timestamp;
use haat::domain::vendor::WantedLine;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use std::collections::BTreeMap;
use uuid::Uuid;

/// What somebody does. Numbers choose among what there is.
#[derive(Clone, Debug)]
enum Op {
    Cancel {
        vendor: usize,
        units: i64,
    },
    Goodwill {
        vendor: usize,
        minor: i64,
    },
    Send,
    Succeed(usize),
    Fail(usize),
    Retry(usize),
    ByHand(usize),
    Dispute {
        minor: i64,
    },
    Close {
        which: usize,
        lost: bool,
    },
    /// The provider tells of all disputes once more.
    TellAgain,
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        2 => (0..2usize, 0..3i64).prop_map(|(vendor, units)| Op::Cancel { vendor, units }),
        3 => (0..2usize, 0..60_000i64).prop_map(|(vendor, minor)| Op::Goodwill { vendor, minor }),
        3 => Just(Op::Send),
        4 => (0..8usize).prop_map(Op::Succeed),
        3 => (0..8usize).prop_map(Op::Fail),
        2 => (0..8usize).prop_map(Op::Retry),
        1 => (0..8usize).prop_map(Op::ByHand),
        2 => (1..250_000i64).prop_map(|minor| Op::Dispute { minor }),
        3 => (0..4usize, any::<bool>()).prop_map(|(which, lost)| Op::Close { which, lost }),
        1 => Just(Op::TellAgain),
    ]
}

/// The bank's books.
#[derive(Default)]
struct Bank {
    /// What was given back, by refund and attempt; a refund that a bank returned is not in them.
    given: BTreeMap<(RefundId, u32), i64>,
    disputes: Vec<(DisputeStatus, i64)>,
}

impl Bank {
    fn lost(&self) -> i64 {
        self.disputes.iter().filter(|(status, _)| *status == DisputeStatus::Lost).map(|(_, minor)| minor).sum()
    }

    fn is_open(&self) -> bool {
        self.disputes.iter().any(|(status, _)| *status == DisputeStatus::Open)
    }
}

struct Story {
    order: Order,
    bank: Bank,
    now: Timestamp,
    number: u128,
}

fn bdt(minor: i64) -> Money {
    Money::new(minor, Currency::BDT)
}

fn told(number: usize, (status, minor): (DisputeStatus, i64)) -> OrderCommand {
    let id = format!("dp_{number}");
    let told = DisputeTold { id, status, amount: bdt(minor), reason: "general".into() };
    OrderCommand::DisputeTold { told, mint: Mint([9; 4]) }
}

impl Story {
    fn new() -> Self {
        let mut world = World::shop(2);
        world.set_line(0, (0, 0), 2).unwrap();
        world.set_line(0, (0, 1), 1).unwrap();
        world.set_line(0, (1, 0), 3).unwrap();
        let (order, _) = world.check_out(0, APPROVE, None).unwrap();
        world.settle();
        let order = world.orders[&order].entity.clone();
        Self { order, bank: Bank::default(), now: world.now, number: 0 }
    }

    fn view(&self) -> OrderView {
        self.order.view(Principal::SHOP).expect("it is the staff's")
    }

    /// Does it; after every single event all holds.
    fn command(&mut self, command: &OrderCommand) -> Result<usize, Reject> {
        let events = self.order.decide(command, &Knowledge::NOTHING, self.now)?;
        for event in &events {
            self.order.apply(event, self.now);
            self.order.check().unwrap_or_else(|breach| panic!("{command:?}: {event:?}: {breach:?}"));
        }
        Ok(events.len())
    }

    fn seed(&mut self) -> CreditSeed {
        self.number += 1;
        let id = CreditId::from_uuid(Uuid::from_u128(self.number));
        CreditSeed { id, mint: Mint([1; 4]), reason: CreditReason::Other }
    }

    fn refund(&self, which: usize, status: RefundStatus) -> Option<Refund> {
        let refunds: Vec<&Refund> = self.order.refunds().iter().filter(|refund| refund.status == status).collect();
        (!refunds.is_empty()).then(|| refunds[which % refunds.len()].clone())
    }

    fn told(&mut self, refund: &Refund, told: RefundTold) {
        let told = OrderCommand::RefundTold { refund: refund.id, attempt: refund.attempt, told };
        self.command(&told).expect("what a provider says is never refused");
    }

    fn step(&mut self, op: &Op) {
        let by = Principal::SHOP;
        match op {
            Op::Cancel { vendor: of, units } => {
                let seed = self.seed();
                let lines = vec![WantedLine { sku: sku(*of, 0), quantity: *units }];
                let wanted = Wanted::Units(if *units == 0 { Vec::new() } else { lines });
                self.credit(&OrderCommand::Credit { by, vendor: vendor(*of), wanted, seed });
            }
            Op::Goodwill { vendor: of, minor } => {
                let seed = self.seed();
                let wanted = Wanted::Amount { minor: *minor, shipping: false };
                self.credit(&OrderCommand::Credit { by, vendor: vendor(*of), wanted, seed });
            }
            Op::Send => {
                let sent = self.command(&OrderCommand::OpenRefunds).expect("it may always be asked");
                assert!(sent == 0 || !self.bank.is_open(), "nothing is asked for while the payment is disputed");
            }
            Op::Succeed(which) => {
                let Some(refund) = self.refund(*which, RefundStatus::Pending) else { return };
                self.bank.given.insert((refund.id, refund.attempt), refund.amount);
                self.told(&refund, RefundTold::Succeeded { amount: bdt(refund.amount), reference: None });
            }
            Op::Fail(which) => {
                // One that is under way, or one that a bank returns weeks later.
                let sent = [RefundStatus::Pending, RefundStatus::Succeeded][which % 2];
                let Some(refund) = self.refund(*which, sent).filter(|refund| !refund.by_hand) else { return };
                self.bank.given.remove(&(refund.id, refund.attempt));
                self.told(&refund, RefundTold::Failed { reason: "lost_card".into() });
            }
            Op::Retry(which) => {
                let Some(refund) = self.refund(*which, RefundStatus::Failed) else { return };
                let again = OrderCommand::RetryRefund { by, refund: refund.id, attempt: refund.attempt };
                self.command(&again).expect("what failed may be tried again");
            }
            Op::ByHand(which) => {
                let Some(refund) = self.refund(*which, RefundStatus::Failed) else { return };
                let paid = OrderCommand::MarkRefundPaid { by, refund: refund.id, reference: "wire".into() };
                match self.command(&paid) {
                    Ok(_) => drop(self.bank.given.insert((refund.id, refund.attempt), refund.amount)),
                    Err(reject) => assert!(self.bank.is_open() && reject == Reject::PaymentDisputed, "{reject:?}"),
                }
            }
            Op::Dispute { minor } => {
                if self.bank.disputes.len() < 4 {
                    self.bank.disputes.push((DisputeStatus::Open, *minor));
                    let number = self.bank.disputes.len() - 1;
                    self.command(&told(number, self.bank.disputes[number])).expect("it is a fact");
                }
            }
            Op::Close { which, lost } => {
                let open: Vec<usize> = (0..self.bank.disputes.len())
                    .filter(|at| self.bank.disputes[*at].0 == DisputeStatus::Open)
                    .collect();
                let Some(at) = open.get(which % open.len().max(1)).copied() else { return };
                self.bank.disputes[at].0 = if *lost { DisputeStatus::Lost } else { DisputeStatus::Won };
                self.command(&told(at, self.bank.disputes[at])).expect("it is a fact");
            }
            Op::TellAgain => {
                for at in 0..self.bank.disputes.len() {
                    let events = self.command(&told(at, self.bank.disputes[at])).expect("it is a fact");
                    assert_eq!(events, 0, "what is told twice changes nothing");
                }
            }
        }
        self.judge();
    }

    /// A credit is refused for a reason that is there, and then nothing changes.
    fn credit(&mut self, command: &OrderCommand) {
        let before = self.view();
        match self.command(command) {
            Ok(_) => assert!(!self.bank.is_open(), "nothing is credited while the payment is disputed"),
            Err(Reject::PaymentDisputed) => assert!(self.bank.is_open()),
            Err(
                Reject::RefundExceedsPayment { .. }
                | Reject::RefundNotPositive
                | Reject::UnitsCredited { .. }
                | Reject::OrderNotCancellable { .. },
            ) => {}
            Err(other) => panic!("{command:?}: {other:?}"),
        }
        if before.amounts.credited == before.amounts.total {
            assert_eq!(self.view().amounts, before.amounts, "all of it was credited before");
        }
    }

    fn beyond(&self) -> i64 {
        self.order.disputes().iter().map(|dispute| dispute.beyond).sum()
    }

    /// What holds after every step.
    fn judge(&self) {
        let view = self.view();
        let given: i64 = self.bank.given.values().sum();
        assert_eq!(
            view.amounts.refunded,
            given + self.bank.lost() - self.beyond(),
            "the books of both agree: {view:?}"
        );
        assert!(view.amounts.credited <= view.amounts.total && view.amounts.refunded <= view.amounts.paid, "{view:?}");
        assert_eq!(view.payment_status == PaymentStatus::Disputed, self.bank.is_open());
    }

    /// All that is open comes to its end: then the buyer has exactly what was credited, and what banks took beyond that.
    fn end(&mut self) {
        for at in 0..8 {
            self.step(&Op::Close { which: at, lost: at % 2 == 0 });
        }
        for at in 0..40 {
            self.step(&Op::Retry(at));
            self.step(&Op::Send);
            self.step(&Op::Succeed(0));
        }
        let view = self.view();
        assert_eq!((view.amounts.refund_due, view.amounts.total_due), (0, 0), "{view:?}");
        let given: i64 = self.bank.given.values().sum();
        assert_eq!(given + self.bank.lost(), view.amounts.credited + self.beyond(), "{view:?}");
        let is_over = |refund: &Refund| matches!(refund.status, RefundStatus::Succeeded | RefundStatus::Cancelled);
        assert!(self.order.refunds().iter().all(is_over), "{:?}", self.order.refunds());
    }
}

#[test]
fn whatever_is_credited_given_back_and_disputed_the_sums_agree() {
    let mut runner = TestRunner::new(config(512));
    runner
        .run(&prop::collection::vec(op(), 1..40), |ops| {
            let mut story = Story::new();
            ops.iter().for_each(|op| story.step(op));
            story.end();
            Ok(())
        })
        .unwrap();
}

/// The examples of a dispute beside a refund, by hand.
#[test]
fn a_lost_dispute_takes_what_a_refund_would_have_given() {
    let total = Story::new().view().amounts.total;
    let waiting = |disputed: i64| {
        let mut story = Story::new();
        let seed = story.seed();
        let wanted = Wanted::Amount { minor: 100, shipping: false };
        story.credit(&OrderCommand::Credit { by: Principal::SHOP, vendor: vendor(0), wanted, seed });
        story.step(&Op::Dispute { minor: disputed });
        story.step(&Op::Send);
        story.step(&Op::Close { which: 0, lost: true });
        let refunds: Vec<_> = story.order.refunds().iter().map(|refund| (refund.status, refund.amount)).collect();
        (refunds, story.view().amounts.credited, story.order.disputes()[0].beyond)
    };
    // All of it is lost: nothing is owed any more, and all is credited.
    assert_eq!(waiting(total), (vec![(RefundStatus::Cancelled, 100)], total, 0));
    // More than all: the rest is the shop's loss.
    assert_eq!(waiting(total + 7), (vec![(RefundStatus::Cancelled, 100)], total, 7));
    // A little is lost: of the refund the rest is owed still, under a name of its own.
    let (refunds, credited, beyond) = waiting(30);
    let first = story_share_of(30);
    assert_eq!((refunds[0], credited, beyond), ((RefundStatus::Cancelled, 100), 100 + 30 - first, 0));
    assert_eq!(refunds[1..], [(RefundStatus::Requested, 100 - first)]);
}

/// What of an amount falls on the first vendor's share, by what of each share's payment is left.
fn story_share_of(minor: i64) -> i64 {
    let view = Story::new().view();
    let shares: Vec<i64> = view.sub_orders.iter().map(|sub| sub.amounts.total).collect();
    haat::domain::money::split(minor, &shares).expect("weights")[0]
}
