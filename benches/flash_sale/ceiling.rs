//! (e) The ceiling: one record per request through Haat's own log writer, and nothing else: no actors, no stock, no checkpoints. What Haat
//! does per order beyond this is the price of its rules.

use crate::order::{Item, NewOrder, TITLE, UNIT_PRICE};
use crate::server::{Outcome, Shop};
use anyhow::Context as _;
use haat::adapters::clock::SystemClock;
use haat::domain::ids::{EntityId as _, EntityRef, VendorId};
use haat::persistence::log_writer::{QueuedLogWriter, run};
use haat::persistence::{Mode, Options, Place, StoreConfig, open};
use haat::ports::{Append, Clock, LogWriter};
use serde::Serialize;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;

#[derive(Serialize)]
struct Record<'a> {
    e: haat::domain::ids::OrderId,
    v: u64,
    at: i64,
    ev: [Event<'a>; 1],
}

#[derive(Serialize)]
struct Event<'a> {
    r#type: &'static str,
    #[serde(flatten)]
    request: &'a crate::order::OrderRequest,
    title: &'a str,
    unit_price: i64,
}

/// Takes whatever comes.
pub struct Ceiling {
    log_writer: Arc<QueuedLogWriter>,
    vendor: VendorId,
}

impl Ceiling {
    /// Takes the store and starts its log writer.
    pub async fn open(url: &str) -> anyhow::Result<Self> {
        let config = StoreConfig { place: Place::Postgres(url.to_owned()), archive: None, options: Options::default() };
        let store = open(&config, Mode::Serve).await?;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
        let taken = store.journal.acquire("bench", Duration::from_millis(1), clock.now()).await?;
        let log_writer = QueuedLogWriter::new(clock.clone());
        let vendor = VendorId::from_uuid(clock.new_uuid());
        let on_fatal = Arc::new(|fatal| {
            eprintln!("the log writer stopped: {fatal}");
            std::process::exit(1);
        });
        tokio::spawn(run(log_writer.clone(), store.journal, clock, taken, Default::default(), on_fatal));
        Ok(Self { log_writer, vendor })
    }

    /// Writes a record, and waits until it is durable.
    pub async fn append(&self, entity: EntityRef, version: u64, record: Vec<u8>) -> anyhow::Result<()> {
        let (send, receive) = oneshot::channel();
        let on_durable: haat::ports::Completion = Box::new(move || _ = send.send(()));
        let details = Vec::new();
        self.log_writer.append(Append { entity, version, record, details, on_durable: Some(on_durable), trace: None });
        receive.await.context("the log writer is closed")
    }

    /// Writes an order.
    pub async fn place(&self, order: &NewOrder) -> anyhow::Result<()> {
        let event = Event { r#type: "placed", request: &order.request, title: TITLE, unit_price: UNIT_PRICE };
        let record = Record { e: order.id, v: 1, at: order.at.as_millis(), ev: [event] };
        self.append(order.id.entity(), 1, serde_json::to_vec(&record)?).await
    }
}

impl Shop for Arc<Ceiling> {
    async fn place(&self, order: Arc<NewOrder>, _until_paid: bool) -> anyhow::Result<Outcome> {
        Ceiling::place(self, &order).await?;
        let item = Item { vendor: self.vendor, title: TITLE.to_owned(), unit_price: UNIT_PRICE };
        Ok(Outcome::Placed(item, false))
    }
}
