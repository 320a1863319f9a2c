//! A Postgres database of a test's own, made on the server of `DATABASE_URL` and dropped with this.

use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

/// A database that is there as long as this is.
pub struct TestDatabase {
    name: String,
    /// Where it is.
    pub url: String,
}

fn server_url() -> String {
    std::env::var("DATABASE_URL").expect(
        "tests on Postgres need DATABASE_URL, a server on which databases can be made: run scripts/test, which starts one",
    )
}

impl TestDatabase {
    /// Makes a database with a name of its own.
    pub async fn create() -> Self {
        let server = server_url();
        let mut admin = PgConnection::connect(&server).await.expect("the server of DATABASE_URL answers");
        let unique: String = sqlx::query_scalar("SELECT replace(gen_random_uuid()::text, '-', '')")
            .fetch_one(&mut admin)
            .await
            .expect("a random name");
        let name = format!("haat_test_{unique}");
        admin.execute(AssertSqlSafe(format!("CREATE DATABASE {name}"))).await.expect("a new database");
        let (base, query) = server.split_once('?').map_or((server.as_str(), None), |(base, query)| (base, Some(query)));
        let authority = base.find("://").map_or(0, |at| at + 3);
        let base = base[authority..].find('/').map_or(base, |slash| &base[..authority + slash]);
        let query = query.map(|query| format!("?{query}")).unwrap_or_default();
        Self { url: format!("{base}/{name}{query}"), name }
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        let name = std::mem::take(&mut self.name);
        // On a thread of its own: a runtime cannot be waited for within another. What cannot be dropped goes with the server.
        let dropped = std::thread::spawn(move || -> Result<(), sqlx::Error> {
            tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
                let mut admin = PgConnection::connect(&server_url()).await?;
                admin.execute(AssertSqlSafe(format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"))).await?;
                admin.close().await
            })
        });
        let _ = dropped.join();
    }
}
