//! The leg with a customer, for one of the few orders that a buyer may have open at a time which are to be paid at the door. It is asked last: whoever
//! is refused has nothing else to give back for it but what every refused order gives back.
//!
//! What is held has no end of its own: it ends once nothing of the order is to be brought to a door any more.

use super::Verb;
use crate::domain::customer::CustomerCommand;
use crate::domain::entity::Message;
use crate::domain::ids::{CustomerId, OrderId};

/// What an order says to whoever counts the open orders of its buyer.
pub(super) fn message(order: OrderId, counted_at: CustomerId, refused: bool, verb: Verb) -> Message {
    let command = match verb {
        Verb::Ask => CustomerCommand::OpenCash { order },
        Verb::Confirm => CustomerCommand::KeepCash { order },
        Verb::Cancel => CustomerCommand::CloseCash { order, refused: false },
        Verb::Close => CustomerCommand::CloseCash { order, refused },
    };
    Message::Customer { id: counted_at, command }
}
