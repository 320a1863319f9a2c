//! What an order comes to, reckoned again: lines, what coupons take off them by their terms, shipping, fees and taxes, by plain arithmetic over
//! the bill that stands in the journal. Nothing of it is of the domain.

use super::accounts::{Bill, list, may_be_text, number, text};
use serde_json::Value;
use std::collections::BTreeMap;

/// Hundredths of a percent in the whole, and thousandths.
const WHOLE_BASIS_POINTS: i64 = 10_000;
const WHOLE_MILLI_PERCENT: i64 = 100_000;

/// What is to be paid by a bill.
#[derive(Debug, Default)]
pub struct Billed {
    /// For each line.
    pub payable: Vec<i64>,
    /// By vendor, for shipping and fees.
    pub besides: BTreeMap<String, i64>,
}

impl Billed {
    pub fn total(&self) -> i64 {
        self.payable.iter().chain(self.besides.values()).sum()
    }
}

/// A number that may be absent: then it is 0.
fn may_be(of: &Value, at: &str) -> i64 {
    of.pointer(at).and_then(Value::as_i64).unwrap_or(0)
}

fn may_be_list<'a>(of: &'a Value, at: &str) -> &'a [Value] {
    of.pointer(at).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn same<T: PartialEq + std::fmt::Debug>(what: &str, is: T, should: T) -> Result<(), String> {
    if is == should { Ok(()) } else { Err(format!("{what}: {is:?}, and by the book {should:?}")) }
}

/// The part of a whole, rounded half up.
fn part(amount: i64, of: i64, whole: i64) -> i64 {
    (2 * amount * of + whole) / (2 * whole)
}

/// What each code takes off each of these parts of the bill, which must be sane.
fn discounts(of: &Value, at: &str, codes: usize) -> Result<Vec<i64>, String> {
    let mut by_code = vec![0; codes];
    for discount in may_be_list(of, at) {
        let (code, amount, platform) =
            (may_be(discount, "/code") as usize, number(discount, "/amount")?, may_be(discount, "/platform"));
        if amount <= 0 || !(0..=amount).contains(&platform) {
            return Err(format!("a discount that is none: {discount}"));
        }
        *by_code.get_mut(code).ok_or_else(|| format!("of no code: {discount}"))? += amount;
    }
    Ok(by_code)
}

/// Whether a promotion is about a line.
fn covers(promotion: &Value, bill: &Bill, line: usize) -> bool {
    let (vendor, own) = &bill.lines[line];
    let names = |at: &str, what: &str| {
        let list = may_be_list(promotion, at);
        list.is_empty() || list.iter().any(|named| named.as_str() == Some(what))
    };
    let leaves_out = promotion.pointer("/excludes_sale_items").and_then(Value::as_bool) == Some(true);
    // Nothing in the town has a category.
    names("/scope/vendors", vendor)
        && names("/scope/skus", &own.sku)
        && may_be_list(promotion, "/scope/categories").is_empty()
        && !(leaves_out && bill.on_sale[line])
}

/// What a promotion must take off lines of which this remains.
fn taken_off(promotion: &Value, base: i64) -> Result<i64, String> {
    match text(promotion, "/kind")?.as_str() {
        "percent" => {
            let most = promotion.pointer("/max_discount/minor").and_then(Value::as_i64).unwrap_or(i64::MAX);
            Ok(part(base, number(promotion, "/basis_points")?, WHOLE_BASIS_POINTS).min(most))
        }
        "amount" => Ok(number(promotion, "/amount/minor")?.min(base)),
        other => Err(format!("{other} takes nothing off lines")),
    }
}

/// Reckons a bill again. `terms` are those of its coupons, in the order of its codes.
pub fn reckoned(bill: &Bill, said: &Value, terms: &[Value], taken: &[i64]) -> Result<Billed, String> {
    let included = said.pointer("/prices_include_tax").and_then(Value::as_bool).ok_or("no prices_include_tax")?;
    let codes = may_be_list(said, "/codes").len();
    same("codes", codes, terms.len())?;
    let (lines, shares) = (list(said, "/lines")?, list(said, "/shares")?);
    same("lines of the bill", lines.len(), bill.lines.len())?;
    let mut billed = Billed::default();
    let mut by_code = vec![0; codes];
    // What of each line each code took off.
    let mut of_lines = Vec::new();
    let mut discounted = Vec::new();
    for (line, (vendor, own)) in lines.iter().zip(&bill.lines) {
        same("a vendor", text(line, "/vendor")?, vendor.clone())?;
        let total = own.quantity * own.price;
        same("a line's total", number(line, "/total")?, total)?;
        let off = discounts(line, "/discounts", codes)?;
        let left = total - off.iter().sum::<i64>();
        let tax = may_be(line, "/tax/amount");
        let payable = left + if included { 0 } else { tax } - may_be(line, "/points");
        same("what is to be paid for a line", number(line, "/payable")?, payable)?;
        if left < 0 || tax < 0 || payable < 0 {
            return Err(format!("less than nothing: {line}"));
        }
        by_code.iter_mut().zip(&off).for_each(|(sum, off)| *sum += off);
        discounted.push(left);
        of_lines.push(off);
        billed.payable.push(payable);
    }
    lowered_rightly(bill, terms, &of_lines)?;
    for share in shares {
        let vendor = text(share, "/vendor")?;
        let off = discounts(share, "/shipping_discounts", codes)?;
        by_code.iter_mut().zip(&off).for_each(|(sum, off)| *sum += off);
        let own = |of: &(usize, &i64)| bill.lines[of.0].0 == vendor;
        let (shipping, fees) = (may_be(share, "/shipping"), may_be(share, "/fees"));
        let (shipping_tax, fees_tax) = (may_be(share, "/shipping_tax"), may_be(share, "/fees_tax"));
        for (at, promotion) in terms.iter().enumerate() {
            let is_free = text(promotion, "/kind")? == "free_shipping"
                && (0..lines.len()).any(|line| bill.lines[line].0 == vendor && covers(promotion, bill, line));
            if (is_free && shipping != 0) || (!is_free && off[at] != 0) {
                return Err(format!("its shipping is lowered wrongly: {share}"));
            }
        }
        // All of the share is in one of its groups, or none of it is taxed.
        let groups = may_be_list(share, "/tax_groups");
        let (mut taxed, mut taxes) = (0, 0);
        for group in groups {
            let (base, tax) = (number(group, "/base")?, number(group, "/amount")?);
            let rate = number(group, "/rate_milli_percent")?;
            let should = match included {
                true => part(base + tax, rate, WHOLE_MILLI_PERCENT + rate),
                false => part(base, rate, WHOLE_MILLI_PERCENT),
            };
            same("a tax", tax, should)?;
            // Who is exempt pays none, and is told why; nobody else is told so.
            let why = may_be_text(group, "/reason").filter(|why| why.starts_with("exempt_"));
            same("why there is no tax", why, bill.exempt.as_ref().map(|why| format!("exempt_{why}")))?;
            if bill.exempt.is_some() {
                same("the rate of who is exempt", rate, 0)?;
            }
            taxed += if included { base + tax } else { base };
            taxes += tax;
        }
        let goods: i64 = discounted.iter().enumerate().filter(own).map(|(_, left)| left).sum();
        if !groups.is_empty() {
            same("what is taxed", taxed, goods + shipping + fees)?;
        }
        let of_lines: i64 =
            lines.iter().filter(|line| line["vendor"] == vendor.as_str()).map(|line| may_be(line, "/tax/amount")).sum();
        same("taxes of lines, shipping and fees", of_lines + shipping_tax + fees_tax, taxes)?;
        let on_top = if included { 0 } else { shipping_tax + fees_tax };
        let points = may_be(share, "/shipping_points") + may_be(share, "/fees_points");
        let besides = shipping + fees + on_top - points;
        let payable: i64 = billed.payable.iter().enumerate().filter(own).map(|(_, payable)| payable).sum();
        same("a share's total", number(share, "/total")?, payable + besides)?;
        if shipping < 0 || fees < 0 || billed.besides.insert(vendor, besides).is_some() {
            return Err(format!("a share that is none: {share}"));
        }
    }
    same("shares", billed.besides.keys().collect::<Vec<_>>(), bill.vendors().into_iter().collect())?;
    same("what coupons take off", by_code.as_slice(), taken)?;
    Ok(billed)
}

/// Each code took off the lines that it is about what its terms say of what those before it left: those of items first.
fn lowered_rightly(bill: &Bill, terms: &[Value], of_lines: &[Vec<i64>]) -> Result<(), String> {
    let mut left: Vec<i64> = bill.lines.iter().map(|(_, line)| line.quantity * line.price).collect();
    let is_of_items = |promotion: &Value| {
        ["/scope/vendors", "/scope/skus", "/scope/categories"].iter().any(|at| !may_be_list(promotion, at).is_empty())
    };
    for items in [true, false] {
        for (at, promotion) in terms.iter().enumerate().filter(|(_, promotion)| is_of_items(promotion) == items) {
            let off: Vec<i64> = of_lines.iter().map(|off| off[at]).collect();
            if text(promotion, "/kind")? == "free_shipping" {
                same("free shipping takes off lines", off.iter().sum(), 0i64)?;
                continue;
            }
            let covered: Vec<bool> = (0..left.len()).map(|line| covers(promotion, bill, line)).collect();
            let base = left.iter().zip(&covered).filter(|(_, covered)| **covered).map(|(left, _)| left).sum();
            same("what a coupon takes off", off.iter().sum(), taken_off(promotion, base)?)?;
            let strange = off.iter().zip(&covered).any(|(off, covered)| *off > 0 && !covered);
            left.iter_mut().zip(&off).for_each(|(left, off)| *left -= off);
            if strange || left.iter().any(|left| *left < 0) {
                return Err(format!("it lowers what it is not about, or too much: {promotion}"));
            }
        }
    }
    Ok(())
}
