//! The oracle: what is durable, kept as a plain replay of every commit, and what callers were told, held against it.
//!
//! It knows nothing of the engine. It applies the journal's events one after the other and remembers how everything looked at each
//! version. An answer must show a version that was durable when it was given, and none before what somebody had been shown already
//! when the question was asked. A command with a tag must have happened once if it was acknowledged, and never if it was refused.

use crate::gateway::Books;
use crate::world::{World, lock};
use haat::domain::cart::{Cart, CartEvent, CartStatus, CartView};
use haat::domain::entity::concerns::*;
use haat::domain::entity::{PaymentCall, Principal};
use haat::domain::ids::{CartId, EntityRef, Kind, OrderId, SkuId, VendorId};
use haat::domain::money::{Currency, Money};
use haat::domain::order::{Order, OrderEvent, OrderStatus, OrderView, PaymentStatus, Phase};
use haat::domain::record::{RawRecord, Record};
use haat::domain::rows::{OrderRow, SkuRow};
use haat::domain::time::Timestamp;
use haat::domain::vendor::{Vendor, VendorEvent};
use haat::limits;
use haat::persistence::recovery::for_each_record;
use haat::ports::Frame;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
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
        // The last look that began at the floor or before it is the one that was there at the floor.
        let first = self.looks.partition_point(|(from, _)| *from <= floor).saturating_sub(1);
        self.looks[first..].iter().find(|(_, look)| is(look)).map(|(from, _)| floor.max(*from))
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
    /// When it happened the last time.
    at: Option<Timestamp>,
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
    /// First answers under idempotency keys, and how long the key was known to be kept when they were given.
    first: BTreeMap<u128, (String, Option<Timestamp>)>,
    /// The answers that the journal keeps: when the newest was kept, by entity and key.
    kept: BTreeMap<(EntityRef, u128), Timestamp>,
    /// The same by entity alone, in the journal's order.
    kept_with: BTreeMap<EntityRef, Vec<(Timestamp, u128)>>,
    /// When an answer was last kept under a key, with whichever entity.
    kept_at: BTreeMap<u128, Timestamp>,
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
                self.world.count("records");
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
                let (events, keys) = self.keep(known, entity, record.at, events);
                for event in events {
                    self.cart_event(known, id, (&event, record.at, &keys), causes);
                }
            }
            Kind::Order => {
                let id = OrderId::from_uuid(uuid);
                let before = known.phase(id);
                let Some((track, events)) = self.apply(&mut known.orders, id, line) else { return };
                let is_stuck = track.entity.phase() == Some(Phase::Stuck);
                if is_stuck {
                    self.world.count("quarantined orders");
                }
                if is_stuck && track.entity.told().is_some() {
                    self.world.count("orders stuck for their money");
                }
                let is_resolved = |event: &OrderEvent| matches!(event, OrderEvent::Resolved { .. });
                if before == Some(Phase::Stuck) && !is_stuck && !events.0.iter().any(is_resolved) {
                    self.world.breach(format_args!("{id} left its quarantine, and nobody resolved it"));
                }
                if let Some(view) = track.entity.view(Principal::Staff) {
                    known.order_looks.entry(id).or_default().add(version, unwaited(&view));
                }
                let (events, keys) = self.keep(known, entity, record.at, events);
                for event in &events {
                    if let OrderEvent::Resolved { resolution } = event {
                        self.world.count("resolutions");
                        self.happened(known, &resolution.note, record.at, &keys);
                        let total =
                            known.orders.get(&id).and_then(|track| track.entity.row()).map_or(0, |row| row.total);
                        self.books.by_hand(id, resolution.verb, total);
                    }
                    order_event(id, event, causes);
                }
            }
            Kind::Vendor => {
                let id = VendorId::from_uuid(uuid);
                let Some((track, events)) = self.apply(&mut known.vendors, id, line) else { return };
                for row in track.entity.sku_rows() {
                    known.sku_looks.entry(row.id).or_default().add(version, row);
                }
                let (events, keys) = self.keep(known, entity, record.at, events);
                for event in events {
                    self.vendor_event(known, id, (&event, record.at, &keys), causes);
                }
            }
        }
    }

    fn apply<'a, E: Entity>(
        &self,
        tracks: &'a mut BTreeMap<E::Id, Track<E>>,
        id: E::Id,
        line: &[u8],
    ) -> Option<(&'a Track<E>, Recorded<E>)> {
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
        Some((track, (record.events, record.answers.iter().map(|kept| kept.key.key).collect())))
    }

    /// The journal keeps answers under these keys.
    fn keep<T>(
        &self,
        known: &mut Known,
        entity: EntityRef,
        at: Timestamp,
        (events, keys): (T, Vec<u128>),
    ) -> (T, Vec<u128>) {
        for key in &keys {
            let all = known.kept_with.entry(entity).or_default();
            if let Some(before) = known.kept.insert((entity, *key), at) {
                let most = match entity.kind {
                    Kind::Cart | Kind::Order => limits::IDEMPOTENCY_KEYS_PER_PURCHASE,
                    Kind::Vendor => limits::IDEMPOTENCY_KEYS_PER_VENDOR,
                };
                let younger = all.iter().filter(|(at, other)| *at >= before && other != key).count();
                if at.millis_since(before) <= limits::IDEMPOTENCY_MS && younger < most {
                    self.world
                        .breach(format_args!("{entity} forgot a key too soon: kept at {before:?}, again at {at:?}"));
                }
                self.world.count(match younger < most {
                    true => "keys used again after their day",
                    false => "keys used again after they were crowded out",
                });
            }
            all.push((at, *key));
            known.kept_at.insert(*key, at);
        }
        (events, keys)
    }

    /// What a command with this tag did is durable, again or for the first time: once in a day of its key, or else once.
    fn happened(&self, known: &mut Known, tag: &str, at: Timestamp, keys: &[u128]) {
        let tagged = known.tags.entry(tag.to_owned()).or_default();
        let before = tagged.at.replace(at);
        // With its key in the record it was the entity's to know whether that came before: `keep` judges it.
        if before.is_some() && !keys.contains(&key_of(tag)) {
            self.world.breach(format_args!("{tag} happened more than once"));
        }
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
        // What was settled by hand may have been asked to be undone before, by a node that has not heard of it.
        let by_hand = known.orders.get(&order).is_some_and(|track| track.entity.is_settled_by_hand());
        if by_hand {
            return;
        }
        if matches!(phase, None | Some(Phase::Gathering | Phase::Paying | Phase::Confirming | Phase::Settled)) {
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
        let view = &unwaited(view);
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

    /// Somebody read a SKU's price and count in the catalogue cache.
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

    /// An answer that is kept under an idempotency key: the first, or the same again for a day, and not for longer. `asked` is when
    /// the question was asked, `forgets` whether nothing but a kept answer makes one that repeats.
    pub fn answered_under(&self, key: u128, answer: String, asked: Timestamp, repeats: bool, forgets: bool) {
        let mut known = lock(&self.known);
        let kept_at = known.kept_at.get(&key).copied();
        let is_over = |at: Timestamp, by: Timestamp| by.millis_since(at) > limits::IDEMPOTENCY_MS;
        if repeats && forgets && kept_at.is_some_and(|at| is_over(at, asked)) {
            self.world.breach(format_args!("answered under a key that is past its day: {answer}"));
        }
        if repeats {
            self.world.count("repeated answers");
        }
        let (first, then) = known.first.entry(key).or_insert_with(|| (answer.clone(), kept_at)).clone();
        if first != answer {
            let by = self.world.now().plus_millis(self.world.plan.skew_ms as i64);
            // Kept anew since, which `keep` has judged, or past its day and not kept any more.
            if then == kept_at && !then.is_some_and(|at| is_over(at, by)) {
                self.world.breach(format_args!("under one key first {first}, then {answer}"));
            }
            known.first.insert(key, (answer, kept_at));
        }
    }

    /// Whether an answer was kept under this key, and is not any more.
    pub fn is_past(&self, key: u128, asked: Timestamp) -> bool {
        let kept_at = lock(&self.known).kept_at.get(&key).copied();
        kept_at.is_some_and(|at| asked.millis_since(at) > limits::IDEMPOTENCY_MS)
    }

    /// Whether an order has ended, paid or unpaid.
    pub fn is_over(&self, id: OrderId) -> bool {
        lock(&self.known).orders.get(&id).is_some_and(|track| track.entity.has_ended())
    }

    /// The row of an order as the journal tells it.
    pub fn order_row(&self, id: OrderId) -> Option<OrderRow> {
        lock(&self.known).orders.get(&id).and_then(|track| track.entity.row())
    }

    /// Orders that have neither ended nor been settled.
    pub fn unfinished(&self) -> Vec<(OrderId, Phase)> {
        let known = lock(&self.known);
        let phases = known.orders.iter().filter_map(|(id, track)| Some((*id, track.entity.phase()?)));
        phases.filter(|(_, phase)| !matches!(phase, Phase::Settled | Phase::Ended | Phase::Stuck)).collect()
    }

    /// Whether no order is under way, no cart waits for one, and no vendor holds stock: but for the orders that wait for someone,
    /// because a step of theirs was refused for good.
    pub fn is_at_rest(&self) -> bool {
        let known = lock(&self.known);
        let waits = |order: OrderId| known.phase(order) == Some(Phase::Stuck) && !known.is_stuck_for_money(order);
        let checking_out = |track: &Track<Cart>| {
            let view = track.entity.view().filter(|view| view.status == CartStatus::CheckingOut);
            view.is_some_and(|view| !view.order.is_some_and(waits))
        };
        let unfinished = known.orders.iter().any(|(id, track)| !track.entity.has_ended() && !waits(*id));
        let holds = known.vendors.values().any(|track| track.entity.holds().all_open().any(|(order, _)| !waits(order)));
        !unfinished && !holds && !known.carts.values().any(checking_out)
    }

    /// Orders that are stuck for their money.
    pub fn stuck(&self) -> Vec<OrderId> {
        let known = lock(&self.known);
        known.orders.keys().copied().filter(|order| known.is_stuck_for_money(*order)).collect()
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
            let wrong = match (tagged.at, tagged.acknowledged, tagged.unknown) {
                (None, true, _) => "was acknowledged and never happened",
                (Some(_), false, false) => "was refused and happened",
                _ => continue,
            };
            world.breach(format_args!("{tag} {wrong}"));
        }
        let moves = self.books.moves();
        let mut sold: BTreeMap<SkuId, i64> = BTreeMap::new();
        for (id, track) in &known.orders {
            let Some(view) = track.entity.view(Principal::Staff) else { continue };
            let moves = moves.get(id).map(Vec::as_slice).unwrap_or_default();
            let net: i64 = moves.iter().sum();
            let paid = view.status.is_paid();
            let by_hand = track.entity.is_settled_by_hand();
            // Written off: nobody knows what became of it, and the shop bears it.
            let written_off = by_hand && view.payment_status == PaymentStatus::Pending;
            if !by_hand && moves.iter().filter(|amount| **amount > 0).count() > 1 {
                world.breach(format_args!("{id} was charged more than once: {moves:?}"));
            }
            if !written_off && net != if paid { view.total } else { 0 } {
                world.breach(format_args!("{id} is {} and cost {net} of {}", view.status, view.total));
            }
            if paid {
                view.lines.iter().for_each(|line| *sold.entry(line.sku).or_default() += line.quantity);
            }
        }
        for order in moves.keys().filter(|order| !known.orders.contains_key(order)) {
            world.breach(format_args!("money moved for {order}, which is not durable"));
        }
        // What is held for paid orders that wait for someone is neither sold nor free.
        let mut held: BTreeMap<SkuId, (i64, i64)> = BTreeMap::new();
        for (order, hold) in known.vendors.values().flat_map(|track| track.entity.holds().all_open()) {
            let paid = known.status(order).is_some_and(OrderStatus::is_paid);
            for line in &hold.lines {
                let (all, of_paid) = held.entry(line.sku).or_default();
                *all += line.quantity;
                *of_paid += if paid { line.quantity } else { 0 };
            }
        }
        for row in known.vendors.values().flat_map(|track| track.entity.sku_rows()) {
            let (received, sold) = (known.received.get(&row.id), sold.get(&row.id).copied().unwrap_or(0));
            let (held, of_paid) = held.get(&row.id).copied().unwrap_or_default();
            if Some(&row.received) != received || row.held != held || row.sold() + of_paid != sold {
                world.breach(format_args!("{row:?}: {received:?} came in, {sold} were sold, {held} are held"));
            }
        }
    }

    fn cart_event(&self, known: &mut Known, cart: CartId, event: Happening<'_, CartEvent>, causes: &mut Causes) {
        let (event, at, keys) = event;
        match event {
            CartEvent::LineSet { line, .. } => self.happened(known, &line.title, at, keys),
            CartEvent::CheckoutStarted { details, .. } => {
                self.happened(known, details.email.as_deref().unwrap_or("none"), at, keys);
            }
            CartEvent::CartCheckedOut { order, .. } => {
                let order = *order;
                let paid = move |known: &Known, _: &Books| known.status(order).is_some_and(OrderStatus::is_paid);
                causes.push((format!("{cart} closes"), Box::new(paid)));
            }
            _ => {}
        }
    }

    fn vendor_event(
        &self,
        known: &mut Known,
        vendor: VendorId,
        event: Happening<'_, VendorEvent>,
        causes: &mut Causes,
    ) {
        let (event, at, keys) = event;
        match event {
            VendorEvent::ProductAdded { product } => {
                known.received.extend(product.skus.iter().map(|sku| (sku.id, sku.on_hand)));
            }
            VendorEvent::StockAdjusted { sku, delta, reason } => {
                self.happened(known, reason, at, keys);
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
                let paid = move |known: &Known, _: &Books| known.status(order).is_some_and(OrderStatus::is_paid);
                causes.push((format!("{vendor} sells to {order}"), Box::new(paid)));
            }
            _ => {}
        }
    }
}

impl Known {
    fn status(&self, order: OrderId) -> Option<OrderStatus> {
        self.orders.get(&order).and_then(|track| track.entity.status())
    }

    fn phase(&self, order: OrderId) -> Option<Phase> {
        self.orders.get(&order).and_then(|track| track.entity.phase())
    }

    fn is_stuck_for_money(&self, order: OrderId) -> bool {
        self.orders.get(&order).is_some_and(|track| track.entity.told().is_some())
    }
}

/// A view without what only the staff is shown.
fn unwaited(view: &OrderView) -> OrderView {
    OrderView { waits: None, ..view.clone() }
}

/// The key of the question with this tag, if it has one.
pub fn key_of(tag: &str) -> u128 {
    xxhash_rust::xxh3::xxh3_128(tag.as_bytes())
}

type Cause = Box<dyn Fn(&Known, &Books) -> bool>;
type Causes = Vec<(String, Cause)>;
/// The events of a record, and the keys under which it keeps answers.
type Recorded<E> = (Vec<<E as Decides>::Event>, Vec<u128>);
/// An event, when it was recorded, and the keys in its record.
type Happening<'a, E> = (&'a E, Timestamp, &'a [u128]);

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
        OrderEvent::Paid { amount } => {
            let amount = *amount;
            let taken = move |known: &Known, books: &Books| {
                let by_hand = known.orders.get(&order).is_some_and(|track| track.entity.is_settled_by_hand());
                let taken = books.taken(order);
                taken.is_some_and(|taken| by_hand || taken == Money::new(amount, Currency::BDT))
            };
            ("is paid what it asked for", Box::new(taken))
        }
        OrderEvent::PaymentDiffered { told, .. } | OrderEvent::VoidRefused { taken: Some(told), .. } => {
            let told = *told;
            let by_hand =
                move |known: &Known| known.orders.get(&order).is_some_and(|track| track.entity.is_settled_by_hand());
            ("is told of what moved", Box::new(move |known, books| by_hand(known) || books.taken(order) == Some(told)))
        }
        _ => return,
    };
    causes.push((format!("{order} {what}"), cause));
}
