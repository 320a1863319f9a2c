//! What jobs need of an account when they are done: the address as it is then, and the token that its row answers to.

use super::{Account, Accounts, Email, Purpose};
use crate::domain::ids::AccountId;
use crate::domain::job::{About, JobKind};
use crate::domain::who::Seat;
use crate::ports::StoreError;
use crate::ports::jobs::{Customers, Letter, Letters, NotNow};
use async_trait::async_trait;

#[async_trait]
impl Letters for Accounts {
    async fn letter(&self, kind: JobKind, about: About) -> Result<Option<Letter>, NotNow> {
        let not_now = |error: StoreError| NotNow(error.to_string());
        let now = self.now();
        let to = |email: &Email| email.as_str().to_owned();
        Ok(match about {
            About::SignUp(id) if kind == JobKind::SignUpMail => {
                let sign_up = self.rows().sign_up(id).await.map_err(not_now)?;
                sign_up.filter(|sign_up| sign_up.nonce.until > now).map(|sign_up| Letter {
                    to: to(&sign_up.email),
                    token: Some(self.parts.keys.mail_token(Purpose::Verify, id.uuid(), sign_up.nonce.nonce)),
                })
            }
            About::Account(id) if kind == JobKind::NewEmailMail => {
                let new = self.parts.own.new_email(id).await.map_err(not_now)?;
                new.filter(|new| new.nonce.until > now).map(|new| Letter {
                    to: to(&new.email),
                    token: Some(self.parts.keys.mail_token(Purpose::Email, id.uuid(), new.nonce.nonce)),
                })
            }
            About::Account(id) if kind == JobKind::EmailChangeMail => {
                // To the address that it had then: whoever asked may have verified another since.
                let new = self.parts.own.new_email(id).await.map_err(not_now)?;
                new.map(|new| Letter { to: to(&new.former), token: None })
            }
            About::Account(id) => {
                let account = self.rows().account(id).await.map_err(not_now)?;
                let brings = matches!(kind, JobKind::PasswordResetMail | JobKind::InvitationMail);
                let account = account.filter(|account| !account.is_erased() && (!brings || account.reset.until > now));
                account.map(|account| Letter {
                    to: to(&account.email),
                    token: brings.then(|| self.parts.keys.mail_token(Purpose::Reset, id.uuid(), account.reset.nonce)),
                })
            }
            About::SignUp(_) | About::Entity(_) => None,
        })
    }
}

#[async_trait]
impl Customers for Accounts {
    async fn address(&self, account: AccountId) -> Result<Option<String>, NotNow> {
        let account = self.rows().account(account).await.map_err(|error| NotNow(error.to_string()))?;
        let buys = |account: &Account| account.seat == Seat::Customer && !account.disabled && !account.is_erased();
        Ok(account.filter(buys).map(|account| account.email.as_str().to_owned()))
    }
}
