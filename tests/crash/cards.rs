//! Killed between a step at Stripe and its record: the money moves once, however long Stripe has forgotten its keys by then.

use crate::on_both_stores;
use crate::process::{Haat, end_lease, free_address, haat, until};
use crate::support::client::checkout_body;
use crate::support::stripe::{KEY, Stripe};
use crate::support::{TestStore, token};
use haat::http::auth::Bearer;
use serde_json::json;
use std::net::SocketAddr;

async fn start(store: &TestStore, address: SocketAddr, stripe: &Stripe) -> Haat {
    let mut command = haat();
    command.env("HAAT_STRIPE_KEY", KEY).env("HAAT_STRIPE_URL", stripe.url());
    let mut server = Haat::begin_as(command, store, store.data_dir(), address);
    server.ready().await;
    server
}

/// A part of a paid order is being given back when the server is killed: Stripe has done so, and the order has not heard.
async fn a_part_is_given_back_once(store: &TestStore, server: Haat, stripe: &Stripe, sku: &str) -> Haat {
    let (client, admin, address) = (server.client, token(&Bearer::Admin("root".into())), server.address);
    let buyer = client.buyer(sku, 1).await;
    let mut body = checkout_body("pm_ok");
    body["payment"]["method"] = "stripe".into();
    let path = format!("/v1/carts/{}/checkout", buyer.cart);
    let paid = client.post(&path, &body).header("prefer", "wait=30").bearer(&buyer.token).send().await.expect(201);
    assert_eq!(paid.field("status"), "paid");
    let before = (stripe.kept_money(), stripe.refunds().len());
    stripe.never_answers("refunds");
    let share = paid.body["sub_orders"][0]["id"].as_str().expect("an id");
    let path = format!("/v1/orders/{}/sub-orders/{share}/refunds", paid.field("id"));
    let part = json!({"amount": {"amount": "3.00", "currency": "BDT"}, "reason": "damaged"});
    client.post(&path, &part).bearer(&admin).send().await.expect(201);
    stripe.left_unanswered().await;
    server.kill().await;
    end_lease(store).await;
    stripe.forget_keys();
    let server = start(store, address, stripe).await;
    until("the part to be given back", async || {
        let seen = server.client.order(&admin, paid.field("id")).await.expect(200);
        (seen.body["refunds"][0]["status"] == "succeeded").then_some(())
    })
    .await;
    assert_eq!((stripe.kept_money(), stripe.refunds().len()), (before.0 - 300, before.1 + 1));
    server
}

on_both_stores! {
    async fn a_step_at_stripe_that_was_not_recorded_is_done_once(store) {
        let (stripe, address, admin) = (Stripe::start().await, free_address(), token(&Bearer::Admin("root".into())));
        let mut server = start(&store, address, &stripe).await;
        let (vendor, sku) = server.client.shop(&admin, "10.00", 10).await;
        let (mut kept, mut refunds) = (0, 0);
        for (card, verb, end) in [
            ("pm_ok", "payment_intents", "paid"),
            ("pm_ok", "confirm", "paid"),
            ("pm_refuse", "cancel", "payment_failed"),
            ("pm_action", "refunds", "cancelled"),
        ] {
            let buyer = server.client.buyer(&sku, 1).await;
            let mut body = checkout_body(card);
            body["payment"]["method"] = "stripe".into();
            let path = format!("/v1/carts/{}/checkout", buyer.cart);
            let checkout = server.client.post(&path, &body).bearer(&buyer.token);
            stripe.never_answers(verb);
            let order = if verb == "refunds" {
                let waits = checkout.header("prefer", "wait=30").send().await.expect(201);
                assert_eq!(waits.body["payment"]["status"], "requires_action", "{}", waits.text);
                stripe.acts(true);
                let path = format!("/v1/orders/{}/cancel", waits.field("id"));
                server.client.post(&path, &json!({})).bearer(&buyer.token).send().await.expect(200);
                waits
            } else {
                checkout.send().await.expect(201)
            };
            stripe.left_unanswered().await;
            server.kill().await;
            end_lease(&store).await;
            stripe.forget_keys();
            server = start(&store, address, &stripe).await;
            let client = server.client;
            until(format!("{card} to be {end} after {verb}"), async || {
                let seen = client.order(&admin, order.field("id")).await.expect(200);
                (seen.field("status") == end).then_some(())
            })
            .await;
            kept += if end == "paid" { 1_000 } else { 0 };
            refunds += usize::from(verb == "refunds");
            assert_eq!((stripe.kept_money(), stripe.refunds().len()), (kept, refunds), "{card}, {verb}");
        }
        // The first one was made twice, and confirmed once: the other is nobody's.
        let statuses = stripe.statuses();
        assert_eq!(statuses, ["requires_confirmation", "succeeded", "succeeded", "canceled", "succeeded"]);
        server = a_part_is_given_back_once(&store, server, &stripe, &sku).await;
        let stock = server.client.stock(&admin, &vendor, &sku).await;
        assert_eq!(stock["on_hand"], 7, "{stock}");
        server.kill().await;
    }
}
