//! The strings of `[logs]`: how much to keep, where to send, what to send.

use crate::command::Command;
use crate::decode::{Fault, Text};
use crate::error::quoted;
use crate::manifest::SinkTarget;
use crate::quantity::{Bytes, Span};
use crate::shape::TextShape;
use crate::suggest::did_you_mean;

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

/// Schemes whose address is kept as written, each with an example.
const SCHEMES: [(&str, &str); 7] = [
    ("syslog:", "syslog:udp://127.0.0.1:514"),
    ("loki+http://", "loki+http://127.0.0.1:3100"),
    ("loki+https://", "loki+https://logs.example.com"),
    ("otlp+http://", "otlp+http://127.0.0.1:4318"),
    ("otlp+https://", "otlp+https://logs.example.com"),
    ("http://", "http://127.0.0.1:3100/loki/api/v1/push"),
    ("https://", "https://logs.example.com/push"),
];

impl Text for SinkAddress {
    const SHAPE: TextShape = TextShape {
        expected: "a sink such as \"journal\" or \"file:log/app.log\"",
        pattern: Some("^(journal|(file|syslog|exec):[\\s\\S]+|((loki|otlp)\\+)?https?://[^\\s]+)$"),
        examples: &["journal", "file:log/app.log", "loki+http://127.0.0.1:3100", "exec:./ship"],
    };

    fn read(text: &str) -> Result<Self, Fault> {
        if text == "journal" {
            return Ok(Self(SinkTarget::Journal));
        }
        if let Some(path) = text.strip_prefix("file:") {
            return super::paths::check_form(path)
                .map(|()| Self(SinkTarget::File(path.to_owned())));
        }
        if let Some(program) = text.strip_prefix("exec:") {
            return match Command::parse(program) {
                Ok(command) => Ok(Self(SinkTarget::Exec(command))),
                Err(error) => Err(Fault { message: Some(error.to_string()), hint: error.hint() }),
            };
        }
        let Some((scheme, example)) = SCHEMES.iter().find(|(scheme, _)| text.starts_with(scheme))
        else {
            return Err(Fault { message: None, hint: scheme_hint(text) });
        };
        let rest = &text[scheme.len()..];
        let is_plain = |c: char| c.is_ascii_graphic();
        if rest.is_empty() || rest.starts_with('/') && scheme.ends_with("//") {
            return Err(Fault::because(format!("the address {} has no host", quoted(text)))
                .hint(format!("write an address such as \"{example}\"")));
        }
        if !rest.chars().all(is_plain) {
            return Err(Fault::because("an address has printable ASCII characters only")
                .hint("write other characters as %XX"));
        }
        Ok(Self(SinkTarget::Address(text.to_owned())))
    }
}

fn scheme_hint(text: &str) -> Option<String> {
    if text.starts_with('/') || text.starts_with("./") {
        return Some(format!("write \"file:{text}\""));
    }
    let word = text.split(':').next()?;
    did_you_mean(word, ["journal", "file:", "syslog:", "exec:", "http:", "https:"]).or_else(|| {
        match word {
            "journald" | "systemd" => Some("did you mean \"journal\"?".to_owned()),
            "loki" | "otlp" => Some(format!("did you mean \"{word}+http://…\"?")),
            _ => Some(
                "a sink is journal, file:…, syslog:…, loki+http://…, otlp+http://…, http://… or exec:…"
                    .to_owned(),
            ),
        }
    })
}

/// A filter of log records, as written.
#[derive(Debug, Clone)]
pub(crate) struct Filter(pub(crate) String);

impl Text for Filter {
    const SHAPE: TextShape = TextShape {
        expected: "a filter such as \"level>=warn\"",
        pattern: Some("^[^\\s<>=!]+ *(>=|<=|!=|=|<|>) *[^\\s]"),
        examples: &["level>=warn", "stream=stderr"],
    };

    /// Checks the outline only: what fields exist is known where records are.
    fn read(text: &str) -> Result<Self, Fault> {
        let operator = text.find(['<', '>', '=', '!']);
        let is_comparison = operator.is_some_and(|at| {
            let value = text[at..].trim_start_matches(['<', '>', '=', '!']).trim();
            let name = text[..at].trim_end();
            !value.is_empty() && !name.is_empty() && !name.contains(char::is_whitespace)
        });
        let is_one_line = !text.contains(char::is_control);
        if is_comparison && is_one_line {
            return Ok(Self(text.to_owned()));
        }
        Err(Fault::default().hint("write a field, a comparison and a value: \"level>=warn\""))
    }
}
