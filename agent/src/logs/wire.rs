//! What the holder of an instance's pipes and its logger say to each other: the logger's assignment,
//! and two closed lists of messages on the line between them, JSON each.
//!
//! Invariant: with what it is passed, an assignment says everything, and it is the same for every
//! logger of one start. A message that does not decode counts for nothing.

use std::os::fd::BorrowedFd;
use std::path::PathBuf;

use host_sys::{Errno, socket};
use manifest_spec::log::{Resource, Severity};
use manifest_spec::manifest::Full;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::segment::Bounds;
use crate::aside::Like;
use crate::plan::{Directories, PlannedLogs, PlannedSink, Secret};

/// What a logger is called: whoever is executed by this name is one.
pub const PROGRAM: &str = "hostctl-logger";

/// The exit code of a logger that has nothing to do until more is written.
pub const IDLE: u8 = 3;

/// The exit code of a logger that leaves its work to another one, which is to be started at once.
pub const AGAIN: u8 = 4;

/// How long an age of records without a bound is, in seconds: a thousand years.
const EVER: u64 = 1000 * 365 * 86_400;

/// Everything a logger is told.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Assignment {
    /// Whose records they are.
    pub resource: Resource,
    /// The log's folder.
    pub folder: PathBuf,
    /// Most bytes that all logs of the app take together.
    pub keep_bytes: u64,
    /// Oldest records, in seconds.
    pub keep_seconds: u64,
    /// What happens when the disk takes no more.
    pub full: Full,
    /// What must not be in any record.
    pub secrets: Vec<Secret>,
    /// Where records are sent from the beginning on.
    pub sinks: Vec<PlannedSink>,
    /// How programs that are sinks are run, if any can be.
    pub like: Option<Like>,
    /// Where hostctl keeps its files.
    pub directories: Directories,
    /// Whether what the program writes is shown on the logger's own standard streams.
    pub shown: bool,
    /// Whether somebody waits for the end of the logger.
    pub awaited: bool,
    /// Whether records are brought to the disk.
    pub synced: bool,
    /// Whether there is a socket for what programs send to syslog and the journal.
    pub socket: bool,
}

impl Assignment {
    /// One for a plan of logs; nothing is shown, nobody waits.
    pub fn new(
        resource: Resource,
        folder: PathBuf,
        logs: &PlannedLogs,
        directories: &Directories,
    ) -> Assignment {
        Assignment {
            resource,
            folder,
            keep_bytes: logs.keep_bytes,
            keep_seconds: logs.keep_for.map_or(EVER, |time| time.as_secs()),
            full: logs.full,
            secrets: logs.secrets.clone(),
            sinks: logs.sinks.clone(),
            like: None,
            directories: directories.clone(),
            shown: false,
            awaited: false,
            synced: true,
            socket: false,
        }
    }

    /// How much is kept.
    pub fn bounds(&self) -> Bounds {
        let age = std::time::Duration::from_secs(self.keep_seconds);
        Bounds { size: self.keep_bytes, age }
    }
}

/// A record of the agent's own: all but its number and time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AgentRecord {
    /// How bad it is.
    pub severity: Severity,
    /// A sentence.
    pub body: String,
    /// Everything else.
    pub attributes: Map<String, Value>,
}

/// From a holder to its logger.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Order {
    /// Add a record.
    Say(AgentRecord),
    /// Nothing more comes: end as soon as every sink has everything.
    Finish,
    /// End as soon as nothing is on its way.
    GiveUp,
}

/// From a logger to its holder.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Word {
    /// Both streams have ended, and everything that came is in the log.
    Collected,
    /// It ends, and records wait for these sinks.
    Left(Vec<Undelivered>),
}

/// A sink that has not got everything.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Undelivered {
    /// Its address.
    pub to: String,
    /// How many records wait for it: they are in the log, and the next start goes on with them.
    pub records: u64,
    /// What went wrong with it last, if it is not over.
    pub said: Option<String>,
}

/// Longest message, in bytes: below the default buffer of a Unix socket (net.core.wmem_default).
pub(super) const LIMIT: usize = 128 * 1024;

/// Send a message.
///
/// # Errors
/// `EMSGSIZE` for one that is too long, `EAGAIN` when there is no room, `EPIPE` when nobody is there.
pub(super) fn send<T: Serialize>(line: BorrowedFd<'_>, message: &T) -> host_sys::Result<()> {
    let bytes = serde_json::to_vec(message).map_err(|_| Errno::EINVAL)?;
    if bytes.len() > LIMIT {
        return Err(Errno::EMSGSIZE);
    }
    socket::send(line, &bytes, &[], false)
}
