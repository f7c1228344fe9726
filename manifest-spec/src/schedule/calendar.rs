//! Dates as numbers: days since 1970-01-01 in the Gregorian calendar, before 1582 too.
//!
//! Pure. Invariant: a date and its number belong to each other, both ways. Source: years are counted
//! from a March, so that the leap day is the last of its year, and by cycles of 400 years.

/// Days of 400 years.
const CYCLE: i64 = 146_097;
/// From 0000-03-01 to 1970-01-01.
const EPOCH: i64 = 719_468;

/// A date.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Date {
    /// Any year; 0 is before 1.
    pub year: i32,
    /// From 1 to 12.
    pub month: u32,
    /// From 1.
    pub day: u32,
}

impl Date {
    /// The date of so many days since 1970-01-01; `None` where its year has no number.
    pub fn of(days: i64) -> Option<Date> {
        let days = days.checked_add(EPOCH)?;
        let (cycle, day) = (days.div_euclid(CYCLE), days.rem_euclid(CYCLE));
        let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
        let of_year = day - (365 * year + year / 4 - year / 100);
        let month = (5 * of_year + 2) / 153;
        let day = of_year - (153 * month + 2) / 5 + 1;
        let month = if month < 10 { month + 3 } else { month - 9 };
        let year = cycle.checked_mul(400)? + year + i64::from(month <= 2);
        Some(Date { year: i32::try_from(year).ok()?, month: month as u32, day: day as u32 })
    }

    /// Days since 1970-01-01.
    pub fn number(self) -> i64 {
        let month = i64::from(self.month);
        let year = i64::from(self.year) - i64::from(month <= 2);
        let (cycle, year) = (year.div_euclid(400), year.rem_euclid(400));
        let month = if month > 2 { month - 3 } else { month + 9 };
        let of_year = (153 * month + 2) / 5 + i64::from(self.day) - 1;
        cycle * CYCLE + year * 365 + year / 4 - year / 100 + of_year - EPOCH
    }

    /// From 0, a Sunday, to 6.
    pub fn weekday(self) -> u32 {
        // 1970-01-01 was a Thursday.
        (self.number() + 4).rem_euclid(7) as u32
    }

    /// The first day of the next month.
    pub fn next_month(self) -> Date {
        match self.month {
            12 => Date { year: self.year + 1, month: 1, day: 1 },
            month => Date { month: month + 1, day: 1, ..self },
        }
    }
}

/// How many days a month has.
pub fn length(year: i32, month: u32) -> u32 {
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        2 if is_leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}
