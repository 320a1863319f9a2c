//! Orders that stand still in the middle of their saga: which command panics whenever it is tried, how the order then stands, and how it is to
//! end when a later version takes it over.

use serde_json::{Value, json};

/// Whose command panics.
#[derive(Clone, Copy, PartialEq)]
pub enum Of {
    Cart,
    Order,
    /// The vendor of this number.
    Vendor(usize),
}

/// One of them.
pub struct Case {
    pub what: &'static str,
    /// The numbers of the vendors of whom one piece each is bought.
    pub vendors: &'static [usize],
    pub card: &'static str,
    /// Whose commands panic that begin so and concern this vendor, if one is named.
    pub faults: &'static [(Of, &'static str, Option<usize>)],
    /// Whether the buyer cancels once the payment runs.
    pub cancel: bool,
    /// The order's phase.
    pub phase: fn() -> Value,
    /// How far it knows its vendors to be.
    pub holds: &'static [&'static str],
    /// Its status at the end, when it is taken over after its time to be paid.
    pub ends: &'static str,
    /// And before.
    pub ends_in_time: &'static str,
}

/// Two whose steps succeed, one of whom steps fail, and one whose rows a constraint refuses.
pub const VENDORS: [&str; 4] = ["Nakshi", "Rupali", "Shital", "Jamdani"];
/// The vendor who fails.
pub const FAILING: usize = 2;
/// The vendor whose rows are refused.
pub const REFUSED: usize = 3;

const NOTHING: Case = Case {
    what: "",
    vendors: &[0],
    card: "tok_approve",
    faults: &[],
    cancel: false,
    phase: || json!("settled"),
    holds: &["committed"],
    ends: "paid",
    ends_in_time: "paid",
};

pub static CASES: [Case; 21] = [
    Case {
        what: "two vendors hold, and no acknowledgement is in",
        vendors: &[0, 1],
        faults: &[(Of::Order, "StockHeld", None)],
        phase: || json!("reserving"),
        holds: &["asked", "asked"],
        ends: "expired",
        ..NOTHING
    },
    Case {
        what: "two vendors hold, and one acknowledgement is in",
        vendors: &[0, 1],
        faults: &[(Of::Order, "StockHeld", Some(1))],
        phase: || json!("reserving"),
        holds: &["held", "asked"],
        ends: "expired",
        ..NOTHING
    },
    Case {
        what: "the payment runs, and nothing is taken",
        card: "tok_slow_60000",
        phase: || json!("paying"),
        holds: &["held"],
        ends: "expired",
        ..NOTHING
    },
    Case {
        what: "the payment runs, and its rows are refused",
        vendors: &[REFUSED],
        card: "tok_slow_60000",
        phase: || json!("paying"),
        holds: &["held"],
        ends: "expired",
        ..NOTHING
    },
    Case {
        what: "the payment is taken, and the order has not heard of it",
        faults: &[(Of::Order, "Charged", None)],
        phase: || json!("paying"),
        holds: &["held"],
        ..NOTHING
    },
    Case {
        what: "the payment is declined, and the order has not heard of it",
        card: "tok_decline",
        faults: &[(Of::Order, "Declined", None)],
        phase: || json!("paying"),
        holds: &["held"],
        ends: "payment_failed",
        ends_in_time: "payment_failed",
        ..NOTHING
    },
    Case {
        what: "the payment is voided, and the order has not heard of it",
        card: "tok_slow_60000",
        faults: &[(Of::Order, "Voided", None)],
        cancel: true,
        phase: || json!({"voiding": "cancelled"}),
        holds: &["held"],
        ends: "cancelled",
        ends_in_time: "cancelled",
        ..NOTHING
    },
    Case {
        what: "the payment is refunded, and the order has not heard of it",
        faults: &[(Of::Order, "Charged", None), (Of::Order, "Refunded", None)],
        cancel: true,
        phase: || json!({"voiding": "cancelled"}),
        holds: &["held"],
        ends: "cancelled",
        ends_in_time: "cancelled",
        ..NOTHING
    },
    Case {
        what: "the vendor has committed, and its acknowledgement is not recorded",
        faults: &[(Of::Order, "StockCommitted", None)],
        phase: || json!("settling"),
        holds: &["held"],
        ..NOTHING
    },
    Case {
        what: "two vendors have committed, and one acknowledgement is heard",
        vendors: &[0, 1],
        faults: &[(Of::Order, "StockCommitted", Some(1))],
        phase: || json!("settling"),
        holds: &["held", "held"],
        ..NOTHING
    },
    Case { what: "it is settled, and its cart is not closed", faults: &[(Of::Cart, "Close", None)], ..NOTHING },
    Case {
        what: "it is refused by one vendor, and the release by the other is not recorded",
        vendors: &[0, 1],
        faults: &[(Of::Vendor(1), "Reserve", None), (Of::Order, "StockReleased", None)],
        phase: || json!({"releasing": "rejected"}),
        holds: &["held", "refused"],
        ends: "rejected",
        ends_in_time: "rejected",
        ..NOTHING
    },
    Case {
        what: "it is declined, and one of two releases is recorded",
        vendors: &[0, 1],
        card: "tok_decline",
        faults: &[(Of::Order, "StockReleased", Some(1))],
        phase: || json!({"releasing": "payment_failed"}),
        holds: &["released", "held"],
        ends: "payment_failed",
        ends_in_time: "payment_failed",
        ..NOTHING
    },
    Case {
        what: "it is cancelled, and its release is not recorded",
        card: "tok_slow_60000",
        faults: &[(Of::Order, "StockReleased", None)],
        cancel: true,
        phase: || json!({"releasing": "cancelled"}),
        holds: &["held"],
        ends: "cancelled",
        ends_in_time: "cancelled",
        ..NOTHING
    },
    Case {
        what: "it is declined, and its cart is not open again",
        card: "tok_decline",
        faults: &[(Of::Cart, "Reopen", None)],
        phase: || json!({"reopening": "payment_failed"}),
        holds: &["released"],
        ends: "payment_failed",
        ends_in_time: "payment_failed",
        ..NOTHING
    },
    Case {
        what: "it is cancelled and its cart is open again, of which it has not heard",
        card: "tok_slow_60000",
        faults: &[(Of::Order, "CartReopened", None)],
        cancel: true,
        phase: || json!({"reopening": "cancelled"}),
        holds: &["released"],
        ends: "cancelled",
        ends_in_time: "cancelled",
        ..NOTHING
    },
    Case {
        what: "it is refused, and its cart is not open again",
        vendors: &[1],
        faults: &[(Of::Vendor(1), "Reserve", None), (Of::Cart, "Reopen", None)],
        phase: || json!({"reopening": "rejected"}),
        holds: &["refused"],
        ends: "rejected",
        ends_in_time: "rejected",
        ..NOTHING
    },
    Case {
        what: "it is quarantined, as its vendor could not sell",
        vendors: &[FAILING],
        faults: &[(Of::Vendor(FAILING), "Commit", None)],
        phase: || json!("quarantined"),
        holds: &["held"],
        ..NOTHING
    },
    Case {
        what: "it is quarantined, as its vendor could not let go",
        vendors: &[FAILING],
        card: "tok_decline",
        faults: &[(Of::Vendor(FAILING), "Release", None)],
        phase: || json!("quarantined"),
        holds: &["held"],
        ends: "awaiting_payment",
        ends_in_time: "awaiting_payment",
        ..NOTHING
    },
    Case { what: "it is settled", vendors: &[0, 1], holds: &["committed", "committed"], ..NOTHING },
    Case {
        what: "it has ended",
        card: "tok_decline",
        phase: || json!("ended"),
        holds: &["released"],
        ends: "payment_failed",
        ends_in_time: "payment_failed",
        ..NOTHING
    },
];
