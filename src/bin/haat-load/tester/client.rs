//! One HTTP/1.1 keep-alive connection, and calls over it that are repeated as the contract allows.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use bytes::{Bytes, BytesMut};
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST, HeaderName, RETRY_AFTER};
use http::{HeaderValue, Method, Request, StatusCode, Uri};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::stats::{Call, Tally, Timings};
use super::values::Random;

/// An answer larger than this is an error: nothing in the contract is.
const MOST_BODY: usize = 4 << 20;
/// `Retry-After` beyond this is cut short, so that a run stays bounded.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(10);
/// Pauses before repeating a request whose connection was lost double from the first to the last of these.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));

/// Where requests go.
pub struct Target {
    address: SocketAddr,
    host: HeaderValue,
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
        let port = authority.port_u16().unwrap_or(80);
        let address = tokio::net::lookup_host((host, port))
            .await
            .with_context(|| format!("could not find the host of '{url}'"))?
            .next()
            .with_context(|| format!("'{host}' has no address"))?;
        Ok(Target { address, host: HeaderValue::from_str(authority.as_str())? })
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
    /// Where errors are counted.
    pub tally: Arc<Tally>,
}

/// A request, ready to be sent once or more.
#[derive(Clone)]
pub struct Ask {
    /// GET, POST or PUT.
    pub method: Method,
    /// Path and query.
    pub path: Uri,
    /// The whole `Authorization` header.
    pub bearer: Option<HeaderValue>,
    /// `Idempotency-Key`.
    pub key: Option<HeaderValue>,
    /// `Prefer: wait=N`: how long the server may take on top of the timeout, in seconds.
    pub wait: Option<u32>,
    /// JSON; empty for none.
    pub body: Bytes,
}

impl Ask {
    /// A GET; fails when an id makes no path.
    pub fn get(path: String, bearer: Option<&HeaderValue>) -> anyhow::Result<Self> {
        Self::with(Method::GET, path, bearer, Bytes::new())
    }

    /// A POST of JSON.
    pub fn post(path: String, bearer: Option<&HeaderValue>, body: Bytes) -> anyhow::Result<Self> {
        Self::with(Method::POST, path, bearer, body)
    }

    /// A PUT of JSON.
    pub fn put(path: String, bearer: Option<&HeaderValue>, body: Bytes) -> anyhow::Result<Self> {
        Self::with(Method::PUT, path, bearer, body)
    }

    fn with(method: Method, path: String, bearer: Option<&HeaderValue>, body: Bytes) -> anyhow::Result<Self> {
        let uri = Uri::try_from(path).context("an id that does not fit into a path")?;
        Ok(Ask { method, path: uri, bearer: bearer.cloned(), key: None, wait: None, body })
    }

    fn request(&self, host: &HeaderValue) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(self.body.clone()));
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = self.path.clone();
        let headers = request.headers_mut();
        headers.insert(HOST, host.clone());
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        if !self.body.is_empty() {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        if let Some(bearer) = &self.bearer {
            headers.insert(AUTHORIZATION, bearer.clone());
        }
        if let Some(key) = &self.key {
            headers.insert(HeaderName::from_static("idempotency-key"), key.clone());
        }
        if let Some(wait) = self.wait
            && let Ok(prefer) = HeaderValue::from_maybe_shared(Bytes::from(format!("wait={wait}")))
        {
            headers.insert(HeaderName::from_static("prefer"), prefer);
        }
        request
    }
}

/// A bearer token as a header.
pub fn bearer(token: &str) -> anyhow::Result<HeaderValue> {
    let mut value = HeaderValue::from_maybe_shared(Bytes::from(format!("Bearer {token}")))
        .context("a token that does not fit into a header")?;
    value.set_sensitive(true);
    Ok(value)
}

/// A whole answer.
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// Its body.
    pub body: Bytes,
    /// Whether an earlier copy of this request may have reached the server.
    pub repeated: bool,
    retry_after: Option<Duration>,
}

enum Broken {
    Connect,
    Dropped,
    Timeout,
}

/// A call was given up after all its repeats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GaveUp;

/// One buyer's (or checker's) side of one connection.
pub struct Caller {
    wire: Arc<Wire>,
    timings: Arc<Timings>,
    sender: Option<SendRequest<Full<Bytes>>>,
    random: Random,
}

impl Caller {
    /// Not connected until the first call. `stream` sets the jitter of its pauses apart from others'.
    pub fn new(wire: &Arc<Wire>, timings: &Arc<Timings>, stream: u64) -> Self {
        Caller { wire: wire.clone(), timings: timings.clone(), sender: None, random: Random::of(0x6a09_e667, stream) }
    }

    /// Another connection to the same server, counted in the same places.
    pub fn another(&mut self) -> Self {
        Caller::new(&self.wire, &self.timings, self.random.next())
    }

    /// Closes the connection; the next call opens another.
    pub fn hang_up(&mut self) {
        self.sender = None;
    }

    /// Where this caller counts errors.
    pub fn tally(&self) -> &Tally {
        &self.wire.tally
    }

    /// Notes a time that is no call of its own.
    pub fn note(&self, call: Call, took: Duration) {
        self.timings.note(call, took);
    }

    /// Sends until there is an answer other than 503, 429 and 504, within the bound on repeats.
    ///
    /// Everything in the contract may be repeated: what changes something carries a key, or sets a value, or (a checkout)
    /// gives the same order again; a cart made twice leaves an empty one behind, which harms nobody.
    pub async fn call(&mut self, call: Call, ask: &Ask) -> Result<Answer, GaveUp> {
        let mut repeated = false;
        let mut backoff = BACKOFF.0;
        for attempt in 0..=self.wire.repeats {
            let wire = self.wire.clone();
            let tally = &wire.tally;
            let (pause, told_to_wait) = match self.attempt(call, ask).await {
                Ok(answer) => {
                    let count = match answer.status {
                        StatusCode::SERVICE_UNAVAILABLE => &tally.busy,
                        StatusCode::TOO_MANY_REQUESTS => &tally.limited,
                        StatusCode::GATEWAY_TIMEOUT => &tally.unknown,
                        _ => return Ok(Answer { repeated, ..answer }),
                    };
                    count.add();
                    repeated = true;
                    match answer.retry_after {
                        Some(after) => (after.min(LONGEST_RETRY_AFTER), true),
                        None if answer.status == StatusCode::GATEWAY_TIMEOUT => (backoff, false),
                        None => {
                            tally.unexpected.add(format!("{} without Retry-After", answer.status.as_u16()));
                            (backoff, false)
                        }
                    }
                }
                Err(broken) => {
                    match broken {
                        Broken::Connect => tally.connect.add(),
                        Broken::Dropped => tally.dropped.add(),
                        Broken::Timeout => tally.timeout.add(),
                    }
                    repeated |= !matches!(broken, Broken::Connect);
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
                tally.repeated_after.add();
            }
        }
        self.wire.tally.gave_up.add();
        Err(GaveUp)
    }

    async fn attempt(&mut self, call: Call, ask: &Ask) -> Result<Answer, Broken> {
        let limit = self.wire.timeout + Duration::from_secs(ask.wait.unwrap_or(0).into());
        let outcome = match tokio::time::timeout(limit, self.exchange(call, ask)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(Broken::Timeout),
        };
        if outcome.is_err() {
            self.sender = None;
        }
        outcome
    }

    async fn exchange(&mut self, call: Call, ask: &Ask) -> Result<Answer, Broken> {
        let mut request = ask.request(&self.wire.target.host);
        // A server may close an idle connection at any time. As long as hyper hands the request back, nothing was sent.
        for _ in 0..2 {
            let mut sender = self.sender().await?;
            let started = Instant::now();
            match sender.try_send_request(request).await {
                Ok(response) => {
                    let answer = read(response).await?;
                    if !is_put_off(answer.status) {
                        self.timings.note(call, started.elapsed());
                    }
                    self.sender = Some(sender);
                    return Ok(answer);
                }
                Err(mut error) => match error.take_message() {
                    Some(unsent) => request = unsent,
                    None => return Err(Broken::Dropped),
                },
            }
        }
        Err(Broken::Dropped)
    }

    /// The open connection, or a new one; taken out, so that a future dropped half-way closes it.
    async fn sender(&mut self) -> Result<SendRequest<Full<Bytes>>, Broken> {
        if let Some(mut sender) = self.sender.take()
            && sender.ready().await.is_ok()
        {
            return Ok(sender);
        }
        let started = Instant::now();
        let stream = TcpStream::connect(self.wire.target.address).await.map_err(|_| Broken::Connect)?;
        stream.set_nodelay(true).map_err(|_| Broken::Connect)?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(|_| Broken::Connect)?;
        // Ends when the sender is dropped; its error is also that of the request under way.
        tokio::spawn(connection);
        self.timings.note(Call::Connect, started.elapsed());
        Ok(sender)
    }
}

fn is_put_off(status: StatusCode) -> bool {
    matches!(status.as_u16(), 429 | 503 | 504)
}

async fn read(response: http::Response<Incoming>) -> Result<Answer, Broken> {
    let (head, mut incoming) = response.into_parts();
    let mut first = Bytes::new();
    let mut rest = BytesMut::new();
    while let Some(frame) = incoming.frame().await {
        let Ok(data) = frame.map_err(|_| Broken::Dropped)?.into_data() else {
            continue;
        };
        if first.is_empty() && rest.is_empty() {
            first = data;
        } else {
            if rest.is_empty() {
                rest.extend_from_slice(&first);
            }
            if rest.len() + data.len() > MOST_BODY {
                return Err(Broken::Dropped);
            }
            rest.extend_from_slice(&data);
        }
    }
    Ok(Answer {
        status: head.status,
        body: if rest.is_empty() { first } else { rest.freeze() },
        repeated: false,
        retry_after: retry_after(head.headers.get(RETRY_AFTER)),
    })
}

fn retry_after(header: Option<&HeaderValue>) -> Option<Duration> {
    let seconds = header?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_read_in_seconds() {
        let read = |text| retry_after(Some(&HeaderValue::from_static(text)));
        assert_eq!(read("2"), Some(Duration::from_secs(2)));
        assert_eq!(read("soon"), None);
        assert_eq!(retry_after(None), None);
    }

    #[test]
    fn a_request_carries_what_the_contract_asks_for() {
        let guest = bearer("t").expect("a header");
        let mut ask =
            Ask::post("/v1/carts/cart_1/checkout".into(), Some(&guest), Bytes::from_static(b"{}")).expect("a path");
        ask.wait = Some(5);
        ask.key = Some(HeaderValue::from_static("k"));
        let request = ask.request(&HeaderValue::from_static("shop:80"));
        let header = |name| request.headers().get(name).and_then(|v| v.to_str().ok());
        assert_eq!(header("host"), Some("shop:80"));
        assert_eq!(header("authorization"), Some("Bearer t"));
        assert_eq!(header("idempotency-key"), Some("k"));
        assert_eq!(header("prefer"), Some("wait=5"));
        assert_eq!(header("content-type"), Some("application/json"));
        assert_eq!(request.uri(), "/v1/carts/cart_1/checkout");
    }

    #[tokio::test]
    async fn only_a_plain_http_origin_is_a_target() {
        for bad in ["https://127.0.0.1", "127.0.0.1:8080", "http://127.0.0.1/v1", ""] {
            assert!(Target::resolve(bad).await.is_err(), "{bad}");
        }
        let target = Target::resolve("http://127.0.0.1:8080/").await.expect("a target");
        assert_eq!(target.address, "127.0.0.1:8080".parse().expect("an address"));
    }
}
