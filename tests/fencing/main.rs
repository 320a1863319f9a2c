//! The fencing protocol, as a model that is checked exhaustively: every order in which two servers, their connections, the store and time can
//! take their steps, within the bounds of the model.
//!
//! The code it stands for: `persistence/postgres/journal.rs` (taking partitions, appending), `persistence/log_writer.rs` (one batch in flight, the same
//! bytes again after an unknown outcome, what a collision means, the lease) and `persistence/portable/frames.rs` (dropping frames that an
//! archive has). What it must keep: an answer that was given stays true,
//! nothing is written twice, and nobody answers from a state that another has overtaken. The other tests take one protection away at a
//! time and expect the checker to find what then goes wrong: so the model is known to be able to fail.

mod model;

use model::{Protocol, Without};
use stateright::{Checker, HasDiscoveries, Model};
use std::collections::BTreeSet;

/// A bound, so that a mistake in the model ends a run instead of filling the memory.
const MOST_STATES: usize = 20_000_000;

/// Old frames are dropped at any moment at which they may be.
const ARCHIVED: Protocol = Protocol { without: None, terms: 2, batches: 1, ticks: 2, archive: true };

#[test]
fn every_answer_stays_true_whoever_takes_over_and_whenever() {
    for protocol in [
        Protocol { without: None, terms: 2, batches: 2, ticks: 4, archive: false },
        Protocol { without: None, terms: 3, batches: 1, ticks: 2, archive: false },
        ARCHIVED,
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
        let protocol = Protocol { without: Some(without), terms: 2, batches: 2, ticks: 4, archive: false };
        assert!(finds(protocol, breaks), "without {without:?} {breaks} all the same");
    }
}

/// With an archive the fence itself can be gone when the server wakes up that it is for. And looking at the epoch does not stand in for
/// the fence: a term may end between the look and the write.
#[test]
fn each_protection_is_needed_where_frames_are_dropped() {
    for (without, breaks) in [
        (Without::EpochCheck, "an answer stays true"),
        (Without::AppendsWait, "an answer stays true"),
        (Without::CheckpointFirst, "an answer stays true"),
        (Without::NewestStays, "nobody answers from a state that is overtaken"),
        (Without::EpochFrames, "nobody answers from a state that is overtaken"),
    ] {
        let protocol = Protocol { without: Some(without), ..ARCHIVED };
        assert!(finds(protocol, breaks), "without {without:?} {breaks} all the same");
    }
}

/// Whether the checker finds steps that lead to this breach.
fn finds(protocol: Protocol, breaks: &'static str) -> bool {
    let broken = HasDiscoveries::AnyOf(BTreeSet::from([breaks]));
    let checker = protocol.checker().threads(2).target_state_count(MOST_STATES);
    let checked = checker.finish_when(broken).spawn_bfs().join();
    let path = checked.discovery(breaks);
    println!("without {:?}: {:?}", protocol.without, path.as_ref().map(|path| path.clone().into_actions()));
    path.is_some()
}
