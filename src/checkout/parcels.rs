//! Orders as those see them who ask couriers for their parcels, and who tell them what couriers told.

use crate::actors::{Ask, Shop};
use crate::domain::courier::{CourierTold, ParcelName};
use crate::domain::entity::Principal;
use crate::domain::ids::OrderId;
use crate::domain::job::TryOutcome;
use crate::domain::order::{Correction, CourierSays, CourierWish, Order, OrderCommand, OrderReply, Parcel};
use crate::domain::reject::Reject;
use crate::limits;
use crate::ports::couriers::{Hears, Parcels};
use async_trait::async_trait;
use std::time::Duration;

impl Shop {
    async fn parcels_of(&self, order: OrderId) -> Result<Vec<Parcel>, TryOutcome> {
        match self.ask_of_parcels(order, OrderCommand::Get { by: Principal::SHOP }).await? {
            OrderReply::Order { order } => Ok(order.sub_orders.into_iter().flat_map(|share| share.parcels).collect()),
            _ => Err(TryOutcome::Refused { reason: "the order answered something else".to_owned() }),
        }
    }

    async fn ask_of_parcels(&self, order: OrderId, command: OrderCommand) -> Result<OrderReply, TryOutcome> {
        let later = |reason| TryOutcome::Failed { reason, retry_after: None, silent: false };
        let how = Ask { within: Duration::from_millis(limits::REQUEST_MS), key: None, fresh: false };
        let asked = self.ask::<Order>(order, command, how).await;
        let answered = asked.map_err(|failure| later(format!("the order gives no answer: {failure:?}")))?;
        answered.outcome.map_err(|reject| match reject {
            // It is told once the order can be told again.
            Reject::CommandPoisoned => later(reject.to_string()),
            // Another shop may have its parcels fetched there, and a store may be older than the courier's books.
            Reject::OrderUnknown => TryOutcome::Suppressed("there is no such order"),
            _ => TryOutcome::Refused { reason: reject.to_string() },
        })
    }
}

#[async_trait]
impl Parcels for Shop {
    async fn wishes(&self, order: OrderId) -> Result<Vec<CourierWish>, TryOutcome> {
        match self.ask_of_parcels(order, OrderCommand::OpenWishes).await? {
            OrderReply::Wishes { wishes } => Ok(wishes),
            _ => Err(TryOutcome::Refused { reason: "the order answered something else".to_owned() }),
        }
    }

    async fn says(&self, parcel: ParcelName, says: CourierSays) -> Result<(), TryOutcome> {
        let command = OrderCommand::CourierSays { shipment: parcel.shipment, mint: parcel.mint, says };
        self.ask_of_parcels(parcel.order, command).await.map(|_| ())
    }

    async fn awaited(&self, order: OrderId) -> Result<Vec<ParcelName>, TryOutcome> {
        match self.parcels_of(order).await {
            Ok(parcels) => Ok(parcels.iter().filter(|it| it.is_awaited()).filter_map(|it| it.name(order)).collect()),
            Err(TryOutcome::Suppressed(_)) => Ok(Vec::new()),
            Err(outcome) => Err(outcome),
        }
    }
}

#[async_trait]
impl Hears for Shop {
    async fn hear(&self, order: OrderId, told: CourierTold) -> TryOutcome {
        let CourierTold { name, status, lines: accepted, collected, .. } = told;
        let (shipment, mint) = (name.shipment, name.mint);
        let command = OrderCommand::CourierTold { shipment, mint, status, accepted, collected };
        self.ask_of_parcels(order, command).await.map_or_else(|outcome| outcome, |_| TryOutcome::Done)
    }

    async fn corrections(&self, order: OrderId) -> Result<Vec<Correction>, TryOutcome> {
        Ok(self.parcels_of(order).await?.iter().filter_map(|parcel| parcel.correction(order)).collect())
    }
}
