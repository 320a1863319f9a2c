//! A vendor: its products and SKUs, what is in stock, and what is held for orders.
//!
//! A hold lowers what is available at once and what is on hand when the order is paid. Only the order ends it, by commit or
//! release; past its time the vendor asks the order. So stock can never be promised twice.

mod breaches;
mod catalogue;
mod goods;
mod published;
mod sales;
mod slots;
mod stock;
mod terms;
#[cfg(test)]
mod tests;
mod types;
mod view;

pub use catalogue::{GoodsStatus, ProductChange, VendorStatus};
pub use sales::{
    Count, ItemChange, NewLimit, OnSale, Requires, SaleChange, SaleItem, SaleStatus, SaleTerms, Stock, Tranche,
    WhenExhausted,
};
pub use slots::{Day, DeliveryPlan, DeliveryWindow, NoSlot, Slot, SlotId, SlotRefused};
pub(super) use terms::shared as shared_terms;
pub use terms::{BreakScope, PriceBreak, QuantityRules, SkuChange, SkuTerms, price_of};
pub use types::*;
pub use view::{ProductView, SaleItemView, SaleView, SkuView, SlotView, VendorView};

use super::entity::{
    Asks, By, Checks, Decides, Delta, Effect, EffectKey, Keeps, Message, Part, Principal, Publication, RestoreError,
    Step, WAKE_AT_START, read_part, write_part,
};
use super::hold::{CreditKey, Hold, HoldPart, Holds, asks_about};
use super::ids::{EntityId, Kind, OrderId, ProductId, SaleId, SkuId, VendorId};
use super::invariants::Breach;
use super::knowledge::Knowledge;
use super::order::OrderCommand;
use super::reject::Reject;
use super::rows::Rows;
use super::text::code_key;
use super::time::Timestamp;
use super::who::{Action, may};
use crate::limits;
use foldhash::HashMap;
use goods::{Product, Sku, check_price};
use sales::{Bucket, NEVER, Sale};
use serde::{Deserialize, Serialize};
use slots::{Booked, Delivery};
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

/// Stock that is set aside for an order.
pub type StockHold = Hold<HeldStock>;

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Head {
    name: Option<String>,
    /// Whether the shop's staff does not let it sell.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    suspended: bool,
    /// What is sold to orders that are not settled, with the end of each hold's time.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    committed: BTreeMap<OrderId, Timestamp>,
    /// What was taken back for credits whose orders have not heard of it, with the moment from which on they are asked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    restocked: Vec<(CreditKey, Timestamp)>,
}

/// The parts of a vendor's state that a snapshot keeps one by one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum PartKey {
    Product(ProductId),
    Sku(SkuId),
    Hold(HoldPart),
    Sale(SaleId),
    SaleItem(SaleId, SkuId),
    Buyers(SaleId, u16),
}

/// A vendor's state.
#[derive(Clone, Debug)]
pub struct Vendor {
    id: VendorId,
    head: Head,
    products: BTreeMap<ProductId, Product>,
    skus: HashMap<SkuId, Sku>,
    holds: Holds<HeldStock>,
    /// What was taken back for credits whose orders may ask for it again.
    restocked: Holds<(), CreditKey>,
    sales: BTreeMap<SaleId, Sale>,
    /// In which sales a SKU is, and at which place among their items.
    sales_of: HashMap<SkuId, Vec<(SaleId, usize)>>,
    /// When it delivers, and what is had of its slots.
    delivery: Delivery,
    /// When the next of these is over.
    next_end: Timestamp,
    /// When it is next forgotten who bought in a sale.
    forget_buyers_at: Timestamp,
    /// What the next delta gives, and whether no delta has given it yet: then it need not be deleted when it is gone.
    changed: BTreeMap<PartKey, bool>,
    /// Whether there was a delta. Before the first, what this state was made of may be on its way to the store.
    gave_delta: bool,
    /// The codes of its SKUs, as they are compared. Made from them; a store of early versions may hold some twice.
    codes: HashSet<String>,
    /// SKUs whose figures were found not to add up.
    suspended: BTreeSet<SkuId>,
    /// How much the online check may look at by now.
    check_allowance: usize,
}

impl Vendor {
    /// What it holds for orders.
    pub fn holds(&self) -> &Holds<HeldStock> {
        &self.holds
    }

    fn may(&self, by: Principal, action: Action) -> Result<(), Reject> {
        match self.head.name.is_some() && may(by, action, &self.id) {
            true => Ok(()),
            false => Err(Reject::VendorUnknown),
        }
    }

    fn sku(&self, sku: SkuId) -> Result<&Sku, Reject> {
        self.skus.get(&sku).ok_or(Reject::SkuUnknown)
    }

    fn decide_command(&self, command: &VendorCommand, now: Timestamp) -> Result<Vec<VendorEvent>, Reject> {
        match command {
            VendorCommand::Create { name } => match &self.head.name {
                None => Ok(vec![VendorEvent::VendorCreated { name: name.clone() }]),
                Some(known) if known == name => Ok(Vec::new()),
                Some(_) => Err(Reject::IdempotencyKeyReused),
            },
            VendorCommand::AddProduct { by, product } => {
                self.may(*by, Action::EditGoods)?;
                self.decide_product(product)
            }
            VendorCommand::SetPrice { by, sku: id, price_minor, currency } => {
                self.may(*by, Action::EditGoods)?;
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
            VendorCommand::EditSku { by, sku, change } => {
                self.may(*by, Action::EditGoods)?;
                self.decide_edit(*sku, change, By::of(*by))
            }
            VendorCommand::Rename { by, name } => {
                self.may(*by, Action::EditVendor)?;
                Ok(self.decide_rename(name, By::of(*by)))
            }
            VendorCommand::SetStatus { by, status, reason } => {
                self.may(*by, Action::SuspendVendors)?;
                Ok(self.decide_vendor_status(*status, reason, By::of(*by)))
            }
            VendorCommand::EditProduct { by, product, change } => {
                self.may(*by, Action::EditGoods)?;
                self.decide_product_change(*product, change, By::of(*by))
            }
            VendorCommand::AddSku { by, product, sku } => {
                self.may(*by, Action::EditGoods)?;
                self.decide_new_sku(*product, sku, By::of(*by))
            }
            VendorCommand::AdjustStock { by, sku, delta, reason } => {
                self.may(*by, Action::EditGoods)?;
                self.decide_adjust(*sku, *delta, reason, By::of(*by), now)
            }
            VendorCommand::Get { by } => self.may(*by, Action::SeeGoods).map(|()| Vec::new()),
            VendorCommand::GetSku { by, sku } => {
                self.may(*by, Action::SeeGoods)?;
                self.sku(*sku).map(|_| Vec::new())
            }
            VendorCommand::GetProduct { by, product } => {
                self.may(*by, Action::SeeGoods)?;
                self.products.get(product).map(|_| Vec::new()).ok_or(Reject::ProductUnknown)
            }
            VendorCommand::ScheduleSale { by, sale, terms } => {
                self.may(*by, Action::EditGoods)?;
                self.decide_sale(*sale, terms, now)
            }
            VendorCommand::EditSale { by, sale, change } => {
                self.may(*by, Action::EditGoods)?;
                self.decide_sale_change(*sale, change, now)
            }
            VendorCommand::CancelSale { by, sale } => {
                self.may(*by, Action::EditGoods)?;
                self.decide_sale_cancel(*sale, now)
            }
            VendorCommand::GetSale { by, sale } => {
                self.may(*by, Action::SeeGoods)?;
                self.sale(*sale).map(|_| Vec::new())
            }
            VendorCommand::SetDeliveryPlan { by, version, plan } => {
                self.may(*by, Action::EditGoods)?;
                self.decide_plan(*version, plan.as_deref())
            }
            VendorCommand::GetDeliveryPlan { by } => self.may(*by, Action::SeeGoods).map(|()| Vec::new()),
            VendorCommand::GetSlots { .. } if self.head.name.is_none() => Err(Reject::VendorUnknown),
            VendorCommand::Reserve { order, until, currency, lines, held_for } => {
                self.decide_reserve(*order, *until, *currency, lines, held_for, now)
            }
            VendorCommand::Commit { order, strict } => {
                let commits = self.holds.decide_commit(*order, *strict)?;
                let lines = self.holds.open(*order).into_iter().flat_map(|hold| &hold.what.lines);
                let sold = lines.map(|line| (line.sku, line.quantity)).collect();
                Ok(commits.then_some(VendorEvent::HoldCommitted { order: *order, sold }).into_iter().collect())
            }
            VendorCommand::Release { order, until } => {
                let lines = self.holds.open(*order).into_iter().flat_map(|hold| &hold.what.lines);
                let skus = lines.map(|line| line.sku).collect();
                let released = VendorEvent::StockReleased { order: *order, until: *until, skus };
                Ok(self.holds.decide_release(*order, *until, now).then_some(released).into_iter().collect())
            }
            VendorCommand::Restock { units } => Ok(self.decide_restock(units)),
            // They are done by whoever heard them: what there is to record comes with them.
            VendorCommand::Close { .. }
            | VendorCommand::CloseCredits { .. }
            | VendorCommand::GetSlots { .. }
            | VendorCommand::Tick => Ok(Vec::new()),
        }
    }

    fn made(&mut self, key: PartKey) {
        self.changed.entry(key).or_insert(self.gave_delta);
    }

    /// What was made and ended since the last delta leaves nothing behind: in a rush, that is most of it.
    fn ended(&mut self, key: PartKey) {
        if self.changed.get(&key) == Some(&true) {
            self.changed.remove(&key);
        } else {
            self.changed.insert(key, false);
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
            PartKey::Hold(HoldPart::Open(order)) => optional(format!("hold/{order}"), self.holds.open(order)),
            PartKey::Hold(HoldPart::Released(order)) => {
                optional(format!("released/{order}"), self.holds.release(order))
            }
            PartKey::Sale(id) => optional(format!("sale/{id}"), self.sales.get(&id)),
            PartKey::SaleItem(id, sku) => {
                let count = self.sales.get(&id).and_then(|sale| sale.count(sku));
                optional(format!("taken/{id}/{sku}"), count.as_ref())
            }
            PartKey::Buyers(id, number) => {
                let bucket = self.sales.get(&id).and_then(|sale| sale.buyers.bucket(number));
                optional(format!("buyers/{id}/{number}"), bucket)
            }
        }
    }
}

impl Decides for Vendor {
    const KIND: Kind = Kind::Vendor;
    const UNKNOWN: Reject = Reject::VendorUnknown;
    type Id = VendorId;
    type Command = VendorCommand;
    type Event = VendorEvent;
    type Reply = VendorReply;

    fn new(id: VendorId) -> Self {
        Self {
            id,
            head: Head::default(),
            products: BTreeMap::new(),
            skus: HashMap::default(),
            holds: Holds::default(),
            restocked: Holds::default(),
            sales: BTreeMap::new(),
            sales_of: HashMap::default(),
            delivery: Delivery::default(),
            next_end: NEVER,
            forget_buyers_at: NEVER,
            changed: BTreeMap::new(),
            gave_delta: false,
            codes: HashSet::new(),
            suspended: BTreeSet::new(),
            check_allowance: 0,
        }
    }

    fn heard(&mut self, command: &VendorCommand, now: Timestamp) {
        match command {
            VendorCommand::Close { order } => self.holds.hear_close(*order, now),
            VendorCommand::CloseCredits { order, credits } => {
                credits.iter().for_each(|credit| self.restocked.hear_close(CreditKey(*order, *credit), now));
            }
            _ => {}
        }
    }

    fn decide(
        &self,
        command: &VendorCommand,
        _knowledge: &Knowledge<'_>,
        now: Timestamp,
    ) -> Result<Vec<VendorEvent>, Reject> {
        let mut events = self.decide_command(command, now)?;
        // With a record that is written anyway, or when its time has come: whoever only looks makes no record.
        let is_due = |at: Option<Timestamp>| at.is_some_and(|at| at <= now);
        let closes = match command {
            VendorCommand::Tick => is_due(self.holds.close_at()) || is_due(self.restocked.close_at()),
            _ => !events.is_empty(),
        };
        if let Some(orders) = self.holds.to_close().filter(|_| closes) {
            events.push(VendorEvent::HoldsClosed { orders });
        }
        if let Some(credits) = self.restocked.to_close().filter(|_| closes) {
            events.push(VendorEvent::CreditsClosed { credits });
        }
        Ok(events)
    }

    fn apply(&mut self, event: &VendorEvent, at: Timestamp) {
        match event {
            VendorEvent::VendorCreated { name } => self.head.name = Some(name.clone()),
            VendorEvent::ProductAdded { product } => {
                product.skus.iter().for_each(|sku| self.add_sku(product.id, sku));
                let skus = product.skus.iter().map(|sku| sku.id).collect();
                let NewProduct { id, title, description, category, .. } = product.clone();
                self.products
                    .insert(id, Product { title, description, category, created_at: at, skus, archived: false });
                self.made(PartKey::Product(id));
            }
            VendorEvent::VendorRenamed { name, .. } => self.head.name = Some(name.clone()),
            VendorEvent::VendorStatusSet { status, .. } => self.head.suspended = status.is_suspended(),
            VendorEvent::ProductChanged { product, change, .. } => self.change_product(*product, change),
            VendorEvent::SkuAdded { product, sku, .. } => {
                self.add_sku(*product, sku);
                if let Some(product) = self.products.get_mut(product) {
                    product.skus.push(sku.id);
                }
                self.touch_product(*product);
            }
            VendorEvent::SkuStatusSet { sku, status, .. } => {
                self.touch_sku(*sku, |sku| sku.archived = status.is_archived());
                self.touch_product_of(*sku);
            }
            VendorEvent::SkuPriceChanged { sku, price_minor } => {
                self.touch_sku(*sku, |sku| sku.price_minor = *price_minor);
                self.touch_product_of(*sku);
            }
            VendorEvent::SkuTermsChanged { sku, terms } => {
                let terms = (**terms != SkuTerms::default()).then(|| Arc::from(terms.clone()));
                self.touch_sku(*sku, |sku| sku.terms = terms);
            }
            VendorEvent::StockAdjusted { sku, delta, .. } => self.touch_sku(*sku, |sku| {
                sku.received = sku.received.saturating_add(*delta);
                sku.on_hand = sku.on_hand.saturating_add(*delta);
            }),
            VendorEvent::SaleScheduled { sale, terms } => self.add_sale(*sale, SaleTerms::clone(terms)),
            VendorEvent::SaleChanged { sale, terms } => self.change_sale(*sale, SaleTerms::clone(terms)),
            VendorEvent::SaleCancelled { sale } => self.cancel_sale(*sale, at),
            VendorEvent::DeliveryPlanSet { plan } => self.set_plan(plan.as_deref().cloned()),
            VendorEvent::StockHeld { order, until, lines, keys, account_keys, slot } => {
                let (keys, account_keys, slot) = (keys.clone(), *account_keys, slot.clone());
                self.hold_stock(*order, *until, HeldStock { lines: lines.clone(), keys, account_keys, slot });
            }
            VendorEvent::StockCommitted { order } => {
                let hold = self.holds.has_ended(*order);
                self.sell(*order, hold);
            }
            VendorEvent::HoldCommitted { order, .. } => {
                let hold = self.holds.has_committed(*order);
                self.sell(*order, hold);
            }
            VendorEvent::HoldsClosed { orders } => self.holds.closed(orders, at),
            VendorEvent::Restocked { order, credit, lines, keys, account_keys, slot } => {
                let (lines, keys, account_keys) = (lines.clone(), keys.clone(), *account_keys);
                let back = HeldStock { lines, keys, account_keys, slot: None };
                self.restock(CreditKey(*order, *credit), &back, *slot, at);
            }
            VendorEvent::CreditsClosed { credits } => self.restocked.closed(credits, at),
            VendorEvent::StockReleased { order, until, .. } => self.release_stock(*order, *until, at),
        }
        for order in self.holds.forget_releases(at) {
            self.ended(PartKey::Hold(HoldPart::Released(order)));
        }
        self.end_sales(at);
        self.forget_buyers(at);
        self.forget_slots(at);
    }

    fn reply(&self, command: &VendorCommand, _recorded: bool) -> Option<Result<VendorReply, Reject>> {
        let shown_sku = |sku: SkuId| {
            self.sku_view(sku).map(|sku| VendorReply::Sku { sku: Box::new(sku) }).ok_or(Reject::SkuUnknown)
        };
        Some(match command {
            VendorCommand::Create { .. }
            | VendorCommand::Get { .. }
            | VendorCommand::Rename { .. }
            | VendorCommand::SetStatus { .. } => {
                self.row().map(|row| VendorReply::Vendor { vendor: row.into() }).ok_or(Reject::VendorUnknown)
            }
            VendorCommand::AddProduct { product: NewProduct { id: product, .. }, .. }
            | VendorCommand::EditProduct { product, .. }
            | VendorCommand::AddSku { product, .. }
            | VendorCommand::GetProduct { product, .. } => match self.product_row(*product) {
                Some(row) => {
                    let skus = row.sku_ids.iter().filter_map(|sku| self.sku_row(*sku)).map(SkuView::from).collect();
                    Ok(VendorReply::Product { product: Box::new(row.into()), skus })
                }
                None => Err(Reject::ProductUnknown),
            },
            VendorCommand::SetPrice { sku, .. }
            | VendorCommand::EditSku { sku, .. }
            | VendorCommand::AdjustStock { sku, .. }
            | VendorCommand::GetSku { sku, .. } => shown_sku(*sku),
            VendorCommand::ScheduleSale { sale, .. }
            | VendorCommand::EditSale { sale, .. }
            | VendorCommand::CancelSale { sale, .. }
            | VendorCommand::GetSale { sale, .. } => {
                self.sale_view(*sale).map(|sale| VendorReply::Sale { sale: Box::new(sale) }).ok_or(Reject::SaleUnknown)
            }
            VendorCommand::SetDeliveryPlan { .. } | VendorCommand::GetDeliveryPlan { .. } => {
                let planned = &self.delivery.plan;
                let plan = planned.plan.as_deref().cloned().map(Box::new);
                Ok(VendorReply::DeliveryPlan { version: planned.version, plan })
            }
            VendorCommand::GetSlots { at } => Ok(VendorReply::Slots { slots: self.slot_views(*at) }),
            _ => Ok(VendorReply::Done),
        })
    }

    fn respond(&self, command: &VendorCommand, outcome: Result<(), &Reject>) -> Option<Message> {
        let vendor = self.id;
        let (order, answer) = match (command, outcome) {
            (VendorCommand::Reserve { order, .. }, Ok(())) => {
                let HeldStock { lines, slot, .. } = &self.holds.open(*order)?.what;
                (order, OrderCommand::StockHeld { vendor, lines: lines.clone(), slot: slot.clone() })
            }
            (VendorCommand::Reserve { order, .. }, Err(reject)) => {
                (order, OrderCommand::StockRefused { vendor, reason: reject.clone() })
            }
            (VendorCommand::Commit { order, .. }, Ok(())) => (order, OrderCommand::StockCommitted { vendor }),
            (VendorCommand::Release { order, .. }, Ok(())) => (order, OrderCommand::StockReleased { vendor }),
            (VendorCommand::Restock { units }, Ok(())) => (&units.order, Self::restocked_answer(vendor, units)),
            (VendorCommand::Commit { order, .. } | VendorCommand::Release { order, .. }, Err(reject)) => {
                (order, OrderCommand::StepFailed { vendor, reason: reject.clone() })
            }
            _ => return None,
        };
        Some(Message::Order { id: *order, command: answer })
    }

    fn publications(&self, events: &[VendorEvent]) -> Vec<Publication> {
        self.published(events)
    }

    fn publications_of_recovery(&self, _before: impl FnOnce() -> Option<Self>) -> Vec<Publication> {
        let products = self.products.keys().filter_map(|id| self.product_row(*id));
        let products = products.map(|product| Publication::Product(Box::new(product)));
        let skus = self.sku_rows().into_iter().map(|sku| Publication::Sku(Box::new(sku)));
        let sales = self.sale_rows().into_iter().map(|sale| Publication::Sale(Box::new(sale)));
        let vendor = self.row().map(Publication::Vendor).into_iter();
        vendor.chain(products).chain(skus).chain(sales).collect()
    }

    fn creates(command: &VendorCommand) -> bool {
        matches!(
            command,
            VendorCommand::Create { .. }
                | VendorCommand::AddProduct { .. }
                | VendorCommand::AddSku { .. }
                | VendorCommand::ScheduleSale { .. }
        )
    }

    fn is_read(command: &VendorCommand) -> bool {
        matches!(
            command,
            VendorCommand::Get { .. }
                | VendorCommand::GetSku { .. }
                | VendorCommand::GetProduct { .. }
                | VendorCommand::GetSale { .. }
                | VendorCommand::GetDeliveryPlan { .. }
                | VendorCommand::GetSlots { .. }
        )
    }
}

impl Asks for Vendor {
    fn outstanding(&self, now: Timestamp) -> Vec<EffectKey> {
        let holds = self.holds.overdue(now).into_iter().map(|order| EffectKey::new(Step::AskHold, order));
        holds.chain(asks_about(self.restocked.overdue(now))).collect()
    }

    fn outstanding_at_once(&self, _now: Timestamp) -> Vec<EffectKey> {
        Vec::new()
    }

    fn next_ask(&self) -> Option<Timestamp> {
        self.holds.next_ask().into_iter().chain(self.restocked.next_ask()).min()
    }

    fn ask_due(&mut self, now: Timestamp) -> Vec<EffectKey> {
        let holds = self.holds.take_asks(now).into_iter().map(|order| EffectKey::new(Step::AskHold, order));
        holds.chain(asks_about(self.restocked.take_asks(now))).collect()
    }

    fn effect(&self, key: EffectKey) -> Option<Effect> {
        let order = OrderId::from_uuid(uuid::Uuid::from_u128(key.target));
        match key.step {
            Step::AskHold => {}
            Step::AskCredit => return self.ask_credit(order),
            _ => return None,
        }
        let (until, committed) = (self.holds.until(order)?, self.holds.is_committed(order));
        let command = OrderCommand::HoldDue { vendor: self.id, until, committed };
        Some(Effect::Tell(Message::Order { id: order, command }))
    }

    fn timer(&self) -> Option<(Timestamp, VendorCommand)> {
        let closes = self.holds.close_at().into_iter().chain(self.restocked.close_at());
        self.next_ask().into_iter().chain(closes).min().map(|at| (at, VendorCommand::Tick))
    }

    fn wake_at(&self, now: Timestamp) -> Option<Timestamp> {
        if !self.suspended.is_empty() {
            return Some(WAKE_AT_START);
        }
        // What was asked about is past its time.
        if self.holds.asked() + self.restocked.asked() == 0 { self.next_ask() } else { Some(now) }
    }
}

impl Keeps for Vendor {
    const KEPT_ANSWERS: usize = limits::IDEMPOTENCY_KEYS_PER_VENDOR;
    const IS_LARGE: bool = true;
    const GIVES_WAY: bool = false;
    const SHAPE: u32 = 2;
    const ROWS_AT_START: bool = true;

    fn stays(&self) -> bool {
        // Nobody else knows what is suspended.
        !self.holds.is_empty() || !self.restocked.is_empty() || !self.suspended.is_empty()
    }

    fn delta(&mut self) -> Delta {
        let changed = std::mem::take(&mut self.changed);
        self.head.committed.clone_from(self.holds.committed());
        self.head.restocked = self.restocked.committed().iter().map(|(key, until)| (*key, *until)).collect();
        let mut parts = vec![write_part(String::new(), &self.head)];
        let mut rows = Rows { vendors: self.row().into_iter().collect(), ..Rows::default() };
        let mut sales = BTreeSet::new();
        self.gave_delta = true;
        for key in changed.into_keys() {
            parts.push(self.part(key));
            match key {
                PartKey::Product(id) => rows.products.extend(self.searched_row(id)),
                PartKey::Sku(id) => rows.skus.extend(self.sku_row(id)),
                PartKey::Sale(id) | PartKey::SaleItem(id, _) => {
                    sales.insert(id);
                }
                PartKey::Hold(_) | PartKey::Buyers(..) => {}
            }
        }
        parts.extend(self.delivery.changed_parts());
        rows.sales.extend(sales.into_iter().filter_map(|id| self.sale_row(id)));
        Delta { parts, rows, spent: &[] }
    }

    fn rows(&self) -> Rows {
        let (products, skus, sales) = (self.product_rows(), self.sku_rows(), self.sale_rows());
        Rows { vendors: self.row().into_iter().collect(), products, skus, sales, ..Rows::default() }
    }

    fn restore(id: VendorId, parts: &[Part]) -> Result<Self, RestoreError> {
        let mut vendor = Self::new(id);
        let mut sales: BTreeMap<SaleId, Sale> = BTreeMap::new();
        let (mut counts, mut buckets) = (Vec::new(), Vec::new());
        for part in parts {
            let unknown = || RestoreError {
                part: part.name.clone(),
                source: serde::de::Error::custom("no part of a vendor has this name"),
            };
            if part.name.is_empty() {
                vendor.head = read_part(part)?;
                vendor.holds.restore_committed(std::mem::take(&mut vendor.head.committed));
                let restocked = std::mem::take(&mut vendor.head.restocked);
                vendor.restocked.restore_committed(restocked.into_iter().collect());
            } else if let Some(order) = part.name.strip_prefix("hold/") {
                let order = order.parse().map_err(|_| unknown())?;
                vendor.holds.opened(order, read_part(part)?);
            } else if let Some(order) = part.name.strip_prefix("released/") {
                let order = order.parse().map_err(|_| unknown())?;
                vendor.holds.restore_release(order, read_part(part)?);
            } else if let Some(sale) = part.name.strip_prefix("sale/") {
                sales.insert(sale.parse().map_err(|_| unknown())?, read_part(part)?);
            } else if let Some((sale, sku)) = part.name.strip_prefix("taken/").and_then(|name| name.split_once('/')) {
                let (sale, sku) = (sale.parse().map_err(|_| unknown())?, sku.parse().map_err(|_| unknown())?);
                counts.push((sale, sku, read_part::<Count>(part)?));
            } else if let Some((sale, of)) = part.name.strip_prefix("buyers/").and_then(|name| name.split_once('/')) {
                let (sale, number) = (sale.parse().map_err(|_| unknown())?, of.parse().map_err(|_| unknown())?);
                buckets.push((sale, number, read_part::<Bucket>(part)?));
            } else if part.name == "delivery" {
                vendor.delivery.plan = read_part(part)?;
            } else if let Some(slot) = part.name.strip_prefix("slot/") {
                vendor.delivery.restore(slot.parse().map_err(|_| unknown())?, read_part::<Booked>(part)?);
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
        vendor.restore_sales(sales, counts, buckets);
        Ok(vendor)
    }
}

impl Checks for Vendor {
    fn summary(&self) -> serde_json::Value {
        serde_json::json!({
            "name": self.head.name,
            "products": self.products.len(),
            "skus": self.skus.len(),
            "sales": self.sales.len(),
            "holds": self.holds.all_open().count(),
            "committed_holds": self.holds.committed().len(),
            "remembered_releases": self.holds.remembered(),
            "suspended_skus": self.suspended.len(),
            "oldest_hold_until_ms": self.holds.first_until().map(Timestamp::as_millis),
            "holds_asked_about": self.holds.asked(),
        })
    }

    fn check(&self) -> Result<(), Breach> {
        if let Some(breach) = self.breaches_of_skus().next() {
            return Err(breach);
        }
        if let Some(breach) = self.breach_of_slots() {
            return Err(breach);
        }
        let (holds, timed) = self.holds.timed();
        if holds != timed {
            let detail = format!("{holds} holds, {timed} of them timed");
            return Err(Breach::new("holds_are_timed", self.id.entity(), detail));
        }
        Ok(())
    }

    fn suspend_broken(&mut self) -> Vec<Breach> {
        let breaches: Vec<Breach> = self.breaches_of_skus().collect();
        self.suspended.extend(breaches.iter().filter_map(|breach| breach.sku));
        breaches
    }

    fn check_online(&mut self) -> Result<(), Breach> {
        // It goes through all SKUs and holds: a hundred thousand of them are checked every twentieth time.
        self.check_allowance += limits::CHECKED_PER_CHECKPOINT;
        if self.check_allowance < self.skus.len() + self.holds.timed().0 {
            return Ok(());
        }
        self.check_allowance = 0;
        self.check()
    }

    fn suspend(&mut self, breach: &Breach) -> bool {
        breach.sku.is_some_and(|sku| self.skus.contains_key(&sku) && self.suspended.insert(sku))
    }
}
