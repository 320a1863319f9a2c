//! The two stores behind the ports: `SQLite`, embedded, and Postgres.
//!
//! What differs stands in `sqlite` and `postgres`: opening, appends, ownership and bulk upserts. What is the same SQL on both stands in
//! `portable`, whose files each of the two compiles against its own driver.

pub mod archived;
pub mod checkpointer;
pub mod log_writer;
pub mod postgres;
pub mod recovery;
pub mod skew;
pub mod sqlite;

pub mod metrics;
mod schema;
pub mod services;
mod slot;
mod table;
mod tables;
mod values;

use crate::limits;
use crate::ports::{Store, StoreError};
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// What a store is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// To run a server on it: the schema is brought up to date first. One process at a time with `SQLite`.
    Serve,
    /// To look at it beside a running server: nothing is written, nothing is taken.
    Tool,
    /// To tidy it up: nothing is taken. On Postgres beside a running server; `SQLite` has one writer, and this is it.
    Upkeep,
}

/// Where the store is.
#[derive(Clone, PartialEq, Eq)]
pub enum Place {
    /// The embedded store, in this directory.
    Sqlite(PathBuf),
    /// A Postgres database, by its URL.
    Postgres(String),
    /// An archive of either, in this directory: a file of the embedded store's kind, which no server runs on.
    Archive(PathBuf),
}

impl fmt::Debug for Place {
    /// Without the URL, which may hold a password and has no place in a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Sqlite(directory) => f.debug_tuple("Sqlite").field(directory).finish(),
            Place::Postgres(_) => f.debug_tuple("Postgres").finish_non_exhaustive(),
            Place::Archive(directory) => f.debug_tuple("Archive").field(directory).finish(),
        }
    }
}

/// Where the store is and how to speak with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreConfig {
    /// Where it is.
    pub place: Place,
    /// Where the frames are that were moved out of it, for tools that read the whole journal.
    pub archive: Option<PathBuf>,
    /// How.
    pub options: Options,
}

/// How to speak with a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Connections for lists and reports. The journal and the checkpointer have connections of their own besides.
    pub query_connections: u32,
    /// Connections for reading snapshots and frames, when entities are activated and at recovery.
    pub read_connections: u32,
    /// How long to wait for a connection before the store counts as unavailable.
    pub connect_timeout: Duration,
    /// How long an append may take before its outcome counts as unknown.
    pub append_timeout: Duration,
    /// How long one statement of a list or a read may take.
    pub query_timeout: Duration,
    /// How long a search by words may take, with its wait for a connection.
    pub search_timeout: Duration,
    /// How long one transaction of a checkpoint may take, and a take-over that has to wait for the former owner's.
    pub checkpoint_timeout: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            query_connections: 4,
            read_connections: 4,
            connect_timeout: Duration::from_secs(2),
            append_timeout: Duration::from_secs(10),
            query_timeout: Duration::from_secs(10),
            search_timeout: Duration::from_millis(limits::SEARCH_MS),
            checkpoint_timeout: Duration::from_secs(60),
        }
    }
}

/// Opens a store.
///
/// # Errors
/// Unavailable when it cannot be reached; Invalid when its schema is not there (for tools) or of another version, when it was made
/// with another number of partitions, or when another process serves on it (`SQLite`).
pub async fn open(config: &StoreConfig, mode: Mode) -> Result<Store, StoreError> {
    match &config.place {
        Place::Sqlite(directory) => sqlite::open(directory, sqlite::FILE, &config.options, mode).await,
        Place::Archive(directory) => sqlite::open(directory, sqlite::ARCHIVE, &config.options, mode).await,
        Place::Postgres(url) => postgres::open(url, &config.options, mode).await,
    }
}

/// Looks whether there is a store, of whatever version, and changes nothing.
///
/// # Errors
/// Invalid when there is none; Unavailable when it cannot be looked at.
pub async fn must_be_there(config: &StoreConfig) -> Result<(), StoreError> {
    match &config.place {
        Place::Sqlite(directory) => sqlite::must_be_there(&directory.join(sqlite::FILE), &config.options).await,
        Place::Archive(directory) => sqlite::must_be_there(&directory.join(sqlite::ARCHIVE), &config.options).await,
        Place::Postgres(url) => postgres::must_be_there(url, &config.options).await,
    }
}

/// Makes the store, or brings its schema up to date, and does nothing more.
///
/// # Errors
/// As [`open`].
pub async fn migrate(config: &StoreConfig) -> Result<(), StoreError> {
    match &config.place {
        Place::Sqlite(directory) => sqlite::migrate(directory, sqlite::FILE, &config.options).await,
        Place::Archive(directory) => sqlite::migrate(directory, sqlite::ARCHIVE, &config.options).await,
        Place::Postgres(url) => postgres::migrate(url, &config.options).await,
    }
}
