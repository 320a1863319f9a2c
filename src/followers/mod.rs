//! What reads the journal behind the log writer, and makes something of it: rows, exactly once. Nobody waits for a follower, and none of them asks
//! an entity: what a follower needs stands in the events.
//!
//! The log writer hands each batch on when it is durable (`feed.rs`); a record is decoded once for all followers. Whoever cannot keep up, or
//! starts anew, reads the journal from its cursor on. A pass (`follow.rs`) writes what was made of some frames and moves the cursors in one
//! transaction, from where they must stand: that is the fence, also against oneself after an outcome that is unknown.
//!
//! There are two sorts. A *projection* makes rows, and begins with the first frame that the store still has. Whoever makes *jobs* begins at the
//! tail: nobody is written to about what happened before.

mod bookings;
mod feed;
mod follow;
mod metrics;
mod order_mails;
mod refunds;
mod stock_history;

pub use feed::Feed;
pub use follow::{Following, remake};
pub use metrics::register;

use crate::domain::entity::Decides;
use crate::domain::ids::JobId;
use crate::domain::ids::{EntityRef, Kind};
use crate::domain::job::JobKind;
use crate::domain::kinds::kinds;
use crate::domain::record::Record;
use crate::ports::{BeginFrom, Made};
use aws_lc_rs::digest::{Context, SHA256};
use memchr::memmem;
use uuid::Uuid;

/// The name of the history of stock.
pub const STOCK_HISTORY: &str = "stock_history";
/// The name of whoever writes to buyers about their orders.
pub const ORDER_MAILS: &str = "order_mails";
/// The name of whoever sees to it that orders give money back.
pub const REFUNDS: &str = "refunds";

/// The name of whoever sees to it that couriers fetch parcels.
pub const BOOKINGS: &str = "bookings";

/// Where a record comes from. A store that was taken back from a backup never makes the same place again: a batch is drawn by chance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The batch of its frame.
    pub batch: Uuid,
    /// The partition of its frame.
    pub partition: u16,
    /// Its position in the frame.
    pub position: u32,
}

impl Origin {
    /// The job of this kind that follows from event number `event` of the record: the first 16 bytes of the SHA-256 of all of it.
    pub fn job(&self, event: u32, kind: JobKind) -> JobId {
        let mut context = Context::new(&SHA256);
        context.update(self.batch.as_bytes());
        context.update(&self.partition.to_be_bytes());
        context.update(&self.position.to_be_bytes());
        context.update(&event.to_be_bytes());
        context.update(kind.name().as_bytes());
        let bits = context.finish().as_ref().iter().take(16).fold(0, |bits, byte| bits << 8 | u128::from(*byte));
        JobId::from_uuid(Uuid::from_u128(bits))
    }
}

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

    /// Where it begins in a store that does not know it yet.
    fn begins(&self) -> BeginFrom;

    /// Whether it reads the records of this kind.
    fn reads(&self, kind: Kind) -> bool;

    /// Texts of which one stands in every line that it has to read, where there are such texts: lines without any are not decoded.
    fn contains(&self) -> &'static [&'static [u8]] {
        &[]
    }

    /// Adds what follows from a record. The records of an entity come in order, but after a failure some come again: what is kept in memory must
    /// not be the worse for it.
    ///
    /// # Errors
    /// When something is forgotten that came before.
    fn read(&mut self, record: &AnyRecord, origin: Origin, made: &mut Made) -> Result<(), Unread>;

    /// Takes into memory what a record that was read before leaves there.
    fn recall(&mut self, record: &AnyRecord);
}

/// All followers there are.
pub fn all() -> Vec<Box<dyn Follower>> {
    vec![
        Box::new(stock_history::StockHistory::default()),
        Box::new(order_mails::OrderMails),
        Box::new(refunds::Refunds),
        Box::new(bookings::Bookings),
    ]
}

/// Which records are decoded: those of this kind in whose line one of these texts stands, where there are any.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interest {
    pub(super) kind: Kind,
    pub(super) contains: &'static [&'static [u8]],
}

impl Interest {
    pub(super) fn has(&self, kind: Kind, line: &[u8]) -> bool {
        let stands = |text: &&[u8]| memmem::find(line, text).is_some();
        self.kind == kind && (self.contains.is_empty() || self.contains.iter().any(stands))
    }
}

/// What all followers read.
pub fn interests() -> Vec<Interest> {
    let of = |follower: Box<dyn Follower>| {
        let contains = follower.contains();
        Kind::ALL.into_iter().filter(move |kind| follower.reads(*kind)).map(move |kind| Interest { kind, contains })
    };
    all().into_iter().flat_map(of).collect()
}

/// The names of all followers, and where each begins.
pub fn beginnings() -> Vec<(&'static str, BeginFrom)> {
    all().iter().map(|follower| (follower.name(), follower.begins())).collect()
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
