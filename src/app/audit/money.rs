//! Money: the payment gateway's own books say the same as the orders.

use super::super::text::{count, counted};
use super::facts::{ChargeLogFacts, Facts, OrderFacts};
use super::{Breaches, Finding};
use crate::domain::buyer::Mint;
use crate::domain::ids::{EntityId, OrderId};
use crate::domain::money::{Currency, Money};
use crate::domain::order::{PaymentStatus, Phase};
use crate::ports::ChargeLogEntry;
use std::collections::BTreeMap;

/// The gateway whose charge log this is.
const METHOD: &str = "sandbox";

/// Holds the sandbox's charge log against the orders.
#[derive(Debug, Default)]
pub(super) struct Books {
    entries: u64,
    paid: u64,
    unpaid: u64,
    by_hand: u64,
    stuck: u64,
    taken: BTreeMap<&'static str, (i64, Currency)>,
    breaches: Breaches,
}

impl Books {
    /// Looks at the orders at hand and their charges.
    pub(super) fn look(&mut self, facts: &Facts) {
        let charge_log = &facts.charge_log;
        self.entries += charge_log.entries.len() as u64;
        for (id, order) in facts.orders.iter().filter(|(_, order)| order.row.payment_method == METHOD) {
            if let Err(wrong) = judge(order, charge_log.entries.get(&(*id, order.mint))) {
                self.breaches.add(format!("{id}: {wrong}"));
            }
            if order.phase == Phase::Gathering && charge_log.charged_before.contains(&(*id, order.mint)) {
                self.breaches.add(format!("{id}: charged before its stock was held"));
            }
            self.by_hand += u64::from(order.by_hand);
            self.stuck += u64::from(order.told.is_some());
            if order.is_sold() {
                self.paid += 1;
                let currency = order.row.currency;
                let sum = self.taken.entry(currency.code()).or_insert((0, currency));
                sum.0 = sum.0.saturating_add(order.net());
            } else {
                self.unpaid += 1;
            }
        }
        for id in strangers(facts) {
            self.breaches.add(format!("{id}: charged, and the journal knows no such order"));
        }
    }

    /// What was found, where there are books that can be read.
    pub(super) fn finish(self, charge_log: &ChargeLogFacts) -> Finding {
        if let Some(absent) = &charge_log.absent {
            let (looked_at, breaches) = (absent.clone(), Breaches::default());
            return Finding { check: "money", looked_at, checked: false, breaches };
        }
        if let Some(damaged) = &charge_log.damaged {
            let mut breaches = Breaches::default();
            breaches.add(damaged.clone());
            return Finding::new("money", "the sandbox's ledger, which cannot be read to its end".into(), breaches);
        }
        let sums: Vec<String> =
            self.taken.values().map(|(minor, currency)| Money::new(*minor, *currency).to_string()).collect();
        let looked_at = format!(
            "{} in the sandbox's ledger; {} charged once each{}{}, {} not charged{}{}",
            counted(self.entries, "entry").replace("entrys", "entries"),
            counted(self.paid, "paid order"),
            if sums.is_empty() { "" } else { ", together " },
            sums.join(" and "),
            count(self.unpaid),
            some(self.by_hand, "settled by hand, whatever the ledger says"),
            some(self.stuck, "quarantined with what the ledger says"),
        );
        Finding::new("money", looked_at, self.breaches)
    }
}

/// Tells of orders, if there are any.
fn some(orders: u64, what: &str) -> String {
    if orders == 0 { String::new() } else { format!("; {} {what}", counted(orders, "order")) }
}

/// Orders that had been charged when the journal did not know them. Who is charged has a record that says so first.
fn strangers(facts: &Facts) -> Vec<OrderId> {
    let known = |(id, mint): &&(OrderId, Option<Mint>)| {
        facts.orders.get(id).is_some_and(|order| order.mint == *mint) || facts.is_broken(id.entity())
    };
    let unknown = facts.charge_log.charged_before.iter().filter(|key| !known(key));
    unknown.map(|(id, _)| *id).collect()
}

/// Whether the charge log's entry is what the order says; the error says what is not.
fn judge(order: &OrderFacts, entry: Option<&ChargeLogEntry>) -> Result<(), String> {
    let told = |minor| Money::new(minor, order.row.currency);
    // Someone saw to it outside: the provider's books tell another part of it.
    if order.by_hand {
        return Ok(());
    }
    if let Some(told) = order.told {
        return match entry {
            Some(entry) if entry.amount == told && matches!(entry.status, "charged" | "refunded") => Ok(()),
            Some(entry) => {
                Err(format!("told that {told} moved, and the ledger says {} {}", entry.status, entry.amount))
            }
            None => Err(format!("told that {told} moved, and never charged")),
        };
    }
    if order.is_sold() {
        let paid = told(order.row.amounts.paid);
        let (given_back, open) = order.refunds;
        let most = given_back.saturating_add(open);
        return match entry {
            // Nothing was to be paid, and no provider was asked.
            None if order.row.amounts.total == 0 => Ok(()),
            // What is being given back may be given back already.
            Some(entry) if entry.refunded.minor < given_back || entry.refunded.minor > most => {
                let (least, most) = (told(given_back), told(most));
                Err(format!("{least} to {most} of it given back, and the ledger says {}", entry.refunded))
            }
            Some(entry) if entry.status == "charged" && entry.amount == paid => Ok(()),
            Some(entry) => Err(format!("paid {paid}, and the ledger says {} {}", entry.status, entry.amount)),
            None => Err(format!("paid {paid}, and never charged")),
        };
    }
    // While the payment runs, the gateway may know more than the order.
    if matches!(order.phase, Phase::Gathering | Phase::Paying | Phase::Voiding(_) | Phase::Stuck) {
        return Ok(());
    }
    let refunded = order.row.payment_status == PaymentStatus::Refunded;
    match entry {
        Some(entry) if entry.status == "charged" => Err(format!("not paid, and charged {}", entry.amount)),
        Some(entry) if refunded && entry.status == "refunded" && entry.amount == told(order.row.amounts.refunded) => {
            Ok(())
        }
        _ if !refunded => Ok(()),
        Some(entry) => {
            let given_back = told(order.row.amounts.refunded);
            Err(format!("given back {given_back}, and the ledger says {} {}", entry.status, entry.amount))
        }
        None => Err(format!("given back {}, and never charged", told(order.row.amounts.refunded))),
    }
}

#[cfg(test)]
mod tests {
    use super::super::facts::samples::{entry, facts, order, order_id, paid};
    use super::*;
    use crate::domain::order::{Amounts, OrderStatus};

    fn check(facts: &Facts) -> Finding {
        let mut books = Books::default();
        books.look(facts);
        books.finish(&facts.charge_log)
    }

    #[test]
    fn a_paid_order_is_charged_once_with_its_amount() {
        let wrong = |status, minor| judge(&paid(1), Some(&entry(1, status, minor)));
        assert_eq!(wrong("charged", 20), Ok(()));
        assert_eq!(wrong("charged", 21), Err("paid 0.20 BDT, and the ledger says charged 0.21 BDT".into()));
        assert_eq!(wrong("refunded", 20), Err("paid 0.20 BDT, and the ledger says refunded 0.20 BDT".into()));
        assert_eq!(judge(&paid(1), None), Err("paid 0.20 BDT, and never charged".into()));
        let mut for_nothing = paid(1);
        for_nothing.row.amounts = Amounts::default();
        assert_eq!(judge(&for_nothing, None), Ok(()));
        assert!(judge(&for_nothing, Some(&entry(1, "charged", 20))).is_err());
    }

    #[test]
    fn an_order_that_is_not_paid_is_not_charged_once_its_payment_is_over() {
        let at = |phase| OrderFacts { phase, ..order(1) };
        let charged = entry(1, "charged", 20);
        assert_eq!(judge(&at(Phase::Paying), Some(&charged)), Ok(()));
        assert_eq!(judge(&at(Phase::Voiding(OrderStatus::Expired)), Some(&charged)), Ok(()));
        assert_eq!(judge(&at(Phase::Ended), Some(&charged)), Err("not paid, and charged 0.20 BDT".into()));
        for other in
            [None, Some(entry(1, "declined", 20)), Some(entry(1, "voided", 20)), Some(entry(1, "refunded", 20))]
        {
            assert_eq!(judge(&at(Phase::Ended), other.as_ref()), Ok(()));
        }
    }

    #[test]
    fn what_was_given_back_is_given_back_in_the_charge_log() {
        let mut order = OrderFacts { phase: Phase::Ended, ..order(1) };
        order.row.payment_status = PaymentStatus::Refunded;
        (order.row.amounts.paid, order.row.amounts.refunded) = (20, 20);
        assert_eq!(judge(&order, Some(&entry(1, "refunded", 20))), Ok(()));
        assert!(judge(&order, Some(&entry(1, "voided", 20))).is_err());
        assert!(judge(&order, None).is_err());
    }

    #[test]
    fn the_whole_is_told_and_a_charge_for_nobody_found() {
        let mut facts = facts();
        let finding = check(&facts);
        assert_eq!(finding.breaches.told(), [""; 0]);
        let looked_at =
            "1 entry in the sandbox's ledger; 1 paid order charged once each, together 0.20 BDT, 0 not charged";
        assert_eq!(finding.looked_at, looked_at);
        facts.charge_log.charged_before.insert((order_id(7), None));
        let told = format!("{}: charged, and the journal knows no such order", order_id(7));
        assert_eq!(check(&facts).breaches.told(), [told]);
        facts.charge_log.absent = Some("no ledger".into());
        assert!(!check(&facts).checked);
    }
}
