//! Whether a record matches.

use std::borrow::Cow;
use std::cmp::Ordering;

use serde_json::{Map, Value};

use super::{Expression, Field, Filter, Number, Operand, Operator};
use crate::log::{LogRecord, Resource};

impl Filter {
    /// Whether it means this record of this resource.
    #[must_use]
    pub fn matches(&self, record: &LogRecord, resource: &Resource) -> bool {
        self.root.matches(record, resource)
    }
}

impl Expression {
    fn matches(&self, record: &LogRecord, resource: &Resource) -> bool {
        match self {
            Self::All(parts) => parts.iter().all(|part| part.matches(record, resource)),
            Self::Any(parts) => parts.iter().any(|part| part.matches(record, resource)),
            Self::Not(inner) => !inner.matches(record, resource),
            Self::Compare(field, Operator::Unequal, operand) => {
                !compare(field, Operator::Equal, operand, record, resource)
            }
            Self::Compare(field, operator, operand) => {
                compare(field, *operator, operand, record, resource)
            }
        }
    }
}

fn compare(
    field: &Field,
    operator: Operator,
    operand: &Operand,
    record: &LogRecord,
    resource: &Resource,
) -> bool {
    let whole = |number: u64| Found::Number(Number::Whole(number.into()));
    let found = match (field, operand) {
        (Field::Level, Operand::Level(level)) => {
            return operator.accepts(record.severity.cmp(level));
        }
        (Field::Level, Operand::Value { .. }) => return false,
        (Field::Body, _) => Found::Text(Cow::Borrowed(&record.body)),
        (Field::Seq, _) => whole(record.seq),
        (Field::TraceId, _) => Found::optional(record.trace_id.as_deref()),
        (Field::SpanId, _) => Found::optional(record.span_id.as_deref()),
        (Field::App, _) => Found::Text(Cow::Borrowed(&resource.app)),
        (Field::Service, _) => Found::Text(Cow::Borrowed(&resource.service)),
        (Field::Instance, _) => whole(resource.instance.into()),
        (Field::Version, _) => resource.version.map_or(Found::Nothing, whole),
        (Field::Host, _) => Found::Text(Cow::Borrowed(&resource.host)),
        (Field::Attribute(name), _) => match attribute(&record.attributes, name) {
            // One of a list is enough.
            Some(Value::Array(items)) => {
                return items.iter().any(|item| Found::of(item).matches(operator, operand));
            }
            Some(value) => Found::of(value),
            None => Found::Nothing,
        },
    };
    found.matches(operator, operand)
}

/// An attribute by its whole name, or inside others: `http.status` is `{"http": {"status": …}}`
/// too.
fn attribute<'a>(attributes: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    attributes.get(name).or_else(|| {
        name.match_indices('.').find_map(|(at, _)| match attributes.get(&name[..at]) {
            Some(Value::Object(inner)) => attribute(inner, &name[at + 1..]),
            _ => None,
        })
    })
}

/// What a record has for a field.
enum Found<'a> {
    Nothing,
    Text(Cow<'a, str>),
    Number(Number),
}

impl<'a> Found<'a> {
    fn optional(text: Option<&'a str>) -> Self {
        text.map_or(Found::Nothing, |text| Found::Text(Cow::Borrowed(text)))
    }

    fn of(value: &'a Value) -> Self {
        match value {
            Value::String(text) => Found::Text(Cow::Borrowed(text)),
            Value::Number(number) => match Number::parse(&number.to_string()) {
                Some(number) => Found::Number(number),
                None => Found::Text(Cow::Owned(number.to_string())),
            },
            other => Found::Text(Cow::Owned(other.to_string())),
        }
    }

    fn matches(&self, operator: Operator, operand: &Operand) -> bool {
        let Operand::Value { text, number } = operand else { return false };
        let found = match self {
            Found::Nothing => return false,
            Found::Text(found) => found.as_ref(),
            Found::Number(found) if operator == Operator::Contains => {
                return found.to_string().contains(text.as_str());
            }
            Found::Number(found) => return found.accepts(operator, number.as_ref()),
        };
        match (operator, number) {
            (Operator::Contains, _) => found.contains(text.as_str()),
            // "007" is the number 7 where it is compared with one, and else only itself.
            (_, Some(_)) => match Number::parse(found) {
                Some(found) => found.accepts(operator, number.as_ref()),
                None => operator == Operator::Equal && found == text,
            },
            (_, None) => operator.accepts(found.cmp(text.as_str())),
        }
    }
}

impl Operator {
    fn accepts(self, ordering: Ordering) -> bool {
        match self {
            Self::Equal => ordering.is_eq(),
            Self::Unequal => ordering.is_ne(),
            Self::Less => ordering.is_lt(),
            Self::AtMost => ordering.is_le(),
            Self::Greater => ordering.is_gt(),
            Self::AtLeast => ordering.is_ge(),
            Self::Contains => false,
        }
    }
}

impl Number {
    /// A decimal number, with or without fraction and exponent.
    pub(super) fn parse(text: &str) -> Option<Self> {
        // Not what f64 also reads: "inf", "nan", "+1" is a telephone number.
        let digits = text.strip_prefix('-').unwrap_or(text);
        if !digits.starts_with(|c: char| c.is_ascii_digit()) || text.len() > 64 {
            return None;
        }
        let whole = text.parse().map(Number::Whole);
        whole
            .ok()
            .or_else(|| text.parse().ok().filter(|real: &f64| real.is_finite()).map(Number::Real))
    }

    fn accepts(self, operator: Operator, other: Option<&Number>) -> bool {
        let Some(other) = other else { return false };
        let ordering = match (self, *other) {
            (Number::Whole(one), Number::Whole(other)) => Some(one.cmp(&other)),
            (one, other) => one.real().partial_cmp(&other.real()),
        };
        ordering.is_some_and(|ordering| operator.accepts(ordering))
    }

    #[allow(clippy::cast_precision_loss)] // compared with a number that is itself rounded
    fn real(self) -> f64 {
        match self {
            Number::Whole(whole) => whole as f64,
            Number::Real(real) => real,
        }
    }
}

impl std::fmt::Display for Number {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Number::Whole(whole) => whole.fmt(f),
            Number::Real(real) => real.fmt(f),
        }
    }
}
