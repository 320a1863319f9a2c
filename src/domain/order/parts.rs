//! How an order stands in a snapshot: a head, and parts of their own for what grows.
//!
//! An order may live for months, and each of its records has its head written again. So the head stays within
//! [`limits::ORDER_HEAD_BYTES`], whatever comes:
//!
//! | part | what | written |
//! | --- | --- | --- |
//! | the head, whose name is empty | all else, and the newest entries of the timeline | with each checkpoint |
//! | `timeline/0`, `timeline/1`, … | the older entries, in blocks | once |
//! | `lines` | of an order with many lines: lines, legs, shares, and why it was refused | when it has changed |
//!
//! Most orders have none but the head. All parts are read together: to decide, an order looks at all of its timeline.

use super::booking::CancelWish;
use super::legs::Leg;
use super::refund::Made;
use super::share::Share;
use super::shipment::Parcel;
use super::state::Body;
use super::{Order, OrderLine, Refund, Return, TimelineEntry};
use crate::domain::entity::{Decides as _, Part, RestoreError, read_own, read_part, write_part};
use crate::domain::ids::OrderId;
use crate::domain::reject::Reject;
use crate::limits;
use serde::{Deserialize, Serialize, de};
use std::collections::BTreeMap;
use std::hash::BuildHasher;
use std::mem::{replace, take};

/// The part with what an order was placed with.
const LINES_PART: &str = "lines";
/// Bytes of lines, legs and shares that stand in the head; with more they are a part of their own.
const LINES_BYTES: usize = 2_048;
/// Bytes of a block of the timeline from which on it is full, if it is not by its entries. A store that holds blocks goes on with
/// them whatever this is; but an audit makes them anew and compares, so this and [`limits::TIMELINE_BLOCK`] never change.
const BLOCK_BYTES: usize = 3_072;

/// What of an order stands in parts of its own, as far as the store was given it. It follows from the rest, and is in no comparison.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Apart(Option<Box<Parts>>);

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Parts {
    /// Blocks of the timeline.
    #[serde(default, skip_serializing_if = "is_none")]
    timeline: u32,
    /// Whether there is a part with the lines.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    lines: bool,
    /// Where each block ends in the timeline.
    #[serde(skip)]
    ends: Vec<usize>,
    /// What the part with the lines was when it was given last: a hash of it.
    #[serde(skip)]
    given_lines: Option<u64>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
fn is_none(blocks: &u32) -> bool {
    *blocks == 0
}

impl PartialEq for Apart {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Apart {}

impl Apart {
    pub(super) fn is_nothing(&self) -> bool {
        self.0.is_none()
    }
}

/// What an order was placed with, and what has become of it.
#[derive(Serialize, Deserialize)]
struct Lines {
    lines: Vec<OrderLine>,
    #[serde(rename = "sub_orders")]
    legs: Vec<Leg>,
    #[serde(default)]
    shares: Vec<Share>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rejection: Option<Reject>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    credits: Vec<Made>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    refunds: Vec<Refund>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    parcels: Vec<Parcel>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    returns: Vec<Return>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    wishes: Vec<CancelWish>,
}

impl Lines {
    fn take_from(body: &mut Body) -> Self {
        let (lines, legs, shares) = (take(&mut body.lines), take(&mut body.legs), take(&mut body.shares));
        let (credits, refunds) = (take(&mut body.credits), take(&mut body.refunds));
        let (parcels, returns, wishes) = (take(&mut body.parcels), take(&mut body.returns), take(&mut body.wishes));
        Self { lines, legs, shares, rejection: body.rejection.take(), credits, refunds, parcels, returns, wishes }
    }

    fn put_into(self, body: &mut Body) {
        (body.lines, body.legs, body.shares, body.rejection) = (self.lines, self.legs, self.shares, self.rejection);
        (body.credits, body.refunds, body.parcels) = (self.credits, self.refunds, self.parcels);
        (body.returns, body.wishes) = (self.returns, self.wishes);
    }
}

fn hash_of(part: &Part) -> u64 {
    foldhash::quality::FixedState::default().hash_one(part.state.as_deref())
}

fn block_name(number: u32) -> String {
    format!("timeline/{number}")
}

/// Bytes of this text in JSON.
fn written_len(text: &str) -> usize {
    text.len() + text.bytes().filter(|byte| matches!(byte, b'"' | b'\\')).count()
}

impl TimelineEntry {
    /// About how many bytes of JSON it is: not fewer.
    fn written_len(&self) -> usize {
        let reason = self.reason.as_deref().map_or(0, |reason| 12 + written_len(reason));
        let resolution = self.resolution.as_deref().map_or(0, |resolution| {
            let reference = resolution.reference.as_deref().map_or(0, written_len);
            160 + written_len(&resolution.by) + written_len(&resolution.note) + reference
        });
        let vendor = if self.vendor.is_some() { 46 } else { 0 };
        let amount = if self.amount.is_some() { 30 } else { 0 };
        let currency = if self.currency.is_some() { 17 } else { 0 };
        let by = if self.by.is_some() { 70 } else { 0 };
        let shipment = if self.shipment.is_some() { 52 } else { 0 };
        38 + by + shipment + self.kind.len() + vendor + amount + currency + reason + resolution
    }
}

impl Body {
    /// Whether lines, legs and shares are a part of their own: by what it was placed with, and by its bill once it has one. What a part of its
    /// own has become stays one, since neither grows less. Cancels that wait for couriers come and go: they stand there with the parcels that they
    /// wait for, which stay.
    fn has_many_lines(&self) -> bool {
        if !self.parcels.is_empty() {
            return true;
        }
        let billed = |line: &OrderLine| line.billed.as_ref().map_or(0, |billed| 420 + 120 * billed.discounts.len());
        let lines: usize = self.lines.iter().map(|line| 190 + written_len(&line.title) + billed(line)).sum();
        // With the references and the reasons that a refund may come to have.
        let taken_back = 120 * self.credits.len() + 700 * self.refunds.len();
        let returned = |known: &Return| 400 + 200 * known.lines.len();
        let returns: usize = self.returns.iter().map(returned).sum();
        returns + lines + 210 * self.legs.len() + taken_back > LINES_BYTES
    }

    /// Where the blocks end that are full behind the last of `ends`.
    fn add_full_blocks(&self, ends: &mut Vec<usize>) {
        let (mut entries, mut bytes) = (0, 0);
        for (place, entry) in self.timeline.iter().enumerate().skip(ends.last().copied().unwrap_or(0)) {
            entries += 1;
            bytes += entry.written_len();
            if entries >= limits::TIMELINE_BLOCK || bytes >= BLOCK_BYTES {
                ends.push(place + 1);
                (entries, bytes) = (0, 0);
            }
        }
    }
}

impl Order {
    /// The parts that have changed since the last call: the head always, and first.
    pub(super) fn changed_parts(&mut self) -> Vec<Part> {
        let Some(body) = &mut self.body else {
            return vec![write_part(String::new(), self)];
        };
        let mut parts = take(&mut self.apart.0).map_or_else(Parts::default, |parts| *parts);
        let mut changed = Vec::with_capacity(1);
        body.add_full_blocks(&mut parts.ends);
        let given = usize::try_from(parts.timeline).unwrap_or(usize::MAX);
        for (block, end) in parts.ends.iter().copied().enumerate().skip(given) {
            let begin = block.checked_sub(1).map_or(0, |before| parts.ends[before]);
            changed.push(write_part(block_name(parts.timeline), &body.timeline[begin..end]));
            parts.timeline += 1;
        }
        // What stands in parts of its own is laid aside while the head is written.
        let older = parts.ends.last().copied().map(|end| {
            let newest = body.timeline.split_off(end);
            replace(&mut body.timeline, newest)
        });
        parts.lines = body.has_many_lines();
        let lines = parts.lines.then(|| Lines::take_from(body));
        if let Some(lines) = &lines {
            let part = write_part(LINES_PART.to_owned(), lines);
            let hash = Some(hash_of(&part));
            if replace(&mut parts.given_lines, hash) != hash {
                changed.push(part);
            }
        }
        self.apart.0 = (parts.lines || parts.timeline > 0).then(|| Box::new(parts));
        let head = write_part(String::new(), self);
        if let Some(body) = &mut self.body {
            if let Some(older) = older {
                let mut newest = replace(&mut body.timeline, older);
                body.timeline.append(&mut newest);
            }
            lines.into_iter().for_each(|lines| lines.put_into(body));
        }
        changed.insert(0, head);
        changed
    }

    /// The order of these parts, as they were written.
    pub(super) fn of_parts(id: OrderId, parts: &[Part]) -> Result<Self, RestoreError> {
        let Some(head) = parts.first() else { return Ok(Self::new(id)) };
        let mut order: Self = read_own(head, id, |order: &Self| order.id)?;
        let Some(mut apart) = take(&mut order.apart.0) else { return Ok(order) };
        // No order that is yet to be placed has parts.
        let Some(body) = &mut order.body else { return Ok(order) };
        let by_name: BTreeMap<&str, &Part> = parts.iter().map(|part| (part.name.as_str(), part)).collect();
        let find = |name: String| {
            let found = by_name.get(name.as_str()).copied();
            found
                .ok_or_else(|| RestoreError { part: name, source: de::Error::custom("the head says that it is there") })
        };
        let mut timeline: Vec<TimelineEntry> = Vec::new();
        for block in 0..apart.timeline {
            timeline.append(&mut read_part(find(block_name(block))?)?);
            apart.ends.push(timeline.len());
        }
        timeline.append(&mut body.timeline);
        body.timeline = timeline;
        if apart.lines {
            let part = find(LINES_PART.to_owned())?;
            read_part::<Lines>(part)?.put_into(body);
            apart.given_lines = Some(hash_of(part));
        }
        order.apart.0 = Some(apart);
        Ok(order)
    }
}
