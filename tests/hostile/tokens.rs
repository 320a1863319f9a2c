//! Bearer tokens that are none of the shop's, or no longer, on every route that asks for one.

use crate::api::{Shop, all_of, fresh_id};
use crate::support::SECRET;
use crate::wire::{Wire, request};
use aws_lc_rs::hmac;
use haat::domain::time::Timestamp;
use haat::http::auth::{Auth, Bearer};
use haat::ports::Clock;
use serde_json::{Value, json};
use std::time::Duration;

/// Base64 for URLs, without padding (RFC 4648, 5).
fn base64url(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let group = (0..3).fold(0_usize, |group, at| group << 8 | chunk.get(at).map_or(0, |byte| usize::from(*byte)));
        for at in 0..=chunk.len() {
            text.push(char::from(ALPHABET[group >> (18 - 6 * at) & 63]));
        }
    }
    text
}

/// A token of these texts, which need not be JSON, signed with the shop's secret.
fn signed_texts(header: &str, claims: &str) -> String {
    let text = format!("{}.{}", base64url(header.as_bytes()), base64url(claims.as_bytes()));
    let signature = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, SECRET), text.as_bytes());
    format!("{text}.{}", base64url(signature.as_ref()))
}

/// A token of this header and these claims, signed with HMAC and SHA-256, whatever the header says.
fn signed(header: &Value, claims: &Value, secret: &[u8]) -> String {
    let text = format!("{}.{}", base64url(header.to_string().as_bytes()), base64url(claims.to_string().as_bytes()));
    let signature = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), text.as_bytes());
    format!("{text}.{}", base64url(signature.as_ref()))
}

fn now() -> Timestamp {
    haat::adapters::clock::SystemClock::default().wall()
}

/// Tokens that nobody is to be let in with, each with what is wrong. All of them name an administrator, or the cart's own guest.
fn bad_tokens(guest: &str, cart: &str) -> Vec<(String, String)> {
    let second = now().as_millis() / 1000;
    let header = json!({"alg": "HS256", "typ": "JWT"});
    let admin = json!({"sub": "root", "role": "admin", "iat": second, "exp": second + 3600});
    let good = signed(&header, &admin, SECRET);
    let mut bad: Vec<(String, String)> = Vec::new();
    let mut add = |what: String, token: String| bad.push((what, token));

    let hour = Duration::from_secs(3600);
    let ago = |ms: i64| Timestamp::from_millis(now().as_millis() - ms);
    let minted = |bearer: &Bearer, at, ttl, secret: &[u8]| Auth::new(secret).mint(bearer, at, ttl).expect("a token");
    let owner = Bearer::Guest(cart.parse().expect("an id"));
    for bearer in [Bearer::Admin("root".into()), owner] {
        add(format!("expired: {bearer:?}"), minted(&bearer, ago(7_200_000), hour, SECRET));
        add(format!("expires now: {bearer:?}"), minted(&bearer, ago(0), Duration::ZERO, SECRET));
        add(format!("another secret: {bearer:?}"), minted(&bearer, ago(0), hour, b"another secret, of 32 characters"));
        add(format!("no secret: {bearer:?}"), minted(&bearer, ago(0), hour, b""));
    }

    for algorithm in ["none", "None", "NONE", "nOnE", "", "HS384", "HS512", "RS256", "PS256", "ES256", "EdDSA", "hs256"]
    {
        let header = json!({"alg": algorithm, "typ": "JWT"});
        let by_us = signed(&header, &admin, SECRET);
        let unsigned = by_us.rsplit_once('.').expect("three parts").0.to_owned();
        let signature = good.rsplit_once('.').expect("three parts").1;
        add(format!("{algorithm}, without a signature"), format!("{unsigned}."));
        add(format!("{algorithm}, of two parts"), unsigned.clone());
        add(format!("{algorithm}, with another's signature"), format!("{unsigned}.{signature}"));
        add(format!("{algorithm}, signed with the secret all the same"), by_us);
    }
    for header in
        [json!({}), json!({"typ": "JWT"}), json!({"alg": null}), json!({"alg": ["HS256"]}), json!([]), json!("HS256")]
    {
        add(format!("header {header}"), signed(&header, &admin, SECRET));
    }
    // Where to find the key is not for the token to say.
    let key = json!({"kty": "oct", "k": base64url(b"mine")});
    for header in [
        json!({"alg": "HS256", "kid": "../../../../dev/null"}),
        json!({"alg": "HS256", "jwk": key}),
        json!({"alg": "HS256", "jku": "http://127.0.0.1:9/keys"}),
    ] {
        add(format!("header {header} with an empty key"), signed(&header, &admin, b""));
        add(format!("header {header} with a key of its own"), signed(&header, &admin, b"mine"));
    }

    // What a header may say that must be understood, or that is of another kind of token, or twice.
    for member in [
        r#""crit":["exp"],"exp":1"#,
        r#""crit":["b64"],"b64":false"#,
        r#""crit":["urn:example:more"]"#,
        r#""crit":[]"#,
        r#""crit":null"#,
        r#""crit":"exp""#,
        r#""b64":false"#,
        r#""enc":"A128GCM""#,
        r#""zip":"DEF""#,
        r#""cty":"JWT""#,
        r#""cty":null"#,
        r#""typ":"at+jwt""#,
        r#""typ":"logout+jwt""#,
        r#""typ":"JOSE""#,
        r#""typ":"JWS""#,
        r#""typ":"JWT ""#,
        r#""typ":"""#,
        r#""typ":null"#,
        r#""typ":["JWT"]"#,
        r#""typ":"JWT","typ":"JWT""#,
        r#""alg":"HS256""#,
        r#""alg":"none""#,
    ] {
        let header = format!(r#"{{"alg":"HS256",{member}}}"#);
        add(format!("header {header}"), signed_texts(&header, &admin.to_string()));
    }
    let marked = "\u{feff}{\"alg\":\"HS256\"}";
    for header in [r#"["HS256"]"#, r#"["HS256","JWT"]"#, "", "HS256", "{}{}", r#"{"alg":"HS256"}x"#, marked] {
        add(format!("header {header}"), signed_texts(header, &admin.to_string()));
    }
    // Claims that say a thing twice, and claims that are no object.
    let (plain, end) = (header.to_string(), second + 60);
    for claims in [
        format!(r#"{{"sub":"root","role":"guest","role":"admin","iat":{second},"exp":{end}}}"#),
        format!(r#"{{"sub":"root","role":"admin","iat":{second},"exp":{end},"exp":{end}}}"#),
        format!(r#"{{"sub":"root","sub":"root","role":"admin","iat":{second},"exp":{end}}}"#),
        format!(r#"{{"sub":"root","role":"admin","iat":{second},"iat":{second},"exp":{end}}}"#),
        format!(r#"["root","admin",null,null,{second},{end}]"#),
        format!(r#"["root","admin",null,null,{second},{end},{second}]"#),
        format!(r#"{{"claims":{{"sub":"root","role":"admin","iat":{second},"exp":{end}}}}}"#),
        format!(r#"[{{"sub":"root","role":"admin","iat":{second},"exp":{end}}}]"#),
        format!(r#"{{"sub":"root","role":"admin","iat":{second},"exp":{end}}} {{}}"#),
    ] {
        add(format!("claims {claims}"), signed_texts(&plain, &claims));
    }
    // Numbers that are none, or none of a moment that can be (60 s is more than any clock may be ahead); claims that
    // are another service's.
    let (day, most) = (86_400, 31 * 86_400);
    let texts = json!(second.to_string());
    let moments =
        |more: Vec<Value>| [more, vec![json!(i64::MAX), json!(u64::MAX), json!(-1), json!(1.5), json!({})]].concat();
    for (name, values) in [
        (
            "exp",
            moments(vec![json!(second + most + 60), json!(second + 365 * day), json!(second), json!(0), json!(true)]),
        ),
        ("exp", vec![json!(9_999_999_999_i64), json!((second + 60) as f64), json!([end]), texts.clone()]),
        ("iat", moments(vec![json!(second + 60), json!(second + day), json!(i64::MIN), Value::Null, texts.clone()])),
        ("nbf", moments(vec![json!(second + 60), Value::Null, json!([]), texts])),
        ("aud", vec![json!("haat"), json!(["haat"]), json!([]), json!(""), Value::Null]),
        ("iss", vec![json!("https://elsewhere.example"), json!(""), json!(["haat"]), Value::Null]),
        ("sub", vec![Value::Null, json!(["root"]), json!({})]),
        ("role", vec![Value::Null, json!({"admin": null}), json!(4)]),
    ] {
        for value in values {
            let mut claims = admin.clone();
            claims[name] = value;
            add(format!("claims {claims}"), signed(&header, &claims, SECRET));
        }
    }

    let claims = |change: &dyn Fn(&mut Value)| {
        let mut claims = admin.clone();
        change(&mut claims);
        claims
    };
    let without = |name: &'static str| {
        claims(&|claims| {
            claims.as_object_mut().expect("claims").remove(name);
        })
    };
    for wrong in [
        claims(&|claims| claims["nbf"] = json!(second + 600)),
        claims(&|claims| claims["nbf"] = json!("now")),
        claims(&|claims| claims["exp"] = json!(second.to_string())),
        claims(&|claims| claims["exp"] = json!(-1)),
        claims(&|claims| claims["exp"] = json!(1e300)),
        claims(&|claims| claims["exp"] = Value::Null),
        claims(&|claims| claims["role"] = json!("root")),
        claims(&|claims| claims["role"] = json!("Admin")),
        claims(&|claims| claims["role"] = json!(["admin"])),
        claims(&|claims| claims["role"] = json!("customer")),
        claims(&|claims| claims["role"] = json!("vendor")),
        claims(&|claims| claims["role"] = json!("guest")),
        claims(&|claims| claims["sub"] = json!(1)),
        // For another service that has the same secret.
        claims(&|claims| claims["aud"] = json!("elsewhere")),
        without("exp"),
        without("iat"),
        without("role"),
        without("sub"),
        json!([]),
        json!("admin"),
    ] {
        add(format!("claims {wrong}"), signed(&header, &wrong, SECRET));
    }

    let parts: Vec<&str> = guest.split('.').collect();
    let of_admin: Vec<&str> = good.split('.').collect();
    add(
        "a guest's signature under an administrator's claims".into(),
        format!("{}.{}.{}", parts[0], of_admin[1], parts[2]),
    );
    for end in [1, 2, 10, 42, 43] {
        add(format!("cut by {end}"), good[..good.len() - end].to_owned());
    }
    let flipped = if good.ends_with('A') { "Q" } else { "A" };
    add("its last character changed".into(), format!("{}{flipped}", &good[..good.len() - 1]));
    for text in [".", "..", "...", "a.b.c", "null", "undefined", "{}"] {
        add(format!("{text:?}"), text.to_owned());
    }
    add("four parts".into(), format!("{good}.{}", of_admin[2]));
    add("padded".into(), format!("{good}="));
    add("huge".into(), format!("{}.{}.{}", of_admin[0], "A".repeat(50_000), of_admin[2]));
    add("two of them".into(), format!("{good} {good}"));
    bad
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_that_is_none_of_the_shops_opens_no_route_and_tells_nothing() {
    let shop = Shop::open().await;
    let client = shop.client();
    let good = Auth::new(SECRET).mint(&Bearer::Admin("root".into()), now(), Duration::from_secs(60)).expect("a token");
    client.get("/v1/admin/actors").bearer(&good).send().await.expect(200);
    let mut nothing = shop.ids.clone();
    for (name, id) in &mut nothing {
        let kind = if *name == "id" { "cart" } else { name };
        *id = if *name == "kind" { id.clone() } else { fresh_id(kind) };
    }
    for route in shop.routes.iter().filter(|route| route.is_secured) {
        let place = format!("{} {}", route.method, route.path);
        let without = route.request(client, &shop.ids, None).send().await;
        assert_eq!((without.status, without.code()), (401, "unauthorized"), "{place}: {}", without.text);
        assert_eq!(without.header("www-authenticate"), Some("Bearer"), "{place}");
        // Made anew: what is a minute in the future now is not for ever, and there are many routes.
        let bad = bad_tokens(&shop.guest, &shop.ids["cart"]);
        for (what, token) in &bad {
            let answer = route.request(client, &shop.ids, Some(token)).send().await;
            assert_eq!((answer.status, answer.code()), (401, "unauthorized"), "{place} with {what}: {}", answer.text);
            assert!(token.len() < 8 || !answer.text.contains(token.as_str()), "{place} with {what}: {}", answer.text);
        }
        // Whether there is such a thing makes no difference.
        for token in [None, Some(bad[0].1.as_str()), Some(bad[2].1.as_str())] {
            let (there, not) = (route.request(client, &shop.ids, token), route.request(client, &nothing, token));
            assert_eq!(all_of(&there.send().await), all_of(&not.send().await), "{place}");
        }
    }
    // Where a bearer is welcome and not needed, a bad one is not taken for none.
    for (what, token) in &bad_tokens(&shop.guest, &shop.ids["cart"]) {
        let made = client.post("/v1/carts", &json!({})).bearer(token).send().await;
        assert_eq!((made.status, made.code()), (401, "unauthorized"), "{what}: {}", made.text);
    }
    shop.target.unharmed().await;
}

/// What is as good as a token of the shop's own: it is signed with the secret, and says nothing that is not understood.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_that_is_written_otherwise_is_as_good() {
    let shop = Shop::open().await;
    let second = now().as_millis() / 1000;
    let asks = async |what: &str, token: &str| {
        let answer = shop.client().get("/v1/admin/actors").bearer(token).send().await;
        assert_eq!(answer.status, 200, "{what}: {}", answer.text);
    };
    let admin = json!({"sub": "root", "role": "admin", "iat": second, "exp": second + 3600});
    for header in [
        json!({"alg": "HS256"}),
        json!({"alg": "HS256", "typ": "jwt"}),
        json!({"typ": "JWT", "alg": "HS256", "kid": "2026", "jku": "http://127.0.0.1:9/keys", "more": {"a": [1]}}),
    ] {
        asks(&header.to_string(), &signed(&header, &admin, SECRET)).await;
    }
    let header = json!({"alg": "HS256", "typ": "JWT"});
    for (name, value) in [
        ("exp", json!(second + 31 * 86_400)),
        ("exp", json!(second + 60)),
        // The clock of whoever made it is a little ahead.
        ("iat", json!(second + 3)),
        ("nbf", json!(second + 3)),
        ("iat", json!(0)),
        ("nbf", json!(0)),
        ("jti", json!("4711")),
        ("more", json!({"deep": [[[{}]]]})),
    ] {
        let mut claims = admin.clone();
        claims[name] = value;
        asks(&claims.to_string(), &signed(&header, &claims, SECRET)).await;
    }
    asks("spaces", &signed_texts(" { \"alg\" : \"HS256\" } ", &format!(" {admin}\n"))).await;
    let days = Duration::from_secs(31 * 86_400);
    asks("31 days", &Auth::new(SECRET).mint(&Bearer::Admin("root".into()), now(), days).expect("a token")).await;
    shop.target.unharmed().await;
}

/// Answers with a token, or with what is somebody's, are for nobody to keep, refusals among them; the catalogue is
/// everybody's.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_somebodys_says_that_nobody_keeps_it() {
    let shop = Shop::open().await;
    let client = shop.client();
    let hour = Duration::from_secs(3600);
    let admin = Auth::new(SECRET).mint(&Bearer::Admin("root".into()), now(), hour).expect("a token");
    let is_public = |path: &str| {
        let catalogue = ["/v1/skus/{sku}", "/v1/products", "/v1/products/{product}"];
        !path.starts_with("/v1/") || catalogue.contains(&path)
    };
    for route in &shop.routes {
        let place = format!("{} {}", route.method, route.path);
        for bearer in [None, Some(shop.guest.as_str()), Some(admin.as_str()), Some("none")] {
            let answer = route.request(client, &shop.ids, bearer).send().await;
            let kept = (!is_public(&route.path)).then_some("no-store");
            assert_eq!(answer.header("cache-control"), kept, "{place}: {} {}", answer.status, answer.text);
        }
    }
    for path in ["/v1/nothing", "/v1/carts/x/y/z", "/nothing", "/v1/carts", "/v1/orders/x"] {
        assert_eq!(client.get(path).send().await.header("cache-control"), Some("no-store"), "{path}");
    }
    let head = client.request("HEAD", "/v1/orders").bearer(&admin).send().await;
    assert_eq!((head.status, head.header("cache-control")), (200, Some("no-store")));
}

/// The header itself: one, of the scheme Bearer, of a sane length.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_header_that_holds_no_one_token_is_refused() {
    let shop = Shop::open().await;
    let cart = format!("/v1/carts/{}", shop.ids["cart"]);
    let good = format!("Bearer {}", shop.guest);
    for values in [
        &["Bearer"][..],
        &["Bearer "],
        &[shop.guest.as_str()],
        &["Basic eDp5"],
        &[&format!("Token {}", shop.guest)],
        &[&format!("Bearer\t{}", shop.guest)],
        &[&format!("Bearer: {}", shop.guest)],
        &[&format!("Bearer \u{e9}{}", shop.guest)],
        &[&good, &good],
        &[&good, "Basic eDp5"],
        &[&format!("{good}, {good}")],
    ] {
        let headers: Vec<(&str, &str)> = values.iter().map(|value| ("authorization", *value)).collect();
        let answer = Wire::with(shop.client(), request("GET", &cart, &headers, "")).await.answer().await;
        assert_eq!((answer.status, answer.code().as_str()), (401, "unauthorized"), "{values:?}: {}", answer.body);
    }
    for value in [good.clone(), good.replacen("Bearer", "bEARER", 1)] {
        let answer =
            Wire::with(shop.client(), request("GET", &cart, &[("authorization", &value)], "")).await.answer().await;
        assert_eq!(answer.status, 200, "{}", answer.body);
    }
    let huge = format!("Bearer {}", "a".repeat(70_000));
    let answer = Wire::with(shop.client(), request("GET", &cart, &[("authorization", &huge)], "")).await.answer().await;
    assert_eq!(answer.status, 431);
    shop.target.unharmed().await;
}
