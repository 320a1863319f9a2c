//! Why a command was refused: one enumeration for the whole domain, each variant with a stable code.

use super::ids::SkuId;
use super::money::{Currency, Money};
use super::order::{OrderStatus, ResolveAs};
use serde::{Deserialize, Serialize};

/// A SKU of which less is available than was asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shortage {
    /// The SKU.
    pub sku_id: SkuId,
    /// Pieces asked for.
    pub requested: i64,
    /// Pieces available when the answer was made.
    pub available: i64,
}

/// A refusal. Where several would apply, the one that stands first here is given.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(tag = "code", rename_all = "snake_case")]
pub enum Reject {
    /// No such vendor, or none the caller may know of.
    #[error("there is no such vendor")]
    VendorUnknown,
    /// No such cart, or none the caller may know of.
    #[error("there is no such cart")]
    CartUnknown,
    /// No such order, or none the caller may know of.
    #[error("there is no such order")]
    OrderUnknown,
    /// No such product.
    #[error("there is no such product")]
    ProductUnknown,
    /// No such SKU.
    #[error("there is no such SKU")]
    SkuUnknown,
    /// The idempotency key came before: with another body, or for a cart whose first answer is not kept any more.
    #[error("the idempotency key was used before, with another body or too long ago to be answered again")]
    IdempotencyKeyReused,
    /// The cart is being checked out: it cannot change until its order is paid or refused.
    #[error("the cart is being checked out")]
    CartCheckingOut,
    /// The cart's order is paid: it cannot change any more.
    #[error("the cart is checked out")]
    CartCheckedOut,
    /// The cart has no lines.
    #[error("the cart is empty")]
    CartEmpty,
    /// The cart, or the expected total, is in another currency.
    #[error("the cart is in {expected}, not in {found}")]
    CurrencyMismatch {
        /// The cart's currency.
        expected: Currency,
        /// The currency that came.
        found: Currency,
    },
    /// The cart has as many lines as a cart may have.
    #[error("a cart may have {limit} lines")]
    TooManyLines {
        /// The limit.
        limit: usize,
    },
    /// A quantity outside of what a line may have.
    #[error("a line may have a quantity of 1 to {limit}")]
    QuantityOutOfRange {
        /// The limit.
        limit: i64,
    },
    /// A price that is not positive or past the limit on one price.
    #[error("a price is positive and at most {limit} minor units")]
    PriceOutOfRange {
        /// The limit, in minor units.
        limit: i64,
        /// Which of a product's new SKUs it is, from 0.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        index: Option<usize>,
    },
    /// A count of pieces past the limit on one SKU's stock.
    #[error("a SKU may have 0 to {limit} pieces")]
    StockOutOfRange {
        /// The limit, in pieces.
        limit: i64,
        /// Which of a product's new SKUs it is, from 0.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        index: Option<usize>,
    },
    /// The vendor, or the product, has as many of something as it may have.
    #[error("at most {limit} {what} are possible")]
    TooMany {
        /// What there are too many of.
        what: String,
        /// The limit.
        limit: usize,
    },
    /// Another SKU of the vendor, or of the same product, has this code: compared composed, and without blanks around.
    #[error("another SKU of the vendor has the code '{sku_code}'")]
    SkuCodeTaken {
        /// The code that stands twice.
        sku_code: String,
        /// Which of a product's new SKUs it is, from 0.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        index: Option<usize>,
    },
    /// The change would leave less on hand than is held, or than nothing.
    #[error("{available} are available: a change by {delta} is not possible")]
    StockNegative {
        /// Pieces on hand and not held.
        available: i64,
        /// The change that was asked for.
        delta: i64,
    },
    /// The SKU's figures do not add up: nothing of it is promised until someone has looked at it.
    #[error("the SKU is out of sale until someone has looked at it")]
    #[serde(rename = "sku_stopped")]
    SkuSuspended,
    /// The order's hold was ended before, or its time has passed.
    #[error("the hold has ended")]
    HoldClosed,
    /// What is to be committed was never held: the order and whoever holds for it do not agree.
    #[error("nothing is held for the order")]
    HoldUnknown,
    /// Nobody sends this to an order where it stands: it changes nothing.
    #[error("an order in this phase is not told this")]
    OutOfTurn,
    /// Less is available than was asked for.
    #[error("not enough in stock")]
    OutOfStock {
        /// What is short.
        skus: Vec<Shortage>,
    },
    /// Today's prices make another total than the buyer expects.
    #[error("the total is now {actual_total}")]
    PriceChanged {
        /// Today's total.
        actual_total: Money,
    },
    /// The payment method or its token is not one this shop takes.
    #[error("{reason}")]
    PaymentUnsupported {
        /// What is wrong with it.
        reason: String,
        /// Whether it is the token, and not the method.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        token: bool,
    },
    /// The order was cancelled while it was being placed.
    #[error("the order was cancelled")]
    OrderCancelled,
    /// The order took longer to place than a payment may.
    #[error("the order expired before its stock was held")]
    OrderExpired,
    /// The order is past the point where it can be cancelled.
    #[error("an order that is {status} cannot be cancelled")]
    OrderNotCancellable {
        /// Its status.
        status: OrderStatus,
    },
    /// The order is not stuck, or this does not lead out of what it is stuck in.
    #[error("{}", nothing_to_resolve(may))]
    NothingToResolve {
        /// What does; nothing when it is not stuck.
        may: Vec<ResolveAs>,
    },
    /// What is said to have been paid or given back is not what it must be.
    #[error("the amount is {expected}")]
    AmountDiffers {
        /// What it must be.
        expected: Money,
    },
    /// The command made its entity panic twice; it will not be tried a third time.
    #[error("the command failed twice in the engine and is refused for good")]
    CommandPoisoned,
}

fn nothing_to_resolve(may: &[ResolveAs]) -> String {
    match may {
        [] => "the order is not stuck, or not for long enough".to_owned(),
        may => {
            let may: Vec<&str> = may.iter().map(|verb| verb.name()).collect();
            format!("what this order is stuck in is resolved as {}", may.join(", "))
        }
    }
}

impl Reject {
    /// The stable code that stands in answers, in the journal and in metrics.
    pub const fn code(&self) -> &'static str {
        match self {
            Reject::VendorUnknown => "vendor_unknown",
            Reject::CartUnknown => "cart_unknown",
            Reject::OrderUnknown => "order_unknown",
            Reject::ProductUnknown => "product_unknown",
            Reject::SkuUnknown => "sku_unknown",
            Reject::IdempotencyKeyReused => "idempotency_key_reused",
            Reject::CartCheckingOut => "cart_checking_out",
            Reject::CartCheckedOut => "cart_checked_out",
            Reject::CartEmpty => "cart_empty",
            Reject::CurrencyMismatch { .. } => "currency_mismatch",
            Reject::TooManyLines { .. } => "too_many_lines",
            Reject::QuantityOutOfRange { .. } => "quantity_out_of_range",
            Reject::PriceOutOfRange { .. } => "price_out_of_range",
            Reject::StockOutOfRange { .. } => "stock_out_of_range",
            Reject::TooMany { .. } => "too_many",
            Reject::SkuCodeTaken { .. } => "sku_code_taken",
            Reject::StockNegative { .. } => "stock_negative",
            Reject::SkuSuspended => "sku_stopped",
            Reject::HoldClosed => "hold_closed",
            Reject::HoldUnknown => "hold_unknown",
            Reject::OutOfTurn => "out_of_turn",
            Reject::OutOfStock { .. } => "out_of_stock",
            Reject::PriceChanged { .. } => "price_changed",
            Reject::PaymentUnsupported { .. } => "payment_unsupported",
            Reject::OrderCancelled => "order_cancelled",
            Reject::OrderExpired => "order_expired",
            Reject::OrderNotCancellable { .. } => "order_not_cancellable",
            Reject::NothingToResolve { .. } => "nothing_to_resolve",
            Reject::AmountDiffers { .. } => "amount_differs",
            Reject::CommandPoisoned => "command_poisoned",
        }
    }

    /// Whether this refusal is an outcome of the state of things, kept under an idempotency key and given again when the
    /// request is repeated (a 409 outside), rather than a fault of the request itself.
    pub const fn is_conflict(&self) -> bool {
        matches!(
            self,
            Reject::CartCheckingOut
                | Reject::CartCheckedOut
                | Reject::CartEmpty
                | Reject::StockNegative { .. }
                | Reject::SkuSuspended
                | Reject::HoldClosed
                | Reject::HoldUnknown
                | Reject::OutOfTurn
                | Reject::OutOfStock { .. }
                | Reject::PriceChanged { .. }
                | Reject::OrderCancelled
                | Reject::OrderExpired
                | Reject::OrderNotCancellable { .. }
                | Reject::NothingToResolve { .. }
                | Reject::CommandPoisoned
        )
    }
}
