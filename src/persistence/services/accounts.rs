//! The rows of accounts, of what is to become one, and of sessions.

use super::own::DROP_ADDRESSES;
use super::{kept, number, select};
use crate::domain::ids::{AccountId, SessionId, SignUpId, VendorId};
use crate::domain::time::Timestamp;
use crate::domain::who::{Permissions, Seat, VendorRole};
use crate::persistence::table::{Cell, Table, table, unknown};
use crate::persistence::values::{signed, unsigned};
use crate::ports::StoreError;
use crate::ports::jobs::NewJob;
use crate::ports::units::{Statement, Unit, UnitEnd, UnitError, Units, Value};
use crate::services::accounts::{
    Account, AccountFilter, AccountRows, Email, Ends, Looked, Nonce, Person, Reseated, Session, SignUp, Wrote,
};
use crate::services::kept::KeptAnswer;
use async_trait::async_trait;
use std::sync::Arc;
use uuid::Uuid;

const SIGN_UP: &str = "
    SELECT id, email, name, phone, password_hash, nonce, at, until FROM sign_ups WHERE id = $1";
const ADD_SIGN_UP: &str = "
    INSERT INTO sign_ups (id, email, name, phone, password_hash, nonce, at, until) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
const TAKE_SIGN_UP: &str = "DELETE FROM sign_ups WHERE id = $1 AND nonce = $2";
pub(in crate::persistence) const DROP_SIGN_UPS: &str = "DELETE FROM sign_ups WHERE email = $1";

/// An invitation that nobody took. One that is taken meanwhile stays, and no other account of its address is added.
pub(in crate::persistence) const DROP_INVITATION: &str =
    "DELETE FROM accounts WHERE email = $1 AND password_hash = '' AND disabled = 0";
pub(in crate::persistence) const BY_EMAIL: &str = "
    SELECT id, email, name, phone, password_hash, role, vendor_id, powers, disabled, version, created_at, reset_nonce,
        reset_until
    FROM accounts WHERE email = $1";
const BY_ID: &str = "
    SELECT id, email, name, phone, password_hash, role, vendor_id, powers, disabled, version, created_at, reset_nonce,
        reset_until
    FROM accounts WHERE id = $1";
const ADD_ACCOUNT: &str = "
    INSERT INTO accounts
        (id, email, name, phone, password_hash, role, vendor_id, powers, disabled, version, created_at, reset_nonce,
        reset_until)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)";
pub(super) const CHANGE_ACCOUNT: &str = "
    UPDATE accounts SET email = $2, name = $3, phone = $4, password_hash = $5, role = $6, vendor_id = $7, powers = $8,
        disabled = $9, version = $10, reset_nonce = $12, reset_until = $13
    WHERE id = $1 AND created_at = $11 AND version = $14";
/// Whoever was found to know the password of an account that is as it was then.
const IS_AS_KNOWN: &str = "UPDATE accounts SET version = version WHERE id = $1 AND version = $2 AND disabled = 0";

/// Of two that take the last two administrators' seats at once, one waits here for the other.
const HOLD_ADMINS: &str = "UPDATE accounts SET version = version WHERE role = 'admin'";
const AN_ADMIN_IS_LEFT: &str = "
    UPDATE accounts SET version = version WHERE id = (
        SELECT id FROM accounts WHERE role = 'admin' AND disabled = 0 AND password_hash <> '' ORDER BY id LIMIT 1)";

pub(in crate::persistence) const NEWEST: &str = "
    SELECT id, email, name, phone, password_hash, role, vendor_id, powers, disabled, version, created_at, reset_nonce,
        reset_until
    FROM accounts WHERE (created_at, id) < ($1, $2) ORDER BY created_at DESC, id DESC LIMIT $3";
pub(in crate::persistence) const NEWEST_IN_ROLE: &str = "
    SELECT id, email, name, phone, password_hash, role, vendor_id, powers, disabled, version, created_at, reset_nonce,
        reset_until
    FROM accounts WHERE (created_at, id) < ($1, $2) AND role = $4 ORDER BY created_at DESC, id DESC LIMIT $3";
pub(in crate::persistence) const NEWEST_OF_VENDOR: &str = "
    SELECT id, email, name, phone, password_hash, role, vendor_id, powers, disabled, version, created_at, reset_nonce,
        reset_until
    FROM accounts WHERE (created_at, id) < ($1, $2) AND vendor_id = $4 AND password_hash <> ''
    ORDER BY created_at DESC, id DESC LIMIT $3";

const SESSION: &str = "
    SELECT id, account_id, number, made_at, rotated_at, until, revoked_at, address, user_agent
    FROM sessions WHERE id = $1";
/// An account's sessions are looked for by the account. The moment is in an expression, or `SQLite` would look among all sessions that go on.
pub(in crate::persistence) const SESSIONS: &str = "
    SELECT id, account_id, number, made_at, rotated_at, until, revoked_at, address, user_agent
    FROM sessions WHERE account_id = $1 AND coalesce(revoked_at, revoked_at) = $2 AND until > $3 ORDER BY made_at DESC, id DESC";
pub(super) const ADD_SESSION: &str = "
    INSERT INTO sessions (id, account_id, number, made_at, rotated_at, until, revoked_at, address, user_agent)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
pub(in crate::persistence) const END_OLDEST: &str = "
    UPDATE sessions SET revoked_at = $2 WHERE account_id = $1 AND coalesce(revoked_at, revoked_at) = $3 AND id NOT IN (
        SELECT id FROM sessions WHERE account_id = $1 AND coalesce(revoked_at, revoked_at) = $3
        ORDER BY rotated_at DESC, id DESC LIMIT $4)";
const ROTATE: &str = "
    UPDATE sessions SET number = number + 1, rotated_at = $3, until = $4
    WHERE id = $1 AND number = $2 AND revoked_at = $5";
const REVOKE: &str = "UPDATE sessions SET revoked_at = $2 WHERE id = $1 AND revoked_at = $3";
pub(in crate::persistence) const REVOKE_ALL: &str = "
    UPDATE sessions SET revoked_at = $2 WHERE account_id = $1 AND coalesce(revoked_at, revoked_at) = $3 AND id <> $4";
pub(in crate::persistence) const REVOKED: &str = "
    SELECT id, account_id, number, made_at, rotated_at, until, revoked_at, address, user_agent
    FROM sessions WHERE revoked_at >= $1";

const ACCOUNTS: &str = "SELECT count(*) FROM accounts";
const ALL_SESSIONS: &str = "SELECT count(*) FROM sessions";
const STRANGE: &str = "
    SELECT id, email, name, phone, password_hash, role, vendor_id, powers, disabled, version, created_at, reset_nonce,
        reset_until
    FROM accounts WHERE email <> lower(email) OR email NOT LIKE '%@%' OR version < 1
        OR (password_hash NOT LIKE '$argon2id$%' AND password_hash <> '')
        OR (role = 'vendor') <> (vendor_id IS NOT NULL)
    ORDER BY id LIMIT 1000";

const ADD_JOB: &str = "
    INSERT INTO jobs (id, kind, target, state, about_kind, about, tries, made_at, next_at, version)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 0)";

pub(in crate::persistence) const OLD: [&str; 4] = [
    "SELECT count(*) FROM (SELECT 1 FROM sign_ups WHERE until < $1 LIMIT $2) AS old",
    "SELECT count(*) FROM (
        SELECT 1 FROM sessions WHERE until < $1 OR (revoked_at < $1 AND revoked_at > $3) LIMIT $2) AS old",
    "SELECT count(*) FROM (SELECT 1 FROM new_emails WHERE until < $1 LIMIT $2) AS old",
    // An invitation that nobody took.
    "SELECT count(*) FROM (SELECT 1 FROM accounts WHERE password_hash = '' AND disabled = 0 AND reset_until < $1 LIMIT $2) AS old",
];
pub(in crate::persistence) const FORGET: [&str; 4] = [
    "DELETE FROM sign_ups WHERE id IN (SELECT id FROM sign_ups WHERE until < $1 LIMIT $2)",
    "DELETE FROM sessions WHERE id IN (
        SELECT id FROM sessions WHERE until < $1 OR (revoked_at < $1 AND revoked_at > $3) LIMIT $2)",
    "DELETE FROM new_emails WHERE account_id IN (SELECT account_id FROM new_emails WHERE until < $1 LIMIT $2)",
    "DELETE FROM accounts WHERE id IN (
        SELECT id FROM accounts WHERE password_hash = '' AND disabled = 0 AND reset_until < $1 LIMIT $2)",
];

table! {
    SignUp as "sign_ups" ("id"), row {
        [fixed] id: SignUpId = &row.id,
        [fixed] email: String = row.email.as_str().to_owned(),
        [fixed] name: Option<String> = &row.person.name,
        [fixed] phone: Option<String> = &row.person.phone,
        [fixed] password_hash: String = &row.password_hash,
        [fixed] nonce: Uuid = &row.nonce.nonce,
        [fixed] at: Timestamp = &row.at,
        [fixed] until: Timestamp = &row.nonce.until,
    } => SignUp {
        SignUp {
            id,
            email: Email::of_table(email),
            person: Person { name, phone },
            password_hash,
            nonce: Nonce { nonce, until },
            at,
        }
    }
}

table! {
    Account as "accounts" ("id"), row {
        [fixed] id: AccountId = &row.id,
        email: String = row.email.as_str().to_owned(),
        name: Option<String> = &row.person.name,
        phone: Option<String> = &row.person.phone,
        password_hash: String = &row.password_hash,
        role: String = row.seat.role().to_owned(),
        vendor_id: Option<VendorId> = Cell::Uuid(row.seat.vendor().map(|vendor| vendor.uuid())),
        powers: String = powers(row.seat),
        disabled: i64 = i64::from(row.disabled) + i64::from(row.is_barred),
        version: i64 = signed(row.version).unwrap_or(i64::MAX),
        [fixed] created_at: Timestamp = &row.created_at,
        reset_nonce: Uuid = &row.reset.nonce,
        reset_until: Timestamp = &row.reset.until,
    } => Account {
        Account {
            id,
            email: Email::of_table(email),
            person: Person { name, phone },
            password_hash,
            seat: seat(&role, vendor_id, &powers).ok_or_else(|| unknown("role", &role))?,
            disabled: disabled != 0,
            is_barred: disabled > 1,
            version: unsigned(version)?,
            created_at,
            reset: Nonce { nonce: reset_nonce, until: reset_until },
        }
    }
}

/// What an account may do, beside its role.
fn powers(seat: Seat) -> String {
    match seat {
        Seat::Member(_, role) => role.name().to_owned(),
        Seat::Staff(permissions) => permissions.list(),
        Seat::Customer | Seat::Admin => String::new(),
    }
}

fn seat(role: &str, vendor: Option<VendorId>, powers: &str) -> Option<Seat> {
    match role {
        "vendor" => Seat::from_parts(role, vendor, Some(VendorRole::from_name(powers)?), None),
        "staff" => Seat::from_parts(role, vendor, None, Some(Permissions::parse(powers)?)),
        _ => Seat::from_parts(role, vendor, None, None).filter(|_| powers.is_empty()),
    }
}

table! {
    Session as "sessions" ("id"), row {
        [fixed] id: SessionId = &row.id,
        [fixed] account_id: AccountId = &row.account,
        number: i64 = signed(row.number).unwrap_or(i64::MAX),
        [fixed] made_at: Timestamp = &row.made_at,
        rotated_at: Timestamp = &row.rotated_at,
        until: Timestamp = &row.until,
        revoked_at: Timestamp = &row.revoked_at,
        [fixed] address: String = &row.address,
        [fixed] user_agent: String = &row.user_agent,
    } => Session {
        Session {
            id,
            account: account_id,
            number: unsigned(number)?,
            made_at,
            rotated_at,
            until,
            revoked_at,
            address,
            user_agent,
        }
    }
}

/// A moment long past: of what did not happen.
pub(super) const NEVER: Value = Value::Moment(Timestamp::from_millis(0));

/// The end of the year 9999, which both stores can say: nothing happens after it.
const LAST: Timestamp = Timestamp::from_millis(253_402_300_799_999);

pub(super) fn id(id: Uuid) -> Value {
    Value::Uuid(Some(id))
}

pub(super) fn text(text: &str) -> Value {
    Value::Text(Some(text.to_owned()))
}

pub(super) fn job(job: &NewJob) -> Result<Statement, StoreError> {
    Ok(Statement::new(ADD_JOB, super::values(job)?))
}

/// Accounts on either store.
pub(super) struct Rows(pub(super) Arc<dyn Units>);

impl Rows {
    pub(super) async fn one<T: Table>(
        &self,
        statement: &'static str,
        key: Value,
    ) -> Result<Option<T::Row>, StoreError> {
        Ok(select::<T>(&*self.0, Statement::new(statement, vec![key])).await?.into_iter().next())
    }

    /// Runs a unit whose statements all must find what they were decided on.
    pub(super) async fn run(&self, statements: Vec<Statement>) -> Result<Wrote, UnitError> {
        match self.0.run(Unit::new(statements)).await? {
            UnitEnd::Done => Ok(Wrote::Done),
            UnitEnd::Stopped(_) | UnitEnd::Taken(_) => Ok(Wrote::Moved),
        }
    }
}

#[async_trait]
impl AccountRows for Rows {
    async fn of_email(&self, email: &Email) -> Result<Option<Account>, StoreError> {
        self.one::<Account>(BY_EMAIL, text(email.as_str())).await
    }

    async fn account(&self, account: AccountId) -> Result<Option<Account>, StoreError> {
        self.one::<Account>(BY_ID, id(account.uuid())).await
    }

    async fn sign_up(&self, sign_up: SignUpId) -> Result<Option<SignUp>, StoreError> {
        self.one::<SignUp>(SIGN_UP, id(sign_up.uuid())).await
    }

    async fn session(&self, session: SessionId) -> Result<Option<Session>, StoreError> {
        self.one::<Session>(SESSION, id(session.uuid())).await
    }

    async fn sessions(&self, account: AccountId, now: Timestamp) -> Result<Vec<Session>, StoreError> {
        let values = vec![id(account.uuid()), NEVER, Value::Moment(now)];
        select::<Session>(&*self.0, Statement::new(SESSIONS, values)).await
    }

    async fn revoked_since(&self, since: Timestamp) -> Result<Vec<(SessionId, Timestamp)>, StoreError> {
        let ended = select::<Session>(&*self.0, Statement::new(REVOKED, vec![Value::Moment(since)])).await?;
        Ok(ended.into_iter().map(|session| (session.id, session.revoked_at)).collect())
    }

    async fn looked(&self) -> Result<Looked, StoreError> {
        let all = async |text| {
            let found = number(&*self.0, Statement::new(text, Vec::new())).await?;
            unsigned(found.unwrap_or(0))
        };
        let strange = select::<Account>(&*self.0, Statement::new(STRANGE, Vec::new())).await?;
        let strange = strange.into_iter().map(|account| account.id).collect();
        Ok(Looked { accounts: all(ACCOUNTS).await?, sessions: all(ALL_SESSIONS).await?, strange })
    }

    async fn write_to(&self, mail: &NewJob) -> Result<(), UnitError> {
        self.run(vec![job(mail)?]).await.map(drop)
    }

    async fn nothing(&self, nobodys: &SignUp) -> Result<(), UnitError> {
        let added = Statement::new(ADD_SIGN_UP, super::values(nobodys)?);
        let taken = Statement::new(TAKE_SIGN_UP, vec![id(nobodys.id.uuid()), id(nobodys.nonce.nonce)]);
        self.run(vec![added, taken]).await.map(drop)
    }

    async fn begin(&self, sign_up: &SignUp, mail: &NewJob) -> Result<(), UnitError> {
        self.run(vec![Statement::new(ADD_SIGN_UP, super::values(sign_up)?), job(mail)?]).await.map(drop)
    }

    async fn verify(
        &self,
        sign_up: &SignUp,
        account: &Account,
        session: &Session,
        attach: &NewJob,
    ) -> Result<Wrote, UnitError> {
        let taken = Statement::new(TAKE_SIGN_UP, vec![id(sign_up.id.uuid()), id(sign_up.nonce.nonce)]).that_changes(1);
        self.run(vec![
            // First: of two for one address whoever waits here for the other holds nothing that the other waits for.
            Statement::new(DROP_INVITATION, vec![text(account.email.as_str())]),
            Statement::new(ADD_ACCOUNT, super::values(account)?),
            taken,
            Statement::new(DROP_SIGN_UPS, vec![text(account.email.as_str())]),
            Statement::new(ADD_SESSION, super::values(session)?),
            job(attach)?,
        ])
        .await
    }

    async fn invite(&self, account: &Account, mail: &NewJob, keep: Option<&KeptAnswer>) -> Result<Wrote, UnitError> {
        let added = Statement::new(ADD_ACCOUNT, super::values(account)?);
        let keep = keep.map(kept::keep).transpose()?;
        self.run([added, job(mail)?].into_iter().chain(keep).collect()).await
    }

    async fn accounts(
        &self,
        filter: AccountFilter,
        after: Option<(Timestamp, AccountId)>,
        limit: u32,
    ) -> Result<Vec<Account>, StoreError> {
        let (at, after) = after.unwrap_or((LAST, AccountId::from_uuid(Uuid::max())));
        let mut values = vec![Value::Moment(at), id(after.uuid()), Value::Integer(Some(i64::from(limit)))];
        let newest = match filter {
            AccountFilter::All => NEWEST,
            AccountFilter::Role(role) => {
                values.push(text(role));
                NEWEST_IN_ROLE
            }
            AccountFilter::Of(vendor) => {
                values.push(id(vendor.uuid()));
                NEWEST_OF_VENDOR
            }
        };
        select::<Account>(&*self.0, Statement::new(newest, values)).await
    }

    async fn reseat(
        &self,
        account: &Account,
        version: u64,
        at: Timestamp,
        was_admin: bool,
    ) -> Result<Reseated, UnitError> {
        let mut values = super::values(account)?;
        values.push(Value::Integer(Some(signed(version)?)));
        // Only those who buy keep addresses.
        let dropped =
            (account.seat != Seat::Customer).then(|| Statement::new(DROP_ADDRESSES, vec![id(account.id.uuid())]));
        let held = was_admin.then(|| Statement::new(HOLD_ADMINS, Vec::new()));
        let left = was_admin.then(|| Statement::new(AN_ADMIN_IS_LEFT, Vec::new()).that_changes(1));
        let statements: Vec<Statement> = held
            .into_iter()
            .chain([
                Statement::new(CHANGE_ACCOUNT, values).that_changes(1),
                Statement::new(REVOKE_ALL, vec![id(account.id.uuid()), Value::Moment(at), NEVER, id(Uuid::nil())]),
            ])
            .chain(dropped)
            .chain(left)
            .collect();
        let last = statements.len() - 1;
        match self.0.run(Unit::new(statements)).await? {
            UnitEnd::Done => Ok(Reseated::Done),
            UnitEnd::Stopped(place) if was_admin && place == last => Ok(Reseated::LastAdmin),
            UnitEnd::Stopped(_) | UnitEnd::Taken(_) => Ok(Reseated::Moved),
        }
    }

    async fn open(&self, account: &Account, session: &Session, most: u64) -> Result<Wrote, UnitError> {
        let (account_id, most) = (id(account.id.uuid()), Value::Integer(Some(signed(most)?)));
        self.run(vec![
            Statement::new(IS_AS_KNOWN, vec![account_id.clone(), Value::Integer(Some(signed(account.version)?))])
                .that_changes(1),
            Statement::new(ADD_SESSION, super::values(session)?),
            Statement::new(END_OLDEST, vec![account_id, Value::Moment(session.made_at), NEVER, most]),
        ])
        .await
    }

    async fn rotate(&self, session: &Session, now: Timestamp, until: Timestamp) -> Result<Wrote, UnitError> {
        let number = Value::Integer(Some(signed(session.number)?));
        let values = vec![id(session.id.uuid()), number, Value::Moment(now), Value::Moment(until), NEVER];
        self.run(vec![Statement::new(ROTATE, values).that_changes(1)]).await
    }

    async fn revoke(&self, session: SessionId, now: Timestamp, mail: Option<&NewJob>) -> Result<Wrote, UnitError> {
        let ended = Statement::new(REVOKE, vec![id(session.uuid()), Value::Moment(now), NEVER]).that_changes(1);
        let mail = mail.map(job).transpose()?;
        self.run([ended].into_iter().chain(mail).collect()).await
    }

    async fn change(
        &self,
        account: &Account,
        version: u64,
        ends: Option<Ends>,
        mail: Option<&NewJob>,
    ) -> Result<Wrote, UnitError> {
        let mut values = super::values(account)?;
        values.push(Value::Integer(Some(signed(version)?)));
        let changed = Statement::new(CHANGE_ACCOUNT, values).that_changes(1);
        let ended = ends.map(|Ends { at, but }| {
            let but = but.map_or(Uuid::nil(), |but| but.uuid());
            Statement::new(REVOKE_ALL, vec![id(account.id.uuid()), Value::Moment(at), NEVER, id(but)])
        });
        let mail = mail.map(job).transpose()?;
        self.run([changed].into_iter().chain(ended).chain(mail).collect()).await
    }

    async fn forget(&self, before: Timestamp, limit: u32) -> Result<bool, UnitError> {
        let values = |place| {
            let mut values = vec![Value::Moment(before), Value::Integer(Some(i64::from(limit)))];
            values.extend((place == 1).then_some(NEVER));
            values
        };
        let mut more = false;
        for (place, (old, forget)) in OLD.into_iter().zip(FORGET).enumerate() {
            // Asked beside the writer: most of the time there is nothing to forget.
            let old = number(&*self.0, Statement::new(old, values(place))).await?.unwrap_or(0);
            if old > 0 {
                self.run(vec![Statement::new(forget, values(place))]).await?;
            }
            more |= old >= i64::from(limit);
        }
        Ok(more)
    }
}
