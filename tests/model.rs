//! Random commands against a plain model. The model knows stock numbers and what each buyer should be told, and nothing of
//! sagas, messages or events; whatever is lost, repeated or crashes on the way must not make a difference.
//!
//! `PROPTEST_CASES=10000 PROPTEST_RNG_SEED=7 cargo test --test model` looks further.

#[path = "model/acceptance.rs"]
mod acceptance;
#[path = "model/cash.rs"]
mod cash;
#[path = "model/coupons.rs"]
mod coupons;
#[path = "model/kept.rs"]
mod kept;
#[path = "model/parcels.rs"]
mod parcels;
#[path = "model/points.rs"]
mod points;
#[path = "support/random.rs"]
mod random;
#[path = "model/refunds.rs"]
mod refunds;
#[path = "model/returned.rs"]
mod returned;
#[path = "model/rooms.rs"]
mod rooms;
#[path = "model/sales.rs"]
mod sales;
#[path = "model/slots.rs"]
mod slots;
#[path = "support/world.rs"]
mod world;

use haat::domain::cart::{Cart, CartCommand, CartReply, CartStatus};
use haat::domain::ids::{EntityId, OrderId, SkuId};
use haat::domain::order::{Milestone, OrderStatus};
use haat::domain::reject::{Reject, RejectKind};
use haat::limits;
use proptest::prelude::*;
use random::config;
use std::collections::{BTreeMap, HashMap};
use world::gateway::{APPROVE, DECLINE, FLAKY, LOST_REPLY, SILENT, SLOW};
use world::shop::{SKUS, STOCK, VENDORS, buyer, cart, first_price, sku};
use world::{CrashOf, Faults, World};

const CARTS: usize = 5;

/// A SKU by the numbers of its vendor and its own.
type Of = (usize, usize);

/// Which total the buyer says to expect.
#[derive(Clone, Copy, Debug)]
enum Expected {
    Nothing,
    Today,
    Another,
}

/// What someone does.
#[derive(Clone, Copy, Debug)]
enum Do {
    SetLine(usize, Of, i64),
    RemoveLine(usize, Of),
    CheckOut(usize, &'static str, Expected, bool),
    /// The first is given to the second.
    Merge(usize, usize),
    Cancel(usize),
    Adjust(Of, i64),
    SetPrice(Of, i64),
    Pass(i64),
    LetGo(usize),
    Crash,
    CrashActor(usize),
    Resend,
    Checkpoint,
}

/// What goes wrong while it is done.
#[derive(Clone, Copy, Debug)]
enum Wrong {
    Nothing,
    Twice,
    Echo,
    Lose(u64),
    Crash(usize, CrashOf),
}

fn a_sku() -> impl Strategy<Value = Of> {
    (0..VENDORS, 0..SKUS)
}

fn what() -> impl Strategy<Value = Do> {
    let token = prop::sample::select(vec![APPROVE, APPROVE, DECLINE, LOST_REPLY, FLAKY, SILENT, SLOW, SLOW]);
    let expected = prop::sample::select(vec![
        Expected::Nothing,
        Expected::Nothing,
        Expected::Nothing,
        Expected::Today,
        Expected::Another,
    ]);
    prop_oneof![
        8 => (0..CARTS, a_sku(), 1..5_i64).prop_map(|(cart, of, quantity)| Do::SetLine(cart, of, quantity)),
        1 => (0..CARTS, a_sku()).prop_map(|(cart, of)| Do::SetLine(cart, of, limits::LINE_QUANTITY - 2)),
        1 => (0..CARTS, a_sku()).prop_map(|(cart, of)| Do::RemoveLine(cart, of)),
        2 => (0..CARTS, 1..CARTS).prop_map(|(from, further)| Do::Merge(from, (from + further) % CARTS)),
        8 => (0..CARTS, token, expected, any::<bool>()).prop_map(|(cart, token, expected, blind)| {
            Do::CheckOut(cart, token, expected, blind)
        }),
        3 => (0..CARTS).prop_map(Do::Cancel),
        3 => (a_sku(), -8..8_i64).prop_map(|(of, delta)| Do::Adjust(of, delta)),
        1 => (a_sku(), 1..5_i64).prop_map(|(of, hundreds)| Do::SetPrice(of, hundreds * 100)),
        1 => prop::sample::select(vec![1, limits::PAYMENT_MS / 2, limits::PAYMENT_MS, limits::HOLD_MS]).prop_map(Do::Pass),
        2 => (0..8_usize).prop_map(Do::LetGo),
        1 => Just(Do::Crash),
        1 => (0..16_usize).prop_map(Do::CrashActor),
        1 => Just(Do::Resend),
        1 => Just(Do::Checkpoint),
    ]
}

fn wrong() -> impl Strategy<Value = Wrong> {
    let of = prop::sample::select(vec![CrashOf::Node, CrashOf::Actor]);
    prop_oneof![
        4 => Just(Wrong::Nothing),
        1 => Just(Wrong::Twice),
        1 => Just(Wrong::Echo),
        1 => (0..20_u64).prop_map(Wrong::Lose),
        1 => (1..16_usize, of).prop_map(|(number, of)| Wrong::Crash(number, of)),
    ]
}

/// What a buyer is told in the end.
#[derive(Clone, Debug, PartialEq)]
enum Told {
    /// The order of this attempt, and how it stands.
    Order(u32, OrderStatus),
    Merged,
    Empty,
    /// One of these lists of SKUs with the pieces asked for and available.
    Short(Vec<Vec<(SkuId, i64, i64)>>),
    PriceChanged(i64),
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Availability {
    price: i64,
    on_hand: i64,
    held: i64,
}

#[derive(Clone, Debug, Default)]
struct Basket {
    /// SKU, pieces, the price it shows.
    lines: Vec<(Of, i64, i64)>,
    attempt: u32,
    /// How its newest order stands.
    newest: Option<OrderStatus>,
    /// What that order costs, and until when it may be paid.
    total: i64,
    due: i64,
    /// What it costs by the piece, line by line.
    charged: Vec<i64>,
    /// Whether the money of the newest order was taken at once, though nobody has heard of it.
    taken: bool,
    /// The cart that it was given to.
    given_to: Option<usize>,
    /// The carts that were given to it, with what of each did not fit.
    got: Vec<(usize, Vec<(SkuId, i64)>)>,
}

impl Basket {
    fn status(&self) -> CartStatus {
        match self.newest {
            _ if self.given_to.is_some() => CartStatus::Merged,
            Some(OrderStatus::Paid) => CartStatus::CheckedOut,
            Some(OrderStatus::AwaitingPayment) => CartStatus::CheckingOut,
            _ => CartStatus::Open,
        }
    }

    /// Why it cannot change, if it cannot.
    fn may_change(&self) -> Result<(), Reject> {
        match self.status() {
            CartStatus::Open => Ok(()),
            CartStatus::CheckingOut => Err(Reject::CartCheckingOut),
            CartStatus::CheckedOut => Err(Reject::CartCheckedOut),
            CartStatus::Merged => Err(Reject::CartMerged),
        }
    }
}

/// The oracle.
#[derive(Debug)]
struct Model {
    shelves: HashMap<Of, Availability>,
    baskets: Vec<Basket>,
    taken: i64,
}

impl Model {
    fn new() -> Self {
        let all = (0..VENDORS).flat_map(|vendor| (0..SKUS).map(move |number| (vendor, number)));
        let availability = |of: Of| (of, Availability { price: first_price(of.0, of.1), on_hand: STOCK, held: 0 });
        Self { shelves: all.map(availability).collect(), baskets: vec![Basket::default(); CARTS], taken: 0 }
    }

    fn today(&self, number: usize) -> i64 {
        self.baskets[number].lines.iter().map(|(of, quantity, _)| quantity * self.shelves[of].price).sum()
    }

    /// What is short in this cart, one list for each vendor.
    fn short(&self, number: usize) -> BTreeMap<usize, Vec<(SkuId, i64, i64)>> {
        let mut short: BTreeMap<usize, Vec<_>> = BTreeMap::new();
        for (of, quantity, _) in &self.baskets[number].lines {
            let available = self.shelves[of].on_hand - self.shelves[of].held;
            if available < *quantity {
                short.entry(of.0).or_default().push((sku(of.0, of.1), *quantity, available));
            }
        }
        short
    }

    fn check_out(&mut self, number: usize, token: &str, expected: Option<i64>, blind: bool, now: i64) -> Told {
        let (short, today) = (self.short(number), self.today(number));
        let basket = &mut self.baskets[number];
        if basket.given_to.is_some() {
            return Told::Merged;
        }
        if let Some(status) = basket.newest.filter(|_| basket.status() != CartStatus::Open) {
            return Told::Order(basket.attempt, status);
        }
        if basket.lines.is_empty() {
            return Told::Empty;
        }
        if !short.is_empty() && !blind {
            // The availability tells of all vendors at once, in the order of the cart's lines.
            let place = |of: SkuId| basket.lines.iter().position(|(line, ..)| sku(line.0, line.1) == of);
            let mut all: Vec<_> = short.into_values().flatten().collect();
            all.sort_by_key(|(of, ..)| place(*of));
            return Told::Short(vec![all]);
        }
        basket.attempt += 1;
        basket.newest = Some(OrderStatus::Rejected);
        if !short.is_empty() {
            return Told::Short(short.into_values().collect());
        }
        if expected.unwrap_or_else(|| basket.lines.iter().map(|(_, quantity, price)| quantity * price).sum()) != today {
            // To be refused is not to agree: the cart stays as it was.
            return Told::PriceChanged(today);
        }
        (basket.total, basket.due) = (today, now + limits::PAYMENT_MS);
        basket.charged = basket.lines.iter().map(|(of, ..)| self.shelves[of].price).collect();
        basket.newest = Some(match token {
            DECLINE => OrderStatus::PaymentFailed,
            _ => OrderStatus::AwaitingPayment,
        });
        basket.taken = token == SLOW;
        if token != DECLINE {
            self.move_pieces(number, 0, 1);
        }
        if [APPROVE, LOST_REPLY, FLAKY].contains(&token) {
            self.end(number, OrderStatus::Paid);
        }
        let basket = &self.baskets[number];
        Told::Order(basket.attempt, basket.newest.expect("it was just set"))
    }

    /// A cart is given to another: what of it did not fit there.
    fn merge(&mut self, from: usize, into: usize) -> Result<Vec<(SkuId, i64)>, Reject> {
        if let Some((_, left_out)) = self.baskets[into].got.iter().find(|(given, _)| *given == from) {
            return Ok(left_out.clone());
        }
        self.baskets[into].may_change()?;
        self.baskets[from].may_change()?;
        let given = self.baskets[from].lines.clone();
        self.baskets[from].given_to = Some(into);
        let mut left_out = Vec::new();
        for (of, quantity, _) in given {
            let lines = &mut self.baskets[into].lines;
            let there = lines.iter().position(|(line, ..)| *line == of);
            let fits = quantity.min(limits::LINE_QUANTITY - there.map_or(0, |place| lines[place].1));
            if fits < quantity {
                left_out.push((sku(of.0, of.1), quantity - fits));
            }
            match there {
                Some(place) => lines[place].1 += fits,
                None => lines.push((of, fits, 0)),
            }
        }
        self.baskets[into].got.push((from, left_out.clone()));
        self.show_todays_prices(into);
        Ok(left_out)
    }

    /// The answer to a change of one line shows them all.
    fn show_todays_prices(&mut self, number: usize) {
        self.baskets[number].lines.iter_mut().for_each(|(of, _, price)| *price = self.shelves[of].price);
    }

    fn move_pieces(&mut self, number: usize, on_hand: i64, held: i64) {
        for (of, quantity, _) in &self.baskets[number].lines {
            let availability = self.shelves.get_mut(of).expect("carts hold known SKUs");
            availability.on_hand += on_hand * quantity;
            availability.held += held * quantity;
        }
    }

    /// The order that awaits its payment ends so.
    fn end(&mut self, number: usize, status: OrderStatus) {
        let paid = status == OrderStatus::Paid;
        self.move_pieces(number, if paid { -1 } else { 0 }, -1);
        let basket = &mut self.baskets[number];
        basket.newest = Some(status);
        if paid {
            basket.lines.iter_mut().zip(&basket.charged).for_each(|((.., price), charged)| *price = *charged);
        }
        self.taken += if paid { basket.total } else { 0 };
    }
}

/// Gives a cart to another, if that one says that it may, as far as it goes at once.
fn give(world: &mut World, from: usize, into: usize) -> Result<CartReply, Reject> {
    let may = CartCommand::MayMerge { by: buyer(into), from: cart(from) };
    world.ask::<Cart>(cart(into), may).expect("a cart answers at once")?;
    let given = CartCommand::MergeInto { by: buyer(from), into: cart(into) };
    world.ask::<Cart>(cart(from), given).expect("a cart answers at once")
}

/// Does it in the world, as far as it goes at once; gives the order of a checkout.
fn act(world: &mut World, what: Do, expected: Option<i64>) -> Option<Result<OrderId, Reject>> {
    match what {
        Do::SetLine(number, of, quantity) => drop(world.set_line(number, of, quantity)),
        Do::RemoveLine(number, of) => {
            let command = CartCommand::RemoveLine { by: buyer(number), sku: sku(of.0, of.1) };
            drop(world.ask::<Cart>(cart(number), command));
        }
        Do::CheckOut(number, token, _, blind) => {
            world.availability_blind = blind;
            return Some(world.check_out(number, token, expected).map(|(order, _)| order));
        }
        Do::Merge(from, into) => drop(give(world, from, into)),
        Do::Cancel(number) => {
            if let Some(order) = world.carts[&cart(number)].entity.order() {
                drop(world.cancel(number, order));
            }
        }
        Do::Adjust(of, delta) => drop(world.adjust(of, delta)),
        Do::SetPrice(of, price) => world.set_price(of, price),
        Do::Pass(millis) => world.pass(millis),
        Do::LetGo(choice) => {
            let waiting = world.gateway.waiting();
            if let Some(order) = waiting.get(choice % waiting.len().max(1)) {
                world.gateway.let_go(*order);
            }
        }
        Do::Crash => world.crash(),
        Do::CrashActor(choice) => {
            let all = world.carts.keys().map(|id| id.entity());
            let all = all.chain(world.orders.keys().map(|id| id.entity()));
            let all: Vec<_> = all.chain(world.vendors.keys().map(|id| id.entity())).collect();
            world.crash_one(all[choice % all.len()]);
        }
        Do::Resend => world.resend(),
        Do::Checkpoint => world.checkpoint(),
    }
    None
}

/// Does it in both, lets the world come to rest, and compares what the buyer is told.
fn act_and_compare(world: &mut World, model: &mut Model, what: Do) {
    let now = world.now.as_millis();
    let expected = match what {
        Do::CheckOut(number, _, Expected::Today, _) => Some(model.today(number)),
        Do::CheckOut(number, _, Expected::Another, _) => Some(model.today(number) + 1),
        _ => None,
    };
    match what {
        Do::Cancel(number) => compare_cancel(world, model, number),
        Do::Merge(from, into) => compare_merge(world, model, from, into),
        Do::CheckOut(number, token, _, blind) => {
            let asked = act(world, what, expected).expect("a checkout is answered");
            world.settle();
            let says = model.check_out(number, token, expected, blind, now);
            compare_checkout(world, number, asked, &says);
        }
        _ => {
            let let_go = match what {
                Do::LetGo(choice) if !world.gateway.waiting().is_empty() => {
                    let waiting = world.gateway.waiting();
                    Some(waiting[choice % waiting.len()])
                }
                _ => None,
            };
            act(world, what, None);
            world.settle();
            model.act(what, let_go, world.now.as_millis());
        }
    }
}

impl Model {
    fn act(&mut self, what: Do, let_go: Option<OrderId>, now: i64) {
        match what {
            Do::SetLine(number, of, quantity) if self.baskets[number].status() == CartStatus::Open => {
                let price = self.shelves[&of].price;
                let lines = &mut self.baskets[number].lines;
                match lines.iter_mut().find(|(line, ..)| *line == of) {
                    Some(line) => *line = (of, quantity, price),
                    None => lines.push((of, quantity, price)),
                }
                self.show_todays_prices(number);
            }
            Do::RemoveLine(number, of) if self.baskets[number].status() == CartStatus::Open => {
                self.baskets[number].lines.retain(|(line, ..)| *line != of);
                self.show_todays_prices(number);
            }
            Do::Adjust(of, delta) => {
                let availability = self.shelves.get_mut(&of).expect("a known SKU");
                if availability.on_hand - availability.held + delta >= 0 {
                    availability.on_hand += delta;
                }
            }
            Do::SetPrice(of, price) => self.shelves.get_mut(&of).expect("a known SKU").price = price,
            Do::Pass(_) => {
                for number in 0..CARTS {
                    if self.baskets[number].status() == CartStatus::CheckingOut && self.baskets[number].due <= now {
                        // What was taken in time counts, though nobody heard of it.
                        let taken = self.baskets[number].taken;
                        self.end(number, if taken { OrderStatus::Paid } else { OrderStatus::Expired });
                    }
                }
            }
            Do::LetGo(_) => {
                let of =
                    |number: &usize| let_go == Some(OrderId::for_attempt(cart(*number), self.baskets[*number].attempt));
                if let Some(number) = (0..CARTS).find(of) {
                    self.end(number, OrderStatus::Paid);
                }
            }
            _ => {}
        }
    }
}

fn compare_checkout(world: &mut World, number: usize, asked: Result<OrderId, Reject>, says: &Told) {
    let told = asked.and_then(|order| {
        world.told(number, order, Milestone::Held).expect("at rest every order can answer").map(|view| (order, view))
    });
    match (told, says) {
        (Ok((order, view)), Told::Order(attempt, status)) => {
            assert_eq!((order, view.status), (OrderId::for_attempt(cart(number), *attempt), *status));
        }
        (Err(Reject::CartEmpty), Told::Empty) | (Err(Reject::CartMerged), Told::Merged) => {}
        (Err(Reject::PriceChanged { actual_total }), Told::PriceChanged(total)) => {
            assert_eq!(actual_total.minor, *total);
        }
        (Err(Reject::OutOfStock { skus }), Told::Short(possible)) => {
            let skus: Vec<_> = skus.iter().map(|short| (short.sku_id, short.requested, short.available)).collect();
            assert!(possible.contains(&skus), "{skus:?} is none of {possible:?}");
        }
        (told, says) => panic!("the buyer is told {told:?} and should be told {says:?}"),
    }
}

fn compare_cancel(world: &mut World, model: &mut Model, number: usize) {
    let basket = &model.baskets[number];
    let newest = basket.newest;
    let told = world.cancel(number, OrderId::for_attempt(cart(number), basket.attempt.max(1)));
    world.settle();
    match newest {
        None => assert_eq!(told, Err(Reject::OrderUnknown)),
        Some(OrderStatus::Cancelled) => {
            assert_eq!(told.map(|view| view.status), Ok(OrderStatus::Cancelled))
        }
        Some(OrderStatus::AwaitingPayment) => {
            assert!(told.is_ok(), "{told:?}");
            model.end(number, OrderStatus::Cancelled);
        }
        Some(status) => assert_eq!(told, Err(Reject::OrderNotCancellable { status })),
    }
}

fn compare_merge(world: &mut World, model: &mut Model, from: usize, into: usize) {
    let given = give(world, from, into);
    world.settle();
    let says = model.merge(from, into);
    let told = given.and_then(|reply| {
        assert_eq!(reply, CartReply::Merging { into: cart(into) });
        let asked = CartCommand::AwaitMerge { by: buyer(into), from: cart(from), refused: None };
        world.ask::<Cart>(cart(into), asked).expect("at rest it has come there")
    });
    let told = told.map(|reply| match reply {
        CartReply::Merged { left_out, .. } => {
            assert!(left_out.iter().all(|left| left.why == RejectKind::QuantityOutOfRange), "{left_out:?}");
            left_out.iter().map(|left| (left.sku, left.quantity)).collect()
        }
        other => panic!("a merge was answered with {other:?}"),
    });
    assert_eq!(told, says, "cart {from} is given to cart {into}");
}

fn compare_states(world: &World, model: &Model) {
    for (of, availability) in &model.shelves {
        let row = world.sku_row(*of).expect("a known SKU");
        assert_eq!(
            Availability { price: row.price_minor, on_hand: row.on_hand, held: row.held },
            *availability,
            "{of:?}"
        );
    }
    for (number, basket) in model.baskets.iter().enumerate() {
        let view = world.cart_view(number);
        let lines: Vec<_> = view.lines.iter().map(|line| (line.sku, line.quantity, line.unit_price)).collect();
        let expected: Vec<_> =
            basket.lines.iter().map(|(of, quantity, price)| (sku(of.0, of.1), *quantity, *price)).collect();
        assert_eq!((view.status, lines), (basket.status(), expected), "cart {number}");
        assert_eq!(view.merged_into, basket.given_to.map(cart), "cart {number}");
    }
    // What was taken for an order that does not know yet is given back or becomes its payment: not counted here.
    let paid = |order: &&OrderId| world.orders[order].entity.status().is_some_and(OrderStatus::is_paid);
    let taken: i64 = world.orders.keys().filter(paid).map(|order| world.gateway.net(*order)).sum();
    assert_eq!(taken, model.taken, "money taken for paid orders");
}

proptest! {
    #![proptest_config(config(256))]

    #[test]
    fn the_world_agrees_with_the_model(steps in prop::collection::vec((wrong(), what()), 1..40)) {
        let mut world = World::shop(CARTS);
        let mut model = Model::new();
        for (wrong, what) in steps {
            world.faults = match wrong {
                Wrong::Nothing => Faults::default(),
                Wrong::Twice => Faults { twice: true, ..Faults::default() },
                Wrong::Echo => Faults { echo: true, ..Faults::default() },
                Wrong::Lose(number) => Faults { lose: Some(world.sent + number), ..Faults::default() },
                Wrong::Crash(number, of) => {
                    Faults { crash: Some((world.records + number, of)), ..Faults::default() }
                }
            };
            act_and_compare(&mut world, &mut model, what);
            world.faults = Faults::default();
            compare_states(&world, &model);
        }
        world.checkpoint();
        world.crash();
        world.settle();
        compare_states(&world, &model);
    }
}

proptest! {
    #![proptest_config(config(256))]

    /// Many buyers at once, messages of different senders in any order: no oracle can say who is first, but nothing may be sold
    /// twice, charged twice or left behind.
    #[test]
    fn whatever_comes_first_everything_adds_up(
        steps in prop::collection::vec((what(), prop::collection::vec(0..64_usize, 0..12)), 1..40),
    ) {
        let mut world = World::shop(CARTS);
        for (what, deliveries) in steps {
            act(&mut world, what, None);
            for choice in deliveries {
                world.deliver_of_channel(choice);
            }
        }
        world.drain();
        // Past every deadline and the end of every hold nothing may wait for anything.
        for _ in 0..4 {
            world.pass(limits::HOLD_MS);
            world.resend();
            world.drain();
        }
        world.settle();
        assert!(!world.anything_outstanding());
        world.checkpoint();
        for number in 0..CARTS {
            let view = world.cart_view(number);
            assert_ne!(view.status, CartStatus::CheckingOut);
            // Whoever gave a cart away finds it taken once, and nobody else has taken it.
            for other in 0..CARTS {
                let got = world.carts[&cart(other)].entity.merges();
                let times = got.iter().filter(|merge| merge.from == view.id).count();
                assert_eq!(times, usize::from(view.merged_into == Some(cart(other))), "cart {number} in cart {other}");
            }
        }
    }
}
