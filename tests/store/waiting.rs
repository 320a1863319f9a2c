//! What waits for vendors: shares by how they stand, parcels, returns, and shares that nobody has begun.

use crate::on_all_stores;
use crate::samples::{at, order_delta, order_row, paid, uuid, vendor_id, write_all};
use haat::domain::ids::{Kind, OrderId, ReturnId, ShipmentId, SkuId};
use haat::domain::money::Currency;
use haat::domain::order::{
    Cash, CreditReason, OrderFilter, OrderStatus, Parcel, Remittance, Return, ReturnStatus, ShipmentStatus,
    SubOrderStatus, WaitsFor,
};
use haat::domain::rows::{OrderRow, ReturnRow, Shapes, ShipmentRow};
use haat::domain::time::Timestamp;
use haat::domain::vendor::WantedLine;
use haat::ports::waiting::Shares;
use haat::ports::{CheckpointWrite, OrdersOf, Partition, Remake, Remaking, Store};

fn units() -> Vec<WantedLine> {
    vec![WantedLine { sku: SkuId::from_uuid(uuid("a cup")), quantity: 1 }]
}

/// A parcel of the first vendor's.
fn shipment(seed: &str, status: ShipmentStatus, made_at: Timestamp) -> ShipmentRow {
    let parcel = Parcel {
        id: ShipmentId::from_uuid(uuid(&format!("parcel {seed}"))),
        vendor: vendor_id("first"),
        lines: units(),
        status,
        courier: "own".into(),
        tracking_number: Some("RX-4711".into()),
        accepted: Vec::new(),
        handed_over_at: None,
        delivered_at: None,
        came_back: false,
        mint: None,
        refused: None,
        cancelling: false,
        astray: false,
        cash: None,
        corrected: None,
    };
    ShipmentRow { made_at, currency: Currency::BDT, parcel }
}

/// What is sent back to the first vendor.
fn returned(seed: &str, status: ReturnStatus, made_at: Timestamp) -> ReturnRow {
    let (id, reason) = (ReturnId::from_uuid(uuid(&format!("return {seed}"))), CreditReason::Damaged);
    let known =
        Return { id, vendor: vendor_id("first"), status, lines: units(), reason, received: vec![], refund: None };
    ReturnRow { made_at, known }
}

/// A paid order of which the first vendor's share stands so.
fn standing(number: i64, status: SubOrderStatus) -> OrderRow {
    let mut order = paid(order_row(&format!("{number}"), at(number / 2)));
    order.sub_orders[0].status = status;
    order.sub_orders[1].status = SubOrderStatus::Paid;
    order
}

fn ids(orders: &[OrderRow]) -> Vec<OrderId> {
    orders.iter().map(|order| order.id).collect()
}

/// All of a list, page by page.
async fn listed(store: &Store, of: OrdersOf, filter: &OrderFilter, shares: &Shares) -> Vec<OrderRow> {
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let page = store.queries.orders_by_share(of, filter, shares, after, 3).await.expect("a page");
        let Some(last) = page.last() else { return all };
        after = Some((last.placed_at, last.id));
        all.extend(page);
    }
}

/// Orders of every standing, some with parcels and returns, the newest first.
fn orders() -> Vec<OrderRow> {
    let of = [
        SubOrderStatus::Paid,
        SubOrderStatus::PartiallyPacked,
        SubOrderStatus::Packed,
        SubOrderStatus::PartiallyShipped,
        SubOrderStatus::PartiallyShipped,
        SubOrderStatus::Delivered,
        SubOrderStatus::Paid,
        SubOrderStatus::PartiallyPacked,
        SubOrderStatus::Delivered,
        SubOrderStatus::Cancelled,
        SubOrderStatus::Paid,
    ];
    let mut orders: Vec<OrderRow> = (0..).zip(of).map(|(number, status)| standing(number, status)).collect();
    // Of one of the two that are on their way in part something is left to pack.
    orders[3].sub_orders[0].to_pack = Some(2);
    let (draft, booked, away) = (ShipmentStatus::Draft, ShipmentStatus::Booked, ShipmentStatus::HandedOver);
    orders[2].shipments =
        vec![shipment("a", draft, at(20)), shipment("b", draft, at(20)), shipment("c", booked, at(21))];
    orders[4].shipments = vec![shipment("d", away, at(22)), shipment("e", booked, at(23))];
    orders[5].returns =
        vec![returned("a", ReturnStatus::Denied, at(30)), returned("b", ReturnStatus::Requested, at(31))];
    orders[8].returns = vec![returned("c", ReturnStatus::Approved, at(29))];
    orders[6].columns.status = OrderStatus::Fulfilling;
    orders[10].sub_orders[0].overdue_since = Some(1);
    orders.sort_by_key(|order| std::cmp::Reverse((order.placed_at, order.id)));
    orders
}

async fn written(store: &Store, owned: &[Partition], orders: &[OrderRow]) {
    let deltas: Vec<_> = orders.iter().cloned().map(|order| order_delta(1, order)).collect();
    write_all(store, owned, &deltas).await;
    // A store that has just been made says so once its first node has looked.
    let progress = Some(Remaking::done(Kind::Order, Shapes::default().of(Kind::Order)));
    let remake = Some(Remake { unreadable: &[], progress });
    let write = CheckpointWrite { owned, remake, ..CheckpointWrite::default() };
    store.checkpoints.write(write).await.expect("it is written");
}

on_all_stores! {
    async fn orders_are_listed_by_how_their_shares_stand_and_by_what_waits(fixture) {
        let (store, owned) = fixture.open_and_take().await;
        let orders = orders();
        written(&store, &owned, &orders).await;
        let (first, second) = (vendor_id("first"), vendor_id("second"));
        let asked = [
            Shares::Standing(vec![SubOrderStatus::Paid]),
            Shares::Standing(vec![SubOrderStatus::Packed, SubOrderStatus::Paid, SubOrderStatus::Delivered]),
            Shares::Standing(vec![SubOrderStatus::Returned]),
            Shares::Waiting(WaitsFor::Pack),
            Shares::Waiting(WaitsFor::HandOver),
            Shares::Waiting(WaitsFor::Return),
        ];
        let fulfilling = OrderFilter::from(OrderStatus::Fulfilling);
        let mut found = Vec::new();
        for shares in &asked {
            for (of, vendor) in [(OrdersOf::Vendor(first), Some(first)), (OrdersOf::Vendor(second), Some(second)), (OrdersOf::All, None)] {
                for filter in [&OrderFilter::ANY, &fulfilling] {
                    let are: Vec<OrderRow> =
                        orders.iter().filter(|order| filter.passes(&order.columns) && shares.are_of(order, vendor)).cloned().collect();
                    let there = listed(&store, of, filter, shares).await;
                    assert_eq!(ids(&there), ids(&are), "{shares:?} of {of:?}, {filter:?}");
                    if vendor == Some(first) && *filter == OrderFilter::ANY {
                        found.push(there.len());
                        assert!(there.iter().all(|order| order.sub_orders.len() == 1 && order.lines.len() == 1), "its own share alone");
                    }
                }
            }
        }
        assert_eq!(found, [3, 6, 0, 6, 2, 2], "what stands so, and waits so, of the first vendor");
    }

    async fn parcels_and_returns_are_listed_newest_first_and_come_back_with_their_orders(fixture) {
        let (store, owned) = fixture.open_and_take().await;
        let orders = orders();
        written(&store, &owned, &orders).await;
        let (first, second) = (vendor_id("first"), vendor_id("second"));
        let mut all: Vec<(OrderId, ShipmentRow)> =
            orders.iter().flat_map(|order| order.shipments.iter().map(|row| (order.id, row.clone()))).collect();
        all.sort_by_key(|(_, row)| std::cmp::Reverse((row.made_at, row.parcel.id)));
        assert_eq!(all.len(), 5);
        for statuses in [vec![], vec![ShipmentStatus::Draft], vec![ShipmentStatus::HandedOver, ShipmentStatus::Booked]] {
            let wanted = |(_, row): &&(OrderId, ShipmentRow)| statuses.is_empty() || statuses.contains(&row.parcel.status);
            let are: Vec<_> = all.iter().filter(wanted).cloned().collect();
            let (mut there, mut after) = (Vec::new(), None);
            loop {
                let page = store.queries.shipments(first, &statuses, after, 2).await.expect("a page");
                let Some((_, last)) = page.last() else { break };
                after = Some((last.made_at, last.parcel.id));
                there.extend(page);
            }
            assert_eq!(there, are, "{statuses:?}");
            assert_eq!(store.queries.shipments(second, &statuses, None, 9).await.expect("a page"), [], "another's");
        }
        let open = store.queries.returns(first, &[ReturnStatus::Requested, ReturnStatus::Approved], None, 9).await.expect("a page");
        let statuses: Vec<ReturnStatus> = open.iter().map(|(_, row)| row.known.status).collect();
        assert_eq!(statuses, [ReturnStatus::Requested, ReturnStatus::Approved]);
        let oldest = store.queries.returns(first, &[], Some((open[0].1.made_at, open[0].1.known.id)), 9).await.expect("a page");
        assert_eq!(oldest.iter().map(|(_, row)| row.known.status).collect::<Vec<_>>(), [ReturnStatus::Denied, ReturnStatus::Approved]);
        assert_eq!(store.queries.returns(second, &[], None, 9).await.expect("a page"), []);

        let mut read = store.queries.orders(OrdersOf::All, &OrderFilter::ANY, None, 99).await.expect("orders");
        assert!(read.iter().all(|order| order.shipments.is_empty() && order.returns.is_empty()), "a list has none of them");
        store.queries.fill_goods(&mut read).await.expect("they are filled");
        let by_id = |rows: &mut Vec<OrderRow>| {
            for order in rows {
                order.shipments.sort_by_key(|row| row.parcel.id);
                order.returns.sort_by_key(|row| row.known.id);
            }
        };
        let mut are = orders;
        by_id(&mut read);
        by_id(&mut are);
        assert_eq!(read, are);

        // A newer version of an order says how its parcels stand now.
        let mut newer = are.into_iter().find(|order| order.shipments.len() == 2).expect("one of two");
        newer.shipments.iter_mut().for_each(|row| row.parcel.status = ShipmentStatus::Delivered);
        write_all(&store, &owned, &[order_delta(2, newer.clone())]).await;
        let now = store.queries.shipments(first, &[ShipmentStatus::Delivered], None, 9).await.expect("a page");
        assert_eq!(now.len(), 2);
        assert!(now.iter().all(|(order, _)| *order == newer.id), "{now:?}");
    }

    async fn cash_that_did_not_come_in_is_listed_and_parcels_are_found_by_their_numbers(fixture) {
        let (store, owned) = fixture.open_and_take().await;
        let told = |remitted| Some(Remittance { collected: 600, fee: 100, remitted });
        let cash = |collected, remitted| Some(Cash { collected, remitted });
        let mut orders = Vec::new();
        for (number, courier, tracking, cash) in [
            (1, "own", "A-1", cash(600, None)),
            (2, "fast", "A-1", cash(600, told(400))),
            (3, "fast", "A-2", cash(600, told(500))),
            (4, "fast", "A-3", cash(600, told(600))),
            (5, "fast", "A-3", None),
        ] {
            let mut row = shipment(&format!("{number}"), ShipmentStatus::Delivered, at(number));
            (row.parcel.courier, row.parcel.tracking_number, row.parcel.cash) = (courier.into(), Some(tracking.into()), cash);
            let mut order = standing(number, SubOrderStatus::Delivered);
            order.shipments = vec![row];
            orders.push(order);
        }
        written(&store, &owned, &orders).await;
        let queries = &store.queries;
        let of = |rows: Vec<(OrderId, ShipmentRow)>| rows.into_iter().map(|(order, row)| (order, row.parcel.cash_open())).collect::<Vec<_>>();
        let place = |number: usize| (orders[number].shipments[0].made_at, orders[number].shipments[0].parcel.id);
        let all = of(queries.with_cash(None, None, 9).await.expect("all"));
        let are = [(orders[3].id, Some(-100)), (orders[1].id, Some(100)), (orders[0].id, Some(600))];
        assert_eq!(all, are);
        assert_eq!(of(queries.with_cash(Some("fast"), None, 9).await.expect("of one")), are[..2]);
        assert_eq!(of(queries.with_cash(None, Some(place(3)), 1).await.expect("a page")), are[1..2]);
        let parcel = |number: usize| (orders[number].id, orders[number].shipments[0].parcel.id);
        assert_eq!(queries.tracked("own", "A-1").await.expect("one"), [parcel(0)]);
        assert_eq!(queries.tracked("fast", "A-1").await.expect("one"), [parcel(1)]);
        assert_eq!(queries.tracked("fast", "A-3").await.expect("two").len(), 2);
        assert_eq!(queries.tracked("fast", "A-9").await.expect("none"), []);
    }

    async fn shares_that_nobody_has_begun_are_found_by_their_age_and_counted_once_that_is_said(fixture) {
        let (store, owned) = fixture.open_and_take().await;
        let orders = orders();
        written(&store, &owned, &orders).await;
        let first = vendor_id("first");
        let paid = |order: &&OrderRow| order.sub_orders[0].status == SubOrderStatus::Paid;
        let places: Vec<(Timestamp, OrderId)> = orders.iter().filter(paid).map(|order| (order.placed_at, order.id)).collect();
        assert_eq!(places.len(), 3);
        let queries = &store.queries;
        assert_eq!(queries.not_begun(first, at(99), true, None, 9).await.expect("all"), places);
        assert_eq!(queries.not_begun(first, at(99), false, None, 9).await.expect("those not said"), places[1..]);
        assert_eq!(queries.not_begun(first, at(3), true, None, 9).await.expect("the older ones"), places[1..]);
        assert_eq!(queries.not_begun(first, at(99), true, Some(places[0]), 1).await.expect("a page"), places[1..2]);
        assert_eq!(queries.not_begun(vendor_id("nobody"), at(99), true, None, 9).await.expect("none"), []);
        assert_eq!(queries.overdue().await.expect("a number"), 1);
    }
}
