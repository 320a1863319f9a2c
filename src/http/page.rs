//! Lists: limits, cursors, pages.

use crate::domain::time::Timestamp;
use crate::http::error::{CURSOR_INVALID, INVALID_QUERY, Problem, Result};
use crate::http::money::{Moment, Page};
use crate::http::valid::Faults;
use crate::limits;
use uuid::Uuid;

/// A place in a list that is ordered by time and then by id.
pub type Place = (Timestamp, Uuid);

/// How many items, after which place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Paging {
    /// Items on the page.
    pub limit: u32,
    /// The last item of the page before.
    pub after: Option<Place>,
}

impl Paging {
    /// From the two parameters of every list.
    pub fn new(limit: Option<u32>, cursor: Option<&str>) -> Result<Self> {
        Ok(Self { limit: checked_limit(limit)?, after: cursor.map(decode).transpose()? })
    }

    /// One more than the page holds: whether it comes tells whether there is a next page.
    pub fn to_ask(self) -> u32 {
        self.limit + 1
    }

    /// The page of what came, each item made by `show`, its place told by `place`.
    pub fn page<R, T>(
        self,
        mut rows: Vec<R>,
        as_of: Timestamp,
        place: impl Fn(&R) -> Place,
        show: impl Fn(R) -> T,
    ) -> Page<T> {
        let limit = self.limit as usize;
        let more = rows.len() > limit;
        rows.truncate(limit);
        let next_cursor = rows.last().filter(|_| more).map(|last| encode(place(last)));
        Page { items: rows.into_iter().map(show).collect(), next_cursor, as_of: Moment(as_of) }
    }
}

/// The number of items on a page.
pub fn checked_limit(limit: Option<u32>) -> Result<u32> {
    let limit = limit.unwrap_or(limits::PAGE_DEFAULT);
    let mut faults = Faults::default();
    if !(1..=limits::PAGE_MAX).contains(&limit) {
        faults.add("limit", format!("it is 1 to {}", limits::PAGE_MAX));
    }
    faults.done(&INVALID_QUERY).map(|()| limit)
}

fn encode((at, id): Place) -> String {
    format!("{:016x}{:032x}", at.as_millis(), id.as_u128())
}

fn decode(text: &str) -> Result<Place> {
    let invalid = || Problem::new(&CURSOR_INVALID, "a cursor is what an earlier page gave as next_cursor");
    let sane = text.len() == 48 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let (at, id) = sane.then(|| text.split_at(16)).ok_or_else(invalid)?;
    let at = u64::from_str_radix(at, 16).map_err(|_| invalid())?;
    let id = u128::from_str_radix(id, 16).map_err(|_| invalid())?;
    Ok((Timestamp::from_millis(at.cast_signed()), Uuid::from_u128(id)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_leads_back_to_its_place() {
        for at in [0, 1_800_000_000_123, -1, i64::MAX] {
            let place = (Timestamp::from_millis(at), Uuid::from_u128(0x1234 << 90));
            assert_eq!(decode(&encode(place)).unwrap(), place);
        }
        let good = encode((Timestamp::from_millis(5), Uuid::nil()));
        for bad in ["", "x", &good[1..], &format!("{good}0"), &good.replace('5', "G"), &good.replace('5', "+"), "é"] {
            assert_eq!(decode(bad).unwrap_err().kind(), &CURSOR_INVALID);
        }
    }

    #[test]
    fn a_page_has_a_next_one_only_when_more_came() {
        let page = |rows: Vec<u32>| {
            let paging = Paging::new(Some(2), None).unwrap();
            paging.page(rows, Timestamp::default(), |_| (Timestamp::default(), Uuid::nil()), |row| row)
        };
        assert!(page(vec![1, 2]).next_cursor.is_none());
        let full = page(vec![1, 2, 3]);
        assert_eq!(full.items, [1, 2]);
        assert!(full.next_cursor.is_some());
    }

    #[test]
    fn limits_are_1_to_200() {
        assert_eq!(checked_limit(None).unwrap(), 50);
        assert_eq!(checked_limit(Some(200)).unwrap(), 200);
        for bad in [0, 201, u32::MAX] {
            assert_eq!(checked_limit(Some(bad)).unwrap_err().kind(), &INVALID_QUERY);
        }
    }
}
