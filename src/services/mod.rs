//! What stands beside the actors and has rules of its own: each feature in a room of its own, over a repository that both stores have.

pub mod notifications;
