//! A catalogue as its vendors mend it, and as anyone finds what is in it.

use crate::on_both_stores;
use crate::support::client::{Answer, Client};
use crate::support::{Server, token};
use haat::domain::who::{Permission, Permissions, VendorRole};
use haat::http::auth::Bearer;
use serde_json::{Value, json};

fn price(amount: &str) -> Value {
    json!({"amount": amount, "currency": "BDT"})
}

fn admin() -> String {
    token(&Bearer::Admin("root".into()))
}

fn owner(vendor: &str) -> String {
    token(&Bearer::owner_of(vendor.parse().expect("an id")))
}

/// One of the vendor's people in this role.
fn member(vendor: &str, role: VendorRole) -> String {
    token(&Bearer::Member(vendor.parse().expect("an id"), role))
}

async fn vendor(client: Client, name: &str) -> String {
    client.post("/v1/vendors", &json!({"name": name})).bearer(&admin()).send().await.expect(201).field("id").to_owned()
}

/// A product of one SKU, with the title's first letters as its code.
async fn product(client: Client, vendor: &str, body: &Value) -> Answer {
    client.post(&format!("/v1/vendors/{vendor}/products"), body).bearer(&owner(vendor)).send().await.expect(201)
}

fn one(title: &str, code: &str, amount: &str, on_hand: i64) -> Value {
    json!({"title": title, "skus": [{"code": code, "price": price(amount), "on_hand": on_hand}]})
}

fn sku_of(product: &Answer) -> String {
    product.body["skus"][0]["id"].as_str().expect("a SKU").to_owned()
}

fn titles(listed: &Answer) -> Vec<&str> {
    let items = listed.body["items"].as_array().unwrap_or_else(|| panic!("no items: {}", listed.text));
    items.iter().filter_map(|item| item["title"].as_str()).collect()
}

/// Asks until the list shows these, in this order: lists follow behind by a checkpoint.
async fn lists(client: Client, query: &str, expected: &[&str]) {
    loop {
        let listed = client.get(&format!("/v1/products?{query}")).send().await.expect(200);
        if titles(&listed) == expected {
            return;
        }
        tokio::task::yield_now().await;
    }
}

/// A text as it stands in a query.
fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

fn refused(answer: &Answer, status: u16, code: &str) {
    assert_eq!((answer.status, answer.code()), (status, code), "{}", answer.text);
}

on_both_stores! {
    /// What a product says is mended by its vendor's own people, and shown at once.
    async fn a_product_is_mended(store) {
        let server = Server::start(&store).await;
        let client = server.client;
        let vendor = vendor(client, "Nakshi").await;
        let made = product(client, &vendor, &one("Quilt", "Q1", "10.00", 3)).await;
        let path = format!("/v1/vendors/{vendor}/products/{}", made.field("id"));
        let change = json!({"title": "Cafe\u{301} quilt", "description": "two layers", "category": "home"});
        let own = owner(&vendor);
        let mended = client.request("PATCH", &path).json(&change).bearer(&own).send().await.expect(200);
        assert_eq!((&mended.body["title"], &mended.body["category"]), (&json!("Café quilt"), &json!("home")));
        assert_eq!((&mended.body["status"], &mended.body["skus"][0]["status"]), (&json!("active"), &json!("active")));
        // What is taken away is gone, and what is not named stays.
        let less = json!({"description": null});
        let mended = client.request("PATCH", &path).json(&less).bearer(&own).send().await.expect(200);
        assert!(mended.body.get("description").is_none() && mended.body["category"] == "home", "{}", mended.text);
        let shown = client.get(&format!("/v1/products/{}", made.field("id"))).send().await.expect(200);
        assert_eq!((&shown.body["title"], &shown.body["status"]), (&json!("Café quilt"), &json!("active")));
        assert_eq!(client.get(&format!("/v1/skus/{}", sku_of(&made))).send().await.expect(200).body["title"], "Café quilt");
        let again = client.get(&path).bearer(&member(&vendor, VendorRole::Packer)).send().await.expect(200);
        assert_eq!(again.body, mended.body);
        for (body, field) in [
            (json!({"title": ""}), "title"),
            (json!({"title": null}), "title"),
            (json!({"status": "gone"}), "status"),
            (json!({"category": "category_01h2xcejqtf2nbrexx3vqjhp41"}), "category"),
            (json!({"description": "x".repeat(4001)}), "description"),
        ] {
            let answer = client.request("PATCH", &path).json(&body).bearer(&own).send().await;
            refused(&answer, 422, "invalid_body");
            assert!(answer.text.contains(field), "{field}: {}", answer.text);
        }
        let nobody = client.request("PATCH", &path).json(&less).bearer(&member(&vendor, VendorRole::Packer)).send().await;
        refused(&nobody, 403, "forbidden");
        let foreign = self::vendor(client, "Rupkotha").await;
        let other = client.request("PATCH", &path).json(&less).bearer(&owner(&foreign)).send().await;
        refused(&other, 404, "vendor_unknown");
        let elsewhere = format!("/v1/vendors/{foreign}/products/{}", made.field("id"));
        let other = client.request("PATCH", &elsewhere).json(&less).bearer(&owner(&foreign)).send().await;
        refused(&other, 404, "product_unknown");
        server.stop().await;
    }

    /// A SKU is added to a product once, whatever is asked again.
    async fn a_sku_is_added(store) {
        let server = Server::start(&store).await;
        let client = server.client;
        let vendor = vendor(client, "Nakshi").await;
        let made = product(client, &vendor, &one("Quilt", "Q1", "10.00", 3)).await;
        let (path, own) = (format!("/v1/vendors/{vendor}/products/{}/skus", made.field("id")), owner(&vendor));
        let add = |body: Value, key: &str| client.post(&path, &body).bearer(&own).key(key).send();
        let large = json!({"code": "Q2", "price": price("12.00"), "on_hand": 5});
        let added = add(large.clone(), "large").await.expect(201);
        let codes: Vec<_> = added.body["skus"].as_array().expect("SKUs").iter().map(|sku| &sku["code"]).collect();
        assert_eq!(codes, ["Q1", "Q2"]);
        let again = add(large.clone(), "large").await.expect(201);
        assert_eq!((again.header("idempotent-replayed"), &again.body), (Some("true"), &added.body));
        let taken = add(json!({"code": " Q2 ", "price": price("1.00"), "on_hand": 0}), "taken").await;
        refused(&taken, 422, "sku_code_taken");
        assert_eq!(taken.body["errors"][0]["field"], "code", "{}", taken.text);
        let many = add(json!({"code": "Q3", "price": price("1.00"), "on_hand": 1_000_000_000_001_i64}), "many").await;
        refused(&many, 422, "stock_out_of_range");
        assert_eq!(many.body["errors"][0]["field"], "on_hand", "{}", many.text);
        let dear = add(json!({"code": "Q3", "price": price("0.00"), "on_hand": 1}), "dear").await;
        refused(&dear, 422, "price_out_of_range");
        // It is sold as any other, and its history begins with the pieces that it came with.
        let sku = added.body["skus"][1]["id"].as_str().expect("an id").to_owned();
        client.buyer(&sku, 5).await;
        let history = loop {
            let path = format!("/v1/vendors/{vendor}/skus/{sku}/stock");
            let history = client.get(&path).bearer(&own).send().await.expect(200);
            if history.body["items"].as_array().is_some_and(|items| !items.is_empty()) {
                break history;
            }
            tokio::task::yield_now().await;
        };
        let first = &history.body["items"][0];
        assert_eq!((&first["delta"], &first["reason"], &first["by"]), (&json!(5), &json!("added"), &json!("vendor")));
        server.stop().await;
    }

    /// What is archived goes into no cart, and is bought by nobody who has it in one; what is held goes its way.
    async fn what_is_archived_is_not_sold(store) {
        let server = Server::start(&store).await;
        let client = server.client;
        let vendor = vendor(client, "Nakshi").await;
        let made = product(client, &vendor, &one("Quilt", "Q1", "10.00", 5)).await;
        let (sku, own) = (sku_of(&made), owner(&vendor));
        let (late, slow) = (client.buyer(&sku, 1).await, client.buyer(&sku, 2).await);
        let paying = client.checkout(&slow, "tok_slow_300").send().await.expect(201);
        let of_sku = format!("/v1/vendors/{vendor}/skus/{sku}");
        let of_product = format!("/v1/vendors/{vendor}/products/{}", made.field("id"));
        for path in [of_sku, of_product] {
            let set = |status: &'static str| {
                client.request("PATCH", &path).json(&json!({"status": status})).bearer(&own).send()
            };
            let archived = set("archived").await.expect(200);
            assert!(archived.text.contains("\"status\":\"archived\""), "{}", archived.text);
            let shown = client.get(&format!("/v1/skus/{sku}")).send().await.expect(200);
            assert_eq!((&shown.body["status"], &shown.body["available"]), (&json!("archived"), &json!(0)));
            let unsold = client.checkout(&late, "tok_approve").send().await;
            refused(&unsold, 409, "sku_unavailable");
            assert_eq!(unsold.body["skus"], json!([sku]), "{}", unsold.text);
            refused(&client.set_line(&late, &sku, 2).await, 409, "sku_unavailable");
            // Whoever takes it out of the cart can do so.
            client.set_line(&late, &sku, 0).await.expect(200);
            set("active").await.expect(200);
            client.set_line(&late, &sku, 1).await.expect(200);
        }
        let paid = loop {
            let order = client.order(&slow.token, paying.field("id")).await.expect(200);
            if order.body["status"] == "paid" {
                break order;
            }
            tokio::task::yield_now().await;
        };
        assert_eq!(paid.body["lines"][0]["quantity"], 2);
        client.checkout(&late, "tok_approve").header("prefer", "wait=20").send().await.expect(201);
        let stock = client.stock(&admin(), &vendor, &sku).await;
        assert_eq!((&stock["sold"], &stock["held"]), (&json!(3), &json!(0)), "{stock}");
        server.stop().await;
    }

    /// The staff suspends a vendor, with a reason; its own people cannot end that, and its goods are for sale again when it has ended.
    async fn a_suspended_vendor_sells_nothing(store) {
        let server = Server::start(&store).await;
        let client = server.client;
        let vendor = vendor(client, "Nakshi").await;
        let made = product(client, &vendor, &one("Quilt", "Q1", "10.00", 5)).await;
        let (sku, path, own) = (sku_of(&made), format!("/v1/vendors/{vendor}"), owner(&vendor));
        let buyer = client.buyer(&sku, 1).await;
        lists(client, "", &["Quilt"]).await;
        let patch = |bearer: &str, body: Value| client.request("PATCH", &path).json(&body).bearer(bearer).send();
        let suspend = json!({"status": "suspended", "reason": "no papers"});
        refused(&patch(&own, suspend.clone()).await, 403, "forbidden");
        refused(&patch(&member(&vendor, VendorRole::Packer), json!({"name": "X"})).await, 403, "forbidden");
        let staff = token(&Bearer::Staff("vera".into(), Permissions::from_iter([Permission::VendorsEdit])));
        for wrong in [
            json!({"status": "suspended"}), json!({"reason": "why"}), json!({}), json!({"name": ""}),
            json!({"name": "N", "status": "active", "reason": "both"}), json!({"status": "gone", "reason": "x"}),
        ] {
            refused(&patch(&staff, wrong).await, 422, "invalid_body");
        }
        let shown = patch(&staff, suspend.clone()).await.expect(200);
        assert_eq!((shown.field("name"), shown.field("status")), ("Nakshi", "suspended"));
        assert_eq!(client.get(&path).send().await.expect(200).body, shown.body);
        refused(&patch(&own, json!({"status": "active", "reason": "please"})).await, 403, "forbidden");
        refused(&client.checkout(&buyer, "tok_approve").send().await, 409, "sku_unavailable");
        refused(&client.set_line(&buyer, &sku, 3).await, 409, "sku_unavailable");
        assert_eq!(client.get(&format!("/v1/skus/{sku}")).send().await.expect(200).body["status"], "suspended");
        lists(client, "", &[]).await;
        // Its own people look after it meanwhile, and call it something else.
        let listed = client.get(&format!("{path}/products")).bearer(&own).send().await.expect(200);
        assert_eq!(titles(&listed), ["Quilt"]);
        patch(&own, json!({"name": "Nakshi & Co."})).await.expect(200);
        patch(&staff, json!({"status": "active", "reason": "papers came"})).await.expect(200);
        client.checkout(&buyer, "tok_approve").header("prefer", "wait=20").send().await.expect(201);
        lists(client, "", &["Quilt"]).await;
        let known = client.get("/v1/vendors").send().await.expect(200);
        assert_eq!(known.body["items"], json!([{"id": vendor, "name": "Nakshi & Co.", "status": "active"}]));
        server.stop().await;
        // It is all there after a restart.
        let server = Server::start(&store).await;
        patch_again(server.client, &path, &staff, &suspend).await;
        server.stop().await;
        let server = Server::start(&store).await;
        assert_eq!(server.client.get(&path).send().await.expect(200).field("status"), "suspended");
        let buyer = server.client.post("/v1/carts", &json!({})).send().await.expect(201);
        let line = format!("/v1/carts/{}/lines/{sku}", buyer.field("id"));
        let line = server.client.request("PUT", &line).json(&json!({"quantity": 1})).bearer(buyer.field("token"));
        refused(&line.send().await, 409, "sku_unavailable");
        server.stop().await;
    }

    /// Words and the beginnings of words, in both scripts, in any case, however their letters are put together; and no other word's product.
    async fn products_are_found_by_words(store) {
        let server = Server::start(&store).await;
        let client = server.client;
        let vendor = vendor(client, "Nakshi").await;
        let name = json!({"name": "Winter wear"});
        let category = client.post("/v1/categories", &name).bearer(&admin()).send().await.expect(201);
        for (title, code, category) in [
            ("শাড়ি জামদানি", "JAM-RED", None),
            ("জিমদিনা", "X-1", None),
            ("Café Straße", "CAFÉ_77", None),
            ("Cafe", "C-2", None),
            ("Wool coat", "W-3", Some(category.field("id"))),
            ("র\u{200d}্যাব চাদর", "R-4", Some("লাল")),
        ] {
            let mut body = one(title, code, "10.00", 1);
            body["category"] = json!(category);
            product(client, &vendor, &body).await;
        }
        let found: &[(&str, &[&str])] = &[
            ("জামদানি", &["শাড়ি জামদানি"]),
            ("শা\u{9a1}\u{9bc}ি", &["শাড়ি জামদানি"]),
            ("জাম", &["শাড়ি জামদানি"]),
            ("জিম", &["জিমদিনা"]),
            ("জামদানি শাড়ি", &["শাড়ি জামদানি"]),
            ("CAFE\u{301}", &["Café Straße"]),
            ("cafe", &["Cafe"]),
            ("STRASSE", &["Café Straße"]),
            ("ca", &["Cafe", "Café Straße"]),
            ("c", &["Cafe"]),
            ("s", &[]),
            ("red", &["শাড়ি জামদানি"]),
            ("café 77", &["Café Straße"]),
            ("WINTER coat", &["Wool coat"]),
            ("winter saree", &[]),
            ("wear wint", &["Wool coat"]),
            ("র্যাব", &["র\u{200d}্যাব চাদর"]),
            ("লাল", &["র\u{200d}্যাব চাদর"]),
            ("---", &[]),
            ("category", &[]),
            ("'; DROP TABLE products", &[]),
            ("\"cafe\" OR", &[]),
        ];
        for (text, expected) in found {
            lists(client, &format!("q={}", encoded(text)), expected).await;
        }
        let nine = client.get("/v1/products?q=a%20b%20c%20d%20e%20f%20g%20h%20i").send().await;
        refused(&nine, 422, "invalid_query");
        // What is mended is found by what it says now, and no more by what it said.
        let listed = client.get("/v1/products?q=wool").send().await.expect(200);
        let path = format!("/v1/vendors/{vendor}/products/{}", listed.body["items"][0]["id"].as_str().expect("an id"));
        let change = json!({"title": "Silk coat"});
        client.request("PATCH", &path).json(&change).bearer(&owner(&vendor)).send().await.expect(200);
        lists(client, "q=silk", &["Silk coat"]).await;
        lists(client, "q=wool", &[]).await;
        lists(client, "q=W-3", &["Silk coat"]).await;
        server.stop().await;
    }

    /// By price and stock, in the order of prices, page by page; and what a vendor has archived, on its own list alone.
    async fn products_are_filtered_and_sorted(store) {
        let server = Server::start(&store).await;
        let client = server.client;
        let vendor = vendor(client, "Nakshi").await;
        let mut made = Vec::new();
        for (title, amount, on_hand) in [("A", "30.00", 1), ("B", "10.00", 0), ("C", "20.00", 2), ("D", "10.00", 1)] {
            made.push(product(client, &vendor, &one(title, title, amount, on_hand)).await);
        }
        lists(client, "", &["D", "C", "B", "A"]).await;
        lists(client, "sort=newest&in_stock=true", &["D", "C", "A"]).await;
        lists(client, "in_stock=false", &["B"]).await;
        lists(client, "sort=price", &["B", "D", "C", "A"]).await;
        lists(client, "sort=-price", &["A", "C", "D", "B"]).await;
        lists(client, "min_price=10.01&max_price=29.99", &["C"]).await;
        lists(client, "min_price=20.00&sort=price", &["C", "A"]).await;
        lists(client, "max_price=20&currency=JPY", &[]).await;
        for (order, all) in [("price", ["B", "D", "C", "A"]), ("-price", ["A", "C", "D", "B"]), ("newest", ["D", "C", "B", "A"])] {
            let (mut cursor, mut seen) = (String::new(), Vec::new());
            loop {
                let path = format!("/v1/products?sort={order}&limit=1&cursor={cursor}");
                let page = client.get(&path).send().await.expect(200);
                seen.extend(titles(&page).into_iter().map(ToOwned::to_owned));
                match page.body["next_cursor"].as_str() {
                    Some(next) => cursor = next.to_owned(),
                    None => break,
                }
            }
            assert_eq!(seen, all, "{order}");
        }
        for wrong in ["sort=best", "min_price=1", "max_price=x", "min_price=1.00&currency=QQQ", "in_stock=1", "min_price=-1.00"] {
            refused(&client.get(&format!("/v1/products?{wrong}")).send().await, 422, "invalid_query");
        }
        // A price that is another, and a last piece that goes, are seen in both orders.
        let own = owner(&vendor);
        let path = format!("/v1/vendors/{vendor}/skus/{}", sku_of(&made[0]));
        client.request("PATCH", &path).json(&json!({"price": price("5.00")})).bearer(&own).send().await.expect(200);
        lists(client, "sort=price", &["A", "B", "D", "C"]).await;
        let buyer = client.buyer(&sku_of(&made[0]), 1).await;
        client.checkout(&buyer, "tok_approve").header("prefer", "wait=20").send().await.expect(201);
        lists(client, "in_stock=true", &["D", "C"]).await;
        let path = format!("/v1/vendors/{vendor}/products");
        let archive = format!("{path}/{}", made[2].field("id"));
        client.request("PATCH", &archive).json(&json!({"status": "archived"})).bearer(&own).send().await.expect(200);
        lists(client, "", &["D", "B", "A"]).await;
        for (query, expected) in [("", &["D", "C", "B", "A"][..]), ("?status=archived", &["C"]), ("?status=active", &["D", "B", "A"])] {
            let listed = client.get(&format!("{path}{query}")).bearer(&own).send().await.expect(200);
            assert_eq!(titles(&listed), expected, "{query}");
        }
        refused(&client.get(&format!("{path}?status=gone")).bearer(&own).send().await, 422, "invalid_query");
        let stranger = token(&Bearer::owner_of(self::vendor(client, "Rupkotha").await.parse().expect("an id")));
        refused(&client.get(&path).bearer(&stranger).send().await, 404, "vendor_unknown");
        server.stop().await;
    }
}

async fn patch_again(client: Client, path: &str, bearer: &str, body: &Value) {
    client.request("PATCH", path).json(body).bearer(bearer).send().await.expect(200);
}
