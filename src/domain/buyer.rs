//! Who buys, as far as it is recorded for ever. Nothing here tells who a person is: it decides limits, taxes and shipping zones, tells
//! one buyer's orders apart from another's, and stays when the person is erased.

use super::ids::{CustomerId, RoomId};
use super::time::Timestamp;
use super::vendor::SlotId;
use serde::de::{self, Deserialize, Deserializer};
use serde::{Serialize, Serializer};
use std::fmt;

/// Fixed bytes as a text: unpadded base64 of the URL-safe alphabet (RFC 4648, 5), which is shorter in a journal than hexadecimal.
mod text {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use serde::de::{self, Deserialize, Deserializer};
    use serde::{Serialize, Serializer};
    use std::borrow::Cow;

    /// Bytes that one text may stand for.
    const MOST: usize = 64;

    pub(super) fn write<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        let mut text = [0; MOST.div_ceil(3) * 4];
        match URL_SAFE_NO_PAD
            .encode_slice(bytes, &mut text)
            .ok()
            .and_then(|length| str::from_utf8(&text[..length]).ok())
        {
            Some(text) => text.serialize(serializer),
            None => URL_SAFE_NO_PAD.encode(bytes).serialize(serializer),
        }
    }

    pub(super) fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        URL_SAFE_NO_PAD.decode(text.as_bytes()).map_err(de::Error::custom)
    }
}

/// By this a buyer is known again where something is limited for each: the first 8 bytes of an HMAC of an e-mail address, a phone number or a
/// customer's id, with the store's own key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BuyerKey(pub [u8; 8]);

impl Serialize for BuyerKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        text::write(&self.0, serializer)
    }
}

impl<'de> Deserialize<'de> for BuyerKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let wrong = |_| de::Error::custom("8 bytes are expected");
        text::read(deserializer)?.try_into().map(Self).map_err(wrong)
    }
}

/// The keys of one buyer, or of several, written as one text.
pub(in crate::domain) mod keys {
    use super::{BuyerKey, text};
    use serde::Serializer;
    use serde::de::{self, Deserializer};

    pub(in crate::domain) fn serialize<S: Serializer>(keys: &[BuyerKey], serializer: S) -> Result<S::Ok, S::Error> {
        text::write(keys.iter().map(|key| key.0).collect::<Vec<_>>().as_flattened(), serializer)
    }

    pub(in crate::domain) fn deserialize<'de, D, K>(deserializer: D) -> Result<K, D::Error>
    where
        D: Deserializer<'de>,
        K: From<Vec<BuyerKey>>,
    {
        let bytes = text::read(deserializer)?;
        match bytes.as_chunks() {
            (keys, []) => Ok(keys.iter().map(|key| BuyerKey(*key)).collect::<Vec<_>>().into()),
            _ => Err(de::Error::custom("keys of 8 bytes each are expected")),
        }
    }
}

/// By this the orders of an e-mail address are found: 16 bytes of an HMAC of the address, with the store's own key. Two addresses that
/// reach one person may differ here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MailKey(pub [u8; 16]);

impl Serialize for MailKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        text::write(&self.0, serializer)
    }
}

impl<'de> Deserialize<'de> for MailKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let wrong = |_| de::Error::custom("16 bytes are expected");
        text::read(deserializer)?.try_into().map(Self).map_err(wrong)
    }
}

/// Drawn once for each checkout, and the end of the keys under which payment providers are asked for it: eight digits in hexadecimal. A store
/// that was taken back from a backup gives the same ids again; with what it draws anew, no provider takes a new order's payment for one
/// that was lost.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mint(pub [u8; 4]);

impl fmt::Display for Mint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", u32::from_be_bytes(self.0))
    }
}

impl fmt::Debug for Mint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Mint({self})")
    }
}

impl Serialize for Mint {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut text = [0; 8];
        for (pair, byte) in text.chunks_exact_mut(2).zip(self.0) {
            pair[0] = DIGITS[usize::from(byte >> 4)];
            pair[1] = DIGITS[usize::from(byte & 15)];
        }
        serializer.serialize_str(str::from_utf8(&text).unwrap_or_default())
    }
}

impl<'de> Deserialize<'de> for Mint {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        let plain = text.len() == 8 && text.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'));
        let wrong = || de::Error::custom("eight digits in hexadecimal are expected");
        let value = u32::from_str_radix(&text, 16).ok().filter(|_| plain).ok_or_else(wrong)?;
        Ok(Self(value.to_be_bytes()))
    }
}

/// For whom prices are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Audience {
    /// Anyone.
    #[default]
    Retail,
    /// Customers who buy to sell again.
    Wholesale,
}

impl Audience {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Retail, Self::Wholesale];

    /// Its name in requests, answers and rows.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Retail => "retail",
            Self::Wholesale => "wholesale",
        }
    }

    /// The one of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|audience| audience.name() == name)
    }

    fn is_retail(&self) -> bool {
        *self == Self::Retail
    }
}

/// Why a buyer pays no tax: one of these alone, so that nobody's number stands in a journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Exemption {
    /// Buys to sell again.
    Resale,
    /// The buyer owes the tax, and not the seller.
    ReverseCharge,
    /// An embassy or its people.
    Diplomatic,
    /// A part of the state.
    Government,
    /// Works for the public good.
    Charity,
    /// Anything else that the shop has looked at.
    Other,
}

impl Exemption {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Resale, Self::ReverseCharge, Self::Diplomatic, Self::Government, Self::Charity, Self::Other];

    /// Its name in requests, answers and rows.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Resale => "resale",
            Self::ReverseCharge => "reverse_charge",
            Self::Diplomatic => "diplomatic",
            Self::Government => "government",
            Self::Charity => "charity",
            Self::Other => "other",
        }
    }

    /// The one of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|exemption| exemption.name() == name)
    }

    /// As the reason of a rate of 0.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Resale => "exempt_resale",
            Self::ReverseCharge => "exempt_reverse_charge",
            Self::Diplomatic => "exempt_diplomatic",
            Self::Government => "exempt_government",
            Self::Charity => "exempt_charity",
            Self::Other => "exempt_other",
        }
    }
}

/// Who buys, and where it is to be shipped, no finer than the postcode.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, serde::Deserialize)]
pub struct Buyer {
    /// By which the buyer is known again: the customer's own first, of one who has an account, then that of its verified e-mail address, where that
    /// is known; none of a guest who gave neither e-mail nor phone. Each stands once.
    #[serde(default, skip_serializing_if = "Vec::is_empty", with = "keys")]
    pub keys: Vec<BuyerKey>,
    /// Whether the second key is that of the account's verified e-mail address.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub account_mail: bool,
    /// By which the orders of the e-mail address are found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mail_key: Option<MailKey>,
    /// Who counts how many orders the buyer has open that are to be paid at the door, of an order that is: the customer, or for a guest whoever goes by
    /// the number where to call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_door: Option<CustomerId>,
    /// For whom the prices are.
    #[serde(default, skip_serializing_if = "Audience::is_retail")]
    pub audience: Audience,
    /// Why they pay no tax; none of a buyer who does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exempt: Option<Exemption>,
    /// ISO 3166-1 alpha-2.
    pub country: String,
    /// A part of the country, where zones or taxes differ by it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// The postcode, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub postcode: Option<String>,
    /// By which waiting rooms they came in, and with which of their slots.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub entries: Vec<Entry>,
    /// With how many points they want to pay, where they do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub points: Option<PointsWanted>,
    /// By what the points that they earn are multiplied, in basis points, where that is not once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub multiplier: Option<u32>,
}

/// With how many points a buyer wants to pay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, serde::Deserialize)]
pub struct PointsWanted {
    /// How many at most: no more are taken than there is to pay.
    pub points: i64,
    /// Whether the buyer agreed to what the cart showed, which knows of no points: then what they pay counts as paid.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub beside: bool,
    /// Whether there is no other means of payment: points are to pay all of it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub alone: bool,
}

/// Where an order stands, as far as its buyer's quotas go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Neither paid nor ended.
    Unpaid,
    /// Its buyer cancelled it or did not pay, and it ended then.
    GivenUp(Timestamp),
    /// It is paid, or ended for a reason that is none of its buyer's.
    Done,
}

/// What an order takes of its buyer's quotas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim<'a> {
    /// By which the buyer is known.
    pub keys: &'a [BuyerKey],
    /// Pieces that are held for it, or are to be.
    pub pieces: i64,
    /// Where it stands.
    pub standing: Standing,
}

/// For whom a vendor is asked to hold something.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, serde::Deserialize)]
pub struct HeldFor {
    /// The customer, of one who has an account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customer: Option<CustomerId>,
    /// As [`Buyer::keys`].
    #[serde(default, skip_serializing_if = "Vec::is_empty", with = "keys")]
    pub keys: Vec<BuyerKey>,
    /// As [`Buyer::account_mail`].
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub account_mail: bool,
    /// For whom the prices are.
    #[serde(default, skip_serializing_if = "Audience::is_retail")]
    pub audience: Audience,
    /// How the order is paid.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub method: String,
    /// In which of the vendor's slots it is to be brought, where one was chosen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slot: Option<SlotId>,
    /// By which waiting rooms they came in, and with which of their slots.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub entries: Vec<Entry>,
}

/// That a buyer came in by a waiting room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, serde::Deserialize)]
pub struct Entry {
    /// By which.
    pub room: RoomId,
    /// With which of its slots.
    pub slot: u64,
}

impl HeldFor {
    /// How many of the keys, from the first, are the account's own and not typed in.
    pub fn account_keys(&self) -> usize {
        match self.customer {
            Some(_) => (1 + usize::from(self.account_mail)).min(self.keys.len()),
            None => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_one_text_and_nothing_else_is_read() {
        let keys = vec![BuyerKey([0, 1, 2, 0x7f, 0x80, 0xab, 0xcd, 0xff]), BuyerKey([0xff; 8])];
        for some in [&keys[..1], &keys, &keys.repeat(9)] {
            let held_for = HeldFor { keys: some.to_vec(), ..HeldFor::default() };
            let json = serde_json::to_string(&held_for).unwrap();
            assert_eq!(serde_json::from_str::<HeldFor>(&json).unwrap(), held_for, "{json}");
        }
        let json = serde_json::to_string(&HeldFor { keys, ..HeldFor::default() }).unwrap();
        assert_eq!(json, r#"{"keys":"AAECf4Crzf___________w"}"#);
        let key = MailKey([7; 16]);
        assert_eq!(serde_json::from_str::<MailKey>(&serde_json::to_string(&key).unwrap()).unwrap(), key);
        for wrong in
            [r#"{"keys":"AAEC"}"#, r#"{"keys":"AAECf4Crzf8="}"#, r#"{"keys":"AAECf4Crzf+"}"#, r#"{"keys":[1]}"#]
        {
            assert!(serde_json::from_str::<HeldFor>(wrong).is_err(), "{wrong}");
        }
        assert!(serde_json::from_str::<MailKey>(r#""AAECf4Crzf8""#).is_err());
        let key = BuyerKey([7; 8]);
        assert_eq!(serde_json::from_str::<BuyerKey>(&serde_json::to_string(&key).unwrap()).unwrap(), key);
        assert!(serde_json::from_str::<BuyerKey>(r#""AAEC""#).is_err());
    }

    #[test]
    fn an_exemption_has_one_name() {
        for exemption in Exemption::ALL {
            assert_eq!(Exemption::from_name(exemption.name()), Some(exemption));
            assert_eq!(serde_json::to_value(exemption).unwrap(), exemption.name());
            assert_eq!(exemption.reason().strip_prefix("exempt_"), Some(exemption.name()));
        }
    }

    /// What was written before an account's address was a key has the customer's alone, and so it stays.
    #[test]
    fn the_accounts_own_keys_are_the_first() {
        let of = |customer: bool, account_mail, keys: u8| {
            let customer = customer.then(|| CustomerId::from_uuid(uuid::Uuid::from_u128(1)));
            let keys = (0..keys).map(|key| BuyerKey([key; 8])).collect();
            HeldFor { customer, account_mail, keys, ..HeldFor::default() }.account_keys()
        };
        assert_eq!([of(true, false, 3), of(true, true, 3), of(true, true, 1), of(true, true, 0)], [1, 2, 1, 0]);
        assert_eq!([of(false, false, 3), of(false, true, 3)], [0, 0]);
        let before: HeldFor = serde_json::from_str(r#"{"keys":"AAECf4Crzf8"}"#).unwrap();
        assert!(!before.account_mail);
        assert_eq!(serde_json::to_string(&before).unwrap(), r#"{"keys":"AAECf4Crzf8"}"#);
        let buyer: Buyer = serde_json::from_str(r#"{"country":"BD"}"#).unwrap();
        assert_eq!(
            (buyer.account_mail, serde_json::to_string(&buyer).unwrap().as_str()),
            (false, r#"{"country":"BD"}"#)
        );
    }

    #[test]
    fn a_mint_is_eight_digits() {
        let mint = Mint([0, 1, 0xab, 0xff]);
        assert_eq!(serde_json::to_string(&mint).unwrap(), r#""0001abff""#);
        assert_eq!(
            (mint.to_string().as_str(), serde_json::from_str::<Mint>(r#""0001abff""#).unwrap()),
            ("0001abff", mint)
        );
        for wrong in [r#""0001abf""#, r#""0001abff0""#, r#""0001ABFF""#, r#""+001abff""#, "1"] {
            assert!(serde_json::from_str::<Mint>(wrong).is_err(), "{wrong}");
        }
    }
}
