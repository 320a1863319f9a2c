//! A server to be attacked, which must be unharmed afterwards.

use crate::support::client::Client;
use crate::support::{Kind, Server, TestStore};
use haat::app::Hooks;
use haat::config::Config;
use serde_json::json;
use std::panic;
use std::sync::Once;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// The longest wait for anything that must come.
pub const BOUND: Duration = Duration::from_secs(30);

static PANICS: AtomicUsize = AtomicUsize::new(0);

/// Counts panics wherever they are: one in the task of a connection is in no metric.
fn watch_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            PANICS.fetch_add(1, Ordering::SeqCst);
            before(info);
        }));
    });
}

/// What must hold of a server after whatever was done to it: it takes orders of business as before, and nothing in it panicked.
pub async fn unharmed(client: Client) {
    client.post("/v1/carts", &json!({})).send().await.expect(201);
    client.get("/readyz").send().await.expect(200);
    let figures = client.get("/metrics").send().await.expect(200).text;
    let panics = [haat::http::metrics::PANICS, haat::telemetry::names::RESTARTS];
    for line in figures.lines().filter(|line| panics.iter().any(|name| line.starts_with(name))) {
        assert!(line.ends_with(" 0"), "{line}");
    }
}

/// A server in this process, on an embedded store, with limits of the test's own.
pub struct Target {
    pub server: Server,
    pub client: Client,
    _store: TestStore,
}

impl Target {
    pub async fn start() -> Self {
        Self::start_with(Hooks::default(), |_| {}).await
    }

    pub async fn start_with(hooks: Hooks, change: impl FnOnce(&mut Config)) -> Self {
        watch_panics();
        let store = TestStore::new(Kind::Sqlite).await;
        let mut config = store.server();
        change(&mut config);
        let server = Server::start_with(config, hooks).await;
        Self { client: server.client, server, _store: store }
    }

    /// A figure of `/metrics` by its name and labels, 0 when it is not there.
    pub async fn figure(&self, name: &str) -> f64 {
        let figures = self.client.get("/metrics").send().await.expect(200).text;
        let value = figures.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
        value.unwrap_or(0.0)
    }

    /// Stops it; fails when it was harmed.
    pub async fn unharmed(self) {
        unharmed(self.client).await;
        self.server.stop().await;
        assert_eq!(PANICS.load(Ordering::SeqCst), 0, "something panicked");
    }
}
