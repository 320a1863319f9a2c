//! What followers make of the journal: every row exactly once, and none that does not follow from a record. The rows are made here from the plain
//! JSON of the journal's lines, by hands that know nothing of followers.

use super::replay::Recorded;
use super::{Causes, Judge, Replay};
use crate::world::{World, lock};
use haat::domain::ids::{EntityId, EntityRef, Kind, VendorId};
use haat::domain::rows::StockChangeRow;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

/// Vendor, version, position; and SKU, pieces, order.
type Changes = BTreeMap<(EntityRef, u64, u32), (String, i64, Option<String>)>;

/// The history of stock as the journal tells it.
pub struct History {
    changes: Mutex<Changes>,
    world: Arc<World>,
}

impl History {
    pub fn new(world: Arc<World>) -> Self {
        Self { changes: Mutex::default(), world }
    }

    /// What is left when the last node has stopped as it should. Of an entity whose records could not be read at times nothing is promised.
    pub fn left(&self, rows: &BTreeMap<(VendorId, u64, u32), StockChangeRow>, damaged: &BTreeSet<EntityRef>) {
        let told = |((vendor, version, position), row): (&(VendorId, u64, u32), &StockChangeRow)| {
            let order = row.order_id.map(|order| order.to_string());
            ((vendor.entity(), *version, *position), (row.sku_id.to_string(), row.delta, order))
        };
        let made: Changes = rows.iter().map(told).filter(|((entity, ..), _)| !damaged.contains(entity)).collect();
        let mut own = lock(&self.changes).clone();
        own.retain(|(entity, ..), _| !damaged.contains(entity));
        for (place, change) in own.iter().filter(|(place, change)| made.get(place) != Some(change)) {
            let found = made.get(place);
            self.world
                .breach(format_args!("the history of stock has {found:?} at {place:?}, and the journal {change:?}"));
        }
        for (place, change) in made.iter().filter(|(place, _)| !own.contains_key(place)) {
            self.world
                .breach(format_args!("the history of stock has {change:?} at {place:?}, and the journal nothing"));
        }
    }
}

fn text(event: &Value, field: &str) -> String {
    event[field].as_str().unwrap_or_default().to_owned()
}

fn changes_of(event: &Value) -> Vec<(String, i64, Option<String>)> {
    let list = |list: &Value| list.as_array().cloned().unwrap_or_default();
    let number = |value: &Value| value.as_i64().unwrap_or_default();
    match event["type"].as_str() {
        Some("product_added") => {
            let skus = list(&event["product"]["skus"]);
            skus.iter().map(|sku| (text(sku, "id"), number(&sku["on_hand"]), None)).collect()
        }
        Some("sku_added") => vec![(text(&event["sku"], "id"), number(&event["sku"]["on_hand"]), None)],
        Some("stock_adjusted") => vec![(text(event, "sku"), number(&event["delta"]), None)],
        Some("hold_committed") => {
            let sold = |piece: &Value| {
                (piece[0].as_str().unwrap_or_default().to_owned(), -number(&piece[1]), Some(text(event, "order")))
            };
            list(&event["sold"]).iter().map(sold).collect()
        }
        Some("restocked") => {
            let back = |line: &Value| (text(line, "sku"), number(&line["quantity"]), Some(text(event, "order")));
            list(&event["lines"]).iter().map(back).collect()
        }
        _ => Vec::new(),
    }
}

impl Judge for History {
    fn record(&self, _: &Replay, record: &Recorded<'_>, _: &mut Causes) {
        if record.entity.kind != Kind::Vendor {
            return;
        }
        let line: Value = serde_json::from_slice(record.line).expect("the engine wrote it");
        let events = line["ev"].as_array().cloned().unwrap_or_default();
        for (position, change) in (0..).zip(events.iter().flat_map(changes_of)) {
            lock(&self.changes).insert((record.entity, record.version, position), change);
        }
    }
}
