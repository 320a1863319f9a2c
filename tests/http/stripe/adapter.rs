//! What the adapter asks, and what it makes of the answers.

use super::config;
use crate::support::stripe::{Call, SECRET, Stripe as Double, signed};
use haat::adapters::stripe::{API_VERSION, Stripe};
use haat::domain::buyer::Mint;
use haat::domain::entity::PaymentCall;
use haat::domain::ids::OrderId;
use haat::domain::money::{Currency, Money};
use haat::domain::order::PaymentChoice;
use haat::domain::payment::{NextAction, Progress, RefundCall, RefundProgress};
use haat::domain::time::Timestamp;
use haat::ports::{NoNotice, Notice, Payment, PaymentProvider, Prepared};
use uuid::Uuid;

const AMOUNT: Money = Money::new(125_000, Currency::BDT);

fn order() -> OrderId {
    OrderId::from_uuid(Uuid::from_u128(7))
}

fn call(token: &str) -> PaymentCall {
    PaymentCall {
        order: order(),
        mint: Some(Mint([0, 0, 0, 9])),
        amount: AMOUNT,
        method: "stripe".into(),
        token: Some(token.into()),
        reference: None,
        not_after: Timestamp::from_millis(i64::MAX),
    }
}

/// A double, how it is asked, and a call that is prepared.
async fn prepared(token: &str) -> (Double, Stripe, PaymentCall) {
    let double = Double::start().await;
    let stripe = Stripe::new(&config(&double)).expect("it can be asked");
    let call = call(token);
    let Ok(Prepared::Ready { reference }) = stripe.prepare(&call).await else { panic!("it is not prepared") };
    (double, stripe, PaymentCall { reference: Some(reference.into()), token: None, ..call })
}

fn taken(reference: &str) -> Progress {
    Progress::Succeeded { reference: Some(reference.into()), amount: AMOUNT, fee: None }
}

fn refund(call: &PaymentCall, attempt: u32) -> RefundCall {
    RefundCall {
        order: call.order,
        mint: call.mint,
        reference: call.reference.clone(),
        attempt,
        amount: call.amount,
        of: None,
    }
}

fn keys(double: &Double, verb: &str) -> Vec<String> {
    let calls = double.calls();
    calls
        .iter()
        .filter(|call| call.method == "POST" && call.verb() == verb)
        .filter_map(|call| call.key.clone())
        .collect()
}

#[tokio::test]
async fn a_payment_is_prepared_with_what_it_needs_and_confirmed_without_anything() {
    let (double, stripe, call) = prepared("pm_ok").await;
    assert_eq!(double.statuses(), ["requires_confirmation"], "no money moves");
    assert_eq!(stripe.look_up(&call).await, Ok(Progress::NotStarted));
    assert_eq!(stripe.charge(&call).await, Ok(taken("pi_1")));
    assert_eq!(stripe.charge(&call).await, Ok(taken("pi_1")), "the same answer under the same key");
    double.forget_keys();
    assert_eq!(stripe.charge(&call).await, Ok(taken("pi_1")), "it is looked up where it was confirmed before");
    assert_eq!(double.kept_money(), 125_000);
    let calls = double.calls();
    let Call { key, version, fields, .. } = &calls[0];
    let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let name = order().to_string();
    let expected = [
        ("amount", "125000"),
        ("currency", "bdt"),
        ("payment_method", "pm_ok"),
        ("payment_method_types[]", "card"),
        ("metadata[haat_order]", name.as_str()),
        ("metadata[haat_attempt]", "00000009"),
    ];
    assert_eq!(fields, expected);
    assert_eq!(key.as_deref(), Some(&*format!("{name}/prepare/00000009")));
    assert!(calls.iter().all(|call| call.version.as_deref() == Some(API_VERSION)), "{version:?}");
    let confirms: Vec<&Call> = calls.iter().filter(|call| call.verb() == "confirm").collect();
    assert!(confirms.iter().all(|call| call.fields.is_empty()), "{confirms:?}");
}

#[tokio::test]
async fn what_is_not_prepared_is_never_charged() {
    let double = Double::start().await;
    let stripe = Stripe::new(&config(&double)).expect("it can be asked");
    for reference in [None, Some("re_1"), Some("pi_1/cancel"), Some("")] {
        let call = PaymentCall { reference: reference.map(Into::into), ..call("pm_ok") };
        stripe.charge(&call).await.expect_err("there is nothing");
    }
    let nothing = call("pm_ok");
    assert_eq!(stripe.look_up(&nothing).await, Ok(Progress::NotStarted));
    assert_eq!(stripe.cancel(&nothing).await, Ok(Progress::Cancelled));
    assert_eq!(stripe.look_up_refund(&refund(&nothing, 1)).await, Ok(None));
    assert!(double.calls().is_empty(), "{:?}", double.calls());
    for (token, reason) in [("pm_unknown", "resource_missing"), ("pm_ok", "amount_not_payable")] {
        let amount = if token == "pm_ok" { Money::new(1_005, "KWD".parse().unwrap()) } else { AMOUNT };
        let call = PaymentCall { amount, ..call(token) };
        assert_eq!(stripe.prepare(&call).await, Ok(Prepared::Refused { reason: reason.into() }));
    }
    let mine = PaymentCall { order: OrderId::from_uuid(Uuid::from_u128(8)), ..call("pm_ok") };
    let Ok(Prepared::Ready { reference }) = stripe.prepare(&mine).await else { panic!("it is not prepared") };
    let theirs = PaymentCall { reference: Some(reference.into()), ..call("pm_ok") };
    stripe.look_up(&theirs).await.expect_err("it is another order's");
}

#[tokio::test]
async fn an_error_that_is_kept_under_a_key_is_not_asked_for_again() {
    for (token, first, after) in [("pm_sticky", Progress::NotStarted, 2), ("pm_done500", taken("pi_1"), 1)] {
        let (double, stripe, call) = prepared(token).await;
        stripe.charge(&call).await.expect_err("it answers with 500");
        assert_eq!(stripe.look_up(&call).await, Ok(first));
        assert_eq!(stripe.charge(&call).await, Ok(taken("pi_1")), "{token}");
        let mut used = keys(&double, "confirm");
        used.dedup();
        assert_eq!(used.len(), 2, "each try has a key of its own: {used:?}");
        assert_eq!(double.kept_money(), 125_000, "{token} {after}");
    }
    // Another restart, which has forgotten that: the error comes once more, and then no more.
    let (double, stripe, call) = prepared("pm_sticky").await;
    stripe.charge(&call).await.expect_err("it answers with 500");
    let anew = Stripe::new(&config(&double)).expect("it can be asked");
    anew.charge(&call).await.expect_err("it answers with 500");
    assert_eq!(anew.charge(&call).await, Ok(taken("pi_1")));
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_looked_up() {
    let (double, stripe, call) = prepared("pm_lost").await;
    stripe.charge(&call).await.expect_err("the answer is lost");
    assert_eq!(stripe.look_up(&call).await, Ok(taken("pi_1")));
    assert_eq!(stripe.charge(&call).await, Ok(taken("pi_1")));
    assert_eq!(double.kept_money(), 125_000);
}

#[tokio::test]
async fn who_asks_too_often_asks_nothing_for_a_while() {
    let (double, stripe, call) = prepared("pm_busy").await;
    stripe.charge(&call).await.expect_err("it is too much");
    let asked = double.calls().len();
    stripe.charge(&call).await.expect_err("it rests");
    stripe.look_up(&call).await.expect_err("it rests");
    assert_eq!(double.calls().len(), asked, "nothing is sent for the thirty seconds that were said");
}

#[tokio::test]
async fn each_standing_of_an_intent_has_its_meaning() {
    let declined = |reason: &str| Progress::Declined { reason: reason.into() };
    let (double, stripe, call) = prepared("pm_refuse").await;
    assert_eq!(stripe.charge(&call).await, Ok(declined("insufficient_funds")));
    assert_eq!(stripe.cancel(&call).await, Ok(Progress::Cancelled));
    assert_eq!(stripe.cancel(&call).await, Ok(Progress::Cancelled), "again");
    assert_eq!(stripe.look_up(&call).await, Ok(declined("insufficient_funds")), "a decline also when it is cancelled");
    assert_eq!(double.statuses(), ["canceled"]);

    let (double, stripe, call) = prepared("pm_action").await;
    let action = NextAction::StripeSdk { client_secret: "pi_1_secret_hush".into() };
    let waits = Progress::NeedsBuyer { action };
    assert_eq!(stripe.charge(&call).await, Ok(waits.clone()));
    assert!(!format!("{waits:?}").contains("hush"), "{waits:?}");
    double.acts(false);
    assert_eq!(stripe.look_up(&call).await, Ok(declined("authentication_failure")));

    let (double, stripe, call) = prepared("pm_processing").await;
    assert_eq!(stripe.charge(&call).await, Ok(Progress::Processing));
    assert_eq!(stripe.cancel(&call).await, Ok(Progress::Processing), "it cannot be cancelled yet");
    double.acts(true);
    assert_eq!(stripe.cancel(&call).await, Ok(taken("pi_1")), "it comes too late");
    assert!(keys(&double, "cancel").is_empty(), "Stripe would keep a refusal under a key");

    let (_double, stripe, call) = prepared("pm_later").await;
    assert_eq!(stripe.charge(&call).await, Ok(declined("insufficient_funds")));
    assert_eq!(stripe.cancel(&call).await, Ok(taken("pi_1")), "another card was tried meanwhile");

    let (_double, stripe, call) = prepared("pm_other").await;
    let Ok(Progress::Succeeded { amount, .. }) = stripe.charge(&call).await else { panic!("it is not taken") };
    assert_eq!(amount, Money::new(124_999, Currency::BDT), "what Stripe says, not what was asked for");
}

#[tokio::test]
async fn a_refund_is_found_by_its_name_on_whatever_page() {
    let succeeded = RefundProgress::Succeeded { amount: AMOUNT };
    for token in ["pm_ok", "pm_refundsticky", "pm_refundlost"] {
        let (double, stripe, call) = prepared(token).await;
        stripe.charge(&call).await.expect("it is taken");
        assert_eq!(stripe.look_up_refund(&refund(&call, 1)).await, Ok(None));
        if token == "pm_ok" {
            assert_eq!(stripe.refund(&refund(&call, 1)).await, Ok(succeeded.clone()));
        } else {
            stripe.refund(&refund(&call, 1)).await.expect_err(token);
            if stripe.look_up_refund(&refund(&call, 1)).await == Ok(None) {
                assert_eq!(stripe.refund(&refund(&call, 1)).await, Ok(succeeded.clone()), "under another key");
            }
        }
        double.give_back(250);
        assert_eq!(stripe.look_up_refund(&refund(&call, 1)).await, Ok(Some(succeeded.clone())), "on the third page");
        assert_eq!(stripe.look_up_refund(&refund(&call, 2)).await, Ok(None), "another attempt is another refund");
        let failed = stripe.refund(&refund(&call, 2)).await.expect("an answer");
        assert_eq!(failed, RefundProgress::Failed { reason: "charge_already_refunded".into() });
        assert_eq!(double.kept_money(), 0, "{token}");
    }
    for (token, progress) in [
        ("pm_refundfail", RefundProgress::Failed { reason: "expired_or_canceled_card".into() }),
        ("pm_refundpending", RefundProgress::Pending),
    ] {
        let (_double, stripe, call) = prepared(token).await;
        stripe.charge(&call).await.expect("it is taken");
        assert_eq!(stripe.refund(&refund(&call, 1)).await, Ok(progress.clone()));
        assert_eq!(stripe.look_up_refund(&refund(&call, 1)).await, Ok(Some(progress)));
    }
}

#[tokio::test]
async fn only_what_is_signed_lately_by_whom_it_says_is_a_notice() {
    let (double, stripe, _) = prepared("pm_ok").await;
    let now = Timestamp::from_millis(1_800_000_000_000);
    let at = now.as_millis() / 1_000;
    let body = double.event("payment_intent.succeeded");
    let heard = |header: &str, body: &str| {
        stripe.notice(&|name: &str| (name == "stripe-signature").then_some(header.as_bytes()), body.as_bytes(), now)
    };
    let ours = Ok(Notice::Order(order()));
    for header in [
        signed(SECRET, at, &body),
        signed(SECRET, at - 300, &body),
        signed(SECRET, at + 300, &body),
        signed("whsec_an_older_one", at, &body),
        // One of several signatures.
        format!("t={at},v1={},{}", "0".repeat(64), signed(SECRET, at, &body).split_once(',').unwrap().1),
    ] {
        assert_eq!(heard(&header, &body), ours, "{header}");
    }
    let good = signed(SECRET, at, &body);
    for header in [
        String::new(),
        signed("", at, &body),
        signed("whsec_", at, &body),
        signed("whsec_another", at, &body),
        signed(SECRET, at - 301, &body),
        signed(SECRET, at + 301, &body),
        signed(SECRET, i64::MIN, &body),
        signed(SECRET, at, &body.replace("succeeded", "failed")),
        good.replace("v1=", "v0="),
        good.replace("t=", "x="),
        good.replace(&at.to_string(), &(at - 1).to_string()),
        format!("t={at},v1="),
        format!("t={at},v1={}", "é".repeat(32)),
    ] {
        assert_eq!(heard(&header, &body), Err(NoNotice::Forged), "{header}");
    }
    let name = order().to_string();
    for (other, notice) in [
        (body.replace("\"livemode\":false", "\"livemode\":true"), Notice::Other),
        (body.replace(&name, "order_of_another_shop"), Notice::Other),
        ("not json".to_owned(), Notice::Other),
        ("{\"data\":{\"object\":{}}}".to_owned(), Notice::Other),
        (
            format!("{{\"data\":{{\"object\":{{\"metadata\":{{\"haat_refund\":\"{name}/1/00000009\"}}}}}}}}"),
            Notice::After(Payment::Of(order())),
        ),
        (
            "{\"data\":{\"object\":{\"object\":\"dispute\",\"payment_intent\":\"pi_1\"}}}".to_owned(),
            Notice::After(Payment::Named("pi_1".to_owned())),
        ),
    ] {
        assert_eq!(heard(&signed(SECRET, at, &other), &other), Ok(notice), "{other}");
    }
    let mut without = config(&double);
    without.secrets.clear();
    let deaf = Stripe::new(&without).expect("it can be asked");
    assert_eq!(deaf.notice(&|_| Some(good.as_bytes()), body.as_bytes(), now), Err(NoNotice::NotTaken));
    let empty = signed("", at, &body);
    assert_eq!(deaf.notice(&|_| Some(empty.as_bytes()), body.as_bytes(), now), Err(NoNotice::NotTaken));
}

#[tokio::test]
async fn only_means_of_payment_of_stripes_are_taken() {
    let double = Double::start().await;
    let stripe = Stripe::new(&config(&double)).expect("it can be asked");
    let takes = |token: &str| stripe.check(&PaymentChoice { method: "stripe".into(), token: token.into() }).is_ok();
    assert!(["pm_card_visa", "card_1", "src_1"].into_iter().all(takes));
    assert!(!["tok_approve", "", "pm-1", "pm_1&amount=1", "4242424242424242"].into_iter().any(takes));
}
