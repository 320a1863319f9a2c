//! Carts: made by anyone, changed by their owner alone.

use crate::actors::catalog::CatalogCache;
use crate::actors::shop::{Ask, Shop};
use crate::checkout::buyers::BuyerKeys;
use crate::checkout::{MergedCart, OpenedCart};
use crate::domain::cart::{Cart, CartCommand, CartLine, CartReply, CartStatus, CartView, LeftOut, Today, audience_of};
use crate::domain::coupon::CouponCode;
use crate::domain::entity::{Owner, Principal};
use crate::domain::ids::{CartId, CouponId, CustomerId, OrderId, SaleId, SkuId, VendorId};
use crate::domain::knowledge::{Availability as _, Offered};
use crate::domain::money::Money;
use crate::domain::order::PlacedCoupon;
use crate::domain::record::IdempotencyKey;
use crate::domain::reject::Reject;
use crate::domain::time::Timestamp;
use crate::http::Settings;
use crate::http::answer::{ask, json, mark_replayed, ok, unexpected};
use crate::http::auth::{Auth, Bearer, GUEST_TOKEN_TTL};
use crate::http::caller::Caller;
use crate::http::error::{self, IDEMPOTENCY_KEY_NEEDS_BEARER, Problem, Result};
use crate::http::extract::{Id, Ids, JsonBody, OptionalJson, parse_id};
use crate::http::idempotency::{IdempotencyHeader, Mint, RequestKey};
use crate::http::money::MoneyBody;
use crate::http::object::only_objects;
use crate::http::openapi::{ACTOR, AUTH, BODY, KEYED, problems};
use crate::http::rates::{AskedFrom, Rates};
use crate::http::rooms;
use crate::http::services::Services;
use crate::limits;
use axum::extract::State;
use axum::response::Response;
use http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;

/// Nothing.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(remote = "Self", deny_unknown_fields)]
#[schema(example = json!({}))]
pub struct Nothing {}

/// How many pieces.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(remote = "Self", deny_unknown_fields)]
#[schema(example = json!({"quantity": 2}))]
pub struct LineInput {
    /// Pieces; 0 takes the line out of the cart.
    #[schema(minimum = 0, maximum = 10_000)]
    #[serde(deserialize_with = "crate::http::valid::whole")]
    quantity: i64,
}

/// A guest's cart, and the bearer that shows whose it is.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(remote = "Self", deny_unknown_fields)]
#[schema(example = json!({"from": "cart_01h2xcejqtf2nbrexx3vqjhp41", "token": "eyJhbGciOiJIUzI1NiJ9.e30.c2lnbmVk"}))]
pub struct MergeInput {
    /// The guest's cart.
    #[schema(pattern = "^cart_[0-7][0-9a-hjkmnp-tv-z]{25}$")]
    from: String,
    /// The guest's bearer, as the answer gave it that made the cart.
    #[schema(min_length = 1)]
    token: String,
}

only_objects!(Nothing, LineInput, MergeInput);

/// A cart.
#[derive(Debug, Serialize, ToSchema)]
pub struct CartBody<'a> {
    id: CartId,
    status: CartStatus,
    lines: Vec<CartLineBody<'a>>,
    subtotal: MoneyBody,
    /// Its coupons, in the order in which their codes were put there. A preview: the order judges them anew.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    coupons: Vec<CartCouponBody<'a>>,
    /// What they take off together.
    #[serde(skip_serializing_if = "Option::is_none")]
    discount: Option<MoneyBody>,
    /// What the goods come to after that. In the answer to a PUT, POST or DELETE that is what is agreed to.
    #[serde(skip_serializing_if = "Option::is_none")]
    total: Option<MoneyBody>,
    /// What costs something else today than was agreed to. In the answer to a GET alone: an answer to a change is what
    /// is agreed to.
    #[serde(skip_serializing_if = "Option::is_none")]
    changed: Option<Vec<ChangedPriceBody>>,
    /// Its order that is live or paid.
    #[serde(skip_serializing_if = "Option::is_none")]
    order_id: Option<OrderId>,
    /// What did not fit of the cart that was merged into this one. Only in the answer to a merge.
    #[serde(skip_serializing_if = "Option::is_none")]
    left_out: Option<Vec<LeftOutBody>>,
    /// The guest's bearer, for this cart and all its orders. Only in the answer that made the cart.
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<String>,
}

/// A coupon of a cart or of a quote.
#[derive(Debug, Serialize, ToSchema)]
pub struct CartCouponBody<'a> {
    #[schema(example = "EID10")]
    code: &'a str,
    /// What it takes off.
    discount: MoneyBody,
    /// Whether it applies at the checkout: what free shipping takes off shows once it is known where to ship, in a quote or the order.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[schema(required = false)]
    at_checkout: bool,
    /// Why it cannot be used now: the code that the checkout would be refused with.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "coupon_not_applicable")]
    refused: Option<&'static str>,
    /// Why it is not applicable.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "min_subtotal")]
    why: Option<&'static str>,
}

/// A line of a cart.
#[derive(Debug, Serialize, ToSchema)]
pub struct CartLineBody<'a> {
    sku_id: SkuId,
    vendor_id: VendorId,
    #[schema(example = "Jamdani saree")]
    title: &'a str,
    quantity: i64,
    unit_price: MoneyBody,
    line_total: MoneyBody,
    /// The sale whose price that is.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = json!(null))]
    sale_id: Option<SaleId>,
    /// From how many pieces on each costs less than now. Only of an open cart.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_break: Option<NextBreakBody>,
}

/// From how many pieces on each costs less.
#[derive(Debug, Serialize, ToSchema)]
pub struct NextBreakBody {
    /// So many pieces: of the SKU, or of its product where those count together.
    #[schema(example = 10)]
    at: i64,
    /// What each costs then.
    price: MoneyBody,
}

/// A price that has changed since the buyer agreed to it.
#[derive(Debug, Serialize, ToSchema)]
pub struct ChangedPriceBody {
    sku_id: SkuId,
    /// What was agreed to.
    from: MoneyBody,
    /// What it is today.
    to: MoneyBody,
}

/// Pieces that could not be merged.
#[derive(Debug, Serialize, ToSchema)]
pub struct LeftOutBody {
    sku_id: SkuId,
    quantity: i64,
    /// Why: the code that putting them into the cart would be refused with.
    #[schema(example = "quantity_out_of_range")]
    why: &'static str,
}

impl<'a> CartBody<'a> {
    fn new(cart: &'a CartView, known: &CatalogCache, settings: &Settings, token: Option<String>) -> Self {
        // What is empty has no price in any currency: also a cart that was emptied has the shop's.
        let currency = if cart.lines.is_empty() { settings.currency } else { cart.currency };
        let money = |minor| MoneyBody(Money::new(minor, currency));
        // What breaks there are does not depend on the time.
        let today = Today::new(known, audience_of(Some(cart.owner), known), &cart.lines, Timestamp::default());
        let next_break = |line: &CartLine| {
            let rung = today.next_break(line).filter(|_| cart.status == CartStatus::Open)?;
            Some(NextBreakBody { at: rung.min_quantity, price: money(rung.price_minor) })
        };
        let line = |line: &'a CartLine| CartLineBody {
            sku_id: line.sku,
            vendor_id: line.vendor,
            title: &line.title,
            quantity: line.quantity,
            unit_price: money(line.unit_price),
            line_total: money(line.total()),
            sale_id: line.sale,
            next_break: next_break(line),
        };
        Self {
            id: cart.id,
            status: cart.status,
            lines: cart.lines.iter().map(line).collect(),
            subtotal: money(cart.subtotal()),
            coupons: Vec::new(),
            discount: None,
            total: None,
            changed: None,
            order_id: cart.order,
            left_out: None,
            token,
        }
    }
}

impl<'a> CartBody<'a> {
    /// With what its coupons take off its lines as they are shown.
    fn with_coupons(mut self, cart: &'a CartView, shop: &Shop) -> Result<Self> {
        if cart.coupons.is_empty() {
            return Ok(self);
        }
        let money = |minor| MoneyBody(Money::new(minor, cart.currency));
        let mut discount = 0i64;
        let previews = cart.preview(shop.catalog_as_known(), shop.clock().now());
        for (coupon, preview) in cart.coupons.iter().zip(&previews) {
            let amount = preview.as_ref().map_or(0, |amount| amount.unwrap_or(0));
            discount = discount.saturating_add(amount);
            let body = CartCouponBody::new(coupon, preview.as_ref().map(|_| money(amount)), money(0));
            self.coupons.push(CartCouponBody { at_checkout: matches!(preview, Ok(None)), ..body });
        }
        self.discount = Some(money(discount));
        self.total = Some(money(cart.subtotal().saturating_sub(discount)));
        Ok(self)
    }
}

impl<'a> CartCouponBody<'a> {
    /// A coupon with what it takes off, or why it takes off nothing.
    pub(super) fn new(
        coupon: &'a PlacedCoupon,
        takes: std::result::Result<MoneyBody, &Reject>,
        nothing: MoneyBody,
    ) -> Self {
        let refused = takes.as_ref().err().copied();
        let why = match refused {
            Some(Reject::CouponNotApplicable { why, .. }) => Some(why.name()),
            _ => None,
        };
        let discount = takes.unwrap_or(nothing);
        Self { code: coupon.code.as_str(), discount, at_checkout: false, refused: refused.map(Reject::code), why }
    }
}

async fn ask_cart(shop: &Shop, id: CartId, command: CartCommand, how: Ask) -> Result<(Box<CartView>, bool)> {
    match ask::<Cart>(shop, id, command, how).await? {
        (CartReply::Cart { cart }, replayed) => Ok((cart, replayed)),
        (other, _) => Err(unexpected(&other)),
    }
}

fn unkeyed(settings: &Settings) -> Ask {
    Ask { within: settings.request_timeout, key: None, fresh: false }
}

problems!(CreateCartProblems: BODY, ACTOR, &[
    &error::UNAUTHORIZED, &error::IDEMPOTENCY_KEY_INVALID, &IDEMPOTENCY_KEY_NEEDS_BEARER,
]; CartUnknown, IdempotencyKeyReused, TooMany, CommandPoisoned);

/// Make a cart
///
/// With a customer's bearer it is the customer's one open cart, made where there is none. Everyone else gets a guest's
/// cart, with its token.
#[utoipa::path(post, path = "/v1/carts", tag = "carts", security((), ("bearer" = [])), params(IdempotencyHeader),
    request_body = Nothing,
    responses((status = 201, description = "The cart.", body = CartBody),
        (status = 200, description = "The customer's open cart, which was there.", body = CartBody),
        CreateCartProblems))]
pub async fn create_cart(
    State(shop): State<Shop>,
    State(settings): State<Arc<Settings>>,
    State(auth): State<Arc<Auth>>,
    caller: Option<Caller>,
    key: RequestKey,
    body: OptionalJson<Nothing>,
) -> Result<Response> {
    let key = match &caller {
        Some(caller) => key.of(caller, &body.raw),
        None if key.is_present() => {
            let detail = "without a bearer there is nobody whose key it could be";
            return Err(Problem::new(&IDEMPOTENCY_KEY_NEEDS_BEARER, detail));
        }
        None => None,
    };
    let customer = caller.and_then(|caller| match caller.principal {
        Principal::Customer(customer) => Some(customer),
        _ => None,
    });
    let mint = Mint::new(shop.clock(), key);
    if let Some(customer) = customer {
        let minted = key.map(|key| (key, CartId::from_uuid(mint.uuid(CartId::PREFIX, 0))));
        return open_cart(&shop, &settings, customer, minted).await;
    }
    let id = CartId::from_uuid(mint.uuid(CartId::PREFIX, 0));
    let how = Ask { within: settings.request_timeout, key, fresh: mint.is_fresh() };
    let create = CartCommand::Create { owner: Owner::Guest, currency: settings.currency };
    let (cart, replayed) = ask_cart(&shop, id, create, how).await?;
    let token = auth.mint(&Bearer::Guest(id), shop.clock().wall(), GUEST_TOKEN_TTL).map_err(|error| {
        tracing::error!(%error, "no guest token");
        Problem::new(&error::INTERNAL, "the guest's token could not be made")
    })?;
    let body = CartBody::new(&cart, shop.catalog_as_known(), &settings, Some(token));
    Ok(mark_replayed(json(StatusCode::CREATED, &body), replayed))
}

/// The customer's own cart. With the key comes the cart that an early version made under it, and kept its answer with.
async fn open_cart(
    shop: &Shop,
    settings: &Settings,
    customer: CustomerId,
    keyed: Option<(IdempotencyKey, CartId)>,
) -> Result<Response> {
    let (within, key) = (settings.request_timeout, keyed.map(|(key, _)| key));
    if let Some((_, cart)) = keyed {
        let get = CartCommand::Get { by: Principal::Customer(customer) };
        let kept = shop.ask::<Cart>(cart, get, Ask { within, key, fresh: false }).await?;
        match kept.outcome {
            Ok(CartReply::Cart { cart }) if kept.replayed => {
                let body = CartBody::new(&cart, shop.catalog_as_known(), settings, None);
                return Ok(mark_replayed(json(StatusCode::CREATED, &body), true));
            }
            // It was made under this key, whose day is over: the key makes nothing any more.
            Ok(CartReply::Cart { .. }) => return Err(Reject::IdempotencyKeyReused.into()),
            Err(Reject::IdempotencyKeyReused) => return Err(Reject::IdempotencyKeyReused.into()),
            _ => {}
        }
    }
    let OpenedCart { outcome, made, replayed } = shop.open_cart(customer, settings.currency, within, key).await?;
    let cart = outcome.map_err(|reject| Problem::from(reject).replayed(replayed))?;
    let status = if made { StatusCode::CREATED } else { StatusCode::OK };
    Ok(mark_replayed(json(status, &CartBody::new(&cart, shop.catalog_as_known(), settings, None)), replayed))
}

problems!(GetCartProblems: AUTH, ACTOR; CartUnknown);

/// A cart, with today's prices while it is open
///
/// `changed` tells which of them are not those that were agreed to. To look is not to agree: without `expected_total` a
/// checkout is about what the last answer to a PUT, POST or DELETE of the cart showed.
#[utoipa::path(get, path = "/v1/carts/{cart}", tag = "carts", security(("bearer" = [])),
    params(("cart" = CartId, Path, description = "The cart")),
    responses((status = 200, description = "The cart.", body = CartBody), GetCartProblems))]
pub async fn get_cart(
    State(shop): State<Shop>,
    State(settings): State<Arc<Settings>>,
    caller: Caller,
    Id(id): Id<CartId>,
) -> Result<Response> {
    let by = caller.principal;
    let (mut cart, _) = ask_cart(&shop, id, CartCommand::Get { by }, unkeyed(&settings)).await?;
    let now = shop.clock().now();
    let changed = take_todays_prices(shop.catalog()?, &mut cart, now);
    let body = CartBody::new(&cart, shop.catalog_as_known(), &settings, None).with_coupons(&cart, &shop)?;
    Ok(ok(&CartBody { changed: Some(changed), ..body }))
}

/// Gives the lines of an open cart today's prices, for this answer alone, and tells which were others.
fn take_todays_prices(directory: &CatalogCache, cart: &mut CartView, now: Timestamp) -> Vec<ChangedPriceBody> {
    let mut changed = Vec::new();
    if cart.status != CartStatus::Open {
        return changed;
    }
    let today = Today::new(directory, audience_of(Some(cart.owner), directory), &cart.lines, now);
    let prices: Vec<Option<Offered>> = cart.lines.iter().map(|line| today.price(line)).collect();
    for (line, today) in cart.lines.iter_mut().zip(prices) {
        let Some(Offered { price: to, sale, .. }) = today.filter(|today| today.price.currency == cart.currency) else {
            continue;
        };
        line.sale = sale;
        if to.minor != line.unit_price {
            let from = Money::new(std::mem::replace(&mut line.unit_price, to.minor), cart.currency);
            changed.push(ChangedPriceBody { sku_id: line.sku, from: MoneyBody(from), to: MoneyBody(to) });
        }
    }
    changed
}

problems!(SetLineProblems: AUTH, BODY, ACTOR, &[&error::ENTRY_INVALID];
    CartUnknown, SkuUnknown, SkuUnavailable, EntryRequired, CartCheckingOut, CartCheckedOut, CartMerged, CurrencyMismatch, TooManyLines,
    QuantityStep, QuantityOutOfRange, CommandPoisoned,
);

/// Put pieces of a SKU into the cart, whatever was there of it
#[utoipa::path(put, path = "/v1/carts/{cart}/lines/{sku}", tag = "carts", security(("bearer" = [])),
    params(("cart" = CartId, Path, description = "The cart"), ("sku" = SkuId, Path, description = "The SKU")),
    request_body = LineInput,
    responses((status = 200, description = "The cart.", body = CartBody), SetLineProblems))]
pub async fn set_line(
    State(shop): State<Shop>,
    State(settings): State<Arc<Settings>>,
    State(services): State<Services>,
    caller: Caller,
    Ids(id, sku): Ids<CartId, SkuId>,
    headers: HeaderMap,
    body: JsonBody<LineInput>,
) -> Result<Response> {
    let (by, quantity) = (caller.principal, body.value.quantity);
    if !(0..=limits::LINE_QUANTITY).contains(&quantity) {
        return Err(Reject::QuantityOutOfRange { limit: limits::LINE_QUANTITY, sku_id: None }.into());
    }
    let command = if quantity == 0 {
        CartCommand::RemoveLine { by, sku }
    } else {
        let listing = shop.catalog()?.sku(sku, shop.clock().now()).ok_or(Reject::SkuUnknown)?;
        if let Some(room_id) = listing.sale.as_ref().and_then(|(sale, _)| sale.terms.room)
            && !rooms::entries(&headers, &services.rooms, &caller, shop.clock().now())?
                .iter()
                .any(|entry| entry.room == room_id)
            && rooms::guards_carts(&shop, &settings, room_id).await?
        {
            return Err(Reject::EntryRequired { room_id }.into());
        }
        let row = listing.sku;
        let (title, unit_price) = (row.title.clone(), listing.price.minor);
        let sale = listing.sale.map(|(sale, _)| sale.id);
        let line = CartLine { sku, vendor: row.vendor_id, title, quantity, unit_price, sale };
        CartCommand::SetLine { by, line, currency: row.currency }
    };
    let (cart, _) = ask_cart(&shop, id, command, unkeyed(&settings)).await?;
    Ok(ok(&CartBody::new(&cart, shop.catalog_as_known(), &settings, None).with_coupons(&cart, &shop)?))
}

problems!(RemoveLineProblems: AUTH, ACTOR;
    CartUnknown, SkuUnknown, CartCheckingOut, CartCheckedOut, CartMerged, CommandPoisoned,
);

/// Take a SKU out of the cart
#[utoipa::path(delete, path = "/v1/carts/{cart}/lines/{sku}", tag = "carts", security(("bearer" = [])),
    params(("cart" = CartId, Path, description = "The cart"), ("sku" = SkuId, Path, description = "The SKU")),
    responses((status = 200, description = "The cart.", body = CartBody), RemoveLineProblems))]
pub async fn remove_line(
    State(shop): State<Shop>,
    State(settings): State<Arc<Settings>>,
    caller: Caller,
    Ids(id, sku): Ids<CartId, SkuId>,
) -> Result<Response> {
    let command = CartCommand::RemoveLine { by: caller.principal, sku };
    let (cart, _) = ask_cart(&shop, id, command, unkeyed(&settings)).await?;
    Ok(ok(&CartBody::new(&cart, shop.catalog_as_known(), &settings, None).with_coupons(&cart, &shop)?))
}

problems!(MergeProblems: KEYED, BODY, ACTOR; CartUnknown, CartCheckingOut, CartCheckedOut, CartMerged, TooMany);

/// Merge a guest's cart into one's own
///
/// Quantities add up, as far as they may; what does not fit is told in `left_out`. The guest's cart is closed. Twice is
/// once: a repeat shows what was left out then, and the cart as it is now.
#[utoipa::path(post, path = "/v1/carts/{cart}/merge", tag = "carts", security(("bearer" = [])),
    params(("cart" = CartId, Path, description = "The customer's cart"), IdempotencyHeader),
    request_body = MergeInput,
    responses((status = 200, description = "The customer's cart.", body = CartBody), MergeProblems))]
pub async fn merge_cart(
    State(shop): State<Shop>,
    State(settings): State<Arc<Settings>>,
    State(auth): State<Arc<Auth>>,
    caller: Caller,
    Id(into): Id<CartId>,
    key: RequestKey,
    body: JsonBody<MergeInput>,
) -> Result<Response> {
    let Principal::Customer(customer) = caller.principal else {
        return Err(Problem::new(&error::FORBIDDEN, "only somebody who has an account has a cart to merge into"));
    };
    let MergeInput { from, token } = &body.value;
    let from: CartId = parse_id(from)?;
    // Whoever does not hold the cart's token, or holds one that is over, is told of no cart.
    let held = auth.verify(token, shop.clock().wall()).map(|guest| guest.principal);
    if held.ok() != Some(Principal::Guest(from)) {
        return Err(Reject::CartUnknown.into());
    }
    let key = key.of(&caller, &body.raw);
    let merged = shop.merge_carts(customer, into, from, settings.request_timeout, key).await?;
    let MergedCart { outcome, replayed } = merged;
    let (cart, left_out) = outcome.map_err(|reject| Problem::from(reject).replayed(replayed))?;
    let left = |left: LeftOut| LeftOutBody { sku_id: left.sku, quantity: left.quantity, why: left.why.code() };
    let left_out = Some(left_out.into_iter().map(left).collect());
    let body = CartBody {
        left_out,
        ..CartBody::new(&cart, shop.catalog_as_known(), &settings, None).with_coupons(&cart, &shop)?
    };
    Ok(mark_replayed(ok(&body), replayed))
}

/// The coupon that a code is of, if there is one: the code of a coupon, or one that its coupon has made.
fn coupon_of(shop: &Shop, buyers: &BuyerKeys, code: CouponCode) -> Result<Option<PlacedCoupon>> {
    let catalog = shop.catalog()?;
    let own = catalog.coupon(CouponId::of_code(&code.compared()));
    if let Some(row) = own.filter(|row| !row.single_use && row.code.compared() == code.compared()) {
        return Ok(Some(PlacedCoupon { coupon: row.id, code: row.code.clone(), serial: None }));
    }
    let Some((prefix, single)) = code.split() else { return Ok(None) };
    let row = catalog.coupon(CouponId::of_code(&prefix.compared()));
    let made = row.filter(|row| row.single_use && row.code.compared() == prefix.compared());
    let made = made.filter(|row| buyers.has_made(row.id, single));
    Ok(made.map(|row| PlacedCoupon { coupon: row.id, code: row.code.single(single), serial: Some(single.serial) }))
}

problems!(PutCouponProblems: AUTH, ACTOR;
    CartUnknown, CouponUnknown, CartCheckingOut, CartCheckedOut, CartMerged, TooMany, CouponExpired, CouponNotApplicable,
    CommandPoisoned,
);

/// Put the code of a coupon into the cart
///
/// What it takes off is a preview: the order judges it anew. Whoever tries many codes that there are not is told to wait.
#[utoipa::path(put, path = "/v1/carts/{cart}/coupons/{code}", tag = "carts", security(("bearer" = [])),
    params(("cart" = CartId, Path, description = "The cart"),
        ("code" = String, Path, description = "The code: in upper case or not, with O for 0, I or L for 1", example = "EID10")),
    responses((status = 200, description = "The cart.", body = CartBody), PutCouponProblems))]
pub async fn put_coupon(
    State(shop): State<Shop>,
    State(settings): State<Arc<Settings>>,
    State(buyers): State<Arc<BuyerKeys>>,
    State(rates): State<Option<Arc<Rates>>>,
    AskedFrom(from): AskedFrom,
    caller: Caller,
    Ids(id, code): Ids<CartId, CouponCode>,
) -> Result<Response> {
    let by = caller.principal;
    let guess = async |is_unknown| match (&rates, from) {
        (Some(rates), Some(from)) => rates.guess(id, from, is_unknown, shop.clock().now()).await,
        _ => Ok(()),
    };
    // Whoever has tried too many is not told whether this is one.
    guess(false).await?;
    let Some(coupon) = coupon_of(&shop, &buyers, code)? else {
        // In a cart of somebody else nothing is tried.
        ask_cart(&shop, id, CartCommand::Get { by }, unkeyed(&settings)).await?;
        guess(true).await?;
        return Err(Reject::CouponUnknown.into());
    };
    let (cart, _) = ask_cart(&shop, id, CartCommand::PutCoupon { by, coupon }, unkeyed(&settings)).await?;
    Ok(ok(&CartBody::new(&cart, shop.catalog_as_known(), &settings, None).with_coupons(&cart, &shop)?))
}

problems!(RemoveCouponProblems: AUTH, ACTOR;
    CartUnknown, CouponUnknown, CartCheckingOut, CartCheckedOut, CartMerged, CommandPoisoned,
);

/// Take the code of a coupon out of the cart
#[utoipa::path(delete, path = "/v1/carts/{cart}/coupons/{code}", tag = "carts", security(("bearer" = [])),
    params(("cart" = CartId, Path, description = "The cart"), ("code" = String, Path, description = "The code", example = "EID10")),
    responses((status = 200, description = "The cart.", body = CartBody), RemoveCouponProblems))]
pub async fn remove_coupon(
    State(shop): State<Shop>,
    State(settings): State<Arc<Settings>>,
    caller: Caller,
    Ids(id, code): Ids<CartId, CouponCode>,
) -> Result<Response> {
    let command = CartCommand::RemoveCoupon { by: caller.principal, code };
    let (cart, _) = ask_cart(&shop, id, command, unkeyed(&settings)).await?;
    Ok(ok(&CartBody::new(&cart, shop.catalog_as_known(), &settings, None).with_coupons(&cart, &shop)?))
}
