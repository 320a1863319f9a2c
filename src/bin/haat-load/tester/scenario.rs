//! A scenario: what is bought, who arrives when, which steps a session takes, and what is wanted of the server. It is read from a
//! TOML file; what the command line describes is made into the same structure (`builtin`).

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, bail};
use serde::{Deserialize, Serialize};

use super::arrivals::{Spacing, Stage};
use super::coupon::Coupon;
use super::members::{self, Wholesale};
use super::people::People;
use super::points::Points;
use super::room;
use super::sale::Sale;
use super::stats::Call;
use super::think::ThinkTime;
use super::values::{Price, Share, Span, Time};

/// Everything about a run that is not where and by whom it is made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// Its name in reports.
    pub name: String,
    /// What is made to be bought.
    #[serde(default)]
    pub shop: Shop,
    /// What a session puts into its cart.
    #[serde(default)]
    pub cart: Basket,
    /// Who comes when.
    pub arrival: Arrival,
    /// How sessions reach the server.
    #[serde(default)]
    pub connections: Connections,
    /// What a session does, in order.
    pub steps: Vec<Step>,
    /// What is wanted.
    #[serde(default)]
    pub objectives: Objectives,
}

/// The shop that is made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Shop {
    /// Vendors; the SKUs are spread over them.
    pub vendors: u32,
    /// SKUs.
    pub skus: u32,
    /// Pieces of each SKU.
    pub stock: u32,
    /// Price of each piece.
    pub price: Price,
    /// ISO 4217.
    pub currency: String,
    /// All of it is on sale.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sale: Option<Sale>,
    /// Every session puts its code into its cart.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub coupon: Option<Coupon>,
    /// Everybody comes with an account, has points and pays with them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub points: Option<Points>,
    /// There is a price for wholesale buyers, and some come.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wholesale: Option<Wholesale>,
    /// The share of persons who come with an account to the sale or for the coupon, and under their other addresses as guests; or of the retail
    /// buyers beside wholesale buyers, every other of whom was a wholesale buyer once.
    pub accounts: Share,
}

impl Shop {
    /// Whether some of those who come have accounts.
    pub fn has_members(&self) -> bool {
        self.wholesale.is_some() || self.points.is_some() || self.accounts.0 > 0.0
    }

    /// Who comes, where it matters.
    pub fn people(&self) -> Option<People> {
        let of_sale = self.sale.as_ref().map(|sale| sale.aliases);
        let aliases = of_sale.or(self.coupon.as_ref().map(|coupon| coupon.aliases))?;
        Some(People { aliases })
    }
}

impl Default for Shop {
    fn default() -> Self {
        Shop {
            vendors: 1,
            skus: 1,
            stock: 100,
            price: Price("1250.00".into()),
            currency: "BDT".into(),
            sale: None,
            coupon: None,
            points: None,
            wholesale: None,
            accounts: Share::default(),
        }
    }
}

/// What goes into a cart.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Basket {
    /// Lines, each of another SKU.
    pub lines: u32,
    /// Pieces per line.
    pub quantity: Span<u32>,
}

impl Default for Basket {
    fn default() -> Self {
        Basket { lines: 1, quantity: Span { min: 1, max: 1 } }
    }
}

/// Who comes when.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "model", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Arrival {
    /// So many users, each of whom begins a session when the one before has ended: a slow server is asked less.
    Closed {
        /// At the same time.
        users: u32,
        /// Sessions of all users together. Without it, and without `for`: one each.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        sessions: Option<u32>,
        /// Sessions are begun for so long.
        #[serde(default, rename = "for", skip_serializing_if = "Option::is_none")]
        lasts: Option<Time>,
        /// The users come spread over this time.
        #[serde(default)]
        ramp: Time,
    },
    /// Sessions arrive when they arrive, however the server does.
    Open {
        /// Within each stage.
        #[serde(default)]
        spacing: Spacing,
        /// One after the other.
        stages: Vec<Stage>,
    },
}

/// What sessions speak.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Protocol {
    /// HTTP/1.1 with keep-alive.
    #[default]
    Http1,
    /// HTTP/2 without TLS, from the first byte on.
    H2c,
}

/// How sessions reach the server.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Connections {
    /// What is spoken.
    pub protocol: Protocol,
    /// Sessions that share one connection (h2c).
    pub sessions_per_connection: u32,
    /// Sessions under way at once, over all processes; whoever comes later waits, and its latency counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at_most: Option<u32>,
    /// A session takes over the connection of one that has ended (http1).
    pub reuse: bool,
    /// A call that is not answered within this time is an error, and repeated.
    pub timeout: Time,
    /// How often one call is repeated after 503, 429, 504 or a lost connection.
    pub repeats: u32,
}

impl Default for Connections {
    fn default() -> Self {
        Connections {
            protocol: Protocol::Http1,
            sessions_per_connection: 1,
            at_most: None,
            reuse: false,
            timeout: Time(std::time::Duration::from_secs(30)),
            repeats: 20,
        }
    }
}

/// One step of a session. `think` comes before it; `abandon` is the share of sessions that leave instead.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Step {
    /// GET the page of the SKU that will be bought.
    Browse {
        #[serde(default)]
        think: ThinkTime,
        #[serde(default)]
        abandon: Share,
        /// So often, with the think time before each.
        #[serde(default = "one")]
        times: u32,
    },
    /// Watch the stream of events of the SKU that will be bought.
    Watch {
        #[serde(default)]
        think: ThinkTime,
        #[serde(default)]
        abandon: Share,
        /// For so long.
        #[serde(rename = "for")]
        lasts: ThinkTime,
    },
    /// Make a cart, then put in its lines.
    Fill {
        #[serde(default)]
        think: ThinkTime,
        #[serde(default)]
        abandon: Share,
        /// Before each line.
        #[serde(default)]
        between: ThinkTime,
        /// For all sessions before the first begins; not measured.
        #[serde(default)]
        beforehand: bool,
    },
    /// Wait in the room of the sale until let in.
    WaitInLine {
        #[serde(default)]
        think: ThinkTime,
        #[serde(default)]
        abandon: Share,
        /// Who is not let in by then leaves.
        #[serde(default = "room::patience")]
        patience: Time,
    },
    /// POST the checkout.
    CheckOut {
        #[serde(default)]
        think: ThinkTime,
        #[serde(default)]
        abandon: Share,
        /// The share whose card is declined.
        #[serde(default)]
        decline: Share,
        /// The share that sends the same checkout twice with one Idempotency-Key.
        #[serde(default)]
        retry: Share,
        /// When the second is sent.
        #[serde(default)]
        retry_when: RetryWhen,
        /// Every checkout carries an Idempotency-Key.
        #[serde(default)]
        key: bool,
        /// `Prefer: wait=N`, in seconds.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        wait: Option<u32>,
        /// The payment token of all whose card is not declined.
        #[serde(default = "approve")]
        token: String,
    },
    /// GET the order until it is paid or has ended.
    Poll {
        #[serde(default)]
        think: ThinkTime,
        #[serde(default)]
        abandon: Share,
        /// The first gap between two polls; it doubles.
        #[serde(default = "poll_gap")]
        every: Time,
        /// The longest gap.
        #[serde(default = "longest_poll_gap")]
        up_to: Time,
        /// A session stops polling after this time; its order is asked for again at the end.
        #[serde(default = "patience")]
        patience: Time,
    },
    /// Stay, with the connection open. Those who were refused stay too.
    Rest {
        #[serde(default)]
        think: ThinkTime,
        #[serde(default)]
        abandon: Share,
    },
}

fn one() -> u32 {
    1
}

fn approve() -> String {
    "tok_approve".into()
}

fn poll_gap() -> Time {
    Time(std::time::Duration::from_millis(50))
}

fn longest_poll_gap() -> Time {
    Time(std::time::Duration::from_secs(1))
}

fn patience() -> Time {
    Time(std::time::Duration::from_secs(30))
}

/// When a checkout's repeat is sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RetryWhen {
    /// With the first, on a second connection.
    #[default]
    AtOnce,
    /// After the first was answered.
    Afterwards,
}

/// What is wanted; what is not named is not asked for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Objectives {
    /// At most this share of calls may fail: no answer, or one that the contract does not foresee.
    pub errors: Share,
    /// At most this share of answers may be 503, 429 or 504.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub put_off: Option<Share>,
    /// What buyers were told and what the shop says must agree.
    pub conservation: bool,
    /// Half of the calls take at most this time, by kind of call; `every` is for those not named.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub p50: BTreeMap<Which, Time>,
    /// 95 of 100.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub p95: BTreeMap<Which, Time>,
    /// 99 of 100.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub p99: BTreeMap<Which, Time>,
}

impl Default for Objectives {
    fn default() -> Self {
        Objectives {
            errors: Share(0.0),
            put_off: None,
            conservation: true,
            p50: BTreeMap::new(),
            p95: BTreeMap::new(),
            p99: BTreeMap::new(),
        }
    }
}

/// The calls that an objective is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs, reason = "the names of the calls")]
pub enum Which {
    Every,
    Connect,
    Browse,
    Watch,
    ToldLater,
    CreateCart,
    SetLine,
    SetCoupon,
    JoinLine,
    Place,
    Enter,
    Checkout,
    Poll,
    CheckoutToEnd,
}

impl Which {
    /// The kind of call; `None` for all that are not named.
    pub fn call(self) -> Option<Call> {
        match self {
            Which::Every => None,
            Which::Connect => Some(Call::Connect),
            Which::Browse => Some(Call::Browse),
            Which::Watch => Some(Call::Watch),
            Which::ToldLater => Some(Call::ToldLater),
            Which::CreateCart => Some(Call::CreateCart),
            Which::SetLine => Some(Call::SetLine),
            Which::SetCoupon => Some(Call::SetCoupon),
            Which::JoinLine => Some(Call::JoinLine),
            Which::Place => Some(Call::Place),
            Which::Enter => Some(Call::Enter),
            Which::Checkout => Some(Call::Checkout),
            Which::Poll => Some(Call::Poll),
            Which::CheckoutToEnd => Some(Call::ToTheEnd),
        }
    }
}

impl Arrival {
    /// How many sessions there will be; `None` when that follows from how long they take.
    pub fn sessions(&self) -> Option<u32> {
        match self {
            Arrival::Closed { sessions: Some(sessions), .. } => Some(*sessions),
            Arrival::Closed { lasts: Some(_), .. } => None,
            Arrival::Closed { users, .. } => Some(*users),
            Arrival::Open { stages, .. } => Some(stages.iter().map(Stage::sessions).fold(0, u32::saturating_add)),
        }
    }
}

impl Step {
    /// The think time before it.
    pub fn think(&self) -> &ThinkTime {
        match self {
            Step::Browse { think, .. }
            | Step::Watch { think, .. }
            | Step::Fill { think, .. }
            | Step::WaitInLine { think, .. }
            | Step::CheckOut { think, .. }
            | Step::Poll { think, .. }
            | Step::Rest { think, .. } => think,
        }
    }

    /// The share that leaves instead.
    pub fn abandon(&self) -> Share {
        match self {
            Step::Browse { abandon, .. }
            | Step::Watch { abandon, .. }
            | Step::Fill { abandon, .. }
            | Step::WaitInLine { abandon, .. }
            | Step::CheckOut { abandon, .. }
            | Step::Poll { abandon, .. }
            | Step::Rest { abandon, .. } => *abandon,
        }
    }
}

impl Scenario {
    /// Reads a file and refuses what makes no sense, with the place where there is one.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let text =
            std::fs::read_to_string(path).with_context(|| format!("could not read the scenario {}", path.display()))?;
        Self::parse(&text).with_context(|| format!("{} is no scenario", path.display()))
    }

    /// Reads a file that says nothing of a shop, for this one.
    #[allow(dead_code, reason = "haat rehearse does")]
    pub fn read_for(path: &Path, shop: Shop) -> anyhow::Result<Self> {
        let text =
            std::fs::read_to_string(path).with_context(|| format!("could not read the scenario {}", path.display()))?;
        let read = || {
            let scenario: Scenario = toml::from_str(&text)?;
            if scenario.shop != Shop::default() {
                bail!("shop: it is there already: leave it out");
            }
            let scenario = Scenario { shop, ..scenario };
            scenario.validate().map_err(anyhow::Error::msg)?;
            anyhow::Ok(scenario)
        };
        read().with_context(|| format!("{} is no scenario", path.display()))
    }

    /// Reads the text of a file.
    pub fn parse(text: &str) -> anyhow::Result<Self> {
        let scenario: Scenario = toml::from_str(text)?;
        if let Err(wrong) = scenario.validate() {
            bail!(wrong);
        }
        Ok(scenario)
    }

    /// Whether carts are made before the measured phase.
    pub fn prepares(&self) -> bool {
        self.steps.iter().any(|step| matches!(step, Step::Fill { beforehand: true, .. }))
    }

    /// Whether a session may have sent its checkout twice at once, or those of two carts, and so have two connections.
    pub fn doubles(&self) -> bool {
        let two_carts = self.shop.points.as_ref().is_some_and(|points| points.twice.0 > 0.0);
        two_carts
            || self.steps.iter().any(
                |step| matches!(step, Step::CheckOut { retry, retry_when: RetryWhen::AtOnce, .. } if retry.0 > 0.0),
            )
    }

    /// Whether a session checks out, and whether it then looks how that ends.
    pub fn checks_out_and_polls(&self) -> (bool, bool) {
        let any = |of: fn(&Step) -> bool| self.steps.iter().any(of);
        (any(|step| matches!(step, Step::CheckOut { .. })), any(|step| matches!(step, Step::Poll { .. })))
    }

    /// Refuses what could not do what it says.
    pub fn validate(&self) -> Result<(), String> {
        let shop = &self.shop;
        if self.name.trim().is_empty() || self.name.len() > 100 {
            return Err("name: give the scenario one of 1 to 100 characters".into());
        }
        if !(1..=10_000).contains(&shop.skus) || !(1..=1000).contains(&shop.vendors) {
            return Err("shop: from 1 to 10,000 skus of 1 to 1,000 vendors".into());
        }
        if shop.vendors > shop.skus {
            return Err("shop: there may not be more vendors than skus".into());
        }
        if shop.currency.len() != 3 || !shop.currency.bytes().all(|b| b.is_ascii_uppercase()) {
            return Err(format!("shop: '{}' is not a currency code such as BDT", shop.currency));
        }
        if let Some(sale) = &shop.sale {
            sale.validate(shop)?;
        }
        if let Some(coupon) = &shop.coupon {
            coupon.validate(shop)?;
        }
        if let Some(points) = &shop.points {
            points.validate(shop)?;
        }
        if let Some(wholesale) = &shop.wholesale {
            wholesale.validate()?;
            if shop.sale.is_some() {
                return Err(
                    "shop: a sale at half the price leaves nothing to wholesale prices: give one of both".into()
                );
            }
        }
        if shop.accounts.0 > 0.0 && shop.people().is_none() && shop.wholesale.is_none() {
            return Err(
                "shop: accounts are for those who come to a sale, for a coupon, or beside wholesale buyers".into()
            );
        }
        if !(1..=200).contains(&self.cart.lines) {
            return Err("cart: from 1 to 200 lines".into());
        }
        self.validate_arrival()?;
        members::who(self)?;
        let connections = &self.connections;
        if !(1..=10_000).contains(&connections.sessions_per_connection) || connections.at_most == Some(0) {
            return Err("connections: from 1 to 10,000 sessions_per_connection, and at_most at least 1".into());
        }
        if connections.protocol == Protocol::Http1 && connections.sessions_per_connection > 1 {
            return Err("connections: only h2c carries several sessions_per_connection".into());
        }
        if connections.protocol == Protocol::H2c && connections.reuse {
            return Err("connections: reuse belongs to http1; h2c has sessions_per_connection".into());
        }
        if connections.timeout.0.is_zero() || connections.repeats > 1000 {
            return Err("connections: a timeout above 0, and at most 1,000 repeats".into());
        }
        self.validate_steps()
    }

    fn validate_arrival(&self) -> Result<(), String> {
        match &self.arrival {
            Arrival::Closed { users: 0, .. } => return Err("arrival: a closed model needs users".into()),
            Arrival::Closed { sessions: Some(_), lasts: Some(_), .. } => {
                return Err("arrival: give either sessions or for".into());
            }
            Arrival::Closed { .. } => {}
            Arrival::Open { stages, .. } => {
                for (place, stage) in stages.iter().enumerate() {
                    stage.validate().map_err(|wrong| format!("arrival: stage {}: {wrong}", place + 1))?;
                }
            }
        }
        match self.arrival.sessions() {
            Some(0) => Err("arrival: nobody comes".into()),
            Some(sessions) if sessions > 100_000_000 => Err("arrival: more than 100,000,000 sessions".into()),
            Some(_) => Ok(()),
            None if self.prepares() => Err("arrival: carts made beforehand need a number of sessions".into()),
            None => Ok(()),
        }
    }

    fn validate_steps(&self) -> Result<(), String> {
        let (mut filled, mut let_in, mut checked_out, mut polled) = (false, false, false, false);
        let has_room = self.shop.sale.as_ref().is_some_and(|sale| sale.room.is_some());
        if self.steps.is_empty() {
            return Err("steps: a session does something".into());
        }
        for (place, step) in self.steps.iter().enumerate() {
            let wrong = |said: &str| Err(format!("steps: step {}: {said}", place + 1));
            step.think().validate().or_else(|said| wrong(&said))?;
            match step {
                Step::Browse { times: 0, .. } => return wrong("browse at least once"),
                Step::Browse { .. } | Step::Rest { .. } => {}
                Step::Watch { lasts, .. } => lasts.validate().or_else(|said| wrong(&said))?,
                Step::Fill { .. } if filled => return wrong("a session fills one cart"),
                Step::Fill { beforehand: true, .. } if place > 0 => return wrong("what is beforehand comes first"),
                Step::Fill { between, .. } => {
                    between.validate().or_else(|said| wrong(&said))?;
                    filled = true;
                }
                Step::WaitInLine { .. } if !has_room => return wrong("there is no shop.sale.room to wait in"),
                Step::WaitInLine { .. } if !filled => return wrong("a guest waits with a cart: fill one before"),
                Step::WaitInLine { .. } if let_in || checked_out => return wrong("one waits once, before a check-out"),
                Step::WaitInLine { .. } => let_in = true,
                Step::CheckOut { .. } if has_room && !let_in => {
                    return wrong("without an entry the sale sells nothing");
                }
                Step::CheckOut { .. } if !filled => return wrong("a cart is filled before it is checked out"),
                Step::CheckOut { .. } if checked_out => return wrong("a session checks out once"),
                Step::CheckOut { wait: Some(wait), .. } if !(1..=30).contains(wait) => {
                    return wrong("wait is from 1 to 30 seconds");
                }
                Step::CheckOut { .. } => checked_out = true,
                Step::Poll { .. } if !checked_out => return wrong("there is no order to poll before a check-out"),
                Step::Poll { .. } if polled => return wrong("a session polls until the end: once is enough"),
                Step::Poll { every, .. } if every.0.is_zero() => return wrong("every must be more than 0"),
                Step::Poll { .. } => polled = true,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "scenario_tests.rs"]
mod tests;
