//! Reading the details of orders: the same SQL on both stores.

use super::{Db, Inner, LOOKUPS_STAY_PREPARED};
use crate::domain::details::DetailName;
use crate::domain::ids::OrderId;
use crate::persistence::slot::within;
use crate::ports::{DetailPlace, Details, KeptDetail, StoreError};
use async_trait::async_trait;
use sqlx::{QueryBuilder, Transaction};
use uuid::Uuid;

/// How many orders one statement asks for.
const ORDERS_PER_STATEMENT: usize = 500;

const SCAN: &str = "
    SELECT entity, name, body IS NULL FROM detail WHERE (entity, name) > ($1, $2) ORDER BY entity, name LIMIT $3";

fn name_of(name: &str) -> Result<DetailName, StoreError> {
    let unknown = || StoreError::Invalid(format!("a detail of the unknown sort '{}'", name.escape_debug()));
    DetailName::from_name(name).ok_or_else(unknown)
}

#[async_trait]
impl Details for Inner {
    async fn details(&self, orders: &[OrderId], name: DetailName) -> Result<Vec<KeptDetail>, StoreError> {
        // What buyers look at stands in no way of what payments wait for, nor does what a crowd has read after a restart.
        let pool = match name {
            DetailName::Contact | DetailName::Notes => &self.lists,
            DetailName::Payment => &self.tokens,
        };
        let mut found = Vec::new();
        for some in orders.chunks(ORDERS_PER_STATEMENT) {
            let mut query = QueryBuilder::<Db>::new("SELECT entity, body FROM detail WHERE name = ");
            query.push_bind(name.name()).push(" AND entity IN (");
            let mut ids = query.separated(", ");
            for order in some {
                ids.push_bind(order.uuid());
            }
            query.push(")");
            let read =
                query.build_query_as::<(Uuid, Option<Vec<u8>>)>().persistent(LOOKUPS_STAY_PREPARED && some.len() == 1);
            let rows = within(self.query_timeout, read.fetch_all(pool)).await?;
            found.extend(rows.into_iter().map(|(id, body)| KeptDetail { order: OrderId::from_uuid(id), name, body }));
        }
        Ok(found)
    }

    async fn scan_details(
        &self,
        after: Option<(OrderId, DetailName)>,
        limit: u32,
    ) -> Result<Vec<DetailPlace>, StoreError> {
        let (id, name) = after.map_or((Uuid::nil(), ""), |(order, name)| (order.uuid(), name.name()));
        let scan = sqlx::query_as::<_, (Uuid, String, bool)>(SCAN).persistent(LOOKUPS_STAY_PREPARED);
        let scan = scan.bind(id).bind(name).bind(i64::from(limit));
        let rows = within(self.query_timeout, scan.fetch_all(&self.lists)).await?;
        rows.into_iter().map(|(id, name, erased)| Ok((OrderId::from_uuid(id), name_of(&name)?, erased))).collect()
    }
}

/// Deletes what these orders need no more.
pub(super) async fn delete(
    transaction: &mut Transaction<'_, Db>,
    orders: &[Uuid],
    name: DetailName,
) -> Result<(), sqlx::Error> {
    let mut query = QueryBuilder::<Db>::new("DELETE FROM detail WHERE name = ");
    query.push_bind(name.name()).push(" AND entity IN (");
    let mut ids = query.separated(", ");
    for order in orders {
        ids.push_bind(*order);
    }
    query.push(")").build().persistent(false).execute(&mut **transaction).await.map(|_| ())
}
