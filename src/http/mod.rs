//! The room that translates between HTTP and the engine. It decides nothing: it reads a request, asks the engine, and writes
//! the answer. `routes` lists every route; `error` alone knows which refusal has which status.

pub mod accounts;
pub mod admin;
pub mod answer;
pub mod auth;
mod batch;
pub mod bills;
pub mod caller;
pub mod carts;
pub mod categories;
pub mod checkout;
pub mod client;
pub mod contacts;
pub mod cookie;
pub mod cors;
pub mod countries;
pub mod coupons;
pub mod customers;
pub mod desk;
mod doors;
pub mod driven;
pub mod error;
pub mod extract;
pub mod goods;
mod health;
pub mod host;
pub mod idempotency;
pub mod jobs;
pub mod live;
pub mod loyalty;
pub mod metrics;
pub mod money;
pub mod notes;
pub mod notices;
pub mod object;
pub mod observe;
pub mod once;
pub mod openapi;
pub mod ops;
pub mod orders;
mod outstanding;
pub mod own;
pub mod page;
pub mod pages;
pub mod people;
pub mod points;
pub mod prefer;
pub mod products;
pub mod quotes;
pub mod rates;
pub mod refunds;
mod refusal;
pub mod remittances;
pub mod resolve;
mod returned;
pub mod returns;
pub mod rooms;
pub mod routes;
pub mod sales;
pub mod schema;
pub mod server;
pub mod services;
pub mod shipments;
pub mod shipping;
pub mod skus;
pub mod slots;
mod sse;
pub mod tables;
pub mod tax;
pub mod terms;
pub mod timeline;
pub mod trace;
pub mod tracking;
pub mod unread;
pub mod valid;
pub mod vendors;
pub mod waiting;
mod watch;

use crate::actors::shop::Shop;
use crate::checkout::buyers::BuyerKeys;
use crate::domain::money::Currency;
use crate::domain::time::Timestamp;
use crate::http::auth::Auth;
use crate::http::error::{METHOD_NOT_ALLOWED, NOT_FOUND, Problem, UNAVAILABLE};
use crate::http::jobs::JobsDesk;
use crate::http::observe::Observer;
use crate::limits;
use crate::ports::StoreError;
use axum::Router;
use axum::extract::FromRef;
use http::HeaderValue;
use std::sync::Arc;
use std::time::Duration;
use url::Url;

/// What an operator may set of this room.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The currency of an empty cart.
    pub currency: Currency,
    /// How long a request may take.
    pub request_timeout: Duration,
    /// How long a body may take to arrive.
    pub body_read: Duration,
    /// Bytes of a body.
    pub body_bytes: usize,
    /// Whether the API's pages and its document are shown.
    pub docs: bool,
    /// Whether the figures are shown.
    pub metrics: bool,
    /// The proxies that are believed when they say from where a request comes.
    pub trusted_proxies: Vec<client::Block>,
    /// How often somebody may ask; `None` where nobody counts.
    pub rates: Option<rates::Table>,
    /// The origins whose pages may call.
    pub origins: Vec<HeaderValue>,
    /// Where the shop's own pages are found.
    pub home: cookie::Home,
    /// Where buyers go when they come back from paying elsewhere.
    pub return_page: Option<Url>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            currency: Currency::BDT,
            request_timeout: Duration::from_millis(limits::REQUEST_MS),
            body_read: Duration::from_millis(limits::BODY_READ_MS),
            body_bytes: limits::BODY_BYTES,
            docs: true,
            metrics: true,
            trusted_proxies: Vec::new(),
            rates: None,
            origins: Vec::new(),
            home: cookie::Home::default(),
            return_page: None,
        }
    }
}

/// Writes all figures in Prometheus' text form.
#[derive(Clone)]
pub struct RenderMetrics(Arc<dyn Fn() -> String + Send + Sync>);

impl RenderMetrics {
    /// From what knows the figures.
    pub fn new(render: impl Fn() -> String + Send + Sync + 'static) -> Self {
        Self(Arc::new(render))
    }

    /// The figures now.
    pub fn render(&self) -> String {
        (self.0)()
    }
}

/// As of when the history of stock is, which is made behind the shop's back.
#[derive(Clone)]
pub struct HistoryAsOf(Arc<dyn Fn() -> Timestamp + Send + Sync>);

impl HistoryAsOf {
    /// From what knows it.
    pub fn new(as_of: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        Self(Arc::new(as_of))
    }

    /// The moment: what it shows may be newer, and is never older.
    pub fn get(&self) -> Timestamp {
        (self.0)()
    }
}

/// What handlers are given; each asks for the one part it needs.
#[derive(Clone)]
pub struct HttpState {
    /// The engine.
    pub shop: Shop,
    /// Tokens.
    pub auth: Arc<Auth>,
    /// Buyers' keys.
    pub buyers: Arc<BuyerKeys>,
    /// Settings.
    pub settings: Arc<Settings>,
    /// What operators watch, and the figures.
    pub ops: ops::Ops,
    /// Those who watch stock.
    pub live: live::Live,
    /// Jobs.
    pub jobs: JobsDesk,
    /// Services.
    pub services: services::Services,
    /// As of when the history of stock is.
    pub history_as_of: HistoryAsOf,
    /// Who asks how often, where that is counted.
    pub rates: Option<Arc<rates::Rates>>,
    /// Which requests are traced, where any are.
    pub sampler: Option<trace::Sampler>,
}

impl FromRef<HttpState> for Shop {
    fn from_ref(state: &HttpState) -> Self {
        state.shop.clone()
    }
}

impl FromRef<HttpState> for Arc<Auth> {
    fn from_ref(state: &HttpState) -> Self {
        state.auth.clone()
    }
}

impl FromRef<HttpState> for Arc<BuyerKeys> {
    fn from_ref(state: &HttpState) -> Self {
        state.buyers.clone()
    }
}

impl FromRef<HttpState> for Option<Arc<rates::Rates>> {
    fn from_ref(state: &HttpState) -> Self {
        state.rates.clone()
    }
}

impl FromRef<HttpState> for Arc<Settings> {
    fn from_ref(state: &HttpState) -> Self {
        state.settings.clone()
    }
}

impl FromRef<HttpState> for HistoryAsOf {
    fn from_ref(state: &HttpState) -> Self {
        state.history_as_of.clone()
    }
}

impl FromRef<HttpState> for ops::Ops {
    fn from_ref(state: &HttpState) -> Self {
        state.ops.clone()
    }
}

impl FromRef<HttpState> for JobsDesk {
    fn from_ref(state: &HttpState) -> Self {
        state.jobs.clone()
    }
}

impl FromRef<HttpState> for services::Services {
    fn from_ref(state: &HttpState) -> Self {
        state.services.clone()
    }
}

impl FromRef<HttpState> for RenderMetrics {
    fn from_ref(state: &HttpState) -> Self {
        state.ops.metrics()
    }
}

/// Which routes a port has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Port {
    /// All of them.
    All,
    /// All but what operators call.
    Public,
    /// Only what operators call, signing in for it, their page with what it asks for, and the two health checks.
    Operator,
}

/// The router of one port.
pub fn router(state: HttpState, port: Port) -> Router {
    let mut routes = match port {
        Port::All | Port::Public => routes::api(),
        Port::Operator => routes::health().merge(routes::operators()),
    };
    if port != Port::Operator && state.shop.charge_log().is_some() {
        routes = routes.merge(routes::sandbox());
    }
    let returned = (port != Port::Operator).then(returned::pages);
    if port != Port::Public && state.settings.metrics {
        routes = routes.merge(routes::operation());
    }
    let (routes, mut document) = openapi::documented(routes);
    let doors = Arc::new((doors::Doors::of(&mut document), state.clone()));
    let routes = routes.route_layer(doors::doors(doors));
    let shop = state.shop.clone();
    let observer = Observer::new(move || shop.clock().new_uuid()).sampling(state.sampler.clone());
    let observer = observer.expecting(openapi::routes_of(&document));
    let routes = match port {
        Port::All | Port::Public if state.settings.docs => routes.merge(openapi::pages(document)),
        _ => routes,
    };
    let routes = routes.merge(pages::pages()).merge(returned.unwrap_or_default());
    let observed = axum::middleware::from_fn_with_state(observer, observe::observe);
    let routes = routes
        .fallback(|| async { Problem::new(&NOT_FOUND, "there is nothing at this path") })
        .method_not_allowed_fallback(|| async {
            Problem::new(&METHOD_NOT_ALLOWED, "the header Allow says which methods this path has")
        });
    let routes = match &state.rates {
        Some(rates) => {
            let counted = (state.clone(), rates.clone());
            routes.layer(axum::middleware::from_fn_with_state(counted, rates::limit))
        }
        None => routes,
    };
    // Around the limits: a page is to read why it is refused.
    let routes = match &*state.settings.origins {
        [] => routes,
        origins => routes.layer(cors::layer(origins)),
    };
    routes.layer(observed).with_state(state)
}

/// Runs a query of the read tables, which may not take longer than a request.
async fn query<T>(settings: &Settings, asked: impl Future<Output = Result<T, StoreError>>) -> error::Result<T> {
    match tokio::time::timeout(settings.request_timeout, asked).await {
        Ok(outcome) => Ok(outcome?),
        Err(_) => Err(Problem::new(&UNAVAILABLE, "the read tables took too long to answer").retry_after(1)),
    }
}
