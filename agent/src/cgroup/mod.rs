//! The cgroup of one instance (cgroup v2): where it is, what the instance may use up in it, and
//! what it has.
//!
//! Owns the folder, the files of limits written into it and the numbers read from it. Invariant:
//! limits are in force before the instance has a process; one that can't be is an error here, never
//! left out in silence. Never decides what a limit is: the plan has.
//!
//! | module | owns |
//! | --- | --- |
//! | [`place`] | where cgroups of instances are made here, and what can be limited there |
//! | [`controllers`] | which controllers a cgroup hands down, and having it hand down more |
//! | [`home`] | one that is ready for an instance |
//! | [`folder`] | making one and removing it |
//! | [`scope`] | the part of the host's cgroups that systemd leaves to one run |
//! | [`limits`] | what is written into it |
//! | [`usage`] | live numbers |

pub mod controllers;
pub mod folder;
pub mod home;
pub mod limits;
pub mod place;
pub mod scope;
pub mod usage;

use std::fmt;
use std::io;
use std::path::PathBuf;

pub use controllers::Controller;
pub use folder::Cgroup;
pub use home::Home;
pub use place::{Cgroups, Place};
use scope::ScopeError;
pub use usage::{OutOfMemory, Usage};

/// Why there is no cgroup for an instance, or not the one it was to have.
#[derive(Debug)]
pub enum CgroupError {
    /// No cgroup v2 hierarchy is mounted where this process could see its own cgroup.
    NotMounted,
    /// systemd made no scope for it.
    Scope(ScopeError),
    /// The folder can't be made.
    Make(PathBuf, io::Error),
    /// It can't be opened.
    Open(PathBuf, io::Error),
    /// A cgroup does not hand these controllers down.
    Enable(PathBuf, Vec<Controller>, io::Error),
    /// The kernel takes a limit not as it is: its key in the manifest, the file.
    Limit(&'static str, PathBuf, io::Error),
    /// The kernel has no file for a limit: its key in the manifest, the file.
    NoFile(&'static str, PathBuf),
}

impl fmt::Display for CgroupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CgroupError::NotMounted => f.write_str("no cgroup v2 hierarchy is mounted"),
            CgroupError::Scope(error) => error.fmt(f),
            CgroupError::Make(path, error) => {
                write!(f, "the cgroup {} can't be made: {error}", path.display())
            }
            CgroupError::Open(path, error) => write!(f, "{}: {error}", path.display()),
            CgroupError::Enable(path, controllers, error) => {
                let names: Vec<_> = controllers.iter().map(|one| one.name()).collect();
                let (path, names) = (path.display(), names.join(" and "));
                write!(f, "the cgroup {path} does not hand down {names}: {error}")
            }
            CgroupError::Limit(key, path, error) => {
                write!(f, "{key} can't be put in force: {}: {error}", path.display())
            }
            CgroupError::NoFile(key, path) => {
                write!(f, "{key} can't be put in force: this kernel has no {}", path.display())
            }
        }
    }
}

impl std::error::Error for CgroupError {}

impl From<ScopeError> for CgroupError {
    fn from(error: ScopeError) -> Self {
        CgroupError::Scope(error)
    }
}
