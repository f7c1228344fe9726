//! The audit log: who did what, in a file that shows when it was tampered with.
//!
//! Owns `STATE/audit.log` (one line of JSON an entry, [`AuditEntry`]), `STATE/audit.head` (the
//! number and hash of the last entry, and the log's length with it) and `STATE/audit.lock`.
//! Invariant: an entry is on disk before [`Log::append`] returns, and nothing that was written is
//! written again. Never decides what is recorded, never prints.
//!
//! What is hashed: the bytes of a line up to, and without, `,"hash":"`, and a closing `}`: the
//! compact JSON of the entry without its hash, exactly as it is in the file. The hash is SHA-256 in
//! lower-case hexadecimal digits. An entry holds the hash of the one before it as `previous`; the
//! first holds 64 zeros. So any line can be checked with sed(1) and sha256sum(1).
//!
//! A crash leaves either no entry, part of one (no line break at its end, which the next append
//! cuts off and records as `recovered`), or one that the head does not know yet.
//!
//! | module | owns |
//! | --- | --- |
//! | [`chain`] | what follows what: sealing an entry, checking a line (pure) |
//! | [`verify`](mod@verify) | a whole log against its head (pure) |
//! | [`log`] | the files |

pub mod chain;
pub mod log;
pub mod verify;

use std::fmt;
use std::io;
use std::path::PathBuf;

use manifest_spec::api::{AuditEntry, AuditOutcome};
use serde_json::Value;

use crate::store::StoreError;
use chain::Head;

pub use log::Log;
pub use verify::{Broken, Verified, Why};

/// Who did it, as the kernel and the host know them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    /// The user.
    pub uid: u32,
    /// The group.
    pub gid: u32,
    /// The process.
    pub pid: i32,
    /// The user's name, if there is one.
    pub user: Option<String>,
}

/// What was done, or refused.
#[derive(Debug, Clone, PartialEq)]
pub struct Deed<'a> {
    /// The operation of the API.
    pub action: &'a str,
    /// The app, service or instance; empty for the host.
    pub target: &'a str,
    /// With what.
    pub parameters: Value,
    /// What came of it.
    pub outcome: AuditOutcome,
    /// Why it was refused or failed.
    pub reason: Option<String>,
}

impl<'a> Deed<'a> {
    /// Something that is allowed, and about to be done.
    pub fn done(action: &'a str, target: &'a str, parameters: impl Into<Value>) -> Self {
        let parameters = parameters.into();
        Deed { action, target, parameters, outcome: AuditOutcome::Done, reason: None }
    }

    /// Something that the host policy does not allow.
    pub fn refused(
        action: &'a str,
        target: &'a str,
        parameters: impl Into<Value>,
        reason: impl Into<String>,
    ) -> Self {
        let (outcome, reason) = (AuditOutcome::Refused, Some(reason.into()));
        Deed { outcome, reason, ..Deed::done(action, target, parameters) }
    }

    /// Something that was allowed and did not work.
    pub fn failed(
        action: &'a str,
        target: &'a str,
        parameters: impl Into<Value>,
        reason: impl Into<String>,
    ) -> Self {
        let (outcome, reason) = (AuditOutcome::Failed, Some(reason.into()));
        Deed { outcome, reason, ..Deed::done(action, target, parameters) }
    }

    /// The entry that follows `last`, without its hash.
    fn entry(self, actor: &Actor, at_ms: u64, last: &Head) -> AuditEntry {
        AuditEntry {
            n: last.n + 1,
            at_ms,
            uid: actor.uid,
            gid: actor.gid,
            pid: actor.pid,
            user: actor.user.clone(),
            action: self.action.to_owned(),
            target: self.target.to_owned(),
            parameters: self.parameters,
            outcome: self.outcome,
            reason: self.reason,
            previous: last.hash.clone(),
            hash: String::new(),
        }
    }
}

/// Why nothing could be recorded or read.
#[derive(Debug)]
pub enum AuditError {
    /// The state directory.
    Store(StoreError),
    /// A file of the log.
    Io(PathBuf, io::Error),
    /// The log is not what was written.
    Broken(Broken),
}

impl fmt::Display for AuditError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AuditError::Store(error) => error.fmt(f),
            AuditError::Io(path, error) => write!(f, "{}: {error}", path.display()),
            AuditError::Broken(broken) => broken.fmt(f),
        }
    }
}

impl std::error::Error for AuditError {}

impl From<StoreError> for AuditError {
    fn from(error: StoreError) -> Self {
        AuditError::Store(error)
    }
}

impl From<Broken> for AuditError {
    fn from(broken: Broken) -> Self {
        AuditError::Broken(broken)
    }
}
