//! What the settings of all platforms of the company's own have in common: where they are, and by what they and the shop know each other.

use super::ConfigError;
use crate::adapters::platform::{PlatformConfig, PlatformSetting};

/// What was said: an empty text is what a variable has that was meant to be left out, and a blank one is none.
pub(super) fn given(text: &Option<String>) -> Option<&str> {
    text.as_deref().filter(|text| !text.is_empty()).map(str::trim)
}

/// What cannot be used of a platform, of which these are the settings with its URL and its secret.
pub(super) fn wrong((url, secret): (&'static str, &'static str), error: &PlatformSetting) -> ConfigError {
    let setting = match error {
        PlatformSetting::Url(_) => url,
        PlatformSetting::Secret(_) => secret,
    };
    ConfigError::Setting { setting, reason: error.to_string() }
}

/// What was said of a platform; `None` where there is none. Whether it can be asked so is for the platform's adapter to say.
///
/// # Errors
/// When there is a secret, and nobody whose it is.
pub(super) fn settings(
    names: (&'static str, &'static str),
    url: &Option<String>,
    secret: &Option<String>,
    public_url: &str,
) -> Result<Option<PlatformConfig>, ConfigError> {
    let secrets = given(secret)
        .map_or_else(Vec::new, |secrets| secrets.split(',').map(|secret| secret.trim().to_owned()).collect::<Vec<_>>());
    match (given(url), secrets.is_empty()) {
        (Some(url), _) => Ok(Some(PlatformConfig { url: url.to_owned(), secrets, public_url: public_url.to_owned() })),
        (None, true) => Ok(None),
        (None, false) => {
            let reason = format!("must be set where {} is: whose secret is it?", names.1);
            Err(ConfigError::Setting { setting: names.0, reason })
        }
    }
}
