//! The read tables give back what was written, in the order that was asked for.

use crate::random::config;
use crate::samples::{
    at, customer_row, delta, ended, of_customer, order_delta, order_row, paid, part, terms, unpaid, uuid, vendor_delta,
    vendor_id, vendor_rows, write_all,
};
use crate::{on_all_stores, on_both_stores};
use haat::domain::buyer::{Audience, MailKey};
use haat::domain::ids::{
    CartId, CategoryId, CustomerId, EntityId, Kind, OrderId, ProductId, SkuId, SubOrderId, VendorId,
};
use haat::domain::money::{Currency, Money};
use haat::domain::order::{Amounts, OrderFilter, OrderStatus, PaymentStatus, SubOrderStatus};
use haat::domain::rows::{CustomerRow, OrderLineRow, OrderRow, ProductRow, Rows, Shapes, SubOrderRow};
use haat::domain::text::words;
use haat::domain::time::Timestamp;
use haat::domain::vendor::{GoodsStatus, SkuTerms, VendorStatus};
use haat::limits;
use haat::ports::{
    CheckpointWrite, EntityDelta, Listed, OrdersOf, Partition, PriceRange, ProductFilter, ProductOrder, ProductPlace,
    Remake, Remaking, Store,
};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use uuid::Uuid;

async fn page_through(store: &Store, of: OrdersOf, limit: u32) -> Vec<OrderRow> {
    filtered(store, of, &OrderFilter::ANY, limit).await
}

async fn filtered(store: &Store, of: OrdersOf, filter: &OrderFilter, limit: u32) -> Vec<OrderRow> {
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let page = store.queries.orders(of, filter, after, limit).await.expect("a page");
        assert!(page.len() <= limit as usize);
        let Some(last) = page.last() else { return all };
        after = Some((last.placed_at, last.id));
        all.extend(page);
    }
}

fn newest_first(mut orders: Vec<OrderRow>) -> Vec<OrderRow> {
    orders.sort_by_key(|order| std::cmp::Reverse((order.placed_at, order.id)));
    orders
}

/// What of an order a vendor is shown.
fn share_of(vendor: VendorId, mut order: OrderRow) -> OrderRow {
    order.lines.retain(|line| line.vendor_id == vendor);
    order.sub_orders.retain(|share| share.vendor_id == vendor);
    order
}

on_all_stores! {
    async fn orders_come_newest_first_in_pages_of_everyone_and_of_each(fixture) {
        let (store, owned) = fixture.open_and_take().await;
        // Several at the same moment: then by id.
        let orders: Vec<OrderRow> = (0..23)
            .map(|number| {
                let order = order_row(&format!("{number}"), at(number / 4));
                if number % 3 == 0 { of_customer(order, "Rahim") } else { order }
            })
            .collect();
        let deltas: Vec<_> = orders.iter().cloned().map(|order| order_delta(1, order)).collect();
        write_all(&store, &owned, &deltas).await;
        let all = newest_first(orders);
        assert_eq!(page_through(&store, OrdersOf::All, 5).await, all);

        let rahim = CustomerId::from_uuid(uuid("Rahim"));
        let his: Vec<_> = all.iter().filter(|order| order.customer_id == Some(rahim)).cloned().collect();
        assert_eq!(his.len(), 8);
        assert_eq!(page_through(&store, OrdersOf::Customer(rahim), 3).await, his);
        for order in &all {
            // A guest is shown what is nobody's.
            let shown: Vec<_> = Some(order).filter(|order| order.customer_id.is_none()).into_iter().cloned().collect();
            assert_eq!(page_through(&store, OrdersOf::Cart(order.cart_id), 3).await, shown);
        }
        let vendor = vendor_id("second");
        let shares: Vec<_> = all.iter().cloned().map(|order| share_of(vendor, order)).collect();
        assert_eq!(shares[0].lines.len(), 1);
        assert_eq!(page_through(&store, OrdersOf::Vendor(vendor), 4).await, shares);
        assert_eq!(page_through(&store, OrdersOf::Vendor(vendor_id("nobody")), 4).await, []);
    }

    /// Of orders that earn nothing, and of other customers', nothing is summed up.
    async fn points_that_are_to_come_are_summed_up_for_each_customer(fixture) {
        let (store, owned) = fixture.open_and_take().await;
        let with = |number: i64, customer: &str, points_pending| OrderRow {
            points_pending,
            ..of_customer(order_row(&format!("{number}"), at(number)), customer)
        };
        let mut orders = [
            with(1, "Rahim", Some(7)),
            with(2, "Rahim", None),
            with(3, "Rahim", Some(5)),
            with(4, "Fina", Some(1_000_000_000_000)),
            OrderRow { points_pending: Some(3), ..order_row("5", at(5)) },
        ];
        let deltas: Vec<_> = orders.iter().cloned().map(|order| order_delta(1, order)).collect();
        write_all(&store, &owned, &deltas).await;
        let pending = async |customer: &str| {
            let customer = CustomerId::from_uuid(uuid(customer));
            store.queries.points_pending(customer).await.expect("a sum")
        };
        assert_eq!((pending("Rahim").await, pending("Fina").await, pending("Nobody").await), (12, 1_000_000_000_000, 0));
        assert_eq!(page_through(&store, OrdersOf::Customer(CustomerId::from_uuid(uuid("Fina"))), 3).await, [orders[3].clone()]);
        // It has earned them.
        orders[0].points_pending = None;
        write_all(&store, &owned, &[order_delta(2, orders[0].clone())]).await;
        assert_eq!(pending("Rahim").await, 5);
    }

    async fn a_guests_orders_are_found_by_their_address_until_they_are_somebodys(fixture) {
        let (store, owned) = fixture.open_and_take().await;
        let (theirs, others) = (MailKey([1; 16]), MailKey([2; 16]));
        let with = |number: i64, mail_key| OrderRow { mail_key, ..order_row(&format!("{number}"), at(number / 2)) };
        let mut orders: Vec<OrderRow> = (0..8).map(|number| with(number, Some(theirs))).collect();
        orders[3] = of_customer(orders[3].clone(), "Rahim");
        orders.extend([with(8, Some(others)), with(9, None)]);
        let deltas: Vec<_> = orders.iter().cloned().map(|order| order_delta(1, order)).collect();
        write_all(&store, &owned, &deltas).await;
        let found = async |key, limit| store.queries.guests_orders(key, limit).await.expect("orders");
        let ids = |rows: Vec<OrderRow>| rows.iter().map(|row| row.id).collect::<Vec<_>>();
        let all = |orders: &[OrderRow]| {
            let theirs = orders.iter().filter(|row| row.mail_key == Some(theirs) && row.customer_id.is_none());
            ids(newest_first(theirs.cloned().collect()))
        };
        assert_eq!((found(theirs, 100).await, all(&orders).len()), (all(&orders), 7));
        assert_eq!(found(theirs, 3).await, all(&orders)[..3]);
        assert_eq!(found(others, 100).await, [orders[8].id]);
        assert_eq!(found(MailKey([3; 16]), 100).await, []);

        // What anybody can type and nobody pays for does not crowd out what was bought.
        let unpaid = [OrderStatus::Rejected, OrderStatus::PaymentFailed, OrderStatus::Cancelled, OrderStatus::Expired];
        for (version, status) in (1..).zip(unpaid) {
            let ended = ended(status, with(20, Some(theirs)));
            write_all(&store, &owned, &[order_delta(version, ended)]).await;
            assert_eq!(found(theirs, 100).await, all(&orders), "{status}");
        }

        // One is attached: its row says so.
        orders[7] = of_customer(orders[7].clone(), "Fina");
        write_all(&store, &owned, &[order_delta(2, orders[7].clone())]).await;
        assert_eq!((found(theirs, 100).await, all(&orders).len()), (all(&orders), 6));
        let fina = CustomerId::from_uuid(uuid("Fina"));
        assert_eq!(page_through(&store, OrdersOf::Customer(fina), 3).await, [orders[7].clone()]);
    }

    /// By each column: so by one that comes later, too.
    async fn lists_are_filtered_by_what_stands_in_a_column(fixture) {
        let (store, owned) = fixture.open_and_take().await;
        let shape = Shapes::default().of(Kind::Order);
        let progress = Some(Remaking { kind: Kind::Order, complete: shape, aim: shape, reached: None });
        let remake = Some(Remake { unreadable: &[], progress });
        store.checkpoints.write(CheckpointWrite { owned: &owned, remake, ..CheckpointWrite::default() }).await.expect("written");
        let orders: Vec<OrderRow> = (0..12)
            .map(|number| of_customer(order_row(&format!("{number}"), at(number / 3)), "Rahim"))
            .zip([paid, |order| order].into_iter().cycle())
            .map(|(order, then)| then(order))
            .collect();
        let deltas: Vec<_> = orders.iter().cloned().map(|order| order_delta(1, order)).collect();
        write_all(&store, &owned, &deltas).await;
        let (all, vendor) = (newest_first(orders), vendor_id("second"));
        for (column, filter) in all[0].columns.filters().into_iter().chain(all[1].columns.filters()) {
            let those: Vec<_> = all.iter().filter(|order| filter.passes(&order.columns)).cloned().collect();
            for of in [OrdersOf::All, OrdersOf::Customer(CustomerId::from_uuid(uuid("Rahim")))] {
                assert_eq!(filtered(&store, of, &filter, 5).await, those, "{column}, {of:?}");
            }
            let shares: Vec<_> = those.into_iter().map(|order| share_of(vendor, order)).collect();
            assert_eq!(filtered(&store, OrdersOf::Vendor(vendor), &filter, 5).await, shares, "{column}");
            if column == "status" {
                assert_eq!(shares.len(), all.len() / 2);
            }
        }
        let expired = OrderFilter::from(OrderStatus::Expired);
        assert_eq!(filtered(&store, OrdersOf::All, &expired, 5).await, []);
    }

    async fn an_order_that_changes_is_shown_as_it_is(fixture) {
        let (store, owned) = fixture.open_and_take().await;
        let mut order = order_row("one", at(1));
        write_all(&store, &owned, &[order_delta(1, order.clone())]).await;
        // Today's price is another.
        (order.lines[1].unit_price, order.lines[1].line_total) = (60, 180);
        (order.sub_orders[1].amounts, order.amounts) = (unpaid(180), unpaid(480));
        order.sub_orders[0].status = SubOrderStatus::Paid;
        let order = paid(order);
        write_all(&store, &owned, &[order_delta(2, order.clone())]).await;
        assert_eq!(page_through(&store, OrdersOf::All, 5).await, [order]);
        assert_eq!(store.queries.order_counts().await.expect("counts"), [(OrderStatus::Paid, 1)]);
    }

    async fn orders_are_counted_by_status(fixture) {
        let (store, owned) = fixture.open_and_take().await;
        assert_eq!(store.queries.order_counts().await.expect("counts"), []);
        let orders: Vec<_> = (0..5)
            .map(|number| order_row(&format!("{number}"), at(number)))
            .map(|order| if order.placed_at < at(2) { paid(order) } else { order })
            .map(|order| order_delta(1, order))
            .collect();
        write_all(&store, &owned, &orders).await;
        let counts: BTreeMap<_, _> = store.queries.order_counts().await.expect("counts").into_iter().collect();
        assert_eq!(counts, BTreeMap::from([(OrderStatus::Paid, 2), (OrderStatus::AwaitingPayment, 3)]));
    }

    async fn products_are_found_by_vendor_category_and_words(fixture) {
        let (store, owned) = fixture.open_and_take().await;
        let titles = ["Cup 100% CLAY", "Cup_of_tea", "Plate", "চায়ের কাপ", "ÉCLAIR \\ cake", "cup of 100 beads"];
        let mut deltas = Vec::new();
        for (number, title) in (0..).zip(titles) {
            let mut rows = vendor_rows(title, title, at(number));
            rows.products[0].category = (number % 2 == 0).then(|| "even".to_owned());
            deltas.push(vendor_delta(1, rows));
        }
        write_all(&store, &owned, &deltas).await;
        let found = |filter: ProductFilter, after: Option<ProductPlace>, limit: u32| {
            let queries = store.queries.clone();
            async move {
                let found = queries.products(&filter, ProductOrder::Newest, after, limit).await.expect("products");
                let place = |product: &ProductRow| (product.created_at.as_millis(), product.id);
                found.into_iter().map(|product| (product.title.clone(), place(&product))).unzip::<String, _, Vec<_>, Vec<_>>()
            }
        };
        let text = |text: &str| ProductFilter { terms: terms(text), ..ProductFilter::default() };
        for (asked, expected) in [
            ("cup", &["cup of 100 beads", "Cup_of_tea", "Cup 100% CLAY"][..]),
            ("100 cu", &["cup of 100 beads", "Cup 100% CLAY"]),
            ("100%", &["cup of 100 beads", "Cup 100% CLAY"]),
            ("of cup", &["cup of 100 beads", "Cup_of_tea"]),
            ("pla", &["Plate"]),
            ("e\u{301}clair", &["ÉCLAIR \\ cake"]),
            ("কাপ", &["চায়ের কাপ"]),
            ("চা কাপ", &[]),
            ("up", &[]),
            ("c plate", &["Plate"]),
            ("z plate", &[]),
        ] {
            assert_eq!(found(text(asked), None, 9).await.0, expected, "{asked}");
        }
        let even = ProductFilter { categories: vec!["even".to_owned()], ..ProductFilter::default() };
        let (first, places) = found(even.clone(), None, 2).await;
        assert_eq!(first, ["ÉCLAIR \\ cake", "Plate"]);
        assert_eq!(found(even, places.last().copied(), 2).await.0, ["Cup 100% CLAY"]);
        let of_vendor = ProductFilter { vendor: Some(vendor_id("Plate")), ..ProductFilter::default() };
        let rows = store.queries.products(&of_vendor, ProductOrder::Newest, None, 9).await.expect("products");
        assert_eq!(rows, deltas[2].rows.products);
        assert_eq!(found(ProductFilter::default(), None, 9).await.0.len(), titles.len());
        // A category whose name has the word does as well as the word.
        let category = CategoryId::from_uuid(uuid("a category"));
        deltas[2].rows.products[0].words = words::joined(["Plate", &category.to_string()].into_iter());
        write_all(&store, &owned, &[vendor_delta(2, deltas[2].rows.clone())]).await;
        let mut named = terms("dishes plate");
        assert_eq!(found(ProductFilter { terms: named.clone(), ..ProductFilter::default() }, None, 9).await.0, [""; 0]);
        named[0].categories.push(category);
        assert_eq!(found(ProductFilter { terms: named, ..ProductFilter::default() }, None, 9).await.0, ["Plate"]);
        // What it said before it says no more.
        assert_eq!(found(text("kitchen plate"), None, 9).await.0, [""; 0]);
    }

    /// Where more products than a search gathers have a word, they are looked through instead: what is found is the same.
    async fn a_word_that_nearly_all_have_finds_the_newest(fixture) {
        let (store, owned) = fixture.open_and_take().await;
        let many = limits::SEARCH_FOUND + 5;
        let mut rows = vendor_rows("large", "Plate", at(0));
        let one = rows.products.remove(0);
        for number in 0..many {
            let title = if number % 500 == 7 { format!("Blue plate {number}") } else { format!("Plate {number}") };
            let id = ProductId::from_uuid(uuid(&format!("plate {number}")));
            let words = words::joined([title.as_str()].into_iter());
            rows.products.push(ProductRow { id, title, words, created_at: at(number.into()), sku_ids: Vec::new(), ..one.clone() });
        }
        rows.skus.clear();
        write_all(&store, &owned, &[vendor_delta(1, rows)]).await;
        let found = |text: &'static str, limit: u32| {
            let (queries, filter) = (store.queries.clone(), ProductFilter { terms: terms(text), ..ProductFilter::default() });
            async move {
                let rows = queries.products(&filter, ProductOrder::Newest, None, limit).await.expect("products");
                rows.into_iter().map(|row| row.title).collect::<Vec<_>>()
            }
        };
        let newest: Vec<String> = (1..=3).map(|back| format!("Plate {}", many - back)).collect();
        assert_eq!(found("plate", 3).await, newest);
        assert_eq!(found("pl", 3).await, newest);
        assert_eq!(found("lat", 3).await, [""; 0]);
        let blue = (0..many).rev().filter(|number| number % 500 == 7).map(|number| format!("Blue plate {number}"));
        assert_eq!(found("plate blue", 9).await, blue.collect::<Vec<_>>());
    }

    async fn products_are_filtered_and_ordered(fixture) {
        let (store, owned) = fixture.open_and_take().await;
        let price = |minor| Some(Money::new(minor, Currency::BDT));
        let mut deltas = Vec::new();
        for (number, (title, minor, in_stock)) in (0..).zip([("a", 300, true), ("b", 100, false), ("c", 200, true), ("d", 100, true)]) {
            let mut rows = vendor_rows(title, title, at(number));
            (rows.products[0].price, rows.products[0].in_stock) = (price(minor), in_stock);
            deltas.push(vendor_delta(1, rows));
        }
        let mut without = vendor_rows("e", "e", at(9));
        (without.products[0].price, without.products[0].in_stock) = (None, false);
        without.products[0].status = GoodsStatus::Archived;
        let mut suspended = vendor_rows("f", "f", at(10));
        suspended.vendors[0].status = VendorStatus::Suspended;
        deltas.extend([vendor_delta(1, without), vendor_delta(1, suspended)]);
        write_all(&store, &owned, &deltas).await;
        let found = |filter: ProductFilter, order: ProductOrder| {
            let queries = store.queries.clone();
            async move {
                // Page by page, one on each.
                let (mut found, mut after) = (String::new(), None);
                loop {
                    let page = queries.products(&filter, order, after, 1).await.expect("products");
                    let Some(row) = page.first() else { return found };
                    found.push_str(&row.title);
                    let at = row.created_at.as_millis();
                    after = Some((if order == ProductOrder::Newest { at } else { row.price.expect("a price").minor }, row.id));
                }
            }
        };
        let any = ProductFilter::default;
        let own = |status| ProductFilter { status: Listed::Own(status), ..any() };
        let range = |least, most| ProductFilter { price: Some(PriceRange { currency: Currency::BDT, least, most }), ..any() };
        let dollars = PriceRange { currency: "USD".parse().expect("a currency"), least: 0, most: i64::MAX };
        // Of the same price, by their ids.
        let cheapest = if uuid("product of b") < uuid("product of d") { "bdca" } else { "dbca" };
        for (filter, order, expected) in [
            (any(), ProductOrder::Newest, "dcba".to_owned()),
            (own(None), ProductOrder::Newest, "fedcba".to_owned()),
            (own(Some(GoodsStatus::Archived)), ProductOrder::Newest, "e".to_owned()),
            (own(Some(GoodsStatus::Active)), ProductOrder::Newest, "fdcba".to_owned()),
            (ProductFilter { in_stock: Some(true), ..any() }, ProductOrder::Newest, "dca".to_owned()),
            (ProductFilter { in_stock: Some(false), ..any() }, ProductOrder::Newest, "b".to_owned()),
            (any(), ProductOrder::Cheapest, cheapest.to_owned()),
            (any(), ProductOrder::Dearest, cheapest.chars().rev().collect()),
            (range(101, 299), ProductOrder::Newest, "c".to_owned()),
            (range(200, 300), ProductOrder::Cheapest, "ca".to_owned()),
            (ProductFilter { price: Some(dollars), ..any() }, ProductOrder::Newest, String::new()),
            (ProductFilter { terms: terms("kitchen"), ..range(100, 100) }, ProductOrder::Newest, "db".to_owned()),
        ] {
            assert_eq!(found(filter.clone(), order).await, expected, "{filter:?} {order:?}");
        }
    }

    async fn the_catalog_is_complete(fixture) {
        let (store, owned) = fixture.open_and_take().await;
        assert_eq!(store.queries.catalog().await.expect("the catalog"), Rows::default());
        let mut first = vendor_rows("one", "Cup", at(1));
        let second = vendor_rows("two", "Plate", at(2));
        write_all(&store, &owned, &[vendor_delta(1, first.clone()), vendor_delta(1, second.clone())]).await;
        // A change of one SKU touches nothing else.
        (first.skus[0].price_minor, first.skus[0].on_hand, first.skus[0].held) = (1, 0, 0);
        first.skus[0].terms = Some(Arc::new(SkuTerms { weight_grams: Some(350), ..SkuTerms::default() }));
        let change = Rows { vendors: first.vendors.clone(), skus: vec![first.skus[0].clone()], ..Rows::default() };
        write_all(&store, &owned, &[vendor_delta(2, change)]).await;
        // Of customers the newest row counts, as of all others.
        let exempt = Some(haat::domain::buyer::Exemption::Resale);
        let wholesaler = CustomerRow { exempt, multiplier: Some(15_000), ..customer_row("one", Audience::Wholesale) };
        let customer = |version, row: CustomerRow| {
            let rows = Rows { customers: vec![row], ..Rows::default() };
            EntityDelta { rows, ..delta(row.id.entity(), version, vec![part("", "{}")]) }
        };
        let retail = customer_row("one", Audience::Retail);
        write_all(&store, &owned, &[customer(3, wholesaler), customer(2, retail)]).await;
        let mut expected = Rows {
            vendors: [first.vendors, second.vendors].concat(),
            products: [first.products, second.products].concat(),
            skus: [first.skus, second.skus].concat(),
            sales: [first.sales, second.sales].concat(),
            customers: vec![wholesaler],
            orders: Vec::new(),
            coupons: Vec::new(),
        };
        expected.vendors.sort_by_key(|row| row.id);
        expected.products.sort_by_key(|row| row.id);
        expected.skus.sort_by_key(|row| row.id);
        expected.sales.sort_by_key(|row| row.id);
        assert_eq!(store.queries.catalog().await.expect("the catalog"), expected);
        // What the tables work out themselves, the simulation has no column for.
        if let Some(sum) = fixture.sum("available", "skus").await {
            assert_eq!(sum, 15);
        }
    }
}

on_both_stores! {
    /// Who looks at a store by hand finds lines and payments where they were tables once.
    async fn lines_and_payments_can_be_looked_at_by_hand(fixture) {
        let (store, owned) = fixture.open_and_take().await;
        let mut ended = order_row("ended", at(2));
        ended.columns.status = OrderStatus::Expired;
        for line in &mut ended.lines {
            (line.credited, line.credited_amount) = (line.quantity, line.line_total);
        }
        for amounts in ended.sub_orders.iter_mut().map(|share| &mut share.amounts).chain([&mut ended.amounts]) {
            (amounts.credited, amounts.total_due) = (amounts.total, 0);
        }
        let orders = [order_row("one", at(1)), ended, paid(order_row("paid", at(3)))];
        write_all(&store, &owned, &orders.map(|order| order_delta(1, order))).await;
        for (number, of) in [
            (6, "count(*) FROM order_lines JOIN orders ON orders.id = order_id WHERE orders.currency = order_lines.currency"),
            (3, "count(*) FROM order_lines WHERE position = 1 AND quantity = 3 AND unit_price = 50 AND line_total = 150"),
            (3, "count(DISTINCT order_id) FROM order_lines WHERE title = 'What is a cup'"),
            (2, "count(DISTINCT vendor_id) FROM order_lines"),
            (5, "sum(credited) FROM order_lines"),
            (450, "sum(credited_amount) FROM order_lines"),
            (2, "count(*) FROM payments WHERE method = 'sandbox' AND status = 'pending' AND captured = 0"),
            (450, "sum(captured) FROM payments WHERE status = 'captured' AND refunded = 0 AND version = 1"),
        ] {
            // A sum of 64-bit numbers is a decimal on Postgres.
            assert_eq!(fixture.number(&format!("SELECT CAST({}", of.replacen(" FROM", " AS bigint) FROM", 1))).await, number, "{of}");
        }
    }

    async fn any_orders_are_read_back_as_they_were_written(fixture) {
        let (store, owned) = fixture.open_and_take().await;
        let runtime = tokio::runtime::Handle::current();
        let checked = tokio::task::spawn_blocking(move || {
            let mut runner = TestRunner::new(config(24));
            runner.run(&prop::collection::vec(any_order(), 1..12), |orders| {
                runtime.block_on(write_and_read_back(&store, &owned, orders))
            })
        });
        if let Err(error) = checked.await.expect("the check does not panic") {
            panic!("{error}");
        }
    }
}

/// A vendor's row without its products is not in anyone's way.
#[tokio::test]
async fn on_sqlite_an_entity_without_rows_is_written() {
    let fixture = crate::fixture::Fixture::sqlite();
    let (store, owned) = fixture.open_and_take().await;
    let cart = haat::domain::ids::EntityId::entity(CartId::from_uuid(uuid("cart")));
    write_all(&store, &owned, &[delta(cart, 1, vec![part("", "{}")])]).await;
    assert!(store.snapshots.load(cart).await.expect("it loads").is_some());
}

async fn write_and_read_back(store: &Store, owned: &[Partition], orders: Vec<OrderRow>) -> Result<(), TestCaseError> {
    let deltas: Vec<_> = orders.iter().cloned().map(|order| order_delta(1, order)).collect();
    write_all(store, owned, &deltas).await;
    for order in orders {
        let of = order.customer_id.map_or(OrdersOf::Cart(order.cart_id), OrdersOf::Customer);
        let read = store.queries.orders(of, &OrderFilter::ANY, None, 9).await.expect("orders");
        prop_assert_eq!(read, vec![order]);
    }
    Ok(())
}

fn any_uuid() -> impl Strategy<Value = Uuid> {
    any::<u128>().prop_map(Uuid::from_u128)
}

/// Any text that Postgres can hold: all but NUL.
fn any_text() -> impl Strategy<Value = String> {
    any::<String>().prop_map(|text| text.replace('\0', ""))
}

fn any_moment() -> impl Strategy<Value = Timestamp> {
    // Years 1900 to 9999.
    (-2_208_988_800_000i64..253_402_300_799_999).prop_map(Timestamp::from_millis)
}

prop_compose! {
    fn any_line()(sku in any_uuid(), vendor in 0usize..3, title in any_text(), quantity in 1i64..=10_000, unit_price in 0i64..=1_000_000_000_000)
        -> (usize, OrderLineRow) {
        let vendor_id = VendorId::from_uuid(Uuid::nil());
        (vendor, OrderLineRow { sku_id: SkuId::from_uuid(sku), vendor_id, title, quantity, unit_price, line_total: quantity * unit_price, list_price: None, sale_id: None, credited: 0, credited_amount: 0, billed: None, goods: None })
    }
}

prop_compose! {
    /// An order that keeps to the rules, whatever it is otherwise.
    fn any_order()(
        ids in (any_uuid(), any_uuid(), proptest::option::of(any_uuid())),
        vendors in prop::array::uniform3(any_uuid()),
        lines in prop::collection::vec(any_line(), 1..8),
        attempt in 1u32..,
        currency in prop::sample::select(vec!["BDT", "JPY", "KWD"]),
        status in prop::sample::select(OrderStatus::ALL.to_vec()),
        statuses in (
            prop::sample::select(vec![PaymentStatus::None, PaymentStatus::Pending, PaymentStatus::RequiresAction, PaymentStatus::Captured, PaymentStatus::Declined, PaymentStatus::Voided, PaymentStatus::Refunded]),
            prop::sample::select(vec![SubOrderStatus::Placed, SubOrderStatus::Held, SubOrderStatus::Rejected, SubOrderStatus::Paid, SubOrderStatus::Released]),
        ),
        (credited, paid, refunded) in (0i64..1_000_000_000_000, 0i64..1_000_000_000_000, 0i64..1_000_000_000_000),
        moments in (any_moment(), any_moment()),
        payment_method in any_text(),
    ) -> OrderRow {
        let (id, cart_id) = (OrderId::from_uuid(ids.0), CartId::from_uuid(ids.1));
        let mut seen = BTreeSet::new();
        let vendor = |index: usize| VendorId::from_uuid(vendors[index]);
        let lines: Vec<OrderLineRow> = lines
            .into_iter()
            .filter(|(_, line)| seen.insert(line.sku_id))
            .map(|(index, line)| OrderLineRow { vendor_id: vendor(index), ..line })
            .collect();
        let mut sub_orders: Vec<SubOrderRow> = Vec::new();
        for line in &lines {
            match sub_orders.iter_mut().find(|share| share.vendor_id == line.vendor_id) {
                Some(share) => share.amounts.total += line.line_total,
                None => sub_orders.push(SubOrderRow {
                    id: SubOrderId::of(id, line.vendor_id),
                    vendor_id: line.vendor_id,
                    status: statuses.1,
                    amounts: Amounts { total: line.line_total, ..Amounts::default() },
                    to_pack: None,
                    overdue_since: None,
                }),
            }
        }
        let mut lines = lines;
        for share in &mut sub_orders {
            let (share, vendor) = (&mut share.amounts, share.vendor_id);
            let credited = share.total.min(credited);
            let own = lines.iter_mut().find(|line| line.vendor_id == vendor).expect("a line");
            own.credited_amount = credited;
            let paid = paid.min(share.total);
            let refunded = refunded.min(paid);
            let balance = share.total - credited - (paid - refunded);
            let (total_due, refund_due) = (balance.max(0), (-balance).max(0));
            *share = Amounts { credited, paid, refunded, total_due, refund_due, ..*share };
        }
        OrderRow {
            id,
            cart_id,
            attempt,
            customer_id: ids.2.map(CustomerId::from_uuid),
            mail_key: None,
            columns: status.into(),
            currency: currency.parse::<Currency>().expect("a currency"),
            amounts: Amounts::sum(sub_orders.iter().map(|share| share.amounts)),
            placed_at: moments.0,
            payment_due_at: moments.1,
            payment_method,
            payment_status: statuses.0,
            sub_orders,
            outside: None,
            points_pending: None,
            bill: None,
            lines,
            shipments: Vec::new(),
            returns: Vec::new(),
        }
    }
}

/// What looks at whole tables at start-up has the time of a checkpoint, not that of a list: a large table must not keep a server from
/// starting for ever. Here somebody holds the table for longer than a list may take.
#[tokio::test]
async fn on_postgres_what_a_start_reads_may_take_longer_than_a_list() {
    let fixture = crate::fixture::Fixture::postgres().await;
    let mut config = fixture.config();
    config.options.query_timeout = std::time::Duration::from_millis(50);
    let store = haat::persistence::open(&config, haat::persistence::Mode::Serve).await.expect("the store opens");
    let mut somebody = fixture.connection().await;
    let mut holding = sqlx::Connection::begin(&mut somebody).await.expect("a transaction");
    sqlx::query("LOCK TABLE orders, skus").execute(&mut *holding).await.expect("the tables are held");
    let queries = store.queries.clone();
    let reading = tokio::spawn(async move { (queries.order_counts().await, queries.catalog().await) });
    let waiting =
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    while fixture.number(waiting).await == 0 && !reading.is_finished() {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    sqlx::query("SELECT pg_sleep(0.2)").execute(&mut *holding).await.expect("longer than a list may take");
    holding.rollback().await.expect("the tables are let go");
    let (counts, catalog) = reading.await.expect("it does not panic");
    assert_eq!(counts.expect("counted"), []);
    assert_eq!(catalog.expect("read"), Default::default());
}

/// How many orders have each status is read from an index, not from the orders.
#[tokio::test]
async fn orders_are_counted_without_reading_them() {
    const COUNT: &str = "SELECT status, count(*) FROM orders GROUP BY status ORDER BY status";
    let fixture = crate::fixture::Fixture::sqlite();
    let _store = fixture.open().await;
    let plan = fixture.text(&format!("EXPLAIN QUERY PLAN {COUNT}"), 3).await;
    assert!(plan.contains("COVERING INDEX orders_of_status"), "{plan}");
    let fixture = crate::fixture::Fixture::postgres().await;
    let _store = fixture.open().await;
    assert_eq!(fixture.number("SELECT count(*) FROM pg_indexes WHERE indexname = 'orders_of_status'").await, 1);
}
