//! The composition root: builds everything from a configuration, starts it and drains it. The binary and the tests use the same.

pub mod archive;
pub mod audit;
pub mod clocks;
pub mod core;
mod couriers;
mod error;
pub mod followers;
pub mod journal;
mod keys;
mod learn;
pub mod life;
mod open_files;
mod payments;
pub mod rebuild;
pub mod rehearsal;
mod remake;
pub mod replay;
pub mod sweep;
pub mod text;
pub mod token;
mod traces;

use self::core::{Core, CoreParts, CourierParts, RunningCore};
use crate::actors::{Arbiters, DecideHook, Shop};
use crate::adapters::clock::SystemClock;
use crate::adapters::erased::ErasedFile;
use crate::adapters::otlp::Exporter;
use crate::adapters::rates::MemoryRates;
use crate::adapters::sandbox::{SandboxGateway, SandboxMailer};
use crate::adapters::smtp::Smtp;
use crate::app::core::MailParts;
use crate::checkout::buyers::BuyerKeys;
use crate::checkout::quotes::QuoteKeys;
use crate::checkout::rooms::RoomKeys;
use crate::config::{AccountSettings, Config, SmtpConfig};
use crate::http::auth::Auth;
use crate::http::cookie::Home;
use crate::http::jobs::JobsDesk;
use crate::http::live::Live;
use crate::http::ops::{FollowerStandings, Ops, OpsParts};
use crate::http::rates::Rates;
use crate::http::server::{self, ServerSettings};
use crate::http::services::Services;
use crate::http::trace::Sampler;
use crate::http::{HistoryAsOf, HttpState, Port, RenderMetrics, Settings as HttpSettings, router};
use crate::limits;
use crate::persistence::archived::with_archive;
use crate::persistence::checkpointer::CheckpointSettings;
use crate::persistence::log_writer::{Fatal, OnFatal, QueuedLogWriter};
use crate::persistence::services::Repositories;
use crate::persistence::{self, Mode, Place, sqlite};
use crate::ports::couriers::Courier;
use crate::ports::erased::ErasedLog;
use crate::ports::jobs::Mailer;
use crate::ports::keys::SigningKeys;
use crate::ports::standing::Pools;
use crate::ports::units::Units;
use crate::ports::{ChargeLog, Clock, Journal, Partition, Store};
use crate::services::acceptance::Acceptance;
use crate::services::accounts::{AccountParts, Accounts, Hashing, Keys};
use crate::services::categories::Categories;
use crate::services::couriers::Couriers;
use crate::services::kept::{KeptAnswers, forget_old};
use crate::services::payments::Payments;
use crate::services::price_tables::PriceTables;
use crate::telemetry;
pub use error::{AppError, EXIT_BROKEN, EXIT_CLOCK, EXIT_FENCED};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::OnceLock;
use std::time::Duration;
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Between two looks at what is to be erased of orders.
const ERASE_EVERY: Duration = Duration::from_secs(10 * 60);
/// How often answers of services are looked through for those that are too old.
const FORGET_EVERY: Duration = Duration::from_secs(10 * 60);

/// Puts something between the log writer and the store's journal.
pub type WrapJournal = Arc<dyn Fn(Arc<dyn Journal>) -> Arc<dyn Journal> + Send + Sync>;

/// What tests put in place of the real thing. The default changes nothing.
#[derive(Default, Clone)]
pub struct Hooks {
    /// Called before every decision.
    pub on_decide: Option<DecideHook>,
    /// Stands between the log writer and the store's journal.
    pub journal: Option<WrapJournal>,
    /// Called in place of ending the process when the node cannot go on.
    pub on_fatal: Option<OnFatal>,
    /// Time, in place of the machine's.
    pub clock: Option<Arc<dyn Clock>>,
}

/// What a start has taken so far.
struct Begun {
    journal: Arc<dyn Journal>,
    taken: Arc<OnceLock<Vec<Partition>>>,
}

/// A running server.
pub struct App {
    address: SocketAddr,
    operator_address: Option<SocketAddr>,
    core: RunningCore,
    stop_http: CancellationToken,
    http: Vec<JoinHandle<()>>,
    upkeep: [JoinHandle<()>; 12],
    stop_upkeep: CancellationToken,
    files: Files,
    exporter: Option<Exporter>,
    _arbiters: Arbiters,
}

impl App {
    /// Builds a server and starts it: when this returns, it has recovered and takes requests.
    ///
    /// # Errors
    /// What cannot be used, in words.
    pub async fn build(config: Config, hooks: Hooks) -> Result<Self, AppError> {
        let built = Self::build_unless(config, hooks, CancellationToken::new()).await?;
        built.ok_or_else(|| AppError::Asked("it was asked to stop".into()))
    }

    /// As [`App::build`], unless `stop` is cancelled before it is done: then what was taken is given back, and there is no server.
    ///
    /// # Errors
    /// As [`App::build`].
    pub async fn build_unless(config: Config, hooks: Hooks, stop: CancellationToken) -> Result<Option<Self>, AppError> {
        let begun = OnceLock::new();
        tokio::select! {
            biased;
            () = stop.cancelled() => {}
            built = Self::begin(config, hooks, &begun) => return built.map(Some),
        }
        tracing::info!("stopped before it took requests");
        if let Some(Begun { journal, taken }) = begun.get()
            && let Some(taken) = taken.get()
        {
            // Whoever comes next need not wait for the lease to run out.
            let released = tokio::time::timeout(Duration::from_millis(limits::LEASE_MS), journal.release(taken)).await;
            if !matches!(released, Ok(Ok(()))) {
                tracing::warn!(
                    "the store could not be given free: the next server waits for the end of this one's lease"
                );
            }
        }
        Ok(None)
    }

    async fn begin(config: Config, hooks: Hooks, begun: &OnceLock<Begun>) -> Result<Self, AppError> {
        let recorder = recorder()?;
        let clock = hooks.clock.clone().unwrap_or_else(|| Arc::new(SystemClock::default()));
        clocks::check_wall(&*clock)?;
        clocks::show(&*clock);
        clocks::show_start(&*clock);
        let mut store = persistence::open(&config.store, Mode::Serve).await?;
        if let Some(wrap) = &hooks.journal {
            store.journal = wrap(store.journal.clone());
        }
        clocks::agree(&*store.journal, &*clock).await?;
        let journal = store.journal.clone();
        let sandbox = match config.sandbox {
            true => Some(Arc::new(SandboxGateway::open(&config.data_dir, clock.clone())?)),
            false => None,
        };
        let gateways = payments::providers(&config, sandbox.as_ref())?;
        payments::tell_of_orphans(&*store.queries, &gateways).await?;
        let (mailer, mails) = mailer(&config, &clock)?;
        let new_jobs = Arc::new(Notify::new());
        let couriers = couriers::couriers(&config)?;
        let signed = Signed {
            keys: &config.keys,
            mails: mailer.is_some(),
            new_jobs: new_jobs.clone(),
            erased: Arc::new(ErasedFile::in_directory(&config.data_dir)),
            couriers: couriers.clone(),
        };
        let services = services(&store.units, &clock, &config.accounts, signed)?;
        let (kept, accounts, prices) =
            (services.kept.clone(), services.accounts.clone(), services.price_tables.clone());
        let (quotes, payments) = (services.quotes.clone(), services.payments.clone());
        let rooms = services.rooms.clone();
        let services_of_couriers = services.couriers.clone();
        accounts.learn().await?;
        let acceptance = Repositories::new(&store.units).acceptance;
        let acceptance = Arc::new(Acceptance::new(acceptance, clock.clone(), new_jobs.clone()));
        let arbiters = Arbiters::start(config.actor_threads)?;
        let on_fatal = hooks.on_fatal.clone().unwrap_or_else(end_process);
        let (exporter, tracer) = traces::begin(&config, &clock)?.unzip();
        let core = Core::new(CoreParts {
            store,
            clock: clock.clone(),
            gateways,
            charge_log: sandbox.clone().map(|it| it as _),
            mails: MailParts {
                mailer,
                letters: accounts.clone(),
                public_url: config.accounts.public_url.clone(),
                per_second: config.mail.per_second,
            },
            couriers: CourierParts { couriers, told: services.couriers.clone() },
            customers: accounts.clone(),
            acceptance: config.acceptance,
            new_jobs,
            tracer,
            threads: arbiters.threads(),
            settings: config.node.clone(),
            checkpoints: CheckpointSettings::default(),
            on_decide: hooks.on_decide,
            on_fatal,
        });

        prices.learn(|tables| core.shop().show_tables(tables)).await?;
        // It is set once, here.
        let _ = begun.set(Begun { journal, taken: core.taken() });

        // The port is open from the start: until recovery is done it says that the server is not ready.
        let stop_http = CancellationToken::new();
        let (rows, news) = core.jobs();
        let jobs = JobsDesk { rows, news, mails: mails.clone().map(|it| it as _), clock: clock.clone() };
        let history_as_of = HistoryAsOf::new(core.history_as_of());
        let auth = Arc::new(Auth::of(&config.keys));
        let (followers, pools) = (Arc::new(core.followers()), core.pools());
        let sampler = tracer.map(|tracer| Sampler::new(tracer, config.http.trusted_proxies.clone()));
        let counters = Counters { jobs, services, auth: auth.clone(), history_as_of, followers, pools, sampler };
        let served = serve_http(&config, core.shop(), counters, &recorder, &stop_http);
        let (http, address, operator_address) = served.await?;

        let owner = format!("{}/{}", std::process::id(), clock.new_uuid());
        // The embedded store is locked by its process: nobody else can take it.
        let contended = matches!(config.store.place, Place::Postgres(_));
        let core = core.start(&owner, config.lease, contended).await?;
        let files = Files { journal: core.journal().clone(), charge_log: sandbox.map(|it| it as _), mails };
        let stop_upkeep = CancellationToken::new();
        let watch = files.clone().watch(core.log_writer().clone(), stop_upkeep.clone());
        let signers = keys::Signers { auth, accounts: accounts.clone(), quotes, rooms, clock: clock.clone() };
        let upkeep = [
            tokio::spawn(upkeep(recorder, stop_upkeep.clone())),
            tokio::spawn(watch),
            tokio::spawn(tell_left_out(stop_upkeep.clone())),
            tokio::spawn(forget(kept, accounts.clone(), clock.clone(), stop_upkeep.clone())),
            tokio::spawn(learn::price_tables(prices, core.shop().clone(), stop_upkeep.clone())),
            tokio::spawn(sweep::missing_jobs(payments.clone(), stop_upkeep.clone())),
            tokio::spawn(sweep::payments(payments, core.shop().clone(), clock.clone(), stop_upkeep.clone())),
            tokio::spawn(sweep::acceptance(acceptance, config.acceptance, core.shop().clone(), stop_upkeep.clone())),
            tokio::spawn(sweep::parcels(services_of_couriers, stop_upkeep.clone())),
            tokio::spawn(learn::sessions(accounts.clone(), stop_upkeep.clone())),
            tokio::spawn(keys::watch(config.keys_file.clone(), config.keys.clone(), signers, stop_upkeep.clone())),
            tokio::spawn(erase(accounts, core.shop().clone(), config.accounts.erase_after, stop_upkeep.clone())),
        ];
        Ok(Self {
            address,
            operator_address,
            core,
            stop_http,
            http,
            upkeep,
            stop_upkeep,
            files,
            exporter,
            _arbiters: arbiters,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where operators find it, when that is another port.
    pub fn operator_address(&self) -> Option<SocketAddr> {
        self.operator_address
    }

    /// The engine, for tests that look behind HTTP.
    pub fn shop(&self) -> &Shop {
        self.core.shop()
    }

    /// Serves until `shutdown` is ready, then drains: no new requests, all records durable, snapshots and read tables written.
    ///
    /// # Errors
    /// When not everything could be written in time.
    pub async fn run_until(self, shutdown: impl Future<Output = ()>) -> Result<(), AppError> {
        shutdown.await;
        tracing::info!("stopping: no new requests are taken");
        let within = Duration::from_millis(limits::DRAIN_MS);
        let files = self.files.clone();
        match tokio::time::timeout(within, self.drain()).await {
            Ok(drained) => drained,
            Err(_) => files.in_place().map_err(AppError::Lost).and(Err(AppError::Drain(within))),
        }
    }

    async fn drain(mut self) -> Result<(), AppError> {
        self.core.shop().drain();
        self.stop_http.cancel();
        for server in self.http.drain(..) {
            // A server that panicked has nothing left to finish.
            let _ = server.await;
        }
        self.core.drain().await?;
        // Whoever starts the next server finds the charge log free: a look at the files holds it.
        self.stop_upkeep.cancel();
        for task in self.upkeep {
            let _ = task.await;
        }
        if let Some(exporter) = self.exporter.take() {
            exporter.finish().await;
        }
        self.files.in_place().map_err(AppError::Lost)?;
        tracing::info!("stopped: everything is durable, and snapshots and read tables are written");
        Ok(())
    }
}

fn listen(address: SocketAddr) -> Result<(TcpListener, SocketAddr), AppError> {
    let failed = |source| AppError::Listen { address, source };
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }.map_err(failed)?;
    // A server that is started again finds its port free though connections of the last one linger.
    socket.set_reuseaddr(true).map_err(failed)?;
    socket.bind(address).map_err(failed)?;
    let listener = socket.listen(limits::LISTEN_BACKLOG).map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    Ok((listener, bound))
}

/// Who sends mails, and the sandbox's book of them, where it takes them.
type Mails = (Option<Arc<dyn Mailer>>, Option<Arc<SandboxMailer>>);

fn mailer(config: &Config, clock: &Arc<dyn Clock>) -> Result<Mails, AppError> {
    if let Some(SmtpConfig { url, from }) = &config.mail.server {
        if config.listen.ip().is_unspecified() && config.accounts.public_url == format!("http://{}", config.listen) {
            tracing::warn!(url = config.accounts.public_url, "the links in mails lead nowhere: set HAAT_PUBLIC_URL");
        }
        let smtp = Smtp::new(url, from).map_err(|error| AppError::Asked(format!("HAAT_SMTP_URL: {error}")))?;
        return Ok((Some(Arc::new(smtp)), None));
    }
    if config.sandbox {
        let mails = Arc::new(SandboxMailer::open(&config.data_dir, clock.clone())?);
        return Ok((Some(mails.clone()), Some(mails)));
    }
    tracing::warn!("no mails are sent: neither HAAT_SMTP_URL is set nor is the sandbox on");
    Ok((None, None))
}

/// What accounts need of the rest of a server.
pub struct Signed<'a> {
    /// What their tokens are signed with.
    pub keys: &'a SigningKeys,
    /// Whether mails are sent.
    pub mails: bool,
    /// Told of new jobs.
    pub new_jobs: Arc<Notify>,
    /// Where it is noted who wanted to be forgotten.
    pub erased: Arc<dyn ErasedLog>,
    /// Who fetches parcels.
    pub couriers: Vec<Arc<dyn Courier>>,
}

/// The services over the store whose units these are.
///
/// # Errors
/// When the system gives no thread for passwords.
pub fn services(
    units: &Arc<dyn Units>,
    clock: &Arc<dyn Clock>,
    settings: &AccountSettings,
    signed: Signed<'_>,
) -> Result<Services, AppError> {
    let Repositories { accounts, own, categories, tracking, payments, price_tables, kept, .. } =
        Repositories::new(units);
    let Signed { keys, mails, new_jobs, erased, couriers } = signed;
    let accounts = Accounts::new(AccountParts {
        rows: accounts,
        own,
        erased,
        keys: Keys::of(keys).map_err(|_| AppError::Asked("the secret makes no keys".to_owned()))?,
        hashing: Hashing::start(&settings.cost).map_err(AppError::Io)?,
        clock: clock.clone(),
        grace: settings.grace,
        mails,
        news: new_jobs.clone(),
    });
    let couriers = Arc::new(Couriers::new(couriers, tracking, clock.clone(), new_jobs.clone()));
    let payments = Arc::new(Payments::new(payments, clock.clone(), new_jobs));
    let categories = Arc::new(Categories::new(categories));
    let price_tables = Arc::new(PriceTables::new(price_tables));
    let (quotes, rooms, clock) = (Arc::new(QuoteKeys::of(keys)), Arc::new(RoomKeys::of(keys)), clock.clone());
    Ok(Services {
        accounts: Arc::new(accounts),
        categories,
        couriers,
        payments,
        price_tables,
        quotes,
        rooms,
        kept,
        clock,
    })
}

type Servers = (Vec<JoinHandle<()>>, SocketAddr, Option<SocketAddr>);

/// What requests are served with beside the engine.
struct Counters {
    jobs: JobsDesk,
    services: Services,
    auth: Arc<Auth>,
    history_as_of: HistoryAsOf,
    followers: FollowerStandings,
    pools: Arc<dyn Pools>,
    sampler: Option<Sampler>,
}

async fn serve_http(
    config: &Config,
    shop: &Shop,
    counters: Counters,
    recorder: &PrometheusHandle,
    stop: &CancellationToken,
) -> Result<Servers, AppError> {
    if config.http.rates.is_some() && config.http.trusted_proxies.is_empty() {
        tracing::warn!(
            "rates are limited by address: behind a proxy, set HAAT_TRUSTED_PROXIES, or all visitors are one"
        );
    }
    let Counters { jobs, services, auth, history_as_of, followers, pools, sampler } = counters;
    let (recorder, is_traced) = (recorder.clone(), sampler.is_some());
    let ops = Ops::new(OpsParts {
        shop: shop.clone(),
        metrics: RenderMetrics::new(move || recorder.render()),
        followers,
        lives: Arc::new(life::StoredLives::new(config.store.clone())),
        pools,
        stop: stop.clone(),
    });
    let state = HttpState {
        shop: shop.clone(),
        auth,
        buyers: Arc::new(BuyerKeys::new(shop.store_key())),
        settings: Arc::new(HttpSettings { home: Home::of(&config.accounts.public_url), ..config.http.clone() }),
        live: Live::new(shop.clone(), &ops),
        ops,
        jobs,
        services,
        history_as_of,
        sampler,
        rates: config.http.rates.clone().map(|table| {
            let limiter = Arc::new(MemoryRates::new(table.longest_seconds()));
            Arc::new(Rates::new(table, limiter))
        }),
    };
    let remembering = || tokio::spawn(state.ops.clone().remember());
    let divided =
        open_files::connections(config.server.connections, config.actor_threads, config.operator_listen.is_some());
    let serve = |listener, port| {
        let (stop, router) = (stop.clone(), router(state.clone(), port));
        let connections = match port {
            Port::All | Port::Public => divided.public,
            Port::Operator => divided.operator,
        };
        let settings = ServerSettings { connections, peers: config.http.rates.is_some() || is_traced, ..config.server };
        tokio::spawn(server::serve(listener, router, settings, async move { stop.cancelled().await }))
    };
    let (listener, address) = listen(config.listen)?;
    let Some(operator) = config.operator_listen else {
        return Ok((vec![serve(listener, Port::All), remembering()], address, None));
    };
    let (operator_listener, operator_address) = listen(operator)?;
    let servers = vec![serve(listener, Port::Public), serve(operator_listener, Port::Operator), remembering()];
    Ok((servers, address, Some(operator_address)))
}

/// The process's one recorder of metrics.
fn recorder() -> Result<PrometheusHandle, AppError> {
    static RECORDER: OnceLock<PrometheusHandle> = OnceLock::new();
    if let Some(recorder) = RECORDER.get() {
        return Ok(recorder.clone());
    }
    const SECONDS: &[f64] = &[0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
    const RECORDS: &[f64] = &[1.0, 4.0, 16.0, 64.0, 256.0, 1024.0, 4096.0, 16384.0];
    let built = PrometheusBuilder::new()
        .set_buckets(SECONDS)?
        .set_buckets_for_metric(Matcher::Suffix("_batch_records".into()), RECORDS)?
        .build_recorder();
    let handle = built.handle();
    if metrics::set_global_recorder(built).is_ok() {
        telemetry::describe();
        crate::http::metrics::describe();
        let _ = metrics::gauge!(telemetry::names::FILES_MISSING);
        let _ = metrics::counter!(telemetry::names::TRACE_SPANS_DROPPED);
        let _ = metrics::counter!(telemetry::names::LOG_LINES_LEFT_OUT);
    }
    Ok(RECORDER.get_or_init(|| handle).clone())
}

/// Has services forget the answers that are too old to be given again, and the sessions and sign-ups that are over.
async fn forget(kept: Arc<dyn KeptAnswers>, accounts: Arc<Accounts>, clock: Arc<dyn Clock>, stop: CancellationToken) {
    while stop.run_until_cancelled(tokio::time::sleep(FORGET_EVERY)).await.is_some() {
        if let Err(error) = forget_old(&*kept, clock.now()).await {
            tracing::warn!(%error, "old answers of services cannot be forgotten now");
        }
        if let Err(error) = accounts.forget_old().await {
            tracing::warn!(%error, "old sessions cannot be forgotten now");
        }
    }
}

/// Erases what orders still said of those who wanted to be forgotten, when each order needs it no more.
async fn erase(accounts: Arc<Accounts>, shop: Shop, after: Duration, stop: CancellationToken) {
    let after = i64::try_from(after.as_millis()).unwrap_or(i64::MAX);
    loop {
        while !stop.is_cancelled() {
            match accounts.erase_details(shop.clock().now().plus_millis(-after)).await {
                Ok(orders) if orders.is_empty() => break,
                Ok(orders) => orders.into_iter().for_each(|order| shop.forget_details(order)),
                Err(error) => {
                    tracing::warn!(%error, "details of orders cannot be erased now");
                    break;
                }
            }
        }
        let waited = tokio::time::timeout(ERASE_EVERY, accounts.erasing().notified());
        if stop.run_until_cancelled(waited).await.is_none() {
            return;
        }
    }
}

/// Tells each second of what was left out of the log.
async fn tell_left_out(stop: CancellationToken) {
    while stop.run_until_cancelled(tokio::time::sleep(Duration::from_secs(1))).await.is_some() {
        telemetry::tell_left_out();
    }
    telemetry::tell_left_out();
}

async fn upkeep(recorder: PrometheusHandle, stop: CancellationToken) {
    while stop.run_until_cancelled(tokio::time::sleep(Duration::from_secs(5))).await.is_some() {
        recorder.run_upkeep();
    }
}

/// What a node writes to, where it is files.
#[derive(Clone)]
struct Files {
    journal: Arc<dyn Journal>,
    charge_log: Option<Arc<dyn ChargeLog>>,
    mails: Option<Arc<SandboxMailer>>,
}

impl Files {
    fn in_place(&self) -> Result<(), String> {
        let charge_log = self.charge_log.as_ref();
        let mails = self.mails.as_ref();
        self.journal.in_place()?;
        charge_log.map_or(Ok(()), |charge_log| charge_log.in_place())?;
        mails.map_or(Ok(()), |mails| mails.in_place())
    }

    /// Looks whether the files are where they were opened. While they are not, nothing is answered, and the process goes on: as long as it
    /// has them open, an operator can save them.
    async fn watch(self, log_writer: Arc<QueuedLogWriter>, stop: CancellationToken) {
        let missing = metrics::gauge!(telemetry::names::FILES_MISSING);
        missing.set(0.0);
        let mut known: Option<String> = None;
        loop {
            let rest = tokio::time::sleep(Duration::from_millis(limits::FILES_LOOK_MS));
            if stop.run_until_cancelled(rest).await.is_none() {
                return;
            }
            let files = self.clone();
            // Looking at a file system that hangs must not hold a thread of the runtime.
            let Ok(found) = tokio::task::spawn_blocking(move || files.in_place().err()).await else { return };
            log_writer.set_files_in_place(found.is_none());
            missing.set(f64::from(u8::from(found.is_some())));
            if known == found {
                continue;
            }
            match &found {
                Some(what) => tracing::error!(
                    what,
                    files = format_args!("/proc/{}/fd", std::process::id()),
                    "what this server writes is not where the next start will look for it: nothing is answered. Do not end this \
                     process before you have saved its open files"
                ),
                None => tracing::warn!("the files are in their places again: requests are answered"),
            }
            known = found;
        }
    }
}

fn end_process() -> OnFatal {
    Arc::new(|fatal| {
        tracing::error!(%fatal, "this server cannot go on");
        std::process::exit(match fatal {
            Fatal::Fenced => EXIT_FENCED,
            Fatal::Broken => EXIT_BROKEN,
            Fatal::Skewed => EXIT_CLOCK,
        });
    })
}

/// Brings the schema of a store, and of the archive that is named, up to date, and does nothing more. An empty database gets
/// its schema: somebody made it under this name, and a deployment migrates before it serves. A directory without a store may
/// be a slip of the pen.
///
/// # Errors
/// When there is none, when it cannot be reached, or when it is of a newer version.
pub async fn migrate(store: &persistence::StoreConfig) -> Result<(), AppError> {
    if !matches!(store.place, persistence::Place::Postgres(_)) {
        persistence::must_be_there(store).await?;
    }
    persistence::migrate(store).await?;
    if let Some(archive) = archive_of(store)? {
        persistence::migrate(&archive).await?;
    }
    Ok(())
}

/// Opens a store to look at it, beside a running server: takes nothing, writes nothing. With an archive its journal begins where that
/// begins.
///
/// # Errors
/// When there is none, when it cannot be reached, when it is of another version, or when the archive is not its own.
async fn open_for_tools(config: &persistence::StoreConfig) -> Result<Store, AppError> {
    let store = persistence::open(config, Mode::Tool).await?;
    Ok(match archive_of(config)? {
        Some(archive) => with_archive(store, &open_archive(&archive, Mode::Tool).await?).await?,
        None => store,
    })
}

/// The archive that the configuration names, if it names one. It must be there.
fn archive_of(config: &persistence::StoreConfig) -> Result<Option<persistence::StoreConfig>, AppError> {
    let Some(directory) = &config.archive else { return Ok(None) };
    if !sqlite::archive_in(directory).exists() {
        return Err(AppError::Asked(format!("there is no archive in {} (HAAT_ARCHIVE)", directory.display())));
    }
    Ok(Some(archive_config(directory, config)))
}

/// How the archive in this directory is opened.
fn archive_config(directory: &Path, config: &persistence::StoreConfig) -> persistence::StoreConfig {
    let place = Place::Archive(directory.to_owned());
    persistence::StoreConfig { place, archive: None, options: config.options.clone() }
}

async fn open_archive(config: &persistence::StoreConfig, mode: Mode) -> Result<Store, AppError> {
    let failed = |error| AppError::Asked(format!("the archive cannot be used: {error}"));
    persistence::open(config, mode).await.map_err(failed)
}

/// Makes sure that the whole journal of this store can be read.
///
/// # Errors
/// When its first frames were moved to an archive and none is named.
async fn need_whole_journal(config: &persistence::StoreConfig, store: &Store) -> Result<(), AppError> {
    let heads = store.journal.partitions().await?;
    if config.archive.is_none() && heads.iter().any(|head| head.base_seq > 0) {
        return Err(AppError::Asked(
            "the store's oldest frames were moved to an archive: name its directory with --archive".into(),
        ));
    }
    Ok(())
}
