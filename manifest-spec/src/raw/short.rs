//! The short forms: a number, a string or a list where the long form is a table.

use super::logs::SinkAddress;
use super::paths::WritePath;
use super::triggers::HttpPath;
use super::{PortNumber, RawAccess, RawApp, RawHealth, RawHook, RawLimits, RawLogs, RawPolicy};
use super::{RawPort, RawService, RawSink, RawWrite};
use crate::command::{Command, CommandError};
use crate::decode::{Decode, Decoder, Fault, Short, Text};
use crate::shape::{Shape, TextShape};
use crate::tree::{Node, Value};

impl Short for RawApp {}
impl Short for RawService {}
impl Short for RawAccess {}
impl Short for RawLimits {}
impl Short for RawLogs {}
impl Short for RawHook {}
impl Short for RawPolicy {}

impl Short for RawPort {
    fn forms() -> Vec<Shape> {
        vec![PortNumber::shape()]
    }

    fn short(node: &Node, cx: &mut Decoder<'_>) -> Option<Option<Self>> {
        let Value::Integer(_) = node.value else { return None };
        let number = PortNumber::decode(node, cx);
        Some(number.map(|number| Self { port: cx.given(node, number), ..Self::default() }))
    }
}

impl Short for RawWrite {
    fn forms() -> Vec<Shape> {
        vec![WritePath::shape()]
    }

    fn short(node: &Node, cx: &mut Decoder<'_>) -> Option<Option<Self>> {
        let Value::Text(_) = node.value else { return None };
        let path = WritePath::decode(node, cx);
        Some(path.map(|path| Self { path: cx.given(node, path), ..Self::default() }))
    }
}

impl Short for RawSink {
    fn forms() -> Vec<Shape> {
        vec![SinkAddress::shape()]
    }

    fn short(node: &Node, cx: &mut Decoder<'_>) -> Option<Option<Self>> {
        let Value::Text(_) = node.value else { return None };
        let to = SinkAddress::decode(node, cx);
        Some(to.map(|to| Self { to: cx.given(node, to), ..Self::default() }))
    }
}

/// The string form of a health check.
struct ShortHealth;

impl Text for ShortHealth {
    const SHAPE: TextShape = TextShape {
        expected: "a health check such as \"/up\", \"tcp\" or \"exec:./check\"",
        pattern: Some("^(/.*|tcp|exec:[\\s\\S]+)$"),
        examples: &["/up", "tcp", "exec:./check"],
    };

    fn read(_: &str) -> Result<Self, Fault> {
        Ok(Self)
    }
}

impl Short for RawHealth {
    fn forms() -> Vec<Shape> {
        vec![ShortHealth::shape()]
    }

    fn short(node: &Node, cx: &mut Decoder<'_>) -> Option<Option<Self>> {
        let Value::Text(text) = &node.value else { return None };
        if text == "tcp" {
            return Some(Some(Self { tcp: cx.given(node, true), ..Self::default() }));
        }
        if text.starts_with('/') {
            let path = HttpPath::decode(node, cx);
            return Some(path.map(|path| Self { http: cx.given(node, path), ..Self::default() }));
        }
        if let Some(program) = text.strip_prefix("exec:") {
            let command = command_or_report(Command::parse(program), node, cx);
            return Some(command.map(|run| Self { exec: cx.given(node, run), ..Self::default() }));
        }
        let hint = match text.split_once("://") {
            Some((_, rest)) => {
                let path = rest.find('/').map_or("/", |at| &rest[at..]);
                Some(format!("write \"{path}\": the check asks the service's own port"))
            }
            None => None,
        };
        cx.fault::<ShortHealth>(&node.place, text, Fault { message: None, hint });
        Some(None)
    }
}

/// The string form of a command.
struct CommandText;

impl Text for CommandText {
    const SHAPE: TextShape = TextShape {
        expected: "a command such as \"./server --port $PORT\"",
        pattern: None,
        examples: &["./server --port $PORT"],
    };

    fn read(_: &str) -> Result<Self, Fault> {
        Ok(Self)
    }
}

/// One item of a command's list form.
struct CommandWord;

impl Text for CommandWord {
    const SHAPE: TextShape =
        TextShape { expected: "a word of the command", pattern: None, examples: &["./server"] };

    fn read(_: &str) -> Result<Self, Fault> {
        Ok(Self)
    }
}

impl Decode for Command {
    fn shape() -> Shape {
        let item = Box::new(CommandWord::shape());
        Shape::Either(vec![CommandText::shape(), Shape::List(item)])
    }

    fn decode(node: &Node, cx: &mut Decoder<'_>) -> Option<Self> {
        match &node.value {
            Value::Text(text) => command_or_report(Self::parse(text), node, cx),
            Value::List(items) => {
                let mut words = Vec::with_capacity(items.len());
                for (index, item) in items.iter().enumerate() {
                    match &item.value {
                        Value::Text(text) => words.push(text.as_str()),
                        _ => cx.within(&format!("[{index}]"), |cx| {
                            cx.mismatch(item, &CommandWord::shape());
                        }),
                    }
                }
                if words.len() < items.len() {
                    return None;
                }
                command_or_report(Self::from_list(words), node, cx)
            }
            _ => {
                cx.mismatch(node, &Self::shape());
                None
            }
        }
    }
}

fn command_or_report(
    result: Result<Command, CommandError>,
    node: &Node,
    cx: &mut Decoder<'_>,
) -> Option<Command> {
    result.map_err(|error| cx.report(node, error.to_string()).hint = error.hint()).ok()
}
