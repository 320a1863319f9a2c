//! What each buyer has of a sale with limits.
//!
//! A buyer is known by several keys, and each of them is counted: whoever comes again under one of them meets what was had under it.
//! The counts of a million buyers are not one part of a snapshot but many small ones, by the first bits of the key.

use crate::domain::buyer::BuyerKey;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::{self, Deserialize, Deserializer};
use serde::{Serialize, Serializer};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// Buckets of one sale: a million keys are a thousand in each.
const BUCKETS: u16 = 1_024;

/// What is counted: pieces of the item at this place, or of all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::domain::vendor) struct Counted(u16);

impl Counted {
    /// All items of the sale together.
    pub(in crate::domain::vendor) const ALL: Self = Self(u16::MAX);

    /// The item at this place.
    pub(in crate::domain::vendor) fn item(place: usize) -> Self {
        Self(u16::try_from(place).unwrap_or(u16::MAX - 1))
    }
}

/// The counts of the keys that begin alike.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::domain::vendor) struct Bucket(BTreeMap<(BuyerKey, Counted), u32>);

impl Bucket {
    fn has(&self, key: BuyerKey) -> bool {
        self.0.range((key, Counted(0))..=(key, Counted::ALL)).next().is_some()
    }

    /// How many keys it has. Those of one stand together.
    fn keys(&self) -> usize {
        let mut keys: Vec<BuyerKey> = self.0.keys().map(|(key, _)| *key).collect();
        keys.dedup();
        keys.len()
    }
}

/// What a count is in a snapshot: the key, the place and the pieces, 14 bytes.
const ENTRY: usize = 14;

impl Serialize for Bucket {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut bytes = Vec::with_capacity(self.0.len() * ENTRY);
        for ((key, counted), pieces) in &self.0 {
            bytes.extend(key.0);
            bytes.extend(counted.0.to_be_bytes());
            bytes.extend(pieces.to_be_bytes());
        }
        URL_SAFE_NO_PAD.encode(bytes).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Bucket {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        let bytes = URL_SAFE_NO_PAD.decode(text.as_bytes()).map_err(de::Error::custom)?;
        let (entries, []) = bytes.as_chunks::<ENTRY>() else {
            return Err(de::Error::custom("counts of 14 bytes each are expected"));
        };
        let entry = |&[a, b, c, d, e, f, g, h, place, of, i, j, k, l]: &[u8; ENTRY]| {
            let key = BuyerKey([a, b, c, d, e, f, g, h]);
            ((key, Counted(u16::from_be_bytes([place, of]))), u32::from_be_bytes([i, j, k, l]))
        };
        Ok(Self(entries.iter().map(entry).collect()))
    }
}

/// All counts of one sale.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::domain::vendor) struct Buyers {
    buckets: BTreeMap<u16, Bucket>,
    /// How many keys have something: whoever looks at a sale is told without a walk through all of them.
    keys: usize,
}

/// The bucket of a key.
fn bucket_of(key: BuyerKey) -> u16 {
    u16::from_be_bytes([key.0[0], key.0[1]]) % BUCKETS
}

impl Buyers {
    /// Pieces that the buyer with this key has, held and bought.
    pub(in crate::domain::vendor) fn used(&self, key: BuyerKey, counted: Counted) -> i64 {
        let bucket = self.buckets.get(&bucket_of(key));
        bucket.and_then(|bucket| bucket.0.get(&(key, counted))).copied().map_or(0, i64::from)
    }

    /// Counts so many pieces more, or less; the bucket that was changed.
    pub(in crate::domain::vendor) fn count(&mut self, key: BuyerKey, counted: Counted, pieces: i64) -> u16 {
        let number = bucket_of(key);
        let bucket = self.buckets.entry(number).or_default();
        let had = bucket.has(key);
        let used = bucket.0.entry((key, counted)).or_default();
        *used = u32::try_from(i64::from(*used).saturating_add(pieces).max(0)).unwrap_or(u32::MAX);
        if *used == 0 {
            bucket.0.remove(&(key, counted));
        }
        self.keys = self.keys + usize::from(bucket.has(key)) - usize::from(had);
        if bucket.0.is_empty() {
            self.buckets.remove(&number);
        }
        number
    }

    /// Takes over a bucket from a snapshot.
    pub(in crate::domain::vendor) fn restore(&mut self, number: u16, bucket: Bucket) {
        self.keys += bucket.keys();
        self.buckets.insert(number, bucket);
    }

    /// A bucket, as a snapshot keeps it.
    pub(in crate::domain::vendor) fn bucket(&self, number: u16) -> Option<&Bucket> {
        self.buckets.get(&number)
    }

    /// The numbers of the buckets there are.
    pub(in crate::domain::vendor) fn numbers(&self) -> impl Iterator<Item = u16> {
        self.buckets.keys().copied()
    }

    /// How many keys have something.
    pub(in crate::domain::vendor) const fn keys(&self) -> usize {
        self.keys
    }
}
