//! Constraints of the read tables single out the entity that breaks them; everything else is written.

use crate::on_both_stores;
use crate::samples::{at, order_delta, order_row, vendor_delta, vendor_rows, write, write_all};
use haat::domain::order::OrderFilter;
use haat::domain::rows::OrderRow;
use haat::ports::{CheckpointWrite, EntityDelta, OrdersOf, Remake};
use sqlx::AssertSqlSafe;

fn spoiled(seed: &str, spoil: fn(&mut OrderRow)) -> EntityDelta {
    let mut row = order_row(seed, at(5));
    spoil(&mut row);
    order_delta(1, row)
}

/// Every way in which an order can be wrong that the tables know of, and what is said about it.
fn wrong_orders() -> Vec<(EntityDelta, &'static str)> {
    vec![
        (spoiled("due", |order| order.amounts.total_due = 1), "total_due_adds_up"),
        (spoiled("due of a share", |order| order.sub_orders[1].amounts.total_due = 1), "total_due_adds_up"),
        (
            spoiled("negative due", |order| (order.amounts.paid, order.amounts.total_due) = (500, -50)),
            "total_due_not_negative",
        ),
        (
            spoiled("refunded", |order| (order.amounts.refunded, order.amounts.total_due) = (1, 451)),
            "nothing_refunded_that_was_not_paid",
        ),
        (
            spoiled("credited twice", |order| {
                let share = &mut order.sub_orders[0].amounts;
                (share.credited, share.total_due, share.refund_due) = (600, 0, 300);
            }),
            "nothing_credited_twice",
        ),
        (
            spoiled("both sides", |order| {
                let share = &mut order.sub_orders[0].amounts;
                (share.total_due, share.refund_due) = (301, 1);
            }),
            "one_side_is_due",
        ),
        // One vendor's debt to the buyer pays for nothing of another's: the order's figures are sums, never a balance of sums.
        (
            spoiled("netted", |order| {
                for (share, (paid, due, back)) in order.sub_orders.iter_mut().zip([(400, 0, 100), (0, 150, 0)]) {
                    (share.amounts.paid, share.amounts.total_due, share.amounts.refund_due) = (paid, due, back);
                }
                (order.amounts.paid, order.amounts.total_due) = (400, 50);
            }),
            "order_adds_up",
        ),
        (
            spoiled("credited line", |order| {
                (order.lines[1].credited, order.lines[1].credited_amount) = (1, 50);
            }),
            "order_adds_up",
        ),
        (spoiled("lines", |order| (order.lines[0].quantity, order.lines[0].line_total) = (1, 150)), "lines {300,0}"),
        (
            spoiled("a line too many", |order| {
                let line = haat::domain::rows::OrderLineRow {
                    sku_id: haat::domain::ids::SkuId::from_uuid(crate::samples::uuid("x")),
                    ..order.lines[0].clone()
                };
                order.lines.push(line);
            }),
            "lines {750,0}",
        ),
        (
            spoiled("shares", |order| order.sub_orders[0].amounts = crate::samples::unpaid(299)),
            "shares {449,0,0,0,0,449,0}",
        ),
        (spoiled("product", |order| order.lines[1].line_total = 151), "line_total_multiplies"),
        (
            spoiled("nothing", |order| (order.lines[1].quantity, order.lines[1].line_total) = (0, 0)),
            "quantity_positive",
        ),
        (spoiled("orphan", |order| order.lines[1].vendor_id = crate::samples::vendor_id("nobody")), "foreign key"),
    ]
}

on_both_stores! {
    async fn a_wrong_order_is_singled_out_among_many(fixture) {
        let (store, owned) = fixture.open_and_take().await;
        for (position, (wrong, says)) in wrong_orders().into_iter().enumerate() {
            let mut orders: Vec<EntityDelta> = (0..20)
                .map(|number| order_delta(1, order_row(&format!("{position}/{number}"), at(number))))
                .collect();
            orders.insert(position, wrong.clone());
            let refused = write(&store, &owned, &orders).await.expect("the rest is written");
            assert_eq!(refused.len(), 1, "{says}: {refused:?}");
            assert_eq!(refused[0].entity, wrong.entity);
            assert!(refused[0].reason.to_lowercase().contains(says), "{says}: {}", refused[0].reason);
            assert!(store.snapshots.load(wrong.entity).await.expect("it loads").is_some(), "its snapshot is written");
        }
        let wrong = wrong_orders().len();
        let written = store.queries.orders(OrdersOf::All, &OrderFilter::ANY, None, 1_000).await.expect("orders");
        assert_eq!(written.len(), 20 * wrong);
        assert_eq!(fixture.number("SELECT count(*) FROM refused_rows").await, i64::try_from(wrong).expect("few"));
        assert_eq!(fixture.number("SELECT count(*) FROM sub_orders").await, i64::try_from(40 * wrong).expect("few"));
    }

    async fn stock_that_cannot_be_is_refused(fixture) {
        let (store, owned) = fixture.open_and_take().await;
        let spoils: [fn(&mut haat::domain::rows::SkuRow); 4] = [
            |sku| sku.on_hand = -1,
            |sku| sku.held = -1,
            |sku| sku.held = 9,
            |sku| sku.received = 7,
        ];
        let mut deltas = vec![vendor_delta(1, vendor_rows("sound", "Cup", at(1)))];
        for (number, spoil) in spoils.into_iter().enumerate() {
            let mut rows = vendor_rows(&format!("{number}"), "Cup", at(1));
            spoil(&mut rows.skus[1]);
            deltas.push(vendor_delta(1, rows));
        }
        let refused = write(&store, &owned, &deltas).await.expect("the rest is written");
        let entities: Vec<_> = refused.iter().map(|refused| refused.entity).collect();
        assert_eq!(entities, deltas[1..].iter().map(|delta| delta.entity).collect::<Vec<_>>());
        let mut sound = deltas[0].rows.clone();
        sound.skus.sort_by_key(|sku| sku.id);
        assert_eq!(store.queries.catalog().await.expect("the catalog"), sound);
    }

    async fn an_orphaned_sku_is_refused(fixture) {
        let (store, owned) = fixture.open_and_take().await;
        let mut rows = vendor_rows("one", "Cup", at(1));
        rows.products.clear();
        let refused = write(&store, &owned, &[vendor_delta(1, rows)]).await.expect("it goes on");
        assert_eq!(refused.len(), 1);
        assert_eq!(fixture.number("SELECT count(*) FROM vendors").await, 0, "all rows of an entity or none");
    }

    async fn rows_that_are_sound_again_end_the_refusal(fixture) {
        let (store, owned) = fixture.open_and_take().await;
        let first = order_row("one", at(1));
        write_all(&store, &owned, &[order_delta(1, first.clone())]).await;
        let mut wrong = crate::samples::paid(first.clone());
        wrong.lines[0].unit_price += 1;
        wrong.lines[0].line_total += 2;
        assert_eq!(write(&store, &owned, &[order_delta(2, wrong)]).await.expect("it goes on").len(), 1);
        assert_eq!(store.queries.orders(OrdersOf::All, &OrderFilter::ANY, None, 9).await.expect("orders"), std::slice::from_ref(&first));
        assert_eq!(fixture.number("SELECT version FROM refused_rows").await, 2);
        write_all(&store, &owned, &[order_delta(1, first.clone())]).await;
        assert_eq!(fixture.number("SELECT count(*) FROM refused_rows").await, 1, "older rows mend nothing");
        let mended = crate::samples::paid(first);
        write_all(&store, &owned, &[order_delta(3, mended.clone())]).await;
        assert_eq!(fixture.number("SELECT count(*) FROM refused_rows").await, 1, "nobody knows that these are all");
        let all = order_delta(3, mended.clone());
        let all = [EntityDelta::remade(all.entity, 3, 1, all.rows)];
        let remake = Some(Remake::default());
        let write = CheckpointWrite { owned: &owned, entities: &all, remake, ..CheckpointWrite::default() };
        store.checkpoints.write(write).await.expect("it is remade");
        assert_eq!(fixture.number("SELECT count(*) FROM refused_rows").await, 0);
        assert_eq!(store.queries.orders(OrdersOf::All, &OrderFilter::ANY, None, 9).await.expect("orders"), [mended]);
    }

    /// A vendor gives only the rows that have changed. Those that were refused are still missing when others are sound: then it is told that
    /// all can be remade, and only a remake takes the mark away.
    async fn a_refusal_ends_only_with_all_rows(fixture) {
        let (store, owned) = fixture.open_and_take().await;
        let rows = vendor_rows("one", "Cup", at(1));
        let mut wrong = rows.clone();
        wrong.skus[0].on_hand = -1;
        let entity = vendor_delta(1, rows.clone()).entity;
        assert_eq!(write(&store, &owned, &[vendor_delta(1, wrong)]).await.expect("it goes on").len(), 1);
        let mut changed = rows.clone();
        changed.products.clear();
        changed.skus.clear();
        for (version, rows, remake) in [(2, changed, None), (2, rows.clone(), Some(Remake::default()))] {
            let delta = EntityDelta { shape: 1, ..vendor_delta(version, rows) };
            let write = CheckpointWrite { owned: &owned, entities: &[delta], advance: &[], remake };
            let written = store.checkpoints.write(write).await.expect("it is written");
            assert_eq!(written.refused, []);
            assert_eq!(written.to_remake, if remake.is_some() { vec![] } else { vec![entity] });
            let marked = fixture.number("SELECT count(*) FROM refused_rows").await;
            assert_eq!(marked, i64::from(remake.is_none()));
        }
        assert_eq!(store.queries.catalog().await.expect("the catalog"), rows);
    }
}

#[tokio::test]
async fn on_postgres_rows_changed_by_hand_are_checked_too() {
    let fixture = crate::fixture::Fixture::postgres().await;
    let (store, owned) = fixture.open_and_take().await;
    write_all(&store, &owned, &[order_delta(1, order_row("one", at(1)))]).await;
    for wrong in [
        "UPDATE orders SET total = 451, total_due = 451",
        "UPDATE orders SET document = jsonb_set(document, '{lines,0}', document #> '{lines,0}' || '{\"quantity\": 3, \"line_total\": 450}')",
        "UPDATE orders SET document = jsonb_set(document, '{lines,2}', document #> '{lines,0}')",
        "UPDATE orders SET document = document #- '{lines,1}'",
        "UPDATE orders SET document = '{}'",
        "UPDATE sub_orders SET total = 0, total_due = 0",
        "DELETE FROM sub_orders",
    ] {
        let refused = fixture.execute(wrong).await.expect_err(wrong);
        assert!(refused.as_database_error().is_some_and(|error| error.constraint().is_some()), "{wrong}: {refused}");
    }
    let title = "UPDATE orders SET document = jsonb_set(document, '{lines,0,title}', '\"Bowl\"')";
    fixture.execute(title).await.expect("a change that adds up");
}

/// Each relation between tables, broken from each of its sides by one statement, and what the refusal names.
#[tokio::test]
async fn on_postgres_orphans_made_by_hand_are_refused_by_name() {
    let fixture = crate::fixture::Fixture::postgres().await;
    let (store, owned) = fixture.open_and_take().await;
    let vendor = vendor_delta(1, vendor_rows("one", "Cup", at(1)));
    let orders = ["one", "other"].map(|seed| order_delta(1, order_row(seed, at(1))));
    write_all(&store, &owned, &[vendor]).await;
    write_all(&store, &owned, &orders).await;
    let one = "(SELECT min(id::text)::uuid FROM orders)";
    let of_line = |path: &str, value: &str| {
        format!("UPDATE orders SET document = jsonb_set(document, '{path}', {value}) WHERE id = {one}")
    };
    for (named, wrong) in [
        ("products_vendor_id_fkey", "DELETE FROM vendors".to_owned()),
        ("products_vendor_id_fkey", "UPDATE vendors SET id = gen_random_uuid()".to_owned()),
        ("products_vendor_id_fkey", "UPDATE products SET vendor_id = gen_random_uuid()".to_owned()),
        (
            "products_vendor_id_fkey",
            "INSERT INTO products SELECT gen_random_uuid(), gen_random_uuid(), title, title_folded, description, category,
             created_at, sku_ids, version FROM products"
                .to_owned(),
        ),
        ("products_vendor_id_fkey", "TRUNCATE vendors".to_owned()),
        ("skus_product_id_fkey", "DELETE FROM products".to_owned()),
        ("skus_product_id_fkey", "UPDATE products SET id = gen_random_uuid()".to_owned()),
        ("skus_product_id_fkey", "UPDATE skus SET product_id = gen_random_uuid()".to_owned()),
        ("skus_product_id_fkey", "TRUNCATE products".to_owned()),
        ("sub_orders_order_id_fkey", format!("DELETE FROM orders WHERE id = {one}")),
        ("sub_orders_order_id_fkey", format!("UPDATE orders SET id = gen_random_uuid() WHERE id = {one}")),
        ("sub_orders_order_id_fkey", "TRUNCATE orders".to_owned()),
        (
            "sub_orders_order_id_fkey",
            format!("UPDATE sub_orders SET order_id = gen_random_uuid() WHERE order_id = {one}"),
        ),
        (
            "sub_orders_order_id_fkey",
            "INSERT INTO sub_orders SELECT gen_random_uuid(), gen_random_uuid(), vendor_id, position, status, currency, total, credited,
             rounding, paid, refunded, total_due, refund_due, placed_at, version FROM sub_orders LIMIT 1"
                .to_owned(),
        ),
        ("line_of_a_share", of_line("{lines,0,vendor}", "to_jsonb(gen_random_uuid())")),
        ("line_of_a_share", of_line("{lines,0,vendor}", "'null'")),
        ("line_of_a_share", format!("UPDATE sub_orders SET vendor_id = gen_random_uuid() WHERE order_id = {one}")),
        ("line_of_a_share", format!("DELETE FROM sub_orders WHERE order_id = {one}")),
        ("line_of_a_share", "TRUNCATE sub_orders".to_owned()),
        ("quantity_positive", of_line("{lines,0,quantity}", "'0'")),
        ("line_total_multiplies", of_line("{lines,0,quantity}", "'3'")),
        ("line_total_multiplies", of_line("{lines,0,quantity}", "'null'")),
        ("order_adds_up", of_line("{lines}", "'[]'")),
        ("order_adds_up", of_line("{lines,0,credited_amount}", "'1'")),
        ("order_adds_up", format!("UPDATE orders SET total = 451, total_due = 451 WHERE id = {one}")),
        (
            "order_adds_up",
            format!("UPDATE sub_orders SET total = total + 1, total_due = total_due + 1 WHERE order_id = {one}"),
        ),
        // A share that changes hands: both orders are looked at.
        (
            "order_adds_up",
            format!(
                "UPDATE orders SET document = '{{}}', total = 0, total_due = 0 WHERE id = {one};
                 UPDATE sub_orders SET vendor_id = gen_random_uuid(), order_id = (SELECT max(id::text)::uuid FROM orders)
                 WHERE order_id = {one}"
            ),
        ),
    ] {
        let refused = fixture.execute(&wrong).await.expect_err(&wrong);
        let refused = refused.as_database_error().expect("the database refuses it");
        assert_eq!(refused.constraint(), Some(named), "{wrong}: {refused}");
        assert!(refused.message().contains(named), "{wrong}: {refused}");
    }
    assert_eq!(fixture.number("SELECT count(*) FROM unchecked").await, 0);
    assert_eq!(store.queries.orders(OrdersOf::All, &OrderFilter::ANY, None, 9).await.expect("orders").len(), 2);
}

/// What belongs together may be changed by several statements: it is looked at when the transaction ends, or when it asks.
#[tokio::test]
async fn on_postgres_changes_by_hand_are_checked_at_the_end_of_their_transaction() {
    let fixture = crate::fixture::Fixture::postgres().await;
    let (store, owned) = fixture.open_and_take().await;
    write_all(&store, &owned, &[vendor_delta(1, vendor_rows("one", "Cup", at(1)))]).await;
    write_all(&store, &owned, &["one", "other"].map(|seed| order_delta(1, order_row(seed, at(1))))).await;
    let dearer = "
        UPDATE orders SET document =
            jsonb_set(document, '{lines,0}', document #> '{lines,0}' || '{\"unit_price\": 151, \"line_total\": 302}');
        UPDATE sub_orders SET total = 302, total_due = 302 WHERE total = 300;";
    let and_so_is_the_order = "UPDATE orders SET total = 452, total_due = 452;";
    let now = "SET CONSTRAINTS ALL IMMEDIATE;";
    let fixture = &fixture;
    let refused = |sql: String| async move { fixture.execute(&sql).await.expect_err("it does not add up") };
    refused(format!("BEGIN; {dearer} COMMIT")).await;
    refused(format!("BEGIN; {dearer} {now} {and_so_is_the_order} COMMIT")).await;
    fixture.execute(&format!("BEGIN; {dearer} {and_so_is_the_order} {now} COMMIT")).await.expect("it adds up");
    fixture
        .execute("BEGIN; DELETE FROM vendors; DELETE FROM products; DELETE FROM skus; COMMIT")
        .await
        .expect("all gone");
    fixture.execute("TRUNCATE orders, sub_orders").await.expect("all gone");
    assert_eq!(fixture.number("SELECT count(*) FROM unchecked").await, 0);
}

/// Each of two transactions alone leaves everything sound; the second to end sees what the first has done.
#[tokio::test]
async fn on_postgres_two_transactions_check_one_after_the_other() {
    let fixture = crate::fixture::Fixture::postgres().await;
    let (store, owned) = fixture.open_and_take().await;
    write_all(&store, &owned, &[vendor_delta(1, vendor_rows("one", "Cup", at(1)))]).await;
    fixture.execute("DELETE FROM skus; DELETE FROM products").await.expect("a vendor without products");
    let (mut one, mut other) = (fixture.connection().await, fixture.connection().await);
    let product = "INSERT INTO products
        SELECT gen_random_uuid(), id, 'Cup', 'cup', NULL, NULL, now(), '{}', 1 FROM vendors";
    sqlx::raw_sql(AssertSqlSafe(format!("BEGIN; {product}; SET CONSTRAINTS ALL IMMEDIATE")))
        .execute(&mut one)
        .await
        .expect("sound");
    let gone = sqlx::raw_sql("BEGIN; DELETE FROM vendors; COMMIT").execute(&mut other);
    let commit = async {
        let waits =
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'advisory'";
        while fixture.number(waits).await == 0 {}
        sqlx::raw_sql("COMMIT").execute(&mut one).await
    };
    let (gone, committed) = tokio::join!(gone, commit);
    committed.expect("the product is there");
    let refused = gone.expect_err("and so its vendor stays");
    assert_eq!(refused.as_database_error().and_then(|error| error.constraint()), Some("products_vendor_id_fkey"));
}
