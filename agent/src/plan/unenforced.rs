//! What this version, this host or this mode does not do: refused, or named before the start.
//!
//! Invariant: nothing a manifest says is ignored in silence. Every key is either in force, in the
//! list of [`unenforced`] promises, or refused by [`unsupported`].

use manifest_spec::Diagnostic;
use manifest_spec::manifest::{Manifest, Network, Service};

use super::limits::unheld;
use super::resolve::{Keeper, Settings};
use super::{HostFacts, Maker, Plan, PlannedPort, Unenforced, Wall};

/// Landlock ABI from which abstract Unix sockets of the host are out of reach (kernel 6.12).
const SCOPED_SOCKETS: u32 = 6;

/// Capabilities that undo what is said of ports, destinations and interfaces: packets made by hand,
/// routes and rules of the host's network, other namespaces, eBPF.
const MIGHTY: [&str; 4] = ["CAP_NET_RAW", "CAP_NET_ADMIN", "CAP_SYS_ADMIN", "CAP_BPF"];

/// Why what goes by host names is not done.
const BALANCER: &str = "this version has no front for HTTP";

/// Why nothing of it is done for this service here.
const UNBALANCED: &str =
    "no balancer stands before it: hostd has one, as root, for ports that the program binds";

/// Keys that this version can't honour and that would mislead if they were left aside.
pub(super) fn unsupported(
    manifest: &Manifest,
    service: &Service,
    prefix: &str,
    keeper: Keeper,
) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    let mut refuse = |key: String, what: &str, hint: String| {
        let message = format!("{what} in this version");
        found.push(Diagnostic::new(key, message).with_hint(hint));
    };
    for hook in &manifest.hooks {
        let key = format!("hooks.{}", hook.name);
        refuse(key.clone(), "hooks can't be run", format!("leave it out with --unset {key}"));
    }
    if keeper == Keeper::Foreground && service.count.is_some_and(|count| count > 1) {
        let what = "only one instance runs in the foreground";
        refuse(format!("{prefix}count"), what, format!("add --set {prefix}count=1"));
    }
    if service.idle.is_some() {
        let key = format!("{prefix}idle");
        refuse(
            key.clone(),
            "scaling to zero is not done",
            format!("leave it out with --unset {key}"),
        );
    }
    found
}

/// The key of a port in the manifest.
pub(super) fn port_key(prefix: &str, name: Option<&str>) -> String {
    name.map_or_else(|| format!("{prefix}port"), |name| format!("{prefix}ports.{name}"))
}

/// What of the network no wall guards here, and why.
fn open_network(plan: &Plan, facts: &HostFacts) -> Option<(&'static str, String)> {
    let why = match () {
        () if plan.identity.is_rootless() => "without root there are no eBPF programs",
        () if facts.cgroups.plain.is_none() => "no cgroup v2 hierarchy is mounted",
        () => "the kernel takes no eBPF programs from this process",
    };
    match plan.wall {
        Wall::Empty | Wall::Cgroup => None,
        Wall::Landlock if plan.needs_datagrams() => Some((
            "UDP, interfaces, addresses, and ports the kernel chooses",
            format!("{why}; Landlock holds the program to its TCP ports"),
        )),
        Wall::Landlock => Some((
            "interfaces, addresses, and ports the kernel chooses",
            format!("{why}; Landlock holds the program to its TCP ports, and it gets no UDP"),
        )),
        Wall::Open => Some((
            "ports and destinations",
            format!(
                "{why}, and no Landlock of kernel 6.7: the program may bind any port and connect to anything"
            ),
        )),
    }
}

/// Promises that are not kept for this plan on this host.
pub(super) fn unenforced(
    plan: &Plan,
    manifest: &Manifest,
    service: &Service,
    facts: &HostFacts,
    settings: &Settings,
) -> Vec<Unenforced> {
    let mut found = unheld(plan, facts);
    let mut name = |strict: bool, what: &str, why: &str| {
        let (what, why) = (what.to_owned(), why.to_owned());
        found.push(Unenforced { what, why, strict, demanded: false });
    };
    if let Some((what, why)) = open_network(plan, facts) {
        name(true, what, &why);
    }
    let foreign =
        |port: &&PlannedPort| matches!(port.maker, Maker::Caller(_)) && !settings.own_sockets;
    for port in plan.ports.iter().filter(foreign) {
        name(
            true,
            &format!("rules on connections of port {}", port.port),
            "its socket was made by whoever started hostctl, and belongs to that one's cgroup",
        );
    }
    let mighty = |one: &&String| MIGHTY.contains(&one.as_str());
    if let Some(capability) = plan.capabilities.iter().find(mighty)
        && plan.wall == Wall::Cgroup
    {
        let why = format!("with {capability} the program can get around every rule on them");
        name(true, "ports, destinations and interfaces", &why);
    }
    if plan.identity.is_rootless() {
        name(
            true,
            "a uid of its own",
            "without root the program runs under your uid, which your other sandboxes share",
        );
        name(
            true,
            "leaving your groups",
            "without root your supplementary groups stay in force, for what the grants show",
        );
    }
    if plan.network == Network::Host && facts.landlock < SCOPED_SOCKETS {
        name(
            true,
            "abstract sockets",
            "the program may connect to the host's: Landlock keeps them apart only from kernel 6.12 on",
        );
    }
    if plan.network == Network::Private && !facts.forwards_ipv6 {
        name(
            false,
            "IPv6",
            "this host does not forward it, and the kernel can't for one interface before 6.17: the program has it only towards the host",
        );
    }
    if !manifest.policies.is_empty() && plan.balanced.is_none() {
        name(false, "policies", UNBALANCED);
    }
    if facts.landlock == 0 {
        name(
            false,
            "Landlock",
            "this kernel has none, or it is switched off; the mount namespace is the only wall for files",
        );
    }
    if !facts.notify {
        name(false, "naming denied system calls", "this kernel has no seccomp notifications");
    }
    if service.route.is_some() {
        name(false, "route", BALANCER);
    }
    let foreground = settings.keeper == Keeper::Foreground;
    if service.health.is_some() && foreground {
        name(false, "health", "this version does not check health in the foreground");
    }
    if service.ready.is_some() && foreground {
        name(false, "ready", "nothing waits for a service in the foreground");
    }
    let balancing = [
        ("policy", service.policy.is_some()),
        ("affinity", service.affinity.is_some()),
        ("unserved", service.unserved.is_some()),
        ("listen", service.ports.iter().any(|port| port.listen.is_some())),
    ];
    for (key, _) in balancing.iter().filter(|(_, said)| *said && plan.balanced.is_none()) {
        name(false, key, UNBALANCED);
    }
    if !plan.needs.is_empty() && foreground {
        let names: Vec<_> = plan.needs.iter().map(|need| need.name.as_str()).collect();
        let what = format!("needs {}", names.join(", "));
        name(
            false,
            &what,
            "with --service it runs alone: start what it needs first, or leave out --service",
        );
    }
    found
}
