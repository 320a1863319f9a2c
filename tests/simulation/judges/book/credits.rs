//! The book of what is taken back of paid orders: units and amounts that are credited, the refunds that follow, and the pieces that come back.
//! A credit is reckoned again by plain arithmetic, and each refund has an account of its own.

use super::accounts::{Accounts, Bill, Line, Posted, Share, list, note, number, sorted, text};
use serde_json::Value;

/// What a credit took of a share.
#[derive(Debug)]
pub struct Credited {
    pub vendor: String,
    pub amount: i64,
    /// Of what, and how many.
    pub units: Vec<(String, i64)>,
}

/// How a refund stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    Asked,
    /// The provider is at it, or may be.
    Sent,
    GivenBack,
    ByHand,
    Failed,
    /// A dispute took what it would have given.
    Cancelled,
}

/// A part of a payment that is given back.
#[derive(Debug)]
pub struct Part {
    pub vendor: String,
    pub amount: i64,
    pub standing: Standing,
}

impl Part {
    /// What is to be asked for.
    pub fn asked(vendor: &str, asked: &Value) -> Result<(String, Self), String> {
        let (id, amount) = (text(asked, "/id")?, number(asked, "/amount")?);
        Ok((id, Self { vendor: vendor.to_owned(), amount, standing: Standing::Asked }))
    }
}

pub fn may_be_number(of: &Value, at: &str) -> i64 {
    of.pointer(at).and_then(Value::as_i64).unwrap_or(0)
}

impl Bill {
    /// What was credited of one share, or of all.
    pub fn credited(&self, vendor: Option<&str>) -> i64 {
        let own = self.credits.values().filter(|credit| vendor.is_none_or(|vendor| credit.vendor == vendor));
        own.map(|credit| credit.amount).sum()
    }

    /// What was given back of one share, or of all, by whomever.
    pub fn given_back(&self, vendor: Option<&str>) -> i64 {
        let own = self.parts.values().filter(|part| vendor.is_none_or(|vendor| part.vendor == vendor));
        let given_back = own.filter(|part| matches!(part.standing, Standing::GivenBack | Standing::ByHand));
        given_back.map(|part| part.amount).sum()
    }

    /// What disputes took of one share, or of all, and was the order's to lose.
    pub fn lost(&self, vendor: Option<&str>) -> i64 {
        let own = self.lost.iter().filter(|(of, _)| vendor.is_none_or(|vendor| of.as_str() == vendor));
        own.map(|(_, amount)| amount).sum()
    }

    /// What of that the provider gave back.
    pub fn given_back_by_provider(&self) -> i64 {
        let own = self.parts.values().filter(|part| part.standing == Standing::GivenBack);
        own.map(|part| part.amount).sum()
    }

    /// A vendor's lines without the units that are in its stock again: those that were cancelled, and those that came back.
    pub fn left_of(&self, vendor: &str) -> Vec<Line> {
        let own = self.lines.iter().enumerate().filter(|(_, (of, _))| of == vendor);
        let back = |at: usize| self.cancelled(at) + self.goods.piles[at].here;
        let left = own.map(|(at, (_, line))| Line { quantity: line.quantity - back(at), ..line.clone() });
        sorted(left.filter(|line| line.quantity > 0))
    }

    /// Pieces that are to be in a vendor's stock again, without anything being credited for them.
    pub fn comes_back(&mut self, id: String, vendor: &str, mut units: Vec<(String, i64)>, event: &Value) -> Posted {
        units.sort_unstable();
        let back = Credited { vendor: vendor.to_owned(), amount: 0, units };
        note(self.credits.insert(id, back), event)
    }
}

/// So many of so many equal parts of an amount, rounded down.
fn part(amount: i64, parts: i64, of: i64) -> i64 {
    amount * parts / of
}

impl Accounts {
    pub fn credit(&mut self, order: &str, event: &Value) -> Posted {
        let credit = event.get("credit").ok_or_else(|| format!("no credit: {event}"))?;
        let (id, vendor) = (text(credit, "/id")?, text(credit, "/vendor")?);
        let bill = self.bill(order)?;
        if !bill.is_paid() || bill.has_ended || !bill.vendors().contains(&vendor) {
            return Err(format!("{event} of {bill:?}"));
        }
        let shipped = credit.get("shipped").and_then(Value::as_bool).unwrap_or(false);
        let (mut amount, mut units) = (may_be_number(credit, "/besides"), Vec::new());
        for line in list(credit, "/lines")? {
            let sku = text(line, "/sku")?;
            let at = bill.lines.iter().position(|(of, line)| *of == vendor && line.sku == sku);
            let at = at.ok_or_else(|| format!("not of this order: {line}"))?;
            let (payable, quantity) = (bill.payable(at), bill.lines[at].1.quantity);
            let (before, credited) = bill.credited_lines[at];
            let (more, money) = (may_be_number(line, "/units"), may_be_number(line, "/amount"));
            // What was given as an amount is not given again for the units.
            let of_units = part(payable, before + more, quantity) - part(payable, before, quantity);
            let is_right = match more {
                0 => money > 0,
                _ => money == of_units.min(payable - credited),
            };
            if !is_right || more < 0 || before + more > quantity || credited + money > payable {
                return Err(format!("{event}, of {:?} with {:?}", bill.lines[at], bill.credited_lines[at]));
            }
            bill.credited_lines[at] = (before + more, credited + money);
            if shipped {
                bill.goods.piles[at].after += more;
            } else {
                // What is cancelled is unpacked, where it was packed.
                let quantity = bill.lines[at].1.quantity - bill.cancelled(at);
                let pile = &mut bill.goods.piles[at];
                pile.packed = pile.packed.min(quantity - pile.shipped - pile.boxed);
            }
            amount += money;
            if more > 0 {
                units.push((sku, more));
            }
        }
        let besides = bill.besides_credited.entry(vendor.clone()).or_default();
        *besides += may_be_number(credit, "/besides");
        let besides = *besides;
        let has_units = !units.is_empty();
        // What points paid comes back as points: how many, `points.rs` says.
        let has_points = may_be_number(credit, "/points_besides") > 0;
        if may_be_number(credit, "/besides") < 0
            || besides > bill.besides(&vendor)
            || (amount <= 0 && !has_units && !shipped && !has_points)
        {
            return Err(format!("{event} of {bill:?}"));
        }
        // What was not to be paid is not given back; all that was paid is. What was paid at the door may be less.
        let owed_before = (-bill.balance(&vendor)).max(0);
        let asked = match event.get("refund_requested") {
            Some(asked) => {
                let (refund, part) = Part::asked(&vendor, asked)?;
                let more = part.amount;
                note(bill.parts.insert(refund, part), event)?;
                more
            }
            None => 0,
        };
        if let Some(restock) = credit.get("restock") {
            let unit = |line: &Value| Ok::<_, String>((text(line, "/sku")?, number(line, "/quantity")?));
            units = restock.as_array().into_iter().flatten().map(unit).collect::<Result<_, _>>()?;
        }
        for (sku, units) in units.iter().filter(|_| shipped) {
            let at = bill.lines.iter().position(|(of, line)| *of == vendor && line.sku == *sku);
            bill.goods.piles[at.ok_or_else(|| format!("not of this order: {event}"))?].here += units;
        }
        bill.piles_are_wrong(event)?;
        units.sort_unstable();
        // With the last piece goes what is no line's, but for what was handed over.
        let own = |at: &usize| bill.lines[*at].0 == vendor;
        let is_cancelled = |at: usize| bill.cancelled(at) == bill.lines[at].1.quantity;
        let all_left = (0..bill.lines.len()).filter(own).all(is_cancelled);
        note(bill.credits.insert(id, Credited { vendor: vendor.clone(), amount, units }), event)?;
        bill.round_no_more(&vendor);
        let owed = match bill.till.at_door {
            true => (-bill.balance(&vendor)).max(0) - owed_before,
            false => amount,
        };
        if asked != owed || (has_units && all_left && bill.credited(Some(&vendor)) != bill.share(&vendor)) {
            return Err(format!("{event} leaves {bill:?}"));
        }
        Ok(())
    }

    fn turn(&mut self, order: &str, event: &Value, from: &[Standing], to: Standing) -> Posted {
        let refund = text(event, "/refund")?;
        let part = self.bill(order)?.parts.get_mut(&refund).ok_or_else(|| format!("no refund: {event}"))?;
        if !from.contains(&part.standing) {
            return Err(format!("{event} of {part:?}"));
        }
        part.standing = to;
        Ok(())
    }

    /// From now on its provider may have it.
    pub fn send_part(&mut self, order: &str, event: &Value) -> Posted {
        if self.bill(order)?.is_disputed() || self.bill(order)?.till.at_door {
            return Err(format!("{event} while a bank decides whose it is"));
        }
        self.turn(order, event, &[Standing::Asked], Standing::Sent)
    }

    pub fn give_part_back(&mut self, order: &str, event: &Value) -> Posted {
        self.turn(order, event, &[Standing::Sent], Standing::GivenBack)
    }

    pub fn keep_part(&mut self, order: &str, event: &Value) -> Posted {
        self.turn(order, event, &[Standing::Sent, Standing::GivenBack], Standing::Failed)
    }

    pub fn ask_again(&mut self, order: &str, event: &Value) -> Posted {
        self.turn(order, event, &[Standing::Failed], Standing::Asked)
    }

    pub fn give_part_back_by_hand(&mut self, order: &str, event: &Value) -> Posted {
        // What was paid at the door no provider has.
        let from: &[Standing] = match self.bill(order)?.till.at_door {
            true => &[Standing::Asked],
            false => &[Standing::Failed],
        };
        self.turn(order, event, from, Standing::ByHand)
    }

    /// A vendor takes pieces back: once for each credit, and what was credited.
    pub fn restock(&mut self, vendor: &str, event: &Value) -> Posted {
        let (share, credit) = ((vendor.to_owned(), text(event, "/order")?), text(event, "/credit")?);
        let mut back = Vec::new();
        for line in list(event, "/lines")? {
            let (sku, units) = (text(line, "/sku")?, number(line, "/quantity")?);
            let pieces = self.sku(vendor, &sku)?;
            pieces.on_hand += units;
            pieces.sold -= units;
            let sold = self.sold.get_mut(&share).ok_or_else(|| format!("it never sold any: {event}"))?;
            let of = sold.iter_mut().find(|line| line.sku == sku).filter(|line| line.quantity >= units);
            of.ok_or_else(|| format!("more than it sold: {event}"))?.quantity -= units;
            sold.retain(|line| line.quantity > 0);
            back.push((sku, units));
        }
        back.sort_unstable();
        let is_credited = |accounts: &Self, share: &Share, credit: &str| {
            let known = accounts.bills.get(&share.1).and_then(|bill| bill.credits.get(credit));
            let back = accounts.restocked.get(&(share.clone(), credit.to_owned()));
            known.is_some_and(|known| known.vendor == share.0 && Some(&known.units) == back)
        };
        self.claims_of_credits.push((share.clone(), credit.clone(), is_credited, "came back and was not credited so"));
        note(self.restocked.insert((share, credit), back), event)
    }

    /// An order hears that a vendor has taken units back.
    pub fn hear_of_restock(&mut self, order: &str, event: &Value) -> Posted {
        let share = (text(event, "/vendor")?, order.to_owned());
        let is_back = |accounts: &Self, share: &Share, credit: &str| {
            accounts.restocked.contains_key(&(share.clone(), credit.to_owned()))
        };
        for credit in list(event, "/credits")? {
            let credit = credit.as_str().ok_or_else(|| format!("no credit: {event}"))?;
            self.claims_of_credits.push((share.clone(), credit.to_owned(), is_back, "is said to be back and is not"));
            self.heard_back.insert((share.clone(), credit.to_owned()));
        }
        Ok(())
    }

    /// A vendor forgets what it took back, because the orders have heard it.
    pub fn close_credits(&mut self, vendor: &str, event: &Value) -> Posted {
        let is_heard = |accounts: &Self, share: &Share, credit: &str| {
            accounts.heard_back.contains(&(share.clone(), credit.to_owned()))
        };
        for pair in list(event, "/credits")? {
            let share = (vendor.to_owned(), text(pair, "/0")?);
            self.claims_of_credits.push((
                share,
                text(pair, "/1")?,
                is_heard,
                "was forgotten before its order heard it",
            ));
        }
        Ok(())
    }
}
