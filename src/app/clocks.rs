//! What a start asks of the machine's clock, and what is told of it meanwhile.

use super::{AppError, text};
use crate::domain::time::Timestamp;
use crate::limits;
use crate::persistence::skew;
use crate::ports::{Clock, Journal};
use crate::telemetry::names;
use std::sync::Arc;
use std::time::Duration;

/// Makes sure that the wall clock shows a moment that can be.
///
/// # Errors
/// When it was never set, or is centuries ahead.
pub fn check_wall(clock: &dyn Clock) -> Result<(), AppError> {
    let wall = clock.wall();
    match wall.as_millis() {
        limits::CLOCK_EARLIEST_MS..limits::CLOCK_LATEST_MS => Ok(()),
        _ => Err(AppError::Clock(format!("this machine's clock shows {}: set it first", text::rfc3339(wall)))),
    }
}

/// Makes sure that the wall clock can be, and is the store's, where that has one: before anything is written.
///
/// # Errors
/// When it is not; and what the store says.
pub async fn agree(journal: &dyn Journal, clock: &dyn Clock) -> Result<(), AppError> {
    check_wall(clock)?;
    let Some(skew) = skew::ask(journal, clock).await? else { return Ok(()) };
    let (seconds, way) = (skew.saturating_abs() / 1000, if skew > 0 { "ahead of" } else { "behind" });
    Err(AppError::Clock(format!(
        "this machine's clock is {seconds} s {way} the database's (at most {} s are taken): set it first",
        limits::CLOCK_SKEW_MS / 1000
    )))
}

/// Lets domain time go on from the newest frame, and tells when that is ahead.
///
/// # Errors
/// When that frame is centuries ahead: what is written after it could not be dated.
pub(super) fn start_from(clock: &dyn Clock, newest: Timestamp) -> Result<(), AppError> {
    if newest.as_millis() >= limits::CLOCK_LATEST_MS {
        return Err(AppError::Clock(format!(
            "the newest frame of this store is of {}: some clock was wrong when it was written, and nothing can follow it. Take the \
             store back from a backup of before",
            text::rfc3339(newest)
        )));
    }
    clock.advance_to(newest);
    let ahead = clock.ahead_ms();
    if ahead > limits::CLOCK_SKEW_MS {
        let seconds = ahead / 1000;
        tracing::warn!(
            seconds,
            "the newest frame is ahead of the clock: time goes on from it at nine tenths of its speed"
        );
    }
    show(clock);
    Ok(())
}

/// Shows by how much domain time is ahead.
pub(super) fn show(clock: &dyn Clock) {
    metrics::gauge!(names::CLOCK_AHEAD).set(clock.ahead_ms() as f64 / 1000.0);
}

/// Shows when this process began.
pub(super) fn show_start(clock: &dyn Clock) {
    metrics::gauge!(names::STARTED).set(clock.wall().as_millis() as f64 / 1000.0);
}

/// Follows the wall clock's corrections, and shows by how much domain time is ahead, for as long as it is let.
pub(super) async fn watch(clock: Arc<dyn Clock>) {
    loop {
        clock.watch();
        show(&*clock);
        tokio::time::sleep(Duration::from_millis(limits::CLOCK_LOOK_MS)).await;
    }
}
