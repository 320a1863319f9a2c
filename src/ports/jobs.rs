//! What jobs need: rows that stand in the store, those who do them, and what the first of them, mails, are made of and sent with.

use super::{Partition, StoreError};
use crate::domain::details::{Contact, Known};
use crate::domain::ids::{AccountId, JobId, OrderId};
use crate::domain::job::{About, Job, JobKind, JobState, Target, Tried, TryOutcome};
use crate::domain::order::OrderView;
use crate::domain::time::Timestamp;
use async_trait::async_trait;

/// A job that follows from something. It is due at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewJob {
    /// Follows from what the job follows from.
    pub id: JobId,
    /// What is to be done.
    pub kind: JobKind,
    /// What it is about.
    pub about: About,
    /// The version of that which made it; 0 where no record did.
    pub version: u64,
    /// When what it follows from happened.
    pub at: Timestamp,
}

/// A job as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobRow {
    /// Which.
    pub id: JobId,
    /// What is to be done.
    pub kind: JobKind,
    /// How it stands.
    pub state: JobState,
    /// What it is about.
    pub about: About,
    /// How often it has been tried.
    pub tries: u32,
    /// When it came into being.
    pub made_at: Timestamp,
    /// When it is tried again, where it waits.
    pub next_at: Option<Timestamp>,
    /// What has come of the last try, in words.
    pub note: Option<String>,
    /// Who had it be tried anew, the newest first: so many at most as [`crate::limits::JOB_RETRIES_SHOWN`].
    pub retries: Vec<Retry>,
}

/// That somebody had a job be tried anew.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retry {
    /// When.
    pub at: Timestamp,
    /// The subject of their token: an account, or a name.
    pub by: String,
    /// Why.
    pub reason: String,
}

/// One turn of the worker: what has come of tries, and what is to be begun.
#[derive(Clone, Copy, Debug)]
pub struct JobTurn<'a> {
    /// The partitions of the worker's node, whose epochs must still be its own.
    pub owned: &'a [Partition],
    /// What has come of jobs that this worker has begun.
    pub tried: &'a [Tried],
    /// After a turn whose outcome is unknown: what this worker is at. Whatever else the store says to be under way in its term was not begun.
    pub running: Option<&'a [JobId]>,
    /// So many of each target may begin.
    pub begin: &'a [(Target, usize)],
    /// Now.
    pub now: Timestamp,
}

/// What a turn has given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JobsBegun {
    /// What is to be done now: the store says that it is under way, since before this was returned.
    pub jobs: Vec<Job>,
    /// When the next of each of those targets is due, where one waits.
    pub next: Vec<(Target, Timestamp)>,
}

/// Which jobs to list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct JobFilter {
    /// Of this kind.
    pub kind: Option<JobKind>,
    /// In this state.
    pub state: Option<JobState>,
}

/// What became of the wish to try a job again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retried {
    /// It is due now.
    Due,
    /// It has not given up, and was not suppressed: it stands so.
    Stands(JobState),
    /// There is none of this id.
    Unknown,
}

/// The rows of jobs. (Followers add them, in the transaction of their pass.)
#[async_trait]
pub trait Jobs: Send + Sync + 'static {
    /// Has what an earlier owner had under way be looked up: nobody knows what has come of it. Gives how many there were.
    ///
    /// # Errors
    /// Fenced when the epoch of an owned partition is another's.
    async fn take_over(&self, owned: &[Partition], now: Timestamp) -> Result<u64, StoreError>;

    /// Writes what has come of tries and begins what is due, the earliest first, in one transaction.
    ///
    /// # Errors
    /// As [`Jobs::take_over`]. After Unavailable the same turn may be given again, without harm.
    async fn turn(&self, turn: JobTurn<'_>) -> Result<JobsBegun, StoreError>;

    /// Jobs, the newest first (by time, then id), after the given place.
    async fn list(
        &self,
        filter: JobFilter,
        after: Option<(Timestamp, JobId)>,
        limit: u32,
    ) -> Result<Vec<JobRow>, StoreError>;

    /// One job.
    async fn job(&self, id: JobId) -> Result<Option<JobRow>, StoreError>;

    /// Has a job that gave up, or was suppressed, be tried anew at once, and keeps who wanted it.
    async fn retry(&self, id: JobId, retry: Retry) -> Result<Retried, StoreError>;

    /// How many jobs of each kind wait, are under way, or have given up.
    async fn open(&self) -> Result<Vec<(JobKind, JobState, u64)>, StoreError>;

    /// Forgets jobs that came into being before this moment and have been done or suppressed, so many at most. Gives how many there were.
    async fn forget(&self, before: Timestamp, limit: u32) -> Result<u64, StoreError>;
}

/// What was asked for cannot be told now.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NotNow(pub String);

/// Does the jobs of one target.
#[async_trait]
pub trait JobWorker: Send + Sync + 'static {
    /// Whose.
    fn target(&self) -> Target;

    /// Tries a job once. Where nobody knows what came of an earlier try, it asks first, if the target can be asked.
    async fn try_job(&self, job: &Job) -> TryOutcome;
}

/// Orders as they are now, for whoever is no actor.
#[async_trait]
pub trait Orders: Send + Sync + 'static {
    /// One order, and where its buyer is written to; `None` where there is no such order.
    ///
    /// # Errors
    /// When it cannot be read now.
    async fn order(&self, id: OrderId) -> Result<Option<(OrderView, Known<Contact>)>, NotNow>;
}

/// What a mail about an account needs. No log shows it.
#[derive(Clone, PartialEq, Eq)]
pub struct Letter {
    /// The recipient's address.
    pub to: String,
    /// The secret that the mail brings, where it brings one.
    pub token: Option<String>,
}

/// Accounts, for whoever writes to their owners.
#[async_trait]
pub trait Letters: Send + Sync + 'static {
    /// What the mail of this kind about this needs; `None` where there is nothing to write any more.
    ///
    /// # Errors
    /// When it cannot be read now.
    async fn letter(&self, kind: JobKind, about: About) -> Result<Option<Letter>, NotNow>;
}

/// Accounts, for whoever looks for what was bought without one.
#[async_trait]
pub trait Customers: Send + Sync + 'static {
    /// The verified address of an account that buys; `None` where nobody buys with it, or not any more.
    ///
    /// # Errors
    /// When it cannot be read now.
    async fn address(&self, account: AccountId) -> Result<Option<String>, NotNow>;
}

/// Where there are no accounts.
#[derive(Clone, Copy, Debug)]
pub struct NoAccounts;

#[async_trait]
impl Letters for NoAccounts {
    async fn letter(&self, _: JobKind, _: About) -> Result<Option<Letter>, NotNow> {
        Ok(None)
    }
}

#[async_trait]
impl Customers for NoAccounts {
    async fn address(&self, _: AccountId) -> Result<Option<String>, NotNow> {
        Ok(None)
    }
}

/// A mail.
#[derive(Clone, PartialEq, Eq)]
pub struct Mail {
    /// Without its angle brackets and its domain. The same at every try.
    pub id: JobId,
    /// The recipient's address.
    pub to: String,
    /// What it tells of, such as `order.paid`.
    pub event: &'static str,
    /// The language it is written in, as BCP 47 calls it.
    pub locale: &'static str,
    /// Its subject.
    pub subject: String,
    /// Its text.
    pub text: String,
    /// The same as HTML.
    pub html: String,
    /// When what it tells of happened.
    pub at: Timestamp,
}

/// What whoever takes mails is asked with.
#[async_trait]
pub trait Mailer: Send + Sync + 'static {
    /// Sends it, once per call.
    async fn send(&self, mail: &Mail) -> TryOutcome;

    /// Whether a mail of this id was taken; `None` where nobody can tell.
    async fn has_taken(&self, id: JobId) -> Option<Result<bool, NotNow>>;
}

/// A mail as the sandbox's book shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailBookEntry {
    /// Which.
    pub id: JobId,
    /// When it was taken.
    pub at: Timestamp,
    /// The recipient's address.
    pub to: String,
    /// What it tells of.
    pub event: String,
    /// Its language.
    pub locale: String,
    /// Its subject.
    pub subject: String,
    /// Its text.
    pub text: String,
    /// Its HTML.
    pub html: String,
    /// Its `Message-ID`, without angle brackets.
    pub message_id: String,
}

/// What a mailer that keeps its own book lets an administrator see.
pub trait MailBook: Send + Sync + 'static {
    /// The newest entries, the newest first, so many at most.
    fn mails(&self, limit: usize) -> Vec<MailBookEntry>;
}
