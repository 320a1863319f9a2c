//! Stock: what vendors hold and have sold is what orders wait for and have bought.

use super::super::text::{count, counted};
use super::facts::{Facts, OrderFacts, Share, Trade};
use super::{Breaches, Finding};
use crate::domain::ids::{CreditId, EntityId, OrderId, SkuId, VendorId};
use crate::domain::order::{LegState, Phase};
use crate::domain::vendor::{HeldLine, SlotId};
use std::collections::{BTreeMap, BTreeSet};

/// Holds each order's shares against what their vendors did, and each SKU's figures against the orders.
#[derive(Debug, Default)]
pub(super) struct Stock {
    /// What orders bought of each SKU.
    sold: BTreeMap<SkuId, i64>,
    /// SKUs that were sold to orders of which nothing is known.
    unclear: BTreeSet<(VendorId, SkuId)>,
    /// How many orders hold or have each slot, as far as all of these are known.
    in_slots: BTreeMap<(VendorId, SlotId), i64>,
    /// Slots of orders of which nothing is known.
    unclear_slots: BTreeSet<(VendorId, SlotId)>,
    under_way: u64,
    holds: u64,
    breaches: Breaches,
}

impl Stock {
    /// Looks at the orders at hand, when all vendors have been made.
    pub(super) fn look(&mut self, facts: &Facts) {
        for (id, order) in &facts.orders {
            for share in &order.shares {
                if facts.is_broken(share.vendor.entity()) {
                    continue;
                }
                let trades = facts.trades.get(&share.vendor);
                let trade = trades.and_then(|trades| trades.0.get(id)).cloned().unwrap_or_default();
                match judge(order, share, &trade) {
                    Ok(Standing::AsTold) => {}
                    Ok(Standing::UnderWay) => self.under_way += 1,
                    Err(wrong) => {
                        self.breaches.add(format!("{id}, {} of {}: {wrong}", phase(order.phase), share.vendor));
                    }
                }
                if has_bought(order, share, &trade) {
                    for line in order.row.lines.iter().filter(|line| line.vendor_id == share.vendor) {
                        let sold = self.sold.entry(line.sku_id).or_default();
                        let back = trade.returned.get(&line.sku_id).copied().unwrap_or(0);
                        *sold = sold.saturating_add(line.quantity).saturating_sub(back);
                    }
                }
            }
        }
        for (id, trades) in facts.trades.iter().filter(|(id, _)| !facts.is_broken(id.entity())) {
            for (order, trade) in &trades.0 {
                self.holds += u64::from(trade.holding.is_some());
                for slot in trade.slots.into_iter().flatten() {
                    *self.in_slots.entry((*id, slot)).or_default() += 1;
                    self.unclear_slots.extend(facts.is_broken(order.entity()).then_some((*id, slot)));
                }
                if facts.is_broken(order.entity()) {
                    self.unclear.extend(trade.sold.iter().flatten().map(|line| (*id, line.sku)));
                } else {
                    strangers(facts, *id, *order, trade, &mut self.breaches);
                }
            }
        }
    }

    /// What was found, with the SKUs of all vendors.
    pub(super) fn finish(mut self, facts: &Facts) -> Finding {
        let (mut skus, mut received, mut pieces_sold) = (0, 0, 0);
        for (id, vendor) in &facts.vendors {
            for sku in vendor.skus.iter().filter(|sku| !self.unclear.contains(&(*id, sku.id))) {
                let bought = self.sold.get(&sku.id).copied().unwrap_or(0);
                if sku.received != sku.on_hand + bought {
                    self.breaches.add(format!(
                        "{} of {id}: received {}, on hand {}, sold to orders {bought}: they do not add up",
                        sku.id, sku.received, sku.on_hand
                    ));
                }
                skus += 1;
                received += sku.received.unsigned_abs();
                pieces_sold += sku.sold().unsigned_abs();
            }
            for (slot, had) in vendor.slots.iter().filter(|(slot, _)| !self.unclear_slots.contains(&(*id, *slot))) {
                let orders = self.in_slots.get(&(*id, *slot)).copied().unwrap_or(0);
                if *had != orders {
                    self.breaches
                        .add(format!("slot {slot} of {id}: it counts {had}, and {orders} orders hold or have it"));
                }
            }
        }
        let looked_at = format!(
            "{}: {} received, {} sold to orders, the rest on hand; {} for orders that wait, {} under way",
            counted(skus, "SKU"),
            count(received),
            count(pieces_sold),
            counted(self.holds, "hold"),
            counted(self.under_way, "answer"),
        );
        Finding::new("stock", looked_at, self.breaches)
    }
}

/// A vendor's dealings with an order that is none of its.
fn strangers(facts: &Facts, vendor: VendorId, id: OrderId, trade: &Trade, breaches: &mut Breaches) {
    if trade.holding.is_none() && trade.sold.is_empty() {
        return;
    }
    let asked = |order: &&OrderFacts| order.shares.iter().any(|share| share.vendor == vendor);
    if facts.orders.get(&id).filter(asked).is_none() {
        let what = if trade.sold.is_empty() { "holds stock" } else { "sold stock" };
        breaches.add(format!("{vendor} {what} for {id}, which did not ask for it"));
    }
}

/// How a share and its vendor agree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// Both say the same.
    AsTold,
    /// One has heard what the other has not yet.
    UnderWay,
}

/// Whether the vendor has sold this share to the order, for all the order's saga may know.
fn has_bought(order: &OrderFacts, share: &Share, trade: &Trade) -> bool {
    match share.state {
        LegState::Committed => true,
        LegState::Held => matches!(order.phase, Phase::Confirming | Phase::Stuck) && !trade.sold.is_empty(),
        LegState::Unanswered => !trade.sold.is_empty(),
        LegState::Asked | LegState::Refused | LegState::Released => false,
    }
}

/// Holds one share against what its vendor did. The error says in words what cannot be.
fn judge(order: &OrderFacts, share: &Share, trade: &Trade) -> Result<Standing, String> {
    use LegState::{Asked, Committed, Held, Refused, Released, Unanswered};
    use Standing::{AsTold, UnderWay};
    if trade.sold.len() > 1 {
        return Err(format!("sold {} times", trade.sold.len()));
    }
    if let Some(lines) = trade.sold.first().or(trade.holding.as_ref()) {
        // The price is the vendor's until the order has heard of the hold.
        let priced = matches!(share.state, Held | Committed);
        same_lines(order, share.vendor, lines, priced)?;
    }
    returned(order, share.vendor, trade)?;
    in_slot(order, share, trade)?;
    if trade.closed && order.phase != Phase::Settled {
        return Err("its hold was closed, and it is not settled".into());
    }
    let (holds, sold) = (trade.holding.is_some(), !trade.sold.is_empty());
    match (share.state, order.phase) {
        // Someone has to look at it anyway: what was done for it may be at any point.
        (_, Phase::Stuck) => Ok(UnderWay),
        (Committed, _) if !sold => Err("paid and settled without its stock: nothing was sold to it".into()),
        // A hold after the sale is the echo of an old request: the vendor asks about it when its time has passed.
        (Committed, _) => Ok(if holds { UnderWay } else { AsTold }),
        (Held, Phase::Confirming) if sold => Ok(UnderWay),
        (Held, Phase::Confirming) if holds => Ok(AsTold),
        (Held, Phase::Confirming) => Err("paid, and its stock is neither held nor sold".into()),
        // Nobody waits for its answer any longer: it sells when it comes to it.
        (Unanswered, Phase::Settled) if sold || holds => Ok(UnderWay),
        (Unanswered, Phase::Settled) => Err("paid, and its stock is neither held nor sold".into()),
        (_, _) if sold => Err("sold, and the order is not paid".into()),
        (Held, Phase::Gathering | Phase::Paying | Phase::Voiding(_)) if holds => Ok(AsTold),
        (Held, Phase::Cancelling(_)) => Ok(if holds { AsTold } else { UnderWay }),
        (Held, _) => Err("the order counts on a hold, and the vendor holds nothing".into()),
        (Asked, Phase::Gathering | Phase::Cancelling(_)) => Ok(if holds { UnderWay } else { AsTold }),
        (Asked, _) => Err("the order went on without an answer".into()),
        // A request that was sent again may have found stock after all: the hold is given back when its time has passed.
        (Refused, _) => Ok(if holds { UnderWay } else { AsTold }),
        // Nor here: it lets go when it comes to it.
        (Unanswered, _) => Ok(if holds { UnderWay } else { AsTold }),
        (Released, _) if holds => Err("held still, after it was let go".into()),
        (Released, _) => Ok(AsTold),
    }
}

/// What came back is what was cancelled, once; but for what is under way.
fn returned(order: &OrderFacts, vendor: VendorId, trade: &Trade) -> Result<(), String> {
    let once: BTreeSet<CreditId> = trade.credits.iter().copied().collect();
    if once.len() != trade.credits.len() {
        return Err("a credit was taken back into stock twice".into());
    }
    for line in order.row.lines.iter().filter(|line| line.vendor_id == vendor) {
        let back = trade.returned.get(&line.sku_id).copied().unwrap_or(0);
        let is_own = |(of, sku, _): &&(VendorId, SkuId, i64)| (*of, *sku) == (vendor, line.sku_id);
        let coming: i64 = order.coming_back.iter().filter(is_own).map(|(_, _, units)| units).sum();
        // What was cancelled, and what is back after it was handed over.
        let goods = line.goods.as_deref().copied().unwrap_or_default();
        let here = line.credited.saturating_sub(goods.credited).saturating_add(goods.restocked);
        let cancelled = if order.is_sold() { here } else { 0 };
        if !(cancelled - coming..=cancelled).contains(&back) {
            return Err(format!(
                "{back} of {} came back, and {cancelled} were cancelled, or are in stock again",
                line.sku_id
            ));
        }
    }
    Ok(())
}

/// The slot of what the order counts on is the one that it knows; but for one that is being given back.
fn in_slot(order: &OrderFacts, share: &Share, trade: &Trade) -> Result<(), String> {
    let counts_on = matches!(share.state, LegState::Held | LegState::Committed)
        && !matches!(order.phase, Phase::Stuck | Phase::Cancelling(_) | Phase::Reopening(_) | Phase::Ended);
    if !counts_on {
        return Ok(());
    }
    let had = if trade.sold.is_empty() { trade.slots[0] } else { trade.slots[1] };
    match (order.slots.get(&share.vendor), had) {
        (Some((known, _)), Some(had)) if *known == had => Ok(()),
        (Some((_, true)) | None, None) => Ok(()),
        (known, had) => {
            let words = |slot: Option<SlotId>| slot.map_or_else(|| "none".to_owned(), |slot| slot.to_string());
            Err(format!("to be brought in slot {}, and the vendor has {}", words(known.map(|(id, _)| *id)), words(had)))
        }
    }
}

fn same_lines(order: &OrderFacts, vendor: VendorId, lines: &[HeldLine], priced: bool) -> Result<(), String> {
    let line = |sku, quantity, price| (sku, quantity, if priced { price } else { 0 });
    let ordered = order.row.lines.iter().filter(|line| line.vendor_id == vendor);
    let mut ordered: Vec<_> = ordered.map(|of| line(of.sku_id, of.quantity, of.unit_price)).collect();
    let mut dealt: Vec<_> = lines.iter().map(|of| line(of.sku, of.quantity, of.unit_price)).collect();
    ordered.sort_unstable();
    dealt.sort_unstable();
    if ordered == dealt {
        return Ok(());
    }
    let words = |lines: &[(SkuId, i64, i64)]| {
        let words = |(sku, quantity, price): &(SkuId, i64, i64)| match priced {
            true => format!("{quantity} of {sku} at {price}"),
            false => format!("{quantity} of {sku}"),
        };
        lines.iter().map(words).collect::<Vec<_>>().join(", ")
    };
    Err(format!("ordered {}, and the vendor has {}", words(&ordered), words(&dealt)))
}

/// A phase in words.
pub(super) fn phase(phase: Phase) -> &'static str {
    match phase {
        Phase::Gathering => "reserving",
        Phase::Paying => "paying",
        Phase::Voiding(_) => "voiding",
        Phase::Confirming => "settling",
        Phase::Settled => "settled",
        Phase::Cancelling(_) => "releasing",
        Phase::Reopening(_) => "reopening",
        Phase::Ended => "ended",
        Phase::Stuck => "quarantined",
    }
}

#[cfg(test)]
mod tests {
    use super::super::facts::samples::{facts, lines, order, order_id, paid, vendor};
    use super::*;
    use crate::domain::order::OrderStatus;

    fn check(facts: &Facts) -> Finding {
        let mut stock = Stock::default();
        stock.look(facts);
        stock.finish(facts)
    }

    fn trade(holds: bool, times_sold: usize) -> Trade {
        Trade { holding: holds.then(lines), sold: vec![lines(); times_sold], ..Trade::default() }
    }

    #[test]
    fn every_step_of_a_saga_has_what_its_vendor_may_have_done() {
        use LegState::{Asked, Committed, Held, Refused, Released, Unanswered};
        let end = OrderStatus::Cancelled;
        let (nothing, holds, sold) = (trade(false, 0), trade(true, 0), trade(false, 1));
        // For each step: may the vendor have done nothing, hold, have sold?
        for (phase, state, may) in [
            (Phase::Gathering, Asked, [true, true, false]),
            (Phase::Gathering, Held, [false, true, false]),
            (Phase::Paying, Held, [false, true, false]),
            (Phase::Voiding(end), Held, [false, true, false]),
            (Phase::Confirming, Held, [false, true, true]),
            (Phase::Confirming, Committed, [false, false, true]),
            (Phase::Settled, Committed, [false, false, true]),
            (Phase::Cancelling(end), Asked, [true, true, false]),
            (Phase::Cancelling(end), Held, [true, true, false]),
            (Phase::Cancelling(end), Released, [true, false, false]),
            (Phase::Cancelling(end), Refused, [true, true, false]),
            (Phase::Ended, Released, [true, false, false]),
            (Phase::Ended, Held, [false, false, false]),
            (Phase::Paying, Asked, [false, false, false]),
            (Phase::Stuck, Held, [true, true, true]),
            (Phase::Settled, Unanswered, [false, true, true]),
            (Phase::Reopening(end), Unanswered, [true, true, false]),
            (Phase::Ended, Unanswered, [true, true, false]),
        ] {
            for (trade, may) in [&nothing, &holds, &sold].into_iter().zip(may) {
                let order = OrderFacts { phase, ..order(1) };
                let judged = judge(&order, &Share { vendor: vendor(), state }, trade);
                assert_eq!(judged.is_ok(), may, "{phase:?} {state:?} {trade:?}: {judged:?}");
            }
        }
    }

    #[test]
    fn stock_is_sold_once_and_as_ordered() {
        let (order, share) = (paid(1), Share { vendor: vendor(), state: LegState::Committed });
        assert_eq!(judge(&order, &share, &trade(false, 1)), Ok(Standing::AsTold));
        assert_eq!(judge(&order, &share, &trade(true, 1)), Ok(Standing::UnderWay));
        assert!(judge(&order, &share, &trade(false, 2)).is_err_and(|wrong| wrong == "sold 2 times"));
        let mut more = trade(false, 1);
        more.sold[0][0].quantity += 1;
        assert!(judge(&order, &share, &more).is_err_and(|wrong| wrong.starts_with("ordered 2 of")));
    }

    #[test]
    fn a_slot_is_had_by_the_orders_that_know_it() {
        let slot = |text: &str| text.parse::<SlotId>().expect("a slot");
        let (ten, two) = (slot("20261201-1000-1200"), slot("20261201-1400-1600"));
        // What the order knows, whether it gives that back, what the vendor has, and whether they agree.
        for (known, back, had, agree) in [
            (None, false, None, true),
            (Some(ten), false, Some(ten), true),
            (Some(ten), true, Some(ten), true),
            (Some(ten), true, None, true),
            (Some(ten), false, None, false),
            (Some(ten), false, Some(two), false),
            (Some(ten), true, Some(two), false),
            (None, false, Some(ten), false),
        ] {
            let mut facts = facts();
            let sold = paid(1);
            let mut order =
                OrderFacts { slots: known.map(|known| (vendor(), (known, back))).into_iter().collect(), ..sold };
            order.shares = vec![Share { vendor: vendor(), state: LegState::Committed }];
            let trade = Trade { slots: [None, had], ..trade(false, 1) };
            facts.vendors.get_mut(&vendor()).expect("the vendor").slots = had.map(|had| (had, 1)).into_iter().collect();
            facts.trades.entry(vendor()).or_default().0.insert(order_id(1), trade.clone());
            facts.orders.insert(order_id(1), order);
            let told = check(&facts).breaches.told().to_vec();
            assert_eq!(told.is_empty(), agree, "{known:?} {back} {had:?}: {told:?}");
            // One that the vendor counts for nobody, or does not count.
            let slots = &mut facts.vendors.get_mut(&vendor()).expect("the vendor").slots;
            *slots = vec![(ten, 2)];
            assert!(check(&facts).breaches.told().iter().any(|wrong| wrong.contains("it counts 2")));
        }
    }

    #[test]
    fn figures_that_add_up_are_told() {
        let finding = check(&facts());
        assert_eq!(finding.breaches.told(), [""; 0]);
        assert_eq!(
            finding.looked_at,
            "1 SKU: 10 received, 2 sold to orders, the rest on hand; 0 holds for orders that wait, 0 answers under way"
        );
    }

    #[test]
    fn a_sku_that_does_not_add_up_and_a_hold_for_nobody_are_told() {
        let mut facts = facts();
        let vendor = facts.vendors.values_mut().next().expect("a vendor");
        vendor.skus[0].on_hand -= 1;
        let nobody = OrderId::from_uuid(uuid::Uuid::from_u128(99));
        facts.trades.values_mut().next().expect("its trades").0.insert(nobody, trade(true, 0));
        let told = check(&facts).breaches.told().to_vec();
        assert_eq!(told.len(), 2, "{told:?}");
        assert!(told[0].contains("which did not ask for it"), "{told:?}");
        assert!(told[1].contains("received 10, on hand 7, sold to orders 2"), "{told:?}");
        // Nothing is said of a vendor whose orders cannot be read.
        facts.broken.insert(nobody.entity());
        assert_eq!(check(&facts).breaches.count(), 1);
    }
}
