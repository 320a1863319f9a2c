//! The sandbox's charge log: what became of every charge, as lines of JSON in a file and as an index in memory.
//!
//! One line per change, oldest first; nothing is ever rewritten:
//!
//! ```json
//! {"order":"order_01h2xcejqtf2nbrexx3vqjhp41","status":"charged","amount_minor":125000,"currency":"BDT","at":1763683200000}
//! ```
//!
//! `mint` is there since orders have one: order and mint together are the idempotency key. A key's first line says `charged`, `declined` or `voided`; only a charged one has a second, `refunded`. A file that says
//! otherwise was not written by us, or not by us alone, and is refused.

use super::SandboxError;
use super::book_file::{self, Bytes, Kept};
use crate::domain::buyer::Mint;
use crate::domain::entity::PaymentCall;
use crate::domain::ids::OrderId;
use crate::domain::money::{Currency, Money};
use crate::domain::payment::TOKEN_GONE;
use crate::domain::time::Timestamp;
use crate::ports::ChargeLogEntry;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io::BufRead;
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

    fn entry(&self) -> ChargeLogEntry {
        ChargeLogEntry {
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
/// It costs 48 bytes a line and 40 to 60 of the index a key: about 100 MB for a million charges.
#[derive(Debug, Default)]
pub(super) struct Book {
    changes: Vec<Change>,
    newest: BTreeMap<Key, usize>,
}

// What the figure above counts on.
const _: () = assert!(size_of::<Change>() <= 48);

impl Book {
    /// How the charge under this key stands.
    pub(super) fn standing(&self, key: Key) -> Option<&Change> {
        self.changes.get(*self.newest.get(&key)?)
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

    /// Adds the change that stands in a line.
    fn take(&mut self, line: &[u8]) -> Result<(), String> {
        let change: Change = serde_json::from_slice(line).map_err(|error| error.to_string())?;
        self.check(&change)?;
        self.record(change);
        Ok(())
    }

    /// Adds a change.
    pub(super) fn record(&mut self, change: Change) {
        self.newest.insert(change.key(), self.changes.len());
        self.changes.push(change);
    }

    /// How each order stands, the one that came to stand so last first. An older line of an order is passed over, and its newer
    /// one was given before: so looking at `n` entries never costs more than 2 `n` lines.
    pub(super) fn newest_first(&self) -> impl Iterator<Item = ChargeLogEntry> {
        let lines = self.changes.iter().enumerate().rev();
        lines.filter(|(at, change)| self.newest.get(&change.key()) == Some(at)).map(|(_, change)| change.entry())
    }

    /// How the charges of one order stand: there are several where the store was taken back from a backup.
    pub(super) fn entries(&self, order: OrderId) -> impl Iterator<Item = ChargeLogEntry> {
        let of_order = self.newest.range((order, None)..).take_while(move |((of, _), _)| *of == order);
        of_order.filter_map(|(_, at)| self.changes.get(*at)).map(Change::entry)
    }
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
pub(super) fn read(from: impl BufRead, path: &Path) -> Result<Contents, SandboxError> {
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
