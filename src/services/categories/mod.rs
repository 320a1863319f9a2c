//! The tree of categories that products stand in. The whole tree has one version: a change is decided on the tree as it was read, and written
//! only if it still has that version; else it is read and decided anew. So no two changes, each right by itself, make a cycle together.

mod tree;

pub use tree::{NoTree, Placed, Tree, folded};

use super::kept::KeptAnswer;
use crate::domain::ids::CategoryId;
use crate::domain::time::Timestamp;
use crate::limits;
use crate::ports::StoreError;
use crate::ports::units::UnitError;
use async_trait::async_trait;
use parking_lot::Mutex;
use std::sync::Arc;
use tokio::sync::Semaphore;

/// How often a change is decided anew because another node came before it.
const TRIES: usize = 16;

/// A category.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Category {
    /// Its id.
    pub id: CategoryId,
    /// The one it stands below.
    pub parent_id: Option<CategoryId>,
    /// What people call it. No sibling has the same name, in whatever case.
    pub name: String,
    /// How its products are taxed.
    pub tax_category: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
}

/// What is to be another: what is `None` stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Patch {
    /// Its name.
    pub name: Option<String>,
    /// The one it stands below; nothing at the top.
    pub parent_id: Option<Option<CategoryId>>,
    /// How its products are taxed; nothing when that is not said.
    pub tax_category: Option<Option<String>>,
}

/// What is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A category that was not there.
    New(Category),
    /// One that was, as it is now.
    Patched(Category),
}

impl Change {
    /// The category as it will be.
    pub fn category(&self) -> &Category {
        let (Self::New(category) | Self::Patched(category)) = self;
        category
    }
}

/// Why nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// There is no such category.
    Unknown,
    /// There is no such parent.
    ParentUnknown,
    /// The parent is the category itself, or below it.
    Cycle,
    /// It would stand deeper than [`CATEGORY_DEPTH`](crate::limits::CATEGORY_DEPTH), or something below it would.
    TooDeep,
    /// A sibling has this name.
    NameTaken,
    /// There are [`CATEGORIES`](crate::limits::CATEGORIES).
    TooMany,
}

/// What came of writing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrote {
    /// It is written.
    Done,
    /// The tree has another version by now: nothing is written.
    Moved,
    /// There is an answer under this key by now: nothing is written.
    Answered,
}

/// What came of a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The category as it is now.
    Done(Category),
    /// Nothing was changed.
    Refused(Refusal),
    /// The category that was to be made is there: the request was answered before, under the same key.
    There(Category),
    /// The request was answered meanwhile, under the same key.
    Answered,
}

/// Makes the answer that is kept of a change, where one is.
pub type Keep<'a> = &'a (dyn Fn(&Category) -> Option<KeptAnswer> + Sync);

/// The rows of categories, on both stores.
#[async_trait]
pub trait CategoryRows: Send + Sync {
    /// The version of the tree.
    ///
    /// # Errors
    /// What the store says.
    async fn version(&self) -> Result<u64, StoreError>;

    /// The version, and all rows as they were in it.
    ///
    /// # Errors
    /// What the store says.
    async fn all(&self) -> Result<(u64, Vec<Category>), StoreError>;

    /// Writes a change, and the answer that is kept of it, if the tree still has this version.
    ///
    /// # Errors
    /// See [`UnitError`].
    async fn write(&self, change: &Change, version: u64, keep: Option<&KeptAnswer>) -> Result<Wrote, UnitError>;
}

/// The service.
pub struct Categories {
    rows: Arc<dyn CategoryRows>,
    /// The tree as it was read or written last.
    read: Mutex<Arc<Tree>>,
    /// Held while the tree is read: of many who find it changed one reads it.
    reading: tokio::sync::Mutex<()>,
    /// Changes that may wait for each other.
    changes: Semaphore,
    /// Held from a decision to its write. Of many who decided on one version of the tree, one would write, and all others decide anew.
    deciding: tokio::sync::Mutex<()>,
}

impl Categories {
    /// Over these rows.
    pub fn new(rows: Arc<dyn CategoryRows>) -> Self {
        Self {
            rows,
            read: Mutex::default(),
            reading: tokio::sync::Mutex::default(),
            changes: Semaphore::new(limits::CATEGORY_CHANGES),
            deciding: tokio::sync::Mutex::default(),
        }
    }

    /// The tree as it is now. Its rows are read only when they have changed since.
    ///
    /// # Errors
    /// What the store says; Invalid when its rows make no tree.
    pub async fn tree(&self) -> Result<Arc<Tree>, StoreError> {
        let version = self.rows.version().await?;
        let known = || Some(self.read.lock().clone()).filter(|read| read.version() >= version);
        if let Some(read) = known() {
            return Ok(read);
        }
        let _reading = self.reading.lock().await;
        // Whoever read it meanwhile may have read it for all.
        if let Some(read) = known() {
            return Ok(read);
        }
        let (version, rows) = self.rows.all().await?;
        let tree = Tree::new(version, rows).map_err(|error| StoreError::Invalid(format!("categories: {error}")))?;
        Ok(self.keep(tree))
    }

    /// Keeps a tree for whoever comes next, unless there is a newer one.
    fn keep(&self, tree: Tree) -> Arc<Tree> {
        let tree = Arc::new(tree);
        let mut read = self.read.lock();
        if read.version() < tree.version() {
            *read = tree.clone();
        }
        tree
    }

    /// The names under which products of a category stand: where it is an id, that and the ids of those below it.
    ///
    /// # Errors
    /// As [`Categories::tree`].
    pub async fn meant_by(&self, category: String) -> Result<Vec<String>, StoreError> {
        let Ok(id) = category.parse::<CategoryId>() else { return Ok(vec![category]) };
        let tree = self.tree().await?;
        let mut ids: Vec<String> = tree.under(id).iter().map(|placed| placed.category.id.to_string()).collect();
        if ids.is_empty() {
            ids.push(category);
        }
        Ok(ids)
    }

    /// Whether a product may stand in this category: any name will do, and of ids only those that there are.
    ///
    /// # Errors
    /// As [`Categories::tree`].
    pub async fn may_be_named(&self, category: &str) -> Result<bool, StoreError> {
        match category.parse::<CategoryId>() {
            Ok(id) => Ok(self.tree().await?.get(id).is_some()),
            Err(_) => Ok(true),
        }
    }

    /// Makes a category. Its id is its request's: one that is there was made by the same request.
    ///
    /// # Errors
    /// See [`UnitError`].
    pub async fn create(&self, new: Category, keep: Keep<'_>) -> Result<Outcome, UnitError> {
        self.change(|tree| tree.with(new.clone()), keep).await
    }

    /// Changes a category.
    ///
    /// # Errors
    /// See [`UnitError`].
    pub async fn patch(&self, id: CategoryId, patch: Patch) -> Result<Outcome, UnitError> {
        self.change(|tree| tree.patched(id, patch.clone()), &|_| None).await
    }

    async fn change(
        &self,
        decide: impl Fn(&Tree) -> Result<Change, Refusal>,
        keep: Keep<'_>,
    ) -> Result<Outcome, UnitError> {
        let _waiting = self.changes.try_acquire().map_err(|_| UnitError::Busy)?;
        let _deciding = self.deciding.lock().await;
        for _ in 0..TRIES {
            let tree = self.tree().await?;
            let change = match decide(&tree) {
                Ok(change) => change,
                Err(refusal) => return Ok(Outcome::Refused(refusal)),
            };
            let category = change.category();
            match (&change, tree.get(category.id)) {
                (Change::New(_), Some(there)) => return Ok(Outcome::There(there.category.clone())),
                (Change::Patched(_), Some(there)) if there.category == *category => {
                    return Ok(Outcome::Done(category.clone()));
                }
                _ => {}
            }
            match self.rows.write(&change, tree.version(), keep(category).as_ref()).await? {
                Wrote::Done => {
                    if let Ok(changed) = tree.changed(&change) {
                        self.keep(changed);
                    }
                    return Ok(Outcome::Done(category.clone()));
                }
                Wrote::Answered => return Ok(Outcome::Answered),
                Wrote::Moved => {}
            }
        }
        Err(UnitError::Busy)
    }
}

#[cfg(test)]
mod tests;
