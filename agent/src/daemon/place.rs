//! hostd's own place on the host: the lock that makes it the only one, its socket, and the one who
//! started it.
//!
//! Invariant: the lock is taken before anything is read or written.

use std::fs::{self, File};
use std::io::{self, Read, Seek, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::time::Duration;

use host_sys::lock::{Share, try_lock};
use tokio::net::UnixListener;

use crate::plan::Directories;
use crate::plan::facts::variable;
use crate::store::{self, StoreError};

/// How long the lock is waited for, and how often it is tried: a keeper that was just being started
/// when its hostd was killed shares the lock until it is executed.
const PATIENCE: (Duration, u32) = (Duration::from_millis(10), 100);

/// Why hostd has no place.
#[derive(Debug)]
pub enum PlaceError {
    /// A directory of ours.
    Store(StoreError),
    /// Another hostd has this state: what it wrote about itself.
    Taken(PathBuf, String),
    /// There is no state, and there was one.
    Gone(PathBuf),
    /// A file can't be made or used.
    Io(PathBuf, io::Error),
}

impl std::fmt::Display for PlaceError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            PlaceError::Store(error) => error.fmt(f),
            PlaceError::Taken(path, who) => {
                write!(f, "{} is in use by {who}", path.display())
            }
            PlaceError::Gone(path) => write!(
                f,
                "{} is gone, and a hostd has kept its state there: without it, it would take every app for removed",
                path.display()
            ),
            PlaceError::Io(path, error) => write!(f, "{}: {error}", path.display()),
        }
    }
}

impl std::error::Error for PlaceError {}

/// The place, while hostd runs.
#[derive(Debug)]
pub struct Place {
    directories: Directories,
    _lock: OwnedFd,
}

impl Place {
    /// Take it.
    ///
    /// # Errors
    /// When another hostd has it, or a directory can't be used.
    pub fn take(directories: &Directories) -> Result<Place, PlaceError> {
        store::open(&directories.state, &[]).map_err(PlaceError::Store)?;
        store::open(&directories.run, &[]).map_err(PlaceError::Store)?;
        let lock = lock(&directories.hostd_lock())?;
        known(directories)?;
        store::conceal(&directories.leases());
        // Whoever may ask something reaches the socket, and sees nothing else on the way.
        fs::set_permissions(&directories.run, fs::Permissions::from_mode(0o711))
            .map_err(|error| PlaceError::Io(directories.run.clone(), error))?;
        Ok(Place { directories: directories.clone(), _lock: lock })
    }

    /// Where hostd keeps its files.
    pub fn directories(&self) -> &Directories {
        &self.directories
    }

    /// Write down that there is a state now: from here on it is missed if it is gone.
    ///
    /// # Errors
    /// When that can't be written.
    pub fn settle(&self) -> Result<(), PlaceError> {
        let mark = self.directories.hostd_mark();
        File::create(&mark).map(drop).map_err(|error| PlaceError::Io(mark, error))
    }

    /// The API's socket: anybody may connect, and is asked who they are.
    ///
    /// # Errors
    /// When it can't be made.
    pub fn listen(&self) -> Result<UnixListener, PlaceError> {
        let path = self.directories.socket();
        let failed = |error| PlaceError::Io(path.clone(), error);
        // The lock says that whoever made the one that is there has ended.
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
            _ => {}
        }
        let listener = UnixListener::bind(&path).map_err(failed)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).map_err(failed)?;
        Ok(listener)
    }
}

/// Take the lock, and write down who has it.
fn lock(path: &Path) -> Result<OwnedFd, PlaceError> {
    let failed = |error| PlaceError::Io(path.to_owned(), error);
    let mut file = File::options()
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        .mode(0o600)
        .open(path)
        .map_err(failed)?;
    if !is_ours_soon(&file).map_err(|errno| failed(errno.into()))? {
        let mut who = String::new();
        let _ = file.read_to_string(&mut who);
        let who = if who.is_empty() { "another hostd".to_owned() } else { who };
        return Err(PlaceError::Taken(path.to_owned(), who.trim().to_owned()));
    }
    let text = format!("hostd, process {}\n", host_sys::process::pid());
    file.set_len(0).map_err(failed)?;
    file.rewind().map_err(failed)?;
    file.write_all(text.as_bytes()).map_err(failed)?;
    Ok(file.into())
}

/// Lock the file, now or within [`PATIENCE`].
fn is_ours_soon(file: &File) -> host_sys::Result<bool> {
    let (pause, times) = PATIENCE;
    for _ in 0..times {
        if try_lock(file, Share::Alone)? {
            return Ok(true);
        }
        std::thread::sleep(pause);
    }
    Ok(false)
}

/// Refuse to begin anew where a hostd was before: a state that is missing is no empty state. One
/// that was ever used is never without a byte.
fn known(directories: &Directories) -> Result<(), PlaceError> {
    let state = directories.state_file();
    let is_there = fs::metadata(&state).is_ok_and(|state| state.len() > 0);
    match directories.hostd_mark().exists() && !is_there {
        true => Err(PlaceError::Gone(state)),
        false => Ok(()),
    }
}

/// systemd, if it started hostd (sd_notify(3), sd_watchdog_enabled(3)).
#[derive(Debug)]
pub struct Systemd {
    socket: Option<UnixDatagram>,
}

impl Systemd {
    /// The one who waits for news, if somebody does.
    pub fn new() -> Systemd {
        Systemd { socket: connect().ok() }
    }

    /// Say something.
    pub fn say(&self, text: &str) {
        if let Some(socket) = &self.socket {
            // systemd draws its own conclusions from silence.
            let _ = socket.send(text.as_bytes());
        }
    }

    /// How often a sign of life is wanted: twice as often as it must come.
    pub fn watchdog(&self) -> Option<Duration> {
        let meant =
            variable("WATCHDOG_PID").is_none_or(|pid| pid.parse() == Ok(host_sys::process::pid()));
        let limit: u64 = variable("WATCHDOG_USEC")?.parse().ok()?;
        (meant && limit > 1).then(|| Duration::from_micros(limit / 2))
    }
}

impl Default for Systemd {
    fn default() -> Self {
        Self::new()
    }
}

fn connect() -> io::Result<UnixDatagram> {
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::net::SocketAddr;
    let path = variable("NOTIFY_SOCKET").ok_or(io::ErrorKind::NotFound)?;
    let address = match path.strip_prefix('@') {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(&path)?,
    };
    let socket = UnixDatagram::unbound()?;
    socket.connect_addr(&address)?;
    Ok(socket)
}
