//! What browsers are told: whose pages may call, and what the shop's own pages may do.

use crate::support::client::{Answer, Client};
use crate::support::{Kind, Server, TestStore};
use haat::app::Hooks;
use serde_json::json;

const SHOP: &str = "https://shop.example";

async fn started(store: &TestStore, origins: &str) -> Server {
    let mut config = store.server();
    config.http.origins = haat::http::cors::origins(origins).expect("origins");
    config.http.rates = Some("carts=1/600".parse().expect("rates"));
    Server::start_with(config, Hooks::default()).await
}

async fn preflight(client: &Client, origin: &str, method: &str, headers: &str) -> Answer {
    let asked = client.request("OPTIONS", "/v1/carts").header("origin", origin);
    let asked = asked.header("access-control-request-method", method);
    asked.header("access-control-request-headers", headers).send().await
}

#[tokio::test]
async fn pages_of_named_origins_call_without_credentials() {
    let store = TestStore::new(Kind::Sqlite).await;
    let server = started(&store, "https://shop.example,http://localhost:3000").await;
    let client = &server.client;
    for origin in [SHOP, "http://localhost:3000"] {
        // However often: whether it may call is not what is limited.
        for _ in 0..3 {
            let told =
                preflight(client, origin, "POST", "authorization,content-type,idempotency-key").await.expect(200);
            assert_eq!(told.header("access-control-allow-origin"), Some(origin));
            assert_eq!(told.header("access-control-allow-credentials"), None);
            assert_eq!(told.header("access-control-allow-methods"), Some("GET,POST,PUT,PATCH,DELETE"));
            let allowed = told.header("access-control-allow-headers").expect("headers");
            assert_eq!(
                allowed,
                "authorization,content-type,idempotency-key,if-match,last-event-id,prefer,x-request-id"
            );
            assert!(told.header("x-request-id").is_some());
        }
    }
    for origin in ["https://other.example", "https://shop.example.evil.example", "http://shop.example", "null"] {
        let told = preflight(client, origin, "POST", "content-type").await;
        assert_eq!(told.header("access-control-allow-origin"), None, "{origin}");
    }
    let cart = || client.post("/v1/carts", &json!({})).header("origin", SHOP).send();
    for status in [201, 429] {
        let told = cart().await.expect(status);
        assert_eq!(told.header("access-control-allow-origin"), Some(SHOP));
        assert_eq!(told.header("access-control-allow-credentials"), None);
        assert!(told.header("vary").is_some_and(|vary| vary.contains("origin")), "{:?}", told.headers);
        let exposed = told.header("access-control-expose-headers").expect("headers");
        assert_eq!(exposed, "x-request-id,idempotent-replayed,retry-after,ratelimit,ratelimit-policy,etag");
    }
    server.stop().await;
}

#[tokio::test]
async fn without_the_setting_no_page_of_another_origin_may_call() {
    let store = TestStore::new(Kind::Sqlite).await;
    let server = Server::start(&store).await;
    let told = preflight(&server.client, SHOP, "POST", "content-type").await.expect(405);
    let read = server.client.get("/v1/products").header("origin", SHOP).send().await.expect(200);
    for answer in [told, read] {
        assert!(
            answer.headers.keys().all(|name| !name.as_str().starts_with("access-control-")),
            "{:?}",
            answer.headers
        );
    }
    server.stop().await;
}

#[tokio::test]
async fn the_shops_own_pages_load_nothing_from_elsewhere_and_stand_in_no_frame() {
    let store = TestStore::new(Kind::Sqlite).await;
    let server = Server::start(&store).await;
    for _ in 0..2 {
        for path in ["/docs/", "/docs/swagger-initializer.js", "/docs/problems", "/openapi.json"] {
            let page = server.client.get(path).send().await.expect(200);
            let policy = page.header("content-security-policy").expect("a policy");
            assert!(policy.starts_with("default-src 'none'; script-src 'self';"), "{policy}");
            assert!(policy.ends_with("frame-ancestors 'none'"), "{policy}");
            assert_eq!(page.header("x-content-type-options"), Some("nosniff"), "{path}");
            assert_eq!(page.header("x-frame-options"), Some("DENY"), "{path}");
            assert_eq!(page.header("referrer-policy"), Some("no-referrer"), "{path}");
        }
    }
    let page = server.client.get("/docs/").send().await.expect(200).text;
    // What the policy forbids would not run.
    assert!(page.contains("<script src=") && !page.contains("<script>") && !page.contains("<style"), "{page}");
    server.stop().await;
}
