//! A store of one test's own.

use crate::gateway::Books;
use crate::judges::Oracle;
use crate::post::Post;
use crate::postgres::TestDatabase;
use crate::store::{Server, Way};
use crate::world::World;
use haat::persistence::{self, Mode, Options, Place, StoreConfig};
use haat::ports::{Partition, Store, StoreError};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, SqliteConnection};
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;

/// A place for a store, gone with everything in it when this is dropped.
pub struct Fixture {
    directory: TempDir,
    database: Option<TestDatabase>,
    simulated: Option<Arc<Server>>,
}

/// A lease that has run out by the time anyone looks.
pub const NO_LEASE: Duration = Duration::ZERO;

impl Fixture {
    pub fn sqlite() -> Self {
        Self { directory: TempDir::new().expect("a temporary directory"), database: None, simulated: None }
    }

    /// The simulation's store, on which nothing goes wrong.
    pub fn simulated() -> Self {
        let world = Arc::new(World::new(1, false));
        world.calm_down();
        // What it says of frames that nothing can be made of is not asked here.
        let oracle = Oracle::new(world.clone(), Books::new(world.clone()), Post::new(world.clone()));
        Self { simulated: Some(Server::new(world, oracle)), ..Self::sqlite() }
    }

    pub async fn postgres() -> Self {
        Self { database: Some(TestDatabase::create().await), ..Self::sqlite() }
    }

    pub fn is_postgres(&self) -> bool {
        self.database.is_some()
    }

    pub fn config(&self) -> StoreConfig {
        let place = match &self.database {
            None => Place::Sqlite(self.directory.path().to_path_buf()),
            Some(database) => Place::Postgres(database.url.clone()),
        };
        // Patient: many tests may be at the database's server, and many ask at once for a connection of the few.
        let connect_timeout = Duration::from_secs(30);
        let search_timeout = Duration::from_secs(10);
        let options = Options {
            query_connections: 2,
            read_connections: 2,
            connect_timeout,
            search_timeout,
            ..Options::default()
        };
        StoreConfig { place, archive: None, options }
    }

    pub async fn try_open(&self, mode: Mode) -> Result<Store, StoreError> {
        match &self.simulated {
            Some(server) => Ok(server.connect(Way::of_a_tool(server.world.clone()))),
            None => persistence::open(&self.config(), mode).await,
        }
    }

    pub async fn open(&self) -> Store {
        self.try_open(Mode::Serve).await.expect("the store opens")
    }

    /// Opens the store and takes its partitions.
    pub async fn open_and_take(&self) -> (Store, Vec<Partition>) {
        let store = self.open().await;
        let partitions = take(&store, "test").await;
        (store, partitions)
    }

    /// Does with the tables what no server would.
    pub async fn execute(&self, sql: &str) -> Result<u64, sqlx::Error> {
        let sql = AssertSqlSafe(sql.to_owned());
        match &self.database {
            Some(database) => {
                let mut connection = PgConnection::connect(&database.url).await?;
                connection.execute(sql).await.map(|done| done.rows_affected())
            }
            None => self.embedded().await?.execute(sql).await.map(|done| done.rows_affected()),
        }
    }

    /// The one number that this query gives.
    pub async fn number(&self, sql: &str) -> i64 {
        let sql = AssertSqlSafe(sql.to_owned());
        match &self.database {
            Some(_) => {
                let mut connection = self.connection().await;
                sqlx::query_scalar(sql).fetch_one(&mut connection).await.expect("a number")
            }
            None => {
                let mut connection = self.embedded().await.expect("a connection");
                sqlx::query_scalar(sql).fetch_one(&mut connection).await.expect("a number")
            }
        }
    }

    /// The sum of a column of a table, where there are tables.
    pub async fn sum(&self, column: &str, table: &str) -> Option<i64> {
        if self.simulated.is_some() {
            return None;
        }
        let sum = if self.is_postgres() { format!("sum({column})::bigint") } else { format!("sum({column})") };
        Some(self.number(&format!("SELECT {sum} FROM {table}")).await)
    }

    /// One column of the one row that this query gives on `SQLite`.
    pub async fn text(&self, sql: &str, column: usize) -> String {
        let mut connection = self.embedded().await.expect("a connection");
        let row = sqlx::query(AssertSqlSafe(sql.to_owned())).fetch_one(&mut connection).await.expect("a row");
        sqlx::Row::get(&row, column)
    }

    /// A connection to the Postgres database.
    pub async fn connection(&self) -> PgConnection {
        let database = self.database.as_ref().expect("a store on Postgres");
        PgConnection::connect(&database.url).await.expect("a connection")
    }

    async fn embedded(&self) -> Result<SqliteConnection, sqlx::Error> {
        assert!(self.simulated.is_none(), "the simulation has no tables: such a test belongs into on_both_stores!");
        let file = self.directory.path().join("haat.db");
        SqliteConnection::connect(&format!("sqlite://{}", file.display())).await
    }
}

pub async fn take(store: &Store, owner: &str) -> Vec<Partition> {
    store.journal.acquire(owner, NO_LEASE, crate::samples::at(1)).await.expect("the partitions are taken")
}
