//! The one cookie there is: it holds a browser's refresh token where no script can read it, so that a page which is loaded again is still signed in.
//! It is read where a session goes on or ends, and nowhere else; what a page may do it does with the access token, which no browser sends by itself.
//! So there is nothing that another's page could have a browser do.

use crate::http::HttpState;
use crate::http::error::{ORIGIN_REFUSED, Problem, Result};
use crate::limits;
use axum::extract::FromRequestParts;
use axum::response::Response;
use http::header::{COOKIE, HOST, ORIGIN, SET_COOKIE};
use http::request::Parts;
use http::{HeaderMap, HeaderValue};
use std::convert::Infallible;
use std::net::IpAddr;
use url::{Host, Url};

/// Its name.
pub const REFRESH_COOKIE: &str = "haat_refresh";

/// Where the shop's pages are found, as `HAAT_PUBLIC_URL` says it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Home {
    /// As a browser writes it; empty where it is not known.
    origin: String,
    /// What stands before every path, without a slash at the end.
    prefix: String,
}

impl Home {
    /// Of a URL without a slash at its end; nowhere, where it is none.
    pub fn of(url: &str) -> Self {
        let Ok(url) = Url::parse(url) else { return Self::default() };
        Self { origin: url.origin().ascii_serialization(), prefix: url.path().trim_end_matches('/').to_owned() }
    }
}

/// What a browser says of itself where a session begins, goes on or ends.
#[derive(Debug, PartialEq, Eq)]
pub struct Browser {
    /// The cookies of that name.
    brought: Vec<String>,
    /// Whether a page of the shop's own asks.
    is_ours: bool,
    /// For which paths a cookie is kept.
    path: String,
    /// Whether it is only kept where nobody listens on the way.
    secure: bool,
}

impl Browser {
    fn of(headers: &HeaderMap, authority: Option<&str>, home: &Home) -> Self {
        let host = headers.get(HOST).and_then(|host| host.to_str().ok()).or(authority);
        let mut origins = headers.get_all(ORIGIN).iter();
        let origin = origins.next().filter(|_| origins.next().is_none()).and_then(|origin| origin.to_str().ok());
        let page = origin.and_then(page);
        let at_home = origin.is_some_and(|origin| !home.origin.is_empty() && origin == home.origin);
        let at_host = page.as_ref().zip(host).is_some_and(|(page, host)| is_at(page, host));
        // Whoever says of no page where it is says at least whom it asks.
        let at = page.or_else(|| host.and_then(|host| Url::parse(&format!("http://{host}")).ok()));
        // A page that is reached by another way than the shop's public one is not behind what adds the prefix.
        let prefix = if at_home || origin.is_none() { &*home.prefix } else { "" };
        Self {
            brought: brought(headers),
            is_ours: at_home || at_host,
            path: format!("{prefix}/v1/auth"),
            secure: !at.is_some_and(|at| at.scheme() == "http" && is_loopback(&at)),
        }
    }

    /// The refresh token that it keeps, if any.
    ///
    /// # Errors
    /// That another's page asks, or that it is not known whose token it is.
    pub fn refresh_token(&self) -> Result<Option<&str>> {
        let refused = |detail: &'static str| Err(Problem::new(&ORIGIN_REFUSED, detail));
        match &*self.brought {
            [] => Ok(None),
            _ if !self.is_ours => refused("the cookie is read only for pages of this host, or of HAAT_PUBLIC_URL"),
            [token] => Ok(Some(token)),
            // Another host of the same domain may have set one of them.
            _ => refused("there is more than one cookie of that name"),
        }
    }

    /// Has it keep this refresh token, for as long as a session may rest.
    pub fn keep(&self, response: &mut Response, refresh_token: &str) {
        self.set(response, refresh_token, limits::SESSION_IDLE_MS / 1000);
    }

    /// Has it forget what it keeps.
    pub fn forget(&self, response: &mut Response) {
        self.set(response, "", 0);
    }

    fn set(&self, response: &mut Response, value: &str, seconds: i64) {
        let Self { path, secure, .. } = self;
        let secure = if *secure { "; Secure" } else { "" };
        let cookie =
            format!("{REFRESH_COOKIE}={value}; Max-Age={seconds}; Path={path}; HttpOnly; SameSite=Strict{secure}");
        match HeaderValue::from_str(&cookie) {
            Ok(mut cookie) => {
                cookie.set_sensitive(true);
                response.headers_mut().append(SET_COOKIE, cookie);
            }
            // A token, and the path of a URL, are printable ASCII: this cannot happen.
            Err(error) => tracing::error!(%error, "a cookie could not be written"),
        }
    }
}

impl FromRequestParts<HttpState> for Browser {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &HttpState) -> Result<Self, Infallible> {
        let authority = parts.uri.authority().map(http::uri::Authority::as_str);
        Ok(Self::of(&parts.headers, authority, &state.settings.home))
    }
}

/// The values of the cookies of our name (RFC 6265, 5.4): those of other names are nobody's business.
fn brought(headers: &HeaderMap) -> Vec<String> {
    let cookies = headers.get_all(COOKIE).iter().filter_map(|cookies| cookies.to_str().ok());
    let pairs = cookies.flat_map(|cookies| cookies.split(';')).filter_map(|pair| pair.split_once('='));
    pairs.filter(|(name, _)| name.trim() == REFRESH_COOKIE).map(|(_, value)| value.trim().to_owned()).collect()
}

/// A page's origin, if it is written as browsers write it: `null` is none.
fn page(origin: &str) -> Option<Url> {
    let url = Url::parse(origin).ok().filter(|url| matches!(url.scheme(), "http" | "https"))?;
    (url.origin().ascii_serialization() == origin).then_some(url)
}

/// Whether a page comes from whom the header Host names. A proxy may have taken the TLS off, so the scheme is not compared.
fn is_at(page: &Url, host: &str) -> bool {
    let Ok(host) = Url::parse(&format!("{}://{host}", page.scheme())) else { return false };
    (page.host(), page.port_or_known_default()) == (host.host(), host.port_or_known_default())
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => IpAddr::V6(address).to_canonical().is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, value.parse().unwrap());
        }
        headers
    }

    fn asked(lines: &[(&'static str, &str)]) -> Browser {
        Browser::of(&headers(lines), None, &Home::of("https://shop.example/haat"))
    }

    #[test]
    fn a_page_is_ours_by_its_host_or_by_the_public_url() {
        let table = [
            ("shop.example", Some("https://shop.example"), true),
            ("inside:8080", Some("https://shop.example"), true),
            ("inside:8080", Some("http://inside:8080"), true),
            ("Inside:8080", Some("http://inside:8080"), true),
            ("other.example", Some("https://other.example"), true),
            ("other.example:443", Some("https://other.example"), true),
            ("[::1]:8080", Some("http://[::1]:8080"), true),
            ("shop.example", None, false),
            ("shop.example", Some("null"), false),
            ("shop.example", Some(""), false),
            ("shop.example", Some("https://evil.example"), false),
            ("shop.example", Some("https://shop.example.evil.example"), false),
            ("shop.example", Some("https://a.shop.example"), false),
            ("shop.example", Some("https://shop.example:8443"), false),
            ("shop.example", Some("https://shop.example/"), false),
            ("inside:8080", Some("http://inside:8081"), false),
            ("inside:8080", Some("http://shop.example"), false),
            ("inside", Some("file://inside"), false),
        ];
        for (host, origin, is_ours) in table {
            let mut lines = vec![("host", host), ("cookie", "haat_refresh=t")];
            lines.extend(origin.map(|origin| ("origin", origin)));
            let asked = asked(&lines);
            assert_eq!(asked.is_ours, is_ours, "{host} {origin:?}");
            match asked.refresh_token() {
                Ok(token) => assert!(is_ours && token == Some("t"), "{host} {origin:?}"),
                Err(problem) => assert!(!is_ours && problem.kind() == &ORIGIN_REFUSED, "{host} {origin:?}"),
            }
        }
        let twice = asked(&[("host", "inside"), ("origin", "http://inside"), ("origin", "http://inside")]);
        assert!(!twice.is_ours);
        assert!(!Browser::of(&headers(&[("host", "x"), ("origin", "null")]), None, &Home::of("")).is_ours);
        let by_http2 = headers(&[("origin", "http://inside:8080")]);
        assert!(Browser::of(&by_http2, Some("inside:8080"), &Home::default()).is_ours);
        assert!(!Browser::of(&by_http2, Some("inside:8081"), &Home::default()).is_ours);
    }

    #[test]
    fn one_cookie_of_the_name_is_read_and_others_are_not() {
        let of = |cookies: &[&str]| {
            let mut lines = vec![("host", "inside"), ("origin", "http://inside")];
            lines.extend(cookies.iter().map(|cookies| ("cookie", *cookies)));
            asked(&lines)
                .refresh_token()
                .map(|token| token.map(ToOwned::to_owned))
                .map_err(|problem| problem.kind().code)
        };
        assert_eq!(of(&[]), Ok(None));
        assert_eq!(of(&["a=b; haat_refresh2=x; =y; haat_refres"]), Ok(None));
        assert_eq!(of(&["a=b; haat_refresh=rt_1.2.k.t=; c=d"]), Ok(Some("rt_1.2.k.t=".to_owned())));
        assert_eq!(of(&["a=b", "haat_refresh=t"]), Ok(Some("t".to_owned())));
        assert_eq!(of(&["haat_refresh=t; haat_refresh=t"]), Err("origin_refused"));
        assert_eq!(of(&["haat_refresh=t", "haat_refresh=u"]), Err("origin_refused"));
    }

    #[test]
    fn it_is_for_one_path_and_for_no_script_and_open_on_loopback_alone() {
        let kept = |lines: &[(&'static str, &str)]| {
            let mut response = Response::new(axum::body::Body::empty());
            asked(lines).keep(&mut response, "t");
            response.headers()[SET_COOKIE].to_str().unwrap().to_owned()
        };
        let home = kept(&[("host", "127.0.0.1:8080"), ("origin", "https://shop.example")]);
        assert_eq!(home, "haat_refresh=t; Max-Age=2592000; Path=/haat/v1/auth; HttpOnly; SameSite=Strict; Secure");
        assert!(kept(&[("host", "shop.example")]).ends_with("Path=/haat/v1/auth; HttpOnly; SameSite=Strict; Secure"));
        for loopback in ["localhost:8080", "a.localhost", "127.0.0.1:1", "127.9.9.9", "[::1]:81", "[::ffff:7f00:1]"] {
            let open = kept(&[("host", loopback), ("origin", &format!("http://{loopback}"))]);
            assert_eq!(open, "haat_refresh=t; Max-Age=2592000; Path=/v1/auth; HttpOnly; SameSite=Strict", "{loopback}");
            assert!(kept(&[("host", loopback), ("origin", &format!("https://{loopback}"))]).ends_with("Secure"));
        }
        for other in ["10.0.0.1", "localhost.evil.example", "128.0.0.1", "[::2]"] {
            assert!(kept(&[("host", other), ("origin", &format!("http://{other}"))]).ends_with("Secure"), "{other}");
        }
        let mut response = Response::new(axum::body::Body::empty());
        asked(&[("host", "localhost")]).forget(&mut response);
        let gone = response.headers()[SET_COOKIE].to_str().unwrap();
        assert_eq!(gone, "haat_refresh=; Max-Age=0; Path=/haat/v1/auth; HttpOnly; SameSite=Strict");
    }
}
