//! The questions that `doctor` asks the host beyond those of planning.
//!
//! Invariant: nothing is left behind. The one thing made, an empty sandbox, lives in namespaces
//! that end with the process in it. Never judges an answer.

use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use agent::dns;
use agent::network::names::look_up;
use agent::plan::HostFacts;
use agent::source::{self, SourceError};
use host_sys::mount::{Attributes, new_filesystem};
use host_sys::process::{Exit, Namespaces, spawn};

use super::survey::{Answers, Found, NamesFound, NamespaceSettings, Place, Trial};

/// What the process in the trial sandbox says when it ends.
const NO_MAP: u8 = 1;
const NO_MOUNTS: u8 = 2;
const NO_PROCESSES: u8 = 3;

/// There as long as systemd-resolved runs (systemd-resolved.service(8)).
const RESOLVED: &str = "/run/systemd/resolve/resolv.conf";

/// Ask.
pub fn probe(facts: HostFacts) -> Answers {
    let directories = &facts.directories;
    let places = [&directories.state, &directories.run, &directories.config];
    Answers {
        trial: trial(&facts),
        mapped_uids: mapped_uids(),
        user_namespaces: NamespaceSettings {
            max: setting("user/max_user_namespaces"),
            apparmor: setting("kernel/apparmor_restrict_unprivileged_userns"),
            clone: setting("kernel/unprivileged_userns_clone"),
        },
        places: places.map(|path| Place { path: path.clone(), found: look(path, facts.uid) }),
        policy: policy(&directories.policy()),
        names: names(),
        facts,
    }
}

/// Build an empty sandbox with the walls every app gets, as the caller would.
fn trial(facts: &HostFacts) -> Trial {
    let (ids, rootless) = ((facts.uid, facts.gid), !facts.is_root());
    let namespaces = Namespaces {
        user: rootless,
        mount: true,
        pid: true,
        ipc: true,
        uts: true,
        cgroup: true,
        net: true,
    };
    let body = || {
        if rootless && host_sys::creds::map_user(ids, ids).is_err() {
            NO_MAP
        } else if new_filesystem(c"tmpfs", &[], Attributes::default()).is_err() {
            NO_MOUNTS
        } else if new_filesystem(c"proc", &[], Attributes::default()).is_err() {
            NO_PROCESSES
        } else {
            0
        }
    };
    match spawn(namespaces, None, body).and_then(|child| child.wait()) {
        Ok(Exit::Code(0)) => Trial::Works,
        Ok(Exit::Code(NO_MAP)) => Trial::NoMap,
        Ok(Exit::Code(NO_PROCESSES)) => Trial::NoProcesses,
        Ok(_) => Trial::NoMounts,
        Err(errno) => Trial::NoNamespaces(errno.desc().to_lowercase()),
    }
}

/// The ranges of user_namespaces(7) that this process sees: uid here, uid outside, how many.
fn mapped_uids() -> Vec<(u64, u64)> {
    let map = std::fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    let range = |line: &str| {
        let mut numbers = line.split_whitespace().map(|number| number.parse().ok());
        Some((numbers.next()??, numbers.nth(1)??))
    };
    map.lines().filter_map(range).collect()
}

/// A number in /proc/sys; `None` where this kernel has no such file.
fn setting(name: &str) -> Option<u64> {
    std::fs::read_to_string(Path::new("/proc/sys").join(name)).ok()?.trim().parse().ok()
}

/// Whether a hostd answers for names of services, and this host's resolver asks it.
fn names() -> NamesFound {
    if !dns::responder::answers(dns::PLACE) {
        return NamesFound::Nobody;
    }
    let name = format!("{}.{}", dns::PROBE, dns::DOMAIN);
    match look_up(&[name], &mut || {}) {
        Ok(_) => NamesFound::Known,
        Err(_) => NamesFound::Unasked { resolved: Path::new(RESOLVED).exists() },
    }
}

fn look(path: &Path, caller: u32) -> Found {
    match std::fs::metadata(path) {
        Ok(found) if found.is_dir() => Found::Directory(found.uid(), found.mode() & 0o7777),
        Ok(_) => Found::Other("not a directory".to_owned()),
        Err(error) if error.kind() == ErrorKind::NotFound => Found::Nothing(can_make(path, caller)),
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {
            Found::Other("permission denied".to_owned())
        }
        Err(error) => Found::Other(error.to_string()),
    }
}

/// Whether the nearest directory above it is open to the caller, as its owner and mode say.
fn can_make(path: &Path, caller: u32) -> bool {
    let above = path.ancestors().skip(1).find_map(|above| std::fs::metadata(above).ok());
    above.is_some_and(|above| {
        let ours = above.uid() == caller && above.mode() & 0o300 == 0o300;
        above.is_dir() && (caller == 0 || ours || above.mode() & 0o003 == 0o003)
    })
}

fn policy(path: &Path) -> Result<(manifest_spec::policy::UidRange, bool), String> {
    match source::policy(path) {
        Ok(policy) => Ok((policy.uids, path.exists())),
        Err(SourceError::Invalid(errors)) => {
            let first = errors.iter().next().map(|error| {
                let place = error.origin.as_ref().map(|origin| format!("{origin}: "));
                format!("{}{}: {}", place.unwrap_or_default(), error.key, error.message)
            });
            let more = errors.count().saturating_sub(1);
            let more = if more == 0 { String::new() } else { format!(" (and {more} more)") };
            Err(first.unwrap_or_default() + &more)
        }
        Err(error) => Err(agent::failure::Error::Source(error).told().message),
    }
}
