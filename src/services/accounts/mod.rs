//! Accounts: who can sign in, and where they are signed in. An account is made only when its address is verified, of the sign-up whose token and
//! whose password are brought together: whoever signs up somebody else's address gets nothing, and leaves nothing behind.
//!
//! No token is kept (`tokens`): a session's row has a number, and the refresh token of that number is the last one. Of many requests that bring it
//! at once one raises the number, and all get its successor. One that comes later than that has been stolen, or its successor was: the session ends.

mod attempts;
mod email;
mod hashing;
mod letters;
mod own;
mod passwords;
mod people;
mod rows;
mod tokens;

pub use attempts::Network;
pub use email::{Email, NoEmail};
pub use hashing::{Busy, Hashing};
pub use own::{Kept, KeptAddress, NewEmail};
pub use passwords::{Cost, Password};
pub use people::{Invited, SeatChange};
pub use rows::{
    Account, AccountFilter, AccountRows, Ends, Looked, Nonce, OwnRows, Person, Reseated, Session, SignUp, Wrote,
};
pub use tokens::{Brought, Keys, Purpose, Refresh};

use crate::domain::ids::{AccountId, JobId, SessionId, SignUpId};
use crate::domain::job::{About, JobKind};
use crate::domain::time::Timestamp;
use crate::domain::who::Seat;
use crate::limits;
use crate::ports::erased::ErasedLog;
use crate::ports::jobs::NewJob;
use crate::ports::keys::SigningKeys;
use crate::ports::trace;
use crate::ports::units::UnitError;
use crate::ports::{Clock, StoreError};
use attempts::{Added, Recent};
use parking_lot::RwLock;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, Semaphore};

/// How often what another came before is decided anew.
const TRIES: usize = 16;
/// Sessions and sign-ups that are forgotten at a time.
const FORGOTTEN: u32 = 200;

/// Who asks.
#[derive(Clone, PartialEq, Eq)]
pub struct Visitor {
    /// From where.
    pub address: IpAddr,
    /// What they say that they use.
    pub user_agent: String,
}

/// Somebody who is signed in.
pub struct SignedIn {
    /// With which account.
    pub account: Account,
    /// In which session.
    pub session: SessionId,
    /// What goes on with it.
    pub refresh_token: String,
}

/// Why something was not done.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// Address, password or token are not right. Which of them is not said.
    #[error("these credentials are not right")]
    Invalid,
    /// A refresh token came again after its time. The session is over.
    #[error("a refresh token came again")]
    Reused,
    /// Too many wrong passwords of this address from this network: in so many milliseconds it may be tried again.
    #[error("too many attempts")]
    TooMany(i64),
    /// Too many passwords wait to be hashed.
    #[error(transparent)]
    Busy(#[from] Busy),
    /// The password is not good enough, for this reason.
    #[error("{0}")]
    Weak(&'static str),
    /// Nobody sends mails.
    #[error("no mails are sent")]
    NoMails,
    /// A role does not go with what else is said of it.
    #[error("role, vendor and permissions do not fit together")]
    NoSeat,
    /// An administrator has disabled the account.
    #[error("an administrator has disabled this account")]
    Barred,
    /// No administrator would be left.
    #[error("no administrator would be left")]
    LastAdmin,
    /// It takes a session that was begun with a password just now.
    #[error("sign in anew")]
    LoginRequired,
    /// There is no such account or session.
    #[error("there is no such thing")]
    Unknown,
    /// The store could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It is not known that it was written.
    #[error(transparent)]
    Unit(#[from] UnitError),
}

type Result<T, E = Refusal> = std::result::Result<T, E>;

/// What accounts stand on.
pub struct AccountParts {
    /// Their rows.
    pub rows: Arc<dyn AccountRows>,
    /// The rows of what they have of their own.
    pub own: Arc<dyn OwnRows>,
    /// Where it is noted who wanted to be forgotten.
    pub erased: Arc<dyn ErasedLog>,
    /// Signs their tokens.
    pub keys: Keys,
    /// Hashes their passwords.
    pub hashing: Hashing,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// How long the refresh token before the last one is taken.
    pub grace: Duration,
    /// Whether mails are sent.
    pub mails: bool,
    /// Told when there is a new job.
    pub news: Arc<Notify>,
}

/// Mails that somebody else may have asked for. None uses up what there is of another sort: resets are always open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Unasked {
    SignUp,
    Reset,
    Invitation,
    NewEmail,
}

/// The service.
pub struct Accounts {
    parts: AccountParts,
    /// Sessions that were ended while an access token of theirs may still be about, and when.
    revoked: RwLock<HashMap<SessionId, Timestamp>>,
    /// Told when somebody wants to be forgotten.
    erasing: Notify,
    /// Wrong passwords of one address from one network.
    failed: Recent<(String, Network)>,
    /// Wrong passwords of one address, from wherever.
    failed_anywhere: Recent<String>,
    /// Who waits because of these.
    waiting: Semaphore,
    /// Mails that tell of these: one an hour.
    warned: Recent<String>,
    /// Mails to an address that somebody else asked for, each sort by itself.
    written: Recent<(String, Unasked)>,
}

impl Accounts {
    /// Over these.
    pub fn new(parts: AccountParts) -> Self {
        Self {
            parts,
            revoked: RwLock::default(),
            erasing: Notify::new(),
            failed: Recent::new(limits::ATTEMPTS, limits::ATTEMPTS_MS),
            failed_anywhere: Recent::new(limits::ATTEMPTS_ANYWHERE, limits::ATTEMPTS_MS),
            waiting: Semaphore::new(limits::ATTEMPTS_WAITING),
            warned: Recent::new(1, limits::ACCOUNT_MAILS_MS),
            written: Recent::new(limits::ACCOUNT_MAILS, limits::ACCOUNT_MAILS_MS),
        }
    }

    /// Signs with other secrets from now on.
    pub fn sign_with(&self, secrets: &SigningKeys) {
        // The lengths are fixed: it does not fail.
        if self.parts.keys.set(secrets).is_err() {
            tracing::error!("the secrets make no keys: those before are used");
        }
    }

    fn rows(&self) -> &dyn AccountRows {
        &*self.parts.rows
    }

    fn now(&self) -> Timestamp {
        self.parts.clock.now()
    }

    fn nonce(&self, lasts_ms: i64) -> Nonce {
        Nonce { nonce: self.parts.clock.new_uuid(), until: self.now().plus_millis(lasts_ms) }
    }

    fn job(&self, kind: JobKind, about: About) -> NewJob {
        let id = JobId::from_uuid(self.parts.clock.new_uuid());
        trace::sets_off(id);
        NewJob { id, kind, about, version: 0, at: self.now() }
    }

    /// Whoever reads the mails to an address gets what was bought with it as a guest.
    fn attach(&self, account: AccountId) -> NewJob {
        self.job(JobKind::AttachOrders, About::Account(account))
    }

    fn session(&self, account: AccountId, visitor: &Visitor) -> Session {
        let now = self.now();
        Session {
            id: SessionId::from_uuid(self.parts.clock.new_uuid()),
            account,
            number: 1,
            made_at: now,
            rotated_at: now,
            until: now.plus_millis(limits::SESSION_IDLE_MS),
            revoked_at: Timestamp::default(),
            address: visitor.address.to_canonical().to_string(),
            user_agent: visitor.user_agent.chars().take(limits::USER_AGENT).collect(),
        }
    }

    fn signed_in(&self, account: Account, session: SessionId, number: u64) -> SignedIn {
        let refresh_token = self.parts.keys.refresh_token(Refresh { session: session.uuid(), number });
        SignedIn { account, session, refresh_token }
    }

    /// Writes a mail that its recipient may not have asked for, if there were not too many of them, and nothing else that takes as long.
    async fn write_unasked(&self, email: &Email, sort: Unasked, write: impl AsyncFnOnce() -> Result<()>) -> Result<()> {
        let key = (email.as_str().to_owned(), sort);
        if matches!(self.written.add(key.clone(), self.now()), Added::No(_)) {
            return Ok(self.rows().nothing(&self.nobody(email)).await?);
        }
        let written = write().await;
        match written {
            Ok(()) => self.parts.news.notify_one(),
            // Nobody is written to, and it may be asked for again.
            Err(_) => self.written.take_back(&key),
        }
        written
    }

    /// A sign-up that nobody makes, for what is to take as long as one.
    fn nobody(&self, email: &Email) -> SignUp {
        let id = SignUpId::from_uuid(self.parts.clock.new_uuid());
        let nonce = Nonce { nonce: id.uuid(), until: self.now() };
        SignUp {
            id,
            email: email.clone(),
            person: Person::default(),
            password_hash: String::new(),
            nonce,
            at: self.now(),
        }
    }

    /// The account that somebody has of this address. An invitation that nobody took is none: it proves nothing of its owner's will, and whoever
    /// verifies the address otherwise takes its place.
    async fn known_as(&self, email: &Email) -> Result<Option<Account>> {
        Ok(self.rows().of_email(email).await?.filter(|account| !account.is_open_invitation()))
    }

    /// Begins an account: a mail brings the token that verifies its address. Whether there is an account of the address is told to nobody but to
    /// whoever reads its mails.
    ///
    /// # Errors
    /// Weak, Busy, NoMails, and what the store says.
    pub async fn sign_up(&self, email: Email, password: &str, person: Person) -> Result<()> {
        if !self.parts.mails {
            return Err(Refusal::NoMails);
        }
        let password = Password::chosen(password, &email).map_err(Refusal::Weak)?;
        let password_hash = self.parts.hashing.hash(password).await?;
        let account = self.known_as(&email).await?;
        let address = email.clone();
        self.write_unasked(&address, Unasked::SignUp, async || {
            match account {
                Some(account) => {
                    let mail = self.job(JobKind::KnownAddressMail, About::Account(account.id));
                    self.rows().write_to(&mail).await?;
                }
                None => {
                    let id = SignUpId::from_uuid(self.parts.clock.new_uuid());
                    let (nonce, at) = (self.nonce(limits::SIGN_UP_MS), self.now());
                    let sign_up = SignUp { id, email, person, password_hash, nonce, at };
                    self.rows().begin(&sign_up, &self.job(JobKind::SignUpMail, About::SignUp(id))).await?;
                }
            }
            Ok(())
        })
        .await
    }

    /// Makes the account of a sign-up, and signs in with it.
    ///
    /// # Errors
    /// Invalid, TooMany, Busy, and what the store says.
    pub async fn verify(&self, token: &str, password: &str, visitor: &Visitor) -> Result<SignedIn> {
        let brought = self.parts.keys.brought(token).ok_or(Refusal::Invalid)?;
        match brought.purpose {
            Purpose::Verify => {}
            Purpose::Email => return self.verify_email(&brought, password, visitor).await,
            Purpose::Reset => return Err(Refusal::Invalid),
        }
        let sign_up = self.rows().sign_up(SignUpId::from_uuid(brought.row)).await?.ok_or(Refusal::Invalid)?;
        if !self.parts.keys.counts(&brought, sign_up.nonce.nonce) || sign_up.nonce.until <= self.now() {
            return Err(Refusal::Invalid);
        }
        self.known(&sign_up.email, password, Some(&sign_up.password_hash), visitor).await?;
        let now = self.now();
        let account = Account {
            id: AccountId::from_uuid(self.parts.clock.new_uuid()),
            email: sign_up.email.clone(),
            person: sign_up.person.clone(),
            password_hash: sign_up.password_hash.clone(),
            seat: Seat::Customer,
            disabled: false,
            is_barred: false,
            version: 1,
            created_at: now,
            reset: Nonce { nonce: sign_up.nonce.nonce, until: Timestamp::default() },
        };
        let session = self.session(account.id, visitor);
        let attach = self.attach(account.id);
        match self.rows().verify(&sign_up, &account, &session, &attach).await? {
            Wrote::Done => {
                self.parts.news.notify_one();
                Ok(self.signed_in(account, session.id, session.number))
            }
            Wrote::Moved => Err(Refusal::Invalid),
        }
    }

    /// Whether this is the password of this address, after as many tries as anybody has.
    async fn known(&self, email: &Email, password: &str, hash: Option<&str>, visitor: &Visitor) -> Result<()> {
        let from = (email.as_str().to_owned(), Network::from(visitor.address));
        if let Some(left) = self.failed.blocked(&from, self.now()) {
            return Err(Refusal::TooMany(left));
        }
        if self.failed_anywhere.blocked(&from.0, self.now()).is_some() {
            // Nobody is locked out by others: whoever knows the password waits a second.
            let _waiting = self.waiting.try_acquire().map_err(|_| Refusal::TooMany(limits::ATTEMPTS_WAIT_MS))?;
            tokio::time::sleep(Duration::from_millis(limits::ATTEMPTS_WAIT_MS.unsigned_abs())).await;
        }
        let is_known = self.parts.hashing.is(Password::typed(password), hash).await?;
        // Of many guesses that were begun at once, those that end after the last one that counts tell nothing.
        if let Some(left) = self.failed.blocked(&from, self.now()) {
            return Err(Refusal::TooMany(left));
        }
        if is_known {
            self.failed.forget(&from);
            return Ok(());
        }
        let now = self.now();
        if let Added::No(left) = self.failed.add(from.clone(), now) {
            return Err(Refusal::TooMany(left));
        }
        let is_many = self.failed_anywhere.add(from.0.clone(), now) == Added::Last;
        if is_many && !matches!(self.warned.add(from.0, now), Added::No(_)) {
            tracing::warn!("many wrong passwords of one address: each further try waits a second");
            // What comes of it changes nothing of the answer.
            if let Err(error) = self.warn_of_attempts(email).await {
                tracing::warn!(%error, "the owner is not written to");
            }
        }
        Err(Refusal::Invalid)
    }

    /// Writes to the owner of this address, or does what takes as long.
    async fn warn_of_attempts(&self, email: &Email) -> Result<()> {
        match self.rows().of_email(email).await? {
            Some(account) => {
                self.rows().write_to(&self.job(JobKind::ManyAttemptsMail, About::Account(account.id))).await?;
                self.parts.news.notify_one();
            }
            None => self.rows().nothing(&self.nobody(email)).await?,
        }
        Ok(())
    }

    /// Signs in.
    ///
    /// # Errors
    /// Invalid, TooMany, Busy, and what the store says.
    pub async fn log_in(&self, email: &str, password: &str, visitor: &Visitor) -> Result<SignedIn> {
        // What is no address has no account, which is found out in the time that it takes with one.
        let Ok(email) = Email::new(email) else {
            self.parts.hashing.is(Password::typed(password), None).await?;
            return Err(Refusal::Invalid);
        };
        let account = self.rows().of_email(&email).await?.filter(|account| !account.disabled);
        self.known(&email, password, account.as_ref().and_then(Account::hash), visitor).await?;
        let mut account = account.ok_or(Refusal::Invalid)?;
        let known = account.password_hash.clone();
        if !self.parts.hashing.is_of_today(&known) {
            // It is known now, and is kept at today's cost from now on. A change that came between has its own.
            let hash = self.parts.hashing.hash(Password::typed(password)).await?;
            let stronger = Account { password_hash: hash, ..account.clone() };
            if self.changed(stronger.clone(), None, None).await? {
                account = self.account(account.id).await?;
            }
        }
        let kept = account.password_hash.clone();
        for _ in 0..TRIES {
            let session = self.session(account.id, visitor);
            if self.rows().open(&account, &session, limits::SESSIONS).await? == Wrote::Done {
                return Ok(self.signed_in(account, session.id, session.number));
            }
            // Another name changes nothing of this; another password, or another seat that ended all sessions, does.
            let now = self.rows().account(account.id).await?;
            let is_same = |now: &Account| !now.disabled && (now.password_hash == known || now.password_hash == kept);
            account = now.filter(is_same).ok_or(Refusal::Invalid)?;
        }
        Err(Refusal::Unit(UnitError::Busy))
    }

    /// Goes on with a session.
    ///
    /// # Errors
    /// Invalid, Reused, and what the store says.
    pub async fn refresh(&self, token: &str) -> Result<SignedIn> {
        let shown = self.parts.keys.refresh(token).ok_or(Refusal::Invalid)?;
        let id = SessionId::from_uuid(shown.session);
        for _ in 0..TRIES {
            let now = self.now();
            let session =
                self.rows().session(id).await?.filter(|session| session.goes_on(now)).ok_or(Refusal::Invalid)?;
            let account = self.rows().account(session.account).await?.filter(|account| !account.disabled);
            let account = account.ok_or(Refusal::Invalid)?;
            let grace = i64::try_from(self.parts.grace.as_millis()).unwrap_or(i64::MAX);
            let is_young = now.millis_since(session.rotated_at) <= grace;
            let is_last = shown.number == session.number;
            if is_young && (is_last || shown.number.checked_add(1) == Some(session.number)) {
                return Ok(self.signed_in(account, id, session.number));
            }
            if !is_last {
                let mail = self.job(JobKind::TokenReusedMail, About::Account(account.id));
                self.end(id, Some(&mail)).await?;
                return Err(Refusal::Reused);
            }
            let until = now.plus_millis(limits::SESSION_IDLE_MS).min(session.made_at.plus_millis(limits::SESSION_MS));
            match self.rows().rotate(&session, now, until).await? {
                Wrote::Done => return Ok(self.signed_in(account, id, session.number.saturating_add(1))),
                // Another was first: its successor is the last one now.
                Wrote::Moved => {}
            }
        }
        Err(Refusal::Unit(UnitError::Busy))
    }

    async fn end(&self, id: SessionId, mail: Option<&NewJob>) -> Result<()> {
        let now = self.now();
        // Here it counts from now on, whatever the store says.
        self.revoked.write().insert(id, now);
        self.rows().revoke(id, now, mail).await?;
        if mail.is_some() {
            self.parts.news.notify_one();
        }
        Ok(())
    }

    /// Ends the session of a refresh token. One that is none ends nothing.
    ///
    /// # Errors
    /// What the store says.
    pub async fn log_out(&self, token: &str) -> Result<()> {
        match self.parts.keys.refresh(token) {
            Some(shown) => self.end(SessionId::from_uuid(shown.session), None).await,
            None => Ok(()),
        }
    }

    /// Sends the mail with which another password is set, where there is an account of the address.
    ///
    /// # Errors
    /// NoMails, and what the store says.
    pub async fn forgot(&self, email: &str) -> Result<()> {
        if !self.parts.mails {
            return Err(Refusal::NoMails);
        }
        // What is no address has no account, and is as one that has none.
        let Ok(email) = Email::new(email) else { return Ok(()) };
        let account = self.rows().of_email(&email).await?.filter(|account| !account.disabled);
        let Some(account) = account else { return Ok(self.rows().nothing(&self.nobody(&email)).await?) };
        self.write_unasked(&email, Unasked::Reset, async || {
            for _ in 0..TRIES {
                let mut account = self.account(account.id).await?;
                // An invitation stays one: whoever asks must not shorten it.
                let (lasts, kind) = match account.is_invited() {
                    true => (limits::INVITATION_MS, JobKind::InvitationMail),
                    false => (limits::RESET_MS, JobKind::PasswordResetMail),
                };
                account.reset = self.nonce(lasts);
                let mail = self.job(kind, About::Account(account.id));
                let version = account.version;
                account.version = version.saturating_add(1);
                if self.rows().change(&account, version, None, Some(&mail)).await? == Wrote::Done {
                    return Ok(());
                }
            }
            Err(Refusal::Unit(UnitError::Busy))
        })
        .await
    }

    /// Sets another password with the token of a mail. All sessions end.
    ///
    /// # Errors
    /// Invalid, Weak, Busy, and what the store says.
    pub async fn reset(&self, token: &str, password: &str) -> Result<()> {
        let brought = self.parts.keys.brought(token).filter(|brought| brought.purpose == Purpose::Reset);
        let brought = brought.ok_or(Refusal::Invalid)?;
        let id = AccountId::from_uuid(brought.row);
        let counts = |account: &Account| {
            !account.disabled
                && account.reset.until > self.now()
                && self.parts.keys.counts(&brought, account.reset.nonce)
        };
        let account = self.rows().account(id).await?.filter(counts).ok_or(Refusal::Invalid)?;
        let password = Password::chosen(password, &account.email).map_err(Refusal::Weak)?;
        let hash = self.parts.hashing.hash(password).await?;
        for _ in 0..TRIES {
            let mut account = self.rows().account(id).await?.filter(counts).ok_or(Refusal::Invalid)?;
            account.password_hash.clone_from(&hash);
            account.reset = Nonce { nonce: self.parts.clock.new_uuid(), until: Timestamp::default() };
            // Whoever brings the token reads the mails to this address.
            let attach = (account.seat == Seat::Customer).then(|| self.attach(id));
            if self.changed(account, Some(Ends { at: self.now(), but: None }), attach.as_ref()).await? {
                return Ok(());
            }
        }
        Err(Refusal::Unit(UnitError::Busy))
    }

    /// Writes an account anew, unless another change came before. Sessions that end by it are known to have ended at once.
    async fn changed(&self, mut account: Account, ends: Option<Ends>, job: Option<&NewJob>) -> Result<bool> {
        let version = account.version;
        account.version = version.saturating_add(1);
        let sessions = match ends {
            Some(_) => self.rows().sessions(account.id, self.now()).await?,
            None => Vec::new(),
        };
        if self.rows().change(&account, version, ends, job).await? == Wrote::Moved {
            return Ok(false);
        }
        if job.is_some() {
            self.parts.news.notify_one();
        }
        if let Some(Ends { at, but }) = ends {
            let ended = sessions.iter().map(|session| session.id).filter(|id| but != Some(*id));
            self.revoked.write().extend(ended.map(|id| (id, at)));
        }
        Ok(true)
    }

    /// An account, for its owner.
    ///
    /// # Errors
    /// Unknown, and what the store says.
    pub async fn account(&self, id: AccountId) -> Result<Account> {
        self.rows().account(id).await?.ok_or(Refusal::Unknown)
    }

    /// Changes who somebody is: what is `None` stays as it is.
    ///
    /// # Errors
    /// Unknown, and what the store says.
    pub async fn describe(
        &self,
        id: AccountId,
        name: Option<Option<String>>,
        phone: Option<Option<String>>,
    ) -> Result<Account> {
        for _ in 0..TRIES {
            let mut account = self.account(id).await?;
            if account.disabled {
                // It was ended meanwhile: nothing is written of its owner any more.
                return Err(Refusal::Unknown);
            }
            if let Some(name) = &name {
                account.person.name.clone_from(name);
            }
            if let Some(phone) = &phone {
                account.person.phone.clone_from(phone);
            }
            if self.changed(account.clone(), None, None).await? {
                return Ok(account);
            }
        }
        Err(Refusal::Unit(UnitError::Busy))
    }

    /// Sets another password for whoever knows the one there is. All other sessions end.
    ///
    /// # Errors
    /// Invalid, TooMany, Weak, Busy, Unknown, and what the store says.
    pub async fn set_password(
        &self,
        id: AccountId,
        session: SessionId,
        current: &str,
        password: &str,
        visitor: &Visitor,
    ) -> Result<()> {
        let known = self.account(id).await?;
        let chosen = Password::chosen(password, &known.email).map_err(Refusal::Weak)?;
        self.known(&known.email, current, Some(&known.password_hash), visitor).await?;
        let hash = self.parts.hashing.hash(chosen).await?;
        for _ in 0..TRIES {
            let mut account = self.account(id).await?;
            if account.password_hash != known.password_hash {
                return Err(Refusal::Invalid);
            }
            account.password_hash.clone_from(&hash);
            // What a mail brought before is worth nothing any more.
            account.reset = Nonce { nonce: self.parts.clock.new_uuid(), until: Timestamp::default() };
            if self.changed(account, Some(Ends { at: self.now(), but: Some(session) }), None).await? {
                return Ok(());
            }
        }
        Err(Refusal::Unit(UnitError::Busy))
    }

    /// Where somebody is signed in, the newest first.
    ///
    /// # Errors
    /// What the store says.
    pub async fn sessions(&self, id: AccountId) -> Result<Vec<Session>> {
        Ok(self.rows().sessions(id, self.now()).await?)
    }

    /// Ends one of somebody's sessions.
    ///
    /// # Errors
    /// Unknown where it is not theirs, and what the store says.
    pub async fn end_session(&self, account: AccountId, session: SessionId) -> Result<()> {
        let found = self.rows().session(session).await?;
        let theirs = found.filter(|found| found.account == account && found.goes_on(self.now()));
        theirs.ok_or(Refusal::Unknown)?;
        self.end(session, None).await
    }

    /// Whether a session was ended, as far as this node knows: what happens here it knows at once, and all else after [`Accounts::learn`].
    pub fn is_revoked(&self, session: SessionId) -> bool {
        self.revoked.read().contains_key(&session)
    }

    /// Learns which sessions were ended elsewhere, and forgets those of which no access token can be about any more.
    ///
    /// # Errors
    /// What the store says.
    pub async fn learn(&self) -> Result<(), StoreError> {
        let since = self.now().plus_millis(-limits::REVOKED_KEPT_MS);
        let ended = self.rows().revoked_since(since).await?;
        let mut revoked = self.revoked.write();
        revoked.retain(|_, at| *at >= since);
        revoked.extend(ended);
        Ok(())
    }

    /// Forgets sign-ups and sessions that are over.
    ///
    /// # Errors
    /// See [`UnitError`].
    pub async fn forget_old(&self) -> Result<(), UnitError> {
        let before = self.now().plus_millis(-limits::SESSION_KEPT_MS);
        while self.rows().forget(before, FORGOTTEN).await? {}
        Ok(())
    }
}
