//! The tables by which bills are made: the shop's taxes, its programme of points, and each vendor's methods of shipping. Each is one row, read and
//! written whole, with a version of its own: who writes says which version was read, and whoever was second is told.
//!
//! A node knows all of them as one set before it takes requests. It takes over what others wrote within [`TABLES_LOOK_MS`].
//!
//! [`TABLES_LOOK_MS`]: crate::limits::TABLES_LOOK_MS

use crate::domain::ids::{CategoryId, VendorId};
use crate::domain::loyalty::Programme;
use crate::domain::pricing::{PreparedTaxes, ShippingMethod, ShippingTables, Tables, TaxTables};
use crate::domain::time::Timestamp;
use crate::ports::StoreError;
use crate::ports::units::UnitError;
use async_trait::async_trait;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::sync::Arc;
use tokio::sync::Mutex;

/// Which table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TableName {
    /// The shop's taxes.
    Tax,
    /// The shop's programme of points.
    Loyalty,
    /// A vendor's methods of shipping.
    Shipping(VendorId),
}

/// A table as it stands in its row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredTable {
    /// Which.
    pub name: TableName,
    /// How often it was written.
    pub version: u64,
    /// It, as JSON.
    pub document: String,
}

/// How often what bills are made by was changed: the tables, and the categories, which have rates of tax.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TablesVersion {
    /// Tables.
    pub tables: u64,
    /// Categories.
    pub categories: u64,
}

/// All rows, as they were at a version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AllTables {
    /// Which.
    pub version: TablesVersion,
    /// The tables.
    pub tables: Vec<StoredTable>,
    /// The categories of which it is said how they are taxed.
    pub categories: Vec<(CategoryId, String)>,
}

/// What came of writing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrote {
    /// It is written.
    Done,
    /// The table has another version: nothing is written.
    Moved,
}

/// The rows of tables, on both stores.
#[async_trait]
pub trait PriceTableRows: Send + Sync {
    /// How often anything was changed.
    ///
    /// # Errors
    /// What the store says.
    async fn version(&self) -> Result<TablesVersion, StoreError>;

    /// All rows.
    ///
    /// # Errors
    /// What the store says.
    async fn all(&self) -> Result<AllTables, StoreError>;

    /// One table; `None` of one that was never written.
    ///
    /// # Errors
    /// What the store says.
    async fn one(&self, name: TableName) -> Result<Option<StoredTable>, StoreError>;

    /// Writes a table if it has this version still, 0 for one that was never written.
    ///
    /// # Errors
    /// See [`UnitError`].
    async fn write(&self, name: TableName, version: u64, document: String, at: Timestamp) -> Result<Wrote, UnitError>;
}

/// The service.
pub struct PriceTables {
    rows: Arc<dyn PriceTableRows>,
    /// What was shown last. Held while the rows are read: of two who read, the later shows what is newer.
    shown: Mutex<Option<TablesVersion>>,
}

fn read<T: DeserializeOwned>(stored: &StoredTable) -> Result<T, StoreError> {
    let wrong = |error| StoreError::Invalid(format!("the table {:?} cannot be read: {error}", stored.name));
    serde_json::from_str(&stored.document).map_err(wrong)
}

/// A programme knows its version, which its document does not say.
fn programme(stored: &StoredTable) -> Result<Programme, StoreError> {
    Ok(Programme { version: stored.version, ..read(stored)? })
}

impl PriceTables {
    /// Over these rows.
    pub fn new(rows: Arc<dyn PriceTableRows>) -> Self {
        Self { rows, shown: Mutex::default() }
    }

    /// Looks whether anything was changed, and shows all tables if so.
    ///
    /// # Errors
    /// What the store says; Invalid when a row makes no table. What was shown before is shown still.
    pub async fn learn(&self, show: impl FnOnce(Tables) + Send) -> Result<(), StoreError> {
        let mut shown = self.shown.lock().await;
        if *shown == Some(self.rows.version().await?) {
            return Ok(());
        }
        let AllTables { version, tables: rows, categories } = self.rows.all().await?;
        let (mut tax, mut loyalty, mut shipping) = (None, None, Vec::new());
        for row in &rows {
            match row.name {
                TableName::Tax => tax = Some(read::<TaxTables>(row)?),
                TableName::Loyalty => loyalty = Some(programme(row)?),
                TableName::Shipping(vendor) => shipping.push((vendor, read::<Vec<ShippingMethod>>(row)?)),
            }
        }
        let shipping: ShippingTables = shipping.into_iter().collect();
        let categories = categories.into_iter().collect();
        show(Tables { tax: tax.map(PreparedTaxes::from), shipping, categories, loyalty });
        *shown = Some(version);
        Ok(())
    }

    /// The shop's taxes with their version; 0 and nothing while it taxes nothing.
    ///
    /// # Errors
    /// What the store says; Invalid when the row makes no table.
    pub async fn tax(&self) -> Result<(u64, TaxTables), StoreError> {
        self.table(TableName::Tax).await
    }

    /// The shop's programme of points, with its version; none where none was ever written.
    ///
    /// # Errors
    /// As [`PriceTables::tax`].
    pub async fn loyalty(&self) -> Result<Option<Programme>, StoreError> {
        self.rows.one(TableName::Loyalty).await?.as_ref().map(programme).transpose()
    }

    /// A vendor's methods of shipping with their version.
    ///
    /// # Errors
    /// As [`PriceTables::tax`].
    pub async fn shipping(&self, vendor: VendorId) -> Result<(u64, Vec<ShippingMethod>), StoreError> {
        self.table(TableName::Shipping(vendor)).await
    }

    async fn table<T: DeserializeOwned + Default>(&self, name: TableName) -> Result<(u64, T), StoreError> {
        match self.rows.one(name).await? {
            Some(stored) => Ok((stored.version, read(&stored)?)),
            None => Ok((0, T::default())),
        }
    }

    /// Writes a table if it has this version still.
    ///
    /// # Errors
    /// See [`UnitError`].
    pub async fn write(
        &self,
        name: TableName,
        version: u64,
        table: &(impl Serialize + Sync),
        at: Timestamp,
    ) -> Result<Wrote, UnitError> {
        let document = serde_json::to_string(table).map_err(|error| UnitError::Invalid(error.to_string()))?;
        self.rows.write(name, version, document, at).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::loyalty::Tier;
    use crate::domain::money::{Currency, Money};

    /// A store with these rows.
    struct Stored(Vec<StoredTable>);

    #[async_trait]
    impl PriceTableRows for Stored {
        async fn version(&self) -> Result<TablesVersion, StoreError> {
            Ok(TablesVersion { tables: 1, categories: 0 })
        }

        async fn all(&self) -> Result<AllTables, StoreError> {
            Ok(AllTables { version: self.version().await?, tables: self.0.clone(), categories: Vec::new() })
        }

        async fn one(&self, name: TableName) -> Result<Option<StoredTable>, StoreError> {
            Ok(self.0.iter().find(|stored| stored.name == name).cloned())
        }

        async fn write(&self, _: TableName, _: u64, _: String, _: Timestamp) -> Result<Wrote, UnitError> {
            Ok(Wrote::Moved)
        }
    }

    fn stored(name: TableName, version: u64, document: &str) -> StoredTable {
        StoredTable { name, version, document: document.to_owned() }
    }

    const PLAIN: &str = r#"{"earn_basis_points":100,"point_values":[{"minor":100,"currency":"BDT"},{"minor":1,"currency":"JPY"}],"earn_after_days":14,"expires_days":365,"time_zone":"Asia/Dhaka"}"#;
    const TIERED: &str = r#"{"earn_basis_points":100,"point_values":[{"minor":100,"currency":"BDT"}],"earn_after_days":0,"expires_days":1,"time_zone":"UTC","tiers":[{"name":"Gold","from":{"minor":5000000,"currency":"BDT"},"multiplier_basis_points":15000}]}"#;

    #[tokio::test]
    async fn a_stored_programme_is_read_back_with_its_version() {
        let plain = Programme {
            version: 7,
            earn_basis_points: 100,
            point_values: vec![Money::new(100, Currency::BDT), Money::new(1, "JPY".parse().unwrap())],
            earn_after_days: 14,
            expires_days: 365,
            time_zone: "Asia/Dhaka".to_owned(),
            tiers: Vec::new(),
        };
        let gold =
            Tier { name: "Gold".into(), from: Money::new(5_000_000, Currency::BDT), multiplier_basis_points: 15_000 };
        let tiered = Programme {
            point_values: vec![Money::new(100, Currency::BDT)],
            earn_after_days: 0,
            expires_days: 1,
            time_zone: "UTC".to_owned(),
            tiers: vec![gold],
            ..plain.clone()
        };
        for (document, programme) in [(PLAIN, plain), (TIERED, tiered)] {
            assert_eq!(serde_json::to_string(&programme).unwrap(), document, "as it was ever written");
            let tables = PriceTables::new(Arc::new(Stored(vec![stored(TableName::Loyalty, 7, document)])));
            assert_eq!(tables.loyalty().await.unwrap(), Some(programme.clone()));
            let mut shown = None;
            tables.learn(|tables| shown = Some(tables)).await.unwrap();
            let shown = shown.expect("they are shown");
            assert_eq!((&shown.loyalty, shown.is_plain(), shown.is_empty()), (&Some(programme), true, false));
        }
        let none = PriceTables::new(Arc::new(Stored(Vec::new())));
        assert_eq!(none.loyalty().await.unwrap(), None);
        let broken = PriceTables::new(Arc::new(Stored(vec![stored(TableName::Loyalty, 1, "{}")])));
        assert!(broken.loyalty().await.is_err());
        assert!(broken.learn(|_| panic!("nothing is shown")).await.is_err());
    }
}
