//! The sandbox's books: payments, parcels, and notices that are still to be sent, in memory and, before anybody is told, in SQLite.

use super::outbox::{Half, Notice, Outbox, Telling};
use super::parcel::{Parcel, ShipmentInput};
use super::payment::{Payment, PaymentInput, Refused, Told, is_after};
use anyhow::Context as _;
use serde_json::json;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteLockingMode, SqliteSynchronous};
use sqlx::{ConnectOptions as _, Connection as _, Row as _};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};
use tokio::sync::{Mutex, Notify};

/// The file in the data directory.
const FILE: &str = "sandbox-platform.db";

const KEEP_PAYMENT: &str =
    "INSERT INTO payment (name, doc) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET doc = excluded.doc";
const KEEP_PARCEL: &str =
    "INSERT INTO parcel (name, doc) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET doc = excluded.doc";
struct State {
    connection: SqliteConnection,
    /// By the shop's name.
    payments: BTreeMap<String, Payment>,
    parcels: BTreeMap<String, Parcel>,
    outbox: Outbox,
    disputes: usize,
}

/// The books.
pub(super) struct Books {
    state: Mutex<State>,
    /// Told when something may be due earlier than before.
    pub(super) news: Notify,
}

/// Why something was not done.
#[derive(Debug)]
pub(super) enum Undone {
    /// It may not be.
    Refused(Refused),
    /// The books cannot be written.
    Broken(anyhow::Error),
}

impl From<Refused> for Undone {
    fn from(refused: Refused) -> Self {
        Undone::Refused(refused)
    }
}

/// Milliseconds since 1970.
#[expect(clippy::disallowed_methods, reason = "the Clock port is the engine's, this is somebody else")]
pub(super) fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// Text in hexadecimal digits that nobody guesses.
fn drawn() -> anyhow::Result<String> {
    let mut bytes = [0; 16];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| anyhow::anyhow!("the system gives no chance"))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// What of the books a row shows.
struct Row {
    /// The statement that writes it: a name, and a document.
    write: &'static str,
    name: String,
    doc: String,
}

impl State {
    /// Makes a row and what is told of it durable, then takes the notices over.
    async fn write(&mut self, row: Row, telling: Option<Telling<'_>>) -> anyhow::Result<()> {
        let notices = telling.map_or_else(Vec::new, |telling| self.outbox.told(telling, now_ms()));
        let mut transaction = self.connection.begin().await?;
        sqlx::query(row.write).bind(&row.name).bind(row.doc).execute(&mut *transaction).await?;
        for notice in &notices {
            let doc = serde_json::to_string(notice)?;
            sqlx::query("INSERT INTO notice (id, doc) VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET doc = excluded.doc")
                .bind(notice.id)
                .bind(doc)
                .execute(&mut *transaction)
                .await?;
        }
        transaction.commit().await?;
        self.outbox.take(notices);
        Ok(())
    }

    /// Keeps a payment.
    async fn keep(&mut self, mut payment: Payment, told: Told) -> anyhow::Result<()> {
        let now = now_ms();
        if is_after(&told) {
            payment.changed_at = Some(now);
        }
        let said_at = jiff::Timestamp::from_millisecond(now).map(|at| at.to_string()).unwrap_or_default();
        let body = |kind| json!({"type": kind, "timestamp": said_at, "data": {"payment": payment.name}}).to_string();
        let bodies = told.into_iter().map(body).collect();
        let (by, fault) = (Half::Payments, payment.faults().notice);
        let telling = payment.input.notice_url.as_deref();
        let telling = telling.map(|url| Telling { by, about: &payment.name, url, fault, bodies });
        let (name, doc) = (payment.name.clone(), serde_json::to_string(&payment)?);
        self.write(Row { write: KEEP_PAYMENT, name, doc }, telling).await?;
        self.payments.insert(payment.name.clone(), payment);
        Ok(())
    }

    /// Keeps a parcel, and tells what has become of it.
    async fn keep_parcel(&mut self, parcel: Parcel, bodies: Vec<String>) -> anyhow::Result<()> {
        let (by, fault) = (Half::Parcels, parcel.faults().notice);
        let telling = parcel.input.notice_url.as_deref();
        let telling = telling.map(|url| Telling { by, about: &parcel.name, url, fault, bodies });
        let (name, doc) = (parcel.name.clone(), serde_json::to_string(&parcel)?);
        self.write(Row { write: KEEP_PARCEL, name, doc }, telling).await?;
        self.parcels.insert(parcel.name.clone(), parcel);
        Ok(())
    }

    /// By its name, or by how that begins: its shipment.
    fn find_parcel(&self, name: &str) -> Option<&Parcel> {
        let of_shipment = |parcel: &&Parcel| parcel.name.split('.').next() == Some(name);
        self.parcels.get(name).or_else(|| self.parcels.values().rev().find(of_shipment))
    }

    fn find(&self, name: &str) -> Option<&Payment> {
        let by_name = || self.payments.get(name);
        let by_reference = || self.payments.values().find(|payment| payment.reference == name);
        let of_order = |payment: &&Payment| payment.name.split('.').next() == Some(name);
        by_name().or_else(by_reference).or_else(|| self.payments.values().rev().find(of_order))
    }
}

impl Books {
    /// Opens the books in this directory, for this process alone.
    ///
    /// # Errors
    /// They cannot be read, or another process has them.
    pub(super) async fn open(directory: &Path) -> anyhow::Result<Self> {
        std::fs::create_dir_all(directory).with_context(|| format!("{}", directory.display()))?;
        let options = SqliteConnectOptions::new()
            .filename(directory.join(FILE))
            .create_if_missing(true)
            .locking_mode(SqliteLockingMode::Exclusive)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .disable_statement_logging();
        let mut connection = options.connect().await.context("the sandbox's books cannot be opened")?;
        for table in [
            "CREATE TABLE IF NOT EXISTS payment (name TEXT PRIMARY KEY, doc TEXT NOT NULL) STRICT",
            "CREATE TABLE IF NOT EXISTS parcel (name TEXT PRIMARY KEY, doc TEXT NOT NULL) STRICT",
            "CREATE TABLE IF NOT EXISTS notice (id INTEGER PRIMARY KEY, doc TEXT NOT NULL) STRICT",
        ] {
            sqlx::query(table).execute(&mut connection).await.context("the sandbox's books cannot be written")?;
        }
        let (mut payments, mut parcels, mut notices) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        for row in sqlx::query("SELECT doc FROM payment").fetch_all(&mut connection).await? {
            let payment: Payment = serde_json::from_str(row.try_get::<&str, _>(0)?)?;
            payments.insert(payment.name.clone(), payment);
        }
        for row in sqlx::query("SELECT doc FROM parcel").fetch_all(&mut connection).await? {
            let parcel: Parcel = serde_json::from_str(row.try_get::<&str, _>(0)?)?;
            parcels.insert(parcel.name.clone(), parcel);
        }
        for row in sqlx::query("SELECT doc FROM notice").fetch_all(&mut connection).await? {
            let notice: Notice = serde_json::from_str(row.try_get::<&str, _>(0)?)?;
            notices.insert(notice.id, notice);
        }
        let outbox = Outbox::new(notices, now_ms());
        let disputes = payments.values().map(|payment: &Payment| payment.disputes.len()).sum();
        let state = State { connection, payments, parcels, outbox, disputes };
        Ok(Self { state: Mutex::new(state), news: Notify::new() })
    }

    /// A payment by the shop's name, by the sandbox's, or by its order, as it stands now.
    pub(super) async fn find(&self, name: &str) -> Result<Option<Payment>, Undone> {
        self.settle().await.map_err(Undone::Broken)?;
        Ok(self.state.lock().await.find(name).cloned())
    }

    /// All payments, the newest first.
    pub(super) async fn all(&self) -> Result<Vec<Payment>, Undone> {
        self.settle().await.map_err(Undone::Broken)?;
        let state = self.state.lock().await;
        let mut all: Vec<Payment> = state.payments.values().cloned().collect();
        all.sort_by_key(|payment| {
            std::cmp::Reverse(payment.reference.trim_start_matches("pay_").parse::<usize>().ok())
        });
        Ok(all)
    }

    /// The payments of which something has changed since then, from behind a place on, in the order in which it did.
    pub(super) async fn changed(&self, since: i64, after: Option<(i64, usize)>) -> Result<Vec<Payment>, Undone> {
        let is_it = |change: (i64, usize)| change.0 >= since && after.is_none_or(|after| change > after);
        let mut changed: Vec<Payment> = self.all().await?;
        changed.retain(|payment| payment.change().is_some_and(is_it));
        changed.sort_by_key(Payment::change);
        Ok(changed)
    }

    /// Makes a payment, once under each name. Says whether it is new.
    pub(super) async fn make(&self, name: &str, input: PaymentInput) -> Result<(bool, Payment), Undone> {
        let mut state = self.state.lock().await;
        if let Some(known) = state.payments.get(name) {
            if !known.input.is_same(&input) {
                return Err((422, "other_payment").into());
            }
            let mut again = known.clone();
            again.input = input;
            state.keep(again.clone(), Vec::new()).await.map_err(Undone::Broken)?;
            return Ok((false, again));
        }
        let key = drawn().map_err(Undone::Broken)?;
        let payment = Payment::new(name, state.payments.len() + 1, key, input, now_ms())?;
        state.keep(payment.clone(), Vec::new()).await.map_err(Undone::Broken)?;
        Ok((true, payment))
    }

    /// Changes a payment; what it gives is told once that is durable.
    pub(super) async fn change<T>(
        &self,
        name: &str,
        change: impl FnOnce(&mut Payment, i64) -> Result<(T, Told), Refused>,
    ) -> Result<(T, Payment), Undone> {
        self.settle().await.map_err(Undone::Broken)?;
        let mut state = self.state.lock().await;
        let mut payment = state.find(name).cloned().ok_or((404, "unknown_payment"))?;
        let (given, told) = change(&mut payment, now_ms())?;
        state.keep(payment.clone(), told).await.map_err(Undone::Broken)?;
        self.news.notify_one();
        Ok((given, payment))
    }

    /// A parcel by the shop's name, or by its shipment.
    pub(super) async fn parcel(&self, name: &str) -> Option<Parcel> {
        self.state.lock().await.find_parcel(name).cloned()
    }

    /// All parcels, the newest first.
    pub(super) async fn parcels(&self) -> Vec<Parcel> {
        let mut all: Vec<Parcel> = self.state.lock().await.parcels.values().cloned().collect();
        all.sort_by_key(|parcel| std::cmp::Reverse(parcel.number));
        all
    }

    /// Books a parcel, once under each name. Says whether it is new.
    pub(super) async fn book(&self, name: &str, input: ShipmentInput) -> Result<(bool, Parcel), Undone> {
        let mut state = self.state.lock().await;
        if let Some(known) = state.parcels.get(name) {
            let again = known.again(input)?;
            state.keep_parcel(again.clone(), Vec::new()).await.map_err(Undone::Broken)?;
            return Ok((false, again));
        }
        let parcel = Parcel::new(name, state.parcels.len() + 1, input, now_ms())?;
        state.keep_parcel(parcel.clone(), Vec::new()).await.map_err(Undone::Broken)?;
        Ok((true, parcel))
    }

    /// Changes a parcel; what it gives is told once that is durable.
    pub(super) async fn change_parcel<T>(
        &self,
        name: &str,
        change: impl FnOnce(&mut Parcel, i64) -> Result<(T, Vec<String>), Refused>,
    ) -> Result<(T, Parcel), Undone> {
        let mut state = self.state.lock().await;
        let mut parcel = state.find_parcel(name).cloned().ok_or((404, "unknown_shipment"))?;
        let (given, bodies) = change(&mut parcel, now_ms())?;
        state.keep_parcel(parcel.clone(), bodies).await.map_err(Undone::Broken)?;
        self.news.notify_one();
        Ok((given, parcel))
    }

    /// The id of the next dispute.
    pub(super) async fn next_dispute(&self) -> String {
        let mut state = self.state.lock().await;
        state.disputes += 1;
        format!("dp_{}", state.disputes)
    }

    /// Lets come to stand otherwise what does by now.
    async fn settle(&self) -> anyhow::Result<()> {
        let now = now_ms();
        let mut state = self.state.lock().await;
        let is_due = |payment: &&Payment| payment.due().is_some_and(|due| due <= now);
        let due: Vec<Payment> = state.payments.values().filter(is_due).cloned().collect();
        for mut payment in due {
            let told = payment.settle(now);
            state.keep(payment, told).await?;
        }
        Ok(())
    }

    /// The notices that are to be sent now, and when something is due next.
    pub(super) async fn due(&self) -> anyhow::Result<(Vec<Notice>, Option<i64>)> {
        self.settle().await?;
        let (now, state) = (now_ms(), self.state.lock().await);
        let (mut due, later): (Vec<Notice>, Vec<Notice>) =
            state.outbox.notices().cloned().partition(|it| it.due <= now);
        due.sort_by_key(|notice| (notice.due, notice.id));
        let next = later.iter().map(|notice| notice.due).chain(state.payments.values().filter_map(Payment::due)).min();
        Ok((due, next))
    }

    /// A notice was heard, or is not sent any more; or it is to be sent again then.
    pub(super) async fn sent(&self, notice: &Notice, again_at: Option<i64>) -> anyhow::Result<()> {
        let mut state = self.state.lock().await;
        let Some(due) = again_at else {
            sqlx::query("DELETE FROM notice WHERE id = ?").bind(notice.id).execute(&mut state.connection).await?;
            state.outbox.remove(notice.id);
            return Ok(());
        };
        let again = Notice { due, tries: notice.tries + 1, ..notice.clone() };
        let doc = serde_json::to_string(&again)?;
        sqlx::query("UPDATE notice SET doc = ? WHERE id = ?")
            .bind(doc)
            .bind(again.id)
            .execute(&mut state.connection)
            .await?;
        state.outbox.take(vec![again]);
        Ok(())
    }
}
