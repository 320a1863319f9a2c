//! Savers: they buy under their name, with points, more than they have at times. Two of them have one account: what one spends, the other wants to
//! spend from another cart at the same time.

use super::vendor::{SKUS, VENDORS, sku, vendor};
use super::{Day, Person, Told};
use crate::gateway::{APPROVE, DECLINE, METHOD, SLOW};
use crate::node::Town;
use crate::world::lock;
use haat::actors::Answered;
use haat::checkout::{CheckedOut, OpenedCart};
use haat::domain::buyer::{Buyer, Mint, PointsWanted};
use haat::domain::cart::{Cart, CartCommand, CartLine, CheckoutRequest};
use haat::domain::customer::{Customer, CustomerCommand, CustomerReply, PointCommand};
use haat::domain::details::Contact;
use haat::domain::entity::Principal;
use haat::domain::ids::{CartId, CustomerId, EntityId, OrderId};
use haat::domain::money::{Currency, Money};
use haat::domain::order::{Address, OrderCommand, PaymentChoice};
use haat::domain::pricing::ON_DELIVERY;
use haat::domain::reject::Reject;
use std::sync::Arc;
use uuid::Uuid;

/// How many accounts they have.
pub const SAVERS: u64 = 2;

pub fn saver(number: u64) -> CustomerId {
    CustomerId::from_uuid(Uuid::from_u128((0x400 + u128::from(number)) << 64 | u128::from(number * 11)))
}

/// All savers, in a shop that has a programme.
pub fn come(town: &Arc<Town>) -> Vec<Day> {
    let day = |(at, number): (usize, u64)| {
        let person = Person::new(town, format!("saver {at}"));
        Box::pin(Saver { person, id: saver(number), cart: None, order: None, agreed: None }.save()) as Day
    };
    let all = if town.world.plan.programme.is_some() { &[0, 0, 1][..] } else { &[] };
    all.iter().copied().enumerate().map(day).collect()
}

struct Saver {
    person: Person,
    id: CustomerId,
    cart: Option<CartId>,
    order: Option<OrderId>,
    /// What they were told that it comes to by now.
    agreed: Option<Money>,
}

impl Saver {
    fn by(&self) -> Principal {
        Principal::Customer(self.id)
    }

    async fn save(mut self) {
        for _ in 0..self.person.world().plan.actions {
            let person = &self.person;
            person.pause(person.world().plan.think_ms).await;
            let Some(cart) = self.cart else {
                self.open().await;
                continue;
            };
            match person.chance.below(100) {
                0..30 => self.set_line(cart).await,
                30..85 => self.check_out(cart).await,
                85..93 => self.cancel().await,
                _ => drop(self.points().await),
            }
        }
    }

    async fn open(&mut self) {
        let person = &self.person;
        let (node, within) = (person.node().await, person.how(None, false).within);
        let carts = (0..100).map(|number| CartId::of_customer(self.id, number).entity());
        let of: Vec<_> = std::iter::once(self.id.entity()).chain(carts).collect();
        let question = node.shop.open_cart(self.id, Currency::BDT, within, None);
        let told = person.told_of(&node, "open a cart", &of, question).await;
        let Told::Answer(OpenedCart { outcome: Ok(cart), made, replayed }) = told else { return };
        if made && !replayed {
            lock(&person.town.made).push(cart.id.entity());
        }
        self.cart = Some(cart.id);
        self.set_line(cart.id).await;
    }

    async fn set_line(&mut self, cart: CartId) {
        let tag = self.person.tag();
        let person = &self.person;
        let (of, index) = (person.chance.below(VENDORS), person.chance.below(SKUS));
        let quantity = person.chance.between(1, 3) as i64;
        let unit_price = {
            let node = person.node().await;
            let listing =
                node.shop.catalog().ok().and_then(|directory| directory.sku(sku(of, index), node.shop.clock().now()));
            let Some(listing) = listing else { return };
            listing.sku.price_minor
        };
        let line =
            CartLine { sku: sku(of, index), vendor: vendor(of), title: tag.clone(), quantity, unit_price, sale: None };
        let command = CartCommand::SetLine { by: self.by(), line, currency: Currency::BDT };
        let told = person.ask::<Cart>(cart, "set line", command, person.how(None, false)).await;
        person.tried(&tag, &told);
        if let Told::Answer(Answered { outcome: Err(Reject::CartCheckedOut | Reject::CartCheckingOut), .. }) = told {
            self.cart = None;
        }
    }

    /// How many points they have, as far as they are told.
    async fn points(&self) -> Option<i64> {
        let person = &self.person;
        let command = CustomerCommand::Points(PointCommand::SeePoints { by: self.by() });
        match person.ask::<Customer>(self.id, "see points", command, person.how(None, false)).await {
            Told::Answer(Answered { outcome: Ok(CustomerReply::Points { points }), .. }) => {
                Some(points.available(person.world().now()))
            }
            _ => None,
        }
    }

    async fn wanted(&self) -> Option<PointsWanted> {
        let chance = &self.person.chance;
        let sees = chance.per_mille(700);
        let (some, beside) = (chance.between(1, 30) as i64, self.agreed.is_none() || chance.per_mille(100));
        let has = if sees { self.points().await } else { None };
        let points = match has {
            None => Some(some).filter(|_| !sees),
            Some(has) => Some(*chance.pick(&[has, has, has / 2, has + 1, 2 * has + 10])).filter(|points| *points > 0),
        };
        points.map(|points| PointsWanted { points, beside, alone: false })
    }

    async fn check_out(&mut self, cart: CartId) {
        let points = self.wanted().await;
        let tag = self.person.tag();
        let (by, person) = (self.by(), &self.person);
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
        let pays_cash = person.chance.per_mille(200);
        let at_door = pays_cash.then_some(self.id);
        let token = *person.chance.pick(&[APPROVE, APPROVE, APPROVE, SLOW, DECLINE]);
        let details = CheckoutRequest {
            shipping: Vec::new(),
            slots: Vec::new(),
            quote: None,
            buyer: Buyer { points, at_door, ..shipping_address.buyer() },
            contact: Contact { email: None, shipping_address },
            mint: Mint(person.chance.next().to_be_bytes()[4..].try_into().unwrap()),
            payment: match pays_cash {
                true => PaymentChoice { method: ON_DELIVERY.into(), token: String::new() },
                false => PaymentChoice { method: METHOD.into(), token: token.into() },
            },
            expected_total: self.agreed.take(),
        };
        let (node, within) = (person.node().await, person.how(None, false).within);
        let question = node.shop.checkout(by, cart, details, within, None, None);
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
                if view.payment_method == ON_DELIVERY {
                    lock(&person.town.cash).push(view.id);
                }
                lock(&person.town.made).push(view.id.entity());
                (self.cart, self.order) = (None, Some(view.id));
            }
            Err(reject) => {
                match &reject {
                    Reject::PriceChanged { actual_total } => self.agreed = Some(*actual_total),
                    Reject::PointsInsufficient { .. } => person.world().count("checkouts for want of points"),
                    Reject::CartCheckedOut => self.cart = None,
                    // The other one buys it. At times they wait for that.
                    Reject::CartCheckingOut if person.chance.per_mille(500) => self.cart = None,
                    _ => {}
                }
                oracle.commands.tried(&tag, false, !matches!(reject, Reject::CartEmpty));
            }
        }
    }

    async fn cancel(&self) {
        let Some(order) = self.order else { return };
        let person = &self.person;
        let command = OrderCommand::Cancel { by: self.by() };
        person.ask_order(order, "cancel", command, person.how(None, false)).await;
    }
}
