//! The boundary of one instance: its cgroup with its limits, the rules in force on it, and their
//! upkeep while the instance runs.
//!
//! Invariant: it stands before the instance has a process; what it can't find out again stays as it
//! was. Dropped after the instance's last process, it leaves nothing.

use std::collections::BTreeMap;
use std::fmt;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::time::{Duration, Instant};

use manifest_spec::manifest::Network;

use super::address::Added;
use super::enforcement::{Enforcement, EnforcementError};
use super::hosts::{Hosts, HostsError};
use super::link::{LinkError, LinkMonitor};
use super::meaning::{self, Answers};
use super::names::{self, Lookup, NameError};
use super::pool::Pool;
use super::private::{self, PrivateError, PrivateNetwork};
use crate::cgroup::{CgroupError, Home, OutOfMemory};
use crate::plan::{self, HostFacts, Plan, PlannedAddress};

/// How often host names are looked up again.
const REFRESH: Duration = Duration::from_secs(30);

/// Why the boundary does not stand.
#[derive(Debug)]
pub enum BoundaryError {
    /// There is no cgroup, or not with its limits.
    Cgroup(CgroupError),
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
    enforcement: Option<Enforcement>,
    home: Option<Home>,
    network: Option<PrivateNetwork>,
    _address: Option<Added>,
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
        let home = plan
            .cgroup
            .as_ref()
            .map(|planned| Home::make(planned, &plan.limits, &plan.instance_name()))
            .transpose()
            .map_err(BoundaryError::Cgroup)?;
        let _address = own_address(plan, facts)?;
        let network = meaning::layout(plan, &answers)
            .map(|layout| private::build(&layout, &facts.directories))
            .transpose()
            .map_err(BoundaryError::Private)?;
        let rules = meaning::rules(plan, &answers);
        let walled = home.as_ref().filter(|_| plan.wall == plan::Wall::Cgroup);
        let enforcement = walled
            .map(|home| Enforcement::attach(home.as_fd(), &rules))
            .transpose()
            .map_err(BoundaryError::Enforcement)?;
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
            enforcement,
            home,
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
        self.home.as_ref().map(AsFd::as_fd)
    }

    /// Whether the kernel ended something of the instance for want of memory.
    pub fn out_of_memory(&self) -> Option<OutOfMemory> {
        self.cgroup().and_then(OutOfMemory::look)
    }

    /// Its place on the host.
    pub fn cgroup_path(&self) -> Option<&Path> {
        self.home.as_ref().map(Home::path)
    }

    /// The instance has its first process now.
    pub fn inhabited(&mut self) {
        self.home.iter_mut().for_each(Home::inhabited);
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
        if let (Some(enforcement), Some(home)) = (&mut self.enforcement, &self.home) {
            enforcement.change(home.as_fd(), &rules).map_err(BoundaryError::Enforcement)?;
        }
        if let Some(hosts) = &mut self.hosts {
            hosts.rewrite(&self.plan, &self.answers);
        }
        Ok(())
    }
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
