//! What callers were told. An answer must show a version that was durable when it was given, and none before what somebody had been
//! shown already when the question was asked.

use super::replay::{Events, Recorded};
use super::{Causes, Judge, Replay};
use crate::world::{World, lock};
use haat::actors::Hosted;
use haat::domain::cart::{Cart, CartCommand, CartReply, CartView};
use haat::domain::coupon::{Coupon, CouponCommand, CouponReply};
use haat::domain::customer::{Customer, CustomerCommand, CustomerReply, PointCommand, PointsView};
use haat::domain::entity::Principal;
use haat::domain::entity::concerns::*;
use haat::domain::ids::{CartId, CouponId, CustomerId, EntityId, EntityRef, OrderId, SkuId};
use haat::domain::order::{Order, OrderReply, OrderView};
use haat::domain::room::{Room, RoomReply};
use haat::domain::rows::{CouponRow, SkuRow};
use haat::domain::time::Timestamp;
use haat::domain::vendor::{SkuView, Vendor, VendorCommand, VendorReply};
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::{Arc, Mutex};

/// An entity that people ask, and whose answers are judged. A new kind has a few lines here.
pub trait Judged: Hosted {
    /// Whether nothing but a kept answer makes one that repeats: else it is shown as it is now once its answer is forgotten.
    fn forgets(_: &Self::Command) -> bool {
        true
    }

    /// Whether whoever asks this is given it for their own.
    fn is_handed_out(_: &Self::Command) -> bool {
        false
    }

    /// Somebody was told this.
    fn shown(answers: &Answers, floor: u64, reply: &<Self as Decides>::Reply);
}

impl Judged for Cart {
    fn is_handed_out(command: &CartCommand) -> bool {
        matches!(command, CartCommand::Create { .. })
    }

    fn shown(answers: &Answers, floor: u64, reply: &CartReply) {
        if let CartReply::Cart { cart } = reply {
            answers.cart_shown(floor, cart);
        }
    }
}

impl Judged for Order {
    fn shown(answers: &Answers, floor: u64, reply: &OrderReply) {
        if let OrderReply::Order { order } = reply {
            answers.order_shown(floor, order);
        }
    }
}

impl Judged for Vendor {
    fn forgets(command: &VendorCommand) -> bool {
        !matches!(command, VendorCommand::Create { .. } | VendorCommand::AddProduct { .. })
    }

    fn shown(answers: &Answers, floor: u64, reply: &VendorReply) {
        if let VendorReply::Sku { sku } = reply {
            answers.sku_shown(floor, sku);
        }
    }
}

impl Judged for Coupon {
    fn forgets(command: &CouponCommand) -> bool {
        !matches!(command, CouponCommand::Create { .. })
    }

    fn shown(answers: &Answers, floor: u64, reply: &CouponReply) {
        if let CouponReply::Coupon { coupon } = reply {
            answers.coupon_shown(floor, coupon);
        }
    }
}

impl Judged for Customer {
    /// Which prices they have is seen in what they pay.
    fn shown(answers: &Answers, floor: u64, reply: &CustomerReply) {
        if let CustomerReply::Points { points } = reply {
            answers.points_shown(floor, points);
        }
    }
}

impl Judged for Room {
    /// A line is nobody's record: the judge of the rooms hears of it.
    fn shown(_: &Answers, _: u64, _: &RoomReply) {}
}

/// How something looked, from which version on.
struct History<V> {
    looks: Vec<(u64, V)>,
}

impl<V> Default for History<V> {
    fn default() -> Self {
        Self { looks: Vec::new() }
    }
}

impl<V: PartialEq> History<V> {
    fn add(&mut self, version: u64, look: V) {
        if self.looks.last().is_none_or(|(_, last)| *last != look) {
            self.looks.push((version, look));
        }
    }

    /// The first version from `floor` on at which it looked like this.
    fn find(&self, floor: u64, is: impl Fn(&V) -> bool) -> Option<u64> {
        // The last look that began at the floor or before it is the one that was there at the floor.
        let first = self.looks.partition_point(|(from, _)| *from <= floor).saturating_sub(1);
        self.looks[first..].iter().find(|(_, look)| is(look)).map(|(from, _)| floor.max(*from))
    }
}

#[derive(Default)]
struct Looks {
    carts: BTreeMap<CartId, History<CartView>>,
    orders: BTreeMap<OrderId, History<OrderView>>,
    skus: BTreeMap<SkuId, History<SkuView>>,
    coupons: BTreeMap<CouponId, History<CouponRow>>,
    points: BTreeMap<CustomerId, History<PointsView>>,
    /// The latest time of any record: what was over then is over.
    latest: Option<Timestamp>,
    /// The newest version of each entity that somebody was shown.
    shown: BTreeMap<EntityRef, u64>,
}

/// How everything looked at each version, and what of it was shown.
pub struct Answers {
    looks: Mutex<Looks>,
    world: Arc<World>,
}

impl Answers {
    pub fn new(world: Arc<World>) -> Self {
        Self { looks: Mutex::default(), world }
    }

    /// The version of an entity that a question asked now must not be answered from before.
    pub fn floor(&self, entity: EntityRef) -> u64 {
        lock(&self.looks).shown.get(&entity).copied().unwrap_or(0)
    }

    /// Somebody was shown this cart.
    pub fn cart_shown(&self, floor: u64, view: &CartView) {
        let looks = &mut *lock(&self.looks);
        let at = looks.carts.get(&view.id).and_then(|looks| looks.find(floor, |look| look == view));
        self.shown(looks, at, floor, view, view.id.entity());
    }

    /// Somebody was shown this order.
    pub fn order_shown(&self, floor: u64, view: &OrderView) {
        let view = &unwaited(view);
        let looks = &mut *lock(&self.looks);
        let at = looks.orders.get(&view.id).and_then(|looks| looks.find(floor, |look| look == view));
        self.shown(looks, at, floor, view, view.id.entity());
    }

    fn coupon_shown(&self, floor: u64, row: &CouponRow) {
        let looks = &mut *lock(&self.looks);
        let at = looks.coupons.get(&row.id).and_then(|looks| looks.find(floor, |look| look == row));
        self.shown(looks, at, floor, row, row.id.entity());
    }

    fn points_shown(&self, floor: u64, view: &PointsView) {
        let looks = &mut *lock(&self.looks);
        let own = looks.points.get(&view.customer);
        // Of whom there is no record there is nothing to show.
        let at = own.map_or(Some(floor), |looks| looks.find(floor, |look| look == view));
        self.shown(looks, at, floor, view, view.customer.entity());
    }

    fn sku_shown(&self, floor: u64, view: &SkuView) {
        let looks = &mut *lock(&self.looks);
        let (view, latest) = (unended(view, looks.latest), looks.latest);
        let same = |look: &SkuView| unended(look, latest) == view;
        let at = looks.skus.get(&view.id).and_then(|looks| looks.find(floor, same));
        self.shown(looks, at, floor, &view, view.vendor_id.entity());
    }

    /// Somebody read a SKU's price and count in the catalogue cache.
    pub fn listing_shown(&self, floor: u64, row: &SkuRow, available: i64) {
        let looks = &mut *lock(&self.looks);
        let same = |look: &SkuView| look.price_minor == row.price_minor && look.available() == available;
        let at = looks.skus.get(&row.id).and_then(|looks| looks.find(floor, same));
        let read = ("listing", row.id, row.price_minor, available);
        self.shown(looks, at, floor, &read, row.vendor_id.entity());
    }

    fn shown(&self, looks: &mut Looks, at: Option<u64>, floor: u64, what: &impl Debug, of: EntityRef) {
        let Some(at) = at else {
            return self
                .world
                .breach(format_args!("told what is not durable, or older than version {floor}: {what:?}"));
        };
        let shown = looks.shown.entry(of).or_default();
        *shown = at.max(*shown);
    }
}

impl Judge for Answers {
    fn record(&self, replay: &Replay, record: &Recorded<'_>, _: &mut Causes) {
        let (looks, version) = (&mut *lock(&self.looks), record.version);
        looks.latest = looks.latest.max(Some(record.at));
        match &record.events {
            Events::Cart(id, _) => {
                if let Some(view) = replay.cart(*id).and_then(Cart::view) {
                    looks.carts.entry(*id).or_default().add(version, view);
                }
            }
            Events::Order(id, _) => {
                if let Some(view) = replay.order(*id).and_then(|order| order.view(Principal::SHOP)) {
                    looks.orders.entry(*id).or_default().add(version, unwaited(&view));
                }
            }
            Events::Vendor(id, _) => {
                if let Some(vendor) = replay.vendor(*id) {
                    for view in vendor.sku_rows().into_iter().filter_map(|row| vendor.sku_view(row.id)) {
                        looks.skus.entry(view.id).or_default().add(version, view);
                    }
                }
            }
            Events::Customer(id, _) => {
                let see = CustomerCommand::Points(PointCommand::SeePoints { by: Principal::SHOP });
                let views = [(0, Some(&Customer::new(*id))), (version, replay.customer(*id))];
                for (version, customer) in views {
                    let own = looks.points.entry(*id).or_default();
                    let reply = customer.and_then(|customer| customer.reply(&see, false));
                    if let Some(Ok(CustomerReply::Points { points })) =
                        reply.filter(|_| version > 0 || own.looks.is_empty())
                    {
                        own.add(version, *points);
                    }
                }
            }
            // People see a line that is in no record.
            Events::Room(..) => {}
            Events::Coupon(id, _) => {
                if let Some(row) = replay.coupon(*id).and_then(Coupon::row) {
                    looks.coupons.entry(*id).or_default().add(version, row);
                }
            }
        }
    }
}

/// A view without the fences that have fallen: a vendor lets sales go that are over with the next record after it was loaded.
fn unended(view: &SkuView, latest: Option<Timestamp>) -> SkuView {
    let mut view = view.clone();
    view.fences.retain(|(until, _)| Some(*until) > latest);
    view
}

/// A view without what only the staff is shown.
fn unwaited(view: &OrderView) -> OrderView {
    OrderView { waits: None, attention: Vec::new(), ..view.clone() }
}
