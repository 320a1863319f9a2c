//! Tickets of waiting rooms and entries into shops: texts that are signed and kept nowhere.
//!
//! A ticket says whose it is and which number it has. An entry is a token (JWT, RFC 7519) for `aud` `entry`: it says who came in (`sub`), by which room,
//! with which of its slots, and until when (`exp`): never longer than the slot. Nothing in it is drawn anew, so the same slot has the same token
//! whenever it is asked for.

use super::buyers::BuyerKeys;
use crate::domain::buyer::Entry;
use crate::domain::ids::RoomId;
use crate::domain::room::Entrant;
use crate::domain::time::Timestamp;
use crate::ports::keys::{SigningKey, SigningKeys};
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::hkdf::{HKDF_SHA256, Salt};
use aws_lc_rs::hmac::{self, HMAC_SHA256};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use parking_lot::RwLock;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// How the text of a ticket begins.
const PREFIX: &str = "ticket_";
/// Whom an entry is for.
const AUDIENCE: &str = "entry";

/// A ticket: which place is whose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ticket {
    /// In the line of which room.
    pub room: RoomId,
    /// Whose.
    pub of: Entrant,
    /// The number; none of somebody who came before the room opened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<u64>,
}

/// What an entry says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Claims {
    aud: String,
    room: RoomId,
    sub: String,
    slot: u64,
    exp: i64,
}

#[derive(Serialize, Deserialize)]
struct Header {
    alg: String,
    typ: String,
    kid: String,
}

/// The keys that tickets and entries are signed with. They follow from the secrets that sign access tokens (RFC 5869).
pub struct RoomKeys(RwLock<SigningKeys>);

fn key_of(secret: &SigningKey, what: &[u8]) -> Option<hmac::Key> {
    let from = Salt::new(HKDF_SHA256, b"haat rooms").extract(&secret.secret);
    // The lengths are fixed: none of this fails.
    from.expand(&[what], HMAC_SHA256).ok().map(hmac::Key::from)
}

fn encoded(says: &impl Serialize) -> Option<String> {
    Some(BASE64_URL_SAFE_NO_PAD.encode(serde_json::to_vec(says).ok()?))
}

fn decoded<T: DeserializeOwned>(text: &str) -> Option<T> {
    serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(text).ok()?).ok()
}

impl RoomKeys {
    /// Of a server with these secrets.
    pub fn of(secrets: &SigningKeys) -> Self {
        Self(RwLock::new(secrets.clone()))
    }

    /// Other secrets from now on.
    pub fn set(&self, secrets: &SigningKeys) {
        *self.0.write() = secrets.clone();
    }

    fn signed(&self, what: &[u8], of: impl FnOnce(&SigningKey) -> Option<String>) -> Option<String> {
        let newest = self.0.read().newest().clone();
        let text = of(&newest)?;
        let tag = hmac::sign(&key_of(&newest, what)?, text.as_bytes());
        Some(format!("{text}.{}", BASE64_URL_SAFE_NO_PAD.encode(tag)))
    }

    fn verified(&self, what: &[u8], kid: &str, text: &str, tag: &str) -> Option<()> {
        let tag = BASE64_URL_SAFE_NO_PAD.decode(tag).ok()?;
        let key = self.0.read().all().iter().find(|key| key.is_called(kid)).and_then(|key| key_of(key, what))?;
        hmac::verify(&key, text.as_bytes(), &tag).ok()
    }

    /// The text of a ticket; it fails for none.
    pub fn ticket(&self, ticket: &Ticket) -> Option<String> {
        self.signed(b"ticket", |key| Some(format!("{PREFIX}{}.{}", encoded(ticket)?, key.kid)))
    }

    /// What the text of a ticket says; nothing unless it is one of ours.
    pub fn open_ticket(&self, text: &str) -> Option<Ticket> {
        let (signed, tag) = text.rsplit_once('.')?;
        let (says, kid) = signed.strip_prefix(PREFIX)?.split_once('.')?;
        self.verified(b"ticket", kid, signed, tag)?;
        decoded(says)
    }

    /// The token of an entry.
    pub fn entry(&self, of: Entrant, entry: Entry, until: Timestamp) -> Option<String> {
        let claims = Claims {
            aud: AUDIENCE.to_owned(),
            room: entry.room,
            sub: of.to_string(),
            slot: entry.slot,
            exp: until.as_millis().div_euclid(1_000),
        };
        self.signed(b"entry", |key| {
            let header = Header { alg: "HS256".into(), typ: "JWT".into(), kid: key.kid.clone() };
            Some(format!("{}.{}", encoded(&header)?, encoded(&claims)?))
        })
    }

    /// The entry that a token is for, if it is this entrant's and its time is not over.
    pub fn open_entry(&self, token: &str, of: Entrant, now: Timestamp) -> Option<Entry> {
        let (signed, tag) = token.rsplit_once('.')?;
        let (header, says) = signed.split_once('.')?;
        let header: Header = decoded(header)?;
        if header.alg != "HS256" {
            return None;
        }
        self.verified(b"entry", &header.kid, signed, tag)?;
        let Claims { aud, room, sub, slot, exp } = decoded(says)?;
        let is_good = aud == AUDIENCE && sub == of.to_string() && now.as_millis() < exp.saturating_mul(1_000);
        is_good.then_some(Entry { room, slot })
    }
}

/// A room's seed, by which those who come before it opens are drawn. It follows from the store's own key and the room, so it is fixed when the room is
/// made, it is in no record, and nobody knows it before it is shown.
pub struct Seed([u8; 32]);

impl Seed {
    /// Of this room.
    pub fn of(keys: &BuyerKeys, room: RoomId) -> Self {
        Self(keys.hash("room seed", room.uuid().as_bytes()).all())
    }

    /// The seed as hexadecimal digits.
    pub fn shown(&self) -> String {
        hex(&self.0)
    }

    /// The hash of the seed (SHA-256, as hexadecimal digits), which can be shown at once.
    pub fn hash(&self) -> String {
        hex(digest(&SHA256, &self.0).as_ref())
    }

    /// An entrant's draw: the first eight bytes of HMAC-SHA256 under the seed, of `{room}/{cart or customer}`. The least is the first in the line.
    pub fn draw(&self, room: RoomId, of: Entrant) -> u64 {
        let tag = hmac::sign(&hmac::Key::new(HMAC_SHA256, &self.0), format!("{room}/{of}").as_bytes());
        let mut first = [0; 8];
        first.copy_from_slice(&tag.as_ref()[..8]);
        u64::from_be_bytes(first)
    }
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a text cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::{CartId, CustomerId};
    use crate::ports::StoreKey;
    use uuid::Uuid;

    const SECRET: &[u8] = b"a secret that is long enough for a test";

    fn room() -> RoomId {
        RoomId::from_uuid(Uuid::from_u128(1))
    }

    fn cart(number: u128) -> Entrant {
        Entrant::Cart(CartId::from_uuid(Uuid::from_u128(number)))
    }

    #[test]
    fn a_ticket_is_read_as_it_was_given_and_nothing_else_is() {
        let keys = RoomKeys::of(&SigningKeys::of(SECRET));
        for number in [None, Some(0), Some(170_000)] {
            let ticket = Ticket { room: room(), of: cart(2), number };
            let text = keys.ticket(&ticket).unwrap();
            assert_eq!(keys.open_ticket(&text), Some(ticket));
            for place in 0..text.len() {
                let mut other = text.clone().into_bytes();
                other[place] = if other[place] == b'A' { b'B' } else { b'A' };
                assert_eq!(keys.open_ticket(&String::from_utf8(other).unwrap()), None, "{place}");
            }
        }
        let others = RoomKeys::of(&SigningKeys::of(b"another secret that is long enough for a test"));
        let text = keys.ticket(&Ticket { room: room(), of: cart(2), number: None }).unwrap();
        assert_eq!(others.open_ticket(&text), None);
        // A quote's key signs no ticket, and an entry is no ticket.
        let entry = keys.entry(cart(2), Entry { room: room(), slot: 1 }, Timestamp::from_millis(9_000)).unwrap();
        assert_eq!(keys.open_ticket(&entry), None);
        assert_eq!(keys.open_ticket(&format!("{PREFIX}{entry}")), None);
    }

    #[test]
    fn an_entry_is_good_for_one_entrant_until_its_slot_ends() {
        let keys = RoomKeys::of(&SigningKeys::of(SECRET));
        let (at, entry) = (Timestamp::from_millis, Entry { room: room(), slot: 7 });
        let token = keys.entry(cart(2), entry, at(9_999)).unwrap();
        assert_eq!(keys.entry(cart(2), entry, at(9_999)).unwrap(), token, "asked for again it is the same");
        let customer = Entrant::Customer(CustomerId::from_uuid(Uuid::from_u128(2)));
        for (of, now, good) in [
            (cart(2), 0, true),
            (cart(2), 8_999, true),
            // Whole seconds: never longer than the slot.
            (cart(2), 9_000, false),
            (cart(2), 10_000, false),
            (cart(3), 0, false),
            (customer, 0, false),
        ] {
            assert_eq!(keys.open_entry(&token, of, at(now)), good.then_some(entry), "{of} {now}");
        }
        for place in 0..token.len() {
            let mut other = token.clone().into_bytes();
            other[place] = if other[place] == b'A' { b'B' } else { b'A' };
            assert_eq!(keys.open_entry(&String::from_utf8(other).unwrap(), cart(2), at(0)), None, "{place}");
        }
        let none = encoded(&Header { alg: "none".into(), typ: "JWT".into(), kid: String::new() }).unwrap();
        let says = token.split('.').nth(1).unwrap();
        assert_eq!(keys.open_entry(&format!("{none}.{says}."), cart(2), at(0)), None);
        // A ticket's signature is none of an entry's.
        let ticket = keys.ticket(&Ticket { room: room(), of: cart(2), number: None }).unwrap();
        assert_eq!(keys.open_entry(&ticket, cart(2), at(0)), None);
    }

    #[test]
    fn tickets_and_entries_outlive_the_secret_that_signed_them_until_that_retires() {
        let (old, new) = (SigningKey::of(SECRET), SigningKey::of(&[7; 32]));
        let keys = RoomKeys::of(&SigningKeys::of(&old.secret));
        let ticket = Ticket { room: room(), of: cart(2), number: Some(4) };
        let (text, entry) = (keys.ticket(&ticket).unwrap(), Entry { room: room(), slot: 7 });
        let token = keys.entry(cart(2), entry, Timestamp::from_millis(9_000)).unwrap();
        let opened = || (keys.open_ticket(&text), keys.open_entry(&token, cart(2), Timestamp::from_millis(1)));
        keys.set(&SigningKeys::new(vec![new.clone(), old]).unwrap());
        assert_eq!(opened(), (Some(ticket), Some(entry)));
        keys.set(&SigningKeys::new(vec![new]).unwrap());
        assert_eq!(opened(), (None, None));
    }

    /// The draw by another program: `printf '%s/%s' room_… cart_… | openssl dgst -sha256 -mac hmac -macopt hexkey:SEED`.
    #[test]
    fn anyone_can_draw_again() {
        let seed = Seed([0xab; 32]);
        assert_eq!(seed.shown(), "ab".repeat(32));
        assert_eq!(seed.hash(), HASH);
        assert_eq!(format!("{:016x}", seed.draw(room(), cart(2))), DRAW);
        let of = |key: u8, number: u128| {
            Seed::of(&BuyerKeys::new(StoreKey([key; 32])), RoomId::from_uuid(Uuid::from_u128(number))).shown()
        };
        assert_eq!(of(1, 1), of(1, 1));
        assert!(of(1, 1) != of(2, 1) && of(1, 1) != of(1, 2));
    }

    const HASH: &str = "9a2db2e23f1504cd056606553ac049c5e718e8f9ce9233876df1a7a1821af885";
    const DRAW: &str = "524ebc676c9dddef";
}
