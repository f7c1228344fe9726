//! Commands inside a running sandbox, beside the program: children of process 1, which already
//! stands behind every wall of the app.
//!
//! Invariant: a command is born with its three streams and nothing else of process 1's; process 1
//! keeps no end of a stream. Until it executes it is a copy of process 1 that no process of the app
//! can trace; one that stops or kills it harms only the command.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use host_sys::process::{self, Exit};
use host_sys::terminal::{self, Size};
use host_sys::{Errno, Result, file};

use super::message::{Execution, Failure, Report, Streams};
use super::program::{self, StartError};
use super::step::Program;

/// Longest word of a child about why it did not execute.
const LONGEST: usize = 4096;

/// The commands that run.
pub(super) struct Executions {
    step: usize,
    running: Vec<Running>,
}

/// One of them.
struct Running {
    id: u32,
    /// Its process, its session and its process group.
    pid: i32,
    /// What it says before it executes, if it can't.
    complaint: OwnedFd,
}

impl Executions {
    /// None yet. `step` is the index of the step that started the program: commands are started as
    /// that was, and fail as that would have.
    pub(super) fn new(step: usize) -> Self {
        Executions { step, running: Vec::new() }
    }

    /// Start one. The answer is what is to be reported at once.
    pub(super) fn start(&mut self, execution: Execution) -> Option<Report> {
        let id = execution.id;
        match self.launch(execution) {
            Ok(None) => None,
            Ok(master) => Some(Report::ExecTerminal { id, master }),
            Err(error) => Some(self.refuse(id, error)),
        }
    }

    /// The report of one that is not started.
    pub(super) fn refuse(&self, id: u32, error: StartError) -> Report {
        let error = match error.errno {
            Some(errno) if error.detail.is_empty() => {
                StartError { errno: Some(errno), detail: lacking(errno).to_owned() }
            }
            _ => error,
        };
        Report::NotExecuted { id, failure: error.at(self.step) }
    }

    /// A reason of hostctl's own.
    pub(super) fn because(detail: &str) -> StartError {
        StartError { errno: None, detail: detail.to_owned() }
    }

    /// Signal one and what it started in its group; nothing happens when it has ended.
    pub(super) fn signal(&self, id: u32, signal: i32) {
        let Some(running) = self.running.iter().find(|running| running.id == id) else { return };
        // It leads a group from a moment after its birth on. Whatever this can't signal (it may
        // have become another user) does not end the app.
        if process::kill(-running.pid, signal) == Err(Errno::ESRCH) {
            let _ = process::kill(running.pid, signal);
        }
    }

    /// A child ended; the answer is what is to be reported if it was a command.
    pub(super) fn reaped(&mut self, pid: i32, exit: Exit) -> Option<Report> {
        let place = self.running.iter().position(|running| running.pid == pid)?;
        let Running { id, complaint, .. } = self.running.swap_remove(place);
        let mut bytes = [0; LONGEST];
        // All it had to say is there, and nobody else ever had the other end.
        let length = file::read(complaint.as_fd(), &mut bytes).unwrap_or(0);
        Some(match Failure::decode(&bytes[..length]) {
            Some(failure) => Report::NotExecuted { id, failure },
            None => Report::Executed { id, exit },
        })
    }

    /// The answer is the other side of its terminal, if it has one.
    fn launch(&mut self, execution: Execution) -> std::result::Result<Option<OwnedFd>, StartError> {
        let Execution { id, arguments, environment, directory, streams } = execution;
        let program = Program { dir: directory, run: arguments, env: environment };
        let (streams, master) = match streams {
            Streams::Passed(streams) => (Place::Streams(streams), None),
            Streams::Terminal(size) => {
                let (master, slave) = open_terminal(size)?;
                (Place::Terminal(slave), Some(master))
            }
        };
        let (complaint, mouth) = file::pipe()?;
        let step = self.step;
        let pid = process::fork(|| {
            let error = match settle(&streams, mouth.as_fd()) {
                Ok(()) => program::start(&program, 0),
                Err(errno) => errno.into(),
            };
            let mut words = error.at(step).encode();
            words.truncate(LONGEST);
            let _ = file::write(mouth.as_fd(), &words);
            127
        })
        .map_err(|errno| StartError::new(errno, lacking(errno).to_owned()))?;
        self.running.push(Running { id, pid, complaint });
        Ok(master)
    }
}

/// Where a command reads from and writes to.
enum Place {
    Streams([OwnedFd; 3]),
    Terminal(OwnedFd),
}

fn open_terminal(size: Size) -> std::result::Result<(OwnedFd, OwnedFd), StartError> {
    let open = || {
        let (master, slave) = terminal::open_pair(c"/dev/ptmx")?;
        terminal::set_size(slave.as_fd(), size)?;
        Ok((master, slave))
    };
    open().map_err(|errno| StartError::new(errno, "no terminal can be opened inside".to_owned()))
}

/// In the child: a session of its own, its streams, and nothing else but where it complains.
fn settle(place: &Place, mouth: BorrowedFd<'_>) -> Result<()> {
    process::new_session()?;
    let streams = match place {
        Place::Streams(streams) => streams.each_ref(),
        Place::Terminal(slave) => {
            terminal::control(slave.as_fd())?;
            [slave; 3]
        }
    };
    for (number, fd) in (0..).zip(streams) {
        process::set_standard(number, fd.as_fd())?;
    }
    // The line to the supervisor above all.
    process::keep_only(&[mouth])?;
    host_sys::signal::reset()
}

/// What the app lacks when the kernel says this of a new process.
fn lacking(errno: Errno) -> &'static str {
    match errno {
        Errno::EAGAIN => "the app has as many processes as it may have",
        Errno::EMFILE => "process 1 of the sandbox has as many open files as the app may have",
        Errno::ENFILE => "the host has as many open files as it can have",
        Errno::ENOMEM => "the app has as much memory as it may have",
        _ => "no process can be started inside",
    }
}
