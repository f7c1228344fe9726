//! The one boundary where failures become exit codes, sentences and hints.
//!
//! The command line, a keeper and hostd tell the same failure in the same words. Invariant: exit
//! codes are decided here and nowhere else (sysexits.h's numbers where one fits, the shell's 126 and
//! 127), and they never change their meaning. Never prints.

mod about;
mod run;

use std::path::PathBuf;

use crate::audit::AuditError;
use crate::daemon::DaemonError;
use crate::daemon::place::PlaceError;
use crate::lease::LeaseError;
use crate::lock::LockError;
use crate::plan::Unenforced;
use crate::plan::directories::DirectoryError;
use crate::planning::PlanningError;
use crate::run::RunError;
use crate::source::SourceError;
use crate::state::StateError;
use crate::uids::UidError;
use host_sys::Errno;
use manifest_spec::api::ErrorBody;
use manifest_spec::{Diagnostic, Diagnostics};

pub use about::about;
pub use run::cause;

/// A service never became ready, a log was tampered with, or something else did not come to what
/// was asked for.
pub const FAILED: u8 = 1;
/// A deployment would change something.
pub const DIFFERENT: u8 = 2;
/// The command line is wrong in a way that clap can't see.
pub const USAGE: u8 = 2;
/// EX_DATAERR.
pub const DATA: u8 = 65;
/// EX_NOINPUT.
pub const NO_INPUT: u8 = 66;
/// EX_UNAVAILABLE.
pub const UNAVAILABLE: u8 = 69;
/// EX_OSERR.
pub const SYSTEM: u8 = 71;
/// EX_CANTCREAT.
pub const CANT_CREATE: u8 = 73;
/// EX_TEMPFAIL.
pub const HELD: u8 = 75;
/// EX_NOPERM.
pub const NOT_PERMITTED: u8 = 77;
/// The shell's: found, but can't be executed.
pub const NOT_EXECUTABLE: u8 = 126;
/// The shell's: not found.
pub const NOT_FOUND: u8 = 127;

/// Everything that ends a command early.
#[derive(Debug)]
pub enum Error {
    /// The command line: what is wrong and what to type instead.
    Usage(String, String),
    /// Reading the manifest, a drop-in or the host policy.
    Source(SourceError),
    /// Resolving it against this host.
    Plan(Diagnostics),
    /// Promises that --strict wants kept.
    Strict(Vec<Unenforced>),
    /// Limits that can't be enforced here.
    Unlimited(Vec<Unenforced>),
    /// Where hostctl keeps its files.
    Directories(DirectoryError),
    /// The app's uid.
    Uid(UidError),
    /// Looking at leases, or taking one away.
    Lease(LeaseError),
    /// Running a command under a lock.
    Lock(LockError),
    /// Running: the failure, and the place in the manifest that named the object.
    Run(RunError, Option<Diagnostic>),
    /// Reading or verifying the audit log.
    Audit(AuditError),
    /// hostd can't begin.
    Daemon(DaemonError),
    /// Something is not allowed: what, what to do instead, the exit code that says so.
    Refused(String, String, u8),
    /// A file that can't be written.
    Write(PathBuf, std::io::Error),
    /// A file that is there already and is not overwritten.
    Exists(PathBuf, &'static str),
    /// A directory without an app that `init` knows, and a manifest to start from.
    NothingFound(PathBuf, String),
    /// A call of hostctl itself.
    Kernel(Errno),
    /// hostd can't be talked to: what is wrong and what to do.
    Unreachable(String, String),
    /// What hostd answered; on its host `hostctl` would say and do the same.
    Answer(Box<ErrorBody>),
    /// What was waited for did not come to be, and what to type to see more.
    Missed(String, String),
}

impl From<ErrorBody> for Error {
    fn from(body: ErrorBody) -> Self {
        Error::Answer(Box::new(body))
    }
}

impl From<Errno> for Error {
    fn from(errno: Errno) -> Self {
        Error::Kernel(errno)
    }
}

impl From<LeaseError> for Error {
    fn from(error: LeaseError) -> Self {
        Error::Lease(error)
    }
}

impl From<SourceError> for Error {
    fn from(error: SourceError) -> Self {
        Error::Source(error)
    }
}

impl From<PlanningError> for Error {
    fn from(error: PlanningError) -> Self {
        match error {
            PlanningError::Directories(error) => Error::Directories(error),
            PlanningError::Source(error) => Error::Source(error),
            PlanningError::Uid(error) => Error::Uid(error),
            PlanningError::Plan(diagnostics) => Error::Plan(diagnostics),
            PlanningError::Unlimited(list) => Error::Unlimited(list),
        }
    }
}

impl From<DirectoryError> for Error {
    fn from(error: DirectoryError) -> Self {
        Error::Directories(error)
    }
}

/// What is printed: a sentence, more lines if needed, a hint if there is one.
#[derive(Debug, Default)]
pub struct Told {
    /// What happened, a sentence or several lines.
    pub message: String,
    /// What to type instead.
    pub hint: Option<String>,
}

impl Told {
    fn new(message: impl Into<String>) -> Self {
        Told { message: message.into(), hint: None }
    }

    fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl Error {
    /// The exit code.
    pub fn exit_code(&self) -> u8 {
        match self {
            Error::Usage(..) => USAGE,
            Error::Source(SourceError::Read(..)) | Error::NothingFound(..) => NO_INPUT,
            Error::Source(_) | Error::Plan(_) => DATA,
            Error::Strict(_) | Error::Unlimited(_) => NOT_PERMITTED,
            Error::Directories(_) | Error::Uid(_) => UNAVAILABLE,
            Error::Write(..) | Error::Exists(..) => CANT_CREATE,
            Error::Kernel(_) => SYSTEM,
            Error::Unreachable(..) => UNAVAILABLE,
            Error::Answer(body) => body.exit_code,
            Error::Missed(..) => FAILED,
            Error::Lease(error) => lease_code(error),
            Error::Lock(error) => lock_code(error),
            Error::Run(error, _) => run::code(error),
            Error::Audit(AuditError::Broken(_)) => FAILED,
            Error::Audit(AuditError::Io(..)) => NO_INPUT,
            Error::Audit(AuditError::Store(_)) => UNAVAILABLE,
            Error::Daemon(error) => daemon_code(error),
            Error::Refused(.., code) => *code,
        }
    }

    /// What to say.
    pub fn told(&self) -> Told {
        match self {
            Error::Usage(message, hint) => Told::new(message).hint(hint),
            Error::Source(error) => source(error),
            Error::Plan(diagnostics) => Told::new(diagnostics.to_string()),
            Error::Strict(list) => strict(list),
            Error::Unlimited(list) => unlimited(list),
            Error::Directories(error) => Told::new(error.to_string())
                .hint("set HOSTCTL_STATE_DIR, HOSTCTL_RUN_DIR and HOSTCTL_CONFIG_DIR, or HOME"),
            Error::Uid(error) => Told::new(error.to_string()).hint(match error {
                UidError::Store(_) => "see HOSTCTL_STATE_DIR for keeping state elsewhere",
                _ => "give hostctl another range with [uids] in policy.toml",
            }),
            Error::Lease(error) => lease(error),
            Error::Lock(error) => lock(error),
            Error::Run(error, place) => run::told(error, place.as_ref()),
            Error::Audit(error) => audit(error),
            Error::Daemon(error) => daemon(error),
            Error::Refused(message, hint, _) => Told::new(message).hint(hint),
            Error::Write(path, error) => {
                Told::new(format!("{}: {}", path.display(), reason(error)))
            }
            Error::Exists(path, hint) => {
                Told::new(format!("{}: there is one already, and it stays as it is", path.display()))
                    .hint(*hint)
            }
            Error::NothingFound(path, example) => Told::new(format!(
                "{}: nothing here says how the app starts: no Procfile, package.json, Python web app, Cargo package, Go module, Gemfile with puma, index.html or single executable",
                path.display()
            ))
            .hint(format!("paste this into app.toml and adapt it:\n{example}")),
            Error::Kernel(errno) => Told::new(format!("the kernel refused a call: {errno}")),
            Error::Unreachable(message, hint) | Error::Missed(message, hint) => {
                Told::new(message).hint(hint)
            }
            Error::Answer(body) => answer(body),
        }
    }
}

fn audit(error: &AuditError) -> Told {
    let told = Told::new(error.to_string());
    match error {
        AuditError::Broken(_) => told.hint(
            "compare it with a copy; to go on with a new log, move audit.log and audit.head away",
        ),
        AuditError::Io(..) => told.hint("it is hostctl's user's to read: run this as that user"),
        AuditError::Store(_) => told.hint("see HOSTCTL_STATE_DIR for keeping state elsewhere"),
    }
}

/// hostd's answer in the words of a local failure: its diagnostics, if there are any, stand for its
/// message.
fn answer(body: &ErrorBody) -> Told {
    let mut lines: Vec<String> = body.diagnostics.iter().map(|one| one.text.clone()).collect();
    match body.more_diagnostics {
        0 => {}
        more => lines.push(format!("and {more} more")),
    }
    let message = if lines.is_empty() { body.message.clone() } else { lines.join("\n") };
    Told { message, hint: body.hint.clone() }
}

fn source(error: &SourceError) -> Told {
    match error {
        SourceError::Read(path, error) => {
            Told::new(format!("{}: {}", path.display(), reason(error)))
        }
        SourceError::Foreign(path, uid, mode) => Told::new(format!(
            "{} belongs to uid {uid} with mode {mode:04o}: others could have written it",
            path.display()
        ))
        .hint("make it yours or root's, and writable by its owner alone"),
        SourceError::TooLarge(path) => {
            let limit = manifest_spec::limits::FILE_BYTES >> 20;
            Told::new(format!("{}: larger than {limit} MiB", path.display()))
                .hint("a manifest is a few lines; is this the right file?")
        }
        SourceError::NotText(path, byte) => {
            Told::new(format!("{}: not UTF-8 from byte {byte} on", path.display()))
                .hint("is this a program instead of a manifest? programs come after --")
        }
        SourceError::Invalid(diagnostics) => Told::new(diagnostics.to_string()),
    }
}

fn strict(list: &[Unenforced]) -> Told {
    let lines: Vec<_> = list.iter().map(|one| format!("  {}: {}", one.what, one.why)).collect();
    Told::new(format!("--strict: this can't be enforced here:\n{}", lines.join("\n")))
        .hint("leave out --strict to run all the same")
}

fn unlimited(list: &[Unenforced]) -> Told {
    let lines: Vec<_> = list
        .iter()
        .map(|one| format!("{} can't be enforced here: {}", one.what, one.why))
        .collect();
    Told::new(lines.join("\n")).hint("add --allow-unenforced to run without it")
}

fn lease_code(error: &LeaseError) -> u8 {
    match error {
        LeaseError::Refused(_) => HELD,
        LeaseError::Store(_) | LeaseError::Broken(..) | LeaseError::File(..) => UNAVAILABLE,
        LeaseError::Busy(_) | LeaseError::Proc => UNAVAILABLE,
    }
}

fn lease(error: &LeaseError) -> Told {
    let told = Told::new(error.to_string());
    match error {
        LeaseError::Refused(refusal) => match refusal.next_offset {
            Some(offset) => {
                told.hint(format!("the next free offset is {offset}: add --port-offset {offset}"))
            }
            None => told,
        },
        LeaseError::Broken(path, _) => {
            told.hint(format!("when no hostctl is running, `rm {}`", path.display()))
        }
        LeaseError::Busy(_) => told.hint("is a hostctl stopped, or a debugger on it?"),
        LeaseError::Store(_) | LeaseError::File(..) => {
            told.hint("see HOSTCTL_RUN_DIR for keeping leases elsewhere")
        }
        LeaseError::Proc => told.hint("mount /proc"),
    }
}

fn daemon_code(error: &DaemonError) -> u8 {
    match error {
        DaemonError::Place(PlaceError::Taken(..)) => HELD,
        DaemonError::Io(_) => SYSTEM,
        _ => UNAVAILABLE,
    }
}

fn daemon(error: &DaemonError) -> Told {
    let told = Told::new(error.to_string());
    match error {
        DaemonError::Place(PlaceError::Taken(..)) => told.hint(
            "a second hostd needs directories of its own: HOSTCTL_STATE_DIR, HOSTCTL_RUN_DIR and HOSTCTL_CONFIG_DIR",
        ),
        DaemonError::Place(PlaceError::Gone(path)) => told.hint(format!(
            "put {} back from a backup; or, to begin with nothing deployed, remove {}",
            path.display(),
            path.with_file_name("hostd.mark").display()
        )),
        DaemonError::State(StateError::Broken(path, _)) => told.hint(format!(
            "the apps go on meanwhile; put {} back from a backup, or move it aside and deploy anew",
            path.display()
        )),
        DaemonError::Place(_) | DaemonError::State(_) | DaemonError::Store(_) => {
            told.hint("see HOSTCTL_STATE_DIR and HOSTCTL_RUN_DIR for keeping files elsewhere")
        }
        DaemonError::Io(_) => told,
    }
}

fn lock_code(error: &LockError) -> u8 {
    match error {
        LockError::Lease(error) => lease_code(error),
        LockError::NotFound(_) => NOT_FOUND,
        LockError::NotExecutable(..) => NOT_EXECUTABLE,
        LockError::Kernel(_) => SYSTEM,
    }
}

fn lock(error: &LockError) -> Told {
    match error {
        LockError::Lease(error) => lease(error),
        LockError::NotFound(name) => {
            Told::new(format!("there is no program {}", name.to_string_lossy()))
        }
        LockError::NotExecutable(path, errno) => {
            Told::new(format!("{} can't be executed: {errno}", path.display()))
        }
        LockError::Kernel(errno) => Told::new(format!("running the command failed: {errno}")),
    }
}

/// An I/O error as people say it.
pub(crate) fn reason(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => "no such file".to_owned(),
        std::io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        std::io::ErrorKind::IsADirectory => "is a directory".to_owned(),
        _ => error.to_string(),
    }
}

/// A single mistake in a manifest.
impl From<Diagnostic> for Error {
    fn from(diagnostic: Diagnostic) -> Self {
        Error::Plan(diagnostic.into())
    }
}
