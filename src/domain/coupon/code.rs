//! Codes of coupons: those that people choose, and those that are made by the thousand.
//!
//! A chosen code has 3 to 32 of `A` to `Z`, `0` to `9` and `-`. Codes are compared in upper case, with `O` as `0`, and `I` and `L` as `1`: who
//! reads one from paper finds its coupon. A code that is good for one use is the coupon's own, which is then a prefix, `-`, and twelve digits
//! of Crockford's base 32: 24 bits of a serial number and 36 bits of a hash with the store's own key, which the edge makes and checks.

use crate::domain::pricing::NotApplicable;
use crate::domain::reject::Reject;
use serde::{Deserialize, Serialize};
use std::str::FromStr;

/// Characters of a code: at least, and at most.
const LENGTH: std::ops::RangeInclusive<usize> = 3..=32;
/// Characters that follow the prefix of a code for one use, and the `-` between.
const DIGITS: usize = 12;
/// Bits of a serial number.
const SERIAL_BITS: u32 = 24;
/// Bits of the hash.
const HASH_BITS: u32 = 36;
/// Serial numbers of one coupon.
pub const SERIALS: u32 = 1 << SERIAL_BITS;
/// Crockford's digits.
const BASE32: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// A code as people are shown it, in upper case.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CouponCode(String);

/// What a code for one use says after its prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Single {
    /// Which of the coupon's codes it is, from 0.
    pub serial: u32,
    /// A part of a hash of coupon and serial number with the store's own key: 36 bits.
    pub hash: u64,
}

impl CouponCode {
    /// The code in upper case; `None` for what is none.
    pub fn new(text: &str) -> Option<Self> {
        let fits = LENGTH.contains(&text.len());
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        (fits && text.bytes().all(plain)).then(|| Self(text.to_ascii_uppercase()))
    }

    /// As it is shown.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The refusal of a coupon of this code.
    pub fn not_applicable(&self, why: NotApplicable) -> Reject {
        Reject::CouponNotApplicable { coupon: self.0.clone(), why }
    }

    /// Whether codes for one use can begin with it: they are no longer than any other.
    pub fn may_be_prefix(&self) -> bool {
        self.0.len() + 1 + DIGITS <= *LENGTH.end()
    }

    /// As it is compared.
    pub fn compared(&self) -> String {
        let same = |letter: char| match letter {
            'O' => '0',
            'I' | 'L' => '1',
            other => other,
        };
        self.0.chars().map(same).collect()
    }

    /// The prefix and what follows it, of what looks like a code for one use.
    pub fn split(&self) -> Option<(CouponCode, Single)> {
        let compared = self.compared();
        let dash = compared.len().checked_sub(DIGITS + 1)?;
        let (prefix, digits) = (compared.get(..dash)?, compared.get(dash..)?.strip_prefix('-')?);
        let mut bits = 0u64;
        for digit in digits.bytes() {
            bits = bits << 5 | BASE32.iter().position(|known| *known == digit)? as u64;
        }
        let serial = u32::try_from(bits >> HASH_BITS).ok()?;
        Some((Self::new(prefix)?, Single { serial, hash: bits & Single::HASH_MASK }))
    }

    /// The code for one use that says this after this prefix.
    pub fn single(&self, single: Single) -> Self {
        let bits = u64::from(single.serial) << HASH_BITS | (single.hash & Single::HASH_MASK);
        let digit = |at: u32| BASE32[(bits >> (5 * at) & 31) as usize];
        let digits = (0..DIGITS as u32).rev().map(|at| char::from(digit(at)));
        Self(format!("{}-{}", self.0, digits.collect::<String>()))
    }
}

impl FromStr for CouponCode {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::new(text).ok_or("a code has 3 to 32 letters of A to Z, digits and dashes")
    }
}

impl Single {
    /// Those of 64 bits that are a hash.
    pub const HASH_MASK: u64 = (1 << HASH_BITS) - 1;
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn code(text: &str) -> CouponCode {
        CouponCode::new(text).expect("a code")
    }

    #[test]
    fn what_reads_alike_is_the_same_code() {
        for (one, other) in [("EID10", "e1d1o"), ("SOLO-5", "so1o-5"), ("LILI", "1111"), ("Hello", "HE110")] {
            assert_eq!(code(one).compared(), code(other).compared(), "{one} {other}");
        }
        assert_ne!(code("EID10").compared(), code("EID11").compared());
        assert_eq!(code("hello").as_str(), "HELLO");
        for wrong in ["", "AB", "A B", "ÉID", "CODE_1", "ＥＩＤ10", &"A".repeat(33), "A\0B", "আমার"] {
            assert_eq!(CouponCode::new(wrong), None, "{wrong}");
        }
        assert!(CouponCode::new(&"A".repeat(32)).is_some());
    }

    #[test]
    fn a_code_for_one_use_says_its_serial_and_its_hash() {
        let single = Single { serial: 1, hash: 31 };
        assert_eq!(code("EID").single(single).as_str(), "EID-00002000000Z");
        let longest = code(&"A".repeat(19));
        assert!(longest.may_be_prefix() && !code(&"A".repeat(20)).may_be_prefix());
        assert_eq!(longest.single(single).as_str().len(), 32);
        for none in ["EID10", "EID-0000200000UZ", "-00002000000Z", "ID-00002000000Z", "EID00002000000Z-"] {
            assert_eq!(code(none).split(), None, "{none}");
        }
    }

    proptest! {
        #[test]
        fn what_is_made_is_read_again(serial in 0..SERIALS, hash in 0..=Single::HASH_MASK, prefix in "[A-Z0-9-]{3,19}") {
            let prefix = code(&prefix);
            let single = Single { serial, hash };
            let made = prefix.single(single);
            let again = code(&made.as_str().to_ascii_lowercase().replace('0', "o").replace('1', "l"));
            let (of, found) = again.split().expect("a code for one use");
            prop_assert_eq!((of.compared(), found), (prefix.compared(), single));
        }
    }
}
