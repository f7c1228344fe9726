//! The cgroup v2 folder of one instance.
//!
//! Owns making it before the instance has a process and removing it after the last. Invariant: it
//! is empty when it is made, and is never another's. A folder that a killed hostctl left is removed
//! by the next one. Never moves a process; never decides where it lies.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::CgroupError;
use super::scope::place;
use crate::lease::holder::Process;

/// First part of the names of our folders.
const PREFIX: &str = "hostctl-";
/// How many folders of other instances a start looks at.
const SWEPT: usize = 16;
/// How often a folder is tried to be removed while the kernel still takes leave of its processes.
const TRIES: u32 = 50;
/// Time between two tries.
const PAUSE: Duration = Duration::from_millis(2);

/// The folder of an instance, removed when dropped.
#[derive(Debug)]
pub struct Cgroup {
    path: PathBuf,
    directory: OwnedFd,
}

impl Cgroup {
    /// Make one below `parent` for an instance of this process.
    ///
    /// # Errors
    /// [`CgroupError::Make`] where this user may not, or the folder is there.
    pub fn make(parent: &Path, instance: &str, process: Process) -> Result<Cgroup, CgroupError> {
        sweep(parent, instance, process);
        let Process { pid, started, namespace } = process;
        let path = parent.join(format!("{PREFIX}{instance}-{pid}-{started}-{namespace}"));
        DirBuilder::new().create(&path).map_err(|error| CgroupError::Make(path.clone(), error))?;
        match fs::File::open(&path) {
            Ok(directory) => Ok(Cgroup { path, directory: directory.into() }),
            Err(error) => {
                let _ = fs::remove_dir(&path);
                Err(CgroupError::Open(path, error))
            }
        }
    }

    /// Its path on the host.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl AsFd for Cgroup {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.directory.as_fd()
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        for _ in 0..TRIES {
            match fs::remove_dir(&self.path) {
                Err(error) if error.kind() == io::ErrorKind::ResourceBusy => {
                    std::thread::sleep(PAUSE);
                }
                // Removed; or gone with its parent, which was systemd's to remove.
                _ => return,
            }
        }
    }
}

/// Remove folders whose hostctl has ended: those of this instance, and of all others a few, each
/// time some, because a start is not to cost more the more instances there are. One that still has
/// processes stays: the kernel refuses. So does one of another pid namespace, of which nothing can be
/// known from here.
fn sweep(parent: &Path, instance: &str, process: Process) {
    let Ok(entries) = fs::read_dir(parent) else { return };
    let made = |entry: fs::DirEntry| {
        let name = entry.file_name().into_string().ok()?;
        Some((maker(&name)?, name))
    };
    let (mut looked, mut others): (Vec<_>, Vec<_>) =
        entries.flatten().filter_map(made).partition(|(_, name)| is_of(name, instance));
    let count = others.len().max(1);
    others.rotate_left(process.pid.unsigned_abs() as usize % count);
    others.truncate(SWEPT);
    looked.append(&mut others);
    for (process, name) in looked {
        if !process.is_alive() {
            let _ = fs::remove_dir(parent.join(name));
        }
    }
}

fn is_of(name: &str, instance: &str) -> bool {
    let rest = name.strip_prefix(PREFIX).and_then(|rest| rest.strip_prefix(instance));
    rest.is_some_and(|rest| rest.starts_with('-'))
}

/// The process that made a folder, by its name.
fn maker(name: &str) -> Option<Process> {
    let mut parts = name.strip_prefix(PREFIX)?.rsplit('-');
    let namespace = parts.next()?.parse().ok()?;
    let started = parts.next()?.parse().ok()?;
    let pid = parts.next()?.parse().ok()?;
    Some(Process { pid, started, namespace })
}

/// The cgroup v2 folder of this process, and the top of the hierarchy as far as it is mounted;
/// `None` where none is in sight.
pub fn own() -> Option<(PathBuf, PathBuf)> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
    let cgroups = fs::read_to_string("/proc/self/cgroup").ok()?;
    place::folder(&mounts, place::cgroup(&cgroups)?).filter(|(path, _)| path.is_dir())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_names_its_maker() {
        let made = maker("hostctl-two-words+3.main.1-812-77001-7").unwrap();
        let expected = Process { pid: 812, started: 77_001, namespace: 7 };
        assert_eq!(made, expected);
        assert!(expected.is_alive(), "of another namespace nothing is known");
        for foreign in ["hostctl-x", "user.slice", "hostctl-a-1-b-2", "hostctl-a-1-2", "hostctl"] {
            assert_eq!(maker(foreign), None, "{foreign}");
        }
    }
}
