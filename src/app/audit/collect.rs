//! Reading everything an audit judges. What there is one of for each order or cart is put aside as it is read.

use super::entries::{Aside, Said};
use super::facts::{Dealt, Facts, FrameOrder};
use super::history::HistoryFacts;
use super::replaying::{Replays, Seen, is_few};
use super::spill::{Room, Spill};
use super::tables::sorted;
use crate::adapters::sandbox::{CHARGE_LOG_FILE, SandboxError, charge_log_length, for_each_charge_line};
use crate::app::AppError;
use crate::domain::details::DetailName;
use crate::domain::ids::{EntityId as _, Kind};
use crate::domain::order::OrderFilter;
use crate::domain::rows::Shapes;
use crate::followers::STOCK_HISTORY;
use crate::limits;
use crate::persistence::recovery::{FrameReader, for_each_record};
use crate::persistence::services::Repositories;
use crate::ports::jobs::JobFilter;
use crate::ports::{OrdersOf, Partition, Store, StoreError};
use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

/// Snapshots read at a time.
const READ_SNAPSHOTS: u32 = 1_000;
/// Details read at a time.
const READ_DETAILS: u32 = 10_000;
/// Jobs read at a time.
const READ_JOBS: u32 = 10_000;
/// Orders read at a time.
const READ_ORDERS: u32 = 1_000;
/// Bytes of frames read at a time.
const READ_FRAMES: usize = 1 << 20;

/// What was read.
pub(super) struct Collected {
    /// What is known of the whole store.
    pub(super) facts: Facts,
    /// Snapshots and records of carts and customers.
    pub(super) entities: Aside,
    /// Whatever is about orders.
    pub(super) orders: Aside,
    /// Jobs about what is no entity.
    pub(super) other_jobs: u64,
    /// The sandbox's charge log.
    pub(super) books: Books,
}

/// The sandbox's charge log.
#[derive(Debug)]
pub(super) struct Books {
    pub(super) path: PathBuf,
    /// The first line that is wrong, as far as is known, and why.
    pub(super) broken: Option<(u64, String)>,
}

impl Books {
    /// One more line that is wrong.
    pub(super) fn broken(&mut self, line: u64, reason: String) {
        if self.broken.as_ref().is_none_or(|(first, _)| line < *first) {
            self.broken = Some((line, reason));
        }
    }

    /// What is wrong with them, in words.
    pub(super) fn damaged(&self) -> Option<String> {
        let (line, reason) = self.broken.clone()?;
        Some(SandboxError::Broken { path: self.path.clone(), line, reason }.to_string())
    }
}

/// Reads the store, and the charge log in `data_dir` when there is one. The order of the steps is what lets a server go on meanwhile: see the
/// module above.
///
/// # Errors
/// What cannot be reached or read, and what cannot be put aside.
pub(super) async fn collect(store: &Store, data_dir: &Path, room: &Room) -> Result<Collected, AppError> {
    let (mut entities, mut orders) = (Aside::new(Spill::new(room)?), Aside::new(Spill::new(room)?));
    let checkpoints = store.journal.partitions().await?;
    let mut replays = snapshots(store, &mut entities, &mut orders).await?;
    // Before the rows: what is complete by then stays so.
    let remaking = remaking(store).await?;
    let mut facts = Facts { rows: store.queries.catalog().await?, remaking, ..Facts::default() };
    rows(store, &mut orders).await?;
    let mut books = Books { path: data_dir.join(CHARGE_LOG_FILE), broken: None };
    let charged_before = charge_log_until_now(&books.path)?;
    details(store, &mut orders, |name, _| Said::DetailBefore(name.into())).await?;
    let other_jobs = jobs(store, &mut orders).await?;
    let services = Repositories::new(&store.units);
    facts.categories = services.categories.all().await?.1;
    facts.accounts = services.accounts.looked().await?;
    let heads = store.journal.partitions().await?;
    for head in heads.iter().copied() {
        let checkpoint =
            checkpoints.iter().find(|before| before.id == head.id).map_or(0, |before| before.checkpoint_seq);
        let order = read(store, head, checkpoint, &mut replays, &mut entities, &mut orders).await?;
        facts.journal.add(order);
        replays.finish_partition(head.id, &mut facts);
    }
    replays.finish(&mut facts);
    facts.history = history(store, &heads, &facts).await?;
    details(store, &mut orders, |name, erased| Said::DetailAfter(name.into(), erased)).await?;
    if !charges(&mut books, charged_before, &mut orders)? {
        let absent = format!("there is no ledger of the sandbox in {}", data_dir.display());
        facts.charge_log.absent = Some(absent);
    }
    Ok(Collected { facts, entities, orders, other_jobs, books })
}

/// What a follower has made of the vendors' records that were read. It may have gone on since.
async fn history(store: &Store, heads: &[Partition], facts: &Facts) -> Result<HistoryFacts, StoreError> {
    let cursors = store.followers.cursors(Some(STOCK_HISTORY)).await?;
    let read =
        |head: &&Partition| cursors.iter().any(|cursor| cursor.partition == head.id && cursor.seq >= head.tail_seq);
    let mut history = HistoryFacts {
        read: heads.iter().filter(read).map(|head| head.id).collect(),
        from_the_first: heads.iter().filter(|head| head.base_seq == 0).map(|head| head.id).collect(),
        ..HistoryFacts::default()
    };
    let skipped = store.followers.skipped_records().await?.into_iter();
    history.skipped = skipped.filter(|(name, ..)| name == STOCK_HISTORY).map(|(_, entity, _)| entity).collect();
    for (id, vendor) in &facts.vendors {
        if history.has_read(*id) {
            history.sums.extend(store.followers.stock_sums(*id, vendor.version).await?);
        }
    }
    Ok(history)
}

/// Puts jobs aside, and counts those that are about no entity: what is about an account may come to it again.
async fn jobs(store: &Store, orders: &mut Aside) -> Result<u64, AppError> {
    let (mut after, mut others) = (None, 0);
    loop {
        let page = store.jobs.list(JobFilter::default(), after, READ_JOBS).await?;
        after = page.last().map(|job| (job.made_at, job.id));
        for job in &page {
            match job.about.entity() {
                Some(about) => orders.say(about, &Said::job(job.id, job.kind)),
                None => others += 1,
            }
        }
        orders.sound()?;
        if page.len() < READ_JOBS as usize {
            return Ok(others);
        }
    }
}

/// Puts snapshots aside, but those of the kinds that are few.
async fn snapshots(store: &Store, entities: &mut Aside, orders: &mut Aside) -> Result<Replays, AppError> {
    let (mut replays, mut after) = (Replays::default(), None);
    loop {
        let some = store.snapshots.scan(after, READ_SNAPSHOTS).await?;
        let Some(last) = some.last() else { return Ok(replays) };
        after = Some(last.entity);
        for snapshot in some {
            match snapshot.entity.kind {
                Kind::Order => orders.snapshot(&snapshot),
                kind if is_few(kind) => replays.snapshot(snapshot),
                _ => entities.snapshot(&snapshot),
            }
        }
        entities.sound()?;
        orders.sound()?;
    }
}

/// The kinds of which not all rows have the newest shape, this version's or that of a newer one.
async fn remaking(store: &Store) -> Result<BTreeSet<Kind>, StoreError> {
    let (stand, shapes) = (store.checkpoints.remaking().await?, Shapes::default());
    let is_complete = |kind: &Kind| {
        let found = stand.iter().find(|remaking| remaking.kind == *kind);
        shapes.of(*kind) == 0
            || found.is_some_and(|found| found.complete >= found.aim && found.complete >= shapes.of(*kind))
    };
    Ok(Kind::ALL.into_iter().filter(|kind| !is_complete(kind)).collect())
}

/// Puts the rows of orders aside.
async fn rows(store: &Store, orders: &mut Aside) -> Result<(), AppError> {
    let mut after = None;
    loop {
        let mut some = store.queries.orders(OrdersOf::All, &OrderFilter::ANY, after, READ_ORDERS).await?;
        store.queries.fill_goods(&mut some).await?;
        let Some(last) = some.last() else { return Ok(()) };
        after = Some((last.placed_at, last.id));
        for row in some {
            orders.row(&sorted(row));
        }
        orders.sound()?;
    }
}

/// Puts aside which details are there.
async fn details(store: &Store, orders: &mut Aside, say: impl Fn(DetailName, bool) -> Said) -> Result<(), AppError> {
    let mut after = None;
    loop {
        let some = store.details.scan_details(after, READ_DETAILS).await?;
        let Some((order, name, _)) = some.last() else { return Ok(()) };
        after = Some((*order, *name));
        for (order, name, erased) in some {
            orders.say(order.entity(), &say(name, erased));
        }
        orders.sound()?;
    }
}

/// Reads the frames of one partition up to its tail. Records are put aside, but those of the kinds that are few.
async fn read(
    store: &Store,
    head: Partition,
    checkpoint: u64,
    replays: &mut Replays,
    entities: &mut Aside,
    orders: &mut Aside,
) -> Result<FrameOrder, AppError> {
    let mut order = FrameOrder::new(head);
    let mut frames = FrameReader::new(head.id, 0, READ_FRAMES);
    // A running server appends meanwhile.
    while let Some(frame) = frames.next(&*store.journal).await?.filter(|frame| frame.seq <= head.tail_seq) {
        let (mut records, mut strangers) = (0, Vec::new());
        let checkpointed = frame.seq <= checkpoint;
        let read = for_each_record(&frame, |record, line| {
            let of = record.entity;
            records += 1;
            if of.partition(limits::PARTITIONS) != head.id {
                strangers.push(of);
            }
            match of.kind {
                Kind::Order => orders.record(of, line, checkpointed),
                kind if is_few(kind) => replays.record(of, line, checkpointed, |seen| {
                    if let Seen::Vendor(vendor, event) = seen {
                        Dealt::of(event, |order, dealt| orders.say(order.entity(), &Said::Dealt(vendor, dealt)));
                    }
                }),
                _ => entities.record(of, line, checkpointed),
            }
        });
        order.frame(&frame, read.map(|()| records).map_err(|error| error.to_string()));
        strangers.into_iter().for_each(|entity| order.stranger(entity));
        entities.sound()?;
        orders.sound()?;
    }
    Ok(order)
}

/// Up to where the charge log has come; nowhere when there is none.
fn charge_log_until_now(path: &Path) -> Result<u64, AppError> {
    match charge_log_length(path) {
        Err(SandboxError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => Ok(0),
        length => Ok(length?),
    }
}

/// Puts the lines of the charge log aside; those that end by `until` were there before the journal's tails were read. Whether there is one.
fn charges(books: &mut Books, until: u64, orders: &mut Aside) -> Result<bool, AppError> {
    let mut full = None;
    let read = for_each_charge_line(&books.path, |line| {
        if full.is_none() {
            orders.charge(line.order.entity(), line.text, line.number, line.end <= until);
            full = orders.sound().err();
        }
    });
    full.map_or(Ok(()), Err)?;
    match read {
        Ok(()) => Ok(true),
        Err(SandboxError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(SandboxError::Broken { line, reason, .. }) => {
            books.broken(line, reason);
            Ok(true)
        }
        Err(error) => Err(error.into()),
    }
}
