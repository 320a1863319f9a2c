//! Who may ask, and how often.

use super::ConfigError;
use crate::http::cors;
use crate::http::rates::Table;
use clap::Args;
use http::HeaderValue;
use std::net::SocketAddr;

/// Who may ask, and how often.
#[derive(Args, Clone, Debug)]
pub struct EdgeArgs {
    /// How often an address or a bearer may ask: off, or class=count/seconds with commas between, such as carts=120/60. Classes are reads, search,
    /// carts, checkout, sign_in, staff and files; one that is not named is as shipped. By itself it is off on a loopback address.
    #[arg(long, env = "HAAT_RATE_LIMITS", value_name = "RATES")]
    pub rate_limits: Option<String>,
    /// The origins whose pages may call from a browser, with commas between, such as https://shop.example: of none by itself.
    #[arg(long, env = "HAAT_CORS_ORIGINS", value_name = "ORIGINS")]
    pub cors_origins: Option<String>,
}

impl EdgeArgs {
    /// The table to limit by, if anybody is limited.
    ///
    /// # Errors
    /// When what was said is no table.
    pub fn rates(&self, listen: SocketAddr) -> Result<Option<Table>, ConfigError> {
        match self.rate_limits.as_deref() {
            None | Some("") => Ok(Some(Table::default()).filter(|_| !listen.ip().to_canonical().is_loopback())),
            Some("off") => Ok(None),
            Some(said) => {
                let table = said.parse();
                table.map(Some).map_err(|reason| ConfigError::Setting { setting: "HAAT_RATE_LIMITS", reason })
            }
        }
    }

    /// The origins whose pages may call.
    ///
    /// # Errors
    /// When one is no origin.
    pub fn origins(&self) -> Result<Vec<HeaderValue>, ConfigError> {
        let Some(said) = self.cors_origins.as_deref().filter(|said| !said.is_empty()) else { return Ok(Vec::new()) };
        cors::origins(said).map_err(|reason| ConfigError::Setting { setting: "HAAT_CORS_ORIGINS", reason })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::rates::Class;

    fn table(said: Option<&str>, listen: &str) -> Result<Option<Table>, ConfigError> {
        EdgeArgs { rate_limits: said.map(str::to_owned), cors_origins: None }.rates(listen.parse().expect("an address"))
    }

    #[test]
    fn by_itself_only_those_are_limited_who_come_from_elsewhere() {
        for said in [None, Some("")] {
            for (listen, limits) in [
                ("127.0.0.1:8080", false),
                ("127.9.9.9:1", false),
                ("[::1]:8080", false),
                ("[::ffff:127.0.0.1]:8080", false),
                ("0.0.0.0:8080", true),
                ("[::]:8080", true),
                ("192.0.2.1:8080", true),
            ] {
                let found = table(said, listen).expect("sound");
                assert_eq!(found, limits.then(Table::default), "{listen}");
            }
        }
        for listen in ["127.0.0.1:8080", "0.0.0.0:8080"] {
            assert_eq!(table(Some("off"), listen).expect("sound"), None);
            let said = table(Some("carts=3/60"), listen).expect("sound").expect("a table");
            assert_eq!(said.quota(Class::Carts).count, 3);
        }
    }

    #[test]
    fn what_cannot_be_meant_is_refused_with_its_name() {
        for said in [" ", "on", "OFF", "carts=3", "carts=3/60,off", "carts=3/0"] {
            let refused = table(Some(said), "127.0.0.1:8080").expect_err(said).to_string();
            assert!(refused.starts_with("HAAT_RATE_LIMITS: "), "{refused}");
        }
    }

    #[test]
    fn pages_of_no_origin_may_call_unless_it_is_said() {
        let origins =
            |said: Option<&str>| EdgeArgs { rate_limits: None, cors_origins: said.map(str::to_owned) }.origins();
        for said in [None, Some("")] {
            assert!(origins(said).expect("sound").is_empty());
        }
        assert_eq!(origins(Some("https://shop.example")).expect("sound"), ["https://shop.example"]);
        for said in [" ", "*", "junk", "https://shop.example/"] {
            let refused = origins(Some(said)).expect_err(said).to_string();
            assert!(refused.starts_with("HAAT_CORS_ORIGINS: "), "{refused}");
        }
    }
}
