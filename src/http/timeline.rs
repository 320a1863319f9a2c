//! One thing that happened to an order, in the public vocabulary.

use crate::domain::ids::{AccountId, ShipmentId, VendorId};
use crate::domain::money::{Currency, Money};
use crate::domain::order::TimelineEntry;
use crate::http::money::{Moment, MoneyBody};
use crate::http::resolve::ResolutionBody;
use serde::Serialize;
use utoipa::ToSchema;

/// One thing that happened.
#[derive(Debug, Serialize, ToSchema)]
pub struct TimelineItem<'a> {
    /// Its number, from 1.
    #[schema(example = 1, minimum = 1)]
    seq: u64,
    /// When.
    at: Moment,
    /// What: `placed`, `stock_held`, `stock_refused`, `priced`, `price_changed`, `bill_refused`, `payment_requested`, `payment_action_required`, `paid`, `payment_failed`,
    /// `cancel_requested`, `payment_deadline_passed`, `payment_voided`, `payment_refunded`, `stock_committed`,
    /// `stock_released`, `cancelled_units`, `credited`, `refund_requested`, `refund_pending`, `refund_succeeded`, `refund_failed`, `refund_retried`,
    /// `refund_marked_paid`, `packed`, `unpacked`, `put_on_hold`, `resumed`, `shipment_created`, `shipment_handed_over`, `shipment_delivered`,
    /// `shipment_cancelled`, `shipment_returned`, `shipment_lost`, `shipment_corrected` (to what stands as `reason`), `shipment_booked`, `booking_refused`, `shipment_cancelling`, `shipment_cancel_refused`,
    /// `shipment_astray`, `cancel_wished` (it waits for a courier), `cancel_refused`, `acceptance_overdue` (nothing of a share was packed in time), `return_requested`, `return_excepted` (its time was over), `return_approved`,
    /// `return_denied`, `return_received`, `return_closed`, `return_cancelled`, `quarantined`, `resolved`, `attached` (to the account that has verified the address), or the status in
    /// which it ended.
    #[schema(example = "stock_held")]
    r#type: &'a str,
    /// Whom it concerns, how much, and why, where that can be told.
    data: TimelineData<'a>,
}

/// What more there is to tell.
#[derive(Debug, Serialize, ToSchema)]
pub struct TimelineData<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    vendor_id: Option<VendorId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    amount: Option<MoneyBody>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    /// Which parcel it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    shipment_id: Option<ShipmentId>,
    /// Who did it, where it was neither the buyer nor the shop by itself: `vendor` or `staff`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "staff")]
    by: Option<&'static str>,
    /// With which account; shown to the staff alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    account_id: Option<AccountId>,
    /// With `resolved`: who it was, and what they say; shown to the staff alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    resolution: Option<ResolutionBody<'a>>,
}

impl<'a> TimelineItem<'a> {
    /// From the order's own entry.
    pub fn new(entry: &'a TimelineEntry, seq: u64, currency: Currency) -> Self {
        Self {
            seq,
            at: Moment(entry.at),
            r#type: &entry.kind,
            data: TimelineData {
                vendor_id: entry.vendor,
                amount: entry.amount.map(|minor| MoneyBody(Money::new(minor, entry.currency.unwrap_or(currency)))),
                reason: entry.reason.as_deref(),
                shipment_id: entry.shipment,
                by: entry.by.map(|by| by.kind.name()),
                account_id: entry.by.and_then(|by| by.account),
                resolution: entry.resolution.as_deref().map(ResolutionBody::new),
            },
        }
    }
}
