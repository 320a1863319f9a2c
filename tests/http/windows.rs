//! Windows of sales over HTTP, at the very millisecond: what opens while nobody comes, and while no node is there.

use crate::on_both_stores;
use crate::support::client::{Answer, Buyer, Client, checkout_body};
use crate::support::{Server, TestStore, token};
use haat::adapters::clock::SystemClock;
use haat::app::Hooks;
use haat::domain::time::Timestamp;
use haat::http::auth::Bearer;
use haat::http::money::Moment;
use haat::ports::Clock;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;
use uuid::Uuid;

const MINUTE: i64 = 60_000;

/// A clock by which it is always the moment that it was set to. What comes from outside goes by the machine's, as ever.
struct Standing {
    machine: SystemClock,
    at: AtomicI64,
}

impl Standing {
    /// A clock that stands at the machine's time, and how a server is started by it.
    fn new() -> (Arc<Self>, impl Fn() -> Hooks) {
        let machine = SystemClock::new();
        let at = AtomicI64::new(machine.now().as_millis());
        let clock = Arc::new(Self { machine, at });
        let given = clock.clone();
        (clock, move || Hooks { clock: Some(given.clone()), ..Hooks::default() })
    }

    fn set(&self, at: Timestamp) {
        self.at.store(at.as_millis(), Ordering::SeqCst);
    }
}

impl Clock for Standing {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.at.load(Ordering::SeqCst))
    }
    fn wall(&self) -> Timestamp {
        self.machine.wall()
    }
    fn since_boot(&self) -> Duration {
        self.machine.since_boot()
    }
    fn new_uuid(&self) -> Uuid {
        self.machine.new_uuid()
    }
    fn advance_to(&self, floor: Timestamp) {
        self.at.fetch_max(floor.as_millis(), Ordering::SeqCst);
    }
}

fn admin() -> String {
    token(&Bearer::Admin("root".into()))
}

fn bdt(amount: &str) -> Value {
    json!({"amount": amount, "currency": "BDT"})
}

fn moment(at: Timestamp) -> String {
    Moment(at).to_string()
}

/// A shop with ten pieces at 10.00, of which some are to be had at 6.00 for half an hour, from half an hour on.
struct Shop {
    clock: Arc<Standing>,
    sku: String,
    starts_at: Timestamp,
    ends_at: Timestamp,
}

impl Shop {
    /// With tranches of so many pieces, ten minutes after each other.
    async fn with_tranches(store: &TestStore, tranches: &[i64]) -> (Self, Server, impl Fn() -> Hooks) {
        let (clock, hooks) = Standing::new();
        let server = Server::start_with(store.server(), hooks()).await;
        let client = &server.client;
        let (vendor, sku) = client.shop(&admin(), "10.00", 10).await;
        let starts_at = clock.now().plus_millis(30 * MINUTE);
        let ends_at = starts_at.plus_millis(30 * MINUTE);
        let opens_at = |number: i64| moment(starts_at.plus_millis(number * 10 * MINUTE));
        let opened =
            (0..).zip(tranches).map(|(number, quantity)| json!({"opens_at": opens_at(number), "quantity": quantity}));
        let item = json!({
            "sku_id": sku, "price": bdt("6.00"), "allotment": tranches.iter().sum::<i64>(), "tranches": opened.collect::<Vec<_>>(),
        });
        let sale = json!({
            "name": "11.11", "starts_at": moment(starts_at), "ends_at": moment(ends_at), "time_zone": "Asia/Dhaka", "items": [item],
        });
        client.post(&format!("/v1/vendors/{vendor}/sales"), &sale).bearer(&admin()).send().await.expect(201);
        (Self { clock, sku, starts_at, ends_at }, server, hooks)
    }

    async fn shown(&self, client: &Client) -> (Value, Value) {
        let sku = client.get(&format!("/v1/skus/{}", self.sku)).send().await.expect(200).body;
        (sku["price"].clone(), sku["available"].clone())
    }
}

async fn buy(client: &Client, buyer: &Buyer) -> Answer {
    let path = format!("/v1/carts/{}/checkout", buyer.cart);
    client.post(&path, &checkout_body("tok_approve")).bearer(&buyer.token).header("prefer", "wait=30").send().await
}

fn before(at: Timestamp) -> Timestamp {
    at.plus_millis(-1)
}

on_both_stores! {
    /// Nothing happens when a sale opens, so nothing is missed: the node that comes later shows it and sells it, and so does one that was there.
    async fn a_sale_opens_while_no_node_is_there(store) {
        let (shop, server, hooks) = Shop::with_tranches(&store, &[4]).await;
        let early = server.client.buyer(&shop.sku, 1).await;
        shop.clock.set(before(shop.starts_at));
        assert_eq!(shop.shown(&server.client).await, (bdt("10.00"), json!(6)));
        server.stop().await;
        shop.clock.set(shop.starts_at);
        let server = Server::start_with(store.server(), hooks()).await;
        assert_eq!(shop.shown(&server.client).await, (bdt("6.00"), json!(4)));
        let listed = server.client.get("/v1/sales?running=true").send().await.expect(200);
        assert_eq!(listed.body["items"][0]["status"], "running");
        // The cart from before is told of the other price, and a new one pays it.
        let refused = buy(&server.client, &early).await.expect(409);
        assert_eq!((refused.code(), &refused.body["actual_total"]), ("price_changed", &bdt("6.00")));
        let order = buy(&server.client, &server.client.buyer(&shop.sku, 4).await).await.expect(201);
        assert_eq!((order.field("status"), &order.body["total"]), ("paid", &bdt("24.00")));
        // It ends while there is none, too: what was left of it is anybody's.
        server.stop().await;
        shop.clock.set(shop.ends_at);
        let server = Server::start_with(store.server(), hooks()).await;
        assert_eq!(shop.shown(&server.client).await, (bdt("10.00"), json!(6)));
        server.stop().await;
    }

    async fn the_last_millisecond_of_a_sale_is_of_it_and_the_next_is_not(store) {
        let (shop, server, _) = Shop::with_tranches(&store, &[6]).await;
        let client = &server.client;
        shop.clock.set(before(shop.ends_at));
        let (last, late) = (client.buyer(&shop.sku, 2).await, client.buyer(&shop.sku, 1).await);
        let order = buy(client, &last).await.expect(201);
        assert_eq!((order.field("status"), &order.body["total"]), ("paid", &bdt("12.00")));
        assert_eq!(shop.shown(client).await, (bdt("6.00"), json!(4)));
        shop.clock.set(shop.ends_at);
        let refused = buy(client, &late).await.expect(409);
        assert_eq!((refused.code(), &refused.body["actual_total"]), ("sale_ended", &bdt("10.00")));
        assert_eq!(shop.shown(client).await, (bdt("10.00"), json!(8)), "the fence has fallen, and nobody had to come first");
        // A cart that is filled now pays today's price.
        let order = buy(client, &client.buyer(&shop.sku, 8).await).await.expect(201);
        assert_eq!((order.field("status"), &order.body["total"]), ("paid", &bdt("80.00")));
        server.stop().await;
    }

    /// Sold out, the catalogue refuses without asking the vendor. It knows by the time alone when it may not any more.
    async fn a_tranche_opens_while_the_catalogue_says_sold_out(store) {
        let (shop, server, _) = Shop::with_tranches(&store, &[1, 3]).await;
        let client = &server.client;
        shop.clock.set(shop.starts_at);
        let waiting = client.buyer(&shop.sku, 3).await;
        assert_eq!(buy(client, &client.buyer(&shop.sku, 1).await).await.expect(201).field("status"), "paid");
        let opens_at = shop.starts_at.plus_millis(10 * MINUTE);
        for at in [shop.starts_at, before(opens_at)] {
            shop.clock.set(at);
            assert_eq!(shop.shown(client).await, (bdt("6.00"), json!(0)));
            let refused = buy(client, &waiting).await.expect(409);
            let (left, next) = (&refused.body["left"], &refused.body["next_tranche_at"]);
            assert_eq!((refused.code(), left, next), ("sale_sold_out", &json!(0), &json!(moment(opens_at))));
        }
        shop.clock.set(opens_at);
        assert_eq!(shop.shown(client).await, (bdt("6.00"), json!(3)), "nobody had to come first");
        let order = buy(client, &waiting).await.expect(201);
        assert_eq!((order.field("status"), &order.body["total"]), ("paid", &bdt("18.00")));
        assert_eq!(shop.shown(client).await, (bdt("6.00"), json!(0)));
        server.stop().await;
    }
}
