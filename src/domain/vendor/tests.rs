//! What a vendor gives a checkpoint, and whom it asks.

use super::*;
use crate::domain::money::Currency;
use uuid::Uuid;

fn at(second: i64) -> Timestamp {
    Timestamp::from_millis(1_700_000_000_000 + second * 1000)
}

fn order(number: u128) -> OrderId {
    OrderId::from_uuid(Uuid::from_u128(number))
}

fn sku() -> SkuId {
    SkuId::from_uuid(Uuid::from_u128(1))
}

/// A vendor with one SKU.
fn vendor() -> Vendor {
    let mut vendor = Vendor::new(VendorId::from_uuid(Uuid::from_u128(1)));
    vendor.apply(&VendorEvent::VendorCreated { name: "A shop".into() }, at(0));
    let product = NewProduct {
        id: ProductId::from_uuid(Uuid::from_u128(1)),
        title: "Cup".into(),
        description: None,
        category: None,
        skus: vec![NewSku { id: sku(), code: "C-1".into(), price_minor: 100, currency: Currency::BDT, on_hand: 1_000 }],
    };
    vendor.apply(&VendorEvent::ProductAdded { product }, at(0));
    vendor
}

fn hold(vendor: &mut Vendor, number: u128) {
    let lines = vec![HeldLine::at_list_price(sku(), 1, 100)];
    vendor.apply(
        &VendorEvent::StockHeld {
            order: order(number),
            until: at(10),
            lines,
            keys: Vec::new(),
            account_keys: 0,
            slot: None,
        },
        at(1),
    );
}

fn commit(vendor: &mut Vendor, number: u128) {
    vendor.apply(&VendorEvent::StockCommitted { order: order(number) }, at(2));
}

/// The holds a delta names, each with whether it is there.
fn holds(delta: &Delta) -> Vec<(String, bool)> {
    let holds = delta.parts.iter().filter(|part| part.name.starts_with("hold/"));
    holds.map(|part| (part.name.clone(), part.state.is_some())).collect()
}

#[test]
fn a_hold_made_and_ended_between_two_captures_leaves_nothing_to_write() {
    let mut vendor = vendor();
    hold(&mut vendor, 1);
    assert_eq!(holds(&vendor.delta()), [(format!("hold/{}", order(1)), true)]);
    hold(&mut vendor, 2);
    commit(&mut vendor, 2);
    assert_eq!(holds(&vendor.delta()), [], "nobody has heard of it");
    commit(&mut vendor, 1);
    assert_eq!(holds(&vendor.delta()), [(format!("hold/{}", order(1)), false)], "this one is in the store");
}

/// A state made anew does not know what its predecessor gave a checkpoint that is not written yet.
#[test]
fn before_its_first_capture_a_vendor_deletes_what_may_be_stored() {
    let mut vendor = vendor();
    hold(&mut vendor, 1);
    commit(&mut vendor, 1);
    assert_eq!(holds(&vendor.delta()), [(format!("hold/{}", order(1)), false)]);
}

#[test]
fn a_state_gives_all_its_rows_whatever_has_changed() {
    let mut vendor = vendor();
    let first = vendor.delta().rows;
    assert!(!first.skus.is_empty() && !first.products.is_empty());
    assert_eq!(vendor.rows(), first, "before the first delta everything has changed");
    assert!(vendor.delta().rows.skus.is_empty());
    assert_eq!(vendor.rows(), first);
}

/// The orders a vendor asks about at this second.
fn asked(vendor: &mut Vendor, second: i64) -> Vec<u128> {
    let key_of = |number| EffectKey::new(Step::AskHold, order(number));
    let keys = vendor.ask_due(at(second));
    keys.iter().map(|key| (1..=1_000).find(|number| key_of(*number) == *key).expect("one of them")).collect()
}

/// Orders that never answer must not keep a vendor from asking about the holds behind theirs.
#[test]
fn a_vendor_asks_about_a_few_holds_at_a_time_and_about_each_in_its_turn() {
    let mut vendor = vendor();
    let few = limits::HOLDS_ASKED_AT_ONCE as u128;
    (1..=few + 6).for_each(|number| hold(&mut vendor, number));
    assert_eq!((vendor.next_ask(), asked(&mut vendor, 9)), (Some(at(10)), vec![]), "it is not time");
    assert_eq!(asked(&mut vendor, 20), (1..=few).collect::<Vec<_>>());
    assert_eq!(vendor.next_ask(), Some(at(10)), "the rest waits for the next look, and for nothing else");
    assert_eq!(asked(&mut vendor, 20), (few + 1..=few + 6).collect::<Vec<_>>());
    assert_eq!(asked(&mut vendor, 20), [], "all have been asked");
    assert_eq!(vendor.outstanding(at(20)).len() as u128, few + 6, "none has answered");
    hold(&mut vendor, few + 7);
    let again = asked(&mut vendor, 30);
    assert_eq!((again.len() as u128, again[0]), (few, few + 7), "the new one's time was up first");
    assert_eq!(asked(&mut vendor, 30).len(), 7);
    commit(&mut vendor, 1);
    assert!((40..200).all(|second| !asked(&mut vendor, second).contains(&1)), "this one is over");
}

#[test]
fn a_hold_asked_about_in_vain_is_asked_about_ever_more_rarely_but_always_again() {
    let mut vendor = vendor();
    hold(&mut vendor, 1);
    let times: Vec<i64> = (0..3_600).filter(|second| !asked(&mut vendor, *second).is_empty()).collect();
    let waits: Vec<i64> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert_eq!(times[0], 10);
    assert!(waits.is_sorted_by(|one, next| one <= next || *next >= 45), "{waits:?}");
    assert!((60..100).contains(&times.len()) && waits.iter().all(|wait| *wait <= 60), "{waits:?}");
    // Made anew of what a snapshot has, it asks at once.
    let parts: Vec<Part> = vendor.clone().delta().parts;
    let mut anew = Vendor::restore(VendorId::from_uuid(Uuid::from_u128(1)), &parts).unwrap();
    assert_eq!((anew.wake_at(at(3_600)), asked(&mut anew, 3_600)), (Some(at(10)), vec![1]));
    assert_eq!(vendor.wake_at(at(3_600)), Some(at(3_600)), "in the store it is due as well");
}

/// Nobody else knows what is suspended: its vendor does not leave memory, and is there again as soon as a node starts.
#[test]
fn a_vendor_with_something_suspended_stays() {
    let mut vendor = vendor();
    assert_eq!((vendor.stays(), vendor.wake_at(at(1))), (false, None));
    let breach = Breach::new("stock_adds_up", vendor.id.entity(), "somebody has counted").of_sku(sku());
    assert!(vendor.suspend(&breach));
    assert_eq!((vendor.stays(), vendor.wake_at(at(1))), (true, Some(WAKE_AT_START)));
}

/// Such records cannot have been written: what is made of them is stopped, and nothing panics or turns around.
#[test]
fn stock_past_64_bits_is_a_breach_of_its_sku() {
    let adjusted =
        |delta| VendorEvent::StockAdjusted { sku: sku(), delta, reason: "count".into(), by: By::of(Principal::SHOP) };
    let held = |number, quantity| {
        let lines = vec![HeldLine::at_list_price(sku(), quantity, 100)];
        VendorEvent::StockHeld {
            order: order(number),
            until: at(10),
            lines,
            keys: Vec::new(),
            account_keys: 0,
            slot: None,
        }
    };
    let sold = VendorEvent::StockCommitted { order: order(1) };
    let absurd = [
        vec![adjusted(i64::MAX)],
        vec![adjusted(i64::MIN), adjusted(i64::MIN)],
        vec![adjusted(i64::MAX), held(1, i64::MAX)],
        vec![held(1, i64::MAX), held(2, i64::MAX)],
        vec![held(1, i64::MIN), sold],
        vec![held(1, i64::MAX), held(2, i64::MAX), held(3, -i64::MAX)],
    ];
    for events in absurd {
        let mut vendor = vendor();
        assert_eq!(vendor.check(), Ok(()));
        for event in &events {
            vendor.apply(event, at(1));
            vendor.publications(std::slice::from_ref(event));
        }
        assert_eq!(vendor.check().unwrap_err().sku, Some(sku()), "{events:?}");
        vendor.sku_rows().iter().for_each(|row| _ = (row.sold(), row.available()));
    }
}

/// Such a record cannot have been written either. The vendor must not go on asking about a hold that is not there.
#[test]
fn a_second_hold_of_one_order_leaves_no_time_of_the_first() {
    let mut vendor = vendor();
    hold(&mut vendor, 1);
    let lines = vec![HeldLine::at_list_price(sku(), 2, 100)];
    vendor.apply(
        &VendorEvent::StockHeld {
            order: order(1),
            until: at(20),
            lines,
            keys: Vec::new(),
            account_keys: 0,
            slot: None,
        },
        at(2),
    );
    assert_eq!(vendor.timer().map(|(until, _)| until), Some(at(20)));
    assert_eq!((vendor.outstanding(at(15)), asked(&mut vendor, 15)), (vec![], vec![]));
    assert_eq!(vendor.check().unwrap_err().invariant, "holds_add_up");
}

/// What is settled is closed with the next record, or by time alone: never by somebody who looks.
#[test]
fn a_look_closes_no_hold() {
    let (mut vendor, order) = (vendor(), order(1));
    let reserve = VendorCommand::Reserve {
        order,
        until: at(900),
        currency: Currency::BDT,
        lines: vec![WantedLine { sku: sku(), quantity: 1 }],
        held_for: Box::default(),
    };
    for command in [reserve, VendorCommand::Commit { order, strict: true }, VendorCommand::Close { order }] {
        vendor.heard(&command, at(1));
        let events = vendor.decide(&command, &Knowledge::NOTHING, at(1)).unwrap();
        events.iter().for_each(|event| vendor.apply(event, at(1)));
    }
    let (soon, late) = (at(1).plus_millis(1), at(1).plus_millis(limits::HOLD_CLOSE_MS));
    let closed = VendorEvent::HoldsClosed { orders: vec![order] };
    let decide = |command: &VendorCommand, now| vendor.decide(command, &Knowledge::NOTHING, now).unwrap();
    let look = VendorCommand::GetSku { by: Principal::SHOP, sku: sku() };
    assert_eq!(decide(&look, late), []);
    assert_eq!(decide(&VendorCommand::Tick, soon), [], "it waits for another record");
    assert_eq!(decide(&VendorCommand::Tick, late).last(), Some(&closed));
    let price = VendorCommand::SetPrice { by: Principal::SHOP, sku: sku(), price_minor: 9, currency: Currency::BDT };
    assert_eq!(decide(&price, soon).last(), Some(&closed));
}

/// What one record has no room for has the next: the timer that is left is none that has passed.
#[test]
fn more_than_one_record_can_close_are_closed_one_record_after_the_other() {
    let (mut vendor, orders) = (vendor(), limits::HOLDS_CLOSED_AT_ONCE as u128 + 1);
    (0..orders).for_each(|number| {
        vendor.apply(&VendorEvent::StockAdjusted { sku: sku(), delta: 1, reason: number.to_string(), by: None }, at(0))
    });
    for number in 0..orders {
        hold(&mut vendor, number);
        vendor.apply(&VendorEvent::HoldCommitted { order: order(number), sold: Vec::new() }, at(2));
        vendor.heard(&VendorCommand::Close { order: order(number) }, at(2));
    }
    let mut records = Vec::new();
    while !vendor.holds().is_empty() {
        let (due, tick) = vendor.timer().expect("something is to be closed");
        assert!(records.iter().all(|(before, _)| *before < due), "a timer that has passed is not heard");
        let events = vendor.decide(&tick, &Knowledge::NOTHING, due).unwrap();
        let [VendorEvent::HoldsClosed { orders }] = &events[..] else { panic!("{events:?}") };
        records.push((due, orders.len()));
        vendor.apply(&events[0], due);
    }
    let closed: Vec<usize> = records.iter().map(|(_, closed)| *closed).collect();
    assert_eq!(closed, [limits::HOLDS_CLOSED_AT_ONCE, 1]);
}
