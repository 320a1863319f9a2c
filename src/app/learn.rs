//! Has a node know what other nodes have written: which sessions were ended, and the tables by which bills are made.

use crate::actors::Shop;
use crate::limits;
use crate::services::accounts::Accounts;
use crate::services::price_tables::PriceTables;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Takes over tables of taxes, of points and of shipping.
pub(super) async fn price_tables(tables: Arc<PriceTables>, shop: Shop, stop: CancellationToken) {
    let every = Duration::from_millis(limits::TABLES_LOOK_MS);
    let mut knows = true;
    while stop.run_until_cancelled(tokio::time::sleep(every)).await.is_some() {
        match tables.learn(|tables| shop.show_tables(tables)).await {
            Ok(()) => knows = true,
            Err(error) => {
                // Once for each time: what the store has, others tell, too.
                if std::mem::replace(&mut knows, false) {
                    tracing::warn!(%error, "it cannot be learnt now which taxes, shipping methods and terms of points were changed elsewhere");
                }
            }
        }
    }
}

/// Has a server know within seconds which sessions another has ended.
pub(super) async fn sessions(accounts: Arc<Accounts>, stop: CancellationToken) {
    let every = Duration::from_millis(limits::REVOKED_LOOK_MS);
    let mut knows = true;
    loop {
        match accounts.learn().await {
            Ok(()) => knows = true,
            Err(error) => {
                // Once for each time: what the store has, others tell, too.
                if std::mem::replace(&mut knows, false) {
                    tracing::warn!(%error, "it cannot be learnt now which sessions were ended elsewhere");
                }
            }
        }
        if stop.run_until_cancelled(tokio::time::sleep(every)).await.is_none() {
            return;
        }
    }
}
