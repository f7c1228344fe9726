//! Who works beside a run in its one loop: what it waits for, wishes and hears.
//!
//! Invariant: a companion never waits; while it works, nobody watches. Never touches the sandbox
//! itself: what it wants done it wishes for, and hears how it went.

use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use host_sys::poll::Interest;
use host_sys::process::Exit;

use crate::sandbox::message::{Execution, Failure};

/// Somebody who works beside the run in the same loop.
pub trait Companion {
    /// What to wait for. Asked anew before each wait. What is heard between that and
    /// [`Companion::tend`] must leave the places of these as they are.
    fn sources(&self) -> Vec<Interest<'_>> {
        Vec::new()
    }

    /// When to be called although nothing came; now, to wish for something because of news. One
    /// that has come must be later or `None` after [`Companion::tend`].
    fn deadline(&self) -> Option<Instant> {
        None
    }

    /// The sources at these places of the list are ready, or the deadline has come: what it wants
    /// done, in this order.
    fn tend(&mut self, ready: &[usize]) -> Vec<Wish> {
        let _ = ready;
        Vec::new()
    }

    /// What happened in the run.
    fn hear(&mut self, news: News);
}

/// What a companion can want.
#[derive(Debug)]
pub enum Wish {
    /// The end of the run: the program gets this signal, or the usual one, and the time that it was
    /// given to end in. A second wish changes nothing.
    Stop {
        /// The signal's number.
        signal: Option<i32>,
    },
    /// The end of the run at once, by force.
    Kill,
    /// A signal to the program. A number that is no signal is not sent.
    Signal(i32),
    /// A command inside the sandbox. It is answered by exactly one [`News::Executed`] or
    /// [`News::NotExecuted`] before the run is over.
    Execute(Execution),
    /// A signal to the process group of a command, if it still runs.
    SignalExecution {
        /// The command.
        id: u32,
        /// The signal's number.
        signal: i32,
    },
}

/// Something that happened, as it happens.
#[derive(Debug)]
pub enum News {
    /// Host names are being looked up, which takes its time.
    LookingUp,
    /// Its sandbox has its first process.
    Born {
        /// Process 1 of the sandbox, by its number on the host.
        init: i32,
        /// The instance's cgroup.
        cgroup: Option<PathBuf>,
    },
    /// A socket that was made for the program, which further instances can share.
    Socket(OwnedFd),
    /// The program runs: execve(2) has succeeded.
    Started,
    /// A thread was refused a system call, which ends its process.
    Denied {
        /// The call's number.
        call: i32,
    },
    /// The program was asked to end and gets this long.
    Stopping {
        /// With this signal; 0 for the interrupt key of its terminal.
        signal: i32,
        /// How long.
        grace: Duration,
    },
    /// The program has ended.
    ProgramEnded(Exit),
    /// Other processes of it still run and were asked to end.
    Leftovers,
    /// The time is up: everything is ended by force.
    Killing,
    /// The other side of a command's terminal.
    Terminal {
        /// The command.
        id: u32,
        /// To read its output from, and to type into.
        master: OwnedFd,
    },
    /// A command ended. What it wrote may not all have been read yet.
    Executed {
        /// The command.
        id: u32,
        /// How; one that the end of the run ended was killed.
        exit: Exit,
    },
    /// A command was not started.
    NotExecuted {
        /// The command.
        id: u32,
        /// Why; its step means nothing.
        failure: Failure,
    },
}

/// Nobody: what happens is told to a closure, and nothing is wished for.
#[derive(Debug)]
pub struct Alone<F: FnMut(News)>(pub F);

impl<F: FnMut(News)> Companion for Alone<F> {
    fn hear(&mut self, news: News) {
        (self.0)(news);
    }
}
