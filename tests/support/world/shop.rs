//! The shop of the tests: two vendors with three SKUs each, some carts, and what their buyers and vendors do.

use super::World;
use haat::domain::buyer::{Buyer, MailKey, Mint};
use haat::domain::cart::{Cart, CartCommand, CartLine, CartReply, CartStatus, CartView, CheckoutRequest};
use haat::domain::details::Contact;
use haat::domain::entity::{Owner, Principal};
use haat::domain::ids::{CartId, OrderId, ProductId, SkuId, VendorId};
use haat::domain::money::{Currency, Money};
use haat::domain::order::{
    Address, Milestone, Order, OrderCommand, OrderReply, OrderView, PaymentChoice, Resolution, ResolveAs,
};
use haat::domain::reject::Reject;
use haat::domain::rows::SkuRow;
use haat::domain::time::Timestamp;
use haat::domain::vendor::{NewProduct, NewSku, Vendor, VendorCommand};
use std::collections::BTreeMap;
use uuid::Uuid;

/// Vendors of the shop.
pub const VENDORS: usize = 2;
/// SKUs of each vendor.
pub const SKUS: usize = 3;
/// Pieces of each SKU at the start.
pub const STOCK: i64 = 10;

/// What someone of the staff says they did.
pub fn resolution(verb: ResolveAs, amount: Option<Money>) -> Resolution {
    let reference = amount.map(|_| "ch_1".to_owned());
    Resolution { verb, by: "rina".into(), note: "the bank called".into(), amount, reference }
}

/// A vendor by its number.
pub fn vendor(number: usize) -> VendorId {
    VendorId::from_uuid(Uuid::from_u128(0x0188_bac7_4afa_7000_8000_0000_0000_0100 + number as u128))
}

/// A SKU by the numbers of its vendor and its own; those past [`SKUS`] do not exist.
pub fn sku(vendor: usize, number: usize) -> SkuId {
    SkuId::from_uuid(Uuid::from_u128(0x0188_bac7_4afa_7000_8000_0000_0000_0200 + (vendor * 16 + number) as u128))
}

/// A cart by its number.
pub fn cart(number: usize) -> CartId {
    CartId::from_uuid(Uuid::from_u128(0x0188_bac7_4afa_7000_8000_0000_0000_0300 + number as u128))
}

/// The guest who holds the token of a cart.
pub fn buyer(number: usize) -> Principal {
    Principal::Guest(cart(number))
}

/// The price of a SKU at the start, in minor units.
pub fn first_price(vendor: usize, number: usize) -> i64 {
    1_000 * (vendor as i64 + 1) + 100 * number as i64
}

/// By which the orders of the tests are found.
pub const MAIL_KEY: MailKey = MailKey([1; 16]);

/// Where the orders of the tests go.
pub fn address() -> Address {
    Address {
        name: "Rokeya".into(),
        line1: "12 Lake Road".into(),
        line2: None,
        city: "Dhaka".into(),
        postcode: None,
        region: None,
        country: "BD".into(),
        phone: None,
    }
}

/// What a buyer gives at checkout.
pub fn details(token: &str, expected_total: Option<i64>) -> CheckoutRequest {
    CheckoutRequest {
        contact: Contact { email: None, shipping_address: address() },
        mint: Mint([1, 2, 3, 4]),
        buyer: Buyer { mail_key: Some(MAIL_KEY), ..address().buyer() },
        payment: PaymentChoice { method: "sandbox".into(), token: token.into() },
        expected_total: expected_total.map(|minor| Money::new(minor, Currency::BDT)),
        shipping: Vec::new(),
        slots: Vec::new(),
        quote: None,
    }
}

/// What one can see of the shop from outside: stock, carts, money. Two runs that look the same ended the same.
#[derive(Clone, Debug, PartialEq)]
pub struct Picture {
    /// On hand and held of each SKU.
    pub stock: BTreeMap<SkuId, (i64, i64)>,
    /// Status and lines of each cart.
    pub carts: BTreeMap<CartId, (CartStatus, Vec<CartLine>)>,
    /// What all buyers together paid, in minor units.
    pub taken: i64,
}

impl World {
    /// A shop with its vendors, SKUs and so many empty carts.
    pub fn shop(carts: usize) -> Self {
        let mut world = World { now: Timestamp::from_millis(1_700_000_000_000), ..World::default() };
        for number in 0..VENDORS {
            let id = vendor(number);
            world.ask::<Vendor>(id, VendorCommand::Create { name: format!("Vendor {number}") }).unwrap().unwrap();
            let new = |sku_number: usize| NewSku {
                id: sku(number, sku_number),
                code: format!("S{sku_number}"),
                price_minor: first_price(number, sku_number),
                currency: Currency::BDT,
                on_hand: STOCK,
            };
            let product = NewProduct {
                id: ProductId::from_uuid(Uuid::from_u128(0x400 + number as u128)),
                title: format!("Product {number}"),
                description: None,
                category: None,
                skus: (0..SKUS).map(new).collect(),
            };
            world.received.extend(product.skus.iter().map(|sku| (sku.id, sku.on_hand)));
            world.ask::<Vendor>(id, VendorCommand::AddProduct { by: Principal::SHOP, product }).unwrap().unwrap();
        }
        for number in 0..carts {
            let create = CartCommand::Create { owner: Owner::Guest, currency: Currency::BDT };
            world.ask::<Cart>(cart(number), create).unwrap().unwrap();
        }
        world
    }

    /// Puts pieces of a SKU into a cart, at today's price.
    pub fn set_line(&mut self, number: usize, of: (usize, usize), quantity: i64) -> Result<CartReply, Reject> {
        let unit_price = self.sku_row(of).map_or(1, |row| row.price_minor);
        let title = format!("SKU {}/{}", of.0, of.1);
        let line = CartLine { sku: sku(of.0, of.1), vendor: vendor(of.0), title, quantity, unit_price, sale: None };
        self.ask::<Cart>(cart(number), CartCommand::SetLine { by: buyer(number), line, currency: Currency::BDT })
            .unwrap()
    }

    /// Asks for a checkout; nothing is delivered yet.
    pub fn check_out(&mut self, number: usize, token: &str, expected: Option<i64>) -> Result<(OrderId, bool), Reject> {
        let details = details(token, expected);
        let command = CartCommand::CheckOut { by: buyer(number), details: Box::new(details) };
        match self.ask::<Cart>(cart(number), command).expect("a cart answers at once")? {
            CartReply::Order { order, started } => Ok((order, started)),
            other => panic!("a checkout was answered with {other:?}"),
        }
    }

    /// Cancels the order of a buyer.
    pub fn cancel(&mut self, number: usize, order: OrderId) -> Result<OrderView, Reject> {
        let command = OrderCommand::Cancel { by: buyer(number) };
        shown(self.ask::<Order>(order, command).expect("a cancellation is answered at once"))
    }

    /// Someone of the staff leads an order out of what it is stuck in.
    pub fn resolve(&mut self, order: OrderId, resolution: Resolution) -> Result<OrderView, Reject> {
        let command = OrderCommand::Resolve { by: Principal::SHOP, resolution: Box::new(resolution) };
        shown(self.ask::<Order>(order, command).expect("a resolution is answered at once"))
    }

    /// What a buyer is told who waits until the stock is held, or until it is paid; `None` while it is too early.
    pub fn told(&mut self, number: usize, order: OrderId, milestone: Milestone) -> Option<Result<OrderView, Reject>> {
        self.ask::<Order>(order, OrderCommand::Await { by: buyer(number), milestone }).map(shown)
    }

    /// Changes a price.
    pub fn set_price(&mut self, of: (usize, usize), price_minor: i64) {
        let by = Principal::vendor(vendor(of.0));
        let command = VendorCommand::SetPrice { by, sku: sku(of.0, of.1), price_minor, currency: Currency::BDT };
        self.ask::<Vendor>(vendor(of.0), command).unwrap().unwrap();
    }

    /// Brings pieces in, or takes them out.
    pub fn adjust(&mut self, of: (usize, usize), delta: i64) -> Result<(), Reject> {
        let (by, id) = (Principal::vendor(vendor(of.0)), sku(of.0, of.1));
        // Counted before it is asked, because the world compares after every command.
        let before = self.received.clone();
        if self.sku_row(of).is_some_and(|row| row.available() + delta >= 0) {
            *self.received.entry(id).or_default() += delta;
        }
        let command = VendorCommand::AdjustStock { by, sku: id, delta, reason: "count".into() };
        let answer = self.ask::<Vendor>(vendor(of.0), command).unwrap();
        if answer.is_err() {
            assert_eq!(self.received, before, "refused, though there was enough");
        }
        answer.map(|_| ())
    }

    /// A SKU as its row.
    pub fn sku_row(&self, of: (usize, usize)) -> Option<SkuRow> {
        self.vendors.get(&vendor(of.0))?.entity.sku_row(sku(of.0, of.1))
    }

    /// A cart as it is shown.
    pub fn cart_view(&self, number: usize) -> CartView {
        self.carts[&cart(number)].entity.view().expect("the shop made this cart")
    }

    /// An order as the staff sees it.
    pub fn order_view(&self, order: OrderId) -> OrderView {
        self.orders[&order].entity.view(Principal::SHOP).expect("a placed order")
    }

    /// What can be seen from outside.
    pub fn picture(&self) -> Picture {
        let rows = self.vendors.values().flat_map(|slot| slot.entity.sku_rows());
        let views = self.carts.iter().map(|(id, slot)| (*id, slot.entity.view().expect("a cart of the shop")));
        Picture {
            stock: rows.map(|row| (row.id, (row.on_hand, row.held))).collect(),
            carts: views.map(|(id, view)| (id, (view.status, view.lines))).collect(),
            taken: self.orders.keys().map(|order| self.gateway.net(*order)).sum(),
        }
    }
}

fn shown(answer: Result<OrderReply, Reject>) -> Result<OrderView, Reject> {
    match answer? {
        OrderReply::Order { order } => Ok(*order),
        other => panic!("expected an order, not {other:?}"),
    }
}
