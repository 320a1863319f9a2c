//! The categories are a tree. They follow from no record: their rows are the truth.

use super::super::text::count;
use super::facts::Facts;
use super::{Breaches, Finding};
use crate::services::categories::{Category, Tree};

/// Looks whether the rows make a tree.
pub(super) fn check(facts: &Facts) -> Finding {
    let rows: &[Category] = &facts.categories;
    let mut breaches = Breaches::default();
    if let Err(error) = Tree::new(0, rows.to_vec()) {
        breaches.add(error.to_string());
    }
    let looked_at = match rows.len() {
        1 => "1 category: a tree".to_owned(),
        many => format!("{} categories: a tree", count(many as u64)),
    };
    Finding::new("categories", looked_at, breaches)
}

#[cfg(test)]
mod tests {
    use super::super::facts::samples::facts;
    use super::*;
    use crate::domain::ids::CategoryId;
    use crate::domain::time::Timestamp;
    use uuid::Uuid;

    #[test]
    fn rows_that_make_no_tree_are_a_breach() {
        let mut facts = facts();
        let id = |number| CategoryId::from_uuid(Uuid::from_u128(number));
        let row = |number, parent: Option<u128>| Category {
            id: id(number),
            parent_id: parent.map(id),
            name: format!("C{number}"),
            tax_category: None,
            created_at: Timestamp::default(),
        };
        facts.categories = vec![row(1, None), row(2, Some(1))];
        assert_eq!(check(&facts).breaches.count(), 0);
        assert_eq!(check(&facts).looked_at, "2 categories: a tree");
        facts.categories.push(row(3, Some(4)));
        assert!(check(&facts).breaches.told()[0].ends_with("hangs in no tree: its parent is missing, or below it"));
    }
}
