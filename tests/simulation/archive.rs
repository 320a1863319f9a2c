//! The store's archive: old frames are moved there beside the nodes by the real tool, which is killed now and then, and in the end
//! everything must be there in the two together.

use crate::node::Town;
use crate::run::settle;
use crate::store::{Server, Way};
use crate::world::lock;
use haat::app::AppError;
use haat::app::archive::archive_store;
use haat::app::audit;
use haat::app::rebuild::rebuild_store;
use haat::domain::rows::Shapes;
use haat::domain::time::Timestamp;
use haat::persistence::archived::with_archive;
use haat::ports::{Frame, Partition, Store, StoreError};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};

/// The longest between two tries to archive, in milliseconds.
const PAUSE_MS: u64 = 2_000;
/// The longest until a tool is killed, if it is, in milliseconds.
const LIFE_MS: u64 = 400;
/// For how long frames are kept, in milliseconds.
const AGES_MS: [u64; 4] = [0, 0, 1_000, 20_000];
/// Frames that the store drops at a time.
const DROPPED: usize = 3;
/// So long a drop waits for appends that have begun.
const WAIT: Duration = Duration::from_millis(1_500);
/// Within this time a node starts or says that it cannot.
const START: Duration = Duration::from_secs(600);

impl Server {
    /// Keeps frames of the store, in its archive. What is damaged of them is damaged here, too, until somebody mends it.
    pub fn keep(&self, frames: &[Frame]) -> Result<(), StoreError> {
        let mut disk = lock(&self.disk);
        if frames.iter().any(|frame| disk.is_taken(frame)) {
            return Err(StoreError::Collision);
        }
        let origin = self.origin.as_ref().map(|origin| lock(&origin.disk));
        for frame in frames {
            let partition = usize::from(frame.partition);
            let written = origin.as_ref().and_then(|origin| origin.journal[partition].get(&frame.seq));
            let is_damaged = origin.as_ref().is_some_and(|origin| origin.damage.is_any());
            if !is_damaged && written != Some(frame) {
                self.world
                    .breach(format_args!("the archive was given another frame {}/{}", frame.partition, frame.seq));
            }
            disk.journal[partition].insert(frame.seq, written.unwrap_or(frame).clone());
        }
        self.world.note(format_args!("{} frames are kept in the archive", frames.len()));
        Ok(())
    }

    /// A page of frames, as they can be read.
    pub fn frames(&self, partition: u16, after_seq: u64, max_bytes: usize) -> Vec<Frame> {
        let disk = lock(&self.disk);
        let origin = self.origin.as_ref().map(|origin| lock(&origin.disk));
        let damage = origin.as_ref().map_or(&disk.damage, |origin| &origin.damage);
        let mut bytes = 0;
        let after = disk.journal[usize::from(partition)].range(after_seq + 1..).map(|(_, frame)| frame);
        let page = after.take_while(|frame| {
            // The one that goes past the limit is still of it, as on the real stores.
            let before = bytes;
            bytes += frame.payload.len() + 1;
            before == 0 || before < max_bytes
        });
        page.map(|frame| damage.frame(frame)).collect()
    }

    /// Notes up to where frames may be gone, once no append is under way that has looked at its epoch.
    pub async fn raise_base(&self, partition: u16, up_to: u64) -> Result<(), StoreError> {
        let until = Instant::now() + WAIT;
        loop {
            {
                let mut disk = lock(&self.disk);
                if disk.appending == 0 {
                    let tail = disk.tail(usize::from(partition));
                    let unread = disk.cursors.iter().any(|((_, of), seq)| *of == partition && *seq < up_to);
                    let head = &mut disk.heads[usize::from(partition)];
                    if head.base_seq > up_to || head.checkpoint_seq < up_to || tail <= up_to || unread {
                        return Err(StoreError::Invalid(format!("frame {partition}/{up_to} may not be dropped")));
                    }
                    head.base_seq = up_to;
                    self.world.note(format_args!("frames of {partition} up to {up_to} may go"));
                    return Ok(());
                }
            }
            if Instant::now() >= until {
                return Err(StoreError::Unavailable("appends are under way".to_owned()));
            }
            sleep(Duration::from_millis(1)).await;
        }
    }

    /// Drops some frames up to this one; gives how many.
    pub fn drop_some(&self, partition: u16, up_to: u64) -> u64 {
        let mut disk = lock(&self.disk);
        let frames = &mut disk.journal[usize::from(partition)];
        let some: Vec<u64> = frames.range(..=up_to).take(DROPPED).map(|(seq, _)| *seq).collect();
        for seq in &some {
            frames.remove(seq);
            self.world.count("dropped frames");
        }
        some.len() as u64
    }

    /// Forgets snapshots and tables, as long as the partitions are theirs and no more frames were dropped than they know of.
    pub fn clear(&self, owned: &[Partition], shapes: &Shapes) -> Result<(), StoreError> {
        let mut disk = lock(&self.disk);
        if owned.iter().any(|own| disk.heads[usize::from(own.id)].base_seq != own.base_seq) {
            return Err(StoreError::Invalid("frames were moved to an archive meanwhile".to_owned()));
        }
        if !disk.owns(owned) {
            return Err(StoreError::Fenced);
        }
        disk.forget(shapes);
        self.world.note("snapshots and tables are cleared");
        Ok(())
    }
}

/// The two, as a tool sees them.
fn opened(town: &Town) -> (Store, Store) {
    let way = || Way::of_a_tool(town.world.clone());
    (town.server.connect(way()), town.archive.connect(way()))
}

/// Moves what is older than `before`. Damage excuses a tool that does not come to its end, and a store that does not answer.
async fn move_frames(town: &Town, before: Timestamp) {
    let world = &town.world;
    let (store, archive) = opened(town);
    match archive_store(&store, &archive, before, false, &*town.clock).await {
        Ok(done) if town.server.has_damage() || done.failed.is_empty() => {
            world.note(format_args!("archived {}, dropped {}", done.archived, done.dropped));
        }
        Ok(done) => world.breach(format_args!("what cannot be archived: {:?}", done.failed)),
        Err(error) if town.server.has_damage() => world.note(format_args!("not archived: {error}")),
        Err(AppError::Store(StoreError::Unavailable(_))) if !world.is_calm() => world.note("an archive is broken off"),
        Err(error) => world.breach(format_args!("the archive: {error}")),
    }
}

/// Moves old frames again and again, beside whatever nodes there are.
pub async fn keep_archiving(town: Arc<Town>) {
    let world = town.world.clone();
    loop {
        sleep(Duration::from_millis(world.chance("archives").below(PAUSE_MS))).await;
        if !world.fault("archives", world.plan.archives) {
            continue;
        }
        let before = Timestamp::from_millis(world.now().as_millis() - *world.chance("archives").pick(&AGES_MS) as i64);
        let life = match world.fault("archives that are killed", 400) {
            true => Duration::from_millis(world.chance("archives").below(LIFE_MS)),
            false => Duration::MAX,
        };
        // What it has asked for may happen all the same.
        if timeout(life, move_frames(&town, before)).await.is_err() {
            world.note("an archive is killed");
        }
    }
}

async fn audit_both(town: &Town, after: &str) {
    let (store, archive) = opened(town);
    let audited = match with_archive(store, &archive).await {
        Ok(both) => audit::audit_store(&both, Path::new("no-ledger-here")).await,
        Err(error) => Err(error.into()),
    };
    match audited {
        Ok(report) if report.is_clean() => {}
        Ok(report) => town.world.breach(format_args!("the audit after {after} says\n{report}")),
        Err(error) => town.world.breach(format_args!("the audit after {after}: {error}")),
    }
}

async fn rebuild(town: &Town) -> Result<(), AppError> {
    let (store, archive) = opened(town);
    let shapes = town.world.plan.shapes();
    let done = rebuild_store(&with_archive(store, &archive).await?, &*town.clock, &shapes).await?;
    if !done.failed.is_empty() {
        town.world.breach(format_args!("not rebuilt: {:?}", done.failed));
    }
    Ok(())
}

/// No node runs and nothing goes wrong any more: the archive and the store are one journal, of which everything can be made anew.
pub async fn check_at_rest(town: &Arc<Town>) {
    let world = &town.world;
    if world.chance("archives").per_mille(700) {
        move_frames(town, world.now()).await;
    }
    audit_both(town, "the run").await;
    // A rebuild that is killed: on what it leaves a node starts as ever, or not at all.
    let life = Duration::from_millis(world.chance("archives").below(LIFE_MS));
    if timeout(life, rebuild(town)).await.is_err() {
        world.note("a rebuild is killed");
        let node = town.start();
        let told = async {
            while !node.is_ready() && !node.gone.is_cancelled() {
                sleep(Duration::from_millis(100)).await;
            }
        };
        if timeout(START, told).await.is_err() {
            world.breach("a node neither starts nor says that it cannot");
        }
        if node.is_ready() {
            world.count("starts after half a rebuild");
            town.oracle.check_shown(&node.shop);
            if node.stop().await {
                town.server.show_tables();
            }
        } else {
            world.count("no starts after half a rebuild");
        }
        town.tidy_up();
    }
    match rebuild(town).await {
        Ok(()) => audit_both(town, "a rebuild").await,
        Err(error) => world.breach(format_args!("the rebuild: {error}")),
    }
    let node = settle(town).await;
    town.oracle.check_shown(&node.shop);
    if !node.stop().await {
        world.breach("the node after the rebuild did not stop as it should");
    }
    town.server.show_tables();
}
