//! What an operator may set: flags and environment variables, read once and checked before anything starts. What one service needs stands in a
//! file of its own: its flags, and how they are checked.

mod acceptance;
mod accounts;
mod cash;
mod courier;
mod edge;
pub mod keys;
mod mail;
mod platform;
mod redirect;
mod secret;
mod stripe;
mod trace;

pub use acceptance::AcceptanceArgs;
pub use accounts::{AccountArgs, AccountSettings};
pub use cash::CashArgs;
pub use courier::CourierArgs;
pub use edge::EdgeArgs;
pub use mail::{MailArgs, MailSettings, SmtpConfig};
pub use redirect::RedirectArgs;
pub use secret::{SECRET_FILE, SecretArgs};
pub use stripe::StripeArgs;
pub use trace::{TraceArgs, TraceSettings};

use crate::actors::NodeSettings;
use crate::adapters::clock::SystemClock;
use crate::adapters::platform::PlatformConfig;
use crate::adapters::stripe::StripeConfig;
use crate::domain::knowledge::Settings;
use crate::domain::money::Currency;
use crate::domain::order::AcceptanceSettings;
use crate::files;
use crate::http::Settings as HttpSettings;
use crate::http::server::ServerSettings;
use crate::limits;
use crate::persistence::{Options, Place, StoreConfig};
use crate::ports::Clock;
use crate::ports::keys::SigningKeys;
use crate::telemetry::LogFormat;
use clap::Args;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A setting is missing or has a value it may not have.
    #[error("{setting}: {reason}")]
    Setting {
        /// Which.
        setting: &'static str,
        /// Why.
        reason: String,
    },
    /// The data directory, or a file in it, cannot be used.
    #[error("{path} (HAAT_DATA_DIR): {source}")]
    File {
        /// Which.
        path: PathBuf,
        /// What the operating system says.
        source: std::io::Error,
    },
}

/// Where the store is.
#[derive(Args, Clone, Debug)]
pub struct StoreArgs {
    /// Where the embedded store, the secret and the sandbox's charge log are kept.
    #[arg(long, env = "HAAT_DATA_DIR", default_value = "./data", value_name = "DIR")]
    pub data_dir: PathBuf,
    /// A Postgres database (postgres://user@host/name) instead of the embedded store.
    #[arg(long, env = "DATABASE_URL", value_name = "URL", hide_env_values = true)]
    pub database_url: Option<String>,
}

impl StoreArgs {
    /// The store as the persistence room takes it.
    ///
    /// # Errors
    /// When the URL is not one of Postgres.
    pub fn store(&self) -> Result<StoreConfig, ConfigError> {
        let place = match self.database_url.as_deref().filter(|url| !url.is_empty()) {
            None => Place::Sqlite(self.data_dir.clone()),
            Some(url) if url.starts_with("postgres://") || url.starts_with("postgresql://") => {
                Place::Postgres(url.to_owned())
            }
            Some(_) => {
                let reason = "must begin with postgres://, or be left out for the embedded store".into();
                return Err(ConfigError::Setting { setting: "DATABASE_URL", reason });
            }
        };
        Ok(StoreConfig { place, archive: None, options: Options::default() })
    }

    /// Makes the data directory if it is not there; closes it, and the secret in it, to others if it is.
    ///
    /// # Errors
    /// When it cannot be made, or belongs to another user.
    pub fn make_data_dir(&self) -> Result<(), ConfigError> {
        let failed = |path: PathBuf| move |source| ConfigError::File { path, source };
        files::own_directory(&self.data_dir).map_err(failed(self.data_dir.clone()))?;
        let secret = self.data_dir.join(SECRET_FILE);
        files::own_secret(&secret).map_err(failed(secret.clone()))
    }
}

/// Which store a tool looks at, and where the rest of its journal is.
#[derive(Args, Clone)]
pub struct ToolArgs {
    /// The store.
    #[command(flatten)]
    pub store: StoreArgs,
    /// The directory of the archive to which old frames were moved (haat archive).
    #[arg(long, env = "HAAT_ARCHIVE", value_name = "DIR")]
    pub archive: Option<PathBuf>,
}

impl ToolArgs {
    /// The store and its archive as the persistence room takes them.
    ///
    /// # Errors
    /// As [`StoreArgs::store`].
    pub fn store(&self) -> Result<StoreConfig, ConfigError> {
        let archive = self.archive.clone().filter(|directory| !directory.as_os_str().is_empty());
        Ok(StoreConfig { archive, ..self.store.store()? })
    }
}

/// What is on, off, or as it is by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Switch {
    /// As it is by itself.
    #[default]
    Unset,
    /// On.
    On,
    /// Off.
    Off,
}

impl Switch {
    /// Whether it is on, where by itself it is `unset`.
    pub fn is_on(self, unset: bool) -> bool {
        match self {
            Switch::Unset => unset,
            Switch::On => true,
            Switch::Off => false,
        }
    }
}

impl FromStr for Switch {
    type Err = String;
    /// An empty text is what a variable has that was meant to be left out.
    fn from_str(text: &str) -> Result<Self, String> {
        match text.to_ascii_lowercase().as_str() {
            "" => Ok(Switch::Unset),
            "on" | "true" | "1" => Ok(Switch::On),
            "off" | "false" | "0" => Ok(Switch::Off),
            _ => Err("it is on or off (or true, false, 1, 0)".into()),
        }
    }
}

/// How logs are written.
#[derive(Args, Clone, Debug)]
pub struct LogArgs {
    /// How logs are written to stderr.
    #[arg(long, env = "HAAT_LOG_FORMAT", value_enum, default_value_t)]
    pub log_format: LogFormat,
    /// What is logged, as in RUST_LOG: a level, or target=level with commas between.
    #[arg(long = "log", env = "HAAT_LOG", default_value = "info,sqlx=warn", value_name = "FILTER")]
    pub filter: String,
}

/// Everything `haat serve` may be told.
#[derive(Args, Clone)]
pub struct ServeArgs {
    /// Where to listen.
    #[arg(long, env = "HAAT_LISTEN", default_value = "127.0.0.1:8080", value_name = "ADDRESS", value_parser = address)]
    pub listen: SocketAddr,
    /// Where operators find /metrics, which then leaves the main port. The admin routes stay there: they ask for an admin's token.
    #[arg(long, env = "HAAT_OPERATOR_LISTEN", value_name = "ADDRESS", value_parser = address)]
    pub operator_listen: Option<SocketAddr>,
    /// Where the store is.
    #[command(flatten)]
    pub store: StoreArgs,
    /// The secret that signs tokens.
    #[command(flatten)]
    pub secret: SecretArgs,
    /// The currency of an empty cart.
    #[arg(long, env = "HAAT_CURRENCY", default_value = "BDT", value_name = "CODE", value_parser = Currency::of_money)]
    pub currency: Currency,
    /// Threads that actors run on; one for two processors when left out.
    #[arg(long, env = "HAAT_ACTOR_THREADS", value_name = "COUNT")]
    pub actor_threads: Option<usize>,
    /// Seconds for which stock is held for an order; not shorter than the payment window.
    #[arg(long, env = "HAAT_HOLD_SECONDS", default_value_t = limits::HOLD_MS / 1000, value_name = "SECONDS")]
    pub hold_seconds: i64,
    /// Seconds in which an order must be paid.
    #[arg(long, env = "HAAT_PAYMENT_SECONDS", default_value_t = limits::PAYMENT_MS / 1000, value_name = "SECONDS")]
    pub payment_seconds: i64,
    /// Days after a delivery in which a buyer may ask for a return; 0 for none.
    #[arg(long, env = "HAAT_RETURN_DAYS", default_value_t = limits::RETURN_DAYS, value_name = "DAYS",
        value_parser = clap::value_parser!(u32).range(0..=3650))]
    pub return_days: u32,
    /// When vendors are to begin.
    #[command(flatten)]
    pub acceptance: AcceptanceArgs,
    /// Calls per second to one payment provider: what its contract allows.
    #[arg(long, env = "HAAT_PAYMENT_CALLS_PER_SECOND", default_value_t = limits::GATEWAY_CALLS_PER_SECOND, value_name = "COUNT")]
    pub payment_calls_per_second: u32,
    /// Actors in memory before the least recently used leave it.
    #[arg(long, env = "HAAT_LIVE_ACTORS", default_value_t = limits::LIVE_ACTORS, value_name = "COUNT")]
    pub live_actors: usize,
    /// Seconds after which an idle actor leaves memory.
    #[arg(long, env = "HAAT_IDLE_SECONDS", default_value_t = limits::IDLE_MS / 1000, value_name = "SECONDS")]
    pub idle_seconds: u64,
    /// The built-in payment provider, whose cards pay without money. By itself it is on only with the embedded store on
    /// a loopback address.
    #[arg(long, env = "HAAT_SANDBOX", value_name = "on|off", default_value = "", hide_default_value = true,
        num_args = 0..=1, require_equals = true, default_missing_value = "on")]
    pub sandbox: Switch,
    /// Payments by card.
    #[command(flatten)]
    pub stripe: StripeArgs,
    /// Payments on the pages of a platform of the company's own.
    #[command(flatten)]
    pub redirect: RedirectArgs,
    /// Parcels.
    #[command(flatten)]
    pub courier: CourierArgs,
    /// Orders that are paid at the door.
    #[command(flatten)]
    pub cash: CashArgs,
    /// Mails.
    #[command(flatten)]
    pub mail: MailArgs,
    /// Accounts.
    #[command(flatten)]
    pub accounts: AccountArgs,
    /// Who may ask, and how often.
    #[command(flatten)]
    pub edge: EdgeArgs,
    /// Traces.
    #[command(flatten)]
    pub trace: TraceArgs,
    /// The API's pages at /docs and its document at /openapi.json.
    #[arg(long, env = "HAAT_DOCS", value_name = "on|off", default_value = "on", require_equals = true)]
    pub docs: Switch,
    /// The figures at /metrics.
    #[arg(long, env = "HAAT_METRICS", value_name = "on|off", default_value = "on", require_equals = true)]
    pub metrics: Switch,
}

impl ServeArgs {
    /// Whether the sandbox takes payments. Where others can reach the shop, or a database says that it is meant to
    /// last, only if it is asked for.
    fn has_sandbox(&self, place: &Place) -> bool {
        self.sandbox.is_on(matches!(place, Place::Sqlite(_)) && self.listen.ip().to_canonical().is_loopback())
    }
}

/// # Errors
/// When the value of this setting is below 1.
fn at_least_one(setting: &'static str, value: i64) -> Result<(), ConfigError> {
    match value {
        1.. => Ok(()),
        _ => Err(ConfigError::Setting { setting, reason: "must be at least 1".into() }),
    }
}

/// Reads an address to listen on: an IP address or a name, and a port.
fn address(text: &str) -> Result<SocketAddr, String> {
    const WANTED: &str = "an address and a port are wanted, such as 127.0.0.1:8080, [::]:8080 or localhost:8080";
    if let Ok(address) = text.parse() {
        return Ok(address);
    }
    let (host, port) = text.rsplit_once(':').ok_or(WANTED)?;
    let port: u16 = port.parse().map_err(|_| format!("'{port}' is no port from 0 to 65535: {WANTED}"))?;
    if host.is_empty() || host.contains(':') {
        return Err(WANTED.to_owned());
    }
    let found = (host, port).to_socket_addrs().map_err(|error| format!("the host '{host}' is not found: {error}"))?;
    let found: Vec<SocketAddr> = found.collect();
    // Of a machine's two loopback addresses the one that clients try first where both are there.
    let first = found.iter().find(|address| address.is_ipv4()).or(found.first());
    first.copied().ok_or_else(|| format!("the host '{host}' has no address"))
}

/// A checked configuration of a server.
#[derive(Clone)]
pub struct Config {
    /// Where to listen.
    pub listen: SocketAddr,
    /// Where operators listen.
    pub operator_listen: Option<SocketAddr>,
    /// Where the sandbox's charge log is kept.
    pub data_dir: PathBuf,
    /// The store.
    pub store: StoreConfig,
    /// The secrets that sign tokens.
    pub keys: SigningKeys,
    /// The file that they stand in, where they do.
    pub keys_file: Option<PathBuf>,
    /// Threads that actors run on.
    pub actor_threads: usize,
    /// How the actors behave.
    pub node: NodeSettings,
    /// How requests are treated.
    pub http: HttpSettings,
    /// How connections are treated.
    pub server: ServerSettings,
    /// How long this node may answer without hearing from the store.
    pub lease: Duration,
    /// Whether the sandbox takes payments, and mails where there is no mail server.
    pub sandbox: bool,
    /// Payments through Stripe, where there is a key.
    pub stripe: Option<StripeConfig>,
    /// Payments through a platform of the company's own, where there is one.
    pub redirect: Option<PlatformConfig>,
    /// The courier's platform, where there is one.
    pub courier: Option<PlatformConfig>,
    /// When vendors are to begin.
    pub acceptance: AcceptanceSettings,
    /// Mails.
    pub mail: MailSettings,
    /// Accounts.
    pub accounts: AccountSettings,
    /// How requests are traced, if they are.
    pub trace: Option<TraceSettings>,
}

impl Config {
    /// Checks what an operator said, and makes the data directory and the secret if they are not there.
    ///
    /// # Errors
    /// The first setting that cannot be used, in words.
    pub fn from_args(args: &ServeArgs) -> Result<Self, ConfigError> {
        at_least_one("HAAT_HOLD_SECONDS", args.hold_seconds)?;
        at_least_one("HAAT_PAYMENT_SECONDS", args.payment_seconds)?;
        at_least_one("HAAT_PAYMENT_CALLS_PER_SECOND", args.payment_calls_per_second.into())?;
        let mail = args.mail.settings()?;
        let stripe = args.stripe.settings()?;
        let accounts = args.accounts.settings(args.listen)?;
        let redirect = args.redirect.settings(&accounts.public_url)?;
        let return_page = args.redirect.return_page()?;
        let courier = args.courier.settings(&accounts.public_url)?;
        let trusted_proxies = args.accounts.trusted_proxies()?;
        let rates = args.edge.rates(args.listen)?;
        let origins = args.edge.origins()?;
        let trace = args.trace.settings()?;
        let cash_maximum = args.cash.maximum()?;
        if args.hold_seconds < args.payment_seconds {
            let reason = "must not be shorter than HAAT_PAYMENT_SECONDS".into();
            return Err(ConfigError::Setting { setting: "HAAT_HOLD_SECONDS", reason });
        }
        let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let actor_threads = args.actor_threads.unwrap_or((processors / 2).max(1));
        at_least_one("HAAT_ACTOR_THREADS", i64::try_from(actor_threads).unwrap_or(i64::MAX))?;
        let store = args.store.store()?;
        args.store.make_data_dir()?;
        let keys = args.secret.keys(&args.store, true, SystemClock::default().wall())?;
        let keys_file = args.secret.file().map(Path::to_owned);
        let sandbox = args.has_sandbox(&store.place);
        let (docs, metrics) = (args.docs.is_on(true), args.metrics.is_on(true));
        let node = NodeSettings {
            shop: Settings {
                hold_ms: args.hold_seconds.saturating_mul(1000),
                payment_ms: args.payment_seconds.saturating_mul(1000),
                return_days: args.return_days,
                cash_open_orders: args.cash.open_orders(),
                cash_refusals: args.cash.cash_refusals,
            },
            cash_maximum,
            payment_calls_per_second: args.payment_calls_per_second,
            live_actors: args.live_actors,
            idle: Duration::from_secs(args.idle_seconds),
            quotas: rates.is_some(),
            ..NodeSettings::default()
        };
        Ok(Self {
            listen: args.listen,
            operator_listen: args.operator_listen,
            data_dir: args.store.data_dir.clone(),
            store,
            keys,
            keys_file,
            actor_threads,
            node,
            http: HttpSettings {
                currency: args.currency,
                docs,
                metrics,
                trusted_proxies,
                rates,
                origins,
                return_page,
                ..HttpSettings::default()
            },
            server: ServerSettings { drain: Duration::from_millis(limits::DRAIN_MS / 3), ..ServerSettings::default() },
            lease: Duration::from_millis(limits::LEASE_MS),
            sandbox,
            stripe,
            redirect,
            courier,
            acceptance: args.acceptance.settings(),
            mail,
            accounts,
            trace,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[test]
    fn a_place_to_listen_is_an_address_or_a_name_and_a_port() {
        for (text, address) in
            [("127.0.0.1:8080", "127.0.0.1:8080"), ("[::1]:0", "[::1]:0"), ("0.0.0.0:65535", "0.0.0.0:65535")]
        {
            assert_eq!(super::address(text), Ok(address.parse().expect("an address")));
        }
        let local = super::address("localhost:8080").expect("every machine has it");
        assert!(local.ip().is_loopback() && local.port() == 8080, "{local}");
        for text in [
            "",
            "8080",
            ":8080",
            "127.0.0.1",
            "127.0.0.1:99999",
            "127.0.0.1:",
            "localhost:http",
            "::1:80:x",
            "http://a:1",
        ] {
            let error = super::address(text).expect_err(text);
            assert!(error.contains("such as 127.0.0.1:8080") || error.contains("is not found"), "{text}: {error}");
        }
    }

    #[derive(Parser)]
    struct Only {
        #[command(flatten)]
        args: ServeArgs,
    }

    fn has_sandbox(arguments: &[&str]) -> Result<bool, String> {
        let arguments = [&["haat"], arguments].concat();
        let only = Only::try_parse_from(arguments).map_err(|error| error.to_string())?;
        let place = only.args.store.store().map_err(|error| error.to_string())?.place;
        Ok(only.args.has_sandbox(&place))
    }

    /// The environment of whoever runs this is not looked at: each case says all that matters.
    #[test]
    fn the_sandbox_is_on_by_itself_only_where_nobody_else_can_pay_with_it() {
        let (database, loopback) = ("--database-url=postgres://shop@db/shop", "--listen=127.0.0.1:8080");
        let embedded = "--database-url=";
        for (arguments, on) in [
            (&[embedded, loopback, "--sandbox="][..], true),
            (&[embedded, "--listen=127.9.9.9:1", "--sandbox="], true),
            (&[embedded, "--listen=[::1]:8080", "--sandbox="], true),
            (&[embedded, "--listen=[::ffff:127.0.0.1]:8080", "--sandbox="], true),
            (&[embedded, "--listen=0.0.0.0:8080", "--sandbox="], false),
            (&[embedded, "--listen=[::]:8080", "--sandbox="], false),
            (&[embedded, "--listen=10.0.0.7:8080", "--sandbox="], false),
            (&[database, loopback, "--sandbox="], false),
            (&[database, "--listen=0.0.0.0:8080", "--sandbox="], false),
            (&[database, "--listen=0.0.0.0:8080", "--sandbox"], true),
            (&[embedded, "--listen=0.0.0.0:8080", "--sandbox=on"], true),
            (&[embedded, loopback, "--sandbox=off"], false),
            (&[embedded, loopback, "--sandbox=0"], false),
        ] {
            assert_eq!(has_sandbox(arguments), Ok(on), "{arguments:?}");
        }
        let error = has_sandbox(&[embedded, "--sandbox=maybe"]).unwrap_err();
        assert!(error.contains("it is on or off"), "{error}");
    }

    #[test]
    fn a_switch_has_six_words() {
        let read = |text: &str| text.parse::<Switch>();
        for text in ["on", "ON", "true", "True", "1"] {
            assert_eq!(read(text), Ok(Switch::On), "{text}");
        }
        for text in ["off", "Off", "false", "FALSE", "0"] {
            assert_eq!(read(text), Ok(Switch::Off), "{text}");
        }
        assert_eq!(read(""), Ok(Switch::Unset));
        for text in ["yes", "no", "2", " on", "off ", "enabled", "y", "\u{a0}"] {
            assert!(read(text).is_err(), "{text:?}");
        }
    }
}
