//! What each buyer has under way, and what each address, in the memory of one node.

use crate::domain::buyer::{BuyerKey, Claim, Standing};
use crate::domain::ids::OrderId;
use crate::domain::time::Timestamp;
use crate::limits;
use crate::ports::quotas::{BuyerQuotas, Full, Part, Quota};
use crate::ports::rates::Network;
use foldhash::fast::RandomState;
use parking_lot::Mutex;
use std::collections::{HashMap, VecDeque};

/// What one order has.
struct Entry {
    keys: Box<[BuyerKey]>,
    pieces: i64,
    address: Option<Network>,
    state: State,
    /// Checkouts that have a part in it: a cart may be asked a second time before the first has come to nothing.
    parts: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Its cart is asked for it.
    Asked,
    /// It is neither paid nor ended.
    Unpaid,
    /// It ended unpaid, then.
    GivenUp(Timestamp),
}

/// What one buyer has.
#[derive(Default)]
struct Share {
    unpaid: usize,
    pieces: i64,
    /// When checkouts were given up, the first first.
    given_up: VecDeque<Timestamp>,
}

#[derive(Default)]
struct Book {
    orders: HashMap<OrderId, Entry, RandomState>,
    buyers: HashMap<BuyerKey, Share, RandomState>,
    addresses: HashMap<Network, usize, RandomState>,
    /// Orders that ended unpaid, the first first.
    given_up: VecDeque<(Timestamp, OrderId)>,
}

/// What all buyers have.
#[derive(Default)]
pub struct MemoryQuotas(Mutex<Book>);

impl BuyerQuotas for MemoryQuotas {
    fn take(&self, part: &Part<'_>, now: Timestamp) -> Result<(), Full> {
        let Part { order, keys, asked, pieces, address } = *part;
        let mut book = self.0.lock();
        book.forget(now);
        // A second checkout of the cart that names other keys must have room of its own: those are the order's once it is placed.
        let has_part = |entry: &Entry| asked.iter().all(|key| entry.keys.contains(key));
        if !book.orders.get(&order).is_some_and(has_part) {
            book.has_room(part, now)?;
        }
        match book.orders.get_mut(&order) {
            Some(entry) => entry.parts += 1,
            None => {
                book.insert(order, Entry { keys: keys.into(), pieces, address, state: State::Asked, parts: 1 });
            }
        }
        Ok(())
    }

    fn give_back(&self, order: OrderId) {
        let mut book = self.0.lock();
        let Some(entry) = book.orders.get_mut(&order) else { return };
        entry.parts = entry.parts.saturating_sub(1);
        if entry.parts == 0 && entry.state == State::Asked {
            book.remove(order);
        }
    }

    fn note(&self, order: OrderId, claim: &Claim<'_>, now: Timestamp) {
        let state = match claim.standing {
            Standing::Unpaid => Some(State::Unpaid),
            Standing::GivenUp(at) if now.millis_since(at) < limits::QUOTA_GIVEN_UP_MS => Some(State::GivenUp(at)),
            Standing::GivenUp(_) | Standing::Done => None,
        };
        let mut book = self.0.lock();
        if book.orders.get(&order).map(|entry| entry.state) == state {
            return;
        }
        let known = book.remove(order);
        if let Some(state) = state {
            let (address, parts) = known.map_or((None, 0), |entry| (entry.address, entry.parts));
            book.insert(order, Entry { keys: claim.keys.into(), pieces: claim.pieces, address, state, parts });
        }
        book.forget(now);
    }
}

impl Book {
    fn has_room(&self, part: &Part<'_>, now: Timestamp) -> Result<(), Full> {
        let Part { asked, pieces, address, .. } = *part;
        let full = |quota| Err(Full { quota, retry_after_s: limits::QUOTA_RETRY_S });
        let of_address = address.and_then(|address| self.addresses.get(&address));
        if of_address.is_some_and(|orders| *orders >= limits::QUOTA_UNPAID_ORDERS_OF_ADDRESS) {
            return full(Quota::UnpaidOrdersOfAddress);
        }
        let nothing = Share::default();
        for key in asked {
            let share = self.buyers.get(key).unwrap_or(&nothing);
            if share.given_up.len() >= limits::QUOTA_GIVEN_UP
                && let Some(first) = share.given_up.front()
            {
                let over_in_ms = first.plus_millis(limits::QUOTA_GIVEN_UP_MS).millis_since(now);
                let retry_after_s = over_in_ms.max(1).unsigned_abs().div_ceil(1000);
                return Err(Full { quota: Quota::GivenUp, retry_after_s });
            }
            if share.unpaid >= limits::QUOTA_UNPAID_ORDERS {
                return full(Quota::UnpaidOrders);
            }
            if share.pieces.saturating_add(pieces) > limits::QUOTA_HELD_PIECES {
                return full(Quota::HeldPieces);
            }
        }
        Ok(())
    }

    fn insert(&mut self, order: OrderId, entry: Entry) {
        for key in &entry.keys {
            let share = self.buyers.entry(*key).or_default();
            match entry.state {
                State::Asked | State::Unpaid => {
                    share.unpaid += 1;
                    share.pieces += entry.pieces;
                }
                // What comes last happened last, but where orders are read back.
                State::GivenUp(at) => share.given_up.insert(share.given_up.partition_point(|other| *other <= at), at),
            }
        }
        match (entry.state, entry.address) {
            (State::GivenUp(at), _) => {
                let place = self.given_up.partition_point(|(other, _)| *other <= at);
                self.given_up.insert(place, (at, order));
            }
            (_, Some(address)) => *self.addresses.entry(address).or_default() += 1,
            (_, None) => {}
        }
        self.orders.insert(order, entry);
    }

    fn remove(&mut self, order: OrderId) -> Option<Entry> {
        let entry = self.orders.remove(&order)?;
        for key in &entry.keys {
            let Some(share) = self.buyers.get_mut(key) else { continue };
            match entry.state {
                State::Asked | State::Unpaid => {
                    share.unpaid -= 1;
                    share.pieces -= entry.pieces;
                }
                State::GivenUp(at) => {
                    if let Some(place) = share.given_up.iter().position(|other| *other == at) {
                        share.given_up.remove(place);
                    }
                }
            }
            if share.unpaid == 0 && share.given_up.is_empty() {
                self.buyers.remove(key);
            }
        }
        if let (State::Asked | State::Unpaid, Some(address)) = (entry.state, entry.address)
            && let Some(orders) = self.addresses.get_mut(&address)
        {
            *orders -= 1;
            if *orders == 0 {
                self.addresses.remove(&address);
            }
        }
        Some(entry)
    }

    /// Forgets what was given up long ago, and the oldest of what is too much to remember.
    fn forget(&mut self, now: Timestamp) {
        while let Some((at, order)) = self.given_up.front().copied() {
            let is_over = now.millis_since(at) >= limits::QUOTA_GIVEN_UP_MS;
            if !is_over && self.given_up.len() <= limits::QUOTA_GIVEN_UP_KEPT {
                break;
            }
            self.given_up.pop_front();
            if self.orders.get(&order).is_some_and(|entry| entry.state == State::GivenUp(at)) {
                self.remove(order);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::entity::Principal;
    use crate::domain::ids::{CartId, CustomerId};
    use crate::ports::quotas::{Reserved, asked_keys};
    use std::sync::Arc;
    use uuid::Uuid;

    const RINA: BuyerKey = BuyerKey([1; 8]);
    const HER_PHONE: BuyerKey = BuyerKey([2; 8]);
    const OTHER: BuyerKey = BuyerKey([3; 8]);
    const HERE: Network = Network::V4([203, 0, 113, 7]);

    fn order(number: u128) -> OrderId {
        OrderId::from_uuid(Uuid::from_u128(number))
    }

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_millis(1_800_000_000_000 + ms)
    }

    fn claim(keys: &[BuyerKey], standing: Standing) -> Claim<'_> {
        Claim { keys, pieces: 2, standing }
    }

    fn take(quotas: &Arc<MemoryQuotas>, part: &Part<'_>, now: Timestamp) -> Result<Reserved, Full> {
        let quotas: Arc<dyn BuyerQuotas> = quotas.clone();
        Reserved::take(&quotas, part, now)
    }

    fn reserve(
        quotas: &Arc<MemoryQuotas>,
        order: OrderId,
        keys: &[BuyerKey],
        pieces: i64,
        address: Option<Network>,
        now: Timestamp,
    ) -> Result<Reserved, Full> {
        take(quotas, &Part { order, keys, asked: keys, pieces, address }, now)
    }

    /// The quota that is in the way of one more checkout of two pieces.
    fn in_the_way(quotas: &Arc<MemoryQuotas>, keys: &[BuyerKey], now: Timestamp) -> Option<Quota> {
        reserve(quotas, order(u128::MAX), keys, 2, Some(HERE), now).err().map(|full| full.quota)
    }

    fn is_empty(quotas: &MemoryQuotas) -> bool {
        let book = quotas.0.lock();
        let gone = book.orders.is_empty() && book.buyers.is_empty();
        gone && book.addresses.is_empty() && book.given_up.is_empty()
    }

    #[test]
    fn each_key_has_so_many_unpaid_orders_and_one_that_is_paid_makes_room() {
        let quotas = Arc::new(MemoryQuotas::default());
        for number in 0..5 {
            let part = reserve(&quotas, order(number), &[RINA, HER_PHONE], 2, None, at(0)).expect("there is room");
            quotas.note(order(number), &claim(&[RINA, HER_PHONE], Standing::Unpaid), at(0));
            drop(part);
        }
        for keys in [&[RINA][..], &[HER_PHONE], &[OTHER, RINA]] {
            assert_eq!(in_the_way(&quotas, keys, at(0)), Some(Quota::UnpaidOrders));
        }
        assert_eq!(in_the_way(&quotas, &[OTHER], at(0)), None);
        assert_eq!(in_the_way(&quotas, &[], at(0)), None, "a guest who gives neither has no key");
        for _ in 0..2 {
            quotas.note(order(3), &claim(&[RINA, HER_PHONE], Standing::Done), at(0));
        }
        assert_eq!(in_the_way(&quotas, &[RINA], at(0)), None);
        for number in 0..5 {
            quotas.note(order(number), &claim(&[RINA, HER_PHONE], Standing::Done), at(0));
        }
        assert!(is_empty(&quotas));
    }

    /// Strangers type somebody's address in guests' checkouts. Its owner, who is signed in, goes on, and counts for the address, too.
    #[test]
    fn who_is_signed_in_needs_room_under_the_own_key_alone() {
        const HER_ACCOUNT: BuyerKey = BuyerKey([4; 8]);
        let quotas = Arc::new(MemoryQuotas::default());
        let rina = Principal::Customer(CustomerId::from_uuid(Uuid::from_u128(1)));
        let guest = Principal::Guest(CartId::from_uuid(Uuid::from_u128(2)));
        let keys = [HER_ACCOUNT, RINA, HER_PHONE];
        let reserve = |number, keys: &[BuyerKey], by| {
            let part = Part { order: order(number), keys, asked: asked_keys(keys, by), pieces: 2, address: Some(HERE) };
            take(&quotas, &part, at(0)).map_err(|full| full.quota)
        };
        for number in 0..4 {
            quotas.note(order(number), &claim(&[RINA, HER_PHONE], Standing::Unpaid), at(0));
        }
        let own = reserve(10, &keys, rina).expect("there is room");
        assert_eq!(reserve(99, &[RINA], guest).err(), Some(Quota::UnpaidOrders), "it counts before it is placed");
        quotas.note(order(10), &claim(&keys, Standing::Unpaid), at(0));
        drop(own);
        for key in [RINA, HER_PHONE] {
            assert_eq!(reserve(99, &[key], guest).err(), Some(Quota::UnpaidOrders));
        }
        for number in 11..15 {
            assert!(reserve(number, &keys, rina).is_ok());
            quotas.note(order(number), &claim(&keys, Standing::Unpaid), at(0));
        }
        assert_eq!(reserve(99, &keys, rina).err(), Some(Quota::UnpaidOrders), "her own five");
        assert_eq!(asked_keys(&[], rina), []);
    }

    #[test]
    fn pieces_count_and_a_checkout_that_came_to_nothing_gives_them_back() {
        let quotas = Arc::new(MemoryQuotas::default());
        let part = reserve(&quotas, order(1), &[RINA], 48, Some(HERE), at(0)).expect("there is room");
        assert_eq!(in_the_way(&quotas, &[RINA], at(0)), None);
        let other = reserve(&quotas, order(2), &[RINA], 1, Some(HERE), at(0)).expect("there is room");
        assert_eq!(in_the_way(&quotas, &[RINA], at(0)), Some(Quota::HeldPieces));
        drop(other);
        assert_eq!(in_the_way(&quotas, &[RINA], at(0)), None);
        // Of two checkouts of one cart both have one part, and the last gives it back.
        let again = reserve(&quotas, order(1), &[RINA], 48, Some(HERE), at(0)).expect("it is the same");
        drop(part);
        assert_eq!(
            reserve(&quotas, order(3), &[RINA], 3, None, at(0)).err().map(|full| full.quota),
            Some(Quota::HeldPieces)
        );
        drop(again);
        // One of the cart that names somebody else needs room there.
        let own = reserve(&quotas, order(1), &[RINA], 30, None, at(0)).expect("there is room");
        quotas.note(order(4), &claim(&[OTHER], Standing::Unpaid), at(0));
        assert!(reserve(&quotas, order(1), &[RINA, OTHER], 49, None, at(0)).is_err(), "two pieces too many");
        assert!(reserve(&quotas, order(1), &[RINA], 49, None, at(0)).is_ok(), "it is the same");
        quotas.note(order(4), &claim(&[OTHER], Standing::Done), at(0));
        drop(own);
        assert!(is_empty(&quotas));
        assert!(reserve(&quotas, order(1), &[RINA], 51, None, at(0)).is_err(), "more than may be held at all");
    }

    #[test]
    fn what_was_given_up_counts_for_a_while() {
        let quotas = Arc::new(MemoryQuotas::default());
        for number in 0..10 {
            assert_eq!(in_the_way(&quotas, &[RINA], at(number)), None);
            let id = order(number.unsigned_abs().into());
            quotas.note(id, &claim(&[RINA], Standing::Unpaid), at(number));
            for _ in 0..2 {
                quotas.note(id, &claim(&[RINA], Standing::GivenUp(at(number))), at(number));
            }
        }
        let full = reserve(&quotas, order(99), &[RINA], 2, None, at(300_000)).err().expect("too many");
        assert_eq!(full, Full { quota: Quota::GivenUp, retry_after_s: 600 });
        assert_eq!(in_the_way(&quotas, &[OTHER], at(0)), None);
        assert_eq!(in_the_way(&quotas, &[RINA], at(899_999)), Some(Quota::GivenUp));
        assert_eq!(in_the_way(&quotas, &[RINA], at(900_000)), None);
        // Made anew from what an order says, whatever stood there; and what is long over is not taken up again.
        quotas.note(order(50), &claim(&[OTHER], Standing::GivenUp(at(0))), at(900_000));
        assert_eq!(in_the_way(&quotas, &[RINA], at(900_009)), None);
        assert!(is_empty(&quotas));
    }

    /// Orders are read back the newest first.
    #[test]
    fn what_was_given_up_first_is_over_first_in_whatever_order_it_is_learnt() {
        let quotas = Arc::new(MemoryQuotas::default());
        for number in [9, 2, 8, 0, 7, 1, 6, 3, 5, 4] {
            quotas.note(order(number), &claim(&[RINA], Standing::GivenUp(at(number as i64 * 60_000))), at(600_000));
        }
        let full = reserve(&quotas, order(99), &[RINA], 2, None, at(600_000)).err().expect("too many");
        assert_eq!(full, Full { quota: Quota::GivenUp, retry_after_s: 300 });
        assert_eq!(in_the_way(&quotas, &[RINA], at(900_000)), None);
        assert_eq!(quotas.0.lock().orders.len(), 9);
        assert_eq!(in_the_way(&quotas, &[RINA], at(900_000 + 8 * 60_000)), None);
        assert_eq!(quotas.0.lock().orders.len(), 1);
    }

    #[test]
    fn an_address_has_many_times_as_many() {
        let quotas = Arc::new(MemoryQuotas::default());
        let mut parts = Vec::new();
        for number in 0..limits::QUOTA_UNPAID_ORDERS_OF_ADDRESS as u128 {
            parts.push(reserve(&quotas, order(number), &[], 2, Some(HERE), at(0)).expect("there is room"));
        }
        assert_eq!(in_the_way(&quotas, &[], at(0)), Some(Quota::UnpaidOrdersOfAddress));
        assert!(reserve(&quotas, order(1_000), &[], 2, Some(Network::V4([203, 0, 113, 8])), at(0)).is_ok());
        assert!(reserve(&quotas, order(1_000), &[], 2, None, at(0)).is_ok());
        // What is placed keeps its address, until it is paid.
        quotas.note(order(0), &claim(&[], Standing::Unpaid), at(0));
        parts.remove(0);
        assert_eq!(in_the_way(&quotas, &[], at(0)), Some(Quota::UnpaidOrdersOfAddress));
        quotas.note(order(0), &claim(&[], Standing::Done), at(0));
        assert_eq!(in_the_way(&quotas, &[], at(0)), None);
        drop(parts);
        assert!(is_empty(&quotas));
    }

    #[test]
    fn no_more_is_remembered_than_fits() {
        let quotas = Arc::new(MemoryQuotas::default());
        for number in 0..limits::QUOTA_GIVEN_UP_KEPT as u128 + 10 {
            quotas.note(order(number), &claim(&[RINA, OTHER], Standing::GivenUp(at(0))), at(0));
        }
        let book = quotas.0.lock();
        assert_eq!(book.orders.len(), limits::QUOTA_GIVEN_UP_KEPT);
        assert!(book.orders.contains_key(&order(10)) && !book.orders.contains_key(&order(9)));
    }
}
