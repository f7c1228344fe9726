//! From a manifest to a plan: every default, and the host policy's word.
//!
//! Owns all defaults of hostctl. Invariant: pure; a value of the manifest is used as it is or
//! refused, never changed. Every error names the key.

use std::net::Ipv4Addr;
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use manifest_spec::manifest::{
    Address, Base, Destination, Listen, Manifest, Network, Port, Protocol, Service,
};
use manifest_spec::names::ServiceName;
use manifest_spec::policy::HostPolicy;
use manifest_spec::{Diagnostic, Diagnostics};

use super::balanced;
use super::environment::fill;
use super::grants::Context;
use super::lifecycle;
use super::limits::cgroup;
use super::logs::{PlannedLogs, logs};
use super::permit::{identify, limits, permit};
use super::unenforced::{port_key, unenforced, unsupported};
use super::{Grant, HostFacts, Identity, Maker, Need, Plan, PlannedAddress, PlannedPort, Wall};
use crate::keep::assignment::Deployer;
use crate::network::private::GATEWAY;
use crate::network::rules::OwnAddress;

/// Search path inside every sandbox.
pub const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Where the program finds the resolved manifest.
pub const RESOLVED_MANIFEST: &str = "/run/hostctl/manifest.json";

/// Where the program can log without its streams, if somebody collects its output.
pub const LOG_SOCKET: &str = "/run/hostctl/log";

/// Where the program says that it is ready (sd_notify(3)), if somebody listens.
pub const NOTIFY_SOCKET: &str = "/run/hostctl/notify";

/// Landlock ABI with rules for TCP ports (kernel 6.7).
pub const PORTS_BY_LANDLOCK: u32 = 4;

/// What the command line adds to the manifest.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Folder of the manifest, absolute.
    pub folder: PathBuf,
    /// The service to run; may be left out when there is one.
    pub service: Option<String>,
    /// Number of the instance within its service, from 1.
    pub instance: u32,
    /// Who keeps it running.
    pub keeper: Keeper,
    /// Ports that this instance has instead of the manifest's: its name, `None` for the main port,
    /// and its number, offset included.
    pub ports: Vec<(Option<String>, u16)>,
    /// Whether [`Settings::sockets`] were made by an instance of this service, in its cgroup, so
    /// that the app's own rules are on them.
    pub own_sockets: bool,
    /// Whether a balancer stands before the ports of this service, if it can.
    pub balanced: bool,
    /// The uid this app already has, if any.
    pub uid: Option<u32>,
    /// The address of its own that this instance holds, if it has one already.
    pub address: Option<OwnAddress>,
    /// Sockets that hostctl was given by its own caller, to hand over.
    pub sockets: Vec<(Protocol, u16)>,
    /// The socket that the program finds as `$NOTIFY_SOCKET`, on the host.
    pub notify: Option<PathBuf>,
    /// Whether whoever runs it collects its output, sinks or not.
    pub logged: bool,
    /// Whose rights granted paths are judged by; `None` for the caller's.
    pub deployer: Option<Deployer>,
    /// `$TERM`, when the program gets a terminal.
    pub term: Option<String>,
    /// Time between the request to stop and the end by force, instead of the manifest's.
    pub grace: Option<Duration>,
}

/// Who keeps an instance running.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Keeper {
    /// Somebody who waits in front of it, or a unit of another supervisor.
    #[default]
    Foreground,
    /// hostd, or hostctl with all services of an app in the foreground.
    Daemon,
}

impl Default for Settings {
    /// A single service, in the foreground, with nothing in hand.
    fn default() -> Self {
        Settings {
            folder: PathBuf::new(),
            service: None,
            instance: 1,
            keeper: Keeper::Foreground,
            ports: Vec::new(),
            own_sockets: false,
            balanced: false,
            uid: None,
            address: None,
            sockets: Vec::new(),
            notify: None,
            logged: false,
            deployer: None,
            term: None,
            grace: None,
        }
    }
}

/// Decide everything.
///
/// # Errors
/// Every reason why this service can't run like this on this host.
pub fn resolve(
    manifest: &Manifest,
    facts: &HostFacts,
    policy: &HostPolicy,
    settings: &Settings,
) -> Result<Plan, Diagnostics> {
    let service = choose(manifest, settings.service.as_deref()).map_err(one)?;
    let prefix = prefix(manifest, service);
    let mut errors = unsupported(manifest, service, &prefix, settings.keeper);
    errors.extend(permit(manifest, service, &prefix, facts, policy, settings));
    let identity =
        identify(manifest, service, &prefix, facts, policy, settings).unwrap_or_else(|error| {
            errors.push(error);
            Identity::Root
        });
    let context = Context {
        folder: &settings.folder,
        app: manifest.name.as_str(),
        directories: &facts.directories,
        home: facts.home.as_deref(),
        denied: &policy.deny.paths,
        prefix: &prefix,
    };
    let grants = context.resolve(&service.access).unwrap_or_else(|refused| {
        errors.extend(refused);
        Vec::new()
    });
    let dir = directory(service, &settings.folder, &grants).unwrap_or_else(|message| {
        let hint = "add it to [access] read";
        errors.push(Diagnostic::new(format!("{prefix}dir"), message).with_hint(hint));
        PathBuf::new()
    });
    let limits = limits(service, &prefix, facts, policy, &mut errors);
    let network = network_of(service);
    let wall = wall(network, service, identity, facts);
    let balanced = settings.balanced && balanced::fits(service, network, wall);
    let balanced = balanced.then(|| balanced::balancing(service));
    let mut plan = Plan {
        app: manifest.name.to_string(),
        service: service.name.to_string(),
        instance: settings.instance,
        beside: None,
        identity,
        dir,
        run: Vec::new(),
        env: Vec::new(),
        ports: service
            .ports
            .iter()
            .map(|port| planned(port, &prefix, manifest.port_offset, settings))
            .collect(),
        base: service.access.base.unwrap_or(Base::System),
        grants,
        denied: context.off_limits(),
        network,
        resolver: network != Network::None && service.access.connect.iter().flatten().any(named),
        interfaces: service.access.interfaces.clone(),
        connect: service.access.connect.iter().flatten().cloned().collect(),
        address: match (network, service.access.address) {
            (Network::Private, _) | (_, Some(Address::Own)) => {
                PlannedAddress::Own(settings.address)
            }
            _ if balanced.is_some() => PlannedAddress::Own(settings.address),
            _ => PlannedAddress::Host,
        },
        balanced,
        addresses: policy.addresses,
        // hostd counts what an instance uses up by its cgroup.
        cgroup: cgroup(&limits, wall, facts, settings.keeper == Keeper::Daemon),
        wall,
        needs: needs(manifest, service, network, settings.balanced, identity, facts),
        capabilities: service.access.capabilities.clone().unwrap_or_default(),
        syscalls: service.access.syscalls.clone().unwrap_or_default(),
        limits,
        logs: PlannedLogs::default(),
        shares_sockets: settings.keeper == Keeper::Daemon
            && service.access.address != Some(Address::Own),
        notify: settings.notify.clone(),
        log_socket: log_socket(manifest, service, facts, settings),
        deployer: settings.deployer.clone(),
        ready: lifecycle::readiness(service),
        health: None,
        stop_signal: lifecycle::stop_signal(service),
        grace: lifecycle::grace(service, settings.grace),
        unenforced: Vec::new(),
        key_prefix: prefix,
    };
    errors.extend(unmovable(&plan));
    errors.extend(balanced::out_of_reach(manifest, &plan));
    errors.extend(strays(&plan, &settings.sockets));
    plan.unenforced = unenforced(&plan, manifest, service, facts, settings);
    if let Err(error) = fill(&mut plan, service, settings) {
        errors.push(error);
    }
    match logs(manifest, &plan.env, &settings.folder) {
        Ok(logs) => plan.logs = logs,
        Err(wrong) => errors.extend(wrong),
    }
    match Diagnostics::new(errors) {
        Some(errors) => Err(errors),
        None => Ok(plan),
    }
}

fn one(error: Diagnostic) -> Diagnostics {
    Diagnostics::from(error)
}

fn choose<'a>(manifest: &'a Manifest, wanted: Option<&str>) -> Result<&'a Service, Diagnostic> {
    let names = || {
        let names: Vec<_> = manifest.services.iter().map(|service| service.name.as_str()).collect();
        names.join(", ")
    };
    match (wanted, manifest.services.as_slice()) {
        (Some(wanted), services) => {
            services.iter().find(|service| service.name.as_str() == wanted).ok_or_else(|| {
                Diagnostic::new("services", format!("there is no service {wanted:?}"))
                    .with_hint(format!("the services are {}", names()))
            })
        }
        (None, [service]) => Ok(service),
        (None, _) => Err(Diagnostic::new(
            "services",
            format!("the app has {} services, and one is meant here", manifest.services.len()),
        )
        .with_hint(format!("add --service with one of {}", names()))),
    }
}

/// Prefix of a service's keys: empty in the short form, where the top level is the service.
fn prefix(manifest: &Manifest, service: &Service) -> String {
    if manifest.short_form { String::new() } else { format!("services.{}.", service.name) }
}

/// The host's network if anything of it is granted, else none.
fn network_of(service: &Service) -> Network {
    let access = &service.access;
    let granted = !service.ports.is_empty()
        || !service.needs.is_empty()
        || access.connect.as_ref().is_some_and(|list| !list.is_empty())
        || access.interfaces.as_ref().is_some_and(|list| !list.is_empty());
    access.network.unwrap_or(if granted { Network::Host } else { Network::None })
}

/// Whether a destination needs the resolver: a name, or anything at all.
fn named(destination: &Destination) -> bool {
    matches!(destination, Destination::Host { .. } | Destination::Anywhere)
}

/// The working directory: what the manifest says, else its folder if that is in view, else the
/// root.
fn directory(service: &Service, folder: &Path, grants: &[Grant]) -> Result<PathBuf, String> {
    let joined = folder.join(service.dir.as_deref().unwrap_or("."));
    let dir: PathBuf = joined.components().filter(|part| *part != Component::CurDir).collect();
    let granted = |grant: &Grant| dir.starts_with(&grant.path) || grant.path.starts_with(&dir);
    let system = service.access.base != Some(Base::None) && dir.starts_with("/usr");
    let in_view = system || grants.iter().any(granted);
    match (in_view, &service.dir) {
        (true, _) => Ok(dir),
        (false, None) => Ok("/".into()),
        (false, Some(_)) => Err(format!("{} is not in view of the program", dir.display())),
    }
}

/// Ports and addresses that only eBPF can move, where there is none; and a fixed port that was moved
/// off another one, so that the program could not tell them apart.
fn unmovable(plan: &Plan) -> Vec<Diagnostic> {
    let mut errors = Vec::new();
    for port in plan.ports.iter().filter(|port| port.inside != port.port) {
        if plan.network == Network::Host && plan.wall != Wall::Cgroup {
            let message =
                format!("the bind of the fixed port {} can be moved as root only", port.inside);
            let hint = "run it as root, or without --port-offset";
            errors.push(Diagnostic::new(port.key.clone(), message).with_hint(hint));
        }
        let twin = plan.ports.iter().find(|other| {
            other.key != port.key && other.protocol == port.protocol && other.inside == port.inside
        });
        if let Some(twin) = twin {
            let message = format!(
                "the program binds {} for this fixed port and, with the offset, for {} too",
                port.inside, twin.key
            );
            let hint = "choose another --port-offset";
            errors.push(Diagnostic::new(port.key.clone(), message).with_hint(hint));
        }
    }
    if plan.network == Network::Private && plan.identity.is_rootless() {
        let key = format!("{}access.network", plan.key_prefix);
        let message = "a private network can be built as root only";
        let hint = "run it as root, or write network = \"host\"";
        errors.push(Diagnostic::new(key, message).with_hint(hint));
    } else if matches!(plan.address, PlannedAddress::Own(_)) && plan.wall != Wall::Cgroup {
        let key = format!("{}access.address", plan.key_prefix);
        let message = "an address of its own can be given as root only, with a network granted";
        errors.push(
            Diagnostic::new(key, message).with_hint("run it as root, or write address = \"host\""),
        );
    }
    errors
}

/// What can hold the program to its ports and destinations here.
fn wall(network: Network, service: &Service, identity: Identity, facts: &HostFacts) -> Wall {
    // A socket that is handed over is the host's, whatever network its holder is in.
    let handed_over = service.ports.iter().any(|port| port.activate);
    match network {
        Network::None if !handed_over => Wall::Empty,
        _ if facts.cgroup_programs && facts.cgroups.plain.is_some() && !identity.is_rootless() => {
            Wall::Cgroup
        }
        _ if facts.landlock >= PORTS_BY_LANDLOCK => Wall::Landlock,
        _ => Wall::Open,
    }
}

fn maker(port: &Port, number: u16, sockets: &[(Protocol, u16)]) -> Maker {
    let own = |(_, socket): &(usize, &(Protocol, u16))| **socket == (port.protocol, number);
    let given: Vec<_> = sockets.iter().enumerate().filter(own).map(|(place, _)| place).collect();
    match (port.activate, given.is_empty()) {
        (false, _) => Maker::Program,
        (true, true) => Maker::Hostctl,
        (true, false) => Maker::Caller(given),
    }
}

/// Sockets that were passed and that nobody takes: their clients would wait for ever.
fn strays(plan: &Plan, sockets: &[(Protocol, u16)]) -> Vec<Diagnostic> {
    let is_taken = |(protocol, number): &(Protocol, u16)| {
        plan.ports.iter().any(|port| {
            port.maker != Maker::Program && (port.protocol, port.port) == (*protocol, *number)
        })
    };
    let stray = |(protocol, number): &(Protocol, u16)| {
        let socket = match number {
            0 => "a socket that serves nothing".to_owned(),
            number => format!("a socket on port {number}/{}", protocol.as_str()),
        };
        let message = format!("{socket} was passed to hostctl, and the app takes none such");
        let hint = "give the app the port with activate = true, or pass it no socket";
        Diagnostic::new(format!("{}ports", plan.key_prefix), message).with_hint(hint)
    };
    sockets.iter().filter(|socket| !is_taken(socket)).map(stray).collect()
}

/// A fixed port stays what the program knows; the offset, or a port of the instance's own, moves
/// what the host sees of it.
fn planned(port: &Port, prefix: &str, offset: u16, settings: &Settings) -> PlannedPort {
    let name = port.name.as_ref().map(ToString::to_string);
    let own = settings.ports.iter().find(|(own, _)| *own == name).map(|(_, number)| *number);
    let number = own.unwrap_or(port.port);
    PlannedPort {
        key: port_key(prefix, name.as_deref()),
        name,
        inside: if port.fixed { port.port - offset } else { number },
        port: number,
        protocol: port.protocol,
        interface: port.interface.clone(),
        listen: port.listen,
        maker: maker(port, number, &settings.sockets),
    }
}

/// A network of its own reaches the host's loopback address by its gateway. With a balancer, what is
/// needed is where that has it found.
fn needs(
    manifest: &Manifest,
    service: &Service,
    network: Network,
    balanced: bool,
    identity: Identity,
    facts: &HostFacts,
) -> Vec<Need> {
    let host = match network {
        Network::Private => GATEWAY,
        _ => Ipv4Addr::LOCALHOST,
    };
    let find = |name: &ServiceName| manifest.services.iter().find(|service| service.name == *name);
    let main = |service: &Service| {
        let port = service.ports.iter().find(|port| port.name.is_none())?;
        let listen = port.listen.filter(|_| balanced);
        let listen = listen.unwrap_or(Listen { address: None, port: port.port });
        Some(listen)
    };
    service
        .needs
        .iter()
        .map(|name| {
            let needed = find(name);
            let found = needed.and_then(main);
            let stands = |needed: &Service| {
                let network = network_of(needed);
                balanced::fits(needed, network, wall(network, needed, identity, facts))
            };
            let address = found.and_then(|listen| listen.address);
            Need {
                name: name.to_string(),
                host: address.unwrap_or(host.into()).to_string(),
                port: found.map(|listen| listen.port),
                balanced: balanced && needed.is_some_and(stands),
            }
        })
        .collect()
}

/// Where syslog and the journal are for the program, on the host.
fn log_socket(
    manifest: &Manifest,
    service: &Service,
    facts: &HostFacts,
    settings: &Settings,
) -> Option<PathBuf> {
    let is_collected = settings.logged || !manifest.logs.sinks.is_empty();
    let name = format!("{}.{}.{}", manifest.name, service.name, settings.instance);
    is_collected.then(|| facts.directories.log_socket(&name))
}
