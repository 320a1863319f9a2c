//! Asks payment providers every hour which payments have changed, so that a dispute or a refund that a bank returned is known of where no notice
//! ever came; and couriers what has become of parcels of which nothing was heard.

use crate::actors::Shop;
use crate::limits;
use crate::ports::Clock;
use crate::services::couriers::Couriers;
use crate::services::payments::Payments;
use crate::telemetry::names;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Sweeps until it is stopped; at once after a start, since nobody may have done so for long.
pub async fn payments(payments: Arc<Payments>, shop: Shop, clock: Arc<dyn Clock>, stop: CancellationToken) {
    let every = Duration::from_millis(limits::PAYMENT_SWEEP_MS);
    loop {
        for method in shop.payment_methods() {
            let swept = stop.run_until_cancelled(sweep(&payments, &shop, &*clock, method)).await;
            match swept {
                None => return,
                Some(Ok(())) => {}
                Some(Err(reason)) => {
                    tracing::warn!(
                        method,
                        reason,
                        "it cannot be asked now which payments have changed at their provider"
                    );
                }
            }
        }
        if stop.run_until_cancelled(tokio::time::sleep(every)).await.is_none() {
            return;
        }
    }
}

/// One provider, from where the last sweep ended.
async fn sweep(payments: &Payments, shop: &Shop, clock: &dyn Clock, method: &'static str) -> Result<(), String> {
    let began = clock.now();
    let since = match payments.swept_to(method).await.map_err(|error| error.to_string())? {
        Some(known) => known,
        // From here on, whenever the provider gives its first answer.
        None => {
            payments.swept(method, began, &[]).await.map_err(|error| error.to_string())?;
            began
        }
    };
    // What a provider lists it may list a little late.
    let since = since.plus_millis(-limits::PAYMENT_SWEEP_OVERLAP_MS);
    let (mut cursor, mut pages) = (None, 0);
    loop {
        let page = shop.payments_changed(method, since, cursor.as_deref()).await;
        let page = page.ok_or_else(|| "the provider gives no answer".to_owned())?;
        pages += 1;
        let written = match page.next {
            Some(_) if pages < limits::PAYMENT_SWEEP_PAGES => payments.look_at(&page.orders).await,
            // Where there is more than that, the rest is left to notices: it is said, and not swept for ever.
            more => {
                if more.is_some() {
                    tracing::error!(method, pages, "more payments have changed than a sweep reads");
                }
                return payments.swept(method, began, &page.orders).await.map_err(|error| error.to_string());
            }
        };
        written.map_err(|error| error.to_string())?;
        cursor = page.next;
    }
}

/// Has couriers be asked about parcels of which nothing was heard for long, until it is stopped; at once after a start, since it may have been
/// stopped for long.
pub async fn parcels(couriers: Arc<Couriers>, stop: CancellationToken) {
    let every = Duration::from_millis(limits::PARCEL_SWEEP_MS);
    loop {
        let swept = stop.run_until_cancelled(async {
            let silent = couriers.look_up_silent().await.map_err(|error| error.to_string())?;
            let stale = couriers.count_stale().await.map_err(|error| error.to_string())?;
            Ok::<_, String>((silent, stale))
        });
        match swept.await {
            None => return,
            Some(Ok((silent, stale))) => {
                metrics::gauge!(names::PARCELS_STALE).set(stale as f64);
                if silent > 0 {
                    tracing::info!(silent, stale, "couriers are asked about parcels of which nothing was heard");
                }
            }
            Some(Err(reason)) => tracing::warn!(reason, "it cannot be told now of which parcels nothing was heard"),
        }
        if stop.run_until_cancelled(tokio::time::sleep(every)).await.is_none() {
            return;
        }
    }
}

/// Puts jobs back that orders want and that are missing, until it is stopped; at once after a start, since the store may have been taken back from a
/// backup.
pub async fn missing_jobs(payments: Arc<Payments>, stop: CancellationToken) {
    let every = Duration::from_millis(limits::MISSING_JOBS_SWEEP_MS);
    loop {
        match stop.run_until_cancelled(payments.put_missing_jobs_back()).await {
            None => return,
            Some(Ok(0)) => {}
            Some(Ok(orders)) => tracing::warn!(orders, "orders waited for jobs that were missing: they are put back"),
            Some(Err(error)) => tracing::warn!(%error, "it cannot be told now which jobs are missing"),
        }
        if stop.run_until_cancelled(tokio::time::sleep(every)).await.is_none() {
            return;
        }
    }
}
