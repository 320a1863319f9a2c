//! The sandbox's books: payments and notices that are still to be sent, in memory and, before anybody is told, in SQLite.

use super::faults::Fault;
use super::payment::{Payment, PaymentInput, Refused, Told, is_after};
use anyhow::Context as _;
use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteLockingMode, SqliteSynchronous};
use sqlx::{ConnectOptions as _, Connection as _, Row as _};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};
use tokio::sync::{Mutex, Notify};

/// The file in the data directory.
const FILE: &str = "sandbox-platform.db";
/// How long a notice is held back for the one after it.
const HELD_MS: i64 = 2_000;

/// A notice that is still to be sent.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Notice {
    pub(super) id: i64,
    pub(super) payment: String,
    pub(super) url: String,
    /// Its id: what is sent again has the same.
    pub(super) message: String,
    pub(super) body: String,
    pub(super) due: i64,
    /// How often it was sent and not heard.
    pub(super) tries: u32,
    /// It waits for another one to overtake it.
    held: bool,
    pub(super) badly_signed: bool,
    pub(super) stale: bool,
}

struct State {
    connection: SqliteConnection,
    /// By the shop's name.
    payments: BTreeMap<String, Payment>,
    notices: BTreeMap<i64, Notice>,
    last_notice: i64,
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

impl State {
    /// Makes what has changed durable, then takes it over.
    async fn keep(&mut self, mut payment: Payment, told: Told) -> anyhow::Result<()> {
        if is_after(&told) {
            payment.changed_at = Some(now_ms());
        }
        let (mut notices, mut last) = (Vec::new(), self.last_notice);
        for kind in told {
            self.notices_of(&payment, kind, &mut last, &mut notices);
        }
        let mut transaction = self.connection.begin().await?;
        let doc = serde_json::to_string(&payment)?;
        sqlx::query(
            "INSERT INTO payment (name, doc) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET doc = excluded.doc",
        )
        .bind(&payment.name)
        .bind(doc)
        .execute(&mut *transaction)
        .await?;
        for notice in &notices {
            let doc = serde_json::to_string(notice)?;
            sqlx::query("INSERT INTO notice (id, doc) VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET doc = excluded.doc")
                .bind(notice.id)
                .bind(doc)
                .execute(&mut *transaction)
                .await?;
        }
        transaction.commit().await?;
        self.payments.insert(payment.name.clone(), payment);
        self.notices.extend(notices.into_iter().map(|notice| (notice.id, notice)));
        self.last_notice = last;
        Ok(())
    }

    /// The notices of a change, and those before it that it lets go.
    fn notices_of(&self, payment: &Payment, kind: &str, last: &mut i64, notices: &mut Vec<Notice>) {
        let (Some(url), fault, now) = (&payment.input.notice_url, payment.faults().notice, now_ms()) else { return };
        let copies = match fault {
            Fault::Never => 0,
            Fault::DuplicateNotice(copies) => copies,
            _ => 1,
        };
        let mut held: Vec<Notice> = Vec::new();
        if fault == Fault::Reorder {
            let is_held = |notice: &&Notice| notice.held && notice.payment == payment.name;
            let known = |notice: &Notice| notices.iter().any(|it| it.id == notice.id);
            held.extend(self.notices.values().filter(is_held).filter(|it| !known(it)).cloned());
            held.extend(notices.iter().filter(is_held).cloned());
        }
        let overtakes = !held.is_empty();
        for mut before in held {
            (before.held, before.due) = (false, now + 1);
            notices.retain(|notice| notice.id != before.id);
            notices.push(before);
        }
        let said_at = jiff::Timestamp::from_millisecond(now).map(|at| at.to_string()).unwrap_or_default();
        let body = json!({"type": kind, "timestamp": said_at, "data": {"payment": payment.name}});
        let (held, due) = match fault {
            Fault::Reorder if !overtakes => (true, now + HELD_MS),
            Fault::Late(ms) => (false, now.saturating_add_unsigned(ms)),
            _ => (false, now),
        };
        let id = *last + 1;
        for _ in 0..copies {
            *last += 1;
            notices.push(Notice {
                id: *last,
                payment: payment.name.clone(),
                url: url.clone(),
                // Copies carry one id, as what is sent again does.
                message: format!("msg_{id}"),
                body: body.to_string(),
                due,
                tries: 0,
                held,
                badly_signed: fault == Fault::BadSignature,
                stale: fault == Fault::Stale,
            });
        }
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
            "CREATE TABLE IF NOT EXISTS notice (id INTEGER PRIMARY KEY, doc TEXT NOT NULL) STRICT",
        ] {
            sqlx::query(table).execute(&mut connection).await.context("the sandbox's books cannot be written")?;
        }
        let (mut payments, mut notices) = (BTreeMap::new(), BTreeMap::new());
        for row in sqlx::query("SELECT doc FROM payment").fetch_all(&mut connection).await? {
            let payment: Payment = serde_json::from_str(row.try_get::<&str, _>(0)?)?;
            payments.insert(payment.name.clone(), payment);
        }
        for row in sqlx::query("SELECT doc FROM notice").fetch_all(&mut connection).await? {
            let notice: Notice = serde_json::from_str(row.try_get::<&str, _>(0)?)?;
            notices.insert(notice.id, notice);
        }
        // What was sent is forgotten, and its id is not given again.
        let last_notice = notices.keys().last().copied().unwrap_or_default().max(now_ms());
        let disputes = payments.values().map(|payment: &Payment| payment.disputes.len()).sum();
        let state = State { connection, payments, notices, last_notice, disputes };
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
            state.notices.values().cloned().partition(|it| it.due <= now);
        due.sort_by_key(|notice| (notice.due, notice.id));
        let next = later.iter().map(|notice| notice.due).chain(state.payments.values().filter_map(Payment::due)).min();
        Ok((due, next))
    }

    /// A notice was heard, or is not sent any more; or it is to be sent again then.
    pub(super) async fn sent(&self, notice: &Notice, again_at: Option<i64>) -> anyhow::Result<()> {
        let mut state = self.state.lock().await;
        let Some(due) = again_at else {
            sqlx::query("DELETE FROM notice WHERE id = ?").bind(notice.id).execute(&mut state.connection).await?;
            state.notices.remove(&notice.id);
            return Ok(());
        };
        let again = Notice { due, tries: notice.tries + 1, ..notice.clone() };
        let doc = serde_json::to_string(&again)?;
        sqlx::query("UPDATE notice SET doc = ? WHERE id = ?")
            .bind(doc)
            .bind(again.id)
            .execute(&mut state.connection)
            .await?;
        state.notices.insert(again.id, again);
        Ok(())
    }
}
