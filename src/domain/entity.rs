//! What every entity is: a state machine that decides apart from doing.

use super::buyer::{Audience, Claim, Exemption, Mint};
use super::details::{Detail, DetailName};
use super::ids::{CustomerId, EntityId, EntityRef, Kind, OrderId, SaleId, SkuId};
use super::invariants::Breach;
use super::json;
use super::kinds::kinds;
use super::knowledge::Knowledge;
use super::money::Money;
use super::order::OrderStatus;
use super::reject::Reject;
use super::rows::{CouponRow, ProductRow, Rows, SaleRow, SkuRow, VendorRow};
use super::time::Timestamp;
use crate::limits;
use serde::de::{self, DeserializeOwned};
use serde::{Deserialize, Serialize};
use std::fmt::{self, Debug};

pub use super::who::{By, Owner, Principal};

macro_rules! message {
    ([$($(#[$doc:meta])* $kind:ident $name:literal $slots:ident $type:ty, $unknown:ident;)*]) => {
        /// A command on its way to an entity.
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        #[serde(tag = "to", rename_all = "snake_case")]
        pub enum Message {
            $(
                $(#[$doc])*
                $kind {
                    /// Which.
                    id: <$type as Decides>::Id,
                    /// What.
                    command: <$type as Decides>::Command,
                },
            )*
        }

        impl Message {
            /// Who it is for.
            pub fn to(&self) -> EntityRef {
                match self {
                    $(Message::$kind { id, .. } => id.entity(),)*
                }
            }
        }
    };
}

kinds!(message);

/// A payment to be asked for, or to be undone. Order and mint together are the idempotency key: whatever is repeated, the money moves once.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaymentCall {
    /// The order.
    pub order: OrderId,
    /// Drawn for the order; none in an order of an early version.
    pub mint: Option<Mint>,
    /// What to charge.
    pub amount: Money,
    /// Which gateway.
    pub method: String,
    /// The gateway's name for the buyer's means of payment. The order itself knows it only if it is of an early version: else whoever makes the
    /// call finds it among the order's details, and what only undoes a payment needs none.
    pub token: Option<Box<str>>,
    /// What the provider calls the payment that it has made ready, once that is recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<Box<str>>,
    /// Past this moment nothing may be charged.
    pub not_after: Timestamp,
}

impl fmt::Debug for PaymentCall {
    /// Without the token, which has no place in a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { order, mint, amount, method, token: _, reference, not_after } = self;
        let mut call = f.debug_struct("PaymentCall");
        call.field("order", order)
            .field("mint", mint)
            .field("amount", amount)
            .field("method", method)
            .field("reference", reference)
            .field("not_after", not_after);
        call.finish_non_exhaustive()
    }
}

/// What an entity wants from the world.
#[allow(clippy::large_enum_variant, reason = "nearly all are messages, and none is kept")]
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// A command to another entity. Within a node it goes at once.
    Tell(Message),
    /// Charge a buyer. Leaves the node: it waits until its cause is durable.
    Charge(PaymentCall),
    /// Find out whether a buyer was charged in time. Leaves the node, as [`Effect::Charge`].
    LookUp(PaymentCall),
    /// Make sure that nothing is charged, and give back what was. Leaves the node, as [`Effect::Charge`].
    Void {
        /// The payment.
        call: PaymentCall,
        /// Which try to give back this is, from 1: a new one follows one that failed for good.
        attempt: u32,
    },
}

/// Names one outstanding effect of one entity, so that it is sent once and then again only with backoff.
#[derive(Clone, Copy, Debug, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(not(test), derive(PartialEq))]
#[cfg_attr(test, expect(clippy::derived_hash_with_manual_eq, reason = "it is equal in the same way, and counted"))]
pub struct EffectKey {
    /// The step of the saga.
    pub step: Step,
    /// Whom it concerns, where a step has several (a vendor; an order); zero otherwise.
    pub target: u128,
}

#[cfg(test)]
thread_local! {
    static COMPARED: std::cell::Cell<u64> = const { std::cell::Cell::new(0) };
}

/// How often keys were compared on this thread: what work grows with, where there are many.
#[cfg(test)]
pub(crate) fn compared() -> u64 {
    COMPARED.get()
}

#[cfg(test)]
impl PartialEq for EffectKey {
    fn eq(&self, other: &Self) -> bool {
        COMPARED.set(COMPARED.get() + 1);
        self.step == other.step && self.target == other.target
    }
}

impl EffectKey {
    /// The effect of `step` that concerns `target`.
    pub fn new(step: Step, target: impl EntityId) -> Self {
        Self { step, target: target.uuid().as_u128() }
    }
}

/// The steps that ask something of the world.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Step {
    /// A cart places its order.
    Place,
    /// An order asks a vendor to hold stock.
    Reserve,
    /// An order asks for its payment.
    Charge,
    /// An order asks for its payment, which its provider has made ready.
    ChargePrepared,
    /// An order whose payment's time is over asks whether it was made.
    LookUp,
    /// An order undoes its payment.
    Void,
    /// A paid order takes what was held.
    Commit,
    /// An order that ends unpaid gives back what was held.
    Release,
    /// An order that ends unpaid opens its cart again.
    Reopen,
    /// A paid order closes its cart.
    Close,
    /// A vendor asks an order about a hold whose time has passed.
    AskHold,
    /// A cart that was merged gives its lines to the other one.
    Merge,
    /// An order asks a coupon to hold a use.
    HoldUse,
    /// A paid order has used a coupon.
    CommitUse,
    /// An order that ends unpaid gives the use of a coupon back.
    ReleaseUse,
    /// A vendor takes back what was cancelled of a paid order.
    Restock,
    /// A vendor or a coupon asks an order whether it has heard that.
    AskCredit,
    /// A coupon makes free what was used by what was cancelled of a paid order.
    ReturnUse,
    /// An order that is to be paid at the door asks whether its buyer may have one more.
    OpenCash,
    /// Such an order is accepted.
    KeepCash,
    /// Such an order ends before it is accepted.
    DropCash,
    /// Nothing of such an order is to be brought to a door any more.
    CloseCash,
    /// An order asks its buyer to set points aside.
    HoldPoints,
    /// A paid order has spent points.
    SpendPoints,
    /// An order that ends unpaid gives points back.
    ReleasePoints,
    /// An order says what it has earned, and what of points comes back.
    PostPoints,
}

impl Step {
    /// Its name, as operators read it.
    pub const fn name(self) -> &'static str {
        match self {
            Step::Place => "place",
            Step::Reserve => "reserve",
            Step::Charge => "charge",
            Step::ChargePrepared => "charge_prepared",
            Step::LookUp => "look_up",
            Step::Void => "void",
            Step::Commit => "commit",
            Step::Release => "release",
            Step::Reopen => "reopen",
            Step::Close => "close",
            Step::AskHold => "ask_hold",
            Step::Merge => "merge",
            Step::HoldUse => "hold_use",
            Step::CommitUse => "commit_use",
            Step::ReleaseUse => "release_use",
            Step::Restock => "restock",
            Step::AskCredit => "ask_credit",
            Step::ReturnUse => "return_use",
            Step::OpenCash => "open_cash",
            Step::KeepCash => "keep_cash",
            Step::DropCash => "drop_cash",
            Step::CloseCash => "close_cash",
            Step::HoldPoints => "hold_points",
            Step::SpendPoints => "spend_points",
            Step::ReleasePoints => "release_points",
            Step::PostPoints => "post_points",
        }
    }

    /// Of what kind it is that a step concerns.
    pub const fn concerns(self) -> Kind {
        match self {
            Step::Reserve | Step::Commit | Step::Release | Step::Restock => Kind::Vendor,
            Step::Place
            | Step::Charge
            | Step::ChargePrepared
            | Step::LookUp
            | Step::Void
            | Step::AskHold
            | Step::AskCredit => Kind::Order,
            Step::Reopen | Step::Close | Step::Merge => Kind::Cart,
            Step::OpenCash | Step::KeepCash | Step::DropCash | Step::CloseCash => Kind::Customer,
            Step::HoldPoints | Step::SpendPoints | Step::ReleasePoints | Step::PostPoints => Kind::Customer,
            Step::HoldUse | Step::CommitUse | Step::ReleaseUse | Step::ReturnUse => Kind::Coupon,
        }
    }
}

/// What becomes visible outside when a record is durable, apart from the reply.
#[derive(Clone, Debug, PartialEq)]
pub enum Publication {
    /// A new product.
    Product(Box<ProductRow>),
    /// A vendor, or that it has another name, or is suspended or not any more.
    Vendor(VendorRow),
    /// A new SKU, or a changed price.
    Sku(Box<SkuRow>),
    /// A new coupon, or one with other terms.
    Coupon(Box<CouponRow>),
    /// Another count of available pieces.
    Available {
        /// Of which SKU.
        sku: SkuId,
        /// Pieces that can be had: on hand and not held, or none while it is suspended.
        available: i64,
        /// Pieces that an order took in this; 0 where something else changed.
        taken: i64,
        /// Pieces taken in each of its sales, altogether.
        in_sales: Vec<(SaleId, i64)>,
    },
    /// A new sale, or a changed one.
    Sale(Box<SaleRow>),
    /// A customer has other prices from now on, or pays other taxes.
    Group {
        /// Who.
        customer: CustomerId,
        /// Which.
        audience: Audience,
        /// Why they pay no tax.
        exempt: Option<Exemption>,
        /// By what their points are multiplied, of somebody who is or was in a tier.
        multiplier: Option<u32>,
    },
    /// An order went from one status to another (from none, when it is new).
    OrderStatus {
        /// The status before.
        from: Option<OrderStatus>,
        /// The status now.
        to: OrderStatus,
    },
    /// An order is stuck until someone looks at it.
    OrderStuck {
        /// Which.
        order: OrderId,
        /// Why: a stable code.
        why: &'static str,
        /// Why, in words, for the log.
        detail: String,
    },
}

/// What is written as the moment at which an entity is to be woken that waits for people and not for time: the last one
/// that a clock shows. So they are found in the same index, and in one place.
pub const FOR_SOMEONE: Timestamp = Timestamp::from_millis(limits::LAST_MOMENT_MS - 1);

/// One part of an entity's state, as a snapshot keeps it. A small entity is one part, the head, whose name is empty; a large
/// one has more, so that a change writes only what it touched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Its name within the entity.
    pub name: String,
    /// Its JSON; `None` when the part is gone.
    pub state: Option<Vec<u8>>,
}

/// What an entity gives a checkpoint: the parts and the rows that changed since it was last asked.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Delta {
    /// The changed parts; the head always.
    pub parts: Vec<Part>,
    /// The changed rows of the read tables.
    pub rows: Rows,
    /// Details that this state needs no more.
    pub spent: &'static [DetailName],
}

/// Why a snapshot cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("snapshot part '{part}': {source}")]
pub struct RestoreError {
    /// The part.
    pub part: String,
    /// What serde says.
    #[source]
    pub source: serde_json::Error,
}

/// When an entity is to be woken that must be in memory as soon as a node starts, whatever time it is: before all
/// others.
pub const WAKE_AT_START: Timestamp = Timestamp::from_millis(1);

/// A state machine with an id, in its four concerns.
pub trait Entity: Decides + Asks + Keeps + Checks {}

impl<E: Decides + Asks + Keeps + Checks> Entity for E {}

/// All concerns of an entity at once, for whoever works with one whose type is known.
pub mod concerns {
    pub use super::{Asks, Checks, Decides, Entity, Keeps};
}

/// What an entity decides and what it answers. `decide` and `apply` are pure: no clock, no randomness, no I/O.
pub trait Decides: Sized + Send + 'static {
    /// The kind.
    const KIND: Kind;
    /// The refusal of one that is not there.
    const UNKNOWN: Reject;
    /// Its id.
    type Id: EntityId;
    /// What can be asked of it. Reading is a command that records nothing.
    type Command: Serialize + DeserializeOwned + Clone + Debug + PartialEq + Send + 'static;
    /// What can have happened to it.
    type Event: Serialize + DeserializeOwned + Clone + Debug + Send + 'static;
    /// What it answers.
    type Reply: Serialize + DeserializeOwned + Clone + Debug + Send + 'static;

    /// The state before any event.
    fn new(id: Self::Id) -> Self;

    /// Notes of a command what need not outlast a crash, before it is decided: whoever has not heard asks again. What is noted here is in no
    /// record, in no snapshot and in no comparison.
    fn heard(&mut self, _command: &Self::Command, _now: Timestamp) {}

    /// What happens when this command comes now: the events to record (none when nothing changes) or the refusal.
    fn decide(
        &self,
        command: &Self::Command,
        knowledge: &Knowledge<'_>,
        now: Timestamp,
    ) -> Result<Vec<Self::Event>, Reject>;

    /// Changes the state by an event recorded at `at`. Never fails: what was decided has happened.
    fn apply(&mut self, event: &Self::Event, at: Timestamp);

    /// The answer to a command that was not refused, from the state as it is now; `None` while it is too early to answer.
    /// `recorded` tells whether this very command recorded anything.
    fn reply(&self, command: &Self::Command, recorded: bool) -> Option<Result<Self::Reply, Reject>>;

    /// What another entity is told in answer to its command.
    fn respond(&self, _command: &Self::Command, _outcome: Result<(), &Reject>) -> Option<Message> {
        None
    }

    /// What others are told because of these events, which have been applied: once, and no answer is waited for. Whoever misses it asks.
    fn tells(&self, _events: &[Self::Event]) -> Vec<Message> {
        Vec::new()
    }

    /// What is kept beside the journal of a command that was decided so, in the transaction of its record: personal data, which stand in no event.
    fn details(&self, _command: &Self::Command, _events: &[Self::Event]) -> Vec<Detail> {
        Vec::new()
    }

    /// What becomes visible by these events, which have been applied.
    fn publications(&self, _events: &[Self::Event]) -> Vec<Publication> {
        Vec::new()
    }

    /// What becomes visible when a node has recovered this state, which the read tables do not show yet. `before` makes the one that
    /// they show; it takes its time.
    fn publications_of_recovery(&self, _before: impl FnOnce() -> Option<Self>) -> Vec<Publication> {
        Vec::new()
    }

    /// What this state takes of its buyer's quotas, if it has any to do with them.
    fn claim(&self) -> Option<Claim<'_>> {
        None
    }

    /// Whether whoever gives this command may have the answer that was kept of it: what was theirs then may be somebody else's by now.
    fn is_still_for(&self, _command: &Self::Command) -> bool {
        true
    }

    /// Whether this command only looks: it is answered also while nothing can be written.
    fn is_read(command: &Self::Command) -> bool;

    /// Whether this command only looks whether what a client asks for can be begun, which another one then ends. Under the
    /// client's key it gets the answer that is kept, if there is one, and its own is not kept.
    fn looks_ahead(_command: &Self::Command) -> bool {
        false
    }

    /// Whether this command makes something whose id it brings along. Where that is there already and nothing is recorded, the answer
    /// repeats one that is not kept any more.
    fn creates(_command: &Self::Command) -> bool {
        false
    }
}

/// What an entity wants of the world, and when.
pub trait Asks: Decides {
    /// The effects this state is still waiting for, in the order in which they are to be sent.
    fn outstanding(&self, now: Timestamp) -> Vec<EffectKey>;

    /// Those of [`Asks::outstanding`] that are sent as soon as they are, and again until they are answered: all of them, where an
    /// entity does not say by [`Asks::next_ask`] when it wants them sent. Asked after each record, so there must be few.
    fn outstanding_at_once(&self, now: Timestamp) -> Vec<EffectKey> {
        self.outstanding(now)
    }

    /// When the next of the other ones is to be sent; it may have passed.
    fn next_ask(&self) -> Option<Timestamp> {
        None
    }

    /// Those of the other ones that are to be sent now: a few at a time, each of which is thereby put off. When is no part of the
    /// state that lasts: made anew, an entity asks for all of them again, a few at a time.
    fn ask_due(&mut self, _now: Timestamp) -> Vec<EffectKey> {
        Vec::new()
    }

    /// The effect of that name. Asked only for what is outstanding; `None` for a name that this kind never gives.
    fn effect(&self, key: EffectKey) -> Option<Effect>;

    /// When time alone changes something, and the command that does.
    fn timer(&self) -> Option<(Timestamp, Self::Command)> {
        None
    }

    /// When this entity must be in memory again though nobody asks for it.
    fn wake_at(&self, now: Timestamp) -> Option<Timestamp> {
        if self.outstanding(now).is_empty() { self.timer().map(|(at, _)| at) } else { Some(now) }
    }

    /// Whether this command wants all that is outstanding to be asked for at once, however lately it was.
    fn asks_again(_command: &Self::Command) -> bool {
        false
    }
}

/// How an entity is kept: in memory, and in snapshots.
pub trait Keeps: Decides {
    /// How many first answers under idempotency keys are kept with it at most.
    const KEPT_ANSWERS: usize;
    /// Whether its snapshot may be as large as those of many others, so that it is read by itself.
    const IS_LARGE: bool = false;
    /// Whether it gives way when too many actors are in memory.
    const GIVES_WAY: bool = true;
    /// The shape of its rows, counted from 1; 0 for a kind without rows. It is raised by whatever makes an unchanged state give other rows
    /// than before: a column or a row more or less. What stands in a store from before is then remade of the snapshots.
    const SHAPE: u32 = 0;
    /// Whether its rows must all be of this shape before requests are taken: the catalogue cache begins with them.
    const ROWS_AT_START: bool = false;

    /// Whether nothing more is to come: such an entity leaves memory soon.
    fn has_ended(&self) -> bool {
        false
    }

    /// Whether it must stay in memory though nobody asks for it.
    fn stays(&self) -> bool {
        false
    }

    /// The parts and rows that changed since the last call.
    fn delta(&mut self) -> Delta;

    /// All rows that this state gives, changed or not.
    fn rows(&self) -> Rows {
        Rows::default()
    }

    /// The state from the parts of a snapshot.
    fn restore(id: Self::Id, parts: &[Part]) -> Result<Self, RestoreError>;
}

/// What must hold of an entity, and what is shown of it to those who look after it.
pub trait Checks: Decides {
    /// Checks the invariants that concern this entity alone.
    fn check(&self) -> Result<(), Breach>;

    /// [`Checks::check`] while the node runs, once per checkpoint that this entity has a part in. A large one checks itself less often,
    /// so that the cost stays a small share of the checkpoint's.
    fn check_online(&mut self) -> Result<(), Breach> {
        self.check()
    }

    /// Takes out of service all that does not add up and that everything else can go on without: for a state that was
    /// made anew, before anybody sees it. What was wrong.
    fn suspend_broken(&mut self) -> Vec<Breach> {
        Vec::new()
    }

    /// Takes out of service what the breach concerns, if everything else can go on; whether it did. It is forgotten in a restart, and
    /// found again by [`Checks::suspend_broken`].
    fn suspend(&mut self, _breach: &Breach) -> bool {
        false
    }

    /// The state in a few figures, for administrators: no secrets, and short also for a large entity.
    fn summary(&self) -> serde_json::Value;
}

/// Reads one part's JSON.
pub(super) fn read_part<T: DeserializeOwned>(part: &Part) -> Result<T, RestoreError> {
    serde_json::from_slice(part.state.as_deref().unwrap_or_default())
        .map_err(|source| RestoreError { part: part.name.clone(), source })
}

/// Reads the one part of a small entity, which says itself whose it is.
pub(super) fn read_own<T: DeserializeOwned, I: EntityId>(
    part: &Part,
    id: I,
    id_of: impl Fn(&T) -> I,
) -> Result<T, RestoreError> {
    let state: T = read_part(part)?;
    let found = id_of(&state);
    if found == id {
        return Ok(state);
    }
    let source = de::Error::custom(format_args!("it is of {found}, not of {id}"));
    Err(RestoreError { part: part.name.clone(), source })
}

/// Writes one part's JSON.
pub(super) fn write_part<T: Serialize + ?Sized>(name: String, state: &T) -> Part {
    // The domain's own types have string keys and no failing Serialize: this cannot fail.
    Part { name, state: Some(json::written(state).expect("domain state is serializable")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[test]
    fn a_payment_is_told_of_without_its_token() {
        let call = PaymentCall {
            order: OrderId::from_uuid(Uuid::nil()),
            amount: Money::new(5, "BDT".parse().unwrap()),
            method: "sandbox".into(),
            mint: None,
            token: Some("tok_approve".into()),
            reference: None,
            not_after: Timestamp::default(),
        };
        for told in [
            format!("{call:?}"),
            format!("{:?}", Effect::Charge(call.clone())),
            format!("{:#?}", Effect::Void { call, attempt: 1 }),
        ] {
            assert!(told.contains("sandbox") && !told.contains("tok_"), "{told}");
        }
    }
}
