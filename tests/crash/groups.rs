//! Killed before a checkpoint has said what a customer is, and after one that says what they were: the prices are theirs again as soon as requests
//! are taken, though nobody asks for the customer.

use crate::on_both_stores;
use crate::process::{Haat, end_lease, free_address};
use crate::support::client::{Buyer, Client};
use crate::support::{fresh_uuid, token};
use haat::app::audit::audit;
use haat::domain::ids::CustomerId;
use haat::http::auth::Bearer;
use serde_json::{Value, json};

on_both_stores! {
    async fn a_customers_group_outlasts_a_kill(store) {
        let admin = token(&Bearer::Admin("root".into()));
        let id = CustomerId::from_uuid(fresh_uuid());
        let own = token(&Bearer::Customer(id));
        let address = free_address();
        let server = Haat::start(&store, address).await;
        let client = server.client;
        let (vendor, sku) = client.shop(&admin, "10.00", 100).await;
        let rung = json!([{"min_quantity": 2, "price": {"amount": "4.00", "currency": "BDT"}, "audience": "wholesale"}]);
        let path = format!("/v1/vendors/{vendor}/skus/{sku}");
        client.request("PATCH", &path).json(&json!({"price_breaks": rung})).bearer(&admin).send().await.expect(200);
        // A customer of a token's, of whom something is recorded: that the second cart follows the first.
        let cart = async |client: Client| {
            let cart = client.post("/v1/carts", &json!({})).bearer(&own).send().await.expect(201);
            Buyer { cart: cart.field("id").to_owned(), token: own.clone() }
        };
        let first = cart(client).await;
        client.set_line(&first, &sku, 1).await.expect(200);
        client.checkout(&first, "tok_approve").header("prefer", "wait=20").send().await.expect(201);
        let second = cart(client).await;
        let edit = async |client: Client, group: &str| {
            let path = format!("/v1/admin/customers/{id}");
            client.request("PATCH", &path).json(&json!({"group": group})).bearer(&admin).send().await.expect(200);
        };
        let breaks = async |client: Client| -> Option<Value> {
            let shown = client.get(&format!("/v1/skus/{sku}")).bearer(&own).send().await.expect(200);
            shown.body.get("price_breaks").cloned()
        };
        edit(client, "wholesale").await;
        assert_eq!(breaks(client).await, Some(rung.clone()));
        server.kill().await;
        end_lease(&store).await;
        let mut server = Haat::start(&store, address).await;
        assert_eq!(breaks(server.client).await, Some(rung.clone()), "from the journal");
        let put = server.client.set_line(&second, &sku, 2).await.expect(200);
        assert_eq!(put.body["subtotal"]["amount"], "8.00", "{}", put.text);
        server.signal("TERM").await;
        assert_eq!(server.ended().await.code(), Some(0), "{}", server.log());
        let server = Haat::start(&store, address).await;
        assert_eq!(breaks(server.client).await, Some(rung), "from the rows");
        edit(server.client, "retail").await;
        server.kill().await;
        end_lease(&store).await;
        // The row may still say the other.
        let mut server = Haat::start(&store, address).await;
        assert_eq!(breaks(server.client).await, None, "from the journal, which is newer than the row");
        server.signal("TERM").await;
        assert_eq!(server.ended().await.code(), Some(0), "{}", server.log());
        let report = audit(&store.config(), store.data_dir()).await.expect("an audit");
        assert!(report.is_clean(), "{report}");
    }
}
