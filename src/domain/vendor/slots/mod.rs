//! Delivery slots: windows of a day in which a vendor brings only so many orders to the door.
//!
//! ```text
//!  shown from here on              cut-off       starts_at      ends_at
//!  ───────┼────────────── open ───────┼── closed ───┼────────────┼──────────▶
//!         └ days_ahead days before                  local times, in the plan's zone
//! ```
//!
//! A slot is held with an order's stock, in the same hold, and ends with it: what the hold gives back gives the slot back, and what it sells
//! sells the slot. So no window is promised to more orders than it has room for, and no order that holds one loses it, whatever becomes
//! of the plan.

mod held;
mod plan;

pub(super) use held::{Booked, Delivery, Moves};
pub use plan::{Day, DeliveryPlan, DeliveryWindow, NoSlot, Slot, SlotId, SlotRefused};

#[cfg(test)]
mod tests;
