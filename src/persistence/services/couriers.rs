//! The rows of what couriers tell of parcels.

use super::{ADD_JOB, select};
use crate::domain::buyer::Mint;
use crate::domain::courier::{CourierStatus, CourierTold, ParcelName};
use crate::domain::ids::{JobId, OrderId, ShipmentId};
use crate::domain::money::Money;
use crate::domain::time::Timestamp;
use crate::domain::vendor::WantedLine;
use crate::persistence::table::{Cell, table};
use crate::ports::StoreError;
use crate::ports::units::{Statement, Unit, UnitEnd, UnitError, Units, Value};
use crate::services::couriers::{Kept, KeptEvent, TrackingRows};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// How often an event is written whose place another has taken meanwhile.
const TRIES: usize = 20;

pub(in crate::persistence) const KEEP: &str = "
    INSERT INTO tracking_events (shipment, event, courier, order_id, status, at, told, job_id, came_at, number)
    SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, 1 + (SELECT count(*) FROM tracking_events WHERE shipment = $1)
    WHERE (SELECT count(*) FROM tracking_events WHERE shipment = $1) < $10";
pub(in crate::persistence) const OF_SHIPMENT: &str = "
    SELECT shipment, event, courier, order_id, status, at, told, job_id, came_at
    FROM tracking_events WHERE shipment = $1 ORDER BY number";
pub(in crate::persistence) const OF_JOB: &str = "
    SELECT shipment, event, courier, order_id, status, at, told, job_id, came_at FROM tracking_events WHERE job_id = $1";
pub(in crate::persistence) const KNOWN: &str =
    "SELECT count(*) FROM tracking_events WHERE shipment = $1 AND event = $2";

/// What nobody looks for: the end of the parcel's name, and what was said of the door.
#[derive(Serialize, Deserialize)]
struct Said {
    mint: Mint,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    collected: Option<Money>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    lines: Vec<WantedLine>,
}

impl Said {
    /// # Panics
    /// Never: it is made of texts, numbers and ids alone.
    fn of(told: &CourierTold) -> String {
        let said = Self { mint: told.name.mint, collected: told.collected, lines: told.lines.clone() };
        serde_json::to_string(&said).expect("texts, numbers and ids become JSON")
    }
}

table! {
    KeptEvent as "tracking_events" ("shipment, event"), row {
        [fixed] shipment: ShipmentId = &row.told.name.shipment,
        [fixed] event: String = &row.told.event,
        [fixed] courier: String = &row.courier,
        [fixed] order_id: OrderId = &row.told.name.order,
        [fixed] status: CourierStatus = &row.told.status,
        [fixed] at: Timestamp = &row.told.at,
        [fixed] told: String = Said::of(&row.told),
        [fixed] job_id: Option<JobId> = Cell::Uuid(row.job().map(|job| job.id.uuid())),
        [fixed] came_at: Timestamp = &row.came_at,
    } => KeptEvent {
        {
            let Said { mint, collected, lines } = serde_json::from_str(&told)
                .map_err(|error| StoreError::Invalid(format!("what a courier told: {error}")))?;
            let name = ParcelName { shipment, order: order_id, mint };
            KeptEvent { told: CourierTold { event, name, status, at, collected, lines }, courier, came_at }
        }
    }
}

/// They on either store.
pub(super) struct Rows(pub(super) Arc<dyn Units>);

#[async_trait]
impl TrackingRows for Rows {
    async fn keep(&self, event: &KeptEvent) -> Result<Kept, UnitError> {
        for _ in 0..TRIES {
            let mut values = super::values(event)?;
            let key: Vec<Value> = values.iter().take(2).cloned().collect();
            values.push(Value::Integer(i64::try_from(event.most_before()).ok()));
            let mut statements = vec![Statement::new(KEEP, values).that_changes(1)];
            if let Some(job) = event.job() {
                statements.push(Statement::new(ADD_JOB, super::values(&job)?));
            }
            let end = self.0.run(Unit::new(statements)).await?;
            if end == UnitEnd::Done {
                return Ok(Kept::New);
            }
            // It stands there, whatever else stands in its way.
            if super::number(&*self.0, Statement::new(KNOWN, key)).await? == Some(1) {
                return Ok(Kept::Known);
            }
            if matches!(end, UnitEnd::Stopped(_)) {
                return Ok(Kept::Full);
            }
        }
        // The courier sends it again.
        Err(UnitError::Busy)
    }

    async fn of_shipment(&self, shipment: ShipmentId) -> Result<Vec<KeptEvent>, StoreError> {
        let values = vec![Value::Uuid(Some(shipment.uuid()))];
        select::<KeptEvent>(&*self.0, Statement::new(OF_SHIPMENT, values)).await
    }

    async fn of_job(&self, job: JobId) -> Result<Option<KeptEvent>, StoreError> {
        let values = vec![Value::Uuid(Some(job.uuid()))];
        Ok(select::<KeptEvent>(&*self.0, Statement::new(OF_JOB, values)).await?.pop())
    }
}
