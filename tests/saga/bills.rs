//! Orders with a bill: what they come to is fixed in the turn in which all their stock is held, and never again.

use crate::world::World;
use crate::world::gateway::{APPROVE, DECLINE};
use crate::world::shop::{buyer, details, first_price, vendor};
use haat::domain::buyer::Mint;
use haat::domain::cart::quote::contents;
use haat::domain::cart::{Cart, CartCommand, CartStatus, Quote, QuoteDiffers};
use haat::domain::entity::Principal;
use haat::domain::entity::concerns::*;
use haat::domain::ids::{CartId, CreditId, OrderId, ShipmentId, ShippingMethodId, VendorId};
use haat::domain::knowledge::Knowledge;
use haat::domain::money::{Currency, Money};
use haat::domain::order::{
    CreditReason, CreditSeed, Milestone, NewParcel, OrderCommand, OrderStatus, OrderView, ParcelEnd, ParcelStep,
};
use haat::domain::pricing::{Rate, ShippingMethod, Tables, TaxRow, TaxTables, Zone};
use haat::domain::reject::Reject;
use haat::domain::time::Timestamp;
use std::sync::Arc;
use uuid::Uuid;

const SHIPPING: i64 = 6_000;

fn method_id(number: u128) -> ShippingMethodId {
    ShippingMethodId::from_uuid(Uuid::from_u128(number))
}

fn method(number: u128, country: &str, minor: i64) -> ShippingMethod {
    let rate = Rate::Flat { price: Money::new(minor, Currency::BDT) };
    let zone = Zone { countries: vec![country.to_owned()], postcodes: Vec::new(), rate, free_from: None };
    ShippingMethod {
        id: method_id(number),
        name: format!("Method {number}"),
        zones: vec![zone],
        cod: false,
        cod_fee: None,
        days: [1, 2],
        tax_category: None,
    }
}

fn tables(country: &str, rate_milli_percent: u32) -> Tables {
    let row = TaxRow {
        country: "BD".into(),
        region: None,
        category: "standard".into(),
        rate_milli_percent,
        reason: None,
        valid_from: Timestamp::default(),
    };
    let methods = vec![method(1, country, SHIPPING), method(2, country, 2 * SHIPPING)];
    Tables {
        tax: Some(TaxTables { tax_tables: vec![row], ..TaxTables::default() }.into()),
        shipping: [(vendor(0), methods)].into_iter().collect(),
        ..Tables::default()
    }
}

/// Two pieces of one vendor, one of another, in a shop with these tables.
fn world(tables: Tables) -> (World, i64) {
    let mut world = World::shop(2);
    world.set_line(0, (0, 0), 2).unwrap();
    world.set_line(0, (1, 0), 1).unwrap();
    world.prices.tables = Some(Arc::new(tables));
    (world, 2 * first_price(0, 0) + first_price(1, 0))
}

/// 15 % on top, for both shares by themselves.
fn taxed() -> (i64, i64) {
    let first = 2 * first_price(0, 0) + SHIPPING;
    let second = first_price(1, 0);
    (first + (first * 15 + 50) / 100, second + (second * 15 + 50) / 100)
}

fn view(world: &World, order: OrderId) -> OrderView {
    world.orders[&order].entity.view(Principal::SHOP).unwrap()
}

#[test]
fn a_bill_is_made_when_all_is_held_and_stays() {
    let (mut world, goods) = world(tables("BD", 15_000));
    let (first, second) = taxed();
    // Without a total that the buyer agreed to, the goods alone are agreed.
    let (refused, _) = world.check_out(0, APPROVE, None).unwrap();
    world.settle();
    let actual_total = Money::new(first + second, Currency::BDT);
    assert_ne!(actual_total.minor, goods);
    assert_eq!(world.told(0, refused, Milestone::Held), Some(Err(Reject::PriceChanged { actual_total })));
    let (order, _) = world.check_out(0, APPROVE, Some(first + second)).unwrap();
    world.settle();
    let paid = view(&world, order);
    assert_eq!(
        (paid.status, paid.amounts.total, paid.amounts.paid),
        (OrderStatus::Paid, first + second, first + second)
    );
    let totals: Vec<i64> = paid.sub_orders.iter().map(|share| share.amounts.total).collect();
    assert_eq!(totals, [first, second]);
    let billed = paid.sub_orders[0].billed.as_deref().unwrap();
    assert_eq!((billed.method, billed.shipping), (Some(method_id(1)), SHIPPING));
    // Whatever is set afterwards.
    world.prices.tables = Some(Arc::new(tables("IN", 20_000)));
    world.pass(1);
    assert_eq!(view(&world, order), paid);
    let row = world.orders[&order].entity.row().unwrap();
    assert_eq!(row.bill.map(|bill| (bill.besides, bill.besides_credited)).unwrap().1, 0);
}

#[test]
fn what_ends_unpaid_is_credited_with_its_shipping() {
    let (mut world, _) = world(tables("BD", 15_000));
    let (first, second) = taxed();
    let (order, _) = world.check_out(0, DECLINE, Some(first + second)).unwrap();
    world.settle();
    let failed = view(&world, order);
    let amounts = failed.amounts;
    assert_eq!((failed.status, amounts.credited, amounts.total_due), (OrderStatus::PaymentFailed, first + second, 0));
    assert_eq!(world.carts[&CartId::from_uuid(failed.cart.uuid())].entity.view().unwrap().status, CartStatus::Open);
}

#[test]
fn an_address_that_nobody_serves_is_refused_by_the_cart_and_by_the_order() {
    let not_served = Reject::AddressNotServed { vendor_ids: vec![vendor(0)] };
    let (mut known, goods) = world(tables("IN", 0));
    assert_eq!(known.check_out(0, APPROVE, Some(goods)), Err(not_served.clone()));
    // The tables are others by the time that all is held.
    let (mut world, _) = world(tables("BD", 0));
    let (order, _) = world.check_out(0, APPROVE, Some(goods + SHIPPING)).unwrap();
    world.prices.tables = Some(Arc::new(tables("IN", 0)));
    world.settle();
    assert_eq!(world.told(0, order, Milestone::Held), Some(Err(not_served)));
    assert_eq!(view(&world, order).status, OrderStatus::Rejected);
}

#[test]
fn amounts_below_the_least_that_a_method_takes() {
    let (mut world, _) = world(Tables::default());
    world.prices.least = 100_000_000;
    let (order, _) = world.check_out(0, APPROVE, None).unwrap();
    world.settle();
    let minimum = Money::new(100_000_000, Currency::BDT);
    assert_eq!(world.told(0, order, Milestone::Held), Some(Err(Reject::AmountBelowMinimum { minimum })));
}

#[test]
fn a_shop_without_tables_records_no_bill() {
    let (mut world, goods) = world(Tables::default());
    let (order, _) = world.check_out(0, APPROVE, None).unwrap();
    world.settle();
    let json = serde_json::to_string(&world.orders[&order].entity).unwrap();
    assert!(!json.contains("bill") && !json.contains("shipping"), "{json}");
    assert_eq!(view(&world, order).amounts.total, goods);
    assert_eq!(world.orders[&order].entity.row().unwrap().bill, None);
}

#[test]
fn what_is_nothing_but_lines_has_no_bill_beside_what_others_ship() {
    let mut world = World::shop(1);
    world.set_line(0, (1, 0), 1).unwrap();
    world.prices.tables = Some(Arc::new(Tables { tax: None, ..tables("IN", 0) }));
    let (order, _) = world.check_out(0, APPROVE, None).unwrap();
    world.settle();
    assert_eq!(view(&world, order).status, OrderStatus::Paid);
    assert_eq!(view(&world, order).bill, None);
}

fn chosen(number: u128) -> Vec<(VendorId, ShippingMethodId)> {
    vec![(vendor(0), method_id(number))]
}

#[test]
fn a_checkout_agrees_with_its_quote_or_is_refused() {
    let (mut world, goods) = world(tables("BD", 0));
    let id = world.carts.keys().copied().next().unwrap();
    let lines = world.carts[&id].entity.view().unwrap().lines;
    let quote = Quote {
        cart: id,
        contents: contents(&lines, &[]),
        total: Money::new(goods + 2 * SHIPPING, Currency::BDT),
        shipping: chosen(2),
        points: None,
        method: Some("sandbox".into()),
        country: "BD".into(),
        region: None,
        postcode: None,
        expires_at: world.now.plus_millis(1_000),
    };
    let request = |quote: Quote, shipping| {
        let details =
            haat::domain::cart::CheckoutRequest { quote: Some(Box::new(quote)), shipping, ..details(APPROVE, None) };
        CartCommand::CheckOut { by: buyer(0), details: Box::new(details) }
    };
    let spoiled = |change: &dyn Fn(&mut Quote)| {
        let mut quote = quote.clone();
        change(&mut quote);
        request(quote, Vec::new())
    };
    for (command, why) in [
        (spoiled(&|quote| quote.expires_at = Timestamp::default()), QuoteDiffers::Time),
        (spoiled(&|quote| quote.contents += 1), QuoteDiffers::Cart),
        (spoiled(&|quote| quote.cart = CartId::from_uuid(Uuid::from_u128(77))), QuoteDiffers::Cart),
        (spoiled(&|quote| quote.country = "IN".into()), QuoteDiffers::Address),
        (spoiled(&|quote| quote.postcode = Some("1205".into())), QuoteDiffers::Address),
        (spoiled(&|quote| quote.method = Some("stripe".into())), QuoteDiffers::Choice),
        (request(quote.clone(), chosen(1)), QuoteDiffers::Choice),
    ] {
        let told = world.ask::<Cart>(id, command).unwrap();
        assert_eq!(told.unwrap_err(), Reject::QuoteExpired { why });
    }
    world.ask::<Cart>(id, request(quote.clone(), Vec::new())).unwrap().unwrap();
    world.settle();
    let order = *world.orders.keys().next().unwrap();
    let paid = view(&world, order);
    assert_eq!((paid.status, paid.amounts.total), (OrderStatus::Paid, goods + 2 * SHIPPING));
    assert_eq!(paid.sub_orders[0].billed.as_deref().unwrap().method, Some(method_id(2)));
}

/// A whole share that came back, though it was said to be delivered or lost: its shipping is given back with it, as at the door.
#[test]
fn a_share_that_in_fact_came_back_is_credited_with_its_shipping() {
    let (first, second) = taxed();
    let wrong = || [ParcelStep::Deliver { accepted: None, collected: None }, ParcelStep::Lost];
    for said in wrong().into_iter().map(Some).chain([None]) {
        let (mut world, _) = world(tables("BD", 15_000));
        let (order, _) = world.check_out(0, APPROVE, Some(first + second)).unwrap();
        world.settle();
        let id = ShipmentId::from_uuid(Uuid::from_u128(1));
        let (by, courier) = (Principal::SHOP, "own".into());
        let parcel =
            NewParcel { id, vendor: vendor(0), lines: Vec::new(), courier, tracking_number: None, booking: None };
        let (mut entity, now) = (world.orders[&order].entity.clone(), world.now);
        let mut ask = |command| {
            let events = entity.decide(&command, &Knowledge::NOTHING, now).expect("it is done");
            events.iter().for_each(|event| entity.apply(event, now));
        };
        ask(OrderCommand::Ship { by, parcel: Box::new(parcel) });
        let last = if said.is_some() { ParcelStep::Correct { to: ParcelEnd::Returned } } else { ParcelStep::Returned };
        let steps = [Some(ParcelStep::HandOver), said, Some(last)].into_iter().flatten();
        for (number, step) in (1..).zip(steps) {
            let credit = CreditId::from_uuid(Uuid::from_u128(number));
            let seed = CreditSeed { id: credit, mint: Mint([1; 4]), reason: CreditReason::DeliveryRefused };
            ask(OrderCommand::MoveParcel { by, shipment: id, step: Box::new(step), seed });
        }
        let credited = entity.view(by).expect("it is the shop's").sub_orders[0].amounts.credited;
        assert_eq!(credited, first);
    }
}
