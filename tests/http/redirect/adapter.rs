//! What the adapter asks, and what it makes of the answers.

use super::config;
use crate::support::redirect::{OLD_SECRET, Platform, SECRET, signed};
use haat::adapters::platform::PlatformConfig;
use haat::adapters::redirect::Redirect;
use haat::domain::buyer::Mint;
use haat::domain::entity::PaymentCall;
use haat::domain::ids::{OrderId, RefundId};
use haat::domain::money::{Currency, Money};
use haat::domain::order::{DisputeStatus, DisputeTold, PaymentChoice};
use haat::domain::payment::{NextAction, Progress, RefundCall, RefundOf, RefundProgress};
use haat::domain::time::Timestamp;
use haat::ports::{Changed, NoNotice, Notice, Payment, PaymentProvider, Prepared};
use serde_json::json;
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
        method: "redirect".into(),
        token: Some(token.into()),
        reference: None,
        not_after: Timestamp::from_millis(i64::MAX),
    }
}

async fn platform() -> (Platform, Redirect) {
    let double = Platform::start().await;
    let redirect = Redirect::new(&config(&double)).expect("it can be asked");
    (double, redirect)
}

/// A double, how it is asked, and a call that is prepared.
async fn prepared(token: &str) -> (Platform, Redirect, PaymentCall) {
    let (double, redirect) = platform().await;
    let call = call(token);
    let Ok(Prepared::Ready { reference }) = redirect.prepare(&call).await else { panic!("it is not prepared") };
    (double, redirect, PaymentCall { reference: Some(reference.into()), token: None, ..call })
}

fn taken() -> Progress {
    let fee = Some(Money::new(10, Currency::BDT));
    Progress::Succeeded { reference: Some("pay_1".into()), amount: AMOUNT, fee }
}

fn refund(call: &PaymentCall, minor: i64, of: Option<u128>) -> RefundCall {
    let of =
        of.map(|number| RefundOf { refund: RefundId::from_uuid(Uuid::from_u128(number)), mint: Mint([0, 0, 0, 5]) });
    let (order, mint, reference) = (call.order, call.mint, call.reference.clone());
    RefundCall { order, mint, reference, attempt: 1, amount: Money::new(minor, Currency::BDT), of }
}

#[tokio::test]
async fn a_payment_is_prepared_and_its_buyer_sent_where_it_is_paid() {
    let (double, redirect, call) = prepared("ok").await;
    let page = NextAction::Redirect { url: "https://pay.example/pay_1?key=hush".into() };
    assert_eq!(redirect.charge(&call).await, Ok(Progress::NeedsBuyer { action: page.clone() }));
    assert_eq!(redirect.look_up(&call).await, Ok(Progress::NeedsBuyer { action: page }));
    assert_eq!(double.kept_money(), 0, "no money moves until the buyer says so");
    double.acts(true);
    assert_eq!(redirect.look_up(&call).await, Ok(taken()));
    assert_eq!(redirect.cancel(&call).await, Ok(taken()), "it comes too late");
    let (name, first) = (order().to_string(), double.calls().remove(0));
    assert_eq!((first.method.as_str(), first.path), ("PUT", format!("/payments/{name}.00000009")));
    let expected = json!({
        "amount": "1250.00", "currency": "BDT", "token": "ok",
        "return_url": format!("https://shop.example/v1/payments/return?order={name}"),
        "notice_url": "https://shop.example/v1/notices/redirect",
    });
    assert_eq!(first.body, expected);
}

#[tokio::test]
async fn what_is_asked_again_is_the_same_payment() {
    for token in ["lost", "broken"] {
        let (double, redirect) = platform().await;
        redirect.prepare(&call(token)).await.expect_err("nobody knows");
        let again = redirect.prepare(&call(token)).await;
        assert_eq!(again, Ok(Prepared::Ready { reference: "pay_1".into() }), "{token}");
        assert_eq!(double.statuses(), ["requires_action"]);
        let other = PaymentCall { amount: Money::new(1, Currency::BDT), ..call(token) };
        assert_eq!(redirect.prepare(&other).await, Ok(Prepared::Refused { reason: "other_payment".into() }));
        // An order of a store that was taken back from a backup is another payment.
        let anew = PaymentCall { mint: Some(Mint([0, 0, 0, 8])), ..call("ok") };
        assert_eq!(redirect.prepare(&anew).await, Ok(Prepared::Ready { reference: "pay_2".into() }));
    }
}

#[tokio::test]
async fn a_platform_that_wants_rest_is_left_alone() {
    let (double, redirect) = platform().await;
    redirect.prepare(&call("tired")).await.expect_err("it has no time");
    redirect.prepare(&call("tired")).await.expect_err("it is not asked");
    assert_eq!(double.calls().len(), 1);
}

#[tokio::test]
async fn another_amount_is_never_paid_as_this_one() {
    let (_double, redirect) = platform().await;
    assert_eq!(redirect.prepare(&call("quote")).await, Ok(Prepared::Refused { reason: "amount_differs".into() }));
    let (double, redirect, call) = prepared("other").await;
    let more = PaymentCall { amount: Money::new(125_001, Currency::BDT), ..call.clone() };
    assert_eq!(redirect.look_up(&more).await, Ok(Progress::Declined { reason: "amount_differs".into() }));
    double.acts(true);
    let Ok(Progress::Succeeded { amount, .. }) = redirect.look_up(&call).await else { panic!("it is paid") };
    assert_eq!(amount, Money::new(124_999, Currency::BDT), "as the platform says, for the order to compare");
}

#[tokio::test]
async fn what_is_not_known_is_no_outcome() {
    let (double, redirect) = platform().await;
    let nothing = call("ok");
    assert_eq!(redirect.look_up(&nothing).await, Ok(Progress::NotStarted));
    assert_eq!(redirect.cancel(&nothing).await, Ok(Progress::Cancelled));
    assert_eq!(redirect.look_up_refund(&refund(&nothing, 1, None)).await, Ok(None));
    redirect.charge(&nothing).await.expect_err("it is not prepared");
    for reference in ["pay_1/refunds/x", "..", "", "pay 1", "pay_1?x"] {
        let call = PaymentCall { reference: Some(reference.into()), ..call("ok") };
        redirect.look_up(&call).await.expect_err(reference);
    }
    assert!(double.calls().is_empty(), "{:?}", double.calls());
    // It may be another platform than it was: what was taken there is still there.
    let lost = PaymentCall { reference: Some("pay_9".into()), ..call("ok") };
    redirect.look_up(&lost).await.expect_err("it knows no such payment");
    redirect.cancel(&lost).await.expect_err("nor now");
    redirect.look_up_refund(&refund(&lost, 1, None)).await.expect_err("nor a refund of it");
    redirect.refund(&refund(&lost, 1, None)).await.expect_err("and gives none");
    assert_eq!(redirect.prepare(&call("unknown")).await, Ok(Prepared::Refused { reason: "token_unsupported".into() }));
    let (_double, redirect, call) = prepared("ok").await;
    let theirs = PaymentCall { order: OrderId::from_uuid(Uuid::from_u128(8)), ..call };
    redirect.look_up(&theirs).await.expect_err("it is another order's");
    redirect.cancel(&theirs).await.expect_err("it is another order's");
}

#[tokio::test]
async fn what_is_declined_is_final_once_it_is_cancelled() {
    let (double, redirect, call) = prepared("ok").await;
    double.acts(false);
    let declined = |reason: &str| Ok(Progress::Declined { reason: reason.into() });
    assert_eq!(redirect.look_up(&call).await, declined("insufficient_funds"));
    assert_eq!(redirect.cancel(&call).await, Ok(Progress::Cancelled));
    assert_eq!(redirect.cancel(&call).await, Ok(Progress::Cancelled), "again the same");
    assert_eq!(redirect.look_up(&call).await, declined("cancelled"));
    let (double, redirect, call) = prepared("late").await;
    double.acts(false);
    assert_eq!(redirect.cancel(&call).await, Ok(taken()), "it was paid meanwhile");
    let (double, redirect, call) = prepared("processing").await;
    double.acts(true);
    assert_eq!(redirect.cancel(&call).await, Ok(Progress::Processing));
    double.processed();
    assert_eq!(redirect.cancel(&call).await, Ok(taken()));
}

#[tokio::test]
async fn a_refund_is_given_once_and_never_more_than_was_taken() {
    let (double, redirect, call) = prepared("refundlost").await;
    double.acts(true);
    let succeeded = |minor| RefundProgress::Succeeded { amount: Money::new(minor, Currency::BDT) };
    let failed = |reason: &str| RefundProgress::Failed { reason: reason.into() };
    let first = refund(&call, 100_000, Some(1));
    assert_eq!(redirect.look_up_refund(&first).await, Ok(None));
    redirect.refund(&first).await.expect_err("the answer is lost");
    assert_eq!(redirect.look_up_refund(&first).await, Ok(Some(succeeded(100_000))));
    assert_eq!(redirect.refund(&first).await, Ok(succeeded(100_000)), "again the same");
    let other = refund(&call, 5, Some(1));
    assert_eq!(redirect.refund(&other).await, Ok(failed("other_refund")));
    assert_eq!(redirect.refund(&refund(&call, 25_001, Some(2))).await, Ok(failed("exceeds_payment")));
    assert_eq!(double.refunds(), [("succeeded", 100_000)]);
    let path = format!("/payments/pay_1/refunds/{}.1.00000005", RefundId::from_uuid(Uuid::from_u128(1)));
    assert!(double.calls().iter().any(|call| call.path == path), "{path}");
    for (token, progress) in [("refundfail", failed("account_closed")), ("refundpending", RefundProgress::Pending)] {
        let (double, redirect, call) = prepared(token).await;
        assert_eq!(redirect.refund(&refund(&call, 1, None)).await, Ok(failed("not_paid")));
        double.acts(true);
        let all = refund(&call, 125_000, None);
        assert_eq!(redirect.refund(&all).await, Ok(progress.clone()));
        assert_eq!(redirect.look_up_refund(&all).await, Ok(Some(progress)));
    }
}

#[tokio::test]
async fn a_notice_names_the_order_that_is_to_look() {
    let (double, redirect, _) = prepared("ok").await;
    let (body, wall) = (double.event(), Timestamp::from_millis(1_700_000_000_500));
    let read = |headers: &[(&'static str, String)], body: &str| {
        let header = |name: &str| headers.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_bytes());
        redirect.notice(&header, body.as_bytes(), wall)
    };
    for secret in [SECRET, OLD_SECRET] {
        let headers = signed(secret, 1_700_000_000, &body);
        assert_eq!(read(&headers, &body), Ok(Notice::Order(order())));
        assert_eq!(read(&headers, &body.replace("updated", "forged")), Err(NoNotice::Forged));
    }
    assert_eq!(read(&signed(SECRET, 1_699_999_000, &body), &body), Err(NoNotice::Forged));
    for (kind, notice) in [
        ("refund.updated", Notice::After(Payment::Of(order()))),
        ("dispute.updated", Notice::After(Payment::Of(order()))),
        ("something.new", Notice::Order(order())),
    ] {
        let body = body.replace("payment.updated", kind);
        assert_eq!(read(&signed(SECRET, 1_700_000_000, &body), &body), Ok(notice), "{kind}");
    }
    let untyped = body.replace("\"type\"", "\"kind\"");
    assert_eq!(read(&signed(SECRET, 1_700_000_000, &untyped), &untyped), Ok(Notice::Order(order())));
    for other in ["{}", "", "[]", r#"{"data": {"payment": "cart_1"}}"#] {
        assert_eq!(read(&signed(SECRET, 1_700_000_000, other), other), Ok(Notice::Other), "{other}");
    }
}

#[tokio::test]
async fn what_comes_after_a_payment_is_asked_for() {
    let (double, redirect, first) = prepared("ok").await;
    assert_eq!(redirect.disputes(&PaymentCall { reference: None, ..first.clone() }).await, Ok(Vec::new()));
    assert_eq!(redirect.disputes(&first).await, Ok(Vec::new()));
    let (since, nothing) = (Timestamp::from_millis(1_700_000_000_999), Changed::default());
    assert_eq!(redirect.changed(since, None).await, Ok(nothing));
    double.acts(true);
    double.dispute(2_000);
    let told = |status| {
        let (id, reason) = ("dp_1".to_owned(), "product_not_received".to_owned());
        Ok(vec![DisputeTold { id, status, amount: Money::new(2_000, Currency::BDT), reason }])
    };
    assert_eq!(redirect.disputes(&first).await, told(DisputeStatus::Open));
    double.close_dispute(false);
    assert_eq!(redirect.disputes(&first).await, told(DisputeStatus::Lost));
    // What is another order's, or of another platform, is no dispute of this one.
    let theirs = PaymentCall { order: OrderId::from_uuid(Uuid::from_u128(8)), ..first.clone() };
    redirect.disputes(&theirs).await.expect_err("it is another order's");
    let lost = PaymentCall { reference: Some("pay_9".into()), ..first.clone() };
    redirect.disputes(&lost).await.expect_err("nobody knows it");
    assert_eq!(redirect.order_of("pay_1").await, Ok(Some(order())));
    assert_eq!(redirect.order_of("pay_9").await, Ok(None));
    redirect.order_of("pay_1/refunds").await.expect_err("it is no name");
    // Three changes of two payments, on two pages.
    let second = PaymentCall { order: OrderId::from_uuid(Uuid::from_u128(8)), ..call("ok") };
    redirect.prepare(&second).await.expect("it is made");
    double.acts(true);
    double.dispute(1);
    let page = redirect.changed(since, None).await.expect("a page");
    assert_eq!(page, Changed { orders: vec![first.order], next: Some("c_2".to_owned()) });
    let page = redirect.changed(since, page.next.as_deref()).await.expect("a page");
    assert_eq!(page, Changed { orders: vec![second.order], next: None });
    let asked: Vec<String> =
        double.calls().into_iter().filter(|call| call.path == "/changes").map(|call| call.query).collect();
    assert_eq!(asked, ["since=1700000000", "since=1700000000", "since=1700000000&after=c_2"]);
    // A place that leads back to itself, or is none, leads nowhere.
    for (next, reason) in [("c_9", "where one is"), ("c 9", "no place"), ("", "no place")] {
        double.goes_on_at(next);
        redirect.changed(since, Some("c_9")).await.expect_err(reason);
    }
}

#[tokio::test]
async fn a_token_is_a_plain_word_and_the_secret_is_the_platforms() {
    let (double, redirect) = platform().await;
    let check = |token: &str| redirect.check(&PaymentChoice { method: "redirect".into(), token: token.into() });
    for good in ["ok", "bkash", "tok_lost_reply.refund_late_4000"] {
        check(good).expect(good);
    }
    for wrong in ["", "a b", "a/b", "\u{e9}", &"x".repeat(101)] {
        check(wrong).expect_err(wrong);
    }
    let stranger = PlatformConfig { secrets: vec![OLD_SECRET.to_owned()], ..config(&double) };
    let error = Redirect::new(&stranger).expect("it can be asked").prepare(&call("ok")).await.unwrap_err();
    assert!(!error.to_string().contains("whsec_"), "{error}");
    assert!(double.statuses().is_empty());
}
