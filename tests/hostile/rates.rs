//! Whoever asks without end is refused everywhere, and costs nobody else anything.

use crate::support::client::{Answer, Client};
use crate::target::Target;
use haat::app::Hooks;
use haat::http::rates::Class;
use serde_json::Value;

const FLOOD: &str = "203.0.113.7";

async fn asked(client: &Client, method: &str, path: &str) -> Answer {
    let path = path.replace(['{', '}'], "");
    client.request(&method.to_uppercase(), &path).header("x-forwarded-for", FLOOD).send().await
}

/// All routes of the document: each that can be refused so is, and says in the document that it may be.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_route_is_closed_to_a_flood_and_open_to_everybody_else() {
    let once = Class::ALL.map(|class| format!("{}=1/3600", class.name())).join(",");
    let target = Target::start_with(Hooks::default(), |config| {
        config.http.rates = Some(once.parse().expect("rates"));
        config.http.trusted_proxies = vec!["127.0.0.1".parse().expect("a network")];
    })
    .await;
    let document: Value = target.client.get("/openapi.json").send().await.expect(200).body;
    let paths = document["paths"].as_object().expect("paths");
    let routes: Vec<(&String, &String, &Value)> = paths
        .iter()
        .flat_map(|(path, item)| {
            item.as_object().expect("methods").iter().map(move |(method, operation)| (path, method, operation))
        })
        .collect();
    assert!(routes.len() > 40, "{}", routes.len());
    for (path, method, _) in &routes {
        asked(&target.client, method, path).await;
    }
    for (path, method, operation) in &routes {
        let answer = asked(&target.client, method, path).await;
        // A provider's notices come in bursts from few addresses; without its secret, as here, there is no such route.
        let open = ["/healthz", "/readyz", "/metrics"].map(|path| (path, 200));
        let notices =
            ["/v1/notices/stripe", "/v1/notices/redirect", "/v1/notices/couriers/{courier}"].map(|path| (path, 404));
        let expected = open.iter().chain(&notices).find(|(of, _)| of == path).map_or(429, |(_, status)| *status);
        assert_eq!(answer.status, expected, "{method} {path}: {}", answer.text);
        let is_limited = expected == 429;
        let says = operation["responses"]["429"]["content"]["application/problem+json"]["examples"].get("rate_limited");
        assert_eq!(says.is_some(), is_limited, "{method} {path}");
        if is_limited {
            assert_eq!(answer.code(), "rate_limited");
            for header in ["retry-after", "ratelimit", "ratelimit-policy"] {
                assert!(answer.header(header).is_some(), "{method} {path} lacks {header}");
            }
        }
    }
    // Paths that are not there, methods that are none, and pages.
    for (method, path) in
        [("get", "/v1/nothing"), ("get", "/wp-login.php"), ("delete", "/v1/skus/x"), ("get", "/docs/")]
    {
        assert_eq!(asked(&target.client, method, path).await.status, 429, "{method} {path}");
    }
    target.unharmed().await;
}
