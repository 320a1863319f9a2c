//! Merges: what one cart gives the other takes or leaves out, piece by piece and once, and whoever asks is told what was
//! left out. It counts pieces by itself: those of a cart before and after, and those that the records name.

use super::replay::{Events, Recorded};
use super::{Causes, Judge, Replay};
use crate::world::{World, lock};
use haat::domain::cart::{Cart, CartEvent, LeftOut};
use haat::domain::customer::CustomerEvent;
use haat::domain::ids::{CartId, CustomerId, SkuId};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

/// Pieces of each SKU; none with 0.
type Pieces = BTreeMap<SkuId, i64>;

fn add(to: &mut Pieces, pieces: impl IntoIterator<Item = (SkuId, i64)>) {
    for (sku, quantity) in pieces {
        *to.entry(sku).or_default() += quantity;
    }
}

/// What a cart holds, without a look at what it says of itself otherwise.
fn held(cart: &Cart) -> Pieces {
    let mut pieces = Pieces::new();
    add(&mut pieces, cart.view().into_iter().flat_map(|view| view.lines).map(|line| (line.sku, line.quantity)));
    pieces
}

#[derive(Default)]
struct Known {
    /// What each cart held after its last record.
    held: BTreeMap<CartId, Pieces>,
    /// What was given: into which cart, and how much.
    given: BTreeMap<CartId, (CartId, Pieces)>,
    /// What was left out of it.
    taken: BTreeMap<CartId, Vec<LeftOut>>,
    /// What somebody was told was left out.
    told: Vec<(CartId, CartId, Vec<LeftOut>)>,
    /// Carts that were not open, once at least.
    closed: BTreeSet<CartId>,
    /// The number of each customer's newest cart.
    carts: BTreeMap<CustomerId, u32>,
}

pub struct Merges {
    known: Arc<Mutex<Known>>,
    world: Arc<World>,
}

impl Merges {
    pub fn new(world: Arc<World>) -> Self {
        Self { known: Arc::default(), world }
    }

    /// Somebody was told that this was left out.
    pub fn told(&self, into: CartId, from: CartId, left_out: Vec<LeftOut>) {
        let mut known = lock(&self.known);
        let is_so = known.given.get(&from).is_some_and(|(by, _)| *by == into);
        if !is_so || known.taken.get(&from) != Some(&left_out) {
            self.world.breach(format_args!("told that {into} left out {left_out:?} of {from}"));
        }
        known.told.push((into, from, left_out));
    }

    fn gives(&self, known: &mut Known, cart: CartId, into: CartId, lines: Pieces) {
        if known.held.get(&cart).cloned().unwrap_or_default() != lines {
            self.world.breach(format_args!("{cart} does not give what it held: {lines:?}"));
        }
        if let Some((before, _)) = known.given.insert(cart, (into, lines)) {
            self.world.breach(format_args!("{cart} was given to {before}, and then to {into}"));
        }
    }

    fn takes(&self, known: &mut Known, cart: CartId, from: CartId, left_out: &[LeftOut]) {
        if known.taken.insert(from, left_out.to_vec()).is_some() {
            self.world.breach(format_args!("{cart} takes {from}, which was taken before"));
        }
    }

    fn cart(&self, cart: CartId, events: &[CartEvent], after: Pieces, causes: &mut Causes) {
        let known = &mut *lock(&self.known);
        let before = known.held.get(&cart).cloned().unwrap_or_default();
        let mut expected = before;
        let mut merges = false;
        for event in events {
            match event {
                CartEvent::Merged { into, lines } => {
                    let mut given = Pieces::new();
                    add(&mut given, lines.iter().map(|line| (line.sku, line.quantity)));
                    self.gives(known, cart, *into, given);
                    merges = true;
                }
                CartEvent::MergedIn { from, lines, left_out, .. } => {
                    let taken: Vec<_> = lines.iter().map(|line| (line.sku, line.quantity)).collect();
                    let mut all = Pieces::new();
                    add(&mut all, taken.iter().copied().chain(left_out.iter().map(|left| (left.sku, left.quantity))));
                    add(&mut expected, taken);
                    let (from, all_known) = (*from, self.known.clone());
                    let is_given = move |_: &Replay| {
                        let known = lock(&all_known);
                        known.given.get(&from).is_some_and(|(into, given)| *into == cart && *given == all)
                    };
                    causes.push((format!("{cart} takes just this of {from}"), Box::new(is_given)));
                    self.takes(known, cart, from, left_out);
                    merges = true;
                    self.world.count("pieces were merged");
                }
                CartEvent::CheckoutStarted { .. } => _ = known.closed.insert(cart),
                CartEvent::MergeAcknowledged => {
                    let all_known = self.known.clone();
                    let is_taken = move |_: &Replay| lock(&all_known).taken.contains_key(&cart);
                    causes.push((format!("{cart} hears that it was taken"), Box::new(is_taken)));
                }
                _ => {}
            }
        }
        if merges && expected != after {
            self.world.breach(format_args!("{cart} holds {after:?} after a merge, and not {expected:?}"));
        }
        known.held.insert(cart, after);
    }
}

impl Judge for Merges {
    fn record(&self, replay: &Replay, record: &Recorded<'_>, causes: &mut Causes) {
        match &record.events {
            Events::Cart(id, events) => {
                let after = replay.cart(*id).map(held).unwrap_or_default();
                self.cart(*id, events, after, causes);
            }
            Events::Customer(id, events) => {
                for event in events {
                    let CustomerEvent::CartFollowed { number } = event else { continue };
                    let before = lock(&self.known).carts.insert(*id, *number).unwrap_or(0);
                    let last = CartId::of_customer(*id, before);
                    if *number != before + 1 {
                        self.world.breach(format_args!("{id}: cart {number} follows cart {before}"));
                    }
                    // What it is asked for the next one follows from the last one's answer, which was durable.
                    if !lock(&self.known).closed.contains(&last) {
                        self.world.breach(format_args!("{id} leaves {last}, which was never closed"));
                    }
                }
            }
            _ => {}
        }
    }

    fn at_rest(&self, _: &Replay) {
        let known = lock(&self.known);
        for (from, (into, pieces)) in &known.given {
            if !known.taken.contains_key(from) {
                self.world.breach(format_args!("{from} was given to {into}, which never took {pieces:?}"));
            }
        }
        for (into, from, left_out) in &known.told {
            if known.taken.get(from) != Some(left_out) {
                self.world.breach(format_args!("told that {into} left out {left_out:?} of {from}, which is not so"));
            }
        }
    }
}
