//! A sampled request is one trace, as a collector reads it; all others are none, and no collector is waited for.

mod jobs;

use crate::support::client::Client;
use crate::support::tls::Authority;
use crate::support::{Kind, Server, TestStore, token};
use crate::until;
use axum::body::Bytes;
use axum::extract::State;
use axum::routing::post;
use haat::adapters::otlp::Collector;
use haat::app::Hooks;
use haat::config::TraceSettings;
use haat::http::auth::Bearer;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use prost::Message as _;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const CALLER: &str = "00f067aa0ba902b7";

/// What a collector was told.
#[derive(Clone, Default)]
struct Sink {
    bodies: Arc<Mutex<Vec<Bytes>>>,
}

impl Sink {
    async fn start() -> (Self, SocketAddr) {
        let sink = Self::default();
        let take =
            |State(sink): State<Self>, body: Bytes| async move { sink.bodies.lock().expect("no panic").push(body) };
        let router = axum::Router::new().route("/v1/traces", post(take)).with_state(sink.clone());
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        tokio::spawn(haat::http::server::serve(listener, router, Default::default(), std::future::pending()));
        (sink, address)
    }

    fn spans(&self) -> Vec<Span> {
        let bodies = self.bodies.lock().expect("no panic");
        let read = |body: &Bytes| ExportTraceServiceRequest::decode(body.clone()).expect("a request");
        let resources = bodies.iter().flat_map(|body| read(body).resource_spans);
        resources.flat_map(|resource| resource.scope_spans).flat_map(|scope| scope.spans).collect()
    }
}

/// A server that tells this collector of such a share of its requests, behind a proxy on this machine or not.
async fn traced(store: &TestStore, collector: SocketAddr, share: &str, room: usize, proxy: bool) -> Server {
    let collector = Collector::new(&format!("http://{collector}"), None).expect("a URL");
    tells(store, collector, share, room, proxy).await
}

async fn tells(store: &TestStore, collector: Collector, share: &str, room: usize, proxy: bool) -> Server {
    let mut config = store.server();
    config.trace = Some(TraceSettings { collector, share: share.parse().expect("a share"), room });
    config.http.trusted_proxies = proxy.then(|| "127.0.0.1".parse().expect("an address")).into_iter().collect();
    Server::start_with(config, Hooks::default()).await
}

fn traceparent(flags: &str) -> String {
    format!("00-{TRACE}-{CALLER}-{flags}")
}

/// Makes a cart, with this header.
async fn makes_cart(client: &Client, traceparent: &str) {
    client.post("/v1/carts", &serde_json::json!({})).header("traceparent", traceparent).send().await.expect(201);
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn says(span: &Span, name: &str) -> Option<String> {
    let pair = span.attributes.iter().find(|pair| pair.key == name)?;
    match pair.value.clone()?.value? {
        Value::StringValue(text) => Some(text),
        Value::IntValue(number) => Some(number.to_string()),
        other => panic!("{name}: {other:?}"),
    }
}

/// A span by its name, and what it is of.
fn title(span: &Span) -> String {
    match says(span, "haat.entity.kind") {
        Some(kind) => format!("{} {kind}", span.name),
        None => span.name.clone(),
    }
}

async fn store() -> TestStore {
    TestStore::new(Kind::Sqlite).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sampled_checkout_is_one_trace_from_the_request_to_the_payment() {
    let (sink, collector) = Sink::start().await;
    let store = store().await;
    let server = traced(&store, collector, "0", 8_192, true).await;
    let admin = token(&Bearer::Admin("root".into()));
    let (vendor, sku) = server.client.shop(&admin, "10.00", 5).await;
    let buyer = server.client.buyer(&sku, 1).await;
    let checkout = server.client.checkout(&buyer, "tok_approve").header("prefer", "wait=20");
    let order = checkout.header("traceparent", &traceparent("01")).send().await.expect(201);
    assert_eq!(order.field("status"), "paid");
    assert_eq!(order.header("traceresponse"), None);
    server.stop().await;

    let spans = sink.spans();
    let by_id: BTreeMap<&[u8], &Span> = spans.iter().map(|span| (&span.span_id[..], span)).collect();
    assert_eq!(by_id.len(), spans.len(), "each has an id of its own");
    assert!(spans.iter().all(|span| hex(&span.trace_id) == TRACE), "nothing else is sampled");
    let parent = |span: &Span| by_id.get(&span.parent_span_id[..]).copied();
    let [root] = spans.iter().filter(|span| parent(span).is_none()).collect::<Vec<_>>()[..] else {
        panic!("one span is below none of these: {spans:#?}")
    };
    assert_eq!((&*root.name, hex(&root.parent_span_id)), ("POST /v1/carts/{cart}/checkout", CALLER.to_owned()));
    assert_eq!((root.kind, says(root, "http.response.status_code")), (SpanKind::Server as i32, Some("201".into())));
    for span in &spans {
        assert!(span.start_time_unix_nano <= span.end_time_unix_nano, "{span:?}");
        if let Some(parent) = parent(span) {
            assert!(parent.start_time_unix_nano <= span.start_time_unix_nano, "{span:?} is before {parent:?}");
        }
    }

    // The lines from each to the root, by their names.
    let line = |span: &Span| {
        let mut titles = vec![title(span)];
        let mut above = parent(span);
        while let Some(span) = above {
            titles.insert(0, title(span));
            above = parent(span);
        }
        titles[1..].join(" / ")
    };
    let lines: Vec<String> = spans.iter().map(line).collect();
    for expected in [
        "mailbox",
        "turn cart",
        "turn cart / journal.queue",
        "turn cart / journal.commit",
        // The cart's answer becomes the question to the order, which waits until its stock is held.
        "turn cart / turn order / wait",
        // The cart places the order, the order asks the vendor, and its answer is what was waited for.
        "turn cart / mailbox",
        "turn cart / turn order / turn vendor / journal.commit",
        "turn cart / turn order / turn vendor / turn order / journal.commit",
        "turn cart / turn order / turn vendor / turn order / payment.queue",
        "turn cart / turn order / turn vendor / turn order / payment.call",
        "turn cart / turn order / turn vendor / turn order / turn order / journal.commit",
        // The question whether it is paid, which may be by then.
        "turn order",
    ] {
        assert!(lines.iter().any(|line| line == expected), "{expected} is not in {lines:#?}");
    }

    let call = spans.iter().find(|span| span.name == "payment.call").expect("a payment");
    assert_eq!(call.kind, SpanKind::Client as i32);
    assert_eq!(says(call, "haat.payment.method").as_deref(), Some("sandbox"));
    assert_eq!(says(call, "haat.entity").as_deref(), Some(order.field("id")));
    // What follows from the payment, at the cart and the vendor, goes on after the answer.
    let paid = "turn cart / turn order / turn vendor / turn order / turn order / journal.commit";
    let durable = spans.iter().zip(&lines).filter(|(_, line)| *line == paid).map(|(span, _)| span.end_time_unix_nano);
    assert!(durable.min() <= Some(root.end_time_unix_nano), "it is answered when the payment is durable");
    let vendors: Vec<_> = spans.iter().filter(|span| title(span) == "turn vendor").collect();
    assert!(vendors.iter().all(|span| says(span, "haat.entity").as_ref() == Some(&vendor)));

    // What a checkout says of a person, and what pays or opens something.
    let told = format!("{spans:?}");
    for secret in ["tok_approve", &buyer.token, "@", "+880", "Dhaka"] {
        assert!(!told.contains(secret), "{secret} is told");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_is_no_trusted_proxy_switches_nothing_on() {
    let store = store().await;
    // Behind a proxy or not, the share, what is said, and whether the request is traced.
    for (proxy, share, flags, is_traced) in [
        (false, "0", "01", false),
        (false, "1", "00", true),
        (true, "0", "01", true),
        (true, "1", "00", false),
        (true, "0", "00", false),
    ] {
        let (sink, collector) = Sink::start().await;
        let server = traced(&store, collector, share, 8_192, proxy).await;
        makes_cart(&server.client, &traceparent(flags)).await;
        server.stop().await;
        let roots: Vec<Span> = sink.spans().into_iter().filter(|span| span.kind == SpanKind::Server as i32).collect();
        let traces: Vec<String> = roots.iter().map(|span| hex(&span.trace_id)).collect();
        let expected: &[&str] = if is_traced { &[TRACE] } else { &[] };
        assert_eq!(traces, expected, "proxy: {proxy}, share: {share}, flags: {flags}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_names_no_trace_gets_one_of_its_own() {
    let (sink, collector) = Sink::start().await;
    let store = store().await;
    let server = traced(&store, collector, "1", 8_192, true).await;
    for said in ["junk", &format!("00-{}-{CALLER}-01", "0".repeat(32)), &traceparent("1")] {
        makes_cart(&server.client, said).await;
    }
    server.stop().await;
    let mut traces: Vec<String> = sink.spans().iter().map(|span| hex(&span.trace_id)).collect();
    traces.sort();
    traces.dedup();
    assert_eq!(traces.len(), 3, "{traces:?}");
    assert!(!traces.contains(&TRACE.to_owned()) && !traces.contains(&"0".repeat(32)));
}

async fn dropped(client: &Client) -> u64 {
    let figures = client.get("/metrics").send().await.expect(200).text;
    let line = figures.lines().find_map(|line| line.strip_prefix("haat_trace_spans_dropped_total "));
    line.unwrap_or_else(|| panic!("it is not in {figures}")).parse().expect("a number")
}

/// The collector takes a connection and says nothing. Spans are dropped and counted; requests do not wait.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_collector_is_waited_for_by_nobody() {
    let collector = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let store = store().await;
    let server = traced(&store, collector.local_addr().expect("an address"), "0", 2, true).await;
    assert_eq!(dropped(&server.client).await, 0, "it is there from the start");
    makes_cart(&server.client, &traceparent("01")).await;
    let (mut connection, _) = collector.accept().await.expect("a batch");
    connection.read_u8().await.expect("a byte of it");
    let before = dropped(&server.client).await;
    for _ in 0..3 {
        makes_cart(&server.client, &traceparent("01")).await;
    }
    let after = dropped(&server.client).await;
    assert!(after >= before + 3, "{before}, then {after}: there is room for two");
    drop((collector, connection));
    server.stop().await;
}

/// Off, a request is as it was: nobody is told, whatever it says.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_traced_unless_it_is_switched_on() {
    let store = store().await;
    let mut config = store.server();
    config.http.trusted_proxies = vec!["127.0.0.1".parse().expect("an address")];
    assert!(config.trace.is_none());
    let server = Server::start_with(config, Hooks::default()).await;
    makes_cart(&server.client, &traceparent("01")).await;
    assert_eq!(dropped(&server.client).await, 0);
    server.stop().await;
}

/// A collector elsewhere is told over TLS, if its certificate is one of an authority that is believed. Else nothing goes to it, and only spans are lost.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_over_tls_is_told_if_it_is_who_it_should_be() {
    let (sink, collector) = Sink::start().await;
    let (ours, theirs) = (Authority::new("ours"), Authority::new("theirs"));
    let url = format!("https://{}", ours.front("127.0.0.1", collector).await);
    for (authority, is_told) in [(&theirs, false), (&ours, true)] {
        let store = store().await;
        let collector = Collector::new(&url, Some(authority.pem().as_bytes())).expect("a collector");
        let server = tells(&store, collector, "0", 8_192, true).await;
        let before = dropped(&server.client).await;
        makes_cart(&server.client, &traceparent("01")).await;
        let client = server.client;
        if !is_told {
            until("spans to be dropped", async || (dropped(&client).await > before).then_some(())).await;
            // As before, as if there were nobody who is told.
            makes_cart(&client, &traceparent("01")).await;
        }
        server.stop().await;
        assert_eq!(!sink.spans().is_empty(), is_told);
    }
    assert!(sink.spans().iter().all(|span| hex(&span.trace_id) == TRACE));
}
