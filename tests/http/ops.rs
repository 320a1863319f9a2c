//! What operators watch: the node as it is now, and as it goes on.

use crate::on_both_stores;
use crate::support::client::{Client, Market};
use crate::support::{SECRET, Server, token};
use bytes::Bytes;
use haat::app::Hooks;
use haat::domain::who::Permission;
use haat::http::auth::{Auth, Bearer};
use haat::limits;
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

const EVENTS: &str = "/v1/admin/overview/events";
const OVERVIEW: &str = "/v1/admin/overview";
const SOON: Duration = Duration::from_secs(30);

fn admin() -> String {
    token(&Bearer::Admin("root".into()))
}

fn staff(permission: Permission) -> String {
    token(&Bearer::Staff("rina".into(), [permission].into_iter().collect()))
}

/// An event of a stream.
#[derive(Debug, PartialEq)]
struct Event {
    name: String,
    id: Option<u64>,
    data: String,
}

impl Event {
    fn read(text: &str) -> Self {
        let line = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        let id = line("id").map(|id| id.parse().expect("a number"));
        Self { name: line("event").expect(text).to_owned(), id, data: line("data").expect(text).to_owned() }
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.data).expect("JSON in one line")
    }

    /// Why the stream ends.
    fn end(&self) -> Value {
        assert_eq!(self.name, "end", "{self:?}");
        self.json()["reason"].clone()
    }
}

/// A stream of events.
struct Stream {
    status: u16,
    body: Incoming,
    text: String,
    _sender: http1::SendRequest<Empty<Bytes>>,
}

impl Stream {
    async fn open(client: Client, token: &str) -> Self {
        let stream = TcpStream::connect(client.address()).await.expect("a connection");
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.expect("HTTP/1.1");
        tokio::spawn(connection);
        let request = http::Request::get(EVENTS).header("host", client.address().to_string());
        let request = request.header("authorization", format!("Bearer {token}")).body(Empty::new()).expect("a request");
        let response = sender.send_request(request).await.expect("an answer");
        let status = response.status().as_u16();
        let mut stream = Self { status, body: response.into_body(), text: String::new(), _sender: sender };
        if status == 200 {
            assert_eq!(stream.block().await.as_deref(), Some("retry: 2000"));
        }
        stream
    }

    /// What stands before the next empty line; `None` when the stream has ended.
    async fn block(&mut self) -> Option<String> {
        loop {
            if let Some((block, rest)) = self.text.split_once("\n\n") {
                let block = block.to_owned();
                self.text = rest.to_owned();
                return Some(block);
            }
            let frame = timeout(SOON, self.body.frame()).await.expect("something comes")?.expect("no error");
            self.text.push_str(std::str::from_utf8(&frame.into_data().unwrap_or_default()).expect("UTF-8"));
        }
    }

    async fn next(&mut self) -> Event {
        Event::read(&self.block().await.expect("one more event"))
    }

    /// The first event that is as this says.
    async fn until(&mut self, is_it: impl Fn(&Value) -> bool) -> Value {
        let look = async {
            loop {
                let shown = self.next().await.json();
                if is_it(&shown["tiles"]) {
                    return shown["tiles"].clone();
                }
            }
        };
        timeout(SOON, look).await.expect("it is shown")
    }

    /// The last event; whatever comes before it is passed over.
    async fn end(&mut self) -> Value {
        loop {
            let event = self.next().await;
            if event.name == "end" {
                assert_eq!(self.block().await, None, "nothing comes after it");
                return event.end();
            }
        }
    }
}

fn find<'a>(list: &'a Value, field: &str, is: &str) -> &'a Value {
    let items = list.as_array().unwrap_or_else(|| panic!("a list: {list}"));
    items.iter().find(|item| item[field] == is).unwrap_or_else(|| panic!("{field} {is} in {list}"))
}

/// A member of the staff, signed in with an account that may see the operation: the session's token, and the account.
pub async fn operator(client: Client, admin: &str) -> (String, String) {
    let (email, password) = ("ops@example.com", "nine boats on the Jamuna");
    let body = json!({"email": email, "role": "staff", "permissions": ["ops.read"]});
    let made = client.post("/v1/admin/accounts", &body).bearer(admin).send().await.expect(201);
    let brought = client.mailed(admin, email, "account.invitation").await;
    client.post("/v1/auth/password/reset", &json!({"token": brought, "password": password})).send().await.expect(204);
    let session =
        client.post("/v1/auth/login", &json!({"email": email, "password": password})).send().await.expect(200);
    (session.field("access_token").to_owned(), made.field("id").to_owned())
}

on_both_stores! {
    /// Every tile says what has just been done.
    async fn the_overview_shows_the_node_as_it_is(store) {
        let server = Server::start(&store).await;
        let client = server.client;
        let Market { admin, vendor, sku, buyer } = client.market(9).await;
        let operator = staff(Permission::OpsRead);
        let mut stream = Stream::open(client, &operator).await;
        let first = stream.next().await.json();
        assert_eq!((&first["over_ms"], &first["tiles"]["http"]["per_second"]), (&Value::Null, &Value::Null));
        client.checkout(&buyer, "tok_approve").header("prefer", "wait=20").send().await.expect(201);
        client.checkout(&client.buyer(&sku, 2).await, "tok_decline").header("prefer", "wait=20").send().await.expect(201);

        // Both are over: a look may have come between the two, or before the follower was there.
        let tiles = stream.until(|tiles| {
            let hot = &tiles["hot"]["skus"][0];
            let has = |list: &Value, is: &dyn Fn(&Value) -> bool| list.as_array().is_some_and(|all| all.iter().any(is));
            let ended = |status: &str| has(&tiles["orders"]["by_status"], &|of| of["status"] == status && of["count"] == 1);
            let follows = |of: &Value| of["name"] == "stock_history" && of["state"] == "follows";
            hot["left"] == 8 && hot["held"] == 0 && ended("paid") && ended("payment_failed") && has(&tiles["followers"]["items"], &follows)
        }).await;
        let hot = &tiles["hot"]["skus"][0];
        assert_eq!((&hot["sku_id"], &hot["vendor_id"], &hot["title"]), (&json!(sku), &json!(vendor), &json!("Quilt")));
        assert_eq!((&hot["on_hand"], &hot["sold"], &hot["price"]["amount"]), (&json!(8), &json!(1), &json!("10.00")));
        assert!(hot["pieces_per_second"].as_f64() > hot["orders_per_second"].as_f64(), "{hot}");
        assert_eq!(tiles["hot"]["vendors"][0]["vendor_id"], vendor);
        assert_eq!((&tiles["node"]["state"], &tiles["node"]["files_missing"]), (&json!("ready"), &json!(false)));
        assert!(tiles["node"]["connections"].as_u64() >= Some(1), "{}", tiles["node"]);
        let route = find(&tiles["http"]["routes"], "route", "/v1/carts/{cart}/checkout");
        assert!(route["per_second"].is_number() && route["latency"]["p99"].as_f64() > Some(0.0), "{route}");
        let vendors = find(&tiles["actors"]["items"], "kind", "vendor");
        assert_eq!((&vendors["live"], &vendors["quarantined"]), (&json!(1), &json!(0)));
        let orders = find(&tiles["actors"]["items"], "kind", "order");
        assert!(orders["latency"]["p50"].as_f64() > Some(0.0) && orders["per_second"]["done"].is_number(), "{orders}");
        assert!(tiles["log_writer"]["commit"]["p95"].as_f64() > Some(0.0), "{}", tiles["log_writer"]);
        assert!(tiles["log_writer"]["records_per_commit"]["p50"].as_f64() >= Some(0.5), "{}", tiles["log_writer"]);
        assert!(tiles["checkpoint"]["lag_limit"].as_u64() > Some(0), "{}", tiles["checkpoint"]);
        assert_eq!(find(&tiles["followers"]["items"], "name", "stock_history")["state"], "follows");
        assert_eq!(find(&tiles["jobs"]["targets"], "target", "mail")["answers"], "yes");
        let provider = find(&tiles["payments"]["providers"], "method", "sandbox");
        assert_eq!((&provider["answers"], &provider["queue"]["oldest_ms"]), (&json!("yes"), &Value::Null));
        let charges = find(&provider["calls"], "call", "charge");
        for outcome in ["succeeded", "declined"] {
            assert_eq!(find(&charges["outcomes"], "outcome", outcome)["total"], 1, "{charges}");
        }
        assert!(charges["latency"]["p50"].as_f64() > Some(0.0), "{charges}");
        let kind = match store.kind { crate::support::Kind::Sqlite => "sqlite", crate::support::Kind::Postgres => "postgres" };
        assert_eq!((&tiles["database"]["kind"], &tiles["database"]["available"]), (&json!(kind), &json!(true)));
        assert_eq!(find(&tiles["database"]["pools"], "name", "lists")["most"], 4);
        assert_eq!(find(&tiles["sheds"]["reasons"], "reason", "mailbox")["total"], 0);

        let asked = client.get(OVERVIEW).bearer(&operator).send().await.expect(200);
        assert!(asked.body["over_ms"].as_u64() > Some(0), "{}", asked.text);
        crate::until("rows of the follower's", async || {
            let followers = client.get("/v1/admin/followers").bearer(&admin).send().await.expect(200);
            let history = find(&followers.body["items"], "name", "stock_history");
            (history["state"] == "follows" && history["rows"].as_u64() > Some(0)).then_some(())
        }).await;
        for path in [OVERVIEW, EVENTS, "/v1/admin/followers"] {
            client.get(path).send().await.expect(401);
            client.get(path).bearer(&staff(Permission::OrdersRead)).send().await.expect(403);
        }
        drop(stream);
        server.stop().await;
    }

    /// All readers are sent the very same look, and a server that stops does not wait for them.
    async fn readers_share_a_look_and_a_stop_ends_their_streams(store) {
        let server = Server::start(&store).await;
        let admin = admin();
        let (mut one, mut other) = (Stream::open(server.client, &admin).await, Stream::open(server.client, &admin).await);
        let mut seen = (Vec::new(), Vec::new());
        // Which looks one of them misses is up to the machine: two that both have seen are enough.
        loop {
            seen.0.push(one.next().await);
            seen.1.push(other.next().await);
            let of_both = |event: &&Event| seen.1.iter().any(|other| other.id == event.id);
            if seen.0.iter().filter(of_both).count() >= 2 {
                break;
            }
            assert!(seen.0.len() < 20, "{seen:?}");
        }
        assert!(seen.0.iter().all(|event| seen.1.iter().all(|other| other.id != event.id || other == event)), "{seen:?}");
        for seen in [&seen.0, &seen.1] {
            let ids: Vec<u64> = seen.iter().map(|event| event.id.expect("an id")).collect();
            assert!(ids.windows(2).all(|pair| pair[0] < pair[1]), "{ids:?}");
        }
        let started = Instant::now();
        let (stopped, ends) = tokio::join!(server.stop(), async { (one.end().await, other.end().await) });
        assert_eq!((stopped, ends), ((), (json!("stopping"), json!("stopping"))));
        assert!(started.elapsed() < Duration::from_millis(limits::DRAIN_MS) / 2, "nobody is waited for");
    }

    /// A stream ends with its session, and with its token.
    async fn nothing_more_is_shown_to_whoever_may_not_see_it_any_more(store) {
        let server = Server::start(&store).await;
        let client = server.client;
        let admin = admin();
        let (token, account) = operator(client, &admin).await;
        let mut stream = Stream::open(client, &token).await;
        stream.next().await;
        let disabled = json!({"disabled": true});
        let path = format!("/v1/admin/accounts/{account}");
        client.request("PATCH", &path).json(&disabled).bearer(&admin).send().await.expect(200);
        let end = timeout(Duration::from_secs(5), stream.end()).await.expect("within five seconds");
        assert_eq!(end, "session_over");
        client.get(EVENTS).bearer(&token).send().await.expect(401);

        let now = haat::ports::Clock::wall(&haat::adapters::clock::SystemClock::default());
        let short = Auth::new(SECRET).mint(&Bearer::Admin("root".into()), now, Duration::from_secs(6)).expect("a token");
        let mut stream = Stream::open(client, &short).await;
        stream.next().await;
        assert_eq!(stream.end().await, "token_expired");
        server.stop().await;
    }

    /// An order's life, from its first record to its last: what was recorded, what came of it, and what changed. Nothing of it tells of the buyer.
    async fn a_life_is_shown_version_by_version(store) {
        let server = Server::start(&store).await;
        let client = server.client;
        let Market { admin, vendor, sku, buyer } = client.market(9).await;
        let operator = staff(Permission::OpsRead);
        let order = client.checkout(&buyer, "tok_approve").key("k").header("prefer", "wait=20").send().await.expect(201);
        let path = format!("/v1/admin/actors/order/{}", order.field("id"));
        let look = async |query: &str| {
            client.get(&format!("{path}/versions{query}")).bearer(&operator).send().await
        };
        let settled = async {
            loop {
                let actor = client.get(&path).bearer(&operator).send().await.expect(200).body;
                if actor["effects"] == json!([]) && actor["state"]["phase"] == "settled" {
                    return actor;
                }
                tokio::task::yield_now().await;
            }
        };
        let actor = timeout(SOON, settled).await.expect("it is settled");
        assert_eq!((&actor["quarantined"], &actor["requests_waiting"]), (&json!(false), &json!(0)));
        let newest = actor["version"].as_u64().expect("a version");
        // The newest version is shown once it is durable.
        let whole = async {
            loop {
                let life = look("").await.expect(200);
                if life.body["items"].as_array().and_then(|items| items.last()).is_some_and(|last| last["version"] == newest) {
                    return life;
                }
                tokio::task::yield_now().await;
            }
        };
        let life = timeout(SOON, whole).await.expect("all of it is durable");
        assert_eq!((&life.body["newest"], &life.body["id"]), (&json!(newest), &order.body["id"]));
        let items = life.body["items"].as_array().expect("versions").clone();
        let versions: Vec<u64> = items.iter().map(|item| item["version"].as_u64().expect("a number")).collect();
        assert_eq!(versions, (1..=newest).collect::<Vec<_>>());
        assert_eq!(items[0]["events"][0]["type"], "placed");
        assert_eq!(items.last().expect("one")["state"], actor["state"]);
        // Each state is the one before with its changes.
        let mut state = json!({});
        for item in &items {
            for change in item["changes"].as_array().expect("a list") {
                let path = change["path"].as_str().expect("a pointer");
                let (parent, name) = path.rsplit_once('/').expect("a name");
                match state.pointer_mut(parent).expect(path) {
                    Value::Object(fields) => {
                        assert_eq!(fields.get(name), change.get("from"), "{path}");
                        _ = match change.get("to") {
                            Some(to) => fields.insert(name.to_owned(), to.clone()),
                            None => fields.remove(name),
                        };
                    }
                    Value::Array(list) => {
                        let place: usize = name.parse().expect("a place");
                        assert!(place <= list.len());
                        list.truncate(list.len().max(place));
                        if place == list.len() { list.push(Value::Null) }
                        list[place] = change["to"].clone();
                    }
                    other => panic!("{path} in {other}"),
                }
            }
            assert_eq!(state, item["state"], "version {}", item["version"]);
        }
        for personal in ["Lake", "example", "tok_approve"] {
            assert!(!life.text.contains(personal), "{personal} in {}", life.text);
        }
        let part = look("?from=2&to=3").await.expect(200).body;
        assert_eq!(part["items"], json!([items[1], items[2]]));
        let rest = look(&format!("?from={newest}")).await.expect(200).body;
        assert_eq!(rest["items"], json!([items.last()]));
        assert_eq!(look("?to=1").await.expect(200).body["items"], json!([items[0]]));
        assert_eq!(look("?from=1000").await.expect(200).body["items"], json!([]));
        for bad in ["?from=0", "?from=3&to=2", "?from=1&to=201", "?from=x", "?upto=1"] {
            assert_eq!(look(bad).await.status, 422, "{bad}");
        }
        // Who did it, where the record says so; and whoever is not there has no life.
        let stock = json!({"delta": 2, "reason": "found"});
        let shelf = format!("/v1/vendors/{vendor}/skus/{sku}/stock");
        client.post(&shelf, &stock).bearer(&admin).send().await.expect(200);
        let life = client.get(&format!("/v1/admin/actors/vendor/{vendor}/versions")).bearer(&operator).send().await.expect(200);
        let last = life.body["items"].as_array().and_then(|items| items.last()).expect("one").clone();
        assert_eq!((&last["by"], &last["events"][0]["type"]), (&json!({"kind": "staff"}), &json!("stock_adjusted")));
        let nothing = haat::domain::ids::OrderId::from_uuid(crate::support::fresh_uuid());
        let none = client.get(&format!("/v1/admin/actors/order/{nothing}/versions")).bearer(&operator).send().await.expect(404);
        assert_eq!(none.code(), "order_unknown");
        client.get(&format!("{path}/versions")).bearer(&staff(Permission::OrdersRead)).send().await.expect(403);

        // One at a time: who comes too early is told so, and nobody is told anything else.
        let mut asked = Vec::new();
        for _ in 0..16 {
            let request = client.get(&format!("{path}/versions")).bearer(&operator);
            asked.push(tokio::spawn(async move { request.send().await }));
        }
        let mut read = 0;
        for answer in asked {
            let answer = answer.await.expect("no panic");
            read += usize::from(answer.status == 200);
            let is_told = answer.status == 503 && answer.code() == "overloaded" && answer.header("retry-after") == Some("1");
            assert!(answer.status == 200 || is_told, "{}", answer.text);
        }
        assert!(read >= 1);
        server.stop().await;
    }
}

/// Nobody watches while things go wrong. Whoever comes then is shown them by the first look, and when they were.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_went_wrong_while_nobody_watched_is_in_the_first_look() {
    let store = crate::support::TestStore::new(crate::support::Kind::Sqlite).await;
    let on_decide: haat::actors::DecideHook = Arc::new(|_, command| {
        let is_fatal = format!("{command:?}").starts_with("SetPrice");
        assert!(!is_fatal, "a bug");
    });
    let server = Server::start_with(store.server(), Hooks { on_decide: Some(on_decide), ..Hooks::default() }).await;
    let client = server.client;
    let Market { admin, vendor, sku, buyer } = client.market(9).await;
    let price = json!({"price": {"amount": "11.00", "currency": "BDT"}});
    let path = format!("/v1/vendors/{vendor}/skus/{sku}");
    client.request("PATCH", &path).json(&price).bearer(&admin).send().await.expect(503);
    client.checkout(&buyer, "tok_flaky_1").header("prefer", "wait=20").send().await.expect(201);
    let mut stream = Stream::open(client, &admin).await;
    let first = stream.next().await.json();
    assert_eq!(first["over_ms"], Value::Null, "nobody has watched");
    let lately = &first["tiles"]["lately"];
    for (count, of) in [("actor_restarts", "vendor"), ("payments_unanswered", "sandbox")] {
        let item = find(&lately["items"], "count", count);
        assert_eq!((&item["of"], &item["risen"]), (&json!(of), &json!(1)), "{lately}");
        assert!(item["last"].as_str() <= first["at"].as_str() && item["last"].as_str() > Some("2"), "{item}");
    }
    assert!(lately["over_ms"].as_u64() < Some(limits::LATELY_MS), "{lately}");
    // It stays there, without being counted again.
    let second = stream.next().await.json();
    let again = find(&second["tiles"]["lately"]["items"], "count", "actor_restarts").clone();
    assert_eq!(&again, find(&lately["items"], "count", "actor_restarts"));
    drop(stream);
    server.stop().await;
}

/// So many read and no more; who goes makes room for the next.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_have_a_limit() {
    let store = crate::support::TestStore::new(crate::support::Kind::Sqlite).await;
    let server = Server::start(&store).await;
    let admin = admin();
    let mut streams = Vec::new();
    for _ in 0..limits::OVERVIEW_READERS {
        let stream = Stream::open(server.client, &admin).await;
        assert_eq!(stream.status, 200);
        streams.push(stream);
    }
    for path in [EVENTS, OVERVIEW] {
        let refused = server.client.get(path).bearer(&admin).send().await.expect(503);
        assert_eq!((refused.code(), refused.header("retry-after")), ("overloaded", Some("5")));
    }
    streams.pop();
    let again = async {
        while server.client.get(OVERVIEW).bearer(&admin).send().await.status != 200 {
            tokio::task::yield_now().await;
        }
    };
    timeout(SOON, again).await.expect("there is room again");
    drop(streams);
    server.stop().await;
}

/// Holds whoever looks at it, for as long as this lives: also one that fails lets go.
struct Held(Arc<(parking_lot::Mutex<bool>, parking_lot::Condvar)>);

impl Held {
    fn begin(gate: Arc<(parking_lot::Mutex<bool>, parking_lot::Condvar)>) -> Self {
        *gate.0.lock() = true;
        Self(gate)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        *self.0.0.lock() = false;
        self.0.1.notify_all();
    }
}

/// While one vendor is stuck in a turn, what is sent to it piles up, and is shown; afterwards nothing is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deep_mailboxes_are_shown_while_they_are_deep() {
    let store = crate::support::TestStore::new(crate::support::Kind::Sqlite).await;
    let gate = Arc::new((parking_lot::Mutex::new(false), parking_lot::Condvar::new()));
    let waits = gate.clone();
    let on_decide: haat::actors::DecideHook = Arc::new(move |_, command| {
        if format!("{command:?}").starts_with("SetPrice") {
            let mut is_held = waits.0.lock();
            waits.1.wait_while(&mut is_held, |is_held| *is_held);
        }
    });
    let hooks = Hooks { on_decide: Some(on_decide), ..Hooks::default() };
    let server = Server::start_with(store.server(), hooks).await;
    let client = server.client;
    let Market { admin, vendor, sku, .. } = client.market(9).await;
    let deepest = async || {
        let actors = client.get("/v1/admin/actors").bearer(&admin).send().await.expect(200);
        find(&actors.body["items"], "kind", "vendor")["deepest"].clone()
    };
    assert_eq!(deepest().await, json!([]));
    let held = Held::begin(gate);
    let path = format!("/v1/vendors/{vendor}/skus/{sku}");
    let price = json!({"price": {"amount": "11.00", "currency": "BDT"}});
    // One is in its turn; the mailbox gets one less than is deep, and then one more.
    let mut asked = Vec::new();
    let ask = || {
        let request = client.request("PATCH", &path).json(&price).bearer(&admin);
        tokio::spawn(async move { request.send().await.status })
    };
    for _ in 0..limits::DEEP_MAILBOX {
        asked.push(ask());
    }
    let depth = async || {
        let overview = server.shop.actors();
        overview.iter().find(|kind| kind.kind.name() == "vendor").expect("vendors").deepest.clone()
    };
    asked.push(ask());
    let look = async {
        while depth().await.is_empty() {
            tokio::task::yield_now().await;
        }
    };
    timeout(SOON, look).await.expect("it is deep");
    // It is one deeper until the first of them has come to its turn.
    let shown = crate::until("the first to be in its turn", async || {
        let shown = deepest().await;
        (shown[0]["mailbox_depth"] == json!(limits::DEEP_MAILBOX)).then_some(shown)
    })
    .await;
    assert_eq!(shown[0]["id"], json!(vendor));
    let overview = client.get(OVERVIEW).bearer(&admin).send().await.expect(200);
    let mailboxes = &overview.body["tiles"]["mailboxes"];
    assert_eq!((&mailboxes["from_depth"], &mailboxes["items"][0]["id"]), (&json!(16), &json!(vendor)));
    drop(held);
    for asked in asked {
        assert_eq!(asked.await.expect("no panic"), 200);
    }
    assert_eq!(deepest().await, json!([]));
    server.stop().await;
}
