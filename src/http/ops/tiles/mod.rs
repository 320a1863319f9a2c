//! The tiles of the overview: one file for each, and one line here. A tile reads the last looks at the node and says what it shows; what has
//! to be waited for is gathered before ([`super::hot`]).

use super::OpsParts;
use super::figures::{Looks, Spread};
use super::hot::HotStock;
use super::lately::Recent;
use crate::domain::time::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

/// What a tile is made of.
pub(super) struct Look<'a> {
    pub(super) parts: &'a OpsParts,
    pub(super) looks: &'a Looks,
    pub(super) hot: &'a HotStock,
    pub(super) lately: &'a Recent,
    pub(super) at: Timestamp,
}

macro_rules! tiles {
    ($($(#[$doc:meta])* $name:ident: $tile:ident,)*) => {
        $(mod $name;)*

        /// The tiles: one section each.
        #[derive(Debug, Serialize, ToSchema)]
        pub struct TilesBody {
            $($(#[$doc])* $name: $name::$tile,)*
        }

        impl TilesBody {
            /// As the node is now.
            pub(super) fn of(look: &Look<'_>) -> Self {
                Self { $($name: $name::$tile::of(look),)* }
            }
        }
    };
}

tiles! {
    /// What went wrong in the last minutes.
    lately: LatelyTile,
    /// How the node stands.
    node: NodeTile,
    /// Requests.
    http: HttpTile,
    /// Orders.
    orders: OrdersTile,
    /// Actors, by kind.
    actors: ActorsTile,
    /// The deepest mailboxes.
    mailboxes: MailboxesTile,
    /// The log writer.
    log_writer: LogWriterTile,
    /// Checkpoints.
    checkpoint: CheckpointTile,
    /// Those that read the journal behind the log writer.
    followers: FollowersTile,
    /// What the world is to hear of.
    jobs: JobsTile,
    /// Payment providers.
    payments: PaymentsTile,
    /// The store.
    database: DatabaseTile,
    /// Why requests are refused.
    sheds: ShedsTile,
    /// What sells fastest.
    hot: HotTile,
}

/// What comes of something, and how often.
#[derive(Debug, Serialize, ToSchema)]
pub struct OutcomeBody {
    #[schema(example = "done")]
    outcome: String,
    per_second: Option<f64>,
    /// Since the process started.
    total: u64,
}

impl OutcomeBody {
    /// Those of a count, by its label `outcome`, of series that `include`.
    fn all(looks: &Looks, name: &str, include: impl Fn(&str) -> bool) -> Vec<Self> {
        let outcome = |(series, per_second, total): (&str, _, _)| {
            let outcome = super::figures::label(series, "outcome").filter(|_| include(series))?.to_owned();
            Some(Self { outcome, per_second, total })
        };
        looks.rates(name).into_iter().filter_map(outcome).collect()
    }
}

/// Whether somebody outside answers, as operators read it.
fn answers(state: f64) -> &'static str {
    match state as u8 {
        0 => "yes",
        1 => "probed",
        _ => "no",
    }
}
