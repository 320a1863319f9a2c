//! The oracle: what is durable, kept as a plain replay of every commit, and what callers were told, held against it.
//!
//! It knows nothing of the engine. It applies the journal's events one after the other and remembers how everything looked at each
//! version. An answer must show a version that was durable when it was given, and none before what somebody had been shown already
//! when the question was asked. A command with a tag must have happened once if it was acknowledged, and never if it was refused.

use crate::gateway::Books;
use crate::world::{World, lock};
use haat::domain::cart::{Cart, CartEvent, CartStatus, CartView};
use haat::domain::entity::{Entity, PaymentCall, Principal};
use haat::domain::ids::{CartId, EntityRef, Kind, OrderId, SkuId, VendorId};
use haat::domain::order::{Order, OrderEvent, OrderStatus, OrderView, PaymentStatus, Phase};
use haat::domain::record::{RawRecord, Record};
use haat::domain::rows::SkuRow;
use haat::domain::time::Timestamp;
use haat::domain::vendor::{Vendor, VendorEvent};
use haat::persistence::recovery::for_each_record;
use haat::ports::Frame;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

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
        let ends = self.looks.iter().skip(1).map(|(version, _)| version - 1).chain([u64::MAX]);
        let times = self.looks.iter().zip(ends);
        times.filter(|((_, look), end)| *end >= floor && is(look)).map(|((from, _), _)| floor.max(*from)).next()
    }
}

/// An entity as the journal tells it.
struct Track<E> {
    entity: E,
    version: u64,
    /// The newest version that somebody was shown.
    shown: u64,
}

/// What is known of a command that can be recognized in the journal.
#[derive(Default)]
struct Tagged {
    times: u32,
    acknowledged: bool,
    /// Whether a try of it ended without anybody knowing how.
    unknown: bool,
}

#[derive(Default)]
struct Known {
    carts: BTreeMap<CartId, Track<Cart>>,
    orders: BTreeMap<OrderId, Track<Order>>,
    vendors: BTreeMap<VendorId, Track<Vendor>>,
    cart_looks: BTreeMap<CartId, History<CartView>>,
    order_looks: BTreeMap<OrderId, History<OrderView>>,
    sku_looks: BTreeMap<SkuId, History<SkuRow>>,
    tags: BTreeMap<String, Tagged>,
    /// First answers under idempotency keys.
    first: BTreeMap<u128, String>,
    /// Every hold that ever was.
    held: BTreeSet<(VendorId, OrderId)>,
    /// Pieces that came in, less those taken out.
    received: BTreeMap<SkuId, i64>,
}

/// The oracle of one run.
pub struct Oracle {
    known: Mutex<Known>,
    books: Arc<Books>,
    world: Arc<World>,
}

impl Oracle {
    pub fn new(world: Arc<World>, books: Arc<Books>) -> Arc<Self> {
        Arc::new(Self { known: Mutex::default(), books, world })
    }

    /// The store has committed a batch.
    pub fn committed(&self, frames: &[Frame]) {
        let mut known = lock(&self.known);
        let mut causes = Vec::new();
        for frame in frames {
            let mut count = 0;
            let read = for_each_record(frame, |record, line| {
                count += 1;
                self.world.counts.records.fetch_add(1, Ordering::Relaxed);
                self.record(&mut known, record, line, &mut causes);
            });
            if read.is_err() || count != frame.records {
                self.world.breach(format_args!("frame {}/{} cannot be read", frame.partition, frame.seq));
            }
        }
        // A batch becomes durable at once: a cause may stand in another frame of it.
        for (what, holds) in causes {
            if !holds(&known, &self.books) {
                self.world.breach(format_args!("durable before its cause: {what}"));
            }
        }
    }

    fn record(&self, known: &mut Known, record: &RawRecord<'_>, line: &[u8], causes: &mut Causes) {
        let uuid = record.entity.uuid;
        let (entity, version) = (record.entity, record.version);
        match entity.kind {
            Kind::Cart => {
                let id = CartId::from_uuid(uuid);
                let Some((track, events)) = self.apply(&mut known.carts, id, line) else { return };
                if let Some(view) = track.entity.view() {
                    known.cart_looks.entry(id).or_default().add(version, view);
                }
                for event in events {
                    cart_event(known, id, &event, causes);
                }
            }
            Kind::Order => {
                let id = OrderId::from_uuid(uuid);
                let Some((track, events)) = self.apply(&mut known.orders, id, line) else { return };
                if let Some(view) = track.entity.view(Principal::Staff) {
                    known.order_looks.entry(id).or_default().add(version, view);
                }
                events.iter().for_each(|event| order_event(id, event, causes));
            }
            Kind::Vendor => {
                let id = VendorId::from_uuid(uuid);
                let Some((track, events)) = self.apply(&mut known.vendors, id, line) else { return };
                for row in track.entity.sku_rows() {
                    known.sku_looks.entry(row.id).or_default().add(version, row);
                }
                for event in events {
                    vendor_event(known, id, &event, causes);
                }
            }
        }
    }

    fn apply<'a, E: Entity>(
        &self,
        tracks: &'a mut BTreeMap<E::Id, Track<E>>,
        id: E::Id,
        line: &[u8],
    ) -> Option<(&'a Track<E>, Vec<E::Event>)> {
        let Ok(record) = serde_json::from_slice::<Record<E::Event, E::Reply>>(line) else {
            self.world.breach(format_args!("a record of {id} cannot be read"));
            return None;
        };
        let track = tracks.entry(id).or_insert_with(|| Track { entity: E::new(id), version: 0, shown: 0 });
        if record.version != track.version + 1 {
            self.world.breach(format_args!("{id}: version {} follows {}", record.version, track.version));
        }
        track.version = record.version;
        for event in &record.events {
            track.entity.apply(event, record.at);
            if let Err(breach) = track.entity.check() {
                self.world.breach(format_args!("{breach}, after {event:?}"));
            }
        }
        Some((track, record.events))
    }

    /// A gateway is asked to charge.
    pub fn charge_asked(&self, call: &PaymentCall, now: Timestamp) {
        let known = lock(&self.known);
        let asked = known.order_looks.get(&call.order).and_then(|looks| looks.looks.last());
        if asked.is_none_or(|(_, view)| view.payment_status == PaymentStatus::None) {
            self.world.breach(format_args!("{} is charged before its request is durable", call.order));
        }
        if now >= call.not_after {
            self.world.breach(format_args!("{} is charged after its deadline", call.order));
        }
    }

    /// A gateway is asked to undo a charge.
    pub fn void_asked(&self, order: OrderId) {
        let known = lock(&self.known);
        let phase = known.orders.get(&order).and_then(|track| track.entity.phase());
        if matches!(phase, None | Some(Phase::Reserving | Phase::Paying | Phase::Settling | Phase::Settled)) {
            self.world.breach(format_args!("{order} is voided while it durably stands at {phase:?}"));
        }
    }

    /// The version of an entity that a question asked now must not be answered from before.
    pub fn floor(&self, entity: EntityRef) -> u64 {
        let known = lock(&self.known);
        let shown = match entity.kind {
            Kind::Cart => known.carts.get(&CartId::from_uuid(entity.uuid)).map(|track| track.shown),
            Kind::Order => known.orders.get(&OrderId::from_uuid(entity.uuid)).map(|track| track.shown),
            Kind::Vendor => known.vendors.get(&VendorId::from_uuid(entity.uuid)).map(|track| track.shown),
        };
        shown.unwrap_or(0)
    }

    /// Somebody was shown this cart.
    pub fn cart_shown(&self, floor: u64, view: &CartView) {
        let known = &mut *lock(&self.known);
        let at = known.cart_looks.get(&view.id).and_then(|looks| looks.find(floor, |look| look == view));
        self.shown(at, floor, view, known.carts.get_mut(&view.id).map(|track| &mut track.shown));
    }

    /// Somebody was shown this order.
    pub fn order_shown(&self, floor: u64, view: &OrderView) {
        let known = &mut *lock(&self.known);
        let at = known.order_looks.get(&view.id).and_then(|looks| looks.find(floor, |look| look == view));
        self.shown(at, floor, view, known.orders.get_mut(&view.id).map(|track| &mut track.shown));
    }

    /// Somebody was shown this SKU.
    pub fn sku_shown(&self, floor: u64, row: &SkuRow) {
        let known = &mut *lock(&self.known);
        let at = known.sku_looks.get(&row.id).and_then(|looks| looks.find(floor, |look| look == row));
        self.shown(at, floor, row, known.vendors.get_mut(&row.vendor_id).map(|track| &mut track.shown));
    }

    /// Somebody read a SKU's price and count in the directory.
    pub fn listing_shown(&self, floor: u64, row: &SkuRow, available: i64) {
        let known = &mut *lock(&self.known);
        let same = |look: &SkuRow| look.price_minor == row.price_minor && look.available() == available;
        let at = known.sku_looks.get(&row.id).and_then(|looks| looks.find(floor, same));
        let read = ("listing", row.id, row.price_minor, available);
        self.shown(at, floor, &read, known.vendors.get_mut(&row.vendor_id).map(|track| &mut track.shown));
    }

    fn shown(&self, at: Option<u64>, floor: u64, what: &impl Debug, shown: Option<&mut u64>) {
        match (at, shown) {
            (Some(at), Some(shown)) => *shown = at.max(*shown),
            _ => self.world.breach(format_args!("told what is not durable, or older than version {floor}: {what:?}")),
        }
    }

    /// A try of the command with this tag ended so: acknowledged, unknown, or not done.
    pub fn tried(&self, tag: &str, acknowledged: bool, unknown: bool) {
        let mut known = lock(&self.known);
        let tagged = known.tags.entry(tag.to_owned()).or_default();
        tagged.acknowledged |= acknowledged;
        tagged.unknown |= unknown;
    }

    /// An answer that is kept under an idempotency key: the first, or the same again.
    pub fn answered_under(&self, key: u128, answer: String) {
        let mut known = lock(&self.known);
        let first = known.first.entry(key).or_insert_with(|| answer.clone());
        if *first != answer {
            self.world.breach(format_args!("under one key first {first}, then {answer}"));
        }
    }

    /// Orders that have neither ended nor been settled.
    pub fn unfinished(&self) -> Vec<(OrderId, Phase)> {
        let known = lock(&self.known);
        let phases = known.orders.iter().filter_map(|(id, track)| Some((*id, track.entity.phase()?)));
        phases.filter(|(_, phase)| !matches!(phase, Phase::Settled | Phase::Ended)).collect()
    }

    /// Whether a cart waits for an order, or a vendor holds stock.
    pub fn is_at_rest(&self) -> bool {
        let known = lock(&self.known);
        let checking_out =
            |track: &Track<Cart>| track.entity.view().is_some_and(|view| view.status == CartStatus::CheckingOut);
        let unfinished = known.orders.values().any(|track| !track.entity.has_ended());
        let holds = known.vendors.values().any(|track| track.entity.holds().next().is_some());
        !unfinished && !holds && !known.carts.values().any(checking_out)
    }

    /// How many orders have each status.
    pub fn order_counts(&self) -> BTreeMap<OrderStatus, i64> {
        let mut counts = BTreeMap::new();
        for status in lock(&self.known).orders.values().filter_map(|track| track.entity.status()) {
            *counts.entry(status).or_default() += 1;
        }
        counts
    }

    /// Every SKU as the journal tells it.
    pub fn skus(&self) -> Vec<SkuRow> {
        lock(&self.known).vendors.values().flat_map(|track| track.entity.sku_rows()).collect()
    }

    /// What must hold when everything has come to rest.
    pub fn check_at_rest(&self) {
        let known = lock(&self.known);
        let world = &self.world;
        for (tag, tagged) in &known.tags {
            let wrong = match (tagged.times, tagged.acknowledged, tagged.unknown) {
                (0, true, _) => "was acknowledged and never happened",
                (1.., false, false) => "was refused and happened",
                (2.., ..) => "happened more than once",
                _ => continue,
            };
            world.breach(format_args!("{tag} {wrong}: {} times", tagged.times));
        }
        let moves = self.books.moves();
        let mut sold: BTreeMap<SkuId, i64> = BTreeMap::new();
        for (id, track) in &known.orders {
            let Some(view) = track.entity.view(Principal::Staff) else { continue };
            let moves = moves.get(id).map(Vec::as_slice).unwrap_or_default();
            let net: i64 = moves.iter().sum();
            let paid = view.status.is_paid();
            if moves.iter().filter(|amount| **amount > 0).count() > 1 {
                world.breach(format_args!("{id} was charged more than once: {moves:?}"));
            }
            if net != if paid { view.total } else { 0 } {
                world.breach(format_args!("{id} is {} and cost {net} of {}", view.status, view.total));
            }
            if paid {
                view.lines.iter().for_each(|line| *sold.entry(line.sku).or_default() += line.quantity);
            }
        }
        for order in moves.keys().filter(|order| !known.orders.contains_key(order)) {
            world.breach(format_args!("money moved for {order}, which is not durable"));
        }
        for row in known.vendors.values().flat_map(|track| track.entity.sku_rows()) {
            let (received, sold) = (known.received.get(&row.id), sold.get(&row.id).copied().unwrap_or(0));
            if Some(&row.received) != received || row.held != 0 || row.sold() != sold {
                world.breach(format_args!("{row:?}: {received:?} came in, {sold} were sold"));
            }
        }
    }
}

type Cause = Box<dyn Fn(&Known, &Books) -> bool>;
type Causes = Vec<(String, Cause)>;

fn happened(known: &mut Known, tag: &str) {
    known.tags.entry(tag.to_owned()).or_default().times += 1;
}

fn status(known: &Known, order: OrderId) -> Option<OrderStatus> {
    known.orders.get(&order).and_then(|track| track.entity.status())
}

fn cart_event(known: &mut Known, cart: CartId, event: &CartEvent, causes: &mut Causes) {
    match event {
        CartEvent::LineSet { line, .. } => happened(known, &line.title),
        CartEvent::CheckoutStarted { details, .. } => happened(known, details.email.as_deref().unwrap_or("none")),
        CartEvent::CartCheckedOut { order } => {
            let order = *order;
            let paid = move |known: &Known, _: &Books| status(known, order).is_some_and(OrderStatus::is_paid);
            causes.push((format!("{cart} closes"), Box::new(paid)));
        }
        _ => {}
    }
}

fn order_event(order: OrderId, event: &OrderEvent, causes: &mut Causes) {
    let (what, cause): (_, Cause) = match event {
        OrderEvent::Placed { placement, .. } => {
            let (cart, attempt) = (placement.cart, placement.attempt);
            let started = move |known: &Known, _: &Books| {
                OrderId::for_attempt(cart, attempt) == order && known.carts.contains_key(&cart)
            };
            ("is placed", Box::new(started))
        }
        OrderEvent::StockHeld { vendor, .. } => {
            let vendor = *vendor;
            ("is told of a hold", Box::new(move |known, _| known.held.contains(&(vendor, order))))
        }
        OrderEvent::Paid { .. } => ("is paid", Box::new(move |_, books| books.has_taken(order))),
        _ => return,
    };
    causes.push((format!("{order} {what}"), cause));
}

fn vendor_event(known: &mut Known, vendor: VendorId, event: &VendorEvent, causes: &mut Causes) {
    match event {
        VendorEvent::ProductAdded { product } => {
            known.received.extend(product.skus.iter().map(|sku| (sku.id, sku.on_hand)));
        }
        VendorEvent::StockAdjusted { sku, delta, reason } => {
            happened(known, reason);
            *known.received.entry(*sku).or_default() += delta;
        }
        VendorEvent::StockHeld { order, .. } => {
            let order = *order;
            known.held.insert((vendor, order));
            let placed = move |known: &Known, _: &Books| known.orders.contains_key(&order);
            causes.push((format!("{vendor} holds for {order}"), Box::new(placed)));
        }
        VendorEvent::StockCommitted { order } => {
            let order = *order;
            let paid = move |known: &Known, _: &Books| status(known, order).is_some_and(OrderStatus::is_paid);
            causes.push((format!("{vendor} sells to {order}"), Box::new(paid)));
        }
        _ => {}
    }
}
