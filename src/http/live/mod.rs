//! Live stock: what a SKU, or each SKU of a sale, costs and how much of it can be had, told to whoever watches as soon as it is another.
//!
//! What is watched has one *feed*, made for the first stream and gone with the last. Its task alone looks at the catalogue, and writes each event once; a
//! stream hands on what is written. So twenty thousand streams cost one look and one writing, and each of them a copy of a pointer and a write.

mod behind;
mod feed;

pub use behind::Stock;

use self::behind::Behind;
use self::feed::{Feed, Look, Source, Told};
use crate::actors::Lookout;
use crate::actors::shop::Shop;
use crate::domain::ids::{RoomId, SaleId, SkuId};
use crate::domain::reject::Reject;
use crate::http::HttpState;
use crate::http::caller::Caller;
use crate::http::error::{self, Result};
use crate::http::extract::Id;
use crate::http::openapi::{READS, problems};
use crate::http::ops::Ops;
use crate::http::rates::AskedFrom;
use crate::http::sse::{self, Counted, Places};
use crate::limits;
use crate::ports::rates::Network;
use axum::extract::State;
use axum::response::Response;
use foldhash::HashMap;
use http::{HeaderMap, Version};
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

/// What somebody watches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Topic {
    Sku(SkuId),
    Sale(SaleId),
}

struct Inner {
    shop: Shop,
    /// When the server stops, those who watch are told so.
    stop: CancellationToken,
    feeds: Mutex<HashMap<Topic, Arc<Feed>>>,
    places: Places,
    behind: Behind,
}

/// All who watch.
#[derive(Clone)]
pub struct Live(Arc<Inner>);

impl Live {
    /// Nobody watches yet. Streams end when those of `ops` do.
    pub fn new(shop: Shop, ops: &Ops) -> Self {
        Self(Arc::new(Inner {
            shop,
            stop: ops.stop(),
            feeds: Mutex::default(),
            places: Places::new(limits::LIVE_STREAMS, limits::LIVE_CONNECTIONS, limits::LIVE_STREAMS_PER_ADDRESS),
            behind: Behind::default(),
        }))
    }

    /// One more watches, something of this shop's or a place in a line, from this address where addresses are counted.
    ///
    /// # Errors
    /// When as many do as may.
    pub(super) fn place(&self, version: Version, from: Option<Network>) -> Result<Counted> {
        self.0.places.take(version, from)
    }

    /// What is left of all that is sold behind a waiting room.
    pub(super) fn behind(&self, room: RoomId) -> Stock {
        self.0.behind.stock(&self.0.shop, room)
    }

    /// When this comes, whoever watches is told that the server stops.
    pub(super) fn stop(&self) -> &CancellationToken {
        &self.0.stop
    }

    /// What is told of this from now on, beginning with how it stands.
    ///
    /// # Errors
    /// When there is no such thing, or when nobody may say whether there is.
    fn follow(&self, topic: Topic) -> Result<watch::Receiver<Arc<Told>>> {
        let catalog = self.0.shop.catalog()?;
        let mut feeds = self.0.feeds.lock();
        if let Some(feed) = feeds.get(&topic) {
            return Ok(feed.subscribe());
        }
        let sale = if let Topic::Sale(sale) = topic { Some(sale) } else { None };
        let mut goods = Goods { shop: self.0.shop.clone(), lookout: catalog.look_out(sale), topic };
        let look = goods.look().ok_or(match topic {
            Topic::Sku(_) => Reject::SkuUnknown,
            Topic::Sale(_) => Reject::SaleUnknown,
        })?;
        let (feed, reader) = Feed::new(&look);
        let feed = Arc::new(feed);
        feeds.insert(topic, feed.clone());
        let running = Running { live: self.clone(), topic, feed };
        let stop = self.0.stop.clone();
        tokio::spawn(async move {
            feed::run(&running.feed, goods, look.again, &stop, || running.is_unwatched()).await;
        });
        Ok(reader)
    }
}

/// A feed's task. However it ends, the next who watches begins a new one.
struct Running {
    live: Live,
    topic: Topic,
    feed: Arc<Feed>,
}

impl Running {
    /// Nobody finds the feed any more. Another may stand in its place already.
    fn take_out(&self, feeds: &mut HashMap<Topic, Arc<Feed>>) {
        if feeds.get(&self.topic).is_some_and(|there| Arc::ptr_eq(there, &self.feed)) {
            feeds.remove(&self.topic);
        }
    }

    /// Whether nobody watches any more. From then on nobody finds the feed.
    fn is_unwatched(&self) -> bool {
        // Under the lock: whoever comes now finds the feed before it is taken out, or makes another.
        let mut feeds = self.live.0.feeds.lock();
        let is_unwatched = self.feed.is_unwatched();
        if is_unwatched {
            self.take_out(&mut feeds);
        }
        is_unwatched
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.take_out(&mut self.live.0.feeds.lock());
    }
}

/// What the catalogue shows of a topic.
struct Goods {
    shop: Shop,
    lookout: Lookout,
    topic: Topic,
}

/// How long a look waits at most for what comes by time alone: clocks are set, and the shop's may go another way than the machine's.
const LONGEST_WAIT: Duration = Duration::from_secs(1);

impl Source for Goods {
    fn look(&mut self) -> Option<Look> {
        let catalog = self.shop.catalog().ok()?;
        let (skus, sale) = match self.topic {
            Topic::Sku(sku) => (vec![sku], None),
            Topic::Sale(sale) => {
                let row = catalog.sale_row(sale)?;
                (row.terms.items.iter().map(|item| item.sku).collect(), Some(sale))
            }
        };
        // First it waits for them, then it looks at them.
        self.lookout.follow(skus.iter().copied());
        let now = self.shop.clock().now();
        let mut items = Vec::with_capacity(skus.len());
        let mut next = None;
        for sku in skus {
            let Some((glimpse, changes_at)) = catalog.glimpse(sku, sale, now) else { continue };
            items.push((sku, glimpse));
            next = next.into_iter().chain(changes_at).min();
        }
        if items.is_empty() && sale.is_none() {
            return None;
        }
        let wait = |at: crate::domain::time::Timestamp| {
            Duration::from_millis(at.millis_since(now).unsigned_abs()).min(LONGEST_WAIT)
        };
        Some(Look { items, again: next.map(wait) })
    }

    fn changed(&self) -> Arc<Notify> {
        self.lookout.notify()
    }
}

/// The events as the document shows them.
const EXAMPLE: &str = "retry: 2417\n\nevent: stock\ndata: {\"sku_id\":\"sku_01h2xcejqtf2nbrexx3vqjhp41\",\"available\":17,\
    \"price\":{\"amount\":\"990.00\",\"currency\":\"BDT\"},\"sale_left\":17}\nid: 5ad3c8f1e2907b46\n\n";

problems!(FollowSkuProblems: READS, &[&error::UNAVAILABLE, &error::UNAUTHORIZED, &error::OVERLOADED]; SkuUnknown);

/// What a SKU costs and how much of it can be had, as it goes on
///
/// The first event `stock` is how it stands, and one comes whenever that is another: at most five a second, and always the last. What is left out of
/// `data` is not so: `sale_left` is there while the SKU is shown at the price of a sale. The `id` says which state it is; whoever comes with that of the
/// present one in `Last-Event-ID` is not told it again. A comment comes every 15 seconds. The last event is `end`, with `{"reason"}`: `stopping`, and
/// for whoever came with a bearer `token_expired` or `session_over`.
#[utoipa::path(get, path = "/v1/skus/{sku}/events", tag = "catalog", security((), ("bearer" = [])),
    params(("sku" = SkuId, Path, description = "The SKU"), ("Last-Event-ID" = Option<String>, Header, description = "The id of the last event that was taken")),
    responses((status = 200, description = "Server-sent events.", body = String, content_type = "text/event-stream", example = json!(EXAMPLE)),
    FollowSkuProblems))]
pub async fn follow_sku(
    State(state): State<HttpState>,
    version: Version,
    caller: Option<Caller>,
    AskedFrom(from): AskedFrom,
    headers: HeaderMap,
    Id(sku): Id<SkuId>,
) -> Result<Response> {
    let reader = state.live.follow(Topic::Sku(sku))?;
    let counted = state.live.place(version, from)?;
    Ok(sse::answer(state, reader, counted, caller.is_some(), &headers))
}

problems!(FollowSaleProblems: READS, &[&error::UNAVAILABLE, &error::UNAUTHORIZED, &error::OVERLOADED]; SaleUnknown);

/// What the SKUs of a sale cost and how much of each can be had, as it goes on
///
/// As the events of a SKU: first one `stock` for each SKU of the sale, then one for each that is another. `sale_left` is what is left in this sale while
/// it runs. Only the last of several events that come together has an `id`, which says how all of the sale stands.
#[utoipa::path(get, path = "/v1/sales/{sale}/events", tag = "catalog", security((), ("bearer" = [])),
    params(("sale" = SaleId, Path, description = "The sale"), ("Last-Event-ID" = Option<String>, Header, description = "The id of the last event that was taken")),
    responses((status = 200, description = "Server-sent events.", body = String, content_type = "text/event-stream", example = json!(EXAMPLE)),
    FollowSaleProblems))]
pub async fn follow_sale(
    State(state): State<HttpState>,
    version: Version,
    caller: Option<Caller>,
    AskedFrom(from): AskedFrom,
    headers: HeaderMap,
    Id(sale): Id<SaleId>,
) -> Result<Response> {
    let reader = state.live.follow(Topic::Sale(sale))?;
    let counted = state.live.place(version, from)?;
    Ok(sse::answer(state, reader, counted, caller.is_some(), &headers))
}
