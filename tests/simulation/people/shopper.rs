//! Shoppers: they fill carts as guests, sign in, merge them into their own, and buy that; again and again, and twice. What they bought as guests
//! becomes theirs when they verify their address.

use super::hunter::put_code;
use super::memory::{Keyed, Memory};
use super::planner::Chooser;
use super::vendor::{SKUS, VENDORS, sku, vendor};
use super::{Day, Person, Told};
use crate::gateway::{APPROVE, DECLINE, METHOD};
use crate::judges::mail_key_of;
use crate::node::Town;
use crate::world::{Chance, lock};
use haat::actors::{Answered, Failure};
use haat::checkout::{CheckedOut, MergedCart, OpenedCart};
use haat::domain::buyer::{Buyer, BuyerKey, Mint, PointsWanted};
use haat::domain::cart::{Cart, CartCommand, CartLine, CheckoutRequest};
use haat::domain::details::Contact;
use haat::domain::entity::{Owner, Principal};
use haat::domain::ids::{CartId, CustomerId, EntityId};
use haat::domain::money::{Currency, Money};
use haat::domain::order::{Address, Order, OrderCommand, PaymentChoice};
use haat::domain::record::IdempotencyKey;
use haat::domain::reject::Reject;
use haat::limits;
use haat::ports::Clock;
use std::sync::Arc;
use uuid::Uuid;

/// How many come.
pub const SHOPPERS: u64 = 2;
/// One who buys for an office, and is the one who is mostly exempt of taxes.
pub const OFFICE: u64 = SHOPPERS;

pub fn shopper(number: u64) -> CustomerId {
    CustomerId::from_uuid(Uuid::from_u128((0x300 + u128::from(number)) << 64 | u128::from(number * 7)))
}

/// All shoppers.
pub fn come(town: &Arc<Town>) -> Vec<Day> {
    let shoppers = (0..SHOPPERS).map(|number| Box::pin(Shopper::new(town, number).shop()) as Day);
    // Taxes are little seen by those who mostly buy as guests.
    let office = town.world.plan.has_tables.then(|| Box::pin(Shopper::new(town, OFFICE).shop_for_an_office()) as Day);
    shoppers.chain(office).collect()
}

/// The key of somebody who has an account.
fn key_of_account(by: Principal) -> Vec<BuyerKey> {
    match by {
        Principal::Customer(customer) => vec![BuyerKey([customer.uuid().as_bytes()[15] | 0x80; 8])],
        _ => Vec::new(),
    }
}

/// A request with a key that may be made again.
#[derive(Clone)]
enum Request {
    Open,
    Merge { into: CartId, from: CartId },
}

/// Somebody who has an account, and forgets to sign in.
struct Shopper {
    person: Person,
    memory: Memory<Request>,
    id: CustomerId,
    /// The cart that they were last told is theirs.
    own: Option<CartId>,
    /// The cart that they fill as a guest.
    guest: Option<CartId>,
    /// The merges that they asked for: into which cart, and of which.
    merges: Vec<(CartId, CartId)>,
    /// What they do with codes is drawn by itself.
    codes: Chance,
    slots: Chooser,
    /// What they do with points, too.
    points: Chance,
    /// What they were told that it comes to by now.
    agreed: Option<Money>,
}

impl Shopper {
    fn new(town: &Arc<Town>, number: u64) -> Self {
        let person = Person::new(town, format!("shopper {number}"));
        let points = town.world.fork(&format!("shopper {number}: points"));
        let slots = Chooser::new(town, &person.name);
        let codes = town.world.fork(&format!("shopper {number}: codes"));
        let (memory, id) = (Memory::new(), shopper(number));
        Self { person, memory, id, own: None, guest: None, merges: Vec::new(), codes, slots, points, agreed: None }
    }

    fn by(&self) -> Principal {
        Principal::Customer(self.id)
    }

    /// What a shopper does all day.
    async fn shop(mut self) {
        for _ in 0..self.person.world().plan.actions {
            let person = &self.person;
            person.pause(person.world().plan.think_ms).await;
            if self.codes.per_mille(200) {
                let (guest, own) =
                    (self.guest.map(|cart| (cart, Principal::Guest(cart))), self.own.zip(Some(self.by())));
                let cart = if self.codes.per_mille(500) { guest.or(own) } else { own.or(guest) };
                if let Some((cart, by)) = cart {
                    put_code(person, &self.codes, cart, by).await;
                }
            }
            match (person.chance.below(106), self.own, self.guest) {
                (0..8, ..) | (_, None, _) => self.open().await,
                (8..13, ..) => self.ask_again().await,
                (13..18, ..) | (100..106, ..) => self.verify().await,
                (18..22, ..) => self.look_at_what_guests_bought().await,
                (22..25, ..) => self.grab().await,
                (25..28, _, _) | (_, _, None) => self.become_guest().await,
                (28..52, _, Some(guest)) => self.set_line(guest, Principal::Guest(guest)).await,
                (52..62, Some(own), _) => self.set_line(own, self.by()).await,
                (62..79, Some(own), Some(guest)) => self.merge(own, guest).await,
                (79..84, ..) => self.merge_again().await,
                (84..94, _, Some(guest)) => self.check_out(guest, Principal::Guest(guest)).await,
                (_, Some(own), _) => self.check_out(own, self.by()).await,
            }
        }
    }

    /// What one does who buys for an office, under its name alone.
    async fn shop_for_an_office(mut self) {
        for _ in 0..2 * self.person.world().plan.actions {
            let person = &self.person;
            person.pause(person.world().plan.think_ms).await;
            match (person.chance.below(10), self.own) {
                (0, _) | (_, None) => self.open().await,
                (1..=5, Some(own)) => self.set_line(own, self.by()).await,
                (_, Some(own)) => self.check_out(own, self.by()).await,
            }
        }
    }

    /// A key for every second question.
    fn key(&mut self, request: Request) -> Option<IdempotencyKey> {
        let tag = self.person.tag();
        let chance = &self.person.chance;
        let key = chance.per_mille(500).then(|| Person::key(&tag));
        self.memory.add(chance, key, &tag, request);
        key
    }

    async fn ask_again(&mut self) {
        match self.memory.pick(&self.person.chance) {
            Some(Keyed { request: Request::Open, key, .. }) => self.ask_to_open(Some(key)).await,
            Some(Keyed { request: Request::Merge { into, from }, key, .. }) => {
                self.ask_to_merge(into, from, Some(key)).await;
            }
            None => {}
        }
    }

    async fn open(&mut self) {
        let key = self.key(Request::Open);
        self.ask_to_open(key).await;
    }

    async fn ask_to_open(&mut self, key: Option<IdempotencyKey>) {
        let person = &self.person;
        let (node, asked, within) = (person.node().await, person.world().now(), person.how(None, false).within);
        let carts = (0..).map(|number| CartId::of_customer(self.id, number).entity()).take(100);
        let of: Vec<_> = std::iter::once(self.id.entity()).chain(carts).collect();
        let question = node.shop.open_cart(self.id, Currency::BDT, within, key);
        let told = person.told_of(&node, "open a cart", &of, question).await;
        let Told::Answer(OpenedCart { outcome, made, replayed }) = told else { return };
        person.kept(key, asked, &outcome.as_ref().map(|cart| (cart, made)).map_err(Clone::clone), replayed, true);
        match outcome {
            Ok(cart) => {
                if made && !replayed {
                    person.world().count("carts of customers");
                    lock(&person.town.made).push(cart.id.entity());
                }
                self.own = Some(cart.id);
            }
            Err(Reject::CommandPoisoned) => {}
            Err(reject) => person.world().breach(format_args!("a customer has no cart: {reject}")),
        }
    }

    async fn become_guest(&mut self) {
        let person = &self.person;
        let id = CartId::from_uuid(person.town.clock.new_uuid());
        let create = CartCommand::Create { owner: Owner::Guest, currency: Currency::BDT };
        let told = person.ask::<Cart>(id, "create", create, person.how(None, true)).await;
        if let Told::Answer(Answered { outcome: Ok(_), .. }) = told {
            lock(&person.town.made).push(id.entity());
            self.guest = Some(id);
        }
    }

    async fn set_line(&mut self, cart: CartId, by: Principal) {
        let tag = self.person.tag();
        let person = &self.person;
        let (of, index) = (person.chance.below(VENDORS), person.chance.below(SKUS));
        // Sometimes nearly as much as a line may have: then not all fits.
        let quantity = match person.chance.per_mille(100) {
            true => limits::LINE_QUANTITY - person.chance.below(3) as i64,
            false => person.chance.between(1, 3) as i64,
        };
        let unit_price = {
            let node = person.node().await;
            let listing =
                node.shop.catalog().ok().and_then(|directory| directory.sku(sku(of, index), node.shop.clock().now()));
            let Some(listing) = listing else { return };
            listing.sku.price_minor
        };
        let line =
            CartLine { sku: sku(of, index), vendor: vendor(of), title: tag.clone(), quantity, unit_price, sale: None };
        let command = CartCommand::SetLine { by, line, currency: Currency::BDT };
        let told = person.ask::<Cart>(cart, "set line", command, person.how(None, false)).await;
        person.tried(&tag, &told);
        if let Told::Answer(Answered { outcome: Err(Reject::CartCheckedOut | Reject::CartMerged), .. }) = told {
            self.leave(cart);
        }
    }

    fn leave(&mut self, cart: CartId) {
        for known in [&mut self.own, &mut self.guest] {
            if *known == Some(cart) {
                *known = None;
            }
        }
    }

    async fn merge(&mut self, into: CartId, from: CartId) {
        let key = self.key(Request::Merge { into, from });
        self.merges.push((into, from));
        self.ask_to_merge(into, from, key).await;
    }

    /// Asks for a merge of before, or for one of the same cart into the one that is theirs now.
    async fn merge_again(&mut self) {
        let chance = &self.person.chance;
        let Some((into, from)) = self.merges.get(chance.below(self.merges.len().max(1) as u64) as usize).copied()
        else {
            return;
        };
        let into = self.own.filter(|_| chance.per_mille(200)).unwrap_or(into);
        self.ask_to_merge(into, from, None).await;
    }

    async fn ask_to_merge(&mut self, into: CartId, from: CartId, key: Option<IdempotencyKey>) {
        let person = &self.person;
        let oracle = &person.town.oracle;
        let (node, asked, within) = (person.node().await, person.world().now(), person.how(None, false).within);
        let floor = oracle.answers.floor(into.entity());
        let question = node.shop.merge_carts(self.id, into, from, within, key);
        let told = person.told_of(&node, "merge", &[into.entity(), from.entity()], question).await;
        let Told::Answer(MergedCart { outcome, replayed }) = told else { return };
        person.kept(key, asked, &outcome, replayed, true);
        match outcome {
            Ok((cart, left_out)) => {
                person.world().count("merges");
                if !left_out.is_empty() {
                    person.world().count("merges that left something out");
                }
                oracle.answers.cart_shown(if replayed { 0 } else { floor }, &cart);
                oracle.merges.told(into, from, left_out);
                self.leave(from);
            }
            Err(Reject::CartCheckedOut) => self.leave(into),
            Err(Reject::CartUnknown) => {
                person.world().breach(format_args!("{from} and {into} are unknown to whoever has both"));
            }
            Err(_) => {}
        }
    }

    /// Gets what was bought with their address.
    async fn verify(&self) {
        let person = &self.person;
        let node = person.node().await;
        let question = async {
            let attached = node.shop.attach_orders(self.id, mail_key_of(self.id)).await;
            // Whoever does it tries again later.
            attached.map_err(|_| Failure::OutcomeUnknown)
        };
        let told = person.told(&node, "attach", self.id.entity(), question).await;
        if let Told::Answer(1..) = told {
            // They look through what they have got: as themselves at least once.
            for _ in 0..4 {
                self.look_at_what_guests_bought().await;
            }
        }
    }

    /// Would have an order that a guest has placed, whosever address it was placed with.
    async fn grab(&self) {
        let person = &self.person;
        let all = person.town.oracle.owners.of_guests();
        let nobodys: Vec<_> = all.into_iter().filter(|(.., owner)| *owner == Owner::Guest).collect();
        if nobodys.is_empty() {
            return;
        }
        let (order, ..) = *person.chance.pick(&nobodys);
        let command = OrderCommand::Attach { customer: self.id, mail_key: mail_key_of(self.id) };
        person.ask::<Order>(order, "attach one", command, person.how(None, false)).await;
    }

    /// Looks at an order that a guest has placed; as themselves, or with that guest's token.
    async fn look_at_what_guests_bought(&self) {
        let person = &self.person;
        let owners = &person.town.oracle.owners;
        // Mostly at those that have become somebody's.
        let mut all = owners.of_guests();
        if all.iter().any(|(.., owner)| *owner != Owner::Guest) && person.chance.per_mille(700) {
            all.retain(|(.., owner)| *owner != Owner::Guest);
        }
        let place = person.chance.below(all.len().max(1) as u64) as usize;
        let Some((order, cart, _)) = all.get(place).copied() else { return };
        let by = if person.chance.per_mille(500) { self.by() } else { Principal::Guest(cart) };
        let command = match person.chance.per_mille(300) {
            true => OrderCommand::GetTimeline { by },
            false => OrderCommand::Get { by },
        };
        let asked = owners.asks(order, by);
        let told = person.ask::<Order>(order, "an order of a guest", command, person.how(None, false)).await;
        if let Told::Answer(Answered { outcome, .. }) = &told {
            let what = match (outcome, by) {
                (Err(_), _) => "orders that were asked for by those whose they are not",
                (Ok(_), Principal::Customer(_)) => "orders that were seen by those whose they have become",
                (Ok(_), _) => "orders that were seen by the guests who placed them",
            };
            person.world().count(what);
            owners.told(&asked, outcome);
        }
    }

    async fn check_out(&mut self, cart: CartId, by: Principal) {
        let tag = self.person.tag();
        let person = &self.person;
        let slots = self.slots.choose(person).await;
        // A guest may give anybody's address.
        let address = match person.chance.per_mille(700) {
            true => self.id,
            false => shopper(person.chance.below(SHOPPERS)),
        };
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
        let has_account = matches!(by, Principal::Customer(_));
        let points = (has_account && self.points.per_mille(100)).then(|| PointsWanted {
            points: self.points.between(1, 40) as i64,
            beside: self.agreed.is_none(),
            alone: false,
        });
        let (mail_key, keys) = (Some(mail_key_of(address)), key_of_account(by));
        let details = CheckoutRequest {
            shipping: Vec::new(),
            slots,
            quote: None,
            buyer: Buyer { mail_key, keys, points, ..shipping_address.buyer() },
            contact: Contact { email: None, shipping_address },
            mint: Mint(person.chance.next().to_be_bytes()[4..].try_into().unwrap()),
            payment: PaymentChoice {
                method: METHOD.into(),
                token: (*person.chance.pick(&[APPROVE, APPROVE, DECLINE])).into(),
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
                lock(&person.town.made).push(view.id.entity());
            }
            Err(reject) => {
                if let Reject::PriceChanged { actual_total } = &reject {
                    self.agreed = Some(*actual_total);
                }
                let certain = matches!(reject, Reject::CartEmpty | Reject::CartMerged);
                oracle.commands.tried(&tag, false, !certain);
            }
        }
    }
}
