//! Orders that are stuck: the list of them, and the way out of each.

use crate::actors::shop::{Ask, Shop};
use crate::domain::details::Contact;
use crate::domain::details::Known;
use crate::domain::ids::{EntityId, OrderId, VendorId};
use crate::domain::order::{Order, OrderCommand, OrderReply, OrderView, Resolution, ResolveAs, Trouble, Waits};
use crate::domain::text::TextKind;
use crate::domain::time::Timestamp;
use crate::http::answer::{ask, mark_replayed, ok, unexpected};
use crate::http::caller::Caller;
use crate::http::contacts;
use crate::http::error::{self, INVALID_BODY, Result};
use crate::http::extract::{Id, JsonBody, Query};
use crate::http::idempotency::{IdempotencyHeader, RequestKey};
use crate::http::money::{Moment, MoneyBody, Page, TotalInput};
use crate::http::object::only_objects;
use crate::http::openapi::{ACTOR, AUTH, BODY, KEYED, LISTS, problems};
use crate::http::orders::OrderBody;
use crate::http::page::List;
use crate::http::page::PageQuery;
use crate::http::valid::{Faults, bounded};
use crate::http::{Settings, query};
use crate::limits;
use axum::extract::State;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;

/// What someone did about an order that is stuck.
#[derive(Debug, Deserialize)]
#[serde(remote = "Self", deny_unknown_fields)]
pub struct ResolveInput {
    /// How it goes on.
    #[serde(rename = "as")]
    verb: ResolveAs,
    /// Why.
    note: String,
    /// What was paid, or given back.
    amount: Option<TotalInput>,
    /// Where it stands in the provider's or the bank's books.
    reference: Option<String>,
}

only_objects!(ResolveInput);

impl ResolveInput {
    /// The resolution, as the order records it.
    fn checked(self, subject: &str) -> Result<Resolution> {
        let Self { verb, mut note, amount, reference } = self;
        let mut faults = Faults::default();
        faults.text("note", &mut note, TextKind::Lines, limits::NOTE);
        let (of_money, needs_amount) = match verb {
            ResolveAs::Paid => (true, true),
            ResolveAs::Refunded => (true, false),
            ResolveAs::Retry | ResolveAs::Voided | ResolveAs::WriteOff => (false, false),
        };
        match &amount {
            Some(_) if !of_money => faults.add("amount", format!("{verb} has none")),
            None if needs_amount => faults.add("amount", format!("{verb} needs one")),
            _ => {}
        }
        let amount = amount.and_then(|amount| faults.total("amount", &amount));
        match &reference {
            Some(_) if !of_money => faults.add("reference", format!("{verb} has none")),
            Some(reference) if reference.is_empty() => faults.add("reference", "it must not be empty"),
            Some(reference) => faults.opaque("reference", reference, TextKind::Line, limits::SHORT_TEXT),
            None if of_money => faults.add("reference", format!("{verb} needs one")),
            None => {}
        }
        faults.done(&INVALID_BODY)?;
        Ok(Resolution { verb, by: bounded(subject), note, amount, reference })
    }
}

/// What an order is stuck in.
#[derive(Debug, Serialize, ToSchema)]
pub struct StuckBody<'a> {
    /// Since when.
    since: Moment,
    /// Why: `amount_differs`, `void_refused`, `step_failed`, `collection_mismatch` or `no_answer`.
    #[schema(example = "amount_differs")]
    why: &'static str,
    /// What the payment provider says that it took.
    #[serde(skip_serializing_if = "Option::is_none")]
    told: Option<MoneyBody>,
    /// What is missing of what was to be collected at the door.
    #[serde(skip_serializing_if = "Option::is_none")]
    missing: Option<MoneyBody>,
    /// Whether the provider says that it has given that back.
    #[serde(skip_serializing_if = "Option::is_none")]
    given_back: Option<bool>,
    /// In the words of whoever refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    /// Which vendor could not carry out its step.
    #[serde(skip_serializing_if = "Option::is_none")]
    vendor_id: Option<VendorId>,
    /// What leads out of it.
    resolve_as: &'a [ResolveAs],
}

impl<'a> StuckBody<'a> {
    /// What is shown of an order at this moment; `None` where nobody has to look at it.
    pub fn new(order: &'a OrderView, now: Timestamp) -> Option<Self> {
        let Waits { since, why, resolve_as } = order.waits.as_deref().filter(|waits| waits.is_stuck(now))?;
        let (given_back, reason, vendor_id) = match why {
            Trouble::AmountDiffers { given_back, .. } => (Some(*given_back), None, None),
            Trouble::VoidRefused { reason, .. } => (None, Some(&**reason), None),
            Trouble::StepFailed { vendor, reason } => (None, Some(&**reason), Some(*vendor)),
            Trouble::LegFailed { reason, .. } => (None, Some(&**reason), None),
            Trouble::CashShort { .. } | Trouble::NoAnswer => (None, None, None),
        };
        let told = why.told().map(MoneyBody);
        let missing = match why {
            Trouble::CashShort { missing } => Some(MoneyBody(*missing)),
            _ => None,
        };
        Some(Self { since: Moment(*since), why: why.code(), told, missing, given_back, reason, vendor_id, resolve_as })
    }
}

/// Who led an order out of what it was stuck in, and how.
#[derive(Debug, Serialize, ToSchema)]
pub struct ResolutionBody<'a> {
    r#as: ResolveAs,
    /// The subject of their token.
    #[schema(example = "rina")]
    by: &'a str,
    #[schema(example = "the bank has sent it back by hand")]
    note: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    amount: Option<MoneyBody>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reference: Option<&'a str>,
}

impl<'a> ResolutionBody<'a> {
    /// From the order's timeline.
    pub fn new(resolution: &'a Resolution) -> Self {
        let Resolution { verb, by, note, amount, reference } = resolution;
        Self { r#as: *verb, by, note, amount: amount.map(MoneyBody), reference: reference.as_deref() }
    }
}

problems!(ListStuckProblems: AUTH, LISTS, &[&error::OVERLOADED]);

/// Orders that wait for someone, or have waited too long for an answer, the longest first
///
/// A page may hold fewer than its limit, also before the last one.
#[utoipa::path(get, path = "/v1/admin/orders/stuck", tag = "admin", security(("bearer" = [])), params(PageQuery),
    responses((status = 200, description = "A page of orders.", body = Page<OrderBody>), ListStuckProblems))]
pub async fn list_stuck_orders(
    State(shop): State<Shop>,
    State(settings): State<Arc<Settings>>,
    Query(asked): Query<PageQuery>,
) -> Result<Response> {
    let paging = asked.paging(List::new("/v1/admin/orders/stuck", &()))?;
    let after = paging.after.map(|(at, id)| (OrderId::from_uuid(id).entity(), at));
    let (orders, next) = shop.stuck_orders(after, paging.limit).await?;
    let now = shop.clock().now();
    let next_cursor = next.map(|(entity, at)| paging.cursor((at, entity.uuid)));
    let ids: Vec<OrderId> = orders.iter().map(|order| order.id).collect();
    let mut contacts = query(&settings, shop.contacts(&ids)).await?;
    for order in &orders {
        if let Some(inline) = &order.inline_contact {
            contacts.insert(order.id, Known::Here(Contact::clone(inline)));
        }
    }
    let contact = |order: &OrderView| contacts.get(&order.id).unwrap_or(&Known::Nothing);
    let items: Vec<OrderBody<'_>> = orders.iter().map(|order| OrderBody::at(order, contact(order), now)).collect();
    Ok(ok(&Page { items, next_cursor, as_of: Moment(now) }))
}

problems!(ResolveProblems: KEYED, BODY, ACTOR; OrderUnknown, NothingToResolve, AmountDiffers, TooMany);

/// Lead an order out of what it is stuck in
#[utoipa::path(post, path = "/v1/admin/orders/{order}/resolve", tag = "admin", security(("bearer" = [])),
    params(("order" = OrderId, Path, description = "The order"), IdempotencyHeader),
    request_body = ResolveInput,
    responses((status = 200, description = "The order.", body = OrderBody), ResolveProblems))]
pub async fn resolve_order(
    State(shop): State<Shop>,
    State(settings): State<Arc<Settings>>,
    caller: Caller,
    key: RequestKey,
    Id(id): Id<OrderId>,
    body: JsonBody<ResolveInput>,
) -> Result<Response> {
    let how = Ask { within: settings.request_timeout, key: key.of(&caller, &body.raw), fresh: false };
    let resolution = Box::new(body.value.checked(&caller.subject)?);
    let command = OrderCommand::Resolve { by: caller.principal, resolution };
    match ask::<Order>(&shop, id, command, how).await? {
        (OrderReply::Order { order }, replayed) => {
            let contact = contacts::contact(&shop, &settings, caller.principal, &order).await?;
            Ok(mark_replayed(ok(&OrderBody::at(&order, &contact, shop.clock().now())), replayed))
        }
        (other, _) => Err(unexpected(&other)),
    }
}
