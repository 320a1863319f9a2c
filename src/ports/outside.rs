//! What the ports of all providers outside have in common: that there was no outcome, and what their notices come with.

/// A provider gave no outcome: unknown, so it is asked again under the same key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("provider: {0}")]
pub struct NoAnswer(pub String);

/// Why what came as a provider's notice is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoNotice {
    /// This provider sends none, or nobody said what they are signed with.
    #[error("no notices are taken")]
    NotTaken,
    /// Nobody who may has signed it, or that was long ago.
    #[error("the signature is not the provider's, or too old")]
    Forged,
}

/// The headers of a notice, by their names in small letters.
pub type Headers<'a> = &'a dyn Fn(&str) -> Option<&'a [u8]>;
