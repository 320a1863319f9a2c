//! Entities made of whatever a store might hold.

use haat::actors::{Built, Rebuilt, build, build_any};
use haat::domain::cart::Cart;
use haat::domain::coupon::{Coupon, CouponCommand};
use haat::domain::customer::{Customer, CustomerCommand};
use haat::domain::entity::concerns::*;
use haat::domain::entity::{Part, Principal};
use haat::domain::ids::{EntityId, EntityRef};
use haat::domain::knowledge::Knowledge;
use haat::domain::money::{Currency, Money};
use haat::domain::order::{Order, OrderCommand};
use haat::domain::record::Record;
use haat::domain::room::{Entrant, Place, Room, RoomCommand};
use haat::domain::time::Timestamp;
use haat::domain::vendor::Vendor;
use haat::ports::{History, Snapshot};
use std::collections::BTreeMap;

/// Builds an entity from a history, and looks at it from all sides. What cannot be built must be an error.
pub fn build_and_examine(entity: EntityRef, history: &History) {
    match build_any(entity, history) {
        Ok(Rebuilt::Cart(cart)) => {
            let view = cart.entity.view();
            assert!(view.as_ref().is_none_or(|view| view.id.entity() == entity), "a cart under another's id");
            view.map(|view| view.subtotal());
            cart.entity.vendors();
            examine::<Cart>(entity, history, *cart);
        }
        Ok(Rebuilt::Order(order)) => {
            let row = order.entity.row();
            assert!(row.is_none_or(|row| row.id.entity() == entity), "an order under another's id");
            for by in [Principal::SHOP, Principal::vendor(EntityId::from_uuid(entity.uuid))] {
                order.entity.reply(&OrderCommand::Get { by }, false);
                order.entity.reply(&OrderCommand::GetTimeline { by }, false);
            }
            examine::<Order>(entity, history, *order);
        }
        Ok(Rebuilt::Vendor(vendor)) => {
            vendor.entity.sku_rows().iter().for_each(|sku| {
                sku.sold();
                sku.available();
            });
            examine::<Vendor>(entity, history, *vendor);
        }
        Ok(Rebuilt::Customer(customer)) => {
            customer.entity.reply(&CustomerCommand::Cart, false);
            customer.entity.reply(&CustomerCommand::Show { by: Principal::SHOP }, false);
            let _ = customer.entity.decide(
                &CustomerCommand::NextCart { after: 0 },
                &Knowledge::NOTHING,
                Timestamp::default(),
            );
            examine::<Customer>(entity, history, *customer);
        }
        Ok(Rebuilt::Coupon(coupon)) => {
            coupon.entity.row();
            let hold = CouponCommand::HoldUse {
                order: EntityId::from_uuid(entity.uuid),
                until: Timestamp::from_millis(i64::MAX),
                serial: Some(0),
                keys: Vec::new(),
                version: 1,
                amount: Money::new(1, Currency::BDT),
            };
            let _ = coupon.entity.decide(&hold, &Knowledge::NOTHING, Timestamp::default());
            examine::<Coupon>(entity, history, *coupon);
        }
        Ok(Rebuilt::Room(mut room)) => {
            let entrant = Entrant::Cart(EntityId::from_uuid(entity.uuid));
            for place in [Place::Drawn(u64::MAX), Place::Numbered(0), Place::Numbered(u64::MAX)] {
                for command in [RoomCommand::Look { entrant, place }, RoomCommand::Enter { entrant, place }] {
                    // Its line is part of no snapshot: it begins here, and ends with this copy.
                    room.entity.heard(&command, Timestamp::from_millis(1_700_000_000_000));
                    let _ =
                        room.entity.decide(&command, &Knowledge::NOTHING, Timestamp::from_millis(1_700_000_000_000));
                    room.entity.reply(&command, false);
                }
            }
            match build::<Room>(EntityId::from_uuid(entity.uuid), history) {
                Ok(room) => examine::<Room>(entity, history, room),
                Err(error) => panic!("{entity}: it could be built a moment ago: {error}"),
            }
        }
        Err(unbuildable) => assert!(!unbuildable.to_string().is_empty()),
    }
}

/// What the shell and the checkpointer ask of every entity; and that what a checkpoint writes of it makes the same entity again.
fn examine<E: Entity>(entity: EntityRef, history: &History, mut built: Built<E>) {
    for line in &history.records {
        // Those that were passed over may be anything.
        if let Ok(record) = serde_json::from_slice::<Record<E::Event>>(line) {
            built.entity.publications(&record.events);
            built.entity.tells(&record.events);
        }
    }
    for now in [i64::MIN, 0, 1_700_000_000_000, i64::MAX].map(Timestamp::from_millis) {
        built.entity.wake_at(now);
        for key in built.entity.outstanding(now) {
            built.entity.effect(key);
        }
    }
    if let Some((at, command)) = built.entity.timer() {
        built.entity.heard(&command, at);
        let _ = built.entity.decide(&command, &Knowledge::NOTHING, at);
    }
    built.entity.has_ended();
    built.entity.stays();
    let sound = built.entity.check().is_ok();
    let _ = built.entity.check_online();

    let (rows, delta) = (built.entity.rows(), built.delta());
    let mut parts: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    let before = history.snapshot.iter().flat_map(|snapshot| snapshot.parts.iter().cloned());
    for part in before.chain(delta.parts) {
        match part.state {
            Some(state) => parts.insert(part.name, state),
            None => parts.remove(&part.name),
        };
    }
    let as_part = |(name, state): (&String, &Vec<u8>)| Part { name: name.clone(), state: Some(state.clone()) };
    let snapshot = Snapshot { entity, version: built.version, parts: parts.iter().map(as_part).collect() };
    let written = History { snapshot: Some(snapshot), records: Vec::new() };
    let mut again =
        build::<E>(E::Id::from_uuid(entity.uuid), &written).unwrap_or_else(|error| panic!("{entity}: {error}"));
    assert_eq!(again.version, built.version);
    assert_eq!(again.entity.summary(), built.entity.summary());
    assert_eq!(again.entity.check().is_ok(), sound);
    assert_eq!(again.entity.timer().map(|(at, _)| at), built.entity.timer().map(|(at, _)| at));
    assert_eq!(again.entity.rows(), rows);
    let delta_again = again.delta();
    assert_eq!(delta_again.parts.first().and_then(|head| head.state.as_ref()), parts.get(""));
    for key in parts.keys().filter_map(|name| u128::from_str_radix(name.strip_prefix("answer/")?, 16).ok()) {
        // At its own time, so that it is not over.
        let kept = |built: &Built<E>| {
            let answer = built.answers.get(key, Timestamp::from_millis(i64::MIN))?;
            // Whatever it is, to read it is no more than an error.
            let _ = answer.answer::<E::Reply>();
            Some(answer.clone())
        };
        assert_eq!(kept(&again), kept(&built));
    }
}
