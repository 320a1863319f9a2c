//! The room that an upgrade needs, told before it begins.

use super::Sqlite;
use sqlx::SqliteConnection;
use std::path::Path;

/// The versions of the schema that make tables anew, since a constraint cannot be dropped here. What is in them stands there twice until the
/// transaction has ended: in the file, and before that in its log.
const REMADE: [i64; 1] = [7];

/// What an upgrade needs at most, and what there is, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Room {
    needed: u64,
    free: Option<u64>,
}

/// Says how much room an upgrade of this store needs, where tables with rows are made anew. It is no more than told: how much of a file these
/// tables are is not known, and an upgrade for which there is no room leaves the store as it was.
pub(super) async fn tell(connection: &mut SqliteConnection, file: &Path) -> Result<(), sqlx::Error> {
    if !makes_tables_anew(connection).await? {
        return Ok(());
    }
    let pages =
        sqlx::query_scalar::<Sqlite, i64>("SELECT page_count * page_size FROM pragma_page_count, pragma_page_size");
    let needed = u64::try_from(pages.fetch_one(connection).await?).unwrap_or(0);
    let free = file.parent().and_then(|directory| rustix::fs::statvfs(directory).ok());
    let free = free.map(|found| found.f_bavail.saturating_mul(found.f_frsize));
    say(Room { needed, free });
    Ok(())
}

async fn makes_tables_anew(connection: &mut SqliteConnection) -> Result<bool, sqlx::Error> {
    let there = "SELECT count(*) FROM sqlite_master WHERE name IN ('_sqlx_migrations', 'orders')";
    if sqlx::query_scalar::<_, i64>(there).fetch_one(&mut *connection).await? < 2 {
        return Ok(false);
    }
    let version: Option<i64> = sqlx::query_scalar("SELECT max(version) FROM _sqlx_migrations WHERE success")
        .fetch_one(&mut *connection)
        .await?;
    let version = version.unwrap_or(0);
    let has_orders: bool = sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM orders)").fetch_one(connection).await?;
    Ok(has_orders && REMADE.into_iter().any(|remade| version < remade))
}

/// As a warning, which the tools show too: whoever upgrades can still make room.
fn say(room: Room) {
    let Room { needed, free } = room;
    let megabytes = |bytes: u64| bytes.div_ceil(1 << 20);
    let (needed_mb, free_mb) = (megabytes(needed), free.map(megabytes));
    let is_short = free.is_some_and(|free| free < needed);
    tracing::warn!(
        needed_mb,
        free_mb,
        is_short,
        "the upgrade of this store makes its tables of orders anew, which may need the store's size once more"
    );
}
