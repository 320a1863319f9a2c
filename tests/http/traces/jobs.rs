//! What a request leaves to be done later is of its trace, at each try; of what nobody knows the request of, a share is traced.

use super::*;
use crate::support::client::checkout_body;
use serde_json::{Value, json};

fn admin() -> String {
    token(&Bearer::Admin("root".into()))
}

/// A guest buys one, in this trace, and is written to at this address.
async fn buys(client: &Client, sku: &str, email: &str, traceparent: &str) {
    let guest = client.buyer(sku, 1).await;
    let mut body = checkout_body("tok_approve");
    body["email"] = json!(email);
    let checkout = client.post(&format!("/v1/carts/{}/checkout", guest.cart), &body).bearer(&guest.token);
    let order = checkout.header("prefer", "wait=30").header("traceparent", traceparent).send().await.expect(201);
    assert_eq!(order.field("status"), "paid");
}

/// Waits for the one job of this kind to be so; gives it.
async fn job(client: &Client, kind: &str, is: impl Fn(&Value) -> bool) -> Value {
    until("the job", async || {
        let jobs = client.get(&format!("/v1/admin/jobs?kind={kind}")).bearer(&admin()).send().await.expect(200);
        let [job] = &jobs.body["items"].as_array().expect("a list")[..] else { return None };
        is(job).then(|| job.clone())
    })
    .await
}

fn is_done(job: &Value) -> bool {
    job["state"] == "done"
}

fn named<'a>(spans: &'a [Span], name: &str) -> Vec<&'a Span> {
    let mut named: Vec<_> = spans.iter().filter(|span| span.name == name).collect();
    named.sort_by_key(|span| span.start_time_unix_nano);
    named
}

fn failed(span: &Span) -> bool {
    span.status.as_ref().is_some_and(|status| status.code == 2)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mail_is_of_the_trace_of_its_checkout_at_each_try() {
    let (sink, collector) = Sink::start().await;
    let store = store().await;
    let server = traced(&store, collector, "0", 8_192, true).await;
    let (_, sku) = server.client.shop(&admin(), "10.00", 5).await;
    buys(&server.client, &sku, "rahim+flaky_1@example.com", &traceparent("01")).await;
    let done = job(&server.client, "order_paid_mail", is_done).await;
    server.stop().await;

    let spans = sink.spans();
    assert!(spans.iter().all(|span| hex(&span.trace_id) == TRACE), "nothing else is sampled");
    let tries = named(&spans, "job order_paid_mail");
    let [first, second] = tries[..] else { panic!("two tries: {tries:#?}") };
    // The turn in which the order learned that it is paid: that of whose record the follower made the job.
    let parent = spans.iter().find(|span| span.span_id == first.parent_span_id).expect("a parent");
    assert_eq!(title(parent), "turn order");
    let grandparent = spans.iter().find(|span| span.span_id == parent.parent_span_id).expect("a grandparent");
    assert_eq!(title(grandparent), "turn order", "in which it asked to be paid");
    let waits = named(&spans, "job.queue");
    assert_eq!(waits.len(), 2, "{waits:#?}");
    for (wait, (tried, (outcome, fails))) in waits.iter().zip(tries.iter().zip([("failed", true), ("done", false)])) {
        assert_eq!((&tried.parent_span_id, &wait.parent_span_id), (&parent.span_id, &parent.span_id));
        assert_eq!(wait.end_time_unix_nano, tried.start_time_unix_nano, "it waited until it was tried");
        assert_eq!((tried.kind, failed(tried)), (SpanKind::Consumer as i32, fails));
        assert_eq!(says(tried, "haat.job.outcome").as_deref(), Some(outcome));
        assert_eq!(says(tried, "error.type").as_deref(), fails.then_some(outcome));
        assert_eq!(says(tried, "haat.job.target").as_deref(), Some("mail"));
        assert_eq!(says(tried, "haat.job").as_deref(), done["id"].as_str());
        assert_eq!(says(tried, "haat.entity").as_deref(), done["about"].as_str());
        // To write the mail it asks the order.
        let asks = spans.iter().any(|span| span.parent_span_id == tried.span_id && title(span) == "turn order");
        assert!(asks, "{spans:#?}");
    }
    let numbers = [first, second].map(|tried| says(tried, "haat.job.try").unwrap_or_default());
    assert_eq!(numbers, ["1", "2"]);
    assert_eq!(waits[1].start_time_unix_nano, first.end_time_unix_nano, "it waits anew since its last try");
    let told = format!("{spans:?}");
    assert!(!told.contains('@') && !told.contains("rahim"), "who is written to is told");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_account_has_done_is_of_the_trace_of_its_request() {
    let (sink, collector) = Sink::start().await;
    let store = store().await;
    let server = traced(&store, collector, "0", 8_192, true).await;
    let (client, password) = (&server.client, "seven boats on the Padma");
    let (_, sku) = client.shop(&admin(), "10.00", 5).await;
    buys(client, &sku, "fina@example.com", &traceparent("00")).await;
    let traced = traceparent("01");
    let signs_up = json!({"email": "fina@example.com", "password": password, "name": "Fina"});
    client.post("/v1/auth/sign-up", &signs_up).header("traceparent", &traced).send().await.expect(202);
    let mailed = client.mailed(&admin(), "fina@example.com", "account.sign_up").await;
    let verifies = json!({"token": mailed, "password": password});
    client.post("/v1/auth/verify", &verifies).header("traceparent", &traced).send().await.expect(200);
    job(client, "attach_orders", is_done).await;
    server.stop().await;

    let spans = sink.spans();
    for (name, of) in [("job sign_up_mail", "POST /v1/auth/sign-up"), ("job attach_orders", "POST /v1/auth/verify")] {
        let [tried] = named(&spans, name)[..] else { panic!("one {name}: {spans:#?}") };
        let parent = spans.iter().find(|span| span.span_id == tried.parent_span_id).expect("a parent");
        assert_eq!((&*parent.name, hex(&tried.trace_id)), (of, TRACE.to_owned()));
        assert_eq!(says(tried, "haat.entity"), None, "the id of an account is the id of a person");
    }
    let attaches = named(&spans, "job attach_orders")[0];
    let turns: Vec<_> = spans.iter().filter(|span| span.parent_span_id == attaches.span_id).map(title).collect();
    assert!(turns.iter().any(|turn| turn == "turn order"), "its order belongs to her: {turns:?}");
    assert!(named(&spans, "job order_paid_mail").is_empty(), "its request was not sampled");
    assert!(!format!("{spans:?}").contains('@'), "who is written to is told");
}

/// Of a job whose request was not sampled, or is forgotten, chance decides as of a request; its later tries are of the same trace.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_of_no_trace_begins_one_of_its_own() {
    for (share, tries) in [("1", 2), ("0", 0)] {
        let (sink, collector) = Sink::start().await;
        let store = store().await;
        let server = traced(&store, collector, share, 8_192, true).await;
        let (_, sku) = server.client.shop(&admin(), "10.00", 5).await;
        buys(&server.client, &sku, "rahim+flaky_1@example.com", &traceparent("00")).await;
        job(&server.client, "order_paid_mail", is_done).await;
        server.stop().await;
        let spans = sink.spans();
        let tried = named(&spans, "job order_paid_mail");
        assert_eq!(tried.len(), tries, "{spans:#?}");
        let [first, second] = tried[..] else { continue };
        assert_eq!((first.parent_span_id.len(), &second.parent_span_id), (0, &first.span_id));
        assert_eq!((&first.trace_id, first.kind), (&second.trace_id, SpanKind::Consumer as i32));
        assert_ne!(hex(&first.trace_id), TRACE);
    }
}

/// What a server has sampled the next one does not know of.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_ends_the_trace_and_not_the_job() {
    let store = store().await;
    let (first, collector) = Sink::start().await;
    let server = traced(&store, collector, "0", 8_192, true).await;
    let (_, sku) = server.client.shop(&admin(), "10.00", 5).await;
    buys(&server.client, &sku, "rahim+429_8@example.com", &traceparent("01")).await;
    let is_put_off = |tries| move |job: &Value| job["state"] == "due" && job["tries"] == tries;
    job(&server.client, "order_paid_mail", is_put_off(1)).await;
    server.stop().await;
    let (second, collector) = Sink::start().await;
    let server = traced(&store, collector, "1", 8_192, true).await;
    // Nor does the sandbox know that it has put the mail off once.
    job(&server.client, "order_paid_mail", is_put_off(2)).await;
    server.stop().await;

    let (first, second) = (first.spans(), second.spans());
    let tries = [named(&first, "job order_paid_mail"), named(&second, "job order_paid_mail")];
    let [[before], [after]] = [&tries[0][..], &tries[1][..]] else { panic!("one try each: {tries:#?}") };
    assert_eq!((hex(&before.trace_id), says(before, "haat.job.try").as_deref()), (TRACE.to_owned(), Some("1")));
    assert_ne!(hex(&after.trace_id), TRACE);
    assert_eq!((after.parent_span_id.len(), says(after, "haat.job.try").as_deref()), (0, Some("2")));
    assert_eq!(says(before, "haat.job"), says(after, "haat.job"));
}

/// Whoever has a job tried anew finds that try in the trace of the request.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_that_is_tried_anew_is_of_the_trace_of_whoever_asked() {
    let (sink, collector) = Sink::start().await;
    let store = store().await;
    let server = traced(&store, collector, "0", 8_192, true).await;
    let client = &server.client;
    let (_, sku) = client.shop(&admin(), "10.00", 5).await;
    buys(client, &sku, "rahim+refuse@example.com", &traceparent("00")).await;
    let gave_up = job(client, "order_paid_mail", |job| job["state"] == "gave_up").await;
    let path = format!("/v1/admin/jobs/{}/retry", gave_up["id"].as_str().expect("an id"));
    let asked = client.post(&path, &json!({"reason": "there is room now"})).bearer(&admin());
    let retried = asked.header("traceparent", &traceparent("01")).send().await.expect(200);
    assert_eq!(retried.body["retries"].as_array().map(Vec::len), Some(1));
    job(client, "order_paid_mail", |job| job["state"] == "gave_up").await;
    server.stop().await;
    let spans = sink.spans();
    let [tried] = named(&spans, "job order_paid_mail")[..] else { panic!("one try: {spans:#?}") };
    let parent = spans.iter().find(|span| span.span_id == tried.parent_span_id).expect("a parent");
    assert_eq!(parent.name, "POST /v1/admin/jobs/{job}/retry");
    assert_eq!((failed(tried), says(tried, "haat.job.outcome").as_deref()), (true, Some("refused")));
}
