//! What work of several turns has of the node's budget, from the moment it is let in until it is answered.

use crate::actors::node::Node;
use crate::actors::permits::Permit;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// The guards of one piece of work. They are a part of its question, in whatever mailbox or log writer that is: so they end once,
/// with the answer or with the question, and never with whoever asked.
#[derive(Default)]
pub struct Budget {
    _reserved: Option<Reserved>,
    /// Put here in the turn of who was asked: only then it is known which entities the work needs.
    pub(super) permit: Option<Permit>,
}

impl Budget {
    /// Sets records aside. Gives also what others had set aside before.
    pub(super) fn reserve(node: &Arc<Node>, records: usize) -> (Self, usize) {
        let others = node.reserved.fetch_add(records, Ordering::Relaxed);
        let reserved = Reserved { node: node.clone(), records };
        (Self { _reserved: Some(reserved), permit: None }, others)
    }
}

/// A part of the budget for records in flight, set aside for as long as this lives.
struct Reserved {
    node: Arc<Node>,
    records: usize,
}

impl Drop for Reserved {
    fn drop(&mut self) {
        self.node.reserved.fetch_sub(self.records, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use crate::actors::envelope::Start;
    use crate::actors::node::{DecideHook, NodeSettings};
    use crate::actors::registry::Hosted;
    use crate::actors::shop::{Failure, Shop};
    use crate::actors::testing::{Answer, Bench, until};
    use crate::domain::buyer::{Buyer, Mint};
    use crate::domain::cart::{Cart, CartCommand, CartLine, CheckoutRequest};
    use crate::domain::details::Contact;
    use crate::domain::entity::{Owner, Principal};
    use crate::domain::ids::{CartId, EntityId, OrderId, ProductId, SkuId, VendorId};
    use crate::domain::money::Currency;
    use crate::domain::order::{Address, Order, OrderStatus, OrderView, PaymentChoice};
    use crate::domain::reject::Reject;
    use crate::domain::vendor::{NewProduct, NewSku, Vendor, VendorCommand};
    use crate::limits;
    use futures::{TryFutureExt, poll};
    use std::collections::VecDeque;
    use std::pin::{Pin, pin};
    use std::sync::atomic::Ordering;
    use std::sync::{Arc, Mutex, mpsc};
    use std::time::Duration;
    use uuid::Uuid;

    const PATIENCE: Duration = Duration::from_secs(30);

    fn vendor() -> VendorId {
        VendorId::from_uuid(Uuid::from_u128(900))
    }

    fn sku() -> SkuId {
        SkuId::from_uuid(Uuid::from_u128(901))
    }

    fn cart(number: u128) -> CartId {
        CartId::from_uuid(Uuid::from_u128(number))
    }

    fn buyer(number: u128) -> Principal {
        Principal::Guest(cart(number))
    }

    /// A shop of one piece, and carts with it in them.
    struct Market {
        bench: Bench,
        shop: Shop,
    }

    type Checkout<'a> = Pin<Box<dyn Future<Output = Result<Result<OrderView, Reject>, Failure>> + 'a>>;

    impl Market {
        async fn open(bench: Bench, carts: u128) -> Self {
            let market = Self { shop: bench.shop(), bench };
            let sku_of = NewSku { id: sku(), code: "S".into(), price_minor: 5, currency: Currency::BDT, on_hand: 1 };
            let product = NewProduct {
                id: ProductId::from_uuid(Uuid::from_u128(902)),
                title: "T".into(),
                description: None,
                category: None,
                skus: vec![sku_of],
            };
            market.done::<Vendor>(vendor(), VendorCommand::Create { name: "V".into() }).await;
            market.done::<Vendor>(vendor(), VendorCommand::AddProduct { by: Principal::SHOP, product }).await;
            for number in 1..=carts {
                let line = CartLine {
                    sku: sku(),
                    vendor: vendor(),
                    title: "T".into(),
                    quantity: 1,
                    unit_price: 5,
                    sale: None,
                };
                let create = CartCommand::Create { owner: Owner::Guest, currency: Currency::BDT };
                market.done::<Cart>(cart(number), create).await;
                market
                    .done::<Cart>(
                        cart(number),
                        CartCommand::SetLine { by: buyer(number), line, currency: Currency::BDT },
                    )
                    .await;
            }
            assert_eq!(market.records(), 0);
            market
        }

        async fn done<E: Hosted>(&self, id: E::Id, command: E::Command) {
            let mut answer = self.bench.ask::<E>(id, command, None, PATIENCE);
            let answer: Answer<E> = loop {
                self.bench.log_writer.let_go();
                if let Ok(answer) = tokio::time::timeout(Duration::from_millis(1), &mut answer).await {
                    break answer.expect("an answer");
                }
            };
            answer.expect("an answer").outcome.expect("it is done");
        }

        fn checkout(&self, number: u128, within: Duration, wait: Option<Duration>) -> Checkout<'_> {
            let details = CheckoutRequest {
                shipping: Vec::new(),
                slots: Vec::new(),
                quote: None,
                buyer: Buyer::default(),
                mint: Mint([0; 4]),
                contact: Contact {
                    email: None,
                    shipping_address: Address {
                        name: "A".into(),
                        line1: "1".into(),
                        line2: None,
                        city: "D".into(),
                        postcode: None,
                        region: None,
                        country: "BD".into(),
                        phone: None,
                    },
                },
                payment: PaymentChoice { method: "hangs".into(), token: "t".into() },
                expected_total: None,
            };
            let checkout = self.shop.checkout(buyer(number), cart(number), details, within, wait, None);
            Box::pin(checkout.map_ok(|checked_out| checked_out.outcome))
        }

        /// Lets a checkout in, and stops listening.
        async fn abandoned(&self, number: u128, within: Duration) {
            let mut checkout = self.checkout(number, within, None);
            assert!(poll!(&mut checkout).is_pending());
        }

        /// Records that are set aside.
        fn records(&self) -> usize {
            self.bench.node.reserved.load(Ordering::SeqCst)
        }

        /// Whether a checkout at the vendor is under way.
        fn has_permit(&self) -> bool {
            self.bench.node.permits.take([vendor().entity()], 1, 0).is_none()
        }

        fn order_of(&self, number: u128) -> OrderId {
            OrderId::for_attempt(cart(number), 1)
        }

        async fn all_is_free(&self) {
            until("the budget to be given back", || self.records() == 0 && !self.has_permit()).await;
        }

        /// Makes durable whatever comes, until nothing is set aside.
        async fn let_go(&self) {
            until("the budget to be given back", || {
                self.bench.log_writer.let_go();
                self.records() == 0 && !self.has_permit()
            })
            .await;
        }
    }

    /// Panics with whatever begins so, so many times.
    fn panics_at(start: &'static str, times: usize) -> Option<DecideHook> {
        let left = Mutex::new(times);
        Some(Arc::new(move |_, command| {
            if format!("{command:?}").starts_with(start) {
                let mut left = left.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
                *left = left.checked_sub(1).unwrap_or_else(|| std::panic::resume_unwind(Box::new("forced")));
            }
        }))
    }

    #[tokio::test]
    async fn what_an_abandoned_checkout_set_aside_is_kept_until_its_stock_is_held() {
        let market = Market::open(Bench::new(), 1).await;
        market.abandoned(1, PATIENCE).await;
        // The records of cart, order, vendor and order again wait for the log writer: all is done but the commit.
        until("the saga to come to its held stock", || market.bench.log_writer.waiting() >= 4).await;
        assert_eq!((market.records(), market.has_permit()), (limits::RECORDS_PER_CHECKOUT, true));
        market.let_go().await;
    }

    #[tokio::test]
    async fn what_abandoned_checkouts_set_aside_is_kept_until_one_is_refused_for_its_stock() {
        let market = Market::open(Bench::new(), 2).await;
        market.abandoned(1, PATIENCE).await;
        market.abandoned(2, PATIENCE).await;
        until("both to be recorded", || market.bench.log_writer.waiting() >= 8).await;
        assert_eq!((market.records(), market.has_permit()), (2 * limits::RECORDS_PER_CHECKOUT, true));
        market.let_go().await;
    }

    #[tokio::test]
    async fn a_checkout_that_its_cart_refuses_gives_its_budget_back() {
        let market = Market::open(Bench::new(), 1).await;
        market.abandoned(2, PATIENCE).await;
        market.all_is_free().await;
        let told = market.checkout(2, PATIENCE, None).await;
        assert_eq!(told, Ok(Err(Reject::CartUnknown)));
        assert_eq!((market.records(), market.has_permit()), (0, false), "with the answer, not after it");
    }

    #[tokio::test]
    async fn a_checkout_that_is_not_delivered_gives_its_budget_back() {
        let settings = NodeSettings { mailbox_depth: 0, ..NodeSettings::default() };
        let market = Market::open(Bench::with_settings(settings), 1).await;
        let told = market.checkout(1, PATIENCE, None).await;
        assert!(matches!(told, Err(Failure::Overloaded { .. })), "{told:?}");
        assert_eq!((market.records(), market.has_permit()), (0, false));
    }

    #[tokio::test]
    async fn a_checkout_whose_turn_comes_too_late_keeps_its_budget_until_then() {
        let (go, gone) = mpsc::sync_channel::<()>(1);
        let gone = Mutex::new(gone);
        let hook = move |_, command: &dyn std::fmt::Debug| {
            if format!("{command:?}").starts_with("RemoveLine") {
                let _ = gone.lock().map(|gone| gone.recv());
            }
        };
        let market = Market::open(Bench::with_hook(Some(Arc::new(hook))), 2).await;
        // The one thread of the actors is held up, until this goes: before the shop does, should the test fail.
        let go = go;
        let remove = CartCommand::RemoveLine { by: buyer(2), sku: sku() };
        let _held_up = market.bench.ask::<Cart>(cart(2), remove, None, PATIENCE);
        let told = market.checkout(1, Duration::from_millis(20), None).await;
        assert_eq!(told, Err(Failure::OutcomeUnknown));
        assert_eq!(market.records(), limits::RECORDS_PER_CHECKOUT, "it is still in the mailbox");
        drop(go);
        market.all_is_free().await;
    }

    #[tokio::test]
    async fn a_checkout_that_panics_gives_its_budget_back_each_time() {
        let market = Market::open(Bench::with_hook(panics_at("CheckOut", 0)), 1).await;
        let mut told = VecDeque::new();
        while told.len() < 2 {
            let mut checkout = pin!(market.checkout(1, PATIENCE, None));
            told.push_back(loop {
                market.bench.log_writer.let_go();
                if let Ok(told) = tokio::time::timeout(Duration::from_millis(1), &mut checkout).await {
                    break told;
                }
            });
            assert_eq!((market.records(), market.has_permit()), (0, false));
        }
        assert_eq!(told.pop_front(), Some(Err(Failure::Restarting)));
        assert_eq!(told.pop_back(), Some(Ok(Err(Reject::CommandPoisoned))), "{told:?}");
    }

    #[tokio::test]
    async fn a_checkout_whose_order_never_comes_to_be_keeps_its_budget_as_long_as_it_may_wait() {
        let market = Market::open(Bench::with_hook(panics_at("Place", 0)), 1).await;
        let timers = tokio::spawn(market.bench.node.clone().run_timers());
        // It is to be seen before its time is over, also where the thread of the actors stands still for a while.
        market.abandoned(1, Duration::from_secs(5)).await;
        until("the order to be asked", || {
            market.bench.log_writer.let_go();
            market.bench.node.is_live(market.order_of(1).entity())
        })
        .await;
        assert_eq!((market.records(), market.has_permit()), (limits::RECORDS_PER_CHECKOUT, true));
        market.let_go().await;
        timers.abort();
    }

    #[tokio::test]
    async fn a_checkout_whose_order_is_quarantined_gives_its_budget_back() {
        let market = Market::open(Bench::new(), 1).await;
        let order = market.bench.node.start::<Order>(market.order_of(1), Start::Quarantined).expect("it starts");
        Order::slots(&market.bench.node.registry).insert(market.order_of(1), order);
        let told = market.checkout(1, PATIENCE, None).await;
        assert_eq!(told, Err(Failure::Quarantined));
        market.all_is_free().await;
    }

    #[tokio::test]
    async fn what_is_set_aside_ends_with_the_node() {
        let market = Market::open(Bench::new(), 1).await;
        market.abandoned(1, PATIENCE).await;
        until("the saga to come to its held stock", || market.bench.log_writer.waiting() >= 4).await;
        market.bench.log_writer.forget();
        market.all_is_free().await;
        // And while it waits at an order.
        let market = Market::open(Bench::with_hook(panics_at("StockHeld", 0)), 1).await;
        market.abandoned(1, PATIENCE).await;
        // Cart, order and vendor have their records there, and the order, which panicked, waits for its own.
        until("the order to start again", || market.bench.log_writer.waiting() >= 4).await;
        assert_eq!((market.records(), market.has_permit()), (limits::RECORDS_PER_CHECKOUT, true));
        market.bench.log_writer.forget();
        market.shop.close().await;
        market.all_is_free().await;
    }

    /// That a checkout is refused for want of a place to wait can be said only before anything is recorded: one that has
    /// begun may come to its end.
    #[tokio::test]
    async fn what_has_begun_is_not_refused_for_want_of_a_place_to_wait() {
        let (go, gone) = mpsc::sync_channel::<()>(1);
        let gone = Mutex::new(gone);
        let hook = move |_, command: &dyn std::fmt::Debug| {
            if format!("{command:?}").starts_with("CheckOut") {
                let _ = gone.lock().map(|gone| gone.recv());
            }
        };
        let shop = Market::open(Bench::with_hook(Some(Arc::new(hook))), 1).await;
        // The one thread of the actors is held up, until this goes: before the shop does, should the test fail.
        let go = go;
        let mut checkout = shop.checkout(1, PATIENCE, None);
        assert!(poll!(&mut checkout).is_pending(), "it is let in");
        shop.bench.node.waiting.fetch_add(limits::REQUESTS_WAITING, Ordering::SeqCst);
        drop(go);
        assert_eq!(checkout.await, Err(Failure::OutcomeUnknown));
    }

    /// Nor is the wait for its payment: then the order is shown as it is.
    #[tokio::test]
    async fn a_checkout_with_no_place_to_wait_for_its_payment_shows_its_order() {
        let shop = Market::open(Bench::new(), 1).await;
        let mut checkout = shop.checkout(1, PATIENCE, Some(PATIENCE));
        assert!(poll!(&mut checkout).is_pending());
        until("the saga to come to its held stock", || shop.bench.log_writer.waiting() >= 4).await;
        shop.bench.node.waiting.fetch_add(limits::REQUESTS_WAITING, Ordering::SeqCst);
        let told = loop {
            shop.bench.log_writer.let_go();
            if let Ok(told) = tokio::time::timeout(Duration::from_millis(1), &mut checkout).await {
                break told.expect("an answer");
            }
        };
        assert_eq!(told.map(|order| order.status), Ok(OrderStatus::AwaitingPayment));
    }

    /// With a wait to come the second question holds nothing, and so does one for an order that is there.
    #[tokio::test]
    async fn who_waits_for_a_payment_or_for_an_order_that_is_there_has_nothing_set_aside() {
        let market = Market::open(Bench::new(), 1).await;
        let mut first = market.checkout(1, PATIENCE, Some(PATIENCE));
        assert!(poll!(&mut first).is_pending());
        until("the saga to come to its held stock", || market.bench.log_writer.waiting() >= 4).await;
        market.abandoned(1, PATIENCE).await;
        until("the second to ask the order", || market.records() == limits::RECORDS_PER_CHECKOUT).await;
        market.let_go().await;
        assert!(poll!(&mut first).is_pending(), "it waits for its payment");
        assert_eq!((market.records(), market.has_permit()), (0, false));
    }
}
