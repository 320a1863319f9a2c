//! Who says on what terms things are sold: for each vendor one who sets price breaks and weights, and one of the staff who says which prices
//! a customer has and whether taxes, and what taxes and shipping cost.

use super::shopper::{OFFICE, shopper};
use super::vendor::{SKUS, VENDORS, sku, vendor};
use super::{Day, Person};
use crate::node::Town;
use crate::world::lock;
use haat::domain::buyer::{Audience, Exemption};
use haat::domain::customer::{Customer, CustomerCommand};
use haat::domain::entity::Principal;
use haat::domain::ids::{CustomerId, ShippingMethodId, VendorId};
use haat::domain::money::{Currency, Money};
use haat::domain::pricing::shipping::EVERYWHERE;
use haat::domain::pricing::{Rate, ShippingMethod, ShippingTables, ShippingTax, Step, Tables, TaxRow, TaxTables, Zone};
use haat::domain::vendor::{BreakScope, PriceBreak, SkuChange, Vendor, VendorCommand};
use std::sync::Arc;
use uuid::Uuid;

/// One for each vendor, and one for the shop.
pub fn come(town: &Arc<Town>) -> Vec<Day> {
    let pricers = (0..VENDORS).map(|number| {
        let person = Person::new(town, format!("pricer {number}"));
        Box::pin(price(person, number)) as Day
    });
    let clerk = Box::pin(keep_tables(Person::new(town, "clerk".to_owned()))) as Day;
    pricers.chain([clerk]).collect()
}

/// What a vendor's pricer does all day.
async fn price(person: Person, number: u64) {
    for _ in 0..person.world().plan.actions / 2 {
        person.pause(5 * person.world().plan.think_ms).await;
        let chance = &person.chance;
        let mut change = SkuChange { currency: Some(Currency::BDT), ..SkuChange::default() };
        match chance.below(10) {
            0..=6 => change.price_breaks = Some(breaks(&person)),
            7 => {
                change.break_scope = Some(*chance.pick(&BreakScope::ALL));
            }
            8 => change.weight_grams = Some(chance.per_mille(700).then(|| chance.between(100, 2_000) as i64)),
            _ => change.tax_category = Some(chance.per_mille(500).then(|| "food".to_owned())),
        }
        let by = Principal::vendor(vendor(number));
        let command = VendorCommand::EditSku { by, sku: sku(number, chance.below(SKUS)), change: Box::new(change) };
        person.ask::<Vendor>(vendor(number), "set terms", command, person.how(None, false)).await;
    }
}

/// Rungs of everybody's and of those who buy to sell again. A few are in no order, and are refused.
fn breaks(person: &Person) -> Vec<PriceBreak> {
    let chance = &person.chance;
    let mut breaks = Vec::new();
    for audience in [None, Some(Audience::Wholesale), Some(Audience::Retail)] {
        let mut price_minor = 1_000 - chance.below(100) as i64;
        for min_quantity in 1..=3 {
            if chance.per_mille(350) {
                breaks.push(PriceBreak { min_quantity, price_minor, audience });
            }
            price_minor -= chance.below(60) as i64;
        }
    }
    breaks
}

fn minor(person: &Person, most: u64) -> Money {
    Money::new(person.chance.between(1, most) as i64, Currency::BDT)
}

/// What the clerk does all day.
async fn keep_tables(person: Person) {
    if person.world().plan.has_tables && person.chance.per_mille(800) {
        exempt(&person, shopper(OFFICE), None).await;
    }
    for _ in 0..person.world().plan.actions / 3 {
        person.pause(6 * person.world().plan.think_ms).await;
        let chance = &person.chance;
        let customer = shopper(*chance.pick(&[0, 1, OFFICE]));
        if chance.per_mille(500) || !person.world().plan.has_tables {
            let group = *chance.pick(&[Audience::Wholesale, Audience::Wholesale, Audience::Retail]);
            match chance.below(10) {
                0..=3 => edit(&person, customer, Some(group), None).await,
                4..=7 => exempt(&person, customer, chance.per_mille(500).then_some(group)).await,
                _ => edit(&person, customer, None, Some(None)).await,
            }
            continue;
        }
        let tables = tables(&person);
        person.world().count("tables");
        person.town.write_tables(|before| Tables { loyalty: before.loyalty, ..tables });
        tell_of_tables(&person).await;
    }
}

/// Each node comes to know of tables in its own time, as it would look for them.
pub async fn tell_of_tables(person: &Person) {
    let nodes = lock(&person.town.nodes).clone();
    for node in nodes {
        person.pause(200).await;
        let newest = lock(&person.town.tables).last().cloned();
        newest.into_iter().for_each(|tables| node.shop.show_tables(Tables::clone(&tables)));
    }
}

/// The clerk has seen why a customer pays no tax.
async fn exempt(person: &Person, customer: CustomerId, group: Option<Audience>) {
    let why = *person.chance.pick(&Exemption::ALL);
    edit(person, customer, group, Some(Some(why))).await;
}

async fn edit(person: &Person, customer: CustomerId, group: Option<Audience>, exempt: Option<Option<Exemption>>) {
    let command = CustomerCommand::Edit { by: Principal::SHOP, group, exempt };
    person.ask::<Customer>(customer, "edit a customer", command, person.how(None, false)).await;
}

fn tables(person: &Person) -> Tables {
    let chance = &person.chance;
    let tax = chance.per_mille(700).then(|| {
        let row = |category: &str| TaxRow {
            country: "BD".into(),
            region: None,
            category: category.into(),
            rate_milli_percent: *chance.pick(&[5_000, 7_500, 15_000, 33_333]),
            reason: None,
            valid_from: person.world().now().plus_millis(chance.below(2_000) as i64 - 1_900),
        };
        TaxTables {
            prices_include_tax: chance.per_mille(500),
            shipping_tax: *chance.pick(&[ShippingTax::Proportional, ShippingTax::Own]),
            time_zone: "Asia/Dhaka".into(),
            tax_tables: vec![row("standard"), row("food")],
        }
    });
    let mut shipping: Vec<(VendorId, Vec<ShippingMethod>)> = Vec::new();
    for number in 0..VENDORS {
        if chance.per_mille(600) {
            let methods: Vec<ShippingMethod> =
                (0..chance.between(1, 2)).map(|index| method(person, number, index)).collect();
            shipping.push((vendor(number), methods));
        }
    }
    Tables { tax: tax.map(Into::into), shipping: ShippingTables::from_iter(shipping), ..Tables::default() }
}

fn method(person: &Person, number: u64, index: u64) -> ShippingMethod {
    let chance = &person.chance;
    let rate = match chance.below(3) {
        0 => Rate::Flat { price: minor(person, 150) },
        1 => Rate::ByWeight { steps: [0, 500, 2_000].map(|from| Step { from, price: minor(person, 200) }).into() },
        _ => Rate::BySubtotal {
            steps: [0, 1_500]
                .map(|from| Step { from: Money::new(from, Currency::BDT), price: minor(person, 200) })
                .into(),
        },
    };
    ShippingMethod {
        id: ShippingMethodId::from_uuid(Uuid::from_u128(0x3000 + u128::from(10 * number + index))),
        name: format!("Method {index}"),
        zones: vec![Zone {
            countries: vec![(*chance.pick(&["BD", EVERYWHERE])).into()],
            postcodes: Vec::new(),
            rate,
            free_from: chance.per_mille(300).then(|| Money::new(3_000, Currency::BDT)),
        }],
        cod: false,
        cod_fee: None,
        days: [1, 3],
        tax_category: chance.per_mille(500).then(|| "food".to_owned()),
    }
}
