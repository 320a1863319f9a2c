//! What each vendor has of the node's budget: the rush on one leaves room for the others.

use crate::domain::ids::VendorId;
use dashmap::DashMap;
use foldhash::fast::RandomState;
use std::sync::Arc;

/// Checkouts under way, by vendor.
#[derive(Default)]
pub struct Shares {
    under_way: DashMap<VendorId, usize, RandomState>,
}

impl Shares {
    /// Counts one more checkout at each of `vendors`, unless one of them has `limit` already.
    pub fn take(self: &Arc<Self>, vendors: impl IntoIterator<Item = VendorId>, limit: usize) -> Option<Share> {
        let mut share = Share { shares: self.clone(), vendors: Vec::new() };
        for vendor in vendors {
            let mut count = self.under_way.entry(vendor).or_insert(0);
            if *count >= limit {
                // What was counted before is given back.
                return None;
            }
            *count += 1;
            share.vendors.push(vendor);
        }
        Some(share)
    }
}

/// One checkout's part, given back when this is dropped.
pub struct Share {
    shares: Arc<Shares>,
    vendors: Vec<VendorId>,
}

impl Drop for Share {
    fn drop(&mut self) {
        for vendor in &self.vendors {
            self.shares.under_way.remove_if_mut(vendor, |_, count| {
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
    fn a_vendor_has_its_share_and_no_more_and_all_comes_back() {
        let shares = Arc::new(Shares::default());
        let vendor = |number| VendorId::from_uuid(Uuid::from_u128(number));
        let first = shares.take([vendor(1)], 2);
        let second = shares.take([vendor(1), vendor(2)], 2);
        assert!(first.is_some() && second.is_some());
        assert!(shares.take([vendor(2), vendor(1)], 2).is_none(), "one of its vendors has its share");
        assert_eq!(shares.under_way.get(&vendor(2)).as_deref(), Some(&1), "a refused checkout leaves nothing behind");
        drop(first);
        assert!(shares.take([vendor(1)], 2).is_some());
        drop(second);
        assert!(shares.under_way.is_empty());
    }
}
