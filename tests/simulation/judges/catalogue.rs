//! The catalogue cache of a node is what the journal tells.

use super::{Judge, Replay};
use crate::world::World;
use haat::actors::Shop;
use haat::domain::knowledge::Availability as _;
use std::sync::Arc;

pub struct Catalogue(Arc<World>);

impl Catalogue {
    pub fn new(world: Arc<World>) -> Self {
        Self(world)
    }
}

impl Judge for Catalogue {
    fn shows(&self, replay: &Replay, shop: &Shop) {
        let world = &self.0;
        let directory = match shop.catalog() {
            Ok(directory) => directory,
            Err(failure) => return world.breach(format_args!("the directory: {failure}")),
        };
        let counts: Vec<_> = directory.order_counts().filter(|(_, count)| *count != 0).collect();
        let durable: Vec<_> = replay.order_counts().into_iter().collect();
        if counts != durable {
            world.breach(format_args!("the directory counts {counts:?} orders, the journal {durable:?}"));
        }
        for row in replay.skus() {
            let shown = directory.sku_row(row.id).and_then(|sku| Some((sku.price_minor, directory.available(row.id)?)));
            if shown != Some((row.price_minor, row.available())) {
                world.breach(format_args!("the directory shows {shown:?} of {row:?}"));
            }
        }
    }
}
