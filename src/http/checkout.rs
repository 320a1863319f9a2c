//! Checkout: a cart becomes an order.

use crate::checkout::{Asker, CheckedOut, buyers};
use crate::domain::buyer::PointsWanted;
use crate::domain::cart::{CheckoutRequest, Quote};
use crate::domain::details::Contact;
use crate::domain::details::Known;
use crate::domain::ids::{CartId, ShippingMethodId, VendorId};
use crate::domain::money::Money;
use crate::domain::order::{Address, PaymentChoice};
use crate::domain::payment::holds_card_number;
use crate::domain::pricing::ON_DELIVERY;
use crate::domain::reject::Reject;
use crate::domain::text::{TextKind, is_blank};
use crate::domain::vendor::SlotId;
use crate::http::HttpState;
use crate::http::answer::{json, mark_replayed};
use crate::http::caller::Caller;
use crate::http::contacts;
use crate::http::countries::is_country;
use crate::http::error::{self, INVALID_BODY, Problem, Result};
use crate::http::extract::{Id, JsonBody};
use crate::http::idempotency::{IdempotencyHeader, RequestKey};
use crate::http::money::TotalInput;
use crate::http::object::only_objects;
use crate::http::openapi::{ACTOR, BODY, KEYED, problems};
use crate::http::orders::OrderBody;
use crate::http::prefer::{self, PREFERENCE_APPLIED, PreferHeader};
use crate::http::rates::AskedFrom;
use crate::http::rooms;
use crate::http::valid::{Faults, Whole};
use crate::limits;
use axum::extract::State;
use axum::response::Response;
use http::{HeaderMap, StatusCode};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::str::FromStr;
use utoipa::ToSchema;

/// What a buyer gives at checkout.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(remote = "Self", deny_unknown_fields)]
#[schema(example = json!({
    "email": "rahim@example.com",
    "shipping_address": {
        "name": "Rahim Uddin", "line1": "12 Mirpur Road", "city": "Dhaka", "postcode": "1205", "country": "BD",
        "phone": "+8801712345678"
    },
    "payment": {"method": "sandbox", "token": "tok_approve"},
    "expected_total": {"amount": "2500.00", "currency": "BDT"}
}))]
pub struct CheckoutInput {
    /// Where to write to.
    #[schema(
        min_length = 3,
        max_length = 200,
        pattern = r"^[^@\u0000-\u0020\u007f-\u00a0]+@[^@\u0000-\u0020\u007f-\u00a0]+$"
    )]
    email: Option<String>,
    /// Where to ship to.
    shipping_address: AddressInput,
    /// How to pay.
    payment: PaymentInput,
    /// The total the buyer agrees to; without it, that of the quote, or what the cart last showed.
    expected_total: Option<TotalInput>,
    /// For vendors, the method by which they are to ship; of others, the cheapest.
    shipping: Option<Choices>,
    /// For vendors that deliver in slots, the slot in which their share is to be brought.
    #[schema(value_type = Option<BTreeMap<String, String>>)]
    delivery_slot: Option<Choices>,
    /// With how many points to pay, at most: no more are taken than there is to pay.
    #[schema(value_type = Option<i64>, minimum = 0, maximum = 1_000_000_000_000_i64)]
    points: Option<Whole>,
    /// The quote that the buyer agrees to: the checkout must be of the same cart, address and choices.
    #[schema(min_length = 1, max_length = 8192, pattern = "^quote_[A-Za-z0-9._-]+$")]
    quote_id: Option<String>,
}

/// Where to ship to.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(remote = "Self", deny_unknown_fields)]
#[schema(example = json!({
    "name": "Rahim Uddin", "line1": "12 Mirpur Road", "city": "Dhaka", "postcode": "1205", "country": "BD", "phone": "+8801712345678"
}))]
pub struct AddressInput {
    /// Who receives it.
    #[schema(min_length = 1, max_length = 200, pattern = r"^[^\u0000-\u001f\u007f-\u009f]*$")]
    name: String,
    /// Street and number.
    #[schema(min_length = 1, max_length = 200, pattern = r"^[^\u0000-\u001f\u007f-\u009f]*$")]
    line1: String,
    /// More of it.
    #[schema(max_length = 200, pattern = r"^[^\u0000-\u001f\u007f-\u009f]*$")]
    line2: Option<String>,
    /// The city.
    #[schema(min_length = 1, max_length = 200, pattern = r"^[^\u0000-\u001f\u007f-\u009f]*$")]
    city: String,
    /// The postcode, where there is one.
    #[schema(max_length = 200, pattern = r"^[^\u0000-\u001f\u007f-\u009f]*$")]
    postcode: Option<String>,
    /// A part of the country, such as a state, where there is one.
    #[schema(max_length = 200, pattern = r"^[^\u0000-\u001f\u007f-\u009f]*$")]
    region: Option<String>,
    /// ISO 3166-1 alpha-2.
    #[schema(schema_with = crate::http::schema::country)]
    country: String,
    /// Where to call.
    #[schema(max_length = 200, pattern = r"^[^\u0000-\u001f\u007f-\u009f]*$")]
    phone: Option<String>,
}

/// How to pay.
#[derive(Deserialize, ToSchema)]
#[serde(remote = "Self", deny_unknown_fields)]
pub struct PaymentInput {
    /// Which gateway; `sandbox` is built in.
    #[schema(min_length = 1, max_length = 200, pattern = r"^[^\u0000-\u001f\u007f-\u009f]*$")]
    method: String,
    /// The gateway's name for the buyer's means of payment; not needed for what is paid at the door, nor where points pay all of it.
    #[schema(min_length = 1, max_length = 200, pattern = r"^[^\u0000-\u001f\u007f-\u009f]*$")]
    token: Option<String>,
}

only_objects!(CheckoutInput, AddressInput, PaymentInput);

impl std::fmt::Debug for PaymentInput {
    /// Without the token, which has no place in a log.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PaymentInput").field("method", &self.method).finish_non_exhaustive()
    }
}

/// Methods by the vendors that are to ship so.
pub(super) type Choices = BTreeMap<String, String>;

/// The methods that were chosen.
pub(super) fn chosen(faults: &mut Faults, choices: Option<Choices>) -> Vec<(VendorId, ShippingMethodId)> {
    const EXPECTED: &str = "for ids of vendors, ids of their methods of shipping are expected";
    by_vendor(faults, "shipping", choices, EXPECTED)
}

/// What was chosen for each vendor.
fn by_vendor<T: FromStr>(
    faults: &mut Faults,
    field: &'static str,
    choices: Option<Choices>,
    expected: &'static str,
) -> Vec<(VendorId, T)> {
    let choices = choices.unwrap_or_default();
    if choices.len() > limits::CART_LINES {
        faults.add(field, "there are more vendors than a cart has lines");
        return Vec::new();
    }
    let read: Option<Vec<_>> =
        choices.iter().map(|(vendor, chosen)| Some((vendor.parse().ok()?, chosen.parse().ok()?))).collect();
    read.unwrap_or_else(|| {
        faults.add(field, expected);
        Vec::new()
    })
}

/// With how many points to pay.
pub(super) fn wanted_points(faults: &mut Faults, points: Option<Whole>) -> Option<i64> {
    let Whole(points) = points?;
    if !(0..=limits::POINTS).contains(&points) {
        faults.add("points", format!("0 to {} are expected", limits::POINTS));
    }
    Some(points)
}

fn is_email(text: &str) -> bool {
    let sane = |part: &str| !part.is_empty() && !part.contains('@') && !part.contains(is_blank);
    text.split_once('@').is_some_and(|(local, domain)| sane(local) && sane(domain))
}

/// What a buyer gives at checkout, where nothing is wrong with it.
#[derive(Debug)]
struct Checked {
    contact: Contact,
    payment: PaymentChoice,
    expected_total: Option<Money>,
    shipping: Vec<(VendorId, ShippingMethodId)>,
    slots: Vec<(VendorId, SlotId)>,
    points: Option<PointsWanted>,
    quote: Option<Box<Quote>>,
}

/// What the fields of an address are called where something is wrong with one: name, line1, city, line2, region, postcode, phone, country.
pub(super) type AddressFields = [&'static str; 8];

pub(super) const SHIPPING: AddressFields = [
    "shipping_address.name",
    "shipping_address.line1",
    "shipping_address.city",
    "shipping_address.line2",
    "shipping_address.region",
    "shipping_address.postcode",
    "shipping_address.phone",
    "shipping_address.country",
];

impl AddressInput {
    /// The address, with its texts as they are kept.
    pub(super) fn checked(self, faults: &mut Faults, fields: &AddressFields) -> Address {
        let Self { name, line1, line2, city, postcode, region, country, phone } = self;
        let mut address = Address { name, line1, line2, city, postcode, region, country, phone };
        check_address(faults, fields, &mut address);
        address
    }
}

/// Checks an address, and brings its texts into the form in which they are kept.
pub(super) fn check_address(faults: &mut Faults, fields: &AddressFields, address: &mut Address) {
    let (line, limit) = (TextKind::Line, limits::SHORT_TEXT);
    let [name, line1, city, line2, region, postcode, phone, country] = *fields;
    faults.text(name, &mut address.name, line, limit);
    faults.text(line1, &mut address.line1, line, limit);
    faults.text(city, &mut address.city, line, limit);
    faults.optional(line2, address.line2.as_mut(), line, limit);
    faults.optional(region, address.region.as_mut(), line, limit);
    faults.optional(postcode, address.postcode.as_mut(), line, limit);
    faults.optional(phone, address.phone.as_mut(), line, limit);
    if !is_country(&address.country) {
        faults.add(country, "a country of ISO 3166-1 alpha-2 is expected, in upper case");
    }
}

/// Whoever brings what is paid at the door must be able to call, and a guest's open orders are counted by it.
const PHONE_NEEDED: &str = "a number where to call is needed to pay on delivery";

/// Refuses what seems to be the number of a card.
pub(super) fn no_card(field: &'static str, text: &str) -> Result<()> {
    if !holds_card_number(text) {
        return Ok(());
    }
    let reason = "this seems to be the number of a card, which only the payment provider is to know".into();
    Err(Problem::from(Reject::PaymentUnsupported { reason, token: true }).about(field))
}

impl CheckoutInput {
    fn checked(mut self, quotes: impl Fn(&str) -> Option<Quote>) -> Result<Checked> {
        let mut faults = Faults::default();
        let limit = limits::SHORT_TEXT;
        match &mut self.email {
            Some(email) if !is_email(email) => faults.add("email", "an address with one @ is expected"),
            email => faults.optional("email", email.as_mut(), TextKind::Code, limit),
        }
        let shipping_address = self.shipping_address.checked(&mut faults, &SHIPPING);
        let method = self.payment.method;
        let mut alone = false;
        let token = match self.payment.token {
            None if self.points.is_some() && method != ON_DELIVERY => {
                alone = true;
                String::new()
            }
            None if method != ON_DELIVERY => {
                faults.add("payment.token", "it is missing");
                String::new()
            }
            Some(token) if token.is_empty() => {
                faults.add("payment.token", "it must not be empty");
                token
            }
            token => token.unwrap_or_default(),
        };
        if method.is_empty() {
            faults.add("payment.method", "it must not be empty");
        }
        faults.opaque("payment.method", &method, TextKind::Code, limit);
        faults.opaque("payment.token", &token, TextKind::Code, limit);
        if method == ON_DELIVERY && shipping_address.phone.is_none() {
            faults.add("shipping_address.phone", PHONE_NEEDED);
        }
        let address = &shipping_address;
        // A phone's number may well look like a card's, and so may a mailbox that is called like one.
        let written = [
            ("payment.token", token.as_str()),
            ("payment.method", &method),
            ("shipping_address.name", &address.name),
            ("shipping_address.line1", &address.line1),
            ("shipping_address.line2", address.line2.as_deref().unwrap_or_default()),
            ("shipping_address.city", &address.city),
            ("shipping_address.region", address.region.as_deref().unwrap_or_default()),
            ("shipping_address.postcode", address.postcode.as_deref().unwrap_or_default()),
        ];
        written.into_iter().try_for_each(|(field, text)| no_card(field, text))?;
        let expected_total = self.expected_total.as_ref().and_then(|total| faults.total("expected_total", total));
        let shipping = chosen(&mut faults, self.shipping.take());
        const SLOTS: &str = "for ids of vendors, ids of their delivery slots are expected";
        let slots = by_vendor(&mut faults, "delivery_slot", self.delivery_slot.take(), SLOTS);
        let points = wanted_points(&mut faults, self.points);
        let quote = self.quote_id.as_deref().map(quotes);
        if matches!(quote, Some(None)) {
            faults.add("quote_id", "it is no quote of this shop's");
        }
        faults.done(&INVALID_BODY)?;
        Ok(Checked {
            shipping,
            slots,
            points: points.map(|points| PointsWanted { points, beside: false, alone }),
            quote: quote.flatten().map(Box::new),
            contact: Contact { email: self.email, shipping_address },
            // What is paid at the door has no means of payment to keep.
            payment: PaymentChoice { token: if method == ON_DELIVERY { String::new() } else { token }, method },
            expected_total,
        })
    }
}

problems!(CheckOutProblems: KEYED, BODY, ACTOR, &[&error::PROVIDER_SILENT, &error::ENTRY_INVALID];
    CartUnknown, CartMerged, CartEmpty, OutOfStock, PriceChanged, OrderCancelled, OrderExpired, SkuSuspended, SkuUnavailable,
    HoldClosed,     CommandPoisoned, CurrencyMismatch, PaymentUnsupported, SkuUnknown, TooMany, BelowMinimum, QuantityStep,
    QuantityOutOfRange, EntryRequired, AccountRequired, EmailRequired, PaymentMethodNotAllowed, SaleNotStarted, SaleSoldOut,
    PurchaseLimit, SlotFull, SaleEnded, QuoteExpired, CodNotAvailable, AddressNotServed, AmountTooLarge, AmountBelowMinimum,
    CouponUnknown, CouponExpired, CouponTermsChanged, CouponNotApplicable, CouponExhausted, CouponLimitReached,
    PointsInsufficient,
);

/// Make an order of the cart
///
/// Answers once the stock is held durably; with `Prefer: wait=N`, once the order is paid or refused, at most N seconds later. A
/// cart whose order is live or paid gives that order again.
#[utoipa::path(post, path = "/v1/carts/{cart}/checkout", tag = "carts", security(("bearer" = [])),
    params(("cart" = CartId, Path, description = "The cart"), IdempotencyHeader, PreferHeader),
    request_body = CheckoutInput,
    responses((status = 201, description = "The order, just placed.", body = OrderBody),
        (status = 200, description = "The order the cart has already.", body = OrderBody), CheckOutProblems))]
pub async fn check_out(
    State(HttpState { shop, settings, buyers, services, .. }): State<HttpState>,
    caller: Caller,
    key: RequestKey,
    Id(cart): Id<CartId>,
    AskedFrom(from): AskedFrom,
    headers: HeaderMap,
    body: JsonBody<CheckoutInput>,
) -> Result<Response> {
    let key = key.of(&caller, &body.raw);
    let checked = body.value.checked(|text| services.quotes.open(text))?;
    let Checked { contact, payment, expected_total, shipping, slots, points, quote } = checked;
    let total_in = expected_total.map(|total| total.currency);
    let (mint, mut buyer) = (buyers::mint(shop.clock()), buyers.buyer(caller.principal, caller.account_mail, &contact));
    if payment.method == ON_DELIVERY {
        let mut faults = Faults::default();
        buyer.at_door = buyers.at_door(caller.principal, &contact);
        if buyer.at_door.is_none() {
            faults.add("shipping_address.phone", PHONE_NEEDED);
        }
        faults.done(&INVALID_BODY)?;
    }
    buyer.points = points;
    buyer.entries = rooms::entries(&headers, &services.rooms, &caller, shop.clock().now())?;
    let contact_given = contact.clone();
    let request =
        CheckoutRequest { contact: contact_given, payment, expected_total, shipping, slots, quote, mint, buyer };
    let (wait, applied) = prefer::wait(&headers).unzip();
    let asker = Asker { by: caller.principal, from };
    let checked_out = shop.checkout(asker, cart, request, settings.request_timeout, wait, key).await?;
    let CheckedOut { outcome, created, replayed } = checked_out;
    let refused = |reject: Reject| {
        // The cart's currency is told of the total, where it was the total that had another.
        let of_total = matches!(&reject, Reject::CurrencyMismatch { found, .. } if Some(*found) == total_in);
        let problem = Problem::from(reject).replayed(replayed);
        if of_total { problem.about("expected_total.currency") } else { problem }
    };
    let order = outcome.map_err(refused)?;
    let status = if created { StatusCode::CREATED } else { StatusCode::OK };
    // What was given just now need not be looked up.
    let contact = match created && !replayed {
        true => Known::Here(contact),
        false => contacts::contact(&shop, &settings, caller.principal, &order).await?,
    };
    let action = crate::http::orders::next_action(&shop, caller.principal, &order);
    let body = OrderBody::of_view(&order, &contact).with_action(action);
    let mut response = mark_replayed(json(status, &body), replayed);
    if let Some(applied) = applied {
        response.headers_mut().insert(PREFERENCE_APPLIED, applied);
    }
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(change: impl Fn(&mut serde_json::Value)) -> Result<Checked> {
        let mut input = serde_json::json!({
            "email": "rahim@example.com",
            "shipping_address": {"name": "Rahim", "line1": "12 Mirpur Road", "city": "Dhaka", "country": "BD"},
            "payment": {"method": "sandbox", "token": "tok_approve"},
            "expected_total": {"amount": "10.00", "currency": "BDT"},
        });
        change(&mut input);
        serde_json::from_value::<CheckoutInput>(input).unwrap().checked(|_| None)
    }

    #[test]
    fn what_fits_becomes_the_details_of_a_checkout() {
        let details = checked(|_| {}).unwrap();
        assert_eq!(details.expected_total.unwrap().minor, 1_000);
        assert!(checked(|input| input["email"] = serde_json::Value::Null).unwrap().contact.email.is_none());
    }

    /// Wherever it is written; nothing that is answered repeats it.
    #[test]
    fn the_number_of_a_card_is_refused_and_not_repeated() {
        let (plain, spaced) = ("4242424242424242", "card 4242-4242 4242 4242, 12/34");
        for (place, number) in
            [("/payment/token", plain), ("/payment/method", plain), ("/shipping_address/city", spaced)]
        {
            let problem = checked(|input| *input.pointer_mut(place).expect("a field") = number.into()).unwrap_err();
            let text = String::from_utf8(problem.to_json("r")).unwrap();
            assert!(text.contains("payment_unsupported") && !text.contains("4242"), "{place}: {text}");
            assert!(text.contains(&place[1..].replace('/', ".")), "{place}: {text}");
        }
        checked(|input| input["shipping_address"]["phone"] = plain.into()).unwrap();
    }

    #[test]
    fn every_fault_names_its_field() {
        let fields = |change: &dyn Fn(&mut serde_json::Value)| {
            let problem = checked(change).unwrap_err();
            let body: serde_json::Value = serde_json::from_slice(&problem.to_json("r")).unwrap();
            let errors = body["errors"].as_array().unwrap().iter();
            errors.map(|error| error["field"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
        };
        for bad in ["x", "a@b@c", "@b", "a@", "a b@c"] {
            assert_eq!(fields(&|input| input["email"] = bad.into()), ["email"], "{bad}");
        }
        for bad in ["bd", "BDT", "B", "", "B1", "XX", "UK"] {
            assert_eq!(
                fields(&|input| input["shipping_address"]["country"] = bad.into()),
                ["shipping_address.country"]
            );
        }
        assert_eq!(fields(&|input| input["shipping_address"]["name"] = "".into()), ["shipping_address.name"]);
        assert_eq!(fields(&|input| input["expected_total"]["amount"] = "10".into()), ["expected_total.amount"]);
        assert_eq!(fields(&|input| input["payment"]["token"] = "".into()), ["payment.token"]);
    }
}
