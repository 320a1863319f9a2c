//! The built-in payment provider. It behaves as a real one would: it keeps its own books, in a file that is synced before it answers;
//! it takes the money of an order once, however often it is asked; and it can be told by its tokens to refuse, to be slow, to fail
//! and to lose its answer.
//!
//! | token | a charge |
//! | --- | --- |
//! | `tok_approve` | is taken |
//! | `tok_decline` | is refused as `card_declined` |
//! | `tok_slow_<ms>` | is taken so many milliseconds after it was first asked for, by whoever asks then |
//! | `tok_late_<ms>` | as `tok_slow_<ms>`, but who asks earlier is answered at once: it is being processed. It is taken without being asked |
//! | `tok_flaky_<n>` | fails n times, then is taken |
//! | `tok_lost_reply` | is taken, but whoever had it taken waits for ever; the next to ask hears of it |
//! | `tok_never` | is neither taken nor answered |
//! | `tok_other_<minor>_<currency>` | takes this much, whatever was asked for |
//! | `tok_approve.refund_refuse` | is taken; the first attempt of each refund is refused, a later one is carried out |
//! | `tok_void_refused` | is taken and never answered, and to give it back is refused for good |
//!
//! Every answer tells the amount that stands in the books, whatever the call asked for: one order is charged once, so
//! another amount
//! under the same order is answered with the first.
//!
//! ```text
//!            ┌─ charge ──▶ charged ── refund ──▶ refunded
//!  nothing ──┼─ charge ──▶ declined
//!            └─ cancel ──▶ voided
//! ```
//!
//! What comes after a payment is driven from outside ([`ChargeLog`]): a buyer's bank disputes a part of it and decides, or returns a refund
//! that had succeeded.
//!
//! No arrow leads back: what is declined, voided or refunded is never charged, and there is nothing to cancel in what was declined. What is
//! refunded is told of as cancelled: the money is not here, and whoever still believes that the order is being paid must hear that. Calls
//! for one order never run at the same
//! time: while a change is on its way to the disk, others wait for it and then look again.

mod after;
mod book_file;
mod charge_log;
mod mails;
#[cfg(test)]
mod tests;
mod token;
mod writer;

use crate::domain::entity::PaymentCall;
use crate::domain::ids::{OrderId, RefundId};
use crate::domain::money::Money;
use crate::domain::order::{DisputeTold, PaymentChoice};
use crate::domain::payment::{Progress, RefundCall, RefundOf, RefundProgress};
use crate::domain::reject::Reject;
use crate::domain::time::Timestamp;
use crate::files::Place;
use crate::ports::{
    Changed, ChargeLog, ChargeLogEntry, Clock, GivenBack, NoAnswer, PaymentProvider, SandboxDispute, Undriven,
};
use async_trait::async_trait;
use charge_log::{Change, Contents, Key, PartRefund, Refusal, Status, key_of};
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

pub use mails::{MAILS_FILE, SandboxMailer};

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

/// A line of a charge log, for tools that look at one order after the other.
#[derive(Clone, Copy, Debug)]
pub struct ChargeLine<'a> {
    /// Whose charge it is about.
    pub order: OrderId,
    /// Which line, from 1.
    pub number: u64,
    /// Where it ends: the bytes of the file up to it.
    pub end: u64,
    /// The line without its end.
    pub text: &'a [u8],
}

/// Reads a charge log for tools, the oldest line first. Takes no lock, so it works beside a running server; a last line that is being
/// written, or was torn by a crash, is left out.
///
/// # Errors
/// The file cannot be read (it is not there, for one), or a line is about no order. Whether lines may follow each other is for [`ChargesOf`] to say.
pub fn for_each_charge_line(path: &Path, mut each: impl FnMut(ChargeLine<'_>)) -> Result<(), SandboxError> {
    let file = File::open(path).map_err(|source| SandboxError::io(path, source))?;
    let (mut number, mut end) = (0, 0);
    book_file::read(BufReader::new(file), path, |text| {
        (number, end) = (number + 1, end + text.len() as u64 + 1);
        each(ChargeLine { order: charge_log::order_of(text)?, number, end, text });
        Ok(())
    })?;
    Ok(())
}

/// How many bytes of a charge log its complete lines have by now. Lines are only ever added: those up to there stay what they are.
///
/// # Errors
/// The file cannot be read.
pub fn charge_log_length(path: &Path) -> Result<u64, SandboxError> {
    book_file::complete(path).map_err(|source| SandboxError::io(path, source))
}

/// What the lines of one order say of its charges.
#[derive(Debug, Default)]
pub struct ChargesOf(charge_log::Book);

impl ChargesOf {
    /// Takes the next line.
    ///
    /// # Errors
    /// Why it cannot have followed the lines before it, in words.
    pub fn take(&mut self, text: &[u8]) -> Result<(), String> {
        self.0.take(text)
    }

    /// How each charge stands, the newest first.
    pub fn entries(&self) -> impl Iterator<Item = ChargeLogEntry> {
        self.0.newest_first()
    }
}

/// The built-in payment gateway. One process at a time keeps a charge log; dropping the gateway writes what waits and frees it.
pub struct SandboxGateway {
    desk: Arc<Desk>,
    clock: Arc<dyn Clock>,
    writer: Option<JoinHandle<()>>,
    place: Option<Place>,
}

/// What a call has to do next.
enum Step<T> {
    /// The answer stands.
    Known(T),
    /// The answer is to come then.
    Wait(Instant),
    /// It never comes.
    Never,
    /// Another call's change is on its way: look again when it is written.
    Join(oneshot::Receiver<Written>),
    /// This call's change is on its way, and this is its answer.
    Write(oneshot::Receiver<Written>, T),
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
        let writer = writer::start(desk.clone(), disk, contents.bytes.complete)?;
        Ok(Self { desk, clock, writer: Some(writer), place: None })
    }

    /// A change of what this call is about.
    fn change(&self, (order, mint): Key, amount: Money, status: Status) -> Change {
        let Money { minor: amount_minor, currency } = amount;
        Change { order, mint, status, reason: None, amount_minor, currency, attempt: 1, at: self.clock.now() }
    }

    fn next_of_charge(&self, call: &PaymentCall, waited: bool) -> Result<Step<Progress>, NoAnswer> {
        let key = key_of(call);
        let mut state = self.desk.state.lock();
        if let Some(receiver) = state.join(key) {
            return Ok(Step::Join(receiver));
        }
        if let Some(known) = state.book.standing(key) {
            return Ok(Step::Known(progress(known, call)));
        }
        let mut amount = call.amount;
        let refusal = match call.token.as_deref().map(Token::parse) {
            None => Some(Refusal::TokenGone),
            Some(Ok(Token::Approve | Token::LostReply)) => None,
            Some(Ok(Token::Never)) => return Ok(Step::Never),
            Some(Ok(Token::Other(other))) => {
                amount = other;
                None
            }
            Some(Ok(Token::VoidRefused)) => Some(Refusal::NotRefundable),
            Some(Ok(Token::RefundRefuse)) => Some(Refusal::RefundRefused),
            Some(Ok(Token::Decline)) => Some(Refusal::CardDeclined),
            Some(Ok(Token::Slow(millis))) => {
                if !waited {
                    // Counted from the first time it is asked: a caller that gives up and asks again is not put off for ever.
                    let ready_at = match state.attempts.get(&key) {
                        Some(Attempt::ReadyAt(ready_at)) => *ready_at,
                        _ => sleep(Duration::from_millis(millis)).deadline(),
                    };
                    state.attempts.insert(key, Attempt::ReadyAt(ready_at));
                    return Ok(Step::Wait(ready_at));
                }
                None
            }
            Some(Ok(Token::Late(millis))) => {
                if let Some(taken) = self.taken_by_now(&mut state, call)? {
                    return Ok(taken);
                }
                let ready_at = sleep(Duration::from_millis(millis)).deadline();
                state.attempts.entry(key).or_insert(Attempt::Late { ready_at, amount });
                return Ok(Step::Known(Progress::Processing));
            }
            Some(Ok(Token::Flaky(times))) => {
                let failed = match state.attempts.get(&key) {
                    Some(Attempt::Failed(failed)) => *failed,
                    _ => 0,
                };
                if failed < times {
                    state.attempts.insert(key, Attempt::Failed(failed + 1));
                    return Err(NoAnswer(format!("failed as it was told to, {} of {times} times", failed + 1)));
                }
                None
            }
            // The edge has checked the token; should one come through all the same, asking again would not make it better.
            Some(Err(_)) => Some(Refusal::TokenUnknown),
        };
        let status = match refusal {
            None | Some(Refusal::NotRefundable | Refusal::RefundRefused) => Status::Charged,
            Some(_) => Status::Declined,
        };
        let change = Change { reason: refusal, ..self.change(key, amount, status) };
        let receiver = self.desk.submit(&mut state, change)?;
        Ok(Step::Write(receiver, progress(&change, call)))
    }

    /// What is late is taken at its moment without being asked: whoever comes next finds it so.
    fn taken_by_now(&self, state: &mut State, call: &PaymentCall) -> Result<Option<Step<Progress>>, NoAnswer> {
        let change = match state.attempts.get(&key_of(call)) {
            Some(Attempt::Late { ready_at, amount }) if Instant::now() >= *ready_at => {
                self.change(key_of(call), *amount, Status::Charged)
            }
            _ => return Ok(None),
        };
        let receiver = self.desk.submit(state, change)?;
        Ok(Some(Step::Write(receiver, progress(&change, call))))
    }

    fn next_of_look_up(&self, call: &PaymentCall) -> Result<Step<Progress>, NoAnswer> {
        let key = key_of(call);
        let mut state = self.desk.state.lock();
        if let Some(receiver) = state.join(key) {
            return Ok(Step::Join(receiver));
        }
        if let Some(known) = state.book.standing(key) {
            return Ok(Step::Known(progress(known, call)));
        }
        if let Some(taken) = self.taken_by_now(&mut state, call)? {
            return Ok(taken);
        }
        Ok(Step::Known(match state.attempts.get(&key) {
            Some(Attempt::Late { .. } | Attempt::ReadyAt(_)) => Progress::Processing,
            Some(Attempt::Failed(_)) | None => Progress::NotStarted,
        }))
    }

    fn next_of_cancel(&self, call: &PaymentCall) -> Result<Step<Progress>, NoAnswer> {
        let key = key_of(call);
        let mut state = self.desk.state.lock();
        if let Some(receiver) = state.join(key) {
            return Ok(Step::Join(receiver));
        }
        if let Some(known) = state.book.standing(key) {
            return Ok(Step::Known(match known.status {
                Status::Declined => Progress::Cancelled,
                Status::Charged | Status::Voided | Status::Refunded => progress(known, call),
            }));
        }
        if let Some(taken) = self.taken_by_now(&mut state, call)? {
            return Ok(taken);
        }
        let receiver = self.desk.submit(&mut state, self.change(key, call.amount, Status::Voided))?;
        Ok(Step::Write(receiver, Progress::Cancelled))
    }

    /// A part of a charge, of which together no more is given back than was taken.
    fn next_of_part(
        &self,
        state: &mut State,
        call: &RefundCall,
        of: RefundOf,
    ) -> Result<Step<RefundProgress>, NoAnswer> {
        let key = (call.order, call.mint);
        let failed = |refusal: Refusal| Ok(Step::Known(RefundProgress::Failed { reason: refusal.name().to_owned() }));
        if let Some(known) = state.book.refunds(key).iter().find(|refund| refund.is(of, call.attempt)) {
            return Ok(Step::Known(given(state, known)));
        }
        match state.book.standing(key).and_then(|charge| charge.reason) {
            Some(Refusal::NotRefundable) => return failed(Refusal::NotRefundable),
            Some(Refusal::RefundRefused) if call.attempt == 1 => return failed(Refusal::RefundRefused),
            _ => {}
        }
        let fits =
            |kept: &Money| kept.currency == call.amount.currency && (1..=kept.minor).contains(&call.amount.minor);
        if state.book.kept(key).filter(fits).is_none() {
            return failed(Refusal::NothingToRefund);
        }
        let Money { minor: amount_minor, currency } = call.amount;
        let (order, mint) = key;
        let (refund, refund_mint, attempt, at) = (of.refund, of.mint, call.attempt, self.clock.now());
        let line = PartRefund { order, mint, refund, attempt, refund_mint, amount_minor, currency, at };
        let receiver = self.desk.submit(state, line)?;
        Ok(Step::Write(receiver, RefundProgress::Succeeded { amount: call.amount }))
    }

    fn next_of_refund(&self, call: &RefundCall) -> Result<Step<RefundProgress>, NoAnswer> {
        let key = (call.order, call.mint);
        let mut state = self.desk.state.lock();
        if let Some(receiver) = state.join(key) {
            return Ok(Step::Join(receiver));
        }
        if let Some(of) = call.of {
            return self.next_of_part(&mut state, call, of);
        }
        let failed = |refusal: Refusal| RefundProgress::Failed { reason: refusal.name().to_owned() };
        let taken = match state.book.standing(key) {
            Some(known) if known.status == Status::Refunded && known.attempt == call.attempt => {
                return Ok(Step::Known(RefundProgress::Succeeded { amount: known.amount() }));
            }
            Some(Change { status: Status::Charged, reason: Some(Refusal::NotRefundable), .. }) => {
                return Ok(Step::Known(failed(Refusal::NotRefundable)));
            }
            Some(known) if known.status == Status::Charged => known.amount(),
            _ => return Ok(Step::Known(failed(Refusal::NothingToRefund))),
        };
        // What is given back is what was taken, whatever the caller believes.
        let change = Change { attempt: call.attempt, ..self.change(key, taken, Status::Refunded) };
        let receiver = self.desk.submit(&mut state, change)?;
        Ok(Step::Write(receiver, RefundProgress::Succeeded { amount: taken }))
    }

    fn next_of_refund_look_up(&self, call: &RefundCall) -> Step<Option<RefundProgress>> {
        let key = (call.order, call.mint);
        let mut state = self.desk.state.lock();
        if let Some(receiver) = state.join(key) {
            return Step::Join(receiver);
        }
        if let Some(of) = call.of {
            let found = state.book.refunds(key).iter().find(|refund| refund.is(of, call.attempt));
            return Step::Known(found.map(|refund| given(&state, refund)));
        }
        let refunded = |known: &&Change| known.status == Status::Refunded && known.attempt == call.attempt;
        let found = state.book.standing(key).filter(refunded);
        Step::Known(found.map(|known| RefundProgress::Succeeded { amount: known.amount() }))
    }
}

/// How a part of a charge that was given back stands.
fn given(state: &State, refund: &PartRefund) -> RefundProgress {
    match state.book.return_of(refund) {
        Some(returned) => RefundProgress::Failed { reason: returned.reason.clone() },
        None => RefundProgress::Succeeded { amount: refund.amount() },
    }
}

/// The call's token, if it is one of the sandbox's.
fn token_of(call: &PaymentCall) -> Option<Token> {
    Token::parse(call.token.as_deref()?).ok()
}

/// How a payment stands by its newest line.
fn progress(known: &Change, call: &PaymentCall) -> Progress {
    match known.status {
        Status::Charged => {
            if known.amount() != call.amount {
                tracing::warn!(order = %call.order, taken = %known.amount(), asked = %call.amount, "one order, two amounts");
            }
            Progress::Succeeded { reference: None, amount: known.amount(), fee: None }
        }
        Status::Declined => {
            let reason = known.reason.unwrap_or(Refusal::CardDeclined);
            Progress::Declined { reason: reason.name().to_owned() }
        }
        // The money is not here, and it never will be.
        Status::Voided | Status::Refunded => Progress::Cancelled,
    }
}

/// Goes on until there is an answer. One that is `lost` never comes, and what it would have told is done.
async fn answered<T>(mut next: impl FnMut(bool) -> Result<Step<T>, NoAnswer>, lost: &Lost) -> Result<T, NoAnswer> {
    let mut waited = false;
    loop {
        match next(waited)? {
            Step::Known(answer) => {
                if lost.known {
                    pending::<()>().await;
                }
                return Ok(answer);
            }
            Step::Wait(ready_at) => {
                sleep_until(ready_at).await;
                waited = true;
            }
            Step::Never => pending::<()>().await,
            Step::Join(receiver) => heard(receiver.await)?,
            Step::Write(receiver, answer) => {
                heard(receiver.await)?;
                if lost.written {
                    pending::<()>().await;
                }
                return Ok(answer);
            }
        }
    }
}

/// Which answers never come.
#[derive(Default)]
struct Lost {
    /// Those that stand already.
    known: bool,
    /// Those of calls that change something.
    written: bool,
}

#[async_trait]
impl PaymentProvider for SandboxGateway {
    fn method(&self) -> &'static str {
        "sandbox"
    }

    fn check(&self, choice: &PaymentChoice) -> Result<(), Reject> {
        let unsupported = |reason| Reject::PaymentUnsupported { reason, token: true };
        Token::parse(&choice.token).map(drop).map_err(unsupported)
    }

    /// Dropping the future gives up the answer, not a charge that is on its way to the disk.
    ///
    /// `not_after` is not looked at: the engine asks for nothing past it, and voids what it finds.
    async fn charge(&self, call: &PaymentCall) -> Result<Progress, NoAnswer> {
        let token = token_of(call);
        let known = token == Some(Token::VoidRefused);
        let lost = Lost { known, written: known || token == Some(Token::LostReply) };
        answered(|waited| self.next_of_charge(call, waited), &lost).await
    }

    async fn look_up(&self, call: &PaymentCall) -> Result<Progress, NoAnswer> {
        answered(|_| self.next_of_look_up(call), &Lost::default()).await
    }

    /// What was declined stays so and needs no line: the answer is that nothing was taken and nothing will be.
    async fn cancel(&self, call: &PaymentCall) -> Result<Progress, NoAnswer> {
        answered(|_| self.next_of_cancel(call), &Lost::default()).await
    }

    async fn refund(&self, call: &RefundCall) -> Result<RefundProgress, NoAnswer> {
        answered(|_| self.next_of_refund(call), &Lost::default()).await
    }

    async fn look_up_refund(&self, call: &RefundCall) -> Result<Option<RefundProgress>, NoAnswer> {
        answered(|_| Ok(self.next_of_refund_look_up(call)), &Lost::default()).await
    }

    async fn disputes(&self, call: &PaymentCall) -> Result<Vec<DisputeTold>, NoAnswer> {
        Ok(self.disputes_told(key_of(call)))
    }

    async fn changed(&self, since: Timestamp, cursor: Option<&str>) -> Result<Changed, NoAnswer> {
        self.changed_since(since, cursor)
    }
}

#[async_trait]
impl ChargeLog for SandboxGateway {
    fn entries(&self, order: Option<OrderId>, limit: usize) -> Vec<ChargeLogEntry> {
        let state = self.desk.state.lock();
        match order {
            Some(order) => state.book.entries(order).collect(),
            None => state.book.newest_first().take(limit).collect(),
        }
    }

    fn refunds(&self, order: Option<OrderId>, limit: usize) -> Vec<GivenBack> {
        self.given_back(order, limit)
    }

    async fn dispute(&self, order: OrderId, amount: Money, reason: &str) -> Result<DisputeTold, Undriven> {
        answered(|_| self.next_of_dispute(order, amount, reason), &Lost::default()).await?
    }

    async fn close_dispute(&self, dispute: SandboxDispute, won: bool) -> Result<DisputeTold, Undriven> {
        answered(|_| self.next_of_close(dispute, won), &Lost::default()).await?
    }

    async fn return_refund(&self, refund: RefundId, reason: &str) -> Result<GivenBack, Undriven> {
        answered(|_| self.next_of_return(refund, reason), &Lost::default()).await?
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
