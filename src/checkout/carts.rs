//! The carts of customers: whoever has an account has one that is open.

use crate::actors::{Answered, Ask, Failure, Shop};
use crate::domain::cart::{Cart, CartCommand, CartReply, CartStatus, CartView};
use crate::domain::customer::{Customer, CustomerCommand, CustomerReply};
use crate::domain::ids::CustomerId;
use crate::domain::money::Currency;
use crate::domain::record::IdempotencyKey;
use crate::domain::reject::Reject;
use crate::limits;
use std::time::Duration;
use tokio::time::timeout;

/// The answer to whoever asked for their open cart.
#[derive(Debug, Clone, PartialEq)]
pub struct OpenedCart {
    /// The cart, or why there is none.
    pub outcome: Result<CartView, Reject>,
    /// Whether it was made for this very question.
    pub made: bool,
    /// Whether the answer repeats the first one under the same key.
    pub replayed: bool,
}

impl Shop {
    /// A customer's open cart, which is made where there is none. The customer says which cart is the newest, the cart whether
    /// it is open; if it is not, the customer counts the next one. Whatever dies on the way, whoever asks again finds
    /// what is there. Under a key each of these answers is kept with whoever gave it, so a repeat goes the same way.
    ///
    /// # Errors
    /// Why there is no answer; a refusal is an answer.
    pub async fn open_cart(
        &self,
        customer: CustomerId,
        currency: Currency,
        within: Duration,
        key: Option<IdempotencyKey>,
    ) -> Result<OpenedCart, Failure> {
        let looked = self.look_for_cart(customer, currency, within, key);
        timeout(within, looked).await.unwrap_or(Err(Failure::OutcomeUnknown))
    }

    async fn look_for_cart(
        &self,
        customer: CustomerId,
        currency: Currency,
        within: Duration,
        key: Option<IdempotencyKey>,
    ) -> Result<OpenedCart, Failure> {
        let how = |key| Ask { within, key, fresh: false };
        let refused = |reject, replayed| Ok(OpenedCart { outcome: Err(reject), made: false, replayed });
        let mut command = CustomerCommand::Cart;
        for step in 0..limits::OPEN_CART_TRIES {
            // A customer is asked more than once for one request: each time under a key of its own.
            let own = key.map(|key| IdempotencyKey { key: key.key ^ step as u128, ..key });
            let newest = self.ask::<Customer>(customer, command, how(own)).await?;
            let (cart, number) = match newest.outcome {
                Ok(CustomerReply::Cart { cart, number }) => (cart, number),
                Err(reject) => return refused(reject, newest.replayed),
                // No customer answers so who is asked for a cart.
                Ok(CustomerReply::Customer { .. } | CustomerReply::Points { .. } | CustomerReply::Done) => {
                    return Err(Failure::AnswerUnreadable);
                }
            };
            let open = CartCommand::Open { customer, currency };
            let Answered { outcome, replayed } = self.ask::<Cart>(cart, open, how(key)).await?;
            match outcome {
                Ok(CartReply::Opened { cart, made }) if cart.status == CartStatus::Open => {
                    return Ok(OpenedCart { outcome: Ok(*cart), made, replayed });
                }
                Ok(_) => command = CustomerCommand::NextCart { after: number },
                Err(reject) => return refused(reject, replayed),
            }
        }
        // Somebody checks their carts out as fast as they are made.
        Err(Failure::OutcomeUnknown)
    }
}
