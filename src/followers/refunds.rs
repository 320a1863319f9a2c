//! What orders give back: one job for each refund that was requested, and for each that is asked for again.

use super::{AnyRecord, Follower, Origin, REFUNDS, Unread};
use crate::domain::ids::Kind;
use crate::domain::job::JobKind;
use crate::domain::order::OrderEvent;
use crate::ports::jobs::NewJob;
use crate::ports::{BeginFrom, Made};

/// What stands in the record of a refund. A text that has it too is read in vain.
const REFUND: &[u8] = br#""refund_re"#;

/// The follower.
pub(super) struct Refunds;

impl Follower for Refunds {
    fn name(&self) -> &'static str {
        REFUNDS
    }

    fn begins(&self) -> BeginFrom {
        BeginFrom::Tail
    }

    fn reads(&self, kind: Kind) -> bool {
        kind == Kind::Order
    }

    fn contains(&self) -> &'static [&'static [u8]] {
        &[REFUND]
    }

    fn read(&mut self, record: &AnyRecord, origin: Origin, made: &mut Made) -> Result<(), Unread> {
        let AnyRecord::Order(record) = record else { return Ok(()) };
        for (position, event) in (0..).zip(&record.events) {
            let asks = match event {
                OrderEvent::Credited { refund_requested, .. } => refund_requested.is_some(),
                OrderEvent::RefundRetried { .. } => true,
                OrderEvent::DisputeWon { refund_resumed, .. } => !refund_resumed.is_empty(),
                OrderEvent::DisputeLost { shares, refund_resumed, .. } => {
                    !refund_resumed.is_empty() || shares.iter().any(|share| share.refund_requested.is_some())
                }
                _ => false,
            };
            if asks {
                let (kind, about) = (JobKind::RefundOrder, record.entity.into());
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
    use crate::domain::ids::{CreditId, EntityId, OrderId, RefundId, VendorId};
    use crate::domain::money::{Currency, Money};
    use crate::domain::order::{Credit, CreditReason, LostShare, RefundAsked};
    use crate::domain::record::Record;
    use crate::domain::time::Timestamp;
    use uuid::Uuid;

    #[test]
    fn each_request_is_a_job_and_is_seen_in_its_line() {
        let (refund, vendor) = (RefundId::from_uuid(Uuid::from_u128(2)), VendorId::from_uuid(Uuid::from_u128(3)));
        let credited = |asked: bool| {
            let (id, reason) = (CreditId::from_uuid(Uuid::from_u128(2)), CreditReason::Goodwill);
            let credit = Box::new(Credit {
                id,
                vendor,
                lines: Vec::new(),
                besides: 5,
                points_besides: 0,
                reason,
                by: None,
                shipped: false,
                restock: None,
            });
            let refund_requested = asked.then_some(RefundAsked { id: refund, amount: 5, mint: Mint([1; 4]) });
            OrderEvent::Credited { credit, refund_requested }
        };
        let won = |refund_resumed| OrderEvent::DisputeWon { dispute: "dp_1".into(), refund_resumed };
        let lost = |asked: bool| {
            let refund_requested = asked.then_some(RefundAsked { id: refund, amount: 5, mint: Mint([1; 4]) });
            let share = LostShare { vendor, amount: 7, credit: None, cancelled: vec![refund], refund_requested };
            let (shares, amount) = (vec![share], Money::new(7, Currency::BDT));
            OrderEvent::DisputeLost { dispute: "dp_1".into(), amount, shares, refund_resumed: Vec::new() }
        };
        let events = vec![
            credited(true),
            credited(false),
            OrderEvent::RefundPending { refund },
            OrderEvent::RefundFailed { refund, reason: "expired_card".into() },
            OrderEvent::RefundRetried { refund, by: None },
            won(Vec::new()),
            won(vec![refund]),
            lost(false),
            lost(true),
        ];
        let has = |event: &OrderEvent| {
            let line = serde_json::to_vec(event).expect("JSON");
            line.windows(REFUND.len()).any(|part| part == REFUND)
        };
        assert_eq!(
            events.iter().map(has).collect::<Vec<_>>(),
            [true, false, false, false, true, false, true, false, true]
        );
        let entity = OrderId::from_uuid(Uuid::from_u128(1)).entity();
        let record = Record { entity, version: 4, at: Timestamp::from_millis(5), events, answers: Vec::new() };
        let origin = Origin { batch: Uuid::from_u128(9), partition: 3, position: 0 };
        let mut made = Made::default();
        Refunds.read(&AnyRecord::Order(record), origin, &mut made).expect("nothing is remembered");
        let [first, second, _, _] = &made.jobs[..] else { panic!("{:?}", made.jobs) };
        assert_eq!((first.kind, first.about, first.version), (JobKind::RefundOrder, entity.into(), 4));
        assert_ne!(first.id, second.id);
    }
}
