//! Directories that hold hostctl's state, made and checked.
//!
//! Invariant: a directory of ours belongs to the caller and nobody else can write in it, so what is
//! found in it was put there by hostctl.

use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use host_sys::file::{self, Kind};

/// Why a directory can't be used.
#[derive(Debug)]
pub enum StoreError {
    /// It can't be made or opened.
    Io(PathBuf, io::Error),
    /// It belongs to this uid, or others may write in it (mode).
    Foreign(PathBuf, u32, u32),
}

impl std::fmt::Display for StoreError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            StoreError::Io(path, error) => write!(f, "{}: {error}", path.display()),
            StoreError::Foreign(path, uid, mode) => write!(
                f,
                "{} belongs to uid {uid} with mode {mode:04o}; it must be yours and writable by you alone",
                path.display()
            ),
        }
    }
}

impl std::error::Error for StoreError {}

/// Open a directory of ours, made with its parents (mode 0700) where it is missing.
///
/// # Errors
/// When it can't be made, or somebody else could have written in it.
pub fn open(path: &Path) -> Result<std::fs::File, StoreError> {
    let failed = |error| StoreError::Io(path.to_owned(), error);
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(failed)?;
    let directory = std::fs::File::open(path).map_err(failed)?;
    let status = file::status(directory.as_fd())
        .map_err(|errno| failed(io::Error::from_raw_os_error(errno as i32)))?;
    let ours = status.uid == host_sys::creds::effective().0 && status.mode & 0o022 == 0;
    if status.kind != Kind::Directory || !ours {
        return Err(StoreError::Foreign(path.to_owned(), status.uid, status.mode));
    }
    Ok(directory)
}
