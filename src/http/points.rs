//! Points: what a customer has of them, and what the staff gives.

use crate::actors::shop::{Ask, Shop};
use crate::domain::customer::{
    Customer, CustomerCommand, CustomerReply, GivenFor, NEVER, PointCommand, PointItem, PointKind, PointLot,
    PointsView, may_be_given,
};
use crate::domain::entity::Principal;
use crate::domain::ids::{CustomerId, OrderId};
use crate::domain::loyalty::Programme;
use crate::domain::money::Money;
use crate::domain::order::PointsShown;
use crate::domain::record::IdempotencyKey;
use crate::domain::time::Timestamp;
use crate::http::answer::{ask, json, mark_replayed, ok, unexpected};
use crate::http::caller::Caller;
use crate::http::customers::there;
use crate::http::error::{FORBIDDEN, INVALID_BODY, Problem, Result, UNAVAILABLE};
use crate::http::extract::{Id, JsonBody};
use crate::http::idempotency::{IdempotencyHeader, RequestKey};
use crate::http::money::{Moment, MoneyBody};
use crate::http::object::only_objects;
use crate::http::openapi::{ACTOR, AUTH, BODY, KEYED, problems};
use crate::http::valid::{Faults, Named, Whole};
use crate::http::{HttpState, Settings, query};
use crate::limits;
use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Points that expire together.
#[derive(Debug, Serialize, ToSchema)]
pub struct PointLotBody {
    points: i64,
    /// From when on they are gone; absent of those that stay.
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<Moment>,
}

/// A line of what became of points.
#[derive(Debug, Serialize, ToSchema)]
pub struct PointItemBody {
    at: Moment,
    /// One of `earned`, `given` (or taken, by the staff), `spent`, `restored` (what was paid with them was given back), `taken_back` (what had earned them
    /// was given back), `expired`.
    #[schema(value_type = String, example = "earned")]
    kind: PointKind,
    /// Below zero where there are fewer since.
    #[schema(example = 25)]
    points: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    order_id: Option<OrderId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<Moment>,
}

/// The next tier.
#[derive(Debug, Serialize, ToSchema)]
pub struct NextTierBody {
    #[schema(example = "gold")]
    name: String,
    /// From how much on, within 365 days.
    from: MoneyBody,
    /// For how much more must be bought.
    missing: MoneyBody,
}

/// What a customer has of points.
#[derive(Debug, Serialize, ToSchema)]
pub struct PointsBody {
    /// What can be spent.
    available: i64,
    /// What paid orders are to earn yet. It may be seconds old.
    pending: i64,
    /// What is held for orders that are being paid.
    held: i64,
    /// What was taken back and was not there any more: what is earned next pays it first.
    debt: i64,
    /// Their tier; null of a customer who is in none.
    #[schema(example = json!(null))]
    tier: Option<String>,
    /// Until when they are in it at least.
    #[serde(skip_serializing_if = "Option::is_none")]
    tier_until: Option<Moment>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_tier: Option<NextTierBody>,
    /// What can be spent, by when it expires.
    lots: Vec<PointLotBody>,
    /// The last fifty lines of what became of their points, the newest first.
    items: Vec<PointItemBody>,
}

fn ends(at: Timestamp) -> Option<Moment> {
    (at < NEVER).then_some(Moment(at))
}

impl PointsBody {
    fn new(view: PointsView, pending: i64, programme: Option<&Programme>, now: Timestamp) -> Self {
        let lot = |lot: PointLot| PointLotBody { points: lot.points, expires_at: ends(lot.expires_at) };
        let item = |item: PointItem| PointItemBody {
            at: Moment(item.at),
            kind: item.kind,
            points: item.points,
            order_id: item.order,
            expires_at: item.expires_at.map(Moment),
        };
        let (available, next_tier) = (view.available(now), programme.and_then(|programme| next(&view, programme, now)));
        let (tier, until) = view.standing.map_or((None, None), |standing| (standing.tier, standing.until));
        Self {
            available,
            pending,
            held: view.held,
            debt: view.debt,
            tier,
            tier_until: until.map(Moment),
            next_tier,
            lots: view.lots.into_iter().filter(|lot| lot.expires_at > now).map(lot).collect(),
            items: view.items.into_iter().map(item).collect(),
        }
    }
}

/// The tier above the one that they are in.
fn next(view: &PointsView, programme: &Programme, now: Timestamp) -> Option<NextTierBody> {
    let bought = view.bought_within_a_year(programme, now);
    let has = view.standing.as_ref().and_then(|standing| standing.tier.as_deref());
    let above = has.and_then(|name| programme.tiers.iter().position(|tier| tier.name == name)).map_or(0, |at| at + 1);
    let tier = programme.tiers.get(above)?;
    let missing = Money::new(tier.from.minor.saturating_sub(bought).max(0), tier.from.currency);
    Some(NextTierBody { name: tier.name.clone(), from: MoneyBody(tier.from), missing: MoneyBody(missing) })
}

/// The points of an order.
#[derive(Debug, Serialize, ToSchema)]
pub struct OrderPointsBody {
    /// With how many it is paid.
    spent: i64,
    /// What they pay.
    value: MoneyBody,
    /// How many of them came back.
    restored: i64,
    /// How many it has earned, without what was taken back.
    earned: i64,
    /// How many it is to earn yet.
    pending: i64,
}

impl OrderPointsBody {
    /// Nothing of an order that has to do with none.
    pub(super) fn new(shown: &PointsShown, currency: crate::domain::money::Currency) -> Option<Self> {
        let PointsShown { spent, value, restored, earned, pending } = *shown;
        let value = MoneyBody(Money::new(value, currency));
        (!shown.is_nothing()).then_some(Self { spent, value, restored, earned, pending })
    }
}

/// Points that the staff gives, or takes.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(remote = "Self", deny_unknown_fields)]
#[schema(example = json!({"points": 50, "reason": "goodwill"}))]
pub struct PointsInput {
    /// How many; below zero to take some. What is not there is owed.
    #[schema(value_type = i64, minimum = -1_000_000_000_000_i64, maximum = 1_000_000_000_000_i64)]
    points: Whole,
    /// One of `goodwill`, `apology`, `promotion`, `correction`, `other`.
    #[schema(value_type = String, pattern = "^(goodwill|apology|promotion|correction|other)$")]
    reason: Named<GivenFor>,
    /// Up to the end of which local day they live; as long as the programme says, where that is absent.
    #[schema(format = DateTime, example = json!(null))]
    expires_at: Option<String>,
}

only_objects!(PointsInput);

impl PointsInput {
    fn checked(self, now: Timestamp) -> Result<(i64, GivenFor, Option<Timestamp>)> {
        let mut faults = Faults::default();
        let Whole(points) = self.points;
        if !may_be_given(points) {
            faults.add("points", format!("a number other than 0 is expected, of {} at most", limits::POINTS));
        }
        let expires_at = self.expires_at.as_deref().and_then(|text| faults.moment("expires_at", text));
        if expires_at.is_some_and(|at| at <= now || at >= NEVER) {
            faults.add("expires_at", "a moment that is to come is expected");
        }
        if expires_at.is_some() && points < 0 {
            faults.add("expires_at", "what is taken does not expire");
        }
        faults.done(&INVALID_BODY)?;
        let Named(reason) = self.reason;
        Ok((points, reason, expires_at))
    }
}

/// What a customer has of points, and whether that was answered before under the same key.
async fn told(
    shop: &Shop,
    settings: &Settings,
    id: CustomerId,
    command: PointCommand,
    key: Option<IdempotencyKey>,
) -> Result<(PointsBody, bool)> {
    let how = Ask { within: settings.request_timeout, key, fresh: false };
    match ask::<Customer>(shop, id, CustomerCommand::Points(command), how).await? {
        (CustomerReply::Points { points }, replayed) => {
            let pending = query(settings, shop.queries().points_pending(id)).await?;
            let tables = shop.knowledge().prices.tables();
            let programme = tables.as_deref().and_then(|tables| tables.loyalty.as_ref());
            Ok((PointsBody::new(*points, pending, programme, shop.clock().now()), replayed))
        }
        (other, _) => Err(unexpected(&other)),
    }
}

/// What this customer has of points, as they see it themselves.
pub(super) async fn own_points(shop: &Shop, settings: &Settings, id: CustomerId) -> Result<PointsBody> {
    let by = Principal::Customer(id);
    told(shop, settings, id, PointCommand::SeePoints { by }, None).await.map(|(body, _)| body)
}

problems!(OwnPointsProblems: AUTH, ACTOR, &[&UNAVAILABLE]);

/// One's own points
#[utoipa::path(get, path = "/v1/me/points", tag = "accounts", security(("bearer" = [])),
    responses((status = 200, description = "What there is of them.", body = PointsBody), OwnPointsProblems))]
pub async fn get_own_points(
    State(HttpState { shop, settings, .. }): State<HttpState>,
    caller: Caller,
) -> Result<Response> {
    let Principal::Customer(id) = caller.principal else {
        return Err(Problem::new(&FORBIDDEN, "only a customer has points"));
    };
    own_points(&shop, &settings, id).await.map(|body| ok(&body))
}

problems!(GetPointsProblems: AUTH, ACTOR, &[&UNAVAILABLE]; CustomerUnknown);

/// A customer's points
#[utoipa::path(get, path = "/v1/admin/customers/{customer}/points", tag = "admin", security(("bearer" = [])),
    params(("customer" = CustomerId, Path, description = "The customer")),
    responses((status = 200, description = "What there is of them.", body = PointsBody), GetPointsProblems))]
pub async fn get_points(
    State(HttpState { shop, services, settings, .. }): State<HttpState>,
    caller: Caller,
    Id(id): Id<CustomerId>,
) -> Result<Response> {
    there(&shop, &services, &settings, id).await?;
    let (body, _) = told(&shop, &settings, id, PointCommand::SeePoints { by: caller.principal }, None).await?;
    Ok(ok(&body))
}

problems!(GivePointsProblems: KEYED, BODY, ACTOR, &[&UNAVAILABLE]; CustomerUnknown, CommandPoisoned);

/// Give a customer points, or take some
#[utoipa::path(post, path = "/v1/admin/customers/{customer}/points", tag = "admin", security(("bearer" = [])),
    params(("customer" = CustomerId, Path, description = "The customer"), IdempotencyHeader),
    request_body = PointsInput,
    responses((status = 201, description = "What there is of them now.", body = PointsBody), GivePointsProblems))]
pub async fn give_points(
    State(HttpState { shop, services, settings, .. }): State<HttpState>,
    caller: Caller,
    key: RequestKey,
    Id(id): Id<CustomerId>,
    body: JsonBody<PointsInput>,
) -> Result<Response> {
    let key = key.of(&caller, &body.raw);
    let (points, reason, expires_at) = body.value.checked(shop.clock().now())?;
    there(&shop, &services, &settings, id).await?;
    let command = PointCommand::GivePoints { by: caller.principal, points, reason, expires_at };
    let (body, replayed) = told(&shop, &settings, id, command, key).await?;
    Ok(mark_replayed(json(StatusCode::CREATED, &body), replayed))
}
