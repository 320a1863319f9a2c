//! What orders want of couriers: one job for each parcel that is to be fetched, and for each that is not to be fetched any more; and one for what
//! was corrected, which whoever waits for the parcel is to see.

use super::{AnyRecord, BOOKINGS, Follower, Origin, Unread};
use crate::domain::ids::Kind;
use crate::domain::job::JobKind;
use crate::domain::order::{OrderEvent, ParcelStep};
use crate::ports::jobs::NewJob;
use crate::ports::{BeginFrom, Made};

/// What stands in the record of a parcel, and in no text within a record, where quotation marks are escaped.
const SHIPMENT: &[u8] = br#""type":"shipment_m"#;

/// The follower.
pub(super) struct Bookings;

impl Follower for Bookings {
    fn name(&self) -> &'static str {
        BOOKINGS
    }

    fn begins(&self) -> BeginFrom {
        BeginFrom::Tail
    }

    fn reads(&self, kind: Kind) -> bool {
        kind == Kind::Order
    }

    fn contains(&self) -> &'static [&'static [u8]] {
        &[SHIPMENT]
    }

    fn read(&mut self, record: &AnyRecord, origin: Origin, made: &mut Made) -> Result<(), Unread> {
        let AnyRecord::Order(record) = record else { return Ok(()) };
        for (position, event) in (0..).zip(&record.events) {
            let kind = match event {
                OrderEvent::ShipmentMade { parcel, .. } => parcel.booking.map(|_| JobKind::BookParcels),
                OrderEvent::ShipmentMoved { step, .. } => match **step {
                    ParcelStep::AskCancel => Some(JobKind::BookParcels),
                    ParcelStep::Correct { .. } => Some(JobKind::CorrectTracking),
                    _ => None,
                },
                _ => None,
            };
            if let Some(kind) = kind {
                let about = record.entity.into();
                let id = origin.job(position, kind);
                made.jobs.push(NewJob { id, kind, about, version: record.version, at: record.at });
            }
        }
        Ok(())
    }

    fn recall(&mut self, _: &AnyRecord) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::buyer::Mint;
    use crate::domain::ids::{EntityId, OrderId, ShipmentId, VendorId};
    use crate::domain::order::{NewParcel, ParcelEnd};
    use crate::domain::record::Record;
    use crate::domain::time::Timestamp;
    use uuid::Uuid;

    #[test]
    fn each_wish_is_a_job_and_is_seen_in_its_line() {
        let (shipment, vendor) = (ShipmentId::from_uuid(Uuid::from_u128(2)), VendorId::from_uuid(Uuid::from_u128(3)));
        let made = |booking| {
            let (courier, lines) = ("platform".into(), Vec::new());
            let parcel = NewParcel { id: shipment, vendor, lines, courier, tracking_number: None, booking };
            OrderEvent::ShipmentMade { parcel: Box::new(parcel), by: None }
        };
        let moved = |step| OrderEvent::ShipmentMoved { shipment, step: Box::new(step), by: None };
        let events = vec![
            made(Some(Mint([1; 4]))),
            made(None),
            moved(ParcelStep::HandOver),
            moved(ParcelStep::Booked { tracking_number: "HX-1".into() }),
            moved(ParcelStep::AskCancel),
            moved(ParcelStep::Correct { to: ParcelEnd::Lost }),
        ];
        let has = |event: &OrderEvent| {
            let line = serde_json::to_vec(event).expect("JSON");
            line.windows(SHIPMENT.len()).any(|part| part == SHIPMENT)
        };
        assert!(events.iter().all(has));
        let entity = OrderId::from_uuid(Uuid::from_u128(1)).entity();
        let record = Record { entity, version: 4, at: Timestamp::from_millis(5), events, answers: Vec::new() };
        let origin = Origin { batch: Uuid::from_u128(9), partition: 3, position: 0 };
        let mut made = Made::default();
        Bookings.read(&AnyRecord::Order(record), origin, &mut made).expect("nothing is remembered");
        let [first, second, third] = &made.jobs[..] else { panic!("{:?}", made.jobs) };
        assert_eq!((second.kind, third.kind), (JobKind::BookParcels, JobKind::CorrectTracking));
        assert_eq!((first.kind, first.about, first.version), (JobKind::BookParcels, entity.into(), 4));
        assert_ne!(first.id, second.id);
    }
}
