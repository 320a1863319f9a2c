//! What the process that directs a run and those that drive sessions say to each other: JSON, a line each, over the pipes of the child.
//! Where one process does both, the same goes over channels.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use super::client::bearer;
use super::coupon::{Carried, Offered, Unused};
use super::judge::Line;
use super::members::Member;
use super::points::{Paying, Wanting};
use super::room::{Opened, PlaceTold};
use super::run::{Cart, Told};
use super::scenario::Scenario;
use super::shop::Sku;
use super::stats::Measured;
use super::wire::Status;

/// What a process that drives sessions is told first.
#[derive(Clone, Serialize, Deserialize)]
pub struct Assignment {
    /// What is driven.
    pub scenario: Scenario,
    /// The server.
    pub target: String,
    /// The choices' seed.
    pub seed: u64,
    /// Where promises are kept.
    pub journal: Option<PathBuf>,
    /// The SKUs that are bought.
    pub skus: Vec<Sku>,
    /// The coupon that is put into carts.
    #[serde(default)]
    pub coupons: Vec<Offered>,
    /// The room that is waited in.
    #[serde(default)]
    pub room: Option<Opened>,
    /// Those who come with an account, by session.
    #[serde(default)]
    pub members: BTreeMap<u64, Member>,
    /// Its part of the whole.
    pub part: Part,
}

/// One process's part: the sessions whose number leaves this remainder.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Part {
    /// Which process, from 0.
    pub process: u32,
    /// Of so many.
    pub processes: u32,
    /// Sessions under way at once, in this process.
    pub at_once: u32,
    /// Addresses of ours that connections are made from; none is the system's choice.
    pub addresses: Vec<IpAddr>,
}

/// What is said to a process that drives sessions.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// Begin the phase at this moment, the same for all processes.
    Go {
        /// Microseconds since 1970.
        at_us: u64,
    },
    /// End all sessions at their next rest.
    Stop,
    /// Nothing of this SKU was held in its sale, and so much was left.
    Left {
        /// Place in the run's list of SKUs.
        sku: usize,
        /// Pieces.
        left: i64,
    },
    /// So much of the coupon is not used.
    Unused(Unused),
}

/// What it says.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum News {
    /// It waits for the order to begin this phase.
    Ready(u32),
    /// What happened since the last one.
    Tick(Box<Tick>),
    /// It has done its part of this phase.
    Over(u32),
    /// It has done all.
    Done,
    /// It cannot go on.
    Failed(String),
}

/// What happened since the last tick, and what buyers were told.
#[derive(Default, Serialize, Deserialize)]
pub struct Tick {
    /// The phase.
    pub phase: u32,
    /// By second of the phase.
    pub seconds: Vec<(u32, Measured)>,
    /// Nothing more will come of the seconds before this one.
    pub complete: u32,
    /// Sessions under way now.
    pub under_way: u32,
    /// Orders that buyers were told of.
    pub told: Vec<ToldLine>,
    /// Carts whose checkout was given up without an answer.
    pub unsure: Vec<CartLine>,
    /// Checkouts sent twice whose answers disagree.
    pub split_twins: Vec<String>,
    /// What those wanted who left because a sale was sold out.
    #[serde(default)]
    pub turned_away: Vec<Vec<Line>>,
    /// What the coupon would have taken off for those who were refused because it is used up.
    #[serde(default)]
    pub without_coupon: Vec<Decimal>,
    /// What those wanted to spend who were refused for want of points.
    #[serde(default)]
    pub without_points: Vec<Wanting>,
    /// Places in the line of a room.
    #[serde(default)]
    pub places: Vec<PlaceTold>,
}

/// A cart on its way to another process.
#[derive(Serialize, Deserialize)]
pub struct CartLine {
    id: String,
    bearer: String,
    wholesale: bool,
    person: Option<u64>,
    lines: Vec<Line>,
    coupon: Option<Carried>,
    #[serde(default)]
    points: Option<Paying>,
}

/// An order on its way to another process.
#[derive(Serialize, Deserialize)]
pub struct ToldLine {
    id: String,
    status: Status,
    cart: CartLine,
}

impl From<&Cart> for CartLine {
    fn from(cart: &Cart) -> Self {
        CartLine {
            id: cart.id.clone(),
            bearer: cart.bearer.to_string(),
            wholesale: cart.wholesale,
            person: cart.person,
            lines: cart.lines.clone(),
            coupon: cart.coupon.clone(),
            points: cart.points.clone(),
        }
    }
}

impl CartLine {
    /// As it was.
    pub fn cart(self) -> anyhow::Result<Arc<Cart>> {
        let CartLine { id, bearer: token, wholesale, person, lines, coupon, points } = self;
        Ok(Arc::new(Cart { id, bearer: bearer(&token)?, wholesale, person, lines, coupon, points, entry: None }))
    }
}

impl From<&Told> for ToldLine {
    fn from(told: &Told) -> Self {
        ToldLine { id: told.id.clone(), status: told.status, cart: (&*told.cart).into() }
    }
}

impl ToldLine {
    /// As it was.
    pub fn told(self) -> anyhow::Result<Told> {
        Ok(Told { id: self.id, status: self.status, cart: self.cart.cart()? })
    }
}

/// A moment that is the same in all processes of this machine, so far from now.
pub fn moment_in(ahead: Duration) -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    (now + ahead).as_micros() as u64
}

/// Such a moment by this process's own clock.
pub fn instant_of(at_us: u64) -> Instant {
    let now = moment_in(Duration::ZERO);
    let instant = Instant::now();
    match at_us >= now {
        true => instant + Duration::from_micros(at_us - now),
        false => instant.checked_sub(Duration::from_micros(now - at_us)).unwrap_or(instant),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_arrives_as_it_was_sent() {
        let lines = vec![Line { sku: 3, quantity: 2 }];
        let coupon = Some(Carried { coupon: 0, discount: Decimal::new(1250, 2) });
        let cart = Cart {
            id: "cart_1".into(),
            bearer: "t".into(),
            wholesale: true,
            person: Some(7),
            lines,
            coupon,
            points: Some(Paying { customer: "customer_1".into(), given: 500, wanted: 20 }),
            entry: None,
        };
        let told = Told { id: "order_1".into(), cart: Arc::new(cart), status: Status::PaymentFailed };
        let text = serde_json::to_string(&ToldLine::from(&told)).expect("text");
        let line: ToldLine = serde_json::from_str(&text).expect("the same");
        let back = line.told().expect("an order");
        assert_eq!((&*back.id, back.status, &*back.cart.bearer), ("order_1", Status::PaymentFailed, "t"));
        assert_eq!((&back.cart.lines, back.cart.person), (&told.cart.lines, Some(7)));
        assert_eq!((&back.cart.coupon, back.cart.wholesale), (&told.cart.coupon, true));
        assert_eq!(back.cart.points, told.cart.points);
    }

    #[test]
    fn a_moment_is_found_again() {
        let before = Instant::now();
        let instant = instant_of(moment_in(Duration::from_secs(5)));
        // Two clocks are read, one after the other, and the machine may stand still in between.
        let slack = before.elapsed() + Duration::from_millis(100);
        let ahead = instant.saturating_duration_since(before);
        assert!(ahead.abs_diff(Duration::from_secs(5)) <= slack, "{ahead:?}, give or take {slack:?}");
    }
}
