//! Resource limits of a process (setrlimit(2)).
//!
//! Invariant: soft and hard limit are set to the same value, so a program can't raise its own.

use nix::sys::resource::Resource;

use crate::Result;

/// The limits a manifest can name, and the size of core dumps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// RLIMIT_NOFILE: one more than the highest descriptor number.
    Files,
    /// RLIMIT_NPROC: processes and threads of the uid (in its user namespace since kernel 5.14).
    Processes,
    /// RLIMIT_CORE: bytes of a core dump.
    Core,
}

impl Limit {
    fn resource(self) -> Resource {
        match self {
            Limit::Files => Resource::RLIMIT_NOFILE,
            Limit::Processes => Resource::RLIMIT_NPROC,
            Limit::Core => Resource::RLIMIT_CORE,
        }
    }
}

/// Set a limit.
///
/// # Errors
/// `EPERM` above the hard limit without CAP_SYS_RESOURCE.
pub fn set(limit: Limit, value: u64) -> Result<()> {
    nix::sys::resource::setrlimit(limit.resource(), value, value)
}

/// The soft and hard limit in force.
///
/// # Errors
/// What getrlimit(2) says.
pub fn get(limit: Limit) -> Result<(u64, u64)> {
    nix::sys::resource::getrlimit(limit.resource())
}
