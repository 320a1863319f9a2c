//! The shell and its registry, on a bench: what is answered when, and what is not.

mod confirming;
mod hints;
mod paying;
mod quotas;
mod silence;
mod turn;

use crate::actors::chain::{First, Next};
use crate::actors::envelope::{Envelope, Start};
use crate::actors::node::NodeSettings;
use crate::actors::registry::Hosted;
use crate::actors::shop::{Ask, Failure, Shop};
use crate::actors::testing::{Answer, Bench, until};
use crate::domain::buyer::{Buyer, Mint};
use crate::domain::cart::{Cart, CartCommand, CheckoutRequest};
use crate::domain::details::Contact;
use crate::domain::entity::{Message, Owner, Principal};
use crate::domain::ids::{CartId, EntityId, OrderId, VendorId};
use crate::domain::money::Currency;
use crate::domain::order::{Milestone, Order, OrderCommand};
use crate::domain::record::IdempotencyKey;
use crate::domain::reject::Reject;
use crate::domain::vendor::VendorCommand;
use crate::limits;
use crate::ports::{Append, LogWriter};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::oneshot;
use uuid::Uuid;

/// Much longer than a busy machine takes: only a test that fails waits for so long.
const PATIENCE: Duration = Duration::from_secs(60);

fn cart(number: u128) -> CartId {
    CartId::from_uuid(Uuid::from_u128(number))
}

fn create() -> CartCommand {
    CartCommand::Create { owner: Owner::Guest, currency: Currency::BDT }
}

fn get() -> CartCommand {
    CartCommand::Get { by: Principal::SHOP }
}

async fn heard(answer: oneshot::Receiver<Answer<Cart>>) -> Answer<Cart> {
    tokio::time::timeout(PATIENCE, answer).await.expect("an answer in time").expect("an answer")
}

/// While the store is down, reads of what is not durable wait, but not without end. What is durable is read as ever.
#[tokio::test]
async fn answers_that_wait_for_the_store_are_bounded() {
    let bench = Bench::new();
    let made = bench.ask::<Cart>(cart(1), create(), None, PATIENCE);
    let first = bench.ask::<Cart>(cart(1), get(), None, PATIENCE);
    until("the record and the read to wait", || bench.log_writer.waiting() == 2).await;
    assert_eq!(bench.node.answers_waiting.load(Ordering::SeqCst), 1);
    bench.node.answers_waiting.fetch_add(limits::ANSWERS_WAITING - 1, Ordering::SeqCst);
    let refused = heard(bench.ask::<Cart>(cart(1), get(), None, PATIENCE)).await;
    assert!(matches!(refused, Err(Failure::Overloaded { .. })), "{refused:?}");
    // Nothing of this one is on its way: it waits for nobody.
    assert!(heard(bench.ask::<Cart>(cart(2), get(), None, PATIENCE)).await.is_ok());
    bench.log_writer.let_go();
    assert!(heard(made).await.is_ok() && heard(first).await.is_ok());
    assert_eq!(bench.node.answers_waiting.load(Ordering::SeqCst), limits::ANSWERS_WAITING - 1, "it waits no more");
}

/// A panic while a state is taken over has no turn around it: it must not take the mailbox down.
#[tokio::test]
async fn a_panic_while_a_state_is_taken_over_quarantines_the_entity() {
    let bench = Bench::new();
    bench.world.panics.store(true, Ordering::SeqCst);
    let answer = heard(bench.ask::<Cart>(cart(1), get(), None, PATIENCE)).await;
    assert_eq!(answer, Err(Failure::Quarantined));
    bench.node.start::<Cart>(cart(2), Start::Fresh).map_or_else(|| panic!("it starts"), drop);
    bench.world.panics.store(false, Ordering::SeqCst);
    assert_eq!(heard(bench.ask::<Cart>(cart(1), get(), None, PATIENCE)).await, Err(Failure::Quarantined));
}

/// A busy thread of actors holds up no connection, and none is made on it.
#[tokio::test]
async fn what_is_read_for_an_actor_is_read_while_its_thread_is_busy() {
    let (send_busy, busy) = oneshot::channel();
    let (let_go, gate) = std::sync::mpsc::sync_channel::<()>(0);
    let parts = parking_lot::Mutex::new((Some(send_busy), gate));
    let hook = move |entity, _: &dyn std::fmt::Debug| {
        let mut parts = parts.lock();
        if entity == cart(2).entity()
            && let Some(send_busy) = parts.0.take()
        {
            let _ = send_busy.send(());
            let _ = parts.1.recv();
        }
    };
    let bench = Bench::with_hook(Some(Arc::new(hook)));
    bench.world.hold_loads.store(true, Ordering::SeqCst);
    let loaded = bench.ask::<Cart>(cart(1), get(), None, PATIENCE);
    let reading = || bench.world.loading.0.load(Ordering::SeqCst);
    until("the cart to be read", || reading() == 1).await;
    let made = bench.node.deliver::<Cart>(cart(2), Envelope::Peer(create(), None), None, true);
    assert!(made.is_ok());
    busy.await.expect("the only thread of actors is busy");
    bench.world.go_on.add_permits(1);
    until("the store's answer to be taken", || reading() == 0).await;
    drop(let_go);
    assert!(heard(loaded).await.is_ok());
}

/// The records of an actor that died may be on their way to the journal when its successor reads it.
#[tokio::test]
async fn a_successor_reads_the_journal_once_all_in_flight_is_durable() {
    let bench = Bench::new();
    bench.log_writer.append(Append {
        entity: bench.cart(1),
        version: 1,
        record: Vec::new(),
        details: Vec::new(),
        on_durable: None,
        trace: None,
    });
    let _successor = bench.node.start::<Cart>(cart(1), Start::Replay);
    let read = || bench.world.replays.load(Ordering::SeqCst);
    until("the successor to do something", || bench.log_writer.waiting() == 2 || read() > 0).await;
    assert_eq!(read(), 0, "it waits for the log writer");
    bench.log_writer.let_go();
    until("the journal to be read", || read() == 1).await;
}

/// The refusal of a command that panics is an answer like any other: kept under its key, and given once it is durable.
#[tokio::test]
async fn the_refusal_of_a_poisoned_command_is_kept_and_waits_until_it_is_durable() {
    let hook = |_, command: &dyn std::fmt::Debug| assert!(!format!("{command:?}").starts_with("Create"), "forced");
    let bench = Bench::with_hook(Some(Arc::new(hook)));
    let key = Some(IdempotencyKey { key: 7, body: 7 });
    assert_eq!(heard(bench.ask::<Cart>(cart(1), create(), key, PATIENCE)).await, Err(Failure::Restarting));
    for replayed in [false, true] {
        let mut asked = bench.ask::<Cart>(cart(1), create(), key, PATIENCE);
        if !replayed {
            until("the refusal to be recorded", || bench.log_writer.waiting() == 1).await;
            assert!(asked.try_recv().is_err(), "it is not durable yet");
            bench.log_writer.let_go();
        }
        let answer = heard(asked).await.expect("a refusal is an answer");
        assert_eq!((answer.outcome, answer.replayed), (Err(Reject::CommandPoisoned), replayed));
    }
}

fn some_details() -> CheckoutRequest {
    CheckoutRequest {
        shipping: Vec::new(),
        slots: Vec::new(),
        quote: None,
        buyer: Buyer::default(),
        mint: Mint([0; 4]),
        contact: Contact {
            email: None,
            shipping_address: crate::domain::order::Address {
                name: "A".into(),
                line1: "1".into(),
                line2: None,
                city: "D".into(),
                postcode: None,
                region: None,
                country: "BD".into(),
                phone: None,
            },
        },
        payment: crate::domain::order::PaymentChoice { method: "sandbox".into(), token: "tok".into() },
        expected_total: None,
    }
}

/// Nobody answers who waits for an order that never comes so far; when their time is over they are forgotten, and the actor may leave.
#[tokio::test]
async fn requests_whose_time_is_over_are_forgotten_when_memory_is_wanted_back() {
    let bench = Bench::new();
    let order = OrderId::from_uuid(Uuid::from_u128(1));
    let command = OrderCommand::Await { by: Principal::SHOP, milestone: Milestone::Paid };
    let asked = bench.ask::<Order>(order, command, None, Duration::from_millis(300));
    // Its time is over, and it was dropped only if this message came after that.
    tokio::time::sleep(Duration::from_millis(350)).await;
    bench.node.deliver::<Order>(order, Envelope::Passivate, None, false).expect("it is there");
    until("the actor to leave", || bench.node.registry.live() == 0).await;
    assert!(asked.await.is_err(), "it was parked, and forgotten");
}

/// The next entity is asked in the turn of the first, though nothing is durable yet; what was set aside goes along, or is free.
#[tokio::test]
async fn a_chained_question_is_asked_at_once_and_takes_the_budget_along_or_leaves_it() {
    let bench = Bench::new();
    let (shop, node) = (bench.shop(), bench.node.clone());
    let set_aside = || node.reserved.load(Ordering::SeqCst);
    let chain = |number: u128, command: CartCommand, keeps_budget: bool| {
        let shop = shop.clone();
        let id = OrderId::from_uuid(Uuid::from_u128(number));
        tokio::spawn(async move {
            let (admit, budget) = (Box::new(|_: &Cart| Ok(None)), shop.reserve(3).expect("there is room"));
            let first = First { id: cart(number), command, within: PATIENCE, key: None, admit, budget };
            let await_paid = OrderCommand::Await { by: Principal::SHOP, milestone: Milestone::Paid };
            let next = Next::<Order> { id, command: await_paid, key: None, keeps_budget };
            shop.chain::<Cart, Order>(first, |answer| answer.outcome.is_ok().then_some(next)).await
        })
    };
    for (number, keeps_budget) in [(1, true), (2, false)] {
        let asked = chain(number, create(), keeps_budget);
        until("the order to be asked", || node.waiting.load(Ordering::SeqCst) == number as usize).await;
        assert!(bench.log_writer.waiting() == number as usize && !asked.is_finished(), "nothing is durable");
        assert_eq!(set_aside(), 3, "that of the first, which waits for its order");
    }
    // A refusal is an answer as any other, and nobody else is asked.
    let refused = chain(3, get(), true).await.expect("no panic").expect("an answer");
    assert_eq!((refused.first.outcome, refused.second), (Err(Reject::CartUnknown), None));
    assert_eq!((set_aside(), node.waiting.load(Ordering::SeqCst)), (3, 2));
}

/// A checkout at several vendors writes more records: what it sets aside counts as what is in flight does.
#[tokio::test]
async fn a_checkout_sets_aside_what_all_its_vendors_need() {
    let bench = Bench::new();
    let shop = bench.shop();
    let vendors = (1..=1 + limits::RECORDS_IN_FLIGHT as u128 / limits::RECORDS_PER_FURTHER_VENDOR as u128)
        .map(|number| VendorId::from_uuid(Uuid::from_u128(number)).entity());
    let ask = || {
        let ask = Ask { within: Duration::from_millis(50), key: None, fresh: false };
        shop.ask::<Cart>(cart(1), create(), ask)
    };
    assert_eq!(ask().await, Err(Failure::OutcomeUnknown), "it is let in, and nothing becomes durable");
    let permit = bench.node.permits.take(vendors, 1, limits::RECORDS_PER_FURTHER_VENDOR).expect("nobody else has any");
    assert!(matches!(ask().await, Err(Failure::Overloaded { .. })));
    drop(permit);
    assert_eq!(ask().await, Err(Failure::OutcomeUnknown));
}

/// What an entity has only heard is in no record; the moment that it waits for comes nevertheless.
#[tokio::test(start_paused = true)]
async fn what_was_heard_has_its_time_though_nothing_was_recorded() {
    let run = async {
        let town = silence::Town::new();
        town.sells(1, "other", 1);
        let vendor = VendorId::from_uuid(Uuid::from_u128(1));
        let shop = Shop::on(town.node.clone());
        let committed = async || shop.inspect(vendor.entity()).await.map(|view| view.state["committed_holds"].clone());
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert_eq!(committed().await, Ok(1.into()), "the order is paid");
        let order = OrderId::for_attempt(CartId::from_uuid(Uuid::from_u128(1 << 32)), 1);
        town.node.tell(Message::Vendor { id: vendor, command: VendorCommand::Close { order } }, false, None);
        tokio::time::sleep(Duration::from_millis(limits::HOLD_CLOSE_MS as u64 + 100)).await;
        assert_eq!(committed().await, Ok(0.into()), "its hold is closed");
    };
    tokio::task::LocalSet::new().run_until(run).await;
}

/// What cannot be read is not tried for ever: the entity is quarantined, and its mailbox goes on.
#[tokio::test]
async fn an_entity_that_cannot_be_read_is_quarantined() {
    let bench = Bench::new();
    *bench.world.unreadable.lock() = vec![bench.cart(1)];
    for _ in 0..2 {
        assert_eq!(heard(bench.ask::<Cart>(cart(1), get(), None, PATIENCE)).await, Err(Failure::Quarantined));
    }
    assert_eq!(bench.world.loads_of(bench.cart(1)).await, 1, "it is read once");
}

#[tokio::test]
async fn an_entity_that_panicked_and_cannot_be_read_back_is_quarantined() {
    let hook = |_, _: &dyn std::fmt::Debug| panic!("forced by a test");
    let bench = Bench::with_hook(Some(Arc::new(hook)));
    *bench.world.unreadable.lock() = vec![bench.cart(1)];
    let slot = bench.node.start::<Cart>(cart(1), Start::Fresh).expect("it starts");
    Cart::slots(&bench.node.registry).insert(cart(1), slot);
    assert_eq!(heard(bench.ask::<Cart>(cart(1), create(), None, PATIENCE)).await, Err(Failure::Restarting));
    assert_eq!(heard(bench.ask::<Cart>(cart(1), get(), None, PATIENCE)).await, Err(Failure::Quarantined));
    assert_eq!(bench.world.replays.load(Ordering::SeqCst), 1, "it is read once");
}

/// A flood of questions to entities that are not in memory neither heaps up nor stands before the store: so many are
/// read at a time, so many wait, and what comes then is refused. Whoever is in memory, or on the way there, is asked as
/// ever.
#[tokio::test]
async fn entities_on_their_way_into_memory_are_bounded() {
    const WAITING: usize = 40;
    let bench = Bench::with_settings(NodeSettings { activations: WAITING, ..NodeSettings::default() });
    let (shop, world) = (bench.shop(), bench.world.clone());
    world.hold_loads.store(true, Ordering::SeqCst);
    let ask = |number| {
        let shop = shop.clone();
        let ask = Ask { within: PATIENCE, key: None, fresh: false };
        tokio::spawn(async move { shop.ask::<Cart>(cart(number), get(), ask).await })
    };
    let mut asked = Vec::new();
    for number in 1..=WAITING {
        asked.push(ask(number as u128));
        until("it to be on its way", || bench.node.activations.load(Ordering::SeqCst) == number).await;
    }
    asked.push(ask(1));
    let told = ask(1_000).await.expect("no panic");
    assert!(matches!(told, Err(Failure::Overloaded { .. })), "{told:?}");
    until("all turns to be taken", || world.loading.0.load(Ordering::SeqCst) == limits::LOADS_AT_ONCE).await;
    world.go_on.add_permits(10 * WAITING);
    for answer in asked {
        assert!(answer.await.expect("no panic").is_ok());
    }
    assert!(ask(1_000).await.expect("no panic").is_ok());
    assert_eq!(world.loading.1.load(Ordering::SeqCst), limits::LOADS_AT_ONCE);
    assert_eq!(bench.node.activations.load(Ordering::SeqCst), 0);
}

/// Whose time is over needs no place any more: whoever comes next has it, though no timer has looked in between.
#[tokio::test]
async fn the_place_of_a_waiting_request_is_free_once_its_time_is_over() {
    // The first is to be seen waiting, so it is to last longer than a busy machine lets a thread stand still.
    const SHORT: Duration = Duration::from_secs(5);
    let bench = Bench::new();
    let ask = |within| {
        let command = OrderCommand::Await { by: Principal::SHOP, milestone: Milestone::Paid };
        bench.ask::<Order>(OrderId::from_uuid(Uuid::from_u128(1)), command, None, within)
    };
    let count = || bench.node.waiting.load(Ordering::SeqCst);
    let short = ask(SHORT);
    until("the first to wait", || count() == 1).await;
    let mut waiting: Vec<_> = (1..limits::REQUESTS_WAITING_PER_ACTOR).map(|_| ask(10 * PATIENCE)).collect();
    until("all to wait", || count() == limits::REQUESTS_WAITING_PER_ACTOR).await;
    tokio::time::sleep(SHORT).await;
    waiting.push(ask(10 * PATIENCE));
    assert!(tokio::time::timeout(PATIENCE, short).await.expect("in time").is_err(), "it was forgotten");
    let refused = tokio::time::timeout(PATIENCE, ask(PATIENCE)).await.expect("in time").expect("an answer");
    assert!(matches!(refused, Err(Failure::Overloaded { .. })), "its place is taken: {refused:?}");
    assert_eq!(count(), limits::REQUESTS_WAITING_PER_ACTOR, "one was given back, and taken");
    assert!(waiting.iter_mut().all(|waits| waits.try_recv() == Err(oneshot::error::TryRecvError::Empty)));
}

/// Who repeats a question that is not answered yet has one of so many places; past them it is refused, here and on the
/// whole node.
#[tokio::test]
async fn requests_that_wait_are_bounded_for_each_actor_and_in_all() {
    const LONG: Duration = Duration::from_secs(600);
    let bench = Bench::new();
    let order = |number: u128| OrderId::from_uuid(Uuid::from_u128(number));
    let ask = |number, key: Option<u128>, within| {
        let command = OrderCommand::Await { by: Principal::SHOP, milestone: Milestone::Paid };
        bench.ask::<Order>(order(number), command, key.map(|key| IdempotencyKey { key, body: 1 }), within)
    };
    let count = || bench.node.waiting.load(Ordering::SeqCst);
    // Repeats of one key wait beside each other as others do.
    let keys = [None, Some(1)];
    let waiting: Vec<_> =
        (0..limits::REQUESTS_WAITING_PER_ACTOR).map(|number| ask(1, keys[number % 2], LONG)).collect();
    until("all to wait", || count() == limits::REQUESTS_WAITING_PER_ACTOR).await;
    for key in keys {
        let refused = tokio::time::timeout(PATIENCE, ask(1, key, LONG)).await.expect("in time").expect("an answer");
        assert!(matches!(refused, Err(Failure::Overloaded { .. })), "{refused:?}");
    }
    // Others have places of their own, until the node has none.
    let other = ask(2, None, LONG);
    until("the other to wait", || count() == limits::REQUESTS_WAITING_PER_ACTOR + 1).await;
    bench.node.waiting.fetch_add(limits::REQUESTS_WAITING - limits::REQUESTS_WAITING_PER_ACTOR - 1, Ordering::SeqCst);
    let refused = tokio::time::timeout(PATIENCE, ask(3, None, LONG)).await.expect("in time").expect("an answer");
    assert!(matches!(refused, Err(Failure::Overloaded { .. })), "{refused:?}");
    let details = some_details();
    let checkout = bench.shop().checkout(Principal::SHOP, cart(1), details, PATIENCE, None, None).await;
    assert!(matches!(checkout, Err(Failure::Overloaded { .. })), "nothing of it is recorded: {checkout:?}");
    assert_eq!(bench.log_writer.waiting(), 0);
    drop((waiting, other));
}
