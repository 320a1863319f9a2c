//! HTTP/2 as no client library speaks it: resets, floods, bombs. A connection that does so ends, or is answered; others never notice.

use crate::support::client::{Buyer, checkout_body};
use crate::support::journal::Gate;
use crate::support::token;
use crate::target::{BOUND, Target};
use crate::wire::Wire;
use haat::app::Hooks;
use haat::domain::ids::Kind;
use haat::http::auth::Bearer;
use haat::http::metrics::REQUESTS;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// Types of frames (RFC 9113, 6).
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;

const END_STREAM: u8 = 1;
const ACK: u8 = 1;
const END_HEADERS: u8 = 4;

/// Error codes (RFC 9113, 7).
const REFUSED_STREAM: u32 = 7;
const CANCEL: u32 = 8;
const ENHANCE_YOUR_CALM: u32 = 11;

/// A limit that a test waits out: longer than a busy machine keeps those waiting who are quick.
const SHORT: Duration = Duration::from_secs(2);

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a frame's length").to_be_bytes();
    let mut bytes = vec![length[1], length[2], length[3], kind, flags];
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// An integer of HPACK with a prefix of seven bits (RFC 7541, 5.1).
fn integer(mut value: usize) -> Vec<u8> {
    if value < 127 {
        return vec![u8::try_from(value).expect("small")];
    }
    value -= 127;
    let mut bytes = vec![127];
    while value >= 128 {
        bytes.push(u8::try_from(value % 128).expect("small") | 128);
        value /= 128;
    }
    bytes.push(u8::try_from(value).expect("small"));
    bytes
}

fn text(text: &str) -> Vec<u8> {
    [integer(text.len()), text.as_bytes().to_vec()].concat()
}

/// A header that is in no table.
fn literal(name: &str, value: &str) -> Vec<u8> {
    [vec![0], text(name), text(value)].concat()
}

/// The head of a GET: `:method`, `:scheme`, `:path`, `:authority`.
fn get(path: &str) -> Vec<u8> {
    [vec![0x82, 0x86, 0x04], text(path), vec![0x01], text("x")].concat()
}

/// A connection after its preface.
struct H2(Wire);

struct Frame {
    kind: u8,
    flags: u8,
    stream: u32,
    payload: Vec<u8>,
}

impl Frame {
    fn code(&self) -> u32 {
        let at = if self.kind == GOAWAY { 4 } else { 0 };
        u32::from_be_bytes(self.payload[at..at + 4].try_into().expect("four bytes"))
    }

    /// Whether it is the connection's first head and has this status: an index of the static table, or its three digits in Huffman's code
    /// (RFC 7541, A and B).
    fn is_status(&self, status: u16) -> bool {
        let first: &[&[u8]] = match status {
            200 => &[&[0x88]],
            431 => &[&[0x48, 0x83, 0x69, 0x90, 0xff]],
            _ => panic!("{status} is not one that the test knows"),
        };
        self.kind == HEADERS && first.iter().any(|first| self.payload.starts_with(first))
    }
}

impl H2 {
    async fn connect(target: &Target) -> Self {
        let mut wire = Wire::connect(target.client).await;
        wire.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
        wire.send(frame(SETTINGS, 0, 0, &[])).await;
        Self(wire)
    }

    async fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        self.0.send(frame(kind, flags, stream, payload)).await;
    }

    async fn next(&mut self) -> Option<Frame> {
        let head = self.0.exactly(9).await?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let stream = u32::from_be_bytes([head[5] & 0x7f, head[6], head[7], head[8]]);
        let payload = self.0.exactly(usize::try_from(length).expect("a length")).await?;
        Some(Frame { kind: head[3], flags: head[4], stream, payload })
    }

    /// The first of the frames to come that is of this kind, or the GOAWAY before it; `None` at the end.
    async fn until(&mut self, kind: u8) -> Option<Frame> {
        loop {
            let frame = self.next().await?;
            if frame.kind == SETTINGS && frame.flags & ACK == 0 {
                self.send(SETTINGS, ACK, 0, &[]).await;
            }
            if frame.kind == kind || frame.kind == GOAWAY {
                return Some(frame);
            }
        }
    }

    /// The code with which the other side ends the connection, which it must; `None` when it says nothing.
    async fn ended(&mut self) -> Option<u32> {
        let mut code = None;
        while let Some(frame) = self.until(GOAWAY).await {
            code = Some(frame.code());
        }
        code
    }

    /// Asks for a small thing, which must be answered.
    async fn is_served(&mut self, stream: u32) {
        self.send(HEADERS, END_HEADERS | END_STREAM, stream, &get("/healthz")).await;
        loop {
            let frame = self.until(HEADERS).await.expect("an answer");
            assert_eq!(frame.kind, HEADERS, "{:x?}", frame.payload);
            if frame.stream == stream {
                assert!(frame.is_status(200), "{:x?}", frame.payload);
                return;
            }
        }
    }
}

/// More streams than may be open at once: each is answered or refused, and the connection goes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_too_many_streams_each_is_answered_or_refused() {
    let target = Target::start().await;
    let mut h2 = H2::connect(&target).await;
    let streams: Vec<u32> = (0..500).map(|number| 2 * number + 1).collect();
    let mut sent = Vec::new();
    for stream in &streams {
        // Without its end: a request that waits for its body stays open.
        let head = [
            vec![0x83, 0x86, 0x04],
            text("/v1/carts"),
            vec![0x01],
            text("x"),
            literal("content-type", "application/json"),
        ];
        sent.extend(frame(HEADERS, END_HEADERS, *stream, &head.concat()));
    }
    for stream in &streams {
        sent.extend(frame(DATA, END_STREAM, *stream, b"{}"));
    }
    h2.0.send(sent).await;
    let mut told: BTreeMap<u32, u32> = BTreeMap::new();
    while told.len() < streams.len() {
        let frame = h2.next().await.expect("the connection goes on");
        match frame.kind {
            HEADERS => {
                told.insert(frame.stream, 0);
            }
            RST_STREAM => {
                told.entry(frame.stream).or_insert(frame.code());
            }
            GOAWAY => panic!("the connection ends with code {}", frame.code()),
            _ => {}
        }
    }
    let refused = told.values().filter(|told| **told == REFUSED_STREAM).count();
    let answered = told.values().filter(|told| **told == 0).count();
    assert_eq!((answered, refused), (200, 300), "{told:?}");
    let made = format!("{REQUESTS}{{route=\"/v1/carts\",method=\"POST\",status=\"201\"}}");
    assert_eq!(target.figure(&made).await, 200.0);
    h2.is_served(1_001).await;
    drop(h2);
    target.unharmed().await;
}

/// A stop waits for requests, and not for clients that have none and do not answer the farewell.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_does_not_answer_the_farewell_holds_no_stop_up() {
    // Longer than the whole stop may take: who waits for it fails.
    let target = Target::start_with(Hooks::default(), |config| config.server.drain = 2 * BOUND).await;
    let mut h2 = H2::connect(&target).await;
    h2.is_served(1).await;
    target.unharmed().await;
    assert!(h2.ended().await.is_some());
}

/// Requests that are taken back at once (CVE-2023-44487), thousands of them: others are served all the while.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rapid_reset_ends_its_connection_and_hinders_nobody() {
    let target = Target::start().await;
    let mut h2 = H2::connect(&target).await;
    for burst in 0..100 {
        let mut sent = Vec::new();
        for number in 0..200 {
            let stream = 2 * (burst * 200 + number) + 1;
            sent.extend(frame(HEADERS, END_HEADERS | END_STREAM, stream, &get("/v1/products")));
            sent.extend(frame(RST_STREAM, 0, stream, &CANCEL.to_be_bytes()));
        }
        h2.0.send(sent).await;
        target.client.get("/readyz").send().await.expect(200);
    }
    assert_eq!(h2.ended().await, Some(ENHANCE_YOUR_CALM));
    target.unharmed().await;
}

/// A checkout under the key `k`.
fn checkout(stream: u32, buyer: &Buyer) -> Vec<u8> {
    let head = [
        vec![0x83, 0x86, 0x04],
        text(&format!("/v1/carts/{}/checkout", buyer.cart)),
        vec![0x01],
        text("x"),
        literal("content-type", "application/json"),
        literal("authorization", &format!("Bearer {}", buyer.token)),
        literal("idempotency-key", "k"),
    ];
    let body = checkout_body("tok_approve").to_string();
    [frame(HEADERS, END_HEADERS, stream, &head.concat()), frame(DATA, END_STREAM, stream, body.as_bytes())].concat()
}

/// Checkouts that are let in and taken back keep their part of the budget as long as their work waits: a flood of them
/// takes no more than a flood of those that wait for their answers. When the work is done, all of it is there again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn checkouts_that_are_reset_take_no_more_of_the_node_than_those_that_wait() {
    const SHARE: usize = 3;
    let gate = Gate::default();
    let hold = gate.clone();
    let hooks = Hooks { journal: Some(Arc::new(move |journal| hold.wrap(journal))), ..Hooks::default() };
    let target = Target::start_with(hooks, |config| config.node.checkouts_per_vendor = SHARE).await;
    let client = target.client;
    let admin = token(&Bearer::Admin("root".into()));
    let (_, sku) = client.shop(&admin, "10.00", 99).await;
    let mut buyers = Vec::new();
    for _ in 0..4 * SHARE {
        buyers.push(client.buyer(&sku, 1).await);
    }
    let orders =
        || target.server.shop.actors().iter().find(|kind| kind.kind == Kind::Order).map_or(0, |kind| kind.live);

    gate.hold();
    let mut h2 = H2::connect(&target).await;
    let mut stream = 1;
    for (number, buyer) in buyers.iter().enumerate() {
        h2.0.send(checkout(stream, buyer)).await;
        if number < SHARE {
            crate::process::until("the order", async || (orders() > number).then_some(())).await;
        }
        h2.send(RST_STREAM, 0, stream, &CANCEL.to_be_bytes()).await;
        h2.is_served(stream + 2).await;
        stream += 4;
    }
    let told = client.checkout(&buyers[SHARE], "tok_approve").send().await.expect(503);
    assert_eq!(told.code(), "overloaded");
    assert_eq!(orders(), SHARE, "no more than these were let in");

    gate.let_go();
    for buyer in &buyers {
        let order = crate::process::until("room for the next", async || {
            let answer = client.checkout(buyer, "tok_approve").header("prefer", "wait=20").send().await;
            (answer.status != 503).then_some(answer)
        });
        let order = order.await;
        assert!(order.status < 300 && order.field("status") == "paid", "{}", order.text);
    }
    drop(h2);
    target.unharmed().await;
}

/// A checkout whose stream is reset at once comes to be once or not at all; asked again under its key there is one order.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_checkout_that_is_reset_comes_to_be_once() {
    let target = Target::start().await;
    let client = target.client;
    let admin = token(&Bearer::Admin("root".into()));
    let (_, sku) = client.shop(&admin, "10.00", 9).await;
    let buyer = client.buyer(&sku, 1).await;
    let mut h2 = H2::connect(&target).await;
    for stream in [1, 3, 5, 7, 9] {
        let mut sent = checkout(stream, &buyer);
        sent.extend(frame(RST_STREAM, 0, stream, &CANCEL.to_be_bytes()));
        h2.0.send(sent).await;
    }
    h2.is_served(11).await;
    drop(h2);
    let order = client.checkout(&buyer, "tok_approve").key("k").header("prefer", "wait=20").send().await.expect(201);
    crate::process::until("the order to be paid", async || {
        let order = client.order(&buyer.token, order.field("id")).await.expect(200);
        (order.field("status") == "paid").then_some(())
    })
    .await;
    let charges = client.get("/v1/admin/sandbox/charges").bearer(&admin).send().await.expect(200);
    assert_eq!(charges.body["items"].as_array().map(Vec::len), Some(1), "{}", charges.text);
    target.unharmed().await;
}

/// A header list past the limit is refused and its connection goes on; one that is small and stands for megabytes ends it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn huge_header_lists_are_refused() {
    let target = Target::start().await;
    let large = |length: usize| literal("x-large", &"y".repeat(length));
    let mut h2 = H2::connect(&target).await;
    h2.send(HEADERS, END_STREAM, 1, &[get("/healthz"), large(12_000)].concat()).await;
    h2.send(CONTINUATION, END_HEADERS, 1, &large(12_000)).await;
    let answer = h2.until(HEADERS).await.expect("an answer");
    assert!(answer.stream == 1 && answer.is_status(431), "{} {} {:x?}", answer.kind, answer.stream, answer.payload);
    h2.is_served(3).await;
    drop(h2);
    // Into the dynamic table (RFC 7541, 6.2.1), and then by its index, 62, a byte each time: twelve megabytes.
    let bomb = [get("/healthz"), vec![0x40], text("x-bomb"), text(&"y".repeat(3_000)), vec![0x80 | 62; 4_000]].concat();
    let mut h2 = H2::connect(&target).await;
    h2.send(HEADERS, END_HEADERS | END_STREAM, 1, &bomb).await;
    assert_eq!(h2.ended().await, Some(ENHANCE_YOUR_CALM));
    target.unharmed().await;
}

/// A head that never ends (CVE-2024-27316): with or without bytes in it, the connection is ended.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_continuations_ends_its_connection() {
    let target = Target::start().await;
    for more in [Vec::new(), literal("x", "y"), literal("x-large", &"y".repeat(8_000))] {
        let mut h2 = H2::connect(&target).await;
        h2.send(HEADERS, END_STREAM, 1, &get("/healthz")).await;
        let flood = frame(CONTINUATION, 0, 1, &more).repeat(50);
        for _ in 0..100 {
            h2.0.send(&flood).await;
        }
        let code = h2.ended().await;
        assert!(code.is_none_or(|code| code == ENHANCE_YOUR_CALM), "{code:?}");
        target.client.get("/readyz").send().await.expect(200);
    }
    target.unharmed().await;
}

/// Pings and settings whose answers nobody reads do not heap up: the connection is given up.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_whose_answers_nobody_reads_is_given_up() {
    let target = Target::start_with(Hooks::default(), |config| config.server.answer = SHORT).await;
    for flood in [frame(PING, 0, 0, &[0; 8]), frame(SETTINGS, 0, 0, &[])] {
        let mut h2 = H2::connect(&target).await;
        let flood = flood.repeat(1_000);
        let sending = async { while tokio::io::AsyncWriteExt::write_all(&mut h2.0.stream, &flood).await.is_ok() {} };
        timeout(BOUND, sending).await.expect("given up");
        target.client.get("/readyz").send().await.expect(200);
    }
    target.unharmed().await;
}

/// Pings keep no connection alive that asks for nothing, and a head that is never finished is asking for nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pings_and_half_heads_do_not_keep_a_connection() {
    let target = Target::start_with(Hooks::default(), |config| config.server.keep_alive = SHORT).await;
    for half in [false, true] {
        let mut h2 = H2::connect(&target).await;
        h2.is_served(1).await;
        if half {
            h2.send(HEADERS, END_STREAM, 3, &get("/healthz")).await;
        }
        let kept = async {
            // Between the frames of one head there may be no other.
            let frame = if half { frame(CONTINUATION, 0, 3, &[]) } else { frame(PING, 0, 0, &[0; 8]) };
            while !h2.0.is_closed() {
                h2.0.send(&frame).await;
                while timeout(SHORT / 20, h2.next()).await.is_ok_and(|frame| frame.is_some()) {}
                sleep(SHORT / 20).await;
            }
        };
        timeout(BOUND, kept).await.expect("closed all the same");
    }
    target.unharmed().await;
}

/// Frames that may not be where they are end the connection.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn frames_out_of_place_end_the_connection() {
    let target = Target::start().await;
    for wrong in [
        frame(DATA, END_STREAM, 0, b"x"),
        frame(DATA, 0, 1, b"x"),
        frame(HEADERS, END_HEADERS | END_STREAM, 0, &get("/healthz")),
        frame(HEADERS, END_HEADERS | END_STREAM, 2, &get("/healthz")),
        frame(HEADERS, END_HEADERS | END_STREAM, 1, &[0xff; 40]),
        frame(CONTINUATION, END_HEADERS, 1, &get("/healthz")),
        frame(RST_STREAM, 0, 1, &CANCEL.to_be_bytes()),
        frame(RST_STREAM, 0, 1, b"x"),
        frame(SETTINGS, 0, 1, &[]),
        frame(SETTINGS, 0, 0, b"x"),
        frame(SETTINGS, 0, 0, &[0, 4, 0xff, 0xff, 0xff, 0xff]),
        frame(PING, 0, 0, b"x"),
        frame(PING, 0, 1, &[0; 8]),
        frame(WINDOW_UPDATE, 0, 0, &[0; 4]),
        [frame(WINDOW_UPDATE, 0, 0, &[0x7f, 0xff, 0xff, 0xff]), frame(WINDOW_UPDATE, 0, 0, &[0x7f, 0xff, 0xff, 0xff])]
            .concat(),
        frame(5, 4, 0, &[0; 40]),
        // More than a frame may have.
        vec![0xff, 0xff, 0xff, DATA, 0, 0, 0, 0, 1],
        b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n".to_vec(),
    ] {
        let mut h2 = H2::connect(&target).await;
        h2.0.send(&wrong).await;
        let code = h2.ended().await;
        assert!(code.is_none_or(|code| code != 0), "{:x?}: {code:?}", &wrong[..wrong.len().min(20)]);
    }
    // A preface that breaks off, or goes on as something else.
    for preface in ["PRI * HTTP/2.0\r\n\r\nSM\r\n\r", "PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n"] {
        let mut wire = Wire::with(target.client, preface).await;
        wire.half_close().await;
        wire.closed().await;
    }
    target.unharmed().await;
}

/// SETTINGS with this window for each stream.
fn window(bytes: u32) -> Vec<u8> {
    frame(SETTINGS, 0, 0, &[&[0, 4][..], &bytes.to_be_bytes()].concat())
}

/// A catalog whose page takes more than this many bytes.
async fn long_page(target: &Target, bytes: usize) {
    let client = target.client;
    let admin = token(&Bearer::Admin("root".into()));
    let vendor = client.post("/v1/vendors", &serde_json::json!({"name": "V"})).bearer(&admin).send().await.expect(201);
    let path = format!("/v1/vendors/{}/products", vendor.field("id"));
    for number in 0..=bytes / 4_000 {
        let sku = serde_json::json!({"code": format!("S{number}"), "price": {"amount": "1.00", "currency": "BDT"}, "on_hand": 1});
        let product = serde_json::json!({"title": number.to_string(), "description": "d".repeat(4_000), "skus": [sku]});
        client.post(&path, &product).bearer(&admin).send().await.expect(201);
    }
    crate::process::until("the page to be that long", async || {
        (client.get("/v1/products").send().await.expect(200).text.len() > bytes).then_some(())
    })
    .await;
}

const UNREAD: &str = haat::http::metrics::ANSWER_BYTES;

/// Asks for so many pages, and takes none of them.
async fn takes_nothing(target: &Target, pages: u32, window_bytes: u32) -> H2 {
    let mut h2 = H2::connect(target).await;
    let mut sent = window(window_bytes);
    for number in 0..pages {
        sent.extend(frame(HEADERS, END_HEADERS | END_STREAM, 2 * number + 1, &get("/v1/products")));
    }
    h2.0.send(sent).await;
    h2
}

/// A client that asks for two hundred long answers and takes none makes the server hold no more than its bound, whether
/// its window is shut or a byte wide; once it takes them it gets every one of them whole.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_that_a_connection_does_not_take_are_bounded() {
    const PAGES: u32 = 200;
    const MOST: usize = 1024 * 1024;
    let target = Target::start_with(Hooks::default(), |config| config.server.answer_bytes_per_connection = MOST).await;
    long_page(&target, 100_000).await;
    for narrow in [0, 1] {
        let mut h2 = takes_nothing(&target, PAGES, narrow).await;
        crate::process::until("answers to wait", async || {
            (target.figure(UNREAD).await > MOST as f64 / 2.0).then_some(())
        })
        .await;
        for _ in 0..50 {
            target.client.get("/readyz").send().await.expect(200);
            // The figures are an answer, too, on a connection of their own: those before these may not be let go of yet.
            let other = target.client.get("/metrics").send().await.expect(200).text.len();
            assert!(target.figure(UNREAD).await <= (MOST + other) as f64);
        }
        // Now it reads: both windows, of the streams and of the connection, are open.
        let mut open = window(0x7fff_ffff);
        open.extend(frame(WINDOW_UPDATE, 0, 0, &0x7000_0000_u32.to_be_bytes()));
        h2.0.send(open).await;
        let (mut ended, mut bytes) = (0, BTreeMap::<u32, usize>::new());
        while ended < PAGES {
            let frame = h2.next().await.expect("the connection goes on");
            match frame.kind {
                DATA => {
                    *bytes.entry(frame.stream).or_default() += frame.payload.len();
                    ended += u32::from(frame.flags & END_STREAM);
                }
                RST_STREAM => panic!("stream {} is given up with code {}", frame.stream, frame.code()),
                GOAWAY => panic!("the connection ends with code {}", frame.code()),
                _ => {}
            }
        }
        assert!(bytes.len() == PAGES as usize && bytes.values().all(|length| *length > 100_000), "{bytes:?}");
        drop(h2);
        crate::process::until("all to be let go", async || (target.figure(UNREAD).await == 0.0).then_some(())).await;
    }
    target.unharmed().await;
}

/// Requests do not wait for ever for answers that nobody takes: they are given up, and their connection is idle like any other.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_behind_answers_that_are_not_taken_is_given_up() {
    const PAGES: u32 = 100;
    let target = Target::start_with(Hooks::default(), |config| {
        config.server.answer_bytes_per_connection = 1024 * 1024;
        config.server.answer = SHORT;
        config.server.keep_alive = 2 * SHORT;
    })
    .await;
    long_page(&target, 100_000).await;
    // A byte of each is taken: so none of them is late, and all the rest stays.
    let mut h2 = takes_nothing(&target, PAGES, 1).await;
    let (mut answered, mut given_up) = (0, 0);
    let mut farewell = false;
    while let Some(frame) = h2.next().await {
        answered += u32::from(frame.kind == HEADERS);
        given_up += u32::from(frame.kind == RST_STREAM);
        farewell |= frame.kind == GOAWAY;
    }
    assert!(farewell && answered > 0 && given_up > 0, "{answered} answered, {given_up} given up");
    crate::process::until("all to be let go", async || (target.figure(UNREAD).await == 0.0).then_some(())).await;
    target.unharmed().await;
}

/// Many connections that take nothing: those that hold most for longest end, and whoever takes what it asks for is
/// served all the while.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_that_nobody_takes_are_bounded_in_all() {
    const MOST: usize = 2 * 1024 * 1024;
    let target = Target::start_with(Hooks::default(), |config| {
        config.server.answer_bytes_per_connection = MOST / 4;
        config.server.answer_bytes = MOST;
    })
    .await;
    long_page(&target, 100_000).await;
    let mut idle = Vec::new();
    for _ in 0..12 {
        idle.push(takes_nothing(&target, 50, 0).await);
        let page = target.client.get("/v1/products").send().await.expect(200);
        assert!(page.text.len() > 100_000);
        assert!(target.figure(UNREAD).await <= MOST as f64);
    }
    let given_up = format!("{}{{at=\"all\"}}", haat::http::metrics::ANSWERS_GIVEN_UP);
    crate::process::until("some to end", async || (target.figure(&given_up).await >= 1.0).then_some(())).await;
    let mut ended = 0;
    for h2 in &mut idle {
        // Whatever came before the end is read first.
        while timeout(Duration::from_millis(20), h2.next()).await.is_ok_and(|frame| frame.is_some()) {}
        ended += usize::from(h2.0.is_closed());
    }
    assert!(ended >= 1, "{ended} ended");
    drop(idle);
    crate::process::until("all to be let go", async || (target.figure(UNREAD).await == 0.0).then_some(())).await;
    target.unharmed().await;
}
