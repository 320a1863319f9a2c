//! What a start says of payment methods.

use super::AppError;
use crate::ports::Queries;

/// Tells of orders that are to be paid by a method that is not configured any more: nobody takes their money, and
/// nobody can give back what was taken, so they wait until it is configured again.
///
/// # Errors
/// What the store says.
pub(super) async fn tell_of_orphans(queries: &dyn Queries, configured: &[&str]) -> Result<(), AppError> {
    if configured.is_empty() {
        tracing::warn!(
            "no payment method is configured: every checkout is refused (HAAT_STRIPE_KEY has cards taken, --sandbox switches the built-in one on)"
        );
    }
    for (method, orders) in queries.unpaid_by_method().await? {
        if !configured.contains(&method.as_str()) {
            tracing::warn!(method, orders, "unpaid orders wait for a payment method that is not configured any more");
        }
    }
    Ok(())
}
