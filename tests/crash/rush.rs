//! A rush by the load tester, which keeps what buyers were told, and the checks that hold a server to it.

use crate::process::{BOUND, Haat, command, output, until};
use crate::support::client::Client;
use crate::support::token;
use haat::http::auth::Bearer;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::PathBuf;
use tempfile::TempDir;
use tokio::process::Child;

const PIECES: i64 = 100;
/// So many sessions run at a time: a rush takes a while, and each moment has sessions in every step.
const AT_ONCE: &str = "40";

/// What the load tester has to say, in the directory of what buyers were told.
const SUMMARY: &str = "summary.json";

pub struct Rush {
    load: Child,
    told: Told,
}

/// What buyers were told.
pub struct Told {
    admin: String,
    vendor: String,
    sku: String,
    pieces: i64,
    directory: TempDir,
    file: PathBuf,
}

fn load(address: SocketAddr, admin: &str) -> tokio::process::Command {
    let mut load = command(env!("CARGO_BIN_EXE_haat-load"));
    load.args(["--target", &format!("http://{address}"), "--admin-token", admin, "--quiet", "--settle", "20s"]);
    load
}

impl Rush {
    /// 300 buyers for 100 pieces.
    pub async fn begin(server: &Haat) -> Self {
        Self::of(PIECES, server.address, &server.client).await
    }

    /// Three buyers for each of so many pieces, at this address: some declined, some clicking twice, all of them patient. The shop is made by `client`.
    pub async fn of(pieces: i64, address: SocketAddr, client: &Client) -> Self {
        let admin = token(&Bearer::Admin("root".into()));
        let (vendor, sku) = client.shop(&admin, "1250.00", pieces).await;
        let directory = TempDir::new().expect("a temporary directory");
        let file = directory.path().join("told.jsonl");
        let mut load = load(address, &admin);
        load.args([
            "--sessions",
            &(3 * pieces).to_string(),
            "--connections",
            AT_ONCE,
            "--sku",
            &sku,
            "--token",
            "tok_slow_100",
        ]);
        load.args(["--decline", "10", "--retry", "20", "--keys", "--poll", "20ms", "--repeats", "200"]);
        load.args(["--expect-drops", "--check-charges", "1000", "--journal"]).arg(&file);
        load.arg("--json").arg(directory.path().join(SUMMARY));
        let load = load.spawn().expect("the binary runs");
        Self { load, told: Told { admin, vendor, sku, pieces, directory, file } }
    }

    /// How many answers buyers got so far that promised something.
    pub fn answers(&self) -> usize {
        std::fs::read(&self.told.file).map_or(0, |text| text.iter().filter(|byte| **byte == b'\n').count())
    }

    /// Waits for so many answers more, in the middle of the rush.
    pub async fn goes_on(&mut self, more: usize) {
        let enough = self.answers() + more;
        until(format_args!("{enough} answers"), async || {
            let ended = self.load.try_wait().expect("a child");
            assert!(ended.is_none(), "the rush was over before {enough} answers: {ended:?}");
            (self.answers() >= enough).then_some(())
        })
        .await;
    }

    /// The same, or until it is over.
    pub async fn may_go_on(&mut self, more: usize) {
        let enough = self.answers() + more;
        until(format_args!("{enough} answers, or the rush's end"), async || {
            let ended = self.load.try_wait().expect("a child").is_some();
            (ended || self.answers() >= enough).then_some(())
        })
        .await;
    }

    /// Waits for its end; the load tester must have found all in order.
    pub async fn end(self) -> Told {
        let ended = tokio::time::timeout(2 * BOUND, self.load.wait_with_output()).await;
        let output = ended.expect("the rush ends").expect("its output");
        let (said, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{}\n{said}\n{errors}", output.status);
        self.told
    }
}

fn is_paid(status: &str) -> bool {
    status == "paid"
}

fn is_over(status: &str) -> bool {
    ["paid", "rejected", "payment_failed", "cancelled", "expired"].contains(&status)
}

impl Told {
    /// How many orders buyers were told of, and in how many answers.
    pub fn counts(&self) -> (u64, u64) {
        let answers = std::fs::read_to_string(&self.file).expect("the journal").lines().count();
        (self.orders().len() as u64, answers as u64)
    }

    /// How many requests were answered, by the load tester's own count.
    pub fn requests(&self) -> u64 {
        let summary = std::fs::read(self.directory.path().join(SUMMARY)).expect("a summary");
        let summary: Value = serde_json::from_slice(&summary).expect("a summary");
        let phases = summary["phases"].as_array().expect("phases").iter();
        let calls = phases.flat_map(|phase| phase["calls"].as_array().expect("calls"));
        calls.map(|call| call["count"].as_u64().expect("a count")).sum()
    }

    /// Each order that a buyer was told of, with everything that was said of it.
    fn orders(&self) -> BTreeMap<String, BTreeSet<String>> {
        let mut orders: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for line in std::fs::read_to_string(&self.file).expect("the journal").lines() {
            let promise: Value = serde_json::from_str(line).expect("a promise");
            let text = |name: &str| promise[name].as_str().expect("a text").to_owned();
            orders.entry(text("order")).or_default().insert(text("status"));
        }
        orders
    }

    /// All orders in the read tables with their status, those included that no buyer heard of.
    async fn listed(&self, server: &Haat) -> BTreeMap<String, String> {
        let mut listed = BTreeMap::new();
        let mut path = "/v1/orders?limit=200".to_owned();
        loop {
            let page = server.client.get(&path).bearer(&self.admin).send().await.expect(200);
            for order in page.body["items"].as_array().expect("items") {
                let text = |name: &str| order[name].as_str().expect("a text").to_owned();
                listed.insert(text("id"), text("status"));
            }
            match page.body["next_cursor"].as_str() {
                Some(cursor) => path = format!("/v1/orders?limit=200&cursor={cursor}"),
                None => return listed,
            }
        }
    }

    /// Fails unless everything that buyers were told is still true, every order has come to an end, and stock and money add up.
    pub async fn still_holds(&self, server: &Haat) {
        let told = self.orders();
        assert!(told.values().any(|said| said.contains("paid")), "nobody was told that an order is paid");
        let ended = until("all orders to end, and to be listed so", async || {
            let listed = self.listed(server).await;
            let all = told.keys().all(|order| listed.contains_key(order));
            (all && listed.values().all(|status| is_over(status))).then_some(listed)
        })
        .await;
        let mut paid = 0;
        for (order, listed) in &ended {
            let now = server.client.order(&self.admin, order).await.expect(200);
            let status = now.field("status");
            assert_eq!(status, listed, "{order} is listed as what it is not");
            for said in told.get(order).into_iter().flatten().filter(|said| is_over(said)) {
                assert_eq!(status, said, "{order} is not what a buyer was told");
            }
            // Others may buy other things meanwhile.
            let of_the_rush = now.body["lines"].as_array().is_some_and(|lines| lines[0]["sku_id"] == *self.sku);
            paid += i64::from(is_paid(status) && of_the_rush);
            let path = format!("/v1/admin/sandbox/charges?order={order}");
            let charges = server.client.get(&path).bearer(&self.admin).send().await.expect(200);
            let charges = charges.body["items"].as_array().expect("items").clone();
            let taken: Vec<&Value> = charges.iter().filter(|charge| charge["status"] == "charged").collect();
            match is_paid(status) {
                true => assert!(taken.len() == 1 && taken[0]["amount"] == now.body["total"], "{order}: {charges:?}"),
                false => assert!(taken.is_empty(), "{order} is {status}: {charges:?}"),
            }
        }
        let stock = until("no stock to be held", async || {
            let stock = server.client.stock(&self.admin, &self.vendor, &self.sku).await;
            (stock["held"] == 0).then_some(stock)
        })
        .await;
        let count = |name: &str| stock[name].as_i64().expect("a count");
        assert_eq!((count("received"), count("sold")), (self.pieces, paid), "sold is what is paid: {stock}");
        assert_eq!((count("on_hand"), count("available")), (self.pieces - paid, self.pieces - paid), "{stock}");

        let mut verify = load(server.address, &self.admin);
        verify.args(["--check-charges", "1000", "--verify"]).arg(&self.file);
        let verified = output(verify).await;
        let said = String::from_utf8_lossy(&verified.stdout);
        assert!(verified.status.success(), "{said}{}", String::from_utf8_lossy(&verified.stderr));

        let metrics = until("a checkpoint to hold everything", async || {
            let metrics = server.client.get("/metrics").send().await.expect(200).text;
            metrics.lines().any(|line| line == "haat_checkpoint_lag_records 0").then_some(metrics)
        })
        .await;
        for bad in ["haat_entities_quarantined_total", "haat_invariant_breaches_total", "haat_checkpoint_refused_total"]
        {
            let found = metrics.lines().find(|line| line.starts_with(bad) && !line.ends_with(" 0"));
            assert_eq!(found, None);
        }
        server.said_no_error();
    }
}
