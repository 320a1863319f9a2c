//! Orders that live for months: whatever happens to one, the head of its snapshot stays small, what is full is written once, and the
//! parts make the order that its records make.

use crate::world::shop::{cart, resolution, sku, vendor};
use haat::domain::entity::concerns::*;
use haat::domain::entity::{Owner, Part, Principal};
use haat::domain::ids::OrderId;
use haat::domain::knowledge::Knowledge;
use haat::domain::money::{Currency, Money};
use haat::domain::order::{
    Order, OrderCommand, OrderEvent, OrderReply, PaymentChoice, Phase, Placement, Resolution, ResolveAs, TimelineEntry,
};
use haat::domain::time::Timestamp;
use haat::domain::{cart::CartLine, reject::Reject, vendor::HeldLine};
use haat::limits;
use std::collections::BTreeMap;

/// An order, what a store has of it, and all that ever happened to it.
struct Life {
    order: Order,
    stored: BTreeMap<String, Vec<u8>>,
    /// How often each part was written.
    written: BTreeMap<String, u32>,
    happened: Vec<(OrderEvent, Timestamp)>,
    now: Timestamp,
}

fn id() -> OrderId {
    OrderId::for_attempt(cart(0), 1)
}

fn as_parts(stored: &BTreeMap<String, Vec<u8>>) -> Vec<Part> {
    stored.iter().map(|(name, state)| Part { name: name.clone(), state: Some(state.clone()) }).collect()
}

impl Life {
    fn new() -> Self {
        let (stored, written) = (BTreeMap::new(), BTreeMap::new());
        let now = Timestamp::from_millis(1_700_000_000_000);
        Self { order: Order::new(id()), stored, written, happened: Vec::new(), now }
    }

    /// Placed with a line of each of so many vendors.
    fn placed(vendors: usize, title: &str) -> Self {
        let mut life = Self::new();
        let line = |number: usize| CartLine {
            sku: sku(number, 0),
            vendor: vendor(number),
            title: title.to_owned(),
            quantity: 2,
            unit_price: 125_000,
            sale: None,
        };
        let placement = Placement {
            cart: cart(0),
            attempt: 1,
            owner: Owner::Guest,
            payment: PaymentChoice { method: "sandbox".into(), token: String::new() },
            expected_total: Money::new(250_000 * vendors as i64, Currency::BDT),
            lines: (0..vendors).map(line).collect(),
            hold_ms: limits::HOLD_MS,
            payment_ms: limits::PAYMENT_MS,
            strict: true,
            mint: None,
            buyer: None,
            coupons: Vec::new(),
            shipping: Vec::new(),
            slots: Vec::new(),
            email: None,
            shipping_address: None,
        };
        life.tell(OrderCommand::Place { placement: Box::new(placement), details: None });
        life
    }

    fn tell(&mut self, command: OrderCommand) {
        self.order.heard(&command, self.now);
        let events = self.order.decide(&command, &Knowledge::NOTHING, self.now).expect("it is not refused");
        assert!(!events.is_empty(), "{command:?} in {:?}", self.order.phase());
        events.into_iter().for_each(|event| self.happen(event));
        self.order.check().unwrap();
    }

    fn happen(&mut self, event: OrderEvent) {
        self.order.apply(&event, self.now);
        self.happened.push((event, self.now));
        self.now = self.now.plus_millis(60_000);
    }

    /// A checkpoint, which the store takes; and another state is made of what it has.
    fn checkpoint(&mut self) {
        let delta = self.order.delta();
        assert_eq!(delta.parts[0].name, "", "the head is always there, and first");
        for part in delta.parts {
            let state = part.state.expect("nothing of an order goes");
            *self.written.entry(part.name.clone()).or_default() += 1;
            if part.name.is_empty() {
                assert!(state.len() <= limits::ORDER_HEAD_BYTES, "a head of {} bytes", state.len());
            }
            self.stored.insert(part.name, state);
        }
        assert!(self.restored() == self.order, "of {} parts", self.stored.len());
    }

    fn restored(&self) -> Order {
        Order::restore(id(), &as_parts(&self.stored)).unwrap()
    }

    /// What one checkpoint writes of a state that all that happened makes at once.
    fn replayed(&self) -> BTreeMap<String, Vec<u8>> {
        let mut order = Order::new(id());
        self.happened.iter().for_each(|(event, at)| order.apply(event, *at));
        assert!(order == self.order, "after {} events", self.happened.len());
        order.delta().parts.into_iter().map(|part| (part.name, part.state.unwrap())).collect()
    }

    fn timeline(order: &Order) -> Vec<TimelineEntry> {
        match order.reply(&OrderCommand::GetTimeline { by: Principal::SHOP }, false) {
            Some(Ok(OrderReply::Timeline { entries, .. })) => entries,
            other => panic!("{other:?}"),
        }
    }

    fn blocks(&self) -> usize {
        self.stored.keys().filter(|name| name.starts_with("timeline/")).count()
    }
}

/// The longest words that someone may say, none of which takes fewer bytes.
fn long_resolution(verb: ResolveAs, number: usize) -> Resolution {
    let note = format!("{number:>04}").chars().chain("𝄞".repeat(limits::NOTE - 4).chars()).collect();
    Resolution { note, ..resolution(verb, None) }
}

/// The longest life that there is today: as many vendors as a cart has lines, and a void that is refused as often as someone may
/// resolve it. A checkpoint comes after each record, and now and then the order leaves memory in between.
#[test]
fn through_the_longest_life_the_head_stays_small_and_a_full_block_is_written_once() {
    let vendors = limits::CART_LINES;
    let mut life = Life::placed(vendors, &"\"".repeat(limits::SHORT_TEXT));
    life.checkpoint();
    for number in 0..vendors {
        let line = HeldLine::at_list_price(sku(number, 0), 2, 125_000);
        life.tell(OrderCommand::StockHeld { vendor: vendor(number), lines: vec![line], slot: None });
        life.checkpoint();
    }
    assert_eq!(life.order.phase(), Some(Phase::Paying));
    life.tell(OrderCommand::Cancel { by: Principal::SHOP });
    for number in 1..=limits::RESOLUTIONS {
        life.tell(OrderCommand::VoidRefused { reason: "no".into(), taken: None });
        life.checkpoint();
        if number % 5 == 0 {
            life.order = life.restored();
        }
        let verb = if number == limits::RESOLUTIONS { ResolveAs::Voided } else { ResolveAs::Retry };
        let resolution = Box::new(long_resolution(verb, number));
        life.tell(OrderCommand::Resolve { by: Principal::SHOP, resolution });
        life.checkpoint();
    }
    let stands = life.written["lines"];
    for number in 0..vendors {
        life.tell(OrderCommand::StockReleased { vendor: vendor(number) });
    }
    life.checkpoint();
    life.tell(OrderCommand::CartReopened);
    life.checkpoint();
    assert!(life.order.has_ended());
    assert_eq!(life.written["lines"], stands + 2, "the legs changed, and then the figures");
    assert!(stands < 2 * vendors as u32, "what resolutions leave as it is was not written with them: {stands}");
    // A word of each vendor to begin with and at the end, what was refused and resolved, and what is said once.
    assert_eq!(Life::timeline(&life.order).len(), 2 * vendors + 2 * limits::RESOLUTIONS + 6);
    assert!(life.blocks() >= 2 * vendors / limits::TIMELINE_BLOCK + limits::RESOLUTIONS);
    let once = |(name, times): (&String, &u32)| !name.starts_with("timeline/") || *times == 1;
    assert!(life.written.iter().all(once), "{:?}", life.written);
    assert!(life.replayed() == life.stored, "records and checkpoints make the same parts");
    let all: usize = life.stored.values().map(Vec::len).sum();
    assert!(all > 10 * limits::ORDER_HEAD_BYTES, "there was much to keep out of it: {all}");
}

/// What is yet to come, such as parcels and refunds, may happen any number of times.
#[test]
fn a_life_without_end_leaves_the_head_as_it_is() {
    let mut life = Life::placed(1, "Jamdani");
    life.checkpoint();
    for number in 0..1_500 {
        life.happen(OrderEvent::Quarantined { vendor: vendor(0), reason: Reject::CommandPoisoned });
        life.happen(OrderEvent::Resolved { resolution: Box::new(resolution(ResolveAs::Retry, None)) });
        if number % 7 == 0 {
            life.checkpoint();
        }
        if number % 700 == 0 {
            life.order = life.restored();
        }
    }
    life.checkpoint();
    assert!(life.blocks() > 3_000 / limits::TIMELINE_BLOCK);
    assert!(!life.written.contains_key("lines"), "it has few");
    assert!(life.written.iter().all(|(name, times)| name.is_empty() || *times == 1));
    assert!(life.replayed() == life.stored);
    assert!(Life::timeline(&life.restored()) == Life::timeline(&life.order));
}

/// Most orders have few lines and a short life: theirs is one row, as it always was.
#[test]
fn an_ordinary_order_is_one_part() {
    let mut life = Life::placed(3, &"শাড়ি ".repeat(6));
    for number in 0..3 {
        life.tell(OrderCommand::StockHeld { vendor: vendor(number), lines: Vec::new(), slot: None });
    }
    life.tell(OrderCommand::Charged { amount: None });
    life.happen(OrderEvent::Settled);
    life.checkpoint();
    assert_eq!(life.stored.len(), 1, "{:?}", life.stored.keys());
    let head: serde_json::Value = serde_json::from_slice(&life.stored[""]).unwrap();
    assert_eq!(head.as_object().unwrap().keys().collect::<Vec<_>>(), ["body", "id"]);
}

/// Early versions kept all in the head: it is read, and stands apart from the next checkpoint on.
#[test]
fn a_head_that_holds_all_is_read_and_taken_apart_with_the_next_checkpoint() {
    let mut life = Life::placed(40, "Jamdani");
    for number in 0..40 {
        life.tell(OrderCommand::StockHeld { vendor: vendor(number), lines: Vec::new(), slot: None });
    }
    let early = serde_json::to_vec(&life.order).unwrap();
    assert!(early.len() > limits::ORDER_HEAD_BYTES);
    life.order = Order::restore(id(), &[Part { name: String::new(), state: Some(early) }]).unwrap();
    life.checkpoint();
    assert_eq!((life.blocks(), life.stored.len()), (1, 3));
    assert!(life.replayed() == life.stored);
}

/// A part that is gone is missed: the order is quarantined, and not taken for one that never had it.
#[test]
fn an_order_without_one_of_its_parts_cannot_be_read() {
    let mut life = Life::placed(40, "Jamdani");
    for number in 0..40 {
        life.tell(OrderCommand::StockHeld { vendor: vendor(number), lines: Vec::new(), slot: None });
    }
    life.checkpoint();
    for gone in ["timeline/0", "lines"] {
        let mut stored = life.stored.clone();
        assert!(stored.remove(gone).is_some(), "{gone}");
        let error = Order::restore(id(), &as_parts(&stored)).unwrap_err();
        assert_eq!(error.part, gone);
    }
    life.restored().check().unwrap();
}

/// What a store holds is read by every later release. `HAAT_GOLDEN=append` writes the file where there is none; what is there is never
/// changed.
#[test]
fn parts_that_were_written_once_are_read_and_written_as_they_were() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/parts/order.json");
    let mut life = Life::placed(12, "Jamdani \"red\" শাড়ি");
    for number in 0..12 {
        life.tell(OrderCommand::StockHeld { vendor: vendor(number), lines: Vec::new(), slot: None });
    }
    life.tell(OrderCommand::Cancel { by: Principal::SHOP });
    life.tell(OrderCommand::VoidRefused { reason: "no".into(), taken: None });
    let resolved = resolution(ResolveAs::Refunded, Some(Money::new(3_000_000, Currency::BDT)));
    life.tell(OrderCommand::Resolve { by: Principal::SHOP, resolution: Box::new(resolved) });
    for number in 0..12 {
        life.tell(OrderCommand::StockReleased { vendor: vendor(number) });
    }
    life.tell(OrderCommand::CartReopened);
    life.checkpoint();
    let lines: String =
        life.stored.iter().map(|(name, state)| format!("{name} {}\n", String::from_utf8_lossy(state))).collect();
    if !std::fs::exists(path).unwrap() && std::env::var("HAAT_GOLDEN").is_ok_and(|mode| mode == "append") {
        std::fs::write(path, &lines).unwrap();
    }
    let kept = std::fs::read_to_string(path).unwrap();
    let part = |line: &str| {
        let (name, state) = line.split_once(' ').unwrap();
        Part { name: name.to_owned(), state: Some(state.as_bytes().to_vec()) }
    };
    let order = Order::restore(id(), &kept.lines().map(part).collect::<Vec<_>>()).unwrap();
    assert_eq!(order, life.order);
    assert_eq!(kept, lines);
}
