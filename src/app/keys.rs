//! The file with the secrets, looked at while the server runs: another secret takes the place of the one before without a restart.

use crate::checkout::quotes::QuoteKeys;
use crate::checkout::rooms::RoomKeys;
use crate::config::keys;
use crate::http::auth::Auth;
use crate::limits;
use crate::ports::Clock;
use crate::ports::keys::SigningKeys;
use crate::services::accounts::Accounts;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Who signs and checks tokens.
pub(super) struct Signers {
    /// Access tokens.
    pub auth: Arc<Auth>,
    /// Those of sessions and mails.
    pub accounts: Arc<Accounts>,
    /// Quotes.
    pub quotes: Arc<QuoteKeys>,
    /// Tickets of waiting rooms, and entries.
    pub rooms: Arc<RoomKeys>,
    /// Tells which secrets have retired.
    pub clock: Arc<dyn Clock>,
}

/// Has them sign with what stands in `file`, which held `known` at the start. What cannot be read leaves all as it is.
pub(super) async fn watch(file: Option<PathBuf>, mut known: SigningKeys, signers: Signers, stop: CancellationToken) {
    let Some(file) = file else { return };
    let mut is_readable = true;
    let every = Duration::from_millis(limits::KEYS_LOOK_MS);
    while stop.run_until_cancelled(tokio::time::sleep(every)).await.is_some() {
        match keys::read(&file, signers.clock.wall()) {
            Ok(keys) if keys != known => {
                signers.auth.set(&keys);
                signers.accounts.sign_with(&keys);
                signers.quotes.set(&keys);
                signers.rooms.set(&keys);
                let names: Vec<&str> = keys.all().iter().map(|key| key.kid.as_str()).collect();
                tracing::info!(?names, "tokens are signed with other secrets from now on, with the first of these");
                (known, is_readable) = (keys, true);
            }
            Ok(_) => is_readable = true,
            Err(error) => {
                // Once for each time.
                if std::mem::replace(&mut is_readable, false) {
                    tracing::warn!(%error, "the secrets cannot be read: those before are used");
                }
            }
        }
    }
}
