//! Values that the two databases write differently.

use crate::domain::time::Timestamp;
use crate::ports::StoreError;
use sqlx::encode::IsNull;
use sqlx::error::BoxDynError;
use sqlx::postgres::types::Oid;
use sqlx::postgres::{PgArgumentBuffer, PgHasArrayType, PgTypeInfo, PgValueRef};
use sqlx::sqlite::{SqliteArgumentsBuffer, SqliteTypeInfo, SqliteValueRef};
use sqlx::{Decode, Encode, Postgres, Sqlite, Type};
use uuid::Uuid;

/// Milliseconds from 1970-01-01 to 2000-01-01, from which Postgres counts.
const POSTGRES_EPOCH_MILLIS: i64 = 946_684_800_000;

/// Fixed by Postgres: `SELECT 'timestamptz'::regtype::oid`.
const TIMESTAMPTZ: Oid = Oid(1184);
/// And of its array.
const TIMESTAMPTZ_ARRAY: Oid = Oid(1185);

/// A moment in a table: milliseconds since 1970 in `SQLite`, `timestamptz` in Postgres.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Moment(pub(super) Timestamp);

impl Type<Postgres> for Moment {
    fn type_info() -> PgTypeInfo {
        PgTypeInfo::with_oid(TIMESTAMPTZ)
    }
}

impl PgHasArrayType for Moment {
    fn array_type_info() -> PgTypeInfo {
        PgTypeInfo::with_oid(TIMESTAMPTZ_ARRAY)
    }
}

impl Encode<'_, Postgres> for Moment {
    /// The binary form is microseconds since 2000-01-01: <https://www.postgresql.org/docs/15/datatype-datetime.html>.
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        let micros = self.0.as_millis().checked_sub(POSTGRES_EPOCH_MILLIS).and_then(|millis| millis.checked_mul(1000));
        Encode::<Postgres>::encode(micros.ok_or("a moment out of range")?, buffer)
    }
}

impl Decode<'_, Postgres> for Moment {
    fn decode(value: PgValueRef<'_>) -> Result<Self, BoxDynError> {
        let micros = <i64 as Decode<Postgres>>::decode(value)?;
        Ok(Self(Timestamp::from_millis(micros.div_euclid(1000).saturating_add(POSTGRES_EPOCH_MILLIS))))
    }
}

impl Type<Sqlite> for Moment {
    fn type_info() -> SqliteTypeInfo {
        <i64 as Type<Sqlite>>::type_info()
    }

    fn compatible(of: &SqliteTypeInfo) -> bool {
        <i64 as Type<Sqlite>>::compatible(of)
    }
}

impl Encode<'_, Sqlite> for Moment {
    fn encode_by_ref(&self, buffer: &mut SqliteArgumentsBuffer) -> Result<IsNull, BoxDynError> {
        Encode::<Sqlite>::encode(self.0.as_millis(), buffer)
    }
}

impl Decode<'_, Sqlite> for Moment {
    fn decode(value: SqliteValueRef<'_>) -> Result<Self, BoxDynError> {
        <i64 as Decode<Sqlite>>::decode(value).map(|millis| Self(Timestamp::from_millis(millis)))
    }
}

/// Ids in order: `uuid[]` in Postgres, 16 bytes each in `SQLite`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Uuids(pub(super) Vec<Uuid>);

impl Type<Postgres> for Uuids {
    fn type_info() -> PgTypeInfo {
        <Uuid as PgHasArrayType>::array_type_info()
    }
}

impl Decode<'_, Postgres> for Uuids {
    fn decode(value: PgValueRef<'_>) -> Result<Self, BoxDynError> {
        <Vec<Uuid> as Decode<Postgres>>::decode(value).map(Self)
    }
}

impl Type<Sqlite> for Uuids {
    fn type_info() -> SqliteTypeInfo {
        <Vec<u8> as Type<Sqlite>>::type_info()
    }

    fn compatible(of: &SqliteTypeInfo) -> bool {
        <Vec<u8> as Type<Sqlite>>::compatible(of)
    }
}

impl Encode<'_, Sqlite> for Uuids {
    fn encode_by_ref(&self, buffer: &mut SqliteArgumentsBuffer) -> Result<IsNull, BoxDynError> {
        let bytes: Vec<u8> = self.0.iter().flat_map(|uuid| uuid.into_bytes()).collect();
        Encode::<Sqlite>::encode(bytes, buffer)
    }
}

impl Decode<'_, Sqlite> for Uuids {
    fn decode(value: SqliteValueRef<'_>) -> Result<Self, BoxDynError> {
        let bytes = <&[u8] as Decode<Sqlite>>::decode(value)?;
        let (ids, rest) = bytes.as_chunks::<16>();
        if !rest.is_empty() {
            return Err("a list of ids is cut off".into());
        }
        Ok(Self(ids.iter().map(|id| Uuid::from_bytes(*id)).collect()))
    }
}

/// An unsigned number as both databases write it.
///
/// # Errors
/// Invalid past 63 bits, which no counter here reaches.
pub(super) fn signed(number: u64) -> Result<i64, StoreError> {
    i64::try_from(number).map_err(|_| StoreError::Invalid(format!("{number} does not fit a column")))
}

/// A counter as it is read back.
///
/// # Errors
/// Invalid when it is negative.
pub(super) fn unsigned(number: i64) -> Result<u64, StoreError> {
    u64::try_from(number).map_err(|_| StoreError::Invalid(format!("a counter is negative: {number}")))
}

/// A row of a query's answer: a struct whose fields are the columns, by name.
macro_rules! columns {
    (struct $name:ident { $($field:ident: $of:ty,)* }) => {
        struct $name { $($field: $of,)* }

        impl<'r> sqlx::FromRow<'r, <Db as sqlx::Database>::Row> for $name {
            fn from_row(row: &'r <Db as sqlx::Database>::Row) -> Result<Self, sqlx::Error> {
                Ok(Self { $($field: sqlx::Row::try_get(row, stringify!($field))?,)* })
            }
        }
    };
}
pub(super) use columns;
