//! POSTs to services under idempotency keys: the first answer is kept in the unit that writes what it tells of, and given again. Entities keep
//! theirs themselves.

use crate::domain::record::IdempotencyKey;
use crate::domain::reject::Reject;
use crate::http::answer::{mark_replayed, written_json};
use crate::http::error::{self, Problem, ProblemKind, Result};
use crate::http::services::{Services, written};
use crate::http::{Settings, query};
use crate::services::kept::KeptAnswer;
use axum::response::Response;
use http::StatusCode;
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// A request that is done once, if it has a key.
pub struct Once<'a> {
    services: &'a Services,
    settings: &'a Settings,
    key: Option<IdempotencyKey>,
}

/// What is kept of a refusal: the rest of the problem follows from its code, and from who asks.
#[derive(Serialize, Deserialize)]
struct KeptRefusal<'a> {
    code: Cow<'a, str>,
    detail: Cow<'a, str>,
}

impl<'a> Once<'a> {
    /// A request with this key, or without one.
    pub fn new(services: &'a Services, settings: &'a Settings, key: Option<IdempotencyKey>) -> Self {
        Self { services, settings, key }
    }

    /// The answer that was given under the key, as it is given again.
    ///
    /// # Errors
    /// The problem that was the answer; `idempotency_key_reused` when it was given to another body; `unavailable`.
    pub async fn answered(&self) -> Result<Option<Response>> {
        let Some(key) = self.key else { return Ok(None) };
        let now = self.services.clock.now();
        let Some(kept) = query(self.settings, self.services.kept.kept(key.key, now)).await? else { return Ok(None) };
        if kept.key.body != key.body {
            return Err(Reject::IdempotencyKeyReused.into());
        }
        again(&kept).map(Some)
    }

    /// What is to be kept of this answer.
    pub fn keep(&self, status: StatusCode, body: &impl Serialize) -> Option<KeptAnswer> {
        let key = self.key?;
        // String keys and no failing Serialize: this cannot fail.
        let body = serde_json::to_string(body).ok()?;
        Some(KeptAnswer { key, status: status.as_u16(), body, at: self.services.clock.now() })
    }

    /// Answers with a refusal, which is kept where it is a conflict: nothing was written that it could be kept with.
    ///
    /// # Errors
    /// The refusal; `unavailable`, `overloaded`, `outcome_unknown` when it cannot be kept.
    pub async fn refused(&self, kind: &'static ProblemKind, detail: &'static str) -> Result<Response> {
        let refusal = KeptRefusal { code: kind.code.into(), detail: detail.into() };
        if kind.status == StatusCode::CONFLICT
            && let Some(answer) = self.keep(kind.status, &refusal)
            && !written(self.settings, self.services.kept.keep(&answer)).await?
        {
            // The same request came twice at once, and the other was answered first.
            if let Some(first) = self.answered().await? {
                return Ok(first);
            }
        }
        Err(Problem::new(kind, detail))
    }
}

/// A kept answer, given again.
fn again(kept: &KeptAnswer) -> Result<Response> {
    let unreadable = || {
        tracing::error!(status = kept.status, "a kept answer cannot be read");
        Problem::new(&error::INTERNAL, "the answer that was given cannot be read; nothing was done again")
    };
    let status = StatusCode::from_u16(kept.status).map_err(|_| unreadable())?;
    if status.is_success() {
        serde_json::from_str::<IgnoredAny>(&kept.body).map_err(|_| unreadable())?;
        return Ok(mark_replayed(written_json(status, kept.body.clone()), true));
    }
    let refusal: KeptRefusal<'_> = serde_json::from_str(&kept.body).map_err(|_| unreadable())?;
    let kind = error::ALL.iter().find(|kind| kind.code == refusal.code).ok_or_else(unreadable)?;
    Err(Problem::new(kind, refusal.detail.into_owned()).replayed(true))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::time::Timestamp;

    fn kept(status: u16, body: &str) -> KeptAnswer {
        KeptAnswer { key: IdempotencyKey { key: 1, body: 2 }, status, body: body.to_owned(), at: Timestamp::default() }
    }

    /// What a release before this one has kept is given again as it was.
    #[tokio::test]
    async fn what_was_kept_is_given_again() {
        let response = again(&kept(201, r#"{"id":"category_01h2xcejqtf2nbrexx3vqjhp41","name":"Sarees"}"#)).unwrap();
        assert_eq!(
            (response.status().as_u16(), response.headers()["idempotent-replayed"].as_bytes()),
            (201, &b"true"[..])
        );
        let body = axum::body::to_bytes(response.into_body(), 1_000).await.unwrap();
        assert_eq!(body, r#"{"id":"category_01h2xcejqtf2nbrexx3vqjhp41","name":"Sarees"}"#);
        let problem = again(&kept(409, r#"{"code":"category_name_taken","detail":"no"}"#)).unwrap_err();
        assert_eq!(problem.kind(), &error::CATEGORY_NAME_TAKEN);
    }

    #[test]
    fn what_cannot_be_read_is_a_fault_of_ours() {
        for (status, body) in [(201, "{"), (409, "{}"), (409, r#"{"code":"never_heard","detail":""}"#), (7, "{}")] {
            assert_eq!(again(&kept(status, body)).unwrap_err().kind(), &error::INTERNAL, "{status} {body}");
        }
    }
}
