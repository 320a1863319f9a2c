//! `haat`: the server and the tools of its operators.

#![warn(clippy::unwrap_used, reason = "it tells nobody why it cannot fail: return the error, or expect(\"why\")")]
#![warn(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "it panics when what it writes to is full or closed: `out` says it"
)]

mod account;
mod demo;
mod keys;
mod own;
mod process;
mod rehearse;
mod sandbox;
#[path = "../haat-load/tester/mod.rs"]
mod tester;
mod token;
mod tools;

use anyhow::Context as _;
use clap::{Parser, Subcommand};
use haat::app::{App, AppError, Hooks};
use haat::config::{Config, LogArgs, ServeArgs, ToolArgs};
use haat::telemetry::{self, LogFormat};
use std::process::ExitCode;
use tester::{arguments, dumps, out};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Haat: an order-processing engine for multi-vendor shops that run flash sales.
#[derive(Parser)]
#[command(version, args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: Serve,
}

#[derive(clap::Args)]
struct Serve {
    #[command(flatten)]
    args: ServeArgs,
    #[command(flatten)]
    log: LogArgs,
    /// Allow core dumps, and debuggers of the same user. A dump holds the secret, tokens, and what buyers have told.
    #[arg(long, env = "HAAT_CORE_DUMPS", value_parser = clap::builder::BoolishValueParser::new())]
    core_dumps: bool,
}

#[derive(Subcommand)]
enum Command {
    /// Serve the shop (the default).
    Serve(Box<Serve>),
    /// Run a flash sale on a server of its own and show that the stock adds up.
    Demo(demo::DemoArgs),
    /// Drive a sale's crowd at a copy of the sale, and say whether it will hold.
    #[command(after_help = rehearse::CODES)]
    Rehearse(Box<rehearse::RehearseArgs>),
    /// A payment platform to which buyers are sent, for demos and tests: docs/redirect-payments.md.
    Sandbox(sandbox::SandboxArgs),
    /// Print a token to stdout. Opens no store.
    Token(token::TokenArgs),
    /// Accounts of those who work, made by asking a running server.
    #[command(subcommand)]
    Account(account::AccountCommand),
    /// The secrets that sign tokens.
    #[command(subcommand)]
    Keys(keys::KeysCommand),
    /// Bring the schema of the store, and of its archive if one is named, up to date, and do nothing more.
    Migrate(ToolArgs),
    /// Look at the whole store, beside a running server, and tell whether everything adds up.
    #[command(after_help = tools::AUDIT_CODES)]
    Audit(ToolArgs),
    /// Make all snapshots and read tables anew from the journal, then look at the whole store. No server may run.
    #[command(after_help = tools::AUDIT_CODES)]
    Rebuild(ToolArgs),
    /// Move old frames of the journal to an archive. Beside a running server on Postgres; else no server may run.
    Archive(tools::ArchiveArgs),
    /// Print the journal's frames and records, the oldest first.
    Journal(tools::JournalArgs),
    /// Print the life of one entity and the state it makes.
    Replay(tools::ReplayArgs),
    /// What reads the journal behind the log writer: how far it has come, and what to do about one that is gone.
    #[command(subcommand)]
    Follower(tools::FollowerCommand),
}

fn main() -> ExitCode {
    process::keep_files_private();
    let cli = match arguments::parse::<Cli>("haat") {
        Ok(cli) => cli,
        Err(code) => return ExitCode::from(code),
    };
    match run(cli) {
        Ok(code) => code,
        Err(error) => {
            if let Some(tools::Unwritten(error)) = error.downcast_ref() {
                return ExitCode::from(out::unwritten("haat", error, 1));
            }
            out::note(format_args!("haat: {}", words(&error)));
            let code = error.downcast_ref::<AppError>().map_or(1, AppError::exit_code);
            u8::try_from(code).map_or(ExitCode::FAILURE, ExitCode::from)
        }
    }
}

/// An error with its causes, each said once: some tell their cause themselves.
fn words(error: &anyhow::Error) -> String {
    let mut words = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        if !words.contains(&cause) {
            words.push_str(": ");
            words.push_str(&cause);
        }
    }
    words
}

fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("no runtime")?;
    let command = cli.command.unwrap_or(Command::Serve(Box::new(cli.serve)));
    match &command {
        Command::Serve(serve) if serve.core_dumps => {}
        _ => dumps::leave_none(),
    }
    if !matches!(command, Command::Serve(_)) {
        telemetry::init(LogFormat::Text, "warn").context("logs")?;
    }
    let ended = match command {
        Command::Serve(serve) => runtime.block_on(serve_until_signal(*serve)),
        Command::Demo(args) => runtime.block_on(demo::run(args)),
        Command::Rehearse(args) => runtime.block_on(rehearse::run(*args)),
        Command::Sandbox(args) => runtime.block_on(sandbox::run(args)),
        Command::Token(args) => token::run(&args),
        Command::Keys(command) => keys::run(&command),
        Command::Account(command) => runtime.block_on(account::run(&command)),
        Command::Migrate(args) => runtime.block_on(tools::migrate(&args)),
        Command::Audit(args) => Ok(runtime.block_on(tools::audit(&args))),
        Command::Rebuild(args) => Ok(runtime.block_on(tools::rebuild(&args))),
        Command::Archive(args) => runtime.block_on(tools::archive(&args)),
        Command::Journal(args) => runtime.block_on(tools::journal(&args)),
        Command::Replay(args) => runtime.block_on(tools::replay(&args)),
        Command::Follower(command) => runtime.block_on(tools::follower(&command)),
    };
    // All that had to end has ended: what still looks up a name, for one, is not waited for.
    runtime.shutdown_background();
    ended
}

async fn serve_until_signal(serve: Serve) -> anyhow::Result<ExitCode> {
    telemetry::init(serve.log.log_format, &serve.log.filter).context("HAAT_LOG")?;
    // Before anything that takes long: a recovery, or the wait for another server's lease.
    let stop = process::heed_signals().context("signals")?;
    let config = Config::from_args(&serve.args)?;
    let has_docs = config.http.docs;
    let Some(app) = App::build_unless(config, Hooks::default(), stop.clone()).await? else {
        return Ok(ExitCode::SUCCESS);
    };
    let address = app.address();
    out::note(format_args!("haat serves on http://{address}"));
    if has_docs {
        out::note(format_args!("  docs         http://{address}/docs"));
    }
    out::note("  admin token  haat token --role admin   (cargo run --release -- token --role admin)");
    app.run_until(stop.cancelled()).await?;
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn an_error_tells_each_cause_once() {
        let cause = || anyhow::anyhow!("no such file");
        assert_eq!(words(&cause()), "no such file");
        assert_eq!(words(&cause().context("the ledger")), "the ledger: no such file");
        assert_eq!(words(&cause().context("the ledger: no such file")), "the ledger: no such file");
    }
}
