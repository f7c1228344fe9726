//! Starting keepers, and finding those that an earlier hostd started.
//!
//! Invariant: before a keeper exists, its folder holds the lock and the assignment; the lock is the
//! keeper's from its first instant, so a hostd that comes later can tell.

use std::ffi::{CString, OsStr};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use host_sys::{Errno, file, process, socket};

use crate::keep::assignment::Assignment;
use crate::keep::folder::Folder;
use crate::keep::process::PROGRAM;
use crate::plan::Directories;
use crate::plan::facts::{LOG_SYNC, variable};
use crate::store::StoreError;

/// The program of a keeper: the one that runs now, whatever lies at its path by then.
const OWN: &std::ffi::CStr = c"/proc/self/exe";

/// Why there is no keeper.
#[derive(Debug)]
pub enum LaunchError {
    /// The folder can't be used.
    Folder(StoreError),
    /// A file in it can't be written.
    Write(io::Error),
    /// Somebody keeps the instance already.
    Kept,
    /// The process can't be started.
    Start(Errno),
}

impl std::fmt::Display for LaunchError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            LaunchError::Folder(error) => error.fmt(f),
            LaunchError::Write(error) => write!(f, "the instance's folder: {error}"),
            LaunchError::Kept => f.write_str("another keeper runs this instance"),
            LaunchError::Start(errno) => write!(f, "a keeper can't be started: {}", errno.desc()),
        }
    }
}

impl std::error::Error for LaunchError {}

/// A keeper that was just started.
#[derive(Debug)]
pub struct Launched {
    /// The instance's folder.
    pub folder: Folder,
    /// hostd's end of the first connection.
    pub connection: OwnedFd,
    /// The keeper.
    pub pid: i32,
}

/// Start a keeper for this assignment, with its folder in this place below RUN. `sockets` are those
/// that the assignment names; `output` takes what the program writes, if somebody shows it.
///
/// # Errors
/// Nothing runs then.
pub fn launch(
    directories: &Directories,
    place: &str,
    assignment: &Assignment,
    sockets: &[OwnedFd],
    output: Option<[OwnedFd; 2]>,
) -> Result<Launched, LaunchError> {
    let name = assignment.name.to_string();
    let folder = Folder::open(directories, place, &name).map_err(LaunchError::Folder)?;
    let lock = folder.lock().map_err(LaunchError::Write)?.ok_or(LaunchError::Kept)?;
    folder.assign(assignment).map_err(LaunchError::Write)?;
    let (connection, theirs) = socket::pair().map_err(LaunchError::Start)?;
    let null = file::open_null().map_err(LaunchError::Start)?;
    // What a keeper itself could say when all is lost goes where hostd says it.
    let mut streams = [null.as_fd(), null.as_fd(), file::standard()[2]];
    if let Some([output, error]) = &output {
        streams = [null.as_fd(), output.as_fd(), error.as_fd()];
    }
    let mut passed = vec![lock.as_fd(), theirs.as_fd()];
    passed.extend(sockets.iter().map(AsFd::as_fd));
    let count = passed.len().to_string();
    let arguments = [word(PROGRAM), word(&count), path(folder.path())];
    let pid = process::start(OWN, &arguments, &environment(directories), streams, &passed)
        .map_err(LaunchError::Start)?;
    Ok(Launched { folder, connection, pid })
}

/// What a keeper has of hostd's environment: where files are, and nothing that an app could see.
fn environment(directories: &Directories) -> Vec<CString> {
    let mut all: Vec<(&str, &OsStr)> = vec![
        ("HOSTCTL_STATE_DIR", directories.state.as_os_str()),
        ("HOSTCTL_RUN_DIR", directories.run.as_os_str()),
        ("HOSTCTL_CONFIG_DIR", directories.config.as_os_str()),
    ];
    let own = ["PATH", "HOME", LOG_SYNC].map(|name| (name, variable(name)));
    all.extend(own.iter().filter_map(|(name, value)| Some((*name, OsStr::new(value.as_ref()?)))));
    let pair = |(name, value): (&str, &OsStr)| {
        CString::new([name.as_bytes(), b"=", value.as_bytes()].concat()).ok()
    };
    all.into_iter().filter_map(pair).collect()
}

fn word(text: &str) -> CString {
    CString::new(text).unwrap_or_default()
}

fn path(path: &Path) -> CString {
    CString::new(path.as_os_str().as_bytes()).unwrap_or_default()
}
