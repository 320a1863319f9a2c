//! A store as text, and a store made of it.

use crate::support::{Kind, TestStore};
use sqlx::sqlite::{SqliteConnectOptions, SqliteRow};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, Row, SqliteConnection};
use std::path::Path;
use std::process::Command;

/// The words of products are found as they were.
const FOUND_AGAIN: &str = "INSERT INTO product_words (rowid, said)
    SELECT number, words FROM searched_products JOIN products ON products.id = product_id;\n";

/// A file of the embedded store as SQL, as it is at one moment; a server may write to it meanwhile.
pub async fn sqlite(file: &Path) -> String {
    let mut connection =
        SqliteConnection::connect_with(&SqliteConnectOptions::new().filename(file)).await.expect("the store's file");
    connection.execute("BEGIN").await.expect("a transaction");
    let made = "SELECT name, type, sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%' ORDER BY type <> 'table', rowid";
    let made = sqlx::query(made).fetch_all(&mut connection).await.expect("the schema");
    let (mut tables, mut rows, mut others) = (String::new(), String::new(), String::new());
    let named = |object: &SqliteRow| -> (String, String, String) { (object.get(0), object.get(1), object.get(2)) };
    // What words are looked for in is made of its own tables, and is made anew from what is searched.
    let is_search = |name: &str| name == "product_words" || name.starts_with("product_words_");
    for (name, kind, sql) in made.iter().map(named) {
        if is_search(&name) {
            if name == "product_words" {
                tables.push_str(&format!("{sql};\n"));
                others.push_str(FOUND_AGAIN);
            }
            continue;
        }
        if kind != "table" {
            others.push_str(&format!("{sql};\n"));
            continue;
        }
        tables.push_str(&format!("{sql};\n"));
        // What is generated is not in this list.
        let columns = "SELECT name FROM pragma_table_info($1)";
        let columns: Vec<String> =
            sqlx::query_scalar(columns).bind(&name).fetch_all(&mut connection).await.expect("columns");
        let quoted: Vec<String> = columns.iter().map(|column| format!("quote({column})")).collect();
        let select = format!("SELECT {} FROM {name} ORDER BY rowid", quoted.join(" || ',' || "));
        let values: Vec<String> =
            sqlx::query_scalar(AssertSqlSafe(select)).fetch_all(&mut connection).await.expect("rows");
        let columns = columns.join(", ");
        values.iter().for_each(|row| rows.push_str(&format!("INSERT INTO {name} ({columns}) VALUES ({row});\n")));
    }
    connection.close().await.expect("closed");
    format!("BEGIN;\n{tables}{rows}{others}COMMIT;\n")
}

/// Makes a file of the embedded store from SQL.
pub async fn load_sqlite(file: &Path, sql: &str) {
    // A dump need not name tables in the order in which they need each other.
    let options = SqliteConnectOptions::new().filename(file).create_if_missing(true).foreign_keys(false);
    let mut connection = SqliteConnection::connect_with(&options).await.expect("a file");
    connection.execute(sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))).await.expect("the old store");
    connection.close().await.expect("closed");
}

/// A Postgres database as SQL, as it is at one moment. Needs `pg_dump`.
pub fn postgres(url: &str) -> String {
    let mut dump = Command::new("pg_dump");
    dump.args(["--inserts", "--rows-per-insert=50", "--no-owner", "--no-privileges", "--no-comments", url]);
    let output = dump.output().expect("pg_dump runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let sql = String::from_utf8(output.stdout).expect("text");
    // What concerns the tool, or settings that other versions do not know.
    let noise = |line: &&str| {
        let setting = line.starts_with("SET ") && line.ends_with(';');
        line.is_empty()
            || line.starts_with("--")
            || line.starts_with('\\')
            || setting
            || line.starts_with("SELECT pg_catalog.set_config")
    };
    let mut text = sql.lines().filter(|line| !noise(line)).collect::<Vec<_>>().join("\n");
    text.push('\n');
    text
}

/// Fills an empty database from SQL.
pub async fn load_postgres(url: &str, sql: &str) {
    let mut connection = PgConnection::connect(url).await.expect("the database");
    // A function's body is read when it is made, before the tables that it names.
    let whole = format!("SET check_function_bodies = off;\n{sql}");
    connection.execute(sqlx::raw_sql(AssertSqlSafe(whole))).await.expect("the old store");
    connection.close().await.expect("closed");
}

/// Does with the tables of a store what no server would.
pub async fn execute(store: &TestStore, sql: &str) {
    let sql = AssertSqlSafe(sql.to_owned());
    match store.kind {
        Kind::Postgres => {
            let mut connection = PgConnection::connect(store.url().expect("a URL")).await.expect("the database");
            connection.execute(sqlx::raw_sql(sql)).await.expect("a statement");
        }
        Kind::Sqlite => {
            let file = SqliteConnectOptions::new().filename(store.data_dir().join("haat.db"));
            let mut connection = SqliteConnection::connect_with(&file).await.expect("the store's file");
            connection.execute(sqlx::raw_sql(sql)).await.expect("a statement");
            connection.close().await.expect("closed");
        }
    }
}

/// The one number that this gives.
pub async fn number(store: &TestStore, sql: &str) -> i64 {
    let sql = AssertSqlSafe(sql.to_owned());
    match store.kind {
        Kind::Postgres => {
            let mut connection = PgConnection::connect(store.url().expect("a URL")).await.expect("the database");
            sqlx::query_scalar(sql).fetch_one(&mut connection).await.expect("a number")
        }
        Kind::Sqlite => {
            let file = SqliteConnectOptions::new().filename(store.data_dir().join("haat.db"));
            let mut connection = SqliteConnection::connect_with(&file).await.expect("the store's file");
            sqlx::query_scalar(sql).fetch_one(&mut connection).await.expect("a number")
        }
    }
}
