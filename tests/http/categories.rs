//! The tree of categories, and the keys of services.

use crate::on_both_stores;
use crate::support::client::{Answer, Client};
use crate::support::{Server, token};
use futures::future::join_all;
use haat::domain::who::Permissions;
use haat::http::auth::Bearer;
use serde_json::{Value, json};

fn staff() -> String {
    token(&Bearer::Staff("rina".into(), Permissions::ALL))
}

async fn make(client: &Client, body: &Value) -> Answer {
    client.post("/v1/categories", body).bearer(&staff()).send().await
}

/// A category of this name below another: its id.
async fn made(client: &Client, name: &str, parent: Option<&str>) -> String {
    make(client, &json!({"name": name, "parent_id": parent})).await.expect(201).field("id").to_owned()
}

async fn patch(client: &Client, id: &str, body: &Value) -> Answer {
    client.request("PATCH", &format!("/v1/categories/{id}")).json(body).bearer(&staff()).send().await
}

/// The names of all, each as it is listed.
async fn names(client: &Client, limit: u32) -> Vec<String> {
    let (mut names, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = client.get(&format!("/v1/categories?limit={limit}&cursor={cursor}")).send().await.expect(200);
        let items = page.body["items"].as_array().expect("a list");
        assert!(items.len() <= limit as usize);
        names.extend(items.iter().map(|item| item["name"].as_str().expect("a name").to_owned()));
        match page.body["next_cursor"].as_str() {
            Some(next) => next.clone_into(&mut cursor),
            None => return names,
        }
    }
}

on_both_stores! {
    async fn categories_are_a_tree(store) {
        let server = Server::start(&store).await;
        let client = server.client;
        assert_eq!(client.get("/v1/categories").send().await.expect(200).body["items"], json!([]));
        let textiles = made(&client, "Textiles", None).await;
        let books = made(&client, "Books", None).await;
        let sarees = make(&client, &json!({"name": "শাড়ি", "parent_id": textiles, "tax_category": "silk"})).await.expect(201);
        assert_eq!((&sarees.body["parent_id"], &sarees.body["tax_category"]), (&json!(textiles), &json!("silk")));
        let sarees = sarees.field("id").to_owned();
        made(&client, "Panjabi", Some(&textiles)).await;
        made(&client, "Jamdani", Some(&sarees)).await;
        let all = ["Books", "Textiles", "Panjabi", "শাড়ি", "Jamdani"];
        for limit in [1, 2, 200] {
            assert_eq!(names(&client, limit).await, all);
        }
        let one = client.get(&format!("/v1/categories/{books}")).send().await.expect(200);
        assert_eq!(one.body["name"], "Books");
        assert!(one.body.get("parent_id").is_none() && one.body.get("tax_category").is_none(), "{}", one.text);

        // All below it goes with it; what is not said stays.
        let moved = patch(&client, &sarees, &json!({"parent_id": books, "tax_category": null})).await.expect(200);
        assert_eq!((&moved.body["parent_id"], &moved.body["name"]), (&json!(books), &json!("শাড়ি")));
        assert!(moved.body.get("tax_category").is_none());
        assert_eq!(names(&client, 200).await, ["Books", "শাড়ি", "Jamdani", "Textiles", "Panjabi"]);
        let up = patch(&client, &sarees, &json!({"parent_id": null, "name": "Sarees"})).await.expect(200);
        assert!(up.body.get("parent_id").is_none());
        assert_eq!(patch(&client, &sarees, &json!({})).await.expect(200).body, up.body);
        server.stop().await;

        let server = Server::start(&store).await;
        assert_eq!(names(&server.client, 200).await, ["Books", "Sarees", "Jamdani", "Textiles", "Panjabi"]);
        server.stop().await;
    }

    async fn what_makes_no_tree_is_refused(store) {
        let server = Server::start(&store).await;
        let client = server.client;
        let textiles = made(&client, "Textiles", None).await;
        let sarees = made(&client, "Sarees", Some(&textiles)).await;
        let nobody = "category_01h2xcejqtf2nbrexx3vqjhp41";
        let code = |answer: Answer, status| answer.expect(status).code().to_owned();
        for body in [json!({"name": "sAREES", "parent_id": textiles}), json!({"name": "TEXTILES"})] {
            assert_eq!(code(make(&client, &body).await, 409), "category_name_taken");
        }
        for parent in [nobody, "vendor_01h2xcejqtf2nbrexx3vqjhp41", ""] {
            let answer = make(&client, &json!({"name": "Lost", "parent_id": parent})).await.expect(422);
            assert_eq!((answer.code(), &answer.body["errors"][0]["field"]), ("invalid_body", &json!("parent_id")));
            patch(&client, &sarees, &json!({"parent_id": parent})).await.expect(422);
        }
        for parent in [&textiles, &sarees] {
            assert_eq!(code(patch(&client, &textiles, &json!({"parent_id": parent})).await, 409), "category_cycle");
        }
        assert_eq!(code(patch(&client, &sarees, &json!({"parent_id": null, "name": "textiles"})).await, 409), "category_name_taken");
        assert_eq!(code(patch(&client, nobody, &json!({"name": "X"})).await, 404), "category_unknown");
        for path in [nobody, "nothing", "vendor_01h2xcejqtf2nbrexx3vqjhp41"] {
            assert_eq!(code(client.get(&format!("/v1/categories/{path}")).send().await, 404), "category_unknown");
        }
        let mut deepest = sarees.clone();
        for level in 3..=8 {
            deepest = made(&client, &format!("Level {level}"), Some(&deepest)).await;
        }
        assert_eq!(code(make(&client, &json!({"name": "Level 9", "parent_id": deepest})).await, 409), "category_cycle");
        let long = "x".repeat(201);
        for body in [
            json!({}), json!({"name": ""}), json!({"name": null}), json!({"name": 7}), json!({"name": "a\u{7}"}), json!({"name": long}),
            json!({"name": "A", "tax_category": ""}), json!({"name": "A", "colour": "red"}), json!([]),
        ] {
            assert_eq!(code(make(&client, &body).await, 422), "invalid_body", "{body}");
        }
        for body in [json!({"name": null}), json!({"name": ""}), json!({"tax_category": 7}), json!({"colour": "red"})] {
            assert_eq!(code(patch(&client, &sarees, &body).await, 422), "invalid_body", "{body}");
        }
        assert_eq!(names(&client, 200).await.len(), 8);
        for cursor in ["0", &"0".repeat(64)] {
            client.get(&format!("/v1/categories?cursor={cursor}")).send().await.expect(400);
        }
        client.get("/v1/categories?limit=0").send().await.expect(422);
        server.stop().await;
    }

    async fn only_the_shops_own_people_change_the_tree(store) {
        let server = Server::start(&store).await;
        let client = server.client;
        let id = made(&client, "Textiles", None).await;
        let vendor = token(&Bearer::owner_of("vendor_01h2xcejqtf2nbrexx3vqjhp41".parse().expect("an id")));
        let body = json!({"name": "Mine"});
        let path = format!("/v1/categories/{id}");
        client.post("/v1/categories", &body).send().await.expect(401);
        client.post("/v1/categories", &body).bearer(&vendor).send().await.expect(403);
        client.request("PATCH", &path).json(&body).send().await.expect(401);
        client.request("PATCH", &path).json(&body).bearer(&vendor).send().await.expect(403);
        let admin = token(&Bearer::Admin("root".into()));
        client.request("PATCH", &path).json(&body).bearer(&admin).send().await.expect(200);
        server.stop().await;
    }

    async fn a_key_gives_the_first_answer_again(store) {
        let server = Server::start(&store).await;
        let client = server.client;
        let ask = |name: &str, key: &str| {
            client.post("/v1/categories", &json!({"name": name})).bearer(&staff()).key(key).send()
        };
        let first = ask("Textiles", "k1").await.expect(201);
        assert_eq!(first.header("idempotent-replayed"), None);
        patch(&client, first.field("id"), &json!({"name": "Cloth"})).await.expect(200);
        let again = ask("Textiles", "k1").await.expect(201);
        assert_eq!((again.header("idempotent-replayed"), &again.text), (Some("true"), &first.text));
        assert_eq!(ask("Others", "k1").await.expect(422).code(), "idempotency_key_reused");
        let other = client.post("/v1/categories", &json!({"name": "Textiles"})).bearer(&token(&Bearer::Admin("a".into())));
        other.key("k1").send().await.expect(201);

        let refused = ask("cloth", "k2").await.expect(409);
        assert_eq!((refused.code(), refused.header("idempotent-replayed")), ("category_name_taken", None));
        patch(&client, first.field("id"), &json!({"name": "Fabrics"})).await.expect(200);
        let again = ask("cloth", "k2").await.expect(409);
        assert_eq!((again.code(), again.header("idempotent-replayed")), ("category_name_taken", Some("true")));
        assert_eq!(again.body["detail"], refused.body["detail"]);
        ask("cloth", "k3").await.expect(201);
        // What was wrong with the request itself is looked at anew.
        ask("", "k4").await.expect(422);
        ask("Food", "k4").await.expect(201);
        server.stop().await;

        let server = Server::start(&store).await;
        let again = server.client.post("/v1/categories", &json!({"name": "Textiles"})).bearer(&staff()).key("k1");
        assert_eq!(again.send().await.expect(201).text, first.text);
        server.stop().await;
    }

    async fn whoever_comes_at_once_makes_one(store) {
        let server = Server::start(&store).await;
        let client = server.client;
        let same = join_all((0..20).map(|_| {
            client.post("/v1/categories", &json!({"name": "Same"})).bearer(&staff()).key("one").send()
        }));
        let answers = same.await;
        assert!(answers.iter().all(|answer| answer.status == 201 && answer.text == answers[0].text), "{answers:?}");
        let replayed = answers.iter().filter(|answer| answer.header("idempotent-replayed").is_some()).count();
        assert_eq!(replayed, 19);
        let others = join_all((0..20).map(|_| async { make(&client, &json!({"name": "Rival"})).await.status })).await;
        assert_eq!(others.iter().filter(|status| **status == 201).count(), 1);
        assert_eq!(others.iter().filter(|status| **status == 409).count(), 19);

        // Each alone would be right; together they would be a ring.
        let (one, other) = (made(&client, "One", None).await, made(&client, "Other", None).await);
        for _ in 0..10 {
            let below = |parent: &str| json!({"parent_id": parent});
            let (to_one, to_other) = (below(&one), below(&other));
            let (first, second) = tokio::join!(patch(&client, &one, &to_other), patch(&client, &other, &to_one));
            assert_eq!([first.status, second.status].iter().filter(|status| **status == 200).count(), 1);
            patch(&client, &one, &below_top()).await.expect(200);
            patch(&client, &other, &below_top()).await.expect(200);
        }
        server.stop().await;
    }

    async fn products_stand_in_categories(store) {
        let server = Server::start(&store).await;
        let client = server.client;
        let admin = token(&Bearer::Admin("root".into()));
        let textiles = made(&client, "Textiles", None).await;
        let sarees = made(&client, "Sarees", Some(&textiles)).await;
        let books = made(&client, "Books", None).await;
        let vendor = client.post("/v1/vendors", &json!({"name": "Nakshi"})).bearer(&admin).send().await.expect(201);
        let path = format!("/v1/vendors/{}/products", vendor.field("id"));
        let add = async |title: &str, category: &str| {
            let sku = json!({"code": title, "price": {"amount": "10.00", "currency": "BDT"}, "on_hand": 1});
            let body = json!({"title": title, "category": category, "skus": [sku]});
            client.post(&path, &body).bearer(&admin).send().await
        };
        for (title, category) in
            [("Cloth", textiles.as_str()), ("Jamdani", &sarees), ("Novel", &books), ("Loose", "Textiles")]
        {
            assert_eq!(add(title, category).await.expect(201).body["category"], category);
        }
        let unknown = add("Lost", "category_01h2xcejqtf2nbrexx3vqjhp41").await.expect(422);
        assert_eq!((unknown.code(), &unknown.body["errors"][0]["field"]), ("invalid_body", &json!("category")));
        let found = async |category: &str| {
            let list = client.get(&format!("/v1/products?category={category}")).send().await.expect(200);
            let items = list.body["items"].as_array().expect("a list").clone();
            let mut titles: Vec<String> = items.iter().map(|item| item["title"].as_str().expect("a title").into()).collect();
            titles.sort();
            titles
        };
        // The list follows the entities with the next checkpoint.
        while found("").await.len() < 4 {
            tokio::task::yield_now().await;
        }
        assert_eq!(found(&textiles).await, ["Cloth", "Jamdani"], "with what stands below it");
        assert_eq!(found(&sarees).await, ["Jamdani"]);
        assert_eq!(found("Textiles").await, ["Loose"], "a name is what it says");
        assert_eq!(found("category_01h2xcejqtf2nbrexx3vqjhp41").await, [""; 0]);
        patch(&client, &books, &json!({"parent_id": textiles})).await.expect(200);
        assert_eq!(found(&textiles).await, ["Cloth", "Jamdani", "Novel"]);
        server.stop().await;
    }
}

fn below_top() -> Value {
    json!({"parent_id": null})
}
