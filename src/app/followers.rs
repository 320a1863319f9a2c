//! `haat follower`: how far those have come that read the journal behind the log writer.

use super::text::counted;
use super::{AppError, archive_of, clocks, need_whole_journal, open_archive};
use crate::adapters::clock::SystemClock;
use crate::followers;
use crate::limits;
use crate::persistence::archived::with_archive;
use crate::persistence::{self, Mode, StoreConfig};
use crate::ports::{BeginFrom, Clock as _};
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// One follower as a tool finds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FollowerState {
    /// Its name.
    pub name: String,
    /// Whether this version has it.
    pub is_known: bool,
    /// Frames that it has not read.
    pub behind: u64,
    /// Records that it could not read.
    pub skipped: u64,
}

/// All followers that have cursors.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FollowerList(pub Vec<FollowerState>);

impl fmt::Display for FollowerList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return writeln!(f, "no follower has begun: a server begins them");
        }
        for FollowerState { name, is_known, behind, skipped } in &self.0 {
            write!(f, "{name}: {} behind, {} left out", counted(*behind, "frame"), counted(*skipped, "record"))?;
            writeln!(
                f,
                "{}",
                if *is_known { "" } else { "; this version has no such follower: `haat follower drop`" }
            )?;
        }
        Ok(())
    }
}

/// Looks at them, beside a running server.
///
/// # Errors
/// What the store says.
pub async fn list(config: &StoreConfig) -> Result<FollowerList, AppError> {
    let store = persistence::open(config, Mode::Tool).await?;
    // Cursors first: what is committed meanwhile only makes them look further behind than they are.
    let cursors = store.followers.cursors(None).await?;
    let mut skipped: BTreeMap<String, u64> = BTreeMap::new();
    for (follower, _, records) in store.followers.skipped_records().await? {
        *skipped.entry(follower).or_default() += records;
    }
    let tails: BTreeMap<u16, u64> =
        store.journal.partitions().await?.into_iter().map(|partition| (partition.id, partition.tail_seq)).collect();
    let mut behind: BTreeMap<String, u64> = BTreeMap::new();
    for cursor in cursors {
        let tail = tails.get(&cursor.partition).copied().unwrap_or(0);
        *behind.entry(cursor.follower).or_default() += tail.saturating_sub(cursor.seq);
    }
    let known = followers::names();
    let state = |(name, behind): (String, u64)| FollowerState {
        is_known: known.contains(&name.as_str()),
        skipped: skipped.get(&name).copied().unwrap_or(0),
        behind,
        name,
    };
    Ok(FollowerList(behind.into_iter().map(state).collect()))
}

/// Forgets where a follower stands. One that this version has would begin anew, and make twice what it has made.
///
/// # Errors
/// When this version has it, when there is none of that name, and what the store says.
pub async fn forget(config: &StoreConfig, name: &str) -> Result<(), AppError> {
    if followers::names().contains(&name) {
        return Err(AppError::Asked(format!("this version has the follower '{name}': it would begin anew")));
    }
    let store = persistence::open(config, Mode::Upkeep).await?;
    match store.followers.forget_follower(name).await? {
        true => Ok(()),
        false => Err(AppError::Asked(format!("there is no follower '{name}': `haat follower list` names them"))),
    }
}

/// Makes anew what a follower has made: a projection alone, since a follower that makes jobs would have everything done again. No server may
/// run on the embedded store; on Postgres one that runs is fenced. Gives how many frames were read.
///
/// # Errors
/// When there is no such projection, when the store cannot be taken, read or written, or when its journal is not whole.
pub async fn rebuild(config: &StoreConfig, name: &str) -> Result<u64, AppError> {
    let follower = followers::all().into_iter().find(|follower| follower.name() == name);
    let follower = follower.ok_or_else(|| AppError::Asked(format!("this version has no follower '{name}'")))?;
    if follower.begins() != BeginFrom::First {
        return Err(AppError::Asked(format!("'{name}' makes jobs: made anew, all of them would be done again")));
    }
    persistence::must_be_there(config).await?;
    let mut store = persistence::open(config, Mode::Serve).await?;
    need_whole_journal(config, &store).await?;
    if let Some(archive) = archive_of(config)? {
        store = with_archive(store, &open_archive(&archive, Mode::Tool).await?).await?;
    }
    let clock = SystemClock::default();
    clocks::agree(&*store.journal, &clock).await?;
    let owner = format!("{}/rebuild/{}", std::process::id(), clock.new_uuid());
    let taken = store.journal.acquire(&owner, Duration::from_millis(limits::LEASE_MS), clock.now()).await?;
    let frames = followers::remake(&store, &taken, follower).await?;
    store.journal.release(&taken).await?;
    Ok(frames)
}
