//! An order that is paid at the door, against a plain purse: what a buyer has handed over at doors, what of it was given back, and which pieces the buyer
//! has. Whatever is done in whatever order, nobody gets back more than was handed over, whoever keeps everything has paid for it to the coin, and
//! whoever keeps nothing has all of it again.

use crate::random::config;
use haat::domain::buyer::{Buyer, Mint};
use haat::domain::cart::CartLine;
use haat::domain::entity::concerns::*;
use haat::domain::entity::{Owner, Principal};
use haat::domain::ids::{CartId, CreditId, OrderId, ShipmentId, SkuId, VendorId};
use haat::domain::knowledge::Knowledge;
use haat::domain::money::{Currency, Money};
use haat::domain::order::{
    CreditReason, CreditSeed, NewParcel, Order, OrderCommand, OrderEvent, OrderStatus, ParcelStep, PaymentChoice,
    PaymentStatus, Placement, RefundStatus, Remittance, Resolution, ResolveAs, ShipmentStatus, Wanted,
};
use haat::domain::time::Timestamp;
use haat::domain::vendor::{HeldLine, WantedLine};
use proptest::collection::vec;
use proptest::prelude::*;
use uuid::Uuid;

const NOW: Timestamp = Timestamp::from_millis(1_000);
const SHOP: Principal = Principal::SHOP;
const PIECES: i64 = 3;
/// A taka: nobody has smaller coins.
const COIN: i64 = 100;

#[derive(Clone, Debug)]
enum Op {
    Ship,
    HandOver,
    /// So many were taken, and so much was handed over for them, beside what was due.
    Deliver(i64, i64),
    Lose,
    ComesBack,
    Cancel(i64),
    GiveBack(i64),
    Shipped(i64),
    PayBack,
    Remit(i64),
    Resolve(bool),
}

fn op() -> impl Strategy<Value = Op> {
    let beside = prop_oneof![
        3 => Just(0i64),
        2 => -99..100i64,
        1 => Just(100i64),
        1 => Just(-100i64),
        1 => -9_000..9_000i64,
    ];
    prop_oneof![
        4 => Just(Op::Ship),
        4 => Just(Op::HandOver),
        5 => (0..=PIECES, beside).prop_map(|(taken, beside)| Op::Deliver(taken, beside)),
        1 => Just(Op::Lose),
        1 => Just(Op::ComesBack),
        2 => (1..=PIECES).prop_map(Op::Cancel),
        2 => (1..7_000i64).prop_map(Op::GiveBack),
        2 => (1..=PIECES).prop_map(Op::Shipped),
        2 => Just(Op::PayBack),
        1 => (-200..200i64).prop_map(Op::Remit),
        1 => any::<bool>().prop_map(Op::Resolve),
    ]
}

fn vendor() -> VendorId {
    VendorId::from_uuid(Uuid::from_u128(3))
}

fn sku() -> SkuId {
    SkuId::from_uuid(Uuid::from_u128(4))
}

/// One share of three pieces.
struct Door {
    order: Order,
    price: i64,
    asked: u128,
    /// What the buyer has handed over, and what of it has come back.
    handed_over: i64,
    come_back: i64,
    /// What somebody said to have come in otherwise, or to be lost.
    resolved: bool,
}

impl Door {
    fn new(price: i64) -> Self {
        let cart = CartId::from_uuid(Uuid::from_u128(1));
        let line = CartLine {
            sku: sku(),
            vendor: vendor(),
            title: "Lungi".into(),
            quantity: PIECES,
            unit_price: price,
            sale: None,
        };
        let placement = Placement {
            cart,
            attempt: 1,
            owner: Owner::Guest,
            payment: PaymentChoice { method: "cash_on_delivery".into(), token: String::new() },
            expected_total: Money::new(PIECES * price, Currency::BDT),
            lines: vec![line],
            hold_ms: 10_000,
            payment_ms: 9_000,
            strict: true,
            mint: Some(Mint([9; 4])),
            buyer: Some(Box::new(Buyer::default())),
            coupons: Vec::new(),
            shipping: Vec::new(),
            slots: Vec::new(),
            email: None,
            shipping_address: None,
        };
        let order = Order::new(OrderId::for_attempt(cart, 1));
        let mut door = Self { order, price, asked: 100, handed_over: 0, come_back: 0, resolved: false };
        let lines = vec![HeldLine::at_list_price(sku(), PIECES, price)];
        for command in [
            OrderCommand::Place { placement: Box::new(placement), details: None },
            OrderCommand::StockHeld { vendor: vendor(), lines, slot: None },
            OrderCommand::StockCommitted { vendor: vendor() },
        ] {
            assert!(door.tell(&command), "{command:?}");
        }
        assert_eq!(door.order.status(), Some(OrderStatus::Confirmed));
        door
    }

    /// Whether it was taken; twice is once.
    fn tell(&mut self, command: &OrderCommand) -> bool {
        self.order.heard(command, NOW);
        let Ok(events) = self.order.decide(command, &Knowledge::NOTHING, NOW) else { return false };
        for event in &events {
            self.order.apply(event, NOW);
            self.order.check().unwrap_or_else(|breach| panic!("{event:?}: {breach:?}"));
            if let OrderEvent::CashCollected { collection, .. } = event {
                self.handed_over += collection.amount;
            }
        }
        let again = self.order.decide(command, &Knowledge::NOTHING, NOW);
        assert!(again.as_ref().map_or(true, Vec::is_empty), "{command:?} again: {again:?}");
        true
    }

    fn seed(&mut self) -> CreditSeed {
        self.asked += 1;
        let id = CreditId::from_uuid(Uuid::from_u128(self.asked));
        CreditSeed { id, mint: Mint([1; 4]), reason: CreditReason::Goodwill }
    }

    fn newest(&self) -> Option<(ShipmentId, i64, ShipmentStatus)> {
        self.order.parcels().last().map(|parcel| (parcel.id, parcel.units(sku()), parcel.status))
    }

    fn due(&self) -> i64 {
        self.order.view(SHOP).expect("the staff's").amounts.total_due
    }

    fn step(&mut self, step: ParcelStep) {
        let (seed, Some((shipment, ..))) = (self.seed(), self.newest()) else { return };
        self.tell(&OrderCommand::MoveParcel { by: SHOP, shipment, step: Box::new(step), seed });
    }

    fn credit(&mut self, wanted: Wanted) {
        let seed = self.seed();
        self.tell(&OrderCommand::Credit { by: SHOP, vendor: vendor(), wanted, seed });
    }

    fn act(&mut self, op: &Op) {
        let units = |quantity| vec![WantedLine { sku: sku(), quantity }];
        match *op {
            Op::Ship => {
                self.asked += 1;
                let id = ShipmentId::from_uuid(Uuid::from_u128(self.asked));
                let (courier, tracking_number, booking) = ("own".into(), None, None);
                let parcel = NewParcel { id, vendor: vendor(), lines: Vec::new(), courier, tracking_number, booking };
                self.tell(&OrderCommand::Ship { by: SHOP, parcel: Box::new(parcel) });
            }
            Op::HandOver => self.step(ParcelStep::HandOver),
            Op::Deliver(taken, beside) => {
                let Some((_, inside, _)) = self.newest() else { return };
                let taken = taken.min(inside);
                // What is not taken need not be paid.
                let due = (self.due() - (inside - taken) * self.price).max(0);
                let collected = Some((due + beside).max(0));
                self.step(ParcelStep::Deliver { accepted: Some(units(taken)), collected });
            }
            Op::Lose => self.step(ParcelStep::Lost),
            Op::ComesBack => self.step(ParcelStep::Returned),
            Op::Cancel(pieces) => self.credit(Wanted::Units(units(pieces))),
            Op::GiveBack(minor) => self.credit(Wanted::Amount { minor, shipping: false }),
            Op::Shipped(pieces) => {
                self.credit(Wanted::Shipped { lines: units(pieces), shipping: false, restock: false });
            }
            Op::PayBack => {
                let owed = self.order.refunds().iter().find(|refund| refund.status == RefundStatus::Requested);
                let Some((refund, amount)) = owed.map(|refund| (refund.id, refund.amount)) else { return };
                let reference = "wire 1".to_owned();
                assert!(self.tell(&OrderCommand::MarkRefundPaid { by: SHOP, refund, reference }));
                self.come_back += amount;
            }
            Op::Remit(beside) => {
                let Some((shipment, ..)) = self.newest() else { return };
                let collected =
                    self.order.parcels().last().and_then(|parcel| parcel.cash).map_or(0, |cash| cash.collected);
                let told = Remittance { collected, fee: 0, remitted: (collected + beside).max(0) };
                self.tell(&OrderCommand::RemitCash { by: SHOP, shipment, told, mint: Mint([2; 4]) });
            }
            Op::Resolve(is_paid) => {
                let missing = Money::new(self.due(), Currency::BDT);
                let (verb, amount) = match is_paid {
                    true => (ResolveAs::Paid, Some(missing)),
                    false => (ResolveAs::WriteOff, None),
                };
                let (by, note, reference) = ("rina".into(), "n".into(), is_paid.then(|| "B-1".into()));
                let resolution = Box::new(Resolution { verb, by, note, amount, reference });
                self.resolved |= self.tell(&OrderCommand::Resolve { by: SHOP, resolution });
            }
        }
    }

    fn check(&self) {
        let view = self.order.view(SHOP).expect("the staff's");
        let sums = view.amounts;
        let owed: i64 =
            self.order.refunds().iter().filter(|of| of.status == RefundStatus::Requested).map(|of| of.amount).sum();
        assert_eq!((sums.paid, sums.refunded, sums.refund_due), (self.handed_over, self.come_back, owed), "{sums:?}");
        assert!(self.come_back + owed <= self.handed_over, "more comes back than was handed over: {sums:?}");
        let line = &view.lines[0];
        let to_pay = PIECES * self.price - line.credited_amount;
        let kept = self.handed_over - self.come_back - owed;
        // But for less than a coin, what is kept is what is to be paid for, or is missing.
        let is_fair = if to_pay == 0 { kept == 0 } else { (kept + sums.total_due - to_pay).abs() < COIN };
        assert!(is_fair, "kept {kept} of {to_pay}: {sums:?}");
        if self.handed_over == 0 && !self.resolved {
            assert!(!matches!(view.payment_status, PaymentStatus::Collected | PaymentStatus::Refunded), "{view:?}");
        }
        if line.credited == PIECES {
            let ended = if self.handed_over > 0 { OrderStatus::Refunded } else { OrderStatus::Cancelled };
            assert_eq!(view.status, ended);
        }
    }
}

proptest! {
    #![proptest_config(config(512))]

    #[test]
    fn nobody_pays_more_at_the_door_than_is_due_nor_gets_more_back_than_was_paid(
        price in prop_oneof![Just(2_020i64), Just(999i64), Just(5_000i64), 1..9_000i64],
        ops in vec(op(), 1..24),
    ) {
        let mut door = Door::new(price);
        for op in &ops {
            door.act(op);
            door.check();
        }
    }
}
