//! Leases: what one holder has for itself on this host, among all hostctl processes of a user.
//!
//! Owns ports, names, data directories with one writer, and the user's locks. Invariant: two
//! holders of what excludes itself never exist; a lease ends with its holder, whatever ends that,
//! and with the boot. Never decides what an app may have: that is the plan's.
//!
//! | module | owns |
//! | --- | --- |
//! | [`key`] | what can be leased, and which of it clashes |
//! | [`claims`] | what a plan needs, at any offset |
//! | [`table`] | the state × event table |
//! | [`holder`] | who holds, and whether it lives |
//! | [`probe`] | whether a port is in use, and by whom |
//! | [`ledger`] | the transactions |
//! | [`reserved`] | keeping leased ports out of the ephemeral range |
//! | [`row`] | what the ledger's tables hold |
//! | [`conflict`] | refusals in words |
//! | [`wait`] | sleeping until it is worth to ask again |

pub mod claims;
pub mod conflict;
pub mod holder;
pub mod key;
pub mod ledger;
pub mod probe;
mod reserved;
pub mod row;
mod schema;
pub mod table;
pub mod wait;

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::plan::Directories;
use crate::state::StateError;
use crate::store::StoreError;
use manifest_spec::policy::PortRange;

use claims::Claims;
use conflict::Refusal;
use holder::{Holder, Process};
use key::Key;
use ledger::{Choice, Lease, Ledger, Placement};

/// How often a start asks again while the kernel ends the sandbox of a hostctl that was killed.
const ENDINGS: usize = 5;

/// Why nothing was leased.
#[derive(Debug)]
pub enum LeaseError {
    /// Something is in the way.
    Refused(Box<Refusal>),
    /// A directory of ours can't be used.
    Store(StoreError),
    /// A file is no ledger of ours, or no longer.
    Broken(PathBuf, String),
    /// Another process keeps the file locked.
    Busy(PathBuf),
    /// The file can't be read or written.
    File(PathBuf, String),
    /// This process can't be told from others: /proc is not there.
    Proc,
}

impl LeaseError {
    fn from_sqlite(path: &Path, error: rusqlite::Error) -> LeaseError {
        StateError::from_sqlite(path, error).into()
    }
}

impl From<StateError> for LeaseError {
    fn from(error: StateError) -> LeaseError {
        match error {
            StateError::Store(error) => LeaseError::Store(error),
            StateError::Broken(path, text) => LeaseError::Broken(path, text),
            StateError::Busy(path) => LeaseError::Busy(path),
            StateError::File(path, text) => LeaseError::File(path, text),
        }
    }
}

impl fmt::Display for LeaseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LeaseError::Refused(refusal) => refusal.fmt(f),
            LeaseError::Store(error) => error.fmt(f),
            LeaseError::Broken(path, text) => {
                write!(f, "{} can't be read as a ledger of leases: {text}", path.display())
            }
            LeaseError::Busy(path) => {
                write!(f, "{} is kept locked by another process", path.display())
            }
            LeaseError::File(path, text) => write!(f, "{}: {text}", path.display()),
            LeaseError::Proc => f.write_str("/proc/self/stat can't be read"),
        }
    }
}

impl std::error::Error for LeaseError {}

/// Leases of this process, given back when dropped. No file stays open while the app runs.
#[derive(Debug)]
pub struct Held {
    leases: Vec<Lease>,
    directories: Directories,
    range: PortRange,
    /// Open until the guard is named.
    ledger: Option<Ledger>,
    clock: fn() -> Duration,
}

impl Held {
    /// Lease what an instance needs; where it was leased comes with it. What needs nothing
    /// opens nothing.
    ///
    /// # Errors
    /// As [`Ledger::acquire_claims`].
    pub fn acquire(
        claims: &Claims,
        choice: Choice,
        directories: &Directories,
        clock: fn() -> Duration,
    ) -> Result<(Placement, Held), LeaseError> {
        let range = claims.range();
        let held = |leases, ledger| {
            let directories = directories.clone();
            Held { leases, directories, range, ledger, clock }
        };
        let placement = Placement { offset: claims.offset(), address: None };
        let nothing = |keys: Vec<Key>| keys.is_empty();
        if claims.addresses().is_none() && claims.keys(claims.offset(), None).is_some_and(nothing) {
            return Ok((placement, held(Vec::new(), None)));
        }
        let boot = holder::boot_id().map_err(|_| LeaseError::Proc)?;
        let mut ledger = Ledger::open_to_change(directories, &boot, clock)?;
        let (placement, leases) = attempt(&mut ledger, claims, choice)?;
        let mut held = held(leases, None);
        ledger.reserve(held.leases(), range)?;
        held.ledger = Some(ledger);
        Ok((placement, held))
    }

    /// Lease a lock for the command that is about to run.
    ///
    /// # Errors
    /// As [`Ledger::acquire_all`].
    pub fn lock(
        key: &Key,
        command: &str,
        directories: &Directories,
        clock: fn() -> Duration,
    ) -> Result<Held, LeaseError> {
        let (app, service) = (command.to_owned(), String::new());
        let holder = Holder { app, service, instance: 0, process: own()? };
        let leases = open(directories, clock)?.acquire_all(std::slice::from_ref(key), &holder)?;
        let range = PortRange::default();
        Ok(Held { leases, directories: directories.clone(), range, ledger: None, clock })
    }

    /// Lease the places where clients find a service, for all of its instances.
    ///
    /// # Errors
    /// As [`Ledger::acquire_served`].
    pub fn serve(
        keys: &[Key],
        (app, service): (&str, &str),
        range: PortRange,
        directories: &Directories,
        clock: fn() -> Duration,
    ) -> Result<Held, LeaseError> {
        let (app, service) = (app.to_owned(), service.to_owned());
        let holder = Holder { app, service, instance: 0, process: own()? };
        let mut ledger = open(directories, clock)?;
        let leases = ledger.acquire_served(keys, &holder)?;
        ledger.reserve(&leases, range)?;
        Ok(Held { leases, directories: directories.clone(), range, ledger: None, clock })
    }

    /// What is held.
    pub fn leases(&self) -> &[Lease] {
        &self.leases
    }

    /// Name a process that keeps the leases in use if this one is killed: they are then not given
    /// to anybody before it has ended.
    ///
    /// # Errors
    /// When the ledger can't be used.
    pub fn guard(&mut self, pid: i32) -> Result<(), LeaseError> {
        let ledger = self.ledger.take();
        match Process::of(pid) {
            Some(guard) if !self.leases.is_empty() => ledger
                .map_or_else(|| Ledger::reopen(&self.directories, self.clock), Ok)?
                .guard(&self.leases, guard),
            _ => Ok(()),
        }
    }
}

/// Ask, and again while what is in the way is ending by itself.
fn attempt(
    ledger: &mut Ledger,
    claims: &Claims,
    choice: Choice,
) -> Result<(Placement, Vec<Lease>), LeaseError> {
    let process = own()?;
    for _ in 0..ENDINGS {
        match ledger.acquire_claims(claims, choice, process) {
            Err(LeaseError::Refused(refusal)) if refusal.is_ending() => {
                wait::for_change(&refusal).map_err(|_| LeaseError::Refused(refusal))?;
            }
            result => return result,
        }
    }
    ledger.acquire_claims(claims, choice, process)
}

impl Drop for Held {
    fn drop(&mut self) {
        if !self.leases.is_empty() {
            // If this fails the leases end with this process, and the next to ask finds that out.
            let _ =
                Ledger::reopen(&self.directories, self.clock).and_then(|mut ledger| {
                    match ledger.release(&self.leases)? {
                        true => ledger.unreserve(self.range),
                        false => Ok(()),
                    }
                });
        }
    }
}

/// The ledger of this boot.
///
/// # Errors
/// As [`Ledger::open`].
pub fn open(directories: &Directories, clock: fn() -> Duration) -> Result<Ledger, LeaseError> {
    let boot = holder::boot_id().map_err(|_| LeaseError::Proc)?;
    Ledger::open(directories, &boot, clock)
}

/// The ledger of this boot as it is, if there is one.
///
/// # Errors
/// As [`Ledger::look`].
pub fn look(
    directories: &Directories,
    clock: fn() -> Duration,
) -> Result<Option<Ledger>, LeaseError> {
    let boot = holder::boot_id().map_err(|_| LeaseError::Proc)?;
    Ledger::look(directories, &boot, clock)
}

fn own() -> Result<Process, LeaseError> {
    Process::of(host_sys::process::pid()).ok_or(LeaseError::Proc)
}
