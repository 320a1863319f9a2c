//! What an order costs: promotions, shipping, fees and taxes over its lines, computed once and never again.
//!
//! Pure: the tables and the terms come in, a [`Bill`] goes out. Amounts are whole minor units; percentages are whole numbers; sums are made
//! in 128 bits, and what does not fit 64 is refused. Roundings: [`discount_of`] and [`tax_of`], half up, once each; everything else
//! is split exactly ([`crate::domain::money::split`]).

pub mod bill;
pub mod credit;
pub mod discount;
pub mod promotion;
pub mod shipping;
pub mod tables;
pub mod tax;
#[cfg(test)]
mod tests;

pub use bill::{
    AppliedPromotion, Basket, Bill, BillLine, BillShare, Good, LineDiscount, LineTax, TaxGroup, applies_to_goods, bill,
    offers,
};
pub use discount::{Discountable, NotApplicable, discount, discount_of};
pub use promotion::{Promotion, PromotionKind, Scope};
pub use shipping::{Destination, Parcel, PreparedMethod, Rate, ShippingMethod, ShippingTables, Step, Zone};
pub use tables::Tables;
pub use tax::{PreparedTaxes, ShippingTax, TaxRate, TaxRow, TaxTables, tax_of};

use crate::domain::reject::Reject;

/// By this name orders are paid when they are delivered.
pub const ON_DELIVERY: &str = "cash_on_delivery";

/// The figure in 64 bits, short of their end, which stands for a sum that did not fit.
///
/// # Errors
/// [`Reject::AmountTooLarge`].
fn fits(figure: i128) -> Result<i64, Reject> {
    i64::try_from(figure).ok().filter(|figure| *figure < i64::MAX).ok_or(Reject::AmountTooLarge)
}

/// The sum of amounts.
///
/// # Errors
/// [`Reject::AmountTooLarge`].
fn sum(amounts: impl IntoIterator<Item = i64>) -> Result<i64, Reject> {
    fits(amounts.into_iter().map(i128::from).sum())
}
