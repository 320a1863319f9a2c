//! Promoters: of the shop's people those who make coupons all day, good for few uses or for as many as come, change them while they run, and
//! let them end.

use super::vendor::{VENDORS, sku, vendor};
use super::{Day, Person};
use crate::node::Town;
use crate::world::lock;
use haat::domain::coupon::{Coupon, CouponChange, CouponCode, CouponCommand, CouponTerms, RestoresOn};
use haat::domain::entity::Principal;
use haat::domain::ids::CouponId;
use haat::domain::money::{Currency, Money};
use haat::domain::pricing::{Promotion, PromotionKind, Scope};
use std::sync::Arc;

/// How many come.
const PROMOTERS: u64 = 2;
/// Codes that are good for one use, of a coupon that has such.
const CODES: u32 = 2;

/// All promoters.
pub fn come(town: &Arc<Town>) -> Vec<Day> {
    (0..PROMOTERS).map(|number| Box::pin(Promoter::new(town, number).promote()) as Day).collect()
}

/// A code that everybody has heard of.
#[derive(Clone)]
pub struct Known {
    pub code: CouponCode,
    /// How many codes are good for one use each; none where the code itself is good for many.
    pub singles: u32,
}

impl Known {
    pub fn id(&self) -> CouponId {
        CouponId::of_code(&self.code.compared())
    }
}

struct Promoter {
    person: Person,
    number: u64,
    made: Vec<Known>,
}

impl Promoter {
    fn new(town: &Arc<Town>, number: u64) -> Self {
        Self { person: Person::new(town, format!("promoter {number}")), number, made: Vec::new() }
    }

    async fn promote(mut self) {
        self.create().await;
        for _ in 0..self.person.world().plan.actions {
            let person = &self.person;
            person.pause(3 * person.world().plan.think_ms).await;
            match person.chance.below(10) {
                0..=1 => self.create().await,
                2..=7 => self.edit().await,
                8 => self.issue().await,
                _ => self.look().await,
            }
        }
    }

    async fn ask(&self, what: &str, of: &Known, command: CouponCommand) {
        let how = self.person.how(None, false);
        self.person.ask::<Coupon>(of.id(), what, command, how).await;
    }

    fn minor(&self, least: u64, most: u64) -> Money {
        Money::new(self.person.chance.between(least, most) as i64, Currency::BDT)
    }

    fn kind(&self) -> PromotionKind {
        match self.person.chance.below(10) {
            0..=4 => PromotionKind::Percent { basis_points: self.person.chance.between(1, 6_000) as u32 },
            5..=7 => PromotionKind::Amount { amount: self.minor(50, 900) },
            // More than most carts come to.
            8 => PromotionKind::Amount { amount: self.minor(2_000, 9_000) },
            _ => PromotionKind::FreeShipping,
        }
    }

    async fn create(&mut self) {
        let chance = &self.person.chance;
        let now = self.person.world().now();
        let starts_at = now.plus_millis(chance.below(2_500) as i64 - 2_000);
        let kind = self.kind();
        let (of, number) = (chance.below(VENDORS), chance.below(2));
        let scope = match chance.below(10) {
            0..=1 => Scope { vendors: vec![vendor(of)], ..Scope::default() },
            2 => Scope { skus: vec![sku(of, number), sku(0, 0)], ..Scope::default() },
            _ => Scope::default(),
        };
        let some = |times: u64| chance.per_mille(times);
        let is_percent = matches!(kind, PromotionKind::Percent { .. });
        let promotion = Promotion {
            kind,
            scope,
            min_subtotal: some(150).then(|| self.minor(900, 2_500)),
            max_discount: (is_percent && some(300)).then(|| self.minor(100, 700)),
            excludes_sale_items: some(150),
            platform_bp: *chance.pick(&[0, 3_333, 10_000]),
        };
        // Some count nothing.
        let counts = some(850);
        let terms = CouponTerms {
            promotion,
            starts_at,
            ends_at: starts_at.plus_millis(2_500 + chance.below(*chance.pick(&[10_000, 100_000, 500_000_000])) as i64),
            usage_limit: (counts && some(500)).then(|| chance.between(1, 5)),
            limit_per_customer: (counts && some(750)).then(|| if chance.per_mille(800) { 1 } else { 2 }),
            budget: (counts && some(600)).then(|| self.minor(400, 4_000)),
            combines: some(700),
            restores_on: match self.made.len() % 5 {
                3 => RestoresOn::Refund,
                4 => RestoresOn::Never,
                _ => RestoresOn::Cancel,
            },
        };
        let single_use = some(150);
        let name = format!("DEAL-{}-{}", self.number, self.made.len());
        let known = Known {
            code: CouponCode::new(&name).expect("it is short and plain"),
            singles: if single_use { CODES } else { 0 },
        };
        self.made.push(known.clone());
        let command =
            CouponCommand::Create { by: Principal::SHOP, code: known.code.clone(), single_use, terms: Box::new(terms) };
        // What got no answer is asked again: it is one coupon all the same.
        for _ in 0..self.person.chance.between(1, 2) {
            self.ask("make a coupon", &known, command.clone()).await;
        }
        if single_use {
            self.ask("make codes", &known, CouponCommand::IssueCodes { by: Principal::SHOP, count: CODES }).await;
        }
        // Some hear of codes that came to nothing.
        lock(&self.person.town.codes).push(known);
    }

    /// One of the newest.
    fn some(&self) -> Option<Known> {
        let newest = &self.made[self.made.len().saturating_sub(2)..];
        (!newest.is_empty()).then(|| self.person.chance.pick(newest).clone())
    }

    async fn edit(&self) {
        let Some(known) = self.some() else { return };
        let chance = &self.person.chance;
        let mut change = CouponChange::default();
        match chance.below(10) {
            0..=1 => {
                let later = chance.below(20_000) as i64;
                change.ends_at = Some(self.person.world().now().plus_millis(later));
            }
            2 => change.usage_limit = Some(None),
            3..=4 => change.usage_limit = Some(Some(chance.between(1, 6))),
            5 => change.limit_per_customer = Some(chance.per_mille(700).then(|| chance.between(1, 3) as u32)),
            6..=7 => change.budget = Some(chance.per_mille(700).then(|| self.minor(200, 4_000))),
            8 => change.kind = Some(self.kind()),
            _ => change.combines = Some(chance.per_mille(500)),
        }
        let command = CouponCommand::Edit { by: Principal::SHOP, change: Box::new(change) };
        self.ask("edit a coupon", &known, command).await;
    }

    async fn issue(&self) {
        let Some(known) = self.some().filter(|known| known.singles > 0) else { return };
        self.ask("make codes", &known, CouponCommand::IssueCodes { by: Principal::SHOP, count: 1 }).await;
    }

    async fn look(&self) {
        let Some(known) = self.some() else { return };
        self.ask("get coupon", &known, CouponCommand::Get { by: Principal::SHOP }).await;
    }
}
