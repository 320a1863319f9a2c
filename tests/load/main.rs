//! The load tester's real binary against a server: several processes as one, what it does when one of them dies or somebody interrupts
//! it, and what it says of objectives.

#[path = "../support/mod.rs"]
mod support;

use haat::http::auth::Bearer;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;
use support::{Kind, Server, TestStore, token};
use tempfile::TempDir;
use tokio::io::AsyncReadExt;
use tokio::process::{Child, Command};

/// The longest wait for a run's end.
const BOUND: Duration = Duration::from_secs(90);

/// A server, and a directory for what the load tester reads and writes.
struct Stage {
    server: Server,
    directory: TempDir,
    _store: TestStore,
}

impl Stage {
    async fn new() -> Self {
        let store = TestStore::new(Kind::Sqlite).await;
        let server = Server::start(&store).await;
        Self { server, directory: TempDir::new().expect("a temporary directory"), _store: store }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn load(&self, scenario: &str, arguments: &[&str]) -> Command {
        let file = self.path("scenario.toml");
        std::fs::write(&file, scenario).expect("the scenario");
        let mut command = self.command();
        command.arg("--scenario-file").arg(file).arg("--json").arg(self.path("summary.json"));
        command.arg("--journal").arg(self.path("told.jsonl")).args(arguments);
        command
    }

    fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_haat-load"));
        command.env_remove("HAAT_TARGET").env("HAAT_ADMIN_TOKEN", token(&Bearer::Admin("root".into())));
        command.arg(format!("--target=http://{}", self.server.client.address())).arg("--quiet");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        command
    }

    fn summary(&self) -> Value {
        read(&self.path("summary.json"))
    }

    /// Waits until buyers were given so many answers that promise something.
    async fn answers(&self, child: &mut Child, least: usize) {
        let enough = async {
            loop {
                let told = std::fs::read(self.path("told.jsonl")).unwrap_or_default();
                if told.iter().filter(|byte| **byte == b'\n').count() >= least {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::select! {
            () = enough => {}
            ended = child.wait() => {
                let mut said = String::new();
                let stderr = child.stderr.as_mut().expect("a pipe");
                stderr.read_to_string(&mut said).await.expect("text");
                panic!("it ended too soon, {ended:?}: {said}");
            }
            () = tokio::time::sleep(BOUND) => panic!("orders are made"),
        }
    }
}

fn read(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).expect("a summary")).expect("a summary")
}

async fn end(child: Child) -> (Option<i32>, String) {
    let Output { status, stdout, stderr } =
        tokio::time::timeout(BOUND, child.wait_with_output()).await.expect("it ends").expect("its output");
    (status.code(), format!("{}{}", String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr)))
}

async fn run(mut command: Command) -> (Option<i32>, String) {
    end(command.spawn().expect("the binary runs")).await
}

/// The sum of one number over all seconds.
fn over_time(summary: &Value, of: impl Fn(&Value) -> u64) -> u64 {
    summary["series"].as_array().expect("seconds").iter().map(of).sum()
}

const SALE: &str = r#"
name = "small sale"

[shop]
stock = 30

[arrival]
model = "open"
spacing = "exponential"
stages = [{ shape = "spike", sessions = 40 }, { shape = "steady", sessions = 60, for = "1s" }]

[[steps]]
do = "browse"

[[steps]]
do = "fill"
think = "0ms..50ms"

[[steps]]
do = "check-out"
retry = "20%"
retry_when = "afterwards"
abandon = "10%"

[[steps]]
do = "poll"
every = "20ms"

[[steps]]
do = "rest"
think = "100ms"

[objectives]
p95 = { every = "30s" }
"#;

fn calls(summary: &Value, name: &str) -> u64 {
    let calls = summary["phases"][0]["calls"].as_array().expect("calls");
    calls.iter().find(|call| call["call"] == name).map_or(0, |call| call["count"].as_u64().expect("a count"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_processes_are_one_crowd() {
    let stage = Stage::new().await;
    let page = stage.path("report.html");
    let mut outcomes = Vec::new();
    for processes in ["1", "2"] {
        let mut command = stage.load(SALE, &["--processes", processes, "--source-addresses", "127.0.0.2-127.0.0.4"]);
        command.arg("--html").arg(&page);
        let (code, said) = run(command).await;
        assert_eq!(code, Some(0), "{said}");
        let summary = stage.summary();
        assert_eq!(summary["processes"].to_string(), processes);
        let of = |name: &str| summary["outcomes"][name].as_u64().unwrap_or_default();
        assert_eq!(of("paid"), 30, "{said}");
        let sessions: u64 = summary["outcomes"].as_object().expect("outcomes").values().filter_map(Value::as_u64).sum();
        assert_eq!(sessions, 100, "{said}");
        // Each session browses once and each that does not leave has its cart: nobody is counted twice or forgotten.
        assert_eq!((calls(&summary, "browse"), calls(&summary, "create cart")), (100, 100), "{said}");
        assert_eq!(over_time(&summary, |second| second["begun"].as_u64().unwrap_or_default()), 100);
        assert_eq!(over_time(&summary, |second| second["calls"]["browse"]["count"].as_u64().unwrap_or_default()), 100);
        let last = summary["series"].as_array().and_then(|seconds| seconds.last()).expect("a second").clone();
        assert_eq!((&last["under_way"], &last["stock_left"]), (&Value::from(0), &Value::from(0)), "{last}");
        assert!(said.contains("p95 of checkout") && said.contains(": met"), "{said}");
        outcomes.push(of("abandoned"));
    }
    assert!(outcomes[0] > 0);
    assert_eq!(outcomes[0], outcomes[1], "who leaves follows from the seed, however many processes there are");
    let page = std::fs::read_to_string(page).expect("a page");
    assert!(page.contains("\"scenario\":\"small sale\"") && !page.contains("/*SUMMARY*/"));
    stage.server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_share_connections_over_h2c() {
    let stage = Stage::new().await;
    let h2c = SALE.replace(
        "[[steps]]\ndo = \"browse\"",
        "[connections]\nprotocol = \"h2c\"\nsessions_per_connection = 10\n[[steps]]\ndo = \"browse\"",
    );
    let (code, said) = run(stage.load(&h2c, &["--processes", "2"])).await;
    assert_eq!(code, Some(0), "{said}");
    let summary = stage.summary();
    assert_eq!(summary["outcomes"]["paid"], 30, "{said}");
    assert_eq!(calls(&summary, "connect"), 10, "{said}");
    stage.server.stop().await;
}

/// All that a room has, in two processes: who waits is let in and buys, the rest is told that all is sold; and all who watch are told of each change.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crowd_waits_in_a_room_and_watches() {
    let stage = Stage::new().await;
    let room = SALE.replace(
        "stock = 30",
        "stock = 30\nsale = { allotment = 30, room = { capacity = 10, admit_per_minute = 60000, claim = \"30s\" } }",
    );
    let room = room.replace("[[steps]]\ndo = \"browse\"", "[[steps]]\ndo = \"watch\"\nfor = \"100ms..1s\"");
    let room = room.replace(
        "[[steps]]\ndo = \"check-out\"\nretry = \"20%\"\nretry_when = \"afterwards\"\nabandon = \"10%\"",
        "[[steps]]\ndo = \"wait-in-line\"\n[[steps]]\ndo = \"check-out\"",
    );
    let h2c = "[connections]\nprotocol = \"h2c\"\nsessions_per_connection = 10\n[[steps]]\ndo = \"watch\"";
    for scenario in [room.clone(), room.replace("[[steps]]\ndo = \"watch\"", h2c)] {
        let (code, said) = run(stage.load(&scenario, &["--processes", "2"])).await;
        assert_eq!(code, Some(0), "{said}");
        let summary = stage.summary();
        assert_eq!(summary["outcomes"]["paid"], 30, "{said}");
        assert_eq!((calls(&summary, "watch"), calls(&summary, "join line")), (100, 100), "{said}");
        assert!(calls(&summary, "enter") >= 30 && calls(&summary, "told after first") > 0, "{said}");
        for check in ["no place in the line is given twice: 100 places: ok", "sells to those alone who were let in"] {
            assert!(said.contains(check), "{said}");
        }
    }
    stage.server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_objective_that_is_missed_is_told_and_the_exit_code_says_so() {
    let stage = Stage::new().await;
    let strict = SALE.replace("retry = \"20%\"", "retry = \"20%\"\ndecline = \"20%\"");
    let strict = strict.replace("every = \"30s\"", "checkout = \"1us\", every = \"30s\"");
    let (code, said) = run(stage.load(&strict, &[])).await;
    assert_eq!(code, Some(4), "{said}");
    assert!(said.lines().any(|line| line.contains("p95 of checkout") && line.ends_with("MISSED")), "{said}");
    let (code, said) = run(stage.load(&SALE.replace("stock = 30", "stok = 30"), &[])).await;
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("unknown field `stok`"), "{said}");
    stage.server.stop().await;
}

/// What a file says, in a report and in a refusal, acts on nobody who looks at it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_said_acts_on_nobody() {
    let stage = Stage::new().await;
    for (scenario, line, ends_with) in [
        (SALE.replace("small sale", "small \u{202e}\u{9b}sale"), "small \\u202e\\u009bsale, ", 0),
        (SALE.replace("stock = 30", "\"\u{202e}\u{9b}stock\" = 30"), "\\u202e\\u009bstock", 2),
    ] {
        let (code, said) = run(stage.load(&scenario, &[])).await;
        assert_eq!(code, Some(ends_with), "{said}");
        assert!(said.contains(line), "{}", said.escape_debug());
        let acts = |character: char| character == '\u{202e}' || (character.is_control() && character != '\n');
        assert_eq!(said.chars().find(|character| acts(*character)), None, "{}", said.escape_debug());
    }
    stage.server.stop().await;
}

/// Whose checkout waits for the payment and who polls nothing is counted once, when the checks find the order.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_without_polling_is_counted_once() {
    let stage = Stage::new().await;
    let poll = "[[steps]]\ndo = \"poll\"\nevery = \"20ms\"\n\n";
    assert!(SALE.contains(poll));
    let waiting = SALE.replace(poll, "").replace("abandon = \"10%\"", "wait = 20").replace("stock = 30", "stock = 100");
    let (code, said) = run(stage.load(&waiting, &[])).await;
    assert_eq!(code, Some(0), "{said}");
    let outcomes = stage.summary()["outcomes"].clone();
    assert_eq!(outcomes, serde_json::json!({ "paid": 100 }), "{said}");
    stage.server.stop().await;
}

/// Twenty people with three addresses each, some of whose cards are declined: the allotment is sold to the last piece, or each has what the limit
/// allows, whichever is less.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sale_is_bounded_by_its_allotment_or_by_its_limits() {
    let stage = Stage::new().await;
    let of_sale = |terms: &str, decline: &str| {
        let shop = format!("stock = 30\nsale = {{ {terms}, limit = 1, aliases = 3 }}");
        let all_come = SALE.replace("abandon = \"10%\"", decline).replace("retry = \"20%\"\n", "");
        let all_come = all_come.replace("retry_when = \"afterwards\"\n", "").replace("sessions = 60", "sessions = 20");
        all_come.replace("stock = 30", &shop)
    };
    let names = [
        "a sale sells at most its allotment",
        "sold in a sale is what is paid in it",
        "every line has the sale's price",
        "nobody has more than the limit, by whatever address",
        "nothing is held in a sale once all orders are over",
    ];
    for (terms, decline, paid, refused) in
        [("allotment = 10", "decline = \"40%\"", 10, "sale_sold_out"), ("allotment = 30", "", 20, "purchase_limit")]
    {
        let (code, said) = run(stage.load(&of_sale(terms, decline), &["--processes", "2"])).await;
        assert_eq!(code, Some(0), "{said}");
        let summary = stage.summary();
        assert_eq!(summary["outcomes"]["paid"], paid, "{said}");
        let refusals = summary["refusals"][refused].as_u64().unwrap_or_default();
        assert!(refusals > 0, "{said}");
        // Nobody leaves before a second refusal, of a request sent when nothing was held any more.
        let sold_out = summary["outcomes"]["sale sold out"].as_u64().unwrap_or_default();
        assert!(refusals >= 2 * sold_out, "{said}");
        let checks = summary["checks"].as_array().expect("checks");
        for name in names {
            assert!(checks.iter().any(|check| check["name"] == name && check["ok"] == true), "{name}: {said}");
        }
        let for_want = checks.iter().any(|check| check["name"] == "sold out means that the allotment is sold");
        assert_eq!(for_want, refused == "sale_sold_out", "{said}");
    }
    let (code, said) = run(stage.load(&of_sale("allotment = 10", ""), &["--sku", "sku_1"])).await;
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("leave --sku out"), "{said}");
    // The journal of both runs tells whose orders they are: the promises are held to by person once more.
    let mut verify = stage.command();
    verify.arg("--verify").arg(stage.path("told.jsonl"));
    let (code, said) = run(verify).await;
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("of those who bought 30 have 1: ok"), "{said}");
    stage.server.stop().await;
}

/// Twenty people with three addresses each and one coupon, some of whose cards are declined: exactly as many paid orders carry it as it has uses,
/// or as people may use it, or as its budget is enough for. Who does not get it leaves, or buys without it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_coupon_is_bounded_by_its_uses_its_limits_and_its_budget() {
    let stage = Stage::new().await;
    let of_coupon = |terms: &str, decline: &str| {
        let shop = format!("stock = 100\ncoupon = {{ {terms}, aliases = 3 }}");
        let all_come = SALE.replace("abandon = \"10%\"", decline).replace("retry = \"20%\"\n", "");
        let all_come = all_come.replace("retry_when = \"afterwards\"\n", "").replace("sessions = 60", "sessions = 20");
        all_come.replace("stock = 30", &shop)
    };
    let names = [
        "a coupon is used at most as often as it may be",
        "every use of a coupon is a paid order that carries it",
        "every order has the coupon and the discount of its cart",
        "nothing is held of a coupon once all orders are over",
    ];
    let said_of = |summary: &Value, name: &str| {
        let checks = summary["checks"].as_array().expect("checks").clone();
        let check = checks.into_iter().find(|check| check["name"] == name);
        check.map(|check| (check["ok"] == true, check["said"].as_str().unwrap_or_default().to_owned()))
    };
    let (want, orders) = ("used up means that every use is a paid order's", names[1]);
    // A fifth of 1250.00 is 250.00: the budget is enough for seven.
    for (terms, decline, uses, paid, refused) in [
        ("uses = 10", "decline = \"40%\"", 10, 10, "coupon_exhausted"),
        ("uses = 60, per_customer = 1", "", 20, 20, "coupon_limit_reached"),
        ("uses = 60, budget = \"1999.99\"", "decline = \"20%\"", 7, 7, "coupon_exhausted"),
        ("uses = 10, or_without = true", "", 10, 60, "coupon_exhausted"),
    ] {
        let (code, said) = run(stage.load(&of_coupon(terms, decline), &["--processes", "2"])).await;
        assert_eq!(code, Some(0), "{terms}: {said}");
        let summary = stage.summary();
        assert_eq!(summary["outcomes"]["paid"], paid, "{terms}: {said}");
        let counted = format!("used {uses}, {uses} paid orders carry it");
        assert_eq!(said_of(&summary, orders), Some((true, counted)), "{terms}: {said}");
        let refusals = summary["refusals"][refused].as_u64().unwrap_or_default();
        assert!(refusals > 0, "{terms}: {said}");
        for name in names {
            assert!(said_of(&summary, name).is_some_and(|(ok, _)| ok), "{terms}: {name}: {said}");
        }
        // Nobody leaves, or takes the code out, before a second refusal of a request sent when it was known to be used up.
        let used_up = said_of(&summary, want);
        assert_eq!(used_up.is_some(), refused == "coupon_exhausted", "{terms}: {said}");
        let gone = summary["outcomes"]["coupon used up"].as_u64().unwrap_or_default();
        assert!(refusals >= 2 * gone, "{terms}: {said}");
        let limit = said_of(&summary, "nobody has used a coupon more than the limit, by whatever address");
        assert_eq!(limit.is_some(), terms.contains("per_customer"), "{terms}: {said}");
        let budget = said_of(&summary, "a coupon takes off what its orders have off, within its budget");
        let counted = "1750.00 of 1999.99 used, paid orders have 1750.00 off".to_owned();
        assert_eq!(budget, terms.contains("budget").then_some((true, counted)), "{terms}: {said}");
    }
    let (code, said) = run(stage.load(&of_coupon("uses = 10", ""), &["--sku", "sku_1"])).await;
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("leave --sku out"), "{said}");
    // The journal of all runs tells which carts had which coupon.
    let mut verify = stage.command();
    verify.arg("--verify").arg(stage.path("told.jsonl"));
    let (code, said) = run(verify).await;
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("used 47, 47 paid orders carry it: ok"), "{said}");
    stage.server.stop().await;
}

/// A fifth of the buyers are wholesale buyers: they pay less for two pieces and more, and nobody else does, neither guests nor who has an account,
/// nor who was a wholesale buyer once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wholesale_buyers_pay_their_own_prices() {
    let stage = Stage::new().await;
    let shop =
        "stock = 300\naccounts = \"25%\"\nwholesale = { share = \"20%\", from = 2 }\n[cart]\nquantity = \"1..3\"";
    let scenario = SALE.replace("stock = 30", shop).replace("abandon = \"10%\"", "decline = \"10%\"");
    let scenario = scenario.replace("sessions = 60", "sessions = 20");
    let (code, said) = run(stage.load(&scenario, &["--processes", "2"])).await;
    assert_eq!(code, Some(0), "{said}");
    let checks = stage.summary()["checks"].as_array().expect("checks").clone();
    let said_of = |name: &str| {
        let check = checks.iter().find(|check| check["name"] == name).expect("a check");
        assert_eq!(check["ok"], true, "{said}");
        check["said"].as_str().expect("words").to_owned()
    };
    let counted = said_of("every line has the price of its buyer and its quantity");
    for of in ["at the wholesale price", "of all others", "of wholesale buyers who took too few"] {
        assert!(counted.contains(of), "{counted}");
    }
    for name in ["every bill adds up", "every order has the lines of its cart"] {
        assert_eq!(said_of(name), "60 of 60 orders");
    }
    // Twelve wholesale buyers, and a quarter of the others, of whom every second has lost the group again.
    let accounts = stage.server.client.get("/v1/admin/accounts").bearer(&token(&Bearer::Admin("root".into())));
    let accounts = accounts.send().await.expect(200);
    let items = accounts.body["items"].as_array().expect("accounts").clone();
    let mut groups = std::collections::BTreeMap::new();
    for account in items.iter().filter(|account| account["role"] == "customer") {
        let id = account["id"].as_str().expect("an id").replace("account_", "customer_");
        let customer = stage.server.client.get(&format!("/v1/admin/customers/{id}"));
        let customer = customer.bearer(&token(&Bearer::Admin("root".into()))).send().await.expect(200);
        *groups.entry(customer.body["group"].as_str().expect("a group").to_owned()).or_insert(0) += 1;
    }
    assert_eq!(groups, [("retail".to_owned(), 12), ("wholesale".to_owned(), 12)].into(), "{}", accounts.text);
    stage.server.stop().await;
}

/// Who comes with an account, and as a guest under other addresses of its mailbox, has no more of a sale or of a coupon than anybody.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_is_one_person_with_its_other_addresses() {
    for (terms, refused, has) in [
        ("sale = { allotment = 60, limit = 1, aliases = 3 }", "purchase_limit", "of those who bought 20 have 1"),
        (
            "coupon = { uses = 60, per_customer = 1, aliases = 3 }",
            "coupon_limit_reached",
            "of those who used it 20 did 1 times",
        ),
    ] {
        let stage = Stage::new().await;
        let shop = format!("stock = 100\naccounts = \"50%\"\n{terms}");
        let scenario = SALE.replace("stock = 30", &shop).replace("abandon = \"10%\"", "");
        let scenario = scenario.replace("sessions = 60", "sessions = 20").replace("retry = \"20%\"", "");
        let scenario = scenario.replace("retry_when = \"afterwards\"", "");
        let (code, said) = run(stage.load(&scenario, &["--processes", "2"])).await;
        assert_eq!(code, Some(0), "{terms}: {said}");
        assert_eq!(stage.summary()["refusals"][refused].as_u64().unwrap_or_default(), 40, "{terms}: {said}");
        assert!(said.contains(has), "{terms}: {said}");
        let accounts = stage.server.client.get("/v1/admin/accounts").bearer(&token(&Bearer::Admin("root".into())));
        let accounts = accounts.send().await.expect(200);
        let items = accounts.body["items"].as_array().expect("accounts");
        assert_eq!(items.iter().filter(|account| account["role"] == "customer").count(), 10, "{}", accounts.text);
        stage.server.stop().await;
    }
}

/// Sixty customers pay with points, twelve of them with the same points in two carts at once: every point given is there or spent once, and who is
/// refused for want of them has another order that has them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn points_are_spent_once_also_by_who_has_two_carts() {
    let stage = Stage::new().await;
    let shop = "stock = 300\npoints = { each = 500, twice = \"20%\" }";
    let scenario = SALE.replace("stock = 30", shop).replace("abandon = \"10%\"", "decline = \"10%\"");
    let scenario = scenario.replace("sessions = 60", "sessions = 20");
    let (code, said) = run(stage.load(&scenario, &["--processes", "2"])).await;
    assert_eq!(code, Some(0), "{said}");
    let summary = stage.summary();
    let (told, refused) = (&summary["points"], summary["refusals"]["points_insufficient"].as_u64());
    assert_eq!(told["refused"].as_u64(), refused, "{said}");
    assert!((1..=12).contains(&refused.unwrap_or_default()), "{said}");
    assert!(told["orders"].as_u64() >= summary["outcomes"]["paid"].as_u64(), "{said}");
    let spent = told["spent"].as_i64().expect("a number");
    let checks = summary["checks"].as_array().expect("checks");
    let said_of = |name: &str| {
        let check = checks.iter().find(|check| check["name"] == name).expect("a check");
        assert_eq!(check["ok"], true, "{said}");
        check["said"].as_str().expect("words")
    };
    let counted = format!("given 30000, available {}, held 0, spent {spent} in paid orders", 30_000 - spent);
    assert_eq!(said_of("every point given is available, held or spent in a paid order"), counted);
    assert_eq!(said_of("no points are held once all orders are over"), "held 0 of 60 customers");
    let twice = said_of("the same points in two carts are spent once");
    assert!(twice.starts_with("12 customers with two carts, "), "{twice}");
    for name in [
        "every order has the points of its checkout, at their value",
        "nobody spends more points than they were given",
        "too few points means that another order has them",
        "every bill adds up",
    ] {
        said_of(name);
    }
    let (code, said) = run(stage.load(&scenario, &["--sku", "sku_1"])).await;
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("leave --sku out"), "{said}");
    // The journal tells with how many points each order was to be paid.
    let mut verify = stage.command();
    verify.arg("--verify").arg(stage.path("told.jsonl"));
    let (code, said) = run(verify).await;
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains(&format!("{spent} in paid orders: ok")), "{said}");
    stage.server.stop().await;
}

/// A crowd that rests far longer than any test takes.
fn resting() -> String {
    SALE.replace("think = \"100ms\"", "think = \"1h\"").replace("stock = 30", "stock = 100")
}

async fn children(of: u32) -> Vec<u32> {
    let path = format!("/proc/{of}/task/{of}/children");
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.split_whitespace().filter_map(|id| id.parse().ok()).collect()
}

async fn signal(name: &str, id: u32) {
    let mut kill = Command::new("sh");
    assert!(kill.args(["-c", &format!("kill -{name} {id}")]).status().await.expect("a shell").success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_interrupt_ends_all_and_what_was_measured_is_told() {
    let stage = Stage::new().await;
    let mut child = stage.load(&resting(), &["--processes", "2"]).spawn().expect("the binary runs");
    let id = child.id().expect("it runs");
    stage.answers(&mut child, 60).await;
    let children = children(id).await;
    assert_eq!(children.len(), 2);
    signal("INT", id).await;
    let (code, said) = end(child).await;
    assert_eq!(code, Some(130), "{said}");
    let summary = stage.summary();
    assert_eq!(summary["stopped"], true);
    // A buyer is told of an order three times at most: by two checkouts and by the poll that sees its end.
    assert!(calls(&summary, "browse") >= 20, "{said}");
    assert!(children.iter().all(|child| !Path::new(&format!("/proc/{child}")).exists()), "a child is left");
    stage.server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_dies_is_a_failure() {
    let stage = Stage::new().await;
    let mut child = stage.load(&resting(), &["--processes", "2"]).spawn().expect("the binary runs");
    let id = child.id().expect("it runs");
    stage.answers(&mut child, 60).await;
    signal("KILL", children(id).await[1]).await;
    let (code, said) = end(child).await;
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("BROKEN OFF: process") && said.contains("signal: 9"), "{said}");
    assert!(said.contains("checks were left out"), "{said}");
    stage.server.stop().await;
}

/// What could not be written at the end is refused before the beginning; and nothing was made in the shop.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn results_that_cannot_be_written_are_refused_before_the_run() {
    let stage = Stage::new().await;
    let full = || std::fs::File::options().write(true).open("/dev/full").expect("every Linux has it");
    let nowhere = stage.path("nowhere/report").to_string_lossy().into_owned();
    let (code, said) = run(stage.load(SALE, &["--html", &nowhere])).await;
    assert!(code == Some(2) && said.contains(&nowhere), "{code:?}: {said}");
    let (code, said) = run(stage.load(SALE, &["--html", "/dev/full"])).await;
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("/dev/full") && said.contains("No space left"), "{said}");
    let mut command = stage.load(SALE, &[]);
    command.stdout(full());
    let (code, said) = run(command).await;
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("stdout could not be written") && said.contains("No space left"), "{said}");
    assert!(!stage.path("summary.json").exists(), "a run that never was has no summary");
    let products = stage.server.client.get("/v1/products").send().await.expect(200);
    assert_eq!(products.body["items"].as_array().map(Vec::len), Some(0), "{}", products.text);

    // A reader that has left, and nobody to complain to, change nothing of what was found.
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let mut command = stage.load(SALE, &[]);
    command.stdout(Stdio::from(writer)).stderr(Stdio::from(full()));
    let (code, _) = run(command).await;
    assert_eq!(code, Some(141));
    assert_eq!(stage.summary()["exit_code"], 0);
}

/// Why a server cannot be reached is said.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_cannot_be_reached_is_told_with_the_cause() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let silent = listener.local_addr().expect("an address");
    for (target, cause) in [
        ("http://127.0.0.1:1".to_owned(), "refused"),
        ("http://127.0.0.1:99999".to_owned(), "99999 is no port"),
        ("http://no-such-host.invalid:80".to_owned(), "could not find the host"),
        (format!("http://{silent}"), "gave no answer within"),
    ] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_haat-load"));
        command.env("HAAT_ADMIN_TOKEN", "t").args(["--quiet", "--timeout", "200ms", "--target", &target]);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let (code, said) = run(command).await;
        assert!(code == Some(2) && said.contains(cause) && said.contains(&target), "{target}: {code:?}: {said}");
    }
}
