//! Requests: how many, what becomes of them, and which routes are asked most.

use super::{Look, Spread};
use crate::http::metrics::{DURATION, REQUESTS};
use crate::http::ops::figures::{label, rounded};
use serde::Serialize;
use std::cmp::Reverse;
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// Routes that are shown.
const SHOWN: usize = 10;

/// Requests.
#[derive(Debug, Serialize, ToSchema)]
pub struct HttpTile {
    per_second: Option<f64>,
    /// In a second, by the first digit of their status.
    by_status: ByStatus,
    /// The routes that are asked most.
    routes: Vec<RouteBody>,
}

/// Answers in a second, by the first digit of their status.
#[derive(Debug, Default, Serialize, ToSchema)]
pub struct ByStatus {
    #[serde(rename = "2xx")]
    success: Option<f64>,
    #[serde(rename = "3xx")]
    redirection: Option<f64>,
    #[serde(rename = "4xx")]
    client_error: Option<f64>,
    #[serde(rename = "5xx")]
    server_error: Option<f64>,
}

/// A route.
#[derive(Debug, Serialize, ToSchema)]
pub struct RouteBody {
    #[schema(example = "POST")]
    method: String,
    #[schema(example = "/v1/carts/{cart}/checkout")]
    route: String,
    per_second: Option<f64>,
    client_errors_per_second: Option<f64>,
    server_errors_per_second: Option<f64>,
    latency: Spread,
}

/// Answers in a second, by the first digit of their status, and all there ever were.
#[derive(Default)]
struct Asked {
    by_digit: [f64; 10],
    total: u64,
}

impl Asked {
    fn all(&self) -> f64 {
        self.by_digit.iter().sum()
    }
}

impl HttpTile {
    pub(super) fn of(Look { looks, .. }: &Look<'_>) -> Self {
        let mut routes: BTreeMap<(&str, &str), Asked> = BTreeMap::new();
        let mut all = Asked::default();
        for (series, per_second, total) in looks.rates(REQUESTS) {
            let (Some(route), Some(method)) = (label(series, "route"), label(series, "method")) else { continue };
            let digit = label(series, "status").and_then(|status| status.chars().next()?.to_digit(10)).unwrap_or(0);
            for asked in [routes.entry((route, method)).or_default(), &mut all] {
                asked.by_digit[digit as usize] += per_second.unwrap_or(0.0);
                asked.total += total;
            }
        }
        let is_known = looks.over_ms().is_some();
        let known = |number: f64| is_known.then(|| rounded(number, 100.0));
        let mut busiest: Vec<_> = routes.into_iter().filter(|(_, asked)| asked.total > 0).collect();
        busiest.sort_by_key(|(_, asked)| (Reverse((asked.all() * 100.0) as u64), Reverse(asked.total)));
        busiest.truncate(SHOWN);
        let route = |((route, method), asked): ((&str, &str), Asked)| RouteBody {
            method: method.to_owned(),
            route: route.to_owned(),
            per_second: known(asked.all()),
            client_errors_per_second: known(asked.by_digit[4]),
            server_errors_per_second: known(asked.by_digit[5]),
            latency: looks.times(DURATION, &[("route", route), ("method", method)]),
        };
        Self {
            per_second: known(all.all()),
            by_status: ByStatus {
                success: known(all.by_digit[2]),
                redirection: known(all.by_digit[3]),
                client_error: known(all.by_digit[4]),
                server_error: known(all.by_digit[5]),
            },
            routes: busiest.into_iter().map(route).collect(),
        }
    }
}
