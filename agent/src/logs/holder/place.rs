//! Whose log it is: the folders of an instance's log, and who may write in them.
//!
//! | file in STATE/logs/APP/SERVICE.N | locked by | says |
//! | --- | --- | --- |
//! | `held` | the holder of a running instance | the instance runs |
//! | `lock` | the holder, and the logger until its end | the log has a writer; in it, the logger's number |
//!
//! Invariant: a log has one writer, whatever was killed when. An instance that runs keeps its log; a
//! logger that only ships what an ended one left gives it up to the next start.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use host_sys::lock::{Share, try_lock};
use host_sys::poll::{Interest, wait};
use host_sys::process;
use host_sys::signal::number;

use super::LogError;
use crate::logs::collect::HURRY;
use crate::logs::wire::PROGRAM;
use crate::plan::Directories;
use crate::store;

/// Below STATE and RUN.
pub(crate) const LOGS: &str = "logs";
/// How long a logger that is asked to end gets for it. What it still has to ship stays in the log.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often is looked whether a lock that nobody can be asked for is free.
const PAUSE: Duration = Duration::from_millis(20);
/// Most runs of one service beside one another, under one name.
const MOST: u32 = 10_000;

/// See the module's text.
#[derive(Debug)]
pub(super) struct Place {
    /// The number in the names of the folders.
    pub(super) number: u32,
    /// The log's folder.
    pub(super) folder: PathBuf,
    /// The folder below RUN, held open.
    pub(super) run: OwnedFd,
    pub(super) run_path: PathBuf,
    pub(super) lock: OwnedFd,
    _held: OwnedFd,
}

impl Place {
    /// The place of an instance; the next one with a free number, if somebody else runs it.
    pub(super) fn take(
        directories: &Directories,
        app: &str,
        service: &str,
        instance: u32,
    ) -> Result<Place, LogError> {
        for number in instance..instance.saturating_add(MOST) {
            let name = format!("{service}.{number}");
            let below = [LOGS, app, &name];
            let folder = below.iter().fold(directories.state.clone(), |path, one| path.join(one));
            let opened = store::open(&directories.state, &below).map_err(LogError::Folder)?;
            drop(opened);
            let failed = |error| LogError::File(folder.clone(), error);
            let held = open(&folder.join("held")).map_err(failed)?;
            if !try_lock(&held, Share::Alone).map_err(|errno| failed(errno.into()))? {
                continue;
            }
            let lock = open(&folder.join("lock")).map_err(failed)?;
            if !have(&lock).map_err(failed)? {
                continue;
            }
            let run = format!("{app}.{service}.{number}");
            let run_path = directories.run.join(LOGS).join(&run);
            let run = store::open(&directories.run, &[LOGS, &run]).map_err(LogError::Folder)?;
            let (lock, _held) = (lock.into(), held.into());
            return Ok(Place { number, folder, run, run_path, lock, _held });
        }
        Err(LogError::Crowded(format!("{app}.{service}")))
    }
}

/// Nobody will start the instances of an app again: have the loggers that ship what they left give up
/// soon.
pub(crate) fn dismiss(directories: &Directories, app: &str) {
    for log in crate::logs::segment::instances(&directories.state.join(LOGS), Some(app)) {
        let is_idle = || -> io::Result<bool> {
            let held = open(&log.folder.join("held"))?;
            Ok(try_lock(&held, Share::Alone)?)
        };
        if is_idle().unwrap_or(false)
            && let Ok(lock) = open(&log.folder.join("lock"))
        {
            ask(&lock, HURRY);
        }
    }
}

fn open(path: &Path) -> io::Result<File> {
    let mut options = File::options();
    options.create(true).truncate(false).read(true).write(true).mode(0o600).open(path)
}

/// Have the lock of a log whose instance does not run: its logger is asked to end, and then made to.
/// Whether it could be had.
fn have(lock: &File) -> io::Result<bool> {
    for signal in [number::TERM, number::KILL] {
        if try_lock(lock, Share::Alone)? {
            return Ok(true);
        }
        let logger = ask(lock, signal);
        let end = Instant::now() + PATIENCE;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            match &logger {
                Some(logger) => {
                    wait(&[Interest { fd: logger.as_fd(), write: false }], Some(left))?;
                }
                // One that has just been started, and whose holder was killed, has no number yet.
                None => std::thread::sleep(PAUSE),
            }
            if try_lock(lock, Share::Alone)? {
                return Ok(true);
            }
            if left.is_zero() {
                break;
            }
            if logger.is_some() {
                std::thread::sleep(PAUSE);
            }
        }
    }
    Ok(false)
}

/// Send a signal to the logger that has written its number into a lock.
fn ask(lock: &File, signal: i32) -> Option<OwnedFd> {
    let mut digits = [0; 12];
    let count = lock.read_at(&mut digits, 0).ok()?;
    let pid: i32 = std::str::from_utf8(&digits[..count]).ok()?.trim_end().parse().ok()?;
    let child = process::Child::of(pid).ok()?;
    // The number may be somebody else's by now, but not while it is held.
    let line = std::fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    if line.split(|byte| *byte == 0).next() != Some(PROGRAM.as_bytes()) {
        return None;
    }
    child.signal(signal).ok()?;
    // Stopped, it would not hear the first one.
    let _ = child.signal(number::CONT);
    Some(child.into_pidfd())
}
