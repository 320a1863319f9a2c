//! The simulated mail server. What it took survives every crash, and each delivery stands in it by itself, so that a second one cannot hide.

use crate::store::Way;
use crate::world::{World, lock};
use async_trait::async_trait;
use haat::domain::ids::JobId;
use haat::domain::job::TryOutcome;
use haat::ports::jobs::{Mail, Mailer, NotNow};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

/// The longest that a slow mail takes, in milliseconds: longer than a job may.
const SLOW_MS: u64 = 150_000;

/// What came of a mail.
#[derive(Default)]
pub struct Delivered {
    /// To whom, each time.
    pub to: Vec<String>,
    /// Whether it was refused for good.
    pub refused: bool,
    /// The node that was told so, and whether it has ended.
    told: Option<(u64, CancellationToken)>,
    /// Whose each delivery was, and when.
    takes: Vec<(u64, Instant)>,
    /// When each node asked about it last.
    asked: BTreeMap<u64, Instant>,
}

/// What was delivered.
pub struct Post {
    mails: Mutex<BTreeMap<JobId, Delivered>>,
    silent_until: Mutex<Instant>,
    /// Whether it can be asked what it took. (SMTP cannot, the sandbox can.)
    can_be_asked: bool,
    world: Arc<World>,
}

impl Post {
    pub fn new(world: Arc<World>) -> Arc<Self> {
        let can_be_asked = world.chance("can mails be asked about").per_mille(500);
        Arc::new(Self { mails: Mutex::default(), silent_until: Mutex::new(Instant::now()), can_be_asked, world })
    }

    /// What came of each mail.
    pub fn delivered<T>(&self, look: impl FnOnce(&BTreeMap<JobId, Delivered>) -> T) -> T {
        look(&lock(&self.mails))
    }

    /// Nobody has an answer now and then, until nothing goes wrong any more.
    fn is_silent(&self) -> bool {
        if self.world.is_calm() {
            return false;
        }
        let mut until = lock(&self.silent_until);
        if Instant::now() >= *until && self.world.fault("silent mail server", self.world.plan.failing_gateway / 4) {
            *until = Instant::now() + Duration::from_millis(self.world.chance("mails").below(120_000));
        }
        Instant::now() < *until
    }

    /// Takes a mail that began to be sent then, or refuses it. Whether it took it.
    fn take(&self, mail: &Mail, node: u64, began: Instant) -> bool {
        let mut mails = lock(&self.mails);
        let delivered = mails.entry(mail.id).or_default();
        if let Some((told, gone)) = &delivered.told
            && *told == node
            && !gone.is_cancelled()
        {
            self.world.breach(format_args!("{} is sent again by a node that knows that it was taken", mail.id));
        }
        let asked = delivered.asked.get(&node);
        let could_know = |(whose, at): &(u64, Instant)| {
            *at < began && if *whose == node { asked.is_none_or(|asked| asked < at) } else { asked.is_none() }
        };
        if self.can_be_asked && delivered.takes.iter().any(could_know) {
            self.world.breach(format_args!("{} is sent again by a node that could have asked", mail.id));
        }
        if delivered.to.is_empty() && self.world.fault("refused mails", self.world.plan.failing_gateway / 2) {
            delivered.refused = true;
            return false;
        }
        delivered.to.push(mail.to.clone());
        delivered.takes.push((node, Instant::now()));
        if delivered.to.len() > 1 {
            self.world.count("mails that come twice");
        }
        true
    }
}

/// The mail server as one node reaches it.
pub struct Letterbox {
    pub post: Arc<Post>,
    pub node: u64,
    pub gone: CancellationToken,
    pub way: Way,
}

#[async_trait]
impl Mailer for Letterbox {
    async fn send(&self, mail: &Mail) -> TryOutcome {
        let (world, began) = (&self.way.world, Instant::now());
        let failed = |silent| TryOutcome::Failed { reason: "not now".to_owned(), retry_after: None, silent };
        self.way.point();
        if self.post.is_silent() {
            world.count("mails into the silence");
            world.chance("mails").pause(30_000).await;
            return failed(true);
        }
        if world.fault("failing mails", world.plan.failing_gateway) {
            world.chance("mails").pause(50).await;
            return failed(false);
        }
        if world.fault("slow mails", world.plan.slow_gateway) {
            sleep(Duration::from_millis(world.chance("mails").below(SLOW_MS))).await;
        }
        world.chance("mails").pause(20).await;
        let taken = self.post.take(mail, self.node, began);
        self.way.point();
        if world.fault("lost answers to mails", world.plan.failing_gateway) {
            return TryOutcome::Unknown { reason: "the answer was lost".to_owned() };
        }
        world.chance("mails").pause(20).await;
        match taken {
            true => {
                let mut mails = lock(&self.post.mails);
                if let Some(delivered) = mails.get_mut(&mail.id) {
                    delivered.told = Some((self.node, self.gone.clone()));
                }
                TryOutcome::Done
            }
            false => TryOutcome::Refused { reason: "no such mailbox".to_owned() },
        }
    }

    async fn has_taken(&self, id: JobId) -> Option<Result<bool, NotNow>> {
        let world = &self.way.world;
        if !self.post.can_be_asked {
            return None;
        }
        world.count("mails looked up");
        world.chance("mails").pause(20).await;
        if self.post.is_silent() {
            return Some(Err(NotNow("silent".to_owned())));
        }
        let mut mails = lock(&self.post.mails);
        let delivered = mails.entry(id).or_default();
        delivered.asked.insert(self.node, Instant::now());
        Some(Ok(!delivered.to.is_empty()))
    }
}
