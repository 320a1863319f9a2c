//! What orders come to beside their goods: shipping and taxes, by tables that are written whole; and quotes.

use crate::on_both_stores;
use crate::support::client::{Answer, Buyer, Client, checkout_body};
use crate::support::{Server, token};
use haat::domain::who::VendorRole;
use haat::http::auth::Bearer;
use serde_json::{Value, json};

fn taka(amount: &str) -> Value {
    json!({"amount": amount, "currency": "BDT"})
}

/// A shop of one vendor, as its administrator sees it.
struct Shop {
    client: Client,
    admin: String,
    vendor: String,
    sku: String,
}

impl Shop {
    async fn new(client: Client) -> Self {
        let admin = token(&Bearer::Admin("root".into()));
        let (vendor, sku) = client.shop(&admin, "100.00", 50).await;
        Self { client, admin, vendor, sku }
    }

    async fn put(&self, path: &str, version: Option<&str>, body: &Value) -> Answer {
        let request = self.client.request("PUT", path).json(body).bearer(&self.admin);
        match version {
            Some(version) => request.header("if-match", version).send().await,
            None => request.send().await,
        }
    }

    fn methods_path(&self) -> String {
        format!("/v1/vendors/{}/shipping-methods", self.vendor)
    }

    /// Ships into Bangladesh for 60.00, fast for 90.00; taxes 15 % on top.
    async fn with_tables(self) -> Self {
        self.put("/v1/admin/tax", Some("\"0\""), &tax(false, 15_000)).await.expect(200);
        self.put(&self.methods_path(), Some("\"0\""), &methods()).await.expect(200);
        self
    }

    async fn buyer(&self, quantity: i64) -> Buyer {
        self.client.buyer(&self.sku, quantity).await
    }

    async fn quote(&self, buyer: &Buyer, body: &Value) -> Answer {
        let path = format!("/v1/carts/{}/quote", buyer.cart);
        self.client.post(&path, body).bearer(&buyer.token).send().await
    }

    async fn check_out(&self, buyer: &Buyer, more: Value) -> Answer {
        let mut body = checkout_body("tok_approve");
        for (field, value) in more.as_object().expect("an object") {
            body[field] = value.clone();
        }
        let path = format!("/v1/carts/{}/checkout", buyer.cart);
        self.client.post(&path, &body).bearer(&buyer.token).header("prefer", "wait=20").send().await
    }
}

trait Refused {
    /// The same, once it is seen to be this refusal.
    fn refused(self, status: u16, code: &str) -> Self;
}

impl Refused for Answer {
    fn refused(self, status: u16, code: &str) -> Self {
        assert_eq!((self.status, self.code()), (status, code), "{}", self.text);
        self
    }
}

fn tax(included: bool, rate: u32) -> Value {
    let row = json!({
        "country": "BD", "category": "standard", "rate_milli_percent": rate, "valid_from": "2020-01-01T00:00:00+06:00",
        "reason": "usual",
    });
    json!({
        "prices_include_tax": included, "shipping_tax": "proportional", "time_zone": "Asia/Dhaka", "tax_tables": [row],
    })
}

fn method(name: &str, price: &str) -> Value {
    let rate = json!({"kind": "flat", "price": taka(price)});
    json!({"name": name, "days": [1, 3], "zones": [{"countries": ["BD"], "rate": rate}]})
}

fn methods() -> Value {
    json!({"shipping_methods": [method("Post", "60.00"), method("Courier", "90.00")]})
}

fn abroad(mut body: Value) -> Value {
    body["shipping_address"]["country"] = json!("IN");
    body
}

/// total + 0 points = subtotal − discount + shipping + fees + tax on top, in minor units; and so of the shares together.
fn adds_up(body: &Value) {
    let minor = |of: &Value, field: &str| {
        of[field]["amount"].as_str().unwrap_or_else(|| panic!("{field}: {of}")).replace('.', "").parse::<i64>().unwrap()
    };
    let of = |of: &Value| {
        let on_top = if body["prices_include_tax"] == true { 0 } else { minor(of, "tax") };
        minor(of, "subtotal") - minor(of, "discount") + minor(of, "shipping") + minor(of, "fees") + on_top
    };
    assert_eq!(minor(body, "total"), of(body), "{body}");
    let shares = body["sub_orders"].as_array().unwrap();
    assert!(shares.iter().all(|share| minor(share, "total") == of(share)), "{body}");
    assert_eq!(shares.iter().map(|share| minor(share, "total")).sum::<i64>(), minor(body, "total"));
}

on_both_stores! {
    /// A table is written from the version that was read, and by nobody from another.
    async fn a_table_is_written_whole_and_from_its_version(store) {
        let server = Server::start(&store).await;
        let shop = Shop::new(server.client).await;
        let none = shop.client.get("/v1/admin/tax").bearer(&shop.admin).send().await.expect(200);
        assert_eq!((none.header("etag"), &none.body["version"], &none.body["tax_tables"]), (Some("\"0\""), &json!(0), &json!([])));
        shop.put("/v1/admin/tax", None, &tax(true, 1)).await.refused(428, "precondition_required");
        for other in ["\"1\"", "0", "*", "W/\"0\"", "\"\""] {
            shop.put("/v1/admin/tax", Some(other), &tax(true, 1)).await.refused(412, "version_conflict");
        }
        let first = shop.put("/v1/admin/tax", Some("\"0\""), &tax(true, 15_000)).await.expect(200);
        assert_eq!((first.header("etag"), &first.body["version"]), (Some("\"1\""), &json!(1)));
        shop.put("/v1/admin/tax", Some("\"0\""), &tax(true, 1)).await.refused(412, "version_conflict");
        shop.put("/v1/admin/tax", Some("\"1\""), &tax(false, 8_875)).await.expect(200);
        // Whatever is wrong is told with its field, and changes nothing.
        let mut wrong = tax(true, 100_001);
        wrong["tax_tables"][0]["country"] = json!("XX");
        wrong["tax_tables"][0]["valid_from"] = json!("yesterday");
        let told = shop.put("/v1/admin/tax", Some("\"2\""), &wrong).await.expect(422);
        let fields: Vec<&str> = told.body["errors"].as_array().unwrap().iter().filter_map(|fault| fault["field"].as_str()).collect();
        assert_eq!(fields, ["tax_tables[0].country", "tax_tables[0].rate_milli_percent", "tax_tables[0].valid_from"]);
        let mut free = tax(true, 0);
        free["tax_tables"][0]["reason"] = Value::Null;
        shop.put("/v1/admin/tax", Some("\"2\""), &free).await.expect(422);
        // It outlasts a restart.
        let server = {
            server.stop().await;
            Server::start(&store).await
        };
        let kept = server.client.get("/v1/admin/tax").bearer(&shop.admin).send().await.expect(200);
        assert_eq!((&kept.body["version"], &kept.body["tax_tables"][0]["rate_milli_percent"]), (&json!(2), &json!(8_875)));
        // Neither a buyer nor a vendor has to do with it.
        let vendor = token(&Bearer::Member(shop.vendor.parse().unwrap(), VendorRole::Owner));
        server.client.get("/v1/admin/tax").bearer(&vendor).send().await.expect(403);
        server.stop().await;
    }

    /// Methods of shipping keep their ids, and only their vendor's people set them.
    async fn a_vendor_says_how_it_ships(store) {
        let server = Server::start(&store).await;
        let shop = Shop::new(server.client).await;
        let path = shop.methods_path();
        let first = shop.put(&path, Some("\"0\""), &methods()).await.expect(200);
        let id = first.body["shipping_methods"][1]["id"].clone();
        let mut kept = method("Rider", "120.00");
        kept["id"] = id.clone();
        let second = shop.put(&path, Some("\"1\""), &json!({"shipping_methods": [kept.clone()]})).await.expect(200);
        assert_eq!(second.body["shipping_methods"][0]["id"], id);
        let twice = json!({"shipping_methods": [kept, {"name": "", "days": [3, 1], "zones": [], "id": id}]});
        let told = shop.put(&path, Some("\"2\""), &twice).await.expect(422);
        let fields: Vec<&str> = told.body["errors"].as_array().unwrap().iter().filter_map(|fault| fault["field"].as_str()).collect();
        let of = |field: &str| format!("shipping_methods[1].{field}");
        assert_eq!(fields, [of("name"), of("id"), of("days"), of("zones")]);
        for days in [json!([]), json!([1]), json!([1, 2, 3])] {
            let mut method = method("Rider", "120.00");
            method["days"] = days;
            let told = shop.put(&path, Some("\"2\""), &json!({"shipping_methods": [method]})).await.expect(422);
            assert_eq!(told.body["errors"][0]["field"], json!("shipping_methods[0].days"));
        }
        let other = shop.client.post("/v1/vendors", &json!({"name": "Other"})).bearer(&shop.admin).send().await.expect(201);
        let stranger = token(&Bearer::Member(other.field("id").parse().unwrap(), VendorRole::Owner));
        let asked = || shop.client.get(&path).bearer(&stranger).send();
        asked().await.refused(404, "vendor_unknown");
        let own = token(&Bearer::Member(shop.vendor.parse().unwrap(), VendorRole::Packer));
        let shown = shop.client.get(&path).bearer(&own).send().await.expect(200);
        assert_eq!((shown.header("etag"), &shown.body), (Some("\"2\""), &second.body));
        server.stop().await;
    }

    /// A quote is what a checkout then comes to; its total is agreed, and what it shows is shown of the order.
    async fn a_checkout_comes_to_what_was_quoted(store) {
        let server = Server::start(&store).await;
        let shop = Shop::new(server.client).await.with_tables().await;
        let buyer = shop.buyer(2).await;
        let address = json!({"shipping_address": checkout_body("x")["shipping_address"]});
        let cheap = shop.quote(&buyer, &address).await.expect(200);
        adds_up(&cheap.body);
        // 200.00 and 60.00, with 39.00 on top.
        assert_eq!((&cheap.body["total"], &cheap.body["tax"], &cheap.body["shipping"]), (&taka("299.00"), &taka("39.00"), &taka("60.00")));
        let offered = cheap.body["sub_orders"][0]["shipping_methods"].as_array().unwrap();
        let courier = offered.iter().find(|method| method["name"] == "Courier").unwrap()["id"].clone();
        let mut choice = address.clone();
        choice["shipping"] = json!({ &shop.vendor: courier });
        let quoted = shop.quote(&buyer, &choice).await.expect(200);
        assert_eq!(quoted.body["total"], taka("333.50"));
        // Shipping and taxes were not shown by the cart: without a total none is agreed.
        let refused = shop.check_out(&buyer, json!({})).await.refused(409, "price_changed");
        assert_eq!(refused.body["actual_total"], taka("299.00"));
        let quote_id = &quoted.body["quote_id"];
        for (more, why) in [
            (abroad(checkout_body("tok_approve")), "address"),
            (json!({"shipping": {&shop.vendor: offered[0]["id"]}}), "choice"),
        ] {
            let mut body = more;
            body["quote_id"] = quote_id.clone();
            let refused = shop.check_out(&buyer, body).await.refused(409, "quote_expired");
            assert_eq!(refused.body["why"], why);
        }
        shop.check_out(&buyer, json!({"quote_id": "quote_x.y.z"})).await.expect(422);
        let paid = shop.check_out(&buyer, json!({"quote_id": quote_id})).await.expect(201).body;
        assert_eq!((&paid["status"], &paid["total"], &paid["paid"]), (&json!("paid"), &taka("333.50"), &taka("333.50")));
        adds_up(&paid);
        for field in ["discount", "tax", "payable", "points", "line_total"] {
            assert_eq!(paid["lines"][0][field], quoted.body["lines"][0][field], "{field}");
        }
        assert_eq!(paid["sub_orders"][0]["shipping_method_id"], courier);
        // In the read tables it is the same, as the order tells it.
        let id = paid["id"].as_str().unwrap();
        let shown = shop.client.order(&shop.admin, id).await.expect(200).body;
        assert_eq!(shown["lines"], paid["lines"]);
        let server = {
            server.stop().await;
            Server::start(&store).await
        };
        let listed = server.client.get("/v1/orders").bearer(&shop.admin).send().await.expect(200).body;
        let row = &listed["items"][0];
        adds_up(row);
        assert_eq!((&row["lines"], &row["sub_orders"]), (&shown["lines"], &shown["sub_orders"]));
        server.stop().await;
    }

    /// Staff say why a customer pays no tax; the bill says it of each line. Where prices include the tax, the gross is the same.
    async fn an_exempt_buyer_pays_no_tax_and_the_bill_says_why(store) {
        let server = Server::start(&store).await;
        let shop = Shop::new(server.client).await.with_tables().await;
        let session = shop.client.signed_up(&shop.admin, "fina@example.com", "seven boats on the Padma").await;
        let (fina, id) = (session.field("access_token").to_owned(), session.body["account"]["customer_id"].clone());
        let path = format!("/v1/admin/customers/{}", id.as_str().expect("a customer"));
        let patch = async |client: &Client, bearer: &str, exempt: Value| {
            client.request("PATCH", &path).json(&json!({"exempt": exempt})).bearer(bearer).send().await
        };
        patch(&shop.client, &fina, json!("resale")).await.expect(403);
        // A number of the tax office is none of these: it would stand in the journal for ever.
        patch(&shop.client, &shop.admin, json!("BD 1234567")).await.expect(422);
        let told = patch(&shop.client, &shop.admin, json!("resale")).await.expect(200).body;
        assert_eq!(told, json!({"id": id, "group": "retail", "exempt": "resale"}));

        let buyer = async |client: &Client| {
            let cart = client.post("/v1/carts", &json!({})).bearer(&fina).send().await;
            let buyer = Buyer { cart: cart.field("id").to_owned(), token: fina.clone() };
            client.set_line(&buyer, &shop.sku, 2).await.expect(200);
            buyer
        };
        let address = json!({"shipping_address": checkout_body("x")["shipping_address"]});
        let quote = async |client: &Client, buyer: &Buyer| {
            let path = format!("/v1/carts/{}/quote", buyer.cart);
            let quoted = client.post(&path, &address).bearer(&buyer.token).send().await.expect(200).body;
            adds_up(&quoted);
            quoted
        };
        let first = buyer(&shop.client).await;
        let quoted = quote(&shop.client, &first).await;
        assert_eq!((&quoted["total"], &quoted["tax"]), (&taka("260.00"), &taka("0.00")));
        let paid = shop.check_out(&first, json!({"quote_id": quoted["quote_id"]})).await.expect(201).body;
        assert_eq!((&paid["status"], &paid["total"]), (&json!("paid"), &taka("260.00")));
        let of_line = json!({
            "category": "standard", "rate_milli_percent": 0, "reason": "exempt_resale", "base": taka("200.00"), "amount": taka("0.00"),
            "included": false,
        });
        assert_eq!((&quoted["lines"][0]["tax"], &paid["lines"][0]["tax"]), (&of_line, &of_line));
        // It is known after a restart, whatever a cart showed.
        server.stop().await;
        let server = Server::start(&store).await;
        let client = server.client;
        let second = buyer(&client).await;
        assert_eq!(quote(&client, &second).await["total"], taka("260.00"));
        // Its order is remembered as it was, once they pay taxes again.
        let told = patch(&client, &shop.admin, Value::Null).await.expect(200).body;
        assert_eq!(told, json!({"id": id, "group": "retail"}));
        assert_eq!(quote(&client, &second).await["total"], taka("299.00"));
        let order = client.order(&fina, paid["id"].as_str().expect("an id")).await.expect(200).body;
        assert_eq!(order["lines"][0]["tax"], of_line);
        // Where prices include the tax, the gross stays.
        let request = client.request("PUT", "/v1/admin/tax").json(&tax(true, 15_000)).bearer(&shop.admin);
        request.header("if-match", "\"1\"").send().await.expect(200);
        for (exempt, within) in [(Value::Null, "33.91"), (json!("charity"), "0.00")] {
            patch(&client, &shop.admin, exempt).await.expect(200);
            let quoted = quote(&client, &second).await;
            assert_eq!((&quoted["total"], &quoted["tax"]), (&taka("260.00"), &taka(within)));
        }
        server.stop().await;
    }

    /// Where nobody ships to, nothing is held; where nothing is set, all is as it was.
    async fn an_address_is_served_or_refused(store) {
        let server = Server::start(&store).await;
        let shop = Shop::new(server.client).await;
        let buyer = shop.buyer(1).await;
        let plain = shop.check_out(&buyer, json!({})).await.expect(201).body;
        adds_up(&plain);
        assert_eq!((&plain["total"], &plain["tax"], plain["lines"][0].get("tax")), (&taka("100.00"), &taka("0.00"), None));
        let shop = shop.with_tables().await;
        let buyer = shop.buyer(1).await;
        let refused = shop.check_out(&buyer, abroad(checkout_body("tok_approve"))).await.refused(422, "address_not_served");
        assert_eq!(refused.body["vendor_ids"], json!([shop.vendor]));
        let stock = shop.client.stock(&shop.admin, &shop.vendor, &shop.sku).await;
        assert_eq!((&stock["held"], &stock["on_hand"]), (&json!(0), &json!(49)));
        let total = json!({"expected_total": taka("184.00")});
        shop.check_out(&buyer, total).await.expect(201);
        server.stop().await;
    }
}
