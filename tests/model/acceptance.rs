//! Paid shares that nobody begins with: what an order says of them, and what it cancels, whatever was done before.

use crate::world::World;
use crate::world::gateway::APPROVE;
use crate::world::shop::{sku, vendor};
use haat::domain::buyer::Mint;
use haat::domain::entity::Principal;
use haat::domain::entity::concerns::*;
use haat::domain::ids::{CreditId, ShipmentId};
use haat::domain::knowledge::Knowledge;
use haat::domain::money::Money;
use haat::domain::order::{
    CreditReason, CreditSeed, DisputeStatus, DisputeTold, HoldReason, NewParcel, Order, OrderCommand, OrderEvent,
    ParcelStep, SubOrderStatus, Wanted,
};
use haat::domain::rows::OrderRow;
use haat::domain::time::Timestamp;
use haat::domain::vendor::WantedLine;
use uuid::Uuid;

const HOUR_MS: i64 = 60 * 60 * 1000;
const WITHIN_MS: i64 = 48 * HOUR_MS;
const SHOP: Principal = Principal::SHOP;

fn seed(number: u128) -> CreditSeed {
    CreditSeed { id: CreditId::from_uuid(Uuid::from_u128(number)), mint: Mint([1; 4]), reason: CreditReason::Other }
}

/// A paid order of two vendors.
struct Paid {
    order: Order,
    paid_at: Timestamp,
    now: Timestamp,
}

impl Paid {
    fn new() -> Self {
        let mut world = World::shop(2);
        for (of, quantity) in [((0, 0), 5), ((0, 1), 2), ((1, 0), 4)] {
            world.set_line(0, of, quantity).unwrap();
        }
        let (order, _) = world.check_out(0, APPROVE, None).unwrap();
        world.settle();
        let order = world.orders[&order].entity.clone();
        Self { order, paid_at: world.now, now: world.now }
    }

    fn decide(&self, command: &OrderCommand) -> Vec<OrderEvent> {
        self.order.decide(command, &Knowledge::NOTHING, self.now).expect("it is decided")
    }

    fn apply(&mut self, events: &[OrderEvent]) {
        for event in events {
            self.order.apply(event, self.now);
        }
        self.order.check().unwrap_or_else(|breach| panic!("{events:?}: {breach:?}"));
    }

    fn act(&mut self, command: &OrderCommand) -> Vec<OrderEvent> {
        let events = self.decide(command);
        self.apply(&events);
        events
    }

    fn due(cancel: bool) -> OrderCommand {
        OrderCommand::AcceptanceDue { within_ms: WITHIN_MS, cancel: cancel.then(|| seed(99)) }
    }

    /// So many milliseconds after it was paid.
    fn at(&mut self, after_ms: i64) {
        self.now = self.paid_at.plus_millis(after_ms);
    }

    /// Whose shares it says to be overdue with these events, and of whose it cancels something.
    fn said(events: &[OrderEvent]) -> (Vec<usize>, Vec<usize>) {
        let number = |id| (0..2).find(|number| vendor(*number) == id).expect("one of the two");
        let (mut overdue, mut cancelled) = (Vec::new(), Vec::new());
        for event in events {
            match event {
                OrderEvent::AcceptanceOverdue { vendor } => overdue.push(number(*vendor)),
                OrderEvent::Credited { credit, .. } => cancelled.push(number(credit.vendor)),
                other => panic!("{other:?}"),
            }
        }
        (overdue, cancelled)
    }

    fn row(&self) -> OrderRow {
        self.order.row().expect("it has a row")
    }

    fn needs_somebody(&self) -> bool {
        let told = self.order.attention().contains(&"not_accepted");
        assert_eq!(
            self.row().sub_orders.iter().any(|share| share.overdue_since.is_some()),
            told,
            "the rows say so, too"
        );
        told
    }
}

fn one(of: usize) -> Vec<WantedLine> {
    vec![WantedLine { sku: sku(of, 0), quantity: 1 }]
}

fn ship(of: usize) -> OrderCommand {
    let id = ShipmentId::from_uuid(Uuid::from_u128(7));
    let (vendor, courier) = (vendor(of), "own".into());
    let parcel = NewParcel { id, vendor, lines: one(of), courier, tracking_number: None, booking: None };
    OrderCommand::Ship { by: SHOP, parcel: Box::new(parcel) }
}

fn units(of: usize, lines: Vec<WantedLine>) -> OrderCommand {
    OrderCommand::Credit { by: SHOP, vendor: vendor(of), wanted: Wanted::Units(lines), seed: seed(1) }
}

#[test]
fn what_was_begun_in_time_is_not_overdue_and_the_rest_is_told_once() {
    let pack = || OrderCommand::Pack { by: SHOP, vendor: vendor(0), lines: one(0) };
    let unpack = || OrderCommand::Unpack { by: SHOP, vendor: vendor(0), lines: Vec::new() };
    let hold = || OrderCommand::HoldShare { by: SHOP, vendor: vendor(0), reason: HoldReason::Address };
    let resume = || OrderCommand::ResumeShare { by: SHOP, vendor: vendor(0) };
    let cases: [(&str, Vec<OrderCommand>, &[usize]); 8] = [
        ("nothing is begun", vec![], &[0, 1]),
        ("one piece is packed", vec![pack()], &[1]),
        ("it was packed, and is not any more", vec![pack(), unpack()], &[0, 1]),
        ("a piece lies in a parcel", vec![ship(0)], &[1]),
        ("some of it is cancelled", vec![units(0, one(0))], &[0, 1]),
        ("all of it is cancelled", vec![units(0, Vec::new())], &[1]),
        ("somebody has stopped it", vec![hold()], &[1]),
        ("it was stopped, and goes on", vec![hold(), resume()], &[0, 1]),
    ];
    for (name, before, overdue) in cases {
        let mut paid = Paid::new();
        before.iter().for_each(|command| drop(paid.act(command)));
        paid.at(WITHIN_MS - 1);
        assert_eq!(paid.act(&Paid::due(false)), [], "{name}: in time");
        assert!(!paid.needs_somebody(), "{name}");
        paid.at(WITHIN_MS);
        assert_eq!(Paid::said(&paid.act(&Paid::due(false))), (overdue.to_vec(), vec![]), "{name}");
        assert_eq!(paid.needs_somebody(), !overdue.is_empty(), "{name}");
        paid.at(2 * WITHIN_MS);
        assert_eq!(paid.act(&Paid::due(false)), [], "{name}: it was told");
    }
}

/// What was told is nobody's matter any more once it is begun, or gone.
#[test]
fn what_is_overdue_needs_somebody_until_it_is_begun_or_gone() {
    let endings = [OrderCommand::Pack { by: SHOP, vendor: vendor(0), lines: one(0) }, ship(0), units(0, Vec::new())];
    for ending in endings {
        let mut paid = Paid::new();
        paid.act(&OrderCommand::Pack { by: SHOP, vendor: vendor(1), lines: Vec::new() });
        paid.at(WITHIN_MS);
        assert_eq!(Paid::said(&paid.act(&Paid::due(false))), (vec![0], vec![]));
        assert!(paid.needs_somebody());
        paid.act(&ending);
        assert!(!paid.needs_somebody(), "{ending:?}");
        assert_eq!(paid.act(&Paid::due(true)), [], "{ending:?}: nothing is left to cancel");
    }
}

/// Whoever packs first wins: what was begun is not cancelled, and what was cancelled is not packed.
#[test]
fn what_nobody_begins_with_is_cancelled_where_that_is_wanted_and_nothing_else() {
    let mut paid = Paid::new();
    paid.act(&OrderCommand::Pack { by: SHOP, vendor: vendor(1), lines: one(1) });
    paid.at(WITHIN_MS);
    let events = paid.act(&Paid::due(true));
    assert_eq!(Paid::said(&events), (vec![0], vec![0]));
    let Some(OrderEvent::Credited { credit, refund_requested }) = events.last() else { panic!("{events:?}") };
    assert_eq!((credit.reason, credit.by, credit.shipped), (CreditReason::CannotDeliver, None, false));
    let units: i64 = credit.lines.iter().map(|line| line.units).sum();
    assert_eq!((units, refund_requested.map(|asked| asked.amount)), (7, Some(credit.amount())));
    let statuses: Vec<SubOrderStatus> = paid.row().sub_orders.iter().map(|share| share.status).collect();
    assert_eq!(statuses, [SubOrderStatus::Cancelled, SubOrderStatus::PartiallyPacked]);
    assert_eq!(paid.act(&Paid::due(true)), [], "once");
    let pack = OrderCommand::Pack { by: SHOP, vendor: vendor(0), lines: one(0) };
    assert!(paid.order.decide(&pack, &Knowledge::NOTHING, paid.now).is_err(), "it comes too late");
    assert!(!paid.needs_somebody());
}

/// While a bank decides whose the money is nothing is given back: it is told, and cancelled once that is over.
#[test]
fn what_cannot_be_cancelled_now_is_told_now_and_cancelled_later() {
    let mut paid = Paid::new();
    let amount = Money::new(paid.row().amounts.total, paid.row().currency);
    let told = |status| OrderCommand::DisputeTold {
        told: DisputeTold { id: "dp_1".into(), status, amount, reason: "fraudulent".into() },
        mint: Mint([2; 4]),
    };
    paid.act(&told(DisputeStatus::Open));
    paid.at(WITHIN_MS);
    assert_eq!(Paid::said(&paid.act(&Paid::due(true))), (vec![0, 1], vec![]));
    assert_eq!(paid.act(&Paid::due(true)), [], "told once");
    paid.act(&told(DisputeStatus::Won));
    assert_eq!(Paid::said(&paid.act(&Paid::due(true))), (vec![], vec![0, 1]));
    assert!(!paid.needs_somebody());
}

/// The rows of an order: when its parcels were made, and what of it is left to pack where its status does not say.
#[test]
fn rows_say_when_parcels_were_made_and_what_is_left_to_pack() {
    let mut paid = Paid::new();
    assert_eq!((paid.row().shipments, paid.row().returns), (vec![], vec![]));
    paid.at(HOUR_MS);
    paid.act(&ship(0));
    let made_at = paid.now;
    paid.at(2 * HOUR_MS);
    let id = ShipmentId::from_uuid(Uuid::from_u128(7));
    let moved = |step| OrderCommand::MoveParcel { by: SHOP, shipment: id, step: Box::new(step), seed: seed(2) };
    assert_eq!(paid.row().sub_orders[0].to_pack, None, "its status says that something is to be packed");
    paid.act(&moved(ParcelStep::HandOver));
    let row = paid.row();
    assert_eq!((row.shipments.len(), row.shipments[0].made_at, row.sub_orders[0].to_pack), (1, made_at, Some(6)));
    paid.act(&OrderCommand::Pack { by: SHOP, vendor: vendor(0), lines: Vec::new() });
    assert_eq!(paid.row().sub_orders[0].to_pack, None, "all that is left is packed");
}
