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

/// A token of this header and these claims, signed with HMAC and SHA-256, whatever the header says.
fn signed(header: &Value, claims: &Value, secret: &[u8]) -> String {
    let text = format!("{}.{}", base64url(header.to_string().as_bytes()), base64url(claims.to_string().as_bytes()));
    let signature = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), text.as_bytes());
    format!("{text}.{}", base64url(signature.as_ref()))
}

fn now() -> Timestamp {
    haat::adapters::clock::SystemClock::default().now()
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
    let bad = bad_tokens(&shop.guest, &shop.ids["cart"]);
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
    for (what, token) in &bad {
        let made = client.post("/v1/carts", &json!({})).bearer(token).send().await;
        assert_eq!((made.status, made.code()), (401, "unauthorized"), "{what}: {}", made.text);
    }
    shop.target.unharmed().await;
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
