//! The cells of the measurement: who starts what, with how much of the host in view.
//!
//! Owns the three dimensions and their names. Invariant: a case says everything that differs between
//! two runs of one contender. Never knows a contender.

use std::path::{Path, PathBuf};

/// Who starts the contender.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Identity {
    /// uid 0.
    Root,
    /// A user without privileges: the sandbox needs a user namespace.
    Ordinary,
}

/// What of the host is in view.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Base {
    /// Read-only /usr and some of /etc.
    System,
    /// Only the app's folder.
    None,
}

/// What runs inside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Program {
    /// Exits at once: static with [`Base::None`], the host's own with [`Base::System`].
    True,
    /// Copies stdin to stdout until stdin ends.
    Cat,
}

/// One cell of the measurement.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Case {
    pub(crate) identity: Identity,
    pub(crate) base: Base,
    pub(crate) program: Program,
}

impl Identity {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Root => "root",
            Self::Ordinary => "rootless",
        }
    }
}

impl Base {
    /// As in the manifest.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::None => "none",
        }
    }
}

impl Program {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::True => "true",
            Self::Cat => "cat",
        }
    }
}

impl Case {
    /// The program's path on the host, for a case whose app lies in `app`.
    pub(crate) fn outside(self, app: &Path) -> PathBuf {
        match (self.base, self.program) {
            (Base::None, Program::True) => app.join("true"),
            _ => self.inside().into(),
        }
    }

    /// The program's path in a sandbox that has the app's folder at /app.
    pub(crate) fn inside(self) -> &'static str {
        match (self.base, self.program) {
            (Base::None, Program::True) => "/app/true",
            (_, Program::True) => "/usr/bin/true",
            (_, Program::Cat) => "/usr/bin/cat",
        }
    }
}
