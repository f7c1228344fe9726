//! One field of an expression: a list of values, ranges with or without a step, and for days what a
//! calendar says.
//!
//! Invariant: what is read names at least one value, and nothing that could be meant in two ways.

use super::error::{ItemFault, ScheduleError};

/// Which field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Name {
    /// Of the hour.
    Minute,
    /// Of the day.
    Hour,
    /// Of the month.
    Day,
    /// Of the year.
    Month,
    /// Of the week: 0 and 7 are Sunday.
    Weekday,
}

const MONTHS: [&str; 12] =
    ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const WEEKDAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

impl Name {
    /// In words.
    pub fn as_str(self) -> &'static str {
        match self {
            Name::Minute => "minute",
            Name::Hour => "hour",
            Name::Day => "day of month",
            Name::Month => "month",
            Name::Weekday => "day of week",
        }
    }

    /// The least and the greatest number that can be written.
    pub fn range(self) -> (u32, u32) {
        match self {
            Name::Minute => (0, 59),
            Name::Hour => (0, 23),
            Name::Day => (1, 31),
            Name::Month => (1, 12),
            Name::Weekday => (0, 7),
        }
    }

    /// What `*` stands for.
    pub(super) fn all(self) -> (u32, u32) {
        match self {
            // 7 is the same day as 0.
            Name::Weekday => (0, 6),
            _ => self.range(),
        }
    }

    /// Words for numbers.
    pub(super) fn words(self) -> &'static [&'static str] {
        match self {
            Name::Month => &MONTHS,
            Name::Weekday => &WEEKDAYS,
            _ => &[],
        }
    }

    /// The number of a word, in any case.
    fn number(self, word: &str) -> Option<u32> {
        let place = self.words().iter().position(|one| one.eq_ignore_ascii_case(word))?;
        Some(place as u32 + self.range().0)
    }
}

/// One item of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Item {
    /// Values from the one to the other, in steps.
    Range { from: u32, to: u32, step: u32 },
    /// `L`: the last day of the month.
    LastDay,
    /// `LW`: the last day of the month from Monday to Friday.
    LastWorkday,
    /// `15W`: the day from Monday to Friday that is nearest, within the month.
    Workday(u32),
    /// `5L`: the last one of the month.
    Last(u32),
    /// `5#2`: the second one of the month.
    Nth(u32, u32),
}

/// A field.
#[derive(Debug, Clone)]
pub(super) struct Field {
    pub(super) name: Name,
    /// As they are written, with what they mean.
    pub(super) items: Vec<(String, Item)>,
}

impl Field {
    /// Read one.
    pub(super) fn read(name: Name, text: &str) -> Result<Field, ScheduleError> {
        let item = |text: &str| {
            let read = item(name, text);
            let fault = |fault| ScheduleError::Item { field: name, item: text.to_owned(), fault };
            read.map(|item| (text.to_owned(), item)).map_err(fault)
        };
        let items: Result<_, _> = text.split(',').map(item).collect();
        Ok(Field { name, items: items? })
    }

    /// It begins with `*`.
    pub(super) fn is_open(&self) -> bool {
        self.items.first().is_some_and(|(text, _)| text.starts_with('*'))
    }

    /// It leaves something out on purpose: how it combines with the other day has to be said.
    pub(super) fn is_restricted(&self) -> bool {
        !self.is_open()
    }

    /// Its values, a bit each; without what only a calendar knows.
    pub(super) fn plain(&self) -> u64 {
        let values = |item: &Item| match *item {
            Item::Range { from, to, step } => (from..=to)
                .step_by(step as usize)
                .map(|value| if self.name == Name::Weekday { value % 7 } else { value })
                .fold(0, |all, value| all | 1 << value),
            _ => 0,
        };
        self.items.iter().fold(0, |all, (_, item)| all | values(item))
    }
}

fn item(name: Name, text: &str) -> Result<Item, ItemFault> {
    let (least, most) = name.all();
    if let Some(rest) = text.strip_prefix('*') {
        let step = match rest.strip_prefix('/') {
            Some(step) => step_of(step, most - least)?,
            None if rest.is_empty() => 1,
            None => return Err(ItemFault::Form),
        };
        return Ok(Item::Range { from: least, to: most, step });
    }
    if let Some(item) = of_calendar(name, text)? {
        return Ok(item);
    }
    let (range, step) = match text.split_once('/') {
        Some((range, step)) => (range, Some(step)),
        None => (text, None),
    };
    // The first one may be missing: "-5".
    let Some((from, to)) = range.split_once('-').filter(|(from, _)| !from.is_empty()) else {
        let value = value(name, range)?;
        return match step {
            None => Ok(Item::Range { from: value, to: value, step: 1 }),
            Some(step) => Err(ItemFault::StepOfOne(format!("{range}-{}/{step}", name.all().1))),
        };
    };
    let is_sunday = to.eq_ignore_ascii_case("sun");
    let (from, to) = (value(name, from)?, value(name, to)?);
    // Behind another day, Sunday ends the week.
    let to = if name == Name::Weekday && is_sunday && from > 0 { 7 } else { to };
    if from > to {
        return Err(ItemFault::Backward);
    }
    let step = step.map_or(Ok(1), |step| step_of(step, to - from))?;
    Ok(Item::Range { from, to, step })
}

/// What is about days and no number alone.
fn of_calendar(name: Name, text: &str) -> Result<Option<Item>, ItemFault> {
    let upper = text.to_ascii_uppercase();
    match name {
        Name::Day => {
            if upper == "L" {
                return Ok(Some(Item::LastDay));
            }
            if upper == "LW" {
                return Ok(Some(Item::LastWorkday));
            }
            upper.strip_suffix('W').map(|day| value(name, day).map(Item::Workday)).transpose()
        }
        Name::Weekday => {
            if let Some((day, nth)) = upper.split_once('#') {
                let day = value(name, day)? % 7;
                let nth = nth.parse().ok().filter(|nth| (1..=5).contains(nth));
                return Ok(Some(Item::Nth(day, nth.ok_or(ItemFault::Nth)?)));
            }
            let last = upper.strip_suffix('L').filter(|day| !day.is_empty());
            last.map(|day| Ok(Item::Last(value(name, day)? % 7))).transpose()
        }
        _ => Ok(None),
    }
}

fn value(name: Name, text: &str) -> Result<u32, ItemFault> {
    if let Some(number) = name.number(text) {
        return Ok(number);
    }
    if text.is_empty() {
        return Err(ItemFault::Missing);
    }
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        let is_word = |word: &&&str| {
            text.get(..word.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(word))
        };
        return Err(match name.words().iter().find(is_word) {
            Some(word) => ItemFault::LongWord(word.to_ascii_uppercase()),
            None if text == "?" => ItemFault::Question,
            None => ItemFault::Form,
        });
    }
    let (least, most) = name.range();
    let number = text.parse().ok().filter(|number| (least..=most).contains(number));
    number.ok_or(ItemFault::Range)
}

/// A step within a range whose ends are so far from each other.
fn step_of(text: &str, length: u32) -> Result<u32, ItemFault> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match text.parse().ok().filter(|_| digits) {
        None => Err(ItemFault::Form),
        Some(0) => Err(ItemFault::StepZero),
        Some(step) if step > length => Err(ItemFault::StepPast(length)),
        Some(step) => Ok(step),
    }
}
