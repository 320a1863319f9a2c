//! The built-in payment provider. It behaves as a real one would: it keeps its own books, in a file that is synced before it answers;
//! it takes the money of an order once, however often it is asked; and it can be told by its tokens to refuse, to be slow, to fail
//! and to lose its answer.
//!
//! | token | a charge |
//! | --- | --- |
//! | `tok_approve` | is taken |
//! | `tok_decline` | is refused as `card_declined` |
//! | `tok_slow_<ms>` | is taken so many milliseconds after it was first asked for, by whoever asks then |
//! | `tok_flaky_<n>` | fails n times, then is taken |
//! | `tok_lost_reply` | is taken, but whoever had it taken waits for ever; the next to ask hears of it |
//! | `tok_other_<minor>_<currency>` | takes this much, whatever was asked for |
//! | `tok_void_refused` | is taken and never answered, and to give it back is refused for good |
//!
//! Every answer tells the amount that stands in the books, whatever the call asked for: one order is charged once, so
//! another amount
//! under the same order is answered with the first.
//!
//! ```text
//!            ┌─ charge ──▶ charged ── void ──▶ refunded
//!  nothing ──┼─ charge ──▶ declined
//!            └─ void ────▶ voided
//! ```
//!
//! No arrow leads back: what is declined, voided or refunded is never charged. Calls for one order never run at the same
//! time: while a change is on its way to the disk, others wait for it and then look again.

mod charge_log;
#[cfg(test)]
mod tests;
mod token;
mod writer;

use crate::domain::entity::PaymentCall;
use crate::domain::ids::OrderId;
use crate::domain::money::Money;
use crate::files::Place;
use crate::ports::{ChargeLog, ChargeLogEntry, ChargeOutcome, Clock, GatewayError, PaymentGateway, VoidOutcome};
use async_trait::async_trait;
use charge_log::{Change, Contents, Refusal, Status, key_of};
use std::fs::File;
use std::future::pending;
use std::io::{self, BufReader};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;
use token::Token;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep, sleep_until};
use writer::{Attempt, Desk, State, Written, heard};

/// The name of the charge log in the data directory.
pub const CHARGE_LOG_FILE: &str = "sandbox-ledger.jsonl";

/// Why the sandbox's charge log cannot be opened or read.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// The file system failed.
    #[error("the sandbox's ledger {}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// Another process keeps it.
    #[error("the sandbox's ledger {} is in use by another process", path.display())]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// It holds a line that the sandbox cannot have written.
    #[error("the sandbox's ledger {} is damaged at line {line}: {reason}", path.display())]
    Broken {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: u64,
        /// What is wrong with it.
        reason: String,
    },
}

impl SandboxError {
    fn io(path: &Path, source: io::Error) -> Self {
        SandboxError::Io { path: path.to_owned(), source }
    }
}

/// Reads a charge log for tools: how each order stands, the oldest first. Takes no lock, so it works beside a running server; a last line that
/// is being written, or was torn by a crash, is left out.
///
/// # Errors
/// The file cannot be read (it is not there, for one) or is damaged.
pub fn read_charge_log(path: &Path) -> Result<Vec<ChargeLogEntry>, SandboxError> {
    let file = File::open(path).map_err(|source| SandboxError::io(path, source))?;
    let Contents { book, .. } = charge_log::read(BufReader::new(file), path)?;
    let mut entries: Vec<ChargeLogEntry> = book.newest_first().collect();
    entries.reverse();
    Ok(entries)
}

/// The built-in payment gateway. One process at a time keeps a charge log; dropping the gateway writes what waits and frees it.
pub struct SandboxGateway {
    desk: Arc<Desk>,
    clock: Arc<dyn Clock>,
    writer: Option<JoinHandle<()>>,
    place: Option<Place>,
}

/// What a charge has to do next.
enum ChargeStep {
    /// The outcome stands.
    Known(ChargeOutcome),
    /// The outcome is to come then.
    Wait(Instant),
    /// Another call's change is on its way: look again when it is written.
    Join(oneshot::Receiver<Written>),
    /// This call's change is on its way, and this is its outcome.
    Write(oneshot::Receiver<Written>, ChargeOutcome),
}

/// What a void has to do next; as [`ChargeStep`].
enum VoidStep {
    Known(VoidOutcome),
    Join(oneshot::Receiver<Written>),
    Write(oneshot::Receiver<Written>, VoidOutcome),
}

impl SandboxGateway {
    /// Opens the charge log in `data_dir` (both are made when they are not there) and reads it. Blocks while it does.
    ///
    /// # Errors
    /// Another process keeps the charge log, it is damaged, or it cannot be read or written.
    pub fn open(data_dir: &Path, clock: Arc<dyn Clock>) -> Result<Self, SandboxError> {
        let path = data_dir.join(CHARGE_LOG_FILE);
        let (kept, contents) = charge_log::open(&path)?;
        let place = Some(kept.place.clone());
        let mut gateway = Self::start(kept, contents, clock).map_err(|source| SandboxError::io(&path, source))?;
        gateway.place = place;
        Ok(gateway)
    }

    fn start(disk: impl writer::Disk, contents: Contents, clock: Arc<dyn Clock>) -> io::Result<Self> {
        let desk = Arc::new(Desk::default());
        desk.state.lock().book = contents.book;
        let writer = writer::start(desk.clone(), disk, contents.length)?;
        Ok(Self { desk, clock, writer: Some(writer), place: None })
    }

    fn submit(
        &self,
        state: &mut State,
        call: &PaymentCall,
        amount: Money,
        status: Status,
        reason: Option<Refusal>,
    ) -> Result<oneshot::Receiver<Written>, GatewayError> {
        let Money { minor: amount_minor, currency } = amount;
        let change =
            Change { order: call.order, mint: call.mint, status, reason, amount_minor, currency, at: self.clock.now() };
        self.desk.submit(state, change)
    }

    fn next_of_charge(&self, call: &PaymentCall, waited: bool) -> Result<ChargeStep, GatewayError> {
        let mut state = self.desk.state.lock();
        if let Some(receiver) = state.join(key_of(call)) {
            return Ok(ChargeStep::Join(receiver));
        }
        if let Some(known) = state.book.standing(key_of(call)) {
            return Ok(ChargeStep::Known(charge_outcome(known, call)));
        }
        let mut amount = call.amount;
        let refusal = match call.token.as_deref().map(Token::parse) {
            None => Some(Refusal::TokenGone),
            Some(Ok(Token::Approve | Token::LostReply)) => None,
            Some(Ok(Token::Other(other))) => {
                amount = other;
                None
            }
            Some(Ok(Token::VoidRefused)) => Some(Refusal::NotRefundable),
            Some(Ok(Token::Decline)) => Some(Refusal::CardDeclined),
            Some(Ok(Token::Slow(millis))) => {
                if !waited {
                    // Counted from the first time it is asked: a caller that gives up and asks again is not put off for ever.
                    let ready_at = match state.attempts.get(&key_of(call)) {
                        Some(Attempt::ReadyAt(ready_at)) => *ready_at,
                        _ => sleep(Duration::from_millis(millis)).deadline(),
                    };
                    state.attempts.insert(key_of(call), Attempt::ReadyAt(ready_at));
                    return Ok(ChargeStep::Wait(ready_at));
                }
                None
            }
            Some(Ok(Token::Flaky(times))) => {
                let failed = match state.attempts.get(&key_of(call)) {
                    Some(Attempt::Failed(failed)) => *failed,
                    _ => 0,
                };
                if failed < times {
                    state.attempts.insert(key_of(call), Attempt::Failed(failed + 1));
                    return Err(GatewayError(format!("failed as it was told to, {} of {times} times", failed + 1)));
                }
                None
            }
            // The edge has checked the token; should one come through all the same, asking again would not make it better.
            Some(Err(_)) => Some(Refusal::TokenUnknown),
        };
        let (status, outcome) = match refusal {
            None | Some(Refusal::NotRefundable) => (Status::Charged, ChargeOutcome::Charged(amount)),
            Some(refusal) => (Status::Declined, ChargeOutcome::Declined(refusal.name().to_owned())),
        };
        let receiver = self.submit(&mut state, call, amount, status, refusal)?;
        Ok(ChargeStep::Write(receiver, outcome))
    }

    fn next_of_void(&self, call: &PaymentCall) -> Result<VoidStep, GatewayError> {
        let mut state = self.desk.state.lock();
        if let Some(receiver) = state.join(key_of(call)) {
            return Ok(VoidStep::Join(receiver));
        }
        let (amount, status, outcome) = match state.book.standing(key_of(call)) {
            Some(known) => match known.status {
                Status::Voided | Status::Declined => {
                    return Ok(VoidStep::Known(VoidOutcome::Voided));
                }
                Status::Refunded => return Ok(VoidStep::Known(VoidOutcome::Refunded(known.amount()))),
                Status::Charged if known.reason == Some(Refusal::NotRefundable) => {
                    let reason = Refusal::NotRefundable.name().to_owned();
                    return Ok(VoidStep::Known(VoidOutcome::Refused { reason, taken: Some(known.amount()) }));
                }
                // What is given back is what was taken, whatever the caller believes.
                Status::Charged => (known.amount(), Status::Refunded, VoidOutcome::Refunded(known.amount())),
            },
            None => (call.amount, Status::Voided, VoidOutcome::Voided),
        };
        let receiver = self.submit(&mut state, call, amount, status, None)?;
        Ok(VoidStep::Write(receiver, outcome))
    }
}

/// The call's token, if it is one of the sandbox's.
fn token_of(call: &PaymentCall) -> Option<Token> {
    Token::parse(call.token.as_deref()?).ok()
}

/// The outcome that a charge asked again is given.
fn charge_outcome(known: &Change, call: &PaymentCall) -> ChargeOutcome {
    match known.status {
        Status::Charged => {
            if known.amount() != call.amount {
                tracing::warn!(order = %call.order, taken = %known.amount(), asked = %call.amount, "one order, two amounts");
            }
            ChargeOutcome::Charged(known.amount())
        }
        Status::Declined => {
            let reason = known.reason.unwrap_or(Refusal::CardDeclined);
            ChargeOutcome::Declined(reason.name().to_owned())
        }
        // The money is not here, and it never will be: whoever still believes that the order is being paid must hear that.
        Status::Voided | Status::Refunded => ChargeOutcome::Voided,
    }
}

#[async_trait]
impl PaymentGateway for SandboxGateway {
    fn method(&self) -> &'static str {
        "sandbox"
    }

    fn check_token(&self, token: &str) -> Result<(), String> {
        Token::parse(token).map(|_| ())
    }

    /// Dropping the future gives up the answer, not a charge that is on its way to the disk.
    ///
    /// `not_after` is not looked at: the engine asks for nothing past it, and voids what it finds.
    async fn charge(&self, call: &PaymentCall) -> Result<ChargeOutcome, GatewayError> {
        let mut waited = false;
        loop {
            match self.next_of_charge(call, waited)? {
                ChargeStep::Known(outcome) => {
                    if token_of(call) == Some(Token::VoidRefused) {
                        pending::<()>().await;
                    }
                    return Ok(outcome);
                }
                ChargeStep::Wait(ready_at) => {
                    sleep_until(ready_at).await;
                    waited = true;
                }
                ChargeStep::Join(receiver) => heard(receiver.await)?,
                ChargeStep::Write(receiver, outcome) => {
                    heard(receiver.await)?;
                    if matches!(token_of(call), Some(Token::LostReply | Token::VoidRefused)) {
                        pending::<()>().await;
                    }
                    return Ok(outcome);
                }
            }
        }
    }

    /// What was declined stays so and needs no void: the answer is that nothing was taken and nothing will be.
    async fn void(&self, call: &PaymentCall) -> Result<VoidOutcome, GatewayError> {
        loop {
            match self.next_of_void(call)? {
                VoidStep::Known(outcome) => return Ok(outcome),
                VoidStep::Join(receiver) => heard(receiver.await)?,
                VoidStep::Write(receiver, outcome) => {
                    heard(receiver.await)?;
                    return Ok(outcome);
                }
            }
        }
    }
}

impl ChargeLog for SandboxGateway {
    fn entries(&self, order: Option<OrderId>, limit: usize) -> Vec<ChargeLogEntry> {
        let state = self.desk.state.lock();
        match order {
            Some(order) => state.book.entries(order).collect(),
            None => state.book.newest_first().take(limit).collect(),
        }
    }

    fn in_place(&self) -> Result<(), String> {
        self.place.as_ref().map_or(Ok(()), Place::check)
    }
}

impl Drop for SandboxGateway {
    fn drop(&mut self) {
        self.desk.stop();
        if let Some(writer) = self.writer.take() {
            // A writer that panicked has said so; there is nothing left to do for it.
            let _ = writer.join();
        }
    }
}
