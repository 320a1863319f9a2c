//! Couriers: which there are.

use super::AppError;
use crate::adapters::courier::PlatformCourier;
use crate::config::Config;
use crate::ports::couriers::Courier;
use std::sync::Arc;

/// The couriers that are configured.
///
/// # Errors
/// When one of them cannot be asked.
pub(super) fn couriers(config: &Config) -> Result<Vec<Arc<dyn Courier>>, AppError> {
    let platform = config.courier.as_ref().map(PlatformCourier::new).transpose().map_err(AppError::Courier)?;
    Ok(platform.map(|platform| Arc::new(platform) as _).into_iter().collect())
}
