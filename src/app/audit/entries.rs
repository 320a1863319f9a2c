//! What an audit puts aside about an entity until it comes to it, as bytes and back.

use super::facts::{CartFacts, Dealt};
use super::spill::Spill;
use crate::app::AppError;
use crate::domain::cart::CartEvent;
use crate::domain::details::DetailName;
use crate::domain::entity::Part;
use crate::domain::ids::{CartId, CustomerId, EntityId as _, EntityRef, JobId, OrderId, VendorId};
use crate::domain::job::JobKind;
use crate::domain::json;
use crate::domain::order::Phase;
use crate::domain::rows::OrderRow;
use crate::ports::Snapshot;
use serde::{Deserialize, Serialize};

/// What an entry begins with.
const SNAPSHOT: u8 = 0;
const RECORD: u8 = 1;
const CHECKPOINTED_RECORD: u8 = 2;
const CHARGE: u8 = 3;
const ROW: u8 = 4;
const SAID: u8 = 5;

/// What was said about an entity by whatever was read before its turn.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Said {
    /// A detail of it was there before the journal's tails were read.
    DetailBefore(Name),
    /// A detail of it was there after the journal was read, and whether it was erased.
    DetailAfter(Name, bool),
    /// A job is about it: its name.
    Job(JobId, String),
    /// Its cart recorded the checkout with details.
    Detailed,
    /// This cart is checked out with it.
    CheckedOut(CartId),
    /// This customer counts it among the open orders that are to be paid at the door.
    Counted(CustomerId),
    /// This customer holds points for it.
    HoldsPoints(CustomerId),
    /// What a vendor did for it.
    Dealt(VendorId, Dealt),
    /// Of a cart: how it stands.
    Cart(CartFacts),
    /// Of a cart that was given: what this cart recorded of it.
    Merged(CartId, Box<CartEvent>),
    /// Of a cart: an order that came from it, and where that stands.
    Placed(OrderId, Phase),
}

/// The name of a detail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Name {
    Contact,
    Payment,
    Notes,
}

impl From<DetailName> for Name {
    fn from(name: DetailName) -> Self {
        match name {
            DetailName::Contact => Name::Contact,
            DetailName::Payment => Name::Payment,
            DetailName::Notes => Name::Notes,
        }
    }
}

impl From<Name> for DetailName {
    fn from(name: Name) -> Self {
        match name {
            Name::Contact => DetailName::Contact,
            Name::Payment => DetailName::Payment,
            Name::Notes => DetailName::Notes,
        }
    }
}

impl Said {
    /// That this job is about it.
    pub(super) fn job(id: JobId, kind: JobKind) -> Self {
        Said::Job(id, kind.name().to_owned())
    }
}

/// One thing about an entity.
#[derive(Debug)]
pub(super) enum Entry<'a> {
    /// Its snapshot.
    Snapshot(Snapshot),
    /// One of its records, and whether the checkpoint is at or after its frame.
    Record { line: &'a [u8], checkpointed: bool },
    /// A line of the sandbox's charge log, which one, and whether it was there before the journal's tails were read.
    Charge { line: &'a [u8], number: u64, before: bool },
    /// An order's row in the read tables, as JSON.
    Row(&'a [u8]),
    /// Anything else.
    Said(Said),
}

/// Puts things aside. What cannot be written is told by [`Spill::sound`].
#[derive(Debug)]
pub(super) struct Aside {
    spill: Spill,
    bytes: Vec<u8>,
}

impl Aside {
    /// To this file.
    pub(super) fn new(spill: Spill) -> Self {
        Self { spill, bytes: Vec::new() }
    }

    /// The file.
    pub(super) fn into_spill(self) -> Spill {
        self.spill
    }

    /// Whether all was written: see [`Spill::sound`].
    ///
    /// # Errors
    /// The first that could not be.
    pub(super) fn sound(&mut self) -> Result<(), AppError> {
        self.spill.sound()
    }

    /// A snapshot, about its entity.
    pub(super) fn snapshot(&mut self, snapshot: &Snapshot) {
        self.begin(SNAPSHOT);
        self.bytes.extend(snapshot.version.to_le_bytes());
        for Part { name, state } in &snapshot.parts {
            self.part(Some(name.as_bytes()));
            self.part(state.as_deref());
        }
        self.put(snapshot.entity);
    }

    /// A record.
    pub(super) fn record(&mut self, of: EntityRef, line: &[u8], checkpointed: bool) {
        self.begin(if checkpointed { CHECKPOINTED_RECORD } else { RECORD });
        self.bytes.extend_from_slice(line);
        self.put(of);
    }

    /// A line of the charge log.
    pub(super) fn charge(&mut self, of: EntityRef, line: &[u8], number: u64, before: bool) {
        self.begin(CHARGE);
        self.bytes.push(u8::from(before));
        self.bytes.extend(number.to_le_bytes());
        self.bytes.extend_from_slice(line);
        self.put(of);
    }

    /// An order's row in the read tables. Its JSON is told as it is: a row that is as its order says need not be read.
    pub(super) fn row(&mut self, row: &OrderRow) {
        self.begin(ROW);
        // Texts and numbers in structs: this cannot fail.
        json::write(&mut self.bytes, row).expect("a row is serializable");
        self.put(row.id.entity());
    }

    /// Anything else.
    pub(super) fn say(&mut self, of: EntityRef, said: &Said) {
        self.begin(SAID);
        // Nor can this.
        json::write(&mut self.bytes, said).expect("what is said is serializable");
        self.put(of);
    }

    fn begin(&mut self, tag: u8) {
        self.bytes.clear();
        self.bytes.push(tag);
    }

    /// With its length before it; none has length 0, and an empty one 1.
    fn part(&mut self, bytes: Option<&[u8]>) {
        let length = bytes.map_or(0, |bytes| bytes.len() as u64 + 1);
        self.bytes.extend(length.to_le_bytes());
        self.bytes.extend_from_slice(bytes.unwrap_or_default());
    }

    fn put(&mut self, of: EntityRef) {
        self.spill.put(of, &self.bytes);
    }
}

/// What these bytes say of the entity; an error is what the disk has made of them.
pub(super) fn entry(of: EntityRef, bytes: &[u8]) -> Result<Entry<'_>, String> {
    let torn = || "it ends too early".to_owned();
    let (tag, mut rest) = bytes.split_first().ok_or_else(torn)?;
    match *tag {
        SNAPSHOT => {
            let version = number(&mut rest).ok_or_else(torn)?;
            let mut parts = Vec::new();
            while !rest.is_empty() {
                let name = part(&mut rest).flatten().ok_or_else(torn)?;
                let name = String::from_utf8(name.to_vec()).map_err(|error| error.to_string())?;
                let state = part(&mut rest).ok_or_else(torn)?.map(<[u8]>::to_vec);
                parts.push(Part { name, state });
            }
            Ok(Entry::Snapshot(Snapshot { entity: of, version, parts }))
        }
        RECORD | CHECKPOINTED_RECORD => Ok(Entry::Record { line: rest, checkpointed: *tag == CHECKPOINTED_RECORD }),
        CHARGE => {
            let (before, mut rest) = rest.split_first().ok_or_else(torn)?;
            let number = number(&mut rest).ok_or_else(torn)?;
            Ok(Entry::Charge { line: rest, number, before: *before != 0 })
        }
        ROW => Ok(Entry::Row(rest)),
        SAID => serde_json::from_slice(rest).map(Entry::Said).map_err(|error| error.to_string()),
        other => Err(format!("it begins with {other}")),
    }
}

fn number(rest: &mut &[u8]) -> Option<u64> {
    let (number, after) = rest.split_first_chunk()?;
    *rest = after;
    Some(u64::from_le_bytes(*number))
}

fn part<'a>(rest: &mut &'a [u8]) -> Option<Option<&'a [u8]>> {
    let Some(length) = number(rest)?.checked_sub(1) else { return Some(None) };
    let (part, after) = rest.split_at_checked(usize::try_from(length).ok()?)?;
    *rest = after;
    Some(Some(part))
}

#[cfg(test)]
mod tests {
    use super::super::facts::samples::{cart, lines, order, order_id, vendor};
    use super::super::spill::Room;
    use super::*;
    use crate::domain::cart::CartStatus;
    use crate::domain::ids::Kind;
    use tempfile::TempDir;
    use uuid::Uuid;

    #[test]
    fn what_is_put_aside_is_told_as_it_was() {
        let place = TempDir::new().expect("a directory");
        let directories = vec![place.path().to_owned()];
        let mut aside = Aside::new(Spill::new(&Room { directories, ..Room::default() }).expect("a spill"));
        let (of, job) = (order_id(1).entity(), JobId::from_uuid(Uuid::from_u128(7)));
        let part = |name: &str, state: Option<&[u8]>| Part { name: name.to_owned(), state: state.map(<[u8]>::to_vec) };
        // What a snapshot holds is not known to be text.
        let parts = vec![part("", Some(b"{\xff}")), part("gone", None), part("empty", Some(b""))];
        aside.snapshot(&Snapshot { entity: of, version: 1 << 40, parts });
        aside.record(of, b"one\n", false);
        aside.record(of, b"", true);
        aside.charge(of, b"a charge", 1 << 33, true);
        aside.charge(of, b"another", 2, false);
        aside.row(&order(1).row);
        for said in [
            Said::DetailBefore(DetailName::Contact.into()),
            Said::DetailAfter(DetailName::Payment.into(), true),
            Said::job(job, JobKind::RefundOrder),
            Said::Detailed,
            Said::CheckedOut(cart()),
            Said::Counted(CustomerId::from_uuid(Uuid::from_u128(8))),
            Said::HoldsPoints(CustomerId::from_uuid(Uuid::from_u128(9))),
            Said::Dealt(vendor(), Dealt::Held(vec![lines()[0]], None)),
            Said::Cart(CartFacts { status: CartStatus::Merged, order: Some(order_id(1)) }),
            Said::Merged(cart(), Box::new(CartEvent::MergeAcknowledged)),
            Said::Placed(order_id(2), Phase::Stuck),
        ] {
            aside.say(of, &said);
        }
        let bucket = aside.into_spill().read().expect("written").next().expect("read").expect("one");
        let mut told = Vec::new();
        for (found, entries) in bucket.each() {
            assert_eq!((found, found.kind), (of, Kind::Order));
            told.extend(entries.map(|bytes| format!("{:?}", entry(found, bytes).expect("an entry"))));
        }
        let json = String::from_utf8(json::written(&order(1).row).expect("JSON")).expect("text");
        let expected = [
            format!("Snapshot(Snapshot {{ entity: {of}, version: 1099511627776, parts: [")
                + "Part { name: \"\", state: Some([123, 255, 125]) }, Part { name: \"gone\", state: None }, "
                + "Part { name: \"empty\", state: Some([]) }] })",
            "Record { line: [111, 110, 101, 10], checkpointed: false }".to_owned(),
            "Record { line: [], checkpointed: true }".to_owned(),
            format!("Charge {{ line: {:?}, number: 8589934592, before: true }}", b"a charge"),
            format!("Charge {{ line: {:?}, number: 2, before: false }}", b"another"),
            format!("Row({:?})", json.as_bytes()),
            "Said(DetailBefore(Contact))".to_owned(),
            "Said(DetailAfter(Payment, true))".to_owned(),
            format!("Said(Job({job:?}, \"refund_order\"))"),
            "Said(Detailed)".to_owned(),
            format!("Said(CheckedOut({:?}))", cart()),
            format!("Said(Counted({:?}))", CustomerId::from_uuid(Uuid::from_u128(8))),
            format!("Said(HoldsPoints({:?}))", CustomerId::from_uuid(Uuid::from_u128(9))),
            format!("Said(Dealt({:?}, Held([{:?}], None)))", vendor(), lines()[0]),
            format!("Said(Cart(CartFacts {{ status: Merged, order: Some({:?}) }}))", order_id(1)),
            format!("Said(Merged({:?}, MergeAcknowledged))", cart()),
            format!("Said(Placed({:?}, Stuck))", order_id(2)),
        ];
        assert_eq!(told, expected);
    }

    #[test]
    fn what_the_disk_has_spoiled_is_an_error() {
        let of = order_id(1).entity();
        for bytes in
            [&b""[..], &[9, 1], &[SNAPSHOT, 1], &[CHARGE], &[SAID, b'{'], &[SNAPSHOT, 0, 0, 0, 0, 0, 0, 0, 0, 1]]
        {
            entry(of, bytes).expect_err("it is no entry");
        }
    }
}
