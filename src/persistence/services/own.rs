//! The rows of what accounts have of their own: addresses, the e-mail address to come, and who wants to be forgotten.

use super::accounts::{ADD_SESSION, CHANGE_ACCOUNT, DROP_INVITATION, NEVER, REVOKE_ALL, Rows, id, job, text};
use super::{kept, select};
use crate::domain::ids::{AccountId, AddressId, OrderId};
use crate::domain::order::Address;
use crate::domain::time::Timestamp;
use crate::persistence::table::table;
use crate::persistence::values::{signed, unsigned};
use crate::ports::StoreError;
use crate::ports::jobs::NewJob;
use crate::ports::units::{Statement, UnitError, Value, ValueKind};
use crate::services::accounts::{Account, Email, KeptAddress, NewEmail, Nonce, OwnRows, Session, Wrote};
use crate::services::kept::KeptAnswer;
use async_trait::async_trait;
use uuid::Uuid;

const ADDRESSES: &str = "
    SELECT id, account_id, name, line1, line2, city, postcode, region, country, phone, created_at, version
    FROM addresses WHERE account_id = $1 ORDER BY created_at DESC, id DESC";
const ADD_ADDRESS: &str = "
    INSERT INTO addresses
        (id, account_id, name, line1, line2, city, postcode, region, country, phone, created_at, version)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)";
/// Of two that add the last one at once, one waits here for the other.
const HOLD_ACCOUNT: &str = "UPDATE accounts SET version = version WHERE id = $1 AND disabled = 0";
const NOT_TOO_MANY: &str = "
    UPDATE accounts SET version = version WHERE id = $1
        AND (SELECT count(*) FROM addresses WHERE account_id = $1) <= $2";
const CHANGE_ADDRESS: &str = "
    UPDATE addresses SET name = $3, line1 = $4, line2 = $5, city = $6, postcode = $7, region = $8, country = $9, phone = $10,
        version = $12
    WHERE id = $1 AND account_id = $2 AND created_at = $11 AND version = $13";
const DROP_ADDRESS: &str = "DELETE FROM addresses WHERE id = $1 AND account_id = $2";
pub(super) const DROP_ADDRESSES: &str = "DELETE FROM addresses WHERE account_id = $1";

const NEW_EMAIL: &str = "SELECT account_id, email, former, nonce, until FROM new_emails WHERE account_id = $1";
const DROP_NEW_EMAIL: &str = "DELETE FROM new_emails WHERE account_id = $1";
/// The row stays for the notice to the former address, and its token counts no more.
const TAKE_NEW_EMAIL: &str = "UPDATE new_emails SET nonce = $3 WHERE account_id = $1 AND nonce = $2";
const ADD_NEW_EMAIL: &str = "
    INSERT INTO new_emails (account_id, email, former, nonce, until) VALUES ($1, $2, $3, $4, $5)";
const DROP_SIGN_UPS: &str = "DELETE FROM sign_ups WHERE email = $1";

/// From where and with what somebody was signed in is a part of who they are.
const SAY_NOTHING_OF_SESSIONS: &str = "UPDATE sessions SET address = '', user_agent = '' WHERE account_id = $1";
const ADD_ERASURE: &str = "INSERT INTO erasures (account_id, at) VALUES ($1, $2)";
/// Of an order that may still be paid, or is stuck, the details are needed.
const ORDERS_TO_ERASE: &str = "
    SELECT orders.id FROM erasures JOIN orders ON orders.customer_id = erasures.account_id
    WHERE erasures.done_at IS NULL
        AND (status IN ('rejected', 'payment_failed', 'cancelled', 'expired')
            OR (placed_at < $1 AND status IN ('paid', 'fulfilling', 'completed', 'refunded')))
        AND EXISTS (SELECT 1 FROM detail WHERE entity = orders.id AND body IS NOT NULL)
    LIMIT $2";
const ERASE_DETAILS: &str = "UPDATE detail SET body = NULL WHERE entity = $1";
const END_ERASURES: &str = "
    UPDATE erasures SET done_at = $1 WHERE done_at IS NULL AND at < $2 AND NOT EXISTS (
        SELECT 1 FROM orders WHERE customer_id = erasures.account_id
            AND EXISTS (SELECT 1 FROM detail WHERE entity = orders.id AND body IS NOT NULL))";

table! {
    KeptAddress as "addresses" ("id"), row {
        [fixed] id: AddressId = &row.id,
        [fixed] account_id: AccountId = &row.account,
        name: String = &row.address.name,
        line1: String = &row.address.line1,
        line2: Option<String> = &row.address.line2,
        city: String = &row.address.city,
        postcode: Option<String> = &row.address.postcode,
        region: Option<String> = &row.address.region,
        country: String = &row.address.country,
        phone: Option<String> = &row.address.phone,
        [fixed] created_at: Timestamp = &row.created_at,
        version: i64 = signed(row.version).unwrap_or(i64::MAX),
    } => KeptAddress {
        KeptAddress {
            id,
            account: account_id,
            address: Address { name, line1, line2, city, postcode, region, country, phone },
            created_at,
            version: unsigned(version)?,
        }
    }
}

table! {
    NewEmail as "new_emails" ("account_id"), row {
        [fixed] account_id: AccountId = &row.account,
        [fixed] email: String = row.email.as_str().to_owned(),
        [fixed] former: String = row.former.as_str().to_owned(),
        [fixed] nonce: Uuid = &row.nonce.nonce,
        [fixed] until: Timestamp = &row.nonce.until,
    } => NewEmail {
        NewEmail {
            account: account_id,
            email: Email::of_table(email),
            former: Email::of_table(former),
            nonce: Nonce { nonce, until },
        }
    }
}

fn count(number: u64) -> Result<Value, StoreError> {
    Ok(Value::Integer(Some(signed(number)?)))
}

impl Rows {
    /// The ids that a statement selects.
    async fn ids(&self, statement: Statement) -> Result<Vec<Uuid>, StoreError> {
        let rows = self.0.read(statement, &[ValueKind::Uuid]).await?;
        Ok(rows.into_iter().flatten().filter_map(|value| if let Value::Uuid(id) = value { id } else { None }).collect())
    }
}

#[async_trait]
impl OwnRows for Rows {
    async fn addresses(&self, account: AccountId) -> Result<Vec<KeptAddress>, StoreError> {
        select::<KeptAddress>(&*self.0, Statement::new(ADDRESSES, vec![id(account.uuid())])).await
    }

    async fn add_address(
        &self,
        address: &KeptAddress,
        most: u64,
        keep: Option<&KeptAnswer>,
    ) -> Result<Wrote, UnitError> {
        let account = id(address.account.uuid());
        let keep = keep.map(kept::keep).transpose()?;
        let statements = [
            Statement::new(HOLD_ACCOUNT, vec![account.clone()]).that_changes(1),
            Statement::new(ADD_ADDRESS, super::values(address)?),
            Statement::new(NOT_TOO_MANY, vec![account, count(most)?]).that_changes(1),
        ];
        self.run(statements.into_iter().chain(keep).collect()).await
    }

    async fn change_address(&self, address: &KeptAddress, version: u64) -> Result<Wrote, UnitError> {
        let mut values = super::values(address)?;
        values.push(count(version)?);
        self.run(vec![Statement::new(CHANGE_ADDRESS, values).that_changes(1)]).await
    }

    async fn drop_address(&self, account: AccountId, address: AddressId) -> Result<Wrote, UnitError> {
        let values = vec![id(address.uuid()), id(account.uuid())];
        self.run(vec![Statement::new(DROP_ADDRESS, values).that_changes(1)]).await
    }

    async fn new_email(&self, account: AccountId) -> Result<Option<NewEmail>, StoreError> {
        self.one::<NewEmail>(NEW_EMAIL, id(account.uuid())).await
    }

    async fn begin_email(&self, new: &NewEmail, [first, second]: [&NewJob; 2]) -> Result<(), UnitError> {
        let account = id(new.account.uuid());
        let statements = vec![
            Statement::new(HOLD_ACCOUNT, vec![account.clone()]).that_changes(1),
            Statement::new(DROP_NEW_EMAIL, vec![account]),
            Statement::new(ADD_NEW_EMAIL, super::values(new)?),
            job(first)?,
            job(second)?,
        ];
        self.run(statements).await.map(drop)
    }

    async fn take_email(
        &self,
        new: &NewEmail,
        account: &Account,
        version: u64,
        session: &Session,
        attach: &NewJob,
    ) -> Result<Wrote, UnitError> {
        let mut values = super::values(account)?;
        values.push(count(version)?);
        let taken = vec![id(new.account.uuid()), id(new.nonce.nonce), id(session.id.uuid())];
        let others = vec![id(account.id.uuid()), Value::Moment(session.made_at), NEVER, id(session.id.uuid())];
        self.run(vec![
            Statement::new(DROP_INVITATION, vec![text(account.email.as_str())]),
            Statement::new(CHANGE_ACCOUNT, values).that_changes(1),
            Statement::new(TAKE_NEW_EMAIL, taken).that_changes(1),
            Statement::new(DROP_SIGN_UPS, vec![text(account.email.as_str())]),
            Statement::new(REVOKE_ALL, others),
            Statement::new(ADD_SESSION, super::values(session)?),
            job(attach)?,
        ])
        .await
    }

    async fn erase(&self, before: &Account, after: &Account, at: Timestamp) -> Result<Wrote, UnitError> {
        let account = id(before.id.uuid());
        let mut values = super::values(after)?;
        values.push(count(before.version)?);
        self.run(vec![
            Statement::new(CHANGE_ACCOUNT, values).that_changes(1),
            Statement::new(REVOKE_ALL, vec![account.clone(), Value::Moment(at), NEVER, id(Uuid::nil())]),
            Statement::new(SAY_NOTHING_OF_SESSIONS, vec![account.clone()]),
            Statement::new(DROP_ADDRESSES, vec![account.clone()]),
            Statement::new(DROP_NEW_EMAIL, vec![account.clone()]),
            Statement::new(DROP_SIGN_UPS, vec![text(before.email.as_str())]),
            Statement::new(ADD_ERASURE, vec![account, Value::Moment(at)]),
        ])
        .await
    }

    async fn orders_to_erase(&self, settled: Timestamp, limit: u32) -> Result<Vec<OrderId>, StoreError> {
        let values = vec![Value::Moment(settled), count(limit.into())?];
        let orders = self.ids(Statement::new(ORDERS_TO_ERASE, values)).await?;
        Ok(orders.into_iter().map(OrderId::from_uuid).collect())
    }

    async fn erase_orders(&self, orders: &[OrderId]) -> Result<(), UnitError> {
        let erase = |order: &OrderId| Statement::new(ERASE_DETAILS, vec![id(order.uuid())]);
        self.run(orders.iter().map(erase).collect()).await.map(drop)
    }

    async fn end_erasures(&self, now: Timestamp, before: Timestamp) -> Result<(), UnitError> {
        let values = vec![Value::Moment(now), Value::Moment(before)];
        self.run(vec![Statement::new(END_ERASURES, values)]).await.map(drop)
    }
}
