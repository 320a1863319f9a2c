//! Snapshots: the newest of each part, and who is to be woken.

use crate::samples::{at, delta, gone, order_id, part, uuid, vendor_id, write_all};
use crate::{on_all_stores, on_both_stores};
use haat::domain::ids::{CartId, EntityId, EntityRef};
use haat::domain::time::Timestamp;
use haat::ports::{EntityDelta, Partition, Store, StoreError, WakeAt};

fn cart(seed: &str) -> EntityRef {
    CartId::from_uuid(uuid(seed)).entity()
}

fn waking(entity: EntityRef, version: u64, wake_at: Option<Timestamp>) -> EntityDelta {
    EntityDelta { wake_at, ..delta(entity, version, vec![part("", "{}"), part("more", "1")]) }
}

/// Version and parts of a snapshot, as text.
async fn load(store: &Store, entity: EntityRef) -> (u64, Vec<(String, String)>) {
    let snapshot = store.snapshots.load(entity).await.expect("it loads").expect("it is there");
    assert_eq!(snapshot.entity, entity);
    let text = |state: Option<Vec<u8>>| String::from_utf8(state.expect("a state")).expect("text");
    (snapshot.version, snapshot.parts.into_iter().map(|part| (part.name, text(part.state))).collect())
}

fn parts(of: &[(&str, &str)]) -> Vec<(String, String)> {
    of.iter().map(|(name, state)| ((*name).to_owned(), (*state).to_owned())).collect()
}

on_all_stores! {
    async fn a_snapshot_is_made_of_the_newest_of_each_part(fixture) {
        let (store, owned) = fixture.open_and_take().await;
        let shop = vendor_id("shop").entity();
        assert_eq!(store.snapshots.load(shop).await.expect("it loads"), None);
        let first = delta(shop, 3, vec![part("sku_b", "b3"), part("", "head3"), part("hold/1", "h3"), part("sku_a", "a3")]);
        write_all(&store, &owned, &[first]).await;
        let all = [("", "head3"), ("hold/1", "h3"), ("sku_a", "a3"), ("sku_b", "b3")];
        assert_eq!(load(&store, shop).await, (3, parts(&all)));

        write_all(&store, &owned, &[delta(shop, 5, vec![part("", "head5"), part("sku_a", "a5"), gone("hold/1")])]).await;
        let newest = parts(&[("", "head5"), ("sku_a", "a5"), ("sku_b", "b3")]);
        assert_eq!(load(&store, shop).await, (5, newest.clone()));

        // What is older changes nothing: it neither overwrites, nor deletes, nor brings back what is gone.
        let older = delta(shop, 4, vec![part("", "head4"), part("hold/1", "h4"), part("sku_a", "a4"), gone("sku_b")]);
        write_all(&store, &owned, &[older]).await;
        assert_eq!(load(&store, shop).await, (5, newest.clone()));
        // The same once more is the same.
        write_all(&store, &owned, &[delta(shop, 5, vec![part("", "head5"), part("sku_a", "a5"), gone("hold/1")])]).await;
        assert_eq!(load(&store, shop).await, (5, newest));
    }

    async fn an_entity_twice_in_one_write_ends_as_the_newest(fixture) {
        let (store, owned) = fixture.open_and_take().await;
        let one = cart("one");
        let version = |version: u64| delta(one, version, vec![part("", &format!("v{version}"))]);
        write_all(&store, &owned, &[version(1), version(3), version(2)]).await;
        assert_eq!(load(&store, one).await, (3, parts(&[("", "v3")])));
    }

    async fn many_are_loaded_at_once(fixture) {
        let (store, owned) = fixture.open_and_take().await;
        let mut entities: Vec<EntityRef> = (0..700).map(|number| cart(&format!("{number}"))).collect();
        entities.extend((0..700).map(|number| order_id(&format!("{number}")).entity()));
        let deltas: Vec<EntityDelta> = entities
            .iter()
            .map(|entity| delta(*entity, 1, vec![part("", &entity.to_string()), part("more", "m")]))
            .collect();
        write_all(&store, &owned, &deltas).await;
        let mut asked = entities.clone();
        asked.extend([cart("not there"), vendor_id("not there").entity()]);
        let mut found = store.snapshots.load_many(&asked).await.expect("they load");
        found.sort_by_key(|snapshot| snapshot.entity);
        entities.sort_unstable();
        assert_eq!(found.iter().map(|snapshot| snapshot.entity).collect::<Vec<_>>(), entities);
        for snapshot in &found {
            assert_eq!(snapshot.parts, [part("", &snapshot.entity.to_string()), part("more", "m")]);
        }
        assert_eq!(store.snapshots.load_many(&[]).await.expect("nothing"), []);
    }

    async fn who_is_due_comes_in_the_order_of_time(fixture) {
        let (store, owned) = fixture.open_and_take().await;
        let late = waking(cart("late"), 1, Some(at(30)));
        let soon = waking(order_id("soon").entity(), 1, Some(at(10)));
        let then = waking(vendor_id("then").entity(), 1, Some(at(20)));
        write_all(&store, &owned, &[late.clone(), soon.clone(), then.clone(), waking(cart("never"), 1, None)]).await;
        let due = |until: i64, limit: u32| {
            let snapshots = store.snapshots.clone();
            async move { snapshots.due(at(until), None, limit).await.expect("they are found") }
        };
        assert_eq!(due(20, 10).await, [(soon.entity, at(10)), (then.entity, at(20))]);
        assert_eq!(due(100, 2).await, [(soon.entity, at(10)), (then.entity, at(20))]);
        assert_eq!(due(9, 10).await, []);
        let after = |place| store.snapshots.due(at(100), Some(place), 10);
        assert_eq!(after((then.entity, at(20))).await.expect("the rest"), [(late.entity, at(30))]);
        assert_eq!(after((late.entity, at(30))).await.expect("nothing"), []);
        // Of those at the same moment, only those behind.
        assert_eq!(after((late.entity, at(20))).await.expect("two").len(), 2);
        // What comes to an end is not woken any more.
        write_all(&store, &owned, &[waking(soon.entity, 2, None), waking(then.entity, 2, Some(at(40)))]).await;
        assert_eq!(due(100, 10).await, [(late.entity, at(30)), (then.entity, at(40))]);
    }

    /// Of those that have no newer version by now, by whoever owns the store.
    async fn when_to_be_woken_is_put_right(fixture) {
        let (store, owned) = fixture.open_and_take().await;
        let entities = [cart("settled"), cart("waits"), cart("moved on"), cart("other")];
        write_all(&store, &owned, &entities.map(|entity| waking(entity, 3, Some(at(10))))).await;
        write_all(&store, &owned, &[waking(entities[2], 4, Some(at(20)))]).await;
        let wake = |place: usize, wake_at| WakeAt { entity: entities[place], version: 3, wake_at };
        let mut wakes = vec![wake(0, None), wake(1, Some(at(50))), wake(2, None)];
        // More than one transaction takes.
        wakes.extend((0..600).map(|_| WakeAt { entity: cart("nobody"), version: 3, wake_at: None }));
        store.checkpoints.set_wakes(&owned, &wakes).await.expect("they are set");
        let mut due: Vec<_> = store.snapshots.due(at(100), None, 10).await.expect("they are found");
        due.sort_unstable_by_key(|(_, at)| *at);
        assert_eq!(due, [(entities[3], at(10)), (entities[2], at(20)), (entities[1], at(50))]);
        let snapshot = load(&store, entities[1]).await;
        assert_eq!(snapshot, (3, parts(&[("", "{}"), ("more", "1")])), "nothing else has changed");
        let others: Vec<Partition> = owned.iter().map(|own| Partition { epoch: own.epoch + 1, ..*own }).collect();
        let fenced = store.checkpoints.set_wakes(&others, &[wake(3, None)]).await;
        assert!(matches!(fenced, Err(StoreError::Fenced)), "{fenced:?}");
        assert_eq!(store.snapshots.due(at(10), None, 10).await.expect("it is found").len(), 1);
    }

    async fn a_scan_meets_each_entity_once(fixture) {
        let (store, owned) = fixture.open_and_take().await;
        let mut entities: Vec<EntityRef> = (0..5).map(|number| cart(&format!("{number}"))).collect();
        entities.extend((0..4).map(|number| order_id(&format!("{number}")).entity()));
        entities.extend((0..3).map(|number| vendor_id(&format!("{number}")).entity()));
        let deltas: Vec<EntityDelta> = entities.iter().map(|entity| waking(*entity, 7, None)).collect();
        write_all(&store, &owned, &deltas).await;
        let (mut seen, mut after) = (Vec::new(), None);
        loop {
            let page = store.snapshots.scan(after, 2).await.expect("a page");
            let Some(last) = page.last() else { break };
            assert!(page.len() <= 2 && page.iter().all(|snapshot| snapshot.parts.len() == 2 && snapshot.version == 7));
            after = Some(last.entity);
            seen.extend(page.into_iter().map(|snapshot| snapshot.entity));
        }
        entities.sort_unstable();
        assert_eq!(seen, entities);
    }
}

on_both_stores! {
    /// Rows of a kind that this version does not know keep nobody from being woken.
    async fn who_is_due_is_told_beside_what_nobody_knows(fixture) {
        let (store, owned) = fixture.open_and_take().await;
        let due = [waking(cart("one"), 1, Some(at(10))), waking(cart("two"), 1, Some(at(20)))];
        write_all(&store, &owned, &due).await;
        fixture.execute("UPDATE snapshot SET kind = 'parcel' WHERE wake_at = (SELECT min(wake_at) FROM snapshot)").await.expect("it is changed");
        let told = store.snapshots.due(at(100), None, 10).await.expect("they are found");
        assert_eq!(told, [(due[1].entity, at(20))]);
    }

    /// One snapshot that cannot be read is one entity's: its read says that it will never be, and the others are read
    /// beside it.
    async fn what_cannot_be_read_is_told_apart_from_what_may_pass(fixture) {
        let (store, owned) = fixture.open_and_take().await;
        write_all(&store, &owned, &[waking(cart("good"), 1, None), waking(cart("bad"), 7, None)]).await;
        fixture.execute("UPDATE snapshot SET version = -1 WHERE version = 7").await.expect("it is changed");
        let bad = store.snapshots.load(cart("bad")).await;
        assert!(matches!(bad, Err(StoreError::Invalid(_))), "{bad:?}");
        assert!(store.snapshots.load(cart("good")).await.expect("it is read").is_some());
        let both = store.snapshots.load_many(&[cart("good"), cart("bad")]).await;
        assert!(matches!(both, Err(StoreError::Invalid(_))), "{both:?}");
    }
}
