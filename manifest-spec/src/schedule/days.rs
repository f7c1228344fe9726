//! The days of a month that the fields for days name.
//!
//! Invariant: pure; a day is one of its month.

use super::calendar::{Date, length};
use super::field::{Field, Item};
use crate::manifest::Days;

/// Both fields together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct DayRule {
    dates: u32,
    last_day: bool,
    last_workday: bool,
    workdays: u32,
    weekdays: u32,
    /// The last of a month, a bit for each weekday.
    last: u32,
    /// The first to the fifth of a month.
    nth: [u32; 5],
    either: bool,
}

impl DayRule {
    /// The rule of two fields. How they combine counts where neither begins with `*`.
    pub(super) fn new(dates: &Field, weekdays: &Field, days: Days) -> DayRule {
        let both_said = dates.is_restricted() && weekdays.is_restricted();
        let mut rule = DayRule {
            dates: dates.plain() as u32,
            last_day: false,
            last_workday: false,
            workdays: 0,
            weekdays: weekdays.plain() as u32,
            last: 0,
            nth: [0; 5],
            either: both_said && days == Days::Either,
        };
        for (_, item) in dates.items.iter().chain(&weekdays.items) {
            match *item {
                Item::Range { .. } => {}
                Item::LastDay => rule.last_day = true,
                Item::LastWorkday => rule.last_workday = true,
                Item::Workday(day) => rule.workdays |= 1 << day,
                Item::Last(weekday) => rule.last |= 1 << weekday,
                Item::Nth(weekday, nth) => rule.nth[nth as usize - 1] |= 1 << weekday,
            }
        }
        rule
    }

    /// Those of a month, a bit each; the lowest bit is none.
    pub(super) fn of(&self, year: i32, month: u32) -> u32 {
        let length = length(year, month);
        let first = Date { year, month, day: 1 }.weekday();
        let (dates, weekdays) = (self.dates(length, first), self.weekdays(length, first));
        let all = (u32::MAX >> (31 - length)) & !1;
        all & if self.either { dates | weekdays } else { dates & weekdays }
    }

    fn dates(&self, length: u32, first: u32) -> u32 {
        let mut days = self.dates;
        if self.last_day {
            days |= 1 << length;
        }
        if self.last_workday {
            days |= 1 << workday(length, length, first);
        }
        let mut left = self.workdays & (u32::MAX >> (31 - length));
        while left != 0 {
            days |= 1 << workday(left.trailing_zeros(), length, first);
            left &= left - 1;
        }
        days
    }

    fn weekdays(&self, length: u32, first: u32) -> u32 {
        // Weekdays from that of the first day on, again and again.
        let turned = (self.weekdays >> first | self.weekdays << (7 - first)) & 0x7f;
        let mut days = (turned | turned << 7 | turned << 14 | turned << 21 | turned << 28) << 1;
        if self.last == 0 && self.nth == [0; 5] {
            return days;
        }
        for weekday in 0..7 {
            let day = 1 + (7 + weekday - first) % 7;
            let nth = (0..5).filter(|nth| self.nth[*nth as usize] & 1 << weekday != 0);
            days |= nth
                .map(|nth| day + 7 * nth)
                .filter(|day| *day <= length)
                .fold(0, |all, day| all | 1 << day);
            if self.last & 1 << weekday != 0 {
                days |= 1 << (day + (length - day) / 7 * 7);
            }
        }
        days
    }
}

/// The day from Monday to Friday that is nearest to one, within the month.
fn workday(day: u32, length: u32, first: u32) -> u32 {
    match (first + day - 1) % 7 {
        6 if day > 1 => day - 1,
        6 => day + 2,
        0 if day < length => day + 1,
        0 => day - 2,
        _ => day,
    }
}
