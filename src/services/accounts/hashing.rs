//! The threads that hash passwords, which costs tens of milliseconds of a processor on purpose.
//!
//! Checkouts come first. So those who hash give way to everything else at once (`SCHED_IDLE`, sched(7)), and there is a short line before them:
//! whoever comes when it is full is told so. While checkouts take all of the machine such threads come to nothing; therefore a foreman, at a low
//! priority and no lower, hands the work out, and does by itself what has waited for too long. So logins become slow and do not stop.
//!
//! A thread that gives way to everything may stand still for long wherever it is. So it shares no lock of ours with whoever serves requests: it has one
//! with the foreman, who gives the answers. (The allocator is everybody's.)

use super::passwords::{Cost, Password, hashed, is_hash_of};
use argon2::Argon2;
use parking_lot::Mutex;
use std::mem::take;
use std::panic::{self, AssertUnwindSafe};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, TrySendError, sync_channel};
use std::sync::{Arc, OnceLock};
use std::thread::{self, Thread};
use std::time::Duration;
use thread_priority::unix::{NormalThreadSchedulePolicy, ThreadSchedulePolicy, set_thread_priority_and_policy};
use thread_priority::{ThreadPriority, thread_native_id};
use tokio::sync::oneshot;
use tokio::time::Instant;

/// Who may wait for a thread.
const QUEUE: usize = 64;
/// How nice the foreman is to everything else that runs.
const NICE: i32 = 15;
/// How long a password waits before the foreman hashes it.
const PATIENCE: Duration = Duration::from_millis(500);

/// Too many wait for a thread that hashes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many passwords wait to be hashed")]
pub struct Busy;

/// What is to be found out.
enum Question {
    /// The hash of a password.
    Hash(Password),
    /// Whether a hash is that of a password.
    Check(Password, String),
}

impl Question {
    fn answer(&self, argon2: &Argon2<'_>) -> Answer {
        let find_out = AssertUnwindSafe(|| match self {
            Question::Hash(password) => Answer::Hash(hashed(argon2, password)),
            Question::Check(password, hash) => Answer::Is(is_hash_of(argon2, password, hash)),
        });
        // One password must not end all sign-ins.
        panic::catch_unwind(find_out).unwrap_or_else(|_| {
            tracing::error!("a password cannot be hashed: a fault of this server's");
            Answer::Nothing
        })
    }
}

enum Answer {
    Hash(String),
    Is(bool),
    /// It could not be found out.
    Nothing,
}

/// A question, and who waits for its answer.
struct Order {
    question: Arc<Question>,
    came: Instant,
    answer: oneshot::Sender<Answer>,
}

/// The end of the line of those who wait.
struct Line {
    orders: Option<SyncSender<Order>>,
    foreman: Thread,
}

impl Drop for Line {
    /// The foreman looks up, and goes.
    fn drop(&mut self) {
        self.orders = None;
        self.foreman.unpark();
    }
}

/// The threads that hash.
#[derive(Clone)]
pub struct Hashing {
    line: Arc<Line>,
    /// The hash of no password, for addresses that have no account: to find that out takes as long.
    nobodys: Arc<str>,
}

impl Hashing {
    /// Starts them: half as many as there are processors, and one at least; and the foreman.
    ///
    /// # Errors
    /// What the system says when it gives no thread.
    pub fn start(cost: &Cost) -> std::io::Result<Self> {
        let threads = thread::available_parallelism().map_or(1, |processors| (processors.get() / 2).max(1));
        let workers = (0..threads).map(|number| Worker::hire(number, cost.clone())).collect::<Result<_, _>>()?;
        Self::led(cost, workers, PATIENCE)
    }

    fn led(cost: &Cost, workers: Vec<Worker>, patience: Duration) -> std::io::Result<Self> {
        let (send, orders) = sync_channel(QUEUE);
        let argon2 = cost.argon2();
        let nobodys = hashed(&argon2, &Password::typed("nobody")).into();
        let lead = move || Foreman { orders, argon2, workers, next: None, patience }.lead();
        let foreman = thread::Builder::new().name("passwords".to_owned()).spawn(lead)?;
        let line = Line { orders: Some(send), foreman: foreman.thread().clone() };
        Ok(Self { line: Arc::new(line), nobodys })
    }

    async fn ask(&self, question: Question) -> Result<Answer, Busy> {
        let (answer, answered) = oneshot::channel();
        let order = Order { question: Arc::new(question), came: Instant::now(), answer };
        // It stands for as long as somebody can ask.
        let orders = self.line.orders.as_ref().ok_or(Busy)?;
        orders.try_send(order).map_err(|error| match error {
            TrySendError::Full(_) | TrySendError::Disconnected(_) => Busy,
        })?;
        self.line.foreman.unpark();
        answered.await.map_err(|_| Busy)
    }

    /// What is kept of a password.
    ///
    /// # Errors
    /// When too many wait.
    pub async fn hash(&self, password: Password) -> Result<String, Busy> {
        match self.ask(Question::Hash(password)).await? {
            // One that could not be made is none.
            Answer::Hash(hash) if !hash.is_empty() => Ok(hash),
            Answer::Hash(_) | Answer::Is(_) | Answer::Nothing => Err(Busy),
        }
    }

    /// Whether a hash costs what one that is made now costs.
    pub fn is_of_today(&self, hash: &str) -> bool {
        let cost = |hash: &str| hash.rsplitn(3, '$').nth(2).map(ToOwned::to_owned);
        cost(hash) == cost(&self.nobodys)
    }

    /// Whether this is what is kept of a password. Without a hash it is not, which takes as long to find out.
    ///
    /// # Errors
    /// When too many wait.
    pub async fn is(&self, password: Password, hash: Option<&str>) -> Result<bool, Busy> {
        let known = hash.is_some();
        let hash = hash.unwrap_or(&self.nobodys).to_owned();
        match self.ask(Question::Check(password, hash)).await? {
            Answer::Is(is) => Ok(is && known),
            Answer::Hash(_) | Answer::Nothing => Err(Busy),
        }
    }
}

/// What the foreman has given somebody.
#[derive(Default)]
enum Given {
    #[default]
    Nothing,
    Work(Arc<Question>),
    /// To go.
    End,
}

/// What a thread that hashes shares with the foreman, and with nobody else.
#[derive(Default)]
struct Desk {
    given: Mutex<Given>,
    done: Mutex<Option<Answer>>,
    foreman: OnceLock<Thread>,
}

impl Desk {
    fn work(&self, argon2: &Argon2<'_>) {
        if let Err(error) = give_way() {
            tracing::warn!(error, "passwords are hashed at the priority of everything else");
        }
        loop {
            let given = take(&mut *self.given.lock());
            match given {
                // It may be woken for nothing.
                Given::Nothing => thread::park(),
                Given::End => return,
                Given::Work(question) => {
                    *self.done.lock() = Some(question.answer(argon2));
                    self.foreman.get().into_iter().for_each(Thread::unpark);
                }
            }
        }
    }
}

/// Has this thread run only where nothing else would.
fn give_way() -> Result<(), &'static str> {
    let idle = ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Idle);
    let set = set_thread_priority_and_policy(thread_native_id(), ThreadPriority::Min, idle);
    set.map_err(|_| "the system does not let it")
}

/// A thread that hashes, as the foreman sees it.
struct Worker {
    desk: Arc<Desk>,
    thread: Thread,
    is_busy: bool,
    /// Who waits for what it is at; nobody once the foreman has done it.
    order: Option<Order>,
}

impl Worker {
    fn hire(number: usize, cost: Cost) -> std::io::Result<Self> {
        let desk = Arc::new(Desk::default());
        let own = desk.clone();
        let thread =
            thread::Builder::new().name(format!("passwords-{number}")).spawn(move || own.work(&cost.argon2()))?;
        Ok(Self::at(desk, thread.thread().clone()))
    }

    fn at(desk: Arc<Desk>, thread: Thread) -> Self {
        Self { desk, thread, is_busy: false, order: None }
    }

    fn give(&self, given: Given) {
        *self.desk.given.lock() = given;
        self.thread.unpark();
    }
}

/// Hands the work out, and gives the answers.
struct Foreman {
    orders: Receiver<Order>,
    argon2: Argon2<'static>,
    workers: Vec<Worker>,
    /// Who is the next to be served.
    next: Option<Order>,
    /// How long somebody waits before the foreman sees to it.
    patience: Duration,
}

impl Foreman {
    fn lead(mut self) {
        if let Err(error) = rustix::process::setpriority_process(Some(rustix::thread::gettid()), NICE) {
            tracing::warn!(%error, "passwords that wait are hashed at the priority of everything else");
        }
        for worker in &self.workers {
            let _ = worker.desk.foreman.set(thread::current());
        }
        while let Some(rest) = self.round() {
            match rest {
                Some(rest) => thread::park_timeout(rest),
                None => thread::park(),
            }
        }
        self.workers.iter().for_each(|worker| worker.give(Given::End));
    }

    /// Does all that can be done now. Gives how long to rest unless something comes, without an end where nobody waits; `None` when nobody comes
    /// any more.
    fn round(&mut self) -> Option<Option<Duration>> {
        loop {
            self.give_answers();
            let mut is_over = false;
            if self.next.is_none() {
                match self.orders.try_recv() {
                    Ok(order) => self.next = Some(order),
                    Err(TryRecvError::Empty) => {}
                    Err(TryRecvError::Disconnected) => is_over = true,
                }
            }
            if let Some(order) = self.next.take() {
                match self.workers.iter_mut().find(|worker| !worker.is_busy) {
                    // Whoever asked and went away needs no answer.
                    _ if order.answer.is_closed() => continue,
                    Some(worker) => {
                        worker.give(Given::Work(order.question.clone()));
                        (worker.is_busy, worker.order) = (true, Some(order));
                        continue;
                    }
                    None => self.next = Some(order),
                }
            }
            let waiting = self.workers.iter_mut().map(|worker| &mut worker.order).chain([&mut self.next]);
            let longest =
                waiting.min_by_key(|order| order.as_ref().map_or((true, None), |order| (false, Some(order.came))));
            let Some(longest) = longest.filter(|order| order.is_some()) else {
                return (!is_over).then_some(None);
            };
            let waited = longest.as_ref().map_or(Duration::ZERO, |order| order.came.elapsed());
            if waited < self.patience {
                return Some(Some(self.patience.saturating_sub(waited)));
            }
            if let Some(order) = longest.take().filter(|order| !order.answer.is_closed()) {
                let _ = order.answer.send(order.question.answer(&self.argon2));
            }
        }
    }

    fn give_answers(&mut self) {
        for worker in self.workers.iter_mut().filter(|worker| worker.is_busy) {
            let Some(answer) = worker.desk.done.lock().take() else { continue };
            worker.is_busy = false;
            if let Some(order) = worker.order.take() {
                let _ = order.answer.send(answer);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cheap() -> Cost {
        "m=64,t=1,p=1".parse().unwrap()
    }

    /// Somebody who takes work and never does it, as a thread that gives way to everything on a busy machine.
    fn idler() -> Worker {
        Worker::at(Arc::default(), thread::spawn(|| {}).thread().clone())
    }

    #[tokio::test]
    async fn what_is_kept_of_a_password_tells_it_from_others() {
        let hashing = Hashing::start(&cheap()).unwrap();
        let password = Password::typed("correct horse battery");
        let hash = hashing.hash(password.clone()).await.unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=64,t=1,p=1$") && !hash.contains("correct"), "{hash}");
        assert_ne!(hashing.hash(password.clone()).await.unwrap(), hash, "each has a salt of its own");
        assert!(hashing.is(password.clone(), Some(&hash)).await.unwrap());
        assert!(!hashing.is(Password::typed("correct horse batteri"), Some(&hash)).await.unwrap());
        assert!(!hashing.is(Password::typed("nobody"), None).await.unwrap());
        assert!(!hashing.is(password, Some("")).await.unwrap());
        // One form for what is typed in two.
        let composed = hashing.hash(Password::typed("caf\u{e9} on the corner")).await.unwrap();
        assert!(hashing.is(Password::typed("cafe\u{301} on the corner"), Some(&composed)).await.unwrap());
    }

    /// A hash that cost less when it was made is checked at its own cost.
    #[tokio::test]
    async fn a_hash_of_another_cost_is_read() {
        let hash = Hashing::start(&cheap()).unwrap().hash(Password::typed("correct horse battery")).await.unwrap();
        let dearer = Hashing::start(&"m=128,t=2,p=1".parse().unwrap()).unwrap();
        assert!(dearer.is(Password::typed("correct horse battery"), Some(&hash)).await.unwrap());
        assert!(!dearer.is_of_today(&hash) && !dearer.is_of_today(""));
        assert!(dearer.is_of_today(&dearer.hash(Password::typed("correct horse battery")).await.unwrap()));
    }

    #[tokio::test]
    async fn whoever_comes_when_the_line_is_full_is_told_at_once() {
        let (send, orders) = sync_channel(2);
        let line = Arc::new(Line { orders: Some(send), foreman: thread::current() });
        let hashing = Hashing { line, nobodys: "".into() };
        let waits: Vec<_> = (0..2)
            .map(|_| {
                let hashing = hashing.clone();
                tokio::spawn(async move { hashing.hash(Password::typed("x")).await })
            })
            .collect();
        tokio::task::yield_now().await;
        assert_eq!(hashing.hash(Password::typed("x")).await, Err(Busy));
        drop(orders);
        for wait in waits {
            assert_eq!(wait.await.unwrap(), Err(Busy), "nobody is left to hash");
        }
    }

    /// Whoever waits where no processor is left for the threads is served by the foreman, in the order in which they came.
    #[tokio::test]
    async fn what_waits_too_long_the_foreman_does() {
        let hashing = Hashing::led(&cheap(), vec![idler()], Duration::ZERO).unwrap();
        let password = Password::typed("correct horse battery");
        let hash = hashing.hash(password.clone()).await.unwrap();
        let asked = (0..QUEUE / 2).map(|_| hashing.is(password.clone(), Some(&hash)));
        assert!(futures::future::join_all(asked).await.iter().all(|is| *is == Ok(true)));
    }

    /// A machine that does not let threads give way has them at the priority of everything else, and says so in its log.
    #[test]
    fn a_thread_gives_way() {
        let of_thread = thread::spawn(|| {
            give_way().unwrap();
            std::fs::read_to_string("/proc/thread-self/stat").unwrap()
        });
        let stat = of_thread.join().unwrap();
        // The fields behind the name, which may hold anything: the policy is the 41st (proc_pid_stat(5)).
        let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
        assert_eq!(fields[41 - 3], "5", "SCHED_IDLE: {stat}");
    }

    #[tokio::test]
    async fn nobody_is_left_when_nobody_can_ask_any_more() {
        let desk = Arc::new(Desk::default());
        let own = desk.clone();
        let thread = thread::spawn(move || own.work(&cheap().argon2()));
        let worker = Worker::at(desk, thread.thread().clone());
        let hashing = Hashing::led(&cheap(), vec![worker], PATIENCE).unwrap();
        assert!(hashing.hash(Password::typed("correct horse battery")).await.is_ok());
        drop(hashing);
        thread.join().unwrap();
    }
}
