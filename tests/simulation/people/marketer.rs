//! Marketers: for each vendor one who makes sales all day, short ones with few pieces, changes them while they run, and thinks better of them.

use super::vendor::{SKUS, VENDORS, sku, vendor};
use super::waiter::room;
use super::{Day, Person, Told};
use crate::node::Town;
use haat::actors::Answered;
use haat::domain::entity::Principal;
use haat::domain::ids::SaleId;
use haat::domain::money::Currency;
use haat::domain::time::Timestamp;
use haat::domain::vendor::{
    ItemChange, NewLimit, Requires, SaleChange, SaleItem, SaleTerms, Tranche, Vendor, VendorCommand, WhenExhausted,
};
use std::sync::Arc;
use uuid::Uuid;

/// All marketers.
pub fn come(town: &Arc<Town>) -> Vec<Day> {
    (0..VENDORS).map(|number| Box::pin(Marketer::new(town, number).plan()) as Day).collect()
}

struct Marketer {
    person: Person,
    number: u64,
    made: Vec<SaleId>,
}

impl Marketer {
    fn new(town: &Arc<Town>, number: u64) -> Self {
        Self { person: Person::new(town, format!("marketer {number}")), number, made: Vec::new() }
    }

    async fn plan(mut self) {
        for _ in 0..self.person.world().plan.actions {
            let person = &self.person;
            person.pause(4 * person.world().plan.think_ms).await;
            match person.chance.below(10) {
                0..=4 => self.schedule().await,
                5..=8 => self.edit().await,
                _ => self.cancel().await,
            }
        }
    }

    fn now(&self) -> Timestamp {
        self.person.world().now()
    }

    async fn ask(&self, what: &str, command: VendorCommand) {
        let how = self.person.how(None, false);
        self.person.ask::<Vendor>(vendor(self.number), what, command, how).await;
    }

    async fn schedule(&mut self) {
        let now = self.now();
        let person = &mut self.person;
        let tag = person.tag();
        let chance = &person.chance;
        let starts_at = now.plus_millis(chance.below(4_000) as i64 - 1_000);
        let lasts = 500 + chance.below(20_000) as i64;
        let some = |limit: u64| Some(1 + chance.below(limit) as i64);
        let mut items = Vec::new();
        for number in 0..SKUS {
            if !items.is_empty() && chance.per_mille(600) {
                continue;
            }
            let allotment = 1 + chance.below(6) as i64;
            let later = starts_at.plus_millis(lasts / 2);
            let tranches = match chance.per_mille(300) && allotment > 1 {
                true => vec![
                    Tranche { opens_at: starts_at, quantity: allotment - 1 },
                    Tranche { opens_at: later, quantity: 1 },
                ],
                false => Vec::new(),
            };
            items.push(SaleItem {
                sku: sku(self.number, number),
                price_minor: 700 + chance.below(100) as i64,
                currency: Currency::BDT,
                allotment,
                limit_per_customer: if chance.per_mille(400) { some(3) } else { None },
                tranches,
            });
        }
        let terms = SaleTerms {
            name: tag,
            starts_at,
            ends_at: starts_at.plus_millis(lasts),
            time_zone: "Asia/Dhaka".into(),
            items,
            limit_per_customer: if chance.per_mille(300) { some(4) } else { None },
            requires: if chance.per_mille(150) { Requires::Account } else { Requires::Nothing },
            when_exhausted: if chance.per_mille(500) { WhenExhausted::Stop } else { WhenExhausted::RegularPrice },
            payment_methods: Vec::new(),
            room: chance.per_mille(100).then(|| room(0)),
        };
        let sale =
            SaleId::from_uuid(Uuid::from_u128((0x5a1e + u128::from(self.number)) << 64 | self.made.len() as u128));
        self.made.push(sale);
        let command = VendorCommand::ScheduleSale { by: Principal::SHOP, sale, terms: Box::new(terms) };
        // What got no answer is asked again: it is one sale all the same.
        for _ in 0..self.person.chance.between(1, 2) {
            self.ask("schedule a sale", command.clone()).await;
        }
    }

    /// One of the newest.
    fn some(&self) -> Option<SaleId> {
        let newest = &self.made[self.made.len().saturating_sub(2)..];
        (!newest.is_empty()).then(|| *self.person.chance.pick(newest))
    }

    async fn edit(&self) {
        let Some(sale) = self.some() else { return };
        let chance = &self.person.chance;
        let mut change = SaleChange::default();
        let mut item = ItemChange {
            sku: sku(self.number, chance.below(SKUS)),
            removed: false,
            price: None,
            allotment: None,
            limit_per_customer: None,
            tranches: None,
        };
        match chance.below(6) {
            0 => change.ends_at = Some(self.now().plus_millis(chance.below(10_000) as i64)),
            1 => change.limit_per_customer = Some(NewLimit::Lifted),
            2 => change.limit_per_customer = Some(NewLimit::To(1 + chance.below(6) as i64)),
            3 => item.limit_per_customer = Some(NewLimit::To(1 + chance.below(4) as i64)),
            4 => item.removed = chance.per_mille(500),
            _ => {
                item.allotment = Some(chance.below(8) as i64);
                item.tranches = Some(Vec::new());
            }
        }
        change.items = vec![item];
        let command = VendorCommand::EditSale { by: Principal::SHOP, sale, change: Box::new(change) };
        self.ask("edit a sale", command).await;
    }

    async fn cancel(&self) {
        let Some(sale) = self.some() else { return };
        let command = VendorCommand::CancelSale { by: Principal::SHOP, sale };
        let id = vendor(self.number);
        let told = self.person.ask::<Vendor>(id, "cancel a sale", command, self.person.how(None, false)).await;
        if matches!(told, Told::Answer(Answered { outcome: Ok(_), .. })) {
            self.person.world().count("cancelled sales");
        }
    }
}
