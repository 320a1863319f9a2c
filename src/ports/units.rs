//! The port of services' rows. What a service writes is a *unit*: a closed list of statements with their guards, made ready before it is handed over
//! and written whole or not at all. The statements are made in the room of the stores; to everyone else a unit is opaque.

use super::StoreError;
use crate::domain::time::Timestamp;
use async_trait::async_trait;
use uuid::Uuid;

/// What a statement is given for one of its parameters, or gives for one of its columns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// An id, or a number of 128 bits.
    Uuid(Option<Uuid>),
    /// A number.
    Integer(Option<i64>),
    /// A text.
    Text(Option<String>),
    /// A moment.
    Moment(Timestamp),
}

/// What a column of an answer holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueKind {
    /// An id, or nothing.
    Uuid,
    /// A number, or nothing.
    Integer,
    /// A text, or nothing.
    Text,
    /// A moment.
    Moment,
}

/// One statement, understood by both stores, with parameters `$1`, `$2`, ….
#[derive(Clone, Debug)]
pub struct Statement {
    text: &'static str,
    values: Vec<Value>,
    changes: Option<u64>,
}

impl Statement {
    /// The statement with these parameters.
    pub fn new(text: &'static str, values: Vec<Value>) -> Self {
        Self { text, values, changes: None }
    }

    /// The same with a guard: it must change so many rows, or its unit ends there and leaves nothing.
    #[must_use]
    pub fn that_changes(mut self, rows: u64) -> Self {
        self.changes = Some(rows);
        self
    }

    /// Its text.
    pub fn text(&self) -> &'static str {
        self.text
    }

    /// Its parameters.
    pub fn values(&self) -> &[Value] {
        &self.values
    }

    /// How many rows it must change, if that is said.
    pub fn must_change(&self) -> Option<u64> {
        self.changes
    }
}

/// Statements that are written together or not at all.
#[derive(Clone, Debug, Default)]
pub struct Unit(Vec<Statement>);

impl Unit {
    /// These statements, in this order.
    pub fn new(statements: Vec<Statement>) -> Self {
        Self(statements)
    }

    /// Its statements.
    pub fn statements(&self) -> &[Statement] {
        &self.0
    }
}

/// How a unit ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnitEnd {
    /// It is written, and durable.
    Done,
    /// Nothing is written: the statement at this place, from 0, changed another number of rows than it must.
    Stopped(usize),
    /// Nothing is written: the statement at this place met a row of its key.
    Taken(usize),
}

/// Why it is not known that a unit ended well.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnitError {
    /// Nothing is written: too many wait.
    #[error("too many writes of services wait")]
    Busy,
    /// Nothing is written: the store cannot be used now.
    #[error("the store is unavailable: {0}")]
    Unavailable(String),
    /// It may be written or not: the store gave no answer to the commit.
    #[error("the store did not say whether it has written: {0}")]
    Unknown(String),
    /// Nothing is written, and never will be: the statement makes no sense to this store, or the store was opened for reading.
    #[error("{0}")]
    Invalid(String),
}

impl From<StoreError> for UnitError {
    /// Of what was not a commit.
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Invalid(said) => Self::Invalid(said),
            other => Self::Unavailable(other.to_string()),
        }
    }
}

/// The rows of services.
#[async_trait]
pub trait Units: Send + Sync {
    /// Writes a unit. On the embedded store it waits its turn between two batches of the journal, together with others.
    ///
    /// # Errors
    /// See [`UnitError`].
    async fn run(&self, unit: Unit) -> Result<UnitEnd, UnitError>;

    /// What a statement that only reads gives: for each row the values of these columns. All of it is of one moment.
    ///
    /// # Errors
    /// Unavailable, and Invalid when the statement makes no sense to this store or a column holds something else.
    async fn read(&self, statement: Statement, columns: &[ValueKind]) -> Result<Vec<Vec<Value>>, StoreError>;
}
