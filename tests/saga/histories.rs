//! Random lives of orders: declined, cancelled, paid late or with another amount, resolved by someone, through crashes and lost messages. A
//! purse for each order, which knows nothing of events, says what its figures must be after each step, and where the money is in the end.

use crate::random::config;
use crate::world::gateway::{APPROVE, DECLINE, FLAKY, LATE, LOST_REPLY, SILENT, SLOW};
use crate::world::shop::{SKUS, VENDORS, resolution};
use crate::world::{CrashOf, Faults, World};
use haat::domain::entity::concerns::*;
use haat::domain::ids::{OrderId, VendorId};
use haat::domain::money::{Currency, Money};
use haat::domain::order::{Amounts, PaymentStatus, ResolveAs};
use haat::limits;
use proptest::prelude::*;
use std::collections::BTreeMap;

const CARTS: usize = 2;

/// A SKU by the numbers of its vendor and its own.
type Of = (usize, usize);

/// What someone does, or what happens to the provider.
#[derive(Clone, Copy, Debug)]
enum Do {
    Fill(usize, Of, i64),
    CheckOut(usize, &'static str),
    Cancel(usize),
    Resolve(usize, usize),
    Pass(i64),
    LetGo,
    Deliver(usize),
    Settle,
    Crash,
    Checkpoint,
    Provider(Mood),
}

#[derive(Clone, Copy, Debug)]
enum Mood {
    Well,
    Down,
    /// It takes this, whatever it is asked for.
    Takes(i64),
    RefusesVoids,
    RefundsHang,
    LosesAnswers(u32),
}

fn what() -> impl Strategy<Value = Do> {
    let token = prop::sample::select(vec![APPROVE, DECLINE, LOST_REPLY, FLAKY, SILENT, SLOW, SLOW, LATE, LATE]);
    let mood = prop_oneof![
        4 => Just(Mood::Well),
        1 => Just(Mood::Down),
        2 => (0..2_000_000_i64).prop_map(Mood::Takes),
        1 => Just(Mood::RefusesVoids),
        1 => Just(Mood::RefundsHang),
        1 => (1..4_u32).prop_map(Mood::LosesAnswers),
    ];
    let times = vec![1, limits::PAYMENT_MS / 2, limits::PAYMENT_MS, limits::STUCK_AFTER_MS, limits::HOLD_MS];
    prop_oneof![
        4 => (0..CARTS, (0..VENDORS, 0..SKUS), 1..4_i64).prop_map(|(cart, of, quantity)| Do::Fill(cart, of, quantity)),
        6 => (0..CARTS, token).prop_map(|(cart, token)| Do::CheckOut(cart, token)),
        3 => (0..CARTS).prop_map(Do::Cancel),
        4 => (0..CARTS, 0..4_usize).prop_map(|(cart, way)| Do::Resolve(cart, way)),
        3 => prop::sample::select(times).prop_map(Do::Pass),
        1 => Just(Do::LetGo),
        8 => (0..64_usize).prop_map(Do::Deliver),
        4 => Just(Do::Settle),
        1 => Just(Do::Crash),
        1 => Just(Do::Checkpoint),
        4 => mood.prop_map(Do::Provider),
    ]
}

fn wrong() -> impl Strategy<Value = Option<(bool, u64)>> {
    prop_oneof![4 => Just(None), 1 => (any::<bool>(), 0..12_u64).prop_map(Some)]
}

/// What is known of an order's money from outside.
#[derive(Debug, Default)]
struct Purse {
    /// What each vendor's lines cost.
    shares: BTreeMap<VendorId, i64>,
    /// What the buyer paid in another way, in minor units.
    outside: i64,
    /// Whether what someone says that they gave back is what was asked for.
    all_given_back_by_hand: Option<bool>,
}

impl Purse {
    fn total(&self) -> i64 {
        self.shares.values().sum()
    }

    /// What an order's figures must be, its shares' by their vendors.
    fn figures(&self, world: &World, order: OrderId) -> BTreeMap<VendorId, Amounts> {
        let view = world.order_view(order);
        let by_provider = || world.gateway.account(order).moves.first() == Some(&self.total());
        let is_refunded =
            view.payment_status == PaymentStatus::Refunded && self.all_given_back_by_hand.unwrap_or_else(by_provider);
        let figures = |total: i64| {
            let paid = if view.status.is_paid() || is_refunded { total } else { 0 };
            let refunded = if is_refunded { total } else { 0 };
            let credited = if view.status.is_end() { total } else { 0 };
            let due = total - credited - paid + refunded;
            let (total_due, refund_due) = (due.max(0), (-due).max(0));
            Amounts { total, credited, rounding: 0, paid, refunded, total_due, refund_due }
        };
        self.shares.iter().map(|(vendor, total)| (*vendor, figures(*total))).collect()
    }
}

/// The shop, its purses, and the newest order of each cart.
struct Life {
    world: World,
    purses: BTreeMap<OrderId, Purse>,
    newest: [Option<OrderId>; CARTS],
}

impl Life {
    fn new(prices: &[i64]) -> Self {
        let mut world = World::shop(CARTS);
        world.availability_blind = true;
        for (number, price) in prices.iter().enumerate() {
            world.set_price((number / SKUS, number % SKUS), *price);
        }
        Self { world, purses: BTreeMap::new(), newest: [None; CARTS] }
    }

    fn act(&mut self, what: Do) {
        match what {
            // A cart that is being checked out refuses.
            Do::Fill(cart, of, quantity) => drop(self.world.set_line(cart, of, quantity)),
            Do::CheckOut(cart, token) => self.check_out(cart, token),
            Do::Cancel(cart) => {
                if let Some(order) = self.placed(cart) {
                    drop(self.world.cancel(cart, order));
                }
            }
            Do::Resolve(cart, way) => {
                if let Some(order) = self.placed(cart) {
                    self.resolve(order, way);
                }
            }
            Do::Pass(millis) => self.world.pass(millis),
            Do::LetGo => {
                let waiting = self.world.gateway.waiting();
                waiting.into_iter().for_each(|order| self.world.gateway.let_go(order));
            }
            Do::Deliver(choice) => drop(self.world.deliver_of_channel(choice)),
            Do::Settle => self.world.settle(),
            Do::Crash => self.world.crash(),
            Do::Checkpoint => self.world.checkpoint(),
            Do::Provider(mood) => self.turns(mood),
        }
    }

    fn placed(&self, cart: usize) -> Option<OrderId> {
        self.newest[cart].filter(|order| self.world.orders.get(order).is_some_and(|slot| slot.entity.phase().is_some()))
    }

    fn check_out(&mut self, cart: usize, token: &str) {
        let lines = self.world.cart_view(cart).lines;
        let Ok((order, true)) = self.world.check_out(cart, token, None) else { return };
        let mut purse = Purse::default();
        for line in lines {
            *purse.shares.entry(line.vendor).or_default() += line.quantity * line.unit_price;
        }
        self.purses.insert(order, purse);
        self.newest[cart] = Some(order);
    }

    /// Someone leads an order out of what it is stuck in. They do outside what they say, and say what they did.
    fn resolve(&mut self, order: OrderId, way: usize) {
        let view = self.world.order_view(order);
        let Some(waits) = view.waits.filter(|waits| waits.is_stuck(self.world.now)) else { return };
        let (purse, gateway) = (self.purses.get_mut(&order).expect("a purse"), &mut self.world.gateway);
        let net = gateway.net(order);
        let mut verb = waits.resolve_as[way % waits.resolve_as.len()];
        if verb == ResolveAs::Voided && net != 0 {
            verb = ResolveAs::Refunded;
        }
        if verb == ResolveAs::Refunded && gateway.account(order).moves.is_empty() {
            if !waits.resolve_as.contains(&ResolveAs::Voided) {
                return;
            }
            verb = ResolveAs::Voided;
        }
        let total = Money::new(purse.total(), Currency::BDT);
        match verb {
            ResolveAs::Voided => gateway.undo_by_hand(order),
            ResolveAs::Refunded => {
                gateway.undo_by_hand(order);
                let told = self.world.orders[&order].entity.told();
                purse.all_given_back_by_hand = Some(told.is_none_or(|told| told == total));
            }
            ResolveAs::Paid => purse.outside += total.minor - net,
            ResolveAs::Retry | ResolveAs::WriteOff => {}
        }
        self.world.resolve(order, resolution(verb, (verb == ResolveAs::Paid).then_some(total))).expect("it fits");
    }

    fn turns(&mut self, mood: Mood) {
        let gateway = &mut self.world.gateway;
        match mood {
            Mood::Well => {
                (gateway.down, gateway.refuses_voids, gateway.refunds_hang) = (false, false, false);
                (gateway.lose_answers, gateway.takes) = (0, None);
            }
            Mood::Down => gateway.down = true,
            Mood::Takes(amount) => gateway.takes = Some(amount),
            Mood::RefusesVoids => gateway.refuses_voids = true,
            Mood::RefundsHang => gateway.refunds_hang = true,
            Mood::LosesAnswers(answers) => gateway.lose_answers = answers,
        }
    }

    /// The figures of all orders are those of their purses.
    fn compare(&self) {
        for (order, purse) in &self.purses {
            let Some(row) = self.world.orders.get(order).and_then(|slot| slot.entity.row()) else { continue };
            let shares: BTreeMap<VendorId, Amounts> =
                row.sub_orders.iter().map(|share| (share.vendor_id, share.amounts)).collect();
            assert_eq!(shares, purse.figures(&self.world, *order), "{order} is {}", row.columns.status);
            assert_eq!(row.amounts, Amounts::sum(shares.into_values()), "{order}");
            let taken = self.world.gateway.account(*order).moves.into_iter().filter(|amount| *amount > 0);
            assert!(taken.count() <= 1, "{order} is charged twice");
        }
    }

    /// The provider is well, and someone sees to what waits for them: everything ends, and the money is where it belongs.
    fn end(mut self) {
        self.turns(Mood::Well);
        for round in 0.. {
            self.act(Do::LetGo);
            self.world.settle();
            self.world.pass(limits::HOLD_MS);
            self.world.settle();
            let open = |order: &OrderId| self.world.orders.get(order).is_some_and(|slot| !slot.entity.has_ended());
            let open: Vec<OrderId> = self.purses.keys().copied().filter(open).collect();
            if open.is_empty() {
                break;
            }
            assert!(round < 6, "{open:?} do not end");
            open.into_iter().for_each(|order| self.resolve(order, round));
            self.compare();
        }
        self.compare();
        for (order, purse) in &self.purses {
            let Some(row) = self.world.orders.get(order).and_then(|slot| slot.entity.row()) else { continue };
            let kept = self.world.gateway.net(*order) + purse.outside;
            assert_eq!(
                kept,
                if row.columns.status.is_paid() { purse.total() } else { 0 },
                "{order} is {}",
                row.columns.status
            );
            assert_eq!((row.amounts.total_due, row.amounts.refund_due), (0, 0), "{order} is {}", row.columns.status);
        }
    }
}

proptest! {
    #![proptest_config(config(512))]

    #[test]
    fn whatever_happens_the_money_adds_up(
        prices in prop::collection::vec(1..1_000_003_i64, VENDORS * SKUS),
        steps in prop::collection::vec((wrong(), what()), 1..60),
    ) {
        let mut life = Life::new(&prices);
        for cart in 0..CARTS {
            life.act(Do::Fill(cart, (cart, 0), 1));
        }
        for (wrong, what) in steps {
            let (sent, records) = (life.world.sent, life.world.records);
            life.world.faults = match wrong {
                None => Faults::default(),
                Some((true, number)) => Faults { lose: Some(sent + number), ..Faults::default() },
                Some((false, number)) => {
                    let crash = (records + 1 + usize::try_from(number).expect("few"), CrashOf::Node);
                    Faults { crash: Some(crash), ..Faults::default() }
                }
            };
            life.act(what);
            life.world.faults = Faults::default();
            life.compare();
        }
        life.end();
    }
}
