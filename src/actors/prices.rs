//! What bills are made with, as the node knows it.

use crate::actors::node::Node;
use crate::domain::knowledge::Prices;
use crate::domain::money::{Currency, Money};
use crate::domain::pricing::Tables;
use std::sync::Arc;

impl Prices for Node {
    fn tables(&self) -> Option<Arc<Tables>> {
        self.catalog.tables()
    }

    fn least(&self, method: &str, currency: Currency) -> i64 {
        self.providers.iter().find_map(|provider| provider.least(method, currency)).unwrap_or(1)
    }

    fn most_at_the_door(&self, currency: Currency) -> Option<i64> {
        let of_currency = |most: &&Money| most.currency == currency;
        self.settings.cash_maximum.iter().find(of_currency).map(|most| most.minor)
    }
}
