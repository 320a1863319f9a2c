//! Products as anyone may see them: a list from the read tables, and one from the catalogue cache.

use crate::actors::catalog::Listing;
use crate::actors::shop::Shop;
use crate::domain::ids::{ProductId, SkuId, VendorId};
use crate::domain::reject::Reject;
use crate::domain::rows::ProductRow;
use crate::domain::text::TextKind;
use crate::http::answer::ok;
use crate::http::error::{INVALID_QUERY, Result, UNAVAILABLE};
use crate::http::extract::{Id, Query, parse_id};
use crate::http::money::{Moment, MoneyBody, Page};
use crate::http::openapi::{FILTERS, LISTS, READS, problems};
use crate::http::page::{List, Paging};
use crate::http::services::Services;
use crate::http::valid::{Faults, filled, filled_text};
use crate::http::{Settings, query};
use crate::limits;
use crate::ports::ProductFilter;
use axum::extract::State;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::{IntoParams, ToSchema};

/// Which products to list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ProductQuery {
    /// Items on the page.
    #[param(minimum = 1, maximum = 200, default = 50)]
    #[serde(default, deserialize_with = "filled")]
    limit: Option<u32>,
    /// What an earlier page gave as `next_cursor`.
    #[param(pattern = "^([0-9a-f]{64})?$")]
    #[serde(default, deserialize_with = "filled")]
    cursor: Option<String>,
    /// Only this vendor's.
    #[param(pattern = "^(vendor_[0-7][0-9a-hjkmnp-tv-z]{25})?$", example = "vendor_01h2xcejqtf2nbrexx3vqjhp41")]
    #[serde(default, deserialize_with = "filled")]
    vendor: Option<String>,
    /// Only of this category: by its id with those below it, or by a name as it stands in products.
    #[param(max_length = 200, pattern = r"^[^\u0000-\u001f\u007f-\u009f]*$")]
    #[serde(default, deserialize_with = "filled_text")]
    category: Option<String>,
    /// Only those whose title contains this, in any case.
    #[param(max_length = 200, pattern = r"^[^\u0000-\u001f\u007f-\u009f]*$")]
    #[serde(default, deserialize_with = "filled_text")]
    q: Option<String>,
}

/// A product with its SKUs.
#[derive(Debug, Serialize, ToSchema)]
pub struct ProductBody {
    id: ProductId,
    vendor_id: VendorId,
    #[schema(example = "Jamdani saree")]
    title: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    category: Option<String>,
    created_at: Moment,
    skus: Vec<ProductSkuBody>,
}

/// A SKU of a product.
#[derive(Debug, Serialize, ToSchema)]
pub struct ProductSkuBody {
    id: SkuId,
    #[schema(example = "JAM-RED")]
    code: String,
    price: MoneyBody,
    /// Pieces that can be bought.
    available: i64,
}

impl ProductBody {
    fn new(product: ProductRow, skus: impl IntoIterator<Item = Listing>) -> Self {
        let sku = |Listing { sku, available, price, .. }: Listing| ProductSkuBody {
            id: sku.id,
            code: sku.code.clone(),
            price: MoneyBody(price),
            available,
        };
        Self {
            id: product.id,
            vendor_id: product.vendor_id,
            title: product.title,
            description: product.description,
            category: product.category,
            created_at: Moment(product.created_at),
            skus: skus.into_iter().map(sku).collect(),
        }
    }
}

problems!(ListProductsProblems: LISTS, FILTERS; VendorUnknown);

/// Products, the newest first
#[utoipa::path(get, path = "/v1/products", tag = "catalog", params(ProductQuery),
    responses((status = 200, description = "A page of products.", body = Page<ProductBody>), ListProductsProblems))]
pub async fn list_products(
    State(shop): State<Shop>,
    State(settings): State<Arc<Settings>>,
    State(services): State<Services>,
    Query(mut asked): Query<ProductQuery>,
) -> Result<Response> {
    let mut faults = Faults::default();
    faults.optional("category", asked.category.as_mut(), TextKind::Line, limits::SHORT_TEXT);
    faults.optional("q", asked.q.as_mut(), TextKind::Line, limits::SHORT_TEXT);
    faults.done(&INVALID_QUERY)?;
    let vendor = asked.vendor.as_deref().map(parse_id).transpose()?;
    // The list is known by what was asked: what stands below a category may be another by the next page.
    let list = List::new("/v1/products", &(vendor, &asked.category, &asked.q));
    let paging = Paging::new(list, asked.limit, asked.cursor.as_deref())?;
    let categories = match asked.category {
        None => Vec::new(),
        Some(name) => query(&settings, services.categories.meant_by(name)).await?,
    };
    let filter = ProductFilter { vendor, categories, text: asked.q };
    let after = paging.after.map(|(at, id)| (at, ProductId::from_uuid(id)));
    // Read before the rows: what they hold may be newer than what is said, never older.
    let as_of = shop.as_of();
    let rows = query(&settings, shop.queries().products(&filter, after, paging.to_ask())).await?;
    let (directory, now) = (shop.catalog()?, shop.clock().now());
    let page = paging.page(
        rows,
        as_of,
        |row| (row.created_at, row.id.uuid()),
        |row| {
            let skus: Vec<Listing> = row.sku_ids.iter().filter_map(|sku| directory.sku(*sku, now)).collect();
            ProductBody::new(row, skus)
        },
    );
    Ok(ok(&page))
}

problems!(GetProductProblems: READS, &[&UNAVAILABLE]; ProductUnknown);

/// A product in its last durable state
#[utoipa::path(get, path = "/v1/products/{product}", tag = "catalog",
    params(("product" = ProductId, Path, description = "The product")),
    responses((status = 200, description = "The product.", body = ProductBody), GetProductProblems))]
pub async fn get_product(State(shop): State<Shop>, Id(id): Id<ProductId>) -> Result<Response> {
    let (product, skus) = shop.catalog()?.product(id, shop.clock().now()).ok_or(Reject::ProductUnknown)?;
    Ok(ok(&ProductBody::new((*product).clone(), skus)))
}
