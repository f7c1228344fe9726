//! The boundary of one instance: its cgroup, the rules in force on it, and their upkeep while the
//! instance runs.
//!
//! Invariant: it stands before the instance has a process; what it can't find out again stays as it
//! was. Dropped after the instance's last process, it leaves nothing.

use std::collections::BTreeMap;
use std::fmt;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use manifest_spec::manifest::Network;

use super::address::Added;
use super::cgroup::{Cgroup, CgroupError};
use super::enforcement::{Enforcement, EnforcementError};
use super::hosts::{Hosts, HostsError};
use super::link::{LinkError, LinkMonitor};
use super::meaning::{self, Answers};
use super::names::{self, Lookup, NameError};
use super::pool::Pool;
use super::private::{self, PrivateError, PrivateNetwork};
use super::scope::{self, Scope, ScopeError};
use crate::lease::holder::Process;
use crate::plan::{self, HostFacts, Plan, PlannedAddress};

/// How often host names are looked up again.
const REFRESH: Duration = Duration::from_secs(30);

/// Why the boundary does not stand.
#[derive(Debug)]
pub enum BoundaryError {
    /// There is no cgroup.
    Cgroup(CgroupError),
    /// systemd made no scope for it.
    Scope(ScopeError),
    /// The rules are not in force.
    Enforcement(EnforcementError),
    /// A destination has no address: its key.
    Name(String, NameError),
    /// An interface does not exist: its key, its name, those that do.
    Interface(String, String, Vec<String>),
    /// The file of host names can't be written.
    Hosts(HostsError),
    /// The instance's own address, or watching interfaces.
    Link(LinkError),
    /// The network of its own.
    Private(PrivateError),
}

impl fmt::Display for BoundaryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BoundaryError::Cgroup(error) => error.fmt(f),
            BoundaryError::Scope(error) => error.fmt(f),
            BoundaryError::Enforcement(error) => error.fmt(f),
            BoundaryError::Name(_, error) => error.fmt(f),
            BoundaryError::Interface(_, name, _) => write!(f, "this host has no interface {name}"),
            BoundaryError::Hosts(error) => error.fmt(f),
            BoundaryError::Link(error) => error.fmt(f),
            BoundaryError::Private(error) => error.fmt(f),
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
    monitor: Option<LinkMonitor>,
    hosts: Option<Hosts>,
    // In this order: the rules go with the cgroup.
    wall: Option<Wall>,
    network: Option<PrivateNetwork>,
    _address: Option<Added>,
}

/// Rules and the cgroup they are on, dropped in this order.
#[derive(Debug)]
struct Wall {
    enforcement: Enforcement,
    cgroup: Cgroup,
    /// What systemd made it in, until the instance is in it.
    scope: Option<Scope>,
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
        let resolvers = match plan.network {
            Network::Private => names::reached_privately(&facts.resolvers),
            _ => facts.resolvers.clone(),
        };
        let answers = Answers { names: named, resolvers, interfaces };
        let hosts = match all.is_empty() {
            true => None,
            false => Some(Hosts::write(plan, facts, &answers).map_err(BoundaryError::Hosts)?),
        };
        // systemd's answer takes a child that keeps for a moment what is open here: before the rest.
        let place = match plan.wall {
            plan::Wall::Cgroup => Some(place(plan, facts)?),
            _ => None,
        };
        let _address = own_address(plan, facts)?;
        let network = meaning::layout(plan, &answers)
            .map(|layout| private::build(&layout, &facts.directories))
            .transpose()
            .map_err(BoundaryError::Private)?;
        let rules = meaning::rules(plan, &answers);
        let wall = place.map(|(cgroup, scope)| {
            let enforcement = Enforcement::attach(cgroup.as_fd(), &rules)?;
            Ok(Wall { enforcement, cgroup, scope })
        });
        let wall = wall.transpose().map_err(BoundaryError::Enforcement)?;
        let next = (!all.is_empty()).then(|| Instant::now() + REFRESH);
        let names = Names { all, asked: Vec::new(), next };
        let watches = !answers.interfaces.is_empty() || network.is_some();
        let monitor = watches.then(LinkMonitor::open).transpose().map_err(BoundaryError::Link)?;
        let mut boundary = Boundary {
            plan: plan.clone(),
            answers,
            names,
            monitor,
            hosts,
            wall,
            network,
            _address,
        };
        // What came or went before the monitor listened.
        if boundary.look_at_interfaces() {
            boundary.apply()?;
        }
        Ok(boundary)
    }

    /// The network that was built for the instance.
    pub fn network(&self) -> Option<BorrowedFd<'_>> {
        self.network.as_ref().map(PrivateNetwork::namespace)
    }

    /// Where the instance is to be born.
    pub fn cgroup(&self) -> Option<BorrowedFd<'_>> {
        self.wall.as_ref().map(|wall| wall.cgroup.as_fd())
    }

    /// The instance has its first process now.
    pub fn inhabited(&mut self) {
        if let Some(scope) = self.wall.as_mut().and_then(|wall| wall.scope.take()) {
            scope.release();
        }
    }

    /// Readable (poll) when [`Boundary::tend`] has something to do.
    pub fn sources(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        let asked = self.names.asked.iter().filter_map(Lookup::source);
        asked.chain(self.monitor.iter().map(AsFd::as_fd))
    }

    /// When [`Boundary::tend`] has something to do at the latest.
    pub fn deadline(&self) -> Option<Instant> {
        self.names.next
    }

    /// Take in what changed; `ready` are the places of readable sources.
    pub fn tend(&mut self, ready: &[usize]) {
        let mut changed = false;
        for place in ready.iter().rev() {
            if *place >= self.names.asked.len() {
                changed |= self.look_at_interfaces();
                continue;
            }
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
            // What can't be changed stays as it was.
            let _ = self.apply();
        }
    }

    /// Take in which interfaces there are now; whether rules depend on what changed.
    fn look_at_interfaces(&mut self) -> bool {
        let Some(monitor) = &self.monitor else { return false };
        // A monitor that fails has heard of something: look.
        let _ = monitor.changed();
        if let Some(network) = &mut self.network {
            let _ = network.refresh();
        }
        let named = meaning::interfaces(&self.plan).into_iter();
        let found = named.filter_map(|(name, _)| {
            host_sys::net::interface_index(&name).map(|index| (name, index))
        });
        let found: BTreeMap<_, _> = found.collect();
        let changed = found != self.answers.interfaces;
        self.answers.interfaces = found;
        changed
    }

    /// The new rules first, then, only if they are in force, the names that lead to them.
    fn apply(&mut self) -> Result<(), BoundaryError> {
        let rules = meaning::rules(&self.plan, &self.answers);
        if let Some(Wall { enforcement, cgroup, .. }) = &mut self.wall {
            enforcement.change(cgroup.as_fd(), &rules).map_err(BoundaryError::Enforcement)?;
        }
        if let Some(hosts) = &mut self.hosts {
            hosts.rewrite(&self.plan, &self.answers);
        }
        Ok(())
    }
}

/// The instance's cgroup, and the scope it is in where systemd runs the host: below systemd's own
/// only what it has handed over is ours.
fn place(plan: &Plan, facts: &HostFacts) -> Result<(Cgroup, Option<Scope>), BoundaryError> {
    let none = || BoundaryError::Cgroup(CgroupError::NotMounted);
    let own = facts.cgroup.as_deref().ok_or_else(none)?;
    let process = Process::of(host_sys::process::pid()).ok_or_else(none)?;
    let instance = plan.instance_name();
    let scope = match facts.systemd && !scope::delegated(own) {
        true => {
            let name = format!("hostctl-{instance}-{}", process.pid);
            let description = format!("hostctl run: {instance}");
            Some(scope::start(&name, &description).map_err(BoundaryError::Scope)?)
        }
        false => None,
    };
    let parent = scope.as_ref().map_or(own, |scope| &scope.path);
    let cgroup = Cgroup::make(parent, &instance, process).map_err(BoundaryError::Cgroup)?;
    Ok((cgroup, scope))
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

/// An address of its own, on the host's network.
fn own_address(plan: &Plan, facts: &HostFacts) -> Result<Option<Added>, BoundaryError> {
    match plan.address {
        PlannedAddress::Own(Some(own)) if plan.network == Network::Host => {
            Added::add(own, Pool(plan.addresses), &facts.directories)
                .map(Some)
                .map_err(BoundaryError::Link)
        }
        _ => Ok(None),
    }
}
