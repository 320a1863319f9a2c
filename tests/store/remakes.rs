//! Rows of one shape take the place of those of an older one, beside checkpoints, and what is written down of it is written with them.

use crate::fixture::take;
use crate::samples::{at, delta, order_delta, order_id, order_row, paid, part, vendor_delta, vendor_rows, write_all};
use crate::{on_all_stores, on_both_stores};
use haat::domain::ids::{EntityId, EntityRef, Kind};
use haat::domain::order::OrderFilter;
use haat::domain::rows::{OrderRow, Rows, Shapes};
use haat::ports::{
    CheckpointWrite, EntityDelta, OrdersOf, Partition, ProductFilter, ProductOrder, RejectedRows, Remake, Remaking,
    Store, StoreError, Written,
};

/// Remakes these rows, which are all that their entities have.
async fn remake(
    store: &Store,
    owned: &[Partition],
    entities: &[EntityDelta],
    progress: Option<Remaking>,
) -> Result<Written, StoreError> {
    let remake = Some(Remake { unreadable: &[], progress });
    store.checkpoints.write(CheckpointWrite { owned, entities, advance: &[], remake }).await
}

/// A remake, of what nothing is wrong with.
async fn remade(store: &Store, owned: &[Partition], entity: EntityRef, version: u64, shape: u32, rows: &Rows) {
    let entities = [EntityDelta::remade(entity, version, shape, rows.clone())];
    assert_eq!(remake(store, owned, &entities, None).await.expect("it is written"), Written::default());
}

async fn orders(store: &Store) -> Vec<OrderRow> {
    store.queries.orders(OrdersOf::All, &OrderFilter::ANY, None, 1_000).await.expect("orders")
}

fn rows_of(order: &OrderRow) -> Rows {
    Rows { orders: vec![order.clone()], ..Rows::default() }
}

fn sorted(mut rows: Rows) -> Rows {
    rows.vendors.sort_by_key(|row| row.id);
    rows.products.sort_by_key(|row| row.id);
    rows.skus.sort_by_key(|row| row.id);
    rows.sales.sort_by_key(|row| row.id);
    rows
}

on_all_stores! {
    /// By the version first: a remake comes from a snapshot, and the snapshot may be older than what a checkpoint wrote meanwhile.
    async fn what_stands_is_of_the_newest_version_and_of_its_newest_shape(fixture) {
        let (store, owned) = fixture.open_and_take().await;
        let by = |method: &str| OrderRow { payment_method: method.to_owned(), ..paid(order_row("one", at(1))) };
        let entity = order_id("one").entity();
        write_all(&store, &owned, &[order_delta(2, by("first"))]).await;
        for (version, shape, written, stands) in [
            (1, 2, "an older version", "first"),
            (2, 1, "the same", "first"),
            (2, 2, "a newer shape", "a newer shape"),
            (2, 1, "an older shape", "a newer shape"),
            (1, 9, "an older version of a newer shape", "a newer shape"),
            (3, 1, "a newer version", "a newer version"),
        ] {
            remade(&store, &owned, entity, version, shape, &rows_of(&by(written))).await;
            assert_eq!(orders(&store).await, [by(stands)], "{written}");
        }
        // A checkpoint is held to the same.
        let given = EntityDelta { shape: 2, ..order_delta(3, by("of a checkpoint")) };
        write_all(&store, &owned, &[given]).await;
        assert_eq!(orders(&store).await, [by("of a checkpoint")]);
    }

    async fn what_a_shape_gives_no_more_is_gone_and_nothing_else(fixture) {
        let (store, owned) = fixture.open_and_take().await;
        let (former, other) = (vendor_rows("one", "Cup", at(1)), vendor_rows("other", "Plate", at(2)));
        let entity = vendor_delta(1, former.clone()).entity;
        write_all(&store, &owned, &[vendor_delta(1, former.clone()), vendor_delta(1, other.clone())]).await;
        // A checkpoint has only what changed: it takes nothing away.
        let mut changed = former.clone();
        changed.skus.truncate(1);
        changed.products.clear();
        changed.skus[0].on_hand = 7;
        write_all(&store, &owned, &[EntityDelta { shape: 2, ..vendor_delta(3, changed.clone()) }]).await;
        let there = store.queries.catalog().await.expect("the catalog");
        assert_eq!((there.vendors.len(), there.products.len(), there.skus.len()), (2, 2, 4));
        // Of the state before: what has changed since stands as it is.
        let mut now = former.clone();
        now.skus.clear();
        now.products[0].description = Some("of a newer shape".to_owned());
        remade(&store, &owned, entity, 2, 2, &now).await;
        let all = Rows {
            vendors: [former.vendors, other.vendors].concat(),
            products: [now.products, other.products].concat(),
            skus: [changed.skus, other.skus].concat(),
            sales: [former.sales, other.sales].concat(),
            ..Rows::default()
        };
        assert_eq!(sorted(store.queries.catalog().await.expect("the catalog")), sorted(all));
    }

    async fn an_order_loses_the_share_that_it_does_not_give_any_more(fixture) {
        let (store, owned) = fixture.open_and_take().await;
        let (former, other) = (order_row("one", at(1)), order_row("other", at(2)));
        write_all(&store, &owned, &[order_delta(1, former.clone()), order_delta(1, other.clone())]).await;
        let mut now = former.clone();
        now.lines.truncate(1);
        now.sub_orders.truncate(1);
        now.amounts = crate::samples::unpaid(300);
        remade(&store, &owned, former.id.entity(), 1, 2, &rows_of(&now)).await;
        assert_eq!(orders(&store).await, [other.clone(), now]);
        remade(&store, &owned, former.id.entity(), 1, 3, &Rows::default()).await;
        assert_eq!(orders(&store).await, [other]);
    }

    async fn how_far_a_remake_has_come_is_written_with_its_rows_and_by_the_owner_alone(fixture) {
        let (store, owned) = fixture.open_and_take().await;
        let standing = async || {
            let mut standing = store.checkpoints.remaking().await.expect("how they stand");
            standing.sort_by_key(|remaking| remaking.kind.name());
            standing
        };
        let begun = [Kind::Coupon, Kind::Customer, Kind::Order, Kind::Vendor].map(|kind| Remaking::done(kind, 1));
        assert_eq!(standing().await, begun, "a new store has nothing to remake");
        let first = order_row("one", at(1));
        write_all(&store, &owned, &[order_delta(1, first.clone())]).await;
        let (entity, now) = (first.id.entity(), OrderRow { payment_method: "another".to_owned(), ..first.clone() });
        let reached = Remaking { kind: Kind::Order, complete: 1, aim: 2, reached: Some(entity.uuid) };
        let entities = [EntityDelta::remade(entity, 1, 2, rows_of(&now))];
        let new = take(&store, "new").await;
        let fenced = remake(&store, &owned, &entities, Some(reached)).await;
        assert!(matches!(fenced, Err(StoreError::Fenced)), "{fenced:?}");
        assert_eq!((standing().await, orders(&store).await), (begun.to_vec(), vec![first]));
        assert_eq!(remake(&store, &new, &entities, Some(reached)).await.expect("it is written"), Written::default());
        assert_eq!((standing().await, orders(&store).await), (vec![begun[0], begun[1], reached, begun[3]], vec![now]));
        let shapes = Shapes::default().raised(Kind::Order, 4);
        store.checkpoints.clear(&new, &shapes).await.expect("cleared");
        let done = |kind| Remaking::done(kind, shapes.of(kind));
        let all = [Kind::Coupon, Kind::Customer, Kind::Order, Kind::Vendor].map(done);
        assert_eq!(standing().await, all, "all there will be is of these shapes");
    }

    /// What no rows can be made of is found again by whoever knows better.
    async fn what_cannot_be_remade_is_marked_until_it_is(fixture) {
        let (store, owned) = fixture.open_and_take().await;
        let mut entities: Vec<EntityRef> = (0..5).map(|number| order_id(&format!("{number}")).entity()).collect();
        entities.sort_unstable();
        let reason = || "its snapshot says nothing".to_owned();
        let unreadable: Vec<_> =
            entities.iter().map(|entity| (3, RejectedRows { entity: *entity, reason: reason() })).collect();
        let remake = Some(Remake { unreadable: &unreadable, progress: None });
        let write = CheckpointWrite { owned: &owned, remake, ..CheckpointWrite::default() };
        assert_eq!(store.checkpoints.write(write).await.expect("it is written"), Written::default());
        let marked = async |kind, after, limit| store.checkpoints.marked(kind, after, limit).await.expect("the marked");
        assert_eq!(marked(Kind::Order, None, 3).await, entities[..3]);
        assert_eq!(marked(Kind::Order, Some(entities[2].uuid), 9).await, entities[3..]);
        assert_eq!(marked(Kind::Vendor, None, 9).await, []);
        // Of a version before the mark: what was refused came after it.
        remade(&store, &owned, entities[0], 2, 1, &Rows::default()).await;
        assert_eq!(marked(Kind::Order, None, 9).await, entities);
        remade(&store, &owned, entities[0], 3, 1, &Rows::default()).await;
        assert_eq!(marked(Kind::Order, None, 9).await, entities[1..]);
    }

    async fn snapshots_of_one_kind_are_met_once_each(fixture) {
        let (store, owned) = fixture.open_and_take().await;
        let carts = (0..3).map(|number| haat::domain::ids::CartId::from_uuid(crate::samples::uuid(&format!("cart {number}"))).entity());
        let mut orders: Vec<EntityRef> = (0..5).map(|number| order_id(&format!("{number}")).entity()).collect();
        let vendor = vendor_delta(1, vendor_rows("one", "Cup", at(1))).entity;
        let all = carts.chain(orders.clone()).chain([vendor]);
        let deltas: Vec<EntityDelta> =
            all.map(|entity| delta(entity, 7, vec![part("", "{}"), part("more", "1")])).collect();
        write_all(&store, &owned, &deltas).await;
        let (mut seen, mut after) = (Vec::new(), None);
        loop {
            let page = store.snapshots.scan_kind(Kind::Order, after, 2).await.expect("a page");
            let Some(last) = page.last() else { break };
            assert!(page.len() <= 2 && page.iter().all(|snapshot| snapshot.parts.len() == 2 && snapshot.version == 7));
            after = Some(last.entity.uuid);
            seen.extend(page.into_iter().map(|snapshot| snapshot.entity));
        }
        orders.sort_unstable();
        assert_eq!(seen, orders);
    }
}

on_both_stores! {
    /// More than one transaction takes: that it has come so far is said by the last.
    async fn a_remake_of_many_says_how_far_it_is_when_all_are_written(fixture) {
        let (store, owned) = fixture.open_and_take().await;
        let made: Vec<OrderRow> = (0..300).map(|number| order_row(&format!("{number}"), at(number))).collect();
        let first: Vec<EntityDelta> = made.iter().map(|row| order_delta(1, row.clone())).collect();
        write_all(&store, &owned, &first).await;
        fixture.execute("UPDATE orders SET payment_method = 'former'").await.expect("changed");
        let reached = Remaking { kind: Kind::Order, complete: 1, aim: 2, reached: None };
        let entities: Vec<EntityDelta> =
            made.iter().map(|row| EntityDelta::remade(row.id.entity(), 1, 2, rows_of(row))).collect();
        assert_eq!(remake(&store, &owned, &entities, Some(reached)).await.expect("written"), Written::default());
        assert!(store.checkpoints.remaking().await.expect("how they stand").contains(&reached));
        assert_eq!(fixture.number("SELECT count(*) FROM orders WHERE shape = 2 AND payment_method = 'sandbox'").await, 300);
        assert_eq!(fixture.number("SELECT count(*) FROM sub_orders WHERE shape = 2").await, 600);
    }

    /// A remake that a constraint refuses takes nothing away, and says so.
    async fn a_refused_remake_leaves_what_was_there(fixture) {
        let (store, owned) = fixture.open_and_take().await;
        let former = order_row("one", at(1));
        write_all(&store, &owned, &[order_delta(1, former.clone())]).await;
        let mut wrong = former.clone();
        wrong.sub_orders.truncate(1);
        let entities = [EntityDelta::remade(former.id.entity(), 1, 2, rows_of(&wrong))];
        let written = remake(&store, &owned, &entities, None).await.expect("it goes on");
        assert_eq!(written.refused.len(), 1);
        assert_eq!(orders(&store).await, std::slice::from_ref(&former));
        assert_eq!(store.checkpoints.marked(Kind::Order, None, 9).await.expect("marked"), [former.id.entity()]);
    }

    /// All columns of today were always there: nothing has to be complete for them.
    async fn lists_are_filtered_while_rows_are_remade_by_what_was_always_there(fixture) {
        let (store, owned) = fixture.open_and_take().await;
        write_all(&store, &owned, &[vendor_delta(1, vendor_rows("one", "Cup", at(1)))]).await;
        let under_way = Remaking { kind: Kind::Vendor, complete: 1, aim: 2, reached: None };
        remake(&store, &owned, &[], Some(under_way)).await.expect("written");
        let filter = ProductFilter { categories: vec!["kitchen".to_owned()], ..ProductFilter::default() };
        assert_eq!(store.queries.products(&filter, ProductOrder::Newest, None, 9).await.expect("products").len(), 1);
    }
}
