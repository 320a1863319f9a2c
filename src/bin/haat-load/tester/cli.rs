//! The command line: every option, what may be combined, and what follows from the machine's limits.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgGroup, Parser, ValueEnum};

use super::scenario::Scenario;
use super::values::{
    Price, Span, parse_addresses, parse_duration, parse_duration_span, parse_percent, parse_quantity_span,
};

const EXAMPLES: &str = "\
Examples:
  A flash sale: 5,000 buyers at once, 100 pieces, one in ten cards declined
    haat-load --sessions 5000 --stock 100 --decline 10

  Buyers arriving at random over half a minute, thinking between clicks, some clicking twice
    haat-load --sessions 20000 --ramp 30s --arrival exponential --think 50ms..2s --retry 5 --reuse-connections

  A sale of 500 pieces, 2 for each: every third buyer is the same person with another address
    haat-load --sessions 10000 --sale-allotment 500 --sale-limit 2 --aliases 3 --decline 33

  The same through a waiting room: 200 at a time, 3,000 a minute
    haat-load --sessions 10000 --sale-allotment 500 --room-capacity 200 --room-per-minute 3000

  A coupon that can be used 100 times, in the carts of 10,000 buyers
    haat-load --sessions 10000 --coupon-uses 100 --decline 33

  Customers with up to 500 points each to pay with, one in five of whom spends the same points in two carts at once
    haat-load --sessions 300 --points 500 --points-twice 20 --decline 10

  Durable checkouts per second at 256 connections, spread over 4 vendors
    haat-load --scenario checkout --requests 50000 --connections 256 --vendors 4 --skus 40

  Reads only, on a SKU that exists
    haat-load --scenario browse --requests 200000 --connections 64 --sku sku_01j...

  A scenario from a file, over as many processes as open files ask for, with a page of plots
    haat-load --scenario-file benches/scenarios/flash-sale.toml --html sale.html --json sale.json

  A crash test: keep what buyers were told, kill and restart the server, then hold it to its word
    haat-load --sessions 5000 --stock 2000 --keys --expect-drops --journal told.jsonl
    haat-load --verify told.jsonl

Exit codes:
  0  all fine
  1  a conservation check failed: what buyers were told and what the shop says differ
  2  wrong usage, the server could not be reached or prepared, a result could not be written, or a process of the load tester broke off
  3  errors other than orderly refusals occurred, more than the scenario allows (none, unless it says so)
  4  another objective of the scenario was not met
  130  interrupted, and fine so far
  141  fine, but nobody read the summary to its end

The admin token comes from `haat token --role admin`.";

/// What is driven at the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum BuiltIn {
    /// Sessions: browse, make a cart, fill it, check out, poll until the order ends or is paid
    Rush,
    /// Closed loop: POST checkout on carts made beforehand, as fast as answers come
    Checkout,
    /// Closed loop: GET a SKU, as fast as answers come
    Browse,
}

/// How sessions are spread over the ramp.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Gaps {
    /// The same gap between all
    Even,
    /// Exponential gaps, as of people who do not know of each other
    Exponential,
}

/// Drives a Haat server over its HTTP contract as a crowd of buyers would, measures it, and holds it to what it told them.
#[derive(Parser, Clone, Debug)]
#[command(name = "haat-load", version, about, after_help = EXAMPLES)]
#[command(group = ArgGroup::new("limits").args(["sale_allotment", "coupon_uses"]).multiple(true))]
#[command(group = ArgGroup::new("terms").args(["sale_allotment", "coupon_uses", "wholesale"]).multiple(true))]
pub struct Cli {
    /// The server, as http://HOST:PORT
    #[arg(long, env = "HAAT_TARGET", default_value = "http://127.0.0.1:8080")]
    pub target: String,

    /// An admin's bearer token: makes the shop and reads the stock and the charges for the checks
    #[arg(long, env = "HAAT_ADMIN_TOKEN", value_name = "TOKEN", hide_env_values = true)]
    pub admin_token: Option<String>,

    /// What is driven at the server
    #[arg(long, value_enum, default_value = "rush")]
    pub scenario: BuiltIn,

    /// What is driven, from a file; then the options that describe a scenario are not taken
    #[arg(long, value_name = "FILE", conflicts_with_all = [
        "scenario", "sessions", "requests", "connections", "reuse_connections", "ramp", "arrival", "think", "skus",
        "vendors", "stock", "price", "currency", "lines", "quantity", "decline", "token", "retry", "keys", "wait",
        "timeout", "repeats", "poll", "patience", "verify", "sale_allotment", "sale_limit", "aliases", "sale_patience",
        "wholesale", "wholesale_from", "accounts", "coupon_uses", "coupon_per_customer", "coupon_budget", "coupon_patience", "coupon_or_without",
        "points", "points_twice", "room_capacity", "room_per_minute", "room_claim", "room_slot", "room_opens_in", "room_patience",
    ])]
    pub scenario_file: Option<PathBuf>,

    /// Processes that drive the sessions [default: 1; with a scenario file so many that each has open files enough]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=256))]
    pub processes: Option<u32>,

    /// Addresses of ours to connect from, as A-B or A,B [default: the system's; to loopback, one for each 20,000]
    #[arg(long, value_name = "ADDRESSES", value_parser = |text: &str| parse_addresses(text).map(Addresses::from))]
    pub source_addresses: Option<Addresses>,

    /// Buyers (rush)
    #[arg(long, default_value_t = 1000, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    pub sessions: u32,

    /// Checkouts or reads to measure (checkout, browse)
    #[arg(long, default_value_t = 10_000, value_name = "M", value_parser = clap::value_parser!(u32).range(1..=100_000_000))]
    pub requests: u32,

    /// Connections open at once, over all processes [default: one per session as far as open files allow; else 64]
    #[arg(long, value_name = "C", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub connections: Option<u32>,

    /// A session takes over the connection of one that has ended (a client has some 28,000 ports a minute)
    #[arg(long)]
    pub reuse_connections: bool,

    /// Threads of each process
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=256))]
    pub threads: u32,

    /// Sessions arrive spread over this time; 0 is all at once
    #[arg(long, default_value = "0", value_name = "TIME", value_parser = parse_duration)]
    pub ramp: Duration,

    /// How sessions are spread over the ramp
    #[arg(long, value_enum, default_value = "even")]
    pub arrival: Gaps,

    /// Think time between a session's steps: a time, or MIN..MAX
    #[arg(long, default_value = "0ms", value_name = "TIME", value_parser = parse_duration_span)]
    pub think: Span<Duration>,

    /// SKUs to make
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub skus: u32,

    /// Vendors to make; the SKUs are spread over them
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub vendors: u32,

    /// Pieces of each SKU made [default: 100; as many as could be asked for in the checkout scenario]
    #[arg(long, value_name = "N")]
    pub stock: Option<u32>,

    /// Price of each SKU made, with exactly the currency's digits
    #[arg(long, default_value = "1250.00", value_name = "AMOUNT")]
    pub price: Price,

    /// Currency of the SKUs made
    #[arg(long, default_value = "BDT", value_name = "CODE")]
    pub currency: String,

    /// A SKU that exists, instead of making any; may be repeated
    #[arg(long = "sku", value_name = "SKU")]
    pub existing: Vec<String>,

    /// Lines in each cart, each of another SKU
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=200))]
    pub lines: u32,

    /// Pieces per line: a number, or MIN..MAX
    #[arg(long, default_value = "1", value_name = "N", value_parser = parse_quantity_span)]
    pub quantity: Span<u32>,

    /// Everything is on sale at half its price, so many pieces of each SKU
    #[arg(long, value_name = "N", conflicts_with_all = ["existing", "verify"], value_parser = clap::value_parser!(u32).range(1..))]
    pub sale_allotment: Option<u32>,

    /// Pieces of each SKU that one person can have in the sale
    #[arg(long, value_name = "N", requires = "sale_allotment", value_parser = clap::value_parser!(u32).range(1..))]
    pub sale_limit: Option<u32>,

    /// So many sessions are one person, who comes to the sale or for the coupon with as many addresses of one mailbox
    #[arg(long, value_name = "K", requires = "limits", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=16))]
    pub aliases: u32,

    /// Who finds the sale sold out while pieces are held for others comes again for so long
    #[arg(long, value_name = "TIME", requires = "sale_allotment", default_value = "60s", value_parser = parse_duration)]
    pub sale_patience: Duration,

    /// Nobody comes to the sale but through a waiting room in which so many may be at a time (rush)
    #[arg(long, value_name = "N", requires = "sale_allotment", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub room_capacity: Option<u32>,

    /// How many the room calls in a minute at most
    #[arg(long, value_name = "N", requires = "room_capacity", default_value_t = 6_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub room_per_minute: u32,

    /// How long somebody has to come in who is called
    #[arg(long, value_name = "TIME", requires = "room_capacity", default_value = "2m", value_parser = parse_duration)]
    pub room_claim: Duration,

    /// How long somebody may stay who is in
    #[arg(long, value_name = "TIME", requires = "room_capacity", default_value = "10m", value_parser = parse_duration)]
    pub room_slot: Duration,

    /// The room opens so long after it is made: who comes before is drawn
    #[arg(long, value_name = "TIME", requires = "room_capacity", default_value = "0", value_parser = parse_duration)]
    pub room_opens_in: Duration,

    /// Who is not let in within this time leaves the line
    #[arg(long, value_name = "TIME", requires = "room_capacity", default_value = "10m", value_parser = parse_duration)]
    pub room_patience: Duration,

    /// Every session puts the code of one coupon into its cart, which takes a fifth off and can be used so often
    #[arg(long, value_name = "N", conflicts_with_all = ["existing", "verify"], value_parser = clap::value_parser!(u32).range(1..=1_000_000_000))]
    pub coupon_uses: Option<u32>,

    /// How often one person can use the coupon
    #[arg(long, value_name = "N", requires = "coupon_uses", value_parser = clap::value_parser!(u32).range(1..))]
    pub coupon_per_customer: Option<u32>,

    /// What the coupon may take off of all orders together
    #[arg(long, value_name = "AMOUNT", requires = "coupon_uses")]
    pub coupon_budget: Option<Price>,

    /// Who finds the coupon used up while uses are held for others comes again for so long
    #[arg(long, value_name = "TIME", requires = "coupon_uses", default_value = "60s", value_parser = parse_duration)]
    pub coupon_patience: Duration,

    /// Who does not get the coupon in the end takes its code out and buys without
    #[arg(long, requires = "coupon_uses")]
    pub coupon_or_without: bool,

    /// Every session is a customer with an account, who is given so many points and pays with some of them
    #[arg(long, value_name = "N", conflicts_with_all = ["existing", "verify"], value_parser = clap::value_parser!(u32).range(1..=1_000_000_000))]
    pub points: Option<u32>,

    /// Percentage of customers who spend all of their points in two carts at once
    #[arg(long, default_value = "0", value_name = "PERCENT", requires = "points", value_parser = parse_percent)]
    pub points_twice: f64,

    /// Percentage of sessions that are wholesale buyers, each with an account: many pieces of a SKU cost them three quarters of its price
    #[arg(long, default_value = "0", value_name = "PERCENT", conflicts_with_all = ["existing", "verify", "sale_allotment"], value_parser = parse_percent)]
    pub wholesale: f64,

    /// Pieces of one SKU from which on each costs wholesale buyers less
    #[arg(long, default_value_t = 2, value_name = "N", requires = "wholesale", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub wholesale_from: u32,

    /// Percentage of persons who come to the sale or for the coupon with an account, and under their other addresses as guests; or of retail
    /// buyers beside wholesale buyers
    #[arg(long, default_value = "0", value_name = "PERCENT", requires = "terms", value_parser = parse_percent)]
    pub accounts: f64,

    /// Percentage of buyers whose card is declined
    #[arg(long, default_value = "0", value_name = "PERCENT", value_parser = parse_percent)]
    pub decline: f64,

    /// The payment token of all other buyers, such as tok_slow_200 or tok_lost_reply
    #[arg(long, default_value = "tok_approve", value_name = "TOKEN")]
    pub token: String,

    /// Percentage of buyers who send their checkout twice at once, with one Idempotency-Key (rush)
    #[arg(long, default_value = "0", value_name = "PERCENT", value_parser = parse_percent)]
    pub retry: f64,

    /// Every checkout carries an Idempotency-Key; without, only those that are sent twice do
    #[arg(long)]
    pub keys: bool,

    /// Checkouts ask with Prefer: wait=N to be answered once the order is paid or refused
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..=30))]
    pub wait: Option<u32>,

    /// Choices (SKUs, quantities, declines, repeats, think times) follow from this number
    #[arg(long, default_value_t = 1, value_name = "NUMBER")]
    pub seed: u64,

    /// A call that is not answered within this time counts as an error and is repeated
    #[arg(long, default_value = "30s", value_name = "TIME", value_parser = parse_duration)]
    pub timeout: Duration,

    /// How often one call is repeated after 503, 429, 504 or a lost connection
    #[arg(long, default_value_t = 20, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=1000))]
    pub repeats: u32,

    /// First time between two polls of an order; it doubles up to a second
    #[arg(long, default_value = "50ms", value_name = "TIME", value_parser = parse_duration)]
    pub poll: Duration,

    /// A session stops polling after this time; its order is asked for again at the end
    #[arg(long, default_value = "30s", value_name = "TIME", value_parser = parse_duration)]
    pub patience: Duration,

    /// At the end, how long to wait for unfinished orders, and then for their holds to go
    #[arg(long, default_value = "60s", value_name = "TIME", value_parser = parse_duration)]
    pub settle: Duration,

    /// Orders whose charges are looked up, at most
    #[arg(long, default_value_t = 200, value_name = "N")]
    pub check_charges: u32,

    /// Lost connections and timeouts that a repeat mended are no errors (for crash tests)
    #[arg(long)]
    pub expect_drops: bool,

    /// Write the summary to this file as JSON
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,

    /// Write the summary to this file as a page with plots
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,

    /// Append every promise a buyer was given to this file, a JSON line each
    #[arg(long, value_name = "FILE")]
    pub journal: Option<PathBuf>,

    /// Drive nothing: hold the server to every line of such a file
    #[arg(long, value_name = "FILE", conflicts_with_all = ["journal", "existing"])]
    pub verify: Option<PathBuf>,

    /// No progress on stderr
    #[arg(long)]
    pub quiet: bool,

    /// Be one of the processes of another: what to do comes on stdin
    #[arg(long, hide = true)]
    pub worker: bool,
}

/// A list that is one value of the command line.
pub type Addresses = std::sync::Arc<[IpAddr]>;

impl Cli {
    /// Refuses combinations that could not do what they say, with a sentence for the user.
    pub fn validate(&self) -> Result<(), String> {
        if self.verify.is_some() {
            return match self.admin_token {
                Some(_) => Ok(()),
                None => Err("--verify reads other people's orders: give --admin-token".into()),
            };
        }
        if self.existing.is_empty() && self.admin_token.is_none() {
            return Err("give --admin-token to make a shop, or --sku to buy from one that exists".into());
        }
        if self.scenario_file.is_some() {
            return Ok(());
        }
        let built = super::builtin::scenario(self);
        let skus = self.skus_of(&built);
        if self.lines as usize > skus {
            return Err(format!("--lines {} needs as many SKUs: give --skus {}", self.lines, self.lines));
        }
        if self.scenario != BuiltIn::Rush && self.retry > 0.0 {
            return Err("--retry belongs to the rush scenario".into());
        }
        if self.scenario != BuiltIn::Rush && self.room_capacity.is_some() {
            return Err("--room-capacity belongs to the rush scenario".into());
        }
        if self.poll.is_zero() {
            return Err("--poll must be more than 0".into());
        }
        built.validate()
    }

    /// How many SKUs there are to buy: those named, or those that the scenario makes.
    pub fn skus_of(&self, scenario: &Scenario) -> usize {
        match self.existing.len() {
            0 => scenario.shop.skus as usize,
            named => named,
        }
    }
}

/// The soft limit on open files, where the system tells.
pub fn open_files() -> Option<u32> {
    let limits = std::fs::read_to_string("/proc/self/limits").ok()?;
    open_files_in(&limits)
}

fn open_files_in(limits: &str) -> Option<u32> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    fn cli(arguments: &[&str]) -> Cli {
        let arguments = [&["haat-load", "--admin-token", "t"], arguments].concat();
        match Cli::try_parse_from(arguments) {
            Ok(cli) => cli,
            Err(error) => panic!("{error}"),
        }
    }

    #[test]
    fn the_command_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn combinations_that_cannot_work_are_refused() {
        assert_eq!(cli(&[]).validate(), Ok(()));
        for bad in [
            &["--lines", "2"][..],
            &["--vendors", "2"],
            &["--currency", "taka"],
            &["--scenario", "checkout", "--retry", "5"],
            &["--poll", "0"],
            &["--sale-allotment", "101", "--stock", "100"],
            &["--sale-allotment", "5", "--room-capacity", "5", "--room-slot", "1500ms"],
            &["--sale-allotment", "5", "--room-capacity", "5", "--scenario", "checkout"],
        ] {
            assert!(cli(bad).validate().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_file_is_not_mixed_with_what_describes_a_scenario() {
        assert_eq!(cli(&["--scenario-file", "x.toml", "--seed", "2", "--json", "y"]).validate(), Ok(()));
        for other in [&["--sessions", "5"][..], &["--think", "1s"], &["--timeout", "5s"], &["--keys"]] {
            let arguments = [&["haat-load", "--admin-token", "t", "--scenario-file", "x.toml"], other].concat();
            assert!(Cli::try_parse_from(arguments).is_err(), "{other:?}");
        }
    }

    #[test]
    fn a_sale_is_of_a_shop_that_is_made() {
        assert_eq!(cli(&["--sale-allotment", "5", "--sale-limit", "2", "--aliases", "3"]).validate(), Ok(()));
        for bad in [
            &["--sale-limit", "2"][..],
            &["--aliases", "3"],
            &["--sale-allotment", "5", "--sku", "sku_1"],
            &["--sale-allotment", "5", "--aliases", "17"],
            &["--room-capacity", "5"],
            &["--sale-allotment", "5", "--room-per-minute", "60"],
            &["--sale-allotment", "5", "--scenario-file", "x.toml"],
        ] {
            let arguments = [&["haat-load", "--admin-token", "t"], bad].concat();
            assert!(Cli::try_parse_from(arguments).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_coupon_is_of_a_shop_that_is_made() {
        let limited = ["--coupon-uses", "5", "--coupon-per-customer", "1", "--coupon-budget", "9.00", "--aliases", "3"];
        assert_eq!(cli(&limited).validate(), Ok(()));
        for bad in [
            &["--coupon-per-customer", "2"][..],
            &["--coupon-or-without"],
            &["--coupon-uses", "0"],
            &["--coupon-uses", "5", "--sku", "sku_1"],
            &["--coupon-uses", "5", "--scenario-file", "x.toml"],
        ] {
            let arguments = [&["haat-load", "--admin-token", "t"], bad].concat();
            assert!(Cli::try_parse_from(arguments).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn points_are_of_customers_of_a_shop_that_is_made() {
        let few = ["--sessions", "300", "--points", "500", "--points-twice", "20"];
        assert_eq!(cli(&few).validate(), Ok(()));
        for bad in [
            &["--points-twice", "20"][..],
            &["--points", "0"],
            &["--points", "5", "--sku", "sku_1"],
            &["--points", "5", "--scenario-file", "x.toml"],
        ] {
            let arguments = [&["haat-load", "--admin-token", "t"], bad].concat();
            assert!(Cli::try_parse_from(arguments).is_err(), "{bad:?}");
        }
        let many = ["--sessions", "2001", "--points", "5"];
        assert!(cli(&many).validate().is_err(), "more than can be signed up");
    }

    #[test]
    fn the_limit_on_open_files_is_read() {
        let text = "Limit                     Soft Limit           Hard Limit           Units\n\
                    Max open files            1024                 524288               files\n";
        assert_eq!(open_files_in(text), Some(1024));
        assert_eq!(open_files_in("nothing"), None);
    }
}
