//! The edge of a server in one process: the router that the server has, over a core that has not taken its store yet. A request is
//! read to its end by the very code that reads it in a server, and what is fine is then answered with 503: the engine recovers.

use axum::Router;
use axum::body::Body;
use bytes::Bytes;
use haat::actors::NodeSettings;
use haat::app::core::{Core, CoreParts, MailParts};
use haat::checkout::buyers::BuyerKeys;
use haat::config::AccountSettings;
use haat::domain::ids::{
    AccountId, AddressId, CartId, CategoryId, CouponId, CustomerId, JobId, OrderId, ProductId, RefundId, ReturnId,
    RoomId, SaleId, SessionId, ShipmentId, SkuId, SubOrderId, VendorId,
};
use haat::domain::time::Timestamp;
use haat::domain::who::Seat;
use haat::http::auth::{Auth, Bearer};
use haat::http::error::{self, ProblemKind};
use haat::http::jobs::JobsDesk;
use haat::http::live::Live;
use haat::http::ops::{Ops, OpsParts};
use haat::http::{HistoryAsOf, HttpState, Port, RenderMetrics, Settings};
use haat::persistence::checkpointer::CheckpointSettings;
use haat::persistence::{Mode, Options, Place, StoreConfig, open};
use haat::ports::Clock;
use haat::ports::jobs::NoAccounts;
use http::{HeaderMap, Method, Request, StatusCode, header};
use http_body_util::BodyExt;
use std::cell::RefCell;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::runtime::Runtime;
use tower::ServiceExt;
use uuid::Uuid;

/// When every request comes.
pub const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);
/// An id's 16 bytes that requests can name: `cart_01h2xcejqtf2nbrexx3vqjhp41`, and so on.
pub const KNOWN: Uuid = Uuid::from_u128(0x0188_bac7_4afa_78aa_bc3b_bd1e_ef28_d881);

/// Time stands still, and ids are counted: the same input does the same.
struct StillClock(AtomicU64);

impl Clock for StillClock {
    fn now(&self) -> Timestamp {
        NOW
    }
    fn new_uuid(&self) -> Uuid {
        Uuid::from_u128(u128::from(self.0.fetch_add(1, Ordering::Relaxed)))
    }
    fn wall(&self) -> Timestamp {
        self.now()
    }

    fn since_boot(&self) -> Duration {
        Duration::ZERO
    }

    fn advance_to(&self, _floor: Timestamp) {}
}

/// The edge, and the bearers that it knows.
pub struct Edge {
    runtime: Runtime,
    router: Router,
    auth: Arc<Auth>,
    guest: String,
    admin: String,
    vendor: String,
    customer: String,
    /// What the router was made of lives as long.
    _core: Core,
}

const SECRET: &[u8] = b"a secret that no input can know: it is not in the corpus";

/// A directory that goes with the thread that made it: an edge is a static, and never dropped.
struct Directory(PathBuf);

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

thread_local! {
    static MADE: RefCell<Vec<Directory>> = const { RefCell::new(Vec::new()) };
}

/// A directory for a store.
fn directory() -> PathBuf {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let directory = std::env::temp_dir().join(format!("haat-fuzz-{}-{number}", std::process::id()));
    std::fs::create_dir_all(&directory).expect("a directory for the store");
    MADE.with_borrow_mut(|made| made.push(Directory(directory.clone())));
    directory
}

impl Default for Edge {
    fn default() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime starts");
        let directory = directory();
        let config = StoreConfig { place: Place::Sqlite(directory), archive: None, options: Options::default() };
        let clock: Arc<dyn Clock> = Arc::new(StillClock(AtomicU64::new(1)));
        let (core, services) = runtime.block_on(async {
            let store = open(&config, Mode::Serve).await.expect("an embedded store opens");
            let signed = haat::app::Signed {
                keys: &haat::ports::keys::SigningKeys::of(SECRET),
                mails: true,
                new_jobs: Arc::default(),
                erased: Arc::new(haat::ports::erased::NoErasedLog),
                couriers: Vec::new(),
            };
            let settings =
                AccountSettings { cost: "m=64,t=1,p=1".parse().expect("a cost"), ..AccountSettings::default() };
            let services = haat::app::services(&store.units, &clock, &settings, signed).expect("services");
            let core = Core::new(CoreParts {
                store,
                clock: clock.clone(),
                gateways: Vec::new(),
                charge_log: None,
                mails: MailParts {
                    mailer: None,
                    letters: Arc::new(NoAccounts),
                    public_url: String::new(),
                    per_second: 1,
                },
                couriers: haat::app::core::CourierParts {
                    couriers: Vec::new(),
                    told: Arc::new(haat::ports::couriers::NoCouriers),
                },
                acceptance: Default::default(),
                customers: Arc::new(NoAccounts),
                new_jobs: Arc::default(),
                tracer: None,
                threads: vec![Arc::new(|_| false)],
                settings: NodeSettings::default(),
                checkpoints: CheckpointSettings::default(),
                on_decide: None,
                on_fatal: Arc::new(|fatal| panic!("{fatal}")),
            });
            (core, services)
        });
        let auth = Arc::new(Auth::new(SECRET));
        let token = |bearer| auth.mint(&bearer, NOW, Duration::from_secs(3600)).expect("a token is signed");
        let guest = token(Bearer::Guest(CartId::from_uuid(KNOWN)));
        let admin = token(Bearer::Admin("fuzz".into()));
        let vendor = token(Bearer::owner_of(VendorId::from_uuid(KNOWN)));
        let customer =
            token(Bearer::SignedIn(AccountId::from_uuid(KNOWN), Seat::Customer, SessionId::from_uuid(KNOWN)));
        let (rows, news) = core.jobs();
        // Nobody watches for long: whoever begins to is told that the server stops.
        let ops = Ops::new(OpsParts {
            shop: core.shop().clone(),
            metrics: RenderMetrics::new(String::new),
            followers: Arc::new(core.followers()),
            lives: Arc::new(haat::app::life::StoredLives::new(config)),
            pools: core.pools(),
            stop: Default::default(),
        });
        ops.end();
        let state = HttpState {
            live: Live::new(core.shop().clone(), &ops),
            ops,
            shop: core.shop().clone(),
            auth: auth.clone(),
            buyers: Arc::new(BuyerKeys::new(core.shop().store_key())),
            settings: Arc::new(Settings::default()),
            jobs: JobsDesk { rows, news, mails: None, clock },
            services,
            history_as_of: HistoryAsOf::new(core.history_as_of()),
            rates: None,
            sampler: None,
        };
        let router = runtime.block_on(async { haat::http::router(state, Port::All) });
        Self { runtime, router, auth, guest, admin, vendor, customer, _core: core }
    }
}

/// Whose token a request carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    Nobody,
    Guest,
    Admin,
    Vendor,
    Customer,
}

/// What came back.
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
    /// The kind of problem it tells of, if it does.
    pub problem: Option<&'static ProblemKind>,
}

impl Answer {
    /// Whether the request was read and found good: then it waits for the engine.
    pub fn was_let_in(&self) -> bool {
        self.status.is_success() || self.status == StatusCode::SERVICE_UNAVAILABLE
    }
}

impl Edge {
    /// The value of an Authorization header.
    pub fn bearer(&self, by: By) -> Option<String> {
        let token = match by {
            By::Nobody => return None,
            By::Guest => &self.guest,
            By::Admin => &self.admin,
            By::Vendor => &self.vendor,
            By::Customer => &self.customer,
        };
        Some(format!("Bearer {token}"))
    }

    /// Whether this token is one of the shop's.
    pub fn knows(&self, token: &str) -> bool {
        self.auth.verify(token, NOW).is_ok()
    }

    /// Asks, and checks what holds for every answer: it is no fault of the server's, and a problem has its form and its status.
    pub fn ask(&self, mut request: Request<Body>) -> Answer {
        // Without a host nothing else of it would be looked at.
        request.headers_mut().entry(header::HOST).or_insert(header::HeaderValue::from_static("shop.example"));
        let head = *request.method() == Method::HEAD;
        let asked = format!("{} {}", request.method(), request.uri());
        let (parts, body) = self.runtime.block_on(async {
            let response = self.router.clone().oneshot(request).await.expect("a router does not fail");
            let (parts, body) = response.into_parts();
            (parts, body.collect().await.expect("an answer's body is there").to_bytes())
        });
        assert_ne!(parts.status, StatusCode::INTERNAL_SERVER_ERROR, "{asked}: {body:?}");
        assert!(parts.headers.contains_key("x-request-id"), "{asked}: an answer without a request id");
        let is_error = parts.status.is_client_error() || parts.status.is_server_error();
        let problem = (is_error && !head).then(|| {
            let problem: serde_json::Value = serde_json::from_slice(&body)
                .unwrap_or_else(|error| panic!("{asked}: a problem that is no JSON: {error}: {body:?}"));
            let media_type = parts.headers.get(header::CONTENT_TYPE).map(|value| value.as_bytes());
            assert_eq!(media_type, Some(&b"application/problem+json"[..]), "{asked}");
            let kind = error::ALL.iter().find(|kind| problem["code"] == kind.code);
            let kind = kind.unwrap_or_else(|| panic!("{asked}: a code that is not in the table: {problem}"));
            assert_eq!(kind.status, parts.status, "{asked}: {problem}");
            *kind
        });
        Answer { status: parts.status, headers: parts.headers, body, problem }
    }
}

/// A route with a body, asked for by somebody who may.
pub struct Route {
    pub method: Method,
    pub path: String,
    pub by: By,
}

/// Every route with a body. A body's place in the corpus is its number here: new ones come last.
pub fn routes_with_bodies() -> Vec<Route> {
    let (cart, order) = (CartId::from_uuid(KNOWN), OrderId::from_uuid(KNOWN));
    let (vendor, sku, account) = (VendorId::from_uuid(KNOWN), SkuId::from_uuid(KNOWN), AccountId::from_uuid(KNOWN));
    let route = |method, path: String, by| Route { method, path, by };
    let refund = RefundId::from_uuid(KNOWN);
    let of_share = format!("/v1/orders/{order}/sub-orders/{}", SubOrderId::of(order, vendor));
    vec![
        route(Method::POST, "/v1/vendors".into(), By::Admin),
        route(Method::POST, format!("/v1/vendors/{vendor}/products"), By::Vendor),
        route(Method::PATCH, format!("/v1/vendors/{vendor}/skus/{sku}"), By::Vendor),
        route(Method::POST, format!("/v1/vendors/{vendor}/skus/{sku}/stock"), By::Admin),
        route(Method::POST, "/v1/carts".into(), By::Nobody),
        route(Method::PUT, format!("/v1/carts/{cart}/lines/{sku}"), By::Guest),
        route(Method::POST, format!("/v1/carts/{cart}/checkout"), By::Guest),
        route(Method::POST, format!("/v1/orders/{order}/cancel"), By::Guest),
        route(Method::POST, format!("/v1/admin/orders/{order}/resolve"), By::Admin),
        route(Method::POST, "/v1/categories".into(), By::Admin),
        route(Method::PATCH, format!("/v1/categories/{}", CategoryId::from_uuid(KNOWN)), By::Admin),
        route(Method::POST, format!("/v1/admin/jobs/{}/retry", JobId::from_uuid(KNOWN)), By::Admin),
        route(Method::POST, "/v1/auth/sign-up".into(), By::Nobody),
        route(Method::POST, "/v1/auth/verify".into(), By::Nobody),
        route(Method::POST, "/v1/auth/login".into(), By::Nobody),
        route(Method::POST, "/v1/auth/refresh".into(), By::Nobody),
        route(Method::POST, "/v1/auth/logout".into(), By::Nobody),
        route(Method::POST, "/v1/auth/password/forgot".into(), By::Nobody),
        route(Method::POST, "/v1/auth/password/reset".into(), By::Nobody),
        route(Method::PATCH, "/v1/me".into(), By::Customer),
        route(Method::POST, "/v1/me/password".into(), By::Customer),
        route(Method::POST, format!("/v1/vendors/{vendor}/members"), By::Vendor),
        route(Method::PATCH, format!("/v1/vendors/{vendor}/members/{account}"), By::Vendor),
        route(Method::POST, "/v1/admin/accounts".into(), By::Admin),
        route(Method::PATCH, format!("/v1/admin/accounts/{account}"), By::Admin),
        route(Method::POST, "/v1/me/addresses".into(), By::Customer),
        route(Method::PATCH, format!("/v1/me/addresses/{}", AddressId::from_uuid(KNOWN)), By::Customer),
        route(Method::POST, "/v1/me/email".into(), By::Customer),
        route(Method::POST, format!("/v1/carts/{cart}/merge"), By::Customer),
        route(Method::PATCH, format!("/v1/admin/customers/{}", CustomerId::from_uuid(KNOWN)), By::Admin),
        route(Method::PUT, "/v1/admin/tax".into(), By::Admin),
        route(Method::PUT, format!("/v1/vendors/{vendor}/shipping-methods"), By::Vendor),
        route(Method::POST, format!("/v1/carts/{cart}/quote"), By::Guest),
        route(Method::POST, "/v1/coupons".into(), By::Admin),
        route(Method::PATCH, format!("/v1/coupons/{}", CouponId::from_uuid(KNOWN)), By::Admin),
        route(Method::POST, format!("/v1/coupons/{}/codes", CouponId::from_uuid(KNOWN)), By::Admin),
        route(Method::POST, format!("{of_share}/cancel"), By::Guest),
        route(Method::POST, format!("{of_share}/refunds"), By::Vendor),
        route(Method::POST, format!("{of_share}/refund-preview"), By::Vendor),
        route(Method::POST, format!("/v1/orders/{order}/refunds/{refund}/mark-paid"), By::Admin),
        route(Method::POST, format!("{of_share}/pack"), By::Vendor),
        route(Method::POST, format!("{of_share}/hold"), By::Vendor),
        route(Method::POST, format!("{of_share}/shipments"), By::Vendor),
        route(Method::POST, format!("{of_share}/shipments/{}/deliver", ShipmentId::from_uuid(KNOWN)), By::Vendor),
        route(Method::POST, format!("{of_share}/returns"), By::Guest),
        route(Method::POST, format!("{of_share}/returns/{}/receive", ReturnId::from_uuid(KNOWN)), By::Vendor),
        route(Method::POST, "/v1/admin/remittances".into(), By::Admin),
        route(Method::POST, format!("{of_share}/shipments/{}/correct", ShipmentId::from_uuid(KNOWN)), By::Admin),
        route(Method::PUT, format!("/v1/vendors/{vendor}/delivery-plan"), By::Vendor),
        route(Method::POST, "/v1/rooms".into(), By::Admin),
        route(Method::PUT, "/v1/admin/loyalty".into(), By::Admin),
        route(Method::POST, format!("/v1/admin/customers/{}/points", CustomerId::from_uuid(KNOWN)), By::Admin),
        route(Method::PATCH, format!("/v1/vendors/{vendor}"), By::Admin),
        route(Method::PATCH, format!("/v1/vendors/{vendor}/products/{}", ProductId::from_uuid(KNOWN)), By::Vendor),
        route(Method::POST, format!("/v1/vendors/{vendor}/products/{}/skus", ProductId::from_uuid(KNOWN)), By::Vendor),
        route(Method::POST, format!("/v1/vendors/{vendor}/products/batch"), By::Vendor),
    ]
}

/// Every path, for requests whose path is not made by the fuzzer alone.
pub fn paths() -> Vec<String> {
    let mut paths: Vec<String> = routes_with_bodies().into_iter().map(|route| route.path).collect();
    let (cart, order) = (CartId::from_uuid(KNOWN), OrderId::from_uuid(KNOWN));
    let (vendor, product) = (VendorId::from_uuid(KNOWN), ProductId::from_uuid(KNOWN));
    paths.extend([
        "/v1/products".into(),
        "/v1/orders".into(),
        format!("/v1/vendors/{vendor}/orders"),
        format!("/v1/products/{product}"),
        format!("/v1/skus/{}", SkuId::from_uuid(KNOWN)),
        format!("/v1/carts/{cart}"),
        format!("/v1/orders/{order}"),
        format!("/v1/orders/{order}/timeline"),
        "/v1/admin/actors".into(),
        format!("/v1/admin/actors/cart/{cart}"),
        "/v1/admin/sandbox/charges".into(),
        "/v1/admin/orders/stuck".into(),
        "/readyz".into(),
        format!("/v1/vendors/{vendor}/shipments"),
        format!("/v1/vendors/{vendor}/returns"),
        format!("/v1/vendors/{vendor}/delivery-slots"),
        format!("/v1/rooms/{}", RoomId::from_uuid(KNOWN)),
        format!("/v1/rooms/{}/tickets/ticket_x.x.x", RoomId::from_uuid(KNOWN)),
        format!("/v1/skus/{}/events", SkuId::from_uuid(KNOWN)),
        format!("/v1/sales/{}/events", SaleId::from_uuid(KNOWN)),
        format!("/v1/rooms/{}/tickets/ticket_x.x.x/events", RoomId::from_uuid(KNOWN)),
    ]);
    paths
}
