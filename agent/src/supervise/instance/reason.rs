//! What happened to an instance last, as a sentence.
//!
//! Invariant: a sentence stays true however late it is read; so it names no time of day, and the
//! reader adds when.

use std::fmt;
use std::time::Duration;

use host_sys::signal;

/// How an instance ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// The program left with this code. 0 is an end like any other: services run always.
    Exit(u8),
    /// A signal ended it.
    Signal {
        /// The signal.
        number: i32,
        /// Its memory was written to a file.
        core: bool,
    },
    /// The kernel ended it for want of memory.
    Oom,
    /// It made a system call that no app may make.
    Denied {
        /// The call, `mount(2)`.
        call: String,
    },
    /// It was asked to end, and had to be ended by force after its grace.
    Killed,
    /// There was no program yet: a lease or a step failed, which says this.
    NotStarted(String),
    /// The process that watched it is gone without a word about it.
    KeeperLost,
}

/// Why an instance is not, or was not, what it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// It ended.
    Ended(Ending),
    /// It was not ready within this time.
    Overdue(Duration),
    /// It was ready and did not serve any more; what the probe said.
    Unhealthy(String),
    /// It failed too often in a row.
    TooOften {
        /// How often.
        times: u32,
        /// The last time.
        last: Box<Reason>,
        /// The wait before each further try.
        wait: Duration,
    },
    /// What an earlier process remembered.
    Remembered(String),
}

impl Reason {
    /// The failure itself, without how often there was one.
    pub(super) fn last(self) -> Reason {
        match self {
            Reason::TooOften { last, .. } => *last,
            reason => reason,
        }
    }
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Ending::Exit(code) => write!(f, "exited with {code}"),
            Ending::Signal { number, core } => {
                let core = if *core { ", core dumped" } else { "" };
                write!(f, "ended by {}{core}", signal::name(*number))
            }
            Ending::Oom => f.write_str("used more memory than limits.memory"),
            Ending::Denied { call } => write!(f, "called {call}, which is not allowed"),
            Ending::Killed => f.write_str("did not end within its grace and was killed"),
            Ending::NotStarted(why) => write!(f, "not started: {why}"),
            Ending::KeeperLost => f.write_str("lost: the process that watched it is gone"),
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::Ended(ending) => ending.fmt(f),
            Reason::Overdue(within) => write!(f, "not ready within {}", Spoken(*within)),
            Reason::Unhealthy(said) => write!(f, "unhealthy: {said}"),
            Reason::TooOften { times, last, wait } => {
                let wait = Spoken(*wait);
                write!(f, "ended {times} times in a row, last: {last}; tried again every {wait}")
            }
            Reason::Remembered(sentence) => f.write_str(sentence),
        }
    }
}

/// A time as people say it: in the largest unit that loses nothing.
struct Spoken(Duration);

impl fmt::Display for Spoken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = self.0.as_millis();
        match millis {
            0 => f.write_str("0 s"),
            _ if !millis.is_multiple_of(1000) => write!(f, "{millis} ms"),
            _ if millis.is_multiple_of(60_000) && millis > 60_000 => {
                write!(f, "{} min", millis / 60_000)
            }
            _ => write!(f, "{} s", millis / 1000),
        }
    }
}
