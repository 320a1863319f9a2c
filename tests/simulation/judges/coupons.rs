//! Coupons: what is held and used of one is never more than its limits say, by number, by buyer and by money; no order uses one twice, none that
//! is paid goes without a use, and what an order held that ended unpaid is given back. It reads the records of orders and of coupons and
//! counts for itself: what a use takes is what its order said, and not what the coupon noted.

use super::replay::{Events, Recorded};
use super::{Causes, Judge, Replay};
use crate::store::Tables;
use crate::world::{World, lock};
use haat::domain::buyer::BuyerKey;
use haat::domain::cart::CartLine;
use haat::domain::coupon::{CouponEvent, CouponTerms, HeldUse, RestoresOn};
use haat::domain::hold::CreditKey;
use haat::domain::ids::{CouponId, CreditId, OrderId, SkuId, VendorId};
use haat::domain::order::{Credit, OrderEvent, Party, Phase, PlacedCoupon, TakenCoupon};
use haat::domain::pricing::Bill;
use haat::domain::reject::Reject;
use haat::domain::rows::CouponRow;
use haat::domain::time::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

/// A use of a coupon.
#[derive(Clone, Debug)]
struct Use {
    held: HeldUse,
    is_committed: bool,
}

#[derive(Debug)]
struct Coupon {
    terms: CouponTerms,
    version: u64,
    single_use: bool,
    issued: u32,
    uses: BTreeMap<OrderId, Use>,
    /// Those that were held once and are not any more, and those that may never be held.
    given_back: BTreeMap<OrderId, bool>,
    /// The credits of paid orders by which something came back.
    returned: BTreeSet<(OrderId, CreditId)>,
    /// The orders whose use is free again.
    free: BTreeSet<OrderId>,
    /// The first end that it had, where it has another.
    former_end: Option<Timestamp>,
    /// What of the budget those still take: parts that were cancelled while the coupon gave nothing back.
    kept: i64,
}

impl Coupon {
    fn count(&self, committed: bool) -> u64 {
        self.uses.values().filter(|one| one.is_committed == committed).count() as u64
    }

    fn amount(&self, committed: bool) -> i64 {
        let kept = if committed { self.kept } else { 0 };
        self.uses.values().filter(|one| one.is_committed == committed).map(|one| one.held.amount).sum::<i64>() + kept
    }

    /// Whether it gives nothing back at that time.
    fn keeps(&self, at: Timestamp) -> bool {
        self.terms.restores_on == RestoresOn::Never || at >= self.terms.ends_at
    }

    /// Whether it may have given nothing back at some time up to then: by these terms, or by those of before.
    fn may_have_kept(&self, at: Timestamp) -> bool {
        self.keeps(at) || self.former_end.is_some_and(|end| end <= at)
    }

    /// What of its uses is more than its limits say.
    fn excess(&self) -> Option<String> {
        let CouponTerms { usage_limit, limit_per_customer, budget, .. } = &self.terms;
        let all = self.uses.len() as u64;
        if usage_limit.is_some_and(|limit| all > limit) {
            return Some(format!("{all} uses, of {usage_limit:?}"));
        }
        let amount = self.amount(false) + self.amount(true);
        if budget.is_some_and(|budget| amount > budget.minor) {
            return Some(format!("{amount} is taken, of {budget:?}"));
        }
        let mut buyers: BTreeMap<BuyerKey, u32> = BTreeMap::new();
        for key in self.uses.values().flat_map(|one| &one.held.keys) {
            *buyers.entry(*key).or_default() += 1;
        }
        let greedy = buyers.iter().find(|(_, uses)| limit_per_customer.is_some_and(|limit| **uses > limit));
        if let Some((key, uses)) = greedy {
            return Some(format!("{key:?} has {uses} uses, of {limit_per_customer:?}"));
        }
        let mut serials: Vec<Option<u32>> = self.uses.values().map(|one| one.held.serial).collect();
        serials.sort_unstable();
        if self.single_use && serials.windows(2).any(|pair| pair[0] == pair[1]) {
            return Some(format!("a code has two uses, of {serials:?}"));
        }
        let unmade = serials.last().is_some_and(|last| self.single_use && last.is_none_or(|last| last >= self.issued));
        unmade.then(|| format!("a code was used that was never made, of {serials:?}"))
    }
}

/// What an order said of its coupons.
#[derive(Debug, Default)]
struct Wanted {
    keys: Vec<BuyerKey>,
    placed: Vec<PlacedCoupon>,
    taken: Vec<TakenCoupon>,
    lines: Vec<Line>,
    bill: Option<Bill>,
    /// Whether a bank took money of it.
    lost: bool,
    /// What each credit gives back of each coupon, as reckoned here: of what it takes off, and whether no unit is left.
    due: BTreeMap<(CouponId, CreditId), (i64, bool)>,
    /// Whether that was of what had been handed over, and whether some of the order was by then.
    shipped: BTreeMap<(CouponId, CreditId), (bool, bool)>,
    is_refunded: bool,
    /// Those of these that it was told of.
    heard: BTreeSet<(CouponId, CreditId)>,
}

#[derive(Debug)]
struct Line {
    vendor: VendorId,
    sku: SkuId,
    units: i64,
    cancelled: i64,
}

impl Wanted {
    fn taken(&self, coupon: CouponId) -> Option<&TakenCoupon> {
        self.taken.iter().find(|taken| taken.coupon == coupon)
    }

    fn counted(&self) -> impl Iterator<Item = CouponId> {
        self.taken.iter().filter(|taken| taken.is_counted).map(|taken| taken.coupon)
    }

    /// What of that comes back by a coupon of these terms: by cancels alone nothing that had been handed over.
    fn due_by(&self, restores_on: RestoresOn, coupon: CouponId, credit: CreditId) -> Option<(i64, bool)> {
        let (amount, whole) = *self.due.get(&(coupon, credit))?;
        let (is_shipped, is_refunded) = self.shipped[&(coupon, credit)];
        Some(match restores_on {
            RestoresOn::Cancel => (if is_shipped { 0 } else { amount }, whole && !is_refunded),
            RestoresOn::Refund | RestoresOn::Never => (amount, whole),
        })
    }

    /// Units are credited: of each coupon's discount goes with them what is theirs, and with a vendor's last unit what was taken off its shipping.
    fn cancelled(&mut self, credit: &Credit) {
        let mut theirs: BTreeMap<usize, i64> = BTreeMap::new();
        let bill = self.bill.as_ref();
        for (at, line) in self.lines.iter_mut().enumerate().filter(|(_, line)| line.vendor == credit.vendor) {
            let units: i64 = credit.lines.iter().filter(|part| part.sku == line.sku).map(|part| part.units).sum();
            let (before, after) = (line.cancelled, line.cancelled + units);
            for discount in bill.iter().flat_map(|bill| &bill.lines[at].discounts) {
                let up_to = |units: i64| discount.amount * units / line.units;
                *theirs.entry(discount.code).or_default() += up_to(after) - up_to(before);
            }
            line.cancelled = after;
        }
        let mut own = self.lines.iter().filter(|line| line.vendor == credit.vendor);
        if own.all(|line| line.cancelled == line.units) {
            let share = bill.into_iter().flat_map(|bill| &bill.shares).filter(|share| share.vendor == credit.vendor);
            for discount in share.flat_map(|share| &share.shipping_discounts) {
                *theirs.entry(discount.code).or_default() += discount.amount;
            }
        }
        let whole = self.lines.iter().all(|line| line.cancelled == line.units);
        self.is_refunded |= credit.shipped;
        for (code, taken) in self.taken.iter().enumerate().filter(|(_, taken)| taken.is_counted) {
            let amount = theirs.get(&code).copied().filter(|_| taken.counts.by_amount).unwrap_or(0);
            if whole || amount > 0 {
                self.due.insert((taken.coupon, credit.id), (amount, whole));
                self.shipped.insert((taken.coupon, credit.id), (credit.shipped, self.is_refunded));
            }
        }
    }
}

#[derive(Default)]
struct Counted {
    coupons: BTreeMap<CouponId, Coupon>,
    orders: BTreeMap<OrderId, Wanted>,
}

impl Counted {
    fn a_use(&self, coupon: CouponId, order: OrderId) -> Option<&Use> {
        self.coupons.get(&coupon)?.uses.get(&order)
    }

    /// Whether a use was held, also one that was given back since: all of that may become durable at once.
    fn was_held(&self, coupon: CouponId, order: OrderId) -> bool {
        let given_back = self.coupons.get(&coupon).and_then(|coupon| coupon.given_back.get(&order));
        given_back.copied().unwrap_or(self.a_use(coupon, order).is_some())
    }
}

pub struct Coupons {
    counted: Arc<Mutex<Counted>>,
    world: Arc<World>,
}

impl Coupons {
    pub fn new(world: Arc<World>) -> Self {
        Self { counted: Arc::default(), world }
    }

    fn coupon_event(&self, id: CouponId, event: &CouponEvent, at: Timestamp, causes: &mut Causes) {
        let counted = &mut *lock(&self.counted);
        if let CouponEvent::CouponCreated { single_use, terms, .. } = event {
            self.world.count("coupons");
            let (terms, single_use) = (CouponTerms::clone(terms), *single_use);
            let (uses, given_back) = (BTreeMap::new(), BTreeMap::new());
            let (returned, free, former_end, kept) = (BTreeSet::new(), BTreeSet::new(), None, 0);
            let (version, issued) = (1, 0);
            let new = Coupon { terms, version, single_use, issued, uses, given_back, returned, free, former_end, kept };
            if counted.coupons.insert(id, new).is_some() {
                self.world.breach(format_args!("{id} was made twice"));
            }
            return;
        }
        let Some(coupon) = counted.coupons.get_mut(&id) else {
            // Releases are remembered for whatever may still come to be.
            if !matches!(event, CouponEvent::UseReleased { .. }) {
                self.world.breach(format_args!("{id} was never made: {event:?}"));
            }
            return;
        };
        match event {
            CouponEvent::CouponCreated { .. } => {}
            CouponEvent::CouponEdited { version, terms } => {
                let in_use = if coupon.uses.is_empty() { "edited coupons" } else { "coupons edited in use" };
                self.world.count(in_use);
                if *version != coupon.version + 1 {
                    self.world.breach(format_args!("{id}: terms {version} follow {}", coupon.version));
                }
                let end = coupon.terms.ends_at;
                if terms.ends_at != end {
                    coupon.former_end = Some(coupon.former_end.map_or(end, |first| first.min(end)));
                }
                (coupon.version, coupon.terms) = (*version, CouponTerms::clone(terms));
            }
            CouponEvent::CodesIssued { upto } => coupon.issued = *upto,
            CouponEvent::UseHeld { order, held, .. } => self.held(coupon, id, *order, held, at, causes),
            CouponEvent::UseCommitted { order } => {
                self.world.count("uses of coupons");
                match coupon.uses.get_mut(order).filter(|one| !one.is_committed) {
                    Some(one) => one.is_committed = true,
                    None => self.world.breach(format_args!("{id} is used by {order}, which holds none: {coupon:?}")),
                }
                let order = *order;
                causes.push((format!("{id} is used by {order}"), Box::new(move |replay| replay.is_paid(order))));
            }
            CouponEvent::UseReleased { order, .. } => {
                let before = coupon.uses.remove(order);
                if before.as_ref().is_some_and(|one| one.is_committed) {
                    self.world.breach(format_args!("{id} takes back what {order} has used: {before:?}"));
                }
                self.world.count(match before {
                    Some(_) => "uses given back",
                    None => "uses that may not be held any more",
                });
                coupon.given_back.insert(*order, before.is_some());
                let order = *order;
                let is_unpaid = move |replay: &Replay| !replay.is_paid(order);
                causes.push((format!("{id} lets {order} go"), Box::new(is_unpaid)));
            }
            CouponEvent::UseReturned { order, credit, whole, freed } => {
                self.returned(coupon, id, (*order, *credit), *whole, freed, at, causes);
            }
            CouponEvent::ReturnsClosed { credits } => {
                for CreditKey(order, credit) in credits.clone() {
                    let counted = self.counted.clone();
                    let has_heard = move |_: &Replay| {
                        lock(&counted).orders.get(&order).is_some_and(|wanted| wanted.heard.contains(&(id, credit)))
                    };
                    causes.push((format!("{id} forgets {credit} of {order}"), Box::new(has_heard)));
                }
            }
            CouponEvent::HoldsClosed { orders } => {
                for order in orders.clone() {
                    let settled = move |replay: &Replay| replay.is_over(order) && replay.is_paid(order);
                    causes.push((format!("{id} forgets {order}"), Box::new(settled)));
                }
            }
        }
        if let Some(excess) = coupon.excess() {
            self.world.breach(format_args!("{id} at {at}: {excess}, in {:?}, after {event:?}", coupon.terms));
        }
    }

    /// Something of a use comes back: once for each credit, while the coupon runs and gives back, and so much as the order's credit says.
    #[expect(clippy::too_many_arguments, reason = "what the event says, and where it stands")]
    fn returned(
        &self,
        coupon: &mut Coupon,
        id: CouponId,
        (order, credit): (OrderId, CreditId),
        whole: bool,
        freed: &HeldUse,
        at: Timestamp,
        causes: &mut Causes,
    ) {
        self.world.count(if whole { "uses that came back" } else { "parts of budgets that came back" });
        if coupon.keeps(at) || !coupon.returned.insert((order, credit)) {
            self.world.breach(format_args!("{id} gives back {freed:?} for {credit} of {order} at {at}: {coupon:?}"));
        }
        let Some(one) = coupon.uses.get_mut(&order).filter(|one| one.is_committed) else {
            self.world.breach(format_args!("{id} gives back what {order} has not used"));
            return;
        };
        one.held.amount -= freed.amount;
        let left = one.held.clone();
        let is_wrong = match whole {
            true => (left.serial, &left.keys) != (freed.serial, &freed.keys),
            false => freed.serial.is_some() || !freed.keys.is_empty(),
        };
        if is_wrong || left.amount < 0 {
            self.world.breach(format_args!("{id} gives back {freed:?} of what {order} has: {left:?} is left"));
        }
        if whole {
            coupon.uses.remove(&order);
            coupon.free.insert(order);
            coupon.kept += left.amount;
        }
        let (counted, amount, restores_on) = (self.counted.clone(), freed.amount, coupon.terms.restores_on);
        let is_due = move |_: &Replay| {
            let due = |wanted: &Wanted| wanted.due_by(restores_on, id, credit);
            lock(&counted).orders.get(&order).and_then(due) == Some((amount, whole))
        };
        causes.push((format!("{id} gives back {amount}, {whole}, by {credit} of {order}"), Box::new(is_due)));
    }

    /// A use is held: while the coupon runs, for an order that never had one, and of what that order said.
    fn held(
        &self,
        coupon: &mut Coupon,
        id: CouponId,
        order: OrderId,
        held: &HeldUse,
        at: Timestamp,
        causes: &mut Causes,
    ) {
        self.world.count("held uses of coupons");
        for (is, what) in [
            (held.serial.is_some(), "held uses of codes for one use"),
            (!held.keys.is_empty(), "held uses counted by buyer"),
            (held.amount > 0, "held uses counted by budget"),
        ] {
            is.then(|| self.world.count(what));
        }
        if !(coupon.terms.starts_at <= at && at < coupon.terms.ends_at) {
            self.world.breach(format_args!("{id} is held at {at}, outside of {:?}", coupon.terms));
        }
        if coupon.given_back.contains_key(&order) {
            self.world.breach(format_args!("{id} is held for {order}, which had given it back"));
        }
        if coupon.uses.insert(order, Use { held: held.clone(), is_committed: false }).is_some() {
            self.world.breach(format_args!("{id} is held twice for {order}"));
        }
        let (version, noted) = (coupon.version, held.clone());
        let (by_key, by_money, by_code) =
            (coupon.terms.limit_per_customer.is_some(), coupon.terms.budget.is_some(), coupon.single_use);
        let counted = self.counted.clone();
        let is_said = move |_: &Replay| {
            let counted = lock(&counted);
            let Some(wanted) = counted.orders.get(&order) else { return false };
            let Some(taken) = wanted.taken(id) else { return false };
            let serial = wanted.placed.iter().find(|placed| placed.coupon == id).and_then(|placed| placed.serial);
            let said = HeldUse {
                serial: serial.filter(|_| by_code),
                keys: if by_key { wanted.keys.clone() } else { Vec::new() },
                amount: if by_money { taken.amount } else { 0 },
            };
            let is_for_somebody = !by_key || !wanted.keys.is_empty();
            said == noted && is_for_somebody && taken.is_counted && taken.version == version
        };
        causes.push((format!("{id} holds {held:?} for {order} by the terms {version}"), Box::new(is_said)));
    }

    fn order_event(&self, order: OrderId, event: &OrderEvent, at: Timestamp, causes: &mut Causes) {
        let counted = &mut *lock(&self.counted);
        match event {
            OrderEvent::Placed { placement, .. } => {
                let keys = placement.buyer.as_ref().map_or_else(Vec::new, |buyer| buyer.keys.clone());
                let placed = placement.coupons.clone();
                let line = |line: &CartLine| {
                    let (vendor, sku, units) = (line.vendor, line.sku, line.quantity);
                    Line { vendor, sku, units, cancelled: 0 }
                };
                let lines = placement.lines.iter().map(line).collect();
                counted.orders.insert(order, Wanted { keys, placed, lines, ..Wanted::default() });
            }
            OrderEvent::CouponsTaken { coupons } => {
                self.world.count("orders with coupons");
                if coupons.iter().any(|taken| !taken.is_counted) {
                    self.world.count("orders with coupons that nobody counts");
                }
                if coupons.len() > 1 {
                    self.world.count("orders with several coupons");
                }
                let wanted = counted.orders.entry(order).or_default();
                let is_placed = coupons.iter().map(|taken| taken.coupon).eq(wanted.placed.iter().map(|one| one.coupon));
                if !is_placed || !wanted.taken.is_empty() {
                    self.world.breach(format_args!("{order} takes {coupons:?}, and has {wanted:?}"));
                }
                wanted.taken.clone_from(coupons);
            }
            OrderEvent::Priced { bill, .. } => {
                counted.orders.entry(order).or_default().bill = bill.as_deref().cloned();
            }
            OrderEvent::DisputeLost { .. } => counted.orders.entry(order).or_default().lost = true,
            OrderEvent::Credited { credit, .. } if credit.lines.iter().any(|line| line.units > 0) => {
                let wanted = counted.orders.entry(order).or_default();
                if !wanted.lost {
                    wanted.cancelled(credit);
                }
            }
            OrderEvent::LegReturned { with: Party::Coupon(id), credits, .. } => {
                let id = *id;
                let wanted = counted.orders.entry(order).or_default();
                for credit in credits {
                    if !wanted.heard.insert((id, *credit)) {
                        self.world.breach(format_args!("{order} hears twice of {credit} from {id}"));
                    }
                    let (credit, counted) = (*credit, self.counted.clone());
                    let is_seen_to = move |_: &Replay| {
                        let counted = lock(&counted);
                        let Some(coupon) = counted.coupons.get(&id) else { return false };
                        let due = counted.orders.get(&order);
                        let due = due.and_then(|wanted| wanted.due_by(coupon.terms.restores_on, id, credit));
                        let nothing = due == Some((0, false));
                        nothing || coupon.returned.contains(&(order, credit)) || coupon.may_have_kept(at)
                    };
                    causes.push((format!("{order} is told that {id} saw to {credit}"), Box::new(is_seen_to)));
                }
            }
            OrderEvent::LegHeld { with: Party::Coupon(coupon) } => {
                let (coupon, counted) = (*coupon, self.counted.clone());
                let holds = move |_: &Replay| lock(&counted).was_held(coupon, order);
                causes.push((format!("{order} is told of a use of {coupon}"), Box::new(holds)));
            }
            OrderEvent::LegRefused { with: Party::Coupon(_), reason } => self.world.count(match reason {
                Reject::CouponExhausted => "orders for which no use was left",
                Reject::CouponLimitReached { .. } => "orders of those who had their uses",
                Reject::CouponTermsChanged => "orders by terms of before",
                _ => "orders refused their coupon otherwise",
            }),
            // Nothing is taken before all is held.
            OrderEvent::PaymentRequested | OrderEvent::Paid { .. } => {
                let (counted, is_for_good) = (self.counted.clone(), matches!(event, OrderEvent::Paid { .. }));
                let all_held = move |replay: &Replay| {
                    let counted = lock(&counted);
                    let Some(wanted) = counted.orders.get(&order) else { return false };
                    let is_held = |coupon| match is_for_good {
                        true => counted.a_use(coupon, order).is_some(),
                        false => counted.was_held(coupon, order),
                    };
                    replay.is_settled_by_hand(order) || wanted.counted().all(is_held)
                };
                causes.push((format!("{order} is to pay, with its coupons"), Box::new(all_held)));
            }
            _ => {}
        }
    }

    /// How a row differs from what was counted.
    fn differs(&self, counted: &Counted, row: &CouponRow) -> bool {
        counted.coupons.get(&row.id).is_none_or(|coupon| {
            let own = (coupon.count(false), coupon.count(true), coupon.amount(false), coupon.amount(true));
            own != (row.held, row.used, row.amount_held, row.amount_used)
                || (&coupon.terms, coupon.version, coupon.issued) != (&row.terms, row.version, row.issued)
        })
    }
}

impl Judge for Coupons {
    fn record(&self, _: &Replay, record: &Recorded<'_>, causes: &mut Causes) {
        match &record.events {
            Events::Coupon(id, events) => {
                events.iter().for_each(|event| self.coupon_event(*id, event, record.at, causes));
            }
            Events::Order(id, events) => {
                events.iter().for_each(|event| self.order_event(*id, event, record.at, causes));
            }
            Events::Cart(..) | Events::Vendor(..) | Events::Customer(..) | Events::Room(..) => {}
        }
    }

    fn at_rest(&self, replay: &Replay) {
        let counted = lock(&self.counted);
        // An order of which a step fails for good waits with what is held for it.
        let waits = |order: OrderId| replay.phase(order) == Some(Phase::Stuck);
        for (id, coupon) in &counted.coupons {
            for (order, one) in &coupon.uses {
                let is_wanted = counted.orders.get(order).is_some_and(|of| of.counted().any(|coupon| coupon == *id));
                if !is_wanted || !(waits(*order) || (one.is_committed && replay.is_paid(*order))) {
                    self.world.breach(format_args!("{id} has {one:?} for {order}, {:?}", replay.status(*order)));
                }
            }
        }
        for (order, wanted) in counted.orders.iter().filter(|(order, _)| replay.is_paid(**order) && !waits(**order)) {
            let is_used = |coupon: CouponId| {
                let is_free = counted.coupons.get(&coupon).is_some_and(|coupon| coupon.free.contains(order));
                is_free || counted.a_use(coupon, *order).is_some_and(|one| one.is_committed)
            };
            if let Some(forgotten) = wanted.due.keys().find(|due| !wanted.heard.contains(due)) {
                self.world.breach(format_args!("{order} gave back {forgotten:?}, and nobody saw to it"));
            }
            if !wanted.counted().all(is_used) {
                self.world.breach(format_args!("{order} is paid, without all uses of {wanted:?}"));
            }
        }
        for row in replay.coupons().filter_map(|(_, coupon)| coupon.row()) {
            if self.differs(&counted, &row) {
                self.world.breach(format_args!("{row:?}, and counted {:?}", counted.coupons.get(&row.id)));
            }
        }
    }

    fn left(&self, tables: &Tables) {
        let counted = lock(&self.counted);
        for row in tables.coupons.values().filter(|row| self.differs(&counted, row)) {
            self.world.breach(format_args!("the tables say {row:?}, and counted {:?}", counted.coupons.get(&row.id)));
        }
        if tables.coupons.len() != counted.coupons.len() {
            let (rows, own) = (tables.coupons.len(), counted.coupons.len());
            self.world.breach(format_args!("{rows} coupons are in the tables, and {own} were made"));
        }
    }
}
