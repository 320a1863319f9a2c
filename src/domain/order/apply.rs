//! How events change an order.

use super::legs::{LegState, Party};
use super::state::{Body, Phase};
use super::{OrderEvent, OrderStatus, PaymentStatus, RefundStatus, TimelineEntry, Trouble};
use crate::domain::entity::Owner;
use crate::domain::money::Money;
use crate::domain::reject::Reject;
use crate::domain::time::Timestamp;

impl Body {
    /// Notes what became of a leg, in the words of its party.
    fn note_leg(&mut self, with: Party, at: Timestamp, what: &'static str) -> &mut TimelineEntry {
        let kind = match (with, what) {
            (Party::Stock(_), "held") => "stock_held",
            (Party::Stock(_), "refused") => "stock_refused",
            (Party::Stock(_), "released") => "stock_released",
            (Party::Stock(_), _) => "stock_committed",
            (Party::Coupon(_), "held") => "coupon_held",
            (Party::Coupon(_), "refused") => "coupon_refused",
            (Party::Coupon(_), "released") => "coupon_released",
            (Party::Coupon(_), "returned") => "coupon_returned",
            (Party::Coupon(_), _) => "coupon_used",
            (Party::Cash(_), "held") => "cash_counted",
            (Party::Cash(_), "refused") => "cash_refused",
            (Party::Cash(_), "released") => "cash_closed",
            (Party::Cash(_), _) => "cash_kept",
            (Party::Points(_), "held") => "points_held",
            (Party::Points(_), "refused") => "points_refused",
            (Party::Points(_), "released") => "points_released",
            (Party::Points(_), _) => "points_spent",
        };
        let entry = self.note(at, kind);
        entry.vendor = with.vendor();
        entry
    }

    /// Its payment is to be undone: nobody waits for the buyer any longer.
    fn void(&mut self, end: OrderStatus) {
        self.phase = Phase::Voiding(end);
        if self.payment_status == PaymentStatus::RequiresAction {
            self.payment_status = PaymentStatus::Pending;
        }
    }

    pub(super) fn apply(&mut self, event: &OrderEvent, at: Timestamp) {
        match event {
            // It made this body.
            OrderEvent::Placed { .. } => {}
            OrderEvent::StockHeld { vendor, lines, slot } => {
                self.set_leg(Party::Stock(*vendor), LegState::Held);
                for share in self.shares.iter_mut().filter(|share| share.vendor == *vendor) {
                    share.slot.clone_from(slot);
                }
                self.take_prices(lines);
                self.note(at, "stock_held").vendor = Some(*vendor);
            }
            OrderEvent::StockRefused { vendor, reason } => {
                self.set_leg(Party::Stock(*vendor), LegState::Refused);
                self.rejection = Some(reason.clone());
                self.start_ending(OrderStatus::Rejected);
                let entry = self.note(at, "stock_refused");
                entry.vendor = Some(*vendor);
                entry.reason = Some(reason.code().to_owned());
            }
            OrderEvent::Priced { total, bill } => {
                if let Some(bill) = bill {
                    self.take_bill(bill);
                }
                self.total = *total;
                self.note(at, "priced").amount = Some(*total);
            }
            OrderEvent::PriceDiffered { actual_total, sale_over } => {
                let actual_total = Money::new(*actual_total, self.currency);
                self.rejection = Some(match sale_over {
                    true => Reject::SaleEnded { actual_total: Some(actual_total) },
                    false => Reject::PriceChanged { actual_total },
                });
                self.start_ending(OrderStatus::Rejected);
                self.note(at, if *sale_over { "sale_ended" } else { "price_changed" }).amount =
                    Some(actual_total.minor);
            }
            OrderEvent::BillRefused { reason } => {
                self.rejection = Some(reason.clone());
                self.start_ending(OrderStatus::Rejected);
                self.note(at, "bill_refused").reason = Some(reason.code().to_owned());
            }
            OrderEvent::CouponsTaken { coupons } => self.take_coupons(coupons),
            OrderEvent::PointsTaken { spent, value, earns } => self.take_points(*spent, *value, earns.as_deref()),
            OrderEvent::PointsEarned { vendor, posting, points, expires_at } => {
                self.apply_earned(*vendor, *posting, *points, *expires_at);
                self.note(at, "points_earned").vendor = Some(*vendor);
            }
            OrderEvent::LegHeld { with } => {
                self.set_leg(*with, LegState::Held);
                self.note_leg(*with, at, "held");
            }
            OrderEvent::LegRefused { with, reason } => {
                self.set_leg(*with, LegState::Refused);
                self.rejection = Some(reason.clone());
                self.start_ending(OrderStatus::Rejected);
                self.note_leg(*with, at, "refused").reason = Some(reason.code().to_owned());
            }
            OrderEvent::LegCommitted { with } => {
                self.set_leg(*with, LegState::Committed);
                self.note_leg(*with, at, "committed");
                self.settle_when_done();
            }
            OrderEvent::LegReleased { with } => {
                self.set_leg(*with, LegState::Released);
                self.note_leg(*with, at, "released");
                if let Phase::Cancelling(end) = self.phase {
                    self.start_ending(end);
                }
            }
            OrderEvent::LegQuarantined { with, reason } => {
                let reason = reason.code().to_owned();
                self.quarantine(at, Trouble::LegFailed { with: *with, reason });
            }
            OrderEvent::LegAsked { with } => self.apply_leg_asked(*with),
            OrderEvent::Confirmed => {
                self.phase = Phase::Confirming;
                self.status = OrderStatus::Confirmed;
                self.payment_status = PaymentStatus::DueOnDelivery;
                self.note(at, "confirmed");
            }
            OrderEvent::CashCollected { collection, refund_requested, by } => {
                self.apply_collected(collection, refund_requested.as_ref(), *by, at);
            }
            OrderEvent::CashRemitted { shipment, vendor, told, by } => {
                self.apply_remitted(*shipment, *vendor, *told, *by, at);
            }
            OrderEvent::PaymentRequested => {
                self.phase = Phase::Paying;
                self.status = OrderStatus::AwaitingPayment;
                self.payment_status = PaymentStatus::Pending;
                self.note(at, "payment_requested");
            }
            OrderEvent::PaymentPrepared { reference } => self.reference = Some(reference.clone()),
            OrderEvent::PaymentActionRequired => {
                self.payment_status = PaymentStatus::RequiresAction;
                self.note(at, "payment_action_required");
            }
            OrderEvent::Paid { amount } => {
                self.phase = Phase::Confirming;
                self.status = OrderStatus::Paid;
                self.payment_status = PaymentStatus::Captured;
                self.take(*amount);
                self.note(at, "paid").amount = Some(*amount);
            }
            OrderEvent::PaymentFailed { reason } => {
                self.payment_status = PaymentStatus::Declined;
                self.start_ending(OrderStatus::PaymentFailed);
                self.note(at, "payment_failed").reason = Some(reason.clone());
            }
            OrderEvent::CancelRequested => {
                match self.phase {
                    Phase::Paying => self.void(OrderStatus::Cancelled),
                    _ => {
                        self.rejection = Some(Reject::OrderCancelled);
                        self.start_ending(OrderStatus::Cancelled);
                    }
                }
                self.note(at, "cancel_requested");
            }
            OrderEvent::PaymentDeadlinePassed => {
                match self.phase {
                    Phase::Paying => self.void(OrderStatus::Expired),
                    _ => {
                        self.rejection = Some(Reject::OrderExpired);
                        self.start_ending(OrderStatus::Expired);
                    }
                }
                self.note(at, "payment_deadline_passed");
            }
            OrderEvent::PaymentVoided => {
                self.payment_status = PaymentStatus::Voided;
                self.note(at, "payment_voided");
                if let Phase::Voiding(end) = self.phase {
                    self.start_ending(end);
                }
            }
            OrderEvent::PaymentRefunded { amount, told } => {
                self.payment_status = PaymentStatus::Refunded;
                self.take(*amount);
                self.give_back(*amount);
                let entry = self.note(at, "payment_refunded");
                entry.amount = Some(told.map_or(*amount, |told| told.minor));
                entry.currency = told.map(|told| told.currency);
                if let Phase::Voiding(end) = self.phase {
                    self.start_ending(end);
                }
            }
            OrderEvent::StockCommitted { vendor } => {
                self.set_leg(Party::Stock(*vendor), LegState::Committed);
                self.note(at, "stock_committed").vendor = Some(*vendor);
                self.settle_when_done();
            }
            OrderEvent::Settled => {
                for party in self.parties(&[LegState::Held]).collect::<Vec<_>>() {
                    self.set_leg(party, LegState::Committed);
                    self.note_leg(party, at, "committed");
                }
                self.settle_when_done();
            }
            OrderEvent::StockReleased { vendor } => {
                self.set_leg(Party::Stock(*vendor), LegState::Released);
                self.note(at, "stock_released").vendor = Some(*vendor);
                if let Phase::Cancelling(end) = self.phase {
                    self.start_ending(end);
                }
            }
            OrderEvent::CartClosed | OrderEvent::CartReopened => {}
            OrderEvent::Ended { status } => {
                self.phase = Phase::Ended;
                self.status = *status;
                self.credit_all();
                self.note(at, status.name());
            }
            OrderEvent::Quarantined { vendor, reason } => {
                let reason = reason.code().to_owned();
                self.quarantine(at, Trouble::StepFailed { vendor: *vendor, reason });
            }
            OrderEvent::PaymentDiffered { told, given_back } => {
                self.quarantine(at, Trouble::AmountDiffers { told: *told, given_back: *given_back });
            }
            OrderEvent::VoidRefused { reason, taken } => {
                self.quarantine(at, Trouble::VoidRefused { reason: reason.clone(), taken: *taken });
            }
            OrderEvent::Resolved { resolution } => self.resolve(resolution, at),
            OrderEvent::Credited { credit, refund_requested } => {
                self.apply_credit(credit, refund_requested.as_ref(), at);
            }
            OrderEvent::RefundPending { refund } => {
                self.apply_refund(*refund, at, "refund_pending", None, |refund| refund.status = RefundStatus::Pending);
            }
            OrderEvent::RefundSucceeded { refund, reference } => {
                self.apply_refund(*refund, at, "refund_succeeded", None, |refund| {
                    refund.status = RefundStatus::Succeeded;
                    refund.reference.clone_from(reference);
                });
            }
            OrderEvent::RefundFailed { refund, reason } => {
                self.apply_refund(*refund, at, "refund_failed", None, |refund| {
                    refund.status = RefundStatus::Failed;
                    refund.failure = Some(reason.clone());
                });
            }
            OrderEvent::RefundRetried { refund, by } => {
                self.apply_refund(*refund, at, "refund_retried", *by, |refund| {
                    refund.status = RefundStatus::Requested;
                    refund.attempt = refund.attempt.saturating_add(1);
                    (refund.reference, refund.failure) = (None, None);
                });
            }
            OrderEvent::RefundMarkedPaid { refund, reference, by } => {
                self.apply_refund(*refund, at, "refund_marked_paid", *by, |refund| {
                    refund.status = RefundStatus::Succeeded;
                    (refund.reference, refund.failure) = (Some(reference.clone()), None);
                    refund.by_hand = true;
                });
            }
            OrderEvent::Packed { vendor, lines, by } => self.apply_packed(*vendor, lines, *by, at),
            OrderEvent::Unpacked { vendor, lines, by } => self.apply_unpacked(*vendor, lines, *by, at),
            OrderEvent::SharePutOnHold { vendor, reason, by } => self.apply_hold(*vendor, Some(*reason), *by, at),
            OrderEvent::ShareResumed { vendor, by } => self.apply_hold(*vendor, None, *by, at),
            OrderEvent::ShipmentMade { parcel, by } => self.apply_parcel_made(parcel, *by, at),
            OrderEvent::ShipmentMoved { shipment, step, by } => self.apply_parcel_moved(*shipment, step, *by, at),
            OrderEvent::CancelWished { wish } => self.apply_wished(wish, at),
            OrderEvent::CancelWishDropped { credit } => self.apply_wish_dropped(*credit),
            OrderEvent::AcceptanceOverdue { vendor } => self.apply_overdue(*vendor, at),
            OrderEvent::ReturnRequested { wanted, by, exception } => {
                self.apply_return_requested(wanted, *by, *exception, at);
            }
            OrderEvent::ReturnMoved { id, step, refund, by } => {
                self.apply_return_moved(*id, step, *refund, *by, at);
            }
            OrderEvent::LegReturned { with, credits, whole } => {
                self.apply_leg_returned(*with, credits);
                if *whole {
                    self.note_leg(*with, at, "returned");
                }
            }
            OrderEvent::CreditsSettled { credits, .. } => self.apply_settled_credits(credits),
            OrderEvent::DisputeOpened { dispute, amount, reason } => {
                self.apply_dispute_opened(dispute, *amount, reason, at);
            }
            OrderEvent::DisputeWon { dispute, .. } => self.apply_dispute_won(dispute, at),
            OrderEvent::DisputeLost { dispute, amount, shares, .. } => {
                self.apply_dispute_lost(dispute, *amount, shares, at);
            }
            OrderEvent::Attached { customer } => {
                self.owner = Owner::Customer(*customer);
                self.note(at, "attached");
            }
        }
    }
}
