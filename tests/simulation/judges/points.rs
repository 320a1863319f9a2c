//! Points: none is held or spent twice, none comes from nowhere, and none gets lost. It reads the records of orders and of customers alone, and keeps
//! for itself what each customer has, holds and owes, and what of each order's points came back and was earned, by its own arithmetic.

use super::replay::{Events, Recorded};
use super::{Causes, Judge, Replay};
use crate::world::{World, lock};
use haat::domain::customer::{Bought, CustomerEvent, PointEvent, PointLot, Standing};
use haat::domain::entity::{Owner, Principal};
use haat::domain::hold::CreditKey;
use haat::domain::ids::{CreditId, CustomerId, OrderId, ShipmentId, SkuId, VendorId};
use haat::domain::loyalty::EarnTerms;
use haat::domain::money::Currency;
use haat::domain::order::{Credit, OrderEvent, ParcelEnd, ParcelStep, Party, Phase, Placement, SubOrderStatus};
use haat::domain::pricing::Bill;
use haat::domain::time::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;
/// So long live points whose time came while an order had them.
const EXTENDED_MS: i64 = DAY_MS;
/// How much is once, in basis points.
const ONCE: i128 = 10_000;

/// When points expire, and whether that was put off.
type When = (Timestamp, bool);
type Lots = BTreeMap<When, i64>;

fn count(lots: &Lots) -> i64 {
    lots.values().sum()
}

fn counted(lots: &[PointLot]) -> Lots {
    let mut sums = Lots::new();
    lots.iter().for_each(|lot| *sums.entry((lot.expires_at, lot.extended)).or_default() += lot.points);
    sums
}

/// Takes so many out of these, from the first to the last, or the other way round.
fn take(lots: &mut Lots, points: i64, last_first: bool) -> Lots {
    let mut taken = Lots::new();
    let mut left = points;
    while left > 0 {
        let next = if last_first { lots.last_entry() } else { lots.first_entry() };
        let Some(mut next) = next else { break };
        let part = left.min(*next.get());
        taken.insert(*next.key(), part);
        *next.get_mut() -= part;
        left -= part;
        if *next.get() == 0 {
            next.remove();
        }
    }
    taken
}

/// What comes back of points that an order had: and how many do not, because their time was put off before and came again.
fn come_back(lots: &Lots, at: Timestamp) -> (Lots, i64) {
    let (mut back, mut gone) = (Lots::new(), 0);
    for (&(expires_at, extended), &points) in lots {
        if expires_at > at {
            *back.entry((expires_at, extended)).or_default() += points;
        } else if extended {
            gone += points;
        } else {
            *back.entry((at.plus_millis(EXTENDED_MS), true)).or_default() += points;
        }
    }
    (back, gone)
}

/// The end of the day so many days later. No zone of the town puts its clocks forward.
fn end_of_day(at: Timestamp, days: u32, zone: &str) -> Option<Timestamp> {
    let ahead = match zone {
        "UTC" => 0,
        "Africa/Lagos" => HOUR_MS,
        "Asia/Dhaka" => 6 * HOUR_MS,
        _ => return None,
    };
    let day = (at.as_millis() + ahead).div_euclid(DAY_MS);
    Some(Timestamp::from_millis((day + i64::from(days) + 1) * DAY_MS - ahead))
}

/// A customer.
#[derive(Debug, Default)]
struct Account {
    lots: Lots,
    holds: BTreeMap<OrderId, Lots>,
    /// What was spent for orders and has not come back.
    spent: BTreeMap<OrderId, Lots>,
    /// With how many each order was paid.
    paid: BTreeMap<OrderId, i64>,
    /// Orders that ended unpaid.
    released: BTreeSet<OrderId>,
    posted: BTreeSet<(OrderId, CreditId)>,
    debt: i64,
    bought: BTreeMap<i32, i64>,
    standing: Option<Standing>,
    /// By what points were ever multiplied.
    multipliers: BTreeSet<u32>,
}

impl Account {
    /// Whether some of it paid a debt.
    fn come_in(&mut self, lots: &Lots) -> bool {
        let owed = self.debt;
        for (when, points) in lots {
            let pays = self.debt.min(*points);
            self.debt -= pays;
            if *points > pays {
                *self.lots.entry(*when).or_default() += points - pays;
            }
        }
        self.debt < owed
    }

    fn take_back(&mut self, points: i64) -> bool {
        let missing = points - count(&take(&mut self.lots, points, false));
        self.debt += missing;
        missing > 0
    }

    fn buy(&mut self, bought: Option<Bought>) {
        if let Some(Bought { day, minor }) = bought {
            *self.bought.entry(day).or_default() += minor;
        }
    }

    /// For how much was bought. No run takes a year.
    fn bought(&self) -> i64 {
        self.bought.values().sum()
    }
}

#[derive(Debug)]
struct Line {
    vendor: VendorId,
    sku: SkuId,
    units: i64,
    price: i64,
    /// What is paid with money, and what with points, in minor units.
    payable: i64,
    points: i64,
    /// What it costs without tax.
    net: i64,
    credited_units: i64,
    credited: i64,
}

/// What an order is to say to its buyer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Due {
    earned: Option<(i64, Timestamp)>,
    restored: i64,
    taken_back: i64,
    bought: i64,
}

#[derive(Clone, Debug)]
struct Taken {
    spent: i64,
    value: i64,
    earns: Option<EarnTerms>,
}

#[derive(Debug, Default)]
struct Ordered {
    owner: Option<CustomerId>,
    wanted: i64,
    multiplier: Option<u32>,
    lines: Vec<Line>,
    taken: Option<Taken>,
    /// What points pay of shipping and fees, as far as it has not come back.
    besides: BTreeMap<VendorId, i64>,
    /// What of what points pay has come back, in minor units.
    worth_back: i64,
    restored: i64,
    /// What is left of what each share has earned, and for how much goods that is.
    earned: BTreeMap<VendorId, (i64, i64)>,
    due: BTreeMap<CreditId, Due>,
    heard: BTreeSet<CreditId>,
    /// Whose each parcel is, and when some of it was delivered.
    parcels: BTreeMap<ShipmentId, (VendorId, Option<Timestamp>)>,
}

impl Ordered {
    fn place(placement: &Placement) -> Self {
        let buyer = placement.buyer.as_deref();
        let line = |line: &haat::domain::cart::CartLine| Line {
            vendor: line.vendor,
            sku: line.sku,
            units: line.quantity,
            price: line.unit_price,
            payable: 0,
            points: 0,
            net: 0,
            credited_units: 0,
            credited: 0,
        };
        Self {
            owner: match placement.owner {
                Owner::Customer(customer) => Some(customer),
                Owner::Guest => None,
            },
            wanted: buyer.and_then(|buyer| buyer.points).map_or(0, |wanted| wanted.points),
            multiplier: buyer.and_then(|buyer| buyer.multiplier),
            lines: placement.lines.iter().map(line).collect(),
            ..Self::default()
        }
    }

    /// It is priced; what is wrong with what its points pay.
    fn price(&mut self, total: i64, bill: Option<&Bill>) -> Option<String> {
        for (at, line) in self.lines.iter_mut().enumerate() {
            (line.payable, line.net) = (line.units * line.price, line.units * line.price);
            if let Some(bill) = bill {
                let billed = &bill.lines[at];
                let tax = billed.tax.as_ref().map_or(0, |tax| tax.amount);
                let off: i64 = billed.discounts.iter().map(|discount| discount.amount).sum();
                (line.payable, line.points) = (billed.payable, billed.points);
                line.net = billed.total - off - if bill.prices_include_tax { tax } else { 0 };
            }
        }
        for share in bill.iter().flat_map(|bill| &bill.shares) {
            self.besides.insert(share.vendor, share.shipping_points + share.fees_points);
        }
        let pays = self.lines.iter().map(|line| line.points).chain(self.besides.values().copied()).sum::<i64>();
        let (spent, value) = self.taken.as_ref().map_or((0, 0), |taken| (taken.spent, taken.value));
        let worth = self.taken.as_ref().and_then(|taken| taken.earns.as_ref()).map_or(value, |terms| terms.worth);
        let most = if worth > 0 { (total + pays) / worth } else { 0 };
        // Of a programme by which nothing is earned the order need not know what a point is worth.
        let is_right = spent == self.wanted.min(most) || (spent == 0 && value == 0 && worth == 0);
        let why = || format!("{spent} points of {} pay {pays} of {}", self.wanted, total + pays);
        (pays != spent * value || !is_right).then(why)
    }

    /// What the goods of a share cost without tax, of so much as was paid with money and is not given back.
    fn base(&self, vendor: VendorId) -> i64 {
        let own = || self.lines.iter().filter(|line| line.vendor == vendor);
        let net: i128 = own().map(|line| i128::from(line.net)).sum();
        let gross: i128 = own().map(|line| i128::from(line.payable + line.points)).sum();
        let money: i128 = own().map(|line| i128::from(line.payable - line.credited)).sum();
        if gross > 0 { (net * money / gross) as i64 } else { 0 }
    }

    fn earns(&self, terms: &EarnTerms, vendor: VendorId) -> i64 {
        let rate = i128::from(terms.basis_points) * i128::from(terms.multiplier);
        (i128::from(self.base(vendor)) * rate / (ONCE * ONCE * i128::from(terms.worth))) as i64
    }

    fn credit(&mut self, credit: &Credit) {
        let mut worth = credit.points_besides;
        *self.besides.entry(credit.vendor).or_default() -= credit.points_besides;
        for part in &credit.lines {
            let of = |line: &&mut Line| line.vendor == credit.vendor && line.sku == part.sku;
            for line in self.lines.iter_mut().filter(of) {
                let up_to = |units: i64| line.points * units / line.units;
                worth += up_to(line.credited_units + part.units) - up_to(line.credited_units);
                line.credited_units += part.units;
                line.credited += part.amount;
            }
        }
        let Some(taken) = self.taken.clone() else { return };
        let whole = |worth: i64| if taken.value > 0 { worth / taken.value } else { 0 };
        let mut due = Due { restored: whole(self.worth_back + worth) - whole(self.worth_back), ..Due::default() };
        self.worth_back += worth;
        self.restored += due.restored;
        if let (Some(terms), Some(&(points, bought))) = (&taken.earns, self.earned.get(&credit.vendor)) {
            let left = (self.earns(terms, credit.vendor).min(points), self.base(credit.vendor).min(bought));
            (due.taken_back, due.bought) = (points - left.0, left.1 - bought);
            self.earned.insert(credit.vendor, left);
        }
        if due != Due::default() {
            self.due.insert(credit.id, due);
        }
    }

    /// When something of a share was delivered last.
    fn delivered_at(&self, vendor: VendorId) -> Option<Timestamp> {
        self.parcels.values().filter(|(of, _)| *of == vendor).filter_map(|(_, at)| *at).max()
    }
}

#[derive(Default)]
struct Counted {
    accounts: BTreeMap<CustomerId, Account>,
    orders: BTreeMap<OrderId, Ordered>,
    /// The latest time of any record.
    latest: Option<Timestamp>,
}

pub struct Points {
    counted: Arc<Mutex<Counted>>,
    world: Arc<World>,
}

impl Points {
    pub fn new(world: Arc<World>) -> Self {
        Self { counted: Arc::default(), world }
    }

    /// What an order must have said of a posting by which points counted.
    fn is_said(&self, (order, posting): (OrderId, CreditId), says: impl Fn(&Due) -> bool + 'static) -> super::Cause {
        let counted = self.counted.clone();
        Box::new(move |_| {
            let counted = lock(&counted);
            counted.orders.get(&order).and_then(|order| order.due.get(&posting)).is_some_and(&says)
        })
    }

    /// Whether this counts for the tiers.
    fn has_tiers(&self) -> bool {
        self.world.plan.programme.as_ref().is_some_and(|programme| !programme.tiers.is_empty())
    }

    fn customer_event(&self, id: CustomerId, event: &PointEvent, at: Timestamp, causes: &mut Causes) {
        let counted_all = &mut *lock(&self.counted);
        let account = counted_all.accounts.entry(id).or_default();
        let wrong = |what: &str, account: &Account| {
            self.world.breach(format_args!("points of {id}: {what}: {event:?} at {at} with {account:?}"));
        };
        let owed = account.debt;
        match event {
            PointEvent::PointsHeld { order, lots, .. } => {
                self.world.count("points held");
                let order = *order;
                let held = counted(lots);
                let mut alive = account.lots.clone();
                alive.retain(|(expires_at, _), _| *expires_at > at);
                let first = take(&mut alive, count(&held), false);
                if held != first || held.is_empty() {
                    wrong("these are not the first to expire", account);
                }
                let known = account.holds.contains_key(&order) || account.paid.contains_key(&order);
                if known || account.released.contains(&order) {
                    wrong("that order had some before", account);
                }
                for (when, points) in &held {
                    *account.lots.entry(*when).or_default() -= points;
                }
                account.lots.retain(|_, points| *points != 0);
                let (counted, points) = (self.counted.clone(), count(&held));
                account.holds.insert(order, held);
                let wants = move |_: &Replay| {
                    let counted = lock(&counted);
                    let wants = counted.orders.get(&order).filter(|order| order.owner == Some(id));
                    wants.and_then(|order| order.taken.as_ref()).is_some_and(|taken| taken.spent == points)
                };
                causes.push((format!("{id} holds {points} points for {order}"), Box::new(wants)));
            }
            PointEvent::PointsSpent { order } => {
                self.world.count("points spent");
                let order = *order;
                match account.holds.remove(&order) {
                    Some(held) => {
                        account.paid.insert(order, count(&held));
                        account.spent.insert(order, held);
                    }
                    None => wrong("none are held for it", account),
                }
                causes.push((format!("{id} pays {order} with points"), Box::new(move |replay| replay.is_paid(order))));
            }
            PointEvent::PointsReleased { order, lots, expired, .. } => {
                let order = *order;
                let held = account.holds.remove(&order);
                if held.is_some() {
                    self.world.count("points released");
                }
                let (back, gone) = come_back(&held.unwrap_or_default(), at);
                if back.keys().any(|(_, extended)| *extended) {
                    self.world.count("points that expired while they were held");
                }
                if back != counted(lots) || gone != *expired || account.paid.contains_key(&order) {
                    wrong("that is not what it held", account);
                }
                account.come_in(&back);
                account.released.insert(order);
                let is_unpaid = move |replay: &Replay| !replay.is_paid(order);
                causes.push((format!("{id} lets points of {order} go"), Box::new(is_unpaid)));
            }
            PointEvent::PointHoldsClosed { orders } => {
                for order in orders.clone() {
                    let settled = move |replay: &Replay| replay.is_over(order) && replay.is_paid(order);
                    causes.push((format!("{id} forgets that it paid {order}"), Box::new(settled)));
                }
            }
            PointEvent::PointsEarned { order, posting, points, expires_at, bought, .. } => {
                self.world.count("points earned");
                if !account.posted.insert((*order, *posting)) {
                    wrong("that was earned before", account);
                }
                account.come_in(&Lots::from([((*expires_at, false), *points)])).then(|| self.world.count("debts paid"));
                account.buy(*bought);
                let (said, minor) = (Some((*points, *expires_at)), bought.map_or(0, |bought| bought.minor));
                let tiers = self.has_tiers();
                let says = move |due: &Due| due.earned == said && minor == if tiers { due.bought } else { 0 };
                causes.push((format!("{order} has earned {said:?}, {minor}"), self.is_said((*order, *posting), says)));
            }
            PointEvent::PointsRestored { order, credit, lots, expired } => {
                self.world.count("points restored");
                let (order, credit) = (*order, *credit);
                if !account.posted.insert((order, credit)) {
                    wrong("that came back before", account);
                }
                let due = counted_all.orders.get(&order).and_then(|order| order.due.get(&credit)).copied();
                let due = due.unwrap_or_default().restored;
                let taken = take(account.spent.entry(order).or_default(), due, true);
                let (back, gone) = come_back(&taken, at);
                if gone > 0 {
                    self.world.count("points whose time came twice");
                }
                if due <= 0 || count(&taken) != due || back != counted(lots) || gone != *expired {
                    wrong(&format!("{due} of those that it was paid with are {back:?}"), account);
                }
                account.come_in(&back).then(|| self.world.count("debts paid"));
            }
            PointEvent::PointsTakenBack { order, credit, points, bought } => {
                (*points > 0).then(|| self.world.count("points taken back"));
                let (order, credit, points) = (*order, *credit, *points);
                // What comes back by the same credit stands before it.
                let is_new = account.posted.insert((order, credit));
                let due = counted_all.orders.get(&order).and_then(|order| order.due.get(&credit));
                if !is_new && due.is_none_or(|due| due.restored == 0) {
                    wrong("that was taken back before", account);
                }
                account.take_back(points);
                account.buy(*bought);
                let (minor, tiers) = (bought.map_or(0, |bought| bought.minor), self.has_tiers());
                let says = move |due: &Due| due.taken_back == points && minor == if tiers { due.bought } else { 0 };
                causes.push((format!("{order} takes {points}, {minor} back"), self.is_said((order, credit), says)));
            }
            PointEvent::PostingsClosed { postings } => {
                for CreditKey(order, posting) in postings.clone() {
                    let counted = self.counted.clone();
                    let has_heard = move |_: &Replay| {
                        lock(&counted).orders.get(&order).is_some_and(|order| order.heard.contains(&posting))
                    };
                    causes.push((format!("{id} forgets {posting} of {order}"), Box::new(has_heard)));
                }
            }
            PointEvent::PointsGiven { points, expires_at, .. } => {
                self.world.count("points given");
                match *points > 0 {
                    true => drop(account.come_in(&Lots::from([((*expires_at, false), *points)]))),
                    false => drop(account.take_back(-points)),
                }
            }
            PointEvent::PointsExpired { points } => {
                self.world.count("points expired");
                let before = count(&account.lots);
                account.lots.retain(|(expires_at, _), _| *expires_at > at);
                if *points <= 0 || before - count(&account.lots) != *points {
                    wrong("other points have expired", account);
                }
            }
            PointEvent::TierChanged { standing } => {
                self.world.count("tiers that changed");
                let until = account.standing.as_ref().and_then(|standing| standing.until);
                let tiers = self.world.plan.programme.as_ref().map_or(&[][..], |programme| &programme.tiers);
                let reached = tiers.iter().rfind(|tier| tier.from.minor <= account.bought());
                let is_right = reached.is_some_and(|tier| {
                    Some(&tier.name) == standing.tier.as_ref() && tier.multiplier_basis_points == standing.multiplier
                });
                if !is_right && until.is_none_or(|until| at < until) {
                    wrong("that is not the tier that was reached", account);
                }
                account.multipliers.insert(standing.multiplier);
                account.standing = Some(standing.clone());
            }
        }
        if account.debt > owed {
            self.world.count("points owed");
        }
        if account.debt < 0 || (account.debt > 0 && !account.lots.is_empty()) {
            wrong("who owes points has some", account);
        }
        if account.lots.values().any(|points| *points <= 0) {
            wrong("fewer than none", account);
        }
    }

    /// The customer itself says the same.
    fn compare(&self, replay: &Replay, id: CustomerId) {
        let counted_all = lock(&self.counted);
        let Some(account) = counted_all.accounts.get(&id) else { return };
        let Some(points) = replay.customer(id).map(haat::domain::customer::Customer::points) else { return };
        let lots = points.lots().map(|lot| ((lot.expires_at, lot.extended), lot.points)).collect::<Lots>();
        let held: i64 = account.holds.values().map(count).sum();
        if (lots, points.held(), points.debt()) != (account.lots.clone(), held, account.debt) {
            self.world.breach(format_args!("{id} has {points:?}, and counted are {account:?}"));
        }
        let tiers = self.world.plan.programme.as_ref().map_or(&[][..], |programme| &programme.tiers);
        let rank = |name: &str| tiers.iter().position(|tier| tier.name == name);
        let has = account.standing.as_ref().and_then(|standing| rank(standing.tier.as_deref()?));
        let reached = tiers.iter().rposition(|tier| tier.from.minor <= account.bought());
        if reached > has {
            self.world.breach(format_args!("{id} is in tier {has:?}, and has bought for {:?}", account.bought));
        }
    }

    fn order_event(&self, replay: &Replay, id: OrderId, event: &OrderEvent, at: Timestamp, causes: &mut Causes) {
        let counted = &mut *lock(&self.counted);
        if let OrderEvent::Placed { placement, .. } = event {
            let order = Ordered::place(placement);
            let multiplier = order.multiplier.filter(|multiplier| i128::from(*multiplier) != ONCE);
            let account = order.owner.and_then(|owner| counted.accounts.get(&owner));
            if multiplier.is_some_and(|of| account.is_none_or(|account| !account.multipliers.contains(&of))) {
                self.world.breach(format_args!("{id} is of a tier in which its buyer never was: {multiplier:?}"));
            }
            counted.orders.insert(id, order);
            return;
        }
        let Some(order) = counted.orders.get_mut(&id) else { return };
        let wrong = |what: &str, order: &Ordered| {
            self.world.breach(format_args!("points of {id}: {what}: {event:?} at {at} with {order:?}"));
        };
        match event {
            OrderEvent::Attached { customer } => order.owner = Some(*customer),
            OrderEvent::StockHeld { lines, .. } => {
                for held in lines {
                    order
                        .lines
                        .iter_mut()
                        .filter(|line| line.sku == held.sku)
                        .for_each(|line| line.price = held.unit_price);
                }
            }
            OrderEvent::PointsTaken { spent, value, earns } => {
                let of = |version| self.world.programme(version);
                let fits = |terms: &EarnTerms| {
                    of(terms.version).is_some_and(|programme| {
                        let worth = programme.point_values.iter().find(|value| value.currency == Currency::BDT);
                        let multiplier = order.multiplier.map_or(ONCE, i128::from);
                        terms.basis_points == programme.earn_basis_points
                            && worth.is_some_and(|worth| worth.minor == terms.worth)
                            && (*spent == 0 || *value == terms.worth)
                            && i128::from(terms.multiplier) == multiplier
                            && (terms.after_days, terms.expires_days)
                                == (programme.earn_after_days, programme.expires_days)
                            && *terms.zone == *programme.time_zone
                    })
                };
                let is_right = order.owner.is_some() && order.taken.is_none() && (0..=order.wanted).contains(spent);
                if !is_right || !earns.as_deref().is_none_or(fits) || (*spent == 0) != (*value == 0) {
                    wrong("it takes others than it may", order);
                }
                order.taken = Some(Taken { spent: *spent, value: *value, earns: earns.as_deref().cloned() });
            }
            OrderEvent::Priced { total, bill } => {
                if order.wanted > 0 && order.owner.is_none() {
                    wrong("a guest pays with points", order);
                }
                if let Some(why) = order.price(*total, bill.as_deref()) {
                    wrong(&why, order);
                }
                if order.taken.as_ref().is_some_and(|taken| taken.spent > 0) {
                    self.world.count("orders with points");
                    (*total == 0).then(|| self.world.count("orders that points pay whole"));
                }
            }
            OrderEvent::LegRefused { with: Party::Points(_), .. } => self.world.count("orders for want of points"),
            OrderEvent::LegHeld { with: Party::Points(customer) } => {
                let (counted, customer) = (self.counted.clone(), *customer);
                let holds = move |_: &Replay| {
                    let counted = lock(&counted);
                    let account = counted.accounts.get(&customer);
                    account.is_some_and(|of| {
                        of.holds.contains_key(&id) || of.released.contains(&id) || of.paid.contains_key(&id)
                    })
                };
                causes.push((format!("{customer} holds points for {id}"), Box::new(holds)));
            }
            OrderEvent::Credited { credit, .. } => order.credit(credit),
            OrderEvent::DisputeLost { shares, .. } => {
                shares.iter().filter_map(|share| share.credit.as_deref()).for_each(|credit| order.credit(credit));
            }
            OrderEvent::ShipmentMade { parcel, .. } => drop(order.parcels.insert(parcel.id, (parcel.vendor, None))),
            OrderEvent::ShipmentMoved { shipment, step, .. } => {
                let Some((_, delivered_at)) = order.parcels.get_mut(shipment) else { return };
                match &**step {
                    ParcelStep::Deliver { accepted, .. } => {
                        let some = accepted.as_ref().is_none_or(|lines| lines.iter().any(|line| line.quantity > 0));
                        *delivered_at = some.then_some(at);
                    }
                    ParcelStep::Correct { to } => *delivered_at = (*to == ParcelEnd::Delivered).then_some(at),
                    _ => {}
                }
            }
            OrderEvent::PointsEarned { vendor, posting, points, expires_at } => {
                let terms = order.taken.as_ref().and_then(|taken| taken.earns.clone());
                let delivered = order.delivered_at(*vendor);
                let due = terms.as_ref().zip(delivered);
                let due = due.map(|(terms, at)| at.plus_millis(i64::from(terms.after_days) * DAY_MS));
                let right = terms
                    .as_ref()
                    .map(|terms| (order.earns(terms, *vendor), end_of_day(at, terms.expires_days, &terms.zone)));
                if due.is_none_or(|due| at < due) || !replay.is_paid(id) || !is_delivered(replay, id, *vendor) {
                    wrong("it earns too early", order);
                }
                if right != Some((*points, Some(*expires_at))) || *points <= 0 {
                    wrong(&format!("it earns {right:?}"), order);
                }
                let bought = order.base(*vendor);
                let is_first = order.earned.insert(*vendor, (*points, bought)).is_none();
                let due = Due { earned: Some((*points, *expires_at)), bought, ..Due::default() };
                if order.due.insert(*posting, due).is_some() || !is_first {
                    wrong("it earns twice", order);
                }
            }
            OrderEvent::LegReturned { with: Party::Points(customer), credits, .. } => {
                for credit in credits {
                    if order.owner != Some(*customer) || !order.heard.insert(*credit) {
                        wrong("it hears twice", order);
                    }
                    let (counted, customer, key) = (self.counted.clone(), *customer, (id, *credit));
                    let has = move |_: &Replay| {
                        lock(&counted).accounts.get(&customer).is_some_and(|account| account.posted.contains(&key))
                    };
                    causes.push((format!("{customer} has heard of {credit} of {id}"), Box::new(has)));
                }
            }
            _ => {}
        }
        let spent = order.taken.as_ref().map_or(0, |taken| taken.spent);
        if order.restored > spent || order.besides.values().any(|left| *left < 0) {
            wrong("more comes back than was spent", order);
        }
    }
}

/// Whether all of a share came that was to come, as its order says.
fn is_delivered(replay: &Replay, order: OrderId, vendor: VendorId) -> bool {
    let view = replay.order(order).and_then(|order| order.view(Principal::SHOP));
    let share = view.iter().flat_map(|view| &view.sub_orders).find(|share| share.vendor == vendor);
    share.is_some_and(|share| share.status == SubOrderStatus::Delivered)
}

impl Judge for Points {
    fn record(&self, replay: &Replay, record: &Recorded<'_>, causes: &mut Causes) {
        {
            let latest = &mut lock(&self.counted).latest;
            *latest = (*latest).max(Some(record.at));
        }
        match &record.events {
            Events::Customer(id, events) => {
                for event in events {
                    if let CustomerEvent::Points(event) = event {
                        self.customer_event(*id, event, record.at, causes);
                    }
                }
                self.compare(replay, *id);
            }
            Events::Order(id, events) => {
                events.iter().for_each(|event| self.order_event(replay, *id, event, record.at, causes));
            }
            Events::Cart(..) | Events::Vendor(..) | Events::Coupon(..) | Events::Room(..) => {}
        }
    }

    fn at_rest(&self, replay: &Replay) {
        let counted = lock(&self.counted);
        let waits = |order: OrderId| replay.phase(order) == Some(Phase::Stuck);
        for (id, account) in &counted.accounts {
            for order in account.holds.keys().filter(|order| !waits(**order)) {
                self.world.breach(format_args!("{id} holds points for {order}, {:?}", replay.status(*order)));
            }
            for order in account.paid.keys().filter(|order| !waits(**order) && !replay.is_paid(**order)) {
                self.world.breach(format_args!("{id} has paid {order}, {:?}", replay.status(*order)));
            }
        }
        for (id, order) in counted.orders.iter().filter(|(id, _)| replay.is_paid(**id) && !waits(**id)) {
            let account = order.owner.and_then(|owner| counted.accounts.get(&owner));
            let paid = account.and_then(|account| account.paid.get(id)).copied().unwrap_or(0);
            if order.taken.as_ref().map_or(0, |taken| taken.spent) != paid {
                self.world.breach(format_args!("{id} was paid with {paid} points: {order:?}"));
            }
            if let Some(unheard) = order.due.keys().find(|due| !order.heard.contains(due)) {
                self.world.breach(format_args!("nobody has heard of {unheard} of {id}: {:?}", order.due));
            }
            let Some(terms) = order.taken.as_ref().and_then(|taken| taken.earns.as_ref()) else { continue };
            for vendor in order.lines.iter().map(|line| line.vendor).collect::<BTreeSet<_>>() {
                let due = order.delivered_at(vendor).map(|at| at.plus_millis(i64::from(terms.after_days) * DAY_MS));
                let is_due = due.is_some_and(|due| Some(due) <= counted.latest) && order.earns(terms, vendor) > 0;
                if is_due && is_delivered(replay, *id, vendor) && !order.earned.contains_key(&vendor) {
                    self.world.breach(format_args!("{vendor} has delivered {id}, which has earned nothing: {order:?}"));
                }
            }
        }
    }
}
