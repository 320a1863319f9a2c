//! What asks servers outside: what is heard of them, what is said when nothing is, and who is believed.

use crate::support::tls::Authority;
use axum::body::Bytes;
use haat::adapters::http_client::{HttpClient, HttpClientSettings, HttpFault, Trust};
use http::{Request, Response};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

/// The most bytes of an answer here.
const MOST: usize = 1_000;
/// Long enough for everything that happens, and for what must be waited for in vain.
const LONG: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_millis(300);

/// A server that says the same to every request.
struct Outside {
    address: SocketAddr,
    /// The requests that it was sent, by the connection that they came on.
    asked: Arc<Mutex<Vec<(usize, String)>>>,
}

impl Outside {
    /// It answers so, and hangs up after that if `ends`.
    async fn says(answer: impl Into<String>, ends: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let (asked, answer) = (Arc::<Mutex<Vec<_>>>::default(), answer.into());
        let heard = asked.clone();
        tokio::spawn(async move {
            for number in 0.. {
                let Ok((stream, _)) = listener.accept().await else { return };
                tokio::spawn(serve(stream, number, answer.clone(), ends, heard.clone()));
            }
        });
        Self { address, asked }
    }

    fn asked(&self) -> Vec<(usize, String)> {
        self.asked.lock().expect("no panic").clone()
    }
}

/// Requests here have a body of three bytes.
async fn serve(
    mut stream: TcpStream,
    number: usize,
    answer: String,
    ends: bool,
    asked: Arc<Mutex<Vec<(usize, String)>>>,
) -> std::io::Result<()> {
    loop {
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            request.push(stream.read_u8().await?);
        }
        let mut body = [0; 3];
        stream.read_exact(&mut body).await?;
        request.extend(body);
        asked.lock().expect("no panic").push((number, String::from_utf8_lossy(&request).into_owned()));
        stream.write_all(answer.as_bytes()).await?;
        if ends {
            return Ok(());
        }
    }
}

/// A server that speaks first, and something else.
async fn speaks_no_tls() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await?;
        stream.write_all(b"220 mail.example at your service\r\n").await?;
        stream.read_to_end(&mut Vec::new()).await
    });
    address
}

fn client(trust: Trust, connect: Duration, total: Duration) -> HttpClient {
    HttpClient::new(HttpClientSettings { trust, connect, total, answer_bytes: MOST }).expect("a client")
}

async fn asks(client: &HttpClient, scheme: &str, address: SocketAddr) -> Result<Response<Bytes>, HttpFault> {
    let request = Request::post(format!("{scheme}://{address}/secret?of=ours")).header("x-own", "kept");
    client.ask(request.body(Bytes::from_static(b"abc")).expect("a request")).await
}

fn not_sent(answer: Result<Response<Bytes>, HttpFault>) -> String {
    match answer {
        Err(HttpFault::NotSent(reason)) => reason,
        other => panic!("it was sent: {other:?}"),
    }
}

fn no_answer(answer: Result<Response<Bytes>, HttpFault>) -> String {
    match answer {
        Err(HttpFault::NoAnswer(reason)) => reason,
        other => panic!("there is an answer, or it was not sent: {other:?}"),
    }
}

#[tokio::test]
async fn what_is_answered_is_given_whole_and_the_connection_is_kept() {
    let outside = Outside::says("HTTP/1.1 503 Later\r\nretry-after: 7\r\ncontent-length: 2\r\n\r\nno", false).await;
    let client = client(Trust::Nobody, LONG, LONG);
    for _ in 0..3 {
        let answer = asks(&client, "http", outside.address).await.expect("a refusal is an answer");
        assert_eq!((answer.status().as_u16(), &answer.body()[..]), (503, &b"no"[..]));
        assert_eq!(answer.headers()["retry-after"], "7");
    }
    let asked = outside.asked();
    assert_eq!(asked.iter().map(|(connection, _)| *connection).collect::<Vec<_>>(), [0, 0, 0]);
    let request = asked[0].1.to_lowercase();
    for part in ["post /secret?of=ours http/1.1\r\n", "\r\nx-own: kept\r\n", "\r\nuser-agent: haat/", "\r\n\r\nabc"] {
        assert!(request.contains(part), "{part} in {request}");
    }
}

#[tokio::test]
async fn an_answer_that_is_too_long_is_not_read_to_its_end() {
    let client = client(Trust::Nobody, LONG, LONG);
    let of = async |head: &str, body: &str, ends| {
        let outside = Outside::says(format!("HTTP/1.1 200 Yes\r\n{head}\r\n{body}"), ends).await;
        asks(&client, "http", outside.address).await
    };
    let fits = of("content-length: 1000\r\n", &"x".repeat(1_000), false).await.expect("it fits");
    assert_eq!(fits.body().len(), MOST);
    let chunk = "1f4\r\n".to_owned() + &"x".repeat(500) + "\r\n";
    let fits = of("transfer-encoding: chunked\r\n", &(chunk.repeat(2) + "0\r\n\r\n"), false).await.expect("it fits");
    assert_eq!(fits.body().len(), MOST);
    // None of these comes to an end by itself.
    let said = of("content-length: 1001\r\n", "", false).await.expect_err("it is too long");
    assert_eq!(said, HttpFault::TooLong(200, MOST));
    let endless = of("transfer-encoding: chunked\r\n", &(chunk.repeat(2) + "1\r\nx\r\n"), false).await;
    assert_eq!(endless.expect_err("it is too long"), HttpFault::TooLong(200, MOST));
    let many = of(&"x-more: 1\r\n".repeat(100), "", true).await;
    assert!(!no_answer(many).is_empty());
}

#[tokio::test]
async fn nobody_is_sent_on_to_somebody_else() {
    let other = Outside::says("HTTP/1.1 200 Yes\r\ncontent-length: 0\r\n\r\n", false).await;
    let location = format!("location: http://{}/\r\n", other.address);
    let outside = Outside::says(format!("HTTP/1.1 307 There\r\n{location}content-length: 0\r\n\r\n"), false).await;
    let answer = asks(&client(Trust::Nobody, LONG, LONG), "http", outside.address).await.expect("an answer");
    assert_eq!((answer.status().as_u16(), other.asked().len()), (307, 0));
}

#[tokio::test]
async fn what_fails_says_whether_anything_was_sent() {
    let patient = client(Trust::Nobody, LONG, LONG);
    // A port on which nobody listens, and which nobody else is given meanwhile.
    let taken = TcpSocket::new_v4().expect("a socket");
    taken.bind("127.0.0.1:0".parse().expect("an address")).expect("a port");
    let nobody = taken.local_addr().expect("an address");
    let mut said = vec![not_sent(asks(&patient, "http", nobody).await)];
    for answer in ["", "nonsense\r\n\r\n", "HTTP/1.1 200 Yes\r\ncontent-length: 9\r\n\r\nhalf"] {
        let outside = Outside::says(answer, true).await;
        said.push(no_answer(asks(&patient, "http", outside.address).await));
        assert_eq!(outside.asked().len(), 1, "it is asked once");
    }
    // Who is silent, or never comes to an end, is waited for as long as was said.
    for answer in ["", "HTTP/1.1 200 Yes\r\ncontent-length: 9\r\n\r\nhalf"] {
        let outside = Outside::says(answer, false).await;
        let said = no_answer(asks(&client(Trust::Nobody, LONG, SHORT), "http", outside.address).await);
        assert_eq!(said, "no answer in time");
    }
    // As is who does not answer that there is TLS.
    let silent = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = silent.local_addr().expect("an address");
    let hasty = client(Trust::Machine, SHORT, LONG);
    assert_eq!(not_sent(asks(&hasty, "https", address).await), "it took too long");
    for said in said {
        assert!(!said.is_empty() && !said.contains("secret"), "a URL may hold a secret: {said}");
    }
}

#[tokio::test]
async fn only_who_is_trusted_is_told_anything() {
    let outside = Outside::says("HTTP/1.1 200 Yes\r\ncontent-length: 2\r\n\r\nok", false).await;
    let (ours, theirs) = (Authority::new("ours"), Authority::new("theirs"));
    let only = |authorities: &[&Authority]| {
        let pem: String = authorities.iter().map(|authority| authority.pem()).collect();
        client(Trust::only(pem.as_bytes()).expect("authorities"), LONG, LONG)
    };
    let known = ours.front("127.0.0.1", outside.address).await;
    for trusting in [&[&ours][..], &[&theirs, &ours]] {
        let client = only(trusting);
        for _ in 0..2 {
            let answer = asks(&client, "https", known).await.expect("an answer");
            assert_eq!(&answer.body()[..], b"ok");
        }
    }
    let asked = outside.asked();
    assert_eq!(asked.iter().map(|(connection, _)| *connection).collect::<Vec<_>>(), [0, 0, 1, 1], "they are kept");

    let elsewhere = ours.front("elsewhere.example", outside.address).await;
    let past = ours.front_until("127.0.0.1", (2001, 1, 1), outside.address).await;
    let machine = client(Trust::Machine, LONG, LONG);
    for (client, address, reason) in [
        (&only(&[&theirs]), known, "UnknownIssuer"),
        (&machine, known, "UnknownIssuer"),
        (&only(&[&ours]), elsewhere, "not valid for"),
        (&only(&[&ours]), past, "expired"),
        (&only(&[&ours]), speaks_no_tls().await, "corrupt"),
    ] {
        let said = not_sent(asks(client, "https", address).await);
        assert!(said.contains(reason), "{reason} is not in '{said}'");
    }
    // Nor does anything go out without TLS by mistake.
    for client in [&machine, &only(&[&ours])] {
        not_sent(asks(client, "http", outside.address).await);
    }
    assert_eq!(outside.asked().len(), asked.len(), "nobody else was told anything");
}
