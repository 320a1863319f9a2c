//! Waiting rooms: who comes in, with what, and until when.

use crate::live::Stream;
use crate::rates::Ahead;
use crate::support::client::{Answer, Buyer, Client, checkout_body};
use crate::support::{Server, TestStore, token};
use crate::{on_both_stores, until};
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::hmac;
use haat::app::Hooks;
use haat::http::auth::Bearer;
use haat::http::money::Moment;
use haat::ports::Clock as _;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::Ordering;

const SECOND_MS: i64 = 1_000;
/// How long those are waited for after a start who may be in the line.
const GRACE_MS: i64 = 60 * SECOND_MS;
const PAST: &str = "2026-01-01T00:00:00Z";

/// A shop with a clock of its own, and a sale that one must come in for by a room.
struct Hall {
    clock: Arc<Ahead>,
    server: Server,
    admin: String,
    room: String,
    sku: String,
}

fn taka(amount: &str) -> Value {
    json!({"amount": amount, "currency": "BDT"})
}

fn room(opens_at: &str, capacity: u32) -> Value {
    json!({"name": "11.11", "opens_at": opens_at, "capacity": capacity, "admit_per_minute": 60_000, "slot_seconds": 600})
}

async fn server(store: &TestStore, clock: &Arc<Ahead>) -> Server {
    Server::start_with(store.server(), Hooks { clock: Some(clock.clone()), ..Hooks::default() }).await
}

impl Hall {
    async fn new(store: &TestStore, room: &Value) -> Self {
        let clock = Arc::new(Ahead::default());
        let server = server(store, &clock).await;
        let admin = token(&Bearer::Admin("root".into()));
        let client = server.client;
        let (vendor, sku) = client.shop(&admin, "100.00", 100).await;
        let made = client.post("/v1/rooms", room).bearer(&admin).key("room").send().await.expect(201);
        let room = made.field("id").to_owned();
        let sale = json!({
            "name": "11.11", "starts_at": PAST, "ends_at": "2099-01-01T00:00:00Z", "time_zone": "UTC", "room_id": room,
            "items": [{"sku_id": sku, "price": taka("60.00"), "allotment": 50}],
        });
        let path = format!("/v1/vendors/{vendor}/sales");
        let sale = client.post(&path, &sale).bearer(&admin).send().await.expect(201);
        assert_eq!(sale.field("room_id"), room);
        Self { clock, server, admin, room, sku }
    }

    async fn restarts(self, store: &TestStore) -> Self {
        let Self { clock, server: before, admin, room, sku } = self;
        before.stop().await;
        let server = server(store, &clock).await;
        Self { clock, server, admin, room, sku }
    }

    fn client(&self) -> Client {
        self.server.client
    }

    fn later(&self, ms: i64) {
        self.clock.by_ms.fetch_add(ms, Ordering::SeqCst);
    }

    async fn buyer(&self) -> Buyer {
        self.client().buyer(&self.sku, 1).await
    }

    async fn shown(&self) -> Value {
        self.client().get(&format!("/v1/rooms/{}", self.room)).send().await.expect(200).body
    }

    async fn join(&self, buyer: &Buyer) -> Answer {
        let path = format!("/v1/rooms/{}/tickets", self.room);
        self.client().request("POST", &path).bearer(&buyer.token).send().await
    }

    async fn ticket(&self, buyer: &Buyer, verb: &str, ticket: &str, rest: &str) -> Answer {
        let path = format!("/v1/rooms/{}/tickets/{ticket}{rest}", self.room);
        self.client().request(verb, &path).bearer(&buyer.token).send().await
    }

    async fn look(&self, buyer: &Buyer, ticket: &str) -> Answer {
        self.later(3 * SECOND_MS);
        self.ticket(buyer, "GET", ticket, "").await.expect(200)
    }

    async fn enter(&self, buyer: &Buyer, ticket: &str) -> Answer {
        self.ticket(buyer, "POST", ticket, "/enter").await
    }

    async fn check_out(&self, buyer: &Buyer, entry: Option<&str>) -> Answer {
        let path = format!("/v1/carts/{}/checkout", buyer.cart);
        let asked = self.client().post(&path, &checkout_body("tok_approve")).bearer(&buyer.token);
        let asked = asked.header("prefer", "wait=20");
        match entry {
            Some(entry) => asked.header("haat-entry", entry).send().await,
            None => asked.send().await,
        }
    }

    async fn ends_clean(self, store: &TestStore) {
        self.server.stop().await;
        let report = haat::app::audit::audit(&store.config(), store.data_dir()).await.expect("an audit");
        assert!(report.is_clean(), "{report}");
    }
}

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).expect("hexadecimal digits")).collect()
}

on_both_stores! {
    /// Whoever came in buys, and nobody else: not without an entry, not with another's, and not with one that is over.
    async fn an_entry_is_good_for_whom_it_was_given_to_and_while_its_slot_lasts(store) {
        let hall = Hall::new(&store, &room(PAST, 2)).await;
        let (first, second, third) = (hall.buyer().await, hall.buyer().await, hall.buyer().await);
        let refused = hall.check_out(&first, None).await.expect(403);
        assert_eq!((refused.code(), refused.field("room_id")), ("entry_required", hall.room.as_str()));
        let orders = hall.client().get("/v1/orders").bearer(&hall.admin).send().await.expect(200);
        assert_eq!(orders.body["items"], json!([]), "it is refused before an order comes into being");

        let joined = hall.join(&first).await.expect(201);
        assert_eq!((joined.field("status"), &joined.body["number"]), ("called", &json!(0)));
        let of_first = joined.field("ticket").to_owned();
        assert_eq!(hall.join(&first).await.expect(201).field("ticket"), of_first, "again it is the same place");
        let entered = hall.enter(&first, &of_first).await.expect(201);
        let entry = entered.field("entry_token").to_owned();
        assert_eq!(hall.enter(&first, &of_first).await.expect(201).body, entered.body, "again it is the same entry");
        assert_eq!(hall.shown().await["admitted"], 1);

        // A shared link is worthless: to another cart, be it in the line or not.
        for other in [&second, &third] {
            assert_eq!(hall.check_out(other, Some(&entry)).await.expect(403).code(), "entry_invalid");
        }
        for wrong in ["", "x", "a.b.c", &entry[..entry.len() - 1], &format!("{entry},{entry}x")] {
            assert_eq!(hall.check_out(&first, Some(wrong)).await.expect(403).code(), "entry_invalid", "{wrong}");
        }
        let bought = hall.check_out(&first, Some(&entry)).await.expect(201);
        assert_eq!((bought.field("status"), &bought.body["lines"][0]["unit_price"]), ("paid", &taka("60.00")));
        // Who has bought makes room, without another word.
        until("the slot", async || (hall.shown().await["admitted"] == 0).then_some(())).await;
        assert_eq!(hall.ticket(&first, "GET", &of_first, "").await.expect(200).field("status"), "left");

        // The time of the second is over before it buys.
        let of_second = hall.join(&second).await.expect(201).field("ticket").to_owned();
        let entry = hall.enter(&second, &of_second).await.expect(201).field("entry_token").to_owned();
        hall.later(601 * SECOND_MS);
        assert_eq!(hall.check_out(&second, Some(&entry)).await.expect(403).code(), "entry_invalid");
        assert_eq!(hall.enter(&second, &of_second).await.expect(409).code(), "not_called");
        hall.ends_clean(&store).await;
    }

    /// A room that guards carts, too.
    async fn a_cart_is_filled_by_those_who_are_in(store) {
        let mut guarded = room(PAST, 1);
        guarded["guards"] = json!("cart");
        let hall = Hall::new(&store, &guarded).await;
        let client = hall.client();
        let (_, free) = client.shop(&hall.admin, "5.00", 9).await;
        let buyer = client.buyer(&free, 1).await;
        let shown = client.get(&format!("/v1/skus/{}", hall.sku)).send().await.expect(200);
        assert_eq!(shown.body["sale"]["room_id"], hall.room);
        let refused = client.set_line(&buyer, &hall.sku, 1).await.expect(403);
        assert_eq!((refused.code(), refused.field("room_id")), ("entry_required", hall.room.as_str()));
        let ticket = hall.join(&buyer).await.expect(201).field("ticket").to_owned();
        let entry = hall.enter(&buyer, &ticket).await.expect(201).field("entry_token").to_owned();
        let path = format!("/v1/carts/{}/lines/{}", buyer.cart, hall.sku);
        let put = |entry: &str| client.request("PUT", &path).json(&json!({"quantity": 1})).bearer(&buyer.token).header("haat-entry", entry).send();
        assert_eq!(put("x").await.expect(403).code(), "entry_invalid");
        put(&entry).await.expect(200);
        assert_eq!(hall.check_out(&buyer, Some(&entry)).await.expect(201).field("status"), "paid");
        hall.ends_clean(&store).await;
    }

    /// The server dies in the middle of the line.
    async fn a_line_goes_on_after_a_restart(store) {
        let hall = Hall::new(&store, &room(PAST, 1)).await;
        let (first, second, third) = (hall.buyer().await, hall.buyer().await, hall.buyer().await);
        let mut tickets = Vec::new();
        for (buyer, status) in [(&first, "called"), (&second, "waiting"), (&third, "waiting")] {
            let joined = hall.join(buyer).await.expect(201);
            assert_eq!(joined.field("status"), status);
            tickets.push(joined.field("ticket").to_owned());
        }
        let waits = hall.look(&third, &tickets[2]).await;
        assert_eq!((&waits.body["number"], &waits.body["position"], &waits.body["ahead"]), (&json!(2), &json!(2), &json!(1)));
        assert_eq!(waits.body["estimated_wait_seconds"], Value::Null, "nobody knows yet");
        let entry = hall.enter(&first, &tickets[0]).await.expect(201).field("entry_token").to_owned();

        let hall = hall.restarts(&store).await;
        // Who was let in is in, and its entry is the same.
        assert_eq!(hall.enter(&first, &tickets[0]).await.expect(201).field("entry_token"), entry);
        // The third asks first, the second a little later: it is before the third all the same. A new one has a number that nobody had.
        assert_eq!(hall.look(&third, &tickets[2]).await.field("status"), "waiting");
        let new = hall.buyer().await;
        let joined = hall.join(&new).await.expect(201);
        assert!(joined.body["number"].as_u64() > Some(2), "{:?}", joined.body);
        assert_eq!(hall.ticket(&first, "DELETE", &tickets[0], "").await.expect(204).body, Value::Null);
        assert_eq!(hall.look(&second, &tickets[1]).await.field("status"), "waiting", "there may be others who have not asked");
        hall.later(GRACE_MS);
        assert_eq!(hall.look(&second, &tickets[1]).await.field("status"), "called");
        assert_eq!(hall.look(&third, &tickets[2]).await.body["position"], 1);
        let entry = hall.enter(&second, &tickets[1]).await.expect(201).field("entry_token").to_owned();
        assert_eq!(hall.check_out(&second, Some(&entry)).await.expect(201).field("status"), "paid");
        until("the third", async || (hall.look(&third, &tickets[2]).await.field("status") == "called").then_some(())).await;
        hall.ends_clean(&store).await;
    }

    /// Who comes before a room opens is drawn: anyone can draw again, with what is shown when it opens.
    async fn those_who_come_early_are_drawn_and_anyone_can_draw_again(store) {
        let opens_at = Ahead::default().now().plus_millis(45 * SECOND_MS);
        let hall = Hall::new(&store, &room(&Moment(opens_at).to_string(), 1)).await;
        let before = hall.shown().await;
        assert_eq!((&before["status"], &before["seed"]), (&json!("scheduled"), &Value::Null));
        let mut early = Vec::new();
        for _ in 0..6 {
            let buyer = hall.buyer().await;
            let joined = hall.join(&buyer).await.expect(201);
            let shown = ["number", "draw", "position", "ahead"].map(|field| joined.body[field].clone());
            assert_eq!((joined.field("status"), shown), ("waiting", [(); 4].map(|()| Value::Null)));
            early.push((buyer, joined.field("ticket").to_owned()));
        }
        assert_eq!(hall.join(&early[0].0).await.expect(201).field("ticket"), early[0].1, "a second place cannot be had");
        hall.later(45 * SECOND_MS);
        let open = hall.shown().await;
        assert_eq!(open["status"], "open");
        let seed = bytes(open["seed"].as_str().expect("the seed"));
        assert_eq!(digest(&SHA256, &seed).as_ref(), bytes(before["seed_hash"].as_str().expect("its hash")));
        let key = hmac::Key::new(hmac::HMAC_SHA256, &seed);
        let mut drawn = Vec::new();
        for (buyer, ticket) in &early {
            let shown = hall.look(buyer, ticket).await;
            let tag = hmac::sign(&key, format!("{}/{}", hall.room, buyer.cart).as_bytes());
            let draw: String = tag.as_ref()[..8].iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(shown.field("draw"), draw);
            drawn.push((draw, shown.field("status").to_owned(), shown.body["ahead"].clone()));
        }
        drawn.sort_by(|(one, ..), (other, ..)| one.cmp(other));
        assert_eq!(drawn[0].1, "called");
        let ahead: Vec<_> = drawn[1..].iter().map(|(_, _, ahead)| ahead.clone()).collect();
        assert_eq!(ahead, (0..5).map(|ahead| json!(ahead)).collect::<Vec<_>>());
        // Who comes now has a number, and is behind all of them.
        let late = hall.buyer().await;
        let joined = hall.join(&late).await.expect(201);
        assert_eq!((&joined.body["number"], &joined.body["ahead"]), (&json!(0), &json!(5)));
        hall.ends_clean(&store).await;
    }

    /// Whoever reads a place's events need not ask: it is present, and hears when it is called and why nothing more comes.
    async fn a_place_is_told_as_it_goes_on(store) {
        let hall = Hall::new(&store, &room(PAST, 1)).await;
        let (first, second, third) = (hall.buyer().await, hall.buyer().await, hall.buyer().await);
        let mut tickets = Vec::new();
        for buyer in [&first, &second, &third] {
            tickets.push(hall.join(buyer).await.expect(201).field("ticket").to_owned());
        }
        let path = |ticket: &str| format!("/v1/rooms/{}/tickets/{ticket}/events", hall.room);
        let watch = async |buyer: &Buyer, ticket: &str| {
            Stream::open(hall.client(), &path(ticket), &[("authorization", &format!("Bearer {}", buyer.token))]).await
        };
        hall.client().get(&path(&tickets[1])).send().await.expect(401);
        assert_eq!(hall.ticket(&first, "GET", &tickets[1], "/events").await.expect(404).code(), "ticket_unknown");

        let (mut seconds, mut thirds) = (watch(&second, &tickets[1]).await, watch(&third, &tickets[2]).await);
        let told = |stream: (String, Value)| {
            assert_eq!(stream.0, "ticket", "{}", stream.1);
            (stream.1["status"].clone(), stream.1["position"].clone())
        };
        assert_eq!(told(seconds.event().await), (json!("waiting"), json!(1)));
        assert_eq!(told(thirds.event().await), (json!("waiting"), json!(2)));
        hall.ticket(&first, "DELETE", &tickets[0], "").await.expect(204);
        assert_eq!(told(seconds.event().await), (json!("called"), Value::Null));
        assert_eq!(told(thirds.event().await), (json!("waiting"), json!(1)));
        hall.ticket(&second, "DELETE", &tickets[1], "").await.expect(204);
        assert_eq!(seconds.end().await, "over");
        assert_eq!(told(thirds.event().await), (json!("called"), Value::Null));
        hall.server.stop().await;
        assert_eq!(thirds.end().await, "stopping");
    }

    /// Who waits for nothing is told so, and that what is held may come back.
    async fn whoever_waits_for_what_is_sold_out_is_told(store) {
        let hall = Hall::new(&store, &room(PAST, 2)).await;
        let (client, waits) = (hall.client(), hall.buyer().await);
        assert_eq!((hall.shown().await.get("closed"), hall.shown().await.get("holds_open")), (None, None));
        let ticket = hall.join(&waits).await.expect(201).field("ticket").to_owned();
        // All fifty are held for an order whose card answers late, and that is not what it says.
        let first = client.buyer(&hall.sku, 50).await;
        let of_first = hall.join(&first).await.expect(201).field("ticket").to_owned();
        let entry = hall.enter(&first, &of_first).await.expect(201).field("entry_token").to_owned();
        let path = format!("/v1/carts/{}/checkout", first.cart);
        let asked = client.post(&path, &checkout_body("tok_slow_60000")).bearer(&first.token).header("haat-entry", &entry);
        let order = asked.send().await.expect(201).field("id").to_owned();
        until("what is held", async || (hall.shown().await["holds_open"] == 50).then_some(())).await;
        assert_eq!(hall.look(&waits, &ticket).await.body["holds_open"], 50);
        let cancel = client.post(&format!("/v1/orders/{order}/cancel"), &json!({})).bearer(&first.token);
        assert!(cancel.send().await.status < 300);
        until("what came back", async || hall.shown().await.get("holds_open").is_none().then_some(())).await;

        let second = client.buyer(&hall.sku, 50).await;
        let left = hall.ticket(&first, "DELETE", &of_first, "").await;
        assert_eq!(left.status, 204);
        let of_second = hall.join(&second).await.expect(201).field("ticket").to_owned();
        let entry = hall.enter(&second, &of_second).await.expect(201).field("entry_token").to_owned();
        assert_eq!(hall.check_out(&second, Some(&entry)).await.expect(201).field("status"), "paid");
        until("the end", async || (hall.shown().await["closed"] == "sold_out").then_some(())).await;
        assert_eq!(hall.look(&waits, &ticket).await.body["closed"], "sold_out");
        hall.ends_clean(&store).await;
    }

    async fn what_makes_no_sense_is_refused(store) {
        let hall = Hall::new(&store, &room(PAST, 1)).await;
        let (client, buyer, other) = (hall.client(), hall.buyer().await, hall.buyer().await);
        for (field, value) in [
            ("name", json!("")), ("opens_at", json!("soon")), ("closes_at", json!(PAST)), ("capacity", json!(0)),
            ("capacity", json!(100_001)), ("capacity", json!(1.5)), ("admit_per_minute", json!(0)),
            ("claim_seconds", json!(3_601)), ("slot_seconds", json!(86_401)), ("guards", json!("door")), ("seed", json!("aa")),
        ] {
            let mut body = room(PAST, 1);
            body[field] = value;
            let refused = client.post("/v1/rooms", &body).bearer(&hall.admin).send().await.expect(422);
            assert_eq!((refused.code(), &refused.body["errors"][0]["field"]), ("invalid_body", &json!(field)), "{refused:?}");
        }
        client.post("/v1/rooms", &room(PAST, 1)).bearer(&buyer.token).send().await.expect(403);
        client.post("/v1/rooms", &room(PAST, 1)).send().await.expect(401);
        // The same key gives the same room.
        let again = client.post("/v1/rooms", &room(PAST, 1)).bearer(&hall.admin).key("room").send().await.expect(201);
        assert_eq!((again.field("id"), again.header("idempotent-replayed")), (hall.room.as_str(), Some("true")));
        let nowhere = "room_01h2xcejqtf2nbrexx3vqjhp41";
        for path in [format!("/v1/rooms/{nowhere}"), "/v1/rooms/x".to_owned()] {
            assert_eq!(client.get(&path).send().await.expect(404).code(), "room_unknown");
        }
        let path = format!("/v1/rooms/{nowhere}/tickets");
        assert_eq!(client.request("POST", &path).bearer(&buyer.token).send().await.expect(404).code(), "room_unknown");
        let path = format!("/v1/rooms/{}/tickets", hall.room);
        client.request("POST", &path).send().await.expect(401);
        client.request("POST", &path).bearer(&hall.admin).send().await.expect(403);

        let joined = hall.join(&buyer).await.expect(201);
        let ticket = joined.field("ticket").to_owned();
        for (whose, ticket) in [(&other, ticket.as_str()), (&buyer, "x"), (&buyer, "ticket_e30.x.x"), (&buyer, &ticket[..ticket.len() - 1])] {
            for (verb, rest) in [("GET", ""), ("DELETE", ""), ("POST", "/enter")] {
                assert_eq!(hall.ticket(whose, verb, ticket, rest).await.expect(404).code(), "ticket_unknown", "{verb} {ticket}");
            }
        }
        // Whoever asks without a pause is told when to ask again.
        let early = hall.ticket(&buyer, "GET", &ticket, "").await.expect(429);
        assert_eq!((early.code(), early.header("retry-after")), ("room_poll_too_soon", Some("2")));
        let waits = hall.join(&other).await.expect(201).field("ticket").to_owned();
        assert_eq!(hall.enter(&other, &waits).await.expect(409).code(), "not_called");
        hall.ticket(&other, "DELETE", &waits, "").await.expect(204);
        assert_eq!(hall.look(&other, &waits).await.field("status"), "left");

        let mut closed = room(PAST, 1);
        closed["closes_at"] = json!("2026-01-02T00:00:00Z");
        let closed = client.post("/v1/rooms", &closed).bearer(&hall.admin).send().await.expect(201);
        assert_eq!(closed.field("status"), "closed");
        let path = format!("/v1/rooms/{}/tickets", closed.field("id"));
        assert_eq!(client.request("POST", &path).bearer(&buyer.token).send().await.expect(409).code(), "room_closed");
        let sale = json!({
            "name": "12.12", "starts_at": PAST, "ends_at": "2099-01-01T00:00:00Z", "time_zone": "UTC", "room_id": nowhere,
            "items": [{"sku_id": hall.sku, "price": taka("60.00"), "allotment": 5}],
        });
        let (vendor, _) = client.shop(&hall.admin, "1.00", 1).await;
        let path = format!("/v1/vendors/{vendor}/sales");
        assert_eq!(client.post(&path, &sale).bearer(&hall.admin).send().await.expect(404).code(), "room_unknown");
        hall.ends_clean(&store).await;
    }
}
