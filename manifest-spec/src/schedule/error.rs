//! What is wrong with an expression: the field, the item, and what to write instead.

use std::fmt;

use super::WORDS;
use super::field::Name;
use crate::error::quoted;
use crate::suggest::did_you_mean;

/// Why an expression is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ScheduleError {
    /// It has bytes that no expression has.
    NotAscii,
    /// It has not five fields.
    Fields {
        /// How many it has.
        count: usize,
        /// The expression.
        text: String,
    },
    /// It is a word that stands for none.
    Word(String),
    /// One item of a field.
    Item {
        /// The field.
        field: Name,
        /// The item, as written.
        item: String,
        /// What is wrong with it.
        fault: ItemFault,
    },
    /// Day of month and day of week are both restricted, and how they combine is not said.
    DaysUnsaid {
        /// The field for days of the month.
        day: String,
        /// That for days of the week.
        weekday: String,
    },
    /// There is no such date.
    Never(String),
}

/// What is wrong with an item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ItemFault {
    /// There is nothing between two commas, or at the end.
    Missing,
    /// It is no number, no name, no range.
    Form,
    /// `?`, which other schedulers have.
    Question,
    /// A name that is too long, and the one that was probably meant.
    LongWord(String),
    /// The number is none that the field has.
    Range,
    /// A range that ends before it begins.
    Backward,
    /// A step behind a single value, and what was probably meant.
    StepOfOne(String),
    /// A step of nothing.
    StepZero,
    /// A step that leaves its range at once; how long that is.
    StepPast(u32),
    /// A week that no month has.
    Nth,
}

impl ScheduleError {
    /// What to write instead.
    pub fn hint(&self) -> Option<String> {
        const ORDER: &str = "the fields are minute, hour, day of month, month, day of week";
        Some(match self {
            ScheduleError::NotAscii => return None,
            ScheduleError::Fields { count: 6, .. } => format!("{ORDER}; there are no seconds"),
            ScheduleError::Fields { .. } => format!("{ORDER}: \"0 7 * * *\""),
            ScheduleError::Word(word) => match word.split(' ').next().unwrap_or_default() {
                "@reboot" => "did you mean \"@boot\"?".to_owned(),
                "@every" => "write the key every instead: every = \"35m\"".to_owned(),
                word => {
                    let words = WORDS.map(|(word, _)| word);
                    did_you_mean(word, words)
                        .unwrap_or_else(|| format!("the words are {}", words.join(", ")))
                }
            },
            ScheduleError::Item { field, item, fault } => return fault.hint(*field, item),
            ScheduleError::DaysUnsaid { .. } => {
                "say days = \"either\" (a day that one of them names, as cron does) or days = \"both\" (a day that both name)".to_owned()
            }
            ScheduleError::Never(_) => "the last day of every month is L".to_owned(),
        })
    }
}

impl ItemFault {
    fn hint(&self, field: Name, item: &str) -> Option<String> {
        let (least, most) = field.range();
        Some(match self {
            ItemFault::Missing => "drop the comma, or write a value".to_owned(),
            ItemFault::Question => "write * instead".to_owned(),
            ItemFault::LongWord(word) => format!("names have three letters: {word}"),
            ItemFault::StepOfOne(meant) => format!("write the range: {meant}"),
            ItemFault::Backward => {
                let (from, to) = item.split_once('-')?;
                let to = to.split('/').next()?;
                format!("write two ranges: {from}-{most},{least}-{to}")
            }
            ItemFault::StepZero => "write * for every one".to_owned(),
            ItemFault::Form | ItemFault::Range => {
                let words = field.words();
                let mut hint = format!("a number from {least} to {most}");
                if let (Some(first), Some(last)) = (words.first(), words.last()) {
                    hint = format!("{hint}, or a name from {first} to {last}");
                }
                format!("{hint}; * for every one, 1-5 for a range, */2 for every second one")
            }
            ItemFault::StepPast(_) | ItemFault::Nth => return None,
        })
    }
}

impl fmt::Display for ScheduleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ScheduleError::NotAscii => {
                f.write_str("a schedule has printable ASCII characters only")
            }
            ScheduleError::Fields { count, text } => {
                write!(f, "expected five fields, found {count} in {}", quoted(text))
            }
            ScheduleError::Word(word) => write!(f, "{} stands for no schedule", quoted(word)),
            ScheduleError::Item { field, item, fault } => {
                write!(f, "{} {}: {fault}", field.as_str(), quoted(item))
            }
            ScheduleError::DaysUnsaid { day, weekday } => write!(
                f,
                "day of month {} and day of week {} are both restricted, and whether one of them is enough is not said",
                quoted(day),
                quoted(weekday)
            ),
            ScheduleError::Never(text) => write!(f, "there is no such date: {}", quoted(text)),
        }
    }
}

impl std::error::Error for ScheduleError {}

impl fmt::Display for ItemFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ItemFault::Missing => f.write_str("a value is missing"),
            ItemFault::Form => f.write_str("it is no number, name or range"),
            ItemFault::Question => f.write_str("there is no ? here"),
            ItemFault::LongWord(_) => f.write_str("it is no name that is known"),
            ItemFault::Range => f.write_str("there is no such number in this field"),
            ItemFault::Backward => f.write_str("the range ends before it begins"),
            ItemFault::StepOfOne(_) => f.write_str("a step needs a range"),
            ItemFault::StepZero => f.write_str("a step of 0 goes nowhere"),
            ItemFault::StepPast(length) => {
                write!(f, "the step is longer than its range, in which the longest is {length}")
            }
            ItemFault::Nth => f.write_str("a month has a first to a fifth of a weekday: #1 to #5"),
        }
    }
}
