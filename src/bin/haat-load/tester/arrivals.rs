//! When sessions arrive in the open model: stages of one shape each, one after the other, each with an exact count.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::values::{Random, Time};

/// How the arrivals of a stage are spread over it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Spacing {
    /// By the clock.
    #[default]
    Even,
    /// With exponential gaps, as people arrive who do not know of each other.
    Exponential,
}

/// One stage. Rates are sessions per second.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "shape", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Stage {
    /// The same rate all the time: give the rate, or how many come in all.
    Steady {
        /// Sessions per second.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        rate: Option<f64>,
        /// Sessions in all.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        sessions: Option<u32>,
        /// How long.
        #[serde(rename = "for")]
        lasts: Time,
    },
    /// From one rate to another, evenly.
    Ramp {
        /// The rate at its begin.
        from: f64,
        /// The rate at its end.
        to: f64,
        /// How long.
        #[serde(rename = "for")]
        lasts: Time,
    },
    /// All at once.
    Spike {
        /// Sessions in all.
        sessions: u32,
    },
}

/// More sessions than a run can hold numbers for.
const MOST_SESSIONS: f64 = 100_000_000.0;

impl Stage {
    /// Refuses what is no stage.
    pub fn validate(&self) -> Result<(), String> {
        let fine = |rate: f64| (0.0..=1e7).contains(&rate);
        match *self {
            Stage::Steady { rate: Some(rate), sessions: None, .. } if !fine(rate) || rate == 0.0 => {
                Err(format!("a steady rate of {rate} is not above 0 and at most 10,000,000"))
            }
            Stage::Steady { rate: Some(_), sessions: None, .. }
            | Stage::Steady { rate: None, sessions: Some(_), .. } => Ok(()),
            Stage::Steady { .. } => Err("a steady stage takes either rate or sessions".into()),
            Stage::Ramp { from, to, .. } if !fine(from) || !fine(to) => {
                Err(format!("a ramp from {from} to {to}: rates are from 0 to 10,000,000"))
            }
            Stage::Ramp { .. } | Stage::Spike { .. } => Ok(()),
        }?;
        match self.lasts().is_zero() && !matches!(self, Stage::Spike { .. }) {
            true => Err("a stage that lasts 0 s: a spike is for all at once".into()),
            false if self.exact() > MOST_SESSIONS => Err("a stage of more than 100,000,000 sessions".into()),
            false => Ok(()),
        }
    }

    fn exact(&self) -> f64 {
        let seconds = self.lasts().as_secs_f64();
        match *self {
            Stage::Steady { rate: Some(rate), .. } => rate * seconds,
            Stage::Steady { sessions, .. } => f64::from(sessions.unwrap_or(0)),
            Stage::Ramp { from, to, .. } => (from + to) / 2.0 * seconds,
            Stage::Spike { sessions } => f64::from(sessions),
        }
    }

    /// How many sessions arrive in it.
    pub fn sessions(&self) -> u32 {
        self.exact().round() as u32
    }

    /// How long it lasts.
    pub fn lasts(&self) -> Duration {
        match self {
            Stage::Steady { lasts, .. } | Stage::Ramp { lasts, .. } => lasts.0,
            Stage::Spike { .. } => Duration::ZERO,
        }
    }

    /// When this share of the stage's sessions has arrived, in seconds from its begin.
    fn when(&self, share: f64) -> f64 {
        let seconds = self.lasts().as_secs_f64();
        match *self {
            Stage::Ramp { from, to, .. } if from + to > 0.0 => {
                // The count after t seconds is from·t + (to − from)·t²/(2·seconds); solved for t without a difference of
                // nearly equal numbers.
                let wanted = share * (from + to) / 2.0 * seconds;
                let slope = (to - from) / seconds;
                let root = (from * from + 2.0 * slope * wanted).max(0.0).sqrt();
                if from + root > 0.0 { 2.0 * wanted / (from + root) } else { 0.0 }
            }
            _ => share * seconds,
        }
    }
}

/// The arrivals of all stages in order, counted from the start of the run; nothing is kept but the present stage.
pub struct Arrivals {
    stages: std::vec::IntoIter<Stage>,
    spacing: Spacing,
    random: Random,
    stage: Option<Stage>,
    begins: Duration,
    number: u32,
    share: f64,
}

impl Arrivals {
    /// The same for the same seed.
    pub fn new(stages: Vec<Stage>, spacing: Spacing, seed: u64) -> Self {
        Arrivals {
            stages: stages.into_iter(),
            spacing,
            random: Random::of(seed, u64::MAX),
            stage: None,
            begins: Duration::ZERO,
            number: 0,
            share: 0.0,
        }
    }

    fn next_share(&mut self, sessions: u32) -> f64 {
        match self.spacing {
            Spacing::Even => f64::from(self.number) / f64::from(sessions),
            // The arrivals of a Poisson process, given their number, are that many draws in order. The next in order of what
            // is left follows from the one before, so none has to be kept.
            Spacing::Exponential => {
                let left = f64::from(sessions - self.number);
                self.share = 1.0 - (1.0 - self.share) * (1.0 - self.random.unit()).powf(1.0 / left);
                self.share
            }
        }
    }
}

impl Iterator for Arrivals {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        loop {
            let stage = match self.stage {
                Some(stage) => stage,
                None => *self.stage.insert(self.stages.next()?),
            };
            let sessions = stage.sessions();
            if self.number < sessions {
                let share = self.next_share(sessions);
                self.number += 1;
                return Some(self.begins + Duration::from_secs_f64(stage.when(share).max(0.0)));
            }
            self.begins += stage.lasts();
            (self.stage, self.number, self.share) = (None, 0, 0.0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(seconds: u64) -> Time {
        Time(Duration::from_secs(seconds))
    }

    fn within(all: &[Duration], from: u64, to: u64) -> usize {
        let span = Duration::from_secs(from)..Duration::from_secs(to);
        all.iter().filter(|at| span.contains(*at)).count()
    }

    #[test]
    fn each_shape_has_its_exact_count_where_it_belongs() {
        let stages = [
            Stage::Ramp { from: 0.0, to: 100.0, lasts: seconds(10) },
            Stage::Steady { rate: Some(100.0), sessions: None, lasts: seconds(5) },
            Stage::Spike { sessions: 250 },
            Stage::Steady { rate: None, sessions: Some(70), lasts: seconds(10) },
            Stage::Ramp { from: 50.0, to: 10.0, lasts: seconds(10) },
        ];
        for spacing in [Spacing::Even, Spacing::Exponential] {
            for seed in 1..=5 {
                let all: Vec<_> = Arrivals::new(stages.to_vec(), spacing, seed).collect();
                assert!(all.is_sorted());
                assert_eq!(all.len(), 500 + 500 + 250 + 70 + 300);
                assert_eq!(within(&all, 0, 10), 500);
                let spike = all.iter().filter(|at| **at == Duration::from_secs(15)).count();
                assert!((250..=251).contains(&spike), "{spike}");
                assert_eq!(within(&all, 10, 15) + spike + within(&all[1000 + 250..], 15, 25), 500 + spike + 70);
                assert_eq!(within(&all, 25, 36), 300);
            }
        }
    }

    #[test]
    fn a_ramp_rises_and_falls_as_it_says() {
        let up: Vec<_> =
            Arrivals::new(vec![Stage::Ramp { from: 0.0, to: 200.0, lasts: seconds(10) }], Spacing::Even, 1).collect();
        // Of n·t² the first half of the time has a quarter.
        assert_eq!(within(&up, 0, 5), 250);
        let down: Vec<_> =
            Arrivals::new(vec![Stage::Ramp { from: 200.0, to: 0.0, lasts: seconds(10) }], Spacing::Even, 1).collect();
        assert_eq!(within(&down, 0, 5), 750);
        let flat: Vec<_> =
            Arrivals::new(vec![Stage::Ramp { from: 4.0, to: 4.0, lasts: seconds(2) }], Spacing::Even, 1).collect();
        assert_eq!(flat, [0, 250, 500, 750, 1000, 1250, 1500, 1750].map(Duration::from_millis));
    }

    #[test]
    fn random_gaps_are_those_of_a_poisson_process() {
        let stage = Stage::Steady { rate: Some(200.0), sessions: None, lasts: seconds(50) };
        let all: Vec<_> = Arrivals::new(vec![stage], Spacing::Exponential, 3).collect();
        assert_eq!(all.len(), 10_000);
        let gaps: Vec<f64> = all.windows(2).map(|pair| (pair[1] - pair[0]).as_secs_f64()).collect();
        let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
        let variance = gaps.iter().map(|gap| (gap - mean).powi(2)).sum::<f64>() / gaps.len() as f64;
        assert!((0.0049..0.0051).contains(&mean), "{mean}");
        // The deviation of exponential gaps is their mean.
        assert!((0.95..1.05).contains(&(variance.sqrt() / mean)), "{}", variance.sqrt() / mean);
        assert_eq!(all, Arrivals::new(vec![stage], Spacing::Exponential, 3).collect::<Vec<_>>());
        assert_ne!(all, Arrivals::new(vec![stage], Spacing::Exponential, 4).collect::<Vec<_>>());
    }

    #[test]
    fn what_is_no_stage_is_refused() {
        for bad in [
            Stage::Steady { rate: Some(1.0), sessions: Some(1), lasts: seconds(1) },
            Stage::Steady { rate: None, sessions: None, lasts: seconds(1) },
            Stage::Steady { rate: Some(0.0), sessions: None, lasts: seconds(1) },
            Stage::Steady { rate: Some(f64::NAN), sessions: None, lasts: seconds(1) },
            Stage::Steady { rate: Some(1.0), sessions: None, lasts: seconds(0) },
            Stage::Ramp { from: -1.0, to: 5.0, lasts: seconds(1) },
            Stage::Ramp { from: 1e7, to: 1e7, lasts: seconds(86_400) },
        ] {
            assert!(bad.validate().is_err(), "{bad:?}");
        }
        assert_eq!(Stage::Spike { sessions: 5 }.validate(), Ok(()));
    }
}
