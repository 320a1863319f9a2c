//! Every step of a slot by hand: what it is called, when it is, who may have it, and what is left of it.

use super::*;
use crate::domain::buyer::HeldFor;
use crate::domain::entity::{Checks as _, Decides, Keeps as _, Principal};
use crate::domain::ids::{CreditId, OrderId, ProductId, SkuId, VendorId};
use crate::domain::knowledge::Knowledge;
use crate::domain::money::Currency;
use crate::domain::reject::Reject;
use crate::domain::time::Timestamp;
use crate::domain::vendor::{
    HeldLine, NewProduct, NewSku, RestockedUnits, SlotView, Vendor, VendorCommand, VendorEvent, WantedLine,
};
use crate::limits;
use uuid::Uuid;

const MINUTE: i64 = 60_000;
const DAY: i64 = 24 * 60 * MINUTE;

fn moment(text: &str) -> Timestamp {
    Timestamp::from_millis(text.parse::<jiff::Timestamp>().unwrap().as_millisecond())
}

fn slot(text: &str) -> SlotId {
    text.parse().unwrap()
}

fn window(weekday: u8, from: u16, to: u16, capacity: i64) -> DeliveryWindow {
    DeliveryWindow { weekday, from, to, capacity, cut_off: 0 }
}

/// Tuesdays in Dhaka, ten to twelve, for two orders that come two hours before.
fn plan() -> DeliveryPlan {
    let windows = vec![DeliveryWindow { cut_off: 120, ..window(2, 600, 720, 2) }];
    DeliveryPlan { zone: "Asia/Dhaka".into(), windows, closed: Vec::new(), days_ahead: 7 }
}

fn order(number: u128) -> OrderId {
    OrderId::from_uuid(Uuid::from_u128(number))
}

fn sku() -> SkuId {
    SkuId::from_uuid(Uuid::from_u128(7))
}

/// A vendor with this plan, and enough of one SKU.
fn vendor(plan: DeliveryPlan) -> Vendor {
    let mut vendor = Vendor::new(VendorId::from_uuid(Uuid::from_u128(1)));
    let at = moment("2026-11-27T00:00:00Z");
    vendor.apply(&VendorEvent::VendorCreated { name: "A".into() }, at);
    let (code, currency) = ("A".to_owned(), Currency::BDT);
    let skus = vec![NewSku { id: sku(), code, price_minor: 100, currency, on_hand: 100 }];
    let (id, title) = (ProductId::from_uuid(Uuid::from_u128(2)), "Lamp".to_owned());
    let product = NewProduct { id, title, description: None, category: None, skus };
    vendor.apply(&VendorEvent::ProductAdded { product }, at);
    vendor.apply(&VendorEvent::DeliveryPlanSet { plan: Some(Box::new(plan)) }, at);
    vendor
}

fn tell(vendor: &mut Vendor, command: &VendorCommand, now: Timestamp) -> Result<Vec<VendorEvent>, Reject> {
    let events = vendor.decide(command, &Knowledge::NOTHING, now)?;
    events.iter().for_each(|event| vendor.apply(event, now));
    vendor.check().unwrap();
    Ok(events)
}

fn reserve(number: u128, slot: SlotId, now: Timestamp) -> VendorCommand {
    VendorCommand::Reserve {
        order: order(number),
        until: now.plus_millis(10 * MINUTE),
        currency: Currency::BDT,
        lines: vec![WantedLine { sku: sku(), quantity: 3 }],
        held_for: Box::new(HeldFor { slot: Some(slot), ..HeldFor::default() }),
    }
}

fn full(id: SlotId, why: SlotRefused) -> Result<Vec<VendorEvent>, Reject> {
    Err(Reject::SlotFull { vendor_id: VendorId::from_uuid(Uuid::from_u128(1)), slot_id: id, why })
}

/// How many more orders a slot has room for.
fn left(vendor: &Vendor, id: SlotId, now: Timestamp) -> Option<i64> {
    vendor.slot_views(now).into_iter().find(|view| view.slot.id == id).map(|view| view.left)
}

#[test]
fn days_and_slots_are_read_as_they_are_written_and_in_no_other_way() {
    for text in ["20261201-1000-1200", "20240229-0000-2400", "19700101-2359-2400"] {
        assert_eq!(slot(text).to_string(), text);
        let json = serde_json::to_string(&slot(text)).unwrap();
        assert_eq!(serde_json::from_str::<SlotId>(&json).unwrap(), slot(text), "{json}");
    }
    for text in [
        "",
        "20261201-1000-1000",
        "20261201-1200-1000",
        "20261201-1000-2401",
        "20261201-2400-2400",
        "20261201-1060-1200",
        "20260229-1000-1200",
        "20261301-1000-1200",
        "20261201 1000 1200",
        "20261201-1000-12000",
        "20261201-1000-120",
        "+0261201-1000-1200",
        "2026১201-1000-1200",
        "20261201-১000-1200",
    ] {
        assert_eq!(text.parse::<SlotId>(), Err(NoSlot), "{text}");
    }
    for text in ["2026-12-16", "0001-01-01"] {
        assert_eq!(text.parse::<Day>().unwrap().to_string(), text);
    }
    for text in ["", "2026-2-1", "2026-02-29", "20261216", "2026-12-16T00", "-026-12-16"] {
        assert_eq!(text.parse::<Day>(), Err(NoSlot), "{text}");
    }
}

#[test]
fn a_slot_is_at_its_local_time_and_ends_where_the_clock_says() {
    let of = |zone: &str, id: &str, now: &str| {
        let id = slot(id);
        let windows = (1..=7).map(|weekday| window(weekday, id.from, id.to, 1)).collect();
        let plan = DeliveryPlan { zone: zone.into(), windows, closed: Vec::new(), days_ahead: 60 };
        plan.offer(id, moment(now)).map(|(slot, _)| {
            let minutes = slot.ends_at.millis_since(slot.starts_at) / MINUTE;
            let at = jiff::Timestamp::from_millisecond(slot.starts_at.as_millis()).unwrap();
            (at.to_string(), minutes)
        })
    };
    let day = "2026-11-28T00:00:00Z";
    assert_eq!(of("Asia/Dhaka", "20261201-1000-1200", day), Ok(("2026-12-01T04:00:00Z".into(), 120)));
    assert_eq!(of("Asia/Dhaka", "20261201-2200-2400", day), Ok(("2026-12-01T16:00:00Z".into(), 120)));
    // Summer time begins at two and leaves out an hour, and ends at three, when an hour comes twice.
    let (spring, autumn) = ("2026-03-01T00:00:00Z", "2026-10-01T00:00:00Z");
    assert_eq!(of("Europe/Berlin", "20260329-0000-2400", spring), Ok(("2026-03-28T23:00:00Z".into(), 23 * 60)));
    assert_eq!(of("Europe/Berlin", "20261025-0000-2400", autumn), Ok(("2026-10-24T22:00:00Z".into(), 25 * 60)));
    assert_eq!(of("Europe/Berlin", "20260329-0100-0300", spring), Ok(("2026-03-29T00:00:00Z".into(), 60)));
    assert_eq!(of("Europe/Berlin", "20260329-0200-0230", spring), Ok(("2026-03-29T01:00:00Z".into(), 30)));
    assert_eq!(of("Europe/Berlin", "20261025-0200-0300", autumn), Ok(("2026-10-25T00:00:00Z".into(), 120)));
    // What is left out whole is no window.
    assert_eq!(of("Europe/Berlin", "20260329-0200-0300", spring), Err(SlotRefused::NotOffered));
}

#[test]
fn a_slot_is_offered_from_some_days_before_until_its_cut_off() {
    let plan = DeliveryPlan { closed: vec!["2026-12-15".parse().unwrap()], ..plan() };
    let why = |id: &str, now: &str| plan.offer(slot(id), moment(now)).map(|(_, capacity)| capacity);
    let id = "20261201-1000-1200";
    assert_eq!(why(id, "2026-11-23T17:59:59Z"), Err(SlotRefused::NotOffered), "eight days before, in Dhaka");
    assert_eq!(why(id, "2026-11-23T18:00:00Z"), Ok(2), "seven days before");
    assert_eq!(why(id, "2026-12-01T01:59:59Z"), Ok(2));
    assert_eq!(why(id, "2026-12-01T02:00:00Z"), Err(SlotRefused::CutOff), "two hours before");
    assert_eq!(why(id, "2026-12-01T17:59:59Z"), Err(SlotRefused::CutOff));
    assert_eq!(why(id, "2026-12-01T18:00:00Z"), Err(SlotRefused::NotOffered), "yesterday");
    let now = "2026-11-28T00:00:00Z";
    assert_eq!(why("20261202-1000-1200", now), Err(SlotRefused::NotOffered), "a Wednesday");
    assert_eq!(why("20261201-1000-1300", now), Err(SlotRefused::NotOffered), "another window");
    assert_eq!(why("20261215-1000-1200", "2026-12-14T00:00:00Z"), Err(SlotRefused::NotOffered), "closed");
    let offered =
        |now: &str| plan.offered(moment(now)).into_iter().map(|(slot, ..)| slot.id.to_string()).collect::<Vec<_>>();
    assert_eq!(offered("2026-12-01T01:59:59Z"), ["20261201-1000-1200", "20261208-1000-1200"]);
    assert_eq!(offered("2026-12-01T02:00:00Z"), ["20261208-1000-1200"]);
    assert_eq!(offered("2026-12-09T00:00:00Z"), [""; 0]);
}

#[test]
fn no_more_orders_have_a_slot_than_it_has_room_for() {
    let mut vendor = vendor(plan());
    let (id, now) = (slot("20261201-1000-1200"), moment("2026-11-28T00:00:00Z"));
    tell(&mut vendor, &reserve(1, id, now), now).unwrap();
    let again = tell(&mut vendor, &reserve(1, id, now), now).unwrap();
    assert_eq!((again, left(&vendor, id, now)), (Vec::new(), Some(1)), "an echo holds nothing more");
    tell(&mut vendor, &reserve(2, id, now), now).unwrap();
    assert_eq!(tell(&mut vendor, &reserve(3, id, now), now), full(id, SlotRefused::Full));
    // What is refused for its slot holds no stock.
    assert_eq!(vendor.sku_row(sku()).unwrap().held, 6);
    let until = now.plus_millis(10 * MINUTE);
    tell(&mut vendor, &VendorCommand::Release { order: order(1), until }, now).unwrap();
    tell(&mut vendor, &VendorCommand::Release { order: order(1), until }, now).unwrap();
    assert_eq!(left(&vendor, id, now), Some(1), "given back once");
    tell(&mut vendor, &VendorCommand::Commit { order: order(2), strict: true }, now).unwrap();
    tell(&mut vendor, &VendorCommand::Commit { order: order(2), strict: true }, now).unwrap();
    assert_eq!(left(&vendor, id, now), Some(1), "what is sold is had still");
    tell(&mut vendor, &reserve(3, id, now), now).unwrap();
    assert_eq!(tell(&mut vendor, &reserve(4, id, now), now), full(id, SlotRefused::Full));
    // An order that was cancelled after it was paid gives its slot back once, and another credit of it nothing.
    let credit = |number: u128| CreditId::from_uuid(Uuid::from_u128(number));
    let units = |credits: &[u128], slot: Option<(CreditId, SlotId)>| {
        let lines = |number: &u128| (credit(*number), vec![HeldLine::at_list_price(sku(), 1, 100)]);
        let credits = credits.iter().map(lines).collect();
        let units = RestockedUnits { order: order(2), credits, keys: Vec::new(), account_keys: 0, slot };
        VendorCommand::Restock { units: Box::new(units) }
    };
    let back = units(&[8, 9], Some((credit(9), id)));
    tell(&mut vendor, &back, now).unwrap();
    tell(&mut vendor, &back, now).unwrap();
    assert_eq!(left(&vendor, id, now), Some(1));
    tell(&mut vendor, &units(&[10], None), now).unwrap();
    assert_eq!(left(&vendor, id, now), Some(1));
}

#[test]
fn who_has_a_slot_keeps_it_whatever_becomes_of_the_plan() {
    let mut vendor = vendor(plan());
    let (id, now) = (slot("20261201-1000-1200"), moment("2026-11-28T00:00:00Z"));
    let set = |version: u64, plan: Option<DeliveryPlan>| {
        let plan = plan.map(Box::new);
        VendorCommand::SetDeliveryPlan { by: Principal::SHOP, version, plan }
    };
    tell(&mut vendor, &reserve(1, id, now), now).unwrap();
    tell(&mut vendor, &reserve(2, id, now), now).unwrap();
    assert_eq!(tell(&mut vendor, &set(0, None), now), Err(Reject::DeliveryPlanChanged));
    tell(&mut vendor, &set(1, None), now).unwrap();
    assert_eq!(tell(&mut vendor, &reserve(3, id, now), now), full(id, SlotRefused::NotOffered));
    assert_eq!(tell(&mut vendor, &reserve(1, id, now), now), Ok(Vec::new()));
    // With less room than is had, nobody more gets in; what was had before counts when the window is back.
    let narrow = DeliveryPlan { windows: vec![window(2, 600, 720, 1)], ..plan() };
    tell(&mut vendor, &set(2, Some(narrow)), now).unwrap();
    assert_eq!(left(&vendor, id, now), Some(0));
    tell(&mut vendor, &VendorCommand::Release { order: order(1), until: now.plus_millis(DAY) }, now).unwrap();
    assert_eq!(tell(&mut vendor, &reserve(3, id, now), now), full(id, SlotRefused::Full));
    tell(&mut vendor, &set(3, Some(plan())), now).unwrap();
    tell(&mut vendor, &reserve(3, id, now), now).unwrap();
    assert_eq!(tell(&mut vendor, &reserve(4, id, now), now), full(id, SlotRefused::Full));
}

/// A snapshot has what is had of each slot, and a slot that is long over leaves it.
#[test]
fn slots_are_kept_with_their_vendor_and_forgotten_some_time_after_their_end() {
    let mut vendor = vendor(plan());
    let (id, now) = (slot("20261201-1000-1200"), moment("2026-11-28T00:00:00Z"));
    tell(&mut vendor, &reserve(1, id, now), now).unwrap();
    tell(&mut vendor, &reserve(2, id, now), now).unwrap();
    tell(&mut vendor, &VendorCommand::Commit { order: order(1), strict: true }, now).unwrap();
    let mut parts = std::collections::BTreeMap::new();
    let mut keep = |vendor: &mut Vendor| {
        for part in vendor.delta().parts {
            match part.state {
                Some(_) => drop(parts.insert(part.name.clone(), part)),
                None => drop(parts.remove(&part.name)),
            }
        }
        parts.values().cloned().collect::<Vec<_>>()
    };
    let kept = keep(&mut vendor);
    let restored = Vendor::restore(vendor.id, &kept).unwrap();
    restored.check().unwrap();
    assert_eq!(restored.slot_views(now), vendor.slot_views(now));
    assert_eq!(left(&restored, id, now), Some(0));

    // Long after its end it stays for the order that holds it still, and goes with that.
    let end = moment("2026-12-01T06:00:00Z");
    let late = end.plus_millis(limits::SLOT_KEPT_MS);
    vendor.apply(&VendorEvent::DeliveryPlanSet { plan: Some(Box::new(plan())) }, late);
    assert!(vendor.delivery.booked.contains_key(&id));
    tell(&mut vendor, &VendorCommand::Release { order: order(2), until: now.plus_millis(DAY) }, late).unwrap();
    assert!(vendor.delivery.booked.is_empty());
    let kept = keep(&mut vendor);
    assert!(!kept.iter().any(|part| part.name.starts_with("slot/")), "{kept:?}");
    // What comes back of it later is nobody's.
    vendor.move_slot(id, None, Moves::GivenBack);
    assert!(vendor.delivery.booked.is_empty());
    vendor.check().unwrap();
}

#[test]
fn what_does_not_add_up_in_slots_is_a_breach() {
    let (id, now) = (slot("20261201-1000-1200"), moment("2026-11-28T00:00:00Z"));
    for break_it in [
        |booked: &mut Booked| booked.held = 2,
        |booked: &mut Booked| booked.held = 0,
        |booked: &mut Booked| booked.sold = -1,
    ] {
        let mut vendor = vendor(plan());
        tell(&mut vendor, &reserve(1, id, now), now).unwrap();
        break_it(vendor.delivery.booked.get_mut(&id).unwrap());
        assert_eq!(vendor.check().unwrap_err().invariant, "slots_add_up");
    }
    let mut vendor = vendor(plan());
    tell(&mut vendor, &reserve(1, id, now), now).unwrap();
    vendor.delivery.booked.clear();
    assert_eq!(vendor.check().unwrap_err().invariant, "slots_add_up");
}

#[test]
fn anyone_sees_what_is_left() {
    let vendor = vendor(plan());
    let now = moment("2026-11-28T00:00:00Z");
    let command = VendorCommand::GetSlots { at: now };
    assert_eq!(vendor.decide(&command, &Knowledge::NOTHING, now), Ok(Vec::new()));
    let views = vendor.slot_views(now);
    let [SlotView { slot, cut_off_at, left: 2 }] = &views[..] else { panic!("{views:?}") };
    assert_eq!((&*slot.zone, *cut_off_at), ("Asia/Dhaka", moment("2026-12-01T02:00:00Z")));
    let nobody = Vendor::new(VendorId::from_uuid(Uuid::from_u128(9)));
    assert_eq!(nobody.decide(&command, &Knowledge::NOTHING, now), Err(Reject::VendorUnknown));
}
