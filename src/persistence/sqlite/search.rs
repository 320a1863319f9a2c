//! How products are found by their words on `SQLite`: FTS5, over words that have one form already.
//!
//! It is asked first how many have all terms. So few are gathered and put in order; of more, the newest are looked through until a page is full.

use super::LOOKUPS_STAY_PREPARED;
use super::portable_products::{Page, Source, ways};
use crate::limits;
use crate::ports::SearchTerm;
use sqlx::{Pool, QueryBuilder, Sqlite};

/// How many have all terms, up to so many.
const COUNT: &str = "SELECT count(*) FROM (SELECT rowid FROM product_words WHERE product_words MATCH $1 LIMIT $2)";

/// What stands before and behind the terms where those that have them are gathered. CROSS JOIN: they are found first.
pub(super) const OF_FOUND: (&str, &str) = (
    "product_words CROSS JOIN searched_products ON searched_products.number = product_words.rowid
        CROSS JOIN products ON products.id = searched_products.product_id
    WHERE product_words MATCH ",
    "",
);

/// Between what one of, and what all of, must be there.
pub(super) const EITHER: &str = " OR ";
pub(super) const BOTH: &str = " AND ";

/// A word, as it stands in what is looked for.
pub(super) fn quoted(word: &str, is_prefix: bool) -> String {
    format!("\"{word}\"{}", if is_prefix { "*" } else { "" })
}

/// Has each product asked whether it has all terms.
pub(super) fn push_has(query: &mut QueryBuilder<Sqlite>, terms: &[SearchTerm], _all: &str) {
    for term in terms {
        query.push(" AND (false");
        for (word, is_prefix) in ways(term) {
            let end = if is_prefix { "" } else { " " };
            query.push(" OR instr(' ' || words || ' ', ").push_bind(format!(" {word}{end}")).push(") > 0");
        }
        query.push(")");
    }
}

/// Where to look.
pub(super) async fn sources(page: &Page<'_>, searches: &Pool<Sqlite>) -> Result<Vec<Source>, sqlx::Error> {
    if page.filter.terms.is_empty() {
        return Ok(vec![Source::Table]);
    }
    let count = sqlx::query_scalar::<_, i64>(COUNT).persistent(LOOKUPS_STAY_PREPARED);
    let count = count.bind(page.found).bind(i64::from(limits::SEARCH_FOUND) + 1).fetch_one(searches).await?;
    Ok(vec![if count > i64::from(limits::SEARCH_FOUND) { Source::Asked } else { Source::Found }])
}
