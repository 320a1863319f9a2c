//! Epochs fence, leases are waited for.

use crate::fixture::{Fixture, NO_LEASE, take};
use crate::on_all_stores;
use crate::samples::{at, frame, write};
use haat::limits;
use haat::ports::{CheckpointWrite, StoreError};
use std::time::Duration;
use tokio::time::timeout;

/// Long enough that no test sees it run out.
const LONG: Duration = Duration::from_secs(3600);

/// By the frames that stand in the way, or by the epochs.
fn is_refused(append: Result<(), StoreError>) -> bool {
    matches!(append, Err(StoreError::Collision | StoreError::Fenced))
}

on_all_stores! {
    async fn taking_raises_epochs_and_marks_them_in_the_journal(fixture) {
        let (store, first) = fixture.open_and_take().await;
        assert_eq!(first.iter().map(|taken| taken.id).collect::<Vec<_>>(), (0..limits::PARTITIONS).collect::<Vec<_>>());
        store.journal.append(&[frame(&first[4], 1, "one", b"x")], &[]).await.expect("a frame");
        let second = take(&store, "second").await;
        for (first, second) in first.iter().zip(&second) {
            assert_eq!(second.epoch, first.epoch + 1);
            let marks = store.journal.frames(second.id, second.tail_seq - 1, 1).await.expect("frames");
            assert_eq!((marks[0].seq, marks[0].epoch, marks[0].records), (second.tail_seq, second.epoch, 0));
            assert_eq!(marks[0].payload, b"");
            let busy = u64::from(first.id == 4);
            assert_eq!(second.tail_seq, first.tail_seq + busy + 1);
            // The mark is never older than what stands before it.
            assert_eq!(marks[0].at, if busy == 1 { at(10) } else { at(1) });
        }
        assert_eq!(store.journal.partitions().await.expect("partitions"), second);
    }

    async fn the_former_owner_is_fenced_everywhere(fixture) {
        let (store, old) = fixture.open_and_take().await;
        let new = take(&store, "new").await;
        for home in &old {
            assert!(is_refused(store.journal.append(&[frame(home, 1, "old", b"x")], &[]).await));
        }
        assert!(matches!(store.journal.renew(&old, LONG).await, Err(StoreError::Fenced)));
        assert!(matches!(write(&store, &old, &[]).await, Err(StoreError::Fenced)));
        // One stale term among good ones is enough.
        let mut mixed = new.clone();
        mixed[7] = old[7];
        assert!(matches!(store.journal.renew(&mixed, NO_LEASE).await, Err(StoreError::Fenced)));
        assert!(matches!(write(&store, &mixed, &[]).await, Err(StoreError::Fenced)));
        store.journal.release(&old).await.expect("does nothing");

        store.journal.renew(&new, NO_LEASE).await.expect("the new owner renews");
        store.journal.append(&[frame(&new[0], 1, "new", b"x")], &[]).await.expect("the new owner appends");
        assert_eq!(write(&store, &new, &[]).await.expect("the new owner writes checkpoints"), []);
    }

    async fn a_taker_wins_against_an_owner_that_goes_on_appending(fixture) {
        let (store, old) = fixture.open_and_take().await;
        let journal = store.journal.clone();
        let owner = tokio::spawn(async move {
            for ahead in 1.. {
                let batch: Vec<_> = old.iter().map(|home| frame(home, ahead, &format!("{ahead}"), b"x")).collect();
                match journal.append(&batch, &[]).await {
                    Ok(()) => {}
                    Err(error) => return (ahead - 1, error),
                }
            }
            unreachable!("the owner appends until it is fenced")
        });
        let new = take(&store, "new").await;
        let (appended, error) = owner.await.expect("the owner does not panic");
        assert!(matches!(error, StoreError::Collision | StoreError::Fenced), "{error}");
        // Its last batch that was accepted stands before the mark of the new term in every partition.
        for taken in &new {
            assert!(taken.tail_seq > appended + 1, "{taken:?}, {appended}");
        }
        let batch: Vec<_> = new.iter().map(|home| frame(home, 1, "new", b"x")).collect();
        store.journal.append(&batch, &[]).await.expect("the new owner appends");
    }
}

/// The events in the order in which they must come: the mark of the new term while the lease still runs, the return of the call only
/// after its end.
#[tokio::test]
async fn on_postgres_a_taker_fences_at_once_and_waits_for_the_lease() {
    let fixture = crate::fixture::Fixture::postgres().await;
    let store = fixture.open().await;
    let old = store.journal.acquire("old", LONG, at(1)).await.expect("nobody had it");
    store.journal.renew(&old, LONG).await.expect("renewed");

    let journal = store.journal.clone();
    let mut taking = tokio::spawn(async move { journal.acquire("new", NO_LEASE, at(2)).await });
    timeout(Duration::from_secs(30), async {
        while store.journal.partitions().await.expect("partitions")[15].tail_seq == old[15].tail_seq {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
    .expect("the new term is marked long before the lease ends");
    assert!(is_refused(store.journal.append(&[frame(&old[0], 1, "old", b"x")], &[]).await));
    assert!(timeout(Duration::from_millis(100), &mut taking).await.is_err(), "the lease still runs");
    taking.abort();

    // The lease of the one that gave up is none, but the first owner's still runs: the next waits for that.
    let journal = store.journal.clone();
    let mut again = tokio::spawn(async move { journal.acquire("third", NO_LEASE, at(3)).await });
    assert!(timeout(Duration::from_millis(300), &mut again).await.is_err(), "the first lease still runs");
    again.abort();
}

#[tokio::test]
async fn on_postgres_a_short_lease_is_waited_out_by_the_clock_of_the_database() {
    let fixture = crate::fixture::Fixture::postgres().await;
    let store = fixture.open().await;
    // Beside a moment that is noted before: by now it may be over, on a machine that stood still.
    fixture.execute("CREATE TABLE begun AS SELECT clock_timestamp() AS at").await.expect("noted");
    store.journal.acquire("old", Duration::from_millis(700), at(1)).await.expect("taken");
    let granted = "SELECT count(*) FROM partition, begun
        WHERE owner = 'old' AND owner_until >= begun.at + interval '700 milliseconds'";
    assert_eq!(fixture.number(granted).await, 16);
    fixture.execute("CREATE TABLE noted AS SELECT max(owner_until) AS until FROM partition").await.expect("noted");
    store.journal.acquire("new", NO_LEASE, at(2)).await.expect("taken");
    let over = "SELECT count(*) FROM noted WHERE until <= clock_timestamp()";
    assert_eq!(fixture.number(over).await, 1);
}

on_all_stores! {
    async fn a_released_store_is_taken_without_a_wait(fixture) {
        let store = fixture.open().await;
        let old = store.journal.acquire("old", LONG, at(1)).await.expect("taken");
        store.journal.release(&old).await.expect("released");
        timeout(Duration::from_secs(30), take(&store, "new")).await.expect("no wait");
    }
}

/// A server that slept through everything: its successor's frames, which would have stood in its way, are in an archive. The embedded store
/// has a lock on its directory instead.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_postgres_a_former_owner_appends_nothing_where_frames_were_dropped() {
    let fixture = Fixture::postgres().await;
    let (store, slept) = fixture.open_and_take().await;
    let taken = take(&store, "successor").await;
    let home = &taken[3];
    for ahead in 1..=5 {
        store.journal.append(&[frame(home, ahead, "theirs", b"theirs")], &[]).await.expect("a frame");
    }
    let advance = [(home.id, home.tail_seq + 5)];
    let checkpoint = CheckpointWrite { owned: &taken, entities: &[], advance: &advance, remake: None };
    store.checkpoints.write(checkpoint).await.expect("a checkpoint");
    store.journal.drop_frames(home.id, home.tail_seq + 4).await.expect("dropped");
    let late = store.journal.append(&[frame(&slept[3], 1, "late", b"late")], &[]).await;
    assert!(matches!(late, Err(StoreError::Fenced)), "{late:?}");
    let left = store.journal.frames(home.id, 0, 1 << 20).await.expect("frames");
    assert_eq!(left.iter().map(|frame| frame.seq).collect::<Vec<_>>(), [home.tail_seq + 5]);
}

/// A renewal, a release and the end of a checkpoint take the partitions in the same order: none of them can be ended for another's sake.
#[tokio::test]
async fn on_postgres_all_lock_partitions_in_the_same_order() {
    let fixture = Fixture::postgres().await;
    let (store, owned) = fixture.open_and_take().await;
    let mut hand = fixture.connection().await;
    let advance: Vec<(u16, u64)> = owned.iter().map(|home| (home.id, 0)).collect();
    for _ in 0..10 {
        store.journal.renew(&owned, NO_LEASE).await.expect("renewed");
        store.journal.release(&owned).await.expect("released");
        let write = CheckpointWrite { owned: &owned, entities: &[], advance: &advance, remake: None };
        store.checkpoints.write(write).await.expect("advanced");
    }
    // Where they lie in the table says nothing of their order.
    let reversed = "
        CREATE TABLE kept AS SELECT * FROM partition; TRUNCATE partition;
        INSERT INTO partition SELECT * FROM kept ORDER BY id DESC; ANALYZE partition";
    fixture.execute(reversed).await.expect("the last is the first");
    for what in 0..3 {
        sqlx::raw_sql("BEGIN; SELECT FROM partition WHERE id = 0 FOR NO KEY UPDATE")
            .execute(&mut hand)
            .await
            .expect("held");
        let (journal, checkpoints) = (store.journal.clone(), store.checkpoints.clone());
        let (owned, advance) = (owned.clone(), advance.clone());
        let waits = tokio::spawn(async move {
            match what {
                0 => journal.renew(&owned, NO_LEASE).await.map(drop),
                1 => journal.release(&owned).await,
                _ => {
                    let write = CheckpointWrite { owned: &owned, entities: &[], advance: &advance, remake: None };
                    checkpoints.write(write).await.map(drop)
                }
            }
        });
        let waiting =
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
        while fixture.number(waiting).await == 0 {}
        let last = "SELECT FROM partition WHERE id = 15 FOR NO KEY UPDATE NOWAIT; COMMIT";
        sqlx::raw_sql(last).execute(&mut hand).await.expect("nobody holds the last one who waits for the first");
        waits.await.expect("it ends").expect("it is granted");
    }
}

/// Earlier versions renew and release in whatever order the rows lie: whoever takes the store over from one may be ended for its sake, and goes on.
#[tokio::test]
async fn on_postgres_a_taker_goes_on_that_was_locked_out_by_an_owner_with_another_order() {
    let fixture = Fixture::postgres().await;
    let (store, old) = fixture.open_and_take().await;
    let mut hand = fixture.connection().await;
    let lock = async |hand: &mut _, id: i16| {
        let lock = "UPDATE partition SET owner_until = owner_until WHERE id = $1";
        sqlx::query(lock).bind(id).execute(hand).await
    };
    sqlx::raw_sql("BEGIN").execute(&mut hand).await.expect("begun");
    lock(&mut hand, 15).await.expect("nobody has it");
    let journal = store.journal.clone();
    let taking = tokio::spawn(async move { journal.acquire("new", NO_LEASE, at(2)).await });
    let waiting =
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    while fixture.number(waiting).await == 0 {}
    // Whoever has waited for a second is ended: the taker, unless this comes that late.
    let _ = lock(&mut hand, 0).await;
    sqlx::raw_sql("COMMIT").execute(&mut hand).await.expect("it ends");
    let taken = taking.await.expect("it does not panic").expect("it goes on");
    assert_eq!(taken[0].epoch, old[0].epoch + 1);
}
