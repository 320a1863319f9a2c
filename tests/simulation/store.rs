//! The simulated store: a server that survives every crash, and the way to it, on which requests and answers are lost or late. It
//! keeps to what the two real stores promise and to nothing more.

use crate::damage::Damage;
use crate::oracle::Oracle;
use crate::world::{SimulatedClock, World, lock};
use async_trait::async_trait;
use haat::domain::entity::Part;
use haat::domain::ids::{EntityRef, Kind, OrderId, ProductId, SkuId, VendorId};
use haat::domain::order::OrderStatus;
use haat::domain::rows::{OrderRow, ProductRow, Rows, SkuRow, VendorRow};
use haat::domain::time::Timestamp;
use haat::limits;
use haat::ports::{
    CheckpointWrite, Checkpoints, Committed, Due, EntityDelta, Frame, Journal, OrdersOf, Partition, ProductFilter,
    Queries, RejectedRows, Snapshot, Snapshots, Store, StoreError, Written,
};
use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::time::{Instant, sleep, sleep_until};
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

#[derive(Default)]
pub struct Tables {
    vendors: BTreeMap<VendorId, VendorRow>,
    products: BTreeMap<ProductId, ProductRow>,
    pub skus: BTreeMap<SkuId, SkuRow>,
    orders: BTreeMap<OrderId, OrderRow>,
    /// Entities of which rows were refused and have not come again.
    refused: BTreeSet<EntityRef>,
    /// Entities that were ever among them.
    ever_refused: BTreeSet<EntityRef>,
}

pub struct Disk {
    pub journal: Vec<BTreeMap<u64, Frame>>,
    pub heads: Vec<Head>,
    /// Who raised the epochs last.
    owner: String,
    pub snapshots: BTreeMap<EntityRef, BTreeMap<String, SavedPart>>,
    pub tables: Tables,
    pub damage: Damage,
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
    pub fn forget(&mut self) {
        self.snapshots.clear();
        self.tables = Tables { ever_refused: std::mem::take(&mut self.tables.ever_refused), ..Tables::default() };
        self.heads.iter_mut().for_each(|head| head.checkpoint_seq = 0);
    }

    pub fn owns(&self, owned: &[Partition]) -> bool {
        owned.iter().all(|own| self.heads[usize::from(own.id)].epoch == own.epoch)
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

    /// Saves a snapshot and rows, which a constraint may refuse.
    fn save(&mut self, delta: &EntityDelta, refuses: impl FnOnce() -> bool, written: &mut Written) {
        let entity = delta.entity;
        let parts = self.snapshots.entry(entity).or_default();
        if parts.get("").is_some_and(|head| head.version > delta.version) {
            return;
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
        if delta.rows != Rows::default() && refuses() {
            self.tables.refused.insert(entity);
            self.tables.ever_refused.insert(entity);
            written.refused.push(RejectedRows { entity, reason: "a constraint of the simulation".to_owned() });
            return;
        }
        if self.tables.refused.contains(&entity) {
            match delta.whole {
                true => drop(self.tables.refused.remove(&entity)),
                false => written.incomplete.push(entity),
            }
        }
        let Rows { vendors, products, skus, orders } = delta.rows.clone();
        self.tables.vendors.extend(vendors.into_iter().map(|row| (row.id, row)));
        self.tables.products.extend(products.into_iter().map(|row| (row.id, row)));
        self.tables.skus.extend(skus.into_iter().map(|row| (row.id, row)));
        self.tables.orders.extend(orders.into_iter().map(|row| (row.id, row)));
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
            damage: Damage::default(),
            appending: 0,
        };
        Arc::new(Self { disk: Mutex::new(disk), world, oracle, origin })
    }

    /// The store as one node sees it.
    pub fn connect(self: &Arc<Self>, way: Way) -> Store {
        let connection = Arc::new(Connection { server: self.clone(), way });
        Store {
            journal: connection.clone(),
            snapshots: connection.clone(),
            checkpoints: connection.clone(),
            queries: connection,
        }
    }

    /// Looks at the epochs, and writes a little later: between the two another may take the store.
    async fn append(&self, frames: &[Frame]) -> Result<(), StoreError> {
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
        self.world.count("commits");
        self.oracle.committed(frames);
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

    fn write(&self, owned: &[Partition], delta: &[EntityDelta], advance: &[(u16, u64)]) -> Option<Written> {
        let mut disk = lock(&self.disk);
        if !disk.owns(owned) {
            return None;
        }
        let mut written = Written::default();
        for delta in delta {
            if delta.fresh && disk.snapshots.contains_key(&delta.entity) {
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
            disk.save(delta, refuses, &mut written);
        }
        for (partition, seq) in advance {
            let head = &mut disk.heads[usize::from(*partition)];
            head.checkpoint_seq = head.checkpoint_seq.max(*seq);
        }
        self.world.count("checkpoints");
        self.world.note(format_args!("checkpoint of {} entities, {advance:?}", delta.len()));
        Some(written)
    }

    /// Whether rows of this entity were ever refused: whoever shows them may show old ones.
    pub fn had_rejected_rows(&self, entity: EntityRef) -> bool {
        lock(&self.disk).tables.ever_refused.contains(&entity)
    }

    /// Whether rows of any entity were ever refused.
    pub fn ever_rejected_rows(&self) -> bool {
        !lock(&self.disk).tables.ever_refused.is_empty()
    }

    /// The vendors of which rows are missing.
    pub fn incomplete_vendors(&self) -> Vec<VendorId> {
        let refused = &lock(&self.disk).tables.refused;
        let vendors = refused.iter().filter(|entity| entity.kind == Kind::Vendor);
        vendors.map(|entity| VendorId::from_uuid(entity.uuid)).collect()
    }

    /// Makes the rows of orders anew that were refused: an order that has ended gives none any more, and waits for a rebuild.
    pub fn rebuild_orders(&self) {
        let mut disk = lock(&self.disk);
        for entity in std::mem::take(&mut disk.tables.refused) {
            let row = self.oracle.order_row(OrderId::from_uuid(entity.uuid));
            disk.tables.orders.extend(row.map(|row| (row.id, row)));
        }
    }
}

/// What lies between a node and the store or the gateway.
#[derive(Clone)]
pub struct Way {
    pub world: Arc<World>,
    /// Ends the node.
    pub crashes: Option<Arc<dyn Fn() + Send + Sync>>,
    /// The clock of the node; none where a tool asks.
    pub clock: Option<Arc<SimulatedClock>>,
    /// Until when nothing comes through.
    pub cut_until: Arc<Mutex<Instant>>,
}

impl Way {
    pub fn new(world: Arc<World>, crashes: Arc<dyn Fn() + Send + Sync>, clock: Arc<SimulatedClock>) -> Self {
        Self { crashes: Some(crashes), clock: Some(clock), ..Self::of_a_tool(world) }
    }

    /// The way of a tool, which no crash of a node concerns.
    pub fn of_a_tool(world: Arc<World>) -> Self {
        Self { world, crashes: None, clock: None, cut_until: Arc::new(Mutex::new(Instant::now())) }
    }

    fn is_cut(&self) -> bool {
        !self.world.is_calm() && *lock(&self.cut_until) > Instant::now()
    }

    /// What may befall a read: a start needs dozens of them, and has to succeed at times.
    fn reading(&self) -> Risk {
        let plan = &self.world.plan;
        Risk { lost_requests: plan.failing_reads, lost_answers: plan.failing_reads, slow: plan.slow_store / 8 }
    }

    /// What may befall a write.
    fn writing(&self, lost_requests: u64) -> Risk {
        let plan = &self.world.plan;
        Risk { lost_requests, lost_answers: plan.lost_answers, slow: plan.slow_store }
    }

    /// A point at which the node may crash.
    pub fn point(&self) {
        if let Some(crash) = &self.crashes
            && self.world.crashes_here()
        {
            crash();
        }
    }

    async fn travel(&self, slow: u64) {
        self.world.chance("store").pause(USUAL_MS).await;
        if self.world.fault("slow store", slow) {
            sleep(Duration::from_millis(self.world.chance("store").below(SLOW_MS))).await;
        }
        self.point();
    }

    /// What the server does once the request has come there, whatever has become of whoever sent it.
    async fn ask<T: Send + 'static>(
        &self,
        risk: Risk,
        act: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, StoreError> {
        self.ask_for(risk, async move { act() }).await
    }

    /// The same, of what takes its time there.
    async fn ask_for<T: Send + 'static>(
        &self,
        risk: Risk,
        act: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let gone = |what: &str| Err(StoreError::Unavailable(format!("the {what} was lost")));
        self.point();
        if self.is_cut() || self.world.fault("lost requests", risk.lost_requests) {
            self.world.chance("store").pause(SLOW_MS).await;
            return gone("request");
        }
        let way = self.clone();
        let (send, receive) = tokio::sync::oneshot::channel();
        tokio::spawn(async move {
            way.travel(risk.slow).await;
            let _ = send.send(act.await);
            way.point();
        });
        if self.is_cut() || self.world.fault("lost answers", risk.lost_answers) {
            // It may be given up before it has happened.
            self.world.chance("store").pause(SLOW_MS).await;
            return gone("answer");
        }
        let Ok(answer) = receive.await else { return gone("server") };
        self.travel(risk.slow).await;
        Ok(answer)
    }
}

/// What may befall a request on its way, in times of a thousand.
#[derive(Clone, Copy)]
struct Risk {
    lost_requests: u64,
    lost_answers: u64,
    slow: u64,
}

struct Connection {
    server: Arc<Server>,
    way: Way,
}

impl Connection {
    async fn read<T: Send + 'static>(&self, act: impl FnOnce(&Disk) -> T + Send + 'static) -> Result<T, StoreError> {
        let server = self.server.clone();
        self.way.ask(self.way.reading(), move || act(&lock(&server.disk))).await
    }
}

#[async_trait]
impl Journal for Connection {
    async fn acquire(&self, owner: &str, lease: Duration, now: Timestamp) -> Result<Vec<Partition>, StoreError> {
        let (server, lost) = (self.server.clone(), self.way.reading());
        let owner = owner.to_owned();
        let (epochs, free_at) = self.way.ask(lost, move || server.raise_epochs(owner, lease)).await?;
        let (server, taken) = (self.server.clone(), epochs.clone());
        let batch = Uuid::from_u128(u128::from(self.way.world.chance("store").next()));
        self.way.ask(lost, move || server.append_epoch_frames(&taken, now, batch)).await?;
        sleep_until(free_at).await;
        let partitions = self.read(Disk::partitions).await?;
        if partitions.iter().map(|partition| partition.epoch).ne(epochs) {
            return Err(StoreError::Fenced);
        }
        self.renew(&partitions, lease).await?;
        Ok(partitions)
    }

    async fn partitions(&self) -> Result<Vec<Partition>, StoreError> {
        self.read(Disk::partitions).await
    }

    async fn append(&self, frames: &[Frame]) -> Result<(), StoreError> {
        let (server, frames) = (self.server.clone(), frames.to_vec());
        if self.way.clock.as_ref().is_some_and(|clock| clock.is_wrong()) {
            self.way.world.breach("a node whose clock is wrong writes a frame");
        }
        let risk = self.way.writing(self.way.world.plan.lost_requests);
        match self.server.origin {
            None => self.way.ask_for(risk, async move { server.append(&frames).await }).await?,
            Some(_) => self.way.ask(risk, move || server.keep(&frames)).await?,
        }
    }

    async fn committed(&self, frames: &[Frame]) -> Result<Committed, StoreError> {
        let (server, frames) = (self.server.clone(), frames.to_vec());
        self.way.ask(self.way.writing(self.way.world.plan.lost_requests), move || server.committed(&frames)).await
    }

    async fn frames(&self, partition: u16, after_seq: u64, max_bytes: usize) -> Result<Vec<Frame>, StoreError> {
        // A small page, so that reading takes several requests.
        let max_bytes = max_bytes.min(20_000);
        let server = self.server.clone();
        self.way.ask(self.way.reading(), move || server.frames(partition, after_seq, max_bytes)).await
    }

    async fn drop_frames(&self, partition: u16, up_to: u64) -> Result<u64, StoreError> {
        let (server, risk) = (self.server.clone(), self.way.writing(self.way.world.plan.failing_checkpoints));
        self.way.ask_for(risk, async move { server.raise_base(partition, up_to).await }).await??;
        let mut dropped = 0;
        loop {
            let server = self.server.clone();
            match self.way.ask(risk, move || server.drop_some(partition, up_to)).await? {
                0 => return Ok(dropped),
                some => dropped += some,
            }
        }
    }

    async fn renew(&self, partitions: &[Partition], lease: Duration) -> Result<Option<Timestamp>, StoreError> {
        let (server, owned) = (self.server.clone(), partitions.to_vec());
        let renewed = self.way.ask(self.way.reading(), move || {
            let mut disk = lock(&server.disk);
            let own = disk.owns(&owned);
            if own {
                for head in &mut disk.heads {
                    head.owner_until = head.owner_until.max(Instant::now() + lease);
                }
            }
            own.then(|| server.world.now())
        });
        renewed.await?.map(Some).ok_or(StoreError::Fenced)
    }

    async fn clock(&self) -> Result<Option<Timestamp>, StoreError> {
        match self.way.is_cut() {
            true => Err(StoreError::Unavailable("the store is out of reach".into())),
            false => Ok(Some(self.way.world.now())),
        }
    }

    async fn release(&self, partitions: &[Partition]) -> Result<(), StoreError> {
        let (server, owned) = (self.server.clone(), partitions.to_vec());
        let release = move || {
            let mut disk = lock(&server.disk);
            if disk.owns(&owned) {
                disk.heads.iter_mut().for_each(|head| head.owner_until = Instant::now());
            }
        };
        self.way.ask(Risk { lost_requests: 0, lost_answers: 0, slow: 0 }, release).await
    }
}

#[async_trait]
impl Snapshots for Connection {
    async fn load(&self, entity: EntityRef) -> Result<Option<Snapshot>, StoreError> {
        self.read(move |disk| disk.snapshot(entity)).await
    }

    async fn load_many(&self, entities: &[EntityRef]) -> Result<Vec<Snapshot>, StoreError> {
        let entities = entities.to_vec();
        self.read(move |disk| entities.iter().filter_map(|entity| disk.snapshot(*entity)).collect()).await
    }

    async fn due(&self, until: Timestamp, after: Option<Due>, limit: u32) -> Result<Vec<Due>, StoreError> {
        self.read(move |disk| {
            let heads = disk.snapshots.iter().filter_map(|(entity, parts)| Some((*entity, parts.get("")?.wake_at?)));
            let mut due: Vec<(EntityRef, Timestamp)> = heads.filter(|(_, at)| *at <= until).collect();
            due.sort_unstable_by_key(|(entity, at)| (*at, *entity));
            due.retain(|(entity, at)| after.is_none_or(|(before, then)| (*at, *entity) > (then, before)));
            due.truncate(limit as usize);
            due
        })
        .await
    }

    async fn scan(&self, after: Option<EntityRef>, limit: u32) -> Result<Vec<Snapshot>, StoreError> {
        self.read(move |disk| {
            let all = disk.snapshots.keys().filter(|entity| after.is_none_or(|after| **entity > after));
            all.take(limit as usize).filter_map(|entity| disk.snapshot(*entity)).collect()
        })
        .await
    }
}

#[async_trait]
impl Checkpoints for Connection {
    async fn write(&self, write: CheckpointWrite<'_>) -> Result<Written, StoreError> {
        let (owned, delta) = (write.owned.to_vec(), write.entities.to_vec());
        let (advance, server) = (write.advance.to_vec(), self.server.clone());
        let risk = self.way.writing(self.way.world.plan.failing_checkpoints);
        self.way.ask(risk, move || server.write(&owned, &delta, &advance)).await?.ok_or(StoreError::Fenced)
    }

    async fn clear(&self, owned: &[Partition]) -> Result<(), StoreError> {
        let (server, owned) = (self.server.clone(), owned.to_vec());
        self.way.ask(self.way.writing(self.way.world.plan.failing_checkpoints), move || server.clear(&owned)).await?
    }
}

#[async_trait]
impl Queries for Connection {
    async fn orders(
        &self,
        of: OrdersOf,
        after: Option<(Timestamp, OrderId)>,
        limit: u32,
    ) -> Result<Vec<OrderRow>, StoreError> {
        self.read(move |disk| {
            let wanted = |row: &&OrderRow| match of {
                OrdersOf::All => true,
                OrdersOf::Cart(cart) => row.cart_id == cart,
                OrdersOf::Customer(customer) => row.customer_id == Some(customer),
                OrdersOf::Vendor(vendor) => row.sub_orders.iter().any(|sub| sub.vendor_id == vendor),
            };
            let mut rows: Vec<OrderRow> = disk.tables.orders.values().filter(wanted).cloned().collect();
            rows.sort_unstable_by_key(|row| std::cmp::Reverse((row.placed_at, row.id)));
            rows.retain(|row| after.is_none_or(|after| (row.placed_at, row.id) < after));
            rows.truncate(limit as usize);
            if let OrdersOf::Vendor(vendor) = of {
                for row in &mut rows {
                    row.sub_orders.retain(|sub| sub.vendor_id == vendor);
                    row.lines.retain(|line| line.vendor_id == vendor);
                }
            }
            rows
        })
        .await
    }

    async fn products(
        &self,
        filter: &ProductFilter,
        after: Option<(Timestamp, ProductId)>,
        limit: u32,
    ) -> Result<Vec<ProductRow>, StoreError> {
        let filter = filter.clone();
        self.read(move |disk| {
            let text = filter.text.as_ref().map(|text| text.to_lowercase());
            let wanted = |row: &&ProductRow| {
                filter.vendor.is_none_or(|vendor| row.vendor_id == vendor)
                    && filter.category.as_ref().is_none_or(|category| row.category.as_ref() == Some(category))
                    && text.as_ref().is_none_or(|text| row.title.to_lowercase().contains(text))
            };
            let mut rows: Vec<ProductRow> = disk.tables.products.values().filter(wanted).cloned().collect();
            rows.sort_unstable_by_key(|row| std::cmp::Reverse((row.created_at, row.id)));
            rows.retain(|row| after.is_none_or(|after| (row.created_at, row.id) < after));
            rows.truncate(limit as usize);
            rows
        })
        .await
    }

    async fn catalog(&self) -> Result<Rows, StoreError> {
        self.read(|disk| Rows {
            vendors: disk.tables.vendors.values().cloned().collect(),
            products: disk.tables.products.values().cloned().collect(),
            skus: disk.tables.skus.values().cloned().collect(),
            orders: Vec::new(),
        })
        .await
    }

    async fn unpaid_by_method(&self) -> Result<Vec<(String, u64)>, StoreError> {
        Err(StoreError::Invalid("no simulated node is configured otherwise than the last".into()))
    }

    async fn order_counts(&self) -> Result<Vec<(OrderStatus, u64)>, StoreError> {
        self.read(|disk| {
            let mut counts: BTreeMap<OrderStatus, u64> = BTreeMap::new();
            for row in disk.tables.orders.values() {
                *counts.entry(row.status).or_default() += 1;
            }
            counts.into_iter().collect()
        })
        .await
    }
}
