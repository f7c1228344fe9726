//! What this host is and can do: the only questions the agent asks of it on the way to a plan.
//! (`advice` and the doctor look at more, only to advise.)
//!
//! Invariant: probing changes nothing. The answers are plain values, so plans are tested with
//! made-up hosts. Never decides anything.

use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};

use manifest_spec::policy::UidRange;
use serde::Serialize;

use super::directories::{Directories, DirectoryError};
use crate::accounts::{self, Group};
use crate::cgroup::{Cgroups, scope};
use crate::network::{enforcement, names, private};

/// Where systemd-resolved listens (systemd-resolved.service(8)).
const STUB: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 53);

/// The variable that says whether logs are brought to the disk.
pub const LOG_SYNC: &str = "HOSTCTL_LOG_SYNC";

/// Names at the root of the file system that are links into /usr on a merged host.
const ROOT_ENTRIES: [&str; 6] = ["bin", "sbin", "lib", "lib32", "lib64", "libx32"];

/// One host, as far as plans depend on it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HostFacts {
    /// Kernel release, major and minor.
    pub kernel: (u32, u32),
    /// Effective uid of the caller.
    pub uid: u32,
    /// Effective gid of the caller.
    pub gid: u32,
    /// The caller's name, if the host knows one.
    pub user: Option<String>,
    /// Every group of the caller.
    pub groups: Vec<Group>,
    /// Home directory of the caller.
    pub home: Option<PathBuf>,
    /// Landlock ABI, 0 without Landlock.
    pub landlock: u32,
    /// Whether denied system calls can be named (seccomp user notification).
    pub notify: bool,
    /// Whether the mount API of kernel 5.12 is there.
    pub mount_api: bool,
    /// Where cgroups of instances are made, and what can be limited there.
    pub cgroups: Cgroups,
    /// Whether the kernel takes eBPF programs for cgroups from this caller.
    pub cgroup_programs: bool,
    /// Whether systemd runs the host (sd_booted(3)), and with it the cgroups.
    pub systemd: bool,
    /// What `/etc/localtime` points at, if it is a link into the zone database.
    pub zone: Option<PathBuf>,
    /// `/bin` and its kin.
    pub root_entries: Vec<(String, RootEntry)>,
    /// Whether IPv6 can leave a private network.
    pub forwards_ipv6: bool,
    /// Addresses of the host's resolvers.
    pub resolvers: Vec<IpAddr>,
    /// Hard limit of open files of the caller.
    pub files_limit: u64,
    /// Hard limit of the size of a core file, in bytes.
    pub core_limit: u64,
    /// Uid ranges of subordinate ids: owner, first, count (subuid(5), subgid(5)).
    pub subordinate: Vec<(String, u64, u64)>,
    /// Whether logs are brought to the disk. `HOSTCTL_LOG_SYNC=off` says no: for benchmarks, which
    /// show by it what the disk takes.
    pub log_sync: bool,
    /// Where hostctl keeps its files.
    pub directories: Directories,
}

/// What `/bin`, `/lib` and so on are on this host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum RootEntry {
    /// A symbolic link with this target.
    Link(PathBuf),
    /// A directory.
    Directory,
}

impl HostFacts {
    /// Ask the host.
    ///
    /// # Errors
    /// When the directories are unknown.
    pub fn probe() -> Result<Self, DirectoryError> {
        let (uid, gid) = host_sys::creds::effective();
        let groups = host_sys::creds::groups().unwrap_or_else(|_| vec![gid]);
        let text = |path| std::fs::read_to_string(path).unwrap_or_default();
        let files = host_sys::limit::get(host_sys::limit::Limit::Files);
        let core = host_sys::limit::get(host_sys::limit::Limit::Core);
        let systemd = scope::is_booted();
        Ok(HostFacts {
            kernel: kernel(),
            uid,
            gid,
            user: accounts::user(&text("/etc/passwd"), uid),
            groups: accounts::groups(&text("/etc/group"), groups),
            home: variable("HOME").map(PathBuf::from),
            landlock: host_sys::landlock::abi(),
            notify: host_sys::seccomp::can_notify(),
            mount_api: host_sys::mount::supported(),
            cgroups: Cgroups::look(uid == 0, systemd),
            cgroup_programs: uid == 0 && enforcement::is_possible(),
            systemd,
            zone: zone(),
            root_entries: ROOT_ENTRIES.iter().filter_map(|name| root_entry(name)).collect(),
            forwards_ipv6: private::forwards_ipv6(),
            resolvers: resolvers(),
            files_limit: files.map_or(1024, |(_, hard)| hard),
            core_limit: core.map_or(0, |(_, hard)| hard),
            subordinate: if uid == 0 { subordinate() } else { Vec::new() },
            log_sync: variable(LOG_SYNC).as_deref() != Some("off"),
            directories: Directories::from_environment(uid == 0, variable)?,
        })
    }

    /// Whose subordinate ids overlap a range of uids, if anybody's do: owner, first, last.
    pub fn clash(&self, range: UidRange) -> Option<(&str, u64, u64)> {
        let (first, end) =
            (u64::from(range.first), u64::from(range.first) + u64::from(range.count));
        let overlaps = |(_, from, count): &&(String, u64, u64)| {
            first < from.saturating_add(*count) && *from < end
        };
        let (owner, from, count) = self.subordinate.iter().find(overlaps)?;
        Some((owner, *from, from.saturating_add(count.saturating_sub(1))))
    }

    /// Whether the caller is root.
    pub fn is_root(&self) -> bool {
        self.uid == 0
    }
}

/// Where hostctl keeps its files, for commands that need no other fact.
///
/// # Errors
/// When the directories are unknown.
pub fn directories() -> Result<Directories, DirectoryError> {
    Directories::from_environment(host_sys::creds::effective().0 == 0, variable)
}

/// An environment variable that is valid UTF-8.
#[allow(clippy::disallowed_methods)] // this is the one place
pub fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Every environment variable that begins with `prefix`, sorted by name.
pub fn variables(prefix: &str) -> Vec<(String, String)> {
    let mut found: Vec<(String, String)> = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .filter(|(name, _)| name.starts_with(prefix))
        .collect();
    found.sort();
    found
}

/// `6.18` from the release string of uname(2); (0, 0) where it is none.
pub fn kernel() -> (u32, u32) {
    let release = host_sys::process::kernel_release();
    let mut parts = release.split(|c: char| !c.is_ascii_digit()).map(|part| part.parse().ok());
    (parts.next().flatten().unwrap_or(0), parts.next().flatten().unwrap_or(0))
}

/// What resolv.conf(5) names; where that is only systemd-resolved's stub, which answers nobody but
/// the loopback device, those behind it.
fn resolvers() -> Vec<IpAddr> {
    let read = |path| std::fs::read_to_string(path).map(|text| names::resolvers(&text)).ok();
    let named = read("/etc/resolv.conf").unwrap_or_default();
    let stub = named.iter().all(|one| *one == IpAddr::from(STUB));
    match read("/run/systemd/resolve/resolv.conf").filter(|_| stub) {
        Some(behind) => named.into_iter().chain(behind).collect(),
        None => named,
    }
}

/// localtime(5) is a link to a file below /usr/share/zoneinfo, written with or without `..`.
fn zone() -> Option<PathBuf> {
    let target = Path::new("/etc").join(std::fs::read_link("/etc/localtime").ok()?);
    let below = target.to_str()?.split_once("usr/share/zoneinfo/")?.1;
    (!below.split('/').any(|part| part == ".."))
        .then(|| Path::new("/usr/share/zoneinfo").join(below))
}

fn root_entry(name: &str) -> Option<(String, RootEntry)> {
    let path = Path::new("/").join(name);
    match std::fs::read_link(&path) {
        Ok(target) => Some((name.to_owned(), RootEntry::Link(target))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(_) => path.is_dir().then(|| (name.to_owned(), RootEntry::Directory)),
    }
}

/// The lines of subuid(5) and subgid(5) that parse; others mean nothing to the kernel either.
fn subordinate() -> Vec<(String, u64, u64)> {
    ["/etc/subuid", "/etc/subgid"]
        .iter()
        .filter_map(|path| std::fs::read_to_string(path).ok())
        .flat_map(|text| text.lines().filter_map(subordinate_line).collect::<Vec<_>>())
        .collect()
}

fn subordinate_line(line: &str) -> Option<(String, u64, u64)> {
    let mut fields = line.split(':');
    Some((fields.next()?.into(), fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
}
