//! Failures of a run, as exit codes and words.

use host_sys::Errno;
use manifest_spec::Diagnostic;

use super::{CANT_CREATE, DATA, NOT_EXECUTABLE, NOT_FOUND, SYSTEM, Told, UNAVAILABLE, USAGE};
use super::{lease, lease_code, reason};
use crate::cgroup::CgroupError;
use crate::logs::LogError;
use crate::network::boundary::BoundaryError;
use crate::network::enforcement::EnforcementError;
use crate::run::RunError;
use crate::sandbox::message::Failure;

/// The exit code.
pub(super) fn code(error: &RunError) -> u8 {
    match error {
        RunError::Step { key, failure, .. } if key == "run" => match failure.errno {
            Some(Errno::ENOENT) => NOT_FOUND,
            _ => NOT_EXECUTABLE,
        },
        // A path that the manifest names is the manifest's mistake.
        RunError::Step { key, .. } if !key.is_empty() => DATA,
        RunError::Lease(error) => lease_code(error),
        RunError::OldKernel(_) => UNAVAILABLE,
        RunError::Boundary(BoundaryError::Interface(..)) => DATA,
        RunError::Boundary(BoundaryError::Hosts(_)) => CANT_CREATE,
        RunError::Boundary(_) => UNAVAILABLE,
        RunError::Data(_) | RunError::Log(_) => CANT_CREATE,
        RunError::StreamIsDirectory(_) | RunError::StreamIsSocket(_) => USAGE,
        RunError::Stopped => 130,
        _ => SYSTEM,
    }
}

/// What to say.
pub(super) fn told(error: &RunError, place: Option<&Diagnostic>) -> Told {
    match error {
        RunError::OldKernel((major, minor)) => Told::new(format!(
            "kernel {major}.{minor} is too old: the sandbox needs close_range(2) of 5.11 and mount_setattr(2) of 5.12"
        ))
        .hint("hostctl supports kernels from 5.15 on"),
        RunError::StreamIsDirectory(number) => Told::new(format!(
            "{} is a directory, through which a program could leave the sandbox",
            stream(*number)
        )),
        RunError::StreamIsSocket(number) => Told::new(format!(
            "{} is a socket of its maker's, which would stay free of the app's rules on ports and destinations",
            stream(*number)
        ))
        .hint("pass it through a pipe, or let the app have the port with activate = true"),
        RunError::Lease(error) => lease(error),
        RunError::Data(data) => match place {
            Some(place) => Told::new(place.to_string()),
            None => Told::new(format!("{}: {}", data.key, data.error)),
        },
        RunError::Log(LogError::Sink(path, error)) => {
            Told::new(format!("logs.sinks: {}: {}", path.display(), reason(error)))
        }
        RunError::Log(error) => Told::new(format!("its log can't be kept: {error}")),
        RunError::Boundary(error) => match place {
            Some(place) => Told::new(place.to_string()),
            None => boundary(error),
        },
        RunError::Spawn(step, errno) => spawn(step, *errno),
        RunError::Step { number, name, key, failure } => {
            let said = place.map_or_else(|| cause(failure), ToString::to_string);
            let told = Told::new(format!("{}\n  in step {number} \"{name}\"", said.trim_end()));
            match failure.errno.and_then(step_hint).filter(|_| key.is_empty()) {
                Some(hint) => told.hint(hint),
                None => told,
            }
        }
        RunError::Stopped => Told::new("stopped before the program started"),
        RunError::Lost => {
            Told::new("the sandbox was ended from outside: its first process was killed")
        }
        RunError::Kernel(errno) => Told::new(format!("watching the program failed: {errno}")),
    }
}

fn stream(number: i32) -> &'static str {
    match number {
        0 => "standard input",
        1 => "standard output",
        _ => "standard error",
    }
}

/// What keeps a program to its ports can't be put up.
fn boundary(error: &BoundaryError) -> Told {
    let told = Told::new(error.to_string());
    match error {
        BoundaryError::Cgroup(CgroupError::Scope(_)) => told,
        BoundaryError::Cgroup(_) => {
            told.hint("is the cgroup v2 mount writable here? `hostctl doctor` tells")
        }
        BoundaryError::Enforcement(EnforcementError::TooMany) => {
            told.hint("write networks instead of single addresses in [access] connect")
        }
        BoundaryError::Enforcement(_) => told.hint(
            "hostctl needs CAP_BPF and CAP_NET_ADMIN, and a kernel with CONFIG_CGROUP_BPF; `hostctl doctor` tells",
        ),
        _ => told,
    }
}

/// What happened in a step, in words where the sandbox found some.
pub fn cause(failure: &Failure) -> String {
    match (&failure.errno, failure.detail.as_str()) {
        (Some(errno), "") => errno.to_string(),
        (Some(errno), detail) => format!("{detail} ({errno:?})"),
        (None, detail) => detail.to_owned(),
    }
}

fn spawn(step: &str, errno: Errno) -> Told {
    let told = Told::new(format!("step 1 \"{step}\": {errno}"));
    let root = host_sys::creds::effective().0 == 0;
    match errno {
        Errno::EPERM if root => told.hint("hostctl needs CAP_SYS_ADMIN, which this root lacks"),
        Errno::EPERM => told.hint("user namespaces may be switched off here; `hostctl doctor` tells"),
        Errno::ENOSPC | Errno::EUSERS => told.hint(
            "this user has as many namespaces as allowed; `hostctl doctor` tells which setting in /proc/sys/user/",
        ),
        Errno::EDEADLK => told.hint("/proc is not mounted here; mount it first"),
        _ => match step_hint(errno) {
            Some(hint) => told.hint(hint),
            None => told,
        },
    }
}

/// What the caller's surroundings may have to do with a step of hostctl's own that failed.
fn step_hint(errno: Errno) -> Option<&'static str> {
    match errno {
        Errno::ENOSYS => Some(
            "the kernel is too old, or a filter around hostctl hides the call (systemd's RestrictSUIDSGID=, RestrictNamespaces=, SystemCallFilter=)",
        ),
        Errno::EPERM => Some(
            "hostctl runs without a capability or in a namespace that forbids this; `hostctl doctor` tells more",
        ),
        Errno::EINVAL => Some("in a chroot whose root is no mount point this can't be done"),
        _ => None,
    }
}
