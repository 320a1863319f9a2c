//! Random runs that are the same every time.

use proptest::prelude::ProptestConfig;
use proptest::test_runner::RngSeed;

/// So many cases, from a seed that is fixed, unless `PROPTEST_CASES` and `PROPTEST_RNG_SEED` say otherwise.
pub fn config(cases: u32) -> ProptestConfig {
    let given = ProptestConfig::default();
    let from_outside = |name: &str| std::env::var_os(name).is_some();
    ProptestConfig {
        cases: if from_outside("PROPTEST_CASES") { given.cases } else { cases },
        rng_seed: if from_outside("PROPTEST_RNG_SEED") { given.rng_seed } else { RngSeed::Fixed(20_240_229) },
        failure_persistence: None,
        ..given
    }
}
