//! Whether requests are traced, and how many.

use super::ConfigError;
use crate::adapters::otlp::{Collector, CollectorSetting};
use crate::limits;
use crate::ports::trace::Share;
use clap::Args;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

/// The share of requests that are traced where nothing else is said.
const SHARE: &str = "0.01";

/// The most bytes of a file of certificates: all that browsers trust take a quarter of it.
const LONGEST: u64 = 1024 * 1024;

/// Whether requests are traced, and how many.
#[derive(Args, Clone, Debug)]
pub struct TraceArgs {
    /// The collector that is told of traces by OTLP over HTTP, such as http://127.0.0.1:4318 or https://collector.example: none by itself, and
    /// nothing is traced.
    #[arg(long, env = "HAAT_OTLP_URL", value_name = "URL")]
    pub otlp_url: Option<String>,
    /// A file with the certificates, in PEM, of the only authorities that a collector at https:// is believed by: those that this machine trusts
    /// by itself.
    #[arg(long, env = "HAAT_OTLP_CA", value_name = "FILE")]
    pub otlp_ca: Option<PathBuf>,
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
        let authorities = self.otlp_ca.as_deref().filter(|path| !path.as_os_str().is_empty());
        let Some(url) = said(&self.otlp_url) else {
            return match authorities {
                Some(_) => Err(wrong("HAAT_OTLP_CA")("is for a collector, which HAAT_OTLP_URL names".to_owned())),
                None => Ok(None),
            };
        };
        let of_file = |path: &Path| {
            let reason = |error: io::Error| format!("{}: {error}", path.display());
            content(path).map_err(reason).map_err(wrong("HAAT_OTLP_CA"))
        };
        let authorities = authorities.map(of_file).transpose()?;
        let collector = Collector::new(&url, authorities.as_deref()).map_err(|error| {
            let setting = match error {
                CollectorSetting::Url(_) => "HAAT_OTLP_URL",
                CollectorSetting::Authorities(_) => "HAAT_OTLP_CA",
            };
            wrong(setting)(error.to_string())
        })?;
        Ok(Some(TraceSettings { collector, share, room: limits::TRACE_SPANS }))
    }
}

/// What stands in a file that is not too long.
fn content(path: &Path) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    File::open(path)?.take(LONGEST + 1).read_to_end(&mut content)?;
    match content.len() as u64 > LONGEST {
        true => Err(io::Error::other("it is too long for a file of certificates")),
        false => Ok(content),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tempfile::TempDir;

    fn settings(url: Option<&str>, share: Option<&str>) -> Result<Option<TraceSettings>, ConfigError> {
        let (otlp_url, trace_sample) = (url.map(str::to_owned), share.map(str::to_owned));
        TraceArgs { otlp_url, otlp_ca: Some(PathBuf::new()), trace_sample }.settings()
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

    #[test]
    fn what_is_wrong_with_the_authorities_is_told_with_their_file() {
        let place = TempDir::new().expect("a directory");
        let file = |name: &str, content: &str| {
            let path = place.path().join(name);
            std::fs::write(&path, content).expect("it is written");
            path
        };
        let pem = rcgen::generate_simple_self_signed(["collector".to_owned()]).expect("a certificate").cert.pem();
        let sound = file("sound", &pem);
        let with = |url: Option<&str>, path: &Path| {
            let (otlp_url, otlp_ca) = (url.map(str::to_owned), Some(path.to_owned()));
            TraceArgs { otlp_url, otlp_ca, trace_sample: None }.settings()
        };
        assert!(with(Some("https://collector"), &sound).expect("sound").is_some());
        let long = pem.repeat(LONGEST as usize / pem.len() + 1);
        for (url, path, reason) in [
            (None, &sound, "HAAT_OTLP_URL"),
            (Some("http://collector"), &sound, "begins with http://"),
            (Some("https://collector"), &place.path().join("missing"), "No such file"),
            (Some("https://collector"), &file("none", ""), "holds no certificate"),
            (Some("https://collector"), &file("long", &long), "too long"),
        ] {
            let refused = with(url, path).expect_err(reason).to_string();
            assert!(refused.starts_with("HAAT_OTLP_CA: ") && refused.contains(reason), "{refused}");
        }
    }
}
