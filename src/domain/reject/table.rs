//! What a table of refusals is made into.

/// Makes the refusals of a table. A row is
///
/// ```text
/// /// What it means.
/// Variant { field: Type = a sample of it, … } = Class {
///     code: "its stable code, in answers, in the journal and in metrics",
///     title: "what its kind is called, for people",
///     field: "the field of the request that it is about, if it is about one", or (an Option, made of the variant's fields)
///     text: "what the caller is told, with the variant's {field}s", or "{}", and what to print
/// }
/// ```
macro_rules! rejects {
    (@field) => { None };
    (@field $name:literal) => { Some(Cow::Borrowed($name)) };
    (@field ($which:expr)) => { $which };
    ($(
        $(#[doc = $doc:literal])+
        $variant:ident $({ $( $(#[$attribute:meta])* $member:ident: $type:ty = $sample:expr ),+ $(,)? })? = $class:ident {
            code: $code:literal,
            title: $title:literal,
            $(field: $field:tt,)?
            text: $text:literal $(, $printed:expr)* $(,)?
        }
    )*) => {
        /// A refusal. Where several would apply, the one that stands first here is given.
        #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
        #[serde(tag = "code")]
        pub enum Reject {
            $(
                $(#[doc = $doc])+
                #[error($text $(, $printed)*)]
                #[serde(rename = $code)]
                $variant $({ $( $(#[$attribute])* $member: $type ),+ })?,
            )*
        }

        /// A refusal without its details.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum RejectKind {
            $( $(#[doc = $doc])+ $variant, )*
        }

        impl RejectKind {
            /// Every kind, in the order of precedence.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The stable code that stands in answers, in the journal and in metrics.
            pub const fn code(self) -> &'static str {
                match self { $(Self::$variant => $code),* }
            }

            /// What it is called, for people.
            pub const fn title(self) -> &'static str {
                match self { $(Self::$variant => $title),* }
            }

            /// What it comes from.
            pub const fn class(self) -> RejectClass {
                match self { $(Self::$variant => RejectClass::$class),* }
            }
        }

        impl Reject {
            /// Which refusal it is, without its details.
            pub const fn kind(&self) -> RejectKind {
                match self { $(Self::$variant { .. } => RejectKind::$variant),* }
            }

            /// Which field of the request it is about, as a path into the body.
            #[allow(unused_variables, reason = "most rows need none of their members here")]
            pub fn field(&self) -> Option<Cow<'static, str>> {
                match self { $(Self::$variant $({ $($member),+ })? => rejects!(@field $($field)?)),* }
            }

            /// One of each, in the order of precedence: what tests go over.
            pub fn samples() -> Vec<Self> {
                vec![$(Self::$variant $({ $($member: $sample),+ })?),*]
            }
        }
    };
}
pub(super) use rejects;
