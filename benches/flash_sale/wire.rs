//! One HTTP/1.1 keep-alive connection, as cheap as it can be had: the client shares the machine with what it measures. It knows just
//! what the servers of this bench send: a status and a body with a length.

use anyhow::{Context as _, bail};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// An answer beyond this is an error, in bytes.
const MOST_ANSWER: usize = 16 << 20;
/// What stands between the head and the body.
const HEAD_END: &[u8] = b"\r\n\r\n";

/// A request.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// GET, POST or PUT.
    pub method: &'a str,
    /// Path and query.
    pub path: &'a str,
    /// The bearer token.
    pub bearer: Option<&'a str>,
    /// Seconds of `Prefer: wait`.
    pub wait: Option<u32>,
    /// JSON; empty for none.
    pub body: &'a [u8],
}

/// A connection; it serves one request at a time.
pub struct Connection {
    stream: TcpStream,
    host: String,
    out: Vec<u8>,
    inbox: Vec<u8>,
}

/// A whole answer; its body is the connection's until the next request.
pub struct Answer<'a> {
    /// Its status.
    pub status: u16,
    /// Its body.
    pub body: &'a [u8],
}

impl Connection {
    /// Connects, within ten seconds.
    pub async fn open(address: SocketAddr) -> anyhow::Result<Self> {
        let connect = tokio::time::timeout(Duration::from_secs(10), TcpStream::connect(address));
        let stream = connect.await.context("no connection in time")?.context("could not connect")?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, host: address.to_string(), out: Vec::with_capacity(1024), inbox: Vec::with_capacity(4096) })
    }

    /// Sends a request and waits for the whole answer, for a minute at most: an answer that never comes is what a run looks for.
    pub async fn call(&mut self, request: Request<'_>) -> anyhow::Result<Answer<'_>> {
        tokio::time::timeout(Duration::from_secs(60), self.exchange(request)).await.context("no answer in time")?
    }

    async fn exchange(&mut self, request: Request<'_>) -> anyhow::Result<Answer<'_>> {
        self.write(request);
        self.stream.write_all(&self.out).await.context("a connection broke")?;
        self.inbox.clear();
        let (status, body) = loop {
            if self.stream.read_buf(&mut self.inbox).await.context("a connection broke")? == 0 {
                bail!("a connection was closed before its answer");
            }
            if let Some((status, start, length)) = head(&self.inbox)? {
                while self.inbox.len() < start + length {
                    if self.stream.read_buf(&mut self.inbox).await.context("a connection broke")? == 0 {
                        bail!("a connection was closed within its answer");
                    }
                }
                break (status, start..start + length);
            }
        };
        Ok(Answer { status, body: &self.inbox[body] })
    }

    fn write(&mut self, request: Request<'_>) {
        self.out.clear();
        let mut put = |parts: &[&[u8]]| parts.iter().for_each(|part| self.out.extend_from_slice(part));
        put(&[request.method.as_bytes(), b" ", request.path.as_bytes(), b" HTTP/1.1\r\nhost: ", self.host.as_bytes()]);
        if let Some(bearer) = request.bearer {
            put(&[b"\r\nauthorization: Bearer ", bearer.as_bytes()]);
        }
        if let Some(wait) = request.wait {
            put(&[b"\r\nprefer: wait=", wait.to_string().as_bytes()]);
        }
        if !request.body.is_empty() {
            put(&[b"\r\ncontent-type: application/json\r\ncontent-length: "]);
            put(&[request.body.len().to_string().as_bytes()]);
        }
        put(&[HEAD_END, request.body]);
    }
}

/// The status, where the body begins, and its length; `None` while the head is not whole.
pub fn head(bytes: &[u8]) -> anyhow::Result<Option<(u16, usize, usize)>> {
    let Some(end) = bytes.windows(HEAD_END.len()).position(|window| window == HEAD_END) else {
        if bytes.len() > MOST_ANSWER {
            bail!("a head that does not end");
        }
        return Ok(None);
    };
    let head = std::str::from_utf8(&bytes[..end]).context("a head that is no text")?;
    let mut lines = head.split("\r\n");
    let status = lines.next().and_then(|line| line.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok());
    let status = status.context("an answer without a status")?;
    let length = lines.find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
    });
    let length = length.context("an answer without a length")?;
    if length > MOST_ANSWER {
        bail!("an answer of {length} bytes");
    }
    Ok(Some((status, end + HEAD_END.len(), length)))
}
