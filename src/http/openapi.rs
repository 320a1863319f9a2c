//! The OpenAPI document, generated from the handlers, and its pages. Each handler names the groups of problems it can end with;
//! here they become responses, one per status, with an example per code.

use crate::domain::ids::{SaleId, SkuId, VendorId};
use crate::domain::reject::RejectKind;
use crate::http::HttpState;
use crate::http::accounts::RefreshInput;
use crate::http::answer::Shared;
use crate::http::carts::Nothing;
use crate::http::error::{self, FieldError, PROBLEMS_PAGE, Problem, ProblemKind};
use crate::http::money::{Moment, MoneyBody};
use crate::http::refunds::CancelOrderInput;
use crate::http::routes;
use crate::http::schema;
use crate::http::shipments::{DeliverInput, PackInput, ShipmentInput};
use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{Html, IntoResponse};
use axum::routing::get;
use bytes::Bytes;
use dashmap::DashMap;
use http::header::{CONTENT_SECURITY_POLICY, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;
use utoipa::openapi::example::ExampleBuilder;
use utoipa::openapi::header::Header;
use utoipa::openapi::path::{Operation, Parameter, ParameterIn, PathItem};
use utoipa::openapi::response::{Response, ResponseBuilder};
use utoipa::openapi::schema::{ArrayBuilder, ComponentsBuilder, OneOfBuilder, Type};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::tag::TagBuilder;
use utoipa::openapi::{
    Content, ContentBuilder, InfoBuilder, LicenseBuilder, ObjectBuilder, OpenApi, Ref, RefOr, Required, Schema,
};
use utoipa::{PartialSchema, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_swagger_ui::SwaggerUi;

/// The status of whoever asks too often, as the document has it.
const TOO_MANY: &str = "429";

/// A group of problems.
pub type Group = &'static [&'static ProblemKind];

/// Of routes that need nothing but memory.
pub const READS: Group = &[];
/// Of routes that ask for a bearer.
pub const AUTH: Group = &[&error::UNAUTHORIZED, &error::FORBIDDEN];
/// Of POSTs with a bearer, which may carry an idempotency key.
pub const KEYED: Group = &[
    &error::UNAUTHORIZED,
    &error::FORBIDDEN,
    &error::IDEMPOTENCY_KEY_INVALID,
    ProblemKind::of(RejectKind::IdempotencyKeyReused),
    ProblemKind::of(RejectKind::CommandPoisoned),
];
/// Of routes that take a JSON body.
pub const BODY: Group = &[
    &error::MALFORMED_JSON,
    &error::BODY_TIMEOUT,
    &error::BODY_TOO_LARGE,
    &error::UNSUPPORTED_MEDIA_TYPE,
    &error::INVALID_BODY,
];
/// Of routes that ask an actor.
pub const ACTOR: Group =
    &[&error::OVERLOADED, &error::ACTOR_RESTARTING, &error::QUARANTINED, &error::UNAVAILABLE, &error::OUTCOME_UNKNOWN];
/// Of routes that list from the read tables.
pub const LISTS: Group = &[&error::CURSOR_INVALID, &error::INVALID_QUERY, &error::UNAVAILABLE];
/// Of lists that are filtered by columns which a newer version may have brought.
pub const FILTERS: Group = &[&error::ROWS_INCOMPLETE];

/// Names what a handler can end with: a type for the list of its responses. Groups come first, then the refusals of its own.
macro_rules! problems {
    ($name:ident: $($group:expr),+ $(; $($refusal:ident),+ $(,)?)?) => {
        /// What this handler can end with when it does not end well.
        pub struct $name;

        impl utoipa::IntoResponses for $name {
            fn responses() -> std::collections::BTreeMap<String, utoipa::openapi::RefOr<utoipa::openapi::Response>> {
                const GROUPS: &[$crate::http::openapi::Group] = &[
                    $($group,)+
                    $(&[$($crate::http::error::ProblemKind::of($crate::domain::reject::RejectKind::$refusal)),+],)?
                ];
                $crate::http::openapi::responses_of(GROUPS)
            }
        }
    };
}
pub(crate) use problems;

/// The responses for groups of problems, one for each status; every route can meet a request without a host, and a
/// fault of ours.
pub fn responses_of(groups: &[Group]) -> BTreeMap<String, RefOr<Response>> {
    let mut by_status: BTreeMap<u16, Vec<&'static ProblemKind>> = BTreeMap::new();
    for kind in groups.iter().copied().flatten().copied().chain([&error::HOST_INVALID, &error::INTERNAL]) {
        let kinds = by_status.entry(kind.status.as_u16()).or_default();
        if !kinds.contains(&kind) {
            kinds.push(kind);
        }
    }
    by_status.into_iter().map(|(status, kinds)| (status.to_string(), RefOr::T(response_of(status, &kinds)))).collect()
}

fn response_of(status: u16, kinds: &[&'static ProblemKind]) -> Response {
    let example = |kind: &&'static ProblemKind| {
        let json = Problem::new(kind, kind.title).to_json("0199a1b2-7c3d-7e4f-8a5b-6c7d8e9f0a1b");
        let value = serde_json::from_slice(&json).ok();
        (kind.code, RefOr::T(ExampleBuilder::new().value(value).build()))
    };
    let content = ContentBuilder::new()
        .schema(Some(Ref::from_schema_name("Problem")))
        .examples_from_iter(kinds.iter().map(example))
        .build();
    let titles: Vec<String> = kinds.iter().map(|kind| format!("`{}`: {}.", kind.code, kind.title)).collect();
    let response = ResponseBuilder::new().description(titles.join(" ")).content("application/problem+json", content);
    match status {
        401 => response.header("WWW-Authenticate", text_header("`Bearer`.")).build(),
        429 | 503 => response.header("Retry-After", retry_after()).build(),
        _ => response.build(),
    }
}

fn text_header(description: &str) -> Header {
    let mut header = Header::new(ObjectBuilder::new().schema_type(Type::String));
    header.description = Some(description.to_owned());
    header
}

fn retry_after() -> Header {
    let mut header = Header::new(ObjectBuilder::new().schema_type(Type::Integer));
    header.description = Some("Seconds after which to ask again.".to_owned());
    header
}

fn problem_schema() -> Schema {
    let text = || ObjectBuilder::new().schema_type(Type::String);
    let count = |what: &str| ObjectBuilder::new().schema_type(Type::Integer).description(Some(what));
    let minimum = OneOfBuilder::new()
        .item(Ref::from_schema_name(MoneyBody::name()))
        .item(count("With `allotment_reserved`: pieces of the sale that are taken."));
    let codes = error::ALL.iter().map(|kind| kind.code);
    ObjectBuilder::new()
        .schema_type(Type::Object)
        .description(Some("Problem details (RFC 9457)."))
        .property("type", text().description(Some("A page about problems like this.")))
        .property("title", text())
        .property("status", ObjectBuilder::new().schema_type(Type::Integer))
        .property("detail", text())
        .property("code", text().enum_values(Some(codes)).description(Some("Stable. There may be more codes one day.")))
        .property("errors", ArrayBuilder::new().items(FieldError::schema()))
        .property("skus", schema::shortages())
        .property("actual_total", Ref::from_schema_name(MoneyBody::name()))
        .property("vendor_ids", ArrayBuilder::new().items(Ref::from_schema_name(VendorId::name())))
        .property("regular_price", Ref::from_schema_name(MoneyBody::name()))
        .property("sku_id", SkuId::schema())
        .property("vendor_id", VendorId::schema())
        .property("slot_id", text().description(Some("With `slot_full`: which slot.")))
        .property("sale_id", SaleId::schema())
        .property("starts_at", Moment::schema())
        .property("next_tranche_at", Moment::schema())
        .property("left", count("With `sale_sold_out`: pieces that are left in the sale."))
        .property("limit", count("With `purchase_limit`: pieces that one buyer may have."))
        .property("used", count("With `purchase_limit`: pieces that this buyer has, held and bought."))
        .property("available", count("With `allotment_reserved`: pieces that no sale needs."))
        .property("minimum", minimum)
        .property("minimum_quantity", count("With `below_minimum`: the fewest pieces that are sold at a time."))
        .property("quantity_step", count("With `quantity_step`: what quantities are a multiple of."))
        .property("max_quantity", count("With `quantity_out_of_range` of a checkout: the most pieces."))
        .property("why", text().description(Some("Which of the reasons of this code it is.")))
        .property("methods", ArrayBuilder::new().items(text()).description(Some("How one can pay.")))
        .property("request_id", text())
        .required("type")
        .required("title")
        .required("status")
        .required("detail")
        .required("code")
        .required("request_id")
        .into()
}

fn base() -> OpenApi {
    let info = InfoBuilder::new()
        .title("Haat")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(
            "An order-processing engine for multi-vendor shops that run flash sales. Ids are TypeIDs, money is a decimal string \
             with a currency, times are RFC 3339 in UTC. Errors are problem details with a stable `code`. Lists are read from \
             tables that follow the engine; `as_of` says how old they are.",
        ))
        .license(Some(LicenseBuilder::new().name("MIT OR Apache-2.0").identifier(Some("MIT OR Apache-2.0")).build()));
    let bearer = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .bearer_format("JWT")
        .description(Some("HS256. The role is one of guest, customer, vendor, staff, admin."))
        .build();
    let components = ComponentsBuilder::new()
        .security_scheme("bearer", SecurityScheme::Http(bearer))
        .schema("Problem", problem_schema())
        .schema(MoneyBody::name(), MoneyBody::schema())
        .build();
    let tag = |name: &str, description: &str| TagBuilder::new().name(name).description(Some(description)).build();
    let tags = [
        tag("catalog", "What anyone may see."),
        tag("carts", "What a buyer fills and checks out."),
        tag("orders", "What became of it."),
        tag("coupons", "What lowers it."),
        tag("rooms", "Who comes in when more want to than there is room for."),
        tag("payments", "What payment providers say."),
        tag("accounts", "Who signs in."),
        tag("vendors", "What vendors manage."),
        tag("admin", "What administrators look at."),
        tag("operation", "What machines look at."),
    ];
    OpenApi::builder().info(info).components(Some(components)).tags(Some(tags)).build()
}

/// The router of these routes, and their document.
pub fn documented(routes: OpenApiRouter<HttpState>) -> (Router<HttpState>, OpenApi) {
    let (router, mut document) = OpenApiRouter::with_openapi(base()).merge(routes).split_for_parts();
    for (path, item) in &mut document.paths.paths {
        for (method, operation) in operations(item) {
            if routes::class_of(&method, Some(path)).is_some() {
                limit(operation);
            }
            finish(operation);
        }
    }
    (router, document)
}

/// All routes of a document, each with its method.
pub fn routes_of(document: &OpenApi) -> impl Iterator<Item = (&str, Method)> {
    document.paths.paths.iter().flat_map(|(path, item)| {
        let PathItem { get, put, post, delete, patch, .. } = item;
        let methods = [Method::GET, Method::PUT, Method::POST, Method::DELETE, Method::PATCH];
        let there =
            methods.into_iter().zip([get, put, post, delete, patch]).filter(|(_, operation)| operation.is_some());
        there.map(move |(method, _)| (path.as_str(), method))
    })
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = (Method, &mut Operation)> {
    let PathItem { get, put, post, delete, patch, .. } = item;
    let methods = [Method::GET, Method::PUT, Method::POST, Method::DELETE, Method::PATCH];
    methods
        .into_iter()
        .zip([get, put, post, delete, patch])
        .filter_map(|(method, operation)| Some((method, operation.as_mut()?)))
}

/// Adds what comes of asking too often, and how it is told in every answer how often one still may.
fn limit(operation: &mut Operation) {
    let mut limited = response_of(429, &[&error::RATE_LIMITED]);
    let responses = &mut operation.responses.responses;
    if let Some(RefOr::T(other)) = responses.get(TOO_MANY) {
        // What else has this status is told beside it.
        limited.description = format!("{} {}", other.description, limited.description);
        for (of, content) in &mut limited.content {
            if let (RefOr::T(content), Some(RefOr::T(other))) = (content, other.content.get(of)) {
                content.examples.extend(other.examples.clone());
            }
        }
    }
    responses.insert(TOO_MANY.to_owned(), RefOr::T(limited));
    for response in responses.values_mut() {
        if let RefOr::T(response) = response {
            let policy = "Where rates are limited: how often this may be asked (`q`) in so many seconds (`w`).";
            let left = "Where rates are limited: how often it may still be asked (`r`), and in how many seconds the count begins anew (`t`).";
            response.headers.insert("RateLimit-Policy".to_owned(), RefOr::T(text_header(policy)));
            response.headers.insert("RateLimit".to_owned(), RefOr::T(text_header(left)));
        }
    }
}

/// A parameter of a query without a value counts as absent. Of texts their schemas say so; a number says it here.
fn may_be_empty(parameter: &mut Parameter) {
    let Some(RefOr::T(Schema::Object(number))) = &parameter.schema else { return };
    let says = serde_json::to_value(&number.schema_type).unwrap_or_default().to_string();
    if parameter.parameter_in != ParameterIn::Query || !says.contains("integer") {
        return;
    }
    let nothing = ObjectBuilder::new().schema_type(Type::String).max_length(Some(0));
    let either = OneOfBuilder::new().item(number.clone()).item(nothing);
    parameter.schema = Some(either.into());
}

/// Adds what is the same for many: headers of answers, that a body which says nothing may as well be absent, and so a number of a query.
fn finish(operation: &mut Operation) {
    for parameter in operation.parameters.iter_mut().flatten() {
        if let RefOr::T(parameter) = parameter {
            may_be_empty(parameter);
        }
    }
    if let Some(RefOr::T(body)) = &mut operation.request_body {
        // Of a session that goes on or ends, what is left out is in the cookie.
        let optional = [
            Nothing::name(),
            RefreshInput::name(),
            CancelOrderInput::name(),
            PackInput::name(),
            ShipmentInput::name(),
            DeliverInput::name(),
        ];
        let optional = optional.map(|name| Ref::from_schema_name(name).ref_location);
        let says_nothing = |content: &Content| matches!(&content.schema, Some(RefOr::Ref(schema)) if optional.contains(&schema.ref_location));
        if body.content.values().any(|content| matches!(content, RefOr::T(content) if says_nothing(content))) {
            body.required = Some(Required::False);
        }
    }
    let has = |name: &str| {
        let is = |parameter: &RefOr<Parameter>| matches!(parameter, RefOr::T(parameter) if parameter.name == name);
        operation.parameters.iter().flatten().any(is)
    };
    let (keyed, prefers) = (has("Idempotency-Key"), has("Prefer"));
    for (status, response) in &mut operation.responses.responses {
        let RefOr::T(response) = response else {
            continue;
        };
        let request_id = text_header("The request's id: the caller's own, if it sent one.");
        response.headers.insert("X-Request-Id".to_owned(), RefOr::T(request_id));
        let is_success = status.starts_with('2');
        if keyed && (is_success || status == "409") {
            let replayed = text_header("`true` when this answer was given before under the same key.");
            response.headers.insert("Idempotent-Replayed".to_owned(), RefOr::T(replayed));
        }
        if prefers && is_success {
            let applied = text_header("`wait=N`, when the wait was heeded.");
            response.headers.insert("Preference-Applied".to_owned(), RefOr::T(applied));
        }
    }
}

/// `/openapi.json`, `/docs`, and the page that problems refer to.
pub fn pages(document: OpenApi) -> Router<HttpState> {
    let page: Arc<str> = problems_page().into();
    let problems = get(move || async move { Html(page.to_string()) });
    let swagger: Router<HttpState> = SwaggerUi::new("/docs").url("/openapi.json", document).into();
    let once = Arc::new(Pages::default());
    let shared = axum::middleware::from_fn(move |request: Request, next: Next| {
        let once = once.clone();
        async move {
            let mut answer = once.answer(request, next).await;
            secure(answer.headers_mut());
            answer
        }
    });
    swagger.route(PROBLEMS_PAGE, problems).layer(shared)
}

/// What a page may do in a browser: nothing that does not come from here. The documentation's pages write styles into themselves, and have pictures in
/// their style sheets.
const PAGE_POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; \
     base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
);

/// Tells a browser what the pages may do.
fn secure(headers: &mut HeaderMap) {
    headers.insert(CONTENT_SECURITY_POLICY, PAGE_POLICY);
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
}

/// Pages that are the same for everybody: made once, and then shared. A megabyte for each who asks would be a gift to
/// whoever asks often and reads nothing.
#[derive(Default)]
struct Pages(DashMap<Box<str>, (HeaderMap, Bytes), foldhash::fast::RandomState>);

impl Pages {
    /// There are fewer, but one of them can be spelled in many ways.
    const MOST: usize = 64;

    async fn answer(&self, request: Request, next: Next) -> axum::response::Response {
        if request.method() != Method::GET {
            return next.run(request).await;
        }
        let path: Box<str> = request.uri().path().into();
        if let Some(page) = self.0.get(&path) {
            return Self::shared(page.0.clone(), page.1.clone());
        }
        let answer = next.run(request).await;
        if answer.status() != StatusCode::OK || self.0.len() >= Self::MOST {
            return answer;
        }
        let (parts, body) = answer.into_parts();
        match axum::body::to_bytes(body, usize::MAX).await {
            Ok(bytes) => {
                // Another spelling of a page that is there has the same bytes.
                let same = self.0.iter().find(|page| page.1 == bytes).map(|page| page.1.clone());
                let bytes = same.unwrap_or(bytes);
                self.0.insert(path, (parts.headers.clone(), bytes.clone()));
                Self::shared(parts.headers, bytes)
            }
            Err(error) => {
                tracing::error!(%error, "a page of the documentation could not be made");
                Problem::new(&error::INTERNAL, "the page could not be made").into_response()
            }
        }
    }

    fn shared(headers: HeaderMap, bytes: Bytes) -> axum::response::Response {
        let mut answer = axum::response::Response::new(Body::from(bytes));
        *answer.headers_mut() = headers;
        answer.extensions_mut().insert(Shared);
        answer
    }
}

fn problems_page() -> String {
    let mut page = String::from("<!doctype html><html lang=\"en\"><title>Haat: problems</title><h1>Problems</h1><dl>");
    for kind in error::ALL.iter() {
        // Writing to a string cannot fail.
        let _ = write!(
            page,
            "<dt id=\"{0}\"><code>{0}</code> ({1})</dt><dd>{2}.</dd>",
            kind.code,
            kind.status.as_u16(),
            kind.title
        );
    }
    page.push_str("</dl></html>");
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document() -> serde_json::Value {
        let (_, document) = documented(routes::api().merge(routes::sandbox()).merge(routes::operation()));
        serde_json::to_value(document).unwrap()
    }

    #[test]
    fn every_route_of_the_contract_is_documented() {
        let document = document();
        let contract = [
            ("/healthz", "get"),
            ("/readyz", "get"),
            ("/metrics", "get"),
            ("/v1/vendors", "get"),
            ("/v1/vendors", "post"),
            ("/v1/vendors/{vendor}", "get"),
            ("/v1/vendors/{vendor}", "patch"),
            ("/v1/vendors/{vendor}/products", "get"),
            ("/v1/vendors/{vendor}/products", "post"),
            ("/v1/vendors/{vendor}/products/{product}", "get"),
            ("/v1/vendors/{vendor}/products/{product}", "patch"),
            ("/v1/vendors/{vendor}/products/{product}/skus", "post"),
            ("/v1/vendors/{vendor}/products/batch", "post"),
            ("/v1/vendors/{vendor}/skus/{sku}", "get"),
            ("/v1/vendors/{vendor}/skus/{sku}", "patch"),
            ("/v1/vendors/{vendor}/skus/{sku}/stock", "get"),
            ("/v1/vendors/{vendor}/skus/{sku}/stock", "post"),
            ("/v1/skus/{sku}", "get"),
            ("/v1/vendors/{vendor}/sales", "get"),
            ("/v1/vendors/{vendor}/sales", "post"),
            ("/v1/vendors/{vendor}/sales/{sale}", "get"),
            ("/v1/vendors/{vendor}/sales/{sale}", "patch"),
            ("/v1/vendors/{vendor}/sales/{sale}/cancel", "post"),
            ("/v1/sales", "get"),
            ("/v1/sales/{sale}", "get"),
            ("/v1/products", "get"),
            ("/v1/products/{product}", "get"),
            ("/v1/categories", "get"),
            ("/v1/categories", "post"),
            ("/v1/categories/{category}", "get"),
            ("/v1/categories/{category}", "patch"),
            ("/v1/carts", "post"),
            ("/v1/carts/{cart}", "get"),
            ("/v1/carts/{cart}/lines/{sku}", "put"),
            ("/v1/carts/{cart}/lines/{sku}", "delete"),
            ("/v1/carts/{cart}/coupons/{code}", "put"),
            ("/v1/carts/{cart}/coupons/{code}", "delete"),
            ("/v1/coupons", "get"),
            ("/v1/coupons", "post"),
            ("/v1/coupons/{coupon}", "get"),
            ("/v1/coupons/{coupon}", "patch"),
            ("/v1/coupons/{coupon}/codes", "post"),
            ("/v1/carts/{cart}/checkout", "post"),
            ("/v1/carts/{cart}/merge", "post"),
            ("/v1/carts/{cart}/quote", "post"),
            ("/v1/vendors/{vendor}/shipping-methods", "get"),
            ("/v1/vendors/{vendor}/shipping-methods", "put"),
            ("/v1/admin/tax", "get"),
            ("/v1/admin/tax", "put"),
            ("/v1/admin/loyalty", "get"),
            ("/v1/admin/loyalty", "put"),
            ("/v1/auth/sign-up", "post"),
            ("/v1/auth/verify", "post"),
            ("/v1/auth/login", "post"),
            ("/v1/auth/refresh", "post"),
            ("/v1/auth/logout", "post"),
            ("/v1/auth/password/forgot", "post"),
            ("/v1/auth/password/reset", "post"),
            ("/v1/me", "get"),
            ("/v1/me", "patch"),
            ("/v1/me/password", "post"),
            ("/v1/vendors/{vendor}/members", "get"),
            ("/v1/vendors/{vendor}/members", "post"),
            ("/v1/vendors/{vendor}/members/{account}", "patch"),
            ("/v1/admin/accounts", "get"),
            ("/v1/admin/accounts", "post"),
            ("/v1/admin/accounts/{account}", "get"),
            ("/v1/admin/accounts/{account}", "patch"),
            ("/v1/admin/customers/{customer}", "get"),
            ("/v1/admin/customers/{customer}", "patch"),
            ("/v1/admin/customers/{customer}/points", "get"),
            ("/v1/admin/customers/{customer}/points", "post"),
            ("/v1/me/points", "get"),
            ("/v1/me", "delete"),
            ("/v1/me/addresses", "get"),
            ("/v1/me/addresses", "post"),
            ("/v1/me/addresses/{address}", "patch"),
            ("/v1/me/addresses/{address}", "delete"),
            ("/v1/me/email", "post"),
            ("/v1/me/export", "get"),
            ("/v1/me/sessions", "get"),
            ("/v1/me/sessions/{session}", "delete"),
            ("/v1/orders/{order}", "get"),
            ("/v1/orders/{order}/timeline", "get"),
            ("/v1/orders/{order}/cancel", "post"),
            ("/v1/orders/{order}/sub-orders/{sub}/cancel", "post"),
            ("/v1/orders/{order}/sub-orders/{sub}/refunds", "post"),
            ("/v1/orders/{order}/sub-orders/{sub}/refund-preview", "post"),
            ("/v1/orders/{order}/refunds/{refund}/retry", "post"),
            ("/v1/orders/{order}/refunds/{refund}/mark-paid", "post"),
            ("/v1/orders/{order}/sub-orders/{sub}/pack", "post"),
            ("/v1/orders/{order}/sub-orders/{sub}/unpack", "post"),
            ("/v1/orders/{order}/sub-orders/{sub}/hold", "post"),
            ("/v1/orders/{order}/sub-orders/{sub}/resume", "post"),
            ("/v1/orders/{order}/sub-orders/{sub}/shipments", "post"),
            ("/v1/orders/{order}/sub-orders/{sub}/shipments", "get"),
            ("/v1/orders/{order}/sub-orders/{sub}/shipments/{shipment}/hand-over", "post"),
            ("/v1/orders/{order}/sub-orders/{sub}/shipments/{shipment}/deliver", "post"),
            ("/v1/orders/{order}/sub-orders/{sub}/shipments/{shipment}/cancel", "post"),
            ("/v1/orders/{order}/sub-orders/{sub}/shipments/{shipment}/returned", "post"),
            ("/v1/orders/{order}/sub-orders/{sub}/shipments/{shipment}/lost", "post"),
            ("/v1/orders/{order}/sub-orders/{sub}/shipments/{shipment}/correct", "post"),
            ("/v1/orders/{order}/sub-orders/{sub}/returns", "post"),
            ("/v1/orders/{order}/sub-orders/{sub}/returns/{return}/approve", "post"),
            ("/v1/orders/{order}/sub-orders/{sub}/returns/{return}/deny", "post"),
            ("/v1/orders/{order}/sub-orders/{sub}/returns/{return}/receive", "post"),
            ("/v1/orders/{order}/sub-orders/{sub}/returns/{return}/close", "post"),
            ("/v1/orders/{order}/sub-orders/{sub}/returns/{return}/cancel", "post"),
            ("/v1/orders", "get"),
            ("/v1/vendors/{vendor}/orders", "get"),
            ("/v1/vendors/{vendor}/shipments", "get"),
            ("/v1/vendors/{vendor}/returns", "get"),
            ("/v1/vendors/{vendor}/delivery-plan", "get"),
            ("/v1/vendors/{vendor}/delivery-plan", "put"),
            ("/v1/vendors/{vendor}/delivery-slots", "get"),
            ("/v1/rooms", "post"),
            ("/v1/rooms/{room}", "get"),
            ("/v1/rooms/{room}/tickets", "post"),
            ("/v1/rooms/{room}/tickets/{ticket}", "get"),
            ("/v1/rooms/{room}/tickets/{ticket}", "delete"),
            ("/v1/rooms/{room}/tickets/{ticket}/enter", "post"),
            ("/v1/rooms/{room}/tickets/{ticket}/events", "get"),
            ("/v1/skus/{sku}/events", "get"),
            ("/v1/sales/{sale}/events", "get"),
            ("/v1/admin/overview", "get"),
            ("/v1/admin/overview/events", "get"),
            ("/v1/admin/followers", "get"),
            ("/v1/admin/actors", "get"),
            ("/v1/admin/actors/{kind}/{id}", "get"),
            ("/v1/admin/actors/{kind}/{id}/versions", "get"),
            ("/v1/admin/jobs", "get"),
            ("/v1/admin/jobs/{job}/retry", "post"),
            ("/v1/admin/sandbox/charges", "get"),
            ("/v1/admin/sandbox/mails", "get"),
            ("/v1/admin/sandbox/refunds", "get"),
            ("/v1/admin/sandbox/charges/{order}/dispute", "post"),
            ("/v1/admin/sandbox/disputes/{dispute}/close", "post"),
            ("/v1/admin/sandbox/refunds/{refund}/fail", "post"),
            ("/v1/admin/orders/stuck", "get"),
            ("/v1/admin/remittances", "get"),
            ("/v1/admin/remittances", "post"),
            ("/v1/admin/orders/{order}/resolve", "post"),
            ("/v1/notices/stripe", "post"),
            ("/v1/notices/redirect", "post"),
            ("/v1/notices/couriers/{courier}", "post"),
            ("/v1/track/{token}", "get"),
        ];
        for (path, method) in contract {
            assert!(document["paths"][path][method].is_object(), "{method} {path}");
        }
        let documented: usize =
            document["paths"].as_object().unwrap().values().map(|item| item.as_object().unwrap().len()).sum();
        assert_eq!(documented, contract.len());
    }

    #[test]
    fn every_reference_leads_somewhere() {
        fn walk(value: &serde_json::Value, found: &mut Vec<String>) {
            match value {
                serde_json::Value::Object(fields) => {
                    found.extend(fields.get("$ref").and_then(|to| to.as_str()).map(str::to_owned));
                    fields.values().for_each(|value| walk(value, found));
                }
                serde_json::Value::Array(items) => items.iter().for_each(|value| walk(value, found)),
                _ => {}
            }
        }
        let document = document();
        let mut found = Vec::new();
        walk(&document, &mut found);
        assert!(!found.is_empty());
        for reference in found {
            assert!(document.pointer(reference.trim_start_matches('#')).is_some(), "{reference}");
        }
    }

    #[test]
    fn request_bodies_refuse_unknown_fields_in_the_document_too() {
        let document = document();
        for name in [
            "VendorInput",
            "ProductInput",
            "SkuInput",
            "SkuPatch",
            "StockChange",
            "CategoryInput",
            "CategoryPatch",
            "LineInput",
            "CheckoutInput",
            "AddressInput",
            "PaymentInput",
            "Nothing",
        ] {
            assert_eq!(document["components"]["schemas"][name]["additionalProperties"], false, "{name}");
        }
    }

    #[test]
    fn problems_of_one_status_are_told_together() {
        let responses = responses_of(&[KEYED, BODY]);
        let RefOr::T(response) = &responses["422"] else { panic!("a response") };
        let RefOr::T(content) = &response.content["application/problem+json"] else { panic!("a content") };
        let examples = &content.examples;
        assert!(examples.contains_key("invalid_body") && examples.contains_key("idempotency_key_reused"));
    }

    /// What is the same for everybody is in memory once, however often it is asked for and however its path is spelled.
    #[tokio::test]
    async fn pages_are_shared() {
        use axum::body::Body;
        use tower::ServiceExt;
        let pages = Arc::new(Pages::default());
        let made = Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let (shared, count) = (pages.clone(), made.clone());
        let handler = move || {
            count.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            async { ([("x-kind", "page")], vec![b'x'; 100_000]) }
        };
        let router: Router = Router::new().route("/docs/{*rest}", get(handler)).layer(axum::middleware::from_fn(
            move |request: Request, next: Next| {
                let shared = shared.clone();
                async move { shared.answer(request, next).await }
            },
        ));
        let ask = async |path: &str| {
            let answer = router.clone().oneshot(http::Request::get(path).body(Body::empty()).unwrap()).await.unwrap();
            assert_eq!((answer.status().as_u16(), &answer.headers()["x-kind"]), (200, &"page".parse().unwrap()));
            assert!(answer.extensions().get::<Shared>().is_some());
            axum::body::to_bytes(answer.into_body(), usize::MAX).await.unwrap()
        };
        let (first, again, other) = (ask("/docs/a").await, ask("/docs/a").await, ask("/docs/%61").await);
        assert_eq!(first.len(), 100_000);
        assert!(first.as_ptr() == again.as_ptr() && first.as_ptr() == other.as_ptr());
        assert_eq!(made.load(std::sync::atomic::Ordering::SeqCst), 2);
        for number in 0..2 * Pages::MOST {
            let _ = router
                .clone()
                .oneshot(http::Request::get(format!("/docs/{number}")).body(Body::empty()).unwrap())
                .await;
        }
        assert_eq!(pages.0.len(), Pages::MOST);
    }
}
