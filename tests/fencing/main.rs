//! The fencing protocol, as a model that is checked exhaustively: every order in which two servers, their connections, the store and time can
//! take their steps, within the bounds of the model.
//!
//! The code it stands for: `persistence/postgres/journal.rs` (taking partitions, appending) and `persistence/lane.rs` (one batch in flight, the same
//! bytes again after an unknown outcome, what a collision means, the lease). What it must keep: an answer that was given stays true,
//! nothing is written twice, and nobody answers from a state that another has overtaken. The second test takes one protection away at a
//! time and expects the checker to find what then goes wrong: so the model is known to be able to fail.

mod model;

use model::{Protocol, Without};
use stateright::{Checker, HasDiscoveries, Model};
use std::collections::BTreeSet;

/// A bound, so that a mistake in the model ends a run instead of filling the memory.
const MOST_STATES: usize = 20_000_000;

#[test]
fn every_answer_stays_true_whoever_takes_over_and_whenever() {
    for protocol in [
        Protocol { without: None, terms: 2, batches: 2, ticks: 4 },
        Protocol { without: None, terms: 3, batches: 1, ticks: 2 },
    ] {
        let checked = protocol.checker().threads(2).target_state_count(MOST_STATES).spawn_bfs().join();
        checked.assert_properties();
        let states = checked.unique_state_count();
        println!("{states} states");
        assert!(checked.state_count() < MOST_STATES, "not all states were visited");
        // Far fewer would mean that the model cannot do what it is about.
        assert!(states > 100_000, "only {states} states");
    }
}

#[test]
fn each_protection_is_needed() {
    for (without, breaks) in [
        (Without::EpochFrames, "nobody answers from a state that is overtaken"),
        (Without::EveryPartition, "nobody answers from a state that is overtaken"),
        (Without::SameBatchAgain, "nothing is written twice"),
        (Without::BatchIds, "an answer stays true"),
        (Without::OneInFlight, "nothing is written out of order"),
        (Without::LeaseWait, "nobody answers from a state that is overtaken"),
        (Without::LeaseCheck, "nobody answers from a state that is overtaken"),
    ] {
        let broken = HasDiscoveries::AnyOf(BTreeSet::from([breaks]));
        let protocol = Protocol { without: Some(without), terms: 2, batches: 2, ticks: 4 };
        let checker = protocol.checker().threads(2).target_state_count(MOST_STATES);
        let checked = checker.finish_when(broken).spawn_bfs().join();
        let path = checked.discovery(breaks);
        println!("without {without:?}: {:?}", path.as_ref().map(|path| path.clone().into_actions()));
        assert!(path.is_some(), "without {without:?} {breaks} all the same");
    }
}
