//! Buyers and vendors: random journeys through the shop, each question put to a node as the HTTP edge puts it, each answer told
//! to the oracle.

use crate::gateway::{APPROVE, DECLINE, LOST_REPLY, METHOD, SILENT, SLOW};
use crate::node::{Node, Town};
use crate::oracle::key_of;
use crate::world::{Chance, World, lock};
use haat::actors::{Answered, Ask, Failure};
use haat::checkout::CheckedOut;
use haat::domain::cart::{CartCommand, CartLine, CartReply, CheckoutDetails};
use haat::domain::entity::{Owner, Principal};
use haat::domain::ids::{CartId, EntityId, EntityRef, Kind, OrderId, ProductId, SkuId, VendorId};
use haat::domain::money::{Currency, Money};
use haat::domain::order::{
    Address, Order, OrderCommand, OrderReply, OrderView, PaymentChoice, Resolution, ResolveAs, Trouble,
};
use haat::domain::record::IdempotencyKey;
use haat::domain::reject::Reject;
use haat::domain::time::Timestamp;
use haat::domain::vendor::{NewProduct, NewSku, Vendor, VendorCommand, VendorReply};
use haat::limits;
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
/// The same when nothing goes wrong any more.
const CALM_TRIES: usize = 120;
/// Requests with a key that a person remembers.
const REMEMBERED: usize = 200;
/// Keys that one cart is asked under, one after the other: more than it keeps.
const FLOOD: usize = limits::IDEMPOTENCY_KEYS_PER_PURCHASE + 10;
/// Orders that a cart may come to have.
const ATTEMPTS: u32 = 100;

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

fn details(world: &World, chance: &Chance, tag: &str, expected_total: Option<i64>) -> CheckoutDetails {
    let token = *chance.pick(&[APPROVE, APPROVE, APPROVE, DECLINE, LOST_REPLY, SLOW, SLOW, SILENT]);
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

/// A request with a key that may be made again, even after its day.
#[derive(Clone)]
enum Request {
    Cart(CartId, CartCommand),
    Order(OrderId, OrderCommand),
    Vendor(u64, VendorCommand),
    Checkout(Box<Checkout>),
}

#[derive(Clone)]
struct Keyed {
    request: Request,
    tag: String,
    key: IdempotencyKey,
}

/// One person.
pub struct Person {
    town: Arc<Town>,
    name: String,
    /// Each has a chance of their own: one who does more changes nobody else's mind.
    chance: Chance,
    asked: u64,
    keyed: Vec<Keyed>,
    cart: Option<CartId>,
    order: Option<OrderId>,
    checkout: Option<Checkout>,
}

impl Person {
    pub fn new(town: Arc<Town>, name: String) -> Self {
        let chance = town.world.fork(&name);
        Self { town, name, chance, asked: 0, keyed: Vec::new(), cart: None, order: None, checkout: None }
    }

    fn world(&self) -> &World {
        &self.town.world
    }

    async fn pause(&self, longest_ms: u64) {
        self.chance.pause(longest_ms).await;
    }

    /// A name for one question, by which it can be recognized in the journal.
    fn tag(&mut self) -> String {
        self.asked += 1;
        format!("{} {}", self.name, self.asked)
    }

    fn key(tag: &str) -> IdempotencyKey {
        IdempotencyKey { key: key_of(tag), body: 1 }
    }

    /// Remembers what was asked under a key.
    fn remember(&mut self, key: Option<IdempotencyKey>, tag: &str, request: Request) {
        let Some(key) = key else { return };
        if self.keyed.len() >= REMEMBERED {
            self.keyed.remove(self.chance.below(REMEMBERED as u64) as usize);
        }
        self.keyed.push(Keyed { request, tag: tag.to_owned(), key });
    }

    /// Asks once more what was asked before, however long ago.
    async fn ask_again(&mut self) {
        let (count, latest) = (self.keyed.len() as u64, self.chance.per_mille(300));
        let back = self.chance.below(if latest { count.min(3) } else { count });
        let Some(index) = count.checked_sub(back + 1) else { return };
        let Keyed { request, tag, key } = self.keyed[index as usize].clone();
        let ask = self.ask(Some(key), false);
        match request {
            Request::Cart(cart, command) => {
                let creates = matches!(command, CartCommand::Create { .. });
                let told = self.ask_cart(cart, "again", command, ask).await;
                if !creates {
                    self.tried(&tag, &told);
                }
            }
            Request::Order(order, command) => drop(self.ask_order(order, "again", command, ask).await),
            Request::Vendor(number, command) => {
                let told = self.ask_vendor(number, "again", command, ask).await;
                self.tried(&tag, &told);
            }
            Request::Checkout(checkout) => self.ask_checkout(*checkout).await,
        }
    }

    fn ask(&self, key: Option<IdempotencyKey>, fresh: bool) -> Ask {
        let within = Duration::from_millis(*self.chance.pick(&[30, 300, 3_000, 10_000, 10_000]));
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
        of: EntityRef,
        question: impl Future<Output = Result<T, Failure>>,
    ) -> Told<T> {
        let world = self.world();
        world.count("actions");
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
                world.count("answers");
                world.note(format_args!("{} is told {start} {whole:016x}", self.name));
            }
            Told::NotDone(failure) => world.note(format_args!("{} is told {failure}", self.name)),
            Told::Nothing => world.note(format_args!("{} is told nothing", self.name)),
        }
        if let Told::NotDone(Failure::Overloaded { retry_after_s }) = told
            && world.plan.patient
        {
            sleep(Duration::from_secs(retry_after_s)).await;
        }
        if let Told::NotDone(Failure::ProviderSilent { .. }) = told {
            world.count("checkouts refused for a silent provider");
        }
        if let Told::NotDone(Failure::Quarantined) = told {
            world.count("quarantined answers");
            // A checkout is a question to the cart's orders, too.
            let orders =
                (1..=ATTEMPTS).map(|attempt| OrderId::for_attempt(CartId::from_uuid(of.uuid), attempt).entity());
            let is_damaged = |entity| self.town.server.is_damaged(entity);
            let is_known = is_damaged(of) || (of.kind == Kind::Cart && orders.into_iter().any(is_damaged));
            if !is_known {
                world.breach(format_args!("{of} is quarantined: {what}"));
            }
        }
        told
    }

    /// Tells the oracle how a try of a tagged command ended.
    fn tried<T>(&self, tag: &str, told: &Told<Answered<T>>) {
        let done = matches!(told, Told::Answer(Answered { outcome: Ok(_), .. }));
        self.town.oracle.tried(tag, done, matches!(told, Told::Nothing));
    }

    /// Tells the oracle of an answer that stays the same under its key. `forgets` tells that nothing but a kept answer makes one that
    /// repeats.
    fn kept<T: Debug>(
        &self,
        key: Option<IdempotencyKey>,
        asked: Timestamp,
        outcome: &Result<T, Reject>,
        replayed: bool,
        forgets: bool,
    ) {
        if outcome.as_ref().is_err_and(|reject| *reject == Reject::CommandPoisoned) {
            self.world().count("poisoned answers");
        }
        if let Some(key) = key.filter(|_| outcome.as_ref().map_or_else(Reject::is_conflict, |_| true)) {
            self.town.oracle.answered_under(key.key, format!("{outcome:?}"), asked, replayed, forgets);
        }
    }

    async fn ask_cart(&self, id: CartId, what: &str, command: CartCommand, ask: Ask) -> Told<Answered<CartReply>> {
        let node = self.node().await;
        let (floor, asked) = (self.town.oracle.floor(id.entity()), self.world().now());
        let creates = matches!(command, CartCommand::Create { .. });
        // With its token it would be handed to whoever has the old key.
        let is_past = creates && ask.key.is_some_and(|key| self.town.oracle.is_past(key.key, asked));
        let question = node.shop.ask::<haat::domain::cart::Cart>(id, command, ask);
        let told = self.told(&node, what, id.entity(), question).await;
        if let Told::Answer(Answered { outcome, replayed }) = &told {
            self.kept(ask.key, asked, outcome, *replayed, true);
            if is_past && outcome.is_ok() {
                self.world().breach(format_args!("{id} is handed out under a key that is past its day"));
            }
            if is_past {
                self.world().count("carts asked for past their day");
            }
        }
        if let Told::Answer(Answered { outcome: Ok(CartReply::Cart { cart }), replayed }) = &told {
            self.town.oracle.cart_shown(if *replayed { 0 } else { floor }, cart);
        }
        told
    }

    async fn ask_order(&self, id: OrderId, what: &str, command: OrderCommand, ask: Ask) -> Option<OrderView> {
        let node = self.node().await;
        let (floor, asked) = (self.town.oracle.floor(id.entity()), self.world().now());
        let told = self.told(&node, what, id.entity(), node.shop.ask::<Order>(id, command, ask)).await;
        let Told::Answer(Answered { outcome, replayed }) = told else { return None };
        self.kept(ask.key, asked, &outcome, replayed, true);
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
        let (id, asked) = (vendor(number), self.world().now());
        let floor = self.town.oracle.floor(id.entity());
        // These are shown as they are now once their answer is forgotten.
        let forgets = !matches!(command, VendorCommand::Create { .. } | VendorCommand::AddProduct { .. });
        let told = self.told(&node, what, id.entity(), node.shop.ask::<Vendor>(id, command, ask)).await;
        if let Told::Answer(Answered { outcome, replayed }) = &told {
            self.kept(ask.key, asked, outcome, *replayed, forgets);
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
            self.pause(2 * self.world().plan.think_ms).await;
            let id = sku(number, self.chance.below(SKUS));
            let by = Principal::Vendor(vendor(number));
            if self.chance.per_mille(100) {
                self.ask_again().await;
                continue;
            }
            match self.chance.below(10) {
                0..=5 => self.adjust(number, id).await,
                6 => {
                    let price_minor = 1_000 + self.chance.below(5) as i64;
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
        let key = self.chance.per_mille(700).then(|| Self::key(&tag));
        let delta = *self.chance.pick(&[-3, -1, 1, 2, 10]);
        let by = Principal::Vendor(vendor(number));
        // With a key a request may be sent again and again.
        let tries = if key.is_some() { self.chance.between(1, 4) } else { 1 };
        let command = VendorCommand::AdjustStock { by, sku, delta, reason: tag.clone() };
        self.remember(key, &tag, Request::Vendor(number, command));
        for _ in 0..tries {
            // Now and then under the same key with another body.
            let other = key.is_some() && self.chance.per_mille(100);
            let key = key.map(|key| IdempotencyKey { body: 1 + u128::from(other), ..key });
            let delta = if other { delta + 1 } else { delta };
            let command = VendorCommand::AdjustStock { by, sku, delta, reason: tag.clone() };
            let told = self.ask_vendor(number, "adjust", command, self.ask(key, false)).await;
            self.tried(&tag, &told);
            self.pause(300).await;
        }
    }

    /// Reads the catalogue cache.
    async fn look_up(&self, id: SkuId) {
        let node = self.node().await;
        let Ok(directory) = node.shop.catalog() else { return };
        let Some(listing) = directory.sku(id) else { return };
        let row = &listing.sku;
        let of = row.vendor_id.entity();
        if self.town.server.is_damaged(of) || self.town.server.had_rejected_rows(of) {
            // The catalogue cache begins with the read tables, which may be behind.
            return;
        }
        self.world().note(format_args!("{} reads {id}: {} at {}", self.name, listing.available, row.price_minor));
        let floor = self.town.oracle.floor(of);
        self.town.oracle.listing_shown(floor, row, listing.available);
    }

    // ---- Staff -------------------------------------------------------------------------------------------------------

    /// What the staff does all day: it looks at what others make, at whichever node.
    pub async fn watch(mut self) {
        for _ in 0..2 * self.world().plan.actions {
            self.pause(self.world().plan.think_ms).await;
            let made = lock(&self.town.made).clone();
            // Mostly at what is new: there most happens.
            let newest = made.len().saturating_sub(self.chance.below(8) as usize + 1);
            let Some(entity) = made.get(newest).copied() else { continue };
            let ask = self.ask(None, false);
            match entity.kind {
                Kind::Cart => {
                    let id = CartId::from_uuid(entity.uuid);
                    self.ask_cart(id, "get cart", CartCommand::Get { by: Principal::Guest(id) }, ask).await;
                }
                Kind::Order => {
                    let id = OrderId::from_uuid(entity.uuid);
                    let seen = self.ask_order(id, "get order", OrderCommand::Get { by: Principal::Staff }, ask).await;
                    if let Some(order) = seen {
                        self.lead_out(&order).await;
                    }
                }
                Kind::Vendor => {
                    let number = self.chance.below(VENDORS);
                    let sku = sku(number, self.chance.below(SKUS));
                    let command = VendorCommand::GetSku { by: Principal::Staff, sku };
                    self.ask_vendor(number, "get SKU", command, ask).await;
                }
            }
        }
    }

    /// Looks at an order, and leads it out of what it is stuck in.
    pub async fn look_after(&mut self, order: OrderId) {
        let ask = self.ask(None, false);
        let seen = self.ask_order(order, "get order", OrderCommand::Get { by: Principal::Staff }, ask).await;
        if let Some(order) = seen {
            self.lead_out(&order).await;
        }
    }

    async fn lead_out(&mut self, order: &OrderView) {
        let Some(waits) = order.waits.as_deref().filter(|waits| waits.why != Trouble::NoAnswer) else { return };
        // A step that fails for good is tried again: its vendor may be mended by now.
        let step = matches!(waits.why, Trouble::StepFailed { .. });
        let (verb, tag) = (*self.chance.pick(&waits.resolve_as), self.tag());
        let verb = if step { ResolveAs::Retry } else { verb };
        let key = self.chance.per_mille(500).then(|| Self::key(&tag));
        let resolution = Resolution {
            verb,
            by: self.name.clone(),
            note: tag.clone(),
            amount: (verb == ResolveAs::Paid).then(|| Money::new(order.total, order.currency)),
            reference: None,
        };
        let command = OrderCommand::Resolve { by: Principal::Staff, resolution: Box::new(resolution) };
        let (node, asked) = (self.node().await, self.world().now());
        let floor = self.town.oracle.floor(order.id.entity());
        let question = node.shop.ask::<Order>(order.id, command, self.ask(key, false));
        let told = self.told(&node, "resolve", order.id.entity(), question).await;
        self.tried(&tag, &told);
        if let Told::Answer(Answered { outcome, replayed }) = told {
            self.kept(key, asked, &outcome, replayed, true);
            if let Ok(OrderReply::Order { order }) = outcome {
                self.town.oracle.order_shown(if replayed { 0 } else { floor }, &order);
            }
        }
    }

    // ---- Buyers ------------------------------------------------------------------------------------------------------

    /// What a buyer does all day.
    pub async fn buy(mut self) {
        for _ in 0..self.world().plan.actions {
            self.pause(self.world().plan.think_ms).await;
            let Some(cart) = self.cart else {
                self.create_cart().await;
                continue;
            };
            if self.world().fault("floods", self.world().plan.floods) {
                self.flood(cart).await;
                continue;
            }
            if self.chance.per_mille(60) {
                self.ask_again().await;
                continue;
            }
            match self.chance.below(100) {
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
                94..96 => self.look_up(sku(self.chance.below(VENDORS), self.chance.below(SKUS))).await,
                _ => self.cart = None,
            }
        }
    }

    async fn create_cart(&mut self) {
        let tag = self.tag();
        let key = self.chance.per_mille(500).then(|| Self::key(&tag));
        let id = match key {
            None => self.town.clock.new_uuid(),
            Some(key) => uuid::Uuid::from_u128(key.key.rotate_left(64)),
        };
        let id = CartId::from_uuid(id);
        let create = CartCommand::Create { owner: Owner::Guest, currency: Currency::BDT };
        self.remember(key, &tag, Request::Cart(id, create.clone()));
        let told = self.ask_cart(id, "create", create, self.ask(key, key.is_none())).await;
        if let Told::Answer(Answered { outcome, .. }) = told {
            self.world().count("journeys");
            self.cart = outcome.is_ok().then_some(id);
            lock(&self.town.made).extend([id.entity(), vendor(0).entity()]);
            (self.order, self.checkout) = (None, None);
        }
    }

    async fn set_line(&mut self, cart: CartId) {
        let tag = self.tag();
        let (of, index) = (self.chance.below(VENDORS), self.chance.below(SKUS));
        let quantity = self.chance.between(1, 3) as i64;
        let unit_price = {
            let node = self.node().await;
            let listing = node.shop.catalog().ok().and_then(|directory| directory.sku(sku(of, index)));
            let Some(listing) = listing else { return };
            listing.sku.price_minor
        };
        let line = CartLine { sku: sku(of, index), vendor: vendor(of), title: tag.clone(), quantity, unit_price };
        let command =
            CartCommand::SetLine { by: Principal::Guest(cart), line, currency: Currency::BDT, prices: Vec::new() };
        let key = self.chance.per_mille(200).then(|| Self::key(&tag));
        self.remember(key, &tag, Request::Cart(cart, command.clone()));
        let told = self.ask_cart(cart, "set line", command, self.ask(key, false)).await;
        self.tried(&tag, &told);
        self.move_on(&told);
    }

    async fn remove_line(&mut self, cart: CartId) {
        let sku = sku(self.chance.below(VENDORS), self.chance.below(SKUS));
        let command = CartCommand::RemoveLine { by: Principal::Guest(cart), sku, prices: Vec::new() };
        let told = self.ask_cart(cart, "remove line", command, self.ask(None, false)).await;
        self.move_on(&told);
    }

    /// Asks a cart under more keys than it keeps answers, and then again under the first and the last of them.
    async fn flood(&mut self, cart: CartId) {
        let by = Principal::Guest(cart);
        let mut keys = Vec::new();
        for _ in 0..FLOOD {
            let key = Some(Self::key(&self.tag()));
            let command = CartCommand::RemoveLine { by, sku: sku(0, 0), prices: Vec::new() };
            self.ask_cart(cart, "flood", command, self.ask(key, false)).await;
            keys.push(key);
        }
        for key in [keys[0], keys[FLOOD - 1], keys[FLOOD / 2]] {
            let command = CartCommand::RemoveLine { by, sku: sku(0, 0), prices: Vec::new() };
            self.ask_cart(cart, "flood", command, self.ask(key, false)).await;
        }
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
    }

    async fn check_out(&mut self, cart: CartId) {
        let tag = self.tag();
        let key = self.chance.per_mille(600).then(|| Self::key(&tag));
        let expected = self.chance.per_mille(50).then_some(1);
        let details = details(self.world(), &self.chance, &tag, expected);
        let waits = self.chance.per_mille(400);
        let wait = waits.then(|| Duration::from_millis(self.chance.below(10_000)));
        let checkout = Checkout { cart, tag: tag.clone(), key, details, wait };
        self.remember(key, &tag, Request::Checkout(Box::new(checkout.clone())));
        self.ask_checkout(checkout).await;
    }

    async fn ask_checkout(&mut self, checkout: Checkout) {
        let Checkout { cart, mut tag, key, mut details, wait } = checkout.clone();
        if key.is_none() {
            // Without a key every try is a command of its own.
            tag = self.tag();
            details.email = Some(tag.clone());
        }
        self.checkout = Some(checkout);
        let (node, asked) = (self.node().await, self.world().now());
        let by = Principal::Guest(cart);
        let order = self.order.map(|order| (order, self.town.oracle.floor(order.entity())));
        let within = self.ask(None, false).within;
        let question = node.shop.checkout(by, cart, details, within, wait, key);
        let told = self.told(&node, "check out", cart.entity(), question).await;
        // What the order says comes later than what the cart did.
        let unknown = matches!(told, Told::Nothing | Told::NotDone(_));
        let Told::Answer(CheckedOut { outcome, created, replayed }) = told else {
            return self.town.oracle.tried(&tag, false, unknown);
        };
        self.kept(key, asked, &outcome, replayed, true);
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
        let key = self.chance.per_mille(500).then(|| Self::key(&tag));
        let command = OrderCommand::Cancel { by: Principal::Guest(cart) };
        self.remember(key, &tag, Request::Order(order, command.clone()));
        self.ask_order(order, "cancel", command, self.ask(key, false)).await;
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
            let node = self.node().await;
            let tag = self.tag();
            let (by, details) = (Principal::Guest(cart), details(self.world(), &self.chance, &tag, None));
            let within = Duration::from_secs(10);
            let question = node.shop.checkout(by, cart, details, within, None, None);
            match self.told(&node, "try the shop", cart.entity(), question).await {
                Told::Answer(_) => return,
                _ => sleep(Duration::from_secs(1)).await,
            }
        }
        self.world().breach("the shop does not open again");
    }
}
