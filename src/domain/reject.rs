//! Why a command was refused: one table for the whole domain. What else speaks of a refusal follows from its row.

mod first;
mod kind;
mod shortage;
mod table;
mod words;

pub use first::Refusal;
pub use kind::RejectClass;
pub use shortage::Shortage;

use super::cart::QuoteDiffers;
use super::ids::{RoomId, SaleId, SkuId, VendorId};
use super::money::{Currency, Money};
use super::order::{NoCash, NotFulfillable, NotReturnable, OrderStatus, RefundStatus, ResolveAs};
use super::pricing::NotApplicable;
use super::time::Timestamp;
use super::vendor::{Day, SlotId, SlotRefused};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use table::rejects;
use uuid::Uuid;
use words::*;

rejects! {
    /// No such vendor, or none the caller may know of.
    VendorUnknown = Unknown { code: "vendor_unknown", title: "No such vendor", text: "there is no such vendor" }

    /// No such cart, or none the caller may know of.
    CartUnknown = Unknown { code: "cart_unknown", title: "No such cart", text: "there is no such cart" }

    /// No such order, or none the caller may know of.
    OrderUnknown = Unknown { code: "order_unknown", title: "No such order", text: "there is no such order" }

    /// No such customer: nothing was recorded of one.
    CustomerUnknown = Unknown { code: "customer_unknown", title: "No such customer", text: "there is no such customer" }

    /// No such coupon, or none the caller may know of.
    CouponUnknown = Unknown { code: "coupon_unknown", title: "No such coupon", text: "there is no such coupon" }

    /// No such waiting room.
    RoomUnknown = Unknown { code: "room_unknown", title: "No such waiting room", text: "there is no such waiting room" }

    /// No such product.
    ProductUnknown = Unknown { code: "product_unknown", title: "No such product", text: "there is no such product" }

    /// No such SKU.
    SkuUnknown = Unknown { code: "sku_unknown", title: "No such SKU", text: "there is no such SKU" }

    /// No such sale.
    SaleUnknown = Unknown { code: "sale_unknown", title: "No such sale", text: "there is no such sale" }

    /// The idempotency key came before: with another body, or for a cart whose first answer is not kept any more.
    IdempotencyKeyReused = Invalid {
        code: "idempotency_key_reused", title: "The idempotency key was used before",
        text: "the idempotency key was used before, with another body or too long ago to be answered again"
    }

    /// The cart is being checked out: it cannot change until its order is paid or refused.
    CartCheckingOut = Conflict {
        code: "cart_checking_out", title: "The cart is being checked out",
        text: "the cart is being checked out"
    }

    /// The cart's order is paid: it cannot change any more.
    CartCheckedOut = Conflict { code: "cart_checked_out", title: "The cart is checked out", text: "the cart is checked out" }

    /// The cart was merged into another one: it cannot change any more.
    CartMerged = Conflict {
        code: "cart_merged", title: "The cart was merged into another one",
        text: "the cart was merged into another one"
    }

    /// The cart has no lines.
    CartEmpty = Conflict { code: "cart_empty", title: "The cart is empty", text: "the cart is empty" }

    /// The cart, or the expected total, is in another currency.
    CurrencyMismatch {
        /// The cart's currency.
        expected: Currency = Currency::BDT,
        /// The currency that came.
        found: Currency = Currency::BDT,
    } = Invalid {
        code: "currency_mismatch", title: "The currency is another",
        text: "the cart is in {expected}, not in {found}"
    }

    /// The cart has as many lines as a cart may have.
    TooManyLines {
        /// The limit.
        limit: usize = 200,
    } = Invalid {
        code: "too_many_lines", title: "The cart has too many lines",
        text: "a cart may have {limit} lines"
    }

    /// Fewer pieces of a SKU than are sold at a time.
    BelowMinimum {
        /// Which.
        sku_id: SkuId = SkuId::from_uuid(Uuid::nil()),
        /// The fewest.
        minimum_quantity: i64 = 12,
    } = Conflict {
        code: "below_minimum", title: "Fewer than are sold at a time",
        text: "of {sku_id} at least {minimum_quantity} are sold at a time"
    }

    /// A quantity of a SKU that is no multiple of its step.
    QuantityStep {
        /// The step.
        step: i64 = 6,
        /// Of which SKU, where it is no line that is being set.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        sku_id: Option<SkuId> = None,
    } = Invalid {
        code: "quantity_step", title: "The quantity is no multiple of the step",
        field: (sku_id.is_none().then_some("quantity".into())),
        text: "the quantity must be a multiple of {step}"
    }

    /// A quantity outside of what a line may have.
    QuantityOutOfRange {
        /// The limit.
        limit: i64 = 10_000,
        /// Of which SKU, where it is no line that is being set.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        sku_id: Option<SkuId> = None,
    } = Invalid {
        code: "quantity_out_of_range", title: "The quantity is out of range",
        field: (sku_id.is_none().then_some("quantity".into())),
        text: "a line may have a quantity of 1 to {limit}"
    }

    /// A price that is not positive or past the limit on one price.
    PriceOutOfRange {
        /// The limit, in minor units.
        limit: i64 = 1,
        /// Which of a product's new SKUs it is, from 0.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        index: Option<usize> = None,
        /// Which of a SKU's price breaks it is, from 0.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        rung: Option<usize> = None,
    } = Invalid {
        code: "price_out_of_range", title: "The price is out of range",
        field: (match rung {
            Some(rung) => Some(format!("price_breaks[{rung}].price").into()),
            None => sku_field(*index, "price", "price"),
        }),
        text: "a price is positive and at most {limit} minor units"
    }

    /// Of a SKU's price breaks, more pieces are not cheaper ones, or a rung is out of range.
    PriceBreakOrder {
        /// Which of them, from 0.
        index: usize = 1,
    } = Invalid {
        code: "price_break_order", title: "The price breaks are no ladder",
        field: (Some(format!("price_breaks[{index}]").into())),
        text: "of one audience's price breaks each begins at more pieces than the one before it and costs less, and none begins at more than a line may have"
    }

    /// No quantity obeys all rules of a SKU, or one of them is out of range.
    QuantityRuleInvalid {
        /// Whether it is those of wholesale buyers.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        wholesale: bool = true,
    } = Invalid {
        code: "quantity_rule_invalid", title: "The quantities make no sense",
        field: (Some(if *wholesale { "wholesale" } else { "min_quantity" }.into())),
        text: "minimum and maximum are multiples of the step, the minimum is not above the maximum, and all are within what a line may have"
    }

    /// A count of pieces past the limit on one SKU's stock.
    StockOutOfRange {
        /// The limit, in pieces.
        limit: i64 = 1,
        /// Which of a product's new SKUs it is, from 0.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        index: Option<usize> = Some(1),
    } = Invalid {
        code: "stock_out_of_range", title: "The stock is out of range",
        field: (sku_field(*index, "on_hand", "delta")),
        text: "a SKU may have 0 to {limit} pieces"
    }

    /// The vendor, or the product, has as many of something as it may have.
    TooMany {
        /// What there are too many of.
        what: String = "SKUs".to_owned(),
        /// The limit.
        limit: usize = 1,
    } = Invalid {
        code: "too_many", title: "There are too many",
        field: (what.starts_with("SKUs").then_some("skus".into())),
        text: "at most {limit} {what} are possible"
    }

    /// Something of a coupon that cannot be so.
    CouponMalformed {
        /// Which field.
        field: String = "ends_at".to_owned(),
        /// What is wrong with it.
        why: String = "it ends after it starts".to_owned(),
    } = Invalid {
        code: "coupon_malformed", title: "The coupon is malformed",
        field: (Some(Cow::Owned(field.clone()))),
        text: "{why}"
    }

    /// The place was not called, or its time to come in is over.
    NotCalled = Conflict {
        code: "not_called", title: "The place is not called",
        text: "the place is not called: it waits, or its turn is over"
    }

    /// The waiting room lets nobody in any more.
    RoomClosed = Conflict {
        code: "room_closed", title: "The waiting room is closed",
        text: "the waiting room lets nobody in any more"
    }

    /// Another coupon has this code, or codes that begin with it: compared in upper case, with O as 0, I and L as 1.
    CouponCodeTaken = Conflict {
        code: "coupon_code_taken", title: "The coupon's code is taken",
        text: "another coupon has this code"
    }

    /// More of the coupon is held and used than it would allow.
    CouponInUse {
        /// Uses, held and used.
        uses: u64 = 7,
    } = Conflict {
        code: "coupon_in_use", title: "The coupon is in use",
        text: "{uses} uses of the coupon are held or used: the change would allow less than what was given"
    }

    /// Another SKU of the vendor, or of the same product, has this code: compared composed, and without blanks around.
    SkuCodeTaken {
        /// The code that stands twice.
        sku_code: String = "A".to_owned(),
        /// Which of a product's new SKUs it is, from 0.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        index: Option<usize> = Some(2),
    } = Invalid {
        code: "sku_code_taken", title: "The SKU's code is taken",
        field: (sku_field(*index, "code", "skus")),
        text: "another SKU of the vendor has the code '{sku_code}'"
    }

    /// The change would leave less on hand than is held, or than nothing.
    StockNegative {
        /// Pieces on hand and not held.
        available: i64 = 1,
        /// The change that was asked for.
        delta: i64 = -2,
    } = Conflict {
        code: "stock_negative", title: "The stock would become negative",
        field: "delta",
        text: "{available} are available: a change by {delta} is not possible"
    }

    /// So many pieces of the SKU are promised to a sale, or were taken in it, that the change is not possible.
    AllotmentReserved {
        /// The SKU.
        sku_id: SkuId = SkuId::from_uuid(Uuid::nil()),
        /// Pieces that no sale needs.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        available: Option<i64> = Some(1),
        /// Pieces of the sale that were taken: less cannot be promised, nor be open.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        minimum: Option<i64> = None,
    } = Conflict {
        code: "allotment_reserved", title: "The pieces are promised to a sale",
        text: "{}", allotment_reserved(*available, *minimum)
    }

    /// What a sale is to be does not fit together.
    SaleInvalid {
        /// What: `items`, `window`, `price`, `allotment`, `limit` or `tranches`.
        why: String = "window".to_owned(),
    } = Invalid {
        code: "sale_invalid", title: "The sale does not fit together",
        field: (Some(sale_field(why).into())),
        text: "{}", sale_invalid(why)
    }

    /// Another sale of the SKU runs at some moment of this one.
    SaleOverlap {
        /// Which.
        sale_id: SaleId = SaleId::from_uuid(Uuid::nil()),
    } = Conflict {
        code: "sale_overlap", title: "Two sales of one SKU would run at once",
        text: "the sale {sale_id} of the same SKU runs at that time"
    }

    /// What buyers were promised by a sale that runs is not taken back.
    SaleRunning = Conflict {
        code: "sale_running", title: "The sale is running",
        text: "while the sale runs its start, prices, goods and who may buy stay, and limits are not lowered"
    }

    /// The SKU's figures do not add up: nothing of it is promised until someone has looked at it.
    SkuSuspended = Conflict {
        code: "sku_stopped", title: "The SKU is out of sale for now",
        text: "the SKU is out of sale until someone has looked at it"
    }

    /// The checkout does not agree with the quote that it names.
    QuoteExpired {
        /// In what it differs.
        why: QuoteDiffers = QuoteDiffers::Time,
    } = Conflict {
        code: "quote_expired", title: "The quote does not hold any more",
        text: "the quote does not hold any more: {}", why.name()
    }

    /// It cannot be paid on delivery: no shipping method that was chosen, or that serves there, takes that, or the buyer has had too many such orders,
    /// or it comes to too much.
    CodNotAvailable {
        /// Why.
        #[serde(default = "NoCash::method", skip_serializing_if = "NoCash::is_method")]
        why: NoCash = NoCash::Method,
        /// Whose methods, where it is for them.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        vendor_ids: Vec<VendorId> = vec![VendorId::from_uuid(Uuid::nil())],
        /// The most that it may come to, where it comes to more.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        maximum: Option<Money> = None,
    } = Conflict {
        code: "cod_not_available", title: "It cannot be paid on delivery",
        text: "{}", why.text()
    }

    /// Nobody ships there, or not in the way that was chosen.
    AddressNotServed {
        /// Who does not.
        vendor_ids: Vec<VendorId> = vec![VendorId::from_uuid(Uuid::nil())],
    } = Invalid {
        code: "address_not_served", title: "The address is not served",
        field: "shipping_address",
        text: "no shipping method of these vendors serves this address, or not the one that was chosen"
    }

    /// The order's hold was ended before, or its time has passed.
    HoldClosed = Conflict {
        code: "hold_closed", title: "The hold has ended",
        text: "the hold has ended"
    }

    /// What is to be committed was never held: the order and whoever holds for it do not agree.
    HoldUnknown = Conflict {
        code: "hold_unknown", title: "Nothing is held",
        text: "nothing is held for the order"
    }

    /// Nobody sends this to an order where it stands: it changes nothing.
    OutOfTurn = Conflict {
        code: "out_of_turn", title: "The order is not told this now",
        text: "an order in this phase is not told this"
    }

    /// Archived, or of a vendor that is suspended: nobody is promised more of it.
    SkuUnavailable {
        /// Which.
        skus: Vec<SkuId> = vec![SkuId::from_uuid(Uuid::nil())],
    } = Conflict {
        code: "sku_unavailable", title: "It is not for sale any more",
        text: "what the cart has is not for sale any more: take it out"
    }

    /// What is asked for is sold to those who come in by a waiting room.
    EntryRequired {
        /// The room.
        room_id: RoomId = RoomId::from_uuid(Uuid::from_u128(1)),
    } = Forbidden {
        code: "entry_required", title: "An entry is needed",
        text: "this is sold to those who come in by the waiting room {room_id}"
    }

    /// What is asked for needs an account.
    AccountRequired = Forbidden {
        code: "account_required", title: "An account is needed",
        text: "only somebody who has signed in can buy this"
    }

    /// What is asked for is limited for each buyer, and nothing tells who this one is.
    EmailRequired = Invalid {
        code: "email_required", title: "An e-mail address is needed",
        field: "email",
        text: "this is limited for each buyer: an e-mail address or a phone number is needed"
    }

    /// In this sale one cannot pay so.
    PaymentMethodNotAllowed {
        /// How one can.
        methods: Vec<String> = vec!["stripe".to_owned()],
    } = Conflict {
        code: "payment_method_not_allowed", title: "The sale is not paid in this way",
        field: "payment.method",
        text: "in this sale one pays with {}", methods.join(" or ")
    }

    /// What there is of the SKU is kept for a sale to come.
    SaleNotStarted {
        /// The SKU.
        sku_id: SkuId = SkuId::from_uuid(Uuid::nil()),
        /// When the sale begins.
        starts_at: Timestamp = Timestamp::from_millis(0),
    } = Conflict {
        code: "sale_not_started", title: "The sale has not started",
        text: "what there is of it is kept for a sale to come"
    }

    /// Less is left of the sale than was asked for.
    SaleSoldOut {
        /// The SKU.
        sku_id: SkuId = SkuId::from_uuid(Uuid::nil()),
        /// Pieces that are left in it.
        left: i64 = 0,
        /// When more are opened.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        next_tranche_at: Option<Timestamp> = None,
        /// At which price it can be had when none is left.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        regular_price: Option<Money> = None,
    } = Conflict {
        code: "sale_sold_out", title: "The sale is sold out",
        text: "{left} are left in the sale"
    }

    /// The buyer would have more in the sale than one may.
    PurchaseLimit {
        /// Pieces that one buyer may have.
        limit: i64 = 2,
        /// Pieces that this one has, held and bought.
        used: i64 = 1,
        /// Of which SKUs together.
        skus: Vec<SkuId> = vec![SkuId::from_uuid(Uuid::nil())],
    } = Conflict {
        code: "purchase_limit", title: "The limit for each buyer is reached",
        text: "one buyer can have {limit}, and this one has {used}"
    }

    /// Less is available than was asked for.
    OutOfStock {
        /// What is short.
        skus: Vec<Shortage> = vec![Shortage { sku_id: SkuId::from_uuid(Uuid::nil()), requested: 2, available: 1 }],
    } = Conflict {
        code: "out_of_stock", title: "Not enough in stock",
        text: "not enough in stock"
    }

    /// The slot that was chosen for a vendor's share cannot be had.
    SlotFull {
        /// Whose.
        vendor_id: VendorId = VendorId::from_uuid(Uuid::nil()),
        /// Which.
        slot_id: SlotId = SlotId { day: Day::FIRST, from: 600, to: 720 },
        /// Why.
        why: SlotRefused = SlotRefused::Full,
    } = Conflict {
        code: "slot_full", title: "The delivery slot cannot be had",
        text: "the delivery slot {slot_id} cannot be had: {}", why.name()
    }

    /// The vendor has another delivery plan than the one that was read.
    DeliveryPlanChanged = Conflict {
        code: "delivery_plan_changed", title: "The delivery plan is another by now",
        text: "the vendor has another delivery plan by now: read it anew"
    }

    /// What it comes to does not fit 64 bits.
    AmountTooLarge = Invalid {
        code: "amount_too_large", title: "The amount is too large",
        text: "the total is too large"
    }

    /// The sale is over that made the total which the buyer expects, or that was to be changed.
    SaleEnded {
        /// Today's total.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        actual_total: Option<Money> = None,
    } = Conflict {
        code: "sale_ended", title: "The sale is over",
        text: "the sale is over"
    }

    /// Today's prices make another total than the buyer expects.
    PriceChanged {
        /// Today's total.
        actual_total: Money = Money::new(125_000, Currency::BDT),
    } = Conflict {
        code: "price_changed", title: "The price has changed",
        text: "the total is now {actual_total}"
    }

    /// What it comes to is less than the payment method takes.
    AmountBelowMinimum {
        /// The least that it takes.
        minimum: Money = Money::new(5_000, Currency::BDT),
    } = Invalid {
        code: "amount_below_minimum", title: "The amount is too small",
        text: "the payment method takes {minimum} at least"
    }

    /// The coupon cannot be used any more.
    CouponExpired = Conflict {
        code: "coupon_expired", title: "The coupon has expired",
        text: "the coupon cannot be used any more"
    }

    /// The coupon has other terms than those by which the order was reckoned.
    CouponTermsChanged = Conflict {
        code: "coupon_terms_changed", title: "The coupon has other terms",
        text: "the coupon has other terms by now"
    }

    /// A coupon of the cart takes nothing off, or cannot be used for it.
    CouponNotApplicable {
        /// Its code.
        coupon: String = "SUMMER".to_owned(),
        /// Why.
        why: NotApplicable = NotApplicable::Nothing,
    } = Conflict {
        code: "coupon_not_applicable", title: "The coupon does not apply",
        text: "the coupon '{coupon}' does not apply: {}", why.name()
    }

    /// All that the coupon gives is held or used.
    CouponExhausted = Conflict {
        code: "coupon_exhausted", title: "The coupon is used up",
        text: "the coupon is used up"
    }

    /// The buyer has used the coupon as often as one buyer may.
    CouponLimitReached {
        /// How often one may.
        limit: u32 = 1,
    } = Conflict {
        code: "coupon_limit_reached", title: "The buyer has used the coupon as often as one may",
        text: "the coupon is for {limit} orders of one buyer"
    }

    /// The buyer has not so many points.
    PointsInsufficient {
        /// How many they have.
        available: i64 = 1,
    } = Conflict {
        code: "points_insufficient", title: "The buyer has not so many points",
        text: "{available} points can be spent"
    }

    /// The payment method or its token is not one this shop takes.
    PaymentUnsupported {
        /// What is wrong with it.
        reason: String = "no".to_owned(),
        /// Whether it is the token, and not the method.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        token: bool = true,
    } = Invalid {
        code: "payment_unsupported", title: "The means of payment is not taken",
        field: (Some(if *token { "payment.token" } else { "payment.method" }.into())),
        text: "{reason}"
    }

    /// The order was cancelled while it was being placed.
    OrderCancelled = Conflict {
        code: "order_cancelled", title: "The order was cancelled",
        text: "the order was cancelled"
    }

    /// The order took longer to place than a payment may.
    OrderExpired = Conflict {
        code: "order_expired", title: "The order expired",
        text: "the order expired before its stock was held"
    }

    /// The order is past the point where it can be cancelled.
    OrderNotCancellable {
        /// Its status.
        status: OrderStatus = OrderStatus::Paid,
    } = Conflict {
        code: "order_not_cancellable", title: "The order cannot be cancelled any more",
        text: "an order that is {status} cannot be cancelled"
    }

    /// The order is being paid, or what is held for it is being sold: what becomes of it is known in a moment.
    PaymentInProgress = Conflict {
        code: "payment_in_progress", title: "The payment is in progress",
        text: "the order's payment is in progress"
    }

    /// Fewer units are left than were to be cancelled.
    UnitsCredited {
        /// Of which SKU.
        sku_id: SkuId = SkuId::from_uuid(Uuid::nil()),
        /// How many are left.
        left: i64 = 1,
    } = Conflict {
        code: "units_credited", title: "So many units are not left",
        text: "so many units are not left: {left} of them were not cancelled"
    }

    /// Units were handed over: they are not cancelled any more, but sent back.
    AlreadyShipped = Conflict {
        code: "already_shipped", title: "It is on its way already",
        text: "it was handed over already, and cannot be cancelled any more"
    }

    /// Goods of the share cannot be moved so.
    NotFulfillable {
        /// Why.
        why: NotFulfillable = NotFulfillable::OnHold,
    } = Conflict {
        code: "not_fulfillable", title: "This cannot be done with the goods now",
        text: "this cannot be done with the goods now: {}", why.name()
    }

    /// No such parcel, or none the caller may know of.
    ShipmentUnknown = Unknown { code: "shipment_unknown", title: "No such parcel", text: "the order has no such parcel" }

    /// Units cannot be returned so.
    NotReturnable {
        /// Why.
        why: NotReturnable = NotReturnable::WindowClosed,
        /// Until when they could be, where that is over.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        until: Option<Timestamp> = None,
    } = Conflict {
        code: "not_returnable", title: "This cannot be returned",
        text: "this cannot be returned: {}", why.name()
    }

    /// No such return, or none the caller may know of.
    ReturnUnknown = Unknown { code: "return_unknown", title: "No such return", text: "the order has no such return" }

    /// No such refund, or none the caller may know of.
    RefundUnknown = Unknown { code: "refund_unknown", title: "No such refund", text: "the order has no such refund" }

    /// Nothing, or less than nothing, was to be given back.
    RefundNotPositive = Invalid {
        code: "refund_not_positive", title: "A refund is more than nothing",
        field: "amount",
        text: "an amount above zero is expected"
    }

    /// More was to be given back than is left of what was paid.
    RefundExceedsPayment {
        /// How much is left.
        refundable: Money = Money::new(1, Currency::BDT),
    } = Conflict {
        code: "refund_exceeds_payment", title: "The refund exceeds the payment",
        text: "{refundable} can be given back"
    }

    /// A bank decides whose the money is.
    PaymentDisputed = Conflict {
        code: "payment_disputed", title: "The payment is disputed",
        text: "nothing is given back while a bank decides whose the money is"
    }

    /// The refund has not failed.
    RefundNotOpen {
        /// How it stands.
        status: RefundStatus = RefundStatus::Succeeded,
    } = Conflict {
        code: "refund_not_open", title: "The refund has not failed",
        text: "the refund is {}", status.name()
    }

    /// The order is not stuck, or this does not lead out of what it is stuck in.
    NothingToResolve {
        /// What does; nothing when it is not stuck.
        may: Vec<ResolveAs> = vec![ResolveAs::Retry],
    } = Conflict {
        code: "nothing_to_resolve", title: "The order is not stuck in this way",
        text: "{}", nothing_to_resolve(may)
    }

    /// What is said to have been paid or given back is not what it must be.
    AmountDiffers {
        /// What it must be.
        expected: Money = Money::new(1, Currency::BDT),
    } = Invalid {
        code: "amount_differs", title: "The amount is another",
        field: "amount",
        text: "the amount is {expected}"
    }

    /// The command made its entity panic twice; it will not be tried a third time.
    CommandPoisoned = Conflict {
        code: "command_poisoned", title: "The request fails in the engine",
        text: "the command failed twice in the engine and is refused for good"
    }
}
