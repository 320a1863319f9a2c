//! Orders: one by its id, never old; lists from the read tables.

use crate::actors::shop::{Ask, Shop};
use crate::domain::details::Contact;
use crate::domain::details::Known;
use crate::domain::entity::Principal;
use crate::domain::ids::{CartId, OrderId, SaleId, ShipmentId, ShippingMethodId, SkuId, SubOrderId, VendorId};
use crate::domain::money::{Currency, Money};
use crate::domain::order::columns::order_columns;
use crate::domain::order::{
    Amounts, Dispute, DisputeStatus, Goods, HoldReason, Order, OrderCommand, OrderFilter, OrderReply, OrderStatus,
    OrderView, PaymentStatus, SubOrderStatus, WaitsFor,
};
use crate::domain::payment::NextAction;
use crate::domain::pricing::BillLine;
use crate::domain::reject::Reject;
use crate::domain::rows::OrderRow;
use crate::domain::time::Timestamp;
use crate::domain::who::Action;
use crate::http::answer::{ask, ok, unexpected};
use crate::http::bills::{LineBillBody, Shown, SumsBody, method_of};
use crate::http::caller::Caller;
use crate::http::contacts::{AddressShown, contact, shown};
use crate::http::error::Result;
use crate::http::extract::{Id, Query};
use crate::http::money::{Moment, MoneyBody, Page};
use crate::http::notes::notes;
use crate::http::openapi::{ACTOR, AUTH, FILTERS, LISTS, problems};
use crate::http::page::{List, PageQuery};
use crate::http::points::OrderPointsBody;
use crate::http::refunds::RefundBody;
use crate::http::resolve::StuckBody;
use crate::http::returns::ReturnBody;
use crate::http::services::Services;
use crate::http::shipments::ShipmentBody;
use crate::http::slots::DeliverySlotBody;
use crate::http::timeline::TimelineItem;
use crate::http::tracking;
use crate::http::valid::filled;
use crate::http::vendors::may_know_of;
use crate::http::waiting::{Several, asked_shares};
use crate::http::{Settings, query};
use crate::ports::OrdersOf;
use crate::ports::waiting::Shares;
use axum::extract::State;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::sync::Arc;
use utoipa::{IntoParams, ToSchema};

macro_rules! query_of_orders {
    ($($(#[doc = $doc:literal])* $([since $since:literal])? $name:ident: $of:ty = $value:expr;)*) => {
        /// Which part of a list of orders, and which orders.
        #[derive(Debug, Deserialize, IntoParams)]
        #[serde(deny_unknown_fields)]
        #[into_params(parameter_in = Query)]
        pub struct OrdersQuery {
            /// Items on the page.
            #[param(minimum = 1, maximum = 200, default = 50)]
            #[serde(default, deserialize_with = "filled")]
            limit: Option<u32>,
            /// What an earlier page gave as `next_cursor`.
            #[param(pattern = "^([0-9a-f]{64})?$")]
            #[serde(default, deserialize_with = "filled")]
            cursor: Option<String>,
            $(
                $(#[doc = $doc])*
                #[serde(default, deserialize_with = "filled")]
                $name: Option<$of>,
            )*
            /// Only orders with a share that stands so, to a vendor its own: `paid`, `partially_packed`, `packed`, `partially_shipped`, `shipped`,
            /// `partially_delivered`, `delivered`, `cancelled`, `returned`, `placed`, `held`, `rejected`, `released`, or several of these with commas
            /// between them.
            #[param(value_type = Option<String>, example = "paid,partially_packed", pattern = "^([a-z_]+(,[a-z_]+)*)?$")]
            #[serde(default, deserialize_with = "filled")]
            share_status: Option<Several<SubOrderStatus>>,
            /// Only orders with a share that waits for its vendor, to a vendor its own: `pack` (units are to be packed), `hand_over` (a parcel is to be
            /// handed over), `return` (a return is to be decided on, or to be received).
            #[param(value_type = Option<String>, example = "pack", pattern = "^(pack|hand_over|return)?$")]
            #[serde(default, deserialize_with = "filled")]
            waiting: Option<WaitsFor>,
        }

        impl OrdersQuery {
            /// Which part of the list, and which orders.
            fn parts(self) -> Result<(PageQuery, OrderFilter, Option<Shares>)> {
                let OrdersQuery { limit, cursor, $($name,)* share_status, waiting } = self;
                Ok((PageQuery { limit, cursor }, OrderFilter { $($name),* }, asked_shares(share_status, waiting)?))
            }
        }
    };
}
order_columns!(query_of_orders);

/// An order; to a vendor, only its own share.
#[derive(Debug, Serialize, ToSchema)]
pub struct OrderBody<'a> {
    id: OrderId,
    cart_id: CartId,
    status: OrderStatus,
    lines: Vec<OrderLineBody<'a>>,
    sub_orders: Vec<SubOrderBody<'a>>,
    /// Its coupons, in the order in which their codes were put into the cart. Not in lists.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    coupons: Vec<OrderCouponBody<'a>>,
    #[serde(flatten)]
    sums: SumsBody,
    /// Whether taxes are in the prices, or come on top.
    prices_include_tax: bool,
    #[serde(flatten)]
    amounts: AmountsBody,
    /// Its points, where it has to do with any. Not in lists, nor for vendors.
    #[serde(skip_serializing_if = "Option::is_none")]
    points: Option<OrderPointsBody>,
    payment: PaymentBody<'a>,
    /// What of it is given back, the oldest first. Not in lists.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    pub(super) refunds: Vec<RefundBody<'a>>,
    /// Whether a cancel of some of it waits for a courier. Not in lists.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[schema(required = false)]
    cancelling: bool,
    /// What buyers send back of it, the oldest first. Not in lists.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    pub(super) returns: Vec<ReturnBody>,
    /// Disputes of its payment, the oldest first; to a vendor none. Not in lists.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    disputes: Vec<DisputeBody<'a>>,
    /// What of it somebody has to look at: `dispute_open`, `dispute_beyond_payment` (more was lost than the order had), `refund_failed`, `refund_by_hand` (of
    /// what was paid at the door), `collection_mismatch` (less was collected there than was due), `remittance_short`, `remittance_differs`, `parcel_lost`,
    /// `parcel_stale` (nothing was heard of one for 30 days; shown by `GET` of the order alone), `parcel_astray` (its courier tells
    /// what cannot be), `booking_refused` (its courier will not take a parcel), `not_accepted` (nothing of a share was packed in time), `stuck`. Shown to the
    /// staff alone; not in lists.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    #[schema(required = false, value_type = Vec<String>)]
    attention: &'a [Cow<'static, str>],
    /// Where to ship to; `erased` when it was. Left out while the store cannot be asked, and in lists for an order that an early version of the
    /// shop took.
    #[serde(skip_serializing_if = "Option::is_none")]
    shipping_address: Option<AddressShown<'a>>,
    /// Where to write to; `erased` when it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "rahim@example.com")]
    email: Option<&'a str>,
    placed_at: Moment,
    payment_due_at: Moment,
    /// What it is stuck in; shown to the staff alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    stuck: Option<StuckBody<'a>>,
}

/// A dispute: a buyer had their bank take the money back.
#[derive(Debug, Serialize, ToSchema)]
pub struct DisputeBody<'a> {
    /// Its name in the provider's books.
    #[schema(example = "dp_1PqXyZ")]
    id: &'a str,
    /// One of `open`, `won` (the shop keeps the money), `lost`.
    #[schema(value_type = String, example = "open")]
    status: DisputeStatus,
    /// How much of the payment is disputed.
    amount: MoneyBody,
    /// Why, in the provider's words.
    #[schema(example = "product_not_received")]
    reason: &'a str,
}

impl<'a> From<&'a Dispute> for DisputeBody<'a> {
    fn from(dispute: &'a Dispute) -> Self {
        let Dispute { id, status, amount, reason, .. } = dispute;
        Self { id, status: *status, amount: MoneyBody(*amount), reason }
    }
}

/// A coupon of an order.
#[derive(Debug, Serialize, ToSchema)]
pub struct OrderCouponBody<'a> {
    #[schema(example = "EID10")]
    code: &'a str,
    /// What it takes off; nothing before the price is known.
    amount: MoneyBody,
}

/// A line of an order.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct OrderLineBody<'a> {
    sku_id: SkuId,
    vendor_id: VendorId,
    #[schema(example = "Jamdani saree")]
    title: &'a str,
    quantity: i64,
    unit_price: MoneyBody,
    line_total: MoneyBody,
    /// What one piece costs outside of sales and price breaks, where that is another price.
    #[serde(skip_serializing_if = "Option::is_none")]
    list_price: Option<MoneyBody>,
    /// The sale that it was taken from.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = json!(null))]
    sale_id: Option<SaleId>,
    #[serde(flatten)]
    bill: LineBillBody<'a>,
    /// Pieces that need not be paid for any more.
    credited: i64,
    /// What these come to.
    credited_amount: MoneyBody,
    /// Of the credited pieces: those that were cancelled before they were handed over.
    cancelled: i64,
    /// Pieces that are packed, or in a parcel that was not handed over yet.
    packed: i64,
    /// Pieces that were handed over, whatever became of them.
    shipped: i64,
    /// Of these: pieces that arrived and were accepted.
    delivered: i64,
    /// Of the delivered ones: pieces that the buyer sent back.
    returned: i64,
}

/// The money of a sub-order, or the sums of several.
#[derive(Debug, Serialize, ToSchema)]
pub struct AmountsBody {
    /// What is to be paid.
    total: MoneyBody,
    /// What of the total is not to be paid any more.
    credited: MoneyBody,
    /// What was taken.
    paid: MoneyBody,
    /// What of it was given back.
    refunded: MoneyBody,
    /// What is still to be paid: for each sub-order total − credited − (paid − refunded) where that is above 0. 0 on ended orders.
    total_due: MoneyBody,
    /// What is still to be given back: the same where it is below 0.
    refund_due: MoneyBody,
    /// What cash was rounded by, where it was: what is due is that much more, or less.
    #[serde(skip_serializing_if = "Option::is_none")]
    rounding: Option<MoneyBody>,
}

impl AmountsBody {
    fn new(amounts: Amounts, currency: Currency) -> Self {
        let Amounts { total, credited, rounding, paid, refunded, total_due, refund_due } = amounts;
        let money = |minor| MoneyBody(Money::new(minor, currency));
        Self {
            total: money(total),
            credited: money(credited),
            paid: money(paid),
            refunded: money(refunded),
            total_due: money(total_due),
            refund_due: money(refund_due),
            rounding: (rounding != 0).then(|| money(rounding)),
        }
    }
}

/// A vendor's share of an order.
#[derive(Debug, Serialize, ToSchema)]
pub struct SubOrderBody<'a> {
    id: SubOrderId,
    vendor_id: VendorId,
    status: SubOrderStatus,
    lines: Vec<OrderLineBody<'a>>,
    /// How it is shipped, where its vendor has methods of shipping.
    #[serde(skip_serializing_if = "Option::is_none")]
    shipping_method_id: Option<ShippingMethodId>,
    #[serde(flatten)]
    sums: SumsBody,
    #[serde(flatten)]
    amounts: AmountsBody,
    /// Its parcels, the oldest first. Not in lists.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    shipments: Vec<ShipmentBody<'a>>,
    /// Why it is not shipped now, where somebody has stopped it: `fraud_check`, `address`, `out_of_stock`, `buyer_asked`, `other`. Not in lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "address")]
    on_hold: Option<HoldReason>,
    /// What is to be collected for it at the door, to what can be handed over in cash. Not in lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    to_collect: Option<MoneyBody>,
    /// In which slot it is to be brought, where the buyer chose one. Not in lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    delivery_slot: Option<DeliverySlotBody>,
}

/// How an order is paid.
#[derive(Debug, Serialize, ToSchema)]
pub struct PaymentBody<'a> {
    status: PaymentStatus,
    #[schema(example = "sandbox")]
    method: &'a str,
    /// What the buyer has to do, for the buyer alone; where it is not known just now, the payment is being looked up.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_action: Option<NextActionBody>,
}

/// What a buyer has to do before a payment goes on.
#[derive(Serialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum NextActionBody {
    /// To go on in Stripe's own script.
    StripeSdk {
        /// By which the script finds the payment.
        client_secret: String,
    },
    /// To go there.
    Redirect {
        /// Where.
        url: String,
    },
}

impl std::fmt::Debug for NextActionBody {
    /// Without what opens the payment.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            NextActionBody::StripeSdk { .. } => "StripeSdk",
            NextActionBody::Redirect { .. } => "Redirect",
        })
    }
}

impl From<NextAction> for NextActionBody {
    fn from(action: NextAction) -> Self {
        match action {
            NextAction::StripeSdk { client_secret } => {
                NextActionBody::StripeSdk { client_secret: client_secret.into() }
            }
            NextAction::Redirect { url } => NextActionBody::Redirect { url: url.into() },
        }
    }
}

/// What the buyer has to do, where it is the buyer who asks.
pub(super) fn next_action(shop: &Shop, by: Principal, order: &OrderView) -> Option<NextActionBody> {
    let is_buyer = matches!(by, Principal::Guest(_) | Principal::Customer(_));
    let waits = is_buyer && order.payment_status == PaymentStatus::RequiresAction;
    shop.next_action(order.id).filter(|_| waits).map(Into::into)
}

fn goods_of(goods: &Option<Box<Goods>>) -> Goods {
    goods.as_deref().copied().unwrap_or_default()
}

fn lines_of<'a>(lines: &[OrderLineBody<'a>], vendor: VendorId) -> Vec<OrderLineBody<'a>> {
    lines.iter().filter(|line| line.vendor_id == vendor).cloned().collect()
}

impl<'a> OrderBody<'a> {
    /// As it is at this moment: with what it is stuck in by now.
    pub fn at(order: &'a OrderView, contact: &'a Known<Contact>, now: Timestamp) -> Self {
        Self { stuck: StuckBody::new(order, now), ..Self::of_view(order, contact) }
    }

    /// With the links to where its parcels are.
    pub(super) fn with_tracks(mut self, shop: &Shop) -> Self {
        for share in &mut self.sub_orders {
            share.shipments =
                std::mem::take(&mut share.shipments).into_iter().map(|parcel| parcel.with_track(shop)).collect();
        }
        self
    }

    /// With those of its parcels that are stale.
    pub(super) fn with_stale(mut self, stale: &[ShipmentId]) -> Self {
        for share in &mut self.sub_orders {
            let parcels = std::mem::take(&mut share.shipments);
            share.shipments = parcels.into_iter().map(|parcel| parcel.with_stale(stale)).collect();
        }
        self
    }

    /// With what the buyer has to do.
    pub(super) fn with_action(mut self, action: Option<NextActionBody>) -> Self {
        self.payment.next_action = action;
        self
    }

    /// From what the order itself shows.
    pub fn of_view(order: &'a OrderView, contact: &'a Known<Contact>) -> Self {
        let (shipping_address, email) = shown(contact);
        let money = |minor| MoneyBody(Money::new(minor, order.currency));
        let (codes, prices_include_tax) =
            order.bill.as_deref().map_or((&[][..], true), |bill| (&bill.codes, bill.prices_include_tax));
        let bill = Shown { codes, prices_include_tax, currency: order.currency };
        let share = |vendor| order.sub_orders.iter().find(|sub| sub.vendor == vendor)?.billed.as_deref();
        let rates = |vendor| share(vendor).map_or(&[][..], |share| &share.tax_groups);
        let line = |line: &'a crate::domain::order::OrderLine| OrderLineBody {
            bill: bill.line(line.total(), line.billed.as_deref(), rates(line.vendor)),
            sku_id: line.sku,
            vendor_id: line.vendor,
            title: &line.title,
            quantity: line.quantity,
            unit_price: money(line.unit_price),
            line_total: money(line.total()),
            list_price: line.list_price.map(money),
            sale_id: line.sale,
            credited: line.credited,
            credited_amount: money(line.credited_amount),
            cancelled: line.credited.saturating_sub(goods_of(&line.goods).credited),
            packed: goods_of(&line.goods).packed.saturating_add(goods_of(&line.goods).in_parcels),
            shipped: goods_of(&line.goods).shipped,
            delivered: goods_of(&line.goods).delivered,
            returned: goods_of(&line.goods).returned,
        };
        fn totals(line: &crate::domain::order::OrderLine) -> (i64, Option<&BillLine>) {
            (line.total(), line.billed.as_deref())
        }
        let lines: Vec<OrderLineBody<'a>> = order.lines.iter().map(line).collect();
        let sub_order = |sub: &'a crate::domain::order::SubOrderView| SubOrderBody {
            id: sub.id,
            vendor_id: sub.vendor,
            status: sub.status,
            lines: lines_of(&lines, sub.vendor),
            shipping_method_id: method_of(sub.billed.as_deref()),
            sums: SumsBody::new(
                order.lines.iter().filter(|line| line.vendor == sub.vendor).map(totals),
                sub.billed.as_deref().into_iter(),
                order.currency,
            ),
            amounts: AmountsBody::new(sub.amounts, order.currency),
            shipments: sub.parcels.iter().map(|parcel| ShipmentBody::new(order.id, order.currency, parcel)).collect(),
            on_hold: sub.on_hold,
            to_collect: (sub.to_collect > 0).then(|| MoneyBody(Money::new(sub.to_collect, order.currency))),
            delivery_slot: sub.slot.as_deref().cloned().map(DeliverySlotBody::from),
        };
        Self {
            sums: SumsBody::new(
                order.lines.iter().map(totals),
                order.sub_orders.iter().filter_map(|sub| sub.billed.as_deref()),
                order.currency,
            ),
            prices_include_tax,
            id: order.id,
            cart_id: order.cart,
            status: order.status,
            sub_orders: order.sub_orders.iter().map(sub_order).collect(),
            lines,
            coupons: order
                .coupons
                .iter()
                .map(|coupon| OrderCouponBody { code: coupon.code.as_str(), amount: money(coupon.amount) })
                .collect(),
            amounts: AmountsBody::new(order.amounts, order.currency),
            points: OrderPointsBody::new(&order.points, order.currency),
            payment: PaymentBody { status: order.payment_status, method: &order.payment_method, next_action: None },
            refunds: order.refunds.iter().map(|refund| RefundBody::new(order.id, refund, order.currency)).collect(),
            cancelling: order.cancelling,
            returns: order.returns.iter().map(|known| ReturnBody::new(order.id, known)).collect(),
            disputes: order.disputes.iter().map(DisputeBody::from).collect(),
            attention: &order.attention,
            shipping_address,
            email,
            placed_at: Moment(order.placed_at),
            payment_due_at: Moment(order.payment_due_at),
            stuck: None,
        }
    }

    /// From a row of the read tables. `share_of` is the vendor whose share alone is shown: then the totals are that share's,
    /// as the order itself tells them to a vendor.
    pub(super) fn of_row(order: &'a OrderRow, contact: &'a Known<Contact>, share_of: Option<VendorId>) -> Self {
        let (shipping_address, email) = shown(contact);
        let money = |minor| MoneyBody(Money::new(minor, order.currency));
        let is_shown = |vendor: VendorId| share_of.is_none_or(|only| only == vendor);
        let (codes, prices_include_tax) =
            order.bill.as_deref().map_or((&[][..], true), |bill| (&bill.head.codes, bill.head.prices_include_tax));
        let bill = Shown { codes, prices_include_tax, currency: order.currency };
        let shares = order.bill.as_deref().map_or(&[][..], |bill| &bill.shares);
        let share = |vendor| shares.iter().find(|share| share.vendor == vendor);
        let rates = |vendor| share(vendor).map_or(&[][..], |share| &share.tax_groups);
        fn totals(line: &crate::domain::rows::OrderLineRow) -> (i64, Option<&BillLine>) {
            (line.line_total, line.billed.as_deref())
        }
        let line = |line: &'a crate::domain::rows::OrderLineRow| OrderLineBody {
            bill: bill.line(line.line_total, line.billed.as_deref(), rates(line.vendor_id)),
            sku_id: line.sku_id,
            vendor_id: line.vendor_id,
            title: &line.title,
            quantity: line.quantity,
            unit_price: money(line.unit_price),
            line_total: money(line.line_total),
            list_price: line.list_price.map(money),
            sale_id: line.sale_id,
            credited: line.credited,
            credited_amount: money(line.credited_amount),
            cancelled: line.credited.saturating_sub(goods_of(&line.goods).credited),
            packed: goods_of(&line.goods).packed.saturating_add(goods_of(&line.goods).in_parcels),
            shipped: goods_of(&line.goods).shipped,
            delivered: goods_of(&line.goods).delivered,
            returned: goods_of(&line.goods).returned,
        };
        let lines: Vec<OrderLineBody<'a>> =
            order.lines.iter().filter(|line| is_shown(line.vendor_id)).map(line).collect();
        let shown = || order.sub_orders.iter().filter(|sub| is_shown(sub.vendor_id));
        let amounts = match share_of {
            None => order.amounts,
            Some(_) => Amounts::sum(shown().map(|sub| sub.amounts)),
        };
        let sub_order = |sub: &crate::domain::rows::SubOrderRow| SubOrderBody {
            id: sub.id,
            vendor_id: sub.vendor_id,
            status: sub.status,
            lines: lines_of(&lines, sub.vendor_id),
            shipping_method_id: method_of(share(sub.vendor_id)),
            sums: SumsBody::new(
                order.lines.iter().filter(|line| line.vendor_id == sub.vendor_id).map(totals),
                share(sub.vendor_id).into_iter(),
                order.currency,
            ),
            amounts: AmountsBody::new(sub.amounts, order.currency),
            shipments: Vec::new(),
            on_hold: None,
            to_collect: None,
            delivery_slot: None,
        };
        Self {
            sums: SumsBody::new(
                order.lines.iter().filter(|line| is_shown(line.vendor_id)).map(totals),
                shares.iter().filter(|share| is_shown(share.vendor)),
                order.currency,
            ),
            prices_include_tax,
            id: order.id,
            cart_id: order.cart_id,
            status: order.columns.status,
            sub_orders: shown().map(sub_order).collect(),
            lines,
            coupons: Vec::new(),
            amounts: AmountsBody::new(amounts, order.currency),
            points: None,
            payment: PaymentBody { status: order.payment_status, method: &order.payment_method, next_action: None },
            refunds: Vec::new(),
            cancelling: false,
            returns: Vec::new(),
            disputes: Vec::new(),
            attention: &[],
            shipping_address,
            email,
            placed_at: Moment(order.placed_at),
            payment_due_at: Moment(order.payment_due_at),
            stuck: None,
        }
    }
}

problems!(GetOrderProblems: AUTH, ACTOR; OrderUnknown);

/// An order
#[utoipa::path(get, path = "/v1/orders/{order}", tag = "orders", security(("bearer" = [])),
    params(("order" = OrderId, Path, description = "The order")),
    responses((status = 200, description = "The order.", body = OrderBody), GetOrderProblems))]
pub async fn get_order(
    State(shop): State<Shop>,
    State(settings): State<Arc<Settings>>,
    caller: Caller,
    State(services): State<Services>,
    Id(id): Id<OrderId>,
) -> Result<Response> {
    let how = Ask { within: settings.request_timeout, key: None, fresh: false };
    match ask::<Order>(&shop, id, OrderCommand::Get { by: caller.principal }, how).await? {
        (OrderReply::Order { mut order }, _) => {
            let contact = contact(&shop, &settings, caller.principal, &order).await?;
            let action = next_action(&shop, caller.principal, &order);
            let stale = tracking::stale(&services, &settings, &order).await;
            if !stale.is_empty() && matches!(caller.principal, Principal::Staff(_)) {
                order.attention.push("parcel_stale".into());
            }
            let body = OrderBody::at(&order, &contact, shop.clock().now());
            let notes = notes(&shop, &settings, caller.principal, &order).await;
            Ok(ok(&body.with_action(action).with_notes(&notes).with_tracks(&shop).with_stale(&stale)))
        }
        (other, _) => Err(unexpected(&other)),
    }
}

problems!(TimelineProblems: AUTH, ACTOR; OrderUnknown);

/// What happened to an order, oldest first
#[utoipa::path(get, path = "/v1/orders/{order}/timeline", tag = "orders", security(("bearer" = [])),
    params(("order" = OrderId, Path, description = "The order")),
    responses((status = 200, description = "All of it.", body = Page<TimelineItem>), TimelineProblems))]
pub async fn get_timeline(
    State(shop): State<Shop>,
    State(settings): State<Arc<Settings>>,
    caller: Caller,
    Id(id): Id<OrderId>,
) -> Result<Response> {
    let how = Ask { within: settings.request_timeout, key: None, fresh: false };
    match ask::<Order>(&shop, id, OrderCommand::GetTimeline { by: caller.principal }, how).await? {
        (OrderReply::Timeline { currency, entries }, _) => {
            let items = entries.iter().zip(1..).map(|(entry, seq)| TimelineItem::new(entry, seq, currency)).collect();
            // The order itself was asked: this is how it stands now.
            Ok(ok(&Page { items, next_cursor: None, as_of: Moment(shop.clock().now()) }))
        }
        (other, _) => Err(unexpected(&other)),
    }
}

/// Leaves out what has become a customer's. The rows may not say so yet, and a guest has few of them.
async fn still_the_guests(shop: &Shop, settings: &Settings, cart: CartId, rows: &mut Vec<OrderRow>) -> Result<()> {
    let (by, how) = (Principal::Guest(cart), Ask { within: settings.request_timeout, key: None, fresh: false });
    let mut theirs = Vec::with_capacity(rows.len());
    for row in rows.drain(..) {
        match shop.ask::<Order>(row.id, OrderCommand::Get { by }, how).await?.outcome {
            Err(Reject::OrderUnknown) => {}
            _ => theirs.push(row),
        }
    }
    *rows = theirs;
    Ok(())
}

async fn listed(shop: &Shop, settings: &Settings, at: &str, of: OrdersOf, asked: OrdersQuery) -> Result<Response> {
    let (asked, filter, shares) = asked.parts()?;
    let filter = &filter;
    // The cursors of a list that is not filtered are those that earlier versions gave.
    let list = match &shares {
        None if *filter == OrderFilter::ANY => List::new(at, &of),
        None => List::new(at, &(of, filter)),
        Some(shares) => List::new(at, &(of, filter, shares)),
    };
    let paging = asked.paging(list)?;
    let share_of = match of {
        OrdersOf::Vendor(vendor) => Some(vendor),
        OrdersOf::All | OrdersOf::Cart(_) | OrdersOf::Customer(_) => None,
    };
    let after = paging.after.map(|(at, id)| (at, OrderId::from_uuid(id)));
    // Read before the rows: what they hold may be newer than what is said, never older.
    let as_of = shop.as_of();
    let (queries, limit) = (shop.queries(), paging.to_ask());
    let mut rows = match &shares {
        None => query(settings, queries.orders(of, filter, after, limit)).await?,
        Some(shares) => query(settings, queries.orders_by_share(of, filter, shares, after, limit)).await?,
    };
    if let OrdersOf::Cart(cart) = of {
        still_the_guests(shop, settings, cart, &mut rows).await?;
    }
    let ids: Vec<OrderId> = rows.iter().map(|row| row.id).collect();
    let contacts = query(settings, shop.contacts(&ids)).await?;
    let page = paging.page(
        rows.iter().collect(),
        as_of,
        |row| (row.placed_at, row.id.uuid()),
        |row| OrderBody::of_row(row, contacts.get(&row.id).unwrap_or(&Known::Nothing), share_of),
    );
    Ok(ok(&page))
}

problems!(ListOrdersProblems: AUTH, LISTS, FILTERS);

/// The caller's orders, the newest first; to the staff, everyone's
#[utoipa::path(get, path = "/v1/orders", tag = "orders", security(("bearer" = [])), params(OrdersQuery),
    responses((status = 200, description = "A page of orders.", body = Page<OrderBody>), ListOrdersProblems))]
pub async fn list_orders(
    State(shop): State<Shop>,
    State(settings): State<Arc<Settings>>,
    caller: Caller,
    Query(asked): Query<OrdersQuery>,
) -> Result<Response> {
    let of = match caller.principal {
        Principal::Guest(cart) => OrdersOf::Cart(cart),
        Principal::Customer(customer) => OrdersOf::Customer(customer),
        Principal::Member(member) => OrdersOf::Vendor(member.vendor),
        Principal::Staff(_) => OrdersOf::All,
    };
    listed(&shop, &settings, "/v1/orders", of, asked).await
}

problems!(ListVendorOrdersProblems: AUTH, LISTS, FILTERS; VendorUnknown);

/// A vendor's shares of orders, the newest first
#[utoipa::path(get, path = "/v1/vendors/{vendor}/orders", tag = "vendors", security(("bearer" = [])),
    params(("vendor" = VendorId, Path, description = "The vendor"), OrdersQuery),
    responses((status = 200, description = "A page of orders.", body = Page<OrderBody>), ListVendorOrdersProblems))]
pub async fn list_vendor_orders(
    State(shop): State<Shop>,
    State(settings): State<Arc<Settings>>,
    caller: Caller,
    Id(vendor): Id<VendorId>,
    Query(asked): Query<OrdersQuery>,
) -> Result<Response> {
    may_know_of(caller.principal, Action::SeeVendorOrders, vendor)?;
    listed(&shop, &settings, "/v1/vendors/orders", OrdersOf::Vendor(vendor), asked).await
}
