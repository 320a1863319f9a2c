//! The HTTP contract as far as a buyer and the checks need it. Unknown fields and statuses are ignored.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

/// An amount of money: a decimal string and a currency.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Money {
    /// Decimal string with the currency's number of digits.
    pub amount: String,
    /// ISO 4217 code.
    pub currency: String,
}

impl Money {
    /// Whether this is an amount of nothing; `None` when the amount is no number.
    pub fn is_zero(&self) -> Option<bool> {
        let amount = rust_decimal::Decimal::from_str_exact(&self.amount).ok()?;
        Some(amount.is_zero())
    }
}

/// A new guest cart.
#[derive(Deserialize)]
pub struct CartMade<'a> {
    /// `cart_…`
    #[serde(borrow)]
    pub id: Cow<'a, str>,
    /// The guest's bearer; whoever has an account has one already.
    #[serde(borrow, default)]
    pub token: Option<Cow<'a, str>>,
}

/// A cart as its owner reads it.
#[derive(Deserialize)]
pub struct CartView<'a> {
    /// The order the cart was last checked out into.
    #[serde(borrow, default)]
    pub order_id: Option<Cow<'a, str>>,
    /// Its coupons, with what each takes off as it looks now.
    #[serde(default)]
    pub coupons: Vec<CartCoupon>,
}

/// A coupon of a cart.
#[derive(Deserialize)]
pub struct CartCoupon {
    /// Its code.
    pub code: String,
    /// What it takes off.
    pub discount: Money,
}

/// An order as far as a waiting buyer reads it.
#[derive(Deserialize)]
pub struct OrderBrief<'a> {
    /// `order_…`
    #[serde(borrow)]
    pub id: Cow<'a, str>,
    /// One of [`Status`].
    pub status: Status,
}

/// An order as the checks read it.
#[derive(Deserialize)]
pub struct OrderFull {
    /// `order_…`
    pub id: String,
    /// The cart it came from.
    pub cart_id: String,
    /// One of [`Status`].
    pub status: Status,
    /// What was ordered.
    pub total: Money,
    /// What is still to be paid.
    pub total_due: Money,
    /// What was ordered, SKU by SKU.
    pub lines: Vec<OrderLine>,
    /// Its coupons.
    #[serde(default)]
    pub coupons: Vec<OrderCoupon>,
    /// Its points, where it has to do with any.
    #[serde(default)]
    pub points: Option<OrderPoints>,
    /// What its total is made of.
    #[serde(flatten)]
    pub sums: Sums,
}

/// What a total is made of.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Sums {
    /// What the goods come to at their prices.
    pub subtotal: Money,
    /// What promotions took off goods.
    pub discount: Money,
    /// What shipping costs, after promotions.
    pub shipping: Money,
    /// What paying on delivery costs.
    pub fees: Money,
    /// All taxes.
    pub tax: Money,
    /// Whether they are in the prices.
    pub prices_include_tax: bool,
}

#[cfg(test)]
impl Sums {
    /// Of goods and nothing else.
    pub fn of_goods(subtotal: &Money) -> Self {
        let zero = || Money { amount: "0.00".into(), currency: subtotal.currency.clone() };
        Sums {
            subtotal: subtotal.clone(),
            discount: zero(),
            shipping: zero(),
            fees: zero(),
            tax: zero(),
            prices_include_tax: true,
        }
    }
}

/// A coupon of an order.
#[derive(Deserialize)]
pub struct OrderCoupon {
    /// Its code.
    pub code: String,
    /// What it takes off.
    pub amount: Money,
}

/// The points of an order.
#[derive(Deserialize)]
pub struct OrderPoints {
    /// With how many it is paid.
    pub spent: i64,
    /// What they pay.
    pub value: Money,
    /// How many of them came back.
    pub restored: i64,
}

/// A line of an order as the checks read it.
#[derive(Deserialize)]
pub struct OrderLine {
    /// `sku_…`
    pub sku_id: String,
    /// `vendor_…`
    pub vendor_id: String,
    /// Pieces.
    pub quantity: i64,
    /// What one piece costs.
    pub unit_price: Money,
    /// The sale that it was taken from.
    #[serde(default)]
    pub sale_id: Option<String>,
}

/// A sale as its vendor reads it.
#[derive(Deserialize)]
pub struct SaleOfVendor {
    /// What it promises of each SKU.
    pub items: Vec<SaleItem>,
}

/// What a sale promises of one SKU, and what was taken of it.
#[derive(Deserialize)]
pub struct SaleItem {
    /// `sku_…`
    pub sku_id: String,
    /// What one piece costs in it.
    pub price: Money,
    /// Pieces that can be had in it.
    pub allotment: i64,
    /// Pieces that one buyer can have.
    #[serde(default)]
    pub limit_per_customer: Option<i64>,
    /// Pieces that are left.
    pub left: i64,
    /// Pieces held for orders that are not paid.
    pub held: i64,
    /// Pieces sold.
    pub sold: i64,
}

/// A coupon as its owner reads it.
#[derive(Deserialize)]
pub struct CouponOfShop {
    /// `coupon_…`
    pub id: String,
    /// Its code.
    pub code: String,
    /// How often it can be used.
    #[serde(default)]
    pub usage_limit: Option<i64>,
    /// How often one buyer can use it.
    #[serde(default)]
    pub limit_per_customer: Option<i64>,
    /// What it may take off of all orders together.
    #[serde(default)]
    pub budget: Option<Money>,
    /// Uses held for orders that are not paid.
    pub held: i64,
    /// Uses of paid orders.
    pub used: i64,
    /// What paid orders took of the budget.
    #[serde(default)]
    pub amount_used: Option<Money>,
}

/// What a customer has of points.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub struct PointsOfCustomer {
    /// What can be spent.
    pub available: i64,
    /// What is held for orders that are not paid.
    pub held: i64,
    /// What was taken back and was not there any more.
    pub debt: i64,
}

/// The shop's programme of points.
#[derive(Deserialize)]
pub struct LoyaltyOfShop {
    /// How often it was written; 0 while the shop has none.
    pub version: u64,
    /// What one point pays, once for each currency.
    pub point_values: Vec<Money>,
}

/// A SKU as anyone reads it.
#[derive(Deserialize)]
pub struct SkuPublic {
    /// `sku_…`
    pub id: String,
    /// `vendor_…`
    pub vendor_id: String,
    /// Pieces that may be bought now.
    #[serde(default)]
    pub available: Option<i64>,
}

/// A SKU's stock as its vendor reads it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stock {
    /// All that ever came in.
    pub received: i64,
    /// On the availability.
    pub on_hand: i64,
    /// Of these, set aside for orders.
    pub held: i64,
    /// Gone to buyers.
    pub sold: i64,
    /// Free to be bought.
    pub available: i64,
}

/// Anything made whose id is all that matters.
#[derive(Deserialize)]
pub struct Made {
    /// The new id.
    pub id: String,
}

/// A cart, by what may be done with it.
#[derive(Deserialize)]
pub struct CartState {
    /// `cart_…`
    pub id: String,
    /// One that is not `open` has an order that may be paid yet.
    pub status: String,
}

/// An answer that says nothing more.
#[derive(Deserialize)]
pub struct Whatever {}

/// A sign-up that was taken.
pub type Accepted = Whatever;

/// Somebody who has signed in.
#[derive(Deserialize)]
pub struct Signed {
    /// What lets them in.
    pub access_token: String,
    /// Who it is.
    pub account: Made,
}

/// The mails that the sandbox keeps, the newest first.
#[derive(Deserialize)]
pub struct Mails {
    /// Some of them.
    pub items: Vec<Mail>,
}

/// A mail.
#[derive(Deserialize)]
pub struct Mail {
    /// To whom.
    pub to: String,
    /// Why.
    pub event: String,
    /// What it says.
    pub text: String,
}

/// A product that was made.
#[derive(Deserialize)]
pub struct ProductMade {
    /// Its SKUs, in the order they were sent.
    pub skus: Vec<Made>,
}

/// The sandbox's charge log for one order.
#[derive(Deserialize)]
pub struct Charges {
    /// Its charges.
    pub items: Vec<Charge>,
}

/// One charge in the sandbox's charge log.
#[derive(Deserialize)]
pub struct Charge {
    /// What was charged.
    pub amount: Money,
    /// What became of it.
    pub status: String,
}

impl Charge {
    /// Whether the money was taken and kept.
    pub fn is_taken(&self) -> bool {
        matches!(self.status.as_str(), "captured" | "charged" | "succeeded")
    }
}

/// A refusal: problem+json.
#[derive(Deserialize)]
pub struct Problem<'a> {
    /// The stable code.
    #[serde(borrow)]
    pub code: Cow<'a, str>,
    /// A sentence for people.
    #[serde(borrow, default)]
    pub detail: Option<Cow<'a, str>>,
}

/// An order's status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Its stock is held.
    Placed,
    /// The payment is being asked for.
    AwaitingPayment,
    /// Paid.
    Paid,
    /// Paid, and on its way.
    Fulfilling,
    /// Paid and delivered.
    Completed,
    /// Refused for stock, limits or the sale's end.
    Rejected,
    /// The payment was declined.
    PaymentFailed,
    /// Cancelled.
    Cancelled,
    /// Not paid in time.
    Expired,
    /// Paid and given back.
    Refunded,
    /// A status newer than this program.
    #[serde(other)]
    Unknown,
}

impl Status {
    /// Paid, or any later step of a paid order.
    pub fn is_paid(self) -> bool {
        matches!(self, Status::Paid | Status::Fulfilling | Status::Completed)
    }

    /// One of the ends in which nothing was bought.
    pub fn is_ended(self) -> bool {
        matches!(
            self,
            Status::Rejected | Status::PaymentFailed | Status::Cancelled | Status::Expired | Status::Refunded
        )
    }

    /// Whether a buyer need not wait any longer.
    pub fn is_settled(self) -> bool {
        self.is_paid() || self.is_ended()
    }

    /// The name in words, for reports.
    pub fn words(self) -> &'static str {
        match self {
            Status::Placed => "placed",
            Status::AwaitingPayment => "awaiting payment",
            Status::Paid => "paid",
            Status::Fulfilling => "fulfilling",
            Status::Completed => "completed",
            Status::Rejected => "rejected",
            Status::PaymentFailed => "declined",
            Status::Cancelled => "cancelled",
            Status::Expired => "expired",
            Status::Refunded => "refunded",
            Status::Unknown => "of a status unknown here",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_fields_and_statuses_are_ignored() {
        let text = r#"{"id":"order_1","status":"teleporting","novelty":{"a":[1]}}"#;
        let order: OrderBrief = serde_json::from_str(text).expect("an order");
        assert_eq!(order.status, Status::Unknown);
        assert!(!order.status.is_settled());
        assert!(matches!(order.id, Cow::Borrowed("order_1")));
    }

    #[test]
    fn a_status_is_paid_or_ended_or_neither_and_never_both() {
        for (text, paid, ended) in [
            ("placed", false, false),
            ("awaiting_payment", false, false),
            ("paid", true, false),
            ("fulfilling", true, false),
            ("completed", true, false),
            ("rejected", false, true),
            ("payment_failed", false, true),
            ("cancelled", false, true),
            ("expired", false, true),
            ("refunded", false, true),
        ] {
            let status: Status = serde_json::from_str(&format!("\"{text}\"")).expect("a known status");
            assert_eq!((status.is_paid(), status.is_ended()), (paid, ended), "{text}");
        }
    }

    #[test]
    fn zero_is_zero_in_every_currency() {
        let money = |amount: &str| Money { amount: amount.into(), currency: "BDT".into() };
        assert_eq!(money("0.00").is_zero(), Some(true));
        assert_eq!(money("0").is_zero(), Some(true));
        assert_eq!(money("0.01").is_zero(), Some(false));
        assert_eq!(money("none").is_zero(), None);
    }
}
