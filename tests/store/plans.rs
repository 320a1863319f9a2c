//! Postgres: what is looked up costs the same however many rows there are, also where the planner last saw a few.

use crate::fixture::{Fixture, take};
use crate::samples::{
    at, delta, gone, of_customer, order_delta, order_id, order_row, paid, part, uuid, vendor_delta, vendor_id,
};
use crate::samples::{frame, vendor_rows, write_all};
use haat::domain::buyer::MailKey;
use haat::domain::ids::{CartId, CustomerId, EntityId};
use haat::domain::order::{OrderFilter, OrderStatus};
use haat::ports::{CheckpointWrite, EntityDelta, OrdersOf, Partition, ProductFilter, ProductOrder, Store};
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use std::collections::BTreeMap;

const ORDERS: i64 = 20_000;
/// As many as a checkpoint that is in a hurry writes at once.
const SLICE: i64 = 500;

const TABLES: [&str; 7] = ["snapshot", "vendors", "products", "skus", "orders", "sub_orders", "journal"];

/// Eight orders, known to the planner; from now on it is told nothing.
async fn small(fixture: &Fixture) {
    let (store, owned) = fixture.open_and_take().await;
    write_all(&store, &owned, &[vendor_delta(1, vendor_rows("shop", "Cup", at(1)))]).await;
    for number in 0..8 {
        write_all(&store, &owned, &[of_number(-1 - number)]).await;
    }
    for table in TABLES {
        fixture.execute(&format!("ALTER TABLE {table} SET (autovacuum_enabled = off)")).await.expect("altered");
        fixture.execute(&format!("VACUUM ANALYZE {table}")).await.expect("analyzed");
    }
}

fn of_number(number: i64) -> EntityDelta {
    let seed = number.to_string();
    let row = of_customer(order_row(&seed, at(number)), &seed);
    let rows = order_delta(1, row.clone()).rows;
    let wake_at = Some(at(number));
    EntityDelta { rows, wake_at, ..delta(row.id.entity(), 1, vec![part("", &"{} ".repeat(200)), part("more", "{}")]) }
}

/// One counter of each table, by its name.
async fn counted(fixture: &Fixture, what: &str) -> BTreeMap<String, i64> {
    let sql = format!(
        "SELECT relname::text, ({what})::bigint FROM pg_stat_user_tables JOIN pg_statio_user_tables USING (relid, relname)"
    );
    let mut connection = fixture.connection().await;
    let rows: Vec<(String, i64)> =
        sqlx::query_as(AssertSqlSafe(sql)).fetch_all(&mut connection).await.expect("statistics");
    rows.into_iter().filter(|(table, _)| TABLES.contains(&table.as_str())).collect()
}

/// Pages of rows looked at. (Those of indexes grow with the depth of the trees.)
async fn pages(fixture: &Fixture) -> i64 {
    let sum = "COALESCE(heap_blks_read + heap_blks_hit, 0) + COALESCE(toast_blks_read + toast_blks_hit, 0)";
    counted(fixture, sum).await.values().sum()
}

/// Writes these orders, each when it is placed and again when it is paid, slice by slice, each with a checkpoint.
async fn fill(store: &Store, owned: &[Partition], numbers: std::ops::Range<i64>) {
    let mut rest: Vec<i64> = numbers.collect();
    while !rest.is_empty() {
        let slice: Vec<i64> = rest.drain(..rest.len().min(SLICE as usize)).collect();
        let mut first: Vec<EntityDelta> = slice.iter().map(|number| of_number(*number)).collect();
        first.iter_mut().for_each(|delta| delta.fresh = true);
        let again = first.iter().map(|delta| {
            let mut again = EntityDelta { version: 2, fresh: false, ..delta.clone() };
            again.rows.orders = again.rows.orders.drain(..).map(paid).collect();
            again
        });
        let again: Vec<EntityDelta> = again.collect();
        for entities in [&first, &again] {
            let write = CheckpointWrite { owned, entities, advance: &[(0, 0)], remake: None };
            assert_eq!(store.checkpoints.write(write).await.expect("it is written").refused, []);
        }
    }
}

/// A connection tells what it has counted at most once a second; here it does so with each checkpoint.
async fn tell_at_each_checkpoint(fixture: &Fixture) {
    let sql = "
        CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS
            'BEGIN PERFORM pg_stat_force_next_flush(); RETURN NULL; END';
        CREATE TRIGGER tell AFTER UPDATE ON partition FOR EACH STATEMENT EXECUTE FUNCTION tell()";
    fixture.execute(sql).await.expect("made");
}

#[tokio::test]
async fn checkpoints_cost_the_same_after_tables_were_analyzed_while_small() {
    let fixture = Fixture::postgres().await;
    small(&fixture).await;
    tell_at_each_checkpoint(&fixture).await;
    let (store, owned) = fixture.open_and_take().await;
    // So few at first, one by one, as a shop that opens: more than the five times after which Postgres keeps a plan.
    for number in -20..-10 {
        fill(&store, &owned, number..number + 1).await;
    }
    let quarter = ORDERS / 4;
    let mut costs = Vec::new();
    for from in [0, quarter, 2 * quarter, 3 * quarter] {
        let before = pages(&fixture).await;
        fill(&store, &owned, from..from + quarter).await;
        costs.push(pages(&fixture).await - before);
    }
    let (first, last) = (costs[0], costs[3]);
    assert!(last * 100 <= first * 115 && last * 100 >= first * 85, "pages for each quarter of the orders: {costs:?}");
    let (read, rows) = (counted(&fixture, "seq_tup_read").await, counted(&fixture, "n_live_tup").await);
    for table in TABLES {
        assert!(read[table] <= 10 * rows[table].max(1_000), "{table}: {read:?} of {rows:?}");
    }
    assert!(rows["sub_orders"] >= 2 * ORDERS && rows["snapshot"] >= 2 * ORDERS, "they were counted: {rows:?}");
}

/// Everything that looks something up, once.
async fn look_up(store: &Store, owned: &[Partition], number: i64) {
    let seed = number.to_string();
    let (order, home) = (order_id(&seed), &owned[3]);
    let (snapshots, queries) = (&store.snapshots, &store.queries);
    assert!(snapshots.load(order.entity()).await.expect("it loads").is_some());
    assert_eq!(snapshots.load_many(&[order.entity()]).await.expect("it loads").len(), 1);
    assert_eq!(
        snapshots.due(at(number), Some((order.entity(), at(number - 1))), 1).await.expect("who is due").len(),
        1
    );
    assert_eq!(snapshots.scan(Some(order.entity()), 1).await.expect("a page").len(), 1);
    assert_eq!(snapshots.scan_kind(order.entity().kind, None, 1).await.expect("a page").len(), 1);
    assert_eq!(store.checkpoints.marked(order.entity().kind, None, 1).await.expect("none"), []);
    let cart = CartId::from_uuid(uuid(&format!("cart of {seed}")));
    // All orders are customers': a guest is shown none.
    for (of, shown) in [(OrdersOf::Cart(cart), 0), (OrdersOf::Customer(CustomerId::from_uuid(uuid(&seed))), 1)] {
        assert_eq!(queries.orders(of, &OrderFilter::ANY, None, 1).await.expect("orders").len(), shown);
    }
    assert_eq!(queries.guests_orders(MailKey([7; 16]), 1).await.expect("orders"), []);
    assert_eq!(queries.points_pending(CustomerId::from_uuid(uuid(&seed))).await.expect("a sum"), 0);
    for of in [OrdersOf::All, OrdersOf::Vendor(vendor_id("first"))] {
        assert!(
            !queries.orders(of, &OrderFilter::ANY, Some((at(number + 1), order)), 1).await.expect("orders").is_empty()
        );
    }
    for status in [OrderStatus::Paid, OrderStatus::Rejected] {
        let filter = OrderFilter::from(status);
        let page = queries.orders(OrdersOf::All, &filter, Some((at(number + 1), order)), 1).await.expect("orders");
        assert!(page.iter().all(|order| order.columns.status == status), "{status}");
    }
    let of_shop = ProductFilter { vendor: Some(vendor_id("shop")), ..ProductFilter::default() };
    assert_eq!(queries.products(&of_shop, ProductOrder::Newest, None, 1).await.expect("products").len(), 1);
    assert_eq!(store.journal.frames(home.id, home.tail_seq + 2, 1).await.expect("frames").len(), 1);
    assert_eq!(store.journal.partitions().await.expect("partitions").len(), owned.len());
    let older = EntityDelta { version: 0, ..delta(order.entity(), 0, vec![part("", "{}")]) };
    write_all(store, owned, &[older]).await;
    write_all(store, owned, &[delta(order.entity(), 3, vec![gone("none")])]).await;
}

#[tokio::test]
async fn no_look_up_keeps_a_plan_that_was_made_while_tables_were_small() {
    let fixture = Fixture::postgres().await;
    small(&fixture).await;
    let store = fixture.open().await;
    let owned = take(&store, "test").await;
    for ahead in 1..=4 {
        store.journal.append(&[frame(&owned[3], ahead, "few", b"few")], &[]).await.expect("appended");
    }
    // More than the five times after which Postgres keeps a plan.
    for _ in 0..10 {
        look_up(&store, &owned, -3).await;
    }
    tell_at_each_checkpoint(&fixture).await;
    let filler = fixture.open().await;
    fill(&filler, &owned, 0..5_000).await;
    let frames: Vec<_> = (5..5_000).map(|ahead| frame(&owned[3], ahead, "many", b"many")).collect();
    filler.journal.append(&frames, &[]).await.expect("appended");
    drop(filler);
    let before = counted(&fixture, "seq_tup_read").await;
    for number in 0..50 {
        look_up(&store, &owned, number * 90).await;
    }
    // What a connection has counted it tells at its end at the latest.
    drop(store);
    let there =
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'haat'";
    while fixture.number(there).await > 0 {}
    let after = counted(&fixture, "seq_tup_read").await;
    for table in TABLES {
        assert!(after[table] - before[table] <= 20_000, "{table}: {before:?}, then {after:?}");
    }
}

/// What the look-ups rely on: the driver keeps nothing of a statement that is not to persist.
#[tokio::test]
async fn a_statement_that_is_not_to_persist_is_not_kept() {
    let fixture = Fixture::postgres().await;
    let mut connection: PgConnection = fixture.connection().await;
    for persistent in [false, true] {
        for _ in 0..10 {
            let query = sqlx::query_scalar::<_, i32>("SELECT 1 + $1").persistent(persistent).bind(1);
            assert_eq!(query.fetch_one(&mut connection).await.expect("two"), 2);
        }
        let kept = sqlx::query_scalar::<_, i64>(
            "SELECT count(*) FROM pg_prepared_statements WHERE statement = 'SELECT 1 + $1'",
        );
        let kept = kept.persistent(false).fetch_one(&mut connection).await.expect("a number");
        assert_eq!(kept, i64::from(persistent));
    }
    connection.close().await.expect("closed");
}
