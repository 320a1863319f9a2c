//! The flash sale: Haat beside what one would build in its place, on the same Postgres, with the same durability and the same client.
//! `scripts/bench` runs it; docs/performance.md says what is compared and holds the figures.
//!
//! Three kinds of processes: `run` orchestrates and starts the two others, `serve` is a baseline, `drive` the client.
#![allow(clippy::disallowed_methods, reason = "a bench measures time")]

mod batches;
mod books;
mod ceiling;
mod drive;
mod figures;
mod one_statement;
mod order;
mod plan;
mod processes;
mod redis_script;
mod row_locks;
mod run;
mod server;
mod server_kind;
mod sql;
mod stage;
mod statements;
mod unit_rows;
mod visits;
mod wire;

use anyhow::{Context as _, bail};
use clap::{Parser, Subcommand};
use server_kind::Server;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use tokio::net::TcpListener;

// The same as Haat's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The flash-sale benchmark; scripts/bench starts what it needs.
#[derive(Parser)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    /// What cargo bench says to every bench.
    #[arg(long, hide = true)]
    bench: bool,
}

#[derive(Subcommand)]
enum Command {
    /// Compare servers
    Run(Box<run::RunArgs>),
    /// Be a baseline
    Serve(ServeArgs),
    /// Be the client
    Drive {
        /// What to do
        plan: PathBuf,
        /// Where to write what was seen
        out: PathBuf,
    },
}

#[derive(clap::Args)]
struct ServeArgs {
    /// Which
    #[arg(value_enum)]
    server: Server,
    /// Where to listen
    #[arg(long)]
    listen: SocketAddr,
    /// Connections to the store; of batches: writers
    #[arg(long, default_value_t = 1)]
    pool: u32,
    /// Pieces that there are for whole visits (ceiling)
    #[arg(long, default_value_t = 20_000)]
    pieces: i64,
    /// The database, with the schema in it
    #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
    database_url: String,
    /// The Redis server
    #[arg(long, env = "REDIS_URL")]
    redis_url: Option<String>,
}

fn main() -> ExitCode {
    match start(Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("flash_sale: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn start(cli: Cli) -> anyhow::Result<()> {
    // As Haat's own.
    let runtime = || tokio::runtime::Builder::new_multi_thread().enable_all().build().context("no runtime");
    match cli.command {
        Some(Command::Run(args)) => runtime()?.block_on(run::main(*args)),
        Some(Command::Serve(args)) => runtime()?.block_on(serve(args)),
        Some(Command::Drive { plan, out }) => drive::main(&plan, &out),
        None => {
            let what = if cli.bench { "not run here" } else { "nothing to do" };
            println!("flash_sale: {what}: scripts/bench runs it, with a Postgres and a Redis of its own");
            Ok(())
        }
    }
}

async fn serve(args: ServeArgs) -> anyhow::Result<()> {
    let (url, pool) = (args.database_url.as_str(), args.pool.max(1));
    let listener = TcpListener::bind(args.listen).await?;
    match args.server {
        Server::RowLocks => server::serve(listener, row_locks::RowLocks::open(url, pool).await?).await,
        Server::OneStatement => server::serve(listener, one_statement::OneStatement::open(url, pool).await?).await,
        Server::UnitRows => server::serve(listener, unit_rows::UnitRows::open(url, pool).await?).await,
        Server::RedisScript => {
            let redis = args.redis_url.context("REDIS_URL is not set")?;
            server::serve(listener, redis_script::RedisScript::open(&redis, pool).await?).await
        }
        Server::Ceiling => {
            let ceiling = Arc::new(ceiling::Ceiling::open(url).await?);
            let visits = visits::routes(ceiling.clone(), args.pieces);
            server::serve_with_haats_loop(listener, ceiling, visits).await;
            Ok(())
        }
        Server::Batches => server::serve(listener, batches::Batches::open(url, pool, false).await?).await,
        Server::BatchesPaid => server::serve(listener, batches::Batches::open(url, pool, true).await?).await,
        Server::Haat | Server::Against => bail!("haat serves itself: target/release/haat"),
    }
}
