//! How the domain's values look in the OpenAPI document: ids, statuses, money, moments.

use crate::domain::buyer::{Audience, Exemption};
use crate::domain::cart::CartStatus;
use crate::domain::coupon::RestoresOn;
use crate::domain::courier::CourierStatus;
use crate::domain::ids::{
    AccountId, AddressId, CartId, CategoryId, CouponId, CustomerId, JobId, OrderId, ProductId, RefundId, ReturnId,
    RoomId, SaleId, SessionId, ShipmentId, ShippingMethodId, SkuId, SubOrderId, VendorId,
};
use crate::domain::money::Currency;
use crate::domain::order::{OrderStatus, PaymentStatus, ResolveAs, SubOrderStatus};
use crate::domain::vendor::{BreakScope, GoodsStatus, VendorStatus};
use crate::http::countries::COUNTRIES;
use crate::http::money::{Moment, MoneyBody, PriceInput, TotalInput};
use crate::http::resolve::ResolveInput;
use crate::http::shipping::FromInput;
use crate::limits;
use serde_json::json;
use std::borrow::Cow;
use std::collections::BTreeMap;
use utoipa::openapi::schema::{AdditionalProperties, ArrayBuilder, KnownFormat, SchemaFormat, Type};
use utoipa::openapi::{ObjectBuilder, OneOfBuilder, RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

/// What an id of this type looks like.
pub fn id_pattern(prefix: &str) -> String {
    format!("^{prefix}_[0-7][0-9a-hjkmnp-tv-z]{{25}}$")
}

fn id_schema(prefix: &str, what: &str) -> RefOr<Schema> {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .description(Some(format!("{what}: a TypeID.")))
        .pattern(Some(id_pattern(prefix)))
        .examples([serde_json::json!(format!("{prefix}_01h2xcejqtf2nbrexx3vqjhp41"))])
        .into()
}

fn one_of_names(what: &str, names: &[&str]) -> RefOr<Schema> {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .description(Some(what))
        .enum_values(Some(names.iter().copied()))
        .into()
}

macro_rules! schema {
    ($($type:ty, $name:literal => $schema:expr;)*) => {
        $(
            impl PartialSchema for $type {
                fn schema() -> RefOr<Schema> {
                    $schema
                }
            }
            impl ToSchema for $type {
                fn name() -> Cow<'static, str> {
                    Cow::Borrowed($name)
                }
            }
        )*
    };
}

schema! {
    VendorId, "VendorId" => id_schema("vendor", "A vendor");
    ProductId, "ProductId" => id_schema("product", "A product");
    SkuId, "SkuId" => id_schema("sku", "A stock keeping unit");
    SaleId, "SaleId" => id_schema("sale", "A sale of a vendor");
    CartId, "CartId" => id_schema("cart", "A cart");
    OrderId, "OrderId" => id_schema("order", "An order");
    RefundId, "RefundId" => id_schema("refund", "Money that an order gives back");
    ReturnId, "ReturnId" => id_schema("return", "What a buyer sends back");
    ShipmentId, "ShipmentId" => id_schema("shipment", "A parcel");
    SubOrderId, "SubOrderId" => id_schema("suborder", "A vendor's share of an order");
    CouponId, "CouponId" => id_schema("coupon", "A coupon");
    RoomId, "RoomId" => id_schema("room", "A waiting room");
    ShippingMethodId, "ShippingMethodId" => id_schema("shipping_method", "A way in which a vendor ships");
    CategoryId, "CategoryId" => id_schema("category", "A category of products");
    AddressId, "AddressId" => id_schema("address", "Where somebody has things sent");
    AccountId, "AccountId" => id_schema("account", "Somebody who can sign in");
    CustomerId, "CustomerId" => id_schema("customer", "A customer");
    SessionId, "SessionId" => id_schema("session", "Where somebody is signed in");
    JobId, "JobId" => id_schema("job", "Something that is to be done outside");
    RestoresOn, "RestoresOn" => one_of_names("What gives the use of a coupon back after it was paid.", &["cancel", "refund", "never"]);
    CartStatus, "CartStatus" => one_of_names("Where a cart stands.", &["open", "checking_out", "checked_out", "merged"]);
    Audience, "Audience" => one_of_names("For whom prices are.", &Audience::ALL.map(Audience::name));
    Exemption, "Exemption" => one_of_names("Why a buyer pays no tax.", &Exemption::ALL.map(Exemption::name));
    GoodsStatus, "GoodsStatus" => one_of_names("Whether goods are for sale.", &[GoodsStatus::Active, GoodsStatus::Archived].map(GoodsStatus::name));
    VendorStatus, "VendorStatus" => one_of_names("Whether a vendor may sell.", &[VendorStatus::Active, VendorStatus::Suspended].map(VendorStatus::name));
    BreakScope, "BreakScope" => one_of_names("Which pieces count together.", &BreakScope::ALL.map(BreakScope::name));
    CourierStatus, "CourierStatus" => one_of_names("What became of a parcel.", &CourierStatus::ALL.map(CourierStatus::name));
    OrderStatus, "OrderStatus" =>
        one_of_names("How an order stands.", &OrderStatus::ALL.map(OrderStatus::name));
    PaymentStatus, "PaymentStatus" => one_of_names("How a payment stands.", PaymentStatus::NAMES);
    SubOrderStatus, "SubOrderStatus" => one_of_names("How a vendor's share stands.", SubOrderStatus::NAMES);
    ResolveAs, "ResolveAs" => one_of_names(
        "How an order is led out of what it is stuck in: the same step again; nothing was taken; the total was taken after all; nobody \
         waits any longer; what was taken was given back.",
        &ResolveAs::ALL.map(ResolveAs::name),
    );
    ResolveInput, "ResolveInput" => OneOfBuilder::new()
        .description(Some("What someone did about an order that is stuck."))
        .item(resolve_input(&[ResolveAs::Retry, ResolveAs::Voided, ResolveAs::WriteOff]))
        .item(
            resolve_input(&[ResolveAs::Paid])
                .property("amount", TotalInput::schema())
                .property("reference", reference())
                .required("amount")
                .required("reference"),
        )
        .item(
            resolve_input(&[ResolveAs::Refunded])
                .property("amount", TotalInput::schema())
                .property("reference", reference())
                .required("reference"),
        )
        .examples([json!({"as": "retry", "note": "the provider is up again"})])
        .into();
    Moment, "Moment" => ObjectBuilder::new()
        .schema_type(Type::String)
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
        .description(Some("A moment: RFC 3339 in UTC."))
        .examples([serde_json::json!("2026-11-21T04:09:27.089Z")])
        .into();
    MoneyBody, "Money" => ObjectBuilder::new()
        .schema_type(Type::Object)
        .description(Some("An amount: a decimal string with exactly the currency's number of digits."))
        .property("amount", ObjectBuilder::new().schema_type(Type::String).pattern(Some(r"^-?[0-9]+(\.[0-9]+)?$")))
        .property("currency", ObjectBuilder::new().schema_type(Type::String).pattern(Some("^[A-Z]{3}$")))
        .required("amount")
        .required("currency")
        .examples([serde_json::json!({"amount": "1250.00", "currency": "BDT"})])
        .into();
    // With the limit on one price that many digits before the point always fit, whatever the currency; zero is no price.
    PriceInput, "Price" => money_input("A positive price.", 9, true);
    FromInput, "StepFrom" => OneOfBuilder::new()
        .description(Some("From where on a price holds: an amount, or grams."))
        .item(TotalInput::schema())
        .item(ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(0)))
        .into();
    TotalInput, "Total" => money_input("A total.", 14, false);
}

/// A resolution as one of these.
fn resolve_input(verbs: &[ResolveAs]) -> ObjectBuilder {
    let note = ObjectBuilder::new()
        .schema_type(Type::String)
        .description(Some("Why, in a few words."))
        .min_length(Some(1))
        .max_length(Some(limits::NOTE))
        .pattern(Some(r"^(?=[\s\S]*\S)[^\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f]*$"));
    let names: Vec<&str> = verbs.iter().map(|verb| verb.name()).collect();
    let example = match verbs {
        [ResolveAs::Paid] => json!({
            "as": "paid", "amount": {"amount": "1250.00", "currency": "BDT"}, "reference": "ch_1", "note": "by bank transfer"
        }),
        [ResolveAs::Refunded] => json!({"as": "refunded", "reference": "re_1", "note": "sent back by hand"}),
        _ => json!({"as": "retry", "note": "the provider is up again"}),
    };
    ObjectBuilder::new()
        .schema_type(Type::Object)
        .title(Some(names.join(", ")))
        .property("as", ObjectBuilder::new().schema_type(Type::String).enum_values(Some(names)))
        .property("note", note)
        .required("as")
        .required("note")
        .additional_properties(Some(AdditionalProperties::FreeForm(false)))
        .examples([example])
}

fn reference() -> ObjectBuilder {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .description(Some("Where it stands in the provider's or the bank's books."))
        .min_length(Some(1))
        .max_length(Some(limits::SHORT_TEXT))
        .pattern(Some(r"^(?=.*\S)[^\u0000-\u001f\u007f]*$"))
}

/// Every ISO 4217 code of money, by its number of digits, in the order of the alphabet.
fn currencies() -> BTreeMap<u32, Vec<&'static str>> {
    let mut by_digits: BTreeMap<u32, Vec<&'static str>> = BTreeMap::new();
    for currency in Currency::all_of_money() {
        by_digits.entry(currency.digits()).or_default().push(currency.code());
    }
    by_digits.values_mut().for_each(|codes| codes.sort_unstable());
    by_digits
}

/// A country's code.
pub fn country() -> RefOr<Schema> {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .description(Some("ISO 3166-1 alpha-2, of the countries that there are."))
        .enum_values(Some(COUNTRIES))
        .into()
}

fn money_input(what: &str, whole_digits: u32, positive: bool) -> RefOr<Schema> {
    let mut schema = OneOfBuilder::new().description(Some(what));
    for (digits, codes) in currencies() {
        let whole = format!("[0-9]{{1,{whole_digits}}}");
        let amount = if digits == 0 { format!("^{whole}$") } else { format!(r"^{whole}\.[0-9]{{{digits}}}$") };
        let amount = if positive { amount.replacen('^', "^(?=.*[1-9])", 1) } else { amount };
        let text = match digits {
            0 => "1250".to_owned(),
            _ => format!("1250.{}", "0".repeat(digits as usize)),
        };
        let code = if digits == 2 { "BDT" } else { codes[0] };
        let variant = ObjectBuilder::new()
            .schema_type(Type::Object)
            .title(Some(format!("In a currency with {digits} digits")))
            .property("amount", ObjectBuilder::new().schema_type(Type::String).pattern(Some(amount)))
            .property("currency", ObjectBuilder::new().schema_type(Type::String).enum_values(Some(codes)))
            .required("amount")
            .required("currency")
            .additional_properties(Some(AdditionalProperties::FreeForm(false)))
            .examples([serde_json::json!({"amount": text, "currency": code})]);
        schema = schema.item(variant);
    }
    schema.into()
}

/// An array of shortages, for the problem `out_of_stock`.
pub fn shortages() -> Schema {
    let count = || ObjectBuilder::new().schema_type(Type::Integer);
    let shortage = ObjectBuilder::new()
        .schema_type(Type::Object)
        .property("sku_id", SkuId::schema())
        .property("requested", count())
        .property("available", count())
        .required("sku_id")
        .required("requested")
        .required("available");
    let items = OneOfBuilder::new().item(shortage).item(SkuId::schema());
    let description = "With `out_of_stock`: what is short. With `purchase_limit`: of which SKUs together.";
    Schema::Array(ArrayBuilder::new().items(items).description(Some(description)).build())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn currencies_are_grouped_by_their_digits() {
        let currencies = currencies();
        assert!(currencies[&2].contains(&"BDT"));
        assert!(!currencies.values().flatten().any(|code| code.starts_with("XA") && *code != "XAF"));
        assert!(currencies[&0].contains(&"JPY"));
        assert!(currencies[&3].contains(&"KWD"));
    }
}
