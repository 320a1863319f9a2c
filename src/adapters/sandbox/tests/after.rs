//! Disputes and returned refunds in the sandbox's books.

use super::*;
use crate::domain::buyer::Mint;
use crate::domain::order::DisputeStatus;

fn bdt(minor: i64) -> Money {
    Money::new(minor, Currency::BDT)
}

fn part(number: u128, of: u128, attempt: u32, minor: i64) -> RefundCall {
    let of = RefundOf { refund: RefundId::from_uuid(Uuid::from_u128(of)), mint: Mint([1; 4]) };
    RefundCall { amount: bdt(minor), of: Some(of), ..refund(number, attempt) }
}

/// Books with a charge of which a part was given back and came back, and another with a dispute that was lost.
async fn driven(dir: &TempDir) -> SandboxGateway {
    let gateway = open(dir);
    for number in [1, 2] {
        gateway.charge(&call(number, "tok_approve")).await.unwrap();
    }
    gateway.refund(&part(1, 7, 1, 25_000)).await.unwrap();
    gateway.return_refund(RefundId::from_uuid(Uuid::from_u128(7)), "account_closed").await.unwrap();
    gateway.dispute(order(2), bdt(5_000), "fraud").await.unwrap();
    gateway.close_dispute(SandboxDispute { order: order(2), number: 1 }, false).await.unwrap();
    gateway
}

#[tokio::test]
async fn what_comes_after_a_charge_is_told_from_the_books_also_after_a_restart() {
    let dir = TempDir::new().unwrap();
    let mut gateway = driven(&dir).await;
    let failed = RefundProgress::Failed { reason: "account_closed".into() };
    let lost = |id: &str| DisputeTold {
        id: id.to_owned(),
        status: DisputeStatus::Lost,
        amount: bdt(5_000),
        reason: "fraud".into(),
    };
    let name = SandboxDispute { order: order(2), number: 1 };
    assert_eq!(name.to_string().parse(), Ok(name));
    for _ in 0..2 {
        assert_eq!(gateway.look_up_refund(&part(1, 7, 1, 25_000)).await, Ok(Some(failed.clone())));
        assert_eq!(gateway.refund(&part(1, 7, 1, 25_000)).await, Ok(failed.clone()));
        assert_eq!(gateway.entries(Some(order(1)), 1)[0].refunded, bdt(0), "it has come back");
        assert_eq!(gateway.disputes(&call(1, "")).await, Ok(Vec::new()));
        assert_eq!(gateway.disputes(&call(2, "")).await, Ok(vec![lost(&name.to_string())]));
        // What has ended stays so, and nothing is taken twice.
        assert_eq!(gateway.close_dispute(name, true).await.unwrap().status, DisputeStatus::Lost);
        assert_eq!(gateway.dispute(order(2), bdt(120_001), "x").await, Err(Undriven::Exceeds(bdt(120_000))));
        assert_eq!(
            gateway.refund(&part(2, 8, 1, 120_001)).await,
            Ok(RefundProgress::Failed { reason: "nothing_to_refund".into() })
        );
        assert_eq!(gateway.dispute(order(3), bdt(1), "x").await, Err(Undriven::Unknown));
        let changed = gateway.changed(Timestamp::from_millis(0), None).await.unwrap();
        assert_eq!(changed, Changed { orders: vec![order(1), order(2)], next: None });
        assert_eq!(gateway.changed(Timestamp::from_millis(i64::MAX), None).await, Ok(Changed::default()));
        assert_eq!(text(&dir).lines().count(), 6);
        drop(gateway);
        gateway = open(&dir);
    }
    // Another try is another refund, of what has come back.
    assert_eq!(gateway.refund(&part(1, 7, 2, 125_000)).await, Ok(RefundProgress::Succeeded { amount: bdt(125_000) }));
    let tries = gateway.refunds(Some(order(1)), 9).into_iter().map(|it| (it.attempt, it.failure)).collect::<Vec<_>>();
    assert_eq!(tries.len(), 2);
    assert!(tries.contains(&(2, None)) && tries.contains(&(1, Some("account_closed".into()))), "{tries:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_has_changed_is_told_page_by_page() {
    let dir = TempDir::new().unwrap();
    let gateway = open(&dir);
    for number in [1, 2] {
        gateway.charge(&call(number, "tok_approve")).await.unwrap();
    }
    for _ in 0..100 {
        gateway.dispute(order(1), bdt(1), "fraud").await.unwrap();
    }
    gateway.dispute(order(2), bdt(1), "fraud").await.unwrap();
    let since = Timestamp::from_millis(0);
    let first = gateway.changed(since, None).await.unwrap();
    assert_eq!(first, Changed { orders: vec![order(1)], next: Some("100".into()) });
    let second = gateway.changed(since, first.next.as_deref()).await.unwrap();
    assert_eq!(second, Changed { orders: vec![order(2)], next: None });
    gateway.changed(since, Some("x")).await.expect_err("it has not said that");
}

#[tokio::test]
async fn what_cannot_have_come_after_a_charge_is_refused_in_the_file() {
    let good = {
        let dir = TempDir::new().unwrap();
        drop(driven(&dir).await);
        text(&dir)
    };
    let lines: Vec<&str> = good.lines().collect();
    let more = lines[4].replace("5000", "125001");
    for damaged in [
        vec![lines[0], lines[3]],
        vec![lines[0], lines[2], lines[3], lines[3]],
        vec![lines[1], lines[5]],
        vec![lines[1], lines[4], lines[4]],
        vec![lines[1], lines[4], lines[5], lines[5]],
        vec![lines[1], &more],
        vec![lines[4]],
    ] {
        let dir = TempDir::new().unwrap();
        std::fs::write(dir.path().join(CHARGE_LOG_FILE), damaged.join("\n") + "\n").unwrap();
        let error = SandboxGateway::open(dir.path(), Arc::new(Ticks::default())).map(|_| ()).unwrap_err();
        assert!(matches!(&error, SandboxError::Broken { line, .. } if *line == damaged.len() as u64), "{error}");
    }
}
