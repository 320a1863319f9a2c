//! The columns by which lists of orders can be filtered. Each is said once, in [`order_columns`]; from there the row has it, the table has it
//! in both stores, a list takes it as a parameter, and a store whose rows lack it is told from one that has it in all of them.
//!
//! One more is a line in the list and a migration in `migrations/both/`, with the column and the index that a list filtered by it is read
//! from: `(column, placed_at DESC, id DESC)`.

use super::state::Body;
use super::types::OrderStatus;
use serde::{Deserialize, Serialize};

/// Calls the macro `$with` with the list. A row: what it is, as the API says it; the column's name, which is the parameter's name, too; its
/// type, which is read from a parameter by `FromStr`; what stands in it.
///
/// What comes later begins with `[since N]`, where N is one more than [`SHAPE`] was: rows that an earlier version wrote lack it until they are
/// remade. So it may be absent from a row, and in its table it may be NULL.
macro_rules! order_columns {
    ($with:ident) => {
        $with! {
            /// Only orders that stand so.
            status: $crate::domain::order::OrderStatus = |body| body.status;
        }
    };
}
pub(crate) use order_columns;

/// What the fields of a column are, whether it was always there or not.
macro_rules! column {
    (type $of:ty) => { $of };
    (type $of:ty, $since:literal) => { Option<$of> };
    (made $value:expr) => { $value };
    (made $value:expr, $since:literal) => { Some($value) };
    (shown $field:expr) => { Some(&$field) };
    (shown $field:expr, $since:literal) => { $field.as_ref() };
}
pub(crate) use column;

macro_rules! define {
    ($($(#[doc = $doc:literal])* $([since $since:literal])? $name:ident: $of:ty = $value:expr;)*) => {
        /// What stands in these columns of an order's row.
        #[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(default)]
        pub struct OrderColumns {
            $($(#[doc = $doc])* pub $name: column!(type $of $(, $since)?),)*
        }

        /// By what a list of orders is filtered: each value that is given must stand in its column.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct OrderFilter {
            $($(#[doc = $doc])* pub $name: Option<$of>,)*
        }

        /// The shape of an order's rows: see [`Keeps::SHAPE`](crate::domain::entity::Keeps::SHAPE).
        pub(super) const SHAPE: u32 = {
            // Raise this first one for what changes the rows, and is no new column to filter by. 2: parcels and returns have rows of their own, and
            // an order says what it waits for outside.
            let shapes: &[u32] = &[2, $($($since,)?)*];
            let (mut newest, mut at) = (0, 0);
            while at < shapes.len() {
                if shapes[at] > newest {
                    newest = shapes[at];
                }
                at += 1;
            }
            newest
        };

        impl OrderColumns {
            /// Those of an order.
            pub(super) fn of(body: &Body) -> Self {
                $(let $name: fn(&Body) -> $of = $value;)*
                Self { $($name: column!(made $name(body) $(, $since)?),)* }
            }

            /// For each column in which something stands: its name, and the filter for what stands there.
            pub fn filters(&self) -> Vec<(&'static str, OrderFilter)> {
                let mut filters = Vec::new();
                $(if let Some(value) = column!(shown self.$name $(, $since)?) {
                    let mut filter = OrderFilter::ANY;
                    filter.$name = Some(value.clone());
                    filters.push((stringify!($name), filter));
                })*
                filters
            }
        }

        impl OrderFilter {
            /// What lets all orders through.
            pub const ANY: Self = Self { $($name: None,)* };

            /// Whether it lets an order through, of which this stands in its columns.
            pub fn passes(&self, columns: &OrderColumns) -> bool {
                $(self.$name.as_ref().is_none_or(|asked| column!(shown columns.$name $(, $since)?) == Some(asked)))&&*
            }
        }
    };
}
order_columns!(define);

impl From<OrderStatus> for OrderColumns {
    /// An order that stands so, and of which nothing else is said.
    #[allow(clippy::needless_update, reason = "it is a list, however short")]
    fn from(status: OrderStatus) -> Self {
        Self { status, ..Self::default() }
    }
}

impl From<OrderStatus> for OrderFilter {
    /// Orders that stand so.
    #[allow(clippy::needless_update, reason = "it is a list, however short")]
    fn from(status: OrderStatus) -> Self {
        Self { status: Some(status), ..Self::ANY }
    }
}

impl Default for OrderStatus {
    /// As every order begins.
    fn default() -> Self {
        OrderStatus::Placed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_lets_through_what_stands_in_its_columns() {
        let paid = OrderColumns::from(OrderStatus::Paid);
        assert!(OrderFilter::ANY.passes(&paid));
        let filters = paid.filters();
        assert!(filters.iter().any(|(name, _)| *name == "status"), "{filters:?}");
        for (name, filter) in filters {
            assert!(filter.passes(&paid), "{name}");
        }
        for (_, filter) in OrderColumns::from(OrderStatus::Expired).filters() {
            assert_eq!(filter.passes(&paid), filter.status.is_none());
        }
    }
}
