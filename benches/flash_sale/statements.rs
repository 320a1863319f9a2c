//! What the store spent its time on, by statement: of `pg_stat_statements`, where the server has it.

use crate::stage::Stage;
use sqlx::{Connection as _, PgConnection};
use std::fmt::Write as _;

/// Statements that are told.
const MOST: i64 = 14;
/// Letters of each.
const WIDTH: usize = 90;

/// In microseconds. What a trigger does is part of its statement; waiting for the disk at the end of a transaction is part of none.
const SPENT: &str = "
    SELECT regexp_replace(query, '\\s+', ' ', 'g'), sum(calls)::bigint, sum(rows)::bigint, sum(total_plan_time * 1000)::float8,
        sum(total_exec_time * 1000)::float8, sum(shared_blks_hit + shared_blks_read)::bigint
    FROM pg_stat_statements
    WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
    GROUP BY 1 ORDER BY sum(total_plan_time) + sum(total_exec_time) DESC";

type Spent = (String, i64, i64, f64, f64, i64);

/// Begins to count, if the server can.
pub async fn begin(url: &str) -> anyhow::Result<()> {
    let mut database = PgConnection::connect(url).await?;
    // In a server without the library the extension can be made, and counts nothing.
    let _ = sqlx::raw_sql("CREATE EXTENSION IF NOT EXISTS pg_stat_statements").execute(&mut database).await;
    Ok(database.close().await?)
}

/// What each statement took of an order since then, the dearest first; nothing where it was not counted.
pub async fn table(stage: &Stage, orders: u64) -> anyhow::Result<Option<String>> {
    let mut database = PgConnection::connect(&stage.url).await?;
    let spent: Result<Vec<Spent>, _> = sqlx::query_as(SPENT).fetch_all(&mut database).await;
    database.close().await?;
    let Ok(spent) = spent else { return Ok(None) };
    let of_order = |sum: f64| sum / orders.max(1) as f64;
    let mut table =
        "| statement | µs | planning µs | pages | rows | calls |\n| --- | --- | --- | --- | --- | --- |\n".to_owned();
    let mut line = |words: &str, (_, calls, rows, plan, execution, pages): &Spent| {
        let (all, plan) = (of_order(plan + execution), of_order(*plan));
        let (pages, rows) = (of_order(*pages as f64), of_order(*rows as f64));
        writeln!(table, "| {words} | {all:.1} | {plan:.1} | {pages:.1} | {rows:.2} | {calls} |")
    };
    for one in spent.iter().take(usize::try_from(MOST)?) {
        let words: String = one.0.trim().chars().filter(|letter| *letter != '|').take(WIDTH).collect();
        line(&format!("`{words}`"), one)?;
    }
    let all = spent.iter().fold((String::new(), 0, 0, 0.0, 0.0, 0), |sum, one| {
        (sum.0, sum.1 + one.1, sum.2 + one.2, sum.3 + one.3, sum.4 + one.4, sum.5 + one.5)
    });
    line("all", &all)?;
    Ok(Some(table))
}
