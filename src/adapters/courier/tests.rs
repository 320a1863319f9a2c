//! What the adapter asks a platform over HTTP, and what it makes of the answers.

use super::*;
use crate::domain::buyer::Mint;
use crate::domain::courier::{CourierStatus, CourierTold, ParcelLine};
use crate::domain::ids::{OrderId, ShipmentId, SkuId};
use crate::domain::money::{Currency, Money};
use crate::domain::order::Address;
use crate::domain::time::Timestamp;
use crate::domain::vendor::{Slot, WantedLine};
use crate::limits;
use aws_lc_rs::hmac::{self, HMAC_SHA256};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use uuid::Uuid;

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const OLD_SECRET: &str = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// A request, as the platform had it.
#[derive(Clone, Debug)]
struct Asked {
    line: String,
    head: String,
    body: Value,
}

/// What a platform answers: these, one after the other. A status of 0 breaks off.
struct Double {
    url: String,
    asked: Arc<Mutex<Vec<Asked>>>,
}

async fn read(stream: &mut TcpStream) -> Option<Asked> {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length =
                head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
            if body.len() >= length.unwrap_or(0) {
                let line = head.lines().next().unwrap_or_default().to_owned();
                let body = serde_json::from_str(body).unwrap_or(Value::Null);
                return Some(Asked { line, head: head.to_owned(), body });
            }
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
}

impl Double {
    async fn start(answers: Vec<(u16, Vec<u8>)>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}/v1", listener.local_addr().expect("its address"));
        let asked: Arc<Mutex<Vec<Asked>>> = Arc::default();
        let heard = asked.clone();
        tokio::spawn(async move {
            for (status, body) in answers {
                let Ok((mut stream, _)) = listener.accept().await else { return };
                let Some(asked) = read(&mut stream).await else { return };
                heard.lock().expect("a list").push(asked);
                let length = if status == 0 { body.len() + 1 } else { body.len() };
                let head = format!(
                    "HTTP/1.1 {} OK\r\nretry-after: 60\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n",
                    status.max(200)
                );
                // Whoever has read enough is gone.
                let _ = stream.write_all(&[head.as_bytes(), &body].concat()).await;
            }
        });
        Self { url, asked }
    }

    fn asked(&self) -> Vec<Asked> {
        self.asked.lock().expect("a list").clone()
    }
}

fn name() -> ParcelName {
    ParcelName {
        shipment: ShipmentId::from_uuid(Uuid::from_u128(1)),
        order: OrderId::from_uuid(Uuid::from_u128(2)),
        mint: Mint([0, 0, 0, 9]),
    }
}

fn sku() -> SkuId {
    SkuId::from_uuid(Uuid::from_u128(3))
}

fn call() -> BookingCall {
    let to = Address {
        name: "Rumi".into(),
        line1: "1 Mirpur Road".into(),
        line2: None,
        city: "Dhaka".into(),
        postcode: Some("1207".into()),
        region: None,
        country: "BD".into(),
        phone: Some("+8801700000000".into()),
    };
    let lines = vec![ParcelLine { sku: sku(), title: "Lungi".into(), quantity: 2 }];
    let slot = Slot {
        id: "20261201-1000-1200".parse().unwrap(),
        zone: "Asia/Dhaka".into(),
        starts_at: Timestamp::from_millis(1_796_097_600_000),
        ends_at: Timestamp::from_millis(1_796_104_800_000),
    };
    BookingCall { name: name(), lines, to, collect: Some(Money::new(125_000, Currency::BDT)), slot: Some(slot) }
}

/// A shipment as the platform tells it, with these fields changed.
fn shipment(fields: &Value) -> Value {
    let mut all = json!({"reference": name().to_string(), "tracking_number": "HX-17", "status": "booked"});
    for (field, value) in fields.as_object().expect("fields") {
        all[field] = value.clone();
    }
    all
}

/// An event as the platform tells it, with these fields changed.
fn event(fields: &Value) -> Value {
    let mut all = json!({"id": "ev_1", "status": "delivered", "at": "2026-01-01T09:00:00+06:00"});
    for (field, value) in fields.as_object().expect("fields") {
        all[field] = value.clone();
    }
    all
}

fn told() -> CourierTold {
    // 2026-01-01T03:00:00Z
    let at = Timestamp::from_millis(1_767_236_400_000);
    CourierTold {
        event: "ev_1".into(),
        name: name(),
        status: CourierStatus::Delivered,
        at,
        collected: None,
        lines: Vec::new(),
    }
}

fn booking(status: BookingStatus) -> Booking {
    Booking { name: name(), tracking_number: "HX-17".into(), status, told: Vec::new() }
}

fn courier(url: &str) -> PlatformCourier {
    let secrets = vec![SECRET.to_owned(), OLD_SECRET.to_owned()];
    let config = PlatformConfig { url: url.to_owned(), secrets, public_url: "https://shop.example".to_owned() };
    PlatformCourier::new(&config).expect("it can be asked")
}

/// A platform that gives these answers, and the courier that asks it.
async fn answering(answers: &[(u16, Value)]) -> (Double, PlatformCourier) {
    let double =
        Double::start(answers.iter().map(|(status, body)| (*status, body.to_string().into_bytes())).collect()).await;
    let courier = courier(&double.url);
    (double, courier)
}

#[tokio::test]
async fn a_parcel_is_booked_under_its_name_and_the_courier_hears_all_it_needs() {
    let (double, courier) =
        answering(&[(201, shipment(&json!({}))), (200, shipment(&json!({"status": "picked_up"})))]).await;
    assert_eq!(courier.book(&call()).await, Ok(BookingAnswer::Booked(booking(BookingStatus::Booked))));
    let fetched = BookingAnswer::Booked(booking(BookingStatus::Told(CourierStatus::PickedUp)));
    assert_eq!(courier.book(&call()).await, Ok(fetched), "again the same, and it was fetched meanwhile");
    let [first, second] = &double.asked()[..] else { panic!("{:?}", double.asked()) };
    assert_eq!(first.line, format!("PUT /v1/shipments/{} HTTP/1.1", name()));
    assert!(first.head.contains(&format!("authorization: Bearer {SECRET}")), "{}", first.head);
    let expected = json!({
        "to": {"name": "Rumi", "line1": "1 Mirpur Road", "city": "Dhaka", "postcode": "1207", "country": "BD", "phone": "+8801700000000"},
        "lines": [{"sku_id": sku().to_string(), "title": "Lungi", "quantity": 2}],
        "collect": {"amount": "1250.00", "currency": "BDT"},
        "deliver_between": {"from": "2026-12-01T04:00:00Z", "to": "2026-12-01T06:00:00Z"},
        "notice_url": "https://shop.example/v1/notices/couriers/platform",
    });
    assert_eq!((&first.body, &second.body), (&expected, &expected));
    assert!(!format!("{:?}", call()).contains("Rumi"), "no log shows who gets it");
}

#[tokio::test]
async fn what_a_courier_refuses_is_refused_and_what_it_does_not_say_is_no_answer() {
    let code = |code: &str| json!({"code": code});
    for (status, body, why) in [
        (422, code("address_unsupported"), "address_unsupported"),
        (409, code("cancelled"), "cancelled"),
        (422, code("Call Rumi!"), "refused"),
        (200, shipment(&json!({"status": "cancelled"})), "cancelled"),
    ] {
        let (_double, courier) = answering(&[(status, body.clone())]).await;
        assert_eq!(courier.book(&call()).await, Ok(BookingAnswer::Refused { why: why.into() }), "{body}");
    }
    for (status, body) in [
        (0, shipment(&json!({}))),
        (500, code("internal")),
        (503, code("busy")),
        (401, code("unauthorized")),
        (400, code("invalid")),
        (404, code("unknown_shipment")),
        (302, json!({})),
        (201, json!("<html>")),
        (201, json!({})),
        (201, shipment(&json!({"reference": name().to_string().replace(".00000009", ".00000008")}))),
        (201, shipment(&json!({"reference": name().shipment.to_string()}))),
        (201, shipment(&json!({"tracking_number": ""}))),
        (201, shipment(&json!({"tracking_number": "HX 17"}))),
        (201, shipment(&json!({"tracking_number": "x".repeat(65)}))),
        (201, shipment(&json!({"status": "in_review"}))),
        (201, shipment(&json!({"events": [event(&json!({"status": "booked"}))]}))),
        (201, shipment(&json!({"events": vec![event(&json!({})); limits::TRACKING_EVENTS + 1]}))),
        (201, shipment(&json!({"padding": "x".repeat(1024 * 1024)}))),
    ] {
        let (_double, courier) = answering(&[(status, body.clone())]).await;
        let error = courier.book(&call()).await.expect_err("nobody knows");
        assert!(!error.to_string().contains("whsec_"), "{error}");
    }
    let gone = Double::start(Vec::new()).await;
    courier(&gone.url).look_up(name()).await.expect_err("nobody is there");
}

#[tokio::test]
async fn a_courier_that_wants_rest_is_left_alone() {
    let (double, courier) = answering(&[(429, json!({})), (201, shipment(&json!({})))]).await;
    courier.book(&call()).await.expect_err("it has no time");
    courier.book(&call()).await.expect_err("it is not asked");
    assert_eq!(double.asked().len(), 1);
}

#[tokio::test]
async fn what_is_not_known_is_looked_up() {
    let unknown = json!({"code": "unknown_shipment"});
    let events = json!({"status": "delivered", "events": [event(&json!({}))]});
    let (double, courier) = answering(&[
        (404, unknown.clone()),
        (404, json!({"code": "not_found"})),
        (200, shipment(&json!({"status": "cancelled"}))),
        (200, shipment(&events)),
        (422, unknown),
    ])
    .await;
    assert_eq!(courier.look_up(name()).await, Ok(None));
    courier.look_up(name()).await.expect_err("it may be another platform than it was");
    assert_eq!(courier.look_up(name()).await, Ok(Some(booking(BookingStatus::Cancelled))));
    let delivered = Booking { told: vec![told()], ..booking(BookingStatus::Told(CourierStatus::Delivered)) };
    assert_eq!(courier.look_up(name()).await, Ok(Some(delivered)));
    courier.look_up(name()).await.expect_err("a look-up is not refused");
    assert!(double.asked().iter().all(|asked| asked.line == format!("GET /v1/shipments/{} HTTP/1.1", name())));
}

#[tokio::test]
async fn a_parcel_is_cancelled_until_it_is_fetched() {
    let picked_up = shipment(&json!({"status": "picked_up"}));
    for (status, body, answer) in [
        (200, shipment(&json!({"status": "cancelled"})), Some(CancelAnswer::Cancelled)),
        (409, picked_up.clone(), Some(CancelAnswer::TooLate)),
        (404, json!({"code": "unknown_shipment"}), Some(CancelAnswer::Unknown)),
        (404, json!({}), None),
        (200, picked_up, None),
        (200, shipment(&json!({})), None),
        (409, shipment(&json!({})), None),
        (409, shipment(&json!({"reference": "another"})), None),
        (422, json!({"code": "invalid"}), None),
        (500, json!({}), None),
        (0, shipment(&json!({"status": "cancelled"})), None),
    ] {
        let (double, courier) = answering(&[(status, body.clone())]).await;
        assert_eq!(courier.cancel(name()).await.ok(), answer, "{status} {body}");
        assert_eq!(double.asked()[0].line, format!("DELETE /v1/shipments/{} HTTP/1.1", name()));
    }
}

fn signature(secret: &str, at_s: i64, body: &str) -> String {
    let key = STANDARD.decode(secret.trim_start_matches("whsec_")).expect("base64");
    let tag = hmac::sign(&hmac::Key::new(HMAC_SHA256, &key), format!("msg_1.{at_s}.{body}").as_bytes());
    format!("v1,{}", STANDARD.encode(tag.as_ref()))
}

#[tokio::test]
async fn a_notice_is_believed_once_it_is_known_whose_it_is() {
    const AT: i64 = 1_767_236_400;
    let courier = courier("http://127.0.0.1:9");
    let read = |secret: &str, signed_at: i64, body: &str, came: &str| {
        let (at, signature) = (signed_at.to_string(), signature(secret, signed_at, body));
        let header = |name: &str| match name {
            "webhook-id" => Some(&b"msg_1"[..]),
            "webhook-timestamp" => Some(at.as_bytes()),
            "webhook-signature" => Some(signature.as_bytes()),
            _ => None,
        };
        courier.notice(&header, came.as_bytes(), Timestamp::from_millis(AT * 1_000 + 500))
    };
    let reference = name().to_string();
    let of = |fields: &Value| {
        let mut body = event(fields);
        body["reference"] = fields.get("reference").cloned().unwrap_or_else(|| reference.as_str().into());
        body.to_string()
    };
    let body = of(&json!({}));
    for (secret, signed_at) in [(SECRET, AT), (OLD_SECRET, AT - 300), (SECRET, AT + 300)] {
        assert_eq!(read(secret, signed_at, &body, &body), Ok(CourierNotice::Told(told())));
    }
    for (secret, signed_at, came) in [
        (SECRET, AT - 301, body.clone()),
        (SECRET, AT + 301, body.clone()),
        ("whsec_BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB", AT, body.clone()),
        (SECRET, AT, body.replace("delivered", "refused")),
    ] {
        assert_eq!(read(secret, signed_at, &body, &came), Err(NoNotice::Forged));
    }
    let notice = |fields: &Value| read(SECRET, AT, &of(fields), &of(fields)).expect("it is signed");
    let partly = json!({
        "status": "partly_delivered", "collected": {"amount": "625.00", "currency": "BDT"},
        "lines": [{"sku_id": sku().to_string(), "quantity": 1}], "driver": "nobody's business",
    });
    let taken = CourierTold {
        status: CourierStatus::PartlyDelivered,
        collected: Some(Money::new(62_500, Currency::BDT)),
        lines: vec![WantedLine { sku: sku(), quantity: 1 }],
        ..told()
    };
    assert_eq!(notice(&partly), CourierNotice::Told(taken));
    assert_eq!(notice(&json!({"reference": "order_1.00000009"})), CourierNotice::Other);
    let twice = json!({"sku_id": sku().to_string(), "quantity": 1});
    for fields in [
        json!({"status": "cancelled"}),
        json!({"id": ""}),
        json!({"id": "ev/1"}),
        json!({"id": "x".repeat(65)}),
        json!({"at": "2026-01-01T09:00:00"}),
        json!({"at": "yesterday"}),
        json!({"at": "1969-12-31T23:59:59Z"}),
        json!({"at": "2100-01-01T00:00:00Z"}),
        json!({"collected": {"amount": "625", "currency": "BDT"}}),
        json!({"collected": {"amount": "-6.25", "currency": "BDT"}}),
        json!({"collected": {"amount": "6.25", "currency": "ZZZ"}}),
        json!({"lines": [{"sku_id": sku().to_string(), "quantity": -1}]}),
        json!({"lines": [{"sku_id": sku().to_string(), "quantity": limits::LINE_QUANTITY + 1}]}),
        json!({"lines": [{"sku_id": "sku_1", "quantity": 1}]}),
        json!({"lines": [twice, twice]}),
    ] {
        assert_eq!(notice(&fields), CourierNotice::Unreadable, "{fields}");
    }
    for unreadable in ["", "[]", "{}", "null"] {
        assert_eq!(read(SECRET, AT, unreadable, unreadable), Ok(CourierNotice::Unreadable), "{unreadable}");
    }
}
