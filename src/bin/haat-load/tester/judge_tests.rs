//! Each check passes on a sound run and fails on the one thing it is for.

use super::super::wire::OrderLine;
use super::*;

fn money(amount: &str) -> Money {
    Money { amount: amount.into(), currency: "BDT".into() }
}

fn line(quantity: i64, price: &str) -> OrderLine {
    OrderLine {
        sku_id: "sku_1".into(),
        vendor_id: "vendor_1".into(),
        quantity,
        unit_price: money(price),
        sale_id: None,
    }
}

fn order(number: u32, status: Status) -> OrderFacts {
    let (id, cart) = (format!("order_{number}"), format!("cart_{number}"));
    let charge =
        Charge { amount: money("10.00"), status: if status.is_paid() { "charged" } else { "declined" }.into() };
    OrderFacts {
        found: Found::Seen(OrderFull {
            id: id.clone(),
            cart_id: cart.clone(),
            status,
            total: money("10.00"),
            total_due: money("0.00"),
            lines: vec![line(1, "10.00")],
            coupons: Vec::new(),
            points: None,
            sums: Sums::of_goods(&money("10.00")),
        }),
        id,
        cart,
        person: None,
        lines: vec![Line { sku: 0, quantity: 1 }],
        wholesale: false,
        coupon: None,
        points: None,
        told: status,
        charges: Some(vec![charge]),
    }
}

fn sound() -> Facts {
    let before = Stock { received: 10, on_hand: 10, held: 0, sold: 0, available: 10 };
    let after = Stock { received: 10, on_hand: 8, held: 0, sold: 2, available: 8 };
    Facts {
        skus: vec![SkuFacts { id: "sku_1".into(), before: Some(before), after, unsure: 0 }],
        orders: vec![order(1, Status::Paid), order(2, Status::Paid), order(3, Status::PaymentFailed)],
        lost_skus: Vec::new(),
        twins: 3,
        split_twins: Vec::new(),
        sales: Vec::new(),
        turned_away: Vec::new(),
        prices: None,
        coupons: Vec::new(),
        without_coupon: Vec::new(),
        points: Vec::new(),
        point_value: None,
        without_points: Vec::new(),
        room: None,
    }
}

fn failed(facts: &Facts) -> Vec<&'static str> {
    let failed = judge(facts).into_iter().filter(|check| !check.ok);
    failed.map(|check| check.name).collect()
}

fn seen(order: &mut OrderFacts) -> &mut OrderFull {
    match &mut order.found {
        Found::Seen(seen) => seen,
        _ => panic!("not seen"),
    }
}

#[test]
fn a_sound_run_passes_every_check_and_says_what_it_counted() {
    let checks = judge(&sound());
    assert_eq!(checks.len(), 14);
    assert!(checks.iter().all(|check| check.ok), "{checks:?}");
    assert!(checks.iter().any(|c| c.said == "sold 2 of 10, told paid 2"));
}

#[test]
fn nothing_observed_is_nothing_judged() {
    assert_eq!(judge(&Facts::default()), Vec::new());
}

#[test]
fn each_check_fails_on_what_it_is_for() {
    type Spoil = fn(&mut Facts);
    let cases: [(Spoil, &str); 21] = [
        (|f| f.lost_skus.push("sku_9".into()), "every SKU can be read"),
        (|f| f.orders[2].found = Found::Missing, "every order told exists"),
        (|f| f.orders[2].found = Found::Unread, "every order told exists"),
        (|f| seen(&mut f.orders[2]).cart_id = "cart_9".into(), "every order told exists"),
        (|f| f.orders.push(order(4, Status::Placed)), "every order is paid or has ended"),
        (|f| seen(&mut f.orders[0]).status = Status::Cancelled, "paid stays paid"),
        (|f| seen(&mut f.orders[0]).total_due = money("0.01"), "paid stays paid"),
        (|f| seen(&mut f.orders[2]).status = Status::Expired, "an end is an end"),
        (|f| f.split_twins.push("cart_1: a and b".into()), "a checkout sent twice is one checkout"),
        (|f| f.skus[0].after.available = 7, "stock adds up"),
        (|f| (f.skus[0].after.held, f.skus[0].after.available) = (1, 7), "nothing is held once all orders are over"),
        (
            |f| (f.skus[0].after.on_hand, f.skus[0].after.sold, f.skus[0].after.available) = (7, 3, 7),
            "sold is what buyers were told is paid",
        ),
        (|f| f.orders[0].charges = Some(Vec::new()), "charged once, the total"),
        (
            |f| {
                if let Some([charge]) = f.orders[0].charges.as_deref_mut() {
                    charge.amount = money("9.00");
                }
            },
            "charged once, the total",
        ),
        (|f| f.orders[2].charges = order(1, Status::Paid).charges, "not paid, not charged"),
        (|f| seen(&mut f.orders[0]).total = money("9.00"), "every bill adds up"),
        (|f| seen(&mut f.orders[0]).sums.subtotal = money("9.00"), "every bill adds up"),
        (|f| seen(&mut f.orders[0]).sums.shipping = money("1.00"), "every bill adds up"),
        (|f| seen(&mut f.orders[2]).lines[0].unit_price = money("none"), "every bill adds up"),
        (|f| seen(&mut f.orders[2]).lines[0].quantity = 2, "every order has the lines of its cart"),
        (|f| seen(&mut f.orders[0]).lines[0].sku_id = "sku_2".into(), "every order has the lines of its cart"),
    ];
    for (spoil, name) in cases {
        let mut facts = sound();
        spoil(&mut facts);
        assert!(failed(&facts).contains(&name), "{name}: {:?}", failed(&facts));
    }
}

/// What comes on top and what is taken off.
#[test]
fn a_bill_is_goods_less_discounts_with_what_comes_on_top() {
    let adds_up = |total: &str, prices_include_tax: bool| {
        let mut order = order(1, Status::Paid);
        let seen = seen(&mut order);
        seen.lines = vec![line(3, "7.50"), line(1, "10.00")];
        seen.total = money(total);
        let of_goods = Sums::of_goods(&money("32.50"));
        seen.sums = Sums {
            discount: money("2.50"),
            shipping: money("5.00"),
            fees: money("1.00"),
            tax: money("3.00"),
            ..of_goods
        };
        seen.sums.prices_include_tax = prices_include_tax;
        super::adds_up(seen) == Some(true)
    };
    assert!(adds_up("36.00", true) && adds_up("39.00", false));
    assert!(!adds_up("36.00", false) && !adds_up("39.00", true) && !adds_up("36.01", true));
}

#[test]
fn a_second_taken_charge_is_one_too_many_and_a_refunded_one_does_not_count() {
    let mut facts = sound();
    let more = |status: &str| Charge { amount: money("10.00"), status: status.into() };
    if let Some(charges) = &mut facts.orders[0].charges {
        charges.push(more("refunded"));
    }
    assert!(failed(&facts).is_empty());
    if let Some(charges) = &mut facts.orders[0].charges {
        charges.push(more("captured"));
    }
    assert_eq!(failed(&facts), ["charged once, the total"]);
}

#[test]
fn two_paid_orders_of_one_cart_are_one_too_many_and_an_ended_one_beside_is_fine() {
    let mut facts = sound();
    for (index, status) in [(1, Status::Paid), (2, Status::PaymentFailed)] {
        let (first, rest) = facts.orders.split_at_mut(1);
        rest[index - 1].cart = first[0].cart.clone();
        seen(&mut rest[index - 1]).cart_id = first[0].cart.clone();
        assert_eq!(rest[index - 1].told, status);
    }
    assert_eq!(failed(&facts), ["one order per cart"]);
    facts.orders.remove(1);
    facts.skus[0].after = Stock { received: 10, on_hand: 9, held: 0, sold: 1, available: 9 };
    assert!(failed(&facts).is_empty(), "{:?}", failed(&facts));
}

#[test]
fn overselling_is_told_even_when_the_shop_agrees_with_itself() {
    let mut facts = sound();
    facts.skus[0].before = Some(Stock { received: 1, on_hand: 1, held: 0, sold: 0, available: 1 });
    assert!(failed(&facts).contains(&"never sold more than there is"));
}

#[test]
fn checkouts_never_answered_leave_room_and_no_more() {
    let mut facts = sound();
    facts.skus[0].after = Stock { received: 10, on_hand: 7, held: 0, sold: 3, available: 7 };
    facts.skus[0].unsure = 1;
    assert!(failed(&facts).is_empty());
    facts.skus[0].unsure = 0;
    assert_eq!(failed(&facts), ["sold is what buyers were told is paid"]);
}

#[test]
fn without_a_before_only_bounds_are_judged() {
    let mut facts = sound();
    facts.skus[0].before = None;
    facts.skus[0].after = Stock { received: 20, on_hand: 10, held: 3, sold: 10, available: 7 };
    assert!(failed(&facts).is_empty());
    facts.skus[0].after = Stock { received: 20, on_hand: 19, held: 0, sold: 1, available: 19 };
    assert_eq!(failed(&facts), ["sold is what buyers were told is paid"]);
}

#[test]
fn a_failed_check_names_a_few_examples_and_counts_the_rest() {
    let wrong: Vec<_> = (0..8).map(|n| format!("order_{n}")).collect();
    let check = Check::new("x", "counted".into(), &wrong);
    assert!(check.said.ends_with("order_4 and 3 more"), "{}", check.said);
}

#[test]
fn a_line_costs_what_its_buyer_pays_for_so_many() {
    let of = |wholesale: bool, lines: Vec<OrderLine>, status| {
        let mut order = order(1, status);
        order.wholesale = wholesale;
        if let Found::Seen(seen) = &mut order.found {
            seen.lines = lines;
        }
        order
    };
    let judged = |orders: Vec<OrderFacts>| {
        let prices = PriceFacts { list: money("10.00"), wholesale: money("7.50"), from: 2 };
        let facts = Facts { orders, prices: Some(prices), ..Facts::default() };
        each_at_its_price(&facts).expect("a check")
    };
    let sound = judged(vec![
        of(true, vec![line(2, "7.50"), line(1, "10.00")], Status::Paid),
        of(false, vec![line(2, "10.00")], Status::Paid),
        of(false, vec![line(2, "10.00")], Status::PaymentFailed),
    ]);
    assert!(sound.ok, "{sound:?}");
    assert_eq!(sound.said, "lines: 1 at the wholesale price, 2 of all others, 1 of wholesale buyers who took too few");
    for (wholesale, wrong) in [(true, line(2, "10.00")), (true, line(1, "7.50")), (false, line(2, "7.50"))] {
        for status in [Status::Paid, Status::PaymentFailed] {
            let wrong = OrderLine { unit_price: wrong.unit_price.clone(), ..line(wrong.quantity, "0.00") };
            assert!(!judged(vec![of(wholesale, vec![wrong], status)]).ok);
        }
    }
    assert_eq!(each_at_its_price(&Facts::default()), None);
}
