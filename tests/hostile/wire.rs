//! A connection on which any bytes can be sent: what no client library would.

use crate::support::client::Client;
use crate::target::BOUND;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// A raw connection.
pub struct Wire {
    pub stream: TcpStream,
    received: Vec<u8>,
}

/// An answer of HTTP/1.1 as it came.
#[derive(Debug)]
pub struct RawAnswer {
    pub status: u16,
    /// In lower case.
    pub head: String,
    pub body: String,
}

impl RawAnswer {
    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }

    /// The problem's code.
    pub fn code(&self) -> String {
        let body: Value = serde_json::from_str(&self.body).unwrap_or_default();
        body["code"].as_str().unwrap_or_default().to_owned()
    }

    /// Whether the other side says that it closes.
    pub fn says_close(&self) -> bool {
        self.header("connection") == Some("close")
    }
}

impl Wire {
    pub async fn connect(client: Client) -> Self {
        let stream =
            timeout(BOUND, TcpStream::connect(client.address())).await.expect("in time").expect("a connection");
        stream.set_nodelay(true).expect("a socket");
        Self { stream, received: Vec::new() }
    }

    /// A connection on which this was sent.
    pub async fn with(client: Client, bytes: impl AsRef<[u8]>) -> Self {
        let mut wire = Self::connect(client).await;
        wire.send(bytes).await;
        wire
    }

    /// Sends; a connection that the other side has closed takes nothing, which is seen when it is read.
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        let _ = timeout(BOUND, self.stream.write_all(bytes.as_ref())).await.expect("taken in time");
    }

    /// Says that no more comes, and goes on reading.
    pub async fn half_close(&mut self) {
        self.stream.shutdown().await.expect("a socket");
    }

    /// More bytes; `false` at the end, which a reset is too.
    async fn more(&mut self) -> bool {
        let mut buffer = [0; 16 * 1024];
        match timeout(BOUND, self.stream.read(&mut buffer)).await.expect("something comes in time") {
            Ok(0) | Err(_) => false,
            Ok(count) => {
                self.received.extend_from_slice(&buffer[..count]);
                true
            }
        }
    }

    /// So many bytes; `None` when the connection ends before.
    pub async fn exactly(&mut self, count: usize) -> Option<Vec<u8>> {
        while self.received.len() < count {
            if !self.more().await {
                return None;
            }
        }
        Some(self.received.drain(..count).collect())
    }

    /// The next answer; `None` when the connection ends before.
    pub async fn next_answer(&mut self) -> Option<RawAnswer> {
        let end = loop {
            let found = self.received.windows(4).position(|four| four == b"\r\n\r\n");
            match found {
                Some(end) => break end + 4,
                None if self.more().await => {}
                None => return None,
            }
        };
        let head = self.exactly(end).await?;
        let head = String::from_utf8(head).expect("a head is ASCII").to_ascii_lowercase();
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
        let mut answer = RawAnswer { status, head, body: String::new() };
        let length = answer.header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
        let body = self.exactly(length).await?;
        answer.body = String::from_utf8(body).expect("text");
        Some(answer)
    }

    /// The next answer, which must come.
    pub async fn answer(&mut self) -> RawAnswer {
        self.next_answer().await.expect("an answer before the connection ends")
    }

    /// All answers until the other side closes, which it must.
    pub async fn answers_until_closed(&mut self) -> Vec<RawAnswer> {
        let mut answers = Vec::new();
        while let Some(answer) = self.next_answer().await {
            answers.push(answer);
        }
        assert!(self.received.is_empty(), "half an answer: {:?}", String::from_utf8_lossy(&self.received));
        answers
    }

    /// Reads and forgets until the other side closes, which it must.
    pub async fn closed(&mut self) {
        while self.more().await {
            self.received.clear();
        }
    }

    /// Whether the other side has closed already.
    pub fn is_closed(&self) -> bool {
        match self.stream.try_read(&mut [0; 1]) {
            Ok(count) => count == 0,
            Err(error) => error.kind() != std::io::ErrorKind::WouldBlock,
        }
    }
}

/// A request of HTTP/1.1 with a body of JSON.
pub fn request(method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> String {
    let mut text = format!("{method} {path} HTTP/1.1\r\nhost: x\r\n");
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    if !body.is_empty() {
        text.push_str(&format!("content-type: application/json\r\ncontent-length: {}\r\n", body.len()));
    }
    text + "\r\n" + body
}
