//! Merging a guest's cart into a customer's: the use case that asks both.

use crate::actors::{Answered, Ask, Chained, Failure, First, Next, Shop};
use crate::domain::cart::{Cart, CartCommand, CartReply, CartView, LeftOut};
use crate::domain::entity::Principal;
use crate::domain::ids::{CartId, CustomerId};
use crate::domain::record::IdempotencyKey;
use crate::domain::reject::Reject;
use crate::limits;
use std::time::Duration;
use tokio::time::timeout;

/// The answer to a merge.
#[derive(Debug, Clone, PartialEq)]
pub struct MergedCart {
    /// The customer's cart and what could not be merged into it, or why nothing was.
    pub outcome: Result<(CartView, Vec<LeftOut>), Reject>,
    /// Whether the answer repeats the first one under the same key.
    pub replayed: bool,
}

impl Shop {
    /// Merges the guest's cart `from`, on behalf of whoever holds its token, into a cart of the customer's.
    ///
    /// The customer's cart is asked first whether it may be, for the guest's is closed by deciding. That one then gives its lines until
    /// they are taken, whoever still waits here: see [`crate::domain::cart`]. A repeat finds it closed for this very cart, and
    /// shows what came of it. Under a key the answer is kept with the customer's cart, a refusal by the guest's too.
    ///
    /// # Errors
    /// Why there is no answer; a refusal is an answer.
    pub async fn merge_carts(
        &self,
        customer: CustomerId,
        into: CartId,
        from: CartId,
        within: Duration,
        key: Option<IdempotencyKey>,
    ) -> Result<MergedCart, Failure> {
        let merged = self.merge_in_steps(customer, into, from, within, key);
        timeout(within, merged).await.unwrap_or(Err(Failure::OutcomeUnknown))
    }

    async fn merge_in_steps(
        &self,
        customer: CustomerId,
        into: CartId,
        from: CartId,
        within: Duration,
        key: Option<IdempotencyKey>,
    ) -> Result<MergedCart, Failure> {
        let (by, guest) = (Principal::Customer(customer), Principal::Guest(from));
        let budget = self.reserve(limits::RECORDS_PER_MERGE)?;
        let how = |key| Ask { within, key, fresh: false };
        let may = self.ask::<Cart>(into, CartCommand::MayMerge { by, from }, how(key)).await?;
        let refused = match may.outcome {
            Ok(_) if may.replayed => return Ok(shown(may)),
            Ok(_) => None,
            Err(reject) if may.replayed || reject == Reject::CartUnknown => {
                return Ok(not_merged(reject, may.replayed));
            }
            // It may have changed since; but what is given to it already is on its way, and gets its answer.
            Err(reject) => match self.ask::<Cart>(from, CartCommand::Get { by: guest }, how(None)).await?.outcome {
                Ok(CartReply::Cart { cart }) if cart.merged_into == Some(into) => None,
                Ok(_) => Some(reject),
                Err(unknown) => return Ok(not_merged(unknown, false)),
            },
        };
        let refused = match refused {
            Some(reject) => reject,
            None => {
                let first = First {
                    id: from,
                    command: CartCommand::MergeInto { by: guest, into },
                    within,
                    key: None,
                    admit: Box::new(|_| Ok(None)),
                    budget,
                };
                let asked = CartCommand::AwaitMerge { by, from, refused: None };
                let next = move |given: &Answered<CartReply>| {
                    let is_given = matches!(given.outcome, Ok(CartReply::Merging { .. }));
                    is_given.then_some(Next { id: into, command: asked, key, keeps_budget: true })
                };
                let Chained { first, second } = self.chain::<Cart, Cart>(first, next).await?;
                match (second, first.outcome) {
                    (Some(merged), _) => return merged.map(shown).map_err(|failure| not_known(&failure)),
                    (None, Err(reject)) if reject.is_conflict() => reject,
                    (None, outcome) => {
                        return Ok(not_merged(outcome.err().unwrap_or(Reject::CartUnknown), first.replayed));
                    }
                }
            }
        };
        match key {
            None => Ok(not_merged(refused, false)),
            // The key's answer stands where the next repeat asks first.
            Some(_) => {
                let command = CartCommand::AwaitMerge { by, from, refused: Some(refused) };
                self.ask_further::<Cart>(into, command, how(key)).await.map(shown)
            }
        }
    }
}

/// That nothing was done cannot be said any more.
fn not_known(failure: &Failure) -> Failure {
    match failure {
        Failure::Overloaded { .. } => Failure::OutcomeUnknown,
        other => other.clone(),
    }
}

fn not_merged(reject: Reject, replayed: bool) -> MergedCart {
    MergedCart { outcome: Err(reject), replayed }
}

fn shown(answered: Answered<CartReply>) -> MergedCart {
    let Answered { outcome, replayed } = answered;
    let outcome = outcome.and_then(|reply| match reply {
        CartReply::Merged { cart, left_out } => Ok((*cart, left_out)),
        _ => Err(Reject::CartUnknown),
    });
    MergedCart { outcome, replayed }
}
