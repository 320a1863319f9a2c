//! A cart: lines, an owner, and at most one order that is live or paid.

mod claim;

use super::buyer::{Buyer, Mint};
use super::details::{Contact, Detail};
use super::entity::{
    Asks, Checks, Decides, Delta, Effect, EffectKey, Keeps, Message, Owner, Part, Principal, RestoreError, Step,
    read_own, write_part,
};
use super::ids::{CartId, EntityId, Kind, OrderId, SkuId, VendorId};
use super::invariants::Breach;
use super::knowledge::{Availability, Knowledge, Settings};
use super::money::{self, Currency, Money};
use super::order::{Address, InlineDetails, OrderCommand, PaymentChoice, Placement};
use super::reject::{Reject, Shortage};
use super::rows::Rows;
use super::time::Timestamp;
use crate::limits;
use serde::{Deserialize, Serialize};

/// A line of a cart.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CartLine {
    /// The SKU.
    pub sku: SkuId,
    /// Who sells it.
    pub vendor: VendorId,
    /// What it is called.
    pub title: String,
    /// Pieces.
    pub quantity: i64,
    /// The price the buyer agreed to, in minor units: what the last change of the cart showed. In a cart that was
    /// bought, what was charged.
    pub unit_price: i64,
}

impl CartLine {
    /// quantity × unit price; within 64 bits by the limits on both (see [`super::money::sum`]).
    pub const fn total(&self) -> i64 {
        self.quantity.saturating_mul(self.unit_price)
    }
}

/// What a buyer gives at checkout, and what the edge drew and computed for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckoutRequest {
    /// Where to ship to, and where to write to. It is kept beside the journal.
    pub contact: Contact,
    /// How to pay. The token is kept beside the journal.
    pub payment: PaymentChoice,
    /// The total the buyer agreed to; without it, what the last change of the cart showed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected_total: Option<Money>,
    /// Drawn for this checkout. It is no part of what is asked: a command that panics is known again by its JSON.
    #[serde(skip)]
    pub mint: Mint,
    /// Who buys, as it is recorded.
    pub buyer: Buyer,
}

/// What a checkout is to be carried out by, as it is recorded, with the windows that the shop had set then.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckoutTerms {
    /// How to pay.
    pub payment: PaymentChoice,
    /// The total the buyer agreed to; without it, what the last change of the cart showed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected_total: Option<Money>,
    /// How long stock is to be held, in milliseconds.
    pub hold_ms: i64,
    /// How long the payment may take, in milliseconds.
    pub payment_ms: i64,
    /// Drawn for this checkout; none in one of an early version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mint: Option<Mint>,
    /// Who buys; none in a checkout of an early version, which kept the contact here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub buyer: Option<Box<Buyer>>,
    /// Where to write to. Written by early versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// Where to ship to. Written by early versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shipping_address: Option<Address>,
}

impl CheckoutRequest {
    /// As it is recorded: without personal data.
    pub fn under(&self, settings: &Settings) -> CheckoutTerms {
        let Settings { hold_ms, payment_ms } = *settings;
        CheckoutTerms {
            payment: self.payment.without_token(),
            expected_total: self.expected_total,
            hold_ms,
            payment_ms,
            mint: Some(self.mint),
            buyer: Some(Box::new(self.buyer.clone())),
            email: None,
            shipping_address: None,
        }
    }

    /// What is kept of it beside the journal.
    pub fn details(&self, order: OrderId) -> Vec<Detail> {
        vec![Detail::contact(order, &self.contact), Detail::payment(order, &self.payment.token)]
    }
}

impl CheckoutTerms {
    /// The personal data of a checkout of an early version, and how it is carried out without them.
    fn moved_out(&self) -> (Option<Box<InlineDetails>>, Option<Box<Buyer>>) {
        let Some(address) = &self.shipping_address else { return (None, self.buyer.clone()) };
        let contact = Contact { email: self.email.clone(), shipping_address: address.clone() };
        let inline = InlineDetails { contact, token: self.payment.token.clone() };
        (Some(Box::new(inline)), Some(Box::new(address.buyer())))
    }
}

/// A price of one SKU.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SkuPrice {
    /// The SKU.
    pub sku: SkuId,
    /// Its price, in minor units.
    pub unit_price: i64,
}

/// What can be asked of a cart.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum CartCommand {
    /// Come into being.
    Create {
        /// Whose it is.
        owner: Owner,
        /// The currency it is shown in while it is empty.
        currency: Currency,
    },
    /// Show the cart.
    Get {
        /// On whose behalf.
        by: Principal,
    },
    /// Put so many pieces of a SKU into the cart, whatever was there of it.
    SetLine {
        /// On whose behalf.
        by: Principal,
        /// What, with the price the shop shows now.
        line: CartLine,
        /// The price's currency.
        currency: Currency,
    },
    /// Take a SKU out of the cart.
    RemoveLine {
        /// On whose behalf.
        by: Principal,
        /// What.
        sku: SkuId,
    },
    /// Make an order of the cart.
    CheckOut {
        /// On whose behalf.
        by: Principal,
        /// What the buyer gives.
        details: Box<CheckoutRequest>,
    },
    /// The order ended unpaid: open again, as it was.
    Reopen {
        /// The order.
        order: OrderId,
    },
    /// The order is paid: close for good.
    Close {
        /// The order.
        order: OrderId,
        /// What was charged for one piece of each.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        prices: Vec<SkuPrice>,
    },
}

/// What can have happened to a cart.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum CartEvent {
    /// It came into being.
    CartCreated {
        /// Whose it is.
        owner: Owner,
        /// Its currency while it is empty.
        currency: Currency,
    },
    /// A line was set.
    LineSet {
        /// The line.
        line: CartLine,
        /// The price's currency.
        currency: Currency,
    },
    /// A line was removed.
    LineRemoved {
        /// Of which SKU.
        sku: SkuId,
    },
    /// Other prices are shown, and so agreed to: with the change of a line. Early versions wrote it when a cart was
    /// looked at, too.
    Repriced {
        /// The changed prices.
        prices: Vec<SkuPrice>,
    },
    /// An order is being made of it.
    CheckoutStarted {
        /// The order.
        order: OrderId,
        /// The number of the attempt, from 1.
        attempt: u32,
        /// By what it is to be carried out.
        #[serde(rename = "details")]
        terms: Box<CheckoutTerms>,
    },
    /// The order ended unpaid.
    CartReopened {
        /// The order.
        order: OrderId,
        /// Prices shown from now on. Written by early versions, when an order had found others: to be refused is not to
        /// agree.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        prices: Vec<SkuPrice>,
    },
    /// The order is paid.
    CartCheckedOut {
        /// The order.
        order: OrderId,
        /// What was charged, where it is not what the cart showed.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        prices: Vec<SkuPrice>,
    },
}

/// Where a cart stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CartStatus {
    /// It can be changed and checked out.
    Open,
    /// Its order is neither paid nor ended.
    CheckingOut,
    /// Its order is paid.
    CheckedOut,
}

/// A cart as it is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CartView {
    /// Which.
    pub id: CartId,
    /// Whose.
    pub owner: Owner,
    /// Where it stands.
    pub status: CartStatus,
    /// The currency of its amounts.
    pub currency: Currency,
    /// Its lines, in the order in which they were added.
    pub lines: Vec<CartLine>,
    /// The order that is live or paid.
    pub order: Option<OrderId>,
}

impl CartView {
    /// The sum of the lines, in minor units.
    pub fn subtotal(&self) -> i64 {
        subtotal(&self.lines)
    }
}

/// What a cart answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum CartReply {
    /// The cart.
    Cart {
        /// As it is now.
        cart: Box<CartView>,
    },
    /// The cart has this order.
    Order {
        /// The order.
        order: OrderId,
        /// Whether this very command started it.
        started: bool,
    },
    /// Done; nothing to show.
    Done,
}

/// A cart's state.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Cart {
    id: CartId,
    owner: Option<Owner>,
    currency: Currency,
    status: CartStatus,
    lines: Vec<CartLine>,
    /// How often it was checked out.
    attempt: u32,
    /// By what the running checkout is carried out.
    #[serde(rename = "details")]
    terms: Option<Box<CheckoutTerms>>,
}

fn subtotal(lines: &[CartLine]) -> i64 {
    // Within 64 bits: see `limits::PRICE_MINOR`.
    money::sum(lines.iter().map(CartLine::total))
}

impl Cart {
    /// The order that is live or paid.
    pub fn order(&self) -> Option<OrderId> {
        (self.status != CartStatus::Open).then(|| OrderId::for_attempt(self.id, self.attempt))
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
            order: self.order(),
        })
    }

    /// Whether `by` may know of this cart.
    ///
    /// # Errors
    /// [`Reject::CartUnknown`].
    pub fn may_see(&self, by: Principal) -> Result<(), Reject> {
        match self.owner {
            Some(owner) if owner.is(by, self.id) => Ok(()),
            _ => Err(Reject::CartUnknown),
        }
    }

    fn may_change(&self, by: Principal) -> Result<(), Reject> {
        self.may_see(by)?;
        match self.status {
            CartStatus::Open => Ok(()),
            CartStatus::CheckingOut => Err(Reject::CartCheckingOut),
            CartStatus::CheckedOut => Err(Reject::CartCheckedOut),
        }
    }

    fn line(&self, sku: SkuId) -> Option<&CartLine> {
        self.lines.iter().find(|line| line.sku == sku)
    }

    fn changed_prices(&self, prices: &[SkuPrice]) -> Vec<SkuPrice> {
        let differs = |price: &&SkuPrice| self.line(price.sku).is_some_and(|line| line.unit_price != price.unit_price);
        prices.iter().filter(differs).copied().collect()
    }

    /// Today's prices of the lines besides `sku`, where they are not those that were agreed to.
    fn todays_prices(&self, sku: SkuId, availability: &dyn Availability) -> Vec<SkuPrice> {
        let today = |line: &CartLine| {
            let price = availability.price(line.sku).filter(|price| price.currency == self.currency)?;
            Some(SkuPrice { sku: line.sku, unit_price: price.minor }).filter(|_| price.minor != line.unit_price)
        };
        self.lines.iter().filter(|line| line.sku != sku).filter_map(today).collect()
    }

    /// The change of a line, with the prices that are shown in answer to it.
    fn with_prices(&self, change: Option<CartEvent>, of: SkuId, known: &dyn Availability) -> Vec<CartEvent> {
        let mut events = change.map_or_else(Vec::new, |change| vec![change]);
        let prices = self.todays_prices(of, known);
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
    ) -> Result<Vec<CartEvent>, Reject> {
        let there = self.line(line.sku);
        let others = self.lines.len() - usize::from(there.is_some());
        if others > 0 && currency != self.currency {
            return Err(Reject::CurrencyMismatch { expected: self.currency, found: currency });
        }
        if others >= limits::CART_LINES {
            return Err(Reject::TooManyLines { limit: limits::CART_LINES });
        }
        if !(1..=limits::LINE_QUANTITY).contains(&line.quantity) {
            return Err(Reject::QuantityOutOfRange { limit: limits::LINE_QUANTITY });
        }
        let change = match there {
            Some(same) if same == line => None,
            _ => Some(CartEvent::LineSet { line: line.clone(), currency }),
        };
        Ok(self.with_prices(change, line.sku, known))
    }

    /// What is durably known to be short of what is in the cart.
    fn shortages(&self, known: &dyn Availability) -> Vec<Shortage> {
        let short = |line: &CartLine| {
            let available = known.available(line.sku).filter(|available| *available < line.quantity)?;
            Some(Shortage { sku_id: line.sku, requested: line.quantity, available })
        };
        self.lines.iter().filter_map(short).collect()
    }

    fn decide_checkout(&self, details: &CheckoutRequest, knowledge: &Knowledge<'_>) -> Result<Vec<CartEvent>, Reject> {
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
        let shortages = self.shortages(knowledge.availability);
        if !shortages.is_empty() {
            return Err(Reject::OutOfStock { skus: shortages });
        }
        let attempt = self.attempt + 1;
        let order = OrderId::for_attempt(self.id, attempt);
        Ok(vec![CartEvent::CheckoutStarted { order, attempt, terms: Box::new(details.under(knowledge.settings)) }])
    }

    fn reprice(&mut self, prices: &[SkuPrice]) {
        for price in prices {
            for line in self.lines.iter_mut().filter(|line| line.sku == price.sku) {
                line.unit_price = price.unit_price;
            }
        }
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
            attempt: 0,
            terms: None,
        }
    }

    fn decide(
        &self,
        command: &CartCommand,
        knowledge: &Knowledge<'_>,
        _now: Timestamp,
    ) -> Result<Vec<CartEvent>, Reject> {
        match command {
            CartCommand::Create { owner, currency } => match self.owner {
                None => Ok(vec![CartEvent::CartCreated { owner: *owner, currency: *currency }]),
                // Somebody has been using it since: with a guest's token it would be handed to whoever has the old key.
                Some(_) => Err(Reject::IdempotencyKeyReused),
            },
            CartCommand::Get { by } => self.may_see(*by).map(|()| Vec::new()),
            CartCommand::SetLine { by, line, currency } => {
                self.may_change(*by)?;
                self.decide_line(line, *currency, knowledge.availability)
            }
            CartCommand::RemoveLine { by, sku } => {
                self.may_change(*by)?;
                let removed = self.line(*sku).map(|line| CartEvent::LineRemoved { sku: line.sku });
                Ok(self.with_prices(removed, *sku, knowledge.availability))
            }
            CartCommand::CheckOut { by, details } => {
                self.may_see(*by)?;
                match self.order() {
                    Some(_) => Ok(Vec::new()),
                    None => self.decide_checkout(details, knowledge),
                }
            }
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
        }
    }

    fn reply(&self, command: &CartCommand, recorded: bool) -> Option<Result<CartReply, Reject>> {
        Some(match command {
            CartCommand::CheckOut { .. } => {
                self.order().map(|order| CartReply::Order { order, started: recorded }).ok_or(Reject::CartEmpty)
            }
            CartCommand::Reopen { .. } | CartCommand::Close { .. } => Ok(CartReply::Done),
            _ => self.view().map(|cart| CartReply::Cart { cart: Box::new(cart) }).ok_or(Reject::CartUnknown),
        })
    }

    fn respond(&self, command: &CartCommand, outcome: Result<(), &Reject>) -> Option<Message> {
        match (command, outcome) {
            (CartCommand::Reopen { order, .. }, Ok(())) => {
                Some(Message::Order { id: *order, command: OrderCommand::CartReopened })
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
}

impl Asks for Cart {
    fn outstanding(&self, _now: Timestamp) -> Vec<EffectKey> {
        match (self.status, self.order()) {
            (CartStatus::CheckingOut, Some(order)) => vec![EffectKey::new(Step::Place, order)],
            _ => Vec::new(),
        }
    }

    fn effect(&self, key: EffectKey) -> Option<Effect> {
        let (order, terms) = (self.order()?, self.terms.as_deref()?);
        if key != EffectKey::new(Step::Place, order) {
            return None;
        }
        let shown = Money::new(subtotal(&self.lines), self.currency);
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
            "subtotal_minor": subtotal(&self.lines),
            "attempts": self.attempt,
            "order_id": self.order(),
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
        if (self.status == CartStatus::CheckingOut) != self.terms.is_some() {
            return Err(Breach::new("checkout_has_details", entity, format!("{:?}", self.status)));
        }
        Ok(())
    }
}
