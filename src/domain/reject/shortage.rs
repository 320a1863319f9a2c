//! Of what too little is there.

use crate::domain::ids::SkuId;
use serde::{Deserialize, Serialize};

/// A SKU of which less is available than was asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shortage {
    /// The SKU.
    pub sku_id: SkuId,
    /// Pieces asked for.
    pub requested: i64,
    /// Pieces available when the answer was made.
    pub available: i64,
}
