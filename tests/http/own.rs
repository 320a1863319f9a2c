//! What a customer has of their own: addresses, another e-mail address, all that is known of them, and being forgotten.

use crate::support::client::{Answer, Client, checkout_body};
use crate::support::{Server, token};
use crate::{on_both_stores, until};
use haat::adapters::erased::ERASED_FILE;
use haat::http::auth::Bearer;
use serde_json::{Value, json};

const GOOD: &str = "seven boats on the Padma";

fn admin() -> String {
    token(&Bearer::Admin("root".into()))
}

async fn log_in(client: &Client, email: &str) -> Answer {
    client.post("/v1/auth/login", &json!({"email": email, "password": GOOD})).send().await
}

fn address(line1: &str) -> Value {
    json!({"name": "Fina", "line1": line1, "city": "Dhaka", "country": "BD", "phone": "+8801712345678"})
}

async fn bought(client: &Client, bearer: &str, sku: &str, pays_with: &str) -> Answer {
    let cart = client.post("/v1/carts", &json!({})).bearer(bearer).send().await.expect(201);
    let path = format!("/v1/carts/{}", cart.field("id"));
    let line = client.request("PUT", &format!("{path}/lines/{sku}")).json(&json!({"quantity": 1}));
    line.bearer(bearer).send().await.expect(200);
    let mut body = checkout_body(pays_with);
    body["email"] = json!("fina@example.com");
    let check_out = client.post(&format!("{path}/checkout"), &body).bearer(bearer).header("prefer", "wait=30");
    check_out.send().await.expect(201)
}

on_both_stores! {
    async fn addresses_are_kept_changed_and_let_go(store) {
        let server = Server::start(&store).await;
        let client = server.client;
        let fina = client.signed_up(&admin(), "fina@example.com", GOOD).await.field("access_token").to_owned();
        let rina = client.signed_up(&admin(), "rina@example.com", GOOD).await.field("access_token").to_owned();
        let post = async |body: &Value, key: &str| client.post("/v1/me/addresses", body).bearer(&fina).key(key).send().await;
        let kept = post(&address("12 Lake Road"), "one").await.expect(201);
        assert_eq!((kept.field("line1"), kept.body.get("line2")), ("12 Lake Road", None));
        let again = post(&address("12 Lake Road"), "one").await.expect(201);
        assert_eq!((again.field("id"), again.header("idempotent-replayed")), (kept.field("id"), Some("true")));
        assert_eq!(post(&address("13 Lake Road"), "one").await.expect(422).code(), "idempotency_key_reused");
        let path = format!("/v1/me/addresses/{}", kept.field("id"));
        let patch = async |bearer: &str, body: Value| client.request("PATCH", &path).json(&body).bearer(bearer).send().await;
        let changed = patch(&fina, json!({"line1": "14 Lake Road", "phone": null, "postcode": "1205"})).await.expect(200);
        assert_eq!((changed.field("line1"), changed.field("postcode"), changed.body.get("phone")), ("14 Lake Road", "1205", None));
        for bad in [json!({"line1": ""}), json!({"country": "bd"}), json!({"city": "a\nb"}), json!({"town": "x"})] {
            assert_eq!(patch(&fina, bad).await.expect(422).code(), "invalid_body");
        }
        // Another's is not there.
        assert_eq!(patch(&rina, json!({"line1": "x"})).await.expect(404).code(), "address_unknown");
        client.request("DELETE", &path).bearer(&rina).send().await.expect(404);
        let listed = client.get("/v1/me/addresses").bearer(&fina).send().await.expect(200);
        assert_eq!(listed.body["items"], json!([changed.body]));
        client.request("DELETE", &path).bearer(&fina).send().await.expect(204);
        client.request("DELETE", &path).bearer(&fina).send().await.expect(404);

        // Twenty, also of thirty at once.
        let thirty = (0..30).map(|number| {
            let (client, fina) = (client, fina.clone());
            tokio::spawn(async move {
                client.post("/v1/me/addresses", &address(&format!("{number} Lake Road"))).bearer(&fina).send().await
            })
        });
        let mut taken = 0;
        for one in thirty.collect::<Vec<_>>() {
            let answer = one.await.expect("an answer");
            taken += usize::from(answer.status == 201);
            assert!(answer.status == 201 || answer.code() == "addresses_full", "{}", answer.text);
        }
        assert_eq!(taken, 20);
        server.stop().await;
    }

    /// The new address is verified with the password, and the old one is told. Until then the old one counts, and a stranger gets nothing.
    async fn an_account_gets_another_address(store) {
        let server = Server::start(&store).await;
        let client = server.client;
        let session = client.signed_up(&admin(), "fina@example.com", GOOD).await;
        let fina = session.field("access_token").to_owned();
        client.signed_up(&admin(), "rina@example.com", GOOD).await;
        let change = async |bearer: &str, email: &str, password: &str| {
            client.post("/v1/me/email", &json!({"email": email, "password": password})).bearer(bearer).send().await
        };
        assert_eq!(change(&fina, "new@example.com", "some other password").await.expect(401).code(), "credentials_invalid");
        assert_eq!(change(&fina, "ﬁna@example.com", GOOD).await.expect(422).code(), "invalid_body");
        // An address that has an account: the answer is the same, its owner is told, and nothing changes.
        let known = change(&fina, "rina@example.com", GOOD).await.expect(202);
        let unknown = change(&fina, "new@example.com", GOOD).await.expect(202);
        assert_eq!(known.text, unknown.text);
        client.noticed(&admin(), "rina@example.com", "account.known_address").await;
        client.noticed(&admin(), "fina@example.com", "account.email_change").await;
        let brought = client.mailed(&admin(), "new@example.com", "account.new_email").await;
        log_in(&client, "new@example.com").await.expect(401);
        let verify = async |token: &str, password: &str| {
            client.post("/v1/auth/verify", &json!({"token": token, "password": password})).send().await
        };
        verify(&brought, "some other password").await.expect(401);
        let changed = verify(&brought, GOOD).await.expect(200);
        assert_eq!(changed.body["account"]["email"], "new@example.com");
        assert_eq!(changed.body["account"]["id"], session.body["account"]["id"]);
        verify(&brought, GOOD).await.expect(401);
        log_in(&client, "fina@example.com").await.expect(401);
        log_in(&client, "new@example.com").await.expect(200);
        // Whoever was signed in before is not any more.
        client.get("/v1/me").bearer(&fina).send().await.expect(401);
        let fina = log_in(&client, "new@example.com").await.expect(200).field("access_token").to_owned();
        // What is free may be taken, by one of two at once.
        let rina = log_in(&client, "rina@example.com").await.expect(200).field("access_token").to_owned();
        let (one, two) = tokio::join!(change(&fina, "fina@example.com", GOOD), change(&rina, "fina@example.com", GOOD));
        one.expect(202);
        two.expect(202);
        let mails = client.mailed_tokens(&admin(), "fina@example.com", "account.new_email", 2).await;
        let (one, two) = tokio::join!(verify(&mails[0], GOOD), verify(&mails[1], GOOD));
        let mut statuses = [one.status, two.status];
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 401], "{} {}", one.text, two.text);
        server.stop().await;
    }

    /// All that is known of somebody is theirs to have, and to have erased; the order goes on without it.
    async fn somebody_is_forgotten(store) {
        let server = Server::start(&store).await;
        let client = server.client;
        let (_, sku) = client.shop(&admin(), "10.00", 5).await;
        let session = client.signed_up(&admin(), "fina@example.com", GOOD).await;
        let fina = session.field("access_token").to_owned();
        client.post("/v1/me/addresses", &address("12 Lake Road")).bearer(&fina).send().await.expect(201);
        let paid = bought(&client, &fina, &sku, "tok_approve").await;
        let unpaid = bought(&client, &fina, &sku, "tok_decline").await;
        assert_eq!((paid.field("status"), unpaid.field("status")), ("paid", "payment_failed"));
        until("both orders in the list as they are now", async || {
            let listed = client.get("/v1/orders?status=payment_failed").bearer(&fina).send().await.expect(200);
            let paid = client.get("/v1/orders?status=paid").bearer(&fina).send().await.expect(200);
            (listed.body["items"] != json!([]) && paid.body["items"] != json!([])).then_some(())
        })
        .await;
        let sub = paid.body["sub_orders"][0]["id"].as_str().expect("an id");
        let of_share = |what: &str| format!("/v1/orders/{}/sub-orders/{sub}/{what}", paid.field("id"));
        let parcel = client.post(&of_share("shipments"), &json!({})).bearer(&admin()).send().await.expect(201);
        let deliver = of_share(&format!("shipments/{}/deliver", parcel.field("id")));
        client.post(&deliver, &json!({})).bearer(&admin()).send().await.expect(200);
        let lines = json!([{"sku_id": sku, "quantity": 1}]);
        let wanted = json!({"lines": lines, "reason": "damaged", "comment": "Plantedcomment"});
        let back = client.post(&of_share("returns"), &wanted).bearer(&fina).send().await.expect(201);
        let known = client.get("/v1/me/export").bearer(&fina).send().await.expect(200);
        let comment = json!({"order_id": paid.body["id"], "return_id": back.body["id"], "comment": "Plantedcomment"});
        assert_eq!(known.body["comments"], json!([comment]));
        assert_eq!(known.body["account"]["email"], "fina@example.com");
        assert_eq!(known.body["addresses"][0]["line1"], "12 Lake Road");
        assert_eq!(known.body["orders"].as_array().map(Vec::len), Some(2));
        assert_eq!(known.body["orders"][0]["email"], "fina@example.com");
        assert_eq!(known.body["sessions"].as_array().map(Vec::len), Some(1));
        // Whoever does not buy has nothing of it.
        client.get("/v1/me/export").bearer(&admin()).send().await.expect(403);

        client.request("DELETE", "/v1/me").bearer(&fina).send().await.expect(202);
        client.get("/v1/me").bearer(&fina).send().await.expect(401);
        log_in(&client, "fina@example.com").await.expect(401);
        let refresh = json!({"refresh_token": session.field("refresh_token")});
        client.post("/v1/auth/refresh", &refresh).send().await.expect(401);
        for order in [paid.field("id"), unpaid.field("id")] {
            let erased = until("the details to be erased", async || {
                let order = client.order(&admin(), order).await.expect(200);
                (order.body["email"] == "erased").then_some(order)
            })
            .await;
            assert_eq!(erased.body["shipping_address"], "erased");
            assert!(!erased.text.contains("Plantedcomment"), "{}", erased.text);
        }
        let noted = std::fs::read_to_string(store.data_dir().join(ERASED_FILE)).expect("the log");
        assert_eq!(noted.trim(), session.body["account"]["id"]);
        // What is gone is nobody's to change, and nothing is written of it any more.
        let gone = client.request("PATCH", &format!("/v1/admin/accounts/{}", noted.trim())).json(&json!({"disabled": false}));
        gone.bearer(&admin()).send().await.expect(404);
        let account = client.get(&format!("/v1/admin/accounts/{}", noted.trim())).bearer(&admin()).send().await.expect(200);
        assert!(!account.text.contains("fina") && !account.text.contains("Fina"), "{}", account.text);
        assert_eq!((&account.body["disabled"], &account.body["invited"]), (&json!(true), &json!(false)));
        // The address is free, and whoever takes it is somebody else.
        let body = json!({"email": "fina@example.com", "password": GOOD});
        client.post("/v1/auth/sign-up", &body).send().await.expect(202);
        let brought = client.mailed_tokens(&admin(), "fina@example.com", "account.sign_up", 2).await.swap_remove(0);
        let other = client.post("/v1/auth/verify", &json!({"token": brought, "password": GOOD})).send().await.expect(200);
        assert_ne!(other.body["account"]["id"], session.body["account"]["id"]);
        let orders = client.get("/v1/orders").bearer(other.field("access_token")).send().await.expect(200);
        assert_eq!(orders.body["items"], json!([]));
        server.stop().await;
    }
}
