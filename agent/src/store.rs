//! Directories that hold hostctl's state, made and checked; files in them, replaced as a whole.
//!
//! Invariant: every directory of ours, from the state directory down, belongs to the caller and
//! nobody else can write in it, so what is found there was put there by hostctl. On the way to the
//! state directory only links of root and the caller are followed. Nothing is read from or written
//! to a directory before it was checked.

use std::fs::{self, File, Permissions};
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use host_sys::file::{self, Kind};
use host_sys::{Errno, creds};
use serde::Serialize;

use crate::sandbox::paths::{self, PathError, Trust};

/// Why a directory can't be used.
#[derive(Debug)]
pub enum StoreError {
    /// It can't be made or opened.
    Io(PathBuf, io::Error),
    /// A link on the way that must not be followed, or the way does not exist.
    Path(PathError),
    /// It belongs to this uid, or others may write in it (mode).
    Foreign(PathBuf, u32, u32),
}

impl StoreError {
    /// A call on this path failed.
    pub fn kernel(path: &Path, errno: Errno) -> Self {
        StoreError::Io(path.to_owned(), io::Error::from_raw_os_error(errno as i32))
    }
}

impl std::fmt::Display for StoreError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            StoreError::Io(path, error) => write!(f, "{}: {error}", path.display()),
            StoreError::Path(error) => error.fmt(f),
            StoreError::Foreign(path, uid, mode) => write!(
                f,
                "{} belongs to uid {uid} with mode {mode:04o}; it must be yours and writable by you alone",
                path.display()
            ),
        }
    }
}

impl std::error::Error for StoreError {}

/// Open `root/below…`, made with its parents (mode 0700) where it is missing.
///
/// # Errors
/// When a directory can't be made, or somebody else could have written in one.
pub fn open(root: &Path, below: &[&str]) -> Result<OwnedFd, StoreError> {
    if !root.exists() {
        // A link that leads nowhere is not made to lead somewhere: this fails on it.
        let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(root);
        made.map_err(|error| StoreError::Io(root.to_owned(), error))?;
    }
    descend(root, below, |directory, name, path| {
        match file::make_directory(directory, Path::new(name), 0o700) {
            Ok(()) | Err(Errno::EEXIST) => Ok(()),
            Err(errno) => Err(StoreError::kernel(path, errno)),
        }
    })
}

/// Make a file for SQLite, which would make it by the umask alone, nobody else's to read; those that
/// it makes beside it get the same mode. What can't be made or changed, it says itself on opening.
pub fn conceal(path: &Path) {
    // One that is there is not opened: closing it would give up the locks that this process has on
    // it by another descriptor (fcntl(2)).
    let new = File::options().write(true).create_new(true).mode(0o600).open(path);
    if new.is_err() {
        let _ = fs::set_permissions(path, Permissions::from_mode(0o600));
    }
}

/// Replace a file of a folder by a value as JSON, for hostctl's user alone to read: whoever looks
/// finds the old one or the new one, whatever is killed when. After a loss of power it may be neither.
///
/// # Errors
/// What the file system says; the old one stands then.
pub fn replace(folder: &Path, name: &str, value: &impl Serialize) -> io::Result<()> {
    put(folder, name, value, |_| Ok(()))
}

/// The same, on the disk before it has the name: else the name could be that of an empty file after a
/// loss of power. That the folder knows the name is the caller's to sync.
///
/// # Errors
/// As [`replace`].
pub fn replace_synced(folder: &Path, name: &str, value: &impl Serialize) -> io::Result<()> {
    put(folder, name, value, File::sync_data)
}

fn put(
    folder: &Path,
    name: &str,
    value: &impl Serialize,
    sync: impl Fn(&File) -> io::Result<()>,
) -> io::Result<()> {
    let new = folder.join(format!("{name}.new"));
    let mut file =
        File::options().create(true).truncate(true).write(true).mode(0o600).open(&new)?;
    file.write_all(&serde_json::to_vec(value)?)?;
    sync(&file)?;
    fs::rename(new, folder.join(name))
}

/// Open `root/below…` if all of it exists. Changes nothing.
///
/// # Errors
/// When somebody else could have written in one of the directories.
pub fn existing(root: &Path, below: &[&str]) -> Result<Option<OwnedFd>, StoreError> {
    match descend(root, below, |_, _, _| Ok(())) {
        Err(StoreError::Io(_, error)) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(StoreError::Path(PathError::Kernel(_, Errno::ENOENT))) => Ok(None),
        opened => opened.map(Some),
    }
}

/// Go down from `root`, checking each directory before anything is done in it; `prepare` is called
/// with a checked directory, the name of the next one, and its path.
fn descend(
    root: &Path,
    below: &[&str],
    prepare: impl Fn(BorrowedFd<'_>, &str, &Path) -> Result<(), StoreError>,
) -> Result<OwnedFd, StoreError> {
    let slash = file::hold_root().map_err(|errno| StoreError::kernel(Path::new("/"), errno))?;
    let trust = Trust { owner: Some(creds::effective().0), writable: &[] };
    let found = paths::find(slash.as_fd(), root, trust).map_err(StoreError::Path)?;
    let mut path = root.to_owned();
    let mut directory = found.held;
    check(directory.as_fd(), &path)?;
    for name in below {
        path.push(name);
        prepare(directory.as_fd(), name, &path)?;
        directory = file::open_directory(directory.as_fd(), Path::new(name))
            .map_err(|errno| StoreError::kernel(&path, errno))?;
        check(directory.as_fd(), &path)?;
    }
    Ok(directory)
}

fn check(directory: BorrowedFd<'_>, path: &Path) -> Result<(), StoreError> {
    let status = file::status(directory).map_err(|errno| StoreError::kernel(path, errno))?;
    let ours = status.uid == creds::effective().0 && status.mode & 0o022 == 0;
    if status.kind == Kind::Directory && ours {
        Ok(())
    } else {
        Err(StoreError::Foreign(path.to_owned(), status.uid, status.mode))
    }
}
