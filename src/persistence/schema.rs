//! The schema of both stores, embedded: a binary needs no migrations directory.

use crate::limits;
use crate::ports::{StoreError, StoreKey};
use sqlx::SqlSafeStr;
use sqlx::migrate::{MigrateError, Migration, MigrationType, Migrator};

/// One migration: its number, what it makes, and its SQL.
type Step = (i64, &'static str, &'static str);

// `POSTGRES` and `SQLITE`: every migration of each, in order. What was released is never changed, only added to.
include!(concat!(env!("OUT_DIR"), "/migrations.rs"));

/// These migrations, ready to run.
pub(super) fn migrator(steps: &[Step]) -> Migrator {
    let migration = |(version, description, sql): &Step| {
        Migration::new(*version, (*description).into(), MigrationType::Simple, sql.into_sql_str(), false)
    };
    Migrator::with_migrations(steps.iter().map(migration).collect())
}

/// What a failed migration is to those who know no driver.
pub(super) fn migrate_error(error: MigrateError) -> StoreError {
    match error {
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => super::slot::store_error(error),
        MigrateError::VersionMissing(version) => newer(version),
        MigrateError::VersionMismatch(version) => altered(version),
        other => StoreError::Invalid(format!("the store's schema cannot be brought up to date: {other}")),
    }
}

fn newer(version: i64) -> StoreError {
    StoreError::Invalid(format!(
        "the store's schema has version {version}, which this haat does not know: it was made by a newer one"
    ))
}

fn altered(version: i64) -> StoreError {
    StoreError::Invalid(format!("version {version} of the store's schema is not this haat's version {version}"))
}

/// Compares the migrations that were applied (version, checksum) with these.
///
/// # Errors
/// Invalid, with what to do about it.
pub(super) fn check_applied(steps: &[Step], applied: &[(i64, Vec<u8>)]) -> Result<(), StoreError> {
    let known = migrator(steps);
    for (version, checksum) in applied {
        let migration = known.iter().find(|migration| migration.version == *version).ok_or_else(|| newer(*version))?;
        if migration.checksum.as_ref() != checksum.as_slice() {
            return Err(altered(*version));
        }
    }
    let newest = steps.last().map_or(0, |(version, ..)| *version);
    match applied.iter().map(|(version, _)| *version).max().unwrap_or(0) {
        0 => Err(not_there("here yet")),
        version if version < newest => Err(StoreError::Invalid(format!(
            "the store's schema has version {version}, this haat needs {newest}: run `haat migrate`"
        ))),
        _ => Ok(()),
    }
}

/// There is no schema yet, in the place that these words say.
pub(super) fn not_there(place: &str) -> StoreError {
    StoreError::Invalid(format!("there is no store {place}: `haat serve` makes one, and no other command does"))
}

/// The store's own key, of its 64 digits.
///
/// # Errors
/// Invalid when these are none.
pub(super) fn store_key(digits: Option<&str>) -> Result<StoreKey, StoreError> {
    let damaged = || StoreError::Invalid("the store's own key is missing or damaged: it stands in a backup".to_owned());
    let digits = digits.filter(|digits| digits.len() == 64 && digits.is_ascii()).ok_or_else(damaged)?;
    let mut key = [0; 32];
    for (byte, at) in key.iter_mut().zip((0..).step_by(2)) {
        *byte = u8::from_str_radix(&digits[at..at + 2], 16).map_err(|_| damaged())?;
    }
    Ok(StoreKey(key))
}

/// Compares the number of partitions that the store was made with to this build's.
///
/// # Errors
/// Invalid when they differ.
pub(super) fn check_partitions(of_store: Option<&str>) -> Result<(), StoreError> {
    let ours = limits::PARTITIONS.to_string();
    match of_store {
        Some(theirs) if theirs == ours => Ok(()),
        Some(theirs) => Err(StoreError::Invalid(format!(
            "the store was made with {theirs} partitions, this haat has {ours}: the number is fixed when a store is made"
        ))),
        None => Err(not_there("here yet")),
    }
}
