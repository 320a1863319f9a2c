//! What handlers know of services, and how what comes of their writes is told.

use crate::checkout::quotes::QuoteKeys;
use crate::checkout::rooms::RoomKeys;
use crate::http::Settings;
use crate::http::error;
use crate::http::error::{OUTCOME_UNKNOWN, OVERLOADED, Problem, Result, UNAVAILABLE};
use crate::ports::Clock;
use crate::ports::units::UnitError;
use crate::services::accounts::Accounts;
use crate::services::categories::Categories;
use crate::services::couriers::Couriers;
use crate::services::kept::KeptAnswers;
use crate::services::payments::Payments;
use crate::services::price_tables::PriceTables;
use std::sync::Arc;

/// The services.
#[derive(Clone)]
pub struct Services {
    /// Accounts.
    pub accounts: Arc<Accounts>,
    /// Categories.
    pub categories: Arc<Categories>,
    /// What couriers tell of parcels.
    pub couriers: Arc<Couriers>,
    /// What comes after payments.
    pub payments: Arc<Payments>,
    /// The tables by which bills are made.
    pub price_tables: Arc<PriceTables>,
    /// What quotes are signed with.
    pub quotes: Arc<QuoteKeys>,
    /// What tickets of waiting rooms and entries are signed with.
    pub rooms: Arc<RoomKeys>,
    /// Their answers under idempotency keys.
    pub kept: Arc<dyn KeptAnswers>,
    /// Time.
    pub clock: Arc<dyn Clock>,
}

impl From<UnitError> for Problem {
    fn from(error: UnitError) -> Self {
        // What the store says is for the operator alone.
        match error {
            UnitError::Busy => Problem::new(&OVERLOADED, "too many changes wait").retry_after(1),
            UnitError::Unavailable(_) => {
                tracing::warn!(%error, "a service could not write");
                Problem::new(&UNAVAILABLE, "nothing can be written now").retry_after(1)
            }
            UnitError::Unknown(_) => {
                tracing::warn!(%error, "nobody knows whether a service has written");
                Problem::new(
                    &OUTCOME_UNKNOWN,
                    "look what has come of it; with an idempotency key it may be asked again",
                )
            }
            UnitError::Invalid(_) => {
                tracing::error!(%error, "what a service writes makes no sense to the store");
                Problem::new(&error::INTERNAL, "it cannot be written")
            }
        }
    }
}

/// Waits for a write of a service, as long as a request may take. The write itself may go on.
pub async fn written<T>(settings: &Settings, write: impl Future<Output = Result<T, UnitError>>) -> Result<T> {
    match tokio::time::timeout(settings.request_timeout, write).await {
        Ok(outcome) => Ok(outcome?),
        Err(_) => Err(UnitError::Unknown("it took longer than a request may".to_owned()).into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_of_a_write_has_its_status() {
        let said = || "the disk is full, at /var/lib".to_owned();
        for (error, status, code) in [
            (UnitError::Busy, 503, "overloaded"),
            (UnitError::Unavailable(said()), 503, "unavailable"),
            (UnitError::Unknown(said()), 504, "outcome_unknown"),
            (UnitError::Invalid(said()), 500, "internal"),
        ] {
            let problem = Problem::from(error);
            assert_eq!((problem.kind().status.as_u16(), problem.kind().code), (status, code));
            let body = String::from_utf8(problem.to_json("r-1")).unwrap();
            assert!(!body.contains("disk"), "{body}");
        }
    }
}
