//! A run from the outside: how to watch, and how it ended.
//!
//! Invariant: no signal ends hostctl between a sandbox's start and the end of its watch; whatever
//! goes wrong meanwhile ends the sandbox.

use std::os::fd::BorrowedFd;
use std::time::Duration;

use host_sys::process::Exit;
use host_sys::signal::{Signals, number};
use host_sys::{Errno, Result};

use super::companion::Companion;
use super::watch::Watch;
use crate::cgroup::OutOfMemory;
use crate::logs::Holder;
use crate::network::boundary::Boundary;
use crate::sandbox::message::Failure;
use crate::sandbox::{Sandbox, StandardStreams};

/// Signals a supervisor takes as events.
const HANDLED: [i32; 7] = [
    number::HUP,
    number::INT,
    number::QUIT,
    number::TERM,
    number::USR1,
    number::USR2,
    number::WINCH,
];

/// How to watch.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Time between the request to stop and the end by force.
    pub grace: Duration,
    /// What the program gets where hostctl itself was asked to end.
    pub stop_signal: i32,
    /// Leave Ctrl-C to the program.
    pub interactive: bool,
    /// Which standard streams are terminals.
    pub standard: StandardStreams,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// How the program ended.
    pub exit: Exit,
    /// The last system call it was refused, if any was fatal.
    pub denied: Option<i32>,
    /// Somebody asked for the end.
    pub stopped: bool,
    /// It was ended by force.
    pub killed: bool,
    /// The kernel ended something of it for want of memory.
    pub out_of_memory: Option<OutOfMemory>,
}

/// Why there is no outcome.
#[derive(Debug)]
pub enum WatchError {
    /// A step failed: nothing was started.
    Step(Failure),
    /// Process 1 ended without a word: somebody killed it.
    Lost,
    /// Somebody asked for the end before the program started.
    Stopped,
    /// Watching itself failed.
    Kernel(Errno),
}

impl From<Errno> for WatchError {
    fn from(errno: Errno) -> Self {
        WatchError::Kernel(errno)
    }
}

/// Signals held back from before the sandbox is started until its end.
#[derive(Debug)]
pub struct Supervisor {
    signals: Signals,
}

impl Supervisor {
    /// Take signals as events from here on, so that none ends hostctl between starting a sandbox
    /// and watching it.
    ///
    /// # Errors
    /// What signalfd(2) says.
    pub fn new() -> Result<Self> {
        Ok(Supervisor { signals: Signals::block(&HANDLED)? })
    }

    /// Watch a sandbox to its end.
    ///
    /// # Errors
    /// When a step failed, or nothing can be known of the program's end.
    pub fn watch(
        self,
        sandbox: Sandbox,
        streams: [BorrowedFd<'_>; 3],
        logs: Option<&mut Holder>,
        boundary: &mut Boundary,
        options: Options,
        companion: &mut dyn Companion,
    ) -> std::result::Result<Outcome, WatchError> {
        let signals = self.signals;
        Watch::new(signals, sandbox, streams, logs, boundary, options, companion).finish()
    }
}
