//! A payment provider that answers nobody for an hour, in simulated time: what it costs is counted, not timed.

use crate::actors::node::{DecideHook, Node, NodeParts, NodeSettings, Readiness};
use crate::actors::registry::Hosted;
use crate::actors::shop::{Failure, Shop};
use crate::actors::state::Built;
use crate::actors::testing::{World, at};
use crate::actors::{Thread, envelope::Start};
use crate::domain::buyer::{Buyer, Mint};
use crate::domain::cart::{Cart, CartCommand, CartLine, CheckoutRequest};
use crate::domain::details::{Contact, Detail};
use crate::domain::entity::concerns::*;
use crate::domain::entity::{Effect, Message, Owner, PaymentCall, Principal, compared};
use crate::domain::ids::{CartId, EntityRef, OrderId, ProductId, SkuId, VendorId};
use crate::domain::knowledge::Knowledge;
use crate::domain::money::Currency;
use crate::domain::order::{Address, Order, OrderCommand, PaymentChoice};
use crate::domain::payment::{NextAction, Progress, RefundCall, RefundProgress};
use crate::domain::reject::Reject;
use crate::domain::time::Timestamp;
use crate::domain::vendor::{NewProduct, NewSku, Vendor, VendorCommand};
use crate::limits;
use crate::ports::{Append, Clock, Completion, LogWriter, NoAnswer, PaymentProvider, Position, Pressure, StoreKey};
use async_trait::async_trait;
use foldhash::HashSet;
use parking_lot::Mutex;
use std::fmt::{self, Debug, Write};
use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::{LocalSet, spawn_local};
use tokio::time::{Instant, sleep};
use uuid::Uuid;

/// Holds at one vendor, all of the same second. In debug builds each of their ends checks all others.
const HOLDS: u128 = if cfg!(debug_assertions) { 1_000 } else { 10_000 };
const HOUR: u64 = 3_600;

/// Everything is durable at once.
#[derive(Default)]
struct QuickLogWriter(AtomicU64);

impl LogWriter for QuickLogWriter {
    fn append(&self, append: Append) -> Position {
        append.on_durable.into_iter().for_each(|then| then());
        Position(self.0.fetch_add(1, SeqCst) + 1)
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

/// A clock that follows the runtime's paused time.
struct Paused(Instant);

impl Clock for Paused {
    fn now(&self) -> Timestamp {
        at(0).plus_millis(self.0.elapsed().as_millis() as i64)
    }
    fn wall(&self) -> Timestamp {
        self.now()
    }
    fn since_boot(&self) -> Duration {
        self.0.elapsed()
    }
    fn new_uuid(&self) -> Uuid {
        Uuid::nil()
    }
    fn advance_to(&self, _: Timestamp) {}
}

pub(super) struct Provider {
    method: &'static str,
    pub(super) silent: AtomicBool,
    /// Whether it takes money also while it is silent.
    pub(super) takes_silently: AtomicBool,
    pub(super) calls: AtomicUsize,
    /// Whether it says of all that it is at it.
    pub(super) processing: AtomicBool,
    /// Its buyers are to pay elsewhere.
    pub(super) redirects: AtomicBool,
    /// Whose money it has.
    pub(super) taken: Mutex<HashSet<OrderId>>,
    cancelled: Mutex<HashSet<OrderId>>,
    /// Charges that came after their deadline.
    pub(super) late: AtomicUsize,
    begun: Instant,
}

impl Provider {
    fn new(method: &'static str) -> Arc<Self> {
        Arc::new(Self {
            method,
            silent: AtomicBool::default(),
            takes_silently: AtomicBool::default(),
            calls: AtomicUsize::default(),
            processing: AtomicBool::default(),
            redirects: AtomicBool::default(),
            taken: Mutex::default(),
            cancelled: Mutex::default(),
            late: AtomicUsize::default(),
            begun: Instant::now(),
        })
    }

    fn progress(&self, call: &PaymentCall) -> Progress {
        if self.redirects.load(SeqCst) {
            let action = NextAction::Redirect { url: "https://pay.example".into() };
            return Progress::NeedsBuyer { action };
        }
        if self.processing.load(SeqCst) {
            return Progress::Processing;
        }
        match (self.taken.lock().contains(&call.order), self.cancelled.lock().contains(&call.order)) {
            (true, _) => Progress::Succeeded { reference: None, amount: call.amount, fee: None },
            (false, true) => Progress::Cancelled,
            (false, false) => Progress::NotStarted,
        }
    }

    async fn answer<T>(&self, answer: T) -> Result<T, NoAnswer> {
        self.calls.fetch_add(1, SeqCst);
        if self.silent.load(SeqCst) {
            pending::<()>().await;
        }
        Ok(answer)
    }
}

#[async_trait]
impl PaymentProvider for Provider {
    fn method(&self) -> &'static str {
        self.method
    }
    fn check(&self, _: &PaymentChoice) -> Result<(), Reject> {
        Ok(())
    }
    async fn charge(&self, call: &PaymentCall) -> Result<Progress, NoAnswer> {
        let is_late = Paused(self.begun).now() >= call.not_after;
        self.late.fetch_add(usize::from(is_late), SeqCst);
        let takes = !self.silent.load(SeqCst) || self.takes_silently.load(SeqCst);
        if takes && !self.cancelled.lock().contains(&call.order) {
            self.taken.lock().insert(call.order);
        }
        self.answer(self.progress(call)).await
    }
    async fn look_up(&self, call: &PaymentCall) -> Result<Progress, NoAnswer> {
        self.answer(self.progress(call)).await
    }
    async fn cancel(&self, call: &PaymentCall) -> Result<Progress, NoAnswer> {
        self.answer(()).await?;
        self.cancelled.lock().insert(call.order);
        Ok(self.progress(call))
    }
    async fn refund(&self, call: &RefundCall) -> Result<RefundProgress, NoAnswer> {
        self.answer(()).await?;
        self.taken.lock().remove(&call.order);
        self.cancelled.lock().insert(call.order);
        Ok(RefundProgress::Succeeded { amount: call.amount })
    }
    async fn look_up_refund(&self, _: &RefundCall) -> Result<Option<RefundProgress>, NoAnswer> {
        self.answer(None).await
    }
}

/// What was decided.
#[derive(Default)]
struct Counts {
    asked: AtomicUsize,
    /// Asked at this moment, and the most that were at any.
    burst: Mutex<(Option<Instant>, usize, usize)>,
    paid: AtomicUsize,
    over: AtomicUsize,
    /// Carts that were made on the way.
    carts: AtomicUsize,
}

/// The beginning of a text.
#[derive(Default)]
struct Beginning(String);

impl Write for Beginning {
    fn write_str(&mut self, more: &str) -> fmt::Result {
        self.0.push_str(more);
        if self.0.len() < 16 { Ok(()) } else { Err(fmt::Error) }
    }
}

impl Counts {
    fn hook(self: &Arc<Self>) -> DecideHook {
        let counts = self.clone();
        Arc::new(move |_: EntityRef, command: &dyn Debug| {
            let mut name = Beginning::default();
            let _ = write!(name, "{command:?}");
            let name = name.0.split(' ').next().unwrap_or_default();
            match name {
                "HoldDue" => {
                    counts.asked.fetch_add(1, SeqCst);
                    let (now, mut burst) = (Instant::now(), counts.burst.lock());
                    let before = if burst.0 == Some(now) { burst.1 } else { 0 };
                    *burst = (Some(now), before + 1, burst.2.max(before + 1));
                }
                "Charged" => _ = counts.paid.fetch_add(1, SeqCst),
                "CartReopened" => _ = counts.over.fetch_add(1, SeqCst),
                _ => {}
            }
        })
    }
}

/// A node on the runtime's own thread, so that paused time is its time too.
pub(super) struct Town {
    pub(super) node: Arc<Node>,
    counts: Arc<Counts>,
    pub(super) silent: Arc<Provider>,
}

fn thread() -> Thread {
    let (send, mut starts) = mpsc::channel::<Box<dyn FnOnce() + Send>>(100_000);
    spawn_local(async move {
        while let Some(start) = starts.recv().await {
            start();
        }
    });
    Arc::new(move |start| send.try_send(start).is_ok())
}

fn sku() -> SkuId {
    SkuId::from_uuid(Uuid::from_u128(1))
}

impl Town {
    pub(super) fn new() -> Self {
        Self::with(NodeSettings::default())
    }

    pub(super) fn with(settings: NodeSettings) -> Self {
        let world = Arc::new(World::default());
        let (counts, silent): (Arc<Counts>, _) = (Arc::default(), Provider::new("silent"));
        let node = Node::new(NodeParts {
            log_writer: Arc::new(QuickLogWriter::default()),
            clock: Arc::new(Paused(Instant::now())),
            snapshots: world.clone(),
            histories: world.clone(),
            queries: world.clone(),
            details: world,
            store_key: StoreKey([0; 32]),
            quotas: None,
            gateways: vec![silent.clone(), Provider::new("other")],
            threads: vec![thread()],
            runtime: tokio::runtime::Handle::current(),
            settings,
            on_decide: Some(counts.hook()),
            as_of: Arc::default(),
        });
        tokio::spawn(node.clone().run_timers());
        node.set_readiness(Readiness::Ready);
        Self { node, counts, silent }
    }

    pub(super) fn hosts<E: Hosted>(&self, id: E::Id, entity: E) {
        let built = Box::new(Built { entity, version: 1, ..Built::new(id) });
        let slot = self.node.start::<E>(id, Start::Ready { built, checkpointed: 0 }).expect("it starts");
        E::slots(&self.node.registry).insert(id, slot);
    }

    /// A vendor with goods for so many orders.
    pub(super) fn opens_a_shop(&self, id: VendorId, orders: u128, now: Timestamp) -> Vendor {
        let mut vendor = Vendor::new(id);
        give(&mut vendor, &VendorCommand::Create { name: "A shop".into() }, now);
        let on_hand = orders as i64 + 10;
        let sku_of = NewSku { id: sku(), code: "C-1".into(), price_minor: 100, currency: Currency::BDT, on_hand };
        let product = NewProduct {
            id: ProductId::from_uuid(Uuid::from_u128(1)),
            title: "Cup".into(),
            description: None,
            category: None,
            skus: vec![sku_of],
        };
        give(&mut vendor, &VendorCommand::AddProduct { by: Principal::SHOP, product }, now);
        vendor
    }

    /// A cart and its order, whose stock is held and whose payment has just been asked for by this method.
    pub(super) fn places(
        &self,
        cart_id: CartId,
        vendor_id: VendorId,
        method: &str,
        vendor: &mut Vendor,
        now: Timestamp,
    ) -> (Cart, Order) {
        let cart = self.checks_out(cart_id, vendor_id, method, now);
        let mut order = Order::new(cart.order().expect("it checks out"));
        self.node.details.put(&[Detail::payment(cart.order().expect("it checks out"), "tok")]);
        give(&mut order, &command_of(&cart, now), now);
        let Message::Vendor { command, .. } = message_of(&order, now) else { panic!("it reserves") };
        give(vendor, &command, now);
        let Some(Message::Order { command, .. }) = vendor.respond(&command, Ok(())) else { panic!("it holds") };
        give(&mut order, &command, now);
        (cart, order)
    }

    /// A vendor that holds stock for so many orders whose payment has just been asked for by this method.
    pub(super) fn sells(&self, number: u128, method: &str, orders: u128) {
        let now = self.node.clock.now();
        let id = VendorId::from_uuid(Uuid::from_u128(number));
        let mut vendor = self.opens_a_shop(id, orders, now);
        for order in 0..orders {
            let cart_id = CartId::from_uuid(Uuid::from_u128((number << 32) + order));
            let (cart, order) = self.places(cart_id, id, method, &mut vendor, now);
            let placed = cart.order().expect("it checks out");
            self.hosts::<Cart>(cart_id, cart);
            self.hosts::<Order>(placed, order);
        }
        self.hosts::<Vendor>(id, vendor);
    }

    /// How many orders are paid, and how many have ended unpaid.
    pub(super) fn ended(&self) -> (usize, usize) {
        (self.counts.paid.load(SeqCst), self.counts.over.load(SeqCst))
    }

    fn checks_out(&self, id: CartId, vendor: VendorId, method: &str, now: Timestamp) -> Cart {
        let (by, mut cart) = (Principal::Guest(id), self.fills_a_cart(id, vendor, now));
        let details = Box::new(details(method));
        give(&mut cart, &CartCommand::CheckOut { by, details }, now);
        cart
    }

    fn fills_a_cart(&self, id: CartId, vendor: VendorId, now: Timestamp) -> Cart {
        let by = Principal::Guest(id);
        let mut cart = Cart::new(id);
        give(&mut cart, &CartCommand::Create { owner: Owner::Guest, currency: Currency::BDT }, now);
        let line = CartLine { sku: sku(), vendor, title: "Cup".into(), quantity: 1, unit_price: 100, sale: None };
        give(&mut cart, &CartCommand::SetLine { by, line, currency: Currency::BDT }, now);
        cart
    }

    /// Asks to check a cart out that wants something of this vendor.
    async fn asks_to_pay_by(&self, method: &str, vendor: u128) -> Result<(), Failure> {
        let number = (9 << 64) + self.counts.carts.fetch_add(1, SeqCst) as u128;
        let (id, vendor) = (CartId::from_uuid(Uuid::from_u128(number)), VendorId::from_uuid(Uuid::from_u128(vendor)));
        self.hosts::<Cart>(id, self.fills_a_cart(id, vendor, self.node.clock.now()));
        let shop = Shop::on(self.node.clone());
        let within = Duration::from_secs(1);
        let asked = shop.checkout(Principal::Guest(id), id, details(method), within, None, None);
        asked.await.map(|checked_out| assert!(checked_out.outcome.is_ok(), "{:?}", checked_out.outcome))
    }
}

fn details(method: &str) -> CheckoutRequest {
    let shipping_address = Address {
        name: "A".into(),
        line1: "1".into(),
        line2: None,
        city: "D".into(),
        postcode: None,
        region: None,
        country: "BD".into(),
        phone: None,
    };
    CheckoutRequest {
        buyer: Buyer::default(),
        mint: Mint([0; 4]),
        contact: Contact { email: None, shipping_address },
        payment: PaymentChoice { method: method.into(), token: "tok".into() },
        expected_total: None,
        shipping: Vec::new(),
        slots: Vec::new(),
        quote: None,
    }
}

/// As an actor decides and applies, without the checks of debug builds, which go through all holds.
pub(super) fn give<E: Entity>(entity: &mut E, command: &E::Command, now: Timestamp) {
    entity.heard(command, now);
    let events =
        entity.decide(command, &Knowledge::NOTHING, now).unwrap_or_else(|reject| panic!("{reject} at {command:?}"));
    events.iter().for_each(|event| entity.apply(event, now));
}

fn message_of<E: Entity>(entity: &E, now: Timestamp) -> Message {
    let key = entity.outstanding(now)[0];
    let Some(Effect::Tell(message)) = entity.effect(key) else { panic!("{key:?}") };
    message
}

fn command_of(cart: &Cart, now: Timestamp) -> OrderCommand {
    let Message::Order { command, .. } = message_of(cart, now) else { panic!("it places its order") };
    command
}

/// The most that a simulated second cost.
#[derive(Default, Debug)]
struct Most {
    asked: usize,
    calls: usize,
    compared: u64,
}

impl Most {
    async fn second(&mut self, town: &Town) {
        let seen = || (town.counts.asked.load(SeqCst), town.silent.calls.load(SeqCst), compared());
        let before = seen();
        sleep(Duration::from_secs(1)).await;
        let after = seen();
        self.asked = self.asked.max(after.0 - before.0);
        self.calls = self.calls.max(after.1 - before.1);
        self.compared = self.compared.max(after.2 - before.2);
    }
}

/// Orders whose voids nobody answers do not answer their vendor either. That must cost a bounded number of questions, calls and
/// comparisons per second, keep nobody else waiting, and be over soon after the provider speaks again.
#[tokio::test(start_paused = true)]
async fn long_an_hour_of_silence_costs_little_and_is_soon_over() {
    let run = async {
        let town = Town::new();
        town.silent.silent.store(true, SeqCst);
        town.sells(1, "silent", HOLDS);
        // The first minutes; those in which payments run out of time, and holds; and an hour's rest.
        let (mut first, mut turn, mut rest) = (Most::default(), Most::default(), Most::default());
        for second in 0..HOUR {
            if second % 100 == 50 {
                let paid = town.counts.paid.load(SeqCst);
                town.sells(100 + u128::from(second), "other", 1);
                sleep(Duration::from_millis(50)).await;
                assert_eq!(town.counts.paid.load(SeqCst), paid + 1, "who pays otherwise has paid, at {second} s");
            }
            let most = match second {
                0..60 => &mut first,
                60..1_200 => &mut turn,
                _ => &mut rest,
            };
            most.second(&town).await;
        }
        println!("{first:?}, then {turn:?}, then {rest:?}");
        let holds = HOLDS as usize;
        assert_eq!(first.asked, 0);
        assert!(first.calls <= limits::GATEWAY_CALLS, "as many as may run at a time");
        let a_second_of_looks = limits::HOLDS_ASKED_AT_ONCE * 40;
        assert!(turn.asked <= a_second_of_looks, "{turn:?}");
        assert!(town.counts.burst.lock().2 <= limits::HOLDS_ASKED_AT_ONCE, "a look is short");
        // Those that fell due together are spread over a quarter of the longest wait.
        assert!(rest.asked <= holds * 1_000 / (limits::HOLD_ASK_BACKOFF_MS as usize / 4), "{rest:?}");
        assert!(turn.calls <= limits::GATEWAY_PROBES && rest.calls <= limits::GATEWAY_PROBES, "{turn:?} {rest:?}");
        for most in [&first, &turn, &rest] {
            assert!(most.compared <= 20 * HOLDS as u64, "{most:?}");
        }
        assert_eq!(town.counts.over.load(SeqCst), 0, "nobody knows whether anything was taken");

        town.silent.silent.store(false, SeqCst);
        let (mut end, mut seconds) = (Most::default(), 0);
        while town.counts.over.load(SeqCst) < holds {
            end.second(&town).await;
            seconds += 1;
            assert!(seconds <= 60, "{} of {holds} are over after a minute", town.counts.over.load(SeqCst));
        }
        println!("{end:?}, over after {seconds} s");
        assert!(end.calls <= limits::GATEWAY_CALLS_PER_SECOND as usize * 11 / 10, "{end:?}");
        assert!(end.compared <= 20 * HOLDS as u64, "{end:?}");
    };
    LocalSet::new().run_until(run).await;
}

/// While a provider is silent, stock is not held for payments that cannot be made: but not before it has been for a while, and only
/// for those who would pay by it.
#[tokio::test(start_paused = true)]
async fn what_cannot_be_paid_for_is_not_sold_once_a_silence_lasts() {
    let run = async {
        let town = Town::new();
        town.silent.silent.store(true, SeqCst);
        town.sells(1, "silent", 100);
        for vendor in 2..5 {
            town.sells(vendor, "other", 10);
        }
        let silent = || town.asks_to_pay_by("silent", 1);
        // The first calls are given up after five seconds.
        sleep(Duration::from_secs(10)).await;
        for second in [10, 30] {
            assert_eq!(silent().await, Ok(()), "at {second} s it may be over soon");
            sleep(Duration::from_secs(20)).await;
        }
        assert!(matches!(silent().await, Err(Failure::ProviderSilent { .. })));
        assert_eq!(town.asks_to_pay_by("other", 2).await, Ok(()));
        town.silent.silent.store(false, SeqCst);
        sleep(Duration::from_millis(limits::GATEWAY_PROBE_BACKOFF_MS + 1_000)).await;
        assert_eq!(silent().await, Ok(()), "it answers again");
        sleep(Duration::from_millis(100)).await;
        assert_eq!(town.counts.paid.load(SeqCst), 100 + 30 + 4, "and all that waited are paid");
    };
    LocalSet::new().run_until(run).await;
}
