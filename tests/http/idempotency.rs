//! Idempotency keys: the first answer again, also after a restart.

use crate::on_both_stores;
use crate::support::client::checkout_body;
use crate::support::{Server, token};
use haat::domain::who::Permissions;
use haat::http::auth::Bearer;
use serde_json::json;

on_both_stores! {
    /// The same key and body give the first answer again, also when things have moved on, and also after a restart.
    async fn a_key_gives_the_first_answer_again(store) {
        let server = Server::start(&store).await;
        let client = server.client;
        let admin = token(&Bearer::Admin("root".into()));

        let vendor = client.post("/v1/vendors", &json!({"name": "A"})).bearer(&admin).key("v").send().await.expect(201);
        let again = client.post("/v1/vendors", &json!({"name": "A"})).bearer(&admin).key("v").send().await.expect(201);
        assert_eq!((again.text.as_str(), again.header("idempotent-replayed")), (vendor.text.as_str(), Some("true")));
        assert_eq!(vendor.header("idempotent-replayed"), None);
        let other = client.post("/v1/vendors", &json!({"name": "B"})).bearer(&admin).key("v").send().await.expect(422);
        assert_eq!(other.code(), "idempotency_key_reused");

        let (vendor, sku) = client.shop(&admin, "10.00", 3).await;
        let stock = format!("/v1/vendors/{vendor}/skus/{sku}/stock");
        let more = json!({"delta": 2, "reason": "bought in"});
        let first = client.post(&stock, &more).bearer(&admin).key("s").send().await.expect(200);
        client.post(&stock, &json!({"delta": -1, "reason": "broken"})).bearer(&admin).send().await.expect(200);
        let again = client.post(&stock, &more).bearer(&admin).key("s").send().await.expect(200);
        assert_eq!(again.text, first.text);
        assert_eq!(client.stock(&admin, &vendor, &sku).await["on_hand"], 4);

        let buyer = client.buyer(&sku, 5).await;
        let refused = client.checkout(&buyer, "tok_approve").key("c1").send().await.expect(409);
        client.set_line(&buyer, &sku, 1).await.expect(200);
        let again = client.checkout(&buyer, "tok_approve").key("c1").send().await.expect(409);
        assert_eq!((again.code(), again.header("idempotent-replayed")), ("out_of_stock", Some("true")), "{}", refused.text);
        let first = client.checkout(&buyer, "tok_approve").key("c2").send().await.expect(201);
        assert_eq!(first.field("status"), "awaiting_payment");
        let paid = client.checkout(&buyer, "tok_approve").header("prefer", "wait=20").send().await.expect(200);
        assert_eq!(paid.field("status"), "paid");
        server.stop().await;

        let server = Server::start(&store).await;
        let client = server.client;
        let again = client.checkout(&buyer, "tok_approve").key("c2").send().await.expect(201);
        assert_eq!((again.text.as_str(), again.header("idempotent-replayed")), (first.text.as_str(), Some("true")));
        let other = client.checkout(&buyer, "tok_decline").key("c2").send().await.expect(422);
        assert_eq!(other.code(), "idempotency_key_reused");
        let again = client.post(&stock, &more).bearer(&admin).key("s").send().await.expect(200);
        assert_eq!(again.header("idempotent-replayed"), Some("true"));
        // Another caller's key is another key; without a bearer there is nobody whose key it could be.
        let staff = token(&Bearer::Staff("clerk".into(), Permissions::ALL));
        let other = client.post(&stock, &more).bearer(&staff).key("s").send().await;
        assert_eq!(other.header("idempotent-replayed"), None);
        assert_eq!(client.post("/v1/carts", &json!({})).key("k").send().await.status, 400);
        server.stop().await;
    }

    /// A key makes one cart and one product, with one set of SKUs, also after a restart; another body is refused.
    async fn what_a_key_makes_it_makes_once(store) {
        let server = Server::start(&store).await;
        let admin = token(&Bearer::Admin("root".into()));
        let customer = haat::domain::ids::CustomerId::from_uuid(crate::support::fresh_uuid());
        let customer = token(&Bearer::Customer(customer));
        let (vendor, _) = server.client.shop(&admin, "10.00", 3).await;
        let products = format!("/v1/vendors/{vendor}/products");
        let product = |code: &str| json!({"title": "Lamp", "skus": [
            {"code": code, "price": {"amount": "2.00", "currency": "BDT"}, "on_hand": 4},
            {"code": "L2", "price": {"amount": "3.00", "currency": "BDT"}, "on_hand": 5}]});
        let mut first = None;
        let mut server = server;
        for replayed in [None, Some("true"), Some("true")] {
            let client = server.client;
            let cart = client.post("/v1/carts", &json!({})).bearer(&customer).key("k").send().await.expect(201);
            let lamp = client.post(&products, &product("L1")).bearer(&admin).key("k").send().await.expect(201);
            assert_eq!((cart.header("idempotent-replayed"), lamp.header("idempotent-replayed")), (replayed, replayed));
            let texts = (cart.text, lamp.text);
            assert_eq!(&texts, first.get_or_insert(texts.clone()));
            let other = client.post(&products, &product("L3")).bearer(&admin).key("k").send().await.expect(422);
            assert_eq!(other.code(), "idempotency_key_reused");
            server.stop().await;
            server = Server::start(&store).await;
        }
        let again = server.client.post("/v1/carts", &json!({})).bearer(&customer).key("l").send().await.expect(200);
        assert!(first.is_some_and(|(cart, _)| cart.contains(again.field("id"))), "while it is open it is the one");
        server.stop().await;
    }

    /// Once the first answer is forgotten, a key still makes nothing anew: a vendor is shown again and said to be known, and a cart is
    /// never given to another.
    async fn a_forgotten_key_hands_out_nothing_as_new(store) {
        let server = Server::start(&store).await;
        let client = server.client;
        let admin = token(&Bearer::Admin("root".into()));
        let make = || client.post("/v1/carts", &json!({})).bearer(&admin).key("cart").send();
        let made = make().await.expect(201);
        assert_eq!(make().await.expect(201).header("idempotent-replayed"), Some("true"));
        let buyer = crate::support::client::Buyer { cart: made.field("id").into(), token: made.field("token").into() };
        // Newer keys than a cart remembers.
        for number in 0..haat::limits::IDEMPOTENCY_KEYS_PER_PURCHASE {
            client.checkout(&buyer, "tok_approve").key(&format!("empty-{number}")).send().await.expect(409);
        }
        let again = make().await.expect(422);
        assert_eq!(again.code(), "idempotency_key_reused");
        assert!(!again.text.contains("token"), "{}", again.text);

        let vendor = client.post("/v1/vendors", &json!({"name": "A"})).bearer(&admin).key("v").send().await.expect(201);
        let id: haat::domain::ids::VendorId = vendor.field("id").parse().expect("an id");
        // Without its key, as if the answer under it were forgotten: a vendor remembers too many keys to outnumber them here.
        let create = |name: &str| {
            let command = haat::domain::vendor::VendorCommand::Create { name: name.into() };
            let how = haat::actors::Ask { within: std::time::Duration::from_secs(10), key: None, fresh: false };
            server.shop.ask::<haat::domain::vendor::Vendor>(id, command, how)
        };
        let same = create("A").await.expect("an answer");
        assert!(same.replayed && same.outcome.is_ok(), "{same:?}");
        let other = create("B").await.expect("an answer");
        assert_eq!(other.outcome, Err(haat::domain::reject::Reject::IdempotencyKeyReused));
        server.stop().await;
    }

    /// Concurrent repeats wait for the first: one order, and one answer that is not a repetition.
    async fn concurrent_repeats_wait_for_the_first(store) {
        let server = Server::start(&store).await;
        let client = server.client;
        let admin = token(&Bearer::Admin("root".into()));
        let (_, sku) = client.shop(&admin, "10.00", 3).await;
        let buyer = client.buyer(&sku, 1).await;
        let path = format!("/v1/carts/{}/checkout", buyer.cart);
        let ask = || {
            let checkout = client.post(&path, &checkout_body("tok_slow_100")).bearer(&buyer.token);
            checkout.key("once").header("prefer", "wait=20").send()
        };
        let answers = futures::future::join_all((0..8).map(|_| ask())).await;
        let first = answers.iter().filter(|answer| answer.header("idempotent-replayed").is_none()).count();
        assert_eq!(first, 1);
        for answer in &answers {
            assert_eq!((answer.status, &answer.text), (201, &answers[0].text));
            assert_eq!(answer.field("status"), "paid");
        }
        server.stop().await;
    }
}
