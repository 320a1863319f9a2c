//! What buyers are written about: that their order is paid.

use super::{AnyRecord, Follower, ORDER_MAILS, Origin, Unread};
use crate::domain::ids::Kind;
use crate::domain::job::JobKind;
use crate::domain::order::OrderEvent;
use crate::ports::jobs::NewJob;
use crate::ports::{BeginFrom, Made};

/// What stands in the record of a payment, and in no text within a record, where quotation marks are escaped.
const PAID: &[u8] = br#""type":"paid""#;
/// What stands in the record by which an order is accepted that is paid at the door.
const CONFIRMED: &[u8] = br#""type":"confirmed""#;

/// The follower.
pub(super) struct OrderMails;

impl Follower for OrderMails {
    fn name(&self) -> &'static str {
        ORDER_MAILS
    }

    fn begins(&self) -> BeginFrom {
        BeginFrom::Tail
    }

    fn reads(&self, kind: Kind) -> bool {
        kind == Kind::Order
    }

    fn contains(&self) -> &'static [&'static [u8]] {
        &[PAID, CONFIRMED]
    }

    fn read(&mut self, record: &AnyRecord, origin: Origin, made: &mut Made) -> Result<(), Unread> {
        let AnyRecord::Order(record) = record else { return Ok(()) };
        for (position, event) in (0..).zip(&record.events) {
            // A payment of another amount than was asked for, or of one that had been given up, is no `Paid`.
            if matches!(event, OrderEvent::Paid { .. } | OrderEvent::Confirmed) {
                let kind = JobKind::OrderPaidMail;
                let id = origin.job(position, kind);
                made.jobs.push(NewJob {
                    id,
                    kind,
                    about: record.entity.into(),
                    version: record.version,
                    at: record.at,
                });
            }
        }
        Ok(())
    }

    fn recall(&mut self, _: &AnyRecord) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::{EntityId, OrderId};
    use crate::domain::record::Record;
    use crate::domain::time::Timestamp;
    use uuid::Uuid;

    #[test]
    fn a_paid_order_is_one_job_and_the_same_at_every_reading() {
        let entity = OrderId::from_uuid(Uuid::from_u128(1)).entity();
        let at = Timestamp::from_millis(5);
        let events = vec![OrderEvent::PaymentRequested, OrderEvent::Paid { amount: 100 }];
        let record = AnyRecord::Order(Record { entity, version: 4, at, events, answers: Vec::new() });
        let origin = |position| Origin { batch: Uuid::from_u128(9), partition: 3, position };
        let read = |origin| {
            let mut made = Made::default();
            OrderMails.read(&record, origin, &mut made).expect("nothing is remembered");
            made.jobs
        };
        let [job] = read(origin(0))[..] else { panic!("one job") };
        assert_eq!((job.kind, job.about, job.version, job.at), (JobKind::OrderPaidMail, entity.into(), 4, at));
        assert_eq!(read(origin(0)), [job]);
        assert_ne!(read(origin(1))[0].id, job.id);
        assert_ne!(origin(0).job(0, job.kind), job.id);
    }

    #[test]
    fn an_order_that_is_paid_at_the_door_is_a_job_when_it_is_accepted() {
        let entity = OrderId::from_uuid(Uuid::from_u128(1)).entity();
        let (at, events) = (Timestamp::from_millis(5), vec![OrderEvent::Confirmed]);
        let record = AnyRecord::Order(Record { entity, version: 4, at, events, answers: Vec::new() });
        let mut made = Made::default();
        OrderMails
            .read(&record, Origin { batch: Uuid::from_u128(9), partition: 3, position: 0 }, &mut made)
            .expect("read");
        assert_eq!(made.jobs.len(), 1);
    }

    #[test]
    fn a_payment_is_seen_in_its_line() {
        let line = |event: OrderEvent| serde_json::to_vec(&event).expect("JSON");
        let has = |line: &[u8]| line.windows(PAID.len()).any(|part| part == PAID);
        assert!(has(&line(OrderEvent::Paid { amount: 100 })));
        assert!(
            String::from_utf8(line(OrderEvent::Confirmed)).expect("text").as_bytes()
                == [b"{", CONFIRMED, b"}"].concat()
        );
        assert!(!has(&line(OrderEvent::PaymentFailed { reason: String::from_utf8_lossy(PAID).into_owned() })));
    }

    #[test]
    fn what_is_not_paid_is_no_job() {
        let entity = OrderId::from_uuid(Uuid::from_u128(1)).entity();
        let events = vec![
            OrderEvent::PaymentRequested,
            OrderEvent::PaymentFailed { reason: "no".into() },
            OrderEvent::PaymentVoided,
        ];
        let at = Timestamp::from_millis(5);
        let record = AnyRecord::Order(Record { entity, version: 4, at, events, answers: Vec::new() });
        let mut made = Made::default();
        let origin = Origin { batch: Uuid::nil(), partition: 0, position: 0 };
        OrderMails.read(&record, origin, &mut made).expect("nothing is remembered");
        assert_eq!(made, Made::default());
    }
}
