//! Vendors: each opens a shop with a few SKUs, and counts, prices and looks at them all day.

use super::memory::{Keyed, Memory};
use super::{Day, Person, Told};
use crate::node::Town;
use haat::actors::Answered;
use haat::domain::entity::Principal;
use haat::domain::ids::{ProductId, SkuId, VendorId};
use haat::domain::money::Currency;
use haat::domain::record::IdempotencyKey;
use haat::domain::vendor::{NewProduct, NewSku, Vendor, VendorCommand};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::sleep;
use uuid::Uuid;

pub const VENDORS: u64 = 3;
pub const SKUS: u64 = 3;
/// Tries of a request that has to succeed, at the shop's opening.
const TRIES: usize = 10_000;

pub fn vendor(number: u64) -> VendorId {
    VendorId::from_uuid(Uuid::from_u128((0x100 + u128::from(number)) << 64 | u128::from(number * 5)))
}

pub fn sku(vendor: u64, number: u64) -> SkuId {
    SkuId::from_uuid(Uuid::from_u128(0x1000 + u128::from(vendor * SKUS + number)))
}

/// The one product that a vendor opens with.
pub fn product(vendor: u64) -> ProductId {
    ProductId::from_uuid(Uuid::from_u128(0x2000 + u128::from(vendor)))
}

/// All vendors.
pub fn come(town: &Arc<Town>) -> Vec<Day> {
    (0..VENDORS).map(|number| Box::pin(Seller::new(town, number).sell()) as Day).collect()
}

/// Whoever sells for one vendor.
struct Seller {
    person: Person,
    number: u64,
    memory: Memory<VendorCommand>,
}

impl Seller {
    fn new(town: &Arc<Town>, number: u64) -> Self {
        Self { person: Person::new(town, format!("seller {number}")), number, memory: Memory::new() }
    }

    /// Makes vendor and products, however often it takes.
    async fn open_shop(&mut self) {
        let (person, number) = (&mut self.person, self.number);
        let pieces = person.world().plan.pieces;
        let new = |index: u64| NewSku {
            id: sku(number, index),
            code: format!("S{index}"),
            price_minor: 1_000 + 10 * index as i64,
            currency: Currency::BDT,
            on_hand: pieces,
        };
        let opened = NewProduct {
            id: product(number),
            title: format!("Product {number}"),
            description: None,
            category: None,
            skus: (0..SKUS).map(new).collect(),
        };
        let create = VendorCommand::Create { name: format!("Vendor {number}") };
        for command in [create, VendorCommand::AddProduct { by: Principal::SHOP, product: opened }] {
            let key = Some(Person::key(&person.tag()));
            for _ in 0..TRIES {
                let how = person.how(key, false);
                let told = person.ask::<Vendor>(vendor(number), "open", command.clone(), how).await;
                if matches!(told, Told::Answer(Answered { outcome: Ok(_), .. })) {
                    break;
                }
                sleep(Duration::from_millis(10)).await;
            }
        }
    }

    /// What a vendor does all day.
    async fn sell(mut self) {
        self.open_shop().await;
        let id = vendor(self.number);
        let by = Principal::vendor(id);
        for _ in 0..self.person.world().plan.actions {
            let person = &self.person;
            person.pause(2 * person.world().plan.think_ms).await;
            let sku = sku(self.number, person.chance.below(SKUS));
            if person.chance.per_mille(100) {
                self.ask_again().await;
                continue;
            }
            match person.chance.below(10) {
                0..=5 => self.adjust(sku).await,
                6 => {
                    let price_minor = 1_000 + person.chance.below(5) as i64;
                    let command = VendorCommand::SetPrice { by, sku, price_minor, currency: Currency::BDT };
                    person.ask::<Vendor>(id, "set price", command, person.how(None, false)).await;
                }
                7 => {
                    let command = VendorCommand::GetSku { by, sku };
                    person.ask::<Vendor>(id, "get SKU", command, person.how(None, false)).await;
                }
                _ => person.look_up(sku).await,
            }
        }
    }

    /// Asks once more what was asked before.
    async fn ask_again(&self) {
        let person = &self.person;
        let Some(Keyed { request, tag, key }) = self.memory.pick(&person.chance) else { return };
        let told = person.ask::<Vendor>(vendor(self.number), "again", request, person.how(Some(key), false)).await;
        person.tried(&tag, &told);
    }

    async fn adjust(&mut self, sku: SkuId) {
        let (id, tag) = (vendor(self.number), self.person.tag());
        let person = &self.person;
        let key = person.chance.per_mille(700).then(|| Person::key(&tag));
        let delta = *person.chance.pick(&[-3, -1, 1, 2, 10]);
        let by = Principal::vendor(id);
        // With a key a request may be sent again and again.
        let tries = if key.is_some() { person.chance.between(1, 4) } else { 1 };
        let command = VendorCommand::AdjustStock { by, sku, delta, reason: tag.clone() };
        self.memory.add(&person.chance, key, &tag, command);
        for _ in 0..tries {
            // Now and then under the same key with another body.
            let other = key.is_some() && person.chance.per_mille(100);
            let key = key.map(|key| IdempotencyKey { body: 1 + u128::from(other), ..key });
            let delta = if other { delta + 1 } else { delta };
            let command = VendorCommand::AdjustStock { by, sku, delta, reason: tag.clone() };
            let told = person.ask::<Vendor>(id, "adjust", command, person.how(key, false)).await;
            person.tried(&tag, &told);
            person.pause(300).await;
        }
    }
}
