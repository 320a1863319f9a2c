//! Cursors are input like any other: whatever they say, they lead to a place in their own list or are refused.

use crate::on_both_stores;
use crate::support::{Server, token};
use haat::http::auth::Bearer;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;
use serde_json::json;

on_both_stores! {
    /// No cursor that somebody makes up has the server fail: moments beyond what a column holds, ids that nothing has,
    /// anything else.
    async fn a_forged_cursor_is_refused(store) {
        let server = Server::start(&store).await;
        let client = server.client;
        let admin = token(&Bearer::Admin("root".into()));
        let (vendor, _) = client.shop(&admin, "10.00", 5).await;
        let (zeros, ones) = ("0".repeat(32), "f".repeat(32));
        let mut forged: Vec<String> = ["%20", "x", "%00", "%F0%9F%98%80"].map(str::to_owned).into();
        for at in ["7fffffffffffffff", "ffff000000000000", "8000000000000000", "ffffffffffffffff", "0000000000000000"] {
            for rest in [&zeros, &ones] {
                forged.push(format!("{at}{rest}"));
                forged.extend(["0", "f"].map(|digit| format!("{at}{rest}{}", digit.repeat(16))));
            }
        }
        let mut chance = TestRunner::deterministic();
        for form in ["[0-9a-f]{64}", "[0-9a-f]{40,70}", "[ -~]{0,80}"] {
            let texts = proptest::string::string_regex(form).expect("a form");
            for _ in 0..8 {
                let text = texts.new_tree(&mut chance).expect("a text").current();
                forged.push(text.bytes().map(|byte| format!("%{byte:02X}")).collect());
            }
        }
        // Without a value the parameter is as one that is not there.
        forged.retain(|cursor| !cursor.is_empty());
        for list in ["/v1/products?".to_owned(), "/v1/orders?".to_owned(), format!("/v1/vendors/{vendor}/orders?limit=3&")] {
            for cursor in &forged {
                let told = client.get(&format!("{list}cursor={cursor}")).bearer(&admin).send().await;
                assert_eq!((told.status, told.code()), (400, "cursor_invalid"), "{list}{cursor}: {}", told.text);
                assert_eq!(told.body["errors"][0]["field"], "cursor", "{}", told.text);
            }
        }
        server.stop().await;
    }

    /// A cursor leads on in the list that gave it, and in no other: another path, another filter, another caller.
    async fn a_cursor_belongs_to_its_list(store) {
        let server = Server::start(&store).await;
        let client = server.client;
        let admin = token(&Bearer::Admin("root".into()));
        let (vendor, sku) = client.shop(&admin, "10.00", 5).await;
        let path = format!("/v1/vendors/{vendor}/products");
        let product = json!({"title": "Mat", "skus": [{"code": "M", "price": {"amount": "1.00", "currency": "BDT"}, "on_hand": 1}]});
        client.post(&path, &product).bearer(&admin).send().await.expect(201);
        let buyer = client.buyer(&sku, 1).await;
        for _ in 0..2 {
            client.checkout(&buyer, "tok_decline").header("prefer", "wait=20").send().await.expect(201);
        }
        let first = async |list: String, bearer: &str| loop {
            let page = client.get(&format!("{list}limit=1")).bearer(bearer).send().await.expect(200);
            match page.body["next_cursor"].as_str() {
                Some(cursor) => break cursor.to_owned(),
                None => tokio::task::yield_now().await,
            }
        };
        let lists = [
            ("/v1/products?".to_owned(), &admin),
            (format!("/v1/products?vendor={vendor}&"), &admin),
            ("/v1/orders?".to_owned(), &admin),
            ("/v1/orders?".to_owned(), &buyer.token),
            (format!("/v1/vendors/{vendor}/orders?"), &admin),
        ];
        let mut cursors = Vec::new();
        for (list, bearer) in &lists {
            cursors.push(first(list.clone(), bearer).await);
        }
        for (list, (path, bearer)) in lists.iter().enumerate() {
            for (of, cursor) in cursors.iter().enumerate() {
                let page = client.get(&format!("{path}cursor={cursor}")).bearer(bearer).send().await;
                let expected = if list == of { 200 } else { 400 };
                assert_eq!(page.status, expected, "the cursor of list {of} on list {list}: {}", page.text);
            }
        }
        server.stop().await;
    }
}
