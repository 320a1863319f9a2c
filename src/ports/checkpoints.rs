//! What checkpoints write, and remakes of rows with them.

use super::{Partition, StoreError};
use crate::domain::details::DetailName;
use crate::domain::entity::Part;
use crate::domain::ids::{EntityRef, Kind};
use crate::domain::rows::{Rows, Shapes};
use crate::domain::time::Timestamp;
use async_trait::async_trait;
use uuid::Uuid;

/// What one entity gives a checkpoint.
#[derive(Clone, Debug, PartialEq)]
pub struct EntityDelta {
    /// The entity.
    pub entity: EntityRef,
    /// Its version in this delta.
    pub version: u64,
    /// When it must be woken.
    pub wake_at: Option<Timestamp>,
    /// Its parts that changed (a part without state is deleted).
    pub parts: Vec<Part>,
    /// Its rows that changed; of a remake, all it has.
    pub rows: Rows,
    /// The shape of these rows.
    pub shape: u32,
    /// Details that this state needs no more: they are gone with the transaction that writes it.
    pub spent: &'static [DetailName],
    /// Whether no checkpoint has ever written anything of it: a hint, by which a store may insert without looking first. Where it is wrong, all is
    /// written as if it had not been given. After a write whose outcome is unknown it is not given any more.
    pub fresh: bool,
}

impl EntityDelta {
    /// All rows of an entity, made of its snapshot, for a [`Remake`].
    pub fn remade(entity: EntityRef, version: u64, shape: u32, rows: Rows) -> Self {
        Self { entity, version, wake_at: None, parts: Vec::new(), rows, shape, spent: &[], fresh: false }
    }
}

/// When an entity at this version is to be woken, where its snapshot says something else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WakeAt {
    /// The entity.
    pub entity: EntityRef,
    /// Its version, which a checkpoint holds.
    pub version: u64,
    /// When; `None` if never.
    pub wake_at: Option<Timestamp>,
}

/// A slice of a checkpoint, or of a remake.
#[derive(Clone, Copy, Debug, Default)]
pub struct CheckpointWrite<'a> {
    /// The partitions of the writer, whose epochs must still be its own.
    pub owned: &'a [Partition],
    /// Snapshots and rows; those older than what is there are passed over: of an older version, or of this version and an older shape.
    pub entities: &'a [EntityDelta],
    /// The new checkpoint per partition, when this is its last slice.
    pub advance: &'a [(u16, u64)],
    /// Makes it a remake: each entity gives all rows that its snapshot makes, and no part.
    pub remake: Option<Remake<'a>>,
}

/// What a remake writes besides rows. An entity may have rows of an older shape that its state does not give any more: the remake deletes
/// them. It deletes the mark of an entity whose rows were rejected, too.
#[derive(Clone, Copy, Debug, Default)]
pub struct Remake<'a> {
    /// Entities of which no rows can be made, with the versions of their snapshots: they are marked as if their rows were rejected.
    pub unreadable: &'a [(u64, RejectedRows)],
    /// How far it has come by this. Written in the last transaction.
    pub progress: Option<Remaking>,
}

/// How the rows of a kind stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Remaking {
    /// The kind.
    pub kind: Kind,
    /// Every row has this shape, or a newer one, but those of marked entities.
    pub complete: u32,
    /// The shape that they are remade to; the same when nothing is to be done.
    pub aim: u32,
    /// The last entity of which the rows are remade, in the order of ids.
    pub reached: Option<Uuid>,
}

impl Remaking {
    /// All rows of a kind have this shape.
    pub fn done(kind: Kind, shape: u32) -> Self {
        Self { kind, complete: shape, aim: shape, reached: None }
    }
}

/// An entity whose rows a constraint refused; its snapshot was written, and its rows marked as refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RejectedRows {
    /// The entity.
    pub entity: EntityRef,
    /// What the store said.
    pub reason: String,
}

/// What became of a write.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// Entities whose rows were refused.
    pub refused: Vec<RejectedRows>,
    /// Entities whose rows were refused before, and that gave newer ones, which were taken: now the others can be remade.
    pub to_remake: Vec<EntityRef>,
}

/// Writes snapshots and read tables.
#[async_trait]
pub trait Checkpoints: Send + Sync + 'static {
    /// Writes what is given, in one or more transactions. Entities whose rows break a constraint are singled out and marked, and the rest
    /// is written; the mark goes when the entity's rows are remade.
    ///
    /// # Errors
    /// Fenced when the epoch of an owned partition is another's; Unavailable (then it can be repeated as it is).
    async fn write(&self, write: CheckpointWrite<'_>) -> Result<Written, StoreError>;

    /// Puts right when these are to be woken: those that have another version in the store by now stay as they are.
    ///
    /// # Errors
    /// As [`Checkpoints::write`].
    async fn set_wakes(&self, owned: &[Partition], wakes: &[WakeAt]) -> Result<(), StoreError>;

    /// Forgets all snapshots and read tables, and sets the checkpoints back to the beginning, in one transaction: the journal
    /// makes them anew, in these shapes.
    ///
    /// # Errors
    /// As [`Checkpoints::write`].
    async fn clear(&self, owned: &[Partition], shapes: &Shapes) -> Result<(), StoreError>;

    /// How the rows of each kind that has rows stand.
    async fn remaking(&self) -> Result<Vec<Remaking>, StoreError>;

    /// The entities of this kind that are marked, since their rows were refused, in the order of ids after `after`.
    async fn marked(&self, kind: Kind, after: Option<Uuid>, limit: u32) -> Result<Vec<EntityRef>, StoreError>;
}
