//! What customers are to the shop: which prices they have, and by which number the tax office knows them. Its people say so.

use crate::actors::shop::{Ask, Shop};
use crate::domain::buyer::Audience;
use crate::domain::customer::{Customer, CustomerCommand, CustomerReply};
use crate::domain::ids::{AccountId, CustomerId, EntityId};
use crate::domain::reject::Reject;
use crate::domain::text::TextKind;
use crate::domain::who::Seat;
use crate::http::accounts::read;
use crate::http::answer::{ask, ok, unexpected};
use crate::http::auth::Caller;
use crate::http::error::{ACCOUNT_UNKNOWN, INVALID_BODY, Result, UNAVAILABLE};
use crate::http::extract::{Id, JsonBody};
use crate::http::object::only_objects;
use crate::http::openapi::{ACTOR, AUTH, BODY, problems};
use crate::http::services::Services;
use crate::http::valid::{Faults, Named, given};
use crate::http::{HttpState, Settings};
use crate::limits;
use axum::extract::State;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A change of what a customer is. What is not named stays as it is.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(remote = "Self", deny_unknown_fields)]
#[schema(example = json!({"group": "wholesale", "tax_id": "BIN 001234567-0101"}))]
pub struct CustomerPatch {
    /// Which prices they have from now on. An order keeps those that it was placed at.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<Audience>, nullable = false)]
    group: Option<Named<Audience>>,
    /// By which number the tax office knows them; `null` takes it away.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 40, pattern = r"^[^\u0000-\u001f\u007f-\u009f]*$")]
    tax_id: Option<Option<String>>,
}

only_objects!(CustomerPatch);

/// What a customer is.
#[derive(Debug, Serialize, ToSchema)]
pub struct CustomerBody {
    id: CustomerId,
    group: Audience,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "BIN 001234567-0101")]
    tax_id: Option<String>,
}

/// Looks whether there is such a customer: an account that buys, or one of whom something was recorded, whose token came from the command line.
async fn there(shop: &Shop, services: &Services, settings: &Settings, id: CustomerId) -> Result<()> {
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
        (CustomerReply::Customer { group, tax_id }, _) => Ok(ok(&CustomerBody { id, group, tax_id })),
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
    let CustomerPatch { group, mut tax_id } = body.value;
    let mut faults = Faults::default();
    if let Some(Some(tax_id)) = &mut tax_id {
        faults.text("tax_id", tax_id, TextKind::Code, limits::TAX_ID);
    }
    faults.done(&INVALID_BODY)?;
    there(&shop, &services, &settings, id).await?;
    // None takes it away, which a customer is told by an empty one.
    let tax_id = tax_id.map(Option::unwrap_or_default);
    let group = group.map(|Named(group)| group);
    shown(&shop, &settings, id, CustomerCommand::Edit { by: caller.principal, group, tax_id }).await
}
