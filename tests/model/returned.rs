//! Ten pieces of one line, with a discount that their vendor pays, another that the platform pays, and a tax on top: each is brought and sent back by
//! itself, one comes back damaged and one is missing in its parcel, and somewhere between them an amount is given back. In whatever order this happens,
//! everything comes back to the last unit: the money, what each coupon took off, and the pieces that can be sold again.

use crate::world::Priced;
use haat::domain::buyer::{Audience, Buyer, Mint};
use haat::domain::cart::CartLine;
use haat::domain::coupon::{CouponCode, CouponCommand, CouponTerms, RestoresOn, ReturnedUse};
use haat::domain::entity::concerns::*;
use haat::domain::entity::{Effect, EffectKey, Message, Owner, Principal, Step};
use haat::domain::ids::{
    CartId, CouponId, CreditId, CustomerId, OrderId, ProductId, ReturnId, ShipmentId, SkuId, VendorId,
};
use haat::domain::knowledge::{Availability, Knowledge};
use haat::domain::money::{Currency, Money};
use haat::domain::order::{
    Condition, CreditReason, CreditSeed, NewParcel, NewReturn, Order, OrderCommand, OrderStatus, OrderView, ParcelStep,
    Party, PaymentChoice, PaymentStatus, PlacedCoupon, Placement, ReceivedLine, RefundStatus, RefundTold, ReturnStep,
    Wanted,
};
use haat::domain::pricing::{Promotion, PromotionKind, Scope, Tables, TaxRow, TaxTables};
use haat::domain::reject::Reject;
use haat::domain::rows::CouponRow;
use haat::domain::time::Timestamp;
use haat::domain::vendor::{HeldLine, SkuTerms, WantedLine};
use std::sync::Arc;
use uuid::Uuid;

const NOW: Timestamp = Timestamp::from_millis(1_000);
const SHOP: Principal = Principal::SHOP;
const PIECES: i64 = 10;
const UNIT_PRICE: i64 = 333;
/// 7 % of 3330, half up: the vendor's coupon.
const OF_VENDOR: i64 = 233;
/// 10 % of the 3097 that it leaves, half up: the platform's.
const OF_PLATFORM: i64 = 310;
/// 15 % of the 2787 that are left, half up.
const TAX: i64 = 418;
/// No tenth of it is whole.
const TOTAL: i64 = 3_205;

fn vendor() -> VendorId {
    VendorId::from_uuid(Uuid::from_u128(3))
}

fn sku() -> SkuId {
    SkuId::from_uuid(Uuid::from_u128(4))
}

fn order_id() -> OrderId {
    OrderId::for_attempt(CartId::from_uuid(Uuid::from_u128(1)), 1)
}

fn bdt(minor: i64) -> Money {
    Money::new(minor, Currency::BDT)
}

/// The codes, what each takes off in hundredths of a percent, and what of that the platform pays.
const COUPONS: [(&str, u32, u32); 2] = [("VENDOR7", 700, 0), ("HAAT10", 1_000, 10_000)];

fn code(which: usize) -> CouponCode {
    CouponCode::new(COUPONS[which].0).unwrap()
}

fn coupon(which: usize) -> CouponId {
    CouponId::of_code(&code(which).compared())
}

/// Both coupons, each with a budget, so that what they take off is counted.
struct Published;

impl Availability for Published {
    fn available(&self, _: SkuId) -> Option<i64> {
        None
    }
    fn price(&self, _: SkuId) -> Option<Money> {
        None
    }
    fn terms(&self, _: SkuId) -> Option<Arc<SkuTerms>> {
        None
    }
    fn product(&self, _: SkuId) -> Option<ProductId> {
        None
    }
    fn audience(&self, _: CustomerId) -> Audience {
        Audience::Retail
    }
    fn coupon(&self, id: CouponId) -> Option<Arc<CouponRow>> {
        let which = (0..COUPONS.len()).find(|which| coupon(*which) == id)?;
        let (_, basis_points, platform_bp) = COUPONS[which];
        let promotion = Promotion {
            kind: PromotionKind::Percent { basis_points },
            scope: Scope::default(),
            min_subtotal: None,
            max_discount: None,
            excludes_sale_items: false,
            platform_bp,
        };
        let terms = CouponTerms {
            promotion,
            starts_at: Timestamp::from_millis(0),
            ends_at: Timestamp::from_millis(2_000),
            usage_limit: None,
            limit_per_customer: None,
            budget: Some(bdt(1_000_000)),
            combines: true,
            restores_on: RestoresOn::Refund,
        };
        Some(Arc::new(CouponRow {
            id,
            code: code(which),
            vendor_id: None,
            single_use: false,
            version: 1,
            terms,
            created_at: NOW,
            issued: 0,
            held: 0,
            used: 0,
            amount_held: 0,
            amount_used: 0,
        }))
    }
}

fn prices() -> Priced {
    let row = TaxRow {
        country: "BD".into(),
        region: None,
        category: "standard".into(),
        rate_milli_percent: 15_000,
        reason: None,
        valid_from: Timestamp::default(),
    };
    let tax = TaxTables { tax_tables: vec![row], ..TaxTables::default() };
    Priced { tables: Some(Arc::new(Tables { tax: Some(tax.into()), ..Tables::default() })), ..Priced::default() }
}

/// What happens, one after the other.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Turn {
    /// A piece comes back so.
    Piece(Condition),
    /// An amount is given back besides.
    Amount,
}

/// When parcels arrive, and returns are asked for.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Pace {
    /// Each piece is brought, and sent back, before the next is brought.
    OneByOne,
    /// All are brought and asked back, before the first comes.
    AllAtOnce,
}

#[derive(Clone)]
struct Life {
    order: Order,
    /// How many credits were asked for.
    credits: u128,
    /// What was credited, by the test's own reckoning.
    credited: i64,
    pieces: i64,
    restocked: i64,
}

impl Life {
    /// Paid, and nothing shipped.
    fn paid(prices: &Priced) -> Self {
        let line = CartLine {
            sku: sku(),
            vendor: vendor(),
            title: "Quilt".into(),
            quantity: PIECES,
            unit_price: UNIT_PRICE,
            sale: None,
        };
        let placed = |which| PlacedCoupon { coupon: coupon(which), code: code(which), serial: None };
        let placement = Placement {
            cart: CartId::from_uuid(Uuid::from_u128(1)),
            attempt: 1,
            owner: Owner::Guest,
            payment: PaymentChoice { method: "sandbox".into(), token: String::new() },
            expected_total: bdt(TOTAL),
            lines: vec![line],
            hold_ms: 10_000,
            payment_ms: 9_000,
            strict: true,
            mint: Some(Mint([9; 4])),
            buyer: Some(Box::new(Buyer { country: "BD".into(), ..Buyer::default() })),
            coupons: vec![placed(0), placed(1)],
            shipping: Vec::new(),
            slots: Vec::new(),
            email: None,
            shipping_address: None,
        };
        let order = Order::new(order_id());
        let mut life = Self { order, credits: 0, credited: 0, pieces: 0, restocked: 0 };
        life.does(prices, OrderCommand::Place { placement: Box::new(placement), details: None });
        let lines = vec![HeldLine::at_list_price(sku(), PIECES, UNIT_PRICE)];
        life.does(prices, OrderCommand::StockHeld { vendor: vendor(), lines, slot: None });
        for which in 0..2 {
            life.does(prices, OrderCommand::LegHeld { with: Party::Coupon(coupon(which)) });
        }
        life.does(prices, OrderCommand::Charged { amount: None });
        life.does(prices, OrderCommand::StockCommitted { vendor: vendor() });
        for which in 0..2 {
            life.does(prices, OrderCommand::LegCommitted { with: Party::Coupon(coupon(which)) });
        }
        let view = life.view();
        assert_eq!((view.status, view.amounts.paid), (OrderStatus::Paid, TOTAL));
        let billed = view.lines[0].billed.as_deref().expect("it has a bill");
        assert_eq!((billed.discount(), billed.platform()), (OF_VENDOR + OF_PLATFORM, OF_PLATFORM));
        assert_eq!((billed.tax_amount(), billed.payable), (TAX, TOTAL));
        life
    }

    fn tell(&mut self, prices: &Priced, command: &OrderCommand) -> Result<(), Reject> {
        self.order.heard(command, NOW);
        let events =
            self.order.decide(command, &Knowledge { availability: &Published, prices, ..Knowledge::NOTHING }, NOW)?;
        for event in &events {
            self.order.apply(event, NOW);
            self.order.check().unwrap_or_else(|breach| panic!("{command:?}: {event:?}: {breach:?}"));
        }
        Ok(())
    }

    fn does(&mut self, prices: &Priced, command: OrderCommand) {
        self.tell(prices, &command).unwrap_or_else(|reject| panic!("{command:?}: {reject:?}"));
    }

    fn view(&self) -> OrderView {
        self.order.view(SHOP).expect("it is the staff's")
    }

    fn seed(&mut self, reason: CreditReason) -> CreditSeed {
        self.credits += 1;
        CreditSeed { id: CreditId::from_uuid(Uuid::from_u128(self.credits)), mint: Mint([1; 4]), reason }
    }

    fn bring(&mut self, prices: &Priced, number: u128) {
        let (id, one) = (ShipmentId::from_uuid(Uuid::from_u128(100 + number)), WantedLine { sku: sku(), quantity: 1 });
        let (courier, tracking_number) = ("own".into(), None);
        let parcel = NewParcel { id, vendor: vendor(), lines: vec![one], courier, tracking_number, booking: None };
        self.does(prices, OrderCommand::Ship { by: SHOP, parcel: Box::new(parcel) });
        let (step, seed) = (ParcelStep::Deliver { accepted: None, collected: None }, self.seed(CreditReason::Other));
        self.does(prices, OrderCommand::MoveParcel { by: SHOP, shipment: id, step: Box::new(step), seed });
    }

    fn ask_back(&mut self, prices: &Priced, number: u128) {
        let (id, one) = (ReturnId::from_uuid(Uuid::from_u128(200 + number)), WantedLine { sku: sku(), quantity: 1 });
        let wanted = NewReturn { id, vendor: vendor(), lines: vec![one], reason: CreditReason::ChangedMind };
        self.does(prices, OrderCommand::AskReturn { by: SHOP, wanted: Box::new(wanted) });
        self.move_return(prices, number, ReturnStep::Approve);
    }

    fn move_return(&mut self, prices: &Priced, number: u128, step: ReturnStep) {
        let (id, seed) = (ReturnId::from_uuid(Uuid::from_u128(200 + number)), self.seed(CreditReason::ChangedMind));
        self.does(prices, OrderCommand::MoveReturn { by: SHOP, id, step: Box::new(step), seed });
    }

    /// One more piece need not be paid: its part of ten equal ones, as far as an amount has not given it back before.
    fn credits_a_piece(&mut self) {
        let up_to = |pieces: i64| TOTAL * pieces / PIECES;
        self.credited += (up_to(self.pieces + 1) - up_to(self.pieces)).min(TOTAL - self.credited);
        self.pieces += 1;
    }

    fn comes_back(&mut self, prices: &Priced, number: u128, condition: Condition) {
        let lines = vec![ReceivedLine { sku: sku(), quantity: 1, condition }];
        self.move_return(prices, number, ReturnStep::Receive { lines });
        self.move_return(prices, number, ReturnStep::Close);
        if condition != Condition::Missing {
            self.credits_a_piece();
            self.restocked += i64::from(condition == Condition::Resellable);
        }
    }

    /// What is lost between the two is given back without coming into stock.
    fn makes_good(&mut self, prices: &Priced) {
        let lines = vec![WantedLine { sku: sku(), quantity: 1 }];
        let wanted = Wanted::Shipped { lines, shipping: false, restock: false };
        let seed = self.seed(CreditReason::Missing);
        self.does(prices, OrderCommand::Credit { by: SHOP, vendor: vendor(), wanted, seed });
        self.credits_a_piece();
    }

    fn gives_back(&mut self, prices: &Priced, minor: i64) {
        let (left, seed) = (TOTAL - self.credited, self.seed(CreditReason::Goodwill));
        let wanted = Wanted::Amount { minor, shipping: false };
        let told = self.tell(prices, &OrderCommand::Credit { by: SHOP, vendor: vendor(), wanted, seed });
        if minor > left {
            assert_eq!(told, Err(Reject::RefundExceedsPayment { refundable: bdt(left) }));
        } else {
            assert_eq!(told, Ok(()));
            self.credited += minor;
        }
    }

    /// The order says what the test has reckoned, in all of its sums.
    fn judge(&self) {
        let view = self.view();
        let (line, share) = (&view.lines[0], &view.sub_orders[0].amounts);
        assert_eq!((view.amounts.credited, share.credited), (self.credited, self.credited));
        assert_eq!((line.credited, line.credited_amount), (self.pieces, self.credited));
        assert_eq!(view.amounts.refund_due, view.refunds.iter().map(|refund| refund.amount).sum::<i64>());
        assert_eq!((view.amounts.refund_due, view.amounts.total_due), (self.credited, 0));
        assert_eq!(line.moved().restocked, self.restocked);
        let coming_back: i64 = self.order.units_coming_back().map(|(_, _, units)| units).sum();
        assert_eq!(coming_back, self.restocked, "what can be sold is what its vendor hears of");
    }

    /// What a coupon hears of: nobody has answered yet, so it is all of it.
    fn returned(&self, which: usize) -> ReturnedUse {
        match self.order.effect(EffectKey::new(Step::ReturnUse, coupon(which))) {
            Some(Effect::Tell(Message::Coupon { command: CouponCommand::ReturnUse { returned }, .. })) => *returned,
            other => panic!("{other:?}"),
        }
    }

    /// The money is given back, and everything is as if nothing had been sold.
    fn end(&mut self, prices: &Priced) {
        self.does(prices, OrderCommand::OpenRefunds);
        for refund in self.view().refunds {
            assert_eq!(refund.status, RefundStatus::Pending);
            let told = RefundTold::Succeeded { amount: bdt(refund.amount), reference: None };
            self.does(prices, OrderCommand::RefundTold { refund: refund.id, attempt: refund.attempt, told });
        }
        let view = self.view();
        assert_eq!((view.amounts.paid, view.amounts.credited, view.amounts.refunded), (TOTAL, TOTAL, TOTAL));
        assert_eq!((view.status, view.payment_status), (OrderStatus::Refunded, PaymentStatus::Refunded));
        for (which, taken_off) in [OF_VENDOR, OF_PLATFORM].into_iter().enumerate() {
            let parts: Vec<_> = self.returned(which).credits.iter().map(|(_, part)| *part).collect();
            assert_eq!(parts.iter().map(|part| part.amount).sum::<i64>(), taken_off, "{}", COUPONS[which].0);
            assert_eq!(parts.iter().filter(|part| part.whole).count(), 1, "its use is over once");
        }
    }
}

/// All that happens to one order, in this order.
fn live(mut life: Life, prices: &Priced, turns: &[Turn], minor: i64, pace: Pace) {
    if pace == Pace::AllAtOnce {
        (0..PIECES as u128).for_each(|number| life.bring(prices, number));
        (0..PIECES as u128).for_each(|number| life.ask_back(prices, number));
    }
    let (mut number, mut missing) = (0, 0);
    for turn in turns {
        match *turn {
            Turn::Amount => life.gives_back(prices, minor),
            Turn::Piece(condition) => {
                if pace == Pace::OneByOne {
                    life.bring(prices, number);
                    life.ask_back(prices, number);
                }
                life.comes_back(prices, number, condition);
                number += 1;
                // What is missing is made good at once, or when all is over.
                missing += i64::from(condition == Condition::Missing);
                if pace == Pace::OneByOne && missing > 0 {
                    life.makes_good(prices);
                    missing = 0;
                }
            }
        }
        life.judge();
    }
    (0..missing).for_each(|_| life.makes_good(prices));
    life.judge();
    assert_eq!((life.credited, life.pieces, life.restocked), (TOTAL, PIECES, PIECES - 2));
    life.end(prices);
}

/// Where the damaged piece, the missing one and the amount stand among the eight pieces that are as they were: each of these orders once.
fn every_order() -> impl Iterator<Item = Vec<Turn>> {
    let places = PIECES as usize + 1;
    let all = (0..places).flat_map(move |damaged| {
        (0..places).flat_map(move |missing| (0..places).map(move |amount| [damaged, missing, amount]))
    });
    let differ = |[damaged, missing, amount]: &[usize; 3]| damaged != missing && missing != amount && amount != damaged;
    all.filter(differ).map(move |[damaged, missing, amount]| {
        let turn = |place| match place {
            _ if place == damaged => Turn::Piece(Condition::Damaged),
            _ if place == missing => Turn::Piece(Condition::Missing),
            _ if place == amount => Turn::Amount,
            _ => Turn::Piece(Condition::Resellable),
        };
        (0..places).map(turn).collect()
    })
}

/// All 990 orders, at both paces, with an amount that is far smaller than a piece, nearly one, larger, or leaves next to nothing for the pieces. Of the
/// four amounts each comes at every place, since each pair of the other places has nine places left.
#[test]
fn ten_pieces_come_back_to_the_last_unit_in_every_order() {
    let prices = prices();
    let paid = Life::paid(&prices);
    let mut lives = 0;
    for (turns, minor) in every_order().zip([1, 320, 777, TOTAL - 1].into_iter().cycle()) {
        for pace in [Pace::OneByOne, Pace::AllAtOnce] {
            live(paid.clone(), &prices, &turns, minor, pace);
            lives += 1;
        }
    }
    assert_eq!(lives, 990 * 2);
}
