//! The bill: what an order comes to, by one order of operations. Once it is made nothing of it is evaluated again.
//!
//! 1. a line's total: unit price × quantity, as its vendor holds it;
//! 2. promotions of items, then of the whole order, each on what the ones before it left;
//! 3. shipping and fees per share, and promotions of shipping;
//! 4. taxes per share and rate, on all of that;
//! 5. points, which pay and lower no price.
//!
//! Every split follows the order of the lines; shares stand in the order of their first lines.

use super::discount::{Discountable, NotApplicable, discount, discount_of};
use super::promotion::{Promotion, PromotionKind};
use super::shipping::{Destination, Parcel, PreparedMethod, ShippingMethod, ShippingTables, Target};
use super::tax::{PreparedTaxes, STANDARD, ShippingTax, TaxRate, tax_of};
use super::{fits, sum};
use crate::domain::buyer::Exemption;
use crate::domain::ids::{CategoryId, ShippingMethodId, SkuId, VendorId};
use crate::domain::money::{Currency, split};
use crate::domain::order::NoCash;
use crate::domain::reject::Reject;
use crate::domain::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// A line that is to be paid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Good<'a> {
    /// The SKU.
    pub sku: SkuId,
    /// Who sells it.
    pub vendor: VendorId,
    /// Pieces.
    pub quantity: i64,
    /// The price of one, in minor units.
    pub unit_price: i64,
    /// Whether that is the price of a sale.
    pub is_on_sale: bool,
    /// The category of its product, where that is one of the tree.
    pub category: Option<CategoryId>,
    /// What one weighs, in grams.
    pub grams: i64,
    /// What it is taxed as.
    pub tax_category: Cow<'a, str>,
}

/// A promotion, and the code by which it came.
#[derive(Clone, Copy, Debug)]
pub struct AppliedPromotion<'a> {
    /// The code.
    pub code: &'a str,
    /// Its terms.
    pub promotion: &'a Promotion,
}

/// Everything a bill is made of.
#[derive(Clone, Copy, Debug)]
pub struct Basket<'a> {
    /// The currency of all amounts.
    pub currency: Currency,
    /// The lines, in the cart's order.
    pub goods: &'a [Good<'a>],
    /// Promotions, in the order in which their codes were put.
    pub promotions: &'a [AppliedPromotion<'a>],
    /// The methods of all vendors.
    pub shipping: &'a ShippingTables,
    /// The methods that were chosen; for another vendor the cheapest, the first among equals.
    pub chosen: &'a [(VendorId, ShippingMethodId)],
    /// Where to.
    pub to: Destination<'a>,
    /// Whether it is to be paid on delivery.
    pub on_delivery: bool,
    /// The rates; none in a shop that taxes nothing.
    pub tax: Option<&'a PreparedTaxes>,
    /// Why the buyer pays no tax; none of one who does.
    pub exempt: Option<Exemption>,
    /// When the order was placed, which decides the rates.
    pub placed_at: Timestamp,
    /// With how many points the buyer wants to pay; with fewer where there is less to pay.
    pub points: i64,
    /// What one of them pays, in minor units; 0 where none do.
    pub point_value: i64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
fn is_zero(number: &i64) -> bool {
    *number == 0
}

/// What one promotion took off a line, or off a share's shipping.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LineDiscount {
    /// Which: its place in [`Bill::codes`].
    pub code: usize,
    /// How much, in minor units.
    pub amount: i64,
    /// What of that the platform pays.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub platform: i64,
}

/// How a line is taxed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LineTax {
    /// As what.
    pub category: String,
    /// By which rate: its place in the share's [`BillShare::tax_groups`].
    pub group: usize,
    /// The tax, in minor units.
    pub amount: i64,
}

/// What a line comes to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BillLine {
    /// Who sells it.
    pub vendor: VendorId,
    /// unit price × quantity.
    pub total: i64,
    /// What promotions took off that.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub discounts: Vec<LineDiscount>,
    /// Its tax; none in a shop that taxes nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tax: Option<LineTax>,
    /// What points pay of it.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub points: i64,
    /// What is to be paid for it with money.
    pub payable: i64,
}

/// Everything in a share that has one rate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaxGroup {
    /// Thousandths of a percent.
    pub rate_milli_percent: u32,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What is taxed, without the tax.
    pub base: i64,
    /// The tax.
    pub amount: i64,
}

/// What a vendor's share comes to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BillShare {
    /// Whose.
    pub vendor: VendorId,
    /// How it is shipped; none for a vendor that ships everywhere for nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<ShippingMethodId>,
    /// What shipping costs, after promotions.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub shipping: i64,
    /// What promotions took off it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shipping_discounts: Vec<LineDiscount>,
    /// The tax on it.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub shipping_tax: i64,
    /// What points pay of it.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub shipping_points: i64,
    /// What paying on delivery costs.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub fees: i64,
    /// The tax on that.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub fees_tax: i64,
    /// What points pay of it.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub fees_points: i64,
    /// Its rates, in the order of their first lines.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tax_groups: Vec<TaxGroup>,
    /// What is to be paid for all of it with money.
    pub total: i64,
}

/// What an order comes to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bill {
    /// The codes of its promotions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub codes: Vec<String>,
    /// Whether prices were shown with the tax. So also in a shop that taxes nothing: no tax comes on top.
    pub prices_include_tax: bool,
    /// In the cart's order.
    pub lines: Vec<BillLine>,
    /// In the order of their first lines.
    pub shares: Vec<BillShare>,
}

fn amounts(discounts: &[LineDiscount]) -> i64 {
    discounts.iter().map(|discount| discount.amount).fold(0, i64::saturating_add)
}

fn platform(discounts: &[LineDiscount]) -> i64 {
    discounts.iter().map(|discount| discount.platform).fold(0, i64::saturating_add)
}

impl BillLine {
    /// What promotions took off it.
    pub fn discount(&self) -> i64 {
        amounts(&self.discounts)
    }

    /// What of that the platform pays.
    pub fn platform(&self) -> i64 {
        platform(&self.discounts)
    }

    /// What it comes to after discounts, as prices are shown.
    pub fn discounted(&self) -> i64 {
        self.total.saturating_sub(self.discount())
    }

    /// The tax on it.
    pub fn tax_amount(&self) -> i64 {
        self.tax.as_ref().map_or(0, |tax| tax.amount)
    }

    fn is_wrong(&self, prices_include_tax: bool) -> bool {
        let on_top = if prices_include_tax { 0 } else { self.tax_amount() };
        let given = i128::from(self.total) + i128::from(on_top);
        let figures = [self.total, self.tax_amount(), self.points, self.payable, self.discounted()];
        let parts = self.discounts.iter().any(|part| part.amount < 0 || !(0..=part.amount).contains(&part.platform));
        parts
            || figures.into_iter().any(|figure| figure < 0)
            || given != i128::from(self.discount()) + i128::from(self.points) + i128::from(self.payable)
    }
}

impl BillShare {
    fn new(vendor: VendorId) -> Self {
        Self {
            vendor,
            method: None,
            shipping: 0,
            shipping_discounts: Vec::new(),
            shipping_tax: 0,
            shipping_points: 0,
            fees: 0,
            fees_tax: 0,
            fees_points: 0,
            tax_groups: Vec::new(),
            total: 0,
        }
    }

    /// What promotions took off its shipping.
    pub fn shipping_discount(&self) -> i64 {
        amounts(&self.shipping_discounts)
    }

    /// What of that the platform pays.
    pub fn shipping_platform(&self) -> i64 {
        platform(&self.shipping_discounts)
    }

    /// All of its tax.
    pub fn tax(&self) -> i64 {
        self.tax_groups.iter().map(|group| group.amount).fold(0, i64::saturating_add)
    }

    /// What is to be paid for its shipping with money.
    pub fn shipping_payable(&self, prices_include_tax: bool) -> i64 {
        let on_top = if prices_include_tax { 0 } else { self.shipping_tax };
        self.shipping.saturating_add(on_top).saturating_sub(self.shipping_points)
    }

    /// What is to be paid for its fees with money.
    pub fn fees_payable(&self, prices_include_tax: bool) -> i64 {
        let on_top = if prices_include_tax { 0 } else { self.fees_tax };
        self.fees.saturating_add(on_top).saturating_sub(self.fees_points)
    }

    /// What is to be paid beside its lines.
    pub fn besides(&self, prices_include_tax: bool) -> i64 {
        self.shipping_payable(prices_include_tax).saturating_add(self.fees_payable(prices_include_tax))
    }
}

impl Bill {
    /// What is to be paid with money.
    pub fn total(&self) -> i64 {
        self.shares.iter().map(|share| share.total).fold(0, i64::saturating_add)
    }

    /// What points pay.
    pub fn points(&self) -> i64 {
        let shares = self.shares.iter().map(|share| share.shipping_points.saturating_add(share.fees_points));
        self.lines.iter().map(|line| line.points).chain(shares).fold(0, i64::saturating_add)
    }

    /// Whether there is nothing but lines: no promotion, no method of shipping, no tax, no points. Then it says nothing that the lines do not.
    pub fn is_plain(&self) -> bool {
        let plain = |share: &BillShare| share.method.is_none() && share.tax_groups.is_empty();
        self.codes.is_empty() && self.shares.iter().all(plain) && self.points() == 0
    }

    /// What of it cannot be.
    pub fn is_wrong(&self) -> Option<&'static str> {
        is_wrong(
            self.prices_include_tax,
            &self.lines.iter().collect::<Vec<_>>(),
            &self.shares.iter().collect::<Vec<_>>(),
        )
    }
}

/// What of a bill of these lines and these shares cannot be.
pub fn is_wrong(included: bool, lines: &[&BillLine], shares: &[&BillShare]) -> Option<&'static str> {
    if lines.iter().any(|line| line.is_wrong(included)) {
        return Some("a_line_adds_up");
    }
    for share in shares {
        let own = || lines.iter().filter(|line| line.vendor == share.vendor);
        let figures = [
            share.shipping,
            share.shipping_tax,
            share.shipping_points,
            share.fees,
            share.fees_tax,
            share.fees_points,
            share.shipping_payable(included),
            share.fees_payable(included),
        ];
        let of_groups = share.tax_groups.iter().flat_map(|group| [group.base, group.amount]);
        if figures.into_iter().chain(of_groups).any(|figure| figure < 0) {
            return Some("amounts_of_a_bill_are_not_negative");
        }
        let taxes: i128 = own().map(|line| i128::from(line.tax_amount())).sum();
        if taxes + i128::from(share.shipping_tax) + i128::from(share.fees_tax) != i128::from(share.tax()) {
            return Some("taxes_of_lines_are_taxes_of_groups");
        }
        let payable: i128 = own().map(|line| i128::from(line.payable)).sum();
        if payable + i128::from(share.besides(included)) != i128::from(share.total) {
            return Some("lines_shipping_and_fees_make_their_share");
        }
        let known = |tax: &LineTax| tax.group < share.tax_groups.len();
        if own().any(|line| line.tax.as_ref().is_some_and(|tax| !known(tax))) {
            return Some("a_line_is_taxed_by_a_rate_of_its_share");
        }
    }
    let of_share = |line: &&BillLine| shares.iter().any(|share| share.vendor == line.vendor);
    if lines.iter().all(of_share) { None } else { Some("every_line_is_of_a_share") }
}

/// A line as promotions look at it, before any.
fn discountable(good: &Good<'_>) -> Result<Discountable, Reject> {
    let Good { sku, vendor, category, is_on_sale, .. } = *good;
    let total = fits(i128::from(good.quantity) * i128::from(good.unit_price))?;
    Ok(Discountable { sku, vendor, category, is_on_sale, before: total, remaining: total })
}

/// A bill that is being made.
struct Making<'a> {
    basket: &'a Basket<'a>,
    /// The lines as promotions look at them.
    lines: Vec<Discountable>,
    /// How each share is shipped.
    methods: Vec<Option<&'a ShippingMethod>>,
    bill: Bill,
}

/// What an order comes to.
///
/// # Errors
/// In the order of precedence: [`Reject::CodNotAvailable`], [`Reject::AddressNotServed`], [`Reject::AmountTooLarge`],
/// [`Reject::CouponNotApplicable`].
pub fn bill(basket: &Basket<'_>) -> Result<Bill, Reject> {
    let mut making = Making::begun(basket)?;
    let applied = making.lower_lines();
    making.ship()?;
    applied?;
    making.lower_shipping()?;
    if let Some(tables) = basket.tax {
        making.tax(tables)?;
    }
    making.add_up()?;
    making.pay_with_points()?;
    Ok(making.bill)
}

/// Whether these promotions apply to goods, as far as that is known before it is known where they go.
///
/// # Errors
/// [`Reject::CouponNotApplicable`], for the first that does not.
pub fn applies_to_goods(
    promotions: &[AppliedPromotion<'_>],
    goods: &[Good<'_>],
    currency: Currency,
) -> Result<(), Reject> {
    let lines: Vec<Discountable> = goods.iter().map(discountable).collect::<Result<_, _>>()?;
    promotions.iter().try_for_each(|AppliedPromotion { code, promotion }| {
        promotion.may_apply(&lines, currency).map_err(|why| not_applicable(code, why))
    })
}

fn not_applicable(code: &str, why: NotApplicable) -> Reject {
    Reject::CouponNotApplicable { coupon: code.to_owned(), why }
}

impl<'a> Making<'a> {
    fn begun(basket: &'a Basket<'a>) -> Result<Self, Reject> {
        let mut bill = Bill {
            codes: basket.promotions.iter().map(|applied| applied.code.to_owned()).collect(),
            prices_include_tax: basket.tax.is_none_or(PreparedTaxes::prices_include_tax),
            ..Bill::default()
        };
        let mut lines = Vec::with_capacity(basket.goods.len());
        for good in basket.goods {
            let line = discountable(good)?;
            let Discountable { vendor, before: total, .. } = line;
            lines.push(line);
            bill.lines.push(BillLine { vendor, total, discounts: Vec::new(), tax: None, points: 0, payable: total });
            if !bill.shares.iter().any(|share| share.vendor == vendor) {
                bill.shares.push(BillShare::new(vendor));
            }
        }
        // No sum of what is taken off them, or of what remains, is more.
        sum(lines.iter().map(|line| line.before))?;
        Ok(Self { basket, lines, methods: Vec::new(), bill })
    }

    /// What promotions take off goods: of items first, then of the whole order.
    fn lower_lines(&mut self) -> Result<(), Reject> {
        let basket = self.basket;
        let of_items = |items| {
            let of_goods = move |applied: &AppliedPromotion| {
                let Promotion { kind, scope, .. } = applied.promotion;
                *kind != PromotionKind::FreeShipping && scope.is_of_items() == items
            };
            basket.promotions.iter().enumerate().filter(move |(_, applied)| of_goods(applied))
        };
        let ordered: Vec<(usize, &AppliedPromotion)> = of_items(true).chain(of_items(false)).collect();
        for (code, AppliedPromotion { code: text, promotion }) in ordered {
            let taken =
                discount(promotion, &self.lines, self.basket.currency).map_err(|why| not_applicable(text, why))?;
            let lines = self.lines.iter_mut().zip(&mut self.bill.lines);
            for ((line, billed), part) in lines.zip(parts(code, &taken, promotion.platform_bp)) {
                line.remaining -= part.amount;
                if part.amount > 0 {
                    billed.discounts.push(part);
                }
            }
        }
        Ok(())
    }

    /// How each share is shipped, and what that costs.
    fn ship(&mut self) -> Result<(), Reject> {
        let basket = self.basket;
        let ours = |vendor: &VendorId| self.bill.shares.iter().any(|share| share.vendor == *vendor);
        let strange = basket.chosen.iter().map(|(vendor, _)| *vendor).filter(|vendor| !ours(vendor));
        let (mut not_served, mut no_cash): (Vec<VendorId>, Vec<VendorId>) = (strange.collect(), Vec::new());
        let to = Target::of(&basket.to);
        for share in &mut self.bill.shares {
            let parcel = parcel(basket, &self.lines, share.vendor)?;
            let methods = basket.shipping.of(share.vendor);
            let chosen = basket.chosen.iter().find(|(vendor, _)| *vendor == share.vendor).map(|(_, method)| *method);
            let served: Vec<(&ShippingMethod, i64)> = methods
                .iter()
                .filter(|prepared| chosen.is_none_or(|chosen| prepared.method().id == chosen))
                .filter_map(|prepared| Some((prepared.method(), prepared.price(&to, &parcel)?)))
                .collect();
            let takes =
                |method: &ShippingMethod| !basket.on_delivery || method.fee_on_delivery(basket.currency).is_some();
            let cheapest = served.iter().filter(|(method, _)| takes(method)).min_by_key(|(_, price)| *price);
            match cheapest {
                Some((method, price)) => {
                    share.method = Some(method.id);
                    share.shipping = *price;
                    share.fees =
                        if basket.on_delivery { method.fee_on_delivery(basket.currency).unwrap_or(0) } else { 0 };
                    self.methods.push(Some(method));
                }
                None if methods.is_empty() && chosen.is_none() => self.methods.push(None),
                None if served.is_empty() => not_served.push(share.vendor),
                None => no_cash.push(share.vendor),
            }
        }
        match (no_cash.is_empty(), not_served.is_empty()) {
            (false, _) => Err(Reject::CodNotAvailable { why: NoCash::Method, vendor_ids: no_cash, maximum: None }),
            (true, false) => Err(Reject::AddressNotServed { vendor_ids: not_served }),
            (true, true) => Ok(()),
        }
    }

    /// What promotions take off shipping.
    fn lower_shipping(&mut self) -> Result<(), Reject> {
        for (code, AppliedPromotion { code: text, promotion }) in self.basket.promotions.iter().enumerate() {
            if promotion.kind != PromotionKind::FreeShipping {
                continue;
            }
            promotion.may_apply(&self.lines, self.basket.currency).map_err(|why| not_applicable(text, why))?;
            let covered =
                |share: &BillShare| self.lines.iter().any(|line| line.vendor == share.vendor && promotion.covers(line));
            let cost = |share: &BillShare| if covered(share) { share.shipping } else { 0 };
            let taken: Vec<i64> = self.bill.shares.iter().map(cost).collect();
            if sum(taken.iter().copied())? == 0 {
                return Err(not_applicable(text, NotApplicable::Nothing));
            }
            for (share, part) in self.bill.shares.iter_mut().zip(parts(code, &taken, promotion.platform_bp)) {
                share.shipping -= part.amount;
                if part.amount > 0 {
                    share.shipping_discounts.push(part);
                }
            }
        }
        Ok(())
    }

    fn tax(&mut self, tables: &PreparedTaxes) -> Result<(), Reject> {
        let basket = self.basket;
        let rate = |category: &str| match basket.exempt {
            Some(why) => TaxRate { milli_percent: 0, reason: Some(Cow::Borrowed(why.reason())) },
            None => tables.rate(&basket.to, category, basket.placed_at),
        };
        let (goods, lines, methods) = (basket.goods, &self.lines, &self.methods);
        for (share, method) in self.bill.shares.iter_mut().zip(methods) {
            let mut taxed = Taxed::default();
            let own: Vec<usize> = (0..goods.len()).filter(|at| goods[*at].vendor == share.vendor).collect();
            for at in &own {
                let group = taxed.group(&rate(&goods[*at].tax_category));
                taxed.groups[group].lines.push(*at);
            }
            let (shipping, fees) = match tables.shipping_tax() {
                ShippingTax::Proportional => {
                    let goods_of = |amount: fn(&Discountable) -> i64| -> Vec<i64> {
                        let of = |group: &Taxable| group.lines.iter().map(|at| amount(&lines[*at])).sum();
                        taxed.groups.iter().map(of).collect()
                    };
                    let discounted = goods_of(|line| line.remaining);
                    let undiscounted = || goods_of(|line| line.before);
                    let over = |amount: i64| {
                        split(amount, &discounted).or_else(|| split(amount, &undiscounted())).unwrap_or_default()
                    };
                    (over(share.shipping), over(share.fees))
                }
                ShippingTax::Own => {
                    let category = method.and_then(|method| method.tax_category.as_deref()).unwrap_or(STANDARD);
                    let costs = share.shipping > 0 || share.fees > 0;
                    let own = costs.then(|| taxed.group(&rate(category)));
                    let only =
                        |amount| (0..taxed.groups.len()).map(|at| if Some(at) == own { amount } else { 0 }).collect();
                    (only(share.shipping), only(share.fees))
                }
            };
            for (at, group) in taxed.groups.into_iter().enumerate() {
                let besides = [shipping.get(at).copied().unwrap_or(0), fees.get(at).copied().unwrap_or(0)];
                let weights: Vec<i64> = group.lines.iter().map(|line| lines[*line].remaining).chain(besides).collect();
                let amount = sum(weights.iter().copied())?;
                let tax = tax_of(amount, group.milli_percent, tables.prices_include_tax());
                let parts = split(tax, &weights).unwrap_or_else(|| vec![0; weights.len()]);
                for (line, part) in group.lines.iter().zip(&parts) {
                    let category = goods[*line].tax_category.clone().into_owned();
                    self.bill.lines[*line].tax = Some(LineTax { category, group: at, amount: *part });
                }
                share.shipping_tax += parts[group.lines.len()];
                share.fees_tax += parts[group.lines.len() + 1];
                share.tax_groups.push(TaxGroup {
                    rate_milli_percent: group.milli_percent,
                    reason: group.reason,
                    base: if tables.prices_include_tax() { amount - tax } else { amount },
                    amount: tax,
                });
            }
        }
        Ok(())
    }

    /// What is to be paid, before points.
    fn add_up(&mut self) -> Result<(), Reject> {
        let included = self.bill.prices_include_tax;
        for line in &mut self.bill.lines {
            let on_top = if included { 0 } else { line.tax_amount() };
            line.payable = fits(i128::from(line.discounted()) + i128::from(on_top))?;
        }
        for share in &mut self.bill.shares {
            let own = self.bill.lines.iter().filter(|line| line.vendor == share.vendor);
            let besides = [share.shipping_payable(included), share.fees_payable(included)];
            share.total = sum(own.map(|line| line.payable).chain(besides))?;
        }
        sum(self.bill.shares.iter().map(|share| share.total)).map(drop)
    }

    /// What points pay, as money: of no part more than is to be paid for it.
    fn pay_with_points(&mut self) -> Result<(), Reject> {
        // Whole points: one pays nothing in part.
        let value = self.basket.point_value;
        let most = if value > 0 { self.bill.total() / value } else { 0 };
        let points = self.basket.points.clamp(0, most).saturating_mul(value);
        let totals: Vec<i64> = self.bill.shares.iter().map(|share| share.total).collect();
        let Some(of_shares) = split(points, &totals).filter(|_| points > 0) else { return Ok(()) };
        let included = self.bill.prices_include_tax;
        for (share, points) in self.bill.shares.iter_mut().zip(of_shares) {
            let own: Vec<&mut BillLine> =
                self.bill.lines.iter_mut().filter(|line| line.vendor == share.vendor).collect();
            let besides = [share.shipping_payable(included), share.fees_payable(included)];
            let payable: Vec<i64> = own.iter().map(|line| line.payable).chain(besides).collect();
            let Some(parts) = split(points, &payable) else { continue };
            share.shipping_points = parts[own.len()];
            share.fees_points = parts[own.len() + 1];
            share.total -= points;
            for (line, part) in own.into_iter().zip(parts) {
                line.points = part;
                line.payable -= part;
            }
        }
        Ok(())
    }
}

/// What is taken off, part by part, with what of it the platform pays: half up of the whole, split by amount.
fn parts(code: usize, taken: &[i64], platform_bp: u32) -> impl Iterator<Item = LineDiscount> {
    let whole = taken.iter().copied().fold(0, i64::saturating_add);
    let platform = split(discount_of(whole, platform_bp), taken).unwrap_or_else(|| vec![0; taken.len()]);
    let taken = taken.to_vec();
    taken.into_iter().zip(platform).map(move |(amount, platform)| LineDiscount { code, amount, platform })
}

/// What a vendor is to ship.
fn parcel(basket: &Basket<'_>, lines: &[Discountable], vendor: VendorId) -> Result<Parcel, Reject> {
    let goods = sum(lines.iter().filter(|line| line.vendor == vendor).map(|line| line.remaining))?;
    let own = basket.goods.iter().filter(|good| good.vendor == vendor);
    let grams = fits(own.map(|good| i128::from(good.quantity) * i128::from(good.grams)).sum())?;
    Ok(Parcel { goods, currency: basket.currency, grams })
}

/// Lines of one rate.
struct Taxable {
    milli_percent: u32,
    reason: Option<String>,
    lines: Vec<usize>,
}

/// The rates of one share.
#[derive(Default)]
struct Taxed {
    groups: Vec<Taxable>,
}

impl Taxed {
    /// The place of what has this rate, for the same reason.
    fn group(&mut self, rate: &TaxRate<'_>) -> usize {
        let same = |group: &Taxable| {
            group.milli_percent == rate.milli_percent && group.reason.as_deref() == rate.reason.as_deref()
        };
        self.groups.iter().position(same).unwrap_or_else(|| {
            let reason = rate.reason.as_deref().map(str::to_owned);
            self.groups.push(Taxable { milli_percent: rate.milli_percent, reason, lines: Vec::new() });
            self.groups.len() - 1
        })
    }
}

/// What each method that serves would cost a vendor's share, as a quote shows them.
///
/// # Errors
/// [`Reject::AmountTooLarge`].
pub fn offers<'a>(
    basket: &Basket<'a>,
    bill: &Bill,
    vendor: VendorId,
) -> Result<Vec<(&'a ShippingMethod, i64)>, Reject> {
    let goods = bill.lines.iter().filter(|line| line.vendor == vendor).map(BillLine::discounted);
    let own = basket.goods.iter().filter(|good| good.vendor == vendor);
    let grams = fits(own.map(|good| i128::from(good.quantity) * i128::from(good.grams)).sum())?;
    let parcel = Parcel { goods: sum(goods)?, currency: basket.currency, grams };
    let (to, methods) = (Target::of(&basket.to), basket.shipping.of(vendor).iter());
    let offered = |prepared: &'a PreparedMethod| Some((prepared.method(), prepared.price(&to, &parcel)?));
    Ok(methods.filter_map(offered).collect())
}
