//! What refusals say, where it depends on what they are about.

use super::*;

/// The path of a field of one of a product's new SKUs; of another field where it is about no such SKU.
pub(super) fn sku_field(index: Option<usize>, of_new: &str, otherwise: &'static str) -> Option<Cow<'static, str>> {
    Some(index.map_or(otherwise.into(), |index| format!("skus[{index}].{of_new}").into()))
}

pub(super) fn allotment_reserved(available: Option<i64>, minimum: Option<i64>) -> String {
    match (available, minimum) {
        (_, Some(minimum)) => format!("{minimum} pieces of the sale are taken: less cannot be promised, nor be open"),
        (available, None) => format!("no sale needs {} pieces: what is more is promised", available.unwrap_or(0)),
    }
}

pub(super) fn sale_field(why: &str) -> &'static str {
    match why {
        "window" => "ends_at",
        "limit" => "limit_per_customer",
        _ => "items",
    }
}

pub(super) fn sale_invalid(why: &str) -> &'static str {
    match why {
        "window" => "a sale ends after its start, and after now",
        "price" => "a sale's price is at most the list price",
        "allotment" => "an allotment is 1 piece or more",
        "limit" => "a limit is 1 piece or more",
        "tranches" => "tranches open one after the other while the sale runs, and come to the allotment",
        _ => "a sale has items, each with a price and an allotment, and each SKU once",
    }
}

pub(super) fn nothing_to_resolve(may: &[ResolveAs]) -> String {
    match may {
        [] => "the order is not stuck, or not for long enough".to_owned(),
        may => {
            let may: Vec<&str> = may.iter().map(|verb| verb.name()).collect();
            format!("what this order is stuck in is resolved as {}", may.join(", "))
        }
    }
}
