//! The manifest as typed values: what an app asks for, after every layer is merged and checked.
//!
//! Owns the types between `parse` and `resolve`. Invariant: a [`Manifest`] that exists is valid by
//! itself (names are unique, `needs` points at services, ports differ, quantities parse); only what
//! depends on the host is still open. `None` means "the author did not say": defaults are given in
//! one place, the agent's `resolve`. Never reads a file, never asks the host.

mod lifecycle;
mod logs;

use std::fmt;
use std::net::IpAddr;

use serde::Serialize;

use crate::command::Command;
use crate::names::{AppName, HookName, PolicyName, PortName, ProfileName, ServiceName};
use crate::quantity::{Bytes, CpuShare, Span};

pub use crate::sink::SinkTarget;
pub use lifecycle::{Health, Probe, Ready, ReadyBy, Stop, StopSignal};
pub use logs::{Full, Logs, Rotate, Sink};

/// The service name of an app that is written in the short form, without `[services.X]`.
pub const SINGLE_SERVICE: &str = "main";

/// A whole app: one file, one name, one or more services.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Manifest {
    /// The app's name; with a port offset `hello` becomes `hello+3` (see [`Manifest::offset`]).
    pub name: AppName,
    /// Services in the order of the file. Exactly one, called [`SINGLE_SERVICE`], in the short form.
    pub services: Vec<Service>,
    /// Whether the file uses the short form (top level is the service).
    pub short_form: bool,
    /// Programs run on a trigger.
    pub hooks: Vec<Hook>,
    /// Balancing policies that are programs of the app.
    pub policies: Vec<Policy>,
    /// Where the app's output goes.
    pub logs: Logs,
    /// Names of the profiles the file defines, in its order.
    pub profiles: Vec<ProfileName>,
    /// The offset already applied to every port, 0 if none.
    pub port_offset: u16,
}

/// One long-running program of the app.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Service {
    /// Name within the app.
    pub name: ServiceName,
    /// Working directory, relative to the manifest's folder unless absolute.
    pub dir: Option<String>,
    /// The program and its arguments.
    pub run: Command,
    /// The main port (`port = …`) first if there is one, then `[ports]` in the order of the file.
    pub ports: Vec<Port>,
    /// Host and path prefix registered with the balancer, `shop.example.com` or `host/path`.
    pub route: Option<String>,
    /// How to tell that an instance works.
    pub health: Option<Health>,
    /// When an instance does its work.
    pub ready: Option<Ready>,
    /// How an instance is stopped.
    pub stop: Stop,
    /// How many instances run.
    pub count: Option<u32>,
    /// Services of the same app that must be ready first and may be connected to.
    pub needs: Vec<ServiceName>,
    /// Balancing policy: a built-in one or one of `[policies]`.
    pub policy: Option<PolicyName>,
    /// For how long a client stays with its instance after its last new connection.
    pub affinity: Option<Span>,
    /// For how long clients of an instance that is to end are waited for.
    pub drain: Option<Span>,
    /// What clients meet while no instance serves.
    pub unserved: Option<Unserved>,
    /// Stop after this long without a connection (scale to zero).
    pub idle: Option<Span>,
    /// What the program may use.
    pub access: Access,
    /// What it may use up.
    pub limits: Limits,
    /// Environment variables, in the order of the file; values may refer to `$PORT` and its kin.
    pub env: Vec<(String, String)>,
}

/// A leased port.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Port {
    /// `None` for the main port (`$PORT`), else the name behind `$PORT_<NAME>`.
    pub name: Option<PortName>,
    /// Number, 1 to 65535.
    pub port: u16,
    /// Transport protocol.
    pub protocol: Protocol,
    /// The only interface it may be reached through.
    pub interface: Option<String>,
    /// Where clients find it, if that is not its own number on every address.
    pub listen: Option<Listen>,
    /// The program cannot be told its port: its bind is rewritten.
    pub fixed: bool,
    /// Handed over as a bound socket (`LISTEN_FDS`).
    pub activate: bool,
}

/// Where clients find a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Listen {
    /// The one address, `None` for every one of the host or of the port's interface.
    pub address: Option<IpAddr>,
    /// Number, 1 to 65535.
    pub port: u16,
}

/// What clients meet while no instance serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unserved {
    /// They are refused at once.
    Refuse,
    /// They get no answer, and try again by themselves.
    Wait,
}

/// Transport protocols a port can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Protocol {
    /// RFC 9293.
    Tcp,
    /// RFC 768.
    Udp,
}

/// What a program may use. `None` is "not said", an empty list is "nothing".
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Access {
    /// What of the host's own files is in view.
    pub base: Option<Base>,
    /// Paths that may be read (and executed).
    pub read: Option<Vec<ReadGrant>>,
    /// Paths that may be written.
    pub write: Option<Vec<WriteGrant>>,
    /// Which network stack the program sees.
    pub network: Option<Network>,
    /// The only interfaces traffic may pass.
    pub interfaces: Option<Vec<String>>,
    /// Destinations that may be connected to.
    pub connect: Option<Vec<Destination>>,
    /// Which address the program listens on.
    pub address: Option<Address>,
    /// Capabilities by their kernel name, `CAP_` first, upper case.
    pub capabilities: Option<Vec<String>>,
    /// System calls beyond the default filter, by name.
    pub syscalls: Option<Vec<String>>,
    /// The user the program runs as.
    pub user: Option<User>,
}

/// The host files every program of a kind needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Base {
    /// Read-only `/usr` and the few `/etc` files a dynamically linked program needs.
    System,
    /// Nothing.
    None,
}

/// The network stack a program sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Network {
    /// The host's own.
    Host,
    /// An empty one.
    None,
    /// One of its own, joined to the host's.
    Private,
}

/// The address behind a program's wildcard and loopback binds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Address {
    /// What it binds.
    Host,
    /// One on the loopback interface that is this instance's alone.
    Own,
}

/// Who the program runs as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum User {
    /// The app's own uid and gid (without root: the caller's).
    Own,
    /// uid 0; the host policy must allow it too.
    Root,
}

/// A path that may be read, and programs below it run. Relative paths start at the manifest's folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReadGrant {
    /// As written; absolute, or relative without `..`.
    pub path: String,
}

/// A path that may be written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WriteGrant {
    /// As written, without the `data:` prefix; absolute for managed directories.
    pub path: String,
    /// `data:`: a directory that hostctl creates, owned by the app's uid, kept across runs.
    pub managed: bool,
    /// Whether programs below it may be executed; `false` unless the long form says so.
    pub exec: bool,
}

/// Where a program may connect to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Destination {
    /// `"*"`.
    Anywhere,
    /// `10.0.0.0/8:5432`, `[2001:db8::]/32:443`, a port of `None` is `:*`.
    Network {
        /// Network address, host bits are zero.
        address: IpAddr,
        /// Prefix length in bits.
        prefix: u8,
        /// Port, `None` for any.
        port: Option<u16>,
    },
    /// `smtp.example.com:587`; resolved by the agent.
    Host {
        /// Host name, lower case.
        name: String,
        /// Port, `None` for any.
        port: Option<u16>,
    },
}

impl fmt::Display for Destination {
    /// The notation of the manifest.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let port = match self {
            Destination::Anywhere => return f.write_str("*"),
            Destination::Network { address, prefix, port } => {
                match address {
                    IpAddr::V4(address) => write!(f, "{address}/{prefix}:")?,
                    IpAddr::V6(address) => write!(f, "[{address}]/{prefix}:")?,
                }
                port
            }
            Destination::Host { name, port } => {
                write!(f, "{name}:")?;
                port
            }
        };
        match port {
            Some(port) => port.fmt(f),
            None => f.write_str("*"),
        }
    }
}

/// What a program may use up; `None` is unlimited by the manifest.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Limits {
    /// Memory of all processes of an instance.
    pub memory: Option<Bytes>,
    /// Processor time.
    pub cpu: Option<CpuShare>,
    /// Processes and threads.
    pub processes: Option<u32>,
    /// Open descriptors of one process.
    pub files: Option<u32>,
    /// Weight of its disk time, 100 for who says nothing.
    pub io: Option<u16>,
    /// Largest core file.
    pub core: Option<Bytes>,
}

/// A program run on a trigger.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Hook {
    /// Name within the app.
    pub name: HookName,
    /// What starts it.
    pub trigger: Trigger,
    /// The program.
    pub run: Command,
    /// The service whose directory, grants, environment and limits it shares.
    pub like: Option<ServiceName>,
    /// What happens when the previous run still runs.
    pub overlap: Option<Overlap>,
    /// What happens to runs missed while the host was down.
    pub missed: Option<Missed>,
    /// When the run is ended by force.
    pub timeout: Option<Span>,
    /// Runs at the same time, for `http`.
    pub max: Option<u32>,
}

/// What starts a hook; exactly one of `cron`, `every`, `http`, `event`.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Trigger {
    /// Five fields or `@daily`; the expression is kept as written.
    Cron {
        /// The expression.
        expression: String,
        /// IANA zone or `local`; UTC unless named.
        zone: Option<String>,
        /// How day of month and day of week combine.
        days: Option<Days>,
    },
    /// A fixed time between starts.
    Every(Span),
    /// `POST api.example.com/thumbnail`.
    Http {
        /// Upper-case method, `None` for any.
        method: Option<String>,
        /// Host and path.
        route: String,
    },
    /// `unhealthy`, `deployed`, `crashed`.
    Event(String),
}

/// How a schedule's two day fields combine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Days {
    /// A day that matches one of them.
    Either,
    /// A day that matches both.
    Both,
}

/// A hook that is due while it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Overlap {
    /// Do not start, record it.
    Skip,
    /// Start when the running one ends.
    Queue,
    /// End the running one first.
    Replace,
    /// Start beside it.
    Allow,
}

/// Occurrences missed while nothing could run them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missed {
    /// None is made up for.
    Skip,
    /// One run for all of them.
    Once,
    /// One run for each.
    All,
}

impl Manifest {
    /// The app as it is for the program of one of its policies: one service, called
    /// `policy-NAME`, that is granted nothing but what every program has, its folder to be read
    /// among it, and whose logs go where the app's go.
    #[must_use]
    pub fn of_policy(&self, policy: &Policy) -> Manifest {
        // A name has at most 63 bytes; what is cut off is not needed to tell two apart.
        let name: String = format!("policy-{}", policy.name).chars().take(63).collect();
        let name = ServiceName::new(name.trim_end_matches('-'));
        let service = Service {
            name: name.expect("the beginning of a name behind a name is one"),
            dir: None,
            run: policy.run.clone(),
            ports: Vec::new(),
            route: None,
            health: None,
            ready: None,
            stop: Stop::default(),
            count: None,
            needs: Vec::new(),
            policy: None,
            affinity: None,
            drain: None,
            unserved: None,
            idle: None,
            access: Access::default(),
            limits: Limits::default(),
            env: Vec::new(),
        };
        Manifest {
            services: vec![service],
            short_form: false,
            hooks: Vec::new(),
            policies: Vec::new(),
            ..self.clone()
        }
    }
}

/// A balancing policy that is a program.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Policy {
    /// Name within the app.
    pub name: PolicyName,
    /// The program.
    pub run: Command,
    /// Time for one answer.
    pub deadline: Option<Span>,
    /// Built-in policy used when it fails.
    pub fallback: Option<PolicyName>,
}
