//! The boundary of one instance: its cgroup, the rules in force on it, and their upkeep while the
//! instance runs.
//!
//! Invariant: it stands before the instance has a process; what it can't find out again stays as it
//! was. Dropped after the instance's last process, it leaves nothing.

use std::collections::BTreeMap;
use std::fmt;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::time::{Duration, Instant};

use super::cgroup::{Cgroup, CgroupError};
use super::enforcement::{Enforcement, EnforcementError};
use super::hosts::{Hosts, HostsError};
use super::meaning::{self, Answers};
use super::names::{self, Lookup, NameError};
use crate::lease::holder::Process;
use crate::plan::{HostFacts, Plan, Wall};

/// How often host names are looked up again.
const REFRESH: Duration = Duration::from_secs(30);

/// Why the boundary does not stand.
#[derive(Debug)]
pub enum BoundaryError {
    /// There is no cgroup.
    Cgroup(CgroupError),
    /// The rules are not in force.
    Enforcement(EnforcementError),
    /// A destination has no address: its key.
    Name(String, NameError),
    /// An interface does not exist: its key, its name, those that do.
    Interface(String, String, Vec<String>),
    /// The file of host names can't be written.
    Hosts(HostsError),
}

impl fmt::Display for BoundaryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BoundaryError::Cgroup(error) => error.fmt(f),
            BoundaryError::Enforcement(error) => error.fmt(f),
            BoundaryError::Name(_, error) => error.fmt(f),
            BoundaryError::Interface(_, name, _) => write!(f, "this host has no interface {name}"),
            BoundaryError::Hosts(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for BoundaryError {}

/// A boundary that stands.
#[derive(Debug)]
pub struct Boundary {
    plan: Plan,
    answers: Answers,
    names: Names,
    hosts: Option<Hosts>,
    // In this order: the rules go with the cgroup.
    wall: Option<(Enforcement, Cgroup)>,
}

/// Host names that are looked up again from time to time.
#[derive(Debug)]
struct Names {
    all: Vec<String>,
    asked: Vec<Lookup>,
    next: Option<Instant>,
}

impl Boundary {
    /// Find out what the plan's words mean, and hold whoever will be born in the cgroup to it.
    /// `waiting` is called when that takes long.
    ///
    /// # Errors
    /// The program must not be started then.
    pub fn raise(
        plan: &Plan,
        facts: &HostFacts,
        waiting: &mut dyn FnMut(),
    ) -> Result<Boundary, BoundaryError> {
        let interfaces = interfaces(plan)?;
        let all = meaning::names(plan);
        let named = names::look_up(&all, waiting).map_err(|error| unknown(plan, error))?;
        let resolvers = match plan.resolver {
            true => names::resolvers(&read("/etc/resolv.conf")),
            false => Vec::new(),
        };
        let answers = Answers { names: named, resolvers, interfaces };
        let hosts = match all.is_empty() {
            true => None,
            false => Some(Hosts::write(plan, facts, &answers).map_err(BoundaryError::Hosts)?),
        };
        let wall = match plan.wall {
            Wall::Cgroup => Some(hold(plan, facts, &answers)?),
            _ => None,
        };
        let next = (!all.is_empty()).then(|| Instant::now() + REFRESH);
        let names = Names { all, asked: Vec::new(), next };
        Ok(Boundary { plan: plan.clone(), answers, names, hosts, wall })
    }

    /// Where the instance is to be born.
    pub fn cgroup(&self) -> Option<BorrowedFd<'_>> {
        self.wall.as_ref().map(|(_, cgroup)| cgroup.as_fd())
    }

    /// Readable (poll) when [`Boundary::tend`] has something to do.
    pub fn sources(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.names.asked.iter().filter_map(Lookup::source)
    }

    /// When [`Boundary::tend`] has something to do at the latest.
    pub fn deadline(&self) -> Option<Instant> {
        self.names.next
    }

    /// Take in what changed; `ready` are the places of readable sources.
    pub fn tend(&mut self, ready: &[usize]) {
        let mut changed = false;
        for place in ready.iter().rev() {
            let lookup = self.names.asked.swap_remove(*place);
            let name = lookup.name().to_owned();
            // A resolver that does not answer now has not taken anything back.
            if let Ok(found) = lookup.answer() {
                changed |= self.answers.names.insert(name, found.clone()) != Some(found);
            }
        }
        if self.names.next.is_some_and(|next| next <= Instant::now()) {
            self.names.asked = self.names.all.iter().flat_map(|name| Lookup::start(name)).collect();
            self.names.next = Some(Instant::now() + REFRESH);
        }
        if changed {
            self.apply();
        }
    }

    /// The new rules first, then the names that lead to them.
    fn apply(&mut self) {
        let rules = meaning::rules(&self.plan, &self.answers);
        if let Some((enforcement, cgroup)) = &mut self.wall {
            // What can't be changed stays as it was: narrower or older, never wider.
            let _ = enforcement.change(cgroup.as_fd(), &rules);
        }
        if let Some(hosts) = &mut self.hosts {
            hosts.rewrite(&self.plan, &self.answers);
        }
    }
}

/// The cgroup, with the rules on it.
fn hold(
    plan: &Plan,
    facts: &HostFacts,
    answers: &Answers,
) -> Result<(Enforcement, Cgroup), BoundaryError> {
    let none = BoundaryError::Cgroup(CgroupError::NotMounted);
    let parent = facts.cgroup.as_deref().ok_or(none)?;
    let own = Process::of(host_sys::process::pid())
        .ok_or(BoundaryError::Cgroup(CgroupError::NotMounted))?;
    let cgroup = Cgroup::make(parent, &plan.instance_name(), own).map_err(BoundaryError::Cgroup)?;
    let rules = meaning::rules(plan, answers);
    let enforcement =
        Enforcement::attach(cgroup.as_fd(), &rules).map_err(BoundaryError::Enforcement)?;
    Ok((enforcement, cgroup))
}

/// Every interface that the plan names, by index.
fn interfaces(plan: &Plan) -> Result<BTreeMap<String, u32>, BoundaryError> {
    let mut found = BTreeMap::new();
    for (name, key) in meaning::interfaces(plan) {
        let Some(index) = host_sys::net::interface_index(&name) else {
            return Err(BoundaryError::Interface(key, name, host_sys::net::interface_names()));
        };
        found.insert(name, index);
    }
    Ok(found)
}

fn unknown(plan: &Plan, error: NameError) -> BoundaryError {
    let name = match &error {
        NameError::Unknown(name) | NameError::Slow(name) => name.as_str(),
        NameError::Program(_) => "",
    };
    let place = plan
        .connect
        .iter()
        .position(|one| one.to_string().rsplit_once(':').is_some_and(|(host, _)| host == name));
    let index = place.map(|place| format!("[{place}]")).unwrap_or_default();
    BoundaryError::Name(format!("{}access.connect{index}", plan.key_prefix), error)
}

fn read(path: &str) -> String {
    std::fs::read_to_string(Path::new(path)).unwrap_or_default()
}
