//! One run: a shop opens, people come, nodes crash and are replaced; then it becomes quiet, and everything is checked.

use crate::archive::check_at_rest;
use crate::judges::Replay;
use crate::node::{Node, PROVOKED, Town};
use crate::people::{Buyer, Courier, Staff, crowd};
use crate::troubles::troubles;
use crate::world::lock;
use haat::actors::Ask;
use haat::domain::entity::Principal;
use haat::domain::ids::{EntityId as _, OrderId};
use haat::domain::money::Currency;
use haat::domain::vendor::{Vendor, VendorCommand};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::panic;
use std::pin::pin;
use std::sync::{Arc, Once};
use std::task::Waker;
use std::time::Duration;
use tokio::task::LocalSet;
use tokio::time::{sleep, timeout};

/// Payments that are disputed last of all.
const LAST_DISPUTES: usize = 2;
/// For so long there is no node before the one that hears what notices did not tell, in milliseconds.
const WITHOUT_A_NODE_MS: i64 = 3 * 3_600_000;
/// No run needs more simulated time than this to come to rest.
const REST: Duration = Duration::from_secs(3_600);
/// Changes after which rows that were refused must have come again.
const CHANGES: i64 = 20;
/// And none needs more until all people have gone home.
const WEEK: Duration = Duration::from_secs(7 * 24 * 3_600);

thread_local! {
    static PANICS: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
    static IDLE: RefCell<Idle> = const { RefCell::new(Idle { root: None, parked: false, quiet: false, rests: false }) };
}

/// What the root of a run knows of its runtime: it is to be polled between any two polls of tasks, but time goes on only while nobody
/// is woken.
struct Idle {
    root: Option<Waker>,
    /// Whether the runtime found nothing to do since the root was polled.
    parked: bool,
    /// Whether it had nothing to do the time before, either.
    quiet: bool,
    /// Whether the root leaves the runtime to itself, so that time goes on.
    rests: bool,
}

/// What a run was.
pub struct Outcome {
    pub trace: Vec<String>,
    pub breaches: Vec<String>,
    /// How often what happened.
    pub counts: BTreeMap<&'static str, u64>,
}

/// Runs one seed, on this thread alone; a `long` one has thousands of journeys.
pub fn run(seed: u64, long: bool) -> Outcome {
    note_panics();
    PANICS.take();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        // After each poll of a task the root has its turn.
        .event_interval(1)
        .on_thread_park(|| IDLE.with_borrow_mut(|idle| idle.parked = true))
        .on_thread_unpark(|| {
            let root = IDLE.with_borrow_mut(|idle| match std::mem::take(&mut idle.rests) {
                true => None,
                false => idle.root.clone(),
            });
            root.into_iter().for_each(|root| root.wake());
        })
        .build()
        .expect("a runtime of one thread needs nothing that could be missing");
    let people = LocalSet::new();
    let mut outcome = {
        let town = {
            let _inside = runtime.enter();
            Town::new(seed, long)
        };
        runtime.block_on(between_polls(&town, people.run_until(live(town.clone()))))
    };
    IDLE.with_borrow_mut(|idle| idle.root = None);
    drop(people);
    drop(runtime);
    outcome.breaches.extend(PANICS.take().into_iter().map(|panic| format!("a panic: {panic}")));
    outcome
}

/// Polls `all` that is to be done, and while a crash is wanted between two polls comes up between any two.
async fn between_polls<T>(town: &Town, all: impl Future<Output = T>) -> T {
    let mut all = pin!(all);
    poll_fn(|context| {
        town.world.between_polls();
        let done = all.as_mut().poll(context);
        IDLE.with_borrow_mut(|idle| {
            let parked = std::mem::take(&mut idle.parked);
            if !town.world.is_doomed() {
                idle.root = None;
                return;
            }
            if idle.root.is_none() {
                idle.root = Some(context.waker().clone());
            }
            // Nothing to do, once and not twice in a row: then time has not gone on yet, and the next turn is the runtime's own.
            idle.quiet = parked && !idle.quiet;
            idle.rests = idle.quiet;
            if !idle.rests {
                context.waker().wake_by_ref();
            }
        });
        done
    })
    .await
}

/// A panic that nobody provoked is a breach, also where the engine catches it.
fn note_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            let payload = info.payload_as_str().unwrap_or_default();
            if payload == PROVOKED {
                return;
            }
            let place = info.location().map(ToString::to_string).unwrap_or_default();
            PANICS.with_borrow_mut(|panics| panics.push(format!("{payload} at {place}")));
            before(info);
        }));
    });
}

async fn live(town: Arc<Town>) -> Outcome {
    let world = town.world.clone();
    town.start();
    let mut guests = Vec::new();
    for day in crowd(&town) {
        guests.push(tokio::task::spawn_local(day));
    }
    let troubles: Vec<_> =
        troubles(&town).into_iter().map(|trouble| tokio::task::spawn_local(trouble).abort_handle()).collect();
    let all = async {
        for guest in guests {
            if guest.await.is_err() {
                world.breach("a person panicked");
            }
        }
    };
    if timeout(WEEK, all).await.is_err() {
        world.breach("people still wait for an answer after a week");
    }
    troubles.iter().for_each(tokio::task::AbortHandle::abort);
    world.calm_down();
    come_to_rest(&town).await;
    Outcome { trace: world.take_trace(), breaches: world.breaches(), counts: world.counts() }
}

/// One node stays.
pub async fn settle(town: &Arc<Town>) -> Arc<Node> {
    let world = &town.world;
    loop {
        town.tidy_up();
        let ready = lock(&town.nodes).iter().rev().find(|node| node.is_ready()).cloned();
        let newest = lock(&town.nodes).last().cloned();
        match (ready, newest) {
            (Some(ready), Some(newest)) if ready.number == newest.number => {
                // A former owner that has heard of nothing yet must end by itself.
                sleep(Duration::from_secs(30)).await;
                town.tidy_up();
                // One that was started before it may have come to take the store only after it: then that one stays.
                if ready.gone.is_cancelled() {
                    continue;
                }
                if lock(&town.nodes).len() == 1 {
                    return ready;
                }
                if newest.is_ready() {
                    world.breach("two nodes live on");
                    return ready;
                }
            }
            (_, Some(_)) => sleep(Duration::from_millis(100)).await,
            (_, None) => drop(town.start()),
        }
    }
}

/// Another node takes the place of the last one.
async fn start_again(town: &Arc<Town>, node: &Arc<Node>) -> Arc<Node> {
    if !node.stop().await {
        town.world.breach("the last node did not stop as it should");
    }
    settle(town).await
}

/// One node stays, nothing goes wrong any more, and everything comes to its end.
async fn come_to_rest(town: &Arc<Town>) {
    let world = &town.world;
    world.note("calm");
    let mut node = settle(town).await;
    // With some entities quarantined or refusing for good, all others go on.
    Buyer::new(town, "the last buyer".to_owned()).try_the_shop().await;
    if node.gone.is_cancelled() {
        world.breach("a node ended though nothing went wrong any more");
    }
    if town.server.has_damage() || world.plan.poison > 0 {
        // Someone looks at what is damaged, and at what refuses: and nothing of it is lost.
        town.server.repair();
        node = start_again(town, &node).await;
    }
    node = hear(town, node).await;
    let rest = async {
        let mut staff = Staff::new(town, "the last of the staff".to_owned());
        while !town.oracle.replayed(Replay::is_at_rest) {
            for order in town.oracle.replayed(Replay::stuck) {
                staff.look_after(order).await;
            }
            sleep(Duration::from_secs(1)).await;
        }
    };
    if timeout(REST, rest).await.is_err() {
        world.breach(format_args!("never at rest: {:?}", town.oracle.replayed(Replay::unfinished)));
    }
    let mails = async {
        while town.server.open_jobs() > 0 {
            sleep(Duration::from_secs(1)).await;
        }
    };
    if timeout(REST, mails).await.is_err() {
        world.breach(format_args!("{} jobs never end", town.server.open_jobs()));
    }
    // Each is carried out, or refused: whatever was lost on the way.
    let wishes = town.oracle.replayed(Replay::with_wishes);
    for order in wishes.into_iter().filter(|order| !town.server.was_damaged(order.entity())) {
        world.breach(format_args!("{order} still wants something of a courier, and nobody asks it"));
    }
    change_marked_vendors(town, &node).await;
    if town.server.ever_rejected_rows() || !town.is_of_the_newest_version() {
        // It tries again what was refused, and its catalogue cache may have begun with the rows of then.
        node = start_again(town, &node).await;
    }
    remade(town).await;
    check(town, &node).await;
}

/// What came after payments is heard of: by the notices where the provider sends each until it is taken, and else by what a start asks for.
async fn hear(town: &Arc<Town>, mut node: Arc<Node>) -> Arc<Node> {
    let world = &town.world;
    // What was not heard of before is not to be heard of because of these.
    let is_new = |order: &OrderId| {
        town.books.disputes(*order).is_empty() && town.oracle.replayed(|replay| replay.is_paid(*order))
    };
    for order in town.books.payments().into_iter().filter(is_new).take(LAST_DISPUTES) {
        if let Some(opened) = town.books.dispute(order, world.chance("last disputes").between(1, 5_000) as i64) {
            town.books.close_dispute(order, &opened.id, world.chance("last disputes").per_mille(500));
        }
    }
    if world.plan.lists_changes {
        town.books.outbox.lose_all();
        if !town.oracle.unheard().is_empty() {
            world.count("starts that hear what notices did not tell");
            if !node.stop().await {
                world.breach("the last node did not stop as it should");
            }
            world.leap(WITHOUT_A_NODE_MS);
            node = settle(town).await;
        }
    }
    let courier = Courier::new(town, "the last courier");
    let all = async {
        courier.carry_all().await;
        while !town.oracle.unheard().is_empty() {
            sleep(Duration::from_secs(1)).await;
        }
    };
    if timeout(REST, all).await.is_err() {
        world.breach(format_args!("they never hear how their payments stand: {:?}", town.oracle.unheard()));
    }
    node
}

/// Changes the vendors of which rows were refused: the node that takes newer rows of them remakes all.
async fn change_marked_vendors(town: &Arc<Town>, node: &Arc<Node>) {
    for change in 0..CHANGES {
        let marked = town.server.marked_vendors();
        if marked.is_empty() {
            return;
        }
        let skus = town.oracle.replayed(Replay::skus);
        for id in marked {
            let Some(row) = skus.iter().find(|row| row.vendor_id == id) else { continue };
            let (by, price_minor, currency) = (Principal::SHOP, 2_000 + change, Currency::BDT);
            let command = VendorCommand::SetPrice { by, sku: row.id, price_minor, currency };
            let ask = Ask { within: Duration::from_secs(10), key: None, fresh: false };
            // Whether it was done is told by the rows.
            let _ = node.shop.ask::<Vendor>(id, command, ask).await;
        }
        sleep(Duration::from_secs(5) + town.world.plan.checkpoint_interval).await;
    }
    town.world.breach(format_args!("rows of {:?} never came again", town.server.marked_vendors()));
}

/// All rows come to be there, and to be of the newest shape.
async fn remade(town: &Arc<Town>) {
    let (world, shapes) = (&town.world, town.world.plan.shapes());
    let all = async {
        while !town.server.to_remake(&shapes).is_empty() {
            sleep(Duration::from_secs(1)).await;
        }
    };
    if timeout(REST, all).await.is_err() {
        world.breach(format_args!("never remade: {:?}", town.server.to_remake(&shapes)));
    }
}

async fn check(town: &Arc<Town>, node: &Arc<Node>) {
    let world = &town.world;
    world.note(format_args!("at rest: {:?}", town.oracle.replayed(Replay::order_counts)));
    town.oracle.check_at_rest();
    town.oracle.check_shown(&node.shop);
    if !node.stop().await {
        world.breach("the last node did not stop as it should");
    }
    town.server.show_tables();
    check_at_rest(town).await;
    // What had to end with the nodes has had its time.
    sleep(Duration::from_secs(60)).await;
}
