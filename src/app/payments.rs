//! Payment methods: which there are, and what a start says of them.

use super::AppError;
use crate::adapters::redirect::Redirect;
use crate::adapters::sandbox::SandboxGateway;
use crate::adapters::stripe::Stripe;
use crate::config::Config;
use crate::ports::{PaymentProvider, Queries};
use std::sync::Arc;

/// The payment providers that are configured.
///
/// # Errors
/// When one of them cannot be asked.
pub(super) fn providers(
    config: &Config,
    sandbox: Option<&Arc<SandboxGateway>>,
) -> Result<Vec<Arc<dyn PaymentProvider>>, AppError> {
    let mut providers: Vec<Arc<dyn PaymentProvider>> = sandbox.map(|it| it.clone() as _).into_iter().collect();
    if let Some(stripe) = &config.stripe {
        providers.push(Arc::new(Stripe::new(stripe)?));
    }
    if let Some(redirect) = &config.redirect {
        providers.push(Arc::new(Redirect::new(redirect).map_err(AppError::Redirect)?));
    }
    Ok(providers)
}

/// Tells of orders that are to be paid by a method that is not configured any more: nobody takes their money, and
/// nobody can give back what was taken, so they wait until it is configured again.
///
/// # Errors
/// What the store says.
pub(super) async fn tell_of_orphans(
    queries: &dyn Queries,
    configured: &[Arc<dyn PaymentProvider>],
) -> Result<(), AppError> {
    if configured.is_empty() {
        tracing::warn!(
            "no payment method is configured: every checkout is refused (HAAT_STRIPE_KEY has cards taken, HAAT_REDIRECT_URL has a platform of your own take the money, --sandbox switches the built-in one on)"
        );
    }
    for (method, orders) in queries.unpaid_by_method().await? {
        if !configured.iter().any(|provider| provider.method() == method) {
            tracing::warn!(method, orders, "unpaid orders wait for a payment method that is not configured any more");
        }
    }
    Ok(())
}
