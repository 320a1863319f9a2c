//! A plain replay of the journal: every entity as its records tell it, by the domain's own `apply`, with its invariants checked after
//! every event.

use crate::world::World;
use haat::domain::cart::{Cart, CartEvent, CartStatus};
use haat::domain::coupon::{Coupon, CouponEvent};
use haat::domain::customer::{Customer, CustomerEvent};
use haat::domain::entity::Step;
use haat::domain::entity::concerns::*;
use haat::domain::ids::{CartId, CouponId, CustomerId, EntityRef, Kind, OrderId, RoomId, VendorId};
use haat::domain::order::{Order, OrderEvent, OrderStatus, Phase};
use haat::domain::record::{RawRecord, Record};
use haat::domain::room::{Room, RoomEvent};
use haat::domain::rows::{OrderRow, SkuRow};
use haat::domain::time::Timestamp;
use haat::domain::vendor::{Vendor, VendorEvent};
use std::collections::BTreeMap;
use std::sync::Arc;

/// An entity as the journal tells it.
struct Track<E> {
    entity: E,
    version: u64,
}

type Tracks<E> = BTreeMap<<E as Decides>::Id, Track<E>>;

/// The events of a record, by whose they are.
pub enum Events {
    Cart(CartId, Vec<CartEvent>),
    Order(OrderId, Vec<OrderEvent>),
    Vendor(VendorId, Vec<VendorEvent>),
    Customer(CustomerId, Vec<CustomerEvent>),
    Coupon(CouponId, Vec<CouponEvent>),
    Room(RoomId, Vec<RoomEvent>),
}

/// A record as the judges see it.
pub struct Recorded<'a> {
    pub entity: EntityRef,
    pub version: u64,
    pub at: Timestamp,
    pub events: Events,
    /// The keys under which it keeps answers.
    pub keys: Vec<u128>,
    /// As it stands in the journal.
    pub line: &'a [u8],
}

/// All entities.
pub struct Replay {
    carts: Tracks<Cart>,
    orders: Tracks<Order>,
    vendors: Tracks<Vendor>,
    customers: Tracks<Customer>,
    coupons: Tracks<Coupon>,
    rooms: Tracks<Room>,
    /// The latest time of any record.
    latest: Timestamp,
    world: Arc<World>,
}

impl Replay {
    pub fn new(world: Arc<World>) -> Self {
        Self {
            carts: BTreeMap::new(),
            orders: BTreeMap::new(),
            vendors: BTreeMap::new(),
            customers: BTreeMap::new(),
            coupons: BTreeMap::new(),
            rooms: BTreeMap::new(),
            latest: Timestamp::default(),
            world,
        }
    }

    /// Applies a record; `None` when it cannot be read.
    pub fn add<'a>(&mut self, raw: &RawRecord<'_>, line: &'a [u8]) -> Option<Recorded<'a>> {
        let RawRecord { entity, version, at, .. } = *raw;
        self.latest = self.latest.max(at);
        let world = &self.world;
        let (events, keys) = match entity.kind {
            Kind::Cart => {
                let id = CartId::from_uuid(entity.uuid);
                let (events, keys) = apply(world, &mut self.carts, id, line)?;
                (Events::Cart(id, events), keys)
            }
            Kind::Order => {
                let id = OrderId::from_uuid(entity.uuid);
                let (events, keys) = apply(world, &mut self.orders, id, line)?;
                (Events::Order(id, events), keys)
            }
            Kind::Vendor => {
                let id = VendorId::from_uuid(entity.uuid);
                let (events, keys) = apply(world, &mut self.vendors, id, line)?;
                (Events::Vendor(id, events), keys)
            }
            Kind::Customer => {
                let id = CustomerId::from_uuid(entity.uuid);
                let (events, keys) = apply(world, &mut self.customers, id, line)?;
                (Events::Customer(id, events), keys)
            }
            Kind::Coupon => {
                let id = CouponId::from_uuid(entity.uuid);
                let (events, keys) = apply(world, &mut self.coupons, id, line)?;
                (Events::Coupon(id, events), keys)
            }
            Kind::Room => {
                let id = RoomId::from_uuid(entity.uuid);
                let (events, keys) = apply(world, &mut self.rooms, id, line)?;
                (Events::Room(id, events), keys)
            }
            #[allow(unreachable_patterns, reason = "while somebody in the town has to do with each kind")]
            other => panic!("nobody in the town has to do with a {other}"),
        };
        Some(Recorded { entity, version, at, events, keys, line })
    }

    pub fn cart(&self, id: CartId) -> Option<&Cart> {
        self.carts.get(&id).map(|track| &track.entity)
    }

    pub fn order(&self, id: OrderId) -> Option<&Order> {
        self.orders.get(&id).map(|track| &track.entity)
    }

    pub fn vendor(&self, id: VendorId) -> Option<&Vendor> {
        self.vendors.get(&id).map(|track| &track.entity)
    }

    pub fn customer(&self, id: CustomerId) -> Option<&Customer> {
        self.customers.get(&id).map(|track| &track.entity)
    }

    pub fn coupon(&self, id: CouponId) -> Option<&Coupon> {
        self.coupons.get(&id).map(|track| &track.entity)
    }

    pub fn coupons(&self) -> impl Iterator<Item = (CouponId, &Coupon)> {
        self.coupons.iter().map(|(id, track)| (*id, &track.entity))
    }

    pub fn orders(&self) -> impl Iterator<Item = (OrderId, &Order)> {
        self.orders.iter().map(|(id, track)| (*id, &track.entity))
    }

    pub fn vendors(&self) -> impl Iterator<Item = (VendorId, &Vendor)> {
        self.vendors.iter().map(|(id, track)| (*id, &track.entity))
    }

    pub fn status(&self, order: OrderId) -> Option<OrderStatus> {
        self.order(order).and_then(Order::status)
    }

    /// Whether this customer counts this order as one that is open and to be paid at the door.
    pub fn counts_open(&self, customer: CustomerId, order: OrderId) -> bool {
        self.customers.get(&customer).is_some_and(|track| track.entity.open_cash().contains(&order))
    }

    pub fn is_paid(&self, order: OrderId) -> bool {
        // What was sold stays so, whatever was taken back since.
        self.status(order).is_some_and(OrderStatus::is_paid) || self.phase(order) == Some(Phase::Settled)
    }

    pub fn phase(&self, order: OrderId) -> Option<Phase> {
        self.order(order).and_then(Order::phase)
    }

    /// Whether what became of an order's money is what someone said.
    pub fn is_settled_by_hand(&self, order: OrderId) -> bool {
        self.order(order).is_some_and(Order::is_settled_by_hand)
    }

    /// Whether an order has ended, paid or unpaid.
    pub fn is_over(&self, order: OrderId) -> bool {
        self.order(order).is_some_and(Order::has_ended)
    }

    /// The row of an order.
    pub fn order_row(&self, order: OrderId) -> Option<OrderRow> {
        self.order(order).and_then(Order::row)
    }

    /// Every SKU.
    pub fn skus(&self) -> Vec<SkuRow> {
        self.vendors().flat_map(|(_, vendor)| vendor.sku_rows()).collect()
    }

    /// How many orders have each status.
    pub fn order_counts(&self) -> BTreeMap<OrderStatus, i64> {
        let mut counts = BTreeMap::new();
        for status in self.orders().filter_map(|(_, order)| order.status()) {
            *counts.entry(status).or_default() += 1;
        }
        counts
    }

    /// Orders that have neither ended nor been settled.
    pub fn unfinished(&self) -> Vec<(OrderId, Phase)> {
        let phases = self.orders().filter_map(|(id, order)| Some((id, order.phase()?)));
        phases.filter(|(_, phase)| !matches!(phase, Phase::Settled | Phase::Ended | Phase::Stuck)).collect()
    }

    /// Orders that want something of couriers.
    pub fn with_wishes(&self) -> Vec<OrderId> {
        self.orders().filter(|(_, order)| !order.courier_wishes().is_empty()).map(|(id, _)| id).collect()
    }

    fn is_stuck_for_money(&self, order: OrderId) -> bool {
        self.order(order).is_some_and(|order| order.told().is_some())
    }

    /// Orders that are stuck for their money.
    pub fn stuck(&self) -> Vec<OrderId> {
        self.orders.keys().copied().filter(|order| self.is_stuck_for_money(*order)).collect()
    }

    /// Whether no order is under way, no cart waits for one, no vendor holds stock and no coupon a use, and all that orders earn and give back of
    /// points has been heard: but for the orders that wait for someone, because a step of theirs was refused for good.
    pub fn is_at_rest(&self) -> bool {
        let waits = |order: OrderId| self.phase(order) == Some(Phase::Stuck) && !self.is_stuck_for_money(order);
        let checking_out = |track: &Track<Cart>| {
            let view = track.entity.view().filter(|view| view.status == CartStatus::CheckingOut);
            view.is_some_and(|view| !view.order.is_some_and(waits))
        };
        let comes_back = |order: &Order| order.units_coming_back().next().is_some();
        let unfinished = self.orders().any(|(id, order)| (!order.has_ended() && !waits(id)) || comes_back(order));
        let holds = self.vendors().any(|(_, vendor)| vendor.holds().all_open().any(|(order, _)| !waits(order)));
        let uses = self.coupons().any(|(_, coupon)| coupon.holds().all_open().any(|(order, _)| !waits(order)));
        let points = |order: &Order| {
            let is_due =
                order.phase() == Some(Phase::Settled) && order.timer().is_some_and(|(at, _)| at <= self.latest);
            let asks = || order.outstanding(self.latest).into_iter().any(|key| key.step == Step::PostPoints);
            is_due || asks()
        };
        let posts = self.orders().any(|(_, order)| points(order));
        let gives = |track: &Track<Cart>| {
            track.entity.merged_into().is_some() && !track.entity.outstanding(Timestamp::default()).is_empty()
        };
        let carts = self.carts.values().any(|track| checking_out(track) || gives(track));
        !unfinished && !holds && !uses && !posts && !carts
    }
}

/// Applies a record to its entity: its events, and the keys under which it keeps answers.
fn apply<E: Entity>(
    world: &World,
    tracks: &mut Tracks<E>,
    id: E::Id,
    line: &[u8],
) -> Option<(Vec<E::Event>, Vec<u128>)> {
    let Ok(record) = serde_json::from_slice::<Record<E::Event>>(line) else {
        world.breach(format_args!("a record of {id} cannot be read"));
        return None;
    };
    let track = tracks.entry(id).or_insert_with(|| Track { entity: E::new(id), version: 0 });
    if record.version != track.version + 1 {
        world.breach(format_args!("{id}: version {} follows {}", record.version, track.version));
    }
    track.version = record.version;
    for event in &record.events {
        track.entity.apply(event, record.at);
        if let Err(breach) = track.entity.check() {
            world.breach(format_args!("{breach}, after {event:?}"));
        }
    }
    Some((record.events, record.answers.iter().map(|kept| kept.key.key).collect()))
}
