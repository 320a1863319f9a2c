//! Words about what becomes of an order. They are kept as a detail, beside the journal: a command that brings some along is decided as it is without
//! them.

use super::OrderCommand;
use crate::domain::details::{Note, NotedOn, Words};
use crate::domain::ids::RefundId;
use crate::domain::who::By;

impl OrderCommand {
    /// With these words, where there are some.
    #[must_use]
    pub fn with_words(self, words: Option<Words>) -> Self {
        match words {
            Some(words) => Self::Noted { command: Box::new(self), words },
            None => self,
        }
    }

    /// Without the words that it brings along.
    pub(super) fn plain(&self) -> &Self {
        match self {
            Self::Noted { command, .. } => command.plain(),
            plain => plain,
        }
    }

    /// What is kept of words that come with it; nothing of a command that makes nothing to speak of.
    pub(super) fn noted(&self, words: &Words) -> Option<Note> {
        let (by, on) = match self {
            // A refund has the id of its credit.
            Self::Credit { by, seed, .. } => (by, NotedOn::Refund(RefundId::from_uuid(seed.id.uuid()))),
            Self::AskReturn { by, wanted } => (by, NotedOn::Return(wanted.id)),
            Self::MoveReturn { by, id, .. } => (by, NotedOn::ReturnStep(*id)),
            _ => return None,
        };
        Some(Note { on, words: words.clone(), by: By::of(*by) })
    }
}
