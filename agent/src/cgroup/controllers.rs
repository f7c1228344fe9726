//! Controllers: what the kernel can limit in a cgroup, if the cgroups above hand it down
//! (cgroup-v2, "Controlling Controllers").
//!
//! Invariant: a cgroup that has processes is left as it is. The kernel hands no controllers down
//! from one (the "no internal process constraint"), but for the root of the hierarchy; and what
//! moves processes away from it is not ours. Never takes back what was handed down: another
//! instance may live by it.

use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::CgroupError;
use super::scope;

/// One that a limit of the manifest needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Controller {
    /// `limits.memory`.
    Memory,
    /// `limits.cpu`.
    Cpu,
    /// `limits.processes`.
    Pids,
    /// `limits.io`.
    Io,
}

impl Controller {
    /// All of them, in the order of the manifest's keys.
    pub const ALL: [Controller; 4] =
        [Controller::Memory, Controller::Cpu, Controller::Pids, Controller::Io];

    /// The kernel's name.
    pub fn name(self) -> &'static str {
        match self {
            Controller::Memory => "memory",
            Controller::Cpu => "cpu",
            Controller::Pids => "pids",
            Controller::Io => "io",
        }
    }

    /// The kernel's name in a hierarchy of cgroup v1.
    pub(super) fn v1_name(self) -> &'static str {
        match self {
            Controller::Io => "blkio",
            other => other.name(),
        }
    }

    /// The key of the limit that needs it.
    pub fn key(self) -> &'static str {
        match self {
            Controller::Memory => "limits.memory",
            Controller::Cpu => "limits.cpu",
            Controller::Pids => "limits.processes",
            Controller::Io => "limits.io",
        }
    }

    /// Those named in a text such as `cpuset cpu io`; others are nothing to us.
    pub(super) fn named(text: &str) -> Vec<Controller> {
        let is_named = |one: &Controller| text.split_whitespace().any(|name| name == one.name());
        Controller::ALL.into_iter().filter(is_named).collect()
    }
}

/// A cgroup as it is found: what it could hand down, and whether it would.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Folder {
    /// Its path on the v2 mount.
    pub path: PathBuf,
    /// What it has itself.
    pub offered: Vec<Controller>,
    /// What it hands down.
    pub enabled: Vec<Controller>,
    /// Whether it may hand down more: it has no process, or is the root of the hierarchy.
    pub is_free: bool,
    /// Whether the caller may make cgroups below it.
    pub is_writable: bool,
    /// Whether systemd has left it to its processes.
    pub is_delegated: bool,
}

impl Folder {
    /// Look at one. Changes nothing.
    pub fn look(path: &Path) -> Folder {
        let read = |name: &str| fs::read_to_string(path.join(name)).unwrap_or_default();
        let writable = |path: &Path| host_sys::file::is_writable(path);
        Folder {
            offered: Controller::named(&read("cgroup.controllers")),
            enabled: Controller::named(&read(CONTROL)),
            is_free: is_root(path) || is_empty(path),
            is_writable: writable(path) && writable(&path.join(CONTROL)),
            is_delegated: scope::delegated(path),
            path: path.to_owned(),
        }
    }

    /// What a cgroup below it can have.
    pub fn gives(&self) -> Vec<Controller> {
        let given = |one: &Controller| self.is_free || self.enabled.contains(one);
        match self.is_writable {
            true => self.offered.iter().copied().filter(given).collect(),
            false => Vec::new(),
        }
    }
}

/// Where a cgroup says what it hands down.
const CONTROL: &str = "cgroup.subtree_control";

/// The root of the hierarchy is the only cgroup without a type; that of a cgroup namespace has one.
fn is_root(path: &Path) -> bool {
    !path.join("cgroup.type").exists()
}

fn is_empty(path: &Path) -> bool {
    let mut first = [0; 1];
    fs::File::open(path.join("cgroup.procs"))
        .is_ok_and(|mut procs| matches!(procs.read(&mut first), Ok(0)))
}

/// Have a cgroup hand controllers down to those below it. What it does already is not asked again.
///
/// # Errors
/// [`CgroupError::Enable`]: `EBUSY` where it has processes, `ENOENT` where it has not all of them
/// itself. None is handed down anew then.
pub fn enable(folder: &Path, wanted: &[Controller]) -> Result<(), CgroupError> {
    let before = fs::read_to_string(folder.join(CONTROL)).unwrap_or_default();
    let before = Controller::named(&before);
    let missing: Vec<_> = wanted.iter().copied().filter(|one| !before.contains(one)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let words: Vec<_> = missing.iter().map(|one| format!("+{}", one.name())).collect();
    put(&folder.join(CONTROL), &words.join(" "))
        .map_err(|error| CgroupError::Enable(folder.to_owned(), missing, error))
}

/// Write to a file of the kernel's, which is there or is an error: it makes none.
pub(super) fn put(path: &Path, text: &str) -> io::Result<()> {
    fs::OpenOptions::new().write(true).open(path)?.write_all(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_controllers_is_read_by_whole_words() {
        assert_eq!(Controller::named("cpuset io misc\n"), [Controller::Io]);
        let all = Controller::named("cpuset cpu io memory hugetlb pids rdma");
        assert_eq!(all, Controller::ALL);
        assert!(Controller::named("").is_empty());
    }

    fn folder(is_free: bool, is_writable: bool) -> Folder {
        Folder {
            path: "/x".into(),
            offered: vec![Controller::Memory, Controller::Cpu],
            enabled: vec![Controller::Cpu],
            is_free,
            is_writable,
            is_delegated: false,
        }
    }

    #[test]
    fn a_cgroup_with_processes_gives_what_it_gave_before() {
        assert_eq!(folder(true, true).gives(), [Controller::Memory, Controller::Cpu]);
        assert_eq!(folder(false, true).gives(), [Controller::Cpu]);
        assert!(folder(true, false).gives().is_empty());
    }

    /// A stand-in for a hierarchy: plain files, that remember what was written last.
    fn tree(name: &str, levels: &[&str]) -> PathBuf {
        let root = std::env::temp_dir().join(format!("hostctl-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&root);
        for level in levels {
            fs::create_dir_all(root.join(level)).unwrap();
            fs::write(root.join(level).join(CONTROL), "").unwrap();
        }
        root
    }

    #[test]
    fn what_is_handed_down_already_is_not_asked_again() {
        let root = tree("enable", &[""]);
        fs::write(root.join(CONTROL), "cpu pids\n").unwrap();
        enable(&root, &[Controller::Cpu, Controller::Pids]).unwrap();
        assert_eq!(fs::read_to_string(root.join(CONTROL)).unwrap(), "cpu pids\n");
        enable(&root, &Controller::ALL).unwrap();
        assert!(fs::read_to_string(root.join(CONTROL)).unwrap().starts_with("+memory +io"));
        let error = enable(&root.join("none"), &[Controller::Io]).unwrap_err();
        assert!(matches!(error, CgroupError::Enable(_, missing, _) if missing == [Controller::Io]));
        fs::remove_dir_all(root).unwrap();
    }
}
