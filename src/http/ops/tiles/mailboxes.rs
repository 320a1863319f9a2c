//! The deepest mailboxes.

use super::Look;
use crate::domain::ids::EntityRef;
use crate::limits;
use serde::Serialize;
use std::cmp::Reverse;
use utoipa::ToSchema;

/// Mailboxes that are shown.
const SHOWN: usize = 10;

/// The deepest mailboxes.
#[derive(Debug, Serialize, ToSchema)]
pub struct MailboxesTile {
    /// From how many messages on a mailbox is shown.
    #[schema(example = 16)]
    from_depth: usize,
    /// The deepest first.
    items: Vec<DeepMailbox>,
}

/// A deep mailbox.
#[derive(Debug, Serialize, ToSchema)]
pub struct DeepMailbox {
    #[schema(value_type = String, example = "vendor_01h2xcejqtf2nbrexx3vqjhp41")]
    id: EntityRef,
    #[schema(example = "vendor")]
    kind: &'static str,
    /// Messages waiting.
    depth: usize,
}

impl MailboxesTile {
    pub(super) fn of(Look { parts, .. }: &Look<'_>) -> Self {
        let kinds = parts.shop.actors().into_iter();
        let mailbox = |(id, depth): (EntityRef, usize)| DeepMailbox { id, kind: id.kind.name(), depth };
        let mut items: Vec<_> = kinds.flat_map(|kind| kind.deepest).map(mailbox).collect();
        items.sort_by_key(|mailbox| Reverse(mailbox.depth));
        items.truncate(SHOWN);
        Self { from_depth: limits::DEEP_MAILBOX, items }
    }
}
