//! Bargain hunters: they hear of every code, and race for what it is good for, under the same few numbers, with cards that are declined as
//! often as not.

use super::planner::Chooser;
use super::promoter::Known;
use super::vendor::{SKUS, VENDORS, sku, vendor};
use super::{Day, Person, Told};
use crate::gateway::{APPROVE, DECLINE, METHOD, SLOW};
use crate::node::Town;
use crate::world::{Chance, lock};
use haat::actors::Answered;
use haat::checkout::CheckedOut;
use haat::domain::buyer::{Buyer, BuyerKey, Mint};
use haat::domain::cart::{Cart, CartCommand, CartLine, CheckoutRequest};
use haat::domain::coupon::Single;
use haat::domain::details::Contact;
use haat::domain::entity::{Owner, Principal};
use haat::domain::ids::{CartId, EntityId, OrderId};
use haat::domain::money::{Currency, Money};
use haat::domain::order::{Address, OrderCommand, PaymentChoice, PlacedCoupon};
use haat::domain::reject::Reject;
use haat::ports::Clock;
use std::sync::Arc;

/// How many come.
const HUNTERS: u64 = 4;
/// Numbers that they give. Some have one of them in common.
const NUMBERS: u64 = 2;

/// All hunters.
pub fn come(town: &Arc<Town>) -> Vec<Day> {
    (0..HUNTERS).map(|number| Box::pin(Hunter::new(town, number).hunt()) as Day).collect()
}

/// One of the codes that were heard of last.
fn heard(town: &Town, chance: &Chance) -> Option<PlacedCoupon> {
    let codes = lock(&town.codes);
    let newest = &codes[codes.len().saturating_sub(3)..];
    if newest.is_empty() {
        return None;
    }
    let known = chance.pick(newest);
    let Known { code, singles } = known.clone();
    // Some try what was never made.
    let serial = (singles > 0).then(|| chance.below(u64::from(singles) + 1) as u32);
    let code = serial.map_or_else(|| code.clone(), |serial| code.single(Single { serial, hash: 0 }));
    Some(PlacedCoupon { coupon: known.id(), code, serial })
}

/// Puts a code that was heard of into a cart; what the cart said if it refused.
pub async fn put_code(person: &Person, chance: &Chance, cart: CartId, by: Principal) -> Option<Reject> {
    let coupon = heard(&person.town, chance)?;
    let told =
        person.ask::<Cart>(cart, "put a code", CartCommand::PutCoupon { by, coupon }, person.how(None, false)).await;
    match told {
        Told::Answer(Answered { outcome, .. }) => {
            person.world().count(if outcome.is_ok() { "codes in carts" } else { "refused codes" });
            outcome.err()
        }
        _ => None,
    }
}

struct Hunter {
    person: Person,
    number: u64,
    slots: Chooser,
    cart: Option<CartId>,
    order: Option<OrderId>,
    /// What they were told that it comes to by now.
    agreed: Option<Money>,
}

impl Hunter {
    fn new(town: &Arc<Town>, number: u64) -> Self {
        let person = Person::new(town, format!("hunter {number}"));
        let slots = Chooser::new(town, &person.name);
        Self { person, number, slots, cart: None, order: None, agreed: None }
    }

    async fn hunt(mut self) {
        for _ in 0..2 * self.person.world().plan.actions {
            let person = &self.person;
            person.pause(person.world().plan.think_ms / 2).await;
            let Some(cart) = self.cart else {
                self.create_cart().await;
                continue;
            };
            if self.agreed.is_some() && person.chance.per_mille(700) {
                self.check_out(cart).await;
                continue;
            }
            match person.chance.below(100) {
                0..25 => self.set_line(cart).await,
                25..50 => {
                    let refused = put_code(person, &person.chance, cart, Principal::Guest(cart)).await;
                    // It buys, or has bought: most do not wait for it.
                    let goes = matches!(refused, Some(Reject::CartCheckingOut)) && person.chance.per_mille(600);
                    if goes || matches!(refused, Some(Reject::CartCheckedOut)) {
                        self.cart = None;
                    }
                }
                50..60 => self.remove_code(cart).await,
                60..90 => self.check_out(cart).await,
                90..94 => self.cancel(cart).await,
                _ => self.cart = None,
            }
        }
    }

    async fn create_cart(&mut self) {
        let person = &self.person;
        let id = CartId::from_uuid(person.town.clock.new_uuid());
        let create = CartCommand::Create { owner: Owner::Guest, currency: Currency::BDT };
        let told = person.ask::<Cart>(id, "create", create, person.how(None, true)).await;
        if let Told::Answer(Answered { outcome: Ok(_), .. }) = told {
            lock(&person.town.made).push(id.entity());
            (self.cart, self.order) = (Some(id), None);
            self.set_line(id).await;
        }
    }

    async fn set_line(&mut self, cart: CartId) {
        let tag = self.person.tag();
        let person = &self.person;
        let (of, index) = (person.chance.below(VENDORS), person.chance.below(SKUS));
        let quantity = person.chance.between(1, 2) as i64;
        let unit_price = {
            let node = person.node().await;
            let listing =
                node.shop.catalog().ok().and_then(|directory| directory.sku(sku(of, index), node.shop.clock().now()));
            let Some(listing) = listing else { return };
            listing.sku.price_minor
        };
        let line =
            CartLine { sku: sku(of, index), vendor: vendor(of), title: tag.clone(), quantity, unit_price, sale: None };
        let command = CartCommand::SetLine { by: Principal::Guest(cart), line, currency: Currency::BDT };
        let told = person.ask::<Cart>(cart, "set line", command, person.how(None, false)).await;
        person.tried(&tag, &told);
        if let Told::Answer(Answered { outcome: Err(Reject::CartCheckedOut | Reject::CartCheckingOut), .. }) = told {
            self.cart = None;
        }
    }

    async fn remove_code(&self, cart: CartId) {
        let person = &self.person;
        let Some(PlacedCoupon { code, .. }) = heard(&person.town, &person.chance) else { return };
        let command = CartCommand::RemoveCoupon { by: Principal::Guest(cart), code };
        person.ask::<Cart>(cart, "remove a code", command, person.how(None, false)).await;
    }

    /// One number or two; none, now and then.
    fn keys(&self) -> Vec<BuyerKey> {
        let number = |number: u64| BuyerKey([0x40 | (number % NUMBERS) as u8; 8]);
        match self.person.chance.below(10) {
            0 => Vec::new(),
            1 => vec![number(0), number(1)],
            _ => vec![number(self.number)],
        }
    }

    async fn check_out(&mut self, cart: CartId) {
        let tag = self.person.tag();
        let person = &self.person;
        let slots = self.slots.choose(person).await;
        let shipping_address = Address {
            name: "Rokeya".into(),
            line1: "12 Lake Road".into(),
            line2: None,
            city: "Dhaka".into(),
            postcode: None,
            region: Some(tag.clone()),
            country: "BD".into(),
            phone: None,
        };
        let details = CheckoutRequest {
            shipping: Vec::new(),
            slots,
            quote: None,
            buyer: Buyer { keys: self.keys(), ..shipping_address.buyer() },
            contact: Contact { email: None, shipping_address },
            mint: Mint(person.chance.next().to_be_bytes()[4..].try_into().unwrap()),
            payment: PaymentChoice {
                method: METHOD.into(),
                token: (*person.chance.pick(&[APPROVE, APPROVE, SLOW, DECLINE])).into(),
            },
            expected_total: self.agreed.take(),
        };
        let (node, within) = (person.node().await, person.how(None, false).within);
        let question = node.shop.checkout(Principal::Guest(cart), cart, details, within, None, None);
        let told = person.told(&node, "check out", cart.entity(), question).await;
        let oracle = &person.town.oracle;
        let unknown = matches!(told, Told::Nothing | Told::NotDone(_));
        let Told::Answer(CheckedOut { outcome, created, replayed }) = told else {
            return oracle.commands.tried(&tag, false, unknown);
        };
        match outcome {
            Ok(view) => {
                oracle.commands.tried(&tag, created && !replayed, true);
                oracle.answers.order_shown(0, &view);
                if self.order.replace(view.id) != Some(view.id) {
                    lock(&person.town.made).push(view.id.entity());
                }
            }
            Err(reject) => {
                if let Reject::PriceChanged { actual_total } = &reject {
                    self.agreed = Some(*actual_total);
                }
                if matches!(reject, Reject::CouponExhausted | Reject::CouponLimitReached { .. }) {
                    person.world().count("checkouts that were too late for their coupon");
                }
                oracle.commands.tried(&tag, false, !matches!(reject, Reject::CartEmpty));
            }
        }
    }

    async fn cancel(&self, cart: CartId) {
        let Some(order) = self.order else { return };
        let person = &self.person;
        let command = OrderCommand::Cancel { by: Principal::Guest(cart) };
        person.ask_order(order, "cancel", command, person.how(None, false)).await;
    }
}
