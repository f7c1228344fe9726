//! Holding what is granted, before the sandbox exists.
//!
//! Owns the last word on every grant: whether the object behind its path may be granted at all.
//! Invariant: after [`pin`], each granted bind names a path without links and the identity of the
//! one object that may be mounted; the objects are held, so that no other can take their identity.
//! Judges objects, never spellings.

use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use host_sys::creds;
use host_sys::file::{self, Kind};

use super::message::Failure;
use super::paths::{self, Found, Identity, Trust};
use super::step::{Bind, Step};
use crate::keep::assignment::Deployer;

/// File systems whose files are the kernel's, not the host's.
const KERNEL: [&str; 2] = ["/proc", "/sys"];

/// The granted objects, held until it is dropped.
#[derive(Debug)]
pub struct Pinned {
    _held: Vec<Found>,
}

/// Find every granted path and write down what it is. `denied` are directories that no program may
/// see, nor anything above or below them; `deployer`, whose rights count instead of the caller's.
///
/// # Errors
/// The first grant that can't be given, as the failure of its step.
pub fn pin(
    steps: &mut [Step],
    denied: &[PathBuf],
    deployer: Option<&Deployer>,
) -> Result<Pinned, Failure> {
    let root = file::hold_root().map_err(|errno| failure(0, Some(errno), "/".into()))?;
    let owner = Some(deployer.map_or(creds::effective().0, |deployer| deployer.uid));
    let look = |index: usize, bind: &Bind, writable: &[Identity]| {
        let find = |owner| paths::find(root.as_fd(), &bind.source, Trust { owner, writable });
        let found = match deployer.filter(|_| !bind.managed) {
            None => find(owner),
            Some(Deployer { uid, gid, groups }) => {
                let found = creds::with_file_rights_of(*uid, *gid, groups, || find(owner));
                found
                    .map_err(|errno| failure(index, Some(errno), "the deployer's rights".into()))?
            }
        };
        found.map_err(|error| failure(index, error.errno(), error.to_string()))
    };
    let mut writable = Vec::new();
    for (index, bind) in grants(steps).filter(|(_, bind)| bind.writable) {
        let found = look(index, bind, &writable)?;
        writable.push(found.status.identity);
    }
    let denied: Vec<_> = denied.iter().map(|path| Denied::new(path)).collect();
    let mut held = Vec::new();
    let mut pins = Vec::new();
    for (index, bind) in grants(steps) {
        // Again, knowing all of them: one may have been reached by a second name.
        let found = look(index, bind, &writable)?;
        if let Some(why) = refuse(&found, bind, &denied) {
            return Err(failure(index, None, why));
        }
        pins.push((index, found.path.clone(), found.status.identity));
        held.push(found);
    }
    for (index, path, identity) in pins {
        if let Some(Step::Bind(bind)) = steps.get_mut(index) {
            bind.source = path;
            bind.identity = Some(identity);
        }
    }
    Ok(Pinned { _held: held })
}

/// The binds that the manifest asked for, with their places in the list.
fn grants(steps: &[Step]) -> impl Iterator<Item = (usize, &Bind)> {
    steps.iter().enumerate().filter_map(|(index, step)| match step {
        Step::Bind(bind) if !bind.key.is_empty() => Some((index, bind)),
        _ => None,
    })
}

fn failure(step: usize, errno: Option<host_sys::Errno>, detail: String) -> Failure {
    Failure { step: step as u16, errno, detail }
}

/// A directory that is not to be seen, by name and by identity.
struct Denied {
    path: PathBuf,
    identity: Option<Identity>,
}

impl Denied {
    /// Where it is without links; as it is written where it does not exist.
    fn new(path: &Path) -> Denied {
        let identity = std::fs::metadata(path).map(|status| (status.dev(), status.ino())).ok();
        let path = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        Denied { path, identity }
    }

    /// Whether it is the object, or lies above it.
    fn covers(&self, found: &Found) -> bool {
        let same = |identity: &Identity| self.identity == Some(*identity);
        same(&found.status.identity)
            || found.above.iter().any(same)
            || found.path.starts_with(&self.path)
    }
}

/// Why this object can't be granted.
fn refuse(found: &Found, bind: &Bind, denied: &[Denied]) -> Option<String> {
    let path = found.path.display();
    if bind.managed {
        return None;
    }
    if found.path == Path::new("/") {
        return Some(format!("{} is the whole file system", bind.source.display()));
    }
    if let Some(denied) = denied.iter().find(|denied| denied.covers(found)) {
        return Some(format!("{path} is never granted: no app may see {}", denied.path.display()));
    }
    if let Some(denied) = denied.iter().find(|denied| denied.path.starts_with(&found.path)) {
        return Some(format!("{path} contains {}, which no app may see", denied.path.display()));
    }
    if let Some(kernel) = KERNEL.iter().find(|kernel| found.path.starts_with(kernel)) {
        return Some(format!("{path} lies in {kernel}, of which each app has its own or none"));
    }
    let what = match found.status.kind {
        Kind::Directory if found.path.starts_with("/dev") => "a directory of devices",
        Kind::Directory | Kind::File => return None,
        Kind::Device if found.path.starts_with("/dev") => return None,
        Kind::Device => "a device",
        Kind::Fifo => "a named pipe",
        Kind::Socket => "a socket",
        Kind::Link => "a symbolic link",
    };
    Some(format!("{path} is {what}; only files and directories can be granted"))
}
