//! A node on one thread, whose clock stands still: the real actors, over a store that takes everything at once and has nothing in it.

use crate::cases::Prepared;
use crate::domain::{LINES, busy_vendor};
use crate::shop::{NOW, cart, cart_id, coupon_code, coupon_id, details, uuid, vendor_id};
use async_trait::async_trait;
use futures::future::join_all;
use haat::actors::{Ask, NodeParts, NodeSettings, Shop, Thread};
use haat::domain::buyer::MailKey;
use haat::domain::cart::{Cart, CartCommand};
use haat::domain::coupon::Coupon;
use haat::domain::details::{Detail, DetailName};
use haat::domain::entity::concerns::*;
use haat::domain::entity::{Delta, PaymentCall, Principal};
use haat::domain::ids::{
    CartId, CouponId, CustomerId, EntityId, EntityRef, Kind, OrderId, ReturnId, ShipmentId, SkuId, VendorId,
};
use haat::domain::order::{OrderFilter, OrderStatus, PaymentChoice, PlacedCoupon, ReturnStatus, ShipmentStatus};
use haat::domain::payment::{Progress, RefundCall, RefundProgress};
use haat::domain::reject::Reject;
use haat::domain::rows::{CouponRow, OrderRow, ProductRow, ReturnRow, Rows, ShipmentRow, StockChangeRow};
use haat::domain::time::Timestamp;
use haat::persistence::log_writer::{self, QueuedLogWriter};
use haat::ports::waiting::{Shares, Waiting};
use haat::ports::{
    Append, Clock, Committed, Completion, DetailPlace, Details, Due, Frame, Histories, History, Journal, KeptDetail,
    LogWriter, NoAnswer, OrdersOf, Partition, PaymentProvider, Position, Pressure, ProductFilter, ProductOrder,
    ProductPlace, Queries, Snapshot, Snapshots, StockPlace, StoreError, StoreKey,
};
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::mpsc;
use tokio::task::LocalSet;
use uuid::Uuid;

/// Buyers who come at the same moment.
pub const AT_ONCE: u64 = 16;
pub const WARM_UP: u64 = 4;
pub const ROUNDS: u64 = 16;
/// Carts that are there: one for each buyer of each round.
pub const CARTS: u128 = ((WARM_UP + ROUNDS) * AT_ONCE) as u128;
/// How long a caller waits; nobody does here.
const PATIENCE: Duration = Duration::from_secs(10);
/// Actors that wait to be started.
const STARTS: usize = 4_096;

/// Makes every record durable at once, in the turn that wrote it, and keeps its line.
#[derive(Default)]
pub struct AtOnce {
    last: AtomicU64,
    lines: Mutex<Vec<Vec<u8>>>,
}

impl AtOnce {
    /// The lines since the last call.
    pub fn take(&self) -> Vec<Vec<u8>> {
        std::mem::take(&mut self.lines.lock().expect("nobody panics with the lines"))
    }
}

impl LogWriter for AtOnce {
    fn append(&self, append: Append) -> Position {
        let position = Position(self.last.fetch_add(1, Ordering::Relaxed) + 1);
        self.lines.lock().expect("nobody panics with the lines").push(append.record);
        if let Some(then) = append.on_durable {
            then();
        }
        position
    }

    fn is_durable(&self, _: Position) -> bool {
        true
    }

    fn when_durable(&self, _: Position, then: Completion) {
        then();
    }

    fn pressure(&self) -> Pressure {
        Pressure { store_available: true, ..Pressure::default() }
    }

    fn may_answer(&self) -> bool {
        true
    }
}

/// How often a store was asked for anything.
#[derive(Clone, Default)]
pub struct Asked(Arc<AtomicU64>);

impl Asked {
    pub fn again(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    #[allow(dead_code, reason = "for tests/instructions.rs")]
    pub fn times(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Everything else around a node. There is nothing to read in it, and it keeps nothing; payments are taken at once.
#[derive(Default)]
struct Nothing {
    asked: Asked,
    ids: AtomicU64,
    /// Those of any order.
    details: OnceLock<Vec<Detail>>,
}

/// A clock that stands still, for whoever is no actor.
pub fn still_clock() -> Arc<dyn Clock> {
    Arc::new(Nothing { ids: AtomicU64::new(1), ..Nothing::default() })
}

impl Clock for Nothing {
    fn now(&self) -> Timestamp {
        NOW
    }
    fn new_uuid(&self) -> Uuid {
        uuid(9 << 64 | u128::from(self.ids.fetch_add(1, Ordering::Relaxed)))
    }
    fn wall(&self) -> Timestamp {
        NOW
    }
    fn since_boot(&self) -> Duration {
        Duration::ZERO
    }
    fn advance_to(&self, _: Timestamp) {}
}

#[async_trait]
impl Journal for Nothing {
    async fn acquire(&self, _: &str, _: Duration, _: Timestamp) -> Result<Vec<Partition>, StoreError> {
        self.partitions().await
    }
    async fn partitions(&self) -> Result<Vec<Partition>, StoreError> {
        let partition = |id| Partition { id, epoch: 1, tail_seq: 1, checkpoint_seq: 0, base_seq: 0 };
        Ok((0..haat::limits::PARTITIONS).map(partition).collect())
    }
    async fn append(&self, _: &[Frame], _: &[Detail]) -> Result<(), StoreError> {
        Ok(())
    }
    async fn committed(&self, _: &[Frame]) -> Result<Committed, StoreError> {
        Ok(Committed::Nothing)
    }
    async fn frames(&self, _: u16, _: u64, _: usize) -> Result<Vec<Frame>, StoreError> {
        Ok(Vec::new())
    }
    async fn drop_frames(&self, _: u16, _: u64) -> Result<u64, StoreError> {
        Ok(0)
    }
    async fn renew(&self, _: &[Partition], _: Duration) -> Result<Option<Timestamp>, StoreError> {
        Ok(None)
    }
    async fn clock(&self) -> Result<Option<Timestamp>, StoreError> {
        Ok(None)
    }
    async fn release(&self, _: &[Partition]) -> Result<(), StoreError> {
        Ok(())
    }
}

#[async_trait]
impl Snapshots for Nothing {
    async fn load(&self, _: EntityRef) -> Result<Option<Snapshot>, StoreError> {
        self.asked.again();
        Ok(None)
    }
    async fn load_many(&self, _: &[EntityRef]) -> Result<Vec<Snapshot>, StoreError> {
        self.asked.again();
        Ok(Vec::new())
    }
    async fn due(&self, _: Timestamp, _: Option<Due>, _: u32) -> Result<Vec<Due>, StoreError> {
        self.asked.again();
        Ok(Vec::new())
    }
    async fn scan(&self, _: Option<EntityRef>, _: u32) -> Result<Vec<Snapshot>, StoreError> {
        self.asked.again();
        Ok(Vec::new())
    }
    async fn scan_kind(&self, _: Kind, _: Option<Uuid>, _: u32) -> Result<Vec<Snapshot>, StoreError> {
        self.asked.again();
        Ok(Vec::new())
    }
}

#[async_trait]
impl Histories for Nothing {
    async fn history(&self, _: EntityRef) -> Result<History, StoreError> {
        self.asked.again();
        Ok(History::default())
    }
}

#[async_trait]
impl Queries for Nothing {
    async fn orders(
        &self,
        _: OrdersOf,
        _: &OrderFilter,
        _: Option<(Timestamp, OrderId)>,
        _: u32,
    ) -> Result<Vec<OrderRow>, StoreError> {
        self.asked.again();
        Ok(Vec::new())
    }
    async fn guests_orders(&self, _: MailKey, _: u32) -> Result<Vec<OrderId>, StoreError> {
        self.asked.again();
        Ok(Vec::new())
    }
    async fn points_pending(&self, _: CustomerId) -> Result<i64, StoreError> {
        self.asked.again();
        Ok(0)
    }
    async fn products(
        &self,
        _: &ProductFilter,
        _: ProductOrder,
        _: Option<ProductPlace>,
        _: u32,
    ) -> Result<Vec<ProductRow>, StoreError> {
        self.asked.again();
        Ok(Vec::new())
    }
    async fn coupons(
        &self,
        _: Option<VendorId>,
        _: Option<(Timestamp, CouponId)>,
        _: u32,
    ) -> Result<Vec<CouponRow>, StoreError> {
        self.asked.again();
        Ok(Vec::new())
    }
    async fn stock_changes(&self, _: SkuId, _: Option<StockPlace>, _: u32) -> Result<Vec<StockChangeRow>, StoreError> {
        self.asked.again();
        Ok(Vec::new())
    }
    async fn catalog(&self) -> Result<Rows, StoreError> {
        self.asked.again();
        Ok(Rows::default())
    }
    async fn unpaid_by_method(&self) -> Result<Vec<(String, u64)>, StoreError> {
        self.asked.again();
        Ok(Vec::new())
    }
    async fn order_counts(&self) -> Result<Vec<(OrderStatus, u64)>, StoreError> {
        self.asked.again();
        Ok(Vec::new())
    }
}

#[async_trait]
impl Waiting for Nothing {
    async fn orders_by_share(
        &self,
        _: OrdersOf,
        _: &OrderFilter,
        _: &Shares,
        _: Option<(Timestamp, OrderId)>,
        _: u32,
    ) -> Result<Vec<OrderRow>, StoreError> {
        self.asked.again();
        Ok(Vec::new())
    }
    async fn fill_goods(&self, _: &mut [OrderRow]) -> Result<(), StoreError> {
        self.asked.again();
        Ok(())
    }
    async fn shipments(
        &self,
        _: VendorId,
        _: &[ShipmentStatus],
        _: Option<(Timestamp, ShipmentId)>,
        _: u32,
    ) -> Result<Vec<(OrderId, ShipmentRow)>, StoreError> {
        self.asked.again();
        Ok(Vec::new())
    }
    async fn returns(
        &self,
        _: VendorId,
        _: &[ReturnStatus],
        _: Option<(Timestamp, ReturnId)>,
        _: u32,
    ) -> Result<Vec<(OrderId, ReturnRow)>, StoreError> {
        self.asked.again();
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
        self.asked.again();
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
        self.asked.again();
        Ok(Vec::new())
    }
    async fn overdue(&self) -> Result<u64, StoreError> {
        self.asked.again();
        Ok(0)
    }
}

#[async_trait]
impl Details for Nothing {
    async fn details(&self, orders: &[OrderId], name: DetailName) -> Result<Vec<KeptDetail>, StoreError> {
        self.asked.again();
        let all = self.details.get_or_init(|| details().details(OrderId::from_uuid(uuid(0))));
        let body = &all.iter().find(|detail| detail.name == name).expect("one of each").body;
        let kept = |order: &OrderId| KeptDetail { order: *order, name, body: Some(body.to_vec()) };
        Ok(orders.iter().map(kept).collect())
    }
    async fn scan_details(&self, _: Option<(OrderId, DetailName)>, _: u32) -> Result<Vec<DetailPlace>, StoreError> {
        self.asked.again();
        Ok(Vec::new())
    }
}

#[async_trait]
impl PaymentProvider for Nothing {
    fn method(&self) -> &'static str {
        "sandbox"
    }
    fn check(&self, _: &PaymentChoice) -> Result<(), Reject> {
        Ok(())
    }
    async fn charge(&self, call: &PaymentCall) -> Result<Progress, NoAnswer> {
        Ok(Progress::Succeeded { reference: None, amount: call.amount, fee: None })
    }
    async fn look_up(&self, _: &PaymentCall) -> Result<Progress, NoAnswer> {
        Ok(Progress::NotStarted)
    }
    async fn cancel(&self, _: &PaymentCall) -> Result<Progress, NoAnswer> {
        Ok(Progress::Cancelled)
    }
    async fn refund(&self, call: &RefundCall) -> Result<RefundProgress, NoAnswer> {
        Ok(RefundProgress::Succeeded { amount: call.amount })
    }
    async fn look_up_refund(&self, _: &RefundCall) -> Result<Option<RefundProgress>, NoAnswer> {
        Ok(None)
    }
}

/// A node with a vendor in the middle of its rush and with carts that wait to be checked out.
pub struct Node {
    runtime: Runtime,
    tasks: LocalSet,
    pub shop: Shop,
    /// What its store was asked.
    pub asked: Asked,
}

impl Node {
    /// With a log writer that makes everything durable at once.
    pub fn at_once(log_writer: Arc<AtOnce>) -> Self {
        Self::new(|| log_writer, None)
    }

    /// The same, in a shop that has this coupon.
    #[allow(dead_code, reason = "for tests/instructions.rs")]
    pub fn with_coupon(log_writer: Arc<AtOnce>, coupon: Coupon) -> Self {
        Self::new(|| log_writer, Some(coupon))
    }

    /// With the real log writer, over a journal that takes everything.
    pub fn with_log_writer() -> Self {
        Self::new(
            || {
                let log_writer = QueuedLogWriter::new(Arc::new(Nothing::default()));
                let written = log_writer.clone();
                tokio::spawn(async move {
                    let journal: Arc<dyn Journal> = Arc::new(Nothing::default());
                    let partitions = journal.partitions().await.expect("it has some");
                    let on_fatal = Arc::new(|fatal| panic!("{fatal}"));
                    log_writer::run(
                        written,
                        journal,
                        Arc::new(Nothing::default()),
                        partitions,
                        Default::default(),
                        on_fatal,
                    )
                    .await;
                });
                log_writer
            },
            None,
        )
    }

    fn new(log_writer: impl FnOnce() -> Arc<dyn LogWriter>, coupon: Option<Coupon>) -> Self {
        // Time stands still while there is anything to do, so no timer depends on how fast the machine is.
        let runtime = Builder::new_current_thread().enable_time().start_paused(true).build().expect("a runtime");
        let (tasks, asked) = (LocalSet::new(), Asked::default());
        let around = Arc::new(Nothing { asked: asked.clone(), ..Nothing::default() });
        let shop = tasks.block_on(&runtime, async {
            let shop = Shop::new(
                NodeParts {
                    log_writer: log_writer(),
                    clock: around.clone(),
                    snapshots: around.clone(),
                    histories: around.clone(),
                    queries: around.clone(),
                    details: around.clone(),
                    store_key: StoreKey([7; 32]),
                    quotas: None,
                    gateways: vec![around],
                    threads: vec![thread()],
                    runtime: Handle::current(),
                    settings: NodeSettings::default(),
                    on_decide: None,
                    as_of: Arc::default(),
                },
                None,
            );
            let (vendor, mut rows) = stored(vendor_id(), busy_vendor());
            let coupon = coupon.map(|coupon| stored(coupon_id(), coupon));
            let coupon = coupon.map(|(coupon, of_coupon)| (coupon, rows.coupons = of_coupon.coupons).0);
            let carts = (0..CARTS).map(|number| stored(cart_id(number), cart(cart_id(number), LINES)).0);
            shop.open(rows, &[], std::iter::once(vendor).chain(coupon).chain(carts).collect());
            quiet().await;
            shop
        });
        Self { runtime, tasks, shop, asked }
    }

    /// Does this, and then all that follows of it.
    pub fn run<T>(&self, what: impl Future<Output = T>) -> T {
        self.tasks.block_on(&self.runtime, async {
            let done = what.await;
            quiet().await;
            done
        })
    }

    /// Puts the coupon into this cart.
    #[allow(dead_code, reason = "for tests/instructions.rs")]
    pub fn put_coupon(&self, cart: u128) {
        let cart: CartId = cart_id(cart);
        let coupon = PlacedCoupon { coupon: coupon_id(), code: coupon_code(), serial: None };
        let put = CartCommand::PutCoupon { by: Principal::Guest(cart), coupon };
        let how = Ask { within: PATIENCE, key: None, fresh: false };
        self.run(self.shop.ask::<Cart>(cart, put, how)).expect("an answer").outcome.expect("a cart");
    }

    /// Checks these carts out at the same moment.
    pub fn check_out(&self, carts: Range<u128>) {
        let check_out = |number| {
            let cart: CartId = cart_id(number);
            self.shop.checkout(Principal::Guest(cart), cart, details(), PATIENCE, None, None)
        };
        for answer in self.run(join_all(carts.map(check_out))) {
            answer.expect("an answer").outcome.expect("an order");
        }
    }
}

/// A thread for actors, on this one.
fn thread() -> Thread {
    let (send, mut starts) = mpsc::channel::<Box<dyn FnOnce() + Send>>(STARTS);
    tokio::task::spawn_local(async move {
        while let Some(start) = starts.recv().await {
            start();
        }
    });
    Arc::new(move |start| send.try_send(start).is_ok())
}

/// Waits until there is nothing left to do: before that, time does not go on.
async fn quiet() {
    tokio::time::sleep(Duration::from_millis(1)).await;
}

/// An entity of which no checkpoint has taken anything yet, as a store would have it after one; and its rows.
fn stored<E: Entity>(id: E::Id, mut entity: E) -> ((EntityRef, History), Rows) {
    let Delta { mut parts, rows, .. } = entity.delta();
    parts.retain(|part| part.state.is_some());
    let entity = id.entity();
    let snapshot = Some(Snapshot { entity, version: 1, parts });
    ((entity, History { snapshot, records: Vec::new() }), rows)
}

/// The carts of a round.
pub fn of_round(round: u64) -> Range<u128> {
    let (round, at_once) = (u128::from(round), u128::from(AT_ONCE));
    round * at_once..(round + 1) * at_once
}

pub fn checkout() -> Prepared {
    let log_writer = Arc::new(AtOnce::default());
    let node = Node::at_once(log_writer.clone());
    let round = move |round| {
        node.check_out(of_round(round));
        log_writer.take();
    };
    Prepared { warm_up: WARM_UP, rounds: ROUNDS, operations: AT_ONCE, round: Box::new(round) }
}
