//! The sandbox: from a plan to steps, from steps to a process behind walls.
//!
//! Owns the order in which privilege is used and given up. Invariant: [`build`] is pure and says
//! everything that will be done; what runs later is a plain walk over its list, each step done or
//! the whole start undone (the kernel undoes it: all of it lives in namespaces that die with their
//! first process).
//!
//! | module | owns |
//! | --- | --- |
//! | [`step`] | the steps as values |
//! | [`base`] | the host files behind `base = "system"` |
//! | [`seccomp`] | the system call filter |
//! | [`paths`] | finding a granted path without being led astray |
//! | [`pin`](mod@pin) | holding what is granted, before the sandbox exists |
//! | [`apply`] | doing the steps, inside |
//! | [`program`] | finding and starting the program, inside |
//! | [`init`] | process 1 of the sandbox, until the program runs |
//! | [`attend`] | process 1 from then on |
//! | [`execute`] | commands beside the program, inside |
//! | [`message`] | what inside and outside say to each other |

mod apply;
mod attend;
mod base;
mod execute;
mod init;
pub mod message;
pub mod paths;
mod pin;
mod program;
pub mod seccomp;
pub mod step;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use host_sys::limit::Limit;
use host_sys::process::Namespaces;
use manifest_spec::manifest::{Base, Destination, Network, Protocol};

use crate::network::meaning::{Answers, DNS};
use crate::network::{hosts, names};
use crate::plan::facts::{HostFacts, RootEntry};
use crate::plan::limits::counts_by_user;
use crate::plan::resolve::{LOG_SOCKET, NOTIFY_SOCKET, PORTS_BY_LANDLOCK, RESOLVED_MANIFEST};
use crate::plan::{Grant, GrantKind, Maker, Plan, PlannedAddress, PlannedPort, Wall};
use step::{Allowed, Bind, Landlock, Listen, Program, Step};

pub use init::{Sandbox, StandardStreams, Surroundings, Unfit, spawn, unfit};
pub use pin::{Pinned, pin};

/// The steps for a plan on a host, in order.
///
/// The order is the security argument: namespaces first; then mounts, while the privilege to make
/// them is there; then the host's files out of reach; then every privilege given up, the ones that
/// guard the others last (the call filter comes after everything it would refuse).
pub fn build(plan: &Plan, facts: &HostFacts) -> Vec<Step> {
    let mut steps = vec![Step::Isolate(namespaces(plan))];
    let (uid, gid) = plan.identity.ids();
    if plan.identity.is_rootless() {
        steps.push(Step::MapUser { inside: (uid, gid), outside: (facts.uid, facts.gid) });
    }
    if plan.cgroup.is_some() {
        steps.push(Step::OwnCgroups);
    }
    let sockets = sockets(plan);
    let left_late = plan.network == Network::None && !sockets.is_empty();
    steps.extend(sockets);
    if left_late {
        steps.push(Step::LeaveNetwork);
    }
    if plan.network == Network::Private {
        steps.push(Step::EnterNetwork);
    }
    steps.extend([Step::DetachMounts, Step::NewRoot]);
    steps.extend(files(plan, facts));
    steps.extend([Step::EnterRoot, Step::SealRoot]);
    steps.push(Step::Hostname(plan.app.replace('+', "-")));
    if plan.network == Network::None {
        steps.push(Step::Loopback);
    }
    steps.extend(privileges(plan, facts));
    steps.push(Step::Start(Program {
        dir: plan.dir.clone(),
        run: plan.run.clone(),
        env: plan.env.clone(),
    }));
    steps
}

fn namespaces(plan: &Plan) -> Namespaces {
    Namespaces {
        user: plan.identity.is_rootless(),
        mount: true,
        pid: true,
        ipc: true,
        uts: true,
        // The kernel would take hostctl's cgroup for the root of a namespace made at birth.
        cgroup: plan.cgroup.is_none(),
        // Sockets that are handed over are the host's: they are made before its network is left.
        net: plan.network == Network::None && sockets(plan).is_empty(),
    }
}

/// The sockets that the program gets, in its order of ports.
fn sockets(plan: &Plan) -> Vec<Step> {
    let on_host = plan.network == Network::Host;
    let listen = |port: &PlannedPort, given| {
        Step::Listen(Listen {
            protocol: port.protocol,
            port: port.port,
            own_address: on_host && matches!(plan.address, PlannedAddress::Own(_)),
            interface: port.interface.clone(),
            given,
            key: port.key.clone(),
        })
    };
    let of_port = |port: &PlannedPort| match &port.maker {
        Maker::Program => Vec::new(),
        Maker::Hostctl => vec![listen(port, None)],
        Maker::Caller(all) => all.iter().map(|place| listen(port, Some(*place))).collect(),
    };
    plan.ports.iter().flat_map(of_port).collect()
}

/// Everything that will be in view, parents first.
fn files(plan: &Plan, facts: &HostFacts) -> Vec<Step> {
    let mut steps = Vec::new();
    if plan.base == Base::System {
        steps.extend(system_base(facts));
    }
    steps.extend(identity_files(plan, facts));
    if plan.resolver {
        steps.push(resolver(plan, facts));
    }
    steps.extend(base::DEVICES.map(Step::Device));
    steps.extend(base::DEVICE_LINKS.map(|(path, target)| link(path, target)));
    steps.push(Step::Terminals);
    steps.extend(["/dev/shm", "/tmp"].map(|path| Step::Scratch { path: path.into() }));
    steps.push(Step::Processes);
    steps.extend(base::MASKED.map(|path| Step::Mask { path }));
    steps.extend(log_sockets(plan));
    steps.extend(plan.grants.iter().map(|grant| Step::Bind(bind(grant, plan))));
    steps
}

fn system_base(facts: &HostFacts) -> Vec<Step> {
    let host = |path: &str, optional: bool, exec: bool| {
        Step::Bind(Bind { exec, optional, ..own_file(path.into(), path) })
    };
    let mut steps = vec![host("/usr", false, true)];
    for (name, entry) in &facts.root_entries {
        let path = format!("/{name}");
        steps.push(match entry {
            RootEntry::Link(target) => Step::Link { path: path.into(), target: target.clone() },
            RootEntry::Directory => host(&path, false, true),
        });
    }
    steps.extend(base::COPIED.map(|path| Step::Copy { path: path.into() }));
    steps.push(link("/etc/os-release", "../usr/lib/os-release"));
    steps.extend(
        facts
            .zone
            .iter()
            .map(|zone| Step::Link { path: "/etc/localtime".into(), target: zone.clone() }),
    );
    steps.extend(base::BOUND.map(|path| host(path, true, false)));
    steps
}

/// The host's resolver; in a network of its own those of its resolvers that are reached from there.
fn resolver(plan: &Plan, facts: &HostFacts) -> Step {
    let path = PathBuf::from("/etc/resolv.conf");
    if plan.network != Network::Private {
        return Step::Copy { path };
    }
    let reached = names::reached_privately(&facts.resolvers);
    let content = reached.iter().map(|address| format!("nameserver {address}\n")).collect();
    Step::File { path, content }
}

/// What hostctl itself shows the program, for reading.
fn own_file(source: PathBuf, target: &str) -> Bind {
    Bind {
        source,
        target: target.into(),
        writable: false,
        exec: false,
        optional: false,
        identity: None,
        managed: false,
        nested: false,
        key: String::new(),
    }
}

/// Files that tell the program who and where it is.
fn identity_files(plan: &Plan, facts: &HostFacts) -> Vec<Step> {
    let (uid, gid) = plan.identity.ids();
    let name = &plan.app;
    let home = plan.env.iter().find(|(name, _)| name == "HOME").map_or("/tmp", |(_, home)| home);
    let mut users = String::from("root:x:0:0:root:/root:/usr/sbin/nologin\n");
    let mut groups = String::from("root:x:0:\n");
    if uid != 0 {
        users.push_str(&format!("{name}:x:{uid}:{gid}:{name}:{home}:/bin/sh\n"));
        groups.push_str(&format!("{name}:x:{gid}:\n"));
    }
    users.push_str("nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n");
    groups.push_str("nogroup:x:65534:\n");
    let resolved = crate::plan::explain::resolved_manifest(plan);
    let hosts = match hosts::path(plan, facts) {
        Some(source) => Step::Bind(own_file(source, "/etc/hosts")),
        None => {
            let content = hosts::content(plan, &Answers::default());
            Step::File { path: "/etc/hosts".into(), content }
        }
    };
    let file = |(path, content): (&str, _)| Step::File { path: path.into(), content };
    let [users, groups, resolved] =
        [("/etc/passwd", users), ("/etc/group", groups), (RESOLVED_MANIFEST, resolved)].map(file);
    // Else a name has the first of its addresses only (host.conf(5)).
    let several = file(("/etc/host.conf", "multi on\n".to_owned()));
    let notify = plan.notify.as_ref().map(|socket| {
        // Sending to a socket is no writing to its file system (unix(7)).
        Step::Bind(own_file(socket.clone(), NOTIFY_SOCKET))
    });
    [users, groups, hosts, several, resolved].into_iter().chain(notify).collect()
}

/// Where programs look for syslog and for the journal, and where `$LOG_SOCKET` says.
fn log_sockets(plan: &Plan) -> Vec<Step> {
    let Some(socket) = &plan.log_socket else { return Vec::new() };
    let paths = [LOG_SOCKET, "/dev/log", "/run/systemd/journal/socket"];
    // Who is granted the host's own sees that instead.
    let is_granted =
        |path: &str| plan.grants.iter().any(|grant| Path::new(path).starts_with(&grant.path));
    let own = paths.into_iter().filter(|path| !is_granted(path));
    own.map(|path| Step::Bind(own_file(socket.clone(), path))).collect()
}

fn link(path: &str, target: &str) -> Step {
    Step::Link { path: path.into(), target: target.into() }
}

fn bind(grant: &Grant, plan: &Plan) -> Bind {
    let around = |other: &Grant| other.path != grant.path && grant.path.starts_with(&other.path);
    let inside_base = plan.base == Base::System && grant.path.starts_with("/usr");
    Bind {
        source: grant.source.clone(),
        target: grant.path.clone(),
        writable: grant.kind != GrantKind::Read,
        exec: grant.exec,
        optional: false,
        identity: None,
        managed: grant.kind == GrantKind::Managed,
        nested: inside_base || plan.grants.iter().any(around),
        key: grant.key.clone(),
    }
}

/// Everything given up, the guards of the others last.
fn privileges(plan: &Plan, facts: &HostFacts) -> Vec<Step> {
    let (uid, gid) = plan.identity.ids();
    let mut steps = vec![
        Step::Limit { limit: Limit::Core, value: plan.limits.core },
        Step::Limit { limit: Limit::Files, value: u64::from(plan.limits.files) },
    ];
    if let Some(processes) = plan.limits.processes.filter(|_| counts_by_user(plan)) {
        // The sandbox's own process 1 runs under the same uid.
        let value = u64::from(processes) + 1;
        steps.push(Step::Limit { limit: Limit::Processes, value });
    }
    steps.push(Step::LimitCapabilities(plan.capabilities.clone()));
    if !plan.identity.is_rootless() {
        steps.push(Step::LeaveGroups);
    }
    steps.push(Step::BecomeUser { uid, gid, capabilities: plan.capabilities.clone() });
    steps.push(Step::NoNewPrivileges);
    if facts.landlock > 0 {
        steps.push(Step::Landlock(landlock(plan, facts)));
    }
    let judged = matches!(plan.wall, Wall::Empty | Wall::Cgroup);
    steps.push(Step::FilterCalls {
        capabilities: plan.capabilities.clone(),
        syscalls: plan.syscalls.clone(),
        datagrams: judged || plan.needs_datagrams(),
        groups: plan.joins_groups(),
        fast_open: judged,
        notify: facts.notify,
    });
    steps
}

fn landlock(plan: &Plan, facts: &HostFacts) -> Landlock {
    let mut rules: Vec<(PathBuf, Allowed)> = vec![
        ("/".into(), Allowed::Read),
        ("/dev".into(), Allowed::Devices),
        ("/dev/shm".into(), Allowed::Write),
        ("/tmp".into(), Allowed::Write),
    ];
    if plan.base == Base::System {
        rules.push(("/usr".into(), Allowed::Execute));
        let directories =
            facts.root_entries.iter().filter(|(_, entry)| *entry == RootEntry::Directory);
        rules.extend(directories.map(|(name, _)| (Path::new("/").join(name), Allowed::Execute)));
    }
    rules.extend(plan.grants.iter().map(|grant| {
        let allowed = match (grant.kind, grant.exec) {
            (GrantKind::Read, true) => Allowed::Execute,
            (GrantKind::Read, false) => Allowed::Read,
            (_, true) => Allowed::All,
            (_, false) => Allowed::Write,
        };
        (grant.path.clone(), allowed)
    }));
    let mut seen = BTreeSet::new();
    rules.retain(|(path, _)| seen.insert(path.clone()));
    let ports = facts.landlock >= PORTS_BY_LANDLOCK && plan.wall != Wall::Empty;
    let bind = ports.then(|| bindable(plan));
    let connect = ports.then(|| connectable(plan)).flatten();
    Landlock { abi: facts.landlock, rules, bind, connect }
}

/// TCP ports that may be bound: the program's own, and any that the kernel chooses for a client.
fn bindable(plan: &Plan) -> Vec<u16> {
    let own = plan.ports.iter().filter(|port| port.protocol == Protocol::Tcp);
    let mut ports: Vec<_> = own.map(|port| port.inside).collect();
    if !plan.connect.is_empty() || !plan.needs.is_empty() {
        ports.push(0);
    }
    ports
}

/// TCP ports that may be connected to, if they can be listed.
fn connectable(plan: &Plan) -> Option<Vec<u16>> {
    let mut ports: Vec<u16> = plan
        .connect
        .iter()
        .map(|destination| match destination {
            Destination::Anywhere => None,
            Destination::Network { port, .. } | Destination::Host { port, .. } => *port,
        })
        .collect::<Option<_>>()?;
    let own = plan.ports.iter().filter(|port| port.protocol == Protocol::Tcp);
    ports.extend(own.map(|port| port.inside));
    ports.extend(plan.needs.iter().filter_map(|need| need.port));
    ports.extend(plan.resolver.then_some(DNS));
    ports.sort_unstable();
    ports.dedup();
    Some(ports)
}
