//! Money that is given back, and disputes: what an order says of them against what its records say one after the other.
//!
//! An order's records are added up here once more, by plain sums for each share and without the order's own arithmetic: what was credited, what was
//! given back by whomever, what banks took, and what a provider is at.

use super::super::text::counted;
use super::facts::{Facts, OrderFacts};
use super::{Breaches, Finding};
use crate::domain::ids::{RefundId, VendorId};
use crate::domain::order::{LostShare, OrderEvent, PaymentStatus, RefundAsked};
use crate::domain::pricing::ON_DELIVERY;
use std::collections::BTreeMap;

/// How a refund stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// It waits, or failed.
    Owed,
    /// The provider may have it.
    Sent,
    /// It was given back, by whomever.
    GivenBack,
    /// A dispute took its money.
    Cancelled,
}

/// How a dispute stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Disputed {
    Open,
    Won,
    Lost,
}

/// What the records say of one share.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct ShareSums {
    /// What was taken at the door.
    collected: i64,
    credited: i64,
    given_back: i64,
    lost: i64,
    sent: i64,
    /// Refunds that wait or failed.
    owed: i64,
    /// The most that was ever given back, lost and under way at once.
    most_gone: i64,
}

impl ShareSums {
    /// What is the buyer's, or is on its way there.
    fn gone(&self) -> i64 {
        self.given_back.saturating_add(self.lost).saturating_add(self.sent)
    }
}

/// What a lost dispute took of one share, and how that stood before.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Taken {
    dispute: String,
    vendor: VendorId,
    before: ShareSums,
    amount: i64,
    credited: i64,
    /// What is asked for anew.
    owed: i64,
}

/// What an order's records say of what is given back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct GivenBack {
    shares: BTreeMap<VendorId, ShareSums>,
    refunds: BTreeMap<RefundId, (VendorId, i64, Standing)>,
    disputes: BTreeMap<String, Disputed>,
    taken: Vec<Taken>,
    wrong: Vec<String>,
    /// How often a job had to be made that gives money back.
    pub(super) asked: usize,
}

impl GivenBack {
    /// Whether this event is one of those that are added up.
    pub(super) fn concerns(event: &OrderEvent) -> bool {
        matches!(
            event,
            OrderEvent::Credited { .. }
                | OrderEvent::CashCollected { .. }
                | OrderEvent::RefundPending { .. }
                | OrderEvent::RefundSucceeded { .. }
                | OrderEvent::RefundFailed { .. }
                | OrderEvent::RefundRetried { .. }
                | OrderEvent::RefundMarkedPaid { .. }
                | OrderEvent::DisputeOpened { .. }
                | OrderEvent::DisputeWon { .. }
                | OrderEvent::DisputeLost { .. }
        )
    }

    /// One event more.
    pub(super) fn see(&mut self, event: &OrderEvent) {
        match event {
            OrderEvent::Credited { credit, refund_requested } => {
                self.share(credit.vendor).credited += credit.amount();
                self.asked += usize::from(refund_requested.is_some());
                self.ask(credit.vendor, refund_requested.as_ref());
            }
            OrderEvent::CashCollected { collection, refund_requested, .. } => {
                self.share(collection.vendor).collected += collection.amount;
                // What was paid at the door is given back by hand: there is no job for it.
                self.ask(collection.vendor, refund_requested.as_ref());
            }
            OrderEvent::RefundPending { refund } => {
                if self.is_disputed() {
                    self.wrong.push(format!("{refund} is asked for while the payment is disputed"));
                }
                self.turn(*refund, Standing::Sent);
            }
            OrderEvent::RefundSucceeded { refund, .. } | OrderEvent::RefundMarkedPaid { refund, .. } => {
                self.turn(*refund, Standing::GivenBack);
            }
            OrderEvent::RefundFailed { refund, .. } => self.turn(*refund, Standing::Owed),
            OrderEvent::RefundRetried { .. } => self.asked += 1,
            OrderEvent::DisputeOpened { dispute, .. } => {
                let before = self.disputes.insert(dispute.clone(), Disputed::Open);
                if before.is_some() {
                    self.wrong.push(format!("dispute {dispute} is opened twice"));
                }
            }
            OrderEvent::DisputeWon { dispute, refund_resumed } => {
                self.close(dispute, &[Disputed::Open], Disputed::Won);
                self.asked += usize::from(!refund_resumed.is_empty());
            }
            OrderEvent::DisputeLost { dispute, amount, shares, refund_resumed } => {
                self.close(dispute, &[Disputed::Open, Disputed::Won], Disputed::Lost);
                let of_shares = shares.iter().fold(0i64, |sum, share| sum.saturating_add(share.amount));
                if of_shares > amount.minor {
                    self.wrong.push(format!("dispute {dispute} took {}, and of the shares {of_shares}", amount.minor));
                }
                let is_left = shares.iter().any(|share| share.refund_requested.is_some());
                self.asked += usize::from(is_left || !refund_resumed.is_empty());
                shares.iter().for_each(|lost| self.lose(dispute, lost));
            }
            _ => {}
        }
    }

    fn share(&mut self, vendor: VendorId) -> &mut ShareSums {
        self.shares.entry(vendor).or_default()
    }

    fn is_disputed(&self) -> bool {
        self.disputes.values().any(|standing| *standing == Disputed::Open)
    }

    fn ask(&mut self, vendor: VendorId, asked: Option<&RefundAsked>) {
        let Some(asked) = asked else { return };
        self.refunds.insert(asked.id, (vendor, asked.amount, Standing::Owed));
        self.share(vendor).owed += asked.amount;
    }

    fn turn(&mut self, refund: RefundId, to: Standing) {
        let Some((vendor, amount, standing)) = self.refunds.get_mut(&refund) else {
            self.wrong.push(format!("{refund} was never asked for"));
            return;
        };
        let (vendor, amount, from) = (*vendor, *amount, std::mem::replace(standing, to));
        let share = self.share(vendor);
        for (standing, sign) in [(from, -1), (to, 1)] {
            let sum = match standing {
                Standing::Owed => &mut share.owed,
                Standing::Sent => &mut share.sent,
                Standing::GivenBack => &mut share.given_back,
                Standing::Cancelled => continue,
            };
            *sum += sign * amount;
        }
        share.most_gone = share.most_gone.max(share.gone());
    }

    fn close(&mut self, dispute: &str, from: &[Disputed], to: Disputed) {
        match self.disputes.insert(dispute.to_owned(), to) {
            Some(was) if from.contains(&was) => {}
            Some(Disputed::Lost) => self.wrong.push(format!("dispute {dispute} is over a second time: it was lost")),
            Some(_) => self.wrong.push(format!("dispute {dispute} is won a second time")),
            None => self.wrong.push(format!("dispute {dispute} is over, and was never opened")),
        }
    }

    fn lose(&mut self, dispute: &str, lost: &LostShare) {
        let LostShare { vendor, amount, credit, cancelled, refund_requested } = lost;
        let before = *self.share(*vendor);
        for refund in cancelled {
            match self.refunds.get(refund) {
                Some((of, _, Standing::Owed)) if of == vendor => self.turn(*refund, Standing::Cancelled),
                _ => self.wrong.push(format!("dispute {dispute} cancels {refund}, which does not wait")),
            }
        }
        if self.share(*vendor).owed != 0 {
            self.wrong.push(format!("dispute {dispute} leaves refunds of {vendor}, of which it took the money"));
        }
        let credited = credit.as_ref().map_or(0, |credit| credit.amount());
        let share = self.share(*vendor);
        share.lost += amount;
        share.credited += credited;
        share.most_gone = share.most_gone.max(share.gone());
        let owed = refund_requested.map_or(0, |asked| asked.amount);
        self.ask(*vendor, refund_requested.as_ref());
        let (dispute, vendor, amount) = (dispute.to_owned(), *vendor, *amount);
        self.taken.push(Taken { dispute, vendor, before, amount, credited, owed });
    }

    /// What of it is not as the order says, each in words.
    fn judge(&self, order: &OrderFacts) -> Vec<String> {
        let mut wrong = self.wrong.clone();
        let amounts_of = |vendor: VendorId| {
            let own = order.row.sub_orders.iter().find(|share| share.vendor_id == vendor);
            own.map(|share| share.amounts).unwrap_or_default()
        };
        for (vendor, share) in &self.shares {
            let amounts = amounts_of(*vendor);
            if share.most_gone > amounts.paid {
                let (most, paid) = (share.most_gone, amounts.paid);
                wrong.push(format!("{most} of {vendor} given back, lost and under way at once, of {paid} paid"));
            }
            if share.credited > amounts.total {
                wrong.push(format!("{} credited of {vendor}, of a share of {}", share.credited, amounts.total));
            }
            if order.row.payment_method == ON_DELIVERY && share.collected != amounts.paid {
                wrong.push(format!("{} collected of {vendor} at the door, and {} paid", share.collected, amounts.paid));
            }
            let says = (amounts.credited, amounts.refunded);
            let records = (share.credited, share.given_back.saturating_add(share.lost));
            if order.is_sold() && says != records {
                wrong.push(format!("{vendor}: credited and given back are {says:?}, by its records {records:?}"));
            }
        }
        for Taken { dispute, vendor, before, amount, credited, owed } in &self.taken {
            let amounts = amounts_of(*vendor);
            // What is neither the buyer's nor on its way there is kept; what of that exceeds what is to be paid is owed.
            let kept = amounts.paid.saturating_sub(before.gone()).saturating_sub(*amount);
            let to_pay = amounts.total.saturating_sub(before.credited);
            let (less, more) = ((to_pay - kept).max(0), (kept - to_pay).max(0));
            if (*credited, *owed) != (less, more) {
                wrong.push(format!(
                    "dispute {dispute} took {amount} of {vendor}: {less} of it to be credited and {more} owed still, not {credited} and {owed}"
                ));
            }
        }
        let is_open = self.is_disputed();
        let codes = (order.attention.contains(&"dispute_open"), order.row.payment_status == PaymentStatus::Disputed);
        if order.is_sold() && codes != (is_open, is_open) {
            let open = if is_open { "open" } else { "none open" };
            wrong.push(format!("a dispute is {open}, and for attention {:?}", order.attention));
        }
        wrong
    }
}

/// Holds what orders say of what they give back, and of disputes, against their records.
#[derive(Debug, Default)]
pub(super) struct Disputes {
    orders: u64,
    refunds: u64,
    disputes: u64,
    breaches: Breaches,
}

impl Disputes {
    /// Looks at the orders at hand.
    pub(super) fn look(&mut self, facts: &Facts) {
        for (id, order) in &facts.orders {
            let none = GivenBack::default();
            let given_back = facts.given_back.get(id).unwrap_or(&none);
            self.orders += 1;
            self.disputes += given_back.disputes.len() as u64;
            self.refunds += given_back.refunds.len() as u64;
            for wrong in given_back.judge(order) {
                self.breaches.add(format!("{id}: {wrong}"));
            }
        }
    }

    /// What was found.
    pub(super) fn finish(self) -> Finding {
        let (refunds, disputes) = (counted(self.refunds, "refund"), counted(self.disputes, "dispute"));
        let looked_at = format!("{refunds} and {disputes} of {}, added up again", counted(self.orders, "order"));
        Finding::new("refunds", looked_at, self.breaches)
    }
}

#[cfg(test)]
mod tests {
    use super::super::facts::samples::{facts, order_id, paid, vendor};
    use super::*;
    use crate::domain::buyer::Mint;
    use crate::domain::ids::CreditId;
    use crate::domain::money::{Currency, Money};
    use crate::domain::order::{Amounts, Credit, CreditReason};
    use uuid::Uuid;

    fn check(facts: &Facts) -> Finding {
        let mut disputes = Disputes::default();
        disputes.look(facts);
        disputes.finish()
    }

    fn refund(number: u128) -> RefundId {
        RefundId::from_uuid(Uuid::from_u128(number))
    }

    fn credit(number: u128, amount: i64) -> Box<Credit> {
        let (id, reason) = (CreditId::from_uuid(Uuid::from_u128(number)), CreditReason::Goodwill);
        Box::new(Credit {
            id,
            vendor: vendor(),
            lines: Vec::new(),
            besides: amount,
            points_besides: 0,
            reason,
            by: None,
            shipped: false,
            restock: None,
        })
    }

    fn asked(number: u128, amount: i64) -> Option<RefundAsked> {
        (amount > 0).then(|| RefundAsked { id: refund(number), amount, mint: Mint::default() })
    }

    fn credited(number: u128, amount: i64) -> OrderEvent {
        OrderEvent::Credited { credit: credit(number, amount), refund_requested: asked(number, amount) }
    }

    fn sent(number: u128) -> OrderEvent {
        OrderEvent::RefundPending { refund: refund(number) }
    }

    fn given_back(number: u128) -> OrderEvent {
        OrderEvent::RefundSucceeded { refund: refund(number), reference: None }
    }

    fn opened() -> OrderEvent {
        let amount = Money::new(20, Currency::BDT);
        OrderEvent::DisputeOpened { dispute: "dp".into(), amount, reason: "fraudulent".into() }
    }

    fn won() -> OrderEvent {
        OrderEvent::DisputeWon { dispute: "dp".into(), refund_resumed: Vec::new() }
    }

    /// Takes so much, credits so much, cancels these and asks for so much anew.
    fn lost(amount: i64, credits: i64, cancelled: &[u128], owed: i64) -> OrderEvent {
        let credit = (credits > 0).then(|| credit(99, credits));
        let cancelled = cancelled.iter().map(|number| refund(*number)).collect();
        let share = LostShare { vendor: vendor(), amount, credit, cancelled, refund_requested: asked(99, owed) };
        let (dispute, amount) = ("dp".to_owned(), Money::new(20, Currency::BDT));
        OrderEvent::DisputeLost { dispute, amount, shares: vec![share], refund_resumed: Vec::new() }
    }

    /// What is found of a paid order of 20 with these events, which says that so much is credited and given back.
    fn found(says: (i64, i64), events: &[OrderEvent]) -> Vec<String> {
        let (mut facts, mut order, mut seen) = (facts(), paid(1), GivenBack::default());
        events.iter().for_each(|event| seen.see(event));
        let amounts = Amounts { total: 20, paid: 20, credited: says.0, refunded: says.1, ..Amounts::default() };
        (order.row.amounts, order.row.sub_orders[0].amounts) = (amounts, amounts);
        if seen.is_disputed() {
            order.row.payment_status = PaymentStatus::Disputed;
            order.attention.push("dispute_open");
        }
        facts.orders.insert(order_id(1), order);
        facts.given_back.insert(order_id(1), seen);
        check(&facts).breaches.told().to_vec()
    }

    #[test]
    fn what_adds_up_is_in_order() {
        for (says, events) in [
            ((0, 0), vec![]),
            ((5, 5), vec![credited(1, 5), sent(1), given_back(1)]),
            ((0, 0), vec![opened()]),
            ((0, 0), vec![opened(), won()]),
            ((20, 20), vec![opened(), lost(20, 20, &[], 0)]),
            ((20, 20), vec![opened(), won(), lost(20, 20, &[], 0)]),
            // A refund that waits is the buyer's already; of one that is under way nothing is taken.
            ((5, 5), vec![credited(1, 5), opened(), lost(5, 0, &[1], 0)]),
            ((8, 5), vec![credited(1, 8), opened(), lost(5, 0, &[1], 3)]),
            ((20, 15), vec![credited(1, 5), sent(1), opened(), lost(15, 15, &[], 0)]),
        ] {
            assert_eq!(found(says, &events), [""; 0], "{events:?}");
        }
        let mut facts = facts();
        facts.given_back.insert(order_id(1), GivenBack::default());
        assert_eq!(check(&facts).looked_at, "0 refunds and 0 disputes of 1 order, added up again");
    }

    #[test]
    fn each_kind_of_damage_is_told() {
        let all = || lost(20, 20, &[], 0);
        let rows = [
            ((0, 0), vec![opened(), opened()], "dispute dp is opened twice"),
            ((0, 0), vec![won()], "dispute dp is over, and was never opened"),
            ((0, 0), vec![opened(), won(), won()], "dispute dp is won a second time"),
            ((20, 20), vec![opened(), all(), won()], "dispute dp is over a second time: it was lost"),
            ((0, 0), vec![credited(1, 5), opened(), sent(1)], "is asked for while the payment is disputed"),
            ((0, 0), vec![sent(1)], "was never asked for"),
            ((25, 25), vec![opened(), lost(25, 20, &[], 0)], "dispute dp took 20, and of the shares 25"),
            ((19, 20), vec![opened(), lost(20, 19, &[], 0)], "20 of it to be credited and 0 owed still, not 19 and 0"),
            ((8, 5), vec![credited(1, 8), opened(), lost(5, 0, &[1], 2)], "0 of it to be credited and 3 owed still"),
            ((5, 5), vec![credited(1, 5), opened(), lost(5, 0, &[], 0)], "leaves refunds of vendor_"),
            ((5, 5), vec![opened(), lost(5, 5, &[1], 0)], "cancels refund_00000000000000000000000001, which does not"),
            (
                (20, 20),
                vec![credited(1, 5), sent(1), opened(), lost(20, 15, &[], 0)],
                "25 of vendor_00000000000000000000000002 given back, lost and under way at once, of 20 paid",
            ),
            ((25, 5), vec![credited(1, 5), credited(2, 20)], "25 credited of vendor_"),
            ((5, 4), vec![credited(1, 5), sent(1), given_back(1)], "are (5, 4), by its records (5, 5)"),
        ];
        let is_missed = |(says, events, told): &((i64, i64), Vec<OrderEvent>, &'static str)| {
            !found(*says, events).iter().any(|found| found.contains(told))
        };
        let missed: Vec<&str> = rows.iter().filter(|row| is_missed(row)).map(|(_, _, told)| *told).collect();
        assert_eq!(missed, [""; 0]);
    }

    #[test]
    fn an_order_of_which_a_dispute_is_open_asks_for_attention_and_no_other_does() {
        let judged = |events: &[OrderEvent], attention: Vec<&'static str>, status| {
            let (mut order, mut seen) = (paid(1), GivenBack::default());
            events.iter().for_each(|event| seen.see(event));
            (order.attention, order.row.payment_status) = (attention, status);
            seen.judge(&order)
        };
        let (captured, disputed) = (PaymentStatus::Captured, PaymentStatus::Disputed);
        assert_eq!(judged(&[opened()], vec!["dispute_open"], disputed), [""; 0]);
        assert_eq!(judged(&[], vec![], captured), [""; 0]);
        for (events, attention, status) in [
            (vec![opened()], vec![], disputed),
            (vec![opened()], vec!["dispute_open"], captured),
            (vec![opened(), won()], vec!["dispute_open"], captured),
            (vec![], vec![], disputed),
        ] {
            let told = judged(&events, attention, status);
            assert!(told.iter().any(|told| told.contains("for attention")), "{told:?}");
        }
    }

    #[test]
    fn jobs_are_counted_as_records_ask_for_them() {
        let mut seen = GivenBack::default();
        let retried = OrderEvent::RefundRetried { refund: refund(1), by: None };
        let resumed = OrderEvent::DisputeWon { dispute: "dp".into(), refund_resumed: vec![refund(1)] };
        let failed = OrderEvent::RefundFailed { refund: refund(1), reason: "no".into() };
        for event in [credited(1, 5), sent(1), failed, opened(), retried, resumed, lost(3, 0, &[1], 2)] {
            assert!(GivenBack::concerns(&event));
            seen.see(&event);
        }
        assert_eq!(seen.asked, 4);
    }
}
