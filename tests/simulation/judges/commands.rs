//! Commands that can be recognized in the journal by their tag: what was acknowledged happened once, what was refused never.

use super::replay::{Events, Recorded};
use super::{Causes, Judge, Replay};
use crate::world::{World, lock};
use haat::domain::cart::CartEvent;
use haat::domain::order::OrderEvent;
use haat::domain::time::Timestamp;
use haat::domain::vendor::VendorEvent;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

/// The key of the question with this tag, if it has one.
pub fn key_of(tag: &str) -> u128 {
    xxhash_rust::xxh3::xxh3_128(tag.as_bytes())
}

/// What is known of a command that can be recognized in the journal.
#[derive(Default)]
struct Tagged {
    /// When it happened the last time.
    at: Option<Timestamp>,
    acknowledged: bool,
    /// Whether a try of it ended without anybody knowing how.
    unknown: bool,
}

/// All commands with a tag.
pub struct Commands {
    tags: Mutex<BTreeMap<String, Tagged>>,
    world: Arc<World>,
}

impl Commands {
    pub fn new(world: Arc<World>) -> Self {
        Self { tags: Mutex::default(), world }
    }

    /// A try of the command with this tag ended so: acknowledged, unknown, or not done.
    pub fn tried(&self, tag: &str, acknowledged: bool, unknown: bool) {
        let mut tags = lock(&self.tags);
        let tagged = tags.entry(tag.to_owned()).or_default();
        tagged.acknowledged |= acknowledged;
        tagged.unknown |= unknown;
    }

    /// What a command with this tag did is durable, again or for the first time: once in a day of its key, or else once.
    fn happened(&self, tag: &str, record: &Recorded<'_>) {
        let mut tags = lock(&self.tags);
        let tagged = tags.entry(tag.to_owned()).or_default();
        let before = tagged.at.replace(record.at);
        // With its key in the record it was the entity's to know whether that came before: the judge of the keys looks at it.
        if before.is_some() && !record.keys.contains(&key_of(tag)) {
            self.world.breach(format_args!("{tag} happened more than once"));
        }
    }
}

impl Judge for Commands {
    fn record(&self, _: &Replay, record: &Recorded<'_>, _: &mut Causes) {
        match &record.events {
            Events::Cart(_, events) => {
                for event in events {
                    match event {
                        CartEvent::LineSet { line, .. } => self.happened(&line.title, record),
                        CartEvent::CheckoutStarted { terms, .. } => {
                            self.happened(
                                terms.buyer.as_ref().and_then(|buyer| buyer.region.as_deref()).unwrap_or("none"),
                                record,
                            );
                        }
                        _ => {}
                    }
                }
            }
            Events::Order(_, events) => {
                for event in events {
                    if let OrderEvent::Resolved { resolution } = event {
                        self.happened(&resolution.note, record);
                    }
                }
            }
            Events::Customer(..) | Events::Coupon(..) | Events::Room(..) => {}
            Events::Vendor(_, events) => {
                for event in events {
                    if let VendorEvent::StockAdjusted { reason, .. } = event {
                        self.happened(reason, record);
                    }
                }
            }
        }
    }

    fn at_rest(&self, _: &Replay) {
        for (tag, tagged) in &*lock(&self.tags) {
            let wrong = match (tagged.at, tagged.acknowledged, tagged.unknown) {
                (None, true, _) => "was acknowledged and never happened",
                (Some(_), false, false) => "was refused and happened",
                _ => continue,
            };
            self.world.breach(format_args!("{tag} {wrong}"));
        }
    }
}
