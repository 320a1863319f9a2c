//! `haat archive`: moves old frames out of the store into an archive.
//!
//! An archive is a file of the embedded store's kind. It holds the frames as they were, and snapshots and read tables as they were at its newest frame: the
//! base from which what follows can be replayed. Frames are dropped from the store only when the archive
//! has them on its disk, when every entity could be made from them, and when both copies were compared. A few things make that safe
//! beside a running server, and after a crash at any moment:
//!
//! - Only frames before the checkpoint move, which no server reads again. A quarantined record holds the checkpoint back, and so stays.
//! - The newest frame of an archive stays in the store, too: by it the two know each other, and a partition is never empty.
//! - Each step can be repeated: the archive goes on where it ends, and the store notes up to where frames may be gone before the first goes.

use super::rebuild::make;
use super::text::{counted, parse_rfc3339, rfc3339};
use super::{AppError, archive_config, clocks, open_archive};
use crate::adapters::clock::SystemClock;
use crate::domain::rows::Shapes;
use crate::domain::text::printable;
use crate::domain::time::Timestamp;
use crate::files;
use crate::persistence::archived::{same_frames, with_archive};
use crate::persistence::recovery::{FrameReader, recover};
use crate::persistence::{self, Mode, Place, StoreConfig};
use crate::ports::{CheckpointWrite, Clock, Frame, Journal, Partition, Store, StoreError};
use std::collections::BTreeSet;
use std::fmt;
use std::io;
use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

/// Frames in one transaction of the archive.
const FRAMES: usize = 256;
/// Frames whose records are in memory at the same time.
const STEP: u64 = 20_000;
/// Bytes of frames read at a time, and in one transaction of the archive.
const READ_BYTES: usize = 4 * 1024 * 1024;

/// What was archived.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Archive {
    /// Frames that the archive has got.
    pub archived: u64,
    /// Frames that were compared, and then dropped from the store.
    pub dropped: u64,
    /// Entities of which the archive holds a newer state than before.
    pub entities: u64,
    /// What could not be made of the frames, in words: the partitions concerned keep all of them.
    pub failed: Vec<String>,
    /// Whose rows the archive's own tables refused, in words. Its snapshots and frames are whole.
    pub refused: Vec<String>,
    /// Followers that have not read all that is archived: the store keeps it for them.
    pub kept_for: BTreeSet<String>,
}

/// Which frames are old enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Before {
    /// Those older than so much.
    Age(Duration),
    /// Those committed before this moment.
    Moment(Timestamp),
}

impl FromStr for Before {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let digits = text.trim_end_matches(|letter: char| letter.is_ascii_lowercase());
        let seconds = match &text[digits.len()..] {
            "d" => 86_400,
            "h" => 3_600,
            "m" => 60,
            "s" => 1,
            _ => {
                return parse_rfc3339(text)
                    .map(Before::Moment)
                    .map_err(|error| format!("{error}, and no age such as 90d or 12h either"));
            }
        };
        let count: u64 = digits.parse().map_err(|_| format!("'{text}' is no age such as 90d or 12h"))?;
        let age = count.checked_mul(seconds).filter(|age| *age < 1_000_000_000_000);
        age.map(|age| Before::Age(Duration::from_secs(age)))
            .ok_or_else(|| format!("'{text}' is longer than any shop is old"))
    }
}

impl Before {
    fn moment(self, now: Timestamp) -> Timestamp {
        match self {
            Before::Age(age) => {
                let millis = i64::try_from(age.as_millis()).unwrap_or(i64::MAX);
                Timestamp::from_millis(now.as_millis().saturating_sub(millis))
            }
            Before::Moment(moment) => moment,
        }
    }
}

impl fmt::Display for Archive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let states = counted(self.entities, "state");
        writeln!(f, "archived {} and the {states} they make", counted(self.archived, "frame"))?;
        writeln!(f, "dropped {} from the store", counted(self.dropped, "frame"))?;
        for follower in &self.kept_for {
            writeln!(f, "the store keeps what the follower {} has not read", printable(follower))?;
        }
        self.refused
            .iter()
            .try_for_each(|refused| writeln!(f, "not in the archive's tables: {}", printable(refused)))?;
        self.failed.iter().try_for_each(|failed| writeln!(f, "its partition keeps all frames: {}", printable(failed)))
    }
}

/// Moves the frames that are old enough to the archive that the configuration names; it is made when it is not there. With `keep`
/// the store keeps them all the same. A server may run meanwhile on Postgres; the embedded store is opened by one process only.
///
/// # Errors
/// When no archive is named, when it is another store's, or when one of the two cannot be read or written. Then nothing was dropped
/// that the archive does not hold.
pub async fn archive(config: &StoreConfig, before: Before, keep: bool) -> Result<Archive, AppError> {
    let Some(directory) = &config.archive else {
        return Err(AppError::Asked("say with --archive in which directory the archive is, or is to be".into()));
    };
    let clock = SystemClock::default();
    let now = clock.now();
    if let Before::Moment(moment) = before
        && moment > now
    {
        let (moment, now) = (rfc3339(moment), rfc3339(now));
        return Err(AppError::Asked(format!(
            "--before {moment} is yet to come: it is {now}, and all would be archived"
        )));
    }
    let found = |place: &Path| std::fs::canonicalize(place).ok();
    if matches!(&config.place, Place::Sqlite(store) if found(store).is_some() && found(store) == found(directory)) {
        return Err(AppError::Asked("the archive needs a directory of its own".into()));
    }
    // Not before the store is known to be there and free: an archive of nothing helps nobody.
    let store = persistence::open(config, Mode::Upkeep).await?;
    clocks::agree(&*store.journal, &clock).await?;
    let failed = |error: io::Error| {
        AppError::Asked(format!("the archive's directory {} (HAAT_ARCHIVE): {error}", directory.display()))
    };
    files::own_directory(directory).map_err(failed)?;
    // A directory that a power cut takes back would take the archive along.
    let synced = |directory: &Path| std::fs::File::open(directory)?.sync_all();
    synced(directory).map_err(failed)?;
    if let Some(parent) = std::fs::canonicalize(directory).map_err(failed)?.parent() {
        synced(parent).map_err(failed)?;
    }
    let archive = open_archive(&archive_config(directory, config), Mode::Serve).await?;
    archive_store(&store, &archive, before.moment(now), keep, &clock).await
}

/// [`archive`] of a store that is open, into an archive that is.
///
/// # Errors
/// As [`archive`].
pub async fn archive_store(
    store: &Store,
    archive: &Store,
    before: Timestamp,
    keep: bool,
    clock: &dyn Clock,
) -> Result<Archive, AppError> {
    // Fails if it is another's.
    with_archive(store.clone(), archive).await?;
    let mut done = Archive::default();
    let heads = store.journal.partitions().await?;
    // Before the archive gets anything: of a store that was set back from a backup it may hold frames that the store has written anew.
    for head in &heads {
        let end = tail_of(&*archive.journal, head.id).await?;
        are_the_same(store, archive, head.id, head.base_seq, end).await?;
    }
    for head in heads {
        let until = newest_before(&*store.journal, &head, before).await?;
        let mut whole = bring_up_to_date(archive, head.id, &mut done, clock).await?;
        let mut end = tail_of(&*archive.journal, head.id).await?;
        let compared = end.max(head.base_seq);
        while whole && end < until {
            let next = until.min(end + STEP);
            done.archived += copy(&*store.journal, &*archive.journal, head.id, next).await?;
            whole = bring_up_to_date(archive, head.id, &mut done, clock).await?;
            end = next;
        }
        if !whole || keep {
            continue;
        }
        are_the_same(store, archive, head.id, compared, until).await?;
        // The last one stays, as the link between the two. So does what a follower has not read.
        let mut up_to = until.saturating_sub(1);
        for cursor in store.followers.cursors(None).await?.into_iter().filter(|cursor| cursor.partition == head.id) {
            if cursor.seq < up_to {
                up_to = cursor.seq;
                done.kept_for.insert(cursor.follower);
            }
        }
        if up_to >= head.base_seq && up_to > 0 {
            done.dropped += store.journal.drop_frames(head.id, up_to).await?;
        }
    }
    Ok(done)
}

/// Compares the frames of one partition after `after` and up to `until`, all of which both have.
async fn are_the_same(store: &Store, archive: &Store, partition: u16, after: u64, until: u64) -> Result<(), AppError> {
    let compared = same_frames(&*store.journal, &*archive.journal, partition, after, until).await?;
    if compared < until.saturating_sub(after) {
        return Err(AppError::Asked(format!(
            "the archive lacks frames of partition {partition}: nothing of it was dropped"
        )));
    }
    Ok(())
}

/// The newest frame that was committed before this moment and that a checkpoint holds; the place before the first frame when there is none.
/// Frames stand in the order of time, so this is found by halving.
async fn newest_before(journal: &dyn Journal, head: &Partition, before: Timestamp) -> Result<u64, StoreError> {
    let (mut older, mut younger) = (head.base_seq, head.checkpoint_seq + 1);
    while younger > older + 1 {
        let middle = older + (younger - older) / 2;
        let frame = journal.frames(head.id, middle - 1, 1).await?.into_iter().next();
        match frame.is_some_and(|frame| frame.seq == middle && frame.at < before) {
            true => older = middle,
            false => younger = middle,
        }
    }
    Ok(older)
}

/// Copies the frames of one partition up to `until` that the archive does not have; gives how many.
async fn copy(store: &dyn Journal, archive: &dyn Journal, partition: u16, until: u64) -> Result<u64, StoreError> {
    let end = tail_of(archive, partition).await?;
    let (mut reader, mut copied) = (FrameReader::new(partition, end, READ_BYTES), 0);
    let mut expected = end + 1;
    loop {
        let mut some: Vec<Frame> = Vec::with_capacity(FRAMES);
        let mut bytes = 0;
        while some.len() < FRAMES && bytes < READ_BYTES && expected <= until {
            let Some(frame) = reader.next(store).await? else { break };
            if frame.seq != expected {
                let missing = format!("frame {expected} of partition {partition} is missing in the store");
                return Err(StoreError::Invalid(missing));
            }
            expected += 1;
            bytes += frame.payload.len();
            some.push(frame);
        }
        if some.is_empty() {
            return Ok(copied);
        }
        archive.append(&some, &[]).await?;
        copied += some.len() as u64;
    }
}

async fn tail_of(journal: &dyn Journal, partition: u16) -> Result<u64, StoreError> {
    let heads = journal.partitions().await?;
    Ok(heads.iter().find(|head| head.id == partition).map_or(0, |head| head.tail_seq))
}

/// Makes the entities that have new frames in the archive, and writes their states there; whether all could be made.
async fn bring_up_to_date(
    archive: &Store,
    partition: u16,
    done: &mut Archive,
    clock: &dyn Clock,
) -> Result<bool, AppError> {
    let heads = archive.journal.partitions().await?;
    let Some(head) = heads.iter().find(|head| head.id == partition) else { return Ok(false) };
    let recovered = recover(archive, std::slice::from_ref(head)).await?;
    let made = make(archive, &heads, &recovered.entities, &Shapes::default(), clock.now()).await?;
    done.entities += made.entities;
    done.refused.extend(made.refused);
    let whole = made.broken.is_empty();
    if whole {
        let advance = [(head.id, head.tail_seq)];
        let write = CheckpointWrite { owned: &heads, advance: &advance, ..CheckpointWrite::default() };
        archive.checkpoints.write(write).await?;
    }
    done.failed.extend(made.broken);
    Ok(whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_not_be_archived_is_told_and_acts_on_nobody() {
        let (failed, refused) = (vec!["a\u{202e}b".into()], vec!["c\u{9b}d".into()]);
        let told = Archive { failed, refused, ..Archive::default() }.to_string();
        let told: Vec<&str> = told.lines().skip(2).collect();
        assert_eq!(told, ["not in the archive's tables: c\\u009bd", "its partition keeps all frames: a\\u202eb"]);
    }

    #[test]
    fn what_is_old_enough_is_an_age_or_a_moment() {
        let days = |days: u64| Ok(Before::Age(Duration::from_secs(days * 86_400)));
        assert_eq!(("90d".parse(), "48h".parse(), "0s".parse()), (days(90), days(2), days(0)));
        let moment = Timestamp::from_millis(1_763_700_736_000);
        assert_eq!("2025-11-21T04:52:16Z".parse(), Ok(Before::Moment(moment)));
        for text in
            ["", "d", "90", "-1d", "1w", "1.5h", "99999999999999999999d", "18446744073709551615d", "2025-11-21", "৯d"]
        {
            assert!(text.parse::<Before>().is_err(), "{text}");
        }
        assert_eq!(Before::Age(Duration::from_secs(1)).moment(moment), Timestamp::from_millis(1_763_700_735_000));
    }
}
