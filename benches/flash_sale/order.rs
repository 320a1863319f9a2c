//! What all servers of this bench have in common: the order that is asked for, and the order that is shown. Both are JSON of the shape
//! and about the size of Haat's own, and the answer is written by Haat's own code.

use haat::domain::ids::{CartId, OrderId, SkuId, SubOrderId, VendorId};
use haat::domain::money::Currency;
use haat::domain::order::{
    Address, Amounts, OrderLine, OrderStatus, OrderView, PaymentChoice, PaymentStatus, PointsShown, SubOrderStatus,
    SubOrderView,
};
use haat::domain::time::Timestamp;
use haat::ports::Clock;
use serde::{Deserialize, Serialize};

/// The currency of everything in this bench.
pub const CURRENCY: Currency = Currency::BDT;
/// The price of one piece, in minor units.
pub const UNIT_PRICE: i64 = 125_000;
/// What every SKU is called.
pub const TITLE: &str = "Jamdani saree";
/// How long a payment may take, in milliseconds.
const PAYMENT_MS: i64 = 600_000;

/// A request for an order: the body of Haat's checkout, and what its cart would say.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OrderRequest {
    /// The cart, by any id.
    pub cart_id: CartId,
    /// What is bought.
    pub sku_id: SkuId,
    /// Pieces of it.
    pub quantity: i64,
    /// Where to write to.
    pub email: Option<String>,
    /// Where to ship to.
    pub shipping_address: Address,
    /// How to pay.
    pub payment: PaymentChoice,
}

/// An order that is to be decided.
#[derive(Clone, Debug)]
pub struct NewOrder {
    /// Its id: UUIDv7, so that the primary key's index grows at its end.
    pub id: OrderId,
    /// When it came.
    pub at: Timestamp,
    /// What was asked.
    pub request: OrderRequest,
}

/// What the store says of a SKU.
#[derive(Clone, Debug)]
pub struct Item {
    /// Who sells it.
    pub vendor: VendorId,
    /// What it is called.
    pub title: String,
    /// The price of one piece, in minor units.
    pub unit_price: i64,
}

impl NewOrder {
    /// An order with an id of its own.
    pub fn new(request: OrderRequest, clock: &dyn Clock) -> Self {
        Self { id: OrderId::from_uuid(clock.new_uuid()), at: clock.now(), request }
    }

    /// What it costs, in minor units.
    pub fn total(&self, item: &Item) -> i64 {
        item.unit_price.saturating_mul(self.request.quantity)
    }

    /// What the buyer is shown.
    pub fn view(&self, item: &Item, paid: bool) -> OrderView {
        let total = self.total(item);
        let line = OrderLine {
            sku: self.request.sku_id,
            vendor: item.vendor,
            title: item.title.clone(),
            quantity: self.request.quantity,
            unit_price: item.unit_price,
            list_price: None,
            sale: None,
            credited: 0,
            credited_amount: 0,
            goods: None,
            billed: None,
        };
        let (taken, due) = if paid { (total, 0) } else { (0, total) };
        let amounts = Amounts { total, paid: taken, total_due: due, ..Amounts::default() };
        let share = SubOrderView {
            to_collect: 0,
            slot: None,
            id: SubOrderId::of(self.id, item.vendor),
            vendor: item.vendor,
            status: if paid { SubOrderStatus::Paid } else { SubOrderStatus::Held },
            amounts,
            parcels: Vec::new(),
            on_hold: None,
            billed: None,
        };
        OrderView {
            id: self.id,
            cart: self.request.cart_id,
            status: if paid { OrderStatus::Paid } else { OrderStatus::AwaitingPayment },
            currency: CURRENCY,
            lines: vec![line],
            sub_orders: vec![share],
            coupons: Vec::new(),
            amounts,
            bill: None,
            points: PointsShown::default(),
            payment_method: self.request.payment.method.clone(),
            payment_status: if paid { PaymentStatus::Captured } else { PaymentStatus::Pending },
            placed_at: self.at,
            payment_due_at: Timestamp::from_millis(self.at.as_millis() + PAYMENT_MS),
            inline_contact: None,
            waits: None,
            returns: Vec::new(),
            cancelling: false,
            refunds: Vec::new(),
            disputes: Vec::new(),
            attention: Vec::new(),
        }
    }
}
