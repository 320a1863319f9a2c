//! Orders that are paid on the pages of a platform: `haat sandbox`, a process of its own, with every fault it has; and a server that is killed
//! between a step there and its record.

use crate::on_both_stores;
use crate::process::{Haat, end_lease, free_address, haat, output, until, until_within};
use crate::support::client::{Answer, Buyer, Client, checkout_body};
use crate::support::redirect::{OLD_SECRET, Platform as Double, SECRET};
use crate::support::{TestStore, token};
use futures::future::join_all;
use haat::http::auth::Bearer;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tempfile::TempDir;
use tokio::process::Child;

/// A running `haat sandbox`; it ends with this.
struct Platform {
    client: Client,
    address: SocketAddr,
    directory: PathBuf,
    process: Child,
}

impl Platform {
    async fn start(directory: &Path, address: SocketAddr) -> Self {
        let mut command = haat();
        command.args(["sandbox", "--listen", &address.to_string(), "--data-dir"]).arg(directory);
        command.env("HAAT_REDIRECT_SECRET", format!("{SECRET},{OLD_SECRET}"));
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let process = command.spawn().expect("the binary runs");
        let client = Client::new(address);
        until("the platform answers", async || client.get("/").try_send().await.is_ok().then_some(())).await;
        Self { client, address, directory: directory.to_owned(), process }
    }

    /// As by `kill -9`; then it is started again on what it left.
    async fn killed_and_started(mut self) -> Self {
        self.process.kill().await.expect("it runs and can be killed");
        Self::start(&self.directory, self.address).await
    }

    async fn book(&self, name: &str) -> Vec<Value> {
        let book = self.client.get(&format!("/books/{name}")).bearer(SECRET).send().await.expect(200);
        book.body["items"].as_array().expect("a book").clone()
    }

    /// The one charge of an order.
    async fn charge(&self, order: &str) -> Value {
        let book = self.client.get(&format!("/books/charges?order={order}")).bearer(SECRET).send().await.expect(200);
        let charges = book.body["items"].as_array().expect("a book").clone();
        assert_eq!(charges.len(), 1, "{charges:?}");
        charges[0].clone()
    }

    async fn ask(&self, method: &str, path: &str, body: Option<Value>) -> Answer {
        let request = self.client.request(method, path).bearer(SECRET);
        match body {
            Some(body) => request.json(&body).send().await,
            None => request.send().await,
        }
    }

    /// The path of a page, as a browser has it.
    fn path<'a>(&self, page: &'a str) -> &'a str {
        page.strip_prefix(&format!("http://{}", self.address)).expect("a page of the platform's")
    }

    /// What a browser does with the form of a page.
    async fn press(&self, page: &str, button: &str) -> Answer {
        let shown = self.client.get(self.path(page)).send().await.expect(200).text;
        let part =
            |after: &str| shown.split_once(after).and_then(|(_, rest)| rest.split_once('"')).map(|(part, _)| part);
        let (Some(action), Some(key)) = (part("action=\""), part("name=\"key\" value=\"")) else {
            panic!("there is no form: {shown}")
        };
        assert!(!shown.contains("<script"), "{shown}");
        let request = self.client.request("POST", action).header("content-type", "application/x-www-form-urlencoded");
        request.raw(format!("key={key}&do={button}")).send().await
    }
}

/// A shop whose buyers pay there.
struct Shop {
    platform: Platform,
    server: Haat,
    admin: String,
    sku: String,
    _books: TempDir,
}

async fn serve(store: &TestStore, address: SocketAddr, platform: String, seconds: u32) -> Haat {
    let mut command = haat();
    command.env("HAAT_REDIRECT_URL", platform).env("HAAT_REDIRECT_SECRET", SECRET);
    command.env("HAAT_PUBLIC_URL", format!("http://{address}")).env("HAAT_PAYMENT_SECONDS", seconds.to_string());
    let mut server = Haat::begin_as(command, store, store.data_dir(), address);
    server.ready().await;
    server
}

fn admin() -> String {
    token(&Bearer::Admin("root".into()))
}

async fn check_out(client: &Client, buyer: &Buyer, token: &str) -> Answer {
    let mut body = checkout_body(token);
    body["payment"]["method"] = "redirect".into();
    let path = format!("/v1/carts/{}/checkout", buyer.cart);
    client.post(&path, &body).header("prefer", "wait=30").bearer(&buyer.token).send().await.expect(201)
}

impl Shop {
    async fn open(store: &TestStore, seconds: u32) -> Self {
        let books = TempDir::new().expect("a directory");
        let platform = Platform::start(books.path(), free_address()).await;
        let server = serve(store, free_address(), format!("http://{}", platform.address), seconds).await;
        let admin = admin();
        let (_, sku) = server.client.shop(&admin, "10.00", 50).await;
        Self { platform, server, admin, sku, _books: books }
    }

    async fn check_out(&self, token: &str) -> Answer {
        let buyer = self.server.client.buyer(&self.sku, 1).await;
        check_out(&self.server.client, &buyer, token).await
    }

    /// Checks out, and gives the order and its page.
    async fn sent(&self, token: &str) -> (String, String) {
        let waits = self.check_out(token).await;
        let action = &waits.body["payment"]["next_action"];
        assert_eq!(action["type"], "redirect", "{token}: {}", waits.text);
        (waits.field("id").to_owned(), action["url"].as_str().expect("a page").to_owned())
    }

    /// Checks out, and pays.
    async fn paid(&self, token: &str) -> Answer {
        let (order, page) = self.sent(token).await;
        self.platform.press(&page, "pay").await.expect(303);
        self.comes_to(&order, "paid").await
    }

    /// Gives a part of a paid order back; gives the refund's id.
    async fn gives_back(&self, order: &Answer, amount: &str, key: &str) -> String {
        let sub = order.body["sub_orders"][0]["id"].as_str().expect("a share");
        let body = json!({"amount": {"amount": amount, "currency": "BDT"}, "reason": "goodwill"});
        let path = format!("/v1/orders/{}/sub-orders/{sub}/refunds", order.field("id"));
        let asked = self.server.client.post(&path, &body).bearer(&self.admin).key(key);
        asked.send().await.expect(201).field("id").to_owned()
    }

    /// The order, once one of its fields is this. What came of a payment is looked up once a minute.
    async fn shows(&self, order: &str, field: &str, value: &str) -> Value {
        until_within(Duration::from_secs(120), format!("{order} to have {value} at {field}"), async || {
            let seen = self.server.client.order(&self.admin, order).await.expect(200).body;
            (seen.pointer(field).is_some_and(|it| it == value)).then_some(seen)
        })
        .await
    }

    /// The server is killed and started again.
    async fn server_killed_and_started(self, store: &TestStore) -> Self {
        let (address, platform) = (self.server.address, format!("http://{}", self.platform.address));
        self.server.kill().await;
        end_lease(store).await;
        let server = serve(store, address, platform, 600).await;
        Self { server, ..self }
    }

    async fn drives(&self, path: &str, body: Value) -> Answer {
        self.platform.ask("POST", path, Some(body)).await
    }

    async fn comes_to(&self, order: &str, status: &str) -> Answer {
        until(format!("{order} to be {status}"), async || {
            let seen = self.server.client.order(&self.admin, order).await.expect(200);
            (seen.field("status") == status).then_some(seen)
        })
        .await
    }
}

on_both_stores! {
    /// Whatever the platform does to calls and notices: what the buyer did on the page is what becomes of the order, once.
    async fn an_order_is_what_its_buyer_did_whatever_the_platform_meets(store) {
        let shop = Shop::open(&store, 600).await;
        let cases = [
            ("tok_ok", "pay", "paid"),
            ("wallet", "pay", "paid"),
            ("tok_ok", "fail", "payment_failed"),
            ("tok_refuse", "pay", "payment_failed"),
            ("tok_action_fail", "pay", "payment_failed"),
            ("tok_slow_300", "pay", "paid"),
            ("tok_lost_reply", "pay", "paid"),
            ("tok_500_then_ok", "pay", "paid"),
            ("tok_429_1", "pay", "paid"),
            ("tok_late_300", "pay", "paid"),
            ("tok_duplicate_notice_5", "pay", "paid"),
            ("tok_reorder", "pay", "paid"),
            ("tok_bad_signature", "pay", "paid"),
            ("tok_ok.notice_stale", "pay", "paid"),
            ("tok_ok.notice_never", "pay", "paid"),
            ("tok_ok.notice_late_300", "pay", "paid"),
        ];
        let shop = &shop;
        let goes = async |(token, button, end): (&'static str, &'static str, &'static str)| {
            let (order, page) = shop.sent(token).await;
            let back = shop.platform.press(&page, button).await.expect(303);
            let back = back.header("location").expect("a place").to_owned();
            let start = format!("http://{}/v1/payments/return?order={order}&payment=pay_", shop.server.address);
            assert!(back.starts_with(&start), "{back}");
            let seen = shop.comes_to(&order, end).await;
            let charge = shop.platform.charge(&order).await;
            let (status, taken) = if end == "paid" { ("succeeded", "10.00") } else { ("cancelled", "0.00") };
            assert_eq!((&charge["status"], &charge["taken"]), (&json!(status), &json!(taken)), "{token}");
            let payment = if end == "paid" { "captured" } else { "declined" };
            assert_eq!(seen.body["payment"]["status"], payment, "{token}");
        };
        join_all(cases.map(goes)).await;
        assert_eq!(shop.platform.book("charges").await.len(), cases.len());
        // Coming back tells the order, too: it is asked about at once.
        let (order, page) = shop.sent("tok_ok.notice_never").await;
        shop.platform.press(&page, "pay").await.expect(303);
        shop.server.client.get(&format!("/v1/payments/return?order={order}")).send().await.expect(200);
        shop.comes_to(&order, "paid").await;
        let metrics = shop.server.client.get("/metrics").send().await.expect(200).text;
        for outcome in ["order", "forged"] {
            let series = format!("haat_payment_notices_total{{method=\"redirect\",outcome=\"{outcome}\"}} ");
            let count = metrics.lines().find_map(|line| line.strip_prefix(&series)).unwrap_or("0");
            assert_ne!(count, "0", "{outcome}");
        }
        shop.server.said_no_error();
    }

    /// What is abandoned, or never made, ends with its time, and nobody can pay it any more.
    async fn what_is_not_paid_in_time_is_never_paid(store) {
        let shop = Shop::open(&store, 5).await;
        let (left, page) = shop.sent("tok_ok").await;
        assert!(shop.platform.press(&page, "abandon").await.expect(200).text.contains("You have left"));
        let (gone, other) = shop.sent("tok_action_abandon").await;
        shop.platform.press(&other, "pay").await.expect(303);
        let mut orders = vec![left.clone(), gone];
        for token in ["tok_500_sticky", "tok_never"] {
            let buyer = shop.server.client.buyer(&shop.sku, 1).await;
            let mut body = checkout_body(token);
            body["payment"]["method"] = "redirect".into();
            let path = format!("/v1/carts/{}/checkout", buyer.cart);
            let placed = shop.server.client.post(&path, &body).bearer(&buyer.token).send().await.expect(201);
            orders.push(placed.field("id").to_owned());
        }
        for order in &orders {
            let expired = shop.comes_to(order, "expired").await;
            assert_eq!(expired.body["payment"]["status"], "voided", "{}", expired.text);
        }
        let page = shop.platform.client.get(shop.platform.path(&page)).send().await.expect(200).text;
        assert!(page.contains("need not be paid any more") && !page.contains("<form"), "{page}");
        let charges = shop.platform.book("charges").await;
        // One was never made; one was made, and nobody was ever told of its page.
        assert_eq!(charges.len(), 3);
        assert!(charges.iter().all(|charge| charge["taken"] == "0.00"), "{charges:?}");
        assert_eq!(shop.platform.charge(&left).await["status"], "cancelled");
    }

    /// Refunds of a paid order: lost, refused, late, answered with 500; each is given once.
    async fn a_refund_is_given_once_whatever_the_platform_meets(store) {
        let shop = Shop::open(&store, 600).await;
        let shop = &shop;
        let goes = async |(fault, first): (&'static str, &'static str)| {
            let paid = shop.paid(&format!("tok_ok.refund_{fault}")).await;
            let order = paid.field("id").to_owned();
            let refund = shop.gives_back(&paid, "4.00", fault).await;
            let stands = async |status: &'static str| {
                until(format!("the refund with {fault} is {status}"), async || {
                    let seen = shop.server.client.order(&shop.admin, &order).await.expect(200);
                    (seen.body["refunds"][0]["status"] == status).then_some(())
                })
                .await;
            };
            stands(first).await;
            if first == "failed" {
                let path = format!("/v1/orders/{order}/refunds/{refund}/retry");
                shop.server.client.post(&path, &json!({})).bearer(&shop.admin).send().await.expect(200);
                stands("succeeded").await;
            }
            assert_eq!(shop.platform.charge(&order).await["left"], "6.00", "{fault}");
        };
        join_all([("ok", "succeeded"), ("lost_reply", "succeeded"), ("500_then_ok", "succeeded"), ("500_sticky", "succeeded"),
            ("slow_200", "succeeded"), ("429_1", "succeeded"), ("late_500", "succeeded"), ("refuse", "failed")].map(goes)).await;
        let given = shop.platform.book("refunds").await;
        assert_eq!(given.iter().filter(|refund| refund["status"] == "succeeded").count(), 8, "{given:?}");
    }

    /// Disputes, and refunds that a bank returns: told of by notices, or found by the sweep of the next start where nobody tells.
    async fn what_comes_after_a_payment_is_known_with_notices_and_without(store) {
        let shop = Shop::open(&store, 600).await;
        let (mut disputed, mut lost, mut returned) = (Vec::new(), Vec::new(), Vec::new());
        // Where all has happened before its notices come, one look tells it: there is one a minute.
        for (token, late) in [("tok_ok.notice_never", "tok_ok.notice_never"), ("tok_ok", "tok_ok.notice_late_4000")] {
            disputed.push(shop.paid(token).await.field("id").to_owned());
            lost.push(shop.paid(late).await.field("id").to_owned());
            let paid = shop.paid(late).await;
            let refund = shop.gives_back(&paid, "4.00", paid.field("id")).await;
            shop.shows(paid.field("id"), "/refunds/0/status", "succeeded").await;
            returned.push((paid.field("id").to_owned(), refund));
        }
        let dispute = async |order: &str| {
            let body = json!({"amount": "10.00", "reason": "fraud"});
            shop.drives(&format!("/books/charges/{order}/dispute"), body).await.expect(201).field("id").to_owned()
        };
        for order in &disputed {
            dispute(order).await;
        }
        for order in &lost {
            let path = format!("/books/disputes/{}/close", dispute(order).await);
            shop.drives(&path, json!({"outcome": "lost"})).await.expect(200);
        }
        for (_, refund) in &returned {
            shop.drives(&format!("/books/refunds/{refund}/fail"), json!({"reason": "account_closed"})).await.expect(200);
        }
        let is_known = async |shop: &Shop, place: usize| {
            let open = shop.shows(&disputed[place], "/payment/status", "disputed").await;
            assert_eq!((&open["disputes"][0]["status"], &open["attention"]), (&json!("open"), &json!(["dispute_open"])));
            let gone = shop.shows(&lost[place], "/disputes/0/status", "lost").await;
            let figures = (&gone["payment"]["status"], &gone["refunded"]["amount"], &gone["refund_due"]["amount"]);
            assert_eq!(figures, (&json!("refunded"), &json!("10.00"), &json!("0.00")));
            let failed = shop.shows(&returned[place].0, "/refunds/0/status", "failed").await;
            assert_eq!((&failed["refund_due"]["amount"], &failed["attention"]), (&json!("4.00"), &json!(["refund_failed"])));
        };
        is_known(&shop, 1).await;
        for untold in [&disputed[0], &lost[0]] {
            let seen = shop.shows(untold, "/payment/status", "captured").await;
            assert!(seen.get("disputes").is_none(), "{seen}");
        }
        shop.shows(&returned[0].0, "/refunds/0/status", "succeeded").await;
        let shop = shop.server_killed_and_started(&store).await;
        is_known(&shop, 0).await;
        // What a bank has returned is owed, and given once more when someone says so.
        for (order, refund) in &returned {
            let path = format!("/v1/orders/{order}/refunds/{refund}/retry");
            shop.server.client.post(&path, &json!({})).bearer(&shop.admin).send().await.expect(200);
            shop.shows(order, "/refunds/0/status", "succeeded").await;
            assert_eq!(shop.platform.charge(order).await["left"], "6.00");
        }
        shop.server.said_no_error();
    }

    /// The platform is killed while a buyer is on its page, and finds its books again.
    async fn a_platform_that_is_killed_keeps_its_books(store) {
        let shop = Shop::open(&store, 600).await;
        let (paid, first) = shop.sent("tok_ok.notice_late_1000").await;
        shop.platform.press(&first, "pay").await.expect(303);
        let (open, second) = shop.sent("tok_ok").await;
        let before = shop.platform.book("charges").await;
        let shop = Shop { platform: shop.platform.killed_and_started().await, ..shop };
        assert_eq!(shop.platform.book("charges").await, before);
        shop.comes_to(&paid, "paid").await;
        shop.platform.press(&second, "pay").await.expect(303);
        shop.comes_to(&open, "paid").await;
    }

    /// Killed between a step at the platform and its record: the money moves once.
    async fn a_step_at_the_platform_that_was_not_recorded_is_done_once(store) {
        let (double, address, admin) = (Double::start().await, free_address(), admin());
        let mut server = serve(&store, address, double.url(), 600).await;
        let (_, sku) = server.client.shop(&admin, "10.00", 10).await;
        let (mut kept, mut made) = (0, 0);
        for (step, end) in [("prepare", "paid"), ("look_up", "paid"), ("cancel", "payment_failed"), ("refund", "cancelled")] {
            let buyer = server.client.buyer(&sku, 1).await;
            made += 1;
            let order = if step == "prepare" {
                double.never_answers("prepare");
                let mut body = checkout_body("ok");
                body["payment"]["method"] = "redirect".into();
                let path = format!("/v1/carts/{}/checkout", buyer.cart);
                server.client.post(&path, &body).bearer(&buyer.token).send().await.expect(201)
            } else {
                let waits = check_out(&server.client, &buyer, "ok").await;
                assert_eq!(waits.body["payment"]["status"], "requires_action", "{}", waits.text);
                double.never_answers(step);
                double.acts(step != "cancel");
                waits
            };
            let id = order.field("id").to_owned();
            if step == "refund" {
                let path = format!("/v1/orders/{id}/cancel");
                server.client.post(&path, &json!({})).bearer(&buyer.token).send().await.expect(200);
            }
            double.left_unanswered().await;
            server.kill().await;
            end_lease(&store).await;
            server = serve(&store, address, double.url(), 600).await;
            if step == "prepare" {
                let client = server.client;
                until("the buyer is told where to go", async || {
                    let seen = client.order(&buyer.token, &id).await.expect(200);
                    (seen.body["payment"]["next_action"]["type"] == "redirect").then_some(())
                })
                .await;
                double.acts(true);
            }
            let client = server.client;
            until(format!("{id} to be {end} after a {step} that was not recorded"), async || {
                let seen = client.order(&admin, &id).await.expect(200);
                (seen.field("status") == end).then_some(())
            })
            .await;
            kept += if end == "paid" { 1_000 } else { 0 };
            assert_eq!((double.kept_money(), double.statuses().len()), (kept, made), "{step}");
        }
        assert_eq!(double.refunds(), [("succeeded", 1_000)]);
    }
}

/// The contract as the sandbox speaks it, its books, and what drives them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_sandbox_speaks_the_contract_and_tells_its_books() {
    let books = TempDir::new().expect("a directory");
    let platform = Platform::start(books.path(), free_address()).await;
    let input =
        json!({"amount": "100.00", "currency": "BDT", "return_url": "https://shop.example/back", "token": "tok_ok"});
    let made = platform.ask("PUT", "/payments/order_1.1", Some(input.clone())).await.expect(201);
    let again = platform.ask("PUT", "/payments/order_1.1", Some(input.clone())).await.expect(200);
    assert_eq!(made.body, again.body);
    assert_eq!(
        (made.field("reference"), made.field("status"), made.field("amount")),
        ("pay_1", "requires_action", "100.00")
    );
    let page = made.field("redirect_url").to_owned();
    for (field, value, code) in [
        ("amount", json!("100.01"), "other_payment"),
        ("token", json!("tok_refuse"), "other_payment"),
        ("amount", json!("-1.00"), "other_payment"),
        ("nonsense", json!(1), "invalid"),
    ] {
        let mut other = input.clone();
        other[field] = value;
        assert_eq!(platform.ask("PUT", "/payments/order_1.1", Some(other)).await.expect(422).code(), code, "{field}");
    }
    for (field, value, code) in [
        ("amount", "0.00", "amount_unsupported"),
        ("currency", "bdt", "currency_unsupported"),
        ("return_url", "javascript:alert(1)", "invalid"),
        ("token", "tok_nonsense", "token_unsupported"),
    ] {
        let mut wrong = input.clone();
        wrong[field] = value.into();
        assert_eq!(platform.ask("PUT", "/payments/order_2.1", Some(wrong)).await.expect(422).code(), code, "{field}");
    }
    platform.client.get("/payments/pay_1").send().await.expect(401);
    platform.client.get("/payments/pay_1").bearer(OLD_SECRET).send().await.expect(401);
    platform.client.get("/books/charges").send().await.expect(401);
    assert_eq!(platform.ask("GET", "/payments/pay_9", None).await.expect(404).code(), "unknown_payment");
    assert_eq!(platform.ask("GET", "/payments/order_1.1", None).await.expect(200).field("reference"), "pay_1");
    // Nobody pays, or sees, what is not theirs.
    for path in ["/pay/pay_1", "/pay/pay_1?key=0", "/pay/order_1.1?key=0"] {
        platform.client.get(path).send().await.expect(404);
    }
    let four = json!({"amount": "40.00", "currency": "BDT"});
    assert_eq!(
        platform.ask("PUT", "/payments/pay_1/refunds/r.1", Some(four.clone())).await.expect(409).code(),
        "not_paid"
    );
    let back = platform.press(&page, "pay").await.expect(303);
    assert_eq!(back.header("location"), Some("https://shop.example/back?payment=pay_1"));
    let paid = platform.ask("GET", "/payments/pay_1", None).await.expect(200);
    assert_eq!((paid.field("status"), paid.field("amount"), paid.field("fee")), ("succeeded", "100.00", "2.00"));
    assert_eq!(platform.ask("DELETE", "/payments/pay_1", None).await.expect(409).field("status"), "succeeded");
    assert_eq!(platform.ask("GET", "/payments/pay_1/refunds/r.1", None).await.expect(404).code(), "unknown_refund");
    assert_eq!(
        platform.ask("PUT", "/payments/pay_1/refunds/r.1", Some(four.clone())).await.expect(201).field("status"),
        "succeeded"
    );
    platform.ask("PUT", "/payments/pay_1/refunds/r.1", Some(four.clone())).await.expect(200);
    let more = json!({"amount": "60.01", "currency": "BDT"});
    assert_eq!(
        platform.ask("PUT", "/payments/pay_1/refunds/r.1", Some(more.clone())).await.expect(422).code(),
        "other_refund"
    );
    assert_eq!(
        platform.ask("PUT", "/payments/pay_1/refunds/r.2", Some(more)).await.expect(409).code(),
        "exceeds_payment"
    );
    // Faults of one request.
    let broken = platform.client.request("PUT", "/payments/pay_1/refunds/r.3").bearer(SECRET);
    broken.header("haat-sandbox-fault", "500_sticky").json(&four).send().await.expect(500);
    assert_eq!(platform.ask("GET", "/payments/pay_1/refunds/r.3", None).await.expect(200).field("status"), "succeeded");
    let busy = platform.client.get("/payments/pay_1").bearer(SECRET).header("haat-sandbox-fault", "429_7").send().await;
    assert_eq!(busy.expect(429).header("retry-after"), Some("7"));
    // What drives it.
    let dispute = json!({"amount": "20.00", "reason": "fraud"});
    let opened = platform.ask("POST", "/books/charges/order_1/dispute", Some(dispute.clone())).await.expect(201);
    assert_eq!(opened.field("status"), "open");
    assert_eq!(
        platform.ask("POST", "/books/charges/pay_1/dispute", Some(dispute)).await.expect(409).code(),
        "exceeds_payment"
    );
    let close = format!("/books/disputes/{}/close", opened.field("id"));
    platform.ask("POST", &close, Some(json!({"outcome": "drawn"}))).await.expect(422);
    assert_eq!(
        platform.ask("POST", &close, Some(json!({"outcome": "lost"}))).await.expect(200).field("status"),
        "lost"
    );
    assert_eq!(
        platform.ask("POST", &close, Some(json!({"outcome": "won"}))).await.expect(409).code(),
        "dispute_closed"
    );
    let failed =
        platform.ask("POST", "/books/refunds/r.1/fail", Some(json!({"reason": "account_closed"}))).await.expect(200);
    assert_eq!((failed.field("status"), failed.field("reason")), ("failed", "account_closed"));
    platform.ask("POST", "/books/refunds/r.9/fail", Some(json!({"reason": "x"}))).await.expect(404);
    assert_eq!(platform.charge("order_1").await["left"], "40.00");
    assert_eq!(platform.book("disputes").await.len(), 1);
    let listed = platform.ask("GET", "/payments/pay_1/disputes", None).await.expect(200).body;
    assert_eq!(listed["items"].as_array().map(Vec::len), Some(1));
    let shown = ["payment", "status", "amount", "currency", "reason"].map(|field| listed["items"][0][field].clone());
    assert_eq!(shown, ["order_1.1", "lost", "20.00", "BDT", "fraud"].map(|value| json!(value)));
    platform.ask("GET", "/payments/pay_9/disputes", None).await.expect(404);
    let all = platform.ask("GET", "/payments/pay_1/refunds", None).await.expect(200);
    assert_eq!(all.body["items"].as_array().map(Vec::len), Some(2));
    // One process has the books.
    let mut second = haat();
    second
        .args(["sandbox", "--listen", "127.0.0.1:0", "--data-dir"])
        .arg(books.path())
        .env("HAAT_REDIRECT_SECRET", SECRET);
    assert!(!output(second).await.status.success());
    let before = (platform.book("charges").await, platform.book("refunds").await, platform.book("disputes").await);
    let platform = platform.killed_and_started().await;
    assert_eq!(
        before,
        (platform.book("charges").await, platform.book("refunds").await, platform.book("disputes").await)
    );
}

/// Payments that change while they are read come on a later page, and each is on one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_sandbox_tells_page_by_page_what_has_changed() {
    let books = TempDir::new().expect("a directory");
    let platform = Platform::start(books.path(), free_address()).await;
    let input = json!({"amount": "1.00", "currency": "BDT", "return_url": "https://shop.example/back"});
    let disputed = async |number: usize| {
        let made = platform.ask("PUT", &format!("/payments/order_{number}.1"), Some(input.clone())).await.expect(201);
        platform.press(made.field("redirect_url"), "pay").await.expect(303);
        let path = format!("/books/charges/order_{number}/dispute");
        let dispute = json!({"amount": "0.50", "reason": "fraud"});
        platform.ask("POST", &path, Some(dispute)).await.expect(201).field("id").to_owned()
    };
    let first = disputed(1).await;
    for number in 2..=101 {
        disputed(number).await;
    }
    let page = async |query: &str| {
        let page = platform.ask("GET", &format!("/changes?since=0{query}"), None).await.expect(200).body;
        let items = page["items"].as_array().expect("a page");
        let names: Vec<String> =
            items.iter().map(|item| item["payment"].as_str().expect("a name").to_owned()).collect();
        (names, page["next"].as_str().map(str::to_owned))
    };
    let (names, next) = page("").await;
    assert_eq!(names, (1..=100).map(|number| format!("order_{number}.1")).collect::<Vec<_>>());
    let next = next.expect("there is more");
    platform.ask("POST", &format!("/books/disputes/{first}/close"), Some(json!({"outcome": "won"}))).await.expect(200);
    let later = (vec!["order_101.1".to_owned(), "order_1.1".to_owned()], None);
    assert_eq!(page(&format!("&after={next}")).await, later);
    assert_eq!(platform.ask("GET", "/changes?since=99999999999", None).await.expect(200).body, json!({"items": []}));
    for wrong in ["/changes", "/changes?since=x", "/changes?since=0&after=x", "/changes?since=0&after=c_1"] {
        assert_eq!(platform.ask("GET", wrong, None).await.expect(422).code(), "invalid", "{wrong}");
    }
    platform.client.get("/changes?since=0").send().await.expect(401);
    let platform = platform.killed_and_started().await;
    let kept = platform.ask("GET", &format!("/changes?since=0&after={next}"), None).await.expect(200);
    assert_eq!(kept.body["items"].as_array().map(Vec::len), Some(2), "{}", kept.text);
}

/// Where it may not be, it does not start, and makes nothing.
#[tokio::test]
async fn a_sandbox_is_refused_where_nobody_allows_it() {
    let directory = TempDir::new().expect("a directory");
    let books = directory.path().join("books");
    for (listen, name, value) in [
        ("0.0.0.0:0", "HAAT_SANDBOX", ""),
        ("127.0.0.1:0", "HAAT_SANDBOX", "off"),
        ("127.0.0.1:0", "DATABASE_URL", "postgres://shop@db/shop"),
    ] {
        let mut command = haat();
        command.args(["sandbox", "--listen", listen, "--data-dir"]).arg(&books);
        command.env("HAAT_REDIRECT_SECRET", SECRET).env(name, value);
        let ended = output(command).await;
        let said = String::from_utf8_lossy(&ended.stderr).into_owned();
        assert!(!ended.status.success() && said.contains("HAAT_SANDBOX"), "{said}");
        assert!(!books.exists());
    }
}
