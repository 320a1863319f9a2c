//! Idempotency keys: whose they are, what they cover, and the ids that follow from them.

use crate::domain::record::IdempotencyKey;
use crate::http::caller::Caller;
use crate::http::error::{IDEMPOTENCY_KEY_INVALID, Problem, Result};
use crate::limits;
use crate::ports::Clock;
use aws_lc_rs::digest::{Context, SHA256};
use axum::extract::FromRequestParts;
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};
use std::borrow::Cow;
use utoipa::IntoParams;
use uuid::{Uuid, Variant, Version};

/// The header.
pub const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// The header, as the documentation shows it.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[allow(dead_code, reason = "only its description is used")]
pub struct IdempotencyHeader {
    /// Scoped by caller, method and path, and kept for 24 hours: the same key and body give the first answer again.
    #[param(rename = "Idempotency-Key", required = false, min_length = 1, max_length = 255, pattern = "^[!-~]+$")]
    #[param(example = "5f0c8a52-order-1")]
    key: Option<String>,
}

/// The key as it came with a POST, if one did.
#[derive(Debug)]
pub struct RequestKey(Option<Source>);

#[derive(Debug)]
struct Source {
    key: HeaderValue,
    method: Method,
    uri: Uri,
}

fn read(headers: &HeaderMap) -> Result<Option<&HeaderValue>> {
    let mut values = headers.get_all(&IDEMPOTENCY_KEY).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    let sane = (1..=limits::IDEMPOTENCY_KEY).contains(&value.len())
        && value.as_bytes().iter().all(u8::is_ascii_graphic)
        && values.next().is_none();
    if sane {
        return Ok(Some(value));
    }
    let limit = limits::IDEMPOTENCY_KEY;
    Err(Problem::new(&IDEMPOTENCY_KEY_INVALID, format!("one key of 1 to {limit} visible ASCII characters is expected")))
}

impl<S: Sync> FromRequestParts<S> for RequestKey {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self> {
        let source =
            |key: &HeaderValue| Source { key: key.clone(), method: parts.method.clone(), uri: parts.uri.clone() };
        Ok(Self(read(&parts.headers)?.map(source)))
    }
}

impl RequestKey {
    /// Whether the request came with a key.
    pub fn is_present(&self) -> bool {
        self.0.is_some()
    }

    /// The key as entities know it: the caller's own, for this method, path and body.
    pub fn of(&self, caller: &Caller, body: &[u8]) -> Option<IdempotencyKey> {
        let Source { key, method, uri } = self.0.as_ref()?;
        let path = canonical(uri.path());
        let (role, subject) = (caller.role.name().as_bytes(), caller.subject.as_bytes());
        let scoped = [role, subject, method.as_str().as_bytes(), path.as_bytes(), key.as_bytes()];
        Some(IdempotencyKey { key: hash(&scoped), body: hash(&[body]) })
    }
}

/// The path in its canonical spelling (RFC 3986, 6.2.2.1 and 6.2.2.2): what need not be percent-encoded is not, and the digits of what
/// must be are upper case. Routes and ids are read so; one path in two spellings under one key would be done twice. A path that is spelt as
/// everybody spells it is what it was.
fn canonical(path: &str) -> Cow<'_, str> {
    if !path.contains('%') {
        return Cow::Borrowed(path);
    }
    let digit = |byte: Option<&u8>| char::from(*byte?).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let bytes = path.as_bytes();
    let (mut spelt, mut at) = (Vec::with_capacity(bytes.len()), 0);
    while let Some(byte) = bytes.get(at) {
        let encoded = match byte {
            b'%' => digit(bytes.get(at + 1)).zip(digit(bytes.get(at + 2))).map(|(high, low)| high << 4 | low),
            _ => None,
        };
        match encoded {
            Some(plain) if plain.is_ascii_alphanumeric() || b"-._~".contains(&plain) => spelt.push(plain),
            Some(other) => spelt.extend(format!("%{other:02X}").into_bytes()),
            None => spelt.push(*byte),
        }
        at += if encoded.is_some() { 3 } else { 1 };
    }
    // Only ASCII was put in place of ASCII.
    Cow::Owned(String::from_utf8_lossy(&spelt).into_owned())
}

/// The first 128 bits of SHA-256 over these parts. Callers choose keys and bodies themselves: where a collision could be made, one
/// request would get another's answer, or make another's id.
pub(super) fn hash(parts: &[&[u8]]) -> u128 {
    let mut context = Context::new(&SHA256);
    // A part's length before it: no two sequences of parts make the same bytes.
    for part in parts {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part);
    }
    let digest = context.finish();
    digest.as_ref().iter().take(16).fold(0, |bits, byte| bits << 8 | u128::from(*byte))
}

/// Where new ids come from: under a key they follow from it, so that a repeated request mints the same ones; else they are fresh.
pub struct Mint<'a> {
    clock: &'a dyn Clock,
    key: Option<IdempotencyKey>,
}

impl<'a> Mint<'a> {
    /// Ids for one request.
    pub fn new(clock: &'a dyn Clock, key: Option<IdempotencyKey>) -> Self {
        Self { clock, key }
    }

    /// Whether the ids were never given out before.
    pub fn is_fresh(&self) -> bool {
        self.key.is_none()
    }

    /// The request's id number `index` of the type `prefix`. Under a key it is the same whatever the request asks for.
    pub fn uuid(&self, prefix: &str, index: usize) -> Uuid {
        self.minted(prefix, index, |key| vec![key.key.to_be_bytes()])
    }

    /// As [`Mint::uuid`], but under a key it follows from the request's body too: an entity tells by such an id whether a request under
    /// an old key asks for what it made then.
    pub fn uuid_of_body(&self, prefix: &str, index: usize) -> Uuid {
        self.minted(prefix, index, |key| vec![key.key.to_be_bytes(), key.body.to_be_bytes()])
    }

    fn minted(&self, prefix: &str, index: usize, seeds: impl Fn(&IdempotencyKey) -> Vec<[u8; 16]>) -> Uuid {
        let Some(key) = &self.key else {
            return self.clock.new_uuid();
        };
        let (seeds, index) = (seeds(key), (index as u64).to_be_bytes());
        let parts: Vec<&[u8]> = seeds.iter().map(<[u8; 16]>::as_slice).chain([&index[..], prefix.as_bytes()]).collect();
        // In the layout of a UUIDv7, as all ids, though its time is hashed bits too.
        let id = uuid::Builder::from_bytes(hash(&parts).to_be_bytes());
        id.with_variant(Variant::RFC4122).with_version(Version::SortRand).into_uuid()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::entity::Principal;
    use crate::domain::time::Timestamp;
    use crate::http::auth::Role;
    use std::collections::HashSet;

    struct NoClock;
    impl Clock for NoClock {
        fn now(&self) -> Timestamp {
            Timestamp::default()
        }
        fn new_uuid(&self) -> Uuid {
            Uuid::nil()
        }
        fn wall(&self) -> Timestamp {
            self.now()
        }

        fn since_boot(&self) -> std::time::Duration {
            std::time::Duration::ZERO
        }

        fn advance_to(&self, _floor: Timestamp) {}
    }

    fn headers(values: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(IDEMPOTENCY_KEY, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        headers
    }

    #[test]
    fn a_key_is_visible_ascii_of_some_length() {
        assert!(read(&headers(&[])).unwrap().is_none());
        assert!(read(&headers(&["a"])).unwrap().is_some());
        assert!(read(&headers(&[&"k".repeat(255)])).unwrap().is_some());
        for bad in [&[""][..], &["a b"], &["\u{e9}"], &["a", "a"], &[&"k".repeat(256)]] {
            assert_eq!(read(&headers(bad)).unwrap_err().kind(), &IDEMPOTENCY_KEY_INVALID);
        }
    }

    #[test]
    fn keys_are_told_apart_by_caller_method_and_path() {
        let request = |key: &'static str, method: Method, path: &'static str| {
            RequestKey(Some(Source { key: HeaderValue::from_static(key), method, uri: Uri::from_static(path) }))
        };
        let caller = |role, subject: &str| Caller {
            role,
            principal: Principal::SHOP,
            subject: subject.into(),
            session: None,
            account_mail: None,
        };
        let admin = caller(Role::Admin, "ann");
        let one = request("k", Method::POST, "/a").of(&admin, b"{}").unwrap();
        assert_eq!(request("k", Method::POST, "/a?x=1").of(&admin, b"{}"), Some(one));
        let others = [
            request("k2", Method::POST, "/a").of(&admin, b"{}"),
            request("k", Method::PUT, "/a").of(&admin, b"{}"),
            request("k", Method::POST, "/b").of(&admin, b"{}"),
            request("k", Method::POST, "/a").of(&caller(Role::Staff, "ann"), b"{}"),
            request("k", Method::POST, "/a").of(&caller(Role::Admin, "bob"), b"{}"),
        ];
        let mut keys: HashSet<u128> = others.iter().map(|key| key.unwrap().key).collect();
        keys.insert(one.key);
        assert_eq!(keys.len(), 6);
        let other_body = request("k", Method::POST, "/a").of(&admin, b"{ }").unwrap();
        assert_eq!(other_body.key, one.key);
        assert_ne!(other_body.body, one.body);
        assert_eq!(RequestKey(None).of(&admin, b"{}"), None);
    }

    #[test]
    fn a_path_has_one_spelling() {
        let plain = "/v1/vendors/vendor_01h2xcejqtf2nbrexx3vqjhp41/products";
        assert!(matches!(canonical(plain), Cow::Borrowed(path) if path == plain));
        for spelt in [
            "/v1/vendors/vendor%5F01h2xcejqtf2nbrexx3vqjhp41/products",
            "/v1/vendors/vendor%5f01h2xcejqtf2nbrexx3vqjhp41/products",
            "/v1/vendors/%76endor_01h2xcejqtf2nbrexx3vqjhp4%31/products",
            "/v1/vendors/%76%65ndor%5F01h2xcejqtf2nbrexx3vqjhp41/%70roducts",
        ] {
            assert_eq!(canonical(spelt), plain, "{spelt}");
        }
        for (spelt, canonically) in [
            ("/a%2fb", "/a%2Fb"),
            ("/a%2Fb%2e%7E%2D", "/a%2Fb.~-"),
            ("/%255F", "/%255F"),
            ("/%25%35%46", "/%255F"),
            ("/%C3%a4", "/%C3%A4"),
            ("/%", "/%"),
            ("/%5", "/%5"),
            ("/%5G%+1", "/%5G%+1"),
        ] {
            assert_eq!(canonical(spelt), canonically);
        }
    }

    /// Stores remember these numbers for a day: a path spelt as ever has the one that it had.
    #[test]
    fn the_key_of_an_ordinary_request_is_what_it_was() {
        let (method, uri) = (Method::POST, Uri::from_static("/v1/vendors/vendor_01h2xcejqtf2nbrexx3vqjhp41/products"));
        let key = RequestKey(Some(Source { key: HeaderValue::from_static("delivery-4711"), method, uri }));
        let caller = Caller {
            role: Role::Admin,
            principal: Principal::SHOP,
            subject: "ann".into(),
            session: None,
            account_mail: None,
        };
        assert_eq!(key.of(&caller, b"{}").map(|key| key.key), Some(GOLDEN));
    }

    /// The head of SHA-256 over `admin`, `ann`, `POST`, the path and the key, each behind its length in eight bytes.
    const GOLDEN: u128 = 0xd1d0_14ef_b2fa_6695_d327_bded_3f40_b774;

    #[test]
    fn ids_follow_from_the_key_and_are_told_apart() {
        let mint = Mint::new(&NoClock, Some(IdempotencyKey { key: 1, body: 2 }));
        assert!(!mint.is_fresh());
        assert_eq!(mint.uuid("sku", 0), mint.uuid("sku", 0));
        assert_ne!(mint.uuid("sku", 0), mint.uuid("sku", 1));
        assert_ne!(mint.uuid("sku", 0), mint.uuid("product", 0));
        assert_eq!(mint.uuid("sku", 0).get_version_num(), 7);
        assert!(Mint::new(&NoClock, None).is_fresh());
    }

    #[test]
    fn some_ids_follow_from_the_body_too() {
        let mint = |body| Mint::new(&NoClock, Some(IdempotencyKey { key: 1, body }));
        assert_eq!(mint(2).uuid("sku", 0), mint(3).uuid("sku", 0));
        assert_eq!(mint(2).uuid_of_body("sku", 0), mint(2).uuid_of_body("sku", 0));
        assert_ne!(mint(2).uuid_of_body("sku", 0), mint(3).uuid_of_body("sku", 0));
        assert_ne!(mint(2).uuid_of_body("sku", 0), mint(2).uuid("sku", 0));
    }

    #[test]
    fn keys_and_bodies_are_hashed_with_sha_256() {
        // The head of SHA-256 over eight bytes of length (2) and "{}".
        assert_eq!(hash(&[b"{}"]), 0x7cf4_b3ea_3b7f_b829_169a_f19d_6419_05eb);
    }
}
