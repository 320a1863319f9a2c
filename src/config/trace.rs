//! Whether requests are traced, and how many.

use super::ConfigError;
use crate::adapters::otlp::Collector;
use crate::limits;
use crate::ports::trace::Share;
use clap::Args;

/// The share of requests that are traced where nothing else is said.
const SHARE: &str = "0.01";

/// Whether requests are traced, and how many.
#[derive(Args, Clone, Debug)]
pub struct TraceArgs {
    /// The collector that is told of traces by OTLP over HTTP, such as http://127.0.0.1:4318: none by itself, and nothing is traced.
    #[arg(long, env = "HAAT_OTLP_URL", value_name = "URL")]
    pub otlp_url: Option<String>,
    /// The share of requests that are traced, from 0 to 1: 0.01 by itself. Of a request that a trusted proxy sends with a traceparent, that tells.
    #[arg(long, env = "HAAT_TRACE_SAMPLE", value_name = "SHARE")]
    pub trace_sample: Option<String>,
}

/// How requests are traced.
#[derive(Clone, Debug)]
pub struct TraceSettings {
    /// Who is told.
    pub collector: Collector,
    /// How many are.
    pub share: Share,
    /// Spans that wait for the collector before further ones are dropped.
    pub room: usize,
}

impl TraceArgs {
    /// How requests are traced, if they are.
    ///
    /// # Errors
    /// When the URL or the share is none.
    pub fn settings(&self) -> Result<Option<TraceSettings>, ConfigError> {
        let wrong = |setting| move |reason| ConfigError::Setting { setting, reason };
        let said = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        let share = said(&self.trace_sample).unwrap_or_else(|| SHARE.to_owned());
        let share = share.parse().map_err(wrong("HAAT_TRACE_SAMPLE"))?;
        let Some(url) = said(&self.otlp_url) else { return Ok(None) };
        let collector = Collector::new(&url).map_err(wrong("HAAT_OTLP_URL"))?;
        Ok(Some(TraceSettings { collector, share, room: limits::TRACE_SPANS }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(url: Option<&str>, share: Option<&str>) -> Result<Option<TraceSettings>, ConfigError> {
        TraceArgs { otlp_url: url.map(str::to_owned), trace_sample: share.map(str::to_owned) }.settings()
    }

    #[test]
    fn nothing_is_traced_unless_somebody_is_to_be_told() {
        for url in [None, Some("")] {
            assert!(settings(url, Some("1")).expect("sound").is_none());
        }
        for share in [None, Some("")] {
            let said = settings(Some("http://127.0.0.1:4318"), share).expect("sound").expect("a collector");
            assert_eq!(said.share, "0.01".parse().expect("a share"));
        }
        for (url, share, name) in [(" ", "1", "HAAT_OTLP_URL: "), ("", " ", "HAAT_TRACE_SAMPLE: ")] {
            let refused = settings(Some(url), Some(share)).expect_err(url).to_string();
            assert!(refused.starts_with(name), "{refused}");
        }
    }
}
