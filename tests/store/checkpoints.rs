//! Checkpoints: never back, never another's, all of a transaction or nothing.

use crate::samples::{at, delta, order_delta, order_id, order_row, paid, part, vendor_id, write_all};
use crate::{on_all_stores, on_both_stores};
use haat::domain::entity::Part;
use haat::domain::ids::EntityId;
use haat::domain::order::OrderFilter;
use haat::ports::{CheckpointWrite, EntityDelta, OrdersOf, Partition, Store, StoreError};
use sqlx::Connection;
use std::time::Duration;
use tokio::time::timeout;

/// Longer than any of this takes, shorter than anyone waits.
const PATIENCE: Duration = Duration::from_secs(8);

async fn checkpoints(store: &Store) -> Vec<u64> {
    store.journal.partitions().await.expect("partitions").iter().map(|home| home.checkpoint_seq).collect()
}

async fn advance(store: &Store, owned: &[Partition], advance: &[(u16, u64)]) -> Result<(), StoreError> {
    store
        .checkpoints
        .write(CheckpointWrite { owned, entities: &[], advance, remake: None })
        .await
        .map(|written| assert_eq!(written.refused, []))
}

on_all_stores! {
    async fn a_checkpoint_never_goes_back(fixture) {
        let (store, owned) = fixture.open_and_take().await;
        assert_eq!(checkpoints(&store).await, [0; 16]);
        advance(&store, &owned, &[(0, 5), (3, 7)]).await.expect("forward");
        advance(&store, &owned, &[(0, 4), (3, 8), (15, 1)]).await.expect("forward where it is");
        let mut expected = [0; 16];
        (expected[0], expected[3], expected[15]) = (5, 8, 1);
        assert_eq!(checkpoints(&store).await, expected);
    }

    async fn a_fenced_checkpoint_writes_nothing(fixture) {
        let (store, old) = fixture.open_and_take().await;
        crate::fixture::take(&store, "new").await;
        let entity = order_id("one").entity();
        let entities = [delta(entity, 1, vec![part("", "{}")])];
        let write = CheckpointWrite { owned: &old, entities: &entities, advance: &[(2, 9)], remake: None };
        assert!(matches!(store.checkpoints.write(write).await, Err(StoreError::Fenced)));
        assert_eq!(store.snapshots.load(entity).await.expect("it loads"), None);
        assert_eq!(checkpoints(&store).await, [0; 16]);
        assert!(matches!(advance(&store, &old[..1], &[(1, 9)]).await, Err(StoreError::Fenced)), "not its own partition");
    }

    /// It is a hint: of what is there already nothing is lost, nothing goes back, and nothing is refused.
    async fn what_is_taken_for_new_and_is_not_is_written_all_the_same(fixture) {
        let (store, owned) = fixture.open_and_take().await;
        let fresh = |delta: EntityDelta| EntityDelta { fresh: true, ..delta };
        let (one, other, third) = (order_row("one", at(1)), order_row("other", at(2)), order_row("third", at(3)));
        write_all(&store, &owned, &[order_delta(1, one.clone()), order_delta(3, paid(other.clone()))]).await;
        let mut older = order_delta(2, other.clone());
        older.parts.push(part("older", "{}"));
        let newer = EntityDelta { parts: vec![part("", "newer")], ..order_delta(2, paid(one.clone())) };
        let all = [fresh(newer), fresh(older), fresh(order_delta(1, third.clone()))];
        write_all(&store, &owned, &all).await;
        // The very same once more, as after a write whose outcome is unknown.
        write_all(&store, &owned, &all).await;
        let written = store.queries.orders(OrdersOf::All, &OrderFilter::ANY, None, 9).await.expect("orders");
        assert_eq!(written, [third, paid(other.clone()), paid(one.clone())]);
        let loaded = store.snapshots.load(one.id.entity()).await.expect("it loads").expect("it is there");
        assert_eq!((loaded.version, loaded.parts), (2, vec![part("", "newer")]));
        let loaded = store.snapshots.load(other.id.entity()).await.expect("it loads").expect("it is there");
        assert_eq!((loaded.version, loaded.parts.len()), (3, 1), "of what is older nothing is added");
    }

    async fn the_lease_is_renewed_while_a_checkpoint_is_written(fixture) {
        let (store, owned) = fixture.open_and_take().await;
        let orders: Vec<_> =
            (0..1_000).map(|number| order_delta(1, order_row(&format!("{number}"), at(number)))).collect();
        let renewing = async {
            for _ in 0..20 {
                store.journal.renew(&owned, std::time::Duration::ZERO).await.expect("renewed");
                store.journal.partitions().await.expect("partitions");
            }
        };
        tokio::join!(write_all(&store, &owned, &orders), renewing);
        let orders = store.queries.orders(OrdersOf::All, &OrderFilter::ANY, None, 2_000).await.expect("orders");
        assert_eq!((orders.len(), orders.iter().map(|order| order.lines.len()).sum::<usize>()), (1_000, 2_000));
    }

    async fn older_rows_are_passed_over(fixture) {
        let (store, owned) = fixture.open_and_take().await;
        let new = paid(order_row("one", at(1)));
        write_all(&store, &owned, &[order_delta(4, new.clone())]).await;
        write_all(&store, &owned, &[order_delta(2, order_row("one", at(1)))]).await;
        assert_eq!(store.queries.orders(OrdersOf::All, &OrderFilter::ANY, None, 10).await.expect("orders"), [new]);
    }

    async fn a_vendor_with_very_many_parts_is_written(fixture) {
        let (store, owned) = fixture.open_and_take().await;
        let shop = vendor_id("shop").entity();
        let hold = |number: usize| part(&format!("hold/{number:06}"), "{\"until\":1}");
        let mut parts: Vec<Part> = (0..30_000).map(hold).collect();
        parts.push(part("", "{}"));
        let small: Vec<_> = (0..3).map(|number| delta(order_id(&format!("{number}")).entity(), 1, vec![part("", "1")])).collect();
        write_all(&store, &owned, &[&small[..], &[delta(shop, 1, parts)]].concat()).await;
        let gone: Vec<Part> = (0..20_000).map(|number| Part { state: None, ..hold(number) }).chain([part("", "2")]).collect();
        write_all(&store, &owned, &[delta(shop, 2, gone)]).await;
        let snapshot = store.snapshots.load(shop).await.expect("it loads").expect("it is there");
        assert_eq!((snapshot.version, snapshot.parts.len()), (2, 10_001));
        assert_eq!(snapshot.parts[1].name, "hold/020000");
    }
}

// What is done to the tables, or refused by them: the simulation has none.
on_both_stores! {
    /// A key given twice among new rows is refused as ever, and its entity alone.
    async fn a_new_order_with_a_share_too_many_is_singled_out(fixture) {
        let (store, owned) = fixture.open_and_take().await;
        let mut wrong = order_row("wrong", at(9));
        let mut twice = wrong.sub_orders[0].clone();
        twice.id = haat::domain::ids::SubOrderId::from_uuid(crate::samples::uuid("twice"));
        twice.amounts = haat::domain::order::Amounts::default();
        wrong.sub_orders.push(twice);
        let mut all: Vec<EntityDelta> =
            (0..20).map(|number| order_delta(1, order_row(&format!("{number}"), at(number)))).collect();
        all.insert(7, order_delta(1, wrong.clone()));
        all.iter_mut().for_each(|delta| delta.fresh = true);
        let refused = crate::samples::write(&store, &owned, &all).await.expect("the rest is written");
        assert_eq!(refused.iter().map(|refused| refused.entity).collect::<Vec<_>>(), [wrong.id.entity()]);
        assert_eq!(store.queries.orders(OrdersOf::All, &OrderFilter::ANY, None, 99).await.expect("orders").len(), 20);
        assert!(store.snapshots.load(wrong.id.entity()).await.expect("it loads").is_some());
    }

    /// Only the snapshot, or only the rows, are there already.
    async fn what_is_there_in_part_is_written_whole(fixture) {
        let (store, owned) = fixture.open_and_take().await;
        let (one, other) = (order_row("one", at(1)), order_row("other", at(2)));
        write_all(&store, &owned, &[delta(one.id.entity(), 1, vec![part("", "{}")])]).await;
        write_all(&store, &owned, &[order_delta(1, other.clone())]).await;
        fixture.execute("DELETE FROM snapshot WHERE version = 1 AND entity IN (SELECT id FROM orders)").await.expect("gone");
        let fresh = [one.clone(), other.clone()].map(|row| EntityDelta { fresh: true, ..order_delta(2, paid(row)) });
        write_all(&store, &owned, &fresh).await;
        let written = store.queries.orders(OrdersOf::All, &OrderFilter::ANY, None, 9).await.expect("orders");
        assert_eq!(written, [paid(other.clone()), paid(one.clone())]);
        for row in [one, other] {
            let loaded = store.snapshots.load(row.id.entity()).await.expect("it loads").expect("it is there");
            assert_eq!(loaded.version, 2);
        }
    }
}

/// A checkpoint that takes long, here because somebody holds a row it wants, keeps a new owner out, but not its own lease from being
/// renewed.
#[tokio::test]
async fn on_postgres_a_long_checkpoint_keeps_takers_out_and_lets_the_lease_be_renewed() {
    let fixture = crate::fixture::Fixture::postgres().await;
    let (store, owned) = fixture.open_and_take().await;
    write_all(&store, &owned, &[order_delta(1, order_row("one", at(1)))]).await;
    let mut somebody = fixture.connection().await;
    let mut holding = somebody.begin().await.expect("a transaction");
    sqlx::query("SELECT id FROM orders FOR UPDATE").execute(&mut *holding).await.expect("the row is held");

    let waiting = |count: i64| {
        let fixture = &fixture;
        let sql =
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
        async move {
            while fixture.number(sql).await != count {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
    };
    let (writer, terms) = (store.clone(), owned.clone());
    let checkpoint = tokio::spawn(async move {
        write_all(&writer, &terms, &[order_delta(2, paid(order_row("one", at(1))))]).await;
    });
    timeout(PATIENCE, waiting(1)).await.expect("the checkpoint waits for the row");
    let renewal = store.journal.renew(&owned, Duration::ZERO);
    timeout(PATIENCE, renewal).await.expect("without a wait").expect("renewed");
    let taker = store.clone();
    let taking = tokio::spawn(async move { crate::fixture::take(&taker, "new").await });
    timeout(PATIENCE, waiting(2)).await.expect("the taker waits for the checkpoint");
    assert_eq!(store.journal.partitions().await.expect("partitions"), owned);

    holding.rollback().await.expect("the row is let go");
    timeout(PATIENCE, checkpoint).await.expect("the checkpoint ends").expect("it was written");
    let new = timeout(PATIENCE, taking).await.expect("the taker takes").expect("it does not panic");
    assert_eq!(new[0].epoch, owned[0].epoch + 1);
}
