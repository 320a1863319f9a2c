//! Where one request ends and the next begins: whatever leaves room for two opinions is refused, or is the last of its connection. A
//! proxy in front that has the other opinion must not be able to slip a request in.

use crate::target::Target;
use crate::wire::Wire;

const JSON: &str = "POST /v1/carts HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n";
/// What a proxy may take for a part of the body before it.
const SMUGGLED: &str = "GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n";

/// Heads and bodies of which nobody can say for sure where they end.
fn ambiguous() -> Vec<(String, u16)> {
    let mut all = Vec::new();
    let mut add = |head: &str, body: &str, status| all.push((format!("{JSON}{head}\r\n{body}"), status));
    // Both lengths: the chunks count, and the connection ends (RFC 9112, 6.1).
    add("content-length: 2\r\ntransfer-encoding: chunked\r\n", "2\r\n{}\r\n0\r\n\r\n", 201);
    add("transfer-encoding: chunked\r\ncontent-length: 2\r\n", "2\r\n{}\r\n0\r\n\r\n", 201);
    add("transfer-encoding: chunked\r\ncontent-length: 60\r\n", "2\r\n{}\r\n0\r\n\r\n", 201);
    for lengths in ["2\r\ncontent-length: 3", "2, 2", "+2", "-2", "0x2", "2 2", "2;", "18446744073709551616", "", "two"]
    {
        add(&format!("content-length: {lengths}\r\n"), "{}", 400);
    }
    for coding in [
        "xchunked",
        "chunked, identity",
        "identity",
        "\u{b}chunked",
        "chunked;q=1",
        "\"chunked\"",
        "chunked\r\ntransfer-encoding: x",
    ] {
        add(&format!("transfer-encoding: {coding}\r\n"), "2\r\n{}\r\n0\r\n\r\n", 400);
    }
    for chunks in [
        "g\r\n{}\r\n0\r\n\r\n".to_owned(),
        "-2\r\n{}\r\n0\r\n\r\n".to_owned(),
        "0x2\r\n{}\r\n0\r\n\r\n".to_owned(),
        "\r\n{}\r\n0\r\n\r\n".to_owned(),
        "2\n{}\n0\n\n".to_owned(),
        "2\r\n{}xx0\r\n\r\n".to_owned(),
        "ffffffffffffffffff\r\n{}".to_owned(),
        format!("2;{}\r\n{{}}\r\n0\r\n\r\n", "a".repeat(20_000)),
        format!("2\r\n{{}}\r\n0\r\nx: {}\r\n\r\n", "y".repeat(40_000)),
        format!("2\r\n{{}}\r\n0\r\n{}\r\n", "x: y\r\n".repeat(2_000)),
    ] {
        add("transfer-encoding: chunked\r\n", &chunks, 400);
    }
    all
}

/// Heads that are none.
fn malformed() -> Vec<(String, u16)> {
    let get = |headers: &str| format!("GET /healthz HTTP/1.1\r\nhost: x\r\n{headers}\r\n");
    let many = |count: usize| (0..count).map(|number| format!("x-{number}: y\r\n")).collect::<String>();
    let mut all = vec![
        (get("x-a: b\r\n c: d\r\n"), 400),
        (get("x-a : b\r\n"), 400),
        (get("x-a: b\0c\r\n"), 400),
        (get("x-a: b\rc\r\n"), 400),
        (get("\0: b\r\n"), 400),
        (get(": b\r\n"), 400),
        ("GET /health\0z HTTP/1.1\r\nhost: x\r\n\r\n".into(), 400),
        ("GET /healthz HTTP/1.2\r\nhost: x\r\n\r\n".into(), 400),
        // Whom it is addressed to: said once, and so that all read it alike.
        ("GET /healthz HTTP/1.1\r\n\r\n".into(), 400),
        ("GET http://elsewhere.example/healthz HTTP/1.1\r\n\r\n".into(), 400),
        ("GET /healthz HTTP/1.1\r\nhost: x\r\nhost: x\r\n\r\n".into(), 400),
        ("GET /healthz HTTP/1.1\r\nhost: x\r\nHost: y\r\n\r\n".into(), 400),
        ("GET /healthz HTTP/1.0\r\nhost: x\r\nhost: y\r\n\r\n".into(), 400),
        ("GET /healthz HTTP/1.1\r\nhost:\r\n\r\n".into(), 400),
        ("GET /healthz HTTP/1.1\r\nhost: x, y\r\n\r\n".into(), 400),
        ("GET /healthz HTTP/1.1\r\nhost: x y\r\n\r\n".into(), 400),
        ("GET /healthz HTTP/1.1\r\nhost: x/metrics\r\n\r\n".into(), 400),
        ("GET /healthz HTTP/1.1\r\nhost: user:word@x\r\n\r\n".into(), 400),
        ("GET /healthz HTTP/1.1\r\nhost: http://x\r\n\r\n".into(), 400),
        ("GET /healthz HTTP/1.1\r\nhost: x:65536\r\n\r\n".into(), 400),
        ("GET /healthz HTTP/1.1\r\nhost: x:80:80\r\n\r\n".into(), 400),
        ("GET /healthz HTTP/1.1\r\nhost: [::1\r\n\r\n".into(), 400),
        ("GET /healthz HTTP/1.1\r\nhost: \u{e9}\r\n\r\n".into(), 400),
        ("GET /no/such/path HTTP/1.1\r\n\r\n".into(), 400),
        ("BREW /healthz HTTP/1.1\r\n\r\n".into(), 400),
        ("GET /healthz HTTP/2.0\r\nhost: x\r\n\r\n".into(), 400),
        ("GET /healthz\r\n\r\n".into(), 400),
        ("GET  /healthz HTTP/1.1\r\nhost: x\r\n\r\n".into(), 400),
        ("GET /health z HTTP/1.1\r\nhost: x\r\n\r\n".into(), 400),
        ("POST /v1/carts HTTP/1.0\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n".into(), 400),
        // TLS, by mistake.
        ("\u{16}\u{3}\u{1}\u{2}\0\u{1}\0\u{1}\r\n\r\n".into(), 400),
        (get(&many(200)), 431),
        (get(&format!("x: {}\r\n", "y".repeat(70_000))), 431),
        (format!("GET /{} HTTP/1.1\r\nhost: x\r\n\r\n", "a".repeat(70_000)), 431),
    ];
    all.push((format!("{} / HTTP/1.1\r\nhost: x\r\n\r\n", "A".repeat(70_000)), 431));
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_leaves_room_for_two_opinions_ends_its_connection() {
    let target = Target::start().await;
    for (sent, status) in ambiguous().into_iter().chain(malformed()) {
        let shown: String = sent.chars().take(200).collect();
        let mut wire = Wire::with(target.client, format!("{sent}{SMUGGLED}")).await;
        let answers = wire.answers_until_closed().await;
        let statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
        assert_eq!(statuses, [status], "{shown:?}");
        assert!(answers[0].says_close(), "{shown:?}: {}", answers[0].head);
        assert!(!answers[0].body.contains("haat_http_requests_total"), "{shown:?}");
    }
    target.unharmed().await;
}

/// Odd, and clear all the same: each is one request, and the next on the connection is answered as if nothing had been.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_odd_and_clear_is_answered_once() {
    let target = Target::start().await;
    let get = |line: &str| format!("{line} HTTP/1.1\r\nhost: x\r\n\r\n");
    let post = |head: &str, body: &str| format!("{JSON}{head}\r\n{body}");
    let odd = [
        // A body that looks like a request is a body.
        (format!("GET /healthz HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n{SMUGGLED}", SMUGGLED.len()), 200),
        (post("content-length: 2\r\ncontent-length: 2\r\n", "{}"), 201),
        (post("transfer-encoding: Chunked\r\n", "2;a=b\r\n{}\r\n0\r\n\r\n"), 201),
        // Trailers are no headers.
        (post("transfer-encoding: chunked\r\n", "2\r\n{}\r\n0\r\nauthorization: Bearer x\r\n\r\n"), 201),
        // Whose host it is does not matter, nor does an authority that asks for a proxy.
        (get("GET http://elsewhere.example/healthz"), 200),
        ("GET /healthz HTTP/1.1\r\nHOST:   shop.example:8080  \r\n\r\n".into(), 200),
        ("GET /healthz HTTP/1.1\r\nhost: [::1]:8080\r\n\r\n".into(), 200),
        (get("GET https://user:word@elsewhere.example:99/healthz"), 200),
        (get("GET http://elsewhere.example"), 404),
        (get("CONNECT elsewhere.example:443"), 404),
        (get("OPTIONS *"), 404),
        (get("GET *"), 404),
        (get("TRACE /healthz"), 405),
        (get("BREW /healthz"), 405),
        (get("get /healthz"), 405),
        (get(&format!("{} /healthz", "A".repeat(5_000))), 405),
        (get(&format!("GET /{}", "a".repeat(60_000))), 404),
        (get("GET //metrics"), 404),
        (get("GET /metrics/"), 404),
        (get("GET /v1/../metrics"), 404),
        (get("GET /v1/%2e%2e/metrics"), 404),
        (get("GET /docs/..%2f..%2fCargo.toml"), 404),
        (get("GET /docs/%00"), 404),
        (get("GET /v1/products?limit=%ff"), 422),
        (get("GET /v1/products?limit=1&limit=2"), 422),
        (get("GET /v1/products?q=%00"), 422),
        (get("GET /v1/products?limit=1e400"), 422),
        (get("GET /v1/products?limit=-0"), 422),
        (get("GET /v1/products?cursor=zz"), 400),
        // Upgrades are offers, which nobody takes up.
        ("GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n".into(), 200),
        ("GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: upgrade, http2-settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABk\r\n\r\n".into(), 200),
    ];
    for (sent, status) in odd {
        let shown: String = sent.chars().take(200).collect();
        let mut wire = Wire::with(target.client, format!("{sent}{}", get("GET /readyz"))).await;
        let first = wire.answer().await;
        assert_eq!(first.status, status, "{shown:?}: {}", first.body);
        if status >= 400 {
            assert_eq!(first.header("content-type"), Some("application/problem+json"), "{shown:?}");
            assert!(!first.code().is_empty(), "{shown:?}: {}", first.body);
        }
        let next = wire.answer().await;
        assert_eq!(
            (next.status, next.body.as_str()),
            (200, "{\"status\":\"ready\",\"clock_ahead_seconds\":0}"),
            "{shown:?}"
        );
    }
    target.unharmed().await;
}
