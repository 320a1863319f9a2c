//! What operators watch: the node as it is now, in tiles. It is looked at once a second for all who watch, by a task that is there only while somebody
//! does, and written once: each further reader costs what it costs to send it.

mod figures;
pub mod followers;
mod hot;
mod lately;
pub mod stream;
mod tiles;
pub mod versions;

use self::figures::{Figures, Looks, Seen};
use self::hot::HotStock;
use self::lately::{Lately, Recent};
use self::tiles::{Look, TilesBody};
use crate::actors::shop::Shop;
use crate::domain::json;
use crate::domain::time::Timestamp;
use crate::http::answer::written_json;
use crate::http::error::{self, OVERLOADED, Problem, Result, UNAVAILABLE};
use crate::http::money::Moment;
use crate::http::openapi::{AUTH, problems};
use crate::http::server::now;
use crate::http::{RenderMetrics, Settings};
use crate::limits;
use crate::ports::lives::Lives;
use crate::ports::standing::{FollowerStanding, Pools};
use axum::extract::State;
use axum::response::Response;
use bytes::Bytes;
use http::StatusCode;
use parking_lot::Mutex;
use serde::Serialize;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use utoipa::ToSchema;

/// How many looks are taken after the last reader has gone: whoever asks again soon finds one.
const LINGER: u32 = 5;

/// Says how the followers stand.
pub type FollowerStandings = Arc<dyn Fn() -> Vec<FollowerStanding> + Send + Sync>;

/// What the overview is made of.
pub struct OpsParts {
    /// The engine.
    pub shop: Shop,
    /// What is counted.
    pub metrics: RenderMetrics,
    /// Those that read the journal.
    pub followers: FollowerStandings,
    /// The lives of entities.
    pub lives: Arc<dyn Lives>,
    /// The connections to the store.
    pub pools: Arc<dyn Pools>,
    /// When the server stops, those who watch are told so.
    pub stop: CancellationToken,
}

/// The node as it is now.
#[derive(Debug, Serialize, ToSchema)]
pub struct OverviewBody {
    at: Moment,
    /// Of how much time the rates are, in milliseconds; `null` at the first look, which has nothing to compare with. Percentiles are of the last ten
    /// seconds.
    #[schema(example = 1000)]
    over_ms: Option<u64>,
    tiles: TilesBody,
}

/// One look, written.
#[derive(Clone)]
struct Written {
    number: u64,
    /// Whether there are rates.
    has_rates: bool,
    json: Bytes,
    /// The same as an event of a stream.
    event: Bytes,
}

struct Inner {
    parts: OpsParts,
    newest: watch::Sender<Option<Written>>,
    /// Whether somebody looks.
    looks: Mutex<bool>,
    lately: Mutex<Lately>,
    readers: Arc<Semaphore>,
}

/// What operators watch.
#[derive(Clone)]
pub struct Ops(Arc<Inner>);

/// One who watches, counted for as long as this lives.
struct Reader {
    newest: watch::Receiver<Option<Written>>,
    _counted: OwnedSemaphorePermit,
}

impl Ops {
    /// Nobody watches yet.
    pub fn new(parts: OpsParts) -> Self {
        let readers = Arc::new(Semaphore::new(limits::OVERVIEW_READERS));
        let (newest, lately) = (watch::Sender::new(None), Mutex::new(Lately::new()));
        Self(Arc::new(Inner { parts, newest, looks: Mutex::new(false), lately, readers }))
    }

    /// What is cancelled when the server stops.
    pub(super) fn stop(&self) -> CancellationToken {
        self.0.parts.stop.clone()
    }

    /// Tells those who watch that the server stops.
    pub fn end(&self) {
        self.0.parts.stop.cancel();
    }

    /// Looks now and then at what goes wrong while nobody watches, until the server stops.
    pub async fn remember(self) {
        let parts = self.parts();
        lately::remember(&self.0.lately, &parts.metrics, || parts.shop.clock().now(), &parts.stop).await;
    }

    /// What went wrong lately, with what a look has seen.
    fn lately(&self, figures: &Figures, at: Timestamp) -> Recent {
        let mut lately = self.0.lately.lock();
        lately.add(now(), at, figures);
        lately.recent()
    }

    /// What is counted.
    pub(super) fn metrics(&self) -> RenderMetrics {
        self.0.parts.metrics.clone()
    }

    fn parts(&self) -> &OpsParts {
        &self.0.parts
    }

    /// One more watches.
    ///
    /// # Errors
    /// When as many do as may.
    fn read(&self) -> Result<Reader> {
        let counted = self.0.readers.clone().try_acquire_owned();
        let counted =
            counted.map_err(|_| Problem::new(&OVERLOADED, "as many watch as may at a time").retry_after(5))?;
        // Under the lock: whoever looks ends under it, too, and only when nobody watches.
        let mut looks = self.0.looks.lock();
        let newest = self.0.newest.subscribe();
        if !std::mem::replace(&mut *looks, true) {
            tokio::spawn(look(Looking(self.clone())));
        }
        Ok(Reader { newest, _counted: counted })
    }
}

/// Whoever looks. However that ends, the next reader finds that nobody does.
struct Looking(Ops);

impl Looking {
    fn end(&self, looks: &mut bool) {
        *looks = false;
        self.0.0.newest.send_replace(None);
        self.0.parts().shop.watch_takings(false);
    }
}

impl Drop for Looking {
    fn drop(&mut self) {
        let inner = self.0.0.clone();
        let mut looks = inner.looks.lock();
        if *looks {
            self.end(&mut looks);
        }
    }
}

/// Looks at the node once a second, until nobody has watched for some time.
async fn look(looking: Looking) {
    let (inner, parts) = (&looking.0.0, looking.0.parts());
    let (mut looks, mut hot) = (Looks::default(), HotStock::default());
    let (mut number, mut unwatched) = (0, 0);
    parts.shop.watch_takings(true);
    let mut next = now();
    while !parts.stop.is_cancelled() {
        let figures = Figures::read(&parts.metrics.render());
        let at = parts.shop.clock().now();
        let lately = looking.0.lately(&figures, at);
        looks.add(Seen { at: now(), figures, taken: parts.shop.take_takings() });
        hot.follow(&looks, parts, at).await;
        number += 1;
        inner
            .newest
            .send_replace(Some(written(number, &Look { parts, looks: &looks, hot: &hot, lately: &lately, at })));
        next = (next + Duration::from_millis(limits::OVERVIEW_LOOK_MS)).max(now());
        if parts.stop.run_until_cancelled(sleep_until(next)).await.is_none() {
            break;
        }
        unwatched = if inner.newest.receiver_count() == 0 { unwatched + 1 } else { 0 };
        if unwatched > LINGER {
            let mut is_looked = inner.looks.lock();
            if inner.newest.receiver_count() == 0 {
                looking.end(&mut is_looked);
                return;
            }
        }
    }
}

fn written(number: u64, look: &Look<'_>) -> Written {
    let over_ms = look.looks.over_ms();
    let body = OverviewBody { at: Moment(look.at), over_ms, tiles: TilesBody::of(look) };
    let mut text = format!("event: overview\nid: {number}\ndata: ").into_bytes();
    let from = text.len();
    if let Err(error) = json::write(&mut text, &body) {
        // String keys and no failing Serialize: this cannot happen.
        tracing::error!(%error, "the overview could not be written");
    }
    let upto = text.len();
    text.extend_from_slice(b"\n\n");
    let event = Bytes::from(text);
    Written { number, has_rates: over_ms.is_some(), json: event.slice(from..upto), event }
}

problems!(GetOverviewProblems: AUTH, &[&error::OVERLOADED, &error::UNAVAILABLE]);

/// The node as it is now
///
/// Rates are of the last second. Where nobody has watched lately, the answer takes as long.
#[utoipa::path(get, path = "/v1/admin/overview", tag = "admin", security(("bearer" = [])),
    responses((status = 200, description = "The node.", body = OverviewBody), GetOverviewProblems))]
pub async fn get_overview(State(ops): State<Ops>, State(settings): State<Arc<Settings>>) -> Result<Response> {
    let mut reader = ops.read()?;
    let seen = reader.newest.wait_for(|written| written.as_ref().is_some_and(|written| written.has_rates));
    let seen = tokio::select! {
        seen = timeout(settings.request_timeout, seen) => seen.ok().and_then(std::result::Result::ok),
        () = ops.parts().stop.cancelled() => None,
    };
    match seen.as_deref().and_then(Option::as_ref) {
        Some(written) => Ok(written_json(StatusCode::OK, written.json.clone())),
        None => Err(Problem::new(&UNAVAILABLE, "the node cannot be looked at now").retry_after(1)),
    }
}
