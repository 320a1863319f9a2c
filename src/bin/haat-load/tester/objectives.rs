//! Whether a run was as wanted, objective by objective.

use std::collections::BTreeSet;

use serde::Serialize;

use super::judge::Check;
use super::report::Errors;
use super::scenario::{Objectives, Which};
use super::stats::{Call, Measured};

/// What an objective is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// What buyers were told and what the shop says.
    Conservation,
    /// Calls that failed.
    Errors,
    /// Answers that asked to come again.
    PutOff,
    /// A latency.
    Latency,
}

/// One objective and whether it was met.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Verdict {
    /// What it is about.
    pub kind: Kind,
    /// The calls that it is about, of a latency.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub call: Option<Call>,
    /// What was found and what is wanted, in words.
    pub said: String,
    /// Whether it was met.
    pub met: bool,
}

/// Holds what was measured to what is wanted.
pub fn verdicts(
    wanted: &Objectives,
    measured: &Measured,
    errors: &Errors,
    checks: &[Check],
    expect_drops: bool,
) -> Vec<Verdict> {
    let mut verdicts = Vec::new();
    if wanted.conservation && !checks.is_empty() {
        let failed = checks.iter().filter(|check| !check.ok).count();
        let said = format!("{failed} of {} checks of conservation failed, at most 0", checks.len());
        verdicts.push(Verdict { kind: Kind::Conservation, call: None, said, met: failed == 0 });
    }
    let requests = measured.requests();
    let share = |count: u64| 100.0 * count as f64 / requests.saturating_add(count).max(1) as f64;
    let wrong = errors.count(expect_drops);
    verdicts.push(Verdict {
        kind: Kind::Errors,
        call: None,
        said: format!("{wrong} errors in {requests} calls, {:.3} %, at most {} %", share(wrong), wanted.errors.0),
        met: share(wrong) <= wanted.errors.0,
    });
    if let Some(most) = wanted.put_off {
        let put_off = errors.put_off();
        verdicts.push(Verdict {
            kind: Kind::PutOff,
            call: None,
            said: format!("{put_off} answers put off, {:.3} %, at most {} %", share(put_off), most.0),
            met: share(put_off) <= most.0,
        });
    }
    for (name, quantile, all) in [("p50", 0.50, &wanted.p50), ("p95", 0.95, &wanted.p95), ("p99", 0.99, &wanted.p99)] {
        let named: BTreeSet<Call> = all.keys().filter_map(|which| which.call()).collect();
        for (which, most) in all {
            let calls: Vec<Call> = match which.call() {
                Some(call) => vec![call],
                None => {
                    let made: BTreeSet<Call> =
                        measured.calls.keys().chain(measured.unanswered.keys()).copied().collect();
                    made.into_iter().filter(|call| call.is_request() && !named.contains(call)).collect()
                }
            };
            if calls.is_empty() && *which == Which::Every {
                continue;
            }
            for call in calls {
                let most_us = most.0.as_micros() as u64;
                let (met, found) = match measured.quantile_us(call, quantile) {
                    Some(us) => (us <= most_us, format!("{} ms", short(us))),
                    None if measured.unanswered.contains_key(&call) => (false, "not answered".into()),
                    // What was not measured was not met.
                    None => (false, "not measured".into()),
                };
                let said = format!("{name} of {} {found}, at most {} ms", call.name(), short(most_us));
                verdicts.push(Verdict { kind: Kind::Latency, call: Some(call), said, met });
            }
        }
    }
    verdicts
}

/// Microseconds in milliseconds, with three digits or more.
fn short(us: u64) -> String {
    match us {
        0..10_000 => format!("{:.2}", us as f64 / 1000.0),
        10_000..100_000 => format!("{:.1}", us as f64 / 1000.0),
        _ => format!("{:.0}", us as f64 / 1000.0),
    }
}

#[cfg(test)]
mod tests {
    use super::super::stats::Mishap;
    use super::super::values::{Share, Time};
    use super::*;
    use std::time::Duration;

    fn measured() -> Measured {
        let mut measured = Measured::default();
        for _ in 0..100 {
            measured.calls.entry(Call::Checkout).or_default().note(Duration::from_millis(231));
            measured.calls.entry(Call::Browse).or_default().note(Duration::from_millis(4));
        }
        measured
    }

    fn said(wanted: &Objectives, measured: &Measured) -> Vec<(String, bool)> {
        let verdicts = verdicts(wanted, measured, &Errors::of(measured), &[], false);
        verdicts.into_iter().map(|verdict| (verdict.said, verdict.met)).collect()
    }

    fn at_most(all: &[(Which, u64)]) -> Objectives {
        let p95 = all.iter().map(|(which, ms)| (*which, Time(Duration::from_millis(*ms)))).collect();
        Objectives { p95, ..Objectives::default() }
    }

    #[test]
    fn a_latency_is_held_to_its_own_bound_or_to_that_of_all() {
        let found = said(&at_most(&[(Which::Checkout, 280), (Which::Every, 3)]), &measured());
        assert_eq!(found[0], ("0 errors in 200 calls, 0.000 %, at most 0 %".into(), true));
        assert!(!found[1].1 && found[1].0.starts_with("p95 of browse 4.0"), "{found:?}");
        assert_eq!(found[2], ("p95 of checkout 231 ms, at most 280 ms".into(), true));
        assert!(!said(&at_most(&[(Which::Checkout, 230)]), &measured())[1].1);
        let never = said(&at_most(&[(Which::Poll, 230)]), &measured());
        assert_eq!(never[1], ("p95 of poll not measured, at most 230 ms".into(), false));
    }

    /// A call without an answer was slower than any with one.
    #[test]
    fn what_was_not_answered_is_among_the_slowest() {
        let mut measured = measured();
        let wanted = at_most(&[(Which::Checkout, 280)]);
        measured.unanswered.insert(Call::Checkout, 5);
        assert!(said(&wanted, &measured)[1].1);
        measured.unanswered.insert(Call::Checkout, 6);
        assert_eq!(said(&wanted, &measured)[1], ("p95 of checkout not answered, at most 280 ms".into(), false));
    }

    #[test]
    fn errors_may_be_a_share_of_all() {
        let mut measured = measured();
        measured.mishaps.insert(Mishap::Timeout, 2);
        measured.mishaps.insert(Mishap::Busy, 50);
        assert!(!said(&Objectives::default(), &measured)[0].1);
        let lenient = Objectives { errors: Share(1.0), put_off: Some(Share(10.0)), ..Objectives::default() };
        let found = said(&lenient, &measured);
        assert_eq!(found[0], ("2 errors in 200 calls, 0.990 %, at most 1 %".into(), true));
        assert_eq!(found[1], ("50 answers put off, 20.000 %, at most 10 %".into(), false));
    }

    #[test]
    fn a_check_that_failed_is_an_objective_missed() {
        let checks = [true, false].map(|ok| Check { name: "x", ok, said: String::new() });
        let all = verdicts(&Objectives::default(), &measured(), &Errors::default(), &checks, false);
        assert_eq!((all[0].kind, all[0].met), (Kind::Conservation, false));
    }
}
