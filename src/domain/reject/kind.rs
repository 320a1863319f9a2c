//! What holds of every refusal: where it comes from, and how its kind is written.

use super::{Reject, RejectKind};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::borrow::Cow;

/// What a refusal comes from. The edge has one status for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RejectClass {
    /// What the request is about is not there, or the caller may not know of it.
    Unknown,
    /// The request itself is at fault.
    Invalid,
    /// Whoever asks may not, and may know that it is there.
    Forbidden,
    /// The state of things: an outcome, kept under an idempotency key and given again when the request is repeated.
    Conflict,
}

impl Reject {
    /// The stable code of its kind.
    pub const fn code(&self) -> &'static str {
        self.kind().code()
    }

    /// Whether this refusal is an outcome of the state of things, kept under an idempotency key and given again when the
    /// request is repeated, rather than a fault of the request itself.
    pub const fn is_conflict(&self) -> bool {
        matches!(self.kind().class(), RejectClass::Conflict)
    }
}

impl Serialize for RejectKind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.code())
    }
}

impl<'de> Deserialize<'de> for RejectKind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let code = Cow::<'de, str>::deserialize(deserializer)?;
        let kind = Self::ALL.iter().find(|kind| kind.code() == code);
        kind.copied().ok_or_else(|| de::Error::custom(format_args!("no refusal has the code '{code}'")))
    }
}
