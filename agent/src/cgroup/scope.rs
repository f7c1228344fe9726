//! A scope of systemd's for one run (systemd.scope(5)): the part of the host's cgroups that hostctl
//! may use where systemd owns them all.
//!
//! Owns the request and what keeps the scope until the app is in it. hostctl stays in the cgroup it
//! was started in; a [`Placeholder`] is the scope's first process. hostctl makes folders of its own
//! below [`Scope::path`], starts the app in one of them, and lets the placeholder go, at once or at
//! the end: from then on the app's processes keep the scope, and systemd removes it with the last of
//! them. Where the app has limits, the placeholder steps aside first, into a folder below
//! ([`Scope::make_room`]).
//!
//! Invariant: a scope does not outlive both its placeholder and its app, so nothing is left
//! whatever ends hostctl, and when; seconds later at most. Moves no process but the placeholder, and
//! of those that asked for it, the caller.
//!
//! | module | owns |
//! | --- | --- |
//! | [`request`] | what is asked of systemd and what its answers mean |
//! | [`manager`] | how systemd itself stands |
//! | [`place`] | cgroups, their folders, and which of them are units |
//! | [`placeholder`] | the first process |

mod manager;
pub(super) mod place;
mod placeholder;
mod request;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use host_sys::{Errno, creds, xattr};

pub use manager::{Outlook, outlook};
use placeholder::Placeholder;
use request::{Answer, Hearing, Wanted};

use crate::bus::call::Call;
use crate::bus::{Bus, BusError, SYSTEM_BUS};

/// systemd's own socket, root's alone: no daemon stands between, and hosts without one work too.
/// systemctl(1) uses it first for the same reasons.
const PRIVATE: &str = "/run/systemd/private";

/// How long systemd gets. It answers in milliseconds; a reload of all its units takes seconds.
const PATIENCE: Duration = Duration::from_secs(10);

/// Attributes by which systemd marks a cgroup that it has left to its processes: since version 236,
/// and since 251 one that is not root's alone to read (systemd's CGROUP_DELEGATION.md).
const DELEGATED: [&std::ffi::CStr; 2] = [c"trusted.delegate", c"user.delegate"];

/// Why there is no scope.
#[derive(Debug)]
pub enum ScopeError {
    /// Process 1 as it is seen from here is not the systemd that owns the cgroups: a process named
    /// to it by its number would be another one.
    OutOfSight,
    /// The placeholder can't be started.
    Placeholder(Errno),
    /// systemd is reached nowhere: what each socket said.
    Unreachable(Vec<(PathBuf, BusError)>),
    /// The connection failed after the request was made: its unit, the socket.
    Interrupted(String, PathBuf, BusError),
    /// systemd refused: the unit, the error's name and text.
    Refused(String, String, String),
    /// systemd tried to start it, with this result.
    NotStarted(String, String),
    /// A file of /proc can't be read.
    Read(PathBuf, io::Error),
    /// The first process can't be moved aside: to which folder.
    Aside(PathBuf, io::Error),
    /// The first process is not in the unit, but in this cgroup.
    Elsewhere(String, String),
    /// The cgroup of the unit is not in view: that part of cgroup v2 is not mounted here.
    NotMounted(String),
    /// systemd runs this host on cgroup v1 alone.
    NoUnified,
}

impl std::fmt::Display for ScopeError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            ScopeError::OutOfSight => f.write_str(
                "systemd runs this host, but process 1 here is another: \
                 its scopes can't be had from a pid namespace of its own",
            ),
            ScopeError::Placeholder(errno) => {
                write!(f, "the first process of a scope: {}", errno.desc())
            }
            ScopeError::Unreachable(tried) => {
                f.write_str("systemd is not reached")?;
                tried.iter().enumerate().try_for_each(|(index, (socket, error))| {
                    let joint = if index == 0 { ": " } else { "; " };
                    write!(f, "{joint}{}: {error}", socket.display())
                })
            }
            ScopeError::Interrupted(unit, socket, error) => {
                let socket = socket.display();
                write!(f, "systemd was asked at {socket} to start {unit}: {error}")
            }
            ScopeError::Refused(unit, name, text) => {
                write!(f, "systemd refuses to start {unit}: {text} ({name})")
            }
            ScopeError::NotStarted(unit, result) => {
                write!(f, "systemd did not start {unit}: the result is {result:?}")
            }
            ScopeError::Read(path, error) => write!(f, "{}: {error}", path.display()),
            ScopeError::Aside(folder, error) => {
                let folder = folder.display();
                write!(f, "the first process of a scope can't be moved to {folder}: {error}")
            }
            ScopeError::Elsewhere(unit, cgroup) => {
                write!(f, "systemd started {unit}, but its first process is in cgroup {cgroup:?}")
            }
            ScopeError::NotMounted(unit) => {
                write!(f, "the part of cgroup v2 that {unit} is in is not mounted here")
            }
            ScopeError::NoUnified => f.write_str("cgroup v2 is mounted nowhere on this host"),
        }
    }
}

impl std::error::Error for ScopeError {}

/// Whether systemd runs this host (sd_booted(3)).
pub fn is_booted() -> bool {
    fs::symlink_metadata("/run/systemd/system").is_ok_and(|found| found.is_dir())
}

/// Whether systemd has left this cgroup, by its folder, to the processes in it: that of a unit with
/// `Delegate=yes`. Says nothing of the cgroups above and below, and no where it can't be known.
pub fn delegated(cgroup: &Path) -> bool {
    DELEGATED.iter().any(|name| xattr::read(cgroup, name).is_ok_and(|value| value == b"1"))
}

/// A running scope, delegated to its processes, with a placeholder in it.
#[derive(Debug)]
pub struct Scope {
    /// Its name, as systemctl(1) takes it.
    pub unit: String,
    /// The folder of its cgroup, on the v2 mount.
    pub path: PathBuf,
    placeholder: Placeholder,
}

/// Where the placeholder waits, below the scope's own cgroup.
const ASIDE: &str = "hostctl-scope";

/// Where the process is that made a scope for itself and what it starts.
const KEEPER: &str = "hostctl-keeper";

impl Scope {
    /// Leave the scope's own cgroup without a process: the kernel hands no controllers down from
    /// one that has some.
    ///
    /// # Errors
    /// [`ScopeError::Aside`].
    pub fn make_room(&self) -> Result<(), ScopeError> {
        step_aside(self.placeholder.pid(), self.path.join(ASIDE))
    }

    /// End the placeholder. The scope stays as long as another process is in it or below it.
    pub fn release(self) {
        drop(self.placeholder);
        // If it was made. Whatever stays of it goes with the scope: systemd removes all below.
        let _ = fs::remove_dir(self.path.join(ASIDE));
    }
}

/// Have systemd start the scope `NAME.scope`, which must not exist; in the slice of hostctl's own
/// unit, so that what the operator allows that slice still holds. Waits at most ten seconds. For
/// root, and a process with one thread.
///
/// # Errors
/// [`ScopeError`]. Nothing is left of a scope that was not answered for.
pub fn start(name: &str, description: &str) -> Result<Scope, ScopeError> {
    let end = Instant::now() + PATIENCE;
    let own = own_cgroup()?;
    let unit = request::unit_name(name);
    let placeholder = Placeholder::start(&unit).map_err(ScopeError::Placeholder)?;
    let pid = placeholder.pid();
    match make(&unit, description, pid, &own, end) {
        Err(error @ ScopeError::Interrupted(..)) => {
            placeholder.leave();
            return Err(error);
        }
        made => made?,
    }
    let path = folder_of(pid, &unit)?;
    Ok(Scope { unit, path, placeholder })
}

/// Leave the unit that this process is in for a scope `NAME.scope` of its own, delegated, in the
/// same slice. The process is in a folder below it, so that the scope can hand controllers down to
/// what is made beside. Waits at most ten seconds. For root.
///
/// # Errors
/// [`ScopeError`].
pub fn relocate(name: &str, description: &str) -> Result<(), ScopeError> {
    let (own, pid) = (own_cgroup()?, host_sys::process::pid());
    let unit = request::unit_name(name);
    make(&unit, description, pid, &own, Instant::now() + PATIENCE)?;
    step_aside(pid, folder_of(pid, &unit)?.join(KEEPER))
}

/// This process's cgroup, where systemd can be asked about processes of this pid namespace.
fn own_cgroup() -> Result<String, ScopeError> {
    let first = cgroup_of(Path::new("/proc/1/cgroup"))?;
    // systemd is in this cgroup below its own on every host; any other process 1 is where its
    // parent was.
    if !first.ends_with("/init.scope") {
        return Err(ScopeError::OutOfSight);
    }
    cgroup_of(Path::new("/proc/self/cgroup"))
}

/// Have a scope made with this first process, for a caller in the cgroup `own`.
fn make(
    unit: &str,
    description: &str,
    pid: i32,
    own: &str,
    end: Instant,
) -> Result<(), ScopeError> {
    let (mut bus, socket, before) = connect(end)?;
    let wanted = Wanted {
        unit,
        description,
        slice: place::slice(own),
        caller: place::unit(own),
        pid: pid.cast_unsigned(),
    };
    let calls: Vec<_> = before.into_iter().chain([request::start(wanted)]).collect();
    let unit = unit.to_owned();
    match ask(&mut bus, &calls) {
        Ok(Answer::Started) => Ok(()),
        Ok(Answer::Refused(error, text)) => Err(ScopeError::Refused(unit, error, text)),
        Ok(Answer::Ended(result)) => Err(ScopeError::NotStarted(unit, result)),
        Err(error) => Err(ScopeError::Interrupted(unit, socket.into(), error)),
    }
}

/// Move a process into a folder that is made for it.
fn step_aside(pid: i32, folder: PathBuf) -> Result<(), ScopeError> {
    fs::create_dir_all(&folder)
        .and_then(|()| fs::write(folder.join("cgroup.procs"), pid.to_string()))
        .map_err(|error| ScopeError::Aside(folder, error))
}

/// A connection to systemd, where it is, and what has to be said there first.
fn connect(end: Instant) -> Result<(Bus, &'static str, Vec<Call>), ScopeError> {
    let (uid, _) = creds::effective();
    let open = |socket: &'static str| {
        let bus = Bus::connect(Path::new(socket), uid, end);
        bus.map_err(|error| (PathBuf::from(socket), error))
    };
    match open(PRIVATE) {
        Ok(bus) => Ok((bus, PRIVATE, Vec::new())),
        Err(first) => match open(SYSTEM_BUS) {
            Ok(bus) => Ok((bus, SYSTEM_BUS, request::introductions().into())),
            Err(second) => Err(ScopeError::Unreachable(vec![first, second])),
        },
    }
}

/// Make the calls, the last of which starts a unit, and wait for what comes of it.
fn ask(bus: &mut Bus, calls: &[Call]) -> Result<Answer, BusError> {
    let mut serial = 0;
    for call in calls {
        serial = bus.send(call)?;
    }
    let mut hearing = Hearing::of(serial);
    loop {
        if let Some(answer) = hearing.hear(&bus.receive()?)? {
            return Ok(answer);
        }
    }
}

/// The folder of the unit's cgroup: where its first process is, not where it should be.
fn folder_of(first: i32, unit: &str) -> Result<PathBuf, ScopeError> {
    let cgroup = cgroup_of(Path::new(&format!("/proc/{first}/cgroup")))?;
    if Path::new(&cgroup).file_name() != Some(unit.as_ref()) {
        return Err(ScopeError::Elsewhere(unit.to_owned(), cgroup));
    }
    let mounts = read(Path::new("/proc/self/mountinfo"))?;
    let found = place::folder(&mounts, &cgroup).filter(|(folder, _)| folder.is_dir());
    found.map(|(folder, _)| folder).ok_or_else(|| ScopeError::NotMounted(unit.to_owned()))
}

/// The v2 cgroup of a process.
fn cgroup_of(file: &Path) -> Result<String, ScopeError> {
    place::cgroup(&read(file)?).map(str::to_owned).ok_or(ScopeError::NoUnified)
}

fn read(path: &Path) -> Result<String, ScopeError> {
    fs::read_to_string(path).map_err(|error| ScopeError::Read(path.to_owned(), error))
}

#[cfg(test)]
mod tests;
