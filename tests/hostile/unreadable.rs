//! A request that the HTTP library cannot read is answered as any other that is refused: with a problem and an id.

use crate::target::{BOUND, Target};
use serde_json::Value;
use std::collections::BTreeSet;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Sends these bytes; gives all that comes until the server closes.
async fn sent(target: &Target, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(target.client.address()).await.expect("a connection");
    // A server that has read enough may have closed already.
    let _ = stream.write_all(bytes).await;
    let _ = stream.shutdown().await;
    let mut answer = Vec::new();
    let _ = tokio::time::timeout(BOUND, stream.read_to_end(&mut answer)).await.expect("it closes");
    String::from_utf8(answer).expect("text")
}

/// Fails unless this is one answer that is a problem of this kind; gives its id.
#[track_caller]
fn is_problem(what: &str, answer: &str, status: u16, code: &str) -> String {
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{what}: {answer:?}"));
    assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{what}: {head}");
    let header = |name: &str| {
        let found: Vec<_> = head.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix(": ")).collect();
        assert_eq!(found.len(), 1, "{what}: {name} in {head}");
        found[0].to_owned()
    };
    assert_eq!(header("content-type"), "application/problem+json", "{what}");
    assert_eq!(header("connection"), "close", "{what}");
    assert_eq!(header("content-length"), body.len().to_string(), "{what}");
    header("date");
    let problem: Value = serde_json::from_str(body).unwrap_or_else(|_| panic!("{what}: {body:?}"));
    assert_eq!((problem["status"].as_u64(), problem["code"].as_str()), (Some(status.into()), Some(code)), "{what}");
    assert_eq!(problem["type"], format!("/docs/problems#{code}"), "{what}");
    let id = header("x-request-id");
    assert_eq!(problem["request_id"], id.as_str(), "{what}");
    id
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_read_is_answered_with_a_problem_and_an_id() {
    let target = Target::start().await;
    let many: String = (0..200).map(|number| format!("x-{number}: y\r\n")).collect();
    let heads: Vec<(Vec<u8>, u16, &str)> = vec![
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 a greeting of TLS\r\n\r\n".to_vec(), 400, "malformed_request"),
        (b"nonsense\r\n\r\n".to_vec(), 400, "malformed_request"),
        (b"GET /healthz HTTP/9.9\r\nhost: x\r\n\r\n".to_vec(), 400, "malformed_request"),
        (b"GET /healthz HTTP/2.0\r\nhost: x\r\n\r\n".to_vec(), 400, "malformed_request"),
        (b"G{T /healthz HTTP/1.1\r\nhost: x\r\n\r\n".to_vec(), 400, "malformed_request"),
        (b"GET /heal thz HTTP/1.1\r\nhost: x\r\n\r\n".to_vec(), 400, "malformed_request"),
        (b"GET /healthz HTTP/1.1\r\nhost: x\r\nx-a : b\r\n\r\n".to_vec(), 400, "malformed_request"),
        (b"GET /healthz HTTP/1.1\r\nhost: x\r\nx-a: \0\r\n\r\n".to_vec(), 400, "malformed_request"),
        (b"POST /v1/carts HTTP/1.1\r\nhost: x\r\ncontent-length: two\r\n\r\n{}".to_vec(), 400, "malformed_request"),
        (format!("GET /healthz HTTP/1.1\r\nhost: x\r\n{many}\r\n").into_bytes(), 431, "head_too_large"),
        (
            format!("GET /healthz HTTP/1.1\r\nhost: x\r\nx-a: {}\r\n\r\n", "y".repeat(70_000)).into_bytes(),
            431,
            "head_too_large",
        ),
    ];
    let mut ids = BTreeSet::new();
    for (head, status, code) in &heads {
        let what = String::from_utf8_lossy(&head[..head.len().min(60)]).into_owned();
        ids.insert(is_problem(&what, &sent(&target, head).await, *status, code));
    }
    assert_eq!(ids.len(), heads.len(), "each has an id of its own");
    // Behind one, and behind several, that are answered.
    for before in [1, 20] {
        let mut pipelined = b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n".repeat(before);
        pipelined.extend(b"G{T / HTTP/1.1\r\n\r\n");
        let answer = sent(&target, &pipelined).await;
        assert_eq!(answer.matches("HTTP/1.1 200 OK").count(), before, "{answer}");
        let last = answer.rfind("HTTP/1.1 ").expect("an answer");
        is_problem("behind others", &answer[last..], 400, "malformed_request");
    }
    let counted = target.figure("haat_http_requests_total{route=\"unreadable\",method=\"other\",status=\"400\"}").await;
    assert!(counted >= 11.0, "{counted}");
    target.unharmed().await;
}
