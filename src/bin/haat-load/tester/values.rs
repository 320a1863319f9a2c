//! Small values of the command line: durations, ranges, percentages; and the random numbers behind every choice.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// Reads `500us`, `250ms`, `1.5s`, `2m` or a bare `0`.
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
        "" if number == 0.0 => 0.0,
        "" => return Err(format!("'{text}' has no unit: write {text}ms or {text}s")),
        other => return Err(format!("'{other}' is not one of us, ms, s, m")),
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

/// A price as the contract writes it: a decimal string, kept as it was typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Price(pub String);

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

    /// A gap of a Poisson process with this mean gap.
    pub fn exponential(&mut self, mean: Duration) -> Duration {
        mean.mul_f64(-(1.0 - self.unit()).ln())
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
        assert_eq!(parse_duration("500us"), Ok(Duration::from_micros(500)));
        for bad in ["", "10", "s", "-1s", "10h", "1.2.3s", "9999m"] {
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
        let mean = Duration::from_millis(10);
        let total: Duration = (0..10_000).map(|_| random.exponential(mean)).sum();
        assert!((95..105).contains(&(total.as_millis() / 1000)), "{total:?}");
    }
}
