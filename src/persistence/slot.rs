//! One connection for one purpose, so that nobody ever waits for a connection that somebody else holds.

use crate::ports::StoreError;
use crate::ports::standing::PoolStanding;
use sqlx::{ConnectOptions, Connection};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::{Mutex, MutexGuard};
use tokio::time::error::Elapsed;

/// How a pool of connections stands.
pub(super) fn pool_standing<D: sqlx::Database>(name: &'static str, pool: &sqlx::Pool<D>) -> PoolStanding {
    let (open, idle) = (pool.size(), u32::try_from(pool.num_idle()).unwrap_or(u32::MAX));
    PoolStanding { name, open, in_use: open.saturating_sub(idle), most: pool.options().get_max_connections() }
}

/// A place for one connection, which is made on first use and made anew after it broke.
pub(super) struct Slot<C: Connection> {
    options: C::Options,
    connect_timeout: Duration,
    connection: Mutex<Option<C>>,
    /// Whoever is to let others go first waits here before it stands in line with them.
    between: Mutex<()>,
    /// How many were made.
    made: AtomicU64,
}

impl<C: Connection> Slot<C> {
    /// An empty place.
    pub(super) fn new(options: C::Options, connect_timeout: Duration) -> Self {
        Self {
            options,
            connect_timeout,
            connection: Mutex::new(None),
            between: Mutex::new(()),
            made: AtomicU64::new(0),
        }
    }

    /// The connection, for this caller alone, in the order in which callers came. Of all callers of [`Slot::hold_between`] one at most stands in
    /// this line.
    ///
    /// # Errors
    /// Unavailable when none can be made within the time.
    pub(super) async fn hold(&self) -> Result<Held<'_, C>, StoreError> {
        let mut place = self.connection.lock().await;
        // While it is held it is not in its place: should the holder be dropped in the middle of a statement, so is the connection.
        let connection = match place.take() {
            Some(connection) => connection,
            None => {
                let connection = tokio::time::timeout(self.connect_timeout, self.options.connect())
                    .await
                    .map_err(|_| StoreError::Unavailable(format!("no connection within {:?}", self.connect_timeout)))?
                    .map_err(store_error)?;
                self.made.fetch_add(1, Ordering::Relaxed);
                connection
            }
        };
        Ok(Held { place, connection, _between: None })
    }

    /// The same for one of many who are to hold it between two holdings of whoever comes by [`Slot::hold`]: that one waits for one of the
    /// many at most, and they come in their order.
    ///
    /// # Errors
    /// As [`Slot::hold`].
    pub(super) async fn hold_between(&self) -> Result<Held<'_, C>, StoreError> {
        let turn = self.between.lock().await;
        let held = self.hold().await?;
        Ok(Held { _between: Some(turn), ..held })
    }

    /// The number of the connection that was made last: whoever holds one holds this.
    pub(super) fn number(&self) -> u64 {
        self.made.load(Ordering::Relaxed)
    }

    /// The number of the connection that stands in its place now, if one does and nobody holds it.
    pub(super) fn resting(&self) -> Option<u64> {
        let place = self.connection.try_lock().ok()?;
        place.as_ref().map(|_| self.number())
    }

    /// Closes the connection, if there is one, in order.
    pub(super) async fn close(self) {
        if let Some(connection) = self.connection.into_inner() {
            // What could not be closed in order is closed all the same.
            let _ = connection.close().await;
        }
    }
}

/// A connection taken out of its place.
pub(super) struct Held<'a, C: Connection> {
    place: MutexGuard<'a, Option<C>>,
    connection: C,
    /// The turn of one of many, which ends with the holding.
    _between: Option<MutexGuard<'a, ()>>,
}

impl<C: Connection> Held<'_, C> {
    /// The connection.
    pub(super) fn connection(&mut self) -> &mut C {
        &mut self.connection
    }

    /// Ends the holding after an answer that was waited for only so long. Where none came, the connection is given up.
    ///
    /// # Errors
    /// Unavailable when there was no answer in time; else as the driver says.
    pub(super) fn settle_timed<T>(self, outcome: Result<Result<T, sqlx::Error>, Elapsed>) -> Result<T, StoreError> {
        match outcome {
            Ok(outcome) => self.settle(outcome),
            Err(late) => Err(StoreError::Unavailable(format!("no answer in time ({late})"))),
        }
    }

    /// Ends the holding: the connection goes back to its place when it is sound and in no transaction.
    pub(super) fn settle<T>(mut self, outcome: Result<T, sqlx::Error>) -> Result<T, StoreError> {
        let sound = match &outcome {
            Ok(_) => true,
            Err(sqlx::Error::Database(error)) => !kind_of(error.as_ref()).is_transient(),
            Err(_) => false,
        };
        if sound && !self.connection.is_in_transaction() {
            *self.place = Some(self.connection);
        }
        outcome.map_err(store_error)
    }
}

/// What kind of error a database reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ErrorKind {
    /// A row of that key is there.
    Duplicate,
    /// A constraint, or the range of a column, refuses a row.
    Refused,
    /// It cannot work now: connection, disk, memory, locks, timeouts, shutting down.
    Transient,
    /// Anything else: a statement that makes no sense to this schema, a broken file.
    Other,
}

impl ErrorKind {
    fn is_transient(self) -> bool {
        self == ErrorKind::Transient
    }
}

/// Sorts a database's error by its code: `SQLSTATE` (five characters, <https://www.postgresql.org/docs/15/errcodes-appendix.html>) or `SQLite`'s
/// extended result code (a number, <https://www.sqlite.org/rescode.html>).
pub(super) fn kind_of(error: &dyn sqlx::error::DatabaseError) -> ErrorKind {
    let Some(code) = error.code() else {
        return ErrorKind::Other;
    };
    let is_sqlite = error.try_downcast_ref::<sqlx::sqlite::SqliteError>().is_some();
    if let (true, Ok(extended)) = (is_sqlite, code.parse::<u32>()) {
        return match (extended & 0xff, extended) {
            (_, 1555 | 2067 | 2579) => ErrorKind::Duplicate,
            (19 | 20, _) => ErrorKind::Refused,
            // busy, locked, no memory, read only, interrupted, disk error, full, cannot open, lock protocol
            (5..=10 | 13..=15, _) => ErrorKind::Transient,
            _ => ErrorKind::Other,
        };
    }
    match code.get(..2) {
        _ if code == "23505" => ErrorKind::Duplicate,
        // A damaged page or index: it will be as damaged the next time.
        _ if code == "XX001" || code == "XX002" => ErrorKind::Other,
        // integrity, data, and the same row twice in one upsert
        Some("23" | "22" | "21") => ErrorKind::Refused,
        // connection, authorization, transaction state and rollback, no such database, resources, limits, locks, operator, system
        Some("08" | "28" | "25" | "40" | "3D" | "53" | "54" | "55" | "57" | "58" | "XX") => ErrorKind::Transient,
        _ => ErrorKind::Other,
    }
}

/// The kind of any error.
pub(super) fn kind(error: &sqlx::Error) -> ErrorKind {
    match error {
        sqlx::Error::Database(error) => kind_of(error.as_ref()),
        // A value that cannot be written at all (a moment out of range) is refused as one that a column does not take.
        sqlx::Error::Encode(_) => ErrorKind::Refused,
        sqlx::Error::Configuration(_)
        | sqlx::Error::RowNotFound
        | sqlx::Error::TypeNotFound { .. }
        | sqlx::Error::ColumnIndexOutOfBounds { .. }
        | sqlx::Error::ColumnNotFound(_)
        | sqlx::Error::ColumnDecode { .. }
        | sqlx::Error::Decode(_)
        | sqlx::Error::Migrate(_)
        | sqlx::Error::InvalidArgument(_) => ErrorKind::Other,
        _ => ErrorKind::Transient,
    }
}

/// What an error of the driver is to the rooms that know no driver.
pub(super) fn store_error(error: sqlx::Error) -> StoreError {
    match kind(&error) {
        ErrorKind::Transient => StoreError::Unavailable(error.to_string()),
        ErrorKind::Duplicate | ErrorKind::Refused | ErrorKind::Other => StoreError::Invalid(error.to_string()),
    }
}

/// Waits for an answer of the driver, for so long.
///
/// # Errors
/// Unavailable when none came in that time; else as the driver says.
pub(super) async fn within<T, E: Into<StoreError>>(
    limit: Duration,
    answer: impl Future<Output = Result<T, E>> + Send,
) -> Result<T, StoreError> {
    match tokio::time::timeout(limit, answer).await {
        Ok(outcome) => outcome.map_err(Into::into),
        Err(_) => Err(StoreError::Unavailable(format!("no answer within {limit:?}"))),
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        store_error(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::borrow::Cow;
    use std::{error, fmt};

    /// What a database says, by its code alone.
    #[derive(Debug)]
    struct Said(&'static str);

    impl fmt::Display for Said {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(self.0)
        }
    }

    impl error::Error for Said {}

    impl sqlx::error::DatabaseError for Said {
        fn message(&self) -> &str {
            self.0
        }
        fn code(&self) -> Option<Cow<'_, str>> {
            Some(self.0.into())
        }
        fn as_error(&self) -> &(dyn error::Error + Send + Sync + 'static) {
            self
        }
        fn as_error_mut(&mut self) -> &mut (dyn error::Error + Send + Sync + 'static) {
            self
        }
        fn into_error(self: Box<Self>) -> Box<dyn error::Error + Send + Sync + 'static> {
            self
        }
        fn kind(&self) -> sqlx::error::ErrorKind {
            sqlx::error::ErrorKind::Other
        }
    }

    /// Of the many who hold it between two holdings of one, each comes in its turn, and that one waits for one of them at most.
    #[tokio::test]
    async fn one_of_many_comes_between_two_of_whoever_goes_first() {
        use sqlx::SqliteConnection;
        let memory = "sqlite::memory:".parse().expect("a store in memory");
        let slot = Slot::<SqliteConnection>::new(memory, Duration::from_secs(5));
        let order = parking_lot::Mutex::new(Vec::new());
        let one_of_many = async |name: &'static str| {
            let held = slot.hold_between().await.expect("a connection");
            order.lock().push(name);
            tokio::task::yield_now().await;
            held.settle(Ok(())).expect("given back");
        };
        let goes_first = async {
            for name in ["append 1", "append 2"] {
                let held = slot.hold().await.expect("a connection");
                order.lock().push(name);
                tokio::task::yield_now().await;
                held.settle(Ok(())).expect("given back");
            }
        };
        let before = slot.hold().await.expect("a connection");
        let give_back = async { before.settle(Ok(())).expect("given back") };
        tokio::join!(one_of_many("a"), one_of_many("b"), one_of_many("c"), goes_first, give_back);
        assert_eq!(*order.lock(), ["a", "append 1", "b", "append 2", "c"]);
    }

    /// What will not pass is not tried again: a damaged page is as damaged the next time.
    #[test]
    fn damage_does_not_pass() {
        for (code, kind) in [
            ("XX000", ErrorKind::Transient),
            ("XX001", ErrorKind::Other),
            ("XX002", ErrorKind::Other),
            ("57014", ErrorKind::Transient),
            ("53300", ErrorKind::Transient),
            ("42P01", ErrorKind::Other),
            ("22008", ErrorKind::Refused),
            ("23505", ErrorKind::Duplicate),
        ] {
            assert_eq!(kind_of(&Said(code)), kind, "{code}");
        }
    }
}
