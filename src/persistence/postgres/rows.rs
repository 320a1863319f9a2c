//! How rows of the read tables are written and read on Postgres: one statement per table, its columns as arrays.

use super::remakes;
use super::upserts::big;
use crate::domain::rows::{CouponRow, CustomerRow, OrderRow, ProductRow, Rows, SaleRow, SkuRow, VendorRow};
use crate::persistence::table::{Cell, Cells, Column, Sort, Stamp, Table, on_conflict, stamp_names};
use crate::persistence::tables::{ParcelOf, ReturnOf, ShareOf};
use crate::persistence::values::{Moment, Uuids};
use crate::ports::{EntityDelta, StoreError};
use sqlx::postgres::{PgArguments, PgConnection, PgRow, Postgres};
use sqlx::query::Query;
use sqlx::{AssertSqlSafe, Row};
use uuid::Uuid;

/// The type whose array carries such a column, and the column made of an element.
const fn carried_by(sort: Sort) -> (&'static str, &'static str) {
    match sort {
        Sort::Uuid => ("uuid", ""),
        Sort::Integer => ("bigint", ""),
        Sort::Text => ("text", ""),
        Sort::Moment => ("timestamptz", ""),
        // An array's elements are of one length: these travel as text.
        Sort::Uuids => ("text", "::uuid[]"),
        Sort::Document => ("text", "::jsonb"),
    }
}

/// How rows of this table are inserted.
fn insert<T: Table>() -> String {
    let stamp = stamp_names::<T>().iter().map(|name| (*name, Sort::Integer));
    let (mut columns, mut made, mut arrays) = (Vec::new(), Vec::new(), Vec::new());
    for (number, (name, sort)) in (1..).zip(T::COLUMNS.iter().map(|column| (column.name, column.sort)).chain(stamp)) {
        let (carrier, cast) = carried_by(sort);
        columns.push(name);
        made.push(format!("{name}{cast}"));
        arrays.push(format!("${number}::{carrier}[]"));
    }
    let columns = columns.join(", ");
    let (name, made, arrays) = (T::NAME, made.join(", "), arrays.join(", "));
    format!("INSERT INTO {name} ({columns}) SELECT {made} FROM UNNEST({arrays}) AS new ({columns})")
}

/// The columns of a table as a query names them.
pub(super) fn selected<T: Table>(prefix: &str) -> String {
    let of = |column: &Column| match column.sort {
        Sort::Document => format!("{prefix}{}::text", column.name),
        _ => format!("{prefix}{}", column.name),
    };
    T::COLUMNS.iter().map(of).collect::<Vec<_>>().join(", ")
}

/// A row whose first columns are a table's.
struct Selected<'r> {
    row: &'r PgRow,
    next: usize,
}

impl Cells for Selected<'_> {
    fn next(&mut self, sort: Sort) -> Result<Cell<'static>, StoreError> {
        let (row, at) = (self.row, self.next);
        self.next += 1;
        let cell = match sort {
            Sort::Uuid => row.try_get(at).map(Cell::Uuid),
            Sort::Integer => row.try_get(at).map(Cell::Integer),
            Sort::Text => row.try_get::<Option<String>, _>(at).map(|text| Cell::Text(text.map(Into::into))),
            Sort::Moment => row.try_get::<Moment, _>(at).map(|moment| Cell::Moment(moment.0)),
            Sort::Uuids => row.try_get::<Uuids, _>(at).map(|uuids| Cell::Uuids(uuids.0)),
            Sort::Document => row.try_get(at).map(Cell::Document),
        };
        cell.map_err(crate::persistence::slot::store_error)
    }
}

/// Reads a row whose first columns are [`selected`].
pub(super) fn read<T: Table>(row: &PgRow) -> Result<T::Row, StoreError> {
    T::read(&mut Selected { row, next: 0 })
}

/// One column of many rows.
enum Array<'a> {
    Uuid(Vec<Option<Uuid>>),
    Integer(Vec<Option<i64>>),
    Text(Vec<Option<std::borrow::Cow<'a, str>>>),
    Moment(Vec<Moment>),
    Written(Vec<String>),
}

impl<'a> Array<'a> {
    fn new(sort: Sort, rows: usize) -> Self {
        match sort {
            Sort::Uuid => Self::Uuid(Vec::with_capacity(rows)),
            Sort::Integer => Self::Integer(Vec::with_capacity(rows)),
            Sort::Text => Self::Text(Vec::with_capacity(rows)),
            Sort::Moment => Self::Moment(Vec::with_capacity(rows)),
            Sort::Uuids | Sort::Document => Self::Written(Vec::with_capacity(rows)),
        }
    }

    /// # Panics
    /// When a table gives a cell that is not of its column's sort, which is a fault in what it says of itself.
    fn push(&mut self, cell: Cell<'a>) {
        match (self, cell) {
            (Self::Uuid(all), Cell::Uuid(one)) => all.push(one),
            (Self::Integer(all), Cell::Integer(one)) => all.push(one),
            (Self::Text(all), Cell::Text(one)) => all.push(one),
            (Self::Moment(all), Cell::Moment(one)) => all.push(Moment(one)),
            (Self::Written(all), Cell::Document(one)) => all.push(one),
            (Self::Written(all), Cell::Uuids(uuids)) => {
                all.push(format!("{{{}}}", uuids.iter().map(Uuid::to_string).collect::<Vec<_>>().join(",")));
            }
            (_, cell) => panic!("a table says another sort of column than {cell:?}"),
        }
    }

    fn bind(self, query: Query<'_, Postgres, PgArguments>) -> Query<'_, Postgres, PgArguments> {
        match self {
            Self::Uuid(all) => query.bind(all),
            Self::Integer(all) => query.bind(all),
            Self::Text(all) => query.bind(all.iter().map(Option::as_deref).collect::<Vec<_>>()),
            Self::Moment(all) => query.bind(all),
            Self::Written(all) => query.bind(all),
        }
    }
}

/// Writes these rows, each with the stamp of its entity; whether there were any.
async fn write<T: Table + Sync>(
    connection: &mut PgConnection,
    rows: &[(impl std::borrow::Borrow<T> + Sync, Stamp)],
    fresh: bool,
) -> Result<bool, sqlx::Error> {
    if rows.is_empty() {
        return Ok(false);
    }
    let sql = if fresh { insert::<T>() } else { insert::<T>() + &on_conflict::<T>() };
    let mut arrays: Vec<Array<'_>> = T::COLUMNS.iter().map(|column| Array::new(column.sort, rows.len())).collect();
    for (row, _) in rows {
        let mut arrays = arrays.iter_mut();
        row.borrow().cells(&mut |cell| {
            arrays.next().expect("a table gives as many cells as it has columns").push(cell);
        });
    }
    let query = arrays.into_iter().fold(sqlx::query(AssertSqlSafe(sql)), |query, array| array.bind(query));
    let mut query = query.bind(rows.iter().map(|(_, stamp)| stamp.version).collect::<Vec<_>>());
    if T::OWNER.is_some() {
        query = query.bind(rows.iter().map(|(_, stamp)| i64::from(stamp.shape)).collect::<Vec<_>>());
    }
    query.execute(connection).await?;
    Ok(true)
}

/// Writes rows that are never written again.
pub(super) async fn append<T: Table + Sync>(
    connection: &mut PgConnection,
    rows: &[(impl std::borrow::Borrow<T> + Sync, Stamp)],
) -> Result<(), sqlx::Error> {
    write::<T>(connection, rows, true).await.map(|_| ())
}

/// Writes the rows of these entities, and has every constraint checked. What is refused comes back as an error. Rows of a fresh entity are
/// inserted, unless `all_known` says that some of them were there. `all_rows` says that they have no others.
pub(super) async fn rows(
    connection: &mut PgConnection,
    entities: &[EntityDelta],
    all_known: bool,
    all_rows: bool,
) -> Result<Option<String>, sqlx::Error> {
    let (new, known): (Vec<&EntityDelta>, Vec<&EntityDelta>) =
        entities.iter().partition(|delta| delta.fresh && !all_known);
    let mut wrote = false;
    for (entities, fresh) in [(known, false), (new, true)] {
        wrote |= write::<VendorRow>(connection, &rows_of(&entities, |rows| &rows.vendors), fresh).await?;
        wrote |= write::<ProductRow>(connection, &rows_of(&entities, |rows| &rows.products), fresh).await?;
        wrote |= write::<SkuRow>(connection, &rows_of(&entities, |rows| &rows.skus), fresh).await?;
        wrote |= write::<CouponRow>(connection, &rows_of(&entities, |rows| &rows.coupons), fresh).await?;
        wrote |= write::<SaleRow>(connection, &rows_of(&entities, |rows| &rows.sales), fresh).await?;
        wrote |= write::<CustomerRow>(connection, &rows_of(&entities, |rows| &rows.customers), fresh).await?;
        let orders = rows_of(&entities, |rows| &rows.orders);
        wrote |= write::<OrderRow>(connection, &orders, fresh).await?;
        let shares = orders.iter().flat_map(|(order, stamp)| ShareOf::all(order).map(|share| (share, *stamp)));
        wrote |= write::<ShareOf<'_>>(connection, &shares.collect::<Vec<_>>(), fresh).await?;
        let parcels = orders.iter().flat_map(|(order, stamp)| ParcelOf::all(order).map(|parcel| (parcel, *stamp)));
        wrote |= write::<ParcelOf<'_>>(connection, &parcels.collect::<Vec<_>>(), fresh).await?;
        let returns = orders.iter().flat_map(|(order, stamp)| ReturnOf::all(order).map(|known| (known, *stamp)));
        wrote |= write::<ReturnOf<'_>>(connection, &returns.collect::<Vec<_>>(), fresh).await?;
    }
    if all_rows {
        wrote |= remakes::delete_former(connection, entities).await?;
    }
    if wrote {
        sqlx::raw_sql("SET CONSTRAINTS ALL IMMEDIATE; SET CONSTRAINTS ALL DEFERRED").execute(&mut *connection).await?;
    }
    Ok(None)
}

/// The rows of one table, each with the stamp of its entity.
fn rows_of<'a, T>(entities: &[&'a EntityDelta], table: fn(&'a Rows) -> &'a [T]) -> Vec<(&'a T, Stamp)> {
    let stamp = |delta: &EntityDelta| Stamp { version: big(delta.version), shape: delta.shape };
    entities.iter().flat_map(|delta| table(&delta.rows).iter().map(move |row| (row, stamp(delta)))).collect()
}
