//! Stack traces: which lines of a stream make one up, and what it tells.
//!
//! Owns the forms of six languages, and the fingerprint by which two traces are known to tell of
//! the same place. Invariant: a trace takes a line only if it is certain to belong to it, by its
//! own form or by that of one behind it; what is read from a trace never changes its text. A trace
//! holds at most [`LINES`] lines and [`BYTES`] bytes.

mod fingerprint;
mod go;
mod grammar;
mod java;
mod node;
mod open;
mod python;
mod ruby;
mod rust;
mod text;

use manifest_spec::log::{Severity, attribute};
use serde_json::{Map, Value};

pub(super) use open::{Next, Open, Taken, Told};

/// Most lines of a trace in one record.
const LINES: usize = 1000;

/// Most bytes of a trace in one record.
const BYTES: usize = 256 * 1024;

/// Longest message that is told besides the trace, in bytes.
const MESSAGE: usize = 4096;

/// Members of objects that hold a trace.
const STACKS: [&str; 3] = ["stack", "stack_trace", "stacktrace"];

/// A language whose traces are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Language {
    Python,
    Java,
    Node,
    Ruby,
    Go,
    Rust,
}

impl Language {
    const ALL: [Language; 6] = [
        Language::Python,
        Language::Java,
        Language::Node,
        Language::Ruby,
        Language::Go,
        Language::Rust,
    ];

    /// As records name it, see [`attribute::EXCEPTION_LANGUAGE`].
    fn name(self) -> &'static str {
        match self {
            Language::Python => "python",
            Language::Java => "java",
            Language::Node => "node",
            Language::Ruby => "ruby",
            Language::Go => "go",
            Language::Rust => "rust",
        }
    }

    fn named(name: &str) -> Option<Language> {
        Language::ALL.into_iter().find(|language| language.name() == name)
    }

    /// The one whose lines a text has.
    fn of(text: &str) -> Option<Language> {
        text.lines().take(LINES).find_map(|line| {
            let line = line.trim_end().as_bytes();
            let found = [
                (python::is_frame(line), Language::Python),
                (java::is_frame(line), Language::Java),
                (node::is_frame(line), Language::Node),
                (ruby::is_frame(line), Language::Ruby),
                (go::is_place(line), Language::Go),
                (rust::is_start(line), Language::Rust),
            ];
            found.into_iter().find(|(is, _)| *is).map(|(_, language)| language)
        })
    }
}

/// One exception of a trace that may have causes, or others beside it.
#[derive(Debug, Default, PartialEq)]
struct Thrown {
    kind: Option<String>,
    message: String,
    /// Where it was, the innermost first.
    frames: Vec<Frame>,
}

/// A place in a program, without what differs between two builds of it.
#[derive(Debug, PartialEq)]
struct Frame {
    place: String,
    /// Whether it is the language's own library or runtime.
    is_runtime: bool,
}

/// What a trace tells.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Exception {
    language: Language,
    kind: Option<String>,
    message: Option<String>,
    fingerprint: Option<String>,
}

impl Exception {
    /// What this trace tells.
    fn read(language: Language, text: &str) -> Exception {
        let thrown = match language {
            Language::Python => python::read(text),
            Language::Java => java::read(text),
            Language::Node => node::read(text),
            Language::Ruby => ruby::read(text),
            Language::Go => go::read(text),
            Language::Rust => rust::read(text),
        };
        let fingerprint = fingerprint::of(language, &thrown);
        let first = thrown.into_iter().next().unwrap_or_default();
        let message = short(first.message.trim(), MESSAGE).to_owned();
        Exception {
            language,
            kind: first.kind.map(|kind| short(&kind, MESSAGE).to_owned()),
            message: (!message.is_empty()).then_some(message),
            fingerprint,
        }
    }

    /// Whether a member of a structured line is a stack trace, or has one.
    pub(super) fn is_in(value: &Value) -> bool {
        match value {
            Value::String(text) => Language::of(text).is_some(),
            Value::Object(members) => STACKS.iter().any(|name| {
                members.get(*name).is_some_and(|one| one.is_string() && Self::is_in(one))
            }),
            _ => false,
        }
    }

    /// Take the stack trace out of such a member; a text becomes null.
    pub(super) fn take_from(value: &mut Value) -> Option<(Exception, String)> {
        match value {
            Value::String(text) => {
                let exception = Exception::read(Language::of(text)?, text);
                let stack = std::mem::take(text);
                *value = Value::Null;
                Some((exception, stack))
            }
            Value::Object(members) => {
                let name = STACKS.into_iter().find(|name| {
                    members.get(*name).is_some_and(|one| one.is_string() && Self::is_in(one))
                })?;
                let taken = Exception::take_from(members.get_mut(name)?);
                members.shift_remove(name);
                taken
            }
            _ => None,
        }
    }

    /// A message of several lines that is a stack trace.
    pub(super) fn of_text(text: &str) -> Option<Exception> {
        text.contains('\n')
            .then(|| Language::of(text))?
            .map(|language| Exception::read(language, text))
    }

    /// A program does not go on after a panic.
    pub(super) fn severity(&self) -> Severity {
        match self.language {
            Language::Go | Language::Rust => Severity::Fatal,
            _ => Severity::Error,
        }
    }

    /// What it is, in one line.
    pub(super) fn title(&self) -> Option<String> {
        let message = self.message.as_ref().map(|message| {
            let mut line = String::with_capacity(message.len());
            for part in message.split_whitespace() {
                line.push_str(if line.is_empty() { "" } else { " " });
                line.push_str(part);
            }
            line
        });
        match (&self.kind, message) {
            (Some(kind), Some(message)) => Some(format!("{kind}: {message}")),
            (Some(kind), None) => Some(kind.clone()),
            (None, message) => message,
        }
    }

    /// Say it in attributes.
    pub(super) fn describe(self, stack: String, attributes: &mut Map<String, Value>) {
        let mut add = |name: &str, value: Option<String>| {
            attributes.extend(value.map(|value| (name.to_owned(), Value::String(value))));
        };
        add(attribute::EXCEPTION_TYPE, self.kind);
        add(attribute::EXCEPTION_MESSAGE, self.message);
        add(attribute::EXCEPTION_STACKTRACE, Some(stack));
        add(attribute::EXCEPTION_FINGERPRINT, self.fingerprint);
        add(attribute::EXCEPTION_LANGUAGE, Some(self.language.name().to_owned()));
    }
}

/// The beginning of a text, no character torn.
fn short(text: &str, most: usize) -> &str {
    let end = (0..=most.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    &text[..end.unwrap_or(0)]
}
