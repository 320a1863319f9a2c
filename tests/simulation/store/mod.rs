//! The simulated store: a server that survives every crash (here), the ports as one node sees them (`connection.rs`), and the way
//! between the two, on which requests and answers are lost or late (`way.rs`). It keeps to what the two real stores promise and to
//! nothing more.

mod connection;
mod jobs;
mod waiting;
mod way;

pub use way::Way;

use crate::damage::Damage;
use crate::judges::Oracle;
use crate::world::{World, lock};
use async_trait::async_trait;
use connection::Connection;
use haat::domain::details::{Detail, DetailName};
use haat::domain::entity::Part;
use haat::domain::ids::{CouponId, CustomerId, EntityRef, JobId, Kind, OrderId, ProductId, SaleId, SkuId, VendorId};
use haat::domain::rows::{
    CouponRow, CustomerRow, OrderRow, ProductRow, Rows, SaleRow, Shapes, SkuRow, StockChangeRow, VendorRow,
};
use haat::domain::time::Timestamp;
use haat::domain::vendor::GoodsStatus;
use haat::limits;
use haat::ports::standing::{PoolStanding, Pools};
use haat::ports::units::{Statement, Unit, UnitEnd, UnitError, Units, Value, ValueKind};
use haat::ports::{
    BeginFrom, CheckpointWrite, Committed, CursorMove, EntityDelta, FollowerCursor, Frame, Made, Partition,
    RejectedRows, Remake, Remaking, Snapshot, Store, StoreError, StoreKey, WakeAt, Written,
};
use jobs::KeptJob;
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::time::Instant;
use uuid::Uuid;

/// The longest that an ordinary request is under way, in milliseconds, each way.
const USUAL_MS: u64 = 4;
/// And one that is not.
const SLOW_MS: u64 = 6_000;
/// What the readings of two clocks may be apart for their grain, in milliseconds.
const GRAIN_MS: i64 = 5;

pub struct Head {
    epoch: u64,
    owner_until: Instant,
    pub checkpoint_seq: u64,
    pub base_seq: u64,
}

pub struct SavedPart {
    version: u64,
    wake_at: Option<Timestamp>,
    state: Vec<u8>,
}

/// The tables that rows have keys of their own in; an order's shares are in its row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Table {
    Vendors,
    Products,
    Skus,
    Sales,
    Customers,
    Orders,
    Coupons,
}

pub struct Tables {
    vendors: BTreeMap<VendorId, VendorRow>,
    products: BTreeMap<ProductId, ProductRow>,
    pub skus: BTreeMap<SkuId, SkuRow>,
    /// Table `sales`.
    pub sales: BTreeMap<SaleId, SaleRow>,
    pub customers: BTreeMap<CustomerId, CustomerRow>,
    pub orders: BTreeMap<OrderId, OrderRow>,
    pub coupons: BTreeMap<CouponId, CouponRow>,
    /// Of each row: whose it is, and the version and the shape that it shows.
    stamps: BTreeMap<(Table, Uuid), (EntityRef, u64, u32)>,
    /// How the rows of each kind stand.
    remaking: BTreeMap<Kind, Remaking>,
    /// Entities of which rows were refused and have not come again, with the versions of those rows.
    refused: BTreeMap<EntityRef, u64>,
    /// Entities that were ever among them.
    ever_refused: BTreeSet<EntityRef>,
}

impl Default for Tables {
    /// As migrations leave them: empty, and of the first shape.
    fn default() -> Self {
        let kinds = [Kind::Order, Kind::Vendor, Kind::Customer, Kind::Coupon];
        let remaking = kinds.map(|kind| (kind, Remaking::done(kind, 1)));
        Self {
            vendors: BTreeMap::new(),
            products: BTreeMap::new(),
            skus: BTreeMap::new(),
            sales: BTreeMap::new(),
            customers: BTreeMap::new(),
            orders: BTreeMap::new(),
            coupons: BTreeMap::new(),
            stamps: BTreeMap::new(),
            remaking: remaking.into(),
            refused: BTreeMap::new(),
            ever_refused: BTreeSet::new(),
        }
    }
}

impl Tables {
    /// Whether a row is newer than what is there, if anything is: then it is what is there.
    fn is_newer(&mut self, table: Table, id: Uuid, delta: &EntityDelta) -> bool {
        let there = self.stamps.get(&(table, id)).map(|(_, version, shape)| (*version, *shape));
        let newer = there.is_none_or(|there| (delta.version, delta.shape) > there);
        if newer {
            self.stamps.insert((table, id), (delta.entity, delta.version, delta.shape));
        }
        newer
    }

    fn put(&mut self, delta: &EntityDelta) {
        let Rows { vendors, products, skus, sales, customers, orders, coupons } = delta.rows.clone();
        for row in coupons {
            if self.is_newer(Table::Coupons, row.id.uuid(), delta) {
                self.coupons.insert(row.id, row);
            }
        }
        for row in vendors {
            if self.is_newer(Table::Vendors, row.id.uuid(), delta) {
                self.vendors.insert(row.id, row);
            }
        }
        for row in products {
            if self.is_newer(Table::Products, row.id.uuid(), delta) {
                self.products.insert(row.id, row);
            }
        }
        for row in skus {
            if self.is_newer(Table::Skus, row.id.uuid(), delta) {
                self.skus.insert(row.id, row);
            }
        }
        for row in sales {
            if self.is_newer(Table::Sales, row.id.uuid(), delta) {
                self.sales.insert(row.id, row);
            }
        }
        for row in customers {
            if self.is_newer(Table::Customers, row.id.uuid(), delta) {
                self.customers.insert(row.id, row);
            }
        }
        for row in orders {
            if self.is_newer(Table::Orders, row.id.uuid(), delta) {
                self.orders.insert(row.id, row);
            }
        }
    }

    /// Deletes the rows of an entity that are of an older shape and of no newer version; gives how many.
    fn delete_former(&mut self, delta: &EntityDelta) -> usize {
        let is_former = |(_, (of, version, shape)): &(&(Table, Uuid), &(EntityRef, u64, u32))| {
            *of == delta.entity && *version <= delta.version && *shape < delta.shape
        };
        let former: Vec<(Table, Uuid)> = self.stamps.iter().filter(is_former).map(|(key, _)| *key).collect();
        for (table, id) in &former {
            self.stamps.remove(&(*table, *id));
            match table {
                Table::Vendors => drop(self.vendors.remove(&VendorId::from_uuid(*id))),
                Table::Products => drop(self.products.remove(&ProductId::from_uuid(*id))),
                Table::Skus => drop(self.skus.remove(&SkuId::from_uuid(*id))),
                Table::Sales => drop(self.sales.remove(&SaleId::from_uuid(*id))),
                Table::Customers => drop(self.customers.remove(&CustomerId::from_uuid(*id))),
                Table::Orders => drop(self.orders.remove(&OrderId::from_uuid(*id))),
                Table::Coupons => drop(self.coupons.remove(&CouponId::from_uuid(*id))),
            }
        }
        former.len()
    }
}

pub struct Disk {
    pub journal: Vec<BTreeMap<u64, Frame>>,
    pub heads: Vec<Head>,
    /// Who raised the epochs last.
    owner: String,
    pub snapshots: BTreeMap<EntityRef, BTreeMap<String, SavedPart>>,
    pub tables: Tables,
    /// Beside the journal: what is kept of each order and sort.
    pub details: BTreeMap<(OrderId, DetailName), Option<Vec<u8>>>,
    pub damage: Damage,
    /// How far each follower has come in each partition.
    pub cursors: BTreeMap<(String, u16), u64>,
    pub stock_changes: BTreeMap<(VendorId, u64, u32), StockChangeRow>,
    /// What the world is to hear of.
    pub jobs: BTreeMap<JobId, KeptJob>,
    /// Up to when each payment provider was asked what has changed.
    swept: BTreeMap<String, Timestamp>,
    /// Appends that have looked at the epochs and have not written yet.
    pub appending: u32,
}

/// The store itself.
pub struct Server {
    pub disk: Mutex<Disk>,
    pub world: Arc<World>,
    oracle: Arc<Oracle>,
    /// The store of which this is the archive, if it is one.
    pub origin: Option<Arc<Server>>,
}

impl Disk {
    pub fn tail(&self, partition: usize) -> u64 {
        self.journal[partition].last_key_value().map_or(0, |(seq, _)| *seq)
    }

    fn partitions(&self) -> Vec<Partition> {
        let partition = |(id, head): (usize, &Head)| Partition {
            id: id as u16,
            epoch: head.epoch,
            tail_seq: self.tail(id),
            checkpoint_seq: head.checkpoint_seq,
            base_seq: head.base_seq,
        };
        self.heads.iter().enumerate().map(partition).collect()
    }

    pub fn is_taken(&self, frame: &Frame) -> bool {
        self.journal[usize::from(frame.partition)].contains_key(&frame.seq)
    }

    /// Forgets all snapshots and tables.
    pub fn forget(&mut self, shapes: &Shapes) {
        self.snapshots.clear();
        self.tables = Tables { ever_refused: std::mem::take(&mut self.tables.ever_refused), ..Tables::default() };
        for (kind, remaking) in &mut self.tables.remaking {
            *remaking = Remaking::done(*kind, shapes.of(*kind));
        }
        self.heads.iter_mut().for_each(|head| head.checkpoint_seq = 0);
    }

    pub fn owns(&self, owned: &[Partition]) -> bool {
        owned.iter().all(|own| self.heads[usize::from(own.id)].epoch == own.epoch)
    }

    fn cursors(&self, of: Option<&str>) -> Vec<FollowerCursor> {
        let all = self.cursors.iter().filter(|((follower, _), _)| of.is_none_or(|of| of == follower));
        let cursor = |((follower, partition), seq): (&(String, u16), &u64)| FollowerCursor {
            follower: follower.clone(),
            partition: *partition,
            seq: *seq,
        };
        all.map(cursor).collect()
    }

    fn snapshot(&self, entity: EntityRef) -> Option<Snapshot> {
        let parts = self.snapshots.get(&entity)?;
        let version = parts.values().map(|part| part.version).max()?;
        let part = |(name, part): (&String, &SavedPart)| Part {
            name: name.clone(),
            state: Some(self.damage.part(entity, name, &part.state)),
        };
        Some(Snapshot { entity, version, parts: parts.iter().map(part).collect() })
    }

    /// Saves rows, which a constraint may refuse, and if these are not all rows a snapshot.
    fn save(&mut self, delta: &EntityDelta, is_remake: bool, refuses: impl FnOnce() -> bool, written: &mut Written) {
        let entity = delta.entity;
        if !is_remake && !self.save_parts(delta) {
            return;
        }
        if delta.rows != Rows::default() && refuses() {
            self.mark(entity, delta.version);
            written.refused.push(RejectedRows { entity, reason: "a constraint of the simulation".to_owned() });
            return;
        }
        if self.tables.refused.get(&entity).is_some_and(|version| delta.version >= *version) {
            match is_remake {
                true => {
                    self.tables.refused.remove(&entity);
                }
                false => {
                    written.to_remake.push(entity);
                }
            }
        }
        self.tables.put(delta);
    }

    fn mark(&mut self, entity: EntityRef, version: u64) {
        self.tables.refused.insert(entity, version);
        self.tables.ever_refused.insert(entity);
    }

    /// Whether there is nothing newer.
    fn save_parts(&mut self, delta: &EntityDelta) -> bool {
        let entity = delta.entity;
        let parts = self.snapshots.entry(entity).or_default();
        if parts.get("").is_some_and(|head| head.version > delta.version) {
            return false;
        }
        for part in &delta.parts {
            self.damage.part_written(entity, &part.name);
            match &part.state {
                Some(state) => {
                    let saved = SavedPart { version: delta.version, wake_at: delta.wake_at, state: state.clone() };
                    if parts.get(&part.name).is_none_or(|before| before.version < delta.version) {
                        parts.insert(part.name.clone(), saved);
                    }
                }
                None => drop(parts.remove(&part.name)),
            }
        }
        true
    }
}

/// The simulation has people who race, and services are what nobody races for: its store has no rows of theirs.
struct NoUnits;

impl Pools for NoUnits {
    fn sort(&self) -> &'static str {
        "simulation"
    }

    fn pools(&self) -> Vec<PoolStanding> {
        Vec::new()
    }
}

#[async_trait]
impl Units for NoUnits {
    async fn run(&self, _: Unit) -> Result<UnitEnd, UnitError> {
        Err(UnitError::Unavailable("the simulation has no services".into()))
    }

    /// The version of what nobody has changed, and of anything else no rows.
    async fn read(&self, _: Statement, columns: &[ValueKind]) -> Result<Vec<Vec<Value>>, StoreError> {
        let is_version = columns == [ValueKind::Integer];
        Ok(if is_version { vec![vec![Value::Integer(Some(0))]] } else { Vec::new() })
    }
}

impl Server {
    pub fn new(world: Arc<World>, oracle: Arc<Oracle>) -> Arc<Self> {
        Self::empty(world, oracle, None)
    }

    /// An archive of this store, with nothing in it yet.
    pub fn archive_of(origin: &Arc<Self>) -> Arc<Self> {
        Self::empty(origin.world.clone(), origin.oracle.clone(), Some(origin.clone()))
    }

    fn empty(world: Arc<World>, oracle: Arc<Oracle>, origin: Option<Arc<Self>>) -> Arc<Self> {
        let head = |_| Head { epoch: 0, owner_until: Instant::now(), checkpoint_seq: 0, base_seq: 0 };
        let disk = Disk {
            journal: (0..limits::PARTITIONS).map(|_| BTreeMap::new()).collect(),
            heads: (0..limits::PARTITIONS).map(head).collect(),
            owner: String::new(),
            snapshots: BTreeMap::new(),
            tables: Tables::default(),
            details: BTreeMap::new(),
            damage: Damage::default(),
            cursors: BTreeMap::new(),
            stock_changes: BTreeMap::new(),
            jobs: BTreeMap::new(),
            swept: BTreeMap::new(),
            appending: 0,
        };
        Arc::new(Self { disk: Mutex::new(disk), world, oracle, origin })
    }

    /// The store as one node sees it.
    pub fn connect(self: &Arc<Self>, way: Way) -> Store {
        let connection = Arc::new(Connection {
            server: self.clone(),
            way,
            checkpoints: AtomicU64::new(0),
            carried_out: Arc::default(),
        });
        Store {
            journal: connection.clone(),
            snapshots: connection.clone(),
            checkpoints: connection.clone(),
            queries: connection.clone(),
            details: connection.clone(),
            followers: connection.clone(),
            jobs: connection,
            units: Arc::new(NoUnits),
            pools: Arc::new(NoUnits),
            key: StoreKey([1; 32]),
        }
    }

    /// Looks at the epochs, and writes a little later: between the two another may take the store.
    async fn append(&self, frames: &[Frame], details: &[Detail]) -> Result<(), StoreError> {
        self.may_append(frames)?;
        self.world.chance("store").pause(USUAL_MS).await;
        let mut disk = lock(&self.disk);
        disk.appending -= 1;
        if frames.iter().any(|frame| disk.is_taken(frame)) {
            self.world.note("commit collides");
            return Err(StoreError::Collision);
        }
        for frame in frames {
            // A machine may have slept over a frame, but none is of a time to come.
            let latest = self.world.now().plus_millis(self.world.plan.skew_ms as i64 + GRAIN_MS);
            if frame.at > latest {
                self.world.breach(format_args!("a frame of {} is written at {latest} at the latest", frame.at));
            }
            disk.journal[usize::from(frame.partition)].insert(frame.seq, frame.clone());
            self.world.note(format_args!(
                "commit {}/{} of epoch {}, batch {}, {} records, {:016x}",
                frame.partition,
                frame.seq,
                frame.epoch,
                frame.batch,
                frame.records,
                xxhash_rust::xxh3::xxh3_64(&frame.payload)
            ));
        }
        for detail in details {
            let is_gone = disk.details.get(&(detail.order, DetailName::Contact)) == Some(&None);
            let there = disk.details.entry((detail.order, detail.name));
            match detail.name {
                // Behind those that are there; where nothing may be kept, nothing is.
                DetailName::Notes => {
                    let notes = there.or_insert_with(|| (!is_gone).then(Vec::new));
                    notes.iter_mut().for_each(|notes| notes.extend_from_slice(&detail.body));
                }
                DetailName::Contact | DetailName::Payment => _ = there.or_insert_with(|| Some(detail.body.to_vec())),
            }
        }
        self.world.count("commits");
        self.oracle.committed(frames, details);
        Ok(())
    }

    fn may_append(&self, frames: &[Frame]) -> Result<(), StoreError> {
        let mut disk = lock(&self.disk);
        let is_taken = frames.iter().any(|frame| disk.is_taken(frame));
        let is_over = frames.iter().any(|frame| disk.heads[usize::from(frame.partition)].epoch != frame.epoch);
        // Either word is true where both are; the two real stores differ in which they give.
        if is_over && (!is_taken || self.world.chance("store").per_mille(500)) {
            self.world.count("appends of a term that is over");
            self.world.note("commit of a term that is over");
            return Err(StoreError::Fenced);
        }
        if is_taken {
            self.world.note("commit collides");
            return Err(StoreError::Collision);
        }
        disk.appending += 1;
        Ok(())
    }

    fn committed(&self, frames: &[Frame]) -> Committed {
        let disk = lock(&self.disk);
        let batch = |frame: &Frame| {
            disk.journal[usize::from(frame.partition)].get(&frame.seq).map(|there| there.batch == frame.batch)
        };
        let found: Vec<bool> = frames.iter().filter_map(batch).collect();
        match found.len() {
            0 => Committed::Nothing,
            count if count == frames.len() && found.iter().all(|ours| *ours) => Committed::All,
            _ => Committed::Conflicting,
        }
    }

    fn begin_follower(&self, follower: &str, from: BeginFrom) -> Vec<FollowerCursor> {
        let mut disk = lock(&self.disk);
        for partition in 0..limits::PARTITIONS {
            let place = match from {
                BeginFrom::First => disk.heads[usize::from(partition)].base_seq,
                BeginFrom::Tail => disk.tail(usize::from(partition)),
            };
            disk.cursors.entry((follower.to_owned(), partition)).or_insert(place);
        }
        disk.cursors(Some(follower))
    }

    /// Writes what a follower made, if its cursors stand where it says.
    fn pass(&self, follower: &str, moves: &[CursorMove], made: Made) -> bool {
        let mut disk = lock(&self.disk);
        let key = |partition: u16| (follower.to_owned(), partition);
        if moves.iter().any(|(partition, from, _)| disk.cursors.get(&key(*partition)) != Some(from)) {
            self.world.count("passes that come too late");
            return false;
        }
        for (partition, _, to) in moves {
            if *to > disk.tail(usize::from(*partition)) {
                self.world.breach(format_args!(
                    "{follower} has read frame {to} of partition {partition}, which is not there"
                ));
            }
            disk.cursors.insert(key(*partition), *to);
        }
        for row in made.stock_changes {
            let place = (row.vendor_id, row.version, row.position);
            if disk.stock_changes.insert(place, row).is_some() {
                self.world.breach(format_args!("{follower} makes {place:?} twice"));
            }
        }
        for job in made.jobs {
            if !disk.add_job(job) {
                self.world.breach(format_args!("{follower} makes {job:?} twice"));
            }
        }
        for skipped in made.skipped {
            if !disk.damage.ever().contains(&skipped.entity) {
                self.world.breach(format_args!("{follower} leaves out {skipped:?}"));
            }
        }
        self.world.count("passes of followers");
        true
    }

    /// Who took the store last.
    pub fn owner(&self) -> String {
        lock(&self.disk).owner.clone()
    }

    fn raise_epochs(&self, owner: String, lease: Duration) -> (Vec<u64>, Instant) {
        let mut disk = lock(&self.disk);
        self.world.note(format_args!("{owner} raises the epochs"));
        disk.owner = owner;
        let mut free_at = Instant::now();
        for head in &mut disk.heads {
            head.epoch += 1;
            free_at = free_at.max(head.owner_until);
            head.owner_until = head.owner_until.max(Instant::now() + lease);
        }
        (disk.heads.iter().map(|head| head.epoch).collect(), free_at)
    }

    /// Epoch frames at the tails of those partitions that are still the taker's.
    fn append_epoch_frames(&self, epochs: &[u64], now: Timestamp, batch: Uuid) {
        let mut disk = lock(&self.disk);
        for (partition, epoch) in epochs.iter().enumerate() {
            if disk.heads[partition].epoch != *epoch {
                continue;
            }
            let last = disk.journal[partition].last_key_value().map(|(seq, frame)| (*seq, frame.at));
            let (seq, at) = last.map_or((1, now), |(seq, at)| (seq + 1, at.max(now)));
            let codec = haat::ports::Codec::Plain;
            let partition = partition as u16;
            let frame = Frame { partition, seq, epoch: *epoch, at, batch, records: 0, codec, payload: Vec::new() };
            disk.journal[usize::from(partition)].insert(seq, frame);
        }
    }

    fn write(&self, write: CheckpointWrite<'_>, is_late: bool) -> Option<Written> {
        let CheckpointWrite { owned, entities: delta, advance, remake } = write;
        let mut disk = lock(&self.disk);
        if !disk.owns(owned) {
            return None;
        }
        let mut written = Written::default();
        for delta in delta {
            if delta.fresh && !is_late && disk.snapshots.contains_key(&delta.entity) {
                self.world.breach(format_args!("{} is taken for new and has a snapshot", delta.entity));
            }
            let refuses = || {
                // An archive's rows are nobody's.
                let refuses = self.origin.is_none() && self.world.fault("refused rows", self.world.plan.refusals);
                if refuses {
                    self.world.note(format_args!("the rows of {} are refused", delta.entity));
                }
                refuses
            };
            let given = of_its_shape(&self.world, delta);
            disk.save(&given, remake.is_some(), refuses, &mut written);
            if remake.is_some() && disk.tables.delete_former(&given) > 0 {
                self.world.count("rows of a former shape");
            }
            for name in delta.spent {
                disk.details.remove(&(OrderId::from_uuid(delta.entity.uuid), *name));
            }
        }
        if let Some(Remake { unreadable, progress }) = remake {
            for (version, RejectedRows { entity, .. }) in unreadable {
                if !disk.damage.ever().contains(entity) {
                    self.world.breach(format_args!("the rows of {entity} cannot be remade"));
                }
                disk.mark(*entity, *version);
            }
            if let Some(progress) = progress {
                disk.tables.remaking.insert(progress.kind, progress);
            }
            self.world.count("remakes");
            self.world.note(format_args!("{} entities are remade, {progress:?}", delta.len()));
            return Some(written);
        }
        for (partition, seq) in advance {
            let head = &mut disk.heads[usize::from(*partition)];
            head.checkpoint_seq = head.checkpoint_seq.max(*seq);
        }
        self.world.count("checkpoints");
        self.world.note(format_args!("checkpoint of {} entities, {advance:?}", delta.len()));
        Some(written)
    }

    fn set_wakes(&self, owned: &[Partition], wakes: &[WakeAt]) -> Option<()> {
        let mut disk = lock(&self.disk);
        if !disk.owns(owned) {
            return None;
        }
        for WakeAt { entity, version, wake_at } in wakes {
            let head = disk.snapshots.get_mut(entity).and_then(|parts| parts.get_mut(""));
            head.into_iter().filter(|head| head.version == *version).for_each(|head| head.wake_at = *wake_at);
        }
        Some(())
    }

    /// Whether rows of this entity were ever refused: whoever shows them may show old ones.
    pub fn had_rejected_rows(&self, entity: EntityRef) -> bool {
        lock(&self.disk).tables.ever_refused.contains(&entity)
    }

    /// Whether rows of any entity were ever refused.
    pub fn ever_rejected_rows(&self) -> bool {
        !lock(&self.disk).tables.ever_refused.is_empty()
    }

    /// The vendors of which rows were refused and have not come again.
    pub fn marked_vendors(&self) -> Vec<VendorId> {
        let refused = &lock(&self.disk).tables.refused;
        let vendors = refused.keys().filter(|entity| entity.kind == Kind::Vendor);
        vendors.map(|entity| VendorId::from_uuid(entity.uuid)).collect()
    }

    /// What is still to be remade in these shapes, in words.
    pub fn to_remake(&self, shapes: &Shapes) -> Vec<String> {
        let tables = &lock(&self.disk).tables;
        let marked = tables.refused.keys().map(|entity| format!("{entity}, whose rows were refused"));
        let remaking = tables.remaking.values().filter(|remaking| remaking.complete != shapes.of(remaking.kind));
        marked.chain(remaking.map(|remaking| format!("{remaking:?}"))).collect()
    }

    /// Lets the oracle look at the read tables.
    pub fn show_tables(&self) {
        let disk = lock(&self.disk);
        for ((follower, partition), seq) in &disk.cursors {
            let tail = disk.tail(usize::from(*partition));
            if *seq < tail {
                self.world.breach(format_args!(
                    "{follower} has read frame {seq} of partition {partition}, which ends at {tail}"
                ));
            }
        }
        let shapes = self.world.plan.shapes();
        for ((table, id), (of, version, shape)) in &disk.tables.stamps {
            if *shape != shapes.of(of.kind) {
                self.world.breach(format_args!("{id} in {table:?}, of {of} at {version}, still has shape {shape}"));
            }
        }
        self.oracle.check_left(&disk);
    }
}

/// A product that only a former shape has, of this vendor.
fn former_product(vendor: &VendorRow) -> ProductRow {
    ProductRow {
        id: ProductId::from_uuid(Uuid::from_u128(!vendor.id.uuid().as_u128())),
        vendor_id: vendor.id,
        title: "of a former shape".to_owned(),
        description: None,
        category: None,
        created_at: Timestamp::from_millis(1),
        sku_ids: Vec::new(),
        status: GoodsStatus::Active,
        price: None,
        in_stock: false,
        words: String::new(),
    }
}

/// What the version that has this shape gives. The engine here is the newest; of an older one some columns are other ones, and one row is of no
/// newer one.
fn of_its_shape<'a>(world: &World, delta: &'a EntityDelta) -> Cow<'a, EntityDelta> {
    if world.is_calm() || delta.shape >= world.plan.shapes().of(delta.entity.kind) {
        return Cow::Borrowed(delta);
    }
    let mut former = delta.clone();
    let Rows { vendors, products, skus, sales: _, customers: _, orders, coupons: _ } = &mut former.rows;
    products.iter_mut().for_each(|row| row.description = Some("of a former shape".to_owned()));
    skus.iter_mut().for_each(|row| row.code.push_str(" of a former shape"));
    orders.iter_mut().flat_map(|row| &mut row.lines).for_each(|line| line.title.push_str(" of a former shape"));
    products.extend(vendors.iter().map(former_product));
    Cow::Owned(former)
}
