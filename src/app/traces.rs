//! Traces, where they are switched on.

use super::AppError;
use crate::adapters::otlp::Exporter;
use crate::config::Config;
use crate::ports::Clock;
use crate::ports::trace::Tracer;
use std::sync::Arc;

/// What tells a collector of traces, and what begins them; `None` where nobody is to be told.
///
/// # Errors
/// When the system gives no random bytes.
pub(super) fn begin(config: &Config, clock: &Arc<dyn Clock>) -> Result<Option<(Exporter, Tracer)>, AppError> {
    let Some(settings) = config.trace.clone() else { return Ok(None) };
    let (exporter, spans) = Exporter::start(settings.collector, settings.room, clock.clone())?;
    // A context is copied to wherever its request goes, and points to them; a process makes them once.
    let spans = Box::leak(Box::new(spans));
    Ok(Some((exporter, Tracer::new(spans, settings.share))))
}
