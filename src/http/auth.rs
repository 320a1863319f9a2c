//! Who is asking: bearer tokens (JWT, HS256) and the roles. `caller` hands them to handlers; who may come in is said in `doors`.
//!
//! A token is `{"sub", "role", "vendor"?, "vendor_role"?, "permissions"?, "cart"?, "iat", "exp", "nbf"?, "aud"?, "sid"?, "buyer_key"?}`, checked as RFC
//! 7515, 7519 and 8725 say, against the wall clock: that is what whoever made it went by. One that names a session is of an account that is signed
//! in: what it may do stands in the token, and whatever changes that ends the session. `buyer_key` is the key of the account's verified e-mail
//! address, a hash that tells nobody the address: so a checkout knows it without asking for the account.

use crate::domain::buyer::BuyerKey;
use crate::domain::entity::Principal;
use crate::domain::ids::{AccountId, CartId, CustomerId, SessionId, VendorId};
use crate::domain::time::Timestamp;
use crate::domain::who::{Member, Permissions, Powers, Seat, Staff, VendorRole, named};
use crate::http::caller::Caller;
use crate::http::error::{Problem, Result, UNAUTHORIZED};
use crate::limits;
use crate::ports::keys::{SigningKey, SigningKeys};
use aws_lc_rs::hmac;
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use parking_lot::RwLock;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use std::sync::Arc;
use std::time::Duration;

/// How long a guest's token lasts.
pub const GUEST_TOKEN_TTL: Duration = Duration::from_secs(30 * 24 * 60 * 60);

named!(
    /// What a bearer may be.
    Role:
    /// Holds the token of one cart.
    Guest "guest",
    /// Has an account.
    Customer "customer",
    /// Sells.
    Vendor "vendor",
    /// Works for the shop.
    Staff "staff",
    /// May do all that staff and vendors may.
    Admin "admin",
);

/// Whom a token is made for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Bearer {
    /// The guest of one cart.
    Guest(CartId),
    /// A customer.
    Customer(CustomerId),
    /// One of a vendor's own people.
    Member(VendorId, VendorRole),
    /// One of the staff, by any name, who may do so much.
    Staff(String, Permissions),
    /// An administrator, by any name.
    Admin(String),
    /// Whoever is signed in with this account, which is for this.
    SignedIn(AccountId, Seat, SessionId),
    /// A customer who is signed in, with the key of the account's verified e-mail address.
    Buyer(AccountId, SessionId, BuyerKey),
}

impl Bearer {
    /// An owner of a vendor.
    pub const fn owner_of(vendor: VendorId) -> Self {
        Self::Member(vendor, VendorRole::Owner)
    }
}

/// Stands where nothing may stand: whatever is read there is refused, `null` too.
#[derive(Clone, Copy, Debug, Default)]
struct Nothing;

impl<'de> Deserialize<'de> for Nothing {
    fn deserialize<D: Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        Err(D::Error::custom("this is not understood"))
    }
}

/// The header of a token that another than we has written with our secret. Names that stand here twice are refused, as
/// they are in the claims; whatever is not named changes nothing (RFC 7515, 4).
#[derive(Deserialize)]
struct Jose {
    alg: String,
    /// Another type is another kind of token: of an identity, of a logout (RFC 8725, 3.11).
    #[serde(default, deserialize_with = "some")]
    typ: Option<String>,
    /// A token within a token (RFC 7519, 5.2).
    #[serde(default, rename = "cty")]
    _cty: Nothing,
    /// What must be understood, and none of it is here (RFC 7515, 4.1.11).
    #[serde(default, rename = "crit")]
    _crit: Nothing,
    /// How the payload is written (RFC 7797).
    #[serde(default, rename = "b64")]
    _b64: Nothing,
    /// That it is encrypted (RFC 7516, 4.1.2 and 4.1.3).
    #[serde(default, rename = "enc")]
    _enc: Nothing,
    #[serde(default, rename = "zip")]
    _zip: Nothing,
}

/// A JSON object, and nothing that serde takes for one (it reads a struct from an array as well).
fn object<'de, T: Deserialize<'de>>(json: &'de [u8]) -> Option<T> {
    json.trim_ascii_start().starts_with(b"{").then(|| serde_json::from_slice(json).ok()).flatten()
}

named!(
    /// Which door a signed-in account goes in by. It follows from what the account is for.
    Audience:
    /// That of those who buy.
    Shop "shop",
    /// That of vendors' own people.
    Vendor "vendor",
    /// That of the shop's own people.
    Admin "admin",
);

impl Audience {
    const fn of(role: Role) -> Option<Self> {
        match role {
            Role::Guest => None,
            Role::Customer => Some(Audience::Shop),
            Role::Vendor => Some(Audience::Vendor),
            Role::Staff | Role::Admin => Some(Audience::Admin),
        }
    }
}

/// What may be left out, but not be `null`.
fn some<'de, D: Deserializer<'de>, T: Deserialize<'de>>(from: D) -> Result<Option<T>, D::Error> {
    T::deserialize(from).map(Some)
}

#[derive(Debug, Serialize, Deserialize)]
struct Claims {
    sub: String,
    role: Role,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    vendor: Option<VendorId>,
    /// What they are there; an owner where it is not said.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "some")]
    vendor_role: Option<VendorRole>,
    /// What staff may do; what they usually may where it is not said.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "some")]
    permissions: Option<Permissions>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cart: Option<CartId>,
    iat: i64,
    exp: i64,
    /// Before this it is not valid yet. We make none, but whoever has the secret may (RFC 7519, 4.1.5).
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "some")]
    nbf: Option<i64>,
    /// The door that a signed-in account goes in by. A token for anybody else is refused (RFC 7519, 4.1.3).
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "some")]
    aud: Option<Audience>,
    /// The session that it is a token of.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "some")]
    sid: Option<SessionId>,
    /// Of a customer: the key of the account's verified e-mail address, by which limits know the buyer.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "some")]
    buyer_key: Option<BuyerKey>,
    /// Our own tokens name no issuer: one that does comes from elsewhere (RFC 7519, 4.1.1; RFC 8725, 3.8).
    #[serde(default, skip_serializing, rename = "iss")]
    _iss: Nothing,
}

impl Bearer {
    fn claims(&self, iat: i64, exp: i64) -> Claims {
        let whose = |role, sub: String| Claims {
            sub,
            role,
            vendor: None,
            vendor_role: None,
            permissions: None,
            cart: None,
            iat,
            exp,
            nbf: None,
            aud: None,
            sid: None,
            buyer_key: None,
            _iss: Nothing,
        };
        match self {
            Bearer::Guest(cart) => Claims { cart: Some(*cart), ..whose(Role::Guest, cart.to_string()) },
            Bearer::Customer(customer) => whose(Role::Customer, customer.to_string()),
            Bearer::Member(vendor, role) => {
                Claims { vendor: Some(*vendor), vendor_role: Some(*role), ..whose(Role::Vendor, vendor.to_string()) }
            }
            Bearer::Staff(name, permissions) => {
                Claims { permissions: Some(*permissions), ..whose(Role::Staff, name.clone()) }
            }
            Bearer::Admin(name) => whose(Role::Admin, name.clone()),
            Bearer::SignedIn(account, seat, session) => {
                let claims = match seat {
                    Seat::Customer => Bearer::Customer(CustomerId::from_uuid(account.uuid())).claims(iat, exp),
                    Seat::Member(vendor, role) => Bearer::Member(*vendor, *role).claims(iat, exp),
                    Seat::Staff(permissions) => Bearer::Staff(String::new(), *permissions).claims(iat, exp),
                    Seat::Admin => Bearer::Admin(String::new()).claims(iat, exp),
                };
                let sub = match seat {
                    // A customer is the account that buys.
                    Seat::Customer => claims.sub,
                    Seat::Member(..) | Seat::Staff(_) | Seat::Admin => account.to_string(),
                };
                let aud = Audience::of(claims.role);
                Claims { sub, aud, sid: Some(*session), ..claims }
            }
            Bearer::Buyer(account, session, key) => Claims {
                buyer_key: Some(*key),
                ..Bearer::SignedIn(*account, Seat::Customer, *session).claims(iat, exp)
            },
        }
    }
}

impl Claims {
    /// Who says this; `None` where it does not fit together: nothing may stand in a token that says nothing of its role.
    fn caller(self) -> Option<Caller> {
        let Claims { sub, role, vendor, vendor_role, permissions, cart, aud, sid, buyer_key, .. } = self;
        // A session has an audience, which follows from its role, and whoever has none has neither.
        if aud.is_some() != sid.is_some() || (aud.is_some() && aud != Audience::of(role)) {
            return None;
        }
        let only_for = |is_said: bool, only: Role| is_said && role != only;
        if only_for(vendor_role.is_some(), Role::Vendor)
            || only_for(permissions.is_some(), Role::Staff)
            || only_for(buyer_key.is_some(), Role::Customer)
        {
            return None;
        }
        // Whoever is signed in is an account. Another token is told apart by its name, which may be anything.
        let account = match sid {
            Some(_) if role != Role::Customer => Some(sub.parse().ok()?),
            _ => None,
        };
        let principal = match role {
            Role::Guest => Principal::Guest(cart.or_else(|| sub.parse().ok())?),
            Role::Customer => Principal::Customer(sub.parse().ok()?),
            Role::Vendor => {
                let named = vendor.or_else(|| sub.parse().ok().filter(|_| sid.is_none()))?;
                Principal::Member(Member { account, vendor: named, role: vendor_role.unwrap_or(VendorRole::Owner) })
            }
            Role::Staff => {
                let powers = Powers::Only(permissions.unwrap_or(Permissions::USUAL));
                Principal::Staff(Staff { account, powers })
            }
            Role::Admin => Principal::Staff(Staff { account, powers: Powers::Admin }),
        };
        Some(Caller { role, principal, subject: sub, session: sid, account_mail: buyer_key })
    }
}

/// Why a token could not be made.
#[derive(Debug, thiserror::Error)]
#[error("the token could not be signed: {0}")]
pub struct MintError(#[from] jsonwebtoken::errors::Error);

/// Makes and checks tokens: new ones are signed with the newest of its secrets, and those of the others are taken.
pub struct Auth(RwLock<Arc<Vec<Key>>>);

struct Key {
    encoding: EncodingKey,
    /// The secret as the key of signatures, made ready once: that was a fifth of checking a token.
    hmac: hmac::Key,
    /// How our own tokens begin: one that begins so need not be read.
    header: Header,
    own_header: String,
}

impl Key {
    fn of(of: &SigningKey) -> Self {
        let encoding = EncodingKey::from_secret(&of.secret);
        let header = Header { kid: Some(of.kid.clone()), ..Header::new(Algorithm::HS256) };
        // Cannot fail; without it every token's header would be read.
        let any = jsonwebtoken::encode(&header, &(), &encoding).unwrap_or_default();
        let own_header = any.split('.').next().unwrap_or_default().to_owned();
        let hmac = hmac::Key::new(hmac::HMAC_SHA256, &of.secret);
        Self { encoding, hmac, header, own_header }
    }

    fn has_signed(&self, message: &str, tag: &[u8]) -> bool {
        hmac::verify(&self.hmac, message.as_bytes(), tag).is_ok()
    }
}

impl Auth {
    /// Tokens signed with `secret`.
    pub fn new(secret: &[u8]) -> Self {
        Self::of(&SigningKeys::of(secret))
    }

    /// Tokens signed with these secrets.
    pub fn of(secrets: &SigningKeys) -> Self {
        Self(RwLock::new(Arc::new(secrets.all().iter().map(Key::of).collect())))
    }

    /// Other secrets from now on.
    pub fn set(&self, secrets: &SigningKeys) {
        *self.0.write() = Self::of(secrets).0.into_inner();
    }

    /// A token for `bearer` that lasts from `now` for `ttl`.
    pub fn mint(&self, bearer: &Bearer, now: Timestamp, ttl: Duration) -> Result<String, MintError> {
        let iat = now.as_millis() / 1000;
        let claims = bearer.claims(iat, iat.saturating_add(i64::try_from(ttl.as_secs()).unwrap_or(i64::MAX)));
        let keys = self.0.read().clone();
        // There is one at least.
        let key = keys.first().ok_or_else(|| MintError(jsonwebtoken::errors::ErrorKind::InvalidKeyFormat.into()))?;
        Ok(jsonwebtoken::encode(&key.header, &claims, &key.encoding)?)
    }

    /// What a token says that is signed with one of the secrets. Its header and its claims are looked at only if it is.
    fn claims(&self, token: &str) -> Option<Claims> {
        let (message, signature) = token.rsplit_once('.')?;
        // With room for what the decoder may want beyond the 32 bytes of a tag.
        let mut tag = [0; 48];
        let length = BASE64_URL_SAFE_NO_PAD.decode_slice(signature, &mut tag).ok()?;
        let tag = &tag[..length];
        let (header, claims) = message.split_once('.')?;
        let keys = self.0.read().clone();
        match keys.iter().find(|key| key.own_header == header) {
            Some(key) if key.has_signed(message, tag) => {}
            Some(_) => return None,
            None => {
                // Whatever it says of its key, the signature tells (RFC 7515, 4.1.4: `kid` is a hint).
                keys.iter().find(|key| key.has_signed(message, tag))?;
                let jose = BASE64_URL_SAFE_NO_PAD.decode(header).ok()?;
                let jose: Jose = object(&jose)?;
                // Only this algorithm: a token that says `none`, or any other, is refused whatever its signature.
                if jose.alg != "HS256" || jose.typ.is_some_and(|typ| !typ.eq_ignore_ascii_case("JWT")) {
                    return None;
                }
            }
        }
        object(&BASE64_URL_SAFE_NO_PAD.decode(claims).ok()?)
    }

    /// Who holds this token; `wall` is the wall clock.
    pub fn verify(&self, token: &str, wall: Timestamp) -> Result<Caller> {
        let refused = |detail: &'static str| Problem::new(&UNAUTHORIZED, detail);
        let claims = self.claims(token).ok_or_else(|| refused("the bearer token is not one of this shop's"))?;
        let second = wall.as_millis().div_euclid(1000);
        if claims.exp <= second {
            return Err(refused("the bearer token has expired"));
        }
        let soon = second.saturating_add(limits::TOKEN_SKEW_SECONDS);
        if claims.exp > soon.saturating_add(limits::TOKEN_SECONDS) {
            return Err(refused("the bearer token lasts longer than 31 days, which none of this shop's does"));
        }
        if claims.nbf.is_some_and(|from| from > soon || from < 0) {
            return Err(refused("the bearer token is not valid yet"));
        }
        if claims.iat > soon || claims.iat < 0 {
            return Err(refused("the bearer token was made at a time to come: clocks differ"));
        }
        let caller = claims.caller().ok_or_else(|| refused("the bearer token does not say whose it is"))?;
        Ok(caller)
    }

    pub(super) fn caller(&self, headers: &HeaderMap, now: Timestamp) -> Result<Option<Caller>> {
        bearer(headers)?.map(|token| self.verify(token, now)).transpose()
    }

    /// Whether one of the secrets has signed this token, and its time is over.
    pub(super) fn has_expired(&self, token: &str, wall: Timestamp) -> bool {
        self.claims(token).is_some_and(|claims| claims.exp <= wall.as_millis().div_euclid(1000))
    }
}

/// The token of a request, if it has one.
pub(super) fn bearer(headers: &HeaderMap) -> Result<Option<&str>> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    let token = value
        .to_str()
        .ok()
        .filter(|_| values.next().is_none())
        .and_then(|text| text.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, token)| token.trim())
        .ok_or_else(|| Problem::new(&UNAUTHORIZED, "one Authorization header with a bearer token is expected"))?;
    Ok(Some(token))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::who::{Action, Permission};
    use crate::http::error::FORBIDDEN;
    use uuid::Uuid;

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);
    const HOUR: Duration = Duration::from_secs(3600);

    const SESSION: SessionId = SessionId::from_uuid(Uuid::from_u128(3));

    fn auth() -> Auth {
        Auth::new(b"a secret that is long enough for a test")
    }

    fn encoding() -> EncodingKey {
        EncodingKey::from_secret(b"a secret that is long enough for a test")
    }

    fn cart() -> CartId {
        CartId::from_uuid(Uuid::from_u128(7))
    }

    #[test]
    fn a_token_says_who_holds_it() {
        let (customer, vendor) = (CustomerId::from_uuid(Uuid::from_u128(1)), VendorId::from_uuid(Uuid::from_u128(2)));
        let account = AccountId::from_uuid(Uuid::from_u128(1));
        let some: Permissions = [Permission::OpsRead, Permission::MoneyEdit].into_iter().collect();
        let packer = Principal::Member(Member { account: None, vendor, role: VendorRole::Packer });
        let staff = Principal::Staff(Staff { account: None, powers: Powers::Only(some) });
        let signed_in = |seat| Bearer::SignedIn(account, seat, SESSION);
        let finance = Seat::Member(vendor, VendorRole::Finance);
        let bearers = [
            (Bearer::Guest(cart()), Role::Guest, Principal::Guest(cart())),
            (Bearer::Customer(customer), Role::Customer, Principal::Customer(customer)),
            (Bearer::owner_of(vendor), Role::Vendor, Principal::vendor(vendor)),
            (Bearer::Member(vendor, VendorRole::Packer), Role::Vendor, packer),
            (Bearer::Staff("rina".into(), some), Role::Staff, staff),
            (Bearer::Admin("root".into()), Role::Admin, Principal::SHOP),
            (signed_in(Seat::Customer), Role::Customer, Principal::Customer(customer)),
            (signed_in(finance), Role::Vendor, finance.principal(account)),
            (signed_in(Seat::Staff(some)), Role::Staff, Seat::Staff(some).principal(account)),
            (signed_in(Seat::Staff(Permissions::NONE)), Role::Staff, Seat::Staff(Permissions::NONE).principal(account)),
            (signed_in(Seat::Admin), Role::Admin, Seat::Admin.principal(account)),
        ];
        for (bearer, role, principal) in bearers {
            let token = auth().mint(&bearer, NOW, HOUR).unwrap();
            let caller = auth().verify(&token, NOW).unwrap();
            assert_eq!((caller.role, caller.principal), (role, principal));
            assert_eq!(caller.session.is_some(), matches!(bearer, Bearer::SignedIn(..)));
            assert_eq!(caller.account_mail, None);
        }
        let (key, same) = (BuyerKey([0xfe; 8]), auth().mint(&signed_in(Seat::Customer), NOW, HOUR).unwrap());
        let token = auth().mint(&Bearer::Buyer(account, SESSION, key), NOW, HOUR).unwrap();
        let same = auth().verify(&same, NOW).unwrap();
        assert_eq!(auth().verify(&token, NOW).unwrap(), Caller { account_mail: Some(key), ..same });
    }

    /// What a token says of its role must fit together; what it does not say is what such tokens were for before it could be said.
    #[test]
    fn what_does_not_fit_together_is_refused() {
        let (vendor, account) =
            (VendorId::from_uuid(Uuid::from_u128(2)), AccountId::from_uuid(Uuid::from_u128(1)).to_string());
        let sign = |claims: serde_json::Value| {
            let mut claims = claims;
            claims["iat"] = 0.into();
            claims["exp"] = (NOW.as_millis() / 1000 + 60).into();
            auth().verify(&jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &encoding()).unwrap(), NOW)
        };
        let json = |text: &str| {
            let text = text.replace("VENDOR", &vendor.to_string()).replace("ACCOUNT", &account);
            serde_json::from_str::<serde_json::Value>(&text.replace("SESSION", &SESSION.to_string())).unwrap()
        };
        let early = sign(json(r#"{"sub": "VENDOR", "role": "vendor"}"#)).unwrap();
        assert_eq!(early.principal, Principal::vendor(vendor));
        let early = sign(json(r#"{"sub": "rina", "role": "staff"}"#)).unwrap();
        assert_eq!(
            early.principal,
            Principal::Staff(Staff { account: None, powers: Powers::Only(Permissions::USUAL) })
        );
        for bad in [
            r#"{"sub": "rina", "role": "staff", "permissions": null}"#,
            r#"{"sub": "rina", "role": "staff", "permissions": "ops.read"}"#,
            r#"{"sub": "rina", "role": "staff", "permissions": ["ops.everything"]}"#,
            r#"{"sub": "rina", "role": "staff", "permissions": ["ops.read", "ops.read"]}"#,
            r#"{"sub": "rina", "role": "admin", "permissions": ["ops.read"]}"#,
            r#"{"sub": "rina", "role": "staff", "vendor_role": "owner"}"#,
            r#"{"sub": "VENDOR", "role": "vendor", "vendor_role": "king"}"#,
            r#"{"sub": "VENDOR", "role": "vendor", "vendor_role": null}"#,
            r#"{"sub": "VENDOR", "role": "vendor", "permissions": []}"#,
            r#"{"sub": "VENDOR", "role": "vendor", "aud": "vendor", "sid": "SESSION"}"#,
            r#"{"sub": "rina", "role": "staff", "aud": "admin", "sid": "SESSION"}"#,
            r#"{"sub": "ACCOUNT", "role": "admin", "aud": "vendor", "sid": "SESSION"}"#,
            r#"{"sub": "ACCOUNT", "role": "vendor", "aud": "vendor", "sid": "SESSION"}"#,
            r#"{"sub": "rina", "role": "staff", "buyer_key": "AAECf4Crzf8"}"#,
            r#"{"sub": "ACCOUNT", "role": "admin", "aud": "admin", "sid": "SESSION", "buyer_key": "AAECf4Crzf8"}"#,
        ] {
            assert!(sign(json(bad)).is_err(), "{bad}");
        }
    }

    /// A token of a session says so in both places, and only in the role that it has.
    #[test]
    fn a_sessions_token_is_for_its_audience() {
        let customer = CustomerId::from_uuid(Uuid::from_u128(1));
        let sign = |change: &dyn Fn(&mut serde_json::Value)| {
            let mut claims = serde_json::json!({
                "sub": customer, "role": "customer", "iat": 0, "exp": NOW.as_millis() / 1000 + 60, "aud": "shop", "sid": SESSION,
            });
            change(&mut claims);
            auth().verify(&jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &encoding()).unwrap(), NOW)
        };
        assert_eq!(sign(&|_| {}).unwrap().session, Some(SESSION));
        let known = sign(&|claims| claims["buyer_key"] = "AAECf4Crzf8".into()).unwrap();
        assert_eq!(known.account_mail, Some(BuyerKey([0, 1, 2, 0x7f, 0x80, 0xab, 0xcd, 0xff])));
        let bad: [&dyn Fn(&mut serde_json::Value); 12] = [
            &|claims| claims["buyer_key"] = serde_json::Value::Null,
            &|claims| claims["buyer_key"] = "fina@example.com".into(),
            &|claims| claims["buyer_key"] = "AAECf4Crzf___________w".into(),
            &|claims| claims["aud"] = "admin".into(),
            &|claims| claims["aud"] = serde_json::json!(["shop"]),
            &|claims| claims["aud"] = serde_json::Value::Null,
            &|claims| drop(claims.as_object_mut().unwrap().remove("aud")),
            &|claims| drop(claims.as_object_mut().unwrap().remove("sid")),
            &|claims| claims["sid"] = serde_json::Value::Null,
            &|claims| claims["sid"] = "session_x".into(),
            &|claims| claims["sid"] = customer.to_string().into(),
            &|claims| claims["role"] = "admin".into(),
        ];
        for (number, bad) in bad.into_iter().enumerate() {
            assert!(sign(bad).is_err(), "case {number}");
        }
    }

    #[test]
    fn an_expired_token_is_refused_at_the_very_second() {
        let token = auth().mint(&Bearer::Guest(cart()), NOW, HOUR).unwrap();
        assert!(auth().verify(&token, NOW.plus_millis(3_599_999)).is_ok());
        let problem = auth().verify(&token, NOW.plus_millis(3_600_000)).unwrap_err();
        assert_eq!(problem.kind(), &UNAUTHORIZED);
    }

    #[test]
    fn a_forged_token_is_refused() {
        let forged = Auth::new(b"another secret").mint(&Bearer::Admin("x".into()), NOW, HOUR).unwrap();
        assert!(auth().verify(&forged, NOW).is_err());
        let token = auth().mint(&Bearer::Guest(cart()), NOW, HOUR).unwrap();
        for end in [1, 5, token.len() - 1] {
            assert!(auth().verify(&token[..token.len() - end], NOW).is_err());
        }
        for text in ["", ".", "..", "a.b.c", "\u{e9}"] {
            assert!(auth().verify(text, NOW).is_err());
        }
    }

    #[test]
    fn a_token_without_a_signature_or_with_another_algorithm_is_refused() {
        // {"alg":"none"} and {"sub":"root","role":"admin","iat":0,"exp":9999999999}
        let claims = "eyJzdWIiOiJyb290Iiwicm9sZSI6ImFkbWluIiwiaWF0IjowLCJleHAiOjk5OTk5OTk5OTl9";
        for header in ["eyJhbGciOiJub25lIn0", "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0"] {
            assert!(auth().verify(&format!("{header}.{claims}."), NOW).is_err());
        }
        let claims = Claims {
            sub: "root".into(),
            role: Role::Admin,
            vendor: None,
            vendor_role: None,
            permissions: None,
            cart: None,
            iat: 0,
            exp: NOW.as_millis() / 1000 + 60,
            nbf: None,
            aud: None,
            sid: None,
            buyer_key: None,
            _iss: Nothing,
        };
        let other = jsonwebtoken::encode(&Header::new(Algorithm::HS512), &claims, &encoding()).unwrap();
        assert!(auth().verify(&other, NOW).is_err());
    }

    #[test]
    fn a_token_whose_header_is_written_otherwise_is_as_good_and_one_for_somebody_else_is_not() {
        let sign =
            |header: &Header, claims: serde_json::Value| jsonwebtoken::encode(header, &claims, &encoding()).unwrap();
        let own = Header::new(Algorithm::HS256);
        let other = Header { kid: Some("2026".into()), ..own.clone() };
        for header in [&own, &other] {
            let claims =
                serde_json::json!({"sub": "root", "role": "admin", "iat": 0, "exp": NOW.as_millis() / 1000 + 60});
            assert_eq!(auth().verify(&sign(header, claims.clone()), NOW).unwrap().role, Role::Admin);
            let mut elsewhere = claims.clone();
            elsewhere["aud"] = "another shop".into();
            assert!(auth().verify(&sign(header, elsewhere), NOW).is_err());
            let forged = sign(header, claims).replace('.', "..");
            assert!(auth().verify(&forged, NOW).is_err());
        }
    }

    /// Tokens of the secret before are taken while it stands there; new ones are made with the new one.
    #[test]
    fn another_secret_takes_the_place_of_the_one_before() {
        let (old, new) = (b"a secret that is long enough for a test", b"another secret that is long enough too!");
        let auth = Auth::new(old);
        let before = auth.mint(&Bearer::Guest(cart()), NOW, HOUR).unwrap();
        auth.set(&SigningKeys::new(vec![SigningKey::of(new), SigningKey::of(old)]).unwrap());
        let after = auth.mint(&Bearer::Guest(cart()), NOW, HOUR).unwrap();
        assert!(auth.verify(&before, NOW).is_ok() && auth.verify(&after, NOW).is_ok());
        assert!(Auth::new(old).verify(&after, NOW).is_err());
        // One key's signature under the other's name is nothing.
        let (head, tail) = (after.split('.').next().unwrap(), before.split_once('.').unwrap().1);
        assert!(auth.verify(&format!("{head}.{tail}"), NOW).is_err());
        auth.set(&SigningKeys::of(new));
        assert!(auth.verify(&before, NOW).is_err() && auth.verify(&after, NOW).is_ok());
    }

    #[test]
    fn a_role_lets_only_some_in() {
        let token = auth().mint(&Bearer::Guest(cart()), NOW, HOUR).unwrap();
        let caller = auth().verify(&token, NOW).unwrap();
        assert!(caller.may(Action::UseCart).is_ok());
        assert_eq!(caller.may(Action::AddVendor).unwrap_err().kind(), &FORBIDDEN);
    }

    #[test]
    fn the_header_is_one_bearer_token() {
        let token = auth().mint(&Bearer::Guest(cart()), NOW, HOUR).unwrap();
        let caller = |values: &[&str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(AUTHORIZATION, value.parse().unwrap());
            }
            auth().caller(&headers, NOW)
        };
        let good = format!("Bearer {token}");
        assert_eq!(caller(&[]).unwrap(), None);
        assert!(caller(&[&good]).unwrap().is_some());
        assert!(caller(&[&format!("bearer {token}")]).unwrap().is_some());
        for bad in [&["Bearer"][..], &["Basic eDp5"], &[&token], &["Bearer "], &[&good, &good]] {
            assert_eq!(caller(bad).unwrap_err().kind(), &UNAUTHORIZED);
        }
    }
}
