//! Accounts: signing up and in, going on with a session, and what somebody has of their own.
//!
//! Nothing here says whether an address has an account: of an unknown address and of a wrong password the answer is one and the same, in its text and
//! in the time it takes. Routes that give secrets take no notice of idempotency keys: an answer that is kept is a secret in a table.

use crate::actors::shop::Shop;
use crate::checkout::buyers::BuyerKeys;
use crate::domain::ids::{AccountId, CustomerId, SessionId, VendorId};
use crate::domain::text::TextKind;
use crate::domain::who::{Permission, Seat};
use crate::http::answer::{empty, ok};
use crate::http::auth::{Auth, Bearer};
use crate::http::caller::SignedIn;
use crate::http::cookie::Browser;
use crate::http::error::{
    self, ACCOUNT_BARRED, ACCOUNT_UNKNOWN, AUTH_BUSY, CREDENTIALS_INVALID, INTERNAL, INVALID_BODY, LAST_ADMINISTRATOR,
    LOGIN_REQUIRED, MAIL_UNAVAILABLE, ORIGIN_REFUSED, PASSWORD_TOO_WEAK, Problem, Result, SESSION_UNKNOWN,
    TOKEN_REUSED, TOO_MANY_ATTEMPTS,
};
use crate::http::extract::{Id, JsonBody, OptionalJson};
use crate::http::money::{Moment, Page};
use crate::http::object::only_objects;
use crate::http::openapi::{AUTH, BODY, Group, problems};
use crate::http::services::Services;
use crate::http::valid::{Faults, given};
use crate::http::{HttpState, Settings};
use crate::limits;
use crate::services::accounts::{Account, Email, Person, Refusal, Session, SignedIn as Opened, Visitor};
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header::CACHE_CONTROL;
use http::{HeaderValue, StatusCode};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;
use utoipa::ToSchema;

/// Of routes that a service writes for.
pub(super) const WRITES: Group = &[&error::OVERLOADED, &error::UNAVAILABLE, &error::OUTCOME_UNKNOWN];
/// Of routes that look at a password.
const PASSWORDS: Group = &[&CREDENTIALS_INVALID, &TOO_MANY_ATTEMPTS, &AUTH_BUSY];

/// Whoever signs up.
#[derive(Deserialize, ToSchema)]
#[serde(remote = "Self", deny_unknown_fields)]
#[schema(example = json!({"email": "rahim@example.com", "password": "seven boats on the Padma", "name": "Rahim Uddin"}))]
pub struct SignUpInput {
    /// An address of letters of ASCII, which need not be small.
    #[schema(max_length = 254)]
    email: String,
    /// 10 to 128 characters, and none that many people have.
    #[schema(min_length = 10, max_length = 128)]
    password: String,
    /// What they are called.
    #[schema(min_length = 1, max_length = 200, pattern = r"^[^\u0000-\u001f\u007f-\u009f]*$")]
    name: Option<String>,
    /// Where they are called.
    #[schema(min_length = 1, max_length = 200, pattern = r"^[^\u0000-\u001f\u007f-\u009f]*$")]
    phone: Option<String>,
}

/// A token of a mail, and a password.
#[derive(Deserialize, ToSchema)]
#[serde(remote = "Self", deny_unknown_fields)]
#[schema(example = json!({"token": "verify_0199….a1b2c3d4.8fD…", "password": "seven boats on the Padma"}))]
pub struct TokenInput {
    /// What the mail's link ends with.
    token: String,
    /// The password.
    password: String,
}

/// A token of a mail, and the password of its sign-up.
#[derive(Deserialize, ToSchema)]
#[serde(remote = "Self", deny_unknown_fields)]
#[schema(example = json!({"token": "verify_0199….a1b2c3d4.8fD…", "password": "seven boats on the Padma"}))]
pub struct VerifyInput {
    /// What the mail's link ends with.
    token: String,
    /// The password.
    password: String,
    /// Whether the refresh token is to come as the cookie `haat_refresh`, which no script can read, and not in the body.
    #[serde(default)]
    #[schema(default = false)]
    cookie: bool,
}

/// Who signs in.
#[derive(Deserialize, ToSchema)]
#[serde(remote = "Self", deny_unknown_fields)]
#[schema(example = json!({"email": "rahim@example.com", "password": "seven boats on the Padma"}))]
pub struct LogInInput {
    /// The address.
    email: String,
    /// The password.
    password: String,
    /// Whether the refresh token is to come as the cookie `haat_refresh`, which no script can read, and not in the body.
    #[serde(default)]
    #[schema(default = false)]
    cookie: bool,
}

/// What goes on with a session, or ends it.
#[derive(Deserialize, ToSchema)]
#[serde(remote = "Self", deny_unknown_fields)]
#[schema(example = json!({"refresh_token": "rt_0199….3.a1b2c3d4.8fD…"}))]
pub struct RefreshInput {
    /// The last one that was given.
    refresh_token: String,
}

/// Whose password is forgotten.
#[derive(Deserialize, ToSchema)]
#[serde(remote = "Self", deny_unknown_fields)]
#[schema(example = json!({"email": "rahim@example.com"}))]
pub struct ForgotInput {
    /// The address.
    email: String,
}

/// Another password.
#[derive(Deserialize, ToSchema)]
#[serde(remote = "Self", deny_unknown_fields)]
#[schema(example = json!({"current": "seven boats on the Padma", "password": "eight boats on the Meghna"}))]
pub struct PasswordInput {
    /// The one there is.
    current: String,
    /// The one there is to be.
    #[schema(min_length = 10, max_length = 128)]
    password: String,
}

/// What is to be another; what is absent stays as it is.
#[derive(Deserialize, ToSchema)]
#[serde(remote = "Self", deny_unknown_fields)]
#[schema(example = json!({"name": "Rahim Uddin", "phone": null}))]
pub struct MePatch {
    /// What they are called; null for nothing said.
    #[schema(min_length = 1, max_length = 200, pattern = r"^[^\u0000-\u001f\u007f-\u009f]*$")]
    #[serde(default, deserialize_with = "given")]
    name: Option<Option<String>>,
    /// Where they are called; null for nothing said.
    #[schema(min_length = 1, max_length = 200, pattern = r"^[^\u0000-\u001f\u007f-\u009f]*$")]
    #[serde(default, deserialize_with = "given")]
    phone: Option<Option<String>>,
}

only_objects!(SignUpInput, TokenInput, VerifyInput, LogInInput, RefreshInput, ForgotInput, PasswordInput, MePatch);

/// A body that holds a secret, or tells who a person is, is shown in no log.
macro_rules! not_shown {
    ($($name:ident),+) => {
        $(impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(stringify!($name))
            }
        })+
    };
}
pub(super) use not_shown;
not_shown!(SignUpInput, TokenInput, VerifyInput, LogInInput, RefreshInput, ForgotInput, PasswordInput, MePatch);

/// An account, for its owner.
#[derive(Serialize, ToSchema)]
pub struct AccountBody {
    id: AccountId,
    #[schema(example = "rahim@example.com")]
    email: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "Rahim Uddin")]
    name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "+8801712345678")]
    phone: Option<String>,
    /// `customer`, `vendor`, `staff` or `admin`.
    #[schema(example = "customer")]
    role: &'static str,
    /// As what it buys. Left out of accounts that do not buy.
    #[serde(skip_serializing_if = "Option::is_none")]
    customer_id: Option<CustomerId>,
    /// The vendors whose people it is one of: one at most.
    vendor_ids: Vec<VendorId>,
    /// What it is there: `owner`, `manager`, `packer` or `finance`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = json!(null))]
    vendor_role: Option<&'static str>,
    /// What it may do for the shop. An administrator may do all.
    #[schema(example = json!([]))]
    permissions: Vec<&'static str>,
    created_at: Moment,
}

impl From<Account> for AccountBody {
    fn from(account: Account) -> Self {
        let Account { id, email, person: Person { name, phone }, seat, created_at, .. } = account;
        let (vendor_role, permissions) = match seat {
            Seat::Member(_, role) => (Some(role.name()), Vec::new()),
            Seat::Staff(permissions) => (None, permissions.each().map(Permission::name).collect()),
            Seat::Customer | Seat::Admin => (None, Vec::new()),
        };
        Self {
            id,
            email: email.as_str().to_owned(),
            name,
            phone,
            role: seat.role(),
            customer_id: (seat == Seat::Customer).then(|| CustomerId::from_uuid(id.uuid())),
            vendor_ids: seat.vendor().into_iter().collect(),
            vendor_role,
            permissions,
            created_at: Moment(created_at),
        }
    }
}

/// A session: what is asked with, and what goes on with it.
#[derive(Serialize, ToSchema)]
pub struct SessionBody {
    /// Goes into the header `Authorization`.
    access_token: String,
    #[schema(example = "Bearer")]
    token_type: &'static str,
    /// For so many seconds.
    #[schema(example = 900)]
    expires_in: u64,
    /// Gives the next access token. Each time another one comes; this one is taken for a minute more. Left out where it comes as a cookie.
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<String>,
    account: AccountBody,
}

/// Where somebody is signed in.
#[derive(Serialize, ToSchema)]
pub struct SessionShown {
    id: SessionId,
    created_at: Moment,
    last_used_at: Moment,
    /// From where it was begun.
    #[schema(example = "203.0.113.7")]
    address: String,
    /// With what it was begun.
    user_agent: String,
    /// Whether it is this one.
    current: bool,
}

impl SessionShown {
    /// As its owner sees it, who asks in the session `current`.
    pub(super) fn of(session: Session, current: SessionId) -> Self {
        Self {
            id: session.id,
            created_at: Moment(session.made_at),
            last_used_at: Moment(session.rotated_at),
            address: session.address,
            user_agent: session.user_agent,
            current: session.id == current,
        }
    }
}

/// Nothing but that it was taken.
#[derive(Serialize, ToSchema)]
pub struct Taken {}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Invalid => Problem::new(&CREDENTIALS_INVALID, "address, password or token are not right"),
            Refusal::Reused => {
                Problem::new(&TOKEN_REUSED, "this refresh token came again after its time: sign in anew")
            }
            Refusal::TooMany(left_ms) => {
                let seconds = u64::try_from(left_ms).unwrap_or(0).div_ceil(1000).max(1);
                Problem::new(&TOO_MANY_ATTEMPTS, "too many wrong passwords came from this network; a reset is open")
                    .retry_after(seconds)
            }
            Refusal::Busy(_) => Problem::new(&AUTH_BUSY, "too many passwords wait to be checked").retry_after(1),
            Refusal::Weak(why) => Problem::new(&PASSWORD_TOO_WEAK, why).about("password"),
            Refusal::NoMails => {
                Problem::new(&MAIL_UNAVAILABLE, "no address can be verified: the shop sends no mails").retry_after(60)
            }
            Refusal::Unknown => Problem::new(&ACCOUNT_UNKNOWN, "there is no such account"),
            Refusal::LoginRequired => {
                Problem::new(&LOGIN_REQUIRED, "this is for whoever gave their password less than ten minutes ago")
            }
            Refusal::NoSeat => Problem::new(&INVALID_BODY, "role, vendor and permissions do not fit together: a vendor's people have a vendor and a role there, staff have permissions, and nobody else has any")
                .about("role"),
            Refusal::Barred => Problem::new(&ACCOUNT_BARRED, "only an administrator enables it again"),
            Refusal::LastAdmin => {
                Problem::new(&LAST_ADMINISTRATOR, "it is the last administrator: make another one first")
            }
            Refusal::Store(error) => error.into(),
            Refusal::Unit(error) => error.into(),
        }
    }
}

/// Waits for an account's write, as long as a request may take.
pub(super) async fn within<T>(
    settings: &Settings,
    work: impl Future<Output = std::result::Result<T, Refusal>>,
) -> Result<T> {
    match tokio::time::timeout(settings.request_timeout, work).await {
        Ok(outcome) => Ok(outcome?),
        Err(_) => Err(Problem::new(&error::OUTCOME_UNKNOWN, "it took longer than a request may")),
    }
}

/// Waits for what an account says, as long as a request may take.
pub(super) async fn read<T>(
    settings: &Settings,
    work: impl Future<Output = std::result::Result<T, Refusal>>,
) -> Result<T> {
    match tokio::time::timeout(settings.request_timeout, work).await {
        Ok(outcome) => Ok(outcome?),
        Err(_) => Err(Problem::new(&error::UNAVAILABLE, "accounts cannot be read now").retry_after(1)),
    }
}

/// A session, with an access token. A browser that is given is to keep the refresh token.
fn session(
    auth: &Auth,
    shop: &Shop,
    buyers: &BuyerKeys,
    signed_in: Opened,
    keeper: Option<&Browser>,
) -> Result<Response> {
    let Opened { account, session, refresh_token } = signed_in;
    let bearer = match account.seat {
        // Made anew with each token: after a change of the address the next one has the new key.
        Seat::Customer => Bearer::Buyer(account.id, session, buyers.of_account(account.email.as_str())),
        seat => Bearer::SignedIn(account.id, seat, session),
    };
    let lasts = Duration::from_secs(limits::ACCESS_TOKEN_SECONDS);
    let minted = auth.mint(&bearer, shop.clock().wall(), lasts).map_err(|error| {
        tracing::error!(%error, "no token can be signed");
        Problem::new(&INTERNAL, "no token can be signed")
    });
    let body = SessionBody {
        access_token: minted?,
        token_type: "Bearer",
        expires_in: limits::ACCESS_TOKEN_SECONDS,
        refresh_token: keeper.is_none().then(|| refresh_token.clone()),
        account: account.into(),
    };
    let mut response = ok(&body);
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Some(browser) = keeper {
        browser.keep(&mut response, &refresh_token);
    }
    Ok(response)
}

/// The refresh token of a request: that of its body, or of a browser's cookie where the body is empty, and whether it is the cookie's.
fn brought(browser: &Browser, body: OptionalJson<Option<RefreshInput>>) -> Result<Option<(String, bool)>> {
    match (body.raw.is_empty(), body.value) {
        (true, _) => Ok(browser.refresh_token()?.map(|token| (token.to_owned(), true))),
        (false, Some(RefreshInput { refresh_token })) => Ok(Some((refresh_token, false))),
        // It is `null`.
        (false, None) => Err(Problem::new(&INVALID_BODY, "the body is to be an object, or empty")),
    }
}

problems!(SignUpProblems: BODY, WRITES, &[&PASSWORD_TOO_WEAK, &AUTH_BUSY, &MAIL_UNAVAILABLE]);

/// Begin an account
///
/// A mail brings the token that verifies the address, for 24 hours. The answer is the same whether there is an account of it or not; of the mails that
/// others ask for, an address gets three an hour.
#[utoipa::path(post, path = "/v1/auth/sign-up", tag = "accounts", request_body = SignUpInput,
    responses((status = 202, description = "It was taken.", body = Taken), SignUpProblems))]
pub async fn sign_up(
    State(shop): State<Shop>,
    State(services): State<Services>,
    State(settings): State<Arc<Settings>>,
    body: JsonBody<SignUpInput>,
) -> Result<Response> {
    let SignUpInput { email, password, mut name, mut phone } = body.value;
    let mut faults = Faults::default();
    let email = Email::new(&email);
    if let Err(error) = &email {
        faults.add("email", error.to_string());
    }
    if let Some(name) = &mut name {
        faults.text("name", name, TextKind::Line, limits::SHORT_TEXT);
    }
    if let Some(phone) = &mut phone {
        faults.text("phone", phone, TextKind::Line, limits::SHORT_TEXT);
    }
    faults.done(&INVALID_BODY)?;
    let email = email.map_err(|error| Problem::new(&INVALID_BODY, error.to_string()))?;
    shop.may_change()?;
    within(&settings, services.accounts.sign_up(email, &password, Person { name, phone })).await?;
    Ok(crate::http::answer::json(StatusCode::ACCEPTED, &Taken {}))
}

problems!(VerifyProblems: BODY, WRITES, PASSWORDS);

/// Make the account of a sign-up, and sign in
#[utoipa::path(post, path = "/v1/auth/verify", tag = "accounts", request_body = VerifyInput,
    responses((status = 200, description = "A session.", body = SessionBody, headers(("Set-Cookie" = String, description = "The refresh token, where `cookie` says so."))),
        VerifyProblems))]
pub async fn verify(
    State(HttpState { shop, auth, buyers, services, settings, .. }): State<HttpState>,
    visitor: Visitor,
    browser: Browser,
    body: JsonBody<VerifyInput>,
) -> Result<Response> {
    shop.may_change()?;
    let VerifyInput { token, password, cookie } = &body.value;
    let opened = within(&settings, services.accounts.verify(token, password, &visitor)).await?;
    session(&auth, &shop, &buyers, opened, cookie.then_some(&browser))
}

problems!(LogInProblems: BODY, WRITES, PASSWORDS);

/// Sign in
///
/// After ten wrong passwords of one address from one network within a quarter of an hour that network waits. Nobody is locked out by others.
#[utoipa::path(post, path = "/v1/auth/login", tag = "accounts", request_body = LogInInput,
    responses((status = 200, description = "A session.", body = SessionBody, headers(("Set-Cookie" = String, description = "The refresh token, where `cookie` says so."))),
        LogInProblems))]
pub async fn log_in(
    State(HttpState { shop, auth, buyers, services, settings, .. }): State<HttpState>,
    visitor: Visitor,
    browser: Browser,
    body: JsonBody<LogInInput>,
) -> Result<Response> {
    shop.may_change()?;
    let LogInInput { email, password, cookie } = &body.value;
    let opened = within(&settings, services.accounts.log_in(email, password, &visitor)).await?;
    session(&auth, &shop, &buyers, opened, cookie.then_some(&browser))
}

problems!(RefreshProblems: BODY, WRITES, &[&CREDENTIALS_INVALID, &TOKEN_REUSED, &ORIGIN_REFUSED]);

/// Go on with a session
///
/// The one refresh token before the last is taken for a minute, and gives the same successor: many tabs may ask at once. One that comes later than that ends
/// the session, since one of two who have it is a thief.
///
/// Where the body is empty it is the token of the cookie `haat_refresh`, and the next one comes as a cookie too: for pages of the shop's own alone, by the
/// header `Origin`. Without the cookie there is nothing to go on with, which is no error.
#[utoipa::path(post, path = "/v1/auth/refresh", tag = "accounts", request_body = RefreshInput,
    responses((status = 200, description = "A session.", body = SessionBody, headers(("Set-Cookie" = String, description = "The next refresh token, where this one came as a cookie."))),
        (status = 204, description = "There is neither a body nor a cookie."), RefreshProblems))]
pub async fn refresh(
    State(HttpState { shop, auth, buyers, services, settings, .. }): State<HttpState>,
    browser: Browser,
    body: OptionalJson<Option<RefreshInput>>,
) -> Result<Response> {
    let Some((token, is_cookie)) = brought(&browser, body)? else { return Ok(empty(StatusCode::NO_CONTENT)) };
    shop.may_change()?;
    match within(&settings, services.accounts.refresh(&token)).await {
        Ok(opened) => session(&auth, &shop, &buyers, opened, is_cookie.then_some(&browser)),
        // It will never be good again, and a page that is loaded anew is not to ask in vain each time.
        Err(problem) if is_cookie && problem.kind().status == StatusCode::UNAUTHORIZED => {
            let mut response = problem.into_response();
            browser.forget(&mut response);
            Ok(response)
        }
        Err(problem) => Err(problem),
    }
}

problems!(LogOutProblems: BODY, WRITES, &[&ORIGIN_REFUSED]);

/// Sign out
///
/// Where the body is empty it is the session of the cookie `haat_refresh`, for pages of the shop's own alone, and the browser is told to forget it.
#[utoipa::path(post, path = "/v1/auth/logout", tag = "accounts", request_body = RefreshInput,
    responses((status = 204, description = "The session of this token is over, if there was one."), LogOutProblems))]
pub async fn log_out(
    State(shop): State<Shop>,
    State(services): State<Services>,
    State(settings): State<Arc<Settings>>,
    browser: Browser,
    body: OptionalJson<Option<RefreshInput>>,
) -> Result<Response> {
    let Some((token, is_cookie)) = brought(&browser, body)? else { return Ok(empty(StatusCode::NO_CONTENT)) };
    let over = match shop.may_change() {
        Ok(()) => within(&settings, services.accounts.log_out(&token)).await,
        Err(failure) => Err(failure.into()),
    };
    let mut response = over.map_or_else(IntoResponse::into_response, |()| empty(StatusCode::NO_CONTENT));
    if is_cookie {
        // Also where the session cannot be ended now: whoever comes after at this machine is not signed in.
        browser.forget(&mut response);
    }
    Ok(response)
}

problems!(ForgotProblems: BODY, WRITES, &[&MAIL_UNAVAILABLE]);

/// Have another password set
///
/// A mail brings the token, for an hour, if there is an account of the address.
#[utoipa::path(post, path = "/v1/auth/password/forgot", tag = "accounts", request_body = ForgotInput,
    responses((status = 202, description = "It was taken.", body = Taken), ForgotProblems))]
pub async fn forgot(
    State(shop): State<Shop>,
    State(services): State<Services>,
    State(settings): State<Arc<Settings>>,
    body: JsonBody<ForgotInput>,
) -> Result<Response> {
    shop.may_change()?;
    within(&settings, services.accounts.forgot(&body.value.email)).await?;
    Ok(crate::http::answer::json(StatusCode::ACCEPTED, &Taken {}))
}

problems!(ResetProblems: BODY, WRITES, &[&CREDENTIALS_INVALID, &PASSWORD_TOO_WEAK, &AUTH_BUSY]);

/// Set another password with a mail's token; all sessions end
#[utoipa::path(post, path = "/v1/auth/password/reset", tag = "accounts", request_body = TokenInput,
    responses((status = 204, description = "It is set."), ResetProblems))]
pub async fn reset(
    State(shop): State<Shop>,
    State(services): State<Services>,
    State(settings): State<Arc<Settings>>,
    body: JsonBody<TokenInput>,
) -> Result<Response> {
    shop.may_change()?;
    within(&settings, services.accounts.reset(&body.value.token, &body.value.password)).await?;
    Ok(empty(StatusCode::NO_CONTENT))
}

problems!(GetMeProblems: AUTH, &[&ACCOUNT_UNKNOWN, &error::UNAVAILABLE]);

/// One's own account
#[utoipa::path(get, path = "/v1/me", tag = "accounts", security(("bearer" = [])),
    responses((status = 200, description = "The account.", body = AccountBody), GetMeProblems))]
pub async fn get_me(
    State(services): State<Services>,
    State(settings): State<Arc<Settings>>,
    me: SignedIn,
) -> Result<Response> {
    Ok(ok(&AccountBody::from(read(&settings, services.accounts.account(me.account)).await?)))
}

problems!(PatchMeProblems: AUTH, BODY, WRITES, &[&ACCOUNT_UNKNOWN]);

/// Change who one is
#[utoipa::path(patch, path = "/v1/me", tag = "accounts", security(("bearer" = [])), request_body = MePatch,
    responses((status = 200, description = "The account.", body = AccountBody), PatchMeProblems))]
pub async fn patch_me(
    State(shop): State<Shop>,
    State(services): State<Services>,
    State(settings): State<Arc<Settings>>,
    me: SignedIn,
    body: JsonBody<MePatch>,
) -> Result<Response> {
    let MePatch { mut name, mut phone } = body.value;
    let mut faults = Faults::default();
    if let Some(Some(name)) = &mut name {
        faults.text("name", name, TextKind::Line, limits::SHORT_TEXT);
    }
    if let Some(Some(phone)) = &mut phone {
        faults.text("phone", phone, TextKind::Line, limits::SHORT_TEXT);
    }
    faults.done(&INVALID_BODY)?;
    shop.may_change()?;
    let account = within(&settings, services.accounts.describe(me.account, name, phone)).await?;
    Ok(ok(&AccountBody::from(account)))
}

problems!(PasswordProblems: AUTH, BODY, WRITES, PASSWORDS, &[&PASSWORD_TOO_WEAK, &ACCOUNT_UNKNOWN]);

/// Set another password; all other sessions end
#[utoipa::path(post, path = "/v1/me/password", tag = "accounts", security(("bearer" = [])), request_body = PasswordInput,
    responses((status = 204, description = "It is set."), PasswordProblems))]
pub async fn set_password(
    State(shop): State<Shop>,
    State(services): State<Services>,
    State(settings): State<Arc<Settings>>,
    me: SignedIn,
    visitor: Visitor,
    body: JsonBody<PasswordInput>,
) -> Result<Response> {
    shop.may_change()?;
    let PasswordInput { current, password } = &body.value;
    let set = services.accounts.set_password(me.account, me.session, current, password, &visitor);
    within(&settings, set).await?;
    Ok(empty(StatusCode::NO_CONTENT))
}

problems!(ListSessionsProblems: AUTH, &[&error::UNAVAILABLE]);

/// Where one is signed in, the newest first
#[utoipa::path(get, path = "/v1/me/sessions", tag = "accounts", security(("bearer" = [])),
    responses((status = 200, description = "All of them.", body = Page<SessionShown>), ListSessionsProblems))]
pub async fn list_sessions(
    State(services): State<Services>,
    State(settings): State<Arc<Settings>>,
    me: SignedIn,
) -> Result<Response> {
    let as_of = Moment(services.clock.now());
    let sessions = read(&settings, services.accounts.sessions(me.account)).await?;
    let shown = |session| SessionShown::of(session, me.session);
    Ok(ok(&Page { items: sessions.into_iter().map(shown).collect(), next_cursor: None, as_of }))
}

problems!(EndSessionProblems: AUTH, WRITES, &[&SESSION_UNKNOWN]);

/// End one of one's sessions
#[utoipa::path(delete, path = "/v1/me/sessions/{session}", tag = "accounts", security(("bearer" = [])),
    params(("session" = SessionId, Path, description = "The session")),
    responses((status = 204, description = "It is over."), EndSessionProblems))]
pub async fn end_session(
    State(shop): State<Shop>,
    State(services): State<Services>,
    State(settings): State<Arc<Settings>>,
    me: SignedIn,
    Id(session): Id<SessionId>,
) -> Result<Response> {
    shop.may_change()?;
    match within(&settings, services.accounts.end_session(me.account, session)).await {
        Err(problem) if problem.kind() == &ACCOUNT_UNKNOWN => {
            Err(Problem::new(&SESSION_UNKNOWN, "there is no such session of yours"))
        }
        outcome => outcome.map(|()| empty(StatusCode::NO_CONTENT)),
    }
}
