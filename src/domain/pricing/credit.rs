//! What comes back of what was to be paid, unit by unit. Whatever portions the units come in, together they are the whole.

use crate::domain::money::slice;

/// Something that is credited in units.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Creditable {
    /// Units in all.
    pub units: i64,
    /// What is to be paid for them in money.
    pub payable: i64,
    /// What points pay of them.
    pub points: i64,
    /// What the platform pays of their discounts.
    pub platform: i64,
    /// Units that were credited.
    pub credited_units: i64,
    /// Money that was credited: for units, or as an amount.
    pub credited: i64,
}

/// What was credited at a time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Credit {
    /// Units.
    pub units: i64,
    /// Money.
    pub money: i64,
    /// The value of points.
    pub points: i64,
    /// Of discounts, to whoever paid them.
    pub platform: i64,
    /// From where to where of everything that was given for the whole: see [`Creditable::following`].
    pub from: i64,
    /// See `from`.
    pub to: i64,
}

impl Creditable {
    /// Everything that was given for it: money, points, and what the platform paid.
    pub const fn whole(&self) -> i64 {
        self.payable.saturating_add(self.points).saturating_add(self.platform)
    }

    /// What of that was credited.
    fn given_back(&self) -> i64 {
        let of = |total| slice(total, 0, self.credited_units, self.units);
        self.credited.saturating_add(of(self.points)).saturating_add(of(self.platform))
    }

    /// Credits so many more units, as far as there are some. Money that was credited as an amount is not credited again.
    pub fn credit(&mut self, units: i64) -> Credit {
        let from = self.given_back();
        let units = units.clamp(0, self.units.saturating_sub(self.credited_units));
        let (first, last) = (self.credited_units, self.credited_units.saturating_add(units));
        let of = |total| slice(total, first, last, self.units);
        let money = of(self.payable).min(self.payable.saturating_sub(self.credited)).max(0);
        let credit = Credit { units, money, points: of(self.points), platform: of(self.platform), from, to: 0 };
        self.credited_units = last;
        self.credited = self.credited.saturating_add(money);
        Credit { to: self.given_back(), ..credit }
    }

    /// What follows it, as a tax or a commission does, by what of everything that was given for it is credited.
    pub fn following(&self, total: i64, credit: &Credit) -> i64 {
        slice(total, credit.from, credit.to, self.whole())
    }
}
