//! The folder of an instance, `RUN/instances/APP.SERVICE.N`; of one in the foreground,
//! `RUN/foreground-PID/APP.SERVICE.N`.
//!
//! | file | writer | says |
//! | --- | --- | --- |
//! | `lock` | nobody | locked by hostd, then also by the keeper: the instance has one |
//! | `assignment.json` | hostd, once | what to run |
//! | `status.json` | the keeper | how it stands |
//! | `memory.json` | hostd | how often it was started, and failed |
//! | `control` | the keeper | the socket on which it takes orders |
//! | `notify` | the keeper | the program's `$NOTIFY_SOCKET` |
//!
//! Invariant: files are replaced as wholes. Only who holds the lock writes; only a hostd that could
//! have the lock removes.

use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use host_sys::lock::{Share, try_lock};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::assignment::Assignment;
use super::status::Status;
use crate::lease::holder::Process;
use crate::plan::Directories;
use crate::store::{self, StoreError};

/// Where the folders of hostd's instances are, below RUN.
pub const INSTANCES: &str = "instances";

/// Begin of the names of folders whose instances somebody runs in the foreground, below RUN.
const FOREGROUND: &str = "foreground-";

/// What hostd knows of an instance: enough for the next hostd to go on with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remembered {
    /// Its state, by name.
    pub state: String,
    /// Since when, milliseconds since 1970.
    pub since_ms: u64,
    /// Failures in a row.
    pub failures: u32,
    /// Starts after the first.
    pub restarts: u32,
    /// It was ready once since it was launched.
    pub ever_ready: bool,
    /// What happened last, in words.
    pub reason: Option<String>,
}

/// The folder of one instance, held open.
#[derive(Debug)]
pub struct Folder {
    directory: OwnedFd,
    path: PathBuf,
}

impl Folder {
    /// Open the folder of an instance in this place below RUN, made if it is missing.
    ///
    /// # Errors
    /// When it can't be made, or is not ours.
    pub fn open(directories: &Directories, place: &str, name: &str) -> Result<Folder, StoreError> {
        let directory = store::open(&directories.run, &[place, name])?;
        Ok(Folder { directory, path: directories.run.join(place).join(name) })
    }

    /// Every folder of this place.
    ///
    /// # Errors
    /// When the directory above them is not ours.
    pub fn all(directories: &Directories, place: &str) -> Result<Vec<Folder>, StoreError> {
        let above = directories.run.join(place);
        let Some(_) = store::existing(&directories.run, &[place])? else {
            return Ok(Vec::new());
        };
        let failed = |error| StoreError::Io(above.clone(), error);
        let mut found = Vec::new();
        for entry in fs::read_dir(&above).map_err(failed)? {
            let Ok(name) = entry.map_err(failed)?.file_name().into_string() else { continue };
            if let Some(directory) = store::existing(&directories.run, &[place, &name])? {
                found.push(Folder { directory, path: above.join(name) });
            }
        }
        Ok(found)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A file in it, by a path that names the folder by its descriptor: short enough for a socket's
    /// address (unix(7): 108 bytes), and of this folder whatever happens to its name.
    pub fn file(&self, name: &str) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}/{name}", self.directory.as_raw_fd()))
    }

    /// Take the lock, if nobody has it.
    ///
    /// # Errors
    /// When the file can't be made.
    pub fn lock(&self) -> io::Result<Option<OwnedFd>> {
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(self.file("lock"))?;
        Ok(try_lock(&file, Share::Alone)?.then(|| file.into()))
    }

    /// What the keeper is to run; `None` if nobody wrote it.
    ///
    /// # Errors
    /// When it is there and can't be understood.
    pub fn assignment(&self) -> io::Result<Option<Assignment>> {
        self.read("assignment.json")
    }

    /// What the keeper last said; `None` if it has said nothing yet.
    ///
    /// # Errors
    /// When it is there and can't be understood.
    pub fn status(&self) -> io::Result<Option<Status>> {
        self.read("status.json")
    }

    /// Write down what to run, in a folder that is empty but for the lock: what was known of an
    /// earlier life is not true of this one.
    ///
    /// # Errors
    /// What the file system says.
    pub fn assign(&self, assignment: &Assignment) -> io::Result<()> {
        for name in ["status.json", "memory.json", "control", "notify"] {
            match fs::remove_file(self.file(name)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        self.replace("assignment.json", assignment)
    }

    /// What hostd knew of it; `None` if nothing was written.
    ///
    /// # Errors
    /// When it is there and can't be understood.
    pub fn memory(&self) -> io::Result<Option<Remembered>> {
        self.read("memory.json")
    }

    /// Write down what hostd knows of it.
    ///
    /// # Errors
    /// What the file system says; the old words stand then.
    pub fn remember(&self, memory: &Remembered) -> io::Result<()> {
        self.replace("memory.json", memory)
    }

    /// Write down that it belongs to another version now, which wants the same of it.
    ///
    /// # Errors
    /// What the file system says; the old words stand then.
    pub fn reassign(&self, assignment: &Assignment) -> io::Result<()> {
        self.replace("assignment.json", assignment)
    }

    /// Write down how it stands.
    ///
    /// # Errors
    /// What the file system says; the old words stand then.
    pub fn report(&self, status: &Status) -> io::Result<()> {
        self.replace("status.json", status)
    }

    /// Remove it with all that is in it.
    ///
    /// # Errors
    /// What the file system says.
    pub fn remove(self) -> io::Result<()> {
        fs::remove_dir_all(&self.path)
    }

    fn read<T: DeserializeOwned>(&self, name: &str) -> io::Result<Option<T>> {
        match fs::read(self.file(name)) {
            Ok(bytes) => Ok(Some(serde_json::from_slice(&bytes)?)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn replace(&self, name: &str, value: &impl Serialize) -> io::Result<()> {
        // No sync: a reboot ends the instance as well.
        store::replace(&self.path, name, value)
    }
}

/// The place of a foreground run by this process.
pub fn foreground() -> String {
    format!("{FOREGROUND}{}", host_sys::process::pid())
}

/// Remove the places of foreground runs that were killed. One that has a keeper stays.
///
/// # Errors
/// When RUN can't be looked at.
pub fn sweep(directories: &Directories) -> Result<(), StoreError> {
    let failed = |error| StoreError::Io(directories.run.clone(), error);
    for entry in fs::read_dir(&directories.run).map_err(failed)? {
        let Ok(place) = entry.map_err(failed)?.file_name().into_string() else { continue };
        let Some(pid) = place.strip_prefix(FOREGROUND) else { continue };
        if pid.parse().is_ok_and(|pid| Process::of(pid).is_some()) {
            continue;
        }
        for folder in Folder::all(directories, &place)? {
            if let Ok(Some(_lock)) = folder.lock() {
                let _ = folder.remove();
            }
        }
        // Not empty means that a keeper is still ending.
        let _ = fs::remove_dir(directories.run.join(place));
    }
    Ok(())
}

impl AsFd for Folder {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.directory.as_fd()
    }
}
