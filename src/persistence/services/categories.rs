//! The rows of categories.

use super::{kept, number, select};
use crate::domain::ids::CategoryId;
use crate::domain::time::Timestamp;
use crate::persistence::table::table;
use crate::persistence::values::{signed, unsigned};
use crate::ports::StoreError;
use crate::ports::units::{Statement, Unit, UnitEnd, UnitError, Units, Value};
use crate::services::categories::{Category, CategoryRows, Change, Wrote, folded};
use crate::services::kept::KeptAnswer;
use async_trait::async_trait;
use std::sync::Arc;

const VERSION: &str = "SELECT version FROM service_versions WHERE service = 'categories'";
const RAISE: &str = "UPDATE service_versions SET version = version + 1 WHERE service = 'categories' AND version = $1";
const ALL: &str = "SELECT id, parent_id, name, name_folded, tax_category, created_at FROM categories";
const INSERT: &str = "
    INSERT INTO categories (id, parent_id, name, name_folded, tax_category, created_at) VALUES ($1, $2, $3, $4, $5, $6)";
const UPDATE: &str = "
    UPDATE categories SET parent_id = $2, name = $3, name_folded = $4, tax_category = $5 WHERE id = $1 AND created_at = $6";

table! {
    Category as "categories" ("id"), row {
        [fixed] id: CategoryId = &row.id,
        parent_id: Option<CategoryId> = &row.parent_id,
        name: String = &row.name,
        // For being compared.
        name_folded: String = folded(&row.name),
        tax_category: Option<String> = &row.tax_category,
        [fixed] created_at: Timestamp = &row.created_at,
    } => Category { Category { id, parent_id, name, tax_category, created_at } }
}

/// Categories on either store.
pub(super) struct Rows(pub(super) Arc<dyn Units>);

#[async_trait]
impl CategoryRows for Rows {
    async fn version(&self) -> Result<u64, StoreError> {
        let version = number(&*self.0, Statement::new(VERSION, Vec::new())).await?;
        unsigned(version.ok_or_else(|| StoreError::Invalid("the categories have no version".to_owned()))?)
    }

    async fn all(&self) -> Result<(u64, Vec<Category>), StoreError> {
        // Two statements may be of two moments. A change raises the version in the unit that writes it: where the version is the same before
        // and after, the rows in between are of that version.
        let mut before = self.version().await?;
        loop {
            let rows = select::<Category>(&*self.0, Statement::new(ALL, Vec::new())).await?;
            let after = self.version().await?;
            if after == before {
                return Ok((after, rows));
            }
            before = after;
        }
    }

    async fn write(&self, change: &Change, version: u64, keep: Option<&KeptAnswer>) -> Result<Wrote, UnitError> {
        let text = match change {
            Change::New(_) => INSERT,
            Change::Patched(_) => UPDATE,
        };
        let raise = Statement::new(RAISE, vec![Value::Integer(Some(signed(version)?))]).that_changes(1);
        let row = Statement::new(text, super::values(change.category())?).that_changes(1);
        // The answer first: whoever repeats a request is told what came of it, whatever became of the tree.
        let (answer, answers) = (keep.map(kept::keep).transpose()?, usize::from(keep.is_some()));
        let unit = Unit::new(answer.into_iter().chain([raise, row]).collect());
        match self.0.run(unit).await? {
            UnitEnd::Done => Ok(Wrote::Done),
            UnitEnd::Stopped(place) if place < answers => Ok(Wrote::Answered),
            // Whatever stands in the way was written by another since the tree was read; or by nobody, and its version is what it was.
            UnitEnd::Stopped(_) | UnitEnd::Taken(_) => Ok(Wrote::Moved),
        }
    }
}
