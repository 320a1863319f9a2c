//! Vendors, and the products they add.

use crate::actors::shop::{Ask, Shop};
use crate::domain::entity::Principal;
use crate::domain::ids::{ProductId, SkuId, VendorId};
use crate::domain::reject::Reject;
use crate::domain::text::TextKind;
use crate::domain::vendor::{NewProduct, NewSku, ProductView, SkuView, Vendor, VendorCommand, VendorReply};
use crate::domain::who::{Action, may};
use crate::http::answer::{ask, json, mark_replayed, unexpected};
use crate::http::caller::Caller;
use crate::http::error::{INVALID_BODY, Result};
use crate::http::extract::{Id, JsonBody};
use crate::http::idempotency::{IdempotencyHeader, Mint, RequestKey};
use crate::http::money::{MoneyBody, PriceInput};
use crate::http::object::only_objects;
use crate::http::openapi::{ACTOR, BODY, KEYED, problems};
use crate::http::services::Services;
use crate::http::valid::Faults;
use crate::http::{Settings, error, query};
use crate::limits;
use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;

/// A vendor to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(remote = "Self", deny_unknown_fields)]
#[schema(example = json!({"name": "Dhaka Textiles"}))]
pub struct VendorInput {
    /// The vendor's name.
    #[schema(min_length = 1, max_length = 200, pattern = r"^[^\u0000-\u001f\u007f-\u009f]*$")]
    name: String,
}

/// A vendor.
#[derive(Debug, Serialize, ToSchema)]
pub struct VendorBody {
    id: VendorId,
    #[schema(example = "Dhaka Textiles")]
    name: String,
}

/// A product to be added.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(remote = "Self", deny_unknown_fields)]
#[schema(example = json!({
    "title": "Jamdani saree", "description": "Handwoven cotton, 5.5 m.", "category": "sarees",
    "skus": [{"code": "JAM-RED", "price": {"amount": "1250.00", "currency": "BDT"}, "on_hand": 100}]
}))]
pub struct ProductInput {
    /// What it is called.
    #[schema(min_length = 1, max_length = 200, pattern = r"^[^\u0000-\u001f\u007f-\u009f]*$")]
    title: String,
    /// What it is.
    #[schema(max_length = 4000, pattern = r"^[^\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f]*$")]
    description: Option<String>,
    /// Where it is found.
    #[schema(max_length = 200, pattern = r"^[^\u0000-\u001f\u007f-\u009f]*$")]
    category: Option<String>,
    /// Its variants, with codes that no other SKU of the vendor has.
    #[schema(min_items = 1, max_items = 100)]
    skus: Vec<SkuInput>,
}

/// A SKU to be added.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(remote = "Self", deny_unknown_fields)]
pub struct SkuInput {
    /// The vendor's own code; compared without regard to blanks around it and to how accents are put together.
    #[schema(min_length = 1, max_length = 200, pattern = r"^[^\u0000-\u001f\u007f-\u009f]*$")]
    code: String,
    /// What one piece costs.
    price: PriceInput,
    /// Pieces in the house.
    #[schema(minimum = 0, maximum = 1_000_000_000_000i64)]
    #[serde(deserialize_with = "crate::http::valid::whole")]
    on_hand: i64,
}

only_objects!(VendorInput, ProductInput, SkuInput);

/// A product with its SKUs, as its vendor sees it.
#[derive(Debug, Serialize, ToSchema)]
pub struct VendorProductBody<'a> {
    id: ProductId,
    vendor_id: VendorId,
    #[schema(example = "Jamdani saree")]
    title: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    category: Option<&'a str>,
    skus: Vec<StockedSkuBody<'a>>,
}

/// A SKU of a product, as its vendor sees it.
#[derive(Debug, Serialize, ToSchema)]
pub struct StockedSkuBody<'a> {
    id: SkuId,
    #[schema(example = "JAM-RED")]
    code: &'a str,
    price: MoneyBody,
    /// Pieces in the house.
    on_hand: i64,
    /// Pieces held for orders.
    held: i64,
    /// on_hand − held; none while the SKU is out of sale because its figures do not add up.
    available: i64,
}

impl<'a> VendorProductBody<'a> {
    fn new(product: &'a ProductView, skus: &'a [SkuView]) -> Self {
        let sku = |sku: &'a SkuView| StockedSkuBody {
            id: sku.id,
            code: &sku.code,
            price: MoneyBody(sku.price()),
            on_hand: sku.on_hand,
            held: sku.held,
            available: sku.available(),
        };
        Self {
            id: product.id,
            vendor_id: product.vendor_id,
            title: &product.title,
            description: product.description.as_deref(),
            category: product.category.as_deref(),
            skus: skus.iter().map(sku).collect(),
        }
    }
}

impl ProductInput {
    fn checked(mut self, mint: &Mint<'_>) -> Result<NewProduct> {
        let mut faults = Faults::default();
        faults.text("title", &mut self.title, TextKind::Line, limits::SHORT_TEXT);
        faults.optional("description", self.description.as_mut(), TextKind::Lines, limits::LONG_TEXT);
        faults.optional("category", self.category.as_mut(), TextKind::Line, limits::SHORT_TEXT);
        if self.skus.is_empty() {
            faults.add("skus", "at least one is expected");
        }
        let mut skus = Vec::with_capacity(self.skus.len().min(limits::PRODUCT_SKUS));
        for (index, mut sku) in self.skus.into_iter().enumerate() {
            faults.text(&format!("skus[{index}].code"), &mut sku.code, TextKind::Code, limits::SHORT_TEXT);
            if let Some(price) = faults.price(&format!("skus[{index}].price"), &sku.price) {
                skus.push(NewSku {
                    id: SkuId::from_uuid(mint.uuid_of_body(SkuId::PREFIX, index)),
                    code: sku.code,
                    price_minor: price.minor,
                    currency: price.currency,
                    on_hand: sku.on_hand,
                });
            }
        }
        faults.done(&INVALID_BODY)?;
        Ok(NewProduct {
            id: ProductId::from_uuid(mint.uuid(ProductId::PREFIX, 0)),
            title: self.title,
            description: self.description,
            category: self.category,
            skus,
        })
    }
}

problems!(CreateVendorProblems: KEYED, BODY, ACTOR, &[&error::INVALID_BODY]);

/// Make a vendor
#[utoipa::path(post, path = "/v1/vendors", tag = "vendors", security(("bearer" = [])), params(IdempotencyHeader),
    request_body = VendorInput,
    responses((status = 201, description = "The vendor.", body = VendorBody), CreateVendorProblems))]
pub async fn create_vendor(
    State(shop): State<Shop>,
    State(settings): State<Arc<Settings>>,
    caller: Caller,
    key: RequestKey,
    body: JsonBody<VendorInput>,
) -> Result<Response> {
    let mut faults = Faults::default();
    let mut name = body.value.name;
    faults.text("name", &mut name, TextKind::Line, limits::SHORT_TEXT);
    faults.done(&INVALID_BODY)?;
    let key = key.of(&caller, &body.raw);
    let mint = Mint::new(shop.clock(), key);
    let id = VendorId::from_uuid(mint.uuid(VendorId::PREFIX, 0));
    let how = Ask { within: settings.request_timeout, key, fresh: mint.is_fresh() };
    match ask::<Vendor>(&shop, id, VendorCommand::Create { name }, how).await? {
        (VendorReply::Vendor { vendor }, replayed) => {
            let body = VendorBody { id: vendor.id, name: vendor.name };
            Ok(mark_replayed(json(StatusCode::CREATED, &body), replayed))
        }
        (other, _) => Err(unexpected(&other)),
    }
}

problems!(CreateProductProblems: KEYED, BODY, ACTOR;
    VendorUnknown, PriceOutOfRange, StockOutOfRange, TooMany, SkuCodeTaken,
);

/// Add a product with its SKUs
#[utoipa::path(post, path = "/v1/vendors/{vendor}/products", tag = "vendors", security(("bearer" = [])),
    params(("vendor" = VendorId, Path, description = "The vendor"), IdempotencyHeader), request_body = ProductInput,
    responses((status = 201, description = "The product.", body = VendorProductBody), CreateProductProblems))]
pub async fn create_product(
    State(shop): State<Shop>,
    State(settings): State<Arc<Settings>>,
    State(services): State<Services>,
    caller: Caller,
    key: RequestKey,
    Id(vendor): Id<VendorId>,
    body: JsonBody<ProductInput>,
) -> Result<Response> {
    may_know_of(caller.principal, Action::EditGoods, vendor)?;
    let key = key.of(&caller, &body.raw);
    let product = body.value.checked(&Mint::new(shop.clock(), key))?;
    if let Some(category) = &product.category
        && !query(&settings, services.categories.may_be_named(category)).await?
    {
        let mut faults = Faults::default();
        faults.add("category", "there is no such category");
        faults.done(&INVALID_BODY)?;
    }
    let command = VendorCommand::AddProduct { by: caller.principal, product };
    let how = Ask { within: settings.request_timeout, key, fresh: false };
    match ask::<Vendor>(&shop, vendor, command, how).await? {
        (VendorReply::Product { product, skus }, replayed) => {
            let body = VendorProductBody::new(&product, &skus);
            Ok(mark_replayed(json(StatusCode::CREATED, &body), replayed))
        }
        (other, _) => Err(unexpected(&other)),
    }
}

/// A vendor's own people know of no other. The entity says so too; here it is said before the body is looked at.
pub fn may_know_of(by: Principal, action: Action, vendor: VendorId) -> Result<()> {
    match may(by, action, &vendor) {
        true => Ok(()),
        false => Err(Reject::VendorUnknown.into()),
    }
}
