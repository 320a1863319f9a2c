//! Each check of a coupon passes on a sound one and fails on the one thing it is for.

use super::super::coupon::Carried;
use super::super::judge::judge;
use super::super::wire::{Money, OrderCoupon, Status, Sums};
use super::*;

fn money(amount: &str) -> Money {
    Money { amount: amount.into(), currency: "BDT".into() }
}

fn order(number: u32, person: u64, off: Option<u32>, status: Status) -> OrderFacts {
    let (id, cart) = (format!("order_{number}"), format!("cart_{number}"));
    let coupons = off.map(|off| OrderCoupon { code: "TEST-1".into(), amount: money(&format!("{off}.00")) });
    OrderFacts {
        found: Found::Seen(OrderFull {
            id: id.clone(),
            cart_id: cart.clone(),
            status,
            total: money("0.00"),
            total_due: money("0.00"),
            lines: Vec::new(),
            coupons: coupons.into_iter().collect(),
            points: None,
            sums: Sums::of_goods(&money("0.00")),
        }),
        id,
        cart,
        person: Some(person),
        wholesale: false,
        coupon: off.map(|off| Carried { coupon: 0, discount: off.into() }),
        points: None,
        lines: Vec::new(),
        told: status,
        charges: None,
    }
}

fn sound() -> Facts {
    Facts {
        coupons: vec![CouponFacts {
            code: "TEST-1".into(),
            uses: Some(3),
            per_customer: Some(2),
            budget: Some(10.into()),
            held: 0,
            used: 3,
            amount_used: Some(7.into()),
            exact: true,
            unsure: Vec::new(),
        }],
        orders: vec![
            order(1, 1, Some(2), Status::Paid),
            order(2, 1, Some(2), Status::Completed),
            order(3, 1, Some(2), Status::PaymentFailed),
            order(4, 2, Some(3), Status::Paid),
            order(5, 2, None, Status::Paid),
        ],
        without_coupon: vec![2.into()],
        ..Facts::default()
    }
}

fn failed(facts: &Facts) -> Vec<&'static str> {
    judge_coupons(facts).into_iter().filter(|check| !check.ok).map(|check| check.name).collect()
}

const USES: &str = "a coupon is used at most as often as it may be";
const ORDERS: &str = "every use of a coupon is a paid order that carries it";
const CART: &str = "every order has the coupon and the discount of its cart";
const LIMIT: &str = "nobody has used a coupon more than the limit, by whatever address";
const BUDGET: &str = "a coupon takes off what its orders have off, within its budget";
const HELD: &str = "nothing is held of a coupon once all orders are over";
const WANT: &str = "used up means that every use is a paid order's";

#[test]
fn a_sound_coupon_passes_every_check_and_says_what_it_counted() {
    let checks = judge(&sound());
    assert!(checks.iter().all(|check| check.ok), "{checks:?}");
    let said: Vec<_> = judge_coupons(&sound()).into_iter().map(|check| check.said).collect();
    assert_eq!(
        said,
        [
            "used 3 of 3",
            "used 3, 3 paid orders carry it",
            "4 orders carry it, 1 do not",
            "of those who used it 1 did 1 times, 1 did 2 times",
            "7 of 10 used, paid orders have 7.00 off",
            "held 0 of it",
            "1 of 1 who were refused so would have found none; 3 of 3 used in paid orders",
        ]
    );
    assert_eq!(judge_coupons(&Facts::default()), Vec::new());
}

fn found(facts: &mut Facts, order: usize) -> &mut OrderFull {
    match &mut facts.orders[order].found {
        Found::Seen(seen) => seen,
        _ => panic!("not seen"),
    }
}

#[test]
fn each_check_fails_on_what_it_is_for() {
    type Spoil = fn(&mut Facts);
    let cases: [(Spoil, &[&str]); 13] = [
        (|f| f.coupons[0].uses = Some(2), &[USES]),
        (|f| f.coupons[0].held = 1, &[USES, HELD]),
        (|f| f.coupons[0].used = 2, &[ORDERS]),
        (|f| (f.coupons[0].used, f.coupons[0].uses) = (4, Some(4)), &[ORDERS, WANT]),
        (|f| f.coupons[0].uses = Some(4), &[WANT]),
        (|f| f.orders[3].person = Some(1), &[LIMIT]),
        (|f| f.coupons[0].per_customer = Some(1), &[LIMIT]),
        (|f| f.coupons[0].budget = Some(6.into()), &[BUDGET]),
        (|f| f.coupons[0].amount_used = Some(8.into()), &[BUDGET]),
        (|f| f.coupons[0].amount_used = None, &[BUDGET]),
        // A code that was dropped, one that came by itself, and a discount that is another one.
        (|f| found(f, 2).coupons.clear(), &[CART]),
        (|f| f.orders[2].coupon = None, &[CART]),
        (|f| found(f, 2).coupons[0].amount = money("2.01"), &[CART]),
    ];
    for (spoil, names) in cases {
        let mut facts = sound();
        spoil(&mut facts);
        assert_eq!(failed(&facts), names);
    }
}

#[test]
fn who_would_have_more_off_than_is_left_may_be_refused() {
    let mut facts = sound();
    facts.coupons[0].uses = Some(9);
    facts.without_coupon = vec![4.into()];
    assert_eq!(failed(&facts), [] as [&str; 0]);
    facts.without_coupon = vec![3.into()];
    assert_eq!(failed(&facts), [WANT]);
}

#[test]
fn checkouts_never_answered_leave_room_and_no_more() {
    let mut facts = sound();
    facts.orders.remove(3);
    assert_eq!(failed(&facts), [ORDERS, BUDGET, WANT]);
    facts.coupons[0].unsure = vec![3.into()];
    assert_eq!(failed(&facts), [] as [&str; 0]);
    facts.coupons[0].unsure = vec![2.into()];
    assert_eq!(failed(&facts), [BUDGET]);
}

#[test]
fn of_a_coupon_that_others_use_only_bounds_are_judged() {
    let mut facts = sound();
    let coupon = &mut facts.coupons[0];
    (coupon.exact, coupon.uses, coupon.used, coupon.held) = (false, Some(100), 50, 3);
    (coupon.budget, coupon.amount_used) = (Some(100.into()), Some(90.into()));
    facts.without_coupon.clear();
    assert_eq!(failed(&facts), [] as [&str; 0]);
    facts.coupons[0].used = 2;
    assert_eq!(failed(&facts), [ORDERS]);
}
