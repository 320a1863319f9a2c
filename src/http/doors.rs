//! The doors: what each route does, and so for whom it is. One table says it, and both the check and the API document are made from it, so that
//! neither can say anything else. Who asks is found out here, before anything of a request is read but its head.

use crate::domain::who::{Action, Who};
use crate::http::HttpState;
use crate::http::caller::{Caller, Known};
use crate::http::error::{Problem, UNAUTHORIZED};
use axum::extract::{MatchedPath, Request};
use axum::response::{IntoResponse, Response};
use foldhash::{HashMap, HashMapExt as _};
use futures::future::{Either, Ready, ready};
use http::Method;
use std::sync::Arc;
use std::task::{Context, Poll};
use tower::layer::layer_fn;
use tower::{Layer, Service};
use utoipa::openapi::OpenApi;
use utoipa::openapi::extensions::ExtensionsBuilder;
use utoipa::openapi::path::{Operation, PathItem};

/// What each operation does, by its id in the document, which is its handler's name.
const DOORS: &[(&str, Action)] = &[
    ("create_vendor", Action::AddVendor),
    ("list_vendors", Action::Visit),
    ("get_vendor", Action::Visit),
    ("patch_vendor", Action::EditVendor),
    ("create_product", Action::EditGoods),
    ("list_vendor_products", Action::SeeGoods),
    ("get_vendor_product", Action::SeeGoods),
    ("patch_product", Action::EditGoods),
    ("create_sku", Action::EditGoods),
    ("create_products", Action::EditGoods),
    ("get_vendor_sku", Action::SeeGoods),
    ("get_shipping_methods", Action::SeeGoods),
    ("put_shipping_methods", Action::EditGoods),
    ("get_delivery_plan", Action::SeeGoods),
    ("put_delivery_plan", Action::EditGoods),
    ("list_delivery_slots", Action::Visit),
    ("patch_sku", Action::EditGoods),
    ("list_stock", Action::SeeStockHistory),
    ("change_stock", Action::EditGoods),
    ("list_vendor_orders", Action::SeeVendorOrders),
    ("list_vendor_shipments", Action::SeeVendorOrders),
    ("list_vendor_returns", Action::SeeVendorOrders),
    ("create_sale", Action::EditGoods),
    ("list_vendor_sales", Action::SeeGoods),
    ("get_vendor_sale", Action::SeeGoods),
    ("patch_sale", Action::EditGoods),
    ("cancel_sale", Action::EditGoods),
    ("list_sales", Action::Visit),
    ("get_sale", Action::Visit),
    ("get_sku", Action::Visit),
    ("follow_sku", Action::Visit),
    ("follow_sale", Action::Visit),
    ("list_products", Action::Visit),
    ("get_product", Action::Visit),
    ("list_categories", Action::Visit),
    ("get_category", Action::Visit),
    ("create_category", Action::EditCategories),
    ("patch_category", Action::EditCategories),
    ("create_cart", Action::Visit),
    ("get_cart", Action::UseCart),
    ("set_line", Action::UseCart),
    ("remove_line", Action::UseCart),
    ("put_coupon", Action::UseCart),
    ("remove_coupon", Action::UseCart),
    ("list_coupons", Action::SeeCoupons),
    ("create_coupon", Action::EditCoupons),
    ("get_coupon", Action::SeeCoupons),
    ("patch_coupon", Action::EditCoupons),
    ("issue_codes", Action::EditCoupons),
    ("quote_cart", Action::UseCart),
    ("check_out", Action::UseCart),
    ("merge_cart", Action::MergeCarts),
    ("create_room", Action::EditRooms),
    ("get_room", Action::Visit),
    ("join_room", Action::WaitInLine),
    ("get_ticket", Action::WaitInLine),
    ("enter_room", Action::WaitInLine),
    ("leave_room", Action::WaitInLine),
    ("follow_ticket", Action::WaitInLine),
    ("list_orders", Action::SeeOrder),
    ("get_order", Action::SeeOrder),
    ("get_timeline", Action::SeeOrder),
    ("cancel_order", Action::CancelOrder),
    ("cancel_share", Action::CancelShare),
    ("create_refund", Action::RefundShare),
    ("preview_refund", Action::RefundShare),
    ("retry_refund", Action::RefundShare),
    ("mark_refund_paid", Action::RefundShare),
    ("pack_share", Action::FulfilOrder),
    ("unpack_share", Action::FulfilOrder),
    ("hold_share", Action::FulfilOrder),
    ("resume_share", Action::FulfilOrder),
    ("list_shipments", Action::SeeOrder),
    ("create_shipment", Action::FulfilOrder),
    ("hand_over_shipment", Action::FulfilOrder),
    ("deliver_shipment", Action::FulfilOrder),
    ("cancel_shipment", Action::FulfilOrder),
    ("return_shipment", Action::FulfilOrder),
    ("lose_shipment", Action::FulfilOrder),
    ("correct_shipment", Action::CorrectParcel),
    ("create_return", Action::AskReturn),
    ("approve_return", Action::DecideReturn),
    ("deny_return", Action::DecideReturn),
    ("receive_return", Action::FulfilOrder),
    ("close_return", Action::DecideReturn),
    ("cancel_return", Action::AskReturn),
    ("get_overview", Action::SeeOperation),
    ("follow_overview", Action::SeeOperation),
    ("list_followers", Action::SeeOperation),
    ("list_actors", Action::SeeOperation),
    ("get_actor", Action::SeeOperation),
    ("list_versions", Action::SeeOperation),
    ("list_jobs", Action::SeeOperation),
    ("retry_job", Action::Operate),
    ("list_stuck_orders", Action::SeeStuckOrders),
    ("resolve_order", Action::ResolveOrder),
    ("note_remittance", Action::EditRemittances),
    ("list_open_cash", Action::SeeRemittances),
    ("take_stripe_notice", Action::Visit),
    ("take_redirect_notice", Action::Visit),
    ("take_courier_notice", Action::Visit),
    ("track", Action::Visit),
    ("list_charges", Action::SeeSandbox),
    ("list_mails", Action::SeeSandbox),
    ("list_sandbox_refunds", Action::SeeSandbox),
    ("drive_dispute", Action::DriveSandbox),
    ("close_dispute", Action::DriveSandbox),
    ("fail_refund", Action::DriveSandbox),
    ("sign_up", Action::Visit),
    ("verify", Action::Visit),
    ("log_in", Action::Visit),
    ("refresh", Action::Visit),
    ("log_out", Action::Visit),
    ("forgot", Action::Visit),
    ("reset", Action::Visit),
    ("get_me", Action::UseAccount),
    ("patch_me", Action::UseAccount),
    ("set_password", Action::UseAccount),
    ("set_email", Action::UseAccount),
    ("list_addresses", Action::UseCustomer),
    ("add_address", Action::UseCustomer),
    ("patch_address", Action::UseCustomer),
    ("drop_address", Action::UseCustomer),
    ("export", Action::UseAccount),
    ("erase_me", Action::UseCustomer),
    ("list_sessions", Action::UseAccount),
    ("end_session", Action::UseAccount),
    ("list_members", Action::EditMembers),
    ("invite_member", Action::EditMembers),
    ("patch_member", Action::EditMembers),
    ("get_tax", Action::EditTaxes),
    ("put_tax", Action::EditTaxes),
    ("get_loyalty", Action::EditLoyalty),
    ("put_loyalty", Action::EditLoyalty),
    ("list_accounts", Action::EditAccounts),
    ("create_account", Action::EditAccounts),
    ("get_account", Action::EditAccounts),
    ("patch_account", Action::EditAccounts),
    ("get_customer", Action::SeeCustomers),
    ("patch_customer", Action::EditCustomers),
    ("get_points", Action::SeeCustomers),
    ("give_points", Action::EditCustomers),
    ("get_own_points", Action::SeeOwnPoints),
    ("healthz", Action::Visit),
    ("readyz", Action::Visit),
    ("metrics", Action::Visit),
];

/// What a route does; a route that the table does not know is for administrators, until it does.
fn action_of(operation: &Operation) -> Action {
    let known = DOORS.iter().find(|(id, _)| operation.operation_id.as_deref() == Some(*id));
    known.map_or(Action::EditAccounts, |(_, action)| *action)
}

/// What is done at each method of a path.
type Methods = [Option<Action>; 5];

/// The doors of a router.
pub(super) struct Doors(HashMap<String, Methods>);

/// The doors, and what the token is checked with. It is copied for each request: so there is one thing to copy.
pub(super) type Porter = Arc<(Doors, HttpState)>;

impl Doors {
    /// Those of the routes of a document, which says from then on who may come in.
    pub(super) fn of(document: &mut OpenApi) -> Self {
        let mut doors = HashMap::new();
        for (path, item) in &mut document.paths.paths {
            let PathItem { get, put, post, delete, patch, .. } = item;
            let actions = [get, put, post, delete, patch].map(|operation| {
                let operation = operation.as_mut()?;
                let action = action_of(operation);
                let who: Vec<String> = action.who().iter().copied().map(Who::name).collect();
                let says = ExtensionsBuilder::new().add("x-haat-who", who).build();
                match &mut operation.extensions {
                    Some(extensions) => extensions.merge(says),
                    none => *none = Some(says),
                }
                Some(action)
            });
            doors.insert(path.clone(), actions);
        }
        Self(doors)
    }

    fn action(&self, path: &str, method: &Method) -> Option<Action> {
        let number = match *method {
            // A HEAD is answered by the handler of GET.
            Method::GET | Method::HEAD => 0,
            Method::PUT => 1,
            Method::POST => 2,
            Method::DELETE => 3,
            Method::PATCH => 4,
            // There is no handler of any other.
            _ => return None,
        };
        self.0.get(path)?[number]
    }
}

/// A layer of these doors. It is written out, since each request goes through it: as a function of axum's it cost half as much again.
pub(super) fn doors<S>(porter: Porter) -> impl Layer<S, Service = Door<S>> + Clone {
    layer_fn(move |inner| Door { porter: porter.clone(), inner })
}

/// A handler behind its door.
#[derive(Clone)]
pub(super) struct Door<S> {
    porter: Porter,
    inner: S,
}

impl<S: Service<Request, Response = Response>> Service<Request> for Door<S> {
    type Response = Response;
    type Error = S::Error;
    type Future = Either<Ready<Result<Response, S::Error>>, S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request) -> Self::Future {
        match open(&self.porter, &mut request) {
            Ok(()) => Either::Right(self.inner.call(request)),
            Err(problem) => Either::Left(ready(Ok(problem.into_response()))),
        }
    }
}

/// Lets in whom a route is for: 401 without a token, 403 for a role that it is not for. Whose something is, is not asked here.
fn open((doors, state): &(Doors, HttpState), request: &mut Request) -> Result<(), Problem> {
    let path = request.extensions().get::<MatchedPath>();
    // A method that no handler takes is told so by the router.
    let action = path.and_then(|path| doors.action(path.as_str(), request.method()));
    let Some(action) = action.filter(|action| !action.is_for_anyone()) else { return Ok(()) };
    if let Some(Known(caller)) = request.extensions().get::<Known>() {
        return caller.may(action);
    }
    let caller = Caller::of(request.headers(), state)?;
    let caller = caller.ok_or_else(|| Problem::new(&UNAUTHORIZED, "a bearer token is needed"))?;
    caller.may(action)?;
    request.extensions_mut().insert(Known(caller));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::{openapi, routes};

    /// No route is missing, and none is there that is not.
    #[test]
    fn every_route_has_a_door() {
        let routes = routes::api().merge(routes::sandbox()).merge(routes::operation());
        let (_, mut document) = openapi::documented(routes);
        let doors = Doors::of(&mut document);
        let mut ids: Vec<&str> = Vec::new();
        for (path, item) in &document.paths.paths {
            let PathItem { get, put, post, delete, patch, .. } = item;
            for operation in [get, put, post, delete, patch].into_iter().flatten() {
                let id = operation.operation_id.as_deref().unwrap_or_default();
                assert!(DOORS.iter().any(|(known, _)| *known == id), "{path}: {id} has no door");
                let says = serde_json::to_value(operation).expect("JSON");
                assert!(says["x-haat-who"].as_array().is_some_and(|who| !who.is_empty()), "{path}: {says}");
                ids.push(id);
            }
        }
        ids.sort_unstable();
        let mut known: Vec<&str> = DOORS.iter().map(|(id, _)| *id).collect();
        known.sort_unstable();
        assert_eq!(known, ids);
        assert_eq!(doors.action("/v1/carts/{cart}", &Method::HEAD), Some(Action::UseCart));
        assert_eq!(doors.action("/v1/carts/{cart}", &Method::POST), None);
        assert_eq!(doors.action("/v1/vendors", &Method::POST), Some(Action::AddVendor));
    }
}
