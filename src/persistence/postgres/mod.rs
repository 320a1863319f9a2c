//! The store on Postgres: for production, several nodes, and SQL over the read tables.
//!
//! Every purpose has connections of its own: one for appends, one for ownership, one for checkpoints, one for followers and jobs, one pool for reading
//! snapshots and frames, one pool for lists, one pool for what services write. So a slow report never stands in the way of a commit.

mod journal;
mod rows;
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

use super::schema::{self, POSTGRES};
use super::slot::{Held, Slot, pool_standing, store_error};
use super::{Mode, Options};
use crate::limits;
use crate::ports::standing::{PoolStanding, Pools};
use crate::ports::{Store, StoreError, StoreKey};
use sqlx::postgres::{PgArguments, PgConnectOptions, PgConnection, PgPoolOptions, Postgres};
use sqlx::{Arguments, ConnectOptions, Connection, Pool};
use std::sync::Arc;
use std::time::Duration;

/// The driver, for the portable files.
type Db = Postgres;

/// How a transaction that only reads begins, so that all its statements see the same rows.
const BEGIN_READING: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";

/// What before a column keeps the store from looking for it in an index: nothing, it knows which index tells most.
const NOT_BY_INDEX: &str = "";

/// How long past the server's own limit an answer is waited for.
const GRACE: Duration = Duration::from_secs(2);

/// Whether a statement that looks up in a table that grows is kept prepared: never. A plan that was made while the table was small, and kept, reads
/// the whole of it each time, until someone analyzes it. An unnamed statement is planned each time, with its arguments.
const LOOKUPS_STAY_PREPARED: bool = false;

/// Whether what is said to be new is inserted without looking first: that costs less.
const FRESH_IS_INSERTED: bool = true;

/// How many entities one transaction of a checkpoint writes at most: appends do not wait for it, so a great many.
const SLICE_ENTITIES: usize = 50_000;
/// How many parts and rows, unless a single entity has more.
const SLICE_PIECES: usize = 500_000;

/// What an element of an array takes in all columns besides its largest, in bytes: more than it needs.
const BESIDE_LARGEST: usize = 128;

/// Arguments with room for so many arrays, one of them with elements of these sizes in bytes. A buffer that doubles until it holds a batch was a
/// quarter of the log writer's time, most of it the system's for fresh pages.
fn arrays(columns: usize, largest: impl Iterator<Item = usize>) -> PgArguments {
    let mut arguments = PgArguments::default();
    let elements: usize = largest.map(|size| size + BESIDE_LARGEST).sum();
    arguments.reserve(columns, elements + columns * BESIDE_LARGEST);
    arguments
}

struct Inner {
    mode: Mode,
    append: Slot<PgConnection>,
    append_timeout: Duration,
    ownership: Slot<PgConnection>,
    checkpoint: Slot<PgConnection>,
    follower: Slot<PgConnection>,
    checkpoint_timeout: Duration,
    query_timeout: Duration,
    search_timeout: Duration,
    reads: Pool<Postgres>,
    lists: Pool<Postgres>,
    /// For whoever searches, known or not.
    searches: Pool<Postgres>,
    /// For the tokens of payments under way.
    tokens: Pool<Postgres>,
    /// For what services write.
    services: Pool<Postgres>,
    /// For what looks at whole tables, at start-up: as long as a checkpoint may take.
    tables: Pool<Postgres>,
}

impl Inner {
    fn may_write(&self) -> Result<(), StoreError> {
        match self.mode {
            Mode::Serve | Mode::Upkeep => Ok(()),
            Mode::Tool => Err(StoreError::Invalid("the store was opened for reading only".to_owned())),
        }
    }

    /// The connection of the commit path, which nobody else ever holds.
    #[allow(clippy::unnecessary_wraps, reason = "the other store may have none")]
    fn appender(&self) -> Result<&Slot<PgConnection>, StoreError> {
        Ok(&self.append)
    }

    /// The connection of the checkpointer.
    async fn checkpointer(&self) -> Result<Held<'_, PgConnection>, StoreError> {
        self.may_write()?;
        self.checkpoint.hold().await
    }

    /// The connection of followers and jobs: never that of the checkpointer, which they would keep waiting.
    async fn follower(&self) -> Result<Held<'_, PgConnection>, StoreError> {
        self.may_write()?;
        self.follower.hold().await
    }

    /// Postgres tidies up by itself.
    #[allow(clippy::unused_async, reason = "the other store has something to wait for")]
    async fn tidy_up_after(&self, _advance: &[(u16, u64)]) {}
}

impl Pools for Inner {
    fn sort(&self) -> &'static str {
        "postgres"
    }

    fn pools(&self) -> Vec<PoolStanding> {
        let pools = [
            ("reads", &self.reads),
            ("lists", &self.lists),
            ("searches", &self.searches),
            ("tokens", &self.tokens),
            ("services", &self.services),
            ("tables", &self.tables),
        ];
        pools.map(|(name, pool)| pool_standing(name, pool)).into()
    }
}

/// Opens the database at `url` (`postgres://user:password@host:port/database?sslmode=…`).
///
/// # Errors
/// Unavailable when it cannot be reached; Invalid when its schema is not there (for tools), is of another version, or has another number
/// of partitions.
pub async fn open(url: &str, options: &Options, mode: Mode) -> Result<Store, StoreError> {
    let base = connect_options(url)?;
    let key = match mode {
        Mode::Serve => prepare(&base, options).await?,
        Mode::Tool | Mode::Upkeep => check(&base, options).await?,
    };
    let read_only = match mode {
        Mode::Serve | Mode::Upkeep => "off",
        Mode::Tool => "on",
    };
    // A connection that dies in a transaction lets its locks go before anyone has to wait for them long.
    let limited = |timeout: Duration| {
        base.clone().options([
            ("synchronous_commit", "on".to_owned()),
            // The pages that are looked up in are in memory, or on a disk that does not turn: an index is worth it from the second page on.
            ("random_page_cost", "1.1".to_owned()),
            // No statement here is worth compiling; a wrong estimate must not lead to it.
            ("jit", "off".to_owned()),
            ("default_transaction_read_only", read_only.to_owned()),
            ("statement_timeout", timeout.as_millis().to_string()),
            ("idle_in_transaction_session_timeout", "10s".to_owned()),
            ("tcp_keepalives_idle", "10".to_owned()),
            ("tcp_keepalives_interval", "3".to_owned()),
            ("tcp_keepalives_count", "3".to_owned()),
        ])
    };
    let slot = |timeout| Slot::new(limited(timeout), options.connect_timeout);
    // Checkpoints write orders with all that belongs to them: see the triggers of the read tables.
    let whole_orders = limited(options.checkpoint_timeout).options([("haat.whole_orders", "on")]);
    let pool = |connections, timeout| {
        that_answers(timeout + GRACE)
            .max_connections(connections)
            .acquire_timeout(options.connect_timeout)
            .connect_lazy_with(limited(timeout))
    };
    let once = that_answers(options.checkpoint_timeout + GRACE)
        .max_connections(1)
        .acquire_timeout(options.connect_timeout)
        .idle_timeout(GRACE)
        .connect_lazy_with(limited(options.checkpoint_timeout));
    let inner = Arc::new(Inner {
        mode,
        append: slot(options.append_timeout),
        append_timeout: options.append_timeout + GRACE,
        ownership: slot(options.checkpoint_timeout),
        checkpoint: Slot::new(whole_orders, options.connect_timeout),
        follower: slot(options.checkpoint_timeout),
        checkpoint_timeout: options.checkpoint_timeout + GRACE,
        query_timeout: options.query_timeout + GRACE,
        search_timeout: options.search_timeout,
        reads: pool(options.read_connections, options.query_timeout),
        lists: pool(options.query_connections, options.query_timeout),
        searches: pool(limits::SEARCH_CONNECTIONS, options.search_timeout),
        tokens: pool(limits::TOKEN_CONNECTIONS, options.query_timeout),
        services: pool(limits::SERVICE_CONNECTIONS, options.query_timeout),
        tables: once,
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
        units: Arc::new(units::PostgresUnits::new(inner)),
    })
}

/// A pool that takes a connection back only if it answers in this time, in which the server ends whatever statement was given up. The
/// driver alone would ask and wait for ever where the peer has gone without a word, and the pool had one place less for good.
fn that_answers(limit: Duration) -> PgPoolOptions {
    PgPoolOptions::new().after_release(move |connection, _| {
        Box::pin(async move {
            let late = |_| Err(sqlx::Error::Io(std::io::ErrorKind::TimedOut.into()));
            tokio::time::timeout(limit, connection.ping()).await.unwrap_or_else(late).map(|()| true)
        })
    })
}

/// Brings the schema of the database at `url` up to date.
///
/// # Errors
/// As [`open`].
pub async fn migrate(url: &str, options: &Options) -> Result<(), StoreError> {
    prepare(&connect_options(url)?, options).await.map(drop)
}

fn connect_options(url: &str) -> Result<PgConnectOptions, StoreError> {
    // The URL may hold a password: the error says what is wrong without it.
    let parsed = url.parse::<PgConnectOptions>().map_err(|error| {
        StoreError::Invalid(format!(
            "DATABASE_URL: the database URL is not understood (postgres://user@host:port/database): {error}"
        ))
    })?;
    Ok(parsed.application_name("haat").disable_statement_logging())
}

async fn connect(base: &PgConnectOptions, options: &Options) -> Result<PgConnection, StoreError> {
    let late = |_| StoreError::Unavailable(format!("no connection within {:?}", options.connect_timeout));
    tokio::time::timeout(options.connect_timeout, base.connect()).await.map_err(late)?.map_err(store_error)
}

async fn prepare(base: &PgConnectOptions, options: &Options) -> Result<StoreKey, StoreError> {
    let mut connection = connect(base, options).await?;
    schema::migrator(POSTGRES).run(&mut connection).await.map_err(schema::migrate_error)?;
    fix_partitions(&mut connection).await.map_err(store_error)?;
    let partitions = meta(&mut connection, "partitions").await.map_err(store_error)?;
    schema::check_partitions(partitions.as_deref())?;
    let fsync: String = sqlx::query_scalar("SHOW fsync").fetch_one(&mut connection).await.map_err(store_error)?;
    if fsync != "on" {
        tracing::warn!(
            fsync,
            "this Postgres does not wait for its disk: what it says is durable may be lost in a crash"
        );
    }
    let key = schema::store_key(meta(&mut connection, "store_key").await.map_err(store_error)?.as_deref())?;
    // What could not be closed in order is closed all the same.
    let _ = connection.close().await;
    Ok(key)
}

/// Writes down the number of partitions, once.
async fn fix_partitions(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    let mut transaction = connection.begin().await?;
    let made = sqlx::query("INSERT INTO meta (key, value) VALUES ('partitions', $1) ON CONFLICT DO NOTHING")
        .bind(limits::PARTITIONS.to_string())
        .execute(&mut *transaction)
        .await?;
    if made.rows_affected() > 0 {
        sqlx::query("INSERT INTO partition (id) SELECT generate_series(0, $1 - 1)")
            .bind(i32::from(limits::PARTITIONS))
            .execute(&mut *transaction)
            .await?;
    }
    transaction.commit().await
}

/// What was written down when the store was made.
async fn meta(connection: &mut PgConnection, key: &str) -> Result<Option<String>, sqlx::Error> {
    sqlx::query_scalar("SELECT value FROM meta WHERE key = $1").bind(key).fetch_optional(connection).await
}

/// Looks whether the database at `url` holds a store.
///
/// # Errors
/// Invalid when it does not; Unavailable when it cannot be reached.
pub(super) async fn must_be_there(url: &str, options: &Options) -> Result<(), StoreError> {
    find(&connect_options(url)?, options).await.map(drop)
}

/// A connection to a database that holds a store.
async fn find(base: &PgConnectOptions, options: &Options) -> Result<PgConnection, StoreError> {
    let mut connection = connect(base, options).await?;
    let there: bool = sqlx::query_scalar("SELECT to_regclass('_sqlx_migrations') IS NOT NULL")
        .fetch_one(&mut connection)
        .await
        .map_err(store_error)?;
    if !there {
        let database = base.get_database().unwrap_or(base.get_username());
        return Err(schema::not_there(&format!("in the database '{database}' (DATABASE_URL)")));
    }
    Ok(connection)
}

/// Looks whether the schema is this version's, and changes nothing. Gives the store's own key.
async fn check(base: &PgConnectOptions, options: &Options) -> Result<StoreKey, StoreError> {
    let mut connection = find(base, options).await?;
    let applied = sqlx::query_as("SELECT version, checksum FROM _sqlx_migrations WHERE success ORDER BY version")
        .fetch_all(&mut connection)
        .await
        .map_err(store_error)?;
    schema::check_applied(POSTGRES, &applied)?;
    let partitions = meta(&mut connection, "partitions").await.map_err(store_error)?;
    let key = meta(&mut connection, "store_key").await.map_err(store_error)?;
    let _ = connection.close().await;
    schema::check_partitions(partitions.as_deref())?;
    schema::store_key(key.as_deref())
}
