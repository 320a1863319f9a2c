//! The lives of entities, read for operators from the journal of a running server, with connections of its own: one at a time, and no longer
//! than it may take.
//!
//! The journal has no index of entities. But an id says when it was made, and frames stand in the order of time: so it is looked from there on, until
//! the last version that is wanted.

use super::{AppError, open_for_tools};
use crate::actors::{Rebuilt, Unbuildable, begin_any};
use crate::domain::ids::EntityRef;
use crate::domain::record::RawRecord;
use crate::domain::time::Timestamp;
use crate::limits;
use crate::persistence::StoreConfig;
use crate::persistence::log_writer::decode;
use crate::persistence::recovery::FrameReader;
use crate::ports::lives::{Life, LifeVersion, Lives, NoLife, Span};
use crate::ports::{Frame, Journal, Store, StoreError};
use async_trait::async_trait;
use memchr::memmem;
use serde_json::Value;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;

/// Bytes of frames read at a time: others run in between.
const READ_BYTES: usize = 512 * 1024;
/// Bytes of records that are shown at most.
const SHOWN_BYTES: usize = 4 * 1024 * 1024;
/// By how much the clock that made an id may have been ahead of the one that formed a frame.
const CLOCKS_DIFFER_MS: i64 = 60_000;

/// The lives of the entities of one store.
pub struct StoredLives {
    config: StoreConfig,
    turn: Arc<Semaphore>,
}

impl StoredLives {
    /// Those of the store of this configuration.
    pub fn new(config: StoreConfig) -> Self {
        Self { config, turn: Arc::new(Semaphore::new(1)) }
    }
}

#[async_trait]
impl Lives for StoredLives {
    async fn life(&self, entity: EntityRef, span: Span) -> Result<Life, NoLife> {
        let Ok(turn) = self.turn.clone().try_acquire_owned() else { return Err(NoLife::Busy) };
        let (config, runtime) = (self.config.clone(), Handle::current());
        // On a thread of its own: requests wait for no replay. It ends in its time, also when nobody waits for it any more.
        let read = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            let within = Duration::from_millis(limits::LIFE_MS);
            let read = async { tokio::time::timeout(within, read(&config, entity, span)).await };
            runtime.block_on(read).unwrap_or(Err(NoLife::TooLong))
        });
        read.await.unwrap_or_else(|error| Err(StoreError::Unavailable(error.to_string()).into()))
    }
}

async fn read(config: &StoreConfig, entity: EntityRef, span: Span) -> Result<Life, NoLife> {
    let store = open_for_tools(config).await.map_err(|error| match error {
        AppError::Store(error) => error,
        other => StoreError::Unavailable(other.to_string()),
    })?;
    let partition = entity.partition(limits::PARTITIONS);
    let heads = store.journal.partitions().await?;
    let head = heads.iter().find(|head| head.id == partition);
    let (base, tail) = head.map_or((0, 0), |head| (head.base_seq, head.tail_seq));
    let after = match made_at(entity) {
        Some(made_at) => before(&*store.journal, partition, (base, tail), made_at).await?,
        None => base,
    };
    match follow(&store, partition, after, entity, span).await {
        // Its id may say something else than it looks.
        Err(NoLife::Archived) if after > base => follow(&store, partition, base, entity, span).await,
        read => read,
    }
}

/// When an id was made, as it says itself (RFC 9562, 5.7): ids that follow from others have their moment.
fn made_at(entity: EntityRef) -> Option<Timestamp> {
    let millis = entity.uuid.as_u128() >> 80;
    let has_time = matches!(entity.uuid.get_version_num(), 7 | 8);
    has_time.then(|| Timestamp::from_millis(i64::try_from(millis).unwrap_or(i64::MAX)))
}

/// The last frame that is surely older than this moment.
async fn before(
    journal: &dyn Journal,
    partition: u16,
    (base, tail): (u64, u64),
    moment: Timestamp,
) -> Result<u64, StoreError> {
    let moment = moment.plus_millis(-CLOCKS_DIFFER_MS);
    let (mut older, mut newer) = (base, tail.max(base) + 1);
    while older + 1 < newer {
        let middle = older + (newer - older) / 2;
        let frames = journal.frames(partition, middle - 1, 1).await?;
        match frames.first() {
            Some(frame) if frame.at < moment => older = frame.seq.min(newer - 1).max(middle),
            _ => newer = middle,
        }
    }
    Ok(older)
}

/// The versions that are wanted, as they are found.
struct Found {
    span: Span,
    life: Life,
    versions: VecDeque<(LifeVersion, usize)>,
    bytes: usize,
    /// What the newest record makes.
    built: Box<Rebuilt>,
}

/// Whether there is more to read.
#[derive(PartialEq)]
enum Goes {
    On,
    No,
}

impl Found {
    fn take(&mut self, record: &RawRecord<'_>, line: &[u8]) -> Result<Goes, NoLife> {
        let version = record.version;
        if version <= self.built.version() {
            return Ok(Goes::On);
        }
        if version > self.span.upto {
            return Ok(Goes::No);
        }
        // A summary may take as long as all of the state: none is made far before what is wanted.
        let last_ones = self.span.upto.saturating_sub(self.span.most as u64);
        // Where nobody knows which is the last, each may be.
        let first = self.span.from.unwrap_or(if self.span.upto == u64::MAX { 0 } else { last_ones });
        let is_near = version.saturating_add(1) >= first;
        let state = if is_near { self.built.summary() } else { Value::Null };
        match self.built.take(line) {
            Ok(()) => {}
            // Its first record is not here.
            Err(Unbuildable::Gap { after: 0, .. }) => return Err(NoLife::Archived),
            Err(_) => {
                self.life.unreadable = Some(version);
                return Ok(Goes::No);
            }
        }
        if self.span.from.is_some_and(|from| version < from) || !is_near {
            return Ok(Goes::On);
        }
        if self.versions.is_empty() {
            self.life.before = state;
        }
        let is_too_much =
            |found: &Self| found.versions.len() >= found.span.most || found.bytes + line.len() > SHOWN_BYTES;
        if self.span.from.is_some() && !self.versions.is_empty() && is_too_much(self) {
            return Ok(Goes::No);
        }
        while is_too_much(self)
            && let Some((first, bytes)) = self.versions.pop_front()
        {
            (self.life.before, self.bytes) = (first.state, self.bytes - bytes);
        }
        let list = |json: Option<&serde_json::value::RawValue>| -> Vec<Value> {
            json.and_then(|json| serde_json::from_str(json.get()).ok()).unwrap_or_default()
        };
        let shown = LifeVersion {
            version,
            at: record.at,
            events: list(record.events),
            answers_kept: list(record.answers).len(),
            state: self.built.summary(),
        };
        self.bytes += line.len();
        self.versions.push_back((shown, line.len()));
        Ok(if version == self.span.upto { Goes::No } else { Goes::On })
    }

    fn frame(&mut self, frame: &Frame, entity: EntityRef, text: &[u8]) -> Result<Goes, NoLife> {
        let lines = decode(frame)?;
        if memmem::find(&lines, text).is_none() {
            return Ok(Goes::On);
        }
        for line in lines.split(|byte| *byte == b'\n').filter(|line| memmem::find(line, text).is_some()) {
            let record: RawRecord<'_> = serde_json::from_slice(line).map_err(|error| {
                let (seq, partition) = (frame.seq, frame.partition);
                StoreError::Invalid(format!("a record in frame {seq} of partition {partition}: {error}"))
            })?;
            if record.entity == entity && self.take(&record, line)? == Goes::No {
                return Ok(Goes::No);
            }
        }
        Ok(Goes::On)
    }
}

async fn follow(store: &Store, partition: u16, after: u64, entity: EntityRef, span: Span) -> Result<Life, NoLife> {
    let text = entity.to_string();
    let life = Life { before: Value::Null, versions: Vec::new(), unreadable: None };
    let built = Box::new(begin_any(entity));
    let mut found = Found { span, life, versions: VecDeque::new(), bytes: 0, built };
    let mut frames = FrameReader::new(partition, after, READ_BYTES);
    while let Some(frame) = frames.next(&*store.journal).await? {
        if found.frame(&frame, entity, text.as_bytes())? == Goes::No {
            break;
        }
    }
    found.life.versions = found.versions.into_iter().map(|(version, _)| version).collect();
    Ok(found.life)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::{CartId, EntityId as _, OrderId};
    use uuid::Uuid;

    #[test]
    fn an_id_says_when_it_was_made() {
        let cart: CartId = "cart_01h2xcejqtf2nbrexx3vqjhp41".parse().expect("an id");
        let made = made_at(cart.entity()).expect("a moment");
        assert_eq!(made.as_millis(), 1_686_760_803_066);
        assert_eq!(made_at(OrderId::for_attempt(cart, 3).entity()), Some(made));
        assert_eq!(made_at(CartId::from_uuid(Uuid::nil()).entity()), None);
    }
}
