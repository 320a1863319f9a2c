//! What customers are to the shop: which prices they have, and why they pay no tax, if they do not. Its people say so.

use crate::actors::shop::{Ask, Shop};
use crate::domain::buyer::{Audience, Exemption};
use crate::domain::customer::{Customer, CustomerCommand, CustomerReply};
use crate::domain::ids::{AccountId, CustomerId, EntityId};
use crate::domain::reject::Reject;
use crate::domain::who::Seat;
use crate::http::accounts::read;
use crate::http::answer::{ask, ok, unexpected};
use crate::http::caller::Caller;
use crate::http::error::{ACCOUNT_UNKNOWN, Result, UNAVAILABLE};
use crate::http::extract::{Id, JsonBody};
use crate::http::object::only_objects;
use crate::http::openapi::{ACTOR, AUTH, BODY, problems};
use crate::http::services::Services;
use crate::http::valid::{Named, given};
use crate::http::{HttpState, Settings};
use axum::extract::State;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A change of what a customer is. What is not named stays as it is.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(remote = "Self", deny_unknown_fields)]
#[schema(example = json!({"group": "wholesale"}))]
pub struct CustomerPatch {
    /// Which prices they have from now on. An order keeps those that it was placed at.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<Audience>, nullable = false)]
    group: Option<Named<Audience>>,
    /// Why they pay no tax from now on; null where they do again. An order keeps what it was placed with.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<Exemption>)]
    exempt: Option<Option<Named<Exemption>>>,
}

only_objects!(CustomerPatch);

/// What a customer is.
#[derive(Debug, Serialize, ToSchema)]
pub struct CustomerBody {
    id: CustomerId,
    group: Audience,
    /// Why they pay no tax; absent of one who does.
    #[serde(skip_serializing_if = "Option::is_none")]
    exempt: Option<Exemption>,
}

/// Looks whether there is such a customer: an account that buys, or one of whom something was recorded, whose token came from the command line.
pub(super) async fn there(shop: &Shop, services: &Services, settings: &Settings, id: CustomerId) -> Result<()> {
    if shop.inspect(id.entity()).await?.version > 0 {
        return Ok(());
    }
    let account = read(settings, services.accounts.account(AccountId::from_uuid(id.uuid()))).await;
    match account {
        Ok(account) if account.seat == Seat::Customer => Ok(()),
        Err(problem) if problem.kind() != &ACCOUNT_UNKNOWN => Err(problem),
        Ok(_) | Err(_) => Err(Reject::CustomerUnknown.into()),
    }
}

async fn shown(shop: &Shop, settings: &Settings, id: CustomerId, command: CustomerCommand) -> Result<Response> {
    let how = Ask { within: settings.request_timeout, key: None, fresh: false };
    match ask::<Customer>(shop, id, command, how).await? {
        (CustomerReply::Customer { group, exempt }, _) => Ok(ok(&CustomerBody { id, group, exempt })),
        (other, _) => Err(unexpected(&other)),
    }
}

problems!(GetCustomerProblems: AUTH, ACTOR, &[&UNAVAILABLE]; CustomerUnknown);

/// What a customer is
///
/// A customer is an account that buys, by the same number. Of whom nobody has said anything is as everybody is.
#[utoipa::path(get, path = "/v1/admin/customers/{customer}", tag = "admin", security(("bearer" = [])),
    params(("customer" = CustomerId, Path, description = "The customer")),
    responses((status = 200, description = "The customer.", body = CustomerBody), GetCustomerProblems))]
pub async fn get_customer(
    State(HttpState { shop, services, settings, .. }): State<HttpState>,
    caller: Caller,
    Id(id): Id<CustomerId>,
) -> Result<Response> {
    there(&shop, &services, &settings, id).await?;
    shown(&shop, &settings, id, CustomerCommand::Show { by: caller.principal }).await
}

problems!(PatchCustomerProblems: AUTH, BODY, ACTOR, &[&UNAVAILABLE]; CustomerUnknown, CommandPoisoned);

/// Change what a customer is
#[utoipa::path(patch, path = "/v1/admin/customers/{customer}", tag = "admin", security(("bearer" = [])),
    params(("customer" = CustomerId, Path, description = "The customer")),
    request_body = CustomerPatch,
    responses((status = 200, description = "The customer.", body = CustomerBody), PatchCustomerProblems))]
pub async fn patch_customer(
    State(HttpState { shop, services, settings, .. }): State<HttpState>,
    caller: Caller,
    Id(id): Id<CustomerId>,
    body: JsonBody<CustomerPatch>,
) -> Result<Response> {
    there(&shop, &services, &settings, id).await?;
    let CustomerPatch { group, exempt } = body.value;
    let group = group.map(|Named(group)| group);
    let exempt = exempt.map(|exempt| exempt.map(|Named(exempt)| exempt));
    shown(&shop, &settings, id, CustomerCommand::Edit { by: caller.principal, group, exempt }).await
}
