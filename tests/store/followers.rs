//! What followers write: rows and cursors together, from where the cursors must stand, and no archive past them.

use crate::on_all_stores;
use crate::samples::{at, frame, order_id, uuid, vendor_id, write_all};
use haat::domain::ids::SkuId;
use haat::domain::rows::StockChangeRow;
use haat::domain::who::ByKind;
use haat::ports::{BeginFrom, CheckpointWrite, CursorMove, Made, Pass, SkippedRecord, Store, StoreError};

const NAME: &str = "stock_history";

fn change(version: u64, position: u32, delta: i64) -> StockChangeRow {
    StockChangeRow {
        vendor_id: vendor_id("one"),
        version,
        position,
        sku_id: SkuId::from_uuid(uuid("a cup")),
        at: at(version as i64),
        delta,
        reason: "গোনা হয়েছে".to_owned(),
        by: (delta > 0).then_some(ByKind::Staff),
        order_id: (delta < 0).then(|| order_id("first")),
    }
}

async fn pass(store: &Store, moves: &[CursorMove], changes: Vec<StockChangeRow>) -> Result<bool, StoreError> {
    let made = Made { stock_changes: changes, ..Made::default() };
    store.followers.pass(Pass { follower: NAME, moves, made: &made }).await
}

async fn places(store: &Store) -> Vec<u64> {
    store.followers.cursors(Some(NAME)).await.expect("cursors").into_iter().map(|cursor| cursor.seq).collect()
}

on_all_stores! {
    async fn what_a_follower_makes_moves_with_its_cursors(fixture) {
        let (store, owned) = fixture.open_and_take().await;
        assert_eq!(store.followers.cursors(None).await.expect("none yet"), []);
        let begun = store.followers.begin_follower(NAME, BeginFrom::First).await.expect("begun");
        assert_eq!(begun.len(), owned.len());
        assert!(begun.iter().all(|cursor| cursor.seq == 0 && cursor.follower == NAME));
        for ahead in 1..=4 {
            store.journal.append(&[frame(&owned[3], ahead, "few", b"")], &[]).await.expect("appended");
        }
        let end = owned[3].tail_seq + 2;
        assert!(pass(&store, &[(3, 0, end), (5, 0, 1)], vec![change(1, 0, 10), change(1, 1, -2)]).await.expect("written"));
        assert_eq!((places(&store).await[3], places(&store).await[5]), (end, 1));
        // Begun again it stands where it stood.
        assert_eq!(store.followers.begin_follower(NAME, BeginFrom::First).await.expect("it is there")[3].seq, end);
        // From elsewhere nothing is written, also where one of two cursors fits.
        assert!(!pass(&store, &[(3, end, end + 1), (5, 0, 1)], vec![change(2, 0, 1)]).await.expect("an answer"));
        assert!(!pass(&store, &[(3, 0, end)], vec![change(2, 0, 1)]).await.expect("an answer"));
        assert_eq!((places(&store).await[3], places(&store).await[5]), (end, 1));

        assert!(pass(&store, &[(3, end, end + 1)], vec![change(3, 0, -5)]).await.expect("written"));
        let sku = SkuId::from_uuid(uuid("a cup"));
        let all = store.queries.stock_changes(sku, None, 10).await.expect("changes");
        assert_eq!(all, [change(3, 0, -5), change(1, 1, -2), change(1, 0, 10)]);
        let page = store.queries.stock_changes(sku, Some((3, 0)), 1).await.expect("changes");
        assert_eq!(page, [change(1, 1, -2)]);
        let rest = store.queries.stock_changes(sku, Some((1, 1)), 5).await.expect("changes");
        assert_eq!(rest, [change(1, 0, 10)]);
        let nobodys = store.queries.stock_changes(SkuId::from_uuid(uuid("a plate")), None, 5).await;
        assert_eq!(nobodys.expect("changes"), []);
    }

    async fn an_archive_takes_no_frame_that_a_follower_has_not_read(fixture) {
        let (store, owned) = fixture.open_and_take().await;
        let home = &owned[3];
        for ahead in 1..=4 {
            store.journal.append(&[frame(home, ahead, "few", b"")], &[]).await.expect("appended");
        }
        let up_to = home.tail_seq + 2;
        let advance = [(home.id, home.tail_seq + 4)];
        let write = CheckpointWrite { owned: &owned, entities: &[], advance: &advance, remake: None };
        store.checkpoints.write(write).await.expect("a checkpoint");
        store.followers.begin_follower(NAME, BeginFrom::First).await.expect("begun");
        assert!(pass(&store, &[(3, 0, up_to - 1)], Vec::new()).await.expect("written"));
        let refused = store.journal.drop_frames(home.id, up_to).await.expect_err("it has not read them");
        assert!(matches!(refused, StoreError::Invalid(_)), "{refused}");
        assert!(pass(&store, &[(3, up_to - 1, up_to)], Vec::new()).await.expect("written"));
        assert_eq!(store.journal.drop_frames(home.id, up_to).await.expect("dropped"), up_to);
        // Who begins now begins behind what is gone.
        let late = store.followers.begin_follower("late", BeginFrom::First).await.expect("begun");
        assert_eq!(late[3].seq, up_to);
    }
}

crate::on_both_stores! {
    async fn a_row_is_made_once_or_not_at_all(fixture) {
        let (store, _) = fixture.open_and_take().await;
        store.followers.begin_follower(NAME, BeginFrom::First).await.expect("begun");
        assert!(pass(&store, &[(3, 0, 1)], vec![change(1, 0, 10)]).await.expect("written"));
        let twice = pass(&store, &[(3, 1, 2)], vec![change(2, 0, 1), change(1, 0, 10)]).await;
        assert!(twice.is_err(), "{twice:?}");
        assert_eq!(places(&store).await[3], 1);
        assert_eq!(fixture.number("SELECT count(*) FROM stock_changes").await, 1);
    }

    async fn what_cannot_be_read_is_listed_and_a_follower_that_is_gone_is_forgotten(fixture) {
        let (store, _) = fixture.open_and_take().await;
        store.followers.begin_follower(NAME, BeginFrom::First).await.expect("begun");
        let skipped = |version| SkippedRecord {
            entity: haat::domain::ids::EntityId::entity(vendor_id("one")),
            version,
            reason: "of no known kind".to_owned(),
        };
        let made = Made { skipped: vec![skipped(7), skipped(8)], ..Made::default() };
        let written = store.followers.pass(Pass { follower: NAME, moves: &[(3, 0, 9)], made: &made }).await;
        assert!(written.expect("written"));
        let counts = store.followers.skipped_records().await.expect("counts");
        assert_eq!(counts, [(NAME.to_owned(), haat::domain::ids::EntityId::entity(vendor_id("one")), 2)]);
        assert!(store.followers.forget_follower(NAME).await.expect("forgotten"));
        assert!(!store.followers.forget_follower(NAME).await.expect("an answer"));
        assert_eq!(store.followers.cursors(None).await.expect("cursors"), []);
    }

    /// A SKU's changes come to what is on hand, also where someone of an early version said of their own change what we say of the first.
    async fn the_changes_of_a_sku_are_summed_from_its_beginning(fixture) {
        let (store, _) = fixture.open_and_take().await;
        store.followers.begin_follower(NAME, BeginFrom::First).await.expect("begun");
        let added = |version, delta| StockChangeRow { reason: "added".to_owned(), by: None, ..change(version, 0, delta) };
        let plate = |version, delta| StockChangeRow { sku_id: SkuId::from_uuid(uuid("a plate")), ..change(version, 1, delta) };
        let changes = vec![added(1, 10), plate(1, 3), change(2, 0, -2), added(3, 5), change(4, 0, 100)];
        assert!(pass(&store, &[(3, 0, 1)], changes).await.expect("written"));
        let sums = store.followers.stock_sums(vendor_id("one"), 3).await.expect("sums");
        assert_eq!(sums, [(SkuId::from_uuid(uuid("a cup")), 13)], "of the plate the beginning is not known");
    }

    /// Many rows in one pass, with texts and empty columns.
    async fn a_pass_may_have_a_great_many_rows(fixture) {
        let (store, owned) = fixture.open_and_take().await;
        write_all(&store, &owned, &[]).await;
        store.followers.begin_follower(NAME, BeginFrom::First).await.expect("begun");
        let changes: Vec<StockChangeRow> = (1..=700).map(|version| change(version, 0, 1)).collect();
        assert!(pass(&store, &[(0, 0, 1)], changes.clone()).await.expect("written"));
        let sku = SkuId::from_uuid(uuid("a cup"));
        let mut all = store.queries.stock_changes(sku, None, 1_000).await.expect("changes");
        all.reverse();
        assert_eq!(all, changes);
    }
}
