//! A vendor: its products and SKUs, what is in stock, and what is held for orders.
//!
//! A hold lowers what is available at once and what is on hand when the order is paid. Only the order ends it, by commit or
//! release; past its time the vendor asks the order. So stock can never be promised twice.

mod asks;
mod breaches;
#[cfg(test)]
mod tests;
mod types;

pub use types::*;

use super::entity::{
    Delta, Effect, EffectKey, Entity, Message, Part, Principal, Publication, RestoreError, Step, WAKE_AT_START,
    read_part, write_part,
};
use super::ids::{EntityId, Kind, OrderId, ProductId, SkuId, VendorId};
use super::invariants::Breach;
use super::money::Currency;
use super::order::OrderCommand;
use super::reject::{Reject, Shortage};
use super::rows::{ProductRow, Rows, SkuRow, VendorRow};
use super::text::code_key;
use super::time::Timestamp;
use crate::limits;
use asks::Asks;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Head {
    name: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Product {
    title: String,
    description: Option<String>,
    category: Option<String>,
    created_at: Timestamp,
    skus: Vec<SkuId>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Sku {
    product: ProductId,
    code: String,
    price_minor: i64,
    currency: Currency,
    received: i64,
    on_hand: i64,
    held: i64,
}

impl Sku {
    fn available(&self) -> i64 {
        self.on_hand.saturating_sub(self.held)
    }
}

/// Stock set aside for one order until a time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// Until when; past it the vendor asks the order.
    pub until: Timestamp,
    /// What.
    pub lines: Vec<HeldLine>,
}

/// The parts of a vendor's state that a snapshot keeps one by one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum PartKey {
    Product(ProductId),
    Sku(SkuId),
    Hold(OrderId),
    Released(OrderId),
}

/// A vendor's state.
#[derive(Clone, Debug)]
pub struct Vendor {
    id: VendorId,
    head: Head,
    products: BTreeMap<ProductId, Product>,
    skus: HashMap<SkuId, Sku>,
    holds: HashMap<OrderId, Hold>,
    /// Releases that are remembered, so that a hold asked for earlier but arriving later is refused.
    released: HashMap<OrderId, Timestamp>,
    /// Whom it asks about its holds, and when.
    asks: Asks,
    /// Remembered releases by the moment at which they may be forgotten.
    forget: BTreeSet<(Timestamp, OrderId)>,
    /// What the next delta gives, and whether no delta has given it yet: then it need not be deleted when it is gone.
    changed: BTreeMap<PartKey, bool>,
    /// Whether there was a delta. Before the first, what this state was made of may be on its way to the store.
    delta: bool,
    /// Whether the next delta gives all rows.
    all_rows: bool,
    /// The codes of its SKUs, as they are compared. Made from them; a store of early versions may hold some twice.
    codes: HashSet<String>,
    /// SKUs whose figures were found not to add up.
    suspended: BTreeSet<SkuId>,
    /// How much the online check may look at by now.
    check_allowance: usize,
}

impl Vendor {
    /// The hold of an order, if there is one.
    pub fn hold(&self, order: OrderId) -> Option<&Hold> {
        self.holds.get(&order)
    }

    /// All holds, in no order.
    pub fn holds(&self) -> impl Iterator<Item = (OrderId, &Hold)> {
        self.holds.iter().map(|(order, hold)| (*order, hold))
    }

    /// A SKU as its row.
    pub fn sku_row(&self, id: SkuId) -> Option<SkuRow> {
        let sku = self.skus.get(&id)?;
        Some(SkuRow {
            id,
            vendor_id: self.id,
            product_id: sku.product,
            code: sku.code.clone(),
            title: self.products.get(&sku.product).map(|product| product.title.clone()).unwrap_or_default(),
            price_minor: sku.price_minor,
            currency: sku.currency,
            received: sku.received,
            on_hand: sku.on_hand,
            held: sku.held,
            suspended: self.suspended.contains(&id),
        })
    }

    /// All SKUs as rows, in the order of their ids.
    pub fn sku_rows(&self) -> Vec<SkuRow> {
        let mut rows: Vec<SkuRow> = self.skus.keys().filter_map(|id| self.sku_row(*id)).collect();
        rows.sort_unstable_by_key(|row| row.id);
        rows
    }

    /// All products as rows.
    pub fn product_rows(&self) -> Vec<ProductRow> {
        self.products.keys().filter_map(|id| self.product_row(*id)).collect()
    }

    fn product_row(&self, id: ProductId) -> Option<ProductRow> {
        let product = self.products.get(&id)?;
        Some(ProductRow {
            id,
            vendor_id: self.id,
            title: product.title.clone(),
            description: product.description.clone(),
            category: product.category.clone(),
            created_at: product.created_at,
            sku_ids: product.skus.clone(),
        })
    }

    /// The vendor as its row; `None` before it came into being.
    pub fn row(&self) -> Option<VendorRow> {
        self.head.name.clone().map(|name| VendorRow { id: self.id, name })
    }

    fn may_manage(&self, by: Principal) -> Result<(), Reject> {
        if self.head.name.is_none() || (by != Principal::Staff && by != Principal::Vendor(self.id)) {
            return Err(Reject::VendorUnknown);
        }
        Ok(())
    }

    fn sku(&self, sku: SkuId) -> Result<&Sku, Reject> {
        self.skus.get(&sku).ok_or(Reject::SkuUnknown)
    }

    fn decide_product(&self, product: &NewProduct) -> Result<Vec<VendorEvent>, Reject> {
        if let Some(known) = self.products.get(&product.id) {
            // The ids of SKUs follow from all that the product was asked to be, also from what has changed since.
            let same = known.skus.iter().eq(product.skus.iter().map(|sku| &sku.id));
            return if same { Ok(Vec::new()) } else { Err(Reject::IdempotencyKeyReused) };
        }
        // In the order in which refusals take precedence, over all SKUs each.
        for (index, sku) in product.skus.iter().enumerate() {
            check_price(sku.price_minor, Some(index))?;
        }
        let stocked = |sku: &NewSku| (0..=limits::SKU_PIECES).contains(&sku.on_hand);
        if let Some(index) = product.skus.iter().position(|sku| !stocked(sku)) {
            return Err(Reject::StockOutOfRange { limit: limits::SKU_PIECES, index: Some(index) });
        }
        if product.skus.len() > limits::PRODUCT_SKUS {
            return Err(Reject::TooMany { what: "SKUs of one product".into(), limit: limits::PRODUCT_SKUS });
        }
        if self.skus.len() + product.skus.len() > limits::VENDOR_SKUS {
            return Err(Reject::TooMany { what: "SKUs of one vendor".into(), limit: limits::VENDOR_SKUS });
        }
        let mut codes = BTreeSet::new();
        for (index, sku) in product.skus.iter().enumerate() {
            let key = code_key(&sku.code);
            if self.codes.contains(&key) || !codes.insert(key) {
                return Err(Reject::SkuCodeTaken { sku_code: sku.code.clone(), index: Some(index) });
            }
        }
        Ok(vec![VendorEvent::ProductAdded { product: product.clone() }])
    }

    fn decide_adjust(&self, id: SkuId, delta: i64, reason: &str) -> Result<Vec<VendorEvent>, Reject> {
        let sku = self.sku(id)?;
        let available = sku.available();
        let (on_hand, received) = (sku.on_hand.checked_add(delta), sku.received.checked_add(delta));
        if available.saturating_add(delta) < 0 {
            return Err(Reject::StockNegative { available, delta });
        }
        if on_hand.is_none_or(|count| count > limits::SKU_PIECES)
            || received.is_none_or(|count| count > limits::SKU_PIECES)
        {
            return Err(Reject::StockOutOfRange { limit: limits::SKU_PIECES, index: None });
        }
        Ok(vec![VendorEvent::StockAdjusted { sku: id, delta, reason: reason.to_owned() }])
    }

    fn decide_reserve(
        &self,
        order: OrderId,
        until: Timestamp,
        currency: Currency,
        lines: &[WantedLine],
        now: Timestamp,
    ) -> Result<Vec<VendorEvent>, Reject> {
        if self.holds.contains_key(&order) {
            return Ok(Vec::new());
        }
        if self.head.name.is_none() {
            return Err(Reject::VendorUnknown);
        }
        let mut held = Vec::with_capacity(lines.len());
        let (mut short, mut foreign) = (Vec::new(), None);
        for line in lines {
            let sku = self.sku(line.sku)?;
            if sku.currency != currency {
                foreign = Some(Reject::CurrencyMismatch { expected: currency, found: sku.currency });
            }
            let available = sku.available();
            if available < line.quantity {
                short.push(Shortage { sku_id: line.sku, requested: line.quantity, available });
            }
            held.push(HeldLine { sku: line.sku, quantity: line.quantity, unit_price: sku.price_minor });
        }
        if let Some(reject) = foreign {
            return Err(reject);
        }
        if lines.iter().any(|line| self.suspended.contains(&line.sku)) {
            return Err(Reject::SkuSuspended);
        }
        if self.released.contains_key(&order) || until <= now {
            return Err(Reject::HoldClosed);
        }
        if !short.is_empty() {
            return Err(Reject::OutOfStock { skus: short });
        }
        Ok(vec![VendorEvent::StockHeld { order, until, lines: held }])
    }

    fn touch_sku(&mut self, id: SkuId, change: impl FnOnce(&mut Sku)) {
        if let Some(sku) = self.skus.get_mut(&id) {
            change(sku);
            self.changed.entry(PartKey::Sku(id)).or_insert(false);
        }
    }

    fn made(&mut self, key: PartKey) {
        self.changed.entry(key).or_insert(self.delta);
    }

    /// What was made and ended since the last delta leaves nothing behind: in a rush, that is most of it.
    fn ended(&mut self, key: PartKey) {
        if self.changed.get(&key) == Some(&true) {
            self.changed.remove(&key);
        } else {
            self.changed.insert(key, false);
        }
    }

    fn end_hold(&mut self, order: OrderId) -> Option<Hold> {
        let hold = self.holds.remove(&order)?;
        self.asks.end(order, hold.until);
        self.ended(PartKey::Hold(order));
        Some(hold)
    }

    fn forget_releases(&mut self, at: Timestamp) {
        while let Some((until, order)) = self.forget.first().copied().filter(|(until, _)| *until < at) {
            self.forget.remove(&(until, order));
            self.released.remove(&order);
            self.ended(PartKey::Released(order));
        }
    }

    fn part(&self, key: PartKey) -> Part {
        fn optional<T: Serialize>(name: String, state: Option<&T>) -> Part {
            match state {
                Some(state) => write_part(name, state),
                None => Part { name, state: None },
            }
        }
        match key {
            PartKey::Product(id) => optional(id.to_string(), self.products.get(&id)),
            PartKey::Sku(id) => optional(id.to_string(), self.skus.get(&id)),
            PartKey::Hold(id) => optional(format!("hold/{id}"), self.holds.get(&id)),
            PartKey::Released(id) => optional(format!("released/{id}"), self.released.get(&id)),
        }
    }
}

fn check_price(price_minor: i64, index: Option<usize>) -> Result<(), Reject> {
    if (1..=limits::PRICE_MINOR).contains(&price_minor) {
        Ok(())
    } else {
        Err(Reject::PriceOutOfRange { limit: limits::PRICE_MINOR, index })
    }
}

impl Entity for Vendor {
    const KIND: Kind = Kind::Vendor;
    type Id = VendorId;
    type Command = VendorCommand;
    type Event = VendorEvent;
    type Reply = VendorReply;

    fn new(id: VendorId) -> Self {
        Self {
            id,
            head: Head { name: None },
            products: BTreeMap::new(),
            skus: HashMap::new(),
            holds: HashMap::new(),
            released: HashMap::new(),
            asks: Asks::default(),
            forget: BTreeSet::new(),
            changed: BTreeMap::new(),
            delta: false,
            all_rows: false,
            codes: HashSet::new(),
            suspended: BTreeSet::new(),
            check_allowance: 0,
        }
    }

    fn decide(&self, command: &VendorCommand, now: Timestamp) -> Result<Vec<VendorEvent>, Reject> {
        match command {
            VendorCommand::Create { name } => match &self.head.name {
                None => Ok(vec![VendorEvent::VendorCreated { name: name.clone() }]),
                Some(known) if known == name => Ok(Vec::new()),
                Some(_) => Err(Reject::IdempotencyKeyReused),
            },
            VendorCommand::AddProduct { by, product } => {
                self.may_manage(*by)?;
                self.decide_product(product)
            }
            VendorCommand::SetPrice { by, sku: id, price_minor, currency } => {
                self.may_manage(*by)?;
                let sku = self.sku(*id)?;
                if sku.currency != *currency {
                    return Err(Reject::CurrencyMismatch { expected: sku.currency, found: *currency });
                }
                check_price(*price_minor, None)?;
                if sku.price_minor == *price_minor {
                    return Ok(Vec::new());
                }
                Ok(vec![VendorEvent::SkuPriceChanged { sku: *id, price_minor: *price_minor }])
            }
            VendorCommand::AdjustStock { by, sku, delta, reason } => {
                self.may_manage(*by)?;
                self.decide_adjust(*sku, *delta, reason)
            }
            VendorCommand::GetSku { by, sku } => {
                self.may_manage(*by)?;
                self.sku(*sku).map(|_| Vec::new())
            }
            VendorCommand::Reserve { order, until, currency, lines } => {
                self.decide_reserve(*order, *until, *currency, lines, now)
            }
            VendorCommand::Commit { order } => Ok(match self.holds.get(order) {
                Some(_) => vec![VendorEvent::StockCommitted { order: *order }],
                None => Vec::new(),
            }),
            VendorCommand::Release { order, until } => {
                let hold = self.holds.get(order);
                // Past `until` a Reserve is refused anyway: then there is nothing to remember.
                let remember = *until > now && !self.released.contains_key(order);
                let skus = hold.iter().flat_map(|hold| &hold.lines).map(|line| line.sku).collect();
                Ok(match hold.is_some() || remember {
                    true => vec![VendorEvent::StockReleased { order: *order, until: *until, skus }],
                    false => Vec::new(),
                })
            }
            VendorCommand::Tick => Ok(Vec::new()),
        }
    }

    fn apply(&mut self, event: &VendorEvent, at: Timestamp) {
        match event {
            VendorEvent::VendorCreated { name } => self.head.name = Some(name.clone()),
            VendorEvent::ProductAdded { product } => {
                for new in &product.skus {
                    let sku = Sku {
                        product: product.id,
                        code: new.code.clone(),
                        price_minor: new.price_minor,
                        currency: new.currency,
                        received: new.on_hand,
                        on_hand: new.on_hand,
                        held: 0,
                    };
                    self.codes.insert(code_key(&sku.code));
                    self.skus.insert(new.id, sku);
                    self.made(PartKey::Sku(new.id));
                }
                let skus = product.skus.iter().map(|sku| sku.id).collect();
                let NewProduct { id, title, description, category, .. } = product.clone();
                self.products.insert(id, Product { title, description, category, created_at: at, skus });
                self.made(PartKey::Product(id));
            }
            VendorEvent::SkuPriceChanged { sku, price_minor } => {
                self.touch_sku(*sku, |sku| sku.price_minor = *price_minor);
            }
            VendorEvent::StockAdjusted { sku, delta, .. } => self.touch_sku(*sku, |sku| {
                sku.received = sku.received.saturating_add(*delta);
                sku.on_hand = sku.on_hand.saturating_add(*delta);
            }),
            VendorEvent::StockHeld { order, until, lines } => {
                for line in lines {
                    self.touch_sku(line.sku, |sku| sku.held = sku.held.saturating_add(line.quantity));
                }
                if let Some(before) = self.holds.insert(*order, Hold { until: *until, lines: lines.clone() }) {
                    self.asks.end(*order, before.until);
                }
                self.asks.begin(*order, *until);
                self.made(PartKey::Hold(*order));
            }
            VendorEvent::StockCommitted { order } => {
                for line in self.end_hold(*order).into_iter().flat_map(|hold| hold.lines) {
                    self.touch_sku(line.sku, |sku| {
                        sku.held = sku.held.saturating_sub(line.quantity);
                        sku.on_hand = sku.on_hand.saturating_sub(line.quantity);
                    });
                }
            }
            VendorEvent::StockReleased { order, until, .. } => {
                for line in self.end_hold(*order).into_iter().flat_map(|hold| hold.lines) {
                    self.touch_sku(line.sku, |sku| sku.held = sku.held.saturating_sub(line.quantity));
                }
                if *until > at && self.released.insert(*order, *until).is_none() {
                    self.forget.insert((*until, *order));
                    self.made(PartKey::Released(*order));
                }
            }
        }
        self.forget_releases(at);
    }

    fn reply(&self, command: &VendorCommand, _recorded: bool) -> Option<Result<VendorReply, Reject>> {
        let shown_sku = |sku: SkuId| {
            let row = self.sku_row(sku).ok_or(Reject::SkuUnknown)?;
            Ok(VendorReply::Sku { sku: Box::new(row) })
        };
        Some(match command {
            VendorCommand::Create { .. } => {
                self.row().map(|vendor| VendorReply::Vendor { vendor }).ok_or(Reject::VendorUnknown)
            }
            VendorCommand::AddProduct { product, .. } => match self.product_row(product.id) {
                Some(row) => {
                    let skus = row.sku_ids.iter().filter_map(|sku| self.sku_row(*sku)).collect();
                    Ok(VendorReply::Product { product: Box::new(row), skus })
                }
                None => Err(Reject::ProductUnknown),
            },
            VendorCommand::SetPrice { sku, .. }
            | VendorCommand::AdjustStock { sku, .. }
            | VendorCommand::GetSku { sku, .. } => shown_sku(*sku),
            _ => Ok(VendorReply::Done),
        })
    }

    fn respond(&self, command: &VendorCommand, outcome: Result<(), &Reject>) -> Option<Message> {
        let vendor = self.id;
        let (order, answer) = match (command, outcome) {
            (VendorCommand::Reserve { order, .. }, Ok(())) => {
                let lines = self.holds.get(order).map(|hold| hold.lines.clone()).unwrap_or_default();
                (order, OrderCommand::StockHeld { vendor, lines })
            }
            (VendorCommand::Reserve { order, .. }, Err(reject)) => {
                (order, OrderCommand::StockRefused { vendor, reason: reject.clone() })
            }
            (VendorCommand::Commit { order }, Ok(())) => (order, OrderCommand::StockCommitted { vendor }),
            (VendorCommand::Release { order, .. }, Ok(())) => (order, OrderCommand::StockReleased { vendor }),
            (VendorCommand::Commit { order } | VendorCommand::Release { order, .. }, Err(reject)) => {
                (order, OrderCommand::StepFailed { vendor, reason: reject.clone() })
            }
            _ => return None,
        };
        Some(Message::Order { id: *order, command: answer })
    }

    fn outstanding(&self, now: Timestamp) -> Vec<EffectKey> {
        let until = |order: OrderId| self.holds.get(&order).map(|hold| (hold.until, order));
        let mut past: Vec<_> = self.asks.past(now).filter_map(until).filter(|(until, _)| *until <= now).collect();
        past.sort_unstable();
        past.into_iter().map(|(_, order)| EffectKey::new(Step::AskHold, order)).collect()
    }

    fn outstanding_at_once(&self, _now: Timestamp) -> Vec<EffectKey> {
        Vec::new()
    }

    fn next_ask(&self) -> Option<Timestamp> {
        self.asks.next()
    }

    fn ask_due(&mut self, now: Timestamp) -> Vec<EffectKey> {
        self.asks.take(now).into_iter().map(|order| EffectKey::new(Step::AskHold, order)).collect()
    }

    fn effect(&self, key: EffectKey) -> Option<Effect> {
        if key.step != Step::AskHold {
            return None;
        }
        let order = OrderId::from_uuid(uuid::Uuid::from_u128(key.target));
        let hold = self.holds.get(&order)?;
        let command = OrderCommand::HoldDue { vendor: self.id, until: hold.until };
        Some(Effect::Tell(Message::Order { id: order, command }))
    }

    fn timer(&self) -> Option<(Timestamp, VendorCommand)> {
        self.asks.next().map(|at| (at, VendorCommand::Tick))
    }

    fn publications(&self, events: &[VendorEvent]) -> Vec<Publication> {
        let available = |sku: &SkuId| {
            let available = self.skus.get(sku).map(Sku::available)?;
            let available = if self.suspended.contains(sku) { 0 } else { available };
            Some(Publication::Available { sku: *sku, available })
        };
        let listed = |sku: &SkuId| self.sku_row(*sku).map(|row| Publication::Sku(Box::new(row)));
        let mut published = Vec::with_capacity(1);
        for event in events {
            match event {
                VendorEvent::VendorCreated { .. } | VendorEvent::StockCommitted { .. } => {}
                VendorEvent::ProductAdded { product } => {
                    published.extend(self.product_row(product.id).map(|row| Publication::Product(Box::new(row))));
                    published.extend(product.skus.iter().filter_map(|sku| listed(&sku.id)));
                }
                VendorEvent::SkuPriceChanged { sku, .. } => published.extend(listed(sku)),
                VendorEvent::StockAdjusted { sku, .. } => published.extend(available(sku)),
                VendorEvent::StockHeld { lines, .. } => {
                    published.extend(lines.iter().filter_map(|line| available(&line.sku)));
                }
                VendorEvent::StockReleased { skus, .. } => published.extend(skus.iter().filter_map(available)),
            }
        }
        published
    }

    fn creates(command: &VendorCommand) -> bool {
        matches!(command, VendorCommand::Create { .. } | VendorCommand::AddProduct { .. })
    }

    fn is_read(command: &VendorCommand) -> bool {
        matches!(command, VendorCommand::GetSku { .. })
    }

    fn wake_at(&self, now: Timestamp) -> Option<Timestamp> {
        if !self.suspended.is_empty() {
            return Some(WAKE_AT_START);
        }
        // What was asked about is past its time.
        if self.asks.asked() == 0 { self.asks.next() } else { Some(now) }
    }

    fn stays(&self) -> bool {
        // What it was asked to give, it would have forgotten by its next change; and nobody else knows what is
        // suspended.
        !self.holds.is_empty() || self.all_rows || !self.suspended.is_empty()
    }

    fn summary(&self) -> serde_json::Value {
        serde_json::json!({
            "name": self.head.name,
            "products": self.products.len(),
            "skus": self.skus.len(),
            "holds": self.holds.len(),
            "remembered_releases": self.released.len(),
            "suspended_skus": self.suspended.len(),
            "oldest_hold_until_ms": self.holds.values().map(|hold| hold.until.as_millis()).min(),
            "holds_asked_about": self.asks.asked(),
        })
    }

    fn check(&self) -> Result<(), Breach> {
        if let Some(breach) = self.breaches_of_skus().next() {
            return Err(breach);
        }
        if self.asks.len() != self.holds.len() {
            let detail = format!("{} holds, {} of them timed", self.holds.len(), self.asks.len());
            return Err(Breach::new("holds_are_timed", self.id.entity(), detail));
        }
        Ok(())
    }

    fn suspend(&mut self) -> Vec<Breach> {
        let breaches: Vec<Breach> = self.breaches_of_skus().collect();
        self.suspended.extend(breaches.iter().filter_map(|breach| breach.sku));
        breaches
    }

    fn check_online(&mut self) -> Result<(), Breach> {
        // It goes through all SKUs and holds: a hundred thousand of them are checked every twentieth time.
        self.check_allowance += limits::CHECKED_PER_CHECKPOINT;
        if self.check_allowance < self.skus.len() + self.holds.len() {
            return Ok(());
        }
        self.check_allowance = 0;
        self.check()
    }

    fn stop(&mut self, breach: &Breach) -> bool {
        breach.sku.is_some_and(|sku| self.skus.contains_key(&sku) && self.suspended.insert(sku))
    }

    fn delta(&mut self) -> Delta {
        let changed = std::mem::take(&mut self.changed);
        let mut parts = vec![write_part(String::new(), &self.head)];
        let mut rows = Rows { vendors: self.row().into_iter().collect(), ..Rows::default() };
        let whole = std::mem::take(&mut self.all_rows);
        self.delta = true;
        if whole {
            (rows.products, rows.skus) = (self.product_rows(), self.sku_rows());
        }
        for key in changed.into_keys() {
            parts.push(self.part(key));
            match key {
                _ if whole => {}
                PartKey::Product(id) => rows.products.extend(self.product_row(id)),
                PartKey::Sku(id) => rows.skus.extend(self.sku_row(id)),
                PartKey::Hold(_) | PartKey::Released(_) => {}
            }
        }
        Delta { parts, rows, whole }
    }

    fn give_all_rows(&mut self) {
        self.all_rows = true;
    }

    fn restore(id: VendorId, parts: &[Part]) -> Result<Self, RestoreError> {
        let mut vendor = Self::new(id);
        for part in parts {
            let unknown = || RestoreError {
                part: part.name.clone(),
                source: serde::de::Error::custom("no part of a vendor has this name"),
            };
            if part.name.is_empty() {
                vendor.head = read_part(part)?;
            } else if let Some(order) = part.name.strip_prefix("hold/") {
                let order = order.parse().map_err(|_| unknown())?;
                let hold: Hold = read_part(part)?;
                vendor.asks.begin(order, hold.until);
                vendor.holds.insert(order, hold);
            } else if let Some(order) = part.name.strip_prefix("released/") {
                let order = order.parse().map_err(|_| unknown())?;
                let until = read_part(part)?;
                vendor.forget.insert((until, order));
                vendor.released.insert(order, until);
            } else if let Ok(product) = part.name.parse::<ProductId>() {
                vendor.products.insert(product, read_part(part)?);
            } else if let Ok(sku) = part.name.parse::<SkuId>() {
                let state: Sku = read_part(part)?;
                vendor.codes.insert(code_key(&state.code));
                vendor.skus.insert(sku, state);
            } else {
                return Err(unknown());
            }
        }
        Ok(vendor)
    }
}
