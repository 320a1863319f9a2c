//! Checkpoints: never back, never another's, all of a transaction or nothing.

use crate::on_both_stores;
use crate::samples::{at, capture_order, captured, order_id, order_row, paid, part, vendor_id, write_all};
use haat::domain::entity::Part;
use haat::domain::ids::EntityId;
use haat::ports::{CheckpointWrite, OrdersOf, Partition, Store, StoreError};

async fn checkpoints(store: &Store) -> Vec<u64> {
    store.journal.partitions().await.expect("partitions").iter().map(|home| home.checkpoint_seq).collect()
}

async fn advance(store: &Store, owned: &[Partition], advance: &[(u16, u64)]) -> Result<(), StoreError> {
    store
        .checkpoints
        .write(CheckpointWrite { owned, entities: &[], advance })
        .await
        .map(|refused| assert_eq!(refused, []))
}

on_both_stores! {
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
        let entities = [captured(entity, 1, vec![part("", "{}")])];
        let write = CheckpointWrite { owned: &old, entities: &entities, advance: &[(2, 9)] };
        assert!(matches!(store.checkpoints.write(write).await, Err(StoreError::Fenced)));
        assert_eq!(store.snapshots.load(entity).await.expect("it loads"), None);
        assert_eq!(checkpoints(&store).await, [0; 16]);
        assert!(matches!(advance(&store, &old[..1], &[(1, 9)]).await, Err(StoreError::Fenced)), "not its own partition");
    }

    async fn the_lease_is_renewed_while_a_checkpoint_is_written(fixture) {
        let (store, owned) = fixture.open_and_take().await;
        let orders: Vec<_> =
            (0..1_000).map(|number| capture_order(1, order_row(&format!("{number}"), at(number)))).collect();
        let renewing = async {
            for _ in 0..20 {
                store.journal.renew(&owned, std::time::Duration::ZERO).await.expect("renewed");
                store.journal.partitions().await.expect("partitions");
            }
        };
        tokio::join!(write_all(&store, &owned, &orders), renewing);
        assert_eq!(fixture.number("SELECT count(*) FROM order_lines").await, 2_000);
    }

    async fn older_rows_are_passed_over(fixture) {
        let (store, owned) = fixture.open_and_take().await;
        let new = paid(order_row("one", at(1)));
        write_all(&store, &owned, &[capture_order(4, new.clone())]).await;
        write_all(&store, &owned, &[capture_order(2, order_row("one", at(1)))]).await;
        assert_eq!(store.queries.orders(OrdersOf::All, None, 10).await.expect("orders"), [new]);
    }

    async fn a_vendor_with_very_many_parts_is_written(fixture) {
        let (store, owned) = fixture.open_and_take().await;
        let shop = vendor_id("shop").entity();
        let hold = |number: usize| part(&format!("hold/{number:06}"), "{\"until\":1}");
        let mut parts: Vec<Part> = (0..30_000).map(hold).collect();
        parts.push(part("", "{}"));
        let small: Vec<_> = (0..3).map(|number| captured(order_id(&format!("{number}")).entity(), 1, vec![part("", "1")])).collect();
        write_all(&store, &owned, &[&small[..], &[captured(shop, 1, parts)]].concat()).await;
        let gone: Vec<Part> = (0..20_000).map(|number| Part { state: None, ..hold(number) }).chain([part("", "2")]).collect();
        write_all(&store, &owned, &[captured(shop, 2, gone)]).await;
        let snapshot = store.snapshots.load(shop).await.expect("it loads").expect("it is there");
        assert_eq!((snapshot.version, snapshot.parts.len()), (2, 10_001));
        assert_eq!(snapshot.parts[1].name, "hold/020000");
    }
}
