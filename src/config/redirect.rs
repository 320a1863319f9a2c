//! Payments through a platform of the company's own.

use super::ConfigError;
use super::platform::{self, given};
use crate::adapters::platform::PlatformConfig;
use crate::adapters::redirect::Redirect;
use clap::Args;
use url::Url;

/// Where the platform is, by what it and the shop know each other, and where buyers go afterwards.
#[derive(Args, Clone, Default)]
pub struct RedirectArgs {
    /// A payment platform that speaks as docs/redirect-payments.md says: with it, orders can be paid on its pages.
    #[arg(long, env = "HAAT_REDIRECT_URL", value_name = "URL")]
    pub redirect_url: Option<String>,
    /// By what the platform knows the shop, and signs its notices to /v1/notices/redirect with; several with commas between, while one takes the
    /// place of another: the shop shows the first.
    #[arg(long, env = "HAAT_REDIRECT_SECRET", value_name = "SECRETS", hide_env_values = true)]
    pub redirect_secret: Option<String>,
    /// The page of the shop's to which buyers go when they come back from paying; the order is told as ?order=. Without it they see a few
    /// words.
    #[arg(long, env = "HAAT_RETURN_URL", value_name = "URL")]
    pub return_url: Option<String>,
}

impl RedirectArgs {
    /// What was said, once it is known to be sound; `None` where there is no platform.
    ///
    /// # Errors
    /// The first setting that cannot be used, without what is secret in it.
    pub fn settings(&self, public_url: &str) -> Result<Option<PlatformConfig>, ConfigError> {
        let names = ("HAAT_REDIRECT_URL", "HAAT_REDIRECT_SECRET");
        let config = platform::settings(names, &self.redirect_url, &self.redirect_secret, public_url)?;
        if let Some(config) = &config {
            Redirect::new(config).map_err(|error| platform::wrong(names, &error))?;
        }
        Ok(config)
    }

    /// Where buyers go when they come back, if a page was named.
    ///
    /// # Errors
    /// When it is no page.
    pub fn return_page(&self) -> Result<Option<Url>, ConfigError> {
        let Some(text) = given(&self.return_url) else { return Ok(None) };
        let wrong = |reason: &str| ConfigError::Setting { setting: "HAAT_RETURN_URL", reason: reason.to_owned() };
        let url = Url::parse(text).map_err(|_| wrong("is no URL: https://shop.example/thanks is expected"))?;
        if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
            return Err(wrong("must begin with http:// or https://, and a host"));
        }
        if !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
            return Err(wrong("must have no user and no fragment"));
        }
        Ok(Some(url))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

    fn args(url: &str, secret: &str, page: &str) -> RedirectArgs {
        let given = |text: &str| Some(text.to_owned());
        RedirectArgs { redirect_url: given(url), redirect_secret: given(secret), return_url: given(page) }
    }

    fn settings(url: &str, secret: &str) -> Result<Option<PlatformConfig>, String> {
        args(url, secret, "").settings("https://shop.example").map_err(|error| error.to_string())
    }

    #[test]
    fn what_cannot_be_used_is_refused_and_no_secret_is_told() {
        assert!(matches!(settings("", ""), Ok(None)));
        let several = format!("{SECRET}, whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
        let config = settings("https://pay.example/v1/", &several).unwrap().unwrap();
        assert_eq!((config.secrets.len(), config.secrets[0].as_str()), (2, SECRET));
        assert!(settings("http://[::1]:8420", SECRET).is_ok());
        for (url, secret, named) in [
            ("", SECRET, "HAAT_REDIRECT_URL"),
            (" ", SECRET, "HAAT_REDIRECT_URL"),
            ("", " ", "HAAT_REDIRECT_URL"),
            ("https://pay.example", "", "HAAT_REDIRECT_SECRET"),
            ("https://pay.example", "hush", "HAAT_REDIRECT_SECRET"),
            ("https://pay.example", "whsec_aHVzaA==", "HAAT_REDIRECT_SECRET"),
            ("https://pay.example", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw,", "HAAT_REDIRECT_SECRET"),
            ("http://pay.example", SECRET, "HAAT_REDIRECT_URL"),
            ("https://hush@pay.example", SECRET, "HAAT_REDIRECT_URL"),
            ("nonsense", SECRET, "HAAT_REDIRECT_URL"),
        ] {
            let error = settings(url, secret).err().expect(named);
            assert!(error.starts_with(named) && !error.contains("hush") && !error.contains("MfKQ"), "{error}");
        }
    }

    #[test]
    fn buyers_are_sent_to_a_page_and_nowhere_else() {
        let page = |text: &str| args("", "", text).return_page().map_err(|error| error.to_string());
        assert_eq!(page(""), Ok(None));
        assert!(page("https://shop.example/thanks?from=pay").unwrap().is_some());
        for wrong in [" ", "thanks", "javascript:alert(1)", "https://a@shop.example", "https://shop.example/#x"] {
            let error = page(wrong).unwrap_err();
            assert!(error.starts_with("HAAT_RETURN_URL"), "{error}");
        }
    }
}
