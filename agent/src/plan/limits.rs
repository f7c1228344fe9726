//! Which limits the kernel holds an instance to here, by what, and what of them it does not.
//!
//! Invariant: pure; every limit of a plan is held by a controller or by setrlimit(2), or is in the
//! answer of [`unheld`].

use super::{HostFacts, Identity, Plan, PlannedCgroup, PlannedLimits, Unenforced, Wall};
use crate::cgroup::Controller;

/// The cgroup that an instance is born in: where its limits can be held if any can, else where it is
/// held to its ports and destinations, if it is.
pub(super) fn cgroup(
    limits: &PlannedLimits,
    wall: Wall,
    facts: &HostFacts,
    counted: bool,
) -> Option<PlannedCgroup> {
    let cgroups = &facts.cgroups;
    let controllers: Vec<_> =
        asked(limits).filter(|one| cgroups.controllers.contains(one)).collect();
    let place = match controllers.is_empty() {
        false => cgroups.limited.clone(),
        true => {
            let needed = wall == Wall::Cgroup || counted;
            cgroups.plain.clone().filter(|_| needed)
        }
    };
    place.map(|place| PlannedCgroup { place, controllers })
}

/// Controllers that hold what is limited.
fn asked(limits: &PlannedLimits) -> impl Iterator<Item = Controller> {
    let is_asked = |controller: Controller| match controller {
        Controller::Memory => limits.memory.is_some(),
        Controller::Cpu => limits.cpu.is_some(),
        Controller::Pids => limits.processes.is_some(),
        Controller::Io => limits.io.is_some(),
    };
    Controller::ALL.into_iter().filter(move |one| is_asked(*one))
}

/// Whether setrlimit(2) holds the number of processes: where no controller does. It counts per uid,
/// all instances of an app together, and not at all for uid 0.
pub fn counts_by_user(plan: &Plan) -> bool {
    plan.limits.processes.is_some()
        && !plan.is_held(Controller::Pids)
        && plan.identity != Identity::Root
}

/// Limits that nothing holds.
pub(super) fn unheld(plan: &Plan, facts: &HostFacts) -> Vec<Unenforced> {
    let by_user = counts_by_user(plan);
    let free = |one: &Controller| {
        let by_limit = *one == Controller::Pids && by_user;
        !plan.is_held(*one) && !by_limit
    };
    let told = |one: Controller| {
        let why = facts
            .cgroups
            .lack(one)
            .map(|lack| format!("{}: {}", lack.reason(one), lack.remedy(one)));
        Unenforced {
            what: one.key().to_owned(),
            why: why.unwrap_or_default(),
            strict: true,
            demanded: true,
        }
    };
    asked(&plan.limits).filter(free).map(told).collect()
}
