//! Parcels through a courier's platform, the company's own or another's that speaks as it does.

use super::ConfigError;
use super::platform;
use crate::adapters::courier::PlatformCourier;
use crate::adapters::platform::PlatformConfig;
use clap::Args;

/// Where the courier's platform is, and by what it and the shop know each other.
#[derive(Args, Clone, Default)]
pub struct CourierArgs {
    /// A courier's platform that speaks as docs/courier.md says: with it, parcels are booked and tracked.
    #[arg(long, env = "HAAT_COURIER_URL", value_name = "URL")]
    pub courier_url: Option<String>,
    /// By what the platform knows the shop, and signs its notices to /v1/notices/couriers/platform with; several with commas between, while one
    /// takes the place of another: the shop shows the first.
    #[arg(long, env = "HAAT_COURIER_SECRET", value_name = "SECRETS", hide_env_values = true)]
    pub courier_secret: Option<String>,
}

impl CourierArgs {
    /// What was said, once it is known to be sound; `None` where there is no platform.
    ///
    /// # Errors
    /// The first setting that cannot be used, without what is secret in it.
    pub fn settings(&self, public_url: &str) -> Result<Option<PlatformConfig>, ConfigError> {
        let names = ("HAAT_COURIER_URL", "HAAT_COURIER_SECRET");
        let config = platform::settings(names, &self.courier_url, &self.courier_secret, public_url)?;
        if let Some(config) = &config {
            PlatformCourier::new(config).map_err(|error| platform::wrong(names, &error))?;
        }
        Ok(config)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

    fn settings(url: &str, secret: &str) -> Result<Option<PlatformConfig>, String> {
        let given = |text: &str| Some(text.to_owned());
        let args = CourierArgs { courier_url: given(url), courier_secret: given(secret) };
        args.settings("https://shop.example").map_err(|error| error.to_string())
    }

    #[test]
    fn what_cannot_be_used_is_refused_by_its_own_name_and_no_secret_is_told() {
        assert!(matches!(settings("", ""), Ok(None)));
        let several = format!("{SECRET}, whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
        let config = settings("https://courier.example/v1/", &several).unwrap().unwrap();
        assert_eq!((config.secrets.len(), config.secrets[0].as_str()), (2, SECRET));
        for (url, secret, named) in [
            ("", SECRET, "HAAT_COURIER_URL: must be set where HAAT_COURIER_SECRET is"),
            ("https://courier.example", "", "HAAT_COURIER_SECRET: must be set where HAAT_COURIER_URL is"),
            ("https://courier.example", "hush", "HAAT_COURIER_SECRET: must be secrets"),
            ("http://courier.example", SECRET, "HAAT_COURIER_URL: must begin with https://"),
        ] {
            let error = settings(url, secret).err().expect(named);
            assert!(error.starts_with(named) && !error.contains("hush") && !error.contains("MfKQ"), "{error}");
        }
    }
}
