//! Samples of delivery slots.

use super::{at, credit_id, held, order, placement, sku, vendor};
use haat::domain::buyer::HeldFor;
use haat::domain::entity::Principal;
use haat::domain::money::Currency;
use haat::domain::order::{OrderCommand, OrderEvent, OrderView, SubOrderView};
use haat::domain::reject::Reject;
use haat::domain::vendor::{
    DeliveryPlan, DeliveryWindow, HeldLine, RestockedUnits, Slot, SlotId, SlotRefused, SlotView, VendorCommand,
    VendorEvent, VendorReply, WantedLine,
};

pub fn slot_id() -> SlotId {
    "20261201-1000-1200".parse().unwrap()
}

fn slot() -> Slot {
    Slot { id: slot_id(), zone: "Europe/Berlin".into(), starts_at: at(600_000), ends_at: at(7_800_000) }
}

fn plan(full: bool) -> DeliveryPlan {
    let window = DeliveryWindow { weekday: 2, from: 600, to: 720, capacity: 40, cut_off: if full { 120 } else { 0 } };
    let closed = if full { vec!["2026-12-16".parse().unwrap()] } else { Vec::new() };
    DeliveryPlan { zone: "Europe/Berlin".into(), windows: vec![window], closed, days_ahead: 14 }
}

pub fn vendor_events() -> Vec<VendorEvent> {
    let slot = Some(Box::new(slot()));
    vec![
        VendorEvent::DeliveryPlanSet { plan: Some(Box::new(plan(true))) },
        VendorEvent::DeliveryPlanSet { plan: Some(Box::new(plan(false))) },
        VendorEvent::DeliveryPlanSet { plan: None },
        VendorEvent::StockHeld {
            order: order(),
            until: at(900_000),
            lines: held(),
            keys: Vec::new(),
            account_keys: 0,
            slot,
        },
        VendorEvent::Restocked {
            order: order(),
            credit: credit_id(),
            lines: vec![HeldLine::at_list_price(sku(0), 1, 125_000)],
            keys: Vec::new(),
            account_keys: 0,
            slot: Some(slot_id()),
        },
    ]
}

pub fn vendor_commands() -> Vec<VendorCommand> {
    let by = Principal::vendor(vendor());
    let units = RestockedUnits {
        order: order(),
        credits: vec![(credit_id(), vec![HeldLine::at_list_price(sku(0), 1, 125_000)])],
        keys: Vec::new(),
        account_keys: 0,
        slot: Some((credit_id(), slot_id())),
    };
    vec![
        VendorCommand::SetDeliveryPlan { by, version: 3, plan: Some(Box::new(plan(true))) },
        VendorCommand::SetDeliveryPlan { by, version: 4, plan: None },
        VendorCommand::GetDeliveryPlan { by },
        VendorCommand::GetSlots { at: at(7) },
        VendorCommand::Reserve {
            order: order(),
            until: at(900_000),
            currency: Currency::BDT,
            lines: vec![WantedLine { sku: sku(0), quantity: 2 }],
            held_for: Box::new(HeldFor { slot: Some(slot_id()), ..HeldFor::default() }),
        },
        VendorCommand::Restock { units: Box::new(units) },
    ]
}

pub fn vendor_replies() -> Vec<VendorReply> {
    vec![
        VendorReply::DeliveryPlan { version: 3, plan: Some(Box::new(plan(true))) },
        VendorReply::DeliveryPlan { version: 0, plan: None },
        VendorReply::Slots { slots: vec![SlotView { slot: slot(), cut_off_at: at(5), left: 7 }] },
    ]
}

pub fn refusals() -> Vec<Reject> {
    let refused = |why| Reject::SlotFull { vendor_id: vendor(), slot_id: slot_id(), why };
    vec![
        refused(SlotRefused::Full),
        refused(SlotRefused::CutOff),
        refused(SlotRefused::NotOffered),
        Reject::DeliveryPlanChanged,
    ]
}

pub fn events() -> Vec<OrderEvent> {
    let vendor = vendor();
    let mut wished = placement(false);
    wished.slots = vec![(vendor, slot_id())];
    vec![
        OrderEvent::StockHeld { vendor, lines: Vec::new(), slot: Some(Box::new(slot())) },
        OrderEvent::Placed { placement: wished, hold_until: at(900_000), payment_due_at: at(600_000), return_days: 14 },
    ]
}

pub fn commands() -> Vec<OrderCommand> {
    vec![OrderCommand::StockHeld { vendor: vendor(), lines: held(), slot: Some(Box::new(slot())) }]
}

/// How an order is shown of which a share is to be brought in a slot.
pub fn chosen(view: OrderView) -> OrderView {
    let share = |share: SubOrderView| SubOrderView { slot: Some(Box::new(slot())), ..share };
    OrderView { sub_orders: view.sub_orders.into_iter().map(share).collect(), ..view }
}
