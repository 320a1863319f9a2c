//! The log: dense, ordered, all or nothing.

use crate::on_all_stores;
use crate::samples::{at, frame};
use haat::domain::ids::EntityId;
use haat::ports::{CheckpointWrite, Codec, Committed, StoreError};

on_all_stores! {
    async fn what_is_appended_is_read_back_in_order(fixture) {
        let (store, taken) = fixture.open_and_take().await;
        let (first, second) = (&taken[0], &taken[5]);
        let batch = [frame(second, 1, "one", b"b1"), frame(first, 1, "one", &[0, 255, 10, 39])];
        store.journal.append(&batch, &[]).await.expect("the first batch");
        let mut plain = frame(first, 2, "two", b"");
        (plain.codec, plain.records, plain.at) = (Codec::Plain, u32::try_from(i32::MAX).expect("it fits"), at(-1));
        store.journal.append(std::slice::from_ref(&plain), &[]).await.expect("the second batch");

        let read = store.journal.frames(first.id, first.tail_seq, 1 << 20).await.expect("frames");
        assert_eq!(read, [batch[1].clone(), plain]);
        assert_eq!(store.journal.frames(second.id, second.tail_seq, 1 << 20).await.expect("frames"), [batch[0].clone()]);
        assert_eq!(store.journal.frames(taken[1].id, taken[1].tail_seq, 1 << 20).await.expect("frames"), []);
        let partitions = store.journal.partitions().await.expect("partitions");
        assert_eq!(partitions[0].tail_seq, first.tail_seq + 2);
        assert_eq!(partitions[1], taken[1]);
    }

    async fn frames_come_in_pages_of_about_so_many_bytes(fixture) {
        let (store, taken) = fixture.open_and_take().await;
        let home = &taken[3];
        for ahead in 1..=10 {
            store.journal.append(&[frame(home, ahead, &format!("{ahead}"), &[7; 100])], &[]).await.expect("a frame");
        }
        let (mut after, mut sizes) = (home.tail_seq, Vec::new());
        loop {
            let page = store.journal.frames(home.id, after, 250).await.expect("a page");
            let Some(last) = page.last() else { break };
            let seqs: Vec<u64> = page.iter().map(|frame| frame.seq).collect();
            assert_eq!(seqs, (after + 1..=last.seq).collect::<Vec<_>>());
            after = last.seq;
            sizes.push(page.len());
        }
        assert_eq!(after, home.tail_seq + 10);
        assert_eq!(sizes, [3, 3, 3, 1]);
        assert_eq!(store.journal.frames(home.id, home.tail_seq, 0).await.expect("a page").len(), 1, "at least one frame");
        assert_eq!(store.journal.frames(home.id, 0, usize::MAX).await.expect("a page").len(), 11, "with the epoch's own");
    }

    /// And the note of it comes before the first frame goes: a tail is never lost, and no server needs what is gone.
    async fn frames_are_dropped_below_the_checkpoint_and_never_the_newest(fixture) {
        let (store, taken) = fixture.open_and_take().await;
        let home = &taken[3];
        for ahead in 1..=2_500 {
            store.journal.append(&[frame(home, ahead, "x", b"x")], &[]).await.expect("a frame");
        }
        let tail = home.tail_seq + 2_500;
        let drop = async |up_to| store.journal.drop_frames(home.id, up_to).await;
        assert!(matches!(drop(1).await, Err(StoreError::Invalid(_))), "no checkpoint holds it");
        let advance = [(home.id, tail)];
        let checkpoint = CheckpointWrite { owned: &taken, entities: &[], advance: &advance, remake: None };
        store.checkpoints.write(checkpoint).await.expect("a checkpoint");
        assert!(matches!(drop(tail).await, Err(StoreError::Invalid(_))), "it is the newest");
        assert_eq!(drop(tail - 1).await.expect("dropped"), tail - 1);
        assert_eq!(drop(tail - 1).await.expect("dropped already"), 0);
        assert!(matches!(drop(tail - 2).await, Err(StoreError::Invalid(_))), "the note never goes back");
        let left = store.journal.frames(home.id, 0, usize::MAX).await.expect("frames");
        assert_eq!(left.iter().map(|frame| frame.seq).collect::<Vec<_>>(), [tail]);
        let heads = store.journal.partitions().await.expect("partitions");
        assert_eq!((heads[3].base_seq, heads[3].tail_seq), (tail - 1, tail));
        assert_eq!((heads[2].base_seq, heads[2].tail_seq), (0, taken[2].tail_seq));
        store.journal.append(&[frame(home, 2_501, "y", b"y")], &[]).await.expect("the next frame");
    }

    async fn a_batch_that_collides_writes_nothing(fixture) {
        let (store, taken) = fixture.open_and_take().await;
        store.journal.append(&[frame(&taken[2], 1, "theirs", b"theirs")], &[]).await.expect("theirs");
        let ours = [frame(&taken[1], 1, "ours", b"ours"), frame(&taken[2], 1, "ours", b"ours")];
        assert!(matches!(store.journal.append(&ours, &[]).await, Err(StoreError::Collision)));
        assert_eq!(store.journal.frames(1, taken[1].tail_seq, 100).await.expect("frames"), []);
        // After a collision the same connection goes on.
        store.journal.append(&ours[..1], &[]).await.expect("a free place");
    }

    async fn a_batch_of_unknown_outcome_is_found_or_not(fixture) {
        let (store, taken) = fixture.open_and_take().await;
        let ours = [frame(&taken[1], 1, "ours", b"ours"), frame(&taken[2], 1, "ours", b"ours")];
        assert_eq!(store.journal.committed(&ours).await.expect("an answer"), Committed::Nothing);
        store.journal.append(&ours, &[]).await.expect("ours");
        assert_eq!(store.journal.committed(&ours).await.expect("an answer"), Committed::All);
        assert!(matches!(store.journal.append(&ours, &[]).await, Err(StoreError::Collision)), "it cannot land twice");
        let theirs = [frame(&taken[2], 1, "theirs", b"ours"), frame(&taken[3], 1, "theirs", b"ours")];
        assert_eq!(store.journal.committed(&theirs).await.expect("an answer"), Committed::Conflicting);
    }

    async fn a_full_batch_is_appended(fixture) {
        let (store, taken) = fixture.open_and_take().await;
        let payload: Vec<u8> = (0..512 * 1024u32).map(|byte| (byte % 251) as u8).collect();
        let batch: Vec<_> = taken.iter().map(|home| frame(home, 1, "full", &payload)).collect();
        store.journal.append(&batch, &[]).await.expect("8 MiB in 16 frames");
        assert_eq!(store.journal.committed(&batch).await.expect("an answer"), Committed::All);
        assert_eq!(store.journal.frames(15, taken[15].tail_seq, 1).await.expect("frames"), [batch[15].clone()]);
    }
}

/// Whoever reads holds all connections for reading, and the commit path goes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_postgres_the_outcome_of_an_append_waits_for_no_reader() {
    let fixture = crate::fixture::Fixture::postgres().await;
    let (store, taken) = fixture.open_and_take().await;
    let mut lock = fixture.connection().await;
    sqlx::raw_sql("BEGIN; LOCK TABLE snapshot IN ACCESS EXCLUSIVE MODE").execute(&mut lock).await.expect("locked");
    let readers: Vec<_> = (0..fixture.config().options.read_connections)
        .map(|_| {
            let snapshots = store.snapshots.clone();
            tokio::spawn(async move { snapshots.load(crate::samples::order_id("one").entity()).await })
        })
        .collect();
    let waiting =
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    while usize::try_from(fixture.number(waiting).await) != Ok(readers.len()) {}
    let ours = [frame(&taken[1], 1, "ours", b"ours")];
    store.journal.append(&ours, &[]).await.expect("appended");
    assert!(matches!(store.journal.append(&ours, &[]).await, Err(StoreError::Collision)));
    assert_eq!(store.journal.committed(&ours).await.expect("an answer"), Committed::All);
    store.journal.renew(&taken, std::time::Duration::ZERO).await.expect("renewed");
    sqlx::raw_sql("COMMIT").execute(&mut lock).await.expect("let go");
    for reader in readers {
        assert_eq!(reader.await.expect("it ends").expect("it loads"), None);
    }
}
