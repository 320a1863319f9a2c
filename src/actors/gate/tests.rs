//! The way to a payment provider, in simulated time.

use super::*;
use tokio::time::{advance, sleep};
use uuid::Uuid;

const SILENT_ORDERS: usize = 3;

fn wish(number: u128, void: bool) -> Wish {
    Wish { order: OrderId::from_uuid(Uuid::from_u128(number)), charges: !void, not_after: Timestamp::default() }
}

fn gate(calls_per_second: u32) -> Arc<Gate> {
    Gate::new("tested", calls_per_second, SILENT_ORDERS)
}

/// A pass that is there at once.
fn passes(gate: &Arc<Gate>, number: u128) -> Option<Pass> {
    match gate.enter(wish(number, false), Instant::now()) {
        Entry::Now(pass) => Some(pass),
        Entry::Later(..) => None,
    }
}

/// Waits in line, and drives whoever is first.
async fn comes_in(gate: &Arc<Gate>, number: u128, void: bool) -> Option<Pass> {
    match gate.enter(wish(number, void), Instant::now()) {
        Entry::Now(pass) => Some(pass),
        Entry::Later(pass, undriven) => {
            if undriven {
                tokio::spawn(gate.clone().drive(|_| true));
            }
            pass.await.ok()
        }
    }
}

fn falls_silent(gate: &Arc<Gate>) {
    for order in 0..SILENT_ORDERS as u128 {
        assert_eq!(gate.silent_for(Instant::now()), None);
        passes(gate, order).expect("it is asked").ends(false);
    }
    assert_eq!(gate.silent_for(Instant::now()), Some(Duration::ZERO));
}

#[tokio::test(start_paused = true)]
async fn a_provider_is_silent_when_so_many_orders_in_a_row_had_no_answer() {
    let gate = gate(100_000);
    for _ in 0..100 {
        passes(&gate, 7).expect("one order that never has an answer stops nobody").ends(false);
    }
    for order in 0..100 {
        passes(&gate, order).expect("it is asked").ends(order % 2 == 0);
    }
    drop(passes(&gate, 8));
    drop(passes(&gate, 9));
    assert_eq!(gate.silent_for(Instant::now()), None, "calls that were not made show nothing");
    sleep(Duration::from_secs(1)).await;
    passes(&gate, 1).expect("it is asked").ends(true);
    falls_silent(&gate);
    assert!(passes(&gate, 9).is_none());
}

#[tokio::test(start_paused = true)]
async fn a_silent_provider_is_tried_ever_more_rarely_and_the_first_answer_lets_all_in() {
    let gate = gate(1_000);
    falls_silent(&gate);
    let (begun, mut rounds) = (Instant::now(), Vec::new());
    // Orders that wait; each that is tried stands in line anew.
    let (told, mut probes) = tokio::sync::mpsc::channel(1_000);
    for order in 0..100 {
        let (gate, told) = (gate.clone(), told.clone());
        tokio::spawn(async move {
            while let Some(pass) = comes_in(&gate, order, order % 2 == 1).await {
                told.send((order, pass)).await.expect("somebody hears it");
                sleep(Duration::from_millis(1)).await;
            }
        });
    }
    let mut last_tried = None;
    while begun.elapsed() < Duration::from_secs(600) {
        let mut tried = Vec::new();
        for _ in 0..limits::GATEWAY_PROBES {
            tried.push(probes.recv().await.expect("somebody is tried"));
        }
        rounds.push(begun.elapsed().as_millis() as u64);
        sleep(Duration::from_millis(5_000)).await;
        assert!(probes.try_recv().is_err(), "no more than so many at a time");
        let orders: Vec<u128> = tried.iter().map(|(order, _)| *order).collect();
        assert_ne!(Some(&orders), last_tried.as_ref(), "others have their turn");
        last_tried = Some(orders);
        tried.into_iter().for_each(|(_, pass)| pass.ends(false));
    }
    let waits: Vec<u64> = rounds.windows(2).map(|pair| pair[1] - pair[0] - 5_000).collect();
    assert!(rounds[0] <= 1_001 && waits.iter().all(|wait| *wait <= 30_001), "{rounds:?}");
    assert!(waits[6..].iter().all(|wait| *wait >= 22_500), "{waits:?}");
    sleep(Duration::from_millis(10)).await;
    assert!(gate.silent_for(Instant::now()) >= Some(Duration::from_secs(600)), "since the first");
    let (_, answered) = probes.recv().await.expect("somebody is tried");
    answered.ends(true);
    assert_eq!(gate.silent_for(Instant::now()), None);
    let back = Instant::now();
    let mut seen = std::collections::BTreeSet::new();
    while seen.len() < 90 {
        let (order, pass) = probes.recv().await.expect("all come in");
        seen.insert(order);
        pass.ends(true);
    }
    assert!(back.elapsed() < Duration::from_secs(1), "{:?}", back.elapsed());
}

/// A round of probes ends with its own calls: what an older round left over is heard, and counts for nothing.
#[tokio::test(start_paused = true)]
async fn calls_of_an_older_round_do_not_end_a_newer_one() {
    let gate = gate(1_000);
    falls_silent(&gate);
    advance(Duration::from_secs(1)).await;
    let (left_over, answers) = (passes(&gate, 1).unwrap(), passes(&gate, 2).unwrap());
    answers.ends(true);
    falls_silent(&gate);
    advance(Duration::from_secs(1)).await;
    let probe = passes(&gate, 3).expect("a probe of the second round");
    left_over.ends(false);
    let another = passes(&gate, 4).expect("the round goes on");
    probe.ends(false);
    another.ends(false);
    assert!(passes(&gate, 5).is_none(), "all of the round were in vain");
    // An answer is an answer, however late.
    let gate = self::gate(1_000);
    let late = passes(&gate, 9).unwrap();
    falls_silent(&gate);
    late.ends(true);
    assert!(passes(&gate, 5).is_some());
}

/// A probe that was not made after all leaves its place to another.
#[tokio::test(start_paused = true)]
async fn a_probe_that_was_not_made_shows_nothing() {
    let gate = gate(1_000);
    falls_silent(&gate);
    advance(Duration::from_secs(1)).await;
    for order in 0..10 {
        drop(passes(&gate, order).expect("another in its place"));
    }
    passes(&gate, 1).expect("and one that is made").ends(true);
    assert_eq!(gate.silent_for(Instant::now()), None);
}

#[tokio::test(start_paused = true)]
async fn calls_keep_to_their_rate_and_nothing_of_it_is_lost() {
    let (gate, begun) = (gate(100), Instant::now());
    let calls: Vec<_> = (0..500)
        .map(|order| {
            let gate = gate.clone();
            tokio::spawn(async move {
                comes_in(&gate, order, false).await.expect("it comes in").ends(true);
                begun.elapsed().as_millis() as i64
            })
        })
        .collect();
    let mut times = Vec::new();
    for call in calls {
        times.push(call.await.expect("it comes in"));
    }
    // A burst of a tenth of a second, and from then on one per hundredth.
    for (number, time) in times.iter().enumerate() {
        let expected = (number as i64 - 10).max(0) * 10;
        assert!((expected - 10..=expected + 11).contains(time), "number {number} came in at {time} ms: {times:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn voids_and_charges_take_turns() {
    let (gate, order) = (gate(100), Arc::new(Mutex::new(Vec::new())));
    let mut all = Vec::new();
    for number in 0..300 {
        // The voids come last.
        let (gate, order, void) = (gate.clone(), order.clone(), number >= 280);
        all.push(tokio::spawn(async move {
            comes_in(&gate, number, void).await.expect("it comes in").ends(true);
            order.lock().push(void);
        }));
    }
    for one in all {
        one.await.expect("it comes in");
    }
    let order = order.lock();
    let last = order.iter().rposition(|void| *void).unwrap();
    assert!(last < 60, "after {last} calls all twenty voids have been made");
    assert!(order[..last].iter().filter(|void| !**void).count() >= 20, "and charges meanwhile");
}

#[tokio::test(start_paused = true)]
async fn as_many_run_at_a_time_as_may_and_the_end_of_one_lets_the_next_in() {
    let gate = gate(u32::MAX);
    let mut running: Vec<Pass> =
        (0..limits::GATEWAY_CALLS as u128).map(|order| passes(&gate, order).unwrap()).collect();
    let waits = {
        let gate = gate.clone();
        tokio::spawn(async move { comes_in(&gate, 1, true).await.is_some() })
    };
    sleep(Duration::from_secs(1)).await;
    assert!(!waits.is_finished());
    running.pop();
    assert!(waits.await.expect("it waits for a place"));
}

/// What is not wanted any more leaves the line without a call, and whoever waited hears of it.
#[tokio::test(start_paused = true)]
async fn what_is_not_wanted_any_more_costs_nothing_of_the_rate() {
    let gate = gate(1_000);
    falls_silent(&gate);
    let mut waiting = Vec::new();
    for order in 0..1_000 {
        let Entry::Later(pass, undriven) = gate.enter(wish(order, false), Instant::now()) else { panic!("it waits") };
        assert_eq!(undriven, order == 0);
        waiting.push(pass);
    }
    waiting.truncate(900);
    advance(Duration::from_secs(1)).await;
    let wanted = |wish: &Wish| wish.order.uuid().as_u128() >= 899;
    assert_eq!(gate.let_in(&wanted, Instant::now()), Next::Nobody);
    let let_in: Vec<usize> = (0..900).filter(|order| waiting[*order].try_recv().is_ok()).collect();
    assert_eq!(let_in, [899]);
    assert!(gate.state.lock().meter.is_idle(), "the pass that nobody took came back");
    let Entry::Now(_) = gate.enter(wish(5, false), Instant::now()) else { panic!("a probe is to be had") };
}
