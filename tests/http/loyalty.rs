//! The programme of points, as the staff writes and reads it.

use crate::on_both_stores;
use crate::support::client::{Answer, Client};
use crate::support::{Server, token};
use haat::domain::who::{Permission, VendorRole};
use haat::http::auth::Bearer;
use serde_json::{Value, json};

const PATH: &str = "/v1/admin/loyalty";

fn money(amount: &str, currency: &str) -> Value {
    json!({"amount": amount, "currency": currency})
}

fn tier(name: &str, from: &str, multiplier: u32) -> Value {
    json!({"name": name, "from": money(from, "BDT"), "multiplier_basis_points": multiplier})
}

/// One percent, at a taka a point, with two tiers.
fn programme() -> Value {
    json!({
        "earn_basis_points": 100, "point_values": [money("1.00", "BDT"), money("1", "JPY")], "earn_after_days": 14,
        "expires_days": 365, "time_zone": "Asia/Dhaka",
        "tiers": [tier("Silver", "10000.00", 12_000), tier("Gold", "50000.00", 15_000)],
    })
}

/// The same with this field in place of its own, by a JSON pointer.
fn with(pointer: &str, value: Value) -> Value {
    let mut body = programme();
    *body.pointer_mut(pointer).unwrap_or_else(|| panic!("there is no {pointer}")) = value;
    body
}

async fn put(client: Client, bearer: &str, version: Option<&str>, body: &Value) -> Answer {
    let request = client.request("PUT", PATH).json(body).bearer(bearer);
    match version {
        Some(version) => request.header("if-match", version).send().await,
        None => request.send().await,
    }
}

fn refused(answer: &Answer, status: u16, code: &str) {
    assert_eq!((answer.status, answer.code()), (status, code), "{}", answer.text);
}

/// The fields that a refusal names.
fn fields(answer: &Answer) -> Vec<&str> {
    let errors = answer.body["errors"].as_array().unwrap_or_else(|| panic!("no errors: {}", answer.text));
    errors.iter().filter_map(|fault| fault["field"].as_str()).collect()
}

/// What does not fit, with the fields that are named for it.
fn bad() -> Vec<(Value, &'static [&'static str])> {
    let many = |count: usize| (1..=count).map(|n| tier(&n.to_string(), &format!("{n}.00"), 10_000)).collect::<Value>();
    let values = |values: &[Value]| with("/point_values", json!(values));
    let taka = || money("1.00", "BDT");
    vec![
        (with("/earn_basis_points", json!(-1)), &["earn_basis_points"]),
        (with("/earn_basis_points", json!(10_001)), &["earn_basis_points"]),
        (with("/earn_after_days", json!(-1)), &["earn_after_days"]),
        (with("/earn_after_days", json!(366)), &["earn_after_days"]),
        (with("/expires_days", json!(0)), &["expires_days"]),
        (with("/expires_days", json!(3_651)), &["expires_days"]),
        (with("/expires_days", json!(i64::MAX)), &["expires_days"]),
        (with("/time_zone", json!("Asia/Atlantis")), &["time_zone"]),
        (with("/time_zone", json!("")), &["time_zone"]),
        (with("/time_zone", json!("../Asia/Dhaka")), &["time_zone"]),
        (with("/point_values/0/amount", json!("0.00")), &["point_values[0].amount"]),
        (with("/point_values/0/amount", json!("-1.00")), &["point_values[0].amount"]),
        (with("/point_values/0/amount", json!("1")), &["point_values[0].amount"]),
        (with("/point_values/0/amount", json!("10000000000.01")), &["point_values[0].amount"]),
        (with("/point_values/1/currency", json!("XAU")), &["point_values[1].currency"]),
        (with("/point_values/1/currency", json!("XXX")), &["point_values[1].currency"]),
        (with("/point_values/1/currency", json!("jpy")), &["point_values[1].currency"]),
        (values(&[taka(), money("2.00", "BDT")]), &["point_values[1].currency"]),
        // Tiers in a currency in which points have no value; of several it is told once.
        (values(&[money("1", "JPY")]), &["tiers[0].from.currency"]),
        (values(&[]), &["tiers[0].from.currency"]),
        (with("/tiers/0/name", json!("")), &["tiers[0].name"]),
        (with("/tiers/0/name", json!("x".repeat(201))), &["tiers[0].name"]),
        (with("/tiers/0/name", json!("Sil\nver")), &["tiers[0].name"]),
        (with("/tiers/1/name", json!("Silver")), &["tiers[1].name"]),
        (with("/tiers/0/from/amount", json!("0.00")), &["tiers[0].from.amount"]),
        (with("/tiers/1/from/amount", json!("10000000000000.01")), &["tiers[1].from.amount"]),
        (with("/tiers/1/from/amount", json!("10000.00")), &["tiers[1].from.amount"]),
        (with("/tiers/1/from/amount", json!("9999.99")), &["tiers[1].from.amount"]),
        (with("/tiers/1/from", money("50000", "JPY")), &["tiers[1].from.currency"]),
        (with("/tiers/1/from/currency", json!("XTS")), &["tiers[1].from.currency"]),
        (with("/tiers/0/multiplier_basis_points", json!(9_999)), &["tiers[0].multiplier_basis_points"]),
        (with("/tiers/1/multiplier_basis_points", json!(100_001)), &["tiers[1].multiplier_basis_points"]),
        (with("/tiers", many(21)), &["tiers"]),
    ]
}

/// What fits, at the edges of what may be.
fn good() -> Vec<Value> {
    let many = (1..=20).map(|n| tier(&n.to_string(), &format!("{n}.00"), 10_000)).collect::<Value>();
    let mut least = with("/tiers", json!([]));
    for (field, value) in [("earn_basis_points", 0), ("earn_after_days", 0), ("expires_days", 1)] {
        least[field] = json!(value);
    }
    least["point_values"] = json!([]);
    let mut most = with("/tiers", many);
    for (field, value) in [("earn_basis_points", 10_000), ("earn_after_days", 365), ("expires_days", 3_650)] {
        most[field] = json!(value);
    }
    vec![
        least,
        most,
        with("/point_values/0/amount", json!("0.01")),
        with("/point_values/0/amount", json!("10000000000.00")),
        with("/tiers/0/from/amount", json!("0.01")),
        with("/tiers/1/from/amount", json!("10000000000000.00")),
        with("/tiers/1/multiplier_basis_points", json!(100_000)),
        with("/tiers/0/name", json!("স".repeat(200))),
        with("/time_zone", json!("UTC")),
    ]
}

on_both_stores! {
    /// It is written from the version that was read, and outlasts a restart.
    async fn the_programme_of_points_is_written_whole_and_from_its_version(store) {
        let server = Server::start(&store).await;
        let (client, admin) = (server.client, token(&Bearer::Admin("root".into())));
        let none = client.get(PATH).bearer(&admin).send().await.expect(200);
        let empty = json!({
            "version": 0, "earn_basis_points": 0, "point_values": [], "earn_after_days": 14, "expires_days": 365, "time_zone": "UTC",
            "tiers": [],
        });
        assert_eq!((none.header("etag"), &none.body), (Some("\"0\""), &empty));
        refused(&put(client, &admin, None, &programme()).await, 428, "precondition_required");
        for other in ["\"1\"", "0", "*", "W/\"0\"", "\"\""] {
            refused(&put(client, &admin, Some(other), &programme()).await, 412, "version_conflict");
        }
        let of_version = |version: u64, mut body: Value| {
            body["version"] = json!(version);
            body
        };
        let first = put(client, &admin, Some("\"0\""), &programme()).await.expect(200);
        assert_eq!((first.header("etag"), &first.body), (Some("\"1\""), &of_version(1, programme())));
        refused(&put(client, &admin, Some("\"0\""), &programme()).await, 412, "version_conflict");
        let second = with("/earn_basis_points", json!(250));
        put(client, &admin, Some("\"1\""), &second).await.expect(200);
        // Beside it the taxes have a version of their own.
        let taxes = client.get("/v1/admin/tax").bearer(&admin).send().await.expect(200);
        assert_eq!(taxes.header("etag"), Some("\"0\""));
        server.stop().await;
        let server = Server::start(&store).await;
        let kept = server.client.get(PATH).bearer(&admin).send().await.expect(200);
        assert_eq!((kept.header("etag"), &kept.body), (Some("\"2\""), &of_version(2, second)));
        server.stop().await;
    }

    /// Whatever is wrong is told with its field, and changes nothing; what fits is shown as it was written.
    async fn a_programme_of_points_is_checked_field_by_field(store) {
        let server = Server::start(&store).await;
        let (client, admin) = (server.client, token(&Bearer::Admin("root".into())));
        for (body, expected) in bad() {
            let told = put(client, &admin, Some("\"0\""), &body).await;
            refused(&told, 422, "invalid_body");
            assert_eq!(fields(&told), expected, "{body}");
        }
        // More values than there can be currencies: that is told first.
        let many = with("/point_values", json!(vec![money("1.00", "BDT"); 201]));
        let told = put(client, &admin, Some("\"0\""), &many).await.expect(422);
        assert_eq!((fields(&told)[0], fields(&told).len()), ("point_values", 200));
        // All at once.
        let mut wrong = with("/tiers/1/from/amount", json!("1.00"));
        wrong["point_values"][1]["currency"] = json!("ABC");
        wrong["expires_days"] = json!(0);
        let told = put(client, &admin, Some("\"0\""), &wrong).await.expect(422);
        assert_eq!(fields(&told), ["point_values[1].currency", "expires_days", "tiers[1].from.amount"]);
        let mut unknown = programme();
        unknown["spend_basis_points"] = json!(1);
        assert_eq!(put(client, &admin, Some("\"0\""), &unknown).await.status, 422);
        for (version, body) in good().into_iter().enumerate() {
            let mut shown = put(client, &admin, Some(&format!("\"{version}\"")), &body).await.expect(200).body;
            assert_eq!(shown["version"], json!(version + 1));
            shown.as_object_mut().unwrap().remove("version");
            assert_eq!(shown, body);
        }
        // A programme without tiers need not say so.
        let mut short = programme();
        short.as_object_mut().unwrap().remove("tiers");
        let shown = put(client, &admin, Some(&format!("\"{}\"", good().len())), &short).await.expect(200);
        assert_eq!(shown.body["tiers"], json!([]));
        server.stop().await;
    }

    /// Neither a buyer nor a vendor has to do with it, nor has staff that the shop's money is no matter of.
    async fn only_the_staff_for_money_writes_the_programme_of_points(store) {
        let server = Server::start(&store).await;
        let (client, admin) = (server.client, token(&Bearer::Admin("root".into())));
        let (vendor, sku) = client.shop(&admin, "10.00", 9).await;
        let staff = |permission| token(&Bearer::Staff("rina".into(), [permission].into_iter().collect()));
        let owner = token(&Bearer::Member(vendor.parse().expect("an id"), VendorRole::Owner));
        for bearer in [client.buyer(&sku, 1).await.token, owner, staff(Permission::PricesEdit), staff(Permission::MoneyRead)] {
            client.get(PATH).bearer(&bearer).send().await.expect(403);
            put(client, &bearer, Some("\"0\""), &programme()).await.expect(403);
        }
        client.request("PUT", PATH).json(&programme()).header("if-match", "\"0\"").send().await.expect(401);
        let money = staff(Permission::MoneyEdit);
        put(client, &money, Some("\"0\""), &programme()).await.expect(200);
        client.get(PATH).bearer(&money).send().await.expect(200);
        server.stop().await;
    }
}
