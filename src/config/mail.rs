//! What the mails of the shop need.

use super::{ConfigError, at_least_one};
use crate::adapters::smtp::{Smtp, SmtpSetting};
use crate::limits;
use clap::Args;

/// Who sends mails, and how many.
#[derive(Args, Clone)]
pub struct MailArgs {
    /// The mail server: smtps://user:password@host, or smtp://… with STARTTLS (plain only to a loopback address). Without one, mails go into
    /// the sandbox's book, where the sandbox is on, and else nowhere.
    #[arg(long, env = "HAAT_SMTP_URL", value_name = "URL", hide_env_values = true)]
    pub smtp_url: Option<String>,
    /// Who writes mails: an address, or a name and an address in angle brackets.
    #[arg(long, env = "HAAT_MAIL_FROM", value_name = "ADDRESS")]
    pub mail_from: Option<String>,
    /// Mails per second at most.
    #[arg(long, env = "HAAT_MAILS_PER_SECOND", default_value_t = limits::MAILS_PER_SECOND, value_name = "COUNT")]
    pub mails_per_second: u32,
}

impl MailArgs {
    /// What was said, once it is known to be sound.
    ///
    /// # Errors
    /// The first setting that cannot be used.
    pub fn settings(&self) -> Result<MailSettings, ConfigError> {
        at_least_one("HAAT_MAILS_PER_SECOND", self.mails_per_second.into())?;
        Ok(MailSettings { server: self.smtp()?, per_second: self.mails_per_second })
    }

    /// The mail server that was named, and who writes.
    fn smtp(&self) -> Result<Option<SmtpConfig>, ConfigError> {
        let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        let (url, from) = match (given(&self.smtp_url), given(&self.mail_from)) {
            (None, None) => return Ok(None),
            (Some(url), Some(from)) => (url, from),
            (Some(_), None) => {
                let reason = "must be set where HAAT_SMTP_URL is: who writes the mails?".into();
                return Err(ConfigError::Setting { setting: "HAAT_MAIL_FROM", reason });
            }
            (None, Some(_)) => {
                let reason = "must be set where HAAT_MAIL_FROM is: who sends the mails?".into();
                return Err(ConfigError::Setting { setting: "HAAT_SMTP_URL", reason });
            }
        };
        Smtp::new(&url, &from).map_err(|error| ConfigError::Setting {
            setting: match error {
                SmtpSetting::Url(_) => "HAAT_SMTP_URL",
                SmtpSetting::From(_) => "HAAT_MAIL_FROM",
            },
            reason: error.to_string(),
        })?;
        Ok(Some(SmtpConfig { url, from }))
    }
}

/// How mails are sent.
#[derive(Clone)]
pub struct MailSettings {
    /// The mail server, where one was named.
    pub server: Option<SmtpConfig>,
    /// Mails per second at most.
    pub per_second: u32,
}

/// A mail server, and who writes: both are known to be sound.
#[derive(Clone)]
pub struct SmtpConfig {
    /// Its URL, with a password.
    pub url: String,
    /// Who writes.
    pub from: String,
}
