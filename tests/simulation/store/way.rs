//! The way between a node and the store or the gateway: requests and answers are lost on it, late or cut off, and the node may end.

use super::{SLOW_MS, USUAL_MS};
use crate::world::{SimulatedClock, World, lock};
use haat::ports::StoreError;
use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// What lies between a node and the store or the gateway.
#[derive(Clone)]
pub struct Way {
    pub world: Arc<World>,
    /// Ends the node.
    pub crashes: Option<Arc<dyn Fn() + Send + Sync>>,
    /// The clock of the node; none where a tool asks.
    pub clock: Option<Arc<SimulatedClock>>,
    /// Until when nothing comes through.
    pub cut_until: Arc<Mutex<Instant>>,
}

impl Way {
    pub fn new(world: Arc<World>, crashes: Arc<dyn Fn() + Send + Sync>, clock: Arc<SimulatedClock>) -> Self {
        Self { crashes: Some(crashes), clock: Some(clock), ..Self::of_a_tool(world) }
    }

    /// The way of a tool, which no crash of a node concerns.
    pub fn of_a_tool(world: Arc<World>) -> Self {
        Self { world, crashes: None, clock: None, cut_until: Arc::new(Mutex::new(Instant::now())) }
    }

    pub(super) fn is_cut(&self) -> bool {
        !self.world.is_calm() && *lock(&self.cut_until) > Instant::now()
    }

    /// What may befall a read: a start needs dozens of them, and has to succeed at times.
    pub(super) fn reading(&self) -> Risk {
        let plan = &self.world.plan;
        Risk { lost_requests: plan.failing_reads, lost_answers: plan.failing_reads, slow: plan.slow_store / 8 }
    }

    /// What may befall a write.
    pub(super) fn writing(&self, lost_requests: u64) -> Risk {
        let plan = &self.world.plan;
        Risk { lost_requests, lost_answers: plan.lost_answers, slow: plan.slow_store }
    }

    /// A point at which the node may crash.
    pub fn point(&self) {
        if let Some(crash) = &self.crashes
            && self.world.crashes_here()
        {
            crash();
        }
    }

    async fn travel(&self, slow: u64) {
        self.world.chance("store").pause(USUAL_MS).await;
        if self.world.fault("slow store", slow) {
            sleep(Duration::from_millis(self.world.chance("store").below(SLOW_MS))).await;
        }
        self.point();
    }

    /// What the server does once the request has come there, whatever has become of whoever sent it.
    pub(super) async fn ask<T: Send + 'static>(
        &self,
        risk: Risk,
        act: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, StoreError> {
        self.ask_for(risk, async move { act() }).await
    }

    /// The same, of what takes its time there.
    pub(super) async fn ask_for<T: Send + 'static>(
        &self,
        risk: Risk,
        act: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let gone = |what: &str| Err(StoreError::Unavailable(format!("the {what} was lost")));
        self.point();
        if self.is_cut() || self.world.fault("lost requests", risk.lost_requests) {
            self.world.chance("store").pause(SLOW_MS).await;
            return gone("request");
        }
        let way = self.clone();
        let (send, receive) = tokio::sync::oneshot::channel();
        tokio::spawn(async move {
            way.travel(risk.slow).await;
            let _ = send.send(act.await);
            way.point();
        });
        if self.is_cut() || self.world.fault("lost answers", risk.lost_answers) {
            // It may be given up before it has happened.
            self.world.chance("store").pause(SLOW_MS).await;
            return gone("answer");
        }
        let Ok(answer) = receive.await else { return gone("server") };
        self.travel(risk.slow).await;
        Ok(answer)
    }
}

/// What may befall a request on its way, in times of a thousand.
#[derive(Clone, Copy)]
pub(super) struct Risk {
    pub(super) lost_requests: u64,
    pub(super) lost_answers: u64,
    pub(super) slow: u64,
}
