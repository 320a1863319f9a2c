//! `haat demo`: a flash sale from beginning to end in one process: a server on a store of its own, a crowd of buyers on one hot
//! product over real sockets, what they were told, and an audit of what the store holds afterwards.

use crate::tester::{self, cli, out};
use crate::{process, tools};
use anyhow::Context as _;
use clap::{Args, Parser};
use haat::app::token::{Whom, mint};
use haat::app::{App, Hooks, audit};
use haat::config::{
    AcceptanceArgs, AccountArgs, CashArgs, Config, CourierArgs, EdgeArgs, MailArgs, RedirectArgs, SecretArgs,
    ServeArgs, StoreArgs, StripeArgs, Switch, TraceArgs,
};
use haat::limits;
use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How long the demonstration's token lasts: longer than any demonstration.
const TOKEN_TTL: Duration = Duration::from_secs(60 * 60);
/// Open files that are not connections: the store's, the charge log's, the runtime's own.
const OTHER_FILES: u32 = 128;

/// The arguments of `haat demo`.
#[derive(Args)]
pub struct DemoArgs {
    /// Buyers who come at once.
    #[arg(long, default_value_t = 2_000, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    sessions: u32,
    /// Pieces of the hot product.
    #[arg(long, default_value_t = 100, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=1_000_000_000))]
    stock: u32,
    /// Where to keep the store; a temporary directory that is removed again when left out.
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
}

/// Runs the demonstration. Its exit code is 0 when everything adds up.
pub async fn run(args: DemoArgs) -> anyhow::Result<ExitCode> {
    let stop = process::heed_signals().context("signals")?;
    let place = match args.data_dir.clone() {
        Some(kept) => Place { directory: kept, temporary: false },
        None => Place::temporary()?,
    };
    let config = Config::from_args(&serve_args(&place.directory)?)?;
    let (store, token) = (config.store.clone(), mint(&config.keys, Whom::Admin(None), TOKEN_TTL)?);
    let Some(app) = App::build_unless(config, Hooks::default(), stop.clone()).await? else {
        anyhow::bail!("stopped before the end");
    };
    let crowd = crowd(&args, &format!("http://{}", app.address()), &token)?;
    let begin =
        format!("A server on http://{}: {} buyers want {} pieces.\n\n", app.address(), args.sessions, args.stock);
    let begun = out::print(&begin);

    let over = CancellationToken::new();
    let server = tokio::spawn(app.run_until(over.clone().cancelled_owned()));
    let rush = match &begun {
        Ok(()) => tokio::select! {
            code = tester::run(crowd) => Some(code),
            () = stop.cancelled() => None,
        },
        Err(_) => None,
    };
    over.cancel();
    server.await.context("the server panicked")??;
    tools::written(begun)?;
    let Some(code) = rush.transpose()? else {
        anyhow::bail!("stopped before the end");
    };
    let audited = audit::audit(&store, &place.directory).await?;
    let end = match &args.data_dir {
        Some(kept) => format!("The store is kept: haat audit --data-dir {}", kept.display()),
        None => "With --data-dir DIR the store is kept, to look into with haat journal and haat replay.".to_owned(),
    };
    let said = out::print(&format!("\nThe server has stopped. What an audit of its store says:\n\n{audited}\n{end}\n"));
    Ok(match (code, audited.is_clean()) {
        // What was found weighs more than that nobody reads it.
        (0 | out::READER_LEFT, true) => {
            tools::written(said)?;
            ExitCode::from(code)
        }
        _ => ExitCode::FAILURE,
    })
}

/// A server on any free port with everything as usual, whatever the environment says.
fn serve_args(directory: &Path) -> anyhow::Result<ServeArgs> {
    Ok(ServeArgs {
        listen: "127.0.0.1:0".parse().context("an address")?,
        operator_listen: None,
        store: StoreArgs { data_dir: directory.to_owned(), database_url: None },
        secret: SecretArgs { jwt_secret: None, jwt_keys: None },
        currency: "BDT".parse()?,
        actor_threads: None,
        hold_seconds: limits::HOLD_MS / 1000,
        payment_seconds: limits::PAYMENT_MS / 1000,
        return_days: limits::RETURN_DAYS,
        stripe: StripeArgs::default(),
        redirect: RedirectArgs::default(),
        courier: CourierArgs::default(),
        cash: CashArgs { cash_on_delivery: true, ..CashArgs::default() },
        acceptance: AcceptanceArgs::default(),
        mail: MailArgs { smtp_url: None, mail_from: None, mails_per_second: limits::MAILS_PER_SECOND },
        accounts: AccountArgs {
            argon2: "m=19456,t=2,p=1".to_owned(),
            refresh_grace_seconds: limits::REFRESH_GRACE_SECONDS,
            erase_after_days: limits::ERASE_AFTER_DAYS,
            public_url: None,
            trusted_proxies: None,
        },
        edge: EdgeArgs { rate_limits: None, cors_origins: None },
        trace: TraceArgs { otlp_url: None, otlp_ca: None, trace_sample: None },
        payment_calls_per_second: limits::GATEWAY_CALLS_PER_SECOND,
        live_actors: limits::LIVE_ACTORS,
        idle_seconds: limits::IDLE_MS / 1000,
        sandbox: Switch::On,
        docs: Switch::On,
        metrics: Switch::On,
    })
}

/// The crowd as the load tester takes it: all at once, one in twenty cards declined, one in twenty buyers clicking twice.
fn crowd(args: &DemoArgs, target: &str, token: &str) -> anyhow::Result<cli::Cli> {
    // Both ends of each connection are in this process, and whoever clicks twice has two.
    let room = cli::open_files().map_or(500, |files| files.saturating_sub(OTHER_FILES) / 4).max(1);
    let arguments = [
        "haat-load".to_owned(),
        format!("--target={target}"),
        format!("--admin-token={token}"),
        format!("--sessions={}", args.sessions),
        format!("--connections={}", args.sessions.min(room)),
        format!("--stock={}", args.stock),
        "--decline=5".to_owned(),
        "--retry=5".to_owned(),
    ];
    Ok(cli::Cli::try_parse_from(arguments)?)
}

/// Where the demonstration's store is.
struct Place {
    directory: PathBuf,
    temporary: bool,
}

impl Place {
    fn temporary() -> anyhow::Result<Self> {
        let within = std::env::temp_dir();
        // Whatever an earlier process of this number left behind is not touched.
        for number in 0..1_000 {
            let directory = within.join(format!("haat-demo-{}-{number}", std::process::id()));
            match DirBuilder::new().mode(0o700).create(&directory) {
                Ok(()) => return Ok(Self { directory, temporary: true }),
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error).with_context(|| directory.display().to_string()),
            }
        }
        anyhow::bail!("{} is full of demonstrations", within.display())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.temporary
            && let Err(error) = std::fs::remove_dir_all(&self.directory)
        {
            out::note(format_args!("haat: {} could not be removed: {error}", self.directory.display()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_crowd_is_one_that_the_load_tester_takes() {
        for (sessions, stock) in [(1, 0), (2_000, 100)] {
            let args = DemoArgs { sessions, stock, data_dir: None };
            let crowd = crowd(&args, "http://127.0.0.1:1", "token").expect("a crowd");
            assert_eq!(crowd.validate(), Ok(()));
            assert!(crowd.connections.is_some_and(|connections| connections <= sessions));
        }
    }

    #[test]
    fn a_temporary_place_is_gone_afterwards() {
        let (one, other) = (Place::temporary().expect("a place"), Place::temporary().expect("another"));
        let directory = one.directory.clone();
        assert_ne!(directory, other.directory);
        std::fs::write(directory.join("file"), "x").expect("a file");
        drop(one);
        assert!(!directory.exists());
    }
}
