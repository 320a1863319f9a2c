//! Those who work: a vendor's own people, as its owners look after them, and all accounts, as administrators do.
//!
//! Whether an address has an account is told to administrators alone. A vendor's owner who invites one that has gets the same answer as of any other.

use crate::actors::shop::{Ask, Shop};
use crate::domain::ids::{AccountId, VendorId};
use crate::domain::vendor::{Vendor, VendorCommand};
use crate::domain::who::{Action, Permission, Permissions, Seat, VendorRole};
use crate::http::Settings;
use crate::http::accounts::{AccountBody, Taken, WRITES, not_shown, read, within};
use crate::http::answer::{ask, json, mark_replayed, ok};
use crate::http::caller::Caller;
use crate::http::error::{
    self, ACCOUNT_BARRED, ACCOUNT_UNKNOWN, EMAIL_TAKEN, INVALID_BODY, INVALID_QUERY, LAST_ADMINISTRATOR,
    MAIL_UNAVAILABLE, Problem, Result,
};
use crate::http::extract::{Id, Ids, JsonBody, Query};
use crate::http::idempotency::{IdempotencyHeader, Mint, RequestKey};
use crate::http::money::{Moment, Page};
use crate::http::object::only_objects;
use crate::http::once::Once;
use crate::http::openapi::{ACTOR, AUTH, BODY, KEYED, LISTS, problems};
use crate::http::page::{List, PageQuery, Paging};
use crate::http::services::{Services, written};
use crate::http::valid::{Faults, filled};
use crate::http::vendors::may_know_of;
use crate::services::accounts::{Account, AccountFilter, Email, Invited, Refusal, SeatChange};
use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::{IntoParams, ToSchema};

/// A role at a vendor, and an invitation to it.
#[derive(Deserialize, ToSchema)]
#[serde(remote = "Self", deny_unknown_fields)]
#[schema(example = json!({"email": "packer@example.com", "vendor_role": "packer"}))]
pub struct MemberInput {
    /// Whose address.
    #[schema(max_length = 254)]
    email: String,
    /// `owner`, `manager`, `packer` or `finance`.
    #[schema(pattern = "^(owner|manager|packer|finance)$")]
    vendor_role: String,
}

/// What is to be another; what is absent stays as it is.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(remote = "Self", deny_unknown_fields)]
#[schema(example = json!({"vendor_role": "manager"}))]
pub struct MemberPatch {
    /// `owner`, `manager`, `packer` or `finance`.
    #[schema(pattern = "^(owner|manager|packer|finance)$")]
    vendor_role: Option<String>,
    /// Whether nobody may sign in with the account: it is one of the vendor's people no more.
    disabled: Option<bool>,
}

/// Who is invited, and what for.
#[derive(Deserialize, ToSchema)]
#[serde(remote = "Self", deny_unknown_fields)]
#[schema(example = json!({"email": "rina@example.com", "role": "staff", "permissions": ["orders.read", "catalog.edit"]}))]
pub struct AccountInput {
    /// Whose address.
    #[schema(max_length = 254)]
    email: String,
    /// `vendor`, `staff` or `admin`; a customer signs up.
    #[schema(pattern = "^(vendor|staff|admin)$")]
    role: String,
    /// Of a vendor's people: whose.
    vendor_id: Option<VendorId>,
    /// Of a vendor's people: what they are there: `owner`, `manager`, `packer` or `finance`.
    #[schema(pattern = "^(owner|manager|packer|finance)$")]
    vendor_role: Option<String>,
    /// Of staff: what they may do.
    #[schema(max_items = 32)]
    permissions: Option<Vec<String>>,
}

/// What an account is for. What is absent stays as it is, as far as it goes with the role.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(remote = "Self", deny_unknown_fields)]
#[schema(example = json!({"permissions": ["orders.read"]}))]
pub struct AccountPatch {
    /// `customer`, `vendor`, `staff` or `admin`.
    #[schema(pattern = "^(customer|vendor|staff|admin)$")]
    role: Option<String>,
    /// Of a vendor's people: whose.
    vendor_id: Option<VendorId>,
    /// Of a vendor's people: what they are there.
    #[schema(pattern = "^(owner|manager|packer|finance)$")]
    vendor_role: Option<String>,
    /// Of staff: what they may do.
    #[schema(max_items = 32)]
    permissions: Option<Vec<String>>,
    /// Whether nobody may sign in with it.
    disabled: Option<bool>,
}

only_objects!(MemberInput, MemberPatch, AccountInput, AccountPatch);
not_shown!(MemberInput, AccountInput);

/// One of a vendor's own people.
#[derive(Serialize, ToSchema)]
pub struct MemberBody {
    id: AccountId,
    #[schema(example = "packer@example.com")]
    email: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = json!(null))]
    name: Option<String>,
    /// `owner`, `manager`, `packer` or `finance`.
    #[schema(example = "packer")]
    vendor_role: &'static str,
    /// Whether nobody may sign in with the account.
    disabled: bool,
    created_at: Moment,
}

impl MemberBody {
    fn of(account: Account) -> Self {
        let vendor_role = match account.seat {
            Seat::Member(_, role) => role.name(),
            Seat::Customer | Seat::Staff(_) | Seat::Admin => "",
        };
        Self {
            id: account.id,
            email: account.email.as_str().to_owned(),
            name: account.person.name,
            vendor_role,
            disabled: account.disabled,
            created_at: Moment(account.created_at),
        }
    }
}

/// An account, for administrators.
#[derive(Serialize, ToSchema)]
pub struct AnyAccountBody {
    #[serde(flatten)]
    account: AccountBody,
    /// Whether nobody may sign in with it.
    disabled: bool,
    /// Whether its invitation was not taken yet.
    invited: bool,
}

impl AnyAccountBody {
    fn of(account: Account) -> Self {
        let (disabled, invited) = (account.disabled, account.is_invited());
        Self { account: account.into(), disabled, invited }
    }
}

fn email(faults: &mut Faults, text: &str) -> Option<Email> {
    Email::new(text).map_err(|error| faults.add("email", error.to_string())).ok()
}

/// One of a closed list of names.
fn one_of<T: Copy>(
    faults: &mut Faults,
    field: &'static str,
    text: &str,
    all: &[T],
    name: impl Fn(T) -> &'static str,
) -> Option<T> {
    let found = all.iter().copied().find(|one| name(*one) == text);
    if found.is_none() {
        let names: Vec<&str> = all.iter().copied().map(name).collect();
        faults.add(field, format!("one of these is expected: {}", names.join(", ")));
    }
    found
}

fn vendor_role(faults: &mut Faults, text: &str) -> Option<VendorRole> {
    one_of(faults, "vendor_role", text, VendorRole::ALL, VendorRole::name)
}

fn permissions(faults: &mut Faults, texts: &[String]) -> Permissions {
    let each = texts.iter().enumerate().filter_map(|(place, text)| {
        let found = Permission::from_name(text);
        if found.is_none() {
            let names: Vec<&str> = Permission::ALL.iter().copied().map(Permission::name).collect();
            faults.add(format!("permissions[{place}]"), format!("one of these is expected: {}", names.join(", ")));
        }
        found
    });
    each.collect()
}

/// Checks that there is such a vendor.
async fn there(shop: &Shop, settings: &Settings, caller: &Caller, vendor: VendorId) -> Result<()> {
    let how = Ask { within: settings.request_timeout, key: None, fresh: false };
    ask::<Vendor>(shop, vendor, VendorCommand::Get { by: caller.principal }, how).await.map(drop)
}

problems!(ListMembersProblems: AUTH, LISTS, ACTOR; VendorUnknown);

/// A vendor's own people, the newest first
///
/// Whoever was invited is one of them once they have set a password: until then nothing tells whether the address has another account.
#[utoipa::path(get, path = "/v1/vendors/{vendor}/members", tag = "vendors", security(("bearer" = [])),
    params(("vendor" = VendorId, Path, description = "The vendor"), PageQuery),
    responses((status = 200, description = "A page of them.", body = Page<MemberBody>), ListMembersProblems))]
pub async fn list_members(
    State(shop): State<Shop>,
    State(services): State<Services>,
    State(settings): State<Arc<Settings>>,
    caller: Caller,
    Id(vendor): Id<VendorId>,
    Query(asked): Query<PageQuery>,
) -> Result<Response> {
    may_know_of(caller.principal, Action::EditMembers, vendor)?;
    there(&shop, &settings, &caller, vendor).await?;
    let list = List::new("/v1/vendors/members", &vendor);
    let paging = asked.paging(list)?;
    let after = paging.after.map(|(at, id)| (at, AccountId::from_uuid(id)));
    let as_of = services.clock.now();
    let members = services.accounts.members(caller.principal, vendor, after, paging.to_ask());
    let rows = read(&settings, members).await?;
    Ok(ok(&paging.page(rows, as_of, |row| (row.created_at, row.id.uuid()), MemberBody::of)))
}

problems!(InviteMemberProblems: KEYED, BODY, ACTOR, WRITES, &[&MAIL_UNAVAILABLE]; VendorUnknown);

/// Invite one of a vendor's own people
///
/// A mail brings the token with which they set a password (`POST /v1/auth/password/reset`), for seven days. An address that has an account gets a
/// mail that says so, and nothing changes; the answer is the same.
#[utoipa::path(post, path = "/v1/vendors/{vendor}/members", tag = "vendors", security(("bearer" = [])),
    params(("vendor" = VendorId, Path, description = "The vendor"), IdempotencyHeader), request_body = MemberInput,
    responses((status = 202, description = "It was taken.", body = Taken), InviteMemberProblems))]
pub async fn invite_member(
    State(shop): State<Shop>,
    State(services): State<Services>,
    State(settings): State<Arc<Settings>>,
    caller: Caller,
    key: RequestKey,
    Id(vendor): Id<VendorId>,
    body: JsonBody<MemberInput>,
) -> Result<Response> {
    may_know_of(caller.principal, Action::EditMembers, vendor)?;
    let key = key.of(&caller, &body.raw);
    let mut faults = Faults::default();
    let address = email(&mut faults, &body.value.email);
    let role = vendor_role(&mut faults, &body.value.vendor_role);
    faults.done(&INVALID_BODY)?;
    let (Some(address), Some(role)) = (address, role) else {
        return Err(Problem::new(&INVALID_BODY, "address and role are needed"));
    };
    shop.may_change()?;
    let once = Once::new(&services, &settings, key);
    if let Some(answer) = once.answered().await? {
        return Ok(answer);
    }
    there(&shop, &settings, &caller, vendor).await?;
    let id = AccountId::from_uuid(Mint::new(&*services.clock, key).uuid(AccountId::PREFIX, 0));
    let keep = once.keep(StatusCode::ACCEPTED, &Taken {});
    let invite = services.accounts.invite_member(caller.principal, id, address, (vendor, role), keep.as_ref());
    within(&settings, invite).await?;
    if let Some(answer) = &keep {
        // Of an address that has an account nothing was written that it could have been kept with; else it is there.
        written(&settings, services.kept.keep(answer)).await?;
    }
    Ok(json(StatusCode::ACCEPTED, &Taken {}))
}

problems!(PatchMemberProblems: AUTH, BODY, WRITES, &[&ACCOUNT_UNKNOWN, &ACCOUNT_BARRED]; VendorUnknown);

/// Change what one of a vendor's own people is there; their sessions end
#[utoipa::path(patch, path = "/v1/vendors/{vendor}/members/{account}", tag = "vendors", security(("bearer" = [])),
    params(("vendor" = VendorId, Path, description = "The vendor"), ("account" = AccountId, Path, description = "Whose account")),
    request_body = MemberPatch,
    responses((status = 200, description = "What they are now.", body = MemberBody), PatchMemberProblems))]
pub async fn patch_member(
    State(shop): State<Shop>,
    State(services): State<Services>,
    State(settings): State<Arc<Settings>>,
    caller: Caller,
    Ids(vendor, account): Ids<VendorId, AccountId>,
    body: JsonBody<MemberPatch>,
) -> Result<Response> {
    may_know_of(caller.principal, Action::EditMembers, vendor)?;
    let mut faults = Faults::default();
    let role = body.value.vendor_role.as_deref().and_then(|text| vendor_role(&mut faults, text));
    faults.done(&INVALID_BODY)?;
    shop.may_change()?;
    let change = services.accounts.change_member(caller.principal, vendor, account, role, body.value.disabled);
    let changed = within(&settings, change).await?;
    tracing::info!(by = caller.subject, %account, "what an account is for was changed");
    Ok(ok(&MemberBody::of(changed)))
}

/// Which accounts to list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct AccountsQuery {
    /// Only those in this role.
    #[param(pattern = "^(customer|vendor|staff|admin)?$", example = "staff")]
    #[serde(default, deserialize_with = "filled")]
    role: Option<String>,
    /// Items on the page.
    #[param(minimum = 1, maximum = 200, default = 50)]
    #[serde(default, deserialize_with = "filled")]
    limit: Option<u32>,
    /// What an earlier page gave as `next_cursor`.
    #[param(pattern = "^([0-9a-f]{64})?$")]
    #[serde(default, deserialize_with = "filled")]
    cursor: Option<String>,
}

problems!(ListAccountsProblems: AUTH, LISTS);

/// Accounts, the newest first
#[utoipa::path(get, path = "/v1/admin/accounts", tag = "admin", security(("bearer" = [])), params(AccountsQuery),
    responses((status = 200, description = "A page of accounts.", body = Page<AnyAccountBody>), ListAccountsProblems))]
pub async fn list_accounts(
    State(services): State<Services>,
    State(settings): State<Arc<Settings>>,
    caller: Caller,
    Query(asked): Query<AccountsQuery>,
) -> Result<Response> {
    let mut faults = Faults::default();
    let role = asked.role.as_deref().and_then(|text| one_of(&mut faults, "role", text, &Seat::ROLES, |role| role));
    faults.done(&INVALID_QUERY)?;
    let filter = role.map_or(AccountFilter::All, AccountFilter::Role);
    let paging = Paging::new(List::new("/v1/admin/accounts", &filter), asked.limit, asked.cursor.as_deref())?;
    let after = paging.after.map(|(at, id)| (at, AccountId::from_uuid(id)));
    let as_of = services.clock.now();
    let rows = read(&settings, services.accounts.all(caller.principal, filter, after, paging.to_ask())).await?;
    Ok(ok(&paging.page(rows, as_of, |row| (row.created_at, row.id.uuid()), AnyAccountBody::of)))
}

problems!(GetAccountProblems: AUTH, &[&error::UNAVAILABLE, &ACCOUNT_UNKNOWN]);

/// One account
#[utoipa::path(get, path = "/v1/admin/accounts/{account}", tag = "admin", security(("bearer" = [])),
    params(("account" = AccountId, Path, description = "The account")),
    responses((status = 200, description = "The account.", body = AnyAccountBody), GetAccountProblems))]
pub async fn get_account(
    State(services): State<Services>,
    State(settings): State<Arc<Settings>>,
    caller: Caller,
    Id(account): Id<AccountId>,
) -> Result<Response> {
    let account = read(&settings, services.accounts.any(caller.principal, account)).await?;
    Ok(ok(&AnyAccountBody::of(account)))
}

problems!(CreateAccountProblems: KEYED, BODY, ACTOR, WRITES, &[&EMAIL_TAKEN, &MAIL_UNAVAILABLE]; VendorUnknown);

/// Invite somebody who works for the shop or for a vendor
///
/// A mail brings the token with which they set a password (`POST /v1/auth/password/reset`), for seven days.
#[utoipa::path(post, path = "/v1/admin/accounts", tag = "admin", security(("bearer" = [])), params(IdempotencyHeader),
    request_body = AccountInput,
    responses((status = 201, description = "The account.", body = AnyAccountBody), CreateAccountProblems))]
pub async fn create_account(
    State(shop): State<Shop>,
    State(services): State<Services>,
    State(settings): State<Arc<Settings>>,
    caller: Caller,
    key: RequestKey,
    body: JsonBody<AccountInput>,
) -> Result<Response> {
    let key = key.of(&caller, &body.raw);
    let input = body.value;
    let mut faults = Faults::default();
    let address = email(&mut faults, &input.email);
    let role = one_of(&mut faults, "role", &input.role, &Seat::INVITED, |role| role);
    let vendor_role = input.vendor_role.as_deref().and_then(|text| vendor_role(&mut faults, text));
    let permissions = input.permissions.as_deref().map(|texts| permissions(&mut faults, texts));
    faults.done(&INVALID_BODY)?;
    let seat = role.and_then(|role| Seat::from_parts(role, input.vendor_id, vendor_role, permissions));
    let (Some(address), Some(seat)) = (address, seat) else { return Err(Refusal::NoSeat.into()) };
    shop.may_change()?;
    let once = Once::new(&services, &settings, key);
    let id = AccountId::from_uuid(Mint::new(&*services.clock, key).uuid(AccountId::PREFIX, 0));
    // What is kept of the answer names the account: a person stands in the account alone.
    let again = async || {
        let account = read(&settings, services.accounts.any(caller.principal, id)).await?;
        Ok(mark_replayed(json(StatusCode::CREATED, &AnyAccountBody::of(account)), true))
    };
    if once.answered().await?.is_some() {
        return again().await;
    }
    if let Some(vendor) = seat.vendor() {
        there(&shop, &settings, &caller, vendor).await?;
    }
    let keep = once.keep(StatusCode::CREATED, &id);
    match within(&settings, services.accounts.invite_anyone(caller.principal, id, address, seat, keep.as_ref())).await?
    {
        Invited::Done(account) => {
            tracing::info!(by = caller.subject, account = %id, "an account was made");
            Ok(json(StatusCode::CREATED, &AnyAccountBody::of(account)))
        }
        Invited::Known(_) => once.refused(&EMAIL_TAKEN, "an account is for one thing: it stays as it is").await,
        Invited::Answered => again().await,
    }
}

problems!(PatchAccountProblems: AUTH, BODY, ACTOR, WRITES, &[&ACCOUNT_UNKNOWN, &LAST_ADMINISTRATOR]; VendorUnknown);

/// Change what an account is for; its sessions end
#[utoipa::path(patch, path = "/v1/admin/accounts/{account}", tag = "admin", security(("bearer" = [])),
    params(("account" = AccountId, Path, description = "The account")), request_body = AccountPatch,
    responses((status = 200, description = "The account.", body = AnyAccountBody), PatchAccountProblems))]
pub async fn patch_account(
    State(shop): State<Shop>,
    State(services): State<Services>,
    State(settings): State<Arc<Settings>>,
    caller: Caller,
    Id(account): Id<AccountId>,
    body: JsonBody<AccountPatch>,
) -> Result<Response> {
    let input = body.value;
    let mut faults = Faults::default();
    let role = input.role.as_deref().and_then(|text| one_of(&mut faults, "role", text, &Seat::ROLES, |role| role));
    let vendor_role = input.vendor_role.as_deref().and_then(|text| vendor_role(&mut faults, text));
    let permissions = input.permissions.as_deref().map(|texts| permissions(&mut faults, texts));
    faults.done(&INVALID_BODY)?;
    shop.may_change()?;
    if let Some(vendor) = input.vendor_id {
        there(&shop, &settings, &caller, vendor).await?;
    }
    let change = SeatChange { role, vendor: input.vendor_id, vendor_role, permissions, disabled: input.disabled };
    let changed = within(&settings, services.accounts.change_anyone(caller.principal, account, change)).await?;
    tracing::info!(by = caller.subject, %account, "what an account is for was changed");
    Ok(ok(&AnyAccountBody::of(changed)))
}
