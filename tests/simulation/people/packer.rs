//! Who packs and ships what is paid, and sees to what comes back: the staff, couriers whose word they enter, and buyers who send things
//! back. They do it beside those who cancel and refund the same order, twice at once, and when it is too late.

use super::{Day, Person, Told};
use crate::node::Town;
use crate::world::lock;
use haat::actors::Answered;
use haat::domain::buyer::Mint;
use haat::domain::courier::CourierStatus;
use haat::domain::details::Words;
use haat::domain::entity::Principal;
use haat::domain::ids::{CreditId, Kind, OrderId, ReturnId, ShipmentId};
use haat::domain::money::Money;
use haat::domain::order::{
    Condition, CourierSays, CreditReason, CreditSeed, HoldReason, NewParcel, NewReturn, Order, OrderCommand, OrderLine,
    OrderReply, OrderView, Parcel, ParcelEnd, ParcelStep, ReceivedLine, RefundStatus, Remittance, Return, ReturnStatus,
    ReturnStep, ShipmentStatus, SubOrderView, Wanted,
};
use haat::domain::pricing::ON_DELIVERY;
use haat::domain::reject::Reject;
use haat::domain::vendor::WantedLine;
use std::sync::Arc;
use uuid::Uuid;

/// The newest that they look at.
const NEWEST: u64 = 20;

/// As many as there are of the staff.
pub fn come(town: &Arc<Town>) -> Vec<Day> {
    let day = |number| Box::pin(Packer(Person::new(town, format!("packer {number}"))).work()) as Day;
    (0..town.world.plan.staff).map(day).collect()
}

struct Packer(Person);

impl Packer {
    async fn work(mut self) {
        for _ in 0..3 * self.0.world().plan.actions {
            let person = &self.0;
            person.pause(person.world().plan.think_ms).await;
            let payments = person.town.books.payments();
            let cash = lock(&person.town.cash).clone();
            let newest = cash.len().saturating_sub(person.chance.below(NEWEST) as usize + 1);
            let cash = cash.get(newest).filter(|_| person.chance.per_mille(400));
            let id = match cash {
                Some(order) => *order,
                None => match !payments.is_empty() && person.chance.per_mille(950) {
                    true => {
                        let newest = payments.len().saturating_sub(person.chance.below(NEWEST) as usize + 1);
                        payments[newest]
                    }
                    // Of one that is not paid nothing is packed.
                    false => {
                        let made = lock(&person.town.made).clone();
                        let Some(entity) = made.iter().rev().find(|entity| entity.kind == Kind::Order) else {
                            continue;
                        };
                        OrderId::from_uuid(entity.uuid)
                    }
                },
            };
            let get = OrderCommand::Get { by: Principal::SHOP };
            let how = person.how(None, false);
            let Some(mut order) = person.ask_order(id, "get order", get, how).await else { continue };
            if order.sub_orders.is_empty() {
                continue;
            }
            let steps = if order.payment_method == ON_DELIVERY { 3 } else { 2 };
            for _ in 0..steps {
                let share = self.0.chance.pick(&order.sub_orders).clone();
                let command = self.command(&order, &share);
                self.ask(&order, command).await;
                if order.payment_method == ON_DELIVERY {
                    let get = OrderCommand::Get { by: Principal::SHOP };
                    let how = self.0.how(None, false);
                    let Some(now) = self.0.ask_order(id, "get order", get, how).await else { break };
                    order = now;
                }
            }
        }
    }

    async fn ask(&mut self, order: &OrderView, command: OrderCommand) {
        let tag = self.0.tag();
        let person = &self.0;
        let key = person.chance.per_mille(400).then(|| Person::key(&tag));
        let how = person.how(key, false);
        let what = "move goods";
        // Those that make something to speak of are kept with what is said.
        let words = person.world().chance("words").per_mille(300).then(|| Words(format!("said {tag:?}")));
        let (said, command) = (command.clone(), command.with_words(words));
        let told = match person.chance.per_mille(200) {
            true => {
                let twice = tokio::join!(
                    person.ask::<Order>(order.id, what, command.clone(), how),
                    person.ask::<Order>(order.id, what, command.clone(), how)
                );
                twice.0
            }
            false => person.ask::<Order>(order.id, what, command.clone(), how).await,
        };
        if let Told::Answer(Answered { outcome, .. }) = &told {
            self.count(&said, outcome);
        }
    }

    fn count(&self, command: &OrderCommand, outcome: &Result<OrderReply, Reject>) {
        let world = self.0.world();
        match (command, outcome) {
            (OrderCommand::MoveParcel { step, .. }, Ok(_)) => match **step {
                ParcelStep::HandOver => world.count("parcels handed over"),
                ParcelStep::Deliver { accepted: None, .. } => world.count("parcels delivered"),
                ParcelStep::Deliver { accepted: Some(_), .. } => world.count("parcels refused in part"),
                ParcelStep::Returned => world.count("parcels that came back"),
                ParcelStep::Lost => world.count("parcels lost"),
                ParcelStep::Cancel => world.count("parcels unpacked"),
                ParcelStep::Correct { .. } => world.count("parcels corrected"),
                // These are said by couriers.
                ParcelStep::Booked { .. }
                | ParcelStep::BookingRefused { .. }
                | ParcelStep::AskCancel
                | ParcelStep::CancelRefused
                | ParcelStep::Astray => {}
            },
            (OrderCommand::MoveReturn { step, .. }, Ok(_)) if matches!(**step, ReturnStep::Receive { .. }) => {
                world.count("returns received");
            }
            (OrderCommand::CourierSays { says, .. }, Ok(_)) => match says {
                CourierSays::Booked { .. } => world.count("parcels booked"),
                CourierSays::Refused { .. } => world.count("parcels that no courier takes"),
                CourierSays::NotFetched => world.count("parcels that are not fetched"),
                CourierSays::TooLate => world.count("parcels that were fetched already"),
            },
            (OrderCommand::CourierTold { .. }, Ok(_)) => world.count("facts that couriers tell"),
            (OrderCommand::Credit { .. }, Ok(_)) => world.count("refunds of what was handed over"),
            (OrderCommand::AcceptanceDue { .. }, Ok(_)) => world.count("looks at what nobody begins with"),
            (OrderCommand::HoldShare { .. }, Ok(_)) => world.count("shares put on hold"),
            (_, Err(Reject::AlreadyShipped)) => world.count("cancels that come too late"),
            (_, Err(Reject::NotFulfillable { .. })) => world.count("goods that could not be moved"),
            (_, Err(Reject::NotReturnable { .. })) => world.count("returns that were refused"),
            _ => {}
        }
    }

    fn seed(&mut self) -> CreditSeed {
        let chance = &self.0.chance;
        let id = CreditId::from_uuid(Uuid::from_u64_pair(chance.next(), chance.next()));
        let mint = Mint(chance.next().to_be_bytes()[4..].try_into().expect("four bytes"));
        CreditSeed { id, mint, reason: *chance.pick(&CreditReason::OF_REFUNDS) }
    }

    /// Some units of a share: at times more than there are, at times all.
    fn units(&self, order: &OrderView, share: &SubOrderView) -> Vec<WantedLine> {
        let chance = &self.0.chance;
        if chance.per_mille(500) {
            return Vec::new();
        }
        let own = order.lines.iter().filter(|line| line.vendor == share.vendor && chance.per_mille(700));
        own.map(|line| WantedLine { sku: line.sku, quantity: chance.between(1, 2) as i64 }).collect()
    }

    /// What somebody says to have taken at the door: mostly what was to be taken, at times less, more or nothing.
    fn taken(&self, order: &OrderView, share: &SubOrderView) -> Option<i64> {
        let chance = &self.0.chance;
        let is_said = order.payment_method == ON_DELIVERY || chance.per_mille(20);
        let part = chance.between(1, 3) as i64;
        let right = share.amounts.total_due;
        is_said.then(|| {
            *chance.pick(&[share.to_collect, share.to_collect, right, right / part, 0, right + 40, right + 700])
        })
    }

    fn parcel_step(&self, order: &OrderView, share: &SubOrderView, parcel: &Parcel) -> ParcelStep {
        let chance = &self.0.chance;
        let collected = self.taken(order, share).filter(|_| chance.per_mille(900));
        let accepted =
            |line: &WantedLine| WantedLine { quantity: chance.below(line.quantity as u64 + 1) as i64, ..*line };
        let deliver = || match chance.per_mille(600) {
            true => ParcelStep::Deliver { accepted: None, collected },
            false => ParcelStep::Deliver { accepted: Some(parcel.lines.iter().map(accepted).collect()), collected },
        };
        // Mostly what comes next.
        match (parcel.status, chance.below(10)) {
            (ShipmentStatus::Draft, 0..6) => ParcelStep::HandOver,
            (ShipmentStatus::HandedOver | ShipmentStatus::Lost, 0..6) => deliver(),
            (ShipmentStatus::Delivered | ShipmentStatus::Returning, 0..6) => ParcelStep::Returned,
            (ShipmentStatus::Delivered | ShipmentStatus::Lost, 9) => {
                ParcelStep::Correct { to: *self.0.world().chance("corrections").pick(ParcelEnd::ALL) }
            }
            (_, 6) => ParcelStep::Cancel,
            (_, 7) => ParcelStep::Lost,
            (_, 8) => ParcelStep::Returned,
            (_, _) => deliver(),
        }
    }

    /// What its courier says or tells, at times what cannot be.
    fn by_courier(&self, order: &OrderView, share: &SubOrderView, parcel: &Parcel) -> OrderCommand {
        let (chance, shipment, mint) = (&self.0.chance, parcel.id, parcel.mint.unwrap_or_default());
        let says = |says| OrderCommand::CourierSays { shipment, mint, says };
        if parcel.is_inside() && chance.per_mille(600) {
            return match (parcel.cancelling, chance.below(4)) {
                (true, 0..2) | (false, 3) => says(CourierSays::NotFetched),
                (true, 2) => says(CourierSays::TooLate),
                (false, 2) => says(CourierSays::Refused { why: "nobody".into() }),
                _ => says(CourierSays::Booked { tracking_number: "P-1".into() }),
            };
        }
        let status = *chance.pick(&CourierStatus::ALL);
        let accepted =
            |line: &WantedLine| WantedLine { quantity: chance.below(line.quantity as u64 + 1) as i64, ..*line };
        let is_partly = status == CourierStatus::PartlyDelivered;
        let accepted = if is_partly { parcel.lines.iter().map(accepted).collect() } else { Vec::new() };
        let collected = self.taken(order, share).filter(|_| chance.per_mille(700));
        let collected = collected.map(|minor| Money::new(minor, order.currency));
        OrderCommand::CourierTold { shipment, mint, status, accepted, collected }
    }

    fn return_step(&self, known: &Return) -> ReturnStep {
        let chance = &self.0.chance;
        let line = |line: &WantedLine| ReceivedLine {
            sku: line.sku,
            quantity: chance.between(1, line.quantity.max(1) as u64) as i64,
            condition: *chance.pick(Condition::ALL),
        };
        let receive = || ReturnStep::Receive { lines: known.lines.iter().map(line).collect() };
        match (known.status, chance.below(10)) {
            (ReturnStatus::Requested, 0..6) => ReturnStep::Approve,
            (ReturnStatus::Approved, 0..6) => receive(),
            (ReturnStatus::Received, 0..6) => ReturnStep::Close,
            (_, 6) => ReturnStep::Deny,
            (_, 7) => ReturnStep::Cancel,
            (_, _) => receive(),
        }
    }

    fn command(&mut self, order: &OrderView, share: &SubOrderView) -> OrderCommand {
        let seed = self.seed();
        let vendor = share.vendor;
        let lines = self.units(order, share);
        let parcels: Vec<&Parcel> = share.parcels.iter().collect();
        let returns: Vec<&Return> = order.returns.iter().filter(|known| known.vendor == vendor).collect();
        let chance = &self.0.chance;
        let id = Uuid::from_u64_pair(chance.next(), chance.next());
        let by = Principal::SHOP;
        let arrived: Vec<&OrderLine> = order
            .lines
            .iter()
            .filter(|line| line.vendor == vendor && (line.moved().delivered > 0 || chance.per_mille(50)))
            .collect();
        if order.payment_method == ON_DELIVERY && chance.per_mille(250) {
            let owed = order.refunds.iter().find(|refund| refund.status == RefundStatus::Requested);
            if let Some(refund) = owed.filter(|_| chance.per_mille(600)) {
                return OrderCommand::MarkRefundPaid { by, refund: refund.id, reference: "wire 8".into() };
            }
            // What a courier hands on, at times another amount than it collected, and at times before it has.
            if let Some(parcel) = parcels.last() {
                let collected = parcel.cash.map_or(100, |cash| cash.collected) + *chance.pick(&[0, 0, 0, -100, 100]);
                let fee = (*chance.pick(&[0, 0, 50])).min(collected.max(0));
                let told = Remittance { collected: collected.max(0), fee, remitted: collected.max(0) - fee };
                return OrderCommand::RemitCash { by, shipment: parcel.id, told, mint: seed.mint };
            }
        }
        // Mostly what comes next: else few of them ever come to a door.
        if order.payment_method == ON_DELIVERY && share.on_hold.is_none() && chance.per_mille(600) {
            let live = parcels.iter().find(|parcel| parcel.is_inside() || parcel.status == ShipmentStatus::HandedOver);
            if let Some(parcel) = live {
                if parcel.mint.is_some() {
                    return self.by_courier(order, share, parcel);
                }
                let step = Box::new(self.parcel_step(order, share, parcel));
                return OrderCommand::MoveParcel { by, shipment: parcel.id, step, seed };
            }
            // At times in parts, which may not be.
            let lines = if chance.per_mille(750) { Vec::new() } else { lines };
            let (id, tracking_number) = (ShipmentId::from_uuid(id), None);
            let booking = chance.per_mille(200).then_some(seed.mint);
            let courier = "own".into();
            let parcel = Box::new(NewParcel { id, vendor, lines, courier, tracking_number, booking });
            return OrderCommand::Ship { by, parcel };
        }
        // What is paid at the door goes out as a whole.
        let lines = if order.payment_method == ON_DELIVERY && chance.per_mille(800) { Vec::new() } else { lines };
        match chance.below(21) {
            // As the sweep does that looks for what nobody has begun in time.
            20 => {
                let within_ms = chance.below(2 * 60_000) as i64;
                OrderCommand::AcceptanceDue { within_ms, cancel: chance.per_mille(300).then_some(seed) }
            }
            0 => OrderCommand::Pack { by, vendor, lines },
            1 => match chance.per_mille(500) {
                true => OrderCommand::Unpack { by, vendor, lines },
                false => OrderCommand::Pack { by, vendor, lines },
            },
            2 if share.on_hold.is_none() => {
                OrderCommand::HoldShare { by, vendor, reason: *chance.pick(HoldReason::ALL) }
            }
            2..=4 if share.on_hold.is_some() => OrderCommand::ResumeShare { by, vendor },
            3..=10 if !parcels.is_empty() => {
                let parcel = *chance.pick(&parcels);
                if parcel.mint.is_some() && chance.per_mille(700) {
                    return self.by_courier(order, share, parcel);
                }
                let step = Box::new(self.parcel_step(order, share, parcel));
                OrderCommand::MoveParcel { by, shipment: parcel.id, step, seed }
            }
            11..=13 if !returns.is_empty() => {
                let known = *chance.pick(&returns);
                let step = Box::new(self.return_step(known));
                OrderCommand::MoveReturn { by, id: known.id, step, seed }
            }
            14..=15 if !arrived.is_empty() => {
                let line = *chance.pick(&arrived);
                let lines = vec![WantedLine { sku: line.sku, quantity: chance.between(1, 2) as i64 }];
                let by = if chance.per_mille(500) { Principal::Guest(order.cart) } else { by };
                let wanted = NewReturn { id: ReturnId::from_uuid(id), vendor, lines, reason: seed.reason };
                OrderCommand::AskReturn { by, wanted: Box::new(wanted) }
            }
            16 => {
                let (shipping, restock) = (chance.per_mille(200), chance.per_mille(300));
                let line = order.lines.iter().find(|line| line.vendor == vendor);
                let lines = line.map(|line| WantedLine { sku: line.sku, quantity: 1 }).into_iter().collect();
                OrderCommand::Credit { by, vendor, wanted: Wanted::Shipped { lines, shipping, restock }, seed }
            }
            17 => OrderCommand::Credit { by, vendor, wanted: Wanted::Units(lines), seed },
            _ => {
                let (id, courier) = (ShipmentId::from_uuid(id), "own".into());
                let booking = chance.per_mille(400).then_some(seed.mint);
                let parcel = Box::new(NewParcel { id, vendor, lines, courier, tracking_number: None, booking });
                OrderCommand::Ship { by, parcel }
            }
        }
    }
}
