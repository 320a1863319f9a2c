//! Think times: how long a buyer rests before a step, drawn from a distribution.

use std::fmt;
use std::time::Duration;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use super::values::{Random, Span, Time, parse_duration_span};

/// The longest of one draw: a run must come to an end.
const LONGEST: Duration = Duration::from_secs(86_400);

/// A distribution of times. In a file: `"5s"`, `"1s..5s"`, or a table that names its `distribution`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(transparent)]
pub struct ThinkTime(pub Distribution);

/// How times are spread.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "distribution", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Distribution {
    /// Always the same.
    Constant {
        /// This.
        time: Time,
    },
    /// Each time between the two as likely as any other.
    Uniform {
        /// The shortest.
        least: Time,
        /// The longest.
        most: Time,
    },
    /// As between events that do not know of each other.
    Exponential {
        /// Mean of the distribution before it is cut.
        mean: Time,
        /// Longer draws count as this.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        most: Option<Time>,
    },
    /// As people take their time: most are quick, some are very slow. Its mean is median × e^(sigma²/2).
    LogNormal {
        /// Half of all are shorter.
        median: Time,
        /// Deviation of the logarithm.
        sigma: f64,
        /// Longer draws count as this.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        most: Option<Time>,
    },
}

impl Default for ThinkTime {
    fn default() -> Self {
        ThinkTime(Distribution::Constant { time: Time::default() })
    }
}

impl From<Span<Duration>> for ThinkTime {
    fn from(span: Span<Duration>) -> Self {
        ThinkTime(match span.min == span.max {
            true => Distribution::Constant { time: Time(span.min) },
            false => Distribution::Uniform { least: Time(span.min), most: Time(span.max) },
        })
    }
}

impl ThinkTime {
    /// One time of the distribution.
    pub fn draw(&self, random: &mut Random) -> Duration {
        let scaled = |by: f64, scale: Time, most: Option<Time>| {
            let longest = most.map_or(LONGEST, |most| most.0).as_secs_f64();
            Duration::from_secs_f64((scale.0.as_secs_f64() * by).min(longest))
        };
        match self.0 {
            Distribution::Constant { time } => time.0,
            Distribution::Uniform { least, most } => random.duration(Span { min: least.0, max: most.0 }),
            Distribution::Exponential { mean, most } => scaled(random.exponential(), mean, most),
            Distribution::LogNormal { median, sigma, most } => scaled((sigma * random.normal()).exp(), median, most),
        }
    }

    /// Refuses parameters that make no distribution.
    pub fn validate(&self) -> Result<(), String> {
        match self.0 {
            Distribution::Uniform { least, most } if least > most => {
                Err("a think time's least is above its most".into())
            }
            Distribution::LogNormal { sigma, .. } if !(0.0..=5.0).contains(&sigma) => {
                Err(format!("a think time's sigma of {sigma} is not from 0 to 5"))
            }
            _ => Ok(()),
        }
    }
}

impl<'de> Deserialize<'de> for ThinkTime {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;

        impl<'de> Visitor<'de> for Either {
            type Value = ThinkTime;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a time such as \"5s\", a span such as \"1s..5s\", or a table with a distribution")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<ThinkTime, E> {
                parse_duration_span(text).map(Into::into).map_err(E::custom)
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<ThinkTime, A::Error> {
                Distribution::deserialize(MapAccessDeserializer::new(map)).map(ThinkTime)
            }
        }

        deserializer.deserialize_any(Either)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<ThinkTime, String> {
        #[derive(Deserialize)]
        struct Holder {
            think: ThinkTime,
        }
        let holder: Holder = toml::from_str(text).map_err(|error| error.message().to_owned())?;
        Ok(holder.think)
    }

    fn mean_seconds(think: &ThinkTime, seed: u64) -> f64 {
        let mut random = Random::of(seed, 0);
        (0..20_000).map(|_| think.draw(&mut random).as_secs_f64()).sum::<f64>() / 20_000.0
    }

    #[test]
    fn each_distribution_has_its_mean() {
        let lognormal = 4.0 * (0.5f64 * 0.5 / 2.0).exp();
        for (text, mean) in [
            ("think = \"3s\"", 3.0),
            ("think = \"2s..6s\"", 4.0),
            ("think = { distribution = \"uniform\", least = \"0\", most = \"1s\" }", 0.5),
            ("think = { distribution = \"exponential\", mean = \"5s\" }", 5.0),
            ("think = { distribution = \"log-normal\", median = \"4s\", sigma = 0.5 }", lognormal),
        ] {
            let think = read(text).expect(text);
            for seed in 1..=5 {
                let found = mean_seconds(&think, seed);
                assert!((found - mean).abs() <= mean * 0.03, "{text}: {found} for {mean} with seed {seed}");
            }
        }
    }

    #[test]
    fn draws_follow_from_the_seed_and_stay_below_the_most() {
        let think =
            read("think = { distribution = \"exponential\", mean = \"5s\", most = \"6s\" }").expect("a think time");
        let draws = |seed| {
            let mut random = Random::of(seed, 7);
            (0..100).map(|_| think.draw(&mut random)).collect::<Vec<_>>()
        };
        assert_eq!(draws(1), draws(1));
        assert_ne!(draws(1), draws(2));
        assert!(draws(1).iter().all(|time| *time <= Duration::from_secs(6)));
        assert!(draws(1).contains(&Duration::from_secs(6)));
    }

    #[test]
    fn half_of_a_log_normal_is_below_its_median() {
        let think =
            read("think = { distribution = \"log-normal\", median = \"4s\", sigma = 1.0 }").expect("a think time");
        let mut random = Random::of(3, 3);
        let below = (0..10_000).filter(|_| think.draw(&mut random) < Duration::from_secs(4)).count();
        assert!((4_800..5_200).contains(&below), "{below}");
    }

    #[test]
    fn what_is_no_distribution_is_refused() {
        for (text, said) in [
            ("think = \"5\"", "has no unit"),
            ("think = { distribution = \"gaussian\", mean = \"5s\" }", "unknown variant"),
            ("think = { distribution = \"exponential\", mean = \"5s\", sigma = 1.0 }", "unknown field `sigma`"),
            ("think = { distribution = \"constant\" }", "missing field `time`"),
            ("think = 5", "a time such as"),
        ] {
            let error = read(text).expect_err(text);
            assert!(error.contains(said), "{text}: {error}");
        }
        let backwards = read("think = { distribution = \"uniform\", least = \"2s\", most = \"1s\" }").expect("a table");
        assert!(backwards.validate().is_err());
    }

    #[test]
    fn a_think_time_is_written_as_it_is_read() {
        let think =
            read("think = { distribution = \"log-normal\", median = \"4s\", sigma = 1.5 }").expect("a think time");
        let text = serde_json::to_string(&think).expect("text");
        assert_eq!(serde_json::from_str::<ThinkTime>(&text).expect("the same"), think);
    }
}
