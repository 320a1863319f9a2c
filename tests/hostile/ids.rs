//! Ids of another kind, of nothing and of nonsense in each place of each path: there is no such thing.

use crate::api::{Shop, fresh_id};

/// What could stand where `good` belongs.
fn wrong(good: &str, kind: &str, shop: &Shop) -> Vec<String> {
    let (prefix, suffix) = good.split_once('_').expect("a prefix");
    let others = shop.ids.iter().filter(|(name, _)| **name != kind && **name != "kind").map(|(_, id)| id.clone());
    let mut wrong: Vec<String> = others.filter(|id| id != good).collect();
    let nonsense = [
        fresh_id(kind),
        suffix.to_owned(),
        format!("_{suffix}"),
        format!("{prefix}_"),
        good.to_uppercase(),
        format!("{prefix}_{}", suffix.to_uppercase()),
        format!("{good}0"),
        good[..good.len() - 1].to_owned(),
        format!("{good}%00"),
        format!("%20{good}"),
        format!("{good}%0d%0aset-cookie:%20a=b"),
        format!("{good}%2fother"),
        format!("{good};a=b"),
        // More than 128 bits.
        format!("{prefix}_8zzzzzzzzzzzzzzzzzzzzzzzzz"),
        format!("{prefix}_{}", "%F0%9F%92%A9".repeat(13)),
        format!("{prefix}_{}", "a".repeat(50_000)),
        "0199a1b2-7c3d-7e4f-8a5b-6c7d8e9f0a1b".to_owned(),
        "%ff%fe".to_owned(),
        "..%2f..%2fetc%2fpasswd".to_owned(),
        "'%20OR%201=1--".to_owned(),
        "-1".to_owned(),
        "null".to_owned(),
        "%7b%7d".to_owned(),
    ];
    wrong.extend(nonsense);
    wrong
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_id_of_another_kind_or_of_nothing_is_an_unknown_one_on_every_route() {
    let shop = Shop::open().await;
    let mut tried = 0;
    for route in &shop.routes {
        if route.parameters().is_empty() {
            continue;
        }
        let bearer = shop.entitled(route).await;
        for name in route.parameters() {
            let (kind, code) = match name {
                // A code is no id, and is read in more than one way.
                "kind" | "code" => continue,
                "id" => ("cart", "cart_unknown".to_owned()),
                // A share is its order's.
                "sub" => ("sub", "order_unknown".to_owned()),
                // Only the sandbox's books have one of these.
                "dispute" => ("dispute", "not_found".to_owned()),
                // A parcel is found by what was signed, or not at all.
                "token" => ("token", "not_found".to_owned()),
                kind => (kind, format!("{kind}_unknown")),
            };
            for id in wrong(&shop.ids[name], kind, &shop) {
                let mut ids = shop.ids.clone();
                ids.insert(name_of(&shop, name), id.clone());
                let answer = route.request(shop.client(), &ids, bearer).send().await;
                let place = format!("{} {} with {name} {id:.80}: {}", route.method, route.path, answer.text);
                // A path that is no text leads nowhere; all else is an id that nothing has.
                let known = [code.as_str(), "not_found"];
                tried += 1;
                // A line that is not there cannot be taken out of a cart that is closed, and that is said first.
                if answer.code() == "cart_checked_out" && name == "sku" {
                    continue;
                }
                assert!(answer.status == 404 && known.contains(&answer.code()), "{place}");
                assert!(answer.code() == code || id.contains("%ff"), "{place}");
            }
        }
    }
    assert!(tried > 400, "{tried}");
    for kind in ["CART", "carts", "user", "%00", "product", "sku"] {
        let path = format!("/v1/admin/actors/{kind}/{}", shop.ids["cart"]);
        let answer = shop.client().get(&path).bearer(&shop.admin).send().await.expect(404);
        assert_eq!(answer.code(), "not_found", "{kind}");
    }
    shop.target.unharmed().await;
}

/// The name as the shop's table has it.
fn name_of(shop: &Shop, name: &str) -> &'static str {
    shop.ids.keys().find(|known| **known == name).expect("an id of this name")
}
