//! The threads that actors run on.

use actix::{Arbiter, ArbiterHandle, System};
use std::io;
use std::sync::Arc;
use std::sync::mpsc;
use std::thread::{self, JoinHandle};

/// What starts an actor, on the thread it is to run on.
pub type Start = Box<dyn FnOnce() + Send>;

/// A thread that actors run on, as a node sees it: takes what is to be started there, and says whether it will be. It need not be
/// a thread of the machine: the simulation has all of them in one.
pub type Thread = Arc<dyn Fn(Start) -> bool + Send + Sync>;

/// The threads of one node's actors. They end when this is dropped.
pub struct Arbiters {
    handles: Vec<ArbiterHandle>,
    system: System,
    thread: Option<JoinHandle<()>>,
}

impl Arbiters {
    /// Starts `count` threads.
    ///
    /// # Errors
    /// When the operating system gives no thread.
    pub fn start(count: usize) -> io::Result<Self> {
        let (send, receive) = mpsc::sync_channel(1);
        let thread = thread::Builder::new().name("haat-actors".into()).spawn(move || {
            let runner = System::new();
            let arbiters = runner.block_on(async { (0..count.max(1)).map(|_| Arbiter::new()).collect::<Vec<_>>() });
            let handles = arbiters.iter().map(Arbiter::handle).collect();
            let system = runner.block_on(async { System::current() });
            if send.send((handles, system)).is_ok()
                && let Err(error) = runner.run()
            {
                tracing::error!(%error, "the actors' system ended");
            }
            // Whoever stops the node may then rely on it that no actor holds anything any more.
            for arbiter in arbiters {
                arbiter.stop();
                if arbiter.join().is_err() {
                    tracing::error!("a thread of the actors panicked");
                }
            }
        })?;
        let (handles, system) = receive.recv().map_err(io::Error::other)?;
        Ok(Self { handles, system, thread: Some(thread) })
    }

    /// Where to start actors.
    pub fn threads(&self) -> Vec<Thread> {
        let thread = |handle: &ArbiterHandle| -> Thread {
            let handle = handle.clone();
            Arc::new(move |start| handle.spawn_fn(start))
        };
        self.handles.iter().map(thread).collect()
    }
}

impl Drop for Arbiters {
    fn drop(&mut self) {
        self.system.stop();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the actors' system panicked");
        }
    }
}
