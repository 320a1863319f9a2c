//! What a breach of an invariant is. Each entity checks what concerns it alone (`Entity::check`); what concerns several is checked by
//! `haat audit` over a store, by the tests over the domain, and by `haat-load` from outside.

use super::ids::{EntityRef, SkuId};
use std::fmt;

/// An invariant that does not hold: a bug, never a user's error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Breach {
    /// Which invariant: a stable name.
    pub invariant: &'static str,
    /// Where.
    pub entity: EntityRef,
    /// Which SKU alone is concerned, where one is.
    pub sku: Option<SkuId>,
    /// In words, with the figures.
    pub detail: String,
}

impl Breach {
    /// A breach of `invariant` in `entity`.
    pub fn new(invariant: &'static str, entity: EntityRef, detail: impl Into<String>) -> Self {
        Self { invariant, entity, sku: None, detail: detail.into() }
    }

    /// That it concerns this SKU alone.
    #[must_use]
    pub fn of_sku(self, sku: SkuId) -> Self {
        Self { sku: Some(sku), ..self }
    }
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}", self.entity, self.invariant, self.detail)
    }
}

impl std::error::Error for Breach {}
