//! Those who work: a vendor's owner invites people, an administrator makes accounts, and what each may do ends at once when it is taken away.

use crate::on_both_stores;
use crate::support::client::{Answer, Client, checkout_body};
use crate::support::{Server, token};
use haat::domain::ids::VendorId;
use haat::domain::who::{Permission, Permissions, VendorRole};
use haat::http::auth::Bearer;
use serde_json::{Value, json};
use uuid::Uuid;

const GOOD: &str = "seven boats on the Padma";

fn admin() -> String {
    token(&Bearer::Admin("root".into()))
}

async fn log_in(client: &Client, email: &str) -> Answer {
    client.post("/v1/auth/login", &json!({"email": email, "password": GOOD})).send().await
}

/// Takes an invitation, and signs in.
async fn taken(client: &Client, email: &str) -> Answer {
    let brought = client.mailed(&admin(), email, "account.invitation").await;
    client.post("/v1/auth/password/reset", &json!({"token": brought, "password": GOOD})).send().await.expect(204);
    log_in(client, email).await.expect(200)
}

async fn invite(client: &Client, vendor: &str, bearer: &str, email: &str, role: &str) -> Answer {
    let body = json!({"email": email, "vendor_role": role});
    client.post(&format!("/v1/vendors/{vendor}/members"), &body).bearer(bearer).send().await
}

async fn patched(client: &Client, path: &str, bearer: &str, body: &Value) -> Answer {
    client.request("PATCH", path).json(body).bearer(bearer).send().await
}

/// An owner who is signed in, made by an administrator.
async fn owner(client: &Client, vendor: &str, email: &str) -> Answer {
    let body = json!({"email": email, "role": "vendor", "vendor_id": vendor, "vendor_role": "owner"});
    client.post("/v1/admin/accounts", &body).bearer(&admin()).send().await.expect(201);
    taken(client, email).await
}

on_both_stores! {
    /// As a vendor meets it: an owner is invited, invites a packer, who sees orders and stock and can change no price.
    async fn an_owner_invites_a_packer(store) {
        let server = Server::start(&store).await;
        let client = server.client;
        let (vendor, sku) = client.shop(&admin(), "10.00", 5).await;
        let (other, _) = client.shop(&admin(), "7.00", 5).await;
        let made = json!({"email": "Mina@example.com", "role": "vendor", "vendor_id": vendor, "vendor_role": "owner"});
        let account = client.post("/v1/admin/accounts", &made).bearer(&admin()).send().await.expect(201);
        assert_eq!((&account.body["invited"], &account.body["vendor_ids"]), (&json!(true), &json!([vendor])));
        // Nobody has a password yet, and none is right.
        log_in(&client, "mina@example.com").await.expect(401);
        client.post("/v1/auth/login", &json!({"email": "mina@example.com", "password": ""})).send().await.expect(401);
        let session = taken(&client, "mina@example.com").await;
        assert_eq!(session.body["account"]["vendor_role"], "owner");
        assert_eq!(session.body["account"].get("customer_id"), None);
        let mina = session.field("access_token").to_owned();

        invite(&client, &vendor, &mina, "paru@example.com", "packer").await.expect(202);
        let paru = taken(&client, "paru@example.com").await;
        let paru = paru.field("access_token").to_owned();
        let path = format!("/v1/vendors/{vendor}");
        let buyer = client.buyer(&sku, 1).await;
        let check_out = client.post(&format!("/v1/carts/{}/checkout", buyer.cart), &checkout_body("tok_approve"));
        let order = check_out.bearer(&buyer.token).header("prefer", "wait=30").send().await.expect(201);
        client.order(&paru, order.field("id")).await.expect(200);
        client.get(&format!("{path}/orders")).bearer(&paru).send().await.expect(200);
        client.get(&format!("{path}/skus/{sku}")).bearer(&paru).send().await.expect(200);
        client.get(&format!("{path}/skus/{sku}/stock")).bearer(&paru).send().await.expect(200);
        let price = json!({"price": {"amount": "1.00", "currency": "BDT"}});
        let refused = patched(&client, &format!("{path}/skus/{sku}"), &paru, &price).await.expect(403);
        assert_eq!(refused.code(), "forbidden");
        invite(&client, &vendor, &paru, "other@example.com", "owner").await.expect(403);
        client.get(&format!("{path}/members")).bearer(&paru).send().await.expect(403);
        // Another vendor's things are not there, whatever one may do to one's own.
        let elsewhere = client.get(&format!("/v1/vendors/{other}/orders")).bearer(&paru).send().await.expect(404);
        assert_eq!(elsewhere.code(), "vendor_unknown");
        invite(&client, &other, &mina, "spy@example.com", "owner").await.expect(404);
        client.get(&format!("/v1/vendors/{other}/members")).bearer(&mina).send().await.expect(404);

        let members = client.get(&format!("{path}/members?limit=1")).bearer(&mina).send().await.expect(200);
        assert_eq!(members.body["items"][0]["email"], "paru@example.com");
        let next = members.field("next_cursor").to_owned();
        let rest = client.get(&format!("{path}/members?cursor={next}")).bearer(&mina).send().await.expect(200);
        assert_eq!(rest.body["items"].as_array().map(Vec::len), Some(1));

        // The packer becomes a manager: what was a packer's ends, and a manager may change prices.
        let id = members.body["items"][0]["id"].as_str().expect("an id").to_owned();
        let member = format!("{path}/members/{id}");
        let manager = patched(&client, &member, &mina, &json!({"vendor_role": "manager"})).await.expect(200);
        assert_eq!(manager.body["vendor_role"], "manager");
        client.order(&paru, order.field("id")).await.expect(401);
        let again = log_in(&client, "paru@example.com").await.expect(200);
        patched(&client, &format!("{path}/skus/{sku}"), again.field("access_token"), &price).await.expect(200);
        // And is one of them no more.
        patched(&client, &member, &mina, &json!({"disabled": true})).await.expect(200);
        client.order(again.field("access_token"), order.field("id")).await.expect(401);
        log_in(&client, "paru@example.com").await.expect(401);
        let refresh = json!({"refresh_token": again.field("refresh_token")});
        client.post("/v1/auth/refresh", &refresh).send().await.expect(401);
        patched(&client, &member, &mina, &json!({"disabled": false})).await.expect(200);
        log_in(&client, "paru@example.com").await.expect(200);

        for (bad, field) in [
            (json!({"email": "no address", "vendor_role": "packer"}), "email"),
            (json!({"email": "a@example.com", "vendor_role": "king"}), "vendor_role"),
        ] {
            let told = client.post(&format!("{path}/members"), &bad).bearer(&mina).send().await.expect(422);
            assert_eq!(told.body["errors"][0]["field"], field);
        }
        // As an administrator may, of a vendor that there is.
        invite(&client, &vendor, &admin(), "zoya@example.com", "finance").await.expect(202);
        let nobody = VendorId::from_uuid(Uuid::from_u128(7)).to_string();
        assert_eq!(invite(&client, &nobody, &admin(), "zoya@example.com", "finance").await.expect(404).code(), "vendor_unknown");
        server.stop().await;
    }

    /// Whoever has an account keeps it as it is: a vendor's owner can neither find out that there is one, nor seize it.
    async fn an_invitation_seizes_no_account(store) {
        let server = Server::start(&store).await;
        let client = server.client;
        let (vendor, _) = client.shop(&admin(), "10.00", 5).await;
        let mina = owner(&client, &vendor, "mina@example.com").await.field("access_token").to_owned();
        let customer = client.signed_up(&admin(), "fina@example.com", GOOD).await;
        let known = invite(&client, &vendor, &mina, "fina@example.com", "packer").await.expect(202);
        let unknown = invite(&client, &vendor, &mina, "nina@example.com", "packer").await.expect(202);
        assert_eq!(known.text, unknown.text);
        client.noticed(&admin(), "fina@example.com", "account.known_invitee").await;
        let me = client.get("/v1/me").bearer(customer.field("access_token")).send().await.expect(200);
        assert_eq!(me.body["role"], "customer");
        // Neither of the two is listed before somebody has taken an invitation: the list tells no more than the answer.
        let members = client.get(&format!("/v1/vendors/{vendor}/members")).bearer(&mina).send().await.expect(200);
        let listed = members.body["items"].as_array().expect("members").iter().map(|member| member["email"].clone());
        assert_eq!(listed.collect::<Vec<_>>(), [json!("mina@example.com")]);
        // Nor is a customer one of a vendor's people when the path says so.
        let id = customer.body["account"]["id"].as_str().expect("an id");
        let seized = patched(&client, &format!("/v1/vendors/{vendor}/members/{id}"), &mina, &json!({"disabled": true})).await;
        assert_eq!(seized.expect(404).code(), "account_unknown");
        // An invitation that was not taken is sent again, with a token of its own.
        let first = client.mailed(&admin(), "nina@example.com", "account.invitation").await;
        invite(&client, &vendor, &mina, "nina@example.com", "packer").await.expect(202);
        client.mailed_times(&admin(), "nina@example.com", "account.invitation", 2).await;
        let stale = json!({"token": first, "password": GOOD});
        client.post("/v1/auth/password/reset", &stale).send().await.expect(401);
        // A reset that somebody asks for does not shorten it: what comes is an invitation.
        client.post("/v1/auth/password/forgot", &json!({"email": "nina@example.com"})).send().await.expect(202);
        client.mailed_times(&admin(), "nina@example.com", "account.invitation", 3).await;
        let nina = taken(&client, "nina@example.com").await;
        // What an administrator has disabled, an owner does not enable.
        let nina = nina.body["account"]["id"].as_str().expect("an id").to_owned();
        let (member, account) = (format!("/v1/vendors/{vendor}/members/{nina}"), format!("/v1/admin/accounts/{nina}"));
        patched(&client, &account, &admin(), &json!({"disabled": true})).await.expect(200);
        assert_eq!(patched(&client, &member, &mina, &json!({"disabled": false})).await.expect(409).code(), "account_barred");
        patched(&client, &account, &admin(), &json!({"disabled": false})).await.expect(200);
        patched(&client, &member, &mina, &json!({"disabled": true})).await.expect(200);
        patched(&client, &member, &mina, &json!({"disabled": false})).await.expect(200);
        log_in(&client, "nina@example.com").await.expect(200);
        server.stop().await;
    }

    /// An administrator's accounts: invited, changed, taken away; and one administrator is left.
    async fn an_administrator_looks_after_accounts(store) {
        let server = Server::start(&store).await;
        let client = server.client;
        let (vendor, _) = client.shop(&admin(), "10.00", 5).await;
        let rina = json!({"email": "rina@example.com", "role": "staff", "permissions": ["orders.read"]});
        let post = |body: &Value, key: &str| client.post("/v1/admin/accounts", body).bearer(&admin()).key(key);
        let made = post(&rina, "rina").send().await.expect(201);
        let again = post(&rina, "rina").send().await.expect(201);
        assert_eq!((again.field("id"), again.header("idempotent-replayed")), (made.field("id"), Some("true")));
        let other = json!({"email": "nina@example.com", "role": "staff", "permissions": []});
        assert_eq!(post(&other, "rina").send().await.expect(422).code(), "idempotency_key_reused");
        assert_eq!(post(&rina, "another").send().await.expect(409).code(), "email_taken");
        for bad in [
            json!({"email": "x@example.com", "role": "customer"}),
            json!({"email": "x@example.com", "role": "staff"}),
            json!({"email": "x@example.com", "role": "staff", "permissions": ["everything"]}),
            json!({"email": "x@example.com", "role": "admin", "permissions": []}),
            json!({"email": "x@example.com", "role": "vendor", "vendor_id": vendor}),
            json!({"email": "x@example.com", "role": "vendor", "vendor_role": "owner"}),
            json!({"email": "ﬁna@example.com", "role": "admin"}),
        ] {
            assert_eq!(client.post("/v1/admin/accounts", &bad).bearer(&admin()).send().await.expect(422).code(), "invalid_body");
        }

        let session = taken(&client, "rina@example.com").await;
        let access = session.field("access_token");
        client.get("/v1/orders").bearer(access).send().await.expect(200);
        client.get("/v1/admin/jobs").bearer(access).send().await.expect(403);
        client.get("/v1/admin/accounts").bearer(access).send().await.expect(403);
        let path = format!("/v1/admin/accounts/{}", made.field("id"));
        let more = json!({"permissions": ["orders.read", "ops.read"]});
        let changed = patched(&client, &path, &admin(), &more).await.expect(200);
        assert_eq!(changed.body["permissions"], json!(["orders.read", "ops.read"]));
        client.get("/v1/orders").bearer(access).send().await.expect(401);
        let access = log_in(&client, "rina@example.com").await.expect(200).field("access_token").to_owned();
        client.get("/v1/admin/jobs").bearer(&access).send().await.expect(200);
        assert_eq!(patched(&client, &path, &admin(), &json!({"vendor_role": "owner"})).await.expect(422).code(), "invalid_body");

        // Two administrators with accounts: one may go, and the other may not; what is no administrator's token may do neither.
        let mut boss = Vec::new();
        for name in ["ana", "bela"] {
            let email = format!("{name}@example.com");
            let made = post(&json!({"email": email, "role": "admin"}), name).send().await.expect(201);
            taken(&client, &email).await;
            boss.push(format!("/v1/admin/accounts/{}", made.field("id")));
        }
        let bela = log_in(&client, "bela@example.com").await.expect(200).field("access_token").to_owned();
        patched(&client, &boss[0], &access, &json!({"disabled": true})).await.expect(403);
        // Both at once: exactly one is left.
        let (ana_goes, bela_goes) = (json!({"disabled": true}), json!({"role": "staff", "permissions": []}));
        let shop = admin();
        let (one, two) = tokio::join!(patched(&client, &boss[0], &shop, &ana_goes), patched(&client, &boss[1], &shop, &bela_goes));
        let mut statuses = [one.status, two.status];
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 409], "{} {}", one.text, two.text);
        let listed = client.get("/v1/admin/accounts?role=admin").bearer(&shop).send().await.expect(200);
        let active = listed.body["items"].as_array().expect("accounts").iter().filter(|account| account["disabled"] == false);
        assert_eq!(active.count(), 1);
        // What Bela's token said ended with her seat, or goes on with it.
        let status = if two.status == 200 { 401 } else { 200 };
        client.get("/v1/admin/accounts").bearer(&bela).send().await.expect(status);
        let listed = client.get("/v1/admin/accounts?role=customer").bearer(&shop).send().await.expect(200);
        assert_eq!(listed.body["items"], json!([]));
        server.stop().await;
    }

    /// The same request that comes many times at once is done once, and each is told what came of it.
    async fn one_key_at_once_is_one_answer(store) {
        let server = Server::start(&store).await;
        let client = server.client;
        let body = json!({"email": "rina@example.com", "role": "staff", "permissions": ["orders.read"]});
        let fina = client.signed_up(&admin(), "fina@example.com", GOOD).await.field("access_token").to_owned();
        let known = json!({"email": "fina@example.com", "role": "admin"});
        let address = json!({"name": "Fina", "line1": "12 Lake Road", "city": "Dhaka", "country": "BD"});
        for (path, body, bearer, status) in [
            ("/v1/admin/accounts", &body, admin(), 201),
            ("/v1/admin/accounts", &known, admin(), 409),
            ("/v1/me/addresses", &address, fina.clone(), 201),
        ] {
            let asked = (0..8).map(|_| client.post(path, body).bearer(&bearer).key(&format!("{status}")).send());
            let answers: Vec<Answer> = futures::future::join_all(asked).await;
            assert!(answers.iter().all(|answer| answer.status == status), "{:?}", answers[0].text);
            assert!(answers.iter().all(|answer| answer.body.get("id") == answers[0].body.get("id")), "{path}");
        }
        let listed = client.get("/v1/me/addresses").bearer(&fina).send().await.expect(200);
        assert_eq!(listed.body["items"].as_array().map(Vec::len), Some(1));
        client.mailed_times(&admin(), "rina@example.com", "account.invitation", 1).await;
        server.stop().await;
    }

    /// Whoever may cancel an order, and nothing else, is shown what came of it.
    async fn staff_see_what_they_have_done(store) {
        let server = Server::start(&store).await;
        let client = server.client;
        let (_, sku) = client.shop(&admin(), "10.00", 5).await;
        let buyer = client.buyer(&sku, 1).await;
        let check_out = client.checkout(&buyer, "tok_slow_60000");
        let order = check_out.send().await.expect(201);
        let edits = [Permission::OrdersEdit].into_iter().collect();
        let staff = token(&Bearer::Staff("rina".into(), edits));
        let path = format!("/v1/orders/{}/cancel", order.field("id"));
        let cancelled = client.post(&path, &json!({})).bearer(&staff).send().await.expect(200);
        assert_eq!(cancelled.field("id"), order.field("id"));
        server.stop().await;
    }

    /// Tokens of the command line have no account: what is one's own is for none of them.
    async fn tokens_without_accounts_may_what_they_say(store) {
        let server = Server::start(&store).await;
        let client = server.client;
        let (vendor, sku) = client.shop(&admin(), "10.00", 5).await;
        let finance = token(&Bearer::Member(vendor.parse().expect("an id"), VendorRole::Finance));
        let path = format!("/v1/vendors/{vendor}/skus/{sku}");
        client.get(&path).bearer(&finance).send().await.expect(200);
        client.get(&format!("{path}/stock")).bearer(&finance).send().await.expect(403);
        let staff = token(&Bearer::Staff("rina".into(), Permissions::USUAL));
        client.get("/v1/orders").bearer(&staff).send().await.expect(200);
        client.get(&format!("/v1/vendors/{vendor}/orders")).bearer(&staff).send().await.expect(200);
        client.get(&path).bearer(&staff).send().await.expect(403);
        client.post("/v1/categories", &json!({"name": "Sarees"})).bearer(&staff).send().await.expect(403);
        for bearer in [finance, staff, admin()] {
            assert_eq!(client.get("/v1/me").bearer(&bearer).send().await.expect(403).code(), "forbidden");
        }
        server.stop().await;
    }
}
