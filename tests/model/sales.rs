//! A vendor with sales, price breaks and limits against a plain model. The model keeps who has what, and the terms of each sale; all figures it
//! sums up anew, and it calls nothing of the code that it judges. A refusal must be one of those that the model finds, with the same figures.

use crate::kept::{Kept, Tally};
use crate::random::config;
use haat::domain::buyer::{Audience, BuyerKey, HeldFor};
use haat::domain::entity::Principal;
use haat::domain::ids::{CustomerId, OrderId, ProductId, SaleId, SkuId, VendorId};
use haat::domain::money::{Currency, Money};
use haat::domain::reject::{Reject, Shortage};
use haat::domain::time::Timestamp;
use haat::domain::vendor::*;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

const BEGIN: i64 = 1_700_000_000_000;
const SKUS: usize = 2;
const SALES: usize = 5;
const ORDERS: usize = 24;
const ON_HAND: i64 = 40;
const LIST: i64 = 100;
/// How long an order has for its payment.
const ORDER_MS: i64 = 8_000;

fn id_of(number: usize) -> SkuId {
    SkuId::from_uuid(Uuid::from_u128(0x10 + number as u128))
}

fn sale_id(number: usize) -> SaleId {
    SaleId::from_uuid(Uuid::from_u128(0x20 + number as u128))
}

fn order_id(number: usize) -> OrderId {
    OrderId::from_uuid(Uuid::from_u128(0x30 + number as u128))
}

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}

/// Who comes. The first keys are the account's own.
#[derive(Clone, Debug)]
struct Who {
    keys: Vec<u8>,
    account: bool,
    wholesale: bool,
    method: &'static str,
}

/// Terms of an item, with times as distances from the start of the sale.
#[derive(Clone, Debug)]
struct NewItem {
    price: i64,
    allotment: i64,
    limit: Option<i64>,
    /// When how much opens, as it is to be right; and how many pieces it is off.
    tranches: Vec<(i64, i64)>,
    off: i64,
}

#[derive(Clone, Debug)]
struct NewSale {
    /// From now on.
    starts_in: i64,
    lasts: i64,
    items: Vec<Option<NewItem>>,
    limit: Option<i64>,
    account: bool,
    goes_on: bool,
    card_alone: bool,
}

/// One thing that is to be another in a sale.
#[derive(Clone, Debug)]
enum Edit {
    Nothing,
    Starts(i64),
    Ends(i64),
    Limit(Option<i64>),
    Account(bool),
    GoesOn(bool),
    Price(usize, i64),
    Allotment(usize, i64),
    ItemLimit(usize, Option<i64>),
    Tranches(usize, Vec<(i64, i64)>, i64),
    Remove(usize),
}

#[derive(Clone, Debug)]
enum Do {
    Schedule(usize, NewSale),
    Edit(usize, Edit),
    Cancel(usize),
    Reserve(usize, Vec<Option<i64>>, Who),
    Commit(usize),
    Release(usize),
    Close(usize),
    Adjust(usize, i64),
    SetPrice(usize, i64),
    Breaks(usize, Vec<PriceBreak>, BreakScope),
    Quantities(usize, [Option<i64>; 3], Option<[Option<i64>; 3]>),
    Pass(i64),
    /// To the next moment at which something begins or ends, or so many milliseconds beside it.
    PassToTheNext(i64),
    Checkpoint,
    Crash,
}

fn new_item() -> impl Strategy<Value = NewItem> {
    let tranches = prop_oneof![
        2 => Just(BTreeMap::new()),
        1 => prop::collection::btree_map(0..4_i64, 1..8_i64, 1..4),
    ];
    (60..102_i64, 0..16_i64, prop::option::of(0..9_i64), tranches, prop::sample::select(vec![0, 0, 0, 0, 0, 1]))
        .prop_map(|(price, allotment, limit, tranches, off)| {
            let tranches = tranches.into_iter().collect();
            NewItem { price, allotment, limit, tranches, off }
        })
}

fn new_sale() -> impl Strategy<Value = NewSale> {
    let items = prop::collection::vec(prop::option::weighted(0.9, new_item()), SKUS);
    let rare = || prop::bool::weighted(0.2);
    (-2..3_i64, 0..16_i64, items, prop::option::of(0..14_i64), rare(), any::<bool>(), rare()).prop_map(
        |(starts, lasts, items, limit, account, goes_on, card_alone)| {
            let (starts_in, lasts) = (starts * 500, lasts * 500);
            NewSale { starts_in, lasts, items, limit, account, goes_on, card_alone }
        },
    )
}

fn edit() -> impl Strategy<Value = Edit> {
    let limit = || prop::option::of(1..14_i64);
    let tranches = prop::collection::vec((0..4_i64, 1..6_i64), 0..4).prop_map(|mut tranches| {
        tranches.sort_unstable();
        tranches
    });
    prop_oneof![
        1 => Just(Edit::Nothing),
        1 => (-1..3_i64).prop_map(|halves| Edit::Starts(halves * 500)),
        2 => (-1..6_i64).prop_map(|halves| Edit::Ends(halves * 500)),
        2 => limit().prop_map(Edit::Limit),
        1 => any::<bool>().prop_map(Edit::Account),
        1 => any::<bool>().prop_map(Edit::GoesOn),
        1 => (0..SKUS, 60..104_i64).prop_map(|(sku, price)| Edit::Price(sku, price)),
        3 => (0..SKUS, 0..24_i64).prop_map(|(sku, allotment)| Edit::Allotment(sku, allotment)),
        2 => (0..SKUS, limit()).prop_map(|(sku, limit)| Edit::ItemLimit(sku, limit)),
        2 => (0..SKUS, tranches, prop::sample::select(vec![0, 0, 0, 1])).prop_map(|(sku, tranches, off)| {
            Edit::Tranches(sku, tranches, off)
        }),
        1 => (0..SKUS).prop_map(Edit::Remove),
    ]
}

fn who() -> impl Strategy<Value = Who> {
    let keys = prop_oneof![1 => Just(Vec::new()), 6 => prop::sample::subsequence(vec![0, 1, 2, 3], 1..=2)];
    let method = prop::sample::select(vec!["sandbox", "sandbox", "card"]);
    (keys.prop_shuffle(), any::<bool>(), any::<bool>(), method).prop_map(|(keys, account, wholesale, method)| Who {
        keys,
        account,
        wholesale,
        method,
    })
}

fn ladder() -> impl Strategy<Value = Vec<PriceBreak>> {
    let audience = prop::sample::select(vec![None, Some(Audience::Wholesale), Some(Audience::Retail)]);
    let rung = (1..5_i64, 50..105_i64, audience).prop_map(|(min_quantity, price_minor, audience)| PriceBreak {
        min_quantity,
        price_minor,
        audience,
    });
    prop::collection::vec(rung, 0..4)
}

fn rules() -> impl Strategy<Value = [Option<i64>; 3]> {
    (
        prop::option::weighted(0.3, 1..5_i64),
        prop::option::weighted(0.3, 1..3_i64),
        prop::option::weighted(0.3, 1..9_i64),
    )
        .prop_map(|(least, step, most)| [least, step, most])
}

fn what() -> impl Strategy<Value = Do> {
    let sale = || 0..SALES;
    let order = || 0..ORDERS;
    let of = || 0..SKUS;
    let lines = prop::collection::vec(prop::option::weighted(0.7, 1..7_i64), SKUS);
    let scope = prop::sample::select(BreakScope::ALL.to_vec());
    prop_oneof![
        6 => (sale(), new_sale()).prop_map(|(sale, new)| Do::Schedule(sale, new)),
        8 => (sale(), edit()).prop_map(|(sale, edit)| Do::Edit(sale, edit)),
        1 => sale().prop_map(Do::Cancel),
        16 => (order(), lines, who()).prop_map(|(order, lines, who)| Do::Reserve(order, lines, who)),
        3 => order().prop_map(Do::Commit),
        3 => order().prop_map(Do::Release),
        1 => order().prop_map(Do::Close),
        2 => (of(), -9..9_i64).prop_map(|(sku, delta)| Do::Adjust(sku, delta)),
        1 => (of(), 90..110_i64).prop_map(|(sku, price)| Do::SetPrice(sku, price)),
        1 => (of(), ladder(), scope).prop_map(|(sku, ladder, scope)| Do::Breaks(sku, ladder, scope)),
        1 => (of(), rules(), prop::option::of(rules())).prop_map(|(sku, all, own)| Do::Quantities(sku, all, own)),
        2 => prop::sample::select(vec![1, 500, 500, 1_000, ORDER_MS]).prop_map(Do::Pass),
        3 => (-1..2_i64).prop_map(Do::PassToTheNext),
        1 => Just(Do::Checkpoint),
        1 => Just(Do::Crash),
    ]
}

#[derive(Clone, Debug, PartialEq)]
struct Item {
    price: i64,
    allotment: i64,
    limit: Option<i64>,
    /// When how much opens.
    tranches: Vec<(i64, i64)>,
}

#[derive(Clone, Debug, PartialEq)]
struct Sale {
    starts: i64,
    ends: i64,
    items: BTreeMap<usize, Item>,
    limit: Option<i64>,
    account: bool,
    goes_on: bool,
    card_alone: bool,
    cancelled: bool,
}

impl Sale {
    fn is_to_come(&self, now: i64) -> bool {
        !self.cancelled && now < self.starts
    }

    fn runs(&self, now: i64) -> bool {
        !self.cancelled && now >= self.starts && now < self.ends
    }

    fn is_live(&self, now: i64) -> bool {
        self.is_to_come(now) || self.runs(now)
    }

    fn is_limited(&self) -> bool {
        self.limit.is_some() || self.items.values().any(|item| item.limit.is_some())
    }
}

/// A line of an order: pieces, the price of one, the sale.
type Line = (i64, i64, Option<usize>);

#[derive(Clone, Debug)]
struct Order {
    lines: BTreeMap<usize, Line>,
    keys: Vec<u8>,
    account_keys: usize,
    paid: bool,
}

#[derive(Clone, Debug, Default)]
struct Good {
    price: i64,
    /// Pieces that came in, less those that were taken out by hand.
    received: i64,
    ladder: Vec<PriceBreak>,
    by_product: bool,
    /// Least, step, most: everybody's, and those of wholesale buyers.
    rules: [Option<i64>; 3],
    wholesale: [Option<i64>; 3],
}

impl Good {
    fn rules_for(&self, wholesale: bool) -> [Option<i64>; 3] {
        let own = |place: usize| self.wholesale[place].filter(|_| wholesale);
        [0, 1, 2].map(|place| own(place).or(self.rules[place]))
    }
}

/// The oracle.
#[derive(Debug)]
struct Model {
    now: i64,
    goods: Vec<Good>,
    sales: BTreeMap<usize, Sale>,
    orders: BTreeMap<usize, Order>,
    /// Until when each order may hold, fixed when it first comes.
    until: BTreeMap<usize, i64>,
    released: BTreeSet<usize>,
    /// Those that are settled ask for nothing any more.
    settled: BTreeSet<usize>,
}

impl Model {
    fn new() -> Self {
        let good = Good { price: LIST, received: ON_HAND, ..Good::default() };
        let (sales, orders, until) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        let (released, settled) = (BTreeSet::new(), BTreeSet::new());
        Self { now: BEGIN, goods: vec![good; SKUS], sales, orders, until, released, settled }
    }

    fn lines(&self, sku: usize) -> impl Iterator<Item = (&Order, Line)> {
        self.orders.values().filter_map(move |order| order.lines.get(&sku).map(|line| (order, *line)))
    }

    /// Pieces of a SKU that are held for orders, and those that were sold.
    fn held_and_sold(&self, sku: usize) -> (i64, i64) {
        self.lines(sku).fold((0, 0), |(held, sold), (order, (pieces, ..))| match order.paid {
            true => (held, sold + pieces),
            false => (held + pieces, sold),
        })
    }

    /// The same in one sale.
    fn held_and_sold_in(&self, sale: usize, sku: usize) -> (i64, i64) {
        let lines = self.lines(sku).filter(|(_, (_, _, of))| *of == Some(sale));
        lines.fold((0, 0), |(held, sold), (order, (pieces, ..))| match order.paid {
            true => (held, sold + pieces),
            false => (held + pieces, sold),
        })
    }

    fn taken(&self, sale: usize, sku: usize) -> i64 {
        let (held, sold) = self.held_and_sold_in(sale, sku);
        held + sold
    }

    fn free(&self, sku: usize) -> i64 {
        let (held, sold) = self.held_and_sold(sku);
        self.goods[sku].received - held - sold
    }

    /// What is kept for a sale that is not over.
    fn fence(&self, number: usize, sku: usize) -> i64 {
        match self.sales[&number].items.get(&sku).filter(|_| self.sales[&number].is_live(self.now)) {
            Some(item) => item.allotment - self.taken(number, sku),
            None => 0,
        }
    }

    fn fences(&self, sku: usize) -> i64 {
        self.sales.keys().map(|number| self.fence(*number, sku)).sum()
    }

    /// What can be had beside all sales.
    fn regular(&self, sku: usize) -> i64 {
        self.free(sku) - self.fences(sku)
    }

    fn opened(&self, item: &Item) -> i64 {
        if item.tranches.is_empty() {
            return item.allotment;
        }
        item.tranches.iter().filter(|(opens, _)| *opens <= self.now).map(|(_, pieces)| pieces).sum()
    }

    /// What a key has in a sale: of one SKU, or of all.
    fn used(&self, number: usize, key: u8, sku: Option<usize>) -> i64 {
        let counts = |order: &&Order| {
            let own = if self.sales[&number].account { order.account_keys } else { order.keys.len() };
            order.keys[..own].contains(&key)
        };
        let lines = self.orders.values().filter(counts).flat_map(|order| &order.lines);
        let of = lines.filter(|(of, (_, _, sale))| *sale == Some(number) && sku.is_none_or(|sku| sku == **of));
        of.map(|(_, (pieces, ..))| pieces).sum()
    }

    /// What is wrong with these terms, as such and for the goods that there are.
    fn wrong(&self, number: usize, terms: &Sale, before: Option<&Sale>) -> Vec<Reject> {
        let mut wrong = Vec::new();
        let mut invalid = |is: bool, why: &str| is.then(|| wrong.push(Reject::SaleInvalid { why: why.into() }));
        invalid(terms.items.is_empty(), "items");
        invalid(terms.ends <= terms.starts || terms.ends <= self.now, "window");
        invalid(terms.limit.is_some_and(|limit| limit < 1), "limit");
        for (sku, item) in &terms.items {
            let sum: i64 = item.tranches.iter().map(|(_, pieces)| pieces).sum();
            let inside = item.tranches.iter().all(|(opens, _)| *opens >= terms.starts && *opens < terms.ends);
            let times: BTreeSet<i64> = item.tranches.iter().map(|(opens, _)| *opens).collect();
            let fits = sum == item.allotment && inside && times.len() == item.tranches.len();
            invalid(item.allotment < 1, "allotment");
            invalid(item.limit.is_some_and(|limit| limit < 1), "limit");
            invalid(!item.tranches.is_empty() && !fits, "tranches");
            let is_new = before.and_then(|sale| sale.items.get(sku)).is_none_or(|known| known.price != item.price);
            invalid(is_new && item.price > self.goods[*sku].price, "price");
        }
        for (sku, item) in &terms.items {
            for (other, sale) in &self.sales {
                let overlap = terms.starts < sale.ends && sale.starts < terms.ends;
                if *other != number && sale.is_live(self.now) && sale.items.contains_key(sku) && overlap {
                    wrong.push(Reject::SaleOverlap { sale_id: sale_id(*other) });
                }
            }
            let taken = before.map_or(0, |_| self.taken(number, *sku));
            let reserved = |available, minimum| Reject::AllotmentReserved { sku_id: id_of(*sku), available, minimum };
            if self.opened(item) < taken || item.allotment < taken {
                wrong.push(reserved(None, Some(taken)));
            }
            let own = before.map_or(0, |_| self.fence(number, *sku));
            let there = self.regular(*sku) + own;
            if item.allotment - taken > there {
                wrong.push(reserved(Some(there.max(0)), None));
            }
        }
        wrong
    }

    /// What of a sale that runs would be taken back from buyers.
    fn takes_back(before: &Sale, after: &Sale) -> bool {
        let lower = |before: Option<i64>, after: Option<i64>| after.unwrap_or(i64::MAX) < before.unwrap_or(i64::MAX);
        before.starts != after.starts
            || before.account != after.account
            || lower(before.limit, after.limit)
            || !before.items.keys().eq(after.items.keys())
            || before.items.iter().any(|(sku, item)| {
                let after = &after.items[sku];
                after.price != item.price || lower(item.limit, after.limit)
            })
    }

    /// In which sale so many pieces are had, if they are.
    fn offer(&self, sku: usize, wants: i64) -> Result<Option<usize>, Reject> {
        let running = self.sales.iter().find(|(_, sale)| sale.runs(self.now) && sale.items.contains_key(&sku));
        if let Some((number, sale)) = running {
            let item = &sale.items[&sku];
            let left = (self.opened(item) - self.taken(*number, sku)).max(0);
            if wants <= left {
                return Ok(Some(*number));
            }
            if left > 0 || !sale.goes_on {
                let next = item.tranches.iter().map(|(opens, _)| *opens).filter(|opens| *opens > self.now).min();
                return Err(Reject::SaleSoldOut {
                    sku_id: id_of(sku),
                    left,
                    next_tranche_at: next.map(at),
                    regular_price: sale.goes_on.then(|| Money::new(self.goods[sku].price, Currency::BDT)),
                });
            }
        }
        let regular = self.regular(sku);
        if wants <= regular {
            return Ok(None);
        }
        let to_come = self.sales.iter().filter(|(_, sale)| sale.is_to_come(self.now) && sale.items.contains_key(&sku));
        let first = to_come.clone().map(|(_, sale)| sale.starts).min();
        let kept: i64 = to_come.map(|(number, _)| self.fence(*number, sku)).sum();
        let sku_id = id_of(sku);
        match first {
            Some(first) if wants <= regular + kept => Err(Reject::SaleNotStarted { sku_id, starts_at: at(first) }),
            _ => {
                let short = Shortage { sku_id, requested: wants, available: regular.max(0) };
                Err(Reject::OutOfStock { skus: vec![short] })
            }
        }
    }

    /// What one piece costs, and whether so many may be had.
    fn price(&self, sku: usize, lines: &BTreeMap<usize, i64>, sale: Option<usize>, wholesale: bool) -> i64 {
        let good = &self.goods[sku];
        let counted = if good.by_product { lines.values().sum() } else { lines[&sku] };
        let mut price = good.price;
        if let Some(number) = sale {
            price = price.min(self.sales[&number].items[&sku].price);
        }
        for rung in &good.ladder {
            let theirs = match rung.audience {
                None => true,
                Some(Audience::Wholesale) => wholesale,
                Some(Audience::Retail) => !wholesale,
            };
            if theirs && counted >= rung.min_quantity {
                price = price.min(rung.price_minor);
            }
        }
        price
    }

    fn wrong_quantity(&self, sku: usize, wants: i64, wholesale: bool) -> Option<Reject> {
        let [least, step, most] = self.goods[sku].rules_for(wholesale);
        let sku_id = id_of(sku);
        if let Some(minimum_quantity) = least.filter(|least| wants < *least) {
            return Some(Reject::BelowMinimum { sku_id, minimum_quantity });
        }
        if let Some(step) = step.filter(|step| wants % step != 0) {
            return Some(Reject::QuantityStep { step, sku_id: Some(sku_id) });
        }
        most.filter(|most| wants > *most).map(|limit| Reject::QuantityOutOfRange { limit, sku_id: Some(sku_id) })
    }

    /// What an order is held, or all that is wrong with it.
    fn reserve(
        &self,
        number: usize,
        lines: &BTreeMap<usize, i64>,
        who: &Who,
    ) -> Result<BTreeMap<usize, Line>, Vec<Reject>> {
        let mut wrong = Vec::new();
        let mut held = BTreeMap::new();
        if self.released.contains(&number) || self.until[&number] <= self.now {
            wrong.push(Reject::HoldClosed);
        }
        for (sku, wants) in lines {
            wrong.extend(self.wrong_quantity(*sku, *wants, who.wholesale));
            match self.offer(*sku, *wants) {
                Ok(sale) => drop(held.insert(*sku, (*wants, self.price(*sku, lines, sale, who.wholesale), sale))),
                Err(reject) => wrong.push(reject),
            }
        }
        for (sku, (wants, _, sale)) in &held {
            let Some((number, sale)) = sale.map(|number| (number, &self.sales[&number])) else { continue };
            let keys = if sale.account { &who.keys[..account_keys(who)] } else { &who.keys[..] };
            if sale.account && !who.account {
                wrong.push(Reject::AccountRequired);
            }
            if sale.is_limited() && keys.is_empty() {
                wrong.push(Reject::EmailRequired);
            }
            if sale.card_alone && who.method != "card" {
                wrong.push(Reject::PaymentMethodNotAllowed { methods: vec!["card".into()] });
            }
            let together = held.values().filter(|(.., of)| *of == Some(number)).map(|(wants, ..)| wants).sum();
            let all = sale.items.keys().map(|sku| id_of(*sku)).collect();
            let own = vec![id_of(*sku)];
            for (limit, of, wants, skus) in
                [(sale.items[sku].limit, Some(*sku), *wants, own), (sale.limit, None, together, all)]
            {
                let used = keys.iter().map(|key| self.used(number, *key, of)).max().unwrap_or(0);
                if let Some(limit) = limit.filter(|limit| used + wants > *limit) {
                    wrong.push(Reject::PurchaseLimit { limit, used, skus });
                }
            }
        }
        if wrong.is_empty() { Ok(held) } else { Err(wrong) }
    }

    /// The next moment at which something begins or ends.
    fn next_moment(&self) -> Option<i64> {
        let of_sale = |sale: &Sale| {
            let opens = sale.items.values().flat_map(|item| &item.tranches).map(|(opens, _)| *opens);
            opens.chain([sale.starts, sale.ends]).collect::<Vec<i64>>()
        };
        let moments = self.sales.values().flat_map(of_sale).chain(self.until.values().copied());
        moments.filter(|moment| *moment > self.now).min()
    }
}

fn account_keys(who: &Who) -> usize {
    // The customer's own, and no address of the account beside it.
    usize::from(who.account).min(who.keys.len())
}

impl Sale {
    fn new(new: &NewSale, now: i64) -> Self {
        let starts = now + new.starts_in;
        let item = |(sku, item): (usize, &Option<NewItem>)| {
            let item = item.as_ref()?;
            let tranches = spread(starts, &item.tranches);
            let sum: i64 = tranches.iter().map(|(_, pieces)| pieces).sum();
            let allotment = if tranches.is_empty() { item.allotment } else { sum + item.off };
            Some((sku, Item { price: item.price, allotment, limit: item.limit, tranches }))
        };
        let items = new.items.iter().enumerate().filter_map(item).collect();
        let NewSale { limit, account, goes_on, card_alone, .. } = *new;
        Self { starts, ends: starts + new.lasts, items, limit, account, goes_on, card_alone, cancelled: false }
    }

    /// The sale with one thing changed; nothing where there is no such item.
    fn with(&self, edit: &Edit, now: i64) -> Option<Self> {
        let mut sale = self.clone();
        match edit {
            Edit::Nothing => {}
            Edit::Starts(after) => sale.starts = now + after,
            Edit::Ends(after) => sale.ends = now + after,
            Edit::Limit(limit) => sale.limit = *limit,
            Edit::Account(account) => sale.account = *account,
            Edit::GoesOn(goes_on) => sale.goes_on = *goes_on,
            Edit::Price(sku, price) => sale.items.get_mut(sku)?.price = *price,
            Edit::Allotment(sku, allotment) => sale.items.get_mut(sku)?.allotment = *allotment,
            Edit::ItemLimit(sku, limit) => sale.items.get_mut(sku)?.limit = *limit,
            Edit::Tranches(sku, tranches, off) => {
                let item = sale.items.get_mut(sku)?;
                item.tranches = spread(self.starts, tranches);
                item.allotment = item.tranches.iter().map(|(_, pieces)| pieces).sum::<i64>() + off;
            }
            Edit::Remove(sku) => drop(sale.items.remove(sku)?),
        }
        Some(sale)
    }

    fn terms(&self, number: usize) -> SaleTerms {
        SaleTerms {
            name: format!("sale {number}"),
            starts_at: at(self.starts),
            ends_at: at(self.ends),
            time_zone: "Asia/Dhaka".into(),
            items: self.items.iter().map(|(sku, item)| item.written(*sku)).collect(),
            limit_per_customer: self.limit,
            requires: if self.account { Requires::Account } else { Requires::Nothing },
            when_exhausted: if self.goes_on { WhenExhausted::RegularPrice } else { WhenExhausted::Stop },
            payment_methods: self.card_alone.then(|| "card".to_owned()).into_iter().collect(),
            room: None,
        }
    }
}

/// Tranches at every half second from the start on.
fn spread(starts: i64, tranches: &[(i64, i64)]) -> Vec<(i64, i64)> {
    tranches.iter().map(|(halves, pieces)| (starts + halves * 500, *pieces)).collect()
}

impl Item {
    fn written(&self, number: usize) -> SaleItem {
        SaleItem {
            sku: id_of(number),
            price_minor: self.price,
            currency: Currency::BDT,
            allotment: self.allotment,
            limit_per_customer: self.limit,
            tranches: self.opening(),
        }
    }

    fn opening(&self) -> Vec<Tranche> {
        self.tranches.iter().map(|(opens, quantity)| Tranche { opens_at: at(*opens), quantity: *quantity }).collect()
    }
}

/// How the edit is said to the vendor.
fn change(edit: &Edit, after: &Sale) -> SaleChange {
    let mut change = SaleChange::default();
    let of = |number: usize| ItemChange {
        sku: id_of(number),
        removed: false,
        price: None,
        allotment: None,
        limit_per_customer: None,
        tranches: None,
    };
    match edit {
        Edit::Nothing => {}
        Edit::Starts(_) => change.starts_at = Some(at(after.starts)),
        Edit::Ends(_) => change.ends_at = Some(at(after.ends)),
        Edit::Limit(limit) => change.limit_per_customer = Some((*limit).into()),
        Edit::Account(account) => {
            change.requires = Some(if *account { Requires::Account } else { Requires::Nothing });
        }
        Edit::GoesOn(goes_on) => {
            change.when_exhausted = Some(if *goes_on { WhenExhausted::RegularPrice } else { WhenExhausted::Stop });
        }
        Edit::Price(sku, price) => {
            change.items.push(ItemChange { price: Some(Money::new(*price, Currency::BDT)), ..of(*sku) });
        }
        Edit::Allotment(sku, allotment) => {
            change.items.push(ItemChange { allotment: Some(*allotment), ..of(*sku) });
        }
        Edit::ItemLimit(sku, limit) => {
            change.items.push(ItemChange { limit_per_customer: Some((*limit).into()), ..of(*sku) });
        }
        Edit::Tranches(sku, ..) => {
            let item = &after.items[sku];
            let (allotment, tranches) = (Some(item.allotment), Some(item.opening()));
            change.items.push(ItemChange { allotment, tranches, ..of(*sku) });
        }
        Edit::Remove(sku) => change.items.push(ItemChange { removed: true, ..of(*sku) }),
    }
    change
}

/// What was told is what the model says: done, or one of the refusals that it found.
fn agree(told: Result<(), Reject>, wrong: &[Reject], what: &Do) -> Result<(), TestCaseError> {
    let is_one = match &told {
        Ok(()) => wrong.is_empty(),
        // Shortages of several SKUs are told together.
        Err(Reject::OutOfStock { skus }) => {
            skus.iter().all(|short| wrong.contains(&Reject::OutOfStock { skus: vec![short.clone()] }))
        }
        Err(reject) => wrong.contains(reject),
    };
    prop_assert!(is_one, "{:?}: it said {:?}, and of it should be said {:?}", what, told, wrong);
    Ok(())
}

fn shop() -> Kept<Vendor> {
    let mut shop = Kept::new(VendorId::from_uuid(Uuid::from_u128(1)));
    let new = |number: usize| NewSku {
        id: id_of(number),
        code: format!("C-{number}"),
        price_minor: LIST,
        currency: Currency::BDT,
        on_hand: ON_HAND,
    };
    let product = NewProduct {
        id: ProductId::from_uuid(Uuid::from_u128(1)),
        title: "Cup".into(),
        description: None,
        category: None,
        skus: (0..SKUS).map(new).collect(),
    };
    shop.ask(&VendorCommand::Create { name: "A shop".into() }, at(BEGIN)).expect("a vendor");
    shop.ask(&VendorCommand::AddProduct { by: Principal::SHOP, product }, at(BEGIN)).expect("a product");
    shop
}

/// Does it in both, and compares what is told.
fn act(shop: &mut Kept<Vendor>, model: &mut Model, what: &Do, tally: &Tally) -> Result<(), TestCaseError> {
    let (by, now) = (Principal::SHOP, at(model.now));
    match what {
        Do::Schedule(number, new) => {
            // What was made once under an id stays.
            if model.sales.contains_key(number) {
                return Ok(());
            }
            let sale = Sale::new(new, model.now);
            let wrong = model.wrong(*number, &sale, None);
            let terms = Box::new(sale.terms(*number));
            let told = shop.ask(&VendorCommand::ScheduleSale { by, sale: sale_id(*number), terms }, now);
            tally.count_told("schedule", &told);
            agree(told.map(drop), &wrong, what)?;
            if wrong.is_empty() {
                model.sales.insert(*number, sale);
            }
        }
        Do::Edit(number, edit) => {
            let Some(before) = model.sales.get(number).cloned() else { return Ok(()) };
            let Some(after) = before.with(edit, model.now) else { return Ok(()) };
            let mut wrong = Vec::new();
            if !before.is_live(model.now) {
                wrong.push(Reject::SaleEnded { actual_total: None });
            } else if after != before {
                wrong = model.wrong(*number, &after, Some(&before));
                if before.runs(model.now) && Model::takes_back(&before, &after) {
                    wrong.push(Reject::SaleRunning);
                }
            }
            let change = Box::new(change(edit, &after));
            let told = shop.ask(&VendorCommand::EditSale { by, sale: sale_id(*number), change }, now);
            let when = if before.runs(model.now) { "edit while it runs" } else { "edit" };
            tally.count_told(when, &told);
            agree(told.map(drop), &wrong, what)?;
            if wrong.is_empty() {
                model.sales.insert(*number, after);
            }
        }
        Do::Cancel(number) => {
            let told = shop.ask(&VendorCommand::CancelSale { by, sale: sale_id(*number) }, now);
            tally.count_told("cancel", &told);
            let wrong = match model.sales.get_mut(number) {
                None => vec![Reject::SaleUnknown],
                Some(sale) if !sale.cancelled && sale.ends <= model.now => {
                    vec![Reject::SaleEnded { actual_total: None }]
                }
                Some(sale) => {
                    sale.cancelled = true;
                    Vec::new()
                }
            };
            agree(told.map(drop), &wrong, what)?;
        }
        Do::Reserve(number, wants, who) => {
            let lines: BTreeMap<usize, i64> =
                wants.iter().enumerate().filter_map(|(sku, wants)| wants.map(|wants| (sku, wants))).collect();
            if lines.is_empty() || model.settled.contains(number) {
                return Ok(());
            }
            let until = *model.until.entry(*number).or_insert(model.now + ORDER_MS);
            let says = model.reserve(*number, &lines, who);
            let wanted = |(of, quantity): (&usize, &i64)| WantedLine { sku: id_of(*of), quantity: *quantity };
            let keys = who.keys.iter().map(|key| BuyerKey([*key; 8])).collect();
            let customer = who.account.then(|| CustomerId::from_uuid(Uuid::from_u128(7)));
            let audience = if who.wholesale { Audience::Wholesale } else { Audience::Retail };
            let method = who.method.to_owned();
            let command = VendorCommand::Reserve {
                order: order_id(*number),
                until: at(until),
                currency: Currency::BDT,
                lines: lines.iter().map(wanted).collect(),
                held_for: Box::new(HeldFor {
                    customer,
                    keys,
                    account_mail: false,
                    audience,
                    method,
                    slot: None,
                    entries: Vec::new(),
                }),
            };
            let told = shop.ask(&command, now);
            if model.orders.contains_key(number) {
                prop_assert_eq!(told, Ok(Vec::new()), "it is the echo of an old request");
                return Ok(());
            }
            tally.count_told("reserve", &told);
            match says {
                Err(wrong) => agree(told.map(drop), &wrong, what)?,
                Ok(lines) => {
                    agree(told.map(drop), &[], what)?;
                    let in_sales = lines.values().filter(|(.., sale)| sale.is_some()).count();
                    tally.count(
                        ["held at the regular price", "held in a sale", "held twice in a sale"][in_sales.min(2)],
                    );
                    let (keys, account_keys) = (who.keys.clone(), account_keys(who));
                    model.orders.insert(*number, Order { lines, keys, account_keys, paid: false });
                }
            }
        }
        Do::Commit(number) => {
            if model.settled.contains(number) {
                return Ok(());
            }
            let told = shop.ask(&VendorCommand::Commit { order: order_id(*number), strict: true }, now);
            let order = model.orders.get_mut(number);
            let wrong = if order.is_some() { Vec::new() } else { vec![Reject::HoldUnknown] };
            order.into_iter().for_each(|order| order.paid = true);
            agree(told.map(drop), &wrong, what)?;
        }
        Do::Release(number) => {
            // No order that is paid gives anything back so.
            if model.orders.get(number).is_some_and(|order| order.paid) {
                return Ok(());
            }
            let Some(until) = model.until.get(number) else { return Ok(()) };
            let told = shop.ask(&VendorCommand::Release { order: order_id(*number), until: at(*until) }, now);
            agree(told.map(drop), &[], what)?;
            model.orders.remove(number);
            model.released.insert(*number);
        }
        Do::Close(number) => {
            if model.orders.get(number).is_some_and(|order| order.paid) {
                agree(shop.ask(&VendorCommand::Close { order: order_id(*number) }, now).map(drop), &[], what)?;
                model.settled.insert(*number);
            }
        }
        Do::Adjust(number, delta) => {
            let (free, regular) = (model.free(*number), model.regular(*number));
            let mut wrong = Vec::new();
            if free + delta < 0 {
                wrong.push(Reject::StockNegative { available: free, delta: *delta });
            }
            if *delta < 0 && regular + delta < 0 {
                let (sku_id, available) = (id_of(*number), Some(regular.max(0)));
                wrong.push(Reject::AllotmentReserved { sku_id, available, minimum: None });
            }
            let command =
                VendorCommand::AdjustStock { by, sku: id_of(*number), delta: *delta, reason: "counted".into() };
            let told = shop.ask(&command, now);
            tally.count_told("adjust", &told);
            agree(told.map(drop), &wrong, what)?;
            if wrong.is_empty() {
                model.goods[*number].received += delta;
            }
        }
        Do::SetPrice(number, price) => {
            let (sku, currency) = (id_of(*number), Currency::BDT);
            let command = VendorCommand::SetPrice { by, sku, price_minor: *price, currency };
            agree(shop.ask(&command, now).map(drop), &[], what)?;
            model.goods[*number].price = *price;
        }
        Do::Breaks(number, ladder, scope) => {
            let change = SkuChange {
                currency: Some(Currency::BDT),
                price_breaks: Some(ladder.clone()),
                break_scope: Some(*scope),
                ..SkuChange::default()
            };
            let told = shop.ask(&VendorCommand::EditSku { by, sku: id_of(*number), change: Box::new(change) }, now);
            // Of one audience, whoever takes more pays less.
            let is_ladder = ladder.iter().enumerate().all(|(place, one)| {
                let others = ladder.iter().enumerate().filter(|(other, _)| *other != place).map(|(_, other)| other);
                let mut same = others.filter(|other| other.audience == one.audience);
                same.all(|other| {
                    one.min_quantity != other.min_quantity
                        && (one.min_quantity < other.min_quantity) == (one.price_minor > other.price_minor)
                        && one.price_minor != other.price_minor
                })
            });
            prop_assert_eq!(told.is_ok(), is_ladder, "{:?}: {:?}", what, told);
            prop_assert!(matches!(told, Ok(_) | Err(Reject::PriceBreakOrder { .. })), "{:?}: {:?}", what, told);
            if is_ladder {
                model.goods[*number].ladder.clone_from(ladder);
                model.goods[*number].by_product = *scope == BreakScope::Product;
            }
        }
        Do::Quantities(number, all, own) => {
            let [min_quantity, quantity_step, max_quantity] = *all;
            let wholesale = own.map(|[min_quantity, quantity_step, max_quantity]| QuantityRules {
                min_quantity,
                quantity_step,
                max_quantity,
            });
            let change = SkuChange {
                min_quantity: Some(min_quantity),
                quantity_step: Some(quantity_step),
                max_quantity: Some(max_quantity),
                wholesale: Some(wholesale),
                ..SkuChange::default()
            };
            let told = shop.ask(&VendorCommand::EditSku { by, sku: id_of(*number), change: Box::new(change) }, now);
            let good = Good { rules: *all, wholesale: own.unwrap_or_default(), ..model.goods[*number].clone() };
            let fits = [false, true].map(|wholesale| {
                let [least, step, most] = good.rules_for(wholesale);
                let whole = [least, most].into_iter().flatten().all(|count| count % step.unwrap_or(1) == 0);
                whole && least.unwrap_or(1) <= most.unwrap_or(i64::MAX)
            });
            let mut wrong = Vec::new();
            for (wholesale, _) in [false, true].into_iter().zip(fits).filter(|(_, fits)| !fits) {
                wrong.push(Reject::QuantityRuleInvalid { wholesale });
            }
            agree(told.map(drop), &wrong, what)?;
            if wrong.is_empty() {
                model.goods[*number] = good;
            }
        }
        Do::Pass(millis) => {
            model.now += millis;
            shop.ask(&VendorCommand::Tick, at(model.now)).expect("time passes");
        }
        Do::PassToTheNext(beside) => {
            model.now = model.next_moment().map_or(model.now, |moment| (moment + beside).max(model.now));
        }
        Do::Checkpoint => shop.checkpoint(),
        Do::Crash => shop.crash(),
    }
    Ok(())
}

/// Compares every figure.
fn compare(shop: &Vendor, model: &Model) -> Result<(), TestCaseError> {
    for number in 0..SKUS {
        let (held, sold) = model.held_and_sold(number);
        let row = shop.sku_row(id_of(number)).expect("a SKU");
        let good = &model.goods[number];
        prop_assert_eq!((row.price_minor, row.held, row.on_hand), (good.price, held, good.received - sold));
        let fences = shop.sku_view(id_of(number)).expect("a SKU").fences;
        let fenced: i64 = fences.iter().filter(|(ends, _)| at(model.now) < *ends).map(|(_, pieces)| pieces).sum();
        prop_assert_eq!(fenced, model.fences(number), "what is kept for sales");
        prop_assert!(model.regular(number) >= 0, "what is promised is there");
    }
    prop_assert_eq!(shop.sale_rows().len(), model.sales.len());
    for (number, sale) in &model.sales {
        let row = shop.sale_row(sale_id(*number)).expect("a sale");
        let told: BTreeMap<SkuId, (&SaleItem, Count)> =
            row.terms.items.iter().zip(&row.counts).map(|(item, count)| (item.sku, (item, *count))).collect();
        prop_assert_eq!(told.len(), sale.items.len());
        prop_assert_eq!(row.cancelled_at.is_some(), sale.cancelled);
        let terms = SaleTerms { items: Vec::new(), ..row.terms.clone() };
        prop_assert_eq!(terms, SaleTerms { items: Vec::new(), ..sale.terms(*number) });
        for (of, item) in &sale.items {
            let (told, count) = told[&id_of(*of)];
            prop_assert_eq!(told, &item.written(*of));
            prop_assert_eq!((count.held, count.sold), model.held_and_sold_in(*number, *of), "sale {}", number);
            for key in 0..4_u8 {
                let used = model.used(*number, key, Some(*of));
                prop_assert!(item.limit.is_none_or(|limit| used <= limit), "{} has {} of {:?}", key, used, item);
            }
        }
    }
    for number in model.until.keys() {
        let open = shop.holds().open(order_id(*number));
        let told: Option<BTreeMap<SkuId, _>> = open.map(|hold| {
            let lines = hold.what.lines.iter();
            lines.map(|line| (line.sku, (line.quantity, line.unit_price, line.sale))).collect()
        });
        let says = model.orders.get(number).filter(|order| !order.paid).map(|order| {
            let lines = order.lines.iter();
            lines.map(|(of, (pieces, price, sale))| (id_of(*of), (*pieces, *price, sale.map(sale_id)))).collect()
        });
        prop_assert_eq!(told, says, "what is held for order {}", number);
    }
    Ok(())
}

/// What must have come of it, or the runs show nothing.
const DRAWN: [&str; 29] = [
    "adjust: allotment_reserved",
    "adjust: stock_negative",
    "cancel: done",
    "cancel: sale_ended",
    "edit while it runs: allotment_reserved",
    "edit while it runs: done",
    "edit while it runs: sale_invalid",
    "edit while it runs: sale_running",
    "edit: done",
    "edit: sale_ended",
    "edit: sale_invalid",
    "held at the regular price",
    "held in a sale",
    "held twice in a sale",
    "reserve: account_required",
    "reserve: below_minimum",
    "reserve: email_required",
    "reserve: hold_closed",
    "reserve: out_of_stock",
    "reserve: payment_method_not_allowed",
    "reserve: purchase_limit",
    "reserve: quantity_out_of_range",
    "reserve: quantity_step",
    "reserve: sale_not_started",
    "reserve: sale_sold_out",
    "schedule: allotment_reserved",
    "schedule: done",
    "schedule: sale_invalid",
    "schedule: sale_overlap",
];

#[test]
fn a_vendor_with_sales_agrees_with_the_model() {
    let tally = Tally::default();
    let run = |steps: Vec<Do>| {
        let (mut shop, mut model) = (shop(), Model::new());
        for what in &steps {
            act(&mut shop, &mut model, what, &tally)?;
            compare(&shop.entity, &model)?;
        }
        shop.checkpoint();
        shop.crash();
        compare(&shop.entity, &model)
    };
    let steps = prop::collection::vec(what(), 1..120);
    TestRunner::new(config(1024)).run(&steps, run).unwrap_or_else(|why| panic!("{why}"));
    tally.check(&DRAWN);
}
