//! Which pages of other origins may call the shop from a browser. Never with cookies or the like: what a page of another origin may do, it does with a
//! token that it was given.

use crate::http::error::IDEMPOTENT_REPLAYED;
use crate::http::observe::X_REQUEST_ID;
use crate::http::rates::{RATELIMIT, RATELIMIT_POLICY};
use crate::limits;
use http::header::{AUTHORIZATION, CONTENT_TYPE, ETAG, IF_MATCH, RETRY_AFTER};
use http::{HeaderName, HeaderValue, Method};
use std::time::Duration;
use tower_http::cors::{AllowOrigin, CorsLayer};
use url::Url;

/// Reads origins, with commas between.
///
/// # Errors
/// When one is no origin as browsers write it, in words.
pub fn origins(text: &str) -> Result<Vec<HeaderValue>, String> {
    let origin = |text: &str| {
        let expected = || format!("'{text}' is no origin: https://shop.example, without a path, is expected");
        // A star stands for nothing here, and a parser of URLs would take one.
        let url = Url::parse(text).ok().filter(|_| !text.contains('*'));
        let url = url.filter(|url| matches!(url.scheme(), "http" | "https")).ok_or_else(expected)?;
        // Compared letter by letter with what a browser sends, so another spelling would never be met.
        let written = url.origin().ascii_serialization();
        if written != text {
            return Err(format!("'{text}' is no origin as browsers write it: '{written}' is expected"));
        }
        HeaderValue::from_str(text).map_err(|_| expected())
    };
    text.split(',').map(str::trim).map(origin).collect()
}

/// Lets pages of these origins call.
pub fn layer(origins: &[HeaderValue]) -> CorsLayer {
    const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
    const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
    const PREFER: HeaderName = HeaderName::from_static("prefer");
    CorsLayer::new()
        .allow_origin(AllowOrigin::list(origins.iter().cloned()))
        .allow_methods([Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE])
        .allow_headers([AUTHORIZATION, CONTENT_TYPE, IDEMPOTENCY_KEY, IF_MATCH, LAST_EVENT_ID, PREFER, X_REQUEST_ID])
        .expose_headers([X_REQUEST_ID, IDEMPOTENT_REPLAYED, RETRY_AFTER, RATELIMIT, RATELIMIT_POLICY, ETAG])
        .max_age(Duration::from_secs(limits::CORS_SECONDS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_written_as_browsers_write_it() {
        let sound = origins("https://shop.example, http://localhost:3000,https://xn--bcher-kva.example:8443").unwrap();
        assert_eq!(sound, ["https://shop.example", "http://localhost:3000", "https://xn--bcher-kva.example:8443"]);
        for (bad, says) in [
            ("", "is no origin"),
            (" ", "is no origin"),
            ("*", "is no origin"),
            ("null", "is no origin"),
            ("junk", "is no origin"),
            ("shop.example", "is no origin"),
            ("ftp://shop.example", "is no origin"),
            ("https://shop.example,", "is no origin"),
            ("https://", "is no origin"),
            ("https://shop.example/", "'https://shop.example' is expected"),
            ("https://shop.example/shop", "'https://shop.example' is expected"),
            ("https://Shop.example", "'https://shop.example' is expected"),
            ("https://shop.example:443", "'https://shop.example' is expected"),
            ("https://a:b@shop.example", "'https://shop.example' is expected"),
            ("https://*.shop.example", "is no origin"),
            ("https://bücher.example", "'https://xn--bcher-kva.example' is expected"),
        ] {
            let error = origins(bad).unwrap_err();
            assert!(error.contains(says), "{bad}: {error}");
        }
    }
}
