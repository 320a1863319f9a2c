//! Samples of orders that are paid at the door.

use super::{refund_id, seed, uuid, vendor};
use haat::domain::buyer::Mint;
use haat::domain::customer::{CustomerCommand, CustomerEvent, CustomerReply};
use haat::domain::entity::{By, Principal};
use haat::domain::ids::{CustomerId, OrderId, ShipmentId};
use haat::domain::order::{
    Cash, Collection, OrderCommand, OrderEvent, OrderView, Parcel, ParcelStep, Party, RefundAsked, Remittance,
    SubOrderView,
};

fn party() -> Party {
    Party::Cash(CustomerId::from_uuid(uuid(93)))
}

fn order() -> OrderId {
    OrderId::from_uuid(uuid(94))
}

fn shipment() -> ShipmentId {
    ShipmentId::from_uuid(uuid(91))
}

fn told(fee: i64) -> Remittance {
    Remittance { collected: 6_100, fee, remitted: 6_100 - fee }
}

pub fn events() -> Vec<OrderEvent> {
    let (shipment, vendor, by) = (shipment(), vendor(), By::of(Principal::SHOP));
    let collection = |rounding| Collection { shipment, vendor, amount: 6_100, rounding };
    let refund_requested = Some(RefundAsked { id: refund_id(), amount: 40, mint: Mint([1, 2, 3, 4]) });
    vec![
        OrderEvent::LegAsked { with: party() },
        OrderEvent::LegHeld { with: party() },
        OrderEvent::Confirmed,
        OrderEvent::CashCollected { collection: collection(40), refund_requested: None, by: None },
        OrderEvent::CashCollected { collection: collection(0), refund_requested, by },
        OrderEvent::CashRemitted { shipment, vendor, told: told(100), by },
        OrderEvent::CashRemitted { shipment, vendor, told: told(0), by: None },
    ]
}

pub fn commands() -> Vec<OrderCommand> {
    let (by, shipment, mint) = (Principal::SHOP, shipment(), Mint([1, 2, 3, 4]));
    let step = ParcelStep::Deliver { accepted: None, collected: Some(6_100) };
    vec![
        OrderCommand::RemitCash { by, shipment, told: told(100), mint },
        OrderCommand::MoveParcel { by, shipment, step: Box::new(step), seed: seed() },
    ]
}

pub fn customer_events() -> Vec<CustomerEvent> {
    let order = order();
    vec![
        CustomerEvent::CashOpened { order },
        CustomerEvent::CashClosed { order, refused: false },
        CustomerEvent::CashClosed { order, refused: true },
    ]
}

pub fn customer_commands() -> Vec<CustomerCommand> {
    let order = order();
    vec![
        CustomerCommand::OpenCash { order },
        CustomerCommand::KeepCash { order },
        CustomerCommand::CloseCash { order, refused: false },
        CustomerCommand::CloseCash { order, refused: true },
    ]
}

pub fn customer_reply() -> CustomerReply {
    CustomerReply::Done
}

/// How an order is shown of which something was collected at the door.
pub fn collected(view: OrderView) -> OrderView {
    let cash = Some(Cash { collected: 6_100, remitted: Some(told(100)) });
    let parcel = |parcel: Parcel| Parcel { cash, ..parcel };
    let share = |share: SubOrderView| SubOrderView {
        to_collect: 6_100,
        parcels: share.parcels.into_iter().map(parcel).collect(),
        ..share
    };
    OrderView { sub_orders: view.sub_orders.into_iter().map(share).collect(), ..view }
}
