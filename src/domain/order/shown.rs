//! How an order is shown, and what else it answers.

use super::types::*;
use super::{OrderCoupon, PointsShown};
use crate::domain::details::Contact;
use crate::domain::entity::PaymentCall;
use crate::domain::ids::{CartId, OrderId, ShipmentId, SubOrderId, VendorId};
use crate::domain::money::Currency;
use crate::domain::payment::RefundCall;
use crate::domain::pricing::BillShare;
use crate::domain::time::Timestamp;
use crate::domain::vendor::Slot;
use crate::domain::who::By;
use serde::{Deserialize, Deserializer, Serialize};
use std::borrow::Cow;

/// A vendor's share, as it is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubOrderView {
    /// Which.
    pub id: SubOrderId,
    /// Whose.
    pub vendor: VendorId,
    /// How it stands.
    pub status: SubOrderStatus,
    /// Its money.
    #[serde(flatten)]
    pub amounts: Amounts,
    /// Its shipping, its fees and its taxes, where the order has a bill.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub billed: Option<Box<BillShare>>,
    /// Its parcels, the oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parcels: Vec<Parcel>,
    /// Why it is not shipped now, where somebody has stopped it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_hold: Option<HoldReason>,
    /// What is to be collected for it at the door, in minor units.
    #[serde(default, skip_serializing_if = "super::share::is_zero")]
    pub to_collect: i64,
    /// In which of its vendor's slots it is to be brought.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slot: Option<Box<Slot>>,
}

/// An order as it is shown; to a vendor, only its own share.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderView {
    /// Which.
    pub id: OrderId,
    /// From which cart.
    pub cart: CartId,
    /// How it stands.
    pub status: OrderStatus,
    /// The currency of its amounts.
    pub currency: Currency,
    /// Its lines.
    pub lines: Vec<OrderLine>,
    /// Its shares.
    pub sub_orders: Vec<SubOrderView>,
    /// Its coupons, in the order in which their codes were put into the cart.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub coupons: Vec<OrderCoupon>,
    /// The money of the shares that are shown.
    #[serde(flatten)]
    pub amounts: Amounts,
    /// What holds of its whole bill, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bill: Option<Box<BillHead>>,
    /// Its points.
    #[serde(default, skip_serializing_if = "PointsShown::is_nothing")]
    pub points: PointsShown,
    /// The gateway.
    pub payment_method: String,
    /// How the payment stands.
    pub payment_status: PaymentStatus,
    /// When it was placed.
    pub placed_at: Timestamp,
    /// Until when it must be paid.
    pub payment_due_at: Timestamp,
    /// The contact of an order of an early version, which kept it in the journal. It is in no kept answer.
    #[serde(skip)]
    pub inline_contact: Option<Box<Contact>>,
    /// What it waits for that may never come; shown to the staff alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waits: Option<Box<Waits>>,
    /// Its refunds, the oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refunds: Vec<Refund>,
    /// Whether a cancel of some of it waits for a courier.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cancelling: bool,
    /// What buyers send back of it, the oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub returns: Vec<Return>,
    /// Disputes of its payment, the oldest first; to a vendor none, since they are about the whole of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub disputes: Vec<Dispute>,
    /// What of it somebody has to look at, as codes; shown to the staff alone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attention: Vec<Cow<'static, str>>,
}

impl OrderView {
    /// Reads an answer that was kept. Early versions wrote no more of an order's money than its total and what was due of it.
    fn kept<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Box<Self>, D::Error> {
        let mut view = Box::<Self>::deserialize(deserializer)?;
        let (ended, paid) = (view.status.is_end(), view.status.is_paid());
        let given_back = view.payment_status == PaymentStatus::Refunded;
        for sub_order in &mut view.sub_orders {
            let amounts = &mut sub_order.amounts;
            if amounts.adds_up() {
                continue;
            }
            let total = amounts.total;
            let when = |is: bool| if is { total } else { 0 };
            *amounts = Amounts {
                total,
                credited: when(ended),
                paid: when(paid || given_back),
                refunded: when(given_back),
                total_due: when(!ended && !paid),
                ..Amounts::default()
            };
        }
        for line in view.lines.iter_mut().filter(|line| ended && line.credited == 0) {
            line.credit(line.quantity);
        }
        view.amounts = Amounts::sum(view.sub_orders.iter().map(|sub_order| sub_order.amounts));
        Ok(view)
    }
}

/// One thing that happened, in the public vocabulary of an order's timeline.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimelineEntry {
    /// When.
    pub at: Timestamp,
    /// What: `placed`, `stock_held`, `stock_refused`, `priced`, `price_changed`, `bill_refused`, `payment_requested`, `payment_action_required`, `paid`, `payment_failed`,
    /// `cancel_requested`, `payment_deadline_passed`, `payment_voided`, `payment_refunded`, `stock_committed`,
    /// `stock_released`, `cancelled_units`, `credited`, `refund_requested`, `refund_pending`, `refund_succeeded`, `refund_failed`, `refund_retried`,
    /// `refund_marked_paid`, `refund_cancelled`, `dispute_opened`, `dispute_won`, `dispute_lost`, `coupon_held`, `coupon_refused`, `coupon_used`, `coupon_released`, `coupon_returned`, `points_held`, `points_refused`, `points_spent`, `points_released`, `points_earned`, `packed`, `unpacked`, `put_on_hold`, `resumed`, `shipment_created`, `shipment_handed_over`, `shipment_delivered`, `shipment_cancelled`, `shipment_returned`, `shipment_lost`, `shipment_corrected`, `shipment_booked`, `booking_refused`, `shipment_cancelling`, `shipment_cancel_refused`, `shipment_astray`, `cancel_wished`, `cancel_refused`, `acceptance_overdue`, `return_requested`, `return_excepted` (its time was over), `return_approved`, `return_denied`, `return_received`, `return_closed`, `return_cancelled`, `confirmed`, `cash_counted` (as one of the buyer's open orders that are paid at the door), `cash_refused`, `cash_kept`, `cash_closed`, `cash_collected`, `cash_remitted`, `quarantined`, `resolved`, `attached`, or the status in which it ended.
    #[serde(rename = "type")]
    pub kind: Cow<'static, str>,
    /// Whom it concerns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vendor: Option<VendorId>,
    /// How much, in minor units.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount: Option<i64>,
    /// Of which currency, where it is not the order's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub currency: Option<Currency>,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Who did it, where it was neither the buyer nor the shop by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<By>,
    /// Which parcel it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shipment: Option<ShipmentId>,
    /// Who led it out of what it was stuck in, and how; for the staff alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolution: Option<Box<Resolution>>,
}

/// What an order answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum OrderReply {
    /// The order.
    Order {
        /// As it is now.
        #[serde(deserialize_with = "OrderView::kept")]
        order: Box<OrderView>,
    },
    /// Its timeline.
    Timeline {
        /// The order's currency.
        currency: Currency,
        /// Oldest first.
        entries: Vec<TimelineEntry>,
    },
    /// What a credit would come to.
    Preview {
        /// In money.
        preview: RefundPreview,
    },
    /// What a provider has to be asked for, or about.
    Refunds {
        /// The order's payment method.
        method: String,
        /// Each refund.
        #[serde(skip)]
        calls: Vec<RefundCall>,
    },
    /// What it wants of couriers.
    Wishes {
        /// Of each parcel.
        #[serde(skip)]
        wishes: Vec<CourierWish>,
    },
    /// What a provider may know more of.
    Payment {
        /// The payment.
        #[serde(skip)]
        payment: Option<Box<PaymentCall>>,
        /// What was asked to be given back of it.
        #[serde(skip)]
        refunds: Vec<RefundCall>,
    },
    /// Done; nothing to show.
    Done,
}
