//! What couriers tell of parcels: the service with its rows, on both stores.

use crate::fixture::Fixture;
use crate::on_both_stores;
use crate::samples::at;
use haat::domain::buyer::Mint;
use haat::domain::courier::{CourierStatus, CourierTold, ParcelName};
use haat::domain::ids::{EntityId, OrderId, ShipmentId, SkuId};
use haat::domain::job::JobKind;
use haat::domain::money::{Currency, Money};
use haat::domain::vendor::WantedLine;
use haat::limits;
use haat::persistence::services::Repositories;
use haat::ports::jobs::{JobFilter, JobRow};
use haat::services::couriers::{Carried, Kept, KeptEvent, TrackingRows};
use std::sync::Arc;
use uuid::Uuid;

fn event(parcel: u128, event: &str, status: CourierStatus, at_ms: i64) -> KeptEvent {
    let name = ParcelName {
        shipment: ShipmentId::from_uuid(Uuid::from_u128(parcel)),
        order: OrderId::from_uuid(Uuid::from_u128(parcel + 100)),
        mint: Mint([1, 2, 3, 4]),
    };
    let told = CourierTold { event: event.into(), name, status, at: at(at_ms), collected: None, lines: Vec::new() };
    KeptEvent { told, courier: "platform".into(), came_at: at(9_000) }
}

/// The rows, and the jobs that there are.
async fn rows(fixture: &Fixture) -> (Arc<dyn TrackingRows>, impl AsyncFn() -> Vec<JobRow>) {
    let store = fixture.open().await;
    let (rows, jobs) = (Repositories::new(&store.units).tracking, store.jobs.clone());
    (rows, async move || jobs.list(JobFilter::default(), None, 500).await.expect("jobs"))
}

on_both_stores! {
    async fn an_event_is_kept_once_as_it_was_told(fixture) {
        let (rows, jobs) = rows(&fixture).await;
        let mut partly = event(1, "ev_2", CourierStatus::PartlyDelivered, 20);
        partly.told.collected = Some(Money::new(62_500, Currency::BDT));
        partly.told.lines = vec![WantedLine { sku: SkuId::from_uuid(Uuid::from_u128(3)), quantity: 1 }];
        let all = [event(1, "ev_1", CourierStatus::PickedUp, 30), partly, event(1, "ev_3", CourierStatus::InTransit, 10)];
        for event in &all {
            assert_eq!(rows.keep(event).await, Ok(Kept::New));
        }
        // Of another parcel the same name is another event.
        let other = event(2, "ev_1", CourierStatus::Lost, 5);
        assert_eq!(rows.keep(&other).await, Ok(Kept::New));
        for again in [all[1].clone(), event(1, "ev_2", CourierStatus::Lost, 99), event(1, "ev_3", CourierStatus::Delivered, 99)] {
            assert_eq!(rows.keep(&again).await, Ok(Kept::Known));
        }
        assert_eq!(rows.of_shipment(all[0].told.name.shipment).await, Ok(all.to_vec()));
        assert_eq!(rows.of_shipment(other.told.name.shipment).await, Ok(vec![other.clone()]));
        assert_eq!(rows.of_shipment(ShipmentId::from_uuid(Uuid::from_u128(9))).await, Ok(Vec::new()));

        // Of what an order must know there is a job, one for each.
        let told = [&all[0], &all[1], &other];
        let mut ids: Vec<_> = told.iter().map(|event| event.job().expect("it is heard").id).collect();
        let listed = jobs().await;
        for (event, id) in told.iter().zip(&ids) {
            let job = listed.iter().find(|job| job.id == *id).expect("a job");
            let about = event.told.name.order.entity().into();
            assert_eq!((job.kind, job.about, job.made_at), (JobKind::CourierEvent, about, event.came_at));
            assert_eq!(rows.of_job(*id).await, Ok(Some((*event).clone())));
        }
        ids.dedup();
        assert_eq!((ids.len(), listed.len()), (3, 3));
        assert_eq!(rows.of_job(haat::domain::ids::JobId::from_uuid(Uuid::from_u128(5))).await, Ok(None));
    }

    async fn there_are_no_more_events_of_a_parcel_than_there_may_be(fixture) {
        let (rows, jobs) = rows(&fixture).await;
        let (most, heard) = (limits::TRACKING_EVENTS, limits::TRACKING_EVENTS_HEARD);
        let keep = async |number: usize, status| rows.keep(&event(1, &format!("ev_{number}"), status, 1)).await;
        for number in 0..most - heard {
            assert_eq!(keep(number, CourierStatus::InTransit).await, Ok(Kept::New), "{number}");
        }
        assert_eq!(keep(most, CourierStatus::OutForDelivery).await, Ok(Kept::Full));
        assert_eq!(keep(0, CourierStatus::InTransit).await, Ok(Kept::Known));
        // What its order must hear of still finds a place.
        for number in most - heard..most {
            assert_eq!(keep(number, CourierStatus::Refused).await, Ok(Kept::New), "{number}");
        }
        assert_eq!(keep(most, CourierStatus::Delivered).await, Ok(Kept::Full));
        assert_eq!(keep(most - 1, CourierStatus::Refused).await, Ok(Kept::Known));
        let kept = rows.of_shipment(event(1, "", CourierStatus::Lost, 1).told.name.shipment).await.expect("events");
        assert_eq!((kept.len(), jobs().await.len()), (most, heard));
        assert_eq!(rows.keep(&event(2, "ev_0", CourierStatus::InTransit, 1)).await, Ok(Kept::New), "of another parcel");
    }

    async fn what_comes_at_once_is_all_kept(fixture) {
        let (rows, jobs) = rows(&fixture).await;
        let keep = |number: usize| {
            let rows = rows.clone();
            // Each event comes twice.
            tokio::spawn(async move { rows.keep(&event(1, &format!("ev_{}", number / 2), CourierStatus::PickedUp, 1)).await })
        };
        let keeping: Vec<_> = (0..16).map(keep).collect();
        let mut new = 0;
        for kept in keeping {
            match kept.await.expect("no panic") {
                Ok(Kept::New) => new += 1,
                other => assert_eq!(other, Ok(Kept::Known)),
            }
        }
        let kept = rows.of_shipment(event(1, "", CourierStatus::Lost, 1).told.name.shipment).await.expect("events");
        assert_eq!((new, kept.len(), jobs().await.len()), (8, 8, 8));
    }

    /// A parcel that a courier carries has a row until its end was told; what is told moves when it is to be looked up, and a look-up is no news.
    async fn what_was_not_heard_of_for_long_is_to_be_looked_up(fixture) {
        let (rows, jobs) = rows(&fixture).await;
        let (hours, name) = (|hours: i64| at(9_000 + hours * 3_600), |parcel| event(parcel, "", CourierStatus::Lost, 1).told.name);
        let carried = |parcel, heard, looked, again| Carried {
            name: name(parcel), courier: "platform".into(), heard_at: hours(heard), looked_at: hours(looked), look_at: hours(again),
        };
        rows.carry(&Carried::heard(name(1), "platform", hours(0))).await.expect("it is carried");
        rows.carry(&Carried::heard(name(2), "platform", hours(1))).await.expect("it is carried");
        assert_eq!(rows.to_look_up(hours(6), 9).await, Ok(vec![carried(1, 0, 0, 6)]));
        assert_eq!(rows.to_look_up(hours(7), 9).await, Ok(vec![carried(1, 0, 0, 6), carried(2, 1, 1, 7)]));
        assert_eq!(rows.to_look_up(hours(7), 1).await.map(|found| found.len()), Ok(1));

        // That is written with the jobs, which are there once.
        let job = event(1, "ev_1", CourierStatus::Lost, 1).job().expect("a job");
        for _ in 0..2 {
            rows.look_up(&[job], &[(name(1).shipment, hours(13)), (name(2).shipment, hours(14))]).await.expect("it is written");
        }
        assert_eq!((jobs().await.len(), rows.to_look_up(hours(12), 9).await), (1, Ok(Vec::new())));
        rows.carry(&Carried::heard(name(1), "platform", hours(8))).await.expect("it was looked up");
        assert_eq!(rows.carried(name(1).order).await, Ok(vec![carried(1, 0, 8, 14)]), "and that is no news");
        // One that is stale is asked about once a day.
        rows.carry(&Carried::heard(name(1), "platform", hours(30 * 24))).await.expect("it was looked up");
        assert_eq!(rows.carried_parcel(name(1).shipment).await, Ok(Some(carried(1, 0, 30 * 24, 31 * 24))));
        assert_eq!(rows.silent_since(hours(0)).await, Ok(1));

        let told = |number: usize, status, hour| KeptEvent { came_at: hours(hour), ..event(1, &format!("ev_{number}"), status, 1) };
        assert_eq!(rows.keep(&told(1, CourierStatus::InTransit, 800)).await, Ok(Kept::New));
        assert_eq!(rows.carried_parcel(name(1).shipment).await, Ok(Some(carried(1, 800, 800, 806))));
        assert_eq!(rows.keep(&told(1, CourierStatus::InTransit, 900)).await, Ok(Kept::Known));
        assert_eq!(rows.carried_parcel(name(1).shipment).await, Ok(Some(carried(1, 800, 800, 806))), "what is known is no news");
        assert_eq!(rows.keep(&told(2, CourierStatus::Refused, 900)).await, Ok(Kept::New));
        assert_eq!(rows.silent_since(hours(899)).await, Ok(1), "the other one");
        assert_eq!(rows.keep(&told(3, CourierStatus::Returned, 901)).await, Ok(Kept::New));
        assert_eq!(rows.carried_parcel(name(1).shipment).await, Ok(None));
        rows.end(name(2).shipment).await.expect("it is forgotten");
        assert_eq!(rows.to_look_up(hours(9_999), 9).await, Ok(Vec::new()));
    }
}
