//! Where it is noted, beside the store, who wanted to be forgotten.

use crate::domain::ids::AccountId;

/// Notes who wanted to be forgotten: a store that is brought back from a copy of before knows from it whom it must forget again.
pub trait ErasedLog: Send + Sync {
    /// Notes an account, durably.
    ///
    /// # Errors
    /// When it cannot be written: then nobody is erased.
    fn note(&self, account: AccountId) -> std::io::Result<()>;
}

/// Where there is no such place.
#[derive(Clone, Copy, Debug)]
pub struct NoErasedLog;

impl ErasedLog for NoErasedLog {
    fn note(&self, _: AccountId) -> std::io::Result<()> {
        Ok(())
    }
}
