//! The history of a SKU's stock: what was done to it, why, by whom and for which order, each thing once.

use crate::on_both_stores;
use crate::support::client::{Client, Market};
use crate::support::{Server, token};
use haat::app::followers;
use haat::http::auth::Bearer;
use serde_json::{Value, json};
use std::time::Duration;

async fn told(client: &Client, bearer: &str, path: &str, items: usize) -> Vec<Value> {
    let all = async {
        loop {
            let list = client.get(path).bearer(bearer).send().await.expect(200);
            let found = list.body["items"].as_array().expect("a list").clone();
            if found.len() >= items {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), all)
        .await
        .unwrap_or_else(|_| panic!("{path} never has {items} items"))
}

/// What is told of each change, without when.
fn said(items: &[Value]) -> Vec<Value> {
    let without_at = |item: &Value| {
        let mut item = item.clone();
        assert!(item.as_object_mut().expect("an object").remove("at").is_some_and(|at| at.is_string()));
        item
    };
    items.iter().map(without_at).collect()
}

on_both_stores! {
    async fn what_was_done_to_stock_is_told_once_and_outlives_the_server(store) {
        let server = Server::start(&store).await;
        let client = server.client;
        let Market { admin, vendor, sku, buyer } = client.market(5).await;
        let path = format!("/v1/vendors/{vendor}/skus/{sku}/stock");
        let own = token(&Bearer::owner_of(vendor.parse().expect("an id")));
        let change = |delta: i64, reason: &str| json!({"delta": delta, "reason": reason});
        client.post(&path, &change(3, "bought in")).bearer(&admin).send().await.expect(200);
        client.post(&path, &change(-1, "টুটা")).bearer(&own).send().await.expect(200);
        // A change that is refused, and a checkout that ends unpaid, leave nothing.
        client.post(&path, &change(-99, "lost")).bearer(&own).send().await.expect(409);
        let declined = client.buyer(&sku, 2).await;
        client.checkout(&declined, "tok_decline").header("prefer", "wait=30").send().await.expect(201);
        let order = client.checkout(&buyer, "tok_approve").header("prefer", "wait=30").send().await.expect(201);
        let expected = [
            json!({"delta": -1, "reason": "sold", "order_id": order.field("id")}),
            json!({"delta": -1, "reason": "টুটা", "by": "vendor"}),
            json!({"delta": 3, "reason": "bought in", "by": "staff"}),
            json!({"delta": 5, "reason": "added"}),
        ];
        let all = told(&client, &own, &path, 4).await;
        assert_eq!(said(&all), expected);

        let mut paged = Vec::new();
        let mut next = format!("{path}?limit=3");
        loop {
            let page = client.get(&next).bearer(&own).send().await.expect(200);
            paged.extend(page.body["items"].as_array().expect("a list").iter().cloned());
            let Some(cursor) = page.body["next_cursor"].as_str() else { break };
            next = format!("{path}?limit=3&cursor={cursor}");
        }
        assert_eq!(paged, all);

        for (bearer, at, status, code) in [
            (&buyer.token, path.clone(), 403, "forbidden"),
            (&token(&Bearer::owner_of(haat::domain::ids::VendorId::from_uuid(uuid::Uuid::from_u128(7)))), path.clone(), 404, "vendor_unknown"),
            (&own, format!("/v1/vendors/{vendor}/skus/{}/stock", haat::domain::ids::SkuId::from_uuid(uuid::Uuid::from_u128(7))), 404, "sku_unknown"),
            (&own, format!("{path}?limit=0"), 422, "invalid_query"),
            (&own, format!("{path}?cursor={}", "0".repeat(64)), 400, "cursor_invalid"),
        ] {
            let refused = client.get(&at).bearer(bearer).send().await;
            assert_eq!((refused.status, refused.code()), (status, code), "{at}: {}", refused.text);
        }
        client.get(&path).send().await.expect(401);
        server.stop().await;

        let server = Server::start(&store).await;
        server.client.post(&path, &change(1, "found")).bearer(&admin).send().await.expect(200);
        let again = told(&server.client, &admin, &path, 5).await;
        assert_eq!(again[1..], all);
        server.stop().await;
        let report = haat::app::audit::audit(&store.config(), store.data_dir()).await.expect("an audit");
        assert!(report.is_clean(), "{report}");
        // Nothing is left to read, and one that this version has is not forgotten: it would make everything twice.
        let list = followers::list(&store.config()).await.expect("a list").to_string();
        assert!(list.contains("stock_history: 0 frames behind, 0 records left out\n"), "{list}");
        for (name, says) in [("stock_history", "it would begin anew"), ("nobody", "there is no follower 'nobody'")] {
            let refused = followers::forget(&store.config(), name).await.expect_err("it is not forgotten").to_string();
            assert!(refused.contains(says), "{refused}");
        }
        assert!(report.to_string().contains("1 SKU whose changes come to what is on hand … ok"), "{report}");
    }
}
