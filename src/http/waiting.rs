//! What waits for a vendor: its parcels, and what buyers send back to it, over all orders. From the read tables.

use crate::actors::shop::Shop;
use crate::domain::ids::{OrderId, ReturnId, ShipmentId, VendorId};
use crate::domain::order::{ReturnStatus, ShipmentStatus, SubOrderStatus, WaitsFor};
use crate::domain::who::Action;
use crate::http::answer::ok;
use crate::http::caller::Caller;
use crate::http::error::{INVALID_QUERY, Result};
use crate::http::extract::{Id, Query};
use crate::http::money::{Moment, Page};
use crate::http::notes::{Notes, notes_of_several};
use crate::http::openapi::{AUTH, FILTERS, LISTS, problems};
use crate::http::page::{List, Paging};
use crate::http::returns::ReturnBody;
use crate::http::shipments::ShipmentBody;
use crate::http::valid::{Faults, filled};
use crate::http::vendors::may_know_of;
use crate::http::{Settings, query};
use crate::ports::waiting::Shares;
use axum::extract::State;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use std::str::FromStr;
use std::sync::Arc;
use utoipa::{IntoParams, ToSchema};

/// One or several of some names, with commas between them, each once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Several<T>(pub Vec<T>);

macro_rules! several {
    ($($of:ident: $expected:literal,)*) => {$(
        impl FromStr for Several<$of> {
            type Err = &'static str;

            fn from_str(text: &str) -> std::result::Result<Self, Self::Err> {
                let mut all = Vec::new();
                for name in text.split(',') {
                    let one = $of::from_name(name).ok_or($expected)?;
                    if !all.contains(&one) {
                        all.push(one);
                    }
                }
                Ok(Self(all))
            }
        }
    )*};
}
several! {
    SubOrderStatus: "statuses of sub-orders are expected, with commas between them",
    ShipmentStatus: "statuses of parcels are expected, with commas between them",
    ReturnStatus: "statuses of returns are expected, with commas between them",
}

/// Which shares were asked for; none where any will do.
pub(super) fn asked_shares(
    standing: Option<Several<SubOrderStatus>>,
    waiting: Option<WaitsFor>,
) -> Result<Option<Shares>> {
    match (standing, waiting) {
        (Some(_), Some(_)) => {
            let mut faults = Faults::default();
            faults.add("waiting", "it is asked for alone, or share_status is");
            faults.done(&INVALID_QUERY).map(|()| None)
        }
        (Some(Several(statuses)), None) => Ok(Some(Shares::Standing(statuses))),
        (None, waiting) => Ok(waiting.map(Shares::Waiting)),
    }
}

/// Which parcels.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ShipmentsQuery {
    /// Items on the page.
    #[param(minimum = 1, maximum = 200, default = 50)]
    #[serde(default, deserialize_with = "filled")]
    limit: Option<u32>,
    /// What an earlier page gave as `next_cursor`.
    #[param(pattern = "^([0-9a-f]{64})?$")]
    #[serde(default, deserialize_with = "filled")]
    cursor: Option<String>,
    /// Only those that stand so: `draft`, `booking`, `booked`, `handed_over`, `delivered`, `returning`, `returned`, `lost`, `cancelled`, or several of
    /// these with commas between them.
    #[param(
        value_type = Option<String>, example = "draft,booked",
        pattern = "^((draft|booking|booked|handed_over|delivered|returning|returned|lost|cancelled)(,(draft|booking|booked|handed_over|delivered|returning|returned|lost|cancelled))*)?$"
    )]
    #[serde(default, deserialize_with = "filled")]
    status: Option<Several<ShipmentStatus>>,
}

/// Which returns.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ReturnsQuery {
    /// Items on the page.
    #[param(minimum = 1, maximum = 200, default = 50)]
    #[serde(default, deserialize_with = "filled")]
    limit: Option<u32>,
    /// What an earlier page gave as `next_cursor`.
    #[param(pattern = "^([0-9a-f]{64})?$")]
    #[serde(default, deserialize_with = "filled")]
    cursor: Option<String>,
    /// Only those that stand so: `requested`, `approved`, `denied`, `received`, `closed`, `cancelled`, or several of these with commas between them.
    #[param(
        value_type = Option<String>, example = "requested,approved",
        pattern = "^((requested|approved|denied|received|closed|cancelled)(,(requested|approved|denied|received|closed|cancelled))*)?$"
    )]
    #[serde(default, deserialize_with = "filled")]
    status: Option<Several<ReturnStatus>>,
}

/// A parcel in its vendor's list. Where it goes stands in its order.
#[derive(Debug, Serialize, ToSchema)]
pub struct VendorShipmentBody<'a> {
    order_id: OrderId,
    #[serde(flatten)]
    shipment: ShipmentBody<'a>,
    created_at: Moment,
}

/// A return in its vendor's list.
#[derive(Debug, Serialize, ToSchema)]
pub struct VendorReturnBody {
    order_id: OrderId,
    #[serde(flatten)]
    known: ReturnBody,
    created_at: Moment,
}

problems!(ListVendorShipmentsProblems: AUTH, LISTS, FILTERS; VendorUnknown);

/// A vendor's parcels, the newest first
#[utoipa::path(get, path = "/v1/vendors/{vendor}/shipments", tag = "vendors", security(("bearer" = [])),
    params(("vendor" = VendorId, Path, description = "The vendor"), ShipmentsQuery),
    responses((status = 200, description = "A page of parcels.", body = Page<VendorShipmentBody>), ListVendorShipmentsProblems))]
pub async fn list_vendor_shipments(
    State(shop): State<Shop>,
    State(settings): State<Arc<Settings>>,
    caller: Caller,
    Id(vendor): Id<VendorId>,
    Query(asked): Query<ShipmentsQuery>,
) -> Result<Response> {
    may_know_of(caller.principal, Action::SeeVendorOrders, vendor)?;
    let ShipmentsQuery { limit, cursor, status } = asked;
    let statuses = status.map_or_else(Vec::new, |Several(statuses)| statuses);
    let list = List::new("/v1/vendors/shipments", &(vendor, &statuses));
    let paging = Paging::new(list, limit, cursor.as_deref())?;
    let after = paging.after.map(|(at, id)| (at, ShipmentId::from_uuid(id)));
    // Read before the rows: what they hold may be newer than what is said, never older.
    let as_of = shop.as_of();
    let rows = query(&settings, shop.queries().shipments(vendor, &statuses, after, paging.to_ask())).await?;
    let page = paging.page(
        rows.iter().collect(),
        as_of,
        |(_, row)| (row.made_at, row.parcel.id.uuid()),
        |(order, row)| VendorShipmentBody {
            order_id: *order,
            shipment: ShipmentBody::new(*order, row.currency, &row.parcel).with_track(&shop),
            created_at: Moment(row.made_at),
        },
    );
    Ok(ok(&page))
}

problems!(ListVendorReturnsProblems: AUTH, LISTS, FILTERS; VendorUnknown);

/// What buyers send back to a vendor, the newest first
#[utoipa::path(get, path = "/v1/vendors/{vendor}/returns", tag = "vendors", security(("bearer" = [])),
    params(("vendor" = VendorId, Path, description = "The vendor"), ReturnsQuery),
    responses((status = 200, description = "A page of returns.", body = Page<VendorReturnBody>), ListVendorReturnsProblems))]
pub async fn list_vendor_returns(
    State(shop): State<Shop>,
    State(settings): State<Arc<Settings>>,
    caller: Caller,
    Id(vendor): Id<VendorId>,
    Query(asked): Query<ReturnsQuery>,
) -> Result<Response> {
    may_know_of(caller.principal, Action::SeeVendorOrders, vendor)?;
    let ReturnsQuery { limit, cursor, status } = asked;
    let statuses = status.map_or_else(Vec::new, |Several(statuses)| statuses);
    let list = List::new("/v1/vendors/returns", &(vendor, &statuses));
    let paging = Paging::new(list, limit, cursor.as_deref())?;
    let after = paging.after.map(|(at, id)| (at, ReturnId::from_uuid(id)));
    let as_of = shop.as_of();
    let rows = query(&settings, shop.queries().returns(vendor, &statuses, after, paging.to_ask())).await?;
    let orders: Vec<OrderId> = rows.iter().map(|(order, _)| *order).collect();
    let (notes, silent) = (notes_of_several(&shop, &settings, caller.principal, &orders).await?, Notes::default());
    let page = paging.page(
        rows.iter().collect(),
        as_of,
        |(_, row)| (row.made_at, row.known.id.uuid()),
        |(order, row)| VendorReturnBody {
            order_id: *order,
            known: ReturnBody::new(*order, &row.known).with_notes(notes.get(order).unwrap_or(&silent)),
            created_at: Moment(row.made_at),
        },
    );
    Ok(ok(&page))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_names_are_read_each_once_and_no_other() {
        let read = |text: &str| text.parse::<Several<ShipmentStatus>>().ok().map(|several| several.0);
        assert_eq!(read("draft"), Some(vec![ShipmentStatus::Draft]));
        assert_eq!(read("lost,draft,lost"), Some(vec![ShipmentStatus::Lost, ShipmentStatus::Draft]));
        for bad in ["", ",", "draft,", "draft, lost", "paid", "Draft"] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }
}
