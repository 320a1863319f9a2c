//! What a feed tells, and when, in a time of its own.

use super::*;
use crate::domain::money::{Currency, Money};
use futures::FutureExt;
use parking_lot::Mutex;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};
use uuid::Uuid;

fn sku(number: u128) -> SkuId {
    SkuId::from_uuid(Uuid::from_u128(number))
}

fn glimpse(available: i64) -> Glimpse {
    Glimpse { available, price: Money::new(1000, Currency::BDT), sale_left: None }
}

/// What a test says is there.
#[derive(Clone, Default)]
struct Shelf(Arc<Mutex<Shown>>, Arc<Notify>);

#[derive(Default)]
struct Shown {
    items: Vec<(SkuId, Glimpse)>,
    /// What there will be by itself, and when.
    later: Option<(Instant, Vec<(SkuId, Glimpse)>)>,
    is_hidden: bool,
}

impl Shelf {
    fn set(&self, items: &[(SkuId, Glimpse)]) {
        self.0.lock().items = items.to_vec();
        self.1.notify_one();
    }
}

impl Source for Shelf {
    fn look(&mut self) -> Option<Look> {
        let mut shown = self.0.lock();
        if shown.later.as_ref().is_some_and(|(at, _)| *at <= now()) {
            shown.items = shown.later.take().unwrap().1;
        }
        let again = shown.later.as_ref().map(|(at, _)| *at - now());
        (!shown.is_hidden).then(|| Look { items: shown.items.clone(), again })
    }

    fn changed(&self) -> Arc<Notify> {
        self.1.clone()
    }
}

struct Running {
    shelf: Shelf,
    feed: Arc<Feed>,
    reader: watch::Receiver<Arc<Told>>,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

fn running(items: &[(SkuId, Glimpse)], later: Option<(Instant, Vec<(SkuId, Glimpse)>)>) -> Running {
    let shelf = Shelf::default();
    *shelf.0.lock() = Shown { items: items.to_vec(), later, is_hidden: false };
    let mut source = shelf.clone();
    let look = source.look().unwrap();
    let (feed, reader) = Feed::new(&look);
    let (feed, stop) = (Arc::new(feed), CancellationToken::new());
    let (own, token) = (feed.clone(), stop.clone());
    let task = tokio::spawn(async move { run(&own, source, look.again, &token, || own.is_unwatched()).await });
    Running { shelf, feed, reader, stop, task }
}

impl Running {
    /// How many pieces of the first SKU are told next, and after how many milliseconds.
    async fn next(&mut self) -> (i64, u64) {
        let asked = now();
        timeout(Duration::from_secs(3_600), self.reader.changed()).await.expect("something is told").unwrap();
        let available = self.reader.borrow_and_update().items[0].glimpse.available;
        (available, u64::try_from((now() - asked).as_millis()).unwrap())
    }

    fn is_silent(&mut self) -> bool {
        self.reader.changed().now_or_never().is_none()
    }
}

#[tokio::test(start_paused = true)]
async fn a_change_is_told_at_once_and_the_last_of_many_in_the_end() {
    let mut running = running(&[(sku(1), glimpse(10))], None);
    sleep(Duration::from_secs(1)).await;
    running.shelf.set(&[(sku(1), glimpse(9))]);
    assert_eq!(running.next().await, (9, 0));
    // While it rests there are many more, of which the last is told.
    for left in (5..9).rev() {
        running.shelf.set(&[(sku(1), glimpse(left))]);
        sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(running.next().await, (5, 50));
    // What is as it was told is not told again.
    sleep(Duration::from_millis(10)).await;
    running.shelf.set(&[(sku(1), glimpse(4))]);
    running.shelf.set(&[(sku(1), glimpse(5))]);
    sleep(Duration::from_secs(10)).await;
    assert!(running.is_silent());
}

#[tokio::test(start_paused = true)]
async fn at_most_five_are_told_in_any_second_however_many_there_are() {
    let mut running = running(&[(sku(1), glimpse(1_000))], None);
    // A reader that comes now has an event now.
    let mut told = vec![now()];
    let (shelf, began) = (running.shelf.clone(), now());
    let sells = tokio::spawn(async move {
        for left in (0..1_000).rev() {
            shelf.set(&[(sku(1), glimpse(left))]);
            sleep(Duration::from_millis(5)).await;
        }
    });
    let last = loop {
        let (left, _) = running.next().await;
        told.push(now());
        if left == 0 {
            break now() - began;
        }
    };
    sells.await.unwrap();
    assert!(last <= Duration::from_millis(5_000) + REST, "{last:?}");
    let most =
        told.iter().map(|from| told.iter().filter(|at| (*from..*from + Duration::from_secs(1)).contains(at)).count());
    assert_eq!(most.max(), Some(5));
    assert!(told.len() >= 20, "as often as it may: {}", told.len());
}

#[tokio::test(start_paused = true)]
async fn what_comes_by_time_alone_is_told_at_its_moment() {
    let later = vec![(sku(1), glimpse(3))];
    let mut running = running(&[(sku(1), glimpse(10))], Some((now() + Duration::from_millis(700), later)));
    assert_eq!(running.next().await, (3, 700));
    sleep(Duration::from_secs(10)).await;
    assert!(running.is_silent());
}

#[tokio::test(start_paused = true)]
async fn while_nobody_may_say_nothing_is_told() {
    let mut running = running(&[(sku(1), glimpse(10))], None);
    running.shelf.0.lock().is_hidden = true;
    running.shelf.set(&[(sku(1), glimpse(9))]);
    sleep(Duration::from_secs(60)).await;
    assert!(running.is_silent());
    running.shelf.0.lock().is_hidden = false;
    let (left, after) = running.next().await;
    assert!(left == 9 && after <= 1_000, "{after}");
}

#[tokio::test(start_paused = true)]
async fn a_feed_ends_with_its_last_reader_and_with_the_server() {
    let Running { feed, reader, task, .. } = running(&[(sku(1), glimpse(10))], None);
    let other = feed.subscribe();
    drop(reader);
    sleep(Duration::from_secs(1)).await;
    assert!(!task.is_finished());
    drop(other);
    timeout(Duration::from_secs(1), task).await.expect("it ends").unwrap();

    let mut resting = running(&[(sku(1), glimpse(10))], None);
    resting.shelf.set(&[(sku(1), glimpse(9))]);
    resting.next().await;
    resting.stop.cancel();
    let asked = now();
    resting.reader.changed().await.unwrap();
    assert!(resting.reader.borrow().is_last && now() == asked, "it does not rest first");
    resting.task.await.unwrap();
}

fn told(items: &[(SkuId, Glimpse)], before: Option<&Told>) -> Told {
    Told::new(&Look { items: items.to_vec(), again: None }, before)
}

fn pieces(events: &Bytes) -> Vec<i64> {
    let text = std::str::from_utf8(events).unwrap();
    let data = text.lines().filter_map(|line| line.strip_prefix("data: "));
    data.map(|data| serde_json::from_str::<serde_json::Value>(data).unwrap()["available"].as_i64().unwrap()).collect()
}

#[test]
fn an_event_says_how_it_stands() {
    let first = told(&[(sku(1), Glimpse { sale_left: Some(0), ..glimpse(7) })], None);
    let text = String::from_utf8(first.since(None).to_vec()).unwrap();
    let data = format!(
        r#"{{"sku_id":"{}","available":7,"price":{{"amount":"10.00","currency":"BDT"}},"sale_left":0}}"#,
        sku(1)
    );
    assert_eq!(text, format!("event: stock\ndata: {data}\nid: {}\n\n", first.id));
    assert!(
        !String::from_utf8(told(&[(sku(1), glimpse(7))], None).since(None).to_vec()).unwrap().contains("sale_left")
    );
}

/// Whoever has missed turns is told each SKU that is another once, and as it is now.
#[test]
fn whoever_was_behind_is_told_what_they_do_not_know() {
    let stands = |left: [i64; 3]| [(sku(1), glimpse(left[0])), (sku(2), glimpse(left[1])), (sku(3), glimpse(left[2]))];
    let first = told(&stands([10, 20, 30]), None);
    let second = told(&stands([9, 20, 30]), Some(&first));
    let third = told(&stands([8, 20, 29]), Some(&second));
    let fourth = told(&stands([8, 19, 29]), Some(&third));
    for (known, is_told) in [
        (None, vec![8, 19, 29]),
        (Some(0), vec![8, 19, 29]),
        (Some(1), vec![8, 19, 29]),
        (Some(2), vec![19]),
        (Some(3), vec![]),
    ] {
        assert_eq!(pieces(&fourth.since(known)), is_told, "{known:?}");
    }
    assert_eq!(pieces(&second.since(Some(0))), [9]);
    assert_eq!(third.since(Some(1)).as_ptr(), third.since(Some(1)).as_ptr(), "written once");
    assert_eq!(third.since(None).as_ptr(), third.since(None).as_ptr(), "written once");
    // Only the last event has the id, and it is that of the whole.
    let text = String::from_utf8(third.since(Some(1)).to_vec()).unwrap();
    assert_eq!(text.matches("\n\n").count(), 2);
    assert!(text.matches("id: ").count() == 1 && text.ends_with(&format!("id: {}\n\n", third.id)));
    // The same state has the same name, whoever tells it.
    assert_eq!(told(&stands([10, 20, 30]), Some(&fourth)).id, first.id);
    assert!(first.id != second.id && second.id != third.id);
    // One is taken out of the sale, another comes.
    let other = told(&[(sku(1), glimpse(8)), (sku(3), glimpse(29)), (sku(4), glimpse(4))], Some(&fourth));
    assert_eq!(pieces(&other.since(Some(3))), [4]);
}
