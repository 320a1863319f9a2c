//! Live stock: what a SKU and a sale tell to whoever watches, and when a stream ends.

use crate::on_both_stores;
use crate::ops::operator;
use crate::rates::Ahead;
use crate::support::client::Client;
use crate::support::{SECRET, Server, token};
use bytes::Bytes;
use haat::app::Hooks;
use haat::http::auth::{Auth, Bearer};
use haat::http::money::Moment;
use haat::limits;
use haat::ports::Clock;
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

const SOON: Duration = Duration::from_secs(30);
const HOUR_MS: i64 = 3_600_000;

fn admin() -> String {
    token(&Bearer::Admin("root".into()))
}

fn bdt(amount: &str) -> Value {
    json!({"amount": amount, "currency": "BDT"})
}

fn of_sku(sku: &str) -> String {
    format!("/v1/skus/{sku}/events")
}

/// A request for a stream.
fn asks(client: Client, path: &str, headers: &[(&str, &str)]) -> http::Request<Empty<Bytes>> {
    let request = http::Request::get(format!("http://{}{path}", client.address()));
    let request = request.header("host", client.address().to_string());
    headers
        .iter()
        .fold(request, |request, (name, value)| request.header(*name, *value))
        .body(Empty::new())
        .expect("a request")
}

/// A stream of events.
pub struct Stream {
    body: Incoming,
    text: String,
    /// The id of the last event that had one.
    id: String,
    _sender: http1::SendRequest<Empty<Bytes>>,
}

impl Stream {
    pub async fn open(client: Client, path: &str, headers: &[(&str, &str)]) -> Self {
        let stream = TcpStream::connect(client.address()).await.expect("a connection");
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.expect("HTTP/1.1");
        tokio::spawn(connection);
        let response = sender.send_request(asks(client, path, headers)).await.expect("an answer");
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        let mut stream = Self { body: response.into_body(), text: String::new(), id: String::new(), _sender: sender };
        let hello = stream.block().await.expect("something is said");
        let retry: u64 = hello.strip_prefix("retry: ").and_then(|ms| ms.parse().ok()).expect("when to come back");
        assert!((2_000..5_000).contains(&retry), "{retry}");
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

    /// The name and the data of the next event; comments are passed over.
    pub async fn event(&mut self) -> (String, Value) {
        loop {
            let block = self.block().await.expect("one more event");
            if block == ":" {
                continue;
            }
            let line = |name: &str| block.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
            if let Some(id) = line("id") {
                id.clone_into(&mut self.id);
            }
            let data = serde_json::from_str(line("data").expect(&block)).expect("JSON in one line");
            return (line("event").expect(&block).to_owned(), data);
        }
    }

    /// How it stands, as the next event tells.
    async fn stock(&mut self) -> Value {
        let (name, data) = self.event().await;
        assert_eq!(name, "stock", "{data}");
        data
    }

    /// The first event of this SKU that has so many pieces.
    async fn until(&mut self, sku: &str, available: i64) -> Value {
        loop {
            let told = self.stock().await;
            if told["sku_id"] == sku && told["available"] == available {
                return told;
            }
        }
    }

    /// Why it ends; whatever comes before that is passed over.
    pub async fn end(&mut self) -> Value {
        loop {
            let (name, data) = self.event().await;
            if name == "end" {
                assert_eq!(self.block().await, None, "nothing comes after it");
                return data["reason"].clone();
            }
        }
    }
}

/// Makes the stock of a SKU another by hand.
async fn restock(client: Client, vendor: &str, sku: &str, delta: i64) {
    let body = json!({"delta": delta, "reason": "counted"});
    client.post(&format!("/v1/vendors/{vendor}/skus/{sku}/stock"), &body).bearer(&admin()).send().await.expect(200);
}

/// A server whose orders expire after a second.
async fn hasty(store: &crate::support::TestStore) -> Server {
    let mut config = store.server();
    (config.node.shop.payment_ms, config.node.shop.hold_ms) = (1_000, 1_200);
    Server::start_with(config, Hooks::default()).await
}

on_both_stores! {
    /// From the first look on: what is held is gone, and what is given back when its time is over is there again.
    async fn a_stream_tells_what_is_held_and_what_comes_back(store) {
        let server = hasty(&store).await;
        let client = server.client;
        let (vendor, sku) = client.shop(&admin(), "10.00", 9).await;
        let mut stream = Stream::open(client, &of_sku(&sku), &[]).await;
        assert_eq!(stream.stock().await, json!({"sku_id": sku, "available": 9, "price": bdt("10.00")}));
        let order = client.checkout(&client.buyer(&sku, 2).await, "tok_slow_60000").send().await.expect(201);
        assert_eq!(order.field("status"), "awaiting_payment");
        stream.until(&sku, 7).await;
        // Nobody pays, and nobody asks: the hold is over, and its pieces are told.
        stream.until(&sku, 9).await;
        // Another price is told as well.
        let price = json!({"price": bdt("8.00")});
        client.request("PATCH", &format!("/v1/vendors/{vendor}/skus/{sku}")).json(&price).bearer(&admin()).send().await.expect(200);
        assert_eq!(stream.stock().await, json!({"sku_id": sku, "available": 9, "price": bdt("8.00")}));
        server.stop().await;
    }

    /// What a declined card gives back is told as soon as it is given back: nobody has to ask.
    async fn what_a_declined_card_gives_back_is_told(store) {
        let server = Server::start(&store).await;
        let client = server.client;
        let (vendor, sku) = client.shop(&admin(), "10.00", 9).await;
        let mut stream = Stream::open(client, &of_sku(&sku), &[]).await;
        stream.stock().await;
        let declined = client.checkout(&client.buyer(&sku, 3).await, "tok_decline").header("prefer", "wait=20").send().await;
        assert_eq!(declined.expect(201).field("status"), "payment_failed");
        restock(client, &vendor, &sku, 1).await;
        stream.until(&sku, 10).await;
        server.stop().await;
    }

    /// Whoever comes back with what they know is told only what is another.
    async fn what_is_known_is_not_told_again(store) {
        let server = Server::start(&store).await;
        let client = server.client;
        let (vendor, sku) = client.shop(&admin(), "10.00", 9).await;
        let mut first = Stream::open(client, &of_sku(&sku), &[]).await;
        first.stock().await;
        let known = first.id.clone();
        assert_eq!(known.len(), 16, "{known}");
        let mut second = Stream::open(client, &of_sku(&sku), &[("last-event-id", &known)]).await;
        let mut stranger = Stream::open(client, &of_sku(&sku), &[("last-event-id", "0")]).await;
        assert_eq!(stranger.stock().await["available"], 9);
        restock(client, &vendor, &sku, -1).await;
        assert_eq!(second.stock().await["available"], 8, "the first it is told is news");
        assert_eq!((first.stock().await["available"].clone(), first.id == second.id), (json!(8), true));
        // It is known, too, by a server that has never told it.
        drop((first, stranger));
        server.stop().await;
        let server = Server::start(&store).await;
        let mut again = Stream::open(server.client, &of_sku(&sku), &[("last-event-id", &second.id)]).await;
        let mut behind = Stream::open(server.client, &of_sku(&sku), &[("last-event-id", &known)]).await;
        assert_eq!(behind.stock().await["available"], 8);
        restock(server.client, &vendor, &sku, -1).await;
        assert_eq!(again.stock().await["available"], 7);
        server.stop().await;
    }

    /// A sale begins, opens more and ends by the time alone: no record is made, and all who watch are told.
    async fn what_comes_by_time_alone_is_told(store) {
        let clock = Arc::new(Ahead::default());
        let server = Server::start_with(store.server(), Hooks { clock: Some(clock.clone()), ..Hooks::default() }).await;
        let client = server.client;
        let (vendor, sku) = client.shop(&admin(), "10.00", 100).await;
        let begun = clock.now();
        let at = |hours: i64| Moment(begun.plus_millis(hours * HOUR_MS)).to_string();
        let tranches = json!([{"opens_at": at(1), "quantity": 20}, {"opens_at": at(3), "quantity": 10}]);
        let sale = json!({
            "name": "11.11", "starts_at": at(1), "ends_at": at(5), "time_zone": "Asia/Dhaka",
            "items": [{"sku_id": sku, "price": bdt("6.00"), "allotment": 30, "tranches": tranches}],
        });
        let sale = client.post(&format!("/v1/vendors/{vendor}/sales"), &sale).bearer(&admin()).send().await.expect(201);
        let mut streams = [
            Stream::open(client, &of_sku(&sku), &[]).await,
            Stream::open(client, &format!("/v1/sales/{}/events", sale.field("id")), &[]).await,
        ];
        let stands = |available: i64, price: &str| json!({"sku_id": sku, "available": available, "price": bdt(price)});
        let in_sale = |left: i64| json!({"sku_id": sku, "available": left, "price": bdt("6.00"), "sale_left": left});
        for (hours, told) in [(0, stands(70, "10.00")), (2, in_sale(20)), (2, in_sale(30)), (2, stands(100, "10.00"))] {
            clock.by_ms.fetch_add(hours * HOUR_MS, Ordering::SeqCst);
            for stream in &mut streams {
                assert_eq!(stream.stock().await, told);
            }
        }
        server.stop().await;
    }

    /// First each SKU of the sale, then each that is another; what is put into the sale later, too.
    async fn a_sale_tells_of_each_of_its_goods(store) {
        let clock = Arc::new(Ahead::default());
        let server = Server::start_with(store.server(), Hooks { clock: Some(clock.clone()), ..Hooks::default() }).await;
        let client = server.client;
        let (vendor, first) = client.shop(&admin(), "10.00", 50).await;
        let sku = |code: &str| json!({"code": code, "price": bdt("20.00"), "on_hand": 40});
        let product = json!({"title": "Shawl", "skus": [sku("S1"), sku("S2")]});
        let product = client.post(&format!("/v1/vendors/{vendor}/products"), &product).bearer(&admin()).send().await.expect(201);
        let [second, third] = [0, 1].map(|at: usize| product.body["skus"][at]["id"].as_str().expect("an id").to_owned());
        let at = |hours: i64| Moment(clock.now().plus_millis(hours * HOUR_MS)).to_string();
        let item = |sku: &str, allotment: i64| json!({"sku_id": sku, "price": bdt("5.00"), "allotment": allotment});
        let sale = json!({
            "name": "11.11", "starts_at": at(1), "ends_at": at(50), "time_zone": "Asia/Dhaka",
            "items": [item(&first, 5), item(&second, 4)], "when_exhausted": "regular_price",
        });
        let sale = client.post(&format!("/v1/vendors/{vendor}/sales"), &sale).bearer(&admin()).send().await.expect(201);
        let (path, own) = (format!("/v1/sales/{}/events", sale.field("id")), format!("/v1/vendors/{vendor}/sales/{}", sale.field("id")));
        let regular = |sku: &str, left: i64, price: &str| json!({"sku_id": sku, "available": left, "price": bdt(price)});
        let stands = |sku: &str, left: i64| json!({"sku_id": sku, "available": left, "price": bdt("5.00"), "sale_left": left});
        let mut stream = Stream::open(client, &path, &[]).await;
        assert_eq!(stream.stock().await, regular(&first, 45, "10.00"));
        assert_eq!(stream.id, "", "whoever has only this is told all of it again");
        assert_eq!(stream.stock().await, regular(&second, 36, "20.00"));
        let known = stream.id.clone();
        let mut knows = Stream::open(client, &path, &[("last-event-id", &known)]).await;
        let more = json!({"items": [item(&third, 3)]});
        client.request("PATCH", &own).json(&more).bearer(&admin()).send().await.expect(200);
        for stream in [&mut stream, &mut knows] {
            assert_eq!(stream.stock().await, regular(&third, 37, "20.00"));
        }

        // It begins for all of them. What is bought of one is told of that one alone: gone, it can be had at the regular price.
        clock.by_ms.fetch_add(2 * HOUR_MS, Ordering::SeqCst);
        for stream in [&mut stream, &mut knows] {
            for told in [stands(&first, 5), stands(&second, 4), stands(&third, 3)] {
                assert_eq!(stream.stock().await, told);
            }
        }
        client.checkout(&client.buyer(&second, 4).await, "tok_approve").header("prefer", "wait=20").send().await.expect(201);
        let gone = json!({"sku_id": second, "available": 36, "price": bdt("20.00"), "sale_left": 0});
        for stream in [&mut stream, &mut knows] {
            assert_eq!(stream.stock().await, gone);
        }
        assert!(stream.id == knows.id && stream.id != known);
        client.post(&format!("{own}/cancel"), &json!({})).bearer(&admin()).send().await.expect(200);
        for told in [regular(&first, 50, "10.00"), regular(&second, 36, "20.00"), regular(&third, 40, "20.00")] {
            assert_eq!(stream.stock().await, told);
        }
        server.stop().await;
    }

    async fn what_is_not_there_has_no_stream(store) {
        let server = Server::start(&store).await;
        let unknown = "01h2xcejqtf2nbrexx3vqjhp41";
        for (path, code) in [(format!("/v1/skus/sku_{unknown}/events"), "sku_unknown"), (format!("/v1/sales/sale_{unknown}/events"), "sale_unknown")] {
            assert_eq!(server.client.get(&path).send().await.expect(404).code(), code);
        }
        let (_, sku) = server.client.shop(&admin(), "10.00", 9).await;
        server.client.get(&of_sku(&sku)).bearer("junk").send().await.expect(401);
        server.stop().await;
    }

    /// A server that stops does not wait for those who watch.
    async fn a_stop_ends_streams_at_once(store) {
        let server = Server::start(&store).await;
        let (_, sku) = server.client.shop(&admin(), "10.00", 9).await;
        let mut streams = [Stream::open(server.client, &of_sku(&sku), &[]).await, Stream::open(server.client, &of_sku(&sku), &[]).await];
        for stream in &mut streams {
            stream.stock().await;
        }
        let metrics = server.client.get("/metrics").send().await.expect(200).text;
        assert!(metrics.lines().any(|line| line.starts_with("haat_http_live_streams ")), "{metrics}");
        let started = Instant::now();
        let [one, other] = &mut streams;
        let (stopped, ends) = tokio::join!(server.stop(), async { (one.end().await, other.end().await) });
        assert_eq!((stopped, ends), ((), (json!("stopping"), json!("stopping"))));
        assert!(started.elapsed() < Duration::from_millis(limits::DRAIN_MS) / 2, "nobody is waited for");
    }

    /// Whoever came with a session is told nothing after it; whoever came with nothing goes on.
    async fn a_stream_ends_with_its_session(store) {
        let server = Server::start(&store).await;
        let client = server.client;
        let (vendor, sku) = client.shop(&admin(), "10.00", 9).await;
        let (session, account) = operator(client, &admin()).await;
        let mut stream = Stream::open(client, &of_sku(&sku), &[("authorization", &format!("Bearer {session}"))]).await;
        stream.stock().await;
        let mut anyone = Stream::open(client, &of_sku(&sku), &[]).await;
        anyone.stock().await;
        let disabled = json!({"disabled": true});
        client.request("PATCH", &format!("/v1/admin/accounts/{account}")).json(&disabled).bearer(&admin()).send().await.expect(200);
        let end = timeout(Duration::from_secs(5), stream.end()).await.expect("within five seconds");
        assert_eq!(end, "session_over");

        let now = haat::adapters::clock::SystemClock::default().wall();
        let short = Auth::new(SECRET).mint(&Bearer::Admin("root".into()), now, Duration::from_secs(4)).expect("a token");
        let mut stream = Stream::open(client, &of_sku(&sku), &[("authorization", &format!("Bearer {short}"))]).await;
        stream.stock().await;
        assert_eq!(stream.end().await, "token_expired");
        restock(client, &vendor, &sku, 1).await;
        assert_eq!(anyone.stock().await["available"], 10);
        server.stop().await;
    }

    /// Over HTTP/2 a page, or a gateway, has them all in one connection, and each is told.
    async fn many_streams_share_a_connection(store) {
        let server = Server::start(&store).await;
        let client = server.client;
        let (vendor, sku) = client.shop(&admin(), "10.00", 9).await;
        let io = TokioIo::new(TcpStream::connect(client.address()).await.expect("a connection"));
        let (sender, connection) = http2::handshake(TokioExecutor::new(), io).await.expect("HTTP/2");
        tokio::spawn(connection);
        let opens = (0..150).map(|_| {
            let mut sender = sender.clone();
            let request = asks(client, &of_sku(&sku), &[]);
            async move { sender.send_request(request).await.expect("an answer").into_body() }
        });
        let mut bodies = futures::future::join_all(opens).await;
        for available in [9, 10] {
            for body in &mut bodies {
                let told = format!("\"available\":{available},");
                let reads = async {
                    let mut text = String::new();
                    while !text.contains(&told) {
                        let frame = body.frame().await.expect("it goes on").expect("no error");
                        text.push_str(std::str::from_utf8(&frame.into_data().unwrap_or_default()).expect("UTF-8"));
                    }
                };
                timeout(SOON, reads).await.expect("each is told");
            }
            restock(client, &vendor, &sku, 1).await;
        }
        server.stop().await;
    }

    /// A client with no room for an event is given up with its connection; whoever reads is not, however long nothing happens.
    async fn a_reader_that_takes_nothing_is_given_up(store) {
        let mut config = store.server();
        config.server.answer = Duration::from_secs(1);
        let server = Server::start_with(config, Hooks::default()).await;
        let client = server.client;
        let (vendor, sku) = client.shop(&admin(), "10.00", 9).await;
        let mut reads = Stream::open(client, &of_sku(&sku), &[]).await;
        reads.stock().await;
        let io = TokioIo::new(TcpStream::connect(client.address()).await.expect("a connection"));
        let mut builder = http2::Builder::new(TokioExecutor::new());
        let (mut sender, connection) = builder.initial_stream_window_size(20).handshake(io).await.expect("HTTP/2");
        let connection = tokio::spawn(connection);
        let opened = sender.send_request(asks(client, &of_sku(&sku), &[])).await.expect("an answer");
        assert_eq!(opened.status(), 200);
        // Of HTTP/2's windows a frame may be longer: the second one after it is full finds no room for certain.
        for available in [10, 11, 12] {
            restock(client, &vendor, &sku, 1).await;
            assert_eq!(reads.stock().await["available"], available);
        }
        let _ = timeout(SOON, connection).await.expect("it is ended").expect("no panic");
        drop(opened);
        restock(client, &vendor, &sku, 1).await;
        assert_eq!(reads.stock().await["available"], 13);
        server.stop().await;
    }
}
