//! What a courier tells of parcels, and where whoever waits for one sees it.

use crate::on_both_stores;
use crate::support::client::{Answer, Client};
use crate::support::redirect::{OLD_SECRET, SECRET, signed};
use crate::support::{Server, TestStore, token};
use haat::adapters::platform::PlatformConfig;
use haat::app::Hooks;
use haat::checkout::buyers::BuyerKeys;
use haat::domain::buyer::Mint;
use haat::domain::courier::ParcelName;
use haat::domain::ids::{OrderId, ShipmentId};
use haat::http::auth::Bearer;
use serde_json::{Value, json};
use uuid::Uuid;

/// A parcel of an order that this shop has never heard of: what is told of it is kept all the same.
fn parcel() -> ParcelName {
    ParcelName {
        shipment: ShipmentId::from_uuid(Uuid::from_u128(1)),
        order: OrderId::from_uuid(Uuid::from_u128(2)),
        mint: Mint([0, 0, 0, 9]),
    }
}

fn now_s() -> i64 {
    haat::ports::Clock::wall(&haat::adapters::clock::SystemClock::default()).as_millis() / 1_000
}

async fn server(store: &TestStore) -> Server {
    let mut config = store.server();
    config.courier = Some(PlatformConfig {
        // Nobody is asked here.
        url: "http://127.0.0.1:9".to_owned(),
        secrets: vec![SECRET.to_owned(), OLD_SECRET.to_owned()],
        public_url: "https://shop.example".to_owned(),
    });
    Server::start_with(config, Hooks::default()).await
}

fn notice(event: &str, status: &str, at: &str) -> String {
    json!({"id": event, "reference": parcel().to_string(), "status": status, "at": at}).to_string()
}

async fn notify_as(client: Client, courier: &str, headers: &[(&'static str, String)], body: &str) -> Answer {
    let request = client.request("POST", &format!("/v1/notices/couriers/{courier}"));
    let request = headers.iter().fold(request, |request, (name, value)| request.header(name, value));
    request.raw(body.to_owned()).send().await
}

async fn notify(client: Client, body: &str) -> Answer {
    notify_as(client, "platform", &signed(SECRET, now_s(), body), body).await
}

/// The link of the parcel.
fn link(server: &Server) -> String {
    let token = BuyerKeys::new(server.shop.store_key()).tracking_token(parcel().shipment);
    format!("/v1/track/{token}")
}

async fn jobs(client: Client) -> Vec<Value> {
    let admin = token(&Bearer::Admin("root".into()));
    let listed = client.get("/v1/admin/jobs?kind=courier_event").bearer(&admin).send().await.expect(200);
    listed.body["items"].as_array().expect("jobs").clone()
}

on_both_stores! {
    /// In whatever order and however often it comes; and it is still there after a restart.
    async fn whoever_waits_for_a_parcel_sees_what_its_courier_tells(store) {
        let server = server(&store).await;
        let (client, link) = (server.client, link(&server));
        let nothing = client.get(&link).send().await.expect(200);
        assert_eq!(nothing.body, json!({"status": null, "events": []}));
        for (event, status, at) in [
            ("ev_3", "delivered", "2026-01-02T18:00:00+06:00"),
            ("ev_1", "picked_up", "2026-01-01T09:00:00+06:00"),
            ("ev_2", "in_transit", "2026-01-03T09:00:00+06:00"),
            ("ev_3", "lost", "2026-01-09T09:00:00+06:00"),
            ("ev_1", "picked_up", "2026-01-01T09:00:00+06:00"),
        ] {
            notify(client, &notice(event, status, at)).await.expect(200);
        }
        let expected = json!({"status": "delivered", "events": [
            {"status": "picked_up", "at": "2026-01-01T03:00:00.000Z"},
            {"status": "delivered", "at": "2026-01-02T12:00:00.000Z"},
            {"status": "in_transit", "at": "2026-01-03T03:00:00.000Z"},
        ]});
        assert_eq!(client.get(&link).send().await.expect(200).body, expected);
        let seen = jobs(client).await;
        assert_eq!(seen.len(), 2, "its order hears of what it must know, once: {seen:?}");
        assert!(seen.iter().all(|job| job["about"] == parcel().order.to_string()), "{seen:?}");
        server.stop().await;
        let server = crate::couriers::server(&store).await;
        assert_eq!(server.client.get(&link).send().await.expect(200).body, expected);
        assert_eq!(jobs(server.client).await.len(), 2);
        server.stop().await;
        let report = haat::app::audit::audit(&store.config(), store.data_dir()).await.expect("an audit");
        assert!(report.is_clean(), "{report}");
    }

    async fn nobody_but_the_courier_tells_anything(store) {
        let server = server(&store).await;
        let (client, link) = (server.client, link(&server));
        let body = notice("ev_1", "delivered", "2026-01-01T09:00:00Z");
        let good = signed(SECRET, now_s(), &body);
        let nobodys = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
        for headers in [&[][..], &good[1..], &signed(nobodys, now_s(), &body), &signed(SECRET, now_s() - 400, &body), &signed(SECRET, now_s() + 400, &body)] {
            assert_eq!(notify_as(client, "platform", headers, &body).await.expect(400).code(), "signature_invalid", "{headers:?}");
        }
        let other = body.replace("delivered", "lost");
        assert_eq!(notify_as(client, "platform", &good, &other).await.expect(400).code(), "signature_invalid");
        for courier in ["nobody", "Platform", "platform%20", "stripe"] {
            assert_eq!(notify_as(client, courier, &good, &body).await.expect(404).code(), "not_found", "{courier}");
        }
        // What is signed, and makes no sense, or is about somebody else's parcel.
        let mint = parcel().to_string().replace(".00000009", "");
        for (body, status) in [
            ("{}".to_owned(), 422),
            (String::new(), 422),
            (notice("ev_1", "booked", "2026-01-01T09:00:00Z"), 422),
            (notice("ev_1", "lost", "yesterday"), 422),
            (notice("ev 1", "lost", "2026-01-01T09:00:00Z"), 422),
            (body.replace(&parcel().to_string(), &mint), 200),
            (body.replace(&parcel().to_string(), "order-17"), 200),
        ] {
            let answer = notify(client, &body).await.expect(status);
            assert!(status == 200 || answer.code() == "invalid_body", "{body}: {}", answer.text);
        }
        let long = "x".repeat(256 * 1024 + 1);
        assert_eq!(notify(client, &long).await.status, 413);
        assert_eq!(client.get(&link).send().await.expect(200).body["events"], json!([]));
        assert_eq!(jobs(client).await, Vec::<Value>::new());
        notify_as(client, "platform", &signed(OLD_SECRET, now_s(), &body), &body).await.expect(200);
        assert_eq!(client.get(&link).send().await.expect(200).body["status"], "delivered");

        // Nobody finds a parcel by trying.
        let (first, last) = link.split_at(link.len() - 1);
        let another = if last == "0" { "1" } else { "0" };
        let shipment = parcel().shipment.to_string();
        for wrong in [format!("{first}{another}"), first.to_owned(), format!("{link}0"), format!("/v1/track/{shipment}"), link.to_uppercase().replace("/V1/TRACK", "/v1/track"), "/v1/track/%e0%a6".into()] {
            assert_eq!(client.get(&wrong).send().await.expect(404).code(), "not_found", "{wrong}");
        }
        server.stop().await;

        // Without a secret there is no such courier.
        let server = Server::start(&store).await;
        assert_eq!(notify_as(server.client, "platform", &good, &body).await.expect(404).code(), "not_found");
        assert_eq!(server.client.get(&link).send().await.expect(200).body["status"], "delivered");
        server.stop().await;
    }
}
