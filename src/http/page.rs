//! Lists: limits, cursors, pages.

use crate::domain::time::Timestamp;
use crate::http::error::{CURSOR_INVALID, FieldError, INVALID_QUERY, Problem, Result};
use crate::http::money::{Moment, Page};
use crate::http::valid::{Faults, filled};
use crate::limits;
use serde::Deserialize;
use std::fmt::Debug;
use utoipa::IntoParams;
use uuid::Uuid;
use xxhash_rust::xxh3::xxh3_64;

/// A place in a list that is ordered by time and then by id.
pub type Place = (Timestamp, Uuid);

/// A list by which its cursors are known: what it lists and with what filters, whose it is. The number of items on a
/// page is no part of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct List(u64);

impl List {
    /// The list at `path` with these `filters`.
    pub fn new(path: &str, filters: &impl Debug) -> Self {
        Self(xxh3_64(format!("{path} {filters:?}").as_bytes()))
    }

    /// What makes a place one of this list's. It keeps mistakes out, not people: a forged place is one that could be
    /// asked for otherwise.
    fn check(self, (at, id): Place) -> u64 {
        let mut input = [0; 32];
        input[..8].copy_from_slice(&self.0.to_be_bytes());
        input[8..16].copy_from_slice(&at.as_millis().to_be_bytes());
        input[16..].copy_from_slice(id.as_bytes());
        xxh3_64(&input)
    }
}

/// Which part of a list: the two parameters of every list that has no others.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct PageQuery {
    /// Items on the page.
    #[param(minimum = 1, maximum = 200, default = 50)]
    #[serde(default, deserialize_with = "filled")]
    pub limit: Option<u32>,
    /// What an earlier page gave as `next_cursor`.
    #[param(pattern = "^([0-9a-f]{64})?$")]
    #[serde(default, deserialize_with = "filled")]
    pub cursor: Option<String>,
}

impl PageQuery {
    /// How many, after which place.
    pub fn paging(&self, list: List) -> Result<Paging> {
        Paging::new(list, self.limit, self.cursor.as_deref())
    }
}

/// How many items, after which place of which list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Paging {
    /// Items on the page.
    pub limit: u32,
    /// The last item of the page before.
    pub after: Option<Place>,
    list: List,
}

impl Paging {
    /// From the two parameters of every list.
    pub fn new(list: List, limit: Option<u32>, cursor: Option<&str>) -> Result<Self> {
        let after = cursor.map(|cursor| decode(list, cursor)).transpose()?;
        Ok(Self { limit: checked_limit(limit)?, after, list })
    }

    /// The cursor of the page after this place.
    pub fn cursor(self, place: Place) -> String {
        encode(self.list, place)
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
        let next_cursor = rows.last().filter(|_| more).map(|last| encode(self.list, place(last)));
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

fn encode(list: List, place: Place) -> String {
    format!("{:016x}{:032x}{:016x}", place.0.as_millis(), place.1.as_u128(), list.check(place))
}

fn decode(list: List, text: &str) -> Result<Place> {
    place_of(text)
        .filter(|(place, check)| list.check(*place) == *check && is_sane(*place))
        .map(|(place, _)| place)
        .ok_or_else(|| {
            let detail = "it is what an earlier page of this very list gave as next_cursor";
            let errors = vec![FieldError { field: "cursor".into(), detail: detail.into() }];
            Problem::new(&CURSOR_INVALID, "the cursor is none of this list's").with_errors(errors)
        })
}

fn place_of(text: &str) -> Option<(Place, u64)> {
    let sane = text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let (at, rest) = sane.then(|| text.split_at(16))?;
    let (id, check) = rest.split_at(32);
    let at = u64::from_str_radix(at, 16).ok()?.cast_signed();
    let id = u128::from_str_radix(id, 16).ok()?;
    Some(((Timestamp::from_millis(at), Uuid::from_u128(id)), u64::from_str_radix(check, 16).ok()?))
}

/// Whether a row may stand there. No store is asked about a moment that its columns do not hold.
fn is_sane((at, _): Place) -> bool {
    (0..limits::LAST_MOMENT_MS).contains(&at.as_millis())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list() -> List {
        List::new("/v1/things", &("home", 5))
    }

    #[test]
    fn a_cursor_leads_back_to_its_place() {
        for at in [0, 1_800_000_000_123, limits::LAST_MOMENT_MS - 1] {
            let place = (Timestamp::from_millis(at), Uuid::from_u128(0x1234 << 90));
            assert_eq!(decode(list(), &encode(list(), place)).unwrap(), place);
        }
        let good = encode(list(), (Timestamp::from_millis(5), Uuid::nil()));
        for bad in [
            "",
            "x",
            &good[1..],
            &good[..48],
            &format!("{good}0"),
            &good.replace('5', "G"),
            &good.replace('5', "+"),
            "é",
        ] {
            assert_eq!(decode(list(), bad).unwrap_err().kind(), &CURSOR_INVALID);
        }
    }

    #[test]
    fn a_cursor_of_another_list_is_refused() {
        let place = (Timestamp::from_millis(5), Uuid::nil());
        for other in
            [List::new("/v1/things", &("home", 6)), List::new("/v1/other", &("home", 5)), List::new("/v1/things", &())]
        {
            assert_eq!(decode(other, &encode(list(), place)).unwrap_err().kind(), &CURSOR_INVALID);
        }
    }

    #[test]
    fn a_moment_that_no_row_has_is_refused() {
        for at in [-1, i64::MIN, i64::MAX, limits::LAST_MOMENT_MS, 0xffff_0000_0000_0000_u64.cast_signed()] {
            let place = (Timestamp::from_millis(at), Uuid::nil());
            assert_eq!(decode(list(), &encode(list(), place)).unwrap_err().kind(), &CURSOR_INVALID);
        }
    }

    proptest::proptest! {
        #[test]
        fn a_cursor_with_anything_changed_is_refused(at in 0..limits::LAST_MOMENT_MS, id: u128, change in 0..64usize, to in 0..16u32) {
            let good = encode(list(), (Timestamp::from_millis(at), Uuid::from_u128(id)));
            let digit = char::from_digit(to, 16).expect("a digit");
            let bad: String = good.chars().enumerate().map(|(place, old)| if place == change { digit } else { old }).collect();
            proptest::prop_assert_eq!(decode(list(), &bad).is_ok(), bad == good);
        }
    }

    #[test]
    fn a_page_has_a_next_one_only_when_more_came() {
        let page = |rows: Vec<u32>| {
            let paging = Paging::new(list(), Some(2), None).unwrap();
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
