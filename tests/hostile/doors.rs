//! Every route of the document, as everybody of every role tries it: on what is theirs, on somebody else's, and on what is not there. Who may is
//! what the document says (`x-haat-who`), and whoever may not is told nothing that tells more.

use crate::api::{Ids, Route, Shop, fresh_id};
use crate::support::client::{Answer, Client};
use crate::support::token;
use haat::domain::who::{Permission, Permissions, VendorRole};
use haat::http::auth::Bearer;
use serde_json::{Value, json};

const GOOD: &str = "nine boats on the Jamuna";

/// Somebody who tries.
struct Somebody {
    name: String,
    bearer: String,
    /// As what the document names them.
    is: Vec<String>,
    /// The ids of what is theirs; the rest of the shop's are somebody else's.
    own: Ids,
    /// Whether everything is theirs: the shop's own people.
    has_all: bool,
}

fn somebody(name: &str, bearer: String, is: &[&str]) -> Somebody {
    let is = is.iter().map(ToString::to_string).collect();
    Somebody { name: name.to_owned(), bearer, is, own: Ids::new(), has_all: false }
}

/// What of an answer tells anything: its status, and its text without what names the request.
fn told(answer: &Answer) -> (u16, Value) {
    let mut body = answer.body.clone();
    if let Some(body) = body.as_object_mut() {
        body.remove("request_id");
    }
    (answer.status, body)
}

/// A vendor's own people in this role, signed in with an account of their own.
async fn member(client: Client, admin: &str, vendor: &str, role: VendorRole, email: &str) -> (String, String) {
    let body = json!({"email": email, "role": "vendor", "vendor_id": vendor, "vendor_role": role.name()});
    let made = client.post("/v1/admin/accounts", &body).bearer(admin).send().await.expect(201);
    let brought = client.mailed(admin, email, "account.invitation").await;
    client.post("/v1/auth/password/reset", &json!({"token": brought, "password": GOOD})).send().await.expect(204);
    let session = client.post("/v1/auth/login", &json!({"email": email, "password": GOOD})).send().await.expect(200);
    (session.field("access_token").to_owned(), made.field("id").to_owned())
}

async fn everybody(shop: &Shop) -> Vec<Somebody> {
    let (client, admin) = (shop.client(), shop.admin.as_str());
    let of = |names: &[&'static str]| -> Ids {
        shop.ids.iter().filter(|(name, _)| names.contains(name)).map(|(name, id)| (*name, id.clone())).collect()
    };
    let mut all = Vec::new();
    let guest =
        Somebody { own: of(&["cart", "order", "ticket"]), ..somebody("the guest", shop.guest.clone(), &["owner"]) };
    let other = client.buyer(&shop.ids["sku"], 1).await.token;
    all.extend([guest, somebody("another guest", other, &["owner"])]);
    let customer = &["owner", "customer", "account"];
    let own =
        Somebody { own: of(&["session", "address"]), ..somebody("the customer", shop.customer.clone(), customer) };
    let other = client.signed_up(admin, "dina@example.com", GOOD).await.field("access_token").to_owned();
    all.extend([own, somebody("another customer", other, customer)]);
    let stranger = client.post("/v1/vendors", &json!({"name": "Nobody"})).bearer(admin).send().await.expect(201);
    for role in VendorRole::ALL {
        let name = role.name();
        let is = format!("vendor:{name}");
        let email = format!("{name}@example.com");
        let (bearer, _) = member(client, admin, &shop.ids["vendor"], *role, &email).await;
        let own = of(&["vendor", "sku", "product", "order", "account", "coupon"]);
        all.push(Somebody { own, ..somebody(&format!("the {name}"), bearer, &[&is, "account"]) });
        let email = format!("other-{name}@example.com");
        let (bearer, _) = member(client, admin, stranger.field("id"), *role, &email).await;
        all.push(somebody(&format!("another {name}"), bearer, &[&is, "account"]));
    }
    let staff = |permissions: Permissions| token(&Bearer::Staff("rina".into(), permissions));
    all.push(Somebody { has_all: true, ..somebody("staff without any permission", staff(Permissions::NONE), &[]) });
    for permission in Permission::ALL {
        let is = format!("staff:{}", permission.name());
        let bearer = staff([*permission].into_iter().collect());
        all.push(Somebody { has_all: true, ..somebody(&is, bearer, &[&is]) });
    }
    all.push(Somebody { has_all: true, ..somebody("an administrator", admin.to_owned(), &["admin"]) });
    all
}

/// The shop's ids, of which the one that says whose it is, the first of the path, is nothing's.
fn nobodys(route: &Route, ids: &Ids) -> Ids {
    let first = |name: &str| route.parameters().first() == Some(&name);
    let other = |(name, id): (&&'static str, &String)| match *name {
        // Of any actor the second says which.
        "id" => (*name, fresh_id("cart")),
        name if first(name) && name != "kind" => (name, fresh_id(name)),
        name => (name, id.clone()),
    };
    ids.iter().map(other).collect()
}

#[tokio::test]
async fn nobody_comes_in_by_anothers_door() {
    let shop = Shop::open().await;
    let everybody = everybody(&shop).await;
    let (mut let_in, mut refused, mut unknown) = (0, 0, 0);
    for route in &shop.routes {
        let whom = format!("{} {}", route.method, route.path);
        assert!(!route.who.is_empty(), "{whom} does not say who may");
        let is_for_anyone = route.who.contains(&"anyone".to_owned());
        assert_eq!(is_for_anyone, !route.is_secured, "{whom}: {:?}", route.who);
        if is_for_anyone {
            continue;
        }
        let ask = async |ids: &Ids, bearer: Option<&str>| route.request(shop.client(), ids, bearer).send().await;
        let nothing = nobodys(route, &shop.ids);
        for ids in [&shop.ids, &nothing] {
            assert_eq!(told(&ask(ids, None).await).1["code"], "unauthorized", "{whom}");
        }
        for somebody in &everybody {
            let Somebody { name, bearer, is, own, has_all } = somebody;
            let may = is.iter().any(|one| route.who.contains(one));
            let there = told(&ask(&shop.ids, Some(bearer)).await);
            let nowhere = told(&ask(&nothing, Some(bearer)).await);
            // Whose it is follows from the first: a cart's line is the cart's, whoever sells it. A room is everybody's, and a place in it is not.
            let names = route.parameters();
            let of_whom = names.iter().find(|name| **name == "ticket").or(names.first());
            let mine = (route.instead.is_some() && name == "the customer")
                || *has_all
                || of_whom.is_none_or(|parameter| *parameter == "room" || own.contains_key(parameter));
            match (may, mine) {
                (false, _) => {
                    refused += 1;
                    assert_eq!((there.0, &there.1["code"]), (403, &json!("forbidden")), "{name}: {whom}: {}", there.1);
                    assert_eq!(there, nowhere, "{name}: {whom}");
                    // Of the role alone, and the same for all of it.
                    let role = there.1["detail"].as_str().expect("a detail").to_owned();
                    assert!(role.starts_with("the role "), "{name}: {whom}: {role}");
                }
                (true, true) => {
                    let_in += 1;
                    // What was done once may be gone or be done already.
                    let is_gone = route.method == "DELETE" && there.0 == 404;
                    let code = &there.1["code"];
                    assert!(code != "unauthorized" && code != "forbidden", "{name}: {whom}: {}", there.1);
                    assert!(there.0 != 404 || is_gone, "{name}: {whom}: {}", there.1);
                    assert!(there.0 < 500, "{name}: {whom}: {}", there.1);
                }
                (true, false) => {
                    unknown += 1;
                    assert_eq!(there.0, 404, "{name}: {whom}: {}", there.1);
                    assert_eq!(there, nowhere, "{name}: {whom}");
                }
            }
        }
    }
    // A walk on which nobody meets anything shows nothing.
    assert!(let_in > 100 && refused > 500 && unknown > 50, "{let_in} let in, {refused} refused, {unknown} unknown");
    shop.target.unharmed().await;
}
