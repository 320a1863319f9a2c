//! Idempotency keys that are malformed, used by many at once, or another's.

use crate::api::Shop;
use crate::on_both_stores;
use crate::support::client::{Answer, Market, checkout_body};
use crate::support::{Server, fresh_uuid, token};
use crate::target::unharmed;
use crate::wire::{Wire, request};
use haat::domain::ids::CustomerId;
use haat::http::auth::Bearer;
use haat::limits;
use serde_json::json;
use std::collections::BTreeSet;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_malformed_key_is_refused_on_every_route_that_takes_one() {
    let shop = Shop::open().await;
    let long = "k".repeat(limits::IDEMPOTENCY_KEY + 1);
    let huge = "k".repeat(50_000);
    let bad: [&[&str]; 9] =
        [&[""], &["a b"], &["a\tb"], &["\u{e9}"], &["\u{7f}"], &[&long], &[&huge], &["a", "a"], &["a", "b"]];
    let mut routes = 0;
    for route in shop.routes.iter().filter(|route| route.is_keyed) {
        let bearer = format!("Bearer {}", shop.entitled(route).await.unwrap_or(&shop.admin));
        let body = route.body.clone().unwrap_or_default().to_string();
        for keys in bad {
            let mut headers = vec![("authorization", bearer.as_str())];
            headers.extend(keys.iter().map(|key| ("idempotency-key", *key)));
            let text = request(&route.method, &route.path_of(&shop.ids), &headers, &body);
            let place = format!("{} {} under {keys:.40?}", route.method, route.path);
            let mut wire = Wire::with(shop.client(), text).await;
            // A control character is refused with the head.
            let Some(answer) = wire.next_answer().await else { panic!("{place}: no answer") };
            let is_control = keys[0].contains('\u{7f}');
            assert_eq!(answer.status, 400, "{place}: {}", answer.body);
            assert!(is_control || answer.code() == "idempotency_key_invalid", "{place}: {}", answer.body);
        }
        routes += 1;
    }
    assert!(routes >= 6, "{routes}");
    shop.target.unharmed().await;
}

on_both_stores! {
    /// Fifty at once under one key: one order, one charge, one piece held, and the same answer to all.
    async fn fifty_at_once_under_one_key_make_one_order(store) {
        let server = Server::start(&store).await;
        let client = server.client;
        let Market { admin, vendor, sku, buyer } = client.market(100).await;
        let ask = |_| tokio::spawn(client.checkout(&buyer, "tok_approve").key("once").header("prefer", "wait=20").send());
        let asked: Vec<_> = (0..50).map(ask).collect();
        let mut first = Vec::new();
        let mut answers = BTreeSet::new();
        for asked in asked {
            let answer = asked.await.expect("no panic").expect(201);
            first.extend(answer.header("idempotent-replayed").is_none().then_some(()));
            answers.insert(answer.text);
        }
        assert_eq!((first.len(), answers.len()), (1, 1), "{answers:?}");
        let charges = client.get("/v1/admin/sandbox/charges").bearer(&admin).send().await.expect(200);
        assert_eq!(charges.body["items"].as_array().map(Vec::len), Some(1), "{}", charges.text);
        let stock = crate::process::until("the sale of one piece", async || {
            let stock = client.stock(&admin, &vendor, &sku).await;
            (stock["held"] == 0).then_some(stock)
        }).await;
        assert_eq!((&stock["sold"], &stock["on_hand"]), (&1.into(), &99.into()));
        unharmed(client).await;
        server.stop().await;
    }

    /// Fifty at once under one key with two bodies: one body wins, all who sent it get its answer, and all others are told that the key is used.
    async fn of_two_bodies_under_one_key_one_wins(store) {
        let server = Server::start(&store).await;
        let client = server.client;
        let Market { admin, buyer, .. } = client.market(100).await;
        let path = format!("/v1/carts/{}/checkout", buyer.cart);
        let ask = |number: usize| {
            let mut body = checkout_body("tok_approve");
            body["email"] = format!("buyer-{}@example.com", number % 2).into();
            let asked = client.post(&path, &body).bearer(&buyer.token).key("once").header("prefer", "wait=20").send();
            tokio::spawn(async move { (number % 2, asked.await) })
        };
        let asked: Vec<_> = (0..50).map(ask).collect();
        let mut told = BTreeSet::new();
        for asked in asked {
            let (body, answer) = asked.await.expect("no panic");
            told.insert((body, answer.status, if answer.status == 201 { answer.text.clone() } else { answer.code().to_owned() }));
        }
        let mut outcomes: Vec<_> = told.iter().map(|(_, status, _)| *status).collect();
        outcomes.sort_unstable();
        assert_eq!(outcomes, [201, 422], "{told:?}");
        assert!(told.iter().any(|(_, _, what)| what == "idempotency_key_reused"), "{told:?}");
        let charges = client.get("/v1/admin/sandbox/charges").bearer(&admin).send().await.expect(200);
        assert_eq!(charges.body["items"].as_array().map(Vec::len), Some(1), "{}", charges.text);
        unharmed(client).await;
        server.stop().await;
    }

    /// Two buyers with the same key and the same body have an order each, and neither learns of the other.
    async fn the_same_key_of_another_is_another_key(store) {
        let server = Server::start(&store).await;
        let client = server.client;
        let admin = token(&Bearer::Admin("root".into()));
        let (_, sku) = client.shop(&admin, "10.00", 100).await;
        let buyers = [client.buyer(&sku, 1).await, client.buyer(&sku, 1).await];
        let mut orders = BTreeSet::new();
        for buyer in &buyers {
            let order = client.checkout(buyer, "tok_approve").key("mine").send().await.expect(201);
            assert_eq!((order.header("idempotent-replayed"), order.field("cart_id")), (None, buyer.cart.as_str()));
            orders.insert(order.field("id").to_owned());
        }
        assert_eq!(orders.len(), 2);
        // What is made under a key has its id from the key: also that of two who make the same.
        let mut carts = BTreeSet::new();
        for _ in 0..2 {
            let customer = token(&Bearer::Customer(CustomerId::from_uuid(fresh_uuid())));
            let cart = client.post("/v1/carts", &json!({})).bearer(&customer).key("mine").send().await.expect(201);
            assert_eq!(cart.header("idempotent-replayed"), None);
            carts.insert(cart.field("id").to_owned());
        }
        assert_eq!(carts.len(), 2);
        // With another's token on one's own path the key is nobody's.
        let path = format!("/v1/carts/{}/checkout", buyers[0].cart);
        let stolen = client.post(&path, &checkout_body("tok_approve")).bearer(&buyers[1].token).key("mine").send().await;
        assert_eq!((stolen.status, stolen.code(), stolen.header("idempotent-replayed")), (404, "cart_unknown", None));
        unharmed(client).await;
        server.stop().await;
    }
}

/// Other ways to write the same path, with what a client or a proxy may make of it.
fn spellings(path: &str) -> Vec<String> {
    let encoded = |what: &dyn Fn(char) -> bool, upper: bool| -> String {
        path.chars().fold(String::new(), |text, letter| match what(letter) {
            true if upper => format!("{text}%{:02X}", u32::from(letter)),
            true => format!("{text}%{:02x}", u32::from(letter)),
            false => format!("{text}{letter}"),
        })
    };
    let last = path.rsplit('/').next().unwrap_or_default();
    vec![
        encoded(&|letter| letter == '_', true),
        encoded(&|letter| letter == '_', false),
        encoded(&|letter| letter.is_ascii_digit(), true),
        encoded(&|letter| "jklmnoz".contains(letter), false),
        encoded(&|letter| letter.is_ascii_alphanumeric(), true),
        encoded(&|letter| letter != '/', true),
        encoded(&|letter| letter == '_', true).replace('%', "%25"),
        format!("{path}?"),
        format!("{path}?a=b&_=%5F"),
        format!("{path}/"),
        format!("{path}//"),
        path.replacen('/', "//", 1),
        path.replacen("/v1/", "/v1//", 1),
        path.replacen("/v1/", "/v1/./", 1),
        path.replacen("/v1/", "/v1/x/../", 1),
        path.replacen("/v1/", "/v1/%2e/", 1),
        format!("{path};a=b"),
        format!("{path}%00"),
        format!("{path}%20"),
        path.to_uppercase(),
        path.replace(last, &last.to_uppercase()),
    ]
}

/// One key and one path are one request, however the path is written: it is done once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_path_in_another_spelling_is_the_same_path() {
    let shop = Shop::open().await;
    let (mut routes, mut replayed) = (0, 0);
    for route in shop.routes.iter().filter(|route| route.method == "POST" && route.is_keyed) {
        let bearer = shop.entitled(route).await.unwrap_or(&shop.admin).to_owned();
        let path = route.path_of(&shop.ids);
        let body = route.body.clone().unwrap_or_else(|| json!({}));
        let ask = async |path: &str| {
            let request = shop.client().post(path, &body).header("x-request-id", "the-same");
            request.bearer(&bearer).key("spelt").send().await
        };
        let first = ask(&path).await;
        for spelt in spellings(&path) {
            let answer = ask(&spelt).await;
            if [400, 404, 405].contains(&answer.status) && answer.status != first.status {
                continue;
            }
            // A sale says besides what time it is, and a guest's token is made anew, valid from the second it was made in.
            let timeless = |answer: &Answer| {
                let mut body = answer.body.clone();
                let Some(fields) = body.as_object_mut() else { return answer.text.clone() };
                let timed = ["server_time", "token"].map(|field| fields.remove(field).is_some());
                if timed.contains(&true) { body.to_string() } else { answer.text.clone() }
            };
            assert_eq!(
                (answer.status, timeless(&answer)),
                (first.status, timeless(&first)),
                "{} as {spelt}",
                route.path
            );
            // What only looks is looked at again.
            let looks = route.path.ends_with("/refund-preview");
            let repeats = looks || answer.header("idempotent-replayed") == Some("true");
            assert!(repeats || first.status >= 400, "{} as {spelt} was done once more: {}", route.path, answer.text);
            replayed += usize::from(repeats);
        }
        routes += 1;
    }
    assert!(routes >= 6 && replayed >= 3 * routes, "{routes} routes, {replayed} repetitions");
    shop.target.unharmed().await;
}
