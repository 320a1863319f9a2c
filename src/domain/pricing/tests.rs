//! Bills by hand, and what holds of every bill.

mod points;

use super::credit::{Credit, Creditable};
use super::*;
use crate::domain::buyer::Exemption;
use crate::domain::ids::{CategoryId, ShippingMethodId, SkuId, VendorId};
use crate::domain::money::{Currency, Money};
use crate::domain::order::NoCash;
use crate::domain::reject::Reject;
use crate::domain::time::Timestamp;
use crate::limits;
use proptest::prelude::*;
use std::borrow::Cow;
use uuid::Uuid;

const PLACED_AT: Timestamp = Timestamp::from_millis(1_000);

fn vendor(number: u128) -> VendorId {
    VendorId::from_uuid(Uuid::from_u128(number))
}

fn sku(number: u128) -> SkuId {
    SkuId::from_uuid(Uuid::from_u128(number))
}

fn category(number: u128) -> CategoryId {
    CategoryId::from_uuid(Uuid::from_u128(number))
}

fn method_id(number: u128) -> ShippingMethodId {
    ShippingMethodId::from_uuid(Uuid::from_u128(number))
}

fn currency(code: &str) -> Currency {
    code.parse().unwrap()
}

fn taka(minor: i64) -> Money {
    Money::new(minor, Currency::BDT)
}

/// One line of a vendor: so many at a price.
fn good(number: u128, of: u128, quantity: i64, unit_price: i64) -> Good<'static> {
    Good {
        sku: sku(number),
        vendor: vendor(of),
        quantity,
        unit_price,
        is_on_sale: false,
        category: None,
        grams: 0,
        tax_category: Cow::Borrowed(tax::STANDARD),
    }
}

fn taxed_as(category: &'static str, good: Good<'static>) -> Good<'static> {
    Good { tax_category: Cow::Borrowed(category), ..good }
}

fn row(category: &str, rate_milli_percent: u32) -> TaxRow {
    let valid_from = Timestamp::from_millis(0);
    TaxRow {
        country: "BD".into(),
        region: None,
        category: category.into(),
        rate_milli_percent,
        reason: None,
        valid_from,
    }
}

fn tables(prices_include_tax: bool, rows: Vec<TaxRow>) -> PreparedTaxes {
    taxes(prices_include_tax, ShippingTax::Proportional, rows)
}

fn taxes(prices_include_tax: bool, shipping_tax: ShippingTax, tax_tables: Vec<TaxRow>) -> PreparedTaxes {
    TaxTables { prices_include_tax, shipping_tax, tax_tables, time_zone: "Asia/Dhaka".into() }.into()
}

fn zone(countries: &[&str], postcodes: &[&str], rate: Rate) -> Zone {
    let texts = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect();
    Zone { countries: texts(countries), postcodes: texts(postcodes), rate, free_from: None }
}

fn flat(minor: i64) -> Rate {
    Rate::Flat { price: taka(minor) }
}

fn method(number: u128, zones: Vec<Zone>) -> ShippingMethod {
    let (id, name) = (method_id(number), format!("Method {number}"));
    ShippingMethod { id, name, zones, cod: false, cod_fee: None, days: [1, 3], tax_category: None }
}

fn ships(of: impl IntoIterator<Item = (u128, Vec<ShippingMethod>)>) -> ShippingTables {
    of.into_iter().map(|(number, methods)| (vendor(number), methods)).collect()
}

fn promotion(kind: PromotionKind) -> Promotion {
    Promotion {
        kind,
        scope: Scope::default(),
        min_subtotal: None,
        max_discount: None,
        excludes_sale_items: false,
        platform_bp: 0,
    }
}

fn percent(basis_points: u32) -> Promotion {
    promotion(PromotionKind::Percent { basis_points })
}

fn amount(minor: i64) -> Promotion {
    promotion(PromotionKind::Amount { amount: taka(minor) })
}

fn of_skus(numbers: &[u128], promotion: Promotion) -> Promotion {
    let skus = numbers.iter().map(|number| sku(*number)).collect();
    Promotion { scope: Scope { skus, ..Scope::default() }, ..promotion }
}

/// What a bill is made of, and may be changed before it is made.
#[derive(Clone, Debug)]
struct Shop {
    currency: Currency,
    goods: Vec<Good<'static>>,
    promotions: Vec<Promotion>,
    shipping: ShippingTables,
    chosen: Vec<(VendorId, ShippingMethodId)>,
    tax: Option<PreparedTaxes>,
    exempt: Option<Exemption>,
    on_delivery: bool,
    postcode: Option<&'static str>,
    region: Option<&'static str>,
    points: i64,
    point_value: i64,
}

impl Shop {
    fn of(goods: Vec<Good<'static>>) -> Self {
        Self {
            currency: Currency::BDT,
            goods,
            promotions: Vec::new(),
            shipping: ShippingTables::default(),
            chosen: Vec::new(),
            tax: None,
            exempt: None,
            on_delivery: false,
            postcode: None,
            region: None,
            points: 0,
            point_value: 1,
        }
    }

    fn bill(&self) -> Result<Bill, Reject> {
        let codes: Vec<String> = (0..self.promotions.len()).map(|number| format!("CODE{number}")).collect();
        let applied = codes.iter().zip(&self.promotions);
        let promotions: Vec<AppliedPromotion<'_>> =
            applied.map(|(code, promotion)| AppliedPromotion { code, promotion }).collect();
        let bill = bill(&Basket {
            currency: self.currency,
            goods: &self.goods,
            promotions: &promotions,
            shipping: &self.shipping,
            chosen: &self.chosen,
            to: Destination { country: "BD", region: self.region, postcode: self.postcode },
            on_delivery: self.on_delivery,
            tax: self.tax.as_ref(),
            exempt: self.exempt,
            placed_at: PLACED_AT,
            points: self.points,
            point_value: self.point_value,
        })?;
        assert_eq!(bill.is_wrong(), None, "{bill:#?}");
        let read: Bill = serde_json::from_str(&serde_json::to_string(&bill).unwrap()).unwrap();
        assert_eq!(read, bill, "as it stands in a journal");
        Ok(bill)
    }

    fn made(&self) -> Bill {
        self.bill().unwrap()
    }

    fn discounts(&self) -> Vec<i64> {
        self.made().lines.iter().map(BillLine::discount).collect()
    }

    fn refused(&self) -> Reject {
        self.bill().unwrap_err()
    }
}

fn not_applicable(why: NotApplicable) -> Reject {
    Reject::CouponNotApplicable { coupon: "CODE0".into(), why }
}

#[test]
fn a_percentage_is_rounded_half_up() {
    // 12.5 % of 0.20 is 0.025.
    let table = [(20, 1_250, 3), (25, 1_000, 3), (24, 1_000, 2), (0, 10_000, 0), (1, 4_999, 0), (1, 5_000, 1)];
    for (amount, basis_points, discount) in table {
        assert_eq!(discount_of(amount, basis_points), discount, "{basis_points} of {amount}");
    }
    assert_eq!(discount_of(i64::MAX, 10_000), i64::MAX);
    assert_eq!(discount_of(7, 20_000), 7, "never more than the whole");
}

#[test]
fn a_tax_is_rounded_half_up() {
    // Included: 857.14 at 15 % holds 111.80 (111.800…), 48.97 at 8.875 % 3.99 (3.9918…), 1.15 at 15 % 0.15.
    let included = [(85_714, 15_000, 11_180), (4_897, 8_875, 399), (115, 15_000, 15), (0, 15_000, 0), (100, 0, 0)];
    for (gross, rate, tax) in included {
        assert_eq!(tax_of(gross, rate, true), tax, "{rate} in {gross}");
    }
    // Added: 15 % of 0.30 is 0.045, of 0.29 0.0435; 8.875 % of 45.73 is 4.0585….
    let added = [(30, 15_000, 5), (29, 15_000, 4), (4_573, 8_875, 406), (1_000, 100_000, 1_000)];
    for (net, rate, tax) in added {
        assert_eq!(tax_of(net, rate, false), tax, "{rate} on {net}");
    }
    assert_eq!(tax_of(i64::MAX, 100_000, false), i64::MAX);
}

#[test]
fn taxes_of_lines_and_of_shipping_are_those_of_their_groups() {
    let mut shop = Shop::of(vec![good(1, 1, 1, 80_038), taxed_as("books", good(2, 1, 1, 4_573))]);
    shop.shipping = ships([(1, vec![method(1, vec![zone(&["BD"], &[], flat(6_000))])])]);
    shop.tax = Some(tables(true, vec![row("standard", 15_000), row("books", 8_875)]));
    let bill = shop.made();
    let share = &bill.shares[0];
    let groups: Vec<(u32, i64, i64)> =
        share.tax_groups.iter().map(|group| (group.rate_milli_percent, group.base, group.amount)).collect();
    // 60.00 is 56.76 and 3.24: 857.14 and 48.97 with the tax.
    assert_eq!(groups, [(15_000, 85_714 - 11_180, 11_180), (8_875, 4_897 - 399, 399)]);
    assert_eq!(bill.lines.iter().map(BillLine::tax_amount).collect::<Vec<_>>(), [10_440, 373]);
    assert_eq!((share.shipping_tax, share.tax(), share.total), (740 + 26, 11_579, 90_611));
    // The same without the tax in the prices.
    shop.tax = Some(tables(false, vec![row("standard", 15_000), row("books", 8_875)]));
    let bill = shop.made();
    // 15 % of 857.14 is 128.571, 8.875 % of 48.97 is 4.346….
    assert_eq!(bill.shares[0].tax_groups.iter().map(|group| group.amount).collect::<Vec<_>>(), [12_857, 435]);
    assert_eq!(bill.total(), 90_611 + 12_857 + 435);
    // An exempt buyer pays the same gross, and nothing on top of a net.
    for (included, total) in [(true, 90_611), (false, 90_611)] {
        let tax = Some(tables(included, vec![row("standard", 15_000)]));
        let bill = Shop { tax, exempt: Some(Exemption::Charity), ..shop.clone() }.made();
        assert_eq!((bill.total(), bill.shares[0].tax()), (total, 0));
        assert_eq!(bill.shares[0].tax_groups[0].reason.as_deref(), Some("exempt_charity"));
    }
}

#[test]
fn a_coupon_for_everything_leaves_the_tax_on_shipping() {
    let mut shop = Shop::of(vec![good(1, 1, 1, 30_000), taxed_as("books", good(2, 1, 1, 10_000))]);
    shop.shipping = ships([(1, vec![method(1, vec![zone(&["*"], &[], flat(6_000))])])]);
    shop.tax = Some(tables(false, vec![row("standard", 15_000), row("books", 5_000)]));
    shop.promotions = vec![percent(10_000)];
    let bill = shop.made();
    // All goods are discounted away: 60.00 is split by what they were, 45.00 and 15.00.
    let amounts: Vec<i64> = bill.shares[0].tax_groups.iter().map(|group| group.amount).collect();
    assert_eq!((amounts, bill.shares[0].shipping_tax, bill.total()), (vec![675, 75], 750, 6_750));
    assert!(bill.lines.iter().all(|line| line.payable == 0));
}

#[test]
fn shipping_may_be_taxed_by_itself() {
    let mut shop = Shop::of(vec![taxed_as("books", good(1, 1, 2, 5_000))]);
    let mut parcel = method(1, vec![zone(&["BD"], &[], flat(1_000))]);
    parcel.tax_category = Some("parcels".into());
    shop.shipping = ships([(1, vec![parcel])]);
    let rows = vec![row("books", 5_000), row("parcels", 20_000)];
    shop.tax = Some(taxes(false, ShippingTax::Own, rows));
    let bill = shop.made();
    let groups: Vec<(i64, i64)> = bill.shares[0].tax_groups.iter().map(|group| (group.base, group.amount)).collect();
    assert_eq!((groups, bill.shares[0].shipping_tax, bill.total()), (vec![(10_000, 500), (1_000, 200)], 200, 11_700));
    // What costs nothing has no rate; what has a rate of the goods' joins them, and is rounded with them.
    shop.shipping = ships([(1, vec![method(1, vec![zone(&["BD"], &[], flat(0))])])]);
    assert_eq!(shop.made().shares[0].tax_groups.len(), 1);
    let mut joined = method(1, vec![zone(&["BD"], &[], flat(10))]);
    joined.tax_category = Some("books".into());
    shop.shipping = ships([(1, vec![joined])]);
    let bill = shop.made();
    // 5 % of 100.10 is 5.005.
    assert_eq!((bill.shares[0].tax_groups.len(), bill.shares[0].tax(), bill.shares[0].shipping_tax), (1, 501, 1));
}

#[test]
fn currencies_of_no_and_of_three_digits_are_whole_minor_units() {
    for (code, unit, discount, tax, total) in [
        // 3 × 333 ¥, 10 % off is 99.9, 10 % included in 899 is 81.7….
        ("JPY", 333, 100, 82, 899),
        // 3 × 3.333 KD: 9.999, 10 % off is 0.9999, 10 % included in 8.999 is 0.8180….
        ("KWD", 3_333, 1_000, 818, 8_999),
    ] {
        let mut shop = Shop::of(vec![good(1, 1, 3, unit)]);
        shop.currency = currency(code);
        shop.promotions = vec![percent(1_000)];
        shop.tax = Some(tables(true, vec![row("standard", 10_000)]));
        let bill = shop.made();
        assert_eq!(
            (bill.lines[0].discount(), bill.lines[0].tax_amount(), bill.total()),
            (discount, tax, total),
            "{code}"
        );
    }
    // Amounts are never converted.
    let mut shop = Shop::of(vec![good(1, 1, 3, 333)]);
    shop.currency = currency("JPY");
    shop.promotions = vec![amount(100)];
    assert_eq!(shop.refused(), not_applicable(NotApplicable::Currency));
    shop.promotions.clear();
    shop.shipping = ships([(1, vec![method(1, vec![zone(&["*"], &[], flat(0))])])]);
    assert_eq!(shop.refused(), Reject::AddressNotServed { vendor_ids: vec![vendor(1)] });
}

#[test]
fn promotions_come_one_after_another() {
    let lines = || vec![good(1, 1, 1, 30_000), good(2, 1, 1, 20_000), good(3, 2, 1, 10_000)];
    let with = |promotions: Vec<Promotion>| Shop { promotions, ..Shop::of(lines()) };
    // 100.00 over 300, 200 and 100: 50, 33.33, 16.67.
    assert_eq!(with(vec![amount(10_000)]).discounts(), [5_000, 3_333, 1_667]);
    // 125.00 on the whole, then 100.00; and the other way round.
    assert_eq!(with(vec![percent(1_250), amount(10_000)]).made().total(), 60_000 - 7_500 - 10_000);
    assert_eq!(with(vec![amount(10_000), percent(1_250)]).made().total(), 60_000 - 10_000 - 6_250);
    // Items before the order, in whatever order they were put: 50 % of 300, then 10 % of 450.
    for promotions in
        [vec![of_skus(&[1], percent(5_000)), percent(1_000)], vec![percent(1_000), of_skus(&[1], percent(5_000))]]
    {
        assert_eq!(with(promotions).discounts(), [15_000 + 1_500, 2_000, 1_000]);
    }
    // At most what is there, and at most what was set.
    assert_eq!(with(vec![of_skus(&[3], amount(99_999))]).discounts(), [0, 0, 10_000]);
    let capped = Promotion { max_discount: Some(taka(600)), ..percent(5_000) };
    assert_eq!(with(vec![capped]).discounts(), [300, 200, 100]);
    // Nothing is left for the second.
    let nothing = Reject::CouponNotApplicable { coupon: "CODE1".into(), why: NotApplicable::Nothing };
    assert_eq!(with(vec![percent(10_000), amount(1)]).refused(), nothing);
    assert_eq!(with(vec![of_skus(&[9], percent(1_000))]).refused(), not_applicable(NotApplicable::Nothing));
}

#[test]
fn a_promotion_keeps_to_its_scope() {
    let mut shop = Shop::of(vec![good(1, 1, 1, 30_000), good(2, 1, 1, 20_000), good(3, 2, 1, 10_000)]);
    shop.goods[1].category = Some(category(7));
    shop.goods[0].is_on_sale = true;
    let in_scope = |scope: Scope| Promotion { scope, ..percent(1_000) };
    let table = [
        (in_scope(Scope { vendors: vec![vendor(1)], ..Scope::default() }), vec![3_000, 2_000, 0]),
        (in_scope(Scope { categories: vec![category(7)], ..Scope::default() }), vec![0, 2_000, 0]),
        (in_scope(Scope { vendors: vec![vendor(2)], ..Scope::default() }), vec![0, 0, 1_000]),
        (Promotion { excludes_sale_items: true, ..percent(1_000) }, vec![0, 2_000, 1_000]),
        (Promotion { min_subtotal: Some(taka(60_000)), ..percent(1_000) }, vec![3_000, 2_000, 1_000]),
    ];
    for (promotion, discounts) in table {
        shop.promotions = vec![promotion];
        assert_eq!(shop.discounts(), discounts, "{:?}", shop.promotions);
    }
    // The minimum is of what is in scope, before any discount.
    for promotion in [
        Promotion { min_subtotal: Some(taka(60_001)), ..percent(1_000) },
        Promotion { min_subtotal: Some(taka(30_001)), excludes_sale_items: true, ..percent(1_000) },
    ] {
        shop.promotions = vec![promotion];
        assert_eq!(shop.refused(), not_applicable(NotApplicable::MinSubtotal));
    }
    let after_another = Promotion { min_subtotal: Some(taka(60_000)), ..percent(1_000) };
    shop.promotions = vec![percent(5_000), after_another];
    assert_eq!(shop.made().total(), 27_000);
}

#[test]
fn the_platform_pays_its_part_of_a_discount_to_the_last_unit() {
    let mut shop = Shop::of(vec![good(1, 1, 1, 10_000), good(2, 1, 1, 10_000), good(3, 2, 1, 10_000)]);
    shop.promotions = vec![Promotion { platform_bp: 3_333, ..amount(100) }];
    let bill = shop.made();
    let parts: Vec<(i64, i64)> = bill.lines.iter().map(|line| (line.discount(), line.platform())).collect();
    // 33.33 % of 1.00 is 0.33, over 0.34, 0.33 and 0.33.
    assert_eq!(parts, [(34, 11), (33, 11), (33, 11)]);
    shop.shipping = ships([1, 2].map(|of| (of, vec![method(of, vec![zone(&["*"], &[], flat(5_001))])])));
    shop.promotions = vec![Promotion { platform_bp: 5_000, ..promotion(PromotionKind::FreeShipping) }];
    let bill = shop.made();
    let parts: Vec<(i64, i64, i64)> = bill
        .shares
        .iter()
        .map(|share| (share.shipping, share.shipping_discount(), share.shipping_platform()))
        .collect();
    assert_eq!((parts, bill.total()), (vec![(0, 5_001, 2_501), (0, 5_001, 2_500)], 30_000));
    let of_one = Scope { vendors: vec![vendor(2)], ..Scope::default() };
    shop.promotions = vec![Promotion { scope: of_one, ..promotion(PromotionKind::FreeShipping) }];
    assert_eq!(shop.made().total(), 35_001);
    shop.shipping = ShippingTables::default();
    assert_eq!(shop.refused(), not_applicable(NotApplicable::Nothing));
}

#[test]
fn the_zone_that_fits_best_says_what_shipping_costs() {
    let zones = vec![
        zone(&["*"], &[], flat(9)),
        zone(&["*"], &["1207"], flat(8)),
        zone(&["BD"], &[], flat(7)),
        zone(&["BD", "IN"], &["12"], flat(6)),
        zone(&["BD"], &["120-"], flat(5)),
        zone(&["BD"], &["120"], flat(4)),
    ];
    let table = [
        (&zones[..], None, Some(7)),
        (&zones, Some("9999"), Some(7)),
        (&zones, Some("12 99"), Some(6)),
        (&zones, Some("1207"), Some(5)),
        (&zones[..2], Some("1207"), Some(8)),
        (&zones[..2], Some("1206"), Some(9)),
        (&zones[1..2], Some("1206"), None),
        (&zones[3..], None, None),
    ];
    for (zones, postcode, price) in table {
        let mut shop = Shop::of(vec![good(1, 1, 1, 100)]);
        shop.shipping = ships([(1, vec![method(1, zones.to_vec())])]);
        shop.postcode = postcode;
        match price {
            Some(price) => assert_eq!(shop.made().shares[0].shipping, price, "{postcode:?}"),
            None => assert_eq!(shop.refused(), Reject::AddressNotServed { vendor_ids: vec![vendor(1)] }),
        }
    }
}

#[test]
fn steps_and_free_shipping_look_at_the_goods_after_discounts() {
    let step = |from, price| Step { from, price: taka(price) };
    let by_weight = Rate::ByWeight { steps: vec![step(0, 100), step(1_000, 200), step(5_000, 400)] };
    let by_subtotal = Rate::BySubtotal {
        steps: vec![Step { from: taka(0), price: taka(90) }, Step { from: taka(10_000), price: taka(50) }],
    };
    let shop = |rate: &Rate, quantity| {
        let mut shop = Shop::of(vec![Good { grams: 333, ..good(1, 1, quantity, 1_000) }]);
        shop.shipping = ships([(1, vec![method(1, vec![zone(&["BD"], &[], rate.clone())])])]);
        shop
    };
    for (quantity, price) in [(1, 100), (3, 100), (4, 200), (15, 200), (16, 400), (10_000, 400)] {
        assert_eq!(shop(&by_weight, quantity).made().shares[0].shipping, price, "{quantity}");
    }
    for (quantity, price) in [(9, 90), (10, 50)] {
        assert_eq!(shop(&by_subtotal, quantity).made().shares[0].shipping, price, "{quantity}");
    }
    let mut lowered = shop(&by_subtotal, 10);
    lowered.promotions = vec![amount(1)];
    assert_eq!(lowered.made().shares[0].shipping, 90);
    let free = |from, quantity| {
        let mut shop = shop(&flat(500), quantity);
        let zone = Zone { free_from: Some(taka(from)), ..zone(&["BD"], &[], flat(500)) };
        shop.shipping = ships([(1, vec![method(1, vec![zone])])]);
        shop.made().shares[0].shipping
    };
    assert_eq!((free(10_000, 9), free(10_000, 10)), (500, 0));
}

#[test]
fn a_method_is_chosen_or_is_the_cheapest_that_serves() {
    let flats = |number, minor| method(number, vec![zone(&["BD"], &[], flat(minor))]);
    let abroad = method(4, vec![zone(&["IN"], &[], flat(0))]);
    let mut shop = Shop::of(vec![good(1, 1, 1, 10_000), good(2, 2, 1, 10_000)]);
    shop.shipping = ships([(1, vec![flats(1, 300), flats(2, 200), flats(3, 200), abroad])]);
    let bill = shop.made();
    let method_of = |bill: &Bill| bill.shares.iter().map(|share| share.method).collect::<Vec<_>>();
    assert_eq!((method_of(&bill), bill.total()), (vec![Some(method_id(2)), None], 20_200));
    shop.chosen = vec![(vendor(1), method_id(1))];
    assert_eq!(shop.made().total(), 20_300);
    // One that does not serve there, one that there is not, of a vendor without any, of a vendor without lines.
    for (of, number) in [(1, 4), (1, 9), (2, 1), (3, 1)] {
        shop.chosen = vec![(vendor(of), method_id(number))];
        assert_eq!(shop.refused(), Reject::AddressNotServed { vendor_ids: vec![vendor(of)] });
    }
    // On delivery: the cheapest that takes it, with its fee.
    shop.chosen.clear();
    shop.on_delivery = true;
    let why = NoCash::Method;
    assert_eq!(shop.refused(), Reject::CodNotAvailable { why, vendor_ids: vec![vendor(1)], maximum: None });
    let cash = ShippingMethod { cod: true, cod_fee: Some(taka(40)), ..flats(5, 700) };
    shop.shipping = ships([(1, vec![flats(1, 300), cash])]);
    let bill = shop.made();
    assert_eq!((bill.shares[0].shipping, bill.shares[0].fees, bill.total()), (700, 40, 20_740));
}

#[test]
fn the_row_with_the_region_goes_first_and_then_the_latest() {
    let at = |millis, row: TaxRow| TaxRow { valid_from: Timestamp::from_millis(millis), ..row };
    let of = |region: &str, row: TaxRow| TaxRow { region: Some(region.into()), ..row };
    let tables = tables(
        true,
        vec![
            at(0, row("standard", 10_000)),
            at(1_000, row("standard", 12_000)),
            at(1_001, row("standard", 13_000)),
            at(0, of("BD-13", row("standard", 5_000))),
            at(2_000, of("BD-13", row("standard", 6_000))),
            TaxRow { reason: Some("zero_rated".into()), ..row("bread", 0) },
        ],
    );
    let rate = |region, category: &str, millis| {
        let to = Destination { country: "BD", region, postcode: None };
        let rate = tables.rate(&to, category, Timestamp::from_millis(millis));
        (rate.milli_percent, rate.reason.map(Cow::into_owned))
    };
    assert_eq!(rate(None, "standard", 999), (10_000, None));
    assert_eq!(rate(None, "standard", 1_000), (12_000, None));
    assert_eq!(rate(None, "standard", 5_000), (13_000, None));
    assert_eq!(rate(Some("BD-13"), "standard", 1_999), (5_000, None));
    assert_eq!(rate(Some("BD-13"), "standard", 2_000), (6_000, None));
    assert_eq!(rate(Some("BD-60"), "standard", 0), (10_000, None));
    assert_eq!(rate(None, "bread", 0), (0, Some("zero_rated".into())));
    assert_eq!(rate(None, "books", 0), (0, Some(tax::NO_RATE.into())));
    assert_eq!(rate(None, "standard", -1), (0, Some(tax::NO_RATE.into())));
}

#[test]
fn what_does_not_fit_is_refused_and_never_cut_off() {
    let (price, pieces) = (limits::PRICE_MINOR, limits::LINE_QUANTITY);
    let many = |lines: u128| (0..lines).map(|number| good(number, 1, pieces, price)).collect::<Vec<_>>();
    let mut shop = Shop::of(many(limits::CART_LINES as u128));
    assert_eq!(shop.made().total(), 2_000_000_000_000_000_000);
    shop.tax = Some(tables(false, vec![row("standard", 100_000)]));
    assert_eq!(shop.made().total(), 4_000_000_000_000_000_000);
    shop.goods = many(900);
    assert_eq!(shop.refused(), Reject::AmountTooLarge);
    shop.tax = None;
    assert_eq!(shop.made().total(), 9_000_000_000_000_000_000);
    shop.goods = many(1_000);
    assert_eq!(shop.refused(), Reject::AmountTooLarge);
    shop.goods = vec![Good { grams: i64::MAX, ..good(1, 1, pieces, 1) }];
    assert_eq!(shop.refused(), Reject::AmountTooLarge);
}

#[test]
fn a_bill_of_nothing_but_lines_is_plain() {
    let mut shop = Shop::of(vec![good(1, 1, 2, 100), good(2, 2, 1, 50)]);
    let bill = shop.made();
    assert_eq!((bill.is_plain(), bill.total()), (true, 250));
    shop.shipping = ships([(1, vec![method(1, vec![zone(&["*"], &[], flat(0))])])]);
    assert!(!shop.made().is_plain(), "its method is to be known");
    shop.shipping = ShippingTables::default();
    shop.tax = Some(tables(true, Vec::new()));
    assert!(!shop.made().is_plain(), "its taxes are, with their reason");
}

#[test]
fn an_amount_and_units_are_not_credited_twice() {
    let mut line = Creditable { units: 1, payable: 10_000, ..Creditable::default() };
    line.credited += 6_000;
    assert_eq!(line.credit(1).money, 4_000);
    assert_eq!(line.credit(1), Credit { from: 10_000, to: 10_000, ..Credit::default() });
}

prop_compose! {
    fn some_good()(
        number in 0..6u128, of in 0..3u128, quantity in 1..20i64, unit_price in 1..100_000i64, grams in 0..3_000i64,
        is_on_sale in any::<bool>(), books in any::<bool>(), in_category in any::<bool>(),
    ) -> Good<'static> {
        let tax_category = Cow::Borrowed(if books { "books" } else { tax::STANDARD });
        let category = in_category.then(|| category(1));
        Good { grams, is_on_sale, tax_category, category, ..good(number, of, quantity, unit_price) }
    }
}

prop_compose! {
    fn some_promotion()(
        kind in prop_oneof![
            (1..=10_000u32).prop_map(|basis_points| PromotionKind::Percent { basis_points }),
            (1..200_000i64).prop_map(|minor| PromotionKind::Amount { amount: taka(minor) }),
            Just(PromotionKind::FreeShipping),
        ],
        vendors in prop::collection::vec((0..3u128).prop_map(vendor), 0..2),
        categories in prop::collection::vec((1..2u128).prop_map(category), 0..2),
        max in prop::option::of(1..5_000i64), platform_bp in 0..=10_000u32, excludes_sale_items in any::<bool>(),
    ) -> Promotion {
        let scope = Scope { vendors, categories, skus: Vec::new() };
        Promotion { scope, max_discount: max.map(taka), platform_bp, excludes_sale_items, ..promotion(kind) }
    }
}

prop_compose! {
    fn some_shop()(
        goods in prop::collection::vec(some_good(), 1..8), promotions in prop::collection::vec(some_promotion(), 0..3),
        rates in (0..=100_000u32, 0..=100_000u32), taxed in any::<bool>(), included in any::<bool>(), own in any::<bool>(),
        exempt in any::<bool>(), shipping in prop::collection::vec((0..3u128, 0..9_000i64, 0..300i64), 0..4),
        on_delivery in any::<bool>(), points in prop_oneof![Just(0), 0..2_000_000i64],
    ) -> Shop {
        let mut shop = Shop::of(goods);
        shop.promotions = promotions;
        let shipping_tax = if own { ShippingTax::Own } else { ShippingTax::Proportional };
        let rows = vec![row("standard", rates.0), row("books", rates.1)];
        shop.tax = taxed.then(|| taxes(included, shipping_tax, rows));
        shop.shipping = ships(shipping.into_iter().map(|(of, price, fee)| {
            let cod_fee = Some(taka(fee));
            (of, vec![ShippingMethod { cod: true, cod_fee, ..method(of, vec![zone(&["*"], &[], flat(price))]) }])
        }));
        (shop.exempt, shop.on_delivery, shop.points) = (exempt.then_some(Exemption::Resale), on_delivery, points);
        shop
    }
}

/// The bill of a shop, without those of its promotions that take nothing off.
fn made_of(mut shop: Shop) -> (Shop, Bill) {
    loop {
        match shop.bill() {
            Ok(bill) => return (shop, bill),
            Err(Reject::CouponNotApplicable { coupon, .. }) => {
                shop.promotions.remove(coupon.trim_start_matches("CODE").parse().unwrap());
            }
            Err(other) => panic!("{other:?}"),
        }
    }
}

proptest! {
    #[test]
    fn lines_and_what_comes_on_top_are_the_total(shop in some_shop()) {
        let (shop, bill) = made_of(shop);
        let of = |of: fn(&BillLine) -> i64| bill.lines.iter().map(of).map(i128::from).sum::<i128>();
        let shares = |of: fn(&BillShare) -> i64| bill.shares.iter().map(of).map(i128::from).sum::<i128>();
        let tax = shares(BillShare::tax);
        let on_top = if bill.prices_include_tax { 0 } else { tax };
        let subtotal: i128 = shop.goods.iter().map(|good| i128::from(good.quantity * good.unit_price)).sum();
        prop_assert_eq!(
            i128::from(bill.total()) + i128::from(bill.points()),
            subtotal - of(BillLine::discount) + shares(|share| share.shipping) + shares(|share| share.fees) + on_top
        );
        let besides = shares(|share| share.shipping_tax) + shares(|share| share.fees_tax);
        prop_assert_eq!(of(BillLine::tax_amount) + besides, tax);
        // Nothing is negative, and the platform pays its part of each promotion as a whole.
        for (number, promotion) in shop.promotions.iter().enumerate() {
            let parts = bill.lines.iter().flat_map(|line| &line.discounts);
            let parts = parts.chain(bill.shares.iter().flat_map(|share| &share.shipping_discounts));
            let (amount, platform) = parts
                .filter(|part| part.code == number)
                .fold((0, 0), |(amount, platform), part| (amount + part.amount, platform + part.platform));
            prop_assert!(amount > 0);
            prop_assert_eq!(platform, discount_of(amount, promotion.platform_bp));
        }
        prop_assert_eq!(bill.points(), shop.points.min(bill.total() + bill.points()));
    }

    #[test]
    fn an_included_tax_changes_no_total(shop in some_shop(), rate in 0..=100_000u32) {
        let (mut shop, _) = made_of(shop);
        shop.points = 0;
        shop.tax = None;
        let untaxed = shop.made();
        shop.tax = Some(tables(true, vec![row("standard", rate)]));
        let taxed = shop.made();
        prop_assert_eq!(untaxed.total(), taxed.total());
    }

    #[test]
    fn partial_credits_in_any_order_come_to_the_whole(
        shop in some_shop(), order in prop::collection::vec((0..8usize, 1..6i64), 0..60),
    ) {
        let (shop, bill) = made_of(shop);
        let of = |(good, line): (&Good<'_>, &BillLine)| Creditable {
            units: good.quantity,
            payable: line.payable,
            points: line.points,
            platform: line.platform(),
            ..Creditable::default()
        };
        let mut lines: Vec<Creditable> = shop.goods.iter().zip(&bill.lines).map(of).collect();
        let mut taxes = vec![0; lines.len()];
        let all = (0..lines.len()).map(|at| (at, i64::MAX));
        let (mut points, mut platform) = (0, 0);
        for (at, units) in order.into_iter().filter(|(at, _)| *at < bill.lines.len()).chain(all) {
            let credit = lines[at].credit(units);
            prop_assert!(credit.money >= 0 && credit.points >= 0 && credit.platform >= 0);
            let tax = lines[at].following(bill.lines[at].tax_amount(), &credit);
            prop_assert!(tax >= 0);
            taxes[at] += tax;
            (points, platform) = (points + credit.points, platform + credit.platform);
        }
        for ((line, tax), billed) in lines.iter().zip(taxes).zip(&bill.lines) {
            prop_assert_eq!((line.credited, line.credited_units), (line.payable, line.units));
            // A line that cost nobody anything has no tax either.
            prop_assert_eq!(tax, billed.tax_amount());
        }
        prop_assert_eq!(points, bill.lines.iter().map(|line| line.points).sum::<i64>());
        prop_assert_eq!(platform, bill.lines.iter().map(BillLine::platform).sum::<i64>());
    }
}
