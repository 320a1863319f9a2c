//! What each buyer has under way, and what each address: so that nobody takes more than a share. Unpaid orders, the pieces that they hold, and how many
//! checkouts were lately given up. It is kept in one place, be it the memory of a node or something that all nodes share.
//!
//! A buyer is whoever has one of the keys of an order: the customer, the e-mail address, the phone number. Each key counts by itself, and a guest must
//! have room under each. A customer must have room under the customer's own alone: the others are anybody's to type. An address is many
//! people: it may have far more, and is known in memory alone.
//!
//! A checkout takes its part in the turn of its cart, before anything is recorded. From the moment when its order is placed the order's records say what
//! it has, whichever way it goes on; a checkout that never came to an order gives its part back. What stands here follows from the orders
//! alone but for the addresses, and is made anew of them at start.

use crate::domain::buyer::{BuyerKey, Claim};
use crate::domain::entity::Principal;
use crate::domain::ids::OrderId;
use crate::domain::time::Timestamp;
use crate::limits;
use crate::ports::rates::Network;
use std::sync::Arc;

/// A quota that is full, as whoever meets it is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quota {
    /// Unpaid orders of one buyer.
    UnpaidOrders,
    /// Pieces that are held for one buyer's unpaid orders.
    HeldPieces,
    /// Checkouts that one buyer lately cancelled or did not pay.
    GivenUp,
    /// Unpaid orders from one address.
    UnpaidOrdersOfAddress,
}

impl std::fmt::Display for Quota {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::UnpaidOrders => {
                write!(to, "a buyer may have {} unpaid orders at a time", limits::QUOTA_UNPAID_ORDERS)
            }
            Self::HeldPieces => write!(to, "{} pieces may be held for a buyer at a time", limits::QUOTA_HELD_PIECES),
            Self::GivenUp => {
                let minutes = limits::QUOTA_GIVEN_UP_MS / 60_000;
                write!(to, "a buyer may leave {} checkouts unpaid in {minutes} minutes", limits::QUOTA_GIVEN_UP)
            }
            Self::UnpaidOrdersOfAddress => {
                write!(to, "{} unpaid orders may come from one address", limits::QUOTA_UNPAID_ORDERS_OF_ADDRESS)
            }
        }
    }
}

/// Why a checkout may not begin, and after how many seconds it is worth another try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full {
    /// What is full.
    pub quota: Quota,
    /// In how many seconds there may be room.
    pub retry_after_s: u64,
}

/// What a checkout would take.
#[derive(Clone, Copy, Debug)]
pub struct Part<'a> {
    /// The order that it would make.
    pub order: OrderId,
    /// By which its buyer is known: it counts under each of them.
    pub keys: &'a [BuyerKey],
    /// Which of these must have room, see [`asked_keys`].
    pub asked: &'a [BuyerKey],
    /// Pieces of its cart.
    pub pieces: i64,
    /// From where it comes, if that counts.
    pub address: Option<Network>,
}

/// Those of a buyer's keys that a checkout must have room under. Who is signed in is asked for the customer's own key, which is the first: an e-mail
/// address or a phone number is anybody's to type, and what strangers do with it must not stand in its owner's way.
pub fn asked_keys(keys: &[BuyerKey], by: Principal) -> &[BuyerKey] {
    match by {
        Principal::Customer(_) => keys.get(..1).unwrap_or(keys),
        _ => keys,
    }
}

/// What all buyers have. It is asked in the turn of a cart, and answers at once, with what this node knows by then. Where nodes share it, what happens
/// here is told to the others afterwards, and what they tell is noted in the same way: meanwhile each of them may let a little more in.
pub trait BuyerQuotas: Send + Sync + 'static {
    /// Takes the part of a checkout that would make this order. Of many at once no more are let in here than may.
    ///
    /// # Errors
    /// Which quota is full. Nothing was taken then.
    fn take(&self, part: &Part<'_>, now: Timestamp) -> Result<(), Full>;

    /// Gives back what a checkout has taken, unless its order is placed by then. Of several checkouts of one order the last one gives it back.
    fn give_back(&self, order: OrderId);

    /// What an order has by its records. To say the same again changes nothing.
    fn note(&self, order: OrderId, claim: &Claim<'_>, now: Timestamp);
}

/// The part of a checkout under way. It is given back when this is dropped.
pub struct Reserved {
    quotas: Arc<dyn BuyerQuotas>,
    order: OrderId,
}

impl Reserved {
    /// Takes the part of a checkout.
    ///
    /// # Errors
    /// Which quota is full. Nothing was taken then.
    pub fn take(quotas: &Arc<dyn BuyerQuotas>, part: &Part<'_>, now: Timestamp) -> Result<Self, Full> {
        quotas.take(part, now)?;
        Ok(Self { quotas: quotas.clone(), order: part.order })
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        self.quotas.give_back(self.order);
    }
}
