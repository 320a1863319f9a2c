//! What operators see of jobs, and the sandbox's book of mails.

use crate::domain::ids::JobId;
use crate::domain::job::{About, JobKind, JobState};
use crate::domain::text::TextKind;
use crate::http::answer::ok;
use crate::http::caller::Caller;
use crate::http::error::{self, INVALID_BODY, INVALID_QUERY, JOB_DONE, JOB_UNKNOWN, NOT_FOUND, Problem, Result};
use crate::http::extract::{Id, JsonBody, PathId as _, Query};
use crate::http::idempotency::{IdempotencyHeader, RequestKey};
use crate::http::money::{Moment, Page};
use crate::http::object::only_objects;
use crate::http::openapi::{AUTH, BODY, LISTS, READS, problems};
use crate::http::page::{List, Paging, checked_limit};
use crate::http::valid::{Faults, filled};
use crate::http::{Settings, query};
use crate::limits;
use crate::ports::Clock;
use crate::ports::jobs::{JobFilter, JobRow, Jobs, MailBook, MailBookEntry, Retried, Retry};
use crate::ports::trace;
use axum::extract::State;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use tokio::sync::Notify;
use utoipa::{IntoParams, ToSchema};

/// Jobs as operators see them.
#[derive(Clone)]
pub struct JobsDesk {
    /// Their rows.
    pub rows: Arc<dyn Jobs>,
    /// Tells that one is due at once.
    pub news: Arc<Notify>,
    /// The sandbox's book of mails, where it takes them.
    pub mails: Option<Arc<dyn MailBook>>,
    /// Time.
    pub clock: Arc<dyn Clock>,
}

/// Which jobs to list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct JobsQuery {
    /// Only of this kind.
    #[param(
        pattern = "^((order_paid|sign_up|known_address|password_reset|token_reused|many_attempts|invitation|known_invitee|new_email|email_change)_mail|attach_orders|refund_order|look_at_payment|courier_event|book_parcels|acceptance_due)?$",
        example = "order_paid_mail"
    )]
    #[serde(default, deserialize_with = "filled")]
    kind: Option<String>,
    /// Only in this state.
    #[param(pattern = "^(due|sending|unknown|looking_up|done|suppressed|gave_up)?$", example = "gave_up")]
    #[serde(default, deserialize_with = "filled")]
    state: Option<String>,
    /// Items on the page.
    #[param(minimum = 1, maximum = 200, default = 50)]
    #[serde(default, deserialize_with = "filled")]
    limit: Option<u32>,
    /// What an earlier page gave as `next_cursor`.
    #[param(pattern = "^([0-9a-f]{64})?$")]
    #[serde(default, deserialize_with = "filled")]
    cursor: Option<String>,
}

impl JobsQuery {
    fn filter(&self) -> Result<JobFilter> {
        let mut faults = Faults::default();
        let (kind, state) = (self.kind.as_deref(), self.state.as_deref());
        let filter = JobFilter { kind: kind.and_then(JobKind::from_name), state: state.and_then(JobState::from_name) };
        if kind.is_some() && filter.kind.is_none() {
            faults.add("kind", one_of(JobKind::ALL.map(JobKind::name)));
        }
        if state.is_some() && filter.state.is_none() {
            faults.add("state", one_of(JobState::ALL.map(JobState::name)));
        }
        faults.done(&INVALID_QUERY).map(|()| filter)
    }
}

fn one_of<const N: usize>(names: [&str; N]) -> String {
    format!("one of these is expected: {}", names.join(", "))
}

/// A job.
#[derive(Debug, Serialize, ToSchema)]
pub struct JobBody {
    id: JobId,
    #[schema(example = "order_paid_mail")]
    kind: &'static str,
    /// `due`: it waits for its time. `sending`: it is being done. `unknown`: nobody knows whether it was done; it is looked up in its time.
    /// `looking_up`: it is being asked about. `done`. `suppressed`: there was nothing to do. `gave_up`: it is not tried any more.
    #[schema(example = "gave_up")]
    state: &'static str,
    /// What it is about.
    #[schema(value_type = String, example = "order_01h2xcejqtf2nbrexx3vqjhp41")]
    about: About,
    /// How often it has been tried.
    tries: u32,
    /// When what it follows from happened.
    at: Moment,
    /// When it is tried again.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_at: Option<Moment>,
    /// What came of the last try.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "the mail server answered RCPT TO with 550")]
    note: Option<String>,
    /// Who had it be tried anew, the newest first; the last ten.
    retries: Vec<RetryBody>,
}

/// That somebody had a job be tried anew.
#[derive(Debug, Serialize, ToSchema)]
pub struct RetryBody {
    at: Moment,
    /// The subject of their token: an account, or a name.
    #[schema(example = "rina")]
    by: String,
    #[schema(example = "the mail server takes this domain again")]
    reason: String,
}

impl From<JobRow> for JobBody {
    fn from(row: JobRow) -> Self {
        let JobRow { id, kind, state, about, tries, made_at, next_at, note, retries } = row;
        let (kind, state) = (kind.name(), state.name());
        let retries = retries.into_iter().map(|Retry { at, by, reason }| RetryBody { at: Moment(at), by, reason });
        let (at, next_at, retries) = (Moment(made_at), next_at.map(Moment), retries.collect());
        Self { id, kind, state, about, tries, at, next_at, note, retries }
    }
}

/// Why a job is tried again.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(remote = "Self", deny_unknown_fields)]
#[schema(example = json!({"reason": "the mail server takes this domain again"}))]
pub struct RetryInput {
    /// For whoever looks at the job later.
    #[schema(
        min_length = 1,
        max_length = 1000,
        pattern = r"^[^\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f]*$"
    )]
    reason: String,
}

only_objects!(RetryInput);

problems!(ListJobsProblems: AUTH, LISTS, &[&error::UNAVAILABLE]);

/// Jobs, the newest first
#[utoipa::path(get, path = "/v1/admin/jobs", tag = "admin", security(("bearer" = [])), params(JobsQuery),
    responses((status = 200, description = "A page of jobs.", body = Page<JobBody>), ListJobsProblems))]
pub async fn list_jobs(
    State(desk): State<JobsDesk>,
    State(settings): State<Arc<Settings>>,
    Query(asked): Query<JobsQuery>,
) -> Result<Response> {
    let filter = asked.filter()?;
    let paging = Paging::new(List::new("/v1/admin/jobs", &filter), asked.limit, asked.cursor.as_deref())?;
    let after = paging.after.map(|(at, id)| (at, JobId::from_uuid(id)));
    let as_of = desk.clock.now();
    let rows = query(&settings, desk.rows.list(filter, after, paging.to_ask())).await?;
    let place = |row: &JobRow| (row.made_at, row.id.uuid());
    Ok(ok(&paging.page(rows, as_of, place, JobBody::from)))
}

problems!(RetryJobProblems: AUTH, BODY, &[&error::IDEMPOTENCY_KEY_INVALID, &JOB_UNKNOWN, &JOB_DONE, &error::UNAVAILABLE]);

/// Have a job that gave up, or was suppressed, be tried anew
///
/// One that waits or is under way stays as it is, so that asking twice is asking once.
#[utoipa::path(post, path = "/v1/admin/jobs/{job}/retry", tag = "admin", security(("bearer" = [])),
    params(("job" = JobId, Path, description = "The job"), IdempotencyHeader),
    request_body = RetryInput,
    responses((status = 200, description = "The job.", body = JobBody), RetryJobProblems))]
pub async fn retry_job(
    State(desk): State<JobsDesk>,
    State(settings): State<Arc<Settings>>,
    caller: Caller,
    _key: RequestKey,
    Id(id): Id<JobId>,
    body: JsonBody<RetryInput>,
) -> Result<Response> {
    let RetryInput { mut reason } = body.value;
    let mut faults = Faults::default();
    faults.text("reason", &mut reason, TextKind::Lines, limits::NOTE);
    faults.done(&INVALID_BODY)?;
    let retry = Retry { at: desk.clock.now(), by: caller.subject, reason };
    match query(&settings, desk.rows.retry(id, retry.clone())).await? {
        Retried::Due => {
            tracing::info!(job = %id, by = retry.by, reason = retry.reason, "a job is to be tried anew");
            trace::sets_off(id);
            desk.news.notify_one();
        }
        Retried::Stands(JobState::Done) => return Err(Problem::new(&JOB_DONE, "it is not done a second time")),
        Retried::Stands(_) => {}
        Retried::Unknown => return Err(JobId::unknown()),
    }
    let row = query(&settings, desk.rows.job(id)).await?.ok_or_else(JobId::unknown)?;
    Ok(ok(&JobBody::from(row)))
}

/// Which mails to show.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct MailsQuery {
    /// At most so many, the newest first.
    #[param(minimum = 1, maximum = 200, default = 50)]
    #[serde(default, deserialize_with = "filled")]
    limit: Option<u32>,
}

/// What the sandbox's book of mails holds.
#[derive(Debug, Serialize, ToSchema)]
pub struct MailsBody {
    items: Vec<MailBody>,
}

/// A mail that the sandbox took.
#[derive(Debug, Serialize, ToSchema)]
pub struct MailBody {
    id: JobId,
    /// When it was taken.
    at: Moment,
    #[schema(example = "rahim@example.com")]
    to: String,
    /// What it tells of.
    #[schema(example = "order.paid")]
    event: String,
    #[schema(example = "en")]
    locale: String,
    subject: String,
    text: String,
    html: String,
    #[schema(example = "job_01h2xcejqtf2nbrexx3vqjhp41@sandbox.invalid")]
    message_id: String,
}

impl From<MailBookEntry> for MailBody {
    fn from(entry: MailBookEntry) -> Self {
        let MailBookEntry { id, at, to, event, locale, subject, text, html, message_id } = entry;
        Self { id, at: Moment(at), to, event, locale, subject, text, html, message_id }
    }
}

problems!(ListMailsProblems: AUTH, READS, &[&NOT_FOUND, &error::INVALID_QUERY]);

/// The sandbox's own book of mails
#[utoipa::path(get, path = "/v1/admin/sandbox/mails", tag = "admin", security(("bearer" = [])), params(MailsQuery),
    responses((status = 200, description = "Mails.", body = MailsBody), ListMailsProblems))]
pub async fn list_mails(State(desk): State<JobsDesk>, Query(asked): Query<MailsQuery>) -> Result<Response> {
    let limit = checked_limit(asked.limit)?;
    let book = desk.mails.ok_or_else(|| Problem::new(&NOT_FOUND, "mails go to a mail server, not to the sandbox"))?;
    Ok(ok(&MailsBody { items: book.mails(limit as usize).into_iter().map(MailBody::from).collect() }))
}
