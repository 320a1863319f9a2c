//! Notices of a provider, in simulated time.

use super::silence::Town;
use crate::domain::ids::{CartId, OrderId};
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;
use tokio::task::LocalSet;
use tokio::time::sleep;
use uuid::Uuid;

/// How often the provider is called in this time.
async fn calls(all: &AtomicUsize, time: Duration) -> usize {
    let before = all.load(SeqCst);
    sleep(time).await;
    all.load(SeqCst) - before
}

/// Waits for a look-up after which there is none for a while.
async fn was_looked_up(all: &AtomicUsize) {
    while calls(all, Duration::from_secs(1)).await == 0 {}
    assert_eq!(calls(all, Duration::from_secs(30)).await, 0, "it was looked up just now");
}

/// A payment that is being processed is looked up once a minute by then. Ten thousand notices have it looked up at once, and then once a second
/// at most, the last time after the last of them; and then it is as quiet as before.
#[tokio::test(start_paused = true)]
async fn notices_have_an_order_looked_up_at_once_and_not_each_for_itself() {
    let run = async {
        let town = Town::new();
        let provider = town.silent.clone();
        provider.processing.store(true, SeqCst);
        town.sells(1, "silent", 1);
        let order = OrderId::for_attempt(CartId::from_uuid(Uuid::from_u128(1 << 32)), 1);
        sleep(Duration::from_secs(200)).await;
        let calls_in = async |time: Duration| calls(&provider.calls, time).await;
        was_looked_up(&provider.calls).await;
        assert!(town.node.hint(order));
        assert_eq!(calls_in(Duration::from_millis(10)).await, 1, "at once");
        let waiting = (0..5_000).filter(|_| town.node.hint(order)).count();
        assert_eq!(waiting, 1, "the others wait with it");
        assert_eq!(calls_in(Duration::from_millis(980)).await, 0);
        assert_eq!(calls_in(Duration::from_millis(20)).await, 1, "a second later");
        (0..5_000).for_each(|_| _ = town.node.hint(order));
        assert_eq!(calls_in(Duration::from_secs(3)).await, 1);
        assert_eq!(calls_in(Duration::from_secs(30)).await, 0, "as before");
        provider.processing.store(false, SeqCst);
        assert!(town.node.hint(order), "nothing is left of the earlier ones");
        sleep(Duration::from_millis(10)).await;
        assert_eq!(town.ended(), (1, 0));
        // There is no such order, and nothing comes of it.
        assert!(town.node.hint(OrderId::from_uuid(Uuid::from_u128(5))));
        assert_eq!(calls_in(Duration::from_secs(5)).await, 0);
    };
    LocalSet::new().run_until(run).await;
}

/// Whoever comes back from paying elsewhere is looked up at once; nothing is asked about an order that nobody waits for.
#[tokio::test(start_paused = true)]
async fn a_buyer_who_comes_back_has_the_order_looked_up_at_once() {
    let run = async {
        let town = Town::new();
        let provider = town.silent.clone();
        provider.redirects.store(true, SeqCst);
        town.sells(1, "silent", 1);
        let order = OrderId::for_attempt(CartId::from_uuid(Uuid::from_u128(1 << 32)), 1);
        sleep(Duration::from_secs(200)).await;
        let calls_in = async |time: Duration| calls(&provider.calls, time).await;
        was_looked_up(&provider.calls).await;
        assert!(town.node.buyer_is_back(order));
        assert_eq!(calls_in(Duration::from_millis(10)).await, 1, "at once");
        assert!(!town.node.buyer_is_back(OrderId::from_uuid(Uuid::from_u128(5))), "nobody waits for it");
        provider.redirects.store(false, SeqCst);
        assert!(town.node.buyer_is_back(order));
        sleep(Duration::from_secs(2)).await;
        assert_eq!(town.ended(), (1, 0));
        assert!(!town.node.buyer_is_back(order), "it is paid");
    };
    LocalSet::new().run_until(run).await;
}
