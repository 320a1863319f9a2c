//! Buyers: random journeys through the shop, from an empty cart to an order and its end.

use super::memory::{Keyed, Memory};
use super::planner::Chooser;
use super::vendor::{SKUS, VENDORS, sku, vendor};
use super::waiter::room;
use super::{Day, Person, Told};
use crate::gateway::{APPROVE, DECLINE, LOST_REPLY, METHOD, SILENT, SLOW};
use crate::node::Town;
use crate::world::lock;
use haat::actors::Answered;
use haat::checkout::CheckedOut;
use haat::domain::buyer::{BuyerKey, Entry, Mint};
use haat::domain::cart::{Cart, CartCommand, CartLine, CartReply, CheckoutRequest};
use haat::domain::details::Contact;
use haat::domain::entity::{Owner, Principal};
use haat::domain::ids::{CartId, CustomerId, EntityId, OrderId};
use haat::domain::money::{Currency, Money};
use haat::domain::order::{Address, OrderCommand, PaymentChoice};
use haat::domain::pricing::ON_DELIVERY;
use haat::domain::record::IdempotencyKey;
use haat::domain::reject::Reject;
use haat::limits;
use haat::ports::Clock;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::sleep;
use uuid::Uuid;

/// Tries of a checkout when nothing goes wrong any more.
const CALM_TRIES: usize = 120;
/// Keys that one cart is asked under, one after the other: more than it keeps.
const FLOOD: usize = limits::IDEMPOTENCY_KEYS_PER_PURCHASE + 10;

/// As many as the plan says.
pub fn come(town: &Arc<Town>) -> Vec<Day> {
    let day = |number| Box::pin(Buyer::new(town, format!("buyer {number}")).buy()) as Day;
    (0..town.world.plan.buyers).map(day).collect()
}

/// A checkout that may be asked again.
#[derive(Clone)]
struct Checkout {
    cart: CartId,
    tag: String,
    key: Option<IdempotencyKey>,
    details: CheckoutRequest,
    wait: Option<Duration>,
}

/// A request with a key that may be made again, even after its day.
#[derive(Clone)]
enum Request {
    Cart(CartId, CartCommand),
    Order(OrderId, OrderCommand),
    Checkout(Box<Checkout>),
}

/// One buyer.
pub struct Buyer {
    person: Person,
    memory: Memory<Request>,
    slots: Chooser,
    cart: Option<CartId>,
    order: Option<OrderId>,
    checkout: Option<Checkout>,
    /// What they were told that it comes to by now.
    agreed: Option<Money>,
}

impl Buyer {
    pub fn new(town: &Arc<Town>, name: String) -> Self {
        let person = Person::new(town, name);
        let slots = Chooser::new(town, &person.name);
        Self { person, memory: Memory::new(), slots, cart: None, order: None, checkout: None, agreed: None }
    }

    /// What a buyer does all day.
    async fn buy(mut self) {
        for _ in 0..self.person.world().plan.actions {
            let person = &self.person;
            person.pause(person.world().plan.think_ms).await;
            let Some(cart) = self.cart else {
                self.create_cart().await;
                continue;
            };
            if person.world().fault("floods", person.world().plan.floods) {
                self.flood(cart).await;
                continue;
            }
            if person.chance.per_mille(60) {
                self.ask_again().await;
                continue;
            }
            match person.chance.below(100) {
                0..30 => self.set_line(cart).await,
                30..34 => self.remove_line(cart).await,
                34..44 => self.look_at_cart(cart).await,
                44..66 => self.check_out(cart).await,
                66..78 => {
                    if let Some(checkout) = self.checkout.clone() {
                        self.ask_checkout(checkout).await;
                    }
                }
                78..86 => self.cancel(cart).await,
                86..94 => {
                    if let Some(order) = self.order {
                        let get = OrderCommand::Get { by: Principal::Guest(cart) };
                        person.ask_order(order, "get order", get, person.how(None, false)).await;
                    }
                }
                94..96 => person.look_up(sku(person.chance.below(VENDORS), person.chance.below(SKUS))).await,
                _ => self.cart = None,
            }
        }
    }

    /// Asks once more what was asked before, however long ago.
    async fn ask_again(&mut self) {
        let person = &self.person;
        let Some(Keyed { request, tag, key }) = self.memory.pick(&person.chance) else { return };
        let how = person.how(Some(key), false);
        match request {
            Request::Cart(cart, command) => {
                let creates = matches!(command, CartCommand::Create { .. });
                let told = person.ask::<Cart>(cart, "again", command, how).await;
                if !creates {
                    person.tried(&tag, &told);
                }
            }
            Request::Order(order, command) => drop(person.ask_order(order, "again", command, how).await),
            Request::Checkout(checkout) => self.ask_checkout(*checkout).await,
        }
    }

    async fn create_cart(&mut self) {
        let tag = self.person.tag();
        let person = &self.person;
        let key = person.chance.per_mille(500).then(|| Person::key(&tag));
        let id = match key {
            None => person.town.clock.new_uuid(),
            Some(key) => Uuid::from_u128(key.key.rotate_left(64)),
        };
        let id = CartId::from_uuid(id);
        let create = CartCommand::Create { owner: Owner::Guest, currency: Currency::BDT };
        self.memory.add(&person.chance, key, &tag, Request::Cart(id, create.clone()));
        let told = person.ask::<Cart>(id, "create", create, person.how(key, key.is_none())).await;
        if let Told::Answer(Answered { outcome, .. }) = told {
            person.world().count("journeys");
            self.cart = outcome.is_ok().then_some(id);
            lock(&person.town.made).extend([id.entity(), vendor(0).entity()]);
            (self.order, self.checkout) = (None, None);
        }
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
        let command = CartCommand::SetLine { by: Principal::Guest(cart), line, currency: Currency::BDT };
        let key = person.chance.per_mille(200).then(|| Person::key(&tag));
        self.memory.add(&person.chance, key, &tag, Request::Cart(cart, command.clone()));
        let told = person.ask::<Cart>(cart, "set line", command, person.how(key, false)).await;
        person.tried(&tag, &told);
        self.move_on(&told);
    }

    async fn remove_line(&mut self, cart: CartId) {
        let person = &self.person;
        let sku = sku(person.chance.below(VENDORS), person.chance.below(SKUS));
        let command = CartCommand::RemoveLine { by: Principal::Guest(cart), sku };
        let told = person.ask::<Cart>(cart, "remove line", command, person.how(None, false)).await;
        self.move_on(&told);
    }

    /// Asks a cart under more keys than it keeps answers, and then again under the first and the last of them.
    async fn flood(&mut self, cart: CartId) {
        let command = CartCommand::RemoveLine { by: Principal::Guest(cart), sku: sku(0, 0) };
        let mut keys = Vec::new();
        for _ in 0..FLOOD {
            let key = Some(Person::key(&self.person.tag()));
            let how = self.person.how(key, false);
            self.person.ask::<Cart>(cart, "flood", command.clone(), how).await;
            keys.push(key);
        }
        for key in [keys[0], keys[FLOOD - 1], keys[FLOOD / 2]] {
            let how = self.person.how(key, false);
            self.person.ask::<Cart>(cart, "flood", command.clone(), how).await;
        }
    }

    /// A cart that was bought is left behind.
    fn move_on(&mut self, told: &Told<Answered<CartReply>>) {
        if matches!(told, Told::Answer(Answered { outcome: Err(Reject::CartCheckedOut), .. })) {
            self.cart = None;
        }
    }

    async fn look_at_cart(&mut self, cart: CartId) {
        let (person, get) = (&self.person, CartCommand::Get { by: Principal::Guest(cart) });
        let told = person.ask::<Cart>(cart, "get cart", get, person.how(None, false)).await;
        let Told::Answer(Answered { outcome: Ok(CartReply::Cart { cart: view }), .. }) = told else { return };
        self.order = view.order.or(self.order);
    }

    fn details(&self, tag: &str, expected_total: Option<i64>) -> CheckoutRequest {
        let chance = &self.person.chance;
        let token = *chance.pick(&[APPROVE, APPROVE, APPROVE, DECLINE, LOST_REPLY, SLOW, SLOW, SILENT]);
        let shipping_address = Address {
            name: "Rokeya".into(),
            line1: "12 Lake Road".into(),
            line2: None,
            city: "Dhaka".into(),
            postcode: None,
            // The one thing in the record by which the judges know this checkout again.
            region: Some(tag.to_owned()),
            country: "BD".into(),
            phone: None,
        };
        // Several of them come again and again under the same number.
        let number = self.person.name.bytes().fold(0, |sum: u8, byte| sum.wrapping_add(byte)) % 4;
        let keys = if number == 0 { Vec::new() } else { vec![BuyerKey([number; 8])] };
        let pays_cash = chance.per_mille(300);
        // Some of them share a number where to call.
        let at_door = pays_cash.then(|| CustomerId::from_uuid(Uuid::from_u128(0x000d_0000 + u128::from(number))));
        // Some come in by a waiting room. (Its doorkeeper is the HTTP layer, which is not here.)
        let enters = chance.per_mille(400);
        let entries = enters.then(|| Entry { room: room(0), slot: chance.below(6) }).into_iter().collect();
        let buyer = haat::domain::buyer::Buyer { keys, at_door, entries, ..shipping_address.buyer() };
        CheckoutRequest {
            shipping: Vec::new(),
            slots: Vec::new(),
            quote: None,
            contact: Contact { email: Some(format!("{tag}@example.com")), shipping_address },
            mint: Mint(chance.next().to_be_bytes()[4..].try_into().unwrap()),
            buyer,
            payment: match pays_cash {
                true => PaymentChoice { method: ON_DELIVERY.into(), token: String::new() },
                false => PaymentChoice { method: METHOD.into(), token: token.into() },
            },
            expected_total: expected_total.map(|minor| Money::new(minor, Currency::BDT)),
        }
    }

    async fn check_out(&mut self, cart: CartId) {
        let tag = self.person.tag();
        let chance = &self.person.chance;
        let key = chance.per_mille(600).then(|| Person::key(&tag));
        let expected = chance.per_mille(50).then_some(1).or(self.agreed.take().map(|agreed| agreed.minor));
        let mut details = self.details(&tag, expected);
        details.slots = self.slots.choose(&self.person).await;
        let waits = chance.per_mille(400);
        let wait = waits.then(|| Duration::from_millis(chance.below(10_000)));
        let checkout = Checkout { cart, tag: tag.clone(), key, details, wait };
        self.memory.add(chance, key, &tag, Request::Checkout(Box::new(checkout.clone())));
        self.ask_checkout(checkout).await;
    }

    async fn ask_checkout(&mut self, checkout: Checkout) {
        let Checkout { cart, mut tag, key, mut details, wait } = checkout.clone();
        if key.is_none() {
            // Without a key every try is a command of its own.
            tag = self.person.tag();
            details.buyer.region = Some(tag.clone());
        }
        self.checkout = Some(checkout);
        let person = &self.person;
        let oracle = &person.town.oracle;
        let (node, asked) = (person.node().await, person.world().now());
        let by = Principal::Guest(cart);
        let order = self.order.map(|order| (order, oracle.answers.floor(order.entity())));
        let within = person.how(None, false).within;
        let question = node.shop.checkout(by, cart, details, within, wait, key);
        let told = person.told(&node, "check out", cart.entity(), question).await;
        // What the order says comes later than what the cart did.
        let unknown = matches!(told, Told::Nothing | Told::NotDone(_));
        let Told::Answer(CheckedOut { outcome, created, replayed }) = told else {
            return oracle.commands.tried(&tag, false, unknown);
        };
        person.kept(key, asked, &outcome, replayed, true);
        match outcome {
            Ok(view) => {
                // An order that was there before, or an earlier answer, does not tell whether this very checkout made one.
                oracle.commands.tried(&tag, created && !replayed, true);
                let floor = order.filter(|(order, _)| *order == view.id && !replayed).map_or(0, |(_, floor)| floor);
                oracle.answers.order_shown(floor, &view);
                if view.payment_method == ON_DELIVERY {
                    lock(&person.town.cash).push(view.id);
                }
                if self.order.replace(view.id) != Some(view.id) {
                    lock(&person.town.made).push(view.id.entity());
                }
            }
            // The order may have been made and refused.
            Err(reject) => {
                if let Reject::PriceChanged { actual_total } = &reject {
                    self.agreed = Some(*actual_total);
                }
                oracle.commands.tried(&tag, false, !matches!(reject, Reject::CartEmpty));
            }
        }
    }

    async fn cancel(&mut self, cart: CartId) {
        let Some(order) = self.order else { return };
        let tag = self.person.tag();
        let person = &self.person;
        let key = person.chance.per_mille(500).then(|| Person::key(&tag));
        let command = OrderCommand::Cancel { by: Principal::Guest(cart) };
        self.memory.add(&person.chance, key, &tag, Request::Order(order, command.clone()));
        person.ask_order(order, "cancel", command, person.how(key, false)).await;
    }

    /// Goes through the shop once when nothing goes wrong any more: whatever came before, it must be open.
    pub async fn try_the_shop(mut self) {
        for _ in 0..CALM_TRIES {
            if self.cart.is_none() {
                self.create_cart().await;
            }
            let Some(cart) = self.cart else {
                sleep(Duration::from_secs(1)).await;
                continue;
            };
            let node = self.person.node().await;
            let tag = self.person.tag();
            let (by, details) = (Principal::Guest(cart), self.details(&tag, None));
            let within = Duration::from_secs(10);
            let question = node.shop.checkout(by, cart, details, within, None, None);
            match self.person.told(&node, "try the shop", cart.entity(), question).await {
                Told::Answer(_) => return,
                _ => sleep(Duration::from_secs(1)).await,
            }
        }
        self.person.world().breach("the shop does not open again");
    }
}
