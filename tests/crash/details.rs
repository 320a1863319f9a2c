//! Killed in the middle of appends: personal data are there if and only if the record is that they came with, and what they are needed for is
//! done once.

use crate::process::{end_lease, until};
use crate::support::client::{Buyer, Client};
use crate::support::{Kind, TestStore, token};
use crate::watched::{Watched, cut};
use futures::future::join_all;
use haat::app::audit::{Report, audit};
use haat::http::auth::Bearer;
use serde_json::Value;

/// Checkouts at the same time.
const AT_ONCE: usize = 3;
/// More writes than any server makes here.
const NEVER: u64 = 1 << 40;
/// The most writes that a server is left with: to take the checkouts, to have them paid, and to tell of it.
const MOST: u64 = 60;

async fn audited(store: &TestStore) -> Report {
    let report = audit(&store.config(), store.data_dir()).await.expect("an audit");
    assert!(report.is_clean(), "{report}");
    report
}

/// Kills a server so often, each time before another one of its writes, while it takes checkouts; then all of them end.
async fn killed(kind: Kind, times: u64) {
    let library = cut();
    let store = TestStore::new(kind).await;
    let admin = token(&Bearer::Admin("root".into()));
    let mut server = Watched::begin(&library, &store, NEVER).await;
    server.server.ready().await;
    let (vendor, sku) = server.server.client.shop(&admin, "10.00", 1_000_000).await;
    let (mut buyers, mut told): (Vec<Buyer>, Vec<String>) = Default::default();
    for time in 0..times {
        let client = server.server.client;
        let some: Vec<Buyer> = join_all((0..AT_ONCE).map(|_| client.buyer(&sku, 1))).await;
        server.has_left(1 + time * 7 % MOST);
        let checkouts = some.iter().map(|buyer| client.checkout(buyer, "tok_approve").try_send());
        for answer in join_all(checkouts).await.into_iter().flatten().filter(|answer| answer.status == 201) {
            told.push(answer.field("id").to_owned());
        }
        // It may have had more writes left than these took.
        server.server.signal("KILL").await;
        server.server.ended().await;
        // An audit replays all: what one kill leaves behind, a later one finds.
        if time < 30 || time % 20 == 0 {
            audited(&store).await;
        }
        end_lease(&store).await;
        buyers.extend(some);
        server = Watched::begin(&library, &store, NEVER).await;
        server.server.ready().await;
    }
    let client = server.server.client;
    for order in &told {
        until(format_args!("{order} to be paid"), async || {
            let order = client.order(&admin, order).await.expect(200);
            assert_eq!(order.body["shipping_address"]["line1"], "12 Lake Road", "{}", order.text);
            (order.field("status") == "paid").then_some(())
        })
        .await;
    }
    // Who was not told asks again.
    let sold = join_all(buyers.iter().map(|buyer| check_out(client, buyer))).await;
    until("all stock to be sold", async || {
        (client.stock(&admin, &vendor, &sku).await["sold"] == sold.len()).then_some(())
    })
    .await;
    server.server.signal("TERM").await;
    assert_eq!(server.server.ended().await.code(), Some(0), "{}", server.server.log());
    let details = audited(&store).await.of("details").expect("a check").looked_at.replace(',', "");
    let all = sold.len();
    assert_eq!(details, format!("{all} details of {all} checkouts"), "no means of payment is left");
    std::fs::remove_file(library).expect("it was there");
}

async fn check_out(client: Client, buyer: &Buyer) -> Value {
    let paid = client.checkout(buyer, "tok_approve").header("prefer", "wait=20").send().await;
    assert!(paid.status == 200 || paid.status == 201, "{}", paid.text);
    assert_eq!(paid.field("status"), "paid", "{}", paid.text);
    paid.body
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_in_the_middle_of_appends_sqlite() {
    killed(Kind::Sqlite, 10).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_in_the_middle_of_appends_postgres() {
    killed(Kind::Postgres, 10).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thorough_killed_in_the_middle_of_a_thousand_appends_sqlite() {
    killed(Kind::Sqlite, 1_000).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thorough_killed_in_the_middle_of_a_thousand_appends_postgres() {
    killed(Kind::Postgres, 1_000).await;
}
