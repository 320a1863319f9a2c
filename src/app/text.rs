//! How the operators' tools write figures and moments for people.

use crate::domain::time::Timestamp;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;

/// A moment in RFC 3339, in UTC, to the millisecond: `2026-11-21T04:52:16.123Z`.
pub fn rfc3339(at: Timestamp) -> String {
    let format = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");
    let moment = OffsetDateTime::from_unix_timestamp_nanos(i128::from(at.as_millis()) * 1_000_000).ok();
    // What no calendar holds is shown as it is.
    moment.and_then(|moment| moment.format(&format).ok()).unwrap_or_else(|| at.to_string())
}

/// The moment that an RFC 3339 text names, in whole milliseconds.
///
/// # Errors
/// What is wrong with the text, in words.
pub fn parse_rfc3339(text: &str) -> Result<Timestamp, String> {
    let moment = OffsetDateTime::parse(text, &Rfc3339)
        .map_err(|_| format!("'{text}' is not a time such as 2026-11-21T04:52:16.123Z"))?;
    let millis = moment.unix_timestamp_nanos().div_euclid(1_000_000);
    i64::try_from(millis).map(Timestamp::from_millis).map_err(|_| format!("'{text}' is too far away"))
}

/// A number with commas between thousands: `12,345`.
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// So many of a thing: `1 order`, `12,345 orders`.
pub fn counted(number: u64, thing: &str) -> String {
    format!("{} {thing}{}", count(number), if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_written_and_read_to_the_millisecond() {
        let at = Timestamp::from_millis(1_763_700_736_123);
        assert_eq!(rfc3339(at), "2025-11-21T04:52:16.123Z");
        assert_eq!(parse_rfc3339(&rfc3339(at)), Ok(at));
        assert_eq!(parse_rfc3339("2025-11-21T10:52:16.123+06:00"), Ok(at));
        assert!(parse_rfc3339("yesterday").is_err());
        assert_eq!(rfc3339(Timestamp::from_millis(i64::MAX)), format!("{} ms", i64::MAX));
    }

    #[test]
    fn thousands_have_commas() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(count), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!([counted(1, "order"), counted(1_000, "order")], ["1 order", "1,000 orders"]);
    }
}
