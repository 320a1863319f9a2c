//! A node on a bench: its log writer holds everything back until it is let go, and the world around it does as it is told.

use crate::actors::Arbiters;
use crate::actors::budget::Budget;
use crate::actors::envelope::{Edge, Envelope, Then};
use crate::actors::node::{DecideHook, Node, NodeParts, NodeSettings, Readiness};
use crate::actors::registry::Hosted;
use crate::actors::shop::{Answered, Failure, Shop};
use crate::domain::buyer::MailKey;
use crate::domain::details::DetailName;
use crate::domain::entity::PaymentCall;
use crate::domain::ids::{CouponId, CustomerId, EntityRef, Kind, OrderId, ReturnId, ShipmentId, SkuId, VendorId};
use crate::domain::order::{OrderFilter, OrderStatus, PaymentChoice, ReturnStatus, ShipmentStatus};
use crate::domain::payment::{Progress, RefundCall, RefundProgress};
use crate::domain::record::IdempotencyKey;
use crate::domain::reject::Reject;
use crate::domain::rows::{CouponRow, OrderRow, ProductRow, ReturnRow, Rows, ShipmentRow, StockChangeRow};
use crate::domain::time::Timestamp;
use crate::ports::quotas::BuyerQuotas;
use crate::ports::waiting::{Shares, Waiting};
use crate::ports::{
    Append, Clock, Completion, DetailPlace, Details, Due, Histories, History, KeptDetail, LogWriter, NoAnswer,
    OrdersOf, PaymentProvider, Position, Pressure, ProductFilter, ProductOrder, ProductPlace, Queries, Snapshot,
    Snapshots, StockPlace, StoreError, StoreKey,
};
use async_trait::async_trait;
use parking_lot::Mutex;
use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::{Notify, Semaphore, oneshot};
use tokio::time::Instant;
use uuid::Uuid;

pub(super) fn at(second: i64) -> Timestamp {
    Timestamp::from_millis(1_700_000_000_000 + second * 1000)
}

/// A log writer that holds everything back.
#[derive(Default)]
pub(super) struct HeldLogWriter {
    last: AtomicU64,
    durable: AtomicU64,
    held: Mutex<Vec<Completion>>,
}

impl HeldLogWriter {
    /// Records and barriers that wait.
    pub(super) fn waiting(&self) -> usize {
        self.held.lock().len()
    }

    /// Makes everything durable that waits.
    pub(super) fn let_go(&self) {
        let held = std::mem::take(&mut *self.held.lock());
        self.durable.store(self.last.load(Ordering::SeqCst), Ordering::SeqCst);
        held.into_iter().for_each(|then| then());
    }

    /// Drops what waits, as a log writer that is closed does.
    pub(super) fn forget(&self) {
        self.held.lock().clear();
    }
}

impl LogWriter for HeldLogWriter {
    fn append(&self, append: Append) -> Position {
        self.held.lock().push(append.on_durable.unwrap_or_else(|| Box::new(|| {})));
        Position(self.last.fetch_add(1, Ordering::SeqCst) + 1)
    }

    fn is_durable(&self, position: Position) -> bool {
        self.durable.load(Ordering::SeqCst) >= position.0
    }

    fn when_durable(&self, after: Position, then: Completion) {
        if self.is_durable(after) {
            then();
        } else {
            self.held.lock().push(then);
        }
    }

    fn pressure(&self) -> Pressure {
        Pressure { store_available: true, ..Pressure::default() }
    }

    fn may_answer(&self) -> bool {
        true
    }
}

/// Everything else around the node: a store without anything in it, and a gateway that never answers.
pub(super) struct World {
    /// Whether the clock panics.
    pub(super) panics: AtomicBool,
    pub(super) loads: Mutex<Vec<EntityRef>>,
    pub(super) replays: AtomicUsize,
    /// Entities that were read one by one.
    pub(super) single_loads: AtomicUsize,
    /// Those of them that are being read, and the most there were.
    pub(super) loading: (AtomicUsize, AtomicUsize),
    /// How many were read with one statement, each time; and how many statements ran at once at most.
    pub(super) slices: Mutex<Vec<usize>>,
    /// When.
    pub(super) sliced_at: Mutex<Vec<Instant>>,
    pub(super) sliced: Notify,
    pub(super) reading: (AtomicUsize, AtomicUsize),
    /// Whether slices, or single reads, wait until one is told to go on.
    pub(super) hold_slices: AtomicBool,
    pub(super) hold_loads: AtomicBool,
    pub(super) go_on: Semaphore,
    /// Whose snapshot cannot be read, nor its records.
    pub(super) unreadable: Mutex<Vec<EntityRef>>,
    pub(super) due: Mutex<Vec<Due>>,
    pub(super) calls: AtomicUsize,
    pub(super) called: Notify,
}

impl Default for World {
    fn default() -> Self {
        Self {
            panics: AtomicBool::default(),
            loads: Mutex::default(),
            replays: AtomicUsize::default(),
            single_loads: AtomicUsize::default(),
            loading: Default::default(),
            slices: Mutex::default(),
            sliced_at: Mutex::default(),
            sliced: Notify::default(),
            reading: Default::default(),
            hold_slices: AtomicBool::default(),
            hold_loads: AtomicBool::default(),
            go_on: Semaphore::new(0),
            unreadable: Mutex::default(),
            due: Mutex::default(),
            calls: AtomicUsize::default(),
            called: Notify::default(),
        }
    }
}

impl World {
    /// Waits until a snapshot of this entity was asked for, and says how often it was.
    pub(super) async fn loads_of(&self, entity: EntityRef) -> usize {
        let count = || self.loads.lock().iter().filter(|loaded| **loaded == entity).count();
        until("a snapshot to be loaded", || count() > 0).await;
        count()
    }

    async fn held_up(&self, holds: &AtomicBool, (now, most): &(AtomicUsize, AtomicUsize)) {
        most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        if holds.load(Ordering::SeqCst) {
            self.go_on.acquire().await.expect("it is never closed").forget();
        }
        now.fetch_sub(1, Ordering::SeqCst);
    }

    fn read(&self, entities: &[EntityRef]) -> Result<(), StoreError> {
        match entities.iter().any(|entity| self.unreadable.lock().contains(entity)) {
            true => Err(StoreError::Invalid("what is there cannot be read".into())),
            false => Ok(()),
        }
    }

    async fn hang<T>(&self) -> T {
        self.calls.fetch_add(1, Ordering::SeqCst);
        self.called.notify_one();
        pending().await
    }
}

impl Clock for World {
    fn now(&self) -> Timestamp {
        assert!(!self.panics.load(Ordering::SeqCst), "forced by a test");
        at(0)
    }
    fn new_uuid(&self) -> Uuid {
        Uuid::nil()
    }
    fn wall(&self) -> Timestamp {
        at(0)
    }
    fn since_boot(&self) -> Duration {
        Duration::ZERO
    }
    fn advance_to(&self, _: Timestamp) {}
}

#[async_trait]
impl Snapshots for World {
    async fn load(&self, entity: EntityRef) -> Result<Option<Snapshot>, StoreError> {
        self.loads.lock().push(entity);
        self.single_loads.fetch_add(1, Ordering::SeqCst);
        self.held_up(&self.hold_loads, &self.loading).await;
        self.read(&[entity]).map(|()| None)
    }
    async fn load_many(&self, entities: &[EntityRef]) -> Result<Vec<Snapshot>, StoreError> {
        self.loads.lock().extend(entities);
        self.slices.lock().push(entities.len());
        self.sliced_at.lock().push(Instant::now());
        self.sliced.notify_one();
        self.held_up(&self.hold_slices, &self.reading).await;
        self.read(entities).map(|()| Vec::new())
    }
    async fn due(&self, _: Timestamp, after: Option<Due>, limit: u32) -> Result<Vec<Due>, StoreError> {
        let position = |(entity, at): Due| (at, entity);
        let due = self.due.lock();
        let rest = due.iter().copied().filter(|due| after.is_none_or(|after| position(*due) > position(after)));
        Ok(rest.take(limit as usize).collect())
    }
    async fn scan(&self, _: Option<EntityRef>, _: u32) -> Result<Vec<Snapshot>, StoreError> {
        Ok(Vec::new())
    }
    async fn scan_kind(&self, _: Kind, _: Option<Uuid>, _: u32) -> Result<Vec<Snapshot>, StoreError> {
        Ok(Vec::new())
    }
}

#[async_trait]
impl Histories for World {
    async fn history(&self, entity: EntityRef) -> Result<History, StoreError> {
        self.replays.fetch_add(1, Ordering::SeqCst);
        self.read(&[entity]).map(|()| History::default())
    }
}

#[async_trait]
impl Queries for World {
    async fn orders(
        &self,
        _: OrdersOf,
        _: &OrderFilter,
        _: Option<(Timestamp, OrderId)>,
        _: u32,
    ) -> Result<Vec<OrderRow>, StoreError> {
        Ok(Vec::new())
    }
    async fn guests_orders(&self, _: MailKey, _: u32) -> Result<Vec<OrderId>, StoreError> {
        Ok(Vec::new())
    }
    async fn points_pending(&self, _: CustomerId) -> Result<i64, StoreError> {
        Ok(0)
    }
    async fn products(
        &self,
        _: &ProductFilter,
        _: ProductOrder,
        _: Option<ProductPlace>,
        _: u32,
    ) -> Result<Vec<ProductRow>, StoreError> {
        Ok(Vec::new())
    }
    async fn coupons(
        &self,
        _: Option<VendorId>,
        _: Option<(Timestamp, CouponId)>,
        _: u32,
    ) -> Result<Vec<CouponRow>, StoreError> {
        Ok(Vec::new())
    }
    async fn stock_changes(&self, _: SkuId, _: Option<StockPlace>, _: u32) -> Result<Vec<StockChangeRow>, StoreError> {
        Ok(Vec::new())
    }
    async fn catalog(&self) -> Result<Rows, StoreError> {
        Ok(Rows::default())
    }
    async fn unpaid_by_method(&self) -> Result<Vec<(String, u64)>, StoreError> {
        Ok(Vec::new())
    }
    async fn order_counts(&self) -> Result<Vec<(OrderStatus, u64)>, StoreError> {
        Ok(Vec::new())
    }
}

#[async_trait]
impl Waiting for World {
    async fn orders_by_share(
        &self,
        _: OrdersOf,
        _: &OrderFilter,
        _: &Shares,
        _: Option<(Timestamp, OrderId)>,
        _: u32,
    ) -> Result<Vec<OrderRow>, StoreError> {
        Ok(Vec::new())
    }
    async fn fill_goods(&self, _: &mut [OrderRow]) -> Result<(), StoreError> {
        Ok(())
    }
    async fn shipments(
        &self,
        _: VendorId,
        _: &[ShipmentStatus],
        _: Option<(Timestamp, ShipmentId)>,
        _: u32,
    ) -> Result<Vec<(OrderId, ShipmentRow)>, StoreError> {
        Ok(Vec::new())
    }
    async fn returns(
        &self,
        _: VendorId,
        _: &[ReturnStatus],
        _: Option<(Timestamp, ReturnId)>,
        _: u32,
    ) -> Result<Vec<(OrderId, ReturnRow)>, StoreError> {
        Ok(Vec::new())
    }
    async fn with_cash(
        &self,
        _: Option<&str>,
        _: Option<(Timestamp, ShipmentId)>,
        _: u32,
    ) -> Result<Vec<(OrderId, ShipmentRow)>, StoreError> {
        Ok(Vec::new())
    }
    async fn tracked(&self, _: &str, _: &str) -> Result<Vec<(OrderId, ShipmentId)>, StoreError> {
        Ok(Vec::new())
    }
    async fn vendors(&self, _: Option<VendorId>, _: u32) -> Result<Vec<VendorId>, StoreError> {
        Ok(Vec::new())
    }
    async fn not_begun(
        &self,
        _: VendorId,
        _: Timestamp,
        _: bool,
        _: Option<(Timestamp, OrderId)>,
        _: u32,
    ) -> Result<Vec<(Timestamp, OrderId)>, StoreError> {
        Ok(Vec::new())
    }
    async fn overdue(&self) -> Result<u64, StoreError> {
        Ok(0)
    }
}

#[async_trait]
impl Details for World {
    async fn details(&self, _: &[OrderId], _: DetailName) -> Result<Vec<KeptDetail>, StoreError> {
        Ok(Vec::new())
    }
    async fn scan_details(&self, _: Option<(OrderId, DetailName)>, _: u32) -> Result<Vec<DetailPlace>, StoreError> {
        Ok(Vec::new())
    }
}

#[async_trait]
impl PaymentProvider for World {
    fn method(&self) -> &'static str {
        "hangs"
    }
    fn check(&self, _: &PaymentChoice) -> Result<(), Reject> {
        Ok(())
    }
    async fn charge(&self, _: &PaymentCall) -> Result<Progress, NoAnswer> {
        self.hang().await
    }
    async fn look_up(&self, _: &PaymentCall) -> Result<Progress, NoAnswer> {
        self.hang().await
    }
    async fn cancel(&self, _: &PaymentCall) -> Result<Progress, NoAnswer> {
        self.hang().await
    }
    async fn refund(&self, _: &RefundCall) -> Result<RefundProgress, NoAnswer> {
        self.hang().await
    }
    async fn look_up_refund(&self, _: &RefundCall) -> Result<Option<RefundProgress>, NoAnswer> {
        self.hang().await
    }
}

/// What a question is answered.
pub(super) type Answer<E> = Result<Answered<<E as crate::domain::entity::Decides>::Reply>, Failure>;

/// The node, and what it stands on.
pub(super) struct Bench {
    pub(super) node: Arc<Node>,
    pub(super) log_writer: Arc<HeldLogWriter>,
    pub(super) world: Arc<World>,
    _arbiters: Arbiters,
}

impl Bench {
    pub(super) fn new() -> Self {
        Self::with_hook(None)
    }

    pub(super) fn with_hook(on_decide: Option<DecideHook>) -> Self {
        Self::with(on_decide, NodeSettings::default(), None)
    }

    pub(super) fn with_settings(settings: NodeSettings) -> Self {
        Self::with(None, settings, None)
    }

    pub(super) fn with_quotas(quotas: Arc<dyn BuyerQuotas>) -> Self {
        Self::with(None, NodeSettings::default(), Some(quotas))
    }

    fn with(on_decide: Option<DecideHook>, settings: NodeSettings, quotas: Option<Arc<dyn BuyerQuotas>>) -> Self {
        let (log_writer, world) = (Arc::new(HeldLogWriter::default()), Arc::new(World::default()));
        let arbiters = Arbiters::start(1).expect("a thread");
        let node = Node::new(NodeParts {
            log_writer: log_writer.clone(),
            clock: world.clone(),
            snapshots: world.clone(),
            histories: world.clone(),
            queries: world.clone(),
            details: world.clone(),
            store_key: StoreKey([0; 32]),
            quotas,
            gateways: vec![world.clone()],
            threads: arbiters.threads(),
            runtime: tokio::runtime::Handle::current(),
            settings,
            on_decide,
            as_of: Arc::default(),
        });
        Self { node, log_writer, world, _arbiters: arbiters }
    }

    /// The node as everything else sees it, ready for requests.
    pub(super) fn shop(&self) -> Shop {
        self.node.set_readiness(Readiness::Ready);
        Shop::on(self.node.clone())
    }

    pub(super) fn cart(&self, number: u128) -> EntityRef {
        EntityRef { kind: Kind::Cart, uuid: Uuid::from_u128(number) }
    }

    /// Asks an entity as a request does.
    pub(super) fn ask<E: Hosted>(
        &self,
        id: E::Id,
        command: E::Command,
        key: Option<IdempotencyKey>,
        within: Duration,
    ) -> oneshot::Receiver<Answer<E>> {
        let (send, receive) = oneshot::channel();
        let sent = Instant::now();
        let edge = Edge::<E> {
            command,
            key,
            deadline: sent + within,
            sent,
            admit: None,
            budget: Budget::default(),
            trace: None,
            then: Then::Give(Box::new(move |answer| drop(send.send(answer)))),
        };
        self.node.deliver::<E>(id, Envelope::Edge(Box::new(edge)), None, false).expect("no mailbox has a limit here");
        receive
    }
}

/// Waits for something that another thread does.
pub(super) async fn until(what: &str, is_so: impl Fn() -> bool) {
    // Much longer than a busy machine takes: only a test that fails waits for so long.
    let waited = tokio::time::timeout(Duration::from_secs(60), async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    });
    waited.await.unwrap_or_else(|_| panic!("waited for {what}"));
}
