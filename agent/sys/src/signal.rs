//! Signals as events: blocked in the process and read from a descriptor (signalfd(2)).
//!
//! Invariant: no signal handler runs in this workspace.

use std::os::fd::{AsFd, BorrowedFd};

use nix::sys::signal::{SigSet, SigmaskHow, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

use crate::Result;

/// Signals the agent handles or forwards, by their number.
pub mod number {
    /// Terminal hang-up.
    pub const HUP: i32 = libc::SIGHUP;
    /// Interrupt from the keyboard.
    pub const INT: i32 = libc::SIGINT;
    /// Quit from the keyboard.
    pub const QUIT: i32 = libc::SIGQUIT;
    /// Can't be caught.
    pub const KILL: i32 = libc::SIGKILL;
    /// What is no instruction was to be executed.
    pub const ILL: i32 = libc::SIGILL;
    /// A trap of a debugger, or the compiler's for what can't be.
    pub const TRAP: i32 = libc::SIGTRAP;
    /// abort(3).
    pub const ABRT: i32 = libc::SIGABRT;
    /// Memory that is not there was used.
    pub const BUS: i32 = libc::SIGBUS;
    /// An arithmetic operation has no result.
    pub const FPE: i32 = libc::SIGFPE;
    /// Memory that the process does not have was used.
    pub const SEGV: i32 = libc::SIGSEGV;
    /// User-defined.
    pub const USR1: i32 = libc::SIGUSR1;
    /// User-defined.
    pub const USR2: i32 = libc::SIGUSR2;
    /// Polite request to end.
    pub const TERM: i32 = libc::SIGTERM;
    /// Go on, after a stop.
    pub const CONT: i32 = libc::SIGCONT;
    /// A child ended.
    pub const CHLD: i32 = libc::SIGCHLD;
    /// The terminal's size changed.
    pub const WINCH: i32 = libc::SIGWINCH;
    /// A denied system call.
    pub const SYS: i32 = libc::SIGSYS;
    /// Write to a pipe nobody reads.
    pub const PIPE: i32 = libc::SIGPIPE;
    /// The highest that there is.
    pub const LAST: i32 = 64;
}

/// The signal's name, `SIGTERM`; its number where it has none.
pub fn name(number: i32) -> String {
    Signal::try_from(number)
        .map_or_else(|_| format!("signal {number}"), |signal| signal.to_string())
}

/// Blocked signals, readable one by one.
#[derive(Debug)]
pub struct Signals {
    fd: SignalFd,
}

impl Signals {
    /// Block the signals in this thread and open a descriptor that yields them. Numbers that are
    /// no signals are left out.
    ///
    /// # Errors
    /// What signalfd(2) says.
    pub fn block(numbers: &[i32]) -> Result<Self> {
        let set: SigSet =
            numbers.iter().filter_map(|number| Signal::try_from(*number).ok()).collect();
        set.thread_block()?;
        let fd = SignalFd::with_flags(&set, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?;
        Ok(Signals { fd })
    }

    /// The next pending signal's number.
    ///
    /// # Errors
    /// What read(2) says.
    pub fn next(&self) -> Result<Option<i32>> {
        Ok(self.fd.read_signal()?.map(|info| info.ssi_signo as i32))
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Give a program that is about to be executed a clean start: nothing blocked, nothing ignored.
///
/// # Errors
/// What sigprocmask(2) says.
pub fn reset() -> Result<()> {
    for number in 1..=libc::SIGRTMAX() {
        // SAFETY: SIG_DFL runs no code of ours. Numbers that can't be set (SIGKILL, SIGSTOP, the C
        // library's own) are refused without harm.
        unsafe { libc::signal(number, libc::SIG_DFL) };
    }
    nix::sys::signal::sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::empty()), None)
}
