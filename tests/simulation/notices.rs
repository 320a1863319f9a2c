//! What the simulated payment provider tells by itself: notices that wait to be sent, in no order, and a list of what has changed. A provider either
//! sends each notice until it is taken and lists nothing, or loses notices and lists all: so each way has to be enough without the other.

use crate::world::{Chance, World, lock};
use haat::domain::ids::OrderId;
use haat::domain::time::Timestamp;
use haat::ports::{Changed, Headers, NoNotice, Notice, Payment};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Mutex;
use std::time::Duration;
use tokio::time::Instant;

/// What notices are signed with.
const SECRET: &[u8] = b"the provider and the shop know it";
/// Orders on one page of the list.
const PAGE: usize = 3;

/// A notice: whose payment it is about.
#[derive(Clone, Debug)]
pub struct Letter {
    pub order: OrderId,
    /// Whether it is about what comes after a payment.
    pub after: bool,
    written: Instant,
}

/// The name of an order's payment in the provider's books.
fn name_of(order: OrderId) -> String {
    format!("pay of {order}")
}

/// Whose payment the provider calls so.
pub fn order_named(reference: &str) -> Option<OrderId> {
    reference.strip_prefix("pay of ")?.parse().ok()
}

impl Letter {
    /// For how long it has waited.
    pub fn age(&self) -> Duration {
        self.written.elapsed()
    }

    /// As it is sent: some name the order, others the payment. What it says besides is a lie, which nobody is to believe.
    pub fn body(&self, named: bool) -> Vec<u8> {
        let of = if named { name_of(self.order) } else { self.order.to_string() };
        let letter = json!({ "after": self.after, "named": named, "of": of, "paid": true, "dispute": "lost" });
        letter.to_string().into_bytes()
    }

    /// Its signature, or that of somebody else.
    pub fn signature(forged: bool) -> &'static [u8] {
        if forged { b"somebody else's" } else { SECRET }
    }
}

/// Reads a notice.
pub fn read(header: Headers<'_>, body: &[u8]) -> Result<Notice, NoNotice> {
    if header("signature") != Some(SECRET) {
        return Err(NoNotice::Forged);
    }
    let letter: Value = serde_json::from_slice(body).expect("the provider wrote it");
    let of = letter["of"].as_str().unwrap_or_default();
    let (after, named) = (letter["after"] == true, letter["named"] == true);
    Ok(match (after, of.parse::<OrderId>()) {
        (true, Ok(order)) => Notice::After(Payment::Of(order)),
        (true, Err(_)) if named => Notice::After(Payment::Named(of.to_owned())),
        (false, Ok(order)) => Notice::Order(order),
        (_, _) => Notice::Other,
    })
}

/// The provider's notices and its list.
#[derive(Default)]
pub struct Outbox {
    letters: Mutex<Vec<Letter>>,
    /// Orders whose payment changed after it was taken, and when.
    changes: Mutex<Vec<(Timestamp, OrderId)>>,
}

impl Outbox {
    /// There is something to tell.
    pub fn announce(&self, world: &World, order: OrderId, after: bool) {
        lock(&self.letters).push(Letter { order, after, written: Instant::now() });
        if after {
            lock(&self.changes).push((world.now(), order));
        }
    }

    /// One of the letters that wait, whichever.
    pub fn take(&self, chance: &Chance) -> Option<Letter> {
        let mut letters = lock(&self.letters);
        let place = chance.below(letters.len() as u64) as usize;
        (!letters.is_empty()).then(|| letters.remove(place))
    }

    /// It is to be sent, or to be sent again.
    pub fn put(&self, letter: Letter) {
        lock(&self.letters).push(letter);
    }

    /// Nobody sends any of them any more.
    pub fn lose_all(&self) {
        lock(&self.letters).clear();
    }

    /// Orders of which something was told after their payment.
    pub fn changed_ever(&self) -> BTreeSet<OrderId> {
        lock(&self.changes).iter().map(|(_, order)| *order).collect()
    }

    /// A page of the list.
    pub fn changed(&self, since: Timestamp, cursor: Option<&str>) -> Changed {
        let from: usize = cursor.and_then(|cursor| cursor.parse().ok()).unwrap_or(0);
        let changes = lock(&self.changes);
        let all: Vec<OrderId> = changes.iter().filter(|(at, _)| *at >= since).map(|(_, order)| *order).collect();
        let orders: Vec<OrderId> = all.iter().skip(from).take(PAGE).copied().collect();
        let next = (from + PAGE < all.len()).then(|| (from + PAGE).to_string());
        Changed { orders, next }
    }
}
