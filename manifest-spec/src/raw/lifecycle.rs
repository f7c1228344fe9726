//! How an instance begins and ends: what makes it ready, and how it is asked to stop.

use super::{RawReady, RawStop};
use crate::decode::{Decode, Decoder, Fault, Short, Text};
use crate::manifest::{ReadyBy, StopSignal};
use crate::quantity::Span;
use crate::shape::{Shape, TextShape};
use crate::suggest::did_you_mean;
use crate::tree::{Node, Value};

/// The words of [`ReadyBy`] that are no time.
const WORDS: [(&str, ReadyBy); 3] =
    [("notify", ReadyBy::Notify), ("health", ReadyBy::Health), ("port", ReadyBy::Port)];

impl Text for ReadyBy {
    const SHAPE: TextShape = TextShape {
        expected: "\"notify\", \"health\", \"port\" or a time such as \"2s\"",
        pattern: Some("^(notify|health|port|([0-9]+(w|d|h|m|s|ms|us|ns))+)$"),
        examples: &["notify", "health", "port", "2s"],
    };

    fn read(text: &str) -> Result<Self, Fault> {
        if let Some((_, by)) = WORDS.into_iter().find(|(word, _)| *word == text) {
            return Ok(by);
        }
        if text.starts_with(|first: char| first.is_ascii_digit()) {
            return Span::read(text).map(Self::Up);
        }
        match did_you_mean(text, WORDS.map(|(word, _)| word)) {
            Some(hint) => Err(Fault::default().hint(hint)),
            None => Err(Fault::default()),
        }
    }
}

impl Text for StopSignal {
    const SHAPE: TextShape = TextShape {
        expected: "a signal such as \"INT\"",
        pattern: Some("^(SIG)?(HUP|INT|QUIT|KILL|USR1|USR2|TERM|WINCH)$"),
        examples: &["INT", "QUIT", "SIGTERM"],
    };

    fn read(text: &str) -> Result<Self, Fault> {
        let named = |name: &str| Self::ALL.into_iter().find(|signal| signal.as_str() == name);
        if let Some(signal) = named(text.strip_prefix("SIG").unwrap_or(text)) {
            return Ok(signal);
        }
        let names = Self::ALL.map(Self::as_str);
        let upper = text.to_ascii_uppercase();
        let meant = did_you_mean(upper.strip_prefix("SIG").unwrap_or(&upper), names);
        Err(Fault::default()
            .hint(meant.unwrap_or_else(|| format!("the signals are {}", names.join(", ")))))
    }
}

impl Short for RawReady {
    fn forms() -> Vec<Shape> {
        vec![ReadyBy::shape()]
    }

    fn short(node: &Node, cx: &mut Decoder<'_>) -> Option<Option<Self>> {
        // A number is read like a text for its hint, which is the unit it lacks.
        let (Value::Text(_) | Value::Integer(_)) = node.value else { return None };
        let by = ReadyBy::decode(node, cx);
        Some(by.map(|by| Self { by: cx.given(node, by), ..Self::default() }))
    }
}

impl Short for RawStop {
    fn forms() -> Vec<Shape> {
        vec![Span::shape()]
    }

    fn short(node: &Node, cx: &mut Decoder<'_>) -> Option<Option<Self>> {
        let (Value::Text(_) | Value::Integer(_)) = node.value else { return None };
        if let Value::Text(text) = &node.value
            && let Ok(signal) = StopSignal::read(text)
        {
            let hint = format!("write {{ signal = \"{}\" }}", signal.as_str());
            cx.fault::<Span>(&node.place, text, Fault::default().hint(hint));
            return Some(None);
        }
        let grace = Span::decode(node, cx);
        Some(grace.map(|grace| Self { grace: cx.given(node, grace), ..Self::default() }))
    }
}
