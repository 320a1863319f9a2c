//! The details of orders that are under way, so that neither a payment nor a buyer who watches an order reads the store for them.

use crate::actors::shop::Shop;
use crate::domain::details::{Contact, Detail, DetailName, PaymentToken};
use crate::domain::ids::OrderId;
use crate::limits;
use crate::ports::{Details, KeptDetail, StoreError};
use foldhash::HashMap;
use parking_lot::Mutex;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
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
    /// Takes a detail in.
    pub(super) fn put(&self, detail: &Detail) {
        let mut generations = self.0.lock();
        generations.bytes += detail.body.len() + size_of::<(OrderId, Bodies)>();
        if generations.bytes > limits::DETAIL_CACHE_BYTES / 2 {
            generations.old = std::mem::take(&mut generations.young);
            generations.bytes = detail.body.len();
        }
        generations.young.entry(detail.order).or_default()[detail.name as usize] = Some(detail.body.clone());
    }

    /// Lets go of all that an order has here.
    pub(super) fn forget(&self, order: OrderId) {
        let mut generations = self.0.lock();
        generations.young.remove(&order);
        generations.old.remove(&order);
    }

    fn get(&self, order: OrderId, name: DetailName) -> Option<Arc<[u8]>> {
        let generations = self.0.lock();
        let found = |of: &HashMap<OrderId, Bodies>| of.get(&order).and_then(|bodies| bodies[name as usize].clone());
        found(&generations.young).or_else(|| found(&generations.old))
    }
}

/// What is known of a detail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Known<T> {
    /// This.
    Here(T),
    /// It was erased.
    Erased,
    /// There never was one, or it is not needed any more.
    Nothing,
}

impl<T: DeserializeOwned> Known<T> {
    fn read(order: OrderId, name: DetailName, body: Option<&[u8]>) -> Result<Self, StoreError> {
        let Some(body) = body else { return Ok(Known::Erased) };
        let unreadable = |error| StoreError::Invalid(format!("the {} of {order}: {error}", name.name()));
        serde_json::from_slice(body).map(Known::Here).map_err(unreadable)
    }
}

/// Finds one detail, in the cache or in the store.
pub(super) async fn find<T: DeserializeOwned>(
    cache: &DetailCache,
    store: &dyn Details,
    order: OrderId,
    name: DetailName,
) -> Result<Known<T>, StoreError> {
    if let Some(body) = cache.get(order, name) {
        return Known::read(order, name, Some(&body));
    }
    match store.details(&[order], name).await?.first() {
        Some(KeptDetail { body, .. }) => Known::read(order, name, body.as_deref()),
        None => Ok(Known::Nothing),
    }
}

impl Shop {
    /// Where an order is to be shipped to, and written to.
    ///
    /// # Errors
    /// The store's.
    pub async fn contact(&self, order: OrderId) -> Result<Known<Contact>, StoreError> {
        let node = self.node();
        find(&node.details, &*node.kept_details, order, DetailName::Contact).await
    }

    /// [`Shop::contact`] of several orders, in one request. Those of which there is nothing are left out.
    ///
    /// # Errors
    /// The store's.
    pub async fn contacts(&self, orders: &[OrderId]) -> Result<BTreeMap<OrderId, Known<Contact>>, StoreError> {
        let name = DetailName::Contact;
        let kept = self.node().kept_details.details(orders, name).await?;
        kept.into_iter().map(|kept| Ok((kept.order, Known::read(kept.order, name, kept.body.as_deref())?))).collect()
    }
}

/// The token by which an order is to be paid.
pub(super) async fn token(
    cache: &DetailCache,
    store: &dyn Details,
    order: OrderId,
) -> Result<Option<Box<str>>, StoreError> {
    Ok(match find::<PaymentToken>(cache, store, order, DetailName::Payment).await? {
        Known::Here(PaymentToken { token }) => Some(token),
        Known::Erased | Known::Nothing => None,
    })
}
