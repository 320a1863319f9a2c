//! Small values of the command line: durations, ranges, percentages; and the random numbers behind every choice.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::time::Duration;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Reads `500us`, `250ms`, `1.5s`, `2m`, `1h` or a bare `0`.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let number: f64 = number.parse().map_err(|_| format!("'{text}' is not a duration such as 250ms or 10s"))?;
    let seconds = match unit {
        "us" => number / 1e6,
        "ms" => number / 1e3,
        "s" => number,
        "m" => number * 60.0,
        "h" => number * 3600.0,
        "" if number == 0.0 => 0.0,
        "" => return Err(format!("'{text}' has no unit: write {text}ms or {text}s")),
        other => return Err(format!("'{other}' is not one of us, ms, s, m, h")),
    };
    if seconds > 86_400.0 {
        return Err(format!("'{text}' is longer than a day"));
    }
    Ok(Duration::from_secs_f64(seconds))
}

/// Reads a percentage from 0 to 100.
pub fn parse_percent(text: &str) -> Result<f64, String> {
    match text.trim_end_matches('%').parse::<f64>() {
        Ok(value) if (0.0..=100.0).contains(&value) => Ok(value),
        _ => Err(format!("'{text}' is not a percentage from 0 to 100")),
    }
}

/// A duration as a scenario file has it: `"250ms"`, `"1.5s"`, `"2m"`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Time(pub Duration);

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{}us", self.0.as_micros()))
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        parse_duration(&text).map(Time).map_err(D::Error::custom)
    }
}

/// A share of all, as a scenario file has it: `"2.5%"`. Within: a percentage.
#[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd)]
pub struct Share(pub f64);

impl Serialize for Share {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{}%", self.0))
    }
}

impl<'de> Deserialize<'de> for Share {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        match text.ends_with('%') {
            true => parse_percent(&text).map(Share).map_err(D::Error::custom),
            false => Err(D::Error::custom(format!("'{text}' is not a share such as \"10%\""))),
        }
    }
}

/// Reads `127.0.0.2-127.0.0.11`, or addresses with commas between them.
pub fn parse_addresses(text: &str) -> Result<Vec<IpAddr>, String> {
    /// More would be a slip of the finger.
    const MOST: u32 = 4096;
    let one = |part: &str| part.trim().parse::<IpAddr>().map_err(|_| format!("'{part}' is not an IP address"));
    let mut all = Vec::new();
    for part in text.split(',') {
        let Some((first, last)) = part.split_once('-') else {
            all.push(one(part)?);
            continue;
        };
        let (IpAddr::V4(first), IpAddr::V4(last)) = (one(first)?, one(last)?) else {
            return Err(format!("'{part}' is not a range of IPv4 addresses"));
        };
        let (first, last) = (u32::from(first), u32::from(last));
        if last < first || last - first >= MOST {
            return Err(format!("'{part}' ends before it begins, or has more than {MOST} addresses"));
        }
        all.extend((first..=last).map(|bits| IpAddr::V4(bits.into())));
    }
    Ok(all)
}

/// One value, or `MIN..MAX` with both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span<T> {
    /// The least value.
    pub min: T,
    /// The greatest value.
    pub max: T,
}

fn parse_span<T: PartialOrd + Copy>(text: &str, one: impl Fn(&str) -> Result<T, String>) -> Result<Span<T>, String> {
    let (min, max) = match text.split_once("..") {
        Some((min, max)) => (one(min)?, one(max.trim_start_matches('='))?),
        None => (one(text)?, one(text)?),
    };
    if min > max {
        return Err(format!("'{text}' ends before it begins"));
    }
    Ok(Span { min, max })
}

/// Reads `0ms` or `100ms..2s`.
pub fn parse_duration_span(text: &str) -> Result<Span<Duration>, String> {
    parse_span(text, parse_duration)
}

/// Reads `1` or `1..3`, from 1 to 10,000 (the contract's most for one line).
pub fn parse_quantity_span(text: &str) -> Result<Span<u32>, String> {
    parse_span(text, |part| match part.trim().parse::<u32>() {
        Ok(value) if (1..=10_000).contains(&value) => Ok(value),
        _ => Err(format!("'{part}' is not a quantity from 1 to 10000")),
    })
}

impl Serialize for Span<u32> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{}..{}", self.min, self.max))
    }
}

impl<'de> Deserialize<'de> for Span<u32> {
    /// A number, or a text with `MIN..MAX`.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Number(u32),
            Text(String),
        }
        let text = match Written::deserialize(deserializer)? {
            Written::Number(number) => number.to_string(),
            Written::Text(text) => text,
        };
        parse_quantity_span(&text).map_err(D::Error::custom)
    }
}

/// A price as the contract writes it: a decimal string, kept as it was typed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Price(pub String);

impl<'de> Deserialize<'de> for Price {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

impl FromStr for Price {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match rust_decimal::Decimal::from_str_exact(text) {
            Ok(value) if !value.is_sign_negative() => Ok(Price(text.to_owned())),
            _ => Err(format!("'{text}' is not a price such as 1250.00")),
        }
    }
}

impl fmt::Display for Price {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// SplitMix64: small, fast and the same on every machine, so that a seed repeats a run's choices.
///
/// Source: Steele, Lea, Flood, "Fast splittable pseudorandom number generators", 2014.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// The numbers of one stream (one session, one cart) of a seed: they depend on nothing else.
    pub fn of(seed: u64, stream: u64) -> Self {
        let mut random = Random(seed ^ stream.wrapping_mul(0xd134_2543_de82_ef95));
        random.next();
        random
    }

    /// The next 64 bits.
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From 0 up to, but never, 1.
    pub fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// From 0 up to, but never, `end`; 0 when `end` is 0.
    pub fn below(&mut self, end: usize) -> usize {
        ((u128::from(self.next()) * end as u128) >> 64) as usize
    }

    /// True this often.
    pub fn percent(&mut self, percent: f64) -> bool {
        self.unit() * 100.0 < percent
    }

    /// A quantity within the span.
    pub fn quantity(&mut self, span: Span<u32>) -> u32 {
        span.min + self.below((span.max - span.min) as usize + 1) as u32
    }

    /// A duration within the span.
    pub fn duration(&mut self, span: Span<Duration>) -> Duration {
        if span.min == span.max {
            return span.min;
        }
        span.min + (span.max - span.min).mul_f64(self.unit())
    }

    /// Of the exponential distribution with mean 1.
    pub fn exponential(&mut self) -> f64 {
        -(1.0 - self.unit()).ln()
    }

    /// Of the normal distribution with mean 0 and deviation 1.
    ///
    /// Source: Box, Muller, "A note on the generation of random normal deviates", 1958.
    pub fn normal(&mut self) -> f64 {
        let radius = (2.0 * self.exponential()).sqrt();
        radius * (std::f64::consts::TAU * self.unit()).cos()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_with_their_units() {
        assert_eq!(parse_duration("0"), Ok(Duration::ZERO));
        assert_eq!(parse_duration("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(parse_duration("1.5s"), Ok(Duration::from_millis(1500)));
        assert_eq!(parse_duration("2m"), Ok(Duration::from_secs(120)));
        assert_eq!(parse_duration("1h"), Ok(Duration::from_secs(3600)));
        assert_eq!(parse_duration("500us"), Ok(Duration::from_micros(500)));
        for bad in ["", "10", "s", "-1s", "10d", "25h", "1.2.3s", "9999m"] {
            assert!(parse_duration(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn spans_have_one_end_or_two() {
        let span = parse_duration_span("10ms..1s");
        assert_eq!(span, Ok(Span { min: Duration::from_millis(10), max: Duration::from_secs(1) }));
        assert_eq!(parse_quantity_span("3"), Ok(Span { min: 3, max: 3 }));
        assert_eq!(parse_quantity_span("1..=4"), Ok(Span { min: 1, max: 4 }));
        for bad in ["0", "3..1", "..", "1..", "10001", "x"] {
            assert!(parse_quantity_span(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn percentages_and_prices_are_bounded() {
        assert_eq!(parse_percent("2.5%"), Ok(2.5));
        for bad in ["-1", "101", "NaN", "x"] {
            assert!(parse_percent(bad).is_err(), "{bad}");
        }
        assert_eq!("1250.00".parse::<Price>(), Ok(Price("1250.00".into())));
        for bad in ["-1.00", "1e3", "x", ""] {
            assert!(bad.parse::<Price>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_seed_repeats_its_choices_and_streams_differ() {
        let draw = |seed, stream| {
            let mut random = Random::of(seed, stream);
            (0..8).map(|_| random.next()).collect::<Vec<_>>()
        };
        assert_eq!(draw(7, 1), draw(7, 1));
        assert_ne!(draw(7, 1), draw(7, 2));
        assert_ne!(draw(7, 1), draw(8, 1));
    }

    #[test]
    fn draws_stay_within_their_bounds_and_reach_their_ends() {
        let mut random = Random::of(1, 1);
        let span = Span { min: 2, max: 4 };
        let drawn: Vec<u32> = (0..200).map(|_| random.quantity(span)).collect();
        for want in 2..=4 {
            assert!(drawn.contains(&want));
        }
        assert!(drawn.iter().all(|q| (2..=4).contains(q)));
        assert!((0..100).all(|_| !random.percent(0.0)));
        assert!((0..100).all(|_| random.percent(100.0)));
    }

    #[test]
    fn addresses_are_listed_or_a_range() {
        let all = parse_addresses("127.0.0.2-127.0.0.4,10.0.0.1,::1").expect("addresses");
        let texts: Vec<_> = all.iter().map(ToString::to_string).collect();
        assert_eq!(texts, ["127.0.0.2", "127.0.0.3", "127.0.0.4", "10.0.0.1", "::1"]);
        for bad in ["", "x", "127.0.0.4-127.0.0.2", "127.0.0.1-127.1.0.1", "::1-::2", "127.0.0.1,"] {
            assert!(parse_addresses(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn values_of_a_file_are_written_as_they_are_read() {
        let time = Time(Duration::from_micros(1_234_567));
        let text = serde_json::to_string(&time).expect("text");
        assert_eq!(serde_json::from_str::<Time>(&text).expect("a time"), time);
        let share: Share = serde_json::from_str("\"2.5%\"").expect("a share");
        assert_eq!(serde_json::to_string(&share).expect("text"), "\"2.5%\"");
        assert!(serde_json::from_str::<Share>("\"0.1\"").is_err());
        let span: Span<u32> = serde_json::from_str("3").expect("a span");
        assert_eq!(serde_json::to_string(&span).expect("text"), "\"3..3\"");
    }
}
