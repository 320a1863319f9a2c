//! Each check of a room passes on a sound one and fails on the one thing it is for.

use super::super::judge::{Facts, Found, Line, OrderFacts, judge};
use super::super::sale_checks::SaleFacts;
use super::super::wire::{Money, OrderFull, OrderLine, Status, Sums};
use super::*;

fn money(amount: &str) -> Money {
    Money { amount: amount.into(), currency: "BDT".into() }
}

fn place(cart: u32, number: u64, inside: Option<(u64, u64)>) -> PlaceTold {
    PlaceTold { cart: format!("cart_{cart}"), number: Some(number), draw: None, inside }
}

fn order(cart: u32) -> OrderFacts {
    let (id, cart) = (format!("order_{cart}"), format!("cart_{cart}"));
    OrderFacts {
        found: Found::Seen(OrderFull {
            id: id.clone(),
            cart_id: cart.clone(),
            status: Status::Paid,
            total: money("5.00"),
            total_due: money("0.00"),
            lines: vec![OrderLine {
                sku_id: "sku_1".into(),
                vendor_id: "vendor_1".into(),
                quantity: 1,
                unit_price: money("5.00"),
                sale_id: Some("sale_1".into()),
            }],
            coupons: Vec::new(),
            points: None,
            sums: Sums::of_goods(&money("5.00")),
        }),
        id,
        cart,
        person: None,
        wholesale: false,
        lines: vec![Line { sku: 0, quantity: 1 }],
        coupon: None,
        points: None,
        told: Status::Paid,
        charges: None,
    }
}

/// Two slots, one call a second: three come in, the third when the first has gone.
fn sound() -> Facts {
    let second = 1_000_000;
    Facts {
        room: Some(RoomFacts {
            capacity: 2,
            admit_per_minute: 60,
            calls_from_us: 0,
            places: vec![
                place(1, 0, Some((second, 3 * second))),
                place(2, 1, Some((2 * second, 9 * second))),
                place(3, 2, Some((3 * second, 4 * second))),
                place(4, 3, None),
                PlaceTold { number: None, draw: Some("00ff".into()), ..place(5, 0, None) },
                PlaceTold { number: None, draw: None, ..place(6, 0, None) },
                PlaceTold { number: None, draw: None, ..place(7, 0, None) },
            ],
        }),
        sales: vec![SaleFacts {
            sale: "sale_1".into(),
            sku: 0,
            sku_id: "sku_1".into(),
            price: money("5.00"),
            limit: None,
            allotment: 4,
            held: 0,
            sold: 2,
            exact: true,
            unsure: 0,
        }],
        orders: vec![order(1), order(3)],
        ..Facts::default()
    }
}

fn failed(facts: &Facts) -> Vec<&'static str> {
    judge_room(facts).into_iter().filter(|check| !check.ok).map(|check| check.name).collect()
}

fn changed(change: impl FnOnce(&mut RoomFacts)) -> Facts {
    let mut facts = sound();
    change(facts.room.as_mut().expect("a room"));
    facts
}

#[test]
fn a_sound_room_passes_and_is_judged_with_the_rest() {
    assert_eq!(failed(&sound()), [""; 0]);
    assert_eq!(judge_room(&sound()).len(), 4);
    assert!(judge(&sound()).iter().any(|check| check.name == "no place in the line is given twice"));
    assert!(judge_room(&Facts { room: None, ..sound() }).is_empty());
}

#[test]
fn a_number_and_a_draw_are_given_once() {
    let name = ["no place in the line is given twice"];
    assert_eq!(failed(&changed(|room| room.places[3].number = Some(2))), name);
    let drawn = PlaceTold { number: None, draw: Some("00ff".into()), ..place(8, 0, None) };
    assert_eq!(failed(&changed(|room| room.places.push(drawn))), name);
}

#[test]
fn one_more_than_the_slots_at_a_time_is_told() {
    let name = ["no more are in than the room has slots"];
    let longer = changed(|room| room.places[0].inside = Some((1_000_000, 3_000_001)));
    assert_eq!(failed(&longer), name);
}

#[test]
fn who_comes_in_before_the_room_can_have_called_so_many_is_told() {
    let name = ["nobody comes in before the room can have called so many"];
    // One is called at once, one each second, and two may be made up for: of those who come in by then the fifth is one too many.
    let many = |at: u64| {
        changed(|room| {
            room.capacity = 9;
            let come = |cart: u32| place(cart, u64::from(cart) + 10, Some((at, at)));
            room.places =
                [place(1, 0, Some((1, 2))), place(3, 1, Some((1, 2)))].into_iter().chain((11..14).map(come)).collect();
        })
    };
    assert_eq!(failed(&many(2_000_000)), [""; 0]);
    assert_eq!(failed(&many(1_999_999)), name);
}

#[test]
fn an_order_of_who_was_not_let_in_is_told() {
    let mut facts = sound();
    facts.orders.push(order(4));
    assert_eq!(failed(&facts), ["the sale sells to those alone who were let in"]);
    if let Found::Seen(seen) = &mut facts.orders[2].found {
        seen.lines[0].sale_id = None;
    }
    assert_eq!(failed(&facts), [""; 0], "it was not of the sale");
}
