//! What bills are made with, as the node knows it.

use crate::actors::node::Node;
use crate::domain::knowledge::Prices;
use crate::domain::money::Currency;
use crate::domain::pricing::Tables;
use std::sync::Arc;

impl Prices for Node {
    fn tables(&self) -> Option<Arc<Tables>> {
        self.catalog.tables()
    }

    fn least(&self, method: &str, currency: Currency) -> i64 {
        self.providers.iter().find_map(|provider| provider.least(method, currency)).unwrap_or(1)
    }
}
