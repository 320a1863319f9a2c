//! What stands in the store of accounts.

use super::email::Email;
use super::own::{KeptAddress, NewEmail};
use crate::domain::ids::{AccountId, AddressId, OrderId, SessionId, SignUpId, VendorId};
use crate::domain::time::Timestamp;
use crate::domain::who::Seat;
use crate::ports::StoreError;
use crate::ports::jobs::NewJob;
use crate::ports::units::UnitError;
use crate::services::kept::KeptAnswer;
use async_trait::async_trait;
use uuid::Uuid;

/// Who somebody is, as far as they say. No log shows it.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Person {
    /// What they are called.
    pub name: Option<String>,
    /// Where they are called.
    pub phone: Option<String>,
}

/// Something that a mail brings a token for: the token counts while the row has this nonce, and until this moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nonce {
    /// Drawn anew each time.
    pub nonce: Uuid,
    /// A moment long past where there is none.
    pub until: Timestamp,
}

/// A sign-up whose address is not verified yet.
#[derive(Clone, PartialEq, Eq)]
pub struct SignUp {
    /// Its id.
    pub id: SignUpId,
    /// The address that somebody says is theirs.
    pub email: Email,
    /// Who they are.
    pub person: Person,
    /// What is kept of the password they chose.
    pub password_hash: String,
    /// The token of its mail.
    pub nonce: Nonce,
    /// When.
    pub at: Timestamp,
}

/// An account. Its address was verified.
#[derive(Clone, PartialEq, Eq)]
pub struct Account {
    /// Its id.
    pub id: AccountId,
    /// Its address. No other account has it.
    pub email: Email,
    /// Whose it is.
    pub person: Person,
    /// What is kept of its password; nothing while it was invited and its owner has set none.
    pub password_hash: String,
    /// What it is for.
    pub seat: Seat,
    /// Whether nobody may sign in with it.
    pub disabled: bool,
    /// Whether it was an administrator who disabled it.
    pub is_barred: bool,
    /// Raised with each change.
    pub version: u64,
    /// When it was made.
    pub created_at: Timestamp,
    /// The token of the mail that sets another password.
    pub reset: Nonce,
}

impl Account {
    /// Whether its owner has still to take it.
    pub fn is_invited(&self) -> bool {
        self.password_hash.is_empty() && !self.is_erased()
    }

    /// Whether it is nobody's yet: its owner may take it, or have the address verified in another way, which takes its place.
    pub fn is_open_invitation(&self) -> bool {
        self.is_invited() && !self.disabled
    }

    /// Whether its owner wanted to be forgotten.
    pub fn is_erased(&self) -> bool {
        self.email.is_erased()
    }

    /// What is kept of its password, where it has one.
    pub fn hash(&self) -> Option<&str> {
        Some(&*self.password_hash).filter(|hash| !hash.is_empty())
    }

    /// Whether somebody can sign in with it as an administrator.
    pub fn is_active_admin(&self) -> bool {
        self.seat == Seat::Admin && !self.disabled && !self.is_invited()
    }
}

/// Where somebody is signed in.
#[derive(Clone, PartialEq, Eq)]
pub struct Session {
    /// Its id.
    pub id: SessionId,
    /// Who.
    pub account: AccountId,
    /// The number of its last refresh token.
    pub number: u64,
    /// Since when: then the password was given.
    pub made_at: Timestamp,
    /// When its last refresh token was made.
    pub rotated_at: Timestamp,
    /// When it ends unless it is used.
    pub until: Timestamp,
    /// When it was ended; a moment long past while it was not.
    pub revoked_at: Timestamp,
    /// From where it was begun.
    pub address: String,
    /// With what it was begun.
    pub user_agent: String,
}

impl Session {
    /// Whether it goes on.
    pub fn goes_on(&self, now: Timestamp) -> bool {
        self.revoked_at == Timestamp::default() && self.until > now
    }
}

/// What the rows of all accounts are like, for whoever looks at the whole store.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Looked {
    /// How many accounts there are.
    pub accounts: u64,
    /// How many sessions.
    pub sessions: u64,
    /// Accounts whose rows are not as they are written here.
    pub strange: Vec<AccountId>,
}

/// Which accounts to list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccountFilter {
    /// All.
    All,
    /// Those in this role, by its name.
    Role(&'static str),
    /// A vendor's own people.
    Of(VendorId),
}

/// What came of changing what an account is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reseated {
    /// It is written.
    Done,
    /// What it was decided on is another by now: nothing is written.
    Moved,
    /// No administrator would be left: nothing is written.
    LastAdmin,
}

/// What came of writing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrote {
    /// It is written.
    Done,
    /// What it was decided on is another by now: nothing is written.
    Moved,
}

/// The rows of accounts, on both stores.
#[async_trait]
pub trait AccountRows: Send + Sync {
    /// The account of this address.
    ///
    /// # Errors
    /// What the store says.
    async fn of_email(&self, email: &Email) -> Result<Option<Account>, StoreError>;

    /// An account.
    ///
    /// # Errors
    /// What the store says.
    async fn account(&self, id: AccountId) -> Result<Option<Account>, StoreError>;

    /// A sign-up.
    ///
    /// # Errors
    /// What the store says.
    async fn sign_up(&self, id: SignUpId) -> Result<Option<SignUp>, StoreError>;

    /// A session.
    ///
    /// # Errors
    /// What the store says.
    async fn session(&self, id: SessionId) -> Result<Option<Session>, StoreError>;

    /// The sessions of an account that go on, the newest first.
    ///
    /// # Errors
    /// What the store says.
    async fn sessions(&self, account: AccountId, now: Timestamp) -> Result<Vec<Session>, StoreError>;

    /// The sessions that were ended since this moment.
    ///
    /// # Errors
    /// What the store says.
    async fn revoked_since(&self, since: Timestamp) -> Result<Vec<(SessionId, Timestamp)>, StoreError>;

    /// Looks at all rows.
    ///
    /// # Errors
    /// What the store says.
    async fn looked(&self) -> Result<Looked, StoreError>;

    /// Writes a job: that somebody is written to.
    ///
    /// # Errors
    /// See [`UnitError`].
    async fn write_to(&self, job: &NewJob) -> Result<(), UnitError>;

    /// Writes a sign-up and takes it back, which takes as long as writing one, and leaves nothing.
    ///
    /// # Errors
    /// See [`UnitError`].
    async fn nothing(&self, nobodys: &SignUp) -> Result<(), UnitError>;

    /// Writes a sign-up, and that its mail is sent.
    ///
    /// # Errors
    /// See [`UnitError`].
    async fn begin(&self, sign_up: &SignUp, mail: &NewJob) -> Result<(), UnitError>;

    /// Makes an account of a sign-up, with its first session, and writes the job that its address gives rise to. All other sign-ups of its address are
    /// gone, and so is an invitation that nobody took. Moved when the sign-up is not as it was, or when there is an account of its address.
    ///
    /// # Errors
    /// See [`UnitError`].
    async fn verify(
        &self,
        sign_up: &SignUp,
        account: &Account,
        session: &Session,
        attach: &NewJob,
    ) -> Result<Wrote, UnitError>;

    /// Writes an account that its owner has still to take, its mail, and the answer that is kept of it. Moved when there is an account of its
    /// address or its id, or an answer under the key.
    ///
    /// # Errors
    /// See [`UnitError`].
    async fn invite(&self, account: &Account, mail: &NewJob, keep: Option<&KeptAnswer>) -> Result<Wrote, UnitError>;

    /// Accounts, the newest first (by time, then id), after the given place.
    ///
    /// # Errors
    /// What the store says.
    async fn accounts(
        &self,
        filter: AccountFilter,
        after: Option<(Timestamp, AccountId)>,
        limit: u32,
    ) -> Result<Vec<Account>, StoreError>;

    /// Writes what an account is for, if it still has this version, and ends its sessions. `was_admin` tells that another administrator must be left.
    ///
    /// # Errors
    /// See [`UnitError`].
    async fn reseat(
        &self,
        account: &Account,
        version: u64,
        at: Timestamp,
        was_admin: bool,
    ) -> Result<Reseated, UnitError>;

    /// Opens a session, and ends the oldest of those past `most`. Moved when the account is another by now.
    ///
    /// # Errors
    /// See [`UnitError`].
    async fn open(&self, account: &Account, session: &Session, most: u64) -> Result<Wrote, UnitError>;

    /// Makes the next refresh token the last one. Moved when another is, or the session was ended.
    ///
    /// # Errors
    /// See [`UnitError`].
    async fn rotate(&self, session: &Session, now: Timestamp, until: Timestamp) -> Result<Wrote, UnitError>;

    /// Ends a session, and writes the mail of it. Nothing is written where it has ended.
    ///
    /// # Errors
    /// See [`UnitError`].
    async fn revoke(&self, session: SessionId, now: Timestamp, mail: Option<&NewJob>) -> Result<Wrote, UnitError>;

    /// Writes an account anew, if it has this version; ends its sessions where that is said, all but one; writes what is to be done because of it.
    /// Moved when it has another.
    ///
    /// # Errors
    /// See [`UnitError`].
    async fn change(
        &self,
        account: &Account,
        version: u64,
        ends: Option<Ends>,
        job: Option<&NewJob>,
    ) -> Result<Wrote, UnitError>;

    /// Forgets so many at most of the sign-ups, and of the sessions, that ended before this moment. Gives whether there may be more.
    ///
    /// # Errors
    /// See [`UnitError`].
    async fn forget(&self, before: Timestamp, limit: u32) -> Result<bool, UnitError>;
}

/// Which sessions of an account end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ends {
    /// When.
    pub at: Timestamp,
    /// All but this one.
    pub but: Option<SessionId>,
}

/// The rows of what accounts have of their own, on both stores.
#[async_trait]
pub trait OwnRows: Send + Sync {
    /// The addresses that an account keeps, the newest first.
    ///
    /// # Errors
    /// What the store says.
    async fn addresses(&self, account: AccountId) -> Result<Vec<KeptAddress>, StoreError>;

    /// Keeps an address, and the answer that is kept of it. Moved when the account has `most` already, or the id is there, or the answer.
    ///
    /// # Errors
    /// See [`UnitError`].
    async fn add_address(
        &self,
        address: &KeptAddress,
        most: u64,
        keep: Option<&KeptAnswer>,
    ) -> Result<Wrote, UnitError>;

    /// Changes an address, if it still has this version. Moved when it has another, or is gone.
    ///
    /// # Errors
    /// See [`UnitError`].
    async fn change_address(&self, address: &KeptAddress, version: u64) -> Result<Wrote, UnitError>;

    /// Lets go of an address. Moved when the account has none of this id.
    ///
    /// # Errors
    /// See [`UnitError`].
    async fn drop_address(&self, account: AccountId, id: AddressId) -> Result<Wrote, UnitError>;

    /// The e-mail address that an account is to have.
    ///
    /// # Errors
    /// What the store says.
    async fn new_email(&self, account: AccountId) -> Result<Option<NewEmail>, StoreError>;

    /// Writes the e-mail address that an account is to have, in place of one before, and that these mails are sent.
    ///
    /// # Errors
    /// See [`UnitError`].
    async fn begin_email(&self, new: &NewEmail, mails: [&NewJob; 2]) -> Result<(), UnitError>;

    /// Writes an account with its new e-mail address, if it still has this version, a session, and the job that the address gives rise to. An invitation
    /// of that address that nobody took is gone. Moved, too, when the address is another's.
    ///
    /// # Errors
    /// See [`UnitError`].
    async fn take_email(
        &self,
        new: &NewEmail,
        account: &Account,
        version: u64,
        session: &Session,
        attach: &NewJob,
    ) -> Result<Wrote, UnitError>;

    /// Writes an account of which nothing is left, if it still is as it was before; what it had of its own is gone, and its sessions are over.
    ///
    /// # Errors
    /// See [`UnitError`].
    async fn erase(&self, before: &Account, after: &Account, at: Timestamp) -> Result<Wrote, UnitError>;

    /// Orders of whoever wanted to be forgotten that have details and need them no more: those that ended unpaid, and paid ones that were placed
    /// before this moment.
    ///
    /// # Errors
    /// What the store says.
    async fn orders_to_erase(&self, settled: Timestamp, limit: u32) -> Result<Vec<OrderId>, StoreError>;

    /// Erases what is known of these orders' buyers. It leaves the rows, which say that it was erased.
    ///
    /// # Errors
    /// See [`UnitError`].
    async fn erase_orders(&self, orders: &[OrderId]) -> Result<(), UnitError>;

    /// Writes of those who were erased before this moment, and of whose orders none has details any more, that nothing is left to erase.
    ///
    /// # Errors
    /// See [`UnitError`].
    async fn end_erasures(&self, now: Timestamp, before: Timestamp) -> Result<(), UnitError>;
}
