//! Statements of services: run and read in the same way on both stores.

use super::{Db, Inner, LOOKUPS_STAY_PREPARED};
use crate::persistence::slot::{ErrorKind, kind, store_error, within};
use crate::persistence::values::Moment;
use crate::ports::StoreError;
use crate::ports::units::{Statement, Unit, UnitEnd, Value, ValueKind};
use sqlx::query::Query;
use sqlx::{Database, Row, Transaction};

type Bound<'q> = Query<'q, Db, <Db as Database>::Arguments>;

fn bound(statement: &Statement) -> Bound<'_> {
    let query = sqlx::query(statement.text()).persistent(LOOKUPS_STAY_PREPARED);
    statement.values().iter().fold(query, |query, value| match value {
        Value::Uuid(uuid) => query.bind(*uuid),
        Value::Integer(number) => query.bind(*number),
        Value::Text(text) => query.bind(text.as_deref()),
        Value::Moment(at) => query.bind(Moment(*at)),
    })
}

/// Runs the statements of a unit. Unless it is done, the caller takes back what they wrote.
pub(super) async fn fill(transaction: &mut Transaction<'_, Db>, unit: &Unit) -> Result<UnitEnd, sqlx::Error> {
    for (place, statement) in unit.statements().iter().enumerate() {
        match bound(statement).execute(&mut **transaction).await {
            Ok(done) if statement.must_change().is_some_and(|rows| rows != done.rows_affected()) => {
                return Ok(UnitEnd::Stopped(place));
            }
            Ok(_) => {}
            Err(error) if kind(&error) == ErrorKind::Duplicate => return Ok(UnitEnd::Taken(place)),
            Err(error) => return Err(error),
        }
    }
    Ok(UnitEnd::Done)
}

fn value(row: &<Db as Database>::Row, place: usize, kind: ValueKind) -> Result<Value, sqlx::Error> {
    Ok(match kind {
        ValueKind::Uuid => Value::Uuid(row.try_get(place)?),
        ValueKind::Integer => Value::Integer(row.try_get(place)?),
        ValueKind::Text => Value::Text(row.try_get(place)?),
        ValueKind::Moment => Value::Moment(row.try_get::<Moment, _>(place)?.0),
    })
}

impl Inner {
    /// What a statement that only reads gives.
    pub(super) async fn read_rows(
        &self,
        statement: &Statement,
        columns: &[ValueKind],
    ) -> Result<Vec<Vec<Value>>, StoreError> {
        let rows = within(self.query_timeout, bound(statement).fetch_all(&self.lists)).await?;
        let values = |row| {
            let values = columns.iter().enumerate().map(|(place, kind)| value(row, place, *kind));
            values.collect::<Result<Vec<_>, _>>().map_err(store_error)
        };
        rows.iter().map(values).collect()
    }
}
