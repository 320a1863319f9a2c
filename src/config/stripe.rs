//! Payments through Stripe.

use super::ConfigError;
use crate::adapters::stripe::{STRIPE_URL, Stripe, StripeConfig, StripeSetting};
use clap::Args;

/// Whose account it is, and what its notices are signed with.
#[derive(Args, Clone, Default)]
pub struct StripeArgs {
    /// The secret key of an account at Stripe, or a restricted one: with it, orders can be paid by card.
    #[arg(long, env = "HAAT_STRIPE_KEY", value_name = "KEY", hide_env_values = true)]
    pub stripe_key: Option<String>,
    /// Where Stripe is: another place is for tests.
    #[arg(long, env = "HAAT_STRIPE_URL", value_name = "URL", default_value = STRIPE_URL)]
    pub stripe_url: String,
    /// What Stripe signs its notices to /v1/notices/stripe with; several with commas between, while one takes the place of another. Without
    /// one no notices are taken: payments come to the same, a little later.
    #[arg(long, env = "HAAT_STRIPE_WEBHOOK_SECRET", value_name = "SECRETS", hide_env_values = true)]
    pub stripe_webhook_secret: Option<String>,
}

impl StripeArgs {
    /// What was said, once it is known to be sound; `None` where there is no key.
    ///
    /// # Errors
    /// The first setting that cannot be used, without what is secret in it.
    pub fn settings(&self) -> Result<Option<StripeConfig>, ConfigError> {
        // An empty variable is one that is not set; blanks are something that is wrong.
        let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        let url = if self.stripe_url.is_empty() { STRIPE_URL } else { &self.stripe_url }.to_owned();
        let secrets = given(&self.stripe_webhook_secret)
            .map_or_else(Vec::new, |secrets| secrets.split(',').map(|secret| secret.trim().to_owned()).collect());
        let key = given(&self.stripe_key);
        if key.is_none() && !secrets.is_empty() {
            let reason = "must be set where HAAT_STRIPE_WEBHOOK_SECRET is: whose notices are they?".into();
            return Err(ConfigError::Setting { setting: "HAAT_STRIPE_KEY", reason });
        }
        // A URL that cannot be one is told of also where there is no key yet.
        let is_used = key.is_some();
        let config = StripeConfig { key: key.unwrap_or_else(|| "sk_none".to_owned()), url, secrets };
        Stripe::new(&config).map_err(|error| ConfigError::Setting {
            setting: match error {
                StripeSetting::Key(_) => "HAAT_STRIPE_KEY",
                StripeSetting::Url(_) => "HAAT_STRIPE_URL",
                StripeSetting::Secret(_) => "HAAT_STRIPE_WEBHOOK_SECRET",
            },
            reason: error.to_string(),
        })?;
        Ok(is_used.then_some(config))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(key: &str, url: &str, secrets: &str) -> Result<Option<StripeConfig>, String> {
        let given = |text: &str| Some(text.to_owned());
        let args = StripeArgs { stripe_key: given(key), stripe_url: url.into(), stripe_webhook_secret: given(secrets) };
        args.settings().map_err(|error| error.to_string())
    }

    #[test]
    fn what_cannot_be_used_is_refused_and_no_secret_is_told() {
        assert!(matches!(settings("", "", ""), Ok(None)));
        let config = settings("sk_test_1", "", " whsec_11111111, whsec_22222222").unwrap().unwrap();
        assert_eq!((config.url.as_str(), config.secrets.len()), (STRIPE_URL, 2));
        assert!(settings("rk_live_1", "http://127.0.0.1:8420", "").is_ok());
        for (key, url, secrets, named) in [
            ("", "", "whsec_11111111", "HAAT_STRIPE_KEY"),
            ("pk_live_hush", "", "", "HAAT_STRIPE_KEY"),
            ("sk_live_hush\nx", "", "", "HAAT_STRIPE_KEY"),
            ("sk_live_hush", "http://api.stripe.com", "", "HAAT_STRIPE_URL"),
            ("sk_live_hush", "ftp://api.stripe.com", "", "HAAT_STRIPE_URL"),
            ("sk_live_hush", "https://hush@api.stripe.com", "", "HAAT_STRIPE_URL"),
            ("sk_live_hush", "nonsense", "", "HAAT_STRIPE_URL"),
            ("sk_live_hush", "", "hush", "HAAT_STRIPE_WEBHOOK_SECRET"),
            ("sk_live_hush", "", "whsec_11111111,", "HAAT_STRIPE_WEBHOOK_SECRET"),
            ("sk_live_hush", "", "whsec_", "HAAT_STRIPE_WEBHOOK_SECRET"),
        ] {
            let error = settings(key, url, secrets).err().expect(named);
            assert!(error.starts_with(named) && !error.contains("hush"), "{error}");
        }
    }
}
