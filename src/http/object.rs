//! Request bodies are JSON objects. What serde derives for a struct also reads an array of its fields in their order, a form that is
//! documented nowhere; the types named in `only_objects!` do not.

/// Implements `Deserialize` for types that derive it with `#[serde(remote = "Self")]`, from objects alone.
macro_rules! only_objects {
    ($($name:ident),+ $(,)?) => {
        $(impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Object;
                impl<'de> serde::de::Visitor<'de> for Object {
                    type Value = $name;
                    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        f.write_str("an object")
                    }
                    fn visit_map<A: serde::de::MapAccess<'de>>(self, fields: A) -> Result<$name, A::Error> {
                        // The inherent function, which `remote` derives.
                        $name::deserialize(serde::de::value::MapAccessDeserializer::new(fields))
                    }
                }
                deserializer.deserialize_map(Object)
            }
        })+
    };
}
pub(crate) use only_objects;

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(remote = "Self", deny_unknown_fields)]
    struct Outer {
        inner: Inner,
        more: Option<Inner>,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(remote = "Self", deny_unknown_fields)]
    struct Inner {
        count: i64,
    }

    only_objects!(Outer, Inner);

    #[test]
    fn only_objects_are_read() {
        let read = |text: &str| serde_json::from_str::<Outer>(text).ok();
        assert_eq!(read(r#"{"inner":{"count":1}}"#), Some(Outer { inner: Inner { count: 1 }, more: None }));
        assert_eq!(read(r#"{"inner":{"count":1},"more":null}"#), Some(Outer { inner: Inner { count: 1 }, more: None }));
        for bad in [
            "[]",
            r#"[{"count":1},null]"#,
            r#"{"inner":[1]}"#,
            r#"{"inner":{"count":1},"more":[1]}"#,
            r#"{"inner":{"count":1},"other":1}"#,
            r#"{"inner":{"count":1},"inner":{"count":1}}"#,
            r#"{"inner":{}}"#,
            "{}",
        ] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }
}
