//! How bills are shown: in orders and in quotes alike.

use crate::domain::ids::ShippingMethodId;
use crate::domain::money::{Currency, Money, sum};
use crate::domain::pricing::{BillLine, BillShare, LineDiscount, TaxGroup};
use crate::http::money::MoneyBody;
use serde::Serialize;
use utoipa::ToSchema;

/// What a promotion took off.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct DiscountBody<'a> {
    /// Its code.
    #[schema(example = "EID10")]
    code: &'a str,
    amount: MoneyBody,
}

/// How something is taxed.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct TaxBody<'a> {
    /// As what.
    #[schema(example = "standard")]
    category: &'a str,
    /// Thousandths of a percent.
    #[schema(example = 15000)]
    rate_milli_percent: u32,
    /// Why the rate is what it is; one of 0 says it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "no_rate")]
    reason: Option<&'a str>,
    /// What is taxed, without the tax.
    base: MoneyBody,
    amount: MoneyBody,
    /// Whether it is in the price already.
    included: bool,
}

/// What a line comes to, beside quantity times price.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct LineBillBody<'a> {
    /// What promotions took off the line.
    discount: MoneyBody,
    /// Each of them.
    discounts: Vec<DiscountBody<'a>>,
    /// Its tax; absent in a shop that taxes nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    tax: Option<TaxBody<'a>>,
    /// What points pay of it.
    points: MoneyBody,
    /// What is to be paid for it with money.
    payable: MoneyBody,
}

/// What of a bill is needed to show its lines.
#[derive(Clone, Copy, Debug)]
pub struct Shown<'a> {
    /// The codes of its promotions.
    pub codes: &'a [String],
    /// Whether prices were shown with the tax.
    pub prices_include_tax: bool,
    /// The currency of its amounts.
    pub currency: Currency,
}

impl<'a> Shown<'a> {
    fn money(&self, minor: i64) -> MoneyBody {
        MoneyBody(Money::new(minor, self.currency))
    }

    fn discounts(&self, discounts: &[LineDiscount]) -> Vec<DiscountBody<'a>> {
        let body = |part: &LineDiscount| {
            let code = self.codes.get(part.code)?;
            Some(DiscountBody { code, amount: self.money(part.amount) })
        };
        discounts.iter().filter_map(body).collect()
    }

    /// What a line comes to, of a share with these rates. One without a bill comes to its total.
    pub fn line(&self, total: i64, billed: Option<&'a BillLine>, rates: &'a [TaxGroup]) -> LineBillBody<'a> {
        let Some(billed) = billed else {
            let nothing = self.money(0);
            let (discounts, payable) = (Vec::new(), self.money(total));
            return LineBillBody { discount: nothing, discounts, tax: None, points: nothing, payable };
        };
        let tax = billed.tax.as_ref().and_then(|tax| {
            let rate = rates.get(tax.group)?;
            let included = self.prices_include_tax;
            let within = if included { tax.amount } else { 0 };
            Some(TaxBody {
                category: &tax.category,
                rate_milli_percent: rate.rate_milli_percent,
                reason: rate.reason.as_deref(),
                base: self.money(billed.discounted().saturating_sub(within)),
                amount: self.money(tax.amount),
                included,
            })
        });
        LineBillBody {
            discount: self.money(billed.discount()),
            discounts: self.discounts(&billed.discounts),
            tax,
            points: self.money(billed.points),
            payable: self.money(billed.payable),
        }
    }
}

/// The sums of a bill, of a share or of several. total + points = subtotal − discount + shipping + fees + tax, where the tax is not in the
/// prices already.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct SumsBody {
    /// What the goods come to at their prices.
    subtotal: MoneyBody,
    /// What promotions took off goods.
    discount: MoneyBody,
    /// What shipping costs, after promotions.
    shipping: MoneyBody,
    /// What promotions took off shipping.
    shipping_discount: MoneyBody,
    /// What paying on delivery costs.
    fees: MoneyBody,
    /// All taxes, whether they are in the prices or come on top.
    tax: MoneyBody,
}

impl SumsBody {
    /// Of lines, each with its total, and of the shares that they are of.
    pub fn new<'a>(
        lines: impl Iterator<Item = (i64, Option<&'a BillLine>)>,
        shares: impl Iterator<Item = &'a BillShare> + Clone,
        currency: Currency,
    ) -> Self {
        let money = |minor| MoneyBody(Money::new(minor, currency));
        let of = |of: fn(&BillShare) -> i64| money(sum(shares.clone().map(of)));
        let (mut subtotal, mut discount) = (0i64, 0i64);
        for (total, billed) in lines {
            subtotal = subtotal.saturating_add(total);
            discount = discount.saturating_add(billed.map_or(0, BillLine::discount));
        }
        Self {
            subtotal: money(subtotal),
            discount: money(discount),
            shipping: of(|share| share.shipping),
            shipping_discount: of(BillShare::shipping_discount),
            fees: of(|share| share.fees),
            tax: of(BillShare::tax),
        }
    }
}

/// How a share is shipped, where its vendor has methods.
pub fn method_of(billed: Option<&BillShare>) -> Option<ShippingMethodId> {
    billed?.method
}
