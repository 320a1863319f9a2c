//! What somebody has of their own: addresses, another e-mail address, all that is known of them, and their end.

use super::rows::OwnRows;
use super::{
    Account, Accounts, Brought, Email, Nonce, Person, Refusal, Result, SignedIn, TRIES, Unasked, Visitor, Wrote,
};
use crate::domain::ids::{AccountId, AddressId, OrderId, SessionId};
use crate::domain::job::{About, JobKind};
use crate::domain::order::Address;
use crate::domain::time::Timestamp;
use crate::domain::who::Seat;
use crate::limits;
use crate::ports::StoreError;
use crate::ports::units::UnitError;
use crate::services::kept::KeptAnswer;
use tokio::sync::Notify;

/// An address that somebody keeps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptAddress {
    /// Its id.
    pub id: AddressId,
    /// Whose.
    pub account: AccountId,
    /// The address.
    pub address: Address,
    /// Since when.
    pub created_at: Timestamp,
    /// Raised with each change.
    pub version: u64,
}

/// The e-mail address that an account is to have.
#[derive(Clone, PartialEq, Eq)]
pub struct NewEmail {
    /// Whose.
    pub account: AccountId,
    /// The address.
    pub email: Email,
    /// The one that it had when this was asked for: its owner is told there, whatever it has by then.
    pub former: Email,
    /// The token of its mail.
    pub nonce: Nonce,
}

/// What came of keeping an address.
#[derive(Debug, PartialEq, Eq)]
pub enum Kept {
    /// It is kept.
    Done(Box<KeptAddress>),
    /// There are as many as there may be.
    Full,
    /// The same request was answered before.
    Answered,
}

impl Accounts {
    fn own(&self) -> &dyn OwnRows {
        &*self.parts.own
    }

    /// Whether a session was begun with a password just now.
    ///
    /// # Errors
    /// LoginRequired, and what the store says.
    pub async fn just_signed_in(&self, session: SessionId) -> Result<()> {
        let since = self.now().plus_millis(-limits::JUST_SIGNED_IN_MS);
        match self.rows().session(session).await? {
            Some(session) if session.made_at >= since => Ok(()),
            _ => Err(Refusal::LoginRequired),
        }
    }

    /// The addresses that somebody keeps, the newest first.
    ///
    /// # Errors
    /// What the store says.
    pub async fn addresses(&self, account: AccountId) -> Result<Vec<KeptAddress>> {
        Ok(self.own().addresses(account).await?)
    }

    /// Keeps an address. The id is given, so that asking twice is asking once.
    ///
    /// # Errors
    /// What the store says.
    pub async fn keep_address(
        &self,
        account: AccountId,
        id: AddressId,
        address: Address,
        keep: Option<&KeptAnswer>,
    ) -> Result<Kept> {
        let kept = KeptAddress { id, account, address, created_at: self.now(), version: 1 };
        Ok(match self.own().add_address(&kept, limits::ADDRESSES, keep).await? {
            Wrote::Done => Kept::Done(Box::new(kept)),
            Wrote::Moved => match self.addresses(account).await? {
                there if there.len() as u64 >= limits::ADDRESSES && there.iter().all(|there| there.id != id) => {
                    Kept::Full
                }
                _ => Kept::Answered,
            },
        })
    }

    /// Changes an address that somebody keeps, or says why `change` refuses it as it is. Where another change comes between, it is decided anew.
    ///
    /// # Errors
    /// Unknown where it is not theirs, and what the store says.
    pub async fn change_address<E>(
        &self,
        account: AccountId,
        id: AddressId,
        change: impl Fn(&mut Address) -> Result<(), E>,
    ) -> Result<Result<KeptAddress, E>> {
        for _ in 0..TRIES {
            let all = self.addresses(account).await?;
            let before = all.into_iter().find(|kept| kept.id == id).ok_or(Refusal::Unknown)?;
            let mut after = before.clone();
            if let Err(refused) = change(&mut after.address) {
                return Ok(Err(refused));
            }
            if after == before {
                return Ok(Ok(before));
            }
            after.version = before.version.saturating_add(1);
            if self.own().change_address(&after, before.version).await? == Wrote::Done {
                return Ok(Ok(after));
            }
        }
        Err(Refusal::Unit(UnitError::Busy))
    }

    /// Lets go of an address.
    ///
    /// # Errors
    /// Unknown where it is not theirs, and what the store says.
    pub async fn drop_address(&self, account: AccountId, id: AddressId) -> Result<()> {
        match self.own().drop_address(account, id).await? {
            Wrote::Done => Ok(()),
            Wrote::Moved => Err(Refusal::Unknown),
        }
    }

    /// Begins to give an account another e-mail address: a mail to it brings the token that verifies it, and the old one is told. Whether the new
    /// one has an account is told to nobody but to whoever reads its mails.
    ///
    /// # Errors
    /// Invalid, TooMany, Busy, NoMails, and what the store says.
    pub async fn change_email(&self, id: AccountId, email: Email, password: &str, visitor: &Visitor) -> Result<()> {
        if !self.parts.mails {
            return Err(Refusal::NoMails);
        }
        let account = self.account(id).await?;
        self.known(&account.email, password, account.hash(), visitor).await?;
        if email == account.email {
            return Ok(());
        }
        let other = self.known_as(&email).await?;
        let address = email.clone();
        self.write_unasked(&address, Unasked::NewEmail, async || {
            let notice = self.job(JobKind::EmailChangeMail, About::Account(id));
            let (mail, email) = match other {
                // Its owner is told, and the account keeps its own: that takes as long as with an address that is free.
                Some(other) => (self.job(JobKind::KnownAddressMail, About::Account(other.id)), account.email.clone()),
                None => (self.job(JobKind::NewEmailMail, About::Account(id)), email),
            };
            let nonce = self.nonce(limits::SIGN_UP_MS);
            let new = NewEmail { account: id, email, former: account.email.clone(), nonce };
            self.own().begin_email(&new, [&mail, &notice]).await?;
            Ok(())
        })
        .await
    }

    /// Gives an account the address whose token is brought, and signs in with it.
    pub(super) async fn verify_email(&self, brought: &Brought, password: &str, visitor: &Visitor) -> Result<SignedIn> {
        let id = AccountId::from_uuid(brought.row);
        let counts = |new: &NewEmail| new.nonce.until > self.now() && self.parts.keys.counts(brought, new.nonce.nonce);
        let new = self.own().new_email(id).await?.filter(counts).ok_or(Refusal::Invalid)?;
        let account = self.rows().account(id).await?.filter(|account| !account.disabled).ok_or(Refusal::Invalid)?;
        self.known(&account.email, password, account.hash(), visitor).await?;
        for _ in 0..TRIES {
            let before = self.rows().account(id).await?;
            let before = before.filter(|now| !now.disabled && now.password_hash == account.password_hash);
            let before = before.ok_or(Refusal::Invalid)?;
            let changed = Account {
                email: new.email.clone(),
                version: before.version.saturating_add(1),
                // What a mail to the old address brought is worth nothing any more.
                reset: Nonce { nonce: self.parts.clock.new_uuid(), until: Timestamp::default() },
                ..before.clone()
            };
            let session = self.session(id, visitor);
            let others = self.rows().sessions(id, self.now()).await?;
            let attach = self.attach(id);
            if self.own().take_email(&new, &changed, before.version, &session, &attach).await? == Wrote::Done {
                self.parts.news.notify_one();
                self.revoked.write().extend(others.iter().map(|other| (other.id, session.made_at)));
                return Ok(self.signed_in(changed, session.id, session.number));
            }
            // Another change came before, or the address is another account's by now.
            if self.own().new_email(id).await?.filter(counts).is_none() || self.known_as(&new.email).await?.is_some() {
                return Err(Refusal::Invalid);
            }
        }
        Err(Refusal::Unit(UnitError::Busy))
    }

    /// Ends an account: who it was is gone at once, with all its sessions and addresses; what its orders still need goes when each of them ends.
    ///
    /// # Errors
    /// Unknown, and what the store says.
    pub async fn erase(&self, id: AccountId) -> Result<()> {
        let is_theirs = |account: &Account| account.seat == Seat::Customer && !account.is_erased();
        if !is_theirs(&self.account(id).await?) {
            return Err(Refusal::Unknown);
        }
        // First: a store that is restored to a moment before this is told who wanted to be forgotten.
        self.parts.erased.note(id).map_err(|error| StoreError::Unavailable(error.to_string()))?;
        for _ in 0..TRIES {
            let before = self.account(id).await?;
            if !is_theirs(&before) {
                return Err(Refusal::Unknown);
            }
            let (now, nobody) = (self.now(), Nonce { nonce: self.parts.clock.new_uuid(), until: Timestamp::default() });
            let after = Account {
                email: Email::erased(id),
                person: Person::default(),
                password_hash: String::new(),
                disabled: true,
                version: before.version.saturating_add(1),
                reset: nobody,
                ..before.clone()
            };
            let sessions = self.rows().sessions(id, now).await?;
            if self.own().erase(&before, &after, now).await? == Wrote::Done {
                self.revoked.write().extend(sessions.iter().map(|session| (session.id, now)));
                self.erasing.notify_one();
                return Ok(());
            }
        }
        Err(Refusal::Unit(UnitError::Busy))
    }

    /// Told when somebody wants to be forgotten.
    pub fn erasing(&self) -> &Notify {
        &self.erasing
    }

    /// Erases the details of some orders of those who want to be forgotten: of an order that ended unpaid at once, of another when it was placed
    /// before `settled`. Gives which orders; when there are none, nothing is left to do for now.
    ///
    /// # Errors
    /// See [`UnitError`].
    pub async fn erase_details(&self, settled: Timestamp) -> Result<Vec<OrderId>, UnitError> {
        let orders = self.own().orders_to_erase(settled, limits::ERASURES_AT_ONCE).await?;
        if orders.is_empty() {
            // What was placed just before may not stand in the tables yet that orders are found in.
            let (now, before) = (self.now(), self.now().plus_millis(-limits::ERASURE_OPEN_MS));
            self.own().end_erasures(now, before).await?;
        } else {
            self.own().erase_orders(&orders).await?;
        }
        Ok(orders)
    }
}
