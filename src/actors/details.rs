//! The details of orders that are under way, so that neither a payment nor a buyer who watches an order reads the store for them.

use crate::actors::node::Node;
use crate::actors::shop::Shop;
use crate::domain::details::{Contact, Detail, DetailName, Known, Note};
use crate::domain::ids::OrderId;
use crate::limits;
use crate::ports::{KeptDetail, StoreError};
use foldhash::HashMap;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::fmt::Display;
use std::sync::Arc;

type Bodies = [Option<Arc<[u8]>>; DetailName::ALL.len()];

/// A bounded cache. What comes in goes into the younger of two generations; when that is full it becomes the older one, which is forgotten whole.
#[derive(Default)]
pub(super) struct DetailCache(Mutex<Generations>);

#[derive(Default)]
struct Generations {
    young: HashMap<OrderId, Bodies>,
    old: HashMap<OrderId, Bodies>,
    /// Bytes that ever came into the younger one.
    bytes: usize,
}

impl DetailCache {
    /// Takes details in, but for notes: what is added is not all that there is, and they are asked for rarely.
    pub(super) fn put(&self, details: &[Detail]) {
        if details.is_empty() {
            return;
        }
        let mut generations = self.0.lock();
        for detail in details.iter().filter(|detail| detail.name != DetailName::Notes) {
            let bytes = detail.body.len() + size_of::<(OrderId, Bodies)>();
            generations.bytes += bytes;
            if generations.bytes > limits::DETAIL_CACHE_BYTES / 2 {
                generations.old = std::mem::take(&mut generations.young);
                generations.bytes = bytes;
            }
            generations.young.entry(detail.order).or_default()[detail.name as usize] = Some(detail.body.clone());
        }
    }

    /// Lets go of all that an order has here.
    pub(super) fn forget(&self, order: OrderId) {
        let mut generations = self.0.lock();
        generations.young.remove(&order);
        generations.old.remove(&order);
    }

    /// One of them, if it is here.
    fn get(&self, order: OrderId, name: DetailName) -> Option<Arc<[u8]>> {
        let generations = self.0.lock();
        let found = |of: &HashMap<OrderId, Bodies>| of.get(&order).and_then(|bodies| bodies[name as usize].clone());
        found(&generations.young).or_else(|| found(&generations.old))
    }
}

fn unreadable(order: OrderId, name: DetailName, error: impl Display) -> StoreError {
    StoreError::Invalid(format!("the {} of {order}: {error}", name.name()))
}

fn contact_of(order: OrderId, body: Option<&[u8]>) -> Result<Known<Contact>, StoreError> {
    let Some(body) = body else { return Ok(Known::Erased) };
    serde_json::from_slice(body).map(Known::Here).map_err(|error| unreadable(order, DetailName::Contact, error))
}

fn notes_of(order: OrderId, body: Option<&[u8]>) -> Result<Vec<Note>, StoreError> {
    let all = body.map_or(Ok(Vec::new()), Note::all);
    all.map_err(|error| unreadable(order, DetailName::Notes, error))
}

impl Node {
    /// The token by which an order is to be paid; `None` when it is not there any more.
    pub(super) async fn payment_token(&self, order: OrderId) -> Result<Option<Box<str>>, StoreError> {
        let name = DetailName::Payment;
        let text = |body: &[u8]| str::from_utf8(body).map(Box::from).map_err(|error| unreadable(order, name, error));
        if let Some(body) = self.details.get(order, name) {
            return text(&body).map(Some);
        }
        let kept = self.kept_details.one(order, name).await?;
        kept.as_ref().and_then(|kept| kept.body.as_deref()).map(text).transpose()
    }
}

impl Shop {
    /// Where an order is to be shipped to, and written to.
    ///
    /// # Errors
    /// The store's.
    pub async fn contact(&self, order: OrderId) -> Result<Known<Contact>, StoreError> {
        let (node, name) = (self.node(), DetailName::Contact);
        if let Some(body) = node.details.get(order, name) {
            return contact_of(order, Some(&body));
        }
        match node.kept_details.one(order, name).await? {
            Some(KeptDetail { body, .. }) => contact_of(order, body.as_deref()),
            None => Ok(Known::Nothing),
        }
    }

    /// What was said about refunds and returns of an order, the oldest first; nothing once it was erased.
    ///
    /// # Errors
    /// The store's.
    pub async fn notes(&self, order: OrderId) -> Result<Vec<Note>, StoreError> {
        let kept = self.node().kept_details.one(order, DetailName::Notes).await?;
        notes_of(order, kept.as_ref().and_then(|kept| kept.body.as_deref()))
    }

    /// [`Shop::notes`] of several orders, in one request. Those of which there are none are left out.
    ///
    /// # Errors
    /// The store's.
    pub async fn notes_of_several(&self, orders: &[OrderId]) -> Result<BTreeMap<OrderId, Vec<Note>>, StoreError> {
        let kept = self.node().kept_details.several(orders, DetailName::Notes).await?;
        kept.into_iter().map(|kept| Ok((kept.order, notes_of(kept.order, kept.body.as_deref())?))).collect()
    }

    /// Lets go of what memory holds of an order's details: they were erased.
    pub fn forget_details(&self, order: OrderId) {
        self.node().details.forget(order);
    }

    /// [`Shop::contact`] of several orders, in one request. Those of which there is nothing are left out.
    ///
    /// # Errors
    /// The store's.
    pub async fn contacts(&self, orders: &[OrderId]) -> Result<BTreeMap<OrderId, Known<Contact>>, StoreError> {
        let kept = self.node().kept_details.several(orders, DetailName::Contact).await?;
        kept.into_iter().map(|kept| Ok((kept.order, contact_of(kept.order, kept.body.as_deref())?))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn order(number: u128) -> OrderId {
        OrderId::from_uuid(Uuid::from_u128(number))
    }

    fn detail(number: u128, bytes: usize) -> Detail {
        Detail::payment(order(number), &"x".repeat(bytes))
    }

    #[test]
    fn what_came_lately_is_here_and_what_came_long_ago_is_not() {
        let (cache, part) = (DetailCache::default(), limits::DETAIL_CACHE_BYTES / 8);
        (0..3).for_each(|number| cache.put(&[detail(number, part)]));
        let here = |number| cache.get(order(number), DetailName::Payment).is_some();
        assert!((0..3).all(here) && cache.get(order(0), DetailName::Contact).is_none());
        cache.forget(order(1));
        assert!(here(0) && !here(1));
        // The third makes the younger generation full, the sixth the next one.
        (3..6).for_each(|number| cache.put(&[detail(number, part)]));
        assert!(here(2) && here(5));
        (6..9).for_each(|number| cache.put(&[detail(number, part)]));
        assert!(!here(0) && !here(2) && here(8));
        let generations = cache.0.lock();
        let bytes =
            |of: &HashMap<OrderId, Bodies>| of.values().flatten().flatten().map(|body| body.len()).sum::<usize>();
        assert!(bytes(&generations.young) + bytes(&generations.old) <= limits::DETAIL_CACHE_BYTES);
    }
}
