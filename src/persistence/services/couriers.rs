//! The rows of what couriers tell of parcels.

use super::{ADD_JOB, select};
use crate::domain::buyer::Mint;
use crate::domain::courier::{CourierStatus, CourierTold, ParcelName};
use crate::domain::ids::{JobId, OrderId, ShipmentId};
use crate::domain::money::Money;
use crate::domain::time::Timestamp;
use crate::domain::vendor::WantedLine;
use crate::limits;
use crate::persistence::table::{Cell, table};
use crate::ports::StoreError;
use crate::ports::jobs::NewJob;
use crate::ports::units::{Statement, Unit, UnitEnd, UnitError, Units, Value};
use crate::services::couriers::{Carried, Kept, KeptEvent, TrackingRows};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

fn of(shipment: ShipmentId) -> Value {
    Value::Uuid(Some(shipment.uuid()))
}

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

/// One that is known was looked up; of one that is stale it is asked less often.
pub(in crate::persistence) const CARRY: &str = "
    INSERT INTO carried_parcels (shipment, order_id, name, courier, heard_at, looked_at, look_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7)
    ON CONFLICT (shipment) DO UPDATE SET name = excluded.name, looked_at = excluded.looked_at,
        look_at = CASE WHEN carried_parcels.heard_at <= $8 THEN $9 ELSE excluded.look_at END";
pub(in crate::persistence) const HEARD: &str = "
    INSERT INTO carried_parcels (shipment, order_id, name, courier, heard_at, looked_at, look_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7)
    ON CONFLICT (shipment) DO UPDATE SET name = excluded.name, heard_at = excluded.heard_at,
        looked_at = excluded.looked_at, look_at = excluded.look_at";
pub(in crate::persistence) const END: &str = "DELETE FROM carried_parcels WHERE shipment = $1";
pub(in crate::persistence) const TO_LOOK_UP: &str = "
    SELECT shipment, order_id, name, courier, heard_at, looked_at, look_at FROM carried_parcels
    WHERE look_at <= $1 ORDER BY look_at, shipment LIMIT $2";
pub(in crate::persistence) const LOOK_AGAIN: &str = "UPDATE carried_parcels SET look_at = $2 WHERE shipment = $1";
pub(in crate::persistence) const CARRIED: &str = "
    SELECT shipment, order_id, name, courier, heard_at, looked_at, look_at FROM carried_parcels WHERE order_id = $1";
pub(in crate::persistence) const CARRIED_PARCEL: &str = "
    SELECT shipment, order_id, name, courier, heard_at, looked_at, look_at FROM carried_parcels WHERE shipment = $1";
pub(in crate::persistence) const SILENT_SINCE: &str = "SELECT count(*) FROM carried_parcels WHERE heard_at <= $1";

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

table! {
    Carried as "carried_parcels" ("shipment"), row {
        [fixed] shipment: ShipmentId = &row.name.shipment,
        [fixed] order_id: OrderId = &row.name.order,
        name: String = row.name.to_string(),
        [fixed] courier: String = &row.courier,
        heard_at: Timestamp = &row.heard_at,
        looked_at: Timestamp = &row.looked_at,
        look_at: Timestamp = &row.look_at,
    } => Carried {
        {
            let (_, _) = (shipment, order_id);
            let name = name.parse().map_err(|error| StoreError::Invalid(format!("a parcel that is carried: {error}")))?;
            Carried { name, courier, heard_at, looked_at, look_at }
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
            let KeptEvent { told: CourierTold { name, .. }, courier, came_at } = event;
            statements.push(match event.ends() {
                true => Statement::new(END, vec![of(name.shipment)]),
                false => Statement::new(HEARD, super::values(&Carried::heard(*name, courier, *came_at))?),
            });
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

    async fn carry(&self, carried: &Carried) -> Result<(), UnitError> {
        let mut values = super::values(carried)?;
        let now = carried.looked_at;
        values.push(Value::Moment(now.plus_millis(-limits::PARCEL_STALE_MS)));
        values.push(Value::Moment(now.plus_millis(limits::PARCEL_STALE_LOOK_MS)));
        self.0.run(Unit::new(vec![Statement::new(CARRY, values)])).await.map(|_| ())
    }

    async fn end(&self, shipment: ShipmentId) -> Result<(), UnitError> {
        self.0.run(Unit::new(vec![Statement::new(END, vec![of(shipment)])])).await.map(|_| ())
    }

    async fn to_look_up(&self, now: Timestamp, limit: usize) -> Result<Vec<Carried>, StoreError> {
        let values = vec![Value::Moment(now), Value::Integer(i64::try_from(limit).ok())];
        select::<Carried>(&*self.0, Statement::new(TO_LOOK_UP, values)).await
    }

    async fn look_up(&self, jobs: &[NewJob], again: &[(ShipmentId, Timestamp)]) -> Result<(), UnitError> {
        let mut statements = Vec::new();
        for job in jobs {
            statements.push(Statement::new(ADD_JOB, super::values(job)?));
        }
        let later = |(shipment, at): &(ShipmentId, Timestamp)| vec![of(*shipment), Value::Moment(*at)];
        statements.extend(again.iter().map(|again| Statement::new(LOOK_AGAIN, later(again))));
        self.0.run(Unit::new(statements)).await.map(|_| ())
    }

    async fn carried(&self, order: OrderId) -> Result<Vec<Carried>, StoreError> {
        let values = vec![Value::Uuid(Some(order.uuid()))];
        select::<Carried>(&*self.0, Statement::new(CARRIED, values)).await
    }

    async fn carried_parcel(&self, shipment: ShipmentId) -> Result<Option<Carried>, StoreError> {
        Ok(select::<Carried>(&*self.0, Statement::new(CARRIED_PARCEL, vec![of(shipment)])).await?.pop())
    }

    async fn silent_since(&self, moment: Timestamp) -> Result<u64, StoreError> {
        let counted = super::number(&*self.0, Statement::new(SILENT_SINCE, vec![Value::Moment(moment)])).await?;
        Ok(counted.and_then(|count| u64::try_from(count).ok()).unwrap_or(0))
    }
}
