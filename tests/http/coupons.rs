//! Coupons: their terms, their codes, what they take off, and that nobody has more of them than there are.

use crate::support::client::{Answer, Buyer, Client, checkout_body};
use crate::support::{Server, TestStore, records, token};
use crate::{on_both_stores, until};
use haat::config::Config;
use haat::http::auth::Bearer;
use serde_json::{Value, json};
use tokio::task::JoinSet;

fn taka(amount: &str) -> Value {
    json!({"amount": amount, "currency": "BDT"})
}

/// A tenth off, with these terms besides.
fn percent(code: &str, terms: &Value) -> Value {
    let mut all = json!({
        "code": code, "kind": "percent", "basis_points": 1_000,
        "starts_at": "2026-01-01T00:00:00Z", "ends_at": "2099-01-01T00:00:00Z"
    });
    let more = terms.as_object().expect("an object").clone();
    all.as_object_mut().expect("an object").extend(more);
    all
}

/// A shop with goods at 100.00, whom an administrator stands for.
struct Shop {
    client: Client,
    admin: String,
    vendor: String,
    sku: String,
}

impl Shop {
    async fn new(client: Client, on_hand: i64) -> Self {
        let admin = token(&Bearer::Admin("root".into()));
        let (vendor, sku) = client.shop(&admin, "100.00", on_hand).await;
        Self { client, admin, vendor, sku }
    }

    async fn create(&self, terms: &Value) -> Answer {
        self.client.post("/v1/coupons", terms).bearer(&self.admin).send().await
    }

    async fn coupon(&self, code: &str, terms: &Value) -> String {
        self.create(&percent(code, terms)).await.expect(201).field("id").to_owned()
    }

    async fn patch(&self, coupon: &str, terms: &Value) -> Answer {
        let path = format!("/v1/coupons/{coupon}");
        self.client.request("PATCH", &path).json(terms).bearer(&self.admin).send().await
    }

    async fn shown(&self, coupon: &str) -> Value {
        self.client.get(&format!("/v1/coupons/{coupon}")).bearer(&self.admin).send().await.expect(200).body
    }

    async fn put(&self, buyer: &Buyer, code: &str) -> Answer {
        self.coupon_of(buyer, "PUT", code).await
    }

    async fn coupon_of(&self, buyer: &Buyer, method: &str, code: &str) -> Answer {
        let path = format!("/v1/carts/{}/coupons/{code}", buyer.cart);
        self.client.request(method, &path).bearer(&buyer.token).send().await
    }

    /// A cart with so many pieces and this code.
    async fn buyer(&self, pieces: i64, code: &str) -> Buyer {
        let buyer = self.client.buyer(&self.sku, pieces).await;
        self.put(&buyer, code).await.expect(200);
        buyer
    }

    /// Checks out with this address and card, and waits for the end.
    async fn buys(&self, buyer: &Buyer, email: &str, card: &str) -> Answer {
        let mut body = checkout_body(card);
        body["email"] = email.into();
        let path = format!("/v1/carts/{}/checkout", buyer.cart);
        self.client.post(&path, &body).bearer(&buyer.token).header("prefer", "wait=30").send().await
    }
}

/// The records of the store by what they tell, but for those that only say which holds are closed: of these there is one a second at most for each party,
/// whatever it sells.
async fn told(store: &TestStore) -> Vec<String> {
    let event = |event: &Value| event["type"].as_str().filter(|kind| *kind != "holds_closed").map(ToOwned::to_owned);
    let told = |line: String| {
        let record: Value = serde_json::from_str(&line).expect("a record");
        let entity = record["e"].as_str().expect("an entity").to_owned();
        let events: Vec<String> = record["ev"].as_array().into_iter().flatten().filter_map(event).collect();
        (!events.is_empty()).then(|| format!("{entity}: {}", events.join(", ")))
    };
    records(store).await.into_iter().filter_map(told).collect()
}

on_both_stores! {
    /// A use that is counted is held and committed as stock is. What is not counted costs nothing.
    async fn a_counted_use_takes_three_records_more(store) {
        let server = Server::start(&store).await;
        let shop = Shop::new(server.client, 50).await;
        shop.coupon("COUNTED", &json!({"usage_limit": 100})).await;
        shop.coupon("FREELY", &json!({})).await;
        let mut written = Vec::new();
        for code in [None, Some("COUNTED"), Some("FREELY")] {
            let buyer = shop.client.buyer(&shop.sku, 1).await;
            if let Some(code) = code {
                shop.put(&buyer, code).await.expect(200);
            }
            let before = told(&store).await.len();
            let order = shop.buys(&buyer, "karim@example.com", "tok_approve").await.expect(201);
            assert_eq!(order.field("status"), "paid", "{}", order.text);
            let ends = [format!("{}: settled", order.field("id")), format!("{}: cart_checked_out", buyer.cart)];
            let after = loop {
                let seen = told(&store).await;
                if ends.iter().all(|end| seen.contains(end)) {
                    // Partitions are read one after the other: what came before these may have been missed in one that was read before them.
                    break told(&store).await.len();
                }
                tokio::task::yield_now().await;
            };
            written.push(after - before);
        }
        assert_eq!(written, [8, 11, 8], "{:#?}", told(&store).await);
        server.stop().await;
    }

    /// Terms are said, changed and shown; a code that only looks like another is that other; and all of it outlasts a restart.
    async fn a_coupon_has_terms_under_a_code_of_its_own(store) {
        let server = Server::start(&store).await;
        let shop = Shop::new(server.client, 50).await;
        let terms = json!({
            "min_subtotal": taka("150.00"), "max_discount": taka("25.00"), "usage_limit": 9, "limit_per_customer": 2,
            "budget": taka("1000.00"), "combines": true, "funded_by": {"platform_bp": 2_500}, "restores_on": "refund",
            "scope": {"vendors": [shop.vendor]}, "excludes_sale_items": true
        });
        let coupon = shop.coupon("eid-10", &terms).await;
        let shown = shop.shown(&coupon).await;
        for (field, value) in terms.as_object().expect("an object") {
            assert_eq!(shown[field], *value, "{field}");
        }
        assert_eq!((&shown["code"], &shown["version"], &shown["kind"]), (&json!("EID-10"), &json!(1), &json!("percent")));
        let taken = shop.create(&percent("E1D-IO", &json!({}))).await.expect(409);
        assert_eq!(taken.code(), "coupon_code_taken");
        for (body, code) in [
            (percent("no", &json!({})), "invalid_body"),
            (percent("EID 11", &json!({})), "invalid_body"),
            (percent("EID11", &json!({"basis_points": 10_001})), "invalid_body"),
            (percent("EID11", &json!({"kind": "amount"})), "invalid_body"),
            (percent("EID11", &json!({"starts_at": "tomorrow"})), "invalid_body"),
            (percent("EID11", &json!({"usage_limit": 0})), "invalid_body"),
            (percent("EID11", &json!({"ends_at": "2025-01-01T00:00:00Z"})), "coupon_malformed"),
            (percent("EID11", &json!({"budget": taka("1.00"), "min_subtotal": {"amount": "1", "currency": "JPY"}})), "currency_mismatch"),
            (percent("AAAAAAAAAAAAAAAAAAAAAAAA", &json!({"single_use": true})), "coupon_malformed"),
        ] {
            assert_eq!(shop.create(&body).await.expect(422).code(), code, "{body}");
        }
        let patched = shop.patch(&coupon, &json!({"usage_limit": null, "min_subtotal": null})).await.expect(200).body;
        assert_eq!((&patched["version"], patched.get("usage_limit")), (&json!(2), None));
        assert_eq!(shop.patch(&coupon, &json!({"combines": true})).await.expect(200).body, patched, "it is so already");
        let buyer = shop.buyer(2, "EID-IO").await;
        server.stop().await;
        let server = Server::start(&store).await;
        let shop = Shop { client: server.client, ..shop };
        assert_eq!(shop.shown(&coupon).await, patched);
        let listed = shop.client.get("/v1/coupons?limit=5").bearer(&shop.admin).send().await.expect(200);
        assert_eq!(listed.body["items"], json!([patched]));
        // What the catalogue knows is there again: the cart still has its discount, of 200.00 at most 25.00.
        let cart = shop.client.get(&format!("/v1/carts/{}", buyer.cart)).bearer(&buyer.token).send().await.expect(200);
        assert_eq!(cart.body["coupons"], json!([{"code": "EID-10", "discount": taka("20.00")}]));
        assert_eq!((&cart.body["discount"], &cart.body["total"]), (&taka("20.00"), &taka("180.00")));
        server.stop().await;
    }

    /// What is shown is what is paid; whatever the bill comes to is in the order, and no code is dropped in silence.
    async fn what_the_codes_of_a_cart_take_off_is_what_the_order_costs(store) {
        let server = Server::start(&store).await;
        let shop = Shop::new(server.client, 50).await;
        shop.coupon("TENTH", &json!({"combines": true})).await;
        let amount = json!({"code": "FIVER", "kind": "amount", "amount": taka("5.00"), "combines": true, "min_subtotal": taka("200.00"),
            "starts_at": "2026-01-01T00:00:00Z", "ends_at": "2099-01-01T00:00:00Z", "scope": {"skus": [shop.sku]}});
        shop.create(&amount).await.expect(201);
        shop.coupon("ALONE", &json!({})).await;
        let late = shop.coupon("LATER", &json!({"combines": true})).await;
        let buyer = shop.buyer(2, "tenth").await;
        assert_eq!(shop.put(&buyer, "ALONE").await.expect(409).code(), "coupon_not_applicable");
        // Items first, each on what remains: 200.00 − 5.00, and a tenth of 195.00.
        let cart = shop.put(&buyer, "F1VER").await.expect(200);
        assert_eq!((&cart.body["discount"], &cart.body["total"]), (&taka("24.50"), &taka("175.50")));
        let order = shop.buys(&buyer, "rina@example.com", "tok_approve").await.expect(201);
        assert_eq!((order.field("status"), &order.body["total"]), ("paid", &taka("175.50")));
        let coupons = json!([{"code": "TENTH", "amount": taka("19.50")}, {"code": "FIVER", "amount": taka("5.00")}]);
        assert_eq!(order.body["coupons"], coupons);
        assert_eq!(order.body["lines"][0]["discount"], taka("24.50"));
        // With one piece less one of them does not apply: it is told, and refuses.
        let buyer = shop.buyer(2, "FIVER").await;
        let cart = shop.client.set_line(&buyer, &shop.sku, 1).await.expect(200);
        assert_eq!(cart.body["coupons"][0]["why"], "min_subtotal");
        let refused = shop.buys(&buyer, "rina@example.com", "tok_approve").await.expect(409);
        assert_eq!(refused.code(), "coupon_not_applicable");
        let cart = shop.coupon_of(&buyer, "DELETE", "FIVER").await.expect(200);
        assert_eq!(cart.body.get("coupons"), None);
        assert_eq!(shop.buys(&buyer, "rina@example.com", "tok_approve").await.expect(201).field("status"), "paid");
        // One that ended meanwhile.
        let buyer = shop.buyer(1, "LATER").await;
        shop.patch(&late, &json!({"ends_at": "2026-02-01T00:00:00Z"})).await.expect(200);
        assert_eq!(shop.buys(&buyer, "rina@example.com", "tok_approve").await.expect(409).code(), "coupon_expired");
        assert_eq!(shop.put(&shop.client.buyer(&shop.sku, 1).await, "LATER").await.expect(409).code(), "coupon_expired");
        // All of it free: nobody is asked for money.
        shop.coupon("GIFT", &json!({"basis_points": 10_000})).await;
        let order = shop.buys(&shop.buyer(1, "GIFT").await, "rina@example.com", "tok_decline").await.expect(201);
        assert_eq!((order.field("status"), &order.body["total"]), ("paid", &taka("0.00")));
        server.stop().await;
    }

    /// A quote and an order make one bill of them: free shipping is known there, and what is in a sale.
    async fn a_quote_reckons_with_coupons_as_the_order_does(store) {
        let server = Server::start(&store).await;
        let shop = Shop::new(server.client, 50).await;
        let zone = json!({"countries": ["BD"], "rate": {"kind": "flat", "price": taka("60.00")}});
        let methods = json!({"shipping_methods": [{"name": "Post", "days": [1, 3], "zones": [zone]}]});
        let path = format!("/v1/vendors/{}/shipping-methods", shop.vendor);
        let put = shop.client.request("PUT", &path).json(&methods).bearer(&shop.admin).header("if-match", "\"0\"");
        put.send().await.expect(200);
        let window = json!({"starts_at": "2026-01-01T00:00:00Z", "ends_at": "2099-01-01T00:00:00Z"});
        let mut free = json!({"code": "POST", "kind": "free_shipping", "combines": true});
        free.as_object_mut().expect("an object").extend(window.as_object().expect("an object").clone());
        shop.create(&free).await.expect(201);
        shop.coupon("TENTH", &json!({"combines": true, "usage_limit": 5})).await;
        shop.coupon("REGULAR", &json!({"excludes_sale_items": true})).await;
        let quote = async |buyer: &Buyer| {
            let body = json!({"shipping_address": checkout_body("tok_approve")["shipping_address"]});
            shop.client.post(&format!("/v1/carts/{}/quote", buyer.cart), &body).bearer(&buyer.token).send().await
        };
        let check_out = async |buyer: &Buyer, quote: &Value| {
            let mut body = checkout_body("tok_approve");
            body["quote_id"] = quote["quote_id"].clone();
            let path = format!("/v1/carts/{}/checkout", buyer.cart);
            shop.client.post(&path, &body).bearer(&buyer.token).header("prefer", "wait=30").send().await
        };
        let buyer = shop.buyer(2, "TENTH").await;
        let shown = shop.put(&buyer, "POST").await.expect(200).body;
        assert_eq!((&shown["discount"], &shown["total"]), (&taka("20.00"), &taka("180.00")), "of goods alone");
        let takes = |code: &str, amount: &str| json!({"code": code, "discount": taka(amount)});
        let later = json!({"code": "POST", "discount": taka("0.00"), "at_checkout": true});
        assert_eq!(shown["coupons"], json!([takes("TENTH", "20.00"), later]));
        let quoted = quote(&buyer).await.expect(200).body;
        assert_eq!(quoted["coupons"], json!([takes("TENTH", "20.00"), takes("POST", "60.00")]));
        for (field, amount) in [("discount", "20.00"), ("shipping", "0.00"), ("shipping_discount", "60.00"), ("total", "180.00")] {
            assert_eq!(quoted[field], taka(amount), "{field}: {quoted}");
        }
        let paid = check_out(&buyer, &quoted).await.expect(201);
        assert_eq!((paid.field("status"), &paid.body["total"]), ("paid", &taka("180.00")));
        assert_eq!(paid.body["coupons"], json!([{"code": "TENTH", "amount": taka("20.00")}, {"code": "POST", "amount": taka("60.00")}]));
        assert_eq!(paid.body["lines"][0]["discounts"], json!([{"code": "TENTH", "amount": taka("20.00")}]));
        // A cart without the code that it was quoted with is another.
        let buyer = shop.buyer(1, "TENTH").await;
        let quoted = quote(&buyer).await.expect(200).body;
        assert_eq!(quoted["total"], taka("150.00"));
        shop.coupon_of(&buyer, "DELETE", "TENTH").await.expect(200);
        let refused = check_out(&buyer, &quoted).await.expect(409);
        assert_eq!((refused.code(), &refused.body["why"]), ("quote_expired", &json!("cart")));
        // In a sale, it is at the sale's price, and a coupon for the rest takes nothing off.
        let early = shop.buyer(1, "REGULAR").await;
        let item = json!({"sku_id": shop.sku, "price": taka("50.00"), "allotment": 9});
        let sale = json!({"name": "11.11", "time_zone": "UTC", "starts_at": "2026-01-01T00:00:00Z", "ends_at": "2099-01-01T00:00:00Z", "items": [item]});
        let path = format!("/v1/vendors/{}/sales", shop.vendor);
        let sale = shop.client.post(&path, &sale).bearer(&shop.admin).send().await.expect(201);
        let quoted = quote(&early).await.expect(200).body;
        let told = json!([{"code": "REGULAR", "discount": taka("0.00"), "refused": "coupon_not_applicable", "why": "nothing"}]);
        assert_eq!((&quoted["coupons"], &quoted["total"]), (&told, &taka("110.00")), "priced without it");
        let refused = check_out(&early, &quoted).await.expect(409);
        assert_eq!((refused.code(), &refused.body["why"]), ("coupon_not_applicable", &json!("nothing")));
        let refused = shop.buys(&early, "rina@example.com", "tok_approve").await.expect(409);
        assert_eq!((refused.code(), &refused.body["why"]), ("coupon_not_applicable", &json!("nothing")));
        let quoted = quote(&buyer).await.expect(200).body;
        let line = &quoted["lines"][0];
        assert_eq!((&line["unit_price"], &line["list_price"], &line["sale_id"]), (&taka("50.00"), &taka("100.00"), &json!(sale.field("id"))));
        assert_eq!(check_out(&buyer, &quoted).await.expect(201).body["total"], taka("110.00"));
        server.stop().await;
    }

    /// A quote tells of each code why it does not apply, and prices without it. No order is made with such a code.
    async fn a_quote_lists_what_does_not_apply(store) {
        let server = Server::start(&store).await;
        let shop = Shop::new(server.client, 50).await;
        let large = json!({"min_subtotal": taka("500.00"), "combines": true});
        shop.coupon("LARGE", &large).await;
        let mut free = percent("FREE", &json!({"kind": "free_shipping", "combines": true, "min_subtotal": taka("150.00")}));
        free.as_object_mut().expect("an object").remove("basis_points");
        shop.create(&free).await.expect(201);
        let gone = shop.coupon("GONE", &json!({"combines": true})).await;
        shop.coupon("TENTH", &json!({"combines": true})).await;
        let buyer = shop.buyer(1, "LARGE").await;
        for code in ["FREE", "GONE", "TENTH"] {
            shop.put(&buyer, code).await.expect(200);
        }
        shop.patch(&gone, &json!({"ends_at": "2026-01-02T00:00:00Z"})).await.expect(200);
        let quote = async || {
            let body = json!({"shipping_address": checkout_body("tok_approve")["shipping_address"]});
            let path = format!("/v1/carts/{}/quote", buyer.cart);
            shop.client.post(&path, &body).bearer(&buyer.token).send().await.expect(200).body
        };
        let told = |quoted: &Value| -> Vec<(String, String, String)> {
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            let coupons = quoted["coupons"].as_array().expect("coupons").iter();
            coupons.map(|one| (text(&one["discount"]["amount"]), text(&one["refused"]), text(&one["why"]))).collect()
        };
        let of = |amount: &str, refused: &str, why: &str| (amount.to_owned(), refused.to_owned(), why.to_owned());
        let few = of("0.00", "coupon_not_applicable", "min_subtotal");
        let (nothing, over) = (of("0.00", "coupon_not_applicable", "nothing"), of("0.00", "coupon_expired", ""));
        let quoted = quote().await;
        assert_eq!(told(&quoted), [few.clone(), few.clone(), over.clone(), of("10.00", "", "")]);
        assert_eq!((&quoted["discount"], &quoted["total"]), (&taka("10.00"), &taka("90.00")));
        // The cart tells the same, before it is known where to.
        let shown = shop.client.get(&format!("/v1/carts/{}", buyer.cart)).bearer(&buyer.token).send().await.expect(200);
        assert_eq!((told(&shown.body), &shown.body["total"]), (told(&quoted), &taka("90.00")));
        // Enough of it, but shipped for nothing anyway.
        shop.client.set_line(&buyer, &shop.sku, 2).await.expect(200);
        let quoted = quote().await;
        assert_eq!(told(&quoted), [few, nothing, over, of("20.00", "", "")]);
        assert_eq!(quoted["total"], taka("180.00"));
        for (code, refused) in [("LARGE", "coupon_expired"), ("GONE", "coupon_not_applicable"), ("FREE", "")] {
            shop.coupon_of(&buyer, "DELETE", code).await.expect(200);
            let mut body = checkout_body("tok_approve");
            body["quote_id"] = quote().await["quote_id"].clone();
            let path = format!("/v1/carts/{}/checkout", buyer.cart);
            let answer = shop.client.post(&path, &body).bearer(&buyer.token).header("prefer", "wait=30").send().await;
            match refused {
                "" => assert_eq!(answer.expect(201).body["total"], taka("180.00")),
                refused => assert_eq!(answer.expect(409).code(), refused),
            }
        }
        server.stop().await;
    }

    /// A use is held for an order, is the order's once it is paid, and another's if it is not.
    async fn a_use_is_held_and_comes_back(store) {
        let server = Server::start(&store).await;
        let shop = Shop::new(server.client, 50).await;
        let coupon = shop.coupon("ONCE", &json!({"limit_per_customer": 1, "usage_limit": 2})).await;
        let counts = async || {
            let shown = shop.shown(&coupon).await;
            (shown["held"].as_u64().expect("a count"), shown["used"].as_u64().expect("a count"))
        };
        let declined = shop.buys(&shop.buyer(1, "ONCE").await, "fina@example.com", "tok_decline").await.expect(201);
        assert_eq!(declined.field("status"), "payment_failed");
        assert_eq!(counts().await, (0, 0), "what was not paid is given back before the order ends");
        let order = shop.buys(&shop.buyer(1, "ONCE").await, "fina@example.com", "tok_approve").await.expect(201);
        assert_eq!((order.field("status"), &order.body["total"]), ("paid", &taka("90.00")));
        // An alias is the same buyer.
        let again = shop.buyer(1, "ONCE").await;
        let refused = shop.buys(&again, "fina+2@example.com", "tok_approve").await.expect(409);
        assert_eq!(refused.code(), "coupon_limit_reached");
        let nobody = shop.client.checkout(&again, "tok_approve").header("prefer", "wait=30").send().await.expect(422);
        assert_eq!(nobody.code(), "email_required");
        assert_eq!(shop.buys(&again, "mina@example.com", "tok_approve").await.expect(201).field("status"), "paid");
        let last = shop.buys(&shop.buyer(1, "ONCE").await, "lina@example.com", "tok_approve").await.expect(409);
        assert_eq!(last.code(), "coupon_exhausted");
        assert_eq!(counts().await, (0, 2));
        assert_eq!(shop.patch(&coupon, &json!({"usage_limit": 1})).await.expect(409).code(), "coupon_in_use");
        let path = format!("/v1/orders/{}/timeline", order.field("id"));
        let timeline = shop.client.get(&path).bearer(&shop.admin).send().await.expect(200);
        let kinds: Vec<&str> =
            timeline.body["items"].as_array().expect("a list").iter().filter_map(|entry| entry["type"].as_str()).collect();
        let place = |kind: &str| kinds.iter().position(|known| *known == kind).unwrap_or_else(|| panic!("{kind}: {kinds:?}"));
        assert!(place("priced") < place("coupon_held") && place("coupon_held") < place("payment_requested"), "{kinds:?}");
        assert!(place("paid") < place("coupon_used"), "{kinds:?}");
        let stock = shop.client.stock(&shop.admin, &shop.vendor, &shop.sku).await;
        assert_eq!((&stock["held"], &stock["sold"]), (&json!(0), &json!(2)), "{stock}");
        server.stop().await;
    }

    /// A use that was paid comes back with the last unit that is cancelled, and its share of the budget with each.
    async fn a_cancelled_order_gives_its_use_back(store) {
        let server = Server::start(&store).await;
        let shop = Shop::new(server.client, 50).await;
        let once = json!({"limit_per_customer": 1, "usage_limit": 1, "budget": taka("20.00")});
        let coupon = shop.coupon("ONCE", &once).await;
        let kept = shop.coupon("KEPT", &json!({"usage_limit": 1, "restores_on": "never"})).await;
        let order = shop.buys(&shop.buyer(2, "ONCE").await, "fina@example.com", "tok_approve").await.expect(201);
        let refused = shop.buys(&shop.buyer(1, "ONCE").await, "mina@example.com", "tok_approve").await.expect(409);
        assert_eq!(refused.code(), "coupon_exhausted");
        let sub = order.body["sub_orders"][0]["id"].as_str().expect("an id").to_owned();
        let cancel = async |pieces: i64| {
            let path = format!("/v1/orders/{}/sub-orders/{sub}/cancel", order.field("id"));
            let body = json!({"reason": "changed_mind", "lines": [{"sku_id": shop.sku, "quantity": pieces}]});
            shop.client.post(&path, &body).bearer(&shop.admin).send().await.expect(200);
        };
        let counts = async |coupon: &str, used: i64, amount: &str| {
            let is_so = async || {
                let shown = shop.shown(coupon).await;
                (shown["used"] == used && shown["amount_used"] == json!(taka(amount))).then_some(())
            };
            until(&format!("{used} used, {amount}"), is_so).await;
        };
        cancel(1).await;
        counts(&coupon, 1, "10.00").await;
        cancel(1).await;
        counts(&coupon, 0, "0.00").await;
        let path = format!("/v1/orders/{}/timeline", order.field("id"));
        let is_told = async || {
            let timeline = shop.client.get(&path).bearer(&shop.admin).send().await.expect(200);
            let mut entries = timeline.body["items"].as_array().expect("a list").iter();
            entries.any(|entry| entry["type"] == "coupon_returned").then_some(())
        };
        until("told in the timeline", is_told).await;
        // The same buyer has it again; what comes after that is one too many.
        let again = shop.buys(&shop.buyer(1, "ONCE").await, "fina@example.com", "tok_approve").await.expect(201);
        assert_eq!(again.field("status"), "paid");
        counts(&coupon, 1, "10.00").await;

        let order = shop.buys(&shop.buyer(1, "KEPT").await, "lina@example.com", "tok_approve").await.expect(201);
        let path = format!("/v1/orders/{}/cancel", order.field("id"));
        let cancelled = shop.client.post(&path, &json!({"reason": "changed_mind"})).bearer(&shop.admin).send().await.expect(200);
        assert_eq!(cancelled.field("status"), "refunded");
        server.stop().await;
        let server = Server::start(&store).await;
        let shop = Shop { client: server.client, ..shop };
        assert_eq!(shop.shown(&kept).await["used"], 1, "its terms give nothing back");
        server.stop().await;
        let report = haat::app::audit::audit(&store.config(), store.data_dir()).await.expect("an audit");
        assert!(report.is_clean(), "{report}");
    }

    /// Codes that are good once: made by the thousand, by the coupon alone.
    async fn a_code_for_one_use_is_good_once(store) {
        let server = Server::start(&store).await;
        let shop = Shop::new(server.client, 50).await;
        let coupon = shop.coupon("GIFT", &json!({"single_use": true})).await;
        let path = format!("/v1/coupons/{coupon}/codes");
        let issue = |count: i64| shop.client.post(&path, &json!({"count": count})).bearer(&shop.admin).key("first").send();
        let codes = issue(10_000).await.expect(201).body["codes"].clone();
        assert_eq!(issue(10_000).await.expect(201).body["codes"], codes, "asked again under the same key");
        let codes: Vec<&str> = codes.as_array().expect("codes").iter().filter_map(Value::as_str).collect();
        assert_eq!((codes.len(), &codes[0][..5]), (10_000, "GIFT-"));
        assert_eq!(shop.shown(&coupon).await["issued"], 10_000);
        let buyer = shop.client.buyer(&shop.sku, 1).await;
        // The prefix is no code, nor is one that differs in a digit.
        let last = codes[7].chars().last().expect("a digit");
        let other = format!("{}{}", &codes[7][..codes[7].len() - 1], if last == '2' { '3' } else { '2' });
        for unknown in ["GIFT", &other, "GIFT-000000000000", "G1FT-!"] {
            assert_eq!(shop.put(&buyer, unknown).await.expect(404).code(), "coupon_unknown", "{unknown}");
        }
        shop.put(&buyer, &codes[7].to_lowercase()).await.expect(200);
        let rival = shop.buyer(1, codes[7]).await;
        assert_eq!(shop.buys(&buyer, "rina@example.com", "tok_approve").await.expect(201).body["total"], taka("90.00"));
        assert_eq!(shop.buys(&rival, "rina@example.com", "tok_approve").await.expect(409).code(), "coupon_exhausted");
        shop.put(&rival, codes[8]).await.expect(200);
        assert_eq!(shop.buys(&rival, "rina@example.com", "tok_approve").await.expect(201).field("status"), "paid");
        server.stop().await;
    }

    /// Whoever tries codes is told to wait, and is not told then whether one was right.
    async fn codes_are_not_guessed(store) {
        let mut config: Config = store.server();
        config.http.rates = Some("carts=100000/60".parse().expect("rates"));
        config.http.trusted_proxies = vec!["127.0.0.1".parse().expect("a network")];
        let server = Server::start_with(config, Default::default()).await;
        let shop = Shop::new(server.client, 50).await;
        shop.coupon("TENTH", &json!({})).await;
        let try_code = async |buyer: &Buyer, from: &str, code: &str| {
            let path = format!("/v1/carts/{}/coupons/{code}", buyer.cart);
            shop.client.request("PUT", &path).bearer(&buyer.token).header("x-forwarded-for", from).send().await
        };
        let buyer = shop.client.buyer(&shop.sku, 1).await;
        for number in 0..10 {
            // From many places, in one cart.
            let from = format!("203.0.113.{number}");
            assert_eq!(try_code(&buyer, &from, "NONE").await.expect(404).code(), "coupon_unknown");
        }
        let told = try_code(&buyer, "203.0.113.99", "TENTH").await.expect(429);
        assert_eq!(told.code(), "rate_limited");
        assert!(told.header("retry-after").is_some());
        // In many carts, from one place.
        for _ in 0..10 {
            let buyer = shop.client.buyer(&shop.sku, 1).await;
            try_code(&buyer, "198.51.100.1", "NONE").await.expect(404);
        }
        let other = shop.client.buyer(&shop.sku, 1).await;
        try_code(&other, "198.51.100.1", "TENTH").await.expect(429);
        try_code(&other, "198.51.100.2", "TENTH").await.expect(200);
        server.stop().await;
    }

    /// 200 checkouts for 100 uses, a third of the cards declined: exactly 100 orders carry the coupon, none is lost, and none is doubled.
    async fn exactly_as_many_orders_carry_a_coupon_as_it_has_uses(store) {
        const USES: u64 = 100;
        let server = Server::start(&store).await;
        let shop = Shop::new(server.client, 1_000).await;
        let coupon = shop.coupon("RUSH", &json!({"usage_limit": USES, "budget": taka("5000.00")})).await;
        let shop = std::sync::Arc::new(shop);
        let mut buyers = JoinSet::new();
        for number in 0..200 {
            let shop = shop.clone();
            buyers.spawn(async move {
                let buyer = shop.buyer(1, "RUSH").await;
                let card = if number % 3 == 2 { "tok_decline" } else { "tok_approve" };
                shop.buys(&buyer, &format!("buyer{number}@example.com"), card).await
            });
        }
        let mut paid = 0;
        for answer in buyers.join_all().await {
            match answer.status {
                201 if answer.field("status") == "paid" => {
                    assert_eq!(answer.body["total"], taka("90.00"));
                    paid += 1;
                }
                201 => assert_eq!(answer.field("status"), "payment_failed"),
                _ => assert_eq!(answer.expect(409).code(), "coupon_exhausted"),
            }
        }
        // Uses whose payment was declined come back; whoever was refused before may have come too early.
        for number in 200.. {
            let answer = shop.buys(&shop.buyer(1, "RUSH").await, &format!("buyer{number}@example.com"), "tok_approve").await;
            match answer.status {
                201 => paid += 1,
                _ => {
                    assert_eq!(answer.expect(409).code(), "coupon_exhausted");
                    break;
                }
            }
        }
        assert_eq!(paid, USES);
        let shown = shop.shown(&coupon).await;
        assert_eq!((&shown["held"], &shown["used"], &shown["amount_used"]), (&json!(0), &json!(USES), &taka("1000.00")));
        let stock = shop.client.stock(&shop.admin, &shop.vendor, &shop.sku).await;
        assert_eq!((&stock["held"], &stock["sold"]), (&json!(0), &json!(USES)), "{stock}");
        server.stop().await;
    }
}
