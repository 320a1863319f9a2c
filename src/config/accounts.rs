//! What accounts need.

use super::ConfigError;
use crate::http::client::Block;
use crate::limits;
use crate::services::accounts::Cost;
use clap::Args;
use std::net::SocketAddr;
use std::time::Duration;

/// How people sign in.
#[derive(Args, Clone)]
pub struct AccountArgs {
    /// What the hash of a password costs: memory in KiB, passes and lanes of argon2id.
    #[arg(long, env = "HAAT_ARGON2", default_value = "m=19456,t=2,p=1", value_name = "COST")]
    pub argon2: String,
    /// Seconds for which the refresh token before the last one is taken.
    #[arg(long, env = "HAAT_REFRESH_GRACE_SECONDS", default_value_t = limits::REFRESH_GRACE_SECONDS, value_name = "SECONDS")]
    pub refresh_grace_seconds: u64,
    /// Days after which the details of a paid order are erased of whoever wanted to be forgotten.
    #[arg(long, env = "HAAT_ERASE_AFTER_DAYS", default_value_t = limits::ERASE_AFTER_DAYS, value_name = "DAYS")]
    pub erase_after_days: u32,
    /// How the shop's own links begin, such as https://shop.example: those of mails. By default http:// and the address to listen at.
    #[arg(long, env = "HAAT_PUBLIC_URL", value_name = "URL")]
    pub public_url: Option<String>,
    /// The proxies that are believed in X-Forwarded-For: networks such as 10.0.0.0/8, with commas between them.
    #[arg(long, env = "HAAT_TRUSTED_PROXIES", value_name = "NETWORKS")]
    pub trusted_proxies: Option<String>,
}

/// How people sign in, once it is known to be sound.
#[derive(Clone, Debug)]
pub struct AccountSettings {
    /// What the hash of a password costs.
    pub cost: Cost,
    /// How long the refresh token before the last one is taken.
    pub grace: Duration,
    /// How long after it was placed the details of a paid order are erased of whoever wanted to be forgotten.
    pub erase_after: Duration,
    /// How the shop's own links begin, without a slash at the end.
    pub public_url: String,
}

fn days(days: u32) -> Duration {
    Duration::from_secs(u64::from(days) * 24 * 60 * 60)
}

impl Default for AccountSettings {
    /// As where nothing is said, with links that begin with nothing.
    fn default() -> Self {
        let grace = Duration::from_secs(limits::REFRESH_GRACE_SECONDS);
        Self { cost: Cost::default(), grace, erase_after: days(limits::ERASE_AFTER_DAYS), public_url: String::new() }
    }
}

impl AccountArgs {
    /// What was said, once it is known to be sound.
    ///
    /// # Errors
    /// The first setting that cannot be used.
    pub fn settings(&self, listen: SocketAddr) -> Result<AccountSettings, ConfigError> {
        let cost = self.argon2.parse();
        let cost = cost.map_err(|reason| ConfigError::Setting { setting: "HAAT_ARGON2", reason })?;
        if self.refresh_grace_seconds < 10 {
            let reason =
                "must be 10 at least: so long a request may take, and of two at once one would seem a thief".into();
            return Err(ConfigError::Setting { setting: "HAAT_REFRESH_GRACE_SECONDS", reason });
        }
        if self.refresh_grace_seconds > 3600 {
            let reason =
                "must not be longer than an hour: so long a stolen token would be as good as its successor".into();
            return Err(ConfigError::Setting { setting: "HAAT_REFRESH_GRACE_SECONDS", reason });
        }
        let grace = Duration::from_secs(self.refresh_grace_seconds);
        let erase_after = days(self.erase_after_days);
        if erase_after > days(3650) {
            let reason = "must not be longer than ten years".into();
            return Err(ConfigError::Setting { setting: "HAAT_ERASE_AFTER_DAYS", reason });
        }
        Ok(AccountSettings { cost, grace, erase_after, public_url: self.public_url(listen)? })
    }

    fn public_url(&self, listen: SocketAddr) -> Result<String, ConfigError> {
        let Some(text) = self.public_url.as_deref().filter(|text| !text.is_empty()) else {
            return Ok(format!("http://{listen}"));
        };
        let wrong = |reason: &str| ConfigError::Setting { setting: "HAAT_PUBLIC_URL", reason: reason.to_owned() };
        let url = url::Url::parse(text).map_err(|_| wrong("is no URL: https://shop.example is expected"))?;
        if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
            return Err(wrong("must begin with http:// or https://, and a host"));
        }
        if url.query().is_some() || url.fragment().is_some() || !url.username().is_empty() || url.password().is_some() {
            return Err(wrong("must have no user, no query and no fragment"));
        }
        Ok(url.as_str().trim_end_matches('/').to_owned())
    }

    /// The proxies that are believed.
    ///
    /// # Errors
    /// When one is no network.
    pub fn trusted_proxies(&self) -> Result<Vec<Block>, ConfigError> {
        let Some(said) = self.trusted_proxies.as_deref().filter(|said| !said.is_empty()) else { return Ok(Vec::new()) };
        let blocks = said.split(',').map(|text| text.trim().parse());
        blocks
            .collect::<Result<_, _>>()
            .map_err(|reason| ConfigError::Setting { setting: "HAAT_TRUSTED_PROXIES", reason })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Given {
        #[command(flatten)]
        accounts: AccountArgs,
    }

    fn given(args: &[&str]) -> AccountArgs {
        Given::parse_from(std::iter::once(&"test").chain(args)).accounts
    }

    fn listen() -> SocketAddr {
        "127.0.0.1:8080".parse().expect("an address")
    }

    #[test]
    fn links_begin_where_it_is_said_or_where_it_listens() {
        assert_eq!(given(&[]).settings(listen()).expect("sound").public_url, "http://127.0.0.1:8080");
        let begins = |url: &str| given(&["--public-url", url]).settings(listen()).map(|settings| settings.public_url);
        assert_eq!(begins("https://Shop.example/").expect("sound"), "https://shop.example");
        assert_eq!(begins("https://example.com/shop/").expect("sound"), "https://example.com/shop");
        for bad in [
            "shop.example",
            "ftp://shop.example",
            "https://",
            "https://a:b@shop.example",
            "https://shop.example/?a=b",
            "https://shop.example/#a",
        ] {
            assert!(begins(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_cannot_be_meant_is_refused_with_its_name() {
        let refused =
            |args: &[&str]| match given(args).settings(listen()).map(drop).and(given(args).trusted_proxies().map(drop))
            {
                Err(ConfigError::Setting { setting, .. }) => setting,
                other => panic!("{other:?}"),
            };
        assert_eq!(refused(&["--argon2", "strong"]), "HAAT_ARGON2");
        for seconds in ["0", "9", "3601"] {
            assert_eq!(refused(&["--refresh-grace-seconds", seconds]), "HAAT_REFRESH_GRACE_SECONDS");
        }
        assert_eq!(refused(&["--erase-after-days", "3651"]), "HAAT_ERASE_AFTER_DAYS");
        assert_eq!(refused(&["--trusted-proxies", "10.0.0.0/8,everybody"]), "HAAT_TRUSTED_PROXIES");
        assert_eq!(refused(&["--trusted-proxies", " "]), "HAAT_TRUSTED_PROXIES");
        assert_eq!(refused(&["--trusted-proxies", "10.0.0.0/8,"]), "HAAT_TRUSTED_PROXIES");
        let two = given(&["--trusted-proxies", " 10.0.0.0/8, ::1"]).trusted_proxies().expect("sound");
        assert_eq!(two.iter().map(Block::to_string).collect::<Vec<_>>(), ["10.0.0.0/8", "::1/128"]);
    }
}
