//! `haat replay`: the life of one entity, from its first record to a version or a moment, and the state it makes. Runs beside a server.

use super::journal::event_words;
use super::text::{counted, parse_rfc3339, rfc3339};
use super::{AppError, need_whole_journal, open_for_tools};
use crate::actors::{Rebuilt, build_any};
use crate::domain::entity::{Decides as _, Principal};
use crate::domain::ids::EntityRef;
use crate::domain::money::Money;
use crate::domain::order::{Order, OrderCommand, OrderReply};
use crate::domain::record::RawRecord;
use crate::domain::text::printable;
use crate::domain::time::Timestamp;
use crate::limits;
use crate::persistence::StoreConfig;
use crate::persistence::recovery::{for_each_frame, for_each_record};
use crate::ports::{History, Store, StoreError};
use crate::telemetry::without_secrets;
use serde_json::Value;
use std::io::Write;
use std::str::FromStr;

/// How far to go in an entity's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// To its newest record.
    Newest,
    /// To this version.
    Version(u64),
    /// To the last record at or before this moment.
    Moment(Timestamp),
}

impl FromStr for Until {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return parse_rfc3339(text).map(Until::Moment).map_err(|error| format!("{error}, and no version either"));
        }
        match text.parse() {
            Ok(0) => Err("an entity's first version is 1".into()),
            Ok(version) => Ok(Until::Version(version)),
            Err(_) => Err(format!("'{text}' is more than any version")),
        }
    }
}

impl Until {
    fn includes(self, record: &RawRecord<'_>) -> bool {
        match self {
            Until::Newest => true,
            Until::Version(version) => record.version <= version,
            Until::Moment(moment) => record.at <= moment,
        }
    }
}

/// Prints the life of `entity` in the store of this configuration.
///
/// # Errors
/// When the store cannot be read, the journal has no such entity or version, its records make no state, or `out` takes no more.
pub async fn print(
    config: &StoreConfig,
    entity: EntityRef,
    until: Until,
    out: &mut impl Write,
) -> Result<(), AppError> {
    let store = open_for_tools(config).await?;
    need_whole_journal(config, &store).await?;
    let printed = print_store(&store, entity, until, out).await;
    // An archive that was made meanwhile looks like damage.
    need_whole_journal(config, &store).await?;
    printed
}

async fn print_store(store: &Store, entity: EntityRef, until: Until, out: &mut impl Write) -> Result<(), AppError> {
    let (mut records, mut newest) = (Vec::new(), 0);
    for_each_frame(&*store.journal, entity.partition(limits::PARTITIONS), 0, |frame| {
        for_each_record(frame, |record, line| {
            if record.entity == entity {
                newest = record.version;
                if until.includes(record) {
                    records.push(line.to_vec());
                }
            }
        })
    })
    .await?;
    match (until, newest) {
        (_, 0) => return Err(AppError::Asked(format!("the journal has no record of {entity}"))),
        (Until::Version(version), newest) if version > newest => {
            return Err(AppError::Asked(format!("{entity} has come to version {newest} only")));
        }
        (Until::Moment(moment), _) if records.is_empty() => {
            return Err(AppError::Asked(format!("{entity} has no record at or before {}", rfc3339(moment))));
        }
        _ => {}
    }
    for line in &records {
        write_record(out, line)?;
    }
    let count = records.len() as u64;
    let rebuilt = build_any(entity, &History { snapshot: None, records })
        .map_err(|error| AppError::Asked(format!("{entity}: its records make no state: {error}")))?;
    let (summary, breach) = (rebuilt.summary(), rebuilt.check().err());
    writeln!(out, "\n{entity} after {}", counted(count, "record"))?;
    write_summary(out, &without_secrets(summary))?;
    if let Some(breach) = breach {
        writeln!(out, "  BREACH: {}", printable(&breach.to_string()))?;
    }
    if let Rebuilt::Order(order) = &rebuilt {
        write_timeline(out, &order.entity)?;
    }
    Ok(out.flush()?)
}

fn write_record(out: &mut impl Write, line: &[u8]) -> Result<(), AppError> {
    let unreadable = |error: serde_json::Error| StoreError::Invalid(format!("a record: {error}"));
    let record: RawRecord<'_> = serde_json::from_slice(line).map_err(unreadable)?;
    let events: Vec<Value> = match record.events {
        Some(events) => serde_json::from_str(events.get()).map_err(unreadable)?,
        None => Vec::new(),
    };
    let at = rfc3339(record.at);
    if events.is_empty() {
        writeln!(out, "{at}  v{}  (an answer kept for a repeated request)", record.version)?;
    }
    for event in events {
        writeln!(out, "{at}  v{}  {}", record.version, event_words(without_secrets(event)))?;
    }
    Ok(())
}

fn write_summary(out: &mut impl Write, summary: &Value) -> Result<(), AppError> {
    let Some(fields) = summary.as_object() else {
        return Ok(writeln!(out, "  not made yet")?);
    };
    for (name, value) in fields {
        match value.as_str() {
            Some(text) => writeln!(out, "  {name}: {}", printable(text))?,
            None => writeln!(out, "  {name}: {}", printable(&value.to_string()))?,
        }
    }
    Ok(())
}

fn write_timeline(out: &mut impl Write, order: &Order) -> Result<(), AppError> {
    let timeline = order.reply(&OrderCommand::GetTimeline { by: Principal::SHOP }, false);
    let Some(Ok(OrderReply::Timeline { currency, entries })) = timeline else { return Ok(()) };
    writeln!(out, "  timeline:")?;
    for entry in entries {
        let mut line = format!("    {}  {}", rfc3339(entry.at), entry.kind);
        if let Some(amount) = entry.amount {
            line.push_str(&format!("  {}", Money::new(amount, currency)));
        }
        if let Some(vendor) = entry.vendor {
            line.push_str(&format!("  {vendor}"));
        }
        if let Some(reason) = entry.reason {
            line.push_str(&format!("  ({reason})"));
        }
        writeln!(out, "{}", printable(&line))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_far_is_a_version_or_a_moment() {
        assert_eq!("3".parse(), Ok(Until::Version(3)));
        let moment = Timestamp::from_millis(1_763_700_736_000);
        assert_eq!("2025-11-21T04:52:16Z".parse(), Ok(Until::Moment(moment)));
        for text in ["", "0", "v3", "-1", "2025-11-21", "99999999999999999999999"] {
            assert!(text.parse::<Until>().is_err(), "{text}");
        }
    }
}
