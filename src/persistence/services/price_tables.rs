//! The rows of the tables by which bills are made.

use crate::domain::ids::{CategoryId, VendorId};
use crate::domain::time::Timestamp;
use crate::persistence::values::{signed, unsigned};
use crate::ports::StoreError;
use crate::ports::units::{Statement, Unit, UnitEnd, UnitError, Units, Value, ValueKind};
use crate::services::price_tables::{AllTables, PriceTableRows, StoredTable, TableName, TablesVersion, Wrote};
use async_trait::async_trait;
use std::sync::Arc;
use uuid::Uuid;

const VERSIONS: &str = "SELECT service, version FROM service_versions WHERE service IN ('price_tables', 'categories')";
const RAISE: &str = "UPDATE service_versions SET version = version + 1 WHERE service = 'price_tables'";
const ALL: &str = "SELECT kind, owner, version, document FROM price_tables";
const ONE: &str = "SELECT kind, owner, version, document FROM price_tables WHERE kind = $1 AND owner = $2";
const CATEGORIES: &str = "SELECT id, tax_category FROM categories WHERE tax_category IS NOT NULL";
const INSERT: &str = "
    INSERT INTO price_tables (kind, owner, version, document, changed_at) VALUES ($1, $2, 1, $3, $4)";
const UPDATE: &str = "
    UPDATE price_tables SET version = version + 1, document = $3, changed_at = $4
    WHERE kind = $1 AND owner = $2 AND version = $5";

const TAX: &str = "tax";
const LOYALTY: &str = "loyalty";
const SHIPPING: &str = "shipping";

/// The tables on either store.
pub(super) struct Rows(pub(super) Arc<dyn Units>);

fn key(name: TableName) -> [Value; 2] {
    let (kind, owner) = match name {
        TableName::Tax => (TAX, Uuid::nil()),
        TableName::Loyalty => (LOYALTY, Uuid::nil()),
        TableName::Shipping(vendor) => (SHIPPING, vendor.uuid()),
    };
    [Value::Text(Some(kind.to_owned())), Value::Uuid(Some(owner))]
}

fn strange(row: &[Value]) -> StoreError {
    StoreError::Invalid(format!("a row of the tables of prices makes no sense: {row:?}"))
}

fn stored(row: Vec<Value>) -> Result<StoredTable, StoreError> {
    let [Value::Text(Some(kind)), Value::Uuid(Some(owner)), Value::Integer(Some(version)), Value::Text(Some(document))] =
        &row[..]
    else {
        return Err(strange(&row));
    };
    let name = match kind.as_str() {
        TAX => TableName::Tax,
        LOYALTY => TableName::Loyalty,
        SHIPPING => TableName::Shipping(VendorId::from_uuid(*owner)),
        _ => return Err(strange(&row)),
    };
    Ok(StoredTable { name, version: unsigned(*version)?, document: document.clone() })
}

const COLUMNS: [ValueKind; 4] = [ValueKind::Text, ValueKind::Uuid, ValueKind::Integer, ValueKind::Text];

impl Rows {
    async fn categories(&self) -> Result<Vec<(CategoryId, String)>, StoreError> {
        let rows = self.0.read(Statement::new(CATEGORIES, Vec::new()), &[ValueKind::Uuid, ValueKind::Text]).await?;
        let category = |row: Vec<Value>| match &row[..] {
            [Value::Uuid(Some(id)), Value::Text(Some(tax))] => Ok((CategoryId::from_uuid(*id), tax.clone())),
            _ => Err(strange(&row)),
        };
        rows.into_iter().map(category).collect()
    }
}

#[async_trait]
impl PriceTableRows for Rows {
    async fn version(&self) -> Result<TablesVersion, StoreError> {
        let rows = self.0.read(Statement::new(VERSIONS, Vec::new()), &[ValueKind::Text, ValueKind::Integer]).await?;
        let (mut tables, mut categories) = (None, None);
        for row in rows {
            match &row[..] {
                [Value::Text(Some(service)), Value::Integer(Some(version))] => {
                    let of = if service == "categories" { &mut categories } else { &mut tables };
                    *of = Some(unsigned(*version)?);
                }
                _ => return Err(strange(&row)),
            }
        }
        let none = || StoreError::Invalid("the tables of prices have no version".to_owned());
        Ok(TablesVersion { tables: tables.ok_or_else(none)?, categories: categories.ok_or_else(none)? })
    }

    async fn all(&self) -> Result<AllTables, StoreError> {
        // As with categories: where the version is the same before and after, the rows in between are of that version.
        let mut before = self.version().await?;
        loop {
            let rows = self.0.read(Statement::new(ALL, Vec::new()), &COLUMNS).await?;
            let tables = rows.into_iter().map(stored).collect::<Result<_, _>>()?;
            let categories = self.categories().await?;
            let after = self.version().await?;
            if after == before {
                return Ok(AllTables { version: after, tables, categories });
            }
            before = after;
        }
    }

    async fn one(&self, name: TableName) -> Result<Option<StoredTable>, StoreError> {
        let rows = self.0.read(Statement::new(ONE, key(name).to_vec()), &COLUMNS).await?;
        rows.into_iter().next().map(stored).transpose()
    }

    async fn write(&self, name: TableName, version: u64, document: String, at: Timestamp) -> Result<Wrote, UnitError> {
        let mut values = key(name).to_vec();
        values.extend([Value::Text(Some(document)), Value::Moment(at)]);
        let text = match version {
            0 => INSERT,
            version => {
                values.push(Value::Integer(Some(signed(version)?)));
                UPDATE
            }
        };
        let row = Statement::new(text, values).that_changes(1);
        let raise = Statement::new(RAISE, Vec::new()).that_changes(1);
        match self.0.run(Unit::new(vec![row, raise])).await? {
            UnitEnd::Done => Ok(Wrote::Done),
            UnitEnd::Stopped(_) | UnitEnd::Taken(_) => Ok(Wrote::Moved),
        }
    }
}
