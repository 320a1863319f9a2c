//! What a server tells operators is told from the first moment: an alarm on a series that begins with its first event misses that event.

use crate::on_both_stores;
use crate::process::{Haat, free_address, until};
use std::collections::{BTreeMap, BTreeSet};

/// A series as a scrape or the README names it: its metric and its labels, of which the README may leave the values out.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Series {
    metric: String,
    labels: BTreeMap<String, Option<String>>,
}

impl Series {
    /// Reads `metric{label="value",other}`.
    fn parse(text: &str) -> Self {
        let (metric, labels) = text.split_once('{').unwrap_or((text, ""));
        let labels = labels.trim_end_matches('}').split(',').filter(|label| !label.is_empty());
        let label = |label: &str| match label.split_once('=') {
            Some((name, value)) => (name.to_owned(), Some(value.trim_matches('"').to_owned())),
            None => (label.to_owned(), None),
        };
        Self { metric: metric.to_owned(), labels: labels.map(label).collect() }
    }

    /// Whether this one of a scrape is what `wanted` names.
    fn is(&self, wanted: &Series) -> bool {
        let of_histogram = ["_bucket", "_sum", "_count"]
            .iter()
            .any(|end| self.metric.strip_suffix(end) == Some(wanted.metric.as_str()));
        let has = |(name, value): (&String, &Option<String>)| {
            self.labels.get(name).is_some_and(|own| value.is_none() || own == value)
        };
        (self.metric == wanted.metric || of_histogram) && wanted.labels.iter().all(has)
    }
}

fn scraped(figures: &str) -> BTreeMap<Series, f64> {
    let lines = figures.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    let series = lines.filter_map(|line| line.rsplit_once(' '));
    series.map(|(series, value)| (Series::parse(series), value.parse().expect("a figure"))).collect()
}

/// What the README's table of alarms names. A name without a metric (`{outcome="timed_out"}`) goes on from the one before it.
fn alarms() -> Vec<Series> {
    let readme = include_str!("../../README.md");
    let table = readme.split_once("### Metrics worth an alarm").expect("the README has it").1;
    let table = table.split("\n###").next().expect("a section");
    let mut alarms: Vec<Series> = Vec::new();
    for row in table.lines().filter(|line| line.starts_with("| `")) {
        let named = row.split('|').nth(1).expect("a first column");
        for name in named.split('`').skip(1).step_by(2) {
            let whole = match name.starts_with('{') {
                true => format!("{}{name}", alarms.last().expect("a metric before it").metric),
                false => name.to_owned(),
            };
            alarms.push(Series::parse(&whole));
        }
    }
    alarms
}

/// Every metric that the sources name.
fn all_metrics() -> BTreeSet<Series> {
    let sources = [include_str!("../../src/telemetry.rs"), include_str!("../../src/http/metrics.rs")];
    let constants =
        sources.iter().flat_map(|source| source.lines()).filter(|line| line.trim().starts_with("pub const "));
    constants
        .filter_map(|line| line.split('"').nth(1))
        .filter(|name| name.starts_with("haat_"))
        .map(Series::parse)
        .collect()
}

on_both_stores! {
    async fn every_series_is_there_from_the_first_look(store) {
        let mut server = Haat::begin(&store, store.data_dir(), free_address());
        let client = server.client;
        let first = until("the port to be open", async || client.get("/metrics").try_send().await.ok()).await;
        let figures = scraped(&first.expect(200).text);
        let (alarms, all) = (alarms(), all_metrics());
        assert!(alarms.len() >= 19 && all.len() >= 34, "the sources are not read right: {alarms:?} {all:?}");
        // The README's 5xx: of every route that there is.
        let checkout = |status| format!("haat_http_requests_total{{route=\"/v1/carts/{{cart}}/checkout\",method=\"POST\",status=\"{status}\"}}");
        let failures = ["500", "503", "504"].map(checkout);
        let kinds = ["cart", "order", "vendor"].iter();
        let per_kind = kinds.flat_map(|kind| ["haat_entities_quarantined_total", "haat_actor_restarts_total", "haat_actors_live"].map(|name| format!("{name}{{kind=\"{kind}\"}}")));
        let statuses = ["placed", "awaiting_payment", "paid", "cancelled", "expired"].map(|status| format!("haat_orders{{status=\"{status}\"}}"));
        let reasons = ["mailbox", "records_in_flight", "checkpoint", "store", "vendor_share", "answers_waiting", "payment_provider"];
        let reasons = reasons.map(|reason| format!("haat_requests_shed_total{{reason=\"{reason}\"}}"));
        let invariants = ["stock_adds_up", "totals_add_up", "a_turn_does_not_panic"].map(|name| format!("haat_invariant_breaches_total{{invariant=\"{name}\"}}"));
        let named = failures.into_iter().chain(per_kind).chain(statuses).chain(reasons).chain(invariants);
        let wanted = alarms.into_iter().chain(all).chain(named.map(|name| Series::parse(&name)));
        let missing: Vec<Series> = wanted.filter(|wanted| !figures.keys().any(|series| series.is(wanted))).collect();
        assert!(missing.is_empty(), "missing: {missing:#?}");
        let counted = figures.iter().filter(|(series, value)| series.metric.ends_with("_total") && **value != 0.0);
        // Besides this look, and what a server does by itself as it starts: its followers read the frames of its term.
        let by_itself = ["haat_http_requests_total", "haat_follower_passes_total", "haat_service_units_total"];
        let counted: Vec<_> = counted.filter(|(series, _)| !by_itself.contains(&series.metric.as_str())).collect();
        assert!(counted.is_empty(), "nothing has happened yet: {counted:?}");
        server.ready().await;
        server.kill().await;
    }

    /// When a server says that it is ready, its gauges tell what is there.
    async fn gauges_are_right_from_the_first_moment(store) {
        let address = free_address();
        let server = Haat::start(&store, address).await;
        let admin = crate::support::token(&haat::http::auth::Bearer::Admin("root".into()));
        let (_, sku) = server.client.shop(&admin, "10.00", 5).await;
        for _ in 0..3 {
            let buyer = server.client.buyer(&sku, 1).await;
            server.client.checkout(&buyer, "tok_approve").header("prefer", "wait=30").send().await.expect(201);
        }
        let first = scraped(&server.client.get("/metrics").send().await.expect(200).text);
        let first = first[&Series::parse("haat_start_time_seconds")];
        server.kill().await;
        crate::process::end_lease(&store).await;
        let server = Haat::start(&store, address).await;
        let figures = scraped(&server.client.get("/metrics").send().await.expect(200).text);
        let value = |name: &str| figures[&Series::parse(name)];
        assert_eq!(value("haat_orders{status=\"paid\"}"), 3.0);
        assert_eq!(value("haat_orders{status=\"placed\"}"), 0.0);
        assert_eq!(value("haat_ready"), 1.0);
        assert!(value("haat_start_time_seconds") > first, "another process began later");
        server.kill().await;
    }
}
