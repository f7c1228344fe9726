//! Schedules as five fields: what a crontab says, without what surprises people about it.
//!
//! Owns the language and which dates and times of day it names. Invariant: pure; what is parsed has a
//! date that comes, and of two days that differ the expression says how they combine. Knows no zone
//! and no clock: a time is what clocks on a wall show, in seconds since they showed 1970-01-01 00:00.
//! `loadbalancer::schedule` makes instants of it.
//!
//! Source: crontab(5) of Vixie cron, and for `L`, `W` and `#` the CronTrigger of Quartz.
//!
//! | module | owns |
//! | --- | --- |
//! | [`field`] | one field: lists, ranges, steps, names |
//! | [`days`] | the days of a month that two fields name |
//! | [`calendar`] | dates as numbers |
//! | [`error`] | what is wrong with an expression |
//! | [`warning`] | what will happen and may not be what was meant |

pub mod calendar;
mod days;
mod error;
mod field;
#[cfg(test)]
mod tests;
mod warning;

pub use error::{ItemFault, ScheduleError};
pub use field::Name;
pub use warning::Warning;

use calendar::Date;
use days::DayRule;
use field::Field;

use crate::manifest::Days;

/// The words that stand for a whole schedule, and what they stand for; `@boot` stands for no time.
pub const WORDS: [(&str, Option<&str>); 8] = [
    ("@hourly", Some("0 * * * *")),
    ("@daily", Some("0 0 * * *")),
    ("@midnight", Some("0 0 * * *")),
    ("@weekly", Some("0 0 * * 0")),
    ("@monthly", Some("0 0 1 * *")),
    ("@yearly", Some("0 0 1 1 *")),
    ("@annually", Some("0 0 1 1 *")),
    ("@boot", None),
];

const DAY: i64 = 86_400;
/// Minutes of a day.
const MINUTES: u32 = 1440;
/// The last year that has times.
const LAST_YEAR: i32 = 9999;
/// After so many years the calendar begins anew, weekdays included.
const CYCLE: i32 = 400;

/// When something happens, by the clock on a wall.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expression {
    times: Option<Times>,
    warnings: Vec<Warning>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Times {
    minutes: u64,
    hours: u32,
    months: u16,
    days: DayRule,
    follows_clock: bool,
}

impl Expression {
    /// Read one. `days` says how a day of the month and a day of the week combine, and has to be given
    /// where both are restricted.
    ///
    /// # Errors
    /// [`ScheduleError`], which names the field and the item.
    pub fn parse(text: &str, days: Option<Days>) -> Result<Expression, ScheduleError> {
        if !text.is_ascii() || text.contains(|c: char| c.is_ascii_control() && c != '\t') {
            return Err(ScheduleError::NotAscii);
        }
        let text = text.trim_ascii();
        if text.starts_with('@') {
            return match WORDS.iter().find(|(word, _)| *word == text) {
                Some((_, Some(fields))) => Expression::parse(fields, days),
                Some((_, None)) => Ok(Expression { times: None, warnings: Vec::new() }),
                None => Err(ScheduleError::Word(text.to_owned())),
            };
        }
        let fields: Vec<&str> = text.split_ascii_whitespace().collect();
        let [minute, hour, day, month, weekday] = fields[..] else {
            return Err(ScheduleError::Fields { count: fields.len(), text: text.to_owned() });
        };
        let minutes = Field::read(Name::Minute, minute)?;
        let hours = Field::read(Name::Hour, hour)?;
        let dates = Field::read(Name::Day, day)?;
        let months = Field::read(Name::Month, month)?;
        let weekdays = Field::read(Name::Weekday, weekday)?;
        if dates.is_restricted() && weekdays.is_restricted() && days.is_none() {
            let (day, weekday) = (day.to_owned(), weekday.to_owned());
            return Err(ScheduleError::DaysUnsaid { day, weekday });
        }
        let warnings = warning::all(&minutes, &hours, &dates, &months, &weekdays);
        let times = Times {
            minutes: minutes.plain(),
            hours: hours.plain() as u32,
            months: months.plain() as u16,
            days: DayRule::new(&dates, &weekdays, days.unwrap_or(Days::Both)),
            // Whatever is done "every so often" goes on by the clock when that is put back.
            follows_clock: minutes.is_open() || hours.is_open(),
        };
        let comes = (2000..2000 + CYCLE).any(|year| times.has_day(year));
        match comes {
            true => Ok(Expression { times: Some(times), warnings }),
            false => Err(ScheduleError::Never(text.to_owned())),
        }
    }

    /// What will happen and may not be what was meant.
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }

    /// It is about the start of the host, and has no times.
    pub fn is_boot(&self) -> bool {
        self.times.is_none()
    }

    /// When clocks are put back, what they show twice happens twice; and when they are put forward,
    /// what they don't show does not happen. So it is where minute or hour begin with `*`: everything
    /// else happens once, whatever is done to clocks.
    pub fn follows_clock(&self) -> bool {
        self.times.as_ref().is_some_and(|times| times.follows_clock)
    }

    /// The first time, at `from` or after it; `None` for [`Expression::is_boot`] and after the year
    /// 9999.
    pub fn next_shown(&self, from: i64) -> Option<i64> {
        self.times.as_ref()?.next(from)
    }
}

impl Times {
    fn has_day(&self, year: i32) -> bool {
        (1..=12).any(|month| self.has_month(month) && self.days.of(year, month) != 0)
    }

    fn has_month(&self, month: u32) -> bool {
        self.months & (1 << month) != 0
    }

    fn next(&self, from: i64) -> Option<i64> {
        let begun = (from.rem_euclid(DAY) + 59) / 60;
        let mut date = Date::of(from.div_euclid(DAY))?;
        // From this minute of that date on. 1440 is the end of the day, and no time is left in it.
        let mut minute = begun as u32;
        for _ in 0..=12 * CYCLE {
            if date.year > LAST_YEAR {
                return None;
            }
            if self.has_month(date.month) {
                let mut left = self.days.of(date.year, date.month) & (u32::MAX << date.day);
                while left != 0 {
                    let day = left.trailing_zeros();
                    let first = if day == date.day { minute } else { 0 };
                    if let Some(found) = self.time(first) {
                        let day = Date { day, ..date }.number();
                        return Some(day * DAY + i64::from(found) * 60);
                    }
                    left &= left - 1;
                }
            }
            date = date.next_month();
            minute = 0;
        }
        None
    }

    /// The first minute of a day from this one on.
    fn time(&self, from: u32) -> Option<u32> {
        if from >= MINUTES {
            return None;
        }
        let (hour, minute) = (from / 60, from % 60);
        let now = self.minutes & (u64::MAX << minute);
        if self.hours & (1 << hour) != 0 && now != 0 {
            return Some(hour * 60 + now.trailing_zeros());
        }
        let later = self.hours & !(u32::MAX >> (31 - hour));
        (later != 0).then(|| later.trailing_zeros() * 60 + self.minutes.trailing_zeros())
    }
}
