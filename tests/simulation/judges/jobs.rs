//! What the world hears of: each paid order is one job, as is each refund that was asked for, each job comes to an end, and its mail is delivered, to the buyer and to nobody else; a
//! second time only where nobody could know of the first.

use super::replay::Recorded;
use super::{Causes, Judge, Replay};
use crate::gateway::Books;
use crate::post::{Delivered, Post};
use crate::store::Disk;
use crate::world::{World, lock};
use haat::domain::details::DetailName;
use haat::domain::ids::{EntityRef, Kind, OrderId};
use haat::domain::job::{JobKind, JobState};
use haat::ports::jobs::JobRow;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

/// The orders that the journal says were paid, and what they give back.
pub struct Jobs {
    paid: Mutex<BTreeMap<EntityRef, u32>>,
    /// Refunds that were asked for, and asked for again.
    refunds: Mutex<BTreeMap<EntityRef, u32>>,
    post: Arc<Post>,
    provider: Arc<Books>,
    world: Arc<World>,
}

/// In one minute an order is looked at once.
const LOOK_MS: i64 = 60_000;

/// What a job is about, which here is always an entity.
fn entity(job: &JobRow) -> EntityRef {
    job.about.entity().expect("nobody has an account here")
}

fn is_refund(job: &JobRow) -> bool {
    job.kind == JobKind::RefundOrder
}

/// Whether it is no mail, and no refund.
fn is_of_none(job: &JobRow) -> bool {
    job.kind.comes_again()
}

impl Jobs {
    pub fn new(world: Arc<World>, post: Arc<Post>, provider: Arc<Books>) -> Self {
        Self { paid: Mutex::default(), refunds: Mutex::default(), post, provider, world }
    }

    /// An order is looked at because the provider said something of it, and once a minute however often that was said.
    fn looks(&self, disk: &Disk) {
        let told = self.provider.outbox.changed_ever();
        let mut minutes = BTreeSet::new();
        for row in disk.jobs.values().map(|job| &job.row).filter(|row| row.kind == JobKind::LookAtPayment) {
            let of = entity(row);
            self.world.count("looks at payments");
            if !told.contains(&OrderId::from_uuid(of.uuid)) {
                self.world.breach(format_args!("{} is about {of}, of which nobody said anything", row.id));
            }
            if !minutes.insert((of, row.made_at.as_millis().div_euclid(LOOK_MS))) {
                self.world.breach(format_args!("{} looks at {of} a second time in its minute", row.id));
            }
            // The last start has asked again what has changed: its looks need not have ended.
            let has_given_up = matches!(row.state, JobState::GaveUp | JobState::Suppressed);
            if has_given_up && !disk.damage.ever().contains(&of) {
                self.world.breach(format_args!("{} of a look is {:?}", row.id, row.state));
            }
        }
    }

    /// Whatever was lost on the way to a courier, each of these comes to an end.
    fn bookings(&self, disk: &Disk) {
        let damaged = disk.damage.ever();
        for row in disk.jobs.values().map(|job| &job.row).filter(|row| row.kind == JobKind::BookParcels) {
            self.world.count("jobs of parcels");
            if row.state != JobState::Done && !damaged.contains(&entity(row)) {
                self.world.breach(format_args!("{} of a parcel is {:?}: {:?}", row.id, row.state, row.note));
            }
        }
    }

    /// What is left when the last node has stopped as it should.
    pub fn left(&self, disk: &Disk) {
        self.looks(disk);
        self.bookings(disk);
        let damaged = disk.damage.ever();
        for (told, refunds, what) in [(&self.paid, false, "payments"), (&self.refunds, true, "refunds")] {
            let mut of_order: BTreeMap<EntityRef, u32> = BTreeMap::new();
            let jobs =
                disk.jobs.values().map(|job| &job.row).filter(|row| !is_of_none(row) && is_refund(row) == refunds);
            jobs.for_each(|row| *of_order.entry(entity(row)).or_default() += 1);
            let mut told = lock(told).clone();
            told.retain(|order, _| !damaged.contains(order));
            of_order.retain(|order, _| !damaged.contains(order));
            if told != of_order {
                self.world
                    .breach(format_args!("the journal has {what} of {told:?}, and there are jobs of {of_order:?}"));
            }
        }
        self.post.delivered(|mails| {
            for job in disk.jobs.values().filter(|job| !is_of_none(&job.row)) {
                if is_refund(&job.row) {
                    let has_ended = job.row.state == JobState::Done || damaged.contains(&entity(&job.row));
                    if !has_ended {
                        self.world.breach(format_args!("{} of a refund is {:?}", job.row.id, job.row.state));
                    }
                    continue;
                }
                let delivered = mails.get(&job.row.id);
                if let Err(what) = self.judge(disk, job.row.state, entity(&job.row), delivered) {
                    self.world.breach(format_args!("{} of {}: {what}", job.row.id, job.row.about));
                }
            }
            let delivered = mails.iter().filter(|(_, delivered)| !delivered.to.is_empty());
            for (id, _) in delivered.filter(|(id, _)| !disk.jobs.contains_key(id)) {
                self.world.breach(format_args!("a mail of {id}, which is no job"));
            }
        });
    }

    fn judge(
        &self,
        disk: &Disk,
        state: JobState,
        about: EntityRef,
        delivered: Option<&Delivered>,
    ) -> Result<(), String> {
        let to = delivered.map(|delivered| &delivered.to[..]).unwrap_or_default();
        let refused = delivered.is_some_and(|delivered| delivered.refused);
        let contact = disk.details.get(&(OrderId::from_uuid(about.uuid), DetailName::Contact));
        let contact: Option<Value> =
            contact.and_then(Option::as_deref).and_then(|body| serde_json::from_slice(body).ok());
        let buyer = contact.as_ref().and_then(|contact| contact["email"].as_str());
        if to.iter().any(|to| Some(to.as_str()) != buyer) {
            return Err(format!("it was sent to {to:?}, and its buyer is {buyer:?}"));
        }
        match state {
            JobState::Done if to.is_empty() => Err("it is done, and nothing was delivered".to_owned()),
            JobState::GaveUp if !refused => Err("it gave up, and nobody had refused it".to_owned()),
            JobState::Done | JobState::GaveUp => Ok(()),
            // Cancelled after it was paid, or of a damaged order.
            JobState::Suppressed => Ok(()),
            JobState::Due | JobState::Sending | JobState::Unknown | JobState::LookingUp => {
                Err(format!("it has not ended: {state:?}"))
            }
        }
    }
}

impl Judge for Jobs {
    fn record(&self, _: &Replay, record: &Recorded<'_>, _: &mut Causes) {
        if record.entity.kind != Kind::Order {
            return;
        }
        let line: Value = serde_json::from_slice(record.line).expect("the engine wrote it");
        let events = line["ev"].as_array().cloned().unwrap_or_default();
        for _ in events.iter().filter(|event| event["type"] == "paid" || event["type"] == "confirmed") {
            *lock(&self.paid).entry(record.entity).or_default() += 1;
        }
        // Of a dispute that is over: what waited for that, or is left of it.
        let is_left = |event: &Value| {
            let shares = event.get("shares").and_then(Value::as_array).into_iter().flatten();
            event.get("refund_resumed").is_some() || shares.into_iter().any(|it| it.get("refund_requested").is_some())
        };
        let asks = |event: &&Value| {
            // What was too much at a door is given back by hand.
            let is_cash = event["type"] == "cash_collected";
            (event.get("refund_requested").is_some() && !is_cash) || event["type"] == "refund_retried" || is_left(event)
        };
        for _ in events.iter().filter(asks) {
            *lock(&self.refunds).entry(record.entity).or_default() += 1;
        }
    }
}
