//! The courier in `haat sandbox`, a process of its own, asked as a shop asks it: with every fault it has, and killed between what it was told and
//! what it answers.

use crate::process::{free_address, haat, until};
use crate::support::client::{Answer, Client};
use crate::support::redirect::{OLD_SECRET, SECRET};
use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use haat::adapters::courier::PlatformCourier;
use haat::adapters::platform::PlatformConfig;
use haat::domain::buyer::Mint;
use haat::domain::courier::{
    BookingAnswer, BookingCall, BookingStatus, CancelAnswer, CourierStatus, CourierTold, ParcelLine, ParcelName,
};
use haat::domain::ids::{OrderId, ShipmentId, SkuId};
use haat::domain::money::{Currency, Money};
use haat::domain::order::Address;
use haat::domain::time::Timestamp;
use haat::domain::vendor::WantedLine;
use haat::ports::couriers::{Courier, CourierNotice};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::process::Child;
use uuid::Uuid;

/// A running `haat sandbox` that only delivers; it ends with this.
struct Sandbox {
    client: Client,
    process: Child,
}

impl Sandbox {
    async fn start(directory: &Path, address: SocketAddr) -> Self {
        let mut command = haat();
        command.args(["sandbox", "--listen", &address.to_string(), "--data-dir"]).arg(directory);
        command.env("HAAT_COURIER_SECRET", format!("{SECRET},{OLD_SECRET}"));
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let process = command.spawn().expect("the binary runs");
        let client = Client::new(address);
        until("the courier answers", async || client.get("/").try_send().await.is_ok().then_some(())).await;
        Self { client, process }
    }

    /// As by `kill -9`; then it is started again on what it left.
    async fn killed_and_started(mut self, directory: &Path) -> Self {
        self.process.kill().await.expect("it runs and can be killed");
        Self::start(directory, self.client.address()).await
    }

    async fn book(&self) -> Vec<Value> {
        let book = self.client.get("/books/shipments").bearer(SECRET).send().await.expect(200);
        book.body["items"].as_array().expect("a book").clone()
    }

    async fn tell(&self, name: ParcelName, event: &Value) -> Answer {
        self.client.post(&format!("/books/shipments/{}/events", name.shipment), event).bearer(SECRET).send().await
    }
}

/// What notices are heard with, and where they go.
type Desk = (Arc<PlatformCourier>, Arc<Mutex<Vec<Came>>>);

/// A notice, as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Came {
    id: String,
    notice: Result<CourierNotice, haat::ports::NoNotice>,
}

/// Who hears notices: the shop's adapter.
struct Shop {
    courier: Arc<PlatformCourier>,
    heard: Arc<Mutex<Vec<Came>>>,
    address: SocketAddr,
}

#[expect(clippy::disallowed_methods, reason = "a process outside signs by the machine's clock")]
fn wall() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock");
    Timestamp::from_millis(i64::try_from(since.as_millis()).expect("a moment"))
}

impl Shop {
    fn new(sandbox: SocketAddr) -> Self {
        let address = free_address();
        let config = PlatformConfig {
            url: format!("http://{sandbox}"),
            secrets: vec![SECRET.to_owned()],
            public_url: format!("http://{address}"),
        };
        let courier = Arc::new(PlatformCourier::new(&config).expect("it can be asked"));
        Self { courier, heard: Arc::default(), address }
    }

    /// From now on somebody hears notices.
    async fn listen(&self) {
        let desk = (self.courier.clone(), self.heard.clone());
        let take = async |State((courier, heard)): State<Desk>, headers: HeaderMap, body: String| {
            let header = |name: &str| headers.get(name).map(|value| value.as_bytes());
            let notice = courier.notice(&header, body.as_bytes(), wall());
            let id = headers["webhook-id"].to_str().expect("an id").to_owned();
            heard.lock().expect("a list").push(Came { id, notice });
            StatusCode::OK
        };
        let router = Router::new().route("/v1/notices/couriers/platform", post(take)).with_state(desk);
        let listener = TcpListener::bind(self.address).await.expect("a port");
        tokio::spawn(async move { axum::serve(listener, router).await });
    }

    fn heard(&self) -> Vec<Came> {
        self.heard.lock().expect("a list").clone()
    }

    /// Waits for so many notices.
    async fn hears(&self, count: usize) -> Vec<Came> {
        until(format!("{count} notices"), async || (self.heard().len() >= count).then(|| self.heard())).await
    }

    /// What was told, in the order in which it came.
    async fn hears_of(&self, count: usize) -> Vec<(String, CourierStatus)> {
        let told = |came: Came| match came.notice {
            Ok(CourierNotice::Told(CourierTold { event, status, .. })) => (event, status),
            other => panic!("{other:?}"),
        };
        self.hears(count).await.into_iter().map(told).collect()
    }
}

fn name(number: u128) -> ParcelName {
    let (shipment, order) = (Uuid::from_u128(number), Uuid::from_u128(number + 1_000));
    ParcelName { shipment: ShipmentId::from_uuid(shipment), order: OrderId::from_uuid(order), mint: Mint([0, 0, 0, 9]) }
}

fn sku() -> SkuId {
    SkuId::from_uuid(Uuid::from_u128(3))
}

/// A parcel in whose address this word stands.
fn call(number: u128, word: &str) -> BookingCall {
    let to = Address {
        name: "Rumi".into(),
        line1: "1 Mirpur Road".into(),
        line2: Some(format!("Flat 4 {word}")),
        city: "Dhaka".into(),
        postcode: None,
        region: None,
        country: "BD".into(),
        phone: None,
    };
    let lines = vec![ParcelLine { sku: sku(), title: "Lungi".into(), quantity: 2 }];
    BookingCall { name: name(number), lines, to, collect: Some(Money::new(125_000, Currency::BDT)), slot: None }
}

fn status_of(answer: &BookingAnswer) -> BookingStatus {
    match answer {
        BookingAnswer::Booked(booking) => booking.status,
        BookingAnswer::Refused { why } => panic!("it is refused: {why}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_parcel_is_booked_once_whatever_its_answer_meets() {
    let directory = TempDir::new().expect("a directory");
    let mut sandbox = Sandbox::start(directory.path(), free_address()).await;
    let shop = Shop::new(sandbox.client.address());
    // What it meets, whether the first try and the second bring an answer, and whether it is in the books after the first.
    for (number, (word, first, second, is_booked)) in (1..).zip([
        ("", true, true, true),
        ("tok_ok", true, true, true),
        ("tok_slow_50", true, true, true),
        ("tok_lost_reply", false, true, true),
        ("tok_500_then_ok", false, true, false),
        ("tok_500_sticky", false, false, true),
        ("tok_other", false, false, true),
    ]) {
        let call = call(number, word);
        assert_eq!(shop.courier.book(&call).await.is_ok(), first, "{word}");
        let known = shop.courier.look_up(call.name).await.expect("an answer");
        assert_eq!(known.map(|booking| booking.status), is_booked.then_some(BookingStatus::Booked), "{word}");
        sandbox = sandbox.killed_and_started(directory.path()).await;
        // It has forgotten what it was asked before, and knows what it has booked.
        let known = shop.courier.look_up(call.name).await.expect("an answer");
        assert_eq!(known.is_some(), is_booked, "{word}");
        if first || second {
            let again = async || shop.courier.book(&call).await.ok();
            let booked = until("an answer", again).await;
            assert_eq!(status_of(&booked), BookingStatus::Booked, "{word}");
        }
    }
    let mut numbers: Vec<_> = sandbox.book().await.iter().map(|parcel| parcel["tracking_number"].to_string()).collect();
    numbers.dedup();
    assert_eq!(numbers.len(), 7, "each is there once");
    let other = BookingCall { collect: None, ..call(1, "") };
    let refused = |why: &str| Ok(BookingAnswer::Refused { why: why.into() });
    assert_eq!(shop.courier.book(&other).await, refused("other_shipment"));
    for word in ["tok_refuse", "tok_nonsense"] {
        assert_eq!(shop.courier.book(&call(20, word)).await, refused("address_unsupported"), "{word}");
        assert_eq!(shop.courier.look_up(name(20)).await, Ok(None));
    }
    let busy = call(21, "tok_429_5");
    shop.courier.book(&busy).await.expect_err("it has no time");
    shop.courier.book(&busy).await.expect_err("it is left alone");
    until("it is asked again", async || shop.courier.book(&busy).await.ok()).await;
    let never = call(22, "tok_never");
    tokio::time::timeout(Duration::from_millis(300), shop.courier.book(&never)).await.expect_err("no answer comes");
    assert_eq!(shop.courier.look_up(never.name).await, Ok(None));
    // Whoever has another secret, or one for money alone, hears nothing.
    for path in ["/books/shipments", "/books/charges"] {
        sandbox.client.get(path).bearer(OLD_SECRET).send().await.expect(401);
    }
    sandbox.client.get("/books/charges").bearer(SECRET).send().await.expect(401);
    let faulty =
        sandbox.client.get("/books/shipments").bearer(SECRET).header("haat-sandbox-fault", "429_7").send().await;
    assert_eq!(faulty.expect(429).header("retry-after"), Some("7"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancel_and_a_pick_up_have_one_outcome() {
    let directory = TempDir::new().expect("a directory");
    let sandbox = Sandbox::start(directory.path(), free_address()).await;
    let shop = Shop::new(sandbox.client.address());
    let cancel = async |number| shop.courier.cancel(name(number)).await;
    assert_eq!(cancel(1).await, Ok(CancelAnswer::Unknown));
    for (number, word) in
        [(1, ""), (2, "tok_ok.cancel_lost_reply"), (3, "tok_ok.cancel_refuse"), (4, "tok_ok.cancel_500_then_ok")]
    {
        shop.courier.book(&call(number, word)).await.expect("it is booked");
    }
    assert_eq!((cancel(1).await, cancel(1).await), (Ok(CancelAnswer::Cancelled), Ok(CancelAnswer::Cancelled)));
    let why = Ok(BookingAnswer::Refused { why: "cancelled".into() });
    assert_eq!(shop.courier.book(&call(1, "")).await, why, "it is not fetched under this name");
    assert_eq!(sandbox.tell(name(1), &json!({"status": "picked_up"})).await.expect(409).code(), "cancelled");
    cancel(2).await.expect_err("the answer is lost");
    let known = shop.courier.look_up(name(2)).await.expect("an answer").expect("it is known");
    assert_eq!((known.status, cancel(2).await), (BookingStatus::Cancelled, Ok(CancelAnswer::Cancelled)));
    // It is fetched just as it is cancelled.
    assert_eq!((cancel(3).await, cancel(3).await), (Ok(CancelAnswer::TooLate), Ok(CancelAnswer::TooLate)));
    let known = shop.courier.look_up(name(3)).await.expect("an answer").expect("it is known");
    let told: Vec<_> = known.told.iter().map(|told| told.status).collect();
    assert_eq!(told, [CourierStatus::PickedUp]);
    cancel(4).await.expect_err("nothing is done");
    sandbox.tell(name(4), &json!({"status": "picked_up"})).await.expect(201);
    assert_eq!(cancel(4).await, Ok(CancelAnswer::TooLate));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_becomes_of_a_parcel_is_told_signed_until_it_is_heard() {
    let directory = TempDir::new().expect("a directory");
    let sandbox = Sandbox::start(directory.path(), free_address()).await;
    let shop = Shop::new(sandbox.client.address());
    shop.courier.book(&call(1, "")).await.expect("it is booked");
    sandbox.tell(name(1), &json!({"status": "picked_up"})).await.expect(201);
    let taken = json!({
        "status": "partly_delivered", "collected": {"amount": "625.00", "currency": "BDT"},
        "lines": [{"sku_id": sku().to_string(), "quantity": 1}], "at": "2026-01-01T09:00:00+06:00",
    });
    let event = sandbox.tell(name(1), &taken).await.expect(201);
    assert_eq!(event.field("id"), "SBX000001-2");
    // Nobody has heard anything yet, and it dies.
    let sandbox = sandbox.killed_and_started(directory.path()).await;
    shop.listen().await;
    let told = CourierTold {
        event: "SBX000001-2".into(),
        name: name(1),
        status: CourierStatus::PartlyDelivered,
        at: Timestamp::from_millis(1_767_236_400_000),
        collected: Some(Money::new(62_500, Currency::BDT)),
        lines: vec![WantedLine { sku: sku(), quantity: 1 }],
    };
    let came = shop.hears(2).await;
    assert!(came.iter().any(|came| came.notice == Ok(CourierNotice::Told(told.clone()))), "{came:?}");
    let known = shop.courier.look_up(name(1)).await.expect("an answer").expect("it is known");
    assert_eq!(known.told.last(), Some(&told), "a look-up tells the same");
    // What was told is told again as it was.
    let again = json!({"status": "lost", "id": "SBX000001-2"});
    assert_eq!(sandbox.tell(name(1), &again).await.expect(201).body, event.body);
    assert_eq!(shop.hears(3).await[2].notice, Ok(CourierNotice::Told(told)));
    for (path, event, status, code) in [
        (name(9), json!({"status": "lost"}), 404, "unknown_shipment"),
        (name(1), json!({"status": "booked"}), 422, "invalid"),
        (name(1), json!({"status": "lost", "at": "soon"}), 422, "invalid"),
        (name(1), json!({"status": "lost", "collected": {"amount": "a lot", "currency": "BDT"}}), 422, "invalid"),
    ] {
        assert_eq!(sandbox.tell(path, &event).await.expect(status).code(), code, "{event}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn notices_come_late_doubled_turned_round_and_forged() {
    use CourierStatus::{Delivered, PickedUp};
    let directory = TempDir::new().expect("a directory");
    let sandbox = Sandbox::start(directory.path(), free_address()).await;
    for (word, expected) in [
        ("tok_duplicate_notice_2", vec![(1, PickedUp), (1, PickedUp), (2, Delivered), (2, Delivered)]),
        ("tok_reorder", vec![(2, Delivered), (1, PickedUp)]),
        ("tok_ok.notice_late_200", vec![(1, PickedUp), (2, Delivered)]),
    ] {
        let shop = Shop::new(sandbox.client.address());
        shop.listen().await;
        let number = 1 + sandbox.book().await.len();
        let name = name(number as u128);
        shop.courier.book(&call(number as u128, word)).await.expect("it is booked");
        for status in [PickedUp, Delivered] {
            sandbox.tell(name, &json!({"status": status})).await.expect(201);
        }
        let mut heard = shop.hears_of(expected.len()).await;
        if word.contains("duplicate") {
            // Those of two changes are sent beside each other; copies carry one id.
            heard.sort_by(|a, b| a.0.cmp(&b.0));
            let ids: std::collections::BTreeSet<_> = shop.heard().into_iter().map(|came| came.id).collect();
            assert_eq!(ids.len(), 2);
        }
        let expected: Vec<_> =
            expected.into_iter().map(|(event, status)| (format!("SBX{number:06}-{event}"), status)).collect();
        assert_eq!(heard, expected, "{word}");
    }
    for word in ["tok_bad_signature", "tok_stale"] {
        let shop = Shop::new(sandbox.client.address());
        shop.listen().await;
        let number = 1 + sandbox.book().await.len() as u128;
        shop.courier.book(&call(number, word)).await.expect("it is booked");
        sandbox.tell(name(number), &json!({"status": "delivered"})).await.expect(201);
        assert_eq!(shop.hears(1).await[0].notice, Err(haat::ports::NoNotice::Forged), "{word}");
    }
    let shop = Shop::new(sandbox.client.address());
    shop.listen().await;
    for (number, word) in [(50, "tok_ok.notice_never"), (51, "")] {
        shop.courier.book(&call(number, word)).await.expect("it is booked");
        sandbox.tell(name(number), &json!({"status": "delivered"})).await.expect(201);
    }
    let Ok(CourierNotice::Told(told)) = shop.hears(1).await.remove(0).notice else { panic!("it is told") };
    assert_eq!(told.name, name(51), "of the one before it nobody is told");
}
