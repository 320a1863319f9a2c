//! The sandbox against its promises: once only, durable first, nothing lost in a restart, no answer that does not stand.

mod after;
mod faults;

use super::*;
use crate::domain::ids::CartId;
use crate::domain::money::Currency;
use crate::domain::order::OrderCommand;
use crate::domain::payment::{Aim, Next, Verb, after_refund, after_refund_look_up};
use crate::domain::time::Timestamp;
use std::collections::BTreeMap;
use std::io::Write;
use std::sync::atomic::{AtomicI64, Ordering};
use tempfile::TempDir;
use tokio::time::timeout;
use uuid::Uuid;

/// Every reading is one millisecond later.
#[derive(Default)]
struct Ticks(AtomicI64);

impl Clock for Ticks {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.fetch_add(1, Ordering::Relaxed))
    }
    fn new_uuid(&self) -> Uuid {
        Uuid::nil()
    }
    fn wall(&self) -> Timestamp {
        self.now()
    }

    fn since_boot(&self) -> std::time::Duration {
        std::time::Duration::ZERO
    }

    fn advance_to(&self, _floor: Timestamp) {}
}

fn open(dir: &TempDir) -> SandboxGateway {
    SandboxGateway::open(dir.path(), Arc::new(Ticks::default())).unwrap()
}

fn order(number: u128) -> OrderId {
    OrderId::for_attempt(CartId::from_uuid(Uuid::from_u128(number)), 1)
}

fn call(number: u128, token: &str) -> PaymentCall {
    PaymentCall {
        order: order(number),
        amount: Money::new(125_000, Currency::BDT),
        method: "sandbox".into(),
        mint: None,
        token: Some(token.into()),
        reference: None,
        not_after: Timestamp::from_millis(i64::MAX),
    }
}

/// How all charges stand as tools read them, the oldest first; or the first line that is wrong.
fn read_charge_log(path: &Path) -> Result<Vec<ChargeLogEntry>, SandboxError> {
    let mut books: BTreeMap<OrderId, ChargesOf> = BTreeMap::new();
    let mut broken = None;
    let read = for_each_charge_line(path, |line| {
        if let Err(reason) = books.entry(line.order).or_default().take(line.text) {
            broken.get_or_insert_with(|| SandboxError::Broken { path: path.to_owned(), line: line.number, reason });
        }
    });
    broken.map_or(read, Err)?;
    let mut entries: Vec<ChargeLogEntry> = books.values().flat_map(ChargesOf::entries).collect();
    entries.sort_by_key(|entry| entry.at);
    Ok(entries)
}

fn text(dir: &TempDir) -> String {
    std::fs::read_to_string(dir.path().join(CHARGE_LOG_FILE)).unwrap()
}

fn append(dir: &TempDir, bytes: &[u8]) {
    File::options().append(true).open(dir.path().join(CHARGE_LOG_FILE)).unwrap().write_all(bytes).unwrap();
}

/// The statuses of an order's lines in the file.
fn lines_of(dir: &TempDir, number: u128) -> Vec<String> {
    let id = order(number).to_string();
    let lines = text(dir);
    // The last one may be on its way, for another order that nobody has been answered for.
    let written = lines.split_inclusive('\n').filter(|line| line.ends_with('\n'));
    let lines = written.map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    lines.filter(|line| line["order"] == id.as_str()).map(|line| line["status"].as_str().unwrap().to_owned()).collect()
}

fn taken(amount: Money) -> Progress {
    Progress::Succeeded { reference: None, amount, fee: None }
}

fn charged() -> Progress {
    taken(call(0, "").amount)
}

fn refunded() -> OrderCommand {
    OrderCommand::Refunded { amount: Some(call(0, "").amount) }
}

fn declined() -> Progress {
    Progress::Declined { reason: "card_declined".into() }
}

fn refund(number: u128, attempt: u32) -> RefundCall {
    let PaymentCall { order, mint, amount, .. } = call(number, "");
    RefundCall { order, mint, reference: None, attempt, amount, of: None }
}

impl SandboxGateway {
    /// What an order is told that has its payment undone.
    async fn void(&self, call: &PaymentCall) -> Result<OrderCommand, NoAnswer> {
        let refund =
            |amount| RefundCall { order: call.order, mint: call.mint, reference: None, attempt: 1, amount, of: None };
        let mut verb = Aim::Undo.begins(false);
        loop {
            let next = match &verb {
                Verb::Prepare | Verb::Charge => panic!("an undo charges nothing"),
                Verb::LookUp => Aim::Undo.after(&verb, self.look_up(call).await?),
                Verb::Cancel { .. } => Aim::Undo.after(&verb, self.cancel(call).await?),
                Verb::Refund { captured } => after_refund(Some(*captured), self.refund(&refund(*captured)).await?),
                Verb::LookUpRefund { captured } => {
                    after_refund_look_up(*captured, self.look_up_refund(&refund(call.amount)).await?)
                }
            };
            match next {
                Next::Ask(more) => verb = more,
                Next::Tell(command) => return Ok(command),
                Next::Later | Next::Buyer(_) => return Err(NoAnswer("it is at it".into())),
            }
        }
    }
}

/// Every verb in every standing, twice, and again after a restart: it answers the same, and the file has no line more.
#[tokio::test(start_paused = true)]
async fn every_verb_answers_by_the_books_however_often_and_whenever_it_is_asked() {
    let succeeded = || Some(RefundProgress::Succeeded { amount: call(0, "").amount });
    let failed = |reason: &str| Some(RefundProgress::Failed { reason: reason.into() });
    let (cancelled, nothing) = (|| Progress::Cancelled, || failed("nothing_to_refund"));
    // What was done before; how it stands; what charge and cancel say; what is known of a refund, and what asking for one says.
    let table = [
        ("tok_approve", "charge", "charged", charged(), charged(), charged(), None, None),
        ("tok_decline", "charge", "declined", declined(), declined(), cancelled(), None, nothing()),
        ("tok_approve", "cancel", "voided", cancelled(), cancelled(), cancelled(), None, nothing()),
        ("tok_approve", "refund", "refunded", cancelled(), cancelled(), cancelled(), succeeded(), succeeded()),
        ("tok_void_refused", "lost", "charged", charged(), charged(), charged(), None, failed("charge_not_refundable")),
    ];
    let dir = TempDir::new().unwrap();
    for (number, (token, done, ..)) in table.iter().enumerate() {
        let (gateway, number) = (open(&dir), number as u128);
        match *done {
            "cancel" => drop(gateway.cancel(&call(number, token)).await.unwrap()),
            "lost" => drop(timeout(Duration::from_secs(9), gateway.charge(&call(number, token))).await.unwrap_err()),
            _ => drop(gateway.charge(&call(number, token)).await.unwrap()),
        }
        if *done == "refund" {
            assert_eq!(gateway.look_up_refund(&refund(number, 1)).await, Ok(None));
            assert_eq!(gateway.refund(&refund(number, 1)).await.ok(), succeeded());
            assert_eq!(gateway.refund(&refund(number, 2)).await.ok(), nothing(), "another refund is another key");
            assert_eq!(gateway.look_up_refund(&refund(number, 2)).await, Ok(None));
        }
    }
    let before = text(&dir);
    for start in 0..2 {
        let gateway = open(&dir);
        for (number, (token, done, status, found, charge, cancel, looked_up, refunds)) in table.iter().enumerate() {
            let (number, case) = (number as u128, format!("{token}, {done}, start {start}"));
            let call = call(number, if *done == "lost" { "tok_approve" } else { token });
            for _ in 0..2 {
                assert_eq!(lines_of(&dir, number).last().unwrap(), status, "{case}");
                assert_eq!(gateway.look_up(&call).await.as_ref(), Ok(found), "{case}");
                assert_eq!(gateway.charge(&call).await.as_ref(), Ok(charge), "{case}");
                assert_eq!(gateway.cancel(&call).await.as_ref(), Ok(cancel), "{case}");
                assert_eq!(gateway.look_up_refund(&refund(number, 1)).await.as_ref(), Ok(looked_up), "{case}");
                if let Some(refunds) = refunds {
                    assert_eq!(gateway.refund(&refund(number, 1)).await.as_ref(), Ok(refunds), "{case}");
                }
            }
        }
        let nothing = call(99, "tok_approve");
        assert_eq!(gateway.look_up(&nothing).await, Ok(Progress::NotStarted));
        assert_eq!(gateway.look_up_refund(&refund(99, 1)).await, Ok(None));
        assert_eq!(gateway.refund(&refund(99, 1)).await.ok(), failed("nothing_to_refund"));
    }
    assert_eq!(text(&dir), before, "to look changes nothing, and to ask again neither");
}

#[tokio::test]
async fn what_is_given_back_at_another_try_says_so_in_the_file() {
    let dir = TempDir::new().unwrap();
    let gateway = open(&dir);
    gateway.charge(&call(1, "tok_approve")).await.unwrap();
    let amount = call(1, "").amount;
    assert_eq!(gateway.refund(&refund(1, 3)).await, Ok(RefundProgress::Succeeded { amount }));
    assert!(text(&dir).lines().last().unwrap().contains(r#""attempt":3"#));
    drop(gateway);
    let gateway = open(&dir);
    assert_eq!(gateway.look_up_refund(&refund(1, 3)).await, Ok(Some(RefundProgress::Succeeded { amount })));
    assert_eq!(gateway.look_up_refund(&refund(1, 1)).await, Ok(None));
}

/// It is taken at its time whoever asks, and until then whoever cancels is in time.
#[tokio::test(start_paused = true)]
async fn a_late_charge_is_processed_until_its_time_and_taken_then() {
    let dir = TempDir::new().unwrap();
    let gateway = open(&dir);
    for number in 1..=4 {
        let late = call(number, "tok_late_10000");
        assert_eq!(gateway.look_up(&late).await, Ok(Progress::NotStarted));
        for _ in 0..2 {
            assert_eq!(gateway.charge(&late).await, Ok(Progress::Processing));
            assert_eq!(gateway.look_up(&late).await, Ok(Progress::Processing));
        }
    }
    assert_eq!(gateway.cancel(&call(1, "tok_late_10000")).await, Ok(Progress::Cancelled));
    tokio::time::advance(Duration::from_secs(11)).await;
    assert_eq!(gateway.look_up(&call(1, "tok_late_10000")).await, Ok(Progress::Cancelled));
    assert_eq!(gateway.look_up(&call(2, "tok_late_10000")).await, Ok(charged()));
    assert_eq!(gateway.charge(&call(3, "tok_late_10000")).await, Ok(charged()));
    assert_eq!(gateway.cancel(&call(4, "tok_late_10000")).await, Ok(charged()), "it comes too late");
    assert_eq!(gateway.desk.state.lock().attempts.len(), 0);
}

#[tokio::test(start_paused = true)]
async fn what_is_never_charged_is_never_answered() {
    let dir = TempDir::new().unwrap();
    let gateway = open(&dir);
    let never = call(1, "tok_never");
    assert!(timeout(Duration::from_secs(3_600), gateway.charge(&never)).await.is_err());
    assert_eq!(gateway.look_up(&never).await, Ok(Progress::NotStarted));
    assert_eq!(gateway.void(&never).await, Ok(OrderCommand::Voided));
}

#[tokio::test]
async fn a_charge_is_taken_once_and_the_file_says_so_before_the_answer() {
    let dir = TempDir::new().unwrap();
    let gateway = open(&dir);
    for number in 0..20 {
        assert_eq!(gateway.charge(&call(number, "tok_approve")).await, Ok(charged()));
        assert_eq!(lines_of(&dir, number), ["charged"]);
    }
    assert_eq!(gateway.charge(&call(3, "tok_approve")).await, Ok(charged()));
    // The first outcome stands, whatever the token says later.
    assert_eq!(gateway.charge(&call(3, "tok_decline")).await, Ok(charged()));
    assert_eq!(text(&dir).lines().count(), 20);
    let first = r#"","status":"charged","amount_minor":125000,"currency":"BDT","at":0}"#;
    assert_eq!(text(&dir).lines().next().unwrap(), format!("{{\"order\":\"{}{first}", order(0)));
}

#[tokio::test]
async fn a_declined_charge_stays_declined() {
    let dir = TempDir::new().unwrap();
    let gateway = open(&dir);
    assert_eq!(gateway.charge(&call(1, "tok_decline")).await, Ok(declined()));
    assert_eq!(lines_of(&dir, 1), ["declined"]);
    assert_eq!(gateway.charge(&call(1, "tok_approve")).await, Ok(declined()));
    assert_eq!(gateway.void(&call(1, "tok_decline")).await, Ok(OrderCommand::Voided));
    assert_eq!(gateway.charge(&call(1, "tok_approve")).await, Ok(declined()));
    assert_eq!(lines_of(&dir, 1), ["declined"]);
}

#[tokio::test]
async fn a_token_that_got_past_the_edge_is_declined_for_good() {
    let dir = TempDir::new().unwrap();
    let unknown = Ok(Progress::Declined { reason: "token_unknown".into() });
    assert_eq!(open(&dir).charge(&call(1, "pm_card")).await, unknown);
    assert_eq!(open(&dir).charge(&call(1, "tok_approve")).await, unknown);
}

#[tokio::test]
async fn every_answer_tells_what_stands_in_the_books_whatever_the_call_asks_for() {
    for other in [Money::new(125_001, Currency::BDT), Money::new(1, Currency::BDT), Money::new(125_000, usd())] {
        let dir = TempDir::new().unwrap();
        let mut gateway = open(&dir);
        gateway.charge(&call(1, "tok_approve")).await.unwrap();
        let another = PaymentCall { amount: other, ..call(1, "tok_approve") };
        for _ in 0..2 {
            assert_eq!(gateway.charge(&another).await, Ok(charged()), "{other}");
            drop(gateway);
            gateway = open(&dir);
        }
        // What is given back is what was taken.
        for _ in 0..2 {
            assert_eq!(gateway.void(&another).await, Ok(refunded()), "{other}");
        }
        assert_eq!(gateway.entries(Some(order(1)), 1)[0].amount, Money::new(125_000, Currency::BDT));
        assert_eq!(lines_of(&dir, 1), ["charged", "refunded"]);
    }
}

fn usd() -> Currency {
    "USD".parse().unwrap()
}

/// Nothing of it changes with time, or with another start: someone has to see to it.
#[tokio::test(start_paused = true)]
async fn a_void_that_is_refused_for_good_is_refused_again_and_the_money_stays() {
    let dir = TempDir::new().unwrap();
    let call = call(1, "tok_void_refused");
    let refused = || OrderCommand::VoidRefused { reason: "charge_not_refundable".into(), taken: Some(call.amount) };
    for start in 0..2 {
        let gateway = open(&dir);
        assert!(timeout(Duration::from_secs(60), gateway.charge(&call)).await.is_err(), "start {start}");
        for _ in 0..2 {
            assert_eq!(gateway.void(&call).await, Ok(refused()));
        }
        assert_eq!(lines_of(&dir, 1), ["charged"]);
    }
    // Where nothing was taken there is nothing to refuse.
    let nothing = PaymentCall { order: order(2), ..call.clone() };
    assert_eq!(open(&dir).void(&nothing).await, Ok(OrderCommand::Voided));
}

#[tokio::test(start_paused = true)]
async fn a_slow_charge_is_taken_after_its_time_counted_from_the_first_ask() {
    let dir = TempDir::new().unwrap();
    let gateway = open(&dir);
    let start = Instant::now();
    let slow = call(1, "tok_slow_12000");
    for _ in 0..2 {
        assert!(timeout(Duration::from_secs(5), gateway.charge(&slow)).await.is_err());
        assert_eq!(text(&dir), "");
    }
    assert_eq!(gateway.charge(&slow).await, Ok(charged()));
    assert_eq!(start.elapsed().as_millis() / 100, 120);
    // Known by now: no more waiting.
    assert_eq!(gateway.charge(&slow).await, Ok(charged()));
    assert_eq!(start.elapsed().as_millis() / 100, 120);
    assert_eq!(gateway.desk.state.lock().attempts.len(), 0);
}

#[tokio::test]
async fn a_flaky_charge_fails_as_often_as_it_says_per_order() {
    let dir = TempDir::new().unwrap();
    let gateway = open(&dir);
    for number in 1..=2 {
        let flaky = call(number, "tok_flaky_3");
        for _ in 0..3 {
            assert!(gateway.charge(&flaky).await.is_err());
        }
        assert_eq!(lines_of(&dir, number), [""; 0]);
        assert_eq!(gateway.charge(&flaky).await, Ok(charged()));
        assert_eq!(gateway.charge(&flaky).await, Ok(charged()));
    }
    assert_eq!(gateway.desk.state.lock().attempts.len(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_lost_reply_never_comes_but_the_money_is_taken() {
    let dir = TempDir::new().unwrap();
    let gateway = open(&dir);
    let lost = call(1, "tok_lost_reply");
    // Paused time runs ahead while a thread writes: what is awaited here is that the answer never comes, not that the write is quick.
    assert!(timeout(Duration::from_secs(3_600), gateway.charge(&lost)).await.is_err());
    assert_eq!(gateway.charge(&lost).await, Ok(charged()));
    assert_eq!(gateway.charge(&lost).await, Ok(charged()));
    assert_eq!(lines_of(&dir, 1), ["charged"]);
}

#[tokio::test]
async fn a_lost_reply_is_durable_even_if_nobody_asks_again() {
    let dir = TempDir::new().unwrap();
    let gateway = open(&dir);
    assert!(timeout(Duration::from_millis(500), gateway.charge(&call(1, "tok_lost_reply"))).await.is_err());
    // The disk may take longer than whoever asked waited.
    let written = async {
        while text(&dir).is_empty() {
            sleep(Duration::from_millis(1)).await;
        }
    };
    timeout(Duration::from_secs(60), written).await.expect("it is written all the same");
    assert_eq!(lines_of(&dir, 1), ["charged"]);
    assert_eq!(gateway.void(&call(1, "tok_lost_reply")).await, Ok(refunded()));
}

#[tokio::test]
async fn what_is_voided_first_is_never_charged() {
    let dir = TempDir::new().unwrap();
    let gateway = open(&dir);
    for (number, token) in ["tok_approve", "tok_decline", "tok_slow_60000", "tok_flaky_100", "tok_lost_reply"]
        .into_iter()
        .enumerate()
        .map(|(number, token)| (number as u128, token))
    {
        for _ in 0..2 {
            assert_eq!(gateway.void(&call(number, token)).await, Ok(OrderCommand::Voided));
        }
        for _ in 0..2 {
            assert_eq!(gateway.charge(&call(number, token)).await, Ok(Progress::Cancelled));
        }
        assert_eq!(lines_of(&dir, number), ["voided"]);
    }
}

#[tokio::test]
async fn what_is_voided_later_is_given_back_once_and_not_charged_again() {
    let dir = TempDir::new().unwrap();
    let gateway = open(&dir);
    gateway.charge(&call(1, "tok_approve")).await.unwrap();
    for _ in 0..3 {
        assert_eq!(gateway.void(&call(1, "tok_approve")).await, Ok(refunded()));
    }
    assert_eq!(gateway.charge(&call(1, "tok_approve")).await, Ok(Progress::Cancelled));
    assert_eq!(lines_of(&dir, 1), ["charged", "refunded"]);
}

#[tokio::test(start_paused = true)]
async fn a_void_during_a_slow_charge_wins() {
    let dir = TempDir::new().unwrap();
    let gateway = Arc::new(open(&dir));
    let slow = tokio::spawn({
        let gateway = gateway.clone();
        async move { gateway.charge(&call(1, "tok_slow_3000")).await }
    });
    sleep(Duration::from_secs(1)).await;
    assert_eq!(gateway.void(&call(1, "tok_slow_3000")).await, Ok(OrderCommand::Voided));
    assert_eq!(slow.await.unwrap(), Ok(Progress::Cancelled));
    assert_eq!(lines_of(&dir, 1), ["voided"]);
    assert_eq!(gateway.desk.state.lock().attempts.len(), 0);
}

#[tokio::test]
async fn a_restart_keeps_everything() {
    let dir = TempDir::new().unwrap();
    let before = {
        let gateway = open(&dir);
        gateway.charge(&call(1, "tok_approve")).await.unwrap();
        gateway.charge(&call(2, "tok_decline")).await.unwrap();
        gateway.void(&call(3, "tok_approve")).await.unwrap();
        gateway.charge(&call(4, "tok_approve")).await.unwrap();
        gateway.void(&call(4, "tok_approve")).await.unwrap();
        gateway.entries(None, 10)
    };
    let gateway = open(&dir);
    assert_eq!(gateway.entries(None, 10), before);
    assert_eq!(gateway.charge(&call(1, "tok_decline")).await, Ok(charged()));
    assert_eq!(gateway.charge(&call(2, "tok_approve")).await, Ok(declined()));
    assert_eq!(gateway.charge(&call(3, "tok_approve")).await, Ok(Progress::Cancelled));
    assert_eq!(gateway.void(&call(4, "tok_approve")).await, Ok(refunded()));
    assert_eq!(text(&dir).lines().count(), 5);
}

#[tokio::test]
async fn the_charge_log_shows_each_order_once_the_newest_first() {
    let dir = TempDir::new().unwrap();
    let gateway = open(&dir);
    for number in 0..5 {
        gateway.charge(&call(number, "tok_approve")).await.unwrap();
    }
    gateway.void(&call(1, "tok_approve")).await.unwrap();
    let shown = |entries: Vec<ChargeLogEntry>| -> Vec<(OrderId, &'static str, i64)> {
        entries.into_iter().map(|entry| (entry.order, entry.status, entry.at.as_millis())).collect()
    };
    let newest = [(order(1), "refunded", 5), (order(4), "charged", 4), (order(3), "charged", 3)];
    assert_eq!(shown(gateway.entries(None, 3)), newest);
    assert_eq!(shown(gateway.entries(Some(order(1)), 1)), newest[..1]);
    assert_eq!(shown(gateway.entries(Some(order(9)), 1)), []);
    // Beside the running gateway, the oldest first.
    let mut read = read_charge_log(&dir.path().join(CHARGE_LOG_FILE)).unwrap();
    read.reverse();
    assert_eq!(read, gateway.entries(None, usize::MAX));
    assert_eq!(read.len(), 5);
}

#[tokio::test]
async fn a_torn_last_line_is_cut_off() {
    let dir = TempDir::new().unwrap();
    open(&dir).charge(&call(1, "tok_approve")).await.unwrap();
    let (whole, path) = (text(&dir), dir.path().join(CHARGE_LOG_FILE));
    for torn in [&whole.as_bytes()[..whole.len() - 1], &whole.as_bytes()[..20], b"{", &[0; 4096], &[0xff, 0xfe]] {
        append(&dir, torn);
        // Tools read past it and leave it alone.
        assert_eq!(read_charge_log(&path).unwrap().len(), 1);
        assert_eq!(charge_log_length(&path).unwrap(), whole.len() as u64);
        assert_eq!(std::fs::metadata(&path).unwrap().len(), (whole.len() + torn.len()) as u64);
        let gateway = open(&dir);
        assert_eq!(text(&dir), whole);
        drop(gateway);
    }
    let gateway = open(&dir);
    gateway.charge(&call(2, "tok_approve")).await.unwrap();
    drop(gateway);
    assert_eq!(open(&dir).entries(None, 10).len(), 2);
}

#[tokio::test]
async fn a_damaged_line_is_an_error_that_says_where() {
    let good = {
        let dir = TempDir::new().unwrap();
        let gateway = open(&dir);
        gateway.charge(&call(1, "tok_approve")).await.unwrap();
        gateway.charge(&call(2, "tok_approve")).await.unwrap();
        gateway.void(&call(2, "tok_approve")).await.unwrap();
        text(&dir)
    };
    let lines: Vec<&str> = good.lines().collect();
    let other = lines[2].replace("125000", "125001");
    for (damaged, at, says) in [
        (vec![lines[0], "", lines[1]], 2, "EOF"),
        (vec![lines[0], &lines[1][..30], lines[2]], 2, "EOF"),
        (vec![lines[0], lines[1], "{\"order\":1}"], 3, "invalid type"),
        (vec![lines[0], lines[0]], 2, "from charged to charged"),
        (vec![lines[0], lines[2]], 2, "from nothing to refunded"),
        (vec![lines[1], lines[2], lines[1]], 3, "from refunded to charged"),
        (vec![lines[1], &other], 2, "from charged to refunded"),
    ] {
        let dir = TempDir::new().unwrap();
        let path = dir.path().join(CHARGE_LOG_FILE);
        std::fs::write(&path, damaged.join("\n") + "\n").unwrap();
        let errors = [
            SandboxGateway::open(dir.path(), Arc::new(Ticks::default())).map(|_| ()).unwrap_err(),
            read_charge_log(&path).map(|_| ()).unwrap_err(),
        ];
        for error in errors {
            assert!(matches!(&error, SandboxError::Broken { line, .. } if *line == at), "{error}");
            assert!(error.to_string().contains(says), "{error}");
        }
        assert_eq!(text(&dir), damaged.join("\n") + "\n", "nothing is repaired by guessing");
    }
}

#[tokio::test]
async fn a_second_opener_is_refused_until_the_first_is_gone() {
    let dir = TempDir::new().unwrap();
    let first = open(&dir);
    let error = SandboxGateway::open(dir.path(), Arc::new(Ticks::default())).map(|_| ()).unwrap_err();
    assert!(matches!(error, SandboxError::InUse { .. }), "{error}");
    assert!(error.to_string().contains("in use by another process"), "{error}");
    drop(first);
    open(&dir);
}

#[test]
fn a_charge_log_that_is_not_there_is_an_error_for_tools() {
    let dir = TempDir::new().unwrap();
    assert!(matches!(read_charge_log(&dir.path().join(CHARGE_LOG_FILE)), Err(SandboxError::Io { .. })));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_at_once_are_taken_once_each() {
    let dir = TempDir::new().unwrap();
    let gateway = Arc::new(open(&dir));
    let charges: Vec<_> = (0..2_000u128)
        .map(|number| {
            let gateway = gateway.clone();
            tokio::spawn(async move { gateway.charge(&call(number % 500, "tok_approve")).await })
        })
        .collect();
    for charge in charges {
        assert_eq!(charge.await.unwrap(), Ok(charged()));
    }
    assert_eq!(text(&dir).lines().count(), 500);
    assert_eq!(gateway.entries(None, usize::MAX).len(), 500);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn charges_and_voids_at_once_agree_with_the_file() {
    let dir = TempDir::new().unwrap();
    let gateway = Arc::new(open(&dir));
    let mut charges = Vec::new();
    let mut voids = Vec::new();
    for number in 0..400u128 {
        let (one, other) = (gateway.clone(), gateway.clone());
        let charge = async move { one.charge(&call(number, "tok_approve")).await };
        let void = async move { other.void(&call(number, "tok_approve")).await };
        // Half of them start with the void.
        if number % 2 == 0 {
            charges.push(tokio::spawn(charge));
            voids.push(tokio::spawn(void));
        } else {
            voids.push(tokio::spawn(void));
            charges.push(tokio::spawn(charge));
        }
    }
    for (number, (charge, void)) in charges.into_iter().zip(voids).enumerate() {
        let (charge, void) = (charge.await.unwrap().unwrap(), void.await.unwrap().unwrap());
        match lines_of(&dir, number as u128).iter().map(String::as_str).collect::<Vec<_>>()[..] {
            ["voided"] => assert_eq!((charge, void), (Progress::Cancelled, OrderCommand::Voided)),
            // The charge may have looked before the refund or after it.
            ["charged", "refunded"] => assert_eq!(void, refunded()),
            ref lines => panic!("{lines:?}"),
        }
    }
}
