//! Who buys, as far as it is recorded for ever. Nothing here tells who a person is: it decides limits, taxes and shipping zones, tells
//! one buyer's orders apart from another's, and stays when the person is erased.

use super::ids::CustomerId;
use serde::de::{self, Deserialize, Deserializer};
use serde::{Serialize, Serializer};
use std::fmt;

macro_rules! hex_bytes {
    ($(#[$doc:meta])* $name:ident, $bytes:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; $bytes]);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                const DIGITS: &[u8; 16] = b"0123456789abcdef";
                let mut text = [0; 2 * $bytes];
                for (pair, byte) in text.chunks_exact_mut(2).zip(self.0) {
                    pair[0] = DIGITS[usize::from(byte >> 4)];
                    pair[1] = DIGITS[usize::from(byte & 15)];
                }
                serializer.serialize_str(str::from_utf8(&text).unwrap_or_default())
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                let wrong = || de::Error::custom(concat!(stringify!($bytes), " bytes in hexadecimal are expected"));
                let digits = text.as_bytes();
                if digits.len() != 2 * $bytes {
                    return Err(wrong());
                }
                let mut bytes = [0; $bytes];
                let value = |digit: u8| match digit {
                    b'0'..=b'9' => Some(digit - b'0'),
                    b'a'..=b'f' => Some(digit - b'a' + 10),
                    _ => None,
                };
                for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
                    *byte = value(pair[0]).zip(value(pair[1])).map(|(high, low)| high << 4 | low).ok_or_else(wrong)?;
                }
                Ok(Self(bytes))
            }
        }
    };
}

hex_bytes!(
    /// By this a buyer is known again where something is limited for each: the first 8 bytes of an HMAC of an e-mail address, a phone number or a
    /// customer's id, with the store's own key.
    BuyerKey, 8
);
hex_bytes!(
    /// By this the orders of an e-mail address are found: 16 bytes of an HMAC of the address, with the store's own key. Two addresses that
    /// reach one person may differ here.
    MailKey, 16
);
hex_bytes!(
    /// Drawn once for each checkout, and the end of the keys under which payment providers are asked for it. A store that was taken back from a
    /// backup gives the same ids again; with what it draws anew, no provider takes a new order's payment for one that was lost.
    Mint, 4
);

/// For whom prices are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Audience {
    /// Anyone.
    #[default]
    Retail,
    /// Customers who buy to sell again.
    Wholesale,
}

impl Audience {
    fn is_retail(&self) -> bool {
        *self == Self::Retail
    }
}

/// Who buys, and where it is to be shipped, no finer than the postcode.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, serde::Deserialize)]
pub struct Buyer {
    /// By which the buyer is known again, in no order that matters; none of a guest who gave neither e-mail nor phone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keys: Vec<BuyerKey>,
    /// By which the orders of the e-mail address are found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mail_key: Option<MailKey>,
    /// For whom the prices are.
    #[serde(default, skip_serializing_if = "Audience::is_retail")]
    pub audience: Audience,
    /// ISO 3166-1 alpha-2.
    pub country: String,
    /// A part of the country, where zones or taxes differ by it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// The postcode, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub postcode: Option<String>,
}

/// For whom a vendor is asked to hold something.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, serde::Deserialize)]
pub struct HeldFor {
    /// The customer, of one who has an account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customer: Option<CustomerId>,
    /// As [`Buyer::keys`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keys: Vec<BuyerKey>,
    /// For whom the prices are.
    #[serde(default, skip_serializing_if = "Audience::is_retail")]
    pub audience: Audience,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_written_in_hexadecimal_and_nothing_else_is_read() {
        let key = BuyerKey([0, 1, 2, 0x7f, 0x80, 0xab, 0xcd, 0xff]);
        let json = serde_json::to_string(&key).unwrap();
        assert_eq!(json, r#""0001027f80abcdff""#);
        assert_eq!(key.to_string(), "0001027f80abcdff");
        assert_eq!(serde_json::from_str::<BuyerKey>(&json).unwrap(), key);
        for wrong in
            [r#""0001027f80abcdf""#, r#""0001027f80abcdff0""#, r#""0001027f80abcdfg""#, r#""0001027F80ABCDFF""#, "1"]
        {
            assert!(serde_json::from_str::<BuyerKey>(wrong).is_err(), "{wrong}");
        }
        assert!(serde_json::from_str::<Mint>(r#""0a0b0c0d""#).is_ok());
    }
}
