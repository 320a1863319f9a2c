//! A rush of orders that are paying while their provider is down, in simulated time.

use super::silence::Town;
use crate::actors::node::NodeSettings;
use crate::limits;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;
use tokio::task::LocalSet;
use tokio::time::sleep;

/// Calls of the provider per second.
const RATE: u32 = 400;
/// Vendors, half of whom sell when the provider has been down for half its time, and what each sells.
const VENDORS: u128 = 20;
const ORDERS: u128 = 500;

/// The provider is down for ten minutes, as long as an order has to be paid. Half of the orders run out of time meanwhile: of these those
/// are paid whose money had been taken though no answer came. The other half is charged when it is back. Calls keep to their rate,
/// nothing is charged past its deadline, and everything ends.
#[tokio::test(start_paused = true)]
async fn long_ten_thousand_orders_outlive_ten_minutes_without_their_provider() {
    let run = async {
        let town = Town::with(NodeSettings { payment_calls_per_second: RATE, ..NodeSettings::default() });
        let provider = town.silent.clone();
        provider.silent.store(true, SeqCst);
        provider.takes_silently.store(true, SeqCst);
        (1..=VENDORS / 2).for_each(|vendor| town.sells(vendor, "silent", ORDERS));
        let (down, mut most) = (limits::PAYMENT_MS as u64 / 1_000, 0);
        let second = async || {
            let before = provider.calls.load(SeqCst);
            sleep(Duration::from_secs(1)).await;
            provider.calls.load(SeqCst) - before
        };
        for number in 0..down {
            if number == 10 {
                provider.takes_silently.store(false, SeqCst);
            }
            if number == down / 2 {
                (VENDORS / 2 + 1..=VENDORS).for_each(|vendor| town.sells(vendor, "silent", ORDERS));
            }
            most = most.max(second().await);
        }
        assert_eq!(town.ended(), (0, 0), "nobody knows anything");
        let taken_silently = provider.taken.lock().len();
        assert!(taken_silently >= limits::GATEWAY_SILENT_ORDERS, "{taken_silently}");
        provider.silent.store(false, SeqCst);
        let (all, half) = ((VENDORS * ORDERS) as usize, (VENDORS / 2 * ORDERS) as usize);
        let mut seconds = 0;
        // An order may be told twice that it is charged.
        let (pays, ends) = (half + taken_silently, half - taken_silently);
        while town.ended().0 < pays || town.ended().1 < ends {
            most = most.max(second().await);
            seconds += 1;
            assert!(seconds < 240, "{:?} of {all} have ended", town.ended());
        }
        let (paid, over) = town.ended();
        println!("{paid} paid and {over} not after {seconds} s; {taken_silently} unheard, {most} calls in a second");
        assert!(most <= RATE as usize * 12 / 10, "{most} calls in a second");
        assert_eq!(provider.late.load(SeqCst), 0, "charged past the deadline");
        assert_eq!(over, ends);
        assert_eq!(provider.taken.lock().len(), pays, "who is not paid has kept their money");
    };
    LocalSet::new().run_until(run).await;
}
