//! Points, which pay and lower no price.

use super::*;

#[test]
fn points_pay_of_no_part_more_than_is_to_be_paid() {
    // 33.35 in three lines with a tax on top, and a line of 0.40.
    let mut shop = Shop::of(vec![good(1, 1, 1, 40), good(2, 1, 1, 1_000), good(3, 2, 2, 1_000)]);
    shop.shipping = ships([(2, vec![method(1, vec![zone(&["*"], &[], flat(300))])])]);
    shop.points = 700;
    let bill = shop.made();
    assert_eq!((bill.total(), bill.points()), (3_340 - 700, 700));
    // By what each share is to pay: 10.40 of 33.40 is 2.18, 23.00 is 4.82; the lines of the first by 0.40 and 10.00.
    assert_eq!(bill.lines.iter().map(|line| line.points).collect::<Vec<_>>(), [8, 210, 419]);
    assert_eq!(bill.shares[1].shipping_points, 63);
    shop.points = i64::MAX;
    let bill = shop.made();
    assert_eq!((bill.total(), bill.points()), (0, 3_340));
    assert!(!bill.is_plain());
}

/// A point pays all of its value, or nothing: what is left is paid with money.
#[test]
fn points_pay_in_whole_points() {
    for (price, wanted, value, paid) in [
        (1_050, 7, 100, 700),
        (1_050, 10, 100, 1_000),
        (1_050, 11, 100, 1_000),
        (1_050, i64::MAX, 100, 1_000),
        (1_050, 5, 210, 1_050),
        (99, 5, 100, 0),
        (1_050, 0, 100, 0),
        (1_050, -3, 100, 0),
        // In a currency in which they are worth nothing.
        (1_050, 7, 0, 0),
        (1_050, 7, i64::MAX, 0),
    ] {
        let mut shop = Shop::of(vec![good(1, 1, 1, price)]);
        (shop.points, shop.point_value) = (wanted, value);
        let bill = shop.made();
        assert_eq!((bill.points(), bill.total()), (paid, price - paid), "{wanted} at {value} of {price}");
    }
}
