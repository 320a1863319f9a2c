//! Each run has a fresh store and a fresh server, a process of its own.

use crate::order::{TITLE, UNIT_PRICE};
use crate::processes::parent_named;
use crate::server_kind::Server;
use crate::sql::{self, Opening};
use crate::wire::{Connection, Request};
use crate::{redis_script, wire};
use anyhow::{Context as _, bail};
use haat::adapters::clock::SystemClock;
use haat::domain::ids::{SkuId, VendorId};
use haat::ports::Clock as _;
use serde::Deserialize;
use sqlx::{Connection as _, PgConnection};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tokio::process::{Child, Command};
use tokio::time::Instant;

/// Signs the tokens of servers that live for seconds.
const SECRET: &str = "a secret of the bench, which nobody else can reach";
/// How long a server may take to be ready.
const START: Duration = Duration::from_secs(30);
/// SKUs in one product.
const PRODUCT_SKUS: usize = 100;

/// What all runs have in common.
pub struct Theatre {
    /// A database of the Postgres server on which each run gets one of its own.
    pub database_url: String,
    /// The Redis server, if there is one.
    pub redis_url: Option<String>,
    /// Haat's binary.
    pub haat: PathBuf,
    /// That of another revision.
    pub against: Option<PathBuf>,
    /// A directory for what the runs write.
    pub work: PathBuf,
    /// Runs so far.
    pub runs: AtomicU32,
}

/// What a run's shop sells.
#[derive(Clone, Copy, Debug)]
pub struct Goods {
    /// SKUs.
    pub skus: usize,
    /// Vendors that share them.
    pub vendors: usize,
    /// Pieces of each.
    pub stock: i64,
}

/// A server that stands ready, with its store.
pub struct Stage {
    /// Which.
    pub server: Server,
    /// Where it listens.
    pub address: SocketAddr,
    /// Its process.
    pub server_pid: u32,
    /// The first process of its store.
    pub store_pid: u32,
    /// What it sells.
    pub skus: Vec<(SkuId, VendorId)>,
    /// The database of this run.
    pub url: String,
    /// An administrator's token, of Haat.
    pub admin: String,
    child: Child,
    log: PathBuf,
    database: String,
    administer: PgConnection,
}

#[derive(Deserialize)]
struct Made {
    id: String,
}

#[derive(Deserialize)]
struct ProductMade {
    skus: Vec<Made>,
}

impl Stage {
    /// Makes the store, starts the server, and makes what it sells.
    pub async fn open(theatre: &Theatre, server: Server, pool: u32, goods: Goods) -> anyhow::Result<Self> {
        let number = theatre.runs.fetch_add(1, Ordering::Relaxed);
        let mut administer = PgConnection::connect(&theatre.database_url).await.context("could not reach Postgres")?;
        let database = format!("flash_sale_{}_{number}", std::process::id());
        execute(&mut administer, format!("CREATE DATABASE {database}")).await?;
        let url = with_database(&theatre.database_url, &database)?;
        let backend: i32 = sqlx::query_scalar("SELECT pg_backend_pid()").fetch_one(&mut administer).await?;
        let mut store_pid = parent_named(u32::try_from(backend)?, "postgres")
            .context("Postgres does not run on this machine: its processor time cannot be told")?;

        let clock = SystemClock::new();
        let vendors: Vec<VendorId> = (0..goods.vendors).map(|_| VendorId::from_uuid(clock.new_uuid())).collect();
        let mut skus: Vec<(SkuId, VendorId)> = (0..goods.skus)
            .map(|number| (SkuId::from_uuid(clock.new_uuid()), vendors[number % vendors.len()]))
            .collect();
        match server {
            Server::RedisScript => {
                let redis = theatre.redis_url.as_deref().context("HAAT_BENCH_REDIS_URL is not set")?;
                redis_script::open(redis, &skus, goods.stock).await?;
                store_pid = redis_pid(redis).await?;
            }
            Server::Haat | Server::Against | Server::Ceiling => {}
            Server::RowLocks | Server::OneStatement | Server::UnitRows | Server::Batches | Server::BatchesPaid => {
                let opening = Opening {
                    stock: goods.stock,
                    unit_rows: server == Server::UnitRows,
                    payments: server == Server::BatchesPaid,
                };
                let mut connection = PgConnection::connect(&url).await?;
                sql::open(&mut connection, &skus, opening).await?;
                connection.close().await?;
            }
        }

        let address = free_address().await?;
        let log = theatre.work.join(format!("{number}-{}.log", server.name()));
        let mut command = match server {
            Server::Haat | Server::Against => {
                let mut command = Command::new(haat_binary(theatre, server)?);
                command.args(["serve", "--log", "error"]).arg("--data-dir").arg(theatre.work.join(number.to_string()));
                command
            }
            baseline => {
                let mut command = Command::new(std::env::current_exe()?);
                command.args(["serve", baseline.name(), "--pool", &pool.to_string()]);
                command
            }
        };
        command.arg("--listen").arg(address.to_string());
        command.env("DATABASE_URL", &url).env("HAAT_JWT_SECRET", SECRET).env("HAAT_SANDBOX", "on");
        if let Some(redis) = &theatre.redis_url {
            command.env("REDIS_URL", redis);
        }
        let errors = std::fs::File::create(&log)?;
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(errors).kill_on_drop(true);
        let child = command.spawn().with_context(|| format!("could not start {}", server.name()))?;
        let server_pid = child.id().context("a server that ended at once")?;

        let admin = String::new();
        let mut stage = Self {
            server,
            address,
            server_pid,
            store_pid,
            skus: Vec::new(),
            url,
            admin,
            child,
            log,
            database,
            administer,
        };
        if let Err(error) = stage.ready().await {
            return Err(error.context(stage.last_words()));
        }
        if server.is_haat() {
            stage.admin = admin_token(theatre, server).await?;
            skus = stage.make_shop(goods).await?;
        }
        stage.skus = skus;
        // So that none falls into the run by chance: a run is shorter than the time between two of them.
        execute(&mut stage.administer, "CHECKPOINT".to_owned()).await?;
        Ok(stage)
    }

    async fn ready(&mut self) -> anyhow::Result<()> {
        let give_up = Instant::now() + START;
        loop {
            if let Some(status) = self.child.try_wait()? {
                bail!("{} ended at its start: {status}", self.server.name());
            }
            if let Ok(mut connection) = Connection::open(self.address).await
                && let Ok(answer) = connection.call(get("/readyz", None)).await
                && answer.status == 200
            {
                return Ok(());
            }
            if Instant::now() > give_up {
                bail!("{} was not ready in time", self.server.name());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn make_shop(&self, goods: Goods) -> anyhow::Result<Vec<(SkuId, VendorId)>> {
        let mut connection = Connection::open(self.address).await?;
        let mut skus = Vec::new();
        for vendor in 0..goods.vendors {
            let name = serde_json::json!({ "name": format!("Vendor {vendor}") });
            let made: Made = self.make(&mut connection, "/v1/vendors", &name).await?;
            let path = format!("/v1/vendors/{}/products", made.id);
            let mut left = goods.skus / goods.vendors + usize::from(vendor < goods.skus % goods.vendors);
            while left > 0 {
                let some = left.min(PRODUCT_SKUS);
                left -= some;
                let price = haat::domain::money::Money::new(UNIT_PRICE, crate::order::CURRENCY);
                let price = serde_json::json!({"amount": price.amount_text(), "currency": price.currency});
                let sku = |number: usize| serde_json::json!({"code": format!("S-{left}-{number}"), "price": price, "on_hand": goods.stock});
                let product = serde_json::json!({"title": TITLE, "skus": (0..some).map(sku).collect::<Vec<_>>()});
                let product: ProductMade = self.make(&mut connection, &path, &product).await?;
                for sku in product.skus {
                    skus.push((sku.id.parse()?, made.id.parse()?));
                }
            }
        }
        Ok(skus)
    }

    async fn make<T: serde::de::DeserializeOwned>(
        &self,
        connection: &mut Connection,
        path: &str,
        body: &serde_json::Value,
    ) -> anyhow::Result<T> {
        let body = serde_json::to_vec(body)?;
        let request = Request { method: "POST", path, bearer: Some(&self.admin), wait: None, body: &body };
        let answer = connection.call(request).await?;
        if answer.status != 201 {
            bail!("POST {path} was answered {}: {}", answer.status, String::from_utf8_lossy(answer.body));
        }
        Ok(serde_json::from_slice(answer.body)?)
    }

    /// The end of what the server wrote.
    pub fn last_words(&self) -> String {
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = log.lines().rev().take(5).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join("\n")
    }

    /// Ends the server and drops the database.
    pub async fn close(mut self) -> anyhow::Result<()> {
        self.child.kill().await?;
        execute(&mut self.administer, format!("DROP DATABASE {} WITH (FORCE)", self.database)).await?;
        self.administer.close().await?;
        Ok(())
    }
}

/// A GET.
pub fn get<'a>(path: &'a str, bearer: Option<&'a str>) -> wire::Request<'a> {
    Request { method: "GET", path, bearer, wait: None, body: b"" }
}

/// The binary of a Haat.
pub fn haat_binary(theatre: &Theatre, server: Server) -> anyhow::Result<&PathBuf> {
    match server {
        Server::Against => theatre.against.as_ref().context("--against is not given"),
        _ => Ok(&theatre.haat),
    }
}

async fn admin_token(theatre: &Theatre, server: Server) -> anyhow::Result<String> {
    let made = Command::new(haat_binary(theatre, server)?)
        .args(["token", "--role", "admin"])
        .env("HAAT_JWT_SECRET", SECRET)
        .output()
        .await?;
    if !made.status.success() {
        bail!("no token: {}", String::from_utf8_lossy(&made.stderr));
    }
    Ok(String::from_utf8(made.stdout)?.trim().to_owned())
}

async fn redis_pid(url: &str) -> anyhow::Result<u32> {
    let mut connection = redis_script::connect(url).await?;
    let text: String = redis::cmd("INFO").arg("server").query_async(&mut connection).await?;
    let pid = text.lines().find_map(|line| line.strip_prefix("process_id:")).context("Redis does not say its pid")?;
    Ok(pid.trim().parse()?)
}

async fn free_address() -> anyhow::Result<SocketAddr> {
    Ok(tokio::net::TcpListener::bind("127.0.0.1:0").await?.local_addr()?)
}

async fn execute(connection: &mut PgConnection, statement: String) -> anyhow::Result<()> {
    sqlx::raw_sql(sqlx::AssertSqlSafe(statement)).execute(connection).await?;
    Ok(())
}

/// The same server's URL with another database.
pub fn with_database(url: &str, database: &str) -> anyhow::Result<String> {
    let (rest, query) = url.split_once('?').map_or((url, ""), |(rest, query)| (rest, query));
    let (_, place) = rest.split_once("://").context("DATABASE_URL is no URL")?;
    let place = place.split('/').next().unwrap_or_default();
    let scheme = &rest[..rest.len() - rest.split_once("://").map_or(0, |(_, place)| place.len())];
    let query = if query.is_empty() { String::new() } else { format!("?{query}") };
    Ok(format!("{scheme}{place}/{database}{query}"))
}
