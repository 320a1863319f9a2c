//! What services write: whole or not at all, each told its own end, many in one transaction on the embedded store.

use crate::on_both_stores;
use crate::samples::at;
use haat::domain::ids::CategoryId;
use haat::domain::record::IdempotencyKey;
use haat::limits;
use haat::persistence::Mode;
use haat::persistence::services::Repositories;
use haat::ports::units::{Statement, Unit, UnitEnd, UnitError, Value, ValueKind};
use haat::ports::{Store, StoreError};
use haat::services::categories::{Category, Change, Tree, Wrote};
use haat::services::kept::{KeptAnswer, forget_old};
use sqlx::{Connection as _, PgConnection};
use uuid::Uuid;

const COUNT: &str = "INSERT INTO service_versions (service, version) VALUES ($1, $2)";
const RAISE: &str = "UPDATE service_versions SET version = version + 1 WHERE service = $1 AND version = $2";

fn statement(text: &'static str, service: &str, version: i64) -> Statement {
    Statement::new(text, vec![Value::Text(Some(service.into())), Value::Integer(Some(version))])
}

async fn versions(store: &Store) -> Vec<(String, i64)> {
    let all = Statement::new("SELECT service, version FROM service_versions ORDER BY service", Vec::new());
    let rows = store.units.read(all, &[ValueKind::Text, ValueKind::Integer]).await.expect("rows");
    let row = |values: Vec<Value>| match values.as_slice() {
        [Value::Text(Some(service)), Value::Integer(Some(version))] => (service.clone(), *version),
        other => panic!("{other:?}"),
    };
    let ours = |service: &str| ["categories", "price_tables"].contains(&service);
    rows.into_iter().map(row).filter(|(service, _)| !ours(service)).collect()
}

fn answer(key: u128, body: u128, time: i64) -> KeptAnswer {
    let key = IdempotencyKey { key, body };
    KeptAnswer { key, status: 201, body: format!("{{\"শব্দ\":{time}}}"), at: at(time) }
}

fn category(number: u128, parent: Option<u128>, name: &str) -> Category {
    let id = |number| CategoryId::from_uuid(Uuid::from_u128(number));
    let tax_category = (number % 2 == 1).then(|| "textiles".to_owned());
    Category { id: id(number), parent_id: parent.map(id), name: name.into(), tax_category, created_at: at(5) }
}

fn sorted(mut rows: Vec<Category>) -> Vec<Category> {
    rows.sort_by_key(|row| row.id);
    rows
}

/// In seconds, as the samples count.
const DAY: i64 = limits::KEPT_ANSWER_MS / 1000;

on_both_stores! {
    async fn a_unit_is_written_whole_or_not_at_all(fixture) {
        let store = fixture.open().await;
        let run = async |statements: Vec<Statement>| store.units.run(Unit::new(statements)).await;
        let (first, second) = (statement(COUNT, "first", 1), statement(COUNT, "second", 1));
        assert_eq!(run(vec![first.clone(), second]).await, Ok(UnitEnd::Done));
        let before = versions(&store).await;
        assert_eq!(before, [("first".into(), 1), ("second".into(), 1)]);
        let third = || statement(COUNT, "third", 3);
        let raise = |version| statement(RAISE, "first", version).that_changes(1);
        assert_eq!(run(vec![third(), raise(1), raise(1)]).await, Ok(UnitEnd::Stopped(2)));
        assert_eq!(run(vec![third(), raise(1), first]).await, Ok(UnitEnd::Taken(2)));
        let nonsense = Statement::new("INSERT INTO no_such_table VALUES ($1)", vec![Value::Integer(Some(1))]);
        assert!(matches!(run(vec![third(), nonsense]).await, Err(UnitError::Invalid(_))));
        let nothing = Statement::new(COUNT, vec![Value::Text(None), Value::Integer(Some(1))]);
        assert!(matches!(run(vec![third(), nothing]).await, Err(UnitError::Invalid(_))));
        assert_eq!(versions(&store).await, before);
        assert_eq!(run(vec![third(), raise(1), raise(2)]).await, Ok(UnitEnd::Done));
        assert_eq!(versions(&store).await, [("first".into(), 3), ("second".into(), 1), ("third".into(), 3)]);
        let strange = store.units.read(Statement::new("SELECT service FROM service_versions", vec![]), &[ValueKind::Uuid]);
        assert!(matches!(strange.await, Err(StoreError::Invalid(_))));
    }

    /// Many at once, some of which fail: each is told its own end, and what stands in the table is what was told.
    async fn many_units_at_once_are_each_told_their_own_end(fixture) {
        let store = fixture.open().await;
        store.units.run(Unit::new(vec![statement(COUNT, "all", 0)])).await.expect("written");
        let units: Vec<_> = (0..300i64)
            .map(|number| {
                let (units, name) = (store.units.clone(), format!("unit {number:03}"));
                let mut statements = vec![statement(COUNT, &name, number)];
                match number % 3 {
                    0 => {}
                    1 => statements.push(statement(RAISE, "nobody", 0).that_changes(1)),
                    _ => statements.push(statement(COUNT, "all", 0)),
                }
                tokio::spawn(async move { units.run(Unit::new(statements)).await })
            })
            .collect();
        for (number, unit) in units.into_iter().enumerate() {
            let end = [UnitEnd::Done, UnitEnd::Stopped(1), UnitEnd::Taken(1)][number % 3];
            assert_eq!(unit.await.expect("no panic"), Ok(end), "{number}");
        }
        let written = versions(&store).await;
        let expected: Vec<_> = (0..300).step_by(3).map(|number| (format!("unit {number:03}"), number)).collect();
        assert_eq!(written[1..], expected);
    }

    /// Units beside others who write with SQLite's one connection (here the lease): none is lost, none waits for ever.
    async fn units_are_written_beside_others_who_write(fixture) {
        let (store, owned) = fixture.open_and_take().await;
        let writes = async {
            for number in 0..100 {
                let unit = Unit::new(vec![statement(COUNT, &format!("unit {number:03}"), 0)]);
                assert_eq!(store.units.run(unit).await, Ok(UnitEnd::Done));
            }
        };
        let renewals = async {
            for _ in 0..100 {
                store.journal.renew(&owned, std::time::Duration::from_secs(60)).await.expect("renewed");
            }
        };
        tokio::join!(writes, renewals);
        assert_eq!(versions(&store).await.len(), 100);
    }

    async fn a_store_that_is_only_looked_at_takes_no_units(fixture) {
        drop(fixture.open().await);
        let store = fixture.try_open(Mode::Tool).await.expect("it opens");
        let refused = store.units.run(Unit::new(vec![statement(COUNT, "first", 1)])).await;
        assert!(matches!(refused, Err(UnitError::Invalid(_))), "{refused:?}");
        assert_eq!(versions(&store).await, []);
    }

    async fn an_answer_is_kept_for_a_day_and_the_first_stays(fixture) {
        let store = fixture.open().await;
        let kept = Repositories::new(&store.units).kept;
        assert_eq!(kept.kept(u128::MAX, at(0)).await, Ok(None));
        assert_eq!(kept.keep(&answer(u128::MAX, 2, 10)).await, Ok(true));
        assert_eq!(kept.keep(&answer(u128::MAX, 3, 20)).await, Ok(false));
        assert_eq!(kept.kept(u128::MAX, at(10 + DAY - 1)).await, Ok(Some(answer(u128::MAX, 2, 10))));
        assert_eq!(kept.kept(u128::MAX, at(10 + DAY)).await, Ok(None));
        assert_eq!(kept.kept(1, at(10)).await, Ok(None));
        assert_eq!(kept.keep(&answer(u128::MAX, 3, 10 + DAY)).await, Ok(true), "as if there were none");
        assert_eq!(kept.kept(u128::MAX, at(10 + DAY)).await, Ok(Some(answer(u128::MAX, 3, 10 + DAY))));
    }

    async fn old_answers_are_forgotten(fixture) {
        let store = fixture.open().await;
        let kept = Repositories::new(&store.units).kept;
        for number in 0..30 {
            assert_eq!(kept.keep(&answer(number, 0, number as i64)).await, Ok(true));
        }
        assert_eq!(kept.forget(at(25), 10).await, Ok(10));
        assert_eq!(kept.kept(9, at(29)).await, Ok(None));
        assert!(kept.kept(10, at(29)).await.expect("read").is_some(), "the oldest first");
        forget_old(&*kept, at(28 + DAY)).await.expect("forgotten");
        assert_eq!(fixture.number("SELECT count(*) FROM kept_answers").await, 2);
    }

    async fn categories_are_read_as_they_were_written(fixture) {
        let store = fixture.open().await;
        let rows = Repositories::new(&store.units).categories;
        assert_eq!(rows.all().await, Ok((0, vec![])));
        let textiles = category(1, None, "Textiles");
        assert_eq!(rows.write(&Change::New(textiles.clone()), 0, None).await, Ok(Wrote::Done));
        let sarees = category(2, Some(1), "শাড়ি");
        assert_eq!(rows.write(&Change::New(sarees.clone()), 0, None).await, Ok(Wrote::Moved), "decided on an older tree");
        assert_eq!(rows.write(&Change::New(sarees.clone()), 1, None).await, Ok(Wrote::Done));
        assert_eq!(rows.all().await.map(|(version, rows)| (version, sorted(rows))), Ok((2, vec![textiles, sarees.clone()])));
        let patched = Category { parent_id: None, name: "Sarees".into(), tax_category: Some("silk".into()), ..sarees };
        assert_eq!(rows.write(&Change::Patched(patched.clone()), 2, None).await, Ok(Wrote::Done));
        assert_eq!(rows.all().await.expect("rows").1.into_iter().find(|row| row.id == patched.id), Some(patched));
        assert_eq!(rows.version().await, Ok(3));
    }

    /// What the tree would refuse the tables refuse, too, should it ever be asked of them.
    async fn the_tables_keep_the_tree_in_order(fixture) {
        let store = fixture.open().await;
        let rows = Repositories::new(&store.units).categories;
        rows.write(&Change::New(category(1, None, "Textiles")), 0, None).await.expect("written");
        let orphan = rows.write(&Change::New(category(2, Some(77), "Lost")), 1, None).await;
        assert!(matches!(orphan, Err(UnitError::Invalid(_))), "{orphan:?}");
        let itself = rows.write(&Change::Patched(category(1, Some(1), "Textiles")), 1, None).await;
        assert!(matches!(itself, Err(UnitError::Invalid(_))), "{itself:?}");
        for (number, name) in [(1, "Other"), (3, "TEXTILES")] {
            assert_eq!(rows.write(&Change::New(category(number, None, name)), 1, None).await, Ok(Wrote::Moved));
        }
        assert_eq!(rows.all().await, Ok((1, vec![category(1, None, "Textiles")])));
    }

    async fn an_answer_is_kept_with_what_it_tells_of_or_neither_is(fixture) {
        let store = fixture.open().await;
        let Repositories { categories, kept, .. } = Repositories::new(&store.units);
        let write = async |number, name: &str, version, key| {
            let keep = answer(key, 1, 10);
            categories.write(&Change::New(category(number, None, name)), version, Some(&keep)).await
        };
        assert_eq!(write(1, "Textiles", 0, 50).await, Ok(Wrote::Done));
        assert_eq!(write(2, "Books", 0, 51).await, Ok(Wrote::Moved));
        assert_eq!(kept.kept(51, at(10)).await, Ok(None));
        assert_eq!(write(2, "Books", 1, 50).await, Ok(Wrote::Answered));
        assert_eq!(write(2, "Books", 0, 50).await, Ok(Wrote::Answered), "whatever became of the tree");
        assert_eq!(categories.all().await.expect("rows").1.len(), 1);
        assert_eq!(kept.kept(50, at(10)).await, Ok(Some(answer(50, 1, 10))));
    }

    /// Sixteen who write as fast as they can, each deciding on what it read: what comes of it is a tree, of as many versions as changes.
    async fn those_who_write_at_once_make_a_tree_together(fixture) {
        let store = fixture.open().await;
        let rows = Repositories::new(&store.units).categories;
        let writers = (0..8u128).map(|writer| {
            let rows = rows.clone();
            tokio::spawn(async move {
                let mut written = 0u64;
                for step in 0..10 {
                    let number = 1 + writer * 10 + step;
                    loop {
                        let (version, all) = rows.all().await.expect("rows");
                        let tree = Tree::new(version, all).expect("a tree");
                        let deepest = tree.all().iter().max_by_key(|placed| placed.depth % 6);
                        let parent = deepest.map(|placed| placed.category.id);
                        let new = Category { parent_id: parent, ..category(number, None, &format!("C{number}")) };
                        let change = tree.with(new).expect("it may come in");
                        match rows.write(&change, version, None).await.expect("an outcome") {
                            Wrote::Done => break written += 1,
                            Wrote::Moved => {}
                            Wrote::Answered => panic!("no key was given"),
                        }
                    }
                }
                written
            })
        });
        let mut written = 0;
        for writer in writers.collect::<Vec<_>>() {
            written += writer.await.expect("no panic");
        }
        let (version, all) = rows.all().await.expect("rows");
        assert_eq!((version, all.len()), (written, 80));
        Tree::new(version, all).expect("a tree");
    }
}

/// Who writes one unit after the other finds the queue just as its owner leaves it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_sqlite_units_come_one_after_the_other() {
    let fixture = crate::fixture::Fixture::sqlite();
    let store = fixture.open().await;
    let writers = (0..3).map(|writer| {
        let units = store.units.clone();
        tokio::spawn(async move {
            for number in 0..300 {
                let unit = Unit::new(vec![statement(COUNT, &format!("unit {writer} {number:03}"), number)]);
                assert_eq!(units.run(unit).await, Ok(UnitEnd::Done), "{writer} {number}");
            }
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.expect("no panic");
    }
    assert_eq!(versions(&store).await.len(), 900);
}

/// So many units may wait; one more is refused at once, and nothing of it is written.
#[tokio::test]
async fn on_sqlite_the_queue_has_a_bound() {
    let fixture = crate::fixture::Fixture::sqlite();
    let store = fixture.open().await;
    // On one thread nobody empties the queue before all have come.
    let units = (0..=limits::SERVICE_UNITS as i64).map(|number| {
        let units = store.units.clone();
        async move { units.run(Unit::new(vec![statement(COUNT, &format!("unit {number:04}"), number)])).await }
    });
    let ended = futures::future::join_all(units).await;
    let (last, first) = ended.split_last().expect("some");
    assert!(first.iter().all(|ended| *ended == Ok(UnitEnd::Done)));
    assert_eq!(*last, Err(UnitError::Busy));
    assert_eq!(versions(&store).await.len(), limits::SERVICE_UNITS);
}

/// Whoever gave up before its turn has nothing written; those beside it have.
#[tokio::test]
async fn on_sqlite_a_unit_whose_asker_has_gone_is_not_written() {
    let fixture = crate::fixture::Fixture::sqlite();
    let store = fixture.open().await;
    let unit = |number: i64| Unit::new(vec![statement(COUNT, &format!("unit {number}"), number)]);
    let (first, gone, last) = (store.units.run(unit(1)), store.units.run(unit(2)), store.units.run(unit(3)));
    let mut gone = Box::pin(gone);
    let mut first = Box::pin(first);
    // Each is asked once, which queues it.
    assert!(futures::poll!(&mut first).is_pending() && futures::poll!(&mut gone).is_pending());
    drop(gone);
    assert_eq!((first.await, last.await), (Ok(UnitEnd::Done), Ok(UnitEnd::Done)));
    let names: Vec<String> = versions(&store).await.into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["unit 1", "unit 3"]);
}

/// While its files are not where they were opened nothing is written; all that wait are told, and the next is written once they are back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_sqlite_units_are_refused_while_the_files_are_gone() {
    let fixture = crate::fixture::Fixture::sqlite();
    let store = fixture.open().await;
    let unit = |number: i64| Unit::new(vec![statement(COUNT, &format!("unit {number}"), number)]);
    let haat::persistence::Place::Sqlite(directory) = fixture.config().place else { panic!("an embedded store") };
    let (file, aside) = (directory.join("haat.db"), directory.join("aside.db"));
    std::fs::rename(&file, &aside).expect("renamed");
    let refused = futures::future::join_all((0..100).map(|number| store.units.run(unit(number)))).await;
    assert!(refused.iter().all(|ended| matches!(ended, Err(UnitError::Unavailable(_)))), "{:?}", refused[0]);
    std::fs::rename(&aside, &file).expect("renamed");
    assert_eq!(store.units.run(unit(7)).await, Ok(UnitEnd::Done));
    assert_eq!(versions(&store).await, [("unit 7".to_owned(), 7)]);
}

/// Connections that the database has ended cost one unit at most, which is told so; the next one is written.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_postgres_units_go_on_after_their_connections_were_ended() {
    let fixture = crate::fixture::Fixture::postgres().await;
    let store = fixture.open().await;
    let units = &store.units;
    assert_eq!(units.run(Unit::new(vec![statement(COUNT, "before", 1)])).await, Ok(UnitEnd::Done));
    let ours = "application_name = 'haat' AND datname = current_database() AND pid <> pg_backend_pid()";
    fixture
        .execute(&format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {ours}"))
        .await
        .expect("ended");
    // A connection that was ended is found so by whoever uses it, or before.
    let first = units.run(Unit::new(vec![statement(COUNT, "after", 2)])).await;
    assert!(matches!(first, Ok(UnitEnd::Done) | Err(UnitError::Unavailable(_))), "{first:?}");
    let second = units.run(Unit::new(vec![statement(COUNT, "later", 3)])).await;
    assert_eq!(second, Ok(UnitEnd::Done));
    let found = versions(&store).await;
    assert_eq!(found.iter().any(|(name, _)| name == "after"), first.is_ok());
}

/// A unit that waits for somebody who waits for it is taken back by Postgres, and tried again: nobody is told of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_postgres_a_unit_is_tried_again_after_a_deadlock() {
    let fixture = crate::fixture::Fixture::postgres().await;
    let store = fixture.open().await;
    store
        .units
        .run(Unit::new(vec![statement(COUNT, "first", 0), statement(COUNT, "second", 0)]))
        .await
        .expect("written");
    let mut others = fixture.connection().await;
    let waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND application_name = 'haat'
        AND datname = current_database()";
    for number in 0.. {
        assert!(number < 10, "the other one was taken back each time");
        let mut other = others.begin().await.expect("a transaction");
        let touch = async |service: &str, on: &mut PgConnection| {
            let text = "UPDATE service_versions SET version = version WHERE service = $1";
            sqlx::query(text).bind(service.to_owned()).execute(on).await
        };
        touch("second", &mut other).await.expect("it has the second");
        let raise = |service| statement(RAISE, service, number).that_changes(1);
        let (units, both) = (store.units.clone(), Unit::new(vec![raise("first"), raise("second")]));
        let unit = tokio::spawn(async move { units.run(both).await });
        while fixture.number(waiting).await == 0 {
            assert!(!unit.is_finished(), "it waits for the second");
            tokio::task::yield_now().await;
        }
        // Each has what the other waits for: Postgres takes one of them back, the one that has waited for a second first.
        let ended = touch("first", &mut other).await;
        match &ended {
            Ok(_) => other.commit().await.expect("written"),
            Err(_) => other.rollback().await.expect("taken back"),
        }
        assert_eq!(unit.await.expect("no panic"), Ok(UnitEnd::Done));
        assert_eq!(versions(&store).await, [("first".to_owned(), number + 1), ("second".to_owned(), number + 1)]);
        if ended.is_ok() {
            break;
        }
    }
}

/// So is one that Postgres says it can not serialize, also when it says so at the commit; but not for ever.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_postgres_a_unit_is_tried_again_so_often() {
    let fixture = crate::fixture::Fixture::postgres().await;
    let store = fixture.open().await;
    // A sequence counts on whatever is taken back.
    fixture.execute("CREATE SEQUENCE tries").await.expect("made");
    let refuse = |code: &str, last: i64| {
        format!(
            "CREATE OR REPLACE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                IF nextval('tries') <= {last} THEN RAISE EXCEPTION 'in the way' USING ERRCODE = '{code}'; END IF;
                RETURN NEW;
            END $$"
        )
    };
    fixture.execute(&refuse("40001", 0)).await.expect("made");
    for (moment, trigger) in [
        ("at once", "CREATE TRIGGER refuse BEFORE INSERT ON service_versions FOR EACH ROW EXECUTE FUNCTION refuse()"),
        (
            "at the commit",
            "CREATE CONSTRAINT TRIGGER refuse AFTER INSERT ON service_versions DEFERRABLE INITIALLY DEFERRED
                FOR EACH ROW EXECUTE FUNCTION refuse()",
        ),
    ] {
        fixture.execute(trigger).await.expect("made");
        for (code, refused, tries, ends_well) in
            [("40001", 4, 5, true), ("40P01", 4, 5, true), ("40001", 5, 5, false), ("55P03", 1, 1, false)]
        {
            fixture.execute(&refuse(code, refused)).await.expect("made");
            fixture.execute("ALTER SEQUENCE tries RESTART").await.expect("begun anew");
            let name = format!("{moment} {code} {refused}");
            let end = store.units.run(Unit::new(vec![statement(COUNT, &name, 1)])).await;
            match (ends_well, moment, code) {
                (true, ..) => assert_eq!(end, Ok(UnitEnd::Done), "{name}"),
                (false, "at the commit", "55P03") => assert!(matches!(end, Err(UnitError::Unknown(_))), "{end:?}"),
                (false, ..) => assert!(matches!(end, Err(UnitError::Unavailable(_))), "{name}: {end:?}"),
            }
            assert_eq!(fixture.number("SELECT last_value FROM tries").await, tries, "{name}");
            let written = versions(&store).await;
            assert_eq!(written.iter().any(|(service, _)| *service == name), ends_well, "{name}");
        }
        fixture.execute("DROP TRIGGER refuse ON service_versions").await.expect("gone");
    }
}
