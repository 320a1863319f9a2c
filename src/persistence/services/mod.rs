//! The repositories of services: statements that both stores understand, said once. How a unit of them is written is the stores' matter
//! (`sqlite/units.rs`, `postgres/units.rs`).

mod acceptance;
pub(super) mod accounts;
mod categories;
pub(super) mod couriers;
pub(super) mod kept;
mod own;
pub(super) mod payments;
mod price_tables;

use crate::persistence::table::{Cell, Cells, Sort, Table};
use crate::ports::StoreError;
use crate::ports::units::{Statement, Units, Value, ValueKind};
use crate::services::acceptance::AcceptanceRows;
use crate::services::accounts::{AccountRows, OwnRows};
use crate::services::categories::CategoryRows;
use crate::services::couriers::TrackingRows;
use crate::services::kept::KeptAnswers;
use crate::services::payments::PaymentRows;
use crate::services::price_tables::PriceTableRows;
use std::sync::Arc;

/// Adds a job, once.
const ADD_JOB: &str = "
    INSERT INTO jobs (id, kind, target, state, about_kind, about, tries, made_at, next_at, version)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 0) ON CONFLICT DO NOTHING";

/// The repositories of all services.
#[derive(Clone)]
pub struct Repositories {
    /// The jobs of shares that nobody has begun in time.
    pub acceptance: Arc<dyn AcceptanceRows>,
    /// Accounts and sessions.
    pub accounts: Arc<dyn AccountRows>,
    /// What accounts have of their own.
    pub own: Arc<dyn OwnRows>,
    /// Categories.
    pub categories: Arc<dyn CategoryRows>,
    /// What couriers tell of parcels.
    pub tracking: Arc<dyn TrackingRows>,
    /// What comes after payments.
    pub payments: Arc<dyn PaymentRows>,
    /// The tables by which bills are made.
    pub price_tables: Arc<dyn PriceTableRows>,
    /// Answers under idempotency keys.
    pub kept: Arc<dyn KeptAnswers>,
}

impl Repositories {
    /// On the store whose units these are.
    pub fn new(units: &Arc<dyn Units>) -> Self {
        Self {
            acceptance: Arc::new(acceptance::Rows(units.clone())),
            accounts: Arc::new(accounts::Rows(units.clone())),
            own: Arc::new(accounts::Rows(units.clone())),
            categories: Arc::new(categories::Rows(units.clone())),
            tracking: Arc::new(couriers::Rows(units.clone())),
            payments: Arc::new(payments::Rows(units.clone())),
            price_tables: Arc::new(price_tables::Rows(units.clone())),
            kept: Arc::new(kept::Rows(units.clone())),
        }
    }
}

impl Sort {
    fn kind(self) -> Option<ValueKind> {
        match self {
            Sort::Uuid => Some(ValueKind::Uuid),
            Sort::Integer => Some(ValueKind::Integer),
            Sort::Text => Some(ValueKind::Text),
            Sort::Moment => Some(ValueKind::Moment),
            Sort::Uuids | Sort::Document => None,
        }
    }
}

fn no_value() -> StoreError {
    StoreError::Invalid("a service's table has a column of a sort that units do not know".to_owned())
}

/// The values of a row, in the order of its table's columns.
fn values<T: Table>(row: &T) -> Result<Vec<Value>, StoreError> {
    let mut values = Vec::with_capacity(T::COLUMNS.len());
    row.cells(&mut |cell| {
        values.push(match cell {
            Cell::Uuid(uuid) => Ok(Value::Uuid(uuid)),
            Cell::Integer(number) => Ok(Value::Integer(number)),
            Cell::Text(text) => Ok(Value::Text(text.map(Into::into))),
            Cell::Moment(at) => Ok(Value::Moment(at)),
            Cell::Uuids(_) | Cell::Document(_) => Err(no_value()),
        });
    });
    values.into_iter().collect()
}

/// The values of a row as a table reads them.
struct Read<I>(I);

impl<I: Iterator<Item = Value>> Cells for Read<I> {
    fn next(&mut self, _: Sort) -> Result<Cell<'static>, StoreError> {
        match self.0.next().ok_or_else(no_value)? {
            Value::Uuid(uuid) => Ok(Cell::Uuid(uuid)),
            Value::Integer(number) => Ok(Cell::Integer(number)),
            Value::Text(text) => Ok(Cell::Text(text.map(Into::into))),
            Value::Moment(at) => Ok(Cell::Moment(at)),
        }
    }
}

/// The rows of a statement that selects a table's columns in their order.
async fn select<T: Table>(units: &dyn Units, statement: Statement) -> Result<Vec<T::Row>, StoreError> {
    let kinds = T::COLUMNS.iter().map(|column| column.sort.kind().ok_or_else(no_value));
    let kinds: Vec<ValueKind> = kinds.collect::<Result<_, _>>()?;
    let rows = units.read(statement, &kinds).await?;
    rows.into_iter().map(|row| T::read(&mut Read(row.into_iter()))).collect()
}

/// The one number that a statement selects.
async fn number(units: &dyn Units, statement: Statement) -> Result<Option<i64>, StoreError> {
    let rows = units.read(statement, &[ValueKind::Integer]).await?;
    Ok(rows.into_iter().flatten().find_map(|value| if let Value::Integer(number) = value { number } else { None }))
}
