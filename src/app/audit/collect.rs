//! Reading everything an audit judges.

use super::details;
use super::facts::{ChargeLogFacts, Facts, FrameOrder};
use super::history::HistoryFacts;
use super::jobs::JobFacts;
use super::replaying::Replays;
use crate::adapters::sandbox::{CHARGE_LOG_FILE, SandboxError, read_charge_log};
use crate::app::AppError;
use crate::domain::ids::{EntityId as _, Kind};
use crate::domain::order::OrderFilter;
use crate::domain::rows::{Rows, Shapes};
use crate::followers::STOCK_HISTORY;
use crate::limits;
use crate::persistence::recovery::{for_each_frame, for_each_record};
use crate::persistence::services::Repositories;
use crate::ports::jobs::JobFilter;
use crate::ports::{ChargeLogEntry, DetailPlace, OrdersOf, Partition, Snapshot, Store, StoreError};
use std::collections::BTreeSet;
use std::io;
use std::path::Path;

/// Snapshots read at a time.
const READ_SNAPSHOTS: u32 = 1_000;
/// Details read at a time.
const READ_DETAILS: u32 = 10_000;
/// Jobs read at a time.
const READ_JOBS: u32 = 10_000;
/// Orders read at a time.
const READ_ORDERS: u32 = 1_000;

/// Reads the store, and the charge log in `data_dir` when there is one, and makes every entity anew. The order of the steps is what lets
/// a server go on meanwhile: see the module above.
///
/// # Errors
/// What cannot be reached or read.
pub(super) async fn collect(store: &Store, data_dir: &Path) -> Result<Facts, AppError> {
    let checkpoints = store.journal.partitions().await?;
    let mut replays = Replays::new(snapshots(store).await?);
    // Before the rows: what is complete by then stays so.
    let remaking = remaking(store).await?;
    let mut facts = Facts { rows: rows(store).await?, remaking, ..Facts::default() };
    let charge_log = data_dir.join(CHARGE_LOG_FILE);
    let before = charge_log_entries(&charge_log)?;
    facts.details.before = all_details(store).await?;
    facts.jobs = jobs(store).await?;
    let services = Repositories::new(&store.units);
    facts.categories = services.categories.all().await?.1;
    facts.accounts = services.accounts.looked().await?;
    let heads = store.journal.partitions().await?;
    for head in heads.iter().copied() {
        let checkpoint =
            checkpoints.iter().find(|before| before.id == head.id).map_or(0, |before| before.checkpoint_seq);
        let order = replay(store, head, checkpoint, &mut replays).await?;
        facts.journal.add(order);
        replays.finish_partition(head.id, &mut facts);
    }
    replays.finish(&mut facts);
    facts.history = history(store, &heads, &facts).await?;
    facts.details.after =
        all_details(store).await?.into_iter().map(|(order, name, erased)| ((order, name), erased)).collect();
    // Whoever goes on meanwhile lets go of its means of payment in the transaction of its next snapshot.
    for order in details::without_token(&facts).collect::<Vec<_>>() {
        let version = facts.orders.get(&order).map_or(0, |order| order.version);
        let snapshot = store.snapshots.load(order.entity()).await?;
        if snapshot.is_some_and(|snapshot| snapshot.version > version) {
            facts.details.gone_on.insert(order);
        }
    }
    facts.charge_log = match (before, charge_log_entries(&charge_log)?) {
        (Books::Damaged(damaged), _) | (_, Books::Damaged(damaged)) => {
            ChargeLogFacts { damaged: Some(damaged), ..ChargeLogFacts::default() }
        }
        (_, Books::Absent) => {
            let absent = format!("there is no ledger of the sandbox in {}", data_dir.display());
            ChargeLogFacts { absent: Some(absent), ..ChargeLogFacts::default() }
        }
        (before, Books::Read(entries)) => ChargeLogFacts {
            charged_before: before
                .into_entries()
                .filter(|entry| entry.status == "charged")
                .map(|entry| (entry.order, entry.mint))
                .collect(),
            entries: entries.into_iter().map(|entry| ((entry.order, entry.mint), entry)).collect(),
            ..ChargeLogFacts::default()
        },
    };
    Ok(facts)
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

async fn jobs(store: &Store) -> Result<JobFacts, StoreError> {
    let mut all = JobFacts::new();
    let mut after = None;
    loop {
        let page = store.jobs.list(JobFilter::default(), after, READ_JOBS).await?;
        after = page.last().map(|job| (job.made_at, job.id));
        let is_last = page.len() < READ_JOBS as usize;
        all.extend(page.into_iter().map(|job| (job.id, job.kind, job.about)));
        if is_last {
            return Ok(all);
        }
    }
}

async fn snapshots(store: &Store) -> Result<Vec<Snapshot>, StoreError> {
    let mut all: Vec<Snapshot> = Vec::new();
    loop {
        let after = all.last().map(|snapshot| snapshot.entity);
        let mut some = store.snapshots.scan(after, READ_SNAPSHOTS).await?;
        if some.is_empty() {
            return Ok(all);
        }
        all.append(&mut some);
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

async fn rows(store: &Store) -> Result<Rows, StoreError> {
    let mut rows = store.queries.catalog().await?;
    loop {
        let after = rows.orders.last().map(|order| (order.placed_at, order.id));
        let mut some = store.queries.orders(OrdersOf::All, &OrderFilter::ANY, after, READ_ORDERS).await?;
        if some.is_empty() {
            return Ok(rows);
        }
        rows.orders.append(&mut some);
    }
}

async fn all_details(store: &Store) -> Result<Vec<DetailPlace>, StoreError> {
    let mut all: Vec<DetailPlace> = Vec::new();
    loop {
        let after = all.last().map(|(order, name, _)| (*order, *name));
        let mut some = store.details.scan_details(after, READ_DETAILS).await?;
        if some.is_empty() {
            return Ok(all);
        }
        all.append(&mut some);
    }
}

/// Reads the frames of one partition up to its tail.
async fn replay(
    store: &Store,
    head: Partition,
    checkpoint: u64,
    replays: &mut Replays,
) -> Result<FrameOrder, StoreError> {
    let mut order = FrameOrder::new(head);
    for_each_frame(&*store.journal, head.id, 0, |frame| {
        // A running server appends meanwhile.
        if frame.seq > head.tail_seq {
            return Ok(());
        }
        let (mut records, mut strangers) = (0, Vec::new());
        let read = for_each_record(frame, |record, line| {
            records += 1;
            if record.entity.partition(limits::PARTITIONS) != head.id {
                strangers.push(record.entity);
            }
            replays.take(record.entity, line, frame.seq <= checkpoint);
        });
        order.frame(frame, read.map(|()| records).map_err(|error| error.to_string()));
        strangers.into_iter().for_each(|entity| order.stranger(entity));
        Ok(())
    })
    .await?;
    Ok(order)
}

/// What a look at the sandbox's charge log gave.
enum Books {
    Absent,
    Damaged(String),
    Read(Vec<ChargeLogEntry>),
}

impl Books {
    fn into_entries(self) -> impl Iterator<Item = ChargeLogEntry> {
        match self {
            Books::Read(entries) => entries,
            Books::Absent | Books::Damaged(_) => Vec::new(),
        }
        .into_iter()
    }
}

fn charge_log_entries(path: &Path) -> Result<Books, AppError> {
    match read_charge_log(path) {
        Ok(entries) => Ok(Books::Read(entries)),
        Err(SandboxError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => Ok(Books::Absent),
        Err(damaged @ SandboxError::Broken { .. }) => Ok(Books::Damaged(damaged.to_string())),
        Err(error) => Err(error.into()),
    }
}
