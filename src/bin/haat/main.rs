//! `haat`: the server and the tools of its operators.

use anyhow::Context as _;
use clap::{Parser, Subcommand, ValueEnum};
use haat::app::{App, Hooks};
use haat::config::{Config, LogArgs, SecretArgs, ServeArgs, StoreArgs};
use haat::telemetry;
use std::process::ExitCode;

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
}

#[derive(Subcommand)]
enum Command {
    /// Serve the shop (the default).
    Serve(Box<Serve>),
    /// Print a token to stdout. Opens no store.
    Token(TokenArgs),
    /// Bring the store's schema up to date, and do nothing more.
    Migrate(StoreArgs),
}

#[derive(clap::Args)]
struct TokenArgs {
    /// What the bearer may do.
    #[arg(long, value_enum)]
    role: TokenRole,
    /// The vendor that a token of the role vendor is for.
    #[arg(long, value_name = "ID", required_if_eq("role", "vendor"))]
    vendor: Option<haat::domain::ids::VendorId>,
    /// The customer that a token of the role customer is for; a new one when left out.
    #[arg(long, value_name = "ID")]
    customer: Option<haat::domain::ids::CustomerId>,
    /// How long it is good for: a number and s, m, h or d.
    #[arg(long, default_value = "12h", value_name = "TIME")]
    ttl: String,
    #[command(flatten)]
    store: StoreArgs,
    #[command(flatten)]
    secret: SecretArgs,
}

#[derive(Clone, Copy, ValueEnum)]
enum TokenRole {
    Admin,
    Staff,
    Vendor,
    Customer,
}

fn main() -> ExitCode {
    match run(Cli::parse()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("haat: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    // Two providers of cryptography in one process would panic at the first TLS connection: this one is chosen for all.
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("no runtime")?;
    match cli.command.unwrap_or(Command::Serve(Box::new(cli.serve))) {
        Command::Serve(serve) => runtime.block_on(serve_until_signal(*serve)),
        Command::Token(_args) => anyhow::bail!("not yet"),
        Command::Migrate(store) => {
            store.make_data_dir()?;
            runtime.block_on(haat::app::migrate(&store.store()?))?;
            println!("the schema is up to date");
            Ok(ExitCode::SUCCESS)
        }
    }
}

async fn serve_until_signal(serve: Serve) -> anyhow::Result<ExitCode> {
    telemetry::init(serve.log.log_format, &serve.log.filter).context("HAAT_LOG")?;
    let config = Config::from_args(&serve.args)?;
    let app = App::build(config, Hooks::default()).await?;
    let address = app.address();
    eprintln!("haat serves on http://{address}");
    eprintln!("  docs         http://{address}/docs");
    eprintln!("  admin token  haat token --role admin   (cargo run --release -- token --role admin)");
    app.run_until(stop_signal()).await?;
    Ok(ExitCode::SUCCESS)
}

/// Ready when the process is asked to stop.
async fn stop_signal() {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut terminate) = signal(SignalKind::terminate()) else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = tokio::signal::ctrl_c() => {}
    }
}
