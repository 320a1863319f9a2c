//! Who waits for what the catalogue shows to become another. Whoever does is woken, and looks by itself: several changes may come to one wake-up, none is
//! missed. Where nobody waits, a change costs one look at a counter.

use crate::domain::ids::{SaleId, SkuId};
use dashmap::DashMap;
use std::hash::Hash;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::Notify;

type Waiting<K> = DashMap<K, Vec<Arc<Notify>>, foldhash::fast::RandomState>;

/// Those who wait, by what they wait for.
#[derive(Default)]
pub(super) struct Changes {
    /// How many wait. Whoever begins to is counted before it looks at the catalogue, and a change is shown there before this is read: the lock of the
    /// catalogue's entry lies between the two, so either the change is seen or the one who waits is.
    lookouts: AtomicUsize,
    skus: Waiting<SkuId>,
    sales: Waiting<SaleId>,
}

fn wake<K: Eq + Hash>(waiting: &Waiting<K>, key: &K) {
    if let Some(there) = waiting.get(key) {
        there.iter().for_each(|notify| notify.notify_one());
    }
}

fn forget<K: Eq + Hash>(waiting: &Waiting<K>, key: K, notify: &Arc<Notify>) {
    if let dashmap::Entry::Occupied(mut there) = waiting.entry(key) {
        there.get_mut().retain(|other| !Arc::ptr_eq(other, notify));
        if there.get().is_empty() {
            there.remove();
        }
    }
}

impl Changes {
    /// A SKU is shown in another way.
    pub(super) fn sku(&self, sku: SkuId) {
        if self.lookouts.load(Ordering::Relaxed) > 0 {
            wake(&self.skus, &sku);
        }
    }

    /// A sale is shown in another way.
    pub(super) fn sale(&self, sale: SaleId) {
        if self.lookouts.load(Ordering::Relaxed) > 0 {
            wake(&self.sales, &sale);
        }
    }
}

/// One who waits, for as long as this lives.
pub struct Lookout {
    changes: Arc<Changes>,
    notify: Arc<Notify>,
    skus: Vec<SkuId>,
    sale: Option<SaleId>,
}

impl Lookout {
    pub(super) fn new(changes: Arc<Changes>, sale: Option<SaleId>) -> Self {
        changes.lookouts.fetch_add(1, Ordering::Relaxed);
        let notify = Arc::new(Notify::new());
        if let Some(sale) = sale {
            changes.sales.entry(sale).or_default().push(notify.clone());
        }
        Self { changes, notify, skus: Vec::new(), sale }
    }

    /// From now on it waits for these SKUs, and for no others. Whoever looks at them after this misses nothing.
    pub fn follow(&mut self, skus: impl IntoIterator<Item = SkuId>) {
        let new: Vec<SkuId> = skus.into_iter().collect();
        if new == self.skus {
            return;
        }
        self.leave_skus();
        for sku in &new {
            self.changes.skus.entry(*sku).or_default().push(self.notify.clone());
        }
        self.skus = new;
    }

    /// What is notified when something may have changed.
    pub fn notify(&self) -> Arc<Notify> {
        self.notify.clone()
    }

    fn leave_skus(&mut self) {
        for sku in std::mem::take(&mut self.skus) {
            forget(&self.changes.skus, sku, &self.notify);
        }
    }
}

impl Drop for Lookout {
    fn drop(&mut self) {
        self.leave_skus();
        if let Some(sale) = self.sale {
            forget(&self.changes.sales, sale, &self.notify);
        }
        self.changes.lookouts.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;
    use uuid::Uuid;

    fn is_woken(lookout: &Lookout) -> bool {
        lookout.notify.notified().now_or_never().is_some()
    }

    #[test]
    fn whoever_waits_is_woken_by_what_it_waits_for_alone() {
        let changes = Arc::new(Changes::default());
        let sku = |number| SkuId::from_uuid(Uuid::from_u128(number));
        let sale = SaleId::from_uuid(Uuid::from_u128(1));
        let mut one = Lookout::new(changes.clone(), None);
        let mut other = Lookout::new(changes.clone(), Some(sale));
        one.follow([sku(1)]);
        other.follow([sku(1), sku(2)]);
        changes.sku(sku(2));
        assert_eq!((is_woken(&one), is_woken(&other)), (false, true));
        changes.sku(sku(1));
        changes.sku(sku(1));
        assert_eq!((is_woken(&one), is_woken(&other)), (true, true));
        assert_eq!((is_woken(&one), is_woken(&other)), (false, false), "two changes are one wake-up");
        changes.sale(sale);
        assert_eq!((is_woken(&one), is_woken(&other)), (false, true));
        other.follow([sku(3)]);
        changes.sku(sku(2));
        changes.sku(sku(3));
        assert_eq!((is_woken(&one), is_woken(&other)), (false, true));
        changes.sku(sku(2));
        assert!(!is_woken(&other), "it has left this one");
        drop(one);
        assert!(!changes.skus.contains_key(&sku(1)));
        drop(other);
        assert!(changes.skus.is_empty() && changes.sales.is_empty());
        assert_eq!(changes.lookouts.load(Ordering::Relaxed), 0);
    }
}
