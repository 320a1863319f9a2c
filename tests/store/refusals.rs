//! Constraints of the read tables single out the entity that breaks them; everything else is written.

use crate::on_both_stores;
use crate::samples::{at, capture_order, capture_vendor, order_row, vendor_rows, write, write_all};
use haat::domain::order::OrderStatus;
use haat::domain::rows::OrderRow;
use haat::ports::{Captured, CheckpointWrite, OrdersOf};

fn spoiled(seed: &str, spoil: fn(&mut OrderRow)) -> Captured {
    let mut row = order_row(seed, at(5));
    spoil(&mut row);
    capture_order(1, row)
}

/// Every way in which an order can be wrong that the tables know of, and what is said about it.
fn wrong_orders() -> Vec<(Captured, &'static str)> {
    vec![
        (spoiled("due", |order| order.total_due = 1), "total_due_adds_up"),
        (spoiled("negative due", |order| (order.paid, order.total_due) = (500, -50)), "total_due_not_negative"),
        (spoiled("refunded", |order| (order.refunded, order.total_due) = (1, 451)), "refunded"),
        (spoiled("ended", |order| order.status = OrderStatus::Expired), "nothing_due_at_the_end"),
        (spoiled("unpaid", |order| order.status = OrderStatus::Paid), "nothing_due_at_the_end"),
        (spoiled("lines", |order| (order.lines[0].quantity, order.lines[0].line_total) = (1, 150)), "lines 300"),
        (
            spoiled("a line too many", |order| {
                let line = haat::domain::rows::OrderLineRow {
                    sku_id: haat::domain::ids::SkuId::from_uuid(crate::samples::uuid("x")),
                    ..order.lines[0].clone()
                };
                order.lines.push(line);
            }),
            "lines 750",
        ),
        (spoiled("shares", |order| order.sub_orders[0].total = 299), "shares 449"),
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
            let mut orders: Vec<Captured> = (0..20)
                .map(|number| capture_order(1, order_row(&format!("{position}/{number}"), at(number))))
                .collect();
            orders.insert(position, wrong.clone());
            let refused = write(&store, &owned, &orders).await.expect("the rest is written");
            assert_eq!(refused.len(), 1, "{says}: {refused:?}");
            assert_eq!(refused[0].entity, wrong.entity);
            assert!(refused[0].reason.to_lowercase().contains(says), "{says}: {}", refused[0].reason);
            assert!(store.snapshots.load(wrong.entity).await.expect("it loads").is_some(), "its snapshot is written");
        }
        let wrong = wrong_orders().len();
        let written = store.queries.orders(OrdersOf::All, None, 1_000).await.expect("orders");
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
        let mut captures = vec![capture_vendor(1, vendor_rows("sound", "Cup", at(1)))];
        for (number, spoil) in spoils.into_iter().enumerate() {
            let mut rows = vendor_rows(&format!("{number}"), "Cup", at(1));
            spoil(&mut rows.skus[1]);
            captures.push(capture_vendor(1, rows));
        }
        let refused = write(&store, &owned, &captures).await.expect("the rest is written");
        let entities: Vec<_> = refused.iter().map(|refused| refused.entity).collect();
        assert_eq!(entities, captures[1..].iter().map(|captured| captured.entity).collect::<Vec<_>>());
        let mut sound = captures[0].rows.clone();
        sound.skus.sort_by_key(|sku| sku.id);
        assert_eq!(store.queries.catalog().await.expect("the catalog"), sound);
    }

    async fn an_orphaned_sku_is_refused(fixture) {
        let (store, owned) = fixture.open_and_take().await;
        let mut rows = vendor_rows("one", "Cup", at(1));
        rows.products.clear();
        let refused = write(&store, &owned, &[capture_vendor(1, rows)]).await.expect("it goes on");
        assert_eq!(refused.len(), 1);
        assert_eq!(fixture.number("SELECT count(*) FROM vendors").await, 0, "all rows of an entity or none");
    }

    async fn rows_that_are_sound_again_end_the_refusal(fixture) {
        let (store, owned) = fixture.open_and_take().await;
        let first = order_row("one", at(1));
        write_all(&store, &owned, &[capture_order(1, first.clone())]).await;
        let mut wrong = crate::samples::paid(first.clone());
        wrong.lines[0].unit_price += 1;
        wrong.lines[0].line_total += 2;
        assert_eq!(write(&store, &owned, &[capture_order(2, wrong)]).await.expect("it goes on").len(), 1);
        assert_eq!(store.queries.orders(OrdersOf::All, None, 9).await.expect("orders"), std::slice::from_ref(&first));
        assert_eq!(fixture.number("SELECT version FROM refused_rows").await, 2);
        write_all(&store, &owned, &[capture_order(1, first.clone())]).await;
        assert_eq!(fixture.number("SELECT count(*) FROM refused_rows").await, 1, "older rows mend nothing");
        let mended = crate::samples::paid(first);
        write_all(&store, &owned, &[capture_order(3, mended.clone())]).await;
        assert_eq!(fixture.number("SELECT count(*) FROM refused_rows").await, 0);
        assert_eq!(store.queries.orders(OrdersOf::All, None, 9).await.expect("orders"), [mended]);
    }

    /// A vendor gives only the rows that have changed. Those that were refused are still missing when others are sound: it is told to give
    /// all of them, and only then the mark goes.
    async fn a_refusal_ends_only_with_all_rows(fixture) {
        let (store, owned) = fixture.open_and_take().await;
        let rows = vendor_rows("one", "Cup", at(1));
        let mut wrong = rows.clone();
        wrong.skus[0].on_hand = -1;
        let entity = capture_vendor(1, rows.clone()).entity;
        assert_eq!(write(&store, &owned, &[capture_vendor(1, wrong)]).await.expect("it goes on").len(), 1);
        let mut changed = rows.clone();
        changed.products.clear();
        changed.skus.clear();
        for (version, rows, whole) in [(2, changed, false), (3, rows.clone(), true)] {
            let captured = Captured { whole, ..capture_vendor(version, rows) };
            let write = CheckpointWrite { owned: &owned, entities: &[captured], advance: &[] };
            let written = store.checkpoints.write(write).await.expect("it is written");
            assert_eq!(written.refused, []);
            assert_eq!(written.incomplete, if whole { vec![] } else { vec![entity] });
            let marked = fixture.number("SELECT count(*) FROM refused_rows").await;
            assert_eq!(marked, i64::from(!whole), "version {version}");
        }
        assert_eq!(store.queries.catalog().await.expect("the catalog"), rows);
    }
}

#[tokio::test]
async fn on_postgres_rows_changed_by_hand_are_checked_too() {
    let fixture = crate::fixture::Fixture::postgres().await;
    let (store, owned) = fixture.open_and_take().await;
    write_all(&store, &owned, &[capture_order(1, order_row("one", at(1)))]).await;
    for wrong in [
        "UPDATE orders SET total = 451, total_due = 451",
        "UPDATE order_lines SET quantity = 5, line_total = 5 * unit_price",
        "UPDATE sub_orders SET total = 0",
        "DELETE FROM order_lines",
        "DELETE FROM sub_orders",
        "INSERT INTO order_lines SELECT order_id, gen_random_uuid(), vendor_id, 9, title, 1, 1, currency, 1, 1 FROM order_lines LIMIT 1",
    ] {
        assert!(fixture.execute(wrong).await.is_err(), "{wrong}");
    }
    fixture.execute("UPDATE order_lines SET title = 'Bowl'").await.expect("a change that adds up");
}
