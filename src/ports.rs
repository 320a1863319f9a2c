//! The traits at the edge: what the engine needs of the world, and what its rooms need of each other.

use crate::domain::buyer::MailKey;
use crate::domain::details::{Detail, DetailName};
use crate::domain::entity::Part;
use crate::domain::ids::{
    CartId, CategoryId, CouponId, CustomerId, EntityRef, Kind, OrderId, ProductId, SkuId, VendorId,
};
use crate::domain::money::Currency;
use crate::domain::order::{OrderFilter, OrderStatus};
use crate::domain::rows::{CouponRow, OrderRow, ProductRow, Rows, StockChangeRow};
use crate::domain::time::Timestamp;
use crate::domain::vendor::GoodsStatus;
use async_trait::async_trait;
pub use checkpoints::{CheckpointWrite, Checkpoints, EntityDelta, RejectedRows, Remake, Remaking, WakeAt, Written};
use jobs::{Jobs, NewJob};
pub use outside::*;
pub use payments::*;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use trace::Traced;
use uuid::Uuid;

pub mod checkpoints;
pub mod couriers;
pub mod erased;
pub mod jobs;
pub mod keys;
pub mod lives;
mod outside;
mod payments;
pub mod quotas;
pub mod rates;
pub mod standing;
pub mod trace;
pub mod units;
pub mod waiting;

/// Time and chance: everything that would make two runs differ.
pub trait Clock: Send + Sync + 'static {
    /// Domain time: the wall clock, but it never goes back, follows no jump, and is never before the newest record of
    /// the store. Where it is ahead of the wall clock it runs at nine tenths of its speed until both meet.
    fn now(&self) -> Timestamp;
    /// The machine's wall clock as it stands, with its jumps: for moments that come from outside, such as those in a
    /// token.
    fn wall(&self) -> Timestamp;
    /// Since the machine was started, by a clock that nobody sets and that goes on while the machine sleeps: for
    /// leases.
    fn since_boot(&self) -> Duration;
    /// A fresh `UUIDv7`.
    fn new_uuid(&self) -> Uuid;
    /// Makes sure that [`Clock::now`] is not before `floor`.
    fn advance_to(&self, floor: Timestamp);

    /// By how many milliseconds the wall clock has jumped away from where this clock follows it (positive: ahead);
    /// `None` when it has not.
    fn jump_ms(&self) -> Option<i64> {
        None
    }
    /// Follows the wall clock's small corrections, and tells the log of a jump. To be called about every second.
    fn watch(&self) {}
    /// Follows the wall clock wherever it stands, because another clock says that it is right.
    fn follow(&self) {}

    /// By how many milliseconds domain time is ahead of the wall clock; negative when it is behind.
    fn ahead_ms(&self) -> i64 {
        self.now().millis_since(self.wall())
    }
}

/// Why a store did not do what was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// It cannot be reached, or failed in a way that may pass. What was asked may have been done all the same.
    #[error("the store is unavailable: {0}")]
    Unavailable(String),
    /// An append found one of its places in the journal taken.
    #[error("a frame stands already where one was to be appended")]
    Collision,
    /// Another owner has a newer epoch.
    #[error("another node owns the store now")]
    Fenced,
    /// What was read makes no sense, or the schema is not this version's.
    #[error("{0}")]
    Invalid(String),
    /// What was asked for needs a column that not every row has yet: they are being remade.
    #[error("the rows of {0}s are still being remade")]
    RowsIncomplete(Kind),
}

/// How a frame's payload is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i16)]
pub enum Codec {
    /// JSON lines.
    Plain = 0,
    /// JSON lines, compressed as one LZ4 block with its size before it.
    Lz4 = 1,
}

impl TryFrom<i16> for Codec {
    type Error = StoreError;
    fn try_from(code: i16) -> Result<Self, StoreError> {
        match code {
            0 => Ok(Codec::Plain),
            1 => Ok(Codec::Lz4),
            _ => Err(StoreError::Invalid(format!("frame codec {code} is not known to this version"))),
        }
    }
}

/// All records of one partition in one commit: one row of the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// The partition.
    pub partition: u16,
    /// Its place: dense per partition, from 1.
    pub seq: u64,
    /// The writer's term.
    pub epoch: u64,
    /// When the batch was formed.
    pub at: Timestamp,
    /// The random id that all frames of one batch carry, by which a writer knows its own after an unknown outcome.
    pub batch: Uuid,
    /// How many records the payload holds; 0 in a frame that only marks a new epoch.
    pub records: u32,
    /// How the payload is written.
    pub codec: Codec,
    /// The records.
    pub payload: Vec<u8>,
}

/// A partition as its new owner finds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Partition {
    /// Its number.
    pub id: u16,
    /// The owner's term.
    pub epoch: u64,
    /// The newest frame: the one that marks this term, when it was just acquired.
    pub tail_seq: u64,
    /// Up to where snapshots and read tables hold everything.
    pub checkpoint_seq: u64,
    /// Up to where frames may be gone, because an archive holds them.
    pub base_seq: u64,
}

/// What is found of a batch whose outcome is unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Committed {
    /// All its frames are there.
    All,
    /// None of their places is taken.
    Nothing,
    /// Someone else's frames are there.
    Conflicting,
}

/// The append-only log of frames: the only source of truth.
#[async_trait]
pub trait Journal: Send + Sync + 'static {
    /// Acquires all partitions: raises their epochs, appends an epoch frame to each, then waits until the former owner can give no more answers without a record
    /// (its lease has run out). From then on the former owner's appends collide. The lease runs from before this call returns.
    ///
    /// # Errors
    /// Unavailable; Invalid when the store is of another version.
    async fn acquire(&self, owner: &str, lease: Duration, now: Timestamp) -> Result<Vec<Partition>, StoreError>;

    /// All partitions as they are, without acquiring them.
    async fn partitions(&self) -> Result<Vec<Partition>, StoreError>;

    /// Appends one batch, and the details that its records bring along, in one transaction, and returns when both are on disk. A detail of an
    /// order and a sort that is there already stays as it is.
    ///
    /// # Errors
    /// Collision when a place is taken, Fenced when the writer's term is over (nothing was written); Unavailable when the outcome is unknown.
    async fn append(&self, frames: &[Frame], details: &[Detail]) -> Result<(), StoreError>;

    /// What became of a batch whose append ended in an error.
    async fn committed(&self, frames: &[Frame]) -> Result<Committed, StoreError>;

    /// Frames of one partition after `after_seq`, in order, up to about `max_bytes` of payload (at least one frame if there is any).
    async fn frames(&self, partition: u16, after_seq: u64, max_bytes: usize) -> Result<Vec<Frame>, StoreError>;

    /// Drops the frames of one partition up to `up_to`, all of which an archive holds. Gives how many there were. What was begun and did
    /// not end is ended by asking again.
    ///
    /// # Errors
    /// Invalid when the newest frame would go, or one that no checkpoint holds, or that a follower has not read.
    async fn drop_frames(&self, partition: u16, up_to: u64) -> Result<u64, StoreError>;

    /// Extends the lease by `lease` from the moment of the call. Gives what [`Journal::clock`] does.
    ///
    /// # Errors
    /// Fenced when one of the partitions has another epoch.
    async fn renew(&self, partitions: &[Partition], lease: Duration) -> Result<Option<Timestamp>, StoreError>;

    /// The store's own clock, at some moment between the question and the answer; `None` where the store has no clock
    /// but this machine's.
    async fn clock(&self) -> Result<Option<Timestamp>, StoreError>;

    /// Whether what is appended goes where others, and the next start, find it: a store in files may lose them while it has them open.
    ///
    /// # Errors
    /// What is missing, in words.
    fn in_place(&self) -> Result<(), String> {
        Ok(())
    }

    /// Ends the lease at once, so that the next owner need not wait. Does nothing to partitions of another epoch.
    async fn release(&self, partitions: &[Partition]) -> Result<(), StoreError>;
}

/// An entity's state at one version, as a cache of the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// The entity.
    pub entity: EntityRef,
    /// Its version.
    pub version: u64,
    /// All its parts that are there.
    pub parts: Vec<Part>,
}

/// An entity that is to be woken, and when: a place in the order in which [`Snapshots::due`] gives them.
pub type Due = (EntityRef, Timestamp);

/// Reads snapshots.
#[async_trait]
pub trait Snapshots: Send + Sync + 'static {
    /// One entity's snapshot, consistent in itself.
    async fn load(&self, entity: EntityRef) -> Result<Option<Snapshot>, StoreError>;
    /// The snapshots of those of these entities that have one, in any order.
    async fn load_many(&self, entities: &[EntityRef]) -> Result<Vec<Snapshot>, StoreError>;
    /// Entities that are to be woken at or before `until`, the earliest first, after the given place.
    async fn due(&self, until: Timestamp, after: Option<Due>, limit: u32) -> Result<Vec<Due>, StoreError>;
    /// Entities with a snapshot, in the order of kind and id after `after`: for tools that look at all of them.
    async fn scan(&self, after: Option<EntityRef>, limit: u32) -> Result<Vec<Snapshot>, StoreError>;
    /// As [`Snapshots::scan`], of one kind alone, in the order of ids after `after`.
    async fn scan_kind(&self, kind: Kind, after: Option<Uuid>, limit: u32) -> Result<Vec<Snapshot>, StoreError>;
}

/// Whose orders to list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OrdersOf {
    /// Everyone's.
    All,
    /// Those of one cart that are a guest's.
    Cart(CartId),
    /// A customer's.
    Customer(CustomerId),
    /// Those with a share of this vendor (only that share's lines and sub-order are filled in).
    Vendor(VendorId),
}

/// Which products to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProductFilter {
    /// Of this vendor.
    pub vendor: Option<VendorId>,
    /// Of one of these categories, each by its id or its name; none of them: of any.
    pub categories: Vec<String>,
    /// That have all of these; none of them: all.
    pub terms: Vec<SearchTerm>,
    /// Whose price is in this range.
    pub price: Option<PriceRange>,
    /// Of which there are pieces, or of which there are none; `None` for both.
    pub in_stock: Option<bool>,
    /// Whether they are for sale.
    pub status: Listed,
}

/// Which products are listed, by whether they are for sale.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Listed {
    /// Those that are, of vendors that may sell.
    #[default]
    ForSale,
    /// All, or those that stand so: as their vendor sees them.
    Own(Option<GoodsStatus>),
}

/// A word that is looked for: in what a product says, or by the category that it stands in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SearchTerm {
    /// The word, as `domain::text::words` makes it.
    pub word: String,
    /// Whether words that begin with it will do.
    pub is_prefix: bool,
    /// The categories whose names have it.
    pub categories: Vec<CategoryId>,
}

/// Prices in one currency, from the one to the other, both of them in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PriceRange {
    /// The currency.
    pub currency: Currency,
    /// The least, in minor units.
    pub least: i64,
    /// The most, in minor units.
    pub most: i64,
}

/// In which order products are listed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ProductOrder {
    /// By when they were added, the newest first.
    #[default]
    Newest,
    /// By their price, the least first; those alone that have one.
    Cheapest,
    /// By their price, the greatest first; those alone that have one.
    Dearest,
}

/// A place among products: the moment in milliseconds, or the price in minor units, and the id.
pub type ProductPlace = (i64, ProductId);

/// Reads the read tables: what they held at the last checkpoint.
#[async_trait]
pub trait Queries: waiting::Waiting {
    /// Orders that pass the filter, the newest first (by time, then id), after the given place.
    async fn orders(
        &self,
        of: OrdersOf,
        filter: &OrderFilter,
        after: Option<(Timestamp, OrderId)>,
        limit: u32,
    ) -> Result<Vec<OrderRow>, StoreError>;
    /// The guests' orders that were placed with the address of this key and did not end unpaid, the newest first.
    async fn guests_orders(&self, of: MailKey, limit: u32) -> Result<Vec<OrderId>, StoreError>;
    /// How many points a customer's paid orders are to earn yet.
    async fn points_pending(&self, of: CustomerId) -> Result<i64, StoreError>;
    /// Products in this order, after the given place.
    ///
    /// # Errors
    /// Unavailable as well when a search by words takes longer than `SEARCH_MS`.
    async fn products(
        &self,
        filter: &ProductFilter,
        order: ProductOrder,
        after: Option<ProductPlace>,
        limit: u32,
    ) -> Result<Vec<ProductRow>, StoreError>;
    /// Coupons, of one vendor or all, the newest first (by time, then id), after the given place.
    async fn coupons(
        &self,
        of: Option<VendorId>,
        after: Option<(Timestamp, CouponId)>,
        limit: u32,
    ) -> Result<Vec<CouponRow>, StoreError>;
    /// What was done to the stock of a SKU, the newest first, before the given place.
    async fn stock_changes(
        &self,
        sku: SkuId,
        before: Option<StockPlace>,
        limit: u32,
    ) -> Result<Vec<StockChangeRow>, StoreError>;
    /// All vendors, products and SKUs, and the customers of whom anybody ever said what they are: what the catalogue cache starts from.
    async fn catalog(&self) -> Result<Rows, StoreError>;
    /// How many orders are placed or wait for their payment, by payment method.
    async fn unpaid_by_method(&self) -> Result<Vec<(String, u64)>, StoreError>;
    /// How many orders have each status.
    async fn order_counts(&self) -> Result<Vec<(OrderStatus, u64)>, StoreError>;
}

/// A detail as it is found.
#[derive(Clone, PartialEq, Eq)]
pub struct KeptDetail {
    /// Whose.
    pub order: OrderId,
    /// Of which sort.
    pub name: DetailName,
    /// What was kept; `None` when it was erased.
    pub body: Option<Vec<u8>>,
}

/// A place in the order in which [`Details::scan_details`] gives them, and whether what stands there was erased.
pub type DetailPlace = (OrderId, DetailName, bool);

/// Reads the details of orders, which no replay makes anew and no archive holds.
#[async_trait]
pub trait Details: Send + Sync + 'static {
    /// Those of one sort that there are of these orders, in any order.
    async fn details(&self, orders: &[OrderId], name: DetailName) -> Result<Vec<KeptDetail>, StoreError>;
    /// Which there are, in the order of orders and sorts after the given one: for tools that look at all of them.
    async fn scan_details(
        &self,
        after: Option<(OrderId, DetailName)>,
        limit: u32,
    ) -> Result<Vec<DetailPlace>, StoreError>;
}

/// How far a follower has come in one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FollowerCursor {
    /// The follower's name.
    pub follower: String,
    /// The partition.
    pub partition: u16,
    /// The last frame of which everything is made.
    pub seq: u64,
}

/// A record that a follower could not read, and left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SkippedRecord {
    /// Whose.
    pub entity: EntityRef,
    /// The version it makes.
    pub version: u64,
    /// Why it could not be read.
    pub reason: String,
}

/// What is made of some frames: rows that are written once, and jobs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Made {
    /// Table `stock_changes`.
    pub stock_changes: Vec<StockChangeRow>,
    /// What is to be done because of it.
    pub jobs: Vec<NewJob>,
    /// What could not be read.
    pub skipped: Vec<SkippedRecord>,
}

impl Made {
    /// How many rows there are.
    pub fn rows(&self) -> usize {
        self.stock_changes.len() + self.jobs.len() + self.skipped.len()
    }
}

/// Partition, the last frame that was read before, and the last one now.
pub type CursorMove = (u16, u64, u64);

/// What one follower writes in one transaction.
#[derive(Clone, Copy, Debug)]
pub struct Pass<'a> {
    /// The follower's name.
    pub follower: &'a str,
    /// From where to where its cursors move.
    pub moves: &'a [CursorMove],
    /// What it has made of the frames between.
    pub made: &'a Made,
}

/// Where a new follower begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BeginFrom {
    /// With the first frame that the store still has.
    First,
    /// Behind the last frame there is: what has happened already is none of its business.
    Tail,
}

/// What followers write. (They read the journal as everyone does.)
#[async_trait]
pub trait Followers: Send + Sync + 'static {
    /// All cursors there are, of this follower or of all.
    async fn cursors(&self, follower: Option<&str>) -> Result<Vec<FollowerCursor>, StoreError>;

    /// Begins a follower that has no cursor yet, there. Gives its cursors.
    ///
    /// # Errors
    /// Unavailable.
    async fn begin_follower(&self, follower: &str, from: BeginFrom) -> Result<Vec<FollowerCursor>, StoreError>;

    /// Writes what was made and moves the cursors, in one transaction. False when one stands elsewhere: then another has made it, or an earlier
    /// try whose outcome was unknown, and nothing is written.
    ///
    /// # Errors
    /// Unavailable; Invalid when a row is there already.
    async fn pass(&self, pass: Pass<'_>) -> Result<bool, StoreError>;

    /// Forgets what a follower has made and puts its cursors before the first frame there ever was, in one transaction.
    ///
    /// # Errors
    /// Fenced when the epoch of an owned partition is another's; Invalid when what it has made cannot be made anew.
    async fn restart_follower(&self, owned: &[Partition], follower: &str) -> Result<(), StoreError>;

    /// Forgets where a follower stands, so that it holds up no archive any more. What it has made stays. Says whether it was there.
    async fn forget_follower(&self, follower: &str) -> Result<bool, StoreError>;

    /// What the changes of each SKU of a vendor come to, up to this version of the vendor: of the SKUs whose beginning is among them.
    async fn stock_sums(&self, vendor: VendorId, up_to: u64) -> Result<Vec<(SkuId, i64)>, StoreError>;

    /// How many records of which entities each follower could not read.
    async fn skipped_records(&self) -> Result<Vec<(String, EntityRef, u64)>, StoreError>;
}

/// A place in the history of a SKU's stock: the version of its vendor, and the position in that record.
pub type StockPlace = (u64, u32);

/// The store's own key, made with it and never changed: what is hashed with it is known again by whoever holds the store, and by nobody else.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct StoreKey(pub [u8; 32]);

impl fmt::Debug for StoreKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StoreKey(…)")
    }
}

/// A store, each of its sides behind a trait of its own.
#[derive(Clone)]
pub struct Store {
    /// Its own key.
    pub key: StoreKey,
    /// The log.
    pub journal: Arc<dyn Journal>,
    /// The cached states.
    pub snapshots: Arc<dyn Snapshots>,
    /// The writing of checkpoints.
    pub checkpoints: Arc<dyn Checkpoints>,
    /// The read tables.
    pub queries: Arc<dyn Queries>,
    /// Personal data, beside the journal.
    pub details: Arc<dyn Details>,
    /// What followers make of the journal.
    pub followers: Arc<dyn Followers>,
    /// What the world is to hear of.
    pub jobs: Arc<dyn Jobs>,
    /// The rows of services.
    pub units: Arc<dyn units::Units>,
    /// Its connections.
    pub pools: Arc<dyn standing::Pools>,
}

/// What runs when a record is durable: replies, publications, calls that leave the node.
pub type Completion = Box<dyn FnOnce() + Send>;

/// A place in the log writer's queue. Places are given out in order; what stands at or before a durable place is durable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position(pub u64);

impl Position {
    /// Behind everything that is queued when it is asked about.
    pub const TAIL: Position = Position(u64::MAX);
}

/// A record on its way to the journal.
pub struct Append {
    /// Whose record.
    pub entity: EntityRef,
    /// The version it makes. The log writer compares it with the entity's last one, if it knows that: if there was a record since the last
    /// barrier but one. What is older is in a snapshot, from which the entity was loaded. A gap, or a version that comes twice, is a
    /// bug that ends the process.
    pub version: u64,
    /// The record's JSON, without a line's end.
    pub record: Vec<u8>,
    /// What is kept beside the journal in the same transaction.
    pub details: Vec<Detail>,
    /// Runs once the record is durable, after those of all earlier records.
    pub on_durable: Option<Completion>,
    /// The trace of the request that made it, if that is sampled. It is written nowhere. In a box: hardly any has one.
    pub trace: Option<Box<Traced>>,
}

/// How full the log writer is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pressure {
    /// Records decided and not yet durable.
    pub records_in_flight: usize,
    /// Durable records that no checkpoint holds yet; those of quarantined entities, which none can hold, do not count.
    pub records_since_checkpoint: u64,
    /// Bytes of the frames they stand in.
    pub bytes_since_checkpoint: u64,
    /// Whether the store took the last batch, and the lease could be renewed.
    pub store_available: bool,
}

/// The one writer of a node's journal, as actors see it.
pub trait LogWriter: Send + Sync + 'static {
    /// Queues a record. Never fails and never waits: whoever admits work from outside looks at [`LogWriter::pressure`] first.
    fn append(&self, append: Append) -> Position;
    /// Whether everything up to `place` is durable.
    fn is_durable(&self, position: Position) -> bool;
    /// Runs `then` once everything queued up to `after` is durable: at once, if it is. With [`Position::TAIL`], once everything is that is
    /// queued now.
    fn when_durable(&self, after: Position, then: Completion);
    /// How full it is.
    fn pressure(&self) -> Pressure;
    /// Whether an answer that has no record of its own may be given: this node's lease has not run out.
    fn may_answer(&self) -> bool;
}

/// Where a checkpoint gets the states from: the actors.
#[async_trait]
pub trait StateSource: Send + Sync + 'static {
    /// The changed parts of an entity, captured in one turn and durable when this returns; `None` when it is quarantined or
    /// the node is stopping.
    async fn delta(&self, entity: EntityRef) -> Option<EntityDelta>;
    /// Tells that a checkpoint holds this entity up to `version`.
    fn checkpointed(&self, entity: EntityRef, version: u64);
    /// Those that were woken for nothing since the last call.
    fn woken_for_nothing(&self) -> Vec<WakeAt>;
}

/// An entity's own history, as far as its newest state needs it.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// Its snapshot, if it has one.
    pub snapshot: Option<Snapshot>,
    /// Its records that no checkpoint holds, in order; some may be older than the snapshot.
    pub records: Vec<Vec<u8>>,
}

/// Reads an entity back from the store.
#[async_trait]
pub trait Histories: Send + Sync + 'static {
    /// What the newest state of this entity is made from. Everything durable when this is called is in it.
    async fn history(&self, entity: EntityRef) -> Result<History, StoreError>;
}
