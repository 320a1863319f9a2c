//! Orders for whoever is no actor and has no request to answer.

use super::shop::{Ask, Shop};
use crate::domain::details::{Contact, Known};
use crate::domain::entity::Principal;
use crate::domain::ids::OrderId;
use crate::domain::order::{Order, OrderCommand, OrderReply, OrderView};
use crate::domain::reject::Reject;
use crate::limits;
use crate::ports::jobs::{NotNow, Orders};
use async_trait::async_trait;
use std::time::Duration;

#[async_trait]
impl Orders for Shop {
    /// An order that has just been recorded is still in memory; one that has left it is read back, and leaves again when it has nothing to do.
    async fn order(&self, id: OrderId) -> Result<Option<(OrderView, Known<Contact>)>, NotNow> {
        let within = Duration::from_millis(limits::REQUEST_MS);
        let how = Ask { within, key: None, fresh: false };
        let asked = self.ask::<Order>(id, OrderCommand::Get { by: Principal::SHOP }, how).await;
        let order = match asked.map_err(|failure| NotNow(format!("{failure:?}")))?.outcome {
            Ok(OrderReply::Order { order }) => *order,
            Ok(other) => return Err(NotNow(format!("an order answered with {other:?}"))),
            Err(Reject::OrderUnknown) => return Ok(None),
            Err(reject) => return Err(NotNow(reject.to_string())),
        };
        let contact = match &order.inline_contact {
            Some(inline) => Known::Here(Contact::clone(inline)),
            None => self.contact(id).await.map_err(|error| NotNow(error.to_string()))?,
        };
        Ok(Some((order, contact)))
    }
}
