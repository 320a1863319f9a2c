//! One feed: it looks when something may have changed, and writes what is another, once for all who read.

use crate::actors::catalog::Glimpse;
use crate::domain::ids::SkuId;
use crate::domain::json;
use crate::http::money::MoneyBody;
use crate::http::server::now;
use crate::http::sse::Tells;
use bytes::{Bytes, BytesMut};
use serde::Serialize;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio::time::sleep_until;
use tokio_util::sync::CancellationToken;
use xxhash_rust::xxh3::Xxh3;

/// How long nothing more is told after something was. With the event that a stream begins with, that makes at most five in any second.
pub(super) const REST: Duration = Duration::from_millis(250);
/// After how long it is looked again while nobody may say how things stand.
const BLIND: Duration = Duration::from_secs(1);

/// How things stand.
pub(super) struct Look {
    /// The SKUs, in an order that stays.
    pub(super) items: Vec<(SkuId, Glimpse)>,
    /// After how long that may be another by time alone.
    pub(super) again: Option<Duration>,
}

/// What a feed looks at.
pub(super) trait Source {
    /// How things stand; `None` while nobody may say so.
    fn look(&mut self) -> Option<Look>;
    /// What is notified when that may be another.
    fn changed(&self) -> Arc<Notify>;
}

/// How one SKU stands.
#[derive(Serialize)]
struct StockBody {
    sku_id: SkuId,
    available: i64,
    price: MoneyBody,
    #[serde(skip_serializing_if = "Option::is_none")]
    sale_left: Option<i64>,
}

/// What was told of one SKU.
#[derive(Clone)]
struct Item {
    sku: SkuId,
    glimpse: Glimpse,
    /// In which turn it was told.
    turn: u64,
    /// The event but for its end.
    text: Bytes,
}

impl Item {
    fn new(sku: SkuId, glimpse: Glimpse, turn: u64) -> Self {
        let Glimpse { available, price, sale_left } = glimpse;
        let mut text = b"event: stock\ndata: ".to_vec();
        let body = StockBody { sku_id: sku, available, price: MoneyBody(price), sale_left };
        if let Err(error) = json::write(&mut text, &body) {
            // String keys and no failing Serialize: this cannot happen.
            tracing::error!(%error, "an event could not be written");
        }
        text.push(b'\n');
        Self { sku, glimpse, turn, text: text.into() }
    }
}

/// How things stand, as it is told.
pub(super) struct Told {
    turn: u64,
    id: String,
    items: Vec<Item>,
    /// What is another than in the turn before.
    news: Bytes,
    whole: OnceLock<Bytes>,
    /// Whether no more will be told: the server stops.
    is_last: bool,
}

impl Told {
    fn new(look: &Look, before: Option<&Told>) -> Self {
        let turn = before.map_or(0, |before| before.turn + 1);
        let known = before.map_or(&[][..], |before| &before.items);
        let item = |(place, (sku, glimpse)): (usize, &(SkuId, Glimpse))| {
            // Nearly always each is where it was.
            let own = known.get(place).filter(|item| item.sku == *sku);
            let own = own.or_else(|| known.iter().find(|item| item.sku == *sku));
            match own.filter(|own| own.glimpse == *glimpse) {
                Some(own) => own.clone(),
                None => Item::new(*sku, *glimpse, turn),
            }
        };
        let items: Vec<Item> = look.items.iter().enumerate().map(item).collect();
        let mut hash = Xxh3::new();
        items.iter().for_each(|item| hash.update(&item.text));
        let id = format!("{:016x}", hash.digest());
        let mut told = Self { turn, id, items, news: Bytes::new(), whole: OnceLock::new(), is_last: false };
        told.news = told.written(|item| item.turn == turn);
        told
    }

    fn is_of(&self, look: &Look) -> bool {
        let same = |(item, (sku, glimpse)): (&Item, &(SkuId, Glimpse))| item.sku == *sku && item.glimpse == *glimpse;
        self.items.len() == look.items.len() && self.items.iter().zip(&look.items).all(same)
    }

    /// The events of these. The last one has the id: whoever takes only some of them is told all of them again.
    fn written(&self, which: impl Fn(&Item) -> bool) -> Bytes {
        let mut text = BytesMut::new();
        for item in self.items.iter().filter(|item| which(item)) {
            if !text.is_empty() {
                text.extend_from_slice(b"\n");
            }
            text.extend_from_slice(&item.text);
        }
        if !text.is_empty() {
            text.extend_from_slice(format!("id: {}\n\n", self.id).as_bytes());
        }
        text.freeze()
    }
}

impl Tells for Told {
    fn turn(&self) -> u64 {
        self.turn
    }

    fn id(&self) -> &str {
        &self.id
    }

    fn since(&self, known: Option<u64>) -> Bytes {
        match known {
            None => self.whole.get_or_init(|| self.written(|_| true)).clone(),
            Some(known) if known + 1 == self.turn => self.news.clone(),
            Some(known) => self.written(|item| item.turn > known),
        }
    }

    fn end(&self) -> Option<&'static str> {
        self.is_last.then_some("stopping")
    }
}

/// What all who watch the same read.
pub(super) struct Feed(watch::Sender<Arc<Told>>);

impl Feed {
    /// One that begins with this look, and its first reader.
    pub(super) fn new(look: &Look) -> (Self, watch::Receiver<Arc<Told>>) {
        let (newest, reader) = watch::channel(Arc::new(Told::new(look, None)));
        (Self(newest), reader)
    }

    /// One more reader.
    pub(super) fn subscribe(&self) -> watch::Receiver<Arc<Told>> {
        self.0.subscribe()
    }

    /// Whether nobody reads.
    pub(super) fn is_unwatched(&self) -> bool {
        self.0.receiver_count() == 0
    }

    /// Whether there was something to tell.
    fn tell(&self, look: &Look) -> bool {
        let before = self.0.borrow().clone();
        if before.is_of(look) {
            return false;
        }
        self.0.send_replace(Arc::new(Told::new(look, Some(&before))));
        true
    }

    /// Nothing more will be told.
    fn end(&self) {
        let before = self.0.borrow().clone();
        let Told { turn, ref id, ref items, .. } = *before;
        let (id, items) = (id.clone(), items.clone());
        let last = Told { turn, id, items, news: Bytes::new(), whole: OnceLock::new(), is_last: true };
        self.0.send_replace(Arc::new(last));
    }
}

/// Tells what changes, beginning after a look that is told already, until nobody reads or the server stops. `is_unwatched` takes the feed away if nobody
/// reads it.
pub(super) async fn run(
    feed: &Feed,
    mut source: impl Source,
    mut again: Option<Duration>,
    stop: &CancellationToken,
    is_unwatched: impl Fn() -> bool,
) {
    let changed = source.changed();
    let (mut looked, mut rests_until) = (now(), now());
    loop {
        let by_itself = again.map(|again| (looked + again).max(rests_until));
        let some_change = async {
            sleep_until(rests_until).await;
            changed.notified().await;
        };
        tokio::select! {
            biased;
            () = stop.cancelled() => return feed.end(),
            () = feed.0.closed() => {
                if is_unwatched() {
                    return;
                }
                continue;
            }
            () = some_change => {}
            () = sleep_until(by_itself.unwrap_or(looked)), if by_itself.is_some() => {}
        }
        let look = source.look();
        looked = now();
        again = look.as_ref().map_or(Some(BLIND), |look| look.again);
        if look.is_some_and(|look| feed.tell(&look)) {
            rests_until = looked + REST;
        }
    }
}

#[cfg(test)]
mod tests;
