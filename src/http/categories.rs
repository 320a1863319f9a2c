//! The tree of categories.

use crate::actors::shop::Shop;
use crate::domain::ids::CategoryId;
use crate::domain::text::TextKind;
use crate::http::answer::{json, ok};
use crate::http::caller::Caller;
use crate::http::error::{
    self, CATEGORIES_FULL, CATEGORY_CYCLE, CATEGORY_NAME_TAKEN, CATEGORY_UNKNOWN, FieldError, INVALID_BODY, Problem,
    ProblemKind, Result,
};
use crate::http::extract::{Id, JsonBody, PathId as _, Query};
use crate::http::idempotency::{IdempotencyHeader, Mint, RequestKey};
use crate::http::money::{Moment, Page};
use crate::http::object::only_objects;
use crate::http::once::Once;
use crate::http::openapi::{AUTH, BODY, KEYED, LISTS, READS, problems};
use crate::http::page::{List, PageQuery};
use crate::http::services::{Services, written};
use crate::http::valid::{Faults, given};
use crate::http::{Settings, query};
use crate::limits;
use crate::services::categories::{Category, Outcome, Patch, Placed, Refusal};
use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;

/// A category.
#[derive(Debug, Serialize, ToSchema)]
pub struct CategoryBody {
    id: CategoryId,
    /// The category it stands below; absent at the top.
    #[serde(skip_serializing_if = "Option::is_none")]
    parent_id: Option<CategoryId>,
    #[schema(example = "Sarees")]
    name: String,
    /// How its products are taxed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "textiles")]
    tax_category: Option<String>,
    created_at: Moment,
}

impl From<Category> for CategoryBody {
    fn from(category: Category) -> Self {
        let Category { id, parent_id, name, tax_category, created_at } = category;
        Self { id, parent_id, name, tax_category, created_at: Moment(created_at) }
    }
}

/// A category that is to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(remote = "Self", deny_unknown_fields)]
#[schema(example = json!({"name": "Sarees", "tax_category": "textiles"}))]
pub struct CategoryInput {
    /// What people call it. No sibling has the same name, in whatever case.
    #[schema(min_length = 1, max_length = 200, pattern = r"^[^\u0000-\u001f\u007f-\u009f]*$")]
    name: String,
    /// The category it stands below; absent at the top.
    #[schema(value_type = Option<CategoryId>)]
    parent_id: Option<String>,
    /// How its products are taxed.
    #[schema(min_length = 1, max_length = 200, pattern = r"^[^\u0000-\u001f\u007f-\u009f]*$")]
    tax_category: Option<String>,
}

/// What is to be another; what is absent stays as it is.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(remote = "Self", deny_unknown_fields)]
#[schema(example = json!({"name": "Jamdani sarees", "parent_id": null}))]
pub struct CategoryPatch {
    /// What people call it.
    #[schema(min_length = 1, max_length = 200, pattern = r"^[^\u0000-\u001f\u007f-\u009f]*$", nullable = false)]
    #[serde(default, deserialize_with = "given")]
    name: Option<String>,
    /// The category it is to stand below; null for the top. All that stands below it goes with it.
    #[schema(value_type = Option<CategoryId>)]
    #[serde(default, deserialize_with = "given")]
    parent_id: Option<Option<String>>,
    /// How its products are taxed; null for nothing said.
    #[schema(min_length = 1, max_length = 200, pattern = r"^[^\u0000-\u001f\u007f-\u009f]*$")]
    #[serde(default, deserialize_with = "given")]
    tax_category: Option<Option<String>>,
}

only_objects!(CategoryInput, CategoryPatch);

const NO_PARENT: &str = "there is no such category";

/// The id in a body, of which one that makes no sense is as one that nothing has.
fn parent(faults: &mut Faults, text: Option<String>) -> Option<CategoryId> {
    let parsed = text?.parse();
    if parsed.is_err() {
        faults.add("parent_id", NO_PARENT);
    }
    parsed.ok()
}

impl CategoryInput {
    fn checked(self, mint: &Mint<'_>, services: &Services) -> Result<Category> {
        let Self { mut name, parent_id, mut tax_category } = self;
        let mut faults = Faults::default();
        faults.text("name", &mut name, TextKind::Line, limits::SHORT_TEXT);
        if let Some(tax_category) = &mut tax_category {
            faults.text("tax_category", tax_category, TextKind::Line, limits::SHORT_TEXT);
        }
        let parent_id = parent(&mut faults, parent_id);
        faults.done(&INVALID_BODY)?;
        // A request that comes again after its answer was forgotten asks for the same category; another body under its key for another.
        let id = CategoryId::from_uuid(mint.uuid_of_body(CategoryId::PREFIX, 0));
        Ok(Category { id, parent_id, name, tax_category, created_at: services.clock.now() })
    }
}

impl CategoryPatch {
    fn checked(self) -> Result<Patch> {
        let Self { mut name, parent_id, mut tax_category } = self;
        let mut faults = Faults::default();
        if let Some(name) = &mut name {
            faults.text("name", name, TextKind::Line, limits::SHORT_TEXT);
        }
        if let Some(Some(tax_category)) = &mut tax_category {
            faults.text("tax_category", tax_category, TextKind::Line, limits::SHORT_TEXT);
        }
        let parent_id = parent_id.map(|text| parent(&mut faults, text));
        faults.done(&INVALID_BODY)?;
        Ok(Patch { name, parent_id, tax_category })
    }
}

// What is told of these limits.
const _: () = assert!(limits::CATEGORY_DEPTH == 8 && limits::CATEGORIES == 10_000);

/// The table from refusals to problems.
const fn told(refusal: Refusal) -> (&'static ProblemKind, &'static str) {
    match refusal {
        Refusal::Unknown => (&CATEGORY_UNKNOWN, NO_PARENT),
        Refusal::ParentUnknown => (&INVALID_BODY, NO_PARENT),
        Refusal::Cycle => (&CATEGORY_CYCLE, "it would stand below itself"),
        Refusal::TooDeep => (&CATEGORY_CYCLE, "the tree may have eight levels"),
        Refusal::NameTaken => (&CATEGORY_NAME_TAKEN, "a category beside it has this name"),
        Refusal::TooMany => (&CATEGORIES_FULL, "a shop may have 10,000 categories"),
    }
}

fn problem_of(refusal: Refusal) -> Problem {
    let (kind, detail) = told(refusal);
    let problem = Problem::new(kind, detail);
    match refusal {
        Refusal::ParentUnknown => {
            problem.with_errors(vec![FieldError { field: "parent_id".into(), detail: detail.into() }])
        }
        _ => problem,
    }
}

problems!(ListCategoriesProblems: LISTS);

/// Categories, each followed by those below it
///
/// The list is the tree: siblings in the order of their names, and behind each what stands below it.
#[utoipa::path(get, path = "/v1/categories", tag = "catalog", params(PageQuery),
    responses((status = 200, description = "A page of categories.", body = Page<CategoryBody>), ListCategoriesProblems))]
pub async fn list_categories(
    State(shop): State<Shop>,
    State(services): State<Services>,
    State(settings): State<Arc<Settings>>,
    Query(asked): Query<PageQuery>,
) -> Result<Response> {
    let paging = asked.paging(List::new("/v1/categories", &()))?;
    shop.catalog()?;
    let as_of = services.clock.now();
    let tree = query(&settings, services.categories.tree()).await?;
    let rest = paging.after.map_or(tree.all(), |(_, id)| tree.after(CategoryId::from_uuid(id)));
    let rows: Vec<&Placed> = rest.iter().take(paging.to_ask() as usize).collect();
    let place = |row: &&Placed| (crate::domain::time::Timestamp::default(), row.category.id.uuid());
    Ok(ok(&paging.page(rows, as_of, place, |row| CategoryBody::from(row.category.clone()))))
}

problems!(GetCategoryProblems: READS, &[&CATEGORY_UNKNOWN, &error::UNAVAILABLE]);

/// A category
#[utoipa::path(get, path = "/v1/categories/{category}", tag = "catalog",
    params(("category" = CategoryId, Path, description = "The category")),
    responses((status = 200, description = "The category.", body = CategoryBody), GetCategoryProblems))]
pub async fn get_category(
    State(shop): State<Shop>,
    State(services): State<Services>,
    State(settings): State<Arc<Settings>>,
    Id(id): Id<CategoryId>,
) -> Result<Response> {
    shop.catalog()?;
    let tree = query(&settings, services.categories.tree()).await?;
    let there = tree.get(id).ok_or_else(CategoryId::unknown)?;
    Ok(ok(&CategoryBody::from(there.category.clone())))
}

problems!(CreateCategoryProblems: KEYED, BODY, &[
    &CATEGORY_CYCLE, &CATEGORY_NAME_TAKEN, &CATEGORIES_FULL, &error::OVERLOADED, &error::UNAVAILABLE, &error::OUTCOME_UNKNOWN,
]);

/// Make a category
#[utoipa::path(post, path = "/v1/categories", tag = "catalog", security(("bearer" = [])), params(IdempotencyHeader),
    request_body = CategoryInput,
    responses((status = 201, description = "The category.", body = CategoryBody), CreateCategoryProblems))]
pub async fn create_category(
    State(shop): State<Shop>,
    State(services): State<Services>,
    State(settings): State<Arc<Settings>>,
    caller: Caller,
    key: RequestKey,
    body: JsonBody<CategoryInput>,
) -> Result<Response> {
    let key = key.of(&caller, &body.raw);
    let new = body.value.checked(&Mint::new(&*services.clock, key), &services)?;
    shop.may_change()?;
    let once = Once::new(&services, &settings, key);
    if let Some(answer) = once.answered().await? {
        return Ok(answer);
    }
    let keep = |category: &Category| once.keep(StatusCode::CREATED, &CategoryBody::from(category.clone()));
    match written(&settings, services.categories.create(new, &keep)).await? {
        Outcome::Done(category) => Ok(json(StatusCode::CREATED, &CategoryBody::from(category))),
        Outcome::There(category) => {
            let first = once.answered().await?;
            Ok(first.unwrap_or_else(|| json(StatusCode::CREATED, &CategoryBody::from(category))))
        }
        Outcome::Answered => once.answered().await?.ok_or_else(|| {
            Problem::new(&error::OUTCOME_UNKNOWN, "the same request was answered, and its answer is gone: ask again")
        }),
        Outcome::Refused(refusal @ (Refusal::Unknown | Refusal::ParentUnknown)) => Err(problem_of(refusal)),
        Outcome::Refused(refusal) => {
            let (kind, detail) = told(refusal);
            once.refused(kind, detail).await
        }
    }
}

problems!(PatchCategoryProblems: AUTH, BODY, &[
    &CATEGORY_UNKNOWN, &CATEGORY_CYCLE, &CATEGORY_NAME_TAKEN, &error::OVERLOADED, &error::UNAVAILABLE, &error::OUTCOME_UNKNOWN,
]);

/// Change a category, or have it stand elsewhere
#[utoipa::path(patch, path = "/v1/categories/{category}", tag = "catalog", security(("bearer" = [])),
    params(("category" = CategoryId, Path, description = "The category")), request_body = CategoryPatch,
    responses((status = 200, description = "The category.", body = CategoryBody), PatchCategoryProblems))]
pub async fn patch_category(
    State(shop): State<Shop>,
    State(services): State<Services>,
    State(settings): State<Arc<Settings>>,
    Id(id): Id<CategoryId>,
    body: JsonBody<CategoryPatch>,
) -> Result<Response> {
    let patch = body.value.checked()?;
    shop.may_change()?;
    match written(&settings, services.categories.patch(id, patch)).await? {
        Outcome::Done(category) | Outcome::There(category) => Ok(ok(&CategoryBody::from(category))),
        Outcome::Refused(refusal) => Err(problem_of(refusal)),
        Outcome::Answered => Err(Problem::new(&error::INTERNAL, "no answer is kept of a change")),
    }
}
