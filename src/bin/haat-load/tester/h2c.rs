//! HTTP/2 without TLS: one connection for several sessions, opened when the first of them asks.

use std::net::{IpAddr, SocketAddr};

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderName, IF_MATCH, RETRY_AFTER};
use http::{HeaderValue, Request};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::sync::Mutex;

use super::client::{Answer, Ask, Broken};
use super::http1::dial;

/// An answer larger than this is an error: nothing in the contract is.
const MOST_BODY: usize = 4 << 20;

/// A connection that sessions share.
pub struct Shared {
    source: Option<IpAddr>,
    sender: Mutex<Option<SendRequest<Full<Bytes>>>>,
}

impl Shared {
    /// Not connected yet.
    pub fn new(source: Option<IpAddr>) -> Self {
        Shared { source, sender: Mutex::new(None) }
    }

    /// A handle on the open connection, and whether it was made for this.
    pub async fn sender(&self, target: SocketAddr) -> Result<(SendRequest<Full<Bytes>>, bool), Broken> {
        let mut sender = self.sender.lock().await;
        if let Some(open) = &*sender
            && !open.is_closed()
        {
            return Ok((open.clone(), false));
        }
        let stream = dial(target, self.source).await.map_err(|_| Broken::Connect)?;
        let handshake = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await;
        let (made, connection) = handshake.map_err(|_| Broken::Connect)?;
        // Ends when the last sender is dropped; its error is also that of the requests under way.
        tokio::spawn(connection);
        *sender = Some(made.clone());
        Ok((made, true))
    }
}

/// Sends one request and reads its answer.
pub async fn exchange(mut sender: SendRequest<Full<Bytes>>, ask: &Ask, host: &str) -> Result<Answer, Broken> {
    let request = request(ask, host).map_err(|_| Broken::Dropped)?;
    sender.ready().await.map_err(|_| Broken::Dropped)?;
    let response = sender.send_request(request).await.map_err(|_| Broken::Dropped)?;
    let (head, body) = response.into_parts();
    let body = Limited::new(body, MOST_BODY).collect().await.map_err(|_| Broken::Dropped)?.to_bytes();
    let retry_after = head.headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.trim().parse().ok());
    Ok(Answer { status: head.status.as_u16(), body, repeated: false, retry_after })
}

/// The request, as `hyper` sends it.
pub fn request(ask: &Ask, host: &str) -> anyhow::Result<Request<Full<Bytes>>> {
    let mut request = Request::new(Full::new(ask.body.clone()));
    *request.method_mut() = ask.method.parse()?;
    *request.uri_mut() = format!("http://{host}{}", ask.path).parse()?;
    let headers = request.headers_mut();
    headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    if !ask.body.is_empty() {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    if let Some(bearer) = &ask.bearer {
        headers.insert(AUTHORIZATION, format!("Bearer {bearer}").parse()?);
    }
    if let Some(key) = &ask.key {
        headers.insert(HeaderName::from_static("idempotency-key"), key.parse()?);
    }
    if let Some(entry) = &ask.entry {
        headers.insert(HeaderName::from_static("haat-entry"), entry.parse()?);
    }
    if let Some(version) = ask.if_match {
        headers.insert(IF_MATCH, format!("\"{version}\"").parse()?);
    }
    if let Some(wait) = ask.wait {
        headers.insert(HeaderName::from_static("prefer"), format!("wait={wait}").parse()?);
    }
    Ok(request)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn a_request_carries_what_the_contract_asks_for() {
        let mut ask = Ask::post("/v1/carts/cart_1/checkout".into(), Some(&Arc::from("t")), Bytes::from_static(b"{}"))
            .expect("a path");
        ask.wait = Some(5);
        ask.key = Some("k".into());
        ask.entry = Some("e".into());
        ask.if_match = Some(3);
        let request = request(&ask, "shop:80").expect("a request");
        let header = |name| request.headers().get(name).and_then(|value| value.to_str().ok());
        assert_eq!(request.uri(), "http://shop:80/v1/carts/cart_1/checkout");
        assert_eq!((header("authorization"), header("idempotency-key")), (Some("Bearer t"), Some("k")));
        assert_eq!((header("haat-entry"), header("if-match")), (Some("e"), Some("\"3\"")));
        assert_eq!((header("prefer"), header("content-type")), (Some("wait=5"), Some("application/json")));
    }
}
