//! How an instance begins, how it is watched and how it ends.
//!
//! Invariant: `None` means the default of the agent. Never says what is done about it.

use serde::Serialize;

use crate::command::Command;
use crate::quantity::Span;

/// A health check with its timing; `None` means the default of the agent.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Health {
    /// What is asked.
    pub probe: Probe,
    /// Time between two checks.
    pub every: Option<Span>,
    /// Time one check may take.
    pub within: Option<Span>,
    /// Successes in a row that make an instance ready.
    pub rise: Option<u32>,
    /// Failures in a row that make it unhealthy.
    pub fall: Option<u32>,
}

/// When an instance does its work; `None` means the default of the agent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Ready {
    /// What shows it.
    pub by: Option<ReadyBy>,
    /// Time it may take before it counts as failed.
    pub within: Option<Span>,
}

/// What shows that an instance does its work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ReadyBy {
    /// The program says so: `READY=1` (sd_notify(3)).
    Notify,
    /// Its health check succeeds.
    Health,
    /// Its main port accepts a connection.
    Port,
    /// It has been up for this long.
    Up(Span),
}

/// How an instance is stopped; `None` means the default of the agent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Stop {
    /// What asks the program to end.
    pub signal: Option<StopSignal>,
    /// Time between that and the end by force.
    pub grace: Option<Span>,
}

/// The signals that programs take as a request to end (signal(7)).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum StopSignal {
    /// Terminal hang-up.
    Hup,
    /// Interrupt from the keyboard.
    Int,
    /// Quit from the keyboard; to some servers, after what they are at.
    Quit,
    /// Can't be caught: no time to tidy up.
    Kill,
    /// User-defined.
    Usr1,
    /// User-defined.
    Usr2,
    /// The polite request.
    Term,
    /// Changed terminal; to some servers, after what they are at.
    Winch,
}

impl StopSignal {
    /// All of them, by their number on most machines.
    pub const ALL: [Self; 8] = [
        Self::Hup,
        Self::Int,
        Self::Quit,
        Self::Kill,
        Self::Usr1,
        Self::Usr2,
        Self::Term,
        Self::Winch,
    ];

    /// The name without SIG.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hup => "HUP",
            Self::Int => "INT",
            Self::Quit => "QUIT",
            Self::Kill => "KILL",
            Self::Usr1 => "USR1",
            Self::Usr2 => "USR2",
            Self::Term => "TERM",
            Self::Winch => "WINCH",
        }
    }
}

/// What a health check asks.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Probe {
    /// `GET` of this path on the main port answers 2xx or 3xx.
    Http(String),
    /// The main port accepts a connection.
    Tcp,
    /// The program exits with 0.
    Exec(Command),
}
