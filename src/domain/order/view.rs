//! How an order is shown: to those who may see it, and as its rows.

use super::columns::OrderColumns;
use super::legs::{Leg, LegState};
use super::state::Body;
use super::{Amounts, Order, OrderView, PointsShown, SubOrderStatus, SubOrderView};
use crate::domain::entity::Principal;
use crate::domain::ids::{SubOrderId, VendorId};
use crate::domain::rows::{OrderLineRow, OrderRow, SubOrderRow};
use crate::domain::time::Timestamp;
use std::borrow::Cow;

impl Order {
    /// How the order is shown to `by`; `None` before it came into being, and to those who may not know of it.
    pub fn view(&self, by: Principal) -> Option<OrderView> {
        let body = self.body.as_ref().filter(|body| body.may_see(by))?;
        let shown_to = |vendor: VendorId| !matches!(by, Principal::Member(only) if only.vendor != vendor);
        let sub_orders: Vec<SubOrderView> = body
            .legs
            .iter()
            .filter_map(|leg| Some((leg.with.vendor()?, leg)))
            .filter(|(vendor, _)| shown_to(*vendor))
            .map(|(vendor, leg)| SubOrderView {
                id: SubOrderId::of(self.id, vendor),
                vendor,
                status: sub_order_status(body, leg),
                amounts: body.share_amounts(vendor),
                billed: body.share_billed(vendor),
                parcels: body.parcels.iter().filter(|parcel| parcel.vendor == vendor).cloned().collect(),
                on_hold: body.shares.iter().find(|share| share.vendor == vendor).and_then(|share| share.on_hold),
                to_collect: body.to_collect(vendor),
                slot: body.slot(vendor).cloned().map(Box::new),
            })
            .collect();
        Some(OrderView {
            id: self.id,
            cart: body.cart,
            status: body.status,
            currency: body.currency,
            lines: body.lines.iter().filter(|line| shown_to(line.vendor)).cloned().collect(),
            // To a vendor, its own share's.
            amounts: Amounts::sum(sub_orders.iter().map(|sub_order| sub_order.amounts)),
            sub_orders,
            // What one takes off of the whole order would tell a vendor what the others earn.
            coupons: if matches!(by, Principal::Member(_)) { Vec::new() } else { body.coupons.clone() },
            bill: body.bill.clone(),
            // These are between the buyer and the shop: vendors are paid in full.
            points: if matches!(by, Principal::Member(_)) { PointsShown::default() } else { body.points_shown() },
            payment_method: body.payment.method.clone(),
            payment_status: body.payment_status,
            placed_at: body.placed_at,
            payment_due_at: body.payment_due_at,
            inline_contact: body.inline_contact(),
            waits: Self::waits_for(body, by),
            refunds: body.refunds.iter().filter(|refund| shown_to(refund.vendor)).cloned().collect(),
            cancelling: body.is_cancelling(match by {
                Principal::Member(member) => Some(member.vendor),
                _ => None,
            }),
            returns: body.returns.iter().filter(|known| shown_to(known.vendor)).cloned().collect(),
            disputes: if matches!(by, Principal::Member(_)) { Vec::new() } else { body.disputes.clone() },
            attention: match by {
                Principal::Staff(_) => body.attention().into_iter().map(Cow::Borrowed).collect(),
                _ => Vec::new(),
            },
        })
    }

    /// Its row with all that belongs to it; `None` before it came into being.
    pub fn row(&self) -> Option<OrderRow> {
        let body = self.body.as_ref()?;
        Some(OrderRow {
            id: self.id,
            cart_id: body.cart,
            attempt: body.attempt,
            customer_id: body.owner.customer(),
            mail_key: body.mail_key(),
            columns: OrderColumns::of(body),
            currency: body.currency,
            amounts: body.amounts(),
            placed_at: body.placed_at,
            payment_due_at: body.payment_due_at,
            payment_method: body.payment.method.clone(),
            payment_status: body.payment_status,
            outside: Some(body.outside(self.id)),
            points_pending: Some(body.points_shown().pending).filter(|points| *points > 0 && body.is_sold()),
            sub_orders: body
                .legs
                .iter()
                .filter_map(|leg| Some((leg.with.vendor()?, leg)))
                .map(|(vendor, leg)| SubOrderRow {
                    id: SubOrderId::of(self.id, vendor),
                    vendor_id: vendor,
                    status: sub_order_status(body, leg),
                    amounts: body.share_amounts(vendor),
                    to_pack: body.left_to_pack(vendor),
                    overdue_since: body.overdue_since(vendor).map(Timestamp::as_millis),
                })
                .collect(),
            shipments: body.shipment_rows(),
            returns: body.return_rows(),
            bill: body.bill_row().map(Box::new),
            lines: body
                .lines
                .iter()
                .map(|line| OrderLineRow {
                    sku_id: line.sku,
                    vendor_id: line.vendor,
                    title: line.title.clone(),
                    quantity: line.quantity,
                    unit_price: line.unit_price,
                    list_price: line.list_price,
                    sale_id: line.sale,
                    line_total: line.total(),
                    credited: line.credited,
                    credited_amount: line.credited_amount,
                    goods: line.goods.clone(),
                    billed: line.billed.clone(),
                })
                .collect(),
        })
    }
}

fn sub_order_status(body: &Body, leg: &Leg) -> SubOrderStatus {
    let standing = leg.with.vendor().filter(|_| body.is_sold()).map(|vendor| body.share_standing(vendor));
    if let Some(standing) = standing.filter(|standing| *standing != SubOrderStatus::Paid) {
        return standing;
    }
    match leg.state {
        LegState::Asked => SubOrderStatus::Placed,
        LegState::Held if body.is_sold() => SubOrderStatus::Paid,
        LegState::Held => SubOrderStatus::Held,
        LegState::Refused => SubOrderStatus::Rejected,
        LegState::Committed => SubOrderStatus::Paid,
        LegState::Unanswered if body.is_sold() => SubOrderStatus::Paid,
        LegState::Released | LegState::Unanswered => SubOrderStatus::Released,
    }
}
