//! The mailbox: from a question put to an actor in memory to its answer, with nothing to write. One at a time it is the latency of two
//! thread hops; many at once, what a message costs.
#![allow(clippy::disallowed_methods, reason = "a bench measures time")]
#![allow(missing_docs, reason = "criterion's macros")]

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use futures::future::join_all;
use haat::actors::{Ask, Shop};
use haat::app::{App, Hooks};
use haat::config::{AccountSettings, Config, MailSettings};
use haat::domain::cart::{Cart, CartCommand};
use haat::domain::entity::{Owner, Principal};
use haat::domain::ids::CartId;
use haat::domain::money::Currency;
use haat::persistence::{Options, Place, StoreConfig};
use std::path::Path;
use std::time::Duration;
use tokio::runtime::Runtime;

const ASK: Ask = Ask { within: Duration::from_secs(10), key: None, fresh: false };

async fn start(directory: &Path) -> App {
    let store =
        StoreConfig { place: Place::Sqlite(directory.to_path_buf()), archive: None, options: Options::default() };
    let config = Config {
        listen: "127.0.0.1:0".parse().expect("an address"),
        operator_listen: None,
        data_dir: directory.to_path_buf(),
        store,
        keys: haat::ports::keys::SigningKeys::of(&[7; 32]),
        keys_file: None,
        actor_threads: 1,
        node: Default::default(),
        http: Default::default(),
        server: Default::default(),
        lease: Duration::from_secs(5),
        sandbox: true,
        stripe: None,
        redirect: None,
        courier: None,
        acceptance: Default::default(),
        mail: MailSettings { server: None, per_second: 1 },
        accounts: AccountSettings::default(),
        trace: None,
    };
    App::build(config, Hooks::default()).await.expect("the server starts")
}

async fn cart(shop: &Shop) -> CartId {
    let id = CartId::from_uuid(shop.clock().new_uuid());
    let create = CartCommand::Create { owner: Owner::Guest, currency: Currency::BDT };
    shop.ask::<Cart>(id, create, Ask { fresh: true, ..ASK }).await.expect("an answer");
    id
}

async fn look(shop: &Shop, cart: CartId) {
    let get = CartCommand::Get { by: Principal::Guest(cart) };
    shop.ask::<Cart>(cart, get, ASK).await.expect("an answer").outcome.expect("a cart");
}

fn benches(criterion: &mut Criterion) {
    let runtime = Runtime::new().expect("a runtime");
    let directory = tempfile::TempDir::new().expect("a directory");
    let app = runtime.block_on(start(directory.path()));
    let shop = app.shop();
    let mut group = criterion.benchmark_group("mailbox");
    for at_once in [1usize, 64, 1_000] {
        let carts: Vec<CartId> = runtime.block_on(join_all((0..at_once).map(|_| cart(shop))));
        group.throughput(Throughput::Elements(at_once as u64));
        group.bench_with_input(BenchmarkId::new("actors", at_once), &carts, |bencher, carts| {
            bencher.to_async(&runtime).iter(|| join_all(carts.iter().map(|cart| look(shop, *cart))));
        });
        let same = vec![carts[0]; at_once];
        group.bench_with_input(BenchmarkId::new("one actor", at_once), &same, |bencher, carts| {
            bencher.to_async(&runtime).iter(|| join_all(carts.iter().map(|cart| look(shop, *cart))));
        });
    }
    group.finish();
    runtime.block_on(app.run_until(std::future::ready(()))).expect("the server drains");
}

criterion_group!(group, benches);
criterion_main!(group);
