//! Sales over HTTP: what is shown, what can be had, by whom; what stays over a restart, and who may see what.

use crate::on_both_stores;
use crate::support::client::{Answer, Buyer, Client, checkout_body};
use crate::support::{Server, token};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use haat::domain::ids::CustomerId;
use haat::http::auth::Bearer;
use serde_json::{Value, json};

fn admin() -> String {
    token(&Bearer::Admin("root".into()))
}

fn bdt(amount: &str) -> Value {
    json!({"amount": amount, "currency": "BDT"})
}

/// A sale of this SKU that has begun and lasts for years.
fn running(sku: &str, allotment: i64) -> Value {
    json!({
        "name": "11.11", "starts_at": "2020-11-11T00:00:00+06:00", "ends_at": "2100-01-01T00:00:00Z", "time_zone": "Asia/Dhaka",
        "items": [{"sku_id": sku, "price": bdt("6.00"), "allotment": allotment}],
    })
}

async fn schedule(client: &Client, vendor: &str, sale: &Value) -> Answer {
    client.post(&format!("/v1/vendors/{vendor}/sales"), sale).bearer(&admin()).send().await
}

async fn buy(client: &Client, buyer: &Buyer, card: &str, email: Option<&str>, expected: Option<&str>) -> Answer {
    let mut body = checkout_body(card);
    body["email"] = json!(email);
    if let Some(expected) = expected {
        body["expected_total"] = bdt(expected);
    }
    let path = format!("/v1/carts/{}/checkout", buyer.cart);
    client.post(&path, &body).bearer(&buyer.token).header("prefer", "wait=30").send().await
}

async fn shown(client: &Client, sku: &str) -> Value {
    client.get(&format!("/v1/skus/{sku}")).send().await.expect(200).body
}

on_both_stores! {
    /// As many as a sale may have fit into a body, and stay over a restart.
    async fn a_sale_has_a_thousand_items(store) {
        let server = Server::start(&store).await;
        let (vendor, _) = server.client.shop(&admin(), "10.00", 1).await;
        let mut skus = Vec::new();
        for number in 0..10 {
            let sku = |code: usize| json!({"code": format!("S{code}"), "price": bdt("10.00"), "on_hand": 5});
            let product = json!({"title": format!("Quilt {number}"), "skus": (number * 100..number * 100 + 100).map(sku).collect::<Vec<_>>()});
            let path = format!("/v1/vendors/{vendor}/products");
            let made = server.client.post(&path, &product).bearer(&admin()).send().await.expect(201);
            skus.extend(made.body["skus"].as_array().unwrap().iter().map(|sku| sku["id"].as_str().unwrap().to_owned()));
        }
        let mut sale = running(&skus[0], 5);
        let item = |sku: &String| json!({"sku_id": sku, "price": bdt("6.00"), "allotment": 5, "limit_per_customer": 2});
        sale["items"] = skus.iter().map(item).collect();
        let made = schedule(&server.client, &vendor, &sale).await.expect(201);
        sale["items"][0]["tranches"] = json!([{"opens_at": "2020-11-11T00:00:00+06:00", "quantity": 5}]);
        let again = schedule(&server.client, &vendor, &sale).await;
        assert_eq!(again.expect(409).code(), "sale_overlap");
        let path = format!("/v1/vendors/{vendor}/sales/{}", made.field("id"));
        server.stop().await;
        let server = Server::start(&store).await;
        let shown = server.client.get(&path).bearer(&admin()).send().await.expect(200);
        assert_eq!(shown.body["items"], made.body["items"]);
        assert_eq!(shown.body["items"].as_array().map(Vec::len), Some(1_000));
        server.stop().await;
    }

    async fn a_sale_is_shown_and_sold_at_its_price_until_it_is_gone(store) {
        let server = Server::start(&store).await;
        let (vendor, sku) = server.client.shop(&admin(), "10.00", 100).await;
        let sale = schedule(&server.client, &vendor, &running(&sku, 5)).await.expect(201);
        let id = sale.field("id").to_owned();
        assert_eq!((sale.field("status"), &sale.body["items"][0]["left"]), ("running", &json!(5)));

        let listing = shown(&server.client, &sku).await;
        assert_eq!(listing["price"], bdt("6.00"));
        assert_eq!(listing["regular_price"], bdt("10.00"));
        assert_eq!((&listing["available"], &listing["sale"]["id"], &listing["sale"]["left"]), (&json!(5), &json!(id), &json!(5)));
        let stock = server.client.stock(&admin(), &vendor, &sku).await;
        assert_eq!((&stock["reserved"], &stock["available"]), (&json!(5), &json!(100)));

        let buyer = server.client.buyer(&sku, 3).await;
        let cart = server.client.get(&format!("/v1/carts/{}", buyer.cart)).bearer(&buyer.token).send().await.expect(200);
        assert_eq!((&cart.body["lines"][0]["unit_price"], &cart.body["lines"][0]["sale_id"]), (&bdt("6.00"), &json!(id)));
        let order = buy(&server.client, &buyer, "tok_approve", None, None).await.expect(201);
        let line = &order.body["lines"][0];
        assert_eq!((order.field("status"), &line["unit_price"], &line["line_total"]), ("paid", &bdt("6.00"), &bdt("18.00")));
        assert_eq!((&line["list_price"], &line["sale_id"]), (&bdt("10.00"), &json!(id)));
        let orders = server.client.get("/v1/orders").bearer(&buyer.token).send().await.expect(200);
        if let Some(row) = orders.body["items"].get(0) {
            assert_eq!(row["lines"], order.body["lines"], "a list says the same");
        }

        // A card that is declined gives its pieces back to the sale.
        let other = server.client.buyer(&sku, 2).await;
        assert_eq!(buy(&server.client, &other, "tok_decline", None, None).await.expect(201).field("status"), "payment_failed");
        let third = server.client.buyer(&sku, 3).await;
        let refused = buy(&server.client, &third, "tok_approve", None, None).await.expect(409);
        assert_eq!((refused.code(), &refused.body["left"], &refused.body["sku_id"]), ("sale_sold_out", &json!(2), &json!(sku)));
        assert_eq!(buy(&server.client, &other, "tok_approve", None, None).await.expect(201).field("status"), "paid");
        assert_eq!(shown(&server.client, &sku).await["available"], json!(0));
        let refused = buy(&server.client, &third, "tok_approve", None, None).await.expect(409);
        assert_eq!((refused.code(), &refused.body["left"]), ("sale_sold_out", &json!(0)));

        // All of it is known after a restart, from the tables and from the journal.
        let path = format!("/v1/vendors/{vendor}/sales/{id}");
        let before = server.client.get(&path).bearer(&admin()).send().await.expect(200);
        assert_eq!((&before.body["items"][0]["held"], &before.body["items"][0]["sold"]), (&json!(0), &json!(5)));
        server.stop().await;
        let server = Server::start(&store).await;
        let after = server.client.get(&path).bearer(&admin()).send().await.expect(200);
        assert_eq!(after.body["items"], before.body["items"]);
        let listing = shown(&server.client, &sku).await;
        assert_eq!((&listing["available"], &listing["price"]), (&json!(0), &bdt("6.00")));
        let listed = server.client.get("/v1/sales?running=true").send().await.expect(200);
        assert_eq!((listed.body["items"].as_array().unwrap().len(), &listed.body["items"][0]["id"]), (1, &json!(id)));

        // What the vendor alone may know.
        let public = server.client.get(&format!("/v1/sales/{id}")).send().await.expect(200);
        assert!(public.body["items"][0].get("sold").is_none() && public.body.get("buyers").is_none());
        assert_eq!(public.body["items"][0]["left"], json!(0));

        // Cancelled, the rest can be had at the regular price.
        let cancelled = server.client.post(&format!("{path}/cancel"), &json!({})).bearer(&admin()).send().await.expect(200);
        assert_eq!(cancelled.field("status"), "cancelled");
        let listing = shown(&server.client, &sku).await;
        assert_eq!((&listing["available"], &listing["price"], listing.get("sale")), (&json!(95), &bdt("10.00"), None));
        let refused = buy(&server.client, &third, "tok_approve", None, None).await.expect(409);
        assert_eq!((refused.code(), &refused.body["actual_total"]), ("sale_ended", &bdt("30.00")));
        let order = buy(&server.client, &third, "tok_approve", None, Some("30.00")).await.expect(201);
        assert_eq!((order.field("status"), order.body["lines"][0].get("sale_id")), ("paid", None));
    }

    async fn one_buyer_has_no_more_than_the_limit_however_they_come(store) {
        let server = Server::start(&store).await;
        let client = &server.client;
        let (vendor, sku) = client.shop(&admin(), "10.00", 100).await;
        let mut sale = running(&sku, 50);
        sale["items"][0]["limit_per_customer"] = json!(2);
        let id = schedule(client, &vendor, &sale).await.expect(201).field("id").to_owned();
        let nobody = client.buyer(&sku, 1).await;
        assert_eq!(buy(client, &nobody, "tok_approve", None, None).await.expect(422).code(), "email_required");
        // The same person by four addresses of one mailbox, each with a cart of their own.
        let aliases = ["fina@gmail.com", "f.ina@gmail.com", "fina+2@gmail.com", "FINA@googlemail.com"];
        let mut outcomes = Vec::new();
        for alias in aliases {
            let guest = client.buyer(&sku, 1).await;
            let answer = buy(client, &guest, "tok_approve", Some(alias), None).await;
            outcomes.push((answer.status, answer.body["used"].clone()));
        }
        let refused = (409, json!(2));
        assert_eq!(outcomes, [(201, Value::Null), (201, Value::Null), refused.clone(), refused]);
        let guest = client.buyer(&sku, 3).await;
        let refused = buy(client, &guest, "tok_approve", Some("rina@example.com"), None).await.expect(409);
        assert_eq!((refused.code(), &refused.body["limit"], &refused.body["used"], &refused.body["skus"]), ("purchase_limit", &json!(2), &json!(0), &json!([sku])));
        let path = format!("/v1/vendors/{vendor}/sales/{id}");
        assert_eq!(client.get(&path).bearer(&admin()).send().await.expect(200).body["buyers"], json!(1));
        // A lower limit is refused while it runs, a higher one is not.
        let limit = |limit: i64| json!({"items": [{"sku_id": sku, "limit_per_customer": limit}]});
        let lower = client.request("PATCH", &path).json(&limit(1)).bearer(&admin()).send().await.expect(409);
        assert_eq!(lower.code(), "sale_running");
        client.request("PATCH", &path).json(&limit(3)).bearer(&admin()).send().await.expect(200);
        let guest = client.buyer(&sku, 1).await;
        buy(client, &guest, "tok_approve", Some("fina@gmail.com"), None).await.expect(201);
    }

    async fn what_is_kept_for_a_sale_to_come_cannot_be_had(store) {
        let server = Server::start(&store).await;
        let client = &server.client;
        let (vendor, sku) = client.shop(&admin(), "10.00", 10).await;
        let mut sale = running(&sku, 8);
        sale["starts_at"] = json!("2099-01-01T00:00:00Z");
        schedule(client, &vendor, &sale).await.expect(201);
        assert_eq!(shown(client, &sku).await["available"], json!(2));
        let guest = client.buyer(&sku, 3).await;
        let refused = buy(client, &guest, "tok_approve", None, None).await.expect(409);
        assert_eq!((refused.code(), &refused.body["starts_at"]), ("sale_not_started", &json!("2099-01-01T00:00:00.000Z")));
        let change = json!({"delta": -3, "reason": "broken"});
        let path = format!("/v1/vendors/{vendor}/skus/{sku}/stock");
        let refused = client.post(&path, &change).bearer(&admin()).send().await.expect(409);
        assert_eq!((refused.code(), &refused.body["available"]), ("allotment_reserved", &json!(2)));
        let refused = schedule(client, &vendor, &running(&sku, 3)).await.expect(409);
        assert_eq!(refused.code(), "sale_overlap");
        let listed = client.get("/v1/sales").send().await.expect(200);
        assert_eq!(listed.body["items"][0]["status"], "scheduled");
        assert_eq!(client.get("/v1/sales?running=true").send().await.expect(200).body["items"], json!([]));
    }

    async fn a_sale_may_be_for_those_who_have_an_account(store) {
        let server = Server::start(&store).await;
        let client = &server.client;
        let (vendor, sku) = client.shop(&admin(), "10.00", 100).await;
        let mut sale = running(&sku, 50);
        sale["requires"] = json!("account");
        sale["limit_per_customer"] = json!(1);
        schedule(client, &vendor, &sale).await.expect(201);
        let guest = client.buyer(&sku, 1).await;
        let refused = buy(client, &guest, "tok_approve", Some("fina@example.com"), None).await.expect(403);
        assert_eq!(refused.code(), "account_required");
        let cart = client.get(&format!("/v1/carts/{}", guest.cart)).bearer(&guest.token).send().await.expect(200);
        assert_eq!(cart.field("status"), "open", "nothing is held, and the cart is as it was");
        let fina = client.signed_up(&admin(), "fina@example.com", "seven boats on the Padma").await;
        let bearer = fina.field("access_token").to_owned();
        for expected in [201, 409] {
            let cart = client.post("/v1/carts", &json!({})).bearer(&bearer).send().await;
            let buyer = Buyer { cart: cart.field("id").to_owned(), token: bearer.clone() };
            client.set_line(&buyer, &sku, 1).await.expect(200);
            buy(client, &buyer, "tok_approve", None, None).await.expect(expected);
        }
    }

    /// One mailbox may have many accounts, by aliases of its address: together they buy what one may. What is typed in at the checkout counts for
    /// nobody there, and an account whose address is another's by now is known by both.
    async fn accounts_of_one_mailbox_share_one_limit(store) {
        let server = Server::start(&store).await;
        let client = &server.client;
        let (vendor, sku) = client.shop(&admin(), "10.00", 100).await;
        let mut sale = running(&sku, 50);
        sale["requires"] = json!("account");
        sale["limit_per_customer"] = json!(2);
        schedule(client, &vendor, &sale).await.expect(201);
        let password = "seven boats on the Padma";
        let signed_up = async |email: &str| client.signed_up(&admin(), email, password).await.field("access_token").to_owned();
        let buys = async |bearer: &str, pieces: i64, typed: &str| {
            let cart = client.post("/v1/carts", &json!({})).bearer(bearer).send().await;
            let buyer = Buyer { cart: cart.field("id").to_owned(), token: bearer.to_owned() };
            client.set_line(&buyer, &sku, pieces).await.expect(200);
            buy(client, &buyer, "tok_approve", Some(typed), None).await
        };
        let first = signed_up("fina+1@example.com").await;
        buys(&first, 2, "fina@example.com").await.expect(201);
        let second = signed_up("Fina+2@example.com").await;
        let refused = buys(&second, 1, "rina@example.com").await.expect(409);
        assert_eq!((refused.code(), &refused.body["used"], &refused.body["limit"]), ("purchase_limit", &json!(2), &json!(2)));
        let rina = signed_up("rina@example.com").await;
        buys(&rina, 2, "fina@example.com").await.expect(201);
        // A shop that makes tokens itself knows no address: such a token has the customer's key alone.
        let customer = CustomerId::from_uuid(uuid::Uuid::from_u128(7));
        let made = token(&Bearer::Customer(customer));
        buys(&made, 2, "fina@example.com").await.expect(201);

        let key = |bearer: &str| {
            let claims = BASE64_URL_SAFE_NO_PAD.decode(bearer.split('.').nth(1).expect("claims")).expect("base64");
            let claims: Value = serde_json::from_slice(&claims).expect("JSON");
            assert!(!claims.to_string().contains("example.com"), "{claims}");
            claims["buyer_key"].clone()
        };
        assert!(key(&first) == key(&second) && key(&first) != key(&rina) && key(&made).is_null());
        // With another address there is another key, and the customer's own stays.
        let other = json!({"email": "lina@example.com", "password": password});
        client.post("/v1/me/email", &other).bearer(&second).send().await.expect(202);
        let mailed = client.mailed(&admin(), "lina@example.com", "account.new_email").await;
        let body = json!({"token": mailed, "password": password});
        let session = client.post("/v1/auth/verify", &body).send().await.expect(200);
        let changed = session.field("access_token").to_owned();
        assert!(key(&changed) != key(&second) && !key(&changed).is_null());
        let body = json!({"refresh_token": session.field("refresh_token")});
        let refreshed = client.post("/v1/auth/refresh", &body).send().await.expect(200);
        assert_eq!(key(refreshed.field("access_token")), key(&changed));
        buys(&changed, 2, "rina@example.com").await.expect(201);
        let third = signed_up("lina+x@example.com").await;
        assert_eq!(buys(&third, 1, "nina@example.com").await.expect(409).code(), "purchase_limit");
    }

    async fn a_malformed_sale_names_what_is_wrong(store) {
        let server = Server::start(&store).await;
        let client = &server.client;
        let (vendor, sku) = client.shop(&admin(), "10.00", 100).await;
        for (pointer, value, field) in [
            ("/starts_at", json!("11 November"), "starts_at"),
            ("/ends_at", json!("2100-13-01T00:00:00Z"), "ends_at"),
            ("/time_zone", json!("Asia/Atlantis"), "time_zone"),
            ("/items/0/sku_id", json!("sku_1"), "items[0].sku_id"),
            ("/items/0/price", json!({"amount": "6", "currency": "BDT"}), "items[0].price.amount"),
            ("/name", json!(""), "name"),
        ] {
            let mut sale = running(&sku, 5);
            *sale.pointer_mut(pointer).expect("it is there") = value;
            let refused = schedule(client, &vendor, &sale).await.expect(422);
            assert_eq!((refused.code(), &refused.body["errors"][0]["field"]), ("invalid_body", &json!(field)));
        }
        for (pointer, value, why) in [
            ("/items", json!([]), "items"),
            ("/ends_at", json!("2020-11-11T00:00:00+06:00"), "window"),
            ("/items/0/price/amount", json!("10.01"), "price"),
            ("/items/0/allotment", json!(0), "allotment"),
        ] {
            let mut sale = running(&sku, 5);
            *sale.pointer_mut(pointer).expect("it is there") = value;
            let refused = schedule(client, &vendor, &sale).await.expect(422);
            assert_eq!((refused.code(), &refused.body["why"]), ("sale_invalid", &json!(why)));
        }
        assert_eq!(schedule(client, &vendor, &running(&sku, 101)).await.expect(409).code(), "allotment_reserved");
        // Under one key it is one sale.
        let twice = || client.post(&format!("/v1/vendors/{vendor}/sales"), &running(&sku, 5)).bearer(&admin()).key("one").send();
        let (first, again) = (twice().await.expect(201), twice().await.expect(201));
        assert_eq!(first.field("id"), again.field("id"));
    }
}
