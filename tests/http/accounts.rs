//! Accounts over HTTP: from the sign-up to the order, and what whoever guesses, steals or floods is told.

use crate::on_both_stores;
use crate::support::client::{Answer, Client, checkout_body};
use crate::support::{SECRET, Server, TestStore, token};
use haat::app::Hooks;
use haat::config::keys;
use haat::domain::ids::{AccountId, CustomerId, SessionId};
use haat::domain::who::Seat;
use haat::http::auth::Bearer;
use serde_json::{Value, json};
use uuid::Uuid;

const GOOD: &str = "seven boats on the Padma";

async fn auth(client: &Client, path: &str, body: Value) -> Answer {
    client.post(&format!("/v1/auth/{path}"), &body).send().await
}

/// The token in the newest mail of this event to this address.
async fn mailed(client: &Client, to: &str, event: &str) -> String {
    client.mailed(&token(&Bearer::Admin("root".into())), to, event).await
}

/// A session of somebody who has just signed up.
async fn signed_up(client: &Client, email: &str) -> Answer {
    client.signed_up(&token(&Bearer::Admin("root".into())), email, GOOD).await
}

async fn log_in(client: &Client, email: &str, password: &str) -> Answer {
    auth(client, "login", json!({"email": email, "password": password})).await
}

async fn me(client: &Client, access: &str) -> Answer {
    client.get("/v1/me").bearer(access).send().await
}

/// A server behind a proxy that it believes, with mails or without.
async fn behind_a_proxy(store: &TestStore, mails: bool) -> Server {
    let mut config = store.server();
    config.http.trusted_proxies = vec!["127.0.0.1".parse().expect("an address")];
    config.sandbox = mails;
    Server::start_with(config, Hooks::default()).await
}

on_both_stores! {
    /// As a customer meets it: signs up, reads the mail, buys, and sees the order and nobody else's.
    async fn somebody_signs_up_and_buys(store) {
        let server = Server::start(&store).await;
        let client = server.client;
        let admin = token(&Bearer::Admin("root".into()));
        let (_, sku) = client.shop(&admin, "10.00", 5).await;
        let session = signed_up(&client, "Fina@Example.com").await;
        assert_eq!((session.field("token_type"), &session.body["expires_in"]), ("Bearer", &json!(900)));
        let account = &session.body["account"];
        assert_eq!((&account["email"], &account["role"], &account["name"]), (&json!("fina@example.com"), &json!("customer"), &json!("Fina")));
        assert_eq!((&account["vendor_ids"], &account["permissions"]), (&json!([]), &json!([])));
        let access = session.field("access_token");

        let cart = client.post("/v1/carts", &json!({})).bearer(access).send().await.expect(201);
        let path = format!("/v1/carts/{}", cart.field("id"));
        client.request("PUT", &format!("{path}/lines/{sku}")).json(&json!({"quantity": 1})).bearer(access).send().await.expect(200);
        let check_out = client.post(&format!("{path}/checkout"), &checkout_body("tok_approve")).bearer(access);
        let order = check_out.header("prefer", "wait=30").send().await.expect(201);
        assert_eq!(order.field("status"), "paid");
        client.order(access, order.field("id")).await.expect(200);
        let stranger = signed_up(&client, "rina@example.com").await;
        client.order(stranger.field("access_token"), order.field("id")).await.expect(404);

        // In another place, and out again.
        let there = log_in(&client, "FINA@example.com", GOOD).await.expect(200);
        assert_eq!(there.body["account"]["id"], account["id"]);
        let sessions = client.get("/v1/me/sessions").bearer(access).send().await.expect(200);
        let sessions = sessions.body["items"].as_array().expect("sessions").clone();
        assert_eq!(sessions.iter().map(|session| session["current"] == true).collect::<Vec<_>>(), [false, true]);
        let other = sessions[0]["id"].as_str().expect("an id");
        let end = async |bearer: &str| client.request("DELETE", &format!("/v1/me/sessions/{other}")).bearer(bearer).send().await;
        assert_eq!(end(stranger.field("access_token")).await.expect(404).code(), "session_unknown");
        me(&client, there.field("access_token")).await.expect(200);
        end(access).await.expect(204);
        assert_eq!(me(&client, there.field("access_token")).await.expect(401).code(), "unauthorized");
        assert_eq!(end(access).await.expect(404).code(), "session_unknown");

        let patched = client.request("PATCH", "/v1/me").json(&json!({"name": null, "phone": "+8801712345678"})).bearer(access);
        let patched = patched.send().await.expect(200);
        assert!(patched.body.get("name").is_none() && patched.body["phone"] == "+8801712345678", "{}", patched.text);
        auth(&client, "logout", json!({"refresh_token": session.field("refresh_token")})).await.expect(204);
        assert_eq!(me(&client, access).await.expect(401).code(), "unauthorized");
        server.stop().await;
        let report = haat::app::audit::audit(&store.config(), store.data_dir()).await.expect("an audit");
        assert!(report.is_clean(), "{report}");
    }

    /// Accounts and sessions are there after a restart, and so is that a session was ended.
    async fn a_session_goes_on_after_a_restart(store) {
        let server = Server::start(&store).await;
        let client = server.client;
        let session = signed_up(&client, "fina@example.com").await;
        let ended = log_in(&client, "fina@example.com", GOOD).await.expect(200);
        auth(&client, "logout", json!({"refresh_token": ended.field("refresh_token")})).await.expect(204);
        server.stop().await;
        let server = Server::start(&store).await;
        let client = server.client;
        me(&client, session.field("access_token")).await.expect(200);
        assert_eq!(me(&client, ended.field("access_token")).await.expect(401).code(), "unauthorized", "known from the start");
        let next = auth(&client, "refresh", json!({"refresh_token": session.field("refresh_token")})).await.expect(200);
        me(&client, next.field("access_token")).await.expect(200);
        let again = auth(&client, "refresh", json!({"refresh_token": ended.field("refresh_token")})).await;
        assert_eq!(again.expect(401).code(), "credentials_invalid");
        server.stop().await;
    }

    async fn a_forgotten_password_is_set_by_mail(store) {
        let server = Server::start(&store).await;
        let client = server.client;
        let session = signed_up(&client, "fina@example.com").await;
        auth(&client, "password/forgot", json!({"email": "fina@example.com"})).await.expect(202);
        let reset = mailed(&client, "fina@example.com", "account.password_reset").await;
        let weak = auth(&client, "password/reset", json!({"token": reset, "password": "1234567890"})).await.expect(422);
        assert_eq!((weak.code(), &weak.body["errors"][0]["field"]), ("password_too_weak", &json!("password")));
        let body = json!({"token": reset, "password": "eight boats on the Meghna"});
        auth(&client, "password/reset", body.clone()).await.expect(204);
        assert_eq!(auth(&client, "password/reset", body).await.expect(401).code(), "credentials_invalid");
        assert_eq!(me(&client, session.field("access_token")).await.expect(401).code(), "unauthorized");
        let again = log_in(&client, "fina@example.com", "eight boats on the Meghna").await.expect(200);
        let set = async |current: &str, password: &str| {
            let body = json!({"current": current, "password": password});
            client.post("/v1/me/password", &body).bearer(again.field("access_token")).send().await
        };
        assert_eq!(set(GOOD, "nine boats on the Jamuna").await.expect(401).code(), "credentials_invalid");
        set("eight boats on the Meghna", "nine boats on the Jamuna").await.expect(204);
        me(&client, again.field("access_token")).await.expect(200);
        log_in(&client, "fina@example.com", "nine boats on the Jamuna").await.expect(200);
        server.stop().await;
    }

    /// Nobody learns by asking which addresses have an account.
    async fn the_answers_are_the_same_for_whoever_has_no_account(store) {
        let server = behind_a_proxy(&store, true).await;
        let client = server.client;
        signed_up(&client, "fina@example.com").await;
        let sign_up = async |email: &str| auth(&client, "sign-up", json!({"email": email, "password": GOOD})).await.expect(202).text;
        assert_eq!(sign_up("fina@example.com").await, sign_up("nobody@example.com").await);
        let forgot = async |email: &str| auth(&client, "password/forgot", json!({"email": email})).await.expect(202).text;
        assert_eq!(forgot("fina@example.com").await, forgot("nobody2@example.com").await);
        assert_eq!(forgot("fina@example.com").await, forgot("no address").await);
        let without_id = |answer: Answer| {
            let mut body = answer.expect(401).body;
            body.as_object_mut().expect("an object").remove("request_id");
            body
        };
        let wrong = "the password of nobody";
        let known = without_id(log_in(&client, "fina@example.com", wrong).await);
        for email in ["nobody@example.com", "\u{fb01}na@example.com", "", "x", &"x".repeat(2_000)] {
            assert_eq!(without_id(log_in(&client, email, wrong).await), known, "{email}");
        }
        for password in ["", &"x".repeat(2_000), "seven boats on the Padma "] {
            assert_eq!(without_id(log_in(&client, "fina@example.com", password).await), known);
        }
        server.stop().await;
    }

    async fn whoever_guesses_waits_and_nobody_else(store) {
        let server = behind_a_proxy(&store, true).await;
        let client = server.client;
        signed_up(&client, "fina@example.com").await;
        let from = async |address: &str, password: &str| {
            let body = json!({"email": "fina@example.com", "password": password});
            client.post("/v1/auth/login", &body).header("x-forwarded-for", address).send().await
        };
        for _ in 0..10 {
            from("198.51.100.7", "wrong, wrong, wrong").await.expect(401);
        }
        let told = from("198.51.100.9", GOOD).await.expect(429);
        assert_eq!(told.code(), "too_many_attempts");
        let seconds: u64 = told.header("retry-after").expect("a time").parse().expect("seconds");
        assert!((600..=900).contains(&seconds), "{seconds}");
        from("203.0.113.7", GOOD).await.expect(200);
        // A reset is always open.
        auth(&client, "password/forgot", json!({"email": "fina@example.com"})).await.expect(202);
        mailed(&client, "fina@example.com", "account.password_reset").await;
        server.stop().await;
    }

    async fn what_is_wrong_with_a_body_is_told_and_no_token_of_another_sort_counts(store) {
        let server = Server::start(&store).await;
        let client = server.client;
        let session = signed_up(&client, "fina@example.com").await;
        let access = session.field("access_token").to_owned();
        for (body, field) in [
            (json!({"email": "fina", "password": GOOD}), "email"),
            (json!({"email": "\u{fb01}na@example.com", "password": GOOD}), "email"),
            (json!({"email": "rina@example.com", "password": GOOD, "name": "\u{7}"}), "name"),
            (json!({"email": "rina@example.com", "password": GOOD, "phone": ""}), "phone"),
        ] {
            let told = auth(&client, "sign-up", body).await.expect(422);
            assert_eq!((told.code(), &told.body["errors"][0]["field"]), ("invalid_body", &json!(field)), "{}", told.text);
        }
        for password in ["", "123456789", "1234567890", "rina@example.com", &"x".repeat(129)] {
            let told = auth(&client, "sign-up", json!({"email": "rina@example.com", "password": password})).await;
            assert_eq!(told.expect(422).code(), "password_too_weak");
        }
        let refresh = session.field("refresh_token").to_owned();
        for token in ["", "x", "rt_", &access, &refresh[..refresh.len() - 1], &refresh.replace(".1.", ".2.")] {
            let told = auth(&client, "refresh", json!({"refresh_token": token})).await;
            assert_eq!(told.expect(401).code(), "credentials_invalid", "{token}");
            for path in ["verify", "password/reset"] {
                let told = auth(&client, path, json!({"token": token, "password": GOOD})).await;
                assert_eq!(told.expect(401).code(), "credentials_invalid", "{path} {token}");
            }
            auth(&client, "logout", json!({"refresh_token": token})).await.expect(204);
        }
        me(&client, &access).await.expect(200);
        // What is one's own is for those who are signed in, not for tokens of the command line.
        let customer = CustomerId::from_uuid(Uuid::from_u128(7));
        for bearer in [Bearer::Customer(customer), Bearer::Admin("root".into())] {
            assert_eq!(me(&client, &token(&bearer)).await.expect(403).code(), "forbidden");
        }
        // One who is signed in with an account that is not there is told so: its secret is ours, and its store another.
        let gone = token(&Bearer::SignedIn(AccountId::from_uuid(customer.uuid()), Seat::Customer, SessionId::from_uuid(Uuid::from_u128(8))));
        assert_eq!(me(&client, &gone).await.expect(404).code(), "account_unknown");
        assert_eq!(client.get("/v1/me").send().await.expect(401).code(), "unauthorized");
        server.stop().await;
    }

    /// Another secret takes the place of the one before while the server runs: nobody is signed out, and what is made anew is made with it. When the
    /// one before has retired, what it has signed is nothing any more.
    async fn secrets_rotate_under_people_who_are_signed_in(store) {
        let file = store.data_dir().join("keys.json");
        let now = || haat::app::token::now().expect("a clock");
        keys::rotate(&file, Some(SECRET), now()).expect("a file");
        let mut config = store.server();
        config.keys = keys::read(&file, now()).expect("keys");
        config.keys_file = Some(file.clone());
        let first = config.keys.newest().clone();
        let server = Server::start_with(config, Hooks::default()).await;
        let client = server.client;
        let session = signed_up(&client, "fina@example.com").await;
        // What the secret from before the file has signed is taken, too.
        let command_line = token(&Bearer::Admin("root".into()));
        client.get("/v1/orders").bearer(&command_line).send().await.expect(200);
        auth(&client, "password/forgot", json!({"email": "fina@example.com"})).await.expect(202);
        let reset = mailed(&client, "fina@example.com", "account.password_reset").await;
        assert!(reset.contains(&first.kid) && session.field("refresh_token").contains(&first.kid));

        let kid = keys::rotate(&file, None, now()).expect("another secret");
        let newer = crate::until("the other secret", async || {
            let goes_on = json!({"refresh_token": session.field("refresh_token")});
            let goes_on = auth(&client, "refresh", goes_on).await.expect(200);
            goes_on.field("refresh_token").contains(&kid).then_some(goes_on)
        })
        .await;
        me(&client, session.field("access_token")).await.expect(200);
        me(&client, newer.field("access_token")).await.expect(200);
        auth(&client, "refresh", json!({"refresh_token": session.field("refresh_token")})).await.expect(200);
        client.get("/v1/orders").bearer(&command_line).send().await.expect(200);
        auth(&client, "password/reset", json!({"token": reset, "password": GOOD})).await.expect(204);

        // The others are taken out, as when they have leaked.
        let mut kept: Vec<Value> = serde_json::from_slice(&std::fs::read(&file).expect("the file")).expect("JSON");
        kept.truncate(1);
        std::fs::write(&file, serde_json::to_vec(&kept).expect("JSON")).expect("written");
        crate::until("what they have signed to be refused", async || {
            (client.get("/v1/orders").bearer(&command_line).send().await.status == 401).then_some(())
        })
        .await;
        auth(&client, "refresh", json!({"refresh_token": session.field("refresh_token")})).await.expect(401);
        log_in(&client, "fina@example.com", GOOD).await.expect(200);
        // A file that cannot be read leaves all as it is.
        std::fs::write(&file, "[").expect("written");
        log_in(&client, "fina@example.com", GOOD).await.expect(200);
        server.stop().await;
    }

    /// Many at once are each told at once, and none is forgotten.
    async fn a_flood_of_logins_is_answered(store) {
        let server = Server::start(&store).await;
        let client = server.client;
        signed_up(&client, "fina@example.com").await;
        let all = (0..200).map(|_| async { log_in(&client, "fina@example.com", GOOD).await });
        let mut counts = (0, 0);
        for answer in futures::future::join_all(all).await {
            match (answer.status, answer.code()) {
                (200, _) => counts.0 += 1,
                (503, "auth_busy" | "overloaded") => {
                    counts.1 += 1;
                    assert!(answer.header("retry-after").is_some());
                }
                _ => panic!("{}", answer.text),
            }
        }
        assert!(counts.0 > 0, "{counts:?}");
        assert_eq!(counts.0 + counts.1, 200);
        let session = log_in(&client, "fina@example.com", GOOD).await.expect(200);
        let list = client.get("/v1/me/sessions").bearer(session.field("access_token")).send().await.expect(200);
        assert_eq!(list.body["items"].as_array().map(Vec::len), Some(20));
        server.stop().await;
    }

    async fn without_mails_nobody_signs_up(store) {
        let server = behind_a_proxy(&store, false).await;
        let client = server.client;
        let told = auth(&client, "sign-up", json!({"email": "fina@example.com", "password": GOOD})).await.expect(503);
        assert_eq!(told.code(), "mail_unavailable");
        assert_eq!(auth(&client, "password/forgot", json!({"email": "fina@example.com"})).await.expect(503).code(), "mail_unavailable");
        server.stop().await;
    }
}
