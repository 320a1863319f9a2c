//! The book's accounts, and what each event does to them. Ids, names and amounts are those of the journal's JSON; nothing here is of
//! the domain.

use super::bill::{Billed, reckoned};
use super::cash::Till;
use super::credits::{Credited, Part};
use super::disputes::Disputed;
use super::goods::{Goods, Pile};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// What a posting says that finds an event wrong.
pub type Posted = Result<(), String>;
/// A vendor's share of an order: the two ids.
pub type Share = (String, String);
/// Something that must hold of a share once the whole batch is posted, and what it says if it does not.
type Claim = (Share, fn(&Accounts, &Share) -> bool, &'static str);

/// The pieces of one SKU.
#[derive(Debug, Default)]
pub struct Pieces {
    pub vendor: String,
    pub price: i64,
    pub received: i64,
    pub on_hand: i64,
    pub held: i64,
    pub sold: i64,
}

/// So many pieces of one SKU, and what one of them costs.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Line {
    pub sku: String,
    pub quantity: i64,
    pub price: i64,
}

impl Line {
    /// Of what, and how many.
    pub fn pieces(&self) -> (&str, i64) {
        (&self.sku, self.quantity)
    }
}

/// What an order costs and what was paid for it.
#[derive(Debug, Default)]
pub struct Bill {
    pub currency: String,
    /// Whose, and what.
    pub lines: Vec<(String, Line)>,
    /// Which of them are at the price of a sale.
    pub on_sale: Vec<bool>,
    /// The vendors of whose holds it has heard.
    pub heard: BTreeSet<String>,
    /// Its coupons with the version of their terms, and what each takes off.
    pub coupons: Vec<(String, i64, i64)>,
    /// What is to be paid where that is more than lines.
    pub billed: Option<Billed>,
    /// Whether its payment was taken, of nothing too.
    pub was_paid: bool,
    pub charged: i64,
    pub refunded: i64,
    pub has_ended: bool,
    /// Whether someone said what became of its money.
    pub by_hand: bool,
    /// Whether codes stood in its cart, or it is to be paid with points.
    pub is_lowered: bool,
    /// Whether it is of one who buys to sell again.
    pub is_wholesale: bool,
    /// Why its buyer pays no tax.
    pub exempt: Option<String>,
    /// Units and money that were credited of each line.
    pub credited_lines: Vec<(i64, i64)>,
    /// Where the pieces of each line are.
    pub goods: Goods,
    /// What of a vendor's shipping and fees was.
    pub besides_credited: BTreeMap<String, i64>,
    /// What was credited, by the credit.
    pub credits: BTreeMap<String, Credited>,
    /// By the refund.
    pub parts: BTreeMap<String, Part>,
    /// By the dispute.
    pub disputes: BTreeMap<String, Disputed>,
    /// What was taken at doors.
    pub till: Till,
    /// What disputes took of each share.
    pub lost: BTreeMap<String, i64>,
    /// What they took of the provider's account, whoever's it was.
    pub taken_by_disputes: i64,
}

impl Bill {
    pub fn total(&self) -> i64 {
        match &self.billed {
            Some(billed) => billed.total(),
            None => (0..self.lines.len()).map(|at| self.payable(at)).sum(),
        }
    }

    /// What is to be paid for this line.
    pub fn payable(&self, at: usize) -> i64 {
        let (_, line) = &self.lines[at];
        self.billed.as_ref().map_or(line.quantity * line.price, |billed| billed.payable[at])
    }

    /// What is to be paid to a vendor, for shipping and fees too.
    pub fn share(&self, vendor: &str) -> i64 {
        let own = (0..self.lines.len()).filter(|at| self.lines[*at].0 == vendor);
        own.map(|at| self.payable(at)).sum::<i64>() + self.besides(vendor)
    }

    /// What of that is no line's.
    pub fn besides(&self, vendor: &str) -> i64 {
        self.billed.as_ref().map_or(0, |billed| billed.besides[vendor])
    }

    pub fn net(&self) -> i64 {
        self.charged - self.refunded
    }

    /// Whether it is paid, or was accepted to be paid at the door.
    pub fn is_paid(&self) -> bool {
        self.was_paid && (self.till.at_door || self.net() == self.total())
    }

    pub fn vendors(&self) -> BTreeSet<&String> {
        self.lines.iter().map(|(vendor, _)| vendor).collect()
    }

    /// A vendor's lines, in the order of their SKUs.
    pub fn lines_of(&self, vendor: &str) -> Vec<Line> {
        sorted(self.lines.iter().filter(|(of, _)| of == vendor).map(|(_, line)| line.clone()))
    }
}

/// So many batches later every cart knows what was said of its owner: the one that it stood in, the one whose records were decided meanwhile, and one
/// more, for records that were too many for that.
const BATCHES_UNTIL_KNOWN: u64 = 3;

/// All accounts.
#[derive(Default)]
pub struct Accounts {
    pub skus: BTreeMap<String, Pieces>,
    pub bills: BTreeMap<String, Bill>,
    pub held: BTreeMap<Share, Vec<Line>>,
    /// What a piece costs in which sale.
    offered: BTreeMap<(String, String), i64>,
    /// The terms on which SKUs are sold.
    terms: BTreeMap<String, Value>,
    /// Customers who ever had wholesale prices.
    wholesale: BTreeSet<String>,
    /// Why customers pay no tax, from which batch on.
    exemptions: BTreeMap<String, Vec<(u64, Option<String>)>>,
    /// Who was ever damaged: what is said of those may not be known.
    pub damaged: BTreeSet<String>,
    /// Batches up to now.
    pub batches: u64,
    /// Whose carts are.
    owners: BTreeMap<String, String>,
    /// Why the buyers of checkouts pay no tax, by the order.
    checkouts: BTreeMap<String, Option<String>>,
    /// What was held for a share when it was held: for anyone, and for those who buy to sell again.
    dear_and_cheap: BTreeMap<Share, [Vec<Line>; 2]>,
    /// The terms of coupons, in the order of their versions.
    coupons: BTreeMap<String, Vec<Value>>,
    ever_held: BTreeMap<Share, Vec<Line>>,
    pub sold: BTreeMap<Share, Vec<Line>>,
    /// Whether there are methods of shipping, or taxes.
    pub has_tables: bool,
    /// Shares of which the order has heard that they were sold.
    heard: BTreeSet<Share>,
    pub claims: Vec<Claim>,
    /// Units that came back to a vendor for a credit of an order.
    pub restocked: BTreeMap<(Share, String), Vec<(String, i64)>>,
    /// Credits of which the order has heard that.
    pub heard_back: BTreeSet<(Share, String)>,
    /// What must hold of a credit of a share once the batch is posted.
    pub claims_of_credits: Vec<(Share, String, OfCredit, &'static str)>,
}

/// Whether something holds of a credit of a share.
pub type OfCredit = fn(&Accounts, &Share, &str) -> bool;

pub fn sorted(lines: impl Iterator<Item = Line>) -> Vec<Line> {
    let mut lines: Vec<Line> = lines.collect();
    lines.sort_unstable();
    lines
}

pub fn text(of: &Value, at: &str) -> Result<String, String> {
    let found = of.pointer(at).and_then(Value::as_str).map(str::to_owned);
    found.ok_or_else(|| format!("no text at {at} of {of}"))
}

/// A text that may be absent.
pub fn may_be_text(of: &Value, at: &str) -> Option<String> {
    of.pointer(at).and_then(Value::as_str).map(str::to_owned)
}

pub fn number(of: &Value, at: &str) -> Result<i64, String> {
    of.pointer(at).and_then(Value::as_i64).ok_or_else(|| format!("no whole number at {at} of {of}"))
}

pub fn list<'a>(of: &'a Value, at: &str) -> Result<&'a Vec<Value>, String> {
    of.pointer(at).and_then(Value::as_array).ok_or_else(|| format!("no list at {at} of {of}"))
}

fn line(of: &Value) -> Result<Line, String> {
    let line = Line { sku: text(of, "/sku")?, quantity: number(of, "/quantity")?, price: number(of, "/unit_price")? };
    let is_sane = line.quantity > 0 && line.price > 0;
    is_sane.then_some(line).ok_or_else(|| format!("pieces or a price that are none: {of}"))
}

fn lines(of: &Value) -> Result<Vec<Line>, String> {
    let lines = list(of, "/lines")?.iter().map(line).collect::<Result<Vec<_>, _>>()?;
    Ok(sorted(lines.into_iter()))
}

/// Notes what must not be there already.
pub fn note<T: std::fmt::Debug>(before: Option<T>, event: &Value) -> Posted {
    before.map_or(Ok(()), |before| Err(format!("there was {before:?} already: {event}")))
}

/// What happens to stock.
impl Accounts {
    pub fn sku(&mut self, vendor: &str, sku: &str) -> Result<&mut Pieces, String> {
        let pieces = self.skus.get_mut(sku).filter(|pieces| pieces.vendor == vendor);
        pieces.ok_or_else(|| format!("{vendor} has no {sku}"))
    }

    pub fn open(&mut self, vendor: &str, event: &Value) -> Posted {
        list(event, "/product/skus")?.iter().try_for_each(|new| self.stock(vendor, new, event))
    }

    pub fn add(&mut self, vendor: &str, event: &Value) -> Posted {
        self.stock(vendor, event.pointer("/sku").unwrap_or(&Value::Null), event)
    }

    fn stock(&mut self, vendor: &str, new: &Value, event: &Value) -> Posted {
        let (pieces, price) = (number(new, "/on_hand")?, number(new, "/price_minor")?);
        let opened = Pieces { vendor: vendor.into(), price, received: pieces, on_hand: pieces, ..Pieces::default() };
        note(self.skus.insert(text(new, "/id")?, opened), event)
    }

    pub fn price(&mut self, vendor: &str, event: &Value) -> Posted {
        self.sku(vendor, &text(event, "/sku")?)?.price = number(event, "/price_minor")?;
        Ok(())
    }

    /// A sale says what pieces cost in it. When that holds is judged in `sales.rs`.
    pub fn offer(&mut self, vendor: &str, event: &Value) -> Posted {
        let sale = text(event, "/sale")?;
        for item in list(event, "/terms/items")? {
            let sku = text(item, "/sku")?;
            self.sku(vendor, &sku)?;
            self.offered.insert((sale.clone(), sku), number(item, "/price_minor")?);
        }
        Ok(())
    }

    /// A SKU is sold on these terms from now on.
    pub fn set_terms(&mut self, vendor: &str, event: &Value) -> Posted {
        let sku = text(event, "/sku")?;
        self.sku(vendor, &sku)?;
        self.terms.insert(sku, event.get("terms").cloned().ok_or_else(|| format!("no terms: {event}"))?);
        Ok(())
    }

    /// A customer has other prices from now on.
    pub fn regroup(&mut self, customer: &str, event: &Value) -> Posted {
        if text(event, "/group")? == "wholesale" {
            self.wholesale.insert(customer.to_owned());
        }
        let exemption = (self.batches, may_be_text(event, "/exempt"));
        self.exemptions.entry(customer.to_owned()).or_default().push(exemption);
        Ok(())
    }

    /// A cart has an owner from its first event on.
    pub fn own(&mut self, cart: &str, event: &Value) -> Posted {
        if let Some(customer) = may_be_text(event, "/owner/customer") {
            self.owners.insert(cart.to_owned(), customer);
        }
        Ok(())
    }

    /// A checkout begins, by what its buyer is then. What was said of the buyer is known to carts once it is durable.
    pub fn begin(&mut self, cart: &str, event: &Value) -> Posted {
        let known = self.batches.saturating_sub(BATCHES_UNTIL_KNOWN);
        let all = self.owners.get(cart).and_then(|customer| self.exemptions.get(customer));
        let all = all.map(Vec::as_slice).unwrap_or_default();
        let before = all.iter().rev().find(|(batch, _)| *batch <= known).and_then(|(_, why)| why.as_ref());
        let since = all.iter().filter(|(batch, _)| *batch > known).map(|(_, why)| why.as_ref());
        let said = may_be_text(event, "/details/buyer/exempt");
        let is_damaged = self.owners.get(cart).is_some_and(|customer| self.damaged.contains(customer));
        if !is_damaged && !since.chain([before]).any(|why| why == said.as_ref()) {
            return Err(format!("{said:?} is not why its owner pays no tax: {all:?} at batch {}", self.batches));
        }
        self.checkouts.insert(text(event, "/order")?, said);
        Ok(())
    }

    /// What a line that is held must cost such a buyer, who takes so many of everything together: the least of what it could.
    fn price_of(&self, held: &Value, list: i64, audience: &str, of_all: i64) -> Result<i64, String> {
        let sku = text(held, "/sku")?;
        let mut price = list;
        if let Some(sale) = held.pointer("/sale").and_then(Value::as_str) {
            let offered = self.offered.get(&(sale.to_owned(), sku.clone()));
            price = price.min(*offered.ok_or_else(|| format!("in no sale: {held}"))?);
        }
        let Some(terms) = self.terms.get(&sku) else { return Ok(price) };
        // A vendor of the town has one product.
        let by_product = terms.get("break_scope").and_then(Value::as_str) == Some("product");
        let counted = if by_product { of_all } else { number(held, "/quantity")? };
        for rung in terms.get("price_breaks").and_then(Value::as_array).into_iter().flatten() {
            let is_theirs = rung.get("audience").and_then(Value::as_str).is_none_or(|of| of == audience);
            if is_theirs && number(rung, "/min_quantity")? <= counted {
                price = price.min(number(rung, "/price_minor")?);
            }
        }
        Ok(price)
    }

    pub fn adjust(&mut self, vendor: &str, event: &Value) -> Posted {
        let (delta, pieces) = (number(event, "/delta")?, self.sku(vendor, &text(event, "/sku")?)?);
        pieces.received += delta;
        pieces.on_hand += delta;
        Ok(())
    }

    pub fn hold(&mut self, vendor: &str, event: &Value) -> Posted {
        let (share, lines) = ((vendor.to_owned(), text(event, "/order")?), lines(event)?);
        let of_all = lines.iter().map(|line| line.quantity).sum();
        let mut prices = [Vec::new(), Vec::new()];
        for held in list(event, "/lines")? {
            let (line, list_price) = (line(held)?, self.sku(vendor, &text(held, "/sku")?)?.price);
            self.sku(vendor, &line.sku)?.held += line.quantity;
            for (prices, audience) in prices.iter_mut().zip(["retail", "wholesale"]) {
                prices.push(Line { price: self.price_of(held, list_price, audience, of_all)?, ..line.clone() });
            }
        }
        self.dear_and_cheap.insert(share.clone(), prices.map(|lines| sorted(lines.into_iter())));
        let is_right = |accounts: &Self, share: &Share| {
            let [dear, cheap] = &accounts.dear_and_cheap[share];
            let is_wholesale = accounts.bills.get(&share.1).is_some_and(|bill| bill.is_wholesale);
            accounts.ever_held.get(share) == Some(if is_wholesale { cheap } else { dear })
        };
        self.claims.push((share.clone(), is_right, "is held at other prices than its buyer has"));
        self.ever_held.insert(share.clone(), lines.clone());
        note(self.held.insert(share, lines), event)
    }

    fn end_hold(&mut self, share: &Share) -> Result<Option<Vec<Line>>, String> {
        let lines = self.held.remove(share);
        for line in lines.iter().flatten() {
            self.sku(&share.0, &line.sku)?.held -= line.quantity;
        }
        Ok(lines)
    }

    pub fn sell(&mut self, vendor: &str, event: &Value) -> Posted {
        let share = (vendor.to_owned(), text(event, "/order")?);
        let lines = self.end_hold(&share)?.ok_or_else(|| format!("sold, and not held: {event}"))?;
        for line in &lines {
            let pieces = self.sku(vendor, &line.sku)?;
            pieces.on_hand -= line.quantity;
            pieces.sold += line.quantity;
        }
        let is_paid = |accounts: &Self, share: &Share| accounts.bills.get(&share.1).is_some_and(Bill::is_paid);
        self.claims.push((share.clone(), is_paid, "was sold and is not paid"));
        note(self.sold.insert(share, lines), event)
    }

    /// A vendor forgets what it sold, because the orders have heard it.
    pub fn close(&mut self, vendor: &str, event: &Value) -> Posted {
        let is_heard = |accounts: &Self, share: &Share| accounts.heard.contains(share);
        for order in list(event, "/orders")? {
            let order = order.as_str().ok_or_else(|| format!("no order: {event}"))?;
            self.claims.push(((vendor.to_owned(), order.to_owned()), is_heard, "was forgotten before it was settled"));
        }
        Ok(())
    }

    pub fn release(&mut self, vendor: &str, event: &Value) -> Posted {
        self.end_hold(&(vendor.to_owned(), text(event, "/order")?)).map(drop)
    }
}

/// What happens to money.
impl Accounts {
    pub fn bill(&mut self, order: &str) -> Result<&mut Bill, String> {
        self.bills.get_mut(order).ok_or_else(|| "it was never placed".to_owned())
    }

    pub fn place(&mut self, order: &str, event: &Value) -> Posted {
        let mut bill = Bill { currency: text(event, "/placement/expected_total/currency")?, ..Bill::default() };
        for placed in list(event, "/placement/lines")? {
            bill.lines.push((text(placed, "/vendor")?, line(placed)?));
            bill.on_sale.push(placed.get("sale").is_some());
            bill.credited_lines.push((0, 0));
            bill.goods.piles.push(Pile::default());
        }
        bill.is_wholesale = event.pointer("/placement/buyer/audience").and_then(Value::as_str) == Some("wholesale");
        let customer = event.pointer("/placement/owner/customer").and_then(Value::as_str);
        if bill.is_wholesale && !customer.is_some_and(|customer| self.wholesale.contains(customer)) {
            return Err(format!("it has prices that its buyer never had: {event}"));
        }
        bill.exempt = may_be_text(event, "/placement/buyer/exempt");
        if self.checkouts.get(order) != Some(&bill.exempt) {
            return Err(format!("it was checked out as {:?}: {event}", self.checkouts.get(order)));
        }
        bill.till.at_door = text(event, "/placement/payment/method")? == "cash_on_delivery";
        bill.is_lowered =
            ["/placement/coupons", "/placement/buyer/points"].iter().any(|at| event.pointer(at).is_some());
        note(self.bills.insert(order.to_owned(), bill), event)
    }

    /// An order hears what a vendor holds for it, at today's prices.
    pub fn take_prices(&mut self, order: &str, event: &Value) -> Posted {
        let vendor = text(event, "/vendor")?;
        // It names what is held at another price than it knew.
        let others = if event.pointer("/lines").is_some() { lines(event)? } else { Vec::new() };
        let on_sale: BTreeMap<String, bool> = match event.pointer("/lines") {
            Some(_) => list(event, "/lines")?
                .iter()
                .map(|held| Ok((text(held, "/sku")?, held.get("sale").is_some())))
                .collect::<Result<_, String>>()?,
            None => BTreeMap::new(),
        };
        let bill = self.bill(order)?;
        for ((_, line), is) in bill.lines.iter().zip(&mut bill.on_sale) {
            *is = on_sale.get(&line.sku).copied().unwrap_or(*is);
        }
        for other in others {
            let of_vendor = |(of, line): &&mut (String, Line)| *of == vendor && line.sku == other.sku;
            let (_, line) = bill.lines.iter_mut().find(of_vendor).ok_or_else(|| format!("not wanted: {event}"))?;
            // Or it is taken from a sale that the order did not know of, at whatever price.
            if line.quantity != other.quantity {
                return Err(format!("{line:?} was wanted: {event}"));
            }
            line.price = other.price;
        }
        bill.heard.insert(vendor.clone());
        let is_held = |accounts: &Self, share: &Share| {
            let wanted = accounts.bills.get(&share.1).map(|bill| bill.lines_of(&share.0));
            accounts.ever_held.get(share) == wanted.as_ref()
        };
        self.claims.push(((vendor, order.to_owned()), is_held, "was told of a hold that is none"));
        Ok(())
    }

    /// An order says what its lines cost.
    pub fn add_up(&mut self, order: &str, said: i64) -> Posted {
        let total = self.bill(order)?.total();
        if said == total { Ok(()) } else { Err(format!("its lines cost {total}, not {said}")) }
    }

    /// The terms of a coupon, from now on.
    pub fn promise(&mut self, coupon: &str, event: &Value) -> Posted {
        let terms = event.pointer("/terms/promotion").ok_or_else(|| format!("no terms: {event}"))?;
        let versions = self.coupons.entry(coupon.to_owned()).or_default();
        versions.push(terms.clone());
        let version = event.get("version").map_or(Ok(1), |_| number(event, "/version"))?;
        if versions.len() as i64 == version { Ok(()) } else { Err(format!("it is no version {version}: {event}")) }
    }

    /// An order says what its coupons take off.
    pub fn take_coupons(&mut self, order: &str, event: &Value) -> Posted {
        for taken in list(event, "/coupons")? {
            let one = (text(taken, "/coupon")?, number(taken, "/version")?, number(taken, "/amount")?);
            self.bill(order)?.coupons.push(one);
        }
        Ok(())
    }

    pub fn priced(&mut self, order: &str, event: &Value) -> Posted {
        let total = number(event, "/total")?;
        let bill = self.bills.get(order).ok_or("it was never placed")?;
        if let Some(said) = event.get("bill") {
            let terms = |(coupon, version, _): &(String, i64, i64)| {
                let versions = self.coupons.get(coupon).map(Vec::as_slice).unwrap_or_default();
                versions.get(*version as usize - 1).cloned().ok_or_else(|| format!("{coupon} has no version {version}"))
            };
            let terms = bill.coupons.iter().map(terms).collect::<Result<Vec<_>, _>>()?;
            let taken: Vec<i64> = bill.coupons.iter().map(|(_, _, amount)| *amount).collect();
            let billed = reckoned(bill, said, &terms, &taken).map_err(|wrong| format!("{wrong}, in {event}"))?;
            self.bill(order)?.billed = Some(billed);
        } else if !bill.coupons.is_empty() {
            return Err(format!("its coupons take nothing off: {event}"));
        }
        self.add_up(order, total)
    }

    /// It would come to another amount. What that is made of, where it is more than lines, stands nowhere.
    pub fn price_differed(&mut self, order: &str, event: &Value) -> Posted {
        let (said, bill) = (number(event, "/actual_total")?, self.bill(order)?);
        if bill.is_lowered || self.has_tables { Ok(()) } else { self.add_up(order, said) }
    }

    pub fn charge(&mut self, order: &str, event: &Value) -> Posted {
        let (amount, bill) = (number(event, "/amount")?, self.bill(order)?);
        bill.charged += amount;
        bill.was_paid = true;
        let is_right = bill.is_paid() && !bill.has_ended;
        if is_right { Ok(()) } else { Err(format!("{event} for {bill:?}")) }
    }

    /// An order hears in one word that money was taken and given back.
    pub fn give_back(&mut self, order: &str, event: &Value) -> Posted {
        let (amount, bill) = (number(event, "/amount")?, self.bill(order)?);
        bill.charged += amount;
        bill.refunded += amount;
        Ok(())
    }

    pub fn resolve(&mut self, order: &str, event: &Value) -> Posted {
        let (verb, bill) = (text(event, "/resolution/as")?, self.bill(order)?);
        bill.by_hand |= verb != "retry";
        Ok(())
    }

    /// An order hears that a vendor has sold its share.
    pub fn hear_of_sale(&mut self, order: &str, event: &Value) -> Posted {
        self.hear((text(event, "/vendor")?, order.to_owned()));
        Ok(())
    }

    /// An order hears that all of its vendors have sold their shares.
    pub fn settle(&mut self, order: &str, _: &Value) -> Posted {
        let vendors: Vec<String> = self.bill(order)?.vendors().into_iter().cloned().collect();
        vendors.into_iter().for_each(|vendor| self.hear((vendor, order.to_owned())));
        Ok(())
    }

    fn hear(&mut self, share: Share) {
        let is_sold = |accounts: &Self, share: &Share| accounts.sold.contains_key(share);
        self.claims.push((share.clone(), is_sold, "was told of a sale that is none"));
        self.heard.insert(share);
    }

    pub fn end(&mut self, order: &str, event: &Value) -> Posted {
        let bill = self.bill(order)?;
        bill.has_ended = true;
        if bill.net() == 0 { Ok(()) } else { Err(format!("{event}, and {} is kept", bill.net())) }
    }
}

impl Accounts {
    /// What of a batch does not fit together, whichever of its frames it stands in.
    pub fn unfounded(&mut self) -> Vec<String> {
        let claims = std::mem::take(&mut self.claims);
        let unfounded = claims.into_iter().filter(|(share, holds, _)| !holds(self, share));
        let mut unfounded: Vec<String> = unfounded.map(|(share, _, what)| format!("{share:?} {what}")).collect();
        let claims = std::mem::take(&mut self.claims_of_credits);
        let wrong = claims.into_iter().filter(|(share, credit, holds, _)| !holds(self, share, credit));
        unfounded.extend(wrong.map(|(share, credit, _, what)| format!("{credit} of {share:?} {what}")));
        unfounded
    }
}
