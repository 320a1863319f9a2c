//! The history of stock, as a follower made it: what was done to the pieces of a SKU comes to what is on hand.

use super::super::text::{count, counted};
use super::facts::Facts;
use super::{Breaches, Finding};
use crate::domain::ids::{EntityId, EntityRef, SkuId, VendorId};
use crate::limits;
use std::collections::{BTreeMap, BTreeSet};

/// What was read of the history, after the journal.
#[derive(Debug, Default)]
pub(super) struct HistoryFacts {
    /// Partitions of which the follower has read all that was audited.
    pub(super) read: BTreeSet<u16>,
    /// Partitions whose first frame was there when it began: they still are.
    pub(super) from_the_first: BTreeSet<u16>,
    /// What the changes of each SKU come to, up to its vendor's audited version. Of a SKU whose beginning was in an archive by then, nothing is known.
    pub(super) sums: BTreeMap<SkuId, i64>,
    /// Entities of which it could not read every record.
    pub(super) skipped: BTreeSet<EntityRef>,
}

impl HistoryFacts {
    pub(super) fn has_read(&self, vendor: VendorId) -> bool {
        self.read.contains(&vendor.entity().partition(limits::PARTITIONS))
    }
}

/// Holds the sums against what is on hand.
pub(super) fn check(facts: &Facts) -> Finding {
    let history = &facts.history;
    let mut breaches = Breaches::default();
    let (mut compared, mut unknown) = (0, 0);
    for (id, vendor) in facts.vendors.iter().filter(|(id, _)| !facts.is_broken(id.entity())) {
        let partition = id.entity().partition(limits::PARTITIONS);
        for sku in &vendor.skus {
            match history.sums.get(&sku.id).copied() {
                _ if !history.has_read(*id) || history.skipped.contains(&id.entity()) => unknown += 1,
                Some(sum) if sum == sku.on_hand => compared += 1,
                Some(sum) => breaches.add(format!("{}: on hand {}, its changes come to {sum}", sku.id, sku.on_hand)),
                None if history.from_the_first.contains(&partition) => {
                    breaches.add(format!("{}: on hand {}, and nothing is told of it", sku.id, sku.on_hand));
                }
                None => unknown += 1,
            }
        }
    }
    let rest = match unknown {
        0 => String::new(),
        unknown => format!(", {} more not told of from the beginning, or not yet", count(unknown)),
    };
    let looked_at = format!("{} whose changes come to what is on hand{rest}", counted(compared, "SKU"));
    Finding::new("history", looked_at, breaches)
}

#[cfg(test)]
mod tests {
    use super::super::facts::samples::{facts, sku, vendor};
    use super::*;

    fn told(change: impl FnOnce(&mut HistoryFacts)) -> Vec<String> {
        let mut facts = facts();
        let partition = vendor().entity().partition(limits::PARTITIONS);
        let on_hand = facts.vendors[&vendor()].skus[0].on_hand;
        facts.history = HistoryFacts {
            read: BTreeSet::from([partition]),
            from_the_first: BTreeSet::from([partition]),
            sums: BTreeMap::from([(sku(), on_hand)]),
            skipped: BTreeSet::new(),
        };
        change(&mut facts.history);
        check(&facts).breaches.told().to_vec()
    }

    #[test]
    fn changes_come_to_what_is_on_hand() {
        assert_eq!(told(|_| {}), [""; 0]);
        assert!(
            told(|history| *history.sums.values_mut().next().expect("one") += 1)[0].contains("its changes come to")
        );
        assert!(told(|history| history.sums.clear())[0].contains("nothing is told of it"));
    }

    #[test]
    fn what_the_follower_has_not_read_is_not_compared() {
        let wrong = |history: &mut HistoryFacts| history.sums = BTreeMap::from([(sku(), -7)]);
        let unread = |history: &mut HistoryFacts| {
            wrong(history);
            history.read.clear();
        };
        assert_eq!(told(unread), [""; 0]);
        let skipped = |history: &mut HistoryFacts| {
            wrong(history);
            history.skipped.insert(vendor().entity());
        };
        assert_eq!(told(skipped), [""; 0]);
        let late = |history: &mut HistoryFacts| {
            history.sums.clear();
            history.from_the_first.clear();
        };
        assert_eq!(told(late), [""; 0]);
    }
}
