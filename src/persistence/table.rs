//! What a table is to both stores: its name, its columns and its key, said once, from which each store makes how rows of it are written and
//! read. `tables` has them all.

use crate::domain::buyer::{Audience, Exemption, MailKey};
use crate::domain::courier::CourierStatus;
use crate::domain::ids::{
    AccountId, AddressId, CartId, CategoryId, CouponId, CustomerId, JobId, Kind, OrderId, ProductId, ReturnId, SaleId,
    SessionId, ShipmentId, SignUpId, SkuId, SubOrderId, VendorId,
};
use crate::domain::job::JobKind;
use crate::domain::money::Currency;
use crate::domain::order::{OrderStatus, PaymentStatus, ReturnStatus, ShipmentStatus, SubOrderStatus};
use crate::domain::time::Timestamp;
use crate::domain::vendor::{GoodsStatus, VendorStatus};
use crate::domain::who::ByKind;
use crate::ports::StoreError;
use std::borrow::Cow;
use uuid::Uuid;

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sort {
    /// An id.
    Uuid,
    /// A number.
    Integer,
    /// A text.
    Text,
    /// A moment.
    Moment,
    /// Ids in their order.
    Uuids,
    /// What nobody filters by, as JSON.
    Document,
}

/// A column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Column {
    pub(super) name: &'static str,
    pub(super) sort: Sort,
    /// Whether it is written when the row is made, and never again.
    pub(super) fixed: bool,
    /// The shape of its kind's rows that brought it: before all rows have that shape nothing is filtered by it. 0: it was always there.
    pub(super) since: u32,
}

/// What stands beside the columns of a row: the version and the shape of the entity's state that it shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    pub(super) version: i64,
    pub(super) shape: u32,
}

/// Whose the rows of a table are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Owner {
    /// The kind of entity that gives them.
    pub(super) kind: Kind,
    /// The column with its id.
    pub(super) column: &'static str,
}

/// What stands in a column of one row.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Cell<'a> {
    Uuid(Option<Uuid>),
    Integer(Option<i64>),
    Text(Option<Cow<'a, str>>),
    Moment(Timestamp),
    Uuids(Vec<Uuid>),
    Document(String),
}

/// What gives the cells of a row that is read, in the order of its columns.
pub(super) trait Cells {
    /// The next one, which is of this sort.
    fn next(&mut self, sort: Sort) -> Result<Cell<'static>, StoreError>;
}

/// A value that stands in a column.
pub(super) trait Field: Sized {
    const SORT: Sort;
    fn cell(&self) -> Cell<'_>;
    fn read(cell: Cell<'static>) -> Result<Self, StoreError>;
}

/// Rows of a table. Beside its columns each has `version`: that of the entity which it shows, and where it is an entity's own row `shape`.
pub(super) trait Table {
    /// What is read of a row.
    type Row;
    const NAME: &'static str;
    const KEY: &'static str;
    /// Of rows that checkpoints write.
    const OWNER: Option<Owner>;
    const COLUMNS: &'static [Column];
    /// Gives each column's cell, in their order.
    fn cells<'a>(&'a self, out: &mut impl FnMut(Cell<'a>));
    /// # Errors
    /// What the cells give, and Invalid for what has no meaning here.
    fn read(cells: &mut impl Cells) -> Result<Self::Row, StoreError>;
}

/// The names of a table's columns, each after `prefix`.
pub(super) fn names<T: Table>(prefix: &str) -> String {
    let names: Vec<String> = T::COLUMNS.iter().map(|column| format!("{prefix}{}", column.name)).collect();
    names.join(", ")
}

/// The names of what stands beside a table's columns.
pub(super) fn stamp_names<T: Table>() -> &'static [&'static str] {
    if T::OWNER.is_some() { &["version", "shape"] } else { &["version"] }
}

/// What an upsert does where the key is there: it writes what is not fixed, if it is of a newer version, or of this version and a newer shape.
/// A fixed column that is younger than the table is written, too: a row of an older shape lacks it.
pub(super) fn on_conflict<T: Table>() -> String {
    let changes = T::COLUMNS.iter().filter(|column| !column.fixed || column.since > 0).map(|column| column.name);
    let changes: Vec<String> =
        changes.chain(stamp_names::<T>().iter().copied()).map(|name| format!("{name} = excluded.{name}")).collect();
    let (table, key) = (T::NAME, T::KEY);
    let stamp = |of: &str| stamp_names::<T>().iter().map(|name| format!("{of}.{name}")).collect::<Vec<_>>().join(", ");
    format!(
        " ON CONFLICT ({key}) DO UPDATE SET {} WHERE ({}) > ({})",
        changes.join(", "),
        stamp("excluded"),
        stamp(table)
    )
}

/// The column of this name.
///
/// # Panics
/// When the table has none: what filters by it names it in the same room.
pub(super) fn column<T: Table>(name: &str) -> &'static Column {
    T::COLUMNS.iter().find(|column| column.name == name).expect("a table has the columns that it is filtered by")
}

/// A table, said once: `column: type = what stands in it`, with `[fixed]` before what never changes and `[since N]` before what shape N of the
/// rows has brought (both: `[fixed since N]`), and what a row that is read makes of the columns. `of Kind by "column"` says whose the rows are
/// that checkpoints write.
macro_rules! table {
    (@fixed fixed $($rest:tt)*) => { true };
    (@fixed $($rest:tt)*) => { false };
    (@since fixed $($rest:tt)*) => { table!(@since $($rest)*) };
    (@since since $shape:literal) => { $shape };
    (@since) => { 0 };
    (@owner $kind:ident $column:literal) => {
        Some($crate::persistence::table::Owner { kind: $crate::domain::ids::Kind::$kind, column: $column })
    };
    (@owner) => { None };
    (
        $(#[$doc:meta])*
        $written:ty as $name:literal ($key:literal) $(of $kind:ident by $owner:literal)?, $row:ident {
            $($([$($how:tt)+])? $column:ident: $of:ty = $value:expr,)*
        } => $read:ty { $made:expr }
    ) => {
        $(#[$doc])*
        impl $crate::persistence::table::Table for $written {
            type Row = $read;
            const NAME: &'static str = $name;
            const KEY: &'static str = $key;
            const OWNER: Option<$crate::persistence::table::Owner> = table!(@owner $($kind $owner)?);
            const COLUMNS: &'static [$crate::persistence::table::Column] = &[
                $($crate::persistence::table::Column {
                    name: stringify!($column),
                    sort: <$of as $crate::persistence::table::Field>::SORT,
                    fixed: table!(@fixed $($($how)+)?),
                    since: table!(@since $($($how)+)?),
                },)*
            ];
            fn cells<'a>(&'a self, out: &mut impl FnMut($crate::persistence::table::Cell<'a>)) {
                let $row = self;
                $(out($value.into());)*
            }
            fn read(
                cells: &mut impl $crate::persistence::table::Cells,
            ) -> Result<Self::Row, $crate::ports::StoreError> {
                $(
                    #[allow(unused_variables, reason = "what follows from others is not read")]
                    let $column = {
                        let cell = cells.next(<$of as $crate::persistence::table::Field>::SORT)?;
                        <$of as $crate::persistence::table::Field>::read(cell)?
                    };
                )*
                Ok($made)
            }
        }
    };
}
pub(super) use table;

impl<'a, F: Field> From<&'a F> for Cell<'a> {
    fn from(field: &'a F) -> Self {
        field.cell()
    }
}

fn strange(cell: &Cell<'_>) -> StoreError {
    StoreError::Invalid(format!("a column holds {cell:?}"))
}

pub(super) fn unknown(what: &str, name: &str) -> StoreError {
    StoreError::Invalid(format!("a row with the unknown {what} '{}'", name.escape_debug()))
}

/// A sort of cell that may be empty.
macro_rules! field {
    ($of:ty, $sort:ident, |$value:ident| $cell:expr, |$read:ident| $made:expr) => {
        impl Field for $of {
            const SORT: Sort = Sort::$sort;
            fn cell(&self) -> Cell<'_> {
                let $value = self;
                Cell::$sort(Some($cell))
            }
            fn read(cell: Cell<'static>) -> Result<Self, StoreError> {
                match cell {
                    Cell::$sort(Some($read)) => $made,
                    other => Err(strange(&other)),
                }
            }
        }

        impl Field for Option<$of> {
            const SORT: Sort = Sort::$sort;
            fn cell(&self) -> Cell<'_> {
                self.as_ref().map_or(Cell::$sort(None), Field::cell)
            }
            fn read(cell: Cell<'static>) -> Result<Self, StoreError> {
                match cell {
                    Cell::$sort(None) => Ok(None),
                    there => Field::read(there).map(Some),
                }
            }
        }
    };
}

macro_rules! ids {
    ($($id:ident),*) => { $(field!($id, Uuid, |id| id.uuid(), |uuid| Ok($id::from_uuid(uuid)));)* };
}
ids!(
    AccountId, AddressId, CartId, CategoryId, CouponId, CustomerId, JobId, OrderId, ProductId, ReturnId, SaleId,
    SessionId, ShipmentId, SignUpId, SkuId, SubOrderId, VendorId
);

macro_rules! named {
    ($($of:ident = $what:literal),*) => {
        $(field!($of, Text, |status| status.name().into(), |name| {
            $of::from_name(&name).ok_or_else(|| unknown($what, &name))
        });)*
    };
}
named!(
    Audience = "group of customers",
    ByKind = "sort of people",
    CourierStatus = "status of a parcel",
    Exemption = "exemption",
    GoodsStatus = "status of goods",
    JobKind = "kind of job",
    OrderStatus = "order status",
    PaymentStatus = "payment status",
    ReturnStatus = "status of a return",
    ShipmentStatus = "status of parcels",
    SubOrderStatus = "sub-order status",
    VendorStatus = "status of a vendor"
);

field!(MailKey, Uuid, |key| Uuid::from_bytes(key.0), |uuid| Ok(Self(uuid.into_bytes())));
field!(Uuid, Uuid, |uuid| *uuid, |uuid| Ok(uuid));
field!(i64, Integer, |number| *number, |number| Ok(number));
field!(u32, Integer, |number| i64::from(*number), |number| {
    number.try_into().map_err(|_| unknown("number", &number.to_string()))
});
field!(String, Text, |text| text.as_str().into(), |text| Ok(text.into_owned()));
field!(Currency, Text, |currency| currency.code().into(), |code| {
    code.parse().map_err(|_| unknown("currency", &code))
});

impl Field for Timestamp {
    const SORT: Sort = Sort::Moment;
    fn cell(&self) -> Cell<'_> {
        Cell::Moment(*self)
    }
    fn read(cell: Cell<'static>) -> Result<Self, StoreError> {
        if let Cell::Moment(at) = cell { Ok(at) } else { Err(strange(&cell)) }
    }
}

impl Field for Vec<SkuId> {
    const SORT: Sort = Sort::Uuids;
    fn cell(&self) -> Cell<'_> {
        Cell::Uuids(self.iter().map(|id| id.uuid()).collect())
    }
    fn read(cell: Cell<'static>) -> Result<Self, StoreError> {
        match cell {
            Cell::Uuids(uuids) => Ok(uuids.into_iter().map(SkuId::from_uuid).collect()),
            other => Err(strange(&other)),
        }
    }
}

/// What nobody filters by, as it stands in its column: JSON.
pub(super) struct Document(pub(super) String);

impl Document {
    /// # Panics
    /// Never for what is made of texts, numbers and ids alone.
    pub(super) fn of(value: &impl serde::Serialize) -> Self {
        Self(serde_json::to_string(value).expect("texts, numbers and ids become JSON"))
    }

    /// # Errors
    /// Invalid when it does not say this.
    pub(super) fn says<T: serde::de::DeserializeOwned>(&self) -> Result<T, StoreError> {
        serde_json::from_str(&self.0).map_err(|error| StoreError::Invalid(format!("a row's document: {error}")))
    }
}

impl Field for Document {
    const SORT: Sort = Sort::Document;
    fn cell(&self) -> Cell<'_> {
        Cell::Document(self.0.clone())
    }
    fn read(cell: Cell<'static>) -> Result<Self, StoreError> {
        if let Cell::Document(text) = cell { Ok(Self(text)) } else { Err(strange(&cell)) }
    }
}

impl From<Document> for Cell<'_> {
    fn from(document: Document) -> Self {
        Cell::Document(document.0)
    }
}

impl From<String> for Cell<'_> {
    fn from(text: String) -> Self {
        Cell::Text(Some(text.into()))
    }
}

impl From<Option<String>> for Cell<'_> {
    fn from(text: Option<String>) -> Self {
        Cell::Text(text.map(Cow::Owned))
    }
}

impl From<Uuid> for Cell<'_> {
    fn from(uuid: Uuid) -> Self {
        Cell::Uuid(Some(uuid))
    }
}

impl From<Option<i64>> for Cell<'_> {
    fn from(number: Option<i64>) -> Self {
        Cell::Integer(number)
    }
}

impl From<i64> for Cell<'_> {
    fn from(number: i64) -> Self {
        Cell::Integer(Some(number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::rows::OrderRow;

    /// Orders as a later version may have them.
    struct Later(OrderRow);

    table! {
        Later as "orders" ("id") of Order by "id", row {
            [fixed] id: OrderId = &row.0.id,
            status: OrderStatus = &row.0.columns.status,
            [since 2] payment_method: String = &row.0.payment_method,
            [fixed since 3] cart_id: CartId = &row.0.cart_id,
        } => OrderId { { let _ = (status, payment_method, cart_id); id } }
    }

    #[test]
    fn a_column_says_what_brought_it_and_a_fixed_one_is_written_into_rows_that_lack_it() {
        let said: Vec<(&str, bool, u32)> =
            Later::COLUMNS.iter().map(|column| (column.name, column.fixed, column.since)).collect();
        let expected = [("id", true, 0), ("status", false, 0), ("payment_method", false, 2), ("cart_id", true, 3)];
        assert_eq!(said, expected);
        assert_eq!(
            on_conflict::<Later>(),
            " ON CONFLICT (id) DO UPDATE SET status = excluded.status, payment_method = excluded.payment_method, \
             cart_id = excluded.cart_id, version = excluded.version, shape = excluded.shape \
             WHERE (excluded.version, excluded.shape) > (orders.version, orders.shape)"
        );
    }
}
