//! Codes: one vendor's SKUs have codes of their own since codes are compared composed. What a store had before stays,
//! and is told.

use super::TOLD;
use super::facts::Facts;
use crate::app::text::count;
use crate::domain::ids::SkuId;
use crate::domain::text::code_key;
use std::collections::BTreeMap;

/// Codes that several SKUs of one vendor have: no breach, as they were possible once.
pub(super) fn notes(facts: &Facts) -> Vec<String> {
    let (mut notes, mut untold) = (Vec::new(), 0);
    for (id, vendor) in &facts.vendors {
        let mut by_code: BTreeMap<String, Vec<SkuId>> = BTreeMap::new();
        for sku in &vendor.skus {
            by_code.entry(code_key(&sku.code)).or_default().push(sku.id);
        }
        for (code, skus) in by_code.into_iter().filter(|(_, skus)| skus.len() > 1) {
            if notes.len() == TOLD {
                untold += 1;
                continue;
            }
            let skus: Vec<String> = skus.iter().map(ToString::to_string).collect();
            notes.push(format!("{id} has {} SKUs with the code '{code}': {}", skus.len(), skus.join(", ")));
        }
    }
    if untold > 0 {
        notes.push(format!("{} more codes are not told", count(untold)));
    }
    notes
}

#[cfg(test)]
mod tests {
    use super::super::facts::samples::{facts, vendor};
    use super::*;
    use crate::domain::ids::EntityId;
    use uuid::Uuid;

    #[test]
    fn codes_that_a_store_has_twice_are_told() {
        let mut facts = facts();
        assert_eq!(notes(&facts), Vec::<String>::new());
        let skus = &mut facts.vendors.get_mut(&vendor()).expect("a vendor").skus;
        let mut twin = skus[0].clone();
        let id = SkuId::from_uuid(Uuid::from_u128(0x77));
        (twin.id, twin.code) = (id, format!(" {}", twin.code));
        skus.push(twin);
        let told = notes(&facts);
        assert!(told.len() == 1 && told[0].contains("'Q1'") && told[0].contains(&id.to_string()), "{told:?}");
        assert!(told[0].starts_with(&vendor().entity().to_string()));
    }
}
