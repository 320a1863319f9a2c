//! The oracle: what is durable, kept as a plain replay of every commit, and judges who hold everything else against it, each for one
//! kind of promise and in a file of their own.
//!
//! It knows nothing of the engine. The replay applies the journal's events one after the other, and the judges look at what became
//! durable, at what callers were told, and at what the payment provider and the read tables say.

mod answers;
mod book;
mod catalogue;
mod commands;
mod coupons;
mod details;
mod doors;
mod history;
mod jobs;
mod keys;
mod merges;
mod money;
mod overdue;
mod owners;
mod points;
mod replay;
mod rooms;
mod saga;
mod sales;
mod slots;
mod stock;

pub use answers::{Answers, Judged};
pub use commands::{Commands, key_of};
pub use keys::Keys;
pub use merges::Merges;
pub use owners::{Owners, mail_key_of};
pub use replay::Replay;
pub use rooms::{Rooms, draw_of};

use crate::gateway::Books;
use crate::post::Post;
use crate::store::{Disk, Tables};
use crate::world::{World, lock};
use details::Details;
use haat::actors::Shop;
use haat::domain::details::Detail;
use haat::domain::entity::PaymentCall;
use haat::domain::ids::OrderId;
use haat::domain::payment::{RefundCall, RefundOf};
use haat::domain::time::Timestamp;
use haat::persistence::recovery::for_each_record;
use haat::ports::Frame;
use money::Payments;
use replay::Recorded;
use std::sync::{Arc, Mutex};

/// Whether what must be durable before something else is.
type Cause = Box<dyn Fn(&Replay) -> bool>;
/// Of what became durable with a batch, the causes that must be there with it.
type Causes = Vec<(String, Cause)>;

/// Whoever judges one kind of promise. What is wrong goes to [`World::breach`].
trait Judge: Send + Sync {
    /// A record is durable; the replay has it already.
    fn record(&self, _replay: &Replay, _record: &Recorded<'_>, _causes: &mut Causes) {}
    /// All records of a batch are durable.
    fn batch(&self, _replay: &Replay) {}
    /// Everything has come to rest.
    fn at_rest(&self, _replay: &Replay) {}
    /// A node shows this, with everything at rest.
    fn shows(&self, _replay: &Replay, _shop: &Shop) {}
    /// The last node has stopped as it should, and left this in the read tables.
    fn left(&self, _tables: &Tables) {}
}

/// The oracle of one run.
pub struct Oracle {
    replay: Mutex<Replay>,
    // Those who are told something by people or by the payment provider.
    pub answers: Arc<Answers>,
    pub commands: Arc<Commands>,
    pub keys: Arc<Keys>,
    pub merges: Arc<Merges>,
    pub owners: Arc<Owners>,
    pub rooms: Arc<Rooms>,
    money: Arc<Payments>,
    details: Arc<Details>,
    history: Arc<history::History>,
    jobs: Arc<jobs::Jobs>,
    judges: Vec<Arc<dyn Judge>>,
    world: Arc<World>,
}

impl Oracle {
    pub fn new(world: Arc<World>, books: Arc<Books>, post: Arc<Post>) -> Arc<Self> {
        let answers = Arc::new(Answers::new(world.clone()));
        let commands = Arc::new(Commands::new(world.clone()));
        let keys = Arc::new(Keys::new(world.clone()));
        let merges = Arc::new(Merges::new(world.clone()));
        let owners = Arc::new(Owners::new(world.clone()));
        let rooms = Arc::new(Rooms::new(world.clone()));
        let money = Arc::new(Payments::new(world.clone(), books.clone()));
        let details = Arc::new(Details::new(world.clone()));
        let history = Arc::new(history::History::new(world.clone()));
        let jobs = Arc::new(jobs::Jobs::new(world.clone(), post, books.clone()));
        // A new judge is a file beside these and a line here.
        let judges: Vec<Arc<dyn Judge>> = vec![
            answers.clone(),
            commands.clone(),
            keys.clone(),
            merges.clone(),
            owners.clone(),
            rooms.clone(),
            money.clone(),
            details.clone(),
            history.clone(),
            jobs.clone(),
            Arc::new(stock::Stock::new(world.clone())),
            Arc::new(saga::Saga::new(world.clone())),
            Arc::new(sales::Sales::new(world.clone())),
            Arc::new(overdue::Overdue::new(world.clone())),
            Arc::new(slots::Slots::new(world.clone())),
            Arc::new(coupons::Coupons::new(world.clone())),
            Arc::new(points::Points::new(world.clone())),
            Arc::new(catalogue::Catalogue::new(world.clone())),
            Arc::new(doors::Doors::new(world.clone())),
            Arc::new(book::Book::new(world.clone(), books)),
        ];
        let replay = Mutex::new(Replay::new(world.clone()));
        Arc::new(Self {
            replay,
            answers,
            commands,
            keys,
            merges,
            owners,
            rooms,
            money,
            details,
            history,
            jobs,
            judges,
            world,
        })
    }

    /// What the journal tells. Whoever looks takes away what it needs: nothing is committed meanwhile.
    pub fn replayed<T>(&self, look: impl FnOnce(&Replay) -> T) -> T {
        look(&lock(&self.replay))
    }

    /// The store has committed a batch.
    pub fn committed(&self, frames: &[Frame], details: &[Detail]) {
        let replay = &mut *lock(&self.replay);
        let mut causes = Vec::new();
        for frame in frames {
            let mut count = 0;
            let read = for_each_record(frame, |raw, line| {
                count += 1;
                self.world.count("records");
                let Some(record) = replay.add(raw, line) else { return };
                self.judges.iter().for_each(|judge| judge.record(replay, &record, &mut causes));
            });
            if read.is_err() || count != frame.records {
                self.world.breach(format_args!("frame {}/{} cannot be read", frame.partition, frame.seq));
            }
        }
        self.details.came(details);
        // A batch becomes durable at once: a cause may stand in another frame of it.
        for (what, holds) in causes {
            if !holds(replay) {
                self.world.breach(format_args!("durable before its cause: {what}"));
            }
        }
        self.judges.iter().for_each(|judge| judge.batch(replay));
    }

    /// A gateway is asked to charge.
    pub fn charge_asked(&self, call: &PaymentCall, now: Timestamp) {
        self.money.charge_asked(&lock(&self.replay), call, now);
    }

    /// A gateway is asked to undo a charge.
    pub fn void_asked(&self, order: OrderId) {
        self.money.void_asked(&lock(&self.replay), order);
    }

    /// A gateway is asked to give a part of a charge back.
    pub fn refund_asked(&self, call: &RefundCall, of: RefundOf) {
        self.money.refund_asked(&lock(&self.replay), call, of);
    }

    /// Orders that have not heard how their payments stand.
    pub fn unheard(&self) -> Vec<OrderId> {
        self.money.unheard(&lock(&self.replay))
    }

    /// What must hold when everything has come to rest.
    pub fn check_at_rest(&self) {
        let replay = &lock(&self.replay);
        self.judges.iter().for_each(|judge| judge.at_rest(replay));
    }

    /// What a node must show when everything has come to rest.
    pub fn check_shown(&self, shop: &Shop) {
        let replay = &lock(&self.replay);
        self.judges.iter().for_each(|judge| judge.shows(replay, shop));
    }

    /// What the read tables must hold when the last node has stopped as it should.
    pub fn check_left(&self, disk: &Disk) {
        self.details.left(&lock(&self.replay), &disk.details);
        self.history.left(&disk.stock_changes, disk.damage.ever());
        self.jobs.left(disk);
        self.judges.iter().for_each(|judge| judge.left(&disk.tables));
    }
}
