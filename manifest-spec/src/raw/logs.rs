//! The strings of `[logs]`: how much to keep, where to send, what to send.

use crate::command::split::is_name;
use crate::decode::{Fault, Text};
use crate::error::quoted;
use crate::filter::Filter;
use crate::manifest::Rotate;
use crate::quantity::{Bytes, Span};
use crate::shape::TextShape;
use crate::sink::{self, SinkTarget};

/// How much of the log is kept.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Keep {
    pub(crate) bytes: Option<Bytes>,
    pub(crate) span: Option<Span>,
}

impl Text for Keep {
    const SHAPE: TextShape = TextShape {
        expected: "a size, an age or both, such as \"500M 14d\"",
        pattern: Some("^[0-9a-zA-Z]+( +[0-9a-zA-Z]+)?$"),
        examples: &["500M 14d", "1G", "30d"],
    };

    fn read(text: &str) -> Result<Self, Fault> {
        let mut keep = Self { bytes: None, span: None };
        for word in text.split_whitespace() {
            // "5m" is five minutes and "5M" five mebibytes: sizes are upper case.
            if let Ok(span) = Span::parse(word) {
                if keep.span.replace(Span::read(word).map(|_| span)?).is_some() {
                    return Err(Fault::default().hint("write one age, \"14d\""));
                }
            } else if let Ok(bytes) = Bytes::parse(word) {
                if keep.bytes.replace(Bytes::read(word).map(|_| bytes)?).is_some() {
                    return Err(Fault::default().hint("write one size, \"500M\""));
                }
            } else {
                let size = Bytes::parse(word).err().and_then(|error| error.hint);
                let age = Span::parse(word).err().and_then(|error| error.hint);
                return Err(Fault { message: None, hint: size.or(age) });
            }
        }
        match keep {
            Self { bytes: None, span: None } => Err(Fault::default()),
            keep => Ok(keep),
        }
    }
}

/// A sink's address.
#[derive(Debug, Clone)]
pub(crate) struct SinkAddress(pub(crate) SinkTarget);

impl Text for SinkAddress {
    const SHAPE: TextShape = TextShape {
        expected: sink::EXPECTED,
        pattern: Some("^(journal|(file|syslog|exec):[\\s\\S]+|((loki|otlp)\\+)?https?://[^\\s]+)$"),
        examples: &["journal", "file:log/app.log", "loki+http://127.0.0.1:3100", "exec:./ship"],
    };

    fn read(text: &str) -> Result<Self, Fault> {
        sink::read(text).map(Self)
    }
}

/// A filter of log records.
#[derive(Debug, Clone)]
pub(crate) struct When(pub(crate) Filter);

impl Text for When {
    const SHAPE: TextShape = TextShape {
        expected: "a filter such as \"level>=warn\"",
        pattern: Some("[^\\s] *[<>=~]"),
        examples: &["level>=warn", "stream=stderr and not path~\"/health\""],
    };

    fn read(text: &str) -> Result<Self, Fault> {
        Filter::parse(text).map(Self).map_err(|error| Fault {
            message: Some(format!("in the filter {}: {error}", quoted(text))),
            hint: error.hint,
        })
    }
}

/// The word for a file that is never rotated.
const NEVER: &str = "never";

impl Text for Rotate {
    const SHAPE: TextShape = TextShape {
        expected: "a size such as \"10M\", or \"never\"",
        pattern: Some("^(never|[0-9]+([KMGT]i?)?)$"),
        examples: &["10M", NEVER],
    };

    fn read(text: &str) -> Result<Self, Fault> {
        if text == NEVER {
            return Ok(Self::Never);
        }
        let bytes = Bytes::parse(text).map_err(Fault::from)?;
        if bytes.0 == 0 {
            return Err(Fault::default().hint("write \"never\" for a file that only grows"));
        }
        Ok(Self::At(bytes))
    }
}

/// A label of Loki's (its rule is Prometheus's for names).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LabelName(pub(crate) String);

impl Text for LabelName {
    const SHAPE: TextShape = TextShape {
        expected: "a label's name such as \"team\"",
        pattern: Some("^[A-Za-z_][A-Za-z0-9_]*$"),
        examples: &["team"],
    };

    fn read(text: &str) -> Result<Self, Fault> {
        if text.starts_with("__") {
            return Err(Fault::because("labels that start with __ are Loki's own")
                .hint("choose another name"));
        }
        if is_name(text) { Ok(Self(text.to_owned())) } else { Err(Fault::default()) }
    }
}

/// The value of a label.
#[derive(Debug, Clone)]
pub(crate) struct LabelValue(pub(crate) String);

impl Text for LabelValue {
    const SHAPE: TextShape =
        TextShape { expected: "a label's value", pattern: None, examples: &["payments"] };

    fn read(text: &str) -> Result<Self, Fault> {
        if text.is_empty() || text.contains(char::is_control) {
            return Err(Fault::because("a label's value is one line of text"));
        }
        Ok(Self(text.to_owned()))
    }
}

/// The name of a header of HTTP (RFC 9110, section 5.1), as written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HeaderName(pub(crate) String);

/// Headers that say what hostctl sends.
const OWN_HEADERS: [&str; 7] = [
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "host",
    "te",
    "transfer-encoding",
];

impl Text for HeaderName {
    const SHAPE: TextShape = TextShape {
        expected: "a header's name such as \"Authorization\"",
        pattern: Some("^[!#$%&'*+.^_`|~0-9A-Za-z-]+$"),
        examples: &["Authorization", "X-Scope-OrgID"],
    };

    fn read(text: &str) -> Result<Self, Fault> {
        let is_token =
            |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        if OWN_HEADERS.iter().any(|own| own.eq_ignore_ascii_case(text)) {
            return Err(Fault::because("hostctl sets this header itself").hint("leave it out"));
        }
        match !text.is_empty() && text.bytes().all(is_token) {
            true => Ok(Self(text.to_owned())),
            false => Err(Fault::default()),
        }
    }
}

/// The value of a header: never shown.
#[derive(Clone)]
pub(crate) struct HeaderValue(pub(crate) String);

impl std::fmt::Debug for HeaderValue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("HeaderValue(…)")
    }
}

impl Text for HeaderValue {
    const SHAPE: TextShape = TextShape {
        expected: "a header's value",
        pattern: Some("^[\\t -~]*$"),
        examples: &["Bearer …"],
    };

    fn read(text: &str) -> Result<Self, Fault> {
        if text.bytes().all(|byte| byte == b'\t' || byte == b' ' || byte.is_ascii_graphic()) {
            return Ok(Self(text.to_owned()));
        }
        Err(Fault::because("a header's value has printable ASCII characters only"))
    }
}
