//! Environment variables as values of the document.

use crate::command::Word;
use crate::command::split::is_name;
use crate::decode::{Fault, Text};
use crate::shape::TextShape;

/// The name of a variable the author may set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct EnvName(pub(crate) String);

/// Its value, and the same split at its variables.
#[derive(Debug, Clone)]
pub(crate) struct EnvValue {
    pub(crate) text: String,
    pub(crate) word: Word,
}

/// Variables that hostctl sets, and what they come from.
const RESERVED: [(&str, &str); 6] = [
    ("PORT", "the key port"),
    ("HOST", "the instance's address"),
    ("DATA_DIR", "the first data: directory of access.write"),
    ("LISTEN_FDS", "ports with activate = true"),
    ("NOTIFY_SOCKET", "the agent, for readiness"),
    ("LOG_SOCKET", "the agent, for log records"),
];

impl Text for EnvName {
    const SHAPE: TextShape = TextShape {
        expected: "a variable's name such as \"RAILS_ENV\"",
        pattern: Some("^[A-Za-z_][A-Za-z0-9_]*$"),
        examples: &["RAILS_ENV"],
    };

    fn read(text: &str) -> Result<Self, Fault> {
        let reserved = RESERVED.iter().find(|(name, _)| *name == text);
        if let Some((_, source)) = reserved {
            return Err(Fault::because("hostctl sets this variable itself")
                .hint(format!("it comes from {source}; choose another name")));
        }
        if text.starts_with("PORT_") {
            return Err(Fault::because("hostctl sets PORT_… variables itself")
                .hint("they come from [ports]; choose another name"));
        }
        if text.starts_with("HOSTCTL_") {
            return Err(Fault::because("names that start with HOSTCTL_ are hostctl's own")
                .hint("choose another name"));
        }
        if is_name(text) {
            return Ok(Self(text.to_owned()));
        }
        let name: String = text
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() { c } else { '_' })
            .take(64)
            .collect();
        let fault = Fault::because("a variable's name has letters, digits and _, no digit first");
        Err(if is_name(&name) { fault.hint(format!("write {name}")) } else { fault })
    }
}

impl Text for EnvValue {
    const SHAPE: TextShape = TextShape {
        expected: "a string",
        pattern: Some("^[^\\u0000]*$"),
        examples: &["production"],
    };

    fn read(text: &str) -> Result<Self, Fault> {
        if text.contains('\0') {
            return Err(Fault::because("a variable's value cannot hold a NUL character"));
        }
        match Word::parse(text) {
            Ok(word) => Ok(Self { text: text.to_owned(), word }),
            Err(error) => Err(Fault {
                message: Some("the value has a ${ without a plain name and }".to_owned()),
                hint: error.hint(),
            }),
        }
    }
}
