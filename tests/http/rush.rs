//! Many buyers, few pieces.

use crate::on_both_stores;
use crate::support::client::Client;
use crate::support::{Server, token};
use haat::http::auth::Bearer;
use serde_json::Value;
use tokio::task::JoinSet;

const BUYERS: usize = 600;
const PIECES: i64 = 100;

/// What one buyer was told in the end.
async fn buy(client: Client, sku: String, number: usize) -> (String, Vec<String>) {
    let buyer = client.buyer(&sku, 1).await;
    // Every sixth card is declined, and every fourth buyer asks twice at once.
    let card = if number % 6 == 5 { "tok_decline" } else { "tok_approve" };
    let ask = || async {
        let checkout = client.checkout(&buyer, card).header("prefer", "wait=30");
        let checkout = if number.is_multiple_of(2) { checkout.key(&format!("key-{number}")) } else { checkout };
        checkout.send().await
    };
    let answers = match number % 4 {
        0 => {
            let (first, second) = tokio::join!(ask(), ask());
            vec![first, second]
        }
        _ => vec![ask().await],
    };
    let mut orders = Vec::new();
    let mut outcome = String::new();
    for answer in &answers {
        match answer.status {
            200 | 201 => {
                orders.push(answer.field("id").to_owned());
                outcome = answer.field("status").to_owned();
            }
            409 => {
                assert!(["out_of_stock"].contains(&answer.code()), "{}", answer.text);
                if outcome.is_empty() {
                    outcome = "sold_out".into();
                }
            }
            status => panic!("{status}: {}", answer.text),
        }
    }
    (outcome, orders)
}

on_both_stores! {
    /// 600 buyers for 100 pieces, some declined, some coming twice: exactly 100 are paid.
    async fn exactly_as_many_are_paid_as_there_are_pieces(store) {
        let server = Server::start(&store).await;
        let admin = token(&Bearer::Admin("root".into()));
        let (vendor, sku) = server.client.shop(&admin, "1250.00", PIECES).await;

        let mut buyers = JoinSet::new();
        for number in 0..BUYERS {
            buyers.spawn(buy(server.client, sku.clone(), number));
        }
        let outcomes: Vec<(String, Vec<String>)> = buyers.join_all().await;
        let told = |status: &str| outcomes.iter().filter(|(outcome, _)| outcome == status).count() as i64;

        // Pieces whose payment was declined come back; whoever was refused before may have come too early. So the rest is bought now.
        let mut paid = told("paid");
        for number in 0.. {
            let available = server.client.stock(&admin, &vendor, &sku).await["available"].as_i64().expect("a count");
            if available == 0 {
                break;
            }
            let (outcome, _) = buy(server.client, sku.clone(), 6 * BUYERS + 12 * number + 1).await;
            paid += i64::from(outcome == "paid");
        }
        assert_eq!(paid, PIECES, "paid");
        assert!(told("sold_out") > 0);

        let stock = server.client.stock(&admin, &vendor, &sku).await;
        let count = |name: &str| stock[name].as_i64().expect("a count");
        assert_eq!((count("received"), count("sold"), count("on_hand")), (PIECES, PIECES, 0), "{stock}");
        assert_eq!((count("held"), count("available")), (0, 0), "{stock}");

        // Whoever asked twice was shown one order; whoever was told of an order can find it, charged once or not at all.
        for (outcome, orders) in outcomes.iter().filter(|(_, orders)| !orders.is_empty()) {
            assert!(orders.iter().all(|order| *order == orders[0]) || outcome == "payment_failed", "{orders:?}");
            let order = server.client.order(&admin, &orders[0]).await.expect(200);
            if outcome == "paid" {
                assert_eq!(order.field("status"), "paid");
            }
            let path = format!("/v1/admin/sandbox/charges?order={}", orders[0]);
            let charges = server.client.get(&path).bearer(&admin).send().await.expect(200);
            let taken = |charge: &&Value| charge["status"] == "charged";
            let taken = charges.body["items"].as_array().expect("items").iter().filter(taken).count();
            assert_eq!(taken, usize::from(outcome == "paid"), "{}", charges.text);
        }
        server.stop().await;
    }
}
