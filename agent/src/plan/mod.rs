//! The plan: everything one instance will be given, decided, before anything is touched.
//!
//! Owns the value between the manifest and the sandbox. Invariant: a [`Plan`] is complete (no
//! `Option` in it means "default"), and the same manifest, facts, policy and settings give the same
//! plan. Never writes; asks the host only through [`facts`].

pub mod advice;
pub mod balanced;
mod beside;
pub mod directories;
mod environment;
pub mod explain;
pub mod facts;
mod grants;
pub mod lifecycle;
pub mod limits;
pub mod logs;
pub mod permit;
pub mod resolve;
pub mod survey;
mod unenforced;

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::time::Duration;

use manifest_spec::manifest::{Base, Destination, Listen, Network, Protocol};
use manifest_spec::policy::AddressRange;
use serde::Serialize;

use crate::cgroup::{Controller, Place};
use crate::keep::assignment::Deployer;
use crate::network::rules::OwnAddress;

pub use balanced::Balancing;
pub use beside::beside;
pub use directories::Directories;
pub use facts::HostFacts;
pub use lifecycle::{HealthCheck, PlannedProbe, Readiness, ReadyBy};
pub use logs::{PlannedLogs, PlannedSink, Secret};
pub use resolve::{Keeper, Settings, resolve};

/// One instance of one service, resolved against a host.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// App name, offset included (`hello+3`).
    pub app: String,
    /// Service name.
    pub service: String,
    /// Instance number, from 1.
    pub instance: u32,
    /// For another program beside the instance: a number that no other has meanwhile.
    pub beside: Option<i32>,
    /// Prefix of this service's keys in the manifest: empty, or `services.web.`.
    pub key_prefix: String,
    /// Who the program runs as.
    pub identity: Identity,
    /// Working directory.
    pub dir: PathBuf,
    /// The program and its arguments, variables expanded.
    pub run: Vec<String>,
    /// The whole environment, in order.
    pub env: Vec<(String, String)>,
    /// Ports handed to the program, the main one first.
    pub ports: Vec<PlannedPort>,
    /// Host files in view.
    pub base: Base,
    /// Granted paths, parents before children.
    pub grants: Vec<Grant>,
    /// Directories that no app may see: hostctl's own, and what the host policy adds.
    pub denied: Vec<PathBuf>,
    /// Network stack.
    pub network: Network,
    /// Whether the host's resolver comes along (a destination is a name).
    pub resolver: bool,
    /// Interfaces named, `None` if none are named.
    pub interfaces: Option<Vec<String>>,
    /// Destinations beside its own ports and its needs.
    pub connect: Vec<Destination>,
    /// The address behind its wildcard and loopback binds.
    pub address: PlannedAddress,
    /// How clients of its ports come by the balancer, which finds it at its own address; `None` for
    /// one that they come to directly.
    pub balanced: Option<Balancing>,
    /// Where addresses of their own come from on this host.
    pub addresses: AddressRange,
    /// What holds it to its ports and destinations.
    pub wall: Wall,
    /// The cgroup it is born in, if it needs one of its own.
    pub cgroup: Option<PlannedCgroup>,
    /// Services it may connect to.
    pub needs: Vec<Need>,
    /// Capabilities by kernel name.
    pub capabilities: Vec<String>,
    /// System calls beyond the default filter.
    pub syscalls: Vec<String>,
    /// What the program may use up.
    pub limits: PlannedLimits,
    /// What becomes of its output.
    pub logs: PlannedLogs,
    /// When it does its work.
    pub ready: Readiness,
    /// How to tell that it still does.
    pub health: Option<HealthCheck>,
    /// The signal that asks the program to end, by number.
    pub stop_signal: i32,
    /// Time between the request to stop and the end by force.
    pub grace: Duration,
    /// Whether instances of the service share the sockets that are handed over.
    pub shares_sockets: bool,
    /// The socket behind `$NOTIFY_SOCKET` on the host, if it gets one.
    pub notify: Option<PathBuf>,
    /// The socket behind `$LOG_SOCKET` on the host, where its output is collected.
    pub log_socket: Option<PathBuf>,
    /// Whose rights granted paths are judged by; `None` for the caller's.
    pub deployer: Option<Deployer>,
    /// Promises this host, mode or version does not keep; shown before the program starts.
    pub unenforced: Vec<Unenforced>,
}

/// Stands for an app's own uid while it is only planned: the highest number, which is no user's
/// (-2; -1 means "leave as it is" to the kernel).
pub const UNCHOSEN: u32 = u32::MAX - 1;

/// Who the program runs as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Identity {
    /// A uid (and equal gid) that belongs to this app alone.
    Own {
        /// The uid; `None` when planning for an app that never ran: it is chosen at the first run.
        uid: Option<u32>,
    },
    /// The caller, in a user namespace: no root was there to give the app a uid of its own.
    Caller {
        /// The caller's uid.
        uid: u32,
        /// The caller's gid.
        gid: u32,
    },
    /// uid 0; the manifest and the host policy both said so.
    Root,
}

impl Identity {
    /// uid and gid inside the sandbox; [`UNCHOSEN`] for an own uid that running will choose first.
    pub fn ids(self) -> (u32, u32) {
        match self {
            Identity::Own { uid } => (uid.unwrap_or(UNCHOSEN), uid.unwrap_or(UNCHOSEN)),
            Identity::Caller { uid, gid } => (uid, gid),
            Identity::Root => (0, 0),
        }
    }

    /// Whether the sandbox is built in a user namespace, without root.
    pub fn is_rootless(self) -> bool {
        matches!(self, Identity::Caller { .. })
    }
}

/// The address behind wildcard and loopback binds of granted ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlannedAddress {
    /// What the program binds.
    Host,
    /// One of its own; `None` when it is only planned: it is leased at the start.
    Own(Option<OwnAddress>),
}

/// What keeps a program from other ports and destinations than the granted ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Wall {
    /// Nothing is needed: its network is empty.
    Empty,
    /// eBPF on its cgroup: ports, destinations and interfaces.
    Cgroup,
    /// Landlock: ports of TCP (ABI 4, kernel 6.7).
    Landlock,
    /// Nothing here.
    Open,
}

/// Who makes the socket of a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Maker {
    /// The program.
    Program,
    /// hostctl, who hands it over.
    Hostctl,
    /// Whoever started hostctl and gave it these sockets, by their places, to hand over.
    Caller(Vec<usize>),
}

/// A port with its offset applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedPort {
    /// `None` for the main port.
    pub name: Option<String>,
    /// What the program binds, and sees.
    pub inside: u16,
    /// What the host sees; differs from `inside` for a fixed port that was moved.
    pub port: u16,
    /// Transport protocol.
    pub protocol: Protocol,
    /// The only interface it may be reached through.
    pub interface: Option<String>,
    /// Where the balancer has clients find it, if that is elsewhere.
    pub listen: Option<Listen>,
    /// Who makes its socket.
    pub maker: Maker,
    /// Key in the manifest.
    pub key: String,
}

/// A service of the same app that may be connected to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Need {
    /// Its name.
    pub name: String,
    /// Its address.
    pub host: String,
    /// Its main port, if it has one.
    pub port: Option<u16>,
    /// Whether a balancer leads there, from any address of the host.
    pub balanced: bool,
}

/// A path the program gets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Grant {
    /// Where the program sees it.
    pub path: PathBuf,
    /// Where it is on the host: the same path, but for managed directories.
    pub source: PathBuf,
    /// What may be done with it.
    pub kind: GrantKind,
    /// Whether programs in it may be executed.
    pub exec: bool,
    /// Key in the manifest, `access.read[0]`; the key of the list for a default.
    pub key: String,
}

/// What may be done with a granted path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum GrantKind {
    /// Look, do not touch.
    Read,
    /// Write.
    Write,
    /// Write; a directory that hostctl makes and keeps.
    Managed,
}

/// A cgroup of an instance's own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PlannedCgroup {
    /// Where it is made.
    pub place: Place,
    /// Controllers that hold the instance to its limits; limits of others are not held there.
    pub controllers: Vec<Controller>,
}

/// What a program may use up; `None` is no limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct PlannedLimits {
    /// Bytes.
    pub memory: Option<u64>,
    /// Percent of one core.
    pub cpu: Option<u32>,
    /// Processes and threads.
    pub processes: Option<u32>,
    /// Share of devices beside others', 1 to 10000, where 100 is everybody's.
    pub io: Option<u16>,
    /// Descriptors of one process; always limited.
    pub files: u32,
    /// Bytes of a core file; 0 for none.
    pub core: u64,
}

/// A promise that is not kept here, with the reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Unenforced {
    /// What the manifest says or a reader would expect.
    pub what: String,
    /// Why it does not hold.
    pub why: String,
    /// Whether `--strict` refuses to run because of it.
    pub strict: bool,
    /// Whether it is a limit, which is refused unless the caller does without.
    pub demanded: bool,
}

impl Plan {
    /// Where the program listens; `None` for an address of its own that is not chosen yet.
    pub fn listens_on(&self) -> Option<IpAddr> {
        match self.address {
            PlannedAddress::Host => Some(Ipv4Addr::LOCALHOST.into()),
            PlannedAddress::Own(own) => own.map(|own| own.v4.into()),
        }
    }

    /// Where clients on this host find its ports.
    pub fn answers_on(&self) -> IpAddr {
        match self.network {
            Network::Private => Ipv4Addr::LOCALHOST.into(),
            _ => self.listens_on().unwrap_or(Ipv4Addr::LOCALHOST.into()),
        }
    }

    /// Whether anything that is granted may go by UDP.
    pub fn needs_datagrams(&self) -> bool {
        self.resolver
            || !self.connect.is_empty()
            || !self.needs.is_empty()
            || self.ports.iter().any(|port| port.protocol == Protocol::Udp)
    }

    /// Whether it may join multicast groups: it serves by UDP, or may send anywhere.
    pub fn joins_groups(&self) -> bool {
        self.connect.contains(&Destination::Anywhere)
            || self.ports.iter().any(|port| port.protocol == Protocol::Udp)
    }

    /// `app.service.instance`, the name a person sees in messages.
    pub fn instance_name(&self) -> String {
        let name = format!("{}.{}.{}", self.app, self.service, self.instance);
        match self.beside {
            Some(number) => format!("{name}-beside-{number}"),
            None => name,
        }
    }

    /// Whether a limit is held by the instance's cgroup.
    pub fn is_held(&self, controller: Controller) -> bool {
        self.cgroup.as_ref().is_some_and(|cgroup| cgroup.controllers.contains(&controller))
    }

    /// Limits that can't be enforced here: nothing is started without them unless whoever asks says
    /// so.
    pub fn demands(&self) -> impl Iterator<Item = &Unenforced> {
        self.unenforced.iter().filter(|one| one.demanded)
    }

    /// The first managed directory as the program sees it.
    pub fn data_dir(&self) -> Option<&PathBuf> {
        self.grants.iter().find(|grant| grant.kind == GrantKind::Managed).map(|grant| &grant.path)
    }
}
