//! Quotes: what a cart would come to.

use crate::actors::shop::Shop;
use crate::checkout::quotes::{QuoteAsked, Quoted};
use crate::domain::buyer::Buyer;
use crate::domain::ids::{CartId, SaleId, ShippingMethodId, SkuId, VendorId};
use crate::domain::money::Money;
use crate::domain::order::PlacedCoupon;
use crate::domain::pricing::{BillLine, BillShare};
use crate::domain::reject::Reject;
use crate::domain::text::TextKind;
use crate::http::Settings;
use crate::http::answer::ok;
use crate::http::bills::{LineBillBody, Shown, SumsBody};
use crate::http::caller::Caller;
use crate::http::carts::CartCouponBody;
use crate::http::checkout::{AddressInput, Choices, SHIPPING, chosen, wanted_points};
use crate::http::error::{self, INVALID_BODY, Problem, Result};
use crate::http::extract::{Id, JsonBody};
use crate::http::money::{Moment, MoneyBody};
use crate::http::object::only_objects;
use crate::http::openapi::{ACTOR, AUTH, BODY, problems};
use crate::http::services::Services;
use crate::http::valid::{Faults, Whole};
use crate::limits;
use axum::extract::State;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;

/// What a buyer asks to be quoted.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(remote = "Self", deny_unknown_fields)]
#[schema(example = json!({"shipping_address": {
    "name": "Rahim Uddin", "line1": "12 Mirpur Road", "city": "Dhaka", "postcode": "1205", "country": "BD"
}}))]
pub struct QuoteInput {
    /// Where to ship to.
    shipping_address: AddressInput,
    /// For vendors, the method by which they are to ship; of others, the cheapest.
    shipping: Option<Choices>,
    /// How it is to be paid.
    #[schema(min_length = 1, max_length = 200, pattern = r"^[^\u0000-\u001f\u007f-\u009f]*$", example = "sandbox")]
    payment_method: Option<String>,
    /// With how many points to pay, at most. Whether the buyer has so many is not looked at.
    #[schema(value_type = Option<i64>, minimum = 0, maximum = 1_000_000_000_000_i64)]
    points: Option<Whole>,
}

only_objects!(QuoteInput);

impl QuoteInput {
    fn checked(self) -> Result<QuoteAsked> {
        let mut faults = Faults::default();
        let address = self.shipping_address.checked(&mut faults, &SHIPPING);
        let shipping = chosen(&mut faults, self.shipping);
        if let Some(method) = &self.payment_method {
            if method.is_empty() {
                faults.add("payment_method", "it must not be empty");
            }
            faults.opaque("payment_method", method, TextKind::Code, limits::SHORT_TEXT);
        }
        let points = wanted_points(&mut faults, self.points);
        faults.done(&INVALID_BODY)?;
        Ok(QuoteAsked { to: Buyer { ..address.buyer() }, shipping, points, method: self.payment_method })
    }
}

/// A line of a quote.
#[derive(Debug, Serialize, ToSchema)]
pub struct QuoteLineBody<'a> {
    sku_id: SkuId,
    vendor_id: VendorId,
    #[schema(example = "Jamdani saree")]
    title: &'a str,
    quantity: i64,
    unit_price: MoneyBody,
    list_price: MoneyBody,
    line_total: MoneyBody,
    /// The sale whose price that is.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = json!(null))]
    sale_id: Option<SaleId>,
    #[serde(flatten)]
    bill: LineBillBody<'a>,
}

/// A way in which a vendor would ship.
#[derive(Debug, Serialize, ToSchema)]
pub struct OfferBody<'a> {
    id: ShippingMethodId,
    #[schema(example = "Courier")]
    name: &'a str,
    price: MoneyBody,
    /// How many days it takes, at least and at most.
    days: [u32; 2],
    /// Whether it may be paid on delivery.
    cod: bool,
    /// What that costs besides.
    #[serde(skip_serializing_if = "Option::is_none")]
    cod_fee: Option<MoneyBody>,
}

/// A vendor's share of a quote.
#[derive(Debug, Serialize, ToSchema)]
pub struct QuoteShareBody<'a> {
    vendor_id: VendorId,
    /// How it could be shipped.
    shipping_methods: Vec<OfferBody<'a>>,
    /// How it is shipped, where its vendor has methods of shipping.
    #[serde(skip_serializing_if = "Option::is_none")]
    shipping_method_id: Option<ShippingMethodId>,
    #[serde(flatten)]
    sums: SumsBody,
    total: MoneyBody,
}

/// What a cart would come to.
#[derive(Debug, Serialize, ToSchema)]
pub struct QuoteBody<'a> {
    /// What a checkout may name, to agree to this total.
    quote_id: String,
    /// Until when it may.
    expires_at: Moment,
    lines: Vec<QuoteLineBody<'a>>,
    sub_orders: Vec<QuoteShareBody<'a>>,
    /// The cart's coupons. Those that do not apply say why, and are not in the sums: a checkout with one is refused.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    coupons: Vec<CartCouponBody<'a>>,
    #[serde(flatten)]
    sums: SumsBody,
    /// Whether taxes are in the prices, or come on top.
    prices_include_tax: bool,
    /// What points pay of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    points: Option<QuotePointsBody>,
    /// How many points it earns, of a customer's cart in a shop that has a programme.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = 25)]
    earns_points: Option<i64>,
    /// What is to be paid with money.
    total: MoneyBody,
}

/// What points pay of a quote.
#[derive(Debug, Serialize, ToSchema)]
pub struct QuotePointsBody {
    /// How many are spent: what was asked for, or what there is to pay.
    #[schema(example = 500)]
    spent: i64,
    value: MoneyBody,
}

fn totals(line: &BillLine) -> (i64, Option<&BillLine>) {
    (line.total, Some(line))
}

impl<'a> QuoteBody<'a> {
    fn new(quoted: &'a Quoted, quote_id: String) -> Self {
        let Quoted { cart, list_prices, bill, coupons, offers, points, earns, quote } = quoted;
        let money = |minor| MoneyBody(Money::new(minor, cart.currency));
        let included = bill.prices_include_tax;
        let shown = Shown { codes: &bill.codes, prices_include_tax: included, currency: cart.currency };
        let rates = |vendor| {
            let share = bill.shares.iter().find(|share| share.vendor == vendor);
            share.map_or(&[][..], |share| &share.tax_groups)
        };
        let lines = cart.lines.iter().zip(&bill.lines).zip(list_prices);
        let lines = lines.map(|((line, billed), list)| QuoteLineBody {
            sku_id: line.sku,
            vendor_id: line.vendor,
            title: &line.title,
            quantity: line.quantity,
            unit_price: money(line.unit_price),
            list_price: money(*list),
            line_total: money(billed.total),
            sale_id: line.sale,
            bill: shown.line(billed.total, Some(billed), rates(line.vendor)),
        });
        let share = |(share, offered): (&'a BillShare, &'a Vec<_>)| QuoteShareBody {
            vendor_id: share.vendor,
            shipping_methods: offered.iter().map(|(method, price)| offer(method, money(*price))).collect(),
            shipping_method_id: share.method,
            sums: SumsBody::new(
                bill.lines.iter().filter(|line| line.vendor == share.vendor).map(totals),
                std::iter::once(share),
                cart.currency,
            ),
            total: money(share.total),
        };
        let coupon = |(coupon, takes): (&'a PlacedCoupon, &'a std::result::Result<i64, Reject>)| {
            CartCouponBody::new(coupon, takes.as_ref().map(|amount| money(*amount)), money(0))
        };
        Self {
            quote_id,
            expires_at: Moment(quote.expires_at),
            lines: lines.collect(),
            sub_orders: bill.shares.iter().zip(offers).map(share).collect(),
            coupons: cart.coupons.iter().zip(coupons).map(coupon).collect(),
            sums: SumsBody::new(bill.lines.iter().map(totals), bill.shares.iter(), cart.currency),
            prices_include_tax: included,
            points: (*points > 0).then(|| QuotePointsBody { spent: *points, value: money(bill.points()) }),
            earns_points: *earns,
            total: money(bill.total()),
        }
    }
}

fn offer(method: &crate::domain::pricing::ShippingMethod, price: MoneyBody) -> OfferBody<'_> {
    OfferBody {
        id: method.id,
        name: &method.name,
        price,
        days: method.days,
        cod: method.cod,
        cod_fee: method.cod_fee.map(MoneyBody),
    }
}

problems!(QuoteProblems: AUTH, BODY, ACTOR;
    CartUnknown, CartEmpty, CodNotAvailable, AddressNotServed, AmountTooLarge, AccountRequired, CurrencyMismatch,
    PointsInsufficient,
);

/// What a cart would come to
///
/// Nothing is held or written, and neither stock nor limits are looked at. A checkout that names the quote agrees to its total. A coupon that does
/// not apply refuses no quote, as it would the checkout: it stands in `coupons`, with why, and the sums are without it.
#[utoipa::path(post, path = "/v1/carts/{cart}/quote", tag = "carts", security(("bearer" = [])),
    params(("cart" = CartId, Path, description = "The cart")), request_body = QuoteInput,
    responses((status = 200, description = "What it comes to.", body = QuoteBody), QuoteProblems))]
pub async fn quote_cart(
    State(shop): State<Shop>,
    State(services): State<Services>,
    State(settings): State<Arc<Settings>>,
    caller: Caller,
    Id(cart): Id<CartId>,
    body: JsonBody<QuoteInput>,
) -> Result<Response> {
    let asked = body.value.checked()?;
    shop.catalog()?;
    let quoted = shop.quote(caller.principal, cart, asked, settings.request_timeout).await??;
    let sealed = services.quotes.seal(&quoted.quote);
    let quote_id = sealed.ok_or_else(|| Problem::new(&error::INTERNAL, "the quote could not be signed"))?;
    Ok(ok(&QuoteBody::new(&quoted, quote_id)))
}
