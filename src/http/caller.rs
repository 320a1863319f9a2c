//! Whoever is asking, as handlers see them: the extractors that read the bearer token of a request, and refuse a session that is over.

use crate::domain::buyer::BuyerKey;
use crate::domain::entity::Principal;
use crate::domain::ids::{AccountId, SessionId};
use crate::domain::who::Action;
use crate::http::HttpState;
use crate::http::auth::{self, Role};
use crate::http::error::{FORBIDDEN, Problem, Result, UNAUTHORIZED};
use axum::extract::{FromRequestParts, OptionalFromRequestParts};
use http::HeaderMap;
use http::request::Parts;

/// Whoever is asking.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// In which role.
    pub role: Role,
    /// As entities know them.
    pub principal: Principal,
    /// The token's subject: with the role, whose idempotency keys these are.
    pub subject: String,
    /// In which session, where the token is one of a session.
    pub session: Option<SessionId>,
    /// The key of the account's verified e-mail address, where the token says it.
    pub account_mail: Option<BuyerKey>,
}

/// Whoever is asking, as the door has found out before anything of the request was read.
#[derive(Clone, Debug)]
pub(super) struct Known(pub Caller);

impl Caller {
    /// Whoever asks with these headers, unless their session is over.
    pub(super) fn of(headers: &HeaderMap, state: &HttpState) -> Result<Option<Self>> {
        let caller = state.auth.caller(headers, state.shop.clock().wall())?;
        let session = caller.as_ref().and_then(|caller| caller.session);
        if session.is_some_and(|session| state.services.accounts.is_revoked(session)) {
            return Err(Problem::new(&UNAUTHORIZED, "the session is over"));
        }
        Ok(caller)
    }

    /// Whether what is with these headers was a token of this shop's until its time was over.
    pub(super) fn has_expired(headers: &HeaderMap, state: &HttpState) -> bool {
        let wall = state.shop.clock().wall();
        auth::bearer(headers).is_ok_and(|token| token.is_some_and(|token| state.auth.has_expired(token, wall)))
    }

    /// Whether they may do this at all.
    ///
    /// # Errors
    /// That their role may not.
    pub(super) fn may(&self, action: Action) -> Result<()> {
        match action.is_for(self.principal) {
            true => Ok(()),
            false => Err(Problem::new(&FORBIDDEN, format!("the role {} may not do this", self.role.name()))),
        }
    }
}

impl FromRequestParts<HttpState> for Caller {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, state: &HttpState) -> Result<Self> {
        <Self as OptionalFromRequestParts<HttpState>>::from_request_parts(parts, state)
            .await?
            .ok_or_else(|| Problem::new(&UNAUTHORIZED, "a bearer token is needed"))
    }
}

impl OptionalFromRequestParts<HttpState> for Caller {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, state: &HttpState) -> Result<Option<Self>> {
        match parts.extensions.get::<Known>() {
            Some(Known(caller)) => Ok(Some(caller.clone())),
            None => Caller::of(&parts.headers, state),
        }
    }
}

/// Somebody who is signed in.
#[derive(Clone, Copy, Debug)]
pub struct SignedIn {
    /// With which account.
    pub account: AccountId,
    /// In which session.
    pub session: SessionId,
}

impl FromRequestParts<HttpState> for SignedIn {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, state: &HttpState) -> Result<Self> {
        let caller = <Caller as FromRequestParts<HttpState>>::from_request_parts(parts, state).await?;
        match (caller.principal.account(), caller.session) {
            (Some(account), Some(session)) => Ok(Self { account, session }),
            _ => Err(Problem::new(&FORBIDDEN, "only somebody who is signed in may do this")),
        }
    }
}
