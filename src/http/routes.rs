//! Every route, nothing else.

use crate::http::rates::Class;
use crate::http::{
    HttpState, accounts, admin, batch, carts, categories, checkout, coupons, customers, driven, goods, health, jobs,
    live, loyalty, notices, ops, orders, own, people, points, products, quotes, refunds, remittances, resolve, returns,
    rooms, sales, shipments, shipping, skus, slots, tax, tracking, vendors, waiting,
};
use http::Method;
use std::collections::HashMap;
use std::sync::LazyLock;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// What everyone may call, each handler still saying whom it lets in.
pub fn api() -> OpenApiRouter<HttpState> {
    OpenApiRouter::new()
        .routes(routes!(vendors::list_vendors, vendors::create_vendor))
        .routes(routes!(vendors::get_vendor, vendors::patch_vendor))
        .routes(routes!(goods::list_vendor_products, goods::create_product))
        .routes(routes!(goods::get_vendor_product, goods::patch_product))
        .routes(routes!(goods::create_sku))
        .routes(routes!(batch::create_products))
        .routes(routes!(shipping::get_shipping_methods, shipping::put_shipping_methods))
        .routes(routes!(slots::get_delivery_plan, slots::put_delivery_plan))
        .routes(routes!(slots::list_delivery_slots))
        .routes(routes!(skus::get_vendor_sku, skus::patch_sku))
        .routes(routes!(skus::list_stock, skus::change_stock))
        .routes(routes!(orders::list_vendor_orders))
        .routes(routes!(waiting::list_vendor_shipments))
        .routes(routes!(waiting::list_vendor_returns))
        .routes(routes!(sales::list_vendor_sales, sales::create_sale))
        .routes(routes!(sales::get_vendor_sale, sales::patch_sale))
        .routes(routes!(sales::cancel_sale))
        .routes(routes!(sales::list_sales))
        .routes(routes!(sales::get_sale))
        .routes(routes!(live::follow_sale))
        .routes(routes!(live::follow_sku))
        .routes(routes!(categories::list_categories, categories::create_category))
        .routes(routes!(categories::get_category, categories::patch_category))
        .routes(routes!(carts::create_cart))
        .routes(routes!(carts::get_cart))
        .routes(routes!(carts::set_line, carts::remove_line))
        .routes(routes!(carts::merge_cart))
        .routes(routes!(coupons::list_coupons, coupons::create_coupon))
        .routes(routes!(coupons::get_coupon, coupons::patch_coupon))
        .routes(routes!(coupons::issue_codes))
        .routes(routes!(carts::put_coupon, carts::remove_coupon))
        .routes(routes!(quotes::quote_cart))
        .routes(routes!(checkout::check_out))
        .routes(routes!(rooms::create_room))
        .routes(routes!(rooms::get_room))
        .routes(routes!(rooms::join_room))
        .routes(routes!(rooms::get_ticket, rooms::leave_room))
        .routes(routes!(rooms::enter_room))
        .routes(routes!(rooms::follow_ticket))
        .routes(routes!(orders::list_orders))
        .routes(routes!(orders::get_order))
        .routes(routes!(orders::get_timeline))
        .routes(routes!(refunds::cancel_order))
        .routes(routes!(refunds::cancel_share))
        .routes(routes!(refunds::create_refund))
        .routes(routes!(refunds::preview_refund))
        .routes(routes!(refunds::retry_refund))
        .routes(routes!(refunds::mark_refund_paid))
        .routes(routes!(returns::create_return))
        .routes(routes!(returns::approve_return))
        .routes(routes!(returns::deny_return))
        .routes(routes!(returns::receive_return))
        .routes(routes!(returns::close_return))
        .routes(routes!(returns::cancel_return))
        .routes(routes!(shipments::pack_share))
        .routes(routes!(shipments::unpack_share))
        .routes(routes!(shipments::hold_share))
        .routes(routes!(shipments::resume_share))
        .routes(routes!(shipments::hand_over_shipment))
        .routes(routes!(shipments::deliver_shipment))
        .routes(routes!(shipments::cancel_shipment))
        .routes(routes!(shipments::return_shipment))
        .routes(routes!(shipments::lose_shipment))
        .routes(routes!(shipments::correct_shipment))
        .routes(routes!(shipments::list_shipments, shipments::create_shipment))
        .routes(routes!(notices::take_stripe_notice))
        .routes(routes!(notices::take_redirect_notice))
        .routes(routes!(notices::take_courier_notice))
        .routes(routes!(tracking::track))
        .routes(routes!(accounts::sign_up))
        .routes(routes!(accounts::verify))
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
        .routes(routes!(tax::get_tax, tax::put_tax))
        .routes(routes!(loyalty::get_loyalty, loyalty::put_loyalty))
        .routes(routes!(people::list_accounts, people::create_account))
        .routes(routes!(people::get_account, people::patch_account))
        .routes(routes!(customers::get_customer, customers::patch_customer))
        .routes(routes!(points::get_points, points::give_points))
        .routes(routes!(points::get_own_points))
        .merge(operators())
        .merge(health())
}

/// What the operators' page asks for: signing in, what is looked at and done there, and which products there are.
pub fn operators() -> OpenApiRouter<HttpState> {
    OpenApiRouter::new()
        .routes(routes!(accounts::log_in))
        .routes(routes!(accounts::refresh))
        .routes(routes!(accounts::log_out))
        .routes(routes!(ops::get_overview))
        .routes(routes!(ops::stream::follow_overview))
        .routes(routes!(ops::followers::list_followers))
        .routes(routes!(admin::list_actors))
        .routes(routes!(admin::get_actor))
        .routes(routes!(ops::versions::list_versions))
        .routes(routes!(jobs::list_jobs))
        .routes(routes!(jobs::retry_job))
        .routes(routes!(resolve::list_stuck_orders))
        .routes(routes!(remittances::note_remittance, remittances::list_open_cash))
        .routes(routes!(resolve::resolve_order))
        .routes(routes!(skus::get_sku))
        .routes(routes!(products::list_products))
        .routes(routes!(products::get_product))
}

/// What the sandbox shows, where it is on.
pub fn sandbox() -> OpenApiRouter<HttpState> {
    OpenApiRouter::new()
        .routes(routes!(admin::list_charges))
        .routes(routes!(jobs::list_mails))
        .routes(routes!(driven::list_sandbox_refunds))
        .routes(routes!(driven::drive_dispute))
        .routes(routes!(driven::close_dispute))
        .routes(routes!(driven::fail_refund))
}

/// Whether the node lives and takes requests.
pub fn health() -> OpenApiRouter<HttpState> {
    OpenApiRouter::new().routes(routes!(health::healthz)).routes(routes!(health::readyz))
}

/// What operators call; on a port of its own when there is one.
pub fn operation() -> OpenApiRouter<HttpState> {
    OpenApiRouter::new().routes(routes!(health::metrics))
}

/// Where carts are made.
pub const CARTS: &str = "/v1/carts";

/// The methods of a route, each with its class.
type Methods = &'static [(Method, Class)];

/// By what each route is limited; those that machines look at are not. What has no row here is a page or a file of one, limited as reads
/// are, or nothing at all.
const CLASSES: &[(&str, Methods)] = &[
    ("/v1/vendors", &[(Method::GET, Class::Search), (Method::POST, Class::Staff)]),
    ("/v1/vendors/{vendor}", &[(Method::GET, Class::Reads), (Method::PATCH, Class::Staff)]),
    ("/v1/vendors/{vendor}/products", &[(Method::GET, Class::Staff), (Method::POST, Class::Staff)]),
    ("/v1/vendors/{vendor}/products/batch", &[(Method::POST, Class::Staff)]),
    ("/v1/vendors/{vendor}/products/{product}", &[(Method::GET, Class::Staff), (Method::PATCH, Class::Staff)]),
    ("/v1/vendors/{vendor}/products/{product}/skus", &[(Method::POST, Class::Staff)]),
    ("/v1/vendors/{vendor}/skus/{sku}", &[(Method::GET, Class::Staff), (Method::PATCH, Class::Staff)]),
    ("/v1/vendors/{vendor}/skus/{sku}/stock", &[(Method::GET, Class::Staff), (Method::POST, Class::Staff)]),
    ("/v1/vendors/{vendor}/shipping-methods", &[(Method::GET, Class::Staff), (Method::PUT, Class::Staff)]),
    ("/v1/vendors/{vendor}/delivery-plan", &[(Method::GET, Class::Staff), (Method::PUT, Class::Staff)]),
    ("/v1/vendors/{vendor}/delivery-slots", &[(Method::GET, Class::Reads)]),
    ("/v1/vendors/{vendor}/orders", &[(Method::GET, Class::Staff)]),
    ("/v1/vendors/{vendor}/shipments", &[(Method::GET, Class::Staff)]),
    ("/v1/vendors/{vendor}/returns", &[(Method::GET, Class::Staff)]),
    ("/v1/vendors/{vendor}/sales", &[(Method::GET, Class::Staff), (Method::POST, Class::Staff)]),
    ("/v1/vendors/{vendor}/sales/{sale}", &[(Method::GET, Class::Staff), (Method::PATCH, Class::Staff)]),
    ("/v1/vendors/{vendor}/sales/{sale}/cancel", &[(Method::POST, Class::Staff)]),
    ("/v1/skus/{sku}", &[(Method::GET, Class::Reads)]),
    ("/v1/skus/{sku}/events", &[(Method::GET, Class::Reads)]),
    ("/v1/sales", &[(Method::GET, Class::Search)]),
    ("/v1/sales/{sale}", &[(Method::GET, Class::Reads)]),
    ("/v1/sales/{sale}/events", &[(Method::GET, Class::Reads)]),
    ("/v1/products", &[(Method::GET, Class::Search)]),
    ("/v1/products/{product}", &[(Method::GET, Class::Reads)]),
    ("/v1/categories", &[(Method::GET, Class::Search), (Method::POST, Class::Staff)]),
    ("/v1/categories/{category}", &[(Method::GET, Class::Reads), (Method::PATCH, Class::Staff)]),
    (CARTS, &[(Method::POST, Class::Carts)]),
    ("/v1/carts/{cart}", &[(Method::GET, Class::Carts)]),
    ("/v1/carts/{cart}/lines/{sku}", &[(Method::PUT, Class::Carts), (Method::DELETE, Class::Carts)]),
    ("/v1/carts/{cart}/coupons/{code}", &[(Method::PUT, Class::Carts), (Method::DELETE, Class::Carts)]),
    ("/v1/coupons", &[(Method::GET, Class::Staff), (Method::POST, Class::Staff)]),
    ("/v1/coupons/{coupon}", &[(Method::GET, Class::Staff), (Method::PATCH, Class::Staff)]),
    ("/v1/coupons/{coupon}/codes", &[(Method::POST, Class::Staff)]),
    ("/v1/carts/{cart}/checkout", &[(Method::POST, Class::Checkout)]),
    ("/v1/carts/{cart}/quote", &[(Method::POST, Class::Carts)]),
    ("/v1/carts/{cart}/merge", &[(Method::POST, Class::Carts)]),
    ("/v1/vendors/{vendor}/members", &[(Method::GET, Class::Staff), (Method::POST, Class::Staff)]),
    ("/v1/vendors/{vendor}/members/{account}", &[(Method::PATCH, Class::Staff)]),
    ("/v1/admin/accounts", &[(Method::GET, Class::Staff), (Method::POST, Class::Staff)]),
    ("/v1/admin/accounts/{account}", &[(Method::GET, Class::Staff), (Method::PATCH, Class::Staff)]),
    ("/v1/admin/customers/{customer}", &[(Method::GET, Class::Staff), (Method::PATCH, Class::Staff)]),
    ("/v1/admin/customers/{customer}/points", &[(Method::GET, Class::Staff), (Method::POST, Class::Staff)]),
    ("/v1/rooms", &[(Method::POST, Class::Staff)]),
    ("/v1/rooms/{room}", &[(Method::GET, Class::Reads)]),
    ("/v1/rooms/{room}/tickets", &[(Method::POST, Class::Carts)]),
    ("/v1/rooms/{room}/tickets/{ticket}", &[(Method::GET, Class::Reads), (Method::DELETE, Class::Carts)]),
    ("/v1/rooms/{room}/tickets/{ticket}/enter", &[(Method::POST, Class::Carts)]),
    ("/v1/rooms/{room}/tickets/{ticket}/events", &[(Method::GET, Class::Reads)]),
    ("/v1/orders", &[(Method::GET, Class::Search)]),
    ("/v1/orders/{order}", &[(Method::GET, Class::Reads)]),
    ("/v1/orders/{order}/timeline", &[(Method::GET, Class::Reads)]),
    ("/v1/orders/{order}/cancel", &[(Method::POST, Class::Checkout)]),
    ("/v1/orders/{order}/sub-orders/{sub}/cancel", &[(Method::POST, Class::Checkout)]),
    ("/v1/orders/{order}/sub-orders/{sub}/refunds", &[(Method::POST, Class::Staff)]),
    ("/v1/orders/{order}/sub-orders/{sub}/refund-preview", &[(Method::POST, Class::Staff)]),
    ("/v1/orders/{order}/refunds/{refund}/retry", &[(Method::POST, Class::Staff)]),
    ("/v1/orders/{order}/refunds/{refund}/mark-paid", &[(Method::POST, Class::Staff)]),
    ("/v1/orders/{order}/sub-orders/{sub}/pack", &[(Method::POST, Class::Staff)]),
    ("/v1/orders/{order}/sub-orders/{sub}/unpack", &[(Method::POST, Class::Staff)]),
    ("/v1/orders/{order}/sub-orders/{sub}/hold", &[(Method::POST, Class::Staff)]),
    ("/v1/orders/{order}/sub-orders/{sub}/resume", &[(Method::POST, Class::Staff)]),
    ("/v1/orders/{order}/sub-orders/{sub}/shipments", &[(Method::GET, Class::Reads), (Method::POST, Class::Staff)]),
    ("/v1/orders/{order}/sub-orders/{sub}/shipments/{shipment}/hand-over", &[(Method::POST, Class::Staff)]),
    ("/v1/orders/{order}/sub-orders/{sub}/shipments/{shipment}/deliver", &[(Method::POST, Class::Staff)]),
    ("/v1/orders/{order}/sub-orders/{sub}/shipments/{shipment}/cancel", &[(Method::POST, Class::Staff)]),
    ("/v1/orders/{order}/sub-orders/{sub}/shipments/{shipment}/returned", &[(Method::POST, Class::Staff)]),
    ("/v1/orders/{order}/sub-orders/{sub}/shipments/{shipment}/lost", &[(Method::POST, Class::Staff)]),
    ("/v1/orders/{order}/sub-orders/{sub}/shipments/{shipment}/correct", &[(Method::POST, Class::Staff)]),
    ("/v1/orders/{order}/sub-orders/{sub}/returns", &[(Method::POST, Class::Checkout)]),
    ("/v1/orders/{order}/sub-orders/{sub}/returns/{return}/approve", &[(Method::POST, Class::Staff)]),
    ("/v1/orders/{order}/sub-orders/{sub}/returns/{return}/deny", &[(Method::POST, Class::Staff)]),
    ("/v1/orders/{order}/sub-orders/{sub}/returns/{return}/receive", &[(Method::POST, Class::Staff)]),
    ("/v1/orders/{order}/sub-orders/{sub}/returns/{return}/close", &[(Method::POST, Class::Staff)]),
    ("/v1/orders/{order}/sub-orders/{sub}/returns/{return}/cancel", &[(Method::POST, Class::Checkout)]),
    ("/v1/admin/tax", &[(Method::GET, Class::Staff), (Method::PUT, Class::Staff)]),
    ("/v1/admin/loyalty", &[(Method::GET, Class::Staff), (Method::PUT, Class::Staff)]),
    ("/v1/admin/overview", &[(Method::GET, Class::Staff)]),
    ("/v1/admin/overview/events", &[(Method::GET, Class::Staff)]),
    ("/v1/admin/followers", &[(Method::GET, Class::Staff)]),
    ("/v1/admin/actors", &[(Method::GET, Class::Staff)]),
    ("/v1/admin/actors/{kind}/{id}", &[(Method::GET, Class::Staff)]),
    ("/v1/admin/actors/{kind}/{id}/versions", &[(Method::GET, Class::Staff)]),
    ("/v1/admin/jobs", &[(Method::GET, Class::Staff)]),
    ("/v1/admin/jobs/{job}/retry", &[(Method::POST, Class::Staff)]),
    ("/v1/admin/orders/stuck", &[(Method::GET, Class::Staff)]),
    ("/v1/admin/remittances", &[(Method::GET, Class::Staff), (Method::POST, Class::Staff)]),
    ("/v1/admin/orders/{order}/resolve", &[(Method::POST, Class::Staff)]),
    ("/v1/admin/sandbox/charges", &[(Method::GET, Class::Staff)]),
    ("/v1/admin/sandbox/mails", &[(Method::GET, Class::Staff)]),
    ("/v1/admin/sandbox/refunds", &[(Method::GET, Class::Staff)]),
    ("/v1/admin/sandbox/refunds/{refund}/fail", &[(Method::POST, Class::Staff)]),
    ("/v1/admin/sandbox/charges/{order}/dispute", &[(Method::POST, Class::Staff)]),
    ("/v1/admin/sandbox/disputes/{dispute}/close", &[(Method::POST, Class::Staff)]),
    ("/v1/auth/sign-up", &[(Method::POST, Class::SignIn)]),
    ("/v1/auth/verify", &[(Method::POST, Class::SignIn)]),
    ("/v1/auth/login", &[(Method::POST, Class::SignIn)]),
    ("/v1/auth/refresh", &[(Method::POST, Class::SignIn)]),
    ("/v1/auth/logout", &[(Method::POST, Class::SignIn)]),
    ("/v1/auth/password/forgot", &[(Method::POST, Class::SignIn)]),
    ("/v1/auth/password/reset", &[(Method::POST, Class::SignIn)]),
    ("/v1/me", &[(Method::GET, Class::Reads), (Method::PATCH, Class::Reads), (Method::DELETE, Class::SignIn)]),
    ("/v1/me/addresses", &[(Method::GET, Class::Reads), (Method::POST, Class::Reads)]),
    ("/v1/me/addresses/{address}", &[(Method::PATCH, Class::Reads), (Method::DELETE, Class::Reads)]),
    ("/v1/me/email", &[(Method::POST, Class::SignIn)]),
    ("/v1/me/export", &[(Method::GET, Class::Files)]),
    ("/v1/me/password", &[(Method::POST, Class::SignIn)]),
    ("/v1/me/points", &[(Method::GET, Class::Reads)]),
    ("/v1/me/sessions", &[(Method::GET, Class::Reads)]),
    ("/v1/me/sessions/{session}", &[(Method::DELETE, Class::Reads)]),
    ("/v1/notices/stripe", &[]),
    ("/v1/notices/redirect", &[]),
    ("/v1/notices/couriers/{courier}", &[]),
    ("/v1/track/{token}", &[(Method::GET, Class::Reads)]),
    ("/healthz", &[]),
    ("/readyz", &[]),
    ("/metrics", &[]),
];

/// By what a request is limited, if it is: `route` is the pattern that its path matched. A method that a route does not have is limited as
/// its first is.
pub fn class_of(method: &Method, route: Option<&str>) -> Option<Class> {
    static BY_ROUTE: LazyLock<HashMap<&str, Methods, foldhash::fast::RandomState>> =
        LazyLock::new(|| CLASSES.iter().copied().collect());
    let Some(classes) = route.and_then(|route| BY_ROUTE.get(route)) else { return Some(Class::Reads) };
    let own = classes.iter().find(|(of, _)| of == method).or(classes.first());
    own.map(|(_, class)| *class)
}

/// Whether the answer to this path may be much longer than one entity: a list.
pub fn may_be_long(path: &str) -> bool {
    matches!(
        path,
        "/v1/products"
            | "/v1/categories"
            | "/v1/orders"
            | "/v1/coupons"
            | "/v1/sales"
            | "/v1/vendors/{vendor}/sales"
            | "/v1/admin/jobs"
            | "/v1/admin/remittances"
            | "/v1/admin/overview"
            | "/v1/admin/accounts"
            | "/v1/admin/tax"
            | "/v1/admin/loyalty"
            | "/v1/me/export"
            | "/v1/admin/sandbox/charges"
            | "/v1/admin/sandbox/mails"
            | "/v1/admin/sandbox/refunds"
            | "/metrics"
    ) || path.strip_prefix("/v1/vendors/").is_some_and(|rest| {
        ["/orders", "/shipping-methods", "/members", "/delivery-plan", "/delivery-slots"]
            .iter()
            .any(|end| rest.ends_with(end))
    }) || (path.starts_with("/v1/coupons/") && path.ends_with("/codes"))
        || (path.starts_with("/v1/admin/actors/") && path.ends_with("/versions"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::openapi;
    use std::collections::BTreeSet;

    /// Neither a route without its class nor a class without its route.
    #[test]
    fn every_route_says_by_what_it_is_limited() {
        let (_, document) = openapi::documented(api().merge(sandbox()).merge(operation()));
        let there: BTreeSet<(&str, String)> =
            openapi::routes_of(&document).map(|(path, method)| (path, method.to_string())).collect();
        let unlimited = [
            ("/v1/notices/stripe", Method::POST),
            ("/v1/notices/redirect", Method::POST),
            ("/v1/notices/couriers/{courier}", Method::POST),
            ("/healthz", Method::GET),
            ("/readyz", Method::GET),
            ("/metrics", Method::GET),
        ];
        let mut listed = BTreeSet::new();
        for (path, classes) in CLASSES {
            let method = unlimited.iter().find(|(of, _)| of == path).map(|(_, method)| method);
            assert_eq!(classes.is_empty(), method.is_some(), "{path}");
            for (method, class) in *classes {
                assert!(listed.insert((*path, method.to_string())), "{method} {path} stands there twice");
                assert_eq!(class_of(method, Some(path)), Some(*class));
            }
            if let Some(method) = method {
                assert_eq!(class_of(method, Some(path)), None);
                listed.insert((path, method.to_string()));
            }
        }
        assert_eq!(there, listed);
        assert_eq!(class_of(&Method::POST, Some("/v1/products")), Some(Class::Search));
        for page in ["/docs/{*rest}", "/ops", "/assets/{version}/{*file}"] {
            assert_eq!(class_of(&Method::GET, Some(page)), Some(Class::Reads), "{page}");
        }
        assert_eq!(class_of(&Method::GET, None), Some(Class::Reads));
    }
}
