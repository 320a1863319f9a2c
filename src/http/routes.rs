//! Every route, nothing else.

use crate::http::{
    HttpState, accounts, admin, carts, categories, checkout, health, jobs, orders, own, people, products, resolve,
    skus, vendors,
};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// What everyone may call, each handler still saying whom it lets in.
pub fn api() -> OpenApiRouter<HttpState> {
    OpenApiRouter::new()
        .routes(routes!(vendors::create_vendor))
        .routes(routes!(vendors::create_product))
        .routes(routes!(skus::get_vendor_sku, skus::patch_sku))
        .routes(routes!(skus::list_stock, skus::change_stock))
        .routes(routes!(orders::list_vendor_orders))
        .routes(routes!(skus::get_sku))
        .routes(routes!(products::list_products))
        .routes(routes!(products::get_product))
        .routes(routes!(categories::list_categories, categories::create_category))
        .routes(routes!(categories::get_category, categories::patch_category))
        .routes(routes!(carts::create_cart))
        .routes(routes!(carts::get_cart))
        .routes(routes!(carts::set_line, carts::remove_line))
        .routes(routes!(carts::merge_cart))
        .routes(routes!(checkout::check_out))
        .routes(routes!(orders::list_orders))
        .routes(routes!(orders::get_order))
        .routes(routes!(orders::get_timeline))
        .routes(routes!(orders::cancel_order))
        .routes(routes!(admin::list_actors))
        .routes(routes!(admin::get_actor))
        .routes(routes!(jobs::list_jobs))
        .routes(routes!(jobs::retry_job))
        .routes(routes!(resolve::list_stuck_orders))
        .routes(routes!(resolve::resolve_order))
        .routes(routes!(accounts::sign_up))
        .routes(routes!(accounts::verify))
        .routes(routes!(accounts::log_in))
        .routes(routes!(accounts::refresh))
        .routes(routes!(accounts::log_out))
        .routes(routes!(accounts::forgot))
        .routes(routes!(accounts::reset))
        .routes(routes!(accounts::get_me, accounts::patch_me, own::erase_me))
        .routes(routes!(accounts::set_password))
        .routes(routes!(own::list_addresses, own::add_address))
        .routes(routes!(own::patch_address, own::drop_address))
        .routes(routes!(own::set_email))
        .routes(routes!(own::export))
        .routes(routes!(accounts::list_sessions))
        .routes(routes!(accounts::end_session))
        .routes(routes!(people::list_members, people::invite_member))
        .routes(routes!(people::patch_member))
        .routes(routes!(people::list_accounts, people::create_account))
        .routes(routes!(people::get_account, people::patch_account))
        .merge(health())
}

/// What the sandbox shows, where it is on.
pub fn sandbox() -> OpenApiRouter<HttpState> {
    OpenApiRouter::new().routes(routes!(admin::list_charges)).routes(routes!(jobs::list_mails))
}

/// Whether the node lives and takes requests.
pub fn health() -> OpenApiRouter<HttpState> {
    OpenApiRouter::new().routes(routes!(health::healthz)).routes(routes!(health::readyz))
}

/// What operators call; on a port of its own when there is one.
pub fn operation() -> OpenApiRouter<HttpState> {
    OpenApiRouter::new().routes(routes!(health::metrics))
}

/// Whether the answer to this path may be much longer than one entity: a list.
pub fn may_be_long(path: &str) -> bool {
    matches!(
        path,
        "/v1/products"
            | "/v1/categories"
            | "/v1/orders"
            | "/v1/admin/jobs"
            | "/v1/admin/accounts"
            | "/v1/me/export"
            | "/v1/admin/sandbox/charges"
            | "/v1/admin/sandbox/mails"
            | "/metrics"
    ) || path.strip_prefix("/v1/vendors/").is_some_and(|rest| rest.ends_with("/orders") || rest.ends_with("/members"))
}
