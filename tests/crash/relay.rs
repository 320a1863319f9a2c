//! One server after the other takes a database over, while buyers ask at both addresses at once and go wherever they are answered.

use crate::process::{Haat, LOOK, free_address, until};
use crate::support::client::{Answer, Buyer, Client, Request};
use crate::support::{Kind, TestStore, token};
use haat::app::audit::audit;
use haat::http::auth::Bearer;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;
use tempfile::TempDir;
use tokio::task::JoinHandle;

/// How many buy at a time. So many payments are under way at most when a server is replaced.
const BUYERS: usize = 6;
/// Pieces received: more than anybody buys.
const PIECES: i64 = 100_000;
/// The longest time in which neither server answers one request.
const NOBODY: Duration = Duration::from_secs(40);

/// How the next server comes to the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TakeOver {
    /// The former one works, and hears of it when it collides.
    Live,
    /// The former one was killed. The next one has its directory.
    Killed,
    /// The former one stands still (SIGSTOP) meanwhile, and wakes up after that.
    Asleep,
}

fn admin() -> String {
    token(&Bearer::Admin("root".into()))
}

/// An answer to a checkout.
struct Told {
    order: String,
    status: String,
}

/// One buyer, who asks at either address, and at the other when there is no answer.
struct Asker {
    clients: [Client; 2],
    turn: usize,
    /// Answers that said something, of each server.
    answers: Arc<[AtomicUsize; 2]>,
}

impl Asker {
    /// Asks until it is answered, each time at the other address.
    async fn ask(&mut self, make: impl Fn(Client) -> Request) -> Answer {
        let asked = async {
            loop {
                self.turn += 1;
                let at = self.turn % 2;
                if let Ok(answer) = make(self.clients[at]).try_send().await
                    && ![503, 504].contains(&answer.status)
                {
                    self.answers[at].fetch_add(1, Ordering::Relaxed);
                    return answer;
                }
                // Not now, or with an outcome that is not known: the same again.
                tokio::time::sleep(LOOK).await;
            }
        };
        tokio::time::timeout(NOBODY, asked).await.expect("either server answers")
    }

    /// Buys one piece: a new cart, and its checkout under a key, asked twice.
    async fn buy(&mut self, sku: &str, key: &str) -> Told {
        let cart = self.ask(|client| client.post("/v1/carts", &json!({}))).await.expect(201);
        let buyer = Buyer { cart: cart.field("id").to_owned(), token: cart.field("token").to_owned() };
        let line = format!("/v1/carts/{}/lines/{sku}", buyer.cart);
        let quantity = json!({"quantity": 1});
        self.ask(|client| client.request("PUT", &line).json(&quantity).bearer(&buyer.token)).await.expect(200);
        let check_out = |client: Client| client.checkout(&buyer, "tok_approve").key(key).header("prefer", "wait=5");
        let first = self.ask(check_out).await;
        assert!([200, 201].contains(&first.status), "{}", first.text);
        let again = self.ask(check_out).await;
        assert_eq!((again.status, again.field("id")), (first.status, first.field("id")), "one key, one answer");
        let order = first.field("id").to_owned();
        let path = format!("/v1/orders/{order}");
        let seen = self.ask(|client| client.get(&path).bearer(&buyer.token)).await.expect(200);
        // What was told as paid stays so, whoever is asked.
        let paid = [&first, &again, &seen].map(|answer| answer.field("status") == "paid");
        assert!(paid.is_sorted() || first.field("status") == again.field("status"), "{paid:?}");
        assert!(!paid[0] || paid[2], "{order} was paid, and is {}", seen.text);
        Told { order, status: seen.field("status").to_owned() }
    }
}

/// What a relay came to.
#[derive(Debug, Default)]
pub struct Outcome {
    pub orders: usize,
    pub answers: usize,
    pub take_overs: usize,
}

/// Buyers on both addresses before, during and after each of these take-overs; then everything is compared.
pub async fn relay(store: &TestStore, take_overs: &[TakeOver]) -> Outcome {
    assert_eq!(store.kind, Kind::Postgres);
    let addresses: [SocketAddr; 2] = [free_address(), free_address()];
    let mut server = Haat::start(store, addresses[0]).await;
    let (vendor, sku) = server.client.shop(&admin(), "10.00", PIECES).await;
    let answers: Arc<[AtomicUsize; 2]> = Arc::default();
    let (stop, bought) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let buyers: Vec<JoinHandle<Vec<Told>>> = (0..BUYERS)
        .map(|number| {
            let clients = addresses.map(Client::new);
            let mut asker = Asker { clients, turn: number, answers: answers.clone() };
            let (stop, bought, sku) = (stop.clone(), bought.clone(), sku.clone());
            tokio::spawn(async move {
                let mut told = Vec::new();
                while !stop.load(Ordering::Relaxed) {
                    told.push(asker.buy(&sku, &format!("buyer-{number}-{}", told.len())).await);
                    bought.fetch_add(1, Ordering::Relaxed);
                }
                told
            })
        })
        .collect();
    let more_are_bought = async |more: usize| {
        let enough = bought.load(Ordering::Relaxed) + more;
        until(format_args!("{enough} orders"), async || {
            assert!(!buyers.iter().any(JoinHandle::is_finished), "a buyer gave up");
            (bought.load(Ordering::Relaxed) >= enough).then_some(())
        })
        .await;
    };

    more_are_bought(2 * BUYERS).await;
    let mut others: Vec<TempDir> = Vec::new();
    let mut directory = store.data_dir().to_owned();
    let mut directories = vec![directory.clone()];
    for (number, take_over) in take_overs.iter().enumerate() {
        let address = addresses[(number + 1) % 2];
        let answered = answers[(number + 1) % 2].load(Ordering::Relaxed);
        if *take_over != TakeOver::Killed {
            // Another machine has another disk.
            let other = TempDir::new().expect("a temporary directory");
            directory = other.path().to_owned();
            others.push(other);
            directories.push(directory.clone());
        }
        let mut next = match take_over {
            TakeOver::Live => Haat::begin(store, &directory, address),
            TakeOver::Killed => {
                server.signal("KILL").await;
                server.ended().await;
                Haat::begin(store, &directory, address)
            }
            TakeOver::Asleep => {
                server.signal("STOP").await;
                Haat::begin(store, &directory, address)
            }
        };
        next.ready().await;
        if *take_over == TakeOver::Asleep {
            server.signal("CONT").await;
        }
        if *take_over != TakeOver::Killed {
            assert_eq!(server.ended().await.code(), Some(3), "{}", server.log());
        }
        server = next;
        more_are_bought(2 * BUYERS).await;
        let answered = answers[(number + 1) % 2].load(Ordering::Relaxed) - answered;
        assert!(answered > 2 * BUYERS, "the new server answered {answered} times");
    }
    stop.store(true, Ordering::Relaxed);
    let mut told = Vec::new();
    for buyer in buyers {
        told.extend(buyer.await.expect("no panic"));
    }
    let paid = still_holds(&server, &told, &vendor, &sku).await;
    server.said_no_error();
    server.signal("TERM").await;
    assert_eq!(server.ended().await.code(), Some(0), "{}", server.log());
    charged(&directories, &paid, BUYERS * others.len());
    // No single one of the charge logs knows of all charges: they were compared above.
    let elsewhere = TempDir::new().expect("a temporary directory");
    let report = audit(&store.config(), elsewhere.path()).await.expect("the store can be looked at");
    assert!(report.is_clean(), "{report}");
    let answers = answers.iter().map(|answers| answers.load(Ordering::Relaxed)).sum();
    Outcome { orders: paid.len(), answers, take_overs: take_overs.len() }
}

/// Fails unless all that was told is true, and stock and orders add up; gives all orders that are paid.
async fn still_holds(server: &Haat, told: &[Told], vendor: &str, sku: &str) -> BTreeSet<String> {
    let admin = admin();
    let listed = until("all orders to end, and to be listed so", async || {
        let mut listed = BTreeMap::new();
        let mut path = "/v1/orders?limit=200".to_owned();
        loop {
            let page = server.client.get(&path).bearer(&admin).send().await.expect(200);
            for order in page.body["items"].as_array().expect("items") {
                let text = |name: &str| order[name].as_str().expect("a text").to_owned();
                listed.insert(text("id"), text("status"));
            }
            match page.body["next_cursor"].as_str() {
                Some(cursor) => path = format!("/v1/orders?limit=200&cursor={cursor}"),
                None => break,
            }
        }
        let all = told.iter().all(|told| listed.contains_key(&told.order));
        (all && listed.values().all(|status| status == "paid")).then_some(listed)
    })
    .await;
    let orders: BTreeSet<&String> = told.iter().map(|told| &told.order).collect();
    assert_eq!(orders.len(), told.len(), "two checkouts were told of one order");
    assert_eq!(
        orders.len(),
        listed.len(),
        "an order that nobody was told of: each buyer asked until there was an answer"
    );
    for Told { order, status } in told {
        let now = server.client.order(&admin, order).await.expect(200);
        assert_eq!(now.field("status"), "paid", "{order}, of which was told that it is {status}");
    }
    let stock = until("no stock to be held", async || {
        let stock = server.client.stock(&admin, vendor, sku).await;
        (stock["held"] == 0).then_some(stock)
    })
    .await;
    let count = |name: &str| stock[name].as_i64().expect("a count");
    assert_eq!((count("received"), count("sold")), (PIECES, listed.len() as i64), "{stock}");
    assert_eq!(count("on_hand"), PIECES - count("sold"), "{stock}");
    listed.into_keys().collect()
}

/// Fails unless each of these orders was charged, and nothing else was. Each directory has a charge log of its own, which a real provider
/// would not: an order whose charge was under way at a take-over may stand in two of them, and no more orders than were under way.
fn charged(directories: &[std::path::PathBuf], paid: &BTreeSet<String>, under_way: usize) {
    let mut charges: BTreeMap<String, usize> = BTreeMap::new();
    for directory in directories {
        let charge_log = std::fs::read_to_string(directory.join("sandbox-ledger.jsonl")).expect("a ledger");
        let mut once = BTreeSet::new();
        for line in charge_log.lines() {
            let line: Value = serde_json::from_str(line).expect("a line of the ledger");
            let order = line["order"].as_str().expect("an order").to_owned();
            assert_eq!(line["status"], "charged", "{order}");
            assert_eq!(line["amount_minor"], 1000, "{order}");
            assert!(once.insert(order.clone()), "{order} is charged twice in one ledger");
            *charges.entry(order).or_default() += 1;
        }
    }
    let of: BTreeSet<&String> = charges.keys().collect();
    assert_eq!(of, paid.iter().collect(), "what is charged is what is paid");
    let twice = charges.values().filter(|times| **times > 1).count();
    assert!(twice <= under_way, "{twice} orders stand in two ledgers, and {under_way} were under way");
}

/// Five take-overs of every kind, with buyers on both addresses all the time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_server_after_the_other_takes_over_and_nothing_is_lost_or_doubled() {
    use TakeOver::{Asleep, Killed, Live};
    let store = TestStore::new(Kind::Postgres).await;
    let outcome = relay(&store, &[Live, Live, Killed, Asleep, Live]).await;
    assert!(
        outcome.orders >= 12 * BUYERS && outcome.answers > outcome.orders && outcome.take_overs == 5,
        "{outcome:?}"
    );
}
