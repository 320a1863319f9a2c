//! Which refusal is given where several apply.

use super::Reject;

/// Of several refusals the one that takes precedence; what is short or not for sale is told of all SKUs.
#[derive(Debug, Default)]
pub struct Refusal(Option<Reject>);

impl Refusal {
    /// One more.
    pub fn add(&mut self, reject: Reject) {
        match (&mut self.0, reject) {
            (Some(Reject::OutOfStock { skus }), Reject::OutOfStock { skus: more }) => skus.extend(more),
            (Some(Reject::SkuUnavailable { skus }), Reject::SkuUnavailable { skus: more }) => skus.extend(more),
            (Some(first), reject) if (first.kind() as usize) <= reject.kind() as usize => {}
            (first, reject) => *first = Some(reject),
        }
    }

    /// # Errors
    /// The refusal, if there was one.
    pub fn done(self) -> Result<(), Reject> {
        self.0.map_or(Ok(()), Err)
    }
}
