//! A cart: lines, an owner, and at most one order that is live or paid.

mod claim;
mod coupons;
mod merge;
mod prices;
pub mod quote;
#[cfg(test)]
mod tests;
mod types;

pub use prices::{Today, audience_of};
pub use types::*;

use super::buyer::{Audience, Entry};
use super::details::Detail;
use super::entity::{
    Asks, Checks, Decides, Delta, Effect, EffectKey, Keeps, Message, Owner, Part, Principal, RestoreError, Step,
    read_own, write_part,
};
use super::ids::{CartId, CouponId, EntityId, Kind, OrderId, RoomId, SkuId, VendorId};
use super::invariants::Breach;
use super::knowledge::{Availability, Knowledge};
use super::money::{self, Currency, Money};
use super::order::{OrderCommand, PlacedCoupon, Placement, no_points};
use super::pricing::{Basket, Destination, Good, ON_DELIVERY, bill};
use super::reject::{Refusal, Reject};
use super::rows::Rows;
use super::time::Timestamp;
use super::vendor::{SlotId, SlotRefused};
use super::who::{Action, Belongs, may};
use crate::limits;
use prices::{exemption_of, rules_of};
use serde::{Deserialize, Serialize};
use types::subtotal;

/// A cart's state.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Cart {
    id: CartId,
    owner: Option<Owner>,
    currency: Currency,
    status: CartStatus,
    lines: Vec<CartLine>,
    /// Its coupons, in the order in which their codes were put there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    coupons: Vec<PlacedCoupon>,
    /// What they were shown to take off with the last change, in minor units.
    #[serde(default, skip_serializing_if = "types::is_zero")]
    discount: i64,
    /// How often it was checked out.
    attempt: u32,
    /// By what the running checkout is carried out.
    #[serde(rename = "details")]
    terms: Option<Box<CheckoutTerms>>,
    /// The cart that it was merged into.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    merge: Option<Merge>,
    /// The carts that were merged into it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    merges: Vec<MergedFrom>,
}

/// Where a cart was given.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Merge {
    into: CartId,
    /// Whether it is known to have come there.
    acknowledged: bool,
}

impl Cart {
    /// The order that is live or paid.
    pub fn order(&self) -> Option<OrderId> {
        let has_one = matches!(self.status, CartStatus::CheckingOut | CartStatus::CheckedOut);
        has_one.then(|| OrderId::for_attempt(self.id, self.attempt))
    }

    /// Who sells what is in it, each once.
    pub fn vendors(&self) -> Vec<VendorId> {
        let mut vendors = Vec::with_capacity(1);
        for line in &self.lines {
            if !vendors.contains(&line.vendor) {
                vendors.push(line.vendor);
            }
        }
        vendors
    }

    /// The cart as it is shown; `None` before it came into being.
    pub fn view(&self) -> Option<CartView> {
        Some(CartView {
            id: self.id,
            owner: self.owner?,
            status: self.status,
            currency: self.currency,
            lines: self.lines.clone(),
            coupons: self.coupons.clone(),
            discount: self.discount,
            order: self.order(),
            merged_into: self.merged_into(),
        })
    }

    /// Whether `by` may know of this cart.
    ///
    /// # Errors
    /// [`Reject::CartUnknown`].
    pub fn may_see(&self, by: Principal) -> Result<(), Reject> {
        match self.owner {
            Some(_) if may(by, Action::UseCart, self) => Ok(()),
            _ => Err(Reject::CartUnknown),
        }
    }

    fn may_change(&self, by: Principal) -> Result<(), Reject> {
        self.may_see(by)?;
        self.closed_because().map_or(Ok(()), Err)
    }

    /// Why it cannot change, if it cannot.
    fn closed_because(&self) -> Option<Reject> {
        match self.status {
            CartStatus::Open => None,
            CartStatus::CheckingOut => Some(Reject::CartCheckingOut),
            CartStatus::CheckedOut => Some(Reject::CartCheckedOut),
            CartStatus::Merged => Some(Reject::CartMerged),
        }
    }

    /// Its coupons.
    pub fn coupons(&self) -> impl Iterator<Item = CouponId> {
        self.coupons.iter().map(|coupon| coupon.coupon)
    }

    fn line(&self, sku: SkuId) -> Option<&CartLine> {
        self.lines.iter().find(|line| line.sku == sku)
    }

    fn changed_prices(&self, prices: &[SkuPrice]) -> Vec<SkuPrice> {
        let differs = |price: &&SkuPrice| {
            self.line(price.sku).is_some_and(|line| (line.unit_price, line.sale) != (price.unit_price, price.sale))
        };
        prices.iter().filter(differs).copied().collect()
    }

    /// The change of a line, with the prices that are shown in answer to it.
    fn with_prices(&self, change: Option<CartEvent>, of: SkuId, today: Today<'_>) -> Vec<CartEvent> {
        let mut events = change.map_or_else(Vec::new, |change| vec![change]);
        let prices = self.todays_prices(|sku| sku != of, today);
        if !prices.is_empty() {
            events.push(CartEvent::Repriced { prices });
        }
        events
    }

    fn decide_line(
        &self,
        line: &CartLine,
        currency: Currency,
        known: &dyn Availability,
        now: Timestamp,
    ) -> Result<Vec<CartEvent>, Reject> {
        let there = self.line(line.sku);
        let others = self.lines.len() - usize::from(there.is_some());
        if others > 0 && currency != self.currency {
            return Err(Reject::CurrencyMismatch { expected: self.currency, found: currency });
        }
        if others >= limits::CART_LINES {
            return Err(Reject::TooManyLines { limit: limits::CART_LINES });
        }
        if !known.is_for_sale(line.sku) {
            return Err(Reject::SkuUnavailable { skus: vec![line.sku] });
        }
        let audience = self.audience(known);
        if let Some(refused) = rules_of(line.sku, audience, known).refuse_line(line.quantity) {
            return Err(refused);
        }
        let today = Today::new(known, audience, &self.lines, now).with(line.sku, line.quantity);
        let (unit_price, sale) = today.price_at(line.sku, line.quantity, line.unit_price);
        let line = CartLine { unit_price, sale, ..line.clone() };
        let sku = line.sku;
        let change = match there {
            Some(same) if *same == line => None,
            _ => Some(CartEvent::LineSet { line, currency }),
        };
        Ok(self.with_prices(change, sku, today))
    }

    /// Whether what is in the cart can be had, as far as it is durably known. What is not known is left to the vendors.
    fn can_be_had(
        &self,
        audience: Audience,
        entries: &[Entry],
        known: &dyn Availability,
        now: Timestamp,
    ) -> Result<(), Reject> {
        let mut refusal = Refusal::default();
        self.wrong_quantity(audience, known).into_iter().for_each(|reject| refusal.add(reject));
        for line in &self.lines {
            if !known.is_for_sale(line.sku) {
                refusal.add(Reject::SkuUnavailable { skus: vec![line.sku] });
                continue;
            }
            match known.offer(line.sku, line.quantity, now) {
                Some(Ok(offered)) => {
                    let is_inside = |room: &RoomId| entries.iter().any(|entry| entry.room == *room);
                    if let Some(room_id) = offered.room.filter(|room| !is_inside(room)) {
                        refusal.add(Reject::EntryRequired { room_id });
                    }
                    if offered.needs_account && self.owner == Some(Owner::Guest) {
                        refusal.add(Reject::AccountRequired);
                    }
                }
                Some(Err(reject)) => refusal.add(reject),
                None => {}
            }
        }
        refusal.done()
    }

    /// Whether it is known that nobody ships this there: that is certain, whatever the prices are by the time that it is held.
    fn is_served(&self, details: &CheckoutRequest, knowledge: &Knowledge<'_>, now: Timestamp) -> Result<(), Reject> {
        let tables = knowledge.prices.tables().filter(|tables| !tables.is_plain());
        if tables.is_none() && details.chosen().is_empty() {
            return Ok(());
        }
        let tables = tables.unwrap_or_default();
        let good = |line: &CartLine| {
            let of = (line.sku, line.vendor);
            tables.good(of, line.quantity, line.unit_price, false, knowledge.availability)
        };
        let goods: Vec<Good<'_>> = self.lines.iter().map(good).collect();
        let billed = bill(&Basket {
            currency: self.currency,
            goods: &goods,
            promotions: &[],
            shipping: &tables.shipping,
            chosen: details.chosen(),
            to: Destination::of(&details.buyer),
            on_delivery: details.payment.method == ON_DELIVERY,
            tax: None,
            exempt: None,
            placed_at: now,
            points: 0,
            point_value: 0,
        });
        match billed {
            Err(refused @ (Reject::CodNotAvailable { .. } | Reject::AddressNotServed { .. })) => Err(refused),
            _ => Ok(()),
        }
    }

    /// Points are of an account, and of a currency in which they are worth something.
    fn can_pay_with_points(&self, details: &CheckoutRequest, knowledge: &Knowledge<'_>) -> Result<(), Reject> {
        if details.wanted_points().is_none() {
            return Ok(());
        }
        if self.owner == Some(Owner::Guest) {
            return Err(Reject::AccountRequired);
        }
        let tables = knowledge.prices.tables();
        let programme = tables.as_ref().and_then(|tables| tables.loyalty.as_ref());
        match programme.and_then(|programme| programme.worth(self.currency)) {
            Some(_) => Ok(()),
            None => Err(no_points(tables.as_deref(), self.currency)),
        }
    }

    fn decide_checkout(
        &self,
        details: &CheckoutRequest,
        knowledge: &Knowledge<'_>,
        now: Timestamp,
    ) -> Result<Vec<CartEvent>, Reject> {
        if self.lines.is_empty() {
            return Err(Reject::CartEmpty);
        }
        if let Some(expected) = details.expected_total.filter(|total| total.currency != self.currency) {
            return Err(Reject::CurrencyMismatch { expected: self.currency, found: expected.currency });
        }
        if self.attempt == limits::CART_CHECKOUTS {
            let limit = limits::CART_CHECKOUTS as usize;
            return Err(Reject::TooMany { what: "checkouts of one cart".into(), limit });
        }
        details.agrees(self.id, || quote::contents(&self.lines, &self.coupons), now)?;
        self.is_served(details, knowledge, now)?;
        let audience = self.audience(knowledge.availability);
        self.can_be_had(audience, &details.buyer.entries, knowledge.availability, now)?;
        self.can_pay_with_points(details, knowledge)?;
        let is_nobodys = |(vendor, _): &&(VendorId, SlotId)| self.lines.iter().all(|line| line.vendor != *vendor);
        if let Some(&(vendor_id, slot_id)) = details.slots.iter().find(is_nobodys) {
            return Err(Reject::SlotFull { vendor_id, slot_id, why: SlotRefused::NotOffered });
        }
        let attempt = self.attempt + 1;
        let order = OrderId::for_attempt(self.id, attempt);
        Ok(vec![CartEvent::CheckoutStarted {
            order,
            attempt,
            terms: Box::new(details.under(
                knowledge.settings,
                audience,
                exemption_of(self.owner, knowledge.availability),
                self.owner.and_then(Owner::customer).and_then(|customer| knowledge.availability.multiplier(customer)),
            )),
        }])
    }

    fn reprice(&mut self, prices: &[SkuPrice]) {
        for price in prices {
            for line in self.lines.iter_mut().filter(|line| line.sku == price.sku) {
                (line.unit_price, line.sale) = (price.unit_price, price.sale);
            }
        }
    }
}

impl Belongs for Cart {
    fn belongs_to(&self, by: Principal) -> bool {
        self.owner.is_some_and(|owner| owner.is(by, self.id))
    }
}

impl Decides for Cart {
    const KIND: Kind = Kind::Cart;
    const UNKNOWN: Reject = Reject::CartUnknown;
    type Id = CartId;
    type Command = CartCommand;
    type Event = CartEvent;
    type Reply = CartReply;

    fn new(id: CartId) -> Self {
        Self {
            id,
            owner: None,
            currency: Currency::BDT,
            status: CartStatus::Open,
            lines: Vec::new(),
            coupons: Vec::new(),
            discount: 0,
            attempt: 0,
            terms: None,
            merge: None,
            merges: Vec::new(),
        }
    }

    fn decide(
        &self,
        command: &CartCommand,
        knowledge: &Knowledge<'_>,
        now: Timestamp,
    ) -> Result<Vec<CartEvent>, Reject> {
        match command {
            CartCommand::Create { owner, currency } => match self.owner {
                None => Ok(vec![CartEvent::CartCreated { owner: *owner, currency: *currency }]),
                // Somebody has been using it since: with a guest's token it would be handed to whoever has the old key.
                Some(_) => Err(Reject::IdempotencyKeyReused),
            },
            CartCommand::Open { customer, currency } => match self.owner {
                None => Ok(vec![CartEvent::CartCreated { owner: Owner::Customer(*customer), currency: *currency }]),
                Some(_) => self.may_see(Principal::Customer(*customer)).map(|()| Vec::new()),
            },
            CartCommand::Get { by } => self.may_see(*by).map(|()| Vec::new()),
            CartCommand::SetLine { by, line, currency } => {
                self.may_change(*by)?;
                let events = self.decide_line(line, *currency, knowledge.availability, now)?;
                Ok(self.with_discount(events, knowledge, now))
            }
            CartCommand::RemoveLine { by, sku } => {
                self.may_change(*by)?;
                let removed = self.line(*sku).map(|line| CartEvent::LineRemoved { sku: line.sku });
                let known = knowledge.availability;
                let today = Today::new(known, self.audience(known), &self.lines, now).with(*sku, 0);
                let events = self.with_prices(removed, *sku, today);
                Ok(self.with_discount(events, knowledge, now))
            }
            CartCommand::PutCoupon { by, coupon } => {
                self.may_change(*by)?;
                let events = self.decide_coupon(coupon, knowledge.availability, now)?;
                Ok(self.with_discount(events, knowledge, now))
            }
            CartCommand::RemoveCoupon { by, code } => {
                self.may_change(*by)?;
                let code = code.compared();
                let there = self.coupons.iter().find(|coupon| coupon.code.compared() == code);
                let removed = there.map(|there| CartEvent::CouponRemoved { coupon: there.coupon });
                Ok(self.with_discount(removed.into_iter().collect(), knowledge, now))
            }
            CartCommand::CheckOut { by, details } => {
                self.may_see(*by)?;
                match self.order() {
                    Some(_) => Ok(Vec::new()),
                    None if self.status == CartStatus::Merged => Err(Reject::CartMerged),
                    None => self.decide_checkout(details, knowledge, now),
                }
            }
            CartCommand::MayMerge { by, from } => self.may_take(*by, *from).map(|()| Vec::new()),
            CartCommand::MergeInto { by, into } => self.decide_giving(*by, *into),
            CartCommand::MergeIn { from, lines, coupons } => {
                let events = self.decide_taking(*from, lines, coupons, knowledge.availability, now)?;
                Ok(self.with_discount(events, knowledge, now))
            }
            CartCommand::AcknowledgeMerge { into } => Ok(match self.merge {
                Some(merge) if merge.into == *into && !merge.acknowledged => vec![CartEvent::MergeAcknowledged],
                _ => Vec::new(),
            }),
            CartCommand::AwaitMerge { by, .. } => self.may_see(*by).map(|()| Vec::new()),
            CartCommand::Reopen { order } => Ok(match self.status {
                CartStatus::CheckingOut if self.order() == Some(*order) => {
                    vec![CartEvent::CartReopened { order: *order, prices: Vec::new() }]
                }
                _ => Vec::new(),
            }),
            CartCommand::Close { order, prices } => Ok(match self.status {
                CartStatus::CheckingOut if self.order() == Some(*order) => {
                    vec![CartEvent::CartCheckedOut { order: *order, prices: self.changed_prices(prices) }]
                }
                _ => Vec::new(),
            }),
        }
    }

    fn apply(&mut self, event: &CartEvent, _at: Timestamp) {
        match event {
            CartEvent::CartCreated { owner, currency } => {
                self.owner = Some(*owner);
                self.currency = *currency;
            }
            CartEvent::LineSet { line, currency } => {
                self.currency = *currency;
                match self.lines.iter_mut().find(|known| known.sku == line.sku) {
                    Some(known) => known.clone_from(line),
                    None => {
                        if self.lines.is_empty() {
                            // Most carts have one line: left to itself a list begins with room for four.
                            self.lines.reserve_exact(1);
                        }
                        self.lines.push(line.clone());
                    }
                }
            }
            CartEvent::LineRemoved { sku } => self.lines.retain(|line| line.sku != *sku),
            CartEvent::Repriced { prices } => self.reprice(prices),
            CartEvent::CouponPut { coupon } => self.put_coupon(coupon),
            CartEvent::CouponRemoved { coupon } => self.coupons.retain(|known| known.coupon != *coupon),
            CartEvent::Discounted { amount } => self.discount = *amount,
            CartEvent::CheckoutStarted { attempt, terms, .. } => {
                self.status = CartStatus::CheckingOut;
                self.attempt = *attempt;
                self.terms = Some(terms.clone());
            }
            CartEvent::CartReopened { prices, .. } => {
                self.status = CartStatus::Open;
                self.terms = None;
                self.reprice(prices);
            }
            CartEvent::CartCheckedOut { prices, .. } => {
                self.status = CartStatus::CheckedOut;
                self.terms = None;
                self.reprice(prices);
            }
            CartEvent::Merged { into, lines } => {
                self.status = CartStatus::Merged;
                self.lines.clone_from(lines);
                self.merge = Some(Merge { into: *into, acknowledged: false });
            }
            CartEvent::MergedIn { from, lines, currency, left_out, coupons } => {
                self.take_in(*from, lines, *currency, left_out, coupons);
            }
            CartEvent::MergeAcknowledged => {
                if let Some(merge) = &mut self.merge {
                    merge.acknowledged = true;
                }
            }
        }
    }

    fn reply(&self, command: &CartCommand, recorded: bool) -> Option<Result<CartReply, Reject>> {
        Some(match command {
            CartCommand::CheckOut { .. } => {
                self.order().map(|order| CartReply::Order { order, started: recorded }).ok_or(Reject::CartEmpty)
            }
            CartCommand::Open { .. } => self
                .view()
                .map(|cart| CartReply::Opened { cart: Box::new(cart), made: recorded })
                .ok_or(Reject::CartUnknown),
            CartCommand::MergeInto { into, .. } => Ok(CartReply::Merging { into: *into }),
            CartCommand::AwaitMerge { from, refused, .. } => match (self.merge_from(*from), self.view(), refused) {
                (Some(merge), Some(cart), _) => {
                    Ok(CartReply::Merged { cart: Box::new(cart), left_out: merge.left_out.clone() })
                }
                (_, _, Some(refused)) => Err(refused.clone()),
                // The lines are on their way.
                _ => return None,
            },
            CartCommand::Reopen { .. }
            | CartCommand::Close { .. }
            | CartCommand::MayMerge { .. }
            | CartCommand::MergeIn { .. }
            | CartCommand::AcknowledgeMerge { .. } => Ok(CartReply::Done),
            _ => self.view().map(|cart| CartReply::Cart { cart: Box::new(cart) }).ok_or(Reject::CartUnknown),
        })
    }

    fn respond(&self, command: &CartCommand, outcome: Result<(), &Reject>) -> Option<Message> {
        match (command, outcome) {
            (CartCommand::Reopen { order, .. }, Ok(())) => {
                Some(Message::Order { id: *order, command: OrderCommand::CartReopened })
            }
            (CartCommand::MergeIn { from, .. }, Ok(())) => {
                Some(Message::Cart { id: *from, command: CartCommand::AcknowledgeMerge { into: self.id } })
            }
            _ => None,
        }
    }

    fn details(&self, command: &CartCommand, events: &[CartEvent]) -> Vec<Detail> {
        match (command, events) {
            (CartCommand::CheckOut { details, .. }, [CartEvent::CheckoutStarted { order, .. }, ..]) => {
                details.details(*order)
            }
            _ => Vec::new(),
        }
    }

    fn is_read(command: &CartCommand) -> bool {
        matches!(command, CartCommand::Get { .. })
    }

    fn looks_ahead(command: &CartCommand) -> bool {
        matches!(command, CartCommand::MayMerge { .. })
    }
}

impl Asks for Cart {
    fn outstanding(&self, _now: Timestamp) -> Vec<EffectKey> {
        match (self.status, self.order(), self.merge) {
            (CartStatus::CheckingOut, Some(order), _) => vec![EffectKey::new(Step::Place, order)],
            (CartStatus::Merged, _, Some(merge)) if !merge.acknowledged => {
                vec![EffectKey::new(Step::Merge, merge.into)]
            }
            _ => Vec::new(),
        }
    }

    fn effect(&self, key: EffectKey) -> Option<Effect> {
        if let Some(Merge { into, .. }) = self.merge {
            let (lines, coupons) = (self.lines.clone(), self.coupons.clone());
            let command = CartCommand::MergeIn { from: self.id, lines, coupons };
            let message = Message::Cart { id: into, command };
            return (key == EffectKey::new(Step::Merge, into)).then_some(Effect::Tell(message));
        }
        let (order, terms) = (self.order()?, self.terms.as_deref()?);
        if key != EffectKey::new(Step::Place, order) {
            return None;
        }
        let shown = Money::new(subtotal(&self.lines).saturating_sub(self.discount), self.currency);
        let (details, buyer) = terms.moved_out();
        let placement = Placement {
            cart: self.id,
            attempt: self.attempt,
            owner: self.owner?,
            payment: terms.payment.without_token(),
            expected_total: terms.expected_total.unwrap_or(shown),
            lines: self.lines.clone(),
            hold_ms: terms.hold_ms,
            payment_ms: terms.payment_ms,
            strict: true,
            mint: terms.mint,
            buyer,
            coupons: self.coupons.clone(),
            shipping: terms.shipping.clone(),
            slots: terms.slots.clone(),
            email: None,
            shipping_address: None,
        };
        let command = OrderCommand::Place { placement: Box::new(placement), details };
        Some(Effect::Tell(Message::Order { id: order, command }))
    }
}

impl Keeps for Cart {
    const KEPT_ANSWERS: usize = limits::IDEMPOTENCY_KEYS_PER_PURCHASE;

    fn delta(&mut self) -> Delta {
        Delta { parts: vec![write_part(String::new(), self)], rows: Rows::default(), spent: &[] }
    }

    fn restore(id: CartId, parts: &[Part]) -> Result<Self, RestoreError> {
        match parts.first() {
            Some(part) => read_own(part, id, |cart: &Self| cart.id),
            None => Ok(Self::new(id)),
        }
    }
}

impl Checks for Cart {
    fn summary(&self) -> serde_json::Value {
        serde_json::json!({
            "status": self.status,
            "currency": self.currency,
            "lines": self.lines.len(),
            "coupons": self.coupons.len(),
            "subtotal_minor": subtotal(&self.lines),
            "attempts": self.attempt,
            "order_id": self.order(),
            "merged_into": self.merged_into(),
            "merges": self.merges.len(),
        })
    }

    fn check(&self) -> Result<(), Breach> {
        let entity = self.id.entity();
        for (index, line) in self.lines.iter().enumerate() {
            let sane = (1..=limits::LINE_QUANTITY).contains(&line.quantity) && line.unit_price > 0;
            if !sane || self.lines[..index].iter().any(|other| other.sku == line.sku) {
                let detail = format!("{} of {} at {}", line.quantity, line.sku, line.unit_price);
                return Err(Breach::new("cart_lines_are_sane", entity, detail));
            }
        }
        if money::is_past_64_bits(subtotal(&self.lines)) {
            return Err(Breach::new("cart_lines_are_sane", entity, "a subtotal past 64 bits"));
        }
        for (index, coupon) in self.coupons.iter().enumerate() {
            if self.coupons[..index].iter().any(|other| other.coupon == coupon.coupon) || self.discount < 0 {
                return Err(Breach::new("cart_coupons_are_sane", entity, format!("{:?}", self.coupons)));
            }
        }
        if (self.status == CartStatus::CheckingOut) != self.terms.is_some() {
            return Err(Breach::new("checkout_has_details", entity, format!("{:?}", self.status)));
        }
        if (self.status == CartStatus::Merged) != self.merge.is_some() {
            return Err(Breach::new("a_merged_cart_says_where", entity, format!("{:?}", self.status)));
        }
        for (index, merge) in self.merges.iter().enumerate() {
            if self.merges[..index].iter().any(|other| other.from == merge.from) {
                return Err(Breach::new("a_cart_is_merged_once", entity, format!("{} twice", merge.from)));
            }
        }
        Ok(())
    }
}
