//! Points: given by the staff, earned by what was delivered, spent at a checkout, and never twice.

use crate::support::client::{Answer, Buyer, Client, checkout_body};
use crate::support::{Server, TestStore, records, token};
use crate::{on_both_stores, until};
use haat::http::auth::Bearer;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use tokio::task::JoinSet;

fn taka(amount: &str) -> Value {
    json!({"amount": amount, "currency": "BDT"})
}

/// Ten percent of what is paid comes back as points, each of which pays a taka, as soon as it is delivered.
fn programme() -> Value {
    json!({
        "earn_basis_points": 1_000, "point_values": [taka("1.00")], "earn_after_days": 0, "expires_days": 30,
        "time_zone": "Asia/Dhaka", "tiers": [{"name": "Silver", "from": taka("200.00"), "multiplier_basis_points": 15_000}],
    })
}

/// A shop with goods at 100.00 and a programme, and a customer who has signed up.
struct Shop {
    client: Client,
    admin: String,
    vendor: String,
    sku: String,
    fina: String,
    id: String,
}

impl Shop {
    async fn new(client: Client) -> Self {
        let admin = token(&Bearer::Admin("root".into()));
        let (vendor, sku) = client.shop(&admin, "100.00", 50).await;
        let request = client.request("PUT", "/v1/admin/loyalty").json(&programme()).bearer(&admin);
        request.header("if-match", "\"0\"").send().await.expect(200);
        let session = client.signed_up(&admin, "fina@example.com", "seven boats on the Padma").await;
        let fina = session.field("access_token").to_owned();
        let id = session.body["account"]["customer_id"].as_str().expect("a customer").to_owned();
        Self { client, admin, vendor, sku, fina, id }
    }

    fn of_customer(&self) -> String {
        format!("/v1/admin/customers/{}/points", self.id)
    }

    async fn give(&self, points: i64) -> Answer {
        let body = json!({"points": points, "reason": "goodwill"});
        self.client.post(&self.of_customer(), &body).bearer(&self.admin).send().await.expect(201)
    }

    async fn points(&self) -> Value {
        self.client.get("/v1/me/points").bearer(&self.fina).send().await.expect(200).body
    }

    /// Waits until they have so much: what can be spent, what is held, what is owed.
    async fn has(&self, available: i64, held: i64, debt: i64) {
        let wanted = json!([available, held, debt]);
        until(&format!("points {wanted}"), async || {
            let has = self.points().await;
            (json!([has["available"], has["held"], has["debt"]]) == wanted).then_some(())
        })
        .await;
    }

    /// A cart of theirs with so many pieces.
    async fn cart(&self, pieces: i64) -> Buyer {
        let cart = self.client.post("/v1/carts", &json!({})).bearer(&self.fina).send().await;
        let buyer = Buyer { cart: cart.field("id").to_owned(), token: self.fina.clone() };
        self.client.set_line(&buyer, &self.sku, pieces).await.expect(200);
        buyer
    }

    /// Checks a cart out with this besides.
    async fn check_out(&self, buyer: &Buyer, card: &str, besides: Value) -> Answer {
        let mut body = checkout_body(card);
        body.as_object_mut().expect("an object").extend(besides.as_object().expect("an object").clone());
        let path = format!("/v1/carts/{}/checkout", buyer.cart);
        self.client.post(&path, &body).bearer(&buyer.token).header("prefer", "wait=30").send().await
    }

    async fn buys(&self, pieces: i64, points: i64) -> Value {
        let buyer = self.cart(pieces).await;
        let order = self.check_out(&buyer, "tok_approve", json!({"points": points})).await.expect(201).body;
        assert_eq!(order["status"], "paid", "{order}");
        order
    }

    async fn delivered(&self, order: &Value) {
        let share = order["sub_orders"][0]["id"].as_str().expect("a share");
        let of_share = format!("/v1/orders/{}/sub-orders/{share}", order["id"].as_str().expect("an id"));
        let made = self.client.post(&format!("{of_share}/shipments"), &json!({"courier": "own"}));
        let parcel = made.bearer(&self.admin).send().await.expect(201).field("id").to_owned();
        for step in ["hand-over", "deliver"] {
            let path = format!("{of_share}/shipments/{parcel}/{step}");
            self.client.post(&path, &json!({})).bearer(&self.admin).send().await.expect(200);
        }
    }

    /// Gives so many pieces of an order back, once its money can be given back.
    async fn refund(&self, order: &Value, pieces: i64) -> Value {
        let share = order["sub_orders"][0]["id"].as_str().expect("a share");
        let of_share = format!("/v1/orders/{}/sub-orders/{share}", order["id"].as_str().expect("an id"));
        let body = json!({"lines": [{"sku_id": self.sku, "quantity": pieces}], "reason": "damaged"});
        let path = format!("{of_share}/refund-preview");
        let told = self.client.post(&path, &body).bearer(&self.admin).send().await.expect(200).body;
        let path = format!("{of_share}/refunds");
        let made = self.client.post(&path, &body).bearer(&self.admin).send().await.expect(201).body;
        assert_eq!((&made["points"], &made["amount"]), (&told["points"], &told["amount"]));
        made
    }

    async fn order(&self, order: &Value) -> Value {
        self.client.order(&self.fina, order["id"].as_str().expect("an id")).await.expect(200).body
    }
}

/// The records of a store, but for those that only say what is closed.
async fn told(store: &TestStore) -> Vec<String> {
    let closes = ["holds_closed", "point_holds_closed", "postings_closed"];
    let event = |event: &Value| event["type"].as_str().filter(|kind| !closes.contains(kind)).map(ToOwned::to_owned);
    let told = |line: String| {
        let record: Value = serde_json::from_str(&line).expect("a record");
        let entity = record["e"].as_str().expect("an entity").to_owned();
        let events: Vec<String> = record["ev"].as_array().into_iter().flatten().filter_map(event).collect();
        (!events.is_empty()).then(|| format!("{entity}: {}", events.join(", ")))
    };
    records(store).await.into_iter().filter_map(told).collect()
}

on_both_stores! {
    /// What the staff gives is there, also after a restart; of somebody's points nobody else is told.
    async fn the_staff_gives_points_and_takes_some(store) {
        let server = Server::start(&store).await;
        let shop = Shop::new(server.client).await;
        let nothing = json!({
            "available": 0, "pending": 0, "held": 0, "debt": 0, "tier": null, "lots": [], "items": [],
            "next_tier": {"name": "Silver", "from": taka("200.00"), "missing": taka("200.00")},
        });
        assert_eq!(shop.points().await, nothing);
        let given = shop.give(500).await.body;
        assert_eq!((&given["available"], &given["items"][0]["kind"]), (&json!(500), &json!("given")));
        assert_eq!(given["lots"][0]["points"], 500);
        assert!(given["lots"][0]["expires_at"].as_str().expect("a moment").ends_with("T18:00:00.000Z"), "midnight in Dhaka: {given}");
        // A key gives once.
        let body = json!({"points": 7, "reason": "apology"});
        for _ in 0..2 {
            let again = shop.client.post(&shop.of_customer(), &body).bearer(&shop.admin).header("idempotency-key", "seven");
            assert_eq!(again.send().await.expect(201).body["available"], 507);
        }
        shop.give(-600).await;
        shop.has(0, 0, 93).await;
        shop.give(100).await;
        shop.has(7, 0, 0).await;
        for (body, field) in [
            (json!({"points": 0, "reason": "goodwill"}), "points"),
            (json!({"points": 1_000_000_000_001_i64, "reason": "goodwill"}), "points"),
            (json!({"points": 1, "reason": "goodwill", "expires_at": "2020-01-01T00:00:00Z"}), "expires_at"),
            (json!({"points": 1, "reason": "goodwill", "expires_at": "soon"}), "expires_at"),
            (json!({"points": -1, "reason": "goodwill", "expires_at": "2099-01-01T00:00:00Z"}), "expires_at"),
        ] {
            let refused = shop.client.post(&shop.of_customer(), &body).bearer(&shop.admin).send().await.expect(422);
            assert_eq!((refused.code(), &refused.body["errors"][0]["field"]), ("invalid_body", &json!(field)), "{body}");
        }
        let odd = json!({"points": 1, "reason": "whim"});
        shop.client.post(&shop.of_customer(), &odd).bearer(&shop.admin).send().await.expect(422);
        shop.client.get(&shop.of_customer()).bearer(&shop.fina).send().await.expect(403);
        shop.client.post(&shop.of_customer(), &body).bearer(&shop.fina).send().await.expect(403);
        shop.client.get("/v1/me/points").bearer(&shop.admin).send().await.expect(403);
        shop.client.get("/v1/me/points").send().await.expect(401);
        let guest = shop.client.buyer(&shop.sku, 1).await;
        shop.client.get("/v1/me/points").bearer(&guest.token).send().await.expect(403);
        let nobody = "/v1/admin/customers/customer_01h2xcejqtf2nbrexx3vqjp41r/points";
        shop.client.get(nobody).bearer(&shop.admin).send().await.expect(404);
        let before = shop.points().await;
        server.stop().await;
        let server = Server::start(&store).await;
        let shop = Shop { client: server.client, ..shop };
        assert_eq!(shop.points().await, before);
        server.stop().await;
    }

    /// What is paid with points costs three records more: they are held, the order notes it, they are spent.
    async fn a_checkout_with_points_takes_three_records_more(store) {
        let server = Server::start(&store).await;
        let shop = Shop::new(server.client).await;
        shop.give(500).await;
        let mut written = Vec::new();
        for points in [0, 20] {
            let buyer = shop.cart(1).await;
            let before = told(&store).await.len();
            let order = shop.check_out(&buyer, "tok_approve", json!({"points": points})).await.expect(201);
            let ends = [format!("{}: settled", order.field("id")), format!("{}: cart_checked_out", buyer.cart)];
            let after = loop {
                let seen = told(&store).await;
                if ends.iter().all(|end| seen.contains(end)) {
                    break told(&store).await.len();
                }
                tokio::task::yield_now().await;
            };
            written.push(after - before);
        }
        assert_eq!(written, [8, 11], "{:#?}", told(&store).await);
        server.stop().await;
    }

    /// They pay what they are worth, at most what there is to pay, and come back with what they paid.
    async fn points_pay_and_come_back_with_what_they_paid(store) {
        let server = Server::start(&store).await;
        let shop = Shop::new(server.client).await;
        shop.give(150).await;
        let address = json!({"shipping_address": checkout_body("x")["shipping_address"], "points": 90});
        let buyer = shop.cart(3).await;
        let quoted = shop.client.post(&format!("/v1/carts/{}/quote", buyer.cart), &address).bearer(&shop.fina).send().await;
        let quoted = quoted.expect(200).body;
        assert_eq!((&quoted["total"], &quoted["points"]), (&taka("210.00"), &json!({"spent": 90, "value": taka("90.00")})));
        assert_eq!(quoted["earns_points"], 21);
        let other = shop.check_out(&buyer, "tok_approve", json!({"quote_id": quoted["quote_id"], "points": 91})).await.expect(409);
        assert_eq!((other.code(), &other.body["why"]), ("quote_expired", &json!("choice")));
        let wrong = shop.check_out(&buyer, "tok_approve", json!({"points": 90, "expected_total": taka("300.00")})).await.expect(409);
        assert_eq!((wrong.code(), &wrong.body["actual_total"]), ("price_changed", &taka("210.00")));
        let paid = shop.check_out(&buyer, "tok_approve", json!({"quote_id": quoted["quote_id"]})).await.expect(201).body;
        assert_eq!((&paid["status"], &paid["total"], &paid["paid"]), (&json!("paid"), &taka("210.00"), &taka("210.00")));
        let spent = json!({"spent": 90, "value": taka("90.00"), "restored": 0, "earned": 0, "pending": 21});
        assert_eq!((&paid["points"], &paid["lines"][0]["points"]), (&spent, &taka("90.00")));
        shop.has(60, 0, 0).await;
        // A vendor is paid in full, and is told of none.
        let vendor = token(&Bearer::Member(shop.vendor.parse().expect("an id"), haat::domain::who::VendorRole::Owner));
        let told = shop.client.order(&vendor, paid["id"].as_str().expect("an id")).await.expect(200).body;
        assert_eq!(told.get("points"), None);
        // More than there are; a cart that was refused is open still.
        let buyer = shop.cart(1).await;
        let refused = shop.check_out(&buyer, "tok_approve", json!({"points": 61})).await.expect(409);
        assert_eq!((refused.code(), &refused.body["available"]), ("points_insufficient", &json!(60)));
        // What a declined card does not pay for is theirs again.
        let declined = shop.check_out(&buyer, "tok_decline", json!({"points": 60})).await.expect(201).body;
        assert_eq!(declined["status"], "payment_failed");
        shop.has(60, 0, 0).await;
        // One of three, then the rest.
        shop.delivered(&paid).await;
        until("earned", async || (shop.points().await["available"] == 81).then_some(())).await;
        let back = shop.refund(&paid, 1).await;
        assert_eq!((&back["points"], &back["amount"]), (&json!(30), &taka("70.00")));
        shop.has(81 + 30 - 7, 0, 0).await;
        let shown = shop.order(&paid).await;
        assert_eq!(shown["points"], json!({"spent": 90, "value": taka("90.00"), "restored": 30, "earned": 14, "pending": 0}));
        let rest = shop.refund(&paid, 2).await;
        assert_eq!((&rest["points"], &rest["amount"]), (&json!(60), &taka("140.00")));
        shop.has(150, 0, 0).await;
        let kinds = shop.points().await["items"].as_array().expect("items").iter().map(|item| item["kind"].clone()).collect::<Vec<_>>();
        assert_eq!(json!(kinds), json!(["taken_back", "restored", "taken_back", "restored", "earned", "spent", "given"]));
        server.stop().await;
    }

    /// Points alone pay an order without a card; guests have none, nor has a currency without a value.
    async fn points_alone_pay_an_order(store) {
        let server = Server::start(&store).await;
        let shop = Shop::new(server.client).await;
        shop.give(150).await;
        let buyer = shop.cart(1).await;
        let mut body = checkout_body("x");
        body["payment"] = json!({"method": "sandbox"});
        body["points"] = json!(99);
        let path = format!("/v1/carts/{}/checkout", buyer.cart);
        let short = shop.client.post(&path, &body).bearer(&shop.fina).send().await.expect(422);
        assert_eq!(short.code(), "payment_unsupported");
        shop.has(150, 0, 0).await;
        body["points"] = json!(1_000);
        let paid = shop.client.post(&path, &body).bearer(&shop.fina).header("prefer", "wait=30").send().await.expect(201).body;
        assert_eq!((&paid["status"], &paid["total"], &paid["points"]["spent"]), (&json!("paid"), &taka("0.00"), &json!(100)));
        let charges = shop.client.get("/v1/admin/sandbox/charges").bearer(&shop.admin).send().await.expect(200);
        assert_eq!(charges.body["items"], json!([]), "nobody is asked for nothing");
        // Cancelled as a whole, all of it comes back.
        let path = format!("/v1/orders/{}/cancel", paid["id"].as_str().expect("an id"));
        until("settled", async || {
            let cancelled = shop.client.post(&path, &json!({})).bearer(&shop.fina).send().await;
            (cancelled.status == 200).then_some(())
        })
        .await;
        shop.has(150, 0, 0).await;
        let guest = shop.client.buyer(&shop.sku, 1).await;
        let refused = shop.check_out(&guest, "tok_approve", json!({"points": 1})).await.expect(403);
        assert_eq!(refused.code(), "account_required");
        let none = shop.check_out(&guest, "tok_approve", json!({"points": -1})).await.expect(422);
        assert_eq!(none.code(), "invalid_body");
        server.stop().await;
    }

    /// The same points in many carts at once are spent once.
    async fn points_that_are_spent_in_two_carts_at_once_are_spent_once(store) {
        let server = Server::start(&store).await;
        let shop = Shop::new(server.client).await;
        shop.give(50).await;
        let held = shop.cart(1).await;
        // This one holds them, and its payment never comes to an end.
        let path = format!("/v1/carts/{}/checkout", held.cart);
        let mut body = checkout_body("tok_never");
        body["points"] = json!(50);
        let waiting = shop.client.post(&path, &body).bearer(&shop.fina).send().await.expect(201).body;
        shop.has(0, 50, 0).await;
        let second = shop.cart(1).await;
        assert_ne!(second.cart, held.cart);
        let refused = shop.check_out(&second, "tok_approve", json!({"points": 1})).await.expect(409);
        assert_eq!((refused.code(), &refused.body["available"]), ("points_insufficient", &json!(0)));
        let path = format!("/v1/orders/{}/cancel", waiting["id"].as_str().expect("an id"));
        shop.client.post(&path, &json!({})).bearer(&shop.fina).send().await.expect(200);
        shop.has(50, 0, 0).await;
        // One cart, ten times at once: it is one order, which spends them once.
        let mut at_once = JoinSet::new();
        for number in 0..10 {
            let (client, fina) = (shop.client, shop.fina.clone());
            let cart = format!("/v1/carts/{}/checkout", second.cart);
            let key = format!("try-{number}");
            at_once.spawn(async move {
                let mut body = checkout_body("tok_approve");
                body["points"] = json!(30);
                let request = client.post(&cart, &body).bearer(&fina).header("idempotency-key", &key);
                request.header("prefer", "wait=30").send().await
            });
        }
        let mut orders = BTreeSet::new();
        while let Some(answer) = at_once.join_next().await {
            let answer = answer.expect("no panic");
            if answer.status < 300 {
                orders.insert(answer.field("id").to_owned());
            }
        }
        assert_eq!(orders.len(), 1, "{orders:?}");
        shop.has(20, 0, 0).await;
        server.stop().await;
    }

    /// What earned points and was given back after they were spent is owed, and paid by what comes next; and whoever buys much earns more.
    async fn what_is_taken_back_after_it_was_spent_is_owed(store) {
        let server = Server::start(&store).await;
        let shop = Shop::new(server.client).await;
        let first = shop.buys(2, 0).await;
        until("pending", async || (shop.points().await["pending"] == 20).then_some(())).await;
        shop.delivered(&first).await;
        shop.has(20, 0, 0).await;
        let has = shop.points().await;
        assert_eq!((&has["tier"], has.get("next_tier")), (&json!("Silver"), None), "{has}");
        // One and a half times from now on.
        let second = shop.buys(1, 20).await;
        assert_eq!(second["points"]["pending"], 12, "of 80.00: {second}");
        shop.has(0, 0, 0).await;
        let back = shop.refund(&first, 2).await;
        assert_eq!((&back["points"], &back["amount"]), (&json!(0), &taka("200.00")));
        shop.has(0, 0, 20).await;
        server.stop().await;
        let server = Server::start(&store).await;
        let shop = Shop { client: server.client, ..shop };
        shop.delivered(&second).await;
        shop.has(0, 0, 8).await;
        // What comes back pays the debt first.
        let back = shop.refund(&second, 1).await;
        assert_eq!((&back["points"], &back["amount"]), (&json!(20), &taka("80.00")));
        shop.has(0, 0, 0).await;
        let report = {
            server.stop().await;
            haat::app::audit::audit(&store.config(), store.data_dir()).await.expect("an audit")
        };
        assert!(report.is_clean(), "{report}");
        let points = report.of("points").expect("a check");
        assert!(points.looked_at.starts_with("of 1 customer with 2 orders"), "{}", points.looked_at);
    }
}
