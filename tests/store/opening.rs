//! Opening: by whom, in which version, and what is there afterwards.

use crate::fixture::Fixture;
use crate::on_both_stores;
use crate::samples::{at, frame, order_delta, order_row, write_all};
use haat::domain::order::OrderFilter;
use haat::persistence::{self, Mode, Options, Place, StoreConfig};
use haat::ports::{CheckpointWrite, OrdersOf, StoreError};

async fn refusal(fixture: &Fixture, mode: Mode) -> String {
    match fixture.try_open(mode).await {
        Err(StoreError::Invalid(reason)) => reason,
        Err(other) => panic!("another error: {other}"),
        Ok(_) => panic!("it opened"),
    }
}

on_both_stores! {
    async fn everything_is_there_after_a_restart(fixture) {
        let (store, owned) = fixture.open_and_take().await;
        let row = order_row("one", at(1));
        let batch = [frame(&owned[0], 1, "one", b"x"), frame(&owned[9], 1, "one", b"y")];
        store.journal.append(&batch, &[]).await.expect("appended");
        let entities = [order_delta(1, row.clone())];
        let advance = [(0, owned[0].tail_seq + 1)];
        store.checkpoints.write(CheckpointWrite { owned: &owned, entities: &entities, advance: &advance, remake: None }).await.expect("written");
        let before = store.journal.partitions().await.expect("partitions");
        drop(store);

        let store = fixture.open().await;
        assert_eq!(store.journal.partitions().await.expect("partitions"), before);
        assert_eq!(store.journal.frames(9, owned[9].tail_seq, 100).await.expect("frames"), [batch[1].clone()]);
        assert!(store.snapshots.load(entities[0].entity).await.expect("it loads").is_some());
        assert_eq!(store.queries.orders(OrdersOf::All, &OrderFilter::ANY, None, 9).await.expect("orders"), [row]);
        store.queries.order_counts().await.expect("it answers");
    }

    async fn a_tool_reads_beside_a_server_and_writes_nothing(fixture) {
        assert!(refusal(&fixture, Mode::Tool).await.contains("`haat serve` makes one"));
        let (store, owned) = fixture.open_and_take().await;
        let tool = fixture.try_open(Mode::Tool).await.expect("a tool opens");
        // What the server writes now, the tool sees.
        let row = order_row("one", at(1));
        write_all(&store, &owned, &[order_delta(1, row.clone())]).await;
        store.journal.append(&[frame(&owned[0], 1, "one", b"x")], &[]).await.expect("appended");
        assert_eq!(tool.queries.orders(OrdersOf::All, &OrderFilter::ANY, None, 9).await.expect("orders"), [row]);
        assert_eq!(tool.journal.frames(0, owned[0].tail_seq, 100).await.expect("frames").len(), 1);
        assert_eq!(tool.journal.partitions().await.expect("partitions")[1], owned[1]);

        assert!(matches!(tool.journal.acquire("tool", std::time::Duration::ZERO, at(1)).await, Err(StoreError::Invalid(_))));
        assert!(matches!(tool.journal.append(&[frame(&owned[0], 2, "t", b"x")], &[]).await, Err(StoreError::Invalid(_))));
        assert!(matches!(tool.journal.renew(&owned, std::time::Duration::ZERO).await, Err(StoreError::Invalid(_))));
        assert!(matches!(crate::samples::write(&tool, &owned, &[]).await, Err(StoreError::Invalid(_))));
        drop(store);
        tool.queries.order_counts().await.expect("the tool stays");
        // And it opens when no server runs.
        fixture.try_open(Mode::Tool).await.expect("a tool opens").queries.order_counts().await.expect("it answers");
    }

    async fn migrating_twice_changes_nothing(fixture) {
        persistence::migrate(&fixture.config()).await.expect("made");
        persistence::migrate(&fixture.config()).await.expect("still there");
        fixture.try_open(Mode::Tool).await.expect("a tool opens");
        assert_eq!(fixture.open().await.journal.partitions().await.expect("partitions").len(), 16);
    }

    async fn a_schema_of_a_newer_version_is_refused(fixture) {
        persistence::migrate(&fixture.config()).await.expect("made");
        let newer = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
            SELECT 9999, 'of the future', true, checksum, 0 FROM _sqlx_migrations WHERE version = 1";
        fixture.execute(newer).await.expect("planted");
        for mode in [Mode::Serve, Mode::Tool] {
            let reason = refusal(&fixture, mode).await;
            assert!(reason.contains("9999") && reason.contains("newer"), "{reason}");
        }
    }

    async fn a_schema_of_an_older_version_is_not_read_by_a_tool(fixture) {
        persistence::migrate(&fixture.config()).await.expect("made");
        fixture.execute("DELETE FROM _sqlx_migrations WHERE version > 1").await.expect("planted");
        let reason = refusal(&fixture, Mode::Tool).await;
        assert!(reason.contains("version 1") && reason.contains("haat migrate"), "{reason}");
    }

    async fn an_altered_schema_is_refused(fixture) {
        persistence::migrate(&fixture.config()).await.expect("made");
        let altered = "UPDATE _sqlx_migrations SET checksum = (SELECT checksum FROM _sqlx_migrations WHERE version = 2) WHERE version = 1";
        fixture.execute(altered).await.expect("planted");
        for mode in [Mode::Serve, Mode::Tool] {
            let reason = refusal(&fixture, mode).await;
            assert!(reason.contains("version 1"), "{reason}");
        }
    }

    async fn another_number_of_partitions_is_refused(fixture) {
        persistence::migrate(&fixture.config()).await.expect("made");
        fixture.execute("UPDATE meta SET value = '8' WHERE key = 'partitions'").await.expect("planted");
        for mode in [Mode::Serve, Mode::Tool] {
            let reason = refusal(&fixture, mode).await;
            assert!(reason.contains("8 partitions") && reason.contains("16"), "{reason}");
        }
    }
}

#[tokio::test]
async fn on_sqlite_a_second_server_is_refused_while_the_first_runs() {
    let fixture = Fixture::sqlite();
    let store = fixture.open().await;
    let reason = refusal(&fixture, Mode::Serve).await;
    assert!(reason.contains(&std::process::id().to_string()), "{reason}");
    assert!(
        matches!(&fixture.config().place, Place::Sqlite(path) if reason.contains(&path.display().to_string())),
        "{reason}"
    );
    // A server that said goodbye lets the next one in, though something may still hold its store.
    let owned = crate::fixture::take(&store, "first").await;
    store.journal.release(&owned).await.expect("released");
    let next = fixture.open().await;
    crate::fixture::take(&next, "second").await;
    assert!(matches!(
        store.journal.append(&[frame(&owned[0], 1, "late", b"x")], &[]).await,
        Err(StoreError::Collision)
    ));
    store.journal.release(&owned).await.expect("does nothing");
    refusal(&fixture, Mode::Serve).await;
    drop((store, next));
    fixture.open().await;
}

#[tokio::test]
async fn on_postgres_a_server_that_does_not_answer_is_noticed_soon() {
    // A socket that accepts and says nothing.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("postgres://haat@{}/haat", listener.local_addr().expect("an address"));
    let options = Options { connect_timeout: std::time::Duration::from_millis(200), ..Options::default() };
    let config = StoreConfig { place: Place::Postgres(url), archive: None, options };
    assert!(matches!(persistence::open(&config, Mode::Serve).await, Err(StoreError::Unavailable(_))));
    let config = StoreConfig { place: Place::Postgres("not a url".to_owned()), ..config };
    assert!(matches!(persistence::open(&config, Mode::Serve).await, Err(StoreError::Invalid(_))));
}

/// An append that meets a connection which the server has ended fails once, and the next goes over a new one.
#[tokio::test]
async fn on_postgres_a_lost_connection_is_made_anew() {
    let fixture = Fixture::postgres().await;
    let (store, owned) = fixture.open_and_take().await;
    let batch = [frame(&owned[0], 1, "one", b"x")];
    store.journal.append(&batch, &[]).await.expect("appended");
    let kill = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()";
    assert!(fixture.number(kill).await > 0);
    let next = [frame(&owned[0], 2, "two", b"x")];
    assert!(matches!(store.journal.append(&next, &[]).await, Err(StoreError::Unavailable(_))));
    assert_eq!(store.journal.committed(&next).await.expect("an answer"), haat::ports::Committed::Nothing);
    store.journal.append(&next, &[]).await.expect("over a new connection");
    write_all(&store, &owned, &[]).await;
}
