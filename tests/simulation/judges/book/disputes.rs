//! The book of disputes. Each is opened once, won or lost once, and lost once at the most; and what one that is lost takes is reckoned again: of which
//! shares, which refunds it makes needless, what is not owed for it any more, and what is owed all the same.

use super::accounts::{Accounts, Bill, Posted, list, note, number, text};
use super::credits::{Credited, Part, Standing, may_be_number};
use serde_json::Value;
use std::collections::BTreeSet;

/// How a dispute stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disputed {
    Open,
    Won,
    Lost,
}

impl Bill {
    /// Whether a bank decides whose its money is.
    pub fn is_disputed(&self) -> bool {
        self.disputes.values().any(|standing| *standing == Disputed::Open)
    }

    /// The sum of a share's refunds that stand so.
    fn of_parts(&self, vendor: &str, standings: &[Standing]) -> i64 {
        let own = self.parts.values().filter(|part| part.vendor == vendor && standings.contains(&part.standing));
        own.map(|part| part.amount).sum()
    }

    /// What of a share's payment is neither given back, nor lost, nor being given back by the provider.
    fn kept(&self, vendor: &str) -> i64 {
        let gone = self.given_back(Some(vendor)) + self.lost(Some(vendor)) + self.of_parts(vendor, &[Standing::Sent]);
        // Every share is paid for at once.
        self.share(vendor) - gone
    }

    /// The refunds that go on when no dispute is open any more are those that wait.
    fn resumes(&self, event: &Value) -> Posted {
        let resumed = event.get("refund_resumed").and_then(Value::as_array).into_iter().flatten();
        let resumed: BTreeSet<&str> = resumed.filter_map(Value::as_str).collect();
        let waits = self.parts.iter().filter(|(_, part)| part.standing == Standing::Asked && !self.is_disputed());
        // What a dispute leaves is named as such.
        let left = event.get("shares").and_then(Value::as_array).into_iter().flatten();
        let left: BTreeSet<&str> = left.filter_map(|share| share.pointer("/refund_requested/id")?.as_str()).collect();
        let waits: BTreeSet<&str> = waits.map(|(id, _)| id.as_str()).filter(|id| !left.contains(id)).collect();
        if resumed == waits { Ok(()) } else { Err(format!("{waits:?} wait: {event}")) }
    }
}

impl Accounts {
    pub fn open_dispute(&mut self, order: &str, event: &Value) -> Posted {
        note(self.bill(order)?.disputes.insert(text(event, "/dispute")?, Disputed::Open), event)
    }

    fn close_dispute(&mut self, order: &str, event: &Value, from: &[Disputed], to: Disputed) -> Posted {
        let dispute = text(event, "/dispute")?;
        let standing = self.bill(order)?.disputes.get_mut(&dispute).filter(|standing| from.contains(standing));
        *standing.ok_or_else(|| format!("it cannot come to be {to:?}: {event}"))? = to;
        Ok(())
    }

    pub fn win_dispute(&mut self, order: &str, event: &Value) -> Posted {
        self.close_dispute(order, event, &[Disputed::Open], Disputed::Won)?;
        self.bill(order)?.resumes(event)
    }

    /// A bank has taken money: what of it was of each share, and what is not owed for that any more.
    pub fn lose_dispute(&mut self, order: &str, event: &Value) -> Posted {
        self.close_dispute(order, event, &[Disputed::Open, Disputed::Won], Disputed::Lost)?;
        let bill = self.bill(order)?;
        let told = number(event, "/amount/minor")?;
        bill.taken_by_disputes += told;
        let vendors: Vec<String> = bill.vendors().into_iter().cloned().collect();
        let is_paid = bill.is_paid();
        let kept = |bill: &Bill, vendor: &str| if is_paid { bill.kept(vendor).max(0) } else { 0 };
        let all: i64 = vendors.iter().map(|vendor| kept(bill, vendor)).sum();
        let taken = told.clamp(0, all);
        let mut left = taken;
        for lost in list(event, "/shares")? {
            let (vendor, amount) = (text(lost, "/vendor")?, number(lost, "/amount")?);
            // By what is left of each share, to less than a unit.
            let exact = i128::from(taken) * i128::from(kept(bill, &vendor));
            if amount <= 0 || (i128::from(amount) * i128::from(all) - exact).abs() >= i128::from(all) {
                return Err(format!("{event} takes {amount} of {} of {all}: {bill:?}", kept(bill, &vendor)));
            }
            left -= amount;
            bill.lose_of(&vendor, amount, lost).map_err(|wrong| format!("{wrong}, in {event} of {bill:?}"))?;
        }
        if left != 0 {
            return Err(format!("{event} takes {left} of nobody: {bill:?}"));
        }
        bill.resumes(event)
    }
}

impl Bill {
    fn lose_of(&mut self, vendor: &str, amount: i64, lost: &Value) -> Posted {
        // What was not asked for, and what failed, was the buyer's, who has it now.
        let named = lost.get("cancelled").and_then(Value::as_array).into_iter().flatten();
        let named: BTreeSet<String> = named.filter_map(|refund| refund.as_str().map(str::to_owned)).collect();
        let waits = |part: &Part| part.vendor == vendor && matches!(part.standing, Standing::Asked | Standing::Failed);
        let waiting = self.parts.iter_mut().filter(|(_, part)| waits(part));
        let mut cancelled = BTreeSet::new();
        for (id, part) in waiting {
            part.standing = Standing::Cancelled;
            cancelled.insert(id.clone());
        }
        if named != cancelled {
            return Err(format!("{cancelled:?} are needless"));
        }
        *self.lost.entry(vendor.to_owned()).or_default() += amount;
        let before = self.credited(Some(vendor));
        if let Some(credit) = lost.get("credit") {
            let made = self.credit_money(vendor, credit)?;
            note(self.credits.insert(text(credit, "/id")?, made), lost)?;
        }
        // Whatever the buyer has, or is being given, is owed to the shop no more.
        let gone = self.given_back(Some(vendor)) + self.lost(Some(vendor)) + self.of_parts(vendor, &[Standing::Sent]);
        let credited = self.credited(Some(vendor));
        if credited != before.max(gone) {
            return Err(format!("{credited} are credited, of {before} and {gone}"));
        }
        if let Some(asked) = lost.get("refund_requested") {
            let (refund, part) = Part::asked(vendor, asked)?;
            note(self.parts.insert(refund, part), lost)?;
        }
        let asked = self.of_parts(vendor, &[Standing::Asked]);
        if asked != credited - gone { Err(format!("{asked} are asked for, of {}", credited - gone)) } else { Ok(()) }
    }

    /// A credit of money alone.
    fn credit_money(&mut self, vendor: &str, credit: &Value) -> Result<Credited, String> {
        let besides = may_be_number(credit, "/besides");
        let mut amount = besides;
        for line in list(credit, "/lines")? {
            let (sku, money) = (text(line, "/sku")?, number(line, "/amount")?);
            let at = self.lines.iter().position(|(of, line)| *of == vendor && line.sku == sku);
            let at = at.ok_or_else(|| format!("not of this order: {line}"))?;
            self.credited_lines[at].1 += money;
            if self.credited_lines[at].1 > self.payable(at) || may_be_number(line, "/units") != 0 {
                return Err(format!("more than is to be paid, or pieces: {line}"));
            }
            amount += money;
        }
        *self.besides_credited.entry(vendor.to_owned()).or_default() += besides;
        if self.besides_credited[vendor] > self.besides(vendor) {
            return Err(format!("more than is to be paid: {credit}"));
        }
        Ok(Credited { vendor: vendor.to_owned(), amount, units: Vec::new() })
    }
}
