//! Each check of points passes on sound ones and fails on the one thing it is for.

use super::super::judge::judge;
use super::super::points::{Paying, Wanting};
use super::super::wire::{Money, OrderLine, OrderPoints, Sums};
use super::*;

fn money(amount: Decimal) -> Money {
    Money { amount: format!("{amount}.00"), currency: "BDT".into() }
}

/// A customer's order for 1,000, who wanted so many points and has so many, of 2.00 each.
fn order(number: u32, customer: u32, wanted: i64, spent: i64, status: Status) -> OrderFacts {
    let (id, cart) = (format!("order_{number}"), format!("cart_{number}"));
    let value = Decimal::from(2 * spent);
    let line = OrderLine {
        sku_id: "sku_1".into(),
        vendor_id: "vendor_1".into(),
        quantity: 1,
        unit_price: money(1000.into()),
        sale_id: None,
    };
    OrderFacts {
        found: Found::Seen(OrderFull {
            id: id.clone(),
            cart_id: cart.clone(),
            status,
            total: money(Decimal::ONE_THOUSAND - value),
            total_due: money(0.into()),
            lines: vec![line],
            coupons: Vec::new(),
            points: Some(OrderPoints { spent, value: money(value), restored: 0 }),
            sums: Sums::of_goods(&money(1000.into())),
        }),
        id,
        cart,
        person: None,
        wholesale: false,
        coupon: None,
        points: Some(Paying { customer: format!("customer_{customer}"), given: 600, wanted }),
        lines: Vec::new(),
        told: status,
        charges: None,
    }
}

fn customer(number: u32, twice: bool, available: i64) -> PointFacts {
    PointFacts {
        customer: format!("customer_{number}"),
        given: 600,
        twice,
        found: Some(PointsOfCustomer { available, held: 0, debt: 0 }),
        exact: true,
        unsure: 0,
    }
}

/// The first has spent some, the second has paid all of an order with points and was refused another at once, the third was declined.
fn sound() -> Facts {
    Facts {
        points: vec![customer(1, false, 400), customer(2, true, 100), customer(3, false, 600), customer(4, false, 600)],
        point_value: Some(2.into()),
        orders: vec![
            order(1, 1, 200, 200, Status::Paid),
            order(2, 2, 600, 500, Status::Completed),
            order(3, 3, 600, 500, Status::PaymentFailed),
        ],
        without_points: vec![Wanting { customer: "customer_2".into(), cart: "cart_20".into(), wanted: 600 }],
        ..Facts::default()
    }
}

fn failed(facts: &Facts) -> Vec<&'static str> {
    judge(facts).into_iter().filter(|check| !check.ok).map(|check| check.name).collect()
}

const LOST: &str = "every point given is available, held or spent in a paid order";
const GIVEN: &str = "nobody spends more points than they were given";
const ASKED: &str = "every order has the points of its checkout, at their value";
const TWICE: &str = "the same points in two carts are spent once";
const HELD: &str = "no points are held once all orders are over";
const WANT: &str = "too few points means that another order has them";
const BILL: &str = "every bill adds up";

#[test]
fn sound_points_pass_every_check_and_say_what_they_counted() {
    assert_eq!(failed(&sound()), [] as [&str; 0]);
    let said: Vec<_> = judge_points(&sound()).into_iter().map(|check| check.said).collect();
    assert_eq!(
        said,
        [
            "given 2400, available 1700, held 0, spent 700 in paid orders",
            "4 customers, 2 of them have spent some",
            "3 of 3 orders",
            "1 customers with two carts, 1 of them were refused one; 500 spent of 600",
            "held 0 of 4 customers",
            "1 of 1 who were refused so had them in another order",
        ]
    );
    assert_eq!(PointsTold::of(&sound(), 1), Some(PointsTold { orders: 2, spent: 700, refused: 1 }));
    assert_eq!(judge_points(&Facts::default()), Vec::new());
    assert_eq!(PointsTold::of(&Facts::default(), 0), None);
}

fn found(facts: &mut Facts, order: usize) -> &mut OrderFull {
    match &mut facts.orders[order].found {
        Found::Seen(seen) => seen,
        _ => panic!("not seen"),
    }
}

fn spend(facts: &mut Facts, order: usize, points: i64) {
    let seen = found(facts, order);
    seen.points = Some(OrderPoints { spent: points, value: money((2 * points).into()), restored: 0 });
    seen.total = money(Decimal::ONE_THOUSAND - Decimal::from(2 * points));
}

fn has(facts: &mut Facts, customer: usize, available: i64, held: i64, debt: i64) {
    facts.points[customer].found = Some(PointsOfCustomer { available, held, debt });
}

#[test]
fn each_check_fails_on_what_it_is_for() {
    type Spoil = fn(&mut Facts);
    let cases: [(Spoil, &[&str]); 13] = [
        // Points that are gone, that came from nowhere, that a declined order has kept, and that nobody can read.
        (|f| has(f, 0, 399, 0, 0), &[LOST]),
        (|f| has(f, 0, 401, 0, 0), &[LOST]),
        (|f| has(f, 2, 100, 0, 0), &[LOST]),
        (|f| has(f, 0, 500, 0, 50), &[LOST]),
        (|f| f.points[3].found = None, &[LOST]),
        (|f| has(f, 2, 100, 500, 0), &[HELD]),
        // The product took half of what was asked for, and dropped all of it.
        (|f| (spend(f, 0, 100), has(f, 0, 500, 0, 0)).1, &[ASKED]),
        (
            |f| {
                (found(f, 0).points, found(f, 0).total, f.points[0].found) =
                    (None, money(1000.into()), f.points[3].found)
            },
            &[ASKED],
        ),
        // The total is without what points pay, and they pay less than they are worth.
        (|f| found(f, 0).total = money(601.into()), &[BILL]),
        (
            |f| {
                found(f, 0).total = money(601.into());
                found(f, 0).points = Some(OrderPoints { spent: 200, value: money(399.into()), restored: 0 });
            },
            &[ASKED],
        ),
        (|f| f.without_points[0].customer = "customer_4".into(), &[WANT]),
        (|f| f.without_points[0].wanted = 100, &[WANT]),
        // Both carts were paid with the same points.
        (
            |f| {
                f.orders.push(order(20, 2, 600, 500, Status::Paid));
                f.without_points.clear();
            },
            &[LOST, GIVEN, TWICE],
        ),
    ];
    for (spoil, names) in cases {
        let mut facts = sound();
        spoil(&mut facts);
        assert_eq!(failed(&facts), names);
    }
}

#[test]
fn two_live_orders_have_the_same_points_too() {
    let mut facts = sound();
    facts.orders.push(order(20, 2, 600, 500, Status::AwaitingPayment));
    assert!(failed(&facts).contains(&TWICE));
}

#[test]
fn what_came_back_is_not_spent() {
    let mut facts = sound();
    (found(&mut facts, 1).status, facts.orders[1].told) = (Status::Refunded, Status::Refunded);
    assert_eq!(failed(&facts), [] as [&str; 0], "nothing came back of what points paid");
    if let Some(points) = &mut found(&mut facts, 1).points {
        points.restored = 500;
    }
    assert_eq!(failed(&facts), [LOST]);
    has(&mut facts, 1, 600, 0, 0);
    assert_eq!(failed(&facts), [] as [&str; 0]);
}

#[test]
fn checkouts_never_answered_leave_room_and_no_more() {
    let mut facts = sound();
    facts.orders.remove(0);
    assert_eq!(failed(&facts), [LOST]);
    facts.points[0].unsure = 200;
    assert_eq!(failed(&facts), [] as [&str; 0]);
    facts.points[0].unsure = 199;
    assert_eq!(failed(&facts), [LOST]);
    // One of them may be what another was refused for.
    let mut facts = sound();
    facts.orders.remove(1);
    assert_eq!(failed(&facts), [LOST, WANT]);
    facts.points[1].unsure = 600;
    assert_eq!(failed(&facts), [] as [&str; 0]);
}

#[test]
fn of_customers_who_buy_elsewhere_only_bounds_are_judged() {
    let mut facts = sound();
    facts.points.iter_mut().for_each(|points| points.exact = false);
    (facts.point_value, facts.without_points) = (None, Vec::new());
    has(&mut facts, 0, 100, 50, 0);
    assert_eq!(failed(&facts), [] as [&str; 0]);
    has(&mut facts, 0, 401, 0, 0);
    assert_eq!(failed(&facts), [LOST]);
}
