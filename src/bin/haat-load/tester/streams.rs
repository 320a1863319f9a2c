//! Streams of server-sent events about what is bought: how soon one is told how things stand, and how much later than the first each is told that
//! something is another.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use http_body_util::BodyExt;
use hyper::body::Incoming;
use serde::Deserialize;

use super::buyer::{Stop, path};
use super::client::{Ask, Broken, Caller};
use super::run::{Run, rest_until};
use super::stats::{Call, Mishap, locked};

/// Who is cut off comes back after so long, where the stream has not said it.
const COMES_BACK: Duration = Duration::from_secs(2);
/// A state that comes again later than this is another change.
const SAME_CHANGE: Duration = Duration::from_secs(10);
/// An event longer than this is an error.
const MOST_BYTES: usize = 64 << 10;

/// When the first stream of this process was told of each state.
#[derive(Default)]
pub struct FirstTold(Mutex<HashMap<(usize, String), Instant>>);

impl FirstTold {
    /// A stream is told of this state of a SKU: how much later than the first; `None` for the first.
    fn told(&self, sku: usize, state: &str, now: Instant) -> Option<Duration> {
        let mut first = locked(&self.0);
        match first.get_mut(&(sku, state.to_owned())) {
            Some(at) => {
                let later = now.saturating_duration_since(*at);
                if later > SAME_CHANGE {
                    *at = now;
                    return None;
                }
                Some(later)
            }
            None => {
                first.insert((sku, state.to_owned()), now);
                None
            }
        }
    }
}

/// What is told of a SKU.
#[derive(Deserialize)]
struct Stock {
    available: i64,
    #[serde(default)]
    sale_left: Option<i64>,
}

/// One event, as it is read.
#[derive(Default, Debug, PartialEq)]
struct Event {
    name: String,
    data: String,
    id: String,
    retry: Option<Duration>,
}

/// The bytes of a stream, event by event (WHATWG HTML, 9.2 Server-sent events; lines end with a line feed, as the contract has them).
#[derive(Default)]
struct Reading {
    partial: Vec<u8>,
}

impl Reading {
    /// Takes what has come; gives the events that are whole, or nothing where what comes is no stream of events.
    fn take(&mut self, bytes: &[u8]) -> Option<Vec<Event>> {
        self.partial.extend_from_slice(bytes);
        let mut events = Vec::new();
        while let Some(end) = self.partial.windows(2).position(|two| two == b"\n\n") {
            let text = std::str::from_utf8(&self.partial[..end]).ok()?;
            let mut event = Event::default();
            for line in text.lines() {
                match line.split_once(':') {
                    Some(("event", name)) => name.trim_start().clone_into(&mut event.name),
                    Some(("data", data)) => data.trim_start().clone_into(&mut event.data),
                    Some(("id", id)) => id.trim_start().clone_into(&mut event.id),
                    Some(("retry", ms)) => event.retry = Some(Duration::from_millis(ms.trim().parse().ok()?)),
                    Some(("", _)) => {}
                    _ => return None,
                }
            }
            events.push(event);
            self.partial.drain(..end + 2);
        }
        (self.partial.len() <= MOST_BYTES).then_some(events)
    }
}

/// What one watcher knows.
struct Watcher {
    sku: usize,
    due: Instant,
    /// It was told how things stand.
    begun: bool,
    last: String,
    comes_back: Duration,
}

/// Watches a SKU until then, and comes back when it is cut off.
pub async fn watch(run: &Run, caller: &mut Caller, sku: usize, due: Instant, until: Instant) -> Result<(), Stop> {
    let ask = path(caller, Call::Watch, Ask::get(format!("/v1/skus/{}/events", run.skus[sku].id), None))?;
    let mut watcher = Watcher { sku, due, begun: false, last: String::new(), comes_back: COMES_BACK };
    for _ in 0..=run.wire.repeats {
        let stream = match caller.stream(&ask, &watcher.last).await {
            Ok(stream) if stream.status() == 200 => stream,
            Ok(refused) if refused.status() == 503 => {
                caller.recorder().mishap(Mishap::Busy);
                if !pause(run, watcher.comes_back, until).await {
                    break;
                }
                continue;
            }
            Ok(refused) => {
                caller.recorder().unexpected(&format!("{}: {}", Call::Watch.name(), refused.status().as_u16()));
                return Err(Stop::Unexpected(Call::Watch));
            }
            Err(broken) => {
                caller.recorder().mishap(if broken == Broken::Connect { Mishap::Connect } else { Mishap::Dropped });
                if !pause(run, watcher.comes_back, until).await {
                    break;
                }
                continue;
            }
        };
        tokio::select! {
            biased;
            () = run.stop.cancelled() => return Err(Stop::Stopped),
            () = tokio::time::sleep_until(until.into()) => break,
            told = watcher.read(run, caller, stream.into_body()) => told?,
        }
        // It has ended before its reader wanted it to.
        caller.recorder().mishap(Mishap::Dropped);
        if !pause(run, watcher.comes_back, until).await {
            break;
        }
    }
    match (watcher.begun, run.stop.is_cancelled()) {
        (_, true) => Err(Stop::Stopped),
        (true, false) => Ok(()),
        (false, false) => {
            caller.recorder().unanswered(Call::Watch);
            Err(Stop::GaveUp(Call::Watch))
        }
    }
}

/// Rests; false where the time is up or the run is stopped.
async fn pause(run: &Run, pause: Duration, until: Instant) -> bool {
    let due = Instant::now() + pause;
    due < until && rest_until(due, Some(&run.stop)).await
}

impl Watcher {
    /// Reads to the end of the stream.
    async fn read(&mut self, run: &Run, caller: &Caller, mut body: Incoming) -> Result<(), Stop> {
        let mut reading = Reading::default();
        while let Some(Ok(frame)) = body.frame().await {
            let Some(bytes) = frame.data_ref() else { continue };
            let now = Instant::now();
            let wrong = |said: &str| {
                caller.recorder().unexpected(&format!("{}: {said}", Call::Watch.name()));
                Err(Stop::Unexpected(Call::Watch))
            };
            let Some(events) = reading.take(bytes) else { return wrong("what is no stream of events") };
            for event in events {
                self.comes_back = event.retry.unwrap_or(self.comes_back);
                match &*event.name {
                    "stock" => {}
                    // A comment or a retry by itself; or that the server stops.
                    _ => continue,
                }
                let Ok(stock) = serde_json::from_str::<Stock>(&event.data) else {
                    return wrong("an event that does not fit the contract");
                };
                if stock.available < 0 || stock.sale_left.is_some_and(|left| left < 0) {
                    return wrong("less than nothing is left");
                }
                let later = run.first_told.told(self.sku, &event.id, now);
                match (std::mem::replace(&mut self.begun, true), later) {
                    (false, _) => caller.recorder().note(Call::Watch, now.saturating_duration_since(self.due)),
                    (true, Some(later)) => caller.recorder().note(Call::ToldLater, later),
                    (true, None) => {}
                }
                self.last = event.id;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_read_in_whatever_pieces_they_come() {
        let text = b"retry: 2417\n\nevent: stock\ndata: {\"available\":17}\nid: 5ad3\n\n:\n\nevent: end\ndata: {}\n\n";
        let whole = Reading::default().take(text).expect("events");
        let [retry, stock, comment, end] = &whole[..] else { panic!("{whole:?}") };
        assert_eq!(retry.retry, Some(Duration::from_millis(2_417)));
        assert_eq!((&*stock.name, &*stock.data, &*stock.id), ("stock", "{\"available\":17}", "5ad3"));
        assert_eq!((comment, &*end.name), (&Event::default(), "end"));
        let mut reading = Reading::default();
        let one_by_one: Vec<Event> = text.iter().flat_map(|byte| reading.take(&[*byte]).expect("events")).collect();
        assert_eq!(one_by_one, whole);
        assert_eq!(Reading::default().take(b"<html>\n\n"), None);
        assert_eq!(Reading::default().take(&vec![b'x'; MOST_BYTES + 1]), None);
    }

    #[test]
    fn each_is_compared_with_the_first_who_was_told() {
        let (first, began) = (FirstTold::default(), Instant::now());
        let at = |ms| began + Duration::from_millis(ms);
        assert_eq!(first.told(0, "a", at(0)), None);
        assert_eq!(first.told(0, "a", at(30)), Some(Duration::from_millis(30)));
        assert_eq!((first.told(1, "a", at(40)), first.told(0, "b", at(50))), (None, None));
        assert_eq!(first.told(0, "a", at(10_001)), None, "that is another change");
        assert_eq!(first.told(0, "a", at(10_003)), Some(Duration::from_millis(2)));
    }
}
