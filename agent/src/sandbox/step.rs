//! The steps of a sandbox: everything that is done to a new process before the program starts, as
//! values that can be printed before any of it happens.
//!
//! Invariant: a step says all it needs; applying one asks for nothing else. [`std::fmt::Display`]
//! is the name a failure is reported under, and what `hostctl plan --steps` prints.

use std::fmt;
use std::path::PathBuf;

use host_sys::process::Namespaces;
use manifest_spec::manifest::Protocol;

use super::paths::Identity;
use crate::plan::UNCHOSEN;

/// One step, in the order of its list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Start the sandbox's first process in new namespaces.
    Isolate(Namespaces),
    /// Give the user namespace one uid and gid: the caller's.
    MapUser {
        /// uid and gid inside.
        inside: (u32, u32),
        /// uid and gid outside.
        outside: (u32, u32),
    },
    /// Keep mounts made from here on out of the host's sight.
    DetachMounts,
    /// An empty file system that becomes the root.
    NewRoot,
    /// A symbolic link.
    Link {
        /// Absolute path inside.
        path: PathBuf,
        /// Where it points.
        target: PathBuf,
    },
    /// A file with a content that hostctl wrote.
    File {
        /// Absolute path inside.
        path: PathBuf,
        /// All of it.
        content: String,
    },
    /// A copy of a host file as it is now; left out where the host has none.
    Copy {
        /// Absolute path, outside and inside.
        path: PathBuf,
    },
    /// A file or directory of the host.
    Bind(Bind),
    /// A device of the host: the name in /dev.
    Device(&'static str),
    /// An empty directory that stays writable: a window into the root's own file system.
    Scratch {
        /// Absolute path inside.
        path: PathBuf,
    },
    /// Pseudo-terminals of its own.
    Terminals,
    /// The sandbox's own processes, read-only.
    Processes,
    /// Hide a part of /proc, if the kernel has it.
    Mask {
        /// Absolute path inside.
        path: &'static str,
    },
    /// Make the new root the root, and let go of the host's.
    EnterRoot,
    /// Make the root read-only.
    SealRoot,
    /// Name the host as the program sees it.
    Hostname(String),
    /// Bring the loopback device of an empty network up.
    Loopback,
    /// Limit a resource.
    Limit {
        /// Which.
        limit: host_sys::limit::Limit,
        /// To how much.
        value: u64,
    },
    /// Give up every capability but these, for good.
    LimitCapabilities(Vec<String>),
    /// Leave every supplementary group.
    LeaveGroups,
    /// Become the program's user, with these capabilities left.
    BecomeUser {
        /// uid.
        uid: u32,
        /// gid.
        gid: u32,
        /// Capabilities by kernel name.
        capabilities: Vec<String>,
    },
    /// Never gain a privilege through exec again.
    NoNewPrivileges,
    /// Restrict file access a second time.
    Landlock(Landlock),
    /// Make a socket for the program, or take the caller's.
    Listen(Listen),
    /// Leave the host's network for an empty one.
    LeaveNetwork,
    /// Leave the host's network for the one that was built for the instance.
    EnterNetwork,
    /// See cgroups from its own on (cgroup_namespaces(7)).
    OwnCgroups,
    /// Restrict system calls.
    FilterCalls {
        /// Capabilities that open further calls.
        capabilities: Vec<String>,
        /// Calls the manifest adds.
        syscalls: Vec<String>,
        /// Whether there is UDP.
        datagrams: bool,
        /// Whether multicast groups may be joined.
        groups: bool,
        /// Whether TCP may connect by sending.
        fast_open: bool,
        /// Whether denied calls are reported by name.
        notify: bool,
    },
    /// Start the program.
    Start(Program),
}

/// A socket that the program gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listen {
    /// Transport protocol.
    pub protocol: Protocol,
    /// Number.
    pub port: u16,
    /// Whether it is bound to IPv4 only, where the instance's own address takes its place.
    pub own_address: bool,
    /// The only interface.
    pub interface: Option<String>,
    /// Its place among the sockets that the caller gave.
    pub given: Option<usize>,
    /// Key in the manifest.
    pub key: String,
}

/// A host path made visible.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bind {
    /// Where it is on the host.
    pub source: PathBuf,
    /// Where the program sees it.
    pub target: PathBuf,
    /// Whether it may be changed.
    pub writable: bool,
    /// Whether programs in it may be executed.
    pub exec: bool,
    /// Whether its absence is accepted: only for what hostctl itself adds, never for a grant.
    pub optional: bool,
    /// The object the source must be, once it was found ([`super::pin`]); until then, and for what
    /// hostctl itself adds, the host's name for it decides.
    pub identity: Option<Identity>,
    /// Whether it is a directory that hostctl keeps for the app.
    pub managed: bool,
    /// Whether the target lies inside another bind, which is not changed to make room for it.
    pub nested: bool,
    /// Key in the manifest; empty for what hostctl itself adds.
    pub key: String,
}

/// The rules of the second wall: files, and ports of TCP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Landlock {
    /// ABI to use.
    pub abi: u32,
    /// Path and what is allowed below it.
    pub rules: Vec<(PathBuf, Allowed)>,
    /// The only TCP ports that may be bound, 0 for one the kernel chooses; `None` for any.
    pub bind: Option<Vec<u16>>,
    /// The only TCP ports that may be connected to; `None` for any.
    pub connect: Option<Vec<u16>>,
}

/// What a Landlock rule allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Allowed {
    /// Read files, list directories.
    Read,
    /// Read and execute.
    Execute,
    /// Everything but execute.
    Write,
    /// Everything.
    All,
    /// Read and write devices.
    Devices,
}

/// What runs in the sandbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// Working directory.
    pub dir: PathBuf,
    /// Program and arguments.
    pub run: Vec<String>,
    /// The whole environment.
    pub env: Vec<(String, String)>,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Step::Isolate(namespaces) => write!(f, "new namespaces:{}", names(*namespaces)),
            Step::MapUser { inside, outside } => {
                write!(
                    f,
                    "map uid {} to {} and gid {} to {}",
                    inside.0, outside.0, inside.1, outside.1
                )
            }
            Step::DetachMounts => f.write_str("detach mounts from the host's"),
            Step::NewRoot => f.write_str("new empty root"),
            Step::Link { path, target } => {
                write!(f, "link {} to {}", path.display(), target.display())
            }
            Step::File { path, content } => {
                write!(f, "write {} ({} bytes)", path.display(), content.len())
            }
            Step::Copy { path } => write!(f, "copy {} if present", path.display()),
            Step::Bind(bind) => bind.fmt(f),
            Step::Device(name) => write!(f, "bind device /dev/{name}"),
            Step::Scratch { path } => write!(f, "private {} (nosuid nodev noexec)", path.display()),
            Step::Terminals => f.write_str("private /dev/pts"),
            Step::Processes => f.write_str("own /proc, read-only"),
            Step::Mask { path } => write!(f, "mask {path} if present"),
            Step::EnterRoot => f.write_str("enter the new root, drop the host's"),
            Step::SealRoot => f.write_str("make the root read-only"),
            Step::Hostname(name) => write!(f, "hostname {name}"),
            Step::Loopback => f.write_str("loopback up"),
            Step::Limit { limit, value } => write!(f, "limit {} to {value}", limit_name(*limit)),
            Step::LimitCapabilities(keep) => write!(f, "give up capabilities{}", but(keep)),
            Step::LeaveGroups => f.write_str("leave every group"),
            Step::BecomeUser { uid: UNCHOSEN, .. } => {
                f.write_str("become the app's own uid, chosen at the first run")
            }
            Step::BecomeUser { uid, gid, .. } => write!(f, "become uid {uid} gid {gid}"),
            Step::NoNewPrivileges => f.write_str("no new privileges"),
            Step::Landlock(landlock) => {
                write!(f, "Landlock ABI {}, {} rules", landlock.abi, landlock.rules.len())?;
                write!(f, "{}", only("bind", &landlock.bind))?;
                write!(f, "{}", only("connect to", &landlock.connect))
            }
            Step::Listen(listen) => {
                let verb = if listen.given.is_some() { "take the caller's" } else { "make a" };
                write!(f, "{verb} socket on {}/{}", listen.port, listen.protocol.as_str())
            }
            Step::LeaveNetwork => f.write_str("leave the host's network for an empty one"),
            Step::EnterNetwork => f.write_str("leave the host's network for a private one"),
            Step::OwnCgroups => f.write_str("see cgroups from its own on"),
            Step::FilterCalls { syscalls, datagrams, .. } => {
                let less = if *datagrams { "" } else { ", no UDP" };
                write!(f, "filter system calls{}{less}", plus(syscalls))
            }
            Step::Start(program) => write!(f, "start {}", program.run.join(" ")),
        }
    }
}

impl fmt::Display for Bind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "bind {}", self.source.display())?;
        if self.source != self.target {
            write!(f, " at {}", self.target.display())?;
        }
        f.write_str(if self.writable { " writable" } else { " read-only" })?;
        f.write_str(if self.exec { " (nosuid nodev)" } else { " (nosuid nodev noexec)" })?;
        f.write_str(if self.optional { " if present" } else { "" })
    }
}

fn names(namespaces: Namespaces) -> String {
    let list = [
        (namespaces.user, "user"),
        (namespaces.mount, "mount"),
        (namespaces.pid, "pid"),
        (namespaces.ipc, "ipc"),
        (namespaces.uts, "uts"),
        (namespaces.cgroup, "cgroup"),
        (namespaces.net, "net"),
    ];
    list.iter().filter(|(on, _)| *on).map(|(_, name)| format!(" {name}")).collect()
}

fn limit_name(limit: host_sys::limit::Limit) -> &'static str {
    match limit {
        host_sys::limit::Limit::Files => "open files",
        host_sys::limit::Limit::Processes => "processes",
        host_sys::limit::Limit::Core => "core dumps",
    }
}

fn only(verb: &str, ports: &Option<Vec<u16>>) -> String {
    let Some(ports) = ports else { return String::new() };
    let ports: Vec<_> = ports.iter().map(ToString::to_string).collect();
    let list = if ports.is_empty() { "no port".to_owned() } else { ports.join(" ") };
    format!(", {verb} {list}")
}

fn but(keep: &[String]) -> String {
    if keep.is_empty() { String::new() } else { format!(" but {}", keep.join(" ")) }
}

fn plus(added: &[String]) -> String {
    if added.is_empty() { String::new() } else { format!(", allowing {}", added.join(" ")) }
}
