//! An HTTP/1.1 keep-alive connection that costs no more than its socket while nothing is on it: tens of thousands wait in one
//! process, each for its buyer to think. Bytes are read into a buffer that all connections of a thread share; only what has come in part is
//! kept. Heads and chunk sizes are parsed by `httparse`.

use std::cell::RefCell;
use std::io::{self, ErrorKind, Write as _};
use std::net::{IpAddr, SocketAddr};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};

use bytes::Bytes;
use tokio::net::{TcpSocket, TcpStream};

use super::client::{Answer, Ask, Broken};

/// An answer larger than this is an error: nothing in the contract is.
const MOST_BODY: usize = 4 << 20;
/// A head with more lines is an error.
const MOST_HEADERS: usize = 64;
/// Read at once.
const BUFFER: usize = 64 << 10;

thread_local! {
    static INCOMING: RefCell<Vec<u8>> = RefCell::new(vec![0; BUFFER]);
    static OUTGOING: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Connects, from this address of ours where one is given.
pub async fn dial(target: SocketAddr, source: Option<IpAddr>) -> io::Result<TcpStream> {
    let connect = async |from: Option<SocketAddr>| {
        let socket = match target {
            SocketAddr::V4(_) => TcpSocket::new_v4()?,
            SocketAddr::V6(_) => TcpSocket::new_v6()?,
        };
        if let Some(from) = from {
            // A server that wants to listen on the same port of all addresses still may.
            socket.set_reuseaddr(true)?;
            socket.bind(from)?;
        }
        let stream = socket.connect(target).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    };
    let Some(source) = source else { return connect(None).await };
    for _ in 0..PORTS_TRIED {
        match connect(Some(SocketAddr::new(source, PORTS.next()))).await {
            // Another process of ours has it, or a connection that has ended still rests there.
            Err(error) if matches!(error.kind(), ErrorKind::AddrInUse | ErrorKind::AddrNotAvailable) => {}
            other => return other,
        }
    }
    connect(Some(SocketAddr::new(source, 0))).await
}

/// Ports tried before it is left to the system to find one.
const PORTS_TRIED: usize = 256;
/// The ports that a system gives out where it does not say which.
const USUAL_PORTS: (u16, u16) = (32_768, 60_999);
/// Below are those of services.
const LOWEST_PORT: u16 = 10_000;

/// The ports that connections from a given address are made from: those that the system does not give out itself. Asked for any port of an
/// address, Linux looks at one after the other, and where half of them are taken that costs milliseconds each time: more than all the rest of a
/// session. And a port that is bound on one address is given to nobody on any other, so a crowd would leave none to a gateway beside it.
struct Ports {
    /// First and last of each range.
    ranges: Vec<(u16, u16)>,
    next: AtomicU32,
}

static PORTS: LazyLock<Ports> = LazyLock::new(|| {
    let given_out = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
    // Processes that were started one after the other begin far from each other.
    Ports::beside(&given_out, std::process::id().wrapping_mul(2_654_435_769))
});

impl Ports {
    fn beside(given_out: &str, start: u32) -> Self {
        let mut ends = given_out.split_whitespace().map(str::parse);
        let (first, last) = match (ends.next(), ends.next()) {
            (Some(Ok(first)), Some(Ok(last))) if 0 < first && first <= last => (first, last),
            _ => USUAL_PORTS,
        };
        let mut ranges = Vec::new();
        if first > LOWEST_PORT {
            ranges.push((LOWEST_PORT, first - 1));
        }
        if last < u16::MAX {
            ranges.push((last.max(LOWEST_PORT) + 1, u16::MAX));
        }
        if ranges.is_empty() {
            ranges.push((first, last));
        }
        Ports { ranges, next: AtomicU32::new(start) }
    }

    fn next(&self) -> u16 {
        let count = |(first, last): &(u16, u16)| u32::from(last - first) + 1;
        let all: u32 = self.ranges.iter().map(count).sum();
        let mut place = self.next.fetch_add(1, Ordering::Relaxed) % all;
        for range in &self.ranges {
            if place < count(range) {
                return range.0 + place as u16;
            }
            place -= count(range);
        }
        0
    }
}

/// One open connection.
pub struct Connection(TcpStream);

impl Connection {
    /// Over a socket that is connected.
    pub fn over(stream: TcpStream) -> Self {
        Connection(stream)
    }

    /// Whether the server has neither closed it nor said anything unasked.
    pub fn is_idle(&self) -> bool {
        let mut byte = [0];
        matches!(self.0.try_read(&mut byte), Err(error) if error.kind() == ErrorKind::WouldBlock)
    }

    /// Sends one request and reads its answer, and whether the connection can carry another.
    pub async fn exchange(&self, ask: &Ask, host: &str) -> Result<(Answer, bool), Broken> {
        let rest = OUTGOING.with_borrow_mut(|out| {
            out.clear();
            write_request(out, ask, host);
            match self.0.try_write(out) {
                Ok(sent) if sent == out.len() => Ok(Vec::new()),
                Ok(sent) => Ok(out[sent..].to_vec()),
                Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(out.clone()),
                Err(_) => Err(Broken::Dropped),
            }
        })?;
        if !rest.is_empty() {
            self.send(&rest).await?;
        }
        self.receive().await
    }

    async fn send(&self, mut rest: &[u8]) -> Result<(), Broken> {
        while !rest.is_empty() {
            self.0.writable().await.map_err(|_| Broken::Dropped)?;
            match self.0.try_write(rest) {
                Ok(sent) => rest = &rest[sent..],
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(_) => return Err(Broken::Dropped),
            }
        }
        Ok(())
    }

    async fn receive(&self) -> Result<(Answer, bool), Broken> {
        let mut partial: Vec<u8> = Vec::new();
        // Until so much is here it is no use to look again.
        let mut wanted = 1;
        loop {
            self.0.readable().await.map_err(|_| Broken::Dropped)?;
            let parsed = INCOMING.with_borrow_mut(|buffer| {
                let count = match self.0.try_read(buffer) {
                    Ok(count) => count,
                    Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
                    Err(_) => return Err(Broken::Dropped),
                };
                let closed = count == 0;
                if partial.is_empty() {
                    let parsed = parse(&buffer[..count], closed)?;
                    if matches!(parsed, Parsed::Wants(_)) {
                        partial.extend_from_slice(&buffer[..count]);
                    }
                    return Ok(Some(parsed));
                }
                partial.extend_from_slice(&buffer[..count]);
                match partial.len() < wanted && !closed {
                    true => Ok(None),
                    false => parse(&partial, closed).map(Some),
                }
            })?;
            match parsed {
                Some(Parsed::Whole(answer, goes_on)) => return Ok((answer, goes_on)),
                Some(Parsed::Wants(more)) => wanted = more,
                None => {}
            }
        }
    }
}

fn write_request(out: &mut Vec<u8>, ask: &Ask, host: &str) {
    // Writing to memory does not fail.
    let _ = write!(out, "{} {} HTTP/1.1\r\nhost: {host}\r\naccept: application/json\r\n", ask.method, ask.path);
    if let Some(bearer) = &ask.bearer {
        let _ = write!(out, "authorization: Bearer {bearer}\r\n");
    }
    if let Some(key) = &ask.key {
        let _ = write!(out, "idempotency-key: {key}\r\n");
    }
    if let Some(entry) = &ask.entry {
        let _ = write!(out, "haat-entry: {entry}\r\n");
    }
    if let Some(version) = ask.if_match {
        let _ = write!(out, "if-match: \"{version}\"\r\n");
    }
    if let Some(wait) = ask.wait {
        let _ = write!(out, "prefer: wait={wait}\r\n");
    }
    if !ask.body.is_empty() {
        let _ = write!(out, "content-type: application/json\r\ncontent-length: {}\r\n", ask.body.len());
    }
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(&ask.body);
}

enum Parsed {
    /// An answer, and whether the connection goes on.
    Whole(Answer, bool),
    /// At least so many bytes in all.
    Wants(usize),
}

/// How a body ends.
enum Length {
    Known(usize),
    Chunked,
    UntilClosed,
}

fn parse(bytes: &[u8], closed: bool) -> Result<Parsed, Broken> {
    let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
    let mut head = httparse::Response::new(&mut headers);
    let wants = |count: usize| match closed {
        true => Err(Broken::Dropped),
        false if count > MOST_BODY => Err(Broken::Dropped),
        false => Ok(Parsed::Wants(count)),
    };
    let begin = match head.parse(bytes) {
        Ok(httparse::Status::Complete(begin)) => begin,
        Ok(httparse::Status::Partial) => return wants(bytes.len() + 1),
        Err(_) => return Err(Broken::Dropped),
    };
    let status = head.code.ok_or(Broken::Dropped)?;
    if (100..200).contains(&status) {
        return match parse(&bytes[begin..], closed)? {
            Parsed::Wants(count) => wants(begin + count),
            whole => Ok(whole),
        };
    }
    let mut goes_on = head.version == Some(1);
    let mut length = Length::UntilClosed;
    let mut retry_after = None;
    for header in head.headers.iter() {
        let value = std::str::from_utf8(header.value).unwrap_or_default().trim();
        let named = |name: &str| header.name.eq_ignore_ascii_case(name);
        if named("content-length") && !matches!(length, Length::Chunked) {
            length = Length::Known(value.parse().map_err(|_| Broken::Dropped)?);
        } else if named("transfer-encoding") && value.eq_ignore_ascii_case("chunked") {
            length = Length::Chunked;
        } else if named("connection") && value.eq_ignore_ascii_case("close") {
            goes_on = false;
        } else if named("retry-after") {
            retry_after = value.parse().ok();
        }
    }
    if matches!(status, 204 | 304) {
        length = Length::Known(0);
    }
    let whole = |body: Bytes, used: usize, goes_on: bool| {
        // Bytes that nobody asked for would be taken for the next answer.
        let answer = Answer { status, body, repeated: false, retry_after };
        Parsed::Whole(answer, goes_on && used == bytes.len())
    };
    let rest = &bytes[begin..];
    match length {
        Length::Known(length) if rest.len() < length => wants(begin.saturating_add(length)),
        Length::Known(length) => Ok(whole(Bytes::copy_from_slice(&rest[..length]), begin + length, goes_on)),
        Length::Chunked => match unchunk(rest)? {
            Some((body, used)) => Ok(whole(body.into(), begin + used, goes_on)),
            None => wants(bytes.len() + 1),
        },
        Length::UntilClosed if closed => Ok(whole(Bytes::copy_from_slice(rest), bytes.len(), false)),
        Length::UntilClosed => wants(bytes.len() + 1),
    }
}

/// The body of all chunks and how long they are with their framing; `None` while some are missing. Trailers are passed over.
fn unchunk(bytes: &[u8]) -> Result<Option<(Vec<u8>, usize)>, Broken> {
    let mut body = Vec::new();
    let mut at = 0;
    loop {
        let (begin, size) = match httparse::parse_chunk_size(&bytes[at..]) {
            Ok(httparse::Status::Complete((begin, size))) => (at + begin, size as usize),
            Ok(httparse::Status::Partial) => return Ok(None),
            Err(_) => return Err(Broken::Dropped),
        };
        if size == 0 {
            let mut none = [httparse::EMPTY_HEADER; MOST_HEADERS];
            return match httparse::parse_headers(&bytes[begin..], &mut none) {
                Ok(httparse::Status::Complete((end, _))) => Ok(Some((body, begin + end))),
                Ok(httparse::Status::Partial) => Ok(None),
                Err(_) => Err(Broken::Dropped),
            };
        }
        if size > MOST_BODY || body.len() + size > MOST_BODY {
            return Err(Broken::Dropped);
        }
        let end = begin + size;
        match bytes.get(end..end + 2) {
            None => return Ok(None),
            Some(b"\r\n") => body.extend_from_slice(&bytes[begin..end]),
            Some(_) => return Err(Broken::Dropped),
        }
        at = end + 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    fn whole(text: &str, closed: bool) -> Option<(u16, String, bool)> {
        match parse(text.as_bytes(), closed) {
            Ok(Parsed::Whole(answer, goes_on)) => {
                Some((answer.status, String::from_utf8_lossy(&answer.body).into_owned(), goes_on))
            }
            _ => None,
        }
    }

    #[test]
    fn ports_are_those_that_the_system_does_not_give_out_in_turn() {
        let ports = Ports::beside("10002 65533\n", 7);
        assert_eq!([(); 5].map(|()| ports.next()), [65_535, 10_000, 10_001, 65_534, 65_535]);
        for unknown in ["", "0 0", "5 4", "a b"] {
            assert_eq!(Ports::beside(unknown, 0).ranges, [(LOWEST_PORT, 32_767), (61_000, 65_535)], "{unknown}");
        }
        assert_eq!(Ports::beside("1024 65535", 0).next(), 1_024);
        assert_eq!(Ports::beside("1024 5000", 0).next(), LOWEST_PORT + 1);
    }

    #[tokio::test]
    async fn a_port_that_is_taken_is_passed_over() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let target = listener.local_addr().expect("an address");
        let source: IpAddr = "127.0.0.9".parse().expect("an address");
        let first = dial(target, Some(source)).await.expect("a connection");
        // The same again.
        PORTS.next.fetch_sub(1, Ordering::Relaxed);
        let second = dial(target, Some(source)).await.expect("a connection");
        let (first, second) = (first.local_addr().expect("one"), second.local_addr().expect("one"));
        assert_eq!((first.ip(), second.ip()), (source, source));
        assert_ne!(first.port(), second.port());
    }

    #[test]
    fn a_request_carries_what_the_contract_asks_for() {
        let mut ask = Ask::post("/v1/carts/cart_1/checkout".into(), Some(&Arc::from("t")), Bytes::from_static(b"{}"))
            .expect("a path");
        ask.wait = Some(5);
        ask.key = Some("k".into());
        let mut out = Vec::new();
        write_request(&mut out, &ask, "shop:80");
        assert_eq!(
            String::from_utf8_lossy(&out),
            "POST /v1/carts/cart_1/checkout HTTP/1.1\r\nhost: shop:80\r\naccept: application/json\r\n\
             authorization: Bearer t\r\nidempotency-key: k\r\nprefer: wait=5\r\n\
             content-type: application/json\r\ncontent-length: 2\r\n\r\n{}"
        );
    }

    #[test]
    fn an_answer_is_whole_at_its_last_byte_and_not_before() {
        for (text, body) in [
            ("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody", "body"),
            ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nbo\r\n2;x=y\r\ndy\r\n0\r\n\r\n", "body"),
            ("HTTP/1.1 204 No Content\r\n\r\n", ""),
            ("HTTP/1.1 103 Early\r\nx: y\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nb", "b"),
        ] {
            for end in 0..text.len() {
                assert!(
                    matches!(parse(&text.as_bytes()[..end], false), Ok(Parsed::Wants(n)) if n > end),
                    "{end} of {text}"
                );
                assert!(parse(&text.as_bytes()[..end], true).is_err(), "closed at {end} of {text}");
            }
            let (_, found, goes_on) = whole(text, false).expect(text);
            assert_eq!((&*found, goes_on), (body, true), "{text}");
        }
    }

    #[test]
    fn a_connection_ends_when_either_side_says_so_or_more_comes_than_was_asked() {
        let ends = |text| whole(text, false).expect(text).2;
        assert!(!ends("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"));
        assert!(!ends("HTTP/1.0 200 OK\r\ncontent-length: 0\r\n\r\n"));
        assert!(!ends("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\nmore"));
        assert_eq!(whole("HTTP/1.1 200 OK\r\n\r\nbody", true), Some((200, "body".into(), false)));
    }

    #[test]
    fn what_is_no_answer_is_an_error() {
        for bad in [
            "SSH-2.0\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: many\r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: 99999999\r\n\r\n",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\nbody\r\n0\r\n\r\n",
        ] {
            assert!(parse(bad.as_bytes(), false).is_err(), "{bad}");
        }
    }

    #[test]
    fn retry_after_is_read_in_seconds() {
        let read = |value: &str| {
            let text = format!("HTTP/1.1 503 Busy\r\nretry-after: {value}\r\ncontent-length: 0\r\n\r\n");
            match parse(text.as_bytes(), false) {
                Ok(Parsed::Whole(answer, _)) => answer.retry_after,
                _ => panic!("{text}"),
            }
        };
        assert_eq!((read("2"), read("soon")), (Some(2), None));
    }
}
