//! What was bought as a guest belongs to whoever verifies the address that it was bought with, and to nobody else.

use crate::on_both_stores;
use crate::support::client::{Answer, Buyer, Client, checkout_body};
use crate::support::{Server, token};
use crate::until;
use haat::http::auth::Bearer;
use serde_json::json;

const GOOD: &str = "seven boats on the Padma";
const OTHER: &str = "eight boats on the Padma";

fn admin() -> String {
    token(&Bearer::Admin("root".into()))
}

/// Buys one as a guest, who gives this address.
async fn bought(client: &Client, sku: &str, email: &str, key: &str) -> (Buyer, Answer) {
    let guest = client.buyer(sku, 1).await;
    let order = check_out(client, &guest, email, key).await.expect(201);
    (guest, order)
}

async fn check_out(client: &Client, guest: &Buyer, email: &str, key: &str) -> Answer {
    let mut body = checkout_body("tok_approve");
    body["email"] = json!(email);
    let path = format!("/v1/carts/{}/checkout", guest.cart);
    client.post(&path, &body).bearer(&guest.token).key(key).header("prefer", "wait=30").send().await
}

/// The ids of somebody's orders, the newest first.
async fn orders(client: &Client, bearer: &str) -> Vec<String> {
    let listed = client.get("/v1/orders").bearer(bearer).send().await.expect(200);
    listed.body["items"].as_array().unwrap().iter().map(|order| order["id"].as_str().unwrap().to_owned()).collect()
}

/// Waits until the last job that attaches orders is done; gives how many there were.
async fn attached(client: &Client) -> usize {
    until("what was bought to be attached", async || {
        let jobs = client.get("/v1/admin/jobs?kind=attach_orders").bearer(&admin()).send().await.expect(200);
        let jobs = jobs.body["items"].as_array().unwrap().clone();
        (!jobs.is_empty() && jobs.iter().all(|job| job["state"] == "done")).then_some(jobs.len())
    })
    .await
}

on_both_stores! {
    async fn a_guests_orders_belong_to_whoever_verifies_their_address(store) {
        let server = Server::start(&store).await;
        let client = &server.client;
        let (_, sku) = client.shop(&admin(), "100.00", 50).await;
        let (first_guest, first) = bought(client, &sku, "Fina@Example.com", "one").await;
        let (_, second) = bought(client, &sku, "fina@example.com", "two").await;
        // Those who may be somebody else.
        let mut others = Vec::new();
        for (number, email) in ["fina+sale@example.com", "f.ina@example.com", "ﬁna@example.com", "rina@example.com"].iter().enumerate() {
            others.push(bought(client, &sku, email, &format!("other-{number}")).await);
        }
        let fina = client.signed_up(&admin(), "fina@example.com", GOOD).await.field("access_token").to_owned();
        let theirs = [second.field("id").to_owned(), first.field("id").to_owned()];
        until("her orders to be listed", async || (orders(client, &fina).await == theirs).then_some(())).await;
        assert_eq!(attached(client).await, 1);

        let shown = client.order(&fina, &theirs[1]).await.expect(200);
        assert_eq!((shown.field("email"), shown.field("status")), ("Fina@Example.com", "paid"));
        let timeline = client.get(&format!("/v1/orders/{}/timeline", theirs[1])).bearer(&fina).send().await.expect(200);
        assert_eq!(timeline.body["items"].as_array().unwrap().last().unwrap()["type"], "attached");
        // Whoever still has the guest's token is told nothing any more: not by the id, not in the list, not again under the key.
        let guest = &first_guest.token;
        assert_eq!(client.order(guest, &theirs[1]).await.expect(404).code(), "order_unknown");
        assert_eq!(orders(client, guest).await, Vec::<String>::new());
        assert_eq!(check_out(client, &first_guest, "Fina@Example.com", "one").await.expect(404).code(), "order_unknown");
        for path in ["timeline", "cancel"] {
            let method = if path == "cancel" { "POST" } else { "GET" };
            let asked = client.request(method, &format!("/v1/orders/{}/{path}", theirs[1])).bearer(guest).send().await;
            assert_eq!(asked.expect(404).code(), "order_unknown", "{path}");
        }
        for (other, order) in &others {
            client.order(&fina, order.field("id")).await.expect(404);
            client.order(&other.token, order.field("id")).await.expect(200);
            assert_eq!(orders(client, &other.token).await, [order.field("id")]);
        }

        // Another address that is verified later brings what was bought with it.
        client.post("/v1/me/email", &json!({"email": "rina@example.com", "password": GOOD})).bearer(&fina).send().await.expect(202);
        let mailed = client.mailed(&admin(), "rina@example.com", "account.new_email").await;
        let verify = json!({"token": mailed, "password": GOOD});
        let fina = client.post("/v1/auth/verify", &verify).send().await.expect(200).field("access_token").to_owned();
        until("Rina's order", async || (orders(client, &fina).await.len() == 3).then_some(())).await;
        assert_eq!(attached(client).await, 2);
        server.stop().await;
    }

    /// Who bought again without signing in reads it after having another password set: that, too, says whose mails these are.
    async fn a_reset_attaches_what_was_bought_since(store) {
        let server = Server::start(&store).await;
        let client = &server.client;
        let (_, sku) = client.shop(&admin(), "100.00", 50).await;
        client.signed_up(&admin(), "fina@example.com", GOOD).await;
        assert_eq!(attached(client).await, 1);
        let (guest, order) = bought(client, &sku, "fina@example.com", "one").await;
        let log_in = async |password: &str| {
            let body = json!({"email": "fina@example.com", "password": password});
            client.post("/v1/auth/login", &body).send().await.expect(200).field("access_token").to_owned()
        };
        let fina = log_in(GOOD).await;
        // To know a password is not to read the mails.
        assert_eq!((orders(client, &fina).await.len(), client.order(&guest.token, order.field("id")).await.status), (0, 200));
        client.post("/v1/auth/password/forgot", &json!({"email": "fina@example.com"})).send().await.expect(202);
        let token = client.mailed(&admin(), "fina@example.com", "account.password_reset").await;
        client.post("/v1/auth/password/reset", &json!({"token": token, "password": OTHER})).send().await.expect(204);
        let fina = log_in(OTHER).await;
        until("her order", async || (orders(client, &fina).await == [order.field("id")]).then_some(())).await;
        client.order(&guest.token, order.field("id")).await.expect(404);
        server.stop().await;
    }
}
