//! Where a value comes from.
//!
//! Invariant: an origin is enough for a person to find the text to edit: a file with line and
//! column, the name of a variable, or the flag as typed. Never holds the value itself.

use std::fmt;
use std::sync::Arc;

/// The source of one value; lines and columns count from 1, columns in characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// The manifest (or the host policy).
    File {
        /// As the caller named it.
        file: Arc<str>,
        /// Line.
        line: u32,
        /// Column.
        column: u32,
    },
    /// A `[profile.NAME]` section of the manifest.
    Profile {
        /// The profile.
        name: Arc<str>,
        /// The manifest.
        file: Arc<str>,
        /// Line.
        line: u32,
        /// Column.
        column: u32,
    },
    /// The operator's drop-in for the app.
    DropIn {
        /// As the caller named it.
        file: Arc<str>,
        /// Line.
        line: u32,
        /// Column.
        column: u32,
    },
    /// An environment variable `HOSTCTL_SET_…`.
    Variable {
        /// Full name.
        name: Arc<str>,
    },
    /// A command-line flag.
    Flag {
        /// As typed, `--set port=9000`.
        text: Arc<str>,
    },
    /// Nobody said it.
    Default,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { file, line, column } | Self::DropIn { file, line, column } => {
                write!(f, "{file}:{line}:{column}")
            }
            Self::Profile { name, file, line, column } => {
                write!(f, "profile {name} ({file}:{line}:{column})")
            }
            Self::Variable { name } => f.write_str(name),
            Self::Flag { text } => f.write_str(text),
            Self::Default => f.write_str("default"),
        }
    }
}
