//! What the world is to hear of: what waits, what gave up, and who does not answer.

use super::{Look, OutcomeBody, answers};
use crate::domain::job::{JobState, Target};
use crate::http::ops::figures::{label, rounded};
use crate::telemetry::names;
use serde::Serialize;
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// Jobs.
#[derive(Debug, Serialize, ToSchema)]
pub struct JobsTile {
    /// Those that have not ended, or gave up, by kind and state, as of the last 15 seconds.
    open: Vec<OpenJobs>,
    /// Those that gave up and are tried no more until someone says so.
    gave_up: u64,
    /// Who is called for them.
    targets: Vec<TargetBody>,
    /// What came of tries.
    tries: Vec<OutcomeBody>,
    /// Times jobs could not be taken from the store, since the process started.
    store_failures: u64,
}

/// Jobs of one kind in one state.
#[derive(Debug, Serialize, ToSchema)]
pub struct OpenJobs {
    #[schema(example = "order_paid_mail")]
    kind: String,
    #[schema(example = "due")]
    state: String,
    count: u64,
}

/// Who is called for jobs.
#[derive(Debug, Serialize, ToSchema)]
pub struct TargetBody {
    #[schema(example = "mail")]
    target: &'static str,
    /// `yes`; `probed`: some calls are made to see whether it does; `no`: it is left alone for a while.
    #[schema(example = "yes")]
    answers: &'static str,
}

impl JobsTile {
    pub(super) fn of(Look { looks, .. }: &Look<'_>) -> Self {
        let all = looks.rates(names::JOBS_OPEN).into_iter().filter(|(_, _, count)| *count > 0);
        let open = |(series, _, count): (&str, _, _)| {
            Some(OpenJobs { kind: label(series, "kind")?.to_owned(), state: label(series, "state")?.to_owned(), count })
        };
        let open: Vec<OpenJobs> = all.filter_map(open).collect();
        let target = |target: Target| {
            let target = target.name();
            TargetBody { target, answers: answers(looks.now(names::JOB_TARGET_STATE, &[("target", target)])) }
        };
        // Of all kinds together.
        let mut tries: BTreeMap<String, OutcomeBody> = BTreeMap::new();
        for one in OutcomeBody::all(looks, names::JOB_TRIES, |_| true) {
            match tries.get_mut(&one.outcome) {
                Some(all) => {
                    all.total += one.total;
                    all.per_second = all.per_second.zip(one.per_second).map(|(all, one)| rounded(all + one, 100.0));
                }
                None => _ = tries.insert(one.outcome.clone(), one),
            }
        }
        Self {
            gave_up: open.iter().filter(|open| open.state == JobState::GaveUp.name()).map(|open| open.count).sum(),
            open,
            targets: Target::ALL.into_iter().map(target).collect(),
            tries: tries.into_values().collect(),
            store_failures: looks.total(names::JOB_FAILURES, &[]),
        }
    }
}
