//! What an entity has gone through, for whoever looks at it.

use super::StoreError;
use crate::domain::ids::EntityRef;
use crate::domain::time::Timestamp;
use async_trait::async_trait;
use serde_json::Value;

/// Which part of an entity's life is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The first version; the last ones, where it is not said.
    pub from: Option<u64>,
    /// No version after this one.
    pub upto: u64,
    /// So many versions at most.
    pub most: usize,
}

/// One version of an entity.
#[derive(Clone, Debug, PartialEq)]
pub struct LifeVersion {
    /// Its number.
    pub version: u64,
    /// When its record was made.
    pub at: Timestamp,
    /// What happened, as it stands in the journal.
    pub events: Vec<Value>,
    /// Answers that were kept with it.
    pub answers_kept: usize,
    /// The state that it makes, in a few figures.
    pub state: Value,
}

/// A part of an entity's life.
#[derive(Clone, Debug, PartialEq)]
pub struct Life {
    /// The state before the first of the versions.
    pub before: Value,
    /// Versions, the oldest first.
    pub versions: Vec<LifeVersion>,
    /// The version whose record cannot be read, or makes no state, if the life ends with one.
    pub unreadable: Option<u64>,
}

/// Why there is nothing to show of a life.
#[derive(Debug, thiserror::Error)]
pub enum NoLife {
    /// One is being read, and one is read at a time.
    #[error("another life is being read")]
    Busy,
    /// It took longer than it may.
    #[error("it takes too long to read it")]
    TooLong,
    /// Its first records were moved to an archive that the server does not know.
    #[error("its first records are in an archive")]
    Archived,
    /// The store cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The lives of entities.
#[async_trait]
pub trait Lives: Send + Sync + 'static {
    /// A part of the life of `entity`; without any version, where the journal has no record of it there.
    ///
    /// # Errors
    /// Why there is nothing to show.
    async fn life(&self, entity: EntityRef, span: Span) -> Result<Life, NoLife>;
}
