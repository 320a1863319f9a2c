//! The leg with a customer, for the points that the order is to be paid with. It is asked once uses of coupons are held; how many points, the bill says.

use super::super::state::Body;
use super::Verb;
use crate::domain::customer::{CustomerCommand, PointCommand};
use crate::domain::entity::Message;
use crate::domain::ids::{CustomerId, OrderId};

/// What an order says to whoever pays with points.
pub(super) fn message(order: OrderId, body: &Body, customer: CustomerId, verb: Verb) -> Message {
    let until = body.hold_until;
    let command = match verb {
        Verb::Ask => PointCommand::HoldPoints { order, until, points: body.points_spent() },
        Verb::Confirm => PointCommand::SpendPoints { order },
        Verb::Cancel => PointCommand::ReleasePoints { order, until },
        Verb::Close => PointCommand::ClosePoints { order },
    };
    Message::Customer { id: customer, command: CustomerCommand::Points(command) }
}
