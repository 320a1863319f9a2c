//! How an order stands, and its payment, and its shares.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// How an order stands, as it is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OrderStatus {
    /// It exists; its stock is not held yet.
    Placed,
    /// Its stock is held; its payment runs.
    AwaitingPayment,
    /// It is accepted, and to be paid at the door.
    Confirmed,
    /// It is paid.
    Paid,
    /// Some of it is packed or shipped.
    Fulfilling,
    /// All of it is delivered.
    Completed,
    /// It could not be placed: nothing is held.
    Rejected,
    /// Its payment was refused.
    PaymentFailed,
    /// It was cancelled.
    Cancelled,
    /// It was not paid in time.
    Expired,
    /// It was paid, and all of it was given back.
    Refunded,
}

impl FromStr for OrderStatus {
    type Err = &'static str;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::from_name(name).ok_or("there is no such status of orders")
    }
}

impl OrderStatus {
    /// Every status, in the order of an order's life.
    pub const ALL: [OrderStatus; 11] = [
        OrderStatus::Placed,
        OrderStatus::AwaitingPayment,
        OrderStatus::Confirmed,
        OrderStatus::Paid,
        OrderStatus::Fulfilling,
        OrderStatus::Completed,
        OrderStatus::Rejected,
        OrderStatus::PaymentFailed,
        OrderStatus::Cancelled,
        OrderStatus::Expired,
        OrderStatus::Refunded,
    ];

    /// Its name in answers, tables and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            OrderStatus::Placed => "placed",
            OrderStatus::AwaitingPayment => "awaiting_payment",
            OrderStatus::Confirmed => "confirmed",
            OrderStatus::Paid => "paid",
            OrderStatus::Fulfilling => "fulfilling",
            OrderStatus::Completed => "completed",
            OrderStatus::Rejected => "rejected",
            OrderStatus::PaymentFailed => "payment_failed",
            OrderStatus::Cancelled => "cancelled",
            OrderStatus::Expired => "expired",
            OrderStatus::Refunded => "refunded",
        }
    }

    /// The status of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.name() == name)
    }

    /// Whether it ended without being paid for good.
    pub const fn is_end(self) -> bool {
        matches!(
            self,
            OrderStatus::Rejected
                | OrderStatus::PaymentFailed
                | OrderStatus::Cancelled
                | OrderStatus::Expired
                | OrderStatus::Refunded
        )
    }

    /// Whether it is paid, or to be paid at the door, and not given back.
    pub const fn is_paid(self) -> bool {
        matches!(self, OrderStatus::Confirmed | OrderStatus::Paid | OrderStatus::Fulfilling | OrderStatus::Completed)
    }
}

impl fmt::Display for OrderStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

macro_rules! named_status {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum $name { $($(#[$variant_doc])* $variant,)* }

        impl $name {
            /// The names of all of them.
            pub const NAMES: &[&str] = &[$($text),*];

            /// Its name in answers and tables.
            pub const fn name(self) -> &'static str {
                match self { $($name::$variant => $text,)* }
            }

            /// The status of that name.
            pub fn from_name(name: &str) -> Option<Self> {
                match name { $($text => Some($name::$variant),)* _ => None }
            }
        }
    };
}

named_status!(
    /// How a payment stands.
    PaymentStatus {
        /// It has not been asked for.
        None = "none",
        /// It was asked for, and its outcome is not known.
        Pending = "pending",
        /// The buyer has to do something first.
        RequiresAction = "requires_action",
        /// The money was taken.
        Captured = "captured",
        /// It was refused.
        Declined = "declined",
        /// Nothing was taken, and nothing will be.
        Voided = "voided",
        /// It is to be taken at the door.
        DueOnDelivery = "due_on_delivery",
        /// All that was to be taken at the door was.
        Collected = "collected",
        /// The money was taken, and some of it was given back.
        PartiallyRefunded = "partially_refunded",
        /// The money was taken and given back.
        Refunded = "refunded",
        /// The money was taken, and a bank decides whose it is.
        Disputed = "disputed",
    }
);

named_status!(
    /// How a vendor's share of an order stands.
    SubOrderStatus {
        /// The vendor was asked to hold it.
        Placed = "placed",
        /// The vendor holds it.
        Held = "held",
        /// The vendor refused it.
        Rejected = "rejected",
        /// It is paid for; the vendor's stock follows.
        Paid = "paid",
        /// The vendor let it go.
        Released = "released",
        /// Some of it is packed.
        PartiallyPacked = "partially_packed",
        /// All that is left of it is packed.
        Packed = "packed",
        /// Some of it is on its way.
        PartiallyShipped = "partially_shipped",
        /// All that is left of it is on its way, or was.
        Shipped = "shipped",
        /// Some of it has arrived.
        PartiallyDelivered = "partially_delivered",
        /// All that is left of it has arrived.
        Delivered = "delivered",
        /// All of it was cancelled after it was paid.
        Cancelled = "cancelled",
        /// The buyer has nothing of it: it came back, or was given back.
        Returned = "returned",
    }
);
