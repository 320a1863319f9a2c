//! The programme of points: what orders earn, what a point is worth, and which tiers there are.
//!
//! A shop has one programme, or none. It is a table that the staff writes whole (see [`crate::services::price_tables`]); an order keeps what of it held
//! when it was priced, so that a programme that is changed later changes no order.

use super::money::{Currency, Money};
use super::pricing::BillLine;
use super::time::Timestamp;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

/// Basis points of a whole.
pub const WHOLE: u32 = 10_000;

const DAY_MS: i64 = 24 * 60 * 60 * 1_000;

/// The programme of a shop.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Programme {
    /// How often it was written; no part of the table itself.
    #[serde(skip)]
    pub version: u64,
    /// What of the money that is paid for goods is given back as points.
    pub earn_basis_points: u32,
    /// What one point pays, at most once for each currency. In others points are neither earned nor spent.
    pub point_values: Vec<Money>,
    /// So many days after a share of an order was delivered it earns.
    pub earn_after_days: u32,
    /// So many local days points live, up to the end of the last.
    pub expires_days: u32,
    /// In which zone days begin and end.
    pub time_zone: String,
    /// Its tiers, from the lowest to the highest, all in one currency.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tiers: Vec<Tier>,
}

/// A tier: who has bought for so much within a year earns more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tier {
    /// What it is called.
    pub name: String,
    /// From how much on.
    pub from: Money,
    /// How much more: 10,000 is once.
    pub multiplier_basis_points: u32,
}

/// What of a programme holds for an order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EarnTerms {
    /// The version of the programme.
    pub version: u64,
    /// What of the money for goods is given back as points.
    pub basis_points: u32,
    /// By what that is multiplied, by the buyer's tier.
    #[serde(default = "once", skip_serializing_if = "is_once")]
    pub multiplier: u32,
    /// What one point pays, in minor units of the order's currency.
    pub worth: i64,
    /// So many days after the delivery.
    pub after_days: u32,
    /// So many local days they live.
    pub expires_days: u32,
    /// In which zone.
    pub zone: Box<str>,
}

const fn once() -> u32 {
    WHOLE
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
const fn is_once(multiplier: &u32) -> bool {
    *multiplier == WHOLE
}

/// The zone of this name; UTC where there is none.
fn zone(name: &str) -> TimeZone {
    TimeZone::get(name).unwrap_or(TimeZone::UTC)
}

/// Where the local day ends that is so many days after the one of this moment. What a clock that is put forward leaves out is the moment after it.
pub fn end_of_day(at: Timestamp, days: u32, zone_name: &str) -> Timestamp {
    let zone = zone(zone_name);
    let end = || {
        let day = zone.to_datetime(jiff::Timestamp::from_millisecond(at.as_millis()).ok()?).date();
        let after = day.checked_add(jiff::Span::new().try_days(i64::from(days) + 1).ok()?).ok()?;
        let moment = zone.to_ambiguous_zoned(after.to_datetime(jiff::civil::Time::midnight())).compatible().ok()?;
        Some(Timestamp::from_millis(moment.timestamp().as_millisecond()))
    };
    // Past the end of the calendar nothing ends earlier than it would without a zone.
    end().unwrap_or_else(|| at.plus_millis(i64::from(days).saturating_add(1).saturating_mul(DAY_MS)))
}

/// The local day of a moment, as days since 1970-01-01.
pub fn local_day(at: Timestamp, zone_name: &str) -> i32 {
    let day = jiff::Timestamp::from_millisecond(at.as_millis()).ok().and_then(|moment| {
        let date = zone(zone_name).to_datetime(moment).date();
        (date - jiff::civil::Date::constant(1970, 1, 1)).get_days().into()
    });
    day.unwrap_or_default()
}

impl Programme {
    /// What one point pays in a currency, in minor units; `None` where points are neither earned nor spent.
    pub fn worth(&self, currency: Currency) -> Option<i64> {
        self.point_values.iter().find(|value| value.currency == currency).map(|value| value.minor)
    }

    /// What of it holds for an order in this currency, whose buyer's points are multiplied so.
    pub fn terms(&self, currency: Currency, multiplier: u32) -> Option<EarnTerms> {
        Some(EarnTerms {
            version: self.version,
            basis_points: self.earn_basis_points,
            multiplier,
            worth: self.worth(currency)?,
            after_days: self.earn_after_days,
            expires_days: self.expires_days,
            zone: self.time_zone.as_str().into(),
        })
    }

    /// The highest tier for whoever has bought for so much, in minor units of the tiers' currency.
    pub fn reached(&self, bought: i64) -> Option<usize> {
        self.tiers.iter().rposition(|tier| bought >= tier.from.minor)
    }

    /// The currency in which it is counted who bought for how much.
    pub fn tier_currency(&self) -> Option<Currency> {
        self.tiers.first().map(|tier| tier.from.currency)
    }
}

/// What was paid for goods, and what of that counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Goods {
    /// What they cost after discounts without tax, in minor units.
    pub net: i64,
    /// The same with tax.
    pub gross: i64,
    /// What of it was paid with money, and not given back since.
    pub money: i64,
}

impl Goods {
    /// Of lines of a bill of which nothing was given back.
    pub fn of<'a>(prices_include_tax: bool, lines: impl Iterator<Item = &'a BillLine>) -> Self {
        let mut goods = Self::default();
        for line in lines {
            let tax = if prices_include_tax { line.tax_amount() } else { 0 };
            goods.net = goods.net.saturating_add(line.discounted().saturating_sub(tax));
            goods.gross = goods.gross.saturating_add(line.payable.saturating_add(line.points));
            goods.money = goods.money.saturating_add(line.payable);
        }
        goods
    }

    /// What of their price without tax was paid with money: ⌊net × money / gross⌋.
    pub fn base(&self) -> i64 {
        let (net, money, gross) = (i128::from(self.net), i128::from(self.money), i128::from(self.gross));
        if gross <= 0 { 0 } else { i64::try_from((net.max(0) * money.max(0)) / gross).unwrap_or(i64::MAX) }
    }
}

impl EarnTerms {
    /// What goods earn: ⌊base × percentage × multiplier / (10⁸ × worth of a point)⌋. Never more than that for less money.
    pub fn earned(&self, goods: &Goods) -> i64 {
        let rate = i128::from(self.basis_points) * i128::from(self.multiplier);
        let whole = i128::from(WHOLE) * i128::from(WHOLE) * i128::from(self.worth.max(1));
        i64::try_from(i128::from(goods.base()) * rate / whole).unwrap_or(i64::MAX)
    }

    /// When a share earns that was delivered then.
    pub fn due(&self, delivered_at: Timestamp) -> Timestamp {
        delivered_at.plus_millis(i64::from(self.after_days).saturating_mul(DAY_MS))
    }

    /// Until when points live that are earned now.
    pub fn expires_at(&self, now: Timestamp) -> Timestamp {
        end_of_day(now, self.expires_days, &self.zone)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp::from_millis(text.parse::<jiff::Timestamp>().unwrap().as_millisecond())
    }

    fn terms(basis_points: u32, multiplier: u32, worth: i64) -> EarnTerms {
        let (version, after_days, expires_days, zone) = (1, 14, 365, "Asia/Dhaka".into());
        EarnTerms { version, basis_points, multiplier, worth, after_days, expires_days, zone }
    }

    #[test]
    fn goods_earn_by_what_of_their_price_was_paid_with_money() {
        for ((net, gross, money), (basis_points, multiplier, worth), earned) in [
            ((10_000, 10_000, 10_000), (100, WHOLE, 100), 1),
            ((19_999, 19_999, 19_999), (100, WHOLE, 100), 1),
            ((100_000, 115_000, 115_000), (500, WHOLE, 100), 50),
            // Half of it was paid with points, or given back.
            ((100_000, 115_000, 57_500), (500, WHOLE, 100), 25),
            ((100_000, 115_000, 0), (500, WHOLE, 100), 0),
            ((100_000, 115_000, 115_000), (500, 15_000, 100), 75),
            ((99, 99, 99), (10_000, WHOLE, 1), 99),
            // Nothing, of nothing.
            ((0, 0, 0), (10_000, WHOLE, 1), 0),
            (
                (1_000_000_000_000_000_000, 1_000_000_000_000_000_000, 1_000_000_000_000_000_000),
                (10_000, 100_000, 1),
                i64::MAX,
            ),
        ] {
            assert_eq!(
                terms(basis_points, multiplier, worth).earned(&Goods { net, gross, money }),
                earned,
                "{net} {money}"
            );
        }
    }

    #[test]
    fn points_live_until_a_local_day_ends() {
        for (now, days, zone, end) in [
            ("2026-11-28T17:59:59Z", 0, "Asia/Dhaka", "2026-11-28T18:00:00Z"),
            ("2026-11-28T18:00:00Z", 0, "Asia/Dhaka", "2026-11-29T18:00:00Z"),
            ("2026-11-28T12:00:00Z", 365, "Asia/Dhaka", "2027-11-28T18:00:00Z"),
            // The day on which clocks are put forward has 23 hours; and where midnight itself is left out, the next moment counts.
            ("2026-03-28T12:00:00Z", 1, "Europe/Berlin", "2026-03-29T22:00:00Z"),
            ("2026-09-04T12:00:00Z", 1, "America/Santiago", "2026-09-06T04:00:00Z"),
            ("2026-11-28T12:00:00Z", 0, "Nowhere/Land", "2026-11-29T00:00:00Z"),
        ] {
            assert_eq!(end_of_day(at(now), days, zone), at(end), "{now} {zone}");
        }
        assert_eq!(local_day(at("1970-01-01T20:00:00Z"), "Asia/Dhaka"), 1);
        assert_eq!(local_day(at("1970-01-01T17:00:00Z"), "Asia/Dhaka"), 0);
        assert_eq!(local_day(at("1970-01-01T02:00:00Z"), "America/Santiago"), -1);
    }

    #[test]
    fn a_tier_is_reached_by_what_was_bought() {
        let tier = |name: &str, from| Tier {
            name: name.into(),
            from: Money::new(from, Currency::BDT),
            multiplier_basis_points: 12_000,
        };
        let programme = Programme { tiers: vec![tier("silver", 100), tier("gold", 1_000)], ..Programme::default() };
        for (bought, tier) in
            [(0, None), (99, None), (100, Some(0)), (999, Some(0)), (1_000, Some(1)), (9_999, Some(1))]
        {
            assert_eq!(programme.reached(bought), tier, "{bought}");
        }
    }
}
