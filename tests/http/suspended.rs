//! A SKU whose figures do not add up is out of sale, and nobody is shown anything else.

use crate::on_both_stores;
use crate::support::client::Client;
use crate::support::{Kind, Server, TestStore, token};
use haat::http::auth::Bearer;
use serde_json::{Value, json};

/// Says in the snapshot of a SKU that two pieces are held, though there is no hold.
async fn damage(store: &TestStore, sku: &str) {
    let (was, is) = (r#""held":0"#, r#""held":2"#);
    let text = match store.kind {
        Kind::Postgres => format!("convert_to(replace(convert_from(state, 'UTF8'), '{was}', '{is}'), 'UTF8')"),
        Kind::Sqlite => format!("CAST(replace(CAST(state AS TEXT), '{was}', '{is}') AS BLOB)"),
    };
    let changed = store.execute(&format!("UPDATE snapshot SET state = {text} WHERE part = '{sku}'")).await;
    assert_eq!(changed, 1, "the SKU has a part of its own");
}

/// What each view that anybody may see says is available of both SKUs.
async fn shown(client: &Client, product: &str, skus: &[String; 2]) -> Vec<[Value; 2]> {
    let both = |of: &Value| [of["skus"][0]["available"].clone(), of["skus"][1]["available"].clone()];
    let one = client.get(&format!("/v1/products/{product}")).send().await.expect(200).body;
    let list = client.get("/v1/products").send().await.expect(200).body;
    let mut each = Vec::new();
    for sku in skus {
        each.push(client.get(&format!("/v1/skus/{sku}")).send().await.expect(200).body["available"].clone());
    }
    vec![both(&one), both(&list["items"][0]), each.try_into().expect("two SKUs")]
}

on_both_stores! {
    /// Found when its vendor is loaded, kept through changes of its price, and known from the first moment of a later
    /// start.
    async fn a_suspended_sku_is_shown_as_available_nowhere(store) {
        let server = Server::start(&store).await;
        let admin = token(&Bearer::Admin("root".into()));
        let vendor = server.client.post("/v1/vendors", &json!({"name": "Nakshi"})).bearer(&admin).send().await.expect(201);
        let vendor = vendor.field("id").to_owned();
        let sku = |code: &str| json!({"code": code, "price": {"amount": "10.00", "currency": "BDT"}, "on_hand": 5});
        let body = json!({"title": "Quilt", "skus": [sku("A"), sku("B")]});
        let path = format!("/v1/vendors/{vendor}/products");
        let product = server.client.post(&path, &body).bearer(&admin).send().await.expect(201).body;
        let skus = [0, 1].map(|number| product["skus"][number]["id"].as_str().expect("an id").to_owned());
        let product = product["id"].as_str().expect("an id").to_owned();
        server.stop().await;
        damage(&store, &skus[0]).await;

        let server = Server::start(&store).await;
        let client = server.client;
        assert_eq!(client.stock(&admin, &vendor, &skus[0]).await["available"], 0, "its vendor is loaded");
        assert_eq!(shown(&client, &product, &skus).await, vec![[json!(0), json!(5)]; 3]);
        // A new price publishes all of it anew.
        for sku in &skus {
            let price = json!({"price": {"amount": "9.00", "currency": "BDT"}});
            let path = format!("/v1/vendors/{vendor}/skus/{sku}");
            client.request("PATCH", &path).json(&price).bearer(&admin).send().await.expect(200);
        }
        assert_eq!(shown(&client, &product, &skus).await, vec![[json!(0), json!(5)]; 3]);
        // So does a delivery, of what is available.
        let delivery = json!({"delta": 3, "reason": "bought in"});
        let path = format!("/v1/vendors/{vendor}/skus/{}/stock", skus[0]);
        client.post(&path, &delivery).bearer(&admin).send().await.expect(200);
        assert_eq!(shown(&client, &product, &skus).await, vec![[json!(0), json!(5)]; 3]);
        let stock = client.stock(&admin, &vendor, &skus[0]).await;
        assert_eq!((&stock["on_hand"], &stock["held"], &stock["available"]), (&json!(8), &json!(2), &json!(0)), "{stock}");
        server.stop().await;

        let server = Server::start(&store).await;
        let client = server.client;
        assert_eq!(shown(&client, &product, &skus).await, vec![[json!(0), json!(5)]; 3], "nobody asked its vendor");
        let buyer = client.buyer(&skus[0], 1).await;
        let refused = client.checkout(&buyer, "tok_approve").send().await.expect(409);
        assert_eq!(refused.code(), "out_of_stock");
        let buyer = client.buyer(&skus[1], 1).await;
        let sold = client.checkout(&buyer, "tok_approve").header("prefer", "wait=20").send().await.expect(201);
        assert_eq!(sold.field("status"), "paid");
        // Killed, it would find it in its journal; stopped, in its snapshot.
        server.stop().await;
        let server = Server::start(&store).await;
        assert_eq!(shown(&server.client, &product, &skus).await, vec![[json!(0), json!(4)]; 3]);
        server.stop().await;
    }
}
