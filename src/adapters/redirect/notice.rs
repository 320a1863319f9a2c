//! The platform's notices: which order they are about.

use super::order_of;
use crate::ports::{Notice, Payment};
use serde::Deserialize;

/// What happens after a payment was taken. A notice of anything else is one of the payment itself.
const AFTER: [&str; 2] = ["refund.updated", "dispute.updated"];

#[derive(Deserialize)]
struct Event {
    #[serde(default, rename = "type")]
    kind: Option<String>,
    data: About,
}

#[derive(Deserialize)]
struct About {
    payment: String,
}

/// What a notice is about, once it is known whose it is.
pub(super) fn read(body: &[u8]) -> Notice {
    let Ok(event) = serde_json::from_slice::<Event>(body) else { return Notice::Other };
    let is_after = event.kind.as_deref().is_some_and(|kind| AFTER.contains(&kind));
    match order_of(&event.data.payment) {
        None => Notice::Other,
        Some(order) if is_after => Notice::After(Payment::Of(order)),
        Some(order) => Notice::Order(order),
    }
}
