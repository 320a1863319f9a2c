//! How long to wait before something is tried again.

/// The wait before the try after `tries` in vain, in milliseconds: it doubles from `first` up to `longest`, and is cut by up to a
/// quarter, so that what failed at the same moment does not come back at the same moment. By how much follows from `key` and
/// `tries` alone: no chance.
pub fn backoff_ms(first: u64, longest: u64, tries: u32, key: u128) -> u64 {
    let wait = first.saturating_mul(1u64.checked_shl(tries.min(32)).unwrap_or(u64::MAX)).min(longest);
    let quarter = wait / 4;
    let cut = mixed((key as u64) ^ mixed((key >> 64) as u64 ^ mixed(u64::from(tries)))) % (quarter + 1);
    wait - cut
}

/// The finalizer of SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014).
fn mixed(mut bits: u64) -> u64 {
    bits = bits.wrapping_add(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest_and_are_spread_over_a_quarter() {
        for (tries, whole) in
            [(0, 1_000), (1, 2_000), (2, 4_000), (4, 16_000), (5, 30_000), (40, 30_000), (u32::MAX, 30_000)]
        {
            let waits: Vec<u64> = (0..1_000).map(|key| backoff_ms(1_000, 30_000, tries, key << 64)).collect();
            assert!(waits.iter().all(|wait| (whole - whole / 4..=whole).contains(wait)), "{tries}");
            let early = waits.iter().filter(|wait| **wait < whole - whole / 8).count();
            assert!((400..600).contains(&early), "{early} of a thousand come in the first half, after {tries}");
        }
        assert_eq!(backoff_ms(1_000, 30_000, 3, 7), backoff_ms(1_000, 30_000, 3, 7));
        assert_ne!(backoff_ms(8_000, 8_000, 3, 7), backoff_ms(8_000, 8_000, 4, 7), "another try, another place");
        assert_eq!(backoff_ms(0, 0, 3, 7), 0);
        assert!(backoff_ms(u64::MAX, u64::MAX, 3, 7) >= u64::MAX / 4 * 3);
    }
}
