//! What stands beside the actors and has rules of its own: each feature in a room of its own, over a repository that both stores have. Where the
//! last writer may win, or a constraint decides, a service keeps rows; what buyers compete for is an entity.

pub mod acceptance;
pub mod accounts;
pub mod categories;
pub mod couriers;
pub mod kept;
pub mod notifications;
pub mod payments;
pub mod price_tables;
