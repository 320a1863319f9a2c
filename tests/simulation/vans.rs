//! The simulated courier: a platform with its own books, which survive every crash. Packers tell orders whatever couriers may tell; this one is
//! asked by jobs, may lose its answers, and must never be asked twice for one parcel without a look at its books.

use crate::store::Way;
use crate::world::{World, lock};
use async_trait::async_trait;
use haat::domain::courier::{
    Booking, BookingAnswer, BookingCall, BookingStatus, CancelAnswer, CourierTold, ParcelName,
};
use haat::domain::ids::{JobId, OrderId, ShipmentId};
use haat::domain::order::Correction;
use haat::ports::NoAnswer;
use haat::ports::couriers::{Courier, Told};
use haat::ports::jobs::NotNow;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::time::Instant;

/// What it has in its books.
pub struct Depot {
    parcels: Mutex<HashMap<ParcelName, BookingStatus>>,
    down_until: Mutex<Instant>,
    world: Arc<World>,
}

/// How long it is down.
const DOWN: Duration = Duration::from_secs(3_600);

impl Depot {
    pub fn new(world: Arc<World>) -> Arc<Self> {
        Arc::new(Self { parcels: Mutex::default(), down_until: Mutex::new(Instant::now()), world })
    }
}

impl Depot {
    /// Whether it has no answer for anybody: for an hour, or until everything comes to rest.
    fn is_down(&self, often: u64) -> bool {
        let mut until = lock(&self.down_until);
        if Instant::now() >= *until && self.world.fault("couriers that are down for an hour", often) {
            *until = Instant::now() + DOWN;
        }
        Instant::now() < *until && !self.world.is_calm()
    }
}

/// The courier as one node reaches it.
pub struct Van {
    pub depot: Arc<Depot>,
    pub way: Way,
}

impl Van {
    /// Asks it something: nobody may hear, and the answer may be lost.
    async fn ask<T>(&self, ask: impl FnOnce(&mut HashMap<ParcelName, BookingStatus>) -> T) -> Result<T, NoAnswer> {
        let world = &self.depot.world;
        let lost = |what| Err(NoAnswer(format!("{what} was lost")));
        // There are few parcels in a run, and more is to go wrong with them.
        let failing = (world.plan.failing_gateway * 4).min(500);
        self.way.point();
        world.chance("couriers").pause(30).await;
        if self.depot.is_down(failing / 2) {
            return lost("the question");
        }
        if world.fault("unheard couriers", failing) {
            return lost("the question");
        }
        let answer = ask(&mut lock(&self.depot.parcels));
        self.way.point();
        if world.fault("lost answers of couriers", (failing * 2).min(750)) {
            return lost("the answer");
        }
        Ok(answer)
    }
}

fn booking(name: ParcelName, status: BookingStatus) -> Booking {
    Booking { name, tracking_number: "V-1".to_owned(), status, told: Vec::new() }
}

#[async_trait]
impl Courier for Van {
    fn name(&self) -> &'static str {
        "own"
    }

    async fn book(&self, call: &BookingCall) -> Result<BookingAnswer, NoAnswer> {
        let (world, name) = (&self.depot.world, call.name);
        let refuses = world.chance("couriers").per_mille(200);
        self.ask(|parcels| match parcels.get(&name) {
            None if refuses => BookingAnswer::Refused { why: "nobody".to_owned() },
            None => {
                world.count("parcels that a courier books");
                parcels.insert(name, BookingStatus::Booked);
                BookingAnswer::Booked(booking(name, BookingStatus::Booked))
            }
            Some(BookingStatus::Cancelled) => BookingAnswer::Refused { why: "cancelled".to_owned() },
            Some(status) => BookingAnswer::Booked(booking(name, *status)),
        })
        .await
    }

    async fn look_up(&self, name: ParcelName) -> Result<Option<Booking>, NoAnswer> {
        self.ask(|parcels| parcels.get(&name).map(|status| booking(name, *status))).await
    }

    async fn cancel(&self, name: ParcelName) -> Result<CancelAnswer, NoAnswer> {
        self.ask(|parcels| match parcels.get_mut(&name) {
            None => CancelAnswer::Unknown,
            Some(BookingStatus::Told(_)) => CancelAnswer::TooLate,
            Some(status) => {
                *status = BookingStatus::Cancelled;
                CancelAnswer::Cancelled
            }
        })
        .await
    }
}

/// What it tells, packers tell.
#[async_trait]
impl Told for Depot {
    async fn keep(&self, _: &str, _: CourierTold) -> Result<(), NotNow> {
        Ok(())
    }

    async fn told(&self, _: JobId) -> Result<Option<CourierTold>, NotNow> {
        Ok(None)
    }

    async fn looked_up(&self, _: &str, _: Booking) -> Result<(), NotNow> {
        Ok(())
    }

    async fn not_found(&self, _: &str, _: ParcelName) -> Result<(), NotNow> {
        Ok(())
    }

    async fn silent(&self, _: OrderId) -> Result<Vec<(ParcelName, String)>, NotNow> {
        Ok(Vec::new())
    }

    async fn not_awaited(&self, _: ShipmentId) -> Result<(), NotNow> {
        Ok(())
    }

    async fn corrected(&self, _: Correction) -> Result<(), NotNow> {
        Ok(())
    }
}
