//! The servers that are compared.

use clap::ValueEnum;

/// A server of this bench.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Server {
    /// (a) SELECT … FOR UPDATE, check, update, insert.
    RowLocks,
    /// (b) UPDATE … WHERE quantity >= n in one statement with the inserts.
    OneStatement,
    /// (c) One row per piece, with SKIP LOCKED.
    UnitRows,
    /// (d) A Redis script, with appendfsync always.
    RedisScript,
    /// (e) One record per request through Haat's log writer, and nothing else.
    Ceiling,
    /// (f) Batches of up to 512 requests, decided in memory under one FOR UPDATE.
    Batches,
    /// (f2) The same, and each order is marked paid in a later batch.
    BatchesPaid,
    /// (h) Haat.
    Haat,
    /// Another build of Haat.
    Against,
}

impl Server {
    /// All baselines, in the order of the table.
    pub const BASELINES: [Self; 7] = [
        Self::RowLocks,
        Self::OneStatement,
        Self::UnitRows,
        Self::RedisScript,
        Self::Ceiling,
        Self::Batches,
        Self::BatchesPaid,
    ];

    /// Its name on the command line and in the table.
    pub fn name(self) -> &'static str {
        match self {
            Self::RowLocks => "row-locks",
            Self::OneStatement => "one-statement",
            Self::UnitRows => "unit-rows",
            Self::RedisScript => "redis-script",
            Self::Ceiling => "ceiling",
            Self::Batches => "batches",
            Self::BatchesPaid => "batches-paid",
            Self::Haat => "haat",
            Self::Against => "against",
        }
    }

    /// Whether it is a whole Haat.
    pub fn is_haat(self) -> bool {
        matches!(self, Self::Haat | Self::Against)
    }

    /// Whether its orders are paid some time after they were placed.
    pub fn pays(self) -> bool {
        self.is_haat() || self == Self::BatchesPaid
    }

    /// Whether it knows of stock and can be sold out.
    pub fn has_stock(self) -> bool {
        self != Self::Ceiling
    }

    /// Connections to its store (of the batches: writers), where it was best; `None` where there is nothing to choose.
    pub fn best_pool(self) -> Option<u32> {
        match self {
            // Whoever holds the row's lock works, the others wait, in the pool or at the lock: more of them only cost.
            Self::RowLocks | Self::OneStatement => Some(8),
            // Nobody waits for a lock, so the more commits share an fsync the better, up to what the processors bear.
            Self::UnitRows => Some(32),
            // One connection, on which everything is pipelined: Redis finds more of it at once.
            Self::RedisScript => Some(1),
            // While one commits, the next gathers and stands ready at the lock.
            Self::Batches | Self::BatchesPaid => Some(2),
            Self::Ceiling | Self::Haat | Self::Against => None,
        }
    }

    /// Connections of the client where it was best.
    pub fn best_connections(self) -> usize {
        match self {
            Self::RowLocks | Self::OneStatement => 16,
            Self::UnitRows => 64,
            Self::RedisScript | Self::Ceiling | Self::Batches | Self::BatchesPaid | Self::Haat | Self::Against => 512,
        }
    }
}
