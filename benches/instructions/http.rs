//! Requests as they come to the router, on a node with the real log writer. What is before the router (sockets, hyper) is not in it.

use crate::cases::Prepared;
use crate::node::{AT_ONCE, Asked, CARTS, Node, ROUNDS, WARM_UP, of_round, still_clock};
use crate::shop::{NOW, cart_id, sku_id};
use async_trait::async_trait;
use axum::Router;
use axum::body::Body;
use futures::future::join_all;
use haat::app::{Signed, services};
use haat::checkout::buyers::BuyerKeys;
use haat::config::AccountSettings;
use haat::domain::ids::{EntityRef, JobId, OrderId};
use haat::domain::job::{JobKind, JobState};
use haat::domain::time::Timestamp;
use haat::http::auth::{Auth, Bearer};
use haat::http::jobs::JobsDesk;
use haat::http::live::Live;
use haat::http::ops::{Ops, OpsParts};
use haat::http::{HistoryAsOf, HttpState, Port, RenderMetrics, Settings, router};
use haat::ports::jobs::{JobFilter, JobRow, JobTurn, Jobs, JobsBegun, Retried, Retry};
use haat::ports::lives::{Life, Lives, NoLife, Span};
use haat::ports::standing::{PoolStanding, Pools};
use haat::ports::units::{Statement, Unit, UnitEnd, UnitError, Units, Value, ValueKind};
use haat::ports::{Partition, StoreError};
use http::{Method, Request, StatusCode, header};
use http_body_util::BodyExt;
use std::sync::Arc;
use std::time::Duration;
use tower::ServiceExt;

const CHECKOUT: &str = r#"{"email":"rahim@example.com","shipping_address":{"name":"Rahim","line1":"House 7, Road 4","city":"Dhaka",
"postcode":"1205","country":"BD"},"payment":{"method":"sandbox","token":"tok_approve"}}"#;

/// No case asks for services.
struct NoUnits(Asked);

#[async_trait]
impl Units for NoUnits {
    async fn run(&self, _: Unit) -> Result<UnitEnd, UnitError> {
        self.0.again();
        Err(UnitError::Busy)
    }
    async fn read(&self, _: Statement, _: &[ValueKind]) -> Result<Vec<Vec<Value>>, StoreError> {
        self.0.again();
        Ok(Vec::new())
    }
}

impl Pools for NoUnits {
    fn sort(&self) -> &'static str {
        "none"
    }
    fn pools(&self) -> Vec<PoolStanding> {
        Vec::new()
    }
}

/// No case asks for lives.
struct NoLives;

#[async_trait]
impl Lives for NoLives {
    async fn life(&self, _: EntityRef, _: Span) -> Result<Life, NoLife> {
        Err(NoLife::Busy)
    }
}

/// No case asks for jobs.
struct NoJobs;

#[async_trait]
impl Jobs for NoJobs {
    async fn take_over(&self, _: &[Partition], _: Timestamp) -> Result<u64, StoreError> {
        Ok(0)
    }
    async fn turn(&self, _: JobTurn<'_>) -> Result<JobsBegun, StoreError> {
        Ok(JobsBegun::default())
    }
    async fn list(&self, _: JobFilter, _: Option<(Timestamp, JobId)>, _: u32) -> Result<Vec<JobRow>, StoreError> {
        Ok(Vec::new())
    }
    async fn job(&self, _: JobId) -> Result<Option<JobRow>, StoreError> {
        Ok(None)
    }
    async fn retry(&self, _: JobId, _: Retry) -> Result<Retried, StoreError> {
        Ok(Retried::Unknown)
    }
    async fn open(&self) -> Result<Vec<(JobKind, JobState, u64)>, StoreError> {
        Ok(Vec::new())
    }
    async fn forget(&self, _: Timestamp, _: u32) -> Result<u64, StoreError> {
        Ok(0)
    }
}

struct Server {
    node: Node,
    router: Router,
    auth: Arc<Auth>,
}

impl Server {
    fn new() -> Self {
        let node = Node::with_log_writer();
        let auth = Arc::new(Auth::new(&[7; 32]));
        let signed = Signed {
            keys: &haat::ports::keys::SigningKeys::of(&[7; 32]),
            mails: false,
            new_jobs: Arc::default(),
            erased: Arc::new(haat::ports::erased::NoErasedLog),
            couriers: Vec::new(),
        };
        let units = Arc::new(NoUnits(node.asked.clone())) as _;
        let services = services(&units, &still_clock(), &AccountSettings::default(), signed).expect("threads");
        let ops = Ops::new(OpsParts {
            shop: node.shop.clone(),
            metrics: RenderMetrics::new(String::new),
            followers: Arc::new(Vec::new),
            lives: Arc::new(NoLives),
            pools: Arc::new(NoUnits(Asked::default())),
            stop: Default::default(),
        });
        let state = HttpState {
            live: Live::new(node.shop.clone(), &ops),
            ops,
            shop: node.shop.clone(),
            auth: auth.clone(),
            buyers: Arc::new(BuyerKeys::new(node.shop.store_key())),
            settings: Arc::new(Settings::default()),
            jobs: JobsDesk { rows: Arc::new(NoJobs), news: Arc::default(), mails: None, clock: still_clock() },
            services,
            history_as_of: HistoryAsOf::new(Timestamp::default),
            rates: None,
            sampler: None,
        };
        let router = node.run(async { router(state, Port::Public) });
        Self { node, router, auth }
    }

    /// A request of the guest of this cart.
    fn request(&self, cart: u128, method: Method, path: &str, body: &'static str) -> Request<Body> {
        let token = self.auth.mint(&Bearer::Guest(cart_id(cart)), NOW, Duration::from_secs(3_600));
        let token = token.expect("a token is signed");
        let mut request = Request::builder().method(&method).uri(path);
        request = request.header(header::HOST, "shop.example").header(header::ACCEPT, "application/json");
        request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        if method != Method::GET {
            request = request.header(header::CONTENT_TYPE, "application/json");
            request = request.header(header::CONTENT_LENGTH, body.len());
        }
        if method == Method::POST {
            request = request.header("idempotency-key", format!("checkout-{cart}"));
        }
        request.body(Body::from(body)).expect("a request")
    }

    /// Answers these requests, which come at the same moment, and does all that follows of them.
    fn answer(&self, requests: Vec<Request<Body>>, expected: StatusCode) {
        let one = |request: Request<Body>| {
            let answer = self.router.clone().oneshot(request);
            async move {
                let (parts, body) = answer.await.expect("a router does not fail").into_parts();
                let body = body.collect().await.expect("a body").to_bytes();
                assert_eq!(parts.status, expected, "{body:?}");
            }
        };
        self.node.run(join_all(requests.into_iter().map(one)));
    }

    /// One request per cart; those of a round come at the same moment.
    fn prepared(self, request: impl Fn(&Self, u128) -> Request<Body>, expected: StatusCode) -> Prepared {
        let rounds = 0..WARM_UP + ROUNDS;
        let mut requests: Vec<Vec<Request<Body>>> =
            rounds.map(|round| of_round(round).map(|cart| request(&self, cart)).collect()).collect();
        let round = move |round: u64| self.answer(std::mem::take(&mut requests[round as usize]), expected);
        Prepared { warm_up: WARM_UP, rounds: ROUNDS, operations: AT_ONCE, round: Box::new(round) }
    }
}

pub fn cart_made() -> Prepared {
    let request = |_: &Server, _: u128| {
        let request = Request::post("/v1/carts").header(header::HOST, "shop.example");
        let request = request.header(header::CONTENT_TYPE, "application/json").header(header::CONTENT_LENGTH, 2);
        request.body(Body::from("{}")).expect("a request")
    };
    Server::new().prepared(request, StatusCode::CREATED)
}

pub fn line_set() -> Prepared {
    let request = |server: &Server, cart: u128| {
        let path = format!("/v1/carts/{}/lines/{}", cart_id(cart), sku_id(0));
        server.request(cart, Method::PUT, &path, r#"{"quantity": 2}"#)
    };
    Server::new().prepared(request, StatusCode::OK)
}

fn checkout_of(server: &Server, cart: u128) -> Request<Body> {
    server.request(cart, Method::POST, &format!("/v1/carts/{}/checkout", cart_id(cart)), CHECKOUT)
}

pub fn checkout() -> Prepared {
    Server::new().prepared(checkout_of, StatusCode::CREATED)
}

/// How often the store is asked for anything by so many checkouts until they are settled, and then by so many looks at their orders.
#[allow(dead_code, reason = "for tests/instructions.rs")]
pub fn asked(checkouts: u128) -> (u64, u64) {
    let server = Server::new();
    let asked = |requests, expected| {
        let before = server.node.asked.times();
        server.answer(requests, expected);
        server.node.asked.times() - before
    };
    let by_checkouts = asked((0..checkouts).map(|cart| checkout_of(&server, cart)).collect(), StatusCode::CREATED);
    let by_looks = asked((0..checkouts).map(|cart| order_of(&server, cart)).collect(), StatusCode::OK);
    (by_checkouts, by_looks)
}

fn order_of(server: &Server, cart: u128) -> Request<Body> {
    let path = format!("/v1/orders/{}", OrderId::for_attempt(cart_id(cart), 1));
    server.request(cart, Method::GET, &path, "")
}

pub fn order_shown() -> Prepared {
    let server = Server::new();
    let checkouts = (0..CARTS).map(|cart| checkout_of(&server, cart)).collect();
    server.answer(checkouts, StatusCode::CREATED);
    server.prepared(order_of, StatusCode::OK)
}
