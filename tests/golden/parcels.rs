//! Samples of what happens to parcels and to returns.

use super::{at, credit, credit_id, refund_id, seed, sku, units, uuid, vendor};
use haat::domain::buyer::Mint;
use haat::domain::courier::CourierStatus;
use haat::domain::entity::{By, Principal};
use haat::domain::ids::{ReturnId, ShipmentId};
use haat::domain::money::{Currency, Money};
use haat::domain::order::{
    CancelWish, Condition, Corrected, CourierSays, Credit, CreditReason, Goods, HoldReason, NewParcel, NewReturn,
    OrderCommand, OrderEvent, OrderLine, OrderView, Parcel, ParcelEnd, ParcelStep, ReceivedLine, Return, ReturnStatus,
    ReturnStep, ShipmentStatus, SubOrderStatus, SubOrderView, Wanted,
};

fn shipment() -> ShipmentId {
    ShipmentId::from_uuid(uuid(91))
}

fn return_id() -> ReturnId {
    ReturnId::from_uuid(uuid(92))
}

fn parcel(tracked: bool) -> NewParcel {
    let tracking_number = tracked.then(|| "RX-4711".into());
    let booking = (!tracked).then_some(Mint([1, 2, 3, 4]));
    NewParcel {
        id: shipment(),
        vendor: vendor(),
        lines: vec![units()],
        courier: "own".into(),
        tracking_number,
        booking,
    }
}

fn wanted() -> NewReturn {
    NewReturn { id: return_id(), vendor: vendor(), lines: vec![units()], reason: CreditReason::Damaged }
}

fn wish(by: Option<By>) -> CancelWish {
    CancelWish { seed: seed(), vendor: vendor(), lines: vec![units()], by, waits: vec![shipment()] }
}

fn received() -> Vec<ReceivedLine> {
    Condition::ALL.iter().map(|condition| ReceivedLine { sku: sku(0), quantity: 1, condition: *condition }).collect()
}

fn steps() -> Vec<ParcelStep> {
    vec![
        ParcelStep::HandOver,
        ParcelStep::Deliver { accepted: None, collected: None },
        ParcelStep::Deliver { accepted: Some(vec![units()]), collected: None },
        ParcelStep::Deliver { accepted: Some(Vec::new()), collected: None },
        ParcelStep::Cancel,
        ParcelStep::Returned,
        ParcelStep::Lost,
        ParcelStep::Booked { tracking_number: "P-1".into() },
        ParcelStep::BookingRefused { why: "address_unknown".into() },
        ParcelStep::AskCancel,
        ParcelStep::CancelRefused,
        ParcelStep::Astray,
        ParcelStep::Correct { to: ParcelEnd::Delivered },
        ParcelStep::Correct { to: ParcelEnd::Returned },
        ParcelStep::Correct { to: ParcelEnd::Lost },
    ]
}

fn return_steps() -> Vec<ReturnStep> {
    let receive = ReturnStep::Receive { lines: received() };
    vec![ReturnStep::Approve, ReturnStep::Deny, receive, ReturnStep::Close, ReturnStep::Cancel]
}

pub fn events() -> Vec<OrderEvent> {
    let (vendor, by) = (vendor(), By::of(Principal::SHOP));
    let mut events = vec![
        OrderEvent::Packed { vendor, lines: vec![units()], by },
        OrderEvent::Unpacked { vendor, lines: vec![units()], by: None },
        OrderEvent::ShareResumed { vendor, by },
        OrderEvent::ShipmentMade { parcel: Box::new(parcel(false)), by },
        OrderEvent::ShipmentMade { parcel: Box::new(parcel(true)), by: None },
        OrderEvent::CancelWished { wish: Box::new(wish(None)) },
        OrderEvent::CancelWished { wish: Box::new(wish(by)) },
        OrderEvent::CancelWishDropped { credit: credit_id() },
        OrderEvent::AcceptanceOverdue { vendor },
        OrderEvent::ReturnRequested { wanted: Box::new(wanted()), by: None, exception: false },
        OrderEvent::ReturnRequested { wanted: Box::new(wanted()), by, exception: true },
    ];
    events.extend(HoldReason::ALL.iter().map(|reason| OrderEvent::SharePutOnHold { vendor, reason: *reason, by }));
    let moved = |step| OrderEvent::ShipmentMoved { shipment: shipment(), step: Box::new(step), by };
    events.extend(steps().into_iter().map(moved));
    let moved = |step| OrderEvent::ReturnMoved { id: return_id(), step: Box::new(step), refund: None, by };
    events.extend(return_steps().into_iter().map(moved));
    let step = Box::new(ReturnStep::Receive { lines: received() });
    events.push(OrderEvent::ReturnMoved { id: return_id(), step, refund: Some(refund_id()), by: None });
    for restock in [None, Some(Vec::new()), Some(vec![units()])] {
        let reason = CreditReason::DeliveryRefused;
        let credit = Credit { id: credit_id(), reason, shipped: true, restock, ..credit(false) };
        events.push(OrderEvent::Credited { credit: Box::new(credit), refund_requested: None });
    }
    events
}

pub fn commands() -> Vec<OrderCommand> {
    let (vendor, by) = (vendor(), Principal::SHOP);
    let mut commands = vec![
        OrderCommand::Pack { by, vendor, lines: Vec::new() },
        OrderCommand::Unpack { by, vendor, lines: vec![units()] },
        OrderCommand::HoldShare { by, vendor, reason: HoldReason::FraudCheck },
        OrderCommand::ResumeShare { by, vendor },
        OrderCommand::Ship { by, parcel: Box::new(parcel(true)) },
        OrderCommand::AcceptanceDue { within_ms: 1_000, cancel: None },
        OrderCommand::AcceptanceDue { within_ms: 1_000, cancel: Some(seed()) },
        OrderCommand::OpenWishes,
        OrderCommand::CourierSays {
            shipment: shipment(),
            mint: Mint([1, 2, 3, 4]),
            says: CourierSays::Booked { tracking_number: "P-1".into() },
        },
        OrderCommand::CourierSays {
            shipment: shipment(),
            mint: Mint([1, 2, 3, 4]),
            says: CourierSays::Refused { why: "x".into() },
        },
        OrderCommand::CourierSays { shipment: shipment(), mint: Mint([1, 2, 3, 4]), says: CourierSays::NotFetched },
        OrderCommand::CourierSays { shipment: shipment(), mint: Mint([1, 2, 3, 4]), says: CourierSays::TooLate },
        OrderCommand::CourierTold {
            shipment: shipment(),
            mint: Mint([1, 2, 3, 4]),
            status: CourierStatus::Delivered,
            accepted: Vec::new(),
            collected: None,
        },
        OrderCommand::CourierTold {
            shipment: shipment(),
            mint: Mint([1, 2, 3, 4]),
            status: CourierStatus::PartlyDelivered,
            accepted: vec![units()],
            collected: Some(Money::new(6_100, Currency::BDT)),
        },
        OrderCommand::AskReturn { by, wanted: Box::new(wanted()) },
        OrderCommand::Credit {
            by,
            vendor,
            wanted: Wanted::Shipped { lines: vec![units()], shipping: true, restock: true },
            seed: seed(),
        },
    ];
    let (shipment, id) = (shipment(), return_id());
    let moved = |step| OrderCommand::MoveParcel { by, shipment, step: Box::new(step), seed: seed() };
    commands.extend(steps().into_iter().map(moved));
    let moved = |step| OrderCommand::MoveReturn { by, id, step: Box::new(step), seed: seed() };
    commands.extend(return_steps().into_iter().map(moved));
    commands
}

/// How an order is shown of which something was shipped and sent back.
pub fn shipped(view: OrderView) -> OrderView {
    let goods = Goods {
        packed: 1,
        in_parcels: 2,
        shipped: 9,
        delivered: 4,
        refused: 2,
        lost: 1,
        returned: 1,
        credited: 3,
        restocked: 2,
    };
    let parcel = Parcel {
        id: shipment(),
        vendor: vendor(),
        lines: vec![units()],
        status: ShipmentStatus::Delivered,
        courier: "own".into(),
        tracking_number: Some("RX-4711".into()),
        accepted: vec![units()],
        handed_over_at: Some(at(1_000)),
        delivered_at: Some(at(2_000)),
        came_back: true,
        mint: Some(Mint([1, 2, 3, 4])),
        refused: Some("address_unknown".into()),
        cancelling: true,
        astray: true,
        cash: None,
        corrected: Some(Corrected { times: 2, at: at(3_000) }),
    };
    let line = |line: OrderLine| OrderLine { goods: Some(Box::new(goods)), ..line };
    let share = |share: SubOrderView| SubOrderView {
        status: SubOrderStatus::PartiallyDelivered,
        parcels: vec![parcel.clone()],
        on_hold: Some(HoldReason::OutOfStock),
        ..share
    };
    let known = Return {
        id: return_id(),
        vendor: vendor(),
        status: ReturnStatus::Received,
        lines: vec![units()],
        reason: CreditReason::Damaged,
        received: received(),
        refund: Some(refund_id()),
    };
    OrderView {
        lines: view.lines.into_iter().map(line).collect(),
        sub_orders: view.sub_orders.into_iter().map(share).collect(),
        cancelling: true,
        returns: vec![known],
        ..view
    }
}
