//! What couriers are asked for a job, and what the order hears of it.

use super::*;
use crate::domain::buyer::Mint;
use crate::domain::courier::{CourierStatus, CourierTold, ParcelLine};
use crate::domain::ids::{EntityId, JobId, ShipmentId, SkuId};
use crate::domain::job::JobKind;
use crate::domain::order::{Address, Correction, CourierSays};
use crate::domain::time::Timestamp;
use parking_lot::Mutex;
use std::collections::VecDeque;
use uuid::Uuid;

fn name(number: u128) -> ParcelName {
    let order = OrderId::from_uuid(Uuid::from_u128(100));
    ParcelName { shipment: ShipmentId::from_uuid(Uuid::from_u128(number)), order, mint: Mint([0; 4]) }
}

fn contact() -> Contact {
    let shipping_address = Address {
        name: "Rumi".into(),
        line1: "1 Mirpur Road".into(),
        line2: None,
        city: "Dhaka".into(),
        postcode: None,
        region: None,
        country: "BD".into(),
        phone: None,
    };
    Contact { email: None, shipping_address }
}

fn told(number: u128) -> CourierTold {
    let (event, at) = ("ev_1".to_owned(), Timestamp::from_millis(5));
    CourierTold { event, name: name(number), status: CourierStatus::PickedUp, at, collected: None, lines: Vec::new() }
}

fn booking(number: u128, status: BookingStatus) -> Booking {
    Booking { name: name(number), tracking_number: "HX-1".into(), status, told: Vec::new() }
}

/// Everything around the worker: what is wanted, what is answered, and what was asked and heard, in order.
#[derive(Default)]
struct Town {
    wishes: Vec<CourierWish>,
    known: Kept,
    looked_up: Mutex<VecDeque<Result<Option<Booking>, NoAnswer>>>,
    booked: Mutex<VecDeque<Result<BookingAnswer, NoAnswer>>>,
    cancelled: Mutex<VecDeque<Result<CancelAnswer, NoAnswer>>>,
    asked: Mutex<Vec<String>>,
    heard: Mutex<Vec<(ParcelName, CourierSays)>>,
    silent: Vec<(ParcelName, String)>,
    awaited: Vec<ParcelName>,
}

/// Whether the address is still there.
#[derive(Default)]
enum Kept {
    #[default]
    Here,
    Erased,
    NotNow,
}

impl Town {
    fn asks(&self, what: impl Into<String>) {
        self.asked.lock().push(what.into());
    }
}

#[async_trait]
impl Courier for Arc<Town> {
    fn name(&self) -> &'static str {
        "platform"
    }

    async fn book(&self, call: &BookingCall) -> Result<BookingAnswer, NoAnswer> {
        assert_eq!(call.to, contact().shipping_address);
        self.asks(format!("book {}", call.lines.len()));
        self.booked.lock().pop_front().expect("a booking")
    }

    async fn look_up(&self, _: ParcelName) -> Result<Option<Booking>, NoAnswer> {
        self.asks("look up");
        self.looked_up.lock().pop_front().expect("a look-up")
    }

    async fn cancel(&self, _: ParcelName) -> Result<CancelAnswer, NoAnswer> {
        self.asks("cancel");
        self.cancelled.lock().pop_front().expect("a cancel")
    }
}

#[async_trait]
impl Parcels for Town {
    async fn wishes(&self, order: OrderId) -> Result<Vec<CourierWish>, TryOutcome> {
        assert_eq!(order, name(1).order);
        Ok(self.wishes.clone())
    }

    async fn says(&self, parcel: ParcelName, says: CourierSays) -> Result<(), TryOutcome> {
        self.heard.lock().push((parcel, says));
        Ok(())
    }

    async fn awaited(&self, _: OrderId) -> Result<Vec<ParcelName>, TryOutcome> {
        Ok(self.awaited.clone())
    }
}

#[async_trait]
impl Destinations for Town {
    async fn contact(&self, _: OrderId) -> Result<Known<Contact>, NotNow> {
        match self.known {
            Kept::Here => Ok(Known::Here(contact())),
            Kept::Erased => Ok(Known::Erased),
            Kept::NotNow => Err(NotNow("not now".into())),
        }
    }
}

#[async_trait]
impl Told for Town {
    async fn keep(&self, _: &str, _: CourierTold) -> Result<(), NotNow> {
        Err(NotNow("no notice comes".into()))
    }

    async fn looked_up(&self, courier: &str, booking: Booking) -> Result<(), NotNow> {
        self.asks(format!("keep {courier} {} {}", booking.status.name(), booking.told.len()));
        Ok(())
    }

    async fn not_found(&self, courier: &str, name: ParcelName) -> Result<(), NotNow> {
        self.asks(format!("not found {courier} {}", number_of(name)));
        Ok(())
    }

    async fn silent(&self, _: OrderId) -> Result<Vec<(ParcelName, String)>, NotNow> {
        Ok(self.silent.clone())
    }

    async fn not_awaited(&self, shipment: ShipmentId) -> Result<(), NotNow> {
        self.asks(format!("not awaited {}", shipment.uuid().as_u128()));
        Ok(())
    }

    async fn corrected(&self, _: Correction) -> Result<(), NotNow> {
        Err(NotNow("nothing is corrected".into()))
    }

    async fn told(&self, _: JobId) -> Result<Option<CourierTold>, NotNow> {
        Err(NotNow("it is not asked".into()))
    }
}

fn book(number: u128) -> CourierWish {
    let lines = vec![ParcelLine { sku: SkuId::from_uuid(Uuid::from_u128(3)), title: "Lungi".into(), quantity: 1 }];
    CourierWish { courier: "platform".into(), name: name(number), book: Some(lines), collect: None, slot: None }
}

fn cancel(number: u128) -> CourierWish {
    CourierWish { book: None, ..book(number) }
}

fn number_of(name: ParcelName) -> u128 {
    name.shipment.uuid().as_u128()
}

async fn tried(town: Town) -> (TryOutcome, Vec<String>, Vec<(ParcelName, CourierSays)>) {
    tried_as(JobKind::BookParcels, town).await
}

async fn tried_as(kind: JobKind, town: Town) -> (TryOutcome, Vec<String>, Vec<(ParcelName, CourierSays)>) {
    let town = Arc::new(town);
    let courier: Arc<dyn Courier> = Arc::new(town.clone());
    let worker = BookingWorker::new(vec![courier], town.clone(), town.clone(), town.clone());
    let job = Job {
        id: JobId::from_uuid(Uuid::from_u128(7)),
        kind,
        about: name(1).order.entity().into(),
        made_at: Timestamp::default(),
        tries: 1,
        unknown: false,
    };
    let outcome = worker.try_job(&job).await;
    let answers = [town.looked_up.lock().len(), town.booked.lock().len(), town.cancelled.lock().len()];
    assert_eq!(answers, [0; 3], "all of them were asked for");
    (outcome, town.asked.lock().clone(), town.heard.lock().clone())
}

fn no_answer<T>() -> Result<T, NoAnswer> {
    Err(NoAnswer("the line is dead".into()))
}

fn unknown() -> TryOutcome {
    TryOutcome::Unknown { reason: "the line is dead".into() }
}

fn is_booked() -> CourierSays {
    CourierSays::Booked { tracking_number: "HX-1".into() }
}

#[tokio::test]
async fn a_parcel_is_asked_for_only_where_its_courier_has_never_heard_of_it() {
    let fetched = Booking { told: vec![told(1)], ..booking(1, BookingStatus::Told(CourierStatus::PickedUp)) };
    type Row = (
        Result<Option<Booking>, NoAnswer>,
        Option<Result<BookingAnswer, NoAnswer>>,
        TryOutcome,
        Vec<&'static str>,
        Option<CourierSays>,
    );
    let refused = |why: &str| CourierSays::Refused { why: why.into() };
    let table: Vec<Row> = vec![
        (
            Ok(None),
            Some(Ok(BookingAnswer::Booked(booking(1, BookingStatus::Booked)))),
            TryOutcome::Done,
            vec!["look up", "book 1", "keep platform booked 0"],
            Some(is_booked()),
        ),
        (
            Ok(None),
            Some(Ok(BookingAnswer::Refused { why: "address_unsupported".into() })),
            TryOutcome::Done,
            vec!["look up", "book 1"],
            Some(refused("address_unsupported")),
        ),
        (Ok(None), Some(no_answer()), unknown(), vec!["look up", "book 1"], None),
        (no_answer(), None, unknown(), vec!["look up"], None),
        // An answer was lost before.
        (
            Ok(Some(booking(1, BookingStatus::Booked))),
            None,
            TryOutcome::Done,
            vec!["look up", "keep platform booked 0"],
            Some(is_booked()),
        ),
        // And so was a notice.
        (Ok(Some(fetched)), None, TryOutcome::Done, vec!["look up", "keep platform picked_up 1"], Some(is_booked())),
        (
            Ok(Some(booking(1, BookingStatus::Cancelled))),
            None,
            TryOutcome::Done,
            vec!["look up", "keep platform cancelled 0"],
            Some(CourierSays::NotFetched),
        ),
    ];
    for (looked_up, booked, outcome, asked, heard) in table {
        let town = Town {
            wishes: vec![book(1)],
            looked_up: Mutex::new([looked_up].into()),
            booked: Mutex::new(booked.into_iter().collect()),
            ..Town::default()
        };
        let heard: Vec<_> = heard.into_iter().map(|told| (name(1), told)).collect();
        assert_eq!(tried(town).await, (outcome, asked.into_iter().map(str::to_owned).collect(), heard));
    }
}

#[tokio::test]
async fn nothing_is_fetched_for_somebody_who_was_forgotten() {
    for (known, outcome, heard) in [
        (Kept::Erased, TryOutcome::Done, vec![(name(1), CourierSays::Refused { why: "address_erased".into() })]),
        (Kept::NotNow, later("not now"), Vec::new()),
    ] {
        let town = Town { wishes: vec![book(1)], known, looked_up: Mutex::new([Ok(None)].into()), ..Town::default() };
        assert_eq!(tried(town).await, (outcome, vec!["look up".to_owned()], heard));
    }
}

#[tokio::test]
async fn a_cancel_tells_what_the_courier_made_of_it() {
    for (answer, outcome, heard) in [
        (Ok(CancelAnswer::Cancelled), TryOutcome::Done, Some(CourierSays::NotFetched)),
        (Ok(CancelAnswer::TooLate), TryOutcome::Done, Some(CourierSays::TooLate)),
        (Ok(CancelAnswer::Unknown), TryOutcome::Done, Some(CourierSays::NotFetched)),
        (no_answer(), unknown(), None),
    ] {
        let town = Town { wishes: vec![cancel(1)], cancelled: Mutex::new([answer].into()), ..Town::default() };
        let heard: Vec<_> = heard.into_iter().map(|told| (name(1), told)).collect();
        assert_eq!(tried(town).await, (outcome, vec!["cancel".to_owned()], heard));
    }
}

#[tokio::test]
async fn one_parcel_does_not_wait_for_another() {
    let town = Town {
        wishes: vec![book(1), CourierWish { courier: "pigeons".into(), ..book(2) }, cancel(3)],
        looked_up: Mutex::new([no_answer()].into()),
        cancelled: Mutex::new([Ok(CancelAnswer::Cancelled)].into()),
        ..Town::default()
    };
    let asked = vec!["look up".to_owned(), "cancel".to_owned()];
    assert_eq!(tried(town).await, (unknown(), asked, vec![(name(3), CourierSays::NotFetched)]));
    let nobodys = Town { wishes: vec![CourierWish { courier: "pigeons".into(), ..book(2) }], ..Town::default() };
    assert_eq!(tried(nobodys).await.0, later("the courier pigeons is not configured"));
    assert_eq!(tried(Town::default()).await.0, TryOutcome::Done);
}

/// Of parcels of which nothing was heard their couriers are asked, but for those of which nothing more is to be heard.
#[tokio::test]
async fn what_nothing_was_heard_of_is_looked_up() {
    let of = |number| (name(number), "platform".to_owned());
    let town = |looked_up: Vec<Result<Option<Booking>, NoAnswer>>| Town {
        silent: vec![of(1), of(2), (name(3), "pigeons".to_owned()), of(4), of(5)],
        awaited: vec![name(1), name(3), name(4), name(5)],
        looked_up: Mutex::new(looked_up.into()),
        ..Town::default()
    };
    let delivered = booking(1, BookingStatus::Told(CourierStatus::Delivered));
    let all = town(vec![Ok(Some(delivered)), Ok(None), Ok(Some(booking(5, BookingStatus::Cancelled)))]);
    let asked = [
        "look up",
        "keep platform delivered 0",
        "not awaited 2",
        "look up",
        "not found platform 4",
        "look up",
        "keep platform cancelled 0",
    ];
    let heard = vec![(name(5), CourierSays::NotFetched)];
    let look = JobKind::LookUpParcels;
    assert_eq!(tried_as(look, all).await, (TryOutcome::Done, asked.map(str::to_owned).to_vec(), heard));

    // One that has no answer keeps the others from nothing, and is asked again.
    let some = town(vec![no_answer(), Ok(None), Ok(Some(booking(5, BookingStatus::Booked)))]);
    let asked = ["look up", "not awaited 2", "look up", "not found platform 4", "look up", "keep platform booked 0"];
    assert_eq!(tried_as(look, some).await, (unknown(), asked.map(str::to_owned).to_vec(), Vec::new()));

    assert_eq!(tried_as(look, Town::default()).await, (TryOutcome::Done, Vec::new(), Vec::new()));
}
