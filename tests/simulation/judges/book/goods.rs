//! The book of goods: where the pieces of paid orders are that were packed, put into parcels, handed over, accepted or not, and sent back. Every event
//! is entered by plain counting; none may move a piece that is not where the event takes it from.

use super::accounts::{Accounts, Bill, Posted, list, note, number, text};
use haat::domain::ids::{CreditId, ShipmentId};
use serde_json::Value;
use std::collections::BTreeMap;

/// Where the pieces of one line are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pile {
    pub packed: i64,
    pub boxed: i64,
    pub shipped: i64,
    pub accepted: i64,
    pub refused: i64,
    pub lost: i64,
    pub sent_back: i64,
    /// Credited after they were handed over.
    pub after: i64,
    /// In stock again after they were handed over.
    pub here: i64,
}

/// A parcel.
#[derive(Debug)]
pub struct Parcel {
    vendor: String,
    status: &'static str,
    lines: Vec<(String, i64)>,
    /// What of it was not accepted, and has not come back.
    coming_back: Vec<(String, i64)>,
    /// What of it was.
    accepted: Vec<(String, i64)>,
}

/// A return.
#[derive(Debug)]
pub struct Slip {
    vendor: String,
    status: &'static str,
    lines: Vec<(String, i64)>,
}

/// The goods of one order.
#[derive(Debug, Default)]
pub struct Goods {
    pub piles: Vec<Pile>,
    parcels: BTreeMap<String, Parcel>,
    slips: BTreeMap<String, Slip>,
    /// Shares that somebody has stopped.
    stopped: Vec<String>,
}

fn units(of: &Value, at: &str) -> Result<Vec<(String, i64)>, String> {
    let unit = |line: &Value| Ok::<_, String>((text(line, "/sku")?, number(line, "/quantity")?));
    let units: Vec<(String, i64)> = list(of, at)?.iter().map(unit).collect::<Result<_, _>>()?;
    let is_sane = units.iter().all(|(_, units)| *units > 0);
    if is_sane { Ok(units) } else { Err(format!("pieces that are none: {of}")) }
}

impl Bill {
    fn at(&self, vendor: &str, sku: &str) -> Result<usize, String> {
        let at = self.lines.iter().position(|(of, line)| of == vendor && line.sku == sku);
        at.ok_or_else(|| format!("{vendor} has no share with {sku}"))
    }

    /// Pieces of a line that were cancelled before they left.
    pub fn cancelled(&self, at: usize) -> i64 {
        self.credited_lines[at].0 - self.goods.piles[at].after
    }

    /// Changes the piles of some lines; then every piece must be somewhere, and only once.
    fn pile(&mut self, vendor: &str, lines: &[(String, i64)], change: impl Fn(&mut Pile, i64)) -> Posted {
        for (sku, units) in lines {
            let at = self.at(vendor, sku)?;
            change(&mut self.goods.piles[at], *units);
        }
        Ok(())
    }

    /// What of the piles cannot be.
    pub fn piles_are_wrong(&self, event: &Value) -> Posted {
        for (at, pile) in self.goods.piles.iter().enumerate() {
            let Pile { packed, boxed, shipped, accepted, refused, lost, sent_back, after, here } = *pile;
            let counts = [packed, boxed, shipped, accepted, refused, lost, sent_back, after, here];
            let is_sane = counts.iter().all(|count| *count >= 0)
                && packed + boxed + shipped + self.cancelled(at) <= self.lines[at].1.quantity
                && accepted + refused + lost <= shipped
                && sent_back <= accepted
                && refused + sent_back <= after
                && after <= shipped
                && here <= shipped;
            if !is_sane {
                return Err(format!("{event} leaves {pile:?} of {:?}", self.lines[at]));
            }
        }
        Ok(())
    }

    /// Whether these are all pieces of a share that have not left, and no parcel of it is on its way.
    fn is_all_left(&self, vendor: &str, lines: &[(String, i64)]) -> bool {
        let of = |sku: &str| -> i64 { lines.iter().filter(|(of, _)| of == sku).map(|(_, units)| units).sum() };
        let left = |at: usize| self.lines[at].1.quantity - self.cancelled(at) - self.goods.piles[at].shipped;
        let own = (0..self.lines.len()).filter(|at| self.lines[*at].0 == vendor);
        let is_live = |parcel: &Parcel| parcel.vendor == vendor && matches!(parcel.status, "inside" | "out");
        let all = own.into_iter().all(|at| of(&self.lines[at].1.sku) == left(at));
        all && !self.goods.parcels.values().any(is_live)
    }

    fn may_move(&self, vendor: &str, event: &Value) -> Posted {
        let stopped = self.goods.stopped.iter().any(|of| of == vendor);
        if !self.is_paid() || self.has_ended || stopped { Err(format!("{event} of {self:?}")) } else { Ok(()) }
    }
}

impl Accounts {
    pub fn pack(&mut self, order: &str, event: &Value) -> Posted {
        let (bill, vendor) = (self.bill(order)?, text(event, "/vendor")?);
        bill.may_move(&vendor, event)?;
        bill.pile(&vendor, &units(event, "/lines")?, |pile, units| pile.packed += units)?;
        bill.piles_are_wrong(event)
    }

    pub fn unpack(&mut self, order: &str, event: &Value) -> Posted {
        let (bill, vendor) = (self.bill(order)?, text(event, "/vendor")?);
        bill.pile(&vendor, &units(event, "/lines")?, |pile, units| pile.packed -= units)?;
        bill.piles_are_wrong(event)
    }

    pub fn stop(&mut self, order: &str, event: &Value) -> Posted {
        self.go_on(order, event)?;
        let vendor = text(event, "/vendor")?;
        self.bill(order)?.goods.stopped.push(vendor);
        Ok(())
    }

    pub fn go_on(&mut self, order: &str, event: &Value) -> Posted {
        let vendor = text(event, "/vendor")?;
        self.bill(order)?.goods.stopped.retain(|of| *of != vendor);
        Ok(())
    }

    pub fn make_parcel(&mut self, order: &str, event: &Value) -> Posted {
        let bill = self.bill(order)?;
        let (id, vendor) = (text(event, "/parcel/id")?, text(event, "/parcel/vendor")?);
        bill.may_move(&vendor, event)?;
        let lines = units(event, "/parcel/lines")?;
        if bill.till.at_door && !bill.is_all_left(&vendor, &lines) {
            return Err(format!("what is paid at the door goes out at once: {event} of {bill:?}"));
        }
        bill.pile(&vendor, &lines, |pile, units| {
            pile.packed -= units.min(pile.packed);
            pile.boxed += units;
        })?;
        let parcel = Parcel { vendor, status: "inside", lines, coming_back: Vec::new(), accepted: Vec::new() };
        note(bill.goods.parcels.insert(id, parcel), event)?;
        bill.piles_are_wrong(event)
    }

    pub fn move_parcel(&mut self, order: &str, event: &Value) -> Posted {
        let (id, step) = (text(event, "/shipment")?, text(event, "/step")?);
        let bill = self.bill(order)?;
        let mut parcel = bill.goods.parcels.remove(&id).ok_or_else(|| format!("no parcel: {event}"))?;
        let (vendor, lines) = (parcel.vendor.clone(), parcel.lines.clone());
        let from = parcel.status;
        // What is said and asked moves nothing.
        if ["booked", "booking_refused", "ask_cancel", "cancel_refused", "astray"].contains(&step.as_str()) {
            bill.goods.parcels.insert(id, parcel);
            return Ok(());
        }
        let may: &[&str] = match step.as_str() {
            "hand_over" | "cancel" => &["inside"],
            "deliver" => &["out", "lost"],
            "returned" => &["out", "lost", "arrived"],
            "lost" => &["out"],
            "correct" => &["arrived", "lost"],
            _ => &[],
        };
        if !may.contains(&from) {
            return Err(format!("{event} of {parcel:?}"));
        }
        if step == "correct" {
            return self.correct_parcel(order, &id, parcel, event);
        }
        if from == "lost" {
            bill.pile(&vendor, &lines, |pile, units| pile.lost -= units)?;
        }
        match step.as_str() {
            "hand_over" => {
                // A courier fetches also what was stopped.
                if event.get("by").is_some() {
                    bill.may_move(&vendor, event)?;
                }
                parcel.status = "out";
                bill.pile(&vendor, &lines, |pile, units| {
                    pile.boxed -= units;
                    pile.shipped += units;
                })?;
            }
            "cancel" => {
                parcel.status = "unpacked";
                bill.pile(&vendor, &lines, |pile, units| {
                    pile.boxed -= units;
                    pile.packed += units;
                })?;
            }
            "lost" => {
                parcel.status = "lost";
                bill.pile(&vendor, &lines, |pile, units| pile.lost += units)?;
            }
            "deliver" => {
                parcel.status = "arrived";
                let accepted = match event.get("accepted") {
                    Some(_) => units(event, "/accepted")?,
                    None => lines.clone(),
                };
                let of = |lines: &[(String, i64)], sku: &str| -> i64 {
                    lines.iter().filter(|(of, _)| of == sku).map(|(_, units)| units).sum()
                };
                let rest = lines.iter().map(|(sku, units)| (sku.clone(), units - of(&accepted, sku)));
                parcel.coming_back = rest.filter(|(_, units)| *units != 0).collect();
                bill.pile(&vendor, &accepted, |pile, units| pile.accepted += units)?;
                parcel.accepted = accepted.into_iter().filter(|(_, units)| *units > 0).collect();
                bill.pile(&vendor, &parcel.coming_back, |pile, units| pile.refused += units)?;
            }
            _ => {
                if from != "arrived" {
                    parcel.coming_back.clone_from(&lines);
                    bill.pile(&vendor, &lines, |pile, units| pile.refused += units)?;
                }
                if parcel.coming_back.is_empty() {
                    return Err(format!("nothing of it comes back: {event}"));
                }
                parcel.status = if from == "arrived" { "arrived" } else { "back" };
                let mut back = Vec::new();
                for (sku, units) in std::mem::take(&mut parcel.coming_back) {
                    let at = bill.at(&vendor, &sku)?;
                    let pile = &mut bill.goods.piles[at];
                    let units = units.min(pile.shipped - pile.here);
                    pile.here += units;
                    back.extend((units > 0).then_some((sku, units)));
                }
                let shipment: ShipmentId = id.parse().map_err(|_| format!("no parcel: {event}"))?;
                bill.comes_back(CreditId::of_shipment(shipment).to_string(), &vendor, back, event)?;
            }
        }
        bill.goods.parcels.insert(id, parcel);
        bill.piles_are_wrong(event)
    }

    /// Nothing of a correction is taken back: it says where the pieces are, and what came back is in stock as far as it was not before.
    fn correct_parcel(&mut self, order: &str, id: &str, mut parcel: Parcel, event: &Value) -> Posted {
        let (to, bill) = (text(event, "/to")?, self.bill(order)?);
        let (vendor, lines) = (parcel.vendor.clone(), parcel.lines.clone());
        let was_lost = parcel.status == "lost";
        let came = if was_lost { lines.clone() } else { parcel.accepted.clone() };
        if came.is_empty() || (to != "returned" && came != lines) {
            return Err(format!("{event} of {parcel:?}"));
        }
        bill.pile(&vendor, &came, |pile, units| match was_lost {
            true => pile.lost -= units,
            false => pile.accepted -= units,
        })?;
        parcel.accepted = Vec::new();
        match to.as_str() {
            "delivered" => {
                (parcel.status, parcel.accepted) = ("arrived", lines.clone());
                bill.pile(&vendor, &lines, |pile, units| pile.accepted += units)?;
            }
            "lost" => {
                parcel.status = "lost";
                bill.pile(&vendor, &lines, |pile, units| pile.lost += units)?;
            }
            _ => {
                parcel.status = "back";
                bill.pile(&vendor, &came, |pile, units| pile.refused += units)?;
                let mut back = Vec::new();
                for (sku, _) in &lines {
                    let of = |lines: &[(String, i64)]| {
                        lines.iter().filter(|(of, _)| of == sku).map(|(_, units)| *units).sum::<i64>()
                    };
                    let units = of(&came) + of(&parcel.coming_back);
                    let at = bill.at(&vendor, sku)?;
                    let pile = &mut bill.goods.piles[at];
                    let units = units.min(pile.shipped - pile.here);
                    pile.here += units;
                    back.extend((units > 0).then(|| (sku.clone(), units)));
                }
                parcel.coming_back = Vec::new();
                let shipment: ShipmentId = id.parse().map_err(|_| format!("no parcel: {event}"))?;
                bill.comes_back(CreditId::of_correction(shipment).to_string(), &vendor, back, event)?;
            }
        }
        bill.goods.parcels.insert(id.to_owned(), parcel);
        bill.piles_are_wrong(event)
    }

    pub fn ask_return(&mut self, order: &str, event: &Value) -> Posted {
        let (id, vendor) = (text(event, "/wanted/id")?, text(event, "/wanted/vendor")?);
        let bill = self.bill(order)?;
        let lines = units(event, "/wanted/lines")?;
        for (sku, units) in &lines {
            let at = bill.at(&vendor, sku)?;
            let own = bill.goods.slips.values().filter(|slip| slip.vendor == vendor && slip.status != "over");
            let asked = own.flat_map(|slip| &slip.lines).filter(|(of, _)| of == sku);
            let asked: i64 = asked.map(|(_, units)| units).sum();
            if asked + units > bill.goods.piles[at].accepted {
                return Err(format!("more than arrived: {event}, {:?}", bill.goods));
            }
        }
        note(bill.goods.slips.insert(id, Slip { vendor, status: "asked", lines }), event)
    }

    pub fn move_return(&mut self, order: &str, event: &Value) -> Posted {
        let (id, step) = (text(event, "/id")?, text(event, "/step")?);
        let bill = self.bill(order)?;
        let mut slip = bill.goods.slips.remove(&id).ok_or_else(|| format!("no return: {event}"))?;
        let (may, to): (&[&str], _) = match step.as_str() {
            "approve" => (&["asked"], "allowed"),
            "deny" | "cancel" => (&["asked", "allowed"], "over"),
            "receive" => (&["allowed"], "came"),
            "close" => (&["came"], "closed"),
            _ => (&[], ""),
        };
        if !may.contains(&slip.status) {
            return Err(format!("{event} of {slip:?}"));
        }
        slip.status = to;
        if step == "receive" {
            let mut came: BTreeMap<String, i64> = BTreeMap::new();
            for line in list(event, "/lines")? {
                if text(line, "/condition")? != "missing" {
                    *came.entry(text(line, "/sku")?).or_default() += number(line, "/quantity")?;
                }
            }
            for (sku, units) in &came {
                let asked = slip.lines.iter().find(|(of, _)| of == sku).map_or(0, |(_, units)| *units);
                if *units > asked {
                    return Err(format!("more than was asked for: {event}"));
                }
            }
            slip.lines = came.into_iter().collect();
            let (vendor, lines) = (slip.vendor.clone(), slip.lines.clone());
            bill.pile(&vendor, &lines, |pile, units| pile.sent_back += units)?;
        }
        bill.goods.slips.insert(id, slip);
        bill.piles_are_wrong(event)
    }
}
