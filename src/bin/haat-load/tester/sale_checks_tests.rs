//! Each check of a sale passes on a sound one and fails on the one thing it is for.

use super::super::judge::judge;
use super::super::wire::{Status, Sums};
use super::*;

fn money(amount: &str) -> Money {
    Money { amount: amount.into(), currency: "BDT".into() }
}

fn order(number: u32, person: u64, quantity: u32, status: Status) -> OrderFacts {
    let (id, cart) = (format!("order_{number}"), format!("cart_{number}"));
    let total = money(&format!("{}.00", 5 * quantity));
    OrderFacts {
        found: Found::Seen(OrderFull {
            id: id.clone(),
            cart_id: cart.clone(),
            status,
            total: total.clone(),
            total_due: money("0.00"),
            lines: vec![OrderLine {
                sku_id: "sku_1".into(),
                vendor_id: "vendor_1".into(),
                quantity: quantity.into(),
                unit_price: money("5.00"),
                sale_id: Some("sale_1".into()),
            }],
            coupons: Vec::new(),
            points: None,
            sums: Sums::of_goods(&total),
        }),
        id,
        cart,
        person: Some(person),
        wholesale: false,
        lines: vec![Line { sku: 0, quantity }],
        coupon: None,
        points: None,
        told: status,
        charges: None,
    }
}

fn sound() -> Facts {
    Facts {
        sales: vec![SaleFacts {
            sale: "sale_1".into(),
            sku: 0,
            sku_id: "sku_1".into(),
            price: money("5.00"),
            limit: Some(2),
            allotment: 4,
            held: 0,
            sold: 4,
            exact: true,
            unsure: 0,
        }],
        orders: vec![
            order(1, 1, 1, Status::Paid),
            order(2, 1, 1, Status::Completed),
            order(3, 1, 2, Status::PaymentFailed),
            order(4, 2, 2, Status::Paid),
        ],
        turned_away: vec![vec![Line { sku: 0, quantity: 1 }]],
        ..Facts::default()
    }
}

fn failed(facts: &Facts) -> Vec<&'static str> {
    let failed = judge_sales(facts).into_iter().filter(|check| !check.ok);
    failed.map(|check| check.name).collect()
}

fn line(facts: &mut Facts, order: usize) -> &mut OrderLine {
    match &mut facts.orders[order].found {
        Found::Seen(seen) => &mut seen.lines[0],
        _ => panic!("not seen"),
    }
}

#[test]
fn a_sound_sale_passes_every_check_and_says_what_it_counted() {
    let checks = judge(&sound());
    assert!(checks.iter().all(|check| check.ok), "{checks:?}");
    let said: Vec<_> = judge_sales(&sound()).into_iter().map(|check| check.said).collect();
    assert_eq!(
        said,
        [
            "sold 4 of 4",
            "sold 4 in it, paid 4",
            "4 of 4 lines",
            "of those who bought 2 have 2",
            "held 0 in it",
            "1 of 1 who left so would have found too little; paid 4 of 4",
        ]
    );
}

#[test]
fn without_a_sale_nothing_is_judged() {
    assert_eq!(judge_sales(&Facts::default()), Vec::new());
}

#[test]
fn each_check_fails_on_what_it_is_for() {
    type Spoil = fn(&mut Facts);
    let cases: [(Spoil, &[&str]); 9] = [
        (|f| f.sales[0].allotment = 3, &["a sale sells at most its allotment"]),
        (
            |f| f.sales[0].held = 1,
            &["a sale sells at most its allotment", "nothing is held in a sale once all orders are over"],
        ),
        (|f| f.sales[0].sold = 3, &["sold in a sale is what is paid in it"]),
        (
            |f| (f.sales[0].sold, f.sales[0].allotment) = (5, 5),
            &["sold in a sale is what is paid in it", "sold out means that the allotment is sold"],
        ),
        (|f| line(f, 0).unit_price = money("10.00"), &["every line has the sale's price"]),
        (|f| line(f, 2).sale_id = None, &["every line has the sale's price"]),
        (|f| f.orders[3].person = Some(1), &["nobody has more than the limit, by whatever address"]),
        (|f| f.sales[0].limit = Some(1), &["nobody has more than the limit, by whatever address"]),
        (|f| f.sales[0].allotment = 5, &["sold out means that the allotment is sold"]),
    ];
    for (spoil, names) in cases {
        let mut facts = sound();
        spoil(&mut facts);
        assert_eq!(failed(&facts), names);
    }
}

#[test]
fn who_wanted_more_than_is_left_may_be_refused() {
    let mut facts = sound();
    facts.sales[0].allotment = 5;
    facts.turned_away = vec![vec![Line { sku: 0, quantity: 2 }]];
    assert!(failed(&facts).is_empty());
    // One line too many is enough.
    facts.turned_away[0].insert(0, Line { sku: 0, quantity: 1 });
    assert!(failed(&facts).is_empty());
    facts.turned_away[0].pop();
    assert_eq!(failed(&facts), ["sold out means that the allotment is sold"]);
}

#[test]
fn checkouts_never_answered_leave_room_and_no_more() {
    let mut facts = sound();
    facts.orders.pop();
    assert_eq!(failed(&facts), ["sold in a sale is what is paid in it", "sold out means that the allotment is sold"]);
    facts.sales[0].unsure = 2;
    assert!(failed(&facts).is_empty());
    facts.sales[0].unsure = 1;
    assert!(!failed(&facts).is_empty());
}

#[test]
fn of_a_sale_that_others_buy_in_only_bounds_are_judged() {
    let mut facts = sound();
    let sale = &mut facts.sales[0];
    (sale.exact, sale.allotment, sale.sold, sale.held) = (false, 100, 50, 3);
    facts.turned_away.clear();
    line(&mut facts, 0).sale_id = None;
    assert!(failed(&facts).is_empty());
    facts.sales[0].sold = 2;
    assert_eq!(failed(&facts), ["sold in a sale is what is paid in it"]);
}
