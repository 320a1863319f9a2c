//! What administrators look at: actors, and the sandbox's own charge log.

use crate::actors::shop::{EffectView, Shop};
use crate::domain::entity::Decides as _;
use crate::domain::ids::{EntityRef, Kind, OrderId};
use crate::domain::kinds::for_kind;
use crate::domain::reject::Reject;
use crate::http::answer::ok;
use crate::http::error;
use crate::http::error::{NOT_FOUND, Problem, Result};
use crate::http::extract::{Query, parse_id};
use crate::http::money::{Moment, MoneyBody};
use crate::http::openapi::{ACTOR, AUTH, READS, problems};
use crate::http::page::checked_limit;
use crate::http::valid::filled;
use crate::telemetry::without_secrets;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::response::Response;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

/// The live actors of each kind.
#[derive(Debug, Serialize, ToSchema)]
pub struct ActorsBody {
    items: Vec<KindBody>,
}

/// The live actors of one kind.
#[derive(Debug, Serialize, ToSchema)]
pub struct KindBody {
    #[schema(example = "cart")]
    kind: &'static str,
    /// How many are in memory.
    live: usize,
    /// How often one was started again after a fault.
    restarts: u64,
    /// How often one left memory.
    passivations: u64,
    /// Those with the most messages waiting.
    deepest: Vec<MailboxBody>,
}

/// An actor's mailbox.
#[derive(Debug, Serialize, ToSchema)]
pub struct MailboxBody {
    #[schema(value_type = String, example = "cart_01h2xcejqtf2nbrexx3vqjhp41")]
    id: EntityRef,
    mailbox_depth: usize,
}

/// One actor.
#[derive(Debug, Serialize, ToSchema)]
pub struct ActorBody {
    #[schema(value_type = String, example = "cart_01h2xcejqtf2nbrexx3vqjhp41")]
    id: EntityRef,
    #[schema(example = "cart")]
    kind: &'static str,
    /// Whether it is in memory.
    live: bool,
    /// How many records made its state.
    version: u64,
    /// Whether its records do not fit each other: then it answers nobody.
    quarantined: bool,
    /// The version that a checkpoint holds; what is newer stands in the journal alone.
    checkpointed_version: u64,
    /// Messages waiting.
    mailbox_depth: usize,
    /// Started again after a panic, since it came into memory.
    restarts: u32,
    /// Requests that wait until it has come so far.
    requests_waiting: usize,
    /// Answers kept under idempotency keys.
    kept_answers: usize,
    /// What it has asked of others and has no answer to: what is asked again first at the head.
    effects: Vec<EffectBody>,
    /// When it looks by itself what time has made due.
    #[serde(skip_serializing_if = "Option::is_none")]
    wakes_at: Option<Moment>,
    /// Its state in a few figures, without secrets.
    #[schema(value_type = Object)]
    state: Value,
}

/// What an actor has asked of others and has no answer to.
#[derive(Debug, Serialize, ToSchema)]
pub struct EffectBody {
    /// What is asked.
    #[schema(example = "reserve")]
    step: &'static str,
    /// Whom it concerns.
    #[schema(value_type = String, example = "vendor_01h2xcejqtf2nbrexx3vqjhp41")]
    target: EntityRef,
    /// How often it was asked again.
    attempts: u32,
    /// Whether whoever was asked has said that they are at it.
    begun: bool,
    /// In how many milliseconds it is asked again.
    again_in_ms: u64,
}

impl From<EffectView> for EffectBody {
    fn from(EffectView { key, attempts, begun, again_in }: EffectView) -> Self {
        let target = EntityRef { kind: key.step.concerns(), uuid: Uuid::from_u128(key.target) };
        let again_in_ms = u64::try_from(again_in.as_millis()).unwrap_or(u64::MAX);
        Self { step: key.step.name(), target, attempts, begun, again_in_ms }
    }
}

/// Which charges to show.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ChargesQuery {
    /// Only this order's.
    #[param(pattern = "^(order_[0-7][0-9a-hjkmnp-tv-z]{25})?$", example = "order_01h2xcejqtf2nbrexx3vqjhp41")]
    #[serde(default, deserialize_with = "filled")]
    order: Option<String>,
    /// At most so many, the newest first.
    #[param(minimum = 1, maximum = 200, default = 50)]
    #[serde(default, deserialize_with = "filled")]
    limit: Option<u32>,
}

/// What the sandbox's charge log holds.
#[derive(Debug, Serialize, ToSchema)]
pub struct ChargesBody {
    items: Vec<ChargeBody>,
}

/// A charge.
#[derive(Debug, Serialize, ToSchema)]
pub struct ChargeBody {
    order_id: OrderId,
    amount: MoneyBody,
    /// What of a charge was given back in parts.
    refunded: MoneyBody,
    /// `charged`, `declined`, `voided` or `refunded`.
    #[schema(example = "charged")]
    status: &'static str,
    /// When it came to stand so.
    at: Moment,
}

problems!(ListActorsProblems: AUTH, READS);

/// Live actors per kind, with the deepest mailboxes
#[utoipa::path(get, path = "/v1/admin/actors", tag = "admin", security(("bearer" = [])),
    responses((status = 200, description = "Every kind.", body = ActorsBody), ListActorsProblems))]
pub async fn list_actors(State(shop): State<Shop>) -> Result<Response> {
    let kinds = shop.actors().into_iter().map(|kind| KindBody {
        kind: kind.kind.name(),
        live: kind.live,
        restarts: kind.restarts,
        passivations: kind.passivations,
        deepest: kind.deepest.into_iter().map(|(id, mailbox_depth)| MailboxBody { id, mailbox_depth }).collect(),
    });
    Ok(ok(&ActorsBody { items: kinds.collect() }))
}

/// Which entity a path names.
pub(super) fn named(path: Result<Path<(String, String)>, PathRejection>) -> Result<EntityRef> {
    let not_found = || Problem::new(&NOT_FOUND, "there are carts, orders, vendors and customers");
    let Ok(Path((kind, id))) = path else {
        return Err(not_found());
    };
    let kind = Kind::from_name(&kind).ok_or_else(not_found)?;
    let entity = id.parse().ok().filter(|entity: &EntityRef| entity.kind == kind);
    entity.ok_or_else(|| unknown(kind).into())
}

pub(super) fn unknown(kind: Kind) -> Reject {
    for_kind!(kind, E => E::UNKNOWN)
}

problems!(GetActorProblems: AUTH, ACTOR, &[&NOT_FOUND]; CartUnknown, OrderUnknown, VendorUnknown, CustomerUnknown);

/// One actor: its state in figures, its mailbox, and what it waits for
#[utoipa::path(get, path = "/v1/admin/actors/{kind}/{id}", tag = "admin", security(("bearer" = [])),
    params(("kind" = String, Path, description = "`cart`, `order`, `vendor` or `customer`",
        pattern = "^(cart|order|vendor|customer)$"),
        ("id" = String, Path, description = "The entity's id")),
    responses((status = 200, description = "The actor.", body = ActorBody), GetActorProblems))]
pub async fn get_actor(
    State(shop): State<Shop>,
    path: Result<Path<(String, String)>, PathRejection>,
) -> Result<Response> {
    let entity = named(path)?;
    let actor = shop.inspect(entity).await?;
    if actor.version == 0 && !actor.quarantined {
        return Err(unknown(entity.kind).into());
    }
    Ok(ok(&ActorBody {
        id: actor.entity,
        kind: entity.kind.name(),
        live: actor.live,
        version: actor.version,
        quarantined: actor.quarantined,
        checkpointed_version: actor.checkpointed,
        mailbox_depth: actor.mailbox_depth,
        restarts: actor.restarts,
        requests_waiting: actor.waiting,
        kept_answers: actor.kept_answers,
        effects: actor.effects.into_iter().map(EffectBody::from).collect(),
        wakes_at: actor.wakes_at.map(Moment),
        state: without_secrets(actor.state),
    }))
}

problems!(ListChargesProblems: AUTH, READS, &[&NOT_FOUND, &error::INVALID_QUERY]; OrderUnknown);

/// The sandbox's own charge log
#[utoipa::path(get, path = "/v1/admin/sandbox/charges", tag = "admin", security(("bearer" = [])), params(ChargesQuery),
    responses((status = 200, description = "Charges.", body = ChargesBody), ListChargesProblems))]
pub async fn list_charges(State(shop): State<Shop>, Query(asked): Query<ChargesQuery>) -> Result<Response> {
    let limit = checked_limit(asked.limit)?;
    let order: Option<OrderId> = asked.order.as_deref().map(parse_id).transpose()?;
    let charge_log =
        shop.charge_log().ok_or_else(|| Problem::new(&NOT_FOUND, "no gateway here keeps a ledger of its own"))?;
    let charge = |entry: crate::ports::ChargeLogEntry| ChargeBody {
        order_id: entry.order,
        amount: MoneyBody(entry.amount),
        refunded: MoneyBody(entry.refunded),
        status: entry.status,
        at: Moment(entry.at),
    };
    Ok(ok(&ChargesBody { items: charge_log.entries(order, limit as usize).into_iter().map(charge).collect() }))
}
