//! What buyers are written, and what operators see of it.

use crate::on_both_stores;
use crate::support::client::{Answer, Client, Market, checkout_body};
use crate::support::{Server, TestStore, token};
use haat::app::Hooks;
use haat::config::{Config, MailSettings, SmtpConfig};
use haat::http::auth::Bearer;
use serde_json::{Value, json};
use std::time::Duration;

/// Looks until the list at `path` has so many items.
async fn items(client: &Client, admin: &str, path: &str, count: usize) -> Vec<Value> {
    let all = async {
        loop {
            let list = client.get(path).bearer(admin).send().await.expect(200);
            let found = list.body["items"].as_array().expect("a list").clone();
            if found.len() >= count {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), all)
        .await
        .unwrap_or_else(|_| panic!("{path} never has {count} items"))
}

/// A buyer with this address pays with this token.
async fn pays(client: &Client, sku: &str, email: Option<&str>, card: &str) -> Answer {
    let buyer = client.buyer(sku, 1).await;
    let mut body = checkout_body(card);
    body["email"] = json!(email);
    let path = format!("/v1/carts/{}/checkout", buyer.cart);
    client.post(&path, &body).bearer(&buyer.token).header("prefer", "wait=30").send().await.expect(201)
}

on_both_stores! {
    async fn a_buyer_is_written_to_once_an_order_is_paid_and_only_then(store) {
        let server = Server::start(&store).await;
        let client = server.client;
        let Market { admin, sku, .. } = client.market(50).await;
        pays(&client, &sku, Some("declined@example.com"), "tok_decline").await;
        let silent = pays(&client, &sku, None, "tok_approve").await;
        let order = pays(&client, &sku, Some("rahim@example.com"), "tok_approve").await;
        let refused = pays(&client, &sku, Some("karim+refuse@example.com"), "tok_approve").await;
        pays(&client, &sku, Some("lost+lost_reply@example.com"), "tok_approve").await;

        let gave_up = &items(&client, &admin, "/v1/admin/jobs?state=gave_up", 1).await[0];
        assert_eq!(gave_up["about"], refused.body["id"]);
        assert_eq!((&gave_up["kind"], &gave_up["tries"]), (&json!("order_paid_mail"), &json!(1)));
        assert!(gave_up["note"].as_str().is_some_and(|note| note.contains("refused")), "{gave_up}");
        let suppressed = &items(&client, &admin, "/v1/admin/jobs?state=suppressed", 1).await[0];
        assert_eq!(suppressed["about"], silent.body["id"]);
        // The one whose answer was lost is found in the book when it is looked up, and is not sent again.
        let done = items(&client, &admin, "/v1/admin/jobs?state=done", 2).await;
        assert_eq!(done.len(), 2);
        assert!(done.iter().any(|job| job["tries"] == 2), "{done:?}");
        assert_eq!(items(&client, &admin, "/v1/admin/jobs", 4).await.len(), 4);

        let mails = items(&client, &admin, "/v1/admin/sandbox/mails", 2).await;
        assert_eq!(mails.len(), 2, "{mails:?}");
        let mail = mails.iter().find(|mail| mail["to"] == "rahim@example.com").expect("the buyer's");
        assert_eq!((&mail["event"], &mail["locale"]), (&json!("order.paid"), &json!("en")));
        let id = order.field("id");
        assert_eq!(mail["subject"], format!("Your order {id} is paid"));
        let text = mail["text"].as_str().expect("a text");
        let total = format!("Total: {} BDT", order.body["total"]["amount"].as_str().expect("an amount"));
        assert!(text.contains(&total), "{total} in {text}");
        assert_eq!(mail["message_id"], format!("{}@sandbox.invalid", mail["id"].as_str().expect("an id")));
        let newest = client.get("/v1/admin/sandbox/mails?limit=1").bearer(&admin).send().await.expect(200);
        assert_eq!(newest.body["items"][0], mails[0]);

        // Whoever knows that the mailbox is there now has it tried again; asked twice it is tried once.
        let path = format!("/v1/admin/jobs/{}/retry", gave_up["id"].as_str().expect("an id"));
        let reason = json!({"reason": "he says that he has room"});
        let retried = client.post(&path, &reason).bearer(&admin).key("again").send().await.expect(200);
        assert_eq!(retried.body["about"], refused.body["id"]);
        let kept = &retried.body["retries"][0];
        assert_eq!((&kept["by"], &kept["reason"]), (&json!("root"), &reason["reason"]));
        assert!(kept["at"].is_string() && retried.body["retries"].as_array().map(Vec::len) == Some(1), "{kept}");
        client.post(&path, &reason).bearer(&admin).key("again").send().await.expect(200);
        let again = &items(&client, &admin, "/v1/admin/jobs?state=gave_up", 1).await[0];
        assert_eq!((&again["id"], &again["tries"]), (&gave_up["id"], &json!(1)), "refused anew");
        // Asked again while it waited it stayed as it was; should it have been refused by then, that is a second one.
        assert!((1..=2).contains(&again["retries"].as_array().expect("a list").len()), "{again}");
        server.stop().await;

        // Everything outlives the server, and nobody is written to twice.
        let server = Server::start(&store).await;
        pays(&server.client, &sku, Some("last@example.com"), "tok_approve").await;
        assert_eq!(items(&server.client, &admin, "/v1/admin/sandbox/mails", 3).await.len(), 3);
        let done = items(&server.client, &admin, "/v1/admin/jobs?state=done", 3).await;
        assert_eq!(done.len(), 3);
        server.stop().await;
    }

    async fn jobs_are_for_operators_and_what_does_not_fit_is_told(store) {
        let server = Server::start(&store).await;
        let client = server.client;
        let Market { admin, vendor, sku, buyer } = client.market(5).await;
        pays(&client, &sku, Some("rahim@example.com"), "tok_approve").await;
        let done = &items(&client, &admin, "/v1/admin/jobs?kind=order_paid_mail&state=done", 1).await[0];
        let job = done["id"].as_str().expect("an id");
        let retry = format!("/v1/admin/jobs/{job}/retry");
        let own = token(&Bearer::owner_of(vendor.parse().expect("an id")));
        let reason = json!({"reason": "why not"});
        for bearer in [&own, &buyer.token] {
            for path in ["/v1/admin/jobs", "/v1/admin/sandbox/mails"] {
                client.get(path).bearer(bearer).send().await.expect(403);
            }
            client.post(&retry, &reason).bearer(bearer).send().await.expect(403);
        }
        client.get("/v1/admin/jobs").send().await.expect(401);
        client.post(&retry, &reason).send().await.expect(401);
        for (query, field) in [
            ("kind=mail", "kind"),
            ("state=lost", "state"),
            ("limit=0", "limit"),
        ] {
            let refused = client.get(&format!("/v1/admin/jobs?{query}")).bearer(&admin).send().await.expect(422);
            assert_eq!((refused.code(), &refused.body["errors"][0]["field"]), ("invalid_query", &json!(field)), "{query}");
        }
        client.get("/v1/admin/jobs?colour=red").bearer(&admin).send().await.expect(422);
        let filled = client.get("/v1/admin/jobs?limit=1").bearer(&admin).send().await.expect(200);
        assert!(filled.body["next_cursor"].is_null());
        let code = |answer: Answer| answer.code().to_owned();
        assert_eq!(code(client.post(&retry, &reason).bearer(&admin).send().await.expect(409)), "job_done");
        let nobody = format!("/v1/admin/jobs/{}/retry", "job_00000000000000000000000000");
        assert_eq!(code(client.post(&nobody, &reason).bearer(&admin).send().await.expect(404)), "job_unknown");
        let wrong = client.post("/v1/admin/jobs/order_1/retry", &reason).bearer(&admin).send().await.expect(404);
        assert_eq!(wrong.code(), "job_unknown");
        for body in [json!({}), json!({"reason": ""}), json!({"reason": "x".repeat(1_001)}), json!({"reason": 1})] {
            assert_eq!(code(client.post(&retry, &body).bearer(&admin).send().await.expect(422)), "invalid_body");
        }
        server.stop().await;
    }

    /// A shop that sends no mails says so of each, and a later one can be told to.
    async fn without_a_mail_server_nothing_is_sent_and_nothing_waits(store) {
        let config = |store: &TestStore| Config { sandbox: true, ..store.server() };
        let server = Server::start_with(config(&store), Hooks::default()).await;
        let Market { admin, sku, .. } = server.client.market(5).await;
        server.stop().await;
        // With a mail server that is named, the sandbox's book has none of its mails.
        let smtp = SmtpConfig { url: "smtp://127.0.0.1:1".into(), from: "shop@example.com".into() };
        let mail = MailSettings { server: Some(smtp), per_second: 100 };
        let with = Config { mail, ..config(&store) };
        let server = Server::start_with(with, Hooks::default()).await;
        pays(&server.client, &sku, Some("rahim@example.com"), "tok_approve").await;
        let due = &items(&server.client, &admin, "/v1/admin/jobs?state=due", 1).await[0];
        server.client.get("/v1/admin/sandbox/mails").bearer(&admin).send().await.expect(404);
        server.stop().await;
        // Nobody listens there: it waits, and whoever comes next sends it.
        let server = Server::start_with(config(&store), Hooks::default()).await;
        let mails = items(&server.client, &admin, "/v1/admin/sandbox/mails", 1).await;
        assert_eq!((&mails[0]["id"], &mails[0]["to"]), (&due["id"], &json!("rahim@example.com")));
        server.stop().await;
    }
}
