//! What texts may be: in one form, visible, and without what acts on whoever reads them.

use crate::on_both_stores;
use crate::support::client::{Answer, Client, checkout_body};
use crate::support::{Server, token};
use haat::http::auth::Bearer;
use serde_json::{Value, json};

/// A body with another value at one place.
fn with(mut body: Value, pointer: &str, value: &Value) -> Value {
    *body.pointer_mut(pointer).expect("a place in the body") = value.clone();
    body
}

fn checkout() -> Value {
    let mut body = checkout_body("tok_approve");
    body["email"] = json!("rahima@example.com");
    body["shipping_address"]["line2"] = json!("3rd floor");
    body["shipping_address"]["postcode"] = json!("1205");
    body["shipping_address"]["phone"] = json!("+8801712345678");
    body["expected_total"] = json!({"amount": "1.00", "currency": "BDT"});
    body
}

fn product() -> Value {
    let sku = json!({"code": "Q1", "price": {"amount": "1.00", "currency": "BDT"}, "on_hand": 1});
    json!({"title": "Quilt", "description": "Sewn", "category": "home", "skus": [sku]})
}

#[track_caller]
fn refused(answer: &Answer, field: &str, why: &str) {
    let fields: Vec<&str> =
        answer.body["errors"].as_array().into_iter().flatten().filter_map(|error| error["field"].as_str()).collect();
    assert_eq!((answer.status, fields), (422, vec![field]), "{why}: {}", answer.text);
}

async fn vendor(client: &Client, admin: &str) -> String {
    client.post("/v1/vendors", &json!({"name": "Nakshi"})).bearer(admin).send().await.expect(201).field("id").to_owned()
}

on_both_stores! {
    /// Sets of values, not only forms: what is no country and no money is refused with its field.
    async fn countries_are_countries_and_money_is_money(store) {
        let server = Server::start(&store).await;
        let client = server.client;
        let admin = token(&Bearer::Admin("root".into()));
        let market = client.market(5).await;
        let path = format!("/v1/carts/{}/checkout", market.buyer.cart);
        let ask = |body: Value| client.post(&path, &body).bearer(&market.buyer.token).send();
        for country in ["XX", "UK", "AN", "EU", "SU", "ZZ", "XK", "QM", "AA", "YU", "CS", "DD", "FX", "AC", "EL", "bd", "Bd"] {
            let answer = ask(with(checkout(), "/shipping_address/country", &json!(country))).await;
            refused(&answer, "shipping_address.country", country);
        }
        let products = format!("/v1/vendors/{}/products", market.vendor);
        let patch = format!("/v1/vendors/{}/skus/{}", market.vendor, market.sku);
        for currency in [
            "XXX", "XTS", "XAU", "XAG", "XPT", "XPD", "XDR", "XSU", "XUA", "XBA", "XBB", "XBC", "XBD", "BOV", "CLF", "COU",
            "MXV", "USN", "UYI", "UYW", "CHE", "CHW", "ZWL", "HRK", "ANG", "CUC", "SLL", "BGN", "XAD", "bdt", "ZZZ",
        ] {
            let answer = ask(with(checkout(), "/expected_total/currency", &json!(currency))).await;
            refused(&answer, "expected_total.currency", currency);
            let body = with(product(), "/skus/0/price/currency", &json!(currency));
            let answer = client.post(&products, &body).bearer(&admin).send().await;
            refused(&answer, "skus[0].price.currency", currency);
            let body = json!({"price": {"amount": "1.00", "currency": currency}});
            let answer = client.request("PATCH", &patch).json(&body).bearer(&admin).send().await;
            refused(&answer, "price.currency", currency);
        }
        // What looks as odd and is one.
        for (currency, amount) in [("XAF", "5"), ("XCG", "1.00"), ("VES", "1.00"), ("ZWG", "1.00"), ("SLE", "1.00"), ("XPF", "5")] {
            let mut body = product();
            body["skus"][0]["code"] = json!(currency);
            body["skus"][0]["price"] = json!({"amount": amount, "currency": currency});
            client.post(&products, &body).bearer(&admin).send().await.expect(201);
        }
        let order = ask(with(with(checkout(), "/shipping_address/country", &json!("CW")), "/expected_total/amount", &json!("10.00")));
        order.await.expect(201);
        server.stop().await;
    }

    /// What cannot be seen is no name, and what acts on a terminal is in no text.
    async fn what_is_invisible_or_acts_is_refused_with_its_field(store) {
        let server = Server::start(&store).await;
        let client = server.client;
        let admin = token(&Bearer::Admin("root".into()));
        let market = client.market(5).await;
        let path = format!("/v1/carts/{}/checkout", market.buyer.cart);
        let ask = |body: Value| client.post(&path, &body).bearer(&market.buyer.token).send();
        let products = format!("/v1/vendors/{}/products", market.vendor);
        let stock = format!("/v1/vendors/{}/skus/{}/stock", market.vendor, market.sku);
        // Blanks of all sorts, and marks with nothing to stand on.
        for blank in ["", " ", "\u{3000}", "\u{2800}", "\u{3164}", "\u{115f}", "\u{ffa0}", "\u{a0}\u{2003}", "\u{200b}", "\u{200d}", "\u{301}\u{302}", "\u{feff}"] {
            for field in ["name", "line1", "city"] {
                let answer = ask(with(checkout(), &format!("/shipping_address/{field}"), &json!(blank))).await;
                refused(&answer, &format!("shipping_address.{field}"), &blank.escape_unicode().to_string());
            }
            let answer = client.post("/v1/vendors", &json!({"name": blank})).bearer(&admin).send().await;
            refused(&answer, "name", &blank.escape_unicode().to_string());
            let answer = client.post(&products, &with(product(), "/skus/0/code", &json!(blank))).bearer(&admin).send().await;
            refused(&answer, "skus[0].code", &blank.escape_unicode().to_string());
            let answer = client.post(&stock, &json!({"delta": 1, "reason": blank})).bearer(&admin).send().await;
            refused(&answer, "reason", &blank.escape_unicode().to_string());
        }
        // C1, bidi, zero-width, tags, non-characters, lines where one is expected.
        for bad in [
            '\u{0}', '\u{1b}', '\u{7f}', '\u{80}', '\u{85}', '\u{9b}', '\u{202e}', '\u{202a}', '\u{2066}', '\u{2069}', '\u{200e}', '\u{61c}',
            '\u{200b}', '\u{200c}', '\u{200d}', '\u{2060}', '\u{feff}', '\u{ad}', '\u{34f}', '\u{180e}', '\u{2028}', '\u{2029}',
            '\u{fffe}', '\u{fff9}', '\u{e0001}', '\u{e0041}', '\u{e0100}', '\u{206a}', '\u{3164}', '\u{1d173}',
        ] {
            let (text, why) = (format!("Ra{bad}hima"), bad.escape_unicode().to_string());
            for field in ["name", "line1", "line2", "city", "postcode", "phone"] {
                let answer = ask(with(checkout(), &format!("/shipping_address/{field}"), &json!(text))).await;
                refused(&answer, &format!("shipping_address.{field}"), &why);
            }
            let answer = ask(with(checkout(), "/email", &json!(format!("{text}@example.com")))).await;
            refused(&answer, "email", &why);
            let answer = client.post("/v1/vendors", &json!({"name": text})).bearer(&admin).send().await;
            refused(&answer, "name", &why);
            for (pointer, field) in [("/title", "title"), ("/category", "category"), ("/description", "description"), ("/skus/0/code", "skus[0].code")] {
                // Where a long text may be broken, a soft hyphen says so.
                if (field, bad) == ("description", '\u{ad}') {
                    continue;
                }
                let answer = client.post(&products, &with(product(), pointer, &json!(text))).bearer(&admin).send().await;
                refused(&answer, field, &why);
            }
        }
        // What is written with joiners, marks and signs of its script stays as it is.
        for name in [
            "ক্‍ষ", "র‍্যাব", "می‌خواهم", "क्‍ष", "👩🏽‍⚕️ Dr. Rahima", "👨‍👩‍👧‍👦", "🏳️‍🌈", "1️⃣", "이름", "नमस्ते", "O’Brien–Núñez", "שלום‏!", "½", "…",
        ] {
            let made = client.post("/v1/vendors", &json!({"name": name})).bearer(&admin).send().await.expect(201);
            assert_eq!(made.field("name"), name);
        }
        server.stop().await;
    }

    /// Texts are kept in the composed form, however they came, and found in any.
    async fn texts_are_kept_in_one_form(store) {
        let server = Server::start(&store).await;
        let client = server.client;
        let admin = token(&Bearer::Admin("root".into()));
        // A letter and its accent, Hangul in pieces, a Bengali vowel sign in two.
        for (came, kept) in [("Cafe\u{301}", "Café"), ("\u{1112}\u{1161}\u{11ab}", "한"), ("ক\u{9c7}\u{9be}", "ক\u{9cb}"), ("\u{212b}", "\u{c5}")] {
            let made = client.post("/v1/vendors", &json!({"name": came})).bearer(&admin).send().await.expect(201);
            assert_eq!(made.field("name"), kept);
        }
        let vendor = vendor(&client, &admin).await;
        let path = format!("/v1/vendors/{vendor}/products");
        let body = json!({"title": "Cafe\u{301}", "description": "ole\u{301}", "category": "cre\u{300}me",
            "skus": [{"code": "e\u{301}1", "price": {"amount": "1.00", "currency": "BDT"}, "on_hand": 3}]});
        let made = client.post(&path, &body).bearer(&admin).send().await.expect(201).body;
        assert_eq!((&made["title"], &made["description"], &made["category"]), (&json!("Café"), &json!("olé"), &json!("crème")));
        assert_eq!(made["skus"][0]["code"], "é1");
        for asked in ["category=cr%C3%A8me", "category=cre%CC%80me", "q=caf%C3%A9", "q=cafe%CC%81"] {
            loop {
                let listed = client.get(&format!("/v1/products?vendor={vendor}&{asked}")).send().await.expect(200);
                if listed.body["items"].as_array().is_some_and(|items| items.len() == 1) {
                    break;
                }
                tokio::task::yield_now().await;
            }
        }
        // The limit counts what is kept: forty letters with an accent each.
        let made = client.post("/v1/vendors", &json!({"name": "e\u{301}".repeat(200)})).bearer(&admin).send().await;
        made.expect(201);
        refused(&client.post("/v1/vendors", &json!({"name": "é".repeat(201)})).bearer(&admin).send().await, "name", "201");
        server.stop().await;
    }

    /// A code belongs to one SKU of a vendor, however it is spelt, and a refusal names the place of the one that is too
    /// many.
    async fn a_code_belongs_to_one_sku_of_a_vendor(store) {
        let server = Server::start(&store).await;
        let client = server.client;
        let admin = token(&Bearer::Admin("root".into()));
        let vendor = vendor(&client, &admin).await;
        let path = format!("/v1/vendors/{vendor}/products");
        let sku = |code: &str| json!({"code": code, "price": {"amount": "1.00", "currency": "BDT"}, "on_hand": 1});
        let ask = |codes: &[&str]| {
            let skus: Vec<Value> = codes.iter().map(|code| sku(code)).collect();
            client.post(&path, &json!({"title": "Quilt", "skus": skus})).bearer(&admin)
        };
        let first = ask(&["caf\u{e9}", "B"]).key("first").send().await.expect(201);
        for (codes, field) in [
            (&["x", "caf\u{e9}"][..], "skus[1].code"),
            (&["cafe\u{301}"], "skus[0].code"),
            (&[" B"], "skus[0].code"),
            (&["y", "z", "B\u{3000}"], "skus[2].code"),
            (&["C", "D", "C "], "skus[2].code"),
            (&["e\u{301}", "\u{e9}"], "skus[1].code"),
        ] {
            let answer = ask(codes).send().await;
            assert_eq!(answer.code(), "sku_code_taken", "{}", answer.text);
            refused(&answer, field, &format!("{codes:?}"));
        }
        // Another case is another code; another vendor's codes are its own; and what was made is shown again under its
        // key.
        ask(&["b", "Caf\u{e9}"]).send().await.expect(201);
        let again = ask(&["caf\u{e9}", "B"]).key("first").send().await.expect(201);
        assert_eq!((&again.body["id"], again.header("idempotent-replayed")), (&first.body["id"], Some("true")));
        let other = self::vendor(&client, &admin).await;
        let theirs = json!({"title": "Quilt", "skus": [sku("B")]});
        client.post(&format!("/v1/vendors/{other}/products"), &theirs).bearer(&admin).send().await.expect(201);
        server.stop().await;

        // And it is so after a restart, from the snapshot.
        let server = Server::start(&store).await;
        let body = json!({"title": "Quilt", "skus": [sku("cafe\u{301}")]});
        let answer = server.client.post(&path, &body).bearer(&admin).send().await;
        refused(&answer, "skus[0].code", "after a restart");
        server.stop().await;
    }

    /// A refusal of the domain says which field it is about, as those of the form do.
    async fn refusals_of_the_domain_name_their_field(store) {
        let server = Server::start(&store).await;
        let client = server.client;
        let market = client.market(5).await;
        let products = format!("/v1/vendors/{}/products", market.vendor);
        let sku = |code: &str, amount: &str, on_hand: i64| {
            json!({"code": code, "price": {"amount": amount, "currency": "BDT"}, "on_hand": on_hand})
        };
        let ask = |skus: Value| client.post(&products, &json!({"title": "T", "skus": skus})).bearer(&market.admin).send();
        refused(&ask(json!([sku("a", "1.00", 1), sku("b", "0.00", 1)])).await, "skus[1].price", "price");
        refused(&ask(json!([sku("a", "1.00", 1), sku("b", "1.00", 1), sku("c", "1.00", -1)])).await, "skus[2].on_hand", "stock");
        let many: Vec<Value> = (0..101).map(|number| sku(&format!("m{number}"), "1.00", 0)).collect();
        refused(&ask(json!(many)).await, "skus", "many");
        let patch = format!("/v1/vendors/{}/skus/{}", market.vendor, market.sku);
        let price = |amount: &str, currency: &str| json!({"price": {"amount": amount, "currency": currency}});
        let change = |body: Value| client.request("PATCH", &patch).json(&body).bearer(&market.admin).send();
        refused(&change(price("0.00", "BDT")).await, "price", "price");
        refused(&change(price("1.00", "USD")).await, "price.currency", "currency");
        let stock = client.post(&format!("{patch}/stock"), &json!({"delta": 1_000_000_000_000_i64, "reason": "r"}));
        refused(&stock.bearer(&market.admin).send().await, "delta", "stock");
        let line = format!("/v1/carts/{}/lines/{}", market.buyer.cart, market.sku);
        let put = client.request("PUT", &line).json(&json!({"quantity": 10_001})).bearer(&market.buyer.token);
        refused(&put.send().await, "quantity", "quantity");
        let checkout_path = format!("/v1/carts/{}/checkout", market.buyer.cart);
        let check_out = |body: Value| client.post(&checkout_path, &body).bearer(&market.buyer.token).send();
        refused(&check_out(with(checkout(), "/expected_total/currency", &json!("USD"))).await, "expected_total.currency", "total");
        refused(&check_out(with(checkout(), "/payment/method", &json!("cash"))).await, "payment.method", "method");
        refused(&check_out(with(checkout(), "/payment/token", &json!("tok_nonsense"))).await, "payment.token", "token");
        server.stop().await;
    }

    /// A mark of the byte order before JSON is passed over; other encodings are told what is expected.
    async fn a_byte_order_mark_is_passed_over(store) {
        let server = Server::start(&store).await;
        let client = server.client;
        let admin = token(&Bearer::Admin("root".into()));
        let ask = |body: Vec<u8>| {
            client.request("POST", "/v1/vendors").bearer(&admin).header("content-type", "application/json").raw(body).send()
        };
        let text = r#"{"name":"Nakshi"}"#;
        ask([b"\xef\xbb\xbf", text.as_bytes()].concat()).await.expect(201);
        let cart = client.request("POST", "/v1/carts").header("content-type", "application/json");
        cart.raw(&b"\xef\xbb\xbf{}"[..]).send().await.expect(201);
        let twice = ask([b"\xef\xbb\xbf\xef\xbb\xbf", text.as_bytes()].concat()).await.expect(400);
        assert_eq!(twice.code(), "malformed_json");
        let little: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let big: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
        for utf_16 in [[b"\xff\xfe", &*little].concat(), [b"\xfe\xff", &*big].concat(), little, big] {
            let answer = ask(utf_16).await.expect(400);
            assert_eq!(answer.code(), "malformed_json");
            assert!(answer.text.contains("UTF-8"), "{}", answer.text);
        }
        // A surrogate without its other half is no text.
        for lone in [r#"{"name":"\ud800"}"#, r#"{"name":"a\udc00b"}"#, r#"{"name":"\udc00\ud800"}"#] {
            assert_eq!(ask(lone.into()).await.expect(400).code(), "malformed_json");
        }
        ask(br#"{"name":"\ud83d\ude00"}"#.to_vec()).await.expect(201);
        server.stop().await;
    }
}
