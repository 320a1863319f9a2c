//! What each vendor has of the node's budget: the rush on one leaves room for the others.

use crate::domain::ids::VendorId;
use crate::limits;
use dashmap::DashMap;
use foldhash::fast::RandomState;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Checkouts under way, by vendor.
#[derive(Default)]
pub struct VendorPermits {
    under_way: DashMap<VendorId, usize, RandomState>,
    /// Records that these checkouts may still need for the vendors after their first. What the first needs was set aside before the cart was
    /// asked; how many there are is known only in the cart's turn.
    further_records: AtomicUsize,
}

impl VendorPermits {
    /// What is set aside of the budget for records in flight.
    pub fn further_records(&self) -> usize {
        self.further_records.load(Ordering::Relaxed)
    }

    /// Counts one more checkout at each of `vendors`, unless one of them has `limit` already.
    pub fn take(self: &Arc<Self>, vendors: impl IntoIterator<Item = VendorId>, limit: usize) -> Option<VendorPermit> {
        let mut permit = VendorPermit { permits: self.clone(), vendors: Vec::new(), whole: false };
        for vendor in vendors {
            let mut count = self.under_way.entry(vendor).or_insert(0);
            if *count >= limit {
                // What was counted before is given back.
                return None;
            }
            *count += 1;
            permit.vendors.push(vendor);
        }
        self.further_records.fetch_add(permit.further_records(), Ordering::Relaxed);
        permit.whole = true;
        Some(permit)
    }
}

/// One checkout's part, given back when this is dropped.
pub struct VendorPermit {
    permits: Arc<VendorPermits>,
    vendors: Vec<VendorId>,
    /// Whether it was taken with all its vendors.
    whole: bool,
}

impl VendorPermit {
    fn further_records(&self) -> usize {
        self.vendors.len().saturating_sub(1) * limits::RECORDS_PER_FURTHER_VENDOR
    }
}

impl Drop for VendorPermit {
    fn drop(&mut self) {
        if self.whole {
            self.permits.further_records.fetch_sub(self.further_records(), Ordering::Relaxed);
        }
        for vendor in &self.vendors {
            self.permits.under_way.remove_if_mut(vendor, |_, count| {
                *count -= 1;
                *count == 0
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[test]
    fn a_vendor_has_its_permits_and_no_more_and_all_comes_back() {
        let permits = Arc::new(VendorPermits::default());
        let vendor = |number| VendorId::from_uuid(Uuid::from_u128(number));
        let first = permits.take([vendor(1)], 2);
        let second = permits.take([vendor(1), vendor(2)], 2);
        assert!(first.is_some() && second.is_some());
        assert_eq!(permits.further_records(), limits::RECORDS_PER_FURTHER_VENDOR);
        assert!(permits.take([vendor(2), vendor(3), vendor(1)], 2).is_none(), "one of its vendors has its share");
        assert_eq!(permits.further_records(), limits::RECORDS_PER_FURTHER_VENDOR);
        assert_eq!(permits.under_way.get(&vendor(2)).as_deref(), Some(&1), "a refused checkout leaves nothing behind");
        drop(first);
        assert!(permits.take([vendor(1)], 2).is_some());
        drop(second);
        assert!(permits.under_way.is_empty());
        assert_eq!(permits.further_records(), 0);
    }
}
