//! What reads the journal behind the log writer, and makes something of it: rows, exactly once. Nobody waits for a follower, and none of them asks
//! an entity: what a follower needs stands in the events.
//!
//! The log writer hands each batch on when it is durable (`feed.rs`); a record is decoded once for all followers. Whoever cannot keep up, or
//! starts anew, reads the journal from its cursor on. A pass (`follow.rs`) writes what was made of some frames and moves the cursors in one
//! transaction, from where they must stand: that is the fence, also against oneself after an outcome that is unknown.

mod feed;
mod follow;
mod metrics;
mod stock_history;

pub use feed::Feed;
pub use follow::Following;
pub use metrics::register;

use crate::domain::entity::Decides;
use crate::domain::ids::{EntityRef, Kind};
use crate::domain::kinds::kinds;
use crate::domain::record::Record;
use crate::ports::Made;

/// The name of the history of stock.
pub const STOCK_HISTORY: &str = "stock_history";

/// Why a follower cannot read a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unread {
    /// Something that came before is not in memory any more.
    Forgotten,
}

/// Something that is made of the journal.
pub trait Follower: Send + 'static {
    /// Its name, which its cursors have. It never changes.
    fn name(&self) -> &'static str;

    /// Whether it reads the records of this kind.
    fn reads(&self, kind: Kind) -> bool;

    /// Adds what follows from a record. The records of an entity come in order, but after a failure some come again: what is kept in memory must
    /// not be the worse for it.
    ///
    /// # Errors
    /// When something is forgotten that came before.
    fn read(&mut self, record: &AnyRecord, made: &mut Made) -> Result<(), Unread>;

    /// Takes into memory what a record that was read before leaves there.
    fn recall(&mut self, record: &AnyRecord);
}

/// All followers there are.
pub fn all() -> Vec<Box<dyn Follower>> {
    vec![Box::new(stock_history::StockHistory::default())]
}

/// The kinds of which a follower reads the records.
pub fn kinds_read() -> Vec<Kind> {
    let followers = all();
    Kind::ALL.into_iter().filter(|kind| followers.iter().any(|follower| follower.reads(*kind))).collect()
}

/// The names of all followers.
pub fn names() -> Vec<&'static str> {
    all().iter().map(|follower| follower.name()).collect()
}

macro_rules! any_record {
    ([$($(#[$doc:meta])* $kind:ident $name:literal $slots:ident $type:ty, $unknown:ident;)*]) => {
        /// A record of any kind of entity.
        #[derive(Debug)]
        pub enum AnyRecord {
            $($(#[$doc])* $kind(Record<<$type as Decides>::Event>),)*
        }

        impl AnyRecord {
            /// Reads one line of a frame.
            ///
            /// # Errors
            /// When it is not a record of that kind.
            pub fn parse(kind: Kind, line: &[u8]) -> Result<Self, serde_json::Error> {
                Ok(match kind {
                    $(Kind::$kind => Self::$kind(serde_json::from_slice(line)?),)*
                })
            }

            /// Whose it is, and which version it makes.
            pub fn place(&self) -> (EntityRef, u64) {
                match self {
                    $(Self::$kind(record) => (record.entity, record.version),)*
                }
            }
        }
    };
}
kinds!(any_record);
