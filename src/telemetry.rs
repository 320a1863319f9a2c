//! What operators watch: every metric's name and help, once; the logs; the hook that tells of panics; and what they are not shown.

mod flood;

pub use crate::domain::text::{printable, printable_lines};
pub use flood::LINES_A_SECOND;

use serde_json::Value;
use std::io::{IsTerminal, Write};
use std::panic;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::FmtSpan;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// The names of all metrics outside of HTTP.
pub mod names {
    /// Gauge, by kind: actors in memory.
    pub const ACTORS_LIVE: &str = "haat_actors_live";
    /// Gauge, by kind: messages waiting in the fullest mailbox.
    pub const MAILBOX_DEPTH_MAX: &str = "haat_mailbox_depth_max";
    /// Counter, by kind and outcome: commands taken from outside and from other actors.
    pub const COMMANDS: &str = "haat_commands_total";
    /// Histogram, by kind: from the moment a request's command was sent to its durable answer.
    pub const COMMAND_SECONDS: &str = "haat_command_duration_seconds";
    /// Histogram, by kind: turns in which an actor looks at what time has made due.
    pub const WAKE_SECONDS: &str = "haat_actor_wake_seconds";
    /// Counter, by kind: actors started again after a panic.
    pub const RESTARTS: &str = "haat_actor_restarts_total";
    /// Counter, by kind: states built from a snapshot or from records.
    pub const RECOVERIES: &str = "haat_actor_recoveries_total";
    /// Counter, by kind: actors that left memory.
    pub const PASSIVATIONS: &str = "haat_actor_passivations_total";
    /// Counter, by kind: entities whose records do not fit each other.
    pub const QUARANTINES: &str = "haat_entities_quarantined_total";
    /// Counter, by invariant: breaches found while running.
    pub const BREACHES: &str = "haat_invariant_breaches_total";
    /// Gauge: requests that wait until their entity has come so far.
    pub const PARKED: &str = "haat_requests_parked";
    /// Counter, by reason: requests refused because a limit was reached.
    pub const SHED: &str = "haat_requests_shed_total";
    /// Histogram: records in one commit.
    pub const LANE_BATCH_RECORDS: &str = "haat_lane_batch_records";
    /// Histogram: how long a commit takes.
    pub const LANE_COMMIT_SECONDS: &str = "haat_lane_commit_seconds";
    /// Counter: records written.
    pub const LANE_RECORDS: &str = "haat_lane_records_total";
    /// Counter: bytes of frames written.
    pub const LANE_BYTES: &str = "haat_lane_frame_bytes_total";
    /// Counter: commits that failed and were tried again.
    pub const LANE_COMMIT_FAILURES: &str = "haat_lane_commit_failures_total";
    /// Gauge: records decided and not yet durable.
    pub const LANE_BACKLOG: &str = "haat_lane_backlog_records";
    /// Gauge: durable records that no checkpoint holds yet.
    pub const CHECKPOINT_LAG: &str = "haat_checkpoint_lag_records";
    /// Gauge: frames of the journal that a follower has not read, by follower.
    pub const FOLLOWER_LAG: &str = "haat_follower_lag_frames";
    /// Counter: transactions of a follower, by follower.
    pub const FOLLOWER_PASSES: &str = "haat_follower_passes_total";
    /// Counter: rows that a follower has written, by follower.
    pub const FOLLOWER_ROWS: &str = "haat_follower_rows_total";
    /// Counter: times a follower could not go on and tried again, by follower.
    pub const FOLLOWER_FAILURES: &str = "haat_follower_failures_total";
    /// Counter: records that a follower could not read and left out, by follower.
    pub const FOLLOWER_SKIPPED: &str = "haat_follower_skipped_total";
    /// Jobs that have not ended, or gave up.
    pub const JOBS_OPEN: &str = "haat_jobs";
    /// What has come of tries.
    pub const JOB_TRIES: &str = "haat_job_tries_total";
    /// Times the store could not be asked for jobs.
    pub const JOB_FAILURES: &str = "haat_job_store_failures_total";
    /// Whether a target answers.
    pub const JOB_TARGET_STATE: &str = "haat_job_target_state";
    /// Counter, by outcome: units of services.
    pub const SERVICE_UNITS: &str = "haat_service_units_total";
    /// Histogram: how long a unit of a service takes.
    pub const SERVICE_UNIT_SECONDS: &str = "haat_service_unit_seconds";
    /// Gauge: entities the running checkpoint writes.
    pub const CHECKPOINT_DIRTY_ENTITIES: &str = "haat_checkpoint_dirty_entities";
    /// Histogram: how long a checkpoint takes.
    pub const CHECKPOINT_SECONDS: &str = "haat_checkpoint_seconds";
    /// Counter: entities written by checkpoints.
    pub const CHECKPOINT_ENTITIES: &str = "haat_checkpoint_entities_total";
    /// Counter: entities whose rows a constraint refused.
    pub const CHECKPOINT_REFUSED: &str = "haat_checkpoint_refused_total";
    /// Counter, by kind: entities whose rows were remade of their snapshots.
    pub const REMADE_ENTITIES: &str = "haat_remade_entities_total";
    /// Gauge: kinds of which not all rows have this version's shape yet.
    pub const REMADE_KINDS_INCOMPLETE: &str = "haat_remade_kinds_incomplete";
    /// Counter, by method, call and outcome: calls of payment gateways.
    pub const PAYMENT_CALLS: &str = "haat_payment_calls_total";
    /// Histogram, by method and call: how long a call of a payment gateway takes.
    pub const PAYMENT_SECONDS: &str = "haat_payment_call_seconds";
    /// Counter, by reason: orders that were quarantined until someone resolves them.
    pub const ORDERS_QUARANTINED: &str = "haat_orders_quarantined_total";
    /// Gauge: orders that wait for someone, or have waited too long for an answer.
    pub const ORDERS_STUCK: &str = "haat_orders_stuck";
    /// Gauge: shares that nobody has begun in time.
    pub const SHARES_NOT_ACCEPTED: &str = "haat_shares_not_accepted";
    /// Gauge: parcels of which their couriers have told nothing for 30 days.
    pub const PARCELS_STALE: &str = "haat_parcels_stale";
    /// Gauge: whether requests are taken, as `/readyz` says: 1 yes, 0 no.
    pub const READY: &str = "haat_ready";
    /// Gauge: when this process began, in seconds since 1970 by its wall clock. Another value is another process.
    pub const STARTED: &str = "haat_start_time_seconds";
    /// Gauge: 1 while files that the node writes are not where they were opened.
    pub const FILES_MISSING: &str = "haat_files_missing";
    /// Counter, by method and outcome: notices of payment providers.
    pub const PAYMENT_NOTICES: &str = "haat_payment_notices_total";
    /// Gauge, by method: whether a payment provider counts as silent: 0 no, 1 it is being tried, 2 yes.
    pub const PAYMENT_BREAKER: &str = "haat_payment_breaker_state";
    /// Counter, by method: how often a payment provider began to count as silent.
    pub const PAYMENT_BREAKER_OPENED: &str = "haat_payment_breaker_opened_total";
    /// Gauge, by method and call: calls of payment providers that are held back.
    pub const PAYMENT_WAITING: &str = "haat_payment_calls_waiting";
    /// Gauge: by how much domain time is ahead of the wall clock.
    pub const CLOCK_AHEAD: &str = "haat_clock_ahead_seconds";
    /// Counter: spans of sampled requests that no collector has taken.
    pub const TRACE_SPANS_DROPPED: &str = "haat_trace_spans_dropped_total";
    /// Counter: warnings and errors that were left out of the log.
    pub const LOG_LINES_LEFT_OUT: &str = "haat_log_lines_left_out_total";
    /// Gauge, by status: orders.
    pub const ORDERS: &str = "haat_orders";
}

/// Every metric with its help.
const HELP: &[(&str, &str, char)] = &[
    (names::ACTORS_LIVE, "Actors in memory.", 'g'),
    (names::MAILBOX_DEPTH_MAX, "Messages waiting in the fullest mailbox.", 'g'),
    (names::COMMANDS, "Commands taken, by outcome.", 'c'),
    (names::COMMAND_SECONDS, "From sending a request's command to its durable answer.", 'h'),
    (names::WAKE_SECONDS, "Turns in which an actor looks at what time has made due.", 'h'),
    (names::RESTARTS, "Actors started again after a panic.", 'c'),
    (names::RECOVERIES, "States built from a snapshot or from records.", 'c'),
    (names::PASSIVATIONS, "Actors that left memory.", 'c'),
    (names::QUARANTINES, "Entities whose records do not fit each other.", 'c'),
    (names::BREACHES, "Breaches of invariants found while running.", 'c'),
    (names::PARKED, "Requests that wait until their cart, order or vendor has come so far.", 'g'),
    (names::SHED, "Requests refused because a limit was reached.", 'c'),
    (names::LANE_BATCH_RECORDS, "Records in one commit.", 'h'),
    (names::LANE_COMMIT_SECONDS, "How long a commit takes.", 'h'),
    (names::LANE_RECORDS, "Records written.", 'c'),
    (names::LANE_BYTES, "Bytes of frames written.", 'c'),
    (names::LANE_COMMIT_FAILURES, "Commits that failed and were tried again.", 'c'),
    (names::LANE_BACKLOG, "Records decided and not yet durable.", 'g'),
    (names::CHECKPOINT_LAG, "Durable records that no checkpoint holds yet.", 'g'),
    (names::FOLLOWER_LAG, "Frames of the journal that a follower has not read.", 'g'),
    (names::FOLLOWER_PASSES, "Transactions of a follower.", 'c'),
    (names::FOLLOWER_ROWS, "Rows that a follower has written.", 'c'),
    (names::FOLLOWER_FAILURES, "Times a follower could not go on and tried again.", 'c'),
    (names::FOLLOWER_SKIPPED, "Records that a follower could not read and left out.", 'c'),
    (names::JOBS_OPEN, "Jobs that have not ended, or gave up, as of the last 15 seconds.", 'g'),
    (names::JOB_TRIES, "Tries of jobs, by what came of them.", 'c'),
    (names::JOB_FAILURES, "Times jobs could not be taken from the store and it was tried again.", 'c'),
    (
        names::JOB_TARGET_STATE,
        "Whether a target of jobs answers: 0 it does, 1 it is being tried, 2 it gives no answers.",
        'g',
    ),
    (names::SERVICE_UNITS, "Writes of services, by what came of them.", 'c'),
    (names::SERVICE_UNIT_SECONDS, "From the asking for a write of a service to its end.", 'h'),
    (names::CHECKPOINT_DIRTY_ENTITIES, "Entities the running checkpoint writes.", 'g'),
    (names::CHECKPOINT_SECONDS, "How long a checkpoint takes.", 'h'),
    (names::CHECKPOINT_ENTITIES, "Entities written by checkpoints.", 'c'),
    (names::CHECKPOINT_REFUSED, "Entities whose rows a constraint refused.", 'c'),
    (names::REMADE_ENTITIES, "Entities whose rows were remade of their snapshots.", 'c'),
    (names::REMADE_KINDS_INCOMPLETE, "Kinds of which not all rows have this version's shape yet.", 'g'),
    (names::PAYMENT_CALLS, "Calls of payment gateways, by outcome.", 'c'),
    (names::PAYMENT_SECONDS, "How long a call of a payment gateway takes.", 'h'),
    (names::ORDERS_QUARANTINED, "Orders that were quarantined until someone resolves them, by reason.", 'c'),
    (
        names::SHARES_NOT_ACCEPTED,
        "Paid shares of orders of which nothing was packed in time, and nothing is still.",
        'g',
    ),
    (names::ORDERS_STUCK, "Orders that wait for someone, or have waited too long for an answer.", 'g'),
    (names::PARCELS_STALE, "Parcels of which their couriers have told nothing for 30 days.", 'g'),
    (names::READY, "Whether requests are taken, as /readyz says: 1 yes, 0 no.", 'g'),
    (names::STARTED, "When this process began, in seconds since 1970.", 'g'),
    (names::FILES_MISSING, "1 while files that the node writes are not where they were opened.", 'g'),
    (names::PAYMENT_NOTICES, "Notices of payment providers, by what became of them.", 'c'),
    (names::PAYMENT_BREAKER, "Whether a payment provider counts as silent: 0 no, 1 it is being tried, 2 yes.", 'g'),
    (names::PAYMENT_BREAKER_OPENED, "How often a payment provider began to count as silent.", 'c'),
    (names::PAYMENT_WAITING, "Calls of payment providers that are held back.", 'g'),
    (names::CLOCK_AHEAD, "By how much time as the shop has it is ahead of the wall clock; negative: behind.", 'g'),
    (names::TRACE_SPANS_DROPPED, "Spans of sampled requests that no collector has taken.", 'c'),
    (
        names::LOG_LINES_LEFT_OUT,
        "Warnings and errors left out of the log, since one place in the code wrote too many.",
        'c',
    ),
    (names::ORDERS, "Orders, by status.", 'g'),
];

/// Gives every metric its help text; to be called once a recorder is installed.
pub fn describe() {
    for (name, help, kind) in HELP {
        match kind {
            'c' => metrics::describe_counter!(*name, *help),
            'g' => metrics::describe_gauge!(*name, *help),
            _ => metrics::describe_histogram!(*name, *help),
        }
    }
}

/// How logs are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object per line.
    Json,
}

/// Sends logs to stderr, filtered as by `RUST_LOG`, and panics to the log.
pub fn init(format: LogFormat, filter: &str) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(filter)?;
    let colours = std::io::stderr().is_terminal();
    let writer = move || Printable::new(std::io::stderr(), colours);
    let logs = tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer);
    // What cannot be logged would be told on stderr, which is what cannot be written; and that panics.
    let logs = logs.log_internal_errors(false);
    let logs = logs.with_span_events(FmtSpan::NONE).with_ansi(colours);
    let flood = flood::Flood(flood::Ledger::shared().clone());
    match format {
        LogFormat::Text => logs.with_target(false).finish().with(flood).init(),
        LogFormat::Json => {
            let logs = logs.json().flatten_event(true).with_current_span(true).with_span_list(false);
            logs.finish().with(flood).init();
        }
    }
    panic::set_hook(Box::new(|info| {
        let place = info.location().map(ToString::to_string).unwrap_or_default();
        let message = info.payload_as_str().unwrap_or("a panic without a message");
        tracing::error!(place, message, "panic");
    }));
    Ok(())
}

/// Tells of the warnings and errors that were left out of the log since the last time: one place in the code writes at most
/// [`LINES_A_SECOND`].
pub fn tell_left_out() {
    flood::Ledger::shared().tell();
}

/// Writes lines on which nothing acts on whoever reads them: [`printable_lines`]. Whole texts are to come at once, as
/// logs do.
pub struct Printable<W> {
    out: W,
    /// Whether colours are let through. That is all that they can do.
    colours: bool,
}

impl<W: Write> Printable<W> {
    /// In front of this.
    pub fn new(out: W, colours: bool) -> Self {
        Self { out, colours }
    }

    /// The text as it is written.
    fn shown(&self, text: &str) -> String {
        let (mut shown, mut rest) = (String::with_capacity(text.len()), text);
        while let Some((before, colour, after)) = split_at_colour(rest).filter(|_| self.colours) {
            shown.push_str(&printable_lines(before));
            shown.push_str(colour);
            rest = after;
        }
        shown.push_str(&printable_lines(rest));
        shown
    }
}

/// What stands before the first colour, that colour (ESC [ … m, of ECMA-48), and what stands behind it.
fn split_at_colour(text: &str) -> Option<(&str, &str, &str)> {
    text.match_indices("\x1b[").find_map(|(start, opening)| {
        let parameters = start + opening.len();
        let end = parameters + text[parameters..].find(|character: char| !matches!(character, '0'..='9' | ';'))?;
        let is_colour = text[end..].starts_with('m');
        is_colour.then(|| (&text[..start], &text[start..=end], &text[end + 1..]))
    })
}

impl<W: Write> Write for Printable<W> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        // At once, as it came: what others write must not come in between.
        self.out.write_all(self.shown(&String::from_utf8_lossy(bytes)).as_bytes())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.out.flush()
    }
}

/// What names somebody, says where to find or how to reach them, or lets them be known again.
const PERSONAL: [&str; 9] =
    ["address", "buyer", "contact", "email", "keys", "mail_key", "mint", "phone", "shipping_address"];

/// The value without what tells of a buyer: records of the first versions hold it, and those of later ones what it is found by.
pub fn without_personal_details(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let masked = |(name, value): (String, Value)| match PERSONAL.contains(&name.as_str()) {
                true => (name, Value::from("***")),
                false => (name, without_personal_details(value)),
            };
            Value::Object(fields.into_iter().map(masked).collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(without_personal_details).collect()),
        other => other,
    }
}

/// The value without payment tokens: they are worth money, and terminals and browsers have a memory.
pub fn without_secrets(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let masked = |(name, value)| match name == "token" {
                true => (name, Value::from("***")),
                false => (name, without_secrets(value)),
            };
            Value::Object(fields.into_iter().map(masked).collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(without_secrets).collect()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn logs_are_lines_that_nobody_outside_can_break_or_turn_around() {
        let written = |text: &str, colours| {
            let mut printable = Printable::new(Vec::new(), colours);
            printable.write_all(text.as_bytes()).unwrap();
            String::from_utf8(printable.out).unwrap()
        };
        let line = "\x1b[2m12:00\x1b[0m name \u{202e}x\u{9b}31m\x1b]0;title\x07\x1b[2J\n";
        let bare = "name \\u202ex\\u009b31m\\u001b]0;title\\u0007\\u001b[2J\n";
        assert_eq!(written(line, true), format!("\x1b[2m12:00\x1b[0m {bare}"));
        assert_eq!(written(line, false), format!("\\u001b[2m12:00\\u001b[0m {bare}"));
        assert_eq!(written("শাড়ি\n", true), "শাড়ি\n");
    }

    #[test]
    fn operators_are_shown_no_payment_tokens_in_whatever_form() {
        let state = json!({"payment": {"method": "sandbox", "token": "tok_approve"}, "lines": [{"token": {"card": 4}}, {"token": 7}, 1]});
        let shown =
            json!({"payment": {"method": "sandbox", "token": "***"}, "lines": [{"token": "***"}, {"token": "***"}, 1]});
        assert_eq!(without_secrets(state), shown);
    }
}
