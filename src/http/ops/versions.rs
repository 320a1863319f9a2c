//! What an entity has gone through: its records, the state at each version, and the difference from one to the next.

use super::Ops;
use crate::actors::shop::Shop;
use crate::domain::ids::EntityRef;
use crate::http::admin::{named, unknown};
use crate::http::answer::ok;
use crate::http::error::{self, INVALID_QUERY, NOT_FOUND, OVERLOADED, Problem, Result, UNAVAILABLE};
use crate::http::extract::Query;
use crate::http::money::Moment;
use crate::http::openapi::{ACTOR, AUTH, problems};
use crate::http::valid::{Faults, filled};
use crate::limits;
use crate::ports::lives::{Life, LifeVersion, NoLife, Span};
use crate::telemetry::{without_personal_details, without_secrets};
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::response::Response;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::mem::replace;
use utoipa::{IntoParams, ToSchema};

/// Which versions to show.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct VersionsQuery {
    /// The first; the last fifty are shown, where it is not said.
    #[param(minimum = 1, example = 1)]
    #[serde(default, deserialize_with = "filled")]
    from: Option<u64>,
    /// The last; at most two hundred are shown.
    #[param(minimum = 1, example = 50)]
    #[serde(default, deserialize_with = "filled")]
    to: Option<u64>,
}

/// The last version that a store can hold.
const LAST_VERSION: u64 = i64::MAX as u64;

impl VersionsQuery {
    fn span(&self, newest: u64) -> Result<Span> {
        let mut faults = Faults::default();
        for (name, version) in [("from", self.from), ("to", self.to)] {
            if version.is_some_and(|version| !(1..=LAST_VERSION).contains(&version)) {
                faults.add(name, format!("a version from 1 to {LAST_VERSION} is expected"));
            }
        }
        let most = limits::VERSIONS_SHOWN as u64;
        match (self.from, self.to) {
            (Some(from), Some(to)) if from > to => faults.add("to", "it comes before the first".to_owned()),
            (Some(from), Some(to)) if to - from >= most => faults.add("to", format!("at most {most} are shown")),
            _ => {}
        }
        faults.done(&INVALID_QUERY)?;
        let upto = self.to.unwrap_or(newest).min(newest);
        let most = if self.from.is_some() { limits::VERSIONS_SHOWN } else { limits::VERSIONS_SHOWN_USUALLY };
        Ok(Span { from: self.from, upto, most })
    }
}

/// A part of an entity's life.
#[derive(Debug, Serialize, ToSchema)]
pub struct VersionsBody {
    #[schema(value_type = String, example = "order_01h2xcejqtf2nbrexx3vqjhp41")]
    id: EntityRef,
    #[schema(example = "order")]
    kind: &'static str,
    /// Its newest version, which is shown once it is durable; absent while it is quarantined.
    #[serde(skip_serializing_if = "Option::is_none")]
    newest: Option<u64>,
    /// The version whose record cannot be read, or makes no state, where that is so.
    #[serde(skip_serializing_if = "Option::is_none")]
    unreadable: Option<u64>,
    /// The oldest first.
    items: Vec<VersionBody>,
}

/// One version of an entity.
#[derive(Debug, Serialize, ToSchema)]
pub struct VersionBody {
    version: u64,
    /// When its record was made.
    at: Moment,
    /// What happened, without secrets and without personal details.
    #[schema(value_type = Vec<Object>)]
    events: Vec<Value>,
    /// Answers that were kept under idempotency keys.
    answers_kept: usize,
    /// Who did it, where the record says so: of which kind, and which one; or the name in a token.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Value>, example = json!({"staff": {"powers": "admin"}}))]
    by: Option<Value>,
    /// The state that it makes, in a few figures.
    #[schema(value_type = Object)]
    state: Value,
    /// What of the state is otherwise than in the version before.
    changes: Vec<ChangeBody>,
}

/// What changed.
#[derive(Debug, PartialEq, Serialize, ToSchema)]
pub struct ChangeBody {
    /// Where, as a JSON pointer (RFC 6901).
    #[schema(example = "/status")]
    path: String,
    /// What it was; absent where there was nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Value>)]
    from: Option<Value>,
    /// What it is; absent where there is nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Value>)]
    to: Option<Value>,
}

/// The differences between two values, those of a part before those of the next.
fn changes(path: &str, before: Option<&Value>, after: Option<&Value>, found: &mut Vec<ChangeBody>) {
    match (before, after) {
        (before, after) if before == after => {}
        (Some(Value::Object(before)), Some(Value::Object(after))) => {
            let names = before.keys().chain(after.keys().filter(|name| !before.contains_key(*name)));
            for name in names {
                let path = format!("{path}/{}", name.replace('~', "~0").replace('/', "~1"));
                changes(&path, before.get(name), after.get(name), found);
            }
        }
        (Some(Value::Array(before)), Some(Value::Array(after))) => {
            for place in 0..before.len().max(after.len()) {
                changes(&format!("{path}/{place}"), before.get(place), after.get(place), found);
            }
        }
        (before, after) => {
            found.push(ChangeBody { path: path.to_owned(), from: before.cloned(), to: after.cloned() });
        }
    }
}

/// Who did it, as the first event says that does.
fn who(events: &[Value]) -> Option<Value> {
    events.iter().find_map(|event| event.get("by").or_else(|| event.pointer("/resolution/by"))).cloned()
}

fn bodies(life: Life) -> Vec<VersionBody> {
    // An entity that has no records yet has no state.
    let nothing = || Value::Object(serde_json::Map::new());
    let shown = |state: Value| if state.is_null() { nothing() } else { without_secrets(state) };
    let mut before = shown(life.before);
    let body = |LifeVersion { version, at, events, answers_kept, state }| {
        let state = shown(state);
        let mut found = Vec::new();
        changes("", Some(&replace(&mut before, state.clone())), Some(&state), &mut found);
        let by = who(&events);
        let events = events.into_iter().map(without_secrets).map(without_personal_details).collect();
        VersionBody { version, at: Moment(at), events, answers_kept, by, state, changes: found }
    };
    life.versions.into_iter().map(body).collect()
}

problems!(ListVersionsProblems: AUTH, ACTOR, &[&NOT_FOUND, &error::INVALID_QUERY]; CartUnknown, OrderUnknown, VendorUnknown, CustomerUnknown);

/// What an entity has gone through: its records, the state at each version, and what changed
///
/// It is read from the journal, one entity at a time.
#[utoipa::path(get, path = "/v1/admin/actors/{kind}/{id}/versions", tag = "admin", security(("bearer" = [])),
    params(("kind" = String, Path, description = "`cart`, `order`, `vendor` or `customer`",
        pattern = "^(cart|order|vendor|customer)$"),
        ("id" = String, Path, description = "The entity's id"), VersionsQuery),
    responses((status = 200, description = "Versions.", body = VersionsBody), ListVersionsProblems))]
pub async fn list_versions(
    State(shop): State<Shop>,
    State(ops): State<Ops>,
    path: Result<Path<(String, String)>, PathRejection>,
    Query(asked): Query<VersionsQuery>,
) -> Result<Response> {
    let entity = named(path)?;
    let actor = shop.inspect(entity).await?;
    if actor.version == 0 && !actor.quarantined {
        return Err(unknown(entity.kind).into());
    }
    // Of one that is quarantined nobody knows how far it goes.
    let newest = (!actor.quarantined).then_some(actor.version);
    let span = asked.span(newest.unwrap_or(u64::MAX))?;
    let life = ops.parts().lives.life(entity, span).await.map_err(|why| match why {
        NoLife::Busy => Problem::new(&OVERLOADED, "one life is read at a time").retry_after(1),
        NoLife::TooLong => {
            Problem::new(&UNAVAILABLE, "it takes too long to read it: `haat replay` has more time").retry_after(60)
        }
        NoLife::Archived => {
            Problem::new(&UNAVAILABLE, "its first records were moved to an archive: `haat replay --archive` reads it")
        }
        NoLife::Store(error) => error.into(),
    })?;
    let unreadable = life.unreadable;
    Ok(ok(&VersionsBody { id: entity, kind: entity.kind.name(), newest, unreadable, items: bodies(life) }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn between(before: Value, after: Value) -> Value {
        let mut found = Vec::new();
        changes("", Some(&before), Some(&after), &mut found);
        serde_json::to_value(found).expect("JSON")
    }

    #[test]
    fn a_difference_says_where_and_what() {
        let before = json!({"a": 1, "b": {"c": [1, 2], "d/~": null}, "e": "x", "same": [1]});
        let after = json!({"a": 2, "b": {"c": [1, 3, 4], "d/~": false}, "f": {}, "same": [1]});
        let expected = json!([
            {"path": "/a", "from": 1, "to": 2},
            {"path": "/b/c/1", "from": 2, "to": 3},
            {"path": "/b/c/2", "to": 4},
            {"path": "/b/d~1~0", "from": null, "to": false},
            {"path": "/e", "from": "x"},
            {"path": "/f", "to": {}},
        ]);
        assert_eq!(between(before.clone(), after), expected);
        assert_eq!(between(before.clone(), before), json!([]));
    }

    /// Whatever stands in any event that there is: nothing of it tells of a buyer.
    #[test]
    fn no_event_shows_personal_details() {
        let files = [
            include_str!("../../../tests/golden/events/cart.json"),
            include_str!("../../../tests/golden/events/order.json"),
            include_str!("../../../tests/golden/events/vendor.json"),
            include_str!("../../../tests/golden/events/customer.json"),
        ];
        let mut seen = 0;
        for line in files.iter().flat_map(|file| file.lines()) {
            let event: Value = serde_json::from_str(line).expect("JSON");
            let shown = without_personal_details(without_secrets(event)).to_string();
            for personal in
                ["okeya", "Lake Road", "3rd floor", "1209", "+880", "tok_", "010203ff", "AQEB", "AgIC", "Dhaka"]
            {
                seen += usize::from(line.contains(personal));
                assert!(!shown.contains(personal), "{personal} in {shown}");
            }
        }
        assert!(seen > 20, "{seen}: there is something to leave out");
    }
}
