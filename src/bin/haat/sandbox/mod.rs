//! `haat sandbox`: a payment platform to which buyers are sent, and a courier that fetches parcels, for demos and tests, in a process of its own. It
//! speaks what docs/redirect-payments.md and docs/courier.md say, keeps books that survive it, and has every fault that a token, an address or a
//! header asks for. It shares no code with what asks it.

mod api;
mod books;
mod faults;
mod notices;
mod outbox;
mod page;
mod parcel;
mod parcels;
mod payment;

use crate::process;
use crate::tester::out;
use anyhow::{Context as _, bail};
use books::Books;
use clap::Args;
use haat::config::Switch;
use notices::{Signer, Signers};
use outbox::Half;
use std::collections::HashSet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::net::TcpListener;

/// The most requests that are remembered as asked for before.
const REMEMBERED: usize = 100_000;

/// The arguments of `haat sandbox`.
#[derive(Args)]
pub struct SandboxArgs {
    /// Where to listen.
    #[arg(long, default_value = "127.0.0.1:8420", value_name = "ADDR:PORT")]
    listen: SocketAddr,
    /// Where its books are kept.
    #[arg(long, default_value = "./sandbox", value_name = "DIR")]
    data_dir: PathBuf,
    /// By what the shop is known, and notices are signed; the first of several.
    #[arg(
        long,
        env = "HAAT_REDIRECT_SECRET",
        value_name = "SECRET",
        hide_env_values = true,
        default_value = "",
        hide_default_value = true
    )]
    secret: String,
    /// The same of parcels: with it, there is a courier.
    #[arg(
        long,
        env = "HAAT_COURIER_SECRET",
        value_name = "SECRET",
        hide_env_values = true,
        default_value = "",
        hide_default_value = true
    )]
    courier_secret: String,
    /// How the addresses of its pages begin; by default http:// and the address to listen at.
    #[arg(long, value_name = "URL")]
    public_url: Option<String>,
    /// Whether there may be a sandbox. By itself only on a loopback address, and where no database is named.
    #[arg(long, env = "HAAT_SANDBOX", value_name = "on|off", default_value = "", hide_default_value = true,
        num_args = 0..=1, require_equals = true, default_missing_value = "on")]
    sandbox: Switch,
    /// The shop's database. It is only looked at to see that there is one: then this is no place for a sandbox by itself.
    #[arg(long, env = "DATABASE_URL", value_name = "URL", hide_env_values = true, hide = true)]
    database_url: Option<String>,
}

/// The platform.
struct Sandbox {
    books: Books,
    /// By what a shop is known that has money taken, and one that has parcels fetched.
    bearers: [Option<String>; 2],
    base: String,
    /// What was asked for before.
    asked: Mutex<HashSet<String>>,
}

impl Sandbox {
    /// By what a shop is known that comes for this; `None` where there is no such business.
    fn bearer(&self, half: Half) -> Option<&str> {
        let [payments, parcels] = &self.bearers;
        match half {
            Half::Payments => payments.as_deref(),
            Half::Parcels => parcels.as_deref(),
        }
    }

    /// Whether this is asked for for the first time, since the start.
    fn is_first(&self, what: &str) -> bool {
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        if asked.len() >= REMEMBERED {
            asked.clear();
        }
        asked.insert(what.to_owned())
    }
}

impl SandboxArgs {
    /// Whether it may be here: money that is none is taken for money where the shop is meant to last.
    fn is_allowed(&self) -> bool {
        let has_database = self.database_url.as_deref().is_some_and(|url| !url.is_empty());
        self.sandbox.is_on(self.listen.ip().to_canonical().is_loopback() && !has_database)
    }
}

/// Serves until it is asked to stop.
pub async fn run(args: SandboxArgs) -> anyhow::Result<ExitCode> {
    if !args.is_allowed() {
        bail!("HAAT_SANDBOX: a sandbox pays without money, and is not allowed here: HAAT_SANDBOX=on allows it");
    }
    let stop = process::heed_signals().context("signals")?;
    let first = |secrets: &str| secrets.split(',').next().unwrap_or_default().trim().to_owned();
    let (secret, courier_secret) = (first(&args.secret), first(&args.courier_secret));
    // Who only tries a courier need not take money.
    let has_payments = !args.secret.is_empty() || args.courier_secret.is_empty();
    let payments = has_payments.then(|| Signer::new("HAAT_REDIRECT_SECRET", &secret)).transpose()?;
    let has_parcels = !args.courier_secret.is_empty();
    let parcels = has_parcels.then(|| Signer::new("HAAT_COURIER_SECRET", &courier_secret)).transpose()?;
    let signers = Signers { payments, parcels };
    let bearer = |is_there: bool, secret: &str| is_there.then(|| format!("Bearer {secret}"));
    let bearers = [bearer(has_payments, &secret), bearer(has_parcels, &courier_secret)];
    let books = Books::open(&args.data_dir).await?;
    let listener = TcpListener::bind(args.listen).await.with_context(|| format!("cannot listen on {}", args.listen))?;
    let address = listener.local_addr()?;
    let base = args
        .public_url
        .as_deref()
        .map_or_else(|| format!("http://{address}"), |url| url.trim_end_matches('/').to_owned());
    let sandbox = Arc::new(Sandbox { books, bearers, base, asked: Mutex::default() });
    let does = match (has_payments, has_parcels) {
        (true, true) => "pays and delivers",
        (true, false) => "pays",
        (false, _) => "delivers",
    };
    out::note(format_args!("haat sandbox {does} on http://{address}"));
    let router = api::router(sandbox.clone());
    tokio::select! {
        () = stop.cancelled() => {}
        ended = notices::send(&sandbox.books, &signers) => ended?,
        ended = async { axum::serve(listener, router).await } => ended?,
    }
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Only {
        #[command(flatten)]
        args: SandboxArgs,
    }

    /// The environment of whoever runs this is not looked at: each case says all that matters.
    #[test]
    fn it_is_never_by_itself_where_somebody_shops() {
        let (here, everywhere) = ("--listen=127.0.0.1:0", "--listen=0.0.0.0:0");
        let (database, none) = ("--database-url=postgres://shop@db/shop", "--database-url=");
        for (arguments, is_allowed) in [
            ([here, none, "--sandbox="], true),
            (["--listen=[::1]:0", none, "--sandbox="], true),
            ([here, none, "--sandbox=off"], false),
            ([everywhere, none, "--sandbox="], false),
            ([here, database, "--sandbox="], false),
            ([everywhere, database, "--sandbox=on"], true),
            ([everywhere, database, "--sandbox"], true),
        ] {
            let arguments = [&["haat", "--secret=x"], &arguments[..]].concat();
            let only = Only::try_parse_from(&arguments).unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(only.args.is_allowed(), is_allowed, "{arguments:?}");
        }
    }
}
