//! Many products at once: the import of a catalogue. Each item stands for itself, and its `ref` is its key: an item that is there already is left as it
//! is. So whoever is cut off sends the same again.

use crate::actors::shop::{Ask, Shop};
use crate::domain::entity::Principal;
use crate::domain::ids::{ProductId, SkuId, VendorId};
use crate::domain::record::IdempotencyKey;
use crate::domain::reject::Reject;
use crate::domain::text::{TextKind, code_key};
use crate::domain::vendor::{NewProduct, Vendor, VendorCommand};
use crate::domain::who::Action;
use crate::http::Settings;
use crate::http::answer::{ask, ok};
use crate::http::caller::Caller;
use crate::http::error::{FieldError, INVALID_BODY, OUTCOME_UNKNOWN, OVERLOADED, Problem, Result, UNAVAILABLE};
use crate::http::extract::{Id, TableBody};
use crate::http::goods::{ProductInput, SkuInput, check_category};
use crate::http::idempotency::{IdempotencyHeader, Mint, RequestKey, hash};
use crate::http::object::only_objects;
use crate::http::once::Once;
use crate::http::openapi::{BODY, KEYED, problems};
use crate::http::services::{Services, written};
use crate::http::valid::Faults;
use crate::http::vendors::may_know_of;
use crate::limits;
use crate::ports::Clock;
use axum::extract::State;
use axum::response::Response;
use futures::{StreamExt as _, stream};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::sync::Arc;
use utoipa::ToSchema;
use uuid::Uuid;

/// Products to be added.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(remote = "Self", deny_unknown_fields)]
#[schema(example = json!({"items": [{
    "ref": "erp-4711", "title": "Jamdani saree", "category": "sarees",
    "skus": [{"code": "JAM-RED", "price": {"amount": "1250.00", "currency": "BDT"}, "on_hand": 100}]
}]}))]
pub struct BatchInput {
    /// The products.
    #[schema(min_items = 1, max_items = 500)]
    items: Vec<BatchItem>,
}

/// A product to be added, with a name of the caller's own.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(remote = "Self", deny_unknown_fields)]
pub struct BatchItem {
    /// What the vendor calls it: the product's id follows from this.
    #[schema(min_length = 1, max_length = 200, pattern = r"^[^\u0000-\u001f\u007f-\u009f]*$")]
    r#ref: String,
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

only_objects!(BatchInput, BatchItem);

/// What became of each item, in their order.
#[derive(Debug, Serialize, ToSchema)]
pub struct BatchBody {
    items: Vec<BatchItemBody>,
}

/// What became of an item.
#[derive(Debug, Serialize, ToSchema)]
pub struct BatchItemBody {
    #[schema(example = "erp-4711")]
    r#ref: String,
    /// `created`; `unchanged` of one that was there already; or `refused`, with why.
    #[schema(example = "created")]
    status: &'static str,
    /// The product.
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<ProductId>,
    /// Why it was refused, as the code of a problem. What says `overloaded`, `unavailable` or `outcome_unknown` may be sent again.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = json!(null))]
    code: Option<&'static str>,
    /// The fields at fault, as paths into the item.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(example = json!([]))]
    errors: Vec<FieldError>,
}

impl BatchItemBody {
    fn refused(r#ref: String, problem: &Problem) -> Self {
        Self { r#ref, status: "refused", id: None, code: Some(problem.kind().code), errors: problem.errors().to_vec() }
    }
}

impl BatchItem {
    /// The product that is asked for. Its id follows from the vendor and the ref; those of its SKUs from all that it is to be, so that the vendor tells
    /// one that was added before from another under the same ref.
    fn checked(self, vendor: VendorId, clock: &dyn Clock) -> Result<NewProduct> {
        let Self { r#ref, title, description, category, skus } = self;
        let (no_product, no_sku) = (ProductId::from_uuid(Uuid::nil()), |_| SkuId::from_uuid(Uuid::nil()));
        let plain = ProductInput { title, description, category, skus }.checked(no_product, no_sku)?;
        // String keys and no failing Serialize: this cannot fail.
        let said = serde_json::to_vec(&plain).unwrap_or_default();
        let key = hash(&[vendor.uuid().as_bytes(), r#ref.as_bytes()]);
        let mint = Mint::new(clock, Some(IdempotencyKey { key, body: hash(&[&said]) }));
        let (id, mut skus) = (ProductId::from_uuid(mint.uuid(ProductId::PREFIX, 0)), plain.skus);
        for (index, sku) in skus.iter_mut().enumerate() {
            sku.id = SkuId::from_uuid(mint.uuid_of_body(SkuId::PREFIX, index));
        }
        Ok(NewProduct { id, skus, ..plain })
    }
}

problems!(CreateProductsProblems: KEYED, BODY, &[&OVERLOADED, &UNAVAILABLE, &OUTCOME_UNKNOWN]; VendorUnknown);

/// Add many products at once
///
/// Each item is added or refused by itself, and its `ref` is its key: one that was added before is `unchanged`, whatever was changed of it since. So the
/// same may be sent again after a failure. An item that says something else under a `ref` that is known is refused with `idempotency_key_reused`.
#[utoipa::path(post, path = "/v1/vendors/{vendor}/products/batch", tag = "vendors", security(("bearer" = [])),
    params(("vendor" = VendorId, Path, description = "The vendor"), IdempotencyHeader), request_body = BatchInput,
    responses((status = 200, description = "What became of each.", body = BatchBody), CreateProductsProblems))]
pub async fn create_products(
    State(shop): State<Shop>,
    State(settings): State<Arc<Settings>>,
    State(services): State<Services>,
    caller: Caller,
    key: RequestKey,
    Id(vendor): Id<VendorId>,
    body: TableBody<BatchInput>,
) -> Result<Response> {
    may_know_of(caller.principal, Action::EditGoods, vendor)?;
    let key = key.of(&caller, &body.raw);
    let items = body.value.checked()?;
    shop.catalog()?.vendor(vendor).ok_or(Reject::VendorUnknown)?;
    let once = Once::new(&services, &settings, key);
    if let Some(answer) = once.answered().await? {
        return Ok(answer);
    }
    let desk = Desk { shop: &shop, settings: &settings, services: &services, vendor, by: caller.principal };
    let items = stream::iter(items).map(|item| desk.add(item)).buffered(limits::BATCH_AT_ONCE).collect().await;
    let body = BatchBody { items };
    if let Some(answer) = once.keep(StatusCode::OK, &body)
        && !written(&settings, services.kept.keep(&answer)).await?
        && let Some(first) = once.answered().await?
    {
        return Ok(first);
    }
    Ok(ok(&body))
}

impl BatchInput {
    fn checked(self) -> Result<Vec<BatchItem>> {
        let (mut faults, mut seen) = (Faults::default(), HashSet::new());
        if !(1..=limits::BATCH_ITEMS).contains(&self.items.len()) {
            faults.add("items", format!("1 to {} are expected", limits::BATCH_ITEMS));
        }
        let mut items = self.items;
        for (index, item) in items.iter_mut().enumerate().take(limits::BATCH_ITEMS) {
            let field = format!("items[{index}].ref");
            faults.text(&field, &mut item.r#ref, TextKind::Code, limits::SHORT_TEXT);
            item.r#ref = code_key(&item.r#ref);
            if !seen.insert(item.r#ref.clone()) {
                faults.add(field, "it stands here twice");
            }
        }
        faults.done(&INVALID_BODY).map(|()| items)
    }
}

/// Who adds, and to whom.
struct Desk<'a> {
    shop: &'a Shop,
    settings: &'a Settings,
    services: &'a Services,
    vendor: VendorId,
    by: Principal,
}

impl Desk<'_> {
    async fn add(&self, item: BatchItem) -> BatchItemBody {
        let name = item.r#ref.clone();
        match self.added(item).await {
            Ok((id, was_there)) => {
                let status = if was_there { "unchanged" } else { "created" };
                BatchItemBody { r#ref: name, status, id: Some(id), code: None, errors: Vec::new() }
            }
            Err(problem) => BatchItemBody::refused(name, &problem),
        }
    }

    /// Its id, and whether it was there before.
    async fn added(&self, item: BatchItem) -> Result<(ProductId, bool)> {
        let product = item.checked(self.vendor, self.shop.clock())?;
        check_category(product.category.as_deref(), self.services, self.settings).await?;
        let id = product.id;
        // What is shown is durable: one that is shown was there.
        let was_there = self.shop.catalog()?.has_product(id);
        let command = VendorCommand::AddProduct { by: self.by, product };
        let how = Ask { within: self.settings.request_timeout, key: None, fresh: false };
        ask::<Vendor>(self.shop, self.vendor, command, how).await?;
        Ok((id, was_there))
    }
}
