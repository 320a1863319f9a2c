//! `Prefer: wait=N` (RFC 7240): how long a caller would like to wait for a payment's outcome.

use crate::limits;
use http::{HeaderMap, HeaderName, HeaderValue};
use std::time::Duration;
use utoipa::IntoParams;

/// The request's header.
pub const PREFER: HeaderName = HeaderName::from_static("prefer");
/// The answer's header.
pub const PREFERENCE_APPLIED: HeaderName = HeaderName::from_static("preference-applied");

/// The header, as the documentation shows it.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[allow(dead_code, reason = "only its description is used")]
pub struct PreferHeader {
    /// `wait=N`: answer once the order is paid or refused, at most N seconds later (at most 30). What cannot be understood is ignored.
    #[param(rename = "Prefer", required = false, example = "wait=10")]
    prefer: Option<String>,
}

/// The seconds to wait, at most [`limits::PREFER_WAIT_SECONDS`]. What cannot be read is ignored, as the RFC asks; of several
/// values the first counts.
pub fn wait_seconds(headers: &HeaderMap) -> Option<u64> {
    let values = headers.get_all(&PREFER).iter().filter_map(|value| value.to_str().ok());
    let wait = values.flat_map(|value| value.split(',')).find_map(|preference| {
        let preference = preference.split(';').next().unwrap_or_default();
        let (name, value) = preference.split_once('=')?;
        name.trim().eq_ignore_ascii_case("wait").then(|| value.trim().trim_matches('"').to_owned())
    })?;
    if wait.is_empty() || !wait.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    // A number past 64 bits is a long wait all the same.
    Some(wait.parse().unwrap_or(u64::MAX).min(limits::PREFER_WAIT_SECONDS))
}

/// The wait as a duration, and the header that tells it was heeded.
pub fn wait(headers: &HeaderMap) -> Option<(Duration, HeaderValue)> {
    let seconds = wait_seconds(headers)?;
    let applied = HeaderValue::from_str(&format!("wait={seconds}")).ok()?;
    Some((Duration::from_secs(seconds), applied))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(values: &[&'static str]) -> Option<u64> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(PREFER, HeaderValue::from_static(value));
        }
        wait_seconds(&headers)
    }

    #[test]
    fn the_first_wait_counts_and_is_capped() {
        assert_eq!(seconds(&["wait=10"]), Some(10));
        assert_eq!(seconds(&["Wait = 5 "]), Some(5));
        assert_eq!(seconds(&["respond-async, wait=7; x=1"]), Some(7));
        assert_eq!(seconds(&["respond-async", "wait=\"8\""]), Some(8));
        assert_eq!(seconds(&["wait=3, wait=9"]), Some(3));
        assert_eq!(seconds(&["wait=31"]), Some(30));
        assert_eq!(seconds(&["wait=99999999999999999999999"]), Some(30));
        assert_eq!(seconds(&["wait=0"]), Some(0));
    }

    #[test]
    fn what_cannot_be_read_is_ignored() {
        for bad in ["", "wait", "wait=", "wait=-1", "wait=+1", "wait=1.5", "wait=x", "waits=1", "=1"] {
            assert_eq!(seconds(&[bad]), None, "{bad}");
        }
        assert_eq!(seconds(&[]), None);
    }
}
