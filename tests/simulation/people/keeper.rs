//! Who keeps a catalogue: for each vendor one who mends what its products say, archives goods and sells them again, and adds a SKU; and one of the
//! staff who suspends vendors, seldom and not for long.

use super::vendor::{SKUS, VENDORS, product, sku, vendor};
use super::{Day, Person};
use crate::node::Town;
use haat::domain::entity::Principal;
use haat::domain::ids::SkuId;
use haat::domain::money::Currency;
use haat::domain::vendor::{GoodsStatus, NewSku, ProductChange, SkuChange, Vendor, VendorCommand, VendorStatus};
use std::sync::Arc;
use uuid::Uuid;

/// One for each vendor, and one for the shop.
pub fn come(town: &Arc<Town>) -> Vec<Day> {
    let keepers = (0..VENDORS).map(|number| {
        let person = Person::new(town, format!("keeper {number}"));
        Box::pin(keep(person, number)) as Day
    });
    let warden = Box::pin(watch(Person::new(town, "warden".to_owned()))) as Day;
    keepers.chain([warden]).collect()
}

/// What a vendor's keeper does all day. What is archived is sold again soon: a shop with nothing to sell shows nothing.
async fn keep(person: Person, number: u64) {
    let (id, by) = (vendor(number), Principal::vendor(vendor(number)));
    for _ in 0..person.world().plan.actions / 3 {
        person.pause(8 * person.world().plan.think_ms).await;
        let chance = &person.chance;
        let (product, goods) = (product(number), sku(number, chance.below(SKUS)));
        let of_product = |change: ProductChange| VendorCommand::EditProduct { by, product, change: Box::new(change) };
        let set = |status| {
            let change = SkuChange { status: Some(status), ..SkuChange::default() };
            VendorCommand::EditSku { by, sku: goods, change: Box::new(change) }
        };
        let whole = |status| of_product(ProductChange { status: Some(status), ..ProductChange::default() });
        let (command, undone) = match chance.below(10) {
            0..=3 => (set(GoodsStatus::Archived), Some(set(GoodsStatus::Active))),
            4 => (whole(GoodsStatus::Archived), Some(whole(GoodsStatus::Active))),
            5..=7 => {
                let title = chance.per_mille(500).then(|| format!("Product {number} of {}", chance.below(9)));
                let description = Some(chance.per_mille(500).then(|| "as before".to_owned()));
                (of_product(ProductChange { title, description, ..ProductChange::default() }), None)
            }
            8 => (VendorCommand::Rename { by, name: format!("Vendor {number} {}", chance.below(3)) }, None),
            _ => (VendorCommand::AddSku { by, product, sku: later(number, chance.below(4)) }, None),
        };
        for command in [Some(command), undone].into_iter().flatten() {
            person.ask::<Vendor>(id, "mend", command, person.how(None, false)).await;
            person.pause(person.world().plan.think_ms).await;
        }
    }
}

/// One of a few SKUs that come later. Nobody buys them.
fn later(vendor: u64, number: u64) -> NewSku {
    NewSku {
        id: SkuId::from_uuid(Uuid::from_u128(0x3000 + u128::from(vendor * 0x10 + number))),
        code: format!("L{number}"),
        price_minor: 500,
        currency: Currency::BDT,
        on_hand: 7,
    }
}

/// What the warden does all day.
async fn watch(person: Person) {
    for _ in 0..person.world().plan.actions / 10 {
        person.pause(30 * person.world().plan.think_ms).await;
        let id = vendor(person.chance.below(VENDORS));
        for status in [VendorStatus::Suspended, VendorStatus::Active] {
            let command = VendorCommand::SetStatus { by: Principal::SHOP, status, reason: "papers".to_owned() };
            person.ask::<Vendor>(id, "set status", command, person.how(None, false)).await;
            person.pause(person.world().plan.think_ms).await;
        }
    }
}
