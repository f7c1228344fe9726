//! Who did what: the entries of the audit log, as they are in the file and in an answer.
//!
//! Invariant: a line of the file is the compact JSON of an [`AuditEntry`] with its keys in the
//! order of the fields, so that it ends with `,"hash":"…"}`. What the chain is made of is said
//! where it is made, in the agent's `audit`. Never holds a secret: a value that the manifest's
//! environment holds is no parameter.

use serde::{Deserialize, Serialize};

/// One thing that somebody did, or was refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditEntry {
    /// Its number, from 1, without a gap.
    pub n: u64,
    /// When, Unix time in milliseconds.
    pub at_ms: u64,
    /// The peer's user, as the kernel says (SO_PEERCRED, unix(7)).
    pub uid: u32,
    /// The peer's group.
    pub gid: u32,
    /// The peer's process.
    pub pid: i32,
    /// The user's name at that time, absent if it has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The operationId of the API, or `recovered` for what the log says of itself.
    pub action: String,
    /// The app, service or instance it was done to; empty if it was the host.
    pub target: String,
    /// With what, an object.
    pub parameters: serde_json::Value,
    /// What came of it.
    pub outcome: AuditOutcome,
    /// Why it was refused or failed, a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The hash of the entry before, 64 zeros for the first: 64 lower-case hexadecimal digits.
    pub previous: String,
    /// The hash of this entry, 64 lower-case hexadecimal digits.
    pub hash: String,
}

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AuditOutcome {
    /// It was done, or begun where it takes a while.
    Done,
    /// The host policy does not allow it.
    Refused,
    /// It was allowed and did not work.
    Failed,
}

/// Entries of the audit log, the oldest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditList {
    /// The last ones, as many as were asked for.
    pub entries: Vec<AuditEntry>,
}
