//! Bodies that are too much, no JSON, or not what was asked for, on every route that takes one: each is told which, and no more is read
//! than need be.

use crate::api::{Route, Shop};
use crate::target::Target;
use crate::wire::{Wire, request};
use haat::limits;
use serde_json::{Value, json};

const MALFORMED: (u16, &str) = (400, "malformed_json");
const INVALID: (u16, &str) = (422, "invalid_body");
const TOO_LARGE: (u16, &str) = (413, "body_too_large");
const UNSUPPORTED: (u16, &str) = (415, "unsupported_media_type");

/// Bodies with what they are told, whatever the route: what comes first, a field that nobody knows or what is no JSON.
fn hostile() -> Vec<(Vec<u8>, (u16, &'static str))> {
    let text = |text: &str| text.as_bytes().to_vec();
    let deep = |count: usize| format!("{}{}", "[".repeat(count), "]".repeat(count));
    let mut all: Vec<(Vec<u8>, (u16, &'static str))> = vec![
        (text("{"), MALFORMED),
        (text("}"), MALFORMED),
        (text(" \n"), MALFORMED),
        (text("\0"), MALFORMED),
        (text("{'a': 1}"), MALFORMED),
        (text("{\"a\" 1}"), INVALID),
        (text("{\"a\": NaN}"), INVALID),
        (text("{,}"), MALFORMED),
        (text("\u{feff}{"), MALFORMED),
        (text("\u{feff}\u{feff}{}"), MALFORMED),
        (text("\u{feff}{\"no such field\": 1}"), INVALID),
        (b"\xff\xfe{\0}\0".to_vec(), MALFORMED),
        (b"\0{\0}".to_vec(), MALFORMED),
        (text("{\"\\ud800\": 1}"), MALFORMED),
        (text("{\"\\u12\": 1}"), MALFORMED),
        (text("{\"a\nb\": 1}"), MALFORMED),
        (b"{\"\xff\xfe\": 1}".to_vec(), MALFORMED),
        (b"{\"\xc0\xaf\": 1}".to_vec(), MALFORMED),
        (b"{\"\xed\xa0\x80\": 1}".to_vec(), MALFORMED),
        (b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03".to_vec(), MALFORMED),
        // Form, and no JSON.
        (text("quantity=1"), MALFORMED),
        (text("[]"), INVALID),
        (text("null"), INVALID),
        (text("1"), INVALID),
        (text("\"{}\""), INVALID),
        (text("true"), INVALID),
        (text("{\"no such field\": 1}"), INVALID),
        (text("{\"__proto__\": {}}"), INVALID),
        (text("{\"\": 1}"), INVALID),
        (text("{\"no such field\": 1, \"no such field\": 2}"), INVALID),
        (text(&format!("{{\"{}\": 1}}", "a".repeat(60_000))), INVALID),
        (vec![b' '; limits::BODY_BYTES + 1], TOO_LARGE),
        (text(&deep(100_000)), TOO_LARGE),
        (vec![b'['; 100_000], TOO_LARGE),
    ];
    // Deep nesting is read no deeper than it may be, at the top or in a field.
    all.push((text(&deep(30_000)), INVALID));
    all.push((vec![b'['; 60_000], INVALID));
    all
}

/// What is told of a body, which must be a whole problem that the route's description promises.
fn checked(place: &str, route: &Route, status: u16, content_type: Option<&str>, body: &Value) -> (u16, String) {
    assert!(route.statuses.contains(&status), "{place}: {status} is not promised");
    assert_eq!(content_type, Some("application/problem+json"), "{place}");
    for member in ["type", "title", "detail", "code", "request_id"] {
        assert!(body[member].as_str().is_some_and(|text| !text.is_empty()), "{place}: {body}");
    }
    assert_eq!(body["status"], status, "{place}: {body}");
    assert!(body.to_string().len() < 4_000, "{place}: an echo of {} bytes", body.to_string().len());
    (status, body["code"].as_str().unwrap_or_default().to_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_route_tells_what_is_wrong_with_a_body() {
    let shop = Shop::open().await;
    let (client, bodies) = (shop.client(), hostile());
    let mut routes = 0;
    for route in shop.routes.iter().filter(|route| route.body.is_some()) {
        let bearer = shop.entitled(route).await;
        let good = route.body.clone().expect("a body").to_string();
        let send = async |body: Vec<u8>, headers: &[(&str, &str)]| {
            let mut request = route.bare(client, &shop.ids, bearer);
            for (name, value) in headers {
                request = request.header(name, value);
            }
            let shown = String::from_utf8_lossy(&body[..body.len().min(80)]).into_owned();
            let answer = request.raw(body).send().await;
            let place = format!("{} {} with {headers:?} {shown:?}: {:.300}", route.method, route.path, answer.text);
            (checked(&place, route, answer.status, answer.header("content-type"), &answer.body), place)
        };
        let json = ("content-type", "application/json");
        for more in ["x", "{}", "]", "\0"] {
            let (told, place) = send(format!("{good}{more}").into_bytes(), &[json]).await;
            assert_eq!(told, (MALFORMED.0, MALFORMED.1.to_owned()), "{place}");
        }
        // A whole table may be longer than another body.
        let sales = route.path.contains("/sales") && !route.path.ends_with("/cancel");
        let is_table = sales
            || route.path == "/v1/admin/tax"
            || route.path == "/v1/admin/loyalty"
            || route.path == "/v1/admin/remittances"
            || route.path.ends_with("/shipping-methods")
            || route.path.ends_with("/delivery-plan")
            || route.path.ends_with("/products/batch");
        for (body, (status, code)) in &bodies {
            let mut body = body.clone();
            if is_table && *status == 413 {
                body.resize(limits::TABLE_BYTES + 1, b' ');
            }
            let (told, place) = send(body, &[json]).await;
            assert_eq!(told, (*status, (*code).to_owned()), "{place}");
        }
        for headers in [
            &[][..],
            &[("content-type", "text/plain")],
            &[("content-type", "application/x-www-form-urlencoded")],
            &[("content-type", "application/xml")],
            &[("content-type", "multipart/form-data; boundary=x")],
            &[("content-type", "application/json-seq")],
            &[("content-type", "")],
            // What is compressed is not read, and not taken for what it is not.
            &[json, ("content-encoding", "gzip")],
            &[json, ("content-encoding", "br")],
            &[json, ("content-encoding", "identity, deflate")],
        ] {
            let (told, place) = send(good.clone().into_bytes(), headers).await;
            assert_eq!(told, (UNSUPPORTED.0, UNSUPPORTED.1.to_owned()), "{place}");
        }
        routes += 1;
    }
    assert!(routes >= 8, "{routes}");
    shop.target.unharmed().await;
}

/// Only where a body may be absent is an empty one none.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_empty_body_is_malformed_unless_it_may_be_absent() {
    let shop = Shop::open().await;
    for route in shop.routes.iter().filter(|route| route.body.is_some()) {
        let bearer = shop.entitled(route).await;
        let request = route.bare(shop.client(), &shop.ids, bearer).header("content-type", "application/json");
        let answer = request.send().await;
        // Of a session that goes on or ends, what is left out is in the cookie.
        let in_cookie = ["/v1/auth/refresh", "/v1/auth/logout"].contains(&route.path.as_str());
        let may_be_absent = route.body == Some(json!({})) || in_cookie;
        assert_eq!(
            answer.code() == "malformed_json",
            !may_be_absent,
            "{} {}: {}",
            route.method,
            route.path,
            answer.text
        );
    }
    shop.target.unharmed().await;
}

/// Numbers at the edge of what there is, in the places where numbers are expected.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn numbers_past_every_limit_are_refused_as_what_they_are() {
    let shop = Shop::open().await;
    let client = shop.client();
    let buyer = client.buyer(&shop.ids["sku"], 1).await;
    let line = format!("/v1/carts/{}/lines/{}", buyer.cart, shop.ids["sku"]);
    let sku = format!("/v1/vendors/{}/skus/{}", shop.ids["vendor"], shop.ids["sku"]);
    let stock = format!("{sku}/stock");
    let products = format!("/v1/vendors/{}/products", shop.ids["vendor"]);
    let send = async |method: &str, path: &str, body: String| {
        let bearer = if path.contains("carts") { &buyer.token } else { &shop.admin };
        let request = client.request(method, path).bearer(bearer).header("content-type", "application/json");
        let answer = request.raw(body.clone()).send().await;
        assert!(answer.status < 500, "{body}: {}", answer.text);
        // A SKU has a code too, of another sort.
        (answer.status, if answer.status == 200 { String::new() } else { answer.code().to_owned() })
    };
    let is = |told: (u16, String), expected: (u16, &str), what: &str| {
        assert_eq!((told.0, told.1.as_str()), expected, "{what}");
    };
    let long = "9".repeat(60_000);
    for (number, quantity, delta) in [
        ("10001", (422, "quantity_out_of_range"), (200, "")),
        ("-1", (422, "quantity_out_of_range"), (200, "")),
        ("9223372036854775807", (422, "quantity_out_of_range"), (422, "stock_out_of_range")),
        ("-9223372036854775808", (422, "quantity_out_of_range"), (422, "stock_out_of_range")),
        ("9223372036854775808", INVALID, INVALID),
        ("18446744073709551616", INVALID, INVALID),
        ("-9223372036854775809", INVALID, INVALID),
        ("123456789012345678901234567890", INVALID, INVALID),
        ("1.5", INVALID, INVALID),
        ("1e30", INVALID, INVALID),
        ("1e308", INVALID, INVALID),
        ("1e400", MALFORMED, MALFORMED),
        ("-1e400", MALFORMED, MALFORMED),
        (&long, MALFORMED, MALFORMED),
        ("01", MALFORMED, MALFORMED),
        ("+1", MALFORMED, MALFORMED),
        ("0x10", MALFORMED, MALFORMED),
        (".5", MALFORMED, MALFORMED),
        ("1e", MALFORMED, MALFORMED),
        ("\"1\"", INVALID, INVALID),
        ("null", INVALID, INVALID),
        ("[1]", INVALID, INVALID),
        ("{}", INVALID, INVALID),
        ("true", INVALID, INVALID),
    ] {
        let shown: String = number.chars().take(40).collect();
        is(send("PUT", &line, format!("{{\"quantity\": {number}}}")).await, quantity, &format!("quantity {shown}"));
        let body = format!("{{\"delta\": {number}, \"reason\": \"counted\"}}");
        is(send("POST", &stock, body).await, delta, &format!("delta {shown}"));
    }
    // Whole after all: zero of either sign, and what is too small to be anything but zero.
    for zero in ["-0", "0.0", "-0.0", "0e9", "1e-400"] {
        is(send("PUT", &line, format!("{{\"quantity\": {zero}}}")).await, (200, ""), zero);
        is(send("PUT", &line, "{\"quantity\": 1}".into()).await, (200, ""), "one again");
    }
    for twice in [
        "{\"quantity\": 1, \"quantity\": 1}",
        "{\"quantity\": 1, \"quantity\": 2}",
        "{\"quantity\": 1, \"Quantity\": 2}",
    ] {
        is(send("PUT", &line, twice.into()).await, INVALID, twice);
    }

    for amount in [
        "1e400",
        "1e3",
        "-1.00",
        "+1.00",
        "NaN",
        "Infinity",
        "1,00",
        " 1.00",
        "1.00 ",
        "1.0",
        "1.000",
        ".50",
        "1_000.00",
        "０.００",
        "",
    ] {
        let body = json!({"price": {"amount": amount, "currency": "BDT"}}).to_string();
        let (status, code) = send("PATCH", &sku, body).await;
        assert!(
            status == 422 && ["invalid_body", "price_out_of_range"].contains(&code.as_str()),
            "{amount}: {status} {code}"
        );
    }
    for amount in [
        "0.00",
        "-0.00",
        "10000000000.01",
        "92233720368547758.07",
        "92233720368547758.08",
        "99999999999999999999999999999.99",
    ] {
        let body = json!({"price": {"amount": amount, "currency": "BDT"}}).to_string();
        let (status, code) = send("PATCH", &sku, body).await;
        assert!(
            status == 422 && ["invalid_body", "price_out_of_range"].contains(&code.as_str()),
            "{amount}: {status} {code}"
        );
    }
    // More of something than may be, in what a limit of bytes lets through.
    let one = json!({"code": "c", "price": {"amount": "1.00", "currency": "BDT"}, "on_hand": 1});
    let many: Vec<Value> = (0..limits::PRODUCT_SKUS + 1).map(|_| one.clone()).collect();
    let (status, code) = send("POST", &products, json!({"title": "t", "skus": many}).to_string()).await;
    assert!(status == 422, "{status} {code}");
    shop.target.unharmed().await;
}

/// What a body says of its own length is believed before it is read; what says nothing is read up to the limit.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_past_the_limit_is_refused_without_reading_it() {
    let target = Target::start().await;
    let head =
        |more: &str| format!("POST /v1/carts HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n{more}\r\n");
    let refused = async |wire: &mut Wire| {
        let answer = wire.answer().await;
        assert_eq!((answer.status, answer.code().as_str()), TOO_LARGE, "{}", answer.body);
        assert!(answer.says_close(), "{}", answer.head);
        wire.closed().await;
    };
    // Not a byte of it is there, and the answer is.
    for length in ["65537", "1000000000", "9223372036854775807"] {
        refused(&mut Wire::with(target.client, head(&format!("content-length: {length}\r\n"))).await).await;
    }
    // Nor is it asked for: 100 Continue would be an answer before this one.
    let asking = head("content-length: 1000000\r\nexpect: 100-continue\r\n");
    refused(&mut Wire::with(target.client, asking).await).await;
    let chunks = format!("10000\r\n{}\r\n1\r\n ", " ".repeat(0x10000));
    refused(&mut Wire::with(target.client, head("transfer-encoding: chunked\r\n") + &chunks).await).await;
    // One chunk of which the end never comes.
    let chunk = format!("7fffffff\r\n{}", " ".repeat(70_000));
    refused(&mut Wire::with(target.client, head("transfer-encoding: chunked\r\n") + &chunk).await).await;

    // At the limit, to the byte, it is read.
    let most = " ".repeat(limits::BODY_BYTES - 2) + "{}";
    for sent in [
        head(&format!("content-length: {}\r\n", most.len())) + &most,
        head("transfer-encoding: chunked\r\n") + &format!("{:x}\r\n{most}\r\n0\r\n\r\n", most.len()),
    ] {
        assert_eq!(Wire::with(target.client, sent).await.answer().await.status, 201);
    }
    // A transfer coding besides chunks is a compression too.
    let coded = head("transfer-encoding: gzip, chunked\r\n") + "2\r\n{}\r\n0\r\n\r\n";
    let answer = Wire::with(target.client, coded).await.answer().await;
    assert_eq!((answer.status, answer.code().as_str()), UNSUPPORTED, "{}", answer.body);
    assert_eq!(target.figure("haat_http_bodies_rejected_total{reason=\"too_large\"}").await, 6.0);
    let text = request("POST", "/v1/carts", &[("accept-encoding", "gzip, br")], "{}");
    let answer = Wire::with(target.client, text).await.answer().await;
    assert_eq!((answer.status, answer.header("content-encoding")), (201, None));
    target.unharmed().await;
}
