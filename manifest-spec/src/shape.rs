//! What a value may look like, as data: the one description that error messages, the typing of
//! overrides, the JSON Schema and the key reference are made from.
//!
//! Invariant: a shape is built by the type that decodes the value, so the two cannot disagree.
//! Costs time to build: asked for only when something is wrong, overridden or printed.

use crate::error::quoted;
use crate::tree::{Node, Value};

/// The form of one value.
#[derive(Debug, Clone)]
pub(crate) enum Shape {
    Boolean,
    Integer {
        least: i64,
        most: i64,
    },
    Text(TextShape),
    /// One of these words, each with what it means.
    Choice(&'static [(&'static str, &'static str)]),
    List(Box<Shape>),
    /// A table whose keys are the author's own.
    Map {
        key: TextShape,
        value: Box<Shape>,
    },
    Table(TableShape),
    /// A short form and a long one.
    Either(Vec<Shape>),
}

/// A string with rules of its own.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TextShape {
    /// Noun phrase for messages: `a size such as "512M"`.
    pub(crate) expected: &'static str,
    /// Regular expression (ECMA-262) that every accepted string matches.
    pub(crate) pattern: Option<&'static str>,
    pub(crate) examples: &'static [&'static str],
}

/// A table with known keys.
#[derive(Debug, Clone)]
pub(crate) struct TableShape {
    /// Name of the raw type; tables of the same name have the same keys.
    pub(crate) name: &'static str,
    pub(crate) doc: &'static str,
    pub(crate) fields: Vec<FieldShape>,
}

/// One known key.
#[derive(Debug, Clone)]
pub(crate) struct FieldShape {
    pub(crate) name: &'static str,
    pub(crate) doc: &'static str,
    /// What holds without the key, in words.
    pub(crate) default: &'static str,
    /// A TOML value.
    pub(crate) example: &'static str,
    pub(crate) shape: Shape,
}

impl Shape {
    /// Noun phrase for "expected …".
    pub(crate) fn expected(&self) -> String {
        match self {
            Self::Boolean => "true or false".to_owned(),
            Self::Integer { least, most } => format!("a whole number from {least} to {most}"),
            Self::Text(text) => text.expected.to_owned(),
            Self::Choice(words) => {
                let words: Vec<String> = words.iter().map(|(word, _)| quoted(word)).collect();
                match words.split_last() {
                    Some((last, rest)) if !rest.is_empty() => {
                        format!("{} or {last}", rest.join(", "))
                    }
                    _ => words.concat(),
                }
            }
            Self::List(item) => match item.example() {
                Some(example) => format!("a list such as [\"{example}\"]"),
                None => "a list".to_owned(),
            },
            Self::Map { .. } | Self::Table(_) => "a table".to_owned(),
            Self::Either(shapes) => {
                let shapes: Vec<String> = shapes.iter().map(Self::expected).collect();
                shapes.join(" or ")
            }
        }
    }

    /// A string this shape accepts.
    pub(crate) fn example(&self) -> Option<&'static str> {
        match self {
            Self::Text(text) => text.examples.first().copied(),
            Self::Choice(words) => words.first().map(|(word, _)| *word),
            Self::Either(shapes) => shapes.iter().find_map(Self::example),
            _ => None,
        }
    }

    /// The alternatives of an [`Shape::Either`], else the shape itself.
    pub(crate) fn alternatives(&self) -> &[Shape] {
        match self {
            Self::Either(shapes) => shapes,
            one => std::slice::from_ref(one),
        }
    }

    /// The table among the alternatives.
    pub(crate) fn table(&self) -> Option<&TableShape> {
        self.alternatives().iter().find_map(|shape| match shape {
            Self::Table(table) => Some(table),
            _ => None,
        })
    }

    /// What to write instead of a value of the wrong kind, where that can be told.
    pub(crate) fn remedy(&self, found: &Node) -> Option<String> {
        self.alternatives().iter().find_map(|shape| match (shape, &found.value) {
            (Self::Text(_) | Self::Choice(_), Value::Integer(n)) => Some(format!("write \"{n}\"")),
            (Self::Text(_) | Self::Choice(_), Value::Number(n)) => Some(format!("write \"{n}\"")),
            (Self::Text(_) | Self::Choice(_), Value::Boolean(b)) => Some(format!("write \"{b}\"")),
            (Self::List(_), Value::Text(text)) => Some(format!("write [{}]", quoted(text))),
            (Self::Map { .. }, Value::List(_)) => {
                Some("give each a name: one section [….NAME] for each, not a list".to_owned())
            }
            (Self::Integer { .. }, Value::Text(text)) if text.parse::<i64>().is_ok() => {
                Some(format!("write {text} without quotes"))
            }
            (Self::Boolean, Value::Text(text)) if text == "true" || text == "false" => {
                Some(format!("write {text} without quotes"))
            }
            _ => None,
        })
    }
}

/// A value as a message names it.
pub(crate) fn found(node: &Node) -> String {
    match &node.value {
        Value::Text(text) => quoted(text),
        Value::Integer(number) => number.to_string(),
        Value::Number(text) => text.chars().take(crate::limits::VALUE_SHOWN).collect(),
        Value::Boolean(truth) => truth.to_string(),
        Value::Datetime(text) => format!("the date or time {text}"),
        Value::List(_) => "a list".to_owned(),
        Value::Table(_) => "a table".to_owned(),
    }
}
