//! The log writer: how long it takes until 1 to 1,000 waiting records are durable, on both stores. Postgres is measured when `DATABASE_URL` is set.
#![allow(clippy::disallowed_methods, reason = "a bench measures time")]
#![allow(missing_docs, reason = "criterion's macros")]

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use haat::adapters::clock::SystemClock;
use haat::domain::ids::{EntityRef, Kind};
use haat::persistence::log_writer::{QueuedLogWriter, run};
use haat::persistence::{Mode, Options, Place, StoreConfig, open};
use haat::ports::{Append, Clock, LogWriter};
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Runtime;
use tokio::sync::oneshot;

/// About what a record of a checkout is long.
const RECORD_BYTES: usize = 350;

async fn start(place: Place) -> Arc<QueuedLogWriter> {
    let config = StoreConfig { place, archive: None, options: Options::default() };
    let store = open(&config, Mode::Serve).await.expect("the store opens");
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
    let taken =
        store.journal.acquire("bench", Duration::from_millis(1), clock.now()).await.expect("the store is taken");
    let log_writer = QueuedLogWriter::new(clock.clone());
    let on_fatal = Arc::new(|fatal| panic!("{fatal}"));
    tokio::spawn(run(log_writer.clone(), store.journal, clock, taken, Default::default(), on_fatal));
    log_writer
}

async fn write(log_writer: &QueuedLogWriter, clock: &SystemClock, records: usize) {
    let mut last = None;
    for number in 0..records {
        let (send, receive) = oneshot::channel();
        let on_durable: Option<haat::ports::Completion> =
            (number + 1 == records).then(|| -> haat::ports::Completion { Box::new(move || _ = send.send(())) });
        last = Some(receive);
        let entity = EntityRef { kind: Kind::Cart, uuid: clock.new_uuid() };
        let record =
            format!("{{\"e\":\"{entity}\",\"v\":1,\"pad\":\"{}\"}}", "x".repeat(RECORD_BYTES - 60)).into_bytes();
        log_writer.append(Append { entity, version: 1, record, details: Vec::new(), on_durable, trace: None });
    }
    if let Some(last) = last {
        last.await.expect("the log writer lives");
    }
}

fn benches(criterion: &mut Criterion) {
    let runtime = Runtime::new().expect("a runtime");
    let directory = tempfile::TempDir::new().expect("a directory");
    let mut places = vec![("sqlite", Place::Sqlite(directory.path().to_path_buf()))];
    match std::env::var("DATABASE_URL") {
        Ok(url) => places.push(("postgres", Place::Postgres(url))),
        Err(_) => eprintln!("DATABASE_URL is not set: Postgres is not measured"),
    }
    let mut group = criterion.benchmark_group("log writer");
    for (name, place) in places {
        let log_writer = runtime.block_on(start(place));
        let clock = SystemClock::default();
        for records in [1usize, 10, 100, 1_000] {
            group.throughput(Throughput::Elements(records as u64));
            group.bench_with_input(BenchmarkId::new(name, records), &records, |bencher, records| {
                bencher.to_async(&runtime).iter(|| write(&log_writer, &clock, *records));
            });
        }
    }
    group.finish();
}

criterion_group!(group, benches);
criterion_main!(group);
