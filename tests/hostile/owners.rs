//! What one caller may not know of is, to that caller, not there: the answer is byte for byte that for a thing nobody ever made.

use crate::api::{Shop, all_of, fresh_id};
use serde_json::json;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn to_a_stranger_anothers_things_are_as_things_that_do_not_exist() {
    let shop = Shop::open().await;
    let strangers = shop.strangers().await;
    // Goods are shown to everyone; these are not.
    let secret = ["cart", "order", "vendor", "coupon", "ticket", "id"];
    let mut compared = 0;
    for route in shop.routes.iter().filter(|route| route.is_secured) {
        let mut nothing = shop.ids.clone();
        for name in secret {
            nothing.insert(name, fresh_id(if name == "id" { "cart" } else { name }));
        }
        for (who, bearer) in &strangers {
            let place = format!("{} {} as a {who}", route.method, route.path);
            let asked = |ids| route.request(shop.client(), ids, Some(bearer));
            let answer = asked(&shop.ids).send().await;
            for private in shop.private() {
                assert!(!answer.text.contains(&private), "{place} tells {private}: {}", answer.text);
            }
            if !route.parameters().iter().any(|name| secret.contains(name)) {
                // Of one's own kind: a list of nothing, or what the role may not do, or a thing of one's own that is made.
                assert!([200, 201, 403].contains(&answer.status), "{place}: {}", answer.text);
                continue;
            }
            assert!([403, 404].contains(&answer.status), "{place}: {} {}", answer.status, answer.text);
            assert_eq!(all_of(&answer), all_of(&asked(&nothing).send().await), "{place}");
            // Under the owner's own key, with a body that does not fit, and with one that is none.
            let with = [asked(&shop.ids).key(shop.key).send().await, asked(&nothing).key(shop.key).send().await];
            assert_eq!(all_of(&with[0]), all_of(&with[1]), "{place}, under the owner's key");
            assert_eq!(with[0].header("idempotent-replayed"), None, "{place}");
            for body in [json!({"other": 1}).to_string(), "{".to_owned()] {
                let asked = |ids| {
                    let request =
                        route.bare(shop.client(), ids, Some(bearer)).header("content-type", "application/json");
                    request.raw(body.clone()).send()
                };
                let (theirs, nobodys) = (asked(&shop.ids).await, asked(&nothing).await);
                assert_eq!(all_of(&theirs), all_of(&nobodys), "{place}, with {body}");
            }
            compared += 1;
        }
    }
    assert!(compared > 40, "{compared}");
    // And nothing was done to what is not theirs.
    let order = shop.client().order(&shop.guest, &shop.ids["order"]).await.expect(200);
    assert_eq!(order.field("status"), "fulfilling");
    shop.target.unharmed().await;
}

/// A vendor sees its own share of an order, and where it ships that to, and nothing else of it: no other vendor's share, no means of payment, no
/// sum of all.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_vendor_sees_its_own_share_of_an_order_and_no_more() {
    let shop = Shop::open().await;
    let client = shop.client();
    let listed = format!("/v1/vendors/{}/orders", shop.other_vendor_id);
    let order = format!("/v1/orders/{}", shop.ids["order"]);
    for path in [order.as_str(), &format!("{order}/timeline"), "/v1/orders", &listed] {
        let answer = client.get(path).bearer(&shop.other_vendor).send().await.expect(200);
        for foreign in [&shop.ids["vendor"], &shop.ids["sku"], "tok_", "\"27.00\"", "\"20.00\""] {
            assert!(!answer.text.contains(foreign), "{path} tells {foreign}: {}", answer.text);
        }
    }
    for path in [order.as_str(), &listed] {
        let answer = client.get(path).bearer(&shop.other_vendor).send().await.expect(200);
        for own in [&shop.other_sku, "7.00", "Rahima", "Lake Road", "rahima@"] {
            assert!(answer.text.contains(own), "{path} lacks {own}: {}", answer.text);
        }
    }
    // It may not act on what it may see.
    client.post(&format!("{order}/cancel"), &json!({})).bearer(&shop.other_vendor).send().await.expect(403);
    shop.target.unharmed().await;
}
