//! JSON as Haat writes it: records, snapshots, answers. Three tenths of a checkout's instructions in the server went into this, and `sonic-rs` takes half
//! the time of `serde_json` for the same bytes. What comes in is read by `serde_json`, which tells precisely what is wrong with it.

use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};
use std::any::type_name;

/// What [`write`] writes with.
type Writer<'a> = sonic_rs::Serializer<&'a mut Vec<u8>>;

/// The name of a struct, and of its only field, whose text `sonic-rs` writes as it stands: by it `sonic_rs::LazyValue` asks for that. Only a parser makes one
/// of those, so the name is written out here. A test says that it is still the name.
const AS_IT_STANDS: &str = "$sonic_rs::LazyValue";

/// A serializer that takes JSON as it stands.
pub struct Verbatim<S>(S);

/// For a value whose JSON is made faster at once than field by field: the serializer of [`write`], which takes it so; any other is given back,
/// and knows fields alone.
///
/// # Errors
/// The serializer, when it is another.
pub fn verbatim<S: Serializer>(serializer: S) -> Result<Verbatim<S>, S> {
    // Names of types are all that can be compared of types that borrow. Both are known when this is compiled, and nothing is compared later.
    if type_name::<S>() == type_name::<&mut Writer<'_>>() { Ok(Verbatim(serializer)) } else { Err(serializer) }
}

impl<S: Serializer> Verbatim<S> {
    /// Writes these, one behind the other. Together they have to be the JSON of one value.
    ///
    /// # Errors
    /// As any serializer's.
    #[inline(always)]
    pub fn put<const PARTS: usize>(self, parts: [&str; PARTS]) -> Result<S::Ok, S::Error> {
        let mut value = self.0.serialize_struct(AS_IT_STANDS, 1)?;
        for part in parts {
            value.serialize_field(AS_IT_STANDS, part)?;
        }
        value.end()
    }
}

/// Appends `value` as compact JSON.
///
/// # Errors
/// When a `Serialize` of it fails, or a key is no text; neither is so of ours. What was written by then is left.
pub fn write<T: Serialize + ?Sized>(into: &mut Vec<u8>, value: &T) -> Result<(), sonic_rs::Error> {
    value.serialize(&mut Writer::new(into))
}

/// `value` as compact JSON.
///
/// # Errors
/// As [`write()`].
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

    /// A value that goes into a body as it stands.
    struct Stands(&'static str);

    impl Serialize for Stands {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            match verbatim(serializer) {
                Ok(verbatim) => {
                    let (head, tail) = self.0.split_at(1);
                    verbatim.put([head, tail, ""])
                }
                Err(serializer) => serializer.serialize_str("by fields"),
            }
        }
    }

    #[derive(Serialize)]
    struct Around {
        before: u8,
        value: Stands,
        #[serde(flatten)]
        flat: Flat,
        after: Vec<Stands>,
    }

    #[derive(Serialize)]
    struct Flat {
        within: Stands,
    }

    #[test]
    fn what_is_written_already_goes_in_as_it_stands() {
        let of = |text| Around {
            before: 1,
            value: Stands(text),
            flat: Flat { within: Stands(text) },
            after: vec![Stands(text)],
        };
        for text in [r#"{"a":"\"b","c":[1]}"#, r#""a""#, "7"] {
            let expected = format!(r#"{{"before":1,"value":{text},"within":{text},"after":[{text}]}}"#);
            assert_eq!(String::from_utf8(written(&of(text)).unwrap()).unwrap(), expected);
        }
    }

    #[test]
    fn other_serializers_are_given_back() {
        let value = Stands("7");
        assert_eq!(serde_json::to_string(&value).unwrap(), r#""by fields""#);
        assert_eq!(serde_json::to_value(&value).unwrap(), "by fields");
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
