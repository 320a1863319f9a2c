//! Entities that wait for someone, or have waited too long for an answer. The store tells where they are: whoever waits for an answer
//! is to be woken since then, and whoever waits for people at a moment of its own ([`FOR_SOMEONE`]).

use crate::actors::shop::Shop;
use crate::domain::entity::FOR_SOMEONE;
use crate::domain::ids::{EntityRef, Kind};
use crate::limits;
use crate::ports::{Due, StoreError};
use uuid::Uuid;

/// Where those begin that wait for people.
fn for_someone() -> Due {
    (EntityRef { kind: Kind::ALL[0], uuid: Uuid::nil() }, FOR_SOMEONE)
}

impl Shop {
    /// Entities that may be stuck, the longest first, after a place: those that wait for an answer, then those that
    /// wait for people.
    ///
    /// # Errors
    /// The store cannot be read.
    pub(crate) async fn perhaps_stuck(&self, after: Option<Due>, limit: u32) -> Result<Vec<Due>, StoreError> {
        let snapshots = &self.node().snapshots;
        let mut found = Vec::new();
        if after.is_none_or(|(_, at)| at < FOR_SOMEONE) {
            let since = self.clock().now().plus_millis(-limits::STUCK_AFTER_MS);
            found = snapshots.due(since, after, limit).await?;
        }
        let left = limit.saturating_sub(u32::try_from(found.len()).unwrap_or(limit));
        if left > 0 {
            let after = after.filter(|(_, at)| *at >= FOR_SOMEONE).unwrap_or_else(for_someone);
            found.extend(snapshots.due(FOR_SOMEONE, Some(after), left).await?);
        }
        Ok(found)
    }
}
