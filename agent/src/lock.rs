//! `hostctl lock`: a command that runs while a lock is held.
//!
//! Invariant: the command starts only after the ledger knows it, so the lock is nobody else's as
//! long as the command lives, even when hostctl is killed. No sandbox: it runs as the caller would
//! have run it. Never prints.

use std::ffi::{CString, OsString};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use host_sys::poll::{self, Interest};
use host_sys::process::{self, Exit, Namespaces};
use host_sys::signal::{self, Signals, number};
use host_sys::{Errno, file, socket};

use crate::lease::conflict::Refusal;
use crate::lease::key::Key;
use crate::lease::{Held, LeaseError, wait};
use crate::plan::Directories;

/// Variable with the lease's number, for programs that check it where they write.
pub const FENCE: &str = "HOSTCTL_FENCE";

/// Why a command did not run under a lock.
#[derive(Debug)]
pub enum LockError {
    /// The lock.
    Lease(LeaseError),
    /// No such program.
    NotFound(OsString),
    /// It can't be executed.
    NotExecutable(PathBuf, Errno),
    /// A call of hostctl itself failed.
    Kernel(Errno),
}

impl From<Errno> for LockError {
    fn from(errno: Errno) -> Self {
        LockError::Kernel(errno)
    }
}

impl From<LeaseError> for LockError {
    fn from(error: LeaseError) -> Self {
        LockError::Lease(error)
    }
}

/// A command as the caller gave it.
#[derive(Debug)]
pub struct LockedCommand {
    /// The program and its arguments.
    pub words: Vec<OsString>,
    /// Its environment.
    pub environment: Vec<(OsString, OsString)>,
}

/// Take the lock; if it is taken, wait for it or give up. `notify` is told once what is waited for.
///
/// # Errors
/// As [`Held::lock`].
pub fn acquire(
    key: &Key,
    command: &LockedCommand,
    wait: bool,
    directories: &Directories,
    clock: fn() -> Duration,
    notify: &mut dyn FnMut(&Refusal),
) -> Result<Held, LockError> {
    let name = command.words.first().map(Path::new).and_then(Path::file_name).unwrap_or_default();
    let name = name.to_string_lossy();
    let mut told = false;
    loop {
        match Held::lock(key, &name, directories, clock) {
            Err(LeaseError::Refused(refusal)) if wait => {
                if !told {
                    notify(&refusal);
                }
                told = true;
                wait::for_change(&refusal)?;
            }
            result => return Ok(result?),
        }
    }
}

/// Run the command to its end. SIGTERM and SIGHUP are passed on; the terminal's own signals reach
/// it anyway.
///
/// # Errors
/// When it can't be started, or the ledger can't be told of it.
pub fn run(command: &LockedCommand, held: &mut Held) -> Result<Exit, LockError> {
    let path = locate(command)?;
    let prepared = prepare(command, &path, held)?;
    let signals = Signals::block(&[number::INT, number::QUIT, number::TERM, number::HUP])?;
    let (ours, theirs) = socket::pair()?;
    let mut ours = Some(ours);
    let body = || {
        // Its copy of our end, or it would never see that we are gone.
        drop(ours.take());
        start(&prepared, &theirs)
    };
    let child = process::spawn(Namespaces::default(), None, body)?;
    held.guard(child.pid)?;
    let Some(ours) = ours else { return Err(Errno::EPIPE.into()) };
    socket::send(ours.as_fd(), b"go", &[], true)?;
    loop {
        let ended = Interest { fd: child.pidfd(), write: false };
        poll::wait(&[ended, Interest { fd: signals.as_fd(), write: false }], None)?;
        while let Some(signal) = signals.next()? {
            if matches!(signal, number::TERM | number::HUP) {
                child.signal(signal)?;
            }
        }
        if poll::wait(&[ended], Some(Duration::ZERO))? == [true] {
            break;
        }
    }
    let exit = child.wait()?;
    let mut errno = [0; 4];
    match socket::receive(ours.as_fd(), &mut errno, false) {
        Ok(Some(_)) => {
            let errno = Errno::from_raw(i32::from_ne_bytes(errno));
            Err(LockError::NotExecutable(path, errno))
        }
        _ => Ok(exit),
    }
}

struct Prepared {
    path: CString,
    words: Vec<CString>,
    environment: Vec<CString>,
}

fn prepare(command: &LockedCommand, path: &Path, held: &Held) -> Result<Prepared, LockError> {
    let c_string = |bytes: Vec<u8>| CString::new(bytes).map_err(|_| Errno::EINVAL);
    let variable = |(name, value): &(OsString, OsString)| {
        c_string([name.as_bytes(), b"=", value.as_bytes()].concat())
    };
    let inherited = command.environment.iter().filter(|(name, _)| name != FENCE);
    let mut environment = inherited.map(variable).collect::<Result<Vec<_>, _>>()?;
    for lease in held.leases() {
        environment.push(c_string(format!("{FENCE}={}", lease.fence).into_bytes())?);
    }
    let words = command.words.iter().map(|word| c_string(word.clone().into_vec()));
    Ok(Prepared {
        path: c_string(path.as_os_str().as_bytes().to_vec())?,
        words: words.collect::<Result<_, _>>()?,
        environment,
    })
}

/// The child: wait until the ledger knows it, then become the command.
fn start(prepared: &Prepared, line: &OwnedFd) -> u8 {
    let mut word = [0; 2];
    if !matches!(socket::receive(line.as_fd(), &mut word, true), Ok(Some(_))) {
        return 0;
    }
    let Prepared { path, words, environment } = prepared;
    let Err(errno) = signal::reset().and_then(|()| process::exec(path, words, environment));
    let _ = socket::send(line.as_fd(), &(errno as i32).to_ne_bytes(), &[], true);
    0
}

/// The program's path: as given if it has a slash, else the first match along `$PATH`.
fn locate(command: &LockedCommand) -> Result<PathBuf, LockError> {
    let name = command.words.first().cloned().unwrap_or_default();
    if name.as_bytes().contains(&b'/') {
        let path = PathBuf::from(&name);
        return if path.exists() { Ok(path) } else { Err(LockError::NotFound(name)) };
    }
    let search = command.environment.iter().find(|(name, _)| name == "PATH");
    let search = search.map(|(_, path)| path.clone()).unwrap_or_default();
    let executable = |path: &PathBuf| {
        std::fs::File::open(path)
            .ok()
            .and_then(|file| file::status(file.as_fd()).ok())
            .is_some_and(|status| status.kind == file::Kind::File && status.mode & 0o111 != 0)
    };
    let mut found = std::env::split_paths(&search).map(|dir| dir.join(&name));
    found.find(executable).ok_or(LockError::NotFound(name))
}
