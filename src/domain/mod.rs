//! The rules, pure: what a cart, an order, a vendor and a customer decide, and what must always hold. No clock, no randomness, no I/O.

pub mod backoff;
pub mod buyer;
pub mod cart;
pub mod coupon;
pub mod courier;
pub mod customer;
pub mod details;
pub mod entity;
pub mod hold;
pub mod ids;
pub mod invariants;
pub mod job;
pub mod json;
pub mod kinds;
pub mod knowledge;
pub mod money;
pub mod order;
pub mod payment;
pub mod pricing;
pub mod record;
pub mod reject;
pub mod rows;
pub mod text;
pub mod time;
pub mod vendor;
pub mod who;
