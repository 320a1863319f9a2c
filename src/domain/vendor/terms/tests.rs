//! What pieces cost, by figures that were worked out by hand, and what holds of any ladder.

use super::*;
use proptest::prelude::*;

fn rung(min_quantity: i64, price_minor: i64, audience: Option<Audience>) -> PriceBreak {
    PriceBreak { min_quantity, price_minor, audience }
}

fn ladder(price_breaks: Vec<PriceBreak>) -> SkuTerms {
    SkuTerms { price_breaks, ..SkuTerms::default() }
}

/// A price as people write it.
fn minor(amount: &str, currency: &str) -> i64 {
    Money::parse(amount, currency.parse().unwrap()).unwrap().minor
}

#[test]
fn a_piece_costs_the_least_of_list_price_reached_rungs_and_sale() {
    use Audience::{Retail, Wholesale};
    // Currency; the list price; from 10 pieces on, from 50 on, from 5 on for wholesale, from 50 on for wholesale.
    let shops = [
        ("JPY", "1000", ["900", "750", "880", "600"]),
        ("BDT", "1250.00", ["1125.50", "999.99", "1100.00", "800.01"]),
        ("KWD", "3.125", ["2.999", "2.500", "2.950", "1.875"]),
    ];
    // For whom; pieces; the sale's price as one of the figures: 0 the list price, 1 to 4 the rungs in their order; which figure is the price;
    // the rung that made it.
    type Case = (Audience, i64, Option<usize>, usize, Option<i64>);
    let cases: &[Case] = &[
        (Retail, 1, None, 0, None),
        (Retail, 9, None, 0, None),
        (Retail, 10, None, 1, Some(10)),
        (Retail, 49, None, 1, Some(10)),
        (Retail, 50, None, 2, Some(50)),
        (Retail, 10_000, None, 2, Some(50)),
        (Wholesale, 4, None, 0, None),
        (Wholesale, 5, None, 3, Some(5)),
        // Its own rung from 5 on is lower than everybody's from 10 on.
        (Wholesale, 10, None, 3, Some(5)),
        (Wholesale, 50, None, 4, Some(50)),
        // A sale is never added to a rung: the lower one counts, and of equal ones the sale.
        (Retail, 1, Some(1), 1, None),
        (Retail, 10, Some(1), 1, None),
        (Retail, 10, Some(2), 2, None),
        (Retail, 50, Some(1), 2, Some(50)),
        (Wholesale, 50, Some(3), 4, Some(50)),
        (Wholesale, 50, Some(4), 4, None),
        // A sale above the list price, which was lowered since.
        (Retail, 1, Some(0), 0, None),
    ];
    for (currency, list, rungs) in shops {
        let figures: Vec<i64> = std::iter::once(list).chain(rungs).map(|amount| minor(amount, currency)).collect();
        let terms = ladder(vec![
            rung(10, figures[1], None),
            rung(50, figures[2], None),
            rung(5, figures[3], Some(Wholesale)),
            rung(50, figures[4], Some(Wholesale)),
        ]);
        for (audience, pieces, sale, price, by) in cases {
            let sale = sale.map(|figure| figures[figure]);
            let found = price_of(figures[0], &terms, *audience, *pieces, sale);
            assert_eq!(found, (figures[*price], *by), "{currency}: {audience:?}, {pieces} pieces, sale {sale:?}");
        }
        assert_eq!(
            price_of(figures[4], &terms, Retail, 1, Some(figures[0])),
            (figures[4], None),
            "no sale raises a price"
        );
        assert_eq!(price_of(figures[4], &terms, Retail, 50, None), (figures[4], None), "nor does a rung");
    }
}

#[test]
fn the_next_rung_is_the_nearest_that_costs_less() {
    let wholesale = Some(Audience::Wholesale);
    let terms = ladder(vec![rung(10, 90, None), rung(20, 80, None), rung(15, 85, wholesale), rung(20, 70, wholesale)]);
    let next = |audience, counted| {
        let (price, _) = price_of(100, &terms, audience, counted, None);
        terms.next_break(audience, counted, price).map(|rung| (rung.min_quantity, rung.price_minor))
    };
    for (counted, retail, wholesale) in [
        (1, Some((10, 90)), Some((10, 90))),
        (9, Some((10, 90)), Some((10, 90))),
        (10, Some((20, 80)), Some((15, 85))),
        (15, Some((20, 80)), Some((20, 70))),
        (20, None, None),
    ] {
        assert_eq!(
            (next(Audience::Retail, counted), next(Audience::Wholesale, counted)),
            (retail, wholesale),
            "{counted}"
        );
    }
    assert_eq!(
        terms.next_break(Audience::Retail, 1, 85).map(|rung| rung.min_quantity),
        Some(20),
        "a sale is below the first"
    );
}

#[test]
fn wholesale_buyers_have_their_own_quantities_where_there_are_any() {
    let everybody = QuantityRules { min_quantity: Some(2), quantity_step: Some(2), max_quantity: Some(10) };
    let own = QuantityRules { min_quantity: Some(50), quantity_step: None, max_quantity: Some(500) };
    let mut terms = SkuTerms { quantities: everybody, ..SkuTerms::default() };
    for audience in Audience::ALL {
        assert_eq!(terms.quantities_for(audience), everybody);
    }
    terms.wholesale = Some(own);
    assert_eq!(terms.quantities_for(Audience::Retail), everybody);
    let both = QuantityRules { quantity_step: Some(2), ..own };
    assert_eq!(terms.quantities_for(Audience::Wholesale), both);
}

#[test]
fn a_change_says_what_is_different_and_takes_away() {
    let text = |text: &str| Some(Some(text.to_owned()));
    let full = SkuChange {
        price_breaks: Some(vec![rung(50, 70, Some(Audience::Wholesale)), rung(20, 80, None), rung(10, 90, None)]),
        break_scope: Some(BreakScope::Product),
        min_quantity: Some(Some(4)),
        quantity_step: Some(Some(2)),
        wholesale: Some(Some(QuantityRules { min_quantity: Some(50), ..QuantityRules::default() })),
        weight_grams: Some(Some(250)),
        tax_category: text("reduced"),
        shipping_class: text("bulky"),
        ..SkuChange::default()
    };
    let terms = full.terms(&SkuTerms::default()).unwrap();
    let in_order = [rung(10, 90, None), rung(20, 80, None), rung(50, 70, Some(Audience::Wholesale))];
    assert_eq!(terms.price_breaks, in_order);
    assert_eq!(SkuChange::default().terms(&terms).unwrap(), terms, "what is not named stays");
    let lighter = SkuChange { weight_grams: Some(Some(200)), ..SkuChange::default() };
    assert_eq!(lighter.terms(&terms).unwrap(), SkuTerms { weight_grams: Some(200), ..terms.clone() });
    let nothing = SkuChange {
        price_breaks: Some(Vec::new()),
        break_scope: Some(BreakScope::Sku),
        min_quantity: Some(None),
        quantity_step: Some(None),
        max_quantity: Some(None),
        wholesale: Some(None),
        weight_grams: Some(None),
        tax_category: Some(None),
        shipping_class: Some(None),
        ..SkuChange::default()
    };
    assert_eq!(nothing.terms(&terms).unwrap(), SkuTerms::default());
    // One ladder is none of the other's business.
    let two = SkuChange {
        price_breaks: Some(vec![rung(10, 90, None), rung(10, 95, Some(Audience::Wholesale))]),
        ..SkuChange::default()
    };
    assert!(two.terms(&SkuTerms::default()).is_ok());
    let faulty = SkuChange { price_breaks: Some(vec![rung(20, 80, None), rung(10, 80, None)]), ..SkuChange::default() };
    assert_eq!(faulty.terms(&terms), Err(Reject::PriceBreakOrder { index: 0 }), "the upper one, as it came");
    let many = (1..=limits::PRICE_BREAKS as i64 + 1).map(|pieces| rung(pieces, 1_000 - pieces, None)).collect();
    let many = SkuChange { price_breaks: Some(many), ..SkuChange::default() };
    assert!(matches!(many.terms(&terms), Err(Reject::TooMany { limit: limits::PRICE_BREAKS, .. })));
}

#[test]
fn terms_without_anything_are_written_as_nothing() {
    assert_eq!(serde_json::to_string(&SkuTerms::default()).unwrap(), "{}");
    assert_eq!(serde_json::from_str::<SkuTerms>("{}").unwrap(), SkuTerms::default());
    let json = serde_json::to_string(&ladder(vec![rung(10, 90, Some(Audience::Wholesale))])).unwrap();
    assert_eq!(json, r#"{"price_breaks":[{"min_quantity":10,"price_minor":90,"audience":"wholesale"}]}"#);
}

prop_compose! {
    /// Ladders that a vendor could have set: for everybody, and for each audience.
    fn any_terms()(ladders in prop::collection::vec(prop::collection::btree_map(1..200_i64, 1..200_i64, 0..6), 3)) -> SkuTerms {
        let mut price_breaks = Vec::new();
        for (audience, ladder) in [None, Some(Audience::Retail), Some(Audience::Wholesale)].into_iter().zip(ladders) {
            let mut prices: Vec<i64> = ladder.values().copied().collect::<std::collections::BTreeSet<_>>().into_iter().collect();
            for pieces in ladder.keys() {
                price_breaks.extend(prices.pop().map(|price| rung(*pieces, price, audience)));
            }
        }
        ladder(price_breaks)
    }
}

proptest! {
    #[test]
    fn a_price_is_never_above_list_and_never_rises_with_the_pieces(
        terms in any_terms(),
        list in 1..300_i64,
        sale in prop::option::of(1..300_i64),
    ) {
        let change = SkuChange { price_breaks: Some(terms.price_breaks.clone()), ..SkuChange::default() };
        prop_assert!(change.terms(&SkuTerms::default()).is_ok());
        for audience in Audience::ALL {
            let mut before = list;
            for pieces in 1..210 {
                let (price, by) = price_of(list, &terms, audience, pieces, sale);
                prop_assert!(0 < price && price <= before && price <= sale.unwrap_or(list));
                // A rung is told where it alone made the price, and then it is one of the buyer's that was reached.
                let made = terms.price_breaks.iter().any(|rung| {
                    Some(rung.min_quantity) == by && rung.price_minor == price && rung.is_for(audience) && rung.min_quantity <= pieces
                });
                prop_assert_eq!(made, by.is_some());
                prop_assert_eq!(by.is_some(), price < list.min(sale.unwrap_or(list)));
                // And whatever comes next is nearer than any other that costs less.
                let next = terms.next_break(audience, pieces, price);
                if let Some(next) = next {
                    prop_assert!(price_of(list, &terms, audience, next.min_quantity, sale).0 < price);
                    prop_assert_eq!(price_of(list, &terms, audience, next.min_quantity - 1, sale).0, price);
                } else {
                    prop_assert_eq!(price_of(list, &terms, audience, limits::LINE_QUANTITY, sale).0, price);
                }
                before = price;
            }
        }
    }
}
