//! A server of one's own: in this process, on a store that nobody else has, for as long as something is driven at it. Then its store is audited.

use crate::tester::{cli, out};
use anyhow::Context as _;
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
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How long its token lasts: longer than anything that is driven at it.
const TOKEN_TTL: Duration = Duration::from_secs(24 * 60 * 60);
/// Open files that are not connections: the store's, the charge log's, the runtime's own.
const OTHER_FILES: u32 = 128;

/// How many sessions this process holds both ends of, where whoever clicks twice has two connections.
pub fn sessions_at_once() -> u32 {
    cli::open_files().map_or(500, |files| files.saturating_sub(OTHER_FILES) / 4).max(1)
}

/// Starts a server there, drives this at its address with an administrator's token, and stops it. Gives what came of it, and the audit.
///
/// # Errors
/// What kept it from that, or that it was stopped before the end.
pub async fn with_server<T>(
    place: &Place,
    stop: &CancellationToken,
    drive: impl AsyncFnOnce(String, String) -> anyhow::Result<T>,
) -> anyhow::Result<(T, audit::Report)> {
    let config = Config::from_args(&serve_args(&place.directory)?)?;
    let (store, token) = (config.store.clone(), mint(&config.keys, Whom::Admin(None), TOKEN_TTL)?);
    let Some(app) = App::build_unless(config, Hooks::default(), stop.clone()).await? else {
        anyhow::bail!("stopped before the end");
    };
    let address = format!("http://{}", app.address());
    let over = CancellationToken::new();
    let server = tokio::spawn(app.run_until(over.clone().cancelled_owned()));
    let driven = tokio::select! {
        driven = drive(address, token) => Some(driven),
        () = stop.cancelled() => None,
    };
    over.cancel();
    server.await.context("the server panicked")??;
    let Some(driven) = driven.transpose()? else {
        anyhow::bail!("stopped before the end");
    };
    Ok((driven, audit::audit(&store, &place.directory).await?))
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

/// Where its store is.
pub struct Place {
    directory: PathBuf,
    temporary: bool,
}

impl Place {
    /// This directory, or a temporary one that is removed again.
    pub fn of(kept: Option<&Path>, what: &str) -> anyhow::Result<Self> {
        match kept {
            Some(kept) => Ok(Self { directory: kept.to_owned(), temporary: false }),
            None => Self::temporary(what),
        }
    }

    fn temporary(what: &str) -> anyhow::Result<Self> {
        let within = std::env::temp_dir();
        // Whatever an earlier process of this number left behind is not touched.
        for number in 0..1_000 {
            let directory = within.join(format!("haat-{what}-{}-{number}", std::process::id()));
            match DirBuilder::new().mode(0o700).create(&directory) {
                Ok(()) => return Ok(Self { directory, temporary: true }),
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error).with_context(|| directory.display().to_string()),
            }
        }
        anyhow::bail!("{} is full of such directories", within.display())
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
    fn a_temporary_place_is_gone_afterwards() {
        let (one, other) = (Place::temporary("test").expect("a place"), Place::temporary("test").expect("another"));
        let directory = one.directory.clone();
        assert_ne!(directory, other.directory);
        std::fs::write(directory.join("file"), "x").expect("a file");
        drop(one);
        assert!(!directory.exists());
    }
}
