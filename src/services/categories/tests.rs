//! The tree, and the service over rows in memory.

use super::*;
use crate::limits;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use uuid::Uuid;

fn id(number: u128) -> CategoryId {
    CategoryId::from_uuid(Uuid::from_u128(number))
}

fn category(number: u128, parent: Option<u128>, name: &str) -> Category {
    let parent_id = parent.map(id);
    Category { id: id(number), parent_id, name: name.into(), tax_category: None, created_at: Timestamp::default() }
}

/// Textiles (1) with Sarees (2) with Jamdani (4), and Panjabi (3); Books (5).
fn rows() -> Vec<Category> {
    vec![
        category(4, Some(2), "Jamdani"),
        category(1, None, "Textiles"),
        category(5, None, "books"),
        category(3, Some(1), "Panjabi"),
        category(2, Some(1), "Sarees"),
    ]
}

fn tree() -> Tree {
    Tree::new(7, rows()).expect("a tree")
}

fn names(placed: &[Placed]) -> Vec<(&str, usize)> {
    placed.iter().map(|placed| (placed.category.name.as_str(), placed.depth)).collect()
}

fn moved(parent: Option<u128>) -> Patch {
    Patch { parent_id: Some(parent.map(id)), ..Patch::default() }
}

#[test]
fn each_category_is_followed_by_those_below_it() {
    let tree = tree();
    let all = [("books", 0), ("Textiles", 0), ("Panjabi", 1), ("Sarees", 1), ("Jamdani", 2)];
    assert_eq!((names(tree.all()), tree.version()), (all.to_vec(), 7));
    assert_eq!(names(tree.under(id(1))), all[1..]);
    assert_eq!(names(tree.under(id(2))), all[3..]);
    assert_eq!(names(tree.under(id(9))), []);
    assert_eq!(names(tree.after(id(3))), all[3..]);
    assert_eq!(names(tree.after(id(9))), all, "a place that is gone is before all");
}

#[test]
fn rows_that_make_no_tree_are_told() {
    let with = |more: &[Category]| Tree::new(1, [&rows()[..], more].concat()).map(drop);
    assert_eq!(with(&[category(6, Some(77), "Lost")]), Err(NoTree::Loose(id(6))));
    let ring = [category(6, Some(7), "A"), category(7, Some(6), "B")];
    assert_eq!(with(&ring), Err(NoTree::Loose(id(6))));
    assert_eq!(with(&[category(6, Some(6), "Itself")]), Err(NoTree::Loose(id(6))));
    assert_eq!(with(&[category(6, Some(1), "SAREES")]), Err(NoTree::Namesake(id(6))));
    let chain: Vec<Category> = (10..18).map(|n| category(n, Some(if n == 10 { 5 } else { n - 1 }), "C")).collect();
    assert_eq!(with(&chain), Err(NoTree::Deep(id(17))));
}

#[test]
fn what_may_come_in() {
    let tree = tree();
    let new = |parent, name: &str| tree.with(category(9, parent, name)).map(drop);
    assert_eq!(new(None, "Food"), Ok(()));
    assert_eq!(new(Some(2), "Banarasi"), Ok(()));
    assert_eq!(new(Some(5), "Sarees"), Ok(()), "a name is taken among siblings alone");
    assert_eq!(new(Some(1), "sAREES"), Err(Refusal::NameTaken));
    assert_eq!(new(None, "BOOKS"), Err(Refusal::NameTaken));
    assert_eq!(new(Some(8), "Food"), Err(Refusal::ParentUnknown));
}

#[test]
fn how_deep_and_how_many() {
    let chain = |levels: u128| (1..=levels).map(|n| category(n, (n > 1).then(|| n - 1), "C")).collect();
    let deepest = limits::CATEGORY_DEPTH as u128;
    let tree = Tree::new(1, chain(deepest)).expect("as deep as it may be");
    assert_eq!(tree.with(category(99, Some(deepest), "D")), Err(Refusal::TooDeep));
    assert!(tree.with(category(99, Some(deepest - 1), "D")).is_ok());
    let mut rows: Vec<Category> = chain(deepest);
    rows.extend([category(50, None, "T"), category(51, Some(50), "U")]);
    let tree = Tree::new(1, rows).expect("a tree");
    assert_eq!(tree.patched(id(50), moved(Some(deepest - 1))), Err(Refusal::TooDeep), "with what is below it");
    assert!(tree.patched(id(50), moved(Some(deepest - 2))).is_ok());
    let many = (1..=limits::CATEGORIES as u128).map(|n| category(n, None, &format!("C{n}"))).collect();
    let full = Tree::new(1, many).expect("as many as there may be");
    assert_eq!(full.with(category(1 << 40, None, "More")), Err(Refusal::TooMany));
    assert!(full.with(category(3, None, "C3")).is_ok(), "what is there is not looked at again");
}

#[test]
fn what_may_be_changed() {
    let tree = tree();
    let patched = |number, patch| tree.patched(id(number), patch);
    assert_eq!(patched(9, Patch::default()), Err(Refusal::Unknown));
    assert_eq!(patched(1, moved(Some(1))), Err(Refusal::Cycle));
    assert_eq!(patched(1, moved(Some(4))), Err(Refusal::Cycle));
    assert_eq!(patched(1, moved(Some(8))), Err(Refusal::ParentUnknown));
    assert_eq!(patched(2, moved(None)).map(|change| change.category().parent_id), Ok(None));
    assert_eq!(patched(4, moved(Some(5))).map(|change| change.category().parent_id), Ok(Some(id(5))));
    let named = |name: &str| Patch { name: Some(name.into()), ..Patch::default() };
    assert_eq!(patched(3, named("sarees")), Err(Refusal::NameTaken));
    assert_eq!(patched(2, named("SAREES")).map(|change| change.category().name.clone()), Ok("SAREES".into()));
    let taxed = Patch { tax_category: Some(Some("textiles".into())), ..Patch::default() };
    let change = patched(2, taxed).expect("it may be");
    assert_eq!(
        change,
        Change::Patched(Category { tax_category: Some("textiles".into()), ..category(2, Some(1), "Sarees") })
    );
    let same = patched(2, Patch::default()).expect("nothing is changed");
    assert_eq!(same.category(), &category(2, Some(1), "Sarees"));
}

proptest! {
    /// Whatever is allowed makes a tree, and what is refused was right to be: made all the same, it makes none.
    #[test]
    fn what_is_allowed_makes_a_tree(steps in prop::collection::vec((0u128..12, 0u128..14, 0usize..4, any::<bool>()), 1..80)) {
        let mut rows: BTreeMap<CategoryId, Category> = BTreeMap::new();
        for (number, parent, name, is_new) in steps {
            let tree = Tree::new(1, rows.values().cloned().collect()).expect("it was allowed");
            let parent = parent.checked_sub(2);
            let wanted = category(number, parent, ["a", "B", "b", "c"][name]);
            let there = rows.contains_key(&wanted.id);
            let decided = if is_new && !there {
                tree.with(wanted.clone())
            } else {
                let patch = Patch { name: Some(wanted.name.clone()), ..moved(parent) };
                tree.patched(wanted.id, patch)
            };
            match decided {
                Ok(change) => {
                    rows.insert(wanted.id, change.category().clone());
                }
                Err(Refusal::Unknown) => prop_assert!(!there),
                Err(_) => {
                    let mut forced = rows.clone();
                    forced.insert(wanted.id, wanted);
                    prop_assert!(Tree::new(1, forced.into_values().collect()).is_err());
                }
            }
        }
    }
}

/// Rows in memory, which another writes to before each of the first `others` writes.
#[derive(Default)]
struct Memory {
    state: Mutex<(u64, Vec<Category>)>,
    /// Whoever has it keeps everybody else from reading.
    held: tokio::sync::Mutex<()>,
    reads: AtomicUsize,
    others: AtomicUsize,
}

#[async_trait]
impl CategoryRows for Memory {
    async fn version(&self) -> Result<u64, StoreError> {
        let _held = self.held.lock().await;
        Ok(self.state.lock().0)
    }

    async fn all(&self) -> Result<(u64, Vec<Category>), StoreError> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        Ok(self.state.lock().clone())
    }

    async fn write(&self, change: &Change, version: u64, _: Option<&KeptAnswer>) -> Result<Wrote, UnitError> {
        let mut state = self.state.lock();
        if let Ok(number) = self.others.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)) {
            state.0 += 1;
            state.1.push(category(1_000 + number as u128, None, &format!("Other {number}")));
        }
        if state.0 != version {
            return Ok(Wrote::Moved);
        }
        state.0 += 1;
        let category = change.category();
        state.1.retain(|row| row.id != category.id);
        state.1.push(category.clone());
        Ok(Wrote::Done)
    }
}

#[tokio::test]
async fn the_tree_is_read_again_when_it_has_changed_and_only_then() {
    let memory = Arc::new(Memory::default());
    let service = Categories::new(memory.clone());
    let made = service.create(category(1, None, "Food"), &|_| None).await;
    assert_eq!(made, Ok(Outcome::Done(category(1, None, "Food"))));
    let read = async || {
        let found = service.tree().await.expect("a tree").all().len();
        (found, memory.reads.load(Ordering::Relaxed))
    };
    assert_eq!(read().await, (1, 0), "whoever has written it knows it");
    *memory.state.lock() = (2, vec![category(1, None, "Food"), category(2, None, "Other")]);
    assert_eq!([read().await, read().await, read().await], [(2, 1); 3], "another has written");
    *memory.state.lock() = (3, vec![category(1, None, "Food")]);
    let many = futures::future::join_all((0..10).map(|_| service.tree())).await;
    assert!(many.into_iter().all(|tree| tree.is_ok_and(|tree| tree.all().len() == 1)));
    assert_eq!(read().await, (1, 2), "one reads it for all");
    let again = service.create(category(1, None, "Food"), &|_| None).await;
    assert_eq!(again, Ok(Outcome::There(category(1, None, "Food"))));
    assert_eq!(service.patch(id(1), Patch::default()).await, Ok(Outcome::Done(category(1, None, "Food"))));
    assert_eq!(memory.state.lock().0, 3, "nothing more was written");
}

#[tokio::test]
async fn a_change_is_decided_anew_when_another_came_before_it() {
    let memory = Arc::new(Memory { others: 3.into(), ..Memory::default() });
    let service = Categories::new(memory.clone());
    // One of the others takes the name.
    let refused = service.create(category(1, None, "other 1"), &|_| None).await;
    assert_eq!(refused, Ok(Outcome::Refused(Refusal::NameTaken)));
    assert!(matches!(service.create(category(1, None, "Food"), &|_| None).await, Ok(Outcome::Done(_))));
    memory.others.store(usize::MAX, Ordering::Relaxed);
    assert_eq!(service.patch(id(1), moved(None)).await.map(drop), Ok(()), "what changes nothing is not written");
    let named = Patch { name: Some("Groceries".into()), ..Patch::default() };
    assert_eq!(service.patch(id(1), named).await, Err(UnitError::Busy));
}

/// So many changes wait for each other; one more is refused at once.
#[tokio::test]
async fn changes_that_wait_have_a_bound() {
    let memory = Arc::new(Memory::default());
    let service = Categories::new(memory.clone());
    let held = memory.held.lock().await;
    let names: Vec<String> = (0..=limits::CATEGORY_CHANGES).map(|number| format!("C{number}")).collect();
    let changes = (1u128..).zip(&names).map(|(number, name)| service.create(category(number, None, name), &|_| None));
    let release = async { drop(held) };
    let (outcomes, ()) = tokio::join!(futures::future::join_all(changes), release);
    let (last, first) = outcomes.split_last().expect("some");
    assert!(first.iter().all(|outcome| matches!(outcome, Ok(Outcome::Done(_)))));
    assert_eq!(*last, Err(UnitError::Busy));
}
