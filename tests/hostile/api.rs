//! Every route of the OpenAPI document, with a request that is in order: what is tried on all of them covers a new one by itself.

use crate::support::client::{Answer, Client, Request, checkout_body};
use crate::support::{fresh_uuid, token};
use crate::target::Target;
use haat::checkout::buyers::BuyerKeys;
use haat::domain::ids::{
    AccountId, AddressId, CartId, CategoryId, CouponId, CustomerId, JobId, OrderId, ProductId, RefundId, ReturnId,
    RoomId, SaleId, SessionId, ShipmentId, SkuId, SubOrderId, VendorId,
};
use haat::http::auth::Bearer;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// The ids in paths, by the names that the document gives them.
pub type Ids = BTreeMap<&'static str, String>;

/// An id of this kind that nothing has.
pub fn fresh_id(kind: &str) -> String {
    let uuid = fresh_uuid();
    match kind {
        "cart" => CartId::from_uuid(uuid).to_string(),
        "order" => OrderId::from_uuid(uuid).to_string(),
        "sub" => SubOrderId::from_uuid(uuid).to_string(),
        "refund" => RefundId::from_uuid(uuid).to_string(),
        "shipment" => ShipmentId::from_uuid(uuid).to_string(),
        "return" => ReturnId::from_uuid(uuid).to_string(),
        "job" => JobId::from_uuid(uuid).to_string(),
        "address" => AddressId::from_uuid(uuid).to_string(),
        "account" => AccountId::from_uuid(uuid).to_string(),
        "session" => SessionId::from_uuid(uuid).to_string(),
        "coupon" => CouponId::from_uuid(uuid).to_string(),
        "room" => RoomId::from_uuid(uuid).to_string(),
        // Signed by nobody.
        "ticket" => format!("ticket_{}", uuid.simple()),
        "code" => uuid.simple().to_string().to_ascii_uppercase(),
        "category" => CategoryId::from_uuid(uuid).to_string(),
        "vendor" => VendorId::from_uuid(uuid).to_string(),
        "customer" => CustomerId::from_uuid(uuid).to_string(),
        "product" => ProductId::from_uuid(uuid).to_string(),
        "sku" => SkuId::from_uuid(uuid).to_string(),
        "sale" => SaleId::from_uuid(uuid).to_string(),
        // Signed by nobody.
        "token" => uuid.simple().to_string(),
        "dispute" => OrderId::from_uuid(uuid).to_string().replace("order_", "dp_") + "_1",
        _ => panic!("{kind} is no kind of id"),
    }
}

/// A route of the document.
#[derive(Clone, Debug)]
pub struct Route {
    pub method: String,
    pub path: String,
    /// Whether it asks for a bearer.
    pub is_secured: bool,
    /// Who may, by the names that the document has for them.
    pub who: Vec<String>,
    /// Whether it takes an idempotency key.
    pub is_keyed: bool,
    /// The body of a request that is in order, for those that take one.
    pub body: Option<Value>,
    /// The statuses that the document promises.
    pub statuses: Vec<u16>,
    /// The id that most routes are asked for, and the one that this is asked for in its place.
    pub instead: Option<(String, String)>,
}

impl Route {
    fn read(document: &Value, path: &str, method: &str, operation: &Value) -> Self {
        let body = operation.pointer("/requestBody/content/application~1json/schema").map(|schema| {
            let schema = match schema["$ref"].as_str() {
                Some(reference) => document.pointer(reference.trim_start_matches('#')).expect("a schema"),
                None => schema,
            };
            let example = schema.get("example").or_else(|| schema.pointer("/examples/0"));
            example.unwrap_or_else(|| panic!("the body of {method} {path} has no example")).clone()
        });
        let is_key = |parameter: &Value| parameter["name"] == "Idempotency-Key";
        let statuses = operation["responses"].as_object().expect("responses").keys();
        Self {
            method: method.to_uppercase(),
            path: path.to_owned(),
            is_secured: operation["security"]
                .as_array()
                .is_some_and(|ways| !ways.is_empty() && !ways.contains(&json!({}))),
            who: serde_json::from_value(operation["x-haat-who"].clone()).expect("x-haat-who"),
            is_keyed: operation["parameters"].as_array().is_some_and(|parameters| parameters.iter().any(is_key)),
            body,
            statuses: statuses.filter_map(|status| status.parse().ok()).collect(),
            instead: None,
        }
    }

    /// The names of the ids in its path.
    pub fn parameters(&self) -> Vec<&str> {
        self.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')).collect()
    }

    /// Its path with these ids.
    pub fn path_of(&self, ids: &Ids) -> String {
        let id = |name: &str| {
            let id = ids.get(name).unwrap_or_else(|| panic!("{} needs an id for {name}", self.path));
            self.instead.as_ref().filter(|(usual, _)| usual == id).map_or(id, |(_, own)| own).clone()
        };
        let part = |part: &str| match part.strip_prefix('{').and_then(|part| part.strip_suffix('}')) {
            Some(name) => id(name),
            None => part.to_owned(),
        };
        self.path.split('/').map(part).collect::<Vec<_>>().join("/")
    }

    /// A request of it without a body.
    pub fn bare(&self, client: Client, ids: &Ids, bearer: Option<&str>) -> Request {
        // The same id for all: answers can be compared as they are.
        let request = client.request(&self.method, &self.path_of(ids)).header("x-request-id", "the-same");
        match bearer {
            Some(bearer) => request.bearer(bearer),
            None => request,
        }
    }

    /// A request of it that is in order.
    pub fn request(&self, client: Client, ids: &Ids, bearer: Option<&str>) -> Request {
        let request = self.bare(client, ids, bearer);
        match &self.body {
            Some(body) => request.json(body),
            None => request,
        }
    }
}

/// What is compared of two answers: everything but the moment.
pub fn all_of(answer: &Answer) -> (u16, Vec<(String, String)>, String) {
    let text = |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let headers = answer.headers.iter().filter(|(name, _)| *name != "date");
    (answer.status, headers.map(|(name, value)| (name.to_string(), text(value))).collect(), answer.text.clone())
}

/// A shop of two vendors, and a guest who bought from both.
pub struct Shop {
    pub target: Target,
    pub routes: Vec<Route>,
    pub ids: Ids,
    pub admin: String,
    pub vendor: String,
    pub guest: String,
    /// Somebody who is signed in, and in another session, too.
    pub customer: String,
    /// The other vendor, of whom the guest bought too, and what it sells.
    pub other_vendor: String,
    pub other_vendor_id: String,
    pub other_sku: String,
    /// The key of the guest's checkout.
    pub key: &'static str,
}

impl Shop {
    pub async fn open() -> Self {
        let target = Target::start().await;
        let client = target.client;
        let document = client.get("/openapi.json").send().await.expect(200).body;
        let operations = document["paths"].as_object().expect("paths").iter().flat_map(|(path, item)| {
            let operations = item.as_object().expect("operations").iter();
            // A body that is text is bytes which somebody else has signed: tests/http/stripe.rs and tests/http/redirect.rs forge those.
            let operations = operations.filter(|(_, operation)| {
                operation.pointer("/requestBody/content/application~1json/schema/type") != Some(&json!("string"))
            });
            operations.map(|(method, operation)| Route::read(&document, path, method, operation)).collect::<Vec<_>>()
        });
        let mut routes: Vec<Route> = operations.collect();
        // Whoever is forgotten does nothing after it.
        routes.sort_by_key(|route| {
            (route.method == "DELETE") as u8 + (route.path == "/v1/me" && route.method == "DELETE") as u8
        });
        assert!(routes.len() >= 24, "{} routes", routes.len());

        let admin = token(&Bearer::Admin("root".into()));
        let (vendor, sku) = client.shop(&admin, "10.00", 1_000).await;
        let (other_vendor, other_sku) = client.shop(&admin, "7.00", 1_000).await;
        let product = client.get(&format!("/v1/skus/{sku}")).send().await.expect(200).field("product_id").to_owned();
        let buyer = client.buyer(&sku, 4).await;
        client.set_line(&buyer, &other_sku, 1).await.expect(200);
        let key = "the-guests-key";
        let path = format!("/v1/carts/{}/checkout", buyer.cart);
        let mut body = checkout_body("tok_approve");
        body["email"] = json!("rahima@example.com");
        let order = client.post(&path, &body).bearer(&buyer.token).key(key).header("prefer", "wait=20").send().await;
        let order = order.expect(201);
        assert_eq!(order.field("status"), "paid");
        let job = crate::process::until("the order's mail", async || {
            let jobs = client.get("/v1/admin/jobs?state=done").bearer(&admin).send().await.expect(200);
            jobs.body["items"][0]["id"].as_str().map(ToOwned::to_owned)
        })
        .await;
        let subs = order.body["sub_orders"].as_array().expect("shares");
        let sub = subs.iter().find(|sub| sub["vendor_id"] == vendor.as_str()).expect("a share")["id"].clone();
        let sub = sub.as_str().expect("an id").to_owned();
        let path = format!("/v1/orders/{}/sub-orders/{sub}/refunds", order.field("id"));
        let goodwill = json!({"amount": {"amount": "1.00", "currency": "BDT"}, "reason": "goodwill"});
        let refund = client.post(&path, &goodwill).bearer(&admin).send().await.expect(201).field("id").to_owned();
        // One piece has arrived and is to come back, another lies in a parcel.
        let of_share = format!("/v1/orders/{}/sub-orders/{sub}", order.field("id"));
        let one = json!([{"sku_id": sku, "quantity": 1}]);
        let parcel = async || {
            let made =
                client.post(&format!("{of_share}/shipments"), &json!({"lines": one})).bearer(&admin).send().await;
            made.expect(201).field("id").to_owned()
        };
        let arrived = format!("{of_share}/shipments/{}/deliver", parcel().await);
        client.post(&arrived, &json!({})).bearer(&admin).send().await.expect(200);
        let shipment = parcel().await;
        let wanted = json!({"lines": one, "reason": "damaged"});
        let returned = client.post(&format!("{of_share}/returns"), &wanted).bearer(&admin).send().await.expect(201);
        // A SKU that the share does not have would be unknown to everybody.
        for route in routes.iter_mut().filter(|route| route.method == "POST") {
            let condition = json!([{"sku_id": sku, "quantity": 1, "condition": "resellable"}]);
            if route.path.ends_with("/returns") {
                route.body = Some(wanted.clone());
            } else if route.path.ends_with("/receive") {
                route.body = Some(json!({"lines": condition}));
            }
        }
        // The sandbox has the refund, and a dispute that has ended.
        crate::process::until("the refund in the sandbox's books", async || {
            let books = client.get("/v1/admin/sandbox/refunds").bearer(&admin).send().await.expect(200);
            books.text.contains(&refund).then_some(())
        })
        .await;
        let path = format!("/v1/admin/sandbox/charges/{}/dispute", order.field("id"));
        let disputed = json!({"amount": {"amount": "1.00", "currency": "BDT"}, "reason": "fraud"});
        let dispute = client.post(&path, &disputed).bearer(&admin).send().await.expect(201).field("id").to_owned();
        let path = format!("/v1/admin/sandbox/disputes/{dispute}/close");
        client.post(&path, &json!({"outcome": "won"})).bearer(&admin).send().await.expect(200);
        let category =
            client.post("/v1/categories", &json!({"name": "Sarees"})).bearer(&admin).send().await.expect(201);
        let password = "nine boats on the Jamuna";
        let signed_in = client.signed_up(&admin, "fina@example.com", password).await;
        let log_in = json!({"email": "fina@example.com", "password": password});
        client.post("/v1/auth/login", &log_in).send().await.expect(200);
        let customer = signed_in.field("access_token").to_owned();
        let sessions = client.get("/v1/me/sessions").bearer(&customer).send().await.expect(200);
        let session = sessions.body["items"][0]["id"].as_str().expect("a session").to_owned();
        // A merge is asked of the customer's own cart, with a guest's.
        let own = client.post("/v1/carts", &json!({})).bearer(&customer).send().await.expect(201);
        let given = client.buyer(&sku, 1).await;
        for route in routes.iter_mut().filter(|route| route.path.ends_with("/merge")) {
            route.instead = Some((buyer.cart.clone(), own.field("id").to_owned()));
            route.body = Some(json!({"from": given.cart, "token": given.token}));
        }
        // One in each decade: two sales of one SKU never run at once.
        let sale = |decade: u32| {
            json!({
                "name": "11.11", "time_zone": "Asia/Dhaka",
                "starts_at": format!("20{decade}-11-11T00:00:00Z"), "ends_at": format!("20{decade}-11-12T00:00:00Z"),
                "items": [{"sku_id": sku, "price": {"amount": "9.00", "currency": "BDT"}, "allotment": 1}],
            })
        };
        for route in routes.iter_mut().filter(|route| route.method == "POST" && route.path.ends_with("/sales")) {
            route.body = Some(sale(40));
        }
        let path = format!("/v1/vendors/{vendor}/sales");
        let scheduled = client.post(&path, &sale(30)).bearer(&admin).send().await.expect(201).field("id").to_owned();
        let bearer = |vendor: &str| token(&Bearer::owner_of(vendor.parse().expect("an id")));
        let kept = json!({"name": "Fina", "line1": "12 Lake Road", "city": "Dhaka", "country": "BD"});
        let kept = client.post("/v1/me/addresses", &kept).bearer(&customer).send().await.expect(201);
        let address = kept.field("id").to_owned();
        let invited =
            json!({"email": "lina@example.com", "role": "vendor", "vendor_id": vendor, "vendor_role": "packer"});
        let invited = client.post("/v1/admin/accounts", &invited).bearer(&admin).send().await.expect(201);
        let member = invited.field("id").to_owned();
        let brought = client.mailed(&admin, "lina@example.com", "account.invitation").await;
        let first = json!({"token": brought, "password": password});
        client.post("/v1/auth/password/reset", &first).send().await.expect(204);
        let terms = json!({
            "code": "RAHIMA", "single_use": true, "kind": "percent", "basis_points": 1_000,
            "starts_at": "2026-01-01T00:00:00Z", "ends_at": "2099-01-01T00:00:00Z"
        });
        let coupon = client.post("/v1/coupons", &terms).bearer(&bearer(&vendor)).send().await.expect(201);
        let coupon = coupon.field("id").to_owned();
        let codes = client.post(&format!("/v1/coupons/{coupon}/codes"), &json!({"count": 1})).bearer(&admin).send();
        let code = codes.await.expect(201).body["codes"][0].as_str().expect("a code").to_owned();
        let room = json!({
            "name": "11.11", "opens_at": "2026-01-01T00:00:00Z", "capacity": 500, "admit_per_minute": 60_000,
            "slot_seconds": 600
        });
        let room = client.post("/v1/rooms", &room).bearer(&admin).send().await.expect(201).field("id").to_owned();
        let path = format!("/v1/rooms/{room}/tickets");
        let ticket = client.request("POST", &path).bearer(&buyer.token).send().await.expect(201);
        let ids = [
            ("room", room),
            ("ticket", ticket.field("ticket").to_owned()),
            ("coupon", coupon),
            ("code", code),
            ("vendor", vendor.clone()),
            ("product", product),
            ("sale", scheduled),
            ("sku", sku),
            ("order", order.field("id").to_owned()),
            ("sub", sub),
            ("refund", refund),
            ("shipment", shipment.clone()),
            ("return", returned.field("id").to_owned()),
            ("dispute", dispute),
            ("token", BuyerKeys::new(target.server.shop.store_key()).tracking_token(shipment.parse().expect("an id"))),
            ("job", job),
            ("category", category.field("id").to_owned()),
            ("session", session),
            ("account", member),
            ("address", address),
            ("customer", signed_in.body["account"]["customer_id"].as_str().expect("a customer").to_owned()),
            ("kind", "cart".to_owned()),
            ("id", buyer.cart.clone()),
            ("cart", buyer.cart),
        ];
        let shop = Self {
            routes,
            ids: ids.into(),
            vendor: bearer(&vendor),
            admin,
            guest: buyer.token,
            customer,
            other_vendor: bearer(&other_vendor),
            other_vendor_id: other_vendor,
            other_sku,
            key,
            target,
        };
        shop.everything_is_listed().await;
        shop
    }

    /// Waits until a checkpoint has the order in the tables that lists are read from.
    async fn everything_is_listed(&self) {
        crate::process::until("the order in its owner's list", async || {
            let listed = self.client().get("/v1/orders").bearer(&self.guest).send().await.expect(200);
            listed.text.contains(&self.ids["order"]).then_some(())
        })
        .await;
    }

    pub fn client(&self) -> Client {
        self.target.client
    }

    /// What nobody but the guest and the staff may see, wherever it is.
    pub fn private(&self) -> Vec<String> {
        let known = ["rahima@example.com", "Rahima", "12 Lake Road", "tok_approve", self.key, self.guest.as_str()];
        let ids = [&self.ids["order"], &self.ids["cart"]];
        known.iter().map(ToString::to_string).chain(ids.into_iter().cloned()).collect()
    }

    /// Others who may know nothing of it: guests, customers and vendors.
    pub async fn strangers(&self) -> Vec<(&'static str, String)> {
        let other = self.client().buyer(&self.ids["sku"], 1).await;
        let customer = token(&Bearer::Customer(CustomerId::from_uuid(fresh_uuid())));
        let vendor = token(&Bearer::owner_of(fresh_id("vendor").parse().expect("an id")));
        // As if the cart's guest were a customer of the same name.
        let namesake = CustomerId::from_uuid(self.ids["cart"].parse::<CartId>().expect("an id").uuid());
        let namesake = token(&Bearer::Customer(namesake));
        vec![("guest", other.token), ("customer", customer), ("vendor", vendor), ("namesake", namesake)]
    }

    /// The bearer whose request is let in: of the guest, of the customer, of the vendor, or of the administrator.
    pub async fn entitled(&self, route: &Route) -> Option<&str> {
        let all = [&self.guest, &self.customer, &self.vendor, &self.admin];
        let bearers = std::iter::once(None).chain(all.map(|bearer| Some(bearer.as_str())));
        for bearer in bearers {
            let answer = route.request(self.client(), &self.ids, bearer).send().await;
            assert!(route.statuses.contains(&answer.status), "{} {}: {}", route.method, route.path, answer.text);
            // Wrong credentials are looked at, so they were let in.
            if ![403, 404].contains(&answer.status) && answer.code() != "unauthorized" {
                assert_eq!(bearer.is_some(), route.is_secured, "{} {}", route.method, route.path);
                return bearer;
            }
        }
        panic!("nobody may {} {}: the test needs another bearer", route.method, route.path)
    }
}
