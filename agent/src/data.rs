//! Managed directories (`data:` grants): made for an app, kept for it.
//!
//! Invariant: a managed directory belongs to its app's uid and lies in a directory that is ours
//! alone, so no app can put anything in its place. A start that fails removes the empty directories
//! it made; nothing else ever removes one.

use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use host_sys::Errno;
use host_sys::file::{self, Kind};

use crate::plan::{Directories, GrantKind, Plan};
use crate::store::{self, StoreError};

/// Why a managed directory is not there.
#[derive(Debug)]
pub struct DataError {
    /// Key in the manifest.
    pub key: String,
    /// What went wrong.
    pub error: StoreError,
}

/// Managed directories made by this start, removed again unless it succeeds.
#[derive(Debug, Default)]
pub struct Prepared {
    made: Vec<PathBuf>,
}

/// Make the managed directories of a plan that are missing, mode 0700.
///
/// # Errors
/// The first that can't be made, or that belongs to somebody else.
pub fn prepare(plan: &Plan, directories: &Directories) -> Result<Prepared, DataError> {
    let mut prepared = Prepared::default();
    for grant in plan.grants.iter().filter(|grant| grant.kind == GrantKind::Managed) {
        let result = directory(&directories.state, &plan.app, &grant.source, plan.identity.ids());
        let made = result.map_err(|error| DataError { key: grant.key.clone(), error })?;
        if made {
            prepared.made.push(grant.source.clone());
        }
    }
    Ok(prepared)
}

impl Prepared {
    /// The start succeeded: what was made stays.
    pub fn keep(mut self) {
        self.made.clear();
    }
}

impl Drop for Prepared {
    fn drop(&mut self) {
        for path in &self.made {
            // Not empty means that the program was there: then it is data.
            let _ = std::fs::remove_dir(path);
            let _ = path.parent().map(std::fs::remove_dir);
        }
    }
}

/// One managed directory, `state/data/APP/NAME`; whether it was made now.
fn directory(state: &Path, app: &str, path: &Path, owner: (u32, u32)) -> Result<bool, StoreError> {
    let io = |errno| StoreError::kernel(path, errno);
    let name = path.file_name().ok_or(io(Errno::EINVAL))?;
    let parent = store::open(state, &["data", app])?;
    let made = match file::make_directory(parent.as_fd(), Path::new(name), 0o700) {
        Ok(()) => true,
        Err(Errno::EEXIST) => false,
        Err(errno) => return Err(io(errno)),
    };
    let held = file::hold(parent.as_fd(), Path::new(name)).map_err(io)?;
    let status = file::status(held.as_fd()).map_err(io)?;
    // A start that was killed between making and giving leaves an empty directory of ours.
    let ours = status.uid == host_sys::creds::effective().0;
    if status.kind == Kind::Directory && ours && (status.uid, status.gid) != owner {
        file::change_owner(held.as_fd(), owner.0, owner.1).map_err(io)?;
    } else if status.kind != Kind::Directory || status.uid != owner.0 {
        return Err(StoreError::Foreign(path.to_owned(), status.uid, status.mode));
    }
    Ok(made)
}
