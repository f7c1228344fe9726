//! Which log records are meant: `level>=warn and not path~"/health"`.
//!
//! Owns the language of `when` and `--where`: comparisons of a field with a value, joined by `and`,
//! `or`, `not` and parentheses (`not` binds tightest, then `and`). Operators are `=`, `!=`, `<`, `<=`,
//! `>`, `>=` and `~`, which means "contains". A value with blanks or parentheses stands in quotes.
//!
//! Invariant: a filter that was parsed can be asked about any record. Levels compare by their rank,
//! numbers as numbers, text as text; what is no number is neither less nor greater than one. A field
//! that a record does not have matches `!=` and nothing else. Pure.

mod matching;
mod read;
#[cfg(test)]
mod tests;

use std::fmt;

use crate::log::Severity;

/// A filter of log records.
#[derive(Debug, Clone, PartialEq)]
pub struct Filter {
    text: String,
    root: Expression,
}

/// Why a text is no filter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilterError {
    /// What is wrong.
    pub message: String,
    /// Character of the text at which it is, from 0.
    pub at: usize,
    /// What to write instead.
    pub hint: Option<String>,
}

impl fmt::Display for FilterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at character {}", self.message, self.at + 1)
    }
}

impl std::error::Error for FilterError {}

#[derive(Debug, Clone, PartialEq)]
enum Expression {
    All(Vec<Expression>),
    Any(Vec<Expression>),
    Not(Box<Expression>),
    Compare(Field, Operator, Operand),
}

/// What a record is asked for.
#[derive(Debug, Clone, PartialEq)]
enum Field {
    Level,
    Body,
    Seq,
    TraceId,
    SpanId,
    App,
    Service,
    Instance,
    Version,
    Host,
    /// By its name, or its path with dots.
    Attribute(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Equal,
    Unequal,
    Less,
    AtMost,
    Greater,
    AtLeast,
    Contains,
}

#[derive(Debug, Clone, PartialEq)]
enum Operand {
    Level(Severity),
    Value { text: String, number: Option<Number> },
}

/// A number, as exact as it was written: whole ones are not rounded.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Number {
    Whole(i128),
    Real(f64),
}

impl Filter {
    /// Reads a filter.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub fn parse(text: &str) -> Result<Self, FilterError> {
        let root = read::read(text)
            .map_err(|error| FilterError { at: text[..error.at].chars().count(), ..error })?;
        Ok(Self { text: text.to_owned(), root })
    }

    /// As it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl serde::Serialize for Filter {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de> serde::Deserialize<'de> for Filter {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}
