//! What can be asked of a cart, what can have happened to it, and how it is shown.

use crate::domain::buyer::{Audience, Buyer, Exemption, Mint, PointsWanted};
use crate::domain::coupon::CouponCode;
use crate::domain::details::{Contact, Detail};
use crate::domain::entity::{Owner, Principal};
use crate::domain::ids::{CartId, CouponId, CustomerId, OrderId, SaleId, ShippingMethodId, SkuId, VendorId};
use crate::domain::knowledge::Settings;
use crate::domain::money::{self, Currency, Money};
use crate::domain::order::{Address, InlineDetails, PaymentChoice, PlacedCoupon};
use crate::domain::reject::{Reject, RejectKind};
use crate::domain::vendor::SlotId;
use serde::{Deserialize, Serialize};

pub use super::quote::{Quote, QuoteDiffers};

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
    /// The sale whose price that was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sale: Option<SaleId>,
}

impl CartLine {
    /// quantity × unit price; within 64 bits by the limits on both (see [`money::sum`]).
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
    /// The methods of shipping that the buyer chose; the cheapest of other vendors.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shipping: Vec<(VendorId, ShippingMethodId)>,
    /// The slots in which shares are to be brought, where the buyer chose some.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub slots: Vec<(VendorId, SlotId)>,
    /// The quote that the buyer agreed to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quote: Option<Box<Quote>>,
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
    /// The methods of shipping that the buyer chose; the cheapest of other vendors.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shipping: Vec<(VendorId, ShippingMethodId)>,
    /// The slots in which shares are to be brought, where the buyer chose some.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub slots: Vec<(VendorId, SlotId)>,
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
    /// As it is recorded: without personal data, and with the prices and the taxes that the buyer has at this moment.
    pub fn under(
        &self,
        settings: &Settings,
        audience: Audience,
        exempt: Option<Exemption>,
        multiplier: Option<u32>,
    ) -> CheckoutTerms {
        let Settings { hold_ms, payment_ms, .. } = *settings;
        let of_cart = self.expected_total.is_none() && self.quote.is_none();
        let alone = self.points_alone();
        let points = self.wanted_points().map(|points| PointsWanted { points, beside: of_cart, alone });
        CheckoutTerms {
            payment: self.payment.without_token(),
            // The first of what the buyer gave.
            expected_total: self.expected_total.or_else(|| Some(self.quote.as_ref()?.total)),
            shipping: self.chosen().to_vec(),
            slots: self.slots.clone(),
            hold_ms,
            payment_ms,
            mint: Some(self.mint),
            buyer: Some(Box::new(Buyer { audience, exempt, multiplier, points, ..self.buyer.clone() })),
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
    pub(super) fn moved_out(&self) -> (Option<Box<InlineDetails>>, Option<Box<Buyer>>) {
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
    /// The sale whose price that is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sale: Option<SaleId>,
}

/// Pieces that a cart could not take over from another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftOut {
    /// Of which SKU.
    pub sku: SkuId,
    /// How many.
    pub quantity: i64,
    /// Why: the refusal that putting them into the cart would have met.
    pub why: RejectKind,
}

/// A cart that was merged into this one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MergedFrom {
    /// Which.
    pub from: CartId,
    /// What of it did not fit.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<LeftOut>,
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
    /// Come into being as the cart of a customer, or be shown to them.
    Open {
        /// Whose it is.
        customer: CustomerId,
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
    /// Put the code of a coupon into the cart, behind those that stand there; in the place of another code of the same coupon.
    PutCoupon {
        /// On whose behalf.
        by: Principal,
        /// Which. That there is such a code is known.
        coupon: PlacedCoupon,
    },
    /// Take the code of a coupon out of the cart.
    RemoveCoupon {
        /// On whose behalf.
        by: Principal,
        /// Which.
        code: CouponCode,
    },
    /// Make an order of the cart.
    CheckOut {
        /// On whose behalf.
        by: Principal,
        /// What the buyer gives.
        details: Box<CheckoutRequest>,
    },
    /// Could this other cart be merged into this one? It only looks.
    MayMerge {
        /// On whose behalf.
        by: Principal,
        /// The other cart.
        from: CartId,
    },
    /// Close, and give all lines to that cart.
    MergeInto {
        /// On whose behalf: the guest's.
        by: Principal,
        /// The other cart, which has said that it may.
        into: CartId,
    },
    /// Another cart gives its lines, and goes on giving them until it hears [`CartCommand::AcknowledgeMerge`].
    MergeIn {
        /// Which.
        from: CartId,
        /// Its lines.
        lines: Vec<CartLine>,
        /// Its coupons.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        coupons: Vec<PlacedCoupon>,
    },
    /// The other cart has the lines.
    AcknowledgeMerge {
        /// Which.
        into: CartId,
    },
    /// Show the cart once the other one was merged into it, and what of it did not fit.
    AwaitMerge {
        /// On whose behalf.
        by: Principal,
        /// The other cart.
        from: CartId,
        /// Why it was not given after all: then that is the answer.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        refused: Option<Reject>,
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
    /// The code of a coupon was put into it, behind the others, or in the place of another code of the same coupon.
    CouponPut {
        /// Which.
        coupon: PlacedCoupon,
    },
    /// The code of a coupon was taken out of it.
    CouponRemoved {
        /// Of which coupon.
        coupon: CouponId,
    },
    /// Its coupons are shown to take so much off, and so agreed to: with a change.
    Discounted {
        /// How much, in minor units.
        amount: i64,
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
    /// It was given to another cart, and is closed for good.
    Merged {
        /// To which.
        into: CartId,
        /// What was in it.
        lines: Vec<CartLine>,
    },
    /// Another cart was merged into it.
    MergedIn {
        /// Which.
        from: CartId,
        /// The pieces that were taken over, at today's prices: as many more of each SKU.
        lines: Vec<CartLine>,
        /// The currency of these prices.
        currency: Currency,
        /// The pieces that were not.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        left_out: Vec<LeftOut>,
        /// The coupons that it has besides now.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        coupons: Vec<PlacedCoupon>,
    },
    /// The cart that it was given to has it.
    MergeAcknowledged,
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
    /// It was merged into another cart.
    Merged,
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
    /// Its coupons, in the order in which their codes were put there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub coupons: Vec<PlacedCoupon>,
    /// What they were shown to take off with its last change, in minor units.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub discount: i64,
    /// The order that is live or paid.
    pub order: Option<OrderId>,
    /// The cart that it was merged into.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub merged_into: Option<CartId>,
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
    /// The cart of a customer.
    Opened {
        /// As it is now.
        cart: Box<CartView>,
        /// Whether this very command made it.
        made: bool,
    },
    /// The cart gives its lines to that one, or has.
    Merging {
        /// Which.
        into: CartId,
    },
    /// Another cart was merged into this one.
    Merged {
        /// As it is now.
        cart: Box<CartView>,
        /// What of the other one did not fit.
        left_out: Vec<LeftOut>,
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

pub(super) fn subtotal(lines: &[CartLine]) -> i64 {
    // Within 64 bits: see `limits::PRICE_MINOR`.
    money::sum(lines.iter().map(CartLine::total))
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
pub(super) fn is_zero(number: &i64) -> bool {
    *number == 0
}
