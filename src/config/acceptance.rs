//! How long vendors have until they begin with what is paid.

use super::Switch;
use crate::domain::order::AcceptanceSettings;
use crate::limits;
use clap::Args;

/// Milliseconds of an hour.
const HOUR_MS: i64 = 60 * 60 * 1000;

/// How long vendors have, and what becomes of what they leave.
#[derive(Args, Clone, Copy, Debug)]
pub struct AcceptanceArgs {
    /// Hours after its payment in which a vendor is to pack something of its share; 0: it has all the time there is.
    #[arg(long, env = "HAAT_ACCEPT_WITHIN", default_value_t = limits::ACCEPT_WITHIN_HOURS, value_name = "HOURS",
        value_parser = clap::value_parser!(u32).range(0..=8760))]
    pub accept_within: u32,
    /// What is left of a share of which nothing was packed by then is cancelled and given back. Off: the staff is told.
    #[arg(long, env = "HAAT_ACCEPT_OR_CANCEL", value_name = "on|off", default_value = "", hide_default_value = true,
        num_args = 0..=1, require_equals = true, default_missing_value = "on")]
    pub accept_or_cancel: Switch,
}

impl Default for AcceptanceArgs {
    fn default() -> Self {
        Self { accept_within: limits::ACCEPT_WITHIN_HOURS, accept_or_cancel: Switch::Unset }
    }
}

impl AcceptanceArgs {
    /// What was said.
    pub fn settings(self) -> AcceptanceSettings {
        let within_ms = (self.accept_within > 0).then(|| i64::from(self.accept_within).saturating_mul(HOUR_MS));
        AcceptanceSettings { within_ms, cancel: self.accept_or_cancel.is_on(false) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_hours_are_all_the_time_there_is() {
        let settings = |accept_within, accept_or_cancel| AcceptanceArgs { accept_within, accept_or_cancel }.settings();
        assert_eq!(settings(0, Switch::On), AcceptanceSettings { within_ms: None, cancel: true });
        assert_eq!(settings(48, Switch::Unset), AcceptanceSettings { within_ms: Some(172_800_000), cancel: false });
        assert_eq!(AcceptanceArgs::default().settings(), settings(48, Switch::Off));
    }
}
