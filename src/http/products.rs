//! Products as anyone may see them: a list from the read tables, and one from the catalogue cache.

use crate::actors::catalog::Listing;
use crate::actors::shop::Shop;
use crate::domain::ids::{ProductId, SkuId, VendorId};
use crate::domain::money::{Currency, Money};
use crate::domain::reject::Reject;
use crate::domain::rows::ProductRow;
use crate::domain::text::{TextKind, words};
use crate::domain::time::Timestamp;
use crate::domain::vendor::{GoodsStatus, VendorStatus};
use crate::http::answer::ok;
use crate::http::error::{INVALID_QUERY, Result, UNAVAILABLE};
use crate::http::extract::{Id, Query, parse_id};
use crate::http::money::{Moment, MoneyBody, Page};
use crate::http::openapi::{FILTERS, LISTS, READS, problems};
use crate::http::page::{List, Paging, Place};
use crate::http::services::Services;
use crate::http::valid::{Faults, filled, filled_text};
use crate::http::{Settings, query};
use crate::limits;
use crate::ports::{Listed, PriceRange, ProductFilter, ProductOrder, SearchTerm};
use crate::services::categories::Tree;
use axum::extract::State;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use std::str::FromStr;
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
    /// Only those that have all these words, up to eight, in their title, description, category or codes: in any case, however their letters are
    /// put together. The last may be the beginning of a word, from two characters on.
    #[param(max_length = 200, pattern = r"^[^\u0000-\u001f\u007f-\u009f]*$")]
    #[serde(default, deserialize_with = "filled_text")]
    q: Option<String>,
    /// Only those that cost this at least, in `currency`: by the least list price of their SKUs.
    #[param(pattern = r"^([0-9]{1,13}(\.[0-9]{1,4})?)?$", example = "100.00")]
    #[serde(default, deserialize_with = "filled_text")]
    min_price: Option<String>,
    /// Only those that cost this at most.
    #[param(pattern = r"^([0-9]{1,13}(\.[0-9]{1,4})?)?$", example = "2500.00")]
    #[serde(default, deserialize_with = "filled_text")]
    max_price: Option<String>,
    /// The currency of both prices; the shop's own without it.
    #[param(pattern = "^([A-Z]{3})?$", example = "BDT")]
    #[serde(default, deserialize_with = "filled_text")]
    currency: Option<String>,
    /// Only those of which there are pieces, or only those of which there are none.
    #[serde(default, deserialize_with = "filled")]
    in_stock: Option<bool>,
    /// In which order: the newest first without it. In that of prices are those alone that have one.
    #[param(value_type = Option<String>, pattern = "^(newest|price|-price)?$", example = "price")]
    #[serde(default, deserialize_with = "filled")]
    sort: Option<Sort>,
}

/// In which order products are listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sort(ProductOrder);

impl FromStr for Sort {
    type Err = &'static str;
    fn from_str(name: &str) -> std::result::Result<Self, Self::Err> {
        match name {
            "newest" => Ok(Self(ProductOrder::Newest)),
            "price" => Ok(Self(ProductOrder::Cheapest)),
            "-price" => Ok(Self(ProductOrder::Dearest)),
            _ => Err("newest, price or -price is expected"),
        }
    }
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
    /// Whether it is for sale: `active`, `archived`, or `suspended` with all of its vendor's.
    #[schema(example = "active")]
    status: &'static str,
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
    /// Whether it is for sale, as its product.
    #[schema(example = "active")]
    status: &'static str,
}

/// How goods stand to whoever would buy them.
pub(super) const fn status_of(archived: bool, vendor_suspended: bool) -> &'static str {
    match (vendor_suspended, archived) {
        (true, _) => VendorStatus::Suspended.name(),
        (false, archived) => GoodsStatus::of(archived).name(),
    }
}

impl ProductBody {
    fn new(product: ProductRow, skus: impl IntoIterator<Item = Listing>, suspended: bool) -> Self {
        let sku = |Listing { sku, available, price, .. }: Listing| ProductSkuBody {
            status: status_of(sku.archived, suspended),
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
            status: status_of(product.status.is_archived(), suspended),
            created_at: Moment(product.created_at),
            skus: skus.into_iter().map(sku).collect(),
        }
    }
}

impl ProductQuery {
    /// Which prices are asked for; `None` for any.
    fn price(&self, own: Currency, faults: &mut Faults) -> Option<PriceRange> {
        let currency = match self.currency.as_deref().map(Currency::of_money) {
            None => own,
            Some(Ok(currency)) => currency,
            Some(Err(error)) => {
                faults.add("currency", error.to_string());
                return None;
            }
        };
        let mut bound = |field: &'static str, amount: Option<&str>| {
            let parsed = Money::parse(amount?, currency);
            parsed.map_err(|error| faults.add(field, error.to_string())).ok().map(|money| money.minor)
        };
        let (least, most) =
            (bound("min_price", self.min_price.as_deref()), bound("max_price", self.max_price.as_deref()));
        let is_asked = self.min_price.is_some() || self.max_price.is_some();
        is_asked.then(|| PriceRange { currency, least: least.unwrap_or(0), most: most.unwrap_or(i64::MAX) })
    }

    /// The words that are looked for; none of a text without any.
    fn words(&self, faults: &mut Faults) -> Option<Vec<String>> {
        let mut found: Vec<String> = Vec::new();
        for word in words::of(self.q.as_deref()?) {
            // One that comes again stands where it came last: as the last word it may be the beginning of one.
            found.retain(|known| *known != word);
            found.push(word);
        }
        if found.len() > limits::SEARCH_WORDS {
            faults.add("q", format!("at most {} words are looked for", limits::SEARCH_WORDS));
        }
        Some(found)
    }
}

problems!(ListProductsProblems: LISTS, FILTERS; VendorUnknown);

/// Products that are for sale
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
    let words = asked.words(&mut faults);
    let price = asked.price(settings.currency, &mut faults);
    faults.done(&INVALID_QUERY)?;
    let vendor = asked.vendor.as_deref().map(parse_id).transpose()?;
    let order = asked.sort.map_or(ProductOrder::Newest, |Sort(order)| order);
    // The list is known by what was asked: what stands below a category may be another by the next page.
    let list = List::new("/v1/products", &(vendor, &asked.category, &words, price, asked.in_stock, order));
    let paging = Paging::new(list, asked.limit, asked.cursor.as_deref())?;
    let categories = match asked.category {
        None => Vec::new(),
        Some(name) => query(&settings, services.categories.meant_by(name)).await?,
    };
    let terms = match words {
        None => Vec::new(),
        Some(words) if words.is_empty() => {
            return Ok(ok(&paging.page(Vec::new(), shop.as_of(), |_: &()| Place::default(), |()| ())));
        }
        Some(words) => {
            let tree = query(&settings, services.categories.tree()).await?;
            terms(words, &tree)
        }
    };
    let filter = ProductFilter { vendor, categories, terms, price, in_stock: asked.in_stock, status: Listed::ForSale };
    Ok(ok(&page_of(&shop, &settings, &filter, order, paging).await?))
}

/// The words, each with the categories whose names have it.
fn terms(words: Vec<String>, tree: &Tree) -> Vec<SearchTerm> {
    let last = words.len().saturating_sub(1);
    let term = |(place, word): (usize, String)| {
        let is_prefix = place == last && word.chars().count() >= limits::SEARCH_PREFIX;
        let categories = tree.named_by(&word, is_prefix).take(limits::SEARCH_CATEGORIES).collect();
        SearchTerm { word, is_prefix, categories }
    };
    words.into_iter().enumerate().map(term).collect()
}

/// A page of products, as anyone sees them.
pub(super) async fn page_of(
    shop: &Shop,
    settings: &Settings,
    filter: &ProductFilter,
    order: ProductOrder,
    paging: Paging,
) -> Result<Page<ProductBody>> {
    let after = paging.after.map(|(at, id)| (at.as_millis(), ProductId::from_uuid(id)));
    // Read before the rows: what they hold may be newer than what is said, never older.
    let as_of = shop.as_of();
    let rows = query(settings, shop.queries().products(filter, order, after, paging.to_ask())).await?;
    let (catalog, now) = (shop.catalog()?, shop.clock().now());
    let place = |row: &ProductRow| {
        let at = match order {
            ProductOrder::Newest => row.created_at,
            // A cursor holds a moment and an id: here the number in its place is a price.
            ProductOrder::Cheapest | ProductOrder::Dearest => {
                Timestamp::from_millis(row.price.map_or(0, |price| price.minor))
            }
        };
        (at, row.id.uuid())
    };
    Ok(paging.page(rows, as_of, place, |row| {
        let skus: Vec<Listing> = row.sku_ids.iter().filter_map(|sku| catalog.sku(*sku, now)).collect();
        let suspended = catalog.is_suspended(row.vendor_id);
        ProductBody::new(row, skus, suspended)
    }))
}

problems!(GetProductProblems: READS, &[&UNAVAILABLE]; ProductUnknown);

/// A product in its last durable state
#[utoipa::path(get, path = "/v1/products/{product}", tag = "catalog",
    params(("product" = ProductId, Path, description = "The product")),
    responses((status = 200, description = "The product.", body = ProductBody), GetProductProblems))]
pub async fn get_product(State(shop): State<Shop>, Id(id): Id<ProductId>) -> Result<Response> {
    let catalog = shop.catalog()?;
    let (product, skus) = catalog.product(id, shop.clock().now()).ok_or(Reject::ProductUnknown)?;
    let suspended = catalog.is_suspended(product.vendor_id);
    Ok(ok(&ProductBody::new((*product).clone(), skus, suspended)))
}
