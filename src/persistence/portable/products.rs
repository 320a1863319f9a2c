//! Lists of products, and the search for them by words.

use super::queries::all;
use super::search::{BOTH, EITHER, OF_FOUND, push_has, quoted, sources};
use super::upserts::selected;
use super::{Db, Inner, LOOKUPS_STAY_PREPARED};
use crate::domain::ids::CategoryId;
use crate::domain::rows::ProductRow;
use crate::domain::text::words;
use crate::domain::time::Timestamp;
use crate::limits;
use crate::persistence::slot::within;
use crate::persistence::values::Moment;
use crate::ports::{Listed, PriceRange, ProductFilter, ProductOrder, ProductPlace, SearchTerm, StoreError};
use sqlx::QueryBuilder;

/// Where the products come from.
#[derive(Clone, Copy, PartialEq, Eq)]
#[allow(dead_code, reason = "each store looks in its own places")]
pub(super) enum Source {
    /// From the table, in an index that stands in their order.
    Table,
    /// Those that have all terms, of which there are few.
    Found,
    /// From the table, each asked for the terms, in the way that the store thinks best.
    Asked,
    /// From the newest of the table alone, each asked for the terms.
    Newest,
}

impl Inner {
    pub(super) async fn read_products(
        &self,
        filter: &ProductFilter,
        order: ProductOrder,
        after: Option<ProductPlace>,
        limit: u32,
    ) -> Result<Vec<ProductRow>, StoreError> {
        // Rows of vendors are made anew before the doors open: each column is there.
        let found = expression(&filter.terms);
        let page = Page { filter, order, after, limit, found: &found };
        // Whoever searches takes nothing from those who look at lists.
        let (lists, time) = match filter.terms.is_empty() {
            true => (&self.lists, self.query_timeout),
            false => (&self.searches, self.search_timeout),
        };
        let rows = async {
            let mut rows = Vec::new();
            for source in sources(&page, lists).await? {
                // What is looked for makes texts without end, and so do categories with others below them.
                let is_kept = LOOKUPS_STAY_PREPARED && filter.terms.is_empty() && filter.categories.len() <= 1;
                rows = page.query(source).build().persistent(is_kept).fetch_all(lists).await?;
                // A page that is full is what would be found anywhere.
                if rows.len() >= limit as usize {
                    break;
                }
            }
            Ok::<_, sqlx::Error>(rows)
        };
        all::<ProductRow>(&within(time, rows).await?)
    }
}

/// What is asked for.
pub(super) struct Page<'a> {
    pub(super) filter: &'a ProductFilter,
    pub(super) order: ProductOrder,
    after: Option<ProductPlace>,
    limit: u32,
    /// All terms, as the store takes them.
    pub(super) found: &'a str,
}

impl Page<'_> {
    fn query(&self, source: Source) -> QueryBuilder<Db> {
        let Self { filter, order, after, limit, found } = self;
        let mut query = QueryBuilder::<Db>::new(format!("SELECT {} FROM ", selected::<ProductRow>("")));
        match source {
            Source::Found => {
                let (before, behind) = OF_FOUND;
                query.push(before).push_bind((*found).to_owned()).push(behind);
            }
            Source::Table | Source::Asked => {
                query.push("products WHERE true");
            }
            Source::Newest => {
                query.push("(SELECT * FROM products");
                self.push_after(&mut query, " WHERE ");
                query.push(" ORDER BY created_at DESC, id DESC LIMIT ").push_bind(i64::from(limits::SEARCH_NEWEST));
                query.push(") AS products WHERE true");
            }
        }
        if matches!(source, Source::Asked | Source::Newest) {
            push_has(&mut query, &filter.terms, found);
        }
        match filter.status {
            Listed::ForSale => {
                query.push(
                    " AND status = 'active' AND vendor_id NOT IN (SELECT id FROM vendors WHERE status = 'suspended')",
                );
            }
            Listed::Own(None) => {}
            Listed::Own(Some(status)) => {
                query.push(" AND status = ").push_bind(status.name());
            }
        }
        if let Some(vendor) = filter.vendor {
            query.push(" AND vendor_id = ").push_bind(vendor.uuid());
        }
        if !filter.categories.is_empty() {
            query.push(" AND category IN (");
            let mut categories = query.separated(", ");
            for category in &filter.categories {
                categories.push_bind(category.clone());
            }
            query.push(")");
        }
        if let Some(in_stock) = filter.in_stock {
            // Written out: there is an index of those that are.
            query.push(if in_stock { " AND in_stock = 1" } else { " AND in_stock = 0" });
        }
        if let Some(PriceRange { currency, least, most }) = filter.price {
            query.push(" AND currency = ").push_bind(currency.code());
            query.push(" AND price_minor BETWEEN ").push_bind(least).push(" AND ").push_bind(most);
        }
        let (column, _, direction) = ordered(*order);
        if *order != ProductOrder::Newest {
            query.push(" AND price_minor IS NOT NULL");
        }
        if after.is_some() && source != Source::Newest {
            self.push_after(&mut query, " AND ");
        }
        query.push(format!(" ORDER BY {column} {direction}, id {direction} LIMIT ")).push_bind(i64::from(*limit));
        query
    }

    /// Behind the place after which the page begins, where there is one.
    fn push_after(&self, query: &mut QueryBuilder<Db>, conjunction: &str) {
        let Some((place, product)) = self.after else { return };
        let (column, compared, _) = ordered(self.order);
        query.push(format!("{conjunction}({column}, id) {compared} ("));
        match self.order {
            ProductOrder::Newest => query.push_bind(Moment(Timestamp::from_millis(place))),
            ProductOrder::Cheapest | ProductOrder::Dearest => query.push_bind(place),
        };
        query.push(", ").push_bind(product.uuid()).push(")");
    }
}

/// The column by which products are in this order, how one behind another compares with it, and the direction.
fn ordered(order: ProductOrder) -> (&'static str, &'static str, &'static str) {
    match order {
        ProductOrder::Newest => ("created_at", "<", "DESC"),
        ProductOrder::Cheapest => ("price_minor", ">", "ASC"),
        ProductOrder::Dearest => ("price_minor", "<", "DESC"),
    }
}

/// All terms, as the store takes them. A word is letters, marks and digits: nothing in it ends a quotation.
fn expression(terms: &[SearchTerm]) -> String {
    let term = |term: &SearchTerm| {
        let ways: Vec<String> = ways(term).map(|(word, is_prefix)| quoted(&word, is_prefix)).collect();
        format!("({})", ways.join(EITHER))
    };
    terms.iter().map(term).collect::<Vec<_>>().join(BOTH)
}

/// The words by which a product may have a term, and whether words that begin so will do.
pub(super) fn ways(term: &SearchTerm) -> impl Iterator<Item = (String, bool)> + '_ {
    let category = |category: &CategoryId| (words::of_category(*category), false);
    [(term.word.clone(), term.is_prefix)].into_iter().chain(term.categories.iter().map(category))
}
