//! The store's ports as one node sees them: each request goes the node's way, and what the server does of it stands in `mod.rs`.

use super::way::{Risk, Way};
use super::{Disk, Server};
use crate::world::lock;
use async_trait::async_trait;
use haat::domain::buyer::MailKey;
use haat::domain::details::{Detail, DetailName};
use haat::domain::ids::{CouponId, CustomerId, EntityRef, Kind, OrderId, SkuId, VendorId};
use haat::domain::order::{OrderFilter, OrderStatus};
use haat::domain::rows::{CouponRow, OrderRow, ProductRow, Rows, Shapes, StockChangeRow};
use haat::domain::text::words;
use haat::domain::time::Timestamp;
use haat::domain::vendor::GoodsStatus;
use haat::ports::{
    BeginFrom, CheckpointWrite, Checkpoints, Committed, DetailPlace, Details, Due, FollowerCursor, Followers, Frame,
    Journal, KeptDetail, Listed, OrdersOf, Partition, Pass, ProductFilter, ProductOrder, ProductPlace, Queries, Remake,
    Remaking, SearchTerm, Snapshot, Snapshots, StockPlace, StoreError, WakeAt, Written,
};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::time::{Instant, sleep_until};
use uuid::Uuid;

pub(super) struct Connection {
    pub(super) server: Arc<Server>,
    pub(super) way: Way,
    /// Checkpoints that were asked for, and the newest of them that was carried out.
    pub(super) checkpoints: AtomicU64,
    pub(super) carried_out: Arc<AtomicU64>,
}

impl Connection {
    pub(super) async fn read<T: Send + 'static>(
        &self,
        act: impl FnOnce(&Disk) -> T + Send + 'static,
    ) -> Result<T, StoreError> {
        let server = self.server.clone();
        self.way.ask(self.way.reading(), move || act(&lock(&server.disk))).await
    }
}

#[async_trait]
impl Journal for Connection {
    async fn acquire(&self, owner: &str, lease: Duration, now: Timestamp) -> Result<Vec<Partition>, StoreError> {
        let (server, lost) = (self.server.clone(), self.way.reading());
        let owner = owner.to_owned();
        let (epochs, free_at) = self.way.ask(lost, move || server.raise_epochs(owner, lease)).await?;
        let (server, taken) = (self.server.clone(), epochs.clone());
        let batch = Uuid::from_u128(u128::from(self.way.world.chance("store").next()));
        self.way.ask(lost, move || server.append_epoch_frames(&taken, now, batch)).await?;
        sleep_until(free_at).await;
        let partitions = self.read(Disk::partitions).await?;
        if partitions.iter().map(|partition| partition.epoch).ne(epochs) {
            return Err(StoreError::Fenced);
        }
        self.renew(&partitions, lease).await?;
        Ok(partitions)
    }

    async fn partitions(&self) -> Result<Vec<Partition>, StoreError> {
        self.read(Disk::partitions).await
    }

    async fn append(&self, frames: &[Frame], details: &[Detail]) -> Result<(), StoreError> {
        let (server, frames, details) = (self.server.clone(), frames.to_vec(), details.to_vec());
        if self.way.clock.as_ref().is_some_and(|clock| clock.is_wrong()) {
            self.way.world.breach("a node whose clock is wrong writes a frame");
        }
        let risk = self.way.writing(self.way.world.plan.lost_requests);
        match self.server.origin {
            None => self.way.ask_for(risk, async move { server.append(&frames, &details).await }).await?,
            Some(_) => self.way.ask(risk, move || server.keep(&frames)).await?,
        }
    }

    async fn committed(&self, frames: &[Frame]) -> Result<Committed, StoreError> {
        let (server, frames) = (self.server.clone(), frames.to_vec());
        self.way.ask(self.way.writing(self.way.world.plan.lost_requests), move || server.committed(&frames)).await
    }

    async fn frames(&self, partition: u16, after_seq: u64, max_bytes: usize) -> Result<Vec<Frame>, StoreError> {
        // A small page, so that reading takes several requests.
        let max_bytes = max_bytes.min(20_000);
        let server = self.server.clone();
        self.way.ask(self.way.reading(), move || server.frames(partition, after_seq, max_bytes)).await
    }

    async fn drop_frames(&self, partition: u16, up_to: u64) -> Result<u64, StoreError> {
        let (server, risk) = (self.server.clone(), self.way.writing(self.way.world.plan.failing_checkpoints));
        self.way.ask_for(risk, async move { server.raise_base(partition, up_to).await }).await??;
        let mut dropped = 0;
        loop {
            let server = self.server.clone();
            match self.way.ask(risk, move || server.drop_some(partition, up_to)).await? {
                0 => return Ok(dropped),
                some => dropped += some,
            }
        }
    }

    async fn renew(&self, partitions: &[Partition], lease: Duration) -> Result<Option<Timestamp>, StoreError> {
        let (server, owned) = (self.server.clone(), partitions.to_vec());
        let renewed = self.way.ask(self.way.reading(), move || {
            let mut disk = lock(&server.disk);
            let own = disk.owns(&owned);
            if own {
                for head in &mut disk.heads {
                    head.owner_until = head.owner_until.max(Instant::now() + lease);
                }
            }
            own.then(|| server.world.now())
        });
        renewed.await?.map(Some).ok_or(StoreError::Fenced)
    }

    async fn clock(&self) -> Result<Option<Timestamp>, StoreError> {
        match self.way.is_cut() {
            true => Err(StoreError::Unavailable("the store is out of reach".into())),
            false => Ok(Some(self.way.world.now())),
        }
    }

    async fn release(&self, partitions: &[Partition]) -> Result<(), StoreError> {
        let (server, owned) = (self.server.clone(), partitions.to_vec());
        let release = move || {
            let mut disk = lock(&server.disk);
            if disk.owns(&owned) {
                disk.heads.iter_mut().for_each(|head| head.owner_until = Instant::now());
            }
        };
        self.way.ask(Risk { lost_requests: 0, lost_answers: 0, slow: 0 }, release).await
    }
}

#[async_trait]
impl Snapshots for Connection {
    async fn load(&self, entity: EntityRef) -> Result<Option<Snapshot>, StoreError> {
        self.read(move |disk| disk.snapshot(entity)).await
    }

    async fn load_many(&self, entities: &[EntityRef]) -> Result<Vec<Snapshot>, StoreError> {
        let entities = entities.to_vec();
        self.read(move |disk| entities.iter().filter_map(|entity| disk.snapshot(*entity)).collect()).await
    }

    async fn due(&self, until: Timestamp, after: Option<Due>, limit: u32) -> Result<Vec<Due>, StoreError> {
        self.read(move |disk| {
            let heads = disk.snapshots.iter().filter_map(|(entity, parts)| Some((*entity, parts.get("")?.wake_at?)));
            let mut due: Vec<(EntityRef, Timestamp)> = heads.filter(|(_, at)| *at <= until).collect();
            due.sort_unstable_by_key(|(entity, at)| (*at, *entity));
            due.retain(|(entity, at)| after.is_none_or(|(before, then)| (*at, *entity) > (then, before)));
            due.truncate(limit as usize);
            due
        })
        .await
    }

    async fn scan(&self, after: Option<EntityRef>, limit: u32) -> Result<Vec<Snapshot>, StoreError> {
        self.read(move |disk| {
            let all = disk.snapshots.keys().filter(|entity| after.is_none_or(|after| **entity > after));
            all.take(limit as usize).filter_map(|entity| disk.snapshot(*entity)).collect()
        })
        .await
    }

    async fn scan_kind(&self, kind: Kind, after: Option<Uuid>, limit: u32) -> Result<Vec<Snapshot>, StoreError> {
        self.read(move |disk| {
            let all = disk.snapshots.keys().filter(|entity| entity.kind == kind);
            let all = all.filter(|entity| after.is_none_or(|after| entity.uuid > after));
            all.take(limit as usize).filter_map(|entity| disk.snapshot(*entity)).collect()
        })
        .await
    }
}

#[async_trait]
impl Checkpoints for Connection {
    async fn write(&self, write: CheckpointWrite<'_>) -> Result<Written, StoreError> {
        let (owned, entities) = (write.owned.to_vec(), write.entities.to_vec());
        let (advance, server) = (write.advance.to_vec(), self.server.clone());
        let remake = write.remake.map(|Remake { unreadable, progress }| (unreadable.to_vec(), progress));
        let risk = self.way.writing(self.way.world.plan.failing_checkpoints);
        let call = self.checkpoints.fetch_add(1, Ordering::Relaxed) + 1;
        let carried_out = self.carried_out.clone();
        let act = move || {
            // One that was given up may be carried out after the one that came after it: then nobody takes anything in it for new any more.
            let is_late = carried_out.fetch_max(call, Ordering::Relaxed) > call;
            let remake = remake.as_ref().map(|(unreadable, progress)| Remake { unreadable, progress: *progress });
            let write = CheckpointWrite { owned: &owned, entities: &entities, advance: &advance, remake };
            server.write(write, is_late)
        };
        self.way.ask(risk, act).await?.ok_or(StoreError::Fenced)
    }

    async fn set_wakes(&self, owned: &[Partition], wakes: &[WakeAt]) -> Result<(), StoreError> {
        let (server, owned, wakes) = (self.server.clone(), owned.to_vec(), wakes.to_vec());
        let risk = self.way.writing(self.way.world.plan.failing_checkpoints);
        self.way.ask(risk, move || server.set_wakes(&owned, &wakes)).await?.ok_or(StoreError::Fenced)
    }

    async fn clear(&self, owned: &[Partition], shapes: &Shapes) -> Result<(), StoreError> {
        let (server, owned, shapes) = (self.server.clone(), owned.to_vec(), *shapes);
        let risk = self.way.writing(self.way.world.plan.failing_checkpoints);
        self.way.ask(risk, move || server.clear(&owned, &shapes)).await?
    }

    async fn remaking(&self) -> Result<Vec<Remaking>, StoreError> {
        self.read(|disk| {
            let mut standing: Vec<Remaking> = disk.tables.remaking.values().copied().collect();
            standing.sort_unstable_by_key(|remaking| remaking.kind.name());
            standing
        })
        .await
    }

    async fn marked(&self, kind: Kind, after: Option<Uuid>, limit: u32) -> Result<Vec<EntityRef>, StoreError> {
        self.read(move |disk| {
            let all = disk.tables.refused.keys().filter(|entity| entity.kind == kind);
            all.filter(|entity| after.is_none_or(|after| entity.uuid > after)).take(limit as usize).copied().collect()
        })
        .await
    }
}

#[async_trait]
impl Details for Connection {
    async fn details(&self, orders: &[OrderId], name: DetailName) -> Result<Vec<KeptDetail>, StoreError> {
        let orders = orders.to_vec();
        self.read(move |disk| {
            let kept = |order: OrderId| {
                disk.details.get(&(order, name)).map(|body| KeptDetail { order, name, body: body.clone() })
            };
            orders.into_iter().filter_map(kept).collect()
        })
        .await
    }

    async fn scan_details(
        &self,
        after: Option<(OrderId, DetailName)>,
        limit: u32,
    ) -> Result<Vec<DetailPlace>, StoreError> {
        self.read(move |disk| {
            let all = disk.details.iter().filter(|(key, _)| after.is_none_or(|after| **key > after));
            all.take(limit as usize).map(|((order, name), body)| (*order, *name, body.is_none())).collect()
        })
        .await
    }
}

#[async_trait]
impl Followers for Connection {
    async fn cursors(&self, follower: Option<&str>) -> Result<Vec<FollowerCursor>, StoreError> {
        let of = follower.map(str::to_owned);
        self.read(move |disk| disk.cursors(of.as_deref())).await
    }

    async fn begin_follower(&self, follower: &str, from: BeginFrom) -> Result<Vec<FollowerCursor>, StoreError> {
        let (server, name) = (self.server.clone(), follower.to_owned());
        let risk = self.way.writing(self.way.world.plan.failing_checkpoints);
        self.way.ask(risk, move || server.begin_follower(&name, from)).await
    }

    async fn pass(&self, pass: Pass<'_>) -> Result<bool, StoreError> {
        let (server, name) = (self.server.clone(), pass.follower.to_owned());
        let (moves, made) = (pass.moves.to_vec(), pass.made.clone());
        let risk = self.way.writing(self.way.world.plan.failing_checkpoints);
        self.way.ask(risk, move || server.pass(&name, &moves, made)).await
    }

    async fn restart_follower(&self, _: &[Partition], _: &str) -> Result<(), StoreError> {
        Err(StoreError::Invalid("no simulated tool makes a projection anew".into()))
    }

    async fn forget_follower(&self, _: &str) -> Result<bool, StoreError> {
        Err(StoreError::Invalid("no simulated tool forgets a follower".into()))
    }

    async fn stock_sums(&self, vendor: VendorId, up_to: u64) -> Result<Vec<(SkuId, i64)>, StoreError> {
        self.read(move |disk| {
            let mut sums: BTreeMap<SkuId, i64> = BTreeMap::new();
            let rows = disk.stock_changes.range((vendor, 0, 0)..=(vendor, up_to, u32::MAX));
            rows.for_each(|(_, row)| *sums.entry(row.sku_id).or_default() += row.delta);
            sums.into_iter().collect()
        })
        .await
    }

    async fn skipped_records(&self) -> Result<Vec<(String, EntityRef, u64)>, StoreError> {
        // Of what was damaged nothing is promised.
        self.read(|disk| disk.damage.ever().iter().map(|entity| ("stock_history".to_owned(), *entity, 1)).collect())
            .await
    }
}

/// What a list shows of an order.
pub(super) fn as_listed(row: &mut OrderRow, of: OrdersOf) {
    row.shipments.clear();
    row.returns.clear();
    if let OrdersOf::Vendor(vendor) = of {
        row.sub_orders.retain(|sub| sub.vendor_id == vendor);
        row.lines.retain(|line| line.vendor_id == vendor);
    }
}

/// Whether an order is one of these.
pub(super) fn is_of(row: &OrderRow, of: OrdersOf) -> bool {
    match of {
        OrdersOf::All => true,
        OrdersOf::Cart(cart) => row.cart_id == cart && row.customer_id.is_none(),
        OrdersOf::Customer(customer) => row.customer_id == Some(customer),
        OrdersOf::Vendor(vendor) => row.sub_orders.iter().any(|sub| sub.vendor_id == vendor),
    }
}

#[async_trait]
impl Queries for Connection {
    async fn orders(
        &self,
        of: OrdersOf,
        filter: &OrderFilter,
        after: Option<(Timestamp, OrderId)>,
        limit: u32,
    ) -> Result<Vec<OrderRow>, StoreError> {
        let filter = filter.clone();
        self.read(move |disk| {
            let wanted = |row: &&OrderRow| filter.passes(&row.columns) && is_of(row, of);
            let mut rows: Vec<OrderRow> = disk.tables.orders.values().filter(wanted).cloned().collect();
            rows.sort_unstable_by_key(|row| std::cmp::Reverse((row.placed_at, row.id)));
            rows.retain(|row| after.is_none_or(|after| (row.placed_at, row.id) < after));
            rows.truncate(limit as usize);
            rows.iter_mut().for_each(|row| as_listed(row, of));
            rows
        })
        .await
    }

    async fn guests_orders(&self, of: MailKey, limit: u32) -> Result<Vec<OrderId>, StoreError> {
        self.read(move |disk| {
            let ended_unpaid =
                |row: &OrderRow| row.columns.status.is_end() && row.columns.status != OrderStatus::Refunded;
            let theirs = |row: &&OrderRow| row.mail_key == Some(of) && row.customer_id.is_none() && !ended_unpaid(row);
            let mut rows: Vec<&OrderRow> = disk.tables.orders.values().filter(theirs).collect();
            rows.sort_unstable_by_key(|row| std::cmp::Reverse((row.placed_at, row.id)));
            rows.into_iter().map(|row| row.id).take(limit as usize).collect()
        })
        .await
    }

    async fn points_pending(&self, of: CustomerId) -> Result<i64, StoreError> {
        self.read(move |disk| {
            let theirs = disk.tables.orders.values().filter(|row| row.customer_id == Some(of));
            theirs.filter_map(|row| row.points_pending).sum()
        })
        .await
    }

    async fn products(
        &self,
        filter: &ProductFilter,
        order: ProductOrder,
        after: Option<ProductPlace>,
        limit: u32,
    ) -> Result<Vec<ProductRow>, StoreError> {
        let filter = filter.clone();
        self.read(move |disk| {
            let suspended =
                |vendor: &VendorId| disk.tables.vendors.get(vendor).is_some_and(|vendor| vendor.status.is_suspended());
            let wanted = |row: &&ProductRow| {
                filter.vendor.is_none_or(|vendor| row.vendor_id == vendor)
                    && (filter.categories.is_empty()
                        || row.category.as_ref().is_some_and(|category| filter.categories.contains(category)))
                    && filter.terms.iter().all(|term| has(row, term))
                    && filter.in_stock.is_none_or(|in_stock| row.in_stock == in_stock)
                    && filter.price.is_none_or(|range| {
                        row.price.is_some_and(|price| {
                            price.currency == range.currency && (range.least..=range.most).contains(&price.minor)
                        })
                    })
                    && match filter.status {
                        Listed::ForSale => row.status == GoodsStatus::Active && !suspended(&row.vendor_id),
                        Listed::Own(status) => status.is_none_or(|status| row.status == status),
                    }
            };
            let place = |row: &ProductRow| match order {
                ProductOrder::Newest => Some((row.created_at.as_millis(), row.id)),
                ProductOrder::Cheapest | ProductOrder::Dearest => row.price.map(|price| (price.minor, row.id)),
            };
            let found = disk.tables.products.values().filter(wanted);
            let mut rows: Vec<_> = found.filter_map(|row| Some((place(row)?, row.clone()))).collect();
            rows.sort_unstable_by_key(|(place, _)| *place);
            if order != ProductOrder::Cheapest {
                rows.reverse();
            }
            let is_behind = |place: ProductPlace, after: ProductPlace| match order {
                ProductOrder::Cheapest => place > after,
                ProductOrder::Newest | ProductOrder::Dearest => place < after,
            };
            rows.retain(|(place, _)| after.is_none_or(|after| is_behind(*place, after)));
            rows.into_iter().map(|(_, row)| row).take(limit as usize).collect()
        })
        .await
    }

    async fn coupons(
        &self,
        of: Option<VendorId>,
        after: Option<(Timestamp, CouponId)>,
        limit: u32,
    ) -> Result<Vec<CouponRow>, StoreError> {
        self.read(move |disk| {
            let wanted = |row: &&CouponRow| of.is_none() || row.vendor_id == of;
            let mut rows: Vec<CouponRow> = disk.tables.coupons.values().filter(wanted).cloned().collect();
            rows.sort_unstable_by_key(|row| std::cmp::Reverse((row.created_at, row.id)));
            rows.retain(|row| after.is_none_or(|after| (row.created_at, row.id) < after));
            rows.truncate(limit as usize);
            rows
        })
        .await
    }

    async fn stock_changes(
        &self,
        sku: SkuId,
        before: Option<StockPlace>,
        limit: u32,
    ) -> Result<Vec<StockChangeRow>, StoreError> {
        self.read(move |disk| {
            let place = |row: &&StockChangeRow| (row.version, row.position);
            let of_sku = disk.stock_changes.values().filter(|row| row.sku_id == sku);
            let mut rows: Vec<StockChangeRow> =
                of_sku.filter(|row| before.is_none_or(|before| place(row) < before)).cloned().collect();
            rows.sort_unstable_by_key(|row| std::cmp::Reverse((row.version, row.position)));
            rows.truncate(limit as usize);
            rows
        })
        .await
    }

    async fn catalog(&self) -> Result<Rows, StoreError> {
        self.read(|disk| Rows {
            vendors: disk.tables.vendors.values().cloned().collect(),
            products: disk.tables.products.values().cloned().collect(),
            skus: disk.tables.skus.values().cloned().collect(),
            coupons: disk.tables.coupons.values().cloned().collect(),
            sales: disk.tables.sales.values().cloned().collect(),
            customers: disk.tables.customers.values().copied().collect(),
            orders: Vec::new(),
        })
        .await
    }

    async fn unpaid_by_method(&self) -> Result<Vec<(String, u64)>, StoreError> {
        Err(StoreError::Invalid("no simulated node is configured otherwise than the last".into()))
    }

    async fn order_counts(&self) -> Result<Vec<(OrderStatus, u64)>, StoreError> {
        self.read(|disk| {
            let mut counts: BTreeMap<OrderStatus, u64> = BTreeMap::new();
            for row in disk.tables.orders.values() {
                *counts.entry(row.columns.status).or_default() += 1;
            }
            counts.into_iter().collect()
        })
        .await
    }
}

/// Whether a product has a word, or stands in a category whose name has it.
fn has(row: &ProductRow, term: &SearchTerm) -> bool {
    let ways = term.categories.iter().map(|category| (words::of_category(*category), false));
    let mut ways = [(term.word.clone(), term.is_prefix)].into_iter().chain(ways);
    let is_there = |(way, is_prefix): (String, bool)| {
        row.words.split(' ').any(|word| if is_prefix { word.starts_with(&way) } else { word == way })
    };
    ways.any(is_there)
}
