//! Orders: how they stand, and which are stuck.

use super::Look;
use crate::http::ops::figures::label;
use crate::telemetry::names;
use serde::Serialize;
use utoipa::ToSchema;

/// Orders.
#[derive(Debug, Serialize, ToSchema)]
pub struct OrdersTile {
    by_status: Vec<StatusCount>,
    /// Those that wait for someone, or have waited too long for an answer, as of the last count: `GET /v1/admin/orders/stuck` lists them.
    stuck: u64,
    /// Why orders were quarantined.
    quarantined: Vec<WhyCount>,
}

/// Orders of one status.
#[derive(Debug, Serialize, ToSchema)]
pub struct StatusCount {
    #[schema(example = "pending_payment")]
    status: &'static str,
    count: i64,
}

/// Orders that were quarantined for one reason.
#[derive(Debug, Serialize, ToSchema)]
pub struct WhyCount {
    #[schema(example = "amount_differs")]
    why: String,
    /// Since the process started, resolved ones among them.
    total: u64,
}

impl OrdersTile {
    pub(super) fn of(Look { parts, looks, .. }: &Look<'_>) -> Self {
        let counts = parts.shop.order_counts().into_iter();
        let whys = looks.rates(names::ORDERS_QUARANTINED).into_iter();
        let why = |(series, _, total): (&str, _, _)| Some(WhyCount { why: label(series, "why")?.to_owned(), total });
        Self {
            by_status: counts.map(|(status, count)| StatusCount { status: status.name(), count }).collect(),
            stuck: looks.total(names::ORDERS_STUCK, &[]),
            quarantined: whys.filter_map(why).collect(),
        }
    }
}
