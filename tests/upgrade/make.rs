//! Makes a store in which everything stands that a store can hold, by the real engine: commands that panic whenever they are tried hold orders
//! where they are, and the store is taken down while its server runs, as `kill -9` would leave it.

use crate::cases::{CASES, FAILING, Of, REFUSED, VENDORS};
use crate::dump;
use crate::golden::{Files, patient, with_archive};
use crate::support::client::{Answer, Buyer, Client, Request, checkout_body};
use crate::support::journal::Gate;
use crate::support::{Kind, Server, TestStore, token};
use crate::told::{Seen, Told, ToldAnswer, ToldOrder, made_of_the_journal};
use haat::app::Hooks;
use haat::app::archive::{Before, archive};
use haat::domain::ids::{CartId, CustomerId, EntityId, EntityRef, OrderId};
use haat::http::auth::Bearer;
use haat::persistence::archived::with_archive as joined;
use haat::persistence::{self, Mode, Place, StoreConfig};
use parking_lot::Mutex;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use uuid::Uuid;

const ADMIN: &str = "admin root";
const CUSTOMER: Uuid = Uuid::from_u128(0x0188_bac7_4afa_78aa_bc3b_bd1e_ef28_d881);
/// The price of what a constraint refuses, in minor units and as a text.
const REFUSED_PRICE: (i64, &str) = (77_700, "777.00");
/// How often what must be caught between two checkpoints is tried.
const TRIES: usize = 20;

/// Commands of one entity that begin so, and name this vendor, panic.
#[derive(Clone)]
struct Fault {
    entity: EntityRef,
    begins: &'static str,
    names: String,
}

/// The bearer of a [`ToldAnswer::who`].
pub fn bearer(who: &str) -> Option<Bearer> {
    match who.split_once(' ')? {
        ("admin", name) => Some(Bearer::Admin(name.into())),
        ("guest", cart) => Some(Bearer::Guest(cart.parse().expect("a cart"))),
        ("customer", customer) => Some(Bearer::Customer(customer.parse().expect("a customer"))),
        _ => panic!("{who}"),
    }
}

/// What of an answer is the same whenever it is given.
pub fn lasting(mut body: Value) -> Value {
    if let Some(fields) = body.as_object_mut() {
        fields.remove("token");
        fields.remove("request_id");
    }
    body
}

/// A store that becomes a golden one.
struct Maker {
    store: TestStore,
    faults: Arc<Mutex<Vec<Fault>>>,
    gate: Gate,
    /// How often a vendor was asked to hold.
    reserves: Arc<AtomicUsize>,
    answers: Vec<ToldAnswer>,
    vendors: Vec<String>,
    /// A SKU of each vendor, of which there is enough.
    skus: Vec<String>,
    sold_out: String,
    scarce: String,
}

impl Maker {
    async fn new(kind: Kind) -> Self {
        Self {
            store: TestStore::new(kind).await,
            faults: Arc::default(),
            gate: Gate::default(),
            reserves: Arc::default(),
            answers: Vec::new(),
            vendors: Vec::new(),
            skus: Vec::new(),
            sold_out: String::new(),
            scarce: String::new(),
        }
    }

    /// A server on the store, which holds and waits so long.
    async fn server(&self, hold_ms: i64, payment_ms: i64) -> Server {
        let mut config = self.store.server();
        (config.node.shop.hold_ms, config.node.shop.payment_ms) = (hold_ms, payment_ms);
        config.http.request_timeout = Duration::from_secs(5);
        let (faults, gate, reserves) = (self.faults.clone(), self.gate.clone(), self.reserves.clone());
        let hooks = Hooks {
            on_decide: Some(Arc::new(move |entity, command| {
                let command = format!("{command:?}");
                if command.starts_with("Reserve") {
                    reserves.fetch_add(1, Ordering::SeqCst);
                }
                let hit = |fault: &Fault| {
                    fault.entity == entity && command.starts_with(fault.begins) && command.contains(&fault.names)
                };
                let hit = faults.lock().iter().any(hit);
                assert!(!hit, "as it was told to: {command}");
            })),
            journal: Some(Arc::new(move |journal| gate.wrap(journal))),
            on_fatal: None,
            clock: None,
        };
        Server::start_with(config, hooks).await
    }

    fn fault(&self, entity: EntityRef, begins: &'static str, names: impl Into<String>) {
        self.faults.lock().push(Fault { entity, begins, names: names.into() });
    }

    /// Asks under a key, and writes down what was answered.
    async fn keyed(&mut self, client: &Client, what: &str, who: &str, path: &str, body: Value, status: u16) -> Answer {
        self.keyed_waiting(client, what, who, path, body, status, None).await
    }

    #[expect(clippy::too_many_arguments, reason = "a request, all of which is written down")]
    async fn keyed_waiting(
        &mut self,
        client: &Client,
        what: &str,
        who: &str,
        path: &str,
        body: Value,
        status: u16,
        prefer: Option<&str>,
    ) -> Answer {
        let key = format!("golden-{}", self.answers.len());
        let told = ToldAnswer {
            what: what.to_owned(),
            who: who.to_owned(),
            path: path.to_owned(),
            key,
            prefer: prefer.map(str::to_owned),
            asked: body,
            status,
            answer: Value::Null,
        };
        let answer = ask(client, &told, &token).send().await.expect(status);
        self.answers.push(ToldAnswer { answer: lasting(answer.body.clone()), ..told });
        answer
    }

    /// A vendor with a product of one SKU, and the SKU.
    async fn vendor(&mut self, client: &Client, number: usize, price: &str) {
        let body = json!({"name": VENDORS[number]});
        let vendor = self.keyed(client, "a new vendor", ADMIN, "/v1/vendors", body, 201).await.field("id").to_owned();
        let sku = self.product(client, &vendor, "Quilt", price, 60).await;
        self.vendors.push(vendor);
        self.skus.push(sku);
    }

    async fn product(&mut self, client: &Client, vendor: &str, title: &str, price: &str, on_hand: i64) -> String {
        let sku = json!({"code": title, "price": {"amount": price, "currency": "BDT"}, "on_hand": on_hand});
        let body = json!({"title": title, "category": "kantha", "skus": [sku]});
        let path = format!("/v1/vendors/{vendor}/products");
        let product = self.keyed(client, "a new product", ADMIN, &path, body, 201).await;
        product.body["skus"][0]["id"].as_str().expect("a SKU").to_owned()
    }

    async fn checkout(&mut self, client: &Client, what: &str, buyer: &Buyer, body: Value, status: u16) -> Answer {
        let (who, path) = (format!("guest {}", buyer.cart), format!("/v1/carts/{}/checkout", buyer.cart));
        self.keyed_waiting(client, what, &who, &path, body, status, None).await
    }

    /// What is sold, and refused, and cancelled, on days when all goes well.
    async fn ordinary_days(&mut self) {
        let server = self.server(900_000, 600_000).await;
        let client = server.client;
        for (number, price) in ["10.00", "20.00", "30.00"].into_iter().enumerate() {
            self.vendor(&client, number, price).await;
        }
        let (first, second) = (self.vendors[0].clone(), self.vendors[1].clone());
        self.scarce = self.product(&client, &first, "Last piece", "5.00", 1).await;
        self.sold_out = self.product(&client, &second, "Sold soon", "6.00", 3).await;
        let none = self.product(&client, &second, "Never there", "7.00", 0).await;
        let stock = format!("/v1/vendors/{first}/skus/{}/stock", self.skus[0]);
        self.keyed(&client, "stock", ADMIN, &stock, json!({"delta": 5, "reason": "found"}), 200).await;
        let less = json!({"delta": -1000, "reason": "lost"});
        self.keyed(&client, "stock that is not there", ADMIN, &stock, less, 409).await;
        let failing = self.vendors[FAILING].clone();
        self.fault(entity(&failing), "AdjustStock", "poison");
        let path = format!("/v1/vendors/{failing}/skus/{}/stock", self.skus[FAILING]);
        let poison = json!({"delta": 1, "reason": "poison"});
        client.post(&path, &poison).bearer(&token(&bearer(ADMIN).expect("one"))).send().await.expect(503);
        self.keyed(&client, "a poisoned command", ADMIN, &path, poison, 409).await;

        let who = format!("customer {}", CustomerId::from_uuid(CUSTOMER));
        let cart = self.keyed(&client, "a customer's cart", &who, "/v1/carts", json!({}), 201).await;
        let customer = token(&bearer(&who).expect("one"));
        let buyer = Buyer { cart: cart.field("id").to_owned(), token: customer };
        client.set_line(&buyer, &self.skus[0], 2).await.expect(200);
        client.set_line(&buyer, &self.skus[1], 1).await.expect(200);
        let path = format!("/v1/carts/{}/checkout", buyer.cart);
        let wait = Some("wait=4");
        let body = checkout_body("tok_approve");
        let paid = self.keyed_waiting(&client, "a paid order of two vendors", &who, &path, body, 201, wait).await;
        assert_eq!(paid.field("status"), "paid");
        let share = paid.body["sub_orders"][0]["id"].as_str().expect("an id");
        let refunds = format!("/v1/orders/{}/sub-orders/{share}/refunds", paid.field("id"));
        let more = json!({"amount": {"amount": "1000000.00", "currency": "BDT"}, "reason": "goodwill"});
        self.keyed(&client, "a refund of more than was paid", ADMIN, &refunds, more, 409).await;

        let buyer = client.buyer(&self.skus[0], 1).await;
        let (guest, path) = (format!("guest {}", buyer.cart), format!("/v1/carts/{}/checkout", buyer.cart));
        let body = checkout_body("tok_decline");
        let failed = self.keyed_waiting(&client, "a declined order", &guest, &path, body, 201, wait).await;
        assert_eq!(failed.field("status"), "payment_failed");
        self.checkout(&client, "the next order of the same cart", &buyer, checkout_body("tok_approve"), 201).await;

        let cart = client.post("/v1/carts", &json!({})).send().await.expect(201);
        let empty = Buyer { cart: cart.field("id").to_owned(), token: cart.field("token").to_owned() };
        self.checkout(&client, "an empty cart", &empty, checkout_body("tok_approve"), 409).await;
        let buyer = client.buyer(&none, 1).await;
        self.checkout(&client, "sold out, says the cart", &buyer, checkout_body("tok_approve"), 409).await;
        let buyer = client.buyer(&self.skus[0], 1).await;
        let mut body = checkout_body("tok_approve");
        body["expected_total"] = json!({"amount": "9.00", "currency": "BDT"});
        self.checkout(&client, "another price", &buyer, body, 409).await;
        self.checkout(&client, "a slow payment", &buyer, checkout_body("tok_slow_60000"), 201).await;
        let order = OrderId::for_attempt(buyer.cart.parse().expect("a cart"), 2);
        let cancel = format!("/v1/orders/{order}/cancel");
        self.keyed(&client, "a cancel", &format!("guest {}", buyer.cart), &cancel, json!({}), 200).await;
        self.of_two_the_last_piece(&client).await;
        self.cancelled_while_it_is_placed(&client).await;

        let price = json!({"price": {"amount": "5.50", "currency": "BDT"}});
        let path = format!("/v1/vendors/{first}/skus/{}", self.scarce);
        let admin = token(&bearer(ADMIN).expect("one"));
        client.request("PATCH", &path).json(&price).bearer(&admin).send().await.expect(200);
        server.stop().await;
    }

    /// Both carts see it as long as no commit comes through.
    async fn of_two_the_last_piece(&mut self, client: &Client) {
        let buyers = [client.buyer(&self.scarce, 1).await, client.buyer(&self.scarce, 1).await];
        let asked = self.reserves.load(Ordering::SeqCst);
        self.gate.hold();
        let [one, other] = &buyers;
        let (client, one) = (*client, one.clone());
        let first = tokio::spawn(async move { client.checkout(&one, "tok_approve").send().await });
        self.gate.somebody_waits().await;
        let (gate, reserves) = (self.gate.clone(), self.reserves.clone());
        let let_go = tokio::spawn(async move {
            while reserves.load(Ordering::SeqCst) < asked + 2 {
                tokio::task::yield_now().await;
            }
            gate.let_go();
        });
        let body = checkout_body("tok_approve");
        let refused = self.checkout(&client, "sold out, says the vendor", other, body, 409).await;
        assert_eq!(refused.code(), "out_of_stock");
        first.await.expect("no panic").expect(201);
        let_go.await.expect("no panic");
    }

    /// Its stock is held, of which it never hears.
    async fn cancelled_while_it_is_placed(&mut self, client: &Client) {
        let buyer = client.buyer(&self.skus[0], 1).await;
        let order = OrderId::for_attempt(buyer.cart.parse().expect("a cart"), 1);
        self.fault(order.entity(), "StockHeld", "");
        let (client, guest) = (*client, buyer.token.clone());
        let cancels = tokio::spawn(async move {
            let path = format!("/v1/orders/{order}/cancel");
            while client.post(&path, &json!({})).bearer(&guest).send().await.status != 200 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        });
        self.checkout(&client, "cancelled while it was placed", &buyer, checkout_body("tok_approve"), 409).await;
        cancels.await.expect("no panic");
    }

    /// What runs out of time.
    async fn short_days(&mut self) {
        let server = self.server(60_000, 1_500).await;
        let client = server.client;
        let slow = client.buyer(&self.skus[0], 1).await;
        let unheard = client.buyer(&self.skus[0], 1).await;
        let order = |buyer: &Buyer| OrderId::for_attempt(buyer.cart.parse().expect("a cart"), 1);
        self.fault(order(&unheard).entity(), "StockHeld", "");
        client.checkout(&slow, "tok_slow_60000").send().await.expect(201);
        self.checkout(&client, "expired while it was placed", &unheard, checkout_body("tok_approve"), 409).await;
        for buyer in [&slow, &unheard] {
            while client.order(&buyer.token, &order(buyer).to_string()).await.expect(200).field("status") != "expired" {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
        server.stop().await;
        let server = self.server(0, 600_000).await;
        let client = server.client;
        let buyer = client.buyer(&self.skus[0], 1).await;
        self.checkout(&client, "a hold that is over", &buyer, checkout_body("tok_approve"), 409).await;
        server.stop().await;
    }

    /// A constraint refuses what has one price. It goes again once it has refused.
    async fn constraint(&self, there: bool) {
        let price = REFUSED_PRICE.0;
        let sql = match (self.store.kind, there) {
            (Kind::Postgres, true) => format!(
                "ALTER TABLE skus ADD CONSTRAINT golden CHECK (price_minor <> {price});
                 ALTER TABLE orders ADD CONSTRAINT golden CHECK (total <> {price});"
            ),
            (Kind::Postgres, false) => {
                "ALTER TABLE skus DROP CONSTRAINT golden; ALTER TABLE orders DROP CONSTRAINT golden;".to_owned()
            }
            (Kind::Sqlite, true) => format!(
                "CREATE TRIGGER golden_skus BEFORE INSERT ON skus WHEN NEW.price_minor = {price}
                     BEGIN SELECT RAISE(ABORT, 'golden'); END;
                 CREATE TRIGGER golden_orders BEFORE INSERT ON orders WHEN NEW.total = {price}
                     BEGIN SELECT RAISE(ABORT, 'golden'); END;"
            ),
            (Kind::Sqlite, false) => "DROP TRIGGER golden_skus; DROP TRIGGER golden_orders;".to_owned(),
        };
        dump::execute(&self.store, &sql).await;
    }

    /// Orders that stand still where they are.
    async fn in_the_middle(&mut self, client: &Client) -> Vec<ToldOrder> {
        let mut orders = Vec::new();
        let mut asked = Vec::new();
        for case in &CASES {
            let buyer = client.buyer(&self.skus[case.vendors[0]], 1).await;
            for vendor in &case.vendors[1..] {
                client.set_line(&buyer, &self.skus[*vendor], 1).await.expect(200);
            }
            let cart: CartId = buyer.cart.parse().expect("a cart");
            let order = OrderId::for_attempt(cart, 1);
            for (of, begins, vendor) in case.faults {
                let entity = match of {
                    Of::Cart => cart.entity(),
                    Of::Order => order.entity(),
                    Of::Vendor(number) => entity(&self.vendors[*number]),
                };
                let names = match of {
                    Of::Vendor(_) => order.to_string(),
                    _ => vendor.map_or_else(String::new, |number| self.vendors[number].clone()),
                };
                self.fault(entity, begins, names);
            }
            orders.push(ToldOrder {
                what: case.what.to_owned(),
                cart: buyer.cart.clone(),
                order: order.to_string(),
                due: 0,
                ends: case.ends.to_owned(),
                ends_in_time: case.ends_in_time.to_owned(),
            });
            let client = *client;
            asked.push(tokio::spawn(async move {
                // Not all of them are answered in time.
                let _ = client.checkout(&buyer, case.card).send().await;
                while case.cancel && client.order(&buyer.token, &order.to_string()).await.body["status"] != "cancelled"
                {
                    let paying = client.order(&buyer.token, &order.to_string()).await.expect(200);
                    if paying.field("status") != "awaiting_payment" {
                        continue;
                    }
                    let path = format!("/v1/orders/{order}/cancel");
                    client.post(&path, &json!({})).bearer(&buyer.token).send().await.expect(200);
                    break;
                }
            }));
        }
        for asked in asked {
            asked.await.expect("no panic");
        }
        orders
    }

    /// A cart that checks out, and whose order panics whenever it is placed.
    async fn without_its_order(&mut self, client: &Client) -> ToldOrder {
        let buyer = client.buyer(&self.skus[0], 1).await;
        let order = OrderId::for_attempt(buyer.cart.parse().expect("a cart"), 1);
        self.fault(order.entity(), "Place", "");
        let _ = client.checkout(&buyer, "tok_approve").send().await;
        ToldOrder {
            what: "a cart in checkout without its order".into(),
            cart: buyer.cart,
            order: order.to_string(),
            due: 0,
            ends: "paid".into(),
            ends_in_time: "paid".into(),
        }
    }

    /// All that its journal makes.
    async fn told(&self) -> (BTreeMap<String, Seen>, i64) {
        let store = persistence::open(&patient(&self.store), Mode::Tool).await.expect("the store opens");
        let place = Place::Archive(with_archive(&self.store).archive.expect("an archive"));
        let config = StoreConfig { place, ..patient(&self.store) };
        let archive = persistence::open(&config, Mode::Tool).await.expect("the archive opens");
        made_of_the_journal(&joined(store, &archive).await.expect("its own archive"), |_| None).await
    }

    /// Waits until every order stands where it is to stand still.
    async fn stands_still(&self, orders: &mut [ToldOrder]) {
        let waiting = async {
            loop {
                let (entities, _) = self.told().await;
                let differs: Vec<&str> =
                    orders.iter().filter(|told| !stands(told, &entities)).map(|told| &*told.what).collect();
                if differs.is_empty() {
                    return entities;
                }
                println!("not yet: {differs:?}");
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        };
        let entities = tokio::time::timeout(Duration::from_secs(60), waiting).await.expect("they come to stand still");
        for told in orders {
            let order = entities.get(&told.order);
            told.due = order.map_or(0, |order| order.parts[""]["body"]["payment_due_at"].as_i64().expect("a time"));
        }
    }

    /// Records after the newest checkpoint: answers of all the newest kinds among them.
    async fn last_moments(&mut self, client: &Client) {
        let stock = format!("/v1/vendors/{}/skus/{}/stock", self.vendors[0], self.skus[0]);
        self.keyed(client, "stock, at last", ADMIN, &stock, json!({"delta": 1, "reason": "found"}), 200).await;
        let buyer = client.buyer(&self.skus[0], 2).await;
        self.checkout(client, "an order, at last", &buyer, checkout_body("tok_slow_60000"), 201).await;
    }
}

fn entity(id: &str) -> EntityRef {
    id.parse().expect("an id")
}

/// Whether this order stands where it is to stand.
fn stands(told: &ToldOrder, entities: &BTreeMap<String, Seen>) -> bool {
    let (cart, order) = (&entities[&told.cart].parts[""], entities.get(&told.order));
    let Some(case) = CASES.iter().find(|case| case.what == told.what) else {
        return order.is_none() && cart["status"] == "checking_out";
    };
    let Some(order) = order else { return false };
    let body = &order.parts[""]["body"];
    let holds: Vec<&Value> = body["sub_orders"].as_array().expect("shares").iter().map(|sub| &sub["hold"]).collect();
    body["phase"] == (case.phase)() && holds.iter().zip(case.holds).all(|(is, wanted)| *is == wanted)
}

/// A request that is written down.
pub fn ask(client: &Client, told: &ToldAnswer, token: &dyn Fn(&Bearer) -> String) -> Request {
    let mut request = client.post(&told.path, &told.asked).key(&told.key);
    if let Some(bearer) = bearer(&told.who) {
        request = request.bearer(&token(&bearer));
    }
    match &told.prefer {
        Some(prefer) => request.header("prefer", prefer),
        None => request,
    }
}

/// Makes the store in these files.
async fn make(kind: Kind, files: &Files) {
    let mut maker = Maker::new(kind).await;
    maker.ordinary_days().await;
    maker.short_days().await;
    let moved = archive(&with_archive(&maker.store), Before::Age(Duration::ZERO), false).await.expect("an archive");
    assert!(moved.failed.is_empty() && moved.dropped > 50, "{moved}");

    maker.constraint(true).await;
    let server = maker.server(900_000, 600_000).await;
    let client = server.client;
    maker.vendor(&client, REFUSED, REFUSED_PRICE.1).await;
    let mut orders = vec![maker.without_its_order(&client).await];
    orders.extend(maker.in_the_middle(&client).await);
    maker.stands_still(&mut orders).await;
    while dump::number(&maker.store, "SELECT count(*) FROM refused_rows").await < 2 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    maker.constraint(false).await;

    for _ in 0..TRIES {
        maker.last_moments(&client).await;
        files.take_down(&maker.store).await;
        let (entities, made_at) = maker.told().await;
        files.tell(&Told { made_at, orders: orders.clone(), answers: maker.answers.clone(), entities });
        if holds_everything(files, kind).await {
            maker.faults.lock().clear();
            return server.stop().await;
        }
    }
    panic!("a checkpoint came {TRIES} times");
}

/// Whether what was taken down has what cannot be asked for: records after its checkpoint.
async fn holds_everything(files: &Files, kind: Kind) -> bool {
    let store = files.store(kind).await;
    let refused = dump::number(&store, "SELECT count(*) FROM refused_rows").await;
    let released = dump::number(&store, "SELECT count(*) FROM snapshot WHERE part LIKE 'released/%'").await;
    let moved = dump::number(&store, "SELECT count(*) FROM partition WHERE base_seq > 0").await;
    assert!(refused == 2 && released > 0 && moved > 0, "{refused} refused, {released} released, {moved} moved");
    let after = "SELECT count(*) FROM journal JOIN partition ON partition.id = journal.partition
        WHERE seq > checkpoint_seq AND records > 0";
    dump::number(&store, after).await > 1
}

/// Today's store, which is taken down and looked at as the golden ones are. With `HAAT_GOLDEN_STORES` it becomes one.
async fn made_today(kind: Kind) {
    let directory = tempfile::TempDir::new().expect("a temporary directory");
    let root = std::env::var("HAAT_GOLDEN_STORES").unwrap_or_else(|_| directory.path().to_string_lossy().into_owned());
    let files = Files::of(Path::new(&root), kind);
    make(kind, &files).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_in_the_middle_of_everything_is_made_sqlite() {
    made_today(Kind::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_in_the_middle_of_everything_is_made_postgres() {
    made_today(Kind::Postgres).await;
}
