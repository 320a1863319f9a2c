//! What went wrong in the last minutes, whether or not somebody watched.

use super::Look;
use crate::http::money::Moment;
use crate::http::ops::lately::Risen;
use serde::Serialize;
use utoipa::ToSchema;

/// What went wrong lately: the counts that stand for trouble and have risen.
#[derive(Debug, Serialize, ToSchema)]
pub struct LatelyTile {
    /// Of how much time it is: 15 minutes, or as long as the process has been there.
    #[schema(example = 900_000)]
    over_ms: u64,
    items: Vec<RisenBody>,
}

/// A count that rose lately.
#[derive(Debug, Serialize, ToSchema)]
pub struct RisenBody {
    #[schema(example = "requests_shed")]
    count: &'static str,
    /// What of it rose, such as for which reason; `null` where nothing is told apart.
    #[schema(example = "mailbox")]
    of: Option<Box<str>>,
    /// By how much, at the most ten seconds more being counted than `over_ms` says.
    risen: u64,
    /// When it was last seen to have risen: to the second while somebody watches, to ten seconds otherwise.
    last: Moment,
}

impl LatelyTile {
    pub(super) fn of(Look { lately, .. }: &Look<'_>) -> Self {
        let item = |Risen { count, of, by, last }: &Risen| RisenBody {
            count,
            of: Some(of.clone()).filter(|of| !of.is_empty()),
            risen: *by,
            last: Moment(*last),
        };
        Self { over_ms: lately.over.as_millis() as u64, items: lately.risen.iter().map(item).collect() }
    }
}
