//! What couriers collected at doors and hand on.

use crate::actors::shop::{Ask, Shop};
use crate::checkout::buyers;
use crate::domain::buyer::Mint;
use crate::domain::courier::ParcelName;
use crate::domain::ids::{OrderId, ShipmentId, VendorId};
use crate::domain::money::{Currency, Money};
use crate::domain::order::{NotFulfillable, Order, OrderCommand, OrderReply, Parcel, Remittance};
use crate::domain::reject::Reject;
use crate::domain::text::TextKind;
use crate::http::answer::ok;
use crate::http::caller::Caller;
use crate::http::error::{INVALID_BODY, INVALID_QUERY, Result};
use crate::http::extract::{Query, TableBody};
use crate::http::money::{Moment, MoneyBody, Page, TotalInput};
use crate::http::object::only_objects;
use crate::http::openapi::{ACTOR, AUTH, BODY, LISTS, READS, problems};
use crate::http::page::{List, Paging};
use crate::http::valid::{Faults, filled};
use crate::http::{Settings, query};
use crate::limits;
use axum::extract::State;
use axum::response::Response;
use futures::future::join_all;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;
use utoipa::{IntoParams, ToSchema};

/// So many orders hear at once of what was handed on for them.
const AT_ONCE: usize = 16;

/// What a courier hands on.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(remote = "Self", deny_unknown_fields)]
#[schema(example = json!({"courier": "own", "rows": [{
    "tracking_number": "RX-4711", "collected": {"amount": "61.00", "currency": "BDT"},
    "fee": {"amount": "1.00", "currency": "BDT"}, "remitted": {"amount": "60.00", "currency": "BDT"}
}]}))]
pub struct RemittanceInput {
    /// Whose parcels they are, as shipments call the courier.
    #[schema(min_length = 1, max_length = 40, example = "own")]
    courier: String,
    /// A row for each parcel.
    #[schema(min_items = 1, max_items = 500)]
    rows: Vec<RemittanceRowInput>,
}

/// What a courier hands on for one parcel.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(remote = "Self", deny_unknown_fields)]
pub struct RemittanceRowInput {
    /// The parcel's name in the courier's books, of one that the shop has booked there.
    #[schema(min_length = 1, max_length = 200)]
    reference: Option<String>,
    /// Or the number by which the courier finds it.
    #[schema(min_length = 1, max_length = 100, example = "RX-4711")]
    tracking_number: Option<String>,
    /// What the courier has collected.
    collected: TotalInput,
    /// What it keeps for itself.
    fee: Option<TotalInput>,
    /// What it hands on.
    remitted: TotalInput,
}

only_objects!(RemittanceInput, RemittanceRowInput);

/// What became of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RowStatus {
    /// It is recorded, now or when the same row came before.
    Recorded,
    /// No parcel is called so, or none that was written down yet: rows follow records by some seconds.
    Unknown,
    /// Several parcels of this courier have this number.
    Ambiguous,
    /// It is not recorded: `why` says why.
    Refused,
    /// The order gives no answer now: the row may be sent again.
    TryAgain,
}

/// What became of one row.
#[derive(Debug, Serialize, ToSchema)]
pub struct RemittanceRowBody {
    /// Its place, from 0.
    row: usize,
    status: RowStatus,
    #[serde(skip_serializing_if = "Option::is_none")]
    order_id: Option<OrderId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    shipment_id: Option<ShipmentId>,
    /// Why it is refused: `already_remitted` (with other amounts), `nothing_to_collect`, `currency_mismatch`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "already_remitted")]
    why: Option<&'static str>,
    /// What was collected, by the shop's own books.
    #[serde(skip_serializing_if = "Option::is_none")]
    collected: Option<MoneyBody>,
    /// What of that has neither come in nor is the courier's fee; below zero where more came in.
    #[serde(skip_serializing_if = "Option::is_none")]
    open: Option<MoneyBody>,
}

/// What became of all rows.
#[derive(Debug, Serialize, ToSchema)]
pub struct RemittanceBody {
    /// In the order in which they came.
    rows: Vec<RemittanceRowBody>,
}

/// Money that has not come in as it was collected.
#[derive(Debug, Serialize, ToSchema)]
pub struct OpenCashBody<'a> {
    order_id: OrderId,
    shipment_id: ShipmentId,
    vendor_id: VendorId,
    #[schema(example = "own")]
    courier: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    tracking_number: Option<&'a str>,
    /// What was collected.
    collected: MoneyBody,
    /// What the courier says to have collected, once it has handed something on.
    #[serde(skip_serializing_if = "Option::is_none")]
    told: Option<MoneyBody>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fee: Option<MoneyBody>,
    #[serde(skip_serializing_if = "Option::is_none")]
    remitted: Option<MoneyBody>,
    /// What of the collected has neither come in nor is the courier's fee; below zero where more came in.
    open: MoneyBody,
    #[serde(skip_serializing_if = "Option::is_none")]
    delivered_at: Option<Moment>,
}

/// Of which courier.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct OpenCashQuery {
    /// Only this courier's.
    #[param(max_length = 40, pattern = r"^[^\u0000-\u001f\u007f-\u009f]*$", example = "own")]
    #[serde(default, deserialize_with = "filled")]
    courier: Option<String>,
    /// Items on the page.
    #[param(minimum = 1, maximum = 200, default = 50)]
    #[serde(default, deserialize_with = "filled")]
    limit: Option<u32>,
    /// What an earlier page gave as `next_cursor`.
    #[param(pattern = "^([0-9a-f]{64})?$")]
    #[serde(default, deserialize_with = "filled")]
    cursor: Option<String>,
}

/// By what a row finds its parcel.
enum Named {
    Reference(Option<ParcelName>),
    Tracking(String),
}

/// A row in which nothing is wrong.
struct Checked {
    named: Named,
    collected: Money,
    told: Remittance,
}

impl RemittanceRowInput {
    fn checked(self, faults: &mut Faults, at: usize) -> Option<Checked> {
        let field = |name: &str| format!("rows[{at}].{name}");
        let named = match (self.reference, self.tracking_number) {
            (Some(reference), None) => {
                faults.opaque(&field("reference"), &reference, TextKind::Line, limits::SHORT_TEXT);
                Named::Reference(reference.parse().ok())
            }
            (None, Some(number)) => {
                if number.is_empty() {
                    faults.add(field("tracking_number"), "it must not be empty");
                }
                faults.opaque(&field("tracking_number"), &number, TextKind::Line, limits::TRACKING_NUMBER);
                Named::Tracking(number)
            }
            _ => {
                faults.add(field("reference"), "either this or a tracking_number is expected");
                return None;
            }
        };
        let collected = faults.total(&field("collected"), &self.collected)?;
        let remitted = faults.total(&field("remitted"), &self.remitted)?;
        let fee = match &self.fee {
            Some(fee) => faults.total(&field("fee"), fee)?,
            None => Money::new(0, collected.currency),
        };
        for (name, other) in [("remitted", remitted), ("fee", fee)] {
            if other.currency != collected.currency {
                faults.add(field(&format!("{name}.currency")), "it is another than that of what was collected");
            }
        }
        let told = Remittance { collected: collected.minor, fee: fee.minor, remitted: remitted.minor };
        Some(Checked { named, collected, told })
    }
}

impl RemittanceRowBody {
    fn of(row: usize, status: RowStatus) -> Self {
        Self { row, status, order_id: None, shipment_id: None, why: None, collected: None, open: None }
    }

    fn refused(self, reject: &Reject) -> Self {
        let why = match reject {
            Reject::NotFulfillable { why: NotFulfillable::NothingToCollect } => "nothing_to_collect",
            Reject::NotFulfillable { .. } => "already_remitted",
            Reject::CurrencyMismatch { .. } => "currency_mismatch",
            Reject::OrderUnknown | Reject::ShipmentUnknown => return Self { status: RowStatus::Unknown, ..self },
            _ => return Self { status: RowStatus::TryAgain, ..self },
        };
        Self { status: RowStatus::Refused, why: Some(why), ..self }
    }
}

/// Whoever notes what was handed on.
struct Clerk<'a> {
    shop: &'a Shop,
    settings: &'a Settings,
    caller: &'a Caller,
    courier: String,
}

impl Clerk<'_> {
    async fn ask(&self, order: OrderId, command: OrderCommand) -> std::result::Result<OrderReply, Reject> {
        let how = Ask { within: self.settings.request_timeout, key: None, fresh: false };
        match self.shop.ask::<Order>(order, command, how).await {
            Ok(answered) => answered.outcome,
            // Whether it was recorded is not known: the same row says so when it comes again.
            Err(_) => Err(Reject::OutOfTurn),
        }
    }

    /// Which parcel a row is about.
    async fn find(&self, named: &Named) -> Result<std::result::Result<Found, RowStatus>> {
        let found = match named {
            Named::Reference(Some(name)) => return Ok(Ok((name.order, name.shipment, Some(name.mint)))),
            Named::Reference(None) => Vec::new(),
            Named::Tracking(number) => query(self.settings, self.shop.queries().tracked(&self.courier, number)).await?,
        };
        Ok(match found[..] {
            [(order, shipment)] => Ok((order, shipment, None)),
            [] => Err(RowStatus::Unknown),
            _ => Err(RowStatus::Ambiguous),
        })
    }

    /// Notes the rows of one order, in their order.
    async fn note(&self, order: OrderId, rows: Vec<(usize, Checked, Found)>) -> Vec<RemittanceRowBody> {
        let mut noted = Vec::with_capacity(rows.len());
        for (row, checked, (_, shipment, mint)) in rows {
            let (order_id, shipment_id) = (Some(order), Some(shipment));
            let body = RemittanceRowBody { order_id, shipment_id, ..RemittanceRowBody::of(row, RowStatus::Recorded) };
            noted.push(match self.record(order, shipment, mint, &checked).await {
                Ok((currency, parcel)) => {
                    let money = |minor| MoneyBody(Money::new(minor, currency));
                    let collected = parcel.cash.map(|cash| money(cash.collected));
                    RemittanceRowBody { collected, open: Some(money(parcel.cash_open().unwrap_or(0))), ..body }
                }
                Err(reject) => body.refused(&reject),
            });
        }
        noted
    }

    /// The parcel as it stands once what was handed on for it is recorded.
    async fn record(
        &self,
        order: OrderId,
        shipment: ShipmentId,
        mint: Option<Mint>,
        checked: &Checked,
    ) -> std::result::Result<(Currency, Parcel), Reject> {
        let by = self.caller.principal;
        let parcel_of = |reply: OrderReply| {
            let OrderReply::Order { order } = reply else { return Err(Reject::OutOfTurn) };
            let is_it = |parcel: &Parcel| {
                parcel.id == shipment && *parcel.courier == *self.courier && (mint.is_none() || parcel.mint == mint)
            };
            let found = order.sub_orders.into_iter().flat_map(|sub| sub.parcels).find(is_it);
            found.map(|parcel| (order.currency, parcel)).ok_or(Reject::ShipmentUnknown)
        };
        let (expected, _) = parcel_of(self.ask(order, OrderCommand::Get { by }).await?)?;
        let found = checked.collected.currency;
        if found != expected {
            return Err(Reject::CurrencyMismatch { expected, found });
        }
        let mint = buyers::mint(self.shop.clock());
        parcel_of(self.ask(order, OrderCommand::RemitCash { by, shipment, told: checked.told, mint }).await?)
    }
}

/// A parcel, and the end of its name at its courier's, where that was given.
type Found = (OrderId, ShipmentId, Option<Mint>);

problems!(RemitProblems: AUTH, BODY, ACTOR, READS);

/// Note what a courier hands on
///
/// Each row is recorded once: the same row may come again, and says the same. A row that is not recorded does not keep the others from being so. What
/// was collected and what came in may differ, and what is open of it is listed.
#[utoipa::path(post, path = "/v1/admin/remittances", tag = "admin", security(("bearer" = [])), request_body = RemittanceInput,
    responses((status = 200, description = "What became of each row.", body = RemittanceBody), RemitProblems))]
pub async fn note_remittance(
    State(shop): State<Shop>,
    State(settings): State<Arc<Settings>>,
    caller: Caller,
    body: TableBody<RemittanceInput>,
) -> Result<Response> {
    let RemittanceInput { mut courier, rows } = body.value;
    let mut faults = Faults::default();
    faults.text("courier", &mut courier, TextKind::Line, limits::COURIER_NAME);
    if !(1..=limits::REMITTANCE_ROWS).contains(&rows.len()) {
        faults.add("rows", format!("1 to {} of them are expected", limits::REMITTANCE_ROWS));
    }
    let rows = rows.into_iter().enumerate().take(limits::REMITTANCE_ROWS);
    let checked: Vec<Option<Checked>> = rows.map(|(at, row)| row.checked(&mut faults, at)).collect();
    faults.done(&INVALID_BODY)?;
    let clerk = Clerk { shop: &shop, settings: &settings, caller: &caller, courier };
    let mut rows = Vec::with_capacity(checked.len());
    let mut orders: BTreeMap<OrderId, Vec<(usize, Checked, Found)>> = BTreeMap::new();
    for (row, checked) in checked.into_iter().flatten().enumerate() {
        match clerk.find(&checked.named).await? {
            Ok(found) => orders.entry(found.0).or_default().push((row, checked, found)),
            Err(status) => rows.push(RemittanceRowBody::of(row, status)),
        }
    }
    let mut orders = orders.into_iter();
    loop {
        let some = orders.by_ref().take(AT_ONCE).map(|(order, rows)| clerk.note(order, rows));
        let noted = join_all(some).await;
        if noted.is_empty() {
            break;
        }
        rows.extend(noted.into_iter().flatten());
    }
    rows.sort_unstable_by_key(|row| row.row);
    Ok(ok(&RemittanceBody { rows }))
}

problems!(ListOpenCashProblems: AUTH, LISTS);

/// What couriers have collected, and have not handed on as it was collected, the newest first
#[utoipa::path(get, path = "/v1/admin/remittances", tag = "admin", security(("bearer" = [])), params(OpenCashQuery),
    responses((status = 200, description = "A page of parcels.", body = Page<OpenCashBody>), ListOpenCashProblems))]
pub async fn list_open_cash(
    State(shop): State<Shop>,
    State(settings): State<Arc<Settings>>,
    Query(asked): Query<OpenCashQuery>,
) -> Result<Response> {
    let OpenCashQuery { courier, limit, cursor } = asked;
    let mut faults = Faults::default();
    if let Some(courier) = &courier {
        faults.opaque("courier", courier, TextKind::Line, limits::COURIER_NAME);
    }
    faults.done(&INVALID_QUERY)?;
    let paging = Paging::new(List::new("/v1/admin/remittances", &courier), limit, cursor.as_deref())?;
    let after = paging.after.map(|(at, id)| (at, ShipmentId::from_uuid(id)));
    // Read before the rows: what they hold may be newer than what is said, never older.
    let as_of = shop.as_of();
    let rows = query(&settings, shop.queries().with_cash(courier.as_deref(), after, paging.to_ask())).await?;
    let page = paging.page(
        rows.iter().collect(),
        as_of,
        |(_, row)| (row.made_at, row.parcel.id.uuid()),
        |(order, row)| {
            let parcel = &row.parcel;
            let money = |minor| MoneyBody(Money::new(minor, row.currency));
            let told = parcel.cash.and_then(|cash| cash.remitted);
            OpenCashBody {
                order_id: *order,
                shipment_id: parcel.id,
                vendor_id: parcel.vendor,
                courier: &parcel.courier,
                tracking_number: parcel.tracking_number.as_deref(),
                collected: money(parcel.cash.map_or(0, |cash| cash.collected)),
                told: told.map(|told| money(told.collected)),
                fee: told.map(|told| money(told.fee)),
                remitted: told.map(|told| money(told.remitted)),
                open: money(parcel.cash_open().unwrap_or(0)),
                delivered_at: parcel.delivered_at.map(Moment),
            }
        },
    );
    Ok(ok(&page))
}
