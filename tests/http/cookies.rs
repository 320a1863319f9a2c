//! The one cookie there is, and the pages that sign in with it.

use crate::on_both_stores;
use crate::support::client::{Answer, Client};
use crate::support::{Kind, Server, TestStore, token};
use haat::app::Hooks;
use haat::http::auth::Bearer;
use serde_json::json;

const GOOD: &str = "seven boats on the Padma";
const COOKIE: &str = "haat_refresh";

/// The shop's own page, as `tests/support` sets it.
const HOME: &str = "https://shop.example";

async fn signed_up(client: &Client) {
    client.signed_up(&token(&Bearer::Admin("root".into())), "fina@example.com", GOOD).await;
}

/// Signs in from a page at `origin`, for the cookie.
async fn log_in(client: &Client, origin: &str) -> Answer {
    let body = json!({"email": "fina@example.com", "password": GOOD, "cookie": true});
    client.post("/v1/auth/login", &body).header("origin", origin).send().await
}

/// What the cookie holds, and what is said of it.
fn cookie(answer: &Answer) -> (String, String) {
    let set: Vec<_> = answer.headers.get_all("set-cookie").iter().collect();
    assert_eq!(set.len(), 1, "{:?}", answer.headers);
    let set = set[0].to_str().expect("a text");
    let (value, rest) = set.strip_prefix("haat_refresh=").expect("its name").split_once("; ").expect("attributes");
    (value.to_owned(), rest.to_owned())
}

/// An empty request of a page at `origin`, with what its browser keeps.
async fn asked(client: &Client, path: &str, origin: Option<&str>, kept: Option<&str>) -> Answer {
    let mut request = client.request("POST", &format!("/v1/auth/{path}"));
    if let Some(origin) = origin {
        request = request.header("origin", origin);
    }
    if let Some(kept) = kept {
        request = request.header("cookie", &format!("theme=dark; {COOKIE}={kept}"));
    }
    request.send().await
}

fn here(client: &Client) -> String {
    format!("http://{}", client.address())
}

on_both_stores! {
    /// Somebody signs in on a page, which is loaded again, and signs out.
    async fn a_page_that_is_loaded_again_is_still_signed_in(store) {
        let server = Server::start(&store).await;
        let (client, here) = (&server.client, here(&server.client));
        signed_up(client).await;
        let session = log_in(client, &here).await.expect(200);
        assert!(session.body.get("refresh_token").is_none(), "a script could read it: {}", session.text);
        assert_eq!(session.header("cache-control"), Some("no-store"));
        let (first, said) = cookie(&session);
        assert!(first.starts_with("rt_"));
        assert_eq!(said, "Max-Age=2592000; Path=/v1/auth; HttpOnly; SameSite=Strict");

        let next = asked(client, "refresh", Some(&here), Some(&first)).await.expect(200);
        assert!(next.body.get("refresh_token").is_none(), "{}", next.text);
        client.get("/v1/me").bearer(next.field("access_token")).send().await.expect(200);
        let (second, _) = cookie(&next);
        // Two tabs at once get the same.
        assert_eq!(cookie(&asked(client, "refresh", Some(&here), Some(&first)).await.expect(200)).0, second);

        let out = asked(client, "logout", Some(&here), Some(&second)).await.expect(204);
        assert_eq!(cookie(&out), (String::new(), "Max-Age=0; Path=/v1/auth; HttpOnly; SameSite=Strict".to_owned()));
        assert_eq!(client.get("/v1/me").bearer(next.field("access_token")).send().await.expect(401).code(), "unauthorized");
        // What is good no more is forgotten, so that the page does not ask in vain again.
        let gone = asked(client, "refresh", Some(&here), Some(&second)).await.expect(401);
        assert_eq!((gone.code(), cookie(&gone).0.as_str()), ("credentials_invalid", ""));
        server.stop().await;
    }

    /// Another's page, and one that says of itself nothing, gets nothing and ends nothing.
    async fn the_cookie_is_read_for_the_shops_own_pages_alone(store) {
        let server = Server::start(&store).await;
        let (client, here) = (&server.client, here(&server.client));
        signed_up(client).await;
        let (kept, said) = cookie(&log_in(client, HOME).await.expect(200));
        assert!(said.ends_with("; Secure"), "{said}");
        let other_port = format!("http://127.0.0.1:{}", client.address().port() ^ 1);
        let others = [None, Some("null"), Some(""), Some("https://evil.example"), Some("https://shop.example.evil.example"),
            Some("https://shop.example/"), Some("http://shop.example"), Some(&*other_port)];
        for origin in others {
            for path in ["refresh", "logout"] {
                let refused = asked(client, path, origin, Some(&kept)).await.expect(403);
                assert_eq!(refused.code(), "origin_refused", "{path} {origin:?}");
                assert!(refused.headers.get("set-cookie").is_none(), "{path} {origin:?}");
                // There is nothing to refuse, and nothing to tell.
                assert_eq!(asked(client, path, origin, None).await.expect(204).text, "");
            }
        }
        let twice = client.request("POST", "/v1/auth/refresh").header("origin", HOME);
        let twice = twice.header("cookie", &format!("{COOKIE}={kept}; {COOKIE}=rt_other")).send().await;
        assert_eq!(twice.expect(403).code(), "origin_refused");
        let next = asked(client, "refresh", Some(HOME), Some(&kept)).await.expect(200);
        let (kept, _) = cookie(&next);
        let (kept, _) = cookie(&asked(client, "refresh", Some(&here), Some(&kept)).await.expect(200));

        // No other route reads it.
        let me = client.get("/v1/me").header("cookie", &format!("{COOKIE}={kept}")).header("origin", HOME);
        assert_eq!(me.send().await.expect(401).code(), "unauthorized");
        asked(client, "logout", Some(HOME), Some(&kept)).await.expect(204);
        server.stop().await;
    }

    /// What was asked with a token in the body is answered as ever, whatever the browser keeps.
    async fn a_body_goes_before_the_cookie(store) {
        let server = Server::start(&store).await;
        let (client, here) = (&server.client, here(&server.client));
        signed_up(client).await;
        let (kept, _) = cookie(&log_in(client, &here).await.expect(200));
        let body = json!({"email": "fina@example.com", "password": GOOD, "cookie": false});
        let plain = client.post("/v1/auth/login", &body).header("origin", &here).send().await.expect(200);
        assert!(plain.headers.get("set-cookie").is_none());
        let send = |path: &str, body: &str| {
            let request = client.request("POST", &format!("/v1/auth/{path}")).header("content-type", "application/json");
            request.header("cookie", &format!("{COOKIE}={kept}")).header("origin", &here).raw(body.to_owned()).send()
        };
        let token = json!({"refresh_token": plain.field("refresh_token")}).to_string();
        let next = send("refresh", &token).await.expect(200);
        assert!(next.headers.get("set-cookie").is_none());
        for bad in ["null", "{}", "[]", r#"{"refresh_token": null}"#, r#"{"cookie": true}"#] {
            for path in ["refresh", "logout"] {
                assert_eq!(send(path, bad).await.expect(422).code(), "invalid_body", "{path} {bad}");
            }
        }
        assert_eq!(send("refresh", " ").await.expect(400).code(), "malformed_json");
        send("logout", &json!({"refresh_token": next.field("refresh_token")}).to_string()).await.expect(204);
        // The session of the cookie is another, and goes on.
        asked(client, "refresh", Some(&here), Some(&kept)).await.expect(200);
        server.stop().await;
    }

    /// A sign-up that is verified on a page gives the cookie, behind the prefix of the public URL.
    async fn a_sign_up_can_end_with_the_cookie(store) {
        let mut config = store.server();
        config.accounts.public_url = "https://shop.example/haat".to_owned();
        let server = Server::start_with(config, Hooks::default()).await;
        let client = &server.client;
        let sign_up = json!({"email": "fina@example.com", "password": GOOD});
        client.post("/v1/auth/sign-up", &sign_up).send().await.expect(202);
        let admin = token(&Bearer::Admin("root".into()));
        let mails = client.mailed_times(&admin, "fina@example.com", "account.sign_up", 1).await;
        let mailed = mails[0].split("https://shop.example/haat/dashboard#token=").nth(1).expect("a link");
        let mailed = mailed.split_whitespace().next().expect("a token");
        let body = json!({"token": mailed, "password": GOOD, "cookie": true});
        let session = client.post("/v1/auth/verify", &body).header("origin", HOME).send().await.expect(200);
        assert!(session.body.get("refresh_token").is_none());
        let (kept, said) = cookie(&session);
        assert_eq!(said, "Max-Age=2592000; Path=/haat/v1/auth; HttpOnly; SameSite=Strict; Secure");
        asked(client, "refresh", Some(HOME), Some(&kept)).await.expect(200);
        server.stop().await;
    }
}

/// The operators' page is there wherever what it asks for is, is the same for everybody, and may do nothing with anybody else.
#[tokio::test]
async fn the_operators_page_is_public_and_holds_nothing() {
    let store = TestStore::new(Kind::Sqlite).await;
    let mut config = store.server();
    config.operator_listen = Some("127.0.0.1:0".parse().expect("an address"));
    config.http.docs = false;
    let server = Server::start_with(config, Hooks::default()).await;
    let operator = server.operator.expect("a second port");
    let policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; \
                  base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
    for client in [&server.client, &operator] {
        let page = client.get("/ops").send().await.expect(200);
        assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
        assert_eq!(page.header("cache-control"), Some("no-store"));
        let files: Vec<&str> = page.text.split('"').filter(|text| text.starts_with("assets/")).collect();
        assert!(files.len() > 10 && files.iter().any(|file| file.ends_with("/ops/app.js")), "{files:?}");
        let mut answers = vec![page.clone(), client.get("/ops/").send().await.expect(308)];
        assert_eq!(answers[1].header("location"), Some("../ops"));
        for file in &files {
            let file = client.get(&format!("/{file}")).send().await.expect(200);
            assert_eq!(file.header("cache-control"), Some("public, max-age=31536000, immutable"));
            answers.push(file);
        }
        for answer in answers {
            assert_eq!(answer.header("content-security-policy"), Some(policy));
            assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
            assert_eq!(answer.header("referrer-policy"), Some("no-referrer"));
            assert!(answer.headers.get("set-cookie").is_none());
        }
        let version = files[0].split('/').nth(1).expect("a version");
        for missing in ["ops/none.js", "../ops.html", "ops.html", "", "%2e%2e/mod.rs", "OPS/app.js"] {
            client.get(&format!("/assets/{version}/{missing}")).send().await.expect(404);
        }
        client.get("/assets/0000000000000000/ops/app.js").send().await.expect(404);
        // What the page asks for, it is answered, with a token alone.
        client.get("/v1/admin/actors").send().await.expect(401);
        client.get("/v1/admin/actors").bearer(&token(&Bearer::Admin("root".into()))).send().await.expect(200);
        client.request("POST", "/v1/auth/refresh").send().await.expect(204);
    }
    // Which products there are everybody may know.
    let sku = server.client.market(4).await.sku;
    let shown = operator.get(&format!("/v1/skus/{sku}")).send().await.expect(200);
    assert_eq!(shown.body["available"], 4);
    operator.get(&format!("/v1/products/{}", shown.field("product_id"))).send().await.expect(200);
    operator.get("/v1/products?q=quilt").send().await.expect(200);
    for path in ["/v1/categories", "/v1/orders", "/v1/me"] {
        operator.get(path).send().await.expect(404);
    }
    operator.post("/v1/carts", &serde_json::json!({})).send().await.expect(404);
    server.stop().await;
}
