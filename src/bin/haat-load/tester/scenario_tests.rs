//! Scenario files: what is read, and what is refused with which words.

use std::time::Duration;

use super::*;

const SALE: &str = r#"
name = "sale"

[shop]
stock = 20000
sale = { allotment = 500, limit = 2, aliases = 3 }

[arrival]
model = "open"
spacing = "exponential"
stages = [
  { shape = "ramp", from = 0, to = 100, for = "10s" },
  { shape = "steady", rate = 100, for = "1m" },
  { shape = "spike", sessions = 500 },
]

[[steps]]
do = "browse"
times = 2

[[steps]]
do = "fill"
think = "1s..3s"
between = { distribution = "exponential", mean = "2s" }

[[steps]]
do = "check-out"
think = { distribution = "log-normal", median = "4s", sigma = 0.5, most = "60s" }
abandon = "10%"
retry = "5%"
retry_when = "afterwards"
decline = "2.5%"

[[steps]]
do = "poll"
every = "100ms"

[objectives]
errors = "0.1%"
p95 = { checkout = "280ms", every = "1s" }
"#;

#[test]
fn a_file_is_read_with_its_defaults() {
    let sale = Scenario::parse(SALE).expect("a scenario");
    assert_eq!(sale.arrival.sessions(), Some(500 + 6000 + 500));
    assert_eq!((sale.shop.stock, sale.shop.skus), (20_000, 1));
    let patience = Time(Duration::from_secs(60));
    assert_eq!(sale.shop.sale, Some(Sale { allotment: 500, limit: Some(2), aliases: 3, patience, room: None }));
    assert_eq!(sale.connections, Connections::default());
    assert_eq!(sale.objectives.p95[&Which::Checkout], Time(Duration::from_millis(280)));
    assert_eq!(sale.objectives.errors, Share(0.1));
    assert!(sale.objectives.conservation);
    assert!(!sale.doubles() && !sale.prepares());
    assert_eq!(sale.checks_out_and_polls(), (true, true));
}

#[test]
fn a_scenario_reaches_another_process_as_it_is() {
    let sale = Scenario::parse(SALE).expect("a scenario");
    let text = serde_json::to_string(&sale).expect("text");
    assert_eq!(serde_json::from_str::<Scenario>(&text).expect("the same"), sale);
}

#[test]
fn nonsense_is_refused_and_named() {
    for (from, to, said) in [
        ("name = \"sale\"", "", "missing field `name`"),
        ("stock = 20000", "stok = 20000", "unknown field `stok`"),
        ("stock = 20000", "stock = -1", "invalid value"),
        ("allotment = 500", "allotment = 20001", "an allotment from 1 to the stock"),
        ("allotment = 500, ", "", "missing field `allotment`"),
        ("limit = 2", "limit = 0", "a limit of at least 1"),
        ("aliases = 3", "aliases = 17", "from 1 to 16 aliases"),
        ("aliases = 3", "alias = 3", "unknown field `alias`"),
        ("stock = 20000", "vendors = 3", "more vendors than skus"),
        ("stock = 20000", "currency = \"taka\"", "not a currency code"),
        ("model = \"open\"", "model = \"ajar\"", "unknown variant `ajar`"),
        ("for = \"1m\"", "for = \"60\"", "has no unit"),
        ("rate = 100, for = \"1m\"", "rate = 0, for = \"1m\"", "stage 2"),
        ("sessions = 500", "sessions = 500, rate = 3", "unknown field `rate`"),
        ("do = \"browse\"", "do = \"steal\"", "unknown variant `steal`"),
        ("times = 2", "times = 0", "browse at least once"),
        ("times = 2", "decline = \"5%\"", "unknown field `decline`"),
        ("abandon = \"10%\"", "abandon = \"110%\"", "not a percentage"),
        ("abandon = \"10%\"", "abandon = 0.1", "invalid type"),
        ("do = \"fill\"", "do = \"rest\"\n", "unknown field `between`"),
        ("sigma = 0.5", "sigma = -1.0", "sigma"),
        ("every = \"100ms\"", "every = \"0\"", "every must be more than 0"),
        ("checkout = \"280ms\"", "checkin = \"280ms\"", "unknown variant `checkin`"),
        (
            "[[steps]]\ndo = \"poll\"",
            "[connections]\nsessions_per_connection = 8\n[[steps]]\ndo = \"poll\"",
            "only h2c",
        ),
        ("[[steps]]\ndo = \"poll\"", "[[steps]]\ndo = \"check-out\"\n[[steps]]\ndo = \"poll\"", "checks out once"),
    ] {
        let text = SALE.replacen(from, to, 1);
        assert_ne!(text, SALE, "{from}");
        let error = format!("{:#}", Scenario::parse(&text).expect_err(to));
        assert!(error.contains(said), "{to}: {error}");
    }
}

#[test]
fn an_error_names_its_line() {
    let error = Scenario::parse(&SALE.replace("stock = 20000", "stok = 20000")).expect_err("unknown");
    assert!(error.to_string().contains("line 5"), "{error}");
}

#[test]
fn a_closed_model_counts_its_sessions() {
    let closed = |rest: &str| {
        let text = format!(
            "name = \"c\"\narrival = {{ model = \"closed\", users = 8{rest} }}\nsteps = [{{ do = \"browse\" }}]"
        );
        Scenario::parse(&text).map(|scenario| scenario.arrival.sessions())
    };
    assert_eq!(closed("").expect("one each"), Some(8));
    assert_eq!(closed(", sessions = 100").expect("a hundred"), Some(100));
    assert_eq!(closed(", for = \"10s\"").expect("as many as fit"), None);
    assert!(closed(", for = \"10s\", sessions = 100").is_err());
    assert!(closed(", sessions = 0").is_err());
}

#[test]
fn the_files_that_come_with_it_are_scenarios() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/scenarios");
    let mut read = 0;
    for entry in std::fs::read_dir(&directory).expect("the directory") {
        let path = entry.expect("an entry").path();
        if let Err(error) = Scenario::read(&path) {
            panic!("{error:#}");
        }
        read += 1;
    }
    assert!(read >= 3, "{read}");
}

const ROOM: &str = r#"
name = "room"

[shop]
stock = 50
sale = { allotment = 50, room = { capacity = 5, admit_per_minute = 600 } }

[arrival]
model = "closed"
users = 5

[[steps]]
do = "watch"
for = "1s..3s"

[[steps]]
do = "fill"

[[steps]]
do = "wait-in-line"

[[steps]]
do = "check-out"
"#;

#[test]
fn a_room_is_read_with_its_defaults() {
    let scenario = Scenario::parse(ROOM).expect("a scenario");
    let room = scenario.shop.sale.as_ref().and_then(|sale| sale.room.clone()).expect("a room");
    let seconds = |seconds| Time(Duration::from_secs(seconds));
    assert_eq!((room.capacity, room.admit_per_minute), (5, 600));
    assert_eq!((room.claim, room.slot, room.opens_in), (seconds(120), seconds(600), Time::default()));
    let Step::WaitInLine { patience, .. } = &scenario.steps[2] else { panic!("{:?}", scenario.steps) };
    assert_eq!(*patience, seconds(600));
    let text = serde_json::to_string(&scenario).expect("text");
    assert_eq!(serde_json::from_str::<Scenario>(&text).expect("the same"), scenario);
}

#[test]
fn a_line_is_waited_in_where_there_is_one() {
    let line = "[[steps]]\ndo = \"wait-in-line\"\n";
    for (from, to, said) in [
        (", room = { capacity = 5, admit_per_minute = 600 }", "", "there is no shop.sale.room to wait in"),
        (line, "", "without an entry the sale sells nothing"),
        ("[[steps]]\ndo = \"fill\"\n", "", "a guest waits with a cart"),
        (line, &line.repeat(2), "one waits once, before a check-out"),
        ("capacity = 5", "capacity = 0", "a capacity from 1 to 100,000"),
        ("for = \"1s..3s\"", "", "missing field `for`"),
    ] {
        assert!(ROOM.contains(from), "{from}");
        let refused = Scenario::parse(&ROOM.replace(from, to)).expect_err(said);
        assert!(format!("{refused:#}").contains(said), "{refused:#} does not say {said}");
    }
}

#[test]
fn points_are_read_with_their_default_and_need_one_address_each() {
    let points = SALE.replace("sale = { allotment = 500, limit = 2, aliases = 3 }", "points = { each = 500 }");
    let few = points.replace("rate = 100, for = \"1m\"", "sessions = 100, for = \"1m\"");
    let few = few.replace("to = 100, for = \"10s\"", "to = 10, for = \"10s\"");
    let scenario = Scenario::parse(&few).expect("a scenario");
    assert_eq!(scenario.shop.points, Some(Points { each: 500, twice: Share(0.0) }));
    assert!(scenario.shop.has_members() && !scenario.doubles());
    let twice = Scenario::parse(&few.replace("each = 500", "each = 500, twice = \"20%\"")).expect("a scenario");
    assert!(twice.doubles(), "two carts are checked out on two connections");
    for (from, to, said) in [
        ("each = 500", "each = 0", "each is given from 1 to 1,000,000,000"),
        ("points =", "coupon = { uses = 5, aliases = 3 }\npoints =", "give no aliases"),
        ("points =", "accounts = \"10%\"\npoints =", "leave accounts out"),
        ("sessions = 500", "sessions = 5000", "more than 2000"),
    ] {
        assert!(few.contains(from), "{from}");
        let refused = Scenario::parse(&few.replace(from, to)).expect_err(said);
        assert!(format!("{refused:#}").contains(said), "{refused:#} does not say {said}");
    }
}
