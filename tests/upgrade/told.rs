//! What is written down about a golden store when it is made: how everything in it stood, and how it is to end.

use haat::actors::build_any;
use haat::domain::entity::Delta;
use haat::domain::ids::EntityRef;
use haat::limits;
use haat::persistence::recovery::{for_each_frame, for_each_record};
use haat::ports::{History, Store};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// All of it.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Told {
    /// When its last record was written, in milliseconds since the Unix epoch.
    pub made_at: i64,
    pub orders: Vec<ToldOrder>,
    pub answers: Vec<ToldAnswer>,
    /// Every entity, as its records make it.
    pub entities: BTreeMap<String, Seen>,
}

impl Told {
    /// As JSON with a line for each order, answer and entity.
    pub fn to_lines(&self) -> String {
        fn lines<T: Serialize>(of: impl Iterator<Item = T>) -> String {
            let lines: Vec<String> = of.map(|one| serde_json::to_string(&one).expect("it can be told")).collect();
            lines.join(",\n")
        }
        let entity = |(id, seen): (&String, &Seen)| {
            format!("\"{id}\": {}", serde_json::to_string(seen).expect("it can be told"))
        };
        let entities: Vec<String> = self.entities.iter().map(entity).collect();
        format!(
            "{{\"made_at\": {},\n\"orders\": [\n{}\n],\n\"answers\": [\n{}\n],\n\"entities\": {{\n{}\n}}}}\n",
            self.made_at,
            lines(self.orders.iter()),
            lines(self.answers.iter()),
            entities.join(",\n"),
        )
    }
}

/// An order on its way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ToldOrder {
    /// What it is an example of.
    pub what: String,
    pub cart: String,
    pub order: String,
    /// Until when it could be paid; 0 for one that is not placed yet.
    pub due: i64,
    /// Its status at the end, when it is taken over after it could be paid.
    pub ends: String,
    /// And when it is taken over before.
    pub ends_in_time: String,
}

/// An answer that is kept under an idempotency key.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ToldAnswer {
    /// What it is an example of.
    pub what: String,
    /// Who asked: `admin NAME`, `guest CART`, `customer ID`.
    pub who: String,
    pub path: String,
    pub key: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefer: Option<String>,
    pub asked: Value,
    pub status: u16,
    pub answer: Value,
}

/// An entity as it stood.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Seen {
    pub version: u64,
    /// Its state and its kept answers, as the parts of a snapshot.
    pub parts: BTreeMap<String, Value>,
}

/// Whether `now` says all that `then` said. It may say more: a later version has fields that an earlier one had not.
pub fn says_all(now: &Value, then: &Value) -> bool {
    match (now, then) {
        (Value::Object(now), Value::Object(then)) => {
            let say = |name: &String| now.get(name).cloned().or_else(|| of_shares(now, name));
            then.iter().all(|(name, then)| say(name).is_some_and(|now| says_all(&now, then)))
        }
        (Value::Array(now), Value::Array(then)) => {
            now.len() == then.len() && now.iter().zip(then).all(|(now, then)| says_all(now, then))
        }
        _ => now == then,
    }
}

/// What an order's money was in an early version, which kept it for the whole order: the sum of its shares'.
fn of_shares(order: &Map<String, Value>, figure: &str) -> Option<Value> {
    let figure = match figure {
        "cancelled" => "credited",
        "paid" | "refunded" => figure,
        _ => return None,
    };
    let shares = order.get("shares")?.as_array()?;
    Some(shares.iter().filter_map(|share| share.get(figure)?.as_i64()).sum::<i64>().into())
}

/// What the whole journal of this store makes: every entity, up to the version that `until` gives if it gives one, and when the newest record
/// was written.
pub async fn made_of_the_journal(
    store: &Store,
    until: impl Fn(EntityRef) -> Option<u64> + Send + Sync,
) -> (BTreeMap<String, Seen>, i64) {
    let (mut histories, mut newest) = (BTreeMap::<EntityRef, History>::new(), 0);
    for partition in 0..limits::PARTITIONS {
        for_each_frame(&*store.journal, partition, 0, |frame| {
            for_each_record(frame, |record, line| {
                newest = newest.max(record.at.as_millis());
                if until(record.entity).is_none_or(|until| record.version <= until) {
                    histories.entry(record.entity).or_default().records.push(line.to_vec());
                }
            })
        })
        .await
        .expect("the journal can be read");
    }
    let entities = histories.into_iter().map(|(entity, history)| {
        let mut rebuilt = build_any(entity, &history).unwrap_or_else(|error| panic!("{entity}: {error}"));
        let (version, delta) = (rebuilt.version(), rebuilt.delta());
        (entity.to_string(), Seen { version, parts: parts(&delta) })
    });
    (entities.collect(), newest)
}

fn parts(delta: &Delta) -> BTreeMap<String, Value> {
    let state = |part: &haat::domain::entity::Part| {
        let json = part.state.as_deref()?;
        Some((part.name.clone(), serde_json::from_slice(json).expect("a part is JSON")))
    };
    delta.parts.iter().filter_map(state).collect()
}
