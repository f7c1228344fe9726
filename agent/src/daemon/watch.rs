//! From a plan to what is watched: the same words, as they are kept with a version.

use std::time::Duration;

use super::services::{Health, Probe, ReadyBy, Watch};
use crate::plan::{HealthCheck, Plan, PlannedProbe, lifecycle};

/// When an instance of this plan counts as ready, and how it is watched.
pub(super) fn of(plan: &Plan) -> Watch {
    let ready = match plan.ready.by {
        lifecycle::ReadyBy::Notify => ReadyBy::Notify,
        lifecycle::ReadyBy::Health => ReadyBy::Health,
        lifecycle::ReadyBy::Port => ReadyBy::Port,
        lifecycle::ReadyBy::Up(up) => ReadyBy::Up(milliseconds(up)),
    };
    let within_ms = milliseconds(plan.ready.within);
    Watch { ready, within_ms, health: plan.health.as_ref().map(health) }
}

fn health(check: &HealthCheck) -> Health {
    Health {
        probe: match &check.probe {
            PlannedProbe::Http(path) => Probe::Http(path.clone()),
            PlannedProbe::Tcp => Probe::Tcp,
            PlannedProbe::Exec(command) => Probe::Exec(command.clone()),
        },
        every_ms: milliseconds(check.every),
        within_ms: milliseconds(check.within),
        rise: check.rise,
        fall: check.fall,
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
