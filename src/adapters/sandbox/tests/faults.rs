//! The sandbox on a disk that is slow, full or broken.

use super::super::writer::Disk;
use super::*;
use crate::limits;
use parking_lot::{Condvar, Mutex};
use std::sync::atomic::AtomicUsize;

/// A file that fails on demand, and whose sync can be held up.
#[derive(Clone, Default)]
struct Staged(Arc<(Mutex<Stage>, Condvar)>);

#[derive(Default)]
struct Stage {
    bytes: Vec<u8>,
    synced: usize,
    syncs: usize,
    held: bool,
    /// How many bytes the next write takes before the disk is full.
    full_after: Option<usize>,
    sync_fails: bool,
    truncate_fails: bool,
    panics: bool,
}

impl Staged {
    fn set(&self, change: impl FnOnce(&mut Stage)) {
        change(&mut self.0.0.lock());
        self.0.1.notify_all();
    }

    fn text(&self) -> String {
        String::from_utf8(self.0.0.lock().bytes.clone()).unwrap()
    }

    fn gateway(&self) -> Arc<SandboxGateway> {
        Arc::new(SandboxGateway::start(self.clone(), Contents::default(), Arc::new(Ticks::default())).unwrap())
    }
}

impl Disk for Staged {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut stage = self.0.0.lock();
        assert!(!stage.panics, "told to");
        let taken = stage.full_after.unwrap_or(bytes.len()).min(bytes.len());
        stage.bytes.extend(&bytes[..taken]);
        if taken < bytes.len() { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }

    fn sync(&mut self) -> io::Result<()> {
        let mut stage = self.0.0.lock();
        // Not for ever: a test that fails while it holds the disk must come to its end.
        let held = Duration::from_secs(20);
        self.0.1.wait_while_for(&mut stage, |stage| stage.held, held);
        if stage.sync_fails {
            return Err(io::Error::other("the disk is gone"));
        }
        stage.syncs += 1;
        stage.synced = stage.bytes.len();
        Ok(())
    }

    fn truncate(&mut self, length: u64) -> io::Result<()> {
        let mut stage = self.0.0.lock();
        if stage.truncate_fails {
            return Err(io::Error::other("the disk is gone"));
        }
        stage.bytes.truncate(usize::try_from(length).unwrap());
        Ok(())
    }
}

/// Starts a charge of each of these orders and returns when all of them have reached the gateway.
async fn start_charges(
    gateway: &Arc<SandboxGateway>,
    numbers: std::ops::Range<u128>,
) -> Vec<tokio::task::JoinHandle<Result<Progress, NoAnswer>>> {
    let (wanted, started) = (numbers.clone().count(), Arc::new(AtomicUsize::new(0)));
    let spawn = |number| {
        let (gateway, started) = (gateway.clone(), started.clone());
        tokio::spawn(async move {
            // Counted in the turn in which the charge runs as far as it can.
            started.fetch_add(1, Ordering::Relaxed);
            gateway.charge(&call(number, "tok_approve")).await
        })
    };
    let charges = numbers.map(spawn).collect();
    while started.load(Ordering::Relaxed) < wanted {
        tokio::task::yield_now().await;
    }
    charges
}

#[tokio::test]
async fn nobody_is_answered_before_the_sync_and_nobody_who_looks_waits_for_it() {
    let disk = Staged::default();
    let gateway = disk.gateway();
    gateway.charge(&call(0, "tok_approve")).await.unwrap();
    disk.set(|stage| stage.held = true);
    let first = start_charges(&gateway, 1..2).await;
    while disk.text().lines().count() < 2 {
        sleep(Duration::from_millis(1)).await;
    }
    let others = start_charges(&gateway, 2..300).await;
    let again = start_charges(&gateway, 1..2).await;
    let void = tokio::spawn({
        let gateway = gateway.clone();
        async move { gateway.void(&call(1, "tok_approve")).await }
    });
    sleep(Duration::from_millis(30)).await;
    // The line is written; but until it is synced, nobody hears of it.
    assert!(first.iter().chain(&others).chain(&again).all(|charge| !charge.is_finished()) && !void.is_finished());
    assert_eq!(gateway.entries(None, 10).len(), 1);
    assert_eq!(gateway.charge(&call(0, "tok_approve")).await, Ok(charged()));
    disk.set(|stage| stage.held = false);
    for charge in first.into_iter().chain(others) {
        assert_eq!(charge.await.unwrap(), Ok(charged()));
    }
    assert_eq!(void.await.unwrap(), Ok(refunded()));
    again.into_iter().next().unwrap().await.unwrap().unwrap();
    let stage = disk.0.0.lock();
    assert_eq!(stage.synced, stage.bytes.len());
    // One for order 0, one for order 1, one for all that gathered meanwhile, one for the refund if it came after them.
    assert!(stage.syncs <= 4, "{} syncs", stage.syncs);
}

#[tokio::test]
async fn a_failed_write_changes_nothing_and_the_next_one_works() {
    type Fault = fn(&mut Stage);
    let faults: [Fault; 5] = [
        |stage| stage.full_after = Some(0),
        |stage| stage.full_after = Some(50),
        |stage| stage.sync_fails = true,
        |stage| (stage.full_after, stage.truncate_fails) = (Some(50), true),
        // Here whole lines are left in the file, of charges that nobody may believe in.
        |stage| (stage.sync_fails, stage.truncate_fails) = (true, true),
    ];
    for fault in faults {
        let disk = Staged::default();
        let gateway = disk.gateway();
        gateway.charge(&call(0, "tok_approve")).await.unwrap();
        let good = disk.text();
        disk.set(fault);
        for charge in start_charges(&gateway, 1..11).await {
            let error = charge.await.unwrap().unwrap_err();
            assert!(error.0.contains("ledger cannot be written"), "{error}");
        }
        assert_eq!(gateway.entries(None, 100).len(), 1, "what was not written did not happen");
        assert!(gateway.void(&call(0, "tok_approve")).await.is_err());
        assert_eq!(gateway.charge(&call(0, "tok_approve")).await, Ok(charged()));
        disk.set(|stage| (stage.full_after, stage.sync_fails, stage.truncate_fails) = (None, false, false));
        // A void of what was not charged finds nothing taken.
        assert_eq!(gateway.void(&call(1, "tok_approve")).await, Ok(OrderCommand::Voided));
        assert_eq!(gateway.charge(&call(2, "tok_approve")).await, Ok(charged()));
        let text = disk.text();
        assert!(text.starts_with(&good));
        let contents = charge_log::read(text.as_bytes(), Path::new("staged")).unwrap();
        assert_eq!(
            (contents.bytes.complete, contents.bytes.torn),
            (text.len() as u64, 0),
            "nothing is left of the failed write"
        );
        let read: Vec<ChargeLogEntry> = contents.book.newest_first().collect();
        assert_eq!(read, gateway.entries(None, 100));
        assert_eq!(read.len(), 3);
    }
}

#[tokio::test]
async fn a_failed_write_is_taken_back_at_once_when_it_can_be() {
    let disk = Staged::default();
    let gateway = disk.gateway();
    disk.set(|stage| stage.full_after = Some(50));
    gateway.charge(&call(0, "tok_approve")).await.unwrap_err();
    assert_eq!(disk.text(), "");
}

#[tokio::test]
async fn a_caller_that_gives_up_during_the_write_finds_the_charge_when_it_asks_again() {
    let disk = Staged::default();
    let gateway = disk.gateway();
    disk.set(|stage| stage.held = true);
    let given_up = start_charges(&gateway, 1..2).await.remove(0);
    given_up.abort();
    assert!(given_up.await.is_err());
    disk.set(|stage| stage.held = false);
    assert_eq!(gateway.charge(&call(1, "tok_decline")).await, Ok(charged()));
    assert_eq!(disk.text().lines().count(), 1);
}

#[tokio::test]
async fn a_writer_that_dies_leaves_nobody_waiting() {
    let disk = Staged::default();
    let gateway = disk.gateway();
    disk.set(|stage| stage.panics = true);
    let charge = timeout(Duration::from_secs(10), gateway.charge(&call(1, "tok_approve"))).await;
    assert!(charge.is_ok_and(|said| said.is_err()));
    while !gateway.writer.as_ref().unwrap().is_finished() {
        sleep(Duration::from_millis(1)).await;
    }
    let error = gateway.charge(&call(1, "tok_approve")).await.unwrap_err();
    assert!(error.0.contains("has stopped"), "{error}");
}

#[tokio::test]
async fn dropping_the_gateway_writes_what_waits() {
    let disk = Staged::default();
    let gateway = disk.gateway();
    let charges = start_charges(&gateway, 0..50).await;
    for charge in &charges {
        charge.abort();
    }
    for charge in charges {
        let _ = charge.await;
    }
    drop(gateway);
    assert_eq!(disk.text().lines().count(), 50);
}

#[tokio::test]
async fn past_the_limit_of_what_waits_a_charge_fails() {
    let disk = Staged::default();
    let gateway = disk.gateway();
    disk.set(|stage| stage.held = true);
    let waiting = start_charges(&gateway, 0..1).await;
    while gateway.desk.state.lock().queued() > 0 {
        sleep(Duration::from_millis(1)).await;
    }
    let most = limits::SANDBOX_QUEUE as u128;
    let more = start_charges(&gateway, 1..most + 1).await;
    assert!(more.iter().all(|charge| !charge.is_finished()));
    let error = gateway.charge(&call(most + 1, "tok_approve")).await.unwrap_err();
    assert!(error.0.contains("too many charges"), "{error}");
    disk.set(|stage| stage.held = false);
    for charge in waiting.into_iter().chain(more) {
        assert_eq!(charge.await.unwrap(), Ok(charged()));
    }
    assert_eq!(gateway.charge(&call(most + 1, "tok_approve")).await, Ok(charged()));
}
