//! JSON as Haat writes it: records, snapshots, answers. Three tenths of a checkout's instructions in the server went into this, and `sonic-rs` takes half
//! the time of `serde_json` for the same bytes. What comes in is read by `serde_json`, which tells precisely what is wrong with it.

use serde::Serialize;

/// Appends `value` as compact JSON.
///
/// # Errors
/// When a `Serialize` of it fails, or a key is no text; neither is so of ours. What was written by then is left.
pub fn write<T: Serialize + ?Sized>(into: &mut Vec<u8>, value: &T) -> Result<(), sonic_rs::Error> {
    sonic_rs::to_writer(into, value)
}

/// `value` as compact JSON.
///
/// # Errors
/// As [`write`].
pub fn written<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>, sonic_rs::Error> {
    let mut bytes = Vec::new();
    write(&mut bytes, value).map(|()| bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    #[derive(Clone, Debug, Serialize)]
    #[serde(tag = "type", rename_all = "snake_case")]
    enum Tagged {
        Unit,
        Fields {
            text: String,
            #[serde(skip_serializing_if = "Option::is_none")]
            maybe: Option<i64>,
        },
    }

    #[derive(Clone, Debug, Serialize)]
    #[serde(rename_all = "snake_case")]
    enum Outer {
        Ok(Vec<Tagged>),
        Rejected { by_key: BTreeMap<String, (bool, u64)> },
        Nothing,
    }

    fn tagged() -> impl Strategy<Value = Tagged> {
        let fields = (any::<String>(), any::<Option<i64>>()).prop_map(|(text, maybe)| Tagged::Fields { text, maybe });
        prop_oneof![Just(Tagged::Unit), fields]
    }

    fn outer() -> impl Strategy<Value = Outer> {
        let by_key = proptest::collection::btree_map(any::<String>(), any::<(bool, u64)>(), 0..4);
        prop_oneof![
            proptest::collection::vec(tagged(), 0..5).prop_map(Outer::Ok),
            by_key.prop_map(|by_key| Outer::Rejected { by_key }),
            Just(Outer::Nothing),
        ]
    }

    proptest! {
        /// The journal's format is `serde_json`'s: stores exist that it wrote.
        #[test]
        fn it_writes_what_serde_json_writes(value in (any::<i64>(), outer(), any::<Option<char>>())) {
            let mut written = b"before".to_vec();
            write(&mut written, &value).unwrap();
            prop_assert_eq!(&written[..6], b"before");
            prop_assert_eq!(&written[6..], &serde_json::to_vec(&value).unwrap()[..]);
        }
    }

    #[test]
    fn every_character_is_escaped_as_serde_json_escapes_it() {
        for character in (0..=0x2100).filter_map(char::from_u32) {
            // At every place of a block of 64 bytes, which is how the writer looks for what it must escape.
            for at in [0, 1, 15, 16, 31, 32, 62, 63] {
                let text = format!("{}{character}{}", "x".repeat(at), "y".repeat(70));
                let mut written = Vec::new();
                write(&mut written, &text).unwrap();
                assert_eq!(written, serde_json::to_vec(&text).unwrap(), "{:x} at {at}", character as u32);
            }
        }
    }
}
