//! The checkpoints of [`OldServer`](crate::old_server::OldServer): the course of their transactions is that of its version.

use crate::old_buyers::{Buyer, Columns, Part};
use crate::old_server::{PACE, Work, code};
use crate::old_statements::{LOCK_OWNED, ORDER_ROWS, Table, UPSERT_PARTS, VENDOR_ROWS};
use sqlx::{Connection, Error, PgConnection, Postgres, Transaction};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

/// After which a checkpoint can be held back; the last one is in a transaction of its own.
pub const STEPS: &str =
    "partitions heads parts vendors products skus orders payments sub_orders order_lines constraints advance";

/// What checkpoints meet once the schema has changed: no such column.
const GONE: &str = "42703";

impl Work {
    /// Writes checkpoints until the partitions are another's.
    pub async fn write_checkpoints(self: Arc<Self>, mut database: PgConnection) {
        let (mut written, mut fresh) = (0, self.version.later);
        loop {
            let new = self.progress.acknowledged.lock()[written..].to_vec();
            let ended = self.write(&mut database, &new, fresh).await;
            self.progress.checkpoints.fetch_add(1, Relaxed);
            match ended {
                Ok(true) => (written, fresh) = (written + new.len(), self.version.later),
                Ok(false) => return,
                // The real one ends there. To go on until it is fenced is harder on its successor.
                Err(error) if code(&error) == GONE => fresh = false,
                Err(error) => panic!("it cannot write a checkpoint: {error}"),
            }
            tokio::time::sleep(PACE).await;
        }
    }

    /// Writes these buyers' entities, with the rows of those who sell, and then how far it has come; false when the partitions are another's.
    async fn write(&self, database: &mut PgConnection, new: &[Buyer], fresh: bool) -> Result<bool, Error> {
        let Some(mut transaction) = self.begin(database).await? else { return Ok(false) };
        self.progress.done("partitions").await;
        sqlx::query("SELECT kind, entity, version FROM refused_rows").fetch_all(&mut *transaction).await?;
        let (orders, carts): (Vec<Part<'_>>, Vec<Part<'_>>) =
            new.iter().flat_map(|buyer| self.template.parts(buyer)).partition(|part| part.kind == "order");
        self.write_parts(&mut transaction, &orders, fresh).await?;
        self.write_parts(&mut transaction, &carts, false).await?;
        // With nobody new there are none, and nothing of theirs is locked.
        if !new.is_empty() {
            self.progress.done("parts").await;
        }
        let mut attempt = transaction.begin().await?;
        self.write_rows(&mut attempt, &VENDOR_ROWS, &self.template.vendor_rows, false).await?;
        if !orders.is_empty() {
            let buyers: Vec<Buyer> = new.iter().filter(|buyer| buyer.checks_out).copied().collect();
            self.write_rows(&mut attempt, &ORDER_ROWS, &self.template.order_rows(&buyers), fresh).await?;
        }
        let constraints = "SET CONSTRAINTS ALL IMMEDIATE; SET CONSTRAINTS ALL DEFERRED";
        sqlx::raw_sql(constraints).execute(&mut *attempt).await?;
        attempt.commit().await?;
        self.progress.done("constraints").await;
        transaction.commit().await?;

        let Some(mut transaction) = self.begin(database).await? else { return Ok(false) };
        let seqs: BTreeMap<i16, i64> = new.iter().map(|buyer| (buyer.partition, buyer.seq)).collect();
        let turn = self.progress.turns.lock().await;
        let advance = sqlx::query(self.version.advance)
            .bind(seqs.keys().copied().collect::<Vec<_>>())
            .bind(self.epochs(seqs.len()))
            .bind(seqs.values().copied().collect::<Vec<_>>());
        advance.execute(&mut *transaction).await?;
        self.progress.done("advance").await;
        transaction.commit().await?;
        drop(turn);
        Ok(true)
    }

    async fn begin<'a>(&self, database: &'a mut PgConnection) -> Result<Option<Transaction<'a, Postgres>>, Error> {
        let mut transaction = database.begin().await?;
        if !self.version.later {
            let say = sqlx::query("SELECT set_config('haat.whole_orders', 'on', true)");
            say.execute(&mut *transaction).await?;
        }
        let lock = sqlx::query(LOCK_OWNED).bind(&self.partitions).bind(self.epochs(self.partitions.len()));
        let locked = lock.fetch_all(&mut *transaction).await?;
        Ok((locked.len() == self.partitions.len()).then_some(transaction))
    }

    async fn write_parts(&self, database: &mut PgConnection, parts: &[Part<'_>], fresh: bool) -> Result<(), Error> {
        if parts.is_empty() {
            return Ok(());
        }
        let kinds: Vec<&str> = parts.iter().map(|part| part.kind).collect();
        let entities: Vec<_> = parts.iter().map(|part| part.entity).collect();
        let versions: Vec<i64> = parts.iter().map(|part| part.version).collect();
        if !fresh {
            let heads = sqlx::query(self.version.newer_heads).persistent(!self.version.later);
            heads.bind(&kinds).bind(&entities).bind(&versions).fetch_all(&mut *database).await?;
            self.progress.done("heads").await;
        }
        let write = sqlx::query(of(UPSERT_PARTS, fresh))
            .bind(kinds)
            .bind(entities)
            .bind(vec![""; parts.len()])
            .bind(parts.iter().map(|part| part.partition).collect::<Vec<_>>())
            .bind(versions)
            .bind(parts.iter().map(|part| part.wake_at).collect::<Vec<_>>())
            .bind(parts.iter().map(|part| part.state.as_bytes()).collect::<Vec<_>>());
        write.execute(&mut *database).await.map(drop)
    }

    async fn write_rows(
        &self,
        database: &mut PgConnection,
        tables: &[Table],
        rows: &[Columns],
        fresh: bool,
    ) -> Result<(), Error> {
        for ((table, _, upsert), columns) in tables.iter().zip(rows) {
            let write = columns.iter().fold(sqlx::query(of(upsert, fresh)), |write, column| write.bind(column));
            write.execute(&mut *database).await?;
            self.progress.done(table).await;
        }
        Ok(())
    }
}

/// The statement for what is there, or for what is new.
fn of(upsert: &'static str, fresh: bool) -> &'static str {
    if fresh { upsert.split("ON CONFLICT").next().unwrap_or(upsert) } else { upsert }
}
