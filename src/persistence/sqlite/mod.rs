//! The embedded store: one `SQLite` file in the data directory, opened for writing by one process only.
//!
//! `SQLite` has one writer. Appends share its connection with all others that write: checkpoints, followers, jobs, services. Of these one at a
//! time comes between two appends, in the order in which they came, and each writes in slices: an append waits for one slice at most. Readers never wait for the writer, nor the writer for them (WAL,
//! <https://www.sqlite.org/wal.html>).

mod journal;
mod lock;
mod room;
mod search;
mod units;
mod upserts;

#[path = "../portable/checkpoints.rs"]
#[allow(clippy::duplicate_mod, reason = "portable SQL is written once and compiled for both drivers")]
mod checkpoints;
#[path = "../portable/details.rs"]
#[allow(clippy::duplicate_mod, reason = "portable SQL is written once and compiled for both drivers")]
mod details;
#[path = "../portable/followers.rs"]
#[allow(clippy::duplicate_mod, reason = "portable SQL is written once and compiled for both drivers")]
mod followers;
#[path = "../portable/frames.rs"]
#[allow(clippy::duplicate_mod, reason = "portable SQL is written once and compiled for both drivers")]
mod frames;
#[path = "../portable/jobs.rs"]
#[allow(clippy::duplicate_mod, reason = "portable SQL is written once and compiled for both drivers")]
mod jobs;
#[path = "../portable/products.rs"]
#[allow(clippy::duplicate_mod, reason = "portable SQL is written once and compiled for both drivers")]
mod portable_products;
#[path = "../portable/units.rs"]
#[allow(clippy::duplicate_mod, reason = "portable SQL is written once and compiled for both drivers")]
mod portable_units;
#[path = "../portable/queries.rs"]
#[allow(clippy::duplicate_mod, reason = "portable SQL is written once and compiled for both drivers")]
mod queries;
#[path = "../portable/remakes.rs"]
#[allow(clippy::duplicate_mod, reason = "portable SQL is written once and compiled for both drivers")]
mod remakes;
#[path = "../portable/snapshots.rs"]
#[allow(clippy::duplicate_mod, reason = "portable SQL is written once and compiled for both drivers")]
mod snapshots;
#[path = "../portable/waiting.rs"]
#[allow(clippy::duplicate_mod, reason = "portable SQL is written once and compiled for both drivers")]
mod waiting;

use super::schema::{self, SQLITE};
use super::slot::{Held, Slot, pool_standing, store_error};
use super::{Mode, Options};
use crate::files::Place;
use crate::limits;
use crate::ports::standing::{PoolStanding, Pools};
use crate::ports::{Store, StoreError, StoreKey};
use lock::DirectoryLock;
use parking_lot::Mutex;
use sqlx::sqlite::{
    Sqlite, SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{ConnectOptions, Connection, Pool};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// The driver, for the portable files.
type Db = Sqlite;

/// How a transaction that only reads begins: from its first read on all its statements see the same rows.
const BEGIN_READING: &str = "BEGIN DEFERRED";

/// What before a column keeps the store from looking for it in an index: it knows nothing of how often a value is there, and would take any.
const NOT_BY_INDEX: &str = "+";

/// Whether a statement that looks up in a table that grows is kept prepared: here plans do not depend on how large a table is.
const LOOKUPS_STAY_PREPARED: bool = true;

/// Whether what is said to be new is inserted without looking first: nothing is gained by it here.
const FRESH_IS_INSERTED: bool = false;

/// How many entities one transaction of a checkpoint writes at most: what an append may have to wait for.
const SLICE_ENTITIES: usize = 256;
/// How many parts and rows, unless a single entity has more: its snapshot is of one version.
const SLICE_PIECES: usize = 4_096;

/// The file in the data directory.
pub(super) const FILE: &str = "haat.db";
/// The file of an archive. It has a name of its own, so that no server takes an archive for its store.
pub(super) const ARCHIVE: &str = "haat-archive.db";

/// Pages of the write-ahead log after which a commit itself moves them into the file. Checkpoints see to it long before, beside the writer.
const WAL_PAGES: &str = "16384";

struct Inner {
    writer: Option<Slot<SqliteConnection>>,
    /// Moves the write-ahead log into the file beside the writer.
    keeper: Option<Slot<SqliteConnection>>,
    append_timeout: Duration,
    checkpoint_timeout: Duration,
    query_timeout: Duration,
    search_timeout: Duration,
    reads: Pool<Sqlite>,
    lists: Pool<Sqlite>,
    /// For whoever searches, known or not.
    searches: Pool<Sqlite>,
    log: Mutex<Log>,
    log_path: PathBuf,
    /// For what looks at whole tables. Here no statement has a time of its own.
    tables: Pool<Sqlite>,
    /// For the tokens of payments under way: a read here takes no time that another would wait for.
    tokens: Pool<Sqlite>,
    /// Held as long as the store is open for writing. Dropped last: fields are dropped in the order in which they stand.
    lock: Option<DirectoryLock>,
}

/// What is known of the write-ahead log.
#[derive(Default)]
struct Log {
    /// Where it is, and the number of the writer's connection that has it open. As long as that is, the file stays.
    open: Option<(u64, Place)>,
    /// Where it was when it was missed. What was committed last may be in it alone: a connection that makes another file goes on without that.
    missed: Option<Place>,
}

impl Log {
    fn in_place(&mut self, path: &Path, connection: Option<u64>, has_committed: bool) -> Result<(), String> {
        if let Some(missed) = &self.missed {
            missed.check()?;
            self.missed = None;
        }
        let Some(connection) = connection else { return Ok(()) };
        match &self.open {
            Some((number, place)) if *number == connection => {
                let checked = place.check();
                self.missed = checked.is_err().then(|| place.clone());
                checked
            }
            _ if !has_committed => Ok(()),
            _ => {
                let place = Place::at(path).map_err(|error| format!("{}: {error}", path.display()))?;
                self.open = Some((connection, place));
                Ok(())
            }
        }
    }
}

impl Inner {
    fn writer(&self) -> Result<&Slot<SqliteConnection>, StoreError> {
        self.writer.as_ref().ok_or_else(|| StoreError::Invalid("the store was opened for reading only".to_owned()))
    }

    /// Whether directory, lock and store are where they were opened.
    fn files_in_place(&self) -> Result<(), String> {
        self.lock.as_ref().map_or(Ok(()), DirectoryLock::in_place)
    }

    /// Whether the write-ahead log is where this connection of the writer's has opened it. One that has just committed is sure to have. Without a
    /// connection: whether it is there again, if it was missed.
    fn log_in_place(&self, connection: Option<u64>, has_committed: bool) -> Result<(), String> {
        self.log.lock().in_place(&self.log_path, connection, has_committed)
    }

    /// The connection of the commit path: the writer's.
    fn appender(&self) -> Result<&Slot<SqliteConnection>, StoreError> {
        self.writer()
    }

    /// The connection that checkpoints write with: the writer's.
    async fn checkpointer(&self) -> Result<Held<'_, SqliteConnection>, StoreError> {
        self.writer()?.hold_between().await
    }

    /// The connection that followers and jobs write with: the writer's.
    async fn follower(&self) -> Result<Held<'_, SqliteConnection>, StoreError> {
        self.writer()?.hold_between().await
    }

    /// Moves what was written since the last checkpoint from the write-ahead log into the file, beside the writer and its commits. What
    /// cannot be moved now is moved the next time.
    async fn tidy_up_after(&self, advance: &[(u16, u64)]) {
        let (Some(keeper), false) = (&self.keeper, advance.is_empty()) else {
            return;
        };
        let Ok(mut held) = keeper.hold().await else {
            return;
        };
        let outcome = sqlx::query("PRAGMA wal_checkpoint(PASSIVE)").execute(held.connection()).await;
        if let Err(error) = held.settle(outcome) {
            tracing::debug!(%error, "the write-ahead log was not moved into the file");
        }
    }
}

impl Pools for Inner {
    fn sort(&self) -> &'static str {
        "sqlite"
    }

    fn pools(&self) -> Vec<PoolStanding> {
        [("reads", &self.reads), ("lists", &self.lists), ("searches", &self.searches)]
            .map(|(name, pool)| pool_standing(name, pool))
            .into()
    }
}

/// The write-ahead log of the store in this file.
fn log_of(file: &Path) -> PathBuf {
    // `SQLite` names it after the file that a link leads to.
    let mut log = std::fs::canonicalize(file).unwrap_or_else(|_| file.to_owned()).into_os_string();
    log.push("-wal");
    log.into()
}

/// Where the archive is that `directory` holds, if it holds one.
pub fn archive_in(directory: &Path) -> PathBuf {
    directory.join(ARCHIVE)
}

/// Opens the store in `directory`, which is made when it is not there (to serve).
///
/// # Errors
/// Invalid when another process serves on it, when its schema is not there (for tools), is of another version, or has another number of
/// partitions; Unavailable when the file cannot be opened or written.
pub(super) async fn open(directory: &Path, file: &str, options: &Options, mode: Mode) -> Result<Store, StoreError> {
    let file = directory.join(file);
    let (key, lock, writer) = match mode {
        Mode::Serve => {
            let (key, lock, writer) = open_for_writing(directory, &file, options).await?;
            (key, Some(lock), Some(writer))
        }
        Mode::Upkeep => {
            check(&file, options).await?;
            let (key, lock, writer) = open_for_writing(directory, &file, options).await?;
            (key, Some(lock), Some(writer))
        }
        Mode::Tool => (check(&file, options).await?, None, None),
    };
    let pool = |connections| {
        SqlitePoolOptions::new()
            .max_connections(connections)
            .acquire_timeout(options.connect_timeout)
            .test_before_acquire(false)
            .connect_lazy_with(reading(&file, options))
    };
    let (lists, reads) = (pool(options.query_connections), pool(options.read_connections));
    let inner = Arc::new(Inner {
        keeper: writer.is_some().then(|| Slot::new(writing(&file, options), options.connect_timeout)),
        writer,
        log: Mutex::default(),
        log_path: log_of(&file),
        append_timeout: options.append_timeout,
        checkpoint_timeout: options.checkpoint_timeout,
        query_timeout: options.query_timeout,
        search_timeout: options.search_timeout,
        tokens: reads.clone(),
        reads,
        searches: pool(limits::SEARCH_CONNECTIONS),
        tables: lists.clone(),
        lists,
        lock,
    });
    Ok(Store {
        key,
        journal: inner.clone(),
        snapshots: inner.clone(),
        checkpoints: inner.clone(),
        queries: inner.clone(),
        details: inner.clone(),
        followers: inner.clone(),
        jobs: inner.clone(),
        pools: inner.clone(),
        units: Arc::new(units::SqliteUnits::new(inner)),
    })
}

/// Makes the store in `directory`, or brings its schema up to date.
///
/// # Errors
/// As [`open`].
pub(super) async fn migrate(directory: &Path, file: &str, options: &Options) -> Result<(), StoreError> {
    let (_, _lock, writer) = open_for_writing(directory, &directory.join(file), options).await?;
    writer.close().await;
    Ok(())
}

fn writing(file: &Path, options: &Options) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(file)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(options.append_timeout / 2)
        .pragma("wal_autocheckpoint", WAL_PAGES)
        .pragma("journal_size_limit", "67108864")
        .pragma("cache_size", "-65536")
        // What was erased leaves nothing behind in a page that is written anyway.
        .pragma("secure_delete", "FAST")
        // Where a plain fsync does not reach the disk (macOS).
        .pragma("fullfsync", "1")
        .pragma("checkpoint_fullfsync", "1")
        .disable_statement_logging()
}

fn reading(file: &Path, options: &Options) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(file)
        .read_only(true)
        .busy_timeout(options.query_timeout / 2)
        .disable_statement_logging()
}

async fn open_for_writing(
    directory: &Path,
    file: &Path,
    options: &Options,
) -> Result<(StoreKey, DirectoryLock, Slot<SqliteConnection>), StoreError> {
    let lock = DirectoryLock::take(directory, file)?;
    let writer = Slot::new(writing(file, options), options.connect_timeout);
    let failed = |error| told(file, error);
    let mut held = writer.hold().await.map_err(failed)?;
    let asked = room::tell(held.connection(), file).await;
    held.settle(asked).map_err(failed)?;
    let mut held = writer.hold().await.map_err(failed)?;
    let migrated = schema::migrator(SQLITE).run(&mut *held.connection()).await;
    migrated.map_err(|error| match schema::migrate_error(error) {
        // What the schema is does not depend on the file.
        error @ StoreError::Invalid(_) if !error.to_string().contains("code: ") => error,
        error => failed(error),
    })?;
    let fixed = fix_partitions(held.connection()).await;
    held.settle(fixed)?;
    let mut held = writer.hold().await?;
    let partitions = meta(held.connection(), "partitions").await;
    schema::check_partitions(held.settle(partitions)?.as_deref())?;
    let mut held = writer.hold().await?;
    let key = meta(held.connection(), "store_key").await;
    let key = schema::store_key(held.settle(key)?.as_deref())?;
    Ok((key, lock, writer))
}

/// Writes down the number of partitions, once.
async fn fix_partitions(connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
    let made = sqlx::query("INSERT INTO meta (key, value) VALUES ('partitions', $1) ON CONFLICT DO NOTHING")
        .bind(limits::PARTITIONS.to_string())
        .execute(&mut *transaction)
        .await?;
    if made.rows_affected() > 0 {
        for id in 0..limits::PARTITIONS {
            sqlx::query("INSERT INTO partition (id) VALUES ($1)")
                .bind(i32::from(id))
                .execute(&mut *transaction)
                .await?;
        }
    }
    transaction.commit().await
}

/// What was written down when the store was made.
async fn meta(connection: &mut SqliteConnection, key: &str) -> Result<Option<String>, sqlx::Error> {
    sqlx::query_scalar("SELECT value FROM meta WHERE key = $1").bind(key).fetch_optional(connection).await
}

/// Looks whether this file is a store.
///
/// # Errors
/// Invalid when it is not; Unavailable when it cannot be looked at.
pub(super) async fn must_be_there(file: &Path, options: &Options) -> Result<(), StoreError> {
    find(file, options).await.map(drop)
}

/// A connection to a file that is a store.
async fn find(file: &Path, options: &Options) -> Result<SqliteConnection, StoreError> {
    let setting = if file.ends_with(ARCHIVE) { "HAAT_ARCHIVE" } else { "HAAT_DATA_DIR" };
    let nowhere = || {
        let directory = file.parent().unwrap_or(file).display();
        schema::not_there(&format!("in {directory} ({setting})"))
    };
    match file.try_exists() {
        Ok(true) => {}
        Ok(false) => return Err(nowhere()),
        Err(error) => return Err(StoreError::Unavailable(format!("{} ({setting}): {error}", file.display()))),
    }
    let mut connection = reading(file, options).connect().await.map_err(|error| told(file, store_error(error)))?;
    let there: i64 = sqlx::query_scalar("SELECT count(*) FROM sqlite_master WHERE name = '_sqlx_migrations'")
        .fetch_one(&mut connection)
        .await
        .map_err(|error| told(file, store_error(error)))?;
    match there {
        0 => Err(nowhere()),
        _ => Ok(connection),
    }
}

/// The same error with the file it is about, and with what the system says of that: `SQLite` tells a number.
fn told(file: &Path, error: StoreError) -> StoreError {
    let add = |said: String| {
        let cause = match std::fs::File::options().read(true).write(true).open(file) {
            Err(cause) => format!(": {cause}"),
            Ok(opened) => match opened.metadata() {
                Ok(found) if said.contains("code: 26") && found.is_file() => {
                    ": it is no database, or is damaged".to_owned()
                }
                _ => String::new(),
            },
        };
        format!("{}{cause} ({said})", file.display())
    };
    match error {
        StoreError::Unavailable(said) => StoreError::Unavailable(add(said)),
        StoreError::Invalid(said) => StoreError::Invalid(add(said)),
        other => other,
    }
}

/// Looks whether the schema is this version's, and changes nothing. Gives the store's own key.
async fn check(file: &Path, options: &Options) -> Result<StoreKey, StoreError> {
    let mut connection = find(file, options).await?;
    let applied = sqlx::query_as("SELECT version, checksum FROM _sqlx_migrations WHERE success ORDER BY version")
        .fetch_all(&mut connection)
        .await
        .map_err(store_error)?;
    schema::check_applied(SQLITE, &applied)?;
    let partitions = meta(&mut connection, "partitions").await.map_err(store_error)?;
    let key = meta(&mut connection, "store_key").await.map_err(store_error)?;
    // What could not be closed in order is closed all the same.
    let _ = connection.close().await;
    schema::check_partitions(partitions.as_deref())?;
    schema::store_key(key.as_deref())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::EntityId as _;
    use crate::domain::ids::{CartId, CustomerId, Kind, OrderId, VendorId};
    use crate::domain::order::{OrderFilter, OrderStatus};
    use crate::domain::rows::OrderRow;
    use crate::domain::rows::Rows;
    use crate::domain::time::Timestamp;
    use crate::persistence::table::table;
    use crate::ports::{CheckpointWrite, Checkpoints, EntityDelta, OrdersOf, Remake, Remaking};
    use uuid::Uuid;

    /// Orders as a later version may have them: with a column that shape 2 brings.
    struct Later(OrderRow);

    table! {
        Later as "orders" ("id") of Order by "id", row {
            [fixed] id: OrderId = &row.0.id,
            [since 2] payment_method: String = &row.0.payment_method,
        } => OrderId { { let _ = payment_method; id } }
    }

    /// Once the log was missed it must be there again, whoever asks: another connection's new one has not what was in it.
    #[test]
    fn a_log_that_was_missed_is_not_forgotten_for_another() {
        let directory = tempfile::TempDir::new().expect("a directory");
        let (path, aside) = (directory.path().join("haat.db-wal"), directory.path().join("aside"));
        std::fs::write(&path, "frames").expect("a log");
        let mut log = Log::default();
        let mut in_place = |connection, has_committed| log.in_place(&path, connection, has_committed).is_ok();
        assert!(
            in_place(None, false) && in_place(Some(1), false) && in_place(Some(1), true) && in_place(Some(1), false)
        );
        std::fs::rename(&path, &aside).expect("it is ours");
        // Nobody has missed it yet.
        assert!(in_place(None, false));
        assert!(!in_place(Some(1), true) && !in_place(None, false));
        std::fs::write(&path, "").expect("another");
        assert!(!in_place(None, false) && !in_place(Some(2), false) && !in_place(Some(2), true));
        std::fs::rename(&aside, &path).expect("it is ours");
        assert!(in_place(None, false) && in_place(Some(1), true));
        // A connection that was closed in order may have taken its log along.
        std::fs::write(&aside, "").expect("another");
        std::fs::rename(&aside, &path).expect("it is ours");
        assert!(in_place(Some(2), true) && in_place(Some(2), false));
    }

    /// A buyer's few orders are not looked for among all that are paid.
    #[tokio::test]
    async fn a_filtered_list_is_read_from_the_index_of_whose_it_is_and_in_its_order() {
        let directory = tempfile::TempDir::new().expect("a directory");
        let (options, file) = (Options::default(), directory.path().join(FILE));
        let (_, _lock, writer) = open_for_writing(directory.path(), &file, &options).await.expect("a store");
        let (id, filter) = (Uuid::from_u128(1), OrderFilter::from(OrderStatus::Paid));
        for (of, index) in [
            (OrdersOf::All, "orders_of_status"),
            (OrdersOf::Cart(CartId::from_uuid(id)), "orders_of_cart"),
            (OrdersOf::Customer(CustomerId::from_uuid(id)), "orders_of_customer"),
            (OrdersOf::Vendor(VendorId::from_uuid(id)), "sub_orders_of_vendor"),
        ] {
            let after = Some((Timestamp::from_millis(1), OrderId::from_uuid(id)));
            let sql =
                format!("EXPLAIN QUERY PLAN {}", queries::page_of_orders(of, &filter, None, after, 9).sql().as_str());
            let mut held = writer.hold().await.expect("the writer");
            let steps: Vec<(i64, i64, i64, String)> =
                sqlx::query_as(sqlx::AssertSqlSafe(sql)).fetch_all(&mut *held.connection()).await.expect("a plan");
            let plan: Vec<String> = steps.into_iter().map(|step| step.3).collect();
            assert!(plan[0].contains(&format!("INDEX {index} ")), "{of:?}: {plan:?}");
            assert!(!plan.iter().any(|step| step.contains("TEMP B-TREE")), "{of:?}: {plan:?}");
        }
    }

    /// What is asked again and again, or by each of many requests, finds what it looks for in an index that stands in its order. Without figures of
    /// a table `SQLite` takes any index for better than none, and reads the whole table in the order of one that leads nowhere.
    #[tokio::test]
    async fn what_is_asked_again_and_again_reads_no_whole_table() {
        use crate::persistence::services::{accounts, couriers, kept, payments};
        let directory = tempfile::TempDir::new().expect("a directory");
        let (options, file) = (Options::default(), directory.path().join(FILE));
        let (_, _lock, writer) = open_for_writing(directory.path(), &file, &options).await.expect("a store");
        for (statement, indexes) in [
            (snapshots::DUE.as_str(), &["snapshot_wake_at"][..]),
            (jobs::TAKE_OVER, &["jobs_under_way"]),
            (jobs::BEGIN, &["jobs_waiting"]),
            (jobs::NEXT, &["jobs_waiting"]),
            (jobs::OPEN, &["jobs_waiting", "jobs_under_way", "jobs_ended"]),
            (jobs::FORGET, &["jobs_ended", "retries_of_job"]),
            (queries::GUESTS_ORDERS, &["orders_of_mail_key"]),
            (queries::POINTS_PENDING, &["orders_with_points_pending"]),
            (kept::KEPT, &["sqlite_autoindex_kept_answers_1"]),
            (kept::COUNT_OLD, &["kept_answers_by_age"]),
            (kept::FORGET, &["kept_answers_by_age"]),
            (couriers::KEEP, &["sqlite_autoindex_tracking_events_2"]),
            (couriers::KNOWN, &["sqlite_autoindex_tracking_events_1"]),
            (couriers::OF_SHIPMENT, &["sqlite_autoindex_tracking_events_2"]),
            (couriers::OF_JOB, &["tracking_events_of_job"]),
            (couriers::TO_LOOK_UP, &["carried_parcels_to_look_up"]),
            (couriers::CARRIED, &["carried_parcels_of_order"]),
            (couriers::CARRIED_PARCEL, &["sqlite_autoindex_carried_parcels_1"]),
            (couriers::SILENT_SINCE, &["carried_parcels_silent"]),
            (payments::WITHOUT_JOB, &["orders_outside", "jobs_waiting", "jobs_under_way", "jobs_ended"]),
            (accounts::REVOKED, &["sessions_by_revocation"]),
            (accounts::OLD[0], &["sign_ups_by_end"]),
            (accounts::OLD[1], &["sessions_by_end", "sessions_by_revocation"]),
            (accounts::OLD[2], &["new_emails_by_end"]),
            (accounts::OLD[3], &["accounts_invited"]),
            (accounts::FORGET[2], &["new_emails_by_end"]),
            (accounts::FORGET[3], &["accounts_invited"]),
            (accounts::FORGET[0], &["sign_ups_by_end"]),
            (accounts::FORGET[1], &["sessions_by_end", "sessions_by_revocation"]),
            (accounts::BY_EMAIL, &["accounts_of_email"]),
            (accounts::DROP_INVITATION, &["accounts_of_email"]),
            (accounts::SESSIONS, &["sessions_of_account"]),
            (accounts::END_OLDEST, &["sessions_of_account"]),
            (accounts::REVOKE_ALL, &["sessions_of_account"]),
            (accounts::DROP_SIGN_UPS, &["sign_ups_of_email"]),
            (accounts::NEWEST, &["accounts_by_age"]),
            (accounts::NEWEST_IN_ROLE, &["accounts_by_role"]),
            (accounts::NEWEST_OF_VENDOR, &["accounts_of_vendor"]),
        ] {
            let mut held = writer.hold().await.expect("the writer");
            let sql = sqlx::AssertSqlSafe(format!("EXPLAIN QUERY PLAN {statement}"));
            let steps: Vec<(i64, i64, i64, String)> =
                sqlx::query_as(sql).fetch_all(&mut *held.connection()).await.expect("a plan");
            let plan: Vec<String> = steps.into_iter().map(|step| step.3).collect();
            for index in indexes {
                assert!(
                    plan.iter().any(|step| step.split(' ').any(|word| word == *index)),
                    "{index}: {statement}: {plan:?}"
                );
            }
            // Partial indexes hold what is open, and nothing of what has ended: those may be read whole.
            let reads = |step: &&String| step.starts_with("SCAN") || step.starts_with("SEARCH");
            let is_found = |step: &str| {
                indexes.iter().any(|index| step.contains(index))
                    || ["(id=?)", "(key=?)", "(account_id=?)"].iter().any(|found| step.contains(found))
            };
            for step in plan.iter().filter(reads) {
                assert!(
                    is_found(step) || ["SCAN old", "SCAN CONSTANT ROW"].contains(&step.as_str()),
                    "{step}: {statement}: {plan:?}"
                );
            }
        }
    }

    /// Whatever a vendor has behind it: what waits is read from the index of those that stand so.
    #[tokio::test]
    async fn what_waits_for_a_vendor_is_read_from_indexes_alone() {
        use crate::domain::order::{SubOrderStatus, WaitsFor};
        use crate::persistence::tables::{ParcelOf, ReturnOf};
        use crate::ports::waiting::Shares;
        let directory = tempfile::TempDir::new().expect("a directory");
        let (options, file) = (Options::default(), directory.path().join(FILE));
        let (_, _lock, writer) = open_for_writing(directory.path(), &file, &options).await.expect("a store");
        let (vendor, at) = (VendorId::from_uuid(Uuid::from_u128(1)), Timestamp::from_millis(1));
        let (after, filter) = (Some((at, Uuid::from_u128(1))), OrderFilter::from(OrderStatus::Paid));
        let shares = "sub_orders_of_vendor_by_status";
        let of = |shares: &Shares| waiting::page_of_vendor(vendor, &filter, shares, after, 9);
        let statuses = vec![SubOrderStatus::Paid, SubOrderStatus::Packed];
        for (query, index, times) in [
            (of(&Shares::Standing(statuses)), shares, 2),
            (of(&Shares::Waiting(WaitsFor::Pack)), shares, 4),
            (of(&Shares::Waiting(WaitsFor::HandOver)), "shipments_of_vendor_by_status", 2),
            (of(&Shares::Waiting(WaitsFor::Return)), "returns_of_vendor_by_status", 2),
            (waiting::page_of::<ParcelOf<'_>>(vendor, &[], after, 9), "shipments_of_vendor", 1),
            (
                waiting::page_of::<ParcelOf<'_>>(vendor, &["draft", "booked"], after, 9),
                "shipments_of_vendor_by_status",
                2,
            ),
            (waiting::page_of::<ReturnOf<'_>>(vendor, &["requested"], after, 9), "returns_of_vendor_by_status", 1),
            (waiting::page_not_begun(vendor, at, false, after, 9), shares, 1),
            (waiting::page_with_cash(Some("platform"), after, 9), "shipments_with_cash", 1),
            (waiting::by_tracking("platform", "RX-4711"), "shipments_by_tracking", 1),
            (sqlx::QueryBuilder::new(waiting::OVERDUE), "sub_orders_overdue", 1),
        ] {
            let sql = format!("EXPLAIN QUERY PLAN {}", query.sql().as_str());
            let mut held = writer.hold().await.expect("the writer");
            let steps: Vec<(i64, i64, i64, String)> = sqlx::query_as(sqlx::AssertSqlSafe(sql.clone()))
                .fetch_all(&mut *held.connection())
                .await
                .expect("a plan");
            let plan: Vec<String> = steps.into_iter().map(|step| step.3).collect();
            let found = plan.iter().filter(|step| step.contains(&format!("INDEX {index}"))).count();
            assert_eq!(found, times, "{sql}: {plan:?}");
            let is_scan = |step: &&String| {
                step.starts_with("SCAN") && ["shipments", "returns", "orders"].iter().any(|table| step.contains(table))
            };
            let scans: Vec<&String> = plan.iter().filter(is_scan).filter(|step| !step.contains(index)).collect();
            assert_eq!(scans, [""; 0], "{plan:?}");
        }
    }

    /// A slice of a remake holds the one writer: it must not read whole tables.
    #[tokio::test]
    async fn former_rows_are_looked_for_in_an_index() {
        let directory = tempfile::TempDir::new().expect("a directory");
        let (options, file) = (Options::default(), directory.path().join(FILE));
        let (_, _lock, writer) = open_for_writing(directory.path(), &file, &options).await.expect("a store");
        let id = |number| OrderId::from_uuid(Uuid::from_u128(number)).entity();
        let entities: Vec<EntityDelta> =
            (1..=3).map(|number| EntityDelta::remade(id(number), 1, 2, Rows::default())).collect();
        let entities: Vec<&EntityDelta> = entities.iter().collect();
        for (table, owner) in [
            ("orders", "id"),
            ("sub_orders", "order_id"),
            ("shipments", "order_id"),
            ("returns", "order_id"),
            ("products", "vendor_id"),
            ("skus", "vendor_id"),
            ("sales", "vendor_id"),
            ("vendors", "id"),
            ("customers", "id"),
        ] {
            let sql = format!("EXPLAIN QUERY PLAN {}", remakes::former_rows(table, owner, &entities).sql().as_str());
            let mut held = writer.hold().await.expect("the writer");
            let steps: Vec<(i64, i64, i64, String)> =
                sqlx::query_as(sqlx::AssertSqlSafe(sql)).fetch_all(&mut *held.connection()).await.expect("a plan");
            assert!(steps.iter().all(|step| !step.3.starts_with("SCAN")), "{table}: {steps:?}");
        }
    }

    /// However often the shape is raised meanwhile: a column waits for its own.
    #[tokio::test]
    async fn nothing_is_filtered_by_a_column_before_every_row_has_it() {
        let directory = tempfile::TempDir::new().expect("a directory");
        let (options, file) = (Options::default(), directory.path().join(FILE));
        let (_, lock, writer) = open_for_writing(directory.path(), &file, &options).await.expect("a store");
        let pool = SqlitePoolOptions::new().connect_lazy_with(reading(&file, &options));
        let inner = Inner {
            keeper: None,
            writer: Some(writer),
            log: Mutex::default(),
            log_path: log_of(&file),
            append_timeout: options.append_timeout,
            checkpoint_timeout: options.checkpoint_timeout,
            query_timeout: options.query_timeout,
            search_timeout: options.search_timeout,
            reads: pool.clone(),
            tokens: pool.clone(),
            tables: pool.clone(),
            searches: pool.clone(),
            lists: pool,
            lock: Some(lock),
        };
        for (complete, aim, may) in [(1, 1, false), (1, 2, false), (2, 2, true), (2, 3, true)] {
            let progress = Some(Remaking { kind: Kind::Order, complete, aim, reached: None });
            let remake = Some(Remake { unreadable: &[], progress });
            inner.write(CheckpointWrite { remake, ..CheckpointWrite::default() }).await.expect("it is written");
            inner.may_filter_by::<Later>(&["id"]).await.expect("it was always there");
            let filtered = inner.may_filter_by::<Later>(&["id", "payment_method"]).await;
            match may {
                true => filtered.expect("all rows have it"),
                false => assert!(matches!(filtered, Err(StoreError::RowsIncomplete(Kind::Order))), "{filtered:?}"),
            }
        }
    }
}
