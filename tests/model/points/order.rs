//! An order that is paid with points, and its customer: their messages are lost, doubled and come once more late, either crashes, and whatever is
//! credited, brought and sent back, the test reckons by itself what comes back of points and what is earned.

use super::{DAY, id};
use crate::kept::{Kept, Tally};
use crate::random::config;
use crate::world::Priced;
use haat::domain::buyer::{Buyer, Mint, PointsWanted};
use haat::domain::cart::CartLine;
use haat::domain::customer::{Customer, CustomerCommand, GivenFor, PointCommand};
use haat::domain::entity::concerns::*;
use haat::domain::entity::{Effect, Message, Owner, Principal};
use haat::domain::ids::{CartId, CreditId, OrderId, ReturnId, ShipmentId, ShippingMethodId, SkuId, VendorId};
use haat::domain::knowledge::Knowledge;
use haat::domain::loyalty::{Programme, Tier};
use haat::domain::money::{Currency, Money};
use haat::domain::order::{
    Condition, CreditReason, CreditSeed, DisputeStatus, DisputeTold, NewParcel, NewReturn, Order, OrderCommand,
    OrderEvent, OrderLine, OrderStatus, OrderView, ParcelEnd, ParcelStep, PaymentChoice, Phase, Placement,
    ReceivedLine, RefundTold, ReturnStep, Wanted,
};
use haat::domain::pricing::{Rate, ShippingMethod, Tables, TaxRow, TaxTables, Zone};
use haat::domain::reject::Reject;
use haat::domain::time::Timestamp;
use haat::domain::vendor::{HeldLine, VendorCommand, WantedLine};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use uuid::Uuid;

/// 2023-11-14T22:13:20Z.
const BEGIN: i64 = 1_700_000_000_000;
const SHOP: Principal = Principal::SHOP;
const HOLD_MS: i64 = 10_000;
const PAYMENT_MS: i64 = 9_000;
/// Which vendor sells each line, and the price of a piece.
const LINES: [(usize, i64); 3] = [(0, 333), (0, 50), (1, 1_999)];

fn vendor(which: usize) -> VendorId {
    VendorId::from_uuid(Uuid::from_u128(3 + which as u128))
}

fn sku(line: usize) -> SkuId {
    SkuId::from_uuid(Uuid::from_u128(10 + line as u128))
}

fn cart() -> CartId {
    CartId::from_uuid(Uuid::from_u128(1))
}

fn order_id() -> OrderId {
    OrderId::for_attempt(cart(), 1)
}

fn bdt(minor: i64) -> Money {
    Money::new(minor, Currency::BDT)
}

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}

fn days(days: u32) -> i64 {
    i64::from(days) * DAY
}

/// The shop, and what is bought.
#[derive(Clone, Debug)]
struct Terms {
    worth: i64,
    basis_points: u32,
    multiplier: Option<u32>,
    after_days: u32,
    expires_days: u32,
    tiers: bool,
    /// Whether prices include it, where there is one.
    tax: Option<bool>,
    shipping: [i64; 2],
    pieces: [i64; 3],
    /// What the buyer has, in lots that live for so many days.
    has: Vec<(i64, i64)>,
    /// With how much of the price, in tenths, they want to pay with points.
    tenths: i64,
}

fn terms() -> impl Strategy<Value = Terms> {
    let earns = (
        prop::sample::select(vec![1, 7, 100]),
        prop::sample::select(vec![0, 100, 1_000, 10_000]),
        prop::option::of(Just(15_000)),
        prop::sample::select(vec![0, 3, 14]),
        prop::sample::select(vec![0, 10, 400]),
        any::<bool>(),
    );
    let bought = (
        prop::option::of(any::<bool>()),
        [prop::sample::select(vec![0, 70]), prop::sample::select(vec![0, 130])],
        [1..5_i64, 1..4, 1..4],
    );
    let has = prop::collection::vec((1..6_000_i64, prop::sample::select(vec![0, 1, 20, 500])), 0..4);
    (earns, bought, has, 0..13_i64).prop_map(|(earns, bought, has, tenths)| {
        let (worth, basis_points, multiplier, after_days, expires_days, tiers) = earns;
        let (tax, shipping, pieces) = bought;
        Terms { worth, basis_points, multiplier, after_days, expires_days, tiers, tax, shipping, pieces, has, tenths }
    })
}

#[derive(Clone, Copy, Debug)]
enum Fate {
    Lost,
    Once,
    Twice,
    /// And once more just before the next one.
    Echoed,
}

#[derive(Clone, Debug)]
enum Do {
    Send,
    ToCustomer(Fate),
    ToOrder(Fate),
    Pay(bool),
    CancelUnpaid,
    Units(usize, i64),
    CancelAll,
    /// In tenths of what can be given back.
    Amount(usize, i64, bool),
    Shipped(usize, i64, bool, bool),
    Ship(usize, i64),
    HandOver(usize),
    /// Of each line so many are accepted; all where that is not said.
    Deliver(usize, Option<i64>),
    BringBack(usize),
    Lose(usize),
    Correct(usize, usize),
    SendBack(usize, i64, usize),
    LoseDispute(i64),
    Refund,
    Take(i64),
    Pass(i64),
    CrashOrder,
    CrashCustomer,
    Checkpoint,
}

fn fate() -> impl Strategy<Value = Fate> {
    prop::sample::select(vec![Fate::Lost, Fate::Once, Fate::Once, Fate::Twice, Fate::Echoed])
}

/// What may happen before it is paid.
fn at_first() -> impl Strategy<Value = Do> {
    prop_oneof![
        6 => Just(Do::Send),
        6 => fate().prop_map(Do::ToCustomer),
        6 => fate().prop_map(Do::ToOrder),
        2 => prop::bool::weighted(0.8).prop_map(Do::Pay),
        1 => Just(Do::CancelUnpaid),
        1 => prop::sample::select(vec![1, 3_000, PAYMENT_MS, DAY]).prop_map(Do::Pass),
        1 => (1..3_000_i64).prop_map(Do::Take),
        1 => Just(Do::CrashOrder),
        1 => Just(Do::CrashCustomer),
        1 => Just(Do::Checkpoint),
    ]
}

fn later() -> impl Strategy<Value = Do> {
    let line = || 0..LINES.len();
    let span = || prop::sample::select(vec![1, 70_000, DAY, 3 * DAY, 14 * DAY, 30 * DAY]);
    prop_oneof![
        3 => Just(Do::Send),
        3 => fate().prop_map(Do::ToCustomer),
        3 => fate().prop_map(Do::ToOrder),
        3 => (line(), 1..3_i64).prop_map(|(line, units)| Do::Units(line, units)),
        1 => Just(Do::CancelAll),
        3 => (0..2_usize, 0..11_i64, any::<bool>()).prop_map(|(of, tenths, shipping)| Do::Amount(of, tenths, shipping)),
        3 => (line(), 1..3_i64, prop::bool::weighted(0.3), any::<bool>())
            .prop_map(|(line, units, shipping, back)| Do::Shipped(line, units, shipping, back)),
        5 => (line(), 0..4_i64).prop_map(|(line, units)| Do::Ship(line, units)),
        2 => (0..6_usize).prop_map(Do::HandOver),
        6 => (0..6_usize, prop::option::weighted(0.4, 0..3_i64)).prop_map(|(which, accepted)| Do::Deliver(which, accepted)),
        1 => (0..6_usize).prop_map(Do::BringBack),
        1 => (0..6_usize).prop_map(Do::Lose),
        2 => (0..6_usize, 0..3_usize).prop_map(|(which, to)| Do::Correct(which, to)),
        3 => (line(), 1..3_i64, 0..3_usize).prop_map(|(line, units, how)| Do::SendBack(line, units, how)),
        1 => (1..11_i64).prop_map(Do::LoseDispute),
        1 => Just(Do::Refund),
        1 => (1..3_000_i64).prop_map(Do::Take),
        6 => span().prop_map(Do::Pass),
        1 => Just(Do::CrashOrder),
        1 => Just(Do::CrashCustomer),
        1 => Just(Do::Checkpoint),
    ]
}

/// One of the two, and what is on its way to it, in the order in which it was sent.
struct Way<C> {
    queue: VecDeque<C>,
    echo: Option<C>,
}

impl<C: Clone> Way<C> {
    fn new() -> Self {
        Self { queue: VecDeque::new(), echo: None }
    }

    /// What arrives now.
    fn take(&mut self, fate: Fate) -> Vec<C> {
        let Some(next) = self.queue.pop_front() else { return self.echo.take().into_iter().collect() };
        let mut all: Vec<C> = self.echo.take().into_iter().collect();
        match fate {
            Fate::Lost => {}
            Fate::Once => all.push(next),
            Fate::Twice => all.extend([next.clone(), next]),
            Fate::Echoed => {
                self.echo = Some(next.clone());
                all.push(next);
            }
        }
        all
    }
}

struct Play<'a> {
    terms: Terms,
    prices: Priced,
    tally: &'a Tally,
    now: i64,
    order: Kept<Order>,
    customer: Kept<Customer>,
    to_order: Way<OrderCommand>,
    to_customer: Way<PointCommand>,
    number: u128,
    /// What there was to pay in all.
    price: i64,
    wanted: i64,
    /// What the staff gave and took.
    given: i64,
    /// What each share has earned, when it did.
    earned: BTreeMap<VendorId, i64>,
    /// The shares of which shipping came back.
    besides: BTreeSet<VendorId>,
}

fn knows(terms: &Terms) -> Priced {
    let tier = |(name, from, multiplier_basis_points): (&str, i64, u32)| Tier {
        name: name.into(),
        from: bdt(from),
        multiplier_basis_points,
    };
    let tiers = [("bronze", 100, 11_000), ("silver", 2_000, 12_500)];
    let programme = Programme {
        version: 1,
        earn_basis_points: terms.basis_points,
        point_values: vec![bdt(terms.worth)],
        earn_after_days: terms.after_days,
        expires_days: terms.expires_days,
        time_zone: "Asia/Dhaka".into(),
        tiers: if terms.tiers { tiers.map(tier).into() } else { Vec::new() },
    };
    let row = TaxRow {
        country: "BD".into(),
        region: None,
        category: "standard".into(),
        rate_milli_percent: 15_000,
        reason: None,
        valid_from: Timestamp::default(),
    };
    let tax = terms.tax.map(|prices_include_tax| {
        TaxTables { tax_tables: vec![row], prices_include_tax, ..TaxTables::default() }.into()
    });
    let method = |which: usize| ShippingMethod {
        id: ShippingMethodId::from_uuid(Uuid::from_u128(90 + which as u128)),
        name: "Van".into(),
        zones: vec![Zone {
            countries: vec!["BD".into()],
            postcodes: Vec::new(),
            rate: Rate::Flat { price: bdt(terms.shipping[which]) },
            free_from: None,
        }],
        cod: false,
        cod_fee: None,
        days: [1, 2],
        tax_category: None,
    };
    let shipping = (0..2).filter(|which| terms.shipping[*which] > 0).map(|which| (vendor(which), vec![method(which)]));
    let tables = Tables { tax, shipping: shipping.collect(), loyalty: Some(programme), ..Tables::default() };
    Priced { tables: Some(Arc::new(tables)), ..Priced::default() }
}

/// What of it was paid with money and not given back, by the rule.
struct Base {
    net: i64,
    gross: i64,
    money: i64,
}

impl Base {
    fn minor(&self) -> i64 {
        if self.gross == 0 {
            0
        } else {
            (i128::from(self.net) * i128::from(self.money) / i128::from(self.gross)) as i64
        }
    }
}

impl<'a> Play<'a> {
    fn new(terms: Terms, tally: &'a Tally) -> Self {
        let prices = knows(&terms);
        let mut play = Self {
            prices,
            tally,
            now: BEGIN,
            order: Kept::new(order_id()),
            customer: Kept::new(id()),
            to_order: Way::new(),
            to_customer: Way::new(),
            number: 1_000,
            price: 0,
            wanted: 0,
            given: 0,
            earned: BTreeMap::new(),
            besides: BTreeSet::new(),
            terms,
        };
        for (points, lives) in play.terms.has.clone() {
            play.give(points, Some(lives));
        }
        // What it comes to is told to whoever expects something else.
        let actual = |play: &Self, wanted: i64| {
            let mut probe = Kept::new(order_id());
            play.place(&mut probe, wanted, -1);
            let mut told = Vec::new();
            for which in 0..2 {
                told = play.told(&mut probe, &play.held(which)).expect("its stock is held");
            }
            match told.last() {
                Some(OrderEvent::PriceDiffered { actual_total, .. }) => *actual_total,
                other => panic!("{other:?}"),
            }
        };
        play.price = actual(&play, 0);
        play.wanted = play.price * play.terms.tenths / 10 / play.terms.worth;
        let expected = actual(&play, play.wanted);
        let mut order = Kept::new(order_id());
        play.place(&mut order, play.wanted, expected);
        play.order = order;
        let most = play.price / play.terms.worth;
        let pays = play.wanted.min(most) * play.terms.worth;
        assert_eq!(expected, play.price - pays, "whole points, at most what there is to pay");
        play
    }

    fn place(&self, order: &mut Kept<Order>, wanted: i64, expected: i64) {
        let line = |which: usize| CartLine {
            sku: sku(which),
            vendor: vendor(LINES[which].0),
            title: "Quilt".into(),
            quantity: self.terms.pieces[which],
            unit_price: LINES[which].1,
            sale: None,
        };
        let points = (wanted > 0).then_some(PointsWanted { points: wanted, beside: false, alone: false });
        let multiplier = self.terms.multiplier;
        let placement = Placement {
            cart: cart(),
            attempt: 1,
            owner: Owner::Customer(id()),
            payment: PaymentChoice { method: "sandbox".into(), token: String::new() },
            expected_total: bdt(expected),
            lines: (0..LINES.len()).map(line).collect(),
            hold_ms: HOLD_MS,
            payment_ms: PAYMENT_MS,
            strict: true,
            mint: Some(Mint([9; 4])),
            buyer: Some(Box::new(Buyer { country: "BD".into(), points, multiplier, ..Buyer::default() })),
            coupons: Vec::new(),
            shipping: Vec::new(),
            slots: Vec::new(),
            email: None,
            shipping_address: None,
        };
        self.told(order, &OrderCommand::Place { placement: Box::new(placement), details: None }).expect("it is placed");
    }

    fn held(&self, which: usize) -> OrderCommand {
        let own = (0..LINES.len()).filter(|line| LINES[*line].0 == which);
        let lines = own.map(|line| HeldLine::at_list_price(sku(line), self.terms.pieces[line], LINES[line].1));
        OrderCommand::StockHeld { vendor: vendor(which), lines: lines.collect(), slot: None }
    }

    fn told(&self, order: &mut Kept<Order>, command: &OrderCommand) -> Result<Vec<OrderEvent>, Reject> {
        order.ask_who_knows(command, &Knowledge { prices: &self.prices, ..Knowledge::NOTHING }, at(self.now))
    }

    /// Tells the order something; what it says then is on its way.
    fn tell(&mut self, command: &OrderCommand) -> Result<Vec<OrderEvent>, Reject> {
        let knowledge = Knowledge { prices: &self.prices, ..Knowledge::NOTHING };
        let told = self.order.ask_who_knows(command, &knowledge, at(self.now));
        let messages = match &told {
            Ok(events) => self.order.entity.tells(events),
            Err(_) => Vec::new(),
        };
        let answer = self.order.entity.respond(command, told.as_ref().map(|_| ()));
        for message in messages.into_iter().chain(answer) {
            if let Message::Customer { id: to, command: CustomerCommand::Points(command) } = message {
                assert_eq!(to, id());
                self.to_customer.queue.push_back(command);
            }
        }
        for event in told.iter().flatten() {
            if let OrderEvent::PointsEarned { vendor, points, .. } = event {
                let due = self.due(*vendor).expect("all of it arrived");
                assert!(due <= self.now, "nothing earns before its time");
                assert_eq!(*points, self.formula(*vendor), "what was paid with money earns");
                assert_eq!(self.earned.insert(*vendor, *points), None, "nothing earns twice");
                self.tally.count("earned");
            }
        }
        told
    }

    /// The customer is told something; it answers.
    fn hear(&mut self, command: &PointCommand) {
        let knowledge = Knowledge { prices: &self.prices, ..Knowledge::NOTHING };
        let command = CustomerCommand::Points(command.clone());
        let told = self.customer.ask_who_knows(&command, &knowledge, at(self.now));
        if let Some(Message::Order { command, .. }) = self.customer.entity.respond(&command, told.as_ref().map(|_| ()))
        {
            self.to_order.queue.push_back(command);
        }
    }

    fn give(&mut self, points: i64, lives: Option<i64>) {
        let expires_at = lives.map(|lives| at(self.now + lives * DAY));
        self.hear(&PointCommand::GivePoints { by: SHOP, points, reason: GivenFor::Correction, expires_at });
        self.given += points;
    }

    fn view(&self) -> OrderView {
        self.order.entity.view(SHOP).expect("it is the staff's")
    }

    fn is_settled(&self) -> bool {
        self.order.entity.phase() == Some(Phase::Settled)
    }

    fn seed(&mut self) -> CreditSeed {
        self.number += 1;
        let id = CreditId::from_uuid(Uuid::from_u128(self.number));
        CreditSeed { id, mint: Mint([1; 4]), reason: CreditReason::Other }
    }

    /// Everything that it waits for is said, for the first time or again.
    fn send(&mut self) {
        for key in self.order.entity.outstanding(at(self.now)) {
            let command = match self.order.entity.effect(key) {
                Some(Effect::Tell(Message::Customer { command: CustomerCommand::Points(command), .. })) => {
                    self.to_customer.queue.push_back(command);
                    continue;
                }
                Some(Effect::Tell(Message::Vendor { id: of, command })) => {
                    let which = usize::from(of == vendor(1));
                    match command {
                        VendorCommand::Reserve { .. } => self.held(which),
                        VendorCommand::Commit { .. } => OrderCommand::StockCommitted { vendor: of },
                        VendorCommand::Release { .. } => OrderCommand::StockReleased { vendor: of },
                        VendorCommand::Restock { units } => {
                            let credits = units.credits.iter().map(|(credit, _)| *credit).collect();
                            OrderCommand::Restocked { vendor: of, credits }
                        }
                        _ => continue,
                    }
                }
                Some(Effect::Tell(Message::Cart {
                    command: haat::domain::cart::CartCommand::Reopen { .. }, ..
                })) => OrderCommand::CartReopened,
                Some(Effect::LookUp(_)) => OrderCommand::NotCaptured,
                Some(Effect::Void { .. }) => OrderCommand::Voided,
                _ => continue,
            };
            self.tell(&command).unwrap_or_else(|reject| panic!("{command:?}: {reject:?}"));
        }
    }

    fn deliver_to_customer(&mut self, fate: Fate) {
        let arrives = self.to_customer.take(fate);
        arrives.iter().for_each(|command| self.hear(command));
    }

    fn deliver_to_order(&mut self, fate: Fate) {
        for command in self.to_order.take(fate) {
            self.tell(&command).unwrap_or_else(|reject| panic!("{command:?}: {reject:?}"));
        }
    }

    /// Everything arrives, until nobody has anything to say.
    fn come_to_rest(&mut self) {
        for _ in 0..40 {
            self.send();
            let is_quiet = |play: &Self| {
                play.to_customer.queue.is_empty()
                    && play.to_order.queue.is_empty()
                    && play.to_customer.echo.is_none()
                    && play.to_order.echo.is_none()
            };
            if is_quiet(self) {
                return;
            }
            while !is_quiet(self) {
                self.deliver_to_customer(Fate::Once);
                self.deliver_to_order(Fate::Once);
            }
        }
        panic!("never at rest: {:?}", self.order.entity.outstanding(at(self.now)));
    }

    fn pay(&mut self, approves: bool) {
        if self.order.entity.phase() == Some(Phase::Paying) {
            let command = match approves {
                true => OrderCommand::Charged { amount: None },
                false => OrderCommand::Declined { reason: "no".into() },
            };
            self.tell(&command).expect("a provider answers");
        }
    }

    /// Time passes, and whatever is to happen meanwhile happens when it is to.
    fn pass(&mut self, millis: i64) {
        let to = self.now + millis;
        for turn in 0.. {
            assert!(turn < 500, "it wakes for nothing");
            let due = |timer: Option<Timestamp>| timer.map(Timestamp::as_millis).filter(|due| *due <= to);
            let of_order = due(self.order.entity.timer().map(|(at, _)| at)).filter(|_| self.is_waiting());
            let of_customer = due(self.customer.entity.timer().map(|(at, _)| at));
            match (of_order, of_customer) {
                (None, None) => break,
                (Some(due), other) if other.is_none_or(|other| due <= other) => {
                    self.now = self.now.max(due);
                    self.tell(&OrderCommand::Tick).expect("time passes");
                    self.send();
                }
                (_, Some(due)) => {
                    self.now = self.now.max(due);
                    self.hear(&PointCommand::Tick);
                    for key in self.customer.entity.ask_due(at(self.now)) {
                        if let Some(Effect::Tell(Message::Order { command, .. })) = self.customer.entity.effect(key) {
                            self.to_order.queue.push_back(command);
                        }
                    }
                    // It would ask for ever: somebody answers sometimes.
                    if turn % 4 == 3 {
                        self.come_to_rest();
                    }
                }
                (Some(_), None) => {}
            }
        }
        self.now = to;
        if self.is_settled() {
            for which in 0..2 {
                let of = vendor(which);
                let is_due = self.due(of).is_some_and(|due| due <= self.now);
                let is_to = self.terms.basis_points > 0 && is_due && self.formula(of) > 0;
                assert!(!is_to || self.earned.contains_key(&of), "what is due is earned");
            }
        }
    }

    /// Whether time alone brings the order on.
    fn is_waiting(&self) -> bool {
        matches!(self.order.entity.phase(), Some(Phase::Gathering | Phase::Paying | Phase::Settled))
    }

    /// When a share earns, by what is seen of its parcels.
    fn due(&self, of: VendorId) -> Option<i64> {
        let view = self.view();
        let own = || view.lines.iter().filter(|line| line.vendor == of);
        let (mut there, mut credited) = (0, true);
        for line in own() {
            let goods = line.moved();
            let cancelled = line.credited - goods.credited;
            if cancelled + goods.delivered + goods.refused + goods.lost < line.quantity {
                return None;
            }
            there += goods.delivered;
            credited &= line.credited == line.quantity;
        }
        if there == 0 || credited {
            return None;
        }
        let parcels = self.order.entity.parcels().iter().filter(|parcel| parcel.vendor == of);
        let last = parcels.filter_map(|parcel| parcel.delivered_at).max()?;
        Some(last.as_millis() + days(self.terms.after_days))
    }

    fn base(&self, of: VendorId) -> Base {
        let view = self.view();
        let mut base = Base { net: 0, gross: 0, money: 0 };
        for line in view.lines.iter().filter(|line| line.vendor == of) {
            let (tax, points) = line.billed.as_deref().map_or((0, 0), |billed| (billed.tax_amount(), billed.points));
            let payable = payable(line);
            let given = line.quantity * line.unit_price;
            base.net += given - if self.terms.tax == Some(true) { tax } else { 0 };
            base.gross += payable + points;
            base.money += payable - line.credited_amount;
        }
        base
    }

    fn formula(&self, of: VendorId) -> i64 {
        let rate = i128::from(self.terms.basis_points) * i128::from(self.terms.multiplier.unwrap_or(10_000));
        (i128::from(self.base(of).minor()) * rate / (100_000_000 * i128::from(self.terms.worth))) as i64
    }

    /// Shipping and fees come back with the last unit, where nothing of the share was handed over, or all of it was refused at the door.
    fn besides_of_units(&mut self, of: VendorId, events: &[OrderEvent], at_the_door: bool) {
        let is_credited =
            |event: &OrderEvent| matches!(event, OrderEvent::Credited { credit, .. } if credit.vendor == of);
        if !events.iter().any(is_credited) {
            return;
        }
        let view = self.view();
        let mut own = view.lines.iter().filter(|line| line.vendor == of);
        let is_gone = |line: &OrderLine| {
            let goods = line.moved();
            let away = if at_the_door { goods.delivered + goods.lost } else { goods.shipped };
            line.credited == line.quantity && away == 0
        };
        if own.all(is_gone) {
            self.besides.insert(of);
        }
    }

    fn parcel(&self, which: usize) -> Option<(ShipmentId, VendorId)> {
        let parcels = self.order.entity.parcels();
        let parcel = parcels.get(which % parcels.len().max(1))?;
        Some((parcel.id, parcel.vendor))
    }

    fn move_parcel(&mut self, which: usize, what: &str, step: ParcelStep) {
        let Some((shipment, of)) = self.parcel(which) else { return };
        let seed = self.seed();
        let told = self.tell(&OrderCommand::MoveParcel { by: SHOP, shipment, step: Box::new(step), seed });
        self.tally.count_told(what, &told);
        self.besides_of_units(of, &told.unwrap_or_default(), true);
    }

    fn credit(&mut self, of: VendorId, what: &str, wanted: Wanted) -> Result<Vec<OrderEvent>, Reject> {
        let preview = self.preview(of, &wanted);
        let before = self.view().points.restored;
        let seed = self.seed();
        let told = self.tell(&OrderCommand::Credit { by: SHOP, vendor: of, wanted: wanted.clone(), seed });
        self.tally.count_told(what, &told);
        if let Ok(events) = &told {
            let is_credited = events.iter().any(|event| matches!(event, OrderEvent::Credited { .. }));
            assert!(!is_credited || preview == Some(self.view().points.restored - before), "it was said before");
            match wanted {
                Wanted::Units(_) => self.besides_of_units(of, events, false),
                Wanted::Amount { shipping, .. } | Wanted::Shipped { shipping, .. } if shipping => {
                    self.besides.insert(of);
                }
                _ => {}
            }
        }
        told
    }

    fn preview(&self, of: VendorId, wanted: &Wanted) -> Option<i64> {
        let command = OrderCommand::PreviewCredit { by: SHOP, vendor: of, wanted: wanted.clone() };
        match self.order.entity.reply(&command, false)? {
            Ok(haat::domain::order::OrderReply::Preview { preview }) => Some(preview.points),
            _ => None,
        }
    }

    fn act(&mut self, what: &Do) {
        match what {
            Do::Send => self.send(),
            Do::ToCustomer(fate) => self.deliver_to_customer(*fate),
            Do::ToOrder(fate) => self.deliver_to_order(*fate),
            Do::Pay(approves) => self.pay(*approves),
            Do::CancelUnpaid => {
                let told = self.tell(&OrderCommand::Cancel { by: SHOP });
                self.tally.count_told("cancel", &told);
            }
            Do::Take(points) => self.give(-points, None),
            Do::Pass(millis) => self.pass(*millis),
            Do::CrashOrder => self.order.crash(),
            Do::CrashCustomer => self.customer.crash(),
            Do::Checkpoint => {
                self.order.checkpoint();
                self.customer.checkpoint();
            }
            _ if !self.is_settled() => {}
            Do::Units(line, units) => {
                let lines = vec![WantedLine { sku: sku(*line), quantity: *units }];
                let _ = self.credit(vendor(LINES[*line].0), "units", Wanted::Units(lines));
            }
            Do::CancelAll => {
                let seed = self.seed();
                let told = self.tell(&OrderCommand::CancelAll { by: SHOP, seed });
                self.tally.count_told("cancel all", &told);
                let events = told.unwrap_or_default();
                (0..2).for_each(|which| self.besides_of_units(vendor(which), &events, false));
            }
            Do::Amount(which, tenths, shipping) => {
                let of = vendor(*which);
                let view = self.view();
                let share = view.sub_orders.iter().find(|share| share.vendor == of).expect("a share");
                let minor = (share.amounts.paid - share.amounts.credited) * tenths / 10;
                let _ = self.credit(of, "amount", Wanted::Amount { minor, shipping: *shipping });
            }
            Do::Shipped(line, units, shipping, restock) => {
                let lines = vec![WantedLine { sku: sku(*line), quantity: *units }];
                let (shipping, restock) = (*shipping, *restock);
                let wanted = Wanted::Shipped { lines, shipping, restock };
                let _ = self.credit(vendor(LINES[*line].0), "shipped", wanted);
            }
            Do::Ship(line, units) => {
                self.number += 1;
                let lines = match units {
                    0 => Vec::new(),
                    units => vec![WantedLine { sku: sku(*line), quantity: *units }],
                };
                let (id, vendor) = (ShipmentId::from_uuid(Uuid::from_u128(self.number)), vendor(LINES[*line].0));
                let (courier, tracking_number) = ("own".into(), None);
                let parcel = NewParcel { id, vendor, lines, courier, tracking_number, booking: None };
                let _ = self.tell(&OrderCommand::Ship { by: SHOP, parcel: Box::new(parcel) });
            }
            Do::HandOver(which) => self.move_parcel(*which, "hand over", ParcelStep::HandOver),
            Do::Deliver(which, accepted) => {
                let parcels = self.order.entity.parcels();
                let Some(parcel) = parcels.get(which % parcels.len().max(1)) else { return };
                let some = |units: i64| {
                    let of = |line: &WantedLine| WantedLine { sku: line.sku, quantity: line.quantity.min(units) };
                    parcel.lines.iter().map(of).filter(|line| line.quantity > 0).collect()
                };
                let step = ParcelStep::Deliver { accepted: accepted.map(some), collected: None };
                self.move_parcel(*which, "deliver", step);
            }
            Do::BringBack(which) => self.move_parcel(*which, "bring back", ParcelStep::Returned),
            Do::Lose(which) => self.move_parcel(*which, "lose", ParcelStep::Lost),
            Do::Correct(which, to) => {
                let to = [ParcelEnd::Delivered, ParcelEnd::Returned, ParcelEnd::Lost][*to];
                self.move_parcel(*which, "correct", ParcelStep::Correct { to });
            }
            Do::SendBack(line, units, how) => {
                self.number += 1;
                let (id, of) = (ReturnId::from_uuid(Uuid::from_u128(self.number)), vendor(LINES[*line].0));
                let (lines, reason) = (vec![WantedLine { sku: sku(*line), quantity: *units }], CreditReason::Damaged);
                let wanted = Box::new(NewReturn { id, vendor: of, lines, reason });
                let told = self.tell(&OrderCommand::AskReturn { by: SHOP, wanted });
                self.tally.count_told("send back", &told);
                if told.is_ok() {
                    let condition = [Condition::Resellable, Condition::Damaged, Condition::Missing][*how];
                    let lines = vec![ReceivedLine { sku: sku(*line), quantity: *units, condition }];
                    for step in [ReturnStep::Approve, ReturnStep::Receive { lines }, ReturnStep::Close] {
                        let seed = self.seed();
                        let _ = self.tell(&OrderCommand::MoveReturn { by: SHOP, id, step: Box::new(step), seed });
                    }
                }
            }
            Do::LoseDispute(tenths) => {
                self.number += 1;
                let amount = bdt((self.view().amounts.paid * tenths / 10).max(1));
                let told = DisputeTold {
                    id: format!("dp_{}", self.number),
                    status: DisputeStatus::Lost,
                    amount,
                    reason: "general".into(),
                };
                self.tell(&OrderCommand::DisputeTold { told, mint: Mint([9; 4]) }).expect("it is a fact");
                self.tally.count("lost a dispute");
            }
            Do::Refund => {
                self.tell(&OrderCommand::OpenRefunds).expect("it may always be asked");
                for refund in self.order.entity.refunds().to_vec() {
                    let told = RefundTold::Succeeded { amount: bdt(refund.amount), reference: None };
                    let command = OrderCommand::RefundTold { refund: refund.id, attempt: refund.attempt, told };
                    self.tell(&command).expect("what a provider says is never refused");
                }
            }
        }
    }

    /// What holds after every step.
    fn judge(&self) {
        let customer = self.customer.entity.points();
        assert!(customer.debt() == 0 || customer.active() == 0, "nobody who owes has any");
        if !self.is_settled() {
            let is_paid = self.order.entity.phase() == Some(Phase::Confirming);
            assert!(is_paid || self.view().points.pending == 0, "nothing is to come before it is paid");
            return;
        }
        let view = self.view();
        let (worth, points) = (self.terms.worth, view.points);
        let (mut value, mut back) = (0, 0);
        for line in &view.lines {
            let Some(billed) = line.billed.as_deref() else { continue };
            let on_top = if self.terms.tax == Some(false) { billed.tax_amount() } else { 0 };
            assert_eq!(
                billed.payable + billed.points,
                line.quantity * line.unit_price + on_top,
                "no more than its price"
            );
            assert!(billed.payable >= 0 && billed.points >= 0);
            value += billed.points;
            back += billed.points * line.credited / line.quantity;
        }
        for share in &view.sub_orders {
            let of_share = share.billed.as_deref().map_or(0, |billed| billed.shipping_points + billed.fees_points);
            value += of_share;
            if self.besides.contains(&share.vendor) {
                back += of_share;
            }
        }
        let spent = self.wanted.min(self.price / worth);
        assert_eq!((points.spent, points.value, value), (spent, spent * worth, spent * worth));
        assert_eq!(points.restored, back / worth, "so much of it came back");
        assert!(points.restored <= spent, "no more than it was paid with");
        let left: i64 = self.earned.keys().map(|of| self.formula(*of)).sum();
        assert_eq!(points.earned, left, "what was paid with money and not given back has earned");
        let all: i64 = view.lines.iter().map(|line| line.quantity - line.credited).sum();
        let to_come = (0..2).map(vendor).filter(|of| !self.earned.contains_key(of));
        let pending: i64 = if all == 0 { 0 } else { to_come.map(|of| self.formula(of)).sum() };
        assert_eq!(points.pending, pending, "what is to come");
        if all == 0 {
            let is_paid = spent > 0 || view.amounts.paid > 0;
            assert_eq!(view.status == OrderStatus::Refunded, is_paid, "{:?}", view.status);
        }
    }

    /// All of it is given back.
    fn give_all_back(&mut self) {
        for which in 0..2 {
            let of = vendor(which);
            let _ = self.credit(of, "units", Wanted::Units(Vec::new()));
            let view = self.view();
            let left = view.lines.iter().filter(|line| line.vendor == of && line.credited < line.quantity);
            let of_line = |line: &OrderLine| WantedLine { sku: line.sku, quantity: line.quantity - line.credited };
            let lines: Vec<WantedLine> = left.map(of_line).collect();
            if !lines.is_empty() {
                let wanted = Wanted::Shipped { lines, shipping: true, restock: false };
                self.credit(of, "shipped", wanted).expect("all that was handed over may be given back");
            }
            self.judge();
            match self.credit(of, "amount", Wanted::Amount { minor: 0, shipping: true }) {
                Ok(_) | Err(Reject::RefundNotPositive) => {}
                Err(other) => panic!("{other:?}"),
            }
        }
        self.judge();
        let view = self.view();
        assert_eq!(view.points.restored, view.points.spent, "all of it is back");
        self.tally.count("all is back");
    }

    /// All messages have arrived: both agree.
    fn agree(&mut self) {
        self.come_to_rest();
        self.pass(120_000);
        self.come_to_rest();
        self.pass(2_000);
        let view = self.view();
        let points = self.customer.entity.points();
        let totals = points.totals();
        let earned: i64 = self.earned.values().sum();
        let settled = self.is_settled();
        assert_eq!(points.held(), 0, "nothing is held any more");
        assert_eq!(totals.spent, if settled { view.points.spent } else { 0 });
        assert_eq!(totals.restored, if settled { view.points.restored } else { 0 });
        assert_eq!((totals.earned, totals.given), (earned, self.given));
        assert_eq!(totals.taken_back, earned - if settled { view.points.earned } else { 0 });
        let written = serde_json::to_value(&self.customer.entity).expect("it can be written");
        assert!(written["points"]["committed"].is_null() && written["points"]["posted"].is_null(), "{written}");
        if self.terms.tiers && settled && self.now - BEGIN < 300 * DAY {
            let bought: i64 = self.earned.keys().map(|of| self.base(*of).minor()).sum();
            let days = written["points"]["bought"].as_array().map_or(&[][..], |days| days);
            let counted: i64 = days.iter().map(|day| day[1].as_i64().expect("an amount")).sum();
            assert_eq!(counted, bought, "for so much was bought");
        }
        self.tally.count(if settled { "settled" } else { "ended unpaid" });
        if settled && view.points.spent > 0 {
            self.tally.count(if view.amounts.total == 0 { "paid with points alone" } else { "paid with points, too" });
        }
        if view.points.spent == 0 {
            self.tally.count("without points");
        }
    }
}

fn payable(line: &OrderLine) -> i64 {
    line.billed.as_deref().map_or(line.quantity * line.unit_price, |billed| billed.payable)
}

/// What must have come of it, or the runs show nothing.
const DRAWN: [&str; 17] = [
    "earned",
    "settled",
    "ended unpaid",
    "paid with points alone",
    "paid with points, too",
    "without points",
    "all is back",
    "units: done",
    "cancel all: done",
    "amount: done",
    "shipped: done",
    "deliver: done",
    "bring back: done",
    "correct: done",
    "send back: done",
    "lost a dispute",
    "cancel: done",
];

#[test]
fn an_order_and_its_customer_agree_on_points() {
    let tally = Tally::default();
    let run = |(terms, first, then, all_back): (Terms, Vec<Do>, Vec<Do>, bool)| {
        let mut play = Play::new(terms, &tally);
        for what in &first {
            play.act(what);
            play.judge();
        }
        play.come_to_rest();
        play.pay(true);
        play.come_to_rest();
        for what in &then {
            play.act(what);
            play.judge();
        }
        if all_back && play.is_settled() {
            play.give_all_back();
        }
        play.agree();
        play.judge();
        Ok(())
    };
    let steps =
        (terms(), prop::collection::vec(at_first(), 0..16), prop::collection::vec(later(), 1..50), any::<bool>());
    TestRunner::new(config(512)).run(&steps, run).unwrap_or_else(|why| panic!("{why}"));
    tally.check(&DRAWN);
}
