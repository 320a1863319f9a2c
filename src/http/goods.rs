//! A vendor's products, as its own people make and mend them.

use crate::actors::shop::{Ask, Shop};
use crate::domain::ids::{ProductId, SkuId, VendorId};
use crate::domain::record::IdempotencyKey;
use crate::domain::reject::RejectKind;
use crate::domain::text::TextKind;
use crate::domain::vendor::{
    GoodsStatus, NewProduct, NewSku, ProductChange, ProductView, SkuView, Vendor, VendorCommand, VendorReply,
};
use crate::domain::who::Action;
use crate::http::answer::{ask, json, mark_replayed, ok, unexpected};
use crate::http::caller::Caller;
use crate::http::error::{INVALID_BODY, Problem, ProblemKind, Result};
use crate::http::extract::{Id, Ids, JsonBody, Query};
use crate::http::idempotency::{IdempotencyHeader, Mint, RequestKey};
use crate::http::money::{MoneyBody, Page, PriceInput};
use crate::http::object::only_objects;
use crate::http::openapi::{ACTOR, AUTH, BODY, FILTERS, KEYED, LISTS, problems};
use crate::http::page::{List, Paging};
use crate::http::products::ProductBody;
use crate::http::services::Services;
use crate::http::valid::{Faults, Named, filled, given};
use crate::http::vendors::may_know_of;
use crate::http::{Settings, error, query};
use crate::limits;
use crate::ports::{Listed, ProductFilter, ProductOrder};
use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::{IntoParams, ToSchema};

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
    pub(super) title: String,
    /// What it is.
    #[schema(max_length = 4000, pattern = r"^[^\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f]*$")]
    pub(super) description: Option<String>,
    /// Where it is found.
    #[schema(max_length = 200, pattern = r"^[^\u0000-\u001f\u007f-\u009f]*$")]
    pub(super) category: Option<String>,
    /// Its variants, with codes that no other SKU of the vendor has.
    #[schema(min_items = 1, max_items = 100)]
    pub(super) skus: Vec<SkuInput>,
}

/// A SKU to be added.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(remote = "Self", deny_unknown_fields)]
#[schema(example = json!({"code": "JAM-BLUE", "price": {"amount": "1250.00", "currency": "BDT"}, "on_hand": 100}))]
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

/// A change of a product. What is not named stays as it is; `null` takes away.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(remote = "Self", deny_unknown_fields)]
#[schema(example = json!({"title": "Jamdani saree, red", "status": "active"}))]
pub struct ProductPatch {
    /// What it is called.
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false, min_length = 1, max_length = 200, pattern = r"^[^\u0000-\u001f\u007f-\u009f]*$")]
    title: Option<String>,
    /// What it is.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>, max_length = 4000, pattern = r"^[^\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f]*$")]
    description: Option<Option<String>>,
    /// Where it is found: the id of a category, or a name.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 200, pattern = r"^[^\u0000-\u001f\u007f-\u009f]*$")]
    category: Option<Option<String>>,
    /// Whether it is for sale, with all of its SKUs. What is held for orders stays held.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<GoodsStatus>, nullable = false)]
    status: Option<Named<GoodsStatus>>,
}

only_objects!(ProductInput, SkuInput, ProductPatch);

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
    /// Whether it is for sale.
    status: GoodsStatus,
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
    /// Whether it is for sale; archived when its product is.
    status: GoodsStatus,
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
            status: GoodsStatus::of(sku.archived),
        };
        Self {
            id: product.id,
            vendor_id: product.vendor_id,
            title: &product.title,
            description: product.description.as_deref(),
            category: product.category.as_deref(),
            status: GoodsStatus::of(product.archived),
            skus: skus.iter().map(sku).collect(),
        }
    }
}

impl SkuInput {
    /// The SKU, unless something is wrong with it; `at` is where it stands in the body.
    fn checked(mut self, at: &str, id: SkuId, faults: &mut Faults) -> Option<NewSku> {
        faults.text(&format!("{at}code"), &mut self.code, TextKind::Code, limits::SHORT_TEXT);
        let price = faults.price(&format!("{at}price"), &self.price)?;
        let Self { code, on_hand, .. } = self;
        Some(NewSku { id, code, price_minor: price.minor, currency: price.currency, on_hand })
    }
}

impl ProductPatch {
    fn checked(self) -> Result<ProductChange> {
        let Self { mut title, mut description, mut category, status } = self;
        let mut faults = Faults::default();
        if let Some(title) = &mut title {
            faults.text("title", title, TextKind::Line, limits::SHORT_TEXT);
        }
        faults.optional(
            "description",
            description.as_mut().and_then(Option::as_mut),
            TextKind::Lines,
            limits::LONG_TEXT,
        );
        if let Some(Some(category)) = &mut category {
            faults.text("category", category, TextKind::Line, limits::SHORT_TEXT);
        }
        faults.done(&INVALID_BODY)?;
        Ok(ProductChange { title, description, category, status: status.map(|Named(status)| status) })
    }
}

impl ProductInput {
    /// The product with this id and these of its SKUs, by their places.
    pub(super) fn checked(mut self, id: ProductId, sku_id: impl Fn(usize) -> SkuId) -> Result<NewProduct> {
        let mut faults = Faults::default();
        faults.text("title", &mut self.title, TextKind::Line, limits::SHORT_TEXT);
        faults.optional("description", self.description.as_mut(), TextKind::Lines, limits::LONG_TEXT);
        faults.optional("category", self.category.as_mut(), TextKind::Line, limits::SHORT_TEXT);
        if self.skus.is_empty() {
            faults.add("skus", "at least one is expected");
        }
        let mut skus = Vec::with_capacity(self.skus.len().min(limits::PRODUCT_SKUS));
        for (index, sku) in self.skus.into_iter().enumerate() {
            skus.extend(sku.checked(&format!("skus[{index}]."), sku_id(index), &mut faults));
        }
        faults.done(&INVALID_BODY)?;
        let Self { title, description, category, .. } = self;
        Ok(NewProduct { id, title, description, category, skus })
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
    let mint = Mint::new(shop.clock(), key);
    let id = ProductId::from_uuid(mint.uuid(ProductId::PREFIX, 0));
    let product = body.value.checked(id, |index| SkuId::from_uuid(mint.uuid_of_body(SkuId::PREFIX, index)))?;
    check_category(product.category.as_deref(), &services, &settings).await?;
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

/// A name of a category may be any; an id is that of one that there is.
pub(super) async fn check_category(category: Option<&str>, services: &Services, settings: &Settings) -> Result<()> {
    let mut faults = Faults::default();
    if let Some(category) = category
        && !query(settings, services.categories.may_be_named(category)).await?
    {
        faults.add("category", "there is no such category");
    }
    faults.done(&INVALID_BODY)
}

async fn shown(
    shop: &Shop,
    settings: &Settings,
    vendor: VendorId,
    command: VendorCommand,
    key: Option<IdempotencyKey>,
    status: StatusCode,
) -> Result<Response> {
    let how = Ask { within: settings.request_timeout, key, fresh: false };
    match ask::<Vendor>(shop, vendor, command, how).await? {
        (VendorReply::Product { product, skus }, replayed) => {
            Ok(mark_replayed(json(status, &VendorProductBody::new(&product, &skus)), replayed))
        }
        (other, _) => Err(unexpected(&other)),
    }
}

problems!(GetVendorProductProblems: AUTH, ACTOR; VendorUnknown, ProductUnknown);

/// A product with its stock
#[utoipa::path(get, path = "/v1/vendors/{vendor}/products/{product}", tag = "vendors", security(("bearer" = [])),
    params(("vendor" = VendorId, Path, description = "The vendor"), ("product" = ProductId, Path, description = "The product")),
    responses((status = 200, description = "The product.", body = VendorProductBody), GetVendorProductProblems))]
pub async fn get_vendor_product(
    State(shop): State<Shop>,
    State(settings): State<Arc<Settings>>,
    caller: Caller,
    Ids(vendor, product): Ids<VendorId, ProductId>,
) -> Result<Response> {
    let command = VendorCommand::GetProduct { by: caller.principal, product };
    shown(&shop, &settings, vendor, command, None, StatusCode::OK).await
}

problems!(PatchProductProblems: AUTH, BODY, ACTOR; VendorUnknown, ProductUnknown);

/// Change what a product says, or whether it is for sale
#[utoipa::path(patch, path = "/v1/vendors/{vendor}/products/{product}", tag = "vendors", security(("bearer" = [])),
    params(("vendor" = VendorId, Path, description = "The vendor"), ("product" = ProductId, Path, description = "The product")),
    request_body = ProductPatch,
    responses((status = 200, description = "The product.", body = VendorProductBody), PatchProductProblems))]
pub async fn patch_product(
    State(shop): State<Shop>,
    State(settings): State<Arc<Settings>>,
    State(services): State<Services>,
    caller: Caller,
    Ids(vendor, product): Ids<VendorId, ProductId>,
    body: JsonBody<ProductPatch>,
) -> Result<Response> {
    may_know_of(caller.principal, Action::EditGoods, vendor)?;
    let change = body.value.checked()?;
    check_category(change.category.as_ref().and_then(Option::as_deref), &services, &settings).await?;
    let command = VendorCommand::EditProduct { by: caller.principal, product, change: Box::new(change) };
    shown(&shop, &settings, vendor, command, None, StatusCode::OK).await
}

problems!(CreateSkuProblems: KEYED, BODY, ACTOR;
    VendorUnknown, ProductUnknown, PriceOutOfRange, StockOutOfRange, TooMany, SkuCodeTaken,
);

/// Add a SKU to a product
#[utoipa::path(post, path = "/v1/vendors/{vendor}/products/{product}/skus", tag = "vendors", security(("bearer" = [])),
    params(("vendor" = VendorId, Path, description = "The vendor"), ("product" = ProductId, Path, description = "The product"),
        IdempotencyHeader),
    request_body = SkuInput,
    responses((status = 201, description = "The product, with the SKU.", body = VendorProductBody), CreateSkuProblems))]
pub async fn create_sku(
    State(shop): State<Shop>,
    State(settings): State<Arc<Settings>>,
    caller: Caller,
    key: RequestKey,
    Ids(vendor, product): Ids<VendorId, ProductId>,
    body: JsonBody<SkuInput>,
) -> Result<Response> {
    may_know_of(caller.principal, Action::EditGoods, vendor)?;
    let key = key.of(&caller, &body.raw);
    let mut faults = Faults::default();
    let id = SkuId::from_uuid(Mint::new(shop.clock(), key).uuid_of_body(SkuId::PREFIX, 0));
    let sku = body.value.checked("", id, &mut faults);
    faults.done(&INVALID_BODY)?;
    let Some(sku) = sku else { return Err(Problem::new(&error::INTERNAL, "a SKU without a fault is there")) };
    let command = VendorCommand::AddSku { by: caller.principal, product, sku };
    // Where a refusal is about one of several SKUs of a body it says of which: here there is one.
    let of_one = |problem: Problem| match problem.kind() {
        kind if kind == ProblemKind::of(RejectKind::StockOutOfRange) => problem.about("on_hand"),
        kind if kind == ProblemKind::of(RejectKind::SkuCodeTaken) => problem.about("code"),
        _ => problem,
    };
    shown(&shop, &settings, vendor, command, key, StatusCode::CREATED).await.map_err(of_one)
}

/// Which of a vendor's products to list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct OwnProductQuery {
    /// Items on the page.
    #[param(minimum = 1, maximum = 200, default = 50)]
    #[serde(default, deserialize_with = "filled")]
    limit: Option<u32>,
    /// What an earlier page gave as `next_cursor`.
    #[param(pattern = "^([0-9a-f]{64})?$")]
    #[serde(default, deserialize_with = "filled")]
    cursor: Option<String>,
    /// Only those that are for sale, or only those that are archived.
    #[param(value_type = Option<GoodsStatus>)]
    #[serde(default, deserialize_with = "crate::http::valid::filled_name")]
    status: Option<GoodsStatus>,
}

problems!(ListVendorProductsProblems: AUTH, LISTS, FILTERS; VendorUnknown);

/// All products of a vendor, the newest first
#[utoipa::path(get, path = "/v1/vendors/{vendor}/products", tag = "vendors", security(("bearer" = [])),
    params(("vendor" = VendorId, Path, description = "The vendor"), OwnProductQuery),
    responses((status = 200, description = "A page of products.", body = Page<ProductBody>), ListVendorProductsProblems))]
pub async fn list_vendor_products(
    State(shop): State<Shop>,
    State(settings): State<Arc<Settings>>,
    caller: Caller,
    Id(vendor): Id<VendorId>,
    Query(asked): Query<OwnProductQuery>,
) -> Result<Response> {
    may_know_of(caller.principal, Action::SeeGoods, vendor)?;
    let list = List::new("/v1/vendors/products", &(vendor, asked.status));
    let paging = Paging::new(list, asked.limit, asked.cursor.as_deref())?;
    shop.catalog()?.vendor(vendor).ok_or(crate::domain::reject::Reject::VendorUnknown)?;
    let filter = ProductFilter { vendor: Some(vendor), status: Listed::Own(asked.status), ..ProductFilter::default() };
    let page = crate::http::products::page_of(&shop, &settings, &filter, ProductOrder::Newest, paging).await?;
    Ok(ok(&page))
}
