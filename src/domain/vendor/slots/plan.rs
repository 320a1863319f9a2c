//! In which windows a vendor delivers: its plan, and the slots that follow from it.

use crate::domain::time::Timestamp;
use jiff::ToSpan as _;
use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

/// Minutes of a day.
const DAY: u16 = 24 * 60;

/// A text is no day, or no slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is no day, or no slot")]
pub struct NoSlot;

macro_rules! as_text {
    ($type:ty) => {
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Cow::<'de, str>::deserialize(deserializer)?.parse().map_err(de::Error::custom)
            }
        }
    };
}

/// A day of the calendar, written `2026-12-16`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day(Date);

as_text!(Day);

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}-{:02}", self.0.year(), self.0.month(), self.0.day())
    }
}

impl FromStr for Day {
    type Err = NoSlot;

    fn from_str(text: &str) -> Result<Self, NoSlot> {
        let plain = text.len() == 10 && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
        let day = text.parse().ok().filter(|_| plain).map(Self).ok_or(NoSlot)?;
        // As it is written, and in no other way.
        if day.to_string() == text { Ok(day) } else { Err(NoSlot) }
    }
}

impl Day {
    /// The first of which a computer's clock tells.
    pub const FIRST: Self = Self(Date::constant(1970, 1, 1));

    /// 1 for Monday to 7 for Sunday, as in ISO 8601.
    pub fn weekday(self) -> u8 {
        self.0.weekday().to_monday_one_offset().unsigned_abs()
    }

    /// The day so many days later.
    fn plus_days(self, days: u32) -> Option<Self> {
        self.0.checked_add(i64::from(days).days()).ok().map(Self)
    }

    /// So many minutes after its local midnight, in a zone. What a clock that is put forward leaves out is the moment after it; of what a clock that
    /// is put back shows twice it is the first.
    fn moment(self, minutes: u16, zone: &TimeZone) -> Option<Timestamp> {
        let (day, minutes) = match minutes {
            DAY => (self.plus_days(1)?, 0),
            minutes => (self, minutes),
        };
        let time = Time::new(i8::try_from(minutes / 60).ok()?, i8::try_from(minutes % 60).ok()?, 0, 0).ok()?;
        let zoned = zone.to_ambiguous_zoned(day.0.to_datetime(time)).compatible().ok()?;
        Some(Timestamp::from_millis(zoned.timestamp().as_millisecond()))
    }
}

/// Which slot: the local day, and the minutes after its midnight at which the window begins and ends. Written `20261216-1000-1200`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SlotId {
    /// The day.
    pub day: Day,
    /// Where the window begins, in minutes after midnight.
    pub from: u16,
    /// Where it ends, as above; 1440 at the next midnight.
    pub to: u16,
}

as_text!(SlotId);

impl fmt::Display for SlotId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { day: Day(date), from, to } = self;
        write!(f, "{:04}{:02}{:02}", date.year(), date.month(), date.day())?;
        write!(f, "-{:02}{:02}-{:02}{:02}", from / 60, from % 60, to / 60, to % 60)
    }
}

impl FromStr for SlotId {
    type Err = NoSlot;

    fn from_str(text: &str) -> Result<Self, NoSlot> {
        let digits = |at: usize, length: usize| {
            let part = text.get(at..at + length).filter(|part| part.bytes().all(|byte| byte.is_ascii_digit()));
            part.and_then(|part| part.parse::<u16>().ok()).ok_or(NoSlot)
        };
        let minutes = |at: usize| match (digits(at, 2)?, digits(at + 2, 2)?) {
            (24, 0) => Ok(DAY),
            (hours @ 0..24, minutes @ 0..60) => Ok(hours * 60 + minutes),
            _ => Err(NoSlot),
        };
        let short = |number: u16| i8::try_from(number).map_err(|_| NoSlot);
        let year = i16::try_from(digits(0, 4)?).map_err(|_| NoSlot)?;
        let date = Date::new(year, short(digits(4, 2)?)?, short(digits(6, 2)?)?).map_err(|_| NoSlot)?;
        let id = Self { day: Day(date), from: minutes(9)?, to: minutes(14)? };
        // As it is written, and in no other way.
        if id.from < id.to && id.to_string() == text { Ok(id) } else { Err(NoSlot) }
    }
}

/// A slot as it was promised. What is recorded of it holds, whatever becomes of the plan and of the rules of its zone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slot {
    /// Which.
    pub id: SlotId,
    /// The zone of its day and times, by its IANA name.
    pub zone: Box<str>,
    /// When it begins.
    pub starts_at: Timestamp,
    /// When it ends.
    pub ends_at: Timestamp,
}

/// A window in which a vendor delivers on each day of a week that is called so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeliveryWindow {
    /// 1 for Monday to 7 for Sunday.
    pub weekday: u8,
    /// Where it begins, in minutes after midnight.
    pub from: u16,
    /// Where it ends, as above; at most 1440.
    pub to: u16,
    /// How many orders can be brought in it.
    pub capacity: i64,
    /// How many minutes before it begins the last order for it is taken.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub cut_off: u32,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
fn is_zero(minutes: &u32) -> bool {
    *minutes == 0
}

/// In which windows a vendor delivers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeliveryPlan {
    /// The zone of its days and times, by its IANA name.
    pub zone: String,
    /// Its windows, none of them twice.
    #[serde(rename = "days")]
    pub windows: Vec<DeliveryWindow>,
    /// Days on which it does not deliver, rising.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub closed: Vec<Day>,
    /// For how many days after today slots can be had.
    pub days_ahead: u32,
}

/// Why a slot cannot be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SlotRefused {
    /// As many orders as it has room for hold it or have it.
    Full,
    /// The last moment to order for it is over.
    CutOff,
    /// The vendor does not deliver then, or so far ahead.
    NotOffered,
}

impl SlotRefused {
    /// Its name in answers.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::CutOff => "cut_off",
            Self::NotOffered => "not_offered",
        }
    }
}

impl DeliveryPlan {
    /// The slot that this window has on a day; `None` where the clock leaves it out.
    fn slot(&self, window: &DeliveryWindow, day: Day, zone: &TimeZone) -> Option<Slot> {
        let (starts_at, ends_at) = (day.moment(window.from, zone)?, day.moment(window.to, zone)?);
        let id = SlotId { day, from: window.from, to: window.to };
        (starts_at < ends_at).then(|| Slot { id, zone: self.zone.as_str().into(), starts_at, ends_at })
    }

    fn zone(&self) -> Option<TimeZone> {
        TimeZone::get(&self.zone).ok()
    }

    fn today(&self, zone: &TimeZone, now: Timestamp) -> Option<Day> {
        let now = jiff::Timestamp::from_millisecond(now.as_millis()).ok()?;
        Some(Day(zone.to_datetime(now).date()))
    }

    /// A slot that can be ordered for at this moment, as far as the plan goes, and how many orders it has room for.
    ///
    /// # Errors
    /// [`SlotRefused::NotOffered`], [`SlotRefused::CutOff`].
    pub(super) fn offer(&self, id: SlotId, now: Timestamp) -> Result<(Slot, i64), SlotRefused> {
        let found = self.zone().and_then(|zone| {
            let today = self.today(&zone, now)?;
            let is_near = today <= id.day && today.plus_days(self.days_ahead).is_some_and(|last| id.day <= last);
            let is_open = is_near && !self.closed.contains(&id.day);
            let same = |window: &&DeliveryWindow| {
                (window.weekday, window.from, window.to) == (id.day.weekday(), id.from, id.to)
            };
            let window = self.windows.iter().find(same).filter(|_| is_open)?;
            Some((self.slot(window, id.day, &zone)?, window))
        });
        let (slot, window) = found.ok_or(SlotRefused::NotOffered)?;
        match now < slot.starts_at.plus_millis(-i64::from(window.cut_off) * 60_000) {
            true => Ok((slot, window.capacity)),
            false => Err(SlotRefused::CutOff),
        }
    }

    /// All slots that can be ordered for at this moment, as far as the plan goes, by their days and times, each with the last moment to order for it
    /// and how many orders it has room for.
    pub(super) fn offered(&self, now: Timestamp) -> Vec<(Slot, Timestamp, i64)> {
        let Some((zone, today)) = self.zone().and_then(|zone| Some((zone.clone(), self.today(&zone, now)?))) else {
            return Vec::new();
        };
        let days = (0..=self.days_ahead).filter_map(|ahead| today.plus_days(ahead));
        let open = days.filter(|day| !self.closed.contains(day));
        let of_day = |day: Day| {
            let windows = self.windows.iter().filter(move |window| window.weekday == day.weekday());
            windows.map(move |window| (window, day))
        };
        let offered = |(window, day): (&DeliveryWindow, Day)| {
            let slot = self.slot(window, day, &zone)?;
            let cut_off_at = slot.starts_at.plus_millis(-i64::from(window.cut_off) * 60_000);
            (now < cut_off_at).then_some((slot, cut_off_at, window.capacity))
        };
        let mut slots: Vec<_> = open.flat_map(of_day).filter_map(offered).collect();
        slots.sort_unstable_by_key(|(slot, ..)| slot.id);
        slots
    }
}
