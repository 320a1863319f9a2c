//! Orders that are paid at the door.

use crate::limits;
use clap::{ArgAction, Args};

/// Whether the shop takes money at the door, and of whom.
#[derive(Args, Clone, Copy, Debug)]
pub struct CashArgs {
    /// Whether orders may be paid at the door, by the method `cash_on_delivery`.
    #[arg(long, env = "HAAT_CASH_ON_DELIVERY", default_value_t = false, value_name = "BOOL", action = ArgAction::Set)]
    pub cash_on_delivery: bool,
    /// How many such orders a buyer may have open.
    #[arg(long, env = "HAAT_CASH_OPEN_ORDERS", default_value_t = limits::CASH_OPEN_ORDERS, value_name = "COUNT",
        value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub cash_open_orders: u32,
    /// After how many orders refused at the door within 90 days a buyer may pay there no more; 0 for any number.
    #[arg(long, env = "HAAT_CASH_REFUSALS", default_value_t = limits::CASH_REFUSALS, value_name = "COUNT",
        value_parser = clap::value_parser!(u32).range(0..=1_000))]
    pub cash_refusals: u32,
}

impl Default for CashArgs {
    fn default() -> Self {
        let (cash_open_orders, cash_refusals) = (limits::CASH_OPEN_ORDERS, limits::CASH_REFUSALS);
        Self { cash_on_delivery: false, cash_open_orders, cash_refusals }
    }
}

impl CashArgs {
    /// How many orders of a buyer may be open: none where the shop takes no money at the door.
    pub const fn open_orders(&self) -> u32 {
        if self.cash_on_delivery { self.cash_open_orders } else { 0 }
    }
}
