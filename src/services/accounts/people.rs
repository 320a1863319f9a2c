//! Those who work: a vendor's own people and the shop's. They are invited by mail, and whatever changes what they may do ends their sessions.

use super::{Account, AccountFilter, Accounts, Email, Nonce, Person, Refusal, Reseated, Result, TRIES, Unasked, Wrote};
use crate::domain::entity::Principal;
use crate::domain::ids::{AccountId, VendorId};
use crate::domain::job::{About, JobKind};
use crate::domain::time::Timestamp;
use crate::domain::who::{Action, Permissions, Seat, TheShop, VendorRole, may};
use crate::limits;
use crate::ports::units::UnitError;
use crate::services::kept::KeptAnswer;

/// What is to become of an account; what is `None` stays as it is, as far as it goes with the rest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SeatChange {
    /// Its role, by name.
    pub role: Option<&'static str>,
    /// The vendor whose people it is one of.
    pub vendor: Option<VendorId>,
    /// What it is there.
    pub vendor_role: Option<VendorRole>,
    /// What it may do for the shop.
    pub permissions: Option<Permissions>,
    /// Whether nobody may sign in with it.
    pub disabled: Option<bool>,
}

impl SeatChange {
    /// What this makes of a seat; `None` where it does not fit together.
    pub fn of(&self, seat: Seat) -> Option<Seat> {
        let (role, now) = match self.role {
            // Nothing of another role goes with a new one.
            Some(role) if role != seat.role() => (role, None),
            _ => (seat.role(), Some(seat)),
        };
        let (vendor, vendor_role, permissions) = match now {
            Some(Seat::Member(vendor, role)) => (Some(vendor), Some(role), None),
            Some(Seat::Staff(permissions)) => (None, None, Some(permissions)),
            Some(Seat::Customer | Seat::Admin) | None => (None, None, None),
        };
        Seat::from_parts(
            role,
            self.vendor.or(vendor),
            self.vendor_role.or(vendor_role),
            self.permissions.or(permissions),
        )
    }
}

/// What came of an invitation.
pub enum Invited {
    /// The account is there, and its mail is on its way.
    Done(Account),
    /// The address has an account, which stays as it is.
    Known(Account),
    /// The same request was answered before.
    Answered,
}

impl Accounts {
    fn invited(&self, id: AccountId, email: Email, seat: Seat) -> Account {
        Account {
            id,
            email,
            person: Person::default(),
            // Nobody has a password yet: no hash is empty, so none fits.
            password_hash: String::new(),
            seat,
            disabled: false,
            is_barred: false,
            version: 1,
            created_at: self.now(),
            reset: self.nonce(limits::INVITATION_MS),
        }
    }

    /// Makes an account that its owner has still to take, and invites them. The id is given, so that asking twice is asking once.
    async fn invite(&self, id: AccountId, email: Email, seat: Seat, keep: Option<&KeptAnswer>) -> Result<Invited> {
        if let Some(known) = self.rows().of_email(&email).await? {
            return Ok(if known.id == id { Invited::Answered } else { Invited::Known(known) });
        }
        let account = self.invited(id, email, seat);
        let mail = self.job(JobKind::InvitationMail, About::Account(id));
        match self.rows().invite(&account, &mail, keep).await? {
            Wrote::Done => {
                self.parts.news.notify_one();
                Ok(Invited::Done(account))
            }
            // Another was first, with this address or under this key.
            Wrote::Moved => match self.rows().of_email(&account.email).await? {
                Some(known) if known.id != id => Ok(Invited::Known(known)),
                _ => Ok(Invited::Answered),
            },
        }
    }

    /// Invites one of the shop's own people, or anybody else: an administrator's alone.
    ///
    /// # Errors
    /// Unknown to whoever may not; NoMails, and what the store says.
    pub async fn invite_anyone(
        &self,
        by: Principal,
        id: AccountId,
        email: Email,
        seat: Seat,
        keep: Option<&KeptAnswer>,
    ) -> Result<Invited> {
        if !may(by, Action::EditAccounts, &TheShop) {
            return Err(Refusal::Unknown);
        }
        if !self.parts.mails {
            return Err(Refusal::NoMails);
        }
        self.invite(id, email, seat, keep).await
    }

    /// Invites one of a vendor's own people. Whether the address has an account is told to nobody but to whoever reads its mails: an account that
    /// is there stays as it is.
    ///
    /// # Errors
    /// Unknown to whoever may not; NoMails, and what the store says.
    pub async fn invite_member(
        &self,
        by: Principal,
        id: AccountId,
        email: Email,
        (vendor, role): (VendorId, VendorRole),
        keep: Option<&KeptAnswer>,
    ) -> Result<()> {
        if !may(by, Action::EditMembers, &vendor) {
            return Err(Refusal::Unknown);
        }
        if !self.parts.mails {
            return Err(Refusal::NoMails);
        }
        let address = email.clone();
        self.write_unasked(&address, Unasked::Invitation, async || {
            let Invited::Known(known) = self.invite(id, email, Seat::Member(vendor, role), keep).await? else {
                return Ok(());
            };
            if known.seat.vendor() == Some(vendor) && known.is_open_invitation() {
                return self.invite_again(known.id).await;
            }
            let mail = self.job(JobKind::KnownInviteeMail, About::Account(known.id));
            Ok(self.rows().write_to(&mail).await?)
        })
        .await
    }

    /// Sends another invitation, whose token takes the place of the one before.
    async fn invite_again(&self, id: AccountId) -> Result<()> {
        for _ in 0..TRIES {
            let mut account = self.account(id).await?;
            if !account.is_invited() {
                return Ok(());
            }
            account.reset = self.nonce(limits::INVITATION_MS);
            let mail = self.job(JobKind::InvitationMail, About::Account(id));
            let version = account.version;
            account.version = version.saturating_add(1);
            if self.rows().change(&account, version, None, Some(&mail)).await? == Wrote::Done {
                return Ok(());
            }
        }
        Err(Refusal::Unit(UnitError::Busy))
    }

    /// A vendor's own people, the newest first, after the given place.
    ///
    /// # Errors
    /// Unknown to whoever may not, and what the store says.
    pub async fn members(
        &self,
        by: Principal,
        vendor: VendorId,
        after: Option<(Timestamp, AccountId)>,
        limit: u32,
    ) -> Result<Vec<Account>> {
        match may(by, Action::EditMembers, &vendor) {
            true => Ok(self.rows().accounts(AccountFilter::Of(vendor), after, limit).await?),
            false => Err(Refusal::Unknown),
        }
    }

    /// Accounts, the newest first, after the given place: for administrators.
    ///
    /// # Errors
    /// Unknown to whoever may not, and what the store says.
    pub async fn all(
        &self,
        by: Principal,
        filter: AccountFilter,
        after: Option<(Timestamp, AccountId)>,
        limit: u32,
    ) -> Result<Vec<Account>> {
        match may(by, Action::EditAccounts, &TheShop) {
            true => Ok(self.rows().accounts(filter, after, limit).await?),
            false => Err(Refusal::Unknown),
        }
    }

    /// One account, for administrators.
    ///
    /// # Errors
    /// Unknown to whoever may not, and what the store says.
    pub async fn any(&self, by: Principal, id: AccountId) -> Result<Account> {
        match may(by, Action::EditAccounts, &TheShop) {
            true => self.account(id).await,
            false => Err(Refusal::Unknown),
        }
    }

    /// Changes what one of a vendor's own people is there. Their sessions end.
    ///
    /// # Errors
    /// Unknown to whoever may not, and where they are not one of them; and what the store says.
    pub async fn change_member(
        &self,
        by: Principal,
        vendor: VendorId,
        id: AccountId,
        role: Option<VendorRole>,
        disabled: Option<bool>,
    ) -> Result<Account> {
        if !may(by, Action::EditMembers, &vendor) {
            return Err(Refusal::Unknown);
        }
        let change = SeatChange { vendor_role: role, disabled, ..SeatChange::default() };
        // Who was invited is nobody's until they have taken it, and what an administrator has disabled is an administrator's to enable.
        let fits = |account: &Account| account.seat.vendor() == Some(vendor) && !account.is_invited();
        self.reseat(id, change, fits, false).await
    }

    /// Changes what an account is for: an administrator's alone. Its sessions end.
    ///
    /// # Errors
    /// Unknown to whoever may not; NoSeat, LastAdmin, and what the store says.
    pub async fn change_anyone(&self, by: Principal, id: AccountId, change: SeatChange) -> Result<Account> {
        match may(by, Action::EditAccounts, &TheShop) {
            true => self.reseat(id, change, |_| true, true).await,
            false => Err(Refusal::Unknown),
        }
    }

    async fn reseat(
        &self,
        id: AccountId,
        change: SeatChange,
        fits: impl Fn(&Account) -> bool,
        is_admin: bool,
    ) -> Result<Account> {
        for _ in 0..TRIES {
            let before = self.account(id).await?;
            if before.is_erased() || !fits(&before) {
                return Err(Refusal::Unknown);
            }
            let mut after = before.clone();
            after.seat = change.of(before.seat).ok_or(Refusal::NoSeat)?;
            after.disabled = change.disabled.unwrap_or(before.disabled);
            if before.is_barred && !is_admin && !after.disabled {
                return Err(Refusal::Barred);
            }
            after.is_barred = after.disabled && (before.is_barred || (is_admin && change.disabled == Some(true)));
            if after == before {
                return Ok(before);
            }
            if after.disabled {
                // What a mail brought before is worth nothing any more.
                after.reset = Nonce { nonce: self.parts.clock.new_uuid(), until: Timestamp::default() };
            }
            after.version = before.version.saturating_add(1);
            let (at, sessions) = (self.now(), self.rows().sessions(id, self.now()).await?);
            match self.rows().reseat(&after, before.version, at, before.is_active_admin()).await? {
                Reseated::Done => {
                    self.revoked.write().extend(sessions.iter().map(|session| (session.id, at)));
                    return Ok(after);
                }
                Reseated::LastAdmin => return Err(Refusal::LastAdmin),
                Reseated::Moved => {}
            }
        }
        Err(Refusal::Unit(UnitError::Busy))
    }
}
