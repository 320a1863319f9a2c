//! The tree as it was read: its order, and what may be changed of it. Pure.

use super::{Category, Change, Patch, Refusal};
use crate::domain::ids::CategoryId;
use crate::domain::text::words;
use crate::limits;
use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;

/// A category in its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placed {
    /// The category.
    pub category: Category,
    /// Its level, from 0.
    pub depth: usize,
    /// Where those end that are below it.
    end: usize,
}

/// All categories, each followed by those below it; siblings in the order of their names.
#[derive(Clone, Debug, Default)]
pub struct Tree {
    version: u64,
    placed: Vec<Placed>,
    places: HashMap<CategoryId, usize>,
    /// Which categories have a word in their names.
    named: BTreeMap<String, Vec<CategoryId>>,
}

/// Why rows make no tree.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoTree {
    /// No way leads from the top to them: a parent is missing, or they are their own ancestors.
    #[error("{0} hangs in no tree: its parent is missing, or below it")]
    Loose(CategoryId),
    /// There are more levels than there may be.
    #[error("{0} stands too deep")]
    Deep(CategoryId),
    /// Two siblings have one name.
    #[error("{0} has a sibling of the same name")]
    Namesake(CategoryId),
}

/// A name as names are compared: in any case.
pub fn folded(name: &str) -> String {
    name.to_lowercase()
}

impl Tree {
    /// The tree of these rows, in its version.
    ///
    /// # Errors
    /// When they make none: they were written by somebody else.
    pub fn new(version: u64, rows: Vec<Category>) -> Result<Self, NoTree> {
        let mut below: BTreeMap<Option<CategoryId>, BTreeMap<(String, CategoryId), Category>> = BTreeMap::new();
        let mut loose: Vec<CategoryId> = rows.iter().map(|row| row.id).collect();
        for row in rows {
            below.entry(row.parent_id).or_default().insert((folded(&row.name), row.id), row);
        }
        let mut tree = Self { version, ..Self::default() };
        tree.place(&mut below, None, 0)?;
        loose.retain(|id| !tree.places.contains_key(id));
        loose.first().map_or(Ok(tree), |id| Err(NoTree::Loose(*id)))
    }

    fn place(
        &mut self,
        below: &mut BTreeMap<Option<CategoryId>, BTreeMap<(String, CategoryId), Category>>,
        parent: Option<CategoryId>,
        depth: usize,
    ) -> Result<(), NoTree> {
        let mut before: Option<String> = None;
        for ((name, id), category) in below.remove(&parent).unwrap_or_default() {
            if depth >= limits::CATEGORY_DEPTH {
                return Err(NoTree::Deep(id));
            }
            if before.as_ref() == Some(&name) {
                return Err(NoTree::Namesake(id));
            }
            before = Some(name);
            let place = self.placed.len();
            self.places.insert(id, place);
            for word in words::of(&category.name) {
                self.named.entry(word).or_default().push(id);
            }
            self.placed.push(Placed { category, depth, end: 0 });
            self.place(below, Some(id), depth + 1)?;
            self.placed[place].end = self.placed.len();
        }
        Ok(())
    }

    /// How often the categories had changed.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// All of them, each followed by those below it.
    pub fn all(&self) -> &[Placed] {
        &self.placed
    }

    /// The one of this id.
    pub fn get(&self, id: CategoryId) -> Option<&Placed> {
        self.places.get(&id).map(|place| &self.placed[*place])
    }

    /// This category and all below it; nothing when there is no such category.
    pub fn under(&self, id: CategoryId) -> &[Placed] {
        self.places.get(&id).map_or(&[], |place| &self.placed[*place..self.placed[*place].end])
    }

    /// The categories whose names have this word, or one that begins with it: a name that has it twice comes twice.
    pub fn named_by<'a>(&'a self, word: &'a str, is_prefix: bool) -> impl Iterator<Item = CategoryId> + 'a {
        let begins =
            self.named.range::<str, _>((Bound::Included(word), Bound::Unbounded)).take_while(move |(named, _)| {
                match is_prefix {
                    true => named.starts_with(word),
                    false => *named == word,
                }
            });
        begins.flat_map(|(_, ids)| ids.iter().copied())
    }

    /// What comes behind this category; all where there is none of this id.
    pub fn after(&self, id: CategoryId) -> &[Placed] {
        self.places.get(&id).map_or(self.all(), |place| &self.placed[*place + 1..])
    }

    /// What a new category changes. One that is there is not looked at again.
    ///
    /// # Errors
    /// Why it may not come in.
    pub fn with(&self, new: Category) -> Result<Change, Refusal> {
        if self.get(new.id).is_some() {
            return Ok(Change::New(new));
        }
        if self.placed.len() >= limits::CATEGORIES {
            return Err(Refusal::TooMany);
        }
        self.fits(&new, 1)?;
        Ok(Change::New(new))
    }

    /// What a patch changes of a category.
    ///
    /// # Errors
    /// Why it may not be.
    pub fn patched(&self, id: CategoryId, patch: Patch) -> Result<Change, Refusal> {
        let there = self.get(id).ok_or(Refusal::Unknown)?;
        let Category { id, parent_id, name, tax_category, created_at } = there.category.clone();
        let patched = Category {
            id,
            parent_id: patch.parent_id.unwrap_or(parent_id),
            name: patch.name.unwrap_or(name),
            tax_category: patch.tax_category.unwrap_or(tax_category),
            created_at,
        };
        let under = self.under(id);
        if patched.parent_id.is_some_and(|parent| under.iter().any(|placed| placed.category.id == parent)) {
            return Err(Refusal::Cycle);
        }
        let levels = under.iter().map(|placed| placed.depth - there.depth + 1).max().unwrap_or(1);
        self.fits(&patched, levels)?;
        Ok(Change::Patched(patched))
    }

    /// The tree after a change, which was written on it.
    ///
    /// # Errors
    /// When it is none: the change was decided on another.
    pub fn changed(&self, change: &Change) -> Result<Self, NoTree> {
        let changed = change.category();
        let others = self.placed.iter().map(|placed| &placed.category).filter(|category| category.id != changed.id);
        Self::new(self.version + 1, others.chain([changed]).cloned().collect())
    }

    /// Whether a category of so many levels, itself among them, may stand below its parent.
    fn fits(&self, category: &Category, levels: usize) -> Result<(), Refusal> {
        let depth = match category.parent_id {
            None => 0,
            Some(parent) => self.get(parent).ok_or(Refusal::ParentUnknown)?.depth + 1,
        };
        if depth + levels > limits::CATEGORY_DEPTH {
            return Err(Refusal::TooDeep);
        }
        let name = folded(&category.name);
        let is_namesake = |placed: &Placed| {
            let other = &placed.category;
            other.parent_id == category.parent_id && other.id != category.id && folded(&other.name) == name
        };
        if self.placed.iter().any(is_namesake) { Err(Refusal::NameTaken) } else { Ok(()) }
    }
}
