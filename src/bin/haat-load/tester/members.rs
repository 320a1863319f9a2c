//! Buyers with accounts: who of those who come has one, and how the accounts are made, as anybody makes one: by a sign-up whose mail the sandbox
//! keeps.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::judge::PriceFacts;
use super::points::OtherCart;
use super::run::Run;
use super::sale::part_of_price;
use super::scenario::Scenario;
use super::shop::Desk;
use super::values::Share;
use super::wire::{Accepted, Signed, Whatever};

/// Accounts made in one go, with a mail each: far fewer than the book shows at once.
const BATCH: usize = 20;
/// Between two looks into the book.
const LOOK: Duration = Duration::from_millis(20);
/// Within which a mail is there.
const PATIENCE: Duration = Duration::from_secs(30);
/// More would take longer to sign up than their tokens are good for.
const MOST: usize = 2_000;
/// What stands before the token in a mail.
const LINK: &str = "#token=";

/// Buyers of the wholesale group, for whom from so many pieces on each costs three quarters.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wholesale {
    /// The share of sessions that are such buyers, each a customer with an account.
    pub share: Share,
    /// Pieces of one SKU from which on each costs less.
    #[serde(default = "two")]
    pub from: u32,
}

fn two() -> u32 {
    2
}

impl Wholesale {
    /// Refuses what could not be offered.
    pub fn validate(&self) -> Result<(), String> {
        match (1..=10_000).contains(&self.from) {
            true => Ok(()),
            false => Err("shop: wholesale: from 1 to 10,000 pieces".into()),
        }
    }

    /// The terms of a SKU, as the contract has them.
    pub fn terms(&self, scenario: &Scenario) -> anyhow::Result<serde_json::Value> {
        let price = part_of_price(&scenario.shop, 3, 4)?;
        Ok(serde_json::json!({
            "price_breaks": [{ "min_quantity": self.from, "price": price, "audience": "wholesale" }],
        }))
    }
}

/// What pieces cost, where there is a price for wholesale buyers.
pub fn prices(scenario: &Scenario) -> anyhow::Result<Option<PriceFacts>> {
    let Some(wholesale) = &scenario.shop.wholesale else { return Ok(None) };
    Ok(Some(PriceFacts {
        list: part_of_price(&scenario.shop, 1, 1)?,
        wholesale: part_of_price(&scenario.shop, 3, 4)?,
        from: wholesale.from.into(),
    }))
}

/// What the shop's staff made of somebody with an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// Nothing.
    Retail,
    /// A wholesale buyer.
    Wholesale,
    /// A wholesale buyer, and then a retail buyer again.
    NoMore,
}

impl Group {
    /// What the shop is told, one after the other.
    fn told(self) -> &'static [&'static str] {
        match self {
            Group::Retail => &[],
            Group::Wholesale => &["wholesale"],
            Group::NoMore => &["wholesale", "retail"],
        }
    }
}

/// Somebody with an account.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Member {
    /// What lets them in.
    pub token: String,
    /// `customer_…`
    pub customer: String,
    /// They have wholesale prices.
    pub wholesale: bool,
    /// The other cart of one who spends the same points in two.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub other: Option<OtherCart>,
}

/// How many of the first so many are of the share, which is spread evenly over all.
fn share_of(number: u64, share: Share) -> u64 {
    (number as f64 * share.0 / 100.0).floor() as u64
}

/// Whether the one with this number is of the share.
pub fn is_among(number: u64, share: Share) -> bool {
    share_of(number + 1, share) > share_of(number, share)
}

/// The sessions that come with an account, each with the address of it and what its buyer is: all where there are points to spend. Of a person
/// with several addresses only the first comes so: the others come as guests. Where there are wholesale buyers, every other retail buyer with an account was one once.
pub fn who(scenario: &Scenario) -> Result<BTreeMap<u64, (String, Group)>, String> {
    let shop = &scenario.shop;
    let mut who = BTreeMap::new();
    if !shop.has_members() {
        return Ok(who);
    }
    let Some(sessions) = scenario.arrival.sessions() else {
        return Err("shop: buyers with accounts need a number of sessions".into());
    };
    let wholesale = shop.wholesale.as_ref().map_or(Share(0.0), |wholesale| wholesale.share);
    let mut retail = 0;
    for session in 0..u64::from(sessions) {
        let has_account = match shop.people() {
            _ if shop.points.is_some() => true,
            Some(people) => {
                session.is_multiple_of(people.aliases.into()) && is_among(people.person(session), shop.accounts)
            }
            // Of those who are no wholesale buyers.
            None => is_among(session - share_of(session, wholesale), shop.accounts),
        };
        let group = match (is_among(session, wholesale), has_account) {
            (true, _) => Group::Wholesale,
            (false, true) => {
                retail += 1;
                if shop.wholesale.is_some() && retail % 2 == 0 { Group::NoMore } else { Group::Retail }
            }
            (false, false) => continue,
        };
        let address = shop.people().map(|people| people.address(session));
        who.insert(session, (address.unwrap_or_else(|| format!("load.{session}@example.com")), group));
    }
    match who.len() <= MOST {
        true => Ok(who),
        false => Err(format!("shop: {} buyers with accounts are more than {MOST}", who.len())),
    }
}

/// Makes the accounts, and signs in with each.
pub async fn sign_up(desk: &mut Desk, run: &Run) -> anyhow::Result<BTreeMap<u64, Member>> {
    let mut who: Vec<_> = who(&run.scenario).map_err(anyhow::Error::msg)?.into_iter().collect();
    if run.scenario.shop.people().is_none() {
        // An address has one account: those of an earlier run are taken.
        let unique = Uuid::new_v4().simple().to_string();
        for (_, (address, _)) in &mut who {
            *address = format!("{unique}.{address}");
        }
    }
    let mut members = BTreeMap::new();
    for batch in who.chunks(BATCH) {
        let password = format!("load {}", Uuid::new_v4().simple());
        for (_, (address, _)) in batch {
            let body = serde_json::json!({ "email": address, "password": password });
            let _: Accepted = desk.public("/v1/auth/sign-up", &body).await.context("could not sign up")?;
        }
        let mails = mailed(desk, batch.iter().map(|(_, (address, _))| &**address).collect()).await?;
        for (session, (address, group)) in batch {
            let body = serde_json::json!({ "token": mails[address], "password": password });
            let signed: Signed = desk.public("/v1/auth/verify", &body).await.context("could not verify an address")?;
            let customer = signed.account.id.replace("account_", "customer_");
            let path = format!("/v1/admin/customers/{customer}");
            for told in group.told() {
                let _: Whatever = desk.patch(path.clone(), &serde_json::json!({ "group": told })).await?;
            }
            let wholesale = *group == Group::Wholesale;
            members.insert(*session, Member { token: signed.access_token, customer, wholesale, other: None });
        }
    }
    Ok(members)
}

/// The tokens that were mailed to these addresses.
async fn mailed(desk: &mut Desk, addresses: Vec<&str>) -> anyhow::Result<BTreeMap<String, String>> {
    let until = Instant::now() + PATIENCE;
    loop {
        let book = desk.mails().await.context("accounts are made with the mails that the sandbox keeps")?;
        let mut tokens = BTreeMap::new();
        // The newest comes first, and is the one that is good.
        for mail in book.items.into_iter().rev().filter(|mail| mail.event == "account.sign_up") {
            if let (true, Some(token)) = (addresses.contains(&&*mail.to), token_in(&mail.text)) {
                tokens.insert(mail.to, token);
            }
        }
        match addresses.iter().find(|address| !tokens.contains_key(**address)) {
            None => return Ok(tokens),
            Some(address) if Instant::now() >= until => {
                bail!("no mail to {address}: it has an account, it may be of an earlier run; a fresh shop knows none")
            }
            Some(_) => tokio::time::sleep(LOOK).await,
        }
    }
}

fn token_in(text: &str) -> Option<String> {
    let (_, rest) = text.split_once(LINK)?;
    rest.split_whitespace().next().map(ToOwned::to_owned)
}

#[cfg(test)]
mod tests {
    use super::super::builtin;
    use super::super::cli::Cli;
    use super::*;
    use clap::Parser;

    fn scenario(arguments: &[&str]) -> Scenario {
        builtin::scenario(&Cli::parse_from([&["haat-load"], arguments].concat()))
    }

    #[test]
    fn a_share_of_sessions_is_spread_evenly() {
        let among = |share| (0..10).filter(|number| is_among(*number, Share(share))).collect::<Vec<_>>();
        assert_eq!(among(0.0), [] as [u64; 0]);
        assert_eq!(among(20.0), [4, 9]);
        assert_eq!(among(50.0), [1, 3, 5, 7, 9]);
        assert_eq!(among(100.0).len(), 10);
    }

    #[test]
    fn of_a_person_with_an_account_one_session_has_it_and_the_others_are_guests() {
        let sale = ["--sessions", "12", "--sale-allotment", "5", "--aliases", "3", "--accounts", "50"];
        let who = who(&scenario(&sale)).expect("who");
        let who: Vec<_> = who.into_iter().map(|(session, (address, group))| (session, address, group)).collect();
        assert_eq!(
            who,
            [(3, "load1@gmail.com".to_owned(), Group::Retail), (9, "load3@gmail.com".to_owned(), Group::Retail)],
            "every other person's first session"
        );
    }

    #[test]
    fn wholesale_buyers_have_an_account_each_and_not_too_many() {
        let of = |arguments: &[&str]| who(&scenario(arguments));
        let few = of(&["--sessions", "10", "--wholesale", "20"]).expect("who");
        assert_eq!(few.keys().copied().collect::<Vec<_>>(), [4, 9]);
        assert_eq!(few[&4], ("load.4@example.com".to_owned(), Group::Wholesale));
        let both = of(&["--sessions", "10", "--wholesale", "20", "--accounts", "50"]).expect("who");
        let both: Vec<_> = both.into_iter().map(|(session, (_, group))| (session, group)).collect();
        let (retail, wholesale, no_more) = (Group::Retail, Group::Wholesale, Group::NoMore);
        assert_eq!(
            both,
            [(1, retail), (3, no_more), (4, wholesale), (6, retail), (8, no_more), (9, wholesale)],
            "half of the others have accounts, half of these no more"
        );
        assert!(of(&["--sessions", "10000", "--wholesale", "20"]).is_ok());
        assert!(of(&["--sessions", "10001", "--wholesale", "20.01"]).is_err());
        assert!(of(&["--sessions", "10"]).expect("nobody").is_empty());
        let points = of(&["--sessions", "10", "--points", "5", "--wholesale", "20"]).expect("who");
        assert_eq!(points.len(), 10, "everybody");
    }

    #[test]
    fn wholesale_prices_are_three_quarters() {
        let scenario = scenario(&["--wholesale", "20", "--price", "9.99"]);
        let wholesale = scenario.shop.wholesale.clone().expect("wholesale");
        assert_eq!(
            wholesale.terms(&scenario).expect("terms"),
            serde_json::json!({ "price_breaks": [{
                "min_quantity": 2, "price": { "amount": "7.49", "currency": "BDT" }, "audience": "wholesale",
            }]})
        );
        let prices = prices(&scenario).expect("prices").expect("prices");
        assert_eq!((&*prices.list.amount, &*prices.wholesale.amount, prices.from), ("9.99", "7.49", 2));
        assert!(Wholesale { from: 0, ..wholesale }.validate().is_err());
    }

    #[test]
    fn the_token_of_a_mail_is_what_its_link_ends_with() {
        assert_eq!(token_in("Hello\nhttps://shop.example/dashboard#token=a.b-c\nBye"), Some("a.b-c".into()));
        assert_eq!(token_in("Hello"), None);
    }
}
