//! The sandbox's charge log: what became of every charge, as lines of JSON in a file and as an index in memory.
//!
//! One line per change, oldest first; nothing is ever rewritten:
//!
//! ```json
//! {"order":"order_01h2xcejqtf2nbrexx3vqjhp41","status":"charged","amount_minor":125000,"currency":"BDT","at":1763683200000}
//! ```
//!
//! `mint` is there since orders have one: order and mint together are the idempotency key. A key's first line says `charged`, `declined` or `voided`; only a charged one has a second, `refunded`. What of a charge is
//! given back in parts are lines with a `refund`, together never more than was taken; a refund that a bank has returned, and what has become
//! of a dispute, are lines that come later. A file that says
//! otherwise was not written by us, or not by us alone, and is refused.

use super::SandboxError;
use super::book_file::{self, Bytes, Kept};
use crate::domain::buyer::Mint;
use crate::domain::entity::PaymentCall;
use crate::domain::ids::{OrderId, RefundId};
use crate::domain::money::{self, Currency, Money};
use crate::domain::order::{DisputeStatus, DisputeTold};
use crate::domain::payment::{RefundOf, TOKEN_GONE};
use crate::domain::time::Timestamp;
use crate::ports::{ChargeLogEntry, SandboxDispute};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::mem::take;
use std::path::Path;

/// How a charge stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Status {
    /// The money was taken.
    Charged,
    /// The means of payment was refused: nothing will be taken.
    Declined,
    /// It was voided before it took place: nothing will be taken.
    Voided,
    /// The money was taken and given back: nothing will be taken again.
    Refunded,
}

impl Status {
    /// Its name in the file and in [`ChargeLogEntry::status`].
    pub(super) const fn name(self) -> &'static str {
        match self {
            Status::Charged => "charged",
            Status::Declined => "declined",
            Status::Voided => "voided",
            Status::Refunded => "refunded",
        }
    }
}

/// Why a means of payment was refused, or a payment will not be given back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Refusal {
    /// The buyer's bank said no.
    CardDeclined,
    /// The token is none of the sandbox's.
    TokenUnknown,
    /// The buyer's token was not there any more.
    TokenGone,
    /// It was taken, and will not be given back.
    NotRefundable,
    /// There is nothing, or nothing more, to give back.
    NothingToRefund,
    /// It was taken, and the first attempt of each refund is refused.
    RefundRefused,
}

impl Refusal {
    /// Its name in the file and in the gateway's answer.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Refusal::CardDeclined => "card_declined",
            Refusal::TokenUnknown => "token_unknown",
            Refusal::TokenGone => TOKEN_GONE,
            Refusal::NotRefundable => "charge_not_refundable",
            Refusal::NothingToRefund => "nothing_to_refund",
            Refusal::RefundRefused => "refund_refused",
        }
    }
}

/// One line of the charge log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Change {
    /// The order, the first part of the idempotency key.
    pub(super) order: OrderId,
    /// The rest of the key; none for an order of an early version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) mint: Option<Mint>,
    /// How its charge stands from now on.
    pub(super) status: Status,
    /// Why, when it was declined; or that it will not be given back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) reason: Option<Refusal>,
    /// The amount in question, in minor units.
    pub(super) amount_minor: i64,
    /// The currency it is in.
    pub(super) currency: Currency,
    /// Which try gave it back, where that was not the first.
    #[serde(default = "first", skip_serializing_if = "is_first")]
    pub(super) attempt: u32,
    /// When.
    pub(super) at: Timestamp,
}

/// A line that says what of a charge was given back: a part of it, as a shop asks for it that sold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct PartRefund {
    /// Of which charge.
    pub(super) order: OrderId,
    /// As above.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) mint: Option<Mint>,
    /// Which refund.
    pub(super) refund: RefundId,
    /// Which try.
    pub(super) attempt: u32,
    /// The end of the refund's key.
    pub(super) refund_mint: Mint,
    /// How much, in minor units.
    pub(super) amount_minor: i64,
    /// The currency it is in.
    pub(super) currency: Currency,
    /// When.
    pub(super) at: Timestamp,
}

impl PartRefund {
    /// Of which charge it is a part.
    pub(super) const fn key(&self) -> Key {
        (self.order, self.mint)
    }

    /// How much.
    pub(super) const fn amount(&self) -> Money {
        Money::new(self.amount_minor, self.currency)
    }

    /// Whether this is what the call asks about.
    pub(super) fn is(&self, of: RefundOf, attempt: u32) -> bool {
        (self.refund, self.refund_mint, self.attempt) == (of.refund, of.mint, attempt)
    }
}

/// A line that says that a bank has returned what was given back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Returned {
    /// Of which charge.
    pub(super) order: OrderId,
    /// As above.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) mint: Option<Mint>,
    /// Which refund.
    pub(super) returned: RefundId,
    /// Which try of it.
    pub(super) attempt: u32,
    /// Why: a code.
    pub(super) reason: String,
    /// When.
    pub(super) at: Timestamp,
}

/// A line that says how a dispute of a charge stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Disputed {
    /// Of which charge.
    pub(super) order: OrderId,
    /// As above.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) mint: Option<Mint>,
    /// The how many-th of its order, from 1.
    pub(super) dispute: u32,
    /// How it stands from now on.
    pub(super) status: DisputeStatus,
    /// How much, in minor units.
    pub(super) amount_minor: i64,
    /// The currency it is in.
    pub(super) currency: Currency,
    /// Why: a code.
    pub(super) reason: String,
    /// When.
    pub(super) at: Timestamp,
}

impl Disputed {
    /// As the shop is told of it.
    pub(super) fn told(&self) -> DisputeTold {
        DisputeTold {
            id: SandboxDispute { order: self.order, number: self.dispute }.to_string(),
            status: self.status,
            amount: Money::new(self.amount_minor, self.currency),
            reason: self.reason.clone(),
        }
    }
}

/// A line of the file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub(super) enum Line {
    /// How a charge stands.
    Charge(Change),
    /// What of one was given back.
    Refund(PartRefund),
    /// What of that has come back.
    Returned(Returned),
    /// What a buyer's bank does.
    Disputed(Disputed),
}

impl From<Change> for Line {
    fn from(change: Change) -> Self {
        Line::Charge(change)
    }
}

impl From<PartRefund> for Line {
    fn from(refund: PartRefund) -> Self {
        Line::Refund(refund)
    }
}

impl From<Returned> for Line {
    fn from(returned: Returned) -> Self {
        Line::Returned(returned)
    }
}

impl From<Disputed> for Line {
    fn from(disputed: Disputed) -> Self {
        Line::Disputed(disputed)
    }
}

impl Line {
    /// Which charge it is about.
    pub(super) const fn key(&self) -> Key {
        match self {
            Line::Charge(change) => change.key(),
            Line::Refund(refund) => refund.key(),
            Line::Returned(returned) => (returned.order, returned.mint),
            Line::Disputed(disputed) => (disputed.order, disputed.mint),
        }
    }
}

const fn first() -> u32 {
    1
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde wants it so")]
const fn is_first(attempt: &u32) -> bool {
    *attempt == 1
}

/// The idempotency key of a charge.
pub(super) type Key = (OrderId, Option<Mint>);

/// The key of this call.
pub(super) fn key_of(call: &PaymentCall) -> Key {
    (call.order, call.mint)
}

impl Change {
    /// Under which key.
    pub(super) const fn key(&self) -> Key {
        (self.order, self.mint)
    }

    /// How much.
    pub(super) const fn amount(&self) -> Money {
        Money::new(self.amount_minor, self.currency)
    }

    fn entry(&self, refunded: i64) -> ChargeLogEntry {
        ChargeLogEntry {
            refunded: Money::new(refunded, self.currency),
            order: self.order,
            mint: self.mint,
            amount: self.amount(),
            status: self.status.name(),
            at: self.at,
        }
    }
}

/// The charge log in memory: all its lines and where each order's newest is.
///
/// It costs 48 bytes a line, and of the index 4 a key and about as much again for those that came last: about 60 MB for a million charges.
#[derive(Debug, Default)]
pub(super) struct Book {
    changes: Vec<Change>,
    /// The places of lines, each the newest of its key when it came here, in the order of their keys.
    sorted: Vec<u32>,
    /// Where the newest line of a key is, of those that came since then.
    latest: BTreeMap<Key, u32>,
    /// What was given back of charges in parts.
    refunds: BTreeMap<Key, Vec<PartRefund>>,
    /// What of that has come back.
    returned: BTreeMap<Key, Vec<Returned>>,
    /// How the disputes of charges stand.
    disputes: BTreeMap<Key, Vec<Disputed>>,
    /// Of whom the last two tell, one after the other.
    after: Vec<(Timestamp, OrderId)>,
}

/// So many that came last are put in order among the others; with many others, an eighth of them.
const SORTED_FROM: usize = 4_096;

// What the figure above counts on.
const _: () = assert!(size_of::<Change>() <= 48);

impl Book {
    /// How the charge under this key stands.
    pub(super) fn standing(&self, key: Key) -> Option<&Change> {
        self.at(self.newest(key)?)
    }

    fn at(&self, place: u32) -> Option<&Change> {
        self.changes.get(usize::try_from(place).ok()?)
    }

    fn key_at(&self, place: u32) -> Option<Key> {
        self.at(place).map(Change::key)
    }

    /// Where the newest line of this key is.
    fn newest(&self, key: Key) -> Option<u32> {
        self.latest.get(&key).copied().or_else(|| {
            let found = self.sorted.binary_search_by_key(&Some(key), |place| self.key_at(*place)).ok()?;
            self.sorted.get(found).copied()
        })
    }

    /// Puts those that came last in order among the others.
    fn sort(&mut self) {
        let mut latest = take(&mut self.latest).into_iter().peekable();
        let before = take(&mut self.sorted);
        let mut sorted = Vec::with_capacity(before.len() + latest.len());
        for place in before {
            let Some(key) = self.key_at(place) else { continue };
            while let Some((_, newer)) = latest.next_if(|(of, _)| *of < key) {
                sorted.push(newer);
            }
            sorted.push(latest.next_if(|(of, _)| *of == key).map_or(place, |(_, newer)| newer));
        }
        sorted.extend(latest.map(|(_, newer)| newer));
        self.sorted = sorted;
    }

    /// Whether this change may follow what is there; the error says why not.
    fn check(&self, change: &Change) -> Result<(), String> {
        let before = self.standing(change.key());
        match (before.map(|before| before.status), change.status) {
            (None, Status::Charged | Status::Declined | Status::Voided) => Ok(()),
            (Some(Status::Charged), Status::Refunded) if before.map(Change::amount) == Some(change.amount()) => Ok(()),
            (before, after) => {
                let before = before.map_or("nothing", Status::name);
                Err(format!("{} goes from {before} to {}", change.order, after.name()))
            }
        }
    }

    /// What was given back of a charge in parts.
    pub(super) fn refunds(&self, key: Key) -> &[PartRefund] {
        self.refunds.get(&key).map_or(&[], |refunds| refunds)
    }

    /// Whether, and why, a bank has returned this.
    pub(super) fn return_of(&self, refund: &PartRefund) -> Option<&Returned> {
        let is_it = |it: &&Returned| (it.returned, it.attempt) == (refund.refund, refund.attempt);
        self.returned.get(&refund.key())?.iter().find(is_it)
    }

    /// How much was given back, and has not come back.
    pub(super) fn refunded(&self, key: Key) -> i64 {
        let given = self.refunds(key).iter().filter(|refund| self.return_of(refund).is_none());
        money::sum(given.map(|refund| refund.amount_minor))
    }

    /// All refunds of this order, or of all.
    pub(super) fn all_refunds(&self, order: Option<OrderId>) -> impl DoubleEndedIterator<Item = &PartRefund> {
        let is_it = move |(key, _): &(&Key, &Vec<PartRefund>)| order.is_none_or(|order| key.0 == order);
        self.refunds.iter().filter(is_it).flat_map(|(_, refunds)| refunds)
    }

    /// The disputes of a charge.
    pub(super) fn disputes(&self, key: Key) -> &[Disputed] {
        self.disputes.get(&key).map_or(&[], |disputes| disputes)
    }

    /// Those of an order.
    pub(super) fn disputes_of(&self, order: OrderId) -> impl Iterator<Item = &Disputed> {
        self.disputes.range((order, None)..).take_while(move |(key, _)| key.0 == order).flat_map(|(_, all)| all)
    }

    /// The charge of an order that its shop has the money of: the newest.
    pub(super) fn charged(&self, order: OrderId) -> Option<Key> {
        let charged = self.entries(order).filter(|entry| entry.status == Status::Charged.name());
        charged.max_by_key(|entry| entry.at).map(|entry| (entry.order, entry.mint))
    }

    /// Of whom disputes and returned refunds tell, one after the other.
    pub(super) fn after(&self) -> &[(Timestamp, OrderId)] {
        &self.after
    }

    /// What of a charge has not been given back, nor taken back by a bank.
    pub(super) fn kept(&self, key: Key) -> Option<Money> {
        let charge = self.standing(key).filter(|charge| charge.status == Status::Charged)?;
        let disputed = self.disputes(key).iter().filter(|dispute| dispute.status != DisputeStatus::Won);
        let disputed = money::sum(disputed.map(|dispute| dispute.amount_minor));
        let left = charge.amount_minor.saturating_sub(self.refunded(key)).saturating_sub(disputed);
        Some(Money::new(left, charge.currency))
    }

    /// Adds a line.
    pub(super) fn add(&mut self, line: Line) {
        match line {
            Line::Charge(change) => self.record(change),
            Line::Refund(refund) => self.refunds.entry(refund.key()).or_default().push(refund),
            Line::Returned(returned) => {
                self.after.push((returned.at, returned.order));
                self.returned.entry((returned.order, returned.mint)).or_default().push(returned);
            }
            Line::Disputed(disputed) => {
                self.after.push((disputed.at, disputed.order));
                let all = self.disputes.entry((disputed.order, disputed.mint)).or_default();
                match all.iter_mut().find(|known| known.dispute == disputed.dispute) {
                    Some(known) => *known = disputed,
                    None => all.push(disputed),
                }
            }
        }
    }

    /// Whether these may follow what is there; the error says why not.
    fn check_after(&self, line: &Line) -> Result<(), String> {
        let is_sound = match line {
            Line::Charge(_) | Line::Refund(_) => true,
            Line::Returned(returned) => {
                let is_it = |it: &&PartRefund| (it.refund, it.attempt) == (returned.returned, returned.attempt);
                let refund = self.refunds((returned.order, returned.mint)).iter().find(is_it);
                refund.is_some_and(|refund| self.return_of(refund).is_none())
            }
            Line::Disputed(disputed) => {
                let key = (disputed.order, disputed.mint);
                let is_it = |known: &&Disputed| known.dispute == disputed.dispute;
                match self.disputes(key).iter().find(is_it) {
                    Some(known) => known.status == DisputeStatus::Open && disputed.status != DisputeStatus::Open,
                    None => {
                        let kept = self.kept(key).filter(|kept| kept.currency == disputed.currency);
                        disputed.status == DisputeStatus::Open
                            && kept.is_some_and(|kept| (1..=kept.minor).contains(&disputed.amount_minor))
                    }
                }
            }
        };
        if is_sound { Ok(()) } else { Err(format!("{} tells what cannot have come after its charge", line.key().0)) }
    }

    /// Adds what stands in a line.
    pub(super) fn take(&mut self, line: &[u8]) -> Result<(), String> {
        let has = |name: &[u8]| memchr::memmem::find(line, name).is_some();
        let unread = |error: serde_json::Error| error.to_string();
        let after = match (has(br#""returned":"#), has(br#""dispute":"#)) {
            (true, _) => Some(Line::Returned(serde_json::from_slice(line).map_err(unread)?)),
            (_, true) => Some(Line::Disputed(serde_json::from_slice(line).map_err(unread)?)),
            _ => None,
        };
        if let Some(line) = after {
            self.check_after(&line)?;
            self.add(line);
            return Ok(());
        }
        if memchr::memmem::find(line, br#""refund":"#).is_some() {
            let refund: PartRefund = serde_json::from_slice(line).map_err(|error| error.to_string())?;
            let kept = self.kept(refund.key()).filter(|kept| kept.currency == refund.currency);
            if kept.is_none_or(|kept| !(1..=kept.minor).contains(&refund.amount_minor)) {
                return Err(format!("{} gives back more than was taken", refund.order));
            }
            self.add(Line::Refund(refund));
            return Ok(());
        }
        let change: Change = serde_json::from_slice(line).map_err(|error| error.to_string())?;
        self.check(&change)?;
        self.record(change);
        Ok(())
    }

    /// Adds a change.
    pub(super) fn record(&mut self, change: Change) {
        let place = u32::try_from(self.changes.len()).expect("a charge log of half a terabyte is not read");
        self.latest.insert(change.key(), place);
        self.changes.push(change);
        if self.latest.len() >= SORTED_FROM.max(self.sorted.len() / 8) {
            self.sort();
        }
    }

    /// How each order stands, the one that came to stand so last first. An older line of an order is passed over, and its newer
    /// one was given before: so looking at `n` entries never costs more than 2 `n` lines.
    pub(super) fn newest_first(&self) -> impl Iterator<Item = ChargeLogEntry> {
        let lines = self.changes.iter().enumerate().rev();
        let is_newest =
            move |(at, change): &(usize, &Change)| self.newest(change.key()).map(usize::try_from) == Some(Ok(*at));
        lines.filter(is_newest).map(|(_, change)| change.entry(self.refunded(change.key())))
    }

    /// How the charges of one order stand: there are several where the store was taken back from a backup.
    pub(super) fn entries(&self, order: OrderId) -> impl Iterator<Item = ChargeLogEntry> {
        let first = self.sorted.partition_point(|place| self.key_at(*place) < Some((order, None)));
        let sorted = self.sorted[first..].iter().filter_map(|place| Some((self.key_at(*place)?, *place)));
        let of_order = |(of, _): &Key| *of == order;
        let mut newest: BTreeMap<Key, u32> = sorted.take_while(|(key, _)| of_order(key)).collect();
        let latest = self.latest.range((order, None)..).take_while(|(key, _)| of_order(key));
        newest.extend(latest.map(|(key, place)| (*key, *place)));
        newest
            .into_values()
            .filter_map(move |place| self.at(place))
            .map(|change| change.entry(self.refunded(change.key())))
    }
}

/// Whose charge a line is about.
pub(super) fn order_of(line: &[u8]) -> Result<OrderId, String> {
    #[derive(Deserialize)]
    struct Whose {
        order: OrderId,
    }
    serde_json::from_slice(line).map(|Whose { order }| order).map_err(|error| error.to_string())
}

/// What a charge log file holds.
#[derive(Debug, Default)]
pub(super) struct Contents {
    /// Its complete lines.
    pub(super) book: Book,
    /// Bytes of the complete lines, and of a last line that was never finished.
    pub(super) bytes: Bytes,
}

/// Reads a charge log to its end.
#[cfg(test)]
pub(super) fn read(from: impl std::io::BufRead, path: &Path) -> Result<Contents, SandboxError> {
    let mut book = Book::default();
    let bytes = book_file::read(from, path, |line| book.take(line))?;
    Ok(Contents { book, bytes })
}

/// Opens a charge log for this process alone, and reads it.
pub(super) fn open(path: &Path) -> Result<(Kept, Contents), SandboxError> {
    let mut book = Book::default();
    let (kept, bytes) = book_file::open(path, |line| book.take(line))?;
    Ok((kept, Contents { book, bytes }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    /// Whatever is in order already and whatever came last: what is told of a key is its newest line.
    #[test]
    fn what_is_told_of_a_key_is_its_newest_line_however_many_there_are() {
        const LINES: u64 = 40_000;
        let (mut book, mut plain) = (Book::default(), BTreeMap::new());
        for line in 0..LINES {
            // Scattered, and each key comes again.
            let number = line.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 50;
            let order = OrderId::from_uuid(Uuid::from_u128(u128::from(number / 4).rotate_left(64)));
            let mint = (number % 4 > 0).then_some(Mint([number as u8 % 4; 4]));
            let (reason, currency, at) = (None, Currency::BDT, Timestamp::from_millis(line as i64));
            let status = Status::Charged;
            book.record(Change { order, mint, status, reason, amount_minor: 1, currency, attempt: 1, at });
            plain.insert((order, mint), at);
        }
        assert!(book.sorted.len() > 2 * SORTED_FROM && !book.latest.is_empty());
        assert!(book.latest.len() < SORTED_FROM.max(book.sorted.len() / 8));
        let told = plain.keys().map(|key| (*key, book.standing(*key).expect("it is there").at));
        assert!(told.eq(plain.iter().map(|(key, at)| (*key, *at))));
        assert_eq!(book.standing((OrderId::from_uuid(Uuid::nil()), Some(Mint([9; 4])))), None);
        let mut newest: Vec<Timestamp> = plain.values().copied().collect();
        newest.sort_unstable_by_key(|at| std::cmp::Reverse(*at));
        assert!(book.newest_first().map(|entry| entry.at).eq(newest));
        for (order, _) in plain.keys() {
            let of_order =
                plain.range((*order, None)..=(*order, Some(Mint([9; 4])))).map(|((_, mint), at)| (*mint, *at));
            assert!(book.entries(*order).map(|entry| (entry.mint, entry.at)).eq(of_order), "{order}");
        }
    }
}
