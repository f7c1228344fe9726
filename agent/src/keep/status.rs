//! What a keeper says of its instance: the file `status.json`, and the first message to a hostd.
//!
//! Invariant: only ever replaced as a whole; what it says was true when it was written, and
//! [`Phase::Ended`] is the last it ever says.

use host_sys::process::Exit;
use serde::{Deserialize, Serialize};

use super::assignment::HandedSocket;
use crate::network::rules::OwnAddress;

/// Version of the format.
pub const VERSION: u32 = 1;

/// How far an instance is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// Leases are taken, the sandbox is built.
    Starting,
    /// The program was executed.
    Running,
    /// Nothing of it is left.
    Ended(Ending),
}

/// How an instance ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ending {
    /// The program ended with this code.
    Exit(u8),
    /// By a signal; whether a core was dumped.
    Signal {
        /// Its number.
        number: i32,
        /// Whether a core was dumped.
        core: bool,
    },
    /// The kernel ended it because it used more memory than it may.
    Oom,
    /// It made a system call that its filter refuses: the call's name or number.
    Denied {
        /// As in the man pages: `mount`.
        call: String,
    },
    /// By force, after its time to stop was over.
    Killed,
    /// It was never started: why, in words, and the hint that belongs to it.
    NotStarted {
        /// What went wrong.
        message: String,
        /// What to do.
        hint: Option<String>,
    },
}

impl Ending {
    /// How a program's end reads, when nothing else is known of it.
    pub fn of(exit: Exit) -> Ending {
        match exit {
            Exit::Code(code) => Ending::Exit(code),
            Exit::Signal(number, core) => Ending::Signal { number, core },
        }
    }
}

/// All that is known of an instance from outside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// [`VERSION`].
    pub v: u32,
    /// The keeper's process number.
    pub keeper: i32,
    /// How far it is.
    pub phase: Phase,
    /// Process 1 of the sandbox, on the host.
    pub init: Option<i32>,
    /// When the program was executed, milliseconds since 1970.
    pub started_ms: Option<u64>,
    /// Whether the program said READY=1.
    pub ready: bool,
    /// What the program last said of itself with STATUS=.
    pub says: Option<String>,
    /// The instance's cgroup.
    pub cgroup: Option<String>,
    /// Where its ports answer on this host.
    pub address: String,
    /// The address that is its own, if it has one.
    #[serde(default)]
    pub own: Option<OwnAddress>,
    /// Sockets it has that further instances can share, in the order in which they are passed.
    pub sockets: Vec<HandedSocket>,
    /// What does not hold on this host, a line each.
    pub unenforced: Vec<String>,
    /// The last lines it wrote; filled in at the end.
    pub last_lines: Vec<String>,
    /// Whether somebody asked it to stop.
    pub asked_to_stop: bool,
}

impl Status {
    /// Of a keeper that has done nothing yet.
    pub fn new(keeper: i32) -> Status {
        Status {
            v: VERSION,
            keeper,
            phase: Phase::Starting,
            init: None,
            started_ms: None,
            ready: false,
            says: None,
            cgroup: None,
            address: String::new(),
            own: None,
            sockets: Vec::new(),
            unenforced: Vec::new(),
            last_lines: Vec::new(),
            asked_to_stop: false,
        }
    }
}
