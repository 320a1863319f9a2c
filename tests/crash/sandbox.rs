//! Where the sandbox is on by itself, and what a start without it says.

use crate::process::{Haat, free_address, haat, output};
use crate::support::{Kind, TestStore, token};
use haat::http::auth::Bearer;

/// On a database its cards pay only if it was asked for; the orders that wait for it are told of at the start.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_a_database_the_sandbox_is_on_only_when_asked_for() {
    let store = TestStore::new(Kind::Postgres).await;
    let address = free_address();
    let admin = token(&Bearer::Admin("root".into()));
    let mut with = Haat::start(&store, address).await;
    let (_, sku) = with.client.shop(&admin, "10.00", 5).await;
    for _ in 0..2 {
        let buyer = with.client.buyer(&sku, 1).await;
        with.client.checkout(&buyer, "tok_flaky_100").send().await.expect(201);
    }
    with.signal("TERM").await;
    assert!(with.ended().await.success(), "{}", with.log());

    let mut command = haat();
    command.env("HAAT_SANDBOX", "");
    let mut without = Haat::begin_with(command, &store, store.data_dir(), address);
    without.ready().await;
    let said = "unpaid orders wait for a payment method that is not configured any more";
    assert_eq!(without.logged(said, "method").await, "sandbox");
    assert_eq!(without.logged(said, "orders").await, 2);
    let buyer = without.client.buyer(&sku, 1).await;
    let refused = without.client.checkout(&buyer, "tok_approve").send().await.expect(422);
    assert_eq!(refused.code(), "payment_unsupported");
    without.client.get("/v1/admin/sandbox/charges").bearer(&admin).send().await.expect(404);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_switch_that_is_neither_on_nor_off_is_refused() {
    for name in ["HAAT_SANDBOX", "HAAT_DOCS", "HAAT_METRICS"] {
        for value in ["yes", "2", "onn"] {
            let mut command = haat();
            let ended = output({
                command.env(name, value);
                command
            })
            .await;
            let said = String::from_utf8_lossy(&ended.stderr).into_owned();
            assert_eq!(ended.status.code(), Some(2), "{name}={value}: {said}");
            assert!(said.contains("it is on or off") && said.contains(&name["HAAT_".len()..].to_lowercase()), "{said}");
        }
    }
}
