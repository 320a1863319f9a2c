//! Rows of a former shape are remade beside a rush, whoever dies meanwhile, and in the end they are what a rebuild makes.

use crate::on_both_stores;
use crate::process::{Haat, end_lease, free_address, until};
use crate::rush::Rush;
use crate::support::{Kind, TestStore};
use haat::app::audit::audit;
use haat::app::rebuild::rebuild;
use haat::domain::order::OrderFilter;
use haat::domain::rows::{OrderRow, Rows};
use haat::persistence::{self, Mode};
use haat::ports::OrdersOf;

/// What checkpoints write.
const TABLES: [&str; 5] = ["vendors", "products", "skus", "orders", "sub_orders"];

/// Makes of a store one that a version with rows of another shape has left: it had some columns otherwise, and a row that there is none of now.
async fn of_a_former_version(store: &TestStore) {
    for table in TABLES {
        store.execute(&format!("UPDATE {table} SET shape = 0")).await;
    }
    let (id, document) = match store.kind {
        Kind::Sqlite => ("randomblob(16)", "json_set(document, '$.lines[0].title', 'former')"),
        Kind::Postgres => ("gen_random_uuid()", "jsonb_set(document, '{lines,0,title}', '\"former\"')"),
    };
    for sql in [
        &format!("UPDATE orders SET document = {document}"),
        "UPDATE sub_orders SET status = 'placed'",
        "UPDATE products SET description = 'former'",
        "UPDATE skus SET title = 'former'",
        &format!(
            "INSERT INTO products (id, vendor_id, title, title_folded, created_at, sku_ids, version, shape)
             SELECT {id}, vendor_id, title, title_folded, created_at, sku_ids, version, 0 FROM products"
        ),
        "UPDATE remaking SET complete = 0, aim = 0",
    ] {
        assert!(store.execute(sql).await > 0, "{sql}");
    }
}

/// How many rows of a table have not the newest shape.
async fn former(store: &TestStore, table: &str) -> u64 {
    store.execute(&format!("UPDATE {table} SET shape = shape WHERE shape < 1")).await
}

async fn written(store: &TestStore) -> (Rows, Vec<OrderRow>) {
    let opened = persistence::open(&store.config(), Mode::Tool).await.expect("it opens");
    let mut catalog = opened.queries.catalog().await.expect("the catalog");
    catalog.products.sort_by_key(|row| row.id);
    (catalog, opened.queries.orders(OrdersOf::All, &OrderFilter::ANY, None, 100_000).await.expect("orders"))
}

/// The value of a series, once the server answers.
async fn figure(server: &Haat, series: &str) -> Option<f64> {
    let metrics = server.client.get("/metrics").try_send().await.ok()?.expect(200).text;
    let line = metrics.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ')).expect("the series");
    Some(line.parse().expect("a figure"))
}

async fn stop(mut server: Haat) {
    server.signal("TERM").await;
    assert!(server.ended().await.success(), "{}", server.log());
}

on_both_stores! {
    async fn rows_of_a_former_shape_are_remade_in_a_rush_whoever_dies(store) {
        let address = free_address();
        let server = Haat::start(&store, address).await;
        let mut told = vec![Rush::of(500, address, &server.client).await.end().await];
        let mut rush = Rush::begin(&server).await;
        rush.goes_on(10).await;
        server.kill().await;
        loop {
            of_a_former_version(&store).await;
            end_lease(&store).await;
            let server = Haat::begin(&store, store.data_dir(), address);
            until("some orders to be remade", async || {
                (figure(&server, r#"haat_remade_entities_total{kind="order"}"#).await? > 0.0).then_some(())
            })
            .await;
            server.kill().await;
            if former(&store, "orders").await > 0 {
                break;
            }
            // Where all is remade before anybody sees it begin, there is not enough to be remade.
            end_lease(&store).await;
            let server = Haat::start(&store, address).await;
            told.push(Rush::of(500, address, &server.client).await.end().await);
            server.kill().await;
        }
        end_lease(&store).await;
        let mut server = Haat::start(&store, address).await;
        for table in ["vendors", "products", "skus"] {
            assert_eq!(former(&store, table).await, 0, "{table} are remade before requests are taken");
        }
        rush.may_go_on(20).await;
        server.kill().await;
        end_lease(&store).await;
        server = Haat::start(&store, address).await;
        rush.end().await.still_holds(&server).await;
        until("all rows to be remade", async || {
            (figure(&server, "haat_remade_kinds_incomplete").await? == 0.0).then_some(())
        })
        .await;
        for told in told {
            told.still_holds(&server).await;
        }
        stop(server).await;

        for table in TABLES {
            assert_eq!(former(&store, table).await, 0, "{table}");
        }
        let report = audit(&store.config(), store.data_dir()).await.expect("the store can be looked at");
        assert!(report.is_clean(), "{report}");
        let remade = written(&store).await;
        assert_eq!(rebuild(&store.config()).await.expect("a rebuild").failed, [""; 0]);
        let rebuilt = written(&store).await;
        assert_eq!(remade, rebuilt);
        for table in TABLES {
            assert_eq!(former(&store, table).await, 0, "{table} after a rebuild");
        }
    }

    /// One that cannot read the newer rows leaves the store to those who can.
    async fn a_server_refuses_rows_of_a_newer_shape(store) {
        stop(Haat::start(&store, free_address()).await).await;
        store.execute("UPDATE remaking SET complete = 99, aim = 99 WHERE kind = 'order'").await;
        let mut server = Haat::begin(&store, store.data_dir(), free_address());
        assert_eq!(server.ended().await.code(), Some(1));
        assert!(server.log().contains("the rows of orders have shape 99"), "{}", server.log());
    }
}
