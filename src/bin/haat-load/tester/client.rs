//! Calls to the server, repeated as the contract allows, over whatever carries them.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use bytes::Bytes;
use http::header::{ACCEPT, HOST, HeaderName};
use http::{HeaderValue, Response, Uri};
use hyper::body::Incoming;
use hyper::client::conn::http1 as http1_stream;
use hyper_util::rt::TokioIo;

use super::h2c::{self, Shared};
use super::http1::{Connection, dial};
use super::stats::{Call, Mishap, Recorder};
use super::values::Random;

/// `Retry-After` beyond this is cut short, so that a run stays bounded.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(10);
/// Pauses before repeating a request whose connection was lost double from the first to the last of these.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));

/// Where requests go.
pub struct Target {
    address: SocketAddr,
    host: String,
}

impl Target {
    /// Resolves `http://HOST:PORT` once for the whole run.
    pub async fn resolve(url: &str) -> anyhow::Result<Self> {
        let uri: Uri = url.parse().with_context(|| format!("'{url}' is not a URL such as http://127.0.0.1:8080"))?;
        let Some(authority) = uri.authority().filter(|_| uri.scheme_str() == Some("http")) else {
            bail!("'{url}' is not a URL such as http://127.0.0.1:8080 (only http is spoken)");
        };
        if uri.path_and_query().is_some_and(|path| path != "/") {
            bail!("'{url}' has a path: give the scheme, host and port alone");
        }
        let host = authority.host().trim_matches(['[', ']']);
        let after_host = authority.as_str().rsplit_once('@').map_or(authority.as_str(), |(_, rest)| rest);
        let given = after_host.strip_prefix(authority.host()).and_then(|rest| rest.strip_prefix(':'));
        let port = match (authority.port_u16(), given) {
            (Some(port), _) => port,
            (None, None | Some("")) => 80,
            (None, Some(port)) => bail!("'{url}': {port} is no port from 1 to 65535"),
        };
        let address = tokio::net::lookup_host((host, port))
            .await
            .with_context(|| format!("could not find the host of '{url}'"))?
            .next()
            .with_context(|| format!("'{host}' has no address"))?;
        Ok(Target { address, host: authority.as_str().to_owned() })
    }

    /// The address it was resolved to.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

/// What all callers of a run share.
pub struct Wire {
    /// The server.
    pub target: Target,
    /// Within which a call is to be answered.
    pub timeout: Duration,
    /// How often one call is repeated.
    pub repeats: u32,
    /// Where everything is counted.
    pub recorder: Recorder,
}

/// A token, or an idempotency key: text that fits into a header.
pub type Token = Arc<str>;

/// A request, ready to be sent once or more.
#[derive(Clone)]
pub struct Ask {
    /// GET, POST, PUT, PATCH or DELETE.
    pub method: &'static str,
    /// Path and query.
    pub path: String,
    /// The bearer token.
    pub bearer: Option<Token>,
    /// `Idempotency-Key`.
    pub key: Option<Token>,
    /// `Haat-Entry`: by what its caller was let in.
    pub entry: Option<Token>,
    /// `If-Match`: the version that was read.
    pub if_match: Option<u64>,
    /// `Prefer: wait=N`: how long the server may take on top of the timeout, in seconds.
    pub wait: Option<u32>,
    /// JSON; empty for none.
    pub body: Bytes,
}

impl Ask {
    /// A GET; fails when an id makes no path.
    pub fn get(path: String, bearer: Option<&Token>) -> anyhow::Result<Self> {
        Self::with("GET", path, bearer, Bytes::new())
    }

    /// A POST of JSON.
    pub fn post(path: String, bearer: Option<&Token>, body: Bytes) -> anyhow::Result<Self> {
        Self::with("POST", path, bearer, body)
    }

    /// A PUT of JSON.
    pub fn put(path: String, bearer: Option<&Token>, body: Bytes) -> anyhow::Result<Self> {
        Self::with("PUT", path, bearer, body)
    }

    /// A PATCH of JSON.
    pub fn patch(path: String, bearer: Option<&Token>, body: Bytes) -> anyhow::Result<Self> {
        Self::with("PATCH", path, bearer, body)
    }

    /// A DELETE.
    pub fn delete(path: String, bearer: Option<&Token>) -> anyhow::Result<Self> {
        Self::with("DELETE", path, bearer, Bytes::new())
    }

    fn with(method: &'static str, path: String, bearer: Option<&Token>, body: Bytes) -> anyhow::Result<Self> {
        if !path.bytes().all(|byte| byte.is_ascii_graphic()) {
            bail!("an id that does not fit into a path");
        }
        Ok(Ask { method, path, bearer: bearer.cloned(), key: None, entry: None, if_match: None, wait: None, body })
    }
}

/// A token that goes into a header as it is.
pub fn bearer(token: &str) -> anyhow::Result<Token> {
    match !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic()) {
        true => Ok(token.into()),
        false => bail!("a token that does not fit into a header"),
    }
}

/// A whole answer.
pub struct Answer {
    /// Its status.
    pub status: u16,
    /// Its body.
    pub body: Bytes,
    /// Whether an earlier copy of this request may have reached the server.
    pub repeated: bool,
    /// `Retry-After`, in seconds.
    pub retry_after: Option<u64>,
}

/// Why there was no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Broken {
    /// No connection could be made.
    Connect,
    /// It was lost, or what came was no HTTP.
    Dropped,
    /// It took too long.
    Timeout,
}

/// A call was given up after all its repeats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GaveUp;

/// What carries a caller's requests.
pub enum Link {
    /// A connection of its own, opened from this address when it is needed.
    Http1 {
        /// While there is one.
        open: Option<Connection>,
        /// Ours; `None` is the system's choice.
        source: Option<IpAddr>,
    },
    /// A connection that others use too.
    H2c(Arc<Shared>),
}

impl Link {
    /// HTTP/1.1 from an address of the system's choice.
    pub fn plain() -> Self {
        Link::Http1 { open: None, source: None }
    }
}

/// One buyer's (or checker's) side of a connection.
pub struct Caller {
    wire: Arc<Wire>,
    /// What carries its requests.
    pub link: Link,
    random: Random,
}

impl Caller {
    /// Not connected until the first call. `stream` sets the jitter of its pauses apart from others'.
    pub fn new(wire: &Arc<Wire>, link: Link, stream: u64) -> Self {
        Caller { wire: wire.clone(), link, random: Random::of(0x6a09_e667, stream) }
    }

    /// Another connection (h2c: the same one) to the same server.
    pub fn another(&mut self) -> Self {
        let link = match &self.link {
            Link::Http1 { source, .. } => Link::Http1 { open: None, source: *source },
            Link::H2c(shared) => Link::H2c(shared.clone()),
        };
        Caller::new(&self.wire, link, self.random.next())
    }

    /// Closes the connection; the next call opens another.
    pub fn hang_up(&mut self) {
        if let Link::Http1 { open, .. } = &mut self.link {
            *open = None;
        }
    }

    /// Where this caller counts.
    pub fn recorder(&self) -> &Recorder {
        &self.wire.recorder
    }

    /// Sends until there is an answer other than 503, 429 and 504, within the bound on repeats. `due` is when it was meant to begin: its
    /// time is counted from there, however late the request could be sent and however often it was put off, for so long its buyer waited.
    ///
    /// Everything in the contract may be repeated: what changes something carries a key, or sets a value, or (a checkout)
    /// gives the same order again; a cart made twice leaves an empty one behind, which harms nobody.
    pub async fn call(&mut self, call: Call, ask: &Ask, due: Instant) -> Result<Answer, GaveUp> {
        let mut repeated = false;
        let mut put_off_last = false;
        let mut backoff = BACKOFF.0;
        self.wire.recorder.note(Call::Behind, due.elapsed());
        for attempt in 0..=self.wire.repeats {
            let (pause, told_to_wait) = match self.attempt(ask).await {
                Ok(answer) => {
                    let Some(mishap) = put_off(answer.status) else {
                        self.wire.recorder.note(call, due.elapsed());
                        return Ok(Answer { repeated, ..answer });
                    };
                    self.wire.recorder.mishap(mishap);
                    (repeated, put_off_last) = (true, true);
                    match answer.retry_after {
                        Some(after) => (Duration::from_secs(after).min(LONGEST_RETRY_AFTER), true),
                        None if mishap == Mishap::Unknown => (backoff, false),
                        None => {
                            self.wire.recorder.unexpected(&format!("{} without Retry-After", answer.status));
                            (backoff, false)
                        }
                    }
                }
                Err(broken) => {
                    self.wire.recorder.mishap(match broken {
                        Broken::Connect => Mishap::Connect,
                        Broken::Dropped => Mishap::Dropped,
                        Broken::Timeout => Mishap::Timeout,
                    });
                    repeated |= broken != Broken::Connect;
                    put_off_last = false;
                    (backoff, false)
                }
            };
            if attempt == self.wire.repeats {
                break;
            }
            // Up to half as long again, so that a crowd told the same time does not come back as one.
            tokio::time::sleep(pause.mul_f64(1.0 + self.random.unit() / 2.0)).await;
            backoff = (backoff * 2).min(BACKOFF.1);
            if told_to_wait {
                self.wire.recorder.mishap(Mishap::RepeatedAfter);
            }
        }
        self.wire.recorder.mishap(Mishap::GaveUp);
        if !put_off_last {
            self.wire.recorder.unanswered(call);
        }
        Err(GaveUp)
    }

    async fn attempt(&mut self, ask: &Ask) -> Result<Answer, Broken> {
        let limit = self.wire.timeout + Duration::from_secs(ask.wait.unwrap_or(0).into());
        let outcome = match tokio::time::timeout(limit, self.exchange(ask)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(Broken::Timeout),
        };
        if outcome.is_err() {
            self.hang_up();
        }
        outcome
    }

    async fn exchange(&mut self, ask: &Ask) -> Result<Answer, Broken> {
        let wire = &self.wire;
        let (address, host) = (wire.target.address, &*wire.target.host);
        match &mut self.link {
            Link::Http1 { open, source } => {
                // A server may close an idle connection at any time. Where that is seen before anything is sent, nothing is lost.
                let idle = open.take().filter(Connection::is_idle);
                let connection = match idle {
                    Some(connection) => connection,
                    None => {
                        let started = Instant::now();
                        let stream = dial(address, *source).await.map_err(|_| Broken::Connect)?;
                        wire.recorder.note(Call::Connect, started.elapsed());
                        Connection::over(stream)
                    }
                };
                let (answer, goes_on) = connection.exchange(ask, host).await?;
                *open = goes_on.then_some(connection);
                Ok(answer)
            }
            Link::H2c(shared) => {
                let started = Instant::now();
                let (sender, is_new) = shared.sender(address).await?;
                if is_new {
                    wire.recorder.note(Call::Connect, started.elapsed());
                }
                // On the heap: a session has its own stack of state, and most speak HTTP/1.1.
                Box::pin(h2c::exchange(sender, ask, host)).await
            }
        }
    }
}

impl Caller {
    /// Opens a stream of events behind this one, on a connection of its own or (h2c) on the one that others use too. It is tried once.
    pub async fn stream(&mut self, ask: &Ask, last_event: &str) -> Result<Response<Incoming>, Broken> {
        let (wire, timeout) = (self.wire.clone(), self.wire.timeout);
        let mut request = h2c::request(ask, &wire.target.host).map_err(|_| Broken::Dropped)?;
        request.headers_mut().insert(ACCEPT, HeaderValue::from_static("text/event-stream"));
        if !last_event.is_empty() {
            let id = last_event.parse().map_err(|_| Broken::Dropped)?;
            request.headers_mut().insert(HeaderName::from_static("last-event-id"), id);
        }
        let opening = async {
            match &self.link {
                Link::H2c(shared) => {
                    let (mut sender, _) = shared.sender(wire.target.address).await?;
                    sender.ready().await.map_err(|_| Broken::Dropped)?;
                    sender.send_request(request).await.map_err(|_| Broken::Dropped)
                }
                Link::Http1 { source, .. } => {
                    let stream = dial(wire.target.address, *source).await.map_err(|_| Broken::Connect)?;
                    let made = http1_stream::handshake(TokioIo::new(stream)).await;
                    let (mut sender, connection) = made.map_err(|_| Broken::Connect)?;
                    // It ends with the body of the answer.
                    tokio::spawn(connection);
                    let path = request.uri().path_and_query().map_or("/", |path| path.as_str()).parse();
                    *request.uri_mut() = path.map_err(|_| Broken::Dropped)?;
                    let host = wire.target.host.parse().map_err(|_| Broken::Dropped)?;
                    request.headers_mut().insert(HOST, host);
                    sender.send_request(request).await.map_err(|_| Broken::Dropped)
                }
            }
        };
        tokio::time::timeout(timeout, opening).await.unwrap_or(Err(Broken::Timeout))
    }
}

fn put_off(status: u16) -> Option<Mishap> {
    match status {
        503 => Some(Mishap::Busy),
        429 => Some(Mishap::Limited),
        504 => Some(Mishap::Unknown),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_a_plain_http_origin_is_a_target() {
        for bad in [
            "https://127.0.0.1",
            "127.0.0.1:8080",
            "http://127.0.0.1/v1",
            "",
            "http://127.0.0.1:99999",
            "http://[::1]:x",
        ] {
            assert!(Target::resolve(bad).await.is_err(), "{bad}");
        }
        let target = Target::resolve("http://127.0.0.1:8080/").await.expect("a target");
        assert_eq!(target.address, "127.0.0.1:8080".parse().expect("an address"));
    }

    #[test]
    fn what_would_break_out_of_a_head_is_refused() {
        assert!(bearer("a.b-c").is_ok());
        for bad in ["", "a b", "a\r\nx: y", "ü"] {
            assert!(bearer(bad).is_err(), "{bad}");
        }
        assert!(Ask::get("/v1/skus/a b".into(), None).is_err());
        assert!(Ask::get("/v1/skus/a\r\n".into(), None).is_err());
    }
}
