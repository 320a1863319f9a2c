//! How products are found by their words on Postgres: `tsvector`s, made of words that have one form already, in a GIN index. No parser, no dictionary.
//!
//! The planner knows how often words stand there, and so whether to gather those that have them or to look through the newest. It knows nothing of how
//! many words begin in one way: so where that is asked the newest are looked through first, and most often they are enough.

use super::portable_products::{Page, Source};
use crate::ports::{ProductOrder, SearchTerm};
use sqlx::{Pool, Postgres, QueryBuilder};

/// What stands before and behind the terms where those that have them are gathered.
pub(super) const OF_FOUND: (&str, &str) =
    ("(SELECT * FROM products WHERE found_by @@ CAST(", " AS text)::tsquery OFFSET 0) AS products WHERE true");

/// Between what one of, and what all of, must be there.
pub(super) const EITHER: &str = " | ";
pub(super) const BOTH: &str = " & ";

/// A word, as it stands in what is looked for.
pub(super) fn quoted(word: &str, is_prefix: bool) -> String {
    format!("'{word}'{}", if is_prefix { ":*" } else { "" })
}

/// Has each product asked whether it has all terms, which `all` says.
pub(super) fn push_has(query: &mut QueryBuilder<Postgres>, _terms: &[SearchTerm], all: &str) {
    query.push(" AND found_by @@ CAST(").push_bind(all.to_owned()).push(" AS text)::tsquery");
}

/// Where to look, one after the other until a page is full.
#[allow(clippy::unused_async, reason = "the other store asks first how many there are")]
pub(super) async fn sources(page: &Page<'_>, _: &Pool<Postgres>) -> Result<Vec<Source>, sqlx::Error> {
    let terms = &page.filter.terms;
    Ok(match terms.iter().any(|term| term.is_prefix) && page.order == ProductOrder::Newest {
        _ if terms.is_empty() => vec![Source::Table],
        true => vec![Source::Newest, Source::Asked],
        false => vec![Source::Asked],
    })
}
