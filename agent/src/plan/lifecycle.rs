//! How an instance begins, how it is watched and how it ends, with every default given.
//!
//! Invariant: what is waited for is there: a check where health is asked, a main port of TCP where
//! one is connected to. Pure; never asks anything of an instance.

use std::fmt;
use std::time::Duration;

use manifest_spec::command::Command;
use manifest_spec::manifest::{self, Probe, Protocol, Service, StopSignal};
use manifest_spec::quantity::Span;

use host_sys::signal;

/// Time between the request to stop and the end by force.
const GRACE: Duration = Duration::from_secs(10);

/// How long a program without a port and a check is up before it counts as ready: what ends at once
/// for a wrong argument has ended by then.
const UP: Duration = Duration::from_secs(1);

/// Time an instance may take to be ready.
const READY_WITHIN: Duration = Duration::from_secs(60);

/// Time between two health checks.
const CHECK_EVERY: Duration = Duration::from_secs(5);

/// Time one health check may take.
const CHECK_WITHIN: Duration = Duration::from_secs(1);

/// Successes in a row that make an instance ready.
const RISE: u32 = 1;

/// Failures in a row that make it unhealthy: one is a hiccup.
const FALL: u32 = 3;

/// When an instance does its work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Readiness {
    /// What shows it.
    pub by: ReadyBy,
    /// Time from its start until then; one that needs longer has failed.
    pub within: Duration,
}

/// What shows that an instance does its work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadyBy {
    /// `READY=1` of sd_notify(3).
    Notify,
    /// Its health check succeeds [`HealthCheck::rise`] times.
    Health,
    /// Its main port accepts a connection.
    Port,
    /// It has been up for this long.
    Up(Duration),
}

/// A health check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthCheck {
    /// What is asked.
    pub probe: PlannedProbe,
    /// Time between two checks.
    pub every: Duration,
    /// Time one may take.
    pub within: Duration,
    /// Successes in a row that make an instance ready.
    pub rise: u32,
    /// Failures in a row that make it unhealthy.
    pub fall: u32,
}

/// What a health check asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PlannedProbe {
    /// `GET` of this path on the main port answers 2xx or 3xx.
    Http(String),
    /// The main port accepts a connection.
    Tcp,
    /// The program, run inside, exits with 0: its words, variables expanded.
    Exec(Vec<String>),
}

/// What makes an instance of the service ready.
pub(super) fn readiness(service: &Service) -> Readiness {
    let asked = service.ready.unwrap_or_default();
    let by = match asked.by {
        Some(manifest::ReadyBy::Notify) => ReadyBy::Notify,
        Some(manifest::ReadyBy::Health) => ReadyBy::Health,
        Some(manifest::ReadyBy::Port) => ReadyBy::Port,
        Some(manifest::ReadyBy::Up(up)) => ReadyBy::Up(up.0),
        None if service.health.is_some() => ReadyBy::Health,
        None if has_port_to_try(service) => ReadyBy::Port,
        None => ReadyBy::Up(UP),
    };
    let least = match by {
        ReadyBy::Up(up) => up.saturating_add(READY_WITHIN),
        _ => READY_WITHIN,
    };
    Readiness { by, within: asked.within.map_or(least, |within| within.0) }
}

/// Whether the main port's first connection says anything: one that is handed over takes
/// connections before the program does.
fn has_port_to_try(service: &Service) -> bool {
    let main = service.ports.iter().find(|port| port.name.is_none());
    main.is_some_and(|port| port.protocol == Protocol::Tcp && !port.activate)
}

/// The service's health check; `expand` replaces variables in a command.
pub(super) fn health<E>(
    service: &Service,
    expand: impl FnOnce(&Command) -> Result<Vec<String>, E>,
) -> Result<Option<HealthCheck>, E> {
    let Some(asked) = &service.health else { return Ok(None) };
    let probe = match &asked.probe {
        Probe::Http(path) => PlannedProbe::Http(path.clone()),
        Probe::Tcp => PlannedProbe::Tcp,
        Probe::Exec(command) => PlannedProbe::Exec(expand(command)?),
    };
    Ok(Some(HealthCheck {
        probe,
        every: asked.every.map_or(CHECK_EVERY, |every| every.0),
        within: asked.within.map_or(CHECK_WITHIN, |within| within.0),
        rise: asked.rise.unwrap_or(RISE),
        fall: asked.fall.unwrap_or(FALL),
    }))
}

/// Time between the request to stop and the end by force; `said` is the command line's.
pub(super) fn grace(service: &Service, said: Option<Duration>) -> Duration {
    said.or(service.stop.grace.map(|grace| grace.0)).unwrap_or(GRACE)
}

/// What asks the program to end, by number.
pub(super) fn stop_signal(service: &Service) -> i32 {
    use signal::number;
    match service.stop.signal {
        Some(StopSignal::Hup) => number::HUP,
        Some(StopSignal::Int) => number::INT,
        Some(StopSignal::Quit) => number::QUIT,
        Some(StopSignal::Kill) => number::KILL,
        Some(StopSignal::Usr1) => number::USR1,
        Some(StopSignal::Usr2) => number::USR2,
        Some(StopSignal::Winch) => number::WINCH,
        Some(StopSignal::Term) | None => number::TERM,
    }
}

impl fmt::Display for Readiness {
    /// As the plan shows it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.by {
            ReadyBy::Notify => f.write_str("it says so (sd_notify)")?,
            ReadyBy::Health => f.write_str("its health check succeeds")?,
            ReadyBy::Port => f.write_str("its port accepts")?,
            // That it gets more time than it takes says nothing.
            ReadyBy::Up(up) => return write!(f, "up for {}", Span(up)),
        }
        write!(f, ", within {}", Span(self.within))
    }
}

impl fmt::Display for HealthCheck {
    /// As the plan shows it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.probe {
            PlannedProbe::Http(path) => write!(f, "GET {path}")?,
            PlannedProbe::Tcp => f.write_str("the port accepts")?,
            PlannedProbe::Exec(words) => f.write_str(&super::explain::shell_words(words))?,
        }
        let (every, within) = (Span(self.every), Span(self.within));
        write!(f, " every {every} within {within}, rise {}, fall {}", self.rise, self.fall)
    }
}
