//! The figures of a node between two looks at them. They are read from what Prometheus reads, so that nothing is counted a second time and nobody
//! who is counted pays for whoever looks.

use crate::actors::catalog::Taken;
use crate::domain::ids::SkuId;
use foldhash::HashMap;
use serde::Serialize;
use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write as _;
use std::ops::Bound;
use std::time::Duration;
use tokio::time::Instant;
use utoipa::ToSchema;

/// For how long looks are kept: percentiles are of so much time. One more is kept, from which on that is.
const LOOKS: usize = 10;
/// The width of a number that is rounded to hundredths, and to thousandths.
const HUNDREDTHS: f64 = 100.0;
const THOUSANDTHS: f64 = 1_000.0;

/// A series: `name{label="value"}`, the labels in the order in which the metric names them.
fn series(name: &str, labels: &[(&str, &str)]) -> String {
    let mut series = name.to_owned();
    for (place, (label, value)) in labels.iter().enumerate() {
        // Writing to a string cannot fail.
        let _ = write!(series, "{}{label}=\"{value}\"", if place == 0 { '{' } else { ',' });
    }
    if !labels.is_empty() {
        series.push('}');
    }
    series
}

/// The value of a label of a series.
pub(super) fn label<'a>(series: &'a str, name: &str) -> Option<&'a str> {
    let labels = &series[series.find('{')?..];
    // What stands in a label is ours, and has no quotation marks.
    let mut starts = labels.match_indices(name).filter(|(at, _)| labels[..*at].ends_with(['{', ',']));
    let rest = starts.find_map(|(at, _)| labels[at + name.len()..].strip_prefix("=\""))?;
    rest.split('"').next()
}

/// All figures at one moment.
pub(super) struct Figures(BTreeMap<Box<str>, f64>);

impl Figures {
    /// Reads them from Prometheus' text.
    pub(super) fn read(text: &str) -> Self {
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let read = |line: &str| {
            let (series, value) = line.rsplit_once(' ')?;
            Some((Box::from(series), value.parse().ok()?))
        };
        Self(lines.filter_map(read).collect())
    }

    fn get(&self, series: &str) -> f64 {
        self.0.get(series).copied().unwrap_or(0.0)
    }

    /// All series that begin so.
    fn beginning<'a>(&'a self, with: &str) -> impl Iterator<Item = (&'a str, f64)> + use<'a> {
        let from = (Bound::Included(with), Bound::Unbounded);
        let with = with.to_owned();
        let series = self.0.range::<str, _>(from).take_while(move |(series, _)| series.starts_with(&with));
        series.map(|(series, value)| (&**series, *value))
    }

    /// All series of a metric, with labels or without.
    pub(super) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = (&'a str, f64)> + use<'a> {
        let bare = self.0.get_key_value(name).map(|(series, value)| (&**series, *value));
        bare.into_iter().chain(self.beginning(&format!("{name}{{")))
    }

    /// The buckets of a histogram: up to how much, and how many there are of so much and less.
    fn buckets(&self, name: &str, labels: &[(&str, &str)]) -> BTreeMap<u64, (f64, f64)> {
        let own = series(&format!("{name}_bucket"), labels);
        let with = match own.strip_suffix('}') {
            Some(open) => format!("{open},le=\""),
            None => format!("{own}{{le=\""),
        };
        let bucket = |(series, count): (&str, f64)| {
            let upto: f64 = series[with.len()..].trim_end_matches("\"}").parse().ok()?;
            // Of numbers above zero the bits have the order of the numbers.
            Some((upto.to_bits(), (upto, count)))
        };
        self.beginning(&with).filter_map(bucket).collect()
    }
}

/// What was seen of a node at one moment.
pub(super) struct Seen {
    pub(super) at: Instant,
    pub(super) figures: Figures,
    /// What orders took since the moment before.
    pub(super) taken: HashMap<SkuId, Taken>,
}

/// How a time, or an amount, was spread over the last seconds; `null` where nothing was measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, ToSchema)]
pub struct Spread {
    /// Half of all were at most so much: in milliseconds, where it is a time.
    #[schema(example = 1.2)]
    p50: Option<f64>,
    /// 95 of a hundred.
    #[schema(example = 4.0)]
    p95: Option<f64>,
    /// 99 of a hundred.
    #[schema(example = 9.1)]
    p99: Option<f64>,
    /// How many there were in a second.
    #[schema(example = 410.0)]
    per_second: Option<f64>,
}

/// The last looks at a node, the newest last.
#[derive(Default)]
pub(super) struct Looks(VecDeque<Seen>);

impl Looks {
    pub(super) fn add(&mut self, seen: Seen) {
        if self.0.len() > LOOKS {
            self.0.pop_front();
        }
        self.0.push_back(seen);
    }

    fn newest(&self) -> Option<&Seen> {
        self.0.back()
    }

    /// The look before the newest, and the time between.
    fn before(&self) -> Option<(&Seen, f64)> {
        let before = self.0.get(self.0.len().checked_sub(2)?)?;
        Some((before, seconds(self.newest()?.at - before.at)?))
    }

    /// The oldest look, and the time since.
    fn oldest(&self) -> Option<(&Seen, f64)> {
        let oldest = self.0.front()?;
        Some((oldest, seconds(self.newest()?.at - oldest.at)?))
    }

    /// Between the last two looks, in milliseconds.
    pub(super) fn over_ms(&self) -> Option<u64> {
        self.before().map(|(_, seconds)| (seconds * THOUSANDTHS) as u64)
    }

    /// Since the oldest look, in milliseconds.
    pub(super) fn over_all_ms(&self) -> Option<u64> {
        self.oldest().map(|(_, seconds)| (seconds * THOUSANDTHS) as u64)
    }

    /// A figure now; 0 where there is none.
    pub(super) fn now(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        self.newest().map_or(0.0, |seen| seen.figures.get(&series(name, labels)))
    }

    /// A count now.
    pub(super) fn total(&self, name: &str, labels: &[(&str, &str)]) -> u64 {
        self.now(name, labels) as u64
    }

    /// By how much a count rises in a second.
    pub(super) fn rate(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        self.rate_of(&series(name, labels))
    }

    fn rate_of(&self, series: &str) -> Option<f64> {
        let (before, seconds) = self.before()?;
        let risen = self.newest()?.figures.get(series) - before.figures.get(series);
        Some(rounded(risen.max(0.0) / seconds, HUNDREDTHS))
    }

    /// All series of a count, with what they rise by in a second and what they have come to.
    pub(super) fn rates<'a>(&'a self, name: &str) -> Vec<(&'a str, Option<f64>, u64)> {
        let Some(newest) = self.newest() else { return Vec::new() };
        let all = newest
            .figures
            .beginning(&format!("{name}{{"))
            .map(|(series, total)| (series, self.rate_of(series), total as u64));
        all.collect()
    }

    /// How a time of this histogram was spread, in milliseconds.
    pub(super) fn times(&self, name: &str, labels: &[(&str, &str)]) -> Spread {
        self.spread(name, labels, THOUSANDTHS)
    }

    /// How an amount of this histogram was spread.
    pub(super) fn amounts(&self, name: &str, labels: &[(&str, &str)]) -> Spread {
        self.spread(name, labels, 1.0)
    }

    fn spread(&self, name: &str, labels: &[(&str, &str)], scale: f64) -> Spread {
        let Some(((oldest, seconds), newest)) = self.oldest().zip(self.newest()) else { return Spread::default() };
        let (now, before) = (newest.figures.buckets(name, labels), oldest.figures.buckets(name, labels));
        let since = |(place, (upto, count)): (&u64, &(f64, f64))| {
            (*upto, count - before.get(place).map_or(0.0, |(_, count)| *count))
        };
        let buckets: Vec<(f64, f64)> = now.iter().map(since).collect();
        let at = |share| percentile(&buckets, share).map(|value| rounded(value * scale, THOUSANDTHS));
        let count = buckets.last().map_or(0.0, |(_, count)| *count);
        Spread { p50: at(0.5), p95: at(0.95), p99: at(0.99), per_second: Some(rounded(count / seconds, HUNDREDTHS)) }
    }

    /// What orders took of each SKU since the oldest look, in a second: how many orders, and how many pieces.
    pub(super) fn taken(&self) -> HashMap<SkuId, (f64, f64)> {
        let Some((_, seconds)) = self.oldest() else { return HashMap::default() };
        let mut all: HashMap<SkuId, (f64, f64)> = HashMap::default();
        // What the oldest saw was before it.
        for (sku, taken) in self.0.iter().skip(1).flat_map(|seen| &seen.taken) {
            let all = all.entry(*sku).or_default();
            *all = (all.0 + taken.orders as f64, all.1 + taken.pieces as f64);
        }
        all.retain(|_, (orders, pieces)| {
            (*orders, *pieces) = (rounded(*orders / seconds, HUNDREDTHS), rounded(*pieces / seconds, HUNDREDTHS));
            true
        });
        all
    }

    /// What orders took between the last two looks.
    pub(super) fn just_taken(&self) -> impl Iterator<Item = (SkuId, Taken)> + '_ {
        self.newest().into_iter().flat_map(|seen| seen.taken.iter().map(|(sku, taken)| (*sku, *taken)))
    }
}

fn seconds(time: Duration) -> Option<f64> {
    Some(time.as_secs_f64()).filter(|seconds| *seconds > 0.0)
}

/// A number with so many parts of one.
pub(super) fn rounded(number: f64, parts: f64) -> f64 {
    (number * parts).round() / parts
}

/// What so large a share of all are at most, of how many there are up to each bound; between two bounds as if they were spread evenly, which is how
/// Prometheus' `histogram_quantile` has it. What is above all bounds is told as the last of them.
fn percentile(buckets: &[(f64, f64)], share: f64) -> Option<f64> {
    let all = buckets.last().map(|(_, count)| *count).filter(|count| *count > 0.0)?;
    let rank = share * all;
    let (mut below, mut lower) = (0.0, 0.0);
    for (upto, count) in buckets {
        if *count >= rank {
            let within = if upto.is_infinite() { 0.0 } else { (upto - lower) * (rank - below) / (count - below) };
            return Some(lower + within);
        }
        (below, lower) = (*count, *upto);
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn looks(first: &str, second: &str, apart: Duration) -> Looks {
        let mut looks = Looks::default();
        let now = Instant::now();
        for (text, at) in [(first, now), (second, now + apart)] {
            looks.add(Seen { at, figures: Figures::read(text), taken: HashMap::default() });
        }
        looks
    }

    const APART: Duration = Duration::from_secs(2);

    #[test]
    fn counts_become_rates_and_buckets_percentiles() {
        let first = "# HELP c x\n# TYPE c counter\nc{kind=\"cart\",outcome=\"done\"} 10\n\nb 3\n\
                     h_bucket{kind=\"cart\",le=\"0.01\"} 100\nh_bucket{kind=\"cart\",le=\"0.1\"} 100\n\
                     h_bucket{kind=\"cart\",le=\"+Inf\"} 100\nh_sum{kind=\"cart\"} 1\n";
        let second = "c{kind=\"cart\",outcome=\"done\"} 30\nc{kind=\"order\",outcome=\"done\"} 5\nb 2.5\n\
                      h_bucket{kind=\"cart\",le=\"0.01\"} 150\nh_bucket{kind=\"cart\",le=\"0.1\"} 190\n\
                      h_bucket{kind=\"cart\",le=\"+Inf\"} 200\nh_bucket{kind=\"order\",le=\"+Inf\"} 9\n";
        let looks = looks(first, second, APART);
        assert_eq!(looks.over_ms(), Some(2_000));
        let done = |kind| looks.rate("c", &[("kind", kind), ("outcome", "done")]);
        assert_eq!((done("cart"), done("order"), done("vendor")), (Some(10.0), Some(2.5), Some(0.0)));
        assert_eq!((looks.total("c", &[("kind", "cart"), ("outcome", "done")]), looks.now("b", &[])), (30, 2.5));
        let all: Vec<_> = looks.rates("c").into_iter().map(|(series, ..)| label(series, "kind")).collect();
        assert_eq!(all, [Some("cart"), Some("order")]);
        // 50 up to 10 ms, 40 up to 100 ms, 10 above.
        let spread = looks.times("h", &[("kind", "cart")]);
        let expected = Spread { p50: Some(10.0), p95: Some(100.0), p99: Some(100.0), per_second: Some(50.0) };
        assert_eq!(spread, expected);
        assert_eq!(percentile(&[(0.01, 50.0), (0.1, 90.0)], 0.8), Some(0.01 + 0.09 * 22.0 / 40.0));
    }

    #[test]
    fn nothing_is_told_of_what_nobody_has_seen_twice() {
        let mut looks = Looks::default();
        assert_eq!((looks.rate("c", &[]), looks.times("h", &[])), (None, Spread::default()));
        let one = self::looks("c 1", "c 4", APART).0.pop_back();
        looks.add(one.expect("a look"));
        assert_eq!((looks.rate("c", &[]), looks.total("c", &[]), looks.over_ms()), (None, 4, None));
        let spread = self::looks("h_bucket{le=\"1\"} 4", "h_bucket{le=\"1\"} 4", APART).amounts("h", &[]);
        assert_eq!(spread, Spread { per_second: Some(0.0), ..Spread::default() });
    }

    #[test]
    fn labels_are_read_whatever_stands_in_them() {
        let series = "c{route=\"/v1/carts/{cart}\",method=\"GET\",status=\"200\"}";
        assert_eq!(label(series, "route"), Some("/v1/carts/{cart}"));
        assert_eq!((label(series, "method"), label(series, "status")), (Some("GET"), Some("200")));
        assert_eq!((label(series, "stat"), label("c", "route")), (None, None));
    }
}
