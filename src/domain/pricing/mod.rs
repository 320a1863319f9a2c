//! What an order costs: promotions, shipping, fees and taxes over its lines, computed once and never again.

pub mod promotion;

pub use promotion::{Promotion, PromotionKind, Scope};
