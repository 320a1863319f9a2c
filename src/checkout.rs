//! The checkout: the one use case that asks several entities in turn. And the orders that it leaves to people.

mod acceptance;
mod attach;
mod bookings;
pub mod buyers;
mod carts;
mod courier_events;
mod merge;
mod parcels;
pub mod quotes;
mod refunds;
pub mod rooms;
mod stuck;
mod tracking;

pub use acceptance::OrdersWorker;
pub use attach::AttachWorker;
pub use bookings::BookingWorker;
pub use carts::OpenedCart;
pub use courier_events::CourierEventWorker;
pub use merge::MergedCart;
pub use refunds::RefundWorker;

use crate::actors::{Admit, Answered, Ask, Chained, Failure, First, Next, NotLetIn, Shop, shed};
use crate::domain::buyer::BuyerKey;
use crate::domain::cart::{Cart, CartCommand, CartReply, CheckoutRequest};
use crate::domain::entity::Principal;
use crate::domain::ids::{CartId, CouponId, CustomerId, EntityId, OrderId};
use crate::domain::order::{Milestone, Order, OrderCommand, OrderReply, OrderView, PaymentChoice};
use crate::domain::record::IdempotencyKey;
use crate::domain::reject::Reject;
use crate::limits;
use crate::ports::rates::Network;
use std::time::Duration;

/// Who checks out.
#[derive(Clone, Copy, Debug)]
pub struct Asker {
    /// On whose behalf.
    pub by: Principal,
    /// From where, if that counts.
    pub from: Option<Network>,
}

impl From<Principal> for Asker {
    /// From wherever it is.
    fn from(by: Principal) -> Self {
        Self { by, from: None }
    }
}

/// The answer to a checkout.
#[derive(Debug, Clone, PartialEq)]
pub struct CheckedOut {
    /// The order, or why there is none.
    pub outcome: Result<OrderView, Reject>,
    /// Whether this checkout made the order, rather than an earlier one of the same cart.
    pub created: bool,
    /// Whether the answer repeats the first one under the same key.
    pub replayed: bool,
}

impl Shop {
    /// Checks a cart out: answers once its order holds its stock or was refused; with `wait`, once it is paid or has ended,
    /// or so much later with the order as it is then.
    ///
    /// # Errors
    /// Why there is no answer; a refusal is an answer.
    pub async fn checkout(
        &self,
        by: impl Into<Asker>,
        cart: CartId,
        details: CheckoutRequest,
        within: Duration,
        wait: Option<Duration>,
        key: Option<IdempotencyKey>,
    ) -> Result<CheckedOut, Failure> {
        let budget = self.reserve(limits::RECORDS_PER_CHECKOUT)?;
        let Asker { by, from } = by.into();
        let keys = if self.has_quotas() { details.buyer.keys.clone() } else { Vec::new() };
        // The buyer, where points are spent: that costs as much as a further vendor.
        let points = match by {
            Principal::Customer(customer) => Some(customer).filter(|_| details.wants_points()),
            _ => None,
        };
        let payment = (details.payment.clone(), details.points_alone());
        let admit = self.admits(by, from, payment, keys, points);
        let command = CartCommand::CheckOut { by, details: Box::new(details) };
        let asked = move |milestone| OrderCommand::Await { by, milestone };
        // With a wait to come, the answer that counts is the one after it.
        let held_key = key.filter(|_| wait.is_none());
        // In the cart's turn its answer becomes the question to the order, which is answered when the stock is durably held.
        let chained =
            self.chain::<Cart, Order>(First { id: cart, command, within, key, admit, budget }, move |answer| {
                let (id, started) = order_of(answer)?;
                // An order that was there before asks nothing more of anybody. What a new one may still record, once it waits for its
                // payment, is small: it takes nothing of the budget.
                let keeps_budget = started && !answer.replayed;
                Some(Next { id, command: asked(Milestone::Held), key: held_key, keeps_budget })
            });
        let Chained { first, second } = chained.await?;
        let (Some((order, created)), Some(held)) = (order_of(&first), second) else {
            let reject = first.outcome.err().unwrap_or(Reject::CartUnknown);
            return Ok(CheckedOut { outcome: Err(reject), created: false, replayed: first.replayed });
        };
        let mut answer = match held {
            // That nothing was done can be said only of a checkout whose order was there before.
            Err(Failure::Overloaded { .. }) if created => return Err(Failure::OutcomeUnknown),
            held => held?,
        };
        if let Some(wait) = wait {
            let paid =
                self.ask_further::<Order>(order, asked(Milestone::Paid), Ask { within: wait, key, fresh: false });
            answer = match paid.await {
                // The wait is over, or there is no place to wait, and the order is as it is. With the key, this is the
                // first answer.
                Err(Failure::OutcomeUnknown | Failure::Overloaded { .. }) => {
                    let as_it_is = Ask { within, key, fresh: false };
                    self.ask_further::<Order>(order, asked(Milestone::Held), as_it_is).await?
                }
                paid => paid?,
            };
        }
        Ok(CheckedOut { outcome: answer.outcome.and_then(shown), created, replayed: answer.replayed })
    }

    /// Lets a checkout in if the shop takes its payment, while none of the cart's vendors has more than its share of the node's
    /// budget, and its buyer no more than a share of the shop.
    fn admits(
        &self,
        by: Principal,
        from: Option<Network>,
        (payment, points_alone): (PaymentChoice, bool),
        keys: Vec<BuyerKey>,
        points: Option<CustomerId>,
    ) -> Admit<Cart> {
        let shop = self.clone();
        Box::new(move |cart| {
            // One that has its order already asks nothing more of anybody; a stranger is told of no cart.
            if cart.order().is_some() || cart.may_see(by).is_err() {
                return Ok(None);
            }
            shop.check_payment(&payment, points_alone)?;
            // A coupon of which uses are counted costs as much as a further vendor, and has a share as one has.
            let counted = |coupon: &CouponId| shop.counts_uses_of(*coupon);
            let coupons = cart.coupons().filter(counted).map(EntityId::entity);
            let parties =
                cart.vendors().into_iter().map(EntityId::entity).chain(coupons).chain(points.map(EntityId::entity));
            let limit = shop.settings().checkouts_per_vendor;
            let Some(permit) = shop.permit(parties, limit, limits::RECORDS_PER_FURTHER_VENDOR) else {
                shed("vendor_share");
                return Err(NotLetIn::Failed(Failure::Overloaded { retry_after_s: 1 }));
            };
            let quota = shop.quota(cart, &keys, by, from).map_err(NotLetIn::Failed)?;
            Ok(Some(permit.with(quota)))
        })
    }
}

/// The order that a cart has by this answer, and whether it was made just now.
fn order_of(answer: &Answered<CartReply>) -> Option<(OrderId, bool)> {
    match &answer.outcome {
        Ok(CartReply::Order { order, started }) => Some((*order, *started)),
        _ => None,
    }
}

fn shown(reply: OrderReply) -> Result<OrderView, Reject> {
    match reply {
        OrderReply::Order { order } => Ok(*order),
        _ => Err(Reject::OrderUnknown),
    }
}
