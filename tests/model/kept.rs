//! One entity by itself, with what a store would have of it: the parts of its snapshot and the records since. It can crash, and is then made of
//! these alone.

use haat::domain::entity::{Checks, Keeps, Part};
use haat::domain::knowledge::Knowledge;
use haat::domain::reject::Reject;
use haat::domain::time::Timestamp;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt::Debug;

/// What came of it in all runs of a test: a model shows nothing of what never happened.
#[derive(Debug, Default)]
pub struct Tally(RefCell<BTreeMap<String, u64>>);

impl Tally {
    pub fn count(&self, what: &str) {
        *self.0.borrow_mut().entry(what.to_owned()).or_default() += 1;
    }

    pub fn count_told<T>(&self, what: &str, told: &Result<T, Reject>) {
        let outcome = told.as_ref().map_or_else(|reject| reject.code(), |_| "done");
        self.count(&format!("{what}: {outcome}"));
    }

    /// All of these came, unless someone wants another number of cases.
    pub fn check(&self, all: &[&str]) {
        let tally = self.0.borrow();
        let missing: Vec<_> = all.iter().filter(|what| !tally.contains_key(**what)).collect();
        let is_asked = std::env::var_os("PROPTEST_CASES").is_some();
        assert!(is_asked || missing.is_empty(), "it never came to {missing:?}: {tally:#?}");
    }
}

pub struct Kept<E: Keeps + Checks> {
    pub entity: E,
    id: E::Id,
    parts: BTreeMap<String, Vec<u8>>,
    since: Vec<(Timestamp, String)>,
}

impl<E: Keeps + Checks + Debug> Kept<E> {
    pub fn new(id: E::Id) -> Self {
        Self { entity: E::new(id), id, parts: BTreeMap::new(), since: Vec::new() }
    }

    /// Asks it, and gives what it recorded.
    pub fn ask(&mut self, command: &E::Command, now: Timestamp) -> Result<Vec<E::Event>, Reject> {
        self.ask_who_knows(command, &Knowledge::NOTHING, now)
    }

    /// [`Kept::ask`], of one that knows this.
    pub fn ask_who_knows(
        &mut self,
        command: &E::Command,
        knowledge: &Knowledge<'_>,
        now: Timestamp,
    ) -> Result<Vec<E::Event>, Reject> {
        self.entity.heard(command, now);
        let events = self.entity.decide(command, knowledge, now)?;
        for event in &events {
            self.since.push((now, serde_json::to_string(event).expect("an event can be written")));
            self.entity.apply(event, now);
            self.entity.check().expect("it adds up");
        }
        Ok(events)
    }

    pub fn checkpoint(&mut self) {
        for Part { name, state } in self.entity.delta().parts {
            match state {
                Some(state) => drop(self.parts.insert(name, state)),
                None => drop(self.parts.remove(&name)),
            }
        }
        self.since.clear();
    }

    /// The parts of the snapshot whose names begin so.
    pub fn parts(&self, prefix: &str) -> Vec<&str> {
        self.parts.keys().map(String::as_str).filter(|name| name.starts_with(prefix)).collect()
    }

    pub fn crash(&mut self) {
        let part = |(name, state): (&String, &Vec<u8>)| Part { name: name.clone(), state: Some(state.clone()) };
        let parts: Vec<Part> = self.parts.iter().map(part).collect();
        self.entity = if parts.is_empty() { E::new(self.id) } else { E::restore(self.id, &parts).expect("a snapshot") };
        for (at, json) in &self.since {
            self.entity.apply(&serde_json::from_str(json).expect("it was just written"), *at);
        }
        self.entity.check().expect("it adds up");
    }
}
