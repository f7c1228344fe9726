//! What will happen and may not be what was meant.
//!
//! Invariant: each says what will happen, and what to write for the other thing.

use std::fmt;

use super::field::{Field, Item, Name};

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Warning {
    /// `*/35`: the last step of the range is shorter than the others.
    Uneven {
        /// The field.
        field: Name,
        /// The item, as written.
        item: String,
        /// The values it names.
        values: Vec<u32>,
        /// How far they are from each other.
        step: u32,
    },
    /// `* */4`: every minute of those hours.
    EveryMinute {
        /// The hours, as written.
        hours: String,
    },
    /// A day that some of the months don't have.
    Skips {
        /// The day.
        day: u32,
        /// The months, by their numbers.
        months: Vec<u32>,
    },
}

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

/// All that there are of an expression's fields.
pub(super) fn all(
    minutes: &Field,
    hours: &Field,
    dates: &Field,
    months: &Field,
    weekdays: &Field,
) -> Vec<Warning> {
    let mut warnings: Vec<Warning> =
        [minutes, hours, dates, months, weekdays].into_iter().flat_map(uneven).collect();
    let written = |field: &Field| {
        let items: Vec<&str> = field.items.iter().map(|(text, _)| text.as_str()).collect();
        items.join(",")
    };
    let hours = written(hours);
    if written(minutes) == "*" && hours.contains('/') {
        warnings.push(Warning::EveryMinute { hours });
    }
    for (_, item) in &dates.items {
        // A range is meant as far as the month goes.
        let Item::Range { from: day @ 29.., to, .. } = *item else { continue };
        let lacking = |month: &u32| months.plain() & 1 << month != 0 && shortest(*month) < day;
        let lacking: Vec<u32> = (1..=12).filter(lacking).collect();
        if day == to && !lacking.is_empty() {
            warnings.push(Warning::Skips { day, months: lacking });
        }
    }
    warnings
}

fn uneven(field: &Field) -> Vec<Warning> {
    let of_item = |(text, item): &(String, Item)| {
        let Item::Range { from, to, step } = *item else { return None };
        let is_uneven = text.starts_with('*') && (to - from + 1) % step != 0;
        is_uneven.then(|| Warning::Uneven {
            field: field.name,
            item: text.clone(),
            values: (from..=to).step_by(step as usize).collect(),
            step,
        })
    };
    field.items.iter().filter_map(of_item).collect()
}

/// How many days a month has in a year that is no leap year.
fn shortest(month: u32) -> u32 {
    super::calendar::length(2001, month)
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Warning::Uneven { field, item, values, step } => {
                let last = values.last().copied().unwrap_or_default();
                let first = values.first().copied().unwrap_or_default();
                let name = field.as_str();
                write!(f, "{name} \"{item}\" names {}", list(values))?;
                write!(f, ": after {last} comes {first} again, sooner than in a whole step")?;
                match field {
                    Name::Minute => write!(f, "; every = \"{step}m\" keeps one distance"),
                    Name::Hour => write!(f, "; every = \"{step}h\" keeps one distance"),
                    Name::Day | Name::Month | Name::Weekday => Ok(()),
                }
            }
            Warning::EveryMinute { hours } => write!(
                f,
                "it runs every minute of the hours \"{hours}\"; write minute 0 for once in each of them"
            ),
            Warning::Skips { day: 29, .. } => {
                f.write_str("29 February comes in leap years only; L is the last day of a month")
            }
            Warning::Skips { day, months } => {
                let names: Vec<&str> =
                    months.iter().map(|month| MONTHS[*month as usize - 1]).collect();
                let names = names.join(", ");
                write!(f, "there is no day {day} in {names}: these months are left out; ")?;
                f.write_str("L is the last day of a month")
            }
        }
    }
}

fn list(values: &[u32]) -> String {
    let words: Vec<String> = values.iter().map(ToString::to_string).collect();
    words.join(", ")
}
