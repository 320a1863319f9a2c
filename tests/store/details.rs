//! Details: there as soon as their frames are and never without them, gone when they are spent, and touched by nothing else.

use crate::fixture::take;
use crate::samples::{delta, frame, order_id, part, write_all};
use crate::{on_all_stores, on_both_stores};
use haat::domain::details::{Contact, Detail, DetailName, Note, NotedOn, Words};
use haat::domain::ids::{EntityId, OrderId, RefundId};
use haat::domain::order::Address;
use haat::domain::rows::Shapes;
use haat::ports::units::{Statement, Unit, UnitEnd, Value};
use haat::ports::{EntityDelta, Store, StoreError};
use uuid::Uuid;

fn contact(order: OrderId, name: &str) -> Detail {
    let shipping_address = Address {
        name: name.into(),
        line1: "12 Lake Road".into(),
        line2: None,
        city: "Dhaka".into(),
        postcode: None,
        region: None,
        country: "BD".into(),
        phone: None,
    };
    Detail::contact(order, &Contact { email: None, shipping_address })
}

fn note(order: OrderId, words: &str) -> Detail {
    let on = NotedOn::Refund(RefundId::from_uuid(Uuid::from_u128(7)));
    Detail::note(order, &Note { on, words: Words(words.into()), by: None })
}

/// What was noted of an order, if anything was; nothing of what was erased.
async fn said(store: &Store, order: OrderId) -> Option<Option<Vec<String>>> {
    let kept = store.details.details(&[order], DetailName::Notes).await.expect("they are read");
    let words = |body: Vec<u8>| Note::all(&body).expect("notes").into_iter().map(|note| note.words.0).collect();
    kept.into_iter().next().map(|kept| kept.body.map(words))
}

fn some(words: &[&str]) -> Option<Option<Vec<String>>> {
    Some(Some(words.iter().map(|&words| words.to_owned()).collect()))
}

/// Whose contact is there, and what it says.
async fn kept(store: &Store, orders: &[OrderId], name: DetailName) -> Vec<(OrderId, String)> {
    let mut kept: Vec<(OrderId, String)> = store
        .details
        .details(orders, name)
        .await
        .expect("they are read")
        .into_iter()
        .map(|kept| (kept.order, String::from_utf8(kept.body.expect("nobody erased it")).expect("a text")))
        .collect();
    kept.sort();
    kept
}

async fn places(store: &Store) -> Vec<(OrderId, DetailName, bool)> {
    let mut all = Vec::new();
    loop {
        let after = all.last().map(|(order, name, _)| (*order, *name));
        // A page at a time: the order in which they come is part of the promise.
        let some = store.details.scan_details(after, 2).await.expect("they are read");
        if some.is_empty() {
            return all;
        }
        all.extend(some);
    }
}

on_all_stores! {
    /// A collision, or a term that is over, leaves no detail behind; a repeated append leaves them as they were.
    async fn details_are_there_if_and_only_if_their_frames_are(fixture) {
        let (store, owned) = fixture.open_and_take().await;
        let (first, second, third) = (order_id("a"), order_id("b"), order_id("c"));
        let batch = [frame(&owned[0], 1, "one", b"x"), frame(&owned[1], 1, "one", b"y")];
        store.journal.append(&batch, &[contact(first, "one"), Detail::payment(first, "tok")]).await.expect("appended");
        let all = [first, second, third];
        assert_eq!(kept(&store, &all, DetailName::Contact).await.len(), 1);
        assert_eq!(kept(&store, &all, DetailName::Payment).await, [(first, "tok".to_owned())]);
        let again = store.journal.append(&batch, &[contact(second, "again")]).await;
        assert!(matches!(again, Err(StoreError::Collision)), "{again:?}");
        // One place of two is taken: nothing of the batch is there.
        let half = [frame(&owned[0], 2, "two", b"x"), frame(&owned[1], 1, "two", b"y")];
        assert!(matches!(store.journal.append(&half, &[contact(second, "half")]).await, Err(StoreError::Collision)));
        assert_eq!(kept(&store, &all, DetailName::Contact).await.len(), 1);
        // The same order again, as after a backup: what is there stays.
        let next = [frame(&owned[0], 2, "three", b"x")];
        store.journal.append(&next, &[contact(first, "another"), contact(third, "three")]).await.expect("appended");
        let found = kept(&store, &all, DetailName::Contact).await;
        assert_eq!(found.iter().map(|(order, _)| *order).collect::<Vec<_>>(), { let mut both = [first, third]; both.sort(); both });
        assert!(found.iter().all(|(_, body)| !body.contains("another")), "{found:?}");
    }

    async fn a_fenced_owner_leaves_no_details(fixture) {
        let (store, old) = fixture.open_and_take().await;
        take(&store, "new").await;
        let late = store.journal.append(&[frame(&old[3], 1, "late", b"late")], &[contact(order_id("late"), "late")]).await;
        assert!(matches!(late, Err(StoreError::Fenced | StoreError::Collision)), "{late:?}");
        assert_eq!(places(&store).await, []);
    }

    /// One after the other, in whatever batches they come.
    async fn notes_go_behind_those_that_are_there(fixture) {
        let (store, owned) = fixture.open_and_take().await;
        let all = [order_id("a"), order_id("b"), order_id("c")];
        let [first, second, third] = all;
        let append = async |seq: u64, details: &[Detail]| {
            store.journal.append(&[frame(&owned[0], seq, &format!("{seq}"), b"x")], details).await
        };
        let said = async |order| said(&store, order).await;
        append(1, &[contact(first, "x"), contact(second, "x"), Detail::payment(first, "tok")]).await.expect("appended");
        append(2, &[note(first, "one")]).await.expect("appended");
        append(3, &[note(first, "two\n\"lines\""), contact(third, "x"), note(second, "ত"), note(first, "three")]).await.expect("appended");
        assert_eq!(said(first).await, some(&["one", "two\n\"lines\"", "three"]));
        assert_eq!((said(second).await, said(third).await), (some(&["ত"]), None));
        assert!(matches!(append(3, &[note(first, "again")]).await, Err(StoreError::Collision)));
        assert_eq!(said(first).await, some(&["one", "two\n\"lines\"", "three"]), "they are there if and only if their frames are");
        assert_eq!(kept(&store, &all, DetailName::Contact).await.len(), 3, "nothing else is touched");
        assert_eq!(kept(&store, &all, DetailName::Payment).await, [(first, "tok".to_owned())]);
    }

    /// Only what a checkpoint says goes, and a rebuild's beginning takes nothing.
    async fn details_go_when_they_are_spent_and_not_before(fixture) {
        let (store, owned) = fixture.open_and_take().await;
        let mut orders = [order_id("a"), order_id("b"), order_id("c")];
        orders.sort();
        let details = orders.iter().flat_map(|order| [contact(*order, "x"), Detail::payment(*order, "tok")]);
        let details: Vec<Detail> = details.collect();
        store.journal.append(&[frame(&owned[0], 1, "one", b"x")], &details).await.expect("appended");
        let both = |order: OrderId| DetailName::OF_CHECKOUTS.map(|name| (order, name, false));
        assert_eq!(places(&store).await, orders.map(both).concat());
        let spends = |order: OrderId| EntityDelta {
            spent: &[DetailName::Payment],
            ..delta(order.entity(), 1, vec![part("", "{}")])
        };
        let keeps = delta(orders[2].entity(), 1, vec![part("", "{}")]);
        write_all(&store, &owned, &[spends(orders[0]), spends(orders[1]), keeps]).await;
        let contact = |order: OrderId| (order, DetailName::Contact, false);
        let left = [contact(orders[0]), contact(orders[1]), contact(orders[2]), (orders[2], DetailName::Payment, false)];
        assert_eq!(places(&store).await, left);
        // Spent once more, as a checkpoint that is written again does.
        write_all(&store, &owned, &[EntityDelta { version: 2, ..spends(orders[0]) }]).await;
        store.checkpoints.clear(&owned, &Shapes::default()).await.expect("cleared");
        assert_eq!(places(&store).await, left);
    }
}

/// All connections that read entities and frames are taken, as after a restart: payments wait for none of them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_postgres_tokens_wait_for_no_entity() {
    let fixture = crate::fixture::Fixture::postgres().await;
    let (store, owned) = fixture.open_and_take().await;
    let order = order_id("a");
    store
        .journal
        .append(&[frame(&owned[0], 1, "one", b"x")], &[Detail::payment(order, "tok")])
        .await
        .expect("appended");
    let mut lock = fixture.connection().await;
    sqlx::raw_sql("BEGIN; LOCK TABLE snapshot IN ACCESS EXCLUSIVE MODE").execute(&mut lock).await.expect("locked");
    let readers: Vec<_> = (0..fixture.config().options.read_connections)
        .map(|_| {
            let snapshots = store.snapshots.clone();
            tokio::spawn(async move { snapshots.load(order.entity()).await })
        })
        .collect();
    let waiting =
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    while usize::try_from(fixture.number(waiting).await) != Ok(readers.len()) {}
    assert_eq!(kept(&store, &[order], DetailName::Payment).await, [(order, "tok".to_owned())]);
    sqlx::raw_sql("COMMIT").execute(&mut lock).await.expect("let go");
    for reader in readers {
        assert_eq!(reader.await.expect("it ends").expect("it loads"), None);
    }
}

on_both_stores! {
    /// Nor of one of which nothing had been noted before its contact was erased.
    async fn of_an_order_that_was_erased_nothing_is_noted_any_more(fixture) {
        let (store, owned) = fixture.open_and_take().await;
        let [first, second, third] = [order_id("a"), order_id("b"), order_id("c")];
        let append = async |seq: u64, details: &[Detail]| {
            store.journal.append(&[frame(&owned[0], seq, &format!("{seq}"), b"x")], details).await.expect("appended");
        };
        append(1, &[contact(first, "x"), contact(second, "x"), contact(third, "x"), note(first, "one")]).await;
        for erased in [first, third] {
            let erase = "UPDATE detail SET body = NULL WHERE entity = $1";
            let erase = Statement::new(erase, vec![Value::Uuid(Some(erased.uuid()))]);
            assert_eq!(store.units.run(Unit::new(vec![erase])).await, Ok(UnitEnd::Done));
        }
        append(2, &[note(first, "late"), note(second, "more"), note(third, "late")]).await;
        append(3, &[note(third, "later")]).await;
        assert_eq!((said(&store, first).await, said(&store, third).await), (Some(None), Some(None)));
        assert_eq!(said(&store, second).await, some(&["more"]));
    }
}
