//! A golden store is taken over: everything in it is what it was, everything comes to the end that was told, and the answers that it keeps are
//! given again for their day.

use crate::dump;
use crate::golden::{COMMITS, Files, patient, with_archive};
use crate::make::{ask, bearer, lasting};
use crate::support::client::Client;
use crate::support::{Kind, SECRET, Server, TestStore, fresh_uuid, token};
use crate::told::{Told, ToldOrder, made_of_the_journal, says_all};
use haat::actors::Arbiters;
use haat::adapters::clock::SystemClock;
use haat::adapters::sandbox::SandboxGateway;
use haat::app::audit::audit;
use haat::app::core::{Core, CoreParts, MailParts, RunningCore};
use haat::app::rebuild::rebuild;
use haat::app::replay::{Until, print as print_replay};
use haat::checkout::buyers::BuyerKeys;
use haat::config::AccountSettings;
use haat::domain::entity::Part;
use haat::domain::order::AcceptanceSettings;
use haat::domain::order::OrderFilter;
use haat::domain::rows::{OrderRow, Rows};
use haat::domain::time::Timestamp;
use haat::http::auth::{Auth, Bearer};
use haat::http::jobs::JobsDesk;
use haat::http::live::Live;
use haat::http::ops::{Ops, OpsParts};
use haat::http::services::Services;
use haat::http::{HistoryAsOf, HttpState, Port, RenderMetrics, router, server};
use haat::limits;
use haat::persistence::archived::with_archive as joined;
use haat::persistence::checkpointer::CheckpointSettings;
use haat::persistence::{self, Mode, Place, StoreConfig};
use haat::ports::jobs::NoAccounts;
use haat::ports::{Clock, OrdersOf, Snapshot, Store};
use serde_json::Value;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::time::Instant;
use uuid::Uuid;

/// The longest wait for an order's end.
const BOUND: Duration = Duration::from_secs(60);

fn today() -> i64 {
    SystemClock::default().now().as_millis()
}

/// As what an order may end that is taken over now. Who sets the clock back to before it was made finds it in the midst of its time.
pub fn ends_of(order: &ToldOrder) -> Vec<&str> {
    // What the provider has decided counts whenever it is heard. The versions that made the first stores let such orders expire.
    let decided = ["the payment is taken, and", "the payment is declined, and"];
    match order.due < today() {
        true if decided.iter().any(|what| order.what.starts_with(what)) => vec![&order.ends_in_time],
        true => vec![&order.ends],
        false => vec![&order.ends, &order.ends_in_time],
    }
}

/// Everything in the store adds up. Its archive is brought up to date first: no server does that.
pub async fn audited(store: &TestStore, archived: bool) {
    if archived {
        persistence::migrate(&archive_of(store)).await.expect("an archive");
    }
    let config = if archived { with_archive(store) } else { patient(store) };
    let report = audit(&config, store.data_dir()).await.expect("the store can be looked at");
    assert!(report.is_clean(), "{report}");
}

fn archive_of(store: &TestStore) -> StoreConfig {
    let place = Place::Archive(with_archive(store).archive.expect("an archive"));
    StoreConfig { place, ..patient(store) }
}

/// The store for tools, with the frames that were moved to its archive.
async fn whole(store: &TestStore) -> Store {
    let archive = archive_of(store);
    persistence::migrate(&archive).await.expect("an archive");
    let open = async |config| persistence::open(config, Mode::Tool).await.expect("it opens");
    joined(open(&patient(store)).await, &open(&archive).await).await.expect("its own archive")
}

/// Everything that was there is there as it was: what came since came after it.
pub async fn nothing_is_changed(store: &TestStore, told: &Told) {
    let (entities, _) = made_of_the_journal(&whole(store).await, |entity| {
        Some(told.entities.get(&entity.to_string()).map_or(0, |seen| seen.version))
    })
    .await;
    for (entity, then) in &told.entities {
        let now = &entities[entity];
        assert_eq!(now.version, then.version, "{entity}");
        for (part, then) in &then.parts {
            let now = now.parts.get(part).unwrap_or_else(|| panic!("{entity} has no part '{part}' any more"));
            assert!(says_all(now, then), "part '{part}' of {entity} was {then}, and is {now}");
        }
    }
}

/// Every entity can be told of, from its first record on, which is in the archive.
async fn the_archive_is_read(store: &TestStore, told: &Told) {
    for entity in told.entities.keys() {
        let mut out = Vec::new();
        let id = entity.parse().expect("an id");
        print_replay(&with_archive(store), id, Until::Newest, &mut out).await.expect("it can be told");
        assert!(String::from_utf8_lossy(&out).contains("  v1  "), "{entity}");
    }
}

/// What snapshots and read tables hold.
async fn written(store: &TestStore) -> (Rows, Vec<OrderRow>, Vec<Snapshot>) {
    let store = persistence::open(&patient(store), Mode::Tool).await.expect("it opens");
    let orders = store.queries.orders(OrdersOf::All, &OrderFilter::ANY, None, 1_000).await.expect("orders");
    let snapshots = store.snapshots.scan(None, 1_000).await.expect("snapshots");
    (store.queries.catalog().await.expect("the catalog"), orders, snapshots)
}

fn json_of(part: &Part) -> Value {
    serde_json::from_slice(part.state.as_deref().expect("a state")).expect("a part is JSON")
}

/// Waits until every order has one of the ends that it may have.
pub async fn all_end(client: &Client, admin: &str, told: &Told, ends: impl Fn(&ToldOrder) -> Vec<&str>) {
    for order in &told.orders {
        let ends = ends(order);
        let ended = async {
            loop {
                // One that has not been placed yet is not there yet.
                let now = client.order(admin, &order.order).await;
                if now.status == 200 && ends.contains(&now.field("status")) {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let waited = tokio::time::timeout(BOUND, ended).await;
        waited.unwrap_or_else(|_| panic!("{} ({}) does not end as {ends:?}", order.order, order.what));
    }
}

/// Rows that were refused are remade of their snapshots: whoever starts tries all of them again, and these no constraint refuses any more.
pub async fn rows_come_again(store: &TestStore, told: &Told) {
    assert!(told.orders.iter().any(|order| order.what.ends_with("its rows are refused")));
    let mended = async {
        while dump::number(store, "SELECT count(*) FROM refused_rows").await > 0 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(BOUND, mended).await.expect("their rows come again");
}

/// A key whose day is over makes nothing a second time.
async fn old_keys_make_nothing_new(client: &Client, told: &Told) {
    if today() <= told.made_at + limits::IDEMPOTENCY_MS {
        return;
    }
    for answer in &told.answers {
        let expected = match &*answer.path {
            "/v1/carts" => 422,
            path if path == "/v1/vendors" || path.ends_with("/products") => 201,
            // These would be done once more.
            _ => continue,
        };
        let repeated = ask(client, answer, &token).send().await.expect(expected);
        if expected == 201 {
            assert_eq!(repeated.header("idempotent-replayed"), Some("true"), "{}", answer.what);
            assert_eq!(repeated.body["id"], answer.answer["id"], "{}", answer.what);
        }
    }
}

/// Where to ship to is shown of every order, wherever it is kept: in the journal, or moved out of it when its cart was taken over in checkout.
pub async fn contacts_are_shown(client: &Client, admin: &str, told: &Told) {
    for order in &told.orders {
        let seen = client.order(admin, &order.order).await.expect(200);
        assert!(seen.body["shipping_address"]["line1"].is_string(), "{}: {}", order.what, seen.text);
    }
}

/// Taken over today: whatever day that is.
async fn is_taken_over(kind: Kind) {
    for commit in COMMITS {
        let files = Files::of_commit(commit, kind);
        let (store, told) = (files.store(kind).await, files.told());
        let server = Server::start(&store).await;
        let admin = token(&Bearer::Admin("root".into()));
        all_end(&server.client, &admin, &told, ends_of).await;
        contacts_are_shown(&server.client, &admin, &told).await;
        old_keys_make_nothing_new(&server.client, &told).await;
        rows_come_again(&store, &told).await;
        server.stop().await;
        nothing_is_changed(&store, &told).await;
        the_archive_is_read(&store, &told).await;
        audited(&store, true).await;

        let before = written(&store).await;
        let rebuilt = rebuild(&with_archive(&store)).await.expect("a rebuild");
        assert_eq!(rebuilt.failed, [""; 0]);
        let after = written(&store).await;
        assert_eq!(after.0, before.0);
        assert_eq!(after.1, before.1);
        for (after, before) in after.2.iter().zip(&before.2) {
            // A snapshot that an earlier version wrote lacks what a later one has learnt to say of the same records.
            assert_eq!((after.entity, after.version), (before.entity, before.version));
            for (after, before) in after.parts.iter().zip(&before.parts) {
                let (now, then) = (json_of(after), json_of(before));
                assert!(after.name == before.name && says_all(&now, &then), "{now} was {then}");
            }
            assert_eq!(after.parts.len(), before.parts.len(), "{}", before.entity);
        }
        assert_eq!(after.2.len(), before.2.len());
        audited(&store, true).await;
    }
}

/// A clock that shows the moment at which a store was made, and goes on from there.
struct Then {
    made_at: i64,
    begun: Instant,
    latest: AtomicI64,
}

impl Clock for Then {
    fn now(&self) -> Timestamp {
        let now = self.made_at + i64::try_from(self.begun.elapsed().as_millis()).expect("a test is short");
        Timestamp::from_millis(self.latest.fetch_max(now, Ordering::Relaxed).max(now))
    }
    /// Today's: the database and the tokens are.
    fn wall(&self) -> Timestamp {
        SystemClock::new().wall()
    }
    fn since_boot(&self) -> Duration {
        self.begun.elapsed()
    }
    fn new_uuid(&self) -> Uuid {
        fresh_uuid()
    }
    fn advance_to(&self, floor: Timestamp) {
        self.latest.fetch_max(floor.as_millis(), Ordering::Relaxed);
    }
}

/// A server whose clock shows the moment at which the store was made.
struct OfThen {
    client: Client,
    core: RunningCore,
    clock: Arc<dyn Clock>,
    _arbiters: Arbiters,
}

impl OfThen {
    async fn start(store: &TestStore, made_at: i64) -> Self {
        let clock: Arc<dyn Clock> = Arc::new(Then { made_at, begun: Instant::now(), latest: AtomicI64::new(0) });
        let sandbox = Arc::new(SandboxGateway::open(store.data_dir(), clock.clone()).expect("a ledger"));
        let arbiters = Arbiters::start(1).expect("a thread");
        let opened = persistence::open(&store.config(), Mode::Serve).await.expect("the store opens");
        let signed = haat::app::Signed {
            keys: &haat::ports::keys::SigningKeys::of(SECRET),
            mails: false,
            new_jobs: Arc::default(),
            erased: Arc::new(haat::ports::erased::NoErasedLog),
            couriers: Vec::new(),
        };
        let services =
            haat::app::services(&opened.units, &clock, &AccountSettings::default(), signed).expect("services");
        let core = Core::new(CoreParts {
            store: opened,
            clock: clock.clone(),
            gateways: vec![sandbox.clone()],
            charge_log: Some(sandbox),
            mails: MailParts { mailer: None, letters: Arc::new(NoAccounts), public_url: String::new(), per_second: 1 },
            couriers: haat::app::core::CourierParts {
                couriers: Vec::new(),
                told: Arc::new(haat::ports::couriers::NoCouriers),
            },
            customers: Arc::new(NoAccounts),
            acceptance: AcceptanceSettings::default(),
            new_jobs: Arc::default(),
            tracer: None,
            threads: arbiters.threads(),
            settings: Default::default(),
            checkpoints: CheckpointSettings::default(),
            on_decide: None,
            on_fatal: Arc::new(|fatal| panic!("{fatal}")),
        });
        let client = Self::serve(&core, services, clock.clone(), store.config()).await;
        let lease = Duration::from_secs(2);
        let core = core.start("then", lease, store.kind == Kind::Postgres).await.expect("it is taken over");
        Self { client, core, clock, _arbiters: arbiters }
    }

    async fn serve(core: &Core, services: Services, clock: Arc<dyn Clock>, store: persistence::StoreConfig) -> Client {
        let ((rows, news), shop) = (core.jobs(), core.shop().clone());
        let ops = Ops::new(OpsParts {
            shop: shop.clone(),
            metrics: RenderMetrics::new(String::new),
            followers: Arc::new(core.followers()),
            lives: Arc::new(haat::app::life::StoredLives::new(store)),
            pools: core.pools(),
            stop: Default::default(),
        });
        let state = HttpState {
            live: Live::new(shop.clone(), &ops),
            ops,
            buyers: Arc::new(BuyerKeys::new(shop.store_key())),
            shop,
            auth: Arc::new(Auth::new(SECRET)),
            settings: Default::default(),
            jobs: JobsDesk { rows, news, mails: None, clock },
            services,
            history_as_of: HistoryAsOf::new(core.history_as_of()),
            rates: None,
            sampler: None,
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        tokio::spawn(server::serve(listener, router(state, Port::All), Default::default(), std::future::pending()));
        Client::new(address)
    }

    fn token(&self, bearer: &Bearer) -> String {
        Auth::new(SECRET).mint(bearer, self.clock.wall(), Duration::from_secs(3600)).expect("a token")
    }
}

/// Taken over a moment after it was left: every kept answer is given again, and what is on its way comes to the end of one that is in time.
async fn is_taken_over_at_once(kind: Kind) {
    for commit in COMMITS {
        let files = Files::of_commit(commit, kind);
        let (store, told) = (files.store(kind).await, files.told());
        let server = OfThen::start(&store, told.made_at).await;
        for kept in &told.answers {
            let again = ask(&server.client, kept, &|bearer: &Bearer| server.token(bearer)).send().await;
            assert_eq!(again.status, kept.status, "{}: {}", kept.what, again.text);
            assert_eq!(again.header("idempotent-replayed"), Some("true"), "{}", kept.what);
            let answer = lasting(again.body);
            assert!(says_all(&answer, &kept.answer), "{}: it was {}, and is {answer}", kept.what, kept.answer);
        }
        let admin = server.token(&bearer("admin root").expect("one"));
        // The sandbox takes a slow payment after a minute; that it does is not what is tried here.
        let quick = |order: &&ToldOrder| !order.what.starts_with("the payment runs");
        let quick = Told { orders: told.orders.iter().filter(quick).cloned().collect(), ..Told::default() };
        all_end(&server.client, &admin, &quick, |order| vec![&order.ends_in_time]).await;
        rows_come_again(&store, &told).await;
        server.core.drain().await.expect("it drains");
        nothing_is_changed(&store, &told).await;
        audited(&store, true).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_golden_store_is_taken_over_sqlite() {
    is_taken_over(Kind::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_golden_store_is_taken_over_postgres() {
    is_taken_over(Kind::Postgres).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_golden_store_is_taken_over_at_once_sqlite() {
    is_taken_over_at_once(Kind::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_golden_store_is_taken_over_at_once_postgres() {
    is_taken_over_at_once(Kind::Postgres).await;
}
