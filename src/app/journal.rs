//! `haat journal`: the frames and records of a store, as they happened, for people or as JSON lines. Runs beside a server.

use super::text::{counted, rfc3339};
use super::{AppError, need_whole_journal, open_for_tools};
use crate::domain::ids::TypeIdText;
use crate::domain::text::printable;
use crate::domain::time::Timestamp;
use crate::limits;
use crate::persistence::StoreConfig;
use crate::persistence::recovery::{FrameReader, for_each_record};
use crate::ports::{Frame, Journal, Store, StoreError};
use crate::telemetry::without_secrets;
use aws_lc_rs::digest::{Context, SHA256};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use std::io::{self, Write};
use uuid::Uuid;

pub use crate::domain::ids::EntityRef;

/// Bytes of frames read at a time, per partition.
const READ_BYTES: usize = 1024 * 1024;

/// What to print.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// Only this partition.
    pub partition: Option<u16>,
    /// Only frames after this one of the partition.
    pub after: u64,
    /// Only records of this entity.
    pub entity: Option<EntityRef>,
    /// At most so many records; frames without records are not counted.
    pub limit: Option<u64>,
    /// JSON lines, one for each record and for each frame without records.
    pub json: bool,
}

impl Selection {
    /// The partitions in which to look.
    fn partitions(&self) -> Result<Vec<u16>, AppError> {
        let of_entity = self.entity.map(|entity| entity.partition(limits::PARTITIONS));
        match (self.partition, of_entity) {
            (Some(partition), _) if partition >= limits::PARTITIONS => {
                let last = limits::PARTITIONS - 1;
                Err(AppError::Asked(format!("there is no partition {partition}: they are numbered from 0 to {last}")))
            }
            (Some(partition), Some(of_entity)) if partition != of_entity => {
                Err(AppError::Asked(format!("this entity lives in partition {of_entity}, not in {partition}")))
            }
            (None, None) if self.after > 0 => {
                Err(AppError::Asked("each partition counts its own frames: say which one with --partition".into()))
            }
            (Some(partition), _) | (None, Some(partition)) => Ok(vec![partition]),
            (None, None) => Ok((0..limits::PARTITIONS).collect()),
        }
    }
}

/// Whether this is all of the journal: not, when its first frames were moved to an archive and none is named.
///
/// # Errors
/// When the store cannot be read.
pub async fn is_whole(config: &StoreConfig) -> Result<bool, AppError> {
    Ok(need_whole_journal(config, &open_for_tools(config).await?).await.is_ok())
}

/// Prints what is selected of the store of this configuration, in the order of time.
///
/// # Errors
/// When the store cannot be read, the selection makes no sense, or `out` takes no more.
pub async fn print(config: &StoreConfig, selection: &Selection, out: &mut impl Write) -> Result<(), AppError> {
    let partitions = selection.partitions()?;
    print_store(&open_for_tools(config).await?, &partitions, selection, out).await
}

async fn print_store(
    store: &Store,
    partitions: &[u16],
    selection: &Selection,
    out: &mut impl Write,
) -> Result<(), AppError> {
    let mut merged = Merged::new(partitions, selection.after);
    let (mut printed, limit) = (0, selection.limit.unwrap_or(u64::MAX));
    while printed < limit {
        let Some(frame) = merged.next(&*store.journal).await? else { break };
        let mut entries = entries(&frame, selection.entity)?;
        if entries.is_empty() && selection.entity.is_some() {
            continue;
        }
        entries.truncate(usize::try_from(limit - printed).unwrap_or(usize::MAX));
        printed += entries.len() as u64;
        match selection.json {
            true => write_json(out, &frame, entries)?,
            false => write_text(out, &frame, &entries)?,
        }
    }
    if printed == 0
        && let Some(entity) = selection.entity
    {
        return Err(AppError::Asked(format!("the journal has no record of {entity} there")));
    }
    Ok(out.flush()?)
}

/// The frames of several partitions, the oldest first. What one commit wrote stays together, in the order of partitions.
struct Merged {
    partitions: Vec<FrameReader>,
}

impl Merged {
    fn new(partitions: &[u16], after: u64) -> Self {
        Self { partitions: partitions.iter().map(|id| FrameReader::new(*id, after, READ_BYTES)).collect() }
    }

    async fn next(&mut self, journal: &dyn Journal) -> Result<Option<Frame>, StoreError> {
        let mut oldest: Option<(Timestamp, usize)> = None;
        for (index, frames) in self.partitions.iter_mut().enumerate() {
            if let Some(frame) = frames.peek(journal).await?
                && oldest.is_none_or(|(at, _)| frame.at < at)
            {
                oldest = Some((frame.at, index));
            }
        }
        match oldest {
            Some((_, index)) => self.partitions[index].next(journal).await,
            None => Ok(None),
        }
    }
}

/// The public id of an event: which event of which record of which frame. It follows from the batch's random id, so that a store which was
/// taken back from a backup gives no id a second time.
fn event_id(frame: &Frame, record: u32, event: u32) -> String {
    let mut context = Context::new(&SHA256);
    context.update(frame.batch.as_bytes());
    context.update(&frame.partition.to_be_bytes());
    context.update(&record.to_be_bytes());
    context.update(&event.to_be_bytes());
    let hash = context.finish();
    let bits = hash.as_ref().iter().take(16).fold(0, |bits, byte| bits << 8 | u128::from(*byte));
    TypeIdText::of("evt", Uuid::from_u128(bits)).map(|id| id.as_str().to_owned()).unwrap_or_default()
}

/// A record on its way to be printed.
pub(super) struct Entry {
    /// Its place in the frame, from 0.
    index: u32,
    entity: EntityRef,
    version: u64,
    at: Timestamp,
    events: Vec<Value>,
    answers: Vec<Value>,
}

fn entries(frame: &Frame, of: Option<EntityRef>) -> Result<Vec<Entry>, StoreError> {
    let mut entries = Vec::new();
    let mut index = 0;
    for_each_record(frame, |record, _| {
        let here = index;
        index += 1;
        if of.is_none_or(|of| of == record.entity) {
            entries.push(Entry {
                index: here,
                entity: record.entity,
                version: record.version,
                at: record.at,
                events: masked_list(record.events),
                answers: masked_list(record.answers),
            });
        }
    })?;
    Ok(entries)
}

fn masked_list(json: Option<&RawValue>) -> Vec<Value> {
    let list: Vec<Value> = json.and_then(|json| serde_json::from_str(json.get()).ok()).unwrap_or_default();
    list.into_iter().map(without_secrets).collect()
}

/// An event as its type and its data: `stock_held {"vendor":…}`.
pub(super) fn event_words(mut event: Value) -> String {
    let kind = event.as_object_mut().and_then(|fields| fields.remove("type"));
    let words = match (kind.as_ref().and_then(Value::as_str), event.as_object().is_some_and(Map::is_empty)) {
        (Some(kind), true) => kind.to_owned(),
        (Some(kind), false) => format!("{kind} {event}"),
        (None, _) => event.to_string(),
    };
    printable(&words).into_owned()
}

fn write_text(out: &mut impl Write, frame: &Frame, entries: &[Entry]) -> io::Result<()> {
    let Frame { partition, seq, epoch, records, at, .. } = frame;
    let what = match records {
        0 => "a new epoch begins".to_owned(),
        records => counted(u64::from(*records), "record"),
    };
    writeln!(out, "{}  partition {partition}  frame {seq}  epoch {epoch}  {what}", rfc3339(*at))?;
    for Entry { index: _, entity, version, at, events, answers } in entries {
        writeln!(out, "  {entity}  v{version}  {}", rfc3339(*at))?;
        for event in events {
            writeln!(out, "    {}", event_words(event.clone()))?;
        }
        if !answers.is_empty() {
            writeln!(out, "    ({} kept for a repeated request)", counted(answers.len() as u64, "answer"))?;
        }
    }
    Ok(())
}

fn write_json(out: &mut impl Write, frame: &Frame, entries: Vec<Entry>) -> io::Result<()> {
    let Frame { partition, seq, epoch, records, at, .. } = frame;
    let place = json!({"partition": partition, "seq": seq, "epoch": epoch, "committed_at": rfc3339(*at)});
    if *records == 0 {
        return writeln!(out, "{}", printable(&place.to_string()));
    }
    for Entry { index, entity, version, at, events, answers } in entries {
        let mut line = place.clone();
        line["entity"] = entity.to_string().into();
        line["version"] = version.into();
        line["at"] = rfc3339(at).into();
        line["event_ids"] = (0..).zip(&events).map(|(event, _)| event_id(frame, index, event)).collect();
        line["events"] = events.into();
        if !answers.is_empty() {
            line["answers"] = answers.into();
        }
        writeln!(out, "{}", printable(&line.to_string()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::Codec;
    use uuid::Uuid;

    #[test]
    fn no_two_events_have_one_id_and_one_event_has_one_for_ever() {
        let frame = frame();
        assert_eq!(event_id(&frame, 0, 0), "evt_60bbn2z2e1ybjn1sp62769c499");
        let other_batch = Frame { batch: Uuid::from_u128(1), ..frame.clone() };
        let other_partition = Frame { partition: 2, ..frame.clone() };
        let ids = [
            event_id(&frame, 0, 0),
            event_id(&frame, 0, 1),
            event_id(&frame, 1, 0),
            event_id(&other_batch, 0, 0),
            event_id(&other_partition, 0, 0),
        ];
        assert_eq!(ids.iter().collect::<std::collections::BTreeSet<_>>().len(), ids.len());
        // Where the frame stands is no part of it.
        assert_eq!(event_id(&Frame { seq: 9, epoch: 9, ..frame.clone() }, 0, 0), event_id(&frame, 0, 0));
    }

    const ORDER: &str = "order_01h2xcejqtf2nbrexx3vqjhp41";

    fn frame() -> Frame {
        let record = format!(
            r#"{{"e":"{ORDER}","v":2,"at":1763700736123,"ev":[{{"type":"payment_requested"}},{{"type":"paid","amount":5,"payment":{{"token":"tok_1"}}}}],"ans":[{{"token":"t"}}]}}"#
        );
        Frame {
            partition: 1,
            seq: 7,
            epoch: 2,
            at: Timestamp::from_millis(1_763_700_736_200),
            batch: Uuid::nil(),
            records: 1,
            codec: Codec::Plain,
            payload: record.into_bytes(),
        }
    }

    fn printed(json: bool) -> String {
        let (frame, mut out) = (frame(), Vec::new());
        let entries = entries(&frame, None).unwrap();
        match json {
            true => write_json(&mut out, &frame, entries).unwrap(),
            false => write_text(&mut out, &frame, &entries).unwrap(),
        }
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_frame_is_printed_for_people_without_tokens() {
        let text = "2025-11-21T04:52:16.200Z  partition 1  frame 7  epoch 2  1 record\n  \
            order_01h2xcejqtf2nbrexx3vqjhp41  v2  2025-11-21T04:52:16.123Z\n    payment_requested\n    \
            paid {\"amount\":5,\"payment\":{\"token\":\"***\"}}\n    (1 answer kept for a repeated request)\n";
        assert_eq!(printed(false), text);
    }

    #[test]
    fn a_record_is_a_line_of_json_without_tokens() {
        let line: Value = serde_json::from_str(&printed(true)).unwrap();
        assert_eq!(line["entity"], ORDER);
        assert_eq!((&line["seq"], &line["version"]), (&json!(7), &json!(2)));
        assert_eq!(line["events"][1]["payment"]["token"], "***");
        assert_eq!(line["answers"], json!([{"token": "***"}]));
    }

    #[test]
    fn only_the_entity_that_was_asked_for_is_printed() {
        let other = "order_01h2xcejqtf2nbrexx3vqjhp42".parse().unwrap();
        assert!(entries(&frame(), Some(other)).unwrap().is_empty());
        assert_eq!(entries(&frame(), Some(ORDER.parse().unwrap())).unwrap().len(), 1);
    }

    #[test]
    fn a_selection_that_makes_no_sense_is_refused() {
        let entity: EntityRef = ORDER.parse().unwrap();
        let home = entity.partition(limits::PARTITIONS);
        let partitions = |partition, entity, after| {
            Selection { partition, entity, after, ..Selection::default() }
                .partitions()
                .map_err(|error| error.to_string())
        };
        assert_eq!(partitions(None, None, 0).unwrap().len(), usize::from(limits::PARTITIONS));
        assert_eq!(partitions(None, Some(entity), 3), Ok(vec![home]));
        assert!(partitions(Some(16), None, 0).unwrap_err().contains("from 0 to 15"));
        assert!(partitions(Some(home + 1), Some(entity), 0).unwrap_err().contains("lives in partition"));
        assert!(partitions(None, None, 3).unwrap_err().contains("--partition"));
    }
}
