//! Buyers and vendors: random journeys through the shop, each question put to a node as the HTTP edge puts it, each answer told
//! to the oracle.

use crate::gateway::{APPROVE, DECLINE, LOST_REPLY, METHOD, SILENT, SLOW};
use crate::node::{Node, Town};
use crate::world::{World, lock};
use haat::actors::{Answered, Ask, CheckedOut, Failure};
use haat::domain::cart::{CartCommand, CartLine, CartReply, CartStatus, CartView, CheckoutDetails, SkuPrice};
use haat::domain::entity::{Owner, Principal};
use haat::domain::ids::{CartId, EntityId, Kind, OrderId, ProductId, SkuId, VendorId};
use haat::domain::money::{Currency, Money};
use haat::domain::order::{Address, Order, OrderCommand, OrderReply, OrderView, PaymentChoice};
use haat::domain::record::IdempotencyKey;
use haat::domain::reject::Reject;
use haat::domain::vendor::{NewProduct, NewSku, Vendor, VendorCommand, VendorReply};
use haat::ports::Clock;
use std::fmt::Debug;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::time::sleep;
use uuid::Uuid;

pub const VENDORS: u64 = 3;
const SKUS: u64 = 3;
/// Tries of a request that has to succeed, at the shop's opening.
const TRIES: usize = 10_000;

/// How a question ended for whoever asked.
enum Told<T> {
    /// With an answer, be it a refusal.
    Answer(T),
    /// With the word that nothing was done.
    NotDone(Failure),
    /// With nothing: the node crashed, or the time was over.
    Nothing,
}

pub fn vendor(number: u64) -> VendorId {
    VendorId::from_uuid(Uuid::from_u128((0x100 + u128::from(number)) << 64 | u128::from(number * 5)))
}

fn sku(vendor: u64, number: u64) -> SkuId {
    SkuId::from_uuid(Uuid::from_u128(0x1000 + u128::from(vendor * SKUS + number)))
}

fn details(world: &World, tag: &str, expected_total: Option<i64>) -> CheckoutDetails {
    let token = *world.chance.pick(&[APPROVE, APPROVE, APPROVE, DECLINE, LOST_REPLY, SLOW, SLOW, SILENT]);
    CheckoutDetails {
        email: Some(tag.to_owned()),
        shipping_address: Address {
            name: "Rokeya".into(),
            line1: "12 Lake Road".into(),
            line2: None,
            city: "Dhaka".into(),
            postcode: None,
            country: "BD".into(),
            phone: None,
        },
        payment: PaymentChoice { method: METHOD.into(), token: token.into() },
        expected_total: expected_total.map(|minor| Money::new(minor, Currency::BDT)),
        hold_ms: world.plan.hold_ms,
        payment_ms: world.plan.payment_ms,
    }
}

/// A checkout that may be asked again.
#[derive(Clone)]
struct Checkout {
    cart: CartId,
    tag: String,
    key: Option<IdempotencyKey>,
    details: CheckoutDetails,
    wait: Option<Duration>,
}

/// One person.
pub struct Person {
    town: Arc<Town>,
    name: String,
    asked: u64,
    cart: Option<CartId>,
    order: Option<OrderId>,
    checkout: Option<Checkout>,
}

impl Person {
    pub fn new(town: Arc<Town>, name: String) -> Self {
        Self { town, name, asked: 0, cart: None, order: None, checkout: None }
    }

    fn world(&self) -> &World {
        &self.town.world
    }

    /// A name for one question, by which it can be recognized in the journal.
    fn tag(&mut self) -> String {
        self.asked += 1;
        format!("{} {}", self.name, self.asked)
    }

    fn key(tag: &str) -> IdempotencyKey {
        IdempotencyKey { key: xxhash_rust::xxh3::xxh3_128(tag.as_bytes()), body: 1 }
    }

    fn ask(&self, key: Option<IdempotencyKey>, fresh: bool) -> Ask {
        let within = Duration::from_millis(*self.world().chance.pick(&[30, 300, 3_000, 10_000, 10_000]));
        Ask { within, key, fresh }
    }

    /// A node to ask; waits while there is none.
    async fn node(&self) -> Arc<Node> {
        loop {
            match self.town.node() {
                Some(node) => return node,
                None => sleep(Duration::from_millis(20)).await,
            }
        }
    }

    async fn told<T: Debug>(
        &self,
        node: &Node,
        what: &str,
        question: impl Future<Output = Result<T, Failure>>,
    ) -> Told<T> {
        let world = self.world();
        world.counts.actions.fetch_add(1, Ordering::Relaxed);
        world.note(format_args!("{} asks node {}: {what}", self.name, node.number));
        node.in_flight.fetch_add(1, Ordering::Relaxed);
        let outcome = tokio::select! {
            biased;
            () = node.gone.cancelled() => Err(Failure::OutcomeUnknown),
            outcome = question => outcome,
        };
        node.in_flight.fetch_sub(1, Ordering::Relaxed);
        let told = match outcome {
            // What the node says as it crashes does not get out any more.
            _ if node.gone.is_cancelled() => Told::Nothing,
            Ok(answer) => Told::Answer(answer),
            Err(Failure::OutcomeUnknown) => Told::Nothing,
            Err(failure) => Told::NotDone(failure),
        };
        match &told {
            Told::Answer(answer) => {
                let answer = format!("{answer:?}");
                let start: String = answer.chars().take(90).collect();
                let whole = xxhash_rust::xxh3::xxh3_64(answer.as_bytes());
                world.counts.answers.fetch_add(1, Ordering::Relaxed);
                world.note(format_args!("{} is told {start} {whole:016x}", self.name));
            }
            Told::NotDone(failure) => world.note(format_args!("{} is told {failure}", self.name)),
            Told::Nothing => world.note(format_args!("{} is told nothing", self.name)),
        }
        if let Told::NotDone(Failure::Quarantined) = told {
            world.breach(format_args!("an entity is quarantined: {what}"));
        }
        told
    }

    /// Tells the oracle how a try of a tagged command ended.
    fn tried<T>(&self, tag: &str, told: &Told<Answered<T>>) {
        let done = matches!(told, Told::Answer(Answered { outcome: Ok(_), .. }));
        self.town.oracle.tried(tag, done, matches!(told, Told::Nothing));
    }

    /// Tells the oracle of an answer that stays the same under its key.
    fn kept<T: Debug>(&self, key: Option<IdempotencyKey>, outcome: &Result<T, Reject>) {
        if let Some(key) = key.filter(|_| outcome.as_ref().map_or_else(Reject::is_conflict, |_| true)) {
            self.town.oracle.answered_under(key.key, format!("{outcome:?}"));
        }
    }

    async fn ask_cart(&self, id: CartId, what: &str, command: CartCommand, ask: Ask) -> Told<Answered<CartReply>> {
        let node = self.node().await;
        let floor = self.town.oracle.floor(id.entity());
        let told = self.told(&node, what, node.engine.ask::<haat::domain::cart::Cart>(id, command, ask)).await;
        if let Told::Answer(Answered { outcome: Ok(CartReply::Cart { cart }), replayed }) = &told {
            self.town.oracle.cart_shown(if *replayed { 0 } else { floor }, cart);
        }
        told
    }

    async fn ask_order(&self, id: OrderId, what: &str, command: OrderCommand, ask: Ask) -> Option<OrderView> {
        let node = self.node().await;
        let floor = self.town.oracle.floor(id.entity());
        let told = self.told(&node, what, node.engine.ask::<Order>(id, command, ask)).await;
        let Told::Answer(Answered { outcome, replayed }) = told else { return None };
        self.kept(ask.key, &outcome);
        match outcome {
            Ok(OrderReply::Order { order }) => {
                self.town.oracle.order_shown(if replayed { 0 } else { floor }, &order);
                Some(*order)
            }
            _ => None,
        }
    }

    async fn ask_vendor(
        &self,
        number: u64,
        what: &str,
        command: VendorCommand,
        ask: Ask,
    ) -> Told<Answered<VendorReply>> {
        let node = self.node().await;
        let floor = self.town.oracle.floor(vendor(number).entity());
        let told = self.told(&node, what, node.engine.ask::<Vendor>(vendor(number), command, ask)).await;
        if let Told::Answer(Answered { outcome, replayed }) = &told {
            self.kept(ask.key, outcome);
            if let Ok(VendorReply::Sku { sku }) = outcome {
                self.town.oracle.sku_shown(if *replayed { 0 } else { floor }, sku);
            }
        }
        told
    }

    // ---- Vendors -----------------------------------------------------------------------------------------------------

    /// Makes vendor and products, however often it takes.
    pub async fn open_shop(&mut self, number: u64) {
        let pieces = self.world().plan.pieces;
        let new = |index: u64| NewSku {
            id: sku(number, index),
            code: format!("S{index}"),
            price_minor: 1_000 + 10 * index as i64,
            currency: Currency::BDT,
            on_hand: pieces,
        };
        let product = NewProduct {
            id: ProductId::from_uuid(Uuid::from_u128(0x2000 + u128::from(number))),
            title: format!("Product {number}"),
            description: None,
            category: None,
            skus: (0..SKUS).map(new).collect(),
        };
        let create = VendorCommand::Create { name: format!("Vendor {number}") };
        for command in [create, VendorCommand::AddProduct { by: Principal::Staff, product }] {
            let key = Some(Self::key(&self.tag()));
            for _ in 0..TRIES {
                let told = self.ask_vendor(number, "open", command.clone(), self.ask(key, false)).await;
                if matches!(told, Told::Answer(Answered { outcome: Ok(_), .. })) {
                    break;
                }
                sleep(Duration::from_millis(10)).await;
            }
        }
    }

    /// What a vendor does all day.
    pub async fn sell(mut self, number: u64) {
        for _ in 0..self.world().plan.actions {
            self.town.world.pause(2 * self.world().plan.think_ms).await;
            let id = sku(number, self.world().chance.below(SKUS));
            let by = Principal::Vendor(vendor(number));
            match self.world().chance.below(10) {
                0..=5 => self.adjust(number, id).await,
                6 => {
                    let price_minor = 1_000 + self.world().chance.below(5) as i64;
                    let command = VendorCommand::SetPrice { by, sku: id, price_minor, currency: Currency::BDT };
                    self.ask_vendor(number, "set price", command, self.ask(None, false)).await;
                }
                7 => drop(
                    self.ask_vendor(number, "get SKU", VendorCommand::GetSku { by, sku: id }, self.ask(None, false))
                        .await,
                ),
                _ => self.look_up(id).await,
            }
        }
    }

    async fn adjust(&mut self, number: u64, sku: SkuId) {
        let tag = self.tag();
        let key = self.world().chance.per_mille(700).then(|| Self::key(&tag));
        let delta = *self.world().chance.pick(&[-3, -1, 1, 2, 10]);
        let by = Principal::Vendor(vendor(number));
        // With a key a request may be sent again and again.
        let tries = if key.is_some() { self.world().chance.between(1, 4) } else { 1 };
        let mut taken = None;
        for _ in 0..tries {
            // Now and then under the same key with another body.
            let other = key.is_some() && self.world().chance.per_mille(100);
            let key = key.map(|key| IdempotencyKey { body: 1 + u128::from(other), ..key });
            let delta = if other { delta + 1 } else { delta };
            let command = VendorCommand::AdjustStock { by, sku, delta, reason: tag.clone() };
            let told = self.ask_vendor(number, "adjust", command, self.ask(key, false)).await;
            self.tried(&tag, &told);
            if matches!(told, Told::Answer(Answered { outcome: Ok(_), .. })) && *taken.get_or_insert(other) != other {
                self.world().breach(format_args!("{tag}: two bodies were taken under one key"));
            }
            self.world().pause(300).await;
        }
    }

    /// Reads the directory.
    async fn look_up(&self, id: SkuId) {
        let node = self.node().await;
        let Ok(directory) = node.engine.directory() else { return };
        let Some(listing) = directory.sku(id) else { return };
        let row = &listing.sku;
        self.world().note(format_args!("{} reads {id}: {} at {}", self.name, listing.available, row.price_minor));
        let floor = self.town.oracle.floor(row.vendor_id.entity());
        self.town.oracle.listing_shown(floor, row, listing.available);
    }

    // ---- Staff -------------------------------------------------------------------------------------------------------

    /// What the staff does all day: it looks at what others make, at whichever node.
    pub async fn watch(self) {
        for _ in 0..2 * self.world().plan.actions {
            self.town.world.pause(self.world().plan.think_ms).await;
            let made = lock(&self.town.made).clone();
            // Mostly at what is new: there most happens.
            let newest = made.len().saturating_sub(self.world().chance.below(8) as usize + 1);
            let Some(entity) = made.get(newest).copied() else { continue };
            let ask = self.ask(None, false);
            match entity.kind {
                Kind::Cart => {
                    let id = CartId::from_uuid(entity.uuid);
                    self.ask_cart(id, "get cart", CartCommand::Get { by: Principal::Guest(id) }, ask).await;
                }
                Kind::Order => {
                    let id = OrderId::from_uuid(entity.uuid);
                    self.ask_order(id, "get order", OrderCommand::Get { by: Principal::Staff }, ask).await;
                }
                Kind::Vendor => {
                    let number = self.world().chance.below(VENDORS);
                    let sku = sku(number, self.world().chance.below(SKUS));
                    let command = VendorCommand::GetSku { by: Principal::Staff, sku };
                    self.ask_vendor(number, "get SKU", command, ask).await;
                }
            }
        }
    }

    // ---- Buyers ------------------------------------------------------------------------------------------------------

    /// What a buyer does all day.
    pub async fn buy(mut self) {
        for _ in 0..self.world().plan.actions {
            self.town.world.pause(self.world().plan.think_ms).await;
            let Some(cart) = self.cart else {
                self.create_cart().await;
                continue;
            };
            match self.world().chance.below(100) {
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
                        let by = Principal::Guest(cart);
                        self.ask_order(order, "get order", OrderCommand::Get { by }, self.ask(None, false)).await;
                    }
                }
                94..98 => self.look_up(sku(self.world().chance.below(VENDORS), self.world().chance.below(SKUS))).await,
                _ => self.cart = None,
            }
        }
    }

    async fn create_cart(&mut self) {
        let tag = self.tag();
        let key = self.world().chance.per_mille(500).then(|| Self::key(&tag));
        let id = match key {
            None => self.town.clock.new_uuid(),
            Some(key) => uuid::Uuid::from_u128(key.key.rotate_left(64)),
        };
        let id = CartId::from_uuid(id);
        let create = CartCommand::Create { owner: Owner::Guest, currency: Currency::BDT };
        let told = self.ask_cart(id, "create", create, self.ask(key, key.is_none())).await;
        if let Told::Answer(Answered { outcome, .. }) = told {
            self.kept(key, &outcome);
            self.cart = outcome.is_ok().then_some(id);
            lock(&self.town.made).extend([id.entity(), vendor(0).entity()]);
            (self.order, self.checkout) = (None, None);
        }
    }

    async fn set_line(&mut self, cart: CartId) {
        let tag = self.tag();
        let (of, index) = (self.world().chance.below(VENDORS), self.world().chance.below(SKUS));
        let quantity = self.world().chance.between(1, 3) as i64;
        let unit_price = {
            let node = self.node().await;
            let listing = node.engine.directory().ok().and_then(|directory| directory.sku(sku(of, index)));
            let Some(listing) = listing else { return };
            listing.sku.price_minor
        };
        let line = CartLine { sku: sku(of, index), vendor: vendor(of), title: tag.clone(), quantity, unit_price };
        let command = CartCommand::SetLine { by: Principal::Guest(cart), line, currency: Currency::BDT };
        let told = self.ask_cart(cart, "set line", command, self.ask(None, false)).await;
        self.tried(&tag, &told);
        self.move_on(&told);
    }

    async fn remove_line(&mut self, cart: CartId) {
        let sku = sku(self.world().chance.below(VENDORS), self.world().chance.below(SKUS));
        let command = CartCommand::RemoveLine { by: Principal::Guest(cart), sku };
        let told = self.ask_cart(cart, "remove line", command, self.ask(None, false)).await;
        self.move_on(&told);
    }

    /// A cart that was bought is left behind.
    fn move_on(&mut self, told: &Told<Answered<CartReply>>) {
        if matches!(told, Told::Answer(Answered { outcome: Err(Reject::CartCheckedOut), .. })) {
            self.cart = None;
        }
    }

    async fn look_at_cart(&mut self, cart: CartId) {
        let by = Principal::Guest(cart);
        let told = self.ask_cart(cart, "get cart", CartCommand::Get { by }, self.ask(None, false)).await;
        let Told::Answer(Answered { outcome: Ok(CartReply::Cart { cart: view }), .. }) = told else { return };
        self.order = view.order.or(self.order);
        let Some(node) = self.town.node() else { return };
        let today = |line: &CartLine| {
            let listing = node.engine.directory().ok()?.sku(line.sku)?;
            Some(SkuPrice { sku: line.sku, unit_price: listing.sku.price_minor })
        };
        let prices: Vec<SkuPrice> = view.lines.iter().filter_map(today).collect();
        if is_open(&view) && !prices.is_empty() {
            self.ask_cart(cart, "reprice", CartCommand::Reprice { by, prices }, self.ask(None, false)).await;
        }
    }

    async fn check_out(&mut self, cart: CartId) {
        let tag = self.tag();
        let key = self.world().chance.per_mille(600).then(|| Self::key(&tag));
        let expected = self.world().chance.per_mille(50).then_some(1);
        let details = details(self.world(), &tag, expected);
        let waits = self.world().chance.per_mille(400);
        let wait = waits.then(|| Duration::from_millis(self.world().chance.below(10_000)));
        self.ask_checkout(Checkout { cart, tag, key, details, wait }).await;
    }

    async fn ask_checkout(&mut self, checkout: Checkout) {
        let Checkout { cart, mut tag, key, mut details, wait } = checkout.clone();
        if key.is_none() {
            // Without a key every try is a command of its own.
            tag = self.tag();
            details.email = Some(tag.clone());
        }
        self.checkout = Some(checkout);
        let node = self.node().await;
        let by = Principal::Guest(cart);
        let order = self.order.map(|order| (order, self.town.oracle.floor(order.entity())));
        let within = self.ask(None, false).within;
        let question = node.engine.checkout(by, cart, details, within, wait, key);
        let told = self.told(&node, "check out", question).await;
        // What the order says comes later than what the cart did.
        let unknown = matches!(told, Told::Nothing | Told::NotDone(_));
        let Told::Answer(CheckedOut { outcome, created, replayed }) = told else {
            return self.town.oracle.tried(&tag, false, unknown);
        };
        self.kept(key, &outcome);
        match outcome {
            Ok(view) => {
                // An order that was there before, or an earlier answer, does not tell whether this very checkout made one.
                self.town.oracle.tried(&tag, created && !replayed, true);
                let floor = order.filter(|(order, _)| *order == view.id && !replayed).map_or(0, |(_, floor)| floor);
                self.town.oracle.order_shown(floor, &view);
                if self.order.replace(view.id) != Some(view.id) {
                    lock(&self.town.made).push(view.id.entity());
                }
            }
            // The order may have been made and refused.
            Err(reject) => self.town.oracle.tried(&tag, false, !matches!(reject, Reject::CartEmpty)),
        }
    }

    async fn cancel(&mut self, cart: CartId) {
        let Some(order) = self.order else { return };
        let tag = self.tag();
        let key = self.world().chance.per_mille(500).then(|| Self::key(&tag));
        let by = Principal::Guest(cart);
        self.ask_order(order, "cancel", OrderCommand::Cancel { by }, self.ask(key, false)).await;
    }
}

fn is_open(view: &CartView) -> bool {
    view.status == CartStatus::Open
}
