//! What can be had in a sale, when, by whom, and what of it is recorded. Each figure is checked by hand.

use super::*;
use crate::domain::entity::{Decides as _, Keeps as _, Principal};
use crate::domain::ids::{OrderId, ProductId, VendorId};
use crate::domain::knowledge::Knowledge;
use crate::domain::money::Currency;
use crate::domain::vendor::{NewProduct, NewSku, VendorCommand, VendorEvent, WantedLine};
use crate::domain::who::{Member, VendorRole};
use proptest::prelude::*;
use uuid::Uuid;

const ON_HAND: i64 = 1_000;
const LIST: i64 = 100;

fn at(second: i64) -> Timestamp {
    Timestamp::from_millis(1_700_000_000_000 + second * 1000)
}

fn sku(number: u128) -> SkuId {
    SkuId::from_uuid(Uuid::from_u128(number))
}

fn sale_id(number: u128) -> SaleId {
    SaleId::from_uuid(Uuid::from_u128(number))
}

fn by() -> Principal {
    Principal::SHOP
}

/// A vendor with two SKUs.
fn shop() -> Vendor {
    let mut vendor = Vendor::new(VendorId::from_uuid(Uuid::from_u128(1)));
    vendor.apply(&VendorEvent::VendorCreated { name: "A shop".into() }, at(0));
    let new = |number: u128| NewSku {
        id: sku(number),
        code: format!("C-{number}"),
        price_minor: LIST,
        currency: Currency::BDT,
        on_hand: ON_HAND,
    };
    let product = NewProduct {
        id: ProductId::from_uuid(Uuid::from_u128(1)),
        title: "Cup".into(),
        description: None,
        category: None,
        skus: vec![new(1), new(2)],
    };
    vendor.apply(&VendorEvent::ProductAdded { product }, at(0));
    vendor
}

fn item(number: u128, allotment: i64) -> SaleItem {
    SaleItem {
        sku: sku(number),
        price_minor: 60,
        currency: Currency::BDT,
        allotment,
        limit_per_customer: None,
        tranches: Vec::new(),
    }
}

/// From second 100 on, until 200.
fn terms(items: Vec<SaleItem>) -> SaleTerms {
    SaleTerms {
        name: "11.11".into(),
        starts_at: at(100),
        ends_at: at(200),
        time_zone: "Asia/Dhaka".into(),
        items,
        limit_per_customer: None,
        requires: Requires::Nothing,
        room: None,
        when_exhausted: WhenExhausted::Stop,
        payment_methods: Vec::new(),
    }
}

fn ask(vendor: &mut Vendor, command: &VendorCommand, now: Timestamp) -> Result<Vec<VendorEvent>, Reject> {
    let events = vendor.decide(command, &Knowledge::NOTHING, now)?;
    events.iter().for_each(|event| vendor.apply(event, now));
    vendor.check_sales();
    Ok(events)
}

fn schedule(vendor: &mut Vendor, number: u128, terms: SaleTerms, now: Timestamp) -> Result<(), Reject> {
    let command = VendorCommand::ScheduleSale { by: by(), sale: sale_id(number), terms: Box::new(terms) };
    ask(vendor, &command, now).map(drop)
}

fn edit(vendor: &mut Vendor, number: u128, change: SaleChange, now: Timestamp) -> Result<(), Reject> {
    let command = VendorCommand::EditSale { by: by(), sale: sale_id(number), change: Box::new(change) };
    ask(vendor, &command, now).map(drop)
}

fn guest(keys: &[u8]) -> HeldFor {
    let keys = keys.iter().map(|key| BuyerKey([*key; 8])).collect();
    HeldFor { keys, method: "sandbox".into(), ..HeldFor::default() }
}

fn customer(keys: &[u8]) -> HeldFor {
    HeldFor { customer: Some(crate::domain::ids::CustomerId::from_uuid(Uuid::from_u128(7))), ..guest(keys) }
}

/// Asks for pieces of SKU 1 for this order; at which price and in which sale they are held.
fn take(
    vendor: &mut Vendor,
    order: u128,
    quantity: i64,
    held_for: &HeldFor,
    now: Timestamp,
) -> Result<(i64, Option<SaleId>), Reject> {
    let command = VendorCommand::Reserve {
        order: OrderId::from_uuid(Uuid::from_u128(order)),
        until: now.plus_millis(600_000),
        currency: Currency::BDT,
        lines: vec![WantedLine { sku: sku(1), quantity }],
        held_for: Box::new(held_for.clone()),
    };
    let events = ask(vendor, &command, now)?;
    let [VendorEvent::StockHeld { lines, .. }] = events.as_slice() else { panic!("{events:?}") };
    Ok((lines[0].unit_price, lines[0].sale))
}

fn release(vendor: &mut Vendor, order: u128, now: Timestamp) {
    let order = OrderId::from_uuid(Uuid::from_u128(order));
    ask(vendor, &VendorCommand::Release { order, until: now.plus_millis(1) }, now).expect("it is let go");
}

fn commit(vendor: &mut Vendor, order: u128, now: Timestamp) {
    let order = OrderId::from_uuid(Uuid::from_u128(order));
    ask(vendor, &VendorCommand::Commit { order, strict: true }, now).expect("it is held");
}

fn adjust(vendor: &mut Vendor, delta: i64, now: Timestamp) -> Result<(), Reject> {
    let command = VendorCommand::AdjustStock { by: by(), sku: sku(1), delta, reason: "counted".into() };
    ask(vendor, &command, now).map(drop)
}

fn code<T: std::fmt::Debug>(outcome: Result<T, Reject>) -> &'static str {
    outcome.map_or_else(|reject| reject.code(), |_| "ok")
}

impl Vendor {
    /// What a sale counts is what the holds and the sold pieces come to.
    fn check_sales(&self) {
        use crate::domain::entity::Checks as _;
        self.check().expect("it adds up");
    }
}

/// 1,000 on hand, 500 of them in the sale: before it 500 can be had at 100.00, in it 500 at 60, after it what is left at 100.
#[test]
fn what_can_be_had_follows_from_the_time() {
    let mut vendor = shop();
    schedule(&mut vendor, 1, terms(vec![item(1, 500)]), at(0)).unwrap();
    let nobody = guest(&[]);
    // The last moment before, the first of it, the last of it, the first after.
    let before = Timestamp::from_millis(at(100).as_millis() - 1);
    let last = Timestamp::from_millis(at(200).as_millis() - 1);
    assert_eq!(take(&mut vendor, 1, 400, &nobody, before), Ok((LIST, None)));
    let refused = take(&mut vendor, 2, 101, &nobody, before);
    assert_eq!(refused, Err(Reject::SaleNotStarted { sku_id: sku(1), starts_at: at(100) }));
    assert_eq!(take(&mut vendor, 2, 450, &nobody, at(100)), Ok((60, Some(sale_id(1)))));
    let short = |left| Reject::SaleSoldOut { sku_id: sku(1), left, next_tranche_at: None, regular_price: None };
    assert_eq!(take(&mut vendor, 3, 51, &nobody, last), Err(short(50)), "the whole line, or nothing of it");
    assert_eq!(take(&mut vendor, 3, 50, &nobody, last), Ok((60, Some(sale_id(1)))));
    assert_eq!(take(&mut vendor, 4, 1, &nobody, last), Err(short(0)), "100 are left beside the sale, but it says stop");
    release(&mut vendor, 3, last);
    assert_eq!(take(&mut vendor, 5, 150, &nobody, at(200)), Ok((LIST, None)), "the fence has fallen");
    assert_eq!(code(take(&mut vendor, 6, 1, &nobody, at(200))), "out_of_stock");
    // What is held in it is sold at its price, whenever that is.
    commit(&mut vendor, 2, at(300));
    assert_eq!(vendor.sale_row(sale_id(1)).unwrap().counts, [Count { held: 0, sold: 450 }]);
}

#[test]
fn where_it_is_exhausted_the_regular_price_may_follow() {
    let mut vendor = shop();
    let sale = SaleTerms { when_exhausted: WhenExhausted::RegularPrice, ..terms(vec![item(1, 500)]) };
    schedule(&mut vendor, 1, sale, at(0)).unwrap();
    let nobody = guest(&[]);
    assert_eq!(take(&mut vendor, 1, 499, &nobody, at(100)), Ok((60, Some(sale_id(1)))));
    let regular_price = Some(Money::new(LIST, Currency::BDT));
    let refused = Reject::SaleSoldOut { sku_id: sku(1), left: 1, next_tranche_at: None, regular_price };
    assert_eq!(take(&mut vendor, 2, 2, &nobody, at(101)), Err(refused), "never one so and one otherwise");
    assert_eq!(take(&mut vendor, 2, 1, &nobody, at(101)), Ok((60, Some(sale_id(1)))));
    assert_eq!(take(&mut vendor, 3, 500, &nobody, at(102)), Ok((LIST, None)));
    assert_eq!(code(take(&mut vendor, 4, 1, &nobody, at(102))), "out_of_stock");
    // A piece that comes back to the sale is the sale's again.
    release(&mut vendor, 2, at(103));
    assert_eq!(take(&mut vendor, 5, 1, &nobody, at(103)), Ok((60, Some(sale_id(1)))));
}

/// 300 from the start on, 200 more from second 150 on.
#[test]
fn tranches_open_by_the_time_alone() {
    let mut vendor = shop();
    let tranches = vec![Tranche { opens_at: at(100), quantity: 300 }, Tranche { opens_at: at(150), quantity: 200 }];
    schedule(&mut vendor, 1, terms(vec![SaleItem { tranches, ..item(1, 500) }]), at(0)).unwrap();
    let nobody = guest(&[]);
    assert_eq!(code(take(&mut vendor, 1, 501, &nobody, at(99))), "sale_not_started", "both tranches are fenced off");
    assert_eq!(take(&mut vendor, 1, 300, &nobody, at(100)), Ok((60, Some(sale_id(1)))));
    let next_tranche_at = Some(at(150));
    let refused = Reject::SaleSoldOut { sku_id: sku(1), left: 0, next_tranche_at, regular_price: None };
    assert_eq!(take(&mut vendor, 2, 1, &nobody, at(149)), Err(refused));
    assert_eq!(take(&mut vendor, 2, 200, &nobody, at(150)), Ok((60, Some(sale_id(1)))));
    assert_eq!(code(take(&mut vendor, 3, 1, &nobody, at(151))), "sale_sold_out");
}

#[test]
fn a_limit_holds_for_each_key_over_all_orders() {
    let mut vendor = shop();
    let limited = SaleItem { limit_per_customer: Some(2), ..item(1, 500) };
    schedule(&mut vendor, 1, terms(vec![limited]), at(0)).unwrap();
    let now = at(100);
    let limit = |used| Reject::PurchaseLimit { limit: 2, used, skus: vec![sku(1)] };
    assert_eq!(code(take(&mut vendor, 1, 1, &guest(&[]), now)), "email_required");
    assert_eq!(take(&mut vendor, 1, 3, &guest(&[1]), now), Err(limit(0)));
    assert_eq!(take(&mut vendor, 1, 1, &guest(&[1, 2]), now), Ok((60, Some(sale_id(1)))));
    assert_eq!(take(&mut vendor, 2, 1, &guest(&[2, 3]), now), Ok((60, Some(sale_id(1)))));
    // Key 2 has two, key 1 and key 3 one each.
    assert_eq!(take(&mut vendor, 3, 1, &guest(&[4, 2]), now), Err(limit(2)), "any key at its limit refuses");
    assert_eq!(take(&mut vendor, 3, 1, &guest(&[1, 3]), now), Ok((60, Some(sale_id(1)))));
    assert_eq!(take(&mut vendor, 4, 1, &guest(&[3]), now), Err(limit(2)));
    // What is let go counts no more, what is sold does.
    release(&mut vendor, 2, now);
    commit(&mut vendor, 3, now);
    assert_eq!(take(&mut vendor, 5, 1, &guest(&[3]), now), Ok((60, Some(sale_id(1)))));
    assert_eq!(take(&mut vendor, 6, 1, &guest(&[3]), now), Err(limit(2)));
    // An echo of an old request holds nothing more.
    let echo = VendorCommand::Reserve {
        order: OrderId::from_uuid(Uuid::from_u128(5)),
        until: at(500),
        currency: Currency::BDT,
        lines: vec![WantedLine { sku: sku(1), quantity: 1 }],
        held_for: Box::new(guest(&[9])),
    };
    assert_eq!(ask(&mut vendor, &echo, at(250)).unwrap(), []);
    // Outside of the sale there is no limit.
    assert_eq!(take(&mut vendor, 7, 400, &guest(&[3]), at(200)), Ok((LIST, None)));
    assert_eq!(vendor.sale_view(sale_id(1)).unwrap().buyers, Some(3), "keys 1, 2 and 3 have something");
}

#[test]
fn a_limit_on_the_sale_counts_all_its_skus() {
    let mut vendor = shop();
    let sale = SaleTerms { limit_per_customer: Some(3), ..terms(vec![item(1, 100), item(2, 100)]) };
    schedule(&mut vendor, 1, sale, at(0)).unwrap();
    let both = |order: u128, one: i64, other: i64| VendorCommand::Reserve {
        order: OrderId::from_uuid(Uuid::from_u128(order)),
        until: at(900),
        currency: Currency::BDT,
        lines: vec![WantedLine { sku: sku(1), quantity: one }, WantedLine { sku: sku(2), quantity: other }],
        held_for: Box::new(guest(&[1])),
    };
    let all = vec![sku(1), sku(2)];
    let refused = ask(&mut vendor, &both(1, 2, 2), at(100));
    assert_eq!(refused, Err(Reject::PurchaseLimit { limit: 3, used: 0, skus: all.clone() }));
    ask(&mut vendor, &both(1, 1, 1), at(100)).unwrap();
    let refused = ask(&mut vendor, &both(2, 1, 1), at(100));
    assert_eq!(refused, Err(Reject::PurchaseLimit { limit: 3, used: 2, skus: all }));
    assert_eq!(code(take(&mut vendor, 3, 1, &guest(&[1]), at(100))), "ok");
    assert_eq!(code(take(&mut vendor, 4, 1, &guest(&[1]), at(100))), "purchase_limit");
}

/// What is typed in is no key where an account is asked for, or one could use up another's limit.
#[test]
fn a_sale_for_accounts_counts_accounts() {
    let mut vendor = shop();
    let limited = SaleItem { limit_per_customer: Some(1), ..item(1, 500) };
    let sale = SaleTerms { requires: Requires::Account, ..terms(vec![limited]) };
    schedule(&mut vendor, 1, sale, at(0)).unwrap();
    assert_eq!(code(take(&mut vendor, 1, 1, &guest(&[1]), at(100))), "account_required");
    assert_eq!(code(take(&mut vendor, 1, 1, &customer(&[1, 2]), at(100))), "ok");
    assert_eq!(code(take(&mut vendor, 2, 1, &customer(&[3, 2]), at(100))), "ok", "key 2 was only typed in");
    assert_eq!(code(take(&mut vendor, 3, 1, &customer(&[1, 4]), at(100))), "purchase_limit");
    release(&mut vendor, 1, at(101));
    assert_eq!(code(take(&mut vendor, 4, 1, &customer(&[1, 4]), at(101))), "ok");
    assert_eq!(vendor.sale_view(sale_id(1)).unwrap().buyers, Some(2));
}

#[test]
fn a_sale_may_say_how_one_pays() {
    let mut vendor = shop();
    let sale = SaleTerms { payment_methods: vec!["stripe".into()], ..terms(vec![item(1, 500)]) };
    schedule(&mut vendor, 1, sale, at(0)).unwrap();
    // Nobody pays for a sale at the door where that does not say so.
    let at_door = HeldFor { method: "cash_on_delivery".into(), ..guest(&[1]) };
    assert_eq!(code(take(&mut vendor, 1, 1, &at_door, at(100))), "payment_method_not_allowed");
    let mut plain = shop();
    schedule(&mut plain, 1, terms(vec![item(1, 500)]), at(0)).unwrap();
    assert_eq!(code(take(&mut plain, 1, 1, &at_door, at(100))), "cod_not_available");
    let mut says_so = shop();
    let sale = SaleTerms { payment_methods: vec!["cash_on_delivery".into()], ..terms(vec![item(1, 500)]) };
    schedule(&mut says_so, 1, sale, at(0)).unwrap();
    assert_eq!(code(take(&mut says_so, 1, 1, &at_door, at(100))), "ok");
    let buyer = HeldFor { method: "sandbox".into(), ..guest(&[1]) };
    assert_eq!(code(take(&mut vendor, 1, 1, &buyer, at(100))), "payment_method_not_allowed");
    assert_eq!(code(take(&mut vendor, 1, 1, &HeldFor { method: "stripe".into(), ..buyer }, at(100))), "ok");
}

/// The list price falls below the sale's: the pieces are the sale's all the same, at the lower price.
#[test]
fn the_best_price_wins_and_the_pieces_are_the_sales() {
    let mut vendor = shop();
    schedule(&mut vendor, 1, terms(vec![item(1, 500)]), at(0)).unwrap();
    vendor.apply(&VendorEvent::SkuPriceChanged { sku: sku(1), price_minor: 50 }, at(90));
    assert_eq!(take(&mut vendor, 1, 1, &guest(&[1]), at(100)), Ok((50, Some(sale_id(1)))));
    assert_eq!(vendor.sale_row(sale_id(1)).unwrap().counts[0].held, 1);
}

#[test]
fn what_is_promised_cannot_be_taken_out_by_hand() {
    let mut vendor = shop();
    schedule(&mut vendor, 1, terms(vec![item(1, 600)]), at(0)).unwrap();
    take(&mut vendor, 1, 100, &guest(&[1]), at(50)).unwrap();
    // 900 are free, 600 of them fenced off.
    let refused = Reject::AllotmentReserved { sku_id: sku(1), available: Some(300), minimum: None };
    assert_eq!(adjust(&mut vendor, -301, at(50)), Err(refused));
    assert_eq!(adjust(&mut vendor, -901, at(50)), Err(Reject::StockNegative { available: 900, delta: -901 }));
    assert_eq!(adjust(&mut vendor, -300, at(50)), Ok(()));
    assert_eq!(code(adjust(&mut vendor, -1, at(199))), "allotment_reserved");
    assert_eq!(adjust(&mut vendor, -600, at(200)), Ok(()), "it is over");
}

#[test]
fn a_sale_must_fit_together_and_beside_others() {
    let mut vendor = shop();
    let now = at(10);
    let with = |change: &dyn Fn(&mut SaleTerms)| {
        let mut terms = terms(vec![item(1, 500)]);
        change(&mut terms);
        terms
    };
    let tranche = |second, quantity| Tranche { opens_at: at(second), quantity };
    for (change, why) in [
        (&(|terms: &mut SaleTerms| terms.items.clear()) as &dyn Fn(&mut SaleTerms), "items"),
        (&|terms| terms.items.push(item(1, 5)), "items"),
        (&|terms| terms.ends_at = at(10), "window"),
        (&|terms| terms.ends_at = at(100), "window"),
        (&|terms| terms.items[0].price_minor = LIST + 1, "price"),
        (&|terms| terms.items[0].allotment = 0, "allotment"),
        (&|terms| terms.items[0].limit_per_customer = Some(0), "limit"),
        (&|terms| terms.limit_per_customer = Some(0), "limit"),
        (&|terms| terms.items[0].tranches = vec![tranche(100, 499)], "tranches"),
        (&|terms| terms.items[0].tranches = vec![tranche(100, 200), tranche(100, 300)], "tranches"),
        (&|terms| terms.items[0].tranches = vec![tranche(99, 500)], "tranches"),
        (&|terms| terms.items[0].tranches = vec![tranche(200, 500)], "tranches"),
        (&|terms| terms.items[0].tranches = vec![tranche(100, 500), tranche(110, 0)], "tranches"),
    ] {
        let refused = schedule(&mut vendor, 1, with(change), now);
        assert_eq!(refused, Err(Reject::SaleInvalid { why: why.into() }));
    }
    let schedule_with = |vendor: &mut Vendor, number, change: &dyn Fn(&mut SaleTerms)| {
        code(schedule(vendor, number, with(change), now))
    };
    assert_eq!(schedule_with(&mut vendor, 1, &|terms| terms.items[0].sku = sku(9)), "sku_unknown");
    assert_eq!(schedule_with(&mut vendor, 1, &|terms| terms.items[0].price_minor = 0), "price_out_of_range");
    assert_eq!(
        schedule_with(&mut vendor, 1, &|terms| terms.items[0].currency = "JPY".parse().unwrap()),
        "currency_mismatch"
    );
    assert_eq!(schedule_with(&mut vendor, 1, &|terms| terms.items[0].allotment = 1_001), "allotment_reserved");
    assert_eq!(schedule_with(&mut vendor, 1, &|_| {}), "ok");
    assert_eq!(schedule_with(&mut vendor, 1, &|_| {}), "ok", "twice is once");
    assert_eq!(vendor.sale_rows().len(), 1);
    // Beside it: at the same time, touching it, of another SKU.
    assert_eq!(schedule_with(&mut vendor, 2, &|terms| terms.starts_at = at(199)), "sale_overlap");
    let after = |terms: &mut SaleTerms| (terms.starts_at, terms.ends_at) = (at(200), at(300));
    assert_eq!(schedule_with(&mut vendor, 2, &after), "ok", "both allotments together are all there is");
    assert_eq!(schedule_with(&mut vendor, 3, &|terms| terms.items[0].sku = sku(2)), "ok");
    let later = |terms: &mut SaleTerms| {
        (terms.starts_at, terms.ends_at, terms.items[0].allotment) = (at(300), at(400), 1);
    };
    assert_eq!(schedule_with(&mut vendor, 4, &later), "allotment_reserved");
}

#[test]
fn while_it_runs_nothing_is_taken_back() {
    let mut vendor = shop();
    let tranches = vec![Tranche { opens_at: at(100), quantity: 300 }, Tranche { opens_at: at(150), quantity: 200 }];
    let limited = SaleItem { limit_per_customer: Some(400), tranches, ..item(1, 500) };
    schedule(&mut vendor, 1, terms(vec![limited]), at(0)).unwrap();
    take(&mut vendor, 1, 250, &guest(&[1]), at(110)).unwrap();
    let now = at(120);
    let change = SaleChange::default;
    let of_item = |change: ItemChange| SaleChange { items: vec![change], ..SaleChange::default() };
    let same = ItemChange {
        sku: sku(1),
        removed: false,
        price: None,
        allotment: None,
        limit_per_customer: None,
        tranches: None,
    };
    let tranche = |second, quantity| Tranche { opens_at: at(second), quantity };
    for (change, expected) in [
        (SaleChange { starts_at: Some(at(90)), ..change() }, "sale_running"),
        (of_item(ItemChange { price: Some(Money::new(59, Currency::BDT)), ..same.clone() }), "sale_running"),
        (of_item(ItemChange { removed: true, ..same.clone() }), "sale_running"),
        (of_item(ItemChange { limit_per_customer: Some(NewLimit::To(399)), ..same.clone() }), "sale_running"),
        (SaleChange { limit_per_customer: Some(NewLimit::To(5)), ..change() }, "sale_running"),
        (SaleChange { requires: Some(Requires::Account), ..change() }, "sale_running"),
        (SaleChange { ends_at: Some(at(119)), ..change() }, "sale_invalid"),
        // Fewer than are taken, or than are open.
        (of_item(ItemChange { allotment: Some(249), tranches: Some(vec![]), ..same.clone() }), "allotment_reserved"),
        (
            of_item(ItemChange { tranches: Some(vec![tranche(100, 249), tranche(150, 251)]), ..same.clone() }),
            "allotment_reserved",
        ),
        (of_item(ItemChange { allotment: Some(400), ..same.clone() }), "sale_invalid"),
        (of_item(ItemChange { allotment: Some(1_001), tranches: Some(vec![]), ..same.clone() }), "allotment_reserved"),
        (of_item(ItemChange { sku: sku(9), removed: true, ..same.clone() }), "sku_unknown"),
        // These are possible.
        (of_item(ItemChange { limit_per_customer: Some(NewLimit::Lifted), ..same.clone() }), "ok"),
        (of_item(ItemChange { allotment: Some(1_000), tranches: Some(vec![]), ..same.clone() }), "ok"),
        (of_item(ItemChange { allotment: Some(250), ..same.clone() }), "ok"),
        (SaleChange { ends_at: Some(at(130)), name: Some("10.10".into()), ..change() }, "ok"),
    ] {
        assert_eq!(code(edit(&mut vendor, 1, change.clone(), now)), expected, "{change:?}");
    }
    assert_eq!(vendor.sale_row(sale_id(1)).unwrap().counts, [Count { held: 250, sold: 0 }]);
    assert_eq!(code(edit(&mut vendor, 1, SaleChange { name: Some("9.9".into()), ..change() }, at(130))), "sale_ended");
    let cancel = VendorCommand::CancelSale { by: by(), sale: sale_id(1) };
    assert_eq!(code(ask(&mut vendor, &cancel, at(130))), "sale_ended");
    assert_eq!(code(edit(&mut vendor, 2, change(), now)), "sale_unknown");
    // The release of what was held while pieces were counted finds its count.
    release(&mut vendor, 1, at(131));
    assert_eq!(vendor.sale_row(sale_id(1)).unwrap().counts, [Count { held: 0, sold: 0 }]);
}

#[test]
fn a_cancelled_sale_keeps_what_is_held_in_it() {
    let mut vendor = shop();
    schedule(&mut vendor, 1, terms(vec![item(1, 500)]), at(0)).unwrap();
    take(&mut vendor, 1, 10, &guest(&[1]), at(100)).unwrap();
    let cancel = VendorCommand::CancelSale { by: by(), sale: sale_id(1) };
    assert_eq!(ask(&mut vendor, &cancel, at(101)).unwrap(), [VendorEvent::SaleCancelled { sale: sale_id(1) }]);
    assert_eq!(ask(&mut vendor, &cancel, at(101)).unwrap(), [], "twice is once");
    assert_eq!(take(&mut vendor, 2, 990, &guest(&[1]), at(101)), Ok((LIST, None)), "all of the rest, at once");
    commit(&mut vendor, 1, at(102));
    assert_eq!(vendor.sale_row(sale_id(1)).unwrap().counts, [Count { held: 0, sold: 10 }]);
    assert_eq!(
        code(edit(&mut vendor, 1, SaleChange { name: Some("x".into()), ..SaleChange::default() }, at(102))),
        "sale_ended"
    );
}

/// A SKU may have had thousands of sales: what is over is not looked at again for each hold.
#[test]
fn a_sku_lets_sales_go_that_are_over() {
    let mut vendor = shop();
    for number in 0..3_u32 {
        let window = |terms: SaleTerms| SaleTerms {
            starts_at: at(100 * i64::from(number) + 100),
            ends_at: at(100 * i64::from(number) + 200),
            ..terms
        };
        schedule(&mut vendor, u128::from(number) + 1, window(terms(vec![item(1, 10)])), at(0)).unwrap();
    }
    let cancel = VendorCommand::CancelSale { by: by(), sale: sale_id(3) };
    ask(&mut vendor, &cancel, at(1)).unwrap();
    assert_eq!(vendor.taken_in_sales(sku(1)), [(sale_id(1), 0), (sale_id(2), 0)]);
    take(&mut vendor, 1, 4, &guest(&[1]), at(150)).unwrap();
    take(&mut vendor, 2, 3, &guest(&[1]), at(250)).unwrap();
    assert_eq!(vendor.taken_in_sales(sku(1)), [(sale_id(2), 3)]);
    // What is held in one that is over is sold in it all the same.
    commit(&mut vendor, 1, at(260));
    assert_eq!(vendor.sale_row(sale_id(1)).unwrap().counts, [Count { held: 0, sold: 4 }]);
    let parts: Vec<_> = vendor.delta().parts.into_iter().filter(|part| part.state.is_some()).collect();
    let again = Vendor::restore(vendor.id, &parts).expect("a snapshot");
    assert_eq!(again.sale_rows(), vendor.sale_rows());
}

#[test]
fn only_the_vendors_own_people_make_sales() {
    let vendor = shop();
    let member = |number, role| {
        Principal::Member(Member { account: None, vendor: VendorId::from_uuid(Uuid::from_u128(number)), role })
    };
    for (by, expected) in [
        (member(1, VendorRole::Owner), "ok"),
        (member(1, VendorRole::Manager), "ok"),
        (member(1, VendorRole::Packer), "vendor_unknown"),
        (member(1, VendorRole::Finance), "vendor_unknown"),
        (member(2, VendorRole::Owner), "vendor_unknown"),
        (Principal::Guest(crate::domain::ids::CartId::from_uuid(Uuid::from_u128(1))), "vendor_unknown"),
    ] {
        let terms = Box::new(terms(vec![item(1, 5)]));
        let command = VendorCommand::ScheduleSale { by, sale: sale_id(1), terms };
        assert_eq!(code(vendor.decide(&command, &Knowledge::NOTHING, at(0))), expected, "{by:?}");
    }
}

/// A snapshot has all of it, whatever was written when; and what was bought is forgotten only long after.
#[test]
fn a_vendor_made_anew_knows_its_sales() {
    let mut vendor = shop();
    let limited = SaleItem { limit_per_customer: Some(2), ..item(1, 500) };
    schedule(&mut vendor, 1, terms(vec![limited]), at(0)).unwrap();
    let mut parts = std::collections::BTreeMap::new();
    let keep = |vendor: &mut Vendor, parts: &mut std::collections::BTreeMap<String, _>| {
        for part in vendor.delta().parts {
            match part.state {
                Some(_) => drop(parts.insert(part.name.clone(), part)),
                None => drop(parts.remove(&part.name)),
            }
        }
    };
    keep(&mut vendor, &mut parts);
    take(&mut vendor, 1, 2, &guest(&[1]), at(100)).unwrap();
    keep(&mut vendor, &mut parts);
    take(&mut vendor, 2, 1, &guest(&[2]), at(100)).unwrap();
    commit(&mut vendor, 1, at(101));
    keep(&mut vendor, &mut parts);
    let all: Vec<_> = parts.values().cloned().collect();
    let mut again = Vendor::restore(vendor.id, &all).expect("a snapshot");
    assert_eq!(again.sale_rows(), vendor.sale_rows());
    assert_eq!(code(take(&mut again, 3, 1, &guest(&[1]), at(102))), "purchase_limit");
    assert_eq!(code(take(&mut again, 3, 2, &guest(&[2]), at(102))), "purchase_limit");
    release(&mut again, 2, at(102));
    assert_eq!(code(take(&mut again, 3, 2, &guest(&[2]), at(102))), "ok");
    let bought =
        |parts: &std::collections::BTreeMap<String, _>| parts.keys().filter(|name| name.starts_with("buyers/")).count();
    assert_eq!(bought(&parts), 2);
    let kept_until = at(200).plus_millis(limits::SALE_BUYERS_KEPT_MS);
    vendor.apply(&VendorEvent::HoldsClosed { orders: Vec::new() }, Timestamp::from_millis(kept_until.as_millis() - 1));
    keep(&mut vendor, &mut parts);
    assert_eq!(bought(&parts), 2);
    vendor.apply(&VendorEvent::HoldsClosed { orders: Vec::new() }, kept_until);
    keep(&mut vendor, &mut parts);
    assert_eq!(bought(&parts), 0);
}

#[derive(Clone, Debug)]
enum Act {
    Take { order: u128, quantity: i64, key: u8 },
    Release(u128),
    Commit(u128),
    Adjust(i64),
    Wait(i64),
}

fn acts() -> impl Strategy<Value = Act> {
    let order = 0..12u128;
    prop_oneof![
        4 => (order.clone(), 1..6i64, 1..4u8).prop_map(|(order, quantity, key)| Act::Take { order, quantity, key }),
        2 => order.clone().prop_map(Act::Release),
        2 => order.prop_map(Act::Commit),
        1 => (-20..20i64).prop_map(Act::Adjust),
        2 => (0..40i64).prop_map(Act::Wait),
    ]
}

proptest! {
    /// Whatever is done in whatever order: no more is promised in a sale than its allotment, nor to anyone than the limit, and what is promised
    /// is there.
    #[test]
    fn nothing_is_promised_twice(acts in proptest::collection::vec(acts(), 1..80)) {
        let mut vendor = shop();
        adjust(&mut vendor, 40 - ON_HAND, at(0)).unwrap();
        let tranches = vec![Tranche { opens_at: at(60), quantity: 10 }, Tranche { opens_at: at(120), quantity: 10 }];
        let limited = SaleItem { limit_per_customer: Some(7), tranches, ..item(1, 20) };
        let sale = SaleTerms { starts_at: at(60), ends_at: at(240), when_exhausted: WhenExhausted::RegularPrice, ..terms(vec![limited]) };
        schedule(&mut vendor, 1, sale, at(0)).unwrap();
        let mut second = 0;
        // Kept apart from the vendor: who has what in the sale.
        let mut has: std::collections::BTreeMap<u128, (u8, i64)> = std::collections::BTreeMap::new();
        for act in acts {
            match act {
                Act::Take { order, quantity, key } => {
                    let known = vendor.holds.until(OrderId::from_uuid(Uuid::from_u128(order))).is_some();
                    if known { continue }
                    if let Ok((price, sale)) = take(&mut vendor, order, quantity, &guest(&[key]), at(second)) {
                        prop_assert_eq!(price, if sale.is_some() { 60 } else { LIST });
                        prop_assert_eq!(sale.is_some() , (60..240).contains(&second) && sale.is_some());
                        if sale.is_some() { has.insert(order, (key, quantity)); }
                    }
                }
                Act::Release(order) => {
                    let open = vendor.holds.open(OrderId::from_uuid(Uuid::from_u128(order))).is_some();
                    release(&mut vendor, order, at(second));
                    if open { has.remove(&order); }
                }
                Act::Commit(order) => {
                    let open = vendor.holds.open(OrderId::from_uuid(Uuid::from_u128(order))).is_some();
                    if open { commit(&mut vendor, order, at(second)); }
                }
                Act::Adjust(delta) => drop(adjust(&mut vendor, delta, at(second))),
                Act::Wait(more) => second += more,
            }
            let now = at(second);
            let taken: i64 = has.values().map(|(_, quantity)| quantity).sum();
            prop_assert_eq!(vendor.sale_row(sale_id(1)).unwrap().counts[0].taken(), taken);
            prop_assert!(taken <= 20);
            for key in 1..4u8 {
                let own: i64 = has.values().filter(|(of, _)| *of == key).map(|(_, quantity)| quantity).sum();
                prop_assert!(own <= 7);
            }
            let state = &vendor.skus[&sku(1)];
            prop_assert!(vendor.stock(sku(1), state).regular(now) >= 0, "what is fenced off is there");
        }
    }
}
