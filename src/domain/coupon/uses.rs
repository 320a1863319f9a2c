//! What is counted of a coupon's uses: how many, by whom, for how much, and which of its codes. Buyers and codes stand in blocks, each a part of a
//! snapshot, so that a use writes little of them.

use super::code::SERIALS;
use super::types::HeldUse;
use crate::domain::buyer::{BuyerKey, keys};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Codes of one block.
const BLOCK: u32 = 4_096;

/// A block of codes: a bit for each that is held or used.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Codes([u64; BLOCK as usize / 64]);

/// How many uses each buyer has, held or used, of the buyers whose keys begin with the same byte.
type Buyers = BTreeMap<BuyerKey, u32>;

/// A block of buyers, as it is written.
#[derive(Serialize, Deserialize)]
pub(super) struct BuyersPart {
    #[serde(with = "keys")]
    keys: Vec<BuyerKey>,
    uses: Vec<u32>,
}

/// A block of codes, as it is written: the serial numbers within it.
pub(super) type CodesPart = Vec<u16>;

/// Which block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Block {
    /// Of codes.
    Codes(u32),
    /// Of buyers.
    Buyers(u8),
}

/// The counts.
#[derive(Clone, Debug, Default)]
pub(super) struct Uses {
    /// Uses of orders that are paid.
    pub(super) used: u64,
    /// What the orders take of the budget that hold a use, in minor units.
    pub(super) amount_held: i64,
    /// What the orders took of the budget that are paid.
    pub(super) amount_used: i64,
    codes: BTreeMap<u32, Codes>,
    buyers: BTreeMap<u8, Buyers>,
}

impl Uses {
    /// Whether this code is held or used.
    pub(super) fn has_code(&self, serial: u32) -> bool {
        let block = self.codes.get(&(serial / BLOCK));
        block.is_some_and(|block| block.0[(serial % BLOCK) as usize / 64] & 1 << (serial % 64) != 0)
    }

    /// How many codes are held or used.
    pub(super) fn codes(&self) -> u64 {
        self.codes.values().flat_map(|block| block.0).map(|word| u64::from(word.count_ones())).sum()
    }

    /// How many uses this buyer has, held or used.
    pub(super) fn of(&self, key: BuyerKey) -> u32 {
        self.buyers.get(&key.0[0]).and_then(|buyers| buyers.get(&key)).copied().unwrap_or_default()
    }

    /// Each buyer with its uses.
    pub(super) fn buyers(&self) -> impl Iterator<Item = (BuyerKey, u32)> {
        self.buyers.values().flatten().map(|(key, uses)| (*key, *uses))
    }

    /// Counts what is held from now on. The blocks that changed.
    pub(super) fn hold(&mut self, held: &HeldUse) -> Vec<Block> {
        self.amount_held = self.amount_held.saturating_add(held.amount);
        self.set(held, true)
    }

    /// What was held is used.
    pub(super) fn commit(&mut self, held: &HeldUse) {
        self.used = self.used.saturating_add(1);
        self.amount_held = self.amount_held.saturating_sub(held.amount);
        self.amount_used = self.amount_used.saturating_add(held.amount);
    }

    /// What was held is free again. The blocks that changed.
    pub(super) fn release(&mut self, held: &HeldUse) -> Vec<Block> {
        self.amount_held = self.amount_held.saturating_sub(held.amount);
        self.set(held, false)
    }

    /// What was used is free again: of the budget, and the use itself where it is `whole`. The blocks that changed.
    pub(super) fn give_back(&mut self, freed: &HeldUse, whole: bool) -> Vec<Block> {
        self.used = self.used.saturating_sub(u64::from(whole));
        self.amount_used = self.amount_used.saturating_sub(freed.amount);
        self.set(freed, false)
    }

    fn set(&mut self, held: &HeldUse, counts: bool) -> Vec<Block> {
        let mut changed = Vec::new();
        for key in &held.keys {
            let buyers = self.buyers.entry(key.0[0]).or_default();
            let uses = buyers.entry(*key).or_default();
            *uses = if counts { uses.saturating_add(1) } else { uses.saturating_sub(1) };
            if *uses == 0 {
                buyers.remove(key);
            }
            changed.push(Block::Buyers(key.0[0]));
        }
        if let Some(serial) = held.serial {
            let block = self.codes.entry(serial / BLOCK).or_insert(Codes([0; BLOCK as usize / 64]));
            let (word, bit) = (&mut block.0[(serial % BLOCK) as usize / 64], 1 << (serial % 64));
            *word = if counts { *word | bit } else { *word & !bit };
            changed.push(Block::Codes(serial / BLOCK));
        }
        changed
    }

    /// A block of buyers, as it is written; `None` when there are none.
    pub(super) fn buyers_part(&self, block: u8) -> Option<BuyersPart> {
        let (keys, uses) = self.buyers.get(&block)?.iter().map(|(key, uses)| (*key, *uses)).unzip();
        let part = BuyersPart { keys, uses };
        (!part.keys.is_empty()).then_some(part)
    }

    /// A block of codes, as it is written; `None` when there are none.
    pub(super) fn codes_part(&self, block: u32) -> Option<CodesPart> {
        let words = &self.codes.get(&block)?.0;
        let has = |at: &u16| words[usize::from(*at) / 64] & 1 << (at % 64) != 0;
        let part: CodesPart = (0..BLOCK as u16).filter(has).collect();
        (!part.is_empty()).then_some(part)
    }

    /// Takes over a block of buyers; whether it is one.
    pub(super) fn restore_buyers(&mut self, block: u8, part: BuyersPart) -> bool {
        let fits = part.keys.len() == part.uses.len() && part.keys.iter().all(|key| key.0[0] == block);
        self.buyers.insert(block, part.keys.into_iter().zip(part.uses).collect());
        fits
    }

    /// Takes over a block of codes; whether it is one.
    pub(super) fn restore_codes(&mut self, block: u32, part: CodesPart) -> bool {
        let fits = block < SERIALS / BLOCK && part.iter().all(|at| u32::from(*at) < BLOCK);
        let held = |at: u16| HeldUse { serial: Some(block * BLOCK + u32::from(at)), ..HeldUse::default() };
        if fits {
            for at in part {
                self.set(&held(at), true);
            }
        }
        fits
    }
}
