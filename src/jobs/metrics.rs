//! What is counted of jobs.

use crate::domain::job::{JobKind, JobState, Target, TryOutcome};
use crate::outbound::Answers;
use crate::telemetry::names;
use metrics::{counter, gauge};
use std::collections::HashMap;

/// The states that are shown: whatever has not ended well.
const SHOWN: [JobState; 5] =
    [JobState::Due, JobState::Sending, JobState::Unknown, JobState::LookingUp, JobState::GaveUp];
const OUTCOMES: [&str; 6] = ["done", "suppressed", "failed", "unknown", "refused", "not_tried"];

/// Tells how many jobs stand how.
pub(super) fn open(counts: &[(JobKind, JobState, u64)]) {
    let counts: HashMap<_, _> = counts.iter().map(|(kind, state, count)| ((*kind, *state), *count)).collect();
    for kind in JobKind::ALL {
        for state in SHOWN {
            let count = counts.get(&(kind, state)).copied().unwrap_or(0);
            gauge!(names::JOBS_OPEN, "kind" => kind.name(), "state" => state.name()).set(count as f64);
        }
    }
}

pub(super) fn tried(kind: JobKind, outcome: &TryOutcome) {
    counter!(names::JOB_TRIES, "kind" => kind.name(), "outcome" => outcome.name()).increment(1);
}

pub(super) fn failed() {
    counter!(names::JOB_FAILURES).increment(1);
}

pub(super) fn answers(target: Target, answers: Answers) {
    let state = match answers {
        Answers::Yes => 0.0,
        Answers::Probed => 1.0,
        Answers::No => 2.0,
    };
    gauge!(names::JOB_TARGET_STATE, "target" => target.name()).set(state);
}

/// Has every series there before its first event.
pub fn register() {
    open(&[]);
    for kind in JobKind::ALL {
        for outcome in OUTCOMES {
            counter!(names::JOB_TRIES, "kind" => kind.name(), "outcome" => outcome).increment(0);
        }
    }
    counter!(names::JOB_FAILURES).increment(0);
    Target::ALL.into_iter().for_each(|target| answers(target, Answers::Yes));
}
