//! Why a server does not start, or does not stop as it should.

use crate::adapters::platform::PlatformSetting;
use crate::adapters::sandbox::SandboxError;
use crate::adapters::stripe::StripeSetting;
use crate::http::auth::MintError;
use crate::ports::StoreError;
use metrics_exporter_prometheus::BuildError;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// The exit code of a server that another has fenced.
pub const EXIT_FENCED: i32 = 3;
/// The exit code of a server that met a state that cannot be.
pub const EXIT_BROKEN: i32 = 4;
/// The exit code of a server, or of a tool that writes, whose machine's clock is wrong.
pub const EXIT_CLOCK: i32 = 5;

/// Why a server did not start or did not stop as it should.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// An address cannot be listened on.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// Which.
        address: SocketAddr,
        /// What the operating system says.
        source: io::Error,
    },
    /// The store cannot be used.
    #[error("the store cannot be used: {0}")]
    Store(#[from] StoreError),
    /// The sandbox's charge log cannot be used.
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    /// Stripe cannot be asked.
    #[error("Stripe: {0}")]
    Stripe(#[from] StripeSetting),
    /// The payment platform cannot be asked.
    #[error("the payment platform: {0}")]
    Redirect(PlatformSetting),
    /// The courier's platform cannot be asked.
    #[error("the courier's platform: {0}")]
    Courier(PlatformSetting),
    /// The machine's clock is wrong.
    #[error("{0}")]
    Clock(String),
    /// No threads, or the like.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// The metrics recorder cannot be made.
    #[error("{0}")]
    Metrics(#[from] BuildError),
    /// A token cannot be signed.
    #[error(transparent)]
    Token(#[from] MintError),
    /// What was asked for is not there, or cannot be had so.
    #[error("{0}")]
    Asked(String),
    /// What a tool does not keep in memory cannot be kept on the disk.
    #[error("what is not kept in memory cannot be written to {}: {source} (TMPDIR names another directory)", directory.display())]
    Temporary {
        /// Where it was to lie.
        directory: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
    /// The files that were written are not where the next start will look for them.
    #[error("{0}: what was written since then is not there, and is lost unless it was saved")]
    Lost(String),
    /// Not everything was written in time.
    #[error("the server did not stop within {0:?}: what is missing from snapshots is replayed at the next start")]
    Drain(Duration),
}

impl AppError {
    /// The exit code of a process that ends for it.
    pub fn exit_code(&self) -> i32 {
        match self {
            AppError::Store(StoreError::Fenced) => EXIT_FENCED,
            AppError::Clock(_) => EXIT_CLOCK,
            _ => 1,
        }
    }
}
