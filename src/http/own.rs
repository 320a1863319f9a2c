//! What a customer has of their own: addresses, another e-mail address, all that is known of them, and their end.

use crate::actors::shop::Shop;
use crate::domain::details::{Known, NotedOn};
use crate::domain::ids::{AddressId, CustomerId, OrderId, ReturnId};
use crate::domain::order::Address;
use crate::domain::order::columns::OrderFilter;
use crate::domain::who::Seat;
use crate::http::Settings;
use crate::http::accounts::{AccountBody, SessionShown, Taken, WRITES, not_shown, read, within};
use crate::http::answer::{json, mark_replayed, ok};
use crate::http::caller::{Caller, SignedIn};
use crate::http::checkout::{AddressFields, AddressInput, check_address};
use crate::http::contacts::AddressBody;
use crate::http::error::{
    self, ACCOUNT_UNKNOWN, ADDRESS_UNKNOWN, ADDRESSES_FULL, AUTH_BUSY, CREDENTIALS_INVALID, INVALID_BODY,
    LOGIN_REQUIRED, MAIL_UNAVAILABLE, Problem, Result, TOO_MANY_ATTEMPTS,
};
use crate::http::extract::{Id, JsonBody};
use crate::http::idempotency::{IdempotencyHeader, Mint, RequestKey};
use crate::http::money::{Moment, Page};
use crate::http::object::only_objects;
use crate::http::once::Once;
use crate::http::openapi::{AUTH, BODY, KEYED, problems};
use crate::http::orders::OrderBody;
use crate::http::points::{PointsBody, own_points};
use crate::http::query;
use crate::http::services::Services;
use crate::http::valid::{Faults, given};
use crate::limits;
use crate::ports::OrdersOf;
use crate::services::accounts::{Email, Kept, KeptAddress, Visitor};
use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;

const FIELDS: AddressFields = ["name", "line1", "city", "line2", "region", "postcode", "phone", "country"];

/// An address that somebody keeps.
#[derive(Serialize, ToSchema)]
pub struct KeptAddressBody<'a> {
    id: AddressId,
    #[serde(flatten)]
    address: AddressBody<'a>,
    created_at: Moment,
}

impl<'a> KeptAddressBody<'a> {
    fn of(kept: &'a KeptAddress) -> Self {
        Self { id: kept.id, address: AddressBody::new(&kept.address), created_at: Moment(kept.created_at) }
    }
}

/// What of an address is to be another; what is absent stays as it is, and null takes away what may be absent.
#[derive(Deserialize, ToSchema)]
#[serde(remote = "Self", deny_unknown_fields)]
#[schema(example = json!({"line1": "14 Lake Road", "postcode": null}))]
pub struct AddressPatch {
    /// Who receives it.
    #[schema(min_length = 1, max_length = 200, pattern = r"^[^\u0000-\u001f\u007f-\u009f]*$")]
    name: Option<String>,
    /// Street and number.
    #[schema(min_length = 1, max_length = 200, pattern = r"^[^\u0000-\u001f\u007f-\u009f]*$")]
    line1: Option<String>,
    /// More of it.
    #[schema(max_length = 200, pattern = r"^[^\u0000-\u001f\u007f-\u009f]*$")]
    #[serde(default, deserialize_with = "given")]
    line2: Option<Option<String>>,
    /// The city.
    #[schema(min_length = 1, max_length = 200, pattern = r"^[^\u0000-\u001f\u007f-\u009f]*$")]
    city: Option<String>,
    /// The postcode, where there is one.
    #[schema(max_length = 200, pattern = r"^[^\u0000-\u001f\u007f-\u009f]*$")]
    #[serde(default, deserialize_with = "given")]
    postcode: Option<Option<String>>,
    /// A part of the country, such as a state, where there is one.
    #[schema(max_length = 200, pattern = r"^[^\u0000-\u001f\u007f-\u009f]*$")]
    #[serde(default, deserialize_with = "given")]
    region: Option<Option<String>>,
    /// ISO 3166-1 alpha-2.
    #[schema(schema_with = crate::http::schema::country)]
    country: Option<String>,
    /// Where to call.
    #[schema(max_length = 200, pattern = r"^[^\u0000-\u001f\u007f-\u009f]*$")]
    #[serde(default, deserialize_with = "given")]
    phone: Option<Option<String>>,
}

impl AddressPatch {
    /// Makes this of an address. It is checked as it will be: what is not given is in order.
    fn apply(&self, address: &mut Address) -> Result<()> {
        let Self { name, line1, line2, city, postcode, region, country, phone } = self;
        for (now, then) in [
            (&mut address.name, name),
            (&mut address.line1, line1),
            (&mut address.city, city),
            (&mut address.country, country),
        ] {
            if let Some(then) = then {
                now.clone_from(then);
            }
        }
        for (now, then) in [
            (&mut address.line2, line2),
            (&mut address.postcode, postcode),
            (&mut address.region, region),
            (&mut address.phone, phone),
        ] {
            if let Some(then) = then {
                now.clone_from(then);
            }
        }
        let mut faults = Faults::default();
        check_address(&mut faults, &FIELDS, address);
        faults.done(&INVALID_BODY)
    }
}

/// Another e-mail address.
#[derive(Deserialize, ToSchema)]
#[serde(remote = "Self", deny_unknown_fields)]
#[schema(example = json!({"email": "rahim.uddin@example.com", "password": "seven boats on the Padma"}))]
pub struct EmailInput {
    /// The address that the account is to have.
    #[schema(max_length = 254)]
    email: String,
    /// The account's password.
    password: String,
}

only_objects!(AddressPatch, EmailInput);
not_shown!(AddressPatch, EmailInput);

/// All that is known of somebody.
#[derive(Serialize, ToSchema)]
pub struct ExportBody<'a> {
    as_of: Moment,
    account: AccountBody,
    addresses: Vec<KeptAddressBody<'a>>,
    sessions: Vec<SessionShown>,
    orders: Vec<OrderBody<'a>>,
    /// What they said about what they sent back.
    comments: Vec<CommentBody>,
    /// Their points, of somebody who buys.
    #[serde(skip_serializing_if = "Option::is_none")]
    points: Option<PointsBody>,
}

/// What somebody said about a return.
#[derive(Serialize, ToSchema)]
pub struct CommentBody {
    order_id: OrderId,
    return_id: ReturnId,
    comment: String,
}

problems!(ListAddressesProblems: AUTH, &[&error::UNAVAILABLE]);

/// The addresses that one keeps, the newest first
#[utoipa::path(get, path = "/v1/me/addresses", tag = "accounts", security(("bearer" = [])),
    responses((status = 200, description = "All of them.", body = Page<KeptAddressBody<'_>>), ListAddressesProblems))]
pub async fn list_addresses(
    State(services): State<Services>,
    State(settings): State<Arc<Settings>>,
    me: SignedIn,
) -> Result<Response> {
    let as_of = Moment(services.clock.now());
    let kept = read(&settings, services.accounts.addresses(me.account)).await?;
    Ok(ok(&Page { items: kept.iter().map(KeptAddressBody::of).collect(), next_cursor: None, as_of }))
}

problems!(AddAddressProblems: KEYED, BODY, WRITES, &[&ADDRESSES_FULL]);

/// Keep an address
#[utoipa::path(post, path = "/v1/me/addresses", tag = "accounts", security(("bearer" = [])), params(IdempotencyHeader),
    request_body = AddressInput,
    responses((status = 201, description = "The address.", body = KeptAddressBody<'_>), AddAddressProblems))]
pub async fn add_address(
    State(shop): State<Shop>,
    State(services): State<Services>,
    State(settings): State<Arc<Settings>>,
    caller: Caller,
    me: SignedIn,
    key: RequestKey,
    body: JsonBody<AddressInput>,
) -> Result<Response> {
    let key = key.of(&caller, &body.raw);
    let mut faults = Faults::default();
    let address = body.value.checked(&mut faults, &FIELDS);
    faults.done(&INVALID_BODY)?;
    shop.may_change()?;
    let once = Once::new(&services, &settings, key);
    let id = AddressId::from_uuid(Mint::new(&*services.clock, key).uuid(AddressId::PREFIX, 0));
    // What is kept of the answer names the address: what it says stands there alone.
    let again = async || {
        let kept = read(&settings, services.accounts.addresses(me.account)).await?;
        let kept = kept.iter().find(|kept| kept.id == id);
        let kept = kept.ok_or_else(|| Problem::new(&ADDRESS_UNKNOWN, "the address that was kept then is gone"))?;
        Ok(mark_replayed(json(StatusCode::CREATED, &KeptAddressBody::of(kept)), true))
    };
    if once.answered().await?.is_some() {
        return again().await;
    }
    let keep = once.keep(StatusCode::CREATED, &id);
    match within(&settings, services.accounts.keep_address(me.account, id, address, keep.as_ref())).await? {
        Kept::Done(kept) => Ok(json(StatusCode::CREATED, &KeptAddressBody::of(&kept))),
        Kept::Full => once.refused(&ADDRESSES_FULL, "an account keeps 20 addresses at most").await,
        Kept::Answered => again().await,
    }
}

problems!(PatchAddressProblems: AUTH, BODY, WRITES, &[&ADDRESS_UNKNOWN]);

/// Change an address that one keeps
#[utoipa::path(patch, path = "/v1/me/addresses/{address}", tag = "accounts", security(("bearer" = [])),
    params(("address" = AddressId, Path, description = "The address")), request_body = AddressPatch,
    responses((status = 200, description = "The address.", body = KeptAddressBody<'_>), PatchAddressProblems))]
pub async fn patch_address(
    State(shop): State<Shop>,
    State(services): State<Services>,
    State(settings): State<Arc<Settings>>,
    me: SignedIn,
    Id(address): Id<AddressId>,
    body: JsonBody<AddressPatch>,
) -> Result<Response> {
    shop.may_change()?;
    let change = services.accounts.change_address(me.account, address, |now| body.value.apply(now));
    Ok(ok(&KeptAddressBody::of(&within(&settings, change).await.map_err(of_address)??)))
}

fn unknown() -> Problem {
    Problem::new(&ADDRESS_UNKNOWN, "you keep no such address")
}

fn of_address(problem: Problem) -> Problem {
    if problem.kind() == &ACCOUNT_UNKNOWN { unknown() } else { problem }
}

problems!(DropAddressProblems: AUTH, WRITES, &[&ADDRESS_UNKNOWN]);

/// Let go of an address
#[utoipa::path(delete, path = "/v1/me/addresses/{address}", tag = "accounts", security(("bearer" = [])),
    params(("address" = AddressId, Path, description = "The address")),
    responses((status = 204, description = "It is gone."), DropAddressProblems))]
pub async fn drop_address(
    State(shop): State<Shop>,
    State(services): State<Services>,
    State(settings): State<Arc<Settings>>,
    me: SignedIn,
    Id(address): Id<AddressId>,
) -> Result<Response> {
    shop.may_change()?;
    within(&settings, services.accounts.drop_address(me.account, address)).await.map_err(of_address)?;
    Ok(crate::http::answer::empty(StatusCode::NO_CONTENT))
}

problems!(EmailProblems: AUTH, BODY, WRITES, &[
    &CREDENTIALS_INVALID, &TOO_MANY_ATTEMPTS, &AUTH_BUSY, &MAIL_UNAVAILABLE, &ACCOUNT_UNKNOWN,
]);

/// Give one's account another e-mail address
///
/// A mail to the new address brings the token that verifies it (`POST /v1/auth/verify`, with the account's password), for 24 hours, and a mail to the
/// old one tells of it. The answer is the same whether there is an account of the new address or not.
#[utoipa::path(post, path = "/v1/me/email", tag = "accounts", security(("bearer" = [])), request_body = EmailInput,
    responses((status = 202, description = "It was taken.", body = Taken), EmailProblems))]
pub async fn set_email(
    State(shop): State<Shop>,
    State(services): State<Services>,
    State(settings): State<Arc<Settings>>,
    me: SignedIn,
    visitor: Visitor,
    body: JsonBody<EmailInput>,
) -> Result<Response> {
    let EmailInput { email, password } = &body.value;
    let mut faults = Faults::default();
    let email = Email::new(email).map_err(|error| faults.add("email", error.to_string())).ok();
    faults.done(&INVALID_BODY)?;
    shop.may_change()?;
    if let Some(email) = email {
        within(&settings, services.accounts.change_email(me.account, email, password, &visitor)).await?;
    }
    Ok(json(StatusCode::ACCEPTED, &Taken {}))
}

problems!(ExportProblems: AUTH, &[&LOGIN_REQUIRED, &ACCOUNT_UNKNOWN, &error::UNAVAILABLE]);

/// All that is known of oneself
///
/// For whoever gave their password less than ten minutes ago.
#[utoipa::path(get, path = "/v1/me/export", tag = "accounts", security(("bearer" = [])),
    responses((status = 200, description = "All of it.", body = ExportBody<'_>), ExportProblems))]
pub async fn export(
    State(shop): State<Shop>,
    State(services): State<Services>,
    State(settings): State<Arc<Settings>>,
    me: SignedIn,
) -> Result<Response> {
    let accounts = &services.accounts;
    read(&settings, accounts.just_signed_in(me.session)).await?;
    let as_of = Moment(services.clock.now());
    let account = read(&settings, accounts.account(me.account)).await?;
    let addresses = read(&settings, accounts.addresses(me.account)).await?;
    let sessions = read(&settings, accounts.sessions(me.account)).await?;
    let (mut rows, mut after) = (Vec::new(), None);
    // Of somebody who does not buy there are none.
    let of = OrdersOf::Customer(CustomerId::from_uuid(me.account.uuid()));
    let mut more = account.seat == Seat::Customer;
    while more {
        let page = query(&settings, shop.queries().orders(of, &OrderFilter::ANY, after, limits::PAGE_MAX)).await?;
        after = page.last().map(|last| (last.placed_at, last.id));
        more = after.is_some();
        rows.extend(page);
    }
    let mut contacts = std::collections::HashMap::new();
    for some in rows.chunks(limits::PAGE_MAX as usize) {
        let ids: Vec<OrderId> = some.iter().map(|row| row.id).collect();
        contacts.extend(query(&settings, shop.contacts(&ids)).await?);
    }
    let mut comments = Vec::new();
    for some in rows.chunks(limits::PAGE_MAX as usize) {
        let ids: Vec<OrderId> = some.iter().map(|row| row.id).collect();
        for (order_id, notes) in query(&settings, shop.notes_of_several(&ids)).await? {
            let own = notes.into_iter().filter(|note| note.by.is_none());
            comments.extend(own.filter_map(|note| match note.on {
                NotedOn::Return(return_id) => Some(CommentBody { order_id, return_id, comment: note.words.0 }),
                NotedOn::Refund(_) | NotedOn::ReturnStep(_) => None,
            }));
        }
    }
    let buys = account.seat == Seat::Customer;
    let points = match buys {
        true => Some(own_points(&shop, &settings, CustomerId::from_uuid(me.account.uuid())).await?),
        false => None,
    };
    let order = |row| OrderBody::of_row(row, contacts.get(&row.id).unwrap_or(&Known::Nothing), None);
    Ok(ok(&ExportBody {
        as_of,
        account: account.into(),
        addresses: addresses.iter().map(KeptAddressBody::of).collect(),
        sessions: sessions.into_iter().map(|session| SessionShown::of(session, me.session)).collect(),
        orders: rows.iter().map(order).collect(),
        comments,
        points,
    }))
}

problems!(EraseProblems: AUTH, WRITES, &[&LOGIN_REQUIRED, &ACCOUNT_UNKNOWN]);

/// Be forgotten
///
/// The account, its sessions and its addresses end at once. What an order still needs to be sent goes when the order ends. For whoever gave their
/// password less than ten minutes ago.
#[utoipa::path(delete, path = "/v1/me", tag = "accounts", security(("bearer" = [])),
    responses((status = 202, description = "The account is gone.", body = Taken), EraseProblems))]
pub async fn erase_me(
    State(shop): State<Shop>,
    State(services): State<Services>,
    State(settings): State<Arc<Settings>>,
    me: SignedIn,
) -> Result<Response> {
    shop.may_change()?;
    read(&settings, services.accounts.just_signed_in(me.session)).await?;
    within(&settings, services.accounts.erase(me.account)).await?;
    tracing::info!(account = %me.account, "an account was erased at its owner's wish");
    Ok(json(StatusCode::ACCEPTED, &Taken {}))
}
