//! Refusals of what is done with goods: packing, parcels and returns.

use super::{checked_out, refusal};
use crate::world::gateway::{APPROVE, DECLINE};
use crate::world::shop::{buyer, sku, vendor};
use haat::domain::buyer::Mint;
use haat::domain::courier::CourierStatus;
use haat::domain::entity::Principal;
use haat::domain::entity::concerns::*;
use haat::domain::ids::{CreditId, ReturnId, ShipmentId};
use haat::domain::knowledge::Knowledge;
use haat::domain::order::{
    Condition, CreditReason, CreditSeed, HoldReason, NewParcel, NewReturn, NotFulfillable, NotReturnable, Order,
    OrderCommand, ParcelEnd, ParcelStep, ReceivedLine, ReturnStep, ShipmentStatus, Wanted,
};
use haat::domain::reject::Reject;
use haat::domain::time::Timestamp;
use haat::domain::vendor::WantedLine;
use haat::limits;
use uuid::Uuid;

const SHOP: Principal = Principal::SHOP;

fn seed(number: u128) -> CreditSeed {
    let id = CreditId::from_uuid(Uuid::from_u128(number));
    CreditSeed { id, mint: Mint([1; 4]), reason: CreditReason::Goodwill }
}

fn units(quantity: i64) -> Vec<WantedLine> {
    vec![WantedLine { sku: sku(0, 0), quantity }]
}

fn shipment(number: u128) -> ShipmentId {
    ShipmentId::from_uuid(Uuid::from_u128(number))
}

fn pack(quantity: i64) -> OrderCommand {
    OrderCommand::Pack { by: SHOP, vendor: vendor(0), lines: units(quantity) }
}

fn ship(number: u128, lines: Vec<WantedLine>) -> OrderCommand {
    let (id, courier) = (shipment(number), "own".into());
    let parcel = Box::new(NewParcel { id, vendor: vendor(0), lines, courier, tracking_number: None, booking: None });
    OrderCommand::Ship { by: SHOP, parcel }
}

fn step(number: u128, step: ParcelStep) -> OrderCommand {
    OrderCommand::MoveParcel { by: SHOP, shipment: shipment(number), step: Box::new(step), seed: seed(900 + number) }
}

fn hold() -> OrderCommand {
    OrderCommand::HoldShare { by: SHOP, vendor: vendor(0), reason: HoldReason::FraudCheck }
}

fn cancel(quantity: i64) -> OrderCommand {
    OrderCommand::Credit { by: SHOP, vendor: vendor(0), wanted: Wanted::Units(units(quantity)), seed: seed(1) }
}

fn refund(quantity: i64) -> OrderCommand {
    let wanted = Wanted::Shipped { lines: units(quantity), shipping: false, restock: false };
    OrderCommand::Credit { by: SHOP, vendor: vendor(0), wanted, seed: seed(2) }
}

fn send_back(by: Principal, number: u128, quantity: i64) -> OrderCommand {
    let (id, reason) = (ReturnId::from_uuid(Uuid::from_u128(number)), CreditReason::Damaged);
    OrderCommand::AskReturn {
        by,
        wanted: Box::new(NewReturn { id, vendor: vendor(0), lines: units(quantity), reason }),
    }
}

fn returned(number: u128, step: ReturnStep) -> OrderCommand {
    let id = ReturnId::from_uuid(Uuid::from_u128(number));
    OrderCommand::MoveReturn { by: SHOP, id, step: Box::new(step), seed: seed(700 + number) }
}

fn receive(quantity: i64) -> ReturnStep {
    let condition = Condition::Resellable;
    ReturnStep::Receive { lines: vec![ReceivedLine { sku: sku(0, 0), quantity, condition }] }
}

/// An order of 2 pieces that is paid.
fn paid() -> (Order, Timestamp) {
    let (mut world, order) = checked_out(APPROVE);
    world.settle();
    (world.orders[&order].entity.clone(), world.now)
}

fn after(order: &Order, commands: &[OrderCommand], now: Timestamp) -> Order {
    let mut order = order.clone();
    for command in commands {
        let events = order.decide(command, &Knowledge::NOTHING, now).expect("it is taken");
        events.iter().for_each(|event| order.apply(event, now));
    }
    order
}

fn not_fulfillable(why: NotFulfillable) -> Reject {
    Reject::NotFulfillable { why }
}

const ENDS: [ParcelEnd; 3] = [ParcelEnd::Delivered, ParcelEnd::Returned, ParcelEnd::Lost];

fn correct(to: ParcelEnd) -> ParcelStep {
    ParcelStep::Correct { to }
}

/// Every step of a parcel in every status that it can be in.
#[test]
fn every_step_is_decided_in_every_status() {
    use ShipmentStatus::{Cancelled, Delivered, Draft, HandedOver, Lost, Returned, Returning};
    let (order, now) = paid();
    let none = || ParcelStep::Deliver { accepted: Some(Vec::new()), collected: None };
    let all = || ParcelStep::Deliver { accepted: None, collected: None };
    let ways: [(ShipmentStatus, Vec<ParcelStep>); 7] = [
        (Draft, vec![]),
        (HandedOver, vec![ParcelStep::HandOver]),
        (Delivered, vec![all()]),
        (Returning, vec![ParcelStep::HandOver, none()]),
        (Returned, vec![none(), ParcelStep::Returned]),
        (Lost, vec![ParcelStep::HandOver, ParcelStep::Lost]),
        (Cancelled, vec![ParcelStep::Cancel]),
    ];
    for (status, way) in ways {
        let mut commands = vec![ship(1, Vec::new())];
        commands.extend(way.into_iter().map(|way| step(1, way)));
        let order = after(&order, &commands, now);
        assert_eq!(order.parcels()[0].status, status);
        let try_it = |way: ParcelStep| order.decide(&step(1, way), &Knowledge::NOTHING, now);
        // What changes something, what was done already, and what is refused.
        let says = |way| match try_it(way) {
            Ok(events) if events.is_empty() => "done",
            Ok(_) => "does",
            Err(Reject::AlreadyShipped) => "shipped",
            Err(Reject::NotFulfillable { .. }) => "refused",
            Err(other) => panic!("{other:?}"),
        };
        let steps = [ParcelStep::HandOver, all(), none(), ParcelStep::Cancel, ParcelStep::Returned, ParcelStep::Lost];
        let said = [steps.map(says).to_vec(), ENDS.map(correct).map(says).to_vec()].concat();
        let expected = match status {
            Draft => ["does", "does", "does", "does", "refused", "refused", "refused", "refused", "refused"],
            HandedOver => ["done", "does", "does", "shipped", "does", "does", "refused", "refused", "refused"],
            Delivered => ["refused", "done", "refused", "shipped", "refused", "refused", "done", "does", "does"],
            Returning => ["refused", "refused", "done", "shipped", "does", "refused", "refused", "refused", "refused"],
            Returned => ["refused", "refused", "refused", "shipped", "done", "refused", "refused", "done", "refused"],
            Lost => ["refused", "does", "does", "shipped", "does", "done", "does", "does", "done"],
            _ => ["refused", "refused", "refused", "done", "refused", "refused", "refused", "refused", "refused"],
        };
        assert_eq!(said, expected, "{status:?}");
    }
}

/// A courier that says "in part" and not what was taken has nothing given back: somebody has to ask it.
#[test]
fn a_delivery_in_part_without_what_was_taken_is_for_people() {
    let (order, now) = paid();
    let (id, mint) = (shipment(1), Mint([3; 4]));
    let parcel = NewParcel {
        id,
        vendor: vendor(0),
        lines: Vec::new(),
        courier: "platform".into(),
        tracking_number: None,
        booking: Some(mint),
    };
    let told = |status, accepted| OrderCommand::CourierTold { shipment: id, mint, status, accepted, collected: None };
    let booked = OrderCommand::Ship { by: SHOP, parcel: Box::new(parcel) };
    let out = after(&order, &[booked, told(CourierStatus::PickedUp, Vec::new())], now);
    for accepted in [Vec::new(), units(0)] {
        let partly = after(&out, &[told(CourierStatus::PartlyDelivered, accepted)], now);
        let view = partly.view(SHOP).expect("it is the staff's");
        assert_eq!((view.amounts.credited, partly.parcels()[0].status), (0, ShipmentStatus::HandedOver));
        assert_eq!(partly.attention(), ["parcel_astray"]);
    }
    let partly = after(&out, &[told(CourierStatus::PartlyDelivered, units(1))], now);
    assert_eq!(partly.parcels()[0].accepted, units(1));
}

/// The rows of these refusals.
pub fn rows(reject: &Reject) -> Vec<Reject> {
    let (order, now) = paid();
    let delivered =
        || after(&order, &[ship(1, Vec::new()), step(1, ParcelStep::Deliver { accepted: None, collected: None })], now);
    match reject {
        Reject::AlreadyShipped => {
            let out = after(&order, &[ship(1, units(1)), step(1, ParcelStep::HandOver)], now);
            let gone = after(&out, &[cancel(1)], now);
            vec![
                refusal(&out, cancel(2), now),
                refusal(
                    &gone,
                    OrderCommand::Credit {
                        by: buyer(0),
                        vendor: vendor(0),
                        wanted: Wanted::Units(Vec::new()),
                        seed: seed(3),
                    },
                    now,
                ),
                refusal(&out, OrderCommand::CancelAll { by: buyer(0), seed: seed(4) }, now),
                refusal(&out, step(1, ParcelStep::Cancel), now),
            ]
        }
        Reject::NotFulfillable { .. } => {
            let held = after(&order, &[ship(1, units(1)), hold()], now);
            let out = after(&order, &[ship(1, units(1)), step(1, ParcelStep::HandOver)], now);
            let too_many = ParcelStep::Deliver { accepted: Some(units(2)), collected: None };
            let back = after(&out, &[step(1, ParcelStep::Returned)], now);
            let partly = ParcelStep::Deliver { accepted: Some(units(1)), collected: None };
            let partly = after(&order, &[ship(1, Vec::new()), step(1, partly)], now);
            let asked = after(&delivered(), &[send_back(buyer(0), 1, 1)], now);
            let twice = [step(1, correct(ParcelEnd::Lost)), step(1, correct(ParcelEnd::Delivered))];
            let times = limits::CORRECTIONS_PER_SHIPMENT as usize / twice.len();
            let often = after(&delivered(), &vec![twice; times].concat(), now);
            let (mut world, waiting) = checked_out(DECLINE);
            world.settle();
            let ended = world.orders[&waiting].entity.clone();
            let rows = [
                (refusal(&order, pack(3), now), NotFulfillable::UnitsNotLeft),
                (refusal(&order, ship(2, units(3)), now), NotFulfillable::UnitsNotLeft),
                (refusal(&held, pack(1), now), NotFulfillable::OnHold),
                (refusal(&held, ship(2, units(1)), now), NotFulfillable::OnHold),
                (refusal(&held, step(1, ParcelStep::HandOver), now), NotFulfillable::OnHold),
                (refusal(&out, step(1, too_many), now), NotFulfillable::NotInShipment),
                (refusal(&order, refund(1), now), NotFulfillable::NotHandedOver),
                (refusal(&out, refund(2), now), NotFulfillable::NotHandedOver),
                (refusal(&ended, pack(1), now), NotFulfillable::NotPaid),
                (refusal(&out, step(1, correct(ParcelEnd::Lost)), now), NotFulfillable::ShipmentStatus),
                (refusal(&back, step(1, correct(ParcelEnd::Delivered)), now), NotFulfillable::BackInStock),
                (refusal(&partly, step(1, correct(ParcelEnd::Lost)), now), NotFulfillable::AcceptedInPart),
                (refusal(&partly, step(1, correct(ParcelEnd::Delivered)), now), NotFulfillable::AcceptedInPart),
                (refusal(&asked, step(1, correct(ParcelEnd::Lost)), now), NotFulfillable::UnitsInReturn),
                (refusal(&asked, step(1, correct(ParcelEnd::Returned)), now), NotFulfillable::UnitsInReturn),
                (refusal(&often, step(1, correct(ParcelEnd::Lost)), now), NotFulfillable::TooManyCorrections),
            ];
            rows.into_iter()
                .map(|(refused, why)| {
                    assert_eq!(refused, not_fulfillable(why));
                    refused
                })
                .collect()
        }
        Reject::ShipmentUnknown => {
            vec![refusal(&order, step(9, ParcelStep::HandOver), now), refusal(&order, step(9, ParcelStep::Lost), now)]
        }
        Reject::NotReturnable { .. } => {
            let delivered = delivered();
            let asked = after(&delivered, &[send_back(buyer(0), 1, 1)], now);
            let allowed = after(&asked, &[returned(1, ReturnStep::Approve)], now);
            let late = now.plus_millis(14 * 24 * 60 * 60 * 1000);
            let until = Some(late);
            let closed = refusal(&delivered, send_back(buyer(0), 1, 1), late);
            assert_eq!(closed, Reject::NotReturnable { why: NotReturnable::WindowClosed, until });
            let in_time = delivered.decide(&send_back(buyer(0), 1, 1), &Knowledge::NOTHING, late.plus_millis(-1));
            assert!(in_time.is_ok(), "the last moment counts");
            assert!(
                delivered.decide(&send_back(SHOP, 1, 1), &Knowledge::NOTHING, late).is_ok(),
                "to the staff it is advice"
            );
            let rows = [
                (refusal(&order, send_back(buyer(0), 1, 1), now), NotReturnable::NotDelivered),
                (refusal(&delivered, send_back(SHOP, 1, 3), now), NotReturnable::NotDelivered),
                (refusal(&asked, send_back(buyer(0), 2, 2), now), NotReturnable::AlreadyReturned),
                (refusal(&asked, returned(1, receive(1)), now), NotReturnable::Status),
                (refusal(&asked, returned(1, ReturnStep::Close), now), NotReturnable::Status),
                (refusal(&allowed, returned(1, receive(2)), now), NotReturnable::NotInReturn),
            ];
            let rows = rows.into_iter().map(|(refused, why)| {
                assert_eq!(refused, Reject::NotReturnable { why, until: None });
                refused
            });
            rows.chain([closed]).collect()
        }
        Reject::ReturnUnknown => vec![refusal(&order, returned(9, ReturnStep::Approve), now)],
        other => panic!("{other:?} is none of these"),
    }
}
