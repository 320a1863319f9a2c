//! What is looked for again and again, since nobody tells of it. Payment providers are asked every hour which payments have changed, so that a
//! dispute or a refund that a bank returned is known of where no notice ever came; couriers what has become of parcels of which nothing was heard;
//! and the read tables which paid shares nobody has begun in time.

use crate::actors::Shop;
use crate::domain::ids::OrderId;
use crate::domain::order::AcceptanceSettings;
use crate::limits;
use crate::ports::Clock;
use crate::services::acceptance::{Acceptance, every};
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

/// Shares of one vendor that one look reads, and vendors.
const PAGE: u32 = 500;

/// Looks, again and again, for paid shares that nobody has begun in time, and has their orders look at themselves.
pub async fn acceptance(
    acceptance: Arc<Acceptance>,
    settings: AcceptanceSettings,
    shop: Shop,
    stop: CancellationToken,
) {
    let Some(within_ms) = settings.within_ms else { return };
    loop {
        let swept = late_shares(&acceptance, within_ms, settings.cancel, &shop);
        match stop.run_until_cancelled(swept).await {
            None => return,
            Some(Ok(overdue)) => metrics::gauge!(names::SHARES_NOT_ACCEPTED).set(overdue as f64),
            Some(Err(reason)) => {
                tracing::warn!(reason, "it cannot be found out now which shares nobody has begun in time");
            }
        }
        if stop.run_until_cancelled(tokio::time::sleep(every(within_ms))).await.is_none() {
            return;
        }
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

/// One sweep, vendor by vendor; gives of how many shares it is said by now that nothing of them is begun.
async fn late_shares(acceptance: &Acceptance, within_ms: i64, cancel: bool, shop: &Shop) -> Result<u64, String> {
    let (queries, until) = (shop.queries(), acceptance.late_until(within_ms));
    let mut vendor = None;
    loop {
        let vendors = queries.vendors(vendor, PAGE).await.map_err(|error| error.to_string())?;
        let Some(last) = vendors.last() else { break };
        vendor = Some(*last);
        for vendor in vendors {
            let mut after = None;
            loop {
                // What was said already is asked again only where it may be cancelled by now.
                let page = queries.not_begun(vendor, until, cancel, after, PAGE).await;
                let page = page.map_err(|error| error.to_string())?;
                let Some(last) = page.last() else { break };
                after = Some(*last);
                let orders: Vec<OrderId> = page.iter().map(|(_, order)| *order).collect();
                acceptance.ask(&orders, within_ms).await.map_err(|error| error.to_string())?;
            }
        }
    }
    queries.overdue().await.map_err(|error| error.to_string())
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
