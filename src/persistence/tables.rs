//! The read tables, each said once. A new column stands here, in its row and in a migration; one that
//! orders are filtered by only in `domain/order/columns.rs` and in a migration.

use super::table::{Cell, Document, Field, table, unknown};
use crate::domain::buyer::{Audience, Exemption, MailKey};
use crate::domain::ids::{
    CartId, CouponId, CustomerId, JobId, OrderId, ProductId, ReturnId, SaleId, ShipmentId, SkuId, SubOrderId, VendorId,
};
use crate::domain::job::{About, JobKind, JobState};
use crate::domain::money::{Currency, Money};
use crate::domain::order::columns::{column, order_columns};
use crate::domain::order::{
    Amounts, Goods, OrderColumns, OrderFilter, PaymentStatus, ReturnStatus, ShipmentStatus, SubOrderStatus,
};
use crate::domain::pricing::BillLine;
use crate::domain::rows::{
    BillRow, CouponRow, CustomerRow, OrderLineRow, OrderRow, ProductRow, ReturnRow, SaleRow, ShipmentRow, SkuRow,
    StockChangeRow, SubOrderRow, VendorRow,
};
use crate::domain::time::Timestamp;
use crate::domain::vendor::{Count, GoodsStatus, SaleTerms, VendorStatus};
use crate::domain::who::ByKind;
use crate::ports::jobs::NewJob;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use uuid::Uuid;

table! {
    VendorRow as "vendors" ("id") of Vendor by "id", row {
        [fixed] id: VendorId = &row.id,
        name: String = &row.name,
        [since 2] status: VendorStatus = &row.status,
    } => VendorRow { VendorRow { id, name, status } }
}

table! {
    CustomerRow as "customers" ("id") of Customer by "id", row {
        [fixed] id: CustomerId = &row.id,
        audience: Audience = &row.group,
        exempt: Option<Exemption> = &row.exempt,
        multiplier: Option<u32> = &row.multiplier,
    } => CustomerRow { CustomerRow { id, group: audience, exempt, multiplier } }
}

table! {
    ProductRow as "products" ("id") of Vendor by "vendor_id", row {
        [fixed] id: ProductId = &row.id,
        [fixed] vendor_id: VendorId = &row.vendor_id,
        title: String = &row.title,
        // For searching.
        title_folded: String = row.title.to_lowercase(),
        description: Option<String> = &row.description,
        category: Option<String> = &row.category,
        [fixed] created_at: Timestamp = &row.created_at,
        sku_ids: Vec<SkuId> = &row.sku_ids,
        [since 2] status: GoodsStatus = &row.status,
        [since 2] price_minor: Option<i64> = row.price.map(|price| price.minor),
        [since 2] currency: Option<String> = row.price.map(|price| price.currency.code().to_owned()),
        [since 2] in_stock: i64 = i64::from(row.in_stock),
        [since 2] words: String = &row.words,
    } => ProductRow {{
        let currency = currency.map(|code| code.parse().map_err(|_| unknown("currency", &code))).transpose()?;
        let price = price_minor.zip(currency).map(|(minor, currency)| Money::new(minor, currency));
        let in_stock = in_stock != 0;
        ProductRow { id, vendor_id, title, description, category, created_at, sku_ids, status, price, in_stock, words }
    }}
}

table! {
    SkuRow as "skus" ("id") of Vendor by "vendor_id", row {
        [fixed] id: SkuId = &row.id,
        [fixed] vendor_id: VendorId = &row.vendor_id,
        [fixed] product_id: ProductId = &row.product_id,
        code: String = &row.code,
        title: String = &row.title,
        price_minor: i64 = &row.price_minor,
        currency: Currency = &row.currency,
        received: i64 = &row.received,
        on_hand: i64 = &row.on_hand,
        held: i64 = &row.held,
        // JSON; most have none.
        terms: Option<String> = row.terms.as_deref().map(|terms| Document::of(terms).0),
        [since 2] status: GoodsStatus = if row.archived { &GoodsStatus::Archived } else { &GoodsStatus::Active },
    } => SkuRow {
        SkuRow {
            id,
            vendor_id,
            product_id,
            code,
            title,
            price_minor,
            currency,
            received,
            on_hand,
            held,
            terms: terms.map(|terms| Document(terms).says()).transpose()?,
            archived: status.is_archived(),
            suspended: false,
        }
    }
}

table! {
    CouponRow as "coupons" ("id") of Coupon by "id", row {
        [fixed] id: CouponId = &row.id,
        [fixed] vendor_id: Option<VendorId> = &row.vendor_id,
        [fixed] created_at: Timestamp = &row.created_at,
        document: String = Document::of(row).0,
    } => CouponRow { {
        let _ = (id, vendor_id, created_at);
        Document(document).says::<CouponRow>()?
    } }
}

/// What nobody filters sales by.
#[derive(Serialize, Deserialize)]
struct SaleDocument<'a> {
    terms: Cow<'a, SaleTerms>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cancelled_at: Option<Timestamp>,
    counts: Cow<'a, [Count]>,
}

impl<'a> SaleDocument<'a> {
    fn new(row: &'a SaleRow) -> Self {
        let SaleRow { terms, cancelled_at, counts, .. } = row;
        Self { terms: Cow::Borrowed(terms), cancelled_at: *cancelled_at, counts: counts.into() }
    }
}

table! {
    SaleRow as "sales" ("id") of Vendor by "vendor_id", row {
        [fixed] id: SaleId = &row.id,
        [fixed] vendor_id: VendorId = &row.vendor_id,
        starts_at: Timestamp = &row.terms.starts_at,
        ends_at: Timestamp = &row.terms.ends_at,
        document: Document = Document::of(&SaleDocument::new(row)),
    } => SaleRow {{
        let SaleDocument { terms, cancelled_at, counts } = document.says()?;
        SaleRow { id, vendor_id, terms: terms.into_owned(), cancelled_at, counts: counts.into_owned() }
    }}
}

/// The table of orders, with the columns that lists are filtered by.
macro_rules! orders {
    ($($(#[doc = $doc:literal])* $([since $since:literal])? $name:ident: $of:ty = $value:expr;)*) => {
        table! {
            OrderRow as "orders" ("id") of Order by "id", row {
                [fixed] id: OrderId = &row.id,
                [fixed] cart_id: CartId = &row.cart_id,
                [fixed] attempt: u32 = &row.attempt,
                customer_id: Option<CustomerId> = &row.customer_id,
                [fixed] mail_key: Option<MailKey> = &row.mail_key,
                $($([since $since])? $name: column!(type $of $(, $since)?) = &row.columns.$name,)*
                [fixed] currency: Currency = &row.currency,
                total: i64 = &row.amounts.total,
                credited: i64 = &row.amounts.credited,
                rounding: i64 = &row.amounts.rounding,
                paid: i64 = &row.amounts.paid,
                refunded: i64 = &row.amounts.refunded,
                total_due: i64 = &row.amounts.total_due,
                refund_due: i64 = &row.amounts.refund_due,
                [fixed] placed_at: Timestamp = &row.placed_at,
                payment_due_at: Timestamp = &row.payment_due_at,
                payment_method: String = &row.payment_method,
                payment_status: PaymentStatus = &row.payment_status,
                [since 2] outside: Option<i64> = &row.outside,
                points_pending: Option<i64> = &row.points_pending,
                document: Document = Document::of(&OrderDocument::new(row)),
            } => OrderRow {
                {
                let OrderDocument { lines, bill } = document.says()?;
                let bill = bill.map(|bill| Box::new(bill.into_owned()));
                OrderRow {
                    id,
                    cart_id,
                    attempt,
                    customer_id,
                    mail_key,
                    columns: OrderColumns { $($name),* },
                    currency,
                    amounts: Amounts { total, credited, rounding, paid, refunded, total_due, refund_due },
                    placed_at,
                    payment_due_at,
                    payment_method,
                    payment_status,
                    outside,
                    points_pending,
                    bill,
                    lines: lines.into_iter().map(Line::row).collect(),
                    // These are rows of their own.
                    sub_orders: Vec::new(),
                    shipments: Vec::new(),
                    returns: Vec::new(),
                }
                }
            }
        }

        /// What a filter asks for, in which columns.
        pub(super) fn filtered_by(filter: &OrderFilter) -> Vec<(&'static str, Cell<'_>)> {
            let mut asked = Vec::new();
            $(if let Some(value) = &filter.$name {
                asked.push((stringify!($name), value.cell()));
            })*
            asked
        }
    };
}
order_columns!(orders);

/// A vendor's share of an order, on its way into its row.
pub(super) struct ShareOf<'a> {
    pub(super) order: &'a OrderRow,
    /// Its place within the order, from 0.
    pub(super) position: i64,
    pub(super) share: &'a SubOrderRow,
}

impl<'a> ShareOf<'a> {
    pub(super) fn all(order: &'a OrderRow) -> impl Iterator<Item = Self> {
        (0..).zip(&order.sub_orders).map(move |(position, share)| Self { order, position, share })
    }
}

table! {
    ShareOf<'_> as "sub_orders" ("id") of Order by "order_id", row {
        [fixed] id: SubOrderId = &row.share.id,
        [fixed] order_id: OrderId = &row.order.id,
        [fixed] vendor_id: VendorId = &row.share.vendor_id,
        [fixed] position: i64 = &row.position,
        status: SubOrderStatus = &row.share.status,
        [fixed] currency: Currency = &row.order.currency,
        total: i64 = &row.share.amounts.total,
        credited: i64 = &row.share.amounts.credited,
        rounding: i64 = &row.share.amounts.rounding,
        paid: i64 = &row.share.amounts.paid,
        refunded: i64 = &row.share.amounts.refunded,
        total_due: i64 = &row.share.amounts.total_due,
        refund_due: i64 = &row.share.amounts.refund_due,
        [fixed] placed_at: Timestamp = &row.order.placed_at,
        [since 2] to_pack: Option<i64> = &row.share.to_pack,
        [since 2] overdue_since: Option<i64> = &row.share.overdue_since,
    } => (OrderId, SubOrderRow) {
        (order_id, SubOrderRow {
            id,
            vendor_id,
            status,
            amounts: Amounts { total, credited, rounding, paid, refunded, total_due, refund_due },
            to_pack,
            overdue_since,
        })
    }
}

/// A parcel of an order, on its way into its row.
pub(super) struct ParcelOf<'a> {
    order: &'a OrderRow,
    row: &'a ShipmentRow,
    cash_open: Option<i64>,
}

impl<'a> ParcelOf<'a> {
    pub(super) fn all(order: &'a OrderRow) -> impl Iterator<Item = Self> {
        order.shipments.iter().map(move |row| Self { order, row, cash_open: row.parcel.cash_open() })
    }
}

table! {
    ParcelOf<'_> as "shipments" ("id") of Order by "order_id", row {
        [fixed] id: ShipmentId = &row.row.parcel.id,
        [fixed] order_id: OrderId = &row.order.id,
        [fixed since 2] vendor_id: VendorId = &row.row.parcel.vendor,
        [since 2] status: ShipmentStatus = &row.row.parcel.status,
        [fixed] placed_at: Timestamp = &row.order.placed_at,
        [fixed] made_at: Timestamp = &row.row.made_at,
        [fixed] currency: Currency = &row.row.currency,
        [fixed] courier: String = row.row.parcel.courier.to_string(),
        tracking_number: Option<String> = row.row.parcel.tracking_number.as_deref().map(ToOwned::to_owned),
        cash_open: Option<i64> = &row.cash_open,
        document: Document = Document::of(&row.row.parcel),
    } => (OrderId, ShipmentRow) {{
        let _ = (id, vendor_id, status, placed_at, courier, tracking_number, cash_open);
        (order_id, ShipmentRow { made_at, currency, parcel: document.says()? })
    }}
}

/// What is sent back of an order, on its way into its row.
pub(super) struct ReturnOf<'a> {
    order: &'a OrderRow,
    row: &'a ReturnRow,
}

impl<'a> ReturnOf<'a> {
    pub(super) fn all(order: &'a OrderRow) -> impl Iterator<Item = Self> {
        order.returns.iter().map(move |row| Self { order, row })
    }
}

table! {
    ReturnOf<'_> as "returns" ("id") of Order by "order_id", row {
        [fixed] id: ReturnId = &row.row.known.id,
        [fixed] order_id: OrderId = &row.order.id,
        [fixed since 2] vendor_id: VendorId = &row.row.known.vendor,
        [since 2] status: ReturnStatus = &row.row.known.status,
        [fixed] placed_at: Timestamp = &row.order.placed_at,
        [fixed] made_at: Timestamp = &row.row.made_at,
        document: Document = Document::of(&row.row.known),
    } => (OrderId, ReturnRow) {{
        let _ = (id, vendor_id, status, placed_at);
        (order_id, ReturnRow { made_at, known: document.says()? })
    }}
}

table! {
    /// Written as a job that is due; how it goes on is no upsert's business.
    NewJob as "jobs" ("id"), row {
        [fixed] id: JobId = &row.id,
        [fixed] kind: JobKind = &row.kind,
        [fixed] target: String = row.kind.target().name().to_owned(),
        [fixed] state: String = JobState::Due.name().to_owned(),
        [fixed] about_kind: String = row.about.kind_name().to_owned(),
        [fixed] about: Uuid = row.about.uuid(),
        [fixed] tries: i64 = 0,
        [fixed] made_at: Timestamp = &row.at,
        [fixed] next_at: Timestamp = &row.at,
    } => NewJob {
        NewJob {
            id,
            kind,
            about: About::from_parts(&about_kind, about).ok_or_else(|| unknown("kind", &about_kind))?,
            version: 0,
            at: made_at,
        }
    }
}

table! {
    StockChangeRow as "stock_changes" ("vendor_id, version, position"), row {
        [fixed] vendor_id: VendorId = &row.vendor_id,
        [fixed] position: u32 = &row.position,
        [fixed] sku_id: SkuId = &row.sku_id,
        [fixed] at: Timestamp = &row.at,
        [fixed] delta: i64 = &row.delta,
        [fixed] reason: String = &row.reason,
        [fixed] by_kind: Option<ByKind> = &row.by,
        [fixed] order_id: Option<OrderId> = &row.order_id,
    } => StockChangeRow {
        // The version is read beside the columns, as that of any row.
        StockChangeRow { vendor_id, version: 0, position, sku_id, at, delta, reason, by: by_kind, order_id }
    }
}

/// What of an order nobody filters by.
#[derive(Serialize, Deserialize)]
struct OrderDocument<'a> {
    #[serde(default)]
    lines: Vec<Line<'a>>,
    /// Its bill beside its lines, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    bill: Option<Cow<'a, BillRow>>,
}

impl<'a> OrderDocument<'a> {
    fn new(row: &'a OrderRow) -> Self {
        let bill = row.bill.as_deref().map(Cow::Borrowed);
        Self { lines: row.lines.iter().map(Line::new).collect(), bill }
    }
}

/// A line of an order. Its ids are those of the tables' columns, so that it can be joined with them.
#[derive(Serialize, Deserialize)]
struct Line<'a> {
    sku: Uuid,
    vendor: Uuid,
    title: Cow<'a, str>,
    quantity: i64,
    unit_price: i64,
    line_total: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    list_price: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sale: Option<Uuid>,
    #[serde(default, skip_serializing_if = "is_zero")]
    credited: i64,
    #[serde(default, skip_serializing_if = "is_zero")]
    credited_amount: i64,
    /// What it comes to by the order's bill, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    billed: Option<Cow<'a, BillLine>>,
    /// Where its units are, once one of them was packed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    goods: Option<Cow<'a, Goods>>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
fn is_zero(number: &i64) -> bool {
    *number == 0
}

impl<'a> Line<'a> {
    fn new(row: &'a OrderLineRow) -> Self {
        let OrderLineRow { sku_id, vendor_id, title, quantity, unit_price, line_total, .. } = row;
        let OrderLineRow { list_price, sale_id, credited, credited_amount, billed, .. } = row;
        Self {
            sku: sku_id.uuid(),
            vendor: vendor_id.uuid(),
            title: title.as_str().into(),
            quantity: *quantity,
            unit_price: *unit_price,
            line_total: *line_total,
            list_price: *list_price,
            sale: sale_id.map(|sale| sale.uuid()),
            credited: *credited,
            credited_amount: *credited_amount,
            billed: billed.as_deref().map(Cow::Borrowed),
            goods: row.goods.as_deref().map(Cow::Borrowed),
        }
    }

    fn row(self) -> OrderLineRow {
        OrderLineRow {
            sku_id: SkuId::from_uuid(self.sku),
            vendor_id: VendorId::from_uuid(self.vendor),
            title: self.title.into_owned(),
            quantity: self.quantity,
            unit_price: self.unit_price,
            line_total: self.line_total,
            list_price: self.list_price,
            sale_id: self.sale.map(SaleId::from_uuid),
            credited: self.credited,
            credited_amount: self.credited_amount,
            billed: self.billed.map(|billed| Box::new(billed.into_owned())),
            goods: self.goods.map(|goods| Box::new(goods.into_owned())),
        }
    }
}
