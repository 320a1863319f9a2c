//! Many products at once.

use crate::on_both_stores;
use crate::support::client::{Answer, Client};
use crate::support::{Server, token};
use haat::domain::who::VendorRole;
use haat::http::auth::Bearer;
use serde_json::{Value, json};

fn item(name: &str, code: &str) -> Value {
    let price = json!({"amount": "10.00", "currency": "BDT"});
    json!({"ref": name, "title": format!("Quilt {name}"), "skus": [{"code": code, "price": price, "on_hand": 3}]})
}

fn refused(answer: &Answer, status: u16, code: &str) {
    assert_eq!((answer.status, answer.code()), (status, code), "{}", answer.text);
}

/// What became of each item: its status, or the code of its refusal with the first field at fault.
fn told(answer: &Answer) -> Vec<String> {
    let items = answer.body["items"].as_array().unwrap_or_else(|| panic!("no items: {}", answer.text));
    let one = |item: &Value| match (item["code"].as_str(), item["errors"][0]["field"].as_str()) {
        (Some(code), Some(field)) => format!("{code} {field}"),
        (Some(code), None) => code.to_owned(),
        (None, _) => item["status"].as_str().unwrap_or("nothing").to_owned(),
    };
    items.iter().map(one).collect()
}

async fn shop(client: Client) -> (String, String) {
    let admin = token(&Bearer::Admin("root".into()));
    let vendor = client.post("/v1/vendors", &json!({"name": "Nakshi"})).bearer(&admin).send().await.expect(201);
    let owner = token(&Bearer::owner_of(vendor.field("id").parse().expect("an id")));
    (vendor.field("id").to_owned(), owner)
}

on_both_stores! {
    /// Each item is added or refused by itself, in its order, and a repeat changes nothing.
    async fn items_stand_for_themselves(store) {
        let server = Server::start(&store).await;
        let client = server.client;
        let (vendor, owner) = shop(client).await;
        let path = format!("/v1/vendors/{vendor}/products/batch");
        let send = |items: Vec<Value>| client.post(&path, &json!({"items": items})).bearer(&owner).send();
        let mut long = item("c", "C");
        long["title"] = json!("x".repeat(201));
        let mut cheap = item("d", "D");
        cheap["skus"][0]["price"]["amount"] = json!("0.00");
        let mut nowhere = item("e", "E");
        nowhere["category"] = json!("category_01h2xcejqtf2nbrexx3vqjhp41");
        let mut empty = item("f", "F");
        empty["skus"] = json!([]);
        let items = vec![item("a", "A"), item("b", " A"), long, cheap, nowhere, empty, item("g", "G")];
        let first = send(items.clone()).await.expect(200);
        assert_eq!(told(&first), [
            "created", "sku_code_taken skus[0].code", "invalid_body title", "price_out_of_range skus[0].price",
            "invalid_body category", "invalid_body skus", "created",
        ], "{}", first.text);
        let again = send(items).await.expect(200);
        assert_eq!(told(&again)[0], "unchanged");
        assert_eq!(told(&again)[6], "unchanged");
        assert_eq!(again.body["items"][0]["id"], first.body["items"][0]["id"]);
        // What was changed since stays changed, and another product under the same name is none.
        let id = first.body["items"][0]["id"].as_str().expect("an id");
        let product = format!("/v1/vendors/{vendor}/products/{id}");
        let change = json!({"title": "Mended"});
        client.request("PATCH", &product).json(&change).bearer(&owner).send().await.expect(200);
        assert_eq!(told(&send(vec![item("a", "A")]).await.expect(200)), ["unchanged"]);
        assert_eq!(client.get(&format!("/v1/products/{id}")).send().await.expect(200).field("title"), "Mended");
        let mut other = item("a", "A");
        other["skus"][0]["on_hand"] = json!(4);
        assert_eq!(told(&send(vec![other]).await.expect(200)), ["idempotency_key_reused"]);
        // The same names of another vendor are other products.
        let (foreign, stranger) = shop(client).await;
        let elsewhere = format!("/v1/vendors/{foreign}/products/batch");
        let body = json!({"items": [item("a", "A")]});
        let made = client.post(&elsewhere, &body).bearer(&stranger).send().await.expect(200);
        assert_eq!(told(&made), ["created"]);
        assert_ne!(made.body["items"][0]["id"], first.body["items"][0]["id"]);
        refused(&client.post(&path, &body).bearer(&stranger).send().await, 404, "vendor_unknown");
        let packer = token(&Bearer::Member(vendor.parse().expect("an id"), VendorRole::Packer));
        refused(&client.post(&path, &body).bearer(&packer).send().await, 403, "forbidden");
        server.stop().await;
    }

    /// What is wrong with the request as a whole; and a key, under which the first answer is given again.
    async fn a_batch_has_limits_and_a_key(store) {
        let server = Server::start(&store).await;
        let client = server.client;
        let (vendor, owner) = shop(client).await;
        let path = format!("/v1/vendors/{vendor}/products/batch");
        let send = |items: Value| client.post(&path, &json!({"items": items})).bearer(&owner).send();
        refused(&send(json!([])).await, 422, "invalid_body");
        refused(&send(json!([item("a", "A"), item(" a", "B")])).await, 422, "invalid_body");
        refused(&send(json!([{"ref": "a"}])).await, 422, "invalid_body");
        let tiny = |number: usize| item(&number.to_string(), &format!("C{number}"));
        refused(&send((0..501).map(tiny).collect::<Value>()).await, 422, "invalid_body");
        let mut large = item("a", "A");
        large["description"] = json!("x".repeat(1024 * 1024));
        refused(&send(json!([large])).await, 413, "body_too_large");
        // As many as may be, under a key, which gives the first answer again.
        let body = json!({"items": (0..500).map(tiny).collect::<Value>()});
        let keyed = || client.post(&path, &body).bearer(&owner).key("import-1").send();
        let first = keyed().await.expect(200);
        assert!(told(&first).iter().all(|told| told == "created"), "{}", first.text);
        let again = keyed().await.expect(200);
        assert_eq!((again.header("idempotent-replayed"), &again.body), (Some("true"), &first.body));
        let other = json!({"items": [item("z", "Z")]});
        refused(&client.post(&path, &other).bearer(&owner).key("import-1").send().await, 422, "idempotency_key_reused");
        server.stop().await;
        // All of it is there after a restart.
        let server = Server::start(&store).await;
        let again = server.client.post(&path, &body).bearer(&owner).send().await.expect(200);
        assert!(told(&again).iter().all(|told| told == "unchanged"), "{}", again.text);
        server.stop().await;
    }
}
