//! `haat-load`: drives a Haat server over real sockets as a crowd of buyers would, measures it, and holds it to what it
//! told them. This is the command; what it does is in [`tester`].

#![warn(clippy::unwrap_used, reason = "it tells nobody why it cannot fail: return the error, or expect(\"why\")")]
#![warn(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "it panics when what it writes to is full or closed: `out` says it"
)]

mod tester;

use std::process::ExitCode;

use anyhow::Context as _;

use crate::tester::cli::Cli;
use crate::tester::{arguments, dumps, out};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Wrong usage, or the server could not be reached or prepared.
const UNUSABLE: u8 = 2;

fn main() -> ExitCode {
    dumps::leave_none();
    let cli = match arguments::parse::<Cli>("haat-load") {
        Ok(cli) => cli,
        Err(code) => return ExitCode::from(code),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(cli.threads as usize)
        .enable_all()
        .build()
        .context("could not start the threads");
    let ended = runtime.and_then(|runtime| {
        let ended = runtime.block_on(tester::run(cli));
        // What waits for a line on stdin would be waited for.
        runtime.shutdown_background();
        ended
    });
    match ended {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            out::note(format_args!("haat-load: {error:#}"));
            ExitCode::from(UNUSABLE)
        }
    }
}
