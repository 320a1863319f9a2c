//! Orders that are paid at the door: how they are accepted, what is collected for each share, and what becomes of what is missing or too much.

use crate::world::Priced;
use haat::domain::buyer::{Buyer, Mint};
use haat::domain::cart::CartLine;
use haat::domain::courier::CourierStatus;
use haat::domain::customer::CustomerCommand;
use haat::domain::entity::concerns::*;
use haat::domain::entity::{Effect, EffectKey, Message, Owner, Part, Principal, Step};
use haat::domain::ids::{CartId, CreditId, CustomerId, OrderId, ReturnId, ShipmentId, SkuId, VendorId};
use haat::domain::knowledge::Knowledge;
use haat::domain::money::{Currency, Money};
use haat::domain::order::{
    Condition, CreditReason, CreditSeed, NewParcel, NewReturn, NoCash, NotFulfillable, Order, OrderCommand, OrderEvent,
    OrderReply, OrderStatus, OrderView, ParcelStep, Party, PaymentChoice, PaymentStatus, Phase, Placement,
    ReceivedLine, RefundStatus, Remittance, Resolution, ResolveAs, ReturnStep, ShipmentStatus, Wanted,
};
use haat::domain::reject::Reject;
use haat::domain::time::Timestamp;
use haat::domain::vendor::{HeldLine, VendorCommand, WantedLine};
use std::collections::BTreeMap;
use uuid::Uuid;

const NOW: Timestamp = Timestamp::from_millis(1_000);
const SHOP: Principal = Principal::SHOP;
/// What three pieces of the first vendor cost, and one of the second: with paisa, which nobody has in coins.
const PRICES: [i64; 2] = [2_020, 5_050];
const PIECES: [i64; 2] = [3, 1];

fn vendor(which: usize) -> VendorId {
    VendorId::from_uuid(Uuid::from_u128(3 + which as u128))
}

fn sku(which: usize) -> SkuId {
    SkuId::from_uuid(Uuid::from_u128(10 + which as u128))
}

fn counter() -> CustomerId {
    CustomerId::from_uuid(Uuid::from_u128(20))
}

fn party() -> Party {
    Party::Cash(counter())
}

fn order_id() -> OrderId {
    OrderId::for_attempt(CartId::from_uuid(Uuid::from_u128(1)), 1)
}

fn shipment(which: usize) -> ShipmentId {
    ShipmentId::from_uuid(Uuid::from_u128(30 + which as u128))
}

fn seed(number: u128) -> CreditSeed {
    let id = CreditId::from_uuid(Uuid::from_u128(number));
    CreditSeed { id, mint: Mint([1; 4]), reason: CreditReason::ChangedMind }
}

fn refused(why: NotFulfillable) -> Result<usize, Reject> {
    Err(Reject::NotFulfillable { why })
}

/// An order of two vendors, and the newest of each part of its snapshots.
#[derive(Clone)]
struct Life {
    order: Order,
    parts: BTreeMap<String, Part>,
}

impl Life {
    fn placed() -> Self {
        Self::placed_with("cash_on_delivery")
    }

    fn placed_with(method: &str) -> Self {
        let line = |which: usize| CartLine {
            sku: sku(which),
            vendor: vendor(which),
            title: "Quilt".into(),
            quantity: PIECES[which],
            unit_price: PRICES[which],
            sale: None,
        };
        let placement = Placement {
            cart: CartId::from_uuid(Uuid::from_u128(1)),
            attempt: 1,
            owner: Owner::Guest,
            payment: PaymentChoice { method: method.into(), token: String::new() },
            expected_total: Money::new(3 * PRICES[0] + PRICES[1], Currency::BDT),
            lines: vec![line(0), line(1)],
            hold_ms: 10_000,
            payment_ms: 9_000,
            strict: true,
            mint: Some(Mint([9; 4])),
            buyer: Some(Box::new(Buyer { at_door: Some(counter()), ..Buyer::default() })),
            coupons: Vec::new(),
            shipping: Vec::new(),
            slots: Vec::new(),
            email: None,
            shipping_address: None,
        };
        let mut life = Self { order: Order::new(order_id()), parts: BTreeMap::new() };
        life.tell(OrderCommand::Place { placement: Box::new(placement), details: None }).unwrap();
        life
    }

    /// Its stock is held.
    fn held() -> Self {
        let mut life = Self::placed();
        for which in 0..2 {
            let lines = vec![HeldLine::at_list_price(sku(which), PIECES[which], PRICES[which])];
            life.tell(OrderCommand::StockHeld { vendor: vendor(which), lines, slot: None }).unwrap();
        }
        life
    }

    /// It is accepted, and its stock is sold to it.
    fn confirmed() -> Self {
        let mut life = Self::held();
        life.tell(OrderCommand::LegHeld { with: party() }).unwrap();
        for which in 0..2 {
            life.tell(OrderCommand::StockCommitted { vendor: vendor(which) }).unwrap();
        }
        life.tell(OrderCommand::LegCommitted { with: party() }).unwrap();
        assert_eq!(life.order.phase(), Some(Phase::Settled));
        life
    }

    /// The first vendor's parcel is on its way.
    fn on_its_way() -> Self {
        let mut life = Self::confirmed();
        life.ship(0, Vec::new()).unwrap();
        life.step(0, ParcelStep::HandOver).unwrap();
        life
    }

    fn tell(&mut self, command: OrderCommand) -> Result<usize, Reject> {
        self.record(&command).map(|events| events.len())
    }

    fn record(&mut self, command: &OrderCommand) -> Result<Vec<OrderEvent>, Reject> {
        self.order.heard(command, NOW);
        let events = self.order.decide(command, &Knowledge::NOTHING, NOW)?;
        for event in &events {
            self.order.apply(event, NOW);
            self.order.check().unwrap();
        }
        // As a snapshot has it, it is the same.
        for part in self.order.delta().parts {
            self.parts.insert(part.name.clone(), part);
        }
        let parts: Vec<Part> = self.parts.values().filter(|part| part.state.is_some()).cloned().collect();
        let again = Order::restore(order_id(), &parts).unwrap();
        assert_eq!(serde_json::to_value(&again).unwrap(), serde_json::to_value(&self.order).unwrap());
        Ok(events)
    }

    fn ship(&mut self, which: usize, lines: Vec<WantedLine>) -> Result<usize, Reject> {
        self.ship_by(which, which, lines, None)
    }

    fn ship_by(
        &mut self,
        which: usize,
        number: usize,
        lines: Vec<WantedLine>,
        booking: Option<Mint>,
    ) -> Result<usize, Reject> {
        let courier = if booking.is_some() { "platform" } else { "own" };
        let parcel = NewParcel {
            id: shipment(number),
            vendor: vendor(which),
            lines,
            courier: courier.into(),
            tracking_number: None,
            booking,
        };
        self.tell(OrderCommand::Ship { by: SHOP, parcel: Box::new(parcel) })
    }

    fn step(&mut self, number: usize, step: ParcelStep) -> Result<usize, Reject> {
        let seed = seed(100 + number as u128);
        self.tell(OrderCommand::MoveParcel { by: SHOP, shipment: shipment(number), step: Box::new(step), seed })
    }

    /// So many pieces of the first vendor's parcel were taken, and so much was collected.
    fn deliver(&mut self, accepted: Option<i64>, collected: Option<i64>) -> Result<usize, Reject> {
        let accepted = accepted.map(|quantity| vec![WantedLine { sku: sku(0), quantity }]);
        self.step(0, ParcelStep::Deliver { accepted, collected })
    }

    fn cancel(&mut self, which: usize) -> Result<usize, Reject> {
        let (vendor, wanted) = (vendor(which), Wanted::Units(Vec::new()));
        self.tell(OrderCommand::Credit { by: SHOP, vendor, wanted, seed: seed(200 + which as u128) })
    }

    fn remit(&mut self, collected: i64, fee: i64, remitted: i64) -> Result<usize, Reject> {
        let told = Remittance { collected, fee, remitted };
        self.tell(OrderCommand::RemitCash { by: SHOP, shipment: shipment(0), told, mint: Mint([2; 4]) })
    }

    fn told(&mut self, status: CourierStatus, collected: Option<Money>) -> Result<usize, Reject> {
        let (shipment, mint, accepted) = (shipment(0), Mint([7; 4]), Vec::new());
        self.tell(OrderCommand::CourierTold { shipment, mint, status, accepted, collected })
    }

    fn resolve(&mut self, verb: ResolveAs, amount: Option<i64>) -> Result<usize, Reject> {
        let amount = amount.map(|minor| Money::new(minor, Currency::BDT));
        let (by, note, reference) = ("rina".into(), "asked the courier".into(), amount.map(|_| "B-1".into()));
        let resolution = Box::new(Resolution { verb, by, note, amount, reference });
        self.tell(OrderCommand::Resolve { by: SHOP, resolution })
    }

    fn view(&self) -> OrderView {
        self.order.view(SHOP).expect("it is the staff's")
    }

    fn stands(&self) -> (OrderStatus, PaymentStatus) {
        let view = self.view();
        (view.status, view.payment_status)
    }

    fn steps(&self) -> Vec<Step> {
        self.order.outstanding(NOW).into_iter().map(|key| key.step).collect()
    }

    /// What it tells whoever counts, by this step.
    fn says(&self, step: Step) -> CustomerCommand {
        match self.order.effect(EffectKey::new(step, counter())) {
            Some(Effect::Tell(Message::Customer { id, command })) if id == counter() => command,
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn it_is_accepted_once_all_is_held_and_it_is_counted() {
    let mut life = Life::held();
    assert_eq!(life.order.status(), Some(OrderStatus::Placed));
    assert_eq!(life.steps(), [Step::OpenCash], "the stock is held already, and nobody is asked for money");
    assert_eq!(life.says(Step::OpenCash), CustomerCommand::OpenCash { order: order_id() });
    let confirmed = life.record(&OrderCommand::LegHeld { with: party() }).unwrap();
    assert!(matches!(confirmed[..], [OrderEvent::LegHeld { .. }, OrderEvent::Confirmed]), "{confirmed:?}");
    assert_eq!(life.tell(OrderCommand::LegHeld { with: party() }), Ok(0), "twice is once");
    assert_eq!(life.stands(), (OrderStatus::Confirmed, PaymentStatus::DueOnDelivery));
    assert_eq!(life.steps(), [Step::Commit, Step::Commit, Step::KeepCash, Step::Close]);
    assert_eq!(life.says(Step::KeepCash), CustomerCommand::KeepCash { order: order_id() });
    // Whoever waits for the payment is answered: nothing more comes before the parcel.
    let milestone = haat::domain::order::Milestone::Paid;
    let awaits = OrderCommand::Await { by: SHOP, milestone };
    assert!(matches!(life.order.reply(&awaits, false), Some(Ok(OrderReply::Order { .. }))));

    let life = Life::confirmed();
    assert_eq!(life.steps(), [], "it is counted as long as it is open");
    let view = life.view();
    let due: Vec<(i64, i64)> =
        view.sub_orders.iter().map(|share| (share.amounts.total_due, share.to_collect)).collect();
    assert_eq!(due, [(6_060, 6_100), (5_050, 5_100)], "as far as it can be handed over in cash");
    assert_eq!((view.amounts.paid, view.attention.len()), (0, 0));
}

#[test]
fn whoever_has_too_many_open_is_refused_and_everything_is_given_back() {
    for why in [NoCash::OpenOrders, NoCash::Refusals] {
        let mut life = Life::held();
        let reason = Reject::CodNotAvailable { why, vendor_ids: Vec::new(), maximum: None };
        life.tell(OrderCommand::LegRefused { with: party(), reason: reason.clone() }).unwrap();
        assert_eq!(life.steps(), [Step::Release, Step::Release]);
        for which in 0..2 {
            life.tell(OrderCommand::StockReleased { vendor: vendor(which) }).unwrap();
        }
        life.tell(OrderCommand::CartReopened).unwrap();
        assert_eq!(life.order.status(), Some(OrderStatus::Rejected));
        let milestone = haat::domain::order::Milestone::Held;
        let answer = life.order.reply(&OrderCommand::Await { by: SHOP, milestone }, false);
        assert_eq!(answer, Some(Err(reason)));
        // The question came twice, and one was closed in between: what was counted is counted no more.
        let stray = life.order.respond(&OrderCommand::LegHeld { with: party() }, Ok(()));
        let command = CustomerCommand::CloseCash { order: order_id(), refused: false };
        assert_eq!(stray, Some(Message::Customer { id: counter(), command }));
    }
    // Cancelled while it is asked.
    let mut life = Life::held();
    life.tell(OrderCommand::Cancel { by: SHOP }).unwrap();
    assert_eq!(life.steps(), [Step::Release, Step::Release, Step::DropCash]);
    assert_eq!(life.says(Step::DropCash), CustomerCommand::CloseCash { order: order_id(), refused: false });
}

/// By the total that it comes to when all is held, whatever its buyer expects; of an order that is paid before, nothing is limited.
#[test]
fn an_order_that_comes_to_more_than_the_shop_takes_at_the_door_is_refused() {
    let total = 3 * PRICES[0] + PRICES[1];
    let at_the_door = "cash_on_delivery";
    for (method, most, unit_price, ends) in [
        (at_the_door, None, PRICES[1], "priced"),
        (at_the_door, Some(total), PRICES[1], "priced"),
        (at_the_door, Some(total - 1), PRICES[1], "refused"),
        (at_the_door, Some(1), PRICES[1], "refused"),
        // What it comes to goes before what the buyer expects.
        (at_the_door, Some(total), PRICES[1] + 1, "refused"),
        (at_the_door, Some(total + 1), PRICES[1] + 1, "differs"),
        ("sandbox", Some(1), PRICES[1], "priced"),
    ] {
        let mut life = Life::placed_with(method);
        let lines = vec![HeldLine::at_list_price(sku(0), PIECES[0], PRICES[0])];
        life.tell(OrderCommand::StockHeld { vendor: vendor(0), lines, slot: None }).unwrap();
        let lines = vec![HeldLine::at_list_price(sku(1), PIECES[1], unit_price)];
        let held = OrderCommand::StockHeld { vendor: vendor(1), lines, slot: None };
        let prices = Priced { most_at_the_door: most, ..Priced::default() };
        let events = life.order.decide(&held, &Knowledge { prices: &prices, ..Knowledge::NOTHING }, NOW).unwrap();
        let ended = match &events[1] {
            OrderEvent::Priced { total: priced, .. } if *priced == total => "priced",
            OrderEvent::PriceDiffered { actual_total, .. } if *actual_total == total + 1 => "differs",
            OrderEvent::BillRefused { reason } => {
                let maximum = most.map(|most| Money::new(most, Currency::BDT));
                let refused = Reject::CodNotAvailable { why: NoCash::Amount, vendor_ids: Vec::new(), maximum };
                assert_eq!((reason, events.len()), (&refused, 2));
                "refused"
            }
            other => panic!("{other:?}"),
        };
        assert_eq!(ended, ends, "{method} {most:?} {unit_price}");
        // It is told so as it is of every refusal of its bill, and what is held is given back.
        events.iter().for_each(|event| life.order.apply(event, NOW));
        let given_back = [Step::Release, Step::Release];
        assert_eq!(life.steps() == given_back, ends != "priced", "{:?}", life.steps());
    }
}

#[test]
fn a_share_goes_out_in_one_parcel_with_all_that_is_left_of_it() {
    let mut life = Life::confirmed();
    let two = vec![WantedLine { sku: sku(0), quantity: 2 }];
    assert_eq!(life.ship(0, two.clone()), refused(NotFulfillable::CashOneParcel));
    assert_eq!(life.ship(0, Vec::new()), Ok(1));
    assert_eq!(life.ship(0, Vec::new()), Ok(0), "the same request again");
    assert_eq!(life.ship_by(0, 5, Vec::new(), None), refused(NotFulfillable::UnitsNotLeft));
    // One piece is not wanted any more: the parcel is unpacked for it, and what is left goes out.
    let one = Wanted::Units(vec![WantedLine { sku: sku(0), quantity: 1 }]);
    life.tell(OrderCommand::Credit { by: SHOP, vendor: vendor(0), wanted: one, seed: seed(1) }).unwrap();
    assert_eq!(life.view().sub_orders[0].to_collect, 4_000, "40.40 in whole taka");
    assert_eq!(life.ship_by(0, 5, two, None), Ok(1));
    assert_eq!(life.view().refunds.len(), 0, "nothing was paid, so nothing is given back");
    // The other vendor's share goes its own way.
    assert_eq!(life.ship(1, Vec::new()), Ok(1));
    assert_eq!(life.order.status(), Some(OrderStatus::Fulfilling));
}

/// What is collected for 60.60: what of it is rounded, what is still due, what is given back.
#[test]
fn what_is_collected_is_rounded_short_or_too_much() {
    for (collected, rounding, due, back) in [
        (6_060, 0, 0, 0),
        (6_100, 40, 0, 0),
        (6_000, -60, 0, 0),
        (5_961, -99, 0, 0),
        (5_960, 0, 100, 0),
        (0, 0, 6_060, 0),
        (6_159, 99, 0, 0),
        (6_160, 0, 0, 100),
        (7_000, 0, 0, 940),
    ] {
        let mut life = Life::on_its_way();
        life.deliver(None, Some(collected)).unwrap();
        let view = life.view();
        let share = view.sub_orders[0].amounts;
        let told = (share.paid, share.rounding, share.total_due, share.refund_due);
        assert_eq!(told, (collected, rounding, due, back), "{collected}");
        assert_eq!(life.deliver(None, Some(collected)), Ok(0), "said again");
        assert_eq!(life.deliver(None, Some(collected + 1)), refused(NotFulfillable::ShipmentStatus));
        let mut attention = Vec::new();
        attention.extend((back > 0).then_some("refund_by_hand"));
        attention.extend((due > 0).then_some("collection_mismatch"));
        assert_eq!(view.attention, attention, "{collected}");
        assert_eq!(view.payment_status, PaymentStatus::DueOnDelivery, "the other share is not there yet");
        // What was too much is given back by hand: no provider has it.
        assert!(matches!(
            life.order.reply(&OrderCommand::OpenRefunds, false),
            Some(Ok(OrderReply::Refunds { calls, .. })) if calls.is_empty()
        ));
        assert_eq!(life.tell(OrderCommand::OpenRefunds), Ok(0));
        assert_eq!(life.order.row().expect("a row").outside, Some(0), "no job is missing for it");
        for refund in view.refunds {
            assert_eq!((refund.amount, refund.status), (back, RefundStatus::Requested));
            let (by, reference) = (SHOP, "bKash 4711".to_owned());
            assert_eq!(life.tell(OrderCommand::MarkRefundPaid { by, refund: refund.id, reference }), Ok(1));
            assert_eq!(life.view().sub_orders[0].amounts.refunded, back);
        }
        // The second share ends at the door, too.
        life.ship(1, Vec::new()).unwrap();
        assert_eq!(
            life.step(1, ParcelStep::Deliver { accepted: None, collected: None }),
            refused(NotFulfillable::CollectedMissing)
        );
        life.step(1, ParcelStep::Deliver { accepted: None, collected: Some(5_000) }).unwrap();
        let standing = if back > 0 { PaymentStatus::PartiallyRefunded } else { PaymentStatus::Collected };
        assert_eq!(life.stands(), (OrderStatus::Completed, standing), "{collected}");
        assert_eq!(life.steps(), [Step::CloseCash]);
        assert_eq!(life.says(Step::CloseCash), CustomerCommand::CloseCash { order: order_id(), refused: false });
        assert_eq!(life.tell(OrderCommand::LegReleased { with: party() }), Ok(1));
        assert_eq!(life.tell(OrderCommand::LegReleased { with: party() }), Ok(0));
        assert_eq!(life.steps(), [], "it is counted no more");
    }
}

#[test]
fn what_is_not_taken_at_the_door_need_not_be_paid() {
    let mut life = Life::on_its_way();
    assert_eq!(life.deliver(Some(1), None), refused(NotFulfillable::CollectedMissing));
    life.deliver(Some(1), Some(2_000)).unwrap();
    let share = life.view().sub_orders[0].amounts;
    assert_eq!((share.credited, share.paid, share.rounding, share.total_due), (4_040, 2_000, -20, 0));
    life.step(0, ParcelStep::Returned).unwrap();
    let back = life.order.effect(EffectKey::new(Step::Restock, vendor(0)));
    let Some(Effect::Tell(Message::Vendor { command: VendorCommand::Restock { .. }, .. })) = back else {
        panic!("{back:?}")
    };
    // The other vendor cancels: of what nobody paid nothing is given back.
    life.cancel(1).unwrap();
    assert_eq!(life.stands(), (OrderStatus::Completed, PaymentStatus::Collected));
    assert_eq!(life.says(Step::CloseCash), CustomerCommand::CloseCash { order: order_id(), refused: false });

    // Nothing is taken, of neither.
    let mut life = Life::on_its_way();
    life.deliver(Some(0), None).unwrap();
    life.ship(1, Vec::new()).unwrap();
    life.step(1, ParcelStep::Deliver { accepted: Some(Vec::new()), collected: Some(0) }).unwrap();
    assert_eq!(life.stands(), (OrderStatus::Cancelled, PaymentStatus::Voided));
    assert_eq!(life.says(Step::CloseCash), CustomerCommand::CloseCash { order: order_id(), refused: true });
    assert_eq!(life.view().amounts.total_due, 0);

    // And something is paid for nothing: all of it is given back.
    let mut life = Life::on_its_way();
    life.cancel(1).unwrap();
    life.deliver(Some(0), Some(500)).unwrap();
    assert_eq!(life.view().amounts.refund_due, 500);
    assert_eq!(life.order.status(), Some(OrderStatus::Refunded));
}

#[test]
fn an_order_that_is_cancelled_before_it_is_shipped_is_owed_nothing() {
    let mut life = Life::confirmed();
    life.tell(OrderCommand::CancelAll { by: SHOP, seed: seed(1) }).unwrap();
    assert_eq!(life.stands(), (OrderStatus::Cancelled, PaymentStatus::Voided));
    assert_eq!(life.view().refunds, []);
    assert!(life.steps().contains(&Step::CloseCash));
    assert_eq!(life.says(Step::CloseCash), CustomerCommand::CloseCash { order: order_id(), refused: false });
    assert_eq!(life.ship(0, Vec::new()), refused(NotFulfillable::UnitsNotLeft));
}

#[test]
fn what_is_missing_stays_due_until_somebody_says_what_became_of_it() {
    let short = || {
        let mut life = Life::on_its_way();
        life.deliver(None, Some(1_000)).unwrap();
        life
    };
    let waits = *short().view().waits.expect("somebody has to look at it");
    assert_eq!(
        (waits.why.code(), waits.resolve_as),
        ("collection_mismatch", vec![ResolveAs::Paid, ResolveAs::WriteOff])
    );
    assert!(short().order.view(Principal::Guest(CartId::from_uuid(Uuid::from_u128(1)))).unwrap().waits.is_none());

    assert_eq!(short().order.wake_at(NOW), Some(haat::domain::entity::FOR_SOMEONE), "it is found in the list");
    let mut lost = short();
    assert!(matches!(lost.resolve(ResolveAs::Retry, None), Err(Reject::NothingToResolve { .. })));
    lost.resolve(ResolveAs::WriteOff, None).unwrap();
    let share = lost.view().sub_orders[0].amounts;
    assert_eq!((share.paid, share.credited, share.total_due, share.refund_due), (1_000, 5_060, 0, 0));
    assert_eq!((lost.view().attention.len(), lost.view().waits), (0, None));
    assert_eq!(lost.order.wake_at(NOW), None);
    assert_eq!(lost.resolve(ResolveAs::WriteOff, None), Ok(0), "said again");

    let mut paid = short();
    let differs = Reject::AmountDiffers { expected: Money::new(5_060, Currency::BDT) };
    assert_eq!(paid.resolve(ResolveAs::Paid, Some(5_059)), Err(differs));
    paid.resolve(ResolveAs::Paid, Some(5_060)).unwrap();
    let share = paid.view().sub_orders[0].amounts;
    assert_eq!((share.paid, share.credited, share.total_due), (6_060, 0, 0));
    assert_eq!(paid.resolve(ResolveAs::Paid, Some(5_060)), Ok(0), "said again");
}

#[test]
fn a_courier_hands_on_what_it_collected_once() {
    let delivered = || {
        let mut life = Life::on_its_way();
        life.deliver(None, Some(6_100)).unwrap();
        life
    };
    for (told, attention) in [
        ((6_100, 100, 6_000), vec![]),
        ((6_100, 0, 6_000), vec!["remittance_short"]),
        ((6_000, 0, 6_000), vec!["remittance_differs", "remittance_short"]),
        ((6_200, 0, 6_200), vec!["remittance_differs"]),
    ] {
        let mut life = delivered();
        let (collected, fee, remitted) = told;
        assert_eq!(life.remit(collected, fee, remitted), Ok(1));
        assert_eq!(life.remit(collected, fee, remitted), Ok(0), "the file came twice");
        assert_eq!(life.remit(collected, fee, remitted + 1), refused(NotFulfillable::AlreadyRemitted));
        assert_eq!(life.view().attention, attention, "{told:?}");
        assert_eq!(life.view().sub_orders[0].amounts.paid, 6_100, "what the buyer paid is what was collected");
    }
    // Nothing was brought yet, or not for that.
    assert_eq!(Life::on_its_way().remit(6_100, 0, 6_100), refused(NotFulfillable::NothingToCollect));
    let unknown = OrderCommand::RemitCash {
        by: SHOP,
        shipment: shipment(8),
        told: Remittance { collected: 1, fee: 0, remitted: 1 },
        mint: Mint([2; 4]),
    };
    assert_eq!(delivered().tell(unknown), Err(Reject::ShipmentUnknown));
}

#[test]
fn a_courier_tells_what_it_collected_with_the_parcel_or_later() {
    let taka = |minor| Some(Money::new(minor, Currency::BDT));
    let booked = || {
        let mut life = Life::confirmed();
        life.ship_by(0, 0, Vec::new(), Some(Mint([7; 4]))).unwrap();
        let wishes = life.order.courier_wishes();
        assert_eq!(wishes[0].collect, taka(6_100), "it is told what to collect");
        life.told(CourierStatus::PickedUp, None).unwrap();
        life
    };
    let mut life = booked();
    life.told(CourierStatus::Delivered, taka(6_100)).unwrap();
    assert_eq!(life.view().sub_orders[0].amounts.total_due, 0);
    assert_eq!(life.told(CourierStatus::Delivered, taka(6_100)), Ok(0));
    // Somebody has to ask it: what it said first stays.
    life.told(CourierStatus::Delivered, taka(6_000)).unwrap();
    assert_eq!(life.view().attention, ["parcel_astray"]);
    assert_eq!(life.view().sub_orders[0].amounts.paid, 6_100);

    // It has brought the parcel, and does not say what it took: the order waits for that, and is open as long.
    let mut life = booked();
    life.cancel(1).unwrap();
    life.told(CourierStatus::Delivered, None).unwrap();
    assert_eq!(life.stands(), (OrderStatus::Completed, PaymentStatus::DueOnDelivery));
    assert_eq!(life.view().sub_orders[0].to_collect, 6_100);
    assert!(!life.steps().contains(&Step::CloseCash));
    let mut by_hand = life.clone();
    by_hand.deliver(None, Some(6_100)).unwrap();
    assert_eq!(by_hand.stands(), (OrderStatus::Completed, PaymentStatus::Collected));
    // Or its remittance says it.
    life.remit(6_100, 0, 6_100).unwrap();
    assert_eq!(life.stands(), (OrderStatus::Completed, PaymentStatus::Collected));
    assert!(life.steps().contains(&Step::CloseCash));

    // In another currency, or for what is paid already: somebody has to ask.
    let mut life = booked();
    let usd = Some(Money::new(60, "USD".parse().unwrap()));
    life.told(CourierStatus::Delivered, usd).unwrap();
    assert_eq!(life.view().attention, ["parcel_astray"]);
    assert_eq!(life.order.parcels()[0].status, ShipmentStatus::HandedOver);
}

#[test]
fn what_a_buyer_sends_back_is_given_back_by_hand() {
    let mut life = Life::on_its_way();
    life.deliver(None, Some(6_100)).unwrap();
    let (id, reason) = (ReturnId::from_uuid(Uuid::from_u128(77)), CreditReason::Damaged);
    let lines = vec![WantedLine { sku: sku(0), quantity: 3 }];
    let wanted = Box::new(NewReturn { id, vendor: vendor(0), lines, reason });
    life.tell(OrderCommand::AskReturn { by: SHOP, wanted }).unwrap();
    let received = ReceivedLine { sku: sku(0), quantity: 3, condition: Condition::Damaged };
    for step in [ReturnStep::Approve, ReturnStep::Receive { lines: vec![received] }] {
        life.tell(OrderCommand::MoveReturn { by: SHOP, id, step: Box::new(step), seed: seed(300) }).unwrap();
    }
    // Who gives back all of it has all again that was taken.
    let view = life.view();
    let refund = &view.refunds[0];
    assert_eq!((refund.amount, refund.status), (6_100, RefundStatus::Requested));
    let retry = OrderCommand::RetryRefund { by: SHOP, refund: refund.id, attempt: 1 };
    assert_eq!(life.tell(retry), Err(Reject::RefundNotOpen { status: RefundStatus::Requested }));
    let (by, reference) = (SHOP, "B-2".to_owned());
    life.tell(OrderCommand::MarkRefundPaid { by, refund: refund.id, reference }).unwrap();
    let share = life.view().sub_orders[0].amounts;
    assert_eq!((share.paid, share.refunded, share.refund_due, share.total_due), (6_100, 6_100, 0, 0));
}

/// Whatever of it is given back, in amounts or as a whole: never more than was taken, and in the end all of it.
#[test]
fn what_was_rounded_at_the_door_is_not_given_back_beyond_what_was_taken() {
    for (collected, amounts, refunds) in [
        // Of 60.60: rounded down, and up.
        (6_000, [6_000, 60], [6_000, 0]),
        (6_000, [5_000, 1_060], [5_000, 1_000]),
        (6_100, [6_000, 60], [6_000, 100]),
        (6_060, [1, 6_059], [1, 6_059]),
    ] {
        let mut life = Life::on_its_way();
        life.deliver(None, Some(collected)).unwrap();
        for (number, (minor, refund)) in amounts.into_iter().zip(refunds).enumerate() {
            let wanted = Wanted::Amount { minor, shipping: false };
            let seed = seed(400 + number as u128);
            let before = life.view().amounts.refund_due;
            let told = life.tell(OrderCommand::Credit { by: SHOP, vendor: vendor(0), wanted, seed });
            let due = life.view().amounts.refund_due - before;
            // The last paisa were never taken: there is nothing of them to give back as an amount.
            let is_refused = matches!(told, Err(Reject::RefundExceedsPayment { .. }));
            assert_eq!(due, if is_refused { 0 } else { refund }, "{collected} {minor}");
        }
        let share = life.view().sub_orders[0].amounts;
        assert!(share.refund_due <= share.paid, "{share:?}");
    }
}
